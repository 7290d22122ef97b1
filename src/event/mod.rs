//! The event log: what a run tells to everything that shows results. One line of JSON per event, a header first and a
//! footer last, so that a truncated log can't look complete.

mod explored;
mod load;
mod log;
mod schema;
mod suite;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::matrix::{Summary, Trial};
use crate::reading::{Fact, Held};
use crate::requirement::RequirementId;
use crate::verdict::{CountsAs, KnownVerdict, Outcome, ScenarioVerdict};

pub use explored::{Counterexample, Coverage, Explored, Found, Reached};
pub use load::{
    BUSY, Blame, ErrorCount, Health, HistogramError, LATE, LOOP_LAG, Measured, PhaseMeasured, PhasePlanned, Planned, Recorded, Second,
    ShardMeasured, Start, ThresholdVerdict, Trust, VERY_LATE,
};
pub use log::{Kind, Log, LogError};
pub use schema::schema;
pub use suite::{ScenarioShown, SuiteShown};

/// The version of the log's form; it rises when a reader of the old form would misread the new one.
pub const LOG_VERSION: u32 = 3;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Started(Header),
    /// What the suite says of itself, so that a log can be shown where its suite isn't at hand.
    Suite(Box<SuiteShown>),
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
    /// What came of a random trace.
    Explored(Box<Explored>),
    /// The smallest trace that shows a failure, with its scenario.
    Counterexample(Box<Counterexample>),
    /// What the random traces of a run have come to, and what they have not.
    Coverage(Box<Coverage>),
    /// What a load shall be, resolved: from it and the seed follows everything that is sent.
    Planned(Box<Planned>),
    /// A second of a load.
    Second(Box<Second>),
    /// What a load came to.
    Measured(Box<Measured>),
    Finished(Footer),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    #[schemars(extend("const" = LOG_VERSION))]
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

impl Header {
    /// The header of a run of this program that starts now; what isn't every command's is empty.
    pub fn new(command: &str, protocol: &str, suite: &str, seed: u64) -> Self {
        Self {
            log_version: LOG_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command.to_owned(),
            target: TargetShown::default(),
            protocol: protocol.to_owned(),
            suite: suite.to_owned(),
            seed,
            started: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
            scenarios: 0,
            repeat: 1,
            strict: false,
            nonce: String::new(),
            given: Given::default(),
            reproduce: String::new(),
        }
    }
}

/// What a command was given about its target and its suite, so that it can be given again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The shell command by which the target was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The folder of the scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenarios: Option<String>,
    /// How long each wait may take, in milliseconds.
    pub timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TargetShown {
    pub http: String,
    pub ws: String,
    /// What the user should know of how these came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An HTTP request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Sent,
    Received,
    /// It happened here: a connect, an end.
    Here,
}

/// A payload, whole where it is short, else its length, hash and ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
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

/// Milliseconds with three decimals: enough for a reader, and short in a log.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_is_kept_by_its_length_hash_and_ends() {
        assert_eq!(Record::new(b"hello"), Record::Whole("hello".into()));
        let Record::Long { bytes, sha256, start, end } = Record::new(&vec![b'a'; 65536]) else {
            panic!("it is long");
        };
        assert_eq!((bytes, start.len(), end.len(), sha256.len()), (65536, 256, 64, 64));
    }
}
