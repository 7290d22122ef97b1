//! The file of known failures that `check` reads and, on request, writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::suite::all_shown;
use super::{Ended, Usage};
use crate::known::{KnownError, KnownFailures, NEW_FILE, rewrite};
use crate::matrix::scenario_of;
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::source::Source;
use crate::verdict::{Conclusion, KnownState, Outcome, Verdicts};

/// What a new entry gives as its reason, until its author does.
const NO_REASON_YET: &str = "say why";

pub struct Expected {
    path: PathBuf,
    source: Arc<Source>,
    pub known: KnownFailures,
}

impl Expected {
    /// Reads the file. One that doesn't exist is empty, if it `may_be_new`.
    pub fn open(path: &Path, protocol: &Protocol, may_be_new: bool) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if may_be_new && error.kind() == std::io::ErrorKind::NotFound => NEW_FILE.to_owned(),
            Err(error) => return Err(Usage(format!("--expected: {} can't be read: {error}", path.display())).into()),
        };
        let source = Arc::new(Source { name: path.display().to_string(), text });
        let known = KnownFailures::parse(&source, protocol, &today())
            .map_err(|error: KnownError| Usage(all_shown(&error.to_string(), &error.0)))?;
        Ok(Self { path: path.to_owned(), source, known })
    }

    /// Writes what fails, and takes out what passes or means nothing.
    pub fn update(&self, verdicts: &Verdicts) -> Ended {
        let dropped: Vec<bool> =
            verdicts.known.iter().map(|known| matches!(known.state, KnownState::Passes | KnownState::Unmatched)).collect();
        let added: Vec<(String, String)> = self.news(verdicts).into_iter().map(|what| (what, NO_REASON_YET.to_owned())).collect();
        let text = rewrite(&self.source, &self.known.entries, &dropped, &added);
        std::fs::write(&self.path, text).with_context(|| format!("{} can't be written", self.path.display()))?;
        let gone = dropped.iter().filter(|dropped| **dropped).count();
        anstream::eprintln!("{}: {} known failures added, {gone} taken out", self.path.display(), added.len());
        Ok(match verdicts.conclusion {
            Conclusion::Violated => Conclusion::Conforms.exit_code(),
            other => other.exit_code(),
        })
    }

    /// The failures that no entry speaks of: a requirement where all that was played of it fails, a scenario where all of
    /// its cases do, else the cases.
    fn news(&self, verdicts: &Verdicts) -> Vec<String> {
        let mut by_requirement: BTreeMap<&RequirementId, Vec<(&str, Outcome)>> = BTreeMap::new();
        for (scenario, requirement, outcome) in &verdicts.proofs {
            by_requirement.entry(requirement).or_default().push((scenario, *outcome));
        }
        let mut news: Vec<String> = Vec::new();
        for (requirement, proofs) in by_requirement {
            let fails = |outcome: Outcome| matches!(outcome, Outcome::Fail | Outcome::Flaky);
            let all_fail = |base: Option<&str>| {
                let mut of_it = proofs.iter().filter(|(scenario, _)| base.is_none_or(|base| scenario_of(scenario) == base));
                of_it.all(|(_, outcome)| fails(*outcome))
            };
            for (scenario, _) in proofs.iter().filter(|(scenario, outcome)| fails(*outcome) && !self.known.excuse(scenario, requirement)) {
                let what = match scenario_of(scenario) {
                    _ if all_fail(None) => requirement.as_str(),
                    base if all_fail(Some(base)) => base,
                    _ => scenario,
                };
                if !news.iter().any(|known| known == what) {
                    news.push(what.to_owned());
                }
            }
        }
        news
    }
}

/// The date, in UTC.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}
