//! From what a played trace told to what each of its rounds brought.

use std::collections::HashMap;

use serde_json::Value;

use super::action::{Action, Answer, Name, Observed, Packet, Trace};
use super::compile::Spelt;
use super::fence::whole;
use crate::conformance::session::Played;
use crate::event::{Direction, Event, Exchange, Frame};
use crate::verdict::Outcome;

/// What a compiled trace calls its actors and names.
#[derive(Clone, Debug, Default)]
pub struct Table {
    actors: Vec<String>,
    names: Vec<(Spelt, Name)>,
}

impl Table {
    pub fn new(actors: Vec<String>) -> Self {
        Self { actors, names: Vec::new() }
    }

    pub fn add(&mut self, spelt: Spelt, stands_for: Name) {
        self.names.push((spelt, stands_for));
    }

    /// What each of its names was on the wire.
    fn on_the_wire(&self, names: &[(String, String)]) -> HashMap<String, Name> {
        let fresh: HashMap<&str, &str> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let spelt = |spelt: &Spelt| Some(format!("{}{}{}", spelt.before, fresh.get(spelt.declared.as_str())?, spelt.after));
        self.names.iter().filter_map(|(name, stands_for)| Some((spelt(name)?, stands_for.clone()))).collect()
    }
}

/// What a played trace brought.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Round by round, as far as it was played, but for packets about another trace's rooms or users.
    pub rounds: Vec<Observed>,
    /// The same with those packets, where there are any.
    pub crowded: Option<Vec<Observed>>,
    /// Why it was not played to its end, where it wasn't.
    pub cut: Option<String>,
    /// The target, which had answered before, answers no more.
    pub gone: bool,
}

/// Splits what a trace told into its rounds; `ends` are the lines of their last steps. Every name of this run holds the nonce.
pub fn observe(trace: &Trace, played: &Played, ends: &[usize], table: &Table, nonce: &str) -> History {
    let wire = table.on_the_wire(&played.names);
    let symbolic = |text: &str| wire.get(text).cloned().unwrap_or_else(|| Name::Literal(text.to_owned()));
    let mut eye =
        Eye { trace, table, symbolic: &symbolic, rounds: Vec::new(), current: Gathering::new(trace), connected: vec![false; trace.actors] };
    for event in &played.events {
        match event {
            Event::Exchange(exchange) => eye.exchange(exchange),
            Event::Frame(frame) => eye.frame(frame),
            Event::Step { place, outcome, .. } => {
                let line = place.rsplit(':').nth(1).and_then(|line| line.parse::<usize>().ok());
                let own = place.starts_with(super::compile::SOURCE);
                if own && *outcome == Outcome::Pass && line.is_some() && line == ends.get(eye.rounds.len()).copied() {
                    eye.end_round();
                }
            }
            _ => {}
        }
    }
    let why = match &played.verdict.failure {
        Some(failure) => Some(failure.summary.clone()),
        None => played.verdict.why.clone().filter(|_| played.verdict.unplayed),
    };
    let mut history = History { cut: why, ..History::default() };
    if eye.rounds.len() < trace.rounds.len() && !played.verdict.unplayed {
        // The step that went no further says something too: an answer that didn't come, a connection that wasn't made.
        if eye.current.is_telling {
            eye.end_round();
        }
        history.gone = played.verdict.failure.as_ref().is_some_and(|failure| failure.actual.contains("refused"));
    }
    history.rounds = eye.rounds;
    let is_foreign = |packet: &Packet| is_foreign(packet, nonce);
    if history.rounds.iter().flat_map(|observed| observed.received.iter().flatten()).any(is_foreign) {
        history.crowded = Some(history.rounds.clone());
        for received in history.rounds.iter_mut().flat_map(|observed| &mut observed.received) {
            received.retain(|packet| !is_foreign(packet));
        }
    }
    history
}

/// What the events since the last round have told.
struct Gathering {
    answers: Vec<Option<Answer>>,
    received: Vec<Vec<Packet>>,
    ended: Vec<bool>,
    is_telling: bool,
}

impl Gathering {
    fn new(trace: &Trace) -> Self {
        Self { answers: Vec::new(), received: vec![Vec::new(); trace.actors], ended: vec![false; trace.actors], is_telling: false }
    }
}

struct Eye<'a> {
    trace: &'a Trace,
    table: &'a Table,
    symbolic: &'a dyn Fn(&str) -> Name,
    rounds: Vec<Observed>,
    current: Gathering,
    /// Who is connected as far as the trace goes.
    connected: Vec<bool>,
}

