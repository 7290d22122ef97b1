//! Why the steps of a scenario went no further.

use crate::scenario::source::Span;
use crate::scenario::step::{Claim, Scenario, Step};
use crate::scenario::template::Unbound;
use crate::verdict::{Failure, StepPlace};

/// What ended a step.
#[derive(Clone, Debug)]
pub struct Stop {
    pub claim: Claim,
    pub kind: StopKind,
    pub failure: Box<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// Something came that isn't what was expected: the scenario can still go on.
    Mismatch,
    /// What was expected did not come.
    Missing,
    /// Nobody was there: that says nothing about any requirement.
    Absent,
    /// Something that the step needs isn't known of this target.
    Unknown,
    /// The scenario asks for what can't be done, such as a packet over a connection never opened.
    Broken,
}

impl Stop {
    pub fn new(step: &Step, kind: StopKind, summary: impl Into<String>) -> Self {
        let requirements = match &step.claim {
            Claim::Proves(ids) | Claim::Needs(ids) => ids.clone(),
        };
        let failure = Failure { requirements, step: place(step), summary: summary.into(), ..Failure::default() };
        Self { claim: step.claim.clone(), kind, failure: Box::new(failure) }
    }

    pub fn unbound(step: &Step, unbound: &Unbound) -> Self {
        Self::new(step, StopKind::Unknown, format!("`{}` is not known of this target", unbound.0))
    }
}

impl Stop {
    /// An answer came, but not the one that a named requirement asks for: the scenario may still get to its point.
    pub fn is_unmet_need(&self) -> bool {
        self.kind == StopKind::Mismatch && matches!(&self.claim, Claim::Needs(ids) if !ids.is_empty())
    }

    /// This unmet need, to which another failure may be due.
    pub fn followed_by(mut self, other: &Stop) -> Self {
        self.failure.hints.push(format!("the scenario went on, and then: {}", other.failure.summary));
        self
    }

    /// A scenario whose names can't be made.
    pub fn unnamed(scenario: &Scenario, unbound: &Unbound) -> Self {
        let place = StepPlace { place: scenario.span.to_string(), excerpt: scenario.span.excerpt(), through: Vec::new() };
        let summary = format!("`{}` is not known of this target", unbound.0);
        let failure = Failure { step: place, summary, ..Failure::default() };
        Self { claim: Claim::Needs(Vec::new()), kind: StopKind::Unknown, failure: Box::new(failure) }
    }
}

fn place(step: &Step) -> StepPlace {
    StepPlace { place: step.span.to_string(), excerpt: step.span.excerpt(), through: step.through.iter().map(Span::to_string).collect() }
}
