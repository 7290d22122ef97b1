import { PATIENCE, settings } from "./wire.js";

/** What each text means that the document lists. */
const MEANINGS = {
  "chatroom create successfully": "the room was created",
  "chatroom already exist": "the name is in use",
  "join chatroom": "entering is allowed",
  "leave chatroom": "the place is released",
  "invalid room": "there is no such room",
  "invalid status": "the status isn't recognised",
  "user not exist": "the user isn't in the room",
  "full room": "the room is full",
  "invalid message": "type or data is missing",
  "invalid data": "data lacks a field",
  "illegal data": "user_name or room_name is empty",
  "null message": "msg is empty",
};

const isListed = (text) => typeof text === "string" && Object.hasOwn(MEANINGS, text);

const explained = (text) => (isListed(text) ? `\`${text}\`: ${MEANINGS[text]}` : `\`${text}\`, which the document doesn't list`);

/** A name that nobody has used. */
const fresh = (stem) => `${stem}-${Math.random().toString(36).slice(2, 8)}`;

const result = (state, expected, came, took) => ({ state, expected, came, took });

/** Asks over HTTP for `res` = `text`. Another documented answer is a failure only where nothing else can be right. */
async function answers(user, path, parameters, text, only = false) {
  const answer = await user.ask(path, parameters);
  const expected = `res \`${text}\``;
  if (answer.failure) return result("fail", expected, `no answer (${answer.failure})`, answer.took);
  if (answer.res === text) return result("pass", expected, `\`${text}\``, answer.took);
  if (answer.res === undefined) return result("fail", expected, `no \`res\`, and the status ${answer.status}`, answer.took);
  return result(!only && isListed(answer.res) ? "other" : "fail", expected, explained(answer.res), answer.took);
}

/** Asks over HTTP for what the document has no text for: anything but success, and no 5xx. */
async function isRefused(user, path, parameters) {
  const answer = await user.ask(path, parameters);
  const expected = "no success and no 5xx; the document has no text for it";
  if (answer.failure) return result("fail", expected, `no answer (${answer.failure})`, answer.took);
  const succeeded = ["chatroom create successfully", "join chatroom", "leave chatroom"].includes(answer.res);
  return result(succeeded || answer.status >= 500 ? "fail" : "pass", expected, `\`${answer.res}\`, status ${answer.status}`, answer.took);
}

/**
 * Sends a payload, and waits for what `isRight`; `isFinal` says what else ends the waiting, and `silence` what it means if nothing comes.
 */
async function sends(user, payload, expected, isRight, { only = false, silence = "fail", patience = PATIENCE } = {}) {
  if (!(await user.connection.open())) return result("fail", expected, "the connection can't be opened", 0);
  const began = performance.now();
  const coming = user.connection.next((happened) => isRight(happened) || happened.end || happened.packet.json?.type === "error", patience);
  user.connection.send(payload);
  const happened = await coming;
  const took = performance.now() - began;
  if (!happened) return result(silence, expected, `nothing within ${patience / 1000} s`, took);
  const text = happened.packet?.json?.data?.msg;
  const came = happened.end ? `the end of the connection ${happened.end}` : text === undefined ? happened.packet.text : describe(happened.packet.json);
  if (isRight(happened)) return result("pass", expected, came, took);
  return result(!only && !happened.end ? "other" : "fail", expected, came, took);
}

function describe(packet) {
  const text = packet.data.msg;
  if (packet.type === "error") return `error ${explained(text)}`;
  return packet.type === "user" ? `user \`${text}\`` : `${packet.type} with the text \`${String(text).slice(0, 80)}\``;
}

const packet = (type, user_name, room_name, msg) => ({ type, data: { user_name, room_name, msg } });

const isAbout = (happened, type, user, msgs) => {
  const { type: came, data } = happened.packet?.json ?? {};
  return came === type && data?.user_name === user.name && data?.room_name === user.room && msgs.includes(data?.msg);
};

const isError = (happened, texts) => happened.packet?.json?.type === "error" && (!texts || texts.includes(happened.packet.json.data?.msg));

const enters = (user, msgs) => {
  const expected = msgs.map((msg) => `user \`${msg}\``).join(" or ");
  return sends(user, JSON.stringify(packet("join", user.name, user.room, "")), expected, (came) => isAbout(came, "user", user, msgs));
};

