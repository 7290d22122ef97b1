import { by, copy, el, isAtEnd } from "./dom.js";
import { parsed } from "./wire.js";

/** Entries above this are let go, the oldest first. */
const MOST = 500;

const ARROWS = { sent: "→", received: "←", here: "·" };

/** Everything that goes over the wire, of all users, in the order of time. */
export class Log {
  constructor() {
    this.list = by("log");
    this.entries = [];
    for (const id of ["log-user", "log-channel", "log-pretty", "log-own"]) by(id).addEventListener("change", () => this.show());
    by("log-clear").addEventListener("click", () => {
      this.entries = [];
      this.list.replaceChildren();
      this.show();
    });
  }

  /** Another user whose entries can be picked out. */
  knows(name) {
    by("log-user").append(el("option", { textContent: name }));
  }

  /**
   * Adds an entry: `user` and `number` say whose it is, `channel` is HTTP or WS, `direction` sent, received or here; `curl` repeats
   * a request, and `own` ones are the page's.
   */
  add({ user, number, channel, direction, what, body, curl, own = false }) {
    const now = new Date();
    const time = `${now.toLocaleTimeString("en-GB")}.${String(now.getMilliseconds()).padStart(3, "0")}`;
    const pre = el("pre", { hidden: body === undefined || body === "" });
    const head = el("div", { className: "head" },
      el("time", { dateTime: now.toISOString(), textContent: time }),
      el("span", { className: "who", textContent: user }),
      el("span", { className: "what mono" }, `${channel} `, el("span", { title: direction, textContent: ARROWS[direction] }), ` ${what}`));
    if (curl) head.append(copying("Copy as curl", curl));
    else if (body && channel === "WS" && direction !== "here") head.append(copying("Copy", body));
    const item = el("li", { data: { user: number } }, head, pre);
    const entry = { item, pre, user, channel, body, own };
    const follows = isAtEnd(this.list);
    this.entries.push(entry);
    this.list.append(item);
    this.dress(entry);
    while (this.entries.length > MOST) this.entries.shift().item.remove();
    by("log-empty").hidden = this.entries.some(({ item: { hidden } }) => !hidden);
    if (follows) this.list.scrollTop = this.list.scrollHeight;
  }

  /** Shows an entry as the choices above the log want it. */
  dress({ item, pre, user, channel, body, own }) {
    const [wantedUser, wantedChannel] = [by("log-user").value, by("log-channel").value];
    item.hidden = (own && !by("log-own").checked) || (wantedUser && user !== wantedUser) || (wantedChannel && channel !== wantedChannel);
    const json = by("log-pretty").checked && body ? parsed(body) : undefined;
    pre.textContent = json === undefined ? (body ?? "") : JSON.stringify(json, null, 2);
  }

  show() {
    this.entries.forEach((entry) => this.dress(entry));
    by("log-empty").hidden = this.entries.some(({ item }) => !item.hidden);
    this.list.scrollTop = this.list.scrollHeight;
  }
}

function copying(label, text) {
  const button = el("button", { type: "button", className: "small", textContent: label });
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text)) ? "Copied" : "Can't copy";
    setTimeout(() => (button.textContent = label), 1200);
  });
  return button;
}
