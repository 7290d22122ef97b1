//! What may come of a WebSocket `join`.

use super::Names;
use super::outcome::{ILLEGAL_DATA, Outcome, Pattern, error, refused};
use super::reading::{audience, entry_order, first, missing_room, reentry, same_name, two_rooms};
use super::state::{Connection, Room, Seat, State};
use crate::explore::action::{Actor, Name};

pub fn join(names: &Names, state: &State, actor: Actor, room: &Name, user: &Name) -> Vec<Outcome> {
    let Some(connection) = state.connection(actor) else {
        return vec![Outcome::new(state.clone(), "CONN-1")];
    };
    if let Some(proves) = Names::illegal(room, user) {
        return vec![error(state, actor, vec![ILLEGAL_DATA], proves)];
    }
    let entry = Entry { connection, actor, name: room, user };
    let mut outcomes = match state.rooms.get(room) {
        None => missing(&entry, state),
        Some(place) if place.holds(connection, user) => again(&entry, state),
        Some(_) => entry.entering_existing(state),
    };
    if names.is_long(room) || names.is_long(user) {
        outcomes.extend(refused(state, actor, "JOIN-2"));
    }
    outcomes
}

/// Who wants to enter which room under which name.
struct Entry<'a> {
    connection: Connection,
    actor: Actor,
    name: &'a Name,
    user: &'a Name,
}

/// A state in which nothing but the room itself is in the way, with the packets that came of getting there.
type Start = Outcome;

fn missing(entry: &Entry<'_>, state: &State) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    if let Some(state) = state.with(missing_room::REFUSED) {
        outcomes.extend(refused(&state, entry.actor, "READ-1"));
    }
    // Whoever makes a room by entering it may count as its creator or not.
    for awaits_creator in [true, false] {
        let Some(mut made) = state.with(missing_room::MADE) else { continue };
        made.rooms.insert(entry.name.clone(), Room { awaits_creator, ..Room::default() });
        outcomes.extend(entry.entering_existing(&made).into_iter().map(|mut outcome| {
            if !entry.is_in(&outcome.state) {
                outcome.state.rooms.remove(entry.name);
            }
            outcome
        }));
    }
    outcomes
}

/// The connection is in the room under this name already: nobody enters, and the document doesn't say who is told what.
fn again(entry: &Entry<'_>, state: &State) -> Vec<Outcome> {
    let outcome = Outcome::new(state.clone(), "JOIN-4").may(entry.actor, Pattern::AnyError);
    let told = Pattern::Activity { user: entry.user.clone(), room: entry.name.clone() };
    vec![state.listeners(entry.name).into_iter().fold(outcome, |outcome, to| outcome.may(to, told.clone()))]
}

