//! A load as its log tells it, put in order for the pages that show it from several sides.

use super::timeline::Timeline;
use crate::event::{Event, Footer, Header, HistogramError, Log, Measured, Planned, Second, Trust};
use crate::ledger::Account;
use crate::stats::encoding::DecodeError;
use crate::stats::{Clock, Durations, Histograms, Metric, durations};

/// A load's log with figures that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    #[error("the histogram of a second can't be read: {0}")]
    Second(#[from] DecodeError),
}

#[derive(Debug)]
pub struct Loaded<'a> {
    pub header: &'a Header,
    pub planned: Option<&'a Planned>,
    pub seconds: Vec<&'a Second>,
    pub timeline: Timeline<'a>,
    /// `None` where the run didn't come to its measurements.
    pub measured: Option<&'a Measured>,
    pub histograms: Histograms,
    pub footer: &'a Footer,
}

impl<'a> Loaded<'a> {
    /// # Errors
    /// A histogram that can't be decoded.
    pub fn of(log: &'a Log) -> Result<Self, Unreadable> {
        let find = |found: Option<&'a Planned>, event: &'a Event| match event {
            Event::Planned(planned) => found.or(Some(planned)),
            _ => found,
        };
        let planned = log.events.iter().fold(None, find);
        let measured =
            log.events.iter().rev().find_map(|event| if let Event::Measured(measured) = event { Some(&**measured) } else { None });
        let seconds: Vec<&Second> = log.seconds().collect();
        Ok(Self {
            header: &log.header,
            planned,
            timeline: Timeline::of(planned, &seconds)?,
            seconds,
            measured,
            histograms: measured.map(Measured::histograms).transpose()?.unwrap_or_default(),
            footer: &log.footer,
        })
    }

    /// Whether thresholds that name no phase look at it.
    pub fn counts(&self, phase: &str) -> bool {
        self.planned.is_none_or(|planned| planned.phases.iter().any(|known| known.name == phase && known.counts))
    }

    /// Whether the target sets the pace.
    pub fn is_closed(&self) -> bool {
        self.planned.is_some_and(|planned| planned.messages.is_none())
    }

    /// A metric over the phases that count.
    pub fn counted(&self, metric: Metric, clock: Clock) -> Durations {
        let chosen = self.histograms.0.iter().filter(|(key, _)| key.metric == metric && key.clock == clock && self.counts(&key.phase));
        let mut sum = durations();
        chosen.for_each(|(_, histogram)| sum.add(histogram).expect("the sum grows as needed"));
        sum
    }

    /// From the intended instant, and where there is none, as in a closed load, from the one at which each was begun.
    pub fn best(&self, metric: Metric) -> Durations {
        let intended = self.counted(metric, Clock::Intended);
        if intended.is_empty() { self.counted(metric, Clock::Service) } else { intended }
    }

    /// All deliveries that the seconds tell of, in whatever phase: all there is of a run that didn't come to its measurements.
    pub fn so_far(&self) -> Durations {
        let mut sum = durations();
        self.timeline.columns.iter().for_each(|column| sum.add(&column.deliver).expect("the sum grows as needed"));
        sum
    }

    /// What is known of the deliveries, at the end or at the last second.
    pub fn account(&self) -> Option<&'a Account> {
        let last = self.seconds.last().map(|second| &second.ledger);
        self.measured.map(|measured| &measured.ledger).or(last)
    }

    pub fn trust(&self) -> Option<Trust> {
        self.measured.map(|measured| measured.health.trust)
    }

    /// Messages a second and deliveries a second, over the phases that count; `None` where they took no time.
    pub fn rates(&self) -> Option<(f64, f64)> {
        let phases = || self.measured.into_iter().flat_map(|measured| &measured.phases).filter(|phase| self.counts(&phase.name));
        let seconds: f64 = phases().map(|phase| phase.seconds).sum();
        let sum = |(sent, delivered), (more_sent, more_delivered)| (sent + more_sent, delivered + more_delivered);
        let (sent, delivered) = phases().map(|phase| (phase.sent, phase.delivered)).fold((0_u64, 0_u64), sum);
        (seconds > 0.0).then(|| (sent as f64 / seconds, delivered as f64 / seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn figures_are_of_the_phases_that_count() {
        let log = example::log();
        let loaded = Loaded::of(&log).expect("sound");
        assert_eq!(loaded.counted(Metric::Deliver, Clock::Intended).len(), 2000);
        assert!(loaded.counted(Metric::Connect, Clock::Intended).is_empty(), "nobody connects in a phase that counts");
        assert_eq!(loaded.rates(), Some((1990.0 / 12.0, 39_800.0 / 12.0)));
        assert_eq!(loaded.account().map(|account| account.lost), Some(2));
    }

    #[test]
    fn a_run_without_measurements_is_known_by_its_seconds() {
        let mut log = example::log();
        log.events.retain(|event| !matches!(event, Event::Measured(_)));
        let loaded = Loaded::of(&log).expect("sound");
        assert_eq!((loaded.so_far().len(), loaded.trust(), loaded.rates()), (200, None, None));
        assert_eq!(loaded.account().map(|account| account.lost), Some(14), "what the last second says");
    }
}
