//! What a run that explores has learnt, on a terminal.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::terminal::Verbosity;
use super::transcript::{Transcript, printable};
use crate::event::{Counterexample, Event, Explored, Footer, Header, SuiteShown};
use crate::reading::{Fact, Held};
use crate::requirement::RequirementId;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// Collects the events of a run and renders them at its end.
#[derive(Debug)]
pub struct ExploreReport {
    verbosity: Verbosity,
    header: Option<Header>,
    suite: SuiteShown,
    readings: BTreeMap<String, Held>,
    facts: BTreeMap<String, Fact>,
    /// When the first trace could begin.
    probed_ms: f64,
    traces: u64,
    actions: u64,
    /// In how many traces each state was come to.
    states: BTreeMap<String, u64>,
    exercised: BTreeMap<RequirementId, u64>,
    /// How many traces failed by each requirement.
    failed: BTreeMap<RequirementId, Vec<Explored>>,
    cut: BTreeMap<String, u64>,
    counterexamples: Vec<Counterexample>,
    transcripts: HashMap<String, Transcript>,
    footer: Option<Footer>,
    /// When the last trace ended.
    last_ms: f64,
}

impl ExploreReport {
    pub fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            header: None,
            suite: SuiteShown::default(),
            readings: BTreeMap::new(),
            facts: BTreeMap::new(),
            probed_ms: 0.0,
            traces: 0,
            actions: 0,
            states: BTreeMap::new(),
            exercised: BTreeMap::new(),
            failed: BTreeMap::new(),
            cut: BTreeMap::new(),
            counterexamples: Vec::new(),
            transcripts: HashMap::new(),
            footer: None,
            last_ms: 0.0,
        }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started(header) => self.header = Some(header.clone()),
            Event::Suite(suite) => self.suite.clone_from(suite),
            Event::Readings { at_ms, readings, facts, .. } => {
                self.probed_ms = *at_ms;
                self.readings.clone_from(readings);
                self.facts.clone_from(facts);
            }
            Event::Explored(explored) => self.explored(explored),
            Event::Counterexample(found) => self.counterexamples.push((**found).clone()),
            Event::Exchange(exchange) => self.transcripts.entry(exchange.scenario.clone()).or_default().add(event),
            Event::Frame(frame) => self.transcripts.entry(frame.scenario.clone()).or_default().add(event),
            Event::Finished(footer) => self.footer = Some(footer.clone()),
            _ => {}
        }
    }

    fn explored(&mut self, explored: &Explored) {
        self.traces += 1;
        self.actions += explored.actions as u64;
        self.last_ms = explored.at_ms;
        for state in &explored.states {
            *self.states.entry(state.clone()).or_default() += 1;
        }
        for (id, count) in &explored.exercised {
            *self.exercised.entry(id.clone()).or_default() += count;
        }
        if let Some(found) = &explored.found {
            self.failed.entry(found.requirement.clone()).or_default().push(explored.clone());
        }
        if let Some(why) = explored.cut.as_ref().filter(|_| explored.found.is_none()) {
            *self.cut.entry(why.clone()).or_default() += 1;
        }
    }

    /// Renders the report.
    ///
    /// # Errors
    /// A writer that takes no more.
    pub fn finish(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(header), Some(footer)) = (&self.header, &self.footer) else {
            return Ok(());
        };
        if self.verbosity != Verbosity::Quiet {
            self.target(out, header)?;
        }
        self.violations(out, header)?;
        if self.verbosity != Verbosity::Quiet && self.traces > 0 {
            self.coverage(out)?;
        }
        self.conclusion(out, header, footer)
    }

    fn target(&self, out: &mut dyn Write, header: &Header) -> io::Result<()> {
        writeln!(out, "{BOLD}{}{BOLD:#} and {BOLD}{}{BOLD:#}", printable(&header.target.http), printable(&header.target.ws))?;
        for note in &header.target.notes {
            writeln!(out, "  {DIM}{}{DIM:#}", printable(note))?;
        }
        let held: Vec<String> = self
            .readings
            .iter()
            .filter(|(_, held)| !held.values().is_empty())
            .map(|(id, held)| format!("{id} = {}", held.values().join(", ")))
            .chain(self.facts.iter().filter_map(|(id, fact)| match fact {
                Fact::Number(number) => Some(format!("{id} = {number}")),
                Fact::Above(number) => Some(format!("{id} of {number} or more")),
                Fact::Truth(_) | Fact::Unknown { .. } => None,
            }))
            .collect();
        if !held.is_empty() {
            writeln!(out, "  {DIM}held to: {}{DIM:#}", printable(&held.join("; ")))?;
        }
        let open: Vec<&str> =
            self.readings.iter().filter(|(_, held)| matches!(held, Held::Unknown { .. })).map(|(id, _)| id.as_str()).collect();
        if !open.is_empty() {
            writeln!(out, "  {DIM}open, so that the model allows every reading: {}{DIM:#}", open.join(" "))?;
        }
        Ok(())
    }

    /// What was found, by requirement in the document's order.
    fn violations(&self, out: &mut dyn Write, header: &Header) -> io::Result<()> {
        let place = |id: &RequirementId| self.suite.requirements.iter().position(|requirement| requirement.id == *id);
        let mut failed: Vec<(&RequirementId, &Vec<Explored>)> = self.failed.iter().collect();
        failed.sort_by_key(|(id, _)| place(id).unwrap_or(usize::MAX));
        for (id, traces) in failed {
            let count = if traces.len() == 1 { "1 trace".to_owned() } else { format!("{} traces", traces.len()) };
            writeln!(out, "\n{RED}✗{RED:#} {BOLD}{id}{BOLD:#} {DIM}{} · in {count}{DIM:#}", self.suite.level(id))?;
            if let Some(requirement) = self.suite.requirement(id) {
                writeln!(out, "  {}", printable(&requirement.text))?;
                writeln!(out, "  {DIM}in the document: {}{DIM:#}", printable(&requirement.place))?;
            }
            match self.counterexamples.iter().find(|shown| shown.found.requirement == *id) {
                Some(shown) => self.counterexample(out, header, shown)?,
                None => self.unshrunk(out, header, traces)?,
            }
            if self.verbosity == Verbosity::Verbose {
                let numbers: Vec<String> = traces.iter().map(|explored| explored.trace.to_string()).collect();
                writeln!(out, "    {DIM}traces: {}{DIM:#}", numbers.join(" "))?;
            }
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
        if let Some(transcript) = self.transcripts.get(&shown.scenario) {
            writeln!(out, "    what went over the wire:")?;
            for line in transcript.lines(self.verbosity == Verbosity::Verbose) {
                writeln!(out, "      {DIM}{line}{DIM:#}")?;
            }
        }
        match (&shown.yaml, &shown.why_none) {
            (Some(_), _) => writeln!(out, "    scenario: {}", printable(&shown.scenario))?,
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
        writeln!(out, "    {YELLOW}the run ended before it was made smaller{YELLOW:#}")?;
        writeln!(out, "    again: {} --trace {}", printable(&header.reproduce), explored.trace)
    }

    fn coverage(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{BOLD}States{BOLD:#} {DIM}(in how many of {} traces){DIM:#}", self.traces)?;
        let mut states: Vec<(&String, &u64)> = self.states.iter().collect();
        states.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let shown: Vec<String> = states.iter().map(|(state, count)| format!("{state} {count}")).collect();
        wrapped(out, &shown, " · ")?;
        writeln!(out, "\n{BOLD}Requirements{BOLD:#} {DIM}(how often each decided what was allowed){DIM:#}")?;
        let known = self.suite.requirements.iter().filter_map(|requirement| Some((&requirement.id, self.exercised.get(&requirement.id)?)));
        let shown: Vec<String> = known.map(|(id, count)| format!("{id} {count}")).collect();
        wrapped(out, &shown, "  ")?;
        for (why, count) in &self.cut {
            writeln!(out, "{YELLOW}{count} traces could not be played to their end: {}{YELLOW:#}", printable(why))?;
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
            1 => (
                RED,
                format!("FOUND: {} {} violated", self.failed.len(), if self.failed.len() == 1 { "requirement" } else { "requirements" }),
            ),
            3 => (YELLOW, "INCONCLUSIVE".to_owned()),
            130 => (YELLOW, "INTERRUPTED".to_owned()),
            _ => (RED, "CHATSPEC FAILED".to_owned()),
        };
        let seconds = ((self.last_ms - self.probed_ms) / 1000.0).max(0.0);
        let rate = if seconds > 0.0 { format!(", {:.0}/s", self.actions as f64 / seconds) } else { String::new() };
        writeln!(
            out,
            "{style}{word}{style:#}: {} actions in {} traces, {seconds:.1} s{rate}; {} requirements exercised; seed {}",
            self.actions,
            self.traces,
            self.exercised.len(),
            header.seed
        )
    }
}

/// Items in lines that fit a terminal.
fn wrapped(out: &mut dyn Write, items: &[String], between: &str) -> io::Result<()> {
    const WIDTH: usize = 110;
    let mut line = String::new();
    for item in items {
        let item = printable(item);
        if !line.is_empty() && line.chars().count() + between.chars().count() + item.chars().count() > WIDTH {
            writeln!(out, "  {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(between);
        }
        line.push_str(&item);
    }
    if line.is_empty() { Ok(()) } else { writeln!(out, "  {line}") }
}
