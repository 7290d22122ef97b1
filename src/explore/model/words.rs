//! Actions, answers and packets in words, for findings.

use super::Names;
use super::outcome::{Outcome, Pattern, Reply};
use crate::explore::action::{Action, Answer, Name, Observed, Packet};

/// Letters of a text that are shown.
const SHOWN: usize = 80;

/// A text in quotes, its control characters escaped, its middle left out where it is long.
pub fn quoted(text: &str) -> String {
    let escape = |part: String| part.escape_debug().to_string();
    let letters = text.chars().count();
    if letters <= SHOWN {
        return format!("\"{}\"", escape(text.to_owned()));
    }
    let ends: String = text.chars().skip(letters - 16).collect();
    let starts: String = text.chars().take(SHOWN - 16).collect();
    format!("\"{}… {} …{}\" ({letters} letters)", escape(starts), letters - SHOWN, escape(ends))
}

pub fn action(names: &Names, action: &Action) -> String {
    let name = |name: &Name| names.name(name);
    let who = names.actor(action.actor());
    match action {
        Action::Create { room, .. } => format!("{who} creates {}", name(room)),
        Action::HttpJoin { room, user, .. } => format!("{who} joins {} by HTTP as {}", name(room), name(user)),
        Action::HttpLeave { room, user, .. } => format!("{who} leaves {} by HTTP as {}", name(room), name(user)),
        Action::Status { room, user, status, .. } => {
            format!("{who} sends status {} for {} as {}", quoted(status), name(room), name(user))
        }
        Action::List { .. } => format!("{who} asks for the list"),
        Action::Connect { .. } => format!("{who} connects"),
        Action::Close { .. } => format!("{who} closes its connection"),
        Action::Abort { .. } => format!("{who} resets its connection"),
        Action::Join { room, user, .. } => format!("{who} sends a join for {} as {}", name(room), name(user)),
        Action::Leave { room, user, .. } => format!("{who} sends a leave for {} as {}", name(room), name(user)),
        Action::Say { room, user, text, .. } => format!("{who} says {} in {} as {}", quoted(text), name(room), name(user)),
        Action::Raw { text, .. } => format!("{who} sends {}", quoted(text)),
        Action::Written { request, writing } => format!("{}{writing}", self::action(names, request)),
    }
}

pub fn packet(names: &Names, packet: &Packet) -> String {
    let name = |name: &Name| names.name(name);
    match packet {
        Packet::User { user, room, activity } => format!("`user` / {} of {} in {}", quoted(activity), name(user), name(room)),
        Packet::Msg { user, room, text } => format!("`msg` / {} of {} in {}", quoted(text), name(user), name(room)),
        Packet::Error { text } => format!("`error` / {}", quoted(text)),
        Packet::Other(text) => format!("the packet {}", quoted(text)),
    }
}

pub fn pattern(names: &Names, pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exactly(one) => packet(names, one),
        Pattern::Activity { user, room } => format!("`user` / \"create\" or \"join\" of {} in {}", names.name(user), names.name(room)),
        Pattern::Errors(texts) => format!("`error` / {}", any_of(texts)),
        Pattern::AnyError => "`error` with any text".to_owned(),
    }
}

fn any_of(texts: &[&str]) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(" or ")
}

pub fn reply(names: &Names, reply: &Reply) -> String {
    match reply {
        Reply::OneOf(texts) => format!("the answer {}", any_of(texts)),
        Reply::NoneOf(texts) => format!("an answer other than {}", any_of(texts)),
        Reply::List(rooms) if rooms.is_empty() => "a list without any of these rooms".to_owned(),
        Reply::List(rooms) => {
            let room = |(room, least, most): &(Name, i64, i64)| match least == most {
                true => format!("{}: {least}", names.name(room)),
                false => format!("{}: {least} to {most}", names.name(room)),
            };
            format!("the list {}", rooms.iter().map(room).collect::<Vec<_>>().join(", "))
        }
    }
}

pub fn answer(names: &Names, answer: Option<&Answer>) -> String {
    let Some(answer) = answer.filter(|answer| answer.status != 0) else { return "no answer".to_owned() };
    let status = if answer.status == 200 { String::new() } else { format!(" (status {})", answer.status) };
    match (&answer.res, &answer.rooms) {
        (Some(res), _) => format!("the answer {}{status}", quoted(res)),
        (None, Some(rooms)) if rooms.is_empty() => format!("a list without any of these rooms{status}"),
        (None, Some(rooms)) => {
            let rooms: Vec<String> = rooms.iter().map(|(room, population)| format!("{}: {population}", names.name(room))).collect();
            format!("the list {}{status}", rooms.join(", "))
        }
        (None, None) => format!("the body {}{status}", quoted(&answer.body)),
    }
}

/// What an outcome is, as far as somebody sees it.
pub fn outcome(names: &Names, outcome: &Outcome) -> String {
    let mut parts: Vec<String> = outcome.reply.iter().map(|one| reply(names, one)).collect();
    for due in &outcome.dues {
        let verb = if due.proves.is_some() { "gets" } else { "may get" };
        parts.push(format!("{} {verb} {}", names.actor(due.to), pattern(names, &due.pattern)));
    }
    if outcome.ends {
        parts.push("the connection ends".to_owned());
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
}

/// What was observed in a round.
pub fn observed(names: &Names, round: &[Action], observed: &Observed) -> String {
    let mut parts = Vec::new();
    for (at, _) in round.iter().enumerate().filter(|(_, action)| action.is_http()) {
        parts.push(answer(names, observed.answers.get(at).and_then(Option::as_ref)));
    }
    for (who, packets) in observed.received.iter().enumerate() {
        parts.extend(packets.iter().map(|one| format!("{} got {}", names.actor(who), packet(names, one))));
    }
    for (who, _) in observed.ended.iter().enumerate().filter(|(_, ended)| **ended) {
        parts.push(format!("the connection of {} ended", names.actor(who)));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
}
