//! How much a load did over time: what was planned against what was sent and what arrived, who was connected, what went wrong.

use maud::{Markup, html};

use super::axis::Axis;
use super::charts::{Ink, Layer, figure};
use super::columns::Column;
use super::timeline::Timeline;
use crate::report::figures::{count, number};

/// The charts, one below the other.
pub fn charts(timeline: &Timeline<'_>, closed: bool) -> Markup {
    html! {
        (messages(timeline, closed))
        (deliveries(timeline))
        div class="pair" {
            (clients(timeline))
            (bytes(timeline))
            (trouble(timeline))
        }
    }
}

fn most(timeline: &Timeline<'_>, value: impl Fn(&Column) -> f64) -> f64 {
    timeline.columns.iter().map(value).filter(|value| value.is_finite()).fold(0.0, f64::max)
}

fn legend<const N: usize>(entries: [(Ink, &str); N]) -> Vec<(Ink, String)> {
    entries.map(|(ink, name)| (ink, name.to_owned())).into()
}

fn messages(timeline: &Timeline<'_>, closed: bool) -> Markup {
    let planned = |column: &Column| column.rate(column.planned);
    let sent = |column: &Column| column.rate(column.sent);
    let axis = Axis::linear(most(timeline, |column| sent(column).max(planned(column))));
    let mut layers = vec![timeline.line(Ink::Series(0), sent)];
    let mut entries = legend([(Ink::Series(0), "sent")]);
    if !closed {
        layers.push(timeline.line(Ink::Dashed(1), planned));
        entries.push((Ink::Dashed(1), "planned".to_owned()));
    }
    let tell = |column: &Column| match closed {
        true => format!("{} sent a second", number(sent(column))),
        false => format!("{} planned, {} sent a second", number(planned(column)), number(sent(column))),
    };
    figure("Messages a second", &entries, "", &timeline.chart("Messages a second over time", axis, layers, tell))
}

fn deliveries(timeline: &Timeline<'_>) -> Markup {
    let (due, arrived) = (|column: &Column| column.rate(column.due), |column: &Column| column.rate(column.delivered));
    let axis = Axis::linear(most(timeline, |column| due(column).max(arrived(column))));
    let layers = vec![timeline.line(Ink::Series(2), arrived), timeline.line(Ink::Dashed(4), due)];
    let tell = |column: &Column| format!("{} due, {} arrived a second", number(due(column)), number(arrived(column)));
    let chart = timeline.chart("Deliveries a second over time", axis, layers, tell);
    let note = "Each message is due at every member of its room, so there are more deliveries than messages.";
    figure("Deliveries a second", &legend([(Ink::Series(2), "arrived"), (Ink::Dashed(4), "due")]), note, &chart)
}

fn clients(timeline: &Timeline<'_>) -> Markup {
    let (connected, joined) = (|column: &Column| f64::from(column.connected), |column: &Column| f64::from(column.joined));
    let layers = vec![timeline.line(Ink::Series(3), connected), timeline.line(Ink::Dashed(5), joined)];
    let tell = |column: &Column| format!("{} connected, {} in their room", count(column.connected.into()), count(column.joined.into()));
    let chart = timeline.chart("Clients over time", Axis::linear(most(timeline, connected)), layers, tell);
    figure("Clients", &legend([(Ink::Series(3), "connected"), (Ink::Dashed(5), "in their room")]), "", &chart)
}

fn bytes(timeline: &Timeline<'_>) -> Markup {
    let kilo = |column: &Column, bytes: u64| column.rate(bytes) / 1000.0;
    let (sent, received) =
        (move |column: &Column| kilo(column, column.bytes_sent), move |column: &Column| kilo(column, column.bytes_received));
    let axis = Axis::linear(most(timeline, |column| sent(column).max(received(column))));
    let layers = vec![timeline.line(Ink::Series(2), received), timeline.line(Ink::Dashed(0), sent)];
    let tell = |column: &Column| format!("{} kB sent, {} kB received a second", number(sent(column)), number(received(column)));
    let chart = timeline.chart("Bytes over time", axis, layers, tell);
    figure("Traffic, kB a second", &legend([(Ink::Series(2), "received"), (Ink::Dashed(0), "sent")]), "", &chart)
}

/// Errors, and deliveries found to be wrong; nothing where there is none of either.
fn trouble(timeline: &Timeline<'_>) -> Markup {
    let (errors, wrong) = (|column: &Column| column.errors as f64, |column: &Column| column.wrong as f64);
    let top = most(timeline, |column| errors(column).max(wrong(column)));
    if top == 0.0 {
        return html! {};
    }
    let layers: Vec<Layer> = vec![timeline.line(Ink::Fail, errors), timeline.line(Ink::Warn, wrong)];
    let tell = |column: &Column| format!("{} errors, {} deliveries found to be wrong", count(column.errors), count(column.wrong));
    let chart = timeline.chart("Errors and wrong deliveries over time", Axis::linear(top), layers, tell);
    figure("Errors and wrong deliveries", &legend([(Ink::Fail, "errors"), (Ink::Warn, "found to be wrong")]), "", &chart)
}
