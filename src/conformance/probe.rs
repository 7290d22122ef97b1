//! Finds out what the document leaves open: readings, facts, and the fences that work with a target.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

use super::Pins;
use super::play;
use super::stage::{Stage, World};
use super::stop::Stop;
use crate::reading::{Fact, Findings, Held, Holding, all_hold};
use crate::scenario::declarations::OWN_SERVER;
use crate::scenario::protocol::{FENCES, FactPlan, ReadingPlan};
use crate::scenario::step::Scenario;
use crate::verdict::Failure;

/// What the probes have found.
#[derive(Clone, Debug)]
pub struct Probed {
    pub findings: Findings,
    /// The fences that work, the preferred first.
    pub fences: Vec<String>,
}

impl Probed {
    /// What is known before anything is probed.
    pub fn given(pins: &Pins, own_server: bool) -> Self {
        let mut findings = pinned(pins);
        findings.facts.insert(OWN_SERVER.to_owned(), Fact::Truth(own_server));
        Self { findings, fences: Vec::new() }
    }
}

/// Probes what is `wanted` and not known yet, each thing as soon as what it depends on is known.
pub async fn probe(world: &Arc<World>, mut probed: Probed, wanted: impl Fn(&str) -> bool) -> Probed {
    let protocol = world.protocol.clone();
    let mut done: BTreeSet<String> = probed.findings.readings.keys().chain(probed.findings.facts.keys()).cloned().collect();
    let mut begun = done.clone();
    let mut probing: FuturesUnordered<Pin<Box<dyn Future<Output = Finding> + Send + '_>>> = FuturesUnordered::new();
    loop {
        let mut ready =
            |after: &[String], id: &str| wanted(id) && after.iter().all(|name| done.contains(name)) && begun.insert(id.to_owned());
        let at = Probing { world: world.clone(), findings: Arc::new(probed.findings.clone()), fences: Arc::new(probed.fences.clone()) };
        for plan in &protocol.readings {
            if ready(&plan.after, &plan.reading.id) {
                let at = at.clone();
                probing.push(Box::pin(async move { Finding::Reading(plan.reading.id.clone(), at.reading(plan).await) }));
            }
        }
        for plan in &protocol.facts {
            if ready(&plan.after, &plan.id) {
                let at = at.clone();
                probing.push(Box::pin(async move { Finding::Fact(plan.id.clone(), at.fact(plan).await) }));
            }
        }
        if ready(&protocol.fences_after, FENCES) {
            probing.push(Box::pin(async move { Finding::Fences(at.working_fences().await) }));
        }
        match probing.next().await {
            Some(Finding::Reading(id, held)) => {
                done.insert(id.clone());
                probed.findings.readings.insert(id, held);
            }
            Some(Finding::Fact(id, fact)) => {
                done.insert(id.clone());
                probed.findings.facts.insert(id, fact);
            }
            Some(Finding::Fences(fences)) => {
                done.insert(FENCES.to_owned());
                probed.fences = fences;
            }
            None => return probed,
        }
    }
}

enum Finding {
    Reading(String, Held),
    Fact(String, Fact),
    Fences(Vec<String>),
}

fn pinned(pins: &Pins) -> Findings {
    let mut readings: BTreeMap<String, Held> = BTreeMap::new();
    for (id, value) in &pins.readings {
        match readings.get_mut(id) {
            Some(Held::Pinned { values }) => values.push(value.clone()),
            _ => {
                readings.insert(id.clone(), Held::Pinned { values: vec![value.clone()] });
            }
        }
    }
    let facts = pins.facts.iter().map(|(id, number)| (id.clone(), Fact::Number(*number))).collect();
    Findings { readings, facts }
}

/// What a probe may go by.
#[derive(Clone)]
struct Probing {
    world: Arc<World>,
    findings: Arc<Findings>,
    fences: Arc<Vec<String>>,
}

impl Probing {
    /// Plays a probe; its stage tells what it has read and captured.
    async fn play(&self, scenario: &Scenario) -> (Stage, Result<(), Stop>) {
        let stage = Stage::new(self.world.clone(), self.findings.clone(), self.fences.clone(), &format!("probe {}", scenario.id), 1);
        match stage.set_up(scenario) {
            Ok(stage) => {
                let result = play::scenario(&stage, &scenario.steps).await;
                stage.dismiss().await;
                (stage, result)
            }
            Err(stop) => (stage, Err(stop)),
        }
    }

    async fn reading(&self, plan: &ReadingPlan) -> Held {
        if let Some(held) = self.gate(&plan.when) {
            return held;
        }
        let mut outs: Vec<String> = Vec::new();
        let applicable: Vec<_> = plan
            .probes
            .iter()
            .filter(|probe| match all_hold(&probe.scenario.when, &self.findings) {
                Holding::Yes => true,
                Holding::No(why) | Holding::Unknown(why, _) => {
                    outs.push(why);
                    false
                }
            })
            .collect();
        if applicable.is_empty() {
            return Held::NotApplicable { why: outs.first().cloned().unwrap_or_default() };
        }
        let results = join_all(applicable.iter().map(|probe| self.play(&probe.scenario))).await;
        let mut strong: Vec<String> = Vec::new();
        let mut weak: Vec<String> = Vec::new();
        let mut failure: Option<Failure> = None;
        for (probe, (stage, result)) in applicable.iter().zip(results) {
            match result {
                Ok(()) => {
                    let shown = probe.value.iter().cloned();
                    let read = stage.reads().into_iter().filter(|(reading, _)| *reading == plan.reading.id).map(|(_, value)| value);
                    if probe.weak { &mut weak } else { &mut strong }.extend(shown.chain(read));
                }
                Err(stop) => failure = failure.or(Some(*stop.failure)),
            }
        }
        if strong.is_empty() {
            strong.extend(weak.into_iter().take(1));
        }
        // In the order in which the folder prefers them.
        let values: Vec<String> = plan.reading.values.keys().filter(|value| strong.contains(value)).cloned().collect();
        if values.is_empty() {
            match failure {
                Some(failure) => Held::Unknown { why: failure.summary, blocked_by: failure.requirements },
                None => Held::Unknown { why: "no probe showed a value".into(), blocked_by: Vec::new() },
            }
        } else {
            Held::Found { values }
        }
    }

    fn gate(&self, when: &[crate::reading::Condition]) -> Option<Held> {
        match all_hold(when, &self.findings) {
            Holding::Yes => None,
            Holding::No(why) => Some(Held::NotApplicable { why }),
            Holding::Unknown(why, blocked_by) => Some(Held::Unknown { why, blocked_by }),
        }
    }

    async fn fact(&self, plan: &FactPlan) -> Fact {
        let (stage, result) = self.play(&plan.probe).await;
        match (result, stage.get(&plan.value).and_then(|value| value.as_u64())) {
            (Ok(()), Some(number)) if number >= plan.bound => Fact::Above(plan.bound),
            (Ok(()), Some(number)) => Fact::Number(number),
            (Ok(()), None) => Fact::Unknown { why: "the probe found no number".into(), blocked_by: Vec::new() },
            (Err(stop), _) => Fact::Unknown { why: stop.failure.summary, blocked_by: stop.failure.requirements },
        }
    }

    async fn working_fences(&self) -> Vec<String> {
        let fences = &self.world.protocol.fences;
        let results = join_all(fences.iter().map(|fence| self.play(&fence.probe))).await;
        fences.iter().zip(results).filter(|(_, (_, result))| result.is_ok()).map(|(fence, _)| fence.id.clone()).collect()
    }
}
