//! Faults of `msg` packets.

use crate::deviation::Site;
use crate::deviation::look::{
    LATE, cut, delay, done, edit, edit_for, field, is_later_other, is_msg, is_user, packet, repeat, sent, withhold,
};
use crate::deviation::{Deviation, after, before};
use crate::event::{Delivery, Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::packet::{self as packets, Kind};
use crate::room::ConnectionId;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a held message waits for one that overtakes it.
const HELD_AT_MOST: Duration = Duration::from_millis(300);

/// How long a large message is held.
const LARGE_HELD: Duration = Duration::from_millis(100);
const LARGE: usize = 16_384;

pub const SPECS: &[Spec] = &[
    spec("sender-gets-no-copy", "MSG-1", &["MSG-2", "FLOW-LIFE"], "the sender doesn't get its own message", || {
        after(|_, event, outcome| withhold(outcome, is_msg, |to, _| Some(to) == event.connection()))
    }),
    spec("sender-copy-late", "MSG-1", &["MSG-2", "FLOW-LIFE"], "the sender gets its own message after 4 s", || {
        after(|site, event, outcome| delay(site, outcome, LATE, is_msg, |to| Some(to) == event.connection()))
    }),
    spec("message-as-user", "MSG-1", &["MSG-2", "FLOW-LIFE"], "messages are sent on with the type `user`", || {
        after(|_, _, outcome| {
            edit(outcome, |packet| {
                let found = is_msg(packet);
                if found {
                    packet["type"] = json!("user");
                }
                found
            })
        })
    }),
    spec("third-member-misses-message", "MSG-2", &["FLOW-LIFE", "READ-1"], "beside the sender only one member gets a message", || {
        after(|_, event, outcome| withhold(outcome, is_msg, |to, told| is_later_other(to, told, event.connection())))
    }),
    spec("message-twice", "MSG-2", &["FLOW-LIFE"], "the other members get two copies", || {
        after(|_, event, outcome| repeat(outcome, is_msg, |to| Some(to) != event.connection()))
    }),
    spec("sender-gets-two-copies", "MSG-2", &["FLOW-LIFE"], "the sender gets two copies", || {
        after(|_, event, outcome| repeat(outcome, is_msg, |to| Some(to) == event.connection()))
    }),
    spec("rejoined-gets-two-copies", "LIFE-1", &["MSG-2"], "a connection that has left a room and joined it again gets two copies", || {
        let left: Mutex<HashSet<(ConnectionId, String)>> = Mutex::default();
        after(move |_, event, outcome| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            left.extend(done(event, outcome, "leave").map(|(from, room, _)| (from, room)));
            let Some(packet) = sent(outcome, is_msg).next() else { return false };
            repeat(outcome, is_msg, |to| left.contains(&(to, field(&packet, "room_name").to_owned())))
        })
    }),
    spec(
        "returner-hears-nothing",
        "LIFE-1",
        &["MSG-1", "MSG-2", "LIFE-2"],
        "a connection that has left a room hears nothing when it is back",
        || {
            let left: Mutex<HashSet<(ConnectionId, String)>> = Mutex::default();
            after(move |_, event, outcome| {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                left.extend(done(event, outcome, "leave").map(|(from, room, _)| (from, room)));
                let Some(packet) = sent(outcome, is_msg).next() else { return false };
                withhold(outcome, is_msg, |to, _| left.contains(&(to, field(&packet, "room_name").to_owned())))
            })
        },
    ),
    spec("message-late", "MSG-2", &["FLOW-LIFE"], "the other members get a message after 4 s", || {
        after(|site, event, outcome| delay(site, outcome, LATE, is_msg, |to| Some(to) != event.connection()))
    }),
    spec("tenth-message-lost", "MSG-2", &["MSG-5", "FLOW-LIFE"], "every tenth message of a room reaches its sender alone", || {
        let counts: Mutex<HashMap<String, u64>> = Mutex::default();
        after(move |_, event, outcome| {
            let Some(packet) = sent(outcome, is_msg).next() else { return false };
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(field(&packet, "room_name").to_owned()).or_default();
            *count += 1;
            count.is_multiple_of(10) && withhold(outcome, is_msg, |to, _| Some(to) != event.connection())
        })
    }),
    spec("joiner-misses-first-message", "MSG-2", &["FLOW-LIFE"], "the first message after a join doesn't reach who joined", || {
        let fresh: Mutex<HashMap<String, ConnectionId>> = Mutex::default();
        after(move |_, event, outcome| {
            let mut fresh = fresh.lock().unwrap_or_else(PoisonError::into_inner);
            for (packet, from) in sent(outcome, |packet| is_user(packet, "join")).zip(event.connection()) {
                fresh.insert(field(&packet, "room_name").to_owned(), from);
            }
            let Some(packet) = sent(outcome, is_msg).next() else { return false };
            let Some(missing) = fresh.remove(field(&packet, "room_name")) else { return false };
            Some(missing) != event.connection() && withhold(outcome, is_msg, |to, _| to == missing)
        })
    }),
    spec("leak-into-other-rooms", "MSG-3", &["FLOW-LIFE", "LEAVE-3"], "a message reaches the members of all rooms", || {
        after(|site, _, outcome| {
            let listeners = site.state.rooms_mut().values().flat_map(|room| room.listeners()).collect();
            widen(outcome, &listeners)
        })
    }),
    spec("leak-to-everybody", "MSG-3", &["LEAVE-3", "FLOW-LIFE"], "a message reaches every connection, in a room or not", || {
        after(|site, _, outcome| widen(outcome, &site.outboxes.keys().copied().collect()))
    }),
    spec("leak-by-prefix", "ISO-1", &["MSG-3"], "a message also reaches the rooms whose names begin with its room's name", || {
        after(|site, _, outcome| {
            let Some(packet) = sent(outcome, is_msg).next() else { return false };
            let rooms = site.state.rooms_mut().iter().filter(|(name, _)| name.starts_with(field(&packet, "room_name")));
            let listeners = rooms.flat_map(|(_, room)| room.listeners()).collect();
            widen(outcome, &listeners)
        })
    }),
    spec("text-escaped", "MSG-4", &[], "texts are escaped for HTML", || {
        texts(|text| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"))
    }),
    spec("text-escaped-for-others", "MSG-4", &[], "in the other members' copies `&`, `<` and `>` are escaped for HTML", || {
        after(|_, event, outcome| {
            let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            edit_for(outcome, |to| Some(to) != event.connection(), |packet| retext(packet, escaped))
        })
    }),
    spec("text-without-newlines", "MSG-4", &[], "newlines in texts become spaces", || texts(|text| text.replace('\n', " "))),
    spec("text-cut-at-4096", "MSG-4", &[], "texts end after 4,096 bytes", || texts(|text| cut_at(text, 4_096))),
    spec("text-cut-at-65535", "MSG-4", &[], "texts end after 65,535 bytes", || texts(|text| cut_at(text, 65_535))),
    spec("text-without-emoji", "MSG-4", &[], "letters beyond the basic plane are lost", || {
        texts(|text| text.chars().filter(|letter| u32::from(*letter) < 0x1_0000).collect())
    }),
    spec("text-as-latin-1", "MSG-4", &[], "UTF-8 is read as Latin-1", || texts(|text| text.bytes().map(char::from).collect())),
    spec("text-trimmed", "MSG-4", &[], "white space around texts is lost", || texts(|text| text.trim().to_owned())),
    spec("text-backslashes-doubled", "MSG-4", &[], "backslashes and quotes in texts get another backslash", || {
        texts(|text| text.replace('\\', "\\\\").replace('"', "\\\""))
    }),
    spec("pairs-swapped", "MSG-5", &[], "of four quick messages of a sender the third and fourth are swapped", || {
        Arc::new(PairsSwapped::default())
    }),
    spec("large-message-overtaken", "MSG-5", &[], "a text of 16,384 letters or more is delivered 100 ms late", || {
        after(|site, _, outcome| {
            let is_large = |packet: &Value| is_msg(packet) && field(packet, "msg").chars().count() >= LARGE;
            delay(site, outcome, LARGE_HELD, is_large, |_| true)
        })
    }),
    spec("stranger-heard", "MSG-6", &["MSG-3"], "messages of those who aren't in the room reach its members", || {
        before(|site, event| spoken(site, event, |is_listener, _| !is_listener))
    }),
    spec("leaver-heard", "MSG-6", &["LEAVE-3"], "messages of those who have left by WebSocket but not by HTTP reach the members", || {
        before(|site, event| spoken(site, event, |is_listener, has_place| !is_listener && has_place))
    }),
    spec("message-to-unknown-room-cuts", "MSG-7", &[], "a message to an unknown room ends the connection", || {
        before(|site, event| {
            let (from, packet) = packet(site, event, Kind::Msg)?;
            site.state.room(&packet.room_name).is_none().then(|| cut(site, from)).flatten()
        })
    }),
    spec("message-to-unknown-room-stalls", "MSG-7", &[], "after a message to an unknown room the connection is deaf", || {
        let deaf = Mutex::new(HashSet::new());
        before(move |site, event| {
            let mut deaf = deaf.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((from, packet)) = packet(site, event, Kind::Msg)
                && site.state.room(&packet.room_name).is_none()
            {
                deaf.insert(from);
            }
            let is_deaf = matches!(event, Event::Text(from, _) | Event::Binary(from) if deaf.contains(from));
            is_deaf.then(Outcome::default)
        })
    }),
    spec("impostor-heard", "MSG-8", &[], "a member can speak under any other user's name", || {
        before(|site, event| spoken(site, event, |is_listener, _| is_listener))
    }),
    spec("impostor-of-a-member-heard", "MSG-8", &[], "a member can speak under the name of another who is in the room", || {
        before(|site, event| spoken(site, event, |is_listener, has_place| is_listener && has_place))
    }),
];

fn texts(change: fn(&str) -> String) -> Arc<dyn Deviation> {
    after(move |_, _, outcome| edit(outcome, |packet| retext(packet, change)))
}

fn retext(packet: &mut Value, change: impl Fn(&str) -> String) -> bool {
    let changed = change(field(packet, "msg"));
    let differs = is_msg(packet) && changed != field(packet, "msg");
    if differs {
        packet["data"]["msg"] = json!(changed);
    }
    differs
}

fn cut_at(text: &str, longest: usize) -> String {
    let boundary = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..boundary.unwrap_or_default()].to_owned()
}

