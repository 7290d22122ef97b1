//! The report of a load on a terminal: whether it holds, what was done, what arrived and how fast, and whether to believe it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::figures::{NONE, Table, count, millis, number, percent, plural, seconds};
use super::little::{TOLERANCE, little};
use super::shards::{self, why_invalid};
use super::terminal::Verbosity;
use super::transcript::printable;
use crate::event::{
    BUSY, Blame, ErrorCount, Event, Footer, Header, Health, LATE, LOOP_LAG, Measured, PhaseMeasured, Planned, Second, ThresholdVerdict,
    Trust,
};
use crate::ledger::{Account, Witness, Wrong};
use crate::stats::{Clock, Durations, Histograms, Metric};

/// How many witnesses of each kind are shown.
const WITNESSES: usize = 5;

/// How many kinds of errors are shown.
const ERRORS: usize = 12;

/// Service times stand beside latencies from which they differ by more than this share.
const APART: f64 = 0.1;

/// The percentiles of a table, with their names.
pub const PERCENTILES: [(f64, &str); 5] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const PLAIN: Style = Style::new();

/// Collects the events of a load and renders them at its end.
#[derive(Debug)]
pub struct LoadReport {
    verbosity: Verbosity,
    header: Option<Header>,
    planned: Option<Planned>,
    seconds: Vec<Second>,
    measured: Option<Measured>,
    footer: Option<Footer>,
}

