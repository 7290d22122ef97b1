//! What a command line changes about a profile, or says without one.

use std::time::Duration;

use super::lower::{DEADLINE, SESSION_RATE, TEXT, apportion, default_names, fitting, phase_name, text_sizes};
use super::notation;
use super::profile::{Arrival, Behaviour, Messages, Pace, PhaseKind, PhaseShape, Profile, RoomGroup, Sessions, Share, StormShape};
use super::threshold::ThresholdError;
use crate::ledger::Wrong;
use crate::scenario::source::suggest;

/// What a command line says about a load; what it doesn't say stays as the profile has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Without `rooms`: in as many rooms as keep the rooms' sizes, but one room stays one.
    pub clients: Option<u32>,
    /// The clients are spread over them as evenly as whole numbers allow.
    pub rooms: Option<u32>,
    /// Messages a second for the whole load; rates of single phases change in proportion.
    pub rate: Option<f64>,
    /// How messages and sessions arrive.
    pub arrival: Option<Arrival>,
    /// Sessions a second.
    pub session_rate: Option<f64>,
    /// Of the phases that count, together; each is scaled.
    pub duration: Option<Duration>,
    pub seed: Option<u64>,
    /// Messages in flight: a closed load.
    pub closed: Option<u32>,
    /// Between a message that has come back and the next one, in a closed load.
    pub think: Option<Duration>,
    /// Bytes of text, the least and the greatest.
    pub size: Option<(u32, u32)>,
    /// Instead of the profile's, each as `KIND[=NAME]:DURATION[@WHAT]`; see [`phase`].
    pub phases: Vec<String>,
    /// Beside the profile's.
    pub thresholds: Vec<String>,
    /// After this time a delivery counts as lost.
    pub deadline: Option<Duration>,
}

/// What is wrong with a command line's changes to a profile.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum OverrideError {
    #[error("`--{flag} 0` leaves nothing to do: give at least 1")]
    Zero { flag: &'static str },
    #[error("{rooms} rooms are too many for {clients} clients: give `--rooms` at most {clients}, or `--clients` at least {rooms}")]
    MoreRoomsThanClients { rooms: u32, clients: u64 },
    #[error("`--closed` and `--rate` contradict each other: in a closed load the target sets the pace; leave one of them out")]
    ClosedWithRate,
    #[error(
        "`--closed` and `--poisson` contradict each other: in a closed load messages don't arrive by themselves; leave one of them out"
    )]
    ClosedWithArrival,
    #[error("`--think` is for closed loads: give `--closed N` with it, or leave it out")]
    ThinkWithoutClosed,
    #[error(
        "`--closed` leaves the phase `{phase}` of the profile without a meaning, since it is about a rate: give the phases anew, as in `--phase steady:30s`"
    )]
    ClosedPhase { phase: String },
    #[error("`--duration` sets the phases that count, and those by `--phase` have durations of their own: leave one of them out")]
    DurationWithPhases,
    #[error("`--duration` sets the phases that count, and none does: give `--phase steady:{}` instead", humantime::format_duration(*duration))]
    NothingCounts { duration: Duration },
    #[error("`--phase {text}`: {why}")]
    Phase { text: String, why: String },
    #[error("there are two phases `{name}`: give one of them another name, as in `--phase steady=second:10s`")]
    TwoPhases { name: String },
    #[error("the phases by `--phase` send nothing that counts: give a `steady` one, as in `--phase steady:30s`")]
    NoPhaseCounts,
    #[error("`--size`: {0}")]
    Size(String),
    #[error("`--threshold`: {0}")]
    Threshold(ThresholdError),
    #[error("a threshold of the profile doesn't fit the phases by `--phase`: {0}\nname a phase so, as in `--phase steady=NAME:30s`")]
    OwnThreshold(ThresholdError),
}

