//! What may come of an action: the state that follows, the answer, and which packets go to whom.

use super::state::State;
use crate::explore::action::{Actor, Answer, Name, Packet};

/// The texts of the document.
pub const CREATED: &str = "chatroom create successfully";
pub const EXISTS: &str = "chatroom already exist";
pub const JOINED: &str = "join chatroom";
pub const LEFT: &str = "leave chatroom";
pub const INVALID_ROOM: &str = "invalid room";
pub const INVALID_STATUS: &str = "invalid status";
pub const USER_NOT_EXIST: &str = "user not exist";
pub const FULL_ROOM: &str = "full room";
pub const INVALID_MESSAGE: &str = "invalid message";
pub const INVALID_DATA: &str = "invalid data";
pub const ILLEGAL_DATA: &str = "illegal data";
pub const NULL_MESSAGE: &str = "null message";

/// Which answers to an HTTP request fit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// `res` is one of these.
    OneOf(Vec<&'static str>),
    /// `res` is none of these, or missing.
    NoneOf(Vec<&'static str>),
    /// A list with exactly these rooms of the trace, each with the least and the most population.
    List(Vec<(Name, i64, i64)>),
}

impl Reply {
    /// Whether an answer fits. One that never came, or with a status of 500 or above, never does.
    pub fn accepts(&self, answer: &Answer) -> bool {
        if answer.status == 0 || answer.status >= 500 {
            return false;
        }
        match self {
            Reply::OneOf(texts) => answer.res.as_deref().is_some_and(|res| texts.contains(&res)),
            Reply::NoneOf(texts) => !answer.res.as_deref().is_some_and(|res| texts.contains(&res)),
            Reply::List(expected) => match &answer.rooms {
                None => answer.body == UNSEEN,
                // What is said of rooms without a name is no matter of these rooms.
                Some(rooms) => {
                    rooms.iter().filter(|(name, _)| !name.is_empty()).count() == expected.len()
                        && expected.iter().all(|(name, least, most)| {
                            let mut listed = rooms.iter().filter(|(one, _)| one == name);
                            listed.next().is_some_and(|(_, population)| (least..=most).contains(&population)) && listed.next().is_none()
                        })
                }
            },
        }
    }
}

/// The body of a list that was too long to be kept: nothing can be said of it.
pub const UNSEEN: &str = "…";

/// Which packets fit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    Exactly(Packet),
    /// A `user` packet that says that somebody entered, by either word.
    Activity {
        user: Name,
        room: Name,
    },
    /// An `error` packet with one of these texts.
    Errors(Vec<&'static str>),
    AnyError,
}

impl Pattern {
    pub fn user(user: &Name, room: &Name, activity: &str) -> Self {
        Pattern::Exactly(Packet::User { user: user.clone(), room: room.clone(), activity: activity.to_owned() })
    }

    pub fn msg(user: &Name, room: &Name, text: &str) -> Self {
        Pattern::Exactly(Packet::Msg { user: user.clone(), room: room.clone(), text: text.to_owned() })
    }

    pub fn accepts(&self, packet: &Packet) -> bool {
        match (self, packet) {
            (Pattern::Exactly(one), other) => one == other,
            (Pattern::Activity { user, room }, Packet::User { user: who, room: place, activity }) => {
                user == who && room == place && matches!(activity.as_str(), "create" | "join")
            }
            (Pattern::Errors(texts), Packet::Error { text }) => texts.contains(&text.as_str()),
            (Pattern::AnyError, Packet::Error { .. }) => true,
            _ => false,
        }
    }

    /// A packet that fits.
    pub fn example(&self) -> Packet {
        match self {
            Pattern::Exactly(packet) => packet.clone(),
            Pattern::Activity { user, room } => Packet::User { user: user.clone(), room: room.clone(), activity: "join".to_owned() },
            Pattern::Errors(texts) => Packet::Error { text: texts.first().copied().unwrap_or_default().to_owned() },
            Pattern::AnyError => Packet::Error { text: String::new() },
        }
    }
}

/// A packet that goes to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Due {
    pub to: Actor,
    pub pattern: Pattern,
    /// The requirement that asks for it; none where it may also stay away.
    pub proves: Option<&'static str>,
}

/// One thing that may come of an action.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub state: State,
    pub reply: Option<Reply>,
    pub dues: Vec<Due>,
    /// Whether the server ends the actor's connection.
    pub ends: bool,
    /// The requirement that this is about, and which forbids whatever else.
    pub proves: &'static str,
}

impl Outcome {
    pub fn new(state: State, proves: &'static str) -> Self {
        Self { state, reply: None, dues: Vec::new(), ends: false, proves }
    }

    pub fn replied(state: State, reply: Reply, proves: &'static str) -> Self {
        Self { reply: Some(reply), ..Self::new(state, proves) }
    }

    /// A packet that must come.
    pub fn due(mut self, to: Actor, pattern: Pattern, proves: &'static str) -> Self {
        self.dues.push(Due { to, pattern, proves: Some(proves) });
        self
    }

    /// A packet that may come.
    pub fn may(mut self, to: Actor, pattern: Pattern) -> Self {
        self.dues.push(Due { to, pattern, proves: None });
        self
    }

    /// The server ends the actor's connection.
    pub fn ending(mut self, actor: Actor) -> Self {
        self.state.disconnect(actor);
        self.ends = true;
        self
    }
}

/// What a server may do about a packet that it need not take: answer by an error, be silent, or end the connection.
pub fn refused(state: &State, actor: Actor, proves: &'static str) -> Vec<Outcome> {
    let refused = Outcome::new(state.clone(), proves).may(actor, Pattern::AnyError);
    vec![refused.clone(), refused.ending(actor)]
}

/// What a server may do about a packet that is none: answer by an error or end the connection.
pub fn rejected(state: &State, actor: Actor, proves: &'static str) -> Vec<Outcome> {
    let answered = Outcome::new(state.clone(), proves).due(actor, Pattern::AnyError, proves);
    vec![answered, Outcome::new(state.clone(), proves).may(actor, Pattern::AnyError).ending(actor)]
}

/// An error with one of these texts, after which everything is as before.
pub fn error(state: &State, actor: Actor, texts: Vec<&'static str>, proves: &'static str) -> Outcome {
    Outcome::new(state.clone(), proves).due(actor, Pattern::Errors(texts), proves)
}
