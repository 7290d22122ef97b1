//! The cases of a matrix: each server that was tried, and each scenario that is needless.

use super::{Case, State};
use crate::event::{Event, Log};
use crate::matrix::{Judgement, Kind, Summary, Trial};
use crate::report::matrix;
use crate::report::transcript::printable;

/// The cases, the verdict in a word, and in a sentence.
pub fn cases(log: &Log) -> (Vec<Case>, String, String) {
    let trials = trials(log);
    let mut cases: Vec<Case> = trials.iter().map(|trial| case(trial)).collect();
    let word = match log.footer.exit_code {
        0 => "AS IT SHOULD BE",
        1 => "NOT AS IT SHOULD BE",
        130 => "INTERRUPTED",
        _ => "A TRIAL FAILED",
    };
    let summary = summary(log, &trials);
    for worth in summary.worth.iter().filter(|worth| worth.is_needless()) {
        let mut case = Case::new("scenarios", &worth.scenario, "The scenario is needed", State::Failed);
        case.why = format!("needless: it kills {}, all of which others kill too, and nothing says why it stays", worth.kills);
        case.details = format!("{}\n", case.why);
        cases.push(case);
    }
    (cases, word.to_owned(), matrix::sentence(&summary))
}

/// The trials of a log.
pub fn trials(log: &Log) -> Vec<&Trial> {
    log.events.iter().filter_map(|event| if let Event::Tried(trial) = event { Some(&**trial) } else { None }).collect()
}

/// The figures of a log; of one without them, those of its trials.
pub fn summary(log: &Log, trials: &[&Trial]) -> Summary {
    let own = || Summary::new(&trials.iter().map(|trial| (*trial).clone()).collect::<Vec<_>>(), Vec::new());
    log.footer.matrix.clone().unwrap_or_else(own)
}

fn case(trial: &Trial) -> Case {
    let (area, about) = match &trial.subject.kind {
        Kind::Fault { requirement, .. } => ("faults", format!("{}; it violates {requirement}", trial.subject.summary)),
        Kind::Variant | Kind::Plain => ("conforming", trial.subject.summary.clone()),
    };
    let state = match trial.judgement {
        Judgement::Killed | Judgement::Passed => State::Passed,
        Judgement::Unnoticed | Judgement::Unreached | Judgement::Accused => State::Failed,
        Judgement::Failed => State::Error,
    };
    let mut case = Case::new(area, &trial.subject.name, &about, state);
    case.took_ms = trial.took_ms;
    let mut text = anstream::StripStream::new(Vec::new());
    // Memory takes every write.
    let _ = matrix::line(&mut text, trial);
    let lines: Vec<String> = String::from_utf8_lossy(&text.into_inner()).lines().map(printable).collect();
    if state == State::Passed {
        case.notes = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    } else {
        case.why = match trial.judgement {
            Judgement::Unnoticed => "the fault showed, and no scenario reports it under its requirement".to_owned(),
            Judgement::Unreached => "the fault was never met by any scenario".to_owned(),
            Judgement::Accused => "a server that does nothing wrong was found to do wrong, or could not be tested".to_owned(),
            _ => "the trial itself went wrong".to_owned(),
        };
        case.details = lines.iter().map(|line| format!("{line}\n")).collect();
    }
    case
}
