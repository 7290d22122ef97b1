//! The page of a run that explores: what was found, as small as it could be made, and what was covered to find it.

use maud::{Markup, html};

use super::check::Sheet;
use super::page::document;
use super::text::{anchor, count, duration, plain, prose, visible};
use super::{findings, sequence, wire};
use crate::event::{Counterexample, Event, Explored, Footer, Found, Header, Log};
use crate::report::checked::Checked;
use crate::report::explore::{unshrunk, violated};
use crate::report::explored::{Exploration, Violation};
use crate::requirement::RequirementId;

/// The page of one run.
pub fn page(log: &Log, checked: &Checked<'_>) -> String {
    let mut run = Exploration::default();
    run.event(&Event::Started(log.header.clone()));
    log.events.iter().for_each(|event| run.event(event));
    run.event(&Event::Finished(log.footer.clone()));
    let found = run.violations();
    let title = format!("{}: {}", conclusion(&log.footer, found.len()).word, plain(&log.header.target.http));
    let subtitle = html! { "chatspec " (visible(&log.header.command)) ", " (visible(&log.header.started)) };
    let sheet = Sheet::new(checked);
    document(&title, subtitle, body(&sheet, &run, &found))
}

struct Conclusion {
    word: String,
    tone: &'static str,
    sign: &'static str,
    meaning: &'static str,
}

fn conclusion(footer: &Footer, found: usize) -> Conclusion {
    let of = |word: &str, tone, sign, meaning| Conclusion { word: word.to_owned(), tone, sign, meaning };
    match footer.exit_code {
        0 => of("NOTHING FOUND", "pass", "✓", "the model explains all that came"),
        1 => of(&violated(found), "fail", "✗", "the model does not explain all that came"),
        3 => of("INCONCLUSIVE", "warn", "?", "nobody answers, or nobody does any more"),
        130 => of("INTERRUPTED", "warn", "!", "this is what it had found out by then"),
        _ => of("CHATSPEC FAILED", "fail", "!", "which says nothing of the server"),
    }
}

fn body(sheet: &Sheet<'_>, run: &Exploration, found: &[Violation<'_>]) -> Markup {
    let header = sheet.checked.header;
    html! {
        (sequence::heads())
        (glance(header, sheet.checked.footer, run, found))
        (findings::findings(sheet))
        @for violation in found { (self::violation(sheet, header, violation)) }
        @if run.traces > 0 {
            (states(run))
            (requirements(run, found))
        }
    }
}