const leaves = (user) =>
  sends(user, JSON.stringify(packet("leave", user.name, user.room, "")), "user `leave`", (came) => isAbout(came, "user", user, ["leave"]));

const creates = (user) => answers(user, "/chatroom/create", { room_name: user.room }, "chatroom create successfully");
const asksToEnter = (user) => answers(user, "/chatroom/room", { room_name: user.room, user_name: user.name, status: "1" }, "join chatroom");
const asksToLeave = (user) => answers(user, "/chatroom/room", { room_name: user.room, user_name: user.name, status: "0" }, "leave chatroom");

const says = (user) => {
  const said = user.text;
  const isEcho = (came) => isAbout(came, "msg", user, [said]);
  return sends(user, JSON.stringify(packet("msg", user.name, user.room, said)), "the same msg, to the sender too", isEcho);
};

/** Plays steps until one goes another way. */
const flow = (...steps) => async (user) => {
  let last;
  for (const step of steps) {
    last = await step(user);
    if (last.state !== "pass") return last;
  }
  return last;
};

/** What the document shows: the requests, the packets, and the flows that they make. */
export const DOCUMENTED = [
  { group: "HTTP", name: "create", says: "chatroom/create", play: creates },
  { group: "HTTP", name: "join", says: "chatroom/room, status 1", play: asksToEnter },
  { group: "HTTP", name: "leave", says: "chatroom/room, status 0", play: asksToLeave },
  { group: "WebSocket", name: "join", says: "a packet of type join", play: (user) => enters(user, ["create", "join"]) },
  { group: "WebSocket", name: "msg", says: "a packet of type msg with the text above", play: says },
  { group: "WebSocket", name: "leave", says: "a packet of type leave", play: leaves },
  { group: "Flows", name: "Create and enter", says: "create, then the join packet, which gets `create`", play: flow(creates, (user) => enters(user, ["create"])) },
  { group: "Flows", name: "Enter", says: "status 1, then the join packet, which gets `join`", play: flow(asksToEnter, (user) => enters(user, ["join"])) },
  { group: "Flows", name: "Leave", says: "the leave packet, then status 0", play: flow(leaves, asksToLeave) },
];

/** A faulty packet, made from a right one, that the document answers by one of these errors. */
const mistake = (id, name, says, change, texts = [name]) => ({
  id, name, says,
  play: (user) => {
    const right = packet("msg", user.name, user.room, user.text || "hello");
    const expected = `error ${texts.map((text) => `\`${text}\``).join(" or ")}`;
    return sends(user, JSON.stringify(change(right)), expected, (came) => isError(came, texts), { only: true });
  },
});

const without = (right, field) => {
  const { [field]: _, ...data } = right.data;
  return { ...right, data };
};
const withField = (right, field, value) => ({ ...right, data: { ...right.data, [field]: value } });

const PACKETS = [
  mistake("ERR-1", "invalid message", "no type", ({ data }) => ({ data })),
  mistake("ERR-2", "invalid message", "no data", ({ type }) => ({ type })),
  mistake("ERR-3", "invalid message", "an empty object", () => ({})),
  mistake("ERR-4", "invalid data", "no user_name", (right) => without(right, "user_name")),
  mistake("ERR-5", "invalid data", "no room_name", (right) => without(right, "room_name")),
  mistake("ERR-6", "invalid data", "no msg", (right) => without(right, "msg")),
  mistake("ERR-8", "illegal data", "user_name is empty", (right) => withField(right, "user_name", "")),
  mistake("ERR-9", "illegal data", "room_name is empty", (right) => withField(right, "room_name", "")),
  mistake("ERR-10", "null message", "msg is empty", (right) => withField(right, "msg", "")),
  mistake("ERR-11", "invalid message / data", "data is null", (right) => ({ ...right, data: null }), ["invalid message", "invalid data"]),
  mistake("ERR-11", "invalid message / data", "data is {}", (right) => ({ ...right, data: {} }), ["invalid message", "invalid data"]),
];

/** Makes sure of the user's room, whether or not it is there already. */
const withRoom = async (user) => user.ask("/chatroom/create", { room_name: user.room });

const room = (user, parameters) => ({ room_name: user.room, user_name: user.name, status: "1", ...parameters });

/** Most guests that are let into a room only to see it full. */
const MOST_GUESTS = 200;

async function fills(user) {
  const expected = "res `full room`";
  if (settings.capacity > MOST_GUESTS) return result("other", expected, `not tried: a room has ${settings.capacity} places here`, 0);
  const full = "a full room";
  await user.ask("/chatroom/create", { room_name: full });
  for (let guest = 0; guest <= settings.capacity; guest += 1) {
    const last = await answers(user, "/chatroom/room", { room_name: full, user_name: fresh("guest"), status: "1" }, "full room", true);
    if (last.came !== explained("join chatroom")) return last;
  }
  return result("fail", expected, `\`join chatroom\` for more than ${settings.capacity} users`, 0);
}

