//! The histograms of a load as an HdrHistogram interval log (V2), for HdrHistogram's own tools and viewers.
//!
//! An interval for each metric, clock and phase, tagged such as `deliver.steady` or `deliver.service.steady`; its start is in seconds
//! since the run's start (`BaseTime`), its length that of the phase. The histograms are in nanoseconds and the column of the
//! maximum in milliseconds, which is what those tools take them for unless told otherwise. They are measured in microseconds with
//! three significant digits; a value in nanoseconds is the upper end of what it was, so that it shows up to 0.1 % higher.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::series::series;
use crate::event::{Header, HistogramError, Measured, Planned};
use crate::stats::{Durations, counts};

/// Nanoseconds in a millisecond.
const PER_MILLI: f64 = 1e6;

/// The log's text.
///
/// # Errors
/// A histogram that can't be decoded.
pub fn hlog(header: &Header, planned: &Planned, measured: &Measured) -> Result<String, HistogramError> {
    let started = humantime::parse_rfc3339_weak(&header.started).unwrap_or(SystemTime::UNIX_EPOCH);
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[chatspec {}: profile {}, seed {}, {}]", header.version, planned.profile, header.seed, header.target.ws))
        .add_comment("[Values in nanoseconds, Interval_Max in milliseconds]")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(PER_MILLI)
        .begin_log_with(&mut text, &mut serializer)
        .expect("memory takes all");
    let millis = |millis: f64| Duration::from_secs_f64(millis.max(0.0) / 1000.0);
    for series in series(planned, measured)? {
        // What a tag mustn't hold.
        let name = series.name.replace([',', ' ', '\r', '\n'], "_");
        let length = millis(series.end_ms - series.start_ms);
        log.write_histogram(&nanos(&series.durations), millis(series.start_ms), length, Tag::new(&name)).expect("memory takes all");
    }
    Ok(String::from_utf8(text).expect("it is written from texts"))
}

fn nanos(durations: &Durations) -> Histogram<u64> {
    let most = durations.max().saturating_mul(1000).max(1_000_000);
    let mut nanos = Histogram::new_with_bounds(1, most, 3).expect("the bounds are sound");
    for (micros, count) in counts(durations) {
        nanos.record_n(micros * 1000, count).expect("it is within the bounds");
    }
    nanos
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::report::example;
    use crate::stats::{Clock, Metric};

    #[test]
    fn every_series_is_an_interval_with_the_same_percentiles() {
        let log = example::log();
        let (planned, measured) = log.load().expect("it is a load's");
        let text = hlog(&log.header, planned, measured).expect("its histograms are sound");
        let histograms = measured.histograms().expect("its histograms are sound");
        let entries: Vec<LogEntry<'_>> = IntervalLogIterator::new(text.as_bytes()).collect::<Result<_, _>>().expect("a log");
        let mut tags = Vec::new();
        let mut samples = 0;
        for entry in &entries {
            let LogEntry::Interval(interval) = entry else { continue };
            let tag = interval.tag().expect("every interval has one").as_str().to_owned();
            let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).expect("base64");
            let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).expect("a histogram");
            samples += read.len();
            assert!((interval.max() - read.max() as f64 / PER_MILLI).abs() < 0.001, "{tag}");
            if tag == "deliver.steady" {
                let ours = histograms.select(Metric::Deliver, Clock::Intended, Some("steady"), None);
                for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
                    let (shown, measured) = (read.value_at_quantile(quantile) as f64, ours.value_at_quantile(quantile) as f64 * 1000.0);
                    assert!((measured..=measured * 1.001).contains(&shown), "{quantile}: {shown} against {measured}");
                }
                assert_eq!((interval.start_timestamp(), interval.duration()), (Duration::from_secs(2), Duration::from_secs(10)));
            }
            tags.push(tag);
        }
        assert_eq!(samples, histograms.0.values().map(|histogram| histogram.len()).sum::<u64>());
        assert_eq!(tags, ["connect.arrive", "join.arrive", "echo.steady", "deliver.steady", "deliver.service.steady", "deliver.burst_2"]);
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        insta::assert_snapshot!(header.join("\n"));
    }
}
