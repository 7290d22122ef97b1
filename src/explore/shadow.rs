//! What a trace has probably brought about: a rough picture, by which the generator chooses what is likely to be legal, and
//! nothing is judged.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Actor, Name};

/// One room as it probably is.
#[derive(Clone, Debug, Default)]
pub struct Room {
    pub is_made: bool,
    /// Somebody has entered by WebSocket.
    pub has_been_entered: bool,
    /// Everybody who was in has left.
    pub has_emptied: bool,
    /// Who has a place.
    pub places: BTreeSet<Name>,
    /// Who is in by WebSocket, and over whose connection.
    pub inside: BTreeMap<Name, Actor>,
    /// Who has left once.
    pub left: BTreeSet<Name>,
}

#[derive(Clone, Debug)]
pub struct Shadow {
    pub rooms: Vec<Room>,
    pub connected: Vec<bool>,
    /// The places in a room, where that is known.
    pub capacity: Option<usize>,
}

impl Shadow {
    pub fn new(actors: usize, rooms: usize, capacity: Option<usize>) -> Self {
        Self { rooms: vec![Room::default(); rooms], connected: vec![false; actors], capacity }
    }

    pub fn is_full(&self, room: usize) -> bool {
        self.free(room) == Some(0)
    }

    /// How many places are free, where that is known.
    pub fn free(&self, room: usize) -> Option<usize> {
        self.capacity.map(|capacity| capacity.saturating_sub(self.rooms[room].places.len()))
    }

    /// Whether an actor can do this at all: nothing can be sent over a connection that was never made or is gone.
    pub fn is_possible(&self, action: &Action) -> bool {
        let is_connected = self.connected.get(action.actor()).copied().unwrap_or(false);
        match action {
            Action::Connect { .. } => !is_connected,
            Action::Close { .. } | Action::Abort { .. } => is_connected,
            action => !action.is_packet() || is_connected,
        }
    }

    pub fn take(&mut self, action: &Action) {
        let capacity = self.capacity;
        let room = match action.room() {
            Some(Name::Room(room)) => self.rooms.get_mut(*room),
            _ => None,
        };
        match (action.plain(), room) {
            (Action::Connect { actor }, _) => self.connected[*actor] = true,
            (Action::Close { actor } | Action::Abort { actor }, _) => {
                self.connected[*actor] = false;
                self.rooms.iter_mut().for_each(|room| room.forget(*actor));
            }
            (Action::Create { .. }, Some(room)) => room.is_made = true,
            (Action::HttpJoin { user, .. }, Some(room)) if room.is_made && capacity.is_none_or(|capacity| room.places.len() < capacity) => {
                room.places.insert(user.clone());
            }
            (Action::HttpLeave { user, .. }, Some(room)) if room.places.contains(user) => {
                room.places.remove(user);
                room.gone(user);
            }
            (Action::Join { actor, user, .. }, Some(room)) if room.is_made => {
                let has_place = room.places.contains(user) || capacity.is_none_or(|capacity| room.places.len() < capacity);
                if has_place {
                    room.places.insert(user.clone());
                    room.inside.insert(user.clone(), *actor);
                    room.has_been_entered = true;
                }
            }
            (Action::Leave { actor, user, .. }, Some(room)) if room.inside.get(user) == Some(actor) => {
                room.inside.remove(user);
                room.left.insert(user.clone());
            }
            _ => {}
        }
    }
}

impl Room {
    fn forget(&mut self, actor: Actor) {
        let users: Vec<Name> = self.inside.iter().filter(|(_, who)| **who == actor).map(|(user, _)| user.clone()).collect();
        for user in users {
            self.inside.remove(&user);
            self.places.remove(&user);
            self.gone(&user);
        }
    }

    fn gone(&mut self, user: &Name) {
        self.left.insert(user.clone());
        self.has_emptied |= self.places.is_empty();
    }
}
