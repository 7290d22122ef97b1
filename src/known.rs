//! Known failures: what a server's author knows to be wrong, and doesn't want to be told as news each time.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::requirement::RequirementId;
use crate::scenario::decode::decode;
use crate::scenario::protocol::Protocol;
use crate::scenario::select::Selector;
use crate::scenario::source::{Diagnostic, Diagnostics, Source, Span};
use crate::scenario::yaml::{Spanned, parse};

/// `expected.yaml`: failures that don't count, each with its reason.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpectedFile {
    pub known_failures: Vec<KnownShape>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KnownShape {
    /// A requirement, a scenario, or a glob of either.
    pub what: Spanned<String>,
    /// Why it fails and is left so.
    pub reason: Spanned<String>,
    /// Where the work on it is followed.
    #[serde(default)]
    pub link: Option<String>,
    /// The last day on which it may fail, as `2027-01-31`.
    #[serde(default)]
    pub until: Option<Spanned<String>>,
}

/// One entry of the file.
#[derive(Clone, Debug)]
pub struct Known {
    pub what: String,
    pub reason: String,
    pub link: Option<String>,
    /// A date in the form of RFC 3339, which sorts as text.
    pub until: Option<String>,
    pub span: Span,
    /// Whether the suite has anything that it speaks of.
    pub matched: bool,
    selector: Selector,
}

impl Known {
    /// Whether it speaks of what this scenario says of this requirement.
    pub fn covers(&self, scenario: &str, requirement: &RequirementId) -> bool {
        let base = scenario.split('/').next().unwrap_or(scenario);
        self.selector.fits(requirement.as_str()) || self.selector.fits(scenario) || self.selector.fits(base)
    }

    pub fn is_expired(&self, today: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until < today)
    }
}

/// All known failures of a server.
#[derive(Clone, Debug, Default)]
pub struct KnownFailures {
    pub entries: Vec<Known>,
    /// Today, as `2027-01-31`.
    pub today: String,
}

/// All that is wrong with a file of known failures.
#[derive(Debug, thiserror::Error)]
#[error("{} error(s) in the file of known failures", .0.len())]
pub struct KnownError(pub Vec<Diagnostic>);

impl KnownFailures {
    /// Reads the text of the file, for a run of this suite on the day `today`.
    ///
    /// # Errors
    /// All that is wrong with the text.
    pub fn parse(source: &Arc<Source>, protocol: &Protocol, today: &str) -> Result<Self, KnownError> {
        let diagnostics = Diagnostics::default();
        let file = match parse(source) {
            Ok(node) => decode::<ExpectedFile>(&node, &diagnostics),
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                None
            }
        };
        let mut entries = Vec::new();
        for shape in file.map(|file| file.known_failures).unwrap_or_default() {
            if shape.reason.value.trim().is_empty() {
                diagnostics.error(&shape.reason.span, "a known failure needs its reason");
            }
            if let Some(until) = shape.until.as_ref().filter(|until| !is_date(&until.value)) {
                let help = "a date looks like 2027-01-31";
                diagnostics.push(Diagnostic::new(&until.span, format!("`{}` is no date", until.value)).help(help));
            }
            match Selector::new(&shape.what.value) {
                Ok(selector) => {
                    let mut known = Known {
                        what: shape.what.value,
                        reason: shape.reason.value,
                        link: shape.link,
                        until: shape.until.map(|until| until.value),
                        span: shape.what.span,
                        matched: false,
                        selector,
                    };
                    known.matched =
                        protocol.scenarios.iter().any(|scenario| scenario.proves().iter().any(|id| known.covers(&scenario.id, id)));
                    entries.push(known);
                }
                Err(error) => diagnostics.error(&shape.what.span, error.to_string()),
            }
        }
        let wrong = diagnostics.into_sorted();
        if wrong.is_empty() { Ok(Self { entries, today: today.to_owned() }) } else { Err(KnownError(wrong)) }
    }

    /// The entries that may excuse a failure today and speak of this one.
    pub fn excuse(&self, scenario: &str, requirement: &RequirementId) -> bool {
        self.entries.iter().any(|known| !known.is_expired(&self.today) && known.covers(scenario, requirement))
    }
}

fn is_date(text: &str) -> bool {
    text.len() == "2027-01-31".len() && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok()
}

/// The file's text without some entries, and with others at its end. Everything else stays as it was written.
pub fn rewrite(source: &Source, entries: &[Known], dropped: &[bool], added: &[(String, String)]) -> String {
    let text = &source.text;
    // An entry goes from its dash to the next entry's, or to the end of the list's last line.
    let starts: Vec<usize> = entries.iter().map(|known| text[..known.span.start].rfind('-').unwrap_or(known.span.start)).collect();
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let mut rewritten = String::new();
    let mut at = 0;
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(text.len(), |next| line_start(*next));
        if dropped.get(index) == Some(&true) {
            rewritten.push_str(&text[at..line_start(*start)]);
            at = end;
        }
    }
    rewritten.push_str(&text[at..]);
    if entries.len() == dropped.iter().filter(|dropped| **dropped).count() && !added.is_empty() {
        rewritten = rewritten.replace("known-failures: []", "known-failures:");
    }
    if !rewritten.is_empty() && !rewritten.ends_with('\n') {
        rewritten.push('\n');
    }
    for (what, reason) in added {
        rewritten.push_str(&format!("  - what: {}\n    reason: {}\n", quoted(what), quoted(reason)));
    }
    if entries.len() + added.len() == dropped.iter().filter(|dropped| **dropped).count() {
        rewritten = rewritten.replace("known-failures:\n", "known-failures: []\n");
    }
    rewritten
}

/// The text of a new file.
pub const NEW_FILE: &str =
    "# What fails and is known to. A failure that isn't here counts; so does an entry that passes.\nknown-failures: []\n";

fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./ ".contains(c)) && !text.starts_with(['-', ' ', '.']);
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
