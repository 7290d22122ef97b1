//! Variants of how JSON is written.

use super::http;
use crate::deviation::{Active, Deviation, Site};
use crate::event::{Event, Outcome};
use axum::Router;
use axum::body::Bytes;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

type Writer = fn(&Value) -> String;

struct Written(Writer);

/// All JSON, in packets and in HTTP answers, is written by this function.
pub fn written(write: Writer) -> Arc<dyn Deviation> {
    Arc::new(Written(write))
}

impl Deviation for Written {
    fn after(&self, _site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        for delivery in &mut outcome.deliveries {
            let packet = delivery.message.to_text().ok().and_then(|text| serde_json::from_str(text).ok());
            if let Some(packet) = packet {
                delivery.message = Message::text((self.0)(&packet));
            }
        }
    }

    fn route(&self, router: Router, _active: &Active) -> Router {
        let write = self.0;
        http::rewrite(router, move |head, body| {
            head.headers.remove(axum::http::header::CONTENT_LENGTH);
            match serde_json::from_slice(&body) {
                Ok(value) => Bytes::from(write(&value)).into(),
                Err(_) => body.into(),
            }
        })
    }
}

/// With more fields in every object.
pub fn extended(value: &Value) -> String {
    fn extend(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let mut extended: Map<_, _> = [("id".to_owned(), json!(42))].into_iter().collect();
                extended.extend(fields.iter().map(|(name, value)| (name.clone(), extend(value))));
                extended.insert("note".to_owned(), json!({"time": "2024-01-01T00:00:00Z", "tags": [null, true, "join"]}));
                extended.into()
            }
            Value::Array(items) => items.iter().map(extend).collect(),
            other => other.clone(),
        }
    }
    extend(value).to_string()
}

/// With the fields of every object from the last to the first.
pub fn reordered(value: &Value) -> String {
    fn reverse(value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(fields.iter().rev().map(|(name, value)| (name.clone(), reverse(value))).collect()),
            Value::Array(items) => items.iter().map(reverse).collect(),
            other => other.clone(),
        }
    }
    reverse(value).to_string()
}

/// Indented.
pub fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// In ASCII, and with slashes escaped.
pub fn escaped(value: &Value) -> String {
    let mut escaped = String::new();
    for letter in value.to_string().chars() {
        match letter {
            '/' => escaped.push_str("\\/"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(escaped, "\\u{unit:04x}").expect("a string takes everything");
                }
            }
        }
    }
    escaped
}

/// With white space around it.
pub fn spaced(value: &Value) -> String {
    format!(" \r\n\t{value} \n")
}
