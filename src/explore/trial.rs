//! One trace played once and held against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::action::Trace;
use super::compile::{Compiled, compile};
use super::fence::{self, Fence};
use super::model::{Finding, Model};
use super::observe::{History, observe};
use crate::conformance::session::{Played, Session};
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::source::Diagnostic;
use crate::scenario::step::Scenario;

/// A scenario that this program has made and can't read itself.
#[derive(Debug, thiserror::Error)]
#[error("a generated scenario is wrong, which is a fault of chatspec: {message}\n{text}")]
pub struct Unreadable {
    pub message: String,
    pub text: String,
}

impl Unreadable {
    pub fn new(wrong: &[Diagnostic], text: &str) -> Self {
        let message = wrong.iter().map(|diagnostic| format!("{}: {}", diagnostic.span, diagnostic.message)).collect::<Vec<_>>().join("; ");
        Self { message, text: text.to_owned() }
    }
}

/// Plays traces; cheap to clone.
#[derive(Clone, Debug)]
pub struct Player {
    pub session: Session,
    pub protocol: Arc<Protocol>,
    /// Whether whoever plays one trace after another should come to an end; shared by the clones.
    pub halt: Arc<AtomicBool>,
}

/// What came of a trace.
#[derive(Clone, Debug)]
pub struct Trial {
    pub history: History,
    pub finding: Option<Finding>,
    pub reached: BTreeSet<&'static str>,
    pub exercised: BTreeMap<RequirementId, u64>,
    /// How many actions were played.
    pub actions: usize,
}

impl Trial {
    /// Whether it shows a violation of this requirement.
    pub fn shows(&self, requirement: &RequirementId) -> bool {
        self.finding.as_ref().is_some_and(|finding| finding.requirement == *requirement)
    }
}

impl Player {
    pub fn is_halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }

    /// Plays a trace on fresh names, and holds what it brings against the model.
    ///
    /// # Errors
    /// A trace of which no scenario can be made.
    pub async fn try_out(&self, trace: &Trace) -> Result<Trial, Unreadable> {
        let compiled = compile(trace);
        let (_, played) = self.play(&compiled, Some(Fence::of(trace))).await?;
        let mut history = observe(trace, &played, &compiled.ends, &compiled.table);
        let mut model = Model::new(self.session.findings(), trace);
        // Where hypotheses had to be given up, the one that explains it all may have been among them.
        let mut finding = judge(&mut model, trace, &history).filter(|_| !model.is_capped());
        // What nobody answers any more says nothing of what would have been answered.
        if history.gone || finding.as_ref().is_some_and(|finding| history.is_silent(finding.round)) {
            let absences = self.session.absences_now().await;
            history.gone = !absences.is_empty();
            if history.gone {
                history.cut = Some(format!("nobody answers any more at {}", absences.join(" and at ")));
                finding = None;
                self.halt.store(true, Ordering::Relaxed);
            }
        }
        let actions = trace.rounds.iter().take(history.rounds.len()).map(Vec::len).sum();
        Ok(Trial { history, finding, reached: model.reached().clone(), exercised: model.exercised().clone(), actions })
    }

    /// Plays a compiled trace, if possible with this fence.
    ///
    /// # Errors
    /// A text that is no scenario.
    pub async fn play(&self, compiled: &Compiled, fence: Option<Fence>) -> Result<(Scenario, Played), Unreadable> {
        let scenario =
            self.protocol.generated(compiled.source(), "regressions").map_err(|wrong| Unreadable::new(&wrong, &compiled.text))?;
        let mut played = self.session.play(&scenario, fence.map(Fence::id)).await;
        fence::mark(&mut played.events);
        Ok((scenario, played))
    }
}

/// Holds a history against the model, round by round, up to the first finding.
pub fn judge(model: &mut Model, trace: &Trace, history: &History) -> Option<Finding> {
    trace.rounds.iter().zip(&history.rounds).find_map(|(round, observed)| model.observe(round, observed).err())
}
