//! The seconds of several shards as those of one load, as they come or afterwards.

use std::collections::VecDeque;

use crate::event::{Second, millis};
use crate::ledger::Account;
use crate::stats::encoding::{self, DecodeError};
use crate::stats::{durations, percentile};

/// Lays the seconds of shards side by side. Counts are added; a gauge is what each shard showed last; a lag is that of the
/// worst shard, since percentiles can't be added.
#[derive(Debug)]
pub struct Timeline {
    shards: Vec<Shard>,
    /// The next second to be told, counted from the run's start.
    at: u64,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    waiting: VecDeque<Second>,
    shown: Second,
    over: bool,
}

/// The second of the run that ends here.
fn number(second: &Second) -> u64 {
    (second.at_ms / 1000.0).round() as u64
}

impl Timeline {
    pub fn new(shards: usize) -> Self {
        Self { shards: vec![Shard::default(); shards], at: 0 }
    }

    /// A shard, counted from 0, tells a second; each tells its own in their order.
    pub fn push(&mut self, shard: usize, second: Second) {
        self.shards[shard].waiting.push_back(second);
    }

    /// A shard will tell nothing more.
    pub fn end(&mut self, shard: usize) {
        self.shards[shard].over = true;
    }

    /// The next second that all shards have told which aren't over.
    ///
    /// # Errors
    /// A shard, counted from 0, whose latencies can't be decoded, and at which time of its run.
    pub fn next_second(&mut self) -> Result<Option<Second>, (usize, f64, DecodeError)> {
        while let Some(first) = self.shards.iter().filter_map(|shard| shard.waiting.front()).map(number).min() {
            let at = self.at.max(first);
            let is_told = |shard: &Shard| shard.over || shard.waiting.back().is_some_and(|second| number(second) >= at);
            if !self.shards.iter().all(is_told) {
                return Ok(None);
            }
            self.at = at + 1;
            if let Some(second) = self.sum(at)? {
                return Ok(Some(second));
            }
        }
        Ok(None)
    }

    fn sum(&mut self, at: u64) -> Result<Option<Second>, (usize, f64, DecodeError)> {
        let mut sum = Second::default();
        let mut deliver = durations();
        let mut any = false;
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let mut own = false;
            while shard.waiting.front().is_some_and(|second| number(second) <= at) {
                let Some(second) = shard.waiting.pop_front() else { break };
                if !second.deliver.is_empty() {
                    let decoded = encoding::decode(&second.deliver).map_err(|source| (index, second.at_ms, source))?;
                    deliver.add(decoded).expect("the sum grows as needed");
                }
                if sum.phase.is_empty() {
                    sum.phase.clone_from(&second.phase);
                }
                sum.at_ms = sum.at_ms.max(second.at_ms);
                sum.planned += second.planned;
                sum.sent += second.sent;
                sum.delivered += second.delivered;
                sum.bytes_sent += second.bytes_sent;
                sum.bytes_received += second.bytes_received;
                sum.errors += second.errors;
                sum.send_lag_p99_ms = sum.send_lag_p99_ms.max(second.send_lag_p99_ms);
                sum.loop_lag_p99_ms = sum.loop_lag_p99_ms.max(second.loop_lag_p99_ms);
                shard.shown = second;
                own = true;
            }
            // A shard whose run is over holds no connections any more; what it found wrong stays.
            if !own && shard.over && shard.waiting.is_empty() {
                (shard.shown.connected, shard.shown.joined) = (0, 0);
                shard.shown.cpu.fill(0.0);
            }
            any |= own;
        }
        if !any {
            return Ok(None);
        }
        let shown = || self.shards.iter().map(|shard| &shard.shown);
        let millis = |percentage| percentile(&deliver, percentage).map_or(0.0, millis);
        sum.connected = shown().map(|second| second.connected).sum();
        sum.joined = shown().map(|second| second.joined).sum();
        sum.ledger = Account::default();
        shown().for_each(|second| sum.ledger.merge(&second.ledger));
        sum.cpu = shown().flat_map(|second| second.cpu.iter().copied()).collect();
        (sum.p50_ms, sum.p99_ms) = (millis(50.0), millis(99.0));
        sum.deliver = encoding::encode(&deliver);
        Ok(Some(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at_ms: f64, connected: u32, sent: u64) -> Second {
        Second { at_ms, connected, sent, phase: "steady".into(), ..Second::default() }
    }

    fn told(timeline: &mut Timeline) -> Vec<(f64, u32, u64)> {
        std::iter::from_fn(|| timeline.next_second().expect("nothing to decode"))
            .map(|second| (second.at_ms, second.connected, second.sent))
            .collect()
    }

    #[test]
    fn a_second_is_told_when_the_slowest_shard_has_told_it() {
        let mut timeline = Timeline::new(2);
        timeline.push(0, second(1_000.0, 5, 10));
        timeline.push(0, second(2_000.0, 5, 11));
        assert_eq!(told(&mut timeline), []);
        timeline.push(1, second(1_000.0, 7, 20));
        assert_eq!(told(&mut timeline), [(1_000.0, 12, 30)]);
        timeline.push(1, second(2_000.0, 7, 21));
        assert_eq!(told(&mut timeline), [(2_000.0, 12, 32)]);
    }

    #[test]
    fn a_shard_that_is_lost_holds_nobody_up_and_holds_no_connections() {
        let mut timeline = Timeline::new(2);
        for at in [1_000.0, 2_000.0, 3_000.0] {
            timeline.push(0, second(at, 5, 1));
        }
        timeline.push(1, second(1_000.0, 7, 1));
        timeline.end(1);
        assert_eq!(told(&mut timeline), [(1_000.0, 12, 2), (2_000.0, 5, 1), (3_000.0, 5, 1)]);
    }

    #[test]
    fn the_last_part_of_a_second_is_told_too() {
        let mut timeline = Timeline::new(1);
        timeline.push(0, second(1_000.0, 5, 1));
        timeline.push(0, second(1_200.0, 5, 2));
        timeline.end(0);
        let sent: u64 = told(&mut timeline).iter().map(|(_, _, sent)| sent).sum();
        assert_eq!(sent, 3);
    }
}
