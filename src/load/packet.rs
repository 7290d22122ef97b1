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

/// How a server writes its `msg` packets, learnt from the first: the bytes around the names and the text, which are the same each
/// time. A packet that is written otherwise, or has escapes, is read in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    before_user: Box<[u8]>,
    before_room: Box<[u8]>,
    before_text: Box<[u8]>,
    after_text: Box<[u8]>,
}

impl Layout {
    /// The layout of a packet, of which the user, the room and the text are known; `None` where they don't stand in it as they are, in
    /// this order, each once.
    pub fn of(packet: &[u8], user: &str, room: &str, text: &str) -> Option<Self> {
        let find = |from: usize, part: &str| {
            let quoted = format!("\"{part}\"");
            let at = packet.get(from..)?.windows(quoted.len()).position(|window| window == quoted.as_bytes())?;
            Some((from + at + 1, from + at + 1 + part.len()))
        };
        if user.is_empty() || user.contains(['"', '\\']) {
            return None;
        }
        let (user, room, text) = {
            let user = find(0, user)?;
            let room = find(user.1, room)?;
            (user, room, find(room.1, text)?)
        };
        Some(Self {
            before_user: packet[..user.0].into(),
            before_room: packet[user.1..room.0].into(),
            before_text: packet[room.1..text.0].into(),
            after_text: packet[text.1..].into(),
        })
    }

    /// The user and the text of a packet for the room, as they stand there; whoever takes them sees that they hold no escapes.
    pub fn split<'a>(&self, packet: &'a [u8], room: &str) -> Option<(&'a [u8], &'a [u8])> {
        let rest = packet.strip_prefix(&*self.before_user)?.strip_suffix(&*self.after_text)?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        // What stands before the room begins with the quote that ends the user.
        let (user, rest) = rest.split_at(end);
        let text = rest.strip_prefix(&*self.before_room)?.strip_prefix(room.as_bytes())?.strip_prefix(&*self.before_text)?;
        Some((user, text))
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
    fn a_layout_is_learnt_and_whatever_is_written_otherwise_is_not_taken_for_it() {
        for packet in [
            r#"{"type":"msg","data":{"user_name":"ann-1","room_name":"r1","msg":"hello"}}"#,
            r#"{ "data": {"extra": 1, "user_name": "ann-1", "room_name": "r1", "msg": "hello", "z": 2}, "type": "msg" }"#,
        ] {
            let layout = Layout::of(packet.as_bytes(), "ann-1", "r1", "hello").expect("a layout");
            let other = packet.replace("ann-1", "bob-22").replace("hello", "good bye");
            assert_eq!(layout.split(other.as_bytes(), "r1"), Some((&b"bob-22"[..], &b"good bye"[..])), "{packet}");
            for odd in
                [packet.replace("r1", "r2"), packet.replace("msg\":", "msg\" :"), packet.replace("{\"", "{ \""), packet.replace('}', "")]
            {
                assert_eq!(layout.split(odd.as_bytes(), "r1"), None, "{odd}");
            }
        }
        let other_order = r#"{"type":"msg","data":{"msg":"hello","room_name":"r1","user_name":"ann-1"}}"#;
        assert_eq!(Layout::of(other_order.as_bytes(), "ann-1", "r1", "hello"), None);
    }

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