impl LoadReport {
    pub fn new(verbosity: Verbosity) -> Self {
        Self { verbosity, header: None, planned: None, seconds: Vec::new(), measured: None, footer: None }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started(header) => self.header = Some(header.clone()),
            Event::Planned(planned) => self.planned = Some((**planned).clone()),
            // An hour has thousands of seconds, and their histograms aren't shown.
            Event::Second(second) => self.seconds.push(Second { deliver: String::new(), ..(**second).clone() }),
            Event::Measured(measured) => self.measured = Some((**measured).clone()),
            Event::Finished(footer) => self.footer = Some(footer.clone()),
            Event::Readings { .. }
            | Event::Suite(_)
            | Event::ScenarioStarted { .. }
            | Event::Exchange(_)
            | Event::Frame(_)
            | Event::Step { .. }
            | Event::ScenarioFinished(_)
            | Event::Tried(_)
            | Event::Explored(_)
            | Event::Counterexample(_)
            | Event::Coverage(_) => {}
        }
    }

    /// Renders the report.
    ///
    /// # Errors
    /// A writer that takes no more; a histogram that can't be read.
    pub fn finish(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(header), Some(footer)) = (&self.header, &self.footer) else {
            return Ok(());
        };
        self.verdict(out, footer)?;
        let shown = self.verbosity != Verbosity::Quiet;
        if shown {
            target(out, header)?;
            self.done(out)?;
        }
        let Some(measured) = &self.measured else {
            return if shown { self.so_far(out) } else { Ok(()) };
        };
        let histograms = measured.histograms().map_err(io::Error::other)?;
        if shown || !measured.ledger.is_clean() {
            self.deliveries(out, measured)?;
        }
        if shown {
            self.latencies(out, &histograms)?;
            self.slowest_second(out)?;
            self.errors(out, &measured.errors)?;
        }
        self.thresholds(out, &measured.thresholds)?;
        if shown {
            shards(out, measured)?;
        }
        if shown || measured.health.trust == Trust::Invalid {
            self.generator(out, measured, &histograms)?;
        }
        if shown {
            self.closed(out, measured, &histograms)?;
            if !header.reproduce.is_empty() {
                writeln!(out, "\n{DIM}again: {}{DIM:#}", header.reproduce)?;
            }
        }
        Ok(())
    }

    fn verdict(&self, out: &mut dyn Write, footer: &Footer) -> io::Result<()> {
        let trust = self.measured.as_ref().map(|measured| measured.health.trust);
        let style = match footer.exit_code {
            0 => GREEN,
            3 | 130 => YELLOW,
            _ => RED,
        };
        let word = word(footer.exit_code, trust).to_uppercase();
        let said = match &self.measured {
            Some(measured) => said(measured).join("; "),
            None => "nothing was measured to the end".to_owned(),
        };
        writeln!(out, "{style}{word}{style:#}: {said}")?;
        for note in &footer.notes {
            writeln!(out, "{YELLOW}{}{YELLOW:#}", printable(note))?;
        }
        if footer.interrupted {
            let at = seconds(footer.at_ms);
            writeln!(out, "{YELLOW}The run was interrupted after {at}; this is what it had found out by then.{YELLOW:#}")?;
        }
        Ok(())
    }

    fn counts(&self, phase: &str) -> bool {
        self.planned.as_ref().is_none_or(|planned| planned.phases.iter().any(|known| known.name == phase && known.counts))
    }

    fn is_closed(&self) -> bool {
        self.planned.as_ref().is_some_and(|planned| planned.messages.is_none())
    }

    fn done(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(planned) = &self.planned else {
            return Ok(());
        };
        let (clients, rooms) = (u64::from(planned.clients), u64::from(planned.rooms));
        writeln!(out, "\n{BOLD}What was done{BOLD:#}")?;
        write!(out, "  profile {}: {}", printable(&planned.profile), plural(clients, "client", "clients"))?;
        write!(out, " in {}", plural(rooms, "room", "rooms"))?;
        write!(out, ", the largest of {}, by {}", planned.largest, plural(u64::from(planned.threads), "thread", "threads"))?;
        match &planned.shard {
            Some(shard) => writeln!(out, "; shard {shard} of the plan, whose thresholds `chatspec merge` looks at")?,
            None => writeln!(out)?,
        }
        let pace = match planned.messages {
            Some(messages) => {
                format!("open load: {} sent by the plan's clock, however the target does", plural(messages, "message", "messages"))
            }
            None => "closed load: a message is sent when one before it has come back, at the target's own pace".to_owned(),
        };
        writeln!(out, "  {pace}")?;
        let Some(measured) = &self.measured else {
            return Ok(());
        };
        let mut table = Table::new(["phase", "lasted", "planned/s", "sent/s", "arrived/s", "sent late", "not sent"]);
        let mut left_out = false;
        for phase in &measured.phases {
            let counts = self.counts(&phase.name);
            left_out |= !counts;
            let rate = |number_of: u64| number(number_of as f64 / phase.seconds.max(1e-9));
            let name = if counts { phase.name.clone() } else { format!("{} *", phase.name) };
            let idle = phase.planned == 0 && phase.sent == 0;
            let planned = if self.is_closed() || idle { NONE.to_owned() } else { rate(phase.planned) };
            let (sent, late) = if idle { (NONE.to_owned(), NONE.to_owned()) } else { (rate(phase.sent), count(phase.sent_late)) };
            let unsent = if idle { NONE.to_owned() } else { count(phase.unsent_target + phase.unsent_generator) };
            let style = if counts { PLAIN } else { DIM };
            table.row(style, vec![name, seconds(phase.seconds * 1000.0), planned, sent, rate(phase.delivered), late, unsent]);
        }
        table.write(out)?;
        if left_out {
            writeln!(out, "  {DIM}* is not looked at for the figures below{DIM:#}")?;
        }
        let sum = |what: fn(&PhaseMeasured) -> u64| measured.phases.iter().map(what).sum::<u64>();
        let (target, generator) = (sum(|phase| phase.unsent_target), sum(|phase| phase.unsent_generator));
        if target > 0 {
            writeln!(out, "  {} not sent, since their senders had no connection or no place: the target's doing", was(target))?;
        }
        if generator > 0 {
            writeln!(out, "  {} not sent, since the generator didn't come to it", was(generator))?;
        }
        Ok(())
    }

    /// What the seconds tell where the end is missing.
    fn so_far(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(last) = self.seconds.last() else {
            return Ok(());
        };
        let sum = |what: fn(&Second) -> u64| self.seconds.iter().map(what).sum::<u64>();
        writeln!(out, "\n{BOLD}What the {} seconds until then say{BOLD:#}", self.seconds.len())?;
        writeln!(
            out,
            "  {} sent, {} arrived",
            plural(sum(|second| second.sent), "message", "messages"),
            count(sum(|second| second.delivered))
        )?;
        writeln!(out, "  at the end {} were connected, {} of them in their room", count(last.connected.into()), count(last.joined.into()))?;
        let (wrong, errors) = (last.wrong(), sum(|second| second.errors));
        writeln!(out, "  {} known to be wrong, {}", plural(wrong, "delivery", "deliveries"), plural(errors, "error", "errors"))
    }

    fn deliveries(&self, out: &mut dyn Write, measured: &Measured) -> io::Result<()> {
        let Account { due, delivered, indeterminate, .. } = &measured.ledger;
        writeln!(out, "\n{BOLD}Deliveries{BOLD:#}")?;
        let share = if *due == 0 { String::new() } else { format!(" ({})", percent(*delivered as f64 / *due as f64)) };
        let clean = if measured.ledger.is_clean() && measured.ledger.delivered > 0 { ", each once, in order and unaltered" } else { "" };
        writeln!(out, "  {} of {} arrived{share}{clean}", count(*delivered), plural(*due, "delivery", "deliveries"))?;
        if *indeterminate > 0 {
            let number = count(*indeterminate);
            writeln!(out, "  {DIM}{number} more are not judged: their members were coming or going, or lost their connection{DIM:#}")?;
        }
        for wrong in Wrong::ALL.into_iter().filter(|wrong| measured.ledger.count(*wrong) > 0) {
            writeln!(out, "  {RED}{} {wrong}{RED:#}: {}", count(measured.ledger.count(wrong)), meaning(wrong))?;
            let most = if self.verbosity == Verbosity::Verbose { usize::MAX } else { WITNESSES };
            let witnesses: Vec<&Witness> = measured.ledger.witnesses.iter().filter(|witness| witness.wrong == wrong).collect();
            for Witness { at_ms, room, sender, number, member, note, .. } in witnesses.iter().take(most) {
                let note = if note.is_empty() { String::new() } else { format!(" ({})", printable(note)) };
                let (room, sender, member) = (printable(room), printable(sender), printable(member));
                writeln!(out, "    at {}, room {room}: message {number} of {sender}, for {member}{note}", seconds(*at_ms))?;
            }
            let more = witnesses.len().saturating_sub(most);
            if more > 0 {
                writeln!(out, "    {DIM}--verbose shows {more} more{DIM:#}")?;
            }
        }
        Ok(())
    }

    /// A metric's durations over the phases that count.
    fn counted(&self, histograms: &Histograms, metric: Metric, clock: Clock) -> Durations {
        let chosen = histograms.0.iter().filter(|(key, _)| key.metric == metric && key.clock == clock && self.counts(&key.phase));
        let mut sum = crate::stats::durations();
        for (_, histogram) in chosen {
            sum.add(histogram).expect("the sum grows as needed");
        }
        sum
    }

    fn latencies(&self, out: &mut dyn Write, histograms: &Histograms) -> io::Result<()> {
        let mut table = latency_table("");
        // Whoever arrives does so before the phases that count begin, and is worth a figure.
        let (mut outside, mut few) = (false, false);
        for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::SendLag) {
            let (mut intended, mut service) =
                (self.counted(histograms, metric, Clock::Intended), self.counted(histograms, metric, Clock::Service));
            let mut name = metric.name().to_owned();
            let arrival = !matches!(metric, Metric::Echo | Metric::Deliver | Metric::First | Metric::Last);
            if intended.is_empty() && service.is_empty() && arrival {
                (intended, service) =
                    (histograms.select(metric, Clock::Intended, None, None), histograms.select(metric, Clock::Service, None, None));
                name.push_str(" *");
                outside |= !intended.is_empty() || !service.is_empty();
            }
            if intended.is_empty() {
                few |= row(&mut table, PLAIN, name, &service);
                continue;
            }
            few |= row(&mut table, PLAIN, name, &intended);
            if differ(&intended, &service) {
                few |= row(&mut table, DIM, "  service time".to_owned(), &service);
            }
        }
        if table.is_empty() {
            return Ok(());
        }
        let since = if self.is_closed() { "since each was begun" } else { "since the instant at which the plan wanted each begun" };
        writeln!(out, "\n{BOLD}Latencies{BOLD:#} in ms, {since}")?;
        table.write(out)?;
        if outside {
            writeln!(out, "  {DIM}* of all phases, since none was in those that count{DIM:#}")?;
        }
        few |= self.parts(out, histograms)?;
        if few {
            writeln!(out, "  {DIM}{NONE} there are too few for that percentile{DIM:#}")?;
        }
        Ok(())
    }

    /// Deliveries by phase and by size of room, where several count. Says whether a percentile was left out.
    fn parts(&self, out: &mut dyn Write, histograms: &Histograms) -> io::Result<bool> {
        let of_deliver = || histograms.0.keys().filter(|key| key.metric == Metric::Deliver && key.clock == Clock::Intended);
        let all = self.verbosity == Verbosity::Verbose;
        let had: BTreeSet<&str> = of_deliver().map(|key| key.phase.as_str()).filter(|phase| all || self.counts(phase)).collect();
        let order = self.planned.iter().flat_map(|planned| &planned.phases).map(|phase| phase.name.as_str());
        let phases: Vec<&str> = order.filter(|phase| had.contains(phase)).collect();
        let mut few = false;
        if phases.len() > 1 {
            let mut table = latency_table("deliver by phase");
            for phase in phases {
                few |= row(&mut table, PLAIN, phase.to_owned(), &histograms.select(Metric::Deliver, Clock::Intended, Some(phase), None));
            }
            writeln!(out)?;
            table.write(out)?;
        }
        let mut sizes: BTreeMap<u32, Durations> = BTreeMap::new();
        for key in of_deliver().filter(|key| self.counts(&key.phase)) {
            let sum = sizes.entry(key.size).or_insert_with(crate::stats::durations);
            sum.add(&histograms.0[key]).expect("the sum grows as needed");
        }
        if sizes.len() > 1 {
            let mut table = latency_table("deliver by size of room");
            for (size, histogram) in &sizes {
                few |= row(&mut table, PLAIN, size.to_string(), histogram);
            }
            writeln!(out)?;
            table.write(out)?;
        }
        Ok(few)
    }

    /// The second in which deliveries took longest, where it stands out: a pause of the target, or of something else.
    fn slowest_second(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut seconds_of: Vec<&Second> =
            self.seconds.iter().filter(|second| second.delivered > 0 && self.counts(&second.phase)).collect();
        seconds_of.sort_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
        let (Some(slowest), Some(median)) = (seconds_of.last(), seconds_of.get(seconds_of.len() / 2)) else {
            return Ok(());
        };
        if slowest.p99_ms <= 3.0 * median.p99_ms {
            return Ok(());
        }
        let (at, phase) = (seconds(slowest.at_ms), printable(&slowest.phase));
        let (p99, usual) = (number(slowest.p99_ms), number(median.p99_ms));
        writeln!(out, "  The slowest second ended at {at} ({phase}): p99 {p99} ms; in half of the seconds it was at most {usual} ms")
    }

    fn errors(&self, out: &mut dyn Write, errors: &[ErrorCount]) -> io::Result<()> {
        if errors.is_empty() {
            return Ok(());
        }
        let mut errors: Vec<&ErrorCount> = errors.iter().collect();
        errors.sort_by_key(|error| (std::cmp::Reverse(error.count), &error.doing, &error.what));
        let most = if self.verbosity == Verbosity::Verbose { usize::MAX } else { ERRORS };
        writeln!(out, "\n{BOLD}Errors{BOLD:#}")?;
        for error in errors.iter().take(most) {
            let whose = match error.blame {
                Blame::Local => "this machine's",
                Blame::Server => "the target's",
            };
            let (doing, what) = (printable(&error.doing), printable(&error.what));
            let at = seconds(error.first_ms);
            writeln!(out, "  {:>7}  {doing}: {RED}{what}{RED:#}  {DIM}{whose}, first at {at}{DIM:#}", count(error.count))?;
            if let Some(mend) = &error.mend {
                writeln!(out, "           {}", printable(mend))?;
            }
        }
        if errors.len() > most {
            writeln!(out, "  {DIM}--verbose shows {} more kinds{DIM:#}", errors.len() - most)?;
        }
        Ok(())
    }

    fn thresholds(&self, out: &mut dyn Write, thresholds: &[ThresholdVerdict]) -> io::Result<()> {
        let shown: Vec<&ThresholdVerdict> =
            thresholds.iter().filter(|threshold| self.verbosity != Verbosity::Quiet || !threshold.holds).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let width = shown.iter().map(|threshold| threshold.threshold.chars().count()).max().unwrap_or(0);
        writeln!(out, "\n{BOLD}Thresholds{BOLD:#}")?;
        for ThresholdVerdict { threshold, holds, measured, aborted } in shown {
            let (style, mark) = if *holds { (GREEN, '✓') } else { (RED, '✗') };
            let measured = measured.as_deref().unwrap_or("no sample");
            let aborted = if *aborted { "; it ended the run before its time" } else { "" };
            writeln!(out, "  {style}{mark}{style:#} {:<width$}  {}{aborted}", printable(threshold), printable(measured))?;
        }
        Ok(())
    }

    /// Whether to believe the figures, and by what.
    fn generator(&self, out: &mut dyn Write, measured: &Measured, histograms: &Histograms) -> io::Result<()> {
        let health = &measured.health;
        let style = match health.trust {
            Trust::Trusted => GREEN,
            Trust::Degraded => YELLOW,
            Trust::Invalid => RED,
        };
        let (word, meaning) = (trusted_word(health.trust), trusted(measured));
        writeln!(out, "\n{BOLD}The generator{BOLD:#}: {style}{word}{style:#}, {meaning}")?;
        for reason in &health.reasons {
            writeln!(out, "  {style}•{style:#} {}", printable(reason))?;
        }
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        let lag = self.counted(histograms, Metric::SendLag, Clock::Intended);
        let late_share = if health.sends == 0 { 0.0 } else { health.sends_late as f64 / health.sends as f64 };
        let lag = if lag.is_empty() { String::new() } else { format!("; send lag p99 {} ms", millis(at(&lag, 0.99))) };
        writeln!(out, "  {} of the messages were sent more than {} ms late{lag}", percent(late_share), LATE.as_millis())?;
        if !health.loop_lag_p99_ms.is_empty() {
            let lags: Vec<String> = health.loop_lag_p99_ms.iter().map(|lag| number(*lag)).collect();
            writeln!(out, "  away from its sockets, p99 by thread: {} ms (limit {} ms)", lags.join(", "), LOOP_LAG.as_millis())?;
        }
        if !health.cpu.is_empty() {
            let busy: Vec<String> = health.cpu.iter().map(|busy| percent(*busy)).collect();
            writeln!(out, "  busy, by thread: {} (limit {})", busy.join(", "), percent(BUSY))?;
        }
        writeln!(out, "  {}", taken(health, measured))
    }

    /// What a closed load can't show, and whether its figures agree with each other.
    fn closed(&self, out: &mut dyn Write, measured: &Measured, histograms: &Histograms) -> io::Result<()> {
        if !self.is_closed() {
            return Ok(());
        }
        writeln!(out, "\n{BOLD}What a closed load can't show{BOLD:#}")?;
        writeln!(
            out,
            "  It asks less of a target that is slow: nothing is sent while answers are waited for, so a pause of a second is one late"
        )?;
        writeln!(
            out,
            "  answer for each message in flight, and not the wait of all who would have come in that second. Its percentiles are"
        )?;
        writeln!(out, "  lower than what users meet; take them for how much the target carries, and --rate for how long users wait.")?;
        for law in little(measured, histograms, |phase| self.counts(phase)) {
            let apart = law.is_apart();
            let style = if apart { YELLOW } else { PLAIN };
            writeln!(
                out,
                "  Little's law in {}: {}/s x {} ms (mean echo) = {} in flight; {} were: {style}{:+.1} %{style:#}",
                printable(&law.phase),
                number(law.rate),
                number(law.mean_ms),
                number(law.implied),
                number(law.in_flight),
                law.deviation() * 100.0
            )?;
            if apart {
                let limit = percent(TOLERANCE);
                writeln!(
                    out,
                    "  {YELLOW}That is more than {limit} apart: some messages were not timed, or waited where no clock ran.{YELLOW:#}"
                )?;
            }
        }
        Ok(())
    }
}

