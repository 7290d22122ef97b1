//! The registry of requirements: what the protocol's document states, statement by statement.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A requirement's ID, such as `JOIN-3`. It never changes its meaning. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RequirementId(Arc<str>);

impl RequirementId {
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequirementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a violation means: a failure (MUST), a warning that `--strict` makes a failure (SHOULD, ROBUST), a note (INFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    Must,
    Should,
    Robust,
    Info,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::Robust => "ROBUST",
            Level::Info => "INFO",
        })
    }
}

/// One statement of the protocol's document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    pub id: RequirementId,
    pub level: Level,
    /// The statement, in one sentence.
    pub text: String,
    /// Where the document says it: heading, table or example.
    pub place: String,
    /// The readings that bear on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<String>,
}

/// All requirements of a protocol, in the document's order.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    pub requirements: IndexMap<RequirementId, Requirement>,
    /// Every text that the document lists for an answer.
    pub texts: Vec<String>,
}

impl Registry {
    pub fn get(&self, id: &RequirementId) -> Option<&Requirement> {
        self.requirements.get(id)
    }

    /// The level of a requirement; one that isn't registered can't be named by a scenario, so it reads as INFO.
    pub fn level(&self, id: &RequirementId) -> Level {
        self.get(id).map_or(Level::Info, |requirement| requirement.level)
    }
}
