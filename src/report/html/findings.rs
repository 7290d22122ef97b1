//! What the probes found out about a target: which readings of the document it follows, facts, fences, and what the probes sent for it.

use maud::{Markup, html};

use super::check::Sheet;
use super::text::{anchor, count, prose, visible};
use super::{case, sequence, wire};
use crate::reading::{Fact, Held};

pub fn findings(sheet: &Sheet<'_>) -> Markup {
    let checked = sheet.checked;
    let unknown = checked.readings.values().filter(|held| matches!(held, Held::Unknown { .. })).count();
    let probes = checked.probes();
    html! {
        @if !checked.readings.is_empty() || !checked.facts.is_empty() || !probes.is_empty() {
            details.findings {
                summary {
                    b { "Readings and facts" } " "
                    span.dim {
                        "which of the document's readings this target follows: " (checked.readings.len() - unknown) " known"
                        }
                    @if unknown > 0 { span.warn { ", " (unknown) " not found out" } }
                }
                div.body {
                    div.scroll {
                        table {
                            tbody {
                                @for (id, held) in checked.readings {
                                    tr id=(anchor(id)) {
                                        th scope="row" { (visible(id)) }
                                        td { (self::held(sheet, held)) }
                                        td.dim { (prose(checked.suite.readings.get(id).map_or("", String::as_str))) }
                                    }
                                }
                                @for (id, fact) in checked.facts.iter().filter(|(id, _)| checked.suite.facts.contains_key(*id)) {
                                    tr {
                                        th scope="row" { (visible(id)) }
                                        td { (self::fact(sheet, fact)) }
                                        td.dim { (visible(checked.suite.facts.get(id).map_or("", String::as_str))) }
                                    }
                                }
                            }
                        }
                    }
                    (fences(checked.fences, checked.readings.is_empty()))
                    (self::probes(sheet, &probes))
                }
            }
        }
    }
}

fn held(sheet: &Sheet<'_>, held: &Held) -> Markup {
    html! {
        @match held {
            Held::Found { values } => (visible(&values.join(", "))),
            Held::Pinned { values } => { (visible(&values.join(", "))) span.dim { " (given, not probed)" } }
            Held::Unknown { why, blocked_by } => { span.warn { "? not found out" } ": " (prose(why)) (blocked(sheet, blocked_by)) }
            Held::NotApplicable { why } => span.dim { "doesn't arise: " (prose(why)) }
        }
    }
}

fn fact(sheet: &Sheet<'_>, fact: &Fact) -> Markup {
    html! {
        @match fact {
            Fact::Number(number) => (number),
            Fact::Above(number) => { (number) " or more" }
            Fact::Truth(truth) => @if *truth { "yes" } @else { "no" },
            Fact::Unknown { why, blocked_by } => { span.warn { "? not found out" } ": " (prose(why)) (blocked(sheet, blocked_by)) }
        }
    }
}

fn blocked(sheet: &Sheet<'_>, blockers: &[crate::requirement::RequirementId]) -> Markup {
    html! { @if !blockers.is_empty() { "; " (case::links(sheet, blockers)) " stood in the way" } }
}

fn fences(fences: &[String], nothing_probed: bool) -> Markup {
    html! {
        @if !fences.is_empty() {
            p.dim { "That nothing more comes is known by a fence, an exchange whose answer would come later: " (visible(&fences.join(", "))) "." }
        } @else if !nothing_probed {
            p.warn { "No exchange serves as a fence here, so “nothing more comes” is known from quiet times only." }
        }
    }
}

fn probes(sheet: &Sheet<'_>, probes: &[(&str, &[&crate::event::Event])]) -> Markup {
    html! {
        @if !probes.is_empty() {
            details.probes {
                summary { "How it was found out: " (count(probes.len(), "probe")) }
                @for (name, events) in probes {
                    @let rows = wire::rows(events, &sheet.checked.header.target.http, None);
                    details.case id=(anchor(name)) {
                        summary { span.what { code.id { (visible(name)) } } " " span.took { (count(rows.len(), "row")) } }
                        div.body { (sequence::as_text(&rows, &[], sheet.line)) }
                    }
                }
            }
        }
    }
}

/// Readings by name, with what this target follows.
pub fn mentions(sheet: &Sheet<'_>, ids: &[String]) -> Markup {
    html! {
        @for (at, id) in ids.iter().enumerate() {
            @if at > 0 { ", " }
            @match sheet.checked.readings.get(id) {
                Some(held) => {
                    a href={"#" (anchor(id))} { (visible(id)) }
                    " (" @if held.values().is_empty() { "not known" } @else { (visible(&held.values().join(", "))) } ")"
                }
                None => (visible(id))
            }
        }
    }
}