fn widen(outcome: &mut Outcome, to: &HashSet<ConnectionId>) -> bool {
    let mut widened = false;
    for delivery in outcome.deliveries.iter_mut().filter(|delivery| is_msg(&crate::deviation::look::carried(delivery))) {
        let more: Vec<_> = to.iter().copied().filter(|connection| !delivery.to.contains(connection)).collect();
        widened |= !more.is_empty();
        delivery.to.extend(more);
    }
    widened
}

/// Delivers a message that the state would refuse, if the speaker is such a one: in the room on this connection
/// under some name, and of a name that has a place.
fn spoken(site: &Site<'_>, event: &Event<'_>, may_speak: fn(bool, bool) -> bool) -> Option<Outcome> {
    let (from, packet) = packet(site, event, Kind::Msg)?;
    let room = site.state.room(&packet.room_name)?;
    if room.is_member(from, &packet.user_name) {
        return None;
    }
    let is_listener = !room.names_of(from).is_empty();
    may_speak(is_listener, room.has_place(&packet.user_name)).then(|| {
        Outcome::from(vec![Delivery { to: room.listeners(), message: packets::msg(&packet.user_name, &packet.room_name, &packet.msg) }])
    })
}

#[derive(Default)]
struct PairsSwapped {
    senders: Mutex<HashMap<ConnectionId, Speaker>>,
}

#[derive(Default)]
struct Speaker {
    count: usize,
    held: Arc<Mutex<Vec<Delivery>>>,
}

impl Deviation for PairsSwapped {
    fn after(&self, site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        let Some(from) = event.connection().filter(|_| sent(outcome, is_msg).next().is_some()) else {
            return;
        };
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let speaker = senders.entry(from).or_default();
        speaker.count += 1;
        let mut held = speaker.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_empty() {
            outcome.deliveries.append(&mut held);
            site.fire();
        } else if speaker.count % 4 == 3 {
            held.append(&mut outcome.deliveries);
            site.deliver_unless_taken(HELD_AT_MOST, &speaker.held);
        }
    }
}
