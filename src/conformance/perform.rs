//! One scenario, played from its beginning to its verdict.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;

use super::play;
use super::stage::{Stage, World};
use super::stop::Stop;
use super::target::Presence;
use crate::event::{Event, millis};
use crate::reading::{Findings, Holding, all_hold};
use crate::requirement::RequirementId;
use crate::scenario::step::{Claim, Scenario, each_step};
use crate::verdict::{Outcome, ScenarioVerdict};

/// What every scenario task needs beside its scenario.
#[derive(Clone, Debug)]
pub struct Ground {
    pub world: Arc<World>,
    pub findings: Arc<Findings>,
    pub fences: Arc<Vec<String>>,
    pub presence: Arc<Presence>,
    /// When the run's time is used up.
    pub deadline: Instant,
}

const OUT_OF_TIME: &str = "the run's time was used up";

/// A verdict on a scenario that was not played.
pub fn unplayed(scenario: &Scenario, run: u32, outcome: Outcome, why: String) -> ScenarioVerdict {
    ScenarioVerdict {
        scenario: scenario.id.clone(),
        run,
        outcome,
        requirements: scenario.proves().into_iter().map(|id| (id, outcome)).collect(),
        blocked_by: Vec::new(),
        failure: None,
        notes: Vec::new(),
        unplayed: why == OUT_OF_TIME,
        why: Some(why),
        duration_ms: 0.0,
    }
}

/// Plays a scenario, if it is for this target, and gives its verdict, with the stage on which it was played.
pub async fn perform(ground: &Ground, scenario: &Scenario, run: u32) -> (ScenarioVerdict, Stage) {
    let began = Instant::now();
    let stage = Stage::new(ground.world.clone(), ground.findings.clone(), ground.fences.clone(), &scenario.id, run);
    if let Some(verdict) = unfit(ground, scenario, run, began) {
        return (verdict, stage);
    }
    ground.world.emit(Event::ScenarioStarted { at_ms: ground.world.now_ms(), scenario: scenario.id.clone(), run });
    let stage = match stage.set_up(scenario) {
        Ok(stage) => stage,
        Err(stop) => return (verdict(&stage, scenario, Err(stop), began), stage),
    };
    let Ok(result) = tokio::time::timeout_at(ground.deadline.into(), play::scenario(&stage, &scenario.steps)).await else {
        return (unplayed(scenario, run, Outcome::CouldNotTest, OUT_OF_TIME.to_owned()), stage);
    };
    stage.dismiss().await;
    (verdict(&stage, scenario, result, began), stage)
}

/// The verdict on a scenario that can't be played here and now.
fn unfit(ground: &Ground, scenario: &Scenario, run: u32, now: Instant) -> Option<ScenarioVerdict> {
    let absent = match scenario.listeners() {
        (true, _) if ground.presence.http.is_err() => ground.presence.http.as_ref().err(),
        (_, true) if ground.presence.ws.is_err() => ground.presence.ws.as_ref().err(),
        _ => None,
    };
    if let Some(absence) = absent {
        return Some(unplayed(scenario, run, Outcome::CouldNotTest, format!("nobody answers at {absence}")));
    }
    match all_hold(&scenario.when, &ground.findings) {
        Holding::Yes => {}
        Holding::No(why) => return Some(unplayed(scenario, run, Outcome::Skipped, why)),
        Holding::Unknown(why, blocked_by) => {
            return Some(ScenarioVerdict { blocked_by, ..unplayed(scenario, run, Outcome::CouldNotTest, why) });
        }
    }
    (now >= ground.deadline).then(|| unplayed(scenario, run, Outcome::CouldNotTest, OUT_OF_TIME.to_owned()))
}

/// What a scenario's steps say of the requirements that they prove.
fn verdict(stage: &Stage, scenario: &Scenario, result: Result<(), Stop>, began: Instant) -> ScenarioVerdict {
    let mut left: BTreeMap<RequirementId, usize> = BTreeMap::new();
    each_step(&scenario.steps, &mut |step| {
        if let Claim::Proves(ids) = &step.claim {
            ids.iter().for_each(|id| *left.entry(id.clone()).or_default() += 1);
        }
    });
    let proved = stage.all_proved();
    let mut requirements = IndexMap::new();
    let failed: HashSet<&RequirementId> = match &result {
        Err(stop) if play::outcome_of(stop) == Outcome::Fail => stop.failure.requirements.iter().collect(),
        _ => HashSet::new(),
    };
    for id in scenario.proves() {
        let outcome = match &result {
            _ if failed.contains(&id) => Outcome::Fail,
            Ok(()) if proved.contains_key(&id) => Outcome::Pass,
            // All steps that prove it are for another reading.
            Ok(()) => Outcome::Skipped,
            Err(stop) if play::outcome_of(stop) == Outcome::Error => Outcome::Error,
            Err(_) if proved.get(&id) >= left.get(&id) => Outcome::Pass,
            Err(_) => Outcome::CouldNotTest,
        };
        requirements.insert(id, outcome);
    }
    let (outcome, why, blocked_by) = match &result {
        Ok(()) if requirements.values().all(|outcome| *outcome == Outcome::Skipped) => {
            (Outcome::Skipped, Some("all of its proofs are for another reading".to_owned()), Vec::new())
        }
        Ok(()) => (Outcome::Pass, None, Vec::new()),
        Err(stop) => match play::outcome_of(stop) {
            outcome @ (Outcome::Fail | Outcome::Error) => (outcome, None, Vec::new()),
            outcome => (outcome, Some(stop.failure.summary.clone()), stop.failure.requirements.clone()),
        },
    };
    let failure = result.err().map(|stop| {
        let mut failure = *stop.failure;
        failure.ends = stage.ends();
        failure
    });
    ScenarioVerdict {
        scenario: scenario.id.clone(),
        run: stage.run,
        outcome,
        requirements,
        why,
        blocked_by,
        failure,
        notes: if outcome == Outcome::Pass || outcome == Outcome::Fail { stage.notes() } else { Vec::new() },
        unplayed: false,
        duration_ms: millis(began.elapsed()),
    }
}