impl Profile {
    /// The load that flags alone describe: 100 clients in rooms of about 20, one message a second from each, for 10 seconds after
    /// a warm-up of 2.
    ///
    /// # Errors
    /// What contradicts itself.
    pub fn from_flags(overrides: &Overrides) -> Result<Self, OverrideError> {
        let clients = overrides.clients.or(overrides.rooms.filter(|rooms| *rooms > 100)).unwrap_or(100);
        let shape = |kind: PhaseKind, seconds| PhaseShape {
            name: kind.name().to_owned(),
            kind,
            duration: Duration::from_secs(seconds),
            rate: None,
            factor: None,
            storm: None,
            counts: kind.counts(),
        };
        let deadline = overrides.deadline.unwrap_or(DEADLINE);
        let drain = PhaseShape { duration: deadline, ..shape(PhaseKind::Drain, 0) };
        let profile = Self {
            name: "flags".into(),
            title: "What the flags say".into(),
            seed: None,
            rooms: even(clients, clients.div_ceil(20)),
            behaviours: vec![Share { behaviour: Behaviour::Chatty, weight: 1, sends: 1 }],
            sessions: Sessions { arrival: Arrival::Constant, rate: SESSION_RATE },
            messages: Messages { pace: Pace::Open { arrival: Arrival::Constant, rate: f64::from(clients.max(1)) }, sizes: TEXT },
            phases: vec![shape(PhaseKind::WarmUp, 2), shape(PhaseKind::Steady, 10), drain],
            // Whoever says nothing else wants every message to arrive.
            thresholds: Wrong::ALL.iter().filter(|wrong| **wrong != Wrong::Late).map(|wrong| format!("{wrong} == 0")).collect(),
            deadline,
        };
        profile.with(overrides)
    }

    /// The profile as a command line changes it.
    ///
    /// # Errors
    /// What contradicts the profile or itself.
    pub fn with(mut self, overrides: &Overrides) -> Result<Self, OverrideError> {
        let zero = |flag, is_zero: bool| if is_zero { Err(OverrideError::Zero { flag }) } else { Ok(()) };
        zero("clients", overrides.clients == Some(0))?;
        zero("rooms", overrides.rooms == Some(0))?;
        zero("rate", overrides.rate.is_some_and(|rate| rate <= 0.0))?;
        zero("session-rate", overrides.session_rate.is_some_and(|rate| rate <= 0.0))?;
        zero("closed", overrides.closed == Some(0))?;
        zero("duration", overrides.duration.is_some_and(|duration| duration.is_zero()))?;
        zero("deadline", overrides.deadline.is_some_and(|deadline| deadline.is_zero()))?;

        self.seed = overrides.seed.or(self.seed);
        self.deadline = overrides.deadline.unwrap_or(self.deadline);
        self.sessions.rate = overrides.session_rate.unwrap_or(self.sessions.rate);
        self.sessions.arrival = overrides.arrival.unwrap_or(self.sessions.arrival);
        if let Some((from, to)) = overrides.size {
            self.messages.sizes = text_sizes(from, to).map_err(OverrideError::Size)?;
        }
        self.people(overrides)?;
        let before = self.pace(overrides)?;
        self.times(overrides, before)?;
        self.expectations(overrides)?;
        Ok(self)
    }

    fn people(&mut self, overrides: &Overrides) -> Result<(), OverrideError> {
        let (clients, rooms) = match (overrides.clients, overrides.rooms) {
            (None, None) => return Ok(()),
            (Some(clients), Some(rooms)) => (u64::from(clients), rooms),
            (None, Some(rooms)) => (self.clients(), rooms),
            (Some(clients), None) => {
                self.rooms = scaled(&self.rooms, clients);
                return Ok(());
            }
        };
        let fitting = u32::try_from(clients).ok().filter(|clients| rooms <= *clients);
        let clients = fitting.ok_or(OverrideError::MoreRoomsThanClients { rooms, clients })?;
        self.rooms = even(clients, rooms);
        Ok(())
    }

