//! The event log: what a run tells to everything that shows results. One line of JSON per event, a header first and a
//! footer last, so that a truncated log can't look complete.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ledger::{Account, Wrong};
use crate::matrix::{Summary, Trial};
use crate::reading::{Fact, Held};
use crate::requirement::RequirementId;
use crate::stats::encoding::{self, DecodeError};
use crate::stats::{Clock, Histograms, Key, Metric};
use crate::verdict::{CountsAs, KnownVerdict, Outcome, ScenarioVerdict};

/// The version of the log's form; it rises when a reader of the old form would misread the new one.
pub const LOG_VERSION: u32 = 2;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Started(Header),
    /// What was found out about the target, before the first scenario.
    Readings {
        at_ms: f64,
        readings: BTreeMap<String, Held>,
        facts: BTreeMap<String, Fact>,
        /// The fences that work with this target, the preferred first.
        fences: Vec<String>,
    },
    ScenarioStarted {
        at_ms: f64,
        scenario: String,
        run: u32,
    },
    Exchange(Exchange),
    Frame(Frame),
    /// A step's result.
    Step {
        at_ms: f64,
        scenario: String,
        run: u32,
        place: String,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    ScenarioFinished(Box<ScenarioVerdict>),
    /// What the suite said of a server of which it is known what is wrong with it.
    Tried(Box<Trial>),
    /// What a load shall be, resolved: from it and the seed follows everything that is sent.
    Planned(Box<Planned>),
    /// A second of a load.
    Second(Box<Second>),
    /// What a load came to.
    Measured(Box<Measured>),
    Finished(Footer),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    pub log_version: u32,
    /// The version of chatspec.
    pub version: String,
    pub command: String,
    pub target: TargetShown,
    pub protocol: String,
    /// SHA-256 of the suite's files.
    pub suite: String,
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started: String,
    /// How many scenarios will be played, repetitions included.
    pub scenarios: usize,
    pub repeat: u32,
    pub strict: bool,
    /// What every name on the wire of this run holds, and no other run's.
    pub nonce: String,
    /// What the command was given.
    pub given: Given,
    /// The rest of the command that repeats this run, for the line that reproduces a failure.
    pub reproduce: String,
}

/// What a command was given about its target and its suite, so that it can be given again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Given {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ws: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<String>,
    /// The names of headers; their values may be secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The folder of the scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenarios: Option<String>,
    /// How long each wait may take, in milliseconds.
    pub timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TargetShown {
    pub http: String,
    pub ws: String,
    /// What the user should know of how these came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An HTTP request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// When the request was sent.
    pub at_ms: f64,
    pub took_ms: f64,
    pub scenario: String,
    pub run: u32,
    pub actor: String,
    pub method: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Record>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Something that went over, or happened to, a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    pub at_ms: f64,
    pub scenario: String,
    pub run: u32,
    pub actor: String,
    pub direction: Direction,
    /// `text`, `binary`, `ping`, `pong`, `close`, `bytes`, `connect`, `end`, …
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Record>,
    /// It belongs to a fence.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fence: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Sent,
    Received,
    /// It happened here: a connect, an end.
    Here,
}

/// A payload, whole where it is short, else its length, hash and ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    Whole(String),
    Long { bytes: usize, sha256: String, start: String, end: String },
}

impl Record {
    /// Bytes above this are not kept whole.
    pub const LIMIT: usize = 4096;

    pub fn new(bytes: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if bytes.len() <= Self::LIMIT {
            return Record::Whole(text(bytes));
        }
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Record::Long { bytes: bytes.len(), sha256, start: text(&bytes[..256]), end: text(&bytes[bytes.len() - 64..]) }
    }

