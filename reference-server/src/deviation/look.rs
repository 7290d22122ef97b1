//! What deviations have in common: looking at events, and changing packets on their way out.

use super::Site;
use crate::event::{Delivery, Event, Outcome};
use crate::packet::{self, ClientPacket, Kind};
use crate::request::{Answer, Request};
use crate::room::ConnectionId;
use serde_json::Value;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// Later than a client that waits 3 s for an answer.
pub const LATE: Duration = Duration::from_secs(4);

/// Longer than any name that a client could have.
const LONGEST_NAME: usize = usize::MAX;

/// A text message that is JSON, valid packet or not.
pub fn json(event: &Event<'_>) -> Option<(ConnectionId, Value)> {
    match event {
        Event::Text(from, text) => Some((*from, serde_json::from_str(text).ok()?)),
        _ => None,
    }
}

/// A valid packet of that kind.
pub fn packet(site: &Site<'_>, event: &Event<'_>, kind: Kind) -> Option<(ConnectionId, ClientPacket)> {
    let Event::Text(from, text) = event else { return None };
    let packet = packet::parse(text, &site.state.readings, LONGEST_NAME).ok()?;
    (packet.kind == kind).then_some((*from, packet))
}

/// The parameters of `chatroom/room`: room, user, status.
pub fn room<'a>(event: &Event<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    match event {
        Event::Request(Request::Room { room_name, user_name, status }) => Some((room_name, user_name, status)),
        _ => None,
    }
}

/// Room and user of a request to `chatroom/room` that got this answer.
pub fn answered<'a>(event: &Event<'a>, outcome: &Outcome, text: &str) -> Option<(&'a str, &'a str)> {
    let (room_name, user_name, _) = room(event)?;
    says(outcome, text).then_some((room_name, user_name))
}

/// Whether the answer's `res` is this text.
pub fn says(outcome: &Outcome, text: &str) -> bool {
    outcome.answer.as_ref().and_then(Answer::text) == Some(text)
}

/// Puts one text in place of another in the answer.
pub fn reword(outcome: &mut Outcome, from: &str, to: &str) -> bool {
    let found = says(outcome, from);
    if found {
        outcome.answer = Some(Answer::res(to));
    }
    found
}

/// An outcome that is nothing but an HTTP answer.
pub fn answer(text: &str) -> Option<Outcome> {
    Some(Answer::res(text).into())
}

/// An HTTP answer of a server that has crashed on the request.
pub fn crash() -> Option<Outcome> {
    Some(Answer::with_status(500, "internal server error").into())
}

/// No reaction at all.
pub fn silence() -> Option<Outcome> {
    Some(Outcome::default())
}

/// The connection ends with no goodbye.
pub fn cut(site: &Site<'_>, connection: ConnectionId) -> Option<Outcome> {
    site.cut(connection);
    silence()
}

/// Every connection ends abruptly.
pub fn cut_all(site: &Site<'_>) -> Option<Outcome> {
    site.outboxes.keys().for_each(|connection| site.cut(*connection));
    silence()
}

/// An `error` packet with any text.
pub fn error(to: ConnectionId, text: &str) -> Option<Outcome> {
    let packet = serde_json::json!({"type": "error", "data": {"user_name": "", "room_name": "", "msg": text}});
    Some(send(vec![to], &packet))
}

/// An outcome that sends one packet.
pub fn send(to: Vec<ConnectionId>, packet: &Value) -> Outcome {
    let message = Message::text(packet.to_string());
    vec![Delivery { to, message }].into()
}

/// A field of the packet's `data`, empty if there is none.
pub fn field<'a>(packet: &'a Value, name: &str) -> &'a str {
    packet["data"][name].as_str().unwrap_or_default()
}

pub fn is_msg(packet: &Value) -> bool {
    packet["type"] == "msg"
}

pub fn is_error(packet: &Value) -> bool {
    packet["type"] == "error"
}

/// A `user` packet that says `create`, `join` or `leave`.
pub fn is_user(packet: &Value, activity: &str) -> bool {
    packet["type"] == "user" && field(packet, "msg") == activity
}

/// The packet that a delivery carries.
pub fn carried(delivery: &Delivery) -> Value {
    delivery.message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The packets of the outcome that satisfy the test.
pub fn sent<'a>(outcome: &'a Outcome, test: fn(&Value) -> bool) -> impl Iterator<Item = Value> + 'a {
    outcome.deliveries.iter().map(carried).filter(test)
}

