import { by } from "./dom.js";

/** What the server says of itself: the address of its WebSocket listener, the places in a room, how it takes parameters, its oddities. */
export const settings = JSON.parse(document.documentElement.dataset.settings);

/** How long an answer may take before the page says that none came, in milliseconds. */
export const PATIENCE = 2000;

/** A text as JSON; `undefined` where it is none. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** A request in the way that is chosen on the page, and the same for curl. Parameters that are `undefined` are left out. */
function request(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given).toString();
  const at = (url) => quoted(new URL(url, location.href).href);
  const encoded = given.map(([name, value]) => ` --data-urlencode ${quoted(`${name}=${value}`)}`).join("");
  const asked = query ? `${path}?${query}` : path;
  switch (by("params").value) {
    case "post-query":
      return { method: "POST", url: asked, curl: `curl -X POST ${at(asked)}` };
    case "post-form":
      return { method: "POST", url: path, body: new URLSearchParams(given), shown: query, curl: `curl -X POST ${at(path)}${encoded}` };
    case "post-json":
    case "post-json-number": {
      const number = by("params").value === "post-json-number";
      const typed = ([name, value]) => [name, number && name === "status" && /^-?\d+$/.test(value) ? Number(value) : value];
      const body = JSON.stringify(Object.fromEntries(given.map(typed)));
      const kind = "Content-Type: application/json";
      const headers = { "Content-Type": "application/json" };
      return { method: "POST", url: path, body, headers, shown: body, curl: `curl ${at(path)} -H ${quoted(kind)} -d ${quoted(body)}` };
    }
    default:
      return { method: "GET", url: asked, curl: given.length ? `curl -G ${at(path)}${encoded}` : `curl ${at(path)}` };
  }
}

/**
 * Sends a request, and tells the log of it and of its answer.
 * Gives `{status, text, json, res, took}`, or `{failure, took}` where no answer came; `took` is in milliseconds.
 */
export async function ask(path, parameters, who, log) {
  const { method, url, body, headers, shown, curl } = request(path, parameters);
  log.add({ ...who, channel: "HTTP", direction: "sent", what: `${method} ${url}`, body: shown, curl });
  const began = performance.now();
  const took = () => performance.now() - began;
  try {
    const response = await fetch(url, { method, body, headers, cache: "no-store", signal: AbortSignal.timeout(5 * PATIENCE) });
    const text = await response.text();
    const json = parsed(text);
    const what = `${response.status}, ${took().toFixed(1)} ms`;
    log.add({ ...who, channel: "HTTP", direction: "received", what, body: text });
    return { status: response.status, text, json, res: json?.res, took: took() };
  } catch (error) {
    log.add({ ...who, channel: "HTTP", direction: "here", what: `no answer: ${error.message}` });
    return { failure: error.message, took: took() };
  }
}

/** What a frame is, in a word: the packet's type where it has one. */
function kindOf(payload) {
  if (typeof payload !== "string") return "binary";
  const type = parsed(payload)?.type;
  return typeof type === "string" && type ? type.slice(0, 40) : "text";
}

/** A WebSocket connection of one user, which can be opened again and again. */
export class Connection {
  /** `changed` is called when it opens or ends, `received` with every packet: `{text, json}`. */
  constructor(who, log, changed, received) {
    Object.assign(this, { who, log, changed, received, socket: null, state: "closed", waiting: new Set() });
  }

  tell(direction, what, body) {
    this.log.add({ ...this.who, channel: "WS", direction, what, body });
  }

  /** Opens it, if it isn't open; gives whether it is. */
  async open() {
    if (this.state === "open") return true;
    if (this.state === "opening") return this.opened;
    this.become("opening");
    this.tell("here", `connecting to ${settings.ws}`);
    const socket = new WebSocket(settings.ws);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.opened = new Promise((resolve) => {
      socket.addEventListener("open", () => {
        this.become("open");
        this.tell("here", "connected");
        resolve(true);
      });
      socket.addEventListener("close", (event) => {
        this.become("closed");
        const { code, reason } = event;
        const why = code === 1006 ? "without a close frame" : `with code ${code}${reason ? ` (${reason})` : ""}`;
        this.tell("here", `ended ${why}`);
        this.pass({ end: why, isOrderly: code !== 1006 });
        resolve(false);
      });
    });
    socket.addEventListener("message", ({ data }) => {
      const text = typeof data === "string" ? data : `${data.byteLength} bytes`;
      const packet = { text, json: typeof data === "string" ? parsed(data) : undefined };
      this.tell("received", kindOf(data), text);
      this.received(packet);
      this.pass({ packet });
    });
    return this.opened;
  }

  become(state) {
    this.state = state;
    this.changed();
  }

  pass(happened) {
    for (const waiting of [...this.waiting]) waiting(happened);
  }

  close() {
    this.tell("here", "closing");
    this.socket?.close(1000);
  }

  /** Sends a text, or bytes. */
  send(payload) {
    const isText = typeof payload === "string";
    this.tell("sent", kindOf(payload), isText ? payload : `${payload.byteLength} bytes`);
    this.socket.send(payload);
  }

  /** The first `{packet}` or `{end}` from now on that `isWanted`, `null` where none comes within `patience` milliseconds. */
  next(isWanted, patience = PATIENCE) {
    return new Promise((resolve) => {
      const done = (happened) => {
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve(happened);
      };
      const look = (happened) => isWanted(happened) && done(happened);
      const timer = setTimeout(() => done(null), patience);
      this.waiting.add(look);
    });
  }
}
