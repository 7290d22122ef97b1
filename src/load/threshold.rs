//! Thresholds: what a load's measurements must be for the run to pass.
//!
//! ```text
//! deliver.p99{phase=steady} < 150ms     METRIC.STATISTIC, counted from the intended instant
//! deliver.service.p99.9 < 50ms          METRIC.service.STATISTIC, counted from when it was begun
//! echo.max{size=20} <= 1s               in rooms with 20 places
//! join.count >= 100                     how many there were
//! deliver.rate{phase=burst} > 10000/s   how many a second; `send.rate` and `send.count` are of the messages sent
//! lost == 0                             what the ledger counts, or a percentage of the deliveries that were due
//! completeness >= 99.99%                deliveries that happened, of those that were due
//! errors.server <= 0.1%                 errors, or as a percentage of the sessions begun; `.server`, `.local` or both
//! unsent == 0                           messages never sent, or a percentage of those planned
//! sent-late < 1%                        messages sent more than 10 ms late, or a percentage of those sent
//! ```
//!
//! A statistic is `p` with a number from 0 to 100, `mean`, `min` or `max`. Without a phase, all phases that count are looked at together.
//! The ledger and the errors aren't kept by phase. What there is no sample of doesn't hold.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::event::{Blame, ErrorCount, HistogramError, Measured, PhaseMeasured, PhasePlanned, Planned, ThresholdVerdict};
use crate::ledger::{Account, Wrong};
use crate::scenario::source::nearest;
use crate::stats::{Clock, Durations, Histograms, Metric};

/// How far a projection must lie beyond a limit before a run is ended for it: the projection takes the rest of the plan
/// as it is written, and targets speed up.
const CLEARLY: f64 = 1.5;

/// Beyond the names of metrics, what a threshold may be about.
const OTHERS: [&str; 13] = [
    "send",
    "lost",
    "duplicated",
    "reordered",
    "leaked",
    "corrupted",
    "late",
    "indeterminate",
    "completeness",
    "errors",
    "unsent",
    "sent-late",
    "sent-very-late",
];

/// A condition on what is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    subject: Subject,
    phase: Option<Named>,
    size: Option<u32>,
    relation: Relation,
    limit: Limit,
}

/// A name, with the bytes of the threshold's text at which it stands.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    at: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Subject {
    Durations(Metric, Clock, Statistic),
    Count(Counted),
    Rate(Counted),
    Wrong(Wrong),
    Indeterminate,
    Completeness,
    Errors(Option<Blame>),
    Unsent,
    SentLate,
    SentVeryLate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Percentile(f64),
    Mean,
    Min,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Counted {
    Sent,
    Samples(Metric),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Unequal,
}

const RELATIONS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("!=", Relation::Unequal),
    ("<", Relation::Below),
    (">", Relation::Above),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Micros(f64),
    Count(f64),
    /// Between 0 and 1.
    Share(f64),
    PerSecond(f64),
}

/// A text that is no threshold, or names a phase that the plan doesn't have. It shows the text with the place marked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ThresholdError {
    text: String,
    /// Bytes of the text.
    at: (usize, usize),
    what: String,
    help: String,
}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.text[..self.at.0].chars().count();
        let width = self.text[self.at.0..self.at.1].chars().count().max(1);
        write!(f, "{}\n  {}\n  {:column$}{}\n{}", self.what, self.text, "", "^".repeat(width), self.help)
    }
}

/// What thresholds are checked against: a plan, and what is measured of it so far or in the end.
#[derive(Debug)]
pub struct ThresholdInput<'a> {
    pub planned: &'a Planned,
    pub histograms: Cow<'a, Histograms>,
    pub phases: &'a [PhaseMeasured],
    pub ledger: &'a Account,
    pub errors: &'a [ErrorCount],
}

impl<'a> ThresholdInput<'a> {
    /// From what a log holds.
    ///
    /// # Errors
    /// A histogram that can't be decoded.
    pub fn new(planned: &'a Planned, measured: &'a Measured) -> Result<Self, HistogramError> {
        Ok(Self {
            planned,
            histograms: Cow::Owned(measured.histograms()?),
            phases: &measured.phases,
            ledger: &measured.ledger,
            errors: &measured.errors,
        })
    }
}

