import { el, isAtEnd } from "./dom.js";
import { DOCUMENTED, MISTAKES } from "./exercises.js";
import { ask, Connection } from "./wire.js";

const SIGNS = { pass: "✓", other: "≠", fail: "✗" };
const WORDS = { pass: "as it should be", other: "documented, but something else was asked for", fail: "not as it should be" };

/** A text with what stands between backticks as code. */
const coded = (text) => text.split("`").map((part, place) => (place % 2 ? el("code", { textContent: part }) : part));

/** Most packets that a panel keeps. */
const MOST = 200;

/** One user: a connection, what can be sent, and what came. */
export class Panel {
  /** `number` decides the colour; `changed` is called when rooms may have changed. */
  constructor(name, number, log, changed) {
    this.log = log;
    this.changed = changed;
    this.who = { user: name, number };
    this.rooms = new Set();
    this.connection = new Connection(this.who, log, () => this.showState(), (packet) => this.receive(packet));
    this.build(name, number);
    this.showState();
  }

  get name() {
    return this.nameField.value;
  }

  get room() {
    return this.roomField.value;
  }

  get text() {
    return this.textField.value;
  }

  /** A request of this user; rooms may be others after it. */
  async ask(path, parameters) {
    const answer = await ask(path, parameters, this.who, this.log);
    this.changed();
    return answer;
  }

  build(name, number) {
    const field = (label, value, more = {}) => el("input", { value, autocomplete: "off", spellcheck: false, ariaLabel: `${label} of ${name}`, ...more });
    this.nameField = field("user_name", name);
    this.roomField = field("room_name", "lobby");
    this.roomField.setAttribute("list", "room-names");
    this.textField = field("msg", "hello");
    this.badge = el("span", { className: "badge", role: "status" });
    this.toggle = el("button", { type: "button", className: "main", on: { click: () => this.connectOrClose() } });
    this.came = el("div", { className: "came", hidden: true, ariaLive: "polite" });
    this.received = el("ol", { className: "received", tabIndex: 0, ariaLabel: `What ${name} received` });
    this.textField.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.play(DOCUMENTED.find(({ group, name }) => group === "WebSocket" && name === "msg"));
    });
    const labelled = (label, input) => el("label", {}, el("span", { className: "mono", textContent: label }), input);
    const groups = ["HTTP", "WebSocket", "Flows"].map((group) => {
      const buttons = DOCUMENTED.filter((exercise) => exercise.group === group).map((exercise) =>
        el("button", { type: "button", textContent: exercise.name, title: exercise.says, on: { click: () => this.play(exercise) } }));
      return el("div", { className: "group" }, el("h3", { textContent: group }), el("div", { className: "row" }, ...buttons));
    });
    const raw = el("textarea", { spellcheck: false, ariaLabel: `Any text for ${name} to send`, value: '{"type":"msg","data":{}}' });
    const sendRaw = async () => (await this.connection.open()) && this.connection.send(raw.value);
    this.element = el("article", { className: "panel", data: { user: number }, ariaLabel: name },
      el("div", { className: "row spread" }, this.title = el("h2", { textContent: name }), this.badge),
      el("div", { className: "fields" }, labelled("user_name", this.nameField), labelled("room_name", this.roomField), labelled("msg", this.textField)),
      el("div", { className: "group" }, el("h3", { textContent: "Connection" }), el("div", { className: "row" }, this.toggle)),
      ...groups,
      this.came,
      el("h3", { textContent: "Received" }),
      this.received,
      el("details", {}, el("summary", { textContent: "Make a mistake" }), ...MISTAKES.flatMap((group) => this.mistakes(group))),
      el("details", {}, el("summary", { textContent: "Send any text" }), raw,
        el("div", { className: "row" }, el("button", { type: "button", textContent: "Send", on: { click: sendRaw } }))));
    this.nameField.addEventListener("input", () => (this.title.textContent = this.name === name ? name : `${name}, as ${this.name || "nobody"}`));
  }

  mistakes({ title, exercises }) {
    const item = (exercise) => {
      const sign = el("span", { className: "sign" });
      const label = el("span", {}, el("code", { textContent: exercise.name }), el("small", { textContent: `${exercise.says} · ${exercise.id}` }));
      const button = el("button", { type: "button" }, label, sign);
      button.addEventListener("click", () => this.play(exercise, sign));
      return el("li", {}, button);
    };
    return [el("h3", { textContent: title }), el("ul", { className: "exercises" }, ...exercises.map(item))];
  }

  async connectOrClose() {
    if (this.connection.state === "open") this.connection.close();
    else await this.connection.open();
  }

  /** Plays an exercise, and says what should have come and what came. */
  async play(exercise, sign) {
    const { state, expected, came, took } = await exercise.play(this);
    if (sign) {
      sign.className = `sign mark-${state}`;
      sign.textContent = SIGNS[state];
      sign.title = WORDS[state];
    }
    const verdict = el("strong", { className: `mark-${state}`, textContent: `${SIGNS[state]} ${WORDS[state]}` });
    this.came.className = `came ${state}`;
    this.came.hidden = false;
    this.came.replaceChildren(
      el("p", {}, el("code", { textContent: exercise.name }), " (", ...coded(exercise.says), "): ", verdict),
      el("p", {}, "Should come: ", ...coded(expected)),
      el("p", {}, "Came: ", ...coded(came), took > 0 ? `, after ${took.toFixed(1)} ms` : ""));
  }

  receive({ text, json }) {
    const { type, data } = json ?? {};
    if (type === "user" && data?.user_name === this.name) {
      if (data.msg === "leave") this.rooms.delete(data.room_name);
      else this.rooms.add(data.room_name);
      this.showState();
    }
    if (type === "user") this.changed();
    const line = {
      msg: () => [`${data.user_name} in ${data.room_name}: ${data.msg}`, ""],
      user: () => [`${data.user_name} in ${data.room_name}: ${data.msg}`, "note"],
      error: () => [`error: ${data.msg}`, "error"],
    }[type];
    const isWhole = data !== null && typeof data === "object" && line;
    this.note(...(isWhole ? line() : [text, ""]));
  }

  note(text, kind) {
    const follows = isAtEnd(this.received);
    this.received.append(el("li", { className: kind, textContent: text }));
    while (this.received.children.length > MOST) this.received.firstChild.remove();
    if (follows) this.received.scrollTop = this.received.scrollHeight;
  }

  showState() {
    const { state } = this.connection ?? { state: "closed" };
    if (state === "closed" && this.badge.classList.contains("open")) {
      this.rooms.clear();
      this.note("the connection ended", "note");
      this.changed();
    }
    const inside = this.rooms.size ? ` · in ${[...this.rooms].join(", ")}` : "";
    this.badge.className = `badge ${state}`;
    this.badge.textContent = { open: `connected${inside}`, opening: "connecting", closed: "not connected" }[state];
    this.toggle.textContent = state === "closed" ? "Connect" : "Disconnect";
    this.toggle.classList.toggle("main", state === "closed");
    this.toggle.disabled = state === "opening";
  }
}
