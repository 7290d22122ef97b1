//! What a run doesn't say, and why: requirements that could not be tested or don't apply, each reason once, and notes.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::case;
use super::check::Sheet;
use super::text::{count, prose};
use super::words;
use crate::requirement::{Level, RequirementId};
use crate::verdict::{Outcome, ScenarioVerdict};

pub fn reservations(sheet: &Sheet<'_>) -> Markup {
    let blocked = reasons(sheet, Outcome::CouldNotTest);
    let skipped = reasons(sheet, Outcome::Skipped);
    let notes = notes(sheet);
    html! {
        (list(sheet, "Could not be tested", &blocked))
        (list(sheet, "Skipped", &skipped))
        @if !notes.is_empty() {
            details.notes {
                summary { b { "Notes" } " " span.dim { (notes.len()) } }
                ul { @for (note, times) in &notes { li { (prose(note)) @if *times > 1 { span.dim { " (" (times) " times)" } } } } }
            }
        }
    }
}

/// The requirements that came to an outcome, in the document's order, by why.
fn reasons(sheet: &Sheet<'_>, outcome: Outcome) -> Vec<(Reason, Vec<RequirementId>)> {
    let mut reasons: Vec<(Reason, Vec<RequirementId>)> = Vec::new();
    for member in sheet.checked.areas().into_iter().flat_map(|(_, members)| members).filter(|member| member.outcome == outcome) {
        let reason = sheet.checked.verdicts_of(member.id).find(|(_, own)| *own == outcome).map(|(verdict, _)| Reason::of(verdict));
        let reason = reason.unwrap_or_default();
        match reasons.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, ids)) => ids.push(member.id.clone()),
            None => reasons.push((reason, vec![member.id.clone()])),
        }
    }
    reasons
}

/// Why: requirements that stood in the way or, where there are none, words.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reason {
    obstacles: Vec<RequirementId>,
    words: String,
}

impl Reason {
    fn of(verdict: &ScenarioVerdict) -> Self {
        let obstacles = words::obstacles(verdict).to_vec();
        let words = if obstacles.is_empty() { words::why(verdict) } else { String::new() };
        Self { obstacles, words }
    }
}

fn list(sheet: &Sheet<'_>, title: &str, reasons: &[(Reason, Vec<RequirementId>)]) -> Markup {
    let total: usize = reasons.iter().map(|(_, ids)| ids.len()).sum();
    html! {
        @if total > 0 {
            details.reasons open[total < 20] {
                summary { b { (title) } " " span.dim { (count(total, "requirement")) } }
                ul {
                    @for (reason, ids) in reasons {
                        li {
                            (case::links(sheet, ids))
                            ": "
                            @if reason.obstacles.is_empty() { (prose(&reason.words)) } @else { (case::links(sheet, &reason.obstacles)) " stood in the way" }
                        }
                    }
                }
            }
        }
    }
}

/// What is worth knowing and never wrong, with how often it was said.
fn notes(sheet: &Sheet<'_>) -> BTreeMap<String, usize> {
    let mut notes: BTreeMap<String, usize> = BTreeMap::new();
    for verdict in &sheet.checked.verdicts {
        let is_info = |id: &RequirementId| sheet.checked.suite.level(id) == Level::Info;
        let informs = verdict.requirements.iter().any(|(id, outcome)| *outcome == Outcome::Fail && is_info(id));
        if let (true, Some(failure)) = (informs, &verdict.failure) {
            let ids: Vec<&str> = failure.requirements.iter().map(RequirementId::as_str).collect();
            *notes.entry(format!("{}: {}", ids.join(" "), failure.summary)).or_default() += 1;
        }
        if verdict.outcome == Outcome::Pass {
            for note in &verdict.notes {
                *notes.entry(note.clone()).or_default() += 1;
            }
        }
    }
    notes
}
