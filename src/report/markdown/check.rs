//! The summary of a run of scenarios.

use std::collections::{BTreeMap, HashMap};

use super::text::{block, cell, code, inline, table};
use super::{Page, folded, target};
use crate::event::{Kind, Log};
use crate::report::cases::{Case, Cases, State};
use crate::report::checked::Checked;
use crate::requirement::{Requirement, RequirementId};
use crate::scenario::pattern::shorten;
use crate::verdict::{CountsAs, KnownState, KnownVerdict, Outcome};

/// How many scenarios of one requirement are shown; the others are named.
const SHOWN: usize = 2;

/// How many names a line holds.
const NAMED: usize = 12;

pub fn page(log: &Log) -> String {
    let cases = Cases::of(log);
    let mut page = Page::new(Kind::Check, &cases.word, &cases.sentence);
    for note in &log.footer.notes {
        page.block(&format!("**{}**", inline(note)));
    }
    if let Some(why) = &cases.broken_off {
        page.block(&format!("**{}**", inline(why)));
    }
    page.block(&target(&log.header));
    let Some(checked) = Checked::of(log) else {
        return page.finish();
    };
    violations(&mut page, &checked, &cases);
    known(&mut page, &checked);
    reasons(&mut page, &cases, State::Untested, "Could not be tested");
    notes(&mut page, &cases);
    reasons(&mut page, &cases, State::Skipped, "Skipped");
    page.finish()
}

fn violations(page: &mut Page, checked: &Checked<'_>, cases: &Cases) {
    // An entry of the list of known failures may be called as a scenario is; scenarios stand before them.
    let by_id: HashMap<&str, &Case> = cases.cases.iter().rev().map(|case| (case.id.as_str(), case)).collect();
    let broken = |requirement: &&Requirement| {
        matches!(checked.footer.requirements.get(&requirement.id), Some(Outcome::Fail | Outcome::Error | Outcome::Flaky))
    };
    let mut told: HashMap<&str, &RequirementId> = HashMap::new();
    let is_error = |requirement: &&Requirement| checked.footer.requirements.get(&requirement.id) == Some(&Outcome::Error);
    for (counts, error, title) in [
        (CountsAs::Failure, true, "Where chatspec itself failed"),
        (CountsAs::Failure, false, "Violated"),
        (CountsAs::Warning, false, "Warnings"),
    ] {
        let wanted = |requirement: &&Requirement| checked.counts(&requirement.id) == counts && is_error(requirement) == error;
        let mut of_it: Vec<&Requirement> = checked.suite.requirements.iter().filter(broken).filter(wanted).collect();
        of_it.sort_by_key(|requirement| requirement.level);
        if !of_it.is_empty() {
            page.block(&format!("### {title}"));
        }
        for requirement in of_it {
            let mut text = format!("#### {} ({})\n\n{}", inline(requirement.id.as_str()), requirement.level, inline(&requirement.text));
            text.push_str(&format!(" *(in the document: {})*\n", inline(&requirement.place)));
            let mut failing: Vec<&str> = Vec::new();
            for (verdict, outcome) in checked.verdicts_of(&requirement.id) {
                if matches!(outcome, Outcome::Fail | Outcome::Error) && !failing.contains(&verdict.scenario.as_str()) {
                    failing.push(&verdict.scenario);
                }
            }
            let (mut shown, mut others) = (0, Vec::new());
            for scenario in failing {
                let case = by_id.get(crate::report::transcript::printable(scenario).as_str()).copied();
                match (told.get(scenario), case) {
                    (Some(before), _) => text.push_str(&format!("\n- {} fails as told under {before}\n", code(scenario))),
                    (None, Some(case)) if shown < SHOWN => {
                        shown += 1;
                        told.insert(scenario, &requirement.id);
                        text.push('\n');
                        text.push_str(&failure(case));
                    }
                    _ => others.push(scenario),
                }
            }
            if !others.is_empty() {
                text.push_str(&format!("\nAnd in {}.\n", some(&others)));
            }
            page.block(&text);
        }
    }
}