fn target(out: &mut dyn Write, header: &Header) -> io::Result<()> {
    writeln!(out, "{BOLD}chatspec load{BOLD:#}  {}  {}  {DIM}seed {}{DIM:#}", header.target.http, header.target.ws, header.seed)?;
    header.target.notes.iter().try_for_each(|note| writeln!(out, "  {DIM}{note}{DIM:#}"))
}

/// A run's conclusion, in a word or a few.
pub fn word(exit_code: u8, trust: Option<Trust>) -> &'static str {
    match (exit_code, trust) {
        (130, _) => "Interrupted",
        (0, _) => "Holds",
        (1, _) => "Fails",
        (3, Some(Trust::Invalid)) => "Not to be believed",
        (3, _) => "Inconclusive",
        _ => "Chatspec failed",
    }
}

fn shards(out: &mut dyn Write, measured: &Measured) -> io::Result<()> {
    if measured.shards.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{BOLD}The shards{BOLD:#}")?;
    let mut table = Table::new(shards::TITLES);
    for (is_well, row) in shards::rows(&measured.shards) {
        table.row(if is_well { PLAIN } else { RED }, row.iter().map(|cell| printable(cell)).collect());
    }
    table.write(out)?;
    for remark in shards::remarks(&measured.shards) {
        writeln!(out, "  {}", printable(&remark))?;
    }
    Ok(())
}

/// A degree of trust in a word.
pub fn trusted_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "trusted",
        Trust::Degraded => "degraded",
        Trust::Invalid => "invalid",
    }
}

