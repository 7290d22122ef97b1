//! What was measured: histograms of durations by metric, clock, phase and room size, and what is read off them.

pub mod compare;
pub mod encoding;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a duration is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// From the instant at which the plan wanted it begun: what somebody waits who comes at that instant.
    Intended,
    /// From the instant at which it was begun.
    Service,
}

/// What a histogram holds the durations of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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

/// The percentiles that tables show; the longest duration stands beside them.
pub const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// The duration that a percentage (0 to 100) of all durations don't exceed, or nothing where there are none.
pub fn percentile(histogram: &Durations, percentage: f64) -> Option<Duration> {
    (!histogram.is_empty()).then(|| Duration::from_micros(histogram.value_at_quantile(percentage / 100.0)))
}

/// The longest of all durations, or nothing where there are none.
pub fn longest(histogram: &Durations) -> Option<Duration> {
    (!histogram.is_empty()).then(|| Duration::from_micros(histogram.max()))
}

/// What was counted: each value in microseconds with how often it was recorded. Unlike the type's own equality, which
/// looks at spare room too, two histograms of the same durations have the same counts.
pub fn counts(histogram: &Durations) -> impl Iterator<Item = (u64, u64)> + '_ {
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
}

/// All histograms of a run or of a part of it. Merging is commutative and associative, and loses nothing.
#[derive(Clone, Debug, Default)]
pub struct Histograms(pub BTreeMap<Key, Durations>);

impl PartialEq for Histograms {
    fn eq(&self, other: &Self) -> bool {
        let same = |(mine, theirs): ((&Key, &Durations), (&Key, &Durations))| mine.0 == theirs.0 && counts(mine.1).eq(counts(theirs.1));
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Vec<(Key, u64)>> {
        let key = (prop::sample::select(&Metric::ALL[..]), prop::sample::select(vec!["steady", "burst"]), 1..3_u32)
            .prop_map(|(metric, phase, size)| Key { metric, clock: Clock::Intended, phase: phase.to_owned(), size });
        // Logarithmic, since a histogram grows at powers of two.
        let micros = (0..40_u32, 0..1_000_u64).prop_map(|(power, more)| (1_u64 << power) + more);
        prop::collection::vec((key, micros), 0..60)
    }

    fn recorded<'a>(samples: impl IntoIterator<Item = &'a (Key, u64)>) -> Histograms {
        let mut histograms = Histograms::default();
        for (key, micros) in samples {
            record(histograms.0.entry(key.clone()).or_insert_with(durations), Duration::from_micros(*micros));
        }
        histograms
    }

    fn merged<'a>(parts: impl IntoIterator<Item = &'a Histograms>) -> Histograms {
        let mut sum = Histograms::default();
        parts.into_iter().for_each(|part| sum.merge(part));
        sum
    }

    proptest! {
        // Histograms of an hour are large to compare.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn merging_parts_is_recording_everything_into_one(a in part(), b in part(), c in part()) {
            let whole = recorded(a.iter().chain(&b).chain(&c));
            let (a, b, c) = (recorded(&a), recorded(&b), recorded(&c));
            prop_assert_eq!(&merged([&a, &b, &c]), &whole);
            prop_assert_eq!(&merged([&c, &a, &b]), &whole);
            prop_assert_eq!(&merged([&a, &merged([&b, &c])]), &whole);
            for metric in Metric::ALL {
                let sum = |histograms: &Histograms| histograms.select(metric, Clock::Intended, None, None);
                let parts: u64 = [&a, &b, &c].into_iter().map(|part| sum(part).len()).sum();
                prop_assert_eq!(sum(&whole).len(), parts);
            }
        }
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut histogram = durations();
        (1..=100_000_u64).for_each(|micros| record(&mut histogram, Duration::from_micros(micros)));
        for percentage in PERCENTILES {
            let (found, exact) = (percentile(&histogram, percentage).expect("a sample").as_secs_f64(), percentage / 1000.0);
            assert!(found >= exact * 0.999_999 && found <= exact * 1.001, "p{percentage}: {found} against {exact}");
        }
        assert_eq!(percentile(&durations(), 50.0), None);
        assert_eq!(longest(&durations()), None);
    }

    #[test]
    fn what_is_longer_than_the_longest_counts_as_the_longest_and_nothing_as_a_microsecond() {
        let mut histogram = durations();
        record(&mut histogram, Duration::MAX);
        record(&mut histogram, Duration::ZERO);
        assert_eq!(histogram.len(), 2);
        let max = longest(&histogram).expect("a sample").as_secs_f64();
        assert!((max / LONGEST.as_secs_f64() - 1.0).abs() < 0.001, "{max}");
        assert_eq!(histogram.min(), 1);
    }
}
