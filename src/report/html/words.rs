//! Words and signs for what came of something: never a colour alone.

use maud::{Markup, html};

use crate::event::Footer;
use crate::requirement::{Level, RequirementId};
use crate::verdict::{CountsAs, Outcome, ScenarioVerdict};

/// An outcome as a sign; the same as on a terminal.
pub fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::Error => "!",
        Outcome::CouldNotTest => "?",
        Outcome::Skipped => "–",
        Outcome::Flaky => "~",
    }
}

pub fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Error => "error",
        Outcome::CouldNotTest => "could not test",
        Outcome::Skipped => "skipped",
        Outcome::Flaky => "flaky",
    }
}

/// The class by which an outcome is coloured, in the light of what it counts as: a failure that is listed as known is no alarm.
pub fn tone(outcome: Outcome, counts: CountsAs) -> &'static str {
    match (outcome, counts) {
        (Outcome::Error, _) | (Outcome::Fail | Outcome::Flaky, CountsAs::Failure) => "fail",
        (Outcome::Fail | Outcome::Flaky, CountsAs::Known | CountsAs::Note) => "note",
        (Outcome::Fail | Outcome::Flaky, _) | (Outcome::CouldNotTest, _) => "warn",
        (Outcome::Pass, _) => "pass",
        (Outcome::Skipped, _) => "skip",
    }
}

/// Sign and word of an outcome.
pub fn mark(outcome: Outcome, tone: &str) -> Markup {
    html! { span.mark.(tone) { span.sign aria-hidden="true" { (sign(outcome)) } " " (word(outcome)) } }
}

/// What an outcome counts as, in a word; `None` where it counts as nothing.
pub fn counts(counts: CountsAs) -> Option<&'static str> {
    match counts {
        CountsAs::Failure => Some("violation"),
        CountsAs::Warning => Some("warning"),
        CountsAs::Known => Some("known"),
        CountsAs::Note => Some("note"),
        CountsAs::Inconclusive => Some("inconclusive"),
        CountsAs::Nothing => None,
    }
}

/// What it means that an outcome counts as that.
pub fn counts_meaning(counts: CountsAs, level: Level) -> String {
    match counts {
        CountsAs::Failure => format!("counts as a violation: {level} binds in this run"),
        CountsAs::Warning => format!("counts as a warning: {level} binds with --strict only"),
        CountsAs::Known => "counts as known: it is on the list of known failures".into(),
        CountsAs::Note => "counts as a note: it is worth knowing, and never wrong".into(),
        CountsAs::Inconclusive => format!("leaves the run inconclusive: a {level} must be known"),
        CountsAs::Nothing => "counts as nothing".into(),
    }
}

/// What a filter may look for in a requirement.
pub fn status(outcome: Outcome, counts: CountsAs) -> Vec<&'static str> {
    let mut status = Vec::new();
    match outcome {
        Outcome::Pass => status.push("passed"),
        Outcome::Skipped => status.push("skipped"),
        Outcome::CouldNotTest => status.push("untested"),
        Outcome::Flaky => status.push("flaky"),
        Outcome::Fail | Outcome::Error => {}
    }
    match counts {
        CountsAs::Failure => status.push("failed"),
        CountsAs::Warning => status.push("warned"),
        CountsAs::Known => status.push("known"),
        CountsAs::Note if matches!(outcome, Outcome::Fail | Outcome::Flaky) => status.push("noted"),
        CountsAs::Note | CountsAs::Inconclusive | CountsAs::Nothing => {}
    }
    status
}

/// What a run says as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Conclusion {
    pub sign: &'static str,
    pub word: &'static str,
    /// The class by which it is coloured.
    pub tone: &'static str,
    /// What its exit code means.
    pub meaning: &'static str,
}

impl Conclusion {
    pub fn of(footer: &Footer) -> Self {
        let new = |sign, word, tone, meaning| Self { sign, word, tone, meaning };
        match footer.exit_code {
            0 => new("✓", "Conforms", "pass", "no requirement that binds in this run is violated"),
            1 if !footer.counts.values().any(|counts| *counts == CountsAs::Failure) => {
                new("✗", "Does not conform", "fail", "the list of known failures is wrong")
            }
            1 => new("✗", "Does not conform", "fail", "a requirement that binds in this run is violated"),
            2 => new("!", "Wrong usage", "fail", "what the command was given can't be used"),
            3 => new("?", "Inconclusive", "warn", "nothing is known to be wrong, and not all is known that must be"),
            130 => new("!", "Interrupted", "warn", "the run was stopped before its end"),
            _ => new("!", "chatspec failed", "fail", "something went wrong in chatspec itself"),
        }
    }
}

/// Why something was skipped or could not be tested.
pub fn why(verdict: &ScenarioVerdict) -> String {
    match (&verdict.why, &verdict.failure) {
        (Some(why), _) => why.clone(),
        (None, Some(failure)) => failure.summary.clone(),
        (None, None) => String::new(),
    }
}

/// The requirements that stood in a scenario's way.
pub fn obstacles(verdict: &ScenarioVerdict) -> &[RequirementId] {
    match (&verdict.failure, verdict.blocked_by.is_empty()) {
        (Some(failure), true) if verdict.outcome == Outcome::CouldNotTest => &failure.requirements,
        _ => &verdict.blocked_by,
    }
}