/// What the trust in a load's figures means.
pub fn trusted(measured: &Measured) -> String {
    match measured.health.trust {
        Trust::Trusted => "what was measured is the target's".to_owned(),
        Trust::Degraded => "the figures hold some of the generator's own delay".to_owned(),
        Trust::Invalid => format!("{}, so the figures say nothing of the target", why_invalid(measured)),
    }
}

/// The verdict in parts: deliveries, thresholds, generator.
pub fn said(measured: &Measured) -> Vec<String> {
    let Measured { ledger, thresholds, health, .. } = measured;
    let wrong = Wrong::ALL.into_iter().filter(|wrong| ledger.count(*wrong) > 0);
    let wrong: Vec<String> = wrong.map(|wrong| format!("{} {wrong}", count(ledger.count(wrong)))).collect();
    let deliveries = match (wrong.is_empty(), ledger.due) {
        (false, due) => format!("of {}, {}", plural(due, "delivery", "deliveries"), wrong.join(", ")),
        (true, 0) => "no delivery was due".to_owned(),
        (true, due) if ledger.delivered == due => format!("all {} arrived", plural(due, "delivery", "deliveries")),
        (true, due) => format!("{} of {} arrived", count(ledger.delivered), plural(due, "delivery", "deliveries")),
    };
    let broken = thresholds.iter().filter(|threshold| !threshold.holds).count();
    let kept = match (broken, thresholds.len()) {
        (_, 0) => "no threshold was set".to_owned(),
        (0, 1) => "the threshold holds".to_owned(),
        (0, 2) => "both thresholds hold".to_owned(),
        (0, all) => format!("all {all} thresholds hold"),
        (1, 1) => "the threshold doesn't hold".to_owned(),
        (broken, all) => format!("{broken} of {all} thresholds {} hold", if broken == 1 { "doesn't" } else { "don't" }),
    };
    let generator = match health.trust {
        Trust::Invalid => why_invalid(measured),
        trust => format!("the generator is {}", trusted_word(trust)),
    };
    vec![deliveries, kept, generator]
}

