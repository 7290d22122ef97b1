//! The scoreboard: several servers as columns, requirements as rows.

use maud::{Markup, html};

use super::filters::{self, Choice};
use super::page::document;
use super::text::{anchor, duration, plain, prose, visible};
use super::words::{self, Conclusion};
use super::{board_texts, board_warnings};
use crate::reading::{Fact, Held};
use crate::report::checked::{Checked, area_of};
use crate::requirement::{Level, Requirement, RequirementId};
use crate::verdict::{CountsAs, Outcome};

/// So many servers fit beside each other on a desk, and the names of the columns can stay in sight.
const FEW: usize = 5;

/// One server's run.
pub struct Column<'a> {
    /// As the reader knows it, different from all others.
    pub name: String,
    pub checked: Checked<'a>,
}

impl Column<'_> {
    /// What came of a requirement, and what it counts as; `None` where the run says nothing of it.
    pub fn outcome(&self, id: &RequirementId) -> Option<(Outcome, CountsAs)> {
        Some((*self.checked.footer.requirements.get(id)?, self.checked.counts(id)))
    }
}

/// A requirement that at least one of the runs says something of.
pub struct Line<'a> {
    pub id: &'a RequirementId,
    pub requirement: Option<&'a Requirement>,
}

impl Line<'_> {
    pub fn level(&self) -> Level {
        self.requirement.map_or(Level::Info, |requirement| requirement.level)
    }

    pub fn text(&self) -> &str {
        self.requirement.map_or("", |requirement| &requirement.text)
    }

    /// Whether it is known to have come to different things with different servers.
    fn differs(&self, columns: &[Column<'_>]) -> bool {
        let is_known = |outcome: &Outcome| !matches!(outcome, Outcome::CouldNotTest | Outcome::Skipped);
        let outcomes = columns.iter().filter_map(|column| column.outcome(self.id)).map(|(outcome, _)| outcome);
        let outcomes: Vec<Outcome> = outcomes.filter(is_known).collect();
        outcomes.windows(2).any(|pair| pair[0] != pair[1])
    }

    /// Whether some server came to something else than a pass.
    pub fn falls_short(&self, columns: &[Column<'_>]) -> bool {
        columns.iter().filter_map(|column| column.outcome(self.id)).any(|(outcome, _)| outcome != Outcome::Pass)
    }

    fn passes_everywhere(&self, columns: &[Column<'_>]) -> bool {
        columns.iter().all(|column| matches!(column.outcome(self.id), Some((Outcome::Pass, _))))
    }

    fn status(&self, columns: &[Column<'_>]) -> Vec<&'static str> {
        let mut status = Vec::new();
        if self.differs(columns) {
            status.push("differ");
        }
        if self.passes_everywhere(columns) {
            status.push("passed");
        }
        for (outcome, counts) in columns.iter().filter_map(|column| column.outcome(self.id)) {
            status.extend(words::status(outcome, counts).into_iter().filter(|word| *word != "passed"));
        }
        status.sort_unstable();
        status.dedup();
        status
    }
}

/// The page of several runs, each with its name.
pub fn page(runs: Vec<(&str, Checked<'_>)>) -> String {
    let mut columns: Vec<Column<'_>> = Vec::with_capacity(runs.len());
    for (name, checked) in runs {
        let same = columns.iter().filter(|column| column.name == name || column.name.starts_with(&format!("{name} ("))).count();
        let name = if same == 0 { name.to_owned() } else { format!("{name} ({})", same + 1) };
        columns.push(Column { name, checked });
    }
    let lines = lines(&columns);
    let names: Vec<String> = columns.iter().map(|column| plain(&column.name)).collect();
    let body = html! {
        (board_warnings::warnings(&columns))
        (toolbar(&lines, &columns))
        div.scroll.panel.few[columns.len() <= FEW] { (table(&lines, &columns)) }
        p.nothing hidden { "Nothing is left to show with these filters." }
        (readings(&columns))
        (board_texts::texts(&lines, &columns))
    };
    document(&format!("Scoreboard: {}", names.join(", ")), html! { (columns.len()) " servers, " (lines.len()) " requirements" }, body)
}

/// All requirements of all runs: those of the first suite in its order, each other behind those of its own area.
fn lines<'a>(columns: &[Column<'a>]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for column in columns {
        for (area, members) in column.checked.areas() {
            for member in members.into_iter().filter(|member| column.outcome(member.id).is_some()) {
                if lines.iter().any(|line| line.id == member.id) {
                    continue;
                }
                let place = lines.iter().rposition(|line| area_of(line.id) == area).map_or(lines.len(), |at| at + 1);
                lines.insert(place, Line { id: member.id, requirement: member.requirement });
            }
        }
    }
    lines
}

fn areas<'a>(lines: &[Line<'a>]) -> Vec<&'a str> {
    let mut areas: Vec<&str> = lines.iter().map(|line| area_of(line.id)).collect();
    areas.dedup();
    areas
}

