//! The model against the reference server, both in this process and with no network between them: what the clean server
//! does is allowed under every reading, and what most faults do is found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chatspec::explore::action::{Action, Actor, Answer, Name, Observed, Packet, Spelling, Trace};
use chatspec::explore::generate::{Shape, generate};
use chatspec::explore::model::{Finding, Model};
use chatspec::reading::{Fact, Findings, Held};
use chatspec::requirement::{Level, RequirementId};
use chatspec::scenario::protocol::Protocol;
use futures_util::FutureExt;
use futures_util::future::join_all;
use reference_server::deviation::Active;
use reference_server::event::Event;
use reference_server::hub::Hub;
use reference_server::outbox::Outbox;
use reference_server::request::Request;
use reference_server::room::ConnectionId;
use reference_server::state::State;
use reference_server::{Fault, Limits, Readings};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// What the server does by default, where it has to choose.
const DEFAULTS: [(&str, &str); 13] = [
    ("R-AUDIENCE", "room"),
    ("R-FIRST", "by-flow"),
    ("R-REENTRY", "join"),
    ("R-ENTRY-ORDER", "open"),
    ("R-MISSING-ROOM", "refused"),
    ("R-MSG-FIELD", "required"),
    ("R-NULL-DATA", "invalid message"),
    ("R-BARE-DATA", "invalid data"),
    ("R-POPULATION", "either"),
    ("R-REJOIN", "once"),
    ("R-SAME-NAME", "both"),
    ("R-TWO-ROOMS", "allowed"),
    ("R-RELEASE", "place"),
];

/// A server without listeners, and who is connected to it.
struct Server {
    hub: Arc<Hub>,
    connections: Vec<Option<(ConnectionId, Arc<Outbox>)>>,
    wire: HashMap<String, Name>,
}

impl Server {
    fn new(trace: &Trace, capacity: usize, pinned: &[(&str, &str)], deviation: Option<Active>) -> Self {
        let mut readings = Readings::default();
        for (id, value) in pinned {
            readings.pin(id, value).expect("a reading of the server");
        }
        let hub = Hub::new(State::new(capacity, readings, Limits::default()), Limits::default(), deviation);
        let rooms = (0..trace.rooms.len()).map(Name::Room);
        let users = (0..trace.users.len()).map(Name::User);
        let wire = rooms.chain(users).map(|name| (spelt(trace, &name), name)).collect();
        Self { hub: Arc::new(hub), connections: vec![None; trace.actors], wire }
    }

    async fn play(&mut self, trace: &Trace, round: &[Action]) -> Observed {
        for action in round {
            match action {
                Action::Connect { actor } => self.connections[*actor] = Some(self.hub.connect()),
                Action::Close { actor } | Action::Abort { actor } => self.end(*actor).await,
                _ => {}
            }
        }
        let branches = (0..trace.actors).map(|actor| self.branch(trace, round, actor));
        let mut answers: Vec<Option<Answer>> = vec![None; round.len()];
        for (at, answer) in join_all(branches).await.into_iter().flatten() {
            answers[at] = Some(answer);
        }
        let mut observed = Observed { answers, received: Vec::new(), ended: Vec::new() };
        for actor in 0..trace.actors {
            let outbox = self.connections[actor].as_ref().map(|(_, outbox)| Arc::clone(outbox));
            let messages = outbox.iter().flat_map(|outbox| std::iter::from_fn(move || outbox.pop()));
            observed.received.push(messages.map(|message| self.packet(&message)).collect());
        }
        // A connection that ends once it has been sent everything is ended by a task of its own.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        for connection in &self.connections {
            // Nothing is left in its outbox, so that whatever fills it is its end.
            observed.ended.push(connection.as_ref().is_some_and(|(_, outbox)| outbox.filled().now_or_never().is_some()));
        }
        for actor in 0..trace.actors {
            if observed.ended[actor] {
                self.end(actor).await;
            }
        }
        observed
    }

    async fn end(&mut self, actor: Actor) {
        if let Some((connection, _)) = self.connections[actor].take() {
            self.hub.handle(Event::Gone(connection)).await;
        }
    }

    /// What one actor does in a round, in its order.
    async fn branch(&self, trace: &Trace, round: &[Action], actor: Actor) -> Vec<(usize, Answer)> {
        let mut answers = Vec::new();
        for (at, action) in round.iter().enumerate().filter(|(_, action)| action.actor() == actor) {
            if let Some(request) = request(trace, action) {
                answers.push((at, self.answer(&request).await));
            }
            if let (Some(text), Some((connection, _))) = (text(trace, action), &self.connections[actor]) {
                self.hub.handle(Event::Text(*connection, &text)).await;
            }
        }
        answers
    }

    async fn answer(&self, request: &Request) -> Answer {
        let answer = self.hub.answer(request).await;
        let body = serde_json::to_value(&answer.body).expect("JSON");
        let list = body.get("room_list").or(body.get("rooms")).and_then(Value::as_array);
        let rooms = list.and_then(|list| {
            // Of a list of all rooms of a server, only the trace's are its reader's concern.
            let entry = |entry: &Value| Some((self.name(entry.get("room_name")?.as_str()?), entry.get("population")?.as_i64()?));
            let rooms: Option<Vec<_>> = list.iter().map(entry).collect();
            rooms.map(|rooms| rooms.into_iter().filter(|(room, _)| matches!(room, Name::Room(_)) || room.is_empty()).collect())
        });
        Answer { status: answer.status, res: body.get("res").and_then(Value::as_str).map(str::to_owned), rooms, body: body.to_string() }
    }

    fn name(&self, text: &str) -> Name {
        self.wire.get(text).cloned().unwrap_or_else(|| Name::Literal(text.to_owned()))
    }

    fn packet(&self, message: &Message) -> Packet {
        let text = match message {
            Message::Text(text) => text.as_str(),
            other => return Packet::Other(format!("{other:?}")),
        };
        let packet: Value = serde_json::from_str(text).unwrap_or_default();
        let field = |name: &str| packet.get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
        match (packet.get("type").and_then(Value::as_str), field("user_name"), field("room_name"), field("msg")) {
            (Some("user"), Some(user), Some(room), Some(text)) => {
                Packet::User { user: self.name(user), room: self.name(room), activity: text.to_owned() }
            }
            (Some("msg"), Some(user), Some(room), Some(text)) => {
                Packet::Msg { user: self.name(user), room: self.name(room), text: text.to_owned() }
            }
            (Some("error"), _, _, Some(text)) => Packet::Error { text: text.to_owned() },
            _ => Packet::Other(text.to_owned()),
        }
    }
}