fn was(number: u64) -> String {
    format!("{} {}", plural(number, "message", "messages"), if number == 1 { "was" } else { "were" })
}

/// What happened to a delivery that is wrong in this way.
pub fn meaning(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Lost => "the member was in the room all the time, and it never came",
        Wrong::Duplicated => "it came more than once",
        Wrong::Reordered => "it came after a later one of the same sender",
        Wrong::Leaked => "it came to somebody in another room",
        Wrong::Corrupted => "it came altered",
        Wrong::Late => "it came after it had been given up",
    }
}

fn latency_table(title: &str) -> Table {
    let mut titles = [title, "count", "", "", "", "", "", "max"];
    for (place, (_, name)) in PERCENTILES.iter().enumerate() {
        titles[place + 2] = name;
    }
    Table::new(titles)
}

fn at(histogram: &Durations, quantile: f64) -> Duration {
    Duration::from_micros(histogram.value_at_quantile(quantile))
}

/// Adds a row where there are samples. Says whether there were too few for some percentile: of a hundred, the 99.9th is but the maximum.
fn row(table: &mut Table, style: Style, name: String, histogram: &Durations) -> bool {
    if histogram.is_empty() {
        return false;
    }
    let cells = cells(histogram);
    let few = cells.iter().any(|cell| cell == NONE);
    table.row(style, [vec![name], cells.into()].concat());
    few
}

