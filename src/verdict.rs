//! What a run concludes: outcomes of scenarios and requirements, what they count as, and why something failed.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::known::KnownFailures;
use crate::matcher::Difference;
use crate::requirement::{Level, Registry, RequirementId};

/// What came of a scenario or a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    /// It does not apply to this target.
    Skipped,
    /// Something else stood in its way.
    CouldNotTest,
    /// Repetitions differ.
    Flaky,
    Fail,
    /// A fault of chatspec itself.
    Error,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Skipped => "skipped",
            Outcome::CouldNotTest => "could-not-test",
            Outcome::Flaky => "flaky",
            Outcome::Fail => "fail",
            Outcome::Error => "error",
        }
    }
}

/// What an outcome counts as in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CountsAs {
    Failure,
    Warning,
    /// A failure that the server's author has listed.
    Known,
    Note,
    /// Nothing is known, where it had to be known.
    Inconclusive,
    Nothing,
}

/// What an outcome counts as for a requirement of this level.
pub fn counts_as(outcome: Outcome, level: Level, strict: bool) -> CountsAs {
    let binding = level == Level::Must || (strict && level != Level::Info);
    match outcome {
        Outcome::Pass | Outcome::Skipped => CountsAs::Nothing,
        Outcome::Error => CountsAs::Failure,
        Outcome::Fail | Outcome::Flaky => match level {
            _ if binding => CountsAs::Failure,
            Level::Info => CountsAs::Note,
            _ => CountsAs::Warning,
        },
        Outcome::CouldNotTest if binding => CountsAs::Inconclusive,
        Outcome::CouldNotTest => CountsAs::Note,
    }
}

/// Of a requirement that several steps prove: any fail is fail; else any could-not-test is could-not-test; all skipped
/// is skipped; else pass.
pub fn together(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let mut all_skipped = true;
    let mut worst = Outcome::Pass;
    for outcome in outcomes {
        if outcome != Outcome::Skipped {
            all_skipped = false;
            worst = worst.max(outcome);
        }
    }
    if all_skipped { Outcome::Skipped } else { worst }
}

/// The outcome of repetitions: the same each time, or flaky. Where some weren't played, a pass isn't known to be one.
pub fn repeated<'a>(runs: impl Iterator<Item = (&'a ScenarioVerdict, Outcome)>) -> Outcome {
    let (mut played, mut unplayed) = (Vec::new(), false);
    for (verdict, outcome) in runs {
        if verdict.unplayed {
            unplayed = true;
        } else {
            played.push(outcome);
        }
    }
    match same_each_time(&played) {
        Outcome::Pass | Outcome::Skipped if unplayed => Outcome::CouldNotTest,
        outcome => outcome,
    }
}

fn same_each_time(outcomes: &[Outcome]) -> Outcome {
    match outcomes {
        [] => Outcome::Skipped,
        [first, rest @ ..] if rest.iter().all(|outcome| outcome == first) => *first,
        _ if outcomes.contains(&Outcome::Error) => Outcome::Error,
        _ => Outcome::Flaky,
    }
}

/// What became of one scenario, or one case of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioVerdict {
    pub scenario: String,
    /// Which repetition, from 1.
    pub run: u32,
    pub outcome: Outcome,
    /// For each requirement that its steps prove.
    pub requirements: IndexMap<RequirementId, Outcome>,
    /// Why it was skipped or could not be tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The requirements that stood in its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<RequirementId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What a reader should know of a verdict that stands, such as evidence that is a quiet time only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The run ended before its turn came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unplayed: bool,
    pub duration_ms: f64,
}

/// Why a step failed, and everything that helps to see why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What the step proves or needs.
    pub requirements: Vec<RequirementId>,
    pub step: StepPlace,
    pub at_ms: f64,
    /// One sentence: who expected what, and what happened.
    pub summary: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actual: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// What came instead, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<NearMiss>,
    /// What came in the grace period after the deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<NearMiss>,
    /// How connections ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<String>,
    /// The last lines that the server wrote while the scenario was played, where chatspec started it by a command. Other scenarios may
    /// have been played at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_output: Vec<String>,
}

