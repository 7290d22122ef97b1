//! What a reader of a scoreboard must know before comparing its columns.

use maud::{Markup, html};

use super::board::Column;
use super::text::{count, visible};

pub fn warnings(columns: &[Column<'_>]) -> Markup {
    let warnings = all(columns);
    html! {
        @if !warnings.is_empty() {
            section.panel.caveats { @for warning in &warnings { p.warning { (visible(warning)) } } }
        }
    }
}

fn all(columns: &[Column<'_>]) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some((first, others)) = columns.split_first() else {
        return warnings;
    };
    let reference = first.checked.header;
    for other in others {
        let header = other.checked.header;
        let (name, known) = (&other.name, &first.name);
        if header.protocol != reference.protocol {
            warnings.push(format!(
                "{name} was checked against the protocol {}, {known} against {}: requirements of one name need not say the same.",
                header.protocol, reference.protocol
            ));
        } else if header.suite != reference.suite {
            let versions = if header.version == reference.version {
                String::new()
            } else {
                format!(" (by chatspec {}, not {})", header.version, reference.version)
            };
            warnings.push(format!(
                "{name} was checked with another suite than {known}{versions}: a requirement may be proved by other scenarios."
            ));
        } else if missing(other, first) > 0 || missing(first, other) > 0 {
            warnings.push(format!(
                "{name} and {known} weren't checked for the same: {} of {known} had no part in the run of {name}, {} the other way round.",
                count(missing(first, other), "requirement"),
                missing(other, first)
            ));
        }
        if header.strict != reference.strict {
            let (strict, lenient) = if header.strict { (name, known) } else { (known, name) };
            warnings.push(format!("{strict} was checked with --strict and {lenient} without: a SHOULD that fails is a violation for one and a warning for the other."));
        }
    }
    for column in columns {
        let footer = column.checked.footer;
        if footer.interrupted {
            warnings.push(format!("The run of {} was interrupted: what it says is what it had found out by then.", column.name));
        }
        warnings.extend(footer.notes.iter().map(|note| format!("{}: {note}", column.name)));
    }
    warnings
}

/// How many of the requirements that `one` says something of the other says nothing of.
fn missing(one: &Column<'_>, other: &Column<'_>) -> usize {
    one.checked.footer.requirements.keys().filter(|id| other.outcome(id).is_none()).count()
}
