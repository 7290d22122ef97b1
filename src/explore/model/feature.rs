//! The states that are worth reaching, by name, and what a generator needs to see of a state.

use std::collections::BTreeSet;

use super::state::State;
use crate::explore::action::{Actor, Name};

/// All names, from the common to the rare.
pub const FEATURES: [&str; 18] = [
    "a room that waits for its creator",
    "two members",
    "three members",
    "a seat taken by HTTP alone",
    "a user who has left by WebSocket alone",
    "a full room",
    "a full room from which somebody has left",
    "a room that has emptied",
    "one connection in two rooms",
    "one user in two rooms",
    "two connections under one name",
    "one connection under two names",
    "a member without a seat",
    "a connection that has ended in a room",
    "a member that has come back",
    "a room entered again after it emptied",
    "a room made again",
    UNDECIDED,
];

/// From here on nothing is found, since the explanation may be among the hypotheses that were given up.
pub const UNDECIDED: &str = "more hypotheses than can be followed";

/// The names of what a state is like.
pub fn features(state: &State) -> BTreeSet<&'static str> {
    let mut features = BTreeSet::new();
    let mut note = |holds: bool, at: usize| {
        if holds {
            features.insert(FEATURES[at]);
        }
    };
    for (name, room) in &state.rooms {
        let listeners = state.listeners(name).len();
        note(room.awaits_creator, 0);
        note(listeners >= 2, 1);
        note(listeners >= 3, 2);
        let is_member = |user: &Name| room.members.iter().any(|(_, name)| name == user);
        note(room.seats.values().any(|seat| !seat.came), 3);
        note(room.seats.iter().any(|(user, seat)| seat.came && !is_member(user)), 4);
        note(state.taken(room).0 >= state.capacity.1, 5);
        note(room.freed, 6);
        note(room.emptied, 7);
        note(room.seats.keys().any(|user| state.rooms.iter().any(|(other, room)| other != name && room.seats.contains_key(user))), 9);
        note(room.members.iter().any(|(connection, user)| room.has_twin(*connection, user)), 10);
        note(room.members.iter().any(|(connection, _)| room.names_of(*connection).len() > 1), 11);
        note(room.members.iter().any(|(_, user)| !room.seats.contains_key(user)), 12);
        note(room.members.iter().any(|(connection, _)| state.rooms_of(*connection).len() > 1), 8);
    }
    note(!state.fading.is_empty(), 13);
    features
}

/// What shows only in a step from one state to the next. `been` holds who was in which room before.
pub fn step_features(before: &State, after: &State, been: &BTreeSet<(Actor, Name)>, made: &BTreeSet<Name>) -> BTreeSet<&'static str> {
    let mut features = BTreeSet::new();
    for (name, room) in &after.rooms {
        let former = before.rooms.get(name);
        let is_new = |actor: &Actor| !before.listeners(name).contains(actor);
        if after.listeners(name).into_iter().any(|actor| is_new(&actor) && been.contains(&(actor, name.clone()))) {
            features.insert(FEATURES[14]);
        }
        if former.is_some_and(|former| former.emptied) && !room.is_empty() {
            features.insert(FEATURES[15]);
        }
        if former.is_none() && made.contains(name) {
            features.insert(FEATURES[16]);
        }
    }
    features
}
