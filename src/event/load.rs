//! What a load tells: its plan, its seconds, and what it came to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Account, Wrong};
use crate::stats::encoding::{self, DecodeError};
use crate::stats::{Clock, Histograms, Key, Metric};

/// A load's plan, for a reader and for the machine that merges or compares runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    pub histograms: Vec<Recorded>,
    pub phases: Vec<PhaseMeasured>,
    pub ledger: Account,
    pub errors: Vec<ErrorCount>,
    pub health: Health,
    pub thresholds: Vec<ThresholdVerdict>,
    /// When it began; of shards that were merged, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// What each shard came to, where several were merged, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardMeasured>,
}

/// When and where a load began, so that shards can be laid side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Start {
    /// The machine's name.
    pub host: String,
    /// When it was agreed to begin: milliseconds since 1970, by the clock of the barrier's host, or by this machine's where there was no barrier.
    pub at_unix_ms: f64,
    /// How much later it did.
    pub late_ms: f64,
    /// How well the clock of the barrier's host is known here: half of the quickest round trip to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<f64>,
}

impl Start {
    /// When it really began.
    pub fn began_unix_ms(&self) -> f64 {
        self.at_unix_ms + self.late_ms
    }
}

/// A shard of a load that was merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ShardMeasured {
    /// `I/N`.
    pub shard: String,
    /// Why there is nothing of it; then all that follows is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    pub host: String,
    pub trust: Trust,
    pub sent: u64,
    pub delivered: u64,
    /// Deliveries that are known to have gone wrong.
    pub wrong: u64,
    /// From the intended instant, over all phases that count; `None` where nothing was delivered.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// The same of all the other shards together.
    pub others_p99_ms: Option<f64>,
    /// How much later than the first shard it began.
    pub behind_ms: Option<f64>,
    /// What that is known to within.
    pub within_ms: Option<f64>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The generator's machine: no descriptor left, no port.
    Local,
    Server,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    #[default]
    Trusted,
    Degraded,
    Invalid,
}

/// How the generator itself did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
