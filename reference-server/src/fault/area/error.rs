//! Faults of the documented errors on the WebSocket.

use crate::deviation::Site;
use crate::deviation::look::{carried, cut, edit, error, field, is_error, json, silence};
use crate::deviation::{Deviation, after, before};
use crate::event::{Delivery, Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::packet::Activity;
use crate::room::ConnectionId;
use crate::{packet as packets, request};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub const SPECS: &[Spec] = &[
    spec("no-type-is-invalid-data", "ERR-1", &[], "a packet without type is `invalid data`", || reply(no_type, Some("invalid data"))),
    spec("no-type-ignored", "ERR-1", &[], "a packet without type is ignored", || reply(no_type, None)),
    spec("no-data-is-invalid-data", "ERR-2", &[], "a packet without data is `invalid data`", || reply(no_data, Some("invalid data"))),
    spec("no-data-ignored", "ERR-2", &[], "a packet without data is ignored", || reply(no_data, None)),
    spec("no-data-ignored-for-leave", "ERR-2", &[], "a leave without data is ignored", || {
        reply(|packet| no_data(packet) && is(packet, "leave"), None)
    }),
    spec("empty-packet-is-null-message", "ERR-3", &[], "`{}` is a `null message`", || reply(empty, Some("null message"))),
    spec("empty-packet-ignored", "ERR-3", &[], "`{}` is ignored", || reply(empty, None)),
    spec("no-user-is-illegal-data", "ERR-4", &[], "data without user_name is `illegal data`", || {
        reply(|packet| lacks(packet, "user_name"), Some("illegal data"))
    }),
    spec("no-user-is-invalid-message-for-msg", "ERR-4", &[], "a msg without user_name is an `invalid message`", || {
        reply(|packet| lacks(packet, "user_name") && is(packet, "msg"), Some("invalid message"))
    }),
    spec("no-user-is-illegal-data-for-leave", "ERR-4", &[], "a leave without user_name is `illegal data`", || {
        reply(
            |packet| {
                let data = packet["data"].as_object().filter(|_| is(packet, "leave"));
                data.is_some_and(|data| !data.is_empty() && !data.contains_key("user_name"))
            },
            Some("illegal data"),
        )
    }),
    spec("no-room-is-illegal-data", "ERR-5", &[], "data without room_name is `illegal data`", || {
        reply(|packet| lacks(packet, "room_name"), Some("illegal data"))
    }),
    spec("no-room-ignored-for-join", "ERR-5", &[], "a join without room_name is ignored", || {
        reply(|packet| lacks(packet, "room_name") && is(packet, "join"), None)
    }),
    spec("no-room-is-invalid-room-for-msg", "ERR-5", &[], "a msg without room_name is an `invalid room`", || {
        reply(|packet| lacks(packet, "room_name") && is(packet, "msg"), Some(request::INVALID_ROOM))
    }),
    spec("no-room-is-own-room-for-msg", "ERR-5", &[], "a msg without room_name is for the only room that its connection is in", || {
        before(|site, event| {
            let (from, mut packet) = json(event).filter(|(_, packet)| is(packet, "msg") && lacks(packet, "room_name"))?;
            let rooms: Vec<_> = site.state.rooms_of(from).collect();
            let [room] = rooms[..] else { return None };
            packet["data"]["room_name"] = room.into();
            Some(site.state.handle(&Event::Text(from, &packet.to_string())))
        })
    }),
    spec("no-msg-is-null-message", "ERR-6", &[], "a msg without its text is a `null message`", || {
        reply(|packet| lacks(packet, "msg") && is(packet, "msg"), Some("null message"))
    }),
    spec("no-msg-ignored", "ERR-6", &[], "a msg without its text is ignored", || {
        reply(|packet| lacks(packet, "msg") && is(packet, "msg"), None)
    }),
    spec("empty-user-ignored-for-msg", "ERR-8", &[], "a msg with an empty user_name is ignored", || {
        reply(|packet| blank(packet, "user_name") && is(packet, "msg"), None)
    }),
    spec("empty-user-not-exist-for-leave", "ERR-8", &[], "a leave with an empty user_name is `user not exist`", || {
        reply(|packet| blank(packet, "user_name") && is(packet, "leave"), Some(request::USER_NOT_EXIST))
    }),
    spec("empty-user-enters", "ERR-8", &["JOIN-4"], "a join with an empty user_name is answered by `join`", || {
        before(|_, event| {
            let (from, packet) = json(event)?;
            let room = packet["data"]["room_name"].as_str().filter(|room| !room.is_empty())?;
            (blank(&packet, "user_name") && is(&packet, "join"))
                .then(|| Outcome::from(vec![Delivery { to: vec![from], message: packets::user("", room, Activity::Join) }]))
        })
    }),
    spec("empty-room-is-invalid-data", "ERR-9", &[], "an empty room_name is `invalid data`", || {
        reply(|packet| blank(packet, "room_name"), Some("invalid data"))
    }),
    spec("empty-room-ignored-for-join", "ERR-9", &[], "a join with an empty room_name is ignored", || {
        reply(|packet| blank(packet, "room_name") && is(packet, "join"), None)
    }),
    spec("empty-room-invalid-room-for-leave", "ERR-9", &[], "a leave with an empty room_name is `invalid room`", || {
        reply(|packet| blank(packet, "room_name") && is(packet, "leave"), Some(request::INVALID_ROOM))
    }),
    spec("illegal-data-misspelt", "ERR-8", &["ERR-9"], "the text for an empty name is `illegel data`", || {
        after(|_, _, outcome| {
            edit(outcome, |packet| {
                let found = is_error(packet) && packet["data"]["msg"] == "illegal data";
                if found {
                    packet["data"]["msg"] = "illegel data".into();
                }
                found
            })
        })
    }),
    spec("empty-msg-delivered", "ERR-10", &[], "an empty text is sent to the room", || {
        before(|site, event| {
            let (from, packet) = json(event).filter(|(_, packet)| blank(packet, "msg") && is(packet, "msg"))?;
            let (user, room_name) = (packet["data"]["user_name"].as_str()?, packet["data"]["room_name"].as_str()?);
            let room = site.state.room(room_name).filter(|room| room.is_member(from, user))?;
            Some(Outcome::from(vec![Delivery { to: room.listeners(), message: packets::msg(user, room_name, "") }]))
        })
    }),
    spec("empty-msg-sent-on-too", "ERR-10", &[], "an empty text is answered by the error and still sent to the other members", || {
        after(|site, event, outcome| {
            let Some((from, packet)) = json(event).filter(|(_, packet)| only_msg_blank(packet)) else { return false };
            let (user, room_name) = (field(&packet, "user_name"), field(&packet, "room_name"));
            let Some(room) = site.state.room(room_name).filter(|room| room.is_member(from, user)) else { return false };
            let to: Vec<_> = room.listeners().into_iter().filter(|other| *other != from).collect();
            let told = !to.is_empty();
            outcome.deliveries.push(Delivery { to, message: packets::msg(user, room_name, "") });
            told
        })
    }),
    spec("empty-msg-is-invalid-data", "ERR-10", &[], "an empty text is `invalid data`", || reply(only_msg_blank, Some("invalid data"))),
    spec("empty-msg-ignored", "ERR-10", &[], "an empty text is ignored", || reply(only_msg_blank, None)),
    spec("null-data-cuts", "ERR-11", &["ERR-13"], "null as data ends the connection", || {
        before(|site, event| {
            let (from, packet) = json(event)?;
            packet.get("data").is_some_and(Value::is_null).then(|| cut(site, from)).flatten()
        })
    }),
    spec("bare-data-ignored", "ERR-11", &[], "`{}` as data is ignored", || {
        reply(|packet| packet["data"].as_object().is_some_and(serde_json::Map::is_empty), None)
    }),
    spec("error-to-the-room", "ERR-12", &[], "an error goes to everybody in the culprit's rooms", || {
        after(|site, event, outcome| {
            let Some(culprit) = event.connection() else { return false };
            let rooms: Vec<_> = site.state.rooms_of(culprit).filter_map(|room| site.state.room(room)).collect();
            let mates: Vec<_> = rooms.iter().flat_map(|room| room.listeners()).collect();
            widen_errors(outcome, &mates)
        })
    }),
    spec("error-to-everybody", "ERR-12", &[], "an error goes to every connection", || {
        after(|site, _, outcome| {
            let everybody: Vec<_> = site.outboxes.keys().copied().collect();
            widen_errors(outcome, &everybody)
        })
    }),
    spec("null-message-to-the-room", "ERR-12", &[], "the `null message` for a member goes to everybody in the room", || {
        after(|site, event, outcome| {
            let Some((from, packet)) = json(event).filter(|(_, packet)| only_msg_blank(packet)) else { return false };
            let room = site.state.room(field(&packet, "room_name")).filter(|room| !room.names_of(from).is_empty());
            room.is_some_and(|room| widen_errors(outcome, &room.listeners()))
        })
    }),
    spec("error-cuts", "ERR-13", &["MSG-7"], "after an error packet the connection ends", || {
        after(|site, event, outcome| {
            let culprit = event.connection().filter(|_| outcome.deliveries.iter().any(|sent| is_error(&carried(sent))));
            let Some(culprit) = culprit else { return false };
            site.cut_after_last_words(culprit);
            true
        })
    }),
    spec("fifth-error-closes", "ERR-13", &[], "after five errors the connection is closed", || {
        at_error(5, |site, culprit| site.refuse_after_last_words(culprit))
    }),
    spec("error-ends-membership", "ERR-13", &["ROOM-9", "MSG-7"], "who causes an error is out of its rooms", || {
        after(|site, event, outcome| {
            let culprit = event.connection().filter(|_| outcome.deliveries.iter().any(|sent| is_error(&carried(sent))));
            let Some(culprit) = culprit else { return false };
            let was_member = site.state.rooms_of(culprit).next().is_some();
            site.state.gone(culprit);
            was_member
        })
    }),
    spec("two-errors-ignored", "ERR-14", &[], "a packet with an empty name and an empty text is ignored", || {
        reply(|packet| is(packet, "msg") && blank(packet, "msg") && blank(packet, "user_name"), None)
    }),
    spec("two-errors-is-invalid-message", "ERR-14", &[], "a packet with an empty name and an empty text is an `invalid message`", || {
        reply(|packet| is(packet, "msg") && blank(packet, "msg") && blank(packet, "user_name"), Some("invalid message"))
    }),
    spec(
        "two-errors-answered-twice",
        "ERR-14",
        &["ERR-12"],
        "a packet with an empty name and an empty text is answered by both errors",
        || {
            after(|_, event, outcome| {
                let Some((from, packet)) = json(event) else { return false };
                let has_both = is(&packet, "msg") && blank(&packet, "msg") && blank(&packet, "user_name");
                let second = has_both.then(|| error(from, "null message")).flatten();
                outcome.deliveries.extend(second.into_iter().flat_map(|second| second.deliveries));
                has_both
            })
        },
    ),
];

fn is(packet: &Value, kind: &str) -> bool {
    packet["type"] == kind
}

fn no_type(packet: &Value) -> bool {
    packet.is_object() && packet.get("type").is_none() && packet.get("data").is_some()
}

fn no_data(packet: &Value) -> bool {
    packet.get("type").is_some() && packet.get("data").is_none()
}

fn empty(packet: &Value) -> bool {
    packet.as_object().is_some_and(serde_json::Map::is_empty)
}

fn is_known(packet: &Value) -> bool {
    is(packet, "join") || is(packet, "leave") || is(packet, "msg")
}

/// This field is the only one that `data` lacks.
fn lacks(packet: &Value, missing: &str) -> bool {
    let Some(data) = packet["data"].as_object().filter(|_| is_known(packet)) else { return false };
    let needed = ["user_name", "room_name"].into_iter().chain(is(packet, "msg").then_some("msg"));
    !data.contains_key(missing) && needed.filter(|field| *field != missing).all(|field| data.contains_key(field))
}

fn blank(packet: &Value, field: &str) -> bool {
    is_known(packet) && packet["data"][field] == ""
}

fn only_msg_blank(packet: &Value) -> bool {
    let named = |field: &str| packet["data"][field].as_str().is_some_and(|name| !name.is_empty());
    is(packet, "msg") && blank(packet, "msg") && named("user_name") && named("room_name")
}

/// Answers some packets by an error of this text, or not at all.
fn reply(to: fn(&Value) -> bool, text: Option<&'static str>) -> Arc<dyn Deviation> {
    before(move |_, event: &Event<'_>| {
        let (from, _) = json(event).filter(|(_, packet)| to(packet))?;
        text.map_or_else(silence, |text| error(from, text))
    })
}

/// Ends a connection at one of its errors, counted from 1.
fn at_error(last: usize, end: fn(&Site<'_>, ConnectionId)) -> Arc<dyn Deviation> {
    let errors: Mutex<HashMap<ConnectionId, usize>> = Mutex::default();
    after(move |site, event, outcome| {
        let culprit = event.connection().filter(|_| outcome.deliveries.iter().any(|sent| is_error(&carried(sent))));
        let Some(culprit) = culprit else { return false };
        let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
        let count = errors.entry(culprit).or_default();
        *count += 1;
        if *count == last {
            end(site, culprit);
        }
        *count == last
    })
}

fn widen_errors(outcome: &mut Outcome, to: &[ConnectionId]) -> bool {
    let mut widened = false;
    for delivery in outcome.deliveries.iter_mut().filter(|delivery| is_error(&carried(delivery))) {
        let mut more: Vec<_> = to.iter().copied().filter(|connection| !delivery.to.contains(connection)).collect();
        more.sort_unstable();
        more.dedup();
        widened |= !more.is_empty();
        delivery.to.extend(more);
    }
    widened
}
