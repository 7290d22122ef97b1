//! The distribution of a histogram by percentiles, as HdrHistogram's tools print it and its plotters read it.

use std::fmt::Write as _;

use super::series::{counted, kind, kinds, series};
use crate::event::{HistogramError, Measured, Planned};
use crate::stats::Durations;

/// How many lines lead from each percentile half of the way to 100 %; the tools' own default.
const TICKS: u32 = 5;

/// Microseconds in a millisecond, in which values are shown.
const PER_MILLI: f64 = 1000.0;

/// The distribution's text; values are in milliseconds.
pub fn hgrm(durations: &Durations) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for step in durations.iter_quantiles(TICKS) {
        // The iterator adds up binary fractions, and with what they lack overshoots a round percentile by a sample.
        let quantile = step.quantile_iterated_to();
        let micros = durations.value_at_quantile((quantile * 1e12).round() / 1e12);
        let (value, total) = (micros as f64 / PER_MILLI, durations.count_between(0, micros));
        let _ = if quantile < 1.0 {
            writeln!(text, "{value:12.3} {quantile:2.12} {total:10} {:14.2}", 1.0 / (1.0 - quantile))
        } else {
            writeln!(text, "{value:12.3} {quantile:2.12} {total:10}")
        };
    }
    let (mean, deviation) = if durations.is_empty() { (0.0, 0.0) } else { (durations.mean(), durations.stdev()) };
    let _ = writeln!(text, "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]", mean / PER_MILLI, deviation / PER_MILLI);
    let _ = writeln!(text, "#[Max     = {:12.3}, Total count    = {:12}]", durations.max() as f64 / PER_MILLI, durations.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", durations.buckets(), 2048);
    text
}

/// A distribution for each metric over all phases that count (`deliver`), and for each metric and phase (`deliver.steady`), with its name.
///
/// # Errors
/// A histogram that can't be decoded.
pub fn all(planned: &Planned, measured: &Measured) -> Result<Vec<(String, String)>, HistogramError> {
    let histograms = measured.histograms()?;
    let whole = kinds().map(|(metric, clock)| (kind(metric, clock), counted(planned, &histograms, metric, clock)));
    let by_phase = series(planned, measured)?.into_iter().map(|series| (series.name, series.durations));
    Ok(whole.chain(by_phase).filter(|(_, durations)| !durations.is_empty()).map(|(name, durations)| (name, hgrm(&durations))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;
    use crate::stats::{durations, record};

    #[test]
    fn a_distribution_looks_as_the_tools_print_it() {
        let mut histogram = durations();
        (1..=1000).for_each(|millis| record(&mut histogram, std::time::Duration::from_millis(millis)));
        insta::assert_snapshot!(hgrm(&histogram));
    }

    #[test]
    fn nothing_is_shown_as_nothing() {
        assert!(hgrm(&durations()).contains("Total count    =            0]"));
    }

    #[test]
    fn there_is_one_of_each_metric_and_of_each_phase() {
        let log = example::log();
        let (planned, measured) = log.load().expect("it is a load's");
        let names: Vec<String> = all(planned, measured).expect("sound").into_iter().map(|(name, _)| name).collect();
        let expected = [
            "echo",
            "deliver",
            "deliver.service",
            "connect.arrive",
            "join.arrive",
            "echo.steady",
            "deliver.steady",
            "deliver.service.steady",
            "deliver.burst 2",
        ];
        assert_eq!(names, expected);
    }
}