    /// Sets the pace; tells the profile's rate before, where there was one.
    fn pace(&mut self, overrides: &Overrides) -> Result<Option<f64>, OverrideError> {
        let before = match self.messages.pace {
            Pace::Open { rate, .. } => Some(rate),
            Pace::Closed { .. } => None,
        };
        let is_closed = overrides.closed.is_some() || (before.is_none() && overrides.rate.is_none());
        if overrides.closed.is_some() && overrides.rate.is_some() {
            return Err(OverrideError::ClosedWithRate);
        }
        if overrides.closed.is_some() && overrides.arrival.is_some() {
            return Err(OverrideError::ClosedWithArrival);
        }
        if overrides.think.is_some() && !is_closed {
            return Err(OverrideError::ThinkWithoutClosed);
        }
        self.messages.pace = match self.messages.pace {
            Pace::Closed { in_flight, think } if is_closed => {
                Pace::Closed { in_flight: overrides.closed.unwrap_or(in_flight), think: overrides.think.unwrap_or(think) }
            }
            Pace::Open { arrival, rate } if !is_closed => {
                Pace::Open { arrival: overrides.arrival.unwrap_or(arrival), rate: overrides.rate.unwrap_or(rate) }
            }
            Pace::Open { .. } => {
                Pace::Closed { in_flight: overrides.closed.unwrap_or(1), think: overrides.think.unwrap_or(Duration::ZERO) }
            }
            Pace::Closed { .. } => {
                Pace::Open { arrival: overrides.arrival.unwrap_or(Arrival::Constant), rate: overrides.rate.unwrap_or(1.0) }
            }
        };
        Ok(before)
    }

    fn times(&mut self, overrides: &Overrides, rate_before: Option<f64>) -> Result<(), OverrideError> {
        if overrides.phases.is_empty() {
            for phase in &mut self.phases {
                match (self.messages.pace, phase.kind) {
                    (Pace::Closed { .. }, PhaseKind::Ramp | PhaseKind::Burst) => {
                        return Err(OverrideError::ClosedPhase { phase: phase.name.clone() });
                    }
                    (Pace::Closed { .. }, _) => phase.rate = None,
                    (Pace::Open { rate, .. }, _) if overrides.rate.is_some() => {
                        let scale = |own: f64, before: f64| own * (rate / before);
                        phase.rate = phase.rate.zip(rate_before).map(|((from, to), before)| (scale(from, before), scale(to, before)));
                    }
                    (Pace::Open { .. }, _) => {}
                }
            }
        } else {
            if overrides.duration.is_some() {
                return Err(OverrideError::DurationWithPhases);
            }
            let wrong = |text: &str, why| OverrideError::Phase { text: text.to_owned(), why };
            let mut phases = Vec::new();
            for text in &overrides.phases {
                let (name, shape) = phase(text, self.messages.pace, self.deadline).map_err(|why| wrong(text, why))?;
                phases.push((name, shape));
            }
            let names = default_names(phases.iter().map(|(name, shape)| (shape.kind, name.as_deref())));
            self.phases.clear();
            for ((_, shape), name) in phases.into_iter().zip(names) {
                if self.phases.iter().any(|phase| phase.name == name) {
                    return Err(OverrideError::TwoPhases { name });
                }
                self.phases.push(PhaseShape { name, ..shape });
            }
            if !self.phases.iter().any(|phase| phase.counts) {
                return Err(OverrideError::NoPhaseCounts);
            }
        }
        if let Some(duration) = overrides.duration {
            let counting: Duration = self.phases.iter().filter(|phase| phase.counts).map(|phase| phase.duration).sum();
            if counting.is_zero() {
                return Err(OverrideError::NothingCounts { duration });
            }
            let factor = duration.as_secs_f64() / counting.as_secs_f64();
            // Whole milliseconds are what a reader of the plan wants to see.
            let scale = |length: Duration| Duration::from_millis(((length.as_secs_f64() * factor * 1000.0).round() as u64).max(1));
            for phase in self.phases.iter_mut().filter(|phase| phase.counts) {
                phase.duration = scale(phase.duration);
                if let Some(storm) = &mut phase.storm {
                    storm.spread = scale(storm.spread).min(phase.duration);
                }
            }
        }
        Ok(())
    }