/// What was measured, with what it is a part of where it is a share.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Micros(f64),
    Count(f64),
    Share { part: f64, whole: f64 },
    PerSecond(f64),
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Value::Micros(number) | Value::Count(number) | Value::PerSecond(number) => number,
            Value::Share { part, whole } => part / whole,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Micros(micros) if micros < 1_000.0 => write!(f, "{micros:.0} µs"),
            Value::Micros(micros) if micros < 1_000_000.0 => write!(f, "{:.*} ms", if micros < 100_000.0 { 2 } else { 1 }, micros / 1e3),
            Value::Micros(micros) => write!(f, "{:.3} s", micros / 1e6),
            Value::Count(count) => write!(f, "{count}"),
            Value::Share { part, whole } => write!(f, "{}% ({part} of {whole})", (part / whole * 1e8).round() / 1e6),
            Value::PerSecond(rate) => write!(f, "{rate:.1}/s"),
        }
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        Self::parse(text)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// Reads a threshold; the module's documentation shows the language.
    ///
    /// # Errors
    /// What isn't of the language, with its place, the nearest valid name and an example.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        // A line is what the marks below it fit.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut parser = Parser { text: &text, at: 0 };
        let subject = parser.subject()?;
        let (phase, size) = parser.filter(subject)?;
        let relation = parser.relation(subject)?;
        let limit = parser.limit(subject)?;
        let duration = matches!(limit.0, Limit::Micros(_));
        if duration && matches!(relation.0, Relation::Equal | Relation::Unequal) {
            return Err(parser.error(relation.1, "no duration is ever exactly another", "use `<`, `<=`, `>` or `>=`"));
        }
        let (relation, limit) = (relation.0, limit.0);
        Ok(Self { subject, phase, size, relation, limit, text })
    }

    /// Whether it looks at how long things took.
    pub fn needs_histograms(&self) -> bool {
        matches!(self.subject, Subject::Durations(..) | Subject::Count(_))
    }

    /// Whether the plan has the phase that the threshold names, if it names one: to be asked before the run.
    ///
    /// # Errors
    /// A phase that isn't among those given, with the nearest that is.
    pub fn fits<'p>(&self, phases: impl IntoIterator<Item = &'p str>) -> Result<(), ThresholdError> {
        let Some(phase) = &self.phase else { return Ok(()) };
        let phases: Vec<&str> = phases.into_iter().collect();
        if phases.contains(&&*phase.name) {
            return Ok(());
        }
        let (what, help) = (format!("the plan has no phase `{}`", phase.name), one_of(&phase.name, &phases));
        Err(ThresholdError { text: self.text.clone(), at: phase.at, what, help })
    }

    /// Whether it holds for all that was measured. What there is no sample of doesn't hold.
    pub fn check(&self, input: &ThresholdInput<'_>) -> ThresholdVerdict {
        let measured = self.measure(input);
        let holds = measured.is_some_and(|value| self.relation.holds(value.number(), self.limit.number()));
        ThresholdVerdict { threshold: self.text.clone(), holds, measured: measured.map(|value| value.to_string()), aborted: false }
    }

    /// Whether a run may be ended now, since the threshold will be broken whatever still comes: to be asked while it
    /// goes on, with what is measured so far and the time since its start.
    ///
    /// Two kinds are beyond mending. A count that only rises (deliveries that went wrong, errors, messages unsent or sent
    /// late, samples) and a maximum, where it must stay below something (`<`, `<=`, `==`) and doesn't; a minimum the other way round. And, once `grace` of
    /// the phases that it looks at has passed, a percentile, a mean or a share that must stay below something, where even a
    /// flawless rest of the plan would leave it beyond one and a half times what is allowed. Rates and `completeness` are never given up early.
    pub fn hopeless(&self, input: &ThresholdInput<'_>, elapsed: Duration, grace: Duration) -> Option<ThresholdVerdict> {
        let value = self.measure(input)?;
        let (number, limit) = (value.number(), self.limit.number());
        let upper = matches!(self.relation, Relation::Below | Relation::AtMost | Relation::Equal);
        let exceeded = match self.relation {
            Relation::Below => at_least(number, limit),
            _ => !at_least(limit, number),
        };
        let hopeless = match (self.subject, value) {
            (Subject::Completeness | Subject::Rate(_) | Subject::Indeterminate, _) => false,
            (_, Value::Count(_)) | (Subject::Durations(_, _, Statistic::Max), _) => upper && exceeded,
            (Subject::Durations(_, _, Statistic::Min), _) => match self.relation {
                Relation::Above => at_least(limit, number),
                Relation::AtLeast => !at_least(number, limit),
                _ => false,
            },
            _ if !upper || !exceeded => false,
            (subject, value) => {
                let (passed, share) = self.passed(input.planned, elapsed);
                if passed < grace || share <= 0.0 {
                    return None;
                }
                match (subject, value) {
                    (Subject::Durations(metric, clock, Statistic::Percentile(percentage)), _) => {
                        let durations = self.select(input, metric, clock);
                        let above = durations.len() as f64 * (1.0 - durations.quantile_below(limit as u64));
                        above > CLEARLY * (1.0 - percentage / 100.0) * durations.len() as f64 / share
                    }
                    (_, Value::Share { part, whole }) => part > CLEARLY * limit * whole / share,
                    _ => number * share > CLEARLY * limit,
                }
            }
        };
        hopeless.then(|| ThresholdVerdict { threshold: self.text.clone(), holds: false, measured: Some(value.to_string()), aborted: true })
    }

    /// The phases of the plan that it looks at.
    fn phases<'p>(&self, planned: &'p Planned) -> Vec<&'p PhasePlanned> {
        let by_phase = !matches!(self.subject, Subject::Wrong(_) | Subject::Indeterminate | Subject::Completeness | Subject::Errors(_));
        let chosen = |phase: &&PhasePlanned| match &self.phase {
            Some(named) => phase.name == named.name,
            None => phase.counts || !by_phase,
        };
        planned.phases.iter().filter(chosen).collect()
    }

    fn measured<'m>(&self, input: &ThresholdInput<'m>) -> Vec<&'m PhaseMeasured> {
        let phases = self.phases(input.planned);
        input.phases.iter().filter(|phase| phases.iter().any(|planned| planned.name == phase.name)).collect()
    }

    fn select(&self, input: &ThresholdInput<'_>, metric: Metric, clock: Clock) -> Durations {
        let mut sum = crate::stats::durations();
        for phase in self.phases(input.planned) {
            let part = input.histograms.select(metric, clock, Some(&phase.name), self.size);
            sum.add(&part).expect("the sum grows as needed");
        }
        sum
    }

    fn measure(&self, input: &ThresholdInput<'_>) -> Option<Value> {
        let phases = self.measured(input);
        let sum = |of: fn(&PhaseMeasured) -> u64| phases.iter().map(|phase| of(phase)).sum::<u64>() as f64;
        let as_share = matches!(self.limit, Limit::Share(_));
        // Where there is no whole, nothing was tried, and nothing can be said.
        let part = |part: f64, whole: f64| match (as_share, whole > 0.0) {
            (true, true) => Some(Value::Share { part, whole }),
            (false, tried) if tried || part > 0.0 => Some(Value::Count(part)),
            _ => None,
        };
        let due = input.ledger.due as f64;
        match self.subject {
            Subject::Durations(metric, clock, statistic) => {
                let durations = self.select(input, metric, clock);
                let micros = match statistic {
                    Statistic::Percentile(percentage) => durations.value_at_quantile(percentage / 100.0) as f64,
                    Statistic::Mean => durations.mean(),
                    Statistic::Min => durations.min() as f64,
                    Statistic::Max => durations.max() as f64,
                };
                (!durations.is_empty()).then_some(Value::Micros(micros))
            }
            Subject::Count(Counted::Sent) => Some(Value::Count(sum(|phase| phase.sent))),
            Subject::Count(Counted::Samples(metric)) => Some(Value::Count(self.select(input, metric, Clock::Intended).len() as f64)),
            Subject::Rate(counted) => {
                let seconds: f64 = phases.iter().map(|phase| phase.seconds).sum();
                let count = match counted {
                    Counted::Sent => sum(|phase| phase.sent),
                    // Deliveries count where they happened, durations where they were intended; a rate is of what happened.
                    Counted::Samples(Metric::Deliver) if self.size.is_none() => sum(|phase| phase.delivered),
                    Counted::Samples(metric) => self.select(input, metric, Clock::Intended).len() as f64,
                };
                (seconds > 0.0).then(|| Value::PerSecond(count / seconds))
            }
            Subject::Wrong(wrong) => part(input.ledger.count(wrong) as f64, due),
            Subject::Indeterminate => part(input.ledger.indeterminate as f64, due),
            Subject::Completeness => part(input.ledger.delivered as f64, due),
            Subject::Errors(blame) => {
                let count = |errors: &mut dyn Iterator<Item = &ErrorCount>| errors.map(|error| error.count).sum::<u64>() as f64;
                let failed = count(&mut input.errors.iter().filter(|error| error.doing == Metric::Connect.name()));
                let begun = input
                    .histograms
                    .select(Metric::Connect, Clock::Service, None, None)
                    .len()
                    .max(input.histograms.select(Metric::Connect, Clock::Intended, None, None).len()) as f64;
                part(count(&mut input.errors.iter().filter(|error| blame.is_none_or(|blame| error.blame == blame))), begun + failed)
            }
            Subject::Unsent => part(sum(|phase| phase.unsent_target + phase.unsent_generator), sum(|phase| phase.planned.max(phase.sent))),
            Subject::SentLate => part(sum(|phase| phase.sent_late), sum(|phase| phase.sent)),
            Subject::SentVeryLate => part(sum(|phase| phase.sent_very_late), sum(|phase| phase.sent)),
        }
    }

    /// How long the phases that it looks at have lasted by now, and which part of what is to be sent in them is behind.
    fn passed(&self, planned: &Planned, elapsed: Duration) -> (Duration, f64) {
        let now = elapsed.as_secs_f64() * 1000.0;
        let phases = self.phases(planned);
        let by_messages = phases.iter().all(|phase| phase.rate.is_some());
        let (mut millis, mut behind, mut all) = (0.0, 0.0, 0.0);
        for phase in phases {
            let length = phase.end_ms - phase.start_ms;
            let passed = (now - phase.start_ms).clamp(0.0, length.max(0.0));
            let (from, to) = phase.rate.filter(|_| by_messages).unwrap_or((1.0, 1.0));
            let rate_now = from + (to - from) * if length > 0.0 { passed / length } else { 0.0 };
            millis += passed;
            behind += passed * f64::midpoint(from, rate_now);
            all += length * f64::midpoint(from, to);
        }
        (Duration::from_secs_f64(millis / 1000.0), if all > 0.0 { behind / all } else { 0.0 })
    }
}

