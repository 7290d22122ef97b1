//! Actions in words, for a person.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::action::{Action, Name, Spelling, Trace};
use super::compile::{actor_name, room_name, user_name};

/// A round in one line.
pub fn round(trace: &Trace, round: &[Action]) -> String {
    let actions: Vec<String> = round.iter().map(|action| self::action(trace, action)).collect();
    match &actions[..] {
        [one] => one.clone(),
        several => format!("at once: {}", several.join("; ")),
    }
}

fn action(trace: &Trace, action: &Action) -> String {
    let name = |name: &Name| self::name(trace, name);
    let actor = actor_name(action.actor());
    match action {
        Action::Create { room, .. } => format!("{actor} creates {}", name(room)),
        Action::HttpJoin { room, user, .. } => format!("{actor} asks to join {} as {}", name(room), name(user)),
        Action::HttpLeave { room, user, .. } => format!("{actor} asks to leave {} as {}", name(room), name(user)),
        Action::Status { room, user, status, .. } => format!("{actor} asks for status {status:?} in {} as {}", name(room), name(user)),
        Action::List { .. } => format!("{actor} asks for the list"),
        Action::Connect { .. } => format!("{actor} connects"),
        Action::Close { .. } => format!("{actor} closes the connection"),
        Action::Abort { .. } => format!("{actor} resets the connection"),
        Action::Join { room, user, .. } => format!("{actor} sends join to {} as {}", name(room), name(user)),
        Action::Leave { room, user, .. } => format!("{actor} sends leave to {} as {}", name(room), name(user)),
        Action::Say { room, user, text, .. } => format!("{actor} says {} in {} as {}", short(text), name(room), name(user)),
        Action::Raw { text, .. } => format!("{actor} sends {text}"),
        Action::Written { request, writing } => format!("{}{writing}", self::action(trace, request)),
    }
}

fn name(trace: &Trace, name: &Name) -> String {
    let spelt = |name: String, spelling: Option<&Spelling>, like: &dyn Fn(usize) -> String| match spelling {
        Some(spelling) if !spelling.is_plain() => {
            let core = spelling.like.map_or_else(|| "…".to_owned(), like);
            format!("{name} ({:?})", format!("{}{core}{}", spelling.before, spelling.after))
        }
        _ => name,
    };
    match name {
        Name::Room(room) => spelt(room_name(*room), trace.rooms.get(*room), &room_name),
        Name::User(user) => spelt(user_name(trace, *user), trace.users.get(*user), &|like| user_name(trace, like)),
        Name::Literal(text) => format!("{text:?}"),
    }
}

fn short(text: &str) -> String {
    let count = text.chars().count();
    if count > 60 { format!("{:?}… ({count} characters)", text.chars().take(20).collect::<String>()) } else { format!("{text:?}") }
}

/// A text of the model's, which counts actors, rooms and users, with the names that the scenario gives them.
pub fn in_words(trace: &Trace, text: &str) -> String {
    static COUNTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b(actor |room|user)(\d+)\b").ok());
    let Some(counted) = &*COUNTED else {
        return text.to_owned();
    };
    let named = |captures: &Captures<'_>| match captures[2].parse::<usize>() {
        Ok(number) if &captures[1] == "actor " => actor_name(number),
        Ok(number) if &captures[1] == "room" => room_name(number),
        Ok(number) => user_name(trace, number),
        Err(_) => captures[0].to_owned(),
    };
    counted.replace_all(text, named).into_owned()
}
