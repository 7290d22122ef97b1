//! Faults of the WebSocket `join`.

use crate::deviation::look::{
    LATE, answered, carried, delay, edit, edit_for, entered, error, field, is_error, is_later_other, is_msg, is_user, json, packet, repeat,
    says, send, sent, withhold,
};
use crate::deviation::{after, before};
use crate::event::Event;
use crate::fault::registry::{Spec, spec};
use crate::packet::Kind;
use crate::request::{CREATED, LEFT, Request};
use crate::room::ConnectionId;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

pub const SPECS: &[Spec] = &[
    spec("creator-gets-join", "JOIN-1", &["FLOW-CREATE", "FLOW-LIFE"], "the creator's join is answered by `join`", || {
        after(|_, _, outcome| edit(outcome, |packet| is_user(packet, "create") && set(packet, "msg", "join")))
    }),
    spec("creator-unanswered", "JOIN-1", &["FLOW-CREATE", "FLOW-LIFE"], "the creator's join is not answered", || {
        after(|_, event, outcome| withhold(outcome, |packet| is_user(packet, "create"), |to, _| Some(to) == event.connection()))
    }),
    spec(
        "newest-room-alone-gives-create",
        "JOIN-1",
        &["FLOW-CREATE", "FLOW-LIFE"],
        "only the room created last can answer by `create`",
        || {
            let newest = Mutex::new(None);
            after(move |site, event, outcome| {
                let Event::Request(Request::Create { room_name }) = event else { return false };
                if !says(outcome, CREATED) {
                    return false;
                }
                let before = newest.lock().unwrap_or_else(PoisonError::into_inner).replace(room_name.clone());
                let before = before.and_then(|before| site.state.room_mut(&before));
                before.is_some_and(|room| std::mem::replace(&mut room.create_pending, false))
            })
        },
    ),
    spec("creator-refused", "FLOW-CREATE", &["JOIN-1", "FLOW-LIFE"], "the creator can't enter without an HTTP join", || {
        before(|site, event| {
            let (from, packet) = packet(site, event, Kind::Join)?;
            let room = site.state.room(&packet.room_name)?;
            let creates = room.create_pending && !room.has_place(&packet.user_name);
            creates.then(|| error(from, "user not exist")).flatten()
        })
    }),
    spec("faulty-join-uses-up-create", "JOIN-1", &[], "after a faulty join that names the room its creator gets `join`", || {
        after(|site, event, outcome| {
            let Some((_, packet)) = json(event).filter(|(_, packet)| packet["type"] == "join") else { return false };
            if !outcome.deliveries.iter().any(|sent| is_error(&carried(sent))) {
                return false;
            }
            let Some(room) = site.state.room_mut(field(&packet, "room_name")) else { return false };
            std::mem::replace(&mut room.create_pending, false)
        })
    }),
    spec("joiner-gets-create", "JOIN-2", &["FLOW-JOIN", "FLOW-LIFE", "CREATE-3"], "everybody's join is answered by `create`", || {
        after(|_, _, outcome| edit(outcome, |packet| is_user(packet, "join") && set(packet, "msg", "create")))
    }),
    spec("creator-elsewhere-gets-create", "JOIN-2", &[], "who has created a room gets `create` in every other room too", || {
        let creators: Mutex<HashMap<ConnectionId, String>> = Mutex::default();
        after(move |_, event, outcome| {
            let mut creators = creators.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(from) = event.connection() else { return false };
            if let Some(created) = sent(outcome, |packet| is_user(packet, "create")).next() {
                creators.insert(from, field(&created, "room_name").to_owned());
            }
            let Some(created) = creators.get(&from) else { return false };
            let is_elsewhere = |packet: &Value| is_user(packet, "join") && field(packet, "room_name") != created;
            edit_for(outcome, |to| to == from, |packet| is_elsewhere(packet) && set(packet, "msg", "create"))
        })
    }),
    spec("joiner-unanswered", "JOIN-2", &["FLOW-JOIN", "FLOW-LIFE"], "a joiner is not answered; the others are told", || {
        after(|_, event, outcome| withhold(outcome, |packet| is_user(packet, "join"), |to, _| Some(to) == event.connection()))
    }),
    spec("joiner-gets-own-msg", "JOIN-2", &["FLOW-JOIN", "FLOW-LIFE"], "the answer to a joiner carries the `msg` that it sent", || {
        after(|_, event, outcome| {
            let is_joiner = |to| Some(to) == event.connection();
            edit_for(outcome, is_joiner, |packet| is_user(packet, "join") && set(packet, "msg", ""))
        })
    }),
    spec(
        "joiner-refused-in-full-room",
        "JOIN-2",
        &["FLOW-JOIN"],
        "the last user to get a place by HTTP can't enter: the room is full",
        || {
            before(|site, event| {
                let (from, packet) = packet(site, event, Kind::Join)?;
                let room = site.state.room(&packet.room_name)?;
                let refused = room.taken() >= site.state.capacity
                    && room.entered_by_http(&packet.user_name)
                    && !room.is_member(from, &packet.user_name);
                refused.then(|| error(from, "full room")).flatten()
            })
        },
    ),
    spec(
        "joiner-refused-after-http",
        "FLOW-JOIN",
        &["JOIN-2", "FLOW-LIFE"],
        "a user who joined by HTTP can't join by WebSocket any more",
        || {
            before(|site, event| {
                let (from, packet) = packet(site, event, Kind::Join)?;
                let room = site.state.room(&packet.room_name)?;
                room.entered_by_http(&packet.user_name).then(|| error(from, "user already exist")).flatten()
            })
        },
    ),
    spec(
        "third-member-not-told-of-join",
        "JOIN-3",
        &["FLOW-LIFE"],
        "only one of the members who are in the room is told of a join",
        || {
            after(|_, event, outcome| {
                withhold(outcome, |packet| is_user(packet, "join"), |to, told| is_later_other(to, told, event.connection()))
            })
        },
    ),
    spec(
        "newest-member-alone-told-of-join",
        "JOIN-3",
        &["FLOW-LIFE"],
        "of the members only the one that entered last is told of a join",
        || {
            let members: Mutex<HashMap<String, Vec<ConnectionId>>> = Mutex::default();
            after(move |_, event, outcome| {
                let Some((from, room, _)) = entered(event, outcome) else { return false };
                let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
                let members = members.entry(room).or_default();
                members.retain(|member| *member != from);
                let is_newest = |to, told: &[ConnectionId]| members.iter().rfind(|member| told.contains(member)) == Some(&to);
                let withheld = withhold(outcome, |packet| is_user(packet, "join"), |to, told| to != from && !is_newest(to, told));
                members.push(from);
                withheld
            })
        },
    ),
    spec("members-told-wrong-room", "JOIN-3", &["FLOW-LIFE"], "the members are told of a join with the wrong room", || {
        after(|_, event, outcome| {
            let is_other = |to| Some(to) != event.connection();
            edit_for(outcome, is_other, |packet| is_user(packet, "join") && set(packet, "room_name", "lobby"))
        })
    }),
    spec("members-told-late-of-join", "JOIN-3", &["FLOW-LIFE", "READ-1"], "the members are told of a join after 4 s", || {
        after(|site, event, outcome| delay(site, outcome, LATE, |packet| is_user(packet, "join"), |to| Some(to) != event.connection()))
    }),
    spec("late-creator-not-told", "JOIN-3", &[], "members who entered before the creator are not told that the creator enters", || {
        after(|_, event, outcome| withhold(outcome, |packet| is_user(packet, "create"), |to, _| Some(to) != event.connection()))
    }),
    spec("members-told-twice-of-join", "JOIN-4", &["FLOW-LIFE"], "the members are told of a join twice", || {
        after(|_, event, outcome| repeat(outcome, |packet| is_user(packet, "join"), |to| Some(to) != event.connection()))
    }),
    spec("member-of-two-rooms-told-twice", "JOIN-4", &[], "a member whose connection is in two rooms is told of a join twice", || {
        after(|site, event, outcome| {
            let is_in_two_rooms = |to| Some(to) != event.connection() && site.state.rooms_of(to).nth(1).is_some();
            repeat(outcome, |packet| is_user(packet, "join"), is_in_two_rooms)
        })
    }),
    spec("joiner-answered-twice", "JOIN-4", &["FLOW-LIFE"], "a joiner is answered twice", || {
        after(|_, event, outcome| repeat(outcome, |packet| is_user(packet, "join"), |to| Some(to) == event.connection()))
    }),
    spec("creator-answered-twice", "JOIN-4", &["FLOW-LIFE"], "the creator is answered by `create`, then by `join`", || {
        after(|_, _, outcome| {
            let created: Vec<_> = outcome.deliveries.iter().filter(|sent| is_user(&carried(sent), "create")).cloned().collect();
            for delivery in &created {
                let mut packet = carried(delivery);
                set(&mut packet, "msg", "join");
                outcome.deliveries.extend(send(delivery.to.clone(), &packet).deliveries);
            }
            !created.is_empty()
        })
    }),
    spec("joiner-told-of-members", "JOIN-4", &["FLOW-LIFE"], "a joiner is told of those who joined before, as though they did now", || {
        let joined: Mutex<HashMap<String, Vec<Value>>> = Mutex::default();
        after(move |_, event, outcome| {
            let mut joined = joined.lock().unwrap_or_else(PoisonError::into_inner);
            let entries: Vec<_> = sent(outcome, |packet| is_user(packet, "join") || is_user(packet, "create")).collect();
            let mut told = false;
            for entry in entries {
                let before = joined.entry(field(&entry, "room_name").to_owned()).or_default();
                for packet in before.iter() {
                    outcome.deliveries.extend(send(event.connection().into_iter().collect(), packet).deliveries);
                    told = true;
                }
                before.push(entry);
            }
            told
        })
    }),
    spec("full-room-entered", "JOIN-5", &["ROOM-6", "LIST-5"], "a WebSocket join without an HTTP join enters a full room", || {
        before(|site, event| {
            let (from, packet) = packet(site, event, Kind::Join)?;
            let room = site.state.room_mut(&packet.room_name)?;
            let capacity = room.taken();
            if capacity < site.state.capacity {
                return None;
            }
            let room = site.state.room_mut(&packet.room_name)?;
            if room.has_place(&packet.user_name) {
                return None;
            }
            room.take_place(&packet.user_name);
            site.state.join(from, &packet).ok().map(Into::into)
        })
    }),
    spec("full-room-overheard", "JOIN-5", &["MSG-3"], "who is kept out of a full room hears its messages all the same", || {
        let kept_out: Mutex<HashSet<(String, ConnectionId)>> = Mutex::default();
        after(move |site, event, outcome| {
            let mut kept_out = kept_out.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((from, packet)) = packet(site, event, Kind::Join)
                && sent(outcome, is_error).next().is_some()
                && site.state.room(&packet.room_name).is_some_and(|room| room.taken() >= site.state.capacity)
            {
                kept_out.insert((packet.room_name, from));
            }
            let mut overheard = false;
            for delivery in &mut outcome.deliveries {
                let message = carried(delivery);
                if is_msg(&message) {
                    let room = field(&message, "room_name");
                    let more = kept_out.iter().filter(|(name, who)| name == room && !delivery.to.contains(who)).map(|(_, who)| *who);
                    let before = delivery.to.len();
                    delivery.to.extend(more.collect::<Vec<_>>());
                    overheard |= delivery.to.len() > before;
                }
            }
            overheard
        })
    }),
    spec("thirtieth-place-stays-taken", "LIFE-2", &[], "every thirtieth HTTP leave of a room frees no place", || {
        let leaves: Mutex<HashMap<String, u64>> = Mutex::default();
        after(move |site, event, outcome| {
            let Some((room, user)) = answered(event, outcome, LEFT) else { return false };
            let mut leaves = leaves.lock().unwrap_or_else(PoisonError::into_inner);
            let count = leaves.entry(room.to_owned()).or_default();
            *count += 1;
            let Some(room) = site.state.room_mut(room).filter(|_| count.is_multiple_of(30)) else { return false };
            room.take_place(user);
            true
        })
    }),
    spec(
        "rejoin-takes-another-place",
        "LIFE-2",
        &["LIST-5"],
        "who joins again after the WebSocket leave alone takes another place",
        || {
            let left: Mutex<HashSet<(String, String)>> = Mutex::default();
            after(move |site, event, outcome| {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((room, user)) = answered(event, outcome, LEFT) {
                    left.remove(&(room.to_owned(), user.to_owned()));
                }
                if let Some((_, packet)) = packet(site, event, Kind::Leave)
                    && sent(outcome, |packet| is_user(packet, "leave")).next().is_some()
                {
                    left.insert((packet.room_name, packet.user_name));
                }
                let Some((_, packet)) = packet(site, event, Kind::Join) else { return false };
                let has_joined = sent(outcome, |packet| is_user(packet, "join")).next().is_some();
                let Some(room) = site.state.room_mut(&packet.room_name).filter(|_| has_joined) else { return false };
                let is_back = left.remove(&(packet.room_name, packet.user_name.clone()));
                if is_back {
                    room.take_place(&packet.user_name);
                }
                is_back
            })
        },
    ),
    spec("third-room-refused", "READ-1", &[], "a connection may be in two rooms, and not in a third", || {
        before(|site, event| {
            let (from, packet) = packet(site, event, Kind::Join)?;
            let others = site.state.rooms_of(from).filter(|room| *room != packet.room_name).count();
            (others >= 2).then(|| error(from, "too many rooms")).flatten()
        })
    }),
    spec("late-creator-gets-join", "READ-1", &[], "a creator gets `join` if somebody who came by the join flow is in already", || {
        after(|site, _, outcome| {
            let has_others = |packet: &Value| site.state.room(field(packet, "room_name")).is_some_and(|room| room.listeners().len() > 1);
            edit(outcome, |packet| is_user(packet, "create") && has_others(packet) && set(packet, "msg", "join"))
        })
    }),
    spec("activity-leaks-into-other-rooms", "READ-1", &[], "who enters or leaves is told to the members of all rooms", || {
        after(|site, _, outcome| {
            let listeners: HashSet<_> = site.state.rooms_mut().values().flat_map(|room| room.listeners()).collect();
            let mut widened = false;
            for delivery in outcome.deliveries.iter_mut().filter(|delivery| carried(delivery)["type"] == "user") {
                let more: Vec<_> = listeners.iter().copied().filter(|connection| !delivery.to.contains(connection)).collect();
                widened |= !more.is_empty();
                delivery.to.extend(more);
            }
            widened
        })
    }),
    spec("history-replayed", "MSG-3", &["FLOW-LIFE"], "a joiner is sent the last message from before", || {
        let last: Mutex<HashMap<String, Value>> = Mutex::default();
        after(move |_, event, outcome| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            for packet in sent(outcome, is_msg) {
                last.insert(field(&packet, "room_name").to_owned(), packet);
            }
            let entered = sent(outcome, |packet| is_user(packet, "join")).next();
            let Some(old) = entered.and_then(|packet| last.get(field(&packet, "room_name"))) else { return false };
            outcome.deliveries.extend(send(event.connection().into_iter().collect(), old).deliveries);
            true
        })
    }),
];

fn set(packet: &mut Value, field: &str, text: &str) -> bool {
    let new = json!(text);
    let old = std::mem::replace(&mut packet["data"][field], new.clone());
    old != new
}
