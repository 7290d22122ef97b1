//! Readings: where the document allows several, a server that follows any one consistently conforms. And facts: what
//! else the probes find out about a target, such as the capacity of its rooms.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::requirement::RequirementId;

/// A statement of the document that can be read in several ways.
#[derive(Clone, Debug)]
pub struct Reading {
    pub id: String,
    pub question: String,
    /// Each value with what it means, in the order of preference.
    pub values: IndexMap<String, String>,
}

/// What is known of one reading of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Held {
    /// Found by probing: the values that hold, at least one.
    Found { values: Vec<String> },
    /// Given on the command line.
    Pinned { values: Vec<String> },
    /// The probes could not find out: why, and which requirements stood in the way.
    Unknown { why: String, blocked_by: Vec<RequirementId> },
    /// The question doesn't arise for this target, and why.
    NotApplicable { why: String },
}

impl Held {
    pub fn values(&self) -> &[String] {
        match self {
            Held::Found { values } | Held::Pinned { values } => values,
            Held::Unknown { .. } | Held::NotApplicable { .. } => &[],
        }
    }
}

/// A fact about a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", content = "value", rename_all = "kebab-case")]
pub enum Fact {
    Number(u64),
    /// Larger than the search went.
    Above(u64),
    Truth(bool),
    Unknown {
        why: String,
        blocked_by: Vec<RequirementId>,
    },
}

impl Fact {
    pub fn to_value(&self) -> Option<Value> {
        match self {
            Fact::Number(number) => Some(Value::from(*number)),
            Fact::Truth(truth) => Some(Value::from(*truth)),
            Fact::Above(_) | Fact::Unknown { .. } => None,
        }
    }
}

/// The readings and facts of one target, as found or pinned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    pub readings: BTreeMap<String, Held>,
    pub facts: BTreeMap<String, Fact>,
}

impl Findings {
    pub fn held(&self, reading: &str) -> &[String] {
        self.readings.get(reading).map_or(&[], Held::values)
    }
}

/// Limits a scenario or a step to targets of which something holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Reading { id: String, any_of: Vec<String> },
    Number { fact: String, at_least: Option<u64>, at_most: Option<u64> },
    Truth { fact: String, is: bool },
}

/// Whether a condition holds, and if not, why in words for a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Holding {
    Yes,
    No(String),
    /// And the requirements that stood in the way of knowing.
    Unknown(String, Vec<RequirementId>),
}

impl Condition {
    pub fn holds(&self, findings: &Findings) -> Holding {
        match self {
            Condition::Reading { id, any_of } => match findings.readings.get(id) {
                Some(Held::Found { values } | Held::Pinned { values }) => {
                    if values.iter().any(|value| any_of.contains(value)) {
                        Holding::Yes
                    } else {
                        Holding::No(format!("it is for {id} = {}, this target follows {}", any_of.join(" or "), values.join(" and ")))
                    }
                }
                Some(Held::NotApplicable { why }) => Holding::No(format!("{id} doesn't arise: {why}")),
                Some(Held::Unknown { why, blocked_by }) => {
                    Holding::Unknown(format!("{id} could not be found out: {why}"), blocked_by.clone())
                }
                None => Holding::Unknown(format!("{id} was not probed"), Vec::new()),
            },
            Condition::Number { fact, at_least, at_most } => match findings.facts.get(fact) {
                Some(Fact::Number(number)) => {
                    if at_least.is_some_and(|least| *number < least) {
                        Holding::No(format!("it needs a {fact} of at least {}, this target has {number}", at_least.unwrap_or(0)))
                    } else if at_most.is_some_and(|most| *number > most) {
                        Holding::No(format!("it needs a {fact} of at most {}, this target has {number}", at_most.unwrap_or(0)))
                    } else {
                        Holding::Yes
                    }
                }
                Some(Fact::Above(number)) => match at_most {
                    Some(most) => Holding::No(format!("it needs a {fact} of at most {most}, this target's is above {number}")),
                    None => Holding::Yes,
                },
                Some(Fact::Unknown { why, blocked_by }) => {
                    Holding::Unknown(format!("the {fact} could not be found out: {why}"), blocked_by.clone())
                }
                Some(Fact::Truth(_)) | None => Holding::Unknown(format!("the {fact} is not known"), Vec::new()),
            },
            Condition::Truth { fact, is } => match findings.facts.get(fact) {
                Some(Fact::Truth(truth)) if truth == is => Holding::Yes,
                Some(Fact::Truth(truth)) => Holding::No(format!("{fact} is {truth}")),
                _ => Holding::Unknown(format!("{fact} is not known"), Vec::new()),
            },
        }
    }
}

/// The first condition that doesn't hold decides.
pub fn all_hold(conditions: &[Condition], findings: &Findings) -> Holding {
    conditions.iter().map(|condition| condition.holds(findings)).find(|holding| *holding != Holding::Yes).unwrap_or(Holding::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_above_the_search_is_enough_for_any_number_of_members_but_is_no_limit() {
        let findings = Findings { facts: [("capacity".to_owned(), Fact::Above(64))].into(), ..Findings::default() };
        let needs = |at_least, at_most| Condition::Number { fact: "capacity".into(), at_least, at_most }.holds(&findings);
        assert_eq!(needs(Some(5), None), Holding::Yes);
        assert!(matches!(needs(None, Some(64)), Holding::No(_)));
    }

    #[test]
    fn a_reading_that_nobody_found_out_is_unknown_and_not_a_no() {
        let condition = Condition::Reading { id: "R-X".into(), any_of: vec!["a".into()] };
        assert!(matches!(condition.holds(&Findings::default()), Holding::Unknown(..)));
    }
}
