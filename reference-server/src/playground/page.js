import { by, el } from "./dom.js";
import { Log } from "./log.js";
import { Panel } from "./panel.js";
import { ask, settings } from "./wire.js";

/** How long the page waits after a change before it asks for the rooms, so that a flow is one request, in milliseconds. */
const PAUSE = 150;

/** There are so many colours for users. */
const COLOURS = 6;

const log = new Log();
const panels = [];
const PAGE = { user: "the page", number: 0 };

function theme(chosen) {
  document.documentElement.dataset.theme = chosen;
  by("theme").textContent = chosen === "dark" ? "Light" : "Dark";
  by("theme").setAttribute("aria-label", `Switch to the ${chosen === "dark" ? "light" : "dark"} colours`);
}

/** The rooms of an answer, under whichever of the documented names it has them. */
function roomsOf(json) {
  const list = json?.room_list ?? json?.rooms;
  if (!Array.isArray(list)) return undefined;
  return list.map((entry) => ({ name: String(entry?.room_name ?? entry?.name ?? "(no name)"), population: entry?.population }));
}

async function listRooms(own) {
  const answer = await ask("/chatroom/list", {}, { ...PAGE, own }, log);
  const rooms = roomsOf(answer.json);
  if (!rooms) {
    by("rooms-note").textContent = answer.failure ? "The server doesn't answer." : "The answer holds no list of rooms.";
    return;
  }
  const use = (name) => () => panels.forEach((panel) => (panel.roomField.value = name));
  by("room-rows").replaceChildren(...rooms.map(({ name, population }) =>
    el("tr", {},
      el("td", { textContent: name }),
      el("td", { className: "number", textContent: `${population} of ${settings.capacity}` }),
      el("td", {}, el("button", { type: "button", className: "small", textContent: "Use", ariaLabel: `Use ${name} for everybody`, on: { click: use(name) } })))));
  by("room-names").replaceChildren(...rooms.map(({ name }) => el("option", { value: name })));
  by("rooms-note").textContent = rooms.length ? "" : "There is none yet.";
}

let due;
function roomsChanged() {
  clearTimeout(due);
  due = setTimeout(() => listRooms(true), PAUSE);
}

function addUser(name) {
  const panel = new Panel(name, (panels.length % COLOURS) + 1, log, roomsChanged);
  panels.push(panel);
  log.knows(name);
  by("panels").append(panel.element);
  return panel;
}

by("http").textContent = location.origin;
by("ws").textContent = settings.ws;
by("params").value = settings.params;
by("oddities").hidden = settings.oddities.length === 0;
by("oddities").replaceChildren(...settings.oddities.map((oddity) => el("p", { textContent: oddity })));
by("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
by("list").addEventListener("click", () => listRooms(false));
by("add-user").addEventListener("submit", (event) => {
  event.preventDefault();
  const taken = panels.map((panel) => panel.who.user);
  const names = ["ann", "bob", "cid", "dan", "eve", "fay", "gus"];
  const name = by("new-user").value.trim() || names.find((name) => !taken.includes(name)) || `user ${panels.length + 1}`;
  by("new-user").value = "";
  const panel = addUser(name);
  panel.nameField.focus();
});

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => theme(dark.matches ? "dark" : "light"));
theme(dark.matches ? "dark" : "light");
log.knows(PAGE.user);
addUser("ann");
addUser("bob");
listRooms(true);
