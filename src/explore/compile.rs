//! From a trace to a scenario's text, in the language that people write.

use serde_json::Value;

use super::action::{Action, Actor, Blank, Name, Packet, Spelling, Trace, Way, Writing};
use super::ending::{Ending, Entry, Expected, Tally};
use super::model::{CREATED, JOINED, Pattern};
use super::observe::Table;
use super::scalar::{self, escaped, scalar, visible};
use crate::requirement::RequirementId;
use crate::scenario::source::Source;

/// What the actors are called, which are the users' names too where nothing else is said.
const ACTORS: [&str; 8] = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal"];
const ROOMS: [&str; 4] = ["lobby", "attic", "cellar", "garden"];

/// The name of the source; messages point at it by line.
pub const SOURCE: &str = "explored.yaml";

/// What stands above the steps.
#[derive(Clone, Debug)]
pub struct Heading {
    pub id: String,
    pub title: String,
    pub notes: String,
}

/// A trace as a scenario.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub text: String,
    /// For each round, the line of its last step, counted from 1.
    pub ends: Vec<usize>,
    /// What stands for what.
    pub table: Table,
}

impl Compiled {
    pub fn source(&self) -> Source {
        Source { name: SOURCE.to_owned(), text: self.text.clone() }
    }
}

/// What an actor is called in the scenario.
pub fn actor_name(actor: Actor) -> String {
    ACTORS.get(actor).map_or_else(|| format!("actor{actor}"), |name| (*name).to_owned())
}

pub fn room_name(room: usize) -> String {
    ROOMS.get(room).map_or_else(|| format!("room{room}"), |name| (*name).to_owned())
}

/// A user whose name is decorated, or who is no actor, has a name of its own.
pub fn user_name(trace: &Trace, user: usize) -> String {
    let is_plain = trace.users.get(user).is_none_or(|spelling| spelling.before.is_empty() && spelling.like.is_none());
    if is_plain && user < trace.actors { actor_name(user) } else { format!("user{user}") }
}

/// A trace to be played and looked at: nothing is expected of what comes.
pub fn compile(trace: &Trace) -> Compiled {
    let heading = Heading { id: "explore.trace".into(), title: "A generated trace".into(), notes: String::new() };
    write(trace, &heading, None)
}

/// A trace at whose end these packets are waited for, which belong to its last round.
pub fn compile_patiently(trace: &Trace, missing: &[(Actor, Pattern)]) -> Compiled {
    let mut compiled = compile(trace);
    let mut writer = Writer { trace, lines: compiled.text.lines().map(str::to_owned).collect() };
    for (actor, pattern) in missing {
        writer.push(format!("  - receive: {{actor: {}, packet: {}, within: 1s}}", actor_name(*actor), writer.pattern(pattern)));
    }
    if let Some(end) = compiled.ends.last_mut() {
        *end = writer.last_step();
    }
    compiled.text = writer.lines.join("\n") + "\n";
    compiled
}

/// A trace that says at its last round what is expected there.
pub fn counterexample(trace: &Trace, heading: &Heading, ending: &Ending) -> Compiled {
    write(trace, heading, Some(ending))
}

