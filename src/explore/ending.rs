//! What a counterexample expects at its last round.

use super::action::{Actor, Name, Packet};
use crate::requirement::RequirementId;

/// The expectations of the last round, each with the requirement that it proves.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// What an actor's HTTP request must be answered.
    pub answers: Vec<(RequirementId, Actor, Expected)>,
    /// What must come.
    pub receives: Vec<(RequirementId, Actor, Packet)>,
    /// Whose connection must still be there.
    pub alive: Vec<(RequirementId, Actor)>,
    /// What must not come; nothing at all, where no packet is named.
    pub never: Vec<(RequirementId, Actor, Option<Packet>)>,
    /// For each round before, packets that the expectations would mistake for later ones, and which are taken there.
    pub before: Vec<Vec<(Actor, Packet)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// One of these texts in `res`.
    Results(Vec<String>),
    /// Any text in `res` but these.
    NoResults(Vec<String>),
    /// A list in which these rooms stand once each, with one of these populations.
    Listed(Vec<(Name, Vec<i64>)>),
}

impl Ending {
    /// What the actor's request must be answered, with the requirement that this proves.
    pub fn answer(&self, actor: Actor) -> Option<(&RequirementId, &Expected)> {
        self.answers.iter().find(|(_, whose, _)| *whose == actor).map(|(id, _, expected)| (id, expected))
    }

    /// Whether it expects anything.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.receives.is_empty() && self.alive.is_empty() && self.never.is_empty()
    }
}
