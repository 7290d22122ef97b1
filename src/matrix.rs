//! What a suite is worth: which scenario catches which deliberate deviation, and what it says of servers that do
//! nothing wrong.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::requirement::RequirementId;
use crate::verdict::Outcome;

/// A server of which it is known what is right and wrong with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    pub name: String,
    /// What it does, in one line.
    pub summary: String,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// It does nothing wrong and nothing odd.
    Plain,
    /// It does nothing wrong.
    Variant,
    /// It violates `requirement`, and whatever can't hold then.
    Fault { requirement: RequirementId, implies: Vec<RequirementId> },
}

/// What the suite said of a subject.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    pub subject: Subject,
    pub judgement: Judgement,
    /// How often it deviated; `None` where it doesn't count that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<u64>,
    /// The requirements that failed, each with the scenarios that failed it.
    pub violated: BTreeMap<RequirementId, Vec<String>>,
    /// The requirements that neither failed nor could be tested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<RequirementId>,
    /// What went wrong with the harness or the server's process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    pub took_ms: f64,
}

/// What a trial says of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// A fault was reported under the requirement that it violates.
    Killed,
    /// A fault showed and was not reported.
    Unnoticed,
    /// A fault was never met.
    Unreached,
    /// A server that does nothing wrong was found to conform.
    Passed,
    /// A server that does nothing wrong was found to do wrong, or could not be tested.
    Accused,
    /// The trial itself went wrong.
    Failed,
}

impl Judgement {
    pub fn is_good(self) -> bool {
        matches!(self, Judgement::Killed | Judgement::Passed)
    }

    pub fn word(self) -> &'static str {
        match self {
            Judgement::Killed => "killed",
            Judgement::Unnoticed => "not noticed",
            Judgement::Unreached => "not reached",
            Judgement::Passed => "passed",
            Judgement::Accused => "accused",
            Judgement::Failed => "failed",
        }
    }
}

/// Judges a run of the suite against a subject. A kill is the outcome fail under the subject's own requirement; an error of
/// the harness, or that nothing could be tested, is none. A server that does nothing wrong must be found to conform.
pub fn judge(subject: &Subject, outcomes: &BTreeMap<RequirementId, Outcome>, conforms: bool, fired: Option<u64>) -> Judgement {
    match &subject.kind {
        Kind::Fault { requirement, .. } if outcomes.get(requirement) == Some(&Outcome::Fail) => Judgement::Killed,
        Kind::Fault { .. } if fired == Some(0) => Judgement::Unreached,
        Kind::Fault { .. } => Judgement::Unnoticed,
        Kind::Plain | Kind::Variant if conforms => Judgement::Passed,
        Kind::Plain | Kind::Variant => Judgement::Accused,
    }
}

impl Trial {
    /// The scenarios that report a fault under its own requirement.
    pub fn killers(&self) -> &[String] {
        match &self.subject.kind {
            Kind::Fault { requirement, .. } => self.violated.get(requirement).map_or(&[], Vec::as_slice),
            Kind::Plain | Kind::Variant => &[],
        }
    }

    /// The requirements that failed although the fault has nothing to do with them.
    pub fn collateral(&self) -> Vec<&RequirementId> {
        match &self.subject.kind {
            Kind::Fault { requirement, implies } => self.violated.keys().filter(|id| *id != requirement && !implies.contains(id)).collect(),
            Kind::Plain | Kind::Variant => self.violated.keys().collect(),
        }
    }

    fn is_fault(&self) -> bool {
        matches!(self.subject.kind, Kind::Fault { .. })
    }
}

/// A scenario with all its cases, and what would be missed without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worth {
    pub scenario: String,
    /// How many faults it reports under their own requirement.
    pub kills: usize,
    /// The faults that no other scenario reports so.
    pub alone: Vec<String>,
    /// Why it stays although other scenarios report all of that too, where its author says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

impl Worth {
    /// Whether nothing would be missed without it, and nobody says why it stays.
    pub fn is_needless(&self) -> bool {
        self.alone.is_empty() && self.stays.is_none()
    }
}

/// The scenario that a case belongs to.
pub fn scenario_of(case: &str) -> &str {
    case.split('/').next().unwrap_or(case)
}

/// What each scenario is worth, given what all trials showed. `scenarios` are all there are, with the reason why each stays.
pub fn worth(trials: &[Trial], scenarios: &BTreeMap<String, Option<String>>) -> Vec<Worth> {
    let mut kills: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alone: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for trial in trials {
        let killers: BTreeSet<&str> = trial.killers().iter().map(|case| scenario_of(case)).collect();
        killers.iter().for_each(|scenario| *kills.entry(scenario).or_default() += 1);
        if let [only] = killers.iter().collect::<Vec<_>>()[..] {
            alone.entry(only).or_default().push(trial.subject.name.clone());
        }
    }
    let of = |(scenario, stays): (&String, &Option<String>)| Worth {
        scenario: scenario.clone(),
        kills: kills.get(scenario.as_str()).copied().unwrap_or_default(),
        alone: alone.remove(scenario.as_str()).unwrap_or_default(),
        stays: stays.clone(),
    };
    scenarios.iter().map(of).collect()
}

