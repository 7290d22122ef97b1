//! Selectors: which scenarios a user means.

use globset::{GlobBuilder, GlobMatcher};

use super::protocol::Protocol;
use super::source::nearest;
use super::step::Scenario;
use crate::requirement::RequirementId;

/// A selector that means nothing here.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    #[error("`{selector}` matches no scenario, requirement, area or level{}", nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    Nothing { selector: String, nearest: Option<String> },
    #[error("`{selector}` is no glob: {message}")]
    Glob { selector: String, message: String },
    #[error("`--skip` leaves nothing of what `--only` selects")]
    AllSkipped,
}

/// The scenarios that `only` selects (all, if it is empty) and `skip` doesn't, by their place in the protocol.
///
/// # Errors
/// A selector that matches nothing, or a selection of nothing.
pub fn select(protocol: &Protocol, only: &[String], skip: &[String]) -> Result<Vec<usize>, SelectError> {
    let only = matching(protocol, only)?;
    let skip = matching(protocol, skip)?;
    let selected: Vec<usize> = (0..protocol.scenarios.len())
        .filter(|index| only.is_empty() || only.iter().any(|set| set.contains(index)))
        .filter(|index| !skip.iter().any(|set| set.contains(index)))
        .collect();
    if selected.is_empty() { Err(SelectError::AllSkipped) } else { Ok(selected) }
}

fn matching(protocol: &Protocol, selectors: &[String]) -> Result<Vec<Vec<usize>>, SelectError> {
    selectors
        .iter()
        .map(|selector| {
            let selecting = Selector::new(selector)?;
            let found: Vec<usize> =
                (0..protocol.scenarios.len()).filter(|index| selecting.matches(protocol, &protocol.scenarios[*index])).collect();
            if found.is_empty() {
                return Err(SelectError::Nothing { selector: selector.clone(), nearest: suggestion(protocol, selector) });
            }
            Ok(found)
        })
        .collect()
}

/// A name or a glob, in which upper and lower case are the same.
#[derive(Clone, Debug)]
pub struct Selector {
    text: String,
    glob: Option<GlobMatcher>,
}

impl Selector {
    /// # Errors
    /// A glob that is none.
    pub fn new(text: &str) -> Result<Self, SelectError> {
        let glob = text.contains(['*', '?', '[', '{']).then(|| GlobBuilder::new(text).case_insensitive(true).build());
        match glob.transpose() {
            Ok(glob) => Ok(Self { text: text.to_owned(), glob: glob.map(|glob| glob.compile_matcher()) }),
            Err(error) => Err(SelectError::Glob { selector: text.to_owned(), message: error.to_string() }),
        }
    }

    pub fn fits(&self, name: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(name),
            None => name.eq_ignore_ascii_case(&self.text),
        }
    }

    fn matches(&self, protocol: &Protocol, scenario: &Scenario) -> bool {
        let base = scenario.id.split('/').next().unwrap_or_default();
        let proves = scenario.proves();
        let levels = proves.iter().map(|id| protocol.declarations.registry.level(id).to_string());
        self.fits(&scenario.id)
            || self.fits(base)
            || self.fits(&scenario.area)
            || proves.iter().any(|id| self.fits(id.as_str()))
            || levels.into_iter().any(|level| self.fits(&level))
    }
}

fn suggestion(protocol: &Protocol, selector: &str) -> Option<String> {
    let scenarios = protocol.scenarios.iter().flat_map(|scenario| [scenario.id.as_str(), scenario.area.as_str()]);
    let bases = protocol.scenarios.iter().filter_map(|scenario| scenario.id.split('/').next());
    let requirements = protocol.declarations.registry.requirements.keys().map(RequirementId::as_str);
    let levels = ["MUST", "SHOULD", "ROBUST", "INFO"];
    // A requirement that no scenario proves is named rightly; suggesting it would be no help.
    nearest(selector, requirements.chain(bases).chain(scenarios).chain(levels)).filter(|name| *name != selector).map(str::to_owned)
}
