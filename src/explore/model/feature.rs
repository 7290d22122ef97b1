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

/// What a generator may know: the first hypothesis, as far as it is seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// For each actor, whether it has a connection.
    pub connected: Vec<bool>,
    pub rooms: Vec<RoomSight>,
    /// The most places that a room may have, where that is known.
    pub capacity: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSight {
    pub name: Name,
    pub awaits_creator: bool,
    /// Who has a seat, by name.
    pub seats: Vec<Name>,
    /// Which actors are in it by WebSocket, under which names.
    pub members: Vec<(Actor, Name)>,
}

impl Sight {
    pub fn of(state: &State, actors: usize) -> Self {
        let room = |(name, room): (&Name, &super::state::Room)| RoomSight {
            name: name.clone(),
            awaits_creator: room.awaits_creator,
            seats: room.seats.keys().cloned().collect(),
            members: room
                .members
                .iter()
                .filter(|(connection, _)| state.connection(connection.actor) == Some(*connection))
                .map(|(connection, user)| (connection.actor, user.clone()))
                .collect(),
        };
        Self {
            connected: (0..actors).map(|actor| state.connection(actor).is_some()).collect(),
            rooms: state.rooms.iter().map(room).collect(),
            capacity: (state.capacity.1 < usize::MAX).then_some(state.capacity.1),
        }
    }
}