fn write(trace: &Trace, heading: &Heading, ending: Option<&Ending>) -> Compiled {
    let mut writer = Writer { trace, lines: Vec::new() };
    let mut table = Table::new((0..trace.actors).map(actor_name).collect());
    writer.push(format!("id: {}", heading.id));
    writer.push(format!("title: {}", scalar(&heading.title)));
    if !heading.notes.is_empty() {
        writer.push("notes: |".to_owned());
        heading.notes.lines().for_each(|line| writer.push(format!("  {}", visible(line))));
    }
    let actors: Vec<String> = (0..trace.actors).map(actor_name).collect();
    writer.push(format!("actors: [{}]", actors.join(", ")));
    let mut names: Vec<String> = Vec::new();
    let mut declare = |name: &str, spelling: &Spelling| {
        if spelling.like.is_none() {
            let before = if spelling.before.is_empty() { name } else { &spelling.before };
            names.push(format!("{name}: {}", scalar(&escaped(before))));
        }
    };
    for (room, spelling) in trace.rooms.iter().enumerate() {
        declare(&room_name(room), spelling);
        table.add(Spelt::of(trace, &Name::Room(room)), Name::Room(room));
    }
    for (user, spelling) in trace.users.iter().enumerate() {
        let name = user_name(trace, user);
        if name != actor_name(user) {
            declare(&name, spelling);
        }
        table.add(Spelt::of(trace, &Name::User(user)), Name::User(user));
    }
    if !names.is_empty() {
        writer.push(format!("names: {{{}}}", names.join(", ")));
    }
    if let Some(ending) = ending.filter(|ending| !ending.when.is_empty()) {
        let conditions: Vec<String> = ending.when.iter().map(|(what, is)| format!("{what}: {is}")).collect();
        writer.push(format!("when: {{{}}}", conditions.join(", ")));
    }
    writer.push("steps:".to_owned());
    let mut connected = vec![false; trace.actors];
    let mut ends = Vec::new();
    for (number, round) in trace.rounds.iter().enumerate() {
        let last = ending.filter(|_| number + 1 == trace.rounds.len());
        match last.and_then(|ending| ending.tally.as_ref()) {
            Some((id, tally)) => writer.tally(id, tally),
            None => writer.round(round, last),
        }
        for action in round {
            match action {
                Action::Connect { actor } => connected[*actor] = true,
                Action::Close { actor } | Action::Abort { actor } => connected[*actor] = false,
                _ => {}
            }
        }
        if let Some(ending) = last {
            writer.ending(ending);
        } else {
            let observers: Vec<String> = (0..trace.actors).filter(|actor| connected[*actor]).map(actor_name).collect();
            if !observers.is_empty() {
                writer.push(format!("  - fence: {{actors: [{}]}}", observers.join(", ")));
            }
            let seen = ending.and_then(|ending| ending.before.get(number));
            for (actor, packet) in seen.into_iter().flatten() {
                writer.push(format!("  - receive: {{actor: {}, packet: {}}}", actor_name(*actor), writer.packet(packet)));
            }
        }
        ends.push(writer.last_step());
    }
    Compiled { text: writer.lines.join("\n") + "\n", ends, table }
}

/// A name of a trace as a scenario puts it together: a declared name, and the texts around it.
#[derive(Clone, Debug)]
pub struct Spelt {
    pub before: String,
    pub declared: String,
    pub after: String,
}

impl Spelt {
    fn of(trace: &Trace, name: &Name) -> Self {
        let (spelling, declared): (Option<&Spelling>, &dyn Fn(usize) -> String) = match name {
            Name::Room(room) => (trace.rooms.get(*room), &room_name),
            Name::User(user) => (trace.users.get(*user), &|user| user_name(trace, user)),
            Name::Literal(_) => (None, &|_| String::new()),
        };
        let (Name::Room(number) | Name::User(number)) = name else {
            return Self { before: String::new(), declared: String::new(), after: String::new() };
        };
        let after = spelling.map(|spelling| spelling.after.clone()).unwrap_or_default();
        match spelling.and_then(|spelling| Some((spelling.like?, spelling))) {
            Some((like, spelling)) => Self { before: spelling.before.clone(), declared: declared(like), after },
            None => Self { before: String::new(), declared: declared(*number), after },
        }
    }

    /// In the language's terms.
    fn written(&self) -> String {
        match (self.before.as_str(), self.after.as_str()) {
            ("", "") => format!("${}", self.declared),
            _ => self.in_text(),
        }
    }

    /// The same within a text.
    fn in_text(&self) -> String {
        format!("{}${{{}}}{}", escaped(&self.before), self.declared, escaped(&self.after))
    }
}

struct Writer<'a> {
    trace: &'a Trace,
    lines: Vec<String>,
}

