//! Faults with what no honest client sends: text that isn't JSON, wrong types, binary messages.

use crate::deviation::Site;
use crate::deviation::look::{cut, cut_all, error, json, silence};
use crate::deviation::{Deviation, before};
use crate::event::{Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::room::ConnectionId;
use serde_json::Value;
use std::sync::Arc;

pub const SPECS: &[Spec] = &[
    spec("not-json-cuts", "ROB-1", &["ROB-2"], "text that isn't JSON ends the connection abruptly", || on_text(not_json, React::Cut)),
    spec("not-json-ignored", "ROB-1", &["ROB-2"], "text that isn't JSON is ignored", || on_text(not_json, React::Ignore)),
    spec("not-json-crashes", "ROB-1", &[], "text that isn't JSON ends every connection", || on_text(not_json, React::CutAll)),
    spec("array-cuts", "ROB-2", &[], "an array ends the connection abruptly", || {
        on_text(|text| parsed(text).is_some_and(|value| value.is_array()), React::Cut)
    }),
    spec("null-cuts", "ROB-2", &[], "`null` ends the connection abruptly", || {
        on_text(|text| parsed(text) == Some(Value::Null), React::Cut)
    }),
    spec("number-ignored", "ROB-2", &[], "a number is ignored", || {
        on_text(|text| parsed(text).is_some_and(|value| value.is_number()), React::Ignore)
    }),
    spec("string-ignored", "ROB-2", &[], "a JSON string is ignored", || {
        on_text(|text| parsed(text).is_some_and(|value| value.is_string()), React::Ignore)
    }),
    spec("wrong-field-type-cuts", "ROB-3", &[], "a field of data that is no string ends the connection abruptly", || {
        on_text(|text| parsed(text).is_some_and(|packet| wrong_field(&packet)), React::Cut)
    }),
    spec("wrong-data-type-cuts", "ROB-3", &[], "data that is a string ends the connection abruptly", || {
        on_text(|text| parsed(text).is_some_and(|packet| packet["data"].is_string()), React::Cut)
    }),
    spec("wrong-type-type-cuts", "ROB-3", &[], "a type that is no string ends the connection abruptly", || {
        on_text(|text| parsed(text).is_some_and(|packet| wrong(&packet, "type")), React::Cut)
    }),
    spec("unknown-type-ignored", "ROB-4", &[], "an unknown type is ignored", || {
        on_text(|text| parsed(text).is_some_and(|packet| unknown_type(&packet)), React::Ignore)
    }),
    spec("binary-cuts", "ROB-5", &[], "a binary message ends the connection abruptly", || {
        before(|site, event| match *event {
            Event::Binary(from) => cut(site, from),
            _ => None,
        })
    }),
    spec("binary-crashes", "ROB-5", &[], "a binary message ends every connection", || {
        before(|site, event| matches!(event, Event::Binary(_)).then(|| cut_all(site)).flatten())
    }),
    spec("large-message-crashes", "ROB-6", &[], "a text above 512 KiB ends every connection", || {
        on_text(|text| text.len() > 512 << 10, React::CutAll)
    }),
    spec("deep-nesting-crashes", "ROB-7", &[], "deeply nested JSON ends every connection", || on_text(deep, React::CutAll)),
    spec("deep-nesting-cuts", "ROB-7", &[], "deeply nested JSON ends the connection abruptly", || on_text(deep, React::Cut)),
    spec("extra-field-refused", "ROB-15", &[], "an unknown field beside type and data is an `invalid message`", || {
        extra_refused(|packet| packet, &["type", "data"], "invalid message")
    }),
    spec("extra-data-field-refused", "ROB-15", &[], "an unknown field in data is `invalid data`", || {
        extra_refused(|packet| &packet["data"], &["user_name", "room_name", "msg"], "invalid data")
    }),
    spec("white-space-refused", "ROB-15", &[], "white space around a packet makes it an `invalid message`", || {
        on_text(|text| text.trim() != text && parsed(text).is_some(), React::Say("invalid message"))
    }),
    spec("duplicate-key-cuts", "ROB-15", &[], "a key that occurs twice ends the connection abruptly", || {
        on_text(|text| text.matches("\"type\"").count() > 1 || text.matches("\"msg\":").count() > 1, React::Cut)
    }),
];

#[derive(Clone, Copy)]
enum React {
    Ignore,
    Cut,
    CutAll,
    Say(&'static str),
}

fn on_text(test: fn(&str) -> bool, react: React) -> Arc<dyn Deviation> {
    before(move |site, event| {
        let Event::Text(from, text) = *event else { return None };
        test(text).then(|| reaction(site, from, react)).flatten()
    })
}

fn reaction(site: &Site<'_>, from: ConnectionId, react: React) -> Option<Outcome> {
    match react {
        React::Ignore => silence(),
        React::Cut => cut(site, from),
        React::CutAll => cut_all(site),
        React::Say(text) => error(from, text),
    }
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn not_json(text: &str) -> bool {
    parsed(text).is_none() && !deep(text)
}

fn deep(text: &str) -> bool {
    text.contains(&"[".repeat(1_000)) || text.matches('{').count() > 1_000
}

fn wrong(object: &Value, field: &str) -> bool {
    object.get(field).is_some_and(|value| !value.is_string() && !value.is_null())
}

fn wrong_field(packet: &Value) -> bool {
    ["user_name", "room_name", "msg"].iter().any(|field| wrong(&packet["data"], field))
}

fn unknown_type(packet: &Value) -> bool {
    packet["type"].as_str().is_some_and(|kind| !matches!(kind, "join" | "leave" | "msg" | "user" | "error"))
}

fn extra_refused(part: fn(&Value) -> &Value, known: &'static [&'static str], text: &'static str) -> Arc<dyn Deviation> {
    before(move |_, event| {
        let (from, packet) = json(event)?;
        let has_extra = part(&packet).as_object()?.keys().any(|key| !known.contains(&key.as_str()));
        has_extra.then(|| error(from, text)).flatten()
    })
}
