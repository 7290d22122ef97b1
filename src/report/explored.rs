//! A run that explores, put in order for whatever shows it.

use std::collections::BTreeMap;

use crate::event::{Counterexample, Coverage, Event, Explored, Footer, Header, Reached, SuiteShown};
use crate::reading::{Fact, Held};
use crate::requirement::{Requirement, RequirementId};
use crate::verdict::Outcome;

/// What the events of a run have told.
#[derive(Debug, Default)]
pub struct Exploration {
    pub header: Option<Header>,
    pub suite: SuiteShown,
    pub readings: BTreeMap<String, Held>,
    pub facts: BTreeMap<String, Fact>,
    pub traces: u64,
    pub actions: u64,
    /// How often each requirement decided what was allowed.
    pub exercised: BTreeMap<RequirementId, u64>,
    /// How many traces could not be played to their end, by the reason.
    pub cut: BTreeMap<String, u64>,
    pub footer: Option<Footer>,
    /// When the first trace could begin, and when the last ended.
    span_ms: (f64, f64),
    states: BTreeMap<String, u64>,
    coverage: Option<Coverage>,
    failed: BTreeMap<RequirementId, Vec<Explored>>,
    counterexamples: Vec<Counterexample>,
}

/// A requirement that was found violated.
#[derive(Debug)]
pub struct Violation<'a> {
    pub id: &'a RequirementId,
    pub requirement: Option<&'a Requirement>,
    /// The traces that failed by it, at least one.
    pub traces: &'a [Explored],
    /// None where the run ended before one was made.
    pub smallest: Option<&'a Counterexample>,
}

impl Exploration {
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started(header) => self.header = Some(header.clone()),
            Event::Suite(suite) => self.suite.clone_from(suite),
            Event::Readings { at_ms, readings, facts, .. } => {
                self.span_ms = (*at_ms, *at_ms);
                self.readings.clone_from(readings);
                self.facts.clone_from(facts);
            }
            Event::Explored(explored) => self.explored(explored),
            Event::Coverage(coverage) => self.coverage = Some((**coverage).clone()),
            Event::Counterexample(found) => self.counterexamples.push((**found).clone()),
            Event::Finished(footer) => self.footer = Some(footer.clone()),
            _ => {}
        }
    }

    fn explored(&mut self, explored: &Explored) {
        self.traces += 1;
        self.actions += explored.actions as u64;
        self.span_ms.1 = explored.at_ms;
        for state in &explored.states {
            *self.states.entry(state.clone()).or_default() += 1;
        }
        for (id, count) in &explored.exercised {
            *self.exercised.entry(id.clone()).or_default() += count;
        }
        if let Some(found) = &explored.found {
            self.failed.entry(found.requirement.clone()).or_default().push(explored.clone());
        }
        if let Some(why) = explored.cut.as_ref().filter(|_| explored.found.is_none()) {
            *self.cut.entry(why.clone()).or_default() += 1;
        }
    }

    /// How long it played, in seconds.
    pub fn seconds(&self) -> f64 {
        ((self.span_ms.1 - self.span_ms.0) / 1000.0).max(0.0)
    }

    /// The readings and facts that the target was held to, each as one text.
    pub fn held(&self) -> Vec<String> {
        let readings = self.readings.iter().filter(|(_, held)| !held.values().is_empty());
        let facts = self.facts.iter().filter_map(|(id, fact)| match fact {
            Fact::Number(number) => Some(format!("{id} = {number}")),
            Fact::Above(number) => Some(format!("{id} of {number} or more")),
            Fact::Truth(_) | Fact::Unknown { .. } => None,
        });
        readings.map(|(id, held)| format!("{id} = {}", held.values().join(", "))).chain(facts).collect()
    }

    /// The readings of which every value was allowed, since nobody found out which holds.
    pub fn open(&self) -> Vec<&str> {
        self.readings.iter().filter(|(_, held)| matches!(held, Held::Unknown { .. })).map(|(id, _)| id.as_str()).collect()
    }

    /// What was found, in the document's order. What the run took back as it ended isn't among it.
    pub fn violations<'a>(&'a self) -> Vec<Violation<'a>> {
        let place = |id: &RequirementId| self.suite.requirements.iter().position(|requirement| requirement.id == *id);
        let is_kept = |id: &RequirementId| {
            self.footer.as_ref().is_none_or(|footer| footer.requirements.is_empty() || footer.requirements.get(id) == Some(&Outcome::Fail))
        };
        let of = |(id, traces): (&'a RequirementId, &'a Vec<Explored>)| {
            let own = self.counterexamples.iter().filter(|shown| shown.found.requirement == *id);
            let smallest = own.min_by_key(|shown| (shown.yaml.is_none(), shown.actions));
            Violation { id, requirement: self.suite.requirement(id), traces, smallest }
        };
        let mut violations: Vec<_> = self.failed.iter().filter(|(id, _)| is_kept(id)).map(of).collect();
        violations.sort_by_key(|violation| place(violation.id).unwrap_or(usize::MAX));
        violations
    }

    /// The states that were come to and in how many traces, the most frequent first.
    pub fn states(&self) -> Vec<(&str, u64)> {
        let mut states: Vec<(&str, u64)> = self.states.iter().map(|(state, count)| (state.as_str(), *count)).collect();
        states.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        states
    }

    /// The states that no trace came to.
    pub fn unreached(&self) -> Vec<&str> {
        let all: &[Reached] = self.coverage.as_ref().map_or(&[], |coverage| &coverage.states);
        all.iter().filter(|reached| reached.traces == 0).map(|reached| reached.state.as_str()).collect()
    }

    /// The requirements that never decided anything, in the document's order.
    pub fn unexercised(&self) -> Vec<&Requirement> {
        let is_known = |id: &RequirementId| self.exercised.contains_key(id) || self.failed.contains_key(id);
        self.suite.requirements.iter().filter(|requirement| !is_known(&requirement.id)).collect()
    }
}
