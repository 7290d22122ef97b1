//! The page of `sensitivity`: what the suite catches of servers of which it is known what is wrong with them, and what it says of those
//! that do nothing wrong.

use maud::{Markup, html};

use super::filters::{self, Choice};
use super::table::tile;
use super::text::{anchor, plain, prose, visible};
use crate::event::{Event, Log, SuiteShown};
use crate::matrix::{Kind, Summary, Trial, Worth};
use crate::report::figures::{count, plural};
use crate::report::matrix::{distinct, faults, scenarios};
use crate::requirement::RequirementId;

/// A run of `sensitivity`.
#[derive(Debug)]
pub struct Matrix<'a> {
    log: &'a Log,
    suite: Option<&'a SuiteShown>,
    trials: Vec<&'a Trial>,
    summary: Summary,
}

impl<'a> Matrix<'a> {
    pub fn of(log: &'a Log) -> Self {
        let trials: Vec<&Trial> =
            log.events.iter().filter_map(|event| if let Event::Tried(trial) = event { Some(&**trial) } else { None }).collect();
        let suite = log.events.iter().find_map(|event| if let Event::Suite(suite) = event { Some(&**suite) } else { None });
        // A run that was ended has no figures of its own.
        let figures = || Summary::new(&trials.iter().map(|trial| (*trial).clone()).collect::<Vec<_>>(), Vec::new());
        let summary = log.footer.matrix.clone().unwrap_or_else(figures);
        Self { log, suite, trials, summary }
    }

    /// A requirement with its text at hand.
    fn requirement(&self, id: &RequirementId) -> Markup {
        let text = self.suite.and_then(|suite| suite.requirement(id)).map(|requirement| plain(&requirement.text));
        html! { span class="id" title=[text] { (visible(id.as_str())) } }
    }

    fn requirements<'b>(&self, ids: impl IntoIterator<Item = &'b RequirementId>) -> Markup {
        html! { @for (at, id) in ids.into_iter().enumerate() { @if at > 0 { ", " } (self.requirement(id)) } }
    }

    fn needless(&self) -> Vec<&Worth> {
        self.summary.worth.iter().filter(|worth| worth.is_needless()).collect()
    }

    fn wrong(&self) -> Vec<&'a Trial> {
        self.trials.iter().copied().filter(|trial| !trial.judgement.is_good()).collect()
    }
}

pub fn subtitle(matrix: &Matrix<'_>) -> Markup {
    let header = &matrix.log.header;
    html! { "chatspec sensitivity of the suite " (visible(&header.protocol)) " · " (visible(&header.started)) }
}

/// The page's body.
pub fn body(matrix: &Matrix<'_>) -> Markup {
    html! {
        div class="load matrix" {
            (verdict(matrix))
            (tiles(&matrix.summary))
            (not_as_it_should_be(matrix))
            (toolbar(matrix))
            (faulty(matrix))
            (conforming(matrix))
            (worth(matrix))
        }
    }
}

fn verdict(matrix: &Matrix<'_>) -> Markup {
    let (footer, summary) = (&matrix.log.footer, &matrix.summary);
    let (class, word) = match footer.exit_code {
        130 => ("warn", "Interrupted"),
        0 => ("pass", "The suite catches what it must"),
        4 => ("fail", "Some trials went wrong themselves"),
        _ => ("fail", "The suite does not catch what it must"),
    };
    html! {
        section class=(format!("panel conclusion {class}")) {
            p { strong class="word" { (word) ":" } " faults: " (faults(summary)) "; " (passed(summary)) "." }
            @for note in &footer.notes { p { (visible(note)) } }
            @if footer.interrupted { p { "The run was interrupted; this is what it had found out by then." } }
            p class="dim" {
                "A fault counts as killed where a scenario fails under the very requirement that the fault violates. A server that does "
                "nothing wrong must be found to conform."
            }
        }
    }
}

fn toolbar(matrix: &Matrix<'_>) -> Markup {
    let choice = |key: &'static str, word: &'static str| Choice {
        key,
        word,
        count: matrix.trials.iter().filter(|trial| statuses(trial).contains(&key)).count(),
    };
    let choices = [
        choice("wrong", "not as it should be"),
        choice("collateral", "with collateral"),
        choice("fault", "faults"),
        choice("conforming", "conforming"),
    ];
    filters::toolbar("server", &choices, &[], &[], false)
}

/// By what a trial can be chosen.
fn statuses(trial: &Trial) -> Vec<&'static str> {
    let fault = matches!(trial.subject.kind, Kind::Fault { .. });
    let mut statuses = vec![if fault { "fault" } else { "conforming" }];
    statuses.extend((!trial.judgement.is_good()).then_some("wrong"));
    statuses.extend((fault && !trial.collateral().is_empty()).then_some("collateral"));
    statuses
}

