//! What a load shall be: rooms, behaviours, arrivals, messages, phases and thresholds, checked and complete.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The shortest text of a message, in bytes: the generator's own header is inside.
pub const SHORTEST_TEXT: u32 = 64;

/// The longest text of a message, in bytes.
pub const LONGEST_TEXT: u32 = 64 * 1024;

/// A load, checked and complete. With a seed it is a [`Plan`](super::plan::Plan).
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The file's name without its ending; `flags` where there was no file.
    pub name: String,
    pub title: String,
    /// The seed that the profile asks for.
    pub seed: Option<u64>,
    pub rooms: Vec<RoomGroup>,
    /// At most one of each kind.
    pub behaviours: Vec<Share>,
    pub sessions: Sessions,
    pub messages: Messages,
    /// As written: the plan puts the arrival of the sessions before them, and a drain behind them where there is none.
    pub phases: Vec<PhaseShape>,
    /// Expressions over what is measured, as written.
    pub thresholds: Vec<String>,
    /// After this time a delivery counts as lost.
    pub deadline: Duration,
}

/// Rooms of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomGroup {
    /// Clients in each.
    pub size: u32,
    /// How many such rooms.
    pub count: u32,
}

/// How many of the clients behave in a way, and how much they send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub behaviour: Behaviour,
    /// Of the clients, as against the other behaviours' weights.
    pub weight: u32,
    /// How much such a client sends, as against others.
    pub sends: u32,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Behaviour {
    /// It stays, reads, and sends.
    Chatty,
    /// It stays, reads, and never sends.
    Lurking,
    /// It leaves by the leave flow after a stay, and comes back after an absence.
    ComingAndGoing(Cycle),
    /// It doesn't read as fast as messages come.
    SlowReader(Reading),
    /// Its TCP connection is reset after a stay, and it comes back after an absence.
    Reconnecting(Cycle),
}

impl Behaviour {
    /// Its name in profiles.
    pub fn name(&self) -> &'static str {
        match self {
            Behaviour::Chatty => "chatty",
            Behaviour::Lurking => "lurking",
            Behaviour::ComingAndGoing(_) => "coming-and-going",
            Behaviour::SlowReader(_) => "slow-reader",
            Behaviour::Reconnecting(_) => "reconnecting",
        }
    }

    /// Whether such a client stays in its room as long as its connection isn't reset.
    pub fn stays(&self) -> bool {
        !matches!(self, Behaviour::ComingAndGoing(_) | Behaviour::Reconnecting(_))
    }
}

/// Stays and absences in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The mean stay.
    pub stay: Duration,
    /// The mean absence.
    pub absence: Duration,
    pub durations: Durations,
}

/// How durations are distributed about their mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durations {
    /// Exponentially, but never below a tenth of the mean.
    Exponential,
    /// All the same.
    Constant,
}

/// How a slow reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It doesn't read at all for the time `pause`, once in every `every`.
    Pauses { pause: Duration, every: Duration },
    /// It reads at most so many bytes a second.
    Rate { bytes: u32 },
}

/// How the sessions arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sessions {
    pub arrival: Arrival,
    /// Sessions a second, for the whole load.
    pub rate: f64,
}

/// How arrivals are distributed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At equal distances.
    Constant,
    /// Independently of each other.
    Poisson,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Messages {
    pub pace: Pace,
    pub sizes: TextSizes,
}

/// What decides when a message is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The plan: so many messages a second for the whole load, whatever the target does.
    Open { arrival: Arrival, rate: f64 },
    /// The target: so many messages in flight in the whole load, the next one a think time after an earlier one has come back.
    Closed { in_flight: u32, think: Duration },
}

/// Bytes of text in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSizes {
    /// Evenly distributed, both ends included.
    Range { from: u32, to: u32 },
    /// Sizes with their weights.
    Weighted(Vec<(u32, u32)>),
}

impl TextSizes {
    pub fn largest(&self) -> u32 {
        match self {
            TextSizes::Range { to, .. } => *to,
            TextSizes::Weighted(sizes) => sizes.iter().map(|(size, _)| *size).max().unwrap_or(SHORTEST_TEXT),
        }
    }
}

