//! Annotations for GitHub: workflow commands that point at the lines of what failed.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::cases::{Case, Cases, State};
use crate::event::Log;
use crate::requirement::{Level, RequirementId};
use crate::scenario::pattern::shorten;

/// GitHub shows so many errors of a step, and so many warnings.
const SHOWN: usize = 10;

/// The commands, a line each: errors, then warnings, then the verdict on the whole.
pub fn annotations(log: &Log) -> String {
    let cases = Cases::of(log);
    let mut text = String::new();
    for (command, what, states) in
        [("error", "failures", &[State::Error, State::Failed][..]), ("warning", "warnings", &[State::Warned][..])]
    {
        let chosen = important_first(cases.cases.iter().filter(|case| states.contains(&case.state)).collect());
        let shown = if chosen.len() > SHOWN { SHOWN - 1 } else { chosen.len() };
        for case in &chosen[..shown] {
            let _ = writeln!(text, "::{command} {}::{}", properties(case), data(&message(case)));
        }
        let rest = &chosen[shown..];
        if !rest.is_empty() {
            let names: Vec<&str> = rest.iter().map(|case| case.id.as_str()).collect();
            let said = format!("{} more {what}: {}", rest.len(), shorten(&names.join(", ")));
            let _ = writeln!(text, "::{command} title={}::{}", property(&format!("{} more {what}", rest.len())), data(&said));
        }
    }
    let title = format!("chatspec {}", cases.kind.word());
    let _ = writeln!(text, "::notice title={}::{}", property(&title), data(&format!("{}: {}", cases.word, cases.sentence)));
    text
}

/// From this line on GitHub takes no commands, whatever stands in the lines: they may hold what a server sent.
pub fn stop(token: &str) -> String {
    format!("::stop-commands::{token}\n")
}

/// From this line on GitHub takes commands again.
pub fn resume(token: &str) -> String {
    format!("::{token}::\n")
}

/// What went wrong with the run or with chatspec, then by level; of each requirement its first case before the second of any.
fn important_first(mut cases: Vec<&Case>) -> Vec<&Case> {
    let mut seen: HashMap<&RequirementId, usize> = HashMap::new();
    let mut ranks: HashMap<*const Case, (bool, usize, Option<Level>)> = HashMap::new();
    for case in &cases {
        let nth = case.broken.as_ref().map_or(0, |(id, _)| {
            let nth = seen.entry(id).or_default();
            *nth += 1;
            *nth - 1
        });
        let rank = (case.state != State::Error, nth, case.broken.as_ref().map(|(_, level)| *level));
        ranks.insert(std::ptr::from_ref(*case), rank);
    }
    cases.sort_by_key(|case| ranks.get(&std::ptr::from_ref(*case)).copied());
    cases
}

fn properties(case: &Case) -> String {
    let title = match &case.broken {
        Some((id, level)) => format!("{id} ({level}): {}", case.name()),
        None => format!("{}: {}", case.area, case.name()),
    };
    let mut properties = Vec::new();
    if let Some(place) = case.step.as_ref().or(case.place.as_ref()) {
        properties.push(format!("file={},line={},col={}", property(&place.file), place.line, place.column));
    }
    properties.push(format!("title={}", property(&shorten(&title))));
    properties.join(",")
}

fn message(case: &Case) -> String {
    let mut lines = vec![case.why.clone()];
    for (name, value) in [("expected", &case.expected), ("actual", &case.actual)] {
        if !value.is_empty() {
            lines.push(format!("{name}: {}", shorten(value)));
        }
    }
    lines.extend(case.notes.iter().cloned());
    lines.extend(case.details.lines().filter(|line| line.starts_with("again: ")).map(str::to_owned));
    lines.join("\n")
}

/// A command's data, as GitHub wants it escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