/// The relative difference below which two numbers are taken for one: a percentage has no exact binary form.
const NOTHING: f64 = 1e-12;

fn at_least(one: f64, other: f64) -> bool {
    one >= other - NOTHING * other.abs()
}

impl Relation {
    fn holds(self, measured: f64, limit: f64) -> bool {
        let (least, most) = (at_least(measured, limit), at_least(limit, measured));
        match self {
            Relation::Below => !least,
            Relation::AtMost => most,
            Relation::Above => !most,
            Relation::AtLeast => least,
            Relation::Equal => least && most,
            Relation::Unequal => !(least && most),
        }
    }
}

impl Limit {
    fn number(self) -> f64 {
        match self {
            Limit::Micros(number) | Limit::Count(number) | Limit::Share(number) | Limit::PerSecond(number) => number,
        }
    }
}

impl Subject {
    /// Whether it is kept by phase, and by room size.
    fn filters(self) -> (bool, bool) {
        match self {
            Subject::Durations(..) | Subject::Count(Counted::Samples(_)) | Subject::Rate(Counted::Samples(_)) => (true, true),
            Subject::Count(Counted::Sent) | Subject::Rate(Counted::Sent) => (true, false),
            Subject::Unsent | Subject::SentLate | Subject::SentVeryLate => (true, false),
            Subject::Wrong(_) | Subject::Indeterminate | Subject::Completeness | Subject::Errors(_) => (false, false),
        }
    }

