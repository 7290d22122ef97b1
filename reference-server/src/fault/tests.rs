//! Every fault is put through one long exercise, and must differ from the correct server in what clients see.

use super::*;
use crate::event::Event;
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::reading::Readings;
use crate::request::Request;
use crate::room::ConnectionId;
use crate::state::State;
use crate::{Config, Limits};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const CAPACITY: usize = 3;
const CONNECTIONS: usize = 14;

struct Exercise {
    hub: Arc<Hub>,
    connections: Vec<(ConnectionId, Arc<Outbox>)>,
    transcript: Vec<String>,
}

impl Exercise {
    fn new(fault: Option<Fault>) -> Self {
        let state = State::new(CAPACITY, Readings::default(), Limits::default());
        let hub = Arc::new(Hub::new(state, Limits::default(), fault.map(|fault| fault.active())));
        let connections = (0..CONNECTIONS).map(|_| hub.connect()).collect();
        Self { hub, connections, transcript: Vec::new() }
    }

    fn read_all(&mut self) {
        for (connection, outbox) in &self.connections {
            while let Some(message) = outbox.pop() {
                self.transcript.push(format!("{}: {message:?}", connection.0));
            }
            let ending = outbox.ended().now_or_never().or_else(|| outbox.ends_when_empty());
            self.transcript.extend(ending.map(|ending| format!("{}: {ending:?}", connection.0)));
        }
    }

    async fn request(&mut self, request: Request) {
        let answer = self.hub.answer(&request).await;
        self.transcript.push(format!("{answer:?}"));
        self.read_all();
    }

    async fn list(&mut self) {
        self.request(Request::List).await;
    }

    async fn create(&mut self, room: &str) {
        self.request(create(room)).await;
    }

    async fn room(&mut self, room: &str, user: &str, status: &str) {
        self.request(enter(room, user, status)).await;
    }

    async fn text(&mut self, from: usize, text: &str) {
        self.hub.handle(Event::Text(self.connections[from].0, text)).await;
        self.read_all();
    }

    async fn packet(&mut self, from: usize, kind: &str, user: &str, room: &str, msg: &str) {
        let data = json!({"user_name": user, "room_name": room, "msg": msg});
        self.text(from, &json!({"type": kind, "data": data}).to_string()).await;
    }

    async fn gone(&mut self, from: usize) {
        self.hub.handle(Event::Gone(self.connections[from].0)).await;
        self.read_all();
    }

    async fn both(&mut self, left: Request, right: Request) {
        let (left, right) = tokio::join!(self.hub.answer(&left), self.hub.answer(&right));
        self.transcript.push(format!("{left:?} {right:?}"));
    }
}

fn create(room: &str) -> Request {
    Request::Create { room_name: room.to_owned() }
}

fn enter(room: &str, user: &str, status: &str) -> Request {
    Request::Room { room_name: room.to_owned(), user_name: user.to_owned(), status: status.to_owned() }
}

async fn names_and_lists(exercise: &mut Exercise) {
    exercise.list().await;
    for name in ["", "r", "R", "r", " a b ", "a&b", "a%41", "x/y?", "<b>", "聊", "聊", "42", "s"] {
        exercise.create(name).await;
        exercise.list().await;
    }
    exercise.both(create("raced"), create("raced")).await;
    exercise.list().await;
}

/// Fills the room `r`: ann creates it, bob and cid join, and there is no place for dan.
async fn entries(exercise: &mut Exercise) {
    exercise.packet(0, "join", "ann", "r", "").await;
    exercise.create("r").await;
    exercise.list().await;
    exercise.room("r", "bob", "1").await;
    exercise.packet(1, "join", "bob", "r", "").await;
    exercise.room("r", "cid", "1").await;
    exercise.packet(2, "join", "cid", "r", "").await;
    exercise.room("r", "dan", "1").await;
    exercise.list().await;
    exercise.room("r", "dan", "0").await;
    exercise.room("r", "dan", "1").await;
    exercise.room("r", "dan", "0").await;
    exercise.packet(3, "join", "dan", "r", "").await;
    exercise.list().await;
    exercise.packet(4, "join", "ann", "s", "").await;
    exercise.packet(5, "join", "eve", "s", "").await;
    exercise.room("s", "cid", "1").await;
    exercise.create("s").await;
    exercise.list().await;
    exercise.packet(7, "join", "gus", "42", "").await;
    exercise.create("42").await;
    exercise.packet(8, "join", "hal", "42", "").await;
    exercise.packet(2, "join", "cid", "s", "").await;
    exercise.packet(8, "join", "hal", "raced", "").await;
}