/// A subject's name, as what leads to its row.
fn name(trial: &Trial) -> Markup {
    let id = format!("server-{}", anchor(&trial.subject.name));
    html! { a #(id) href={"#" (id)} { code { (visible(&trial.subject.name)) } } }
}

fn passed(summary: &Summary) -> String {
    format!("{} of {} conforming servers pass", summary.passed, summary.conforming)
}

fn tiles(summary: &Summary) -> Markup {
    let full = |done: usize, all: usize| if done == all { "pass" } else { "fail" };
    let bad = |number: usize| if number == 0 { "" } else { "fail" };
    html! {
        ul class="tiles" {
            (tile(full(summary.killed, summary.faults), &format!("{} of {}", summary.killed, summary.faults), "faults are killed"))
            (tile(full(summary.passed, summary.conforming), &format!("{} of {}", summary.passed, summary.conforming), "conforming servers pass"))
            (tile(bad(summary.unnoticed), &summary.unnoticed.to_string(), "faults showed and were not noticed"))
            (tile(bad(summary.unreached), &summary.unreached.to_string(), "faults were never reached"))
            (tile("", &format!("{} / {}", summary.median_collateral, summary.most_collateral), "unrelated requirements fail, in the median / at most"))
            @if summary.failed > 0 { (tile("fail", &summary.failed.to_string(), "trials went wrong themselves")) }
        }
    }
}

fn not_as_it_should_be(matrix: &Matrix<'_>) -> Markup {
    let (wrong, needless) = (matrix.wrong(), matrix.needless());
    html! {
        @if !wrong.is_empty() || !needless.is_empty() {
            h2 { "Not as it should be" }
            @for trial in wrong { (explained(matrix, trial)) }
            @if !needless.is_empty() {
                section class="panel conclusion warn" {
                    p { strong { "Needless scenarios" } ": without them nothing would be missed, and nobody says why they stay." }
                    ul { @for worth in needless { li { code { (visible(&worth.scenario)) } ", which kills " (worth.kills) ", all of which others kill too" } } }
                }
            }
        }
    }
}

fn explained(matrix: &Matrix<'_>, trial: &Trial) -> Markup {
    html! {
        section class="panel conclusion fail trouble" {
            p {
                strong class="fail" { (trial.judgement.word()) } " " code { (visible(&trial.subject.name)) }
                @if let Kind::Fault { requirement, .. } = &trial.subject.kind { ", which violates " (matrix.requirement(requirement)) }
            }
            p { (prose(&trial.subject.summary)) @if let (Some(fired), Kind::Fault { .. }) = (trial.fired, &trial.subject.kind) { "; it did so " (plural(fired, "time", "times")) } }
            @if !trial.troubles.is_empty() { ul { @for trouble in &trial.troubles { li { (visible(trouble)) } } } }
            @if !trial.violated.is_empty() {
                ul {
                    @for (id, cases) in &trial.violated {
                        li { (matrix.requirement(id)) " fails in " (named(cases)) }
                    }
                }
            }
            @if !trial.untested.is_empty() { p { "Not tested: " (matrix.requirements(&trial.untested)) } }
        }
    }
}

/// Scenarios by name, each once.
fn named(cases: &[String]) -> Markup {
    html! { @for (at, scenario) in distinct(cases).into_iter().enumerate() { @if at > 0 { ", " } code { (visible(scenario)) } } }
}

fn faulty(matrix: &Matrix<'_>) -> Markup {
    let is_fault = |trial: &&&Trial| matches!(trial.subject.kind, Kind::Fault { .. });
    let mut trials: Vec<&Trial> = matrix.trials.iter().filter(is_fault).copied().collect();
    trials.sort_by_key(|trial| trial.judgement.is_good());
    html! {
        section data-group {
            h2 { "Faults" }
            div class="scroll" tabindex="0" {
                table class="figures roomy wide" {
                    thead {
                        tr { @for title in ["fault", "violates", "", "what the server does", "killed by", "fails beside what it implies"] { th scope="col" class="text" { (title) } } }
                    }
                    tbody {
                        @for trial in trials {
                            tr class=(if trial.judgement.is_good() { "pass" } else { "fail" }) data-row data-status=(statuses(trial).join(" ")) {
                                th scope="row" { (name(trial)) }
                                td { @if let Kind::Fault { requirement, .. } = &trial.subject.kind { (matrix.requirement(requirement)) } }
                                td { strong { (trial.judgement.word()) } }
                                td { (prose(&trial.subject.summary)) }
                                td { (named(trial.killers())) }
                                td { (matrix.requirements(trial.collateral())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn conforming(matrix: &Matrix<'_>) -> Markup {
    let conforms = |trial: &&&Trial| !matches!(trial.subject.kind, Kind::Fault { .. });
    html! {
        section data-group {
            h2 { "Servers that conform" }
            div class="scroll" tabindex="0" {
                table class="figures roomy" {
                    thead { tr { @for title in ["server", "", "what it does"] { th scope="col" class="text" { (title) } } } }
                    tbody {
                        @for trial in matrix.trials.iter().filter(conforms) {
                            tr class=(if trial.judgement.is_good() { "pass" } else { "fail" }) data-row data-status=(statuses(trial).join(" ")) {
                                th scope="row" { (name(trial)) }
                                td { strong { (trial.judgement.word()) } }
                                td { (prose(&trial.subject.summary)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn worth(matrix: &Matrix<'_>) -> Markup {
    html! {
        @if !matrix.summary.worth.is_empty() {
            h2 { "What each scenario is worth" }
            p { (scenarios(&matrix.summary)) "." }
            details {
                summary { "What would be missed without each" }
                div class="scroll" tabindex="0" {
                    table class="figures roomy" {
                        thead { tr { th scope="col" { "scenario" } th scope="col" { "kills" } th scope="col" class="text" { "alone, or why it stays" } } }
                        tbody {
                            @for worth in &matrix.summary.worth {
                                tr class=[worth.is_needless().then_some("fail")] {
                                    th scope="row" { code { (visible(&worth.scenario)) } }
                                    td class="number" { (count(worth.kills as u64)) }
                                    td {
                                        @match (&worth.stays, &worth.alone[..]) {
                                            (Some(stays), []) => (visible(stays)),
                                            (None, []) => strong { "needless" },
                                            (_, alone) => @for (at, fault) in alone.iter().enumerate() { @if at > 0 { ", " } code { (visible(fault)) } },
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
