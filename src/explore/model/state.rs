//! One hypothesis of what the server's rooms are like.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::Pattern;
use super::reading::{Readings, Value, population, release};
use crate::explore::action::{Actor, Name};
use crate::reading::{Fact, Findings};

/// A connection of an actor; one that comes back has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection {
    pub actor: Actor,
    pub number: u16,
}

/// What a user has in a room until the HTTP leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seat {
    /// More than one only where a second HTTP join takes a second place (R-REJOIN).
    pub places: usize,
    pub by_http: bool,
    /// Whether its user has been in the room by WebSocket since it took the seat.
    pub came: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Room {
    /// It was created, and its creator is still to come.
    pub awaits_creator: bool,
    /// Its last user has left it, and nobody has entered since (R-REENTRY).
    pub emptied: bool,
    /// Somebody has entered by WebSocket before.
    pub visited: bool,
    /// Somebody has left since it was full, and nobody has taken the place (ROOM-8).
    pub freed: bool,
    pub seats: BTreeMap<Name, Seat>,
    /// Which connections are in it, under which names.
    pub members: BTreeSet<(Connection, Name)>,
}

impl Room {
    pub fn holds(&self, connection: Connection, user: &Name) -> bool {
        self.members.contains(&(connection, user.clone()))
    }

    /// The names under which a connection is in it.
    pub fn names_of(&self, connection: Connection) -> Vec<Name> {
        self.members.iter().filter(|(one, _)| *one == connection).map(|(_, name)| name.clone()).collect()
    }

    /// Whether another connection is in it under this name.
    pub fn has_twin(&self, connection: Connection, user: &Name) -> bool {
        self.members.iter().any(|(one, name)| *one != connection && name == user)
    }

    pub fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.members.is_empty()
    }

    /// Users who are in it by WebSocket, though they have given their seat back.
    fn seatless(&self) -> usize {
        let names: BTreeSet<&Name> = self.members.iter().map(|(_, name)| name).filter(|name| !self.seats.contains_key(*name)).collect();
        names.len()
    }
}

/// Rooms, connections and what is possible beside them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    pub readings: Readings,
    /// The least and the most places that a room may have.
    pub capacity: (usize, usize),
    pub rooms: BTreeMap<Name, Room>,
    /// For each actor, the connection that it has now.
    live: Vec<Option<Connection>>,
    /// Connections that have ended, of which the server need not have taken notice yet.
    pub fading: BTreeSet<Connection>,
    /// Packets that are on their way, about a connection of which the server took notice while a round ended.
    pub owed: BTreeSet<(Actor, Pattern)>,
}

impl State {
    /// A server on which none of the trace's rooms exists.
    pub fn new(findings: &Findings, actors: usize) -> Self {
        let capacity = match findings.facts.get("capacity") {
            Some(Fact::Number(number)) => (*number as usize, *number as usize),
            Some(Fact::Above(number)) => (*number as usize, usize::MAX),
            _ => (1, usize::MAX),
        };
        let readings = Readings::new(findings);
        Self { readings, capacity, rooms: BTreeMap::new(), live: vec![None; actors], fading: BTreeSet::new(), owed: BTreeSet::new() }
    }

    /// This state, if a value of a reading holds.
    pub fn with(&self, value: Value) -> Option<Self> {
        self.readings.with(value).map(|readings| Self { readings, ..self.clone() })
    }

    /// This state under each of the values that are possible.
    pub fn under(&self, values: &[Value]) -> Vec<(Value, State)> {
        values.iter().filter_map(|value| Some((*value, self.with(*value)?))).collect()
    }

    pub fn connection(&self, actor: Actor) -> Option<Connection> {
        self.live.get(actor).copied().flatten()
    }

    /// Gives an actor a connection; one that it had has ended.
    pub fn connect(&mut self, actor: Actor, number: u16) {
        self.disconnect(actor);
        if let Some(live) = self.live.get_mut(actor) {
            *live = Some(Connection { actor, number });
        }
    }

    /// Ends an actor's connection, of which the server takes notice when it does.
    pub fn disconnect(&mut self, actor: Actor) {
        if let Some(connection) = self.live.get_mut(actor).and_then(Option::take)
            && self.rooms.values().any(|room| room.members.iter().any(|(one, _)| *one == connection))
        {
            self.fading.insert(connection);
        }
    }

    /// The actors who hear what is said in a room, each once.
    pub fn listeners(&self, room: &Name) -> BTreeSet<Actor> {
        let members = self.rooms.get(room).into_iter().flat_map(|room| &room.members);
        members.filter(|(connection, _)| self.connection(connection.actor) == Some(*connection)).map(|(one, _)| one.actor).collect()
    }

    /// The rooms that a connection is in.
    pub fn rooms_of(&self, connection: Connection) -> Vec<Name> {
        let is_in = |room: &Room| room.members.iter().any(|(one, _)| *one == connection);
        self.rooms.iter().filter(|(_, room)| is_in(room)).map(|(name, _)| name.clone()).collect()
    }

    /// The least and the most places of a room that may be taken: where HTTP alone counts, those who came without it
    /// need not have one.
    pub fn taken(&self, room: &Room) -> (usize, usize) {
        let places: usize = room.seats.values().map(|seat| seat.places).sum();
        let by_http: usize = room.seats.values().filter(|seat| seat.by_http).map(|seat| seat.places).sum();
        let least = if self.readings.allow(population::HTTP) { by_http } else { places };
        (least, places + room.seatless())
    }

    /// The least and the most that the list may show for a room under a value of R-POPULATION.
    pub fn population(&self, room: &Room, reading: Value) -> (i64, i64) {
        let members: BTreeSet<&Name> = room.members.iter().map(|(_, name)| name).collect();
        let seats = |only_http: bool| room.seats.values().filter(move |seat| seat.by_http || !only_http);
        let places = |only_http| seats(only_http).map(|seat| seat.places).sum::<usize>();
        let (least, most) = match reading {
            population::WS => (members.len(), members.len()),
            population::HTTP => (seats(true).count(), places(true)),
            _ => (seats(false).count(), places(false) + room.seatless()),
        };
        (least as i64, most as i64)
    }

    /// What may come of a room in which perhaps nobody is any more (R-RELEASE).
    pub fn released(mut self, name: &Name) -> Vec<State> {
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.is_empty()) else {
            return vec![self];
        };
        room.emptied = true;
        let mut states = Vec::new();
        if let Some(gone) = self.with(release::ROOM_WHEN_EMPTY) {
            let mut gone = gone;
            gone.rooms.remove(name);
            states.push(gone);
        }
        states.extend(self.with(release::PLACE));
        states
    }

    /// Forgets connections that have ended and are in no room any more, since nothing can come of them.
    pub fn forget_faded(&mut self) {
        let there: BTreeSet<Connection> = self.rooms.values().flat_map(|room| room.members.iter().map(|(one, _)| *one)).collect();
        self.fading.retain(|connection| there.contains(connection));
    }
}