impl Entry<'_> {
    fn room<'a>(&self, state: &'a State) -> Option<&'a Room> {
        state.rooms.get(self.name)
    }

    fn is_in(&self, state: &State) -> bool {
        self.room(state).is_some_and(|room| room.holds(self.connection, self.user))
    }

    fn entering_existing(&self, state: &State) -> Vec<Outcome> {
        let (states, mut outcomes) = self.past_twins(state);
        for state in states {
            let (starts, more) = self.past_other_rooms(&state);
            outcomes.extend(more);
            outcomes.extend(starts.iter().flat_map(|start| self.past_the_order(start)));
        }
        outcomes
    }

    /// The states in which the name's other connections are no obstacle, and what comes where they are (R-SAME-NAME).
    fn past_twins(&self, state: &State) -> (Vec<State>, Vec<Outcome>) {
        if !self.room(state).is_some_and(|room| room.has_twin(self.connection, self.user)) {
            return (vec![state.clone()], Vec::new());
        }
        let refusing = state.with(same_name::REFUSED).map(|state| refused(&state, self.actor, "READ-1"));
        (state.with(same_name::BOTH).into_iter().collect(), refusing.unwrap_or_default())
    }

    /// The same for the rooms that the connection is in already (R-TWO-ROOMS).
    fn past_other_rooms(&self, state: &State) -> (Vec<Start>, Vec<Outcome>) {
        let elsewhere: Vec<Name> = state.rooms_of(self.connection).into_iter().filter(|room| room != self.name).collect();
        if elsewhere.is_empty() {
            return (vec![Outcome::new(state.clone(), "JOIN-2")], Vec::new());
        }
        let mut starts = Vec::new();
        let mut outcomes = Vec::new();
        for (value, state) in state.under(&[two_rooms::ALLOWED, two_rooms::REFUSED, two_rooms::MOVES]) {
            match value {
                two_rooms::ALLOWED => starts.push(Outcome::new(state, "JOIN-2")),
                two_rooms::REFUSED => outcomes.extend(refused(&state, self.actor, "READ-1")),
                _ => {
                    // Whoever is refused has not moved.
                    let unmoved = self.past_the_order(&Outcome::new(state.clone(), "JOIN-2"));
                    outcomes.extend(unmoved.into_iter().filter(|outcome| !self.is_in(&outcome.state)));
                    starts.extend([false, true].into_iter().flat_map(|frees| self.moved(&state, &elsewhere, frees)));
                }
            }
        }
        (starts, outcomes)
    }

    /// The connection leaves its rooms, and keeps its seats there or gives them back: both are leaving.
    fn moved(&self, state: &State, rooms: &[Name], frees: bool) -> Vec<Start> {
        let mut starts = vec![Outcome::new(state.clone(), "READ-1")];
        for name in rooms {
            let left = |mut start: Start| {
                let listeners = start.state.listeners(name);
                let room = start.state.rooms.get_mut(name);
                let users = room.as_ref().map(|room| room.names_of(self.connection)).unwrap_or_default();
                if let Some(room) = room {
                    room.members.retain(|(one, _)| *one != self.connection);
                    room.seats.retain(|user, _| !frees || !users.contains(user));
                }
                for (user, to) in users.iter().flat_map(|user| listeners.iter().map(move |to| (user, *to))) {
                    start = start.may(to, Pattern::user(user, name, "leave"));
                }
                let states = start.state.clone().released(name);
                states.into_iter().map(move |state| Outcome { state, ..start.clone() })
            };
            starts = starts.into_iter().flat_map(left).collect();
        }
        starts
    }

    /// Whether it is the creator who comes, whether an HTTP join is needed, and whether a place is free.
    fn past_the_order(&self, start: &Start) -> Vec<Outcome> {
        let Some(room) = self.room(&start.state) else { return Vec::new() };
        let seat = room.seats.get(self.user);
        let by_http = seat.is_some_and(|seat| seat.by_http);
        let mut outcomes = Vec::new();
        for (awaited, is_new, state) in self.awaiting(&start.state, room) {
            // By the join flow nobody is the creator, unless whoever comes first is (R-FIRST).
            let ways = match (awaited, by_http) {
                (false, _) => vec![(false, state)],
                (true, false) => vec![(true, state)],
                (true, true) => {
                    let ways = state.under(&[first::BY_FLOW, first::BY_ORDER]);
                    ways.into_iter().map(|(value, state)| (value == first::BY_ORDER, state)).collect()
                }
            };
            for (creates, state) in ways {
                if by_http || (creates && is_new) {
                    outcomes.extend(self.past_the_door(start, &state, creates));
                    continue;
                }
                // A seat that was taken by WebSocket alone may or may not count as the HTTP join that is asked for.
                let unasked = if seat.is_some() { self.past_the_door(start, &state, creates) } else { Vec::new() };
                outcomes.extend(unasked);
                for (value, state) in state.under(&[entry_order::OPEN, entry_order::HTTP_FIRST]) {
                    match value {
                        entry_order::OPEN if seat.is_none() => outcomes.extend(self.past_the_door(start, &state, creates)),
                        entry_order::OPEN => {}
                        _ => {
                            outcomes.extend(refused(&state, self.actor, "READ-1"));
                            if creates {
                                outcomes.extend(self.past_the_door(start, &state, creates));
                            }
                        }
                    }
                }
            }
        }
        outcomes
    }

    /// Whether the room waits for somebody who gets `create`, whether that is its first creator, and what follows of the
    /// readings: a room that has emptied may count as new (R-REENTRY).
    fn awaiting(&self, state: &State, room: &Room) -> Vec<(bool, bool, State)> {
        if room.awaits_creator {
            return vec![(true, true, state.clone())];
        }
        let mut awaiting = Vec::new();
        let is_deserted = room.visited && room.members.is_empty();
        if room.emptied || is_deserted {
            awaiting.extend(state.with(reentry::CREATE).map(|state| (true, false, state)));
        }
        if !room.emptied {
            awaiting.push((false, false, state.clone()));
        } else {
            awaiting.extend(state.with(reentry::JOIN).map(|state| (false, false, state)));
        }
        awaiting
    }

    /// Enters, if there is a place (JOIN-5).
    fn past_the_door(&self, start: &Start, state: &State, creates: bool) -> Vec<Outcome> {
        let Some(room) = self.room(state) else { return Vec::new() };
        if room.seats.contains_key(self.user) {
            return self.entered(start, state.clone(), creates);
        }
        let (least, most) = state.taken(room);
        let mut outcomes = Vec::new();
        if least < state.capacity.1 {
            let mut entered = state.clone();
            entered.capacity.0 = entered.capacity.0.max(least + 1);
            outcomes.extend(self.entered(start, entered, creates));
        }
        if most >= state.capacity.0 {
            let mut full = state.clone();
            full.capacity.1 = full.capacity.1.min(most);
            outcomes.extend(refused(&full, self.actor, "JOIN-5"));
        }
        outcomes
    }

    fn entered(&self, start: &Start, mut state: State, creates: bool) -> Vec<Outcome> {
        let others: Vec<Actor> = state.listeners(self.name).into_iter().filter(|to| *to != self.actor).collect();
        let Some(room) = state.rooms.get_mut(self.name) else { return Vec::new() };
        let has_twin = room.has_twin(self.connection, self.user);
        let was_here = !room.names_of(self.connection).is_empty();
        let seat = room.seats.entry(self.user.clone()).or_insert(Seat { places: 1, ..Seat::default() });
        seat.came = true;
        room.members.insert((self.connection, self.user.clone()));
        room.visited = true;
        // Where somebody came by the join flow, whoever gets `create` may still be to come.
        room.awaits_creator &= !creates;
        room.emptied &= !creates && state.readings.allow(reentry::CREATE);
        let proves = if creates { "JOIN-1" } else { "JOIN-2" };
        let word = Pattern::user(self.user, self.name, if creates { "create" } else { "join" });
        let entered = |state: State| Outcome { state, proves, ..start.clone() }.due(self.actor, word.clone(), proves);
        // Under a second name, or as a second connection, somebody enters who was there already in a way.
        if has_twin || was_here {
            let told = entered(state);
            let told = if was_here { told.may(self.actor, word.clone()) } else { told };
            return vec![others.iter().fold(told, |told, to| told.may(*to, word.clone()))];
        }
        if others.is_empty() {
            return vec![entered(state)];
        }
        let mut outcomes = Vec::new();
        for (value, state) in state.under(&[audience::ROOM, audience::SENDER]) {
            let told = entered(state);
            outcomes.push(match value {
                audience::ROOM => others.iter().fold(told, |told, to| told.due(*to, word.clone(), "JOIN-3")),
                _ => told,
            });
        }
        outcomes
    }
}
