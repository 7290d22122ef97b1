//! A room: who has a place in it, and which connections hear what is said in it.

use crate::reading::Population;
use indexmap::IndexMap;
use std::collections::HashMap;

/// Names a WebSocket connection for as long as the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A room. Everybody in it has at least one place, so its users are exactly those who have places.
#[derive(Debug, Default)]
pub struct Room {
    /// The next join by the create flow is the creator's: it is answered by `create` (JOIN-1).
    pub create_pending: bool,
    users: HashMap<String, User>,
    members: IndexMap<ConnectionId, Vec<String>, foldhash::fast::RandomState>,
    taken: usize,
}

#[derive(Debug, Default)]
struct User {
    places: usize,
    entered_by_http: bool,
    connections: usize,
}

impl Room {
    #[must_use]
    pub fn new(create_pending: bool) -> Self {
        Self { create_pending, ..Self::default() }
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// How many people the list shows (LIST-5, R-POPULATION).
    #[must_use]
    pub fn population(&self, reading: Population) -> usize {
        match reading {
            Population::Either => self.taken,
            Population::Http => self.users.values().filter(|user| user.entered_by_http).map(|user| user.places).sum(),
            Population::Ws => self.users.values().filter(|user| user.connections > 0).count(),
        }
    }

    #[must_use]
    pub fn has_place(&self, user_name: &str) -> bool {
        self.users.contains_key(user_name)
    }

    #[must_use]
    pub fn entered_by_http(&self, user_name: &str) -> bool {
        self.users.get(user_name).is_some_and(|user| user.entered_by_http)
    }

    /// How many connections are in the room under this name.
    #[must_use]
    pub fn connections_of(&self, user_name: &str) -> usize {
        self.users.get(user_name).map_or(0, |user| user.connections)
    }

    #[must_use]
    pub fn is_member(&self, connection: ConnectionId, user_name: &str) -> bool {
        self.members.get(&connection).is_some_and(|names| names.iter().any(|name| name == user_name))
    }

    /// The connections that hear the room, each once, however many names it has there (MSG-2).
    #[must_use]
    pub fn listeners(&self) -> Vec<ConnectionId> {
        self.members.keys().copied().collect()
    }

    /// The connections that are in the room under this name.
    #[must_use]
    pub fn listeners_named(&self, user_name: &str) -> Vec<ConnectionId> {
        self.members.keys().copied().filter(|connection| self.is_member(*connection, user_name)).collect()
    }

    /// The user names under which a connection is in the room.
    #[must_use]
    pub fn names_of(&self, connection: ConnectionId) -> Vec<String> {
        self.members.get(&connection).cloned().unwrap_or_default()
    }

    /// Takes one more place for the user. Whether there is a free one is the caller's question.
    pub fn take_place(&mut self, user_name: &str) {
        self.users.entry(user_name.to_owned()).or_default().places += 1;
        self.taken += 1;
    }

    /// Notes that the user, who has a place, entered by HTTP.
    pub fn note_http_entry(&mut self, user_name: &str) {
        if let Some(user) = self.users.get_mut(user_name) {
            user.entered_by_http = true;
        }
    }

    /// Gives back one of the user's places. With the last one the user is out of the room, and the connections
    /// that were in it under this name no longer are.
    pub fn free_place(&mut self, user_name: &str) {
        let Some(user) = self.users.get_mut(user_name) else {
            return;
        };
        user.places -= 1;
        self.taken -= 1;
        if user.places == 0 {
            self.remove_user(user_name);
        }
    }

    /// Gives back all of the user's places.
    pub fn remove_user(&mut self, user_name: &str) {
        if let Some(user) = self.users.remove(user_name) {
            self.taken -= user.places;
            for connection in self.listeners_named(user_name) {
                self.forget(connection, user_name);
            }
        }
    }

    /// Makes a connection a member under the name of a user who has a place.
    pub fn add_member(&mut self, connection: ConnectionId, user_name: &str) {
        if let Some(user) = self.users.get_mut(user_name) {
            user.connections += 1;
            self.members.entry(connection).or_default().push(user_name.to_owned());
        }
    }

    /// Ends a membership. The user's place stays (FLOW-LEAVE: the HTTP leave comes later).
    pub fn remove_member(&mut self, connection: ConnectionId, user_name: &str) {
        if self.forget(connection, user_name)
            && let Some(user) = self.users.get_mut(user_name)
        {
            user.connections -= 1;
        }
    }

    fn forget(&mut self, connection: ConnectionId, user_name: &str) -> bool {
        let Some(names) = self.members.get_mut(&connection) else {
            return false;
        };
        let before = names.len();
        names.retain(|name| name != user_name);
        let forgotten = names.len() < before;
        if names.is_empty() {
            self.members.swap_remove(&connection);
        }
        forgotten
    }
}
