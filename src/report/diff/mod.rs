//! Two runs of the suite side by side: what is fixed, broken, new, gone, changed, slower.

mod pace;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use super::cases::{Case, Cases, State};
use super::checked::Checked;
use super::transcript::printable;
use crate::event::{Kind, Log};
use crate::requirement::Level;
use crate::verdict::{CountsAs, Outcome};

pub use pace::{LEAST_MS, Slower, TIMES};
pub use text::write;

/// What is compared, and what counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only what both logs have.
    pub common: bool,
    pub slower_is_worse: bool,
}

/// Logs that can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(
        "{name} is of `load`: `chatspec compare BASE.jsonl… -- NEW.jsonl…` says whether a load got worse, from several runs of each side"
    )]
    Load { name: String },
    #[error("{name} is of `sensitivity`: `diff` compares runs of `check`")]
    Sensitivity { name: String },
    #[error("{name} is of `explore`, which plays other traces each time: `diff` compares runs of `check`")]
    Explore { name: String },
    #[error("{name} holds no run of scenarios: `diff` compares logs that `chatspec check --json` writes")]
    Nothing { name: String },
    #[error("{name}: the run was interrupted, so what it lacks says nothing: run it to its end")]
    Interrupted { name: String },
    #[error("{before} is of the protocol `{one}` and {now} of `{other}`: they have nothing in common")]
    Protocol { before: String, one: String, now: String, other: String },
    #[error("{before} and {now} were played with different suites: run both with one, or compare what they have in common with --common")]
    Suite { before: String, now: String },
    #[error("{before} and {now} have no scenario in common")]
    NothingInCommon { before: String, now: String },
}

/// What became of something that both runs could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    Broken,
    /// It could be tested before, and can't be now.
    Lost,
    Fixed,
    Changed,
    New,
    Gone,
}

impl Word {
    pub fn text(self) -> &'static str {
        match self {
            Word::Broken => "broken",
            Word::Lost => "no longer tested",
            Word::Fixed => "fixed",
            Word::Changed => "changed",
            Word::New => "new",
            Word::Gone => "gone",
        }
    }

    /// Whether the run now is worse for it.
    pub fn is_worse(self) -> bool {
        matches!(self, Word::Broken | Word::Lost)
    }
}

/// One thing that isn't as it was.
#[derive(Clone, Debug)]
pub struct Change {
    pub word: Word,
    /// The ID of a requirement, a scenario, a reading or a fact.
    pub id: String,
    pub level: Option<Level>,
    /// What it was and is; empty where there is none.
    pub before: String,
    pub now: String,
    /// What it is about, or why it is so now.
    pub about: String,
}

/// The comparison of two runs.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// The runs' names for a reader.
    pub names: [String; 2],
    pub requirements: Vec<Change>,
    pub scenarios: Vec<Change>,
    pub findings: Vec<Change>,
    pub slower: Vec<Slower>,
    /// How much longer scenarios took in the median: 1 where they took as long.
    pub pace: f64,
    /// Scenarios that both have and that came out alike.
    pub alike: usize,
    /// Scenarios that only one run has, where only what both have is compared.
    pub left_out: usize,
    options: Options,
}

impl Diff {
    pub fn is_worse(&self) -> bool {
        let worse = |changes: &[Change]| changes.iter().any(|change| change.word.is_worse());
        worse(&self.requirements) || worse(&self.scenarios) || (self.options.slower_is_worse && !self.slower.is_empty())
    }

    /// Whether something is fixed, and nothing is worse or not there any more.
    pub fn is_better(&self) -> bool {
        let has = |word| self.requirements.iter().chain(&self.scenarios).any(|change| change.word == word);
        !self.is_worse() && has(Word::Fixed) && !has(Word::Gone)
    }
}

