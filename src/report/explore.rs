//! What a run that explores has learnt, on a terminal.

use std::collections::HashMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::explored::{Exploration, Violation};
use super::terminal::Verbosity;
use super::transcript::{Transcript, printable};
use crate::event::{Counterexample, Event, Explored, Footer, Header};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// Collects the events of a run and renders them at its end.
#[derive(Debug)]
pub struct ExploreReport {
    verbosity: Verbosity,
    run: Exploration,
    transcripts: HashMap<String, Transcript>,
}

impl ExploreReport {
    pub fn new(verbosity: Verbosity) -> Self {
        Self { verbosity, run: Exploration::default(), transcripts: HashMap::new() }
    }

    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
        match event {
            Event::Exchange(exchange) => self.transcripts.entry(exchange.scenario.clone()).or_default().add(event),
            Event::Frame(frame) => self.transcripts.entry(frame.scenario.clone()).or_default().add(event),
            _ => {}
        }
    }

    /// Renders the report.
    ///
    /// # Errors
    /// A writer that takes no more.
    pub fn finish(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(header), Some(footer)) = (&self.run.header, &self.run.footer) else {
            return Ok(());
        };
        if self.verbosity != Verbosity::Quiet {
            self.target(out, header)?;
        }
        for violation in self.run.violations() {
            self.violation(out, header, &violation)?;
        }
        if self.verbosity != Verbosity::Quiet && self.run.traces > 0 {
            self.coverage(out)?;
        }
        self.conclusion(out, header, footer)
    }

    fn target(&self, out: &mut dyn Write, header: &Header) -> io::Result<()> {
        writeln!(out, "{BOLD}{}{BOLD:#} and {BOLD}{}{BOLD:#}", printable(&header.target.http), printable(&header.target.ws))?;
        for note in &header.target.notes {
            writeln!(out, "  {DIM}{}{DIM:#}", printable(note))?;
        }
        let (held, open) = (self.run.held(), self.run.open());
        if !held.is_empty() {
            writeln!(out, "  {DIM}held to: {}{DIM:#}", printable(&held.join("; ")))?;
        }
        if !open.is_empty() {
            writeln!(out, "  {DIM}open, so that the model allows every reading: {}{DIM:#}", printable(&open.join(" ")))?;
        }
        Ok(())
    }

    fn violation(&self, out: &mut dyn Write, header: &Header, violation: &Violation<'_>) -> io::Result<()> {
        let Violation { id, requirement, traces, smallest } = violation;
        let count = if traces.len() == 1 { "1 trace".to_owned() } else { format!("{} traces", traces.len()) };
        writeln!(out, "\n{RED}✗{RED:#} {BOLD}{id}{BOLD:#} {DIM}{} · in {count}{DIM:#}", self.run.suite.level(id))?;
        if let Some(requirement) = requirement {
            writeln!(out, "  {}", printable(&requirement.text))?;
            writeln!(out, "  {DIM}in the document: {}{DIM:#}", printable(&requirement.place))?;
        }
        match smallest {
            Some(shown) => self.counterexample(out, header, shown)?,
            None => self.unshrunk(out, header, traces)?,
        }
        if self.verbosity == Verbosity::Verbose {
            let numbers: Vec<String> = traces.iter().map(|explored| explored.trace.to_string()).collect();
            writeln!(out, "    {DIM}traces: {}{DIM:#}", numbers.join(" "))?;
        }
        Ok(())
    }

    fn counterexample(&self, out: &mut dyn Write, header: &Header, shown: &Counterexample) -> io::Result<()> {
        writeln!(out, "    {RED}{}{RED:#}", printable(&shown.found.summary))?;
        for allowed in &shown.found.allowed {
            writeln!(out, "      allowed  {}", printable(allowed))?;
        }
        writeln!(out, "      came     {}", printable(&shown.found.came))?;
        let from = if shown.tried > 0 { format!(", made of {} in {} tries", shown.actions_before, shown.tried) } else { String::new() };
        let actions = if shown.actions == 1 { "1 action".to_owned() } else { format!("{} actions", shown.actions) };
        writeln!(out, "    the smallest that shows it: {actions}{from}")?;
        for (number, round) in shown.rounds.iter().enumerate() {
            writeln!(out, "      {:>2}. {}", number + 1, printable(round))?;
        }
        if shown.failed == 0 {
            writeln!(out, "    {YELLOW}it was seen once, and in none of {} replays{YELLOW:#}", shown.played)?;
        } else if shown.failed < shown.played {
            writeln!(out, "    {YELLOW}it shows in {} of {} replays{YELLOW:#}", shown.failed, shown.played)?;
        }
        if let Some(transcript) = self.transcripts.get(&shown.scenario).filter(|_| self.verbosity != Verbosity::Quiet) {
            writeln!(out, "    what went over the wire:")?;
            for line in transcript.diagram(self.verbosity == Verbosity::Verbose) {
                writeln!(out, "      {DIM}{line}{DIM:#}")?;
            }
        }
        match (&shown.yaml, &shown.why_none) {
            (Some(_), _) if self.verbosity == Verbosity::Quiet => writeln!(out, "    scenario: {}", printable(&shown.scenario))?,
            (Some(yaml), _) => {
                writeln!(out, "    as a scenario:")?;
                for line in yaml.lines() {
                    writeln!(out, "      {DIM}{}{DIM:#}", printable(line))?;
                }
            }
            (None, why) => {
                writeln!(out, "    {YELLOW}no scenario file: {}{YELLOW:#}", printable(why.as_deref().unwrap_or_default()))?;
            }
        }
        writeln!(out, "    again: {} --trace {}", printable(&header.reproduce), shown.trace)
    }

    /// What the run's end has left as it was found.
    fn unshrunk(&self, out: &mut dyn Write, header: &Header, traces: &[Explored]) -> io::Result<()> {
        let Some((explored, found)) = traces.iter().find_map(|explored| Some((explored, explored.found.as_ref()?))) else {
            return Ok(());
        };
        writeln!(out, "    {RED}{}{RED:#}", printable(&found.summary))?;
        for allowed in &found.allowed {
            writeln!(out, "      allowed  {}", printable(allowed))?;
        }
        writeln!(out, "      came     {}", printable(&found.came))?;
        writeln!(out, "    {YELLOW}it was not made smaller: {}{YELLOW:#}", unshrunk(explored))?;
        writeln!(out, "    again: {} --trace {}", printable(&header.reproduce), explored.trace)
    }

    fn coverage(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{BOLD}States{BOLD:#} {DIM}(in how many of {} traces){DIM:#}", self.run.traces)?;
        let shown: Vec<String> = self.run.states().into_iter().map(|(state, count)| format!("{state} {count}")).collect();
        wrapped(out, "  ", &shown, " · ")?;
        let never: Vec<String> = self.run.unreached().into_iter().map(str::to_owned).collect();
        wrapped(out, "  never: ", &never, " · ")?;
        writeln!(out, "\n{BOLD}Requirements{BOLD:#} {DIM}(how often each decided what was allowed){DIM:#}")?;
        let all = self.run.suite.requirements.iter();
        let shown: Vec<String> =
            all.filter_map(|requirement| Some(format!("{} {}", requirement.id, self.run.exercised.get(&requirement.id)?))).collect();
        wrapped(out, "  ", &shown, "  ")?;
        let never: Vec<String> = self.run.unexercised().into_iter().map(|requirement| requirement.id.to_string()).collect();
        wrapped(out, "  never: ", &never, "  ")?;
        for (why, count) in &self.run.cut {
            let traces = if *count == 1 { "trace" } else { "traces" };
            writeln!(out, "{YELLOW}{count} {traces} could not be played to the end: {}{YELLOW:#}", printable(why))?;
        }
        Ok(())
    }

    fn conclusion(&self, out: &mut dyn Write, header: &Header, footer: &Footer) -> io::Result<()> {
        writeln!(out)?;
        for note in &footer.notes {
            writeln!(out, "{YELLOW}{}{YELLOW:#}", printable(note))?;
        }
        if footer.interrupted {
            writeln!(out, "{YELLOW}The run was interrupted; this is what it had found out by then.{YELLOW:#}")?;
        }
        let (style, word) = match footer.exit_code {
            0 => (GREEN, "NOTHING FOUND".to_owned()),
            1 => (RED, violated(self.run.violations().len())),
            3 => (YELLOW, "INCONCLUSIVE".to_owned()),
            130 => (YELLOW, "INTERRUPTED".to_owned()),
            _ => (RED, "CHATSPEC FAILED".to_owned()),
        };
        let seconds = self.run.seconds();
        let rate = if seconds > 0.0 { format!(", {:.0}/s", self.run.actions as f64 / seconds) } else { String::new() };
        writeln!(
            out,
            "{style}{word}{style:#}: {} actions in {} traces, {seconds:.1} s{rate}; {} requirements exercised; seed {}",
            self.run.actions,
            self.run.traces,
            self.run.exercised.len(),
            header.seed
        )
    }
}

/// What was found, in a few words.
pub fn violated(count: usize) -> String {
    format!("FOUND: {count} {} violated", if count == 1 { "requirement" } else { "requirements" })
}

/// Why a trace that failed is shown as it was found.
pub fn unshrunk(explored: &Explored) -> &'static str {
    let is_others = explored.found.as_ref().is_some_and(|found| found.takes_others);
    if is_others { "it takes another trace at the same time" } else { "the run ended before" }
}

/// Items in lines that fit a terminal.
fn wrapped(out: &mut dyn Write, before: &str, items: &[String], between: &str) -> io::Result<()> {
    const WIDTH: usize = 110;
    let (mut line, mut is_first) = (String::new(), true);
    for item in items {
        let item = printable(item);
        if !line.is_empty() && line.chars().count() + between.chars().count() + item.chars().count() > WIDTH {
            writeln!(out, "{}{line}", if is_first { before } else { "  " })?;
            line.clear();
            is_first = false;
        }
        if !line.is_empty() {
            line.push_str(between);
        }
        line.push_str(&item);
    }
    if line.is_empty() { Ok(()) } else { writeln!(out, "{}{line}", if is_first { before } else { "  " }) }
}
