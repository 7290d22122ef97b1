use super::*;
use crate::reading::Population;
use serde_json::{Value, json};

const ANN: ConnectionId = ConnectionId(1);
const BOB: ConnectionId = ConnectionId(2);
const CID: ConnectionId = ConnectionId(3);

/// A state of rooms with two places, with some readings pinned.
fn state(pinned: &[(&str, &str)]) -> State {
    let mut readings = Readings::default();
    for (id, value) in pinned {
        readings.pin(id, value).unwrap();
    }
    State::new(2, readings, Limits::default())
}

fn http(state: &mut State, room_name: &str, user_name: &str, status: &str) -> String {
    let request = Request::Room { room_name: room_name.to_owned(), user_name: user_name.to_owned(), status: status.to_owned() };
    let answer = state.handle(&Event::Request(&request)).answer.unwrap();
    answer.text().unwrap().to_owned()
}

/// What a packet leads to, as `recipients: type/user/msg` for each delivery.
fn ws(state: &mut State, from: ConnectionId, kind: &str, user: &str, room: &str) -> Vec<String> {
    let data = json!({"user_name": user, "room_name": room, "msg": "hi"});
    let text = json!({"type": kind, "data": data}).to_string();
    shown(&state.receive(from, &text))
}

fn shown(deliveries: &[Delivery]) -> Vec<String> {
    let shown = |delivery: &Delivery| {
        let packet: Value = serde_json::from_str(delivery.message.to_text().unwrap()).unwrap();
        let mut to: Vec<_> = delivery.to.iter().map(|connection| connection.0).collect();
        to.sort_unstable();
        let field = |field: &str| packet["data"][field].as_str().unwrap_or("-").to_owned();
        format!("{to:?}: {}/{}/{}", packet["type"].as_str().unwrap(), field("user_name"), field("msg"))
    };
    deliveries.iter().map(shown).collect()
}

fn population(state: &State, index: usize) -> u64 {
    state.list().body.value()["rooms"][index]["population"].as_u64().unwrap()
}

#[test]
fn the_creator_is_whoever_enters_without_an_http_join() {
    let mut state = state(&[]);
    state.create("r");
    assert_eq!(http(&mut state, "r", "bob", "1"), "join chatroom");
    assert_eq!(ws(&mut state, BOB, "join", "bob", "r"), ["[2]: user/bob/join"]);
    assert_eq!(ws(&mut state, ANN, "join", "ann", "r"), ["[1, 2]: user/ann/create"]);
}

#[test]
fn by_order_the_creator_is_whoever_enters_first() {
    let mut state = state(&[("R-FIRST", "by-order")]);
    state.create("r");
    http(&mut state, "r", "bob", "1");
    assert_eq!(ws(&mut state, BOB, "join", "bob", "r"), ["[2]: user/bob/create"]);
    assert_eq!(ws(&mut state, ANN, "join", "ann", "r"), ["[1, 2]: user/ann/join"]);
}

#[test]
fn a_room_that_was_there_from_the_start_has_no_creator() {
    let mut state = state(&[]);
    state.add_room("r");
    assert_eq!(ws(&mut state, ANN, "join", "ann", "r"), ["[1]: user/ann/join"]);
}

#[test]
fn an_emptied_room_is_joined_or_created_again() {
    for (reentry, expected) in [("join", "[2]: user/bob/join"), ("create", "[2]: user/bob/create")] {
        let mut state = state(&[("R-REENTRY", reentry)]);
        state.create("r");
        ws(&mut state, ANN, "join", "ann", "r");
        ws(&mut state, ANN, "leave", "ann", "r");
        assert_eq!(http(&mut state, "r", "ann", "0"), "leave chatroom");
        assert_eq!(ws(&mut state, BOB, "join", "bob", "r"), [expected]);
    }
}

#[test]
fn places_run_out_and_come_back() {
    let mut state = state(&[]);
    state.add_room("r");
    http(&mut state, "r", "ann", "1");
    ws(&mut state, BOB, "join", "bob", "r");
    assert_eq!(http(&mut state, "r", "cid", "1"), "full room");
    assert_eq!(ws(&mut state, CID, "join", "cid", "r"), ["[3]: error//full room"]);
    assert_eq!(ws(&mut state, ANN, "join", "ann", "r"), ["[1, 2]: user/ann/join"]);
    ws(&mut state, BOB, "leave", "bob", "r");
    assert_eq!(http(&mut state, "r", "cid", "1"), "full room");
    assert_eq!(http(&mut state, "r", "bob", "0"), "leave chatroom");
    assert_eq!(http(&mut state, "r", "bob", "0"), "user not exist");
    assert_eq!(http(&mut state, "r", "cid", "1"), "join chatroom");
}