/// Where a step stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepPlace {
    /// `file:line:column`.
    pub place: String,
    /// The step's lines.
    pub excerpt: String,
    /// The `use` steps that led to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
}

/// Something that was observed and isn't what was expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NearMiss {
    pub at_ms: f64,
    pub actor: String,
    pub what: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// The exit codes, the same in every mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    Conforms,
    Violated,
    Wrong,
    Inconclusive,
    Internal,
    Interrupted,
}

impl Conclusion {
    pub fn exit_code(self) -> u8 {
        match self {
            Conclusion::Conforms => 0,
            Conclusion::Violated => 1,
            Conclusion::Wrong => 2,
            Conclusion::Inconclusive => 3,
            Conclusion::Internal => 4,
            Conclusion::Interrupted => 130,
        }
    }
}

/// What a whole run says.
#[derive(Clone, Debug)]
pub struct Verdicts {
    pub requirements: BTreeMap<RequirementId, Outcome>,
    pub counts: BTreeMap<RequirementId, CountsAs>,
    pub scenarios: BTreeMap<String, Outcome>,
    pub known: Vec<KnownVerdict>,
    /// What each scenario says of each requirement that it proves.
    pub proofs: Vec<(String, RequirementId, Outcome)>,
    pub conclusion: Conclusion,
}

/// What became of an entry of the list of known failures.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KnownVerdict {
    pub what: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// `file:line:column`.
    pub place: String,
    pub state: KnownState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownState {
    /// It fails, as expected.
    Fails,
    /// It passes, and the entry has to go.
    Passes,
    /// Its last day is over.
    Expired,
    /// The suite has nothing of that name.
    Unmatched,
    /// It was not played, or doesn't apply to this target.
    NotPlayed,
}

impl KnownState {
    pub fn is_wrong(self) -> bool {
        matches!(self, KnownState::Passes | KnownState::Expired | KnownState::Unmatched)
    }
}

/// What the scenarios' verdicts are held against.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    pub registry: &'a Registry,
    pub strict: bool,
    pub known: &'a KnownFailures,
}

/// What a scenario says of a requirement.
struct Proof<'a> {
    scenario: &'a str,
    requirement: &'a RequirementId,
    outcome: Outcome,
    blocked_by: &'a [RequirementId],
}

fn is_bad(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Flaky | Outcome::CouldNotTest)
}

/// Draws the conclusion from the scenarios' verdicts.
pub fn conclude(verdicts: &[ScenarioVerdict], standard: &Standard<'_>, interrupted: bool) -> Verdicts {
    let mut by_scenario: BTreeMap<&str, Vec<&ScenarioVerdict>> = BTreeMap::new();
    for verdict in verdicts {
        by_scenario.entry(&verdict.scenario).or_default().push(verdict);
    }
    let mut scenarios = BTreeMap::new();
    let mut proofs: Vec<Proof<'_>> = Vec::new();
    for (id, runs) in &by_scenario {
        scenarios.insert((*id).to_owned(), repeated(runs.iter().map(|verdict| (*verdict, verdict.outcome))));
        let Some(first) = runs.first() else {
            continue;
        };
        for requirement in first.requirements.keys() {
            let outcomes = runs.iter().filter_map(|verdict| Some((*verdict, *verdict.requirements.get(requirement)?)));
            proofs.push(Proof { scenario: id, requirement, outcome: repeated(outcomes), blocked_by: &first.blocked_by });
        }
    }
    let requirements = by_requirement(proofs.iter());
    let counts = counted(&proofs, &requirements, standard);
    let known = known(&proofs, standard);
    let any = |what: CountsAs| counts.values().any(|counts| *counts == what);
    let conclusion = if interrupted {
        Conclusion::Interrupted
    } else if scenarios.values().any(|outcome| *outcome == Outcome::Error) {
        Conclusion::Internal
    } else if any(CountsAs::Failure) || known.iter().any(|known| known.state.is_wrong()) {
        Conclusion::Violated
    } else if any(CountsAs::Inconclusive)
        || requirements.is_empty()
        || requirements.values().all(|outcome| *outcome == Outcome::CouldNotTest)
    {
        Conclusion::Inconclusive
    } else {
        Conclusion::Conforms
    };
    let proofs = proofs.iter().map(|proof| (proof.scenario.to_owned(), proof.requirement.clone(), proof.outcome)).collect();
    Verdicts { requirements, counts, scenarios, known, proofs, conclusion }
}

