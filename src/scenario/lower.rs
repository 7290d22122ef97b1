//! From the shapes of files to steps that can be played. Everything that can be wrong with a scenario is found here or
//! while decoding, and nothing while it runs.

use std::cell::RefCell;

use super::declarations::{Declarations, OWN_SERVER};
use super::decode::decode;
use super::file::{FencesFile, ProbeShape, ScenarioFile};
use super::pattern::is_word;
use super::source::{Diagnostic, Diagnostics, Span, suggest};
use super::step::{Claim, Scenario, Step, Turn};
use super::step_file::StepShape;
use super::substitute::{Bindings, pairs_with, substitute, substitute_all};
use super::template::{Meaning, Symbols, Template};
use super::yaml::{Kind, Names, Node, Pairs, Spanned};
use crate::reading::{Condition, Reading};
use crate::requirement::RequirementId;

/// How deep fragments may use fragments; a deeper one uses itself.
const FRAGMENT_DEPTH: usize = 16;

/// The names that a scenario's steps may use.
pub(super) struct Table<'a> {
    declarations: &'a Declarations,
    pub(super) actors: Vec<String>,
    pub(super) names: RefCell<Vec<String>>,
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
            return vec![self.proving(file, self.body(file, area, file.id.value.clone(), file.title.clone(), &[]))];
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
            cases.push(self.proving(file, self.body(file, area, format!("{}/{case}", file.id.value), title, &bindings)));
        }
        cases
    }

    fn body(&self, file: &ScenarioFile, area: &str, id: String, title: String, bindings: &Bindings<'_>) -> Scenario {
        let table = self.table(&file.actors, bindings);
        let names = self.names(file.names.as_ref(), &table, bindings);
        let when = self.conditions(&pairs_with(&file.when, bindings));
        let when = match bindings.iter().find(|(key, _)| *key == "when") {
            Some((_, node)) => when.into_iter().chain(self.conditions_of(node)).collect(),
            None => when,
        };
        let steps = self.steps(&substitute_all(&file.steps, bindings), &table, &Through::default());
        Scenario {
            id,
            title,
            area: area.to_owned(),
            span: file.id.span.clone(),
            actors: table.actors.clone(),
            names,
            when,
            turn: file.turn,
            stays: file.stays.clone(),
            steps,
        }
    }

    /// A scenario that a program has made, of which it is looked at what comes, so that it need not prove anything.
    pub fn generated(&self, file: &ScenarioFile, area: &str) -> Scenario {
        self.body(file, area, file.id.value.clone(), file.title.clone(), &[])
    }

    fn proving(&self, file: &ScenarioFile, scenario: Scenario) -> Scenario {
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
            turn: Turn::Any,
            stays: None,
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

    fn table(&self, actors: &Names, bindings: &Bindings<'_>) -> Table<'_> {
        let mut known: Vec<String> = Vec::new();
        for actor in &actors.0 {
            self.check_name(actor, &known, bindings);
            known.push(actor.value.clone());
        }
        Table { declarations: self.declarations, actors: known, names: RefCell::default() }
    }

    pub(super) fn check_name(&self, name: &Spanned<String>, known: &[String], bindings: &Bindings<'_>) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.value.is_empty() || !name.value.chars().all(fits) {
            self.diagnostics.error(&name.span, format!("`{}` can't be a name: letters, digits, `-` and `_` can", name.value));
        } else if is_word(&name.value) {
            self.diagnostics.error(&name.span, format!("`${}` has a meaning of its own, so nothing else can be called so", name.value));
        } else if known.contains(&name.value) || bindings.iter().any(|(key, _)| *key == name.value) {
            self.diagnostics.error(&name.span, format!("`{}` is declared twice", name.value));
        }
    }

    fn names(&self, node: Option<&Node>, table: &Table<'_>, bindings: &Bindings<'_>) -> Vec<(String, Template)> {
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

    pub(super) fn reading_value(&self, reading: &Reading, value: &str, span: &Span) -> Option<String> {
        if reading.values.contains_key(value) {
            return Some(value.to_owned());
        }
        let help = suggest(value, reading.values.keys().map(String::as_str).collect::<Vec<_>>());
        self.diagnostics.push(Diagnostic::new(span, format!("`{value}` is no value of {}", reading.id)).help(help));
        None
    }

    /// Steps in their order. Names captured by one are known to those after it.
    pub(super) fn steps(&self, nodes: &[Node], table: &Table<'_>, through: &Through) -> Vec<Step> {
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
        let connecting = shape.connect.is_some() && claim.is_none();
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
}

/// What the `use` steps around a step hand down to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Through {
    pub(super) spans: Vec<Span>,
    claim: Option<Claim>,
    when: Vec<Condition>,
}
