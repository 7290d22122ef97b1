//! One scenario, or one run of it: what came of it, why, and what went over the wire.

use maud::{Markup, html};

use super::check::{Sheet, is_bad};
use super::text::{anchor, duration, prose, shell_word, visible};
use super::{marks, sequence, wire, words};
use crate::requirement::RequirementId;
use crate::verdict::{CountsAs, Failure, NearMiss, Outcome, ScenarioVerdict};

/// The ID of a scenario's element.
pub fn case_anchor(verdict: &ScenarioVerdict) -> String {
    if verdict.run == 1 { anchor(&verdict.scenario) } else { format!("{}@{}", anchor(&verdict.scenario), verdict.run) }
}

/// A scenario in full. `outcome` is what it says of the requirement below which it stands.
pub fn case(sheet: &Sheet<'_>, verdict: &ScenarioVerdict, outcome: Outcome, counts: CountsAs, open: bool) -> Markup {
    let tone = words::tone(outcome, counts);
    html! {
        details.case.(tone) id=(case_anchor(verdict)) open[open] {
            (heading(sheet, verdict, outcome, tone))
            div.body { (body(sheet, verdict)) }
        }
    }
}

/// A line in the place of a scenario that is shown in full elsewhere.
pub fn elsewhere(sheet: &Sheet<'_>, verdict: &ScenarioVerdict, outcome: Outcome, counts: CountsAs, home: &RequirementId) -> Markup {
    let tone = words::tone(outcome, counts);
    html! {
        p.elsewhere {
            (words::mark(outcome, tone)) " " a href={"#" (case_anchor(verdict))} { code.id { (visible(&verdict.scenario)) } }
            @if verdict.run > 1 { span.dim { " run " (verdict.run) } }
            " " (prose(title(sheet, verdict))) " " span.dim { "(shown under " (visible(home.as_str())) ")" }
        }
    }
}

fn title<'a>(sheet: &Sheet<'a>, verdict: &ScenarioVerdict) -> &'a str {
    sheet.scenario(&verdict.scenario).map_or("", |scenario| &scenario.title)
}

fn heading(sheet: &Sheet<'_>, verdict: &ScenarioVerdict, outcome: Outcome, tone: &str) -> Markup {
    html! {
        summary {
            (words::mark(outcome, tone))
            " "
            span.what {
                code.id { (visible(&verdict.scenario)) }
                (run(sheet, verdict))
                " " span.title { (prose(title(sheet, verdict))) }
            }
            " "
            span.took { @if verdict.duration_ms > 0.0 { (duration(verdict.duration_ms)) } @else { "not played" } }
        }
    }
}

/// Which run of several it is.
fn run(sheet: &Sheet<'_>, verdict: &ScenarioVerdict) -> Markup {
    let more = sheet.left_out(&verdict.scenario, verdict.outcome);
    html! {
        @if more > 0 && !is_bad(verdict.outcome) {
            span.dim { " the first of " (more + 1) " such runs" }
        } @else if sheet.checked.header.repeat > 1 {
            span.dim { " run " (verdict.run) }
        }
    }
}

fn body(sheet: &Sheet<'_>, verdict: &ScenarioVerdict) -> Markup {
    let header = sheet.checked.header;
    let rows = wire::rows(sheet.checked.wire(&verdict.scenario, verdict.run), &header.target.http, verdict.failure.as_ref());
    let actors = sheet.scenario(&verdict.scenario).map_or(&[][..], |scenario| &scenario.actors);
    let obstacles = words::obstacles(verdict);
    html! {
        @if let Some(why) = &verdict.why {
            p.why { (prose(why)) }
        }
        @if !obstacles.is_empty() && verdict.outcome != Outcome::Pass {
            p.dim { "Stood in its way: " (links(sheet, obstacles)) }
        }
        @if let Some(failure) = &verdict.failure {
            (self::failure(sheet, failure, rows.first().map_or(0.0, |row| row.at_ms), verdict.why.as_deref()))
        }
        @for note in &verdict.notes { p.note { b { "Note: " } (prose(note)) } }
        @if let Some(scenario) = sheet.scenario(&verdict.scenario) && verdict.failure.is_none() {
            p.dim { "Scenario: " code { (visible(&scenario.place)) } }
        }
        @if verdict.failure.is_some() || verdict.outcome == Outcome::Fail { (again(&header.reproduce, &verdict.scenario)) }
        @if rows.is_empty() {
            p.dim { "Nothing went over the wire." }
        } @else if verdict.failure.is_some() && sheet.may_draw(&rows) {
            h4 { "What went over the wire" }
            (sequence::drawn(&rows, actors))
        } @else {
            (sequence::as_text(&rows, actors, sheet.line))
        }
    }
}

