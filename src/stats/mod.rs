//! What was measured: histograms of durations by metric, clock, phase and room size, and what is read off them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What a duration is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The TCP connection (and TLS, where there is any).
    Connect,
    /// The WebSocket handshake on it.
    Upgrade,
    /// `chatroom/create`.
    Create,
    /// `chatroom/room` with status 1.
    HttpJoin,
    /// The WebSocket `join`, until its own `user` packet.
    Join,
    /// A message, until its sender has it back.
    Echo,
    /// A message, until one member has it: one sample for each member, the sender included.
    Deliver,
    /// A message, until the first member has it.
    First,
    /// A message, until the last of those who must have it has it.
    Last,
    /// The WebSocket `leave`, until its own `user` packet.
    Leave,
    /// `chatroom/room` with status 0.
    HttpLeave,
    /// How long after its intended instant a message was sent: the generator's own doing.
    SendLag,
}

impl Metric {
    pub const ALL: [Metric; 12] = [
        Metric::Connect,
        Metric::Upgrade,
        Metric::Create,
        Metric::HttpJoin,
        Metric::Join,
        Metric::Echo,
        Metric::Deliver,
        Metric::First,
        Metric::Last,
        Metric::Leave,
        Metric::HttpLeave,
        Metric::SendLag,
    ];

    /// Its name in thresholds, tables and logs.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Connect => "connect",
            Metric::Upgrade => "upgrade",
            Metric::Create => "create",
            Metric::HttpJoin => "http-join",
            Metric::Join => "join",
            Metric::Echo => "echo",
            Metric::Deliver => "deliver",
            Metric::First => "first",
            Metric::Last => "last",
            Metric::Leave => "leave",
            Metric::HttpLeave => "http-leave",
            Metric::SendLag => "send-lag",
        }
    }
}

/// From where a duration counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// From the instant at which the plan wanted it begun: what somebody waits who comes at that instant.
    Intended,
    /// From the instant at which it was begun.
    Service,
}

/// What a histogram holds the durations of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub metric: Metric,
    pub clock: Clock,
    /// The phase in which it was intended.
    pub phase: String,
    /// The number of places that the plan gives the room.
    pub size: u32,
}

/// Durations in microseconds, 1 µs to one hour, with three significant digits.
pub type Durations = Histogram<u64>;

/// The longest duration that is told from longer ones.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// An empty histogram; it grows up to the size that `LONGEST` needs, 180 KiB.
pub fn durations() -> Durations {
    let mut histogram = Histogram::new_with_bounds(1, 1000, 3).expect("the bounds are sound");
    histogram.auto(true);
    histogram
}

/// Counts a duration.
pub fn record(histogram: &mut Durations, duration: Duration) {
    let micros = u64::try_from(duration.min(LONGEST).as_micros()).expect("an hour fits");
    // Only a value above the bounds is an error, and the histogram grows.
    let _ = histogram.record(micros.max(1));
}

/// All histograms of a run or of a part of it. Merging is commutative and associative, and loses nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histograms(pub BTreeMap<Key, Durations>);

impl Histograms {
    pub fn merge(&mut self, other: &Histograms) {
        for (key, histogram) in &other.0 {
            self.0.entry(key.clone()).or_insert_with(durations).add(histogram).expect("the sum grows as needed");
        }
    }

    /// All durations of a metric together, of one phase or room size or of all: histograms are added, percentiles never averaged.
    pub fn select(&self, metric: Metric, clock: Clock, phase: Option<&str>, size: Option<u32>) -> Durations {
        let mut sum = durations();
        for (key, histogram) in &self.0 {
            let chosen = key.metric == metric
                && key.clock == clock
                && phase.is_none_or(|phase| key.phase == phase)
                && size.is_none_or(|size| key.size == size);
            if chosen {
                sum.add(histogram).expect("the sum grows as needed");
            }
        }
        sum
    }
}