    /// What its limit is, and a limit such as it takes.
    fn takes(self) -> (&'static str, &'static str) {
        match self {
            Subject::Durations(..) => ("a duration", "< 150ms"),
            Subject::Count(_) => ("a number", ">= 100"),
            Subject::Rate(_) => ("a rate", ">= 1900/s"),
            Subject::Completeness => ("a percentage", ">= 99.99%"),
            _ => ("a number or a percentage", "<= 0.1%"),
        }
    }
}

fn one_of(wrong: &str, valid: &[&str]) -> String {
    match nearest(wrong, valid.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if valid.is_empty() => "there is none.".to_owned(),
        None => format!("there is {}.", valid.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Place = (usize, usize);

impl<'a> Parser<'a> {
    fn error(&self, at: Place, what: impl Into<String>, help: impl Into<String>) -> ThresholdError {
        ThresholdError { text: self.text.to_owned(), at, what: what.into(), help: help.into() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// What stands here as far as the characters are of a kind, possibly nothing.
    fn take(&mut self, kind: impl Fn(char) -> bool) -> (&'a str, Place) {
        let start = self.at;
        let length = self.rest().find(|c| !kind(c)).unwrap_or(self.rest().len());
        self.at += length;
        (&self.text[start..self.at], (start, self.at))
    }

    fn word(&mut self) -> (&'a str, Place) {
        self.take(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    }

    fn eat(&mut self, what: &str) -> bool {
        let there = self.rest().starts_with(what);
        self.at += if there { what.len() } else { 0 };
        there
    }

    /// What stands here, to be marked where something else had to.
    fn here(&self) -> Place {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        (self.at, self.at + length)
    }

    fn subject(&mut self) -> Result<Subject, ThresholdError> {
        let (name, at) = self.word();
        let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name);
        if let Some(metric) = metric {
            return self.of_metric(metric);
        }
        let subject = match name {
            "send" => return self.of_sent(),
            "errors" => return self.of_errors(),
            "indeterminate" => Subject::Indeterminate,
            "completeness" => Subject::Completeness,
            "unsent" => Subject::Unsent,
            "sent-late" => Subject::SentLate,
            "sent-very-late" => Subject::SentVeryLate,
            _ => match Wrong::ALL.into_iter().find(|wrong| wrong.name() == name) {
                Some(wrong) => Subject::Wrong(wrong),
                None => {
                    let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).chain(OTHERS).collect();
                    let (at, what) = match name {
                        "" => (self.here(), "a threshold begins with what is measured".to_owned()),
                        name => (at, format!("nothing that is measured is called `{name}`")),
                    };
                    return Err(self.error(at, what, format!("{} Examples: `deliver.p99 < 150ms`, `lost == 0`", one_of(name, &names))));
                }
            },
        };
        if self.rest().starts_with('.') {
            return Err(self.error(self.here(), format!("`{name}` has no parts"), format!("such as `{name} {}`", subject.takes().1)));
        }
        Ok(subject)
    }

    fn of_metric(&mut self, metric: Metric) -> Result<Subject, ThresholdError> {
        let name = metric.name();
        let example = format!("Examples: `{name}.p99 < 150ms`, `{name}.count >= 100`");
        if !self.eat(".") {
            return Err(self.error(self.here(), format!("`{name}` needs a statistic"), example));
        }
        let clock = if self.eat("service.") { Clock::Service } else { Clock::Intended };
        let (word, mut at) = self.word();
        let statistic = match word {
            "mean" => Statistic::Mean,
            "min" => Statistic::Min,
            "max" => Statistic::Max,
            "count" if clock == Clock::Intended => return Ok(Subject::Count(Counted::Samples(metric))),
            "rate" if clock == Clock::Intended => return Ok(Subject::Rate(Counted::Samples(metric))),
            word => {
                if word.starts_with('p') && word[1..].chars().all(|c| c.is_ascii_digit()) && self.eat(".") {
                    at.1 = self.take(|c| c.is_ascii_digit()).1.1;
                }
                let written = &self.text[at.0..at.1];
                let number = written.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
                match number {
                    Some(number) if (0.0..=100.0).contains(&number) => Statistic::Percentile(number),
                    _ => {
                        // Whoever writes p999 means thousandths.
                        let fractions = written.strip_prefix("p9").filter(|more| more.len() > 1 && more.bytes().all(|byte| byte == b'9'));
                        let known = ["p50", "p90", "p99", "p99.9", "p99.99", "mean", "min", "max", "count", "rate", "service"];
                        let mut help = match fractions {
                            Some(more) => format!("did you mean `p99.{}`?", &more[1..]),
                            None if number.is_some() => "a percentile lies between p0 and p100.".to_owned(),
                            None => one_of(written, &known),
                        };
                        if clock == Clock::Service && matches!(word, "count" | "rate") {
                            help = format!("Of which clock makes no difference to `{name}.{word}`.");
                        }
                        return Err(self.error(at, format!("`{written}` is no statistic of durations"), format!("{help} {example}")));
                    }
                }
            }
        };
        Ok(Subject::Durations(metric, clock, statistic))
    }

    fn of_sent(&mut self) -> Result<Subject, ThresholdError> {
        let dot = self.eat(".");
        let (word, at) = if dot { self.word() } else { ("", self.here()) };
        match word {
            "rate" => Ok(Subject::Rate(Counted::Sent)),
            "count" => Ok(Subject::Count(Counted::Sent)),
            _ => Err(self.error(
                at,
                "of what is sent there is the rate and the count",
                "such as `send.rate >= 1900/s` or `send.count >= 1000`",
            )),
        }
    }

    fn of_errors(&mut self) -> Result<Subject, ThresholdError> {
        if !self.eat(".") {
            return Ok(Subject::Errors(None));
        }
        match self.word() {
            ("server", _) => Ok(Subject::Errors(Some(Blame::Server))),
            ("local", _) => Ok(Subject::Errors(Some(Blame::Local))),
            (word, at) => {
                let help = format!("{} An example: `errors.server <= 0.1%`", one_of(word, &["server", "local"]));
                Err(self.error(at, format!("nobody called `{word}` makes errors"), help))
            }
        }
    }

    fn filter(&mut self, subject: Subject) -> Result<(Option<Named>, Option<u32>), ThresholdError> {
        let (mut phase, mut size) = (None, None);
        self.skip();
        let start = self.at;
        if !self.eat("{") {
            return Ok((phase, size));
        }
        let (by_phase, by_size) = subject.filters();
        if !by_phase {
            let close = self.rest().find('}').map_or(self.text.len(), |at| self.at + at + 1);
            return Err(self.error(
                (start, close),
                "this is kept for the whole run only, not by phase or room size",
                "leave out the braces",
            ));
        }
        loop {
            self.skip();
            let (key, at) = self.word();
            self.skip();
            if !matches!(key, "phase" | "size") || (key == "size" && !by_size) {
                let keys: &[&str] = if by_size { &["phase", "size"] } else { &["phase"] };
                let what =
                    if key.is_empty() { "a filter begins with its key".to_owned() } else { format!("there is no filter `{key}` here") };
                return Err(self.error(at, what, format!("{} An example: `{{phase=steady}}`", one_of(key, keys))));
            }
            if !self.eat("=") {
                return Err(self.error(self.here(), format!("`{key}` needs `=` and a value"), "as in `{phase=steady}` or `{size=20}`"));
            }
            self.skip();
            let (value, at) = self.take(|c| !matches!(c, ',' | '}' | ' '));
            match (key, value.parse::<u32>()) {
                ("phase", _) if !value.is_empty() => phase = Some(Named { name: value.to_owned(), at }),
                ("size", Ok(number)) => size = Some(number),
                ("size", Err(_)) => return Err(self.error(at, "a size is a number of places", "as in `{size=20}`")),
                _ => return Err(self.error(self.here(), "the phase's name is missing", "as in `{phase=steady}`")),
            }
            self.skip();
            if self.eat("}") {
                return Ok((phase, size));
            }
            if !self.eat(",") {
                return Err(self.error(self.here(), "the filter doesn't end here", "close it with `}`, as in `{phase=steady, size=20}`"));
            }
        }
    }

    fn relation(&mut self, subject: Subject) -> Result<(Relation, Place), ThresholdError> {
        self.skip();
        let start = self.at;
        match RELATIONS.into_iter().find(|(sign, _)| self.eat(sign)) {
            Some((_, relation)) => Ok((relation, (start, self.at))),
            None => {
                let (what, takes) = ("a comparison has to stand here", subject.takes().1);
                let help = format!("one of `<`, `<=`, `>`, `>=`, `==`, `!=`, as in `{} {takes}`", self.text[..start].trim_end());
                Err(self.error(self.here(), what, help))
            }
        }
    }

    fn limit(&mut self, subject: Subject) -> Result<(Limit, Place), ThresholdError> {
        self.skip();
        let (digits, number_at) = self.take(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
        let number = digits.replace('_', "").parse::<f64>();
        self.skip();
        let (unit, unit_at) = self.take(|c| c != ' ');
        let (takes, example) = subject.takes();
        let help = format!(
            "as in `{}`",
            self.text[..number_at.0].trim_end().trim_end_matches(['<', '>', '=', '!']).trim_end().to_owned() + " " + example
        );
        let Ok(number) = number else {
            let at = (number_at.0, unit_at.1.max(number_at.1));
            return Err(self.error(at, format!("{takes} has to stand here"), help));
        };
        self.skip();
        if !self.rest().is_empty() {
            return Err(self.error((self.at, self.text.len()), "the threshold ends before this", "give each threshold on its own"));
        }
        let micros = match unit {
            "us" | "µs" | "μs" => Some(1.0),
            "ms" => Some(1e3),
            "s" => Some(1e6),
            "m" | "min" => Some(60e6),
            "h" => Some(3600e6),
            _ => None,
        };
        let limit = match (takes, unit, micros) {
            ("a duration", _, Some(micros)) => Some(Limit::Micros(number * micros)),
            ("a rate", "/s", _) => Some(Limit::PerSecond(number)),
            ("a rate", "/m" | "/min", _) => Some(Limit::PerSecond(number / 60.0)),
            ("a rate", "/h", _) => Some(Limit::PerSecond(number / 3600.0)),
            ("a percentage" | "a number or a percentage", "%", _) => Some(Limit::Share(number / 100.0)),
            ("a number" | "a number or a percentage", "", _) => Some(Limit::Count(number)),
            _ => None,
        };
        let at = (number_at.0, unit_at.1);
        match limit {
            Some(Limit::Share(share)) if share > 1.0 => Err(self.error(at, "a percentage is at most 100%", help)),
            Some(limit) => Ok((limit, at)),
            None if unit.is_empty() => Err(self.error(at, format!("{takes} needs a unit"), help)),
            None => Err(self.error(unit_at, format!("`{unit}` is no unit of {takes}"), help)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Recorded;
    use crate::stats::{Key, durations, record};

    fn planned() -> Planned {
        let phase = |name: &str, start_ms, end_ms, rate, counts| PhasePlanned {
            name: name.into(),
            kind: name.into(),
            start_ms,
            end_ms,
            rate: Some((rate, rate)),
            counts,
        };
        Planned {
            profile: "p".into(),
            hash: "h".into(),
            resolved: String::new(),
            clients: 40,
            rooms: 2,
            largest: 20,
            phases: vec![
                phase("arrive", 0.0, 1_000.0, 0.0, false),
                phase("steady", 1_000.0, 11_000.0, 100.0, true),
                phase("burst", 11_000.0, 21_000.0, 300.0, true),
            ],
            messages: Some(4_000),
            threads: 1,
            shard: None,
        }
    }

    /// Deliveries of 1 to 100 ms in `steady`, of 10 to 1,000 ms in `burst`, a tenth of them in rooms of 5; connects in `arrive`.
    fn measured() -> Measured {
        let mut histograms = Histograms::default();
        let mut add = |metric, clock, phase: &str, size, millis: u64| {
            let key = Key { metric, clock, phase: phase.into(), size };
            record(histograms.0.entry(key).or_insert_with(durations), Duration::from_millis(millis));
        };
        for millis in 1..=100 {
            let size = if millis % 10 == 0 { 5 } else { 20 };
            add(Metric::Deliver, Clock::Intended, "steady", size, millis);
            add(Metric::Deliver, Clock::Intended, "burst", size, millis * 10);
            add(Metric::Deliver, Clock::Service, "steady", size, 2);
            add(Metric::Connect, Clock::Intended, "arrive", size, 3);
        }
        let phase = |name: &str, planned, sent_late| PhaseMeasured {
            name: name.into(),
            seconds: 10.0,
            planned,
            sent: planned - 10,
            sent_late,
            unsent_target: 10,
            delivered: 20 * planned,
            ..PhaseMeasured::default()
        };
        let error = |doing: Metric, blame, count| ErrorCount {
            doing: doing.name().into(),
            blame,
            what: "reset".into(),
            count,
            first_ms: 1.0,
            mend: None,
        };
        Measured {
            histograms: Recorded::all(&histograms),
            phases: vec![phase("steady", 1_000, 99), phase("burst", 3_000, 0)],
            ledger: Account { sent: 3_980, due: 80_000, delivered: 79_992, lost: 8, ..Account::default() },
            errors: vec![error(Metric::Connect, Blame::Server, 25), error(Metric::Echo, Blame::Local, 5)],
            ..Measured::default()
        }
    }

    fn check(threshold: &str, holds: bool, found: Option<&str>) {
        let (planned, measured) = (planned(), measured());
        let input = ThresholdInput::new(&planned, &measured).expect("its histograms are sound");
        let verdict = Threshold::parse(threshold).unwrap_or_else(|error| panic!("{error}")).check(&input);
        assert_eq!((verdict.holds, verdict.measured.as_deref()), (holds, found), "{threshold}");
    }

    #[test]
    fn durations_are_taken_of_a_clock_a_phase_and_a_size() {
        check("deliver.p99{phase=steady} < 150ms", true, Some("99.01 ms"));
        check("deliver.p50{phase=steady} < 50ms", false, Some("50.02 ms"));
        check("deliver.p50 {phase = steady , size = 5} <= 0.06s", true, Some("50.02 ms"));
        check("deliver.max{phase=burst} <= 1s", false, Some("1.000 s"));
        check("deliver.max < 1_001 ms", true, Some("1.000 s"));
        check("deliver.min >= 1ms", true, Some("1.00 ms"));
        check("deliver.service.p99.9 <= 2.1ms", true, Some("2.00 ms"));
        check("deliver.mean{phase=steady} > 50ms", true, Some("50.50 ms"));
        check("connect.p99{phase=arrive} < 10000us", true, Some("3.00 ms"));
    }

    #[test]
    fn what_there_is_no_sample_of_does_not_hold() {
        check("connect.p99 < 10ms", false, None);
        check("deliver.p99{size=7} > 0ms", false, None);
        check("deliver.rate{phase=arrive} >= 0/s", false, None);
        check("echo.count == 0", true, Some("0"));
        let (planned, nothing) = (planned(), Measured::default());
        let input = ThresholdInput::new(&planned, &nothing).expect("no histogram");
        for text in ["lost == 0", "completeness >= 0%", "errors == 0", "unsent == 0", "sent-late < 1%", "duplicated <= 1%"] {
            let verdict = Threshold::parse(text).expect("it is one").check(&input);
            assert_eq!((verdict.holds, verdict.measured), (false, None), "{text}");
        }
    }

    #[test]
    fn counts_shares_and_rates_are_of_the_phases_that_count() {
        check("lost == 0", false, Some("8"));
        check("lost <= 0.01%", true, Some("0.01% (8 of 80000)"));
        check("duplicated == 0", true, Some("0"));
        check("completeness >= 99.99%", true, Some("99.99% (79992 of 80000)"));
        check("completeness > 99.99%", false, Some("99.99% (79992 of 80000)"));
        check("send.rate >= 199/s", true, Some("199.0/s"));
        check("send.rate{phase=steady} >= 6000/m", false, Some("99.0/s"));
        check("send.count != 0", true, Some("3980"));
        check("deliver.rate{phase=burst} > 10000/s", false, Some("6000.0/s"));
        check("deliver.rate{size=5} >= 1/s", true, Some("1.0/s"));
        check("deliver.count >= 200", true, Some("200"));
        check("errors == 0", false, Some("30"));
        check("errors.server <= 20%", true, Some("20% (25 of 125)"));
        check("errors.local < 4%", false, Some("4% (5 of 125)"));
        check("unsent == 0", false, Some("20"));
        check("unsent{phase=burst} <= 0.4%", true, Some("0.333333% (10 of 3000)"));
        check("sent-late < 2.4876%", true, Some("2.487437% (99 of 3980)"));
        check("sent-very-late == 0", true, Some("0"));
    }

    #[test]
    fn mistakes_show_their_place_the_nearest_name_and_an_example() {
        let mistakes: Vec<String> = [
            "",
            "delivr.p99 < 150ms",
            "deliver < 150ms",
            "deliver.p999 < 150ms",
            "deliver.p101 < 150ms",
            "deliver.median < 150ms",
            "deliver.service.count > 3",
            "deliver.p99 < 150",
            "deliver.p99 < 150 potatoes",
            "deliver.p99 = 150ms",
            "deliver.p99 == 150ms",
            "deliver.p99",
            "deliver.p99 <",
            "deliver.p99 < 1ms and lost == 0",
            "deliver.p99{phse=steady} < 150ms",
            "deliver.p99{phase} < 150ms",
            "deliver.p99{phase=} < 150ms",
            "deliver.p99{phase=steady < 150ms",
            "deliver.p99{size=big} < 150ms",
            "lost{phase=steady} == 0",
            "lost.count == 0",
            "send.rate{size=5} > 1/s",
            "send.p99 < 1ms",
            "send.rate > 100",
            "errors.sever == 0",
            "completeness >= 99.99",
            "completeness >= 999%",
            "延迟.p99 < 1ms",
        ]
        .into_iter()
        .map(|text| Threshold::parse(text).expect_err(text).to_string())
        .collect();
        insta::assert_snapshot!(mistakes.join("\n\n"));
    }

    #[test]
    fn a_phase_that_the_plan_lacks_is_a_mistake_before_the_run() {
        let fits = |text: &str| Threshold::parse(text).expect("it is one").fits(["arrive", "steady", "burst"]);
        assert!(fits("deliver.p99{phase=steady} < 150ms").is_ok());
        assert!(fits("deliver.p99 < 150ms").is_ok());
        insta::assert_snapshot!(fits("deliver.p99{size=5, phase=stedy} < 150ms").expect_err("there is no such phase"), @r"
        the plan has no phase `stedy`
          deliver.p99{size=5, phase=stedy} < 150ms
                                    ^^^^^
        did you mean `steady`?
        ");
    }

    fn hopeless(text: &str, seconds: u64) -> bool {
        let (planned, measured) = (planned(), measured());
        let input = ThresholdInput::new(&planned, &measured).expect("its histograms are sound");
        let threshold = Threshold::parse(text).expect("it is one");
        let verdict = threshold.hopeless(&input, Duration::from_secs(seconds), Duration::from_secs(2));
        assert!(verdict.as_ref().is_none_or(|verdict| verdict.aborted && !verdict.holds && verdict.measured.is_some()));
        verdict.is_some()
    }

    #[test]
    fn a_run_ends_early_only_for_what_cannot_mend_itself() {
        // A count that rises is beyond mending at once.
        assert!(hopeless("lost == 0", 1));
        assert!(hopeless("lost < 8", 1));
        assert!(!hopeless("lost <= 8", 1));
        assert!(!hopeless("lost >= 9", 1));
        assert!(hopeless("errors.local <= 4", 1));
        assert!(hopeless("deliver.max < 900ms", 1));
        assert!(hopeless("deliver.min > 1ms", 1));
        assert!(!hopeless("deliver.min >= 1ms", 1));
        // A percentile may still mend itself, until too much lies beyond its limit.
        assert!(!hopeless("deliver.p50{phase=steady} < 40ms", 2), "before the grace time");
        assert!(!hopeless("deliver.p50{phase=steady} < 40ms", 4), "60 % so far is 18 % of the whole");
        assert!(!hopeless("deliver.p50{phase=steady} < 40ms", 10), "beyond, but not clearly");
        assert!(hopeless("deliver.p90{phase=steady} < 40ms", 5), "60 % of two fifths is 24 % of the whole, of which 10 % may be");
        assert!(hopeless("deliver.mean{phase=steady} < 5ms", 4));
        assert!(!hopeless("deliver.mean{phase=steady} < 20ms", 4));
        // Messages count, not time: after half of the time a quarter is behind.
        assert!(hopeless("sent-late < 0.3%", 11));
        assert!(!hopeless("sent-late < 0.6%", 11));
        // These mend themselves.
        assert!(!hopeless("completeness == 100%", 20));
        assert!(!hopeless("deliver.rate > 10000/s", 20));
        assert!(!hopeless("connect.p99 < 1ms", 20), "no sample yet");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "(deliver|lost|echo|errors|send|\\PC{0,5})(\\.(p99|service|rate|\\PC{0,3})){0,2}(\\{(phase|size|\\PC)=?\\PC{0,3}\\}?)? ?(<|>=|==|\\PC)? ?[0-9.]{0,4}\\PC{0,4}") {
            if let Err(error) = Threshold::parse(&text) {
                prop_assert_eq!(error.to_string().lines().count(), 4, "{}", error);
            }
        }

        #[test]
        fn what_is_shown_is_what_is_parsed(text in "(deliver\\.p9[0-9](\\.9)?|join\\.max)(\\{phase=[a-z]{1,9}\\})? (<|<=|>|>=) [1-9][0-9]{0,3}(us|ms|s)") {
            let threshold = Threshold::parse(&text).expect("it is one");
            prop_assert_eq!(threshold.to_string(), text.as_str());
            let spaced = text.replace('{', " { ").replace('}', " } ").replace('=', " = ").replace("<  =", "<=").replace("< =", "<=").replace("> =", ">=");
            let other = Threshold::parse(&spaced).expect("spaces don't matter");
            prop_assert_eq!(other.limit, threshold.limit);
            prop_assert_eq!(other.phase.map(|phase| phase.name), threshold.phase.map(|phase| phase.name));
        }
    }
}
