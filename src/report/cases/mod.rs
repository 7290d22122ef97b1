//! A run as a list of cases, the way test runners and CI systems see one: what JUnit, TAP and annotations are made from.
//!
//! All texts of a case are fit to be shown: one line each, but for the details, and without anything that acts on a terminal.

mod check;
mod load;
pub mod sensitivity;

use super::transcript::printable;
use crate::event::{Event, Kind, Log};
use crate::requirement::{Level, RequirementId};

pub use check::found;

/// What a case means to a CI system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Passed,
    /// Something isn't as it should be, and doesn't count as a failure in this run.
    Warned,
    /// Something is worth knowing, and never wrong.
    Noted,
    /// A failure that the server's author has listed.
    Known,
    /// It doesn't apply, or wasn't played.
    Skipped,
    /// Something else stood in its way.
    Untested,
    Failed,
    /// Nobody knows: chatspec or the run itself went wrong.
    Error,
}

impl State {
    /// Whether it turns a CI job red.
    pub fn is_red(self) -> bool {
        matches!(self, State::Failed | State::Error)
    }
}

/// A file with a line and a column, both from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// Reads `file:line:column`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let (column, line) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().map(|file| Self { file: printable(file), line, column })
    }
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it belongs to: a scenario's area, `thresholds`, `faults`, …
    pub area: String,
    pub id: String,
    /// May be empty.
    pub title: String,
    pub state: State,
    /// Whether its turn came at all.
    pub played: bool,
    /// The requirement of the highest level that is broken here.
    pub broken: Option<(RequirementId, Level)>,
    /// Where it is written.
    pub place: Option<Place>,
    /// The place of the step that failed.
    pub step: Option<Place>,
    /// What its state comes from, in a sentence; empty where it simply passed.
    pub why: String,
    pub expected: String,
    pub actual: String,
    /// All that helps to see why, in lines.
    pub details: String,
    /// What a reader should know of it besides.
    pub notes: Vec<String>,
    pub took_ms: f64,
}

impl Case {
    fn new(area: &str, id: &str, title: &str, state: State) -> Self {
        Self {
            area: printable(area),
            id: printable(id),
            title: printable(title),
            state,
            played: true,
            broken: None,
            place: None,
            step: None,
            why: String::new(),
            expected: String::new(),
            actual: String::new(),
            details: String::new(),
            notes: Vec::new(),
            took_ms: 0.0,
        }
    }

    /// Its ID, with its title where it has one.
    pub fn name(&self) -> String {
        if self.title.is_empty() { self.id.clone() } else { format!("{}: {}", self.id, self.title) }
    }
}

/// The area of the case that stands for the run as a whole.
pub const RUN: &str = "chatspec";

/// The area of the cases that stand for entries of the list of known failures.
pub const KNOWN_FAILURES: &str = "known-failures";

/// All cases of a run. A case is red exactly where the run's exit code isn't 0.
#[derive(Clone, Debug)]
pub struct Cases {
    pub kind: Kind,
    pub cases: Vec<Case>,
    /// The verdict on the whole, in one word and in a sentence.
    pub word: String,
    pub sentence: String,
    /// Why the run came to no proper end.
    pub broken_off: Option<String>,
    /// What the run was of: name and value.
    pub properties: Vec<(String, String)>,
    /// RFC 3339, UTC.
    pub started: String,
    pub took_ms: f64,
}

impl Cases {
    /// The cases of a log of any kind; of one that tells of nothing, only that it doesn't.
    pub fn of(log: &Log) -> Self {
        let kind = log.kind().unwrap_or(Kind::Check);
        let (mut cases, word, sentence) = match kind {
            Kind::Check | Kind::Explore => check::cases(log),
            Kind::Load => load::cases(log),
            Kind::Sensitivity => sensitivity::cases(log),
        };
        let header = &log.header;
        let broken_off =
            log.footer.interrupted.then(|| "the run was interrupted; what came of it until then is all that there is".to_owned());
        let code = log.footer.exit_code;
        if code == 130 || (code != 0 && !cases.iter().any(|case| case.state.is_red())) {
            let mut run = Case::new(RUN, "verdict", "The run comes to a verdict", State::Error);
            let notes: Vec<String> = log.footer.notes.iter().map(|note| printable(note)).collect();
            let reasons = broken_off.iter().cloned().chain(notes).collect::<Vec<_>>().join("; ");
            run.why = if reasons.is_empty() { format!("{word}: {sentence}") } else { format!("{word}: {reasons}") };
            run.details = format!("exit code {code}\n");
            run.took_ms = log.footer.at_ms;
            cases.push(run);
        }
        let mut properties = vec![("chatspec".to_owned(), header.version.clone()), ("command".to_owned(), header.command.clone())];
        properties.extend([("http", &header.target.http), ("ws", &header.target.ws)].map(|(name, value)| (name.to_owned(), value.clone())));
        properties.extend([("protocol".to_owned(), header.protocol.clone()), ("suite".to_owned(), header.suite.clone())]);
        properties.extend([("seed".to_owned(), header.seed.to_string()), ("strict".to_owned(), header.strict.to_string())]);
        properties.push(("exit-code".to_owned(), code.to_string()));
        let found = log.events.iter().find_map(|event| match event {
            Event::Readings { readings, facts, .. } => Some(found(readings, facts)),
            _ => None,
        });
        properties.extend(found.unwrap_or_default());
        properties.retain(|(_, value)| !value.is_empty());
        properties.iter_mut().for_each(|(_, value)| *value = printable(value));
        let started = printable(&header.started);
        Self { kind, cases, word, sentence, broken_off, properties, started, took_ms: log.footer.at_ms }
    }

    pub fn count(&self, state: State) -> usize {
        self.cases.iter().filter(|case| case.state == state).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_may_have_colons_in_its_files_name() {
        let place = |file: &str, line, column| Some(Place { file: file.into(), line, column });
        assert_eq!(Place::parse("scenarios/ws/msg.yaml:18:5"), place("scenarios/ws/msg.yaml", 18, 5));
        assert_eq!(Place::parse("C:/mine/msg.yaml:1:2"), place("C:/mine/msg.yaml", 1, 2));
        assert_eq!(Place::parse("msg.yaml"), None);
        assert_eq!(Place::parse(""), None);
    }
}