const REQUESTS = [
  { id: "CREATE-2", name: "chatroom already exist", says: "the same room is created again", play: async (user) => {
    await withRoom(user);
    return answers(user, "/chatroom/create", { room_name: user.room }, "chatroom already exist", true);
  } },
  { id: "ROOM-3", name: "invalid room", says: "a room that nobody has created", play: (user) => answers(user, "/chatroom/room", room(user, { room_name: fresh("nowhere") }), "invalid room", true) },
  { id: "ROOM-4", name: "invalid status", says: "status 2", play: async (user) => {
    await withRoom(user);
    return answers(user, "/chatroom/room", room(user, { status: "2" }), "invalid status", true);
  } },
  { id: "ROOM-5", name: "user not exist", says: "somebody leaves who isn't there", play: async (user) => {
    await withRoom(user);
    return answers(user, "/chatroom/room", room(user, { user_name: fresh("nobody"), status: "0" }), "user not exist", true);
  } },
  { id: "ROOM-6", name: "full room", says: "guests enter a room of its own until it is full", play: fills },
  { id: "CREATE-4", name: "missing room_name", says: "chatroom/create", play: (user) => isRefused(user, "/chatroom/create", {}) },
  ...["room_name", "user_name", "status"].flatMap((field) => [
    { id: "ROOM-7", name: `missing ${field}`, says: "chatroom/room", play: async (user) => (await withRoom(user), isRefused(user, "/chatroom/room", room(user, { [field]: undefined }))) },
    { id: "ROOM-7", name: `empty ${field}`, says: "chatroom/room", play: async (user) => (await withRoom(user), isRefused(user, "/chatroom/room", room(user, { [field]: "" }))) },
  ]),
];

/** A payload that no server should fall over, though the document is silent on it. */
const odd = (id, name, says, payload, { silence = "fail", expected = "an error, or an orderly close" } = {}) => ({
  id, name, says,
  play: (user) => {
    const isRight = (came) => isError(came) || (silence === "fail" && came.isOrderly === true);
    const patience = silence === "pass" ? PATIENCE / 4 : PATIENCE;
    return sends(user, payload(user), expected, isRight, { only: true, silence, patience });
  },
});
const text = (value) => () => (typeof value === "string" ? value : JSON.stringify(value));

const ODD = [
  odd("ROB-1", "malformed JSON", '{"type":"msg",', text('{"type":"msg",')),
  odd("ROB-1", "no JSON", "hello", text("hello")),
  odd("ROB-2", "no object", "an array", text([1, 2, 3])),
  odd("ROB-3", "wrong types", "user_name is 1", (user) => JSON.stringify(packet("msg", 1, user.room, "hello"))),
  odd("ROB-4", "unknown type", "type is shout", (user) => JSON.stringify(packet("shout", user.name, user.room, "hello"))),
  odd("ROB-5", "binary frame", "four bytes", () => new Uint8Array([0, 1, 2, 255])),
  odd("PKT-4", "user from a client", "reaches nobody", (user) => JSON.stringify(packet("user", user.name, user.room, "join")), { silence: "pass", expected: "an error or silence, and nothing for anybody else" }),
  odd("MSG-7", "msg to no room", "a room that nobody has created", (user) => JSON.stringify(packet("msg", user.name, fresh("nowhere"), "hello")), { silence: "pass", expected: "an error or silence" }),
  odd("R-MISSING-ROOM", "join to no room", "a room that nobody has created", (user) => JSON.stringify(packet("join", user.name, fresh("nowhere"), "")), { silence: "pass", expected: "an error or silence (or the room comes into being)" }),
];

/** What the document answers by an error, and what it is silent on. */
export const MISTAKES = [
  { title: "Errors of packets", exercises: PACKETS },
  { title: "Errors of requests", exercises: REQUESTS },
  { title: "Where the document is silent", exercises: ODD },
];
