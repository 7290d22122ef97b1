//! From the shapes of files to steps that can be played. Everything that can be wrong with a scenario is found here or
//! while decoding, and nothing while it runs.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;

use super::file::{
    AlternativeShape, AtOnceShape, CallShape, CheckShape, EndShape, FencesFile, FrameShape, HttpShape, OpcodeShape, Placing, ProbeShape,
    ReceiveShape, ScenarioFile, StepShape,
};
use super::pattern::{Pattern, is_word};
use super::source::{Diagnostic, Diagnostics, Span, suggest};
use super::step::{
    Action, Actor, Alternative, Blob, Call, Claim, FrameSpec, Happening, NothingMore, Payload, Receive, Request, Scenario, Step,
};
use super::template::{Meaning, Symbols, Template};
use super::yaml::{Kind, Lasting, Names, Node, Pairs, Spanned, decode};
use crate::reading::{Condition, Reading};
use crate::requirement::{Registry, RequirementId};

/// How deep fragments may use fragments; a deeper one uses itself.
const FRAGMENT_DEPTH: usize = 16;

/// Facts that the harness knows without a probe.
pub const OWN_SERVER: &str = "own-server";

/// A fragment as declared; its steps are lowered anew wherever it is used.
#[derive(Debug)]
pub struct Fragment {
    pub arguments: Vec<String>,
    pub steps: Vec<Node>,
}

/// A named request.
#[derive(Clone, Debug)]
pub struct NamedRequest {
    pub path: String,
    pub parameters: Vec<String>,
    /// The reading whose values are the ways to send it.
    pub ways: String,
    /// Parameters whose JSON type is a reading's value.
    pub json_types: Vec<(String, String)>,
}

/// A way to send a request.
#[derive(Clone, Debug)]
pub struct Way {
    pub method: String,
    pub parameters: Placing,
}

/// What a protocol folder declares, for scenarios to refer to.
#[derive(Debug, Default)]
pub struct Declarations {
    pub registry: Registry,
    pub connecting: Option<RequirementId>,
    pub readings: IndexMap<String, Reading>,
    pub facts: Vec<String>,
    pub requests: IndexMap<String, NamedRequest>,
    pub ways: IndexMap<String, Way>,
    pub fragments: IndexMap<String, Fragment>,
    pub fences: Vec<String>,
}

/// The names that a scenario's steps may use.
struct Table<'a> {
    declarations: &'a Declarations,
    actors: Vec<String>,
    names: RefCell<Vec<String>>,
}

impl Symbols for Table<'_> {
    fn meaning(&self, name: &str) -> Option<Meaning> {
        if self.actors.iter().any(|actor| actor == name) || self.names.borrow().iter().any(|known| known == name) {
            Some(Meaning::Variable)
        } else if self.declarations.readings.contains_key(name) {
            Some(Meaning::Reading)
        } else if self.declarations.facts.iter().any(|fact| fact == name) {
            Some(Meaning::Fact)
        } else {
            None
        }
    }

    fn known(&self) -> Vec<String> {
        let names = self.names.borrow();
        let facts = self.declarations.facts.iter();
        self.actors.iter().chain(names.iter()).chain(facts).cloned().collect()
    }
}

/// Lowers the scenarios, probes and fences of one protocol.
pub struct Lowering<'a> {
    pub declarations: &'a Declarations,
    pub diagnostics: &'a Diagnostics,
}

