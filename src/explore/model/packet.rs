//! What may come of a WebSocket `leave` or `msg`, and of a connection that has ended.

use std::collections::BTreeSet;

use super::Names;
use super::outcome::{ILLEGAL_DATA, NULL_MESSAGE, Outcome, Pattern, error, refused};
use super::reading::audience;
use super::state::{Connection, State};
use crate::explore::action::{Actor, Name};

/// Bytes above which a server may refuse a text.
const LONG_TEXT: usize = 65_536;

pub fn leave(state: &State, actor: Actor, name: &Name, user: &Name) -> Vec<Outcome> {
    let Some(connection) = state.connection(actor) else {
        return vec![Outcome::new(state.clone(), "CONN-1")];
    };
    if let Some(proves) = Names::illegal(name, user) {
        return vec![error(state, actor, vec![ILLEGAL_DATA], proves)];
    }
    let Some(room) = state.rooms.get(name).filter(|room| room.holds(connection, user)) else {
        // It is told to no member; how the sender is answered is the server's choice.
        let is_member = state.rooms.get(name).is_some_and(|room| !room.names_of(connection).is_empty());
        let mut outcomes = refused(state, actor, "LEAVE-4");
        if !is_member {
            let echo = Pattern::user(user, name, "leave");
            outcomes = outcomes.into_iter().map(|outcome| outcome.may(actor, echo.clone())).collect();
        }
        return outcomes;
    };
    let has_twin = room.has_twin(connection, user);
    let mut left = state.clone();
    if let Some(room) = left.rooms.get_mut(name) {
        room.members.remove(&(connection, user.clone()));
    }
    let others: BTreeSet<Actor> = left.listeners(name).into_iter().filter(|to| *to != actor).collect();
    let word = Pattern::user(user, name, "leave");
    let told = |(value, state): (_, State)| {
        let outcome = Outcome::new(state, "LEAVE-1").due(actor, word.clone(), "LEAVE-1");
        match value {
            Some(audience::ROOM) => others.iter().fold(outcome, |outcome, to| outcome.due(*to, word.clone(), "LEAVE-2")),
            Some(_) => outcome,
            // The user is still in the room by another connection, so that for the others it may not have left.
            None => others.iter().fold(outcome, |outcome, to| outcome.may(*to, word.clone())),
        }
    };
    let mut outcomes = Vec::new();
    for state in left.released(name) {
        if others.is_empty() || has_twin {
            outcomes.push(told((None, state)));
        } else {
            let values = state.under(&[audience::ROOM, audience::SENDER]);
            outcomes.extend(values.into_iter().map(|(value, state)| told((Some(value), state))));
        }
    }
    outcomes
}

pub fn say(state: &State, actor: Actor, name: &Name, user: &Name, text: &str) -> Vec<Outcome> {
    let Some(connection) = state.connection(actor) else {
        return vec![Outcome::new(state.clone(), "CONN-1")];
    };
    match (Names::illegal(name, user), text.is_empty()) {
        (Some(_), true) => return vec![error(state, actor, vec![ILLEGAL_DATA, NULL_MESSAGE], "ERR-14")],
        (Some(proves), false) => return vec![error(state, actor, vec![ILLEGAL_DATA], proves)],
        (None, true) => return vec![error(state, actor, vec![NULL_MESSAGE], "ERR-10")],
        (None, false) => {}
    }
    let echo = Pattern::msg(user, name, text);
    let Some(room) = state.rooms.get(name) else {
        return vec![Outcome::new(state.clone(), "MSG-7").may(actor, Pattern::AnyError).may(actor, echo)];
    };
    let own = room.names_of(connection);
    if own.is_empty() {
        return refused(state, actor, "MSG-6").into_iter().map(|outcome| outcome.may(actor, echo.clone())).collect();
    }
    let listeners = state.listeners(name);
    if !own.contains(user) {
        // A server may put the message right and deliver it under the name that its sender has.
        let corrected = own.iter().map(|own| {
            let told = Pattern::msg(own, name, text);
            listeners.iter().fold(Outcome::new(state.clone(), "MSG-8"), |outcome, to| outcome.due(*to, told.clone(), "MSG-8"))
        });
        return refused(state, actor, "MSG-8").into_iter().chain(corrected).collect();
    }
    let mut outcome = Outcome::new(state.clone(), "MSG-1");
    for to in listeners {
        outcome = outcome.due(to, echo.clone(), if to == actor { "MSG-1" } else { "MSG-2" });
        // A connection that is in the room under two names is two members in a way.
        let names = state.connection(to).map_or(0, |connection| room.names_of(connection).len());
        outcome = (1..names).fold(outcome, |outcome, _| outcome.may(to, echo.clone()));
    }
    let mut outcomes = vec![outcome];
    if text.len() > LONG_TEXT {
        outcomes.extend(refused(state, actor, "ROB-6"));
    }
    outcomes
}

/// The server takes notice that a connection has ended: the others are told, and its users' places become free (GONE-2).
/// It may do so at any time, and keep the places for a while longer, since the document says nothing of it.
pub fn noticed(state: &State, connection: Connection) -> Vec<Outcome> {
    let mut gone = Outcome::new(state.clone(), "GONE-2");
    gone.state.fading.remove(&connection);
    let mut seats = Vec::new();
    let mut told = Vec::new();
    for name in state.rooms_of(connection) {
        let Some(room) = gone.state.rooms.get_mut(&name) else { continue };
        let users = room.names_of(connection);
        room.members.retain(|(one, _)| *one != connection);
        let left: Vec<Name> = users.into_iter().filter(|user| !room.has_twin(connection, user)).collect();
        for (user, to) in left.iter().flat_map(|user| gone.state.listeners(&name).into_iter().map(move |to| (user, to))) {
            told.push((to, Pattern::user(user, &name, "leave")));
        }
        seats.push((name, left));
    }
    let mut states = vec![gone.state.clone()];
    for (name, users) in &seats {
        let free = |mut state: State| {
            if let Some(room) = state.rooms.get_mut(name) {
                room.seats.retain(|user, _| !users.contains(user));
            }
            // Its users vanished and did not leave, so that the room may stay where it else goes with the last.
            let stays = state.rooms.get(name).is_some_and(|room| room.is_empty()).then(|| state.clone());
            let mut states = state.released(name);
            states.extend(stays.map(|mut stays| {
                if let Some(room) = stays.rooms.get_mut(name) {
                    room.emptied = true;
                }
                stays
            }));
            states
        };
        states = states.into_iter().flat_map(free).collect();
    }
    // The places may stay taken for a while.
    if seats.iter().any(|(_, users)| !users.is_empty()) {
        states.push(gone.state.clone());
    }
    let mut outcomes = Vec::new();
    for state in states {
        if told.is_empty() {
            outcomes.push(Outcome { state, ..gone.clone() });
            continue;
        }
        for (value, state) in state.under(&[audience::ROOM, audience::SENDER]) {
            let outcome = Outcome { state, ..gone.clone() };
            outcomes.push(match value {
                audience::ROOM => told.iter().fold(outcome, |outcome, (to, word)| outcome.due(*to, word.clone(), "GONE-2")),
                _ => told.iter().fold(outcome, |outcome, (to, word)| outcome.may(*to, word.clone())),
            });
        }
    }
    outcomes
}