/// A phase, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseShape {
    pub name: String,
    pub kind: PhaseKind,
    pub duration: Duration,
    /// Messages a second at its start and at its end, for the whole load; the load's own rate where there is none.
    pub rate: Option<(f64, f64)>,
    /// Of a burst: times the rate.
    pub factor: Option<f64>,
    pub storm: Option<StormShape>,
    /// Whether thresholds that name no phase look at it.
    pub counts: bool,
}

/// What a storm does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StormShape {
    /// How many of the clients are hit, between 0 and 1.
    pub fraction: f64,
    /// How long it takes until the last of them comes back.
    pub spread: Duration,
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseKind {
    /// The sessions arrive; the plan adds it.
    Arrive,
    WarmUp,
    /// The rate grows or falls.
    Ramp,
    Steady,
    /// The rate is a multiple of what it is otherwise.
    Burst,
    /// Connections are reset at its start, and come back.
    Storm,
    /// Nothing new is sent; what is on its way arrives.
    Drain,
}

impl PhaseKind {
    /// Those that a profile may have.
    pub const WRITTEN: [PhaseKind; 6] =
        [PhaseKind::WarmUp, PhaseKind::Ramp, PhaseKind::Steady, PhaseKind::Burst, PhaseKind::Storm, PhaseKind::Drain];

    pub fn name(self) -> &'static str {
        match self {
            PhaseKind::Arrive => "arrive",
            PhaseKind::WarmUp => "warm-up",
            PhaseKind::Ramp => "ramp",
            PhaseKind::Steady => "steady",
            PhaseKind::Burst => "burst",
            PhaseKind::Storm => "storm",
            PhaseKind::Drain => "drain",
        }
    }

    /// Whether messages are begun in it.
    pub fn sends(self) -> bool {
        !matches!(self, PhaseKind::Arrive | PhaseKind::Drain)
    }

    /// Whether thresholds look at it unless told otherwise.
    pub fn counts(self) -> bool {
        matches!(self, PhaseKind::Steady | PhaseKind::Burst | PhaseKind::Storm)
    }
}

impl fmt::Display for PhaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Profile {
    /// All clients of the load.
    pub fn clients(&self) -> u64 {
        self.rooms.iter().map(|group| u64::from(group.size) * u64::from(group.count)).sum()
    }

    /// All rooms of the load.
    pub fn room_count(&self) -> u64 {
        self.rooms.iter().map(|group| u64::from(group.count)).sum()
    }

