//! What may come of a packet that is malformed, or that only looks so.

use serde_json::Value;

use super::Names;
use super::entry;
use super::outcome::{ILLEGAL_DATA, INVALID_DATA, INVALID_MESSAGE, NULL_MESSAGE, Outcome, error, refused, rejected};
use super::packet;
use super::reading::{bare_data, msg_field, null_data};
use super::state::State;
use crate::explore::action::{Actor, Name};

/// Bytes above which a server may refuse a packet without reading it.
const LONG_PACKET: usize = 65_536;

/// What a text is, as far as its form goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// It is no packet, or not of a type that clients send.
    Noise(&'static str),
    /// A packet of a type that only servers send (PKT-4, PKT-5).
    ServersOwn(&'static str),
    NullData,
    BareData,
    /// One of these errors is the answer.
    Mistake(Vec<&'static str>, &'static str),
    /// Nothing is wrong with it but a `msg` that a `join` or `leave` may not need (R-MSG-FIELD).
    WithoutMsg(Kind, Name, Name),
    Fine(Kind, Name, Name, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Join,
    Leave,
    Msg,
}

/// What a client's text is.
pub fn form(text: &str) -> Form {
    let packet = match serde_json::from_str(text) {
        Ok(Value::Object(packet)) => packet,
        Ok(_) => return Form::Noise("ROB-2"),
        Err(_) if text.len() > 256 && is_deep(text) => return Form::Noise("ROB-7"),
        Err(_) => return Form::Noise("ROB-1"),
    };
    let data = packet.get("data");
    let kind = match (packet.get("type"), data) {
        (None, None) => return Form::Mistake(vec![INVALID_MESSAGE], "ERR-3"),
        (None, _) => return Form::Mistake(vec![INVALID_MESSAGE], "ERR-1"),
        (Some(Value::String(kind)), _) => match kind.as_str() {
            "join" => Kind::Join,
            "leave" => Kind::Leave,
            "msg" => Kind::Msg,
            "user" => return Form::ServersOwn("PKT-4"),
            "error" => return Form::ServersOwn("PKT-5"),
            _ => return Form::Noise("ROB-4"),
        },
        (Some(_), _) => return Form::Noise("ROB-3"),
    };
    let fields = match data {
        None => return Form::Mistake(vec![INVALID_MESSAGE], "ERR-2"),
        Some(Value::Null) => return Form::NullData,
        Some(Value::Object(fields)) if fields.is_empty() => return Form::BareData,
        Some(Value::Object(fields)) => fields,
        Some(_) => return Form::Noise("ROB-3"),
    };
    let field = |name: &str| fields.get(name);
    let named = ["user_name", "room_name", "msg"].map(field);
    if named.iter().flatten().any(|value| !value.is_string()) {
        return Form::Noise("ROB-3");
    }
    let [user, room, msg] = named.map(|value| value.and_then(Value::as_str));
    let mut wrong: Vec<(&'static str, &'static str)> = Vec::new();
    if user.is_none() {
        wrong.push((INVALID_DATA, "ERR-4"));
    }
    if room.is_none() {
        wrong.push((INVALID_DATA, "ERR-5"));
    }
    if msg.is_none() && kind == Kind::Msg {
        wrong.push((INVALID_DATA, "ERR-6"));
    }
    if user == Some("") {
        wrong.push((ILLEGAL_DATA, "ERR-8"));
    }
    if room == Some("") {
        wrong.push((ILLEGAL_DATA, "ERR-9"));
    }
    if msg == Some("") && kind == Kind::Msg {
        wrong.push((NULL_MESSAGE, "ERR-10"));
    }
    // Without `msg` this may be `invalid data` too, on top of what is wrong for certain.
    if msg.is_none() && kind != Kind::Msg && !wrong.is_empty() {
        wrong.push((INVALID_DATA, "ERR-7"));
    }
    let mut texts: Vec<&'static str> = wrong.iter().map(|(text, _)| *text).collect();
    texts.sort_unstable();
    texts.dedup();
    match (wrong.as_slice(), user, room, msg) {
        ([], Some(user), Some(room), Some(msg)) => Form::Fine(kind, named_by(room), named_by(user), msg.to_owned()),
        ([], Some(user), Some(room), None) => Form::WithoutMsg(kind, named_by(room), named_by(user)),
        ([(_, only)], ..) => Form::Mistake(texts, only),
        ([(_, first), ..], ..) if texts.len() == 1 => Form::Mistake(texts, first),
        _ => Form::Mistake(texts, "ERR-14"),
    }
}

/// A name as a packet's text gives it: `${room0}` and `${user1}` stand for the trace's own.
fn named_by(text: &str) -> Name {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let numbered = |prefix: &str| inner.and_then(|inner| inner.strip_prefix(prefix)).and_then(|number| number.parse().ok());
    numbered("room").map(Name::Room).or_else(|| numbered("user").map(Name::User)).unwrap_or_else(|| Name::Literal(text.to_owned()))
}

/// Whether the text is nothing but an opening of many levels, which a parser gives up on.
fn is_deep(text: &str) -> bool {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > 127
}

pub fn raw(names: &Names, state: &State, actor: Actor, text: &str) -> Vec<Outcome> {
    if state.connection(actor).is_none() {
        return vec![Outcome::new(state.clone(), "CONN-1")];
    }
    let answered = |state: &State, text, proves| error(state, actor, vec![text], proves);
    let mut outcomes = match form(text) {
        Form::Noise(proves) => rejected(state, actor, proves),
        Form::ServersOwn(proves) => refused(state, actor, proves),
        Form::Mistake(texts, proves) => vec![error(state, actor, texts, proves)],
        Form::NullData => {
            let values = [null_data::INVALID_MESSAGE, null_data::INVALID_DATA];
            let text = |value| if value == values[0] { INVALID_MESSAGE } else { INVALID_DATA };
            state.under(&values).iter().map(|(value, state)| answered(state, text(*value), "ERR-11")).collect()
        }
        Form::BareData => {
            let values = [bare_data::INVALID_MESSAGE, bare_data::INVALID_DATA];
            let text = |value| if value == values[0] { INVALID_MESSAGE } else { INVALID_DATA };
            state.under(&values).iter().map(|(value, state)| answered(state, text(*value), "ERR-11")).collect()
        }
        Form::WithoutMsg(kind, room, user) => {
            let required = state.with(msg_field::REQUIRED).map(|state| answered(&state, INVALID_DATA, "ERR-7"));
            let optional = state.with(msg_field::OPTIONAL).map(|state| sent(names, &state, actor, kind, &room, &user, ""));
            required.into_iter().chain(optional.into_iter().flatten()).collect()
        }
        Form::Fine(kind, room, user, msg) => sent(names, state, actor, kind, &room, &user, &msg),
    };
    if text.len() > LONG_PACKET {
        outcomes.extend(refused(state, actor, "ROB-6"));
    }
    outcomes
}

fn sent(names: &Names, state: &State, actor: Actor, kind: Kind, room: &Name, user: &Name, msg: &str) -> Vec<Outcome> {
    match kind {
        Kind::Join => entry::join(names, state, actor, room, user),
        Kind::Leave => packet::leave(state, actor, room, user),
        Kind::Msg => packet::say(state, actor, room, user, msg),
    }
}
