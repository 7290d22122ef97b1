//! Little's law as a check of a closed load: what was in flight must be the rate times the mean time that each was in flight.

use crate::event::Measured;
use crate::stats::{Clock, Histograms, Metric};

/// How far what the law gives may lie from what was in flight.
pub const TOLERANCE: f64 = 0.05;

/// A phase as the law sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Little {
    pub phase: String,
    /// Messages a second.
    pub rate: f64,
    /// The mean echo, in milliseconds.
    pub mean_ms: f64,
    /// What must have been in flight.
    pub implied: f64,
    /// The mean of what was.
    pub in_flight: f64,
}

impl Little {
    /// How much more the law gives than there was, as a share of it.
    pub fn deviation(&self) -> f64 {
        self.implied / self.in_flight - 1.0
    }

    /// Whether some messages were not timed, or waited where no clock ran.
    pub fn is_apart(&self) -> bool {
        self.deviation().abs() > TOLERANCE
    }
}

/// The law for each phase that counts and of which both sides are known.
pub fn little(measured: &Measured, histograms: &Histograms, counts: impl Fn(&str) -> bool) -> Vec<Little> {
    let mut all = Vec::new();
    for phase in measured.phases.iter().filter(|phase| counts(&phase.name) && phase.sent > 0) {
        let Some(in_flight) = phase.in_flight.filter(|in_flight| *in_flight > 0.0) else {
            continue;
        };
        let echo = |clock| histograms.select(Metric::Echo, clock, Some(&phase.name), None);
        let served = Some(echo(Clock::Service)).filter(|echoes| !echoes.is_empty()).unwrap_or_else(|| echo(Clock::Intended));
        if served.is_empty() {
            continue;
        }
        let rate = phase.sent as f64 / phase.seconds.max(1e-9);
        let mean_ms = served.mean() / 1000.0;
        all.push(Little { phase: phase.name.clone(), rate, mean_ms, implied: rate * mean_ms / 1000.0, in_flight });
    }
    all
}
