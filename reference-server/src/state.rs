//! The chatrooms: every rule of the document, as functions from an event to its outcome. There is no input, output,
//! clock or task in here, so what happens is decided by the order of the calls alone.

use crate::event::{Delivery, Event, Outcome};
use crate::limits::Limits;
use crate::packet::{self, Activity, ClientPacket, Kind, Refusal};
use crate::reading::{Audience, EntryKey, EntryOrder, First, ListKey, MissingRoom, Readings, Reentry, Rejoin, Release, SameName, TwoRooms};
use crate::request::{
    Answer, Body, CREATED, EXISTS, FULL_ROOM, INVALID_ROOM, INVALID_STATUS, JOINED, LEFT, Request, RoomEntry, RoomList, TOO_MANY_ROOMS,
    USER_NOT_EXIST,
};
use crate::room::{ConnectionId, Room};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::sync::Arc;

/// All rooms, and which connection is in which.
#[derive(Debug)]
pub struct State {
    /// The number of places in a room.
    pub capacity: usize,
    pub readings: Readings,
    limits: Limits,
    /// In the order in which they were created.
    rooms: IndexMap<String, Room>,
    rooms_of: HashMap<ConnectionId, IndexSet<String>, foldhash::fast::RandomState>,
}

impl State {
    #[must_use]
    pub fn new(capacity: usize, readings: Readings, limits: Limits) -> Self {
        Self { capacity, readings, limits, rooms: IndexMap::new(), rooms_of: HashMap::default() }
    }

    /// Adds a room that nobody created: the first to enter it is not its creator.
    pub fn add_room(&mut self, room_name: &str) {
        self.rooms.entry(room_name.to_owned()).or_insert_with(|| Room::new(false));
    }

    #[must_use]
    pub fn room(&self, room_name: &str) -> Option<&Room> {
        self.rooms.get(room_name)
    }

    pub(crate) fn room_mut(&mut self, room_name: &str) -> Option<&mut Room> {
        self.rooms.get_mut(room_name)
    }

    pub(crate) fn rooms_mut(&mut self) -> &mut IndexMap<String, Room> {
        &mut self.rooms
    }

    /// The rooms that the connection has joined by WebSocket, in the order of joining.
    pub fn rooms_of(&self, connection: ConnectionId) -> impl Iterator<Item = &str> {
        self.rooms_of.get(&connection).into_iter().flatten().map(String::as_str)
    }

    /// Deals with one event.
    pub fn handle(&mut self, event: &Event<'_>) -> Outcome {
        match *event {
            Event::Request(Request::List) => self.list().into(),
            Event::Request(Request::Create { room_name }) => self.create(room_name).into(),
            Event::Request(Request::Room { room_name, user_name, status }) => self.room_request(room_name, user_name, status),
            Event::Text(from, text) => self.receive(from, text).into(),
            Event::Binary(from) => self.refuse(from, Refusal::InvalidMessage).into(),
            Event::Gone(connection) => self.gone(connection).into(),
        }
    }

    /// `chatroom/list`: the rooms in the order of their creation, with the people in them (LIST-1 to LIST-3).
    #[must_use]
    pub fn list(&self) -> Answer {
        let rooms: Arc<[RoomEntry]> = self.rooms.iter().map(|(room_name, room)| self.list_entry(room_name, room)).collect();
        let list = RoomList {
            room_list: (self.readings.list != ListKey::Rooms).then(|| Arc::clone(&rooms)),
            rooms: (self.readings.list != ListKey::RoomList).then_some(rooms),
        };
        Answer { status: 200, body: Body::List(list) }
    }

    fn list_entry(&self, room_name: &str, room: &Room) -> RoomEntry {
        let name: Arc<str> = room_name.into();
        RoomEntry {
            room_name: (self.readings.entry != EntryKey::Name).then(|| Arc::clone(&name)),
            name: (self.readings.entry != EntryKey::RoomName).then_some(name),
            population: room.population(self.readings.population),
        }
    }

    /// `chatroom/create` (CREATE-1, CREATE-2). Whoever enters next by the create flow is the creator.
    pub fn create(&mut self, room_name: &str) -> Answer {
        if !self.usable(room_name) {
            return Answer::bad_request(INVALID_ROOM);
        }
        if self.rooms.contains_key(room_name) {
            return Answer::res(EXISTS);
        }
        if self.rooms.len() >= self.limits.rooms {
            return Answer::bad_request(TOO_MANY_ROOMS);
        }
        self.rooms.insert(room_name.to_owned(), Room::new(true));
        Answer::res(CREATED)
    }

