//! The report on a terminal: what a newcomer reads to see whether the server conforms, and why not.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::conclusion;
use super::failure::{self, Shown};
use super::transcript::{Transcript, printable};
use crate::event::{Event, Footer, Header, SuiteShown};
use crate::reading::{Fact, Held};
use crate::requirement::{Level, Requirement, RequirementId};
use crate::verdict::{CountsAs, KnownState, KnownVerdict, Outcome, ScenarioVerdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// Collects the events of a run and renders them at its end.
#[derive(Debug)]
pub struct Terminal {
    suite: SuiteShown,
    verbosity: Verbosity,
    header: Option<Header>,
    readings: BTreeMap<String, Held>,
    facts: BTreeMap<String, Fact>,
    fences: Vec<String>,
    transcripts: HashMap<(String, u32), Transcript>,
    verdicts: Vec<ScenarioVerdict>,
    footer: Option<Footer>,
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// How many violations of one requirement are shown in full; the others are named.
const SHOWN: usize = 2;

impl Terminal {
    pub fn new(verbosity: Verbosity) -> Self {
        Self {
            suite: SuiteShown::default(),
            verbosity,
            header: None,
            readings: BTreeMap::new(),
            facts: BTreeMap::new(),
            fences: Vec::new(),
            transcripts: HashMap::new(),
            verdicts: Vec::new(),
            footer: None,
        }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started(header) => self.header = Some(header.clone()),
            Event::Suite(suite) => self.suite.clone_from(suite),
            Event::Readings { readings, facts, fences, .. } => {
                self.readings.clone_from(readings);
                self.facts.clone_from(facts);
                self.fences.clone_from(fences);
            }
            Event::Exchange(exchange) => self.transcript(&exchange.scenario, exchange.run).add(event),
            Event::Frame(frame) => self.transcript(&frame.scenario, frame.run).add(event),
            Event::ScenarioFinished(verdict) => {
                // Of what passed nobody reads the transcript, and there may be very many.
                if verdict.outcome == Outcome::Pass && self.verbosity != Verbosity::Verbose {
                    self.transcripts.remove(&(verdict.scenario.clone(), verdict.run));
                }
                self.verdicts.push((**verdict).clone());
            }
            Event::Finished(footer) => self.footer = Some(footer.clone()),
            Event::ScenarioStarted { .. }
            | Event::Step { .. }
            | Event::Tried(_)
            | Event::Explored(_)
            | Event::Counterexample(_)
            | Event::Coverage(_)
            | Event::Planned(_)
            | Event::Second(_)
            | Event::Measured(_) => {}
        }
    }

    fn transcript(&mut self, scenario: &str, run: u32) -> &mut Transcript {
        self.transcripts.entry((scenario.to_owned(), run)).or_default()
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
            self.found(out)?;
        }
        if self.verbosity == Verbosity::Verbose {
            self.scenarios(out)?;
        }
        self.violations(out, header, footer)?;
        self.known(out, footer)?;
        if self.verbosity != Verbosity::Quiet {
            self.flaky(out, header, footer)?;
            self.untested(out, footer)?;
            self.notes(out)?;
            self.table(out, footer)?;
        }
        self.conclusion(out, footer)
    }

    fn target(&self, out: &mut dyn Write, header: &Header) -> io::Result<()> {
        writeln!(out, "{BOLD}chatspec check{BOLD:#}  {}  {}  {DIM}seed {}{DIM:#}", header.target.http, header.target.ws, header.seed)?;
        for note in &header.target.notes {
            writeln!(out, "  {DIM}{note}{DIM:#}")?;
        }
        Ok(())
    }

    /// What the probes found out, in a few lines.
    fn found(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.readings.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nWhere the document can be read in several ways, this target follows:")?;
        let mut unknown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (id, held) in &self.readings {
            match held {
                Held::Found { values } => writeln!(out, "  {id:<16} {}", values.join(", "))?,
                Held::Pinned { values } => writeln!(out, "  {id:<16} {}  {DIM}(given, not probed){DIM:#}", values.join(", "))?,
                Held::Unknown { why, blocked_by } => unknown.entry(obstacle(blocked_by, Some(why))).or_default().push(id),
                Held::NotApplicable { why } => writeln!(out, "  {id:<16} {DIM}doesn't arise: {}{DIM:#}", printable(why))?,
            }
        }
        for (id, title) in &self.suite.facts {
            let shown = match self.facts.get(id) {
                Some(Fact::Number(number)) => number.to_string(),
                Some(Fact::Above(number)) => format!("{number} or more"),
                Some(Fact::Unknown { why, blocked_by }) => {
                    unknown.entry(obstacle(blocked_by, Some(why))).or_default().push(id);
                    continue;
                }
                Some(Fact::Truth(_)) | None => continue,
            };
            writeln!(out, "  {:<16} {shown}  {DIM}({}){DIM:#}", id, title)?;
        }
        for (why, ids) in unknown {
            writeln!(out, "  {YELLOW}not found out{YELLOW:#}: {} ({})", ids.join(", "), printable(&why))?;
        }
        if self.fences.is_empty() {
            writeln!(
                out,
                "  {YELLOW}No exchange serves as a fence here, so \"nothing more comes\" is known from quiet times only.{YELLOW:#}"
            )?;
        }
        Ok(())
    }

    fn scenarios(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        let mut verdicts: Vec<&ScenarioVerdict> = self.verdicts.iter().collect();
        verdicts.sort_by(|a, b| (&a.scenario, a.run).cmp(&(&b.scenario, b.run)));
        for verdict in verdicts {
            let style = style_of(verdict.outcome);
            let why = verdict.why.as_deref().map(|why| format!("  {}", printable(why))).unwrap_or_default();
            writeln!(
                out,
                "{style}{:<14}{style:#} {}  {DIM}{:.1} ms{DIM:#}{why}",
                verdict.outcome.word(),
                verdict.scenario,
                verdict.duration_ms
            )?;
            if verdict.outcome == Outcome::Pass
                && let Some(transcript) = self.transcripts.get(&(verdict.scenario.clone(), verdict.run))
            {
                for line in transcript.lines(true) {
                    writeln!(out, "    {DIM}{line}{DIM:#}")?;
                }
            }
        }
        Ok(())
    }

    /// The verdicts in which a requirement failed.
    fn failures_of(&self, id: &RequirementId) -> Vec<&ScenarioVerdict> {
        let fails = |verdict: &&ScenarioVerdict| matches!(verdict.requirements.get(id), Some(Outcome::Fail | Outcome::Error));
        let mut found: Vec<&ScenarioVerdict> = self.verdicts.iter().filter(fails).collect();
        found.sort_by(|a, b| (&a.scenario, a.run).cmp(&(&b.scenario, b.run)));
        found
    }

    fn violations(&self, out: &mut dyn Write, header: &Header, footer: &Footer) -> io::Result<()> {
        let mut broken: Vec<&Requirement> = self
            .suite
            .requirements
            .iter()
            .filter(|requirement| matches!(footer.requirements.get(&requirement.id), Some(Outcome::Fail | Outcome::Error)))
            .collect();
        broken.sort_by_key(|requirement| requirement.level);
        let mut told: HashMap<(String, u32), &RequirementId> = HashMap::new();
        for requirement in broken {
            let counts = footer.counts.get(&requirement.id).copied().unwrap_or(CountsAs::Failure);
            if matches!(counts, CountsAs::Note | CountsAs::Known) {
                continue;
            }
            let (style, word) = if counts == CountsAs::Failure { (RED, "VIOLATED") } else { (YELLOW, "WARNING") };
            writeln!(out, "\n{style}{word} {} ({}){style:#} {BOLD}{}{BOLD:#}", requirement.id, requirement.level, requirement.text)?;
            writeln!(out, "  {DIM}in the document: {}{DIM:#}", requirement.place)?;
            let failures = self.failures_of(&requirement.id);
            let mut shown = 0;
            let mut others: Vec<&str> = Vec::new();
            for verdict in &failures {
                let key = (verdict.scenario.clone(), verdict.run);
                if let Some(before) = told.get(&key) {
                    writeln!(out, "  {} fails as told under {before}", verdict.scenario)?;
                } else if shown < SHOWN || self.verbosity == Verbosity::Verbose {
                    shown += 1;
                    told.insert(key, &requirement.id);
                    self.failure(out, header, verdict)?;
                } else if !others.contains(&verdict.scenario.as_str()) {
                    others.push(&verdict.scenario);
                }
            }
            if !others.is_empty() {
                writeln!(out, "  It is violated in {} more (--verbose shows them): {}", others.len(), others.join(", "))?;
            }
        }
        Ok(())
    }

    /// The list of known failures: what fails as expected, and which entries are wrong.
    fn known(&self, out: &mut dyn Write, footer: &Footer) -> io::Result<()> {
        let mut known: Vec<&KnownVerdict> = footer.known.iter().filter(|known| known.state != KnownState::NotPlayed).collect();
        known.sort_by_key(|known| known.state.is_wrong());
        if known.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nKNOWN FAILURES")?;
        for known in known {
            let (style, word) = match known.state {
                KnownState::Fails | KnownState::NotPlayed => (DIM, "fails, as expected"),
                KnownState::Passes => (RED, "passes: take the entry out"),
                KnownState::Expired => (RED, "was to be mended by now"),
                KnownState::Unmatched => (RED, "is nothing that the suite has"),
            };
            let until = known.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
            let link = known.link.as_ref().map(|link| format!(" <{link}>")).unwrap_or_default();
            let (what, reason) = (printable(&known.what), printable(&known.reason));
            writeln!(out, "  {what} {style}{word}{style:#}: {reason}{until}{}", printable(&link))?;
            if known.state.is_wrong() {
                writeln!(out, "    {DIM}at {}{DIM:#}", known.place)?;
            }
        }
        Ok(())
    }

    fn failure(&self, out: &mut dyn Write, header: &Header, verdict: &ScenarioVerdict) -> io::Result<()> {
        let title = self.suite.scenario(&verdict.scenario).map_or("", |scenario| &scenario.title);
        writeln!(out, "\n  {BOLD}{}{BOLD:#}: {}", printable(&verdict.scenario), printable(title))?;
        let transcript = self.transcripts.get(&(verdict.scenario.clone(), verdict.run));
        failure::write(out, &Shown { verdict, transcript, reproduce: &header.reproduce, verbosity: self.verbosity })
    }

    fn flaky(&self, out: &mut dyn Write, header: &Header, footer: &Footer) -> io::Result<()> {
        for (scenario, _) in footer.scenarios.iter().filter(|(_, outcome)| **outcome == Outcome::Flaky) {
            let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
            for verdict in self.verdicts.iter().filter(|verdict| verdict.scenario == *scenario) {
                *counts.entry(verdict.outcome).or_default() += 1;
            }
            let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} x {}", outcome.word())).collect();
            writeln!(out, "\n{RED}FLAKY{RED:#} {BOLD}{scenario}{BOLD:#}: {}", counts.join(", "))?;
            if let Some(verdict) = self.verdicts.iter().find(|verdict| verdict.scenario == *scenario && verdict.failure.is_some()) {
                self.failure(out, header, verdict)?;
            }
        }
        Ok(())
    }

    /// What could not be tested, by what stood in its way; and what doesn't apply. Where nothing at all could be tested,
    /// the conclusion says why.
    fn untested(&self, out: &mut dyn Write, footer: &Footer) -> io::Result<()> {
        if footer.requirements.values().all(|outcome| *outcome == Outcome::CouldNotTest) {
            return Ok(());
        }
        let mut blocked: BTreeMap<String, Vec<&RequirementId>> = BTreeMap::new();
        let mut skipped: BTreeMap<String, Vec<&RequirementId>> = BTreeMap::new();
        for (id, outcome) in &footer.requirements {
            let reasons = match outcome {
                Outcome::CouldNotTest => &mut blocked,
                Outcome::Skipped => &mut skipped,
                _ => continue,
            };
            let verdict = self.verdicts.iter().find(|verdict| verdict.requirements.get(id) == Some(outcome));
            let why = verdict.map_or(String::new(), reason);
            reasons.entry(why).or_default().push(id);
        }
        for (title, style, reasons) in [("COULD NOT BE TESTED", YELLOW, blocked), ("SKIPPED", DIM, skipped)] {
            if reasons.is_empty() {
                continue;
            }
            writeln!(out, "\n{style}{title}{style:#}")?;
            for (why, mut ids) in reasons {
                ids.sort_by_key(|id| self.suite.requirements.iter().position(|requirement| requirement.id == **id));
                let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
                writeln!(out, "  {}: {}", ids.join(" "), printable(&why))?;
            }
        }
        Ok(())
    }

    /// What is worth knowing and never wrong: INFO requirements, and verdicts with a reservation.
    fn notes(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut notes: BTreeMap<String, usize> = BTreeMap::new();
        for verdict in &self.verdicts {
            let informs = verdict.requirements.iter().any(|(id, outcome)| *outcome == Outcome::Fail && self.suite.level(id) == Level::Info);
            if let (true, Some(failure)) = (informs, &verdict.failure) {
                let ids: Vec<&str> = failure.requirements.iter().map(RequirementId::as_str).collect();
                *notes.entry(format!("{}: {}", ids.join(" "), failure.summary)).or_default() += 1;
            }
            if verdict.outcome == Outcome::Pass {
                for note in &verdict.notes {
                    *notes.entry(note.clone()).or_default() += 1;
                }
            }
        }
        if notes.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nNOTES")?;
        for (note, count) in notes {
            let times = if count > 1 { format!(" {DIM}({count} times){DIM:#}") } else { String::new() };
            writeln!(out, "  {}{times}", printable(&note))?;
        }
        Ok(())
    }

    /// One line for each group of requirements.
    fn table(&self, out: &mut dyn Write, footer: &Footer) -> io::Result<()> {
        let mut groups: Vec<(String, Vec<(String, Outcome)>)> = Vec::new();
        for id in self.suite.requirements.iter().map(|requirement| &requirement.id) {
            let Some(outcome) = footer.requirements.get(id) else {
                continue;
            };
            let (group, rest) = id.as_str().split_once('-').unwrap_or((id.as_str(), ""));
            match groups.iter_mut().find(|(name, _)| name == group) {
                Some((_, members)) => members.push((rest.to_owned(), *outcome)),
                None => groups.push((group.to_owned(), vec![(rest.to_owned(), *outcome)])),
            }
        }
        if footer.requirements.values().all(|outcome| *outcome == Outcome::CouldNotTest) {
            return Ok(());
        }
        writeln!(out)?;
        for (group, members) in groups {
            let shown: Vec<String> = members
                .iter()
                .map(|(member, outcome)| {
                    let style = style_of(*outcome);
                    format!("{style}{}{style:#}{member}", mark(*outcome))
                })
                .collect();
            writeln!(out, "  {group:<7} {}", shown.join("  "))?;
        }
        writeln!(out, "  {DIM}✓ pass  ✗ violated  ? could not be tested  - skipped  ~ flaky{DIM:#}")
    }

    fn conclusion(&self, out: &mut dyn Write, footer: &Footer) -> io::Result<()> {
        let style = match footer.exit_code {
            0 => GREEN,
            3 | 130 => YELLOW,
            _ => RED,
        };
        writeln!(out)?;
        for note in &footer.notes {
            writeln!(out, "{YELLOW}{}{YELLOW:#}", printable(note))?;
        }
        if footer.interrupted {
            writeln!(out, "{YELLOW}The run was interrupted; this is what it had found out by then.{YELLOW:#}")?;
        }
        let (word, counts) = (conclusion::word(footer.exit_code), conclusion::counts(footer));
        writeln!(out, "{style}{word}{style:#}: {counts}; {} scenarios in {:.1} s", self.verdicts.len(), footer.at_ms / 1000.0)
    }
}

/// Why a requirement could not be tested, with what stood in its way.
pub(super) fn reason(verdict: &ScenarioVerdict) -> String {
    match (&verdict.failure, &verdict.why) {
        (Some(failure), None) => obstacle(&failure.requirements, None),
        (_, why) => obstacle(&verdict.blocked_by, why.as_deref()),
    }
}

/// The requirements that stood in the way; where there are none, why in words.
fn obstacle(blockers: &[RequirementId], why: Option<&str>) -> String {
    let ids: Vec<&str> = blockers.iter().map(RequirementId::as_str).collect();
    match why {
        Some(why) if ids.is_empty() => why.to_owned(),
        _ => format!("{} stood in the way", ids.join(" and ")),
    }
}

fn style_of(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Pass => GREEN,
        Outcome::Fail | Outcome::Error | Outcome::Flaky => RED,
        Outcome::CouldNotTest => YELLOW,
        Outcome::Skipped => DIM,
    }
}

fn mark(outcome: Outcome) -> char {
    match outcome {
        Outcome::Pass => '✓',
        Outcome::Fail | Outcome::Error => '✗',
        Outcome::CouldNotTest => '?',
        Outcome::Skipped => '-',
        Outcome::Flaky => '~',
    }
}
