//! What a suite says of itself, in a log.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::requirement::{Level, Requirement, RequirementId};
use crate::scenario::protocol::Protocol;

/// What a suite says of itself: the texts that belong to the IDs of a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteShown {
    /// In the document's order.
    pub requirements: Vec<Requirement>,
    /// What each reading asks.
    pub readings: BTreeMap<String, String>,
    /// What each fact is.
    pub facts: BTreeMap<String, String>,
    /// The scenarios that the run was to play, each case for itself, in the suite's order.
    pub scenarios: Vec<ScenarioShown>,
}

impl SuiteShown {
    /// What a protocol says of itself, with the scenarios that were chosen, by their place in it.
    pub fn new(protocol: &Protocol, selected: &[usize]) -> Self {
        let scenario = |at: &usize| {
            let scenario = &protocol.scenarios[*at];
            ScenarioShown {
                id: scenario.id.clone(),
                title: scenario.title.clone(),
                area: scenario.area.clone(),
                place: scenario.span.to_string(),
                actors: scenario.actors.clone(),
                proves: scenario.proves(),
            }
        };
        let mut selected = selected.to_vec();
        selected.sort_unstable();
        Self {
            requirements: protocol.declarations.registry.requirements.values().cloned().collect(),
            readings: protocol.readings.iter().map(|plan| (plan.reading.id.clone(), plan.reading.question.clone())).collect(),
            facts: protocol.facts.iter().map(|fact| (fact.id.clone(), fact.title.clone())).collect(),
            scenarios: selected.iter().map(scenario).collect(),
        }
    }

    pub fn requirement(&self, id: &RequirementId) -> Option<&Requirement> {
        self.requirements.iter().find(|requirement| requirement.id == *id)
    }

    /// The level of a requirement; one that the suite doesn't have reads as INFO.
    pub fn level(&self, id: &RequirementId) -> Level {
        self.requirement(id).map_or(Level::Info, |requirement| requirement.level)
    }

    pub fn scenario(&self, id: &str) -> Option<&ScenarioShown> {
        self.scenarios.iter().find(|scenario| scenario.id == id)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioShown {
    pub id: String,
    pub title: String,
    /// The folder that its file stands in.
    pub area: String,
    /// `file:line:column`.
    pub place: String,
    pub actors: Vec<String>,
    pub proves: Vec<RequirementId>,
}
