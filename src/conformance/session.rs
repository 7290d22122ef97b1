//! A session with a target: probed once, and then played to as often as somebody likes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;

use super::perform::{Ground, perform};
use super::probe::{self, Probed};
use super::stage::{Records, World};
use super::target::{Presence, Target, TargetError, TargetSpec};
use super::{Pins, Timing};
use crate::event::{Event, TargetShown};
use crate::reading::Findings;
use crate::scenario::protocol::Protocol;
use crate::scenario::step::Scenario;
use crate::verdict::ScenarioVerdict;

/// Whom a session is with, and how.
#[derive(Clone, Debug)]
pub struct Setting {
    pub protocol: Arc<Protocol>,
    pub target: TargetSpec,
    /// `max_time` is for each scenario.
    pub timing: Timing,
    pub pins: Pins,
}

/// Cheap to clone; the clones share the target, and no name on the wire is used twice.
#[derive(Clone, Debug)]
pub struct Session {
    ground: Ground,
    started: f64,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Played {
    pub verdict: ScenarioVerdict,
    /// All that it told, payloads whole, in order; its verdict is not among them.
    pub events: Vec<Event>,
    /// What the actors and names of the scenario were on the wire.
    pub names: Vec<(String, String)>,
}

impl Session {
    /// Finds out who is there and which readings hold.
    ///
    /// # Errors
    /// A target that can't even be tried.
    pub async fn open(setting: &Setting) -> Result<Self, TargetError> {
        let target = Target::new(&setting.target)?;
        let (nobody, _) = mpsc::unbounded_channel();
        let world = Arc::new(World::new(setting.protocol.clone(), target, setting.timing.clone(), Records::None, nobody));
        let path = setting.protocol.declarations.requests.values().next().map_or("", |request| &request.path);
        let presence = Presence::find(&world.target, path, setting.timing.timeout).await;
        let mut probed = Probed::given(&setting.pins, world.target.pid.is_some());
        if presence.http.is_ok() && presence.ws.is_ok() {
            probed = probe::probe(&world, probed, |_| true).await;
        }
        let started = world.now_ms();
        let ground = Ground {
            world,
            findings: Arc::new(probed.findings),
            fences: Arc::new(probed.fences),
            presence: Arc::new(presence),
            deadline: Instant::now(),
        };
        Ok(Self { ground, started })
    }

    pub fn findings(&self) -> &Findings {
        &self.ground.findings
    }

    /// The fences that work with the target, the preferred first.
    pub fn fences(&self) -> &[String] {
        &self.ground.fences
    }

    /// What was found out, as an event.
    pub fn readings(&self) -> Event {
        Event::Readings {
            at_ms: self.started,
            readings: self.ground.findings.readings.clone(),
            facts: self.ground.findings.facts.clone(),
            fences: self.ground.fences.as_ref().clone(),
        }
    }

    pub fn target(&self) -> &TargetShown {
        &self.ground.world.target.shown
    }

    /// What every name on the wire of this session holds.
    pub fn nonce(&self) -> &str {
        &self.ground.world.nonce
    }

    /// Milliseconds since the session began.
    pub fn now_ms(&self) -> f64 {
        self.ground.world.now_ms()
    }

    /// Which listeners don't answer, and what was tried.
    pub fn absences(&self) -> Vec<&str> {
        let Presence { http, ws, .. } = &*self.ground.presence;
        [http, ws].into_iter().filter_map(|side| side.as_ref().err()).map(String::as_str).collect()
    }

    /// Which listeners don't answer any more, and what was tried now.
    pub async fn absences_now(&self) -> Vec<String> {
        let Ground { world, .. } = &self.ground;
        let path = world.protocol.declarations.requests.values().next().map_or("", |request| &request.path);
        let Presence { http, ws, .. } = Presence::find(&world.target, path, world.timing.timeout).await;
        [http, ws].into_iter().filter_map(Result::err).collect()
    }

    /// How long the HTTP listener took over its first answer.
    pub fn pace(&self) -> Duration {
        self.ground.presence.pace
    }

    /// Plays a scenario on fresh names; several may be played at once. Of the fences that work with this target, the one that is
    /// preferred comes first.
    pub async fn play(&self, scenario: &Scenario, preferred: Option<&str>) -> Played {
        let mut fences = self.ground.fences.as_ref().clone();
        fences.sort_by_key(|fence| Some(fence.as_str()) != preferred);
        let (events, mut incoming) = mpsc::unbounded_channel();
        let world = World { events, records: Records::Whole, ..self.ground.world.as_ref().clone() };
        let deadline = Instant::now() + world.timing.max_time;
        let ground = Ground { world: Arc::new(world), fences: Arc::new(fences), deadline, ..self.ground.clone() };
        let (verdict, stage) = perform(&ground, scenario, 1).await;
        let all = scenario.actors.iter().chain(scenario.names.iter().map(|(name, _)| name));
        let wire = |name: &String| match stage.get(name) {
            Some(Value::String(text)) => Some((name.clone(), text)),
            _ => None,
        };
        let names = all.filter_map(wire).collect();
        let mut events = Vec::new();
        while let Ok(event) = incoming.try_recv() {
            events.push(event);
        }
        Played { verdict, events, names }
    }
}