impl Eye<'_> {
    fn actor(&self, name: &str) -> Option<usize> {
        self.table.actors.iter().position(|known| known == name)
    }

    fn round(&self) -> &[Action] {
        self.trace.rounds.get(self.rounds.len()).map_or(&[], Vec::as_slice)
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let Some(actor) = self.actor(&exchange.actor) else {
            return;
        };
        let round = self.trace.rounds.get(self.rounds.len()).map_or(&[][..], Vec::as_slice);
        self.current.answers.resize(round.len(), None);
        // An actor's requests go one after the other.
        let asked = |index: &usize| round[*index].is_http() && round[*index].actor() == actor && self.current.answers[*index].is_none();
        let Some(index) = (0..round.len()).find(asked) else {
            return;
        };
        let answer = match (&exchange.status, &exchange.answer) {
            (Some(status), Some(body)) => self.answer(*status, whole(body), matches!(round[index].plain(), Action::List { .. })),
            _ => Answer { body: exchange.failure.clone().unwrap_or_default(), ..Answer::default() },
        };
        self.current.is_telling |= answer.status == 0;
        self.current.answers[index] = Some(answer);
    }

    fn answer(&self, status: u16, body: &str, is_list: bool) -> Answer {
        let json: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let res = json.get("res").and_then(Value::as_str).map(str::to_owned);
        let rooms = if is_list { self.rooms(&json) } else { None };
        // Of a list that names all rooms of a server, what isn't the trace's is no concern of its reader; what it is called is.
        let body = if rooms.is_some() { emptied(json).to_string() } else { body.to_owned() };
        Answer { status, res, rooms, body }
    }

    /// The trace's own rooms, and those without a name, which nobody can have made; none where the list isn't one, or says something of them that is no population.
    fn rooms(&self, json: &Value) -> Option<Vec<(Name, i64)>> {
        let list = json.get("room_list").or_else(|| json.get("rooms"))?.as_array()?;
        let mut rooms = Vec::new();
        for entry in list {
            let Some(name) = entry.get("room_name").or_else(|| entry.get("name")).and_then(Value::as_str) else {
                // A trace that has made no room yet leaves what is wrong with other rooms to those who have made them.
                if self.has_made_a_room() {
                    return None;
                }
                continue;
            };
            let name = (self.symbolic)(name);
            if matches!(name, Name::Room(_)) || name.is_empty() {
                rooms.push((name, entry.get("population")?.as_i64()?));
            }
        }
        Some(rooms)
    }

    fn has_made_a_room(&self) -> bool {
        self.trace.rounds.iter().take(self.rounds.len() + 1).flatten().any(|action| matches!(action.plain(), Action::Create { .. }))
    }

    fn frame(&mut self, frame: &Frame) {
        let Some(actor) = self.actor(&frame.actor) else {
            return;
        };
        let payload = frame.payload.as_ref().map(whole).unwrap_or_default();
        match (frame.direction, frame.kind.as_str()) {
            (_, _) if frame.fence => {}
            (Direction::Received, "text") => {
                let packet = packet(payload, self.symbolic);
                self.current.received[actor].push(packet);
            }
            (Direction::Received, "binary" | "bytes") => {
                self.current.received[actor].push(Packet::Other(format!("{}: {payload}", frame.kind)))
            }
            (Direction::Received, "end") if self.connected[actor] && !self.leaves(actor) => self.current.ended[actor] = true,
            (Direction::Here, "connect") => self.connected[actor] = true,
            (Direction::Here, "no connection") => {
                self.current.ended[actor] = true;
                self.current.is_telling = true;
            }
            _ => {}
        }
    }

    /// Whether the actor ends its connection in this round.
    fn leaves(&self, actor: usize) -> bool {
        self.round().iter().any(|action| matches!(action, Action::Close { actor: who } | Action::Abort { actor: who } if *who == actor))
    }

    fn end_round(&mut self) {
        let round = self.round().to_vec();
        let mut gathered = std::mem::replace(&mut self.current, Gathering::new(self.trace));
        gathered.answers.resize(round.len(), None);
        for action in &round {
            if let Action::Close { actor } | Action::Abort { actor } = action {
                self.connected[*actor] = false;
            }
        }
        for (connected, ended) in self.connected.iter_mut().zip(&gathered.ended) {
            *connected &= !ended;
        }
        self.rounds.push(Observed { answers: gathered.answers, received: gathered.received, ended: gathered.ended });
    }
}

/// Whether a packet is about a room or a user of another trace of this run.
fn is_foreign(packet: &Packet, nonce: &str) -> bool {
    let holds = |name: &Name| matches!(name, Name::Literal(text) if text.contains(nonce));
    match packet {
        Packet::User { user, room, .. } | Packet::Msg { user, room, .. } => holds(user) || holds(room),
        Packet::Error { .. } | Packet::Other(_) => false,
    }
}

/// The same JSON with nothing in its lists.
fn emptied(mut json: Value) -> Value {
    if let Value::Object(pairs) = &mut json {
        pairs.values_mut().filter_map(Value::as_array_mut).for_each(Vec::clear);
    }
    json
}

/// What a text message says; whatever isn't of the documented form is `Other`.
fn packet(text: &str, symbolic: &dyn Fn(&str) -> Name) -> Packet {
    let other = || Packet::Other(text.to_owned());
    let Ok(json) = serde_json::from_str::<Value>(text) else {
        return other();
    };
    let field = |name: &str| json.get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
    match (json.get("type").and_then(Value::as_str), field("user_name"), field("room_name"), field("msg")) {
        (Some("user"), Some(user), Some(room), Some(text)) => {
            Packet::User { user: symbolic(user), room: symbolic(room), activity: text.to_owned() }
        }
        (Some("msg"), Some(user), Some(room), Some(text)) => {
            Packet::Msg { user: symbolic(user), room: symbolic(room), text: text.to_owned() }
        }
        (Some("error"), _, _, Some(text)) => Packet::Error { text: text.to_owned() },
        _ => other(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::action::Spelling;
    use crate::explore::compile::compile;

    #[test]
    fn names_that_are_alike_are_told_from_each_other_on_the_wire() {
        let like = |before: &str, after: &str| Spelling { before: before.into(), like: Some(0), after: after.into() };
        let trace = Trace {
            actors: 1,
            rooms: vec![Spelling { after: "X".into(), ..Spelling::default() }, like("", "x"), like(" ", "")],
            users: vec!["".into()],
            rounds: Vec::new(),
        };
        let wire = compile(&trace).table.on_the_wire(&[("lobby".into(), "lobby-1".into()), ("ann".into(), "ann-1".into())]);
        for (text, name) in
            [("lobby-1X", Name::Room(0)), ("lobby-1x", Name::Room(1)), (" lobby-1", Name::Room(2)), ("ann-1", Name::User(0))]
        {
            assert_eq!(wire.get(text), Some(&name), "{text}");
        }
        assert_eq!(wire.get("lobby-1"), None);
    }
}
