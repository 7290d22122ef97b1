//! What a run that explores tells: what came of each trace, and the smallest counterexamples.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::requirement::RequirementId;

/// What came of one trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explored {
    pub at_ms: f64,
    /// Its number, from which and the seed follows all that was played.
    pub trace: u64,
    /// How many actions were played.
    pub actions: usize,
    /// The states that it came to, such as a full room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// How often each requirement decided what was allowed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exercised: BTreeMap<RequirementId, u64>,
    /// What the model could not explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Why it was not played to its end, where it wasn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

/// What the traces of a run have come to together, and what they have not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    pub at_ms: f64,
    /// All states that the model has a name for, from the common to the rare.
    pub states: Vec<Reached>,
}

/// How often a state was come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    pub state: String,
    /// In how many traces.
    pub traces: u64,
}

/// Something that the document does not allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    pub requirement: RequirementId,
    /// The round in which it showed, from 1.
    pub round: usize,
    /// One sentence.
    pub summary: String,
    /// What would have been allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// What came.
    pub came: String,
    /// It is about what another trace did at the same time, so that the trace alone doesn't show it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_others: bool,
}

/// The smallest trace that shows a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counterexample {
    pub at_ms: f64,
    /// The scenario's ID; its exchanges and frames are in the log under this name.
    pub scenario: String,
    /// What was found in the smallest trace.
    pub found: Found,
    /// The trace in which it was found first.
    pub trace: u64,
    /// The rounds of the smallest trace, each in a line.
    pub rounds: Vec<String>,
    /// How many actions the trace had up to the failure, and how many are left.
    pub actions_before: usize,
    pub actions: usize,
    /// How many smaller traces were tried.
    pub tried: usize,
    /// In how many of how many replays it showed.
    pub failed: usize,
    pub played: usize,
    /// The scenario file; none where no scenario could be made that fails on this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
    /// Why there is no scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
}
