//! What a run of scenarios comes to, in a word and in figures.

use crate::event::Footer;
use crate::requirement::RequirementId;
use crate::verdict::{CountsAs, Outcome};

/// The word for an exit code.
pub fn word(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "CONFORMS",
        1 => "DOES NOT CONFORM",
        3 => "INCONCLUSIVE",
        130 => "INTERRUPTED",
        _ => "CHATSPEC FAILED",
    }
}

/// How many requirements passed, and what became of the others.
pub fn counts(footer: &Footer) -> String {
    let passed = footer.requirements.values().filter(|outcome| **outcome == Outcome::Pass).count();
    let count = |what: CountsAs| footer.counts.values().filter(|counts| **counts == what).count();
    let is_untested = |id: &RequirementId| footer.counts.get(id) != Some(&CountsAs::Known);
    let untested = footer.requirements.iter().filter(|(id, outcome)| **outcome == Outcome::CouldNotTest && is_untested(id)).count();
    let mut parts = vec![format!("{passed} of {} requirements pass", footer.requirements.len())];
    let mut part = |number: usize, text: &str| {
        if number > 0 {
            parts.push(format!("{number} {text}"));
        }
    };
    part(count(CountsAs::Failure), "violated");
    part(count(CountsAs::Warning), if count(CountsAs::Warning) == 1 { "warning" } else { "warnings" });
    part(count(CountsAs::Known), "known to fail");
    part(footer.known.iter().filter(|known| known.state.is_wrong()).count(), "wrong in the list of known failures");
    part(untested, "could not be tested");
    parts.join(", ")
}