fn toolbar(lines: &[Line<'_>], columns: &[Column<'_>]) -> Markup {
    let choice = |key: &'static str, word: &'static str| {
        let count = lines.iter().filter(|line| line.status(columns).contains(&key)).count();
        Choice { key, word, count }
    };
    let choices = [
        choice("differ", "differ"),
        choice("failed", "violated somewhere"),
        choice("warned", "warned somewhere"),
        choice("untested", "could not test somewhere"),
        choice("known", "known somewhere"),
        choice("passed", "pass everywhere"),
    ];
    let mut levels: Vec<Level> = lines.iter().map(Line::level).collect();
    levels.sort_unstable();
    levels.dedup();
    filters::toolbar("requirement", &choices, &levels, &areas(lines), false)
}

fn table(lines: &[Line<'_>], columns: &[Column<'_>]) -> Markup {
    html! {
        table.board {
            thead { tr { th scope="col" { "requirement" } @for column in columns { th scope="col" { (visible(&column.name)) } } } }
            (totals(columns))
            @for area in areas(lines) {
                tbody data-group {
                    tr.area { th scope="rowgroup" colspan=(columns.len() + 1) { (visible(area)) } }
                    @for line in lines.iter().filter(|line| area_of(line.id) == area) { (row(line, columns)) }
                }
            }
        }
    }
}

/// What each server came to as a whole.
fn totals(columns: &[Column<'_>]) -> Markup {
    let outcomes =
        |column: &Column<'_>, wanted: Outcome| column.checked.footer.requirements.values().filter(|outcome| **outcome == wanted).count();
    let counts = |column: &Column<'_>, wanted: CountsAs| column.checked.footer.counts.values().filter(|counts| **counts == wanted).count();
    let figure = |word: &str, figure: &dyn Fn(&Column<'_>) -> usize| {
        html! {
            @if columns.iter().any(|column| figure(column) > 0) {
                tr { th scope="row" { (word) } @for column in columns { td.number { (figure(column)) } } }
            }
        }
    };
    html! {
        tbody.totals {
            tr {
                th scope="row" { "verdict" }
                @for column in columns {
                    @let conclusion = Conclusion::of(column.checked.footer);
                    td.(conclusion.tone) title=(conclusion.meaning) { b { (conclusion.sign) " " (conclusion.word) } }
                }
            }
            tr { th scope="row" { "HTTP" } @for column in columns { td { code { (visible(&column.checked.header.target.http)) } } } }
            tr { th scope="row" { "WebSocket" } @for column in columns { td { code { (visible(&column.checked.header.target.ws)) } } } }
            tr {
                th scope="row" { "requirements that pass" }
                @for column in columns {
                    td.number { b { (outcomes(column, Outcome::Pass)) } " of " (column.checked.footer.requirements.len()) }
                }
            }
            (figure("violated", &|column| counts(column, CountsAs::Failure)))
            (figure("warnings", &|column| counts(column, CountsAs::Warning)))
            (figure("known to fail", &|column| counts(column, CountsAs::Known)))
            (figure("could not be tested", &|column| outcomes(column, Outcome::CouldNotTest)))
            (figure("skipped", &|column| outcomes(column, Outcome::Skipped)))
            (figure("flaky", &|column| outcomes(column, Outcome::Flaky)))
            (figure("scenarios", &|column| column.checked.verdicts.len()))
            tr { th scope="row" { "took" } @for column in columns { td.number { (duration(column.checked.footer.at_ms)) } } }
            tr { th scope="row" { "started" } @for column in columns { td.number { (visible(&column.checked.header.started)) } } }
        }
    }
}

fn row(line: &Line<'_>, columns: &[Column<'_>]) -> Markup {
    let id = anchor(line.id.as_str());
    let has_text = line.falls_short(columns);
    html! {
        tr id=(id) data-row data-status=(line.status(columns).join(" ")) data-level=(line.level()) data-area=(area_of(line.id)) {
            th scope="row" {
                @if has_text { a href={"#text-" (id)} { (visible(line.id.as_str())) } } @else { b { (visible(line.id.as_str())) } }
                " " span.level { (line.level()) } " " span.what { (prose(line.text())) }
            }
            @for column in columns { (cell(line, column)) }
        }
    }
}