#[test]
fn population_counts_as_pinned() {
    for (reading, expected) in [("either", [1, 2, 2, 1]), ("http", [0, 1, 1, 1]), ("ws", [1, 1, 0, 0])] {
        let mut state = state(&[("R-POPULATION", reading)]);
        state.create("r");
        ws(&mut state, ANN, "join", "ann", "r");
        let mut seen = vec![population(&state, 0)];
        http(&mut state, "r", "bob", "1");
        seen.push(population(&state, 0));
        ws(&mut state, ANN, "leave", "ann", "r");
        seen.push(population(&state, 0));
        http(&mut state, "r", "ann", "0");
        seen.push(population(&state, 0));
        assert_eq!(seen, expected, "{reading}");
    }
}

#[test]
fn a_second_http_join_is_answered_as_pinned() {
    for (reading, answer, places) in [("once", "join chatroom", 1), ("refused", "full room", 1), ("again", "join chatroom", 2)] {
        let mut state = state(&[("R-REJOIN", reading)]);
        state.add_room("r");
        http(&mut state, "r", "ann", "1");
        assert_eq!(http(&mut state, "r", "ann", "1"), answer);
        assert_eq!(population(&state, 0), places);
        for _ in 0..places {
            assert_eq!(http(&mut state, "r", "ann", "0"), "leave chatroom");
        }
        assert_eq!(http(&mut state, "r", "ann", "0"), "user not exist");
    }
}

#[test]
fn two_connections_of_one_user_are_one_person() {
    let mut state = state(&[]);
    state.add_room("r");
    ws(&mut state, ANN, "join", "ann", "r");
    ws(&mut state, BOB, "join", "bob", "r");
    assert_eq!(ws(&mut state, CID, "join", "bob", "r"), ["[3]: user/bob/join"]);
    assert_eq!(population(&state, 0), 2);
    assert_eq!(ws(&mut state, CID, "msg", "bob", "r"), ["[1, 2, 3]: msg/bob/hi"]);
    assert_eq!(shown(&state.gone(BOB)), Vec::<String>::new());
    assert_eq!(ws(&mut state, CID, "leave", "bob", "r"), ["[1, 3]: user/bob/leave"]);
}

#[test]
fn a_second_connection_of_a_user_is_refused_if_pinned() {
    let mut state = state(&[("R-SAME-NAME", "refused")]);
    state.add_room("r");
    ws(&mut state, ANN, "join", "ann", "r");
    assert_eq!(ws(&mut state, BOB, "join", "ann", "r"), ["[2]: error//user already in room"]);
    assert_eq!(ws(&mut state, ANN, "join", "ann", "r"), ["[1]: user/ann/join"]);
}

#[test]
fn one_connection_under_two_names_hears_everything_once() {
    let mut state = state(&[]);
    state.add_room("r");
    ws(&mut state, ANN, "join", "ann", "r");
    assert_eq!(ws(&mut state, ANN, "join", "amy", "r"), ["[1]: user/amy/join"]);
    assert_eq!(ws(&mut state, ANN, "msg", "amy", "r"), ["[1]: msg/amy/hi"]);
    assert_eq!(ws(&mut state, ANN, "leave", "ann", "r"), ["[1]: user/ann/leave"]);
    assert_eq!(ws(&mut state, ANN, "msg", "ann", "r"), ["[1]: error//user not exist"]);
    assert_eq!(ws(&mut state, ANN, "msg", "amy", "r"), ["[1]: msg/amy/hi"]);
}

#[test]
fn two_rooms_on_one_connection_are_as_pinned() {
    let cases = [
        ("allowed", vec!["[1]: user/ann/join"]),
        ("refused", vec!["[1]: error//already in another room"]),
        ("moves", vec!["[1, 2]: user/ann/leave", "[1]: user/ann/join"]),
    ];
    for (reading, expected) in cases {
        let mut state = state(&[("R-TWO-ROOMS", reading)]);
        state.add_room("r");
        state.add_room("s");
        ws(&mut state, ANN, "join", "ann", "r");
        ws(&mut state, BOB, "join", "bob", "r");
        assert_eq!(ws(&mut state, ANN, "join", "ann", "s"), expected, "{reading}");
    }
}

#[test]
fn rooms_are_independent() {
    let mut state = state(&[]);
    state.add_room("r");
    state.add_room("s");
    ws(&mut state, ANN, "join", "ann", "r");
    ws(&mut state, ANN, "join", "ann", "s");
    ws(&mut state, BOB, "join", "bob", "s");
    assert_eq!(ws(&mut state, ANN, "leave", "ann", "r"), ["[1]: user/ann/leave"]);
    assert_eq!(ws(&mut state, ANN, "msg", "ann", "s"), ["[1, 2]: msg/ann/hi"]);
    assert_eq!(shown(&state.gone(ANN)), ["[2]: user/ann/leave"]);
    assert_eq!((population(&state, 0), population(&state, 1)), (1, 1));
}

