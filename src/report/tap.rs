//! The Test Anything Protocol, version 14: a line for each case, with what is to say of it as YAML below.

use std::fmt::Write as _;

use super::cases::{Case, Cases, RUN, State};
use crate::event::Log;

/// The whole stream.
pub fn tap(log: &Log) -> String {
    let cases = Cases::of(log);
    // The bail-out says what the case of an interrupted run would.
    let shown: Vec<&Case> = cases.cases.iter().filter(|case| cases.broken_off.is_none() || case.area != RUN).collect();
    let mut text = String::from("TAP version 14\n");
    match shown.len() {
        0 => text.push_str("1..0 # SKIP nothing was played\n"),
        count => {
            let _ = writeln!(text, "1..{count}");
        }
    }
    for (name, value) in &cases.properties {
        let _ = writeln!(text, "# {name}: {value}");
    }
    for (index, case) in shown.iter().enumerate() {
        point(&mut text, index + 1, case);
    }
    match &cases.broken_off {
        Some(why) => {
            let _ = writeln!(text, "Bail out! {why}");
        }
        None => {
            let _ = writeln!(text, "# {}: {}", cases.word, cases.sentence);
        }
    }
    text
}

fn point(text: &mut String, number: usize, case: &Case) {
    let (ok, directive) = match case.state {
        State::Passed | State::Warned | State::Noted => ("ok", String::new()),
        State::Skipped | State::Untested => ("ok", format!(" # SKIP {}", escaped(&case.why))),
        State::Known => ("not ok", format!(" # TODO known failure: {}", escaped(&case.why))),
        State::Failed | State::Error => ("not ok", String::new()),
    };
    let _ = writeln!(text, "{ok} {number} - {}{directive}", escaped(&format!("{} / {}", case.area, case.name())));
    let fields = fields(case);
    if fields.is_empty() {
        return;
    }
    text.push_str("  ---\n");
    for (name, value) in fields {
        let _ = writeln!(text, "  {name}: {}", serde_json::Value::from(value));
    }
    if !case.notes.is_empty() {
        text.push_str("  notes:\n");
        for note in &case.notes {
            let _ = writeln!(text, "    - {}", serde_json::Value::from(note.as_str()));
        }
    }
    if !case.details.is_empty() {
        // The number says how far the block is indented, since its first line may begin with spaces of its own.
        text.push_str("  details: |2\n");
        for line in case.details.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    let _ = writeln!(text, "  duration_ms: {:.3}", case.took_ms.max(0.0));
    text.push_str("  ...\n");
}

/// What a reader of YAML gets, a text each; nothing of a case that simply passed.
fn fields(case: &Case) -> Vec<(&'static str, String)> {
    let severity = match case.state {
        State::Passed if case.notes.is_empty() => return Vec::new(),
        State::Passed | State::Noted => "comment",
        State::Warned => "warning",
        State::Known => "todo",
        State::Skipped | State::Untested => "skip",
        State::Failed => "fail",
        State::Error => "error",
    };
    let mut fields = vec![("message", case.why.clone()), ("severity", severity.to_owned())];
    if let Some((id, level)) = &case.broken {
        fields.extend([("requirement", id.to_string()), ("level", level.to_string())]);
    }
    if let Some(place) = case.step.as_ref().or(case.place.as_ref()) {
        fields.push(("at", format!("{}:{}:{}", place.file, place.line, place.column)));
    }
    fields.extend([("expected", case.expected.clone()), ("actual", case.actual.clone())]);
    fields.retain(|(_, value)| !value.is_empty());
    fields
}

/// A description in which no character begins a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}
