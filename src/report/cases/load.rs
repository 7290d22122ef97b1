//! The cases of a load: each threshold, the ledger, and whether the generator can be believed.

use super::{Case, State};
use crate::event::{Log, Trust};
use crate::ledger::{Account, Witness, Wrong};
use crate::report::figures::{count, plural, seconds};
use crate::report::load::{meaning, said, trusted, word};
use crate::report::transcript::printable;

/// The cases, the verdict in a word, and in a sentence.
pub fn cases(log: &Log) -> (Vec<Case>, String, String) {
    let code = log.footer.exit_code;
    let Some((planned, measured)) = log.load() else {
        return (Vec::new(), word(code, None).to_uppercase(), "nothing was measured to the end".to_owned());
    };
    let verdict = word(code, Some(measured.health.trust)).to_uppercase();
    let profile = printable(&planned.profile);
    let mut cases = Vec::new();
    for threshold in &measured.thresholds {
        // Of a run that nobody can believe, a threshold says nothing.
        let state = match (threshold.holds, code) {
            (true, _) => State::Passed,
            (false, 0 | 1) => State::Failed,
            (false, _) => State::Untested,
        };
        let mut case = Case::new("thresholds", &threshold.threshold, &profile, state);
        let measured = threshold.measured.as_deref().map_or("no sample".to_owned(), printable);
        if !threshold.holds {
            let aborted = if threshold.aborted { "; it ended the run before its time" } else { "" };
            case.why = format!("{} doesn't hold: {measured}{aborted}", printable(&threshold.threshold));
            case.details = format!("{}\n", case.why);
        }
        (case.expected, case.actual) = (printable(&threshold.threshold), measured);
        cases.push(case);
    }
    let mut ledger = ledger(&measured.ledger, &profile);
    // The witnesses belong to a threshold that fails for what they saw.
    let asked = |wrong: &Wrong| cases.iter().any(|case| case.state == State::Failed && case.id.contains(wrong.name()));
    if Wrong::ALL.iter().any(|wrong| measured.ledger.count(*wrong) > 0 && asked(wrong)) {
        ledger.state = State::Failed;
    }
    cases.push(ledger);
    let mut generator = Case::new("generator", "generator", "What was measured is the target's", State::Passed);
    generator.notes = measured.health.reasons.iter().map(|reason| printable(reason)).collect();
    match measured.health.trust {
        Trust::Trusted => {}
        Trust::Degraded => {
            generator.state = State::Warned;
            generator.why = "the figures hold some of the generator's own delay".to_owned();
        }
        Trust::Invalid => {
            generator.state = if code == 0 { State::Warned } else { State::Error };
            generator.why = trusted(measured);
        }
    }
    if generator.state != State::Passed {
        generator.details = format!("{}\n", generator.notes.join("\n"));
    }
    generator.took_ms = log.footer.at_ms;
    cases.push(generator);
    (cases, verdict, said(measured).join("; "))
}

/// Deliveries that went wrong fail a load by its thresholds; where none asks for them, they are a warning.
fn ledger(account: &Account, profile: &str) -> Case {
    let mut case = Case::new("ledger", "ledger", &format!("{profile}: every delivery happens once, in order and unaltered"), State::Passed);
    if account.is_clean() {
        case.notes.push(format!("{} of {} arrived", count(account.delivered), plural(account.due, "delivery", "deliveries")));
        return case;
    }
    let wrongs = || Wrong::ALL.into_iter().filter(|wrong| account.count(*wrong) > 0);
    case.state = State::Warned;
    let counts: Vec<String> = wrongs().map(|wrong| format!("{} {wrong}", count(account.count(wrong)))).collect();
    case.why = format!("of {}, {}", plural(account.due, "delivery", "deliveries"), counts.join(", "));
    for wrong in wrongs() {
        case.details.push_str(&format!("{} {wrong}: {}\n", count(account.count(wrong)), meaning(wrong)));
        for Witness { at_ms, room, sender, number, member, note, .. } in account.witnesses.iter().filter(|witness| witness.wrong == wrong) {
            let (room, sender, member) = (printable(room), printable(sender), printable(member));
            let note = if note.is_empty() { String::new() } else { format!(" ({})", printable(note)) };
            let at = seconds(*at_ms);
            case.details.push_str(&format!("  at {at}, room {room}: message {number} of {sender}, for {member}{note}\n"));
        }
    }
    case
}