fn cell(line: &Line<'_>, column: &Column<'_>) -> Markup {
    html! {
        @match column.outcome(line.id) {
            Some((outcome, counts)) => td {
                (words::mark(outcome, words::tone(outcome, counts)))
                @if let Some(word) = words::counts(counts).filter(|_| outcome != Outcome::CouldNotTest) { " " small.dim { (word) } }
            },
            None => td.dim title="the run of this server says nothing of it" {
                @if column.checked.suite.requirement(line.id).is_some() { "not played" } @else { "not in its suite" }
            }
        }
    }
}

/// Which readings the servers follow, and what else was found out about them.
fn readings(columns: &[Column<'_>]) -> Markup {
    let mut readings: Vec<&str> = columns.iter().flat_map(|column| column.checked.readings.keys()).map(String::as_str).collect();
    readings.sort_unstable();
    readings.dedup();
    let mut facts: Vec<&str> = columns.iter().flat_map(|column| column.checked.suite.facts.keys()).map(String::as_str).collect();
    facts.sort_unstable();
    facts.dedup();
    let held = |id: &str| columns.iter().map(|column| column.checked.readings.get(id).map_or("–".into(), held)).collect::<Vec<_>>();
    let fact = |id: &str| columns.iter().map(|column| column.checked.facts.get(id).map_or("–".into(), fact)).collect::<Vec<_>>();
    let asks = |id: &str| columns.iter().find_map(|column| column.checked.suite.readings.get(id)).map_or("", String::as_str);
    let is = |id: &str| columns.iter().find_map(|column| column.checked.suite.facts.get(id)).map_or("", String::as_str);
    html! {
        @if !readings.is_empty() || !facts.is_empty() {
            h2 { "Readings" }
            div.scroll.panel {
                table.board.readings {
                    thead { tr { th scope="col" { "what the document leaves open" } @for column in columns { th scope="col" { (visible(&column.name)) } } } }
                    tbody {
                        @for id in readings { (compared(id, asks(id), &held(id))) }
                        @for id in facts { (compared(id, is(id), &fact(id))) }
                    }
                }
            }
        }
    }
}

fn compared(id: &str, text: &str, values: &[String]) -> Markup {
    let differs = values.windows(2).any(|pair| pair[0] != pair[1]);
    html! {
        tr {
            th scope="row" { b { (visible(id)) } @if differs { " " span.counts.warn { "≠ differs" } } " " span.what { (prose(text)) } }
            @for value in values { td { (visible(value)) } }
        }
    }
}

fn held(held: &Held) -> String {
    match held {
        Held::Found { values } => values.join(", "),
        Held::Pinned { values } => format!("{} (given)", values.join(", ")),
        Held::Unknown { .. } => "? not found out".into(),
        Held::NotApplicable { .. } => "doesn't arise".into(),
    }
}

fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Number(number) => number.to_string(),
        Fact::Above(number) => format!("{number} or more"),
        Fact::Truth(truth) => if *truth { "yes" } else { "no" }.into(),
        Fact::Unknown { .. } => "? not found out".into(),
    }
}