impl Writer<'_> {
    fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    /// The number of the line that the last step begins on.
    fn last_step(&self) -> usize {
        self.lines.iter().rposition(|line| line.starts_with("  - ")).map_or(0, |index| index + 1)
    }

    fn round(&mut self, round: &[Action], ending: Option<&Ending>) {
        match round {
            [action] => {
                self.step(2, action, ending);
                if let Action::Close { actor } = action {
                    // Until the server has taken it, the connection is still there.
                    self.push(format!("  - receive: {{actor: {}, end: {{}}}}", actor_name(*actor)));
                }
            }
            // What one actor does at once, it does without waiting for what comes of it.
            actions if actions.iter().all(|action| action.actor() == actions[0].actor()) => {
                actions.iter().for_each(|action| self.step(2, action, ending));
            }
            actions => {
                self.push("  - at-once:".to_owned());
                self.push("      steps:".to_owned());
                let mut begun: Vec<Actor> = Vec::new();
                for actor in actions.iter().map(Action::actor) {
                    if begun.contains(&actor) {
                        continue;
                    }
                    begun.push(actor);
                    let own: Vec<&Action> = actions.iter().filter(|action| action.actor() == actor).collect();
                    match own[..] {
                        [action] => self.step(8, action, ending),
                        _ => {
                            self.push("        - repeat:".to_owned());
                            self.push("            times: 1".to_owned());
                            self.push("            steps:".to_owned());
                            own.into_iter().for_each(|action| self.step(14, action, ending));
                        }
                    }
                }
            }
        }
    }

    fn step(&mut self, indentation: usize, action: &Action, ending: Option<&Ending>) {
        for (index, line) in self.action(action, ending).into_iter().enumerate() {
            self.push(format!("{}{}{line}", " ".repeat(indentation), if index == 0 { "- " } else { "  " }));
        }
    }

    /// The lines of a step.
    fn action(&self, action: &Action, ending: Option<&Ending>) -> Vec<String> {
        let actor = actor_name(action.actor());
        let name = |name: &Name| scalar(&self.name(name));
        let send = |kind: &str, room: &Name, user: &Name, text: &str| {
            let data = format!("{{user_name: {}, room_name: {}, msg: {}}}", name(user), name(room), scalar::text(text));
            vec![format!("send: {{actor: {actor}, packet: {{type: {kind}, data: {data}}}}}")]
        };
        let (action, writing) = match action {
            Action::Written { request, writing } => (request.plain(), Some(writing)),
            action => (action, None),
        };
        let call = |call: &str, with: &[(&str, String)]| {
            let with = format!("{}{}", how(writing), parameters(with, writing));
            let expected = ending.and_then(|ending| ending.answer(action.actor()));
            match expected {
                Some((claim, Expected::Listed(rooms))) => vec![
                    "use: listed".to_owned(),
                    format!("with: {{user: ${actor}, rooms: {}}}", self.listed(rooms, ending.is_some_and(|ending| ending.knows_entries))),
                    format!("proves: {claim}"),
                ],
                Some((claim, expected)) => {
                    vec![format!("request: {{actor: {actor}, call: {call}{with}, {}}}", self.answer(expected)), format!("proves: {claim}")]
                }
                None => vec![format!("request: {{actor: {actor}, call: {call}{with}, status: $any}}")],
            }
        };
        let room_call = |room: &Name, user: &Name, status: &str| {
            call("room", &[("room_name", name(room)), ("user_name", name(user)), ("status", status.to_owned())])
        };
        match action {
            Action::Create { room, .. } => call("create", &[("room_name", name(room))]),
            Action::HttpJoin { room, user, .. } => room_call(room, user, "1"),
            Action::HttpLeave { room, user, .. } => room_call(room, user, "0"),
            Action::Status { room, user, status, .. } => {
                let number = status.parse::<i64>().is_ok_and(|number| number.to_string() == *status);
                room_call(room, user, &if number { status.clone() } else { scalar(&escaped(status)) })
            }
            Action::List { .. } => call("list", &[]),
            Action::Connect { actor: who } => {
                let alive = ending.and_then(|ending| ending.alive.iter().find(|(_, one)| one == who));
                let claim = alive.map(|(id, _)| format!("proves: {id}"));
                [format!("connect: {actor}")].into_iter().chain(claim).collect()
            }
            Action::Close { .. } => vec![format!("close: {{actor: {actor}, code: 1000}}")],
            Action::Abort { .. } => vec![format!("abort: {actor}")],
            Action::Join { room, user, .. } => send("join", room, user, ""),
            Action::Leave { room, user, .. } => send("leave", room, user, ""),
            Action::Say { room, user, text, .. } => send("msg", room, user, text),
            Action::Raw { text, .. } => vec![format!("send: {{actor: {actor}, {}}}", self.raw(text))],
            Action::Written { .. } => Vec::new(),
        }
    }

    /// A text that names the trace's names is JSON, and is sent as such: a name may hold what JSON must escape.
    fn raw(&self, text: &str) -> String {
        let whole = serde_json::from_str::<Value>(text).ok().filter(|_| text.contains("${"));
        match whole {
            Some(value) => format!("packet: {}", self.value(&value)),
            None => format!("text: {}", scalar(&escaped(text))),
        }
    }

    fn value(&self, value: &Value) -> String {
        match value {
            Value::Object(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(key, value)| format!("{}: {}", scalar(&escaped(key)), self.value(value))).collect();
                format!("{{{}}}", pairs.join(", "))
            }
            Value::Array(items) => format!("[{}]", items.iter().map(|item| self.value(item)).collect::<Vec<_>>().join(", ")),
            Value::String(text) => scalar(&self.with_names(text)),
            other => other.to_string(),
        }
    }

    /// A text in which `${room0}` and `${user1}` stand for the trace's names.
    fn with_names(&self, text: &str) -> String {
        let mut written = escaped(text);
        for room in 0..self.trace.rooms.len() {
            written = written.replace(&format!("$${{room{room}}}"), &Spelt::of(self.trace, &Name::Room(room)).in_text());
        }
        for user in 0..self.trace.users.len() {
            written = written.replace(&format!("$${{user{user}}}"), &Spelt::of(self.trace, &Name::User(user)).in_text());
        }
        written
    }

    /// A name in the language's terms.
    fn name(&self, name: &Name) -> String {
        match name {
            Name::Literal(text) => escaped(text),
            name => Spelt::of(self.trace, name).written(),
        }
    }

    fn packet(&self, packet: &Packet) -> String {
        let activity = |kind: &str, user: &Name, room: &Name, text: &str| {
            let (user, room) = (scalar(&self.name(user)), scalar(&self.name(room)));
            format!("{{type: {kind}, data: {{user_name: {user}, room_name: {room}, msg: {}}}}}", scalar::text(text))
        };
        match packet {
            Packet::User { user, room, activity: text } => activity("user", user, room, text),
            Packet::Msg { user, room, text } => activity("msg", user, room, text),
            Packet::Error { text } => format!("{{type: error, data: {{msg: {}}}}}", scalar(&escaped(text))),
            Packet::Other(text) => match serde_json::from_str::<Value>(text) {
                Ok(value) if value.is_object() => self.value(&value),
                _ => "$any".to_owned(),
            },
        }
    }

    fn pattern(&self, pattern: &Pattern) -> String {
        match pattern {
            Pattern::Exactly(packet) => self.packet(packet),
            Pattern::Activity { user, room } => {
                let (user, room) = (scalar(&self.name(user)), scalar(&self.name(room)));
                format!("{{type: user, data: {{user_name: {user}, room_name: {room}, msg: {{$one-of: [create, join]}}}}}}")
            }
            Pattern::Errors(texts) => match texts[..] {
                [text] => format!("{{type: error, data: {{msg: {}}}}}", scalar(&escaped(text))),
                _ => format!("{{type: error, data: {{msg: {{$one-of: [{}]}}}}}}", texts.join(", ")),
            },
            Pattern::AnyError => "{type: error}".to_owned(),
        }
    }

    fn answer(&self, expected: &Expected) -> String {
        match expected {
            Expected::Results(texts) => match &texts[..] {
                [text] => format!("answer: {{res: {}}}", scalar(&escaped(text))),
                texts => {
                    let texts: Vec<String> = texts.iter().map(|text| scalar(&escaped(text))).collect();
                    format!("answer: {{res: {{$one-of: [{}]}}}}", texts.join(", "))
                }
            },
            Expected::NoResults(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| scalar(&escaped(text))).collect();
                format!("answer: {{res: {{$not: {{$one-of: [{}]}}}}}}", texts.join(", "))
            }
            Expected::Listed(rooms) => format!("answer: {}", self.listed(rooms, true)),
        }
    }

    /// A list in which these rooms stand, and of the trace's others none.
    fn listed(&self, rooms: &[Entry], knows_entries: bool) -> String {
        let with_name = |room: &Name, more: &str| {
            let name = scalar(&self.name(room));
            if knows_entries {
                format!("{{\"${{R-ENTRY}}\": {name}{more}}}")
            } else {
                format!("{{$one-of: [{{room_name: {name}{more}}}, {{name: {name}{more}}}]}}")
            }
        };
        let absent = |room: &Name| format!("{{$not: {{$contains: {}}}}}", with_name(room, ""));
        let entry = |Entry { room, populations, may_be_missing }: &Entry| {
            let populations: Vec<String> = populations.iter().map(i64::to_string).collect();
            let population = match &populations[..] {
                [one] => one.clone(),
                several => format!("{{$one-of: [{}]}}", several.join(", ")),
            };
            let listed = format!("{{$contains: {}, times: 1}}", with_name(room, &format!(", population: {population}")));
            if *may_be_missing { format!("{{$one-of: [{}, {listed}]}}", absent(room)) } else { listed }
        };
        let others = (0..self.trace.rooms.len()).map(Name::Room).filter(|room| !rooms.iter().any(|listed| listed.room == *room));
        let nameless = Name::Literal(String::new());
        let names_nothing = self.trace.rounds.iter().flatten().any(|action| action.room() == Some(&nameless));
        let others = others.chain(names_nothing.then_some(nameless));
        let entries: Vec<String> = rooms.iter().map(entry).chain(others.map(|room| absent(&room))).collect();
        match &entries[..] {
            [] => "$list".to_owned(),
            [one] => one.clone(),
            several => format!("{{$all: [{}]}}", several.join(", ")),
        }
    }

    fn tally(&mut self, id: &RequirementId, tally: &Tally) {
        let (actor, room) = (actor_name(tally.actor), scalar(&self.name(&tally.room)));
        self.push("  - at-once:".to_owned());
        self.push(format!("      times: {}", tally.times));
        if tally.joins {
            self.push("      as: i".to_owned());
            let with = format!("{{room_name: {room}, user_name: \"${{{actor}}}-${{i}}\", status: 1}}");
            self.push(format!("      request: {{actor: {actor}, call: room, with: {with}}}"));
        } else {
            self.push(format!("      request: {{actor: {actor}, call: create, with: {{room_name: {room}}}}}"));
        }
        self.push(format!("      exactly: {}", tally.exactly));
        let success = if tally.joins { JOINED } else { CREATED };
        self.push(format!("      answer: {{res: {success}}}"));
        self.push(format!("    proves: {id}"));
    }

    fn ending(&mut self, ending: &Ending) {
        for (id, actor, patterns) in &ending.receives {
            let packets: Vec<String> = patterns.iter().map(|pattern| format!("packet: {}", self.pattern(pattern))).collect();
            let what = match &packets[..] {
                [one] => one.clone(),
                several => format!("one-of: [{{{}}}]", several.join("}, {")),
            };
            self.push(format!("  - receive: {{actor: {}, {what}}}", actor_name(*actor)));
            self.push(format!("    proves: {id}"));
        }
        for (id, actor, packets) in &ending.in_order {
            let packets: Vec<String> = packets.iter().map(|packet| self.packet(packet)).collect();
            self.push(format!("  - receive: {{actor: {}, in-order: [{}]}}", actor_name(*actor), packets.join(", ")));
            self.push(format!("    proves: {id}"));
        }
        for (id, actor) in &ending.answered {
            self.push(format!("  - receive: {{actor: {}, one-of: [{{packet: {{type: error}}}}, {{end: {{}}}}]}}", actor_name(*actor)));
            self.push(format!("    proves: {id}"));
        }
        if let Some((id, actor)) = &ending.one_name {
            let actor = actor_name(*actor);
            for (count, name) in [("with-room-list", "room_list"), ("with-rooms", "rooms")] {
                self.push("  - repeat:".to_owned());
                self.push("      times: 6".to_owned());
                self.push(format!("      count: {count}"));
                self.push(format!("      until: {{that: $answer, is: {{$not: {{{name}: $list}}}}}}"));
                self.push(format!("      steps: [{{request: {{actor: {actor}, call: list, answer: {{$capture: answer}}}}}}]"));
                self.push(format!("  - check: {{that: ${count}, is: {{$one-of: [0, 6]}}}}"));
                self.push(format!("    proves: {id}"));
            }
        }
        for (id, actor) in &ending.alive {
            self.push(format!("  - send: {{actor: {}, text: \"{{}}\"}}", actor_name(*actor)));
            self.push(format!("  - receive: {{actor: {}, packet: {{type: error}}}}", actor_name(*actor)));
            self.push(format!("    proves: {id}"));
        }
        for (id, actor, packet) in &ending.never {
            let actor = actor_name(*actor);
            match packet {
                Packet::Other(text) => {
                    self.push(format!("  - fence: {{actors: [{actor}]}}"));
                    self.push(format!("  - all-received: {{actors: [{actor}], {}}}", form(text)));
                }
                packet => self.push(format!("  - nothing-more: {{actors: [{actor}], packet: {}}}", self.packet(packet))),
            }
            self.push(format!("    proves: {id}"));
        }
    }
}

