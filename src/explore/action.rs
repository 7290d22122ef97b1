//! What explore plays and what it sees: actions in rounds, and what each round brought.

use std::fmt;

/// Who acts: the actors of a trace, by number.
pub type Actor = usize;

/// A name or a text as it is in a trace: symbolic, so that each play uses fresh names on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// A room of the trace, by number: fresh in each play, decorated as [`Trace::rooms`] says.
    Room(usize),
    /// A user of the trace, by number: fresh in each play, decorated as [`Trace::users`] says.
    User(usize),
    /// Exactly these characters, such as none.
    Literal(String),
}

impl Name {
    pub fn is_empty(&self) -> bool {
        matches!(self, Name::Literal(text) if text.is_empty())
    }
}

/// How a name is written around what makes it fresh. The default is that alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    pub before: String,
    /// An earlier name of the same kind, with one of its own, whose fresh part this one has too: the two are alike, and yet not the
    /// same.
    pub like: Option<usize>,
    pub after: String,
}

impl Spelling {
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl From<&str> for Spelling {
    fn from(before: &str) -> Self {
        Self { before: before.to_owned(), ..Self::default() }
    }
}

/// A way of passing parameters, by the ID that the suite gives it (R-PARAMS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    GetQuery,
    PostQuery,
    PostForm,
    PostJson,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::GetQuery, Way::PostQuery, Way::PostForm, Way::PostJson];

    pub fn id(self) -> &'static str {
        match self {
            Way::GetQuery => "get-query",
            Way::PostQuery => "post-query",
            Way::PostForm => "post-form",
            Way::PostJson => "post-json",
        }
    }
}

/// How a request is written, where that isn't left to the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// None is the first that the target accepts.
    pub way: Option<Way>,
    pub blank: Blank,
}

/// What a reader is told behind the request itself.
impl fmt::Display for Writing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(way) = self.way {
            write!(formatter, " (as {})", way.id())?;
        }
        formatter.write_str(match self.blank {
            Blank::Empty => "",
            Blank::Missing => " (what is empty is left out)",
            Blank::Null => " (what is empty is null)",
        })
    }
}

/// What stands for a parameter that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blank {
    Empty,
    /// It is left out.
    Missing,
    /// In a JSON body; in any other way it is left out.
    Null,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Create {
        actor: Actor,
        room: Name,
    },
    HttpJoin {
        actor: Actor,
        room: Name,
        user: Name,
    },
    HttpLeave {
        actor: Actor,
        room: Name,
        user: Name,
    },
    /// A request with any other status.
    Status {
        actor: Actor,
        room: Name,
        user: Name,
        status: String,
    },
    List {
        actor: Actor,
    },
    /// One of the above in another way than the usual, or with what is empty left out.
    Written {
        request: Box<Action>,
        writing: Writing,
    },
    Connect {
        actor: Actor,
    },
    /// An orderly close.
    Close {
        actor: Actor,
    },
    /// A reset, with no word.
    Abort {
        actor: Actor,
    },
    Join {
        actor: Actor,
        room: Name,
        user: Name,
    },
    Leave {
        actor: Actor,
        room: Name,
        user: Name,
    },
    Say {
        actor: Actor,
        room: Name,
        user: Name,
        text: String,
    },
    /// A packet that is malformed, misses fields, or is of a wrong type.
    Raw {
        actor: Actor,
        text: String,
    },
}

impl Action {
    pub fn actor(&self) -> Actor {
        match self {
            Action::Create { actor, .. }
            | Action::HttpJoin { actor, .. }
            | Action::HttpLeave { actor, .. }
            | Action::Status { actor, .. }
            | Action::List { actor }
            | Action::Connect { actor }
            | Action::Close { actor }
            | Action::Abort { actor }
            | Action::Join { actor, .. }
            | Action::Leave { actor, .. }
            | Action::Say { actor, .. }
            | Action::Raw { actor, .. } => *actor,
            Action::Written { request, .. } => request.actor(),
        }
    }

    /// The action itself, however it is written.
    pub fn plain(&self) -> &Action {
        match self {
            Action::Written { request, .. } => request.plain(),
            action => action,
        }
    }

    /// Whether it is an HTTP request.
    pub fn is_http(&self) -> bool {
        matches!(
            self.plain(),
            Action::Create { .. } | Action::HttpJoin { .. } | Action::HttpLeave { .. } | Action::Status { .. } | Action::List { .. }
        )
    }

    /// Whether it is sent over a connection.
    pub fn is_packet(&self) -> bool {
        matches!(self, Action::Join { .. } | Action::Leave { .. } | Action::Say { .. } | Action::Raw { .. })
    }

    /// The room that it names.
    pub fn room(&self) -> Option<&Name> {
        match self.plain() {
            Action::Create { room, .. }
            | Action::HttpJoin { room, .. }
            | Action::HttpLeave { room, .. }
            | Action::Status { room, .. }
            | Action::Join { room, .. }
            | Action::Leave { room, .. }
            | Action::Say { room, .. } => Some(room),
            _ => None,
        }
    }

    /// The user that it names.
    pub fn user(&self) -> Option<&Name> {
        match self.plain() {
            Action::HttpJoin { user, .. }
            | Action::HttpLeave { user, .. }
            | Action::Status { user, .. }
            | Action::Join { user, .. }
            | Action::Leave { user, .. }
            | Action::Say { user, .. } => Some(user),
            _ => None,
        }
    }
}

/// What is played: rounds one after the other, each of one action or of several at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub actors: usize,
    /// What stands in each room's name beside what makes it fresh, such as nothing or `房间 &?`.
    pub rooms: Vec<Spelling>,
    /// The same of each user's.
    pub users: Vec<Spelling>,
    pub rounds: Vec<Vec<Action>>,
}

impl Trace {
    /// How many actions it has.
    pub fn actions(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }
}

/// What one round brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// For each action of the round; none where it was no HTTP request.
    pub answers: Vec<Option<Answer>>,
    /// For each actor, in the order of arrival.
    pub received: Vec<Vec<Packet>>,
    /// For each actor, whether its connection ended in this round without its own doing.
    pub ended: Vec<bool>,
}

/// The answer to an HTTP request. Names are the trace's where they are; others are literal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0 where no answer came.
    pub status: u16,
    /// The body's `res`, where it is a text.
    pub res: Option<String>,
    /// Of a list, the rooms with their population; only the trace's own rooms, and those without a name.
    pub rooms: Option<Vec<(Name, i64)>>,
    pub body: String,
}

/// A packet that an actor received. Names are the trace's where they are; others are literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Packet {
    User {
        user: Name,
        room: Name,
        activity: String,
    },
    Msg {
        user: Name,
        room: Name,
        text: String,
    },
    Error {
        text: String,
    },
    /// Whatever else.
    Other(String),
}
