//! The page of a run of scenarios.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use maud::{Markup, html};

use super::filters::{self, Choice};
use super::page::document;
use super::text::{anchor, count, prose, visible};
use super::wire::Row;
use super::{case, findings, glance, reservations, sequence, words};
use crate::event::ScenarioShown;
use crate::report::checked::{Checked, RequirementShown};
use crate::requirement::{Level, RequirementId};
use crate::verdict::{CountsAs, Outcome, ScenarioVerdict};

/// How many bytes of diagrams the page holds ready, roughly; what failed beyond that is text first, as what passed is. A target with
/// which everything goes wrong would otherwise make a page that no browser likes to open.
const DRAWN: usize = 1_000_000;

/// How many bytes of transcripts the page holds as text, roughly. Where there is more, each line is shortened.
const TEXT: usize = 7_000_000;

/// How many bytes of those each failure takes for itself.
const FAILURE: usize = 1_900;

/// The fewest and the most bytes of a line of a transcript as text.
const LINE: (usize, usize) = (40, 1_000);

/// How many scenarios of a requirement are open at the start, and how many of the page.
const OPEN_OF_ONE: usize = 2;
const OPEN: usize = 40;

/// Of a scenario that is played many times, how many runs are shown that went wrong, and how many of each other outcome.
const BAD_RUNS: usize = 3;
const OTHER_RUNS: usize = 1;

/// What the parts of the page need to know of the whole.
pub struct Sheet<'a> {
    pub checked: &'a Checked<'a>,
    scenarios: HashMap<&'a str, &'a ScenarioShown>,
    /// The requirement below which a run of a scenario is shown in full.
    homes: HashMap<(&'a str, u32), &'a RequirementId>,
    /// By scenario, how many of its runs aren't shown, by outcome.
    left_out: HashMap<&'a str, BTreeMap<Outcome, usize>>,
    /// How many bytes of a line of a transcript as text are shown.
    pub line: usize,
    drawn: Cell<usize>,
    opened: Cell<usize>,
}

impl<'a> Sheet<'a> {
    pub fn new(checked: &'a Checked<'a>) -> Self {
        let places: HashMap<&RequirementId, usize> =
            checked.suite.requirements.iter().enumerate().map(|(at, requirement)| (&requirement.id, at)).collect();
        let mut homes = HashMap::new();
        let mut left_out: HashMap<&str, BTreeMap<Outcome, usize>> = HashMap::new();
        let mut shown: HashMap<(&str, Outcome), usize> = HashMap::new();
        for verdict in &checked.verdicts {
            let runs = shown.entry((&verdict.scenario, verdict.outcome)).or_default();
            *runs += 1;
            if *runs > if is_bad(verdict.outcome) { BAD_RUNS } else { OTHER_RUNS } {
                *left_out.entry(&verdict.scenario).or_default().entry(verdict.outcome).or_default() += 1;
                continue;
            }
            let listed = verdict.requirements.iter().filter(|(id, _)| checked.footer.requirements.contains_key(*id));
            let home = listed.min_by_key(|(id, outcome)| (!is_bad(**outcome), places.get(id).copied().unwrap_or(usize::MAX)));
            if let Some((home, _)) = home {
                homes.insert((verdict.scenario.as_str(), verdict.run), home);
            }
        }
        let scenarios = checked.suite.scenarios.iter().map(|scenario| (scenario.id.as_str(), scenario)).collect();
        let failures = checked.verdicts.iter().filter(|verdict| verdict.failure.is_some()).count();
        let line = line(checked.events(), failures);
        Self { checked, scenarios, homes, left_out, line, drawn: Cell::new(0), opened: Cell::new(0) }
    }

    pub fn scenario(&self, id: &str) -> Option<&'a ScenarioShown> {
        self.scenarios.get(id).copied()
    }

    /// How many runs of a scenario with this outcome aren't shown.
    pub fn left_out(&self, scenario: &str, outcome: Outcome) -> usize {
        self.left_out.get(scenario).and_then(|outcomes| outcomes.get(&outcome)).copied().unwrap_or(0)
    }

    /// Whether these rows too may be drawn; if so, they are taken for drawn.
    pub fn may_draw(&self, rows: &[Row]) -> bool {
        let drawn = self.drawn.get() + sequence::weight(rows);
        if drawn <= DRAWN {
            self.drawn.set(drawn);
        }
        drawn <= DRAWN
    }
}