async fn chat(exercise: &mut Exercise) {
    let texts = ["hi", "<b>&\"", "a\nb", "聊😀", " sp ", "back\\slash", "42"];
    let long = ["x".repeat(5_000), "y".repeat(70_000)];
    for text in texts.iter().copied().chain(long.iter().map(String::as_str)).chain(["8", "9", "10", "11", "12"]) {
        exercise.packet(0, "msg", "ann", "r", text).await;
    }
    exercise.packet(6, "msg", "ann", "r", "stranger").await;
    exercise.packet(6, "leave", "bob", "r", "").await;
    exercise.packet(1, "msg", "ann", "r", "impostor").await;
    exercise.packet(6, "msg", "eve", "nowhere", "hello").await;
    exercise.packet(6, "join", "eve", "nowhere", "").await;
    exercise.packet(1, "msg", "bob", "r", "still here").await;
}

async fn errors(exercise: &mut Exercise) {
    let valid = json!({"user_name": "bob", "room_name": "r", "msg": "x"});
    let without = |field: &str| {
        let mut data = valid.clone();
        data.as_object_mut().unwrap().remove(field);
        data
    };
    let with = |field: &str, value: Value| {
        let mut data = valid.clone();
        data[field] = value;
        data
    };
    exercise.text(1, &json!({"data": valid}).to_string()).await;
    exercise.text(1, "{}").await;
    for kind in ["join", "leave", "msg"] {
        exercise.text(1, &json!({"type": kind}).to_string()).await;
        let cases = [
            without("user_name"),
            without("room_name"),
            without("msg"),
            with("user_name", json!("")),
            with("room_name", json!("")),
            with("user_name", json!(1)),
            json!({}),
            Value::Null,
            json!("x"),
        ];
        for data in cases {
            exercise.text(1, &json!({"type": kind, "data": data}).to_string()).await;
        }
    }
    exercise.packet(1, "msg", "bob", "r", "").await;
    exercise.packet(1, "msg", "", "r", "").await;
    for kind in ["user", "error", "shout"] {
        exercise.packet(1, kind, "bob", "r", "relayed").await;
    }
    let deep = "[".repeat(2_000);
    let large = json!({"type": "shout", "data": "x".repeat(600_000)}).to_string();
    for text in ["hello", "[]", "null", "1", "\"x\"", &deep, &large] {
        exercise.text(1, text).await;
    }
    exercise.text(1, &json!({"type": [], "data": valid}).to_string()).await;
    exercise.text(1, &json!({"type": "msg", "data": valid, "more": 1}).to_string()).await;
    exercise.text(1, &json!({"type": "msg", "data": with("more", json!(1))}).to_string()).await;
    exercise.text(1, &format!(" {} ", json!({"type": "msg", "data": valid}))).await;
    exercise.text(1, &format!("{{\"type\":\"msg\",\"type\":\"msg\",\"data\":{valid}}}")).await;
    exercise.hub.handle(Event::Binary(exercise.connections[1].0)).await;
    exercise.read_all();
    exercise.packet(1, "msg", "bob", "r", "still here").await;
}

async fn departures(exercise: &mut Exercise) {
    exercise.packet(1, "leave", "bob", "r", "").await;
    exercise.packet(0, "msg", "ann", "r", "without bob").await;
    exercise.packet(1, "msg", "bob", "r", "after leaving").await;
    exercise.room("r", "bob", "0").await;
    exercise.list().await;
    exercise.room("r", "bob", "0").await;
    exercise.room("r", "bob", "1").await;
    exercise.packet(1, "join", "bob", "r", "").await;
    exercise.packet(0, "msg", "ann", "r", "bob is back").await;
    exercise.list().await;
    exercise.packet(0, "leave", "ann", "r", "").await;
    exercise.room("r", "ann", "0").await;
    exercise.room("r", "cid", "0").await;
    exercise.room("s", "cid", "0").await;
    exercise.list().await;
    exercise.gone(4).await;
    exercise.list().await;
    exercise.packet(5, "msg", "eve", "s", "alone").await;
    exercise.room("s", "fay", "1").await;
    exercise.room("s", "gus", "1").await;
    exercise.room("s", "hal", "1").await;
    exercise.gone(0).await;
    exercise.list().await;
}