/// How many durations there are, their percentiles, and the longest, in milliseconds. A percentile for which there are too few is left out.
pub fn cells(histogram: &Durations) -> [String; 7] {
    let percentile = |quantile: f64| match histogram.len() as f64 * (1.0 - quantile) >= 0.999 {
        true => millis(at(histogram, quantile)),
        false => NONE.to_owned(),
    };
    let [p50, p90, p99, p999, p9999] = PERCENTILES.map(|(quantile, _)| percentile(quantile));
    [count(histogram.len()), p50, p90, p99, p999, p9999, millis(Duration::from_micros(histogram.max()))]
}

/// Whether durations from the two clocks are worth standing beside each other.
pub fn differ(intended: &Durations, service: &Durations) -> bool {
    let apart = |quantile: f64| {
        let (intended, service) = (intended.value_at_quantile(quantile) as f64, service.value_at_quantile(quantile) as f64);
        (intended - service).abs() > APART * intended.max(service)
    };
    !service.is_empty() && (apart(0.5) || apart(0.99))
}

/// What the generator took of its machine.
pub fn taken(health: &Health, measured: &Measured) -> String {
    let delivered: u64 = measured.phases.iter().map(|phase| phase.delivered).sum();
    let mut parts = vec![format!("took {} s of processor time", number(health.cpu_seconds))];
    if delivered > 0 {
        parts[0].push_str(&format!(" ({} s for 100,000 deliveries)", number(health.cpu_seconds / delivered as f64 * 1e5)));
    }
    parts.push(indicatif::HumanBytes(health.peak_memory_bytes).to_string());
    let limit = if health.descriptor_limit == u64::MAX { String::new() } else { format!(" of {}", count(health.descriptor_limit)) };
    parts.push(format!("{}{limit} descriptors", count(health.peak_descriptors)));
    if health.throttled_ms > 0.0 {
        parts.push(format!("throttled for {}", seconds(health.throttled_ms)));
    }
    parts.join(", ")
}
