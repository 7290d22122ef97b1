//! The figures of loads that stand beside each other, and, where there are enough runs of two sides, what the comparison says of them.

use maud::{Markup, html};

use super::loaded::Loaded;
use super::overlay::Named;
use super::table::figures;
use super::text::visible;
use crate::event::Trust;
use crate::ledger::Wrong;
use crate::report::figures::number;
use crate::stats::compare::{Compared, Figure, LEAST_RUNS, Loss, MinEffect, Unit, Verdict, compare};
use crate::stats::{Clock, Metric, durations};

/// The metrics that stand in the table, and whether they are looked at in all phases: sessions begin mostly before the phases that count.
const METRICS: [(Metric, bool); 4] = [(Metric::Deliver, false), (Metric::Echo, false), (Metric::Join, true), (Metric::Connect, true)];

/// Their percentiles, and which of them are compared: a run has too few samples for the others.
const PERCENTILES: [(&str, f64, bool); 4] = [("p50", 0.5, true), ("p99", 0.99, true), ("p99.9", 0.999, false), ("max", 1.0, false)];

/// A figure of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    pub name: String,
    pub unit: Unit,
    /// Whether it is one of those that are compared.
    pub judged: bool,
    /// `None` where the run has no sample.
    pub value: Option<f64>,
}

impl Measure {
    pub fn unit_shown(&self) -> &'static str {
        match self.unit {
            Unit::Millis => "ms",
            Unit::PerSecond => "a second",
            Unit::CpuSeconds => "CPU s for 100,000 deliveries",
            Unit::PerMillion => "in a million",
        }
    }
}

/// The figures of a run, the same of each and in the same order.
pub fn measures(loaded: &Loaded<'_>) -> Vec<Measure> {
    let mut all = Vec::new();
    for (metric, anywhere) in METRICS {
        let mut chosen = durations();
        for (key, histogram) in &loaded.histograms.0 {
            if key.metric == metric && key.clock == Clock::Intended && (anywhere || loaded.counts(&key.phase)) {
                chosen.add(histogram).expect("the sum grows as needed");
            }
        }
        for (name, quantile, judged) in PERCENTILES {
            // Of a hundred, the 99.9th percentile is but the maximum.
            let enough = judged || quantile == 1.0 || chosen.len() as f64 * (1.0 - quantile) >= 0.999;
            let value = (enough && !chosen.is_empty()).then(|| chosen.value_at_quantile(quantile) as f64 / 1000.0);
            all.push(Measure { name: format!("{}.{name}", metric.name()), unit: Unit::Millis, judged, value });
        }
    }
    let mut add = |name: &str, unit, value| all.push(Measure { name: name.into(), unit, judged: true, value });
    let rates = loaded.rates();
    add("send.rate", Unit::PerSecond, rates.map(|(sent, _)| sent));
    add("deliver.rate", Unit::PerSecond, rates.map(|(_, delivered)| delivered));
    let measured = loaded.measured;
    let cpu = measured.filter(|measured| measured.ledger.delivered > 0);
    add("generator.cpu", Unit::CpuSeconds, cpu.map(|measured| measured.health.cpu_seconds / measured.ledger.delivered as f64 * 1e5));
    let wrong = measured.filter(|measured| measured.ledger.due > 0).map(|measured| {
        let wrong: u64 = Wrong::ALL.iter().map(|wrong| measured.ledger.count(*wrong)).sum();
        wrong as f64 / measured.ledger.due as f64 * 1e6
    });
    add("wrong", Unit::PerMillion, wrong);
    all
}

/// Two sides of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    pub base: String,
    pub new: String,
    /// Whether each run is of the new side.
    new_side: Vec<bool>,
}

impl Sides {
    pub fn is_new(&self, at: usize) -> bool {
        self.new_side.get(at).copied().unwrap_or(false)
    }
}