/// How long a line of a transcript may be where there are so many events and failures.
fn line(events: usize, failures: usize) -> usize {
    let text = TEXT.saturating_sub(failures * FAILURE).max(TEXT / 4);
    (text / events.max(1)).clamp(LINE.0, LINE.1)
}

/// Whether something went wrong.
pub fn is_bad(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Error | Outcome::Flaky)
}

/// The page of one run.
pub fn page(checked: &Checked<'_>) -> String {
    let target = &checked.header.target;
    let word = words::Conclusion::of(checked.footer).word;
    let title = format!("{word}: {}", super::text::plain(&target.http));
    let subtitle = html! { "chatspec " (visible(&checked.header.command)) ", " (visible(&checked.header.started)) };
    document(&title, subtitle, body(checked))
}

fn body(checked: &Checked<'_>) -> Markup {
    let sheet = Sheet::new(checked);
    let areas = checked.areas();
    html! {
        (sequence::heads())
        (glance::glance(&sheet, &areas))
        (glance::known(&sheet))
        (reservations::reservations(&sheet))
        (findings::findings(&sheet))
        @if areas.is_empty() {
            p.panel { "No scenario was played, so nothing is known of any requirement." }
        } @else {
            (toolbar(&areas))
            @for (area, members) in &areas {
                section.area data-group {
                    h2 { (visible(area)) " " span.dim { (passed(members)) } }
                    @for member in members { (row(&sheet, area, member)) }
                }
            }
            p.nothing hidden { "Nothing is left to show with these filters." }
        }
        (homeless(&sheet))
        (untouched(&sheet))
    }
}

