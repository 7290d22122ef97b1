//! Why a scenario failed, in lines for a person: the step, what was expected and came, what went over the wire, how to play it again.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::terminal::Verbosity;
use super::transcript::{Transcript, printable};
use crate::matcher::Difference;
use crate::verdict::{Failure, NearMiss, ScenarioVerdict};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// How far the lines are indented.
const INDENT: &str = "    ";

/// The most characters of one line where a report must not grow without limit.
const WIDEST: usize = 2_000;

/// A verdict with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub verdict: &'a ScenarioVerdict,
    pub transcript: Option<&'a Transcript>,
    /// The command that plays the run again, without the scenario.
    pub reproduce: &'a str,
    pub verbosity: Verbosity,
}

/// The lines without colours and indentation, none of them longer than a reader could use.
pub fn text(shown: &Shown<'_>) -> String {
    let mut coloured = Vec::new();
    // Memory takes every write.
    let _ = write(&mut coloured, shown);
    let plain = anstream::adapter::strip_str(&String::from_utf8_lossy(&coloured)).to_string();
    plain.lines().map(|line| bounded(line.strip_prefix(INDENT).unwrap_or(line)) + "\n").collect()
}

fn bounded(line: &str) -> String {
    match line.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}… {} characters left out", &line[..at], line[at..].chars().count()),
        None => line.to_owned(),
    }
}

/// Writes the lines, indented and in colours.
///
/// # Errors
/// A writer that takes no more.
pub fn write(out: &mut dyn Write, shown: &Shown<'_>) -> io::Result<()> {
    let Shown { verdict, transcript, reproduce, verbosity } = *shown;
    let Some(failure) = &verdict.failure else {
        return writeln!(out, "{INDENT}{}", printable(verdict.why.as_deref().unwrap_or_default()));
    };
    step(out, failure)?;
    writeln!(out, "    {RED}{}{RED:#}", printable(&failure.summary))?;
    if !failure.expected.is_empty() {
        writeln!(out, "      expected  {}", printable(&failure.expected))?;
    }
    if !failure.actual.is_empty() {
        writeln!(out, "      actual    {}", printable(&failure.actual))?;
    }
    // The summary says the one difference that there is.
    let told = |difference: &&Difference| failure.differences.len() == 1 && failure.summary.contains(&difference.expected);
    for difference in failure.differences.iter().filter(|difference| !told(difference)) {
        let place = if difference.path.is_empty() { "value".to_owned() } else { printable(&difference.path) };
        let (expected, actual) = (printable(&difference.expected), printable(&difference.actual));
        writeln!(out, "      {BOLD}{place}{BOLD:#}: expected {GREEN}{expected}{GREEN:#}, got {RED}{actual}{RED:#}")?;
    }
    for hint in &failure.hints {
        writeln!(out, "      {YELLOW}hint{YELLOW:#}: {}", printable(hint))?;
    }
    let start = transcript.map_or(0.0, Transcript::start_ms);
    misses(out, "came instead", &failure.near, start)?;
    misses(out, "came after the deadline", &failure.late, start)?;
    for end in &failure.ends {
        writeln!(out, "      connection ended: {}", printable(end))?;
    }
    for note in &verdict.notes {
        writeln!(out, "      note: {}", printable(note))?;
    }
    if !failure.server_output.is_empty() {
        writeln!(out, "      the server wrote meanwhile:")?;
    }
    for line in &failure.server_output {
        writeln!(out, "        {DIM}|{DIM:#} {}", printable(line))?;
    }
    if let Some(transcript) = transcript {
        writeln!(out, "    what went over the wire:")?;
        lines(out, &transcript.lines(verbosity == Verbosity::Verbose), verbosity)?;
    }
    writeln!(out, "    again: {} --only {}", printable(reproduce), printable(&verdict.scenario))
}

fn step(out: &mut dyn Write, failure: &Failure) -> io::Result<()> {
    writeln!(out, "    at {}", printable(&failure.step.place))?;
    for through in failure.step.through.iter().rev() {
        writeln!(out, "    {DIM}used at {}{DIM:#}", printable(through))?;
    }
    for line in failure.step.excerpt.lines() {
        writeln!(out, "      {DIM}│{DIM:#} {}", printable(line))?;
    }
    Ok(())
}

fn misses(out: &mut dyn Write, title: &str, misses: &[NearMiss], start_ms: f64) -> io::Result<()> {
    for (index, miss) in misses.iter().enumerate() {
        let title = if index == 0 { title } else { "" };
        let (actor, at) = (printable(&miss.actor), (miss.at_ms - start_ms).max(0.0));
        writeln!(out, "      {title:<23} {actor}, at {at:.1} ms: {}", printable(&miss.what))?;
    }
    Ok(())
}

/// A transcript's lines; of a very long one, its ends.
fn lines(out: &mut dyn Write, lines: &[String], verbosity: Verbosity) -> io::Result<()> {
    const START: usize = 12;
    const END: usize = 28;
    let whole = verbosity == Verbosity::Verbose || lines.len() <= START + END + 1;
    let (start, end) = if whole { (lines.len(), lines.len()) } else { (START, lines.len() - END) };
    for line in &lines[..start] {
        writeln!(out, "      {DIM}{line}{DIM:#}")?;
    }
    if !whole {
        writeln!(out, "      {DIM}… {} lines left out; --verbose shows them …{DIM:#}", end - start)?;
        for line in &lines[end..] {
            writeln!(out, "      {DIM}{line}{DIM:#}")?;
        }
    }
    Ok(())
}