/// The step, what was expected and came, and the line that plays it again; the rest is folded.
fn failure(case: &Case) -> String {
    let mut text = format!("- {} {}\n", code(&case.id), inline(&case.title));
    if let Some(step) = &case.step {
        text.push_str(&format!("  - step: {}\n", code(&format!("{}:{}:{}", step.file, step.line, step.column))));
    }
    text.push_str(&format!("  - {}\n", inline(&shorten(&case.why))));
    for (name, value) in [("expected", &case.expected), ("actual", &case.actual)] {
        if !value.is_empty() {
            text.push_str(&format!("  - {name}: {}\n", code(&shorten(value))));
        }
    }
    if let Some(again) = case.details.lines().find_map(|line| line.strip_prefix("again: ")) {
        text.push_str(&format!("  - again: {}\n", code(again)));
    }
    if !case.details.is_empty() {
        text.push('\n');
        text.push_str(&folded(&format!("{}: the step and what went over the wire", case.id), &block(&case.details)));
    }
    text
}

fn known(page: &mut Page, checked: &Checked<'_>) {
    let told = |known: &&KnownVerdict| known.state != KnownState::NotPlayed;
    let row = |known: &KnownVerdict| {
        let state = match known.state {
            KnownState::Fails | KnownState::NotPlayed => "fails, as expected",
            KnownState::Passes => "**passes: take the entry out**",
            KnownState::Expired => "**was to be mended by now**",
            KnownState::Unmatched => "**is nothing that the suite has**",
        };
        let link = known.link.as_deref().map(|link| format!(" {}", cell(link))).unwrap_or_default();
        vec![cell(&known.what), state.to_owned(), inline(&known.reason) + &link, inline(known.until.as_deref().unwrap_or_default())]
    };
    let rows: Vec<Vec<String>> = checked.footer.known.iter().filter(told).map(row).collect();
    if !rows.is_empty() {
        page.block("### Known failures");
        page.block(&table(&["what", "", "reason", "until"], &rows));
    }
}

/// The scenarios of a state, by why they are in it.
fn reasons(page: &mut Page, cases: &Cases, state: State, title: &str) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in cases.cases.iter().filter(|case| case.state == state) {
        by_reason.entry(&case.why).or_default().push(&case.id);
    }
    let number: usize = by_reason.values().map(Vec::len).sum();
    if number == 0 {
        return;
    }
    let lines = by_reason.iter().map(|(why, scenarios)| {
        let why = why.strip_prefix("could not be tested: ").unwrap_or(why);
        format!("- {}: {}\n", inline(&shorten(why)), some(scenarios))
    });
    page.block(&folded(&format!("{title}: {number} {}", if number == 1 { "scenario" } else { "scenarios" }), &lines.collect::<String>()));
}

/// What is worth knowing and never wrong, each with the number of scenarios that say it.
fn notes(page: &mut Page, cases: &Cases) {
    let mut notes: BTreeMap<String, usize> = BTreeMap::new();
    for case in &cases.cases {
        match case.state {
            State::Passed => case.notes.iter().for_each(|note| *notes.entry(note.clone()).or_default() += 1),
            State::Noted => {
                let about = case.broken.as_ref().map(|(id, _)| format!("{id}: ")).unwrap_or_default();
                *notes.entry(about + &case.why).or_default() += 1;
            }
            _ => {}
        }
    }
    if !notes.is_empty() {
        let line = |(note, count): (&String, &usize)| {
            let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
            format!("- {}{times}\n", inline(&shorten(note)))
        };
        page.block(&folded(&format!("Notes: {}", notes.len()), &notes.iter().map(line).collect::<String>()));
    }
}

fn some(scenarios: &[&str]) -> String {
    let named: Vec<String> = scenarios.iter().take(NAMED).map(|scenario| code(scenario)).collect();
    let more = scenarios.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}
