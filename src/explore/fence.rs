//! Which fence a trace is played with, and which packets are its answers.
//!
//! A fence is an exchange that is answered by an error. Where an action may be answered by the same error, its answer can pass for
//! the fence's, and what belongs to one round would be looked for in the next: so each trace has a fence that nothing in it can be
//! mistaken for.

use std::collections::HashMap;

use serde_json::Value;

use super::action::{Action, Trace};
use super::compile::SOURCE;
use crate::event::{Direction, Event, Frame, Record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The packet `{}`.
    BareObject,
    /// A message without a text.
    EmptyMessage,
}

impl Fence {
    pub const ALL: [Fence; 2] = [Fence::EmptyMessage, Fence::BareObject];

    /// Its ID among the protocol's fences.
    pub fn id(self) -> &'static str {
        match self {
            Fence::BareObject => "bare-object",
            Fence::EmptyMessage => "empty-message",
        }
    }

    /// The one that this trace can be played with.
    pub fn of(trace: &Trace) -> Self {
        let is_mistaken = |fence: &Fence| trace.rounds.iter().flatten().any(|action| fence.is_mistaken_for(action));
        Fence::ALL.into_iter().find(|fence| !is_mistaken(fence)).unwrap_or(Fence::EmptyMessage)
    }

    /// Whether an action may be answered as the fence is.
    pub fn is_mistaken_for(self, action: &Action) -> bool {
        match (self, action) {
            (Fence::EmptyMessage, Action::Say { text, .. }) => text.trim().is_empty(),
            (Fence::EmptyMessage, Action::Raw { text, .. }) => {
                let packet: Value = serde_json::from_str(text).unwrap_or(Value::Null);
                packet["type"] == "msg" && packet["data"]["msg"].as_str().is_some_and(|text| text.trim().is_empty())
            }
            (Fence::BareObject, Action::Raw { text, .. }) => {
                let packet: Value = serde_json::from_str(text).unwrap_or(Value::Null);
                let is_known = matches!(packet["type"].as_str(), Some("join" | "leave" | "msg"));
                !is_known || packet["data"].as_object().is_none_or(serde_json::Map::is_empty)
            }
            _ => false,
        }
    }
}

/// The error that answers a fence with this packet, where it is one of those.
fn answer_to(packet: &str) -> Option<&'static str> {
    if packet == "{}" {
        return Some("invalid message");
    }
    let packet: Value = serde_json::from_str(packet).ok()?;
    (packet["type"] == "msg" && packet["data"]["msg"] == "").then_some("null message")
}

/// Marks the answers to fences as belonging to them. A fence is the last thing in its step, so its answers are the last of what its
/// step brought.
pub fn mark(events: &mut [Event]) {
    let mut start = 0;
    for at in 0..=events.len() {
        let ends = match events.get(at) {
            Some(Event::Step { place, .. }) => place.starts_with(SOURCE),
            Some(_) => false,
            None => true,
        };
        if ends {
            mark_step(&mut events[start..at]);
            start = at;
        }
    }
}

fn mark_step(events: &mut [Event]) {
    let mut due: HashMap<String, Vec<&'static str>> = HashMap::new();
    for event in events.iter() {
        if let Event::Frame(frame) = event
            && frame.fence
            && frame.direction == Direction::Sent
            && let Some(answer) = frame.payload.as_ref().map(whole).and_then(answer_to)
        {
            due.entry(frame.actor.clone()).or_default().push(answer);
        }
    }
    // A server that answers by another error than the documented one still answers.
    for is_exact in [true, false] {
        if due.values().all(Vec::is_empty) {
            return;
        }
        for event in events.iter_mut().rev() {
            if let Event::Frame(frame) = event
                && let Some(error) = error_of(frame)
                && let Some(answers) = due.get_mut(&frame.actor)
                && let Some(at) = answers.iter().position(|answer| !is_exact || *answer == error)
            {
                answers.swap_remove(at);
                frame.fence = true;
            }
        }
    }
}

/// The text of an error that came and belongs to nothing yet.
fn error_of(frame: &Frame) -> Option<String> {
    if frame.fence || frame.direction != Direction::Received || frame.kind != "text" {
        return None;
    }
    let packet: Value = serde_json::from_str(frame.payload.as_ref().map(whole)?).ok()?;
    if packet["type"] == "error" { packet["data"]["msg"].as_str().map(str::to_owned) } else { None }
}

/// The text of a record; of one that was cut short, its beginning.
pub fn whole(record: &Record) -> &str {
    match record {
        Record::Whole(text) => text,
        Record::Long { start, .. } => start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Outcome;

    fn frame(direction: Direction, payload: &str, fence: bool) -> Event {
        Event::Frame(Frame {
            at_ms: 0.0,
            scenario: "s".into(),
            run: 1,
            actor: "ann".into(),
            direction,
            kind: "text".into(),
            payload: Some(Record::Whole(payload.into())),
            fence,
        })
    }

    fn error(text: &str) -> Event {
        frame(Direction::Received, &format!("{{\"type\":\"error\",\"data\":{{\"msg\":\"{text}\"}}}}"), false)
    }

    fn step() -> Event {
        let place = format!("{SOURCE}:7:5");
        Event::Step { at_ms: 0.0, scenario: "s".into(), run: 1, place, outcome: Outcome::Pass, note: String::new() }
    }

    #[test]
    fn the_answer_to_an_action_is_not_the_fences() {
        let sent = || frame(Direction::Sent, "{}", true);
        let mut events = vec![step(), sent(), error("invalid data"), error("invalid message"), sent(), error("invalid message"), step()];
        events.extend([error("invalid message"), step()]);
        mark(&mut events);
        let marked: Vec<bool> = events.iter().map(|event| matches!(event, Event::Frame(frame) if frame.fence)).collect();
        assert_eq!(marked, [false, true, false, true, true, true, false, false, false]);
    }

    #[test]
    fn a_trace_has_a_fence_that_nothing_in_it_is_mistaken_for() {
        let trace = |action: Action| Trace { actors: 1, rounds: vec![vec![action]], ..Trace::default() };
        let raw = |text: &str| Action::Raw { actor: 0, text: text.to_owned() };
        let empty = Action::Say {
            actor: 0,
            room: super::super::action::Name::Room(0),
            user: super::super::action::Name::User(0),
            text: String::new(),
        };
        assert_eq!(Fence::of(&trace(empty)), Fence::BareObject);
        assert_eq!(Fence::of(&trace(raw("{}"))), Fence::EmptyMessage);
        assert_eq!(
            Fence::of(&trace(raw("{\"type\":\"msg\",\"data\":{\"user_name\":\"\",\"room_name\":\"x\",\"msg\":\"\"}}"))),
            Fence::BareObject
        );
    }
}
