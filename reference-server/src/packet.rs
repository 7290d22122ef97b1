//! The packets on the WebSocket: what clients send is validated here, what the server sends is built here.

use crate::envelope::{Data, Envelope, Field, Fields};
use crate::reading::{BareData, ErrorFields, MsgField, NullData, Readings};
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

/// What a client asks for with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Join,
    Leave,
    Msg,
}

/// A valid packet from a client: the names are not empty, and neither is the `msg` of a `msg` packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPacket {
    pub kind: Kind,
    pub user_name: String,
    pub room_name: String,
    /// Empty for a `join` or `leave` without `msg`, where R-MSG-FIELD allows that.
    pub msg: String,
}

/// What a `user` packet says that its user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Create,
    Join,
    Leave,
}

/// Why a packet is refused. The first four are the document's; for the others it has no text, and they borrow the
/// HTTP text for the same situation where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    InvalidMessage,
    InvalidData,
    IllegalData,
    NullMessage,
    InvalidRoom,
    FullRoom,
    UserNotExist,
    UserAlreadyInRoom,
    AlreadyInAnotherRoom,
    TooManyRooms,
}

impl Refusal {
    /// The text for `data.msg` of the `error` packet.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::InvalidMessage => "invalid message",
            Self::InvalidData => "invalid data",
            Self::IllegalData => "illegal data",
            Self::NullMessage => "null message",
            Self::InvalidRoom => "invalid room",
            Self::FullRoom => "full room",
            Self::UserNotExist => "user not exist",
            Self::UserAlreadyInRoom => "user already in room",
            Self::AlreadyInAnotherRoom => "already in another room",
            Self::TooManyRooms => "too many rooms",
        }
    }
}

/// Reads a packet that a client sent (ERR-1 to ERR-11, ROB-1 to ROB-4). Names longer than `longest_name` bytes are
/// refused like empty ones.
///
/// # Errors
/// The first refusal that applies: the envelope's before the fields', a missing field's before an empty one's.
pub fn parse(text: &str, readings: &Readings, longest_name: usize) -> Result<ClientPacket, Refusal> {
    let Ok(Envelope { kind, data }) = Envelope::read(text) else {
        return Err(Refusal::InvalidMessage);
    };
    let kind = match kind {
        Field::Text(kind) => match &*kind {
            "join" => Kind::Join,
            "leave" => Kind::Leave,
            "msg" => Kind::Msg,
            // `user` and `error` come from servers, so from a client they are as unknown as any other type.
            _ => return Err(Refusal::InvalidMessage),
        },
        Field::Missing | Field::Other => return Err(Refusal::InvalidMessage),
    };
    let Fields { user_name, room_name, msg, .. } = match data {
        Data::Missing => return Err(Refusal::InvalidMessage),
        Data::Null => {
            return Err(match readings.null_data {
                NullData::InvalidMessage => Refusal::InvalidMessage,
                NullData::InvalidData => Refusal::InvalidData,
            });
        }
        Data::Fields(Fields { has_any: false, .. }) => {
            return Err(match readings.bare_data {
                BareData::InvalidMessage => Refusal::InvalidMessage,
                BareData::InvalidData => Refusal::InvalidData,
            });
        }
        Data::Fields(fields) => fields,
        Data::Other => return Err(Refusal::InvalidData),
    };

    let user_name = string(user_name)?;
    let room_name = string(room_name)?;
    let msg_is_optional = kind != Kind::Msg && readings.msg_field == MsgField::Optional;
    let msg = if msg_is_optional && msg == Field::Missing { String::new() } else { string(msg)? };

    let usable = |name: &str| !name.is_empty() && name.len() <= longest_name;
    if !usable(&user_name) || !usable(&room_name) {
        return Err(Refusal::IllegalData);
    }
    if kind == Kind::Msg && msg.is_empty() {
        return Err(Refusal::NullMessage);
    }
    Ok(ClientPacket { kind, user_name, room_name, msg })
}

fn string(field: Field<'_>) -> Result<String, Refusal> {
    match field {
        Field::Text(text) => Ok(text.into_owned()),
        Field::Missing | Field::Other => Err(Refusal::InvalidData),
    }
}

/// A `user` packet: `user_name` has entered or left `room_name` (JOIN-1, JOIN-2, LEAVE-1).
#[must_use]
pub fn user(user_name: &str, room_name: &str, activity: Activity) -> Message {
    let msg = match activity {
        Activity::Create => "create",
        Activity::Join => "join",
        Activity::Leave => "leave",
    };
    ServerPacket::new("user", Some((user_name, room_name)), msg).into_message()
}

/// A `msg` packet, with the text as the sender wrote it (MSG-1, MSG-4).
#[must_use]
pub fn msg(user_name: &str, room_name: &str, text: &str) -> Message {
    ServerPacket::new("msg", Some((user_name, room_name)), text).into_message()
}

