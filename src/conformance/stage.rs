//! The stage of one scenario: its actors, the names and captures of its steps, and the way to the log.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::Timing;
use super::stop::{Stop, StopKind};
use super::target::Target;
use crate::event::{Direction, Event, Frame, Record, millis};
use crate::reading::Findings;
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::step::{Listener, Scenario};
use crate::scenario::template::{Meaning, Reference, Scope};
use crate::wire::inbox::{Arrival, Inbox, Incoming};
use crate::wire::ws::{Connection, Frame as WireFrame, Observer};

/// How long a farewell may take: a server that takes no more bytes shall not hold up the run.
const DISMISSAL: Duration = Duration::from_millis(200);

/// What all scenarios of a run share.
#[derive(Clone, Debug)]
pub struct World {
    pub protocol: Arc<Protocol>,
    pub target: Target,
    pub timing: Timing,
    /// The start of the run, from which all times are counted.
    pub start: Instant,
    pub events: UnboundedSender<Event>,
    /// How exchanges and frames are told.
    pub records: Records,
    /// Fresh in each run, so that names on the wire were never used before.
    pub nonce: String,
    /// How many stages were set up.
    pub stages: Arc<AtomicU64>,
    pub tokens: Arc<AtomicU64>,
}

/// How exchanges and frames are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Not at all.
    None,
    /// With long payloads cut short, for a log.
    Short,
    /// With every payload whole, for whoever judges by it.
    Whole,
}

impl World {
    /// A run that begins now, with a nonce of its own.
    pub fn new(protocol: Arc<Protocol>, target: Target, timing: Timing, records: Records, events: UnboundedSender<Event>) -> Self {
        Self {
            protocol,
            target,
            timing,
            start: Instant::now(),
            events,
            records,
            nonce: base36(rand::random_range(36_u64.pow(4)..36_u64.pow(5))),
            stages: Arc::new(AtomicU64::new(1)),
            tokens: Arc::new(AtomicU64::new(1)),
        }
    }

    pub fn record(&self, bytes: &[u8]) -> Record {
        match self.records {
            Records::Whole => Record::Whole(String::from_utf8_lossy(bytes).into_owned()),
            Records::None | Records::Short => Record::new(bytes),
        }
    }

    pub fn now_ms(&self) -> f64 {
        millis(self.start.elapsed())
    }

    pub fn at_ms(&self, at: Instant) -> f64 {
        millis(at.saturating_duration_since(self.start))
    }

