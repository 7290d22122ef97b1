//! Several loads laid over each other: their spectra, latencies and rates in the same charts, and their figures side by side. It is a view;
//! the judge is `chatspec compare`.

use maud::{Markup, html};

use super::axis::Axis;
use super::charts::{Chart, Ink, Layer, SERIES, figure, swatch};
use super::columns::Column;
use super::loaded::Loaded;
use super::sides::{self, Measure};
use super::spectrum::{self, Curve};
use super::text::visible;
use crate::event::Trust;
use crate::report::figures::{NONE, number, plural};
use crate::report::load::{trusted_word, word};
use crate::stats::Metric;

/// A load with its name for a reader.
pub type Named<'a> = (&'a String, Loaded<'a>);

pub fn subtitle(loads: &[Named<'_>]) -> Markup {
    html! { "chatspec load, " (plural(loads.len() as u64, "run", "runs")) }
}

/// The page's body.
pub fn body(loads: &[Named<'_>]) -> Markup {
    let sides = sides::told_apart(loads);
    // Many runs of two sides would be a tangle of colours that mean nothing; a colour for each side tells them apart.
    let palette = match &sides {
        Some(sides) if loads.len() > SERIES => Palette {
            inks: (0..loads.len()).map(|at| Ink::Series(usize::from(sides.is_new(at)))).collect(),
            legend: vec![(Ink::Series(0), format!("the runs of {}", sides.base)), (Ink::Series(1), format!("the runs of {}", sides.new))],
        },
        _ => Palette {
            inks: (0..loads.len()).map(ink).collect(),
            legend: loads.iter().enumerate().map(|(at, (name, _))| (ink(at), String::clone(name))).collect(),
        },
    };
    let invalid = loads.iter().any(|(_, loaded)| loaded.trust() == Some(Trust::Invalid));
    html! {
        div class="load" {
            (caveats(loads))
            (runs(loads, &palette.inks))
            h2 { "Side by side" }
            (side_by_side(loads))
            (sides::verdict(loads, sides.as_ref()))
            @if invalid { p class="dim" { "A run that is not to be believed says nothing of its target, here as elsewhere." } }
            h2 { "Percentile spectra" }
            (spectrum(loads, &palette, Metric::Deliver, "Deliveries, in ms"))
            (spectrum(loads, &palette, Metric::Echo, "Own echoes, in ms"))
            h2 { "Over time" }
            (over_time(loads, &palette))
        }
    }
}

/// The colour of each run, and what the colours mean.
struct Palette {
    inks: Vec<Ink>,
    legend: Vec<(Ink, String)>,
}

/// After the last colour the series are dashed.
fn ink(at: usize) -> Ink {
    if at % (2 * SERIES) < SERIES { Ink::Series(at) } else { Ink::Dashed(at) }
}

/// What differs between the runs, beside what they measured.
fn caveats(loads: &[Named<'_>]) -> Markup {
    let different = differences(loads);
    let class = if different.is_empty() { "pass" } else { "warn" };
    html! {
        section class=(format!("panel conclusion {class}")) {
            @if different.is_empty() {
                p { strong { "The same plan, seed and target: " } "what differs below is the runs' own." }
            } @else {
                p { strong { "These runs differ in more than what they measured." } }
                ul { @for difference in different { li { (visible(&difference)) } } }
            }
            p { "This page is a view. Which is better is for " code { "chatspec compare BASE.jsonl … -- NEW.jsonl …" } " to say." }
        }
    }
}

/// What differs, a sentence each.
fn differences(loads: &[Named<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut tell = |what: &str, so: &str, of: &dyn Fn(&Loaded<'_>) -> String| {
        let values: Vec<String> = loads.iter().map(|(_, loaded)| of(loaded)).collect();
        if values.iter().any(|value| *value != values[0]) {
            let list: Vec<String> = loads.iter().zip(&values).map(|((name, _), value)| format!("{name}: {value}")).collect();
            found.push(format!("{what} ({}){so}", list.join("; ")));
        }
    };
    let planned = |loaded: &Loaded<'_>, of: &dyn Fn(&crate::event::Planned) -> String| loaded.planned.map_or("unknown".to_owned(), of);
    tell("Their plans are not the same", ", so they were asked for different things.", &|loaded| {
        planned(loaded, &|planned| format!("{} {}", planned.profile, planned.hash.chars().take(8).collect::<String>()))
    });
    tell("Their seeds are not the same", ", so different messages were sent at different instants.", &|loaded| {
        loaded.header.seed.to_string()
    });
    tell("Their targets are not the same", ".", &|loaded| format!("{} {}", loaded.header.target.http, loaded.header.target.ws));
    tell("Their generators were not trusted alike", ".", &|loaded| {
        loaded.trust().map_or("nothing was measured to the end", |trust| trusted_word(trust)).to_owned()
    });
    tell("They used a different number of threads", ".", &|loaded| planned(loaded, &|planned| planned.threads.to_string()));
    tell("They were made by different versions of chatspec", ".", &|loaded| loaded.header.version.clone());
    for (name, loaded) in loads {
        if loaded.footer.interrupted {
            found.push(format!("{name} was interrupted."));
        }
        if let Some(shard) = loaded.planned.and_then(|planned| planned.shard.as_ref()) {
            found.push(format!("{name} is the shard {shard} of a run: put its shards together with `chatspec merge` first."));
        }
    }
    found
}

fn runs(loads: &[Named<'_>], inks: &[Ink]) -> Markup {
    html! {
        div class="scroll" tabindex="0" {
            table class="figures" {
                thead { tr { @for title in ["run", "", "verdict", "target", "profile", "seed", "generator"] { th scope="col" class="text" { (title) } } } }
                tbody {
                    @for ((name, loaded), ink) in loads.iter().zip(inks) {
                        tr {
                            th scope="row" { (visible(name)) }
                            td { (swatch(*ink)) }
                            td { (word(loaded.footer.exit_code, loaded.trust())) }
                            td { (visible(&loaded.header.target.http)) }
                            td { (visible(loaded.planned.map_or(NONE, |planned| &planned.profile))) }
                            td class="number" { (loaded.header.seed) }
                            td { (loaded.trust().map_or(NONE, |trust| trusted_word(trust))) }
                        }
                    }
                }
            }
        }
    }
}

/// Each figure of each run, and how many times the first run's it is.
fn side_by_side(loads: &[Named<'_>]) -> Markup {
    let measures: Vec<Vec<Measure>> = loads.iter().map(|(_, loaded)| sides::measures(loaded)).collect();
    let rows = measures.first().map_or(0, Vec::len);
    html! {
        div class="scroll" tabindex="0" {
            table class="figures" {
                thead { tr { th scope="col" { "" } @for (name, _) in loads { th scope="col" colspan="2" { (visible(name)) } } } }
                tbody {
                    @for row in 0..rows {
                        @if measures.iter().any(|run| run[row].value.is_some()) {
                            tr {
                                th scope="row" { (measures[0][row].name) " " span class="dim" { (measures[0][row].unit_shown()) } }
                                @for (at, run) in measures.iter().enumerate() {
                                    td class="number" { (run[row].value.map_or(NONE.to_owned(), number)) }
                                    td class="number dim" { @if at > 0 { (ratio(measures[0][row].value, run[row].value)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
        p class="dim" { "× says how many times the first run's figure it is." }
    }
}

fn ratio(base: Option<f64>, value: Option<f64>) -> String {
    match (base, value) {
        (Some(base), Some(value)) if base > 0.0 => format!("×{:.2}", value / base),
        _ => String::new(),
    }
}

fn spectrum(loads: &[Named<'_>], palette: &Palette, metric: Metric, title: &str) -> Markup {
    let curve = |((name, loaded), ink): (&Named<'_>, &Ink)| {
        let mut durations = loaded.best(metric);
        if durations.is_empty() && metric == Metric::Deliver {
            durations = loaded.so_far();
        }
        Curve { name: String::clone(name), ink: *ink, durations }
    };
    let curves: Vec<Curve> = loads.iter().zip(&palette.inks).map(curve).filter(|curve| !curve.durations.is_empty()).collect();
    if curves.is_empty() {
        return html! {};
    }
    let drawn = |(ink, _): &&(Ink, String)| curves.iter().any(|curve| curve.ink == *ink);
    let legend: Vec<_> = palette.legend.iter().filter(drawn).cloned().collect();
    figure(title, &legend, "", &spectrum::chart(title, &curves))
}

fn over_time(loads: &[Named<'_>], palette: &Palette) -> Markup {
    let together = |title: &str, is_latency: bool, value: &dyn Fn(&Column) -> f64| {
        chart(loads, &palette.inks, title, is_latency, value).map(|chart| figure(title, &palette.legend, "", &chart))
    };
    html! {
        @if let Some(figure) = together("Deliveries, p99 in ms", true, &|column| column.latency(0.99)) { (figure) }
        @if let Some(figure) = together("Deliveries, p50 in ms", true, &|column| column.latency(0.5)) { (figure) }
        div class="pair" {
            @if let Some(figure) = together("Messages sent a second", false, &|column| column.rate(column.sent)) { (figure) }
            @if let Some(figure) = together("Deliveries a second", false, &|column| column.rate(column.delivered)) { (figure) }
        }
    }
}

/// A figure of all runs over time, on the time axis of the longest run; `None` where no run has a second.
fn chart(loads: &[Named<'_>], inks: &[Ink], title: &str, is_latency: bool, value: &dyn Fn(&Column) -> f64) -> Option<Chart> {
    let longest = loads.iter().map(|(_, loaded)| &loaded.timeline).max_by(|a, b| a.end_ms().total_cmp(&b.end_ms()))?;
    longest.columns.first()?;
    let values = || loads.iter().flat_map(|(_, loaded)| &loaded.timeline.columns).map(value).filter(|value| value.is_finite());
    let most = values().fold(0.0, f64::max);
    let axis = if is_latency { Axis::latency(values().fold(f64::INFINITY, f64::min), most) } else { Axis::linear(most) };
    let lines: Vec<Layer> = loads.iter().zip(inks).map(|((_, loaded), ink)| loaded.timeline.line(*ink, value)).collect();
    let tell = |column: &Column| {
        let at = column.middle_ms();
        let of = |(name, loaded): &Named<'_>| {
            let found = loaded.timeline.columns.iter().find(|column| column.start_ms <= at && at < column.end_ms).map(value);
            format!("{name} {}", found.filter(|value| value.is_finite()).map_or(NONE.to_owned(), number))
        };
        loads.iter().map(of).collect::<Vec<_>>().join(", ")
    };
    Some(longest.chart(title, axis, lines, tell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Log};
    use crate::report::example;

    fn of<'a>(logs: &'a [(String, Log)]) -> Vec<Named<'a>> {
        logs.iter().map(|(name, log)| (name, Loaded::of(log).expect("sound"))).collect()
    }

    #[test]
    fn what_else_differs_is_said() {
        let named = |name: &str, log| (String::from(name), log);
        let same = [named("a", example::log()), named("b", example::log())];
        assert!(differences(&of(&same)).is_empty());
        let mut other = example::log();
        other.header.seed = 8;
        other.footer.interrupted = true;
        if let Some(Event::Planned(planned)) = other.events.first_mut() {
            planned.hash = "4567".into();
            planned.shard = Some("1/3".into());
        }
        let found = differences(&of(&[named("a", example::log()), named("b", other)]));
        assert_eq!(found[0], "Their plans are not the same (a: example 0123; b: example 4567), so they were asked for different things.");
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1].contains("(a: 7; b: 8)") && found[2] == "b was interrupted." && found[3].contains("chatspec merge"), "{found:?}");
    }

    #[test]
    fn more_runs_than_colours_are_dashed() {
        assert_eq!((ink(0), ink(5), ink(6)), (Ink::Series(0), Ink::Series(5), Ink::Dashed(6)));
    }
}
