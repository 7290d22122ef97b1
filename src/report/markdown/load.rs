//! The summary of a load.

use std::collections::HashSet;

use super::text::{block, cell, inline, table};
use super::{Page, again, folded, target};
use crate::event::{Kind, Log, Measured, Planned, Trust};
use crate::report::cases::Cases;
use crate::report::figures::{NONE, number, seconds};
use crate::report::load::{LoadReport, PERCENTILES, cells, trusted};
use crate::report::shards;
use crate::report::terminal::Verbosity;
use crate::stats::{Clock, Histograms, Metric};

/// The metrics that most want to see; the whole report has the others.
const SHOWN: [Metric; 5] = [Metric::Connect, Metric::Join, Metric::Echo, Metric::Deliver, Metric::Last];

pub fn page(log: &Log) -> String {
    let cases = Cases::of(log);
    let mut page = Page::new(Kind::Load, &cases.word, &cases.sentence);
    for note in log.footer.notes.iter().chain(&cases.broken_off) {
        page.block(&format!("**{}**", inline(note)));
    }
    page.block(&target(&log.header));
    if let Some((planned, measured)) = log.load() {
        thresholds(&mut page, measured);
        match measured.histograms() {
            Ok(histograms) => latencies(&mut page, planned, &histograms),
            Err(error) => page.block(&inline(&error.to_string())),
        }
        phases(&mut page, planned, measured);
        trust(&mut page, measured);
        beside(&mut page, measured);
        for case in cases.cases.iter().filter(|case| case.area == "ledger" && !case.details.is_empty()) {
            page.block(&folded(&case.why, &block(&case.details)));
        }
    }
    page.block(&folded("The whole report", &block(&whole(log))));
    if !log.header.reproduce.is_empty() {
        page.block(&again(&log.header.reproduce));
    }
    page.finish()
}

fn thresholds(page: &mut Page, measured: &Measured) {
    let row = |threshold: &crate::event::ThresholdVerdict| {
        let holds = if threshold.holds { "holds" } else { "**doesn't hold**" };
        vec![cell(&threshold.threshold), holds.to_owned(), inline(threshold.measured.as_deref().unwrap_or("no sample"))]
    };
    let rows: Vec<Vec<String>> = measured.thresholds.iter().map(row).collect();
    if !rows.is_empty() {
        page.block(&table(&["threshold", "", "measured"], &rows));
    }
}

fn latencies(page: &mut Page, planned: &Planned, histograms: &Histograms) {
    let counting: HashSet<&str> = planned.phases.iter().filter(|phase| phase.counts).map(|phase| phase.name.as_str()).collect();
    let mut rows = Vec::new();
    for metric in SHOWN {
        let select = |all: bool| {
            let mut sum = crate::stats::durations();
            let chosen = histograms
                .0
                .iter()
                .filter(|(key, _)| key.metric == metric && key.clock == Clock::Intended && (all || counting.contains(key.phase.as_str())));
            chosen.for_each(|(_, histogram)| sum.add(histogram).expect("the sum grows as needed"));
            sum
        };
        // Whoever arrives does so before the phases that count begin.
        let arrival = matches!(metric, Metric::Connect | Metric::Join);
        let durations = Some(select(false)).filter(|durations| !durations.is_empty() || !arrival).unwrap_or_else(|| select(true));
        if !durations.is_empty() {
            rows.push([vec![metric.name().to_owned()], cells(&durations).into()].concat());
        }
    }
    if !rows.is_empty() {
        let mut titles = vec!["ms", "count"];
        titles.extend(PERCENTILES.iter().map(|(_, name)| *name));
        titles.push("max");
        page.block(&table(&titles, &rows));
    }
}

fn phases(page: &mut Page, planned: &Planned, measured: &Measured) {
    let counts = |name: &str| planned.phases.iter().any(|phase| phase.name == name && phase.counts);
    let row = |phase: &crate::event::PhaseMeasured| {
        let rate = |messages: u64| number(messages as f64 / phase.seconds.max(1e-9));
        let due = if planned.messages.is_none() { NONE.to_owned() } else { rate(phase.planned) };
        vec![inline(&phase.name), seconds(phase.seconds * 1000.0), due, rate(phase.sent), rate(phase.delivered)]
    };
    let rows: Vec<Vec<String>> = measured.phases.iter().filter(|phase| counts(&phase.name)).map(row).collect();
    if !rows.is_empty() {
        page.block(&table(&["phase", "lasted", "planned/s", "sent/s", "arrived/s"], &rows));
    }
}

fn trust(page: &mut Page, measured: &Measured) {
    let said = match measured.health.trust {
        Trust::Trusted => return,
        Trust::Degraded => "**The generator was degraded**: the figures hold some of its own delay.".to_owned(),
        Trust::Invalid => format!("**Not to be believed**: {}.", trusted(measured)),
    };
    let reasons: String = measured.health.reasons.iter().map(|reason| format!("- {}\n", inline(reason))).collect();
    page.block(&format!("{said}\n\n{reasons}"));
}

fn beside(page: &mut Page, measured: &Measured) {
    let rows: Vec<Vec<String>> = shards::rows(&measured.shards).map(|(_, row)| row.iter().map(|cell| inline(cell)).collect()).collect();
    if !rows.is_empty() {
        page.block(&table(&shards::TITLES, &rows));
        page.block(&shards::remarks(&measured.shards).iter().map(|remark| format!("- {}\n", inline(remark))).collect::<String>());
    }
}

/// What a terminal would have shown.
fn whole(log: &Log) -> String {
    let mut report = LoadReport::new(Verbosity::Normal);
    log.replay(|event| report.event(event));
    let mut text = anstream::StripStream::new(Vec::new());
    match report.finish(&mut text) {
        Ok(()) => String::from_utf8_lossy(&text.into_inner()).into_owned(),
        Err(error) => error.to_string(),
    }
}
