//! The seconds of a load put together into as many columns as a chart has room for. Nothing is averaged: counts and histograms are added,
//! and of what a second says as one figure the worst stands for them all.

use crate::event::Second;
use crate::stats::encoding::{self, DecodeError};
use crate::stats::{Durations, durations};

/// The most columns of a chart.
pub const MOST: usize = 300;

/// Seconds that stand together.
#[derive(Clone, Debug)]
pub struct Column {
    /// Since the run's start.
    pub start_ms: f64,
    pub end_ms: f64,
    /// The phase of its first second.
    pub phase: String,
    /// The latencies of its deliveries, from the intended instant.
    pub deliver: Durations,
    pub planned: u64,
    pub sent: u64,
    /// Deliveries that had to happen.
    pub due: u64,
    pub delivered: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub errors: u64,
    /// Deliveries that were found to be wrong in it.
    pub wrong: u64,
    /// At its end.
    pub connected: u32,
    pub joined: u32,
    /// Of its worst second.
    pub send_lag_p99_ms: f64,
    pub loop_lag_p99_ms: f64,
    /// By thread, each of its busiest second.
    pub cpu: Vec<f64>,
}

impl Column {
    pub fn middle_ms(&self) -> f64 {
        f64::midpoint(self.start_ms, self.end_ms)
    }

    /// So many in the column, a second.
    pub fn rate(&self, number: u64) -> f64 {
        number as f64 / ((self.end_ms - self.start_ms) / 1000.0).max(1e-3)
    }

    /// The latency in milliseconds that this share of the deliveries doesn't exceed; no number where there are none.
    pub fn latency(&self, quantile: f64) -> f64 {
        if self.deliver.is_empty() { f64::NAN } else { self.deliver.value_at_quantile(quantile) as f64 / 1000.0 }
    }
}

/// The seconds in at most so many columns, all but the last of equally many seconds.
///
/// # Errors
/// A second's histogram that can't be decoded.
pub fn columns(seconds: &[&Second], most: usize) -> Result<Vec<Column>, DecodeError> {
    let each = seconds.len().div_ceil(most.max(1)).max(1);
    let (mut start_ms, mut wrong, mut due) = (0.0, 0, 0);
    let mut columns = Vec::new();
    for together in seconds.chunks(each) {
        let (Some(first), Some(last)) = (together.first(), together.last()) else { continue };
        // The log of a part of a run may begin late, and a second is no longer than that.
        if columns.is_empty() {
            start_ms = (first.at_ms - 1000.0).max(0.0);
        }
        // An account counts since the run's start.
        let (since_wrong, since_due) = (last.wrong().saturating_sub(wrong), last.ledger.due.saturating_sub(due));
        columns.push(Column { wrong: since_wrong, due: since_due, ..column(together, start_ms)? });
        (start_ms, wrong, due) = (last.at_ms, last.wrong(), last.ledger.due);
    }
    Ok(columns)
}

/// What the seconds say of themselves; what their accounts say is still nothing.
fn column(seconds: &[&Second], start_ms: f64) -> Result<Column, DecodeError> {
    let sum = |what: fn(&Second) -> u64| seconds.iter().map(|second| what(second)).sum();
    let most = |what: fn(&Second) -> f64| seconds.iter().map(|second| what(second)).fold(0.0, f64::max);
    let mut deliver = durations();
    let mut cpu = Vec::new();
    for second in seconds {
        if !second.deliver.is_empty() {
            deliver.add(encoding::decode(&second.deliver)?).expect("the sum grows as needed");
        }
        cpu.resize(cpu.len().max(second.cpu.len()), 0.0_f64);
        second.cpu.iter().zip(&mut cpu).for_each(|(now, most)| *most = most.max(f64::from(*now)));
    }
    let last = seconds.last().copied();
    Ok(Column {
        start_ms,
        end_ms: last.map_or(start_ms, |second| second.at_ms),
        phase: seconds.first().map(|second| second.phase.clone()).unwrap_or_default(),
        deliver,
        planned: sum(|second| second.planned),
        sent: sum(|second| second.sent),
        delivered: sum(|second| second.delivered),
        bytes_sent: sum(|second| second.bytes_sent),
        bytes_received: sum(|second| second.bytes_received),
        errors: sum(|second| second.errors),
        wrong: 0,
        due: 0,
        connected: last.map_or(0, |second| second.connected),
        joined: last.map_or(0, |second| second.joined),
        send_lag_p99_ms: most(|second| second.send_lag_p99_ms),
        loop_lag_p99_ms: most(|second| second.loop_lag_p99_ms),
        cpu,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::Account;
    use crate::stats::record;

    fn second(number: u32, longest_ms: u64) -> Second {
        let mut deliver = durations();
        (1..=100).for_each(|part| record(&mut deliver, Duration::from_micros(longest_ms * part * 10)));
        Second {
            at_ms: f64::from(number) * 1000.0,
            phase: if number <= 2 { "arrive" } else { "steady" }.into(),
            connected: number,
            sent: 10,
            delivered: 100,
            ledger: Account { lost: u64::from(number / 2), ..Account::default() },
            deliver: encoding::encode(&deliver),
            send_lag_p99_ms: f64::from(number % 3),
            cpu: vec![0.1; number as usize % 3],
            ..Second::default()
        }
    }

    fn of(seconds: &[Second], most: usize) -> Vec<Column> {
        columns(&seconds.iter().collect::<Vec<_>>(), most).expect("they can be decoded")
    }

    #[test]
    fn few_seconds_are_a_column_each() {
        let columns = of(&[second(1, 10), second(2, 20), second(3, 30)], MOST);
        let spans: Vec<_> = columns.iter().map(|column| (column.start_ms, column.end_ms, column.phase.as_str())).collect();
        assert_eq!(spans, [(0.0, 1000.0, "arrive"), (1000.0, 2000.0, "arrive"), (2000.0, 3000.0, "steady")]);
        assert_eq!(columns.iter().map(|column| column.wrong).collect::<Vec<_>>(), [0, 1, 0]);
        assert!((columns[2].latency(0.5) - 15.0).abs() < 0.1);
    }

    #[test]
    fn many_seconds_share_a_column_and_none_is_lost_or_averaged() {
        let seconds: Vec<Second> = (1..=10).map(|number| second(number, if number == 5 { 1400 } else { 10 })).collect();
        let columns = of(&seconds, 4);
        assert_eq!(columns.len(), 4);
        assert_eq!(columns.iter().map(|column| column.sent).collect::<Vec<_>>(), [30, 30, 30, 10]);
        assert_eq!(columns.iter().map(|column| column.wrong).sum::<u64>(), 5);
        assert_eq!(columns.iter().map(|column| column.deliver.len()).sum::<u64>(), 1000);
        assert_eq!((columns[1].rate(columns[1].sent), columns[1].send_lag_p99_ms, columns[1].connected), (10.0, 2.0, 6));
        assert!(columns[1].latency(1.0) > 1390.0, "the pause of one second is seen in its column");
        assert_eq!(columns[0].cpu.len(), 2);
    }

    #[test]
    fn a_second_without_deliveries_has_no_latency_and_one_without_sense_is_an_error() {
        let none = Second { deliver: String::new(), ..second(1, 10) };
        assert!(of(std::slice::from_ref(&none), MOST)[0].latency(0.5).is_nan());
        let nonsense = Second { deliver: "nonsense".into(), ..none };
        assert!(columns(&[&nonsense], MOST).is_err());
        assert!(of(&[], MOST).is_empty());
    }
}
