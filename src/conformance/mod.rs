//! The engine that checks: it finds out who is there and which readings hold, plays scenarios, and concludes.

mod call;
mod fence;
mod perform;
mod play;
mod probe;
mod receive;
pub mod session;
mod stage;
mod stop;
pub mod target;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::event::{Event, Footer, Given, Header, SuiteShown};
use crate::known::KnownFailures;
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::step::{Action, Claim, Request, Turn, each_step};
use crate::verdict::{Outcome, ScenarioVerdict, Standard, Verdicts, conclude};
use perform::{Ground, perform, unplayed};
use probe::Probed;
use stage::{Records, World};
use target::{Presence, Target, TargetError, TargetSpec};

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Each wait.
    pub timeout: Duration,
    /// The whole run.
    pub max_time: Duration,
    /// Waits of the steps that prove these requirements, instead of what their scenarios say.
    pub within: HashMap<RequirementId, Duration>,
}

impl Timing {
    fn within(&self, claim: &Claim) -> Option<Duration> {
        let (Claim::Proves(ids) | Claim::Needs(ids)) = claim;
        ids.iter().find_map(|id| self.within.get(id)).copied()
    }
}

/// What need not be probed because the user says it.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    pub readings: Vec<(String, String)>,
    pub facts: Vec<(String, u64)>,
}

/// A run, ready to start.
#[derive(Debug)]
pub struct Plan {
    pub protocol: Arc<Protocol>,
    /// The scenarios to play, by their place in the protocol.
    pub selected: Vec<usize>,
    pub target: TargetSpec,
    pub timing: Timing,
    pub pins: Pins,
    /// How many scenarios run at once; unless given, as many as suit the target's pace.
    pub jobs: Option<usize>,
    pub repeat: u32,
    pub seed: u64,
    pub strict: bool,
    pub known: KnownFailures,
    /// Whether exchanges and frames are told as events.
    pub transcripts: bool,
    pub given: Given,
    /// The command that repeats this run, without its selectors.
    pub reproduce: String,
}

/// Checks a target. Every event goes to `emit`, in order, the header first and the footer last; what the run concludes
/// is returned too. When `interrupt` comes, the run ends with what it has.
///
/// # Errors
/// A target that can't even be tried, such as one whose TLS setup this machine refuses. What a target does wrong is a
/// verdict.
pub async fn run(plan: &Plan, interrupt: impl Future<Output = ()>, mut emit: impl FnMut(&Event)) -> Result<Verdicts, TargetError> {
    let target = Target::new(&plan.target)?;
    let (events, mut incoming) = mpsc::unbounded_channel();
    let records = if plan.transcripts { Records::Short } else { Records::None };
    let world = Arc::new(World::new(plan.protocol.clone(), target, plan.timing.clone(), records, events));
    emit(&Event::Started(header(plan, &world)));
    emit(&Event::Suite(Box::new(SuiteShown::new(&plan.protocol, &plan.selected))));

    let mut interrupted = false;
    let mut run = Run { plan, world: world.clone(), verdicts: Vec::new(), notes: Vec::new() };
    {
        let playing = run.play();
        tokio::pin!(playing, interrupt);
        loop {
            // Events are told as they come, whatever else is ready: a reader sees a run while it runs.
            tokio::select! {
                biased;
                Some(event) = incoming.recv() => emit(&event),
                () = &mut playing => break,
                () = &mut interrupt => {
                    interrupted = true;
                    break;
                }
            }
        }
    }
    while let Ok(event) = incoming.try_recv() {
        emit(&event);
    }
    let standard = Standard { registry: &plan.protocol.declarations.registry, strict: plan.strict, known: &plan.known };
    let verdicts = conclude(&run.verdicts, &standard, interrupted);
    emit(&Event::Finished(Footer {
        at_ms: world.now_ms(),
        exit_code: verdicts.conclusion.exit_code(),
        interrupted,
        notes: run.notes,
        requirements: verdicts.requirements.clone(),
        counts: verdicts.counts.clone(),
        known: verdicts.known.clone(),
        scenarios: verdicts.scenarios.clone(),
        matrix: None,
    }));
    Ok(verdicts)
}

fn header(plan: &Plan, world: &World) -> Header {
    Header {
        target: world.target.shown.clone(),
        scenarios: plan.selected.len() * plan.repeat as usize,
        repeat: plan.repeat,
        strict: plan.strict,
        nonce: world.nonce.clone(),
        given: plan.given.clone(),
        reproduce: plan.reproduce.clone(),
        ..Header::new("check", &plan.protocol.name, &plan.protocol.hash, plan.seed)
    }
}

struct Run<'a> {
    plan: &'a Plan,
    world: Arc<World>,
    verdicts: Vec<ScenarioVerdict>,
    notes: Vec<String>,
}