#[test]
fn an_http_leave_ends_the_membership_too() {
    let mut state = state(&[]);
    state.add_room("r");
    ws(&mut state, ANN, "join", "ann", "r");
    ws(&mut state, BOB, "join", "bob", "r");
    assert_eq!(shown(&state.leave_by_http("r", "bob").deliveries), ["[1, 2]: user/bob/leave"]);
    assert_eq!(ws(&mut state, BOB, "msg", "bob", "r"), ["[2]: error//user not exist"]);
    assert_eq!(state.rooms_of(BOB).count(), 0);
    assert_eq!(shown(&state.gone(BOB)), Vec::<String>::new());
}

#[test]
fn an_emptied_room_goes_if_pinned() {
    let mut state = state(&[("R-RELEASE", "room-when-empty")]);
    state.create("r");
    ws(&mut state, ANN, "join", "ann", "r");
    http(&mut state, "r", "bob", "1");
    http(&mut state, "r", "bob", "0");
    assert!(state.room("r").is_some());
    state.gone(ANN);
    assert_eq!(http(&mut state, "r", "bob", "1"), "invalid room");
}

#[test]
fn a_missing_room_is_made_if_pinned() {
    let mut state = state(&[("R-MISSING-ROOM", "made")]);
    assert_eq!(ws(&mut state, ANN, "join", "ann", "r"), ["[1]: user/ann/create"]);
    assert_eq!(ws(&mut state, BOB, "join", "bob", "r"), ["[1, 2]: user/bob/join"]);
    assert_eq!(population(&state, 0), 2);
}

#[test]
fn the_limits_hold() {
    let limits = Limits { rooms: 2, rooms_per_connection: 1, ..Limits::default() };
    let mut state = State::new(2, Readings::default(), limits);
    state.create("r");
    state.create("s");
    assert_eq!(state.create("t"), Answer::bad_request(TOO_MANY_ROOMS));
    ws(&mut state, ANN, "join", "ann", "r");
    assert_eq!(ws(&mut state, ANN, "join", "ann", "s"), ["[1]: error//too many rooms"]);
    let long = "x".repeat(1_025);
    assert_eq!(ws(&mut state, ANN, "join", &long, "s"), ["[1]: error//illegal data"]);
}

/// Every listener is in the room under names that have places, and knows that it is; nobody is in beyond the capacity.
fn check_invariants(state: &mut State, connections: &[ConnectionId]) {
    let capacity = state.capacity;
    let rooms: Vec<String> = state.rooms_mut().keys().cloned().collect();
    for name in &rooms {
        let room = state.room(name).unwrap();
        assert!(room.taken() <= capacity);
        for connection in connections {
            let names = room.names_of(*connection);
            assert_eq!(room.listeners().contains(connection), !names.is_empty());
            assert_eq!(state.rooms_of(*connection).any(|room| room == name), !names.is_empty());
            assert!(names.iter().all(|user| room.has_place(user) && room.connections_of(user) > 0));
        }
        assert!(room.population(Population::Http) <= room.population(Population::Either));
        assert!(room.population(Population::Ws) <= room.population(Population::Either));
    }
}

#[test]
fn whatever_happens_the_rooms_stay_consistent() {
    let variants: [&[(&str, &str)]; 4] = [
        &[],
        &[("R-REJOIN", "again"), ("R-RELEASE", "room-when-empty"), ("R-TWO-ROOMS", "moves")],
        &[("R-SAME-NAME", "refused"), ("R-MISSING-ROOM", "made"), ("R-REENTRY", "create")],
        &[("R-TWO-ROOMS", "refused"), ("R-ENTRY-ORDER", "http-first"), ("R-FIRST", "by-order"), ("R-AUDIENCE", "sender")],
    ];
    let mut random = 7_u64;
    let mut pick = |many: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % many
    };
    for pinned in variants {
        let mut state = state(pinned);
        let connections = [ANN, BOB, CID];
        for _ in 0..3_000 {
            let (room, user) = (["r", "s", "t"][pick(3)], ["ann", "bob", "cid"][pick(3)]);
            let from = connections[pick(3)];
            match pick(8) {
                0 => drop(state.create(room)),
                1 => drop(http(&mut state, room, user, "0")),
                2 => drop(http(&mut state, room, user, "1")),
                3 => drop(state.gone(from)),
                4 => drop(ws(&mut state, from, "leave", user, room)),
                5 => drop(ws(&mut state, from, "msg", user, room)),
                _ => drop(ws(&mut state, from, "join", user, room)),
            }
            check_invariants(&mut state, &connections);
        }
        connections.into_iter().for_each(|connection| drop(state.gone(connection)));
        check_invariants(&mut state, &connections);
    }
}
