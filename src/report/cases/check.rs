//! The cases of a run of scenarios: each scenario or case of one with all its repetitions, and each wrong entry of the list of known failures.

use std::collections::{BTreeMap, HashMap};

use super::{Case, KNOWN_FAILURES, Place, State};
use crate::event::Log;
use crate::matrix::scenario_of;
use crate::reading::{Fact, Held};
use crate::report::checked::Checked;
use crate::report::conclusion;
use crate::report::failure::{self, Shown};
use crate::report::terminal::{Verbosity, reason};
use crate::report::transcript::{Transcript, printable};
use crate::requirement::{Level, RequirementId};
use crate::scenario::select::Selector;
use crate::verdict::{CountsAs, KnownState, KnownVerdict, Outcome, ScenarioVerdict, counts_as, repeated};

/// The cases, the verdict in a word, and in a sentence.
pub fn cases(log: &Log) -> (Vec<Case>, String, String) {
    let footer = &log.footer;
    let word = conclusion::word(footer.exit_code).to_owned();
    let Some(checked) = Checked::of(log) else {
        return (Vec::new(), word, "the log has no scenarios".to_owned());
    };
    let mut runs: HashMap<&str, Vec<&ScenarioVerdict>> = HashMap::new();
    checked.verdicts.iter().for_each(|verdict| runs.entry(verdict.scenario.as_str()).or_default().push(verdict));
    let excuses: Vec<Excuse<'_>> = footer.known.iter().filter_map(Excuse::new).collect();
    let shown = |scenario: &crate::event::ScenarioShown| {
        let mut case = Case::new(&scenario.area, &scenario.id, &scenario.title, State::Skipped);
        case.place = Place::parse(&scenario.place);
        case
    };
    let mut cases: Vec<Case> = Vec::new();
    for scenario in &checked.suite.scenarios {
        let mut case = shown(scenario);
        match runs.remove(scenario.id.as_str()) {
            Some(runs) => judge(&mut case, &checked, &runs, &excuses),
            None => (case.played, case.why) = (false, "it was not played".to_owned()),
        }
        cases.push(case);
    }
    // What the suite doesn't list can't be dropped: it was played.
    for verdict in &checked.verdicts {
        if let Some(runs) = runs.remove(verdict.scenario.as_str()) {
            let mut case = Case::new("other", &verdict.scenario, "", State::Skipped);
            judge(&mut case, &checked, &runs, &excuses);
            cases.push(case);
        }
    }
    cases.extend(footer.known.iter().filter(|known| known.state.is_wrong()).map(wrong_entry));
    let seconds = footer.at_ms / 1000.0;
    let sentence = format!("{}; {} scenarios in {seconds:.1} s", conclusion::counts(footer), checked.verdicts.len());
    (cases, word, sentence)
}

/// What was found out about the target, each with its name: readings and facts.
pub fn found(readings: &BTreeMap<String, Held>, facts: &BTreeMap<String, Fact>) -> Vec<(String, String)> {
    let reading = |(id, held): (&String, &Held)| {
        let value = match held {
            Held::Found { values } => values.join(", "),
            Held::Pinned { values } => format!("{} (given)", values.join(", ")),
            Held::Unknown { .. } => "not found out".to_owned(),
            Held::NotApplicable { .. } => return None,
        };
        Some((format!("reading.{}", printable(id)), value))
    };
    let fact = |(id, fact): (&String, &Fact)| {
        let value = match fact {
            Fact::Number(number) => number.to_string(),
            Fact::Above(number) => format!("{number} or more"),
            Fact::Truth(truth) => truth.to_string(),
            Fact::Unknown { .. } => "not found out".to_owned(),
        };
        (format!("fact.{}", printable(id)), value)
    };
    readings.iter().filter_map(reading).chain(facts.iter().map(fact)).collect()
}

/// An entry of the list of known failures that excuses what it speaks of.
struct Excuse<'a> {
    known: &'a KnownVerdict,
    selector: Selector,
}

impl<'a> Excuse<'a> {
    fn new(known: &'a KnownVerdict) -> Option<Self> {
        let excuses = !matches!(known.state, KnownState::Expired | KnownState::Unmatched);
        let selector = Selector::new(&known.what).ok()?;
        excuses.then_some(Self { known, selector })
    }

    fn covers(&self, scenario: &str, requirement: &RequirementId) -> bool {
        [requirement.as_str(), scenario, scenario_of(scenario)].iter().any(|name| self.selector.fits(name))
    }
}

/// Says what came of all repetitions of one scenario.
fn judge<'a>(case: &mut Case, checked: &Checked<'a>, runs: &[&'a ScenarioVerdict], excuses: &[Excuse<'_>]) {
    let outcome = repeated(runs.iter().map(|run| (*run, run.outcome)));
    case.took_ms = runs.iter().map(|run| run.duration_ms).sum();
    let telling = runs.iter().find(|run| run.failure.is_some() || run.why.is_some()).or(runs.first()).copied();
    let Some(telling) = telling else {
        return;
    };
    case.notes = telling.notes.iter().map(|note| printable(note)).collect();
    match outcome {
        Outcome::Pass => case.state = State::Passed,
        Outcome::Skipped => {
            case.state = State::Skipped;
            case.why = printable(telling.why.as_deref().unwrap_or("it doesn't apply to this target"));
        }
        Outcome::CouldNotTest => {
            case.state = State::Untested;
            case.why = format!("could not be tested: {}", untested(telling));
        }
        Outcome::Error => case.state = State::Error,
        Outcome::Fail | Outcome::Flaky => {
            let reason = broken(case, checked, runs, excuses);
            case.why = [reason.unwrap_or_default(), wrong(outcome, runs, telling)]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": ");
        }
    }
    if outcome == Outcome::Error {
        case.why = wrong(outcome, runs, telling);
    }
    if let Some(failure) = &telling.failure {
        case.step = Place::parse(&failure.step.place);
        (case.expected, case.actual) = (printable(&failure.expected), printable(&failure.actual));
        case.details = details(checked, telling);
    }
}