/// An `error` packet (R-ERROR-FIELDS says whether it has the names).
#[must_use]
pub fn error(refusal: Refusal, readings: &Readings) -> Message {
    let names = match readings.error_fields {
        ErrorFields::Empty => Some(("", "")),
        ErrorFields::Absent => None,
    };
    ServerPacket::new("error", names, refusal.text()).into_message()
}

#[derive(Serialize)]
struct ServerPacket<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: ServerData<'a>,
}

#[derive(Serialize)]
struct ServerData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_name: Option<&'a str>,
    msg: &'a str,
}

impl<'a> ServerPacket<'a> {
    fn new(kind: &'static str, names: Option<(&'a str, &'a str)>, msg: &'a str) -> Self {
        let (user_name, room_name) = names.unzip();
        Self { kind, data: ServerData { user_name, room_name, msg } }
    }

    fn into_message(self) -> Message {
        Message::text(serde_json::to_string(&self).expect("structs of strings always serialise"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Kind, Refusal>) {
        check_with(text, &[], expected);
    }

    fn check_with(text: &str, pinned: &[(&str, &str)], expected: Result<Kind, Refusal>) {
        let mut readings = Readings::default();
        for (id, value) in pinned {
            readings.pin(id, value).unwrap();
        }
        assert_eq!(parse(text, &readings, 1_024).map(|packet| packet.kind), expected, "{text}");
    }

    fn with_data(kind: &str, data: &str) -> String {
        format!(r#"{{"type":"{kind}","data":{data}}}"#)
    }

    #[test]
    fn the_documented_packets_are_accepted() {
        let data = r#"{"user_name":"test","room_name":"TEST","msg":"hello"}"#;
        check(&with_data("join", data), Ok(Kind::Join));
        check(&with_data("leave", data), Ok(Kind::Leave));
        check(&with_data("msg", data), Ok(Kind::Msg));
        check(
            " \n{\"extra\":1,\"type\":\"join\",\"data\":{\"x\":[],\"user_name\":\"a\",\"room_name\":\"b\",\"msg\":\"\"}} ",
            Ok(Kind::Join),
        );
    }

    #[test]
    fn a_broken_envelope_is_an_invalid_message() {
        let data = r#"{"user_name":"a","room_name":"b","msg":"c"}"#;
        let deep = "[".repeat(100_000);
        for text in ["", "hello", "[]", "1", "null", "{}", r#"{"type":"join"}"#, "{\"data\":{}}", &deep] {
            check(text, Err(Refusal::InvalidMessage));
        }
        for kind in ["user", "error", "JOIN", ""] {
            check(&with_data(kind, data), Err(Refusal::InvalidMessage));
        }
        check(&format!(r#"{{"type":[],"data":{data}}}"#), Err(Refusal::InvalidMessage));
    }

    #[test]
    fn fields_are_missed_before_they_are_found_empty() {
        for kind in ["join", "leave", "msg"] {
            check(&with_data(kind, r#"{"room_name":"","msg":""}"#), Err(Refusal::InvalidData));
            check(&with_data(kind, r#"{"user_name":"","msg":""}"#), Err(Refusal::InvalidData));
            check(&with_data(kind, r#"{"user_name":1,"room_name":"b","msg":"c"}"#), Err(Refusal::InvalidData));
            check(&with_data(kind, r#"{"user_name":"a","room_name":"b"}"#), Err(Refusal::InvalidData));
            check(&with_data(kind, r#""x""#), Err(Refusal::InvalidData));
            check(&with_data(kind, r#"{"user_name":"","room_name":"b","msg":""}"#), Err(Refusal::IllegalData));
            check(&with_data(kind, r#"{"user_name":"a","room_name":"","msg":"c"}"#), Err(Refusal::IllegalData));
        }
        check(&with_data("msg", r#"{"user_name":"a","room_name":"b","msg":""}"#), Err(Refusal::NullMessage));
    }

    #[test]
    fn readings_decide_what_null_bare_and_partial_data_are() {
        let null = with_data("msg", "null");
        check(&null, Err(Refusal::InvalidMessage));
        check_with(&null, &[("R-NULL-DATA", "invalid data")], Err(Refusal::InvalidData));
        let bare = with_data("msg", "{}");
        check(&bare, Err(Refusal::InvalidData));
        check_with(&bare, &[("R-BARE-DATA", "invalid message")], Err(Refusal::InvalidMessage));
        let optional = [("R-MSG-FIELD", "optional")];
        let names = r#"{"user_name":"a","room_name":"b"}"#;
        check_with(&with_data("join", names), &optional, Ok(Kind::Join));
        check_with(&with_data("msg", names), &optional, Err(Refusal::InvalidData));
    }
}
