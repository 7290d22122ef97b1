//! The histograms of a load's log, one for each metric, clock and phase, all room sizes together.

use crate::event::{HistogramError, Measured, Planned};
use crate::stats::{Clock, Durations, Histograms, Metric};

/// The durations of one metric in one phase.
#[derive(Clone, Debug)]
pub struct Series {
    /// `deliver.steady`, or `deliver.service.steady` where the durations count from when something was begun.
    pub name: String,
    /// Since the run's start.
    pub start_ms: f64,
    pub end_ms: f64,
    pub durations: Durations,
}

/// All series that hold anything, in the order of the phases and, within one, of the metrics.
///
/// # Errors
/// A histogram that can't be decoded.
pub fn series(planned: &Planned, measured: &Measured) -> Result<Vec<Series>, HistogramError> {
    let histograms = measured.histograms()?;
    let mut all = Vec::new();
    for phase in &planned.phases {
        for (metric, clock) in kinds() {
            let durations = histograms.select(metric, clock, Some(&phase.name), None);
            if !durations.is_empty() {
                let name = format!("{}.{}", kind(metric, clock), phase.name);
                all.push(Series { name, start_ms: phase.start_ms, end_ms: phase.end_ms, durations });
            }
        }
    }
    Ok(all)
}

/// A metric over all phases that count.
pub fn counted(planned: &Planned, histograms: &Histograms, metric: Metric, clock: Clock) -> Durations {
    let mut sum = crate::stats::durations();
    for phase in planned.phases.iter().filter(|phase| phase.counts) {
        sum.add(histograms.select(metric, clock, Some(&phase.name), None)).expect("the sum grows as needed");
    }
    sum
}

/// Every metric from both clocks.
pub fn kinds() -> impl Iterator<Item = (Metric, Clock)> {
    Metric::ALL.into_iter().flat_map(|metric| [(metric, Clock::Intended), (metric, Clock::Service)])
}

/// `deliver`, or `deliver.service`.
pub fn kind(metric: Metric, clock: Clock) -> String {
    match clock {
        Clock::Intended => metric.name().to_owned(),
        Clock::Service => format!("{}.service", metric.name()),
    }
}
