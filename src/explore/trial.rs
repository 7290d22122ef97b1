//! One trace played once and held against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::RwLock;

use super::action::{Observed, Trace};
use super::compile::{Compiled, compile, compile_patiently};
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
    halt: Arc<AtomicBool>,
    /// Held by all who play, and by nobody else where somebody plays alone; shared by the clones.
    stage: Arc<RwLock<()>>,
    is_alone: bool,
}

/// How many packets of a trace may come later than the fences say, before it is said of one that it is missing.
const LATE: usize = 16;

/// What came of a trace.
#[derive(Clone, Debug)]
pub struct Trial {
    pub history: History,
    pub finding: Option<Finding>,
    /// Whether the finding is about packets of another trace, so that this one alone doesn't show it.
    pub takes_others: bool,
    pub reached: BTreeSet<&'static str>,
    pub exercised: BTreeMap<RequirementId, u64>,
    /// How many actions were played.
    pub actions: usize,
}

impl Trial {
    /// Whether it shows a violation of this requirement.
    pub fn shows(&self, requirement: &RequirementId) -> bool {
        !self.takes_others && self.finding.as_ref().is_some_and(|finding| finding.requirement == *requirement)
    }
}

impl Player {
    pub fn new(session: Session, protocol: Arc<Protocol>) -> Self {
        Self { session, protocol, halt: Arc::default(), stage: Arc::default(), is_alone: false }
    }

    /// One that plays while no other does: what shows then doesn't hang on what others do at the same time.
    pub fn alone(&self) -> Self {
        Self { is_alone: true, ..self.clone() }
    }

    /// Lets whoever plays one trace after another come to an end.
    pub fn halt(&self) {
        self.halt.store(true, Ordering::Relaxed);
    }

    pub fn is_halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }

    /// Plays a trace on fresh names, and holds what it brings against the model.
    ///
    /// # Errors
    /// A trace of which no scenario can be made.
    pub async fn try_out(&self, trace: &Trace) -> Result<Trial, Unreadable> {
        self.try_compiled(trace, &compile(trace)).await
    }

    /// The same, unless the finding is of another requirement and only that something at the very end is missing: then it may be late,
    /// and what is wrong shows once it is there.
    ///
    /// # Errors
    /// A trace of which no scenario can be made.
    pub async fn try_for(&self, trace: &Trace, requirement: &RequirementId) -> Result<Option<Trial>, Unreadable> {
        let trial = self.try_out(trace).await?;
        if trial.shows(requirement) {
            return Ok(Some(trial));
        }
        let Some(finding) = trial.finding.filter(|finding| finding.round + 1 == trace.rounds.len() && !finding.missing.is_empty()) else {
            return Ok(None);
        };
        let trial = self.try_compiled(trace, &compile_patiently(trace, &finding.missing)).await?;
        Ok(Some(trial).filter(|trial| trial.shows(requirement)))
    }

    async fn try_compiled(&self, trace: &Trace, compiled: &Compiled) -> Result<Trial, Unreadable> {
        let (_, played) = self.play(compiled, Some(Fence::of(trace))).await?;
        let mut history = observe(trace, &played, &compiled.ends, &compiled.table, self.session.nonce());
        let (mut finding, model) = self.judge(trace, &mut history.rounds);
        let takes_others = finding.is_none() && history.crowded.is_some();
        if let Some(crowded) = history.crowded.as_mut().filter(|_| finding.is_none()) {
            finding = self.judge(trace, crowded).0;
        }
        // A server that has died or hangs seems to break one requirement after another, and breaks none of them.
        if history.gone || finding.is_some() {
            let absences = self.session.absences_now().await;
            history.gone = !absences.is_empty();
            if history.gone {
                history.cut = Some(format!("nobody answers any more at {}", absences.join(" and at ")));
                finding = None;
                self.halt();
            }
        }
        let actions = trace.rounds.iter().take(history.rounds.len()).map(Vec::len).sum();
        Ok(Trial { history, finding, takes_others, reached: model.reached().clone(), exercised: model.exercised().clone(), actions })
    }

    /// Holds what a trace brought against the model.
    fn judge(&self, trace: &Trace, rounds: &mut [Observed]) -> (Option<Finding>, Model) {
        let mut late = 0;
        loop {
            let mut model = Model::new(self.session.findings(), trace);
            let finding = judge(&mut model, trace, rounds);
            // The document doesn't say that an error comes behind the messages before it, as a fence takes it to.
            if let Some(finding) = &finding
                && late < LATE
                && settle(rounds, finding)
            {
                late += 1;
                continue;
            }
            // Where hypotheses had to be given up, the one that explains it all may have been among them.
            return (finding.filter(|_| !model.is_capped()), model);
        }
    }

    /// Plays a compiled trace, if possible with this fence.
    ///
    /// # Errors
    /// A text that is no scenario.
    pub async fn play(&self, compiled: &Compiled, fence: Option<Fence>) -> Result<(Scenario, Played), Unreadable> {
        let scenario =
            self.protocol.generated(compiled.source(), "regressions").map_err(|wrong| Unreadable::new(&wrong, &compiled.text))?;
        let mut played = if self.is_alone {
            let _alone = self.stage.write().await;
            self.session.play(&scenario, fence.map(Fence::id)).await
        } else {
            let _among_others = self.stage.read().await;
            self.session.play(&scenario, fence.map(Fence::id)).await
        };
        fence::mark(&mut played.events);
        Ok((scenario, played))
    }
}