/// Compares a run before with a run now, each with its name for a reader.
///
/// # Errors
/// Logs that don't fit together.
pub fn diff(logs: [(&str, &Log); 2], options: Options) -> Result<Diff, Unfit> {
    let [before, now] = logs;
    let (a, b) = (run(before)?, run(now)?);
    let names = || (before.0.to_owned(), now.0.to_owned());
    if a.header.protocol != b.header.protocol {
        let ((before, now), one, other) = (names(), a.header.protocol.clone(), b.header.protocol.clone());
        return Err(Unfit::Protocol { before, one: printable(&one), now, other: printable(&other) });
    }
    if a.header.suite != b.header.suite && !options.common {
        let (before, now) = names();
        return Err(Unfit::Suite { before, now });
    }
    let cases = [Cases::of(before.1), Cases::of(now.1)];
    let [old, new] = cases.each_ref().map(scenarios);
    let both: BTreeSet<&str> = old.keys().copied().filter(|id| new.contains_key(id)).collect();
    if both.is_empty() && !(old.is_empty() && new.is_empty()) {
        let (before, now) = names();
        return Err(Unfit::NothingInCommon { before, now });
    }
    let mut diff = Diff { names: [before.0.to_owned(), now.0.to_owned()], options, ..Diff::default() };
    diff.requirements = requirements(&a, &b, options);
    for id in &both {
        match scenario(old[id], new[id]) {
            Some(change) => diff.scenarios.push(change),
            None => diff.alike += 1,
        }
    }
    let (gone, come) =
        (old.values().filter(|case| !both.contains(case.id.as_str())), new.values().filter(|case| !both.contains(case.id.as_str())));
    if options.common {
        diff.left_out = gone.count() + come.count();
    } else {
        diff.scenarios.extend(gone.map(|case| one_sided(Word::Gone, case)));
        diff.scenarios.extend(come.map(|case| one_sided(Word::New, case)));
    }
    diff.findings = findings(&a, &b);
    (diff.slower, diff.pace) = pace::slower(&a, &b);
    for changes in [&mut diff.requirements, &mut diff.scenarios] {
        changes.sort_by_key(|change| (change.word, change.level));
    }
    Ok(diff)
}

fn run<'a>((name, log): (&str, &'a Log)) -> Result<Checked<'a>, Unfit> {
    let name = name.to_owned();
    match log.kind() {
        Some(Kind::Load) => return Err(Unfit::Load { name }),
        Some(Kind::Sensitivity) => return Err(Unfit::Sensitivity { name }),
        Some(Kind::Explore) => return Err(Unfit::Explore { name }),
        Some(Kind::Check) | None if log.footer.interrupted => return Err(Unfit::Interrupted { name }),
        Some(Kind::Check) | None => {}
    }
    Checked::of(log).ok_or(Unfit::Nothing { name })
}

/// The cases that are scenarios and were played, by ID.
fn scenarios(cases: &Cases) -> BTreeMap<&str, &Case> {
    let is_scenario = |case: &&Case| case.played && case.area != super::cases::RUN && case.area != super::cases::KNOWN_FAILURES;
    cases.cases.iter().filter(is_scenario).map(|case| (case.id.as_str(), case)).collect()
}

/// How bad something is: well, listed or unknown, wrong. What --strict makes of it is no difference between two servers.
fn badness(state: State) -> u8 {
    match state {
        State::Passed | State::Noted | State::Skipped => 0,
        State::Known | State::Untested => 1,
        State::Warned | State::Failed | State::Error => 2,
    }
}

fn scenario(old: &Case, new: &Case) -> Option<Change> {
    let skips = [old.state, new.state].contains(&State::Skipped);
    let word = match (badness(old.state), badness(new.state)) {
        _ if old.state == new.state => return None,
        (0 | 1, 2) => Word::Broken,
        (2, 0) => Word::Fixed,
        (0, 1) if new.state == State::Untested && !skips => Word::Lost,
        // A warning and a failure are alike; a scenario that is skipped is as good as one that passed, and worth a line all the same.
        (0, 0) | (2, 2) if !skips => return None,
        _ => Word::Changed,
    };
    let about = if new.why.is_empty() { new.title.clone() } else { new.why.clone() };
    let level = new.broken.as_ref().or(old.broken.as_ref()).map(|(_, level)| *level);
    Some(Change { word, id: new.id.clone(), level, before: state(old.state).into(), now: state(new.state).into(), about })
}