    fn expectations(&mut self, overrides: &Overrides) -> Result<(), OverrideError> {
        let phases = self.phase_names();
        if !overrides.phases.is_empty() {
            for text in &self.thresholds {
                fitting(text, &phases).map_err(OverrideError::OwnThreshold)?;
            }
        }
        for text in &overrides.thresholds {
            fitting(text, &phases).map_err(OverrideError::Threshold)?;
        }
        self.thresholds.extend(overrides.thresholds.iter().cloned());
        Ok(())
    }
}

/// So many clients in so many rooms, of sizes that differ by one at most.
fn even(clients: u32, rooms: u32) -> Vec<RoomGroup> {
    let rooms = rooms.clamp(1, clients.max(1));
    let (size, larger) = (clients / rooms, clients % rooms);
    let groups = [RoomGroup { size: size + 1, count: larger }, RoomGroup { size, count: rooms - larger }];
    groups.into_iter().filter(|group| group.count > 0 && group.size > 0).collect()
}

/// Rooms of the same sizes for another number of clients.
fn scaled(rooms: &[RoomGroup], clients: u32) -> Vec<RoomGroup> {
    let count: u32 = rooms.iter().map(|group| group.count).sum();
    let all: u64 = rooms.iter().map(|group| u64::from(group.size) * u64::from(group.count)).sum();
    let is_uniform = rooms.iter().all(|group| group.size.abs_diff(rooms[0].size) <= 1);
    if count <= 1 || is_uniform || all == 0 {
        let wanted = (f64::from(clients) * f64::from(count) / (all as f64).max(1.0)).round() as u32;
        return even(clients, if count <= 1 { 1 } else { wanted });
    }
    // Each size keeps its part of the clients; who is left over fills as many rooms as they can, and then a smaller one.
    let weights: Vec<u32> = rooms.iter().map(|group| (u64::from(group.size) * u64::from(group.count)).min(1 << 30) as u32).collect();
    let mut scaled: Vec<RoomGroup> = rooms
        .iter()
        .zip(apportion(clients, &weights))
        .map(|(group, part)| RoomGroup { size: group.size, count: part / group.size })
        .collect();
    let mut left = clients - scaled.iter().map(|group| group.size * group.count).sum::<u32>();
    let mut largest_first: Vec<usize> = (0..scaled.len()).collect();
    largest_first.sort_by_key(|index| std::cmp::Reverse(scaled[*index].size));
    for index in largest_first {
        let more = left / scaled[index].size;
        scaled[index].count += more;
        left -= more * scaled[index].size;
    }
    scaled.push(RoomGroup { size: left, count: u32::from(left > 0) });
    scaled.retain(|group| group.count > 0);
    scaled
}

