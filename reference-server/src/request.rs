//! The requests on HTTP and their answers, free of how HTTP carries them.

use serde_json::{Value, json};

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
    pub body: Value,
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
        Self { status, body: json!({"res": text}) }
    }

    /// The text of `res`, if there is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.body.get("res").and_then(Value::as_str)
    }
}