fn glance(header: &Header, footer: &Footer, run: &Exploration, found: &[Violation<'_>]) -> Markup {
    let conclusion = conclusion(footer, found.len());
    let seconds = run.seconds();
    html! {
        section.glance.panel.(conclusion.tone) {
            p.verdict {
                span.sign aria-hidden="true" { (conclusion.sign) } " " strong { (conclusion.word) } " "
                span.exit { "exit code " (footer.exit_code) ": " (conclusion.meaning) }
            }
            p.counts {
                b { (run.actions) " actions" } " in " (run.traces) " traces, in " (duration(seconds * 1000.0))
                @if seconds > 0.0 { ", " (format!("{:.0}", run.actions as f64 / seconds)) " a second" }
                "; " (count(run.exercised.len(), "requirement")) " exercised"
            }
            @for note in &footer.notes { p.warning { (visible(note)) } }
            @for (why, count) in &run.cut { p.warning { (super::text::count(usize::try_from(*count).unwrap_or(usize::MAX), "trace")) " could not be played to the end: " (visible(why)) } }
            @if !found.is_empty() {
                p { @for (at, violation) in found.iter().enumerate() {
                    @if at > 0 { ", " }
                    a href={"#" (anchor(violation.id.as_str()))} { "✗ " (visible(violation.id.as_str())) }
                } }
            }
            dl.facts {
                div { dt { "HTTP" } dd { code { (visible(&header.target.http)) } } }
                div { dt { "WebSocket" } dd { code { (visible(&header.target.ws)) } } }
                div { dt { "seed" } dd { (header.seed) } }
                div { dt { "chatspec" } dd { (visible(&header.version)) } }
                @for note in &header.target.notes { div { dt { "note" } dd { (visible(note)) } } }
            }
            (again(&header.reproduce, None))
        }
    }
}

fn violation(sheet: &Sheet<'_>, header: &Header, violation: &Violation<'_>) -> Markup {
    let Violation { id, requirement, traces, smallest } = violation;
    html! {
        details.req.fail id=(anchor(id.as_str())) open {
            summary {
                span.mark.fail { span.sign aria-hidden="true" { "✗" } " fail" } " "
                b.rid { (visible(id.as_str())) } " "
                span.level { (sheet.checked.suite.level(id)) } " "
                span.what { @if let Some(requirement) = requirement { (prose(&requirement.text)) } }
                " " span.counts.fail { "in " (count(traces.len(), "trace")) }
            }
            div.body {
                @if let Some(requirement) = requirement { p.place { "In the document: " (prose(&requirement.place)) "." } }
                @match smallest {
                    Some(shown) => (counterexample(sheet, header, shown)),
                    None => @if let Some((explored, found)) = first(traces) {
                        (self::found(found))
                        p.warning { "It was not made smaller: " (unshrunk(explored)) "." }
                        (again(&header.reproduce, Some(explored.trace)))
                    }
                }
            }
        }
    }
}

fn first(traces: &[Explored]) -> Option<(&Explored, &Found)> {
    traces.iter().find_map(|explored| Some((explored, explored.found.as_ref()?)))
}

fn found(found: &Found) -> Markup {
    html! {
        p.summary { (visible(&found.summary)) }
        dl.against {
            @for allowed in &found.allowed { dt { "allowed" } dd.expected { code { (visible(allowed)) } } }
            dt { "came" } dd.actual { code { (visible(&found.came)) } }
        }
    }
}

fn counterexample(sheet: &Sheet<'_>, header: &Header, shown: &Counterexample) -> Markup {
    let checked = sheet.checked;
    let failure = checked.verdicts.iter().find(|verdict| verdict.scenario == shown.scenario).and_then(|verdict| verdict.failure.as_ref());
    let mut rows = wire::rows(checked.wire(&shown.scenario, 1), &header.target.http, failure);
    let actors = sheet.scenario(&shown.scenario).map_or(&[][..], |scenario| &scenario.actors);
    rows.retain(|row| !row.fence);
    html! {
        (found(&shown.found))
        h4 {
            "The smallest that shows it: " (count(shown.actions, "action"))
            @if shown.tried > 0 { span.dim { ", made of " (shown.actions_before) " in " (shown.tried) (if shown.tried == 1 { " try" } else { " tries" }) } }
        }
        ol.rounds { @for round in &shown.rounds { li { (visible(round)) } } }
        p { (replays(shown)) }
        @if !rows.is_empty() {
            h4 { "What went over the wire" }
            @if sheet.may_draw(&rows) { (sequence::drawn(&rows, actors)) } @else { (sequence::as_text(&rows, actors, sheet.line)) }
        }
        @if let Some(yaml) = &shown.yaml {
            h4 { "As a scenario" }
            pre.yaml tabindex="0" { code { @for line in yaml.lines() { (visible(line)) "\n" } } }
        }
        @if let Some(why) = &shown.why_none { p.warning { "No scenario file: " (visible(why)) "." } }
        (again(&header.reproduce, Some(shown.trace)))
    }
}

fn replays(shown: &Counterexample) -> Markup {
    html! {
        @if shown.failed == 0 { span.warn { "It was seen once, and in none of " (shown.played) " replays." } }
        @else if shown.failed < shown.played { span.warn { "It shows in " (shown.failed) " of " (shown.played) " replays." } }
        @else { span.dim { "It shows in each of " (shown.played) " replays." } }
    }
}

/// The command that plays the run again, or one trace of it.
fn again(reproduce: &str, trace: Option<u64>) -> Markup {
    html! {
        @if !reproduce.is_empty() {
            div.again {
                b { "Again: " } code { (visible(reproduce)) @if let Some(trace) = trace { " --trace " (trace) } } " "
                button.copy type="button" hidden { "Copy" }
            }
        }
    }
}

fn states(run: &Exploration) -> Markup {
    let (reached, never) = (run.states(), run.unreached());
    html! {
        section.coverage {
            h2 { "States" " " span.dim { "in how many of " (run.traces) " traces" } }
            ul.covered {
                @for (state, traces) in reached { li { (visible(state)) " " b { (traces) } } }
                @for state in never { li.never { (visible(state)) " " b { "never" } } }
            }
        }
    }
}

fn requirements(run: &Exploration, found: &[Violation<'_>]) -> Markup {
    let has_a_place = |id: &RequirementId| found.iter().any(|violation| violation.id == id);
    html! {
        section.coverage {
            h2 { "Requirements" " " span.dim { "how often each decided what was allowed" } }
            ul.covered {
                @for requirement in &run.suite.requirements {
                    @if let Some(times) = run.exercised.get(&requirement.id) {
                        li id=[(!has_a_place(&requirement.id)).then(|| anchor(requirement.id.as_str()))] title=(plain(&requirement.text)) {
                            (visible(requirement.id.as_str())) " " b { (times) }
                        }
                    }
                }
            }
            @let never = run.unexercised();
            @if !never.is_empty() {
                details.others {
                    summary { (count(never.len(), "requirement")) " never decided anything" }
                    ul { @for requirement in never { li { b { (visible(requirement.id.as_str())) } " " span.level { (requirement.level) } " " (prose(&requirement.text)) } } }
                }
            }
        }
    }
}