async fn odd_requests(exercise: &mut Exercise) {
    for status in ["2", "-1", "abc", ""] {
        exercise.room("s", "fay", status).await;
        exercise.list().await;
        exercise.room("s", "fay", "1").await;
        exercise.room("nowhere", "fay", status).await;
        exercise.list().await;
    }
    for (room, user) in [("nowhere", "fay"), ("s", ""), ("", "fay"), ("s", "nobody"), ("r", "fay")] {
        exercise.room(room, user, "0").await;
        exercise.room(room, user, "1").await;
        exercise.list().await;
    }
    exercise.room("r", "gus", "1").await;
    exercise.create("z").await;
    exercise.room("Z", "one", "1").await;
    exercise.room("z", "one", "1").await;
    exercise.room("z", "one", "0").await;
    exercise.room("z", "one", "1").await;
    exercise.room("z", "two", "1").await;
    exercise.both(enter("z", "three", "1"), enter("z", "four", "1")).await;
    exercise.list().await;
}

/// Two rooms whose names differ in case, two users whose names do, and a third room; then a member of all three vanishes.
async fn comings_and_goings(exercise: &mut Exercise) {
    exercise.create("den").await;
    exercise.packet(9, "join", "", "den", "").await;
    exercise.packet(9, "join", "ivy", "den", "").await;
    for (connection, user) in [(10, "jon"), (11, "kim")] {
        exercise.room("den", user, "1").await;
        exercise.packet(connection, "join", user, "den", "").await;
    }
    exercise.packet(10, "leave", "jon", "den", "").await;
    exercise.packet(10, "leave", "jon", "den", "").await;
    exercise.packet(10, "join", "jon", "den", "").await;
    exercise.list().await;
    exercise.packet(9, "msg", "ivy", "den", "welcome back").await;
    exercise.packet(10, "leave", "jon", "den", "").await;
    exercise.packet(9, "msg", "ivy", "den", "without jon").await;
    exercise.room("den", "jon", "0").await;
    exercise.room("den", "jon", "1").await;
    exercise.packet(10, "join", "jon", "den", "").await;
    exercise.create("Den").await;
    exercise.packet(12, "join", "lea", "Den", "").await;
    exercise.packet(9, "msg", "ivy", "den", "in the other den").await;
    exercise.packet(13, "join", "Lea", "Den", "").await;
    exercise.packet(13, "leave", "Lea", "Den", "").await;
    exercise.packet(12, "msg", "lea", "Den", "still here").await;
    exercise.room("Den", "Lea", "0").await;
    exercise.packet(9, "join", "ivy", "Den", "").await;
    exercise.create("attic").await;
    exercise.packet(9, "join", "ivy", "attic", "").await;
    exercise.gone(9).await;
    exercise.packet(11, "msg", "kim", "den", "without ivy").await;
    exercise.packet(13, "join", "ivy", "Den", "").await;
    exercise.create("loft").await;
    exercise.room("loft", "kim", "1").await;
    exercise.packet(11, "join", "kim", "loft", "").await;
    exercise.packet(12, "join", "lea", "loft", "").await;
}

/// Two rooms for few people, who come back, stay away, ask again, and are in both or in one over two connections.
async fn second_times(exercise: &mut Exercise) {
    exercise.room("t", "ann", "1").await;
    exercise.create("t").await;
    exercise.create("t").await;
    exercise.packet(7, "join", "ann", "t", "").await;
    exercise.list().await;
    exercise.room("t", "eve", "2").await;
    exercise.list().await;
    exercise.room("t", "ANN", "0").await;
    exercise.room("t", "ann", "0").await;
    exercise.create("t").await;
    for _ in 0..2 {
        exercise.room("t", "Bob", "1").await;
        exercise.room("t", "bob", "0").await;
        exercise.room("t", "Bob", "0").await;
    }
    exercise.create("u%41").await;
    exercise.packet(7, "join", "ann", "u%41", "").await;
    exercise.room("u%41", "bob", "1").await;
    exercise.packet(8, "join", "bob", "u%41", "").await;
    exercise.packet(6, "join", "bob", "u%41", "").await;
    exercise.list().await;
    exercise.room("t", "bob", "1").await;
    exercise.packet(8, "join", "bob", "t", "").await;
    exercise.room("t", "bob", "0").await;
    exercise.packet(7, "msg", "ann", "u%41", "is bob here").await;
    exercise.create("u%41").await;
    exercise.packet(7, "msg", "ann", "u%41", "are we here").await;
    exercise.room("u%41", "cid", "1").await;
    for _ in 0..2 {
        exercise.room("u%41", "dan", "1").await;
    }
    exercise.list().await;
}

