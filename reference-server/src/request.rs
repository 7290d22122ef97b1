//! The requests on HTTP and their answers, free of how HTTP carries them.

use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a client asks for over HTTP. A parameter that is missing, or that isn't text, is the empty string: both are
/// refused alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    List,
    Create {
        room_name: String,
    },
    Room {
        room_name: String,
        user_name: String,
        /// `1` enters and `0` leaves; anything else is refused.
        status: String,
    },
}

/// A JSON answer: the HTTP status code (200 for all that the document describes) and the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Body,
}

/// The body of an answer, serialised where it is sent and not under a lock.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    List(RoomList),
    Value(Value),
}

/// The rooms, under one name or both (R-LIST).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RoomList {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_list: Option<Arc<[RoomEntry]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Arc<[RoomEntry]>>,
}

/// A room in the list, with its name under one key or both (R-ENTRY).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoomEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    pub population: usize,
}

impl Body {
    /// The body as a value that can be changed.
    pub fn value(&mut self) -> &mut Value {
        if let Self::List(list) = self {
            *self = Self::Value(serde_json::to_value(list).expect("a list of texts and numbers always serialises"));
        }
        match self {
            Self::Value(value) => value,
            Self::List(_) => unreachable!("it was replaced by a value"),
        }
    }
}

pub const CREATED: &str = "chatroom create successfully";
pub const EXISTS: &str = "chatroom already exist";
pub const JOINED: &str = "join chatroom";
pub const LEFT: &str = "leave chatroom";
pub const INVALID_ROOM: &str = "invalid room";
pub const INVALID_STATUS: &str = "invalid status";
pub const USER_NOT_EXIST: &str = "user not exist";
pub const FULL_ROOM: &str = "full room";
pub const TOO_MANY_ROOMS: &str = "too many rooms";

impl Answer {
    /// A documented `res`.
    #[must_use]
    pub fn res(text: &str) -> Self {
        Self::with_status(200, text)
    }

    /// A refusal of a request whose parameters can't be used, for which the document has no text of its own (CREATE-4, ROOM-7).
    #[must_use]
    pub fn bad_request(text: &str) -> Self {
        Self::with_status(400, text)
    }

    /// A `res` under any HTTP status code.
    #[must_use]
    pub fn with_status(status: u16, text: &str) -> Self {
        Self { status, body: Body::Value(json!({"res": text})) }
    }

    /// The text of `res`, if there is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Value(body) => body.get("res").and_then(Value::as_str),
            Body::List(_) => None,
        }
    }
}
