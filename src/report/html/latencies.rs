//! The latencies of a load: the percentile spectrum, and tables by metric, phase and size of room.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use maud::{Markup, html};

use super::charts::{Ink, figure};
use super::loaded::Loaded;
use super::spectrum::{self, Curve};
use super::table::figures;
use crate::report::figures::plural;
use crate::report::load::{cells, differ};
use crate::stats::{Clock, Durations, Key, Metric, durations};

/// The metrics of a message on its way, each with the place of its colour.
const MESSAGE: [Metric; 4] = [Metric::Deliver, Metric::Echo, Metric::First, Metric::Last];

const TITLES: [&str; 7] = ["count", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

/// The spectrum of what happens to a message; of a run without measurements, of the deliveries that its seconds tell of.
pub fn spectrum(loaded: &Loaded<'_>) -> Markup {
    let mut curves = Vec::new();
    for (place, metric) in MESSAGE.into_iter().enumerate() {
        let (intended, service) = (loaded.counted(metric, Clock::Intended), loaded.counted(metric, Clock::Service));
        if !service.is_empty() && (intended.is_empty() || differ(&intended, &service)) {
            let name = format!("{}, service time", metric.name());
            curves.push(Curve { name, ink: Ink::Dashed(place), durations: service });
        }
        if !intended.is_empty() {
            curves.push(Curve { name: metric.name().to_owned(), ink: Ink::Series(place), durations: intended });
        }
    }
    let mut note = "Half of all took at most what the curve shows at 50, all but one in a hundred what it shows at 99.".to_owned();
    if curves.is_empty() {
        let so_far = loaded.so_far();
        if so_far.is_empty() {
            return html! {};
        }
        curves.push(Curve { name: "deliver, all phases until the end".into(), ink: Ink::Series(0), durations: so_far });
    } else if curves.iter().any(|curve| matches!(curve.ink, Ink::Dashed(_))) {
        note.push_str(" Service time counts from when each was begun, the others from when the plan wanted it begun.");
    }
    let legend: Vec<_> = curves.iter().map(|curve| (curve.ink, curve.name.clone())).collect();
    figure("Percentile spectrum, in ms", &legend, &note, &spectrum::chart("Latency by percentile", &curves))
}

/// The tables: of all metrics, then, folded, by phase and by size of room.
pub fn tables(loaded: &Loaded<'_>) -> Markup {
    let (rows, outside) = by_metric(loaded);
    if rows.is_empty() {
        return html! {};
    }
    let since = if loaded.is_closed() { "since each was begun" } else { "since the instant at which the plan wanted each begun" };
    html! {
        h2 { "Latencies in ms" }
        p class="dim" { "Counted " (since) ". – stands where there are too few for that percentile." }
        (table("metric", rows))
        @if outside { p class="dim" { "* of all phases, since none was in those that count" } }
        (parts(loaded, "By phase", |key| key.phase.clone()))
        (parts(loaded, "By size of room", |key| plural(key.size.into(), "place", "places")))
    }
}

fn table(first: &str, rows: Vec<(String, Durations)>) -> Markup {
    let [count, p50, p90, p99, p999, p9999, max] = TITLES;
    let row = |(name, durations): (String, Durations)| {
        let [count, p50, p90, p99, p999, p9999, max] = cells(&durations);
        [name, count, p50, p90, p99, p999, p9999, max]
    };
    figures([first, count, p50, p90, p99, p999, p9999, max], rows.into_iter().map(row))
}

/// Whether some row is of all phases.
fn by_metric(loaded: &Loaded<'_>) -> (Vec<(String, Durations)>, bool) {
    let (mut rows, mut outside) = (Vec::new(), false);
    let all = |metric, clock| loaded.histograms.select(metric, clock, None, None);
    for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::SendLag) {
        let mut name = metric.name().to_owned();
        let (mut intended, mut service) = (loaded.counted(metric, Clock::Intended), loaded.counted(metric, Clock::Service));
        if intended.is_empty() && service.is_empty() && !MESSAGE.contains(&metric) {
            // Whoever arrives does so before the phases that count begin, and is worth a figure.
            (intended, service) = (all(metric, Clock::Intended), all(metric, Clock::Service));
            name.push_str(" *");
            outside |= !intended.is_empty() || !service.is_empty();
        }
        if intended.is_empty() {
            (intended, service) = (service, durations());
        }
        let apart = differ(&intended, &service);
        rows.extend([(name.clone(), intended)].into_iter().filter(|(_, durations)| !durations.is_empty()));
        if apart {
            rows.push((format!("{name}, service time"), service));
        }
    }
    (rows, outside)
}

/// A table of each metric by a part of its key, the phase or the size, where there is more than one of them.
fn parts(loaded: &Loaded<'_>, title: &str, part: impl Fn(&Key) -> String) -> Markup {
    let place = |phase: &str| {
        let phases = loaded.planned.map_or([].as_slice(), |planned| &planned.phases);
        phases.iter().position(|known| known.name == phase)
    };
    let has_intended = |metric| loaded.histograms.0.keys().any(|key| key.metric == metric && key.clock == Clock::Intended);
    let chosen = |key: &&Key| key.metric != Metric::SendLag && (key.clock == Clock::Intended) == has_intended(key.metric);
    let mut keys: Vec<&Key> = loaded.histograms.0.keys().filter(chosen).collect();
    keys.sort_by_key(|key| (key.metric, place(&key.phase), key.size));
    let mut tables: IndexMap<Metric, IndexMap<String, Durations>> = IndexMap::new();
    for key in keys {
        let sum = tables.entry(key.metric).or_default().entry(part(key)).or_insert_with(durations);
        sum.add(&loaded.histograms.0[key]).expect("the sum grows as needed");
    }
    let names: BTreeSet<&String> = tables.values().flat_map(IndexMap::keys).collect();
    html! {
        @if names.len() > 1 {
            details {
                summary { (title) }
                @for (metric, rows) in tables { (table(metric.name(), rows.into_iter().collect())) }
            }
        }
    }
}