/// A name as it is on the wire.
fn spelt(trace: &Trace, name: &Name) -> String {
    let around = |spellings: &[Spelling], number: usize, kind: char| {
        let Spelling { before, like, after } = &spellings[number];
        match like {
            Some(like) => format!("{before}{}{kind}{like}{after}", spellings[*like].before),
            None => format!("{before}{kind}{number}{after}"),
        }
    };
    match name {
        Name::Room(number) => around(&trace.rooms, *number, 'r'),
        Name::User(number) => around(&trace.users, *number, 'u'),
        Name::Literal(text) => text.clone(),
    }
}

fn request(trace: &Trace, action: &Action) -> Option<Request> {
    let room = |room, user, status: &str| Request::Room {
        room_name: spelt(trace, room),
        user_name: spelt(trace, user),
        status: status.to_owned(),
    };
    match action.plain() {
        Action::Create { room, .. } => Some(Request::Create { room_name: spelt(trace, room) }),
        Action::HttpJoin { room: place, user, .. } => Some(room(place, user, "1")),
        Action::HttpLeave { room: place, user, .. } => Some(room(place, user, "0")),
        Action::Status { room: place, user, status, .. } => Some(room(place, user, status)),
        Action::List { .. } => Some(Request::List),
        _ => None,
    }
}

fn text(trace: &Trace, action: &Action) -> Option<String> {
    let packet = |kind, room, user, msg: &str| {
        json!({"type": kind, "data": {"user_name": spelt(trace, user), "room_name": spelt(trace, room), "msg": msg}}).to_string()
    };
    match action {
        Action::Join { room, user, .. } => Some(packet("join", room, user, "")),
        Action::Leave { room, user, .. } => Some(packet("leave", room, user, "")),
        Action::Say { room, user, text, .. } => Some(packet("msg", room, user, text)),
        Action::Raw { text, .. } => {
            let quoted = |name: Name| {
                let text = json!(spelt(trace, &name)).to_string();
                text[1..text.len() - 1].to_owned()
            };
            let rooms = (0..trace.rooms.len()).map(|at| (format!("${{room{at}}}"), quoted(Name::Room(at))));
            let users = (0..trace.users.len()).map(|at| (format!("${{user{at}}}"), quoted(Name::User(at))));
            Some(rooms.chain(users).fold(text.clone(), |text, (mark, name)| text.replace(&mark, &name)))
        }
        _ => None,
    }
}