fn one_sided(word: Word, case: &Case) -> Change {
    let shown = state(case.state).to_owned();
    let (before, now) = if word == Word::Gone { (shown, String::new()) } else { (String::new(), shown) };
    Change { word, id: case.id.clone(), level: None, before, now, about: case.title.clone() }
}

fn state(state: State) -> &'static str {
    match state {
        State::Passed => "passed",
        State::Warned => "warned",
        State::Noted => "noted",
        State::Known => "known to fail",
        State::Skipped => "skipped",
        State::Untested => "not tested",
        State::Failed => "failed",
        State::Error => "chatspec failed",
    }
}

fn requirements(a: &Checked<'_>, b: &Checked<'_>, options: Options) -> Vec<Change> {
    let (old, new) = (&a.footer.requirements, &b.footer.requirements);
    let ids: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for id in ids {
        let suite = if b.suite.requirement(id).is_some() { b.suite } else { a.suite };
        let (outcomes, known) = ((old.get(id), new.get(id)), b.counts(id) == CountsAs::Known);
        let fails = |outcome: Outcome| matches!(outcome, Outcome::Fail | Outcome::Flaky | Outcome::Error);
        let information = suite.level(id) == Level::Info;
        let word = match outcomes {
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) if fails(*old) && fails(*new) => Word::Changed,
            (Some(_), Some(new)) if fails(*new) => {
                if known || information {
                    Word::Changed
                } else {
                    Word::Broken
                }
            }
            (Some(old), Some(Outcome::Pass)) if fails(*old) => {
                if information {
                    Word::Changed
                } else {
                    Word::Fixed
                }
            }
            (Some(Outcome::Pass), Some(Outcome::CouldNotTest)) => {
                if known || information {
                    Word::Changed
                } else {
                    Word::Lost
                }
            }
            (Some(_), Some(_)) => Word::Changed,
            (None, None) => continue,
            (None, Some(_)) | (Some(_), None) if options.common => continue,
            (None, Some(_)) => Word::New,
            (Some(_), None) => Word::Gone,
        };
        let shown = |outcome: Option<&Outcome>| outcome.map(|outcome| outcome.word().to_owned()).unwrap_or_default();
        let about = suite.requirement(id).map(|requirement| printable(&requirement.text)).unwrap_or_default();
        let now = shown(outcomes.1) + if known && outcomes.1.is_some_and(|outcome| fails(*outcome)) { " (known)" } else { "" };
        changes.push(Change { word, id: printable(id.as_str()), level: Some(suite.level(id)), before: shown(outcomes.0), now, about });
    }
    changes
}

/// Readings and facts that aren't what they were.
fn findings(a: &Checked<'_>, b: &Checked<'_>) -> Vec<Change> {
    let found =
        |checked: &Checked<'_>| -> BTreeMap<String, String> { super::cases::found(checked.readings, checked.facts).into_iter().collect() };
    let (old, new) = (found(a), found(b));
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |id: &String| {
        let (before, now) = (old.get(id).cloned().unwrap_or_default(), new.get(id).cloned().unwrap_or_default());
        let word = match (before.is_empty(), now.is_empty()) {
            (true, false) => Word::New,
            (false, true) => Word::Gone,
            _ => Word::Changed,
        };
        let name = id.split_once('.').map_or(id.as_str(), |(_, name)| name);
        let about = b.suite.readings.get(name).or(b.suite.facts.get(name)).map(|text| printable(text)).unwrap_or_default();
        (before != now).then(|| Change { word, id: name.to_owned(), level: None, before: printable(&before), now: printable(&now), about })
    };
    ids.into_iter().filter_map(change).collect()
}