    /// In one line, for a person.
    pub fn shown(&self) -> String {
        match self {
            Record::Whole(text) => crate::scenario::pattern::shorten(text),
            Record::Long { bytes, start, end, .. } => {
                let start: String = start.chars().take(120).collect();
                format!("{start}… {bytes} bytes in all …{end}")
            }
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Footer {
    pub at_ms: f64,
    pub exit_code: u8,
    pub interrupted: bool,
    /// Why the run says less than it might: the time ran out, nobody answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub requirements: BTreeMap<RequirementId, Outcome>,
    /// What each requirement's outcome counts as in this run.
    pub counts: BTreeMap<RequirementId, CountsAs>,
    /// What became of the list of known failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownVerdict>,
    pub scenarios: BTreeMap<String, Outcome>,
    /// What the suite is worth, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Summary>,
}

/// A load's plan, for a reader and for the machine that merges or compares runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// The profile's name; `flags` where there was none.
    pub profile: String,
    /// SHA-256 of the resolved profile.
    pub hash: String,
    /// The resolved profile, as YAML that `load` takes.
    pub resolved: String,
    pub clients: u32,
    pub rooms: u32,
    /// The largest room.
    pub largest: u32,
    pub phases: Vec<PhasePlanned>,
    /// Messages that the plan wants sent; `None` in a closed load, where the target sets the pace.
    pub messages: Option<u64>,
    pub threads: u32,
    /// `I/N`, where this process holds only a part of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PhasePlanned {
    pub name: String,
    /// `warm-up`, `ramp`, `steady`, `burst`, `storm` or `drain`.
    pub kind: String,
    /// Since the run's start.
    pub start_ms: f64,
    pub end_ms: f64,
    /// Messages a second at its start and at its end, where the load is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<(f64, f64)>,
    /// Whether thresholds that name no phase look at it.
    pub counts: bool,
}

/// A message that is sent later than this after its instant is sent late.
pub const LATE: Duration = Duration::from_millis(10);

/// A message that is sent later than this after its instant is sent very late.
pub const VERY_LATE: Duration = Duration::from_millis(50);

/// The longest that a thread of the generator may be away from its sockets, as a 99th percentile, without a word about it.
pub const LOOP_LAG: Duration = Duration::from_millis(10);

/// The share of a core above which what waits for a thread waits noticeably: at 85 % nearly six times as long as the work itself takes.
pub const BUSY: f64 = 0.85;

/// What happened within a second of a load; counts are of that second, but for the gauges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Second {
    /// The second's end, since the run's start.
    pub at_ms: f64,
    pub phase: String,
    /// Gauges: connections that are open, and of them in their room.
    pub connected: u32,
    pub joined: u32,
    pub planned: u64,
    pub sent: u64,
    pub delivered: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub errors: u64,
    /// The account since the run's start, without witnesses.
    pub ledger: Account,
    /// The latencies of the second's deliveries, from the intended instant: base64 of a V2 histogram in microseconds, deflated.
    pub deliver: String,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub send_lag_p99_ms: f64,
    pub loop_lag_p99_ms: f64,
    /// Of each of the generator's threads, between 0 and 1.
    pub cpu: Vec<f32>,
}

impl Second {
    /// How many deliveries are known to have gone wrong since the run's start.
    pub fn wrong(&self) -> u64 {
        Wrong::ALL.iter().map(|wrong| self.ledger.count(*wrong)).sum()
    }
}

/// What a load came to: all that thresholds, comparisons and other formats are made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    pub histograms: Vec<Recorded>,
    pub phases: Vec<PhaseMeasured>,
    pub ledger: Account,
    pub errors: Vec<ErrorCount>,
    pub health: Health,
    pub thresholds: Vec<ThresholdVerdict>,
}

impl Measured {
    /// The histograms, decoded.
    ///
    /// # Errors
    /// The first that can't be, with what it is of.
    pub fn histograms(&self) -> Result<Histograms, HistogramError> {
        let mut histograms = Histograms::default();
        for Recorded { metric, clock, phase, size, histogram } in &self.histograms {
            let key = Key { metric: *metric, clock: *clock, phase: phase.clone(), size: *size };
            let decoded = encoding::decode(histogram).map_err(|source| HistogramError {
                metric: metric.name(),
                phase: phase.clone(),
                size: *size,
                source,
            })?;
            histograms.merge(&Histograms([(key, decoded)].into()));
        }
        Ok(histograms)
    }
}

/// A histogram of a log that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the histogram of {metric} in phase {phase}, room size {size}, can't be read: {source}")]
pub struct HistogramError {
    metric: &'static str,
    phase: String,
    size: u32,
    source: DecodeError,
}

/// A histogram with its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recorded {
    pub metric: Metric,
    pub clock: Clock,
    pub phase: String,
    /// Places in the room.
    pub size: u32,
    /// Base64 of a V2 histogram in microseconds, deflated.
    pub histogram: String,
}

