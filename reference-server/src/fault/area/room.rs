//! Faults of `chatroom/room`.

use crate::deviation::look::{answer, answered, crash, error, packet, reword, room, says};
use crate::deviation::{Active, Site};
use crate::deviation::{Deviation, Waiting, after, before};
use crate::event::{Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::fault::rendezvous::Rendezvous;
use crate::hub::Hub;
use crate::packet::Kind;
use crate::request::{FULL_ROOM, INVALID_ROOM, INVALID_STATUS, JOINED, LEFT, Request, USER_NOT_EXIST};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long after its check a join takes the place.
const CHECKED_EARLY: Duration = Duration::from_millis(50);

pub const SPECS: &[Spec] = &[
    spec("join-text-misspelt", "ROOM-1", &["FLOW-JOIN", "FLOW-LIFE"], "a join is answered by `joined chatroom`", || {
        after(|_, _, outcome| reword(outcome, JOINED, "joined chatroom"))
    }),
    spec("second-life-refused", "ROOM-1", &["ROOM-8"], "a user who has left a room can't join it again", || {
        let left = Mutex::new(HashSet::new());
        after(move |site, event, outcome| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((room, user)) = answered(event, outcome, LEFT) {
                left.insert((room.to_owned(), user.to_owned()));
            }
            let Some((room, user)) = answered(event, outcome, JOINED) else { return false };
            if !left.contains(&(room.to_owned(), user.to_owned())) {
                return false;
            }
            site.state.leave_by_http(room, user);
            reword(outcome, JOINED, USER_NOT_EXIST)
        })
    }),
    spec("unknown-room-remembered", "ROOM-1", &[], "a room that was asked for before it existed can't be joined by HTTP later", || {
        let missed = Mutex::new(HashSet::new());
        before(move |site, event| {
            let (room, _, _) = room(event).filter(|(room, ..)| !room.is_empty())?;
            let mut missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
            if site.state.room(room).is_none() {
                missed.insert(room.to_owned());
                return None;
            }
            missed.contains(room).then(|| answer(INVALID_ROOM)).flatten()
        })
    }),
    spec("third-join-refused", "READ-1", &["ROOM-1"], "a user's second HTTP join succeeds without harm, the third is refused", || {
        let joins = Mutex::new(HashMap::new());
        after(move |_, event, outcome| {
            let mut joins = joins.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((room, user)) = answered(event, outcome, LEFT) {
                joins.remove(&(room.to_owned(), user.to_owned()));
            }
            let Some((room, user)) = answered(event, outcome, JOINED) else { return false };
            let count = joins.entry((room.to_owned(), user.to_owned())).or_insert(0);
            *count += 1;
            *count > 2 && reword(outcome, JOINED, FULL_ROOM)
        })
    }),
    spec(
        "leave-text-misspelt",
        "ROOM-2",
        &["FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "FLOW-LIFE"],
        "a leave is answered by `left chatroom`",
        || after(|_, _, outcome| reword(outcome, LEFT, "left chatroom")),
    ),
    spec("invalid-room-misspelt", "ROOM-3", &[], "an unknown room is answered by `room not exist`", || {
        after(|_, event, outcome| room(event).is_some() && reword(outcome, INVALID_ROOM, "room not exist"))
    }),
    spec("invalid-room-only-on-join", "ROOM-3", &[], "leaving an unknown room is answered by `user not exist`", || {
        after(|_, event, outcome| room(event).is_some_and(|(_, _, status)| status == "0") && reword(outcome, INVALID_ROOM, USER_NOT_EXIST))
    }),
    spec("unknown-room-made", "ROOM-3", &["LIST-6", "ROOM-9"], "joining an unknown room creates it", || {
        before(|site, event| {
            let (room, user, status) = room(event)?;
            if status != "1" || room.is_empty() || user.is_empty() || site.state.room(room).is_some() {
                return None;
            }
            site.state.add_room(room);
            Some(site.state.enter(room, user).into())
        })
    }),
    spec(
        "lookup-ignores-case",
        "ISO-1",
        &["ROOM-3"],
        "a request for an unknown room is for one whose name differs from it in case alone, if there is one",
        || {
            before(|site, event| {
                let (name, user, status) = room(event)?;
                if site.state.room(name).is_some() {
                    return None;
                }
                let room_name = site.state.rooms_mut().keys().find(|other| other.to_lowercase() == name.to_lowercase())?.clone();
                let request = Request::Room { room_name, user_name: user.to_owned(), status: status.to_owned() };
                Some(site.state.handle(&Event::Request(&request)))
            })
        },
    ),
    spec("status-two-leaves", "ROOM-4", &[], "status 2 is taken for 0", || {
        before(|site, event| with_status(site, event, |status| (status == "2").then_some("0")))
    }),
    spec("status-nonzero-joins", "ROOM-4", &[], "every whole number but 0 is taken for 1", || {
        before(|site, event| {
            with_status(site, event, |status| {
                let number: i64 = status.parse().ok()?;
                (number != 0 && status != "1").then_some("1")
            })
        })
    }),
    spec("status-negative-leaves", "ROOM-4", &[], "a negative status is taken for 0", || {
        before(|site, event| {
            with_status(site, event, |status| {
                let number: i64 = status.parse().ok()?;
                (number < 0).then_some("0")
            })
        })
    }),
    spec("status-text-is-zero", "ROOM-4", &[], "a status that is no number is taken for 0", || {
        before(|site, event| with_status(site, event, |status| (!status.is_empty() && status.parse::<i64>().is_err()).then_some("0")))
    }),
    spec("invalid-status-misspelt", "ROOM-4", &[], "an unknown status is answered by `invaild status`", || {
        after(|_, _, outcome| reword(outcome, INVALID_STATUS, "invaild status"))
    }),
    spec("stranger-leaves", "ROOM-5", &["ROOM-9"], "leaving succeeds for a user who isn't in the room", || {
        after(|_, event, outcome| {
            answered(event, outcome, USER_NOT_EXIST).is_some_and(|(_, user)| !user.is_empty()) && reword(outcome, USER_NOT_EXIST, LEFT)
        })
    }),
    spec("second-leave-succeeds", "ROOM-5", &[], "a user who has left can leave again", || {
        let left = Mutex::new(HashSet::new());
        after(move |_, event, outcome| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((room, user)) = answered(event, outcome, LEFT) {
                left.insert((room.to_owned(), user.to_owned()));
            }
            answered(event, outcome, USER_NOT_EXIST).is_some_and(|(room, user)| left.contains(&(room.to_owned(), user.to_owned())))
                && reword(outcome, USER_NOT_EXIST, LEFT)
        })
    }),
    spec("user-not-exist-misspelt", "ROOM-5", &[], "leaving without being in the room is answered by `user not exists`", || {
        after(|_, event, outcome| {
            answered(event, outcome, USER_NOT_EXIST).is_some_and(|(_, user)| !user.is_empty())
                && reword(outcome, USER_NOT_EXIST, "user not exists")
        })
    }),
    spec("user-of-another-room-leaves", "ROOM-5", &["ROOM-10"], "leaving succeeds for a user who is in some other room", || {
        after(|site, event, outcome| {
            let Some((_, user)) = answered(event, outcome, USER_NOT_EXIST) else { return false };
            site.state.rooms_mut().values().any(|room| room.has_place(user)) && reword(outcome, USER_NOT_EXIST, LEFT)
        })
    }),
    spec("user-name-ignores-case", "ISO-1", &["ROOM-5"], "a user leaves under a name that differs from the own one in case alone", || {
        let users: Mutex<HashSet<(String, String)>> = Mutex::default();
        before(move |site, event| {
            let (name, user, status) = room(event)?;
            let room = site.state.room(name)?;
            let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
            if status == "1" {
                users.insert((name.to_owned(), user.to_owned()));
            }
            if status != "0" || room.has_place(user) {
                return None;
            }
            let is_alike = |other: &String| other.to_lowercase() == user.to_lowercase() && room.has_place(other);
            let (_, alike) = users.iter().find(|(place, other)| place == name && is_alike(other))?.clone();
            Some(site.state.leave_by_http(name, &alike))
        })
    }),
    spec("never-full", "ROOM-6", &["ROOM-13"], "a room takes any number of users", || {
        after(|site, event, outcome| {
            let Some((room, user)) = answered(event, outcome, FULL_ROOM) else { return false };
            let Some(room) = site.state.room_mut(room) else { return false };
            room.take_place(user);
            room.note_http_entry(user);
            reword(outcome, FULL_ROOM, JOINED)
        })
    }),
    spec("full-room-second-try-joins", "ROOM-6", &[], "a user whom a full room has refused gets in when it asks again", || {
        let refused = Mutex::new(HashSet::new());
        after(move |site, event, outcome| {
            let Some((name, user)) = answered(event, outcome, FULL_ROOM) else { return false };
            let is_first = refused.lock().unwrap_or_else(PoisonError::into_inner).insert((name.to_owned(), user.to_owned()));
            let Some(room) = site.state.room_mut(name).filter(|_| !is_first) else { return false };
            room.take_place(user);
            room.note_http_entry(user);
            reword(outcome, FULL_ROOM, JOINED)
        })
    }),
    spec("leave-frees-two-places", "ROOM-6", &["ROOM-13"], "for each user who has left a full room lets one too many in", || {
        let free = Mutex::new(HashMap::new());
        after(move |site, event, outcome| {
            let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((room, _)) = answered(event, outcome, LEFT) {
                *free.entry(room.to_owned()).or_insert(0) += 1;
            }
            let Some((name, user)) = answered(event, outcome, FULL_ROOM) else { return false };
            let Some(free) = free.get_mut(name).filter(|free| **free > 0) else { return false };
            let Some(room) = site.state.room_mut(name) else { return false };
            *free -= 1;
            room.take_place(user);
            room.note_http_entry(user);
            reword(outcome, FULL_ROOM, JOINED)
        })
    }),
    spec("full-room-misspelt", "ROOM-6", &[], "a full room is answered by `room full`", || {
        after(|_, _, outcome| reword(outcome, FULL_ROOM, "room full"))
    }),
    spec("full-room-keeps-its-users", "ROOM-2", &["ROOM-8", "LIFE-2"], "leaving a full room is answered by `full room`", || {
        after(|site, event, outcome| {
            let Some((name, user)) = answered(event, outcome, LEFT) else { return false };
            let capacity = site.state.capacity;
            let Some(room) = site.state.room_mut(name).filter(|room| room.taken() + 1 >= capacity) else { return false };
            room.take_place(user);
            room.note_http_entry(user);
            outcome.deliveries.clear();
            reword(outcome, LEFT, FULL_ROOM)
        })
    }),
    spec("empty-user-joins", "ROOM-7", &[], "an empty or missing user_name joins", || {
        before(|site, event| {
            let (room, user, status) = room(event)?;
            (user.is_empty() && status == "1" && site.state.room(room).is_some()).then(|| answer(JOINED)).flatten()
        })
    }),
    spec("empty-user-leaves", "ROOM-7", &[], "an empty or missing user_name leaves", || {
        before(|site, event| {
            let (room, user, status) = room(event)?;
            (user.is_empty() && status == "0" && site.state.room(room).is_some()).then(|| answer(LEFT)).flatten()
        })
    }),
    spec("missing-status-joins", "ROOM-7", &["ROOM-9"], "an empty or missing status is taken for 1", || {
        before(|site, event| with_status(site, event, |status| status.is_empty().then_some("1")))
    }),
    spec("missing-status-leaves", "ROOM-7", &["ROOM-9"], "an empty or missing status is taken for 0", || {
        before(|site, event| with_status(site, event, |status| status.is_empty().then_some("0")))
    }),
    spec("missing-parameter-crashes", "ROOM-7", &[], "a missing or empty user_name or status is answered by 500", || {
        before(|_, event| {
            let (_, user, status) = room(event)?;
            (user.is_empty() || status.is_empty()).then(crash).flatten()
        })
    }),
    spec("place-never-freed", "ROOM-8", &["LIST-5", "FLOW-LIFE"], "leaving frees no place", || {
        after(|site, event, outcome| {
            let Some((room, user)) = answered(event, outcome, LEFT) else { return false };
            let Some(room) = site.state.room_mut(room) else { return false };
            let ghost = format!("{user}\u{0}{}", room.taken());
            room.take_place(&ghost);
            true
        })
    }),
    spec(
        "creator-place-leaks",
        "ROOM-8",
        &["ROOM-1"],
        "the HTTP leave of a user who entered by WebSocket alone frees no place, though the list shows it free",
        || {
            let leaked: Mutex<HashMap<String, usize>> = Mutex::default();
            before(move |site, event| {
                let mut leaked = leaked.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((name, user, "0")) = room(event) {
                    let room = site.state.room(name)?;
                    if room.has_place(user) && !room.entered_by_http(user) {
                        *leaked.entry(name.to_owned()).or_default() += 1;
                    }
                    return None;
                }
                let (name, user) = entering(site, event)?;
                let room = site.state.room(&name)?;
                let free = site.state.capacity.saturating_sub(room.taken());
                if room.has_place(&user) || free == 0 || free > *leaked.get(&name)? {
                    return None;
                }
                event.connection().map_or_else(|| answer(FULL_ROOM), |from| error(from, FULL_ROOM))
            })
        },
    ),
    spec("refused-user-can-leave", "ROOM-9", &["ROOM-5"], "a user whom a full room refused can leave it", || {
        let refused = Mutex::new(HashSet::new());
        after(move |_, event, outcome| {
            let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((room, user)) = answered(event, outcome, FULL_ROOM) {
                refused.insert((room.to_owned(), user.to_owned()));
            }
            let Some((room, user)) = answered(event, outcome, USER_NOT_EXIST) else { return false };
            refused.remove(&(room.to_owned(), user.to_owned())) && reword(outcome, USER_NOT_EXIST, LEFT)
        })
    }),
    spec("invalid-status-removes", "ROOM-9", &["LIST-6"], "a request with an unknown status puts its user out of the room", || {
        after(|site, event, outcome| {
            let Some((room, user)) = answered(event, outcome, INVALID_STATUS) else { return false };
            says(&site.state.leave_by_http(room, user), LEFT)
        })
    }),
    spec(
        "invalid-status-enters",
        "ROOM-9",
        &["ROOM-5", "LIST-5", "LIST-6"],
        "a request with an unknown status is refused, and still lets its user in",
        || {
            after(|site, event, outcome| {
                let Some((name, user)) = answered(event, outcome, INVALID_STATUS) else { return false };
                let capacity = site.state.capacity;
                let enters = |room: &&mut crate::room::Room| !user.is_empty() && !room.has_place(user) && room.taken() < capacity;
                let Some(room) = site.state.room_mut(name).filter(enters) else { return false };
                room.take_place(user);
                room.note_http_entry(user);
                true
            })
        },
    ),
    spec("leave-silences-other-rooms", "ROOM-10", &["MSG-2"], "who leaves one room hears nothing in the others any more", || {
        after(|site, event, outcome| {
            let Some((left, user)) = answered(event, outcome, LEFT) else { return false };
            let others = site.state.rooms_mut().iter_mut().filter(|(name, _)| *name != left);
            others.fold(false, |silenced, (_, room)| {
                let connections = room.listeners_named(user);
                connections.iter().for_each(|connection| room.remove_member(*connection, user));
                silenced | !connections.is_empty()
            })
        })
    }),
    spec("leave-leaves-every-room", "ROOM-10", &[], "leaving one room leaves all others too", || {
        after(|site, event, outcome| {
            let Some((_, user)) = answered(event, outcome, LEFT) else { return false };
            site.state.rooms_mut().values_mut().fold(false, |left, room| {
                let is_in = room.has_place(user);
                room.remove_user(user);
                left | is_in
            })
        })
    }),
    spec(
        "leave-leaves-last-room",
        "ROOM-10",
        &["LIST-5"],
        "a user in several rooms who leaves one by HTTP is taken out of the one that it entered last",
        || {
            let entered: Mutex<HashMap<String, Vec<String>>> = Mutex::default();
            before(move |site, event| {
                let mut entered = entered.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((name, user)) = entering(site, event) {
                    let rooms = still_in(site, &mut entered, &user);
                    if !rooms.contains(&name) {
                        rooms.push(name);
                    }
                    return None;
                }
                let (name, user, _) = room(event).filter(|(_, _, status)| *status == "0")?;
                let rooms = still_in(site, &mut entered, user);
                let last = rooms.last().filter(|last| *last != name && rooms.iter().any(|room| room == name))?;
                Some(site.state.leave_by_http(last, user))
            })
        },
    ),
    spec("join-leaves-other-rooms", "ROOM-10", &["LIST-5", "MSG-2"], "joining a room by HTTP leaves all others", || {
        after(|site, event, outcome| {
            let Some((joined, user)) = answered(event, outcome, JOINED) else { return false };
            let others = site.state.rooms_mut().iter_mut().filter(|(name, _)| *name != joined);
            others.fold(false, |left, (_, room)| {
                let is_in = room.has_place(user);
                room.remove_user(user);
                left | is_in
            })
        })
    }),
    spec(
        "leave-removes-everybody",
        "ROOM-11",
        &["FLOW-LIFE", "LIST-5", "FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "MSG-2"],
        "one user's leaving removes all others",
        || {
            after(|site, event, outcome| {
                let left = answered(event, outcome, LEFT).and_then(|(room, _)| site.state.room_mut(room));
                let Some(room) = left.filter(|room| !room.is_empty()) else { return false };
                *room = crate::room::Room::new(false);
                true
            })
        },
    ),
    spec(
        "leave-removes-room",
        "ROOM-11",
        &["FLOW-LIFE", "FLOW-LEAVE", "FLOW-LEAVE-CREATOR", "LIFE-1", "READ-1"],
        "one user's leaving removes the room while others are in it",
        || {
            after(|site, event, outcome| {
                let Some((room, _)) = answered(event, outcome, LEFT) else { return false };
                let others = site.state.room(room).is_some_and(|room| !room.is_empty());
                others && site.state.rooms_mut().shift_remove(room).is_some()
            })
        },
    ),
    spec("several-refusals-succeed", "ROOM-12", &["ROOM-3", "ROOM-4", "ROOM-7"], "an unknown status on an unknown room succeeds", || {
        after(|site, event, outcome| {
            let Some((room, _)) = answered(event, outcome, INVALID_STATUS) else { return false };
            site.state.room(room).is_none() && reword(outcome, INVALID_STATUS, LEFT)
        })
    }),
    spec(
        "several-refusals-crash",
        "ROOM-12",
        &["ROOM-3", "ROOM-4", "ROOM-7"],
        "an unknown status on an unknown room is answered by 500",
        || {
            after(|site, event, outcome| {
                let answered = answered(event, outcome, INVALID_STATUS).filter(|(room, _)| site.state.room(room).is_none());
                match answered.and_then(|_| crash()) {
                    None => false,
                    Some(crash) => {
                        *outcome = crash;
                        true
                    }
                }
            })
        },
    ),
    spec("capacity-race", "ROOM-13", &["ROOM-6"], "of two simultaneous joins to the last place both succeed", || {
        Arc::new(CapacityRace::default())
    }),
    spec("last-place-race", "ROOM-13", &["ROOM-6"], "of the joins to the last place that come within 50 ms all succeed", || {
        Arc::new(LastPlaceRace)
    }),
];

/// Room and user of one who asks for a place, by HTTP or by WebSocket.
fn entering(site: &Site<'_>, event: &Event<'_>) -> Option<(String, String)> {
    match room(event) {
        Some((room, user, "1")) => Some((room.to_owned(), user.to_owned())),
        Some(_) => None,
        None => packet(site, event, Kind::Join).map(|(_, packet)| (packet.room_name, packet.user_name)),
    }
}

/// The rooms in which the user has a place, of those that it asked to enter.
fn still_in<'a>(site: &Site<'_>, entered: &'a mut HashMap<String, Vec<String>>, user: &str) -> &'a mut Vec<String> {
    let rooms = entered.entry(user.to_owned()).or_default();
    rooms.retain(|room| site.state.room(room).is_some_and(|room| room.has_place(user)));
    rooms
}

/// Deals with a request to `chatroom/room` as though it had another status.
fn with_status(site: &mut Site<'_>, event: &Event<'_>, change: fn(&str) -> Option<&'static str>) -> Option<Outcome> {
    let (room_name, user_name, status) = room(event)?;
    let changed = Request::Room { room_name: room_name.to_owned(), user_name: user_name.to_owned(), status: change(status)?.to_owned() };
    Some(site.state.handle(&Event::Request(&changed)))
}

#[derive(Default)]
struct CapacityRace {
    rendezvous: Rendezvous,
}

impl Deviation for CapacityRace {
    fn arrive<'a>(&'a self, hub: &'a Arc<Hub>, fault: &'a Active, event: &'a Event<'a>) -> Waiting<'a> {
        Box::pin(async move {
            let (room, user) = asks_for_last_place(hub, event)?;
            if !self.rendezvous.meet(room).await {
                return None;
            }
            let_in(hub, fault, room, user)
        })
    }
}