impl Lowering<'_> {
    /// A scenario's cases; a scenario without a table is one.
    pub fn scenario(&self, file: &ScenarioFile, area: &str) -> Vec<Scenario> {
        let Some(rows) = &file.cases else {
            return vec![self.body(file, area, file.id.value.clone(), file.title.clone(), &[])];
        };
        if rows.is_empty() {
            self.diagnostics.error(&file.id.span, "`cases` holds no case");
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut cases = Vec::new();
        for row in rows {
            let Kind::Map(pairs) = &row.kind else {
                self.diagnostics.error(&row.span, "a case is a map: `case` is its ID, every other key a value for the steps");
                continue;
            };
            let Some(case) = row.get("case").and_then(Node::text) else {
                self.diagnostics.error(&row.span, "the case has no `case`, the text that is its ID");
                continue;
            };
            if seen.contains(&case) {
                self.diagnostics.error(&row.span, format!("there are two cases `{case}`"));
            }
            seen.push(case);
            let bindings: Vec<(&str, &Node)> = pairs.iter().map(|(key, value)| (key.value.as_str(), value)).collect();
            let title = match row.get("title").and_then(Node::text) {
                Some(title) => format!("{}: {title}", file.title),
                None => format!("{}: {case}", file.title),
            };
            cases.push(self.body(file, area, format!("{}/{case}", file.id.value), title, &bindings));
        }
        cases
    }

    fn body(&self, file: &ScenarioFile, area: &str, id: String, title: String, bindings: &[(&str, &Node)]) -> Scenario {
        let table = self.table(&file.actors, bindings);
        let names = self.names(file.names.as_ref(), &table, bindings);
        let when = self.conditions(&pairs_with(&file.when, bindings));
        let when = match bindings.iter().find(|(key, _)| *key == "when") {
            Some((_, node)) => when.into_iter().chain(self.conditions_of(node)).collect(),
            None => when,
        };
        let steps = self.steps(&substitute_all(&file.steps, bindings), &table, &Through::default());
        let scenario = Scenario {
            id,
            title,
            area: area.to_owned(),
            span: file.id.span.clone(),
            actors: table.actors.clone(),
            names,
            when,
            alone: file.alone,
            steps,
        };
        if scenario.proves().is_empty() && self.diagnostics.is_empty() {
            self.diagnostics.error(&file.id.span, "no step of this scenario proves a requirement, so it can find nothing");
        }
        scenario
    }

    /// A probe as a scenario that proves nothing.
    pub fn probe(&self, shape: &ProbeShape, id: &str, title: &str, span: &Span) -> Scenario {
        let table = self.table(&shape.actors, &[]);
        let names = self.names(shape.names.as_ref(), &table, &[]);
        Scenario {
            id: id.to_owned(),
            title: title.to_owned(),
            area: "probes".to_owned(),
            span: span.clone(),
            actors: table.actors.clone(),
            names,
            when: self.conditions(&shape.when),
            alone: false,
            steps: self.steps(&shape.steps, &table, &Through::default()),
        }
    }

    /// A fence's steps, in which actor 0 is whoever needs the fence.
    pub fn fence_steps(&self, file: &FencesFile, index: usize) -> Vec<Step> {
        let table = Table {
            declarations: self.declarations,
            actors: vec!["actor".to_owned()],
            names: RefCell::new(vec!["token".to_owned(), "place".to_owned()]),
        };
        self.steps(&file.fences[index].steps, &table, &Through::default())
    }

    fn table(&self, actors: &Names, bindings: &[(&str, &Node)]) -> Table<'_> {
        let mut known: Vec<String> = Vec::new();
        for actor in &actors.0 {
            self.check_name(actor, &known, bindings);
            known.push(actor.value.clone());
        }
        Table { declarations: self.declarations, actors: known, names: RefCell::default() }
    }

    fn check_name(&self, name: &Spanned<String>, known: &[String], bindings: &[(&str, &Node)]) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.value.is_empty() || !name.value.chars().all(fits) {
            self.diagnostics.error(&name.span, format!("`{}` can't be a name: letters, digits, `-` and `_` can", name.value));
        } else if is_word(&name.value) {
            self.diagnostics.error(&name.span, format!("`${}` has a meaning of its own, so nothing else can be called so", name.value));
        } else if known.contains(&name.value) || bindings.iter().any(|(key, _)| *key == name.value) {
            self.diagnostics.error(&name.span, format!("`{}` is declared twice", name.value));
        }
    }

    fn names(&self, node: Option<&Node>, table: &Table<'_>, bindings: &[(&str, &Node)]) -> Vec<(String, Template)> {
        let Some(node) = node else {
            return Vec::new();
        };
        let mut names = Vec::new();
        let mut add = |name: Spanned<String>, text: &Node| {
            let known: Vec<String> = table.actors.iter().chain(table.names.borrow().iter()).cloned().collect();
            self.check_name(&name, &known, bindings);
            let text = Template::lower(&substitute(text, bindings), table, self.diagnostics);
            names.push((name.value.clone(), text));
            table.names.borrow_mut().push(name.value);
        };
        match &node.kind {
            Kind::List(items) => {
                for item in items {
                    match item.text() {
                        Some(text) => add(Spanned { span: item.span.clone(), value: text.to_owned() }, item),
                        None => self.diagnostics.error(&item.span, "expected a name"),
                    }
                }
            }
            Kind::Map(pairs) => pairs.iter().for_each(|(key, value)| add(key.clone(), value)),
            _ => self.diagnostics.error(&node.span, "expected a list of names, or a map that gives each its text"),
        }
        names
    }

    fn conditions_of(&self, node: &Node) -> Vec<Condition> {
        match &node.kind {
            Kind::Map(pairs) => self.conditions(&Pairs(pairs.clone())),
            _ => {
                self.diagnostics.error(&node.span, "expected a map of readings or facts");
                Vec::new()
            }
        }
    }

    /// `when:` as conditions.
    pub fn conditions(&self, pairs: &Pairs<Node>) -> Vec<Condition> {
        pairs.0.iter().filter_map(|(key, node)| self.condition(key, node)).collect()
    }

    fn condition(&self, key: &Spanned<String>, node: &Node) -> Option<Condition> {
        let id = key.value.clone();
        if let Some(reading) = self.declarations.readings.get(&id) {
            let values: Vec<&Node> = match &node.kind {
                Kind::List(items) => items.iter().collect(),
                _ => vec![node],
            };
            let mut any_of = Vec::new();
            for value in values {
                any_of.push(self.reading_value(reading, value.text().unwrap_or_default(), &value.span)?);
            }
            return Some(Condition::Reading { id, any_of });
        }
        if id == OWN_SERVER {
            if let Kind::Bool(is) = node.kind {
                return Some(Condition::Truth { fact: id, is });
            }
            self.diagnostics.error(&node.span, "expected true or false");
            return None;
        }
        if self.declarations.facts.contains(&id) {
            let number = |key: &str| match node.get(key).map(|n| &n.kind) {
                Some(Kind::Int(number)) => u64::try_from(*number).ok(),
                _ => None,
            };
            let (at_least, at_most) = (number("at-least"), number("at-most"));
            if at_least.is_none() && at_most.is_none() {
                self.diagnostics.error(&node.span, "expected `{at-least: N}`, `{at-most: N}` or both");
                return None;
            }
            return Some(Condition::Number { fact: id, at_least, at_most });
        }
        let known = self.declarations.readings.keys().map(String::as_str).chain(self.declarations.facts.iter().map(String::as_str));
        let help = suggest(&id, known.collect::<Vec<_>>());
        self.diagnostics.push(Diagnostic::new(&key.span, format!("no reading and no fact is called `{id}`")).help(help));
        None
    }

    fn reading_value(&self, reading: &Reading, value: &str, span: &Span) -> Option<String> {
        if reading.values.contains_key(value) {
            return Some(value.to_owned());
        }
        let help = suggest(value, reading.values.keys().map(String::as_str).collect::<Vec<_>>());
        self.diagnostics.push(Diagnostic::new(span, format!("`{value}` is no value of {}", reading.id)).help(help));
        None
    }

    /// Steps in their order. Names captured by one are known to those after it.
    fn steps(&self, nodes: &[Node], table: &Table<'_>, through: &Through) -> Vec<Step> {
        let mut steps = Vec::new();
        for node in nodes {
            if let Some(shape) = decode::<StepShape>(node, self.diagnostics) {
                self.step(node, shape, table, through, &mut steps);
            }
        }
        steps
    }

    fn step(&self, node: &Node, mut shape: StepShape, table: &Table<'_>, through: &Through, steps: &mut Vec<Step>) {
        let mut when = self.conditions(&shape.when);
        when.extend(through.when.iter().cloned());
        let claim = self.claim(&shape, through);
        let Some(verb) = self.verb(node, &shape) else {
            return;
        };
        let through_this = Through { spans: through.spans.clone(), claim: claim.clone(), when: when.clone() };
        if let Some(name) = shape.use_.take() {
            self.fragment(&name, shape.with.unwrap_or_default(), table, &through_this, &verb, steps);
            return;
        }
        if let Some(with) = &shape.with
            && let Some((key, _)) = with.0.first()
        {
            self.diagnostics.error(&key.span, "`with` belongs to `use`");
        }
        let connecting = matches!(shape.connect, Some(_) if claim.is_none());
        let inner = Through { when: Vec::new(), ..through_this };
        let Some(action) = self.action(shape, table, &inner) else {
            return;
        };
        let claim = match claim {
            Some(claim) => claim,
            None if connecting => Claim::Needs(self.declarations.connecting.iter().cloned().collect()),
            None => Claim::Needs(Vec::new()),
        };
        steps.push(Step { span: verb, through: through.spans.clone(), claim, when, action });
    }

    /// The place of the step's verb; there must be exactly one.
    fn verb(&self, node: &Node, shape: &StepShape) -> Option<Span> {
        let Kind::Map(pairs) = &node.kind else {
            return None;
        };
        let modifiers = ["proves", "needs", "when", "with"];
        let verbs: Vec<&Spanned<String>> =
            pairs.iter().map(|(key, _)| key).filter(|key| !modifiers.contains(&key.value.as_str())).collect();
        match verbs.as_slice() {
            [verb] => {
                if !shape.proves.0.is_empty() && !shape.needs.0.is_empty() {
                    self.diagnostics.error(&node.span, "a step proves or needs, not both: its failure can't be two things");
                }
                Some(verb.span.clone())
            }
            [] => {
                self.diagnostics.error(&node.span, "this step does nothing: it has no verb such as `send` or `receive`");
                None
            }
            [first, second, ..] => {
                let message = format!("a step does one thing: `{}` and `{}` are two", first.value, second.value);
                self.diagnostics.error(&second.span, message);
                None
            }
        }
    }

    fn claim(&self, shape: &StepShape, through: &Through) -> Option<Claim> {
        if !shape.proves.0.is_empty() {
            return Some(Claim::Proves(self.requirements(&shape.proves)));
        }
        if !shape.needs.0.is_empty() {
            return Some(Claim::Needs(self.requirements(&shape.needs)));
        }
        through.claim.clone()
    }

    fn requirements(&self, names: &Names) -> Vec<RequirementId> {
        let known = &self.declarations.registry.requirements;
        let mut ids = Vec::new();
        for name in &names.0 {
            let id = RequirementId::new(&name.value);
            if !known.contains_key(&id) {
                let help = suggest(&name.value, known.keys().map(RequirementId::as_str).collect::<Vec<_>>());
                self.diagnostics.push(Diagnostic::new(&name.span, format!("requirements.yaml has no `{}`", name.value)).help(help));
            }
            ids.push(id);
        }
        ids
    }

    fn fragment(&self, name: &Spanned<String>, with: Pairs<Node>, table: &Table<'_>, through: &Through, at: &Span, steps: &mut Vec<Step>) {
        let fragments = &self.declarations.fragments;
        let Some(fragment) = fragments.get(&name.value) else {
            let help = suggest(&name.value, fragments.keys().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(&name.span, format!("there is no fragment `{}`", name.value)).help(help));
            return;
        };
        if through.spans.len() >= FRAGMENT_DEPTH {
            self.diagnostics.error(&name.span, format!("the fragment `{}` uses itself", name.value));
            return;
        }
        let mut fits = true;
        for (key, _) in &with.0 {
            if !fragment.arguments.contains(&key.value) {
                fits = false;
                let help = suggest(&key.value, fragment.arguments.iter().map(String::as_str).collect::<Vec<_>>());
                self.diagnostics.push(Diagnostic::new(&key.span, format!("`{}` takes no `{}`", name.value, key.value)).help(help));
            }
        }
        for argument in &fragment.arguments {
            if !with.0.iter().any(|(key, _)| key.value == *argument) {
                fits = false;
                self.diagnostics.error(&name.span, format!("`{}` needs the argument `{argument}`", name.value));
            }
        }
        if !fits {
            return;
        }
        let bindings: Vec<(&str, &Node)> = with.0.iter().map(|(key, value)| (key.value.as_str(), value)).collect();
        let mut through = through.clone();
        through.spans.push(at.clone());
        let overriding = through.claim.clone();
        let before = steps.len();
        steps.extend(self.steps(&substitute_all(&fragment.steps, &bindings), table, &through));
        if let Some(claim) = overriding {
            steps[before..].iter_mut().for_each(|step| step.claim = claim.clone());
        }
    }

    fn actor(&self, name: &str, span: &Span, table: &Table<'_>) -> Option<Actor> {
        let plain = name.strip_prefix('$').unwrap_or(name);
        let found = table.actors.iter().position(|actor| actor == plain);
        if found.is_none() {
            let help = suggest(plain, table.actors.iter().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(span, format!("the scenario has no actor `{plain}`")).help(help));
        }
        found
    }

    fn actors(&self, names: &Names, table: &Table<'_>) -> Option<Vec<Actor>> {
        names.0.iter().map(|name| self.actor(&name.value, &name.span, table)).collect()
    }

    fn template(&self, node: &Node, table: &Table<'_>) -> Template {
        Template::lower(node, table, self.diagnostics)
    }

    fn pattern(&self, node: &Node, table: &Table<'_>) -> Pattern {
        let mut captures = Vec::new();
        let pattern = Pattern::lower(node, table, &mut captures, self.diagnostics);
        table.names.borrow_mut().extend(captures);
        pattern
    }

    fn action(&self, shape: StepShape, table: &Table<'_>, through: &Through) -> Option<Action> {
        let one = |name: &Spanned<String>| self.actor(&name.value, &name.span, table);
        if let Some(call) = shape.request {
            return self.named_call(call, table).map(Action::Call);
        }
        if let Some(http) = shape.http {
            return self.any_call(http, table).map(Action::Call);
        }
        if let Some(names) = shape.connect {
            return self.actors(&names, table).map(Action::Connect);
        }
        if let Some(open) = shape.open {
            return Some(Action::Open { actor: one(&open.actor)?, listener: open.listener });
        }
        if let Some(send) = shape.send {
            let payload = match (&send.packet, &send.text, &send.binary) {
                (Some(node), None, None) => Payload::Packet(self.template(node, table)),
                (None, Some(node), None) => Payload::Text(self.template(node, table)),
                (None, None, Some(node)) => Payload::Binary(self.template(node, table)),
                _ => {
                    self.diagnostics.error(&send.actor.span, "`send` takes exactly one of `packet`, `text` and `binary`");
                    return None;
                }
            };
            return Some(Action::Send { actor: one(&send.actor)?, payload });
        }
        if let Some(frame) = shape.frame {
            return self.frame(frame, table);
        }
        if let Some(bytes) = shape.bytes {
            let blob = self.blob(bytes.text.as_ref(), bytes.hex.as_ref(), &bytes.actor.span, table);
            return Some(Action::Bytes { actor: one(&bytes.actor)?, bytes: blob });
        }
        if let Some(receive) = shape.receive {
            return self.receive(receive, table).map(Action::Receive);
        }
        if let Some(nothing) = shape.nothing_more {
            let of = match (&nothing.packet, &nothing.text) {
                (Some(node), None) => Some(Happening::Packet(self.pattern(node, table))),
                (None, Some(node)) => Some(Happening::Text(self.pattern(node, table))),
                (None, None) => None,
                (Some(_), Some(node)) => {
                    self.diagnostics.error(&node.span, "`nothing-more` takes `packet` or `text`, not both");
                    None
                }
            };
            return Some(Action::NothingMore(NothingMore {
                actors: self.actors(&nothing.actors, table)?,
                of,
                place: nothing.place.as_ref().map(|node| self.template(node, table)),
                after: match &nothing.after {
                    Some(names) => Some(self.actors(names, table)?),
                    None => None,
                },
            }));
        }
        if let Some(fence) = shape.fence {
            if let Some(only) = &fence.only
                && !self.declarations.fences.contains(&only.value)
            {
                let help = suggest(&only.value, self.declarations.fences.iter().map(String::as_str).collect::<Vec<_>>());
                self.diagnostics.push(Diagnostic::new(&only.span, format!("there is no fence `{}`", only.value)).help(help));
            }
            return Some(Action::Fence {
                actors: self.actors(&fence.actors, table)?,
                place: fence.place.as_ref().map(|node| self.template(node, table)),
                only: fence.only.map(|only| only.value),
            });
        }
        if let Some(all) = shape.all_received {
            return Some(Action::AllReceived {
                actors: self.actors(&all.actors, table)?,
                of: all.of.as_ref().map(|node| self.pattern(node, table)),
                packet: self.pattern(&all.packet, table),
            });
        }
        if let Some(close) = shape.close {
            return Some(Action::Close { actor: one(&close.actor)?, code: close.code, reason: close.reason.unwrap_or_default() });
        }
        if let Some(names) = shape.abort {
            return self.actors(&names, table).map(Action::Abort);
        }
        if let Some(names) = shape.hang_up {
            return self.actors(&names, table).map(Action::HangUp);
        }
        if let Some(names) = shape.pause {
            return self.actors(&names, table).map(Action::Pause);
        }
        if let Some(names) = shape.resume {
            return self.actors(&names, table).map(Action::Resume);
        }
        if let Some(at_once) = shape.at_once {
            return self.at_once(at_once, table, through);
        }
        if let Some(repeat) = shape.repeat {
            let times = self.template(&repeat.times, table);
            let counter = repeat.counter.map(|name| self.declare(name, table));
            let steps = self.steps(&repeat.steps, table, through);
            let until = repeat.until.map(|check| self.check(&check, table));
            let count = repeat.count.map(|name| self.declare(name, table));
            return Some(Action::Repeat { times, counter, count, until, steps });
        }
        if let Some(eventually) = shape.eventually {
            return Some(Action::Eventually { within: duration(eventually.within), steps: self.steps(&eventually.steps, table, through) });
        }
        if let Some(check) = shape.check {
            let (that, is) = self.check(&check, table);
            return Some(Action::Check { that, is });
        }
        shape.memory.map(|memory| Action::Memory { name: self.declare(memory.name, table) })
    }

    fn declare(&self, name: Spanned<String>, table: &Table<'_>) -> String {
        self.check_name(&name, &[], &[]);
        table.names.borrow_mut().push(name.value.clone());
        name.value
    }

    fn check(&self, check: &CheckShape, table: &Table<'_>) -> (Template, Pattern) {
        (self.template(&check.that, table), self.pattern(&check.is, table))
    }

    fn named_call(&self, call: CallShape, table: &Table<'_>) -> Option<Call> {
        let requests = &self.declarations.requests;
        let Some(request) = requests.get(&call.call.value) else {
            let help = suggest(&call.call.value, requests.keys().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(&call.call.span, format!("requests.yaml has no `{}`", call.call.value)).help(help));
            return None;
        };
        for (key, _) in &call.with.0 {
            if !request.parameters.contains(&key.value) {
                let help = suggest(&key.value, request.parameters.iter().map(String::as_str).collect::<Vec<_>>());
                self.diagnostics
                    .push(Diagnostic::new(&key.span, format!("`{}` has no parameter `{}`", call.call.value, key.value)).help(help));
            }
        }
        if let Some(way) = &call.way
            && !self.declarations.ways.contains_key(&way.value)
        {
            let help = suggest(&way.value, self.declarations.ways.keys().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(&way.span, format!("requests.yaml has no way `{}`", way.value)).help(help));
        }
        let with = call.with.0.iter().map(|(key, value)| (key.value.clone(), self.template(value, table))).collect();
        let alternative = AlternativeShape {
            status: call.status,
            answer: call.answer,
            text: call.text,
            headers: call.headers,
            ..AlternativeShape::default()
        };
        Some(Call {
            actor: self.actor(&call.actor.value, &call.actor.span, table)?,
            what: Request::Named { name: call.call.value, with, way: call.way.map(|way| way.value), as_written: call.as_written },
            expected: self.answers(&call.call.span, alternative, call.one_of, table),
            within: duration(call.within),
        })
    }

    fn any_call(&self, http: HttpShape, table: &Table<'_>) -> Option<Call> {
        let alternative = AlternativeShape {
            status: http.status,
            answer: http.answer,
            text: http.text,
            headers: http.headers,
            ..AlternativeShape::default()
        };
        Some(Call {
            actor: self.actor(&http.actor.value, &http.actor.span, table)?,
            what: Request::Any {
                method: self.template(&http.method, table),
                path: self.template(&http.path, table),
                headers: http.send_headers.0.iter().map(|(key, value)| (key.value.clone(), self.template(value, table))).collect(),
                body: http.body.as_ref().map(|body| self.template(body, table)),
            },
            expected: self.answers(&http.actor.span, alternative, http.one_of, table),
            within: duration(http.within),
        })
    }

    fn answers(&self, span: &Span, single: AlternativeShape, one_of: Option<Vec<AlternativeShape>>, table: &Table<'_>) -> Vec<Alternative> {
        let given = single.status.is_some() || single.answer.is_some() || single.text.is_some() || single.headers.is_some();
        match one_of {
            Some(_) if given => {
                self.diagnostics.error(span, "an answer is expected either directly or by `one-of`");
                Vec::new()
            }
            Some(alternatives) => alternatives.into_iter().map(|shape| self.answer(shape, table)).collect(),
            None => vec![self.answer(single, table)],
        }
    }

    fn answer(&self, shape: AlternativeShape, table: &Table<'_>) -> Alternative {
        let other = shape.packet.or(shape.binary).or(shape.pong).or(shape.stream);
        if let Some(node) = &other {
            self.diagnostics.error(&node.span, "this is a WebSocket's; an HTTP answer has `status`, `answer`, `text` and `headers`");
        }
        let happening = Happening::Answer {
            status: shape.status.as_ref().map(|node| self.pattern(node, table)),
            json: shape.answer.as_ref().map(|node| self.pattern(node, table)),
            text: shape.text.as_ref().map(|node| self.pattern(node, table)),
            headers: shape
                .headers
                .unwrap_or_default()
                .0
                .iter()
                .map(|(key, value)| (key.value.to_lowercase(), self.pattern(value, table)))
                .collect(),
        };
        Alternative { happening, reads: self.reads(&shape.reads) }
    }

    fn reads(&self, reads: &Pairs<Spanned<String>>) -> Vec<(String, String)> {
        let readings = &self.declarations.readings;
        let mut found = Vec::new();
        for (key, value) in &reads.0 {
            match readings.get(&key.value) {
                Some(reading) => {
                    found.extend(self.reading_value(reading, &value.value, &value.span).map(|value| (key.value.clone(), value)))
                }
                None => {
                    let help = suggest(&key.value, readings.keys().map(String::as_str).collect::<Vec<_>>());
                    self.diagnostics.push(Diagnostic::new(&key.span, format!("no reading is called `{}`", key.value)).help(help));
                }
            }
        }
        found
    }

    fn happening(&self, shape: AlternativeShape, span: &Span, table: &Table<'_>) -> Option<Alternative> {
        let reads = self.reads(&shape.reads);
        if let Some(node) = shape.answer.as_ref().or(shape.status.as_ref()) {
            self.diagnostics
                .error(&node.span, "this is an HTTP answer's; a connection receives `packet`, `text`, `binary`, `pong` or `end`");
        }
        let mut found = Vec::new();
        if let Some(node) = &shape.packet {
            found.push(Happening::Packet(self.pattern(node, table)));
        }
        if let Some(node) = &shape.text {
            found.push(Happening::Text(self.pattern(node, table)));
        }
        if let Some(node) = &shape.binary {
            found.push(Happening::Binary(self.pattern(node, table)));
        }
        if let Some(node) = &shape.pong {
            found.push(Happening::Pong(self.pattern(node, table)));
        }
        if let Some(node) = &shape.stream {
            found.push(Happening::Stream(self.pattern(node, table)));
        }
        if let Some(EndShape { how, code }) = &shape.end {
            found.push(Happening::End { how: how.clone(), code: code.as_ref().map(|node| self.pattern(node, table)) });
        }
        if shape.nothing {
            found.push(Happening::Nothing);
        }
        match found.pop() {
            Some(happening) if found.is_empty() => Some(Alternative { happening, reads }),
            _ => {
                self.diagnostics.error(span, "expected exactly one of `packet`, `text`, `binary`, `pong`, `stream`, `end` and `nothing`");
                None
            }
        }
    }

    fn receive(&self, shape: ReceiveShape, table: &Table<'_>) -> Option<Receive> {
        let span = shape.actor.0.first()?.span.clone();
        let actors = self.actors(&shape.actor, table)?;
        let single = AlternativeShape {
            packet: shape.packet,
            text: shape.text,
            binary: shape.binary,
            pong: shape.pong,
            end: shape.end,
            stream: shape.stream,
            ..AlternativeShape::default()
        };
        let expected = match (shape.one_of, shape.in_order) {
            (None, None) => vec![vec![self.happening(single, &span, table)?]],
            (Some(alternatives), None) => {
                vec![alternatives.into_iter().map(|shape| self.happening(shape, &span, table)).collect::<Option<_>>()?]
            }
            (None, Some(packets)) => packets
                .iter()
                .map(|node| vec![Alternative { happening: Happening::Packet(self.pattern(node, table)), reads: Vec::new() }])
                .collect(),
            (Some(_), Some(_)) => {
                self.diagnostics.error(&span, "`one-of` and `in-order` don't go together");
                return None;
            }
        };
        Some(Receive { actors, expected, within: duration(shape.within) })
    }

    fn frame(&self, shape: FrameShape, table: &Table<'_>) -> Option<Action> {
        let payload = match (&shape.text, &shape.hex) {
            (None, None) => Blob::Bytes(Bytes::new()),
            _ => self.blob(shape.text.as_ref(), shape.hex.as_ref(), &shape.actor.span, table),
        };
        Some(Action::Frame {
            actor: self.actor(&shape.actor.value, &shape.actor.span, table)?,
            frame: Box::new(FrameSpec {
                opcode: match shape.opcode {
                    OpcodeShape::Continuation => 0x0,
                    OpcodeShape::Text => 0x1,
                    OpcodeShape::Binary => 0x2,
                    OpcodeShape::Reserved => 0x3,
                    OpcodeShape::Close => 0x8,
                    OpcodeShape::Ping => 0x9,
                    OpcodeShape::Pong => 0xA,
                },
                fin: shape.fin.unwrap_or(true),
                masked: shape.masked.unwrap_or(true),
                reserved_bit: shape.reserved_bit,
                payload,
            }),
        })
    }

    fn blob(&self, text: Option<&Node>, hex: Option<&Spanned<String>>, span: &Span, table: &Table<'_>) -> Blob {
        match (text, hex) {
            (Some(text), None) => Blob::Text(self.template(text, table)),
            (None, Some(hex)) => match from_hex(&hex.value) {
                Some(bytes) => Blob::Bytes(bytes),
                None => {
                    self.diagnostics.error(&hex.span, "not hexadecimal: two digits for each byte, spaces between them as you like");
                    Blob::Bytes(Bytes::new())
                }
            },
            _ => {
                self.diagnostics.error(span, "expected `text` or `hex`");
                Blob::Bytes(Bytes::new())
            }
        }
    }

    fn at_once(&self, shape: AtOnceShape, table: &Table<'_>, through: &Through) -> Option<Action> {
        if let Some(steps) = &shape.steps {
            return Some(Action::AtOnce(self.steps(steps, table, through)));
        }
        let (Some(times), Some(call), Some(exactly), Some(answer)) = (&shape.times, shape.request, &shape.exactly, &shape.answer) else {
            let span = through.spans.last().cloned();
            let span = span.or_else(|| shape.times.as_ref().map(|node| node.span.clone()));
            if let Some(span) = span {
                self.diagnostics.error(&span, "`at-once` takes `steps`, or `times`, `request`, `exactly` and `answer`");
            }
            return None;
        };
        let times = self.template(times, table);
        let counter = shape.counter.map(|name| self.declare(name, table));
        Some(Action::AtOnceCalls {
            times,
            counter,
            call: Box::new(self.named_call(call, table)?),
            exactly: self.template(exactly, table),
            answer: self.pattern(answer, table),
            others: shape.others.as_ref().map(|node| self.pattern(node, table)),
        })
    }
}

