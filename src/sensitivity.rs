//! The engine that measures the suite: it plays all scenarios against servers of which it is known what is wrong with
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;

use crate::conformance::target::TargetSpec;
use crate::conformance::{self, Pins, Plan, Timing};
use crate::event::{Event, Given, millis};
use crate::known::KnownFailures;
use crate::matrix::{Judgement, Kind, Subject, Trial, judge};
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::step::{Scenario, Turn};
use crate::verdict::{Conclusion, Outcome};

/// A subject's server that listens.
pub trait Server {
    fn target(&self, subject: &Subject) -> TargetSpec;

    /// What is known of it beforehand.
    fn pins(&self, subject: &Subject) -> Pins;

    /// Ends it, and tells how often it has deviated.
    ///
    /// # Errors
    /// What went wrong with its process, such as an end before this.
    fn stop(self) -> impl Future<Output = Result<Option<u64>, String>> + Send;
}

/// Starts the servers of subjects, each on ports of its own.
pub trait Laboratory {
    type Server: Server + Send;

    /// # Errors
    /// Why it doesn't listen.
    fn start(&self, subject: &Subject) -> impl Future<Output = Result<Self::Server, String>> + Send;
}

/// How all trials are made.
#[derive(Debug)]
pub struct Setting {
    pub protocol: Arc<Protocol>,
    /// The scenarios to play, by their place in the protocol.
    pub selected: Vec<usize>,
    pub timing: Timing,
    /// How many subjects are tried at once.
    pub at_once: usize,
    pub seed: u64,
}

/// Tries all subjects. Each trial is told to `tell` as it ends, and all are returned in the order of the subjects, with whether
/// all came to their end: when `interrupt` comes, those that hadn't are given up, and their servers end.
pub async fn run(
    setting: &Setting,
    laboratory: &impl Laboratory,
    subjects: Vec<Subject>,
    interrupt: impl Future<Output = ()>,
    mut tell: impl FnMut(&Trial),
) -> (Vec<Trial>, bool) {
    tokio::pin!(interrupt);
    let trials = subjects.into_iter().enumerate().map(|(place, subject)| async move { (place, trial(setting, laboratory, subject).await) });
    let mut trying = futures_util::stream::iter(trials).buffer_unordered(setting.at_once.max(1));
    let mut done = Vec::new();
    let is_whole = loop {
        tokio::select! {
            tried = trying.next() => match tried {
                Some((place, trial)) => {
                    tell(&trial);
                    done.push((place, trial));
                }
                None => break true,
            },
            () = &mut interrupt => break false,
        }
    };
    done.sort_by_key(|(place, _)| *place);
    (done.into_iter().map(|(_, trial)| trial).collect(), is_whole)
}

async fn trial(setting: &Setting, laboratory: &impl Laboratory, subject: Subject) -> Trial {
    let began = Instant::now();
    let mut violated: BTreeMap<RequirementId, Vec<String>> = BTreeMap::new();
    let mut troubles = Vec::new();
    let (mut outcomes, mut conforms, mut fired) = (BTreeMap::new(), false, None);
    match laboratory.start(&subject).await {
        Err(why) => troubles.push(why),
        Ok(server) => {
            let plan = Plan {
                protocol: setting.protocol.clone(),
                selected: worth_playing(setting, &subject),
                target: server.target(&subject),
                timing: setting.timing.clone(),
                pins: server.pins(&subject),
                jobs: None,
                repeat: 1,
                seed: setting.seed,
                strict: true,
                known: KnownFailures::default(),
                transcripts: false,
                given: Given::default(),
                reproduce: String::new(),
            };
            let verdicts = conformance::run(&plan, std::future::pending(), |event| {
                let Event::ScenarioFinished(verdict) = event else {
                    return;
                };
                for (id, _) in verdict.requirements.iter().filter(|(_, outcome)| **outcome == Outcome::Fail) {
                    violated.entry(id.clone()).or_default().push(verdict.scenario.clone());
                }
                if verdict.outcome == Outcome::Error {
                    troubles.push(format!("{}: {}", verdict.scenario, verdict.why.as_deref().unwrap_or("chatspec itself failed")));
                }
            });
            match verdicts.await {
                Ok(verdicts) => {
                    conforms = verdicts.conclusion == Conclusion::Conforms;
                    outcomes = verdicts.requirements;
                }
                Err(error) => troubles.push(error.to_string()),
            }
            match server.stop().await {
                Ok(count) => fired = count,
                Err(why) => troubles.push(why),
            }
        }
    }
    violated.values_mut().for_each(|scenarios| scenarios.sort());
    let untested = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::CouldNotTest).map(|(id, _)| id.clone()).collect();
    let judgement = if troubles.is_empty() { judge(&subject, &outcomes, conforms, fired) } else { Judgement::Failed };
    Trial { subject, judgement, fired, violated, untested, troubles, took_ms: millis(began.elapsed()) }
}

/// All selected scenarios; but those that come after the rest, and so take long, only where they could report the fault.
fn worth_playing(setting: &Setting, subject: &Subject) -> Vec<usize> {
    let Kind::Fault { requirement, implies } = &subject.kind else {
        return setting.selected.clone();
    };
    let concerned = |id: &RequirementId| id == requirement || implies.contains(id);
    let worth = |scenario: &Scenario| !matches!(scenario.turn, Turn::Late | Turn::Alone) || scenario.proves().iter().any(concerned);
    setting.selected.iter().copied().filter(|index| worth(&setting.protocol.scenarios[*index])).collect()
}