struct LastPlaceRace;

impl Deviation for LastPlaceRace {
    fn arrive<'a>(&'a self, hub: &'a Arc<Hub>, fault: &'a Active, event: &'a Event<'a>) -> Waiting<'a> {
        Box::pin(async move {
            let (room, user) = asks_for_last_place(hub, event)?;
            tokio::time::sleep(CHECKED_EARLY).await;
            let_in(hub, fault, room, user)
        })
    }
}

/// Room and user of an HTTP join to a room with one free place.
fn asks_for_last_place<'a>(hub: &Arc<Hub>, event: &'a Event<'a>) -> Option<(&'a str, &'a str)> {
    let (room, user, _) = room(event).filter(|(_, user, status)| !user.is_empty() && *status == "1")?;
    let takes_last_place = hub.visit(|state, _| {
        let capacity = state.capacity;
        state.room(room).is_some_and(|room| room.taken() + 1 == capacity && !room.has_place(user))
    });
    takes_last_place.then_some((room, user))
}

/// Gives the user a place without another look at how many there are.
fn let_in(hub: &Arc<Hub>, fault: &Active, room: &str, user: &str) -> Option<Outcome> {
    hub.visit(|state, _| {
        let capacity = state.capacity;
        let room = state.room_mut(room).filter(|room| !room.has_place(user))?;
        room.take_place(user);
        room.note_http_entry(user);
        if room.taken() > capacity {
            fault.fire();
        }
        answer(JOINED)
    })
}