impl Recorded {
    /// All histograms, encoded, in the order of their keys.
    pub fn all(histograms: &Histograms) -> Vec<Self> {
        let recorded = |(key, histogram): (&Key, _)| Self {
            metric: key.metric,
            clock: key.clock,
            phase: key.phase.clone(),
            size: key.size,
            histogram: encoding::encode(histogram),
        };
        histograms.0.iter().map(recorded).collect()
    }
}

/// What a phase came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PhaseMeasured {
    pub name: String,
    pub seconds: f64,
    /// Messages that were due in it.
    pub planned: u64,
    pub sent: u64,
    /// Of those, sent more than `LATE` after their instant.
    pub sent_late: u64,
    /// Sent more than `VERY_LATE` after their instant.
    pub sent_very_late: u64,
    /// Never sent, since their sender had no connection or place, or the run was over: the target's doing.
    pub unsent_target: u64,
    /// Never sent, since the generator didn't come to it.
    pub unsent_generator: u64,
    pub delivered: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// In a closed load, the mean number of messages in flight: Little's law wants rate times mean latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<f64>,
}

/// Whose doing an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The generator's machine: no descriptor left, no port.
    Local,
    Server,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorCount {
    /// What was being done: a metric's name.
    pub doing: String,
    pub blame: Blame,
    /// `refused`, `reset`, `eof`, `timeout`, `close 1001`, `EMFILE`, an error packet's text, …
    pub what: String,
    pub count: u64,
    pub first_ms: f64,
    /// How to mend it, where it is the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Whether the generator's own figures can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    #[default]
    Trusted,
    Degraded,
    Invalid,
}

/// How the generator itself did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Health {
    pub trust: Trust,
    /// What took trust away, each with its figure and its limit.
    pub reasons: Vec<String>,
    pub sends: u64,
    pub sends_late: u64,
    pub sends_very_late: u64,
    /// How long a thread was away from its sockets, by thread, 99th percentile.
    pub loop_lag_p99_ms: Vec<f64>,
    /// Of each thread, over the phases that count, between 0 and 1.
    pub cpu: Vec<f64>,
    /// Of the whole process, user and system.
    pub cpu_seconds: f64,
    /// How long the control group was kept from running.
    pub throttled_ms: f64,
    pub peak_memory_bytes: u64,
    pub peak_descriptors: u64,
    pub descriptor_limit: u64,
}

/// What came of a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ThresholdVerdict {
    /// As it was written.
    pub threshold: String,
    pub holds: bool,
    /// What was measured, with its unit; `None` where there is no sample.
    pub measured: Option<String>,
    /// It ended the run before its time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aborted: bool,
}

/// A whole log.
#[derive(Clone, Debug)]
pub struct Log {
    pub header: Header,
    /// All events but the first and the last.
    pub events: Vec<Event>,
    pub footer: Footer,
}

/// A log that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("line {line} is no event of a log: {why}")]
    NoEvent { line: usize, why: String },
    #[error("it is a log of version {found}; this chatspec reads version {LOG_VERSION}")]
    Version { found: u64 },
    #[error("it doesn't begin with a log's header")]
    Headless,
    #[error("it has no footer: the run that wrote it didn't come to its end")]
    Truncated,
}

impl Log {
    /// Reads a whole log.
    ///
    /// # Errors
    /// What isn't a log, isn't whole, or is of another version.
    pub fn read(input: impl BufRead) -> Result<Self, LogError> {
        let mut events = Vec::new();
        for (index, line) in input.lines().enumerate() {
            let line = line?;
            let no_event = |error: serde_json::Error| LogError::NoEvent { line: index + 1, why: error.to_string() };
            if index == 0 {
                let header: serde_json::Value = serde_json::from_str(&line).map_err(no_event)?;
                let version = header["log_version"].as_u64().ok_or(LogError::Headless)?;
                if version != u64::from(LOG_VERSION) {
                    return Err(LogError::Version { found: version });
                }
            }
            match serde_json::from_str(&line) {
                Ok(event) => events.push(event),
                // The last line of a run that was killed may be half a line.
                Err(error) if error.is_eof() => return Err(LogError::Truncated),
                Err(error) => return Err(no_event(error)),
            }
        }
        match events.first() {
            Some(Event::Started(_)) => Self::of(events).ok_or(LogError::Truncated),
            _ => Err(LogError::Headless),
        }
    }

