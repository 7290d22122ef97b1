//! A load while it runs, as OpenMetrics text that Prometheus scrapes.

use std::fmt::Write as _;

use crate::event::Second;
use crate::ledger::Wrong;
use crate::stats::encoding::{self, DecodeError};
use crate::stats::{Durations, counts, durations};

/// The content type under which the text is served.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the buckets of delivery latencies, in microseconds.
const BOUNDS: [u64; 15] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000];

/// The sums over the seconds of a load: what is scraped counts from the run's start.
#[derive(Clone, Debug)]
pub struct Totals {
    planned: u64,
    sent: u64,
    delivered: u64,
    bytes_sent: u64,
    bytes_received: u64,
    errors: u64,
    deliver: Durations,
    last: Second,
}

impl Default for Totals {
    fn default() -> Self {
        let deliver = durations();
        Self { planned: 0, sent: 0, delivered: 0, bytes_sent: 0, bytes_received: 0, errors: 0, deliver, last: Second::default() }
    }
}

impl Totals {
    /// Adds a second.
    ///
    /// # Errors
    /// Latencies that can't be decoded; nothing of the second is added then.
    pub fn add(&mut self, second: &Second) -> Result<(), DecodeError> {
        if !second.deliver.is_empty() {
            self.deliver.add(encoding::decode(&second.deliver)?).expect("the sum grows as needed");
        }
        self.planned += second.planned;
        self.sent += second.sent;
        self.delivered += second.delivered;
        self.bytes_sent += second.bytes_sent;
        self.bytes_received += second.bytes_received;
        self.errors += second.errors;
        self.last = second.clone();
        Ok(())
    }

    /// The text to be scraped.
    pub fn openmetrics(&self) -> String {
        let mut page = Page::default();
        let second = &self.last;
        page.family("connections", "gauge", "", "Connections that are open.", [("", f64::from(second.connected))]);
        page.family("members", "gauge", "", "Connections that are in their room.", [("", f64::from(second.joined))]);
        page.family("messages_planned", "counter", "", "Messages that were due.", [("", self.planned as f64)]);
        page.family("messages_sent", "counter", "", "Messages that were sent.", [("", self.sent as f64)]);
        page.family("deliveries", "counter", "", "Messages that members got, one for each member.", [("", self.delivered as f64)]);
        page.family("errors", "counter", "", "Errors of the target and of the generator's machine.", [("", self.errors as f64)]);
        let wrong = Wrong::ALL.map(|wrong| (format!("kind=\"{wrong}\""), self.last.ledger.count(wrong) as f64));
        page.family(
            "wrong_deliveries",
            "counter",
            "",
            "Deliveries that went wrong.",
            wrong.iter().map(|(label, count)| (&**label, *count)),
        );
        let bytes = [("direction=\"sent\"", self.bytes_sent as f64), ("direction=\"received\"", self.bytes_received as f64)];
        page.family("transferred_bytes", "counter", "bytes", "Bytes over WebSocket connections.", bytes);
        page.latencies(&self.deliver);
        let lag = [("of=\"sending\"", second.send_lag_p99_ms / 1e3), ("of=\"loop\"", second.loop_lag_p99_ms / 1e3)];
        page.family(
            "generator_lag_p99_seconds",
            "gauge",
            "seconds",
            "How late the generator itself was in the last second, 99th percentile.",
            lag,
        );
        let cpu: Vec<(String, f64)> =
            second.cpu.iter().enumerate().map(|(thread, used)| (format!("thread=\"{thread}\""), f64::from(*used))).collect();
        page.family(
            "generator_cpu_ratio",
            "gauge",
            "ratio",
            "How busy each of the generator's threads was in the last second.",
            cpu.iter().map(|(label, used)| (&**label, *used)),
        );
        let phase = format!("phase=\"{}\"", escaped(&second.phase));
        page.family("phase", "gauge", "", "The phase of the last second.", [(&*phase, 1.0)]);
        page.0 + "# EOF\n"
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// A family of samples, each with its labels, under the name that all of them share.
    fn family<'l>(&mut self, name: &str, kind: &str, unit: &str, help: &str, samples: impl IntoIterator<Item = (&'l str, f64)>) {
        self.head(name, kind, unit, help);
        let total = if kind == "counter" { "_total" } else { "" };
        for (labels, value) in samples {
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(self.0, "chatspec_load_{name}{total}{labels} {value}");
        }
    }

    fn head(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE chatspec_load_{name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.0, "# UNIT chatspec_load_{name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP chatspec_load_{name} {help}");
    }

    fn latencies(&mut self, durations: &Durations) {
        let name = "delivery_latency_seconds";
        self.head(name, "histogram", "seconds", "From the instant at which a message was due until a member had it.");
        let mut below = [0_u64; BOUNDS.len()];
        for (micros, count) in counts(durations) {
            below.iter_mut().zip(BOUNDS).filter(|(_, bound)| micros <= *bound).for_each(|(below, _)| *below += count);
        }
        for (bound, below) in BOUNDS.iter().zip(below) {
            let _ = writeln!(self.0, "chatspec_load_{name}_bucket{{le=\"{:?}\"}} {below}", *bound as f64 / 1e6);
        }
        let (count, sum) = (durations.len(), if durations.is_empty() { 0.0 } else { durations.mean() * durations.len() as f64 / 1e6 });
        let _ = writeln!(self.0, "chatspec_load_{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(self.0, "chatspec_load_{name}_count {count}\nchatspec_load_{name}_sum {sum}");
    }
}

/// A text as the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn counts_add_up_over_the_seconds_and_gauges_are_of_the_last() {
        let log = example::log();
        let mut totals = Totals::default();
        log.seconds().for_each(|second| totals.add(second).expect("its latencies are sound"));
        insta::assert_snapshot!(totals.openmetrics());
    }

    #[test]
    fn before_the_first_second_there_is_a_whole_page_too() {
        let page = Totals::default().openmetrics();
        assert!(page.ends_with("# EOF\n") && page.contains("chatspec_load_messages_sent_total 0\n"), "{page}");
    }
}
