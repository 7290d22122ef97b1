//! The packets of the protocol as load reads and writes them: parsed in place, written by hand.

use std::borrow::Cow;

use serde::Deserialize;

/// A packet from the server; whatever it lacks is empty.
#[derive(Debug, Deserialize)]
pub struct Packet<'a> {
    #[serde(borrow, rename = "type", default)]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub data: Data<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Data<'a> {
    #[serde(borrow, default)]
    pub user_name: Text<'a>,
    #[serde(borrow, default)]
    pub room_name: Text<'a>,
    #[serde(borrow, default)]
    pub msg: Text<'a>,
}

/// A text, or nothing: an error packet may have null for a name.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Maybe<'a>")]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

#[derive(Deserialize)]
struct Maybe<'a>(#[serde(borrow)] Option<Borrowed<'a>>);

#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<Maybe<'a>> for Text<'a> {
    fn from(maybe: Maybe<'a>) -> Self {
        Self(maybe.0.map(|text| text.0).unwrap_or_default())
    }
}

impl<'a> Packet<'a> {
    /// # Errors
    /// What is no packet.
    pub fn read(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Appends a packet. Names and text are of load's own making and hold nothing that JSON escapes.
pub fn write(kind: &str, user: &str, room: &str, message: &[u8], into: &mut Vec<u8>) {
    debug_assert!(![user, room].concat().contains(['"', '\\']));
    for part in ["{\"type\":\"", kind, "\",\"data\":{\"user_name\":\"", user, "\",\"room_name\":\"", room, "\",\"msg\":\""] {
        into.extend_from_slice(part.as_bytes());
    }
    into.extend_from_slice(message);
    into.extend_from_slice(b"\"}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_in_place_and_what_they_lack_is_empty() {
        let mut bytes = Vec::new();
        write("msg", "ann", "lobby", "hello 聊天".as_bytes(), &mut bytes);
        let packet = Packet::read(&bytes).expect("a packet");
        assert_eq!((&*packet.kind, &*packet.data.user_name.0, &*packet.data.room_name.0), ("msg", "ann", "lobby"));
        assert!(matches!(packet.data.msg.0, Cow::Borrowed("hello 聊天")));
        let error = Packet::read(br#"{"type":"error","data":{"user_name":null,"msg":"invalid \u0064ata"},"more":[1]}"#).expect("a packet");
        assert_eq!((&*error.kind, &*error.data.user_name.0, &*error.data.msg.0), ("error", "", "invalid data"));
        assert!(Packet::read(b"[1]").is_err() && Packet::read(b"hello").is_err());
    }
}
