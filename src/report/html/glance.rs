//! What a run says, at a glance: the verdict, what it stands on, and every requirement as one small cell.

use maud::{Markup, html};

use super::check::Sheet;
use super::text::{anchor, count, duration, link, plain, visible};
use super::words::{self, Conclusion};
use crate::event::{Footer, Header};
use crate::report::checked::RequirementShown;
use crate::verdict::{CountsAs, KnownState, Outcome};

/// How much of a suite's hash is enough to tell suites apart.
const HASH: usize = 12;

pub fn glance(sheet: &Sheet<'_>, areas: &[(&str, Vec<RequirementShown<'_>>)]) -> Markup {
    let footer = sheet.checked.footer;
    let conclusion = Conclusion::of(footer);
    html! {
        section.glance.panel.(conclusion.tone) {
            p.verdict {
                span.sign aria-hidden="true" { (conclusion.sign) } " " strong { (conclusion.word) } " "
                span.exit { "exit code " (footer.exit_code) ": " (conclusion.meaning) }
            }
            p.counts { (counts(footer)) "; " (played(sheet)) " in " (duration(footer.at_ms)) }
            @for note in &footer.notes { p.warning { (visible(note)) } }
            @if footer.interrupted { p.warning { "The run was interrupted; this is what it had found out by then." } }
            (map(areas))
            (facts(sheet.checked.header, footer))
        }
    }
}

/// How many scenarios were played, repetitions included, and of how many where there should have been more.
fn played(sheet: &Sheet<'_>) -> String {
    let played = sheet.checked.verdicts.iter().filter(|verdict| !verdict.unplayed).count();
    let planned = sheet.checked.header.scenarios;
    if played < planned { format!("{played} of {}", count(planned, "scenario")) } else { count(played, "scenario") }
}

/// How many requirements came to what, each figure with a link that shows those alone.
fn counts(footer: &Footer) -> Markup {
    let passed = footer.requirements.values().filter(|outcome| **outcome == Outcome::Pass).count();
    let of = |what: CountsAs| footer.counts.values().filter(|counts| **counts == what).count();
    let untested = footer
        .requirements
        .iter()
        .filter(|(id, outcome)| **outcome == Outcome::CouldNotTest && footer.counts.get(*id) != Some(&CountsAs::Known));
    let wrong = footer.known.iter().filter(|known| known.state.is_wrong()).count();
    let warnings = of(CountsAs::Warning);
    let parts = [
        (of(CountsAs::Failure), "violated", "show=failed"),
        (warnings, if warnings == 1 { "warning" } else { "warnings" }, "show=warned"),
        (of(CountsAs::Known), "known to fail", "show=known"),
        (wrong, "wrong in the list of known failures", "known-failures"),
        (untested.count(), "could not be tested", "show=untested"),
    ];
    html! {
        b { (passed) " of " (footer.requirements.len()) " requirements" } " pass"
        @for (number, words, to) in parts.into_iter().filter(|(number, ..)| *number > 0) {
            ", " a href={"#" (to)} { (number) " " (words) }
        }
    }
}

fn map(areas: &[(&str, Vec<RequirementShown<'_>>)]) -> Markup {
    html! {
        div.map role="list" aria-label="All requirements" {
            @for (area, members) in areas {
                div role="listitem" {
                    b { (visible(area)) }
                    span {
                        @for member in members {
                            @let rest = member.id.as_str().strip_prefix(area).map_or("", |rest| rest.trim_start_matches('-'));
                            @let text = member.requirement.map_or("", |requirement| &requirement.text);
                            a.(words::tone(member.outcome, member.counts)) href={"#" (anchor(member.id.as_str()))}
                                title={(plain(member.id.as_str())) ", " (words::word(member.outcome)) ": " (plain(text))} {
                                (words::sign(member.outcome)) span { (visible(rest)) }
                            } " "
                        }
                    }
                }
            }
        }
        @if !areas.is_empty() { p.legend.dim { "✓ pass  ✗ fail  ? could not be tested  – skipped  ~ flaky  ! error" } }
    }
}

fn facts(header: &Header, footer: &Footer) -> Markup {
    let hash: String = header.suite.chars().take(HASH).collect();
    html! {
        dl.facts {
            div { dt { "HTTP" } dd { code { (visible(&header.target.http)) } } }
            div { dt { "WebSocket" } dd { code { (visible(&header.target.ws)) } } }
            div { dt { "suite" } dd { (visible(&header.protocol)) " " code title={"SHA-256 " (plain(&header.suite))} { (visible(&hash)) } } }
            div { dt { "binding" } dd { @if header.strict { "MUST, SHOULD and ROBUST (--strict)" } @else { "MUST" } } }
            div { dt { "seed" } dd { (header.seed) } }
            @if header.repeat > 1 { div { dt { "repetitions" } dd { (header.repeat) } } }
            div { dt { "started" } dd { (visible(&header.started)) } }
            div { dt { "took" } dd { (duration(footer.at_ms)) } }
            div { dt { "chatspec" } dd { (visible(&header.version)) } }
            @for note in &header.target.notes { div { dt { "note" } dd { (visible(note)) } } }
        }
    }
}

/// What became of the list of known failures.
pub fn known(sheet: &Sheet<'_>) -> Markup {
    let mut known: Vec<_> = sheet.checked.footer.known.iter().collect();
    known.sort_by_key(|known| !known.state.is_wrong());
    html! {
        @if !known.is_empty() {
            section #known-failures {
                h2 { "Known failures" }
                div.panel.scroll {
                    table.known {
                        thead { tr { th { "what" } th { "state" } th { "reason" } th { "until" } th { "where" } } }
                        tbody {
                            @for known in known {
                                @let (tone, word) = state(known.state);
                                tr {
                                    td { code { (visible(&known.what)) } }
                                    td.(tone) { @if known.state.is_wrong() { "✗ " } (word) }
                                    td { (visible(&known.reason)) @if let Some(address) = &known.link { " " (link(address)) } }
                                    td { (visible(known.until.as_deref().unwrap_or("–"))) }
                                    td { code { (visible(&known.place)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(state: KnownState) -> (&'static str, &'static str) {
    match state {
        KnownState::Fails => ("note", "fails, as expected"),
        KnownState::Passes => ("fail", "passes: take the entry out"),
        KnownState::Expired => ("fail", "was to be mended by now"),
        KnownState::Unmatched => ("fail", "is nothing that the suite has"),
        KnownState::NotPlayed => ("skip", "was not played"),
    }
}