/// What the clients see.
/// As many leaves of one room as a slow leak needs to show.
async fn many_visits(exercise: &mut Exercise) {
    exercise.create("revolving door").await;
    for _ in 0..30 {
        exercise.room("revolving door", "leo", "1").await;
        exercise.room("revolving door", "leo", "0").await;
    }
    exercise.list().await;
}

async fn transcript(fault: Option<Fault>) -> Vec<String> {
    let mut exercise = Exercise::new(fault);
    names_and_lists(&mut exercise).await;
    entries(&mut exercise).await;
    chat(&mut exercise).await;
    errors(&mut exercise).await;
    departures(&mut exercise).await;
    odd_requests(&mut exercise).await;
    comings_and_goings(&mut exercise).await;
    second_times(&mut exercise).await;
    many_visits(&mut exercise).await;
    // The clock is paused and jumps, so whatever is late comes now.
    tokio::time::sleep(Duration::from_secs(60)).await;
    exercise.read_all();
    exercise.transcript
}

/// The faults that deviate in the hub; the others need sockets.
fn in_the_hub() -> impl Iterator<Item = &'static Spec> {
    let elsewhere: HashSet<_> =
        area::frame::SPECS.iter().chain(area::door::SPECS).chain(area::robust::SPECS).map(|spec| spec.name).collect();
    all().filter(move |spec| !elsewhere.contains(spec.name))
}

#[tokio::test(start_paused = true)]
async fn every_fault_shows_and_is_counted() {
    let correct = transcript(None).await;
    assert_eq!(correct, transcript(None).await, "the exercise itself must not vary");
    let mut unseen = Vec::new();
    for spec in in_the_hub() {
        let fault = Fault::named(spec.name).unwrap();
        let differs = transcript(Some(fault.clone())).await != correct;
        if !differs || fault.firings() == 0 {
            unseen.push((spec.name, differs, fault.firings()));
        }
    }
    assert!(unseen.is_empty(), "(name, differs, firings): {unseen:#?}");
}

#[test]
fn every_fault_is_described() {
    let mut names = HashSet::new();
    for spec in all() {
        assert!(names.insert(spec.name), "{} is there twice", spec.name);
        assert!(spec.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        assert!(!spec.summary.is_empty() && !spec.summary.ends_with('.'), "{}", spec.name);
        for id in spec.implies.iter().chain([&spec.requirement]) {
            let area = id.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let known = [
                "LIST-", "CREATE-", "ROOM-", "PKT-", "ERR-", "JOIN-", "LEAVE-", "MSG-", "GONE-", "ROB-", "ISO-", "LIFE-", "READ-",
                "PARAMS-", "CONN-",
            ];
            assert!(known.contains(&area) || id.starts_with("FLOW-"), "{}: {id}", spec.name);
        }
        assert!(!spec.implies.contains(&spec.requirement), "{}", spec.name);
    }
}

#[test]
fn an_unknown_name_is_answered_by_the_nearest() {
    let error = Fault::named("creator-get-join").unwrap_err();
    assert!(matches!(error, UnknownFault::Name { nearest: "creator-gets-join", .. }), "{error}");
    assert!(matches!(Fault::named("load-drp").unwrap_err(), UnknownFault::Name { nearest: "load-drop", .. }));
    assert!(matches!(Fault::named("load-drop=5").unwrap_err(), UnknownFault::Dose { .. }));
    assert!(matches!(Fault::named("creator-gets-join=1/2").unwrap_err(), UnknownFault::NoDose { .. }));
    assert_eq!(Fault::named("load-stop=2s").unwrap().name(), "load-stop");
    assert!(Config::default().fault.is_none());
}
