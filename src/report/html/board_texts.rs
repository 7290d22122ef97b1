//! Below a scoreboard: each requirement that doesn't pass everywhere, with its text and with what went wrong, server by server.

use maud::{Markup, html};

use super::board::{Column, Line};
use super::text::{anchor, count, prose, visible};
use super::{case, words};
use crate::verdict::{Outcome, ScenarioVerdict};

/// How many scenarios of one server are named below one requirement.
const SHOWN: usize = 3;

pub fn texts(lines: &[Line<'_>], columns: &[Column<'_>]) -> Markup {
    let lines: Vec<_> = lines.iter().filter(|line| line.falls_short(columns)).collect();
    html! {
        @if !lines.is_empty() {
            h2 { "What doesn't pass everywhere" }
            @for line in lines {
                @let id = anchor(line.id.as_str());
                section.told.panel id={"text-" (id)} {
                    h3 { a href={"#" (id)} { (visible(line.id.as_str())) } " " span.level { (line.level()) } " " (prose(line.text())) }
                    @if let Some(requirement) = line.requirement { p.place { "In the document: " (prose(&requirement.place)) "." } }
                    @for column in columns { (server(line, column)) }
                }
            }
        }
    }
}

fn server(line: &Line<'_>, column: &Column<'_>) -> Markup {
    html! {
        @if let Some((outcome, counts)) = column.outcome(line.id) && outcome != Outcome::Pass {
            @let verdicts: Vec<&ScenarioVerdict> = column.checked.verdicts_of(line.id).filter(|(_, own)| is_reason(*own, outcome)).map(|(verdict, _)| verdict).collect();
            div.server {
                b { (visible(&column.name)) } " " (words::mark(outcome, words::tone(outcome, counts)))
                ul {
                    @for verdict in verdicts.iter().take(SHOWN) { li { (reason(column, verdict)) } }
                    @if verdicts.len() > SHOWN { li.dim { "and " (count(verdicts.len() - SHOWN, "more scenario")) } }
                }
            }
        }
    }
}

/// Whether a scenario's outcome is why the requirement came to its own.
fn is_reason(own: Outcome, outcome: Outcome) -> bool {
    own == outcome || (outcome == Outcome::Flaky && own == Outcome::Fail)
}

fn reason(column: &Column<'_>, verdict: &ScenarioVerdict) -> Markup {
    let why = match &verdict.failure {
        Some(failure) if verdict.outcome != Outcome::CouldNotTest => failure.summary.clone(),
        _ => words::why(verdict),
    };
    let obstacles: Vec<&str> = words::obstacles(verdict).iter().map(crate::requirement::RequirementId::as_str).collect();
    let place = verdict.failure.as_ref().map(|failure| failure.step.place.as_str()).filter(|place| !place.is_empty());
    html! {
        code.id { (visible(&verdict.scenario)) } " " (prose(&why))
        @if !obstacles.is_empty() && verdict.outcome == Outcome::CouldNotTest { span.dim { " (" (visible(&obstacles.join(", "))) " stood in the way)" } }
        @if let Some(place) = place { span.dim { ", at " code { (visible(place)) } } }
        @if verdict.outcome == Outcome::Fail { (case::again(&column.checked.header.reproduce, &verdict.scenario)) }
    }
}