    /// `chatroom/room`: the status is looked at first, then the room, then the user (ROOM-3 to ROOM-7, ROOM-12).
    fn room_request(&mut self, room_name: &str, user_name: &str, status: &str) -> Outcome {
        let enters = match status {
            "1" => true,
            "0" => false,
            "" => return Answer::bad_request(INVALID_STATUS).into(),
            _ => return Answer::res(INVALID_STATUS).into(),
        };
        if !self.usable(room_name) {
            return Answer::bad_request(INVALID_ROOM).into();
        }
        if !self.rooms.contains_key(room_name) {
            return Answer::res(INVALID_ROOM).into();
        }
        if !self.usable(user_name) {
            return Answer::bad_request(USER_NOT_EXIST).into();
        }
        if enters { self.enter(room_name, user_name).into() } else { self.leave_by_http(room_name, user_name) }
    }

    /// `chatroom/room` with status 1: takes a place, unless the user has one (ROOM-1, ROOM-6, R-REJOIN).
    pub fn enter(&mut self, room_name: &str, user_name: &str) -> Answer {
        let Some(room) = self.rooms.get_mut(room_name) else {
            return Answer::res(INVALID_ROOM);
        };
        if room.entered_by_http(user_name) && self.readings.rejoin == Rejoin::Refused {
            return Answer::res(FULL_ROOM);
        }
        let takes_place = !room.has_place(user_name) || (room.entered_by_http(user_name) && self.readings.rejoin == Rejoin::Again);
        if takes_place {
            if room.taken() >= self.capacity {
                return Answer::res(FULL_ROOM);
            }
            room.take_place(user_name);
        }
        room.note_http_entry(user_name);
        Answer::res(JOINED)
    }

    /// `chatroom/room` with status 0: frees the user's place (ROOM-2, ROOM-5). A user who is still in the room by
    /// WebSocket is out of it as well, and everybody concerned is told.
    pub fn leave_by_http(&mut self, room_name: &str, user_name: &str) -> Outcome {
        let Some(room) = self.rooms.get_mut(room_name) else {
            return Answer::res(INVALID_ROOM).into();
        };
        if !room.has_place(user_name) {
            return Answer::res(USER_NOT_EXIST).into();
        }
        let listeners = room.listeners();
        let own = room.listeners_named(user_name);
        room.free_place(user_name);
        let mut outcome = Outcome::from(Answer::res(LEFT));
        if !room.has_place(user_name) && !own.is_empty() {
            outcome.deliveries.push(Delivery {
                to: match self.readings.audience {
                    Audience::Room => listeners,
                    Audience::Sender => own.clone(),
                },
                message: packet::user(user_name, room_name, Activity::Leave),
            });
        }
        for connection in own {
            self.forget_room_if_left(connection, room_name);
        }
        self.release_if_empty(room_name);
        outcome
    }

    /// A text message from a connection. A refused packet is answered to its sender alone, and changes nothing
    /// (ERR-12, ERR-13).
    pub fn receive(&mut self, from: ConnectionId, text: &str) -> Vec<Delivery> {
        let outcome = packet::parse(text, &self.readings, self.limits.name_bytes).and_then(|packet| match packet.kind {
            Kind::Join => self.join(from, &packet),
            Kind::Leave => self.leave(from, &packet),
            Kind::Msg => self.chat(from, &packet),
        });
        outcome.unwrap_or_else(|refusal| self.refuse(from, refusal))
    }

    /// The `error` packet for one connection.
    #[must_use]
    pub fn refuse(&self, to: ConnectionId, refusal: Refusal) -> Vec<Delivery> {
        vec![Delivery { to: vec![to], message: packet::error(refusal, &self.readings) }]
    }

    /// The WebSocket `join` (JOIN-1 to JOIN-5).
    ///
    /// # Errors
    /// The refusal, if the connection doesn't get in.
    pub fn join(&mut self, from: ConnectionId, packet: &ClientPacket) -> Result<Vec<Delivery>, Refusal> {
        let ClientPacket { user_name, room_name, .. } = packet;
        let is_new = !self.rooms.contains_key(room_name);
        if is_new && (self.readings.missing_room == MissingRoom::Refused || self.rooms.len() >= self.limits.rooms) {
            return Err(Refusal::InvalidRoom);
        }
        let made = Room::new(true);
        let room = self.rooms.get(room_name).unwrap_or(&made);
        if room.is_member(from, user_name) {
            return Ok(vec![told(vec![from], packet, Activity::Join)]);
        }
        let is_second_connection = room.connections_of(user_name) > 0;
        if is_second_connection && self.readings.same_name == SameName::Refused {
            return Err(Refusal::UserAlreadyInRoom);
        }
        let elsewhere: Vec<String> = self.rooms_of(from).filter(|room| room != room_name).map(str::to_owned).collect();
        if self.readings.two_rooms == TwoRooms::Refused && !elsewhere.is_empty() {
            return Err(Refusal::AlreadyInAnotherRoom);
        }
        if elsewhere.len() >= self.limits.rooms_per_connection {
            return Err(Refusal::TooManyRooms);
        }
        let creates = room.create_pending
            && match self.readings.first {
                First::ByFlow => !room.entered_by_http(user_name),
                First::ByOrder => true,
            };
        let needs_place = !room.has_place(user_name);
        if needs_place && self.readings.entry_order == EntryOrder::HttpFirst && !room.create_pending {
            return Err(Refusal::UserNotExist);
        }
        if needs_place && room.taken() >= self.capacity {
            return Err(Refusal::FullRoom);
        }

        let mut deliveries = Vec::new();
        if self.readings.two_rooms == TwoRooms::Moves {
            for room_name in &elsewhere {
                deliveries.extend(self.leave_every_name(from, room_name));
            }
        }
        let room = self.rooms.entry(room_name.clone()).or_insert(made);
        if needs_place {
            room.take_place(user_name);
        }
        if creates {
            room.create_pending = false;
        }
        room.add_member(from, user_name);
        self.rooms_of.entry(from).or_default().insert(room_name.clone());
        let activity = if creates { Activity::Create } else { Activity::Join };
        let audience = if is_second_connection || self.readings.audience == Audience::Sender { vec![from] } else { room.listeners() };
        deliveries.push(told(audience, packet, activity));
        Ok(deliveries)
    }