/// Why it could not be tested, with what stood in its way.
fn untested(verdict: &ScenarioVerdict) -> String {
    let (why, blocked) = (reason(verdict), verdict.why.as_deref().unwrap_or_default());
    let text = if why == blocked || blocked.is_empty() { why } else { format!("{why}: {blocked}") };
    printable(&text)
}

/// What went wrong, in a sentence.
fn wrong(outcome: Outcome, runs: &[&ScenarioVerdict], telling: &ScenarioVerdict) -> String {
    let said = telling.failure.as_ref().map(|failure| failure.summary.as_str()).or(telling.why.as_deref()).unwrap_or_default();
    if outcome != Outcome::Flaky {
        return printable(said);
    }
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    runs.iter().for_each(|run| *counts.entry(run.outcome).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} x {}", outcome.word())).collect();
    let said = if said.is_empty() { String::new() } else { format!("; {}", printable(said)) };
    format!("flaky ({}){said}", counts.join(", "))
}

/// What a failure counts as: the worst of what its requirements count as in this run. Of a known one, the reason.
fn broken(case: &mut Case, checked: &Checked<'_>, runs: &[&ScenarioVerdict], excuses: &[Excuse<'_>]) -> Option<String> {
    let mut ids: Vec<&RequirementId> = runs.iter().flat_map(|run| run.requirements.keys()).collect();
    ids.sort();
    ids.dedup();
    let mut state = State::Noted;
    let mut reason = None;
    let mut about: Vec<(Level, RequirementId, String)> = Vec::new();
    for id in ids {
        let outcome = repeated(runs.iter().filter_map(|run| Some((*run, *run.requirements.get(id)?))));
        if !matches!(outcome, Outcome::Fail | Outcome::Flaky) {
            continue;
        }
        let level = checked.suite.level(id);
        let excuse = excuses.iter().find(|excuse| excuse.covers(&runs[0].scenario, id));
        let (counts, said) = match excuse {
            Some(Excuse { known, .. }) => {
                (State::Known, format!("a known failure ({}): {}", printable(&known.what), printable(&known.reason)))
            }
            None => match counts_as(outcome, level, checked.header.strict) {
                CountsAs::Failure => (State::Failed, "it counts as a failure".to_owned()),
                CountsAs::Warning => (State::Warned, "it counts as a warning, unless --strict".to_owned()),
                _ => (State::Noted, "it counts as nothing but worth knowing".to_owned()),
            },
        };
        let rank = |state| [State::Noted, State::Warned, State::Known, State::Failed].iter().position(|known| *known == state);
        if rank(counts) > rank(state) {
            state = counts;
            reason = excuse.map(|excuse| printable(&excuse.known.reason));
        }
        let requirement = checked.suite.requirement(id);
        let (text, place) = requirement.map_or(("", ""), |requirement| (&requirement.text, &requirement.place));
        let place = if place.is_empty() { String::new() } else { format!(" (in the document: {})", printable(place)) };
        about.push((level, id.clone(), format!("{} ({level}) {}{place}; {said}", printable(id.as_str()), printable(text))));
    }
    about.sort();
    case.broken = about.first().map(|(level, id, _)| (id.clone(), *level));
    case.state = state;
    case.notes.splice(0..0, about.into_iter().map(|(_, _, text)| text));
    reason.filter(|_| state == State::Known)
}

fn details<'a>(checked: &Checked<'a>, verdict: &'a ScenarioVerdict) -> String {
    let wire = checked.wire(&verdict.scenario, verdict.run);
    let mut transcript = Transcript::default();
    wire.iter().for_each(|event| transcript.add(event));
    let transcript = (!wire.is_empty()).then_some(&transcript);
    failure::text(&Shown { verdict, transcript, reproduce: &checked.header.reproduce, verbosity: Verbosity::Normal })
}

/// An entry that passes, has expired or means nothing fails the run, whatever the scenarios do.
fn wrong_entry(known: &KnownVerdict) -> Case {
    let mut case = Case::new(KNOWN_FAILURES, &known.what, "The list of known failures is true", State::Failed);
    let what = match known.state {
        KnownState::Passes => "it passes: take the entry out",
        KnownState::Expired => "it was to be mended by now",
        _ => "the suite has nothing of this name",
    };
    let until = known.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
    case.why = printable(&format!("{what} ({}{until})", known.reason));
    case.details = format!("{}\nat {}\n", case.why, printable(&known.place));
    case.place = Place::parse(&known.place);
    case.step.clone_from(&case.place);
    case
}
