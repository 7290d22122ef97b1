//! What the document asks of a single action, whatever the open readings: for a counterexample that says what it expects.

use super::outcome::{Outcome, Pattern, Reply};
use super::search::outcomes;
use super::state::State;
use super::{Names, packet};
use crate::explore::action::{Action, Actor};
use crate::requirement::RequirementId;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectation {
    /// The answers of which one must come, each with its requirement; empty where the action is no HTTP request.
    pub answers: Vec<(Reply, RequirementId)>,
    /// The packets that must come under every hypothesis.
    pub required: Vec<(Actor, Pattern, RequirementId)>,
    /// The packets that may come under some; whatever is neither here nor required must not come.
    pub possible: Vec<(Actor, Pattern)>,
    /// Whether the connection of whoever acts may end.
    pub may_end: bool,
    /// The requirement that the action is about.
    pub about: Option<RequirementId>,
}

/// What the hypotheses have in common. Of several actions at once nothing is said.
pub fn expects(names: &Names, states: &[State], round: &[Action], number: usize) -> Expectation {
    let [action] = round else { return Expectation::default() };
    let all: Vec<Outcome> = states.iter().flat_map(|state| outcomes(names, state, action, number)).collect();
    let mut expectation = Expectation::default();
    let dues = |outcome: &Outcome| -> Vec<(Actor, Pattern)> {
        let dues = outcome.dues.iter().filter(|due| due.proves.is_some());
        dues.map(|due| (due.to, due.pattern.clone())).collect()
    };
    for (at, outcome) in all.iter().enumerate() {
        expectation.may_end |= outcome.ends;
        if at == 0 {
            expectation.about = Some(RequirementId::new(outcome.proves));
        }
        if let Some(reply) = &outcome.reply
            && !expectation.answers.iter().any(|(one, _)| one == reply)
        {
            expectation.answers.push((reply.clone(), RequirementId::new(outcome.proves)));
        }
        for due in &outcome.dues {
            let known = (due.to, due.pattern.clone());
            if !expectation.possible.contains(&known) {
                expectation.possible.push(known);
            }
        }
    }
    if let Some(first) = all.first() {
        for due in &first.dues {
            let Some(proves) = due.proves else { continue };
            let wanted = (due.to, due.pattern.clone());
            let count = |of: &[(Actor, Pattern)]| of.iter().filter(|one| **one == wanted).count();
            let least = all.iter().map(|outcome| count(&dues(outcome))).min().unwrap_or_default();
            let had = expectation.required.iter().filter(|(to, pattern, _)| (to, pattern) == (&wanted.0, &wanted.1)).count();
            if had < least {
                expectation.required.push((wanted.0, wanted.1, RequirementId::new(proves)));
            }
        }
    }
    for known in states.iter().flat_map(|state| &state.owed) {
        if !expectation.possible.contains(known) {
            expectation.possible.push(known.clone());
        }
    }
    // The server may take notice of a connection that has ended at any time.
    for (state, connection) in states.iter().flat_map(|state| state.fading.iter().map(move |connection| (state, connection))) {
        for due in packet::noticed(state, *connection).into_iter().flat_map(|outcome| outcome.dues) {
            let known = (due.to, due.pattern);
            if !expectation.possible.contains(&known) {
                expectation.possible.push(known);
            }
        }
    }
    expectation
}