fn by_requirement<'a>(proofs: impl Iterator<Item = &'a Proof<'a>>) -> BTreeMap<RequirementId, Outcome> {
    let mut outcomes: BTreeMap<RequirementId, Vec<Outcome>> = BTreeMap::new();
    for proof in proofs {
        outcomes.entry(proof.requirement.clone()).or_default().push(proof.outcome);
    }
    outcomes.into_iter().map(|(id, outcomes)| (id, together(outcomes))).collect()
}

/// What each requirement counts as. What is listed as known is left out, and so is what could not be tested because of
/// it; where nothing else is wrong with a requirement, it counts as known.
fn counted(
    proofs: &[Proof<'_>],
    requirements: &BTreeMap<RequirementId, Outcome>,
    standard: &Standard<'_>,
) -> BTreeMap<RequirementId, CountsAs> {
    let listed = |proof: &Proof<'_>| is_bad(proof.outcome) && standard.known.excuse(proof.scenario, proof.requirement);
    let known: BTreeSet<&RequirementId> = {
        let rest = by_requirement(proofs.iter().filter(|proof| !listed(proof)));
        let is_fine = |id: &RequirementId| !matches!(rest.get(id), Some(Outcome::Fail | Outcome::Flaky));
        requirements
            .iter()
            .filter(|(id, outcome)| matches!(outcome, Outcome::Fail | Outcome::Flaky) && is_fine(id))
            .map(|(id, _)| id)
            .collect()
    };
    let follows = |proof: &Proof<'_>| {
        proof.outcome == Outcome::CouldNotTest && !proof.blocked_by.is_empty() && proof.blocked_by.iter().all(|id| known.contains(id))
    };
    let rest = by_requirement(proofs.iter().filter(|proof| !listed(proof) && !follows(proof)));
    let counts = |(id, outcome): (&RequirementId, &Outcome)| {
        let rest = rest.get(id).copied().unwrap_or(Outcome::Skipped);
        let level = standard.registry.level(id);
        let counts = if is_bad(*outcome) && !is_bad(rest) { CountsAs::Known } else { counts_as(rest, level, standard.strict) };
        (id.clone(), counts)
    };
    requirements.iter().map(counts).collect()
}