/// A phase as a flag gives it, with its name if it has one: `KIND[=NAME]:DURATION[@WHAT,…]`. What follows the `@`: a rate
/// (`steady:30s@2000/s`), two rates of a ramp (`ramp:10s@100/s..2000/s`), a burst's factor (`burst:5s@x3`), a storm's fraction and
/// the time in which all come back (`storm:20s@50%,5s`).
///
/// # Errors
/// What is wrong with the text, and how it would be right.
pub fn phase(text: &str, pace: Pace, deadline: Duration) -> Result<(Option<String>, PhaseShape), String> {
    const FORM: &str = "write KIND:DURATION[@RATE], as in `steady:30s@2000/s`";
    let (head, what) = text.split_once('@').map_or((text, ""), |(head, what)| (head, what));
    let (kind, duration) = head.split_once(':').map_or((head, None), |(kind, duration)| (kind, Some(duration)));
    let (kind, name) = kind.split_once('=').map_or((kind, None), |(kind, name)| (kind, Some(name)));
    let kinds = PhaseKind::WRITTEN.map(PhaseKind::name);
    let kind = PhaseKind::WRITTEN
        .into_iter()
        .find(|known| known.name() == kind)
        .ok_or_else(|| format!("there is no phase `{kind}`: {}", suggest(kind, kinds)))?;
    name.map_or(Ok(()), phase_name)?;
    let duration = match duration {
        Some(duration) => notation::duration(duration)?,
        None if kind == PhaseKind::Drain => deadline,
        None => return Err(format!("it has no duration: {FORM}")),
    };
    if duration.is_zero() {
        return Err(format!("it lasts no time at all: {FORM}"));
    }
    let (base, is_open) = match pace {
        Pace::Open { rate, .. } => (rate, true),
        Pace::Closed { .. } => (0.0, false),
    };
    if !is_open && matches!(kind, PhaseKind::Ramp | PhaseKind::Burst) {
        return Err(format!(
            "in a closed load the target sets the pace, so there is no {kind}: write `steady:{}`",
            duration_text(duration)
        ));
    }
    let mut shape = PhaseShape { name: String::new(), kind, duration, rate: None, factor: None, storm: None, counts: kind.counts() };
    let (mut fraction, mut spread) = (None, None);
    for word in what.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if word.contains('/') {
            let (from, to) = match word.split_once("..") {
                Some((from, to)) => (notation::rate(from)?, notation::rate(to)?),
                None => (notation::rate(word)?, notation::rate(word)?),
            };
            if !is_open || kind == PhaseKind::Drain {
                return Err(format!("a {} has no rate: leave out `{word}`", if is_open { "drain" } else { "closed load" }));
            }
            match (kind == PhaseKind::Ramp, word.contains("..")) {
                (false, true) => return Err("only a ramp has two rates: write `ramp:10s@100/s..2000/s`".to_owned()),
                (true, false) => shape.rate = Some((0.0, to)),
                _ => shape.rate = Some((from, to)),
            }
            if from.max(to) <= 0.0 || (kind != PhaseKind::Ramp && from <= 0.0) {
                return Err(format!("nothing is sent at `{word}`: give a rate such as `400/s`"));
            }
        } else if let Some(factor) = word.strip_prefix('x').filter(|_| kind == PhaseKind::Burst) {
            let factor = factor.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
            shape.factor = Some(factor.ok_or_else(|| format!("`{word}` isn't a factor such as `x3`"))?);
        } else if word.ends_with('%') && kind == PhaseKind::Storm {
            fraction = Some(notation::fraction(word)?);
        } else if kind == PhaseKind::Storm {
            spread = Some(notation::duration(word)?);
        } else {
            return Err(format!("`{word}` says nothing about a phase `{kind}`: {FORM}"));
        }
    }
    match kind {
        PhaseKind::Ramp => shape.rate = shape.rate.or(Some((0.0, base))),
        PhaseKind::Burst if shape.factor.is_none() && shape.rate.is_none() => {
            return Err("a burst needs its factor: write `burst:5s@x3`".to_owned());
        }
        PhaseKind::Burst => shape.factor = shape.factor.or(Some(1.0)),
        PhaseKind::Storm => {
            let fraction = fraction.ok_or("a storm needs the fraction of connections that it resets: write `storm:20s@50%`")?;
            let spread = spread.unwrap_or(duration / 2);
            if spread > duration {
                return Err(format!("they would still be coming back after {}, when the storm is over", duration_text(duration)));
            }
            shape.storm = Some(StormShape { fraction, spread });
        }
        _ => {}
    }
    Ok((name.map(str::to_owned), shape))
}

fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(overrides: Overrides) -> Profile {
        Profile::from_flags(&overrides).expect("a profile")
    }

    fn sizes(profile: &Profile) -> Vec<(u32, u32)> {
        profile.rooms.iter().map(|group| (group.size, group.count)).collect()
    }

    #[test]
    fn clients_are_spread_evenly_over_rooms() {
        let spread = |clients, rooms| sizes(&flags(Overrides { clients, rooms, ..Overrides::default() }));
        assert_eq!(spread(Some(5000), Some(250)), [(20, 250)]);
        assert_eq!(spread(Some(10), Some(4)), [(3, 2), (2, 2)]);
        assert_eq!(spread(Some(7), None), [(7, 1)]);
        assert_eq!(spread(None, Some(300)), [(1, 300)]);
        assert_eq!(spread(None, None), [(20, 5)]);
    }

    #[test]
    fn other_numbers_of_clients_keep_the_rooms_of_a_profile() {
        let mut profile = flags(Overrides::default());
        let mut spread = |rooms: &[(u32, u32)], clients| {
            profile.rooms = rooms.iter().map(|(size, count)| RoomGroup { size: *size, count: *count }).collect();
            let profile = profile.clone().with(&Overrides { clients: Some(clients), ..Overrides::default() }).expect("a profile");
            assert_eq!(profile.clients(), u64::from(clients));
            sizes(&profile)
        };
        assert_eq!(spread(&[(2000, 1)], 5000), [(5000, 1)]);
        assert_eq!(spread(&[(20, 50)], 2000), [(20, 100)]);
        assert_eq!(spread(&[(2, 30), (5, 10)], 330), [(2, 90), (5, 30)]);
        assert_eq!(spread(&[(3, 30), (50, 2)], 100), [(3, 16), (50, 1), (2, 1)]);
        assert_eq!(spread(&[(3, 30), (50, 2)], 1), [(1, 1)]);
    }

    #[test]
    fn rates_and_durations_change_in_proportion() {
        let phases = ["ramp:4s@100/s..200/s", "steady:10s", "steady=second:30s@50/s", "drain:1s"].map(String::from).to_vec();
        let profile = flags(Overrides { rate: Some(100.0), phases, ..Overrides::default() });
        let overrides = Overrides { rate: Some(200.0), duration: Some(Duration::from_secs(20)), ..Overrides::default() };
        let profile = profile.with(&overrides).expect("a profile");
        let shown: Vec<_> = profile.phases.iter().map(|phase| (phase.name.as_str(), phase.duration.as_secs(), phase.rate)).collect();
        let expected = [("ramp", 4, Some((200.0, 400.0))), ("steady", 5, None), ("second", 15, Some((100.0, 100.0))), ("drain", 1, None)];
        assert_eq!(shown, expected);
    }

    #[test]
    fn contradictions_are_told_with_how_to_mend_them() {
        let mut profile = flags(Overrides { phases: vec!["steady:5s".into(), "burst:1s@x3".into()], ..Overrides::default() });
        profile.thresholds.push("deliver.p99{phase=burst} < 1s".into());
        let told = |overrides: Overrides| profile.clone().with(&overrides).expect_err("an error").to_string();
        let phases = |texts: &[&str]| Overrides { phases: texts.iter().map(|text| (*text).to_owned()).collect(), ..Overrides::default() };
        let all = [
            told(Overrides { clients: Some(3), rooms: Some(5), ..Overrides::default() }),
            told(Overrides { rooms: Some(0), ..Overrides::default() }),
            told(Overrides { closed: Some(3), rate: Some(5.0), ..Overrides::default() }),
            told(Overrides { closed: Some(3), arrival: Some(Arrival::Poisson), ..Overrides::default() }),
            told(Overrides { closed: Some(3), ..Overrides::default() }),
            told(Overrides { think: Some(Duration::from_secs(1)), ..Overrides::default() }),
            told(Overrides { size: Some((10, 10)), ..Overrides::default() }),
            told(Overrides { thresholds: vec!["deliver.p99{phase=bust} < 1s".into()], ..Overrides::default() }),
            told(phases(&["steady:5s"])),
            told(Overrides { duration: Some(Duration::from_secs(3)), ..phases(&["steady:5s"]) }),
            told(phases(&["warm-up:5s"])),
            told(phases(&["steady=a:5s", "steady=a:5s"])),
            told(phases(&["stedy:5s"])),
            told(phases(&["steady"])),
            told(phases(&["steady:5"])),
            told(phases(&["steady:5s@fast"])),
            told(phases(&["steady:5s@1/s..9/s"])),
            told(phases(&["drain:5s@9/s"])),
            told(phases(&["burst:5s"])),
            told(phases(&["storm:5s"])),
            told(phases(&["storm:5s@50%,9s"])),
            told(Overrides { closed: Some(3), ..phases(&["ramp:5s"]) }),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }
}
