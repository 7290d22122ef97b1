//! Faults of leaving: the WebSocket `leave`, the leave flow, and connections that vanish.

use crate::deviation::look::{
    LATE, answer, answered, delay, error, field, is_later_other, is_msg, is_user, packet, repeat, reword, room, sent, withhold,
};
use crate::deviation::{Active, Site};
use crate::deviation::{Deviation, after, before};
use crate::event::{Delivery, Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::packet::{self as packets, Activity, Kind};
use crate::request::{LEFT, USER_NOT_EXIST};
use crate::room::ConnectionId;
use crate::transport::{CLOSE, FrameFilter, RawFrame};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longer than the 5 s in which a vanished member is to be noticed.
const TOO_LATE_FOR_THE_VANISHED: Duration = Duration::from_secs(7);

pub const SPECS: &[Spec] = &[
    spec(
        "leaver-unanswered",
        "LEAVE-1",
        &["FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "FLOW-LIFE"],
        "a leaver is not answered; the others are told",
        || after(|_, event, outcome| withhold(outcome, |packet| is_user(packet, "leave"), |to, _| Some(to) == event.connection())),
    ),
    spec("leaver-answered-late", "LEAVE-1", &["FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "FLOW-LIFE"], "a leaver is answered after 4 s", || {
        after(|site, event, outcome| delay(site, outcome, LATE, |packet| is_user(packet, "leave"), |to| Some(to) == event.connection()))
    }),
    spec(
        "leave-closes-connection",
        "LEAVE-1",
        &["FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "FLOW-LIFE"],
        "a leaver's connection is closed in place of an answer",
        || {
            after(|site, event, outcome| {
                let from = event.connection().filter(|_| sent(outcome, |packet| is_user(packet, "leave")).next().is_some());
                let Some(from) = from.filter(|_| matches!(event, Event::Text(..))) else { return false };
                site.cut(from);
                withhold(outcome, |_| true, |to, _| to == from)
            })
        },
    ),
    spec("third-member-not-told-of-leave", "LEAVE-2", &["FLOW-LIFE"], "only one of the members who stay is told of a leave", || {
        after(|_, event, outcome| {
            withhold(outcome, |packet| is_user(packet, "leave"), |to, told| is_later_other(to, told, event.connection()))
        })
    }),
    spec("members-told-twice-of-leave", "LEAVE-2", &["FLOW-LIFE"], "the members who stay are told of a leave twice", || {
        after(|_, event, outcome| repeat(outcome, |packet| is_user(packet, "leave"), |to| Some(to) != event.connection()))
    }),
    spec("members-told-late-of-leave", "LEAVE-2", &["FLOW-LIFE"], "the members who stay are told of a leave after 4 s", || {
        after(|site, event, outcome| delay(site, outcome, LATE, |packet| is_user(packet, "leave"), |to| Some(to) != event.connection()))
    }),
    spec(
        "http-leave-told-again",
        "LEAVE-2",
        &[],
        "the HTTP leave after the WebSocket leave is told to the members as another leave",
        || {
            after(|site, event, outcome| {
                let Some((room_name, user_name)) = answered(event, outcome, LEFT).filter(|_| outcome.deliveries.is_empty()) else {
                    return false;
                };
                let to = site.state.room(room_name).map(crate::room::Room::listeners).unwrap_or_default();
                let told = !to.is_empty();
                outcome.deliveries.push(Delivery { to, message: packets::user(user_name, room_name, Activity::Leave) });
                told
            })
        },
    ),
    spec("messages-after-leaving", "LEAVE-3", &["MSG-3", "FLOW-LIFE"], "messages still reach those who have left", || {
        follow_the_leavers(1, is_msg)
    }),
    spec("second-visit-never-ends", "LEAVE-3", &["LIFE-2"], "messages still reach those who have left for the second time", || {
        follow_the_leavers(2, is_msg)
    }),
    spec("activity-after-leaving", "LEAVE-3", &["FLOW-LIFE"], "the activity of others is still told to those who have left", || {
        follow_the_leavers(1, |packet| packet["type"] == "user")
    }),
    spec("leave-under-any-name", "LEAVE-4", &[], "anybody can make a member leave", || {
        before(|site, event| {
            let (from, packet) = packet(site, event, Kind::Leave)?;
            let room = site.state.room(&packet.room_name)?;
            if room.is_member(from, &packet.user_name) {
                return None;
            }
            let victim = *room.listeners_named(&packet.user_name).first()?;
            site.state.leave(victim, &packet).ok().map(Into::into)
        })
    }),
    spec("stranger-leave-told", "LEAVE-4", &[], "a stranger's leave is told to the members, though it removes nobody", || {
        before(|site, event| {
            let (from, packet) = packet(site, event, Kind::Leave)?;
            let room = site.state.room(&packet.room_name)?;
            let is_stranger = !room.is_member(from, &packet.user_name);
            is_stranger.then(|| {
                Outcome::from(vec![Delivery {
                    to: room.listeners(),
                    message: packets::user(&packet.user_name, &packet.room_name, Activity::Leave),
                }])
            })
        })
    }),
    spec("leave-told-while-place-lasts", "LEAVE-4", &[], "who has left by WebSocket can leave again until the HTTP leave", || {
        before(|site, event| {
            let (_, packet) = packet(site, event, Kind::Leave)?;
            let room = site.state.room(&packet.room_name)?;
            let is_outside = room.has_place(&packet.user_name) && room.connections_of(&packet.user_name) == 0;
            is_outside.then(|| {
                Outcome::from(vec![Delivery {
                    to: room.listeners(),
                    message: packets::user(&packet.user_name, &packet.room_name, Activity::Leave),
                }])
            })
        })
    }),
    spec("leave-ignores-case-of-users", "ISO-1", &[], "a leave also puts out members whose names differ in case alone", || {
        after(|site, event, outcome| {
            let Some((_, packet)) = packet(site, event, Kind::Leave) else { return false };
            let has_left = sent(outcome, |packet| is_user(packet, "leave")).next().is_some();
            let Some(room) = site.state.room_mut(&packet.room_name).filter(|_| has_left) else { return false };
            let mut put_out = false;
            for connection in room.listeners() {
                for name in room.names_of(connection) {
                    if name != packet.user_name && name.to_lowercase() == packet.user_name.to_lowercase() {
                        room.remove_member(connection, &name);
                        put_out = true;
                    }
                }
            }
            put_out
        })
    }),
    spec(
        "leave-frees-place",
        "FLOW-LEAVE",
        &["ROOM-2", "FLOW-LEAVE-CREATOR", "FLOW-LIFE"],
        "after the WebSocket leave the HTTP leave is answered by `user not exist`",
        || {
            after(|site, event, outcome| {
                let Some((_, packet)) = packet(site, event, Kind::Leave) else { return false };
                let has_left = sent(outcome, |packet| is_user(packet, "leave")).next().is_some();
                let Some(room) = site.state.room_mut(&packet.room_name).filter(|_| has_left) else { return false };
                room.remove_user(&packet.user_name);
                true
            })
        },
    ),
    spec(
        "creator-leave-frees-place",
        "FLOW-LEAVE-CREATOR",
        &["ROOM-2", "FLOW-LIFE"],
        "the creator's HTTP leave is answered by `user not exist`",
        || {
            let creators = Mutex::new(HashSet::new());
            after(move |site, event, outcome| {
                let mut creators = creators.lock().unwrap_or_else(PoisonError::into_inner);
                for packet in sent(outcome, |packet| is_user(packet, "create")) {
                    creators.insert((field(&packet, "room_name").to_owned(), field(&packet, "user_name").to_owned()));
                }
                let Some((_, packet)) = packet(site, event, Kind::Leave) else { return false };
                let is_creator = creators.contains(&(packet.room_name.clone(), packet.user_name.clone()));
                let has_left = sent(outcome, |packet| is_user(packet, "leave")).next().is_some();
                let Some(room) = site.state.room_mut(&packet.room_name).filter(|_| is_creator && has_left) else {
                    return false;
                };
                room.remove_user(&packet.user_name);
                true
            })
        },
    ),
    spec("returner-cannot-leave", "FLOW-LEAVE", &["ROOM-2"], "a user who has come back can't leave by HTTP a second time", || {
        let left = Mutex::new(HashSet::new());
        before(move |site, event| {
            let (room_name, user_name, status) = room(event)?;
            let is_in = site.state.room(room_name)?.has_place(user_name);
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let leaves_again = status == "0" && is_in && !left.insert((room_name.to_owned(), user_name.to_owned()));
            leaves_again.then(|| answer(USER_NOT_EXIST)).flatten()
        })
    }),
    spec(
        "lone-creator-cannot-leave",
        "FLOW-LEAVE-CREATOR",
        &["ROOM-2", "FLOW-LIFE"],
        "the HTTP leave of a creator who is alone is answered by `user not exist`",
        || {
            before(|site, event| {
                let (room_name, user_name, status) = room(event)?;
                let room = site.state.room(room_name)?;
                let is_alone = room.taken() == 1 && room.has_place(user_name) && !room.entered_by_http(user_name);
                (status == "0" && is_alone).then(|| answer(USER_NOT_EXIST)).flatten()
            })
        },
    ),
    spec(
        "creator-cannot-leave",
        "FLOW-LEAVE-CREATOR",
        &["LEAVE-1", "FLOW-LIFE"],
        "a user who entered without an HTTP join can't leave by WebSocket",
        || {
            before(|site, event| {
                let (_, packet) = packet(site, event, Kind::Leave)?;
                let room = site.state.room(&packet.room_name)?;
                let is_unknown = room.has_place(&packet.user_name) && !room.entered_by_http(&packet.user_name);
                is_unknown.then(Outcome::default)
            })
        },
    ),
    spec(
        "last-leaver-unknown",
        "FLOW-LIFE",
        &["ROOM-2", "FLOW-LEAVE", "FLOW-LEAVE-CREATOR"],
        "the HTTP leave of the last user in a room is answered by `user not exist`",
        || {
            after(|site, event, outcome| {
                let Some((room, _)) = answered(event, outcome, LEFT) else { return false };
                site.state.room(room).is_none_or(crate::room::Room::is_empty) && reword(outcome, LEFT, USER_NOT_EXIST)
            })
        },
    ),
    spec("vanished-not-told", "GONE-2", &[], "nobody is told of a member whose connection ends", || {
        after(|_, event, outcome| matches!(event, Event::Gone(_)) && withhold(outcome, |packet| is_user(packet, "leave"), |_, _| true))
    }),
    spec("vanished-told-to-one", "GONE-2", &[], "only one of the others is told of a member whose connection ends", || {
        after(|_, event, outcome| {
            let is_leave = |packet: &_| matches!(event, Event::Gone(_)) && is_user(packet, "leave");
            withhold(outcome, is_leave, |to, told| told.first() != Some(&to))
        })
    }),
    spec("vanished-told-in-one-room", "GONE-2", &[], "when a member of several rooms vanishes, only one of them is told", || {
        after(|_, event, outcome| {
            let is_several = matches!(event, Event::Gone(_)) && outcome.deliveries.len() > 1;
            if is_several {
                outcome.deliveries.truncate(1);
            }
            is_several
        })
    }),
    spec("vanished-user-refused", "GONE-2", &[], "who has vanished from a room can't join it by WebSocket any more", || {
        let vanished: Mutex<HashSet<(String, String)>> = Mutex::default();
        before(move |site, event| {
            let mut vanished = vanished.lock().unwrap_or_else(PoisonError::into_inner);
            if let Event::Gone(connection) = *event {
                for room_name in site.state.rooms_of(connection) {
                    let users = site.state.room(room_name).map(|room| room.names_of(connection)).unwrap_or_default();
                    vanished.extend(users.into_iter().map(|user| (room_name.to_owned(), user)));
                }
            }
            let (from, packet) = packet(site, event, Kind::Join)?;
            vanished.contains(&(packet.room_name, packet.user_name)).then(|| error(from, "user already exist")).flatten()
        })
    }),
    spec("vanished-told-late", "GONE-2", &[], "the others are told of a member whose connection ends after 7 s", || {
        after(|site, event, outcome| {
            let is_leave = |packet: &_| matches!(event, Event::Gone(_)) && is_user(packet, "leave");
            delay(site, outcome, TOO_LATE_FOR_THE_VANISHED, is_leave, |_| true)
        })
    }),
    spec("vanished-keeps-place", "GONE-2", &["LIST-5"], "a member whose connection ends keeps its place", || {
        Arc::new(VanishedKeepsPlace { until: None })
    }),
    spec("vanished-frees-place-late", "GONE-2", &["LIST-5"], "a member whose connection ends keeps its place for 7 s", || {
        Arc::new(VanishedKeepsPlace { until: Some(TOO_LATE_FOR_THE_VANISHED) })
    }),
    spec(
        "cut-keeps-place",
        "GONE-2",
        &["LIST-5"],
        "a member whose connection ends without a close frame keeps its place, though the others are told",
        || Arc::new(CutKeepsPlace::default()),
    ),
    spec("vanished-stalls-room", "GONE-1", &["GONE-2", "ROB-13"], "after a member's connection has ended its rooms are silent", || {
        Arc::new(VanishedStallsRoom::default())
    }),
    spec(
        "vanished-deafens-the-others",
        "GONE-1",
        &["ROB-13"],
        "after a member's connection has ended, messages in its rooms come back to their senders alone",
        || {
            let rooms: Mutex<HashSet<String>> = Mutex::default();
            after(move |_, event, outcome| {
                let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
                if let Event::Gone(_) = event {
                    rooms.extend(sent(outcome, |packet| is_user(packet, "leave")).map(|packet| field(&packet, "room_name").to_owned()));
                }
                let is_deaf = |packet: &_| is_msg(packet) && rooms.contains(field(packet, "room_name"));
                withhold(outcome, is_deaf, |to, _| Some(to) != event.connection())
            })
        },
    ),
    spec("vanished-cuts-members", "GONE-1", &["GONE-2", "ROB-13"], "when a member's connection ends, those of the others are cut", || {
        after(|site, event, outcome| {
            let Event::Gone(_) = event else { return false };
            let others: Vec<_> = outcome.deliveries.iter().flat_map(|delivery| delivery.to.clone()).collect();
            others.iter().for_each(|connection| site.cut(*connection));
            !others.is_empty()
        })
    }),
];

/// Lets those who have left a room so many times get some of its packets.
fn follow_the_leavers(times: usize, test: fn(&serde_json::Value) -> bool) -> Arc<dyn Deviation> {
    let leavers: Mutex<HashMap<String, HashMap<ConnectionId, usize>>> = Mutex::default();
    after(move |site, event, outcome| {
        let mut leavers = leavers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fired = false;
        for delivery in &mut outcome.deliveries {
            let packet = crate::deviation::look::carried(delivery);
            let Some(leavers) = leavers.get(field(&packet, "room_name")).filter(|_| test(&packet)) else { continue };
            let gone = leavers.iter().filter(|(_, left)| **left >= times).map(|(leaver, _)| *leaver);
            let more: Vec<_> = gone.filter(|leaver| !delivery.to.contains(leaver)).collect();
            fired |= !more.is_empty();
            delivery.to.extend(more);
        }
        if let Some((from, packet)) = packet(site, event, Kind::Leave)
            && sent(outcome, |packet| is_user(packet, "leave")).next().is_some()
        {
            *leavers.entry(packet.room_name).or_default().entry(from).or_default() += 1;
        }
        fired
    })
}

struct VanishedKeepsPlace {
    until: Option<Duration>,
}

impl Deviation for VanishedKeepsPlace {
    fn before(&self, site: &mut Site<'_>, event: &Event<'_>) -> Option<Outcome> {
        let Event::Gone(connection) = *event else { return None };
        Some(gone_but_for_its_places(site, connection, self.until))
    }
}

/// A connection has ended, and its users have places all the same, for some time or for good.
fn gone_but_for_its_places(site: &mut Site<'_>, connection: ConnectionId, until: Option<Duration>) -> Outcome {
    let rooms: Vec<_> = site.state.rooms_of(connection).map(str::to_owned).collect();
    let users = |room: &String| (room.clone(), site.state.room(room).map(|room| room.names_of(connection)));
    let users: Vec<_> = rooms.iter().map(users).collect();
    let outcome = site.state.gone(connection);
    for (room_name, user_name) in
        users.into_iter().flat_map(|(room, users)| users.unwrap_or_default().into_iter().map(move |user| (room.clone(), user)))
    {
        let Some(room) = site.state.room_mut(&room_name).filter(|room| !room.has_place(&user_name)) else { continue };
        room.take_place(&user_name);
        room.note_http_entry(&user_name);
        site.fire();
        if let Some(until) = until {
            site.change_later(until, move |state| {
                if let Some(room) = state.room_mut(&room_name) {
                    room.remove_user(&user_name);
                }
            });
        }
    }
    outcome.into()
}

/// The connections that have sent a close frame.
type Closed = Arc<Mutex<HashSet<ConnectionId>>>;

#[derive(Default)]
struct CutKeepsPlace {
    closed: Closed,
}

impl Deviation for CutKeepsPlace {
    fn filter(&self, _fault: &Active, connection: ConnectionId) -> Option<Box<dyn FrameFilter>> {
        Some(Box::new(CloseSeen { closed: Arc::clone(&self.closed), connection }))
    }

    fn before(&self, site: &mut Site<'_>, event: &Event<'_>) -> Option<Outcome> {
        let Event::Gone(connection) = *event else { return None };
        let is_closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection);
        (!is_closed).then(|| gone_but_for_its_places(site, connection, None))
    }
}

struct CloseSeen {
    closed: Closed,
    connection: ConnectionId,
}

impl FrameFilter for CloseSeen {
    fn frame(&mut self, frame: RawFrame) -> Option<RawFrame> {
        if frame.opcode() == CLOSE {
            self.closed.lock().unwrap_or_else(PoisonError::into_inner).insert(self.connection);
        }
        Some(frame)
    }
}

#[derive(Default)]
struct VanishedStallsRoom {
    stalled: Mutex<HashSet<String>>,
}

impl Deviation for VanishedStallsRoom {
    fn before(&self, site: &mut Site<'_>, event: &Event<'_>) -> Option<Outcome> {
        if let Event::Gone(connection) = *event {
            let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
            stalled.extend(site.state.rooms_of(connection).map(str::to_owned));
        }
        None
    }

    fn after(&self, site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        let stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        if withhold(outcome, |packet| stalled.contains(field(packet, "room_name")), |_, _| true) {
            site.fire();
        }
    }
}
