//! What may come of an HTTP request.

use super::Names;
use super::outcome::{CREATED, EXISTS, FULL_ROOM, INVALID_ROOM, INVALID_STATUS, JOINED, LEFT, Outcome, Pattern, Reply, USER_NOT_EXIST};
use super::reading::{population, rejoin};
use super::state::{Room, Seat, State};
use crate::explore::action::Name;

/// `chatroom/create`.
pub fn create(names: &Names, state: &State, room: &Name) -> Vec<Outcome> {
    if room.is_empty() {
        return vec![Outcome::replied(state.clone(), Reply::NoneOf(vec![CREATED]), "CREATE-4")];
    }
    // It belongs to no trace, so that another may have made it.
    if matches!(room, Name::Literal(_)) {
        return vec![Outcome::replied(state.clone(), Reply::OneOf(vec![CREATED, EXISTS]), "CREATE-1")];
    }
    if state.rooms.contains_key(room) {
        return vec![Outcome::replied(state.clone(), Reply::OneOf(vec![EXISTS]), "CREATE-2")];
    }
    let mut created = state.clone();
    created.rooms.insert(room.clone(), Room { awaits_creator: true, ..Room::default() });
    let mut outcomes = vec![Outcome::replied(created, Reply::OneOf(vec![CREATED]), "CREATE-1")];
    if names.is_long(room) {
        outcomes.push(Outcome::replied(state.clone(), Reply::NoneOf(vec![CREATED]), "CREATE-1"));
    }
    outcomes
}

/// `chatroom/list`.
pub fn list(state: &State) -> Vec<Outcome> {
    let values = [population::EITHER, population::HTTP, population::WS];
    let listed = |(value, state): (_, State)| {
        let entry = |(name, room): (&Name, &Room)| {
            let (least, most) = state.population(room, value);
            (name.clone(), least, most)
        };
        let rooms = state.rooms.iter().map(entry).collect();
        Outcome::replied(state, Reply::List(rooms), "LIST-5")
    };
    state.under(&values).into_iter().map(listed).collect()
}

/// `chatroom/room` with any status.
pub fn room(names: &Names, state: &State, room: &Name, user: &Name, status: &str) -> Vec<Outcome> {
    let refusal = || Reply::NoneOf(vec![JOINED, LEFT]);
    if room.is_empty() || user.is_empty() || status.is_empty() {
        return vec![Outcome::replied(state.clone(), refusal(), "ROOM-7")];
    }
    let mut outcomes = match status {
        "1" => enter(state, room, user),
        "0" => leave(state, room, user),
        other => unknown_status(state, room, user, other),
    };
    if names.is_long(room) || names.is_long(user) {
        outcomes.push(Outcome::replied(state.clone(), refusal(), "ROOM-1"));
    }
    outcomes
}

fn enter(state: &State, name: &Name, user: &Name) -> Vec<Outcome> {
    let Some(room) = state.rooms.get(name) else {
        return vec![Outcome::replied(state.clone(), Reply::OneOf(vec![INVALID_ROOM]), "ROOM-3")];
    };
    let refused = |state: State| Outcome::replied(state, Reply::NoneOf(vec![JOINED, LEFT]), "READ-1");
    let noted = |mut state: State| {
        if let Some(seat) = state.rooms.get_mut(name).and_then(|room| room.seats.get_mut(user)) {
            seat.by_http = true;
        }
        Outcome::replied(state, Reply::OneOf(vec![JOINED]), "READ-1")
    };
    let Some(seat) = room.seats.get(user) else {
        let proves = if room.freed { "ROOM-8" } else { "ROOM-1" };
        return take_place(state, name, user, proves);
    };
    let mut outcomes = Vec::new();
    for (value, state) in state.under(&[rejoin::ONCE, rejoin::REFUSED, rejoin::AGAIN]) {
        match value {
            rejoin::ONCE => outcomes.push(noted(state)),
            rejoin::REFUSED => outcomes.push(refused(state)),
            _ => outcomes.extend(take_place(&state, name, user, "READ-1")),
        }
    }
    // Of an HTTP join after a WebSocket join alone the document says nothing, and no reading is about it.
    if !seat.by_http {
        outcomes.push(noted(state.clone()));
    }
    outcomes
}