    /// SHA-256 of all that the profile says but its seed, in hexadecimal.
    pub fn hash(&self) -> String {
        let unseeded = Self { seed: None, ..self.clone() };
        Sha256::digest(unseeded.to_yaml()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Writing a profile down.
impl Profile {
    /// The profile as YAML, complete: it reads as the very same profile again.
    pub fn to_yaml(&self) -> String {
        let mut lines = vec![format!("title: {}", quoted(&self.title))];
        lines.extend(self.seed.map(|seed| match i64::try_from(seed) {
            Ok(seed) => format!("seed: {seed}"),
            // A YAML number of this size isn't one everywhere.
            Err(_) => format!("seed: {}", quoted(&seed.to_string())),
        }));
        let rooms: Vec<String> = self.rooms.iter().map(|group| format!("{{size: {}, count: {}}}", group.size, group.count)).collect();
        lines.push(format!("rooms: {{sizes: [{}]}}", rooms.join(", ")));
        lines.push("behaviours:".into());
        for share in &self.behaviours {
            let mut keys = vec![format!("weight: {}", share.weight)];
            if !matches!(share.behaviour, Behaviour::Lurking) {
                keys.push(format!("sends: {}", share.sends));
            }
            match share.behaviour {
                Behaviour::Chatty | Behaviour::Lurking => {}
                Behaviour::ComingAndGoing(cycle) | Behaviour::Reconnecting(cycle) => {
                    keys.push(format!("stay: {}, absence: {}", lasting(cycle.stay), lasting(cycle.absence)));
                    keys.push(format!("durations: {}", cycle.durations.name()));
                }
                Behaviour::SlowReader(Reading::Pauses { pause, every }) => {
                    keys.push(format!("pause: {}, every: {}", lasting(pause), lasting(every)));
                }
                Behaviour::SlowReader(Reading::Rate { bytes }) => keys.push(format!("reads: {bytes}/s")),
            }
            lines.push(format!("  {}: {{{}}}", share.behaviour.name(), keys.join(", ")));
        }
        lines.push(format!("sessions: {{arrival: {}, rate: {}}}", self.sessions.arrival.name(), per_second(self.sessions.rate)));
        let pace = match self.messages.pace {
            Pace::Open { arrival, rate } => format!("arrival: {}, rate: {}", arrival.name(), per_second(rate)),
            Pace::Closed { in_flight, think } => format!("in-flight: {in_flight}, think: {}", lasting(think)),
        };
        lines.push(format!("messages: {{{pace}, {}}}", self.messages.sizes));
        lines.push("phases:".into());
        for phase in &self.phases {
            let mut keys = vec![format!("phase: {}, name: {}, duration: {}", phase.kind, quoted(&phase.name), lasting(phase.duration))];
            keys.extend(phase.rate.map(|(from, to)| match phase.kind {
                PhaseKind::Ramp => format!("from: {}, to: {}", per_second(from), per_second(to)),
                _ => format!("rate: {}", per_second(from)),
            }));
            keys.extend(phase.factor.map(|factor| format!("factor: {factor}")));
            keys.extend(phase.storm.map(|storm| format!("fraction: {}, spread: {}", storm.fraction, lasting(storm.spread))));
            keys.push(format!("counts: {}", phase.counts));
            lines.push(format!("  - {{{}}}", keys.join(", ")));
        }
        if !self.thresholds.is_empty() {
            lines.push("thresholds:".into());
            lines.extend(self.thresholds.iter().map(|threshold| format!("  - {}", quoted(threshold))));
        }
        lines.push(format!("deadline: {}", lasting(self.deadline)));
        lines.join("\n") + "\n"
    }
}

/// A JSON text is a YAML text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn lasting(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// The shortest figure that reads as the same number.
fn per_second(rate: f64) -> String {
    format!("{rate}/s")
}

impl Durations {
    /// Its name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Durations::Exponential => "exponential",
            Durations::Constant => "constant",
        }
    }
}

impl Arrival {
    /// Its name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Arrival::Constant => "constant",
            Arrival::Poisson => "poisson",
        }
    }
}

/// As profiles write them.
impl fmt::Display for TextSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextSizes::Range { from, to } if from == to => write!(f, "size: {from}"),
            TextSizes::Range { from, to } => write!(f, "size: {from}..{to}"),
            TextSizes::Weighted(sizes) => {
                let sizes: Vec<String> = sizes.iter().map(|(size, weight)| format!("{{size: {size}, weight: {weight}}}")).collect();
                write!(f, "sizes: [{}]", sizes.join(", "))
            }
        }
    }
}

impl Profile {
    /// The names of all phases of the plan: the arrival of the sessions, those that are written, and a drain where none stands last.
    pub fn phase_names(&self) -> Vec<String> {
        let mut names = vec![self.free(PhaseKind::Arrive)];
        names.extend(self.phases.iter().map(|phase| phase.name.clone()));
        if !self.drains() {
            names.push(self.free(PhaseKind::Drain));
        }
        names
    }

    /// Whether what is on its way in the end is waited for as written.
    pub(super) fn drains(&self) -> bool {
        self.phases.last().is_some_and(|phase| phase.kind == PhaseKind::Drain)
    }

    /// A name for a phase that isn't written.
    fn free(&self, kind: PhaseKind) -> String {
        let is_free = |name: &String| self.phases.iter().all(|phase| phase.name != *name);
        let numbered = (2..).map(|number: u32| format!("{kind}-{number}"));
        std::iter::once(kind.name().to_owned()).chain(numbered).find(is_free).expect("numbers don't run out")
    }
}
