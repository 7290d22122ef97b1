//! Variants of what the document doesn't say.

use super::http;
use crate::deviation::look::{carried, field, is_error};
use crate::deviation::{Active, Deviation, Site};
use crate::event::{Event, Outcome};
use crate::packet::Refusal;
use axum::Router;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

/// The errors that the document has for packets.
const DOCUMENTED: [Refusal; 4] = [Refusal::InvalidMessage, Refusal::InvalidData, Refusal::IllegalData, Refusal::NullMessage];

/// What to do instead of what the plain server would.
type Instead = fn(&mut Site<'_>, &Event<'_>, &mut Outcome);

struct Silent(Instead);

/// Something else happens where the document says nothing.
pub fn with(instead: Instead) -> Arc<dyn Deviation> {
    Arc::new(Silent(instead))
}

impl Deviation for Silent {
    fn after(&self, site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        (self.0)(site, event, outcome);
    }

    fn route(&self, router: Router, _active: &Active) -> Router {
        http::rewrite(router, |head, body| if head.status.is_client_error() { "this request makes no sense".into() } else { body.into() })
    }
}

/// Another text.
pub fn reword(_site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
    let malformed = is_malformed(event);
    for delivery in &mut outcome.deliveries {
        let mut packet = carried(delivery);
        if is_error(&packet) && (malformed || !is_documented(&packet)) {
            packet["data"]["msg"] = json!("this makes no sense, 这没有意义");
            delivery.message = Message::text(packet.to_string());
        }
    }
}

/// A close frame.
pub fn close(site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
    let is_join = matches!(event, Event::Text(_, text) if serde_json::from_str::<Value>(text).is_ok_and(|packet| packet["type"] == "join"));
    let is_refused = |outcome: &Outcome| outcome.deliveries.iter().map(carried).any(|packet| is_error(&packet) && !is_documented(&packet));
    let Some(connection) = event.connection().filter(|_| is_malformed(event) || (is_join && is_refused(outcome))) else {
        return;
    };
    outcome.deliveries.clear();
    site.refuse(connection);
}

/// Nothing.
pub fn ignore(_site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
    outcome.deliveries.retain(|delivery| {
        let packet = carried(delivery);
        !is_error(&packet) || is_documented(&packet)
    });
}

fn is_documented(error: &Value) -> bool {
    DOCUMENTED.iter().any(|refusal| refusal.text() == field(error, "msg"))
}

/// Whether the message is none that the document speaks of, be it as a packet or as a mistake.
fn is_malformed(event: &Event<'_>) -> bool {
    let text = match event {
        Event::Text(_, text) => text,
        Event::Binary(_) => return true,
        Event::Request(_) | Event::Gone(_) => return false,
    };
    let Ok(Value::Object(packet)) = serde_json::from_str(text) else { return true };
    let knows = |kind: &Value| matches!(kind.as_str(), Some("join" | "leave" | "msg"));
    let is_odd = |data: &Value| match data {
        Value::Null => false,
        Value::Object(data) => ["user_name", "room_name", "msg"].iter().any(|name| data.get(*name).is_some_and(|value| !value.is_string())),
        _ => true,
    };
    packet.get("type").is_some_and(|kind| !knows(kind)) || packet.get("data").is_some_and(is_odd)
}