/// Who has done this by a packet, as a `user` packet says: connection, room and user.
pub fn done(event: &Event<'_>, outcome: &Outcome, activity: &str) -> Option<(ConnectionId, String, String)> {
    let Event::Text(from, _) = *event else { return None };
    let packet = outcome.deliveries.iter().map(carried).find(|packet| is_user(packet, activity))?;
    Some((from, field(&packet, "room_name").to_owned(), field(&packet, "user_name").to_owned()))
}

/// Who has entered by WebSocket: connection, room and user.
pub fn entered(event: &Event<'_>, outcome: &Outcome) -> Option<(ConnectionId, String, String)> {
    done(event, outcome, "create").or_else(|| done(event, outcome, "join"))
}

/// Changes the packets that go to some of the recipients. The closure says whether it changed anything.
pub fn edit_for(outcome: &mut Outcome, who: impl Fn(ConnectionId) -> bool, edit: impl Fn(&mut Value) -> bool) -> bool {
    let mut edited = false;
    let mut deliveries = Vec::new();
    for delivery in outcome.deliveries.drain(..) {
        let mut packet = carried(&delivery);
        let (concerned, others): (Vec<_>, Vec<_>) = delivery.to.iter().partition(|connection| who(**connection));
        if concerned.is_empty() || !edit(&mut packet) {
            deliveries.push(delivery);
            continue;
        }
        edited = true;
        deliveries.push(Delivery { to: concerned, message: Message::text(packet.to_string()) });
        if !others.is_empty() {
            deliveries.push(Delivery { to: others, message: delivery.message });
        }
    }
    outcome.deliveries = deliveries;
    edited
}

/// Changes the packets on their way to everybody.
pub fn edit(outcome: &mut Outcome, edit: impl Fn(&mut Value) -> bool) -> bool {
    edit_for(outcome, |_| true, edit)
}

/// Replaces the whole message that carries a packet.
pub fn replace(outcome: &mut Outcome, replacement: impl Fn(&Value) -> Option<Message>) -> bool {
    let mut replaced = false;
    for delivery in &mut outcome.deliveries {
        if let Some(message) = replacement(&carried(delivery)) {
            delivery.message = message;
            replaced = true;
        }
    }
    replaced
}

/// Takes recipients away from the packets that satisfy the test.
pub fn withhold(outcome: &mut Outcome, test: impl Fn(&Value) -> bool, from: impl Fn(ConnectionId, &[ConnectionId]) -> bool) -> bool {
    let mut withheld = false;
    for delivery in outcome.deliveries.iter_mut().filter(|delivery| test(&carried(delivery))) {
        let mut all = delivery.to.clone();
        all.sort_unstable();
        delivery.to.retain(|connection| !from(*connection, &all));
        withheld |= delivery.to.len() < all.len();
    }
    withheld
}

/// Sends the packets that satisfy the test once more to some of their recipients.
pub fn repeat(outcome: &mut Outcome, test: impl Fn(&Value) -> bool, to: impl Fn(ConnectionId) -> bool) -> bool {
    let again = outcome.deliveries.iter().filter(|delivery| test(&carried(delivery))).map(|delivery| Delivery {
        to: delivery.to.iter().copied().filter(|connection| to(*connection)).collect(),
        message: delivery.message.clone(),
    });
    let again: Vec<_> = again.filter(|delivery| !delivery.to.is_empty()).collect();
    let repeated = !again.is_empty();
    outcome.deliveries.extend(again);
    repeated
}

/// Takes the packets that satisfy the test out, for some of their recipients, and sends them late.
pub fn delay(
    site: &Site<'_>,
    outcome: &mut Outcome,
    by: Duration,
    test: impl Fn(&Value) -> bool,
    to: impl Fn(ConnectionId) -> bool,
) -> bool {
    let before = Outcome::from(outcome.deliveries.clone());
    if !withhold(outcome, &test, |connection, _| to(connection)) {
        return false;
    }
    let late = before.deliveries.into_iter().filter(|delivery| test(&carried(delivery))).map(|mut delivery| {
        delivery.to.retain(|connection| to(*connection));
        delivery
    });
    site.deliver_later(late.collect(), by);
    true
}

/// Whether the connection is not the first of those who, beside the one that caused the event, are told.
pub fn is_later_other(connection: ConnectionId, told: &[ConnectionId], cause: Option<ConnectionId>) -> bool {
    let first_other = told.iter().find(|other| Some(**other) != cause);
    Some(connection) != cause && Some(&connection) != first_other
}