/// Requirements, each linked to its row where it has one.
pub fn links(sheet: &Sheet<'_>, ids: &[RequirementId]) -> Markup {
    html! {
        @for (at, id) in ids.iter().enumerate() {
            @if at > 0 { ", " }
            @if sheet.checked.footer.requirements.contains_key(id) {
                a href={"#" (anchor(id.as_str()))} { (visible(id.as_str())) }
            } @else {
                (visible(id.as_str()))
            }
        }
    }
}

fn failure(sheet: &Sheet<'_>, failure: &Failure, start_ms: f64, told: Option<&str>) -> Markup {
    html! {
        @if told != Some(&failure.summary) { p.summary { (visible(&failure.summary)) } }
        (step(sheet, failure))
        (comparison(failure))
        @for hint in &failure.hints { p.hint { b { "Hint: " } (prose(hint)) } }
        (misses("Came instead", &failure.near, start_ms))
        (misses("Came after the deadline", &failure.late, start_ms))
        @for end in &failure.ends { p.end { b { "Connection ended: " } (visible(end)) } }
        @if !failure.server_output.is_empty() {
            p { b { "The server wrote meanwhile:" } }
            pre tabindex="0" { @for line in &failure.server_output { (visible(line)) "\n" } }
        }
    }
}

fn step(sheet: &Sheet<'_>, failure: &Failure) -> Markup {
    let step = &failure.step;
    html! {
        @if !step.place.is_empty() {
            figure.step {
                figcaption {
                    "Step at " code { (visible(&step.place)) }
                    @for through in step.through.iter().rev() { ", used at " code { (visible(through)) } }
                    @if !failure.requirements.is_empty() { span.dim { " · " (links(sheet, &failure.requirements)) } }
                }
                @if !step.excerpt.is_empty() {
                    pre tabindex="0" { code { @for line in step.excerpt.lines() { (visible(line)) "\n" } } }
                }
            }
        }
    }
}

/// Expected against actual: whole, then value by value.
fn comparison(failure: &Failure) -> Markup {
    let expected: Vec<&str> = failure.differences.iter().map(|difference| difference.expected.as_str()).collect();
    let actual: Vec<&str> = failure.differences.iter().map(|difference| difference.actual.as_str()).collect();
    html! {
        @if !failure.expected.is_empty() || !failure.actual.is_empty() {
            dl.against {
                @if !failure.expected.is_empty() { dt { "expected" } dd.expected { code { (marks::marked(&failure.expected, &expected)) } } }
                @if !failure.actual.is_empty() { dt { "actual" } dd.actual { code { (marks::marked(&failure.actual, &actual)) } } }
            }
        }
        @if !failure.differences.is_empty() { (differences(&failure.differences)) }
    }
}

fn differences(differences: &[crate::matcher::Difference]) -> Markup {
    html! {
        div.scroll {
            table.differences {
                thead { tr { th { "where" } th { "expected" } th { "actual" } } }
                tbody {
                    @for difference in differences {
                        @let (expected, actual) = marks::apart(&difference.expected, &difference.actual);
                        tr {
                            th scope="row" { code { @if difference.path.is_empty() { "the value" } @else { (visible(&difference.path)) } } }
                            td.expected { code { (expected) } }
                            td.actual { code { (actual) } }
                        }
                    }
                }
            }
        }
    }
}

fn misses(title: &str, misses: &[NearMiss], start_ms: f64) -> Markup {
    html! {
        @if !misses.is_empty() {
            div.misses {
                b { (title) ":" }
                ul {
                    @for miss in misses {
                        li {
                            (visible(&miss.actor)) ", at " (duration((miss.at_ms - start_ms).max(0.0))) ": " code { (visible(&miss.what)) }
                            @if !miss.differences.is_empty() { (differences(&miss.differences)) }
                        }
                    }
                }
            }
        }
    }
}

/// The line that plays a scenario alone again.
pub fn again(command: &str, scenario: &str) -> Markup {
    html! {
        @if !command.is_empty() {
            div.again {
                b { "Again: " } code { (visible(command)) " --only " (visible(&shell_word(scenario))) } " "
                button.copy type="button" hidden { "Copy" }
            }
        }
    }
}
