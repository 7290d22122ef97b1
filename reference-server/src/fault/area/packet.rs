//! Faults of the packets' form, and of relaying what only the server or only a client may send.

use crate::deviation::Site;
use crate::deviation::look::{edit, edit_for, field, is_error, is_msg, is_user, json, replace, send};
use crate::deviation::{after, before};
use crate::event::{Delivery, Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::room::ConnectionId;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// How long a packet waits for others.
const QUICK: Duration = Duration::from_millis(10);

/// What can't hold where no `user` packet is one.
const ENTRIES: &[&str] = &["JOIN-1", "JOIN-2", "FLOW-CREATE", "FLOW-JOIN", "FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "FLOW-LIFE"];

/// What can't hold where no packet is one.
const ALL_PACKETS: &[&str] = &[
    "JOIN-1",
    "JOIN-2",
    "FLOW-CREATE",
    "FLOW-JOIN",
    "FLOW-LEAVE",
    "FLOW-LEAVE-CREATOR",
    "FLOW-LIFE",
    "ERR-1",
    "ERR-2",
    "ERR-3",
    "ERR-4",
    "ERR-5",
    "ERR-6",
    "ERR-7",
    "ERR-8",
    "ERR-9",
    "ERR-10",
    "ERR-11",
    "READ-1",
];

pub const SPECS: &[Spec] = &[
    spec("data-null", "PKT-1", &["PKT-2", "JOIN-3", "LEAVE-2"], "in the `user` packets for the other members data is null", || {
        after(|_, event, outcome| {
            edit_for(
                outcome,
                |to| Some(to) != event.connection(),
                |packet| {
                    let found = packet["type"] == "user";
                    if found {
                        packet["data"] = Value::Null;
                    }
                    found
                },
            )
        })
    }),
    spec("type-missing", "PKT-1", ENTRIES, "`user` packets have no type", || {
        after(|_, _, outcome| {
            edit(outcome, |packet| packet["type"] == "user" && packet.as_object_mut().is_some_and(|packet| packet.remove("type").is_some()))
        })
    }),
    spec(
        "quick-packets-in-a-frame",
        "PKT-1",
        &["MSG-2", "MSG-5", "LIFE-2"],
        "the packets for a connection within 10 ms are one message, each on a line",
        || {
            let waiting: Mutex<HashMap<ConnectionId, Waiting>> = Mutex::default();
            after(move |site, _, outcome| {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let mut joined = false;
                for Delivery { to, message } in outcome.deliveries.drain(..) {
                    for connection in to {
                        joined |= join_waiting(site, waiting.entry(connection).or_default(), connection, &message);
                    }
                }
                joined
            })
        },
    ),
    spec("binary-packets", "PKT-1", ALL_PACKETS, "packets are binary messages", || {
        after(|_, _, outcome| replace(outcome, |packet| Some(Message::binary(packet.to_string().into_bytes()))))
    }),
    spec(
        "binary-errors",
        "PKT-1",
        &["ERR-1", "ERR-2", "ERR-3", "ERR-4", "ERR-5", "ERR-6", "ERR-7", "ERR-8", "ERR-9", "ERR-10", "ERR-11", "READ-1"],
        "`error` packets are binary messages",
        || after(|_, _, outcome| replace(outcome, |packet| is_error(packet).then(|| Message::binary(packet.to_string().into_bytes())))),
    ),
    spec("greeting", "PKT-1", &[], "the first answer on a connection comes after a greeting that isn't JSON", || {
        let greeted = Mutex::new(std::collections::HashSet::new());
        after(move |_, event, outcome| {
            let mut greeted = greeted.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(from) = event.connection().filter(|from| greeted.insert(*from)) else { return false };
            let message = Message::text("welcome");
            outcome.deliveries.insert(0, Delivery { to: vec![from], message });
            true
        })
    }),
    spec("user-name-missing", "PKT-2", &["JOIN-3", "LEAVE-2"], "`user` packets for the other members lack user_name", || {
        after(|_, event, outcome| {
            edit_for(outcome, |to| Some(to) != event.connection(), |packet| packet["type"] == "user" && remove(packet, "user_name"))
        })
    }),
    spec("room-name-missing", "PKT-2", &["MSG-1", "MSG-2"], "`msg` packets lack room_name", || {
        after(|_, _, outcome| edit(outcome, |packet| is_msg(packet) && remove(packet, "room_name")))
    }),
    spec("user-name-empty", "PKT-2", &["MSG-1", "MSG-2"], "in `msg` packets user_name is empty", || {
        after(|_, _, outcome| {
            edit(outcome, |packet| {
                if is_msg(packet) {
                    packet["data"]["user_name"] = json!("");
                }
                is_msg(packet)
            })
        })
    }),
    spec("text-as-number", "PKT-2", &["MSG-4"], "a text that looks like a number is sent on as one", || {
        after(|_, _, outcome| {
            edit(outcome, |packet| {
                let number = field(packet, "msg").parse::<i64>().ok().filter(|_| is_msg(packet));
                if let Some(number) = number {
                    packet["data"]["msg"] = json!(number);
                }
                number.is_some()
            })
        })
    }),
    spec(
        "error-as-code",
        "PKT-2",
        &["ERR-1", "ERR-2", "ERR-3", "ERR-4", "ERR-5", "ERR-6", "ERR-7", "ERR-8", "ERR-9", "ERR-10", "ERR-11", "READ-1"],
        "in `error` packets msg is a number",
        || {
            after(|_, _, outcome| {
                edit(outcome, |packet| {
                    if is_error(packet) {
                        packet["data"]["msg"] = json!(400);
                    }
                    is_error(packet)
                })
            })
        },
    ),
    spec("join-sent-on", "PKT-3", &["JOIN-3"], "the members get a packet of type `join` when somebody joins", || {
        after(|_, event, outcome| retype(outcome, event, "join"))
    }),
    spec("leave-sent-on", "PKT-3", &["LEAVE-2"], "the members get a packet of type `leave` when somebody leaves", || {
        after(|_, event, outcome| retype(outcome, event, "leave"))
    }),
    spec(
        "leave-answered-as-leave",
        "PKT-3",
        &["LEAVE-1", "FLOW-LEAVE", "FLOW-LIFE", "FLOW-LEAVE-CREATOR", "LEAVE-2"],
        "a leave is answered by a packet of type `leave`",
        || {
            after(|_, _, outcome| {
                edit(outcome, |packet| {
                    let found = is_user(packet, "leave");
                    if found {
                        packet["type"] = json!("leave");
                    }
                    found
                })
            })
        },
    ),
    spec("user-relayed", "PKT-4", &[], "a client's `user` packet is sent on to the room", || {
        before(|site, event| relay(site, event, |kind| kind == "user"))
    }),
    spec("user-relayed-for-members", "PKT-4", &[], "a complete `user` packet of a member is sent on to its room", || {
        before(|site, event| {
            let (from, packet) = json(event).filter(|(_, packet)| packet["type"] == "user")?;
            let is_complete = ["user_name", "room_name", "msg"].iter().all(|field| packet["data"][field].is_string());
            let room = site.state.room(field(&packet, "room_name")).filter(|_| is_complete)?;
            (!room.names_of(from).is_empty()).then(|| send(room.listeners(), &packet))
        })
    }),
    spec("error-relayed", "PKT-5", &[], "a client's `error` packet is sent on to the room", || {
        before(|site, event| relay(site, event, |kind| kind == "error"))
    }),
    spec("error-echoed", "PKT-5", &[], "a client's `error` packet is sent back to it", || {
        before(|_, event| {
            let (from, packet) = json(event)?;
            (packet["type"] == "error").then(|| send(vec![from], &packet))
        })
    }),
    spec("unknown-type-relayed", "ROB-4", &[], "a packet of an unknown type is sent on to the room", || {
        before(|site, event| relay(site, event, |kind| !matches!(kind, "user" | "error" | "join" | "leave" | "msg")))
    }),
];

/// The message that waits for one connection, if there is one.
type Waiting = Arc<Mutex<Vec<Delivery>>>;

/// Appends the message to the one that waits, or lets it wait itself.
fn join_waiting(site: &Site<'_>, waiting: &Waiting, connection: ConnectionId, message: &Message) -> bool {
    let mut deliveries = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(first) = deliveries.first_mut() {
        first.message = Message::text(format!("{}\n{message}", first.message));
        return true;
    }
    deliveries.push(Delivery { to: vec![connection], message: message.clone() });
    site.deliver_unless_taken(QUICK, waiting);
    false
}

fn remove(packet: &mut Value, field: &str) -> bool {
    packet["data"].as_object_mut().is_some_and(|data| data.remove(field).is_some())
}

/// Gives the `user` packets of that activity its type, for all but who caused it.
fn retype(outcome: &mut Outcome, event: &Event<'_>, activity: &str) -> bool {
    edit_for(
        outcome,
        |to| Some(to) != event.connection(),
        |packet| {
            let found = is_user(packet, activity);
            if found {
                packet["type"] = json!(activity);
            }
            found
        },
    )
}

/// Sends a client's packet on to all members of the room that it names.
fn relay(site: &Site<'_>, event: &Event<'_>, is_relayed: fn(&str) -> bool) -> Option<Outcome> {
    let (_, packet) = json(event)?;
    let kind = packet["type"].as_str().filter(|kind| is_relayed(kind))?;
    let room = site.state.room(field(&packet, "room_name")).filter(|_| !kind.is_empty())?;
    Some(Outcome::from(vec![Delivery { to: room.listeners(), message: Message::text(packet.to_string()) }]))
}