/// The two sides that these runs are of, told apart by the names of their logs (`base-01.jsonl` … `new-05.jsonl`) or else by their
/// targets; `None` where there are not two, each with the runs that a comparison needs.
pub fn told_apart(loads: &[Named<'_>]) -> Option<Sides> {
    let by_name = |(name, _): &Named<'_>| stem(name);
    let by_target = |(_, loaded): &Named<'_>| loaded.header.target.http.clone();
    sides(&loads.iter().map(by_name).collect::<Vec<_>>()).or_else(|| sides(&loads.iter().map(by_target).collect::<Vec<_>>()))
}

fn sides(of: &[String]) -> Option<Sides> {
    let base = of.first()?;
    let new = of.iter().find(|side| *side != base)?;
    let count = |side: &String| of.iter().filter(|other| *other == side).count();
    let two = of.iter().all(|side| side == base || side == new);
    (two && count(base).min(count(new)) >= LEAST_RUNS).then(|| Sides {
        base: base.clone(),
        new: new.clone(),
        new_side: of.iter().map(|side| side == new).collect(),
    })
}

/// A log's name without its folder, its extension, and the number of the run.
fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = file.split('.').next().unwrap_or(file);
    stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', ' ']).to_owned()
}

/// What the comparison says, where there are two sides with enough runs that may be compared.
pub fn verdict(loads: &[Named<'_>], sides: Option<&Sides>) -> Markup {
    let Some(sides) = sides else {
        return html! {
            p class="dim" { "A single run of each says little: a comparison takes " (LEAST_RUNS) " runs of each side, and says which differences are more than noise." }
        };
    };
    if let Some(why) = unfit(loads) {
        return html! { p class="dim" { "They are not compared here, since " (why) "." } };
    }
    let values = |row: usize, new: bool| -> Vec<Option<f64>> {
        let of_side = |(at, (_, loaded)): (usize, &Named<'_>)| (sides.is_new(at) == new).then(|| measures(loaded)[row].value);
        loads.iter().enumerate().filter_map(of_side).collect()
    };
    let rows = loads.first().map(|(_, loaded)| measures(loaded)).unwrap_or_default();
    let judged = rows.into_iter().enumerate().filter(|(_, measure)| measure.judged);
    let compared: Vec<Figure> = judged
        .map(|(row, measure)| Figure { name: measure.name, unit: measure.unit, base: values(row, false), new: values(row, true) })
        .collect();
    let lost = |wrong: Wrong, new: bool| -> u64 {
        let of_side = |(at, (_, loaded)): (usize, &Named<'_>)| {
            (sides.is_new(at) == new).then(|| loaded.account().map_or(0, |account| account.count(wrong)))
        };
        loads.iter().enumerate().filter_map(of_side).sum()
    };
    let losses: Vec<Loss> =
        Wrong::ALL.map(|wrong| Loss { wrong: wrong.name().into(), base: lost(wrong, false), new: lost(wrong, true) }).into();
    let comparison = compare(&compared, &losses, &MinEffect::default());
    let (base, new) = comparison.runs;
    html! {
        h3 { "Compared" }
        p {
            "The " (new) " runs of " strong { (visible(&sides.new)) } " against the " (base) " of " strong { (visible(&sides.base)) } ": "
            strong class=(class(comparison.verdict)) { (comparison.verdict.word()) }
            ". What differs by less than " (comparison.min_effect) " doesn't matter; what isn't known to be the same is inconclusive."
        }
        (figures(["", "base, median", "new, median", "change", "", ""], comparison.figures.iter().map(row)))
        @for loss in comparison.losses.iter().filter(|loss| loss.base + loss.new > 0) {
            p class=[loss.is_new().then_some("fail")] { (loss.wrong) " deliveries: " (loss.base) " before, " (loss.new) " now" }
        }
    }
}

/// Why runs can't be compared: as `chatspec compare` would refuse them.
fn unfit(loads: &[Named<'_>]) -> Option<&'static str> {
    let plan = |loaded: &Loaded<'_>| (loaded.planned.map(|planned| planned.hash.clone()), loaded.header.seed);
    let first = loads.first().map(|(_, loaded)| plan(loaded));
    let any = |is: &dyn Fn(&Loaded<'_>) -> bool| loads.iter().any(|(_, loaded)| is(loaded));
    if any(&|loaded| loaded.measured.is_none()) {
        Some("not every run came to its measurements")
    } else if any(&|loaded| loaded.footer.interrupted) {
        Some("not every run was played to its end")
    } else if any(&|loaded| loaded.planned.is_some_and(|planned| planned.shard.is_some())) {
        Some("some are only a part of a run")
    } else if any(&|loaded| loaded.trust() == Some(Trust::Invalid)) {
        Some("in some the generator was the bottleneck")
    } else if any(&|loaded| Some(plan(loaded)) != first) {
        Some("they are not of one plan and one seed")
    } else {
        None
    }
}

fn row(figure: &Compared) -> [String; 6] {
    let median =
        |spread: &Option<crate::stats::compare::Spread>| spread.as_ref().map_or("no sample".to_owned(), |spread| number(spread.median));
    let change = figure.change.map_or(String::new(), |change| format!("{:+.1} %", change * 100.0));
    let why = match (&figure.why, figure.p) {
        (Some(why), _) => why.clone(),
        (None, Some(p)) => format!("p = {p:.3}"),
        (None, None) => String::new(),
    };
    [figure.name.clone(), median(&figure.base), median(&figure.new), change, figure.verdict.word().to_owned(), why]
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better | Verdict::Same => "pass",
        Verdict::Worse => "fail",
        Verdict::Inconclusive => "warn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Log;
    use crate::report::example;

    fn logs(names: &[&str]) -> Vec<(String, Log)> {
        names.iter().map(|name| ((*name).to_owned(), example::log())).collect()
    }

    fn of(logs: &[(String, Log)]) -> Vec<Named<'_>> {
        logs.iter().map(|(name, log)| (name, Loaded::of(log).expect("sound"))).collect()
    }

    #[test]
    fn two_sides_are_told_apart_by_name_or_target_if_each_has_enough_runs() {
        assert_eq!(stem("runs/base-01.jsonl"), "base");
        let names = ["base-1", "new-1", "base-2", "new-2", "base-3", "new-3", "base-4", "new-4", "base-5", "new-5"];
        let mut both = logs(&names);
        let sides = told_apart(&of(&both)).expect("two sides of five runs");
        assert_eq!((sides.base.as_str(), sides.new.as_str(), sides.is_new(0), sides.is_new(1)), ("base", "new", false, true));
        assert!(told_apart(&of(&both[..9])).is_none(), "a side of four runs says nothing");
        for (at, (name, log)) in both.iter_mut().enumerate() {
            *name = format!("run {at}");
            log.header.target.http = if at < 5 { "http://127.0.0.1:1/" } else { "http://127.0.0.1:2/" }.into();
        }
        assert!(told_apart(&of(&both)).expect("two targets").is_new(5));
    }

    #[test]
    fn runs_that_compare_would_refuse_are_not_compared() {
        let mut both = logs(&["a", "b"]);
        assert_eq!(unfit(&of(&both)), None);
        both[1].1.header.seed = 9;
        assert_eq!(unfit(&of(&both)), Some("they are not of one plan and one seed"));
        both[1].1.footer.interrupted = true;
        assert_eq!(unfit(&of(&both)), Some("not every run was played to its end"));
    }

    #[test]
    fn like_sides_are_the_same() {
        let both = logs(&["base-1", "new-1", "base-2", "new-2", "base-3", "new-3", "base-4", "new-4", "base-5", "new-5"]);
        let loads = of(&both);
        let said = verdict(&loads, told_apart(&loads).as_ref()).into_string();
        assert!(said.contains("deliver.p99") && !said.contains("worse") && !said.contains("better"), "{said}");
    }
}