/// What the `use` steps around a step hand down to it.
#[derive(Clone, Debug, Default)]
struct Through {
    spans: Vec<Span>,
    claim: Option<Claim>,
    when: Vec<Condition>,
}

fn duration(lasting: Option<Lasting>) -> Option<Duration> {
    lasting.map(|lasting| lasting.0)
}

fn from_hex(text: &str) -> Option<Bytes> {
    let digits: Vec<u32> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    if digits.len() % 2 != 0 {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

fn pairs_with(pairs: &Pairs<Node>, bindings: &[(&str, &Node)]) -> Pairs<Node> {
    Pairs(pairs.0.iter().map(|(key, value)| (key.clone(), substitute(value, bindings))).collect())
}

fn substitute_all(nodes: &[Node], bindings: &[(&str, &Node)]) -> Vec<Node> {
    nodes.iter().map(|node| substitute(node, bindings)).collect()
}

/// Puts arguments in the place of `$name` and `${name}`: a copy of the tree, before it is decoded, so that an argument
/// may be anything, a pattern or a requirement too.
fn substitute(node: &Node, bindings: &[(&str, &Node)]) -> Node {
    if bindings.is_empty() {
        return node.clone();
    }
    let kind = match &node.kind {
        Kind::Text(text) => {
            let whole = text.strip_prefix('$').and_then(|name| bindings.iter().find(|(key, _)| *key == name));
            if let Some((_, value)) = whole {
                return (*value).clone();
            }
            Kind::Text(splice(text, bindings))
        }
        Kind::List(items) => Kind::List(substitute_all(items, bindings)),
        Kind::Map(pairs) => Kind::Map(
            pairs
                .iter()
                .map(|(key, value)| {
                    let key = Spanned { span: key.span.clone(), value: splice(&key.value, bindings) };
                    (key, substitute(value, bindings))
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { span: node.span.clone(), kind }
}

fn splice(text: &str, bindings: &[(&str, &Node)]) -> String {
    let mut text = text.to_owned();
    for (key, value) in bindings {
        let hole = format!("${{{key}}}");
        if !text.contains(&hole) {
            continue;
        }
        let filling = match &value.kind {
            Kind::Text(inner) => match inner.strip_prefix('$') {
                Some(name) if !name.is_empty() && !name.contains(['$', '{']) => format!("${{{name}}}"),
                _ => inner.clone(),
            },
            Kind::Int(number) => number.to_string(),
            Kind::Bool(value) => value.to_string(),
            _ => continue,
        };
        text = text.replace(&hole, &filling);
    }
    text
}