impl Run<'_> {
    async fn play(&mut self) {
        let deadline = self.world.start + self.plan.timing.max_time;
        let path = self.plan.protocol.declarations.requests.values().next().map_or("", |request| &request.path);
        let timeout = self.plan.timing.timeout.min(self.plan.timing.max_time);
        let presence = Presence::find(&self.world.target, path, timeout).await;
        for absence in [&presence.http, &presence.ws].into_iter().filter_map(|side| side.as_ref().err()) {
            self.notes.push(format!("nobody answers at {absence}"));
        }
        let presence = Arc::new(presence);
        let mut probed = Probed::given(&self.plan.pins, self.world.target.pid.is_some());
        if presence.http.is_ok() || presence.ws.is_ok() {
            let needed = self.needed_early();
            probed = self.probe(probed, deadline, |id| needed.contains(id)).await;
            self.play_turn(Turn::Early, &self.ground(&probed, &presence, deadline), 1).await;
            probed = self.probe(probed, deadline, |_| true).await;
        }
        self.world.emit(Event::Readings {
            at_ms: self.world.now_ms(),
            readings: probed.findings.readings.clone(),
            facts: probed.findings.facts.clone(),
            fences: probed.fences.clone(),
        });
        let ground = self.ground(&probed, &presence, deadline);
        self.play_turn(Turn::Early, &ground, 1).await;
        let jobs = self.plan.jobs.unwrap_or_else(|| jobs_for(presence.pace));
        self.play_turn(Turn::Any, &ground, jobs).await;
        self.play_turn(Turn::Late, &ground, jobs).await;
        self.play_turn(Turn::Alone, &ground, 1).await;
        if self.verdicts.iter().any(|verdict| verdict.unplayed) {
            let limit = humantime::format_duration(self.plan.timing.max_time);
            self.notes.push(format!("the run's time was used up ({limit}; --max-time gives it more), so it is not complete"));
        }
    }

    fn ground(&self, probed: &Probed, presence: &Arc<Presence>, deadline: Instant) -> Ground {
        Ground {
            world: self.world.clone(),
            findings: Arc::new(probed.findings.clone()),
            fences: Arc::new(probed.fences.clone()),
            presence: presence.clone(),
            deadline,
        }
    }

    /// What the deadline leaves of the probing is lost; the scenarios say so.
    async fn probe(&self, known: Probed, deadline: Instant, wanted: impl Fn(&str) -> bool) -> Probed {
        let before = known.clone();
        tokio::time::timeout_at(deadline.into(), probe::probe(&self.world, known, wanted)).await.unwrap_or(before)
    }

    /// The readings by which the early scenarios send their requests.
    fn needed_early(&self) -> BTreeSet<String> {
        let protocol = &self.plan.protocol;
        let early = self.plan.selected.iter().map(|index| &protocol.scenarios[*index]).filter(|scenario| scenario.turn == Turn::Early);
        let mut needed = BTreeSet::new();
        for scenario in early {
            each_step(&scenario.steps, &mut |step| {
                if let Action::Call(call) = &step.action
                    && let Request::Named { name, .. } = &call.what
                {
                    needed.extend(protocol.request(name).map(|request| request.ways.clone()));
                }
            });
        }
        needed
    }

    /// Every repetition of every selected scenario, in an order that the seed decides: a suite whose verdicts depend on
    /// the order would be found out. One area comes after the other, since what a target shows of all that others have left
    /// behind is long in the end.
    fn order(&self) -> Vec<(usize, u32)> {
        let mut random = rand::rngs::StdRng::seed_from_u64(self.plan.seed);
        let mut order = Vec::new();
        for repetition in 1..=self.plan.repeat {
            let mut round: Vec<(usize, u32)> = self.plan.selected.iter().map(|index| (*index, repetition)).collect();
            round.shuffle(&mut random);
            round.sort_by_key(|(index, _)| &self.plan.protocol.scenarios[*index].area);
            order.extend(round);
        }
        order
    }

    /// Plays the scenarios of this turn that were not played yet.
    async fn play_turn(&mut self, turn: Turn, ground: &Ground, jobs: usize) {
        let played: HashSet<String> = self.verdicts.iter().map(|verdict| verdict.scenario.clone()).collect();
        let scenarios = &self.plan.protocol.scenarios;
        let is_due = |index: usize| scenarios[index].turn == turn && !played.contains(&scenarios[index].id);
        let mut waiting = self.order().into_iter().filter(|(index, _)| is_due(*index)).collect::<Vec<_>>().into_iter();
        let mut playing: JoinSet<ScenarioVerdict> = JoinSet::new();
        let mut who: HashMap<tokio::task::Id, (usize, u32)> = HashMap::new();
        loop {
            while playing.len() < jobs.max(1)
                && let Some((index, repetition)) = waiting.next()
            {
                let (ground, protocol) = (ground.clone(), self.plan.protocol.clone());
                let task = async move { perform(&ground, &protocol.scenarios[index], repetition).await.0 };
                who.insert(playing.spawn(task).id(), (index, repetition));
            }
            let Some(finished) = playing.join_next_with_id().await else {
                return;
            };
            let verdict = match finished {
                Ok((_, verdict)) => verdict,
                Err(error) => {
                    let (index, repetition) = who.get(&error.id()).copied().unwrap_or_default();
                    let scenario = &self.plan.protocol.scenarios[index];
                    let mut verdict = unplayed(scenario, repetition, Outcome::Error, format!("chatspec itself failed here: {error}"));
                    verdict.requirements.values_mut().for_each(|outcome| *outcome = Outcome::Error);
                    verdict
                }
            };
            ground.world.emit(Event::ScenarioFinished(Box::new(verdict.clone())));
            self.verdicts.push(verdict);
        }
    }
}

/// As many scenarios at once as keep a target about equally busy, whatever its pace: 32, and up to five times as many for
/// one that takes its time over an answer, since what waits for it costs nothing.
fn jobs_for(pace: Duration) -> usize {
    const AT_EASE: Duration = Duration::from_millis(100);
    let times = pace.as_secs_f64() / AT_EASE.as_secs_f64();
    (32.0 * times.clamp(1.0, 5.0)) as usize
}