    /// Nobody listens any more once a run is over; that is no fault.
    pub fn emit(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// What every fence's token begins with: messages that hold it are no scenario's business.
    pub fn token_prefix(&self) -> String {
        format!("fence-{}-", self.nonce)
    }

    pub fn token(&self) -> String {
        format!("{}{}", self.token_prefix(), self.tokens.fetch_add(1, Ordering::Relaxed))
    }

    /// What makes a name on the wire new: this run's nonce, and a number that no other stage of the run has.
    pub fn suffix(&self) -> String {
        format!("{}{}", self.nonce, base36(self.stages.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A number in digits and lower-case letters.
pub fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap_or(0), 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// A user of a scenario, with at most one connection at a time.
#[derive(Debug)]
pub struct ActorState {
    pub name: String,
    /// The user name on the wire.
    pub user: String,
    pub connection: Mutex<Option<Arc<Connection>>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    inbox: Option<Arc<Inbox>>,
    /// The arrivals that a step has accounted for, by their number.
    taken: HashSet<usize>,
    paused: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another task is told as an error of its scenario; what it left here is still good to read.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ActorState {
    pub fn new(name: &str, user: String) -> Self {
        Self { name: name.to_owned(), user, connection: Mutex::default(), seen: Mutex::default() }
    }

    pub fn connected(&self, connection: Connection) {
        *locked(&self.seen) = Seen { inbox: Some(connection.inbox.clone()), ..Seen::default() };
        *locked(&self.connection) = Some(Arc::new(connection));
    }

    pub fn connection(&self) -> Option<Arc<Connection>> {
        locked(&self.connection).clone()
    }

    /// What has come over its newest connection, also after that has ended.
    pub fn inbox(&self) -> Option<Arc<Inbox>> {
        locked(&self.seen).inbox.clone()
    }

    pub fn disconnect(&self) -> Option<Arc<Connection>> {
        locked(&self.connection).take()
    }

    pub fn set_paused(&self, paused: bool) {
        locked(&self.seen).paused = paused;
    }

    /// Connected, reading, and not ended by anyone.
    pub fn is_live(&self) -> bool {
        let live = locked(&self.connection).as_ref().is_some_and(|connection| connection.inbox.end().is_none());
        live && !locked(&self.seen).paused
    }

    pub fn take(&self, index: usize) {
        locked(&self.seen).taken.insert(index);
    }

    pub fn is_taken(&self, index: usize) -> bool {
        locked(&self.seen).taken.contains(&index)
    }

    /// Everything that came and that no step has accounted for.
    pub fn untaken(&self) -> Vec<(usize, Arc<Arrival>)> {
        let seen = locked(&self.seen);
        let arrivals = seen.inbox.as_ref().map(|inbox| inbox.since(0)).unwrap_or_default();
        arrivals.into_iter().enumerate().filter(|(index, _)| !seen.taken.contains(index)).collect()
    }
}

/// What the steps of one scenario share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stage {
    pub world: Arc<World>,
    pub findings: Arc<Findings>,
    /// The fences that work with this target, the preferred first.
    pub fences: Arc<Vec<String>>,
    pub scenario: Arc<str>,
    pub run: u32,
    pub actors: Vec<Arc<ActorState>>,
    variables: Arc<Mutex<HashMap<String, Value>>>,
    /// Names of an inner scope, such as the number of a repetition; the last one wins.
    locals: Vec<(String, Value)>,
    /// For one combination of readings, where several values of a reading hold.
    combination: Option<Arc<BTreeMap<String, String>>>,
    /// The readings that alternatives have shown.
    reads: Arc<Mutex<Vec<(String, String)>>>,
    notes: Arc<Mutex<Vec<String>>>,
    /// The first need that was unmet by a wrong answer, and didn't stop the steps.
    unmet: Arc<Mutex<Option<Stop>>>,
    /// How many steps have proved each requirement.
    proved: Arc<Mutex<HashMap<RequirementId, usize>>>,
    /// Whether the HTTP and the WebSocket listener have answered this scenario.
    answered: Arc<[AtomicBool; 2]>,
    /// These are a fence's steps.
    pub in_fence: bool,
    /// A need that is unmet by a wrong answer doesn't stop the steps.
    pub tolerant: bool,
}

impl Stage {
    pub fn new(world: Arc<World>, findings: Arc<Findings>, fences: Arc<Vec<String>>, scenario: &str, run: u32) -> Self {
        Self {
            world,
            findings,
            fences,
            scenario: scenario.into(),
            run,
            actors: Vec::new(),
            variables: Arc::default(),
            locals: Vec::new(),
            combination: None,
            reads: Arc::default(),
            notes: Arc::default(),
            unmet: Arc::default(),
            proved: Arc::default(),
            answered: Arc::default(),
            in_fence: false,
            tolerant: true,
        }
    }

    /// Brings a scenario's actors on, and gives every name its text on the wire.
    ///
    /// # Errors
    /// A name whose text refers to what isn't known.
    pub fn set_up(&self, scenario: &Scenario) -> Result<Self, Stop> {
        let mut stage = self.clone();
        let suffix = self.world.suffix();
        for name in &scenario.actors {
            let user = format!("{name}-{suffix}");
            stage.set(name, Value::String(user.clone()));
            stage.actors.push(Arc::new(ActorState::new(name, user)));
        }
        for (name, text) in &scenario.names {
            let text = text.render_text(&stage).map_err(|unbound| Stop::unnamed(scenario, &unbound))?;
            stage.set(name, Value::String(format!("{text}-{suffix}")));
        }
        Ok(stage)
    }

    /// Ends all connections, in the orderly way: the next scenario shall not meet what this one left behind.
    pub async fn dismiss(&self) {
        for actor in &self.actors {
            if let Some(connection) = actor.disconnect() {
                let _ = tokio::time::timeout(DISMISSAL, connection.send(&WireFrame::close(Some(1000), ""))).await;
            }
        }
    }

    /// How the actors' connections ended.
    pub fn ends(&self) -> Vec<String> {
        let end = |actor: &Arc<ActorState>| actor.inbox().and_then(|inbox| inbox.end()).map(|end| format!("{}: {end}", actor.name));
        self.actors.iter().filter_map(end).collect()
    }

    /// A listener has answered.
    pub fn answered(&self, listener: Listener) {
        self.answered[listener as usize].store(true, Ordering::Relaxed);
    }

    /// What it is that a listener doesn't answer: where it did so earlier in the scenario, something has become of it since.
    pub fn silence_of(&self, listener: Listener) -> StopKind {
        if self.answered[listener as usize].load(Ordering::Relaxed) { StopKind::Missing } else { StopKind::Absent }
    }

    pub fn proved(&self, ids: &[RequirementId]) {
        let mut proved = locked(&self.proved);
        ids.iter().for_each(|id| *proved.entry(id.clone()).or_default() += 1);
    }

    pub fn all_proved(&self) -> HashMap<RequirementId, usize> {
        locked(&self.proved).clone()
    }

    pub fn set(&self, name: &str, value: Value) {
        locked(&self.variables).insert(name.to_owned(), value);
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        locked(&self.variables).get(name).cloned()
    }

    /// The same stage, in which `name` has a value of its own.
    pub fn with_local(&self, name: &str, value: Value) -> Self {
        let mut inner = self.clone();
        inner.locals.push((name.to_owned(), value));
        inner
    }

    /// The stage of a fence that one actor goes through.
    pub fn for_fence(&self, actor: &Arc<ActorState>, token: String, place: Option<Value>) -> Self {
        let mut inner = self.clone();
        inner.actors = vec![actor.clone()];
        inner.variables = Arc::default();
        inner.locals = vec![("actor".to_owned(), Value::String(actor.user.clone())), ("token".to_owned(), Value::String(token))];
        inner.locals.extend(place.map(|place| ("place".to_owned(), place)));
        inner.in_fence = true;
        inner.tolerant = false;
        inner
    }

    /// The same stage, in which every step that fails stops the steps.
    pub fn strict(&self) -> Self {
        Self { tolerant: false, ..self.clone() }
    }

    pub fn unmet_need(&self, stop: Stop) {
        locked(&self.unmet).get_or_insert(stop);
    }

    pub fn first_unmet_need(&self) -> Option<Stop> {
        locked(&self.unmet).clone()
    }

    pub fn note(&self, note: impl Into<String>) {
        let note = note.into();
        let mut notes = locked(&self.notes);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    pub fn notes(&self) -> Vec<String> {
        locked(&self.notes).clone()
    }

    pub fn read(&self, reading: &str, value: &str) {
        locked(&self.reads).push((reading.to_owned(), value.to_owned()));
    }

    pub fn reads(&self) -> Vec<(String, String)> {
        locked(&self.reads).clone()
    }

    /// One stage for each combination of the values that hold of these readings: what is expected must hold in each.
    /// None at all where a reading isn't known.
    pub fn combinations(&self, readings: &BTreeSet<String>) -> Vec<Stage> {
        let mut combinations: Vec<BTreeMap<String, String>> = vec![BTreeMap::new()];
        for reading in readings {
            let values = self.findings.held(reading);
            combinations = combinations
                .into_iter()
                .flat_map(|base| {
                    values.iter().map(move |value| {
                        let mut base = base.clone();
                        base.insert(reading.clone(), value.clone());
                        base
                    })
                })
                .collect();
        }
        combinations
            .into_iter()
            .map(|combination| {
                let mut stage = self.clone();
                stage.combination = (!combination.is_empty()).then(|| Arc::new(combination));
                stage
            })
            .collect()
    }

    /// Logs everything that arrives for an actor.
    pub fn observer(&self, actor: &str) -> Observer {
        let (world, scenario, run, actor) = (self.world.clone(), self.scenario.to_string(), self.run, actor.to_owned());
        let prefix = world.token_prefix();
        Arc::new(move |incoming| {
            if world.records == Records::None {
                return;
            }
            let (kind, payload) = match incoming {
                Incoming::Text(text) => ("text", Some(text.as_bytes())),
                Incoming::Binary(bytes) => ("binary", Some(&bytes[..])),
                Incoming::Ping(bytes) => ("ping", Some(&bytes[..])),
                Incoming::Pong(bytes) => ("pong", Some(&bytes[..])),
                Incoming::Bytes(bytes) => ("bytes", Some(&bytes[..])),
                Incoming::End(_) => ("end", None),
            };
            let payload = match incoming {
                Incoming::End(end) => Some(world.record(end.to_string().as_bytes())),
                _ => payload.map(|bytes| world.record(bytes)),
            };
            world.emit(Event::Frame(Frame {
                at_ms: world.now_ms(),
                scenario: scenario.clone(),
                run,
                actor: actor.clone(),
                direction: Direction::Received,
                kind: kind.to_owned(),
                fence: matches!(incoming, Incoming::Text(text) if text.contains(&prefix)),
                payload,
            }));
        })
    }

    /// Logs something that an actor sends or that happens to it.
    pub fn log(&self, actor: &str, direction: Direction, kind: &str, payload: Option<&[u8]>) {
        if self.world.records == Records::None {
            return;
        }
        self.world.emit(Event::Frame(Frame {
            at_ms: self.world.now_ms(),
            scenario: self.scenario.to_string(),
            run: self.run,
            actor: actor.to_owned(),
            direction,
            kind: kind.to_owned(),
            payload: payload.map(|bytes| self.world.record(bytes)),
            fence: self.in_fence,
        }));
    }

    pub fn timeout(&self) -> Duration {
        self.world.timing.timeout
    }
}

impl Scope for Stage {
    fn value(&self, reference: &Reference) -> Option<Value> {
        match reference.meaning {
            Meaning::Variable => {
                let local = self.locals.iter().rev().find(|(name, _)| *name == reference.name);
                local.map(|(_, value)| value.clone()).or_else(|| self.get(&reference.name))
            }
            Meaning::Reading => {
                let chosen = self.combination.as_ref().and_then(|combination| combination.get(&reference.name));
                chosen.or_else(|| self.findings.held(&reference.name).first()).map(|value| Value::String(value.clone()))
            }
            Meaning::Fact => self.findings.facts.get(&reference.name).and_then(crate::reading::Fact::to_value),
        }
    }
}
