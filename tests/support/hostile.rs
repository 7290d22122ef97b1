//! Runs in which every text that a server, or somebody who hands on a log, can decide is written to become markup, script or terminal codes.

use chatspec::event::{Event, Log};
use serde_json::Value;

use super::loads::HOSTILE;

/// The fields that hold such a text, or a list of them.
const FIELDS: [&str; 20] = [
    "http",
    "ws",
    "notes",
    "version",
    "started",
    "reproduce",
    "summary",
    "expected",
    "actual",
    "path",
    "hints",
    "what",
    "ends",
    "payload",
    "answer",
    "url",
    "why",
    "excerpt",
    "title",
    "question",
];

fn poison(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if FIELDS.contains(&name.as_str()) => HOSTILE.clone_into(text),
                    Value::Array(texts) if FIELDS.contains(&name.as_str()) && texts.iter().all(Value::is_string) => {
                        texts.iter_mut().for_each(|text| *text = HOSTILE.into());
                    }
                    other => poison(other),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(poison),
        _ => {}
    }
}

/// A run of scenarios with all these texts in it.
pub fn check(events: &[Event]) -> Log {
    let poisoned = events.iter().map(|event| {
        let mut value = serde_json::to_value(event).expect("an event is JSON");
        poison(&mut value);
        serde_json::from_value(value).expect("it is an event still")
    });
    Log::of(poisoned.collect()).expect("a whole log")
}