/// The form that every packet has, in so far as this one hasn't got it.
fn form(text: &str) -> &'static str {
    let packet: Value = serde_json::from_str(text).unwrap_or_default();
    match packet.get("type").and_then(Value::as_str) {
        Some("join" | "leave") => "of: {type: $any}, packet: {type: {$not: {$one-of: [join, leave]}}}",
        Some("user") => "of: {type: user}, packet: {data: {user_name: $non-empty, room_name: $non-empty, msg: $string}}",
        Some("msg") => "of: {type: msg}, packet: {data: {user_name: $non-empty, room_name: $non-empty, msg: $string}}",
        Some("error") => "of: {type: error}, packet: {data: {msg: $string}}",
        _ => "packet: {type: {$one-of: [user, msg, error]}, data: $object}",
    }
}

/// The keys of a request that say how it is written.
fn how(writing: Option<&Writing>) -> String {
    let way = writing.and_then(|writing| writing.way).map(|way| format!(", way: {}", way.id()));
    let is_null = writing.is_some_and(|writing| writing.blank == Blank::Null && writing.way == Some(Way::PostJson));
    way.unwrap_or_default() + if is_null { ", as-written: true" } else { "" }
}

/// The parameters of a request; each value is a scalar.
fn parameters(with: &[(&str, String)], writing: Option<&Writing>) -> String {
    let pair = |(key, value): &(&str, String)| match writing.map(|writing| (writing.blank, writing.way)) {
        Some((Blank::Null, Some(Way::PostJson))) if value == "\"\"" => Some(format!("{key}: null")),
        Some((Blank::Missing | Blank::Null, _)) if value == "\"\"" => None,
        _ => Some(format!("{key}: {value}")),
    };
    if with.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = with.iter().filter_map(pair).collect();
    format!(", with: {{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::generate::{Shape, Ways, generate};
    use crate::scenario::protocol::Protocol;

    fn protocol() -> Protocol {
        Protocol::embedded().expect("the embedded suite has no mistakes")
    }

    #[test]
    fn every_trace_is_a_scenario_that_the_language_takes() {
        let protocol = protocol();
        for number in 0..60 {
            let trace = generate(&Shape { seed: 4, capacity: Some(3), ways: Ways::all(), ..Shape::default() }, number);
            let compiled = compile(&trace);
            if let Err(wrong) = protocol.generated(compiled.source(), "regressions") {
                panic!("{wrong:?}\n{}", compiled.text);
            }
            assert_eq!(compiled.ends.len(), trace.rounds.len());
        }
    }

    #[test]
    fn a_request_is_written_as_its_trace_says() {
        let nobody = Name::Literal(String::new());
        let like = Spelling { before: " ".into(), like: Some(0), after: "$".into() };
        let request = |way, blank| {
            let request = Box::new(Action::HttpJoin { actor: 0, room: Name::Room(1), user: nobody.clone() });
            vec![Action::Written { request, writing: Writing { way, blank } }]
        };
        let rounds = vec![
            request(Some(Way::PostForm), Blank::Empty),
            request(None, Blank::Missing),
            request(Some(Way::GetQuery), Blank::Null),
            request(Some(Way::PostJson), Blank::Null),
        ];
        let trace = Trace { actors: 1, rooms: vec!["".into(), like], users: vec!["".into()], rounds };
        let text = compile(&trace).text;
        let requests: Vec<&str> = text.lines().filter_map(|line| line.split_once("call: room, ").map(|(_, rest)| rest)).collect();
        let room = "room_name: \" ${lobby}$$\"";
        let expected = [
            format!("way: post-form, with: {{{room}, user_name: \"\", status: 1}}, status: $any}}"),
            format!("with: {{{room}, status: 1}}, status: $any}}"),
            format!("way: get-query, with: {{{room}, status: 1}}, status: $any}}"),
            format!("way: post-json, as-written: true, with: {{{room}, user_name: null, status: 1}}, status: $any}}"),
        ];
        assert_eq!(requests, expected, "{text}");
        assert!(protocol().generated(compile(&trace).source(), "regressions").is_ok(), "{text}");
    }

    #[test]
    fn a_counterexample_expects_at_its_last_round_what_the_document_asks_for() {
        let (room, user) = (Name::Room(0), Name::User(0));
        let list = vec![Action::List { actor: 0 }];
        let say = vec![Action::Say { actor: 0, room: room.clone(), user: user.clone(), text: "$5: \"x\"".into() }];
        let create = |actor| Action::Create { actor, room: room.clone() };
        let trace = |last: Vec<Action>| Trace {
            actors: 2,
            rooms: vec!["a b".into(), "".into()],
            users: vec!["".into(), "null".into()],
            rounds: vec![vec![Action::Connect { actor: 0 }], last],
        };
        let id = || RequirementId::new("MSG-1");
        let msg = || Packet::Msg { user: user.clone(), room: room.clone(), text: "hi".into() };
        let entry = |may_be_missing| Entry { room: room.clone(), populations: vec![1, 2], may_be_missing };
        let listed =
            |may_be_missing| Ending { answers: vec![(id(), 0, Expected::Listed(vec![entry(may_be_missing)]))], ..Ending::default() };
        let user_packet = Pattern::Activity { user: user.clone(), room: room.clone() };
        let other = |text: &str| Ending { never: vec![(id(), 0, Packet::Other(text.to_owned()))], ..Ending::default() };
        let tally = Tally { actor: 1, room: room.clone(), times: 2, exactly: 1, joins: true };
        let cases = [
            (list.clone(), listed(false), "population: {$one-of: [1, 2]}}, times: 1}"),
            (list, listed(true), "{$one-of: [{$not: {$contains: "),
            (
                vec![Action::Connect { actor: 1 }],
                Ending { alive: vec![(id(), 1)], ..Ending::default() },
                "- connect: bob\n    proves: MSG-1",
            ),
            (vec![create(0)], Ending { answers: vec![(id(), 0, Expected::NoResults(vec![CREATED.into()]))], ..Ending::default() }, "$not"),
            (
                say.clone(),
                Ending { receives: vec![(id(), 0, vec![Pattern::Exactly(msg())])], ..Ending::default() },
                "msg: \"$$5: \\\"x\\\"\"",
            ),
            (
                say.clone(),
                Ending { receives: vec![(id(), 0, vec![Pattern::Exactly(msg()), user_packet])], ..Ending::default() },
                "one-of: [{packet: {type: msg",
            ),
            (say.clone(), Ending { in_order: vec![(id(), 0, vec![msg(), msg()])], ..Ending::default() }, "in-order: [{type: msg"),
            (say.clone(), Ending { answered: vec![(id(), 0)], ..Ending::default() }, "{end: {}}"),
            (say.clone(), Ending { one_name: Some((id(), 0)), ..Ending::default() }, "count: with-room-list"),
            (say.clone(), other("welcome"), "all-received: {actors: [ann], packet: {type: {$one-of"),
            (say.clone(), other("{\"type\":\"join\"}"), "of: {type: $any}"),
            (say.clone(), other("{\"type\":\"msg\"}"), "of: {type: msg}"),
            (say.clone(), other("{\"type\":\"user\"}"), "of: {type: user}"),
            (say.clone(), other("{\"type\":\"error\"}"), "of: {type: error}"),
            (say.clone(), Ending { alive: vec![(id(), 0)], never: vec![(id(), 0, msg())], ..Ending::default() }, "nothing-more"),
            (vec![create(0), create(1)], Ending { tally: Some((id(), tally)), ..Ending::default() }, "exactly: 1"),
        ];
        let protocol = protocol();
        for (last, ending, expected) in cases {
            let heading = Heading { id: "regressions.x".into(), title: "a: b".into(), notes: "one\ntwo".into() };
            let when = vec![("R-AUDIENCE".to_owned(), "room".to_owned()), ("capacity".to_owned(), "{at-least: 3}".to_owned())];
            let ending = Ending { before: vec![vec![(0, msg())]], when, knows_entries: true, ..ending };
            let text = counterexample(&trace(last), &heading, &ending).text;
            assert!(text.contains(expected), "{text}");
            match protocol.generated(Source { name: SOURCE.into(), text: text.clone() }, "regressions") {
                Ok(scenario) => assert_eq!(scenario.proves(), [id()], "{text}"),
                Err(wrong) => panic!("{wrong:?}\n{text}"),
            }
        }
    }
}
