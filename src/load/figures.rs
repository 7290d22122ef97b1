//! What the log of a run says in figures that runs can be compared by.

use crate::event::{HistogramError, Log, Trust};
use crate::ledger::Wrong;
use crate::stats::compare::{Figure, Loss, Unit};
use crate::stats::{Clock, Metric};

/// The metrics that are compared, and whether they are looked at in all phases: sessions begin mostly before the phases that count.
const METRICS: [(Metric, bool); 4] = [(Metric::Deliver, false), (Metric::Echo, false), (Metric::Join, true), (Metric::Connect, true)];

/// The percentiles of them.
const PERCENTILES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// One run, as figures.
#[derive(Clone, Debug)]
pub struct Run {
    /// What two runs must have in common to be compared: the plan's hash, and the seed.
    pub plan: (String, u64),
    /// `I/N`, where it holds only a part of its plan.
    pub shard: Option<String>,
    pub trust: Trust,
    pub interrupted: bool,
    figures: Vec<(String, Unit, Option<f64>)>,
    wrong: [u64; Wrong::ALL.len()],
}

/// A log that says nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("it is no load's, or its load came to no measurements")]
    NoLoad,
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

impl Run {
    /// # Errors
    /// A log that isn't of a load, one without measurements, and a histogram that can't be decoded.
    pub fn of(log: &Log) -> Result<Self, RunError> {
        let (planned, measured) = log.load().ok_or(RunError::NoLoad)?;
        let histograms = measured.histograms()?;
        let counts = |name: &str| planned.phases.iter().any(|phase| phase.counts && phase.name == name);
        let mut figures = Vec::new();
        for (metric, anywhere) in METRICS {
            let mut durations = crate::stats::durations();
            for phase in planned.phases.iter().filter(|phase| anywhere || phase.counts) {
                let part = histograms.select(metric, Clock::Intended, Some(&phase.name), None);
                durations.add(&part).expect("the sum grows as needed");
            }
            for (name, quantile) in PERCENTILES {
                let value = (!durations.is_empty()).then(|| durations.value_at_quantile(quantile) as f64 / 1000.0);
                figures.push((format!("{}.{name}", metric.name()), Unit::Millis, value));
            }
        }
        let phases = || measured.phases.iter().filter(|phase| counts(&phase.name));
        let seconds: f64 = phases().map(|phase| phase.seconds).sum();
        let rate = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
        figures.push(("send.rate".into(), Unit::PerSecond, rate(phases().map(|phase| phase.sent).sum())));
        figures.push(("deliver.rate".into(), Unit::PerSecond, rate(phases().map(|phase| phase.delivered).sum())));
        let ledger = &measured.ledger;
        let per_delivery = (ledger.delivered > 0).then(|| measured.health.cpu_seconds / ledger.delivered as f64 * 1e5);
        figures.push(("generator.cpu".into(), Unit::CpuSeconds, per_delivery));
        let wrong = Wrong::ALL.map(|wrong| ledger.count(wrong));
        let per_due = (ledger.due > 0).then(|| wrong.iter().sum::<u64>() as f64 / ledger.due as f64 * 1e6);
        figures.push(("wrong".into(), Unit::PerMillion, per_due));
        Ok(Self {
            plan: (planned.hash.clone(), log.header.seed),
            shard: planned.shard.clone(),
            trust: measured.health.trust,
            interrupted: log.footer.interrupted,
            figures,
            wrong,
        })
    }
}

/// The names of all figures, in the order of [`figures`].
pub fn names() -> Vec<String> {
    let percentiles = METRICS.iter().flat_map(|(metric, _)| PERCENTILES.map(|(name, _)| format!("{}.{name}", metric.name())));
    percentiles.chain(["send.rate", "deliver.rate", "generator.cpu", "wrong"].map(str::to_owned)).collect()
}

/// The figures of both sides.
pub fn figures(base: &[Run], new: &[Run]) -> Vec<Figure> {
    let Some(first) = base.first().or(new.first()) else { return Vec::new() };
    let of = |runs: &[Run], index: usize| runs.iter().map(|run: &Run| run.figures[index].2).collect::<Vec<_>>();
    let figure = |(index, (name, unit, _)): (usize, &(String, Unit, Option<f64>))| Figure {
        name: name.clone(),
        unit: *unit,
        base: of(base, index),
        new: of(new, index),
    };
    first.figures.iter().enumerate().map(figure).collect()
}

/// What went wrong with deliveries on both sides, by kind.
pub fn losses(base: &[Run], new: &[Run]) -> Vec<Loss> {
    let sum = |runs: &[Run], index: usize| runs.iter().map(|run| run.wrong[index]).sum();
    let loss = |(index, wrong): (usize, Wrong)| Loss { wrong: wrong.name().to_owned(), base: sum(base, index), new: sum(new, index) };
    Wrong::ALL.into_iter().enumerate().map(loss).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name_by_which_it_can_be_chosen() {
        let run = Run {
            plan: ("h".into(), 1),
            shard: None,
            trust: Trust::Trusted,
            interrupted: false,
            figures: names().into_iter().map(|name| (name, Unit::Millis, Some(1.0))).collect(),
            wrong: [0, 3, 0, 0, 0, 0],
        };
        let all: Vec<String> = figures(std::slice::from_ref(&run), &[]).into_iter().map(|figure| figure.name).collect();
        assert_eq!(all, names());
        let losses = losses(&[], &[run.clone(), run]);
        assert_eq!(losses[1], Loss { wrong: "duplicated".into(), base: 0, new: 6 });
    }
}
