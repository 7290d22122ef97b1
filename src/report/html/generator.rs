//! How the generator of a load did itself, and so whether its figures can be believed.

use maud::{Markup, html};

use super::axis::Axis;
use super::charts::{Ink, Layer, figure};
use super::columns::Column;
use super::text::visible;
use super::timeline::Timeline;
use crate::event::{BUSY, Health, LATE, LOOP_LAG, Measured, Trust, VERY_LATE};
use crate::report::figures::{count, millis, number, percent};
use crate::report::load::{taken, trusted, trusted_word};
use crate::stats::Durations;

/// The class of a degree of trust, for its colour.
pub fn class(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "pass",
        Trust::Degraded => "warn",
        Trust::Invalid => "fail",
    }
}

/// The verdict on the generator with its reasons, and its figures. `send_lag` is over the phases that count.
pub fn health(measured: &Measured, send_lag: &Durations) -> Markup {
    let health = &measured.health;
    html! {
        p { strong class=(class(health.trust)) { (trusted_word(health.trust)) } ", " (trusted(measured)) "." }
        (reasons(health))
        dl class="about" {
            dt { "sent late" }
            dd {
                (count(health.sends_late)) " of " (count(health.sends)) " messages more than " (LATE.as_millis()) " ms late, "
                (count(health.sends_very_late)) " more than " (VERY_LATE.as_millis()) " ms"
                @if !send_lag.is_empty() {
                    "; send lag p99 "
                    (millis(std::time::Duration::from_micros(send_lag.value_at_quantile(0.99)))) " ms"
                }
            }
            @if !health.loop_lag_p99_ms.is_empty() {
                dt { "away from its sockets" }
                dd { "p99 by thread: " (joined(&health.loop_lag_p99_ms, number)) " ms (limit " (LOOP_LAG.as_millis()) " ms)" }
            }
            @if !health.cpu.is_empty() {
                dt { "busy" }
                dd { "by thread: " (joined(&health.cpu, percent)) " (limit " (percent(BUSY)) ")" }
            }
            dt { "its machine" }
            dd { (taken(health, measured)) }
        }
    }
}

/// What took trust away.
pub fn reasons(health: &Health) -> Markup {
    html! {
        @if !health.reasons.is_empty() {
            ul { @for reason in &health.reasons { li { (visible(reason)) } } }
        }
    }
}

fn joined(figures: &[f64], shown: fn(f64) -> String) -> String {
    figures.iter().map(|figure| shown(*figure)).collect::<Vec<_>>().join(", ")
}

/// Lags and processor time over time, with the limits above which trust goes.
pub fn charts(timeline: &Timeline<'_>) -> Markup {
    html! { div class="pair evidence" { (lags(timeline)) (processors(timeline)) } }
}

fn lags(timeline: &Timeline<'_>) -> Markup {
    let (send, away) = (|column: &Column| column.send_lag_p99_ms, |column: &Column| column.loop_lag_p99_ms);
    let limit = LATE.max(LOOP_LAG).as_millis() as f64;
    let most = timeline.columns.iter().map(|column| send(column).max(away(column))).fold(limit * 1.2, f64::max);
    let layers = vec![Layer::Limit(limit), timeline.line(Ink::Series(1), send), timeline.line(Ink::Dashed(3), away)];
    let tell = |column: &Column| format!("send lag p99 {} ms, loop lag p99 {} ms", number(send(column)), number(away(column)));
    let chart = timeline.chart("The generator's lags over time", Axis::linear(most), layers, tell);
    let legend = [
        (Ink::Series(1), "send lag p99".to_owned()),
        (Ink::Dashed(3), "loop lag p99".to_owned()),
        (Ink::Limit, format!("limit, {limit} ms")),
    ];
    figure("The generator's lags, in ms", &legend, "", &chart)
}

fn processors(timeline: &Timeline<'_>) -> Markup {
    let threads = timeline.columns.iter().map(|column| column.cpu.len()).max().unwrap_or(0);
    let of = |thread: usize| move |column: &Column| column.cpu.get(thread).copied().unwrap_or(f64::NAN);
    let lines = (0..threads).map(|thread| timeline.line(Ink::Series(thread), of(thread)));
    let layers = std::iter::once(Layer::Limit(BUSY)).chain(lines).collect();
    let tell = |column: &Column| format!("busy, by thread: {}", joined(&column.cpu, percent));
    let chart = timeline.chart("Processor time of the generator's threads over time", Axis::share(), layers, tell);
    let mut legend: Vec<_> = (0..threads.min(6)).map(|thread| (Ink::Series(thread), format!("thread {}", thread + 1))).collect();
    if threads > legend.len() {
        legend.push((Ink::Dim, format!("and {} more, in the same colours", threads - legend.len())));
    }
    legend.push((Ink::Limit, format!("limit, {}", percent(BUSY))));
    figure("Processor time of the generator's threads", &legend, "", &chart)
}