/// What probes would find out of a server.
fn findings(capacity: usize, pinned: &[(&str, &str)]) -> Findings {
    let mut values: BTreeMap<&str, &str> = DEFAULTS.into();
    values.extend(pinned.iter().copied());
    let held = |(id, value): (&str, &str)| (id.to_owned(), Held::Found { values: vec![value.to_owned()] });
    let facts = [("capacity".to_owned(), Fact::Number(capacity as u64))].into();
    Findings { readings: values.into_iter().map(held).collect(), facts }
}

/// Plays a trace; how many actions it had, and what the model says against it.
async fn explore(trace: &Trace, mut server: Server, findings: &Findings) -> (usize, Result<(), Box<Finding>>) {
    let mut model = Model::new(findings, trace);
    let mut actions = 0;
    for round in &trace.rounds {
        let observed = server.play(trace, round).await;
        actions += round.len();
        if let Err(finding) = model.observe(round, &observed) {
            return (actions, Err(Box::new(finding)));
        }
        assert!(!model.is_capped(), "there are too many hypotheses after {actions} actions of {trace:?}");
        if observed.ended.contains(&true) {
            break;
        }
    }
    (actions, Ok(()))
}

/// The clean server is never found wrong, and enough is played to say so.
async fn stays_clean(capacity: usize, pinned: &[(&str, &str)], known: &Findings, traces: u64) -> usize {
    let mut played = 0;
    for number in 1..=traces {
        let trace = generate(&Shape { seed: 7, capacity: Some(capacity), ..Shape::default() }, number);
        let server = Server::new(&trace, capacity, pinned, None);
        let (actions, result) = explore(&trace, server, known).await;
        played += actions;
        if let Err(finding) = result {
            let rounds: Vec<String> = trace.rounds.iter().take(finding.round + 1).map(|round| format!("{round:?}")).collect();
            panic!("capacity {capacity}, {pinned:?}, trace {number}: {finding:#?}\nafter\n{}", rounds.join("\n"));
        }
    }
    played
}

#[tokio::test]
async fn the_clean_server_is_allowed_under_every_reading() {
    let mut played = 0;
    for capacity in [2, 3, 10] {
        played += stays_clean(capacity, &[], &findings(capacity, &[]), 150).await;
    }
    for (id, default) in DEFAULTS {
        for value in Readings::values(id).into_iter().filter(|value| *value != default) {
            let pinned = [(id, value)];
            played += stays_clean(3, &pinned, &findings(3, &pinned), 40).await;
        }
    }
    assert!(played > 20_000, "{played} actions are few");
}

#[tokio::test]
async fn a_server_of_which_nothing_is_known_is_allowed_to_be_any() {
    for value in ["room", "sender"] {
        stays_clean(3, &[("R-AUDIENCE", value)], &Findings::default(), 15).await;
    }
}

/// Traces that are played against each fault, at most; a run over sockets plays as many within the minute that it takes by itself.
const TRACES: u64 = 1_500;

/// What can't show here, where there are neither handshakes nor bodies of requests.
const OF_THE_WIRE: [&str; 6] = [
    "missing-user-is-none",
    "json-zero-is-missing",
    "form-spaces-stay-plus",
    "websocket-elsewhere",
    "handshake-key-wrong",
    "fifth-handshake-at-once-dropped",
];

#[tokio::test]
async fn every_fault_outside_the_robustness_area_is_found() {
    let protocol = Protocol::embedded().expect("the embedded suite has no mistakes");
    let level = |id: &str| protocol.declarations.registry.level(&RequirementId::new(id));
    let matters = |id: &str| matches!(level(id), Level::Must | Level::Should);
    let (mut found, mut missed) = (0, Vec::new());
    for spec in reference_server::fault::all().filter(|spec| matters(spec.requirement) && !OF_THE_WIRE.contains(&spec.name)) {
        let mut result = Ok(());
        let mut number = 0;
        while result.is_ok() && number < TRACES {
            number += 1;
            // It may remember names and connections, so each server has its own.
            let fault = Fault::named(spec.name).expect("a fault");
            // Many faults show only where a room is full.
            let capacity = if number % 2 == 0 { 3 } else { 10 };
            let trace = generate(&Shape { seed: 11, capacity: Some(capacity), ..Shape::default() }, number);
            let server = Server::new(&trace, capacity, &[], Some(fault.active()));
            result = explore(&trace, server, &findings(capacity, &[])).await.1;
        }
        match result {
            Err(finding) => {
                println!("{}: {} / {} {} (trace {number})", spec.name, spec.requirement, finding.requirement, finding.summary);
                found += 1;
            }
            Ok(()) => missed.push(spec.name),
        }
    }
    assert_eq!(missed, [""; 0], "{found} were found");
}
