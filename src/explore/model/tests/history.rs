//! Histories in a few words: what was done, and what came of it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::explore::action::{Action, Actor, Answer, Name, Observed, Packet, Trace};
use crate::explore::model::{Finding, Model};
use crate::reading::{Fact, Findings, Held};

pub const ACTORS: usize = 4;

pub const CREATED: &str = "chatroom create successfully";
pub const EXISTS: &str = "chatroom already exist";
pub const JOINED: &str = "join chatroom";
pub const LEFT: &str = "leave chatroom";
pub const FULL: &str = "full room";

/// What came of a round.
#[derive(Clone, Default)]
pub struct Came(Observed);

pub fn nothing() -> Came {
    Came(Observed { answers: Vec::new(), received: vec![Vec::new(); ACTORS], ended: vec![false; ACTORS] })
}

/// Answers to the requests of a round, in its order.
pub fn answers(texts: &[&str]) -> Came {
    texts.iter().fold(nothing(), |came, text| came.answer(text))
}

pub fn listed(rooms: &[(usize, i64)]) -> Came {
    listed_as("room_list", rooms.iter().map(|(room, population)| (Name::Room(*room), *population)).collect())
}

/// A list of that name.
pub fn listed_as(list: &str, rooms: Vec<(Name, i64)>) -> Came {
    let entry = |(name, population): &(Name, i64)| json!({"room_name": format!("{name:?}"), "population": population}).to_string();
    let body = format!(r#"{{"{list}":[{}]}}"#, rooms.iter().map(entry).collect::<Vec<_>>().join(","));
    let mut came = nothing();
    came.0.answers.push(Some(Answer { status: 200, res: None, rooms: Some(rooms), body }));
    came
}

impl Came {
    pub fn answer(self, text: &str) -> Came {
        self.answer_with(200, text)
    }

    pub fn answer_with(mut self, status: u16, text: &str) -> Came {
        self.0.answers.push(Some(Answer { status, res: Some(text.to_owned()), rooms: None, body: format!("{{\"res\":\"{text}\"}}") }));
        self
    }

    /// An actor got a `user` packet about a user of room 0.
    pub fn told(self, to: Actor, user: usize, activity: &str) -> Came {
        self.told_in(0, to, user, activity)
    }

    pub fn told_in(self, room: usize, to: Actor, user: usize, activity: &str) -> Came {
        self.got(to, Packet::User { user: Name::User(user), room: Name::Room(room), activity: activity.to_owned() })
    }

    pub fn heard(self, to: Actor, user: usize, text: &str) -> Came {
        self.got(to, Packet::Msg { user: Name::User(user), room: Name::Room(0), text: text.to_owned() })
    }

    pub fn error(self, to: Actor, text: &str) -> Came {
        self.got(to, Packet::Error { text: text.to_owned() })
    }

    pub fn got(mut self, to: Actor, packet: Packet) -> Came {
        self.0.received[to].push(packet);
        self
    }

    pub fn ended(mut self, actor: Actor) -> Came {
        self.0.ended[actor] = true;
        self
    }
}

pub fn create(room: usize) -> Action {
    Action::Create { actor: 0, room: Name::Room(room) }
}

pub fn create_by(actor: Actor, room: usize) -> Action {
    Action::Create { actor, room: Name::Room(room) }
}

/// Each actor goes by the user of its own number.
pub fn http_join(actor: Actor) -> Action {
    Action::HttpJoin { actor, room: Name::Room(0), user: Name::User(actor) }
}

pub fn http_leave(actor: Actor) -> Action {
    Action::HttpLeave { actor, room: Name::Room(0), user: Name::User(actor) }
}

pub fn connect(actor: Actor) -> Action {
    Action::Connect { actor }
}

pub fn join(actor: Actor) -> Action {
    join_as(actor, 0, actor)
}

pub fn join_as(actor: Actor, room: usize, user: usize) -> Action {
    Action::Join { actor, room: Name::Room(room), user: Name::User(user) }
}

pub fn leave(actor: Actor) -> Action {
    leave_as(actor, actor)
}

pub fn leave_as(actor: Actor, user: usize) -> Action {
    Action::Leave { actor, room: Name::Room(0), user: Name::User(user) }
}

pub fn say(actor: Actor, text: &str) -> Action {
    say_as(actor, actor, text)
}

pub fn say_as(actor: Actor, user: usize, text: &str) -> Action {
    Action::Say { actor, room: Name::Room(0), user: Name::User(user), text: text.to_owned() }
}

pub fn raw(actor: Actor, text: &str) -> Action {
    Action::Raw { actor, text: text.to_owned() }
}

pub fn list() -> Action {
    Action::List { actor: 0 }
}

/// A model and what it has seen.
#[derive(Clone)]
pub struct History {
    pub model: Model,
    rounds: usize,
    result: Result<(), Finding>,
}

/// A server of which all readings are open, with an unknown capacity.
pub fn open() -> History {
    with(Findings::default())
}

/// A server as it is most often: the first value of each reading, and three places in a room.
pub fn usual() -> History {
    pinned(&[])
}

/// The usual one, but for some readings.
pub fn pinned(other: &[(&str, &str)]) -> History {
    let mut values: BTreeMap<&str, &str> = [
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
    ]
    .into();
    values.extend(other.iter().copied());
    let held = |(id, value): (&str, &str)| (id.to_owned(), Held::Found { values: vec![value.to_owned()] });
    let facts = [("capacity".to_owned(), Fact::Number(3))].into();
    with(Findings { readings: values.into_iter().map(held).collect(), facts })
}

fn with(findings: Findings) -> History {
    let trace = Trace { actors: ACTORS, rooms: vec!["".into(), "a &?".into()], users: vec!["".into(); 4], rounds: Vec::new() };
    History { model: Model::new(&findings, &trace), rounds: 0, result: Ok(()) }
}

impl History {
    /// A round that must be explained, unless it is the last.
    pub fn then(mut self, round: &[Action], came: Came) -> History {
        assert_eq!(self.result, Ok(()), "before round {}", self.rounds);
        let Came(mut observed) = came;
        let mut given = observed.answers.into_iter();
        observed.answers = round.iter().map(|action| if action.is_http() { given.next().flatten() } else { None }).collect();
        self.result = self.model.observe(round, &observed);
        self.rounds += 1;
        self
    }

    /// Actor 0 creates room 0 and enters it, others join it by the flow, each told to those before.
    pub fn peopled(self, others: &[Actor]) -> History {
        let mut history = self.then(&[create(0)], answers(&[CREATED])).then(&[connect(0)], nothing());
        history = history.then(&[join(0)], nothing().told(0, 0, "create"));
        let mut inside = vec![0];
        for other in others {
            inside.push(*other);
            history = history.then(&[http_join(*other)], answers(&[JOINED])).then(&[connect(*other)], nothing());
            let told = inside.iter().fold(nothing(), |came, to| came.told(*to, *other, "join"));
            history = history.then(&[join(*other)], told);
        }
        history
    }

    #[track_caller]
    pub fn passes(self) -> History {
        assert_eq!(self.result, Ok(()));
        self
    }

    /// The last round breaks a requirement.
    #[track_caller]
    pub fn breaks(self, requirement: &str) -> Finding {
        let finding = self.result.expect_err("a finding");
        assert_eq!(finding.requirement.as_str(), requirement, "{finding:#?}");
        assert_eq!(finding.round, self.rounds - 1);
        finding
    }
}