fn passed(members: &[RequirementShown<'_>]) -> String {
    let passed = members.iter().filter(|member| member.outcome == Outcome::Pass).count();
    format!("{passed} of {} pass", members.len())
}

/// The filters over the requirements, with how many each would leave.
fn toolbar(areas: &[(&str, Vec<RequirementShown<'_>>)]) -> Markup {
    let all: Vec<&RequirementShown<'_>> = areas.iter().flat_map(|(_, members)| members).collect();
    let choice = |key: &'static str, word: &'static str| {
        let count = all.iter().filter(|member| words::status(member.outcome, member.counts).contains(&key)).count();
        Choice { key, word, count }
    };
    let choices = [
        choice("failed", "violated"),
        choice("warned", "warned"),
        choice("untested", "could not test"),
        choice("flaky", "flaky"),
        choice("known", "known"),
        choice("noted", "noted"),
        choice("skipped", "skipped"),
        choice("passed", "passed"),
    ];
    let mut levels: Vec<Level> = all.iter().filter_map(|member| member.requirement).map(|requirement| requirement.level).collect();
    levels.sort_unstable();
    levels.dedup();
    let names: Vec<&str> = areas.iter().map(|(area, _)| *area).collect();
    filters::toolbar("requirement", &choices, &levels, &names, true)
}

/// A requirement with the scenarios that prove it.
fn row(sheet: &Sheet<'_>, area: &str, member: &RequirementShown<'_>) -> Markup {
    let RequirementShown { id, requirement, outcome, counts } = *member;
    let tone = words::tone(outcome, counts);
    let level = requirement.map_or(Level::Info, |requirement| requirement.level);
    let alarms = is_bad(outcome) && matches!(counts, CountsAs::Failure | CountsAs::Warning);
    let text = requirement.map_or("", |requirement| &requirement.text);
    html! {
        details.req.(tone) id=(anchor(id.as_str())) open[alarms] data-row data-alarm[alarms]
            data-status=(words::status(outcome, counts).join(" ")) data-level=(level) data-area=(area) {
            summary {
                (words::mark(outcome, tone)) " "
                b.rid { (visible(id.as_str())) } " "
                span.level { (level) } " "
                span.what { (prose(text)) }
                @if let Some(word) = words::counts(counts) { " " span.counts.(tone) { (word) } }
            }
            div.body {
                @if let Some(requirement) = requirement {
                    p.place { "In the document: " (prose(&requirement.place)) "." }
                    @if !requirement.readings.is_empty() { p.place { "What it asks depends on " (findings::mentions(sheet, &requirement.readings)) "." } }
                }
                @if counts != CountsAs::Nothing { p.place { "In this run it " (words::counts_meaning(counts, level)) "." } }
                (cases(sheet, id, counts))
            }
        }
    }
}

/// The scenarios that prove a requirement, those first that went wrong.
fn cases(sheet: &Sheet<'_>, id: &RequirementId, counts: CountsAs) -> Markup {
    let mut verdicts: Vec<(&ScenarioVerdict, Outcome)> = sheet.checked.verdicts_of(id).collect();
    verdicts.sort_by_key(|(_, outcome)| !is_bad(*outcome));
    let mut open = 0;
    let mut opens = |outcome: Outcome| {
        let opens = is_bad(outcome) && counts != CountsAs::Known && open < OPEN_OF_ONE && sheet.opened.get() < OPEN;
        open += usize::from(opens);
        sheet.opened.set(sheet.opened.get() + usize::from(opens));
        opens
    };
    let mut counted = HashSet::new();
    html! {
        @for (verdict, outcome) in verdicts {
            @match sheet.homes.get(&(verdict.scenario.as_str(), verdict.run)) {
                Some(home) if *home == id => (case::case(sheet, verdict, outcome, own_counts(outcome, counts), opens(outcome))),
                Some(home) => (case::elsewhere(sheet, verdict, outcome, own_counts(outcome, counts), home)),
                None => @if counted.insert(verdict.scenario.as_str()) { (more_runs(sheet, &verdict.scenario)) }
            }
        }
    }
}

/// What a scenario's outcome counts as, below a requirement whose outcome counts as `counts`.
fn own_counts(outcome: Outcome, counts: CountsAs) -> CountsAs {
    if matches!(outcome, Outcome::Pass | Outcome::Skipped) { CountsAs::Nothing } else { counts }
}

/// How many runs of a scenario went wrong beyond those that are shown.
fn more_runs(sheet: &Sheet<'_>, scenario: &str) -> Markup {
    let bad = [Outcome::Fail, Outcome::Error].into_iter().map(|outcome| (outcome, sheet.left_out(scenario, outcome)));
    html! {
        @for (outcome, more) in bad.filter(|(_, more)| *more > 0) {
            p.elsewhere.dim { (count(more, "more run")) " of " code.id { (visible(scenario)) } " came to the outcome " (words::word(outcome)) "; the log has them all" }
        }
    }
}

/// Scenarios that stand below no requirement, since nothing is said of those that they prove.
fn homeless(sheet: &Sheet<'_>) -> Markup {
    let is_listed = |id: &RequirementId| sheet.checked.footer.requirements.contains_key(id);
    let homeless: Vec<_> = sheet.checked.verdicts.iter().filter(|verdict| !verdict.requirements.keys().any(is_listed)).collect();
    html! {
        @if !homeless.is_empty() {
            section.area {
                h2 { "Scenarios below no requirement" }
                @for verdict in homeless { (case::case(sheet, verdict, verdict.outcome, CountsAs::Nothing, is_bad(verdict.outcome))) }
            }
        }
    }
}

/// The requirements of the suite that the run says nothing of.
fn untouched(sheet: &Sheet<'_>) -> Markup {
    let checked = sheet.checked;
    let others: Vec<_> =
        checked.suite.requirements.iter().filter(|requirement| !checked.footer.requirements.contains_key(&requirement.id)).collect();
    html! {
        @if !others.is_empty() {
            details.others {
                summary { (count(others.len(), "requirement")) " of the suite had no part in this run" }
                ul { @for requirement in others { li { b { (visible(requirement.id.as_str())) } " " span.level { (requirement.level) } " " (prose(&requirement.text)) } } }
            }
        }
    }
}