    /// The WebSocket `leave` (LEAVE-1 to LEAVE-4). The place stays the user's until the HTTP leave.
    ///
    /// # Errors
    /// The refusal, if the connection isn't in the room under that name.
    pub fn leave(&mut self, from: ConnectionId, packet: &ClientPacket) -> Result<Vec<Delivery>, Refusal> {
        let room = self.rooms.get_mut(&packet.room_name).ok_or(Refusal::InvalidRoom)?;
        if !room.is_member(from, &packet.user_name) {
            return Err(Refusal::UserNotExist);
        }
        let listeners = room.listeners();
        room.remove_member(from, &packet.user_name);
        let was_last_connection = room.connections_of(&packet.user_name) == 0;
        self.forget_room_if_left(from, &packet.room_name);
        let audience = if was_last_connection && self.readings.audience == Audience::Room { listeners } else { vec![from] };
        Ok(vec![told(audience, packet, Activity::Leave)])
    }

    /// A `msg` packet: every member gets one copy, the sender too (MSG-1 to MSG-8).
    ///
    /// # Errors
    /// The refusal, if the connection isn't in the room under that name.
    pub fn chat(&self, from: ConnectionId, packet: &ClientPacket) -> Result<Vec<Delivery>, Refusal> {
        let room = self.rooms.get(&packet.room_name).ok_or(Refusal::InvalidRoom)?;
        if !room.is_member(from, &packet.user_name) {
            return Err(Refusal::UserNotExist);
        }
        Ok(vec![Delivery { to: room.listeners(), message: packet::msg(&packet.user_name, &packet.room_name, &packet.msg) }])
    }

    /// A connection that ended without leaving: the others are told, and the places of its users are free again
    /// unless another connection is in the room under the same name (GONE-2).
    pub fn gone(&mut self, connection: ConnectionId) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for room_name in self.rooms_of.remove(&connection).unwrap_or_default() {
            let Some(room) = self.rooms.get_mut(&room_name) else {
                continue;
            };
            for user_name in room.names_of(connection) {
                room.remove_member(connection, &user_name);
                if room.connections_of(&user_name) > 0 {
                    continue;
                }
                room.remove_user(&user_name);
                if self.readings.audience == Audience::Room {
                    deliveries.push(Delivery {
                        to: room.listeners().into_iter().filter(|listener| *listener != connection).collect(),
                        message: packet::user(&user_name, &room_name, Activity::Leave),
                    });
                }
            }
            self.release_if_empty(&room_name);
        }
        deliveries
    }

    fn leave_every_name(&mut self, from: ConnectionId, room_name: &str) -> Vec<Delivery> {
        let names = self.rooms.get(room_name).map(|room| room.names_of(from)).unwrap_or_default();
        let leave = |user_name| ClientPacket { kind: Kind::Leave, user_name, room_name: room_name.to_owned(), msg: String::new() };
        names.into_iter().filter_map(|user_name| self.leave(from, &leave(user_name)).ok()).flatten().collect()
    }

    fn forget_room_if_left(&mut self, connection: ConnectionId, room_name: &str) {
        let still_there = self.rooms.get(room_name).is_some_and(|room| !room.names_of(connection).is_empty());
        if !still_there && let Some(rooms) = self.rooms_of.get_mut(&connection) {
            rooms.shift_remove(room_name);
        }
    }

    fn release_if_empty(&mut self, room_name: &str) {
        let Some(room) = self.rooms.get_mut(room_name).filter(|room| room.is_empty()) else {
            return;
        };
        if self.readings.reentry == Reentry::Create {
            room.create_pending = true;
        }
        if self.readings.release == Release::RoomWhenEmpty {
            self.rooms.shift_remove(room_name);
        }
    }

    fn usable(&self, name: &str) -> bool {
        !name.is_empty() && name.len() <= self.limits.name_bytes
    }
}

fn told(to: Vec<ConnectionId>, packet: &ClientPacket, activity: Activity) -> Delivery {
    Delivery { to, message: packet::user(&packet.user_name, &packet.room_name, activity) }
}

#[cfg(test)]
mod tests;