/// Holds what each round brought against the model, up to the first finding.
pub fn judge(model: &mut Model, trace: &Trace, rounds: &[Observed]) -> Option<Finding> {
    trace.rounds.iter().zip(rounds).find_map(|(round, observed)| model.observe(round, observed).err())
}

/// Puts the packets that a finding misses, and that came in a later round, where they belong; whether there were any.
fn settle(rounds: &mut [Observed], finding: &Finding) -> bool {
    let (before, after) = rounds.split_at_mut((finding.round + 1).min(rounds.len()));
    let Some(round) = before.last_mut() else {
        return false;
    };
    let mut is_settled = false;
    for (actor, pattern) in &finding.missing {
        let later = after.iter_mut().filter_map(|observed| observed.received.get_mut(*actor)).find_map(|received| {
            let at = received.iter().position(|packet| pattern.accepts(packet))?;
            Some(received.remove(at))
        });
        if let (Some(packet), Some(received)) = (later, round.received.get_mut(*actor)) {
            received.push(packet);
            is_settled = true;
        }
    }
    is_settled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::action::{Action, Answer, Name, Packet};
    use crate::reading::Findings;

    #[test]
    fn what_comes_after_its_fence_is_put_where_it_belongs() {
        let (room, user) = (Name::Room(0), Name::User(0));
        let trace = Trace {
            actors: 1,
            rooms: vec![Default::default()],
            users: vec![Default::default()],
            rounds: vec![
                vec![Action::Connect { actor: 0 }],
                vec![Action::Create { actor: 0, room: room.clone() }],
                vec![Action::Join { actor: 0, room: room.clone(), user: user.clone() }],
                vec![Action::List { actor: 0 }],
            ],
        };
        let told = Packet::User { user, room: room.clone(), activity: "create".into() };
        let answer = |res: &str| Answer { status: 200, res: Some(res.into()), ..Answer::default() };
        let listed = Answer { status: 200, rooms: Some(vec![(room, 1)]), ..Answer::default() };
        let brought = |answer: Option<Answer>, received: Vec<Packet>| Observed {
            answers: vec![answer],
            received: vec![received],
            ended: vec![false],
        };
        let mut rounds = vec![
            brought(None, vec![]),
            brought(Some(answer("chatroom create successfully")), vec![]),
            brought(None, vec![]),
            brought(Some(listed), vec![told.clone()]),
        ];
        let judged = |rounds: &[Observed]| judge(&mut Model::new(&Findings::default(), &trace), &trace, rounds);
        let finding = judged(&rounds).expect("nothing tells of the entering");
        assert!(settle(&mut rounds, &finding));
        assert_eq!(rounds[2].received[0], [told]);
        assert_eq!(judged(&rounds), None);
        rounds[2].received[0].clear();
        assert!(!settle(&mut rounds, &finding), "it never comes");
    }
}