/// The user gets a place if there is one.
fn take_place(state: &State, name: &Name, user: &Name, proves: &'static str) -> Vec<Outcome> {
    let Some(room) = state.rooms.get(name) else { return Vec::new() };
    let (least, most) = state.taken(room);
    let mut outcomes = Vec::new();
    if least < state.capacity.1 {
        let mut entered = state.clone();
        entered.capacity.0 = entered.capacity.0.max(least + 1);
        if let Some(room) = entered.rooms.get_mut(name) {
            let seat = room.seats.entry(user.clone()).or_default();
            *seat = Seat { places: seat.places + 1, by_http: true, came: seat.came };
            // One is taken; whether another is still free, the next join shows.
            room.freed = false;
        }
        outcomes.push(Outcome::replied(entered, Reply::OneOf(vec![JOINED]), proves));
    }
    if most >= state.capacity.0 {
        let mut full = state.clone();
        full.capacity.1 = full.capacity.1.min(most);
        outcomes.push(Outcome::replied(full, Reply::OneOf(vec![FULL_ROOM]), "ROOM-6"));
    }
    outcomes
}

fn leave(state: &State, name: &Name, user: &Name) -> Vec<Outcome> {
    let Some(room) = state.rooms.get(name) else {
        return vec![Outcome::replied(state.clone(), Reply::OneOf(vec![INVALID_ROOM]), "ROOM-3")];
    };
    let members: Vec<_> = room.members.iter().filter(|(_, one)| one == user).cloned().collect();
    let Some(seat) = room.seats.get(user) else {
        if members.is_empty() {
            return vec![Outcome::replied(state.clone(), Reply::OneOf(vec![USER_NOT_EXIST]), "ROOM-5")];
        }
        // Its seat is given back, and the connection is still in the room: both answers are true.
        let again = Outcome::replied(state.clone(), Reply::OneOf(vec![USER_NOT_EXIST, LEFT]), "ROOM-5");
        return [vec![again], put_out(state, name, user, &members)].concat();
    };
    let mut freed = state.clone();
    let is_full = state.taken(room).1 >= state.capacity.0;
    let is_last_place = seat.places == 1;
    if let Some(room) = freed.rooms.get_mut(name) {
        room.freed |= is_full && state.capacity.0 == state.capacity.1;
        if is_last_place {
            room.seats.remove(user);
        } else if let Some(seat) = room.seats.get_mut(user) {
            seat.places -= 1;
        }
    }
    if !members.is_empty() {
        let stays = Outcome::replied(freed.clone(), Reply::OneOf(vec![LEFT]), "ROOM-2");
        return [vec![stays], put_out(&freed, name, user, &members)].concat();
    }
    let came = seat.came;
    let left = |freed: State| {
        let listeners = freed.listeners(name);
        let outcome = Outcome::replied(freed, Reply::OneOf(vec![LEFT]), "ROOM-2");
        // Whoever left by WebSocket was told of then; one who never came there need not be told of, and may be.
        let told = listeners.into_iter().filter(|_| !came);
        told.fold(outcome, |outcome, to| outcome.may(to, Pattern::user(user, name, "leave")))
    };
    freed.released(name).into_iter().map(left).collect()
}

/// The HTTP leave also ends the membership of the user's connections; who is told of it, the document doesn't say.
fn put_out(state: &State, name: &Name, user: &Name, members: &[(super::state::Connection, Name)]) -> Vec<Outcome> {
    let listeners = state.listeners(name);
    let mut out = state.clone();
    if let Some(room) = out.rooms.get_mut(name) {
        for member in members {
            room.members.remove(member);
        }
    }
    out.forget_faded();
    let told = |state: State| {
        let outcome = Outcome::replied(state, Reply::OneOf(vec![LEFT]), "ROOM-2");
        listeners.iter().fold(outcome, |outcome, to| outcome.may(*to, Pattern::user(user, name, "leave")))
    };
    out.released(name).into_iter().map(told).collect()
}

fn unknown_status(state: &State, name: &Name, user: &Name, status: &str) -> Vec<Outcome> {
    let mut texts = vec![INVALID_STATUS];
    match state.rooms.get(name) {
        None => texts.push(INVALID_ROOM),
        Some(room) if !room.seats.contains_key(user) => texts.push(USER_NOT_EXIST),
        Some(_) => {}
    }
    let proves = if texts.len() > 1 && !state.rooms.contains_key(name) { "ROOM-12" } else { "ROOM-4" };
    let refused = Outcome::replied(state.clone(), Reply::OneOf(texts), proves);
    // `01` or ` 1 ` may be read as the number that it stands for.
    let meant = match status.trim().parse::<f64>() {
        Ok(1.0) => enter(state, name, user),
        Ok(0.0) => leave(state, name, user),
        _ => Vec::new(),
    };
    [vec![refused], meant].concat()
}