fn known(proofs: &[Proof<'_>], standard: &Standard<'_>) -> Vec<KnownVerdict> {
    let state = |known: &crate::known::Known| {
        let outcomes: Vec<Outcome> =
            proofs.iter().filter(|proof| known.covers(proof.scenario, proof.requirement)).map(|proof| proof.outcome).collect();
        if !known.matched {
            KnownState::Unmatched
        } else if known.is_expired(&standard.known.today) {
            KnownState::Expired
        } else {
            match together(outcomes) {
                Outcome::Pass => KnownState::Passes,
                Outcome::Skipped | Outcome::CouldNotTest | Outcome::Error => KnownState::NotPlayed,
                Outcome::Fail | Outcome::Flaky => KnownState::Fails,
            }
        }
    };
    let entries = standard.known.entries.iter();
    let verdict = |known: &crate::known::Known| KnownVerdict {
        what: known.what.clone(),
        reason: known.reason.clone(),
        link: known.link.clone(),
        until: known.until.clone(),
        place: known.span.to_string(),
        state: state(known),
    };
    entries.map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{CouldNotTest, Error, Fail, Flaky, Pass, Skipped};

    #[test]
    fn several_proofs_of_one_requirement_are_as_good_as_the_worst_and_a_skipped_one_says_nothing() {
        for (outcomes, expected) in [
            (vec![Pass, Pass], Pass),
            (vec![Pass, Skipped], Pass),
            (vec![Skipped, Skipped], Skipped),
            (vec![Pass, CouldNotTest, Skipped], CouldNotTest),
            (vec![CouldNotTest, Fail, Pass], Fail),
            (vec![], Skipped),
        ] {
            assert_eq!(together(outcomes.clone()), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn repetitions_that_differ_are_flaky_and_never_a_pass() {
        assert_eq!(same_each_time(&[Pass, Pass]), Pass);
        assert_eq!(same_each_time(&[Pass, Fail]), Flaky);
        assert_eq!(same_each_time(&[Pass, CouldNotTest]), Flaky);
        assert_eq!(same_each_time(&[Pass, Error]), Error);
    }

    #[test]
    fn a_repetition_that_was_not_played_makes_nothing_flaky_and_nothing_a_pass() {
        let run = |outcome, unplayed| ScenarioVerdict { unplayed, ..verdict("s", "A", outcome) };
        let of = |runs: &[ScenarioVerdict]| repeated(runs.iter().map(|run| (run, run.outcome)));
        assert_eq!(of(&[run(Pass, false), run(CouldNotTest, true)]), CouldNotTest);
        assert_eq!(of(&[run(Fail, false), run(CouldNotTest, true)]), Fail);
        assert_eq!(of(&[run(CouldNotTest, true)]), CouldNotTest);
    }

    fn verdict(scenario: &str, requirement: &str, outcome: Outcome) -> ScenarioVerdict {
        ScenarioVerdict {
            scenario: scenario.into(),
            run: 1,
            outcome,
            requirements: [(RequirementId::new(requirement), outcome)].into_iter().collect(),
            why: None,
            blocked_by: Vec::new(),
            failure: None,
            notes: Vec::new(),
            unplayed: false,
            duration_ms: 0.0,
        }
    }

    #[test]
    fn the_level_and_strictness_decide_what_a_failure_counts_as() {
        assert_eq!(counts_as(Fail, Level::Must, false), CountsAs::Failure);
        assert_eq!(counts_as(Fail, Level::Should, false), CountsAs::Warning);
        assert_eq!(counts_as(Fail, Level::Robust, true), CountsAs::Failure);
        assert_eq!(counts_as(Fail, Level::Info, true), CountsAs::Note);
        assert_eq!(counts_as(CouldNotTest, Level::Must, false), CountsAs::Inconclusive);
        assert_eq!(counts_as(Flaky, Level::Must, false), CountsAs::Failure);
    }

    fn conclusion(outcomes: &[(&str, Level, Outcome)], strict: bool) -> u8 {
        let mut registry = Registry::default();
        let mut verdicts = Vec::new();
        for (id, level, outcome) in outcomes {
            let id = RequirementId::new(id);
            let requirement = crate::requirement::Requirement {
                id: id.clone(),
                level: *level,
                text: String::new(),
                place: String::new(),
                readings: Vec::new(),
            };
            registry.requirements.insert(id.clone(), requirement);
            verdicts.push(verdict(&format!("s.{id}"), id.as_str(), *outcome));
        }
        let standard = Standard { registry: &registry, strict, known: &KnownFailures::default() };
        conclude(&verdicts, &standard, false).conclusion.exit_code()
    }

    #[test]
    fn the_exit_code_follows_from_the_requirements() {
        let (must, should) = (Level::Must, Level::Should);
        assert_eq!(conclusion(&[("A", must, Pass), ("B", should, Fail)], false), 0);
        assert_eq!(conclusion(&[("A", must, Pass), ("B", should, Fail)], true), 1);
        assert_eq!(conclusion(&[("A", must, CouldNotTest), ("B", must, Pass)], false), 3);
        assert_eq!(conclusion(&[("A", must, CouldNotTest), ("B", must, Fail)], false), 1);
        assert_eq!(conclusion(&[("A", must, Error)], false), 4);
        assert_eq!(conclusion(&[], false), 3);
    }
}
