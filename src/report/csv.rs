//! A load as tables for spreadsheets and plotting: its seconds, and its percentiles.

use csv::Writer;

use super::series::kinds;
use crate::event::{HistogramError, Measured, Planned, Second};
use crate::stats::{Clock, Durations, PERCENTILES};

/// A row for each second; counts are of the second, latencies in milliseconds, processor use between 0 and 1 by thread.
pub fn seconds<'a>(seconds: impl IntoIterator<Item = &'a Second>) -> String {
    let seconds: Vec<&Second> = seconds.into_iter().collect();
    let threads = seconds.iter().map(|second| second.cpu.len()).max().unwrap_or(0);
    let columns = [
        "at_ms",
        "phase",
        "connected",
        "joined",
        "planned",
        "sent",
        "delivered",
        "bytes_sent",
        "bytes_received",
        "errors",
        "wrong_so_far",
        "deliver_p50_ms",
        "deliver_p99_ms",
        "send_lag_p99_ms",
        "loop_lag_p99_ms",
    ];
    let mut rows = vec![columns.iter().map(ToString::to_string).chain((0..threads).map(|thread| format!("cpu_{thread}"))).collect()];
    for second in seconds {
        let mut row = vec![
            second.at_ms.to_string(),
            second.phase.clone(),
            second.connected.to_string(),
            second.joined.to_string(),
            second.planned.to_string(),
            second.sent.to_string(),
            second.delivered.to_string(),
            second.bytes_sent.to_string(),
            second.bytes_received.to_string(),
            second.errors.to_string(),
            second.wrong().to_string(),
            second.p50_ms.to_string(),
            second.p99_ms.to_string(),
            second.send_lag_p99_ms.to_string(),
            second.loop_lag_p99_ms.to_string(),
        ];
        row.extend((0..threads).map(|thread| second.cpu.get(thread).map_or_else(String::new, ToString::to_string)));
        rows.push(row);
    }
    table(rows)
}

/// A row for each metric, clock, phase and room size, and one for all sizes together; durations are in milliseconds.
///
/// # Errors
/// A histogram that can't be decoded.
pub fn percentiles(planned: &Planned, measured: &Measured) -> Result<String, HistogramError> {
    let histograms = measured.histograms()?;
    let columns = ["metric", "clock", "phase", "counts", "size", "count", "mean_ms", "min_ms"].map(str::to_owned);
    let percentages = PERCENTILES.iter().map(|percentage| format!("p{percentage}_ms"));
    let mut rows = vec![columns.into_iter().chain(percentages).chain(["max_ms".to_owned()]).collect()];
    for phase in &planned.phases {
        for (metric, clock) in kinds() {
            let own = |size| histograms.select(metric, clock, Some(&phase.name), size);
            let sizes = histograms.0.keys().filter(|key| key.metric == metric && key.clock == clock && key.phase == phase.name);
            let named = std::iter::once(("all".to_owned(), own(None))).chain(sizes.map(|key| (key.size.to_string(), own(Some(key.size)))));
            for (size, durations) in named.filter(|(_, durations)| !durations.is_empty()) {
                let clock = if clock == Clock::Intended { "intended" } else { "service" };
                let mut row = vec![metric.name().to_owned(), clock.to_owned(), phase.name.clone(), phase.counts.to_string(), size];
                row.extend(figures(&durations));
                rows.push(row);
            }
        }
    }
    Ok(table(rows))
}

fn figures(durations: &Durations) -> Vec<String> {
    let millis = |micros: f64| format!("{:.3}", micros / 1000.0);
    let mut figures = vec![durations.len().to_string(), millis(durations.mean()), millis(durations.min() as f64)];
    figures.extend(PERCENTILES.iter().map(|percentage| millis(durations.value_at_quantile(percentage / 100.0) as f64)));
    figures.push(millis(durations.max() as f64));
    figures
}

fn table(rows: Vec<Vec<String>>) -> String {
    let mut writer = Writer::from_writer(Vec::new());
    rows.into_iter().for_each(|row| writer.write_record(row).expect("all rows are as long, and memory takes all"));
    String::from_utf8(writer.into_inner().expect("memory takes all")).expect("it is written from texts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_seconds_are_a_table() {
        insta::assert_snapshot!(seconds(example::log().seconds()));
    }

    #[test]
    fn the_percentiles_are_a_table() {
        let log = example::log();
        let (planned, measured) = log.load().expect("it is a load's");
        insta::assert_snapshot!(percentiles(planned, measured).expect("its histograms are sound"));
    }
}