/// The figures of a whole matrix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub faults: usize,
    pub killed: usize,
    pub unnoticed: usize,
    pub unreached: usize,
    /// The variants and the plain server.
    pub conforming: usize,
    pub passed: usize,
    /// Trials that went wrong themselves.
    pub failed: usize,
    /// How many unrelated requirements a fault makes fail: the median over all faults, and the most.
    pub median_collateral: usize,
    pub most_collateral: usize,
    /// What each scenario is worth; empty unless all faults were tried with all scenarios.
    pub worth: Vec<Worth>,
}

impl Summary {
    pub fn new(trials: &[Trial], worth: Vec<Worth>) -> Self {
        let count = |judgement| trials.iter().filter(|trial| trial.judgement == judgement).count();
        let mut collateral: Vec<usize> = trials.iter().filter(|trial| trial.is_fault()).map(|trial| trial.collateral().len()).collect();
        collateral.sort_unstable();
        Self {
            faults: collateral.len(),
            killed: count(Judgement::Killed),
            unnoticed: count(Judgement::Unnoticed),
            unreached: count(Judgement::Unreached),
            conforming: trials.len() - collateral.len(),
            passed: count(Judgement::Passed),
            failed: count(Judgement::Failed),
            median_collateral: collateral.get(collateral.len() / 2).copied().unwrap_or_default(),
            most_collateral: collateral.last().copied().unwrap_or_default(),
            worth,
        }
    }

    /// Whether every fault is killed, every other server passes, and no scenario is needless.
    pub fn is_good(&self) -> bool {
        self.killed == self.faults && self.passed == self.conforming && !self.worth.iter().any(Worth::is_needless)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str, requirement: &str) -> Subject {
        let kind = Kind::Fault { requirement: RequirementId::new(requirement), implies: vec![RequirementId::new("FLOW")] };
        Subject { name: name.into(), summary: String::new(), kind }
    }

    fn trial(subject: Subject, violated: &[(&str, &[&str])]) -> Trial {
        let outcomes = violated.iter().map(|(id, _)| (RequirementId::new(id), Outcome::Fail)).collect();
        let judgement = judge(&subject, &outcomes, false, Some(1));
        let violated = violated.iter().map(|(id, cases)| (RequirementId::new(id), cases.iter().map(|case| (*case).into()).collect()));
        Trial { subject, judgement, fired: Some(1), violated: violated.collect(), untested: Vec::new(), troubles: Vec::new(), took_ms: 0.0 }
    }

    #[test]
    fn a_kill_is_a_failure_under_the_requirement_that_is_broken() {
        let outcomes = |outcome| [(RequirementId::new("A"), outcome), (RequirementId::new("B"), Outcome::Fail)].into_iter().collect();
        let subject = fault("f", "A");
        assert_eq!(judge(&subject, &outcomes(Outcome::Fail), false, Some(3)), Judgement::Killed);
        assert_eq!(judge(&subject, &outcomes(Outcome::CouldNotTest), false, Some(3)), Judgement::Unnoticed);
        assert_eq!(judge(&subject, &outcomes(Outcome::Error), false, Some(0)), Judgement::Unreached);
        let plain = Subject { kind: Kind::Plain, ..fault("plain", "A") };
        assert_eq!(judge(&plain, &outcomes(Outcome::Pass), false, None), Judgement::Accused);
    }

    #[test]
    fn a_scenario_is_needed_for_the_faults_that_it_alone_reports() {
        let trials = [
            trial(fault("one", "A"), &[("A", &["x/1", "x/2"]), ("FLOW", &["y"])]),
            trial(fault("two", "A"), &[("A", &["x", "y"]), ("B", &["z"])]),
        ];
        let scenarios = [("x", None), ("y", None), ("z", Some("for its own sake".to_owned()))];
        let worth = worth(&trials, &scenarios.into_iter().map(|(id, stays)| (id.to_owned(), stays)).collect());
        assert_eq!(worth.iter().map(|worth| worth.kills).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(worth[0].alone, ["one"]);
        assert_eq!(worth.iter().map(Worth::is_needless).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(trials[0].collateral(), Vec::<&RequirementId>::new());
        assert_eq!(trials[1].collateral(), [&RequirementId::new("B")]);
    }
}