    /// The log that these events are, if they begin with a header and end with a footer.
    pub fn of(events: Vec<Event>) -> Option<Self> {
        let mut events = events.into_iter();
        match (events.next()?, events.next_back()?) {
            (Event::Started(header), Event::Finished(footer)) => Some(Self { header, events: events.collect(), footer }),
            _ => None,
        }
    }
}

impl Log {
    /// The plan of a load and what it came to, where the log is of a load that came to its measurements.
    pub fn load(&self) -> Option<(&Planned, &Measured)> {
        let planned = self.events.iter().find_map(|event| if let Event::Planned(planned) = event { Some(&**planned) } else { None })?;
        let measured =
            self.events.iter().rev().find_map(|event| if let Event::Measured(measured) = event { Some(&**measured) } else { None })?;
        Some((planned, measured))
    }

    /// The seconds of a load.
    pub fn seconds(&self) -> impl Iterator<Item = &Second> {
        self.events.iter().filter_map(|event| if let Event::Second(second) = event { Some(&**second) } else { None })
    }
}

/// Milliseconds with three decimals: enough for a reader, and short in a log.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &str) -> Result<Log, LogError> {
        Log::read(lines.as_bytes())
    }

    #[test]
    fn a_log_is_read_whole_or_not_at_all() {
        let header = Event::Started(Header {
            log_version: LOG_VERSION,
            version: "0".into(),
            command: "check".into(),
            target: TargetShown::default(),
            protocol: "p".into(),
            suite: "0".into(),
            seed: 7,
            started: "2027-01-31T00:00:00Z".into(),
            scenarios: 1,
            repeat: 1,
            strict: false,
            nonce: "n0n".into(),
            given: Given { timeout_ms: 3000, ..Given::default() },
            reproduce: String::new(),
        });
        let step =
            Event::Step { at_ms: 1.5, scenario: "s".into(), run: 1, place: "p:1:1".into(), outcome: Outcome::Pass, note: String::new() };
        let footer = Event::Finished(Footer { requirements: [(RequirementId::new("A-1"), Outcome::Fail)].into(), ..Footer::default() });
        let text: Vec<String> = [&header, &step, &footer].map(|event| serde_json::to_string(event).expect("it is JSON")).into();

        let read = log(&text.join("\n")).expect("a whole log");
        assert_eq!((read.header.seed, read.events.len(), read.footer.requirements.len()), (7, 1, 1));
        assert!(matches!(log(&text[..2].join("\n")), Err(LogError::Truncated)));
        assert!(matches!(log(&[&text[0], &text[1], &text[2][..30]].map(String::from).join("\n")), Err(LogError::Truncated)));
        assert!(matches!(log(&text[1..].join("\n")), Err(LogError::Headless)));
        assert!(matches!(log(&text.join("\n").replace("\"log_version\":2", "\"log_version\":99")), Err(LogError::Version { found: 99 })));
        assert!(matches!(log("hello"), Err(LogError::NoEvent { line: 1, .. })));
        assert!(matches!(log(""), Err(LogError::Headless)));
    }

    #[test]
    fn histograms_go_through_a_log_unchanged() {
        let mut histograms = Histograms::default();
        for (metric, size) in [(Metric::Deliver, 20), (Metric::Deliver, 500), (Metric::Join, 20)] {
            let key = Key { metric, clock: Clock::Intended, phase: "steady".into(), size };
            let mut histogram = crate::stats::durations();
            (1..3000).for_each(|millis| crate::stats::record(&mut histogram, std::time::Duration::from_millis(millis * u64::from(size))));
            histograms.0.insert(key, histogram);
        }
        let mut measured = Measured { histograms: Recorded::all(&histograms), ..Measured::default() };
        assert_eq!(measured.histograms().expect("they were just written"), histograms);
        measured.histograms[1].histogram.truncate(20);
        let error = measured.histograms().expect_err("it is cut off").to_string();
        assert!(error.starts_with("the histogram of deliver in phase steady, room size 20, can't be read: "), "{error}");
    }

    #[test]
    fn a_long_payload_is_kept_by_its_length_hash_and_ends() {
        assert_eq!(Record::new(b"hello"), Record::Whole("hello".into()));
        let Record::Long { bytes, sha256, start, end } = Record::new(&vec![b'a'; 65536]) else {
            panic!("it is long");
        };
        assert_eq!((bytes, start.len(), end.len(), sha256.len()), (65536, 256, 64, 64));
    }
}
