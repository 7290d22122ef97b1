//! A comparison of two runs for a terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Change, Diff, LEAST_MS, TIMES, Word};
use crate::report::figures::plural;
use crate::report::transcript::printable;
use crate::scenario::pattern::shorten;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// A run that is so many times as slow as a whole is told of.
const APART: f64 = 1.5;

/// Writes the comparison; quietly, only what is worse.
///
/// # Errors
/// A writer that takes no more.
pub fn write(out: &mut dyn Write, diff: &Diff, quiet: bool) -> io::Result<()> {
    let [before, now] = diff.names.each_ref().map(|name| printable(name));
    if !quiet {
        writeln!(out, "{BOLD}chatspec diff{BOLD:#}  {before}  {now}")?;
    }
    for (title, changes) in [("REQUIREMENTS", &diff.requirements), ("SCENARIOS", &diff.scenarios), ("READINGS AND FACTS", &diff.findings)] {
        let shown: Vec<&Change> = changes.iter().filter(|change| !quiet || change.word.is_worse()).collect();
        if shown.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        let width = shown.iter().map(|change| change.word.text().len()).max().unwrap_or(0);
        for change in shown {
            line(out, change, width)?;
        }
    }
    if !diff.slower.is_empty() && (!quiet || diff.options.slower_is_worse) {
        writeln!(out, "\nSLOWER  {DIM}at least {TIMES} times as long and {LEAST_MS} ms longer, beside what became of the others{DIM:#}")?;
        for slower in &diff.slower {
            writeln!(out, "  {}  {:.0} ms → {YELLOW}{:.0} ms{YELLOW:#}", slower.scenario, slower.before_ms, slower.now_ms)?;
        }
    }
    if !quiet && (diff.pace > APART || (diff.pace > 0.0 && diff.pace < 1.0 / APART)) {
        writeln!(out, "\n{DIM}The scenarios took {:.1} times as long as before, in the median.{DIM:#}", diff.pace)?;
    }
    conclusion(out, diff)
}

fn line(out: &mut dyn Write, change: &Change, width: usize) -> io::Result<()> {
    let style = match change.word {
        Word::Broken => RED,
        Word::Lost => YELLOW,
        Word::Fixed => GREEN,
        Word::Changed | Word::New | Word::Gone => BOLD,
    };
    let level = change.level.map(|level| format!(" ({level})")).unwrap_or_default();
    let became = match (change.before.as_str(), change.now.as_str()) {
        ("", now) => now.to_owned(),
        (before, "") => format!("was {before}"),
        (before, now) => format!("{before} → {now}"),
    };
    let (word, about) = (change.word.text(), shorten(&change.about));
    writeln!(out, "  {style}{word:<width$}{style:#}  {}{level}  {became}  {DIM}{about}{DIM:#}", change.id)
}

fn conclusion(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    let (style, word) = if diff.is_worse() {
        (RED, "WORSE")
    } else if diff.is_better() {
        (GREEN, "BETTER")
    } else {
        (GREEN, "NO WORSE")
    };
    let mut parts = Vec::new();
    for (changes, one, many) in [(&diff.requirements, "requirement", "requirements"), (&diff.scenarios, "scenario", "scenarios")] {
        for word in [Word::Broken, Word::Lost, Word::Fixed, Word::New, Word::Gone] {
            let count = changes.iter().filter(|change| change.word == word).count() as u64;
            if count > 0 {
                parts.push(format!("{} {}", plural(count, one, many), word.text()));
            }
        }
    }
    if !diff.slower.is_empty() {
        parts.push(format!("{} slower", plural(diff.slower.len() as u64, "scenario", "scenarios")));
    }
    parts.push(format!("{} as before", plural(diff.alike as u64, "scenario", "scenarios")));
    if diff.left_out > 0 {
        parts.push(format!("{} left out, which only one run has", diff.left_out));
    }
    writeln!(out, "\n{style}{word}{style:#}: {}", parts.join(", "))
}
