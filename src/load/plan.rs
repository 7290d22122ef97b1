//! What a load does: a pure function of a profile and a seed, cut by room into slices. Nothing here grows with the number of
//! messages: what happens in a room is drawn as it is asked for.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::profile::{Arrival, Behaviour, Pace, PhaseKind, Profile, Sessions, Share, StormShape, TextSizes};
use super::random::{Stream, scale};
use super::schedule::{Clock, Happenings, Pacing, Turns};
use crate::event;

/// Between the creators of the rooms and everybody else, and behind the last arrival, so long for it to be dealt with.
const SETTLING: Duration = Duration::from_millis(500);

/// As many room sizes are told apart; more are gathered by powers of two.
const SIZE_CLASSES: usize = 8;

/// A load, from its first connection to its last delivery.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Resolved; its seed is the plan's.
    pub profile: Profile,
    pub seed: u64,
    /// Each begins where the one before it ends. The first is the arrival of the sessions, the last a drain.
    pub phases: Vec<Phase>,
    shared: Arc<Shared>,
    messages: OnceLock<Option<u64>>,
}

/// A part of a load's time.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// No two phases have the same.
    pub name: String,
    pub kind: PhaseKind,
    /// Since the run's start.
    pub start: Duration,
    pub end: Duration,
    /// Whether thresholds that name no phase look at it.
    pub counts: bool,
    /// Messages a second for the whole load, at its start and at its end; `None` where none are begun, or the target sets the pace.
    pub rate: Option<(f64, f64)>,
}

impl Phase {
    /// Whether messages are begun in it.
    pub fn sends(&self) -> bool {
        self.kind.sends()
    }
}

/// How many deliveries messages make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FanOut {
    /// Deliveries for each message, in the mean.
    pub mean: f64,
    /// The part of all deliveries that happens in the busiest room, above 0 and at most 1: no shard can have less than one room.
    pub largest_share: f64,
}

/// A profile that gives no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("the profile has no clients: give `rooms` a count and a size of at least 1")]
    Nobody,
    #[error("the profile has {found} clients; {} are the most", u32::MAX)]
    TooMany { found: u64 },
    #[error("none of the {clients} clients sends: give a behaviour that sends (`chatty`) more weight, or have more clients")]
    NobodySends { clients: u64 },
}

/// What every room's happenings need to know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) sessions: Sessions,
    pub(super) shares: Vec<Share>,
    pub(super) pace: Pace,
    pub(super) texts: TextSizes,
    pub(super) pacing: Pacing,
    /// When they begin, since the run's start.
    pub(super) storms: Vec<(Duration, StormShape)>,
    /// From here on those arrive who create no room.
    pub(super) others_from: Duration,
    /// Everybody has arrived.
    pub(super) begin: Duration,
    /// Nobody moves any more: the last drain begins.
    pub(super) quiet: Duration,
    /// By room, and one more: the clients of all rooms before it, and what all those rooms send, as against others.
    before: Vec<(u64, u64)>,
    /// Where in the sequence of behaviours the first client stands.
    shift: u64,
}

impl Shared {
    pub(super) fn rooms(&self) -> u32 {
        (self.before.len() - 1) as u32
    }

    pub(super) fn clients(&self) -> u64 {
        self.before[self.before.len() - 1].0
    }

    pub(super) fn weight_of_all(&self) -> u64 {
        self.before[self.before.len() - 1].1
    }

    /// The clients of all rooms before this one, and its own.
    pub(super) fn places(&self, room: u32) -> (u64, u32) {
        let before = self.before[room as usize].0;
        (before, (self.before[room as usize + 1].0 - before) as u32)
    }

    pub(super) fn size(&self, room: u32) -> u32 {
        self.places(room).1
    }

    /// How much all rooms before this one send, and how much it sends itself, as against others.
    pub(super) fn weight(&self, room: u32) -> (u64, u64) {
        let before = self.before[room as usize].1;
        (before, self.before[room as usize + 1].1 - before)
    }

    pub(super) fn somebody_moves(&self) -> bool {
        let still = |share: &Share| matches!(share.behaviour, Behaviour::Chatty | Behaviour::Lurking) || share.weight == 0;
        !self.storms.is_empty() || !self.shares.iter().all(still)
    }

    /// The behaviour of each client of a room, as an index into `shares`.
    pub(super) fn kinds(&self, room: u32) -> Vec<u8> {
        let (before, size) = self.places(room);
        kinds(&self.shares, self.shift, before, size)
    }
}

/// Behaviours of clients that follow each other. Multiples of the golden ratio are spread so evenly that any number of neighbours
/// has each behaviour as often as its weight wants, give or take a client or two.
fn kinds(shares: &[Share], shift: u64, before: u64, size: u32) -> Vec<u8> {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let all: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut kinds: Vec<u8> = (before..before + u64::from(size))
        .map(|client| {
            let mut drawn = scale(client.wrapping_mul(GOLDEN).wrapping_add(shift), all);
            let position = shares.iter().position(|share| match drawn.checked_sub(u64::from(share.weight)) {
                Some(rest) => {
                    drawn = rest;
                    false
                }
                None => true,
            });
            position.expect("it is below the sum of the weights") as u8
        })
        .collect();
    // A room may go once all have left it, and a message needs somebody to send it: if anybody stays, the creator does.
    let suits = |kind: u8| {
        let share = &shares[usize::from(kind)];
        (share.behaviour.stays(), share.sends > 0)
    };
    let best = (0..kinds.len()).rev().max_by_key(|slot| suits(kinds[*slot]));
    if let Some(best) = best {
        kinds.swap(0, best);
    }
    kinds
}

impl Plan {
    /// The plan of a profile.
    ///
    /// # Errors
    /// Where it has no clients, too many, or nobody who sends.
    pub fn new(mut profile: Profile, seed: u64) -> Result<Self, PlanError> {
        let clients = profile.clients();
        if clients == 0 {
            return Err(PlanError::Nobody);
        }
        if u32::try_from(clients).is_err() || u32::try_from(profile.room_count()).is_err() {
            return Err(PlanError::TooMany { found: clients });
        }
        profile.seed = Some(seed);
        let sizes = sizes(&profile, seed);
        let shift = Stream::new(seed, "behaviours", 0).bits();
        let mut before = Vec::with_capacity(sizes.len() + 1);
        let (mut places, mut weight) = (0, 0);
        for size in &sizes {
            before.push((places, weight));
            let kinds = kinds(&profile.behaviours, shift, places, *size);
            weight += kinds.iter().map(|kind| u64::from(profile.behaviours[usize::from(*kind)].sends)).sum::<u64>();
            places += u64::from(*size);
        }
        before.push((places, weight));
        if weight == 0 {
            return Err(PlanError::NobodySends { clients });
        }

        let after = |count: u64| Duration::from_nanos((count as f64 / profile.sessions.rate * 1e9) as u64);
        let rooms = sizes.len() as u64;
        let others_from = after(rooms) + if clients > rooms { SETTLING } else { Duration::ZERO };
        let begin = others_from + after(clients - rooms) + SETTLING;
        let phases = phases(&profile, begin);
        let quiet = phases.last().map_or(begin, |phase| phase.start);
        let starts = phases.iter().skip(1).map(|phase| phase.start);
        let storms = profile.phases.iter().zip(starts).filter_map(|(shape, start)| shape.storm.map(|storm| (start, storm))).collect();
        let shared = Shared {
            seed,
            sessions: profile.sessions,
            shares: profile.behaviours.clone(),
            pace: profile.messages.pace,
            texts: profile.messages.sizes.clone(),
            pacing: Pacing::new(phases.iter().filter_map(|phase| Some((phase.start, phase.end, phase.rate?)))),
            storms,
            others_from,
            begin,
            quiet,
            before,
            shift,
        };
        Ok(Self { profile, seed, phases, shared: Arc::new(shared), messages: OnceLock::new() })
    }

    pub fn rooms(&self) -> u32 {
        self.shared.rooms()
    }

    pub fn clients(&self) -> u32 {
        self.shared.clients() as u32
    }

    /// Places in the largest room.
    pub fn largest_room(&self) -> u32 {
        (0..self.rooms()).map(|room| self.shared.size(room)).max().unwrap_or(0)
    }

    /// How a message multiplies, rooms weighed by how much is sent in them.
    pub fn fan_out(&self) -> FanOut {
        let weight = |room: u32| self.shared.weight(room).1 as f64;
        let deliveries = |room: u32| weight(room) * f64::from(self.shared.size(room));
        let all: f64 = (0..self.rooms()).map(deliveries).sum();
        let most = (0..self.rooms()).map(deliveries).fold(0.0, f64::max);
        FanOut { mean: all / self.shared.weight_of_all() as f64, largest_share: most / all }
    }

    /// How long it all takes, the last drain included.
    pub fn duration(&self) -> Duration {
        self.phases.last().map_or(Duration::ZERO, |phase| phase.end)
    }

    /// A room by its number, which is below `rooms()`.
    pub fn room(&self, number: u32) -> RoomPlan {
        let size = self.shared.size(number);
        let users = (0..)
            .zip(self.shared.kinds(number))
            .map(|(slot, kind)| UserPlan {
                slot,
                name: format!("r{number}u{slot}"),
                behaviour: self.shared.shares[usize::from(kind)].behaviour,
            })
            .collect();
        RoomPlan { number, name: format!("r{number}"), size, size_class: self.size_class(size), users }
    }

    /// What a room of a size is counted under: its size, unless there are many; then the next power of two.
    fn size_class(&self, size: u32) -> u32 {
        let sizes: BTreeSet<u32> = self.profile.rooms.iter().filter(|group| group.count > 0).map(|group| group.size).collect();
        if sizes.len() <= SIZE_CLASSES { size } else { size.checked_next_power_of_two().unwrap_or(u32::MAX) }
    }

    /// The rooms of one of `of` slices, in rising order. Each room is in exactly one slice, and the slices have about as many
    /// deliveries and clients each.
    pub fn slice(&self, index: u32, of: u32) -> Vec<u32> {
        self.cut(&(0..self.rooms()).collect::<Vec<_>>(), index, of)
    }

    /// The same of these rooms only: what a process has of the plan is cut once more, by its threads.
    pub fn cut(&self, rooms: &[u32], index: u32, of: u32) -> Vec<u32> {
        let deliveries = |room: u32| self.shared.weight(room).1 as f64 * f64::from(self.shared.size(room));
        let all: f64 = (0..self.rooms()).map(deliveries).sum();
        let cost = |room: u32| deliveries(room) / all + f64::from(self.shared.size(room)) / self.shared.clients() as f64;
        let mut rooms: Vec<(f64, u32)> = rooms.iter().map(|room| (cost(*room), *room)).collect();
        rooms.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        // The costliest first, each into the slice that has least.
        let mut slices: std::collections::BTreeSet<(OrderedCost, u32)> = (0..of).map(|slice| (OrderedCost(0.0), slice)).collect();
        let mut chosen = Vec::new();
        for (cost, room) in rooms {
            let Some((OrderedCost(sum), slice)) = slices.pop_first() else {
                break;
            };
            if slice == index {
                chosen.push(room);
            }
            slices.insert((OrderedCost(sum + cost), slice));
        }
        chosen.sort_unstable();
        chosen
    }

    /// Which phase an instant since the run's start belongs to: an index into `phases`, the last one for all that comes later.
    pub fn phase_at(&self, at: Duration) -> usize {
        self.phases.partition_point(|phase| phase.end <= at).min(self.phases.len() - 1)
    }

    /// How many messages happen in all; `None` in a closed load. The first call may have to go through them all, where they are
    /// random or clients come and go: some tens of nanoseconds each.
    pub fn planned_messages(&self) -> Option<u64> {
        *self.messages.get_or_init(|| {
            let Pace::Open { arrival, .. } = self.profile.messages.pace else {
                return None;
            };
            let of_room = |room| -> u64 {
                if self.shared.somebody_moves() {
                    let messages = Happenings::new(&self.shared, room);
                    return messages.filter(|happening| matches!(happening.act, super::schedule::Act::Message { .. })).count() as u64;
                }
                Clock::new(&self.shared, room).map_or(0, |clock| match arrival {
                    Arrival::Poisson => clock.count() as u64,
                    Arrival::Constant => clock.total(),
                })
            };
            Some((0..self.rooms()).map(of_room).sum())
        })
    }

    /// The plan, as the log tells it.
    pub fn shown(&self, threads: u32, shard: Option<String>) -> event::Planned {
        let millis = event::millis;
        event::Planned {
            profile: self.profile.name.clone(),
            hash: self.profile.hash(),
            resolved: self.profile.to_yaml(),
            clients: self.clients(),
            rooms: self.rooms(),
            largest: self.largest_room(),
            phases: self
                .phases
                .iter()
                .map(|phase| event::PhasePlanned {
                    name: phase.name.clone(),
                    kind: phase.kind.name().to_owned(),
                    start_ms: millis(phase.start),
                    end_ms: millis(phase.end),
                    rate: phase.rate,
                    counts: phase.counts,
                })
                .collect(),
            messages: self.planned_messages(),
            threads,
            shard,
        }
    }
}

/// The sizes of all rooms, in an order that the seed decides, so that neighbours aren't all of a size.
fn sizes(profile: &Profile, seed: u64) -> Vec<u32> {
    let mut sizes: Vec<u32> =
        profile.rooms.iter().flat_map(|group| std::iter::repeat_n(group.size, group.count as usize)).filter(|size| *size > 0).collect();
    let mut stream = Stream::new(seed, "sizes", 0);
    for place in (1..sizes.len()).rev() {
        sizes.swap(place, stream.below(place as u64 + 1) as usize);
    }
    sizes
}

/// The phases with their instants: the arrival of the sessions before those that are written, and a drain behind them.
fn phases(profile: &Profile, begin: Duration) -> Vec<Phase> {
    let base = match profile.messages.pace {
        Pace::Open { rate, .. } => Some(rate),
        Pace::Closed { .. } => None,
    };
    let mut names = profile.phase_names().into_iter();
    let mut name = || names.next().expect("each phase has a name");
    let added = |name, kind, start, end| Phase { name, kind, start, end, counts: false, rate: None };
    let mut phases = vec![added(name(), PhaseKind::Arrive, Duration::ZERO, begin)];
    let mut start = begin;
    for shape in &profile.phases {
        let end = start + shape.duration;
        let rate = base.filter(|_| shape.kind.sends()).map(|base| {
            let (from, to) = shape.rate.unwrap_or((base, base));
            let factor = shape.factor.unwrap_or(1.0);
            (from * factor, to * factor)
        });
        phases.push(Phase { name: name(), kind: shape.kind, start, end, counts: shape.counts, rate });
        start = end;
    }
    if !profile.drains() {
        phases.push(added(name(), PhaseKind::Drain, start, start + profile.deadline));
    }
    phases
}

/// A cost that can be compared: it is never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OrderedCost(f64);

impl Eq for OrderedCost {}

impl PartialOrd for OrderedCost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedCost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A room and who is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomPlan {
    pub number: u32,
    /// Without what makes it new in each run.
    pub name: String,
    /// Places, which is the number of its users.
    pub size: u32,
    /// What histograms count it under: the size, or, where there are many sizes, the next power of two.
    pub size_class: u32,
    pub users: Vec<UserPlan>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq)]
pub struct UserPlan {
    /// From 0, in the order in which they arrive. Slot 0 creates the room, well before anybody else arrives there.
    pub slot: u32,
    /// No two users of a plan have the same. Without what makes it new in each run.
    pub name: String,
    pub behaviour: Behaviour,
}

impl RoomPlan {
    /// Everything that happens in this room, in the order of its instants. In a closed load there are no messages among it.
    pub fn happenings(&self, plan: &Plan) -> Happenings {
        Happenings::new(&plan.shared, self.number)
    }

    /// In a closed load: who sends next and how long a text, endlessly. Whoever is away when it is their turn is passed over.
    pub fn turns(&self, plan: &Plan) -> Turns {
        Turns::new(&plan.shared, self.number)
    }

    /// In a closed load: how many messages the room keeps in flight; of all rooms together just as many as the profile wants.
    pub fn in_flight(&self, plan: &Plan) -> u32 {
        let Pace::Closed { in_flight, .. } = plan.profile.messages.pace else {
            return 0;
        };
        let (before, weight) = plan.shared.weight(self.number);
        let all = u128::from(plan.shared.weight_of_all());
        let until = |weight: u64| u128::from(weight) * u128::from(in_flight) / all;
        (until(before + weight) - until(before)) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::profile::*;
    use super::super::schedule::{Act, Happening};
    use super::*;

    fn millis(from: u64, to: u64) -> impl Strategy<Value = Duration> {
        (from..to).prop_map(Duration::from_millis)
    }

    fn arrival() -> impl Strategy<Value = Arrival> {
        prop_oneof![Just(Arrival::Constant), Just(Arrival::Poisson)]
    }

    fn cycle() -> impl Strategy<Value = Cycle> {
        let durations = prop_oneof![Just(Durations::Constant), Just(Durations::Exponential)];
        (millis(200, 5000), millis(50, 2000), durations).prop_map(|(stay, absence, durations)| Cycle { stay, absence, durations })
    }

    fn behaviours() -> impl Strategy<Value = Vec<Share>> {
        let reading = prop_oneof![
            (millis(100, 900), millis(1000, 4000)).prop_map(|(pause, every)| Reading::Pauses { pause, every }),
            (1000u32..100_000).prop_map(|bytes| Reading::Rate { bytes })
        ];
        (prop::array::uniform5(0u32..5), prop::array::uniform4(0u32..3), cycle(), cycle(), reading).prop_map(
            |(weights, sends, leaving, breaking, reading)| {
                let kinds = [
                    (Behaviour::Chatty, sends[0] + 1),
                    (Behaviour::Lurking, 0),
                    (Behaviour::ComingAndGoing(leaving), sends[1]),
                    (Behaviour::SlowReader(reading), sends[2]),
                    (Behaviour::Reconnecting(breaking), sends[3]),
                ];
                let shares = kinds.into_iter().zip(weights);
                shares
                    .map(|((behaviour, sends), weight)| Share {
                        behaviour,
                        sends,
                        weight: weight + u32::from(behaviour == Behaviour::Chatty),
                    })
                    .collect()
            },
        )
    }

    fn phases() -> impl Strategy<Value = Vec<PhaseShape>> {
        let part = (0usize..6, millis(100, 3000), 0u32..200, 0u32..200, 1u32..=100);
        prop::collection::vec(part, 1..5).prop_map(|phases| {
            let shape = |(index, (kind, duration, from, to, hit)): (usize, (usize, Duration, u32, u32, u32))| {
                let kind = PhaseKind::WRITTEN[kind];
                let rate = match kind {
                    PhaseKind::Ramp => Some((f64::from(from), f64::from(to + 1))),
                    PhaseKind::Steady if from > 100 => Some((f64::from(to + 1), f64::from(to + 1))),
                    _ => None,
                };
                let storm = StormShape { fraction: f64::from(hit) / 100.0, spread: duration / 2 };
                PhaseShape {
                    name: format!("{kind}-{index}-of-some"),
                    kind,
                    duration,
                    rate,
                    factor: (kind == PhaseKind::Burst).then_some(2.5),
                    storm: (kind == PhaseKind::Storm).then_some(storm),
                    counts: kind.counts(),
                }
            };
            let mut phases: Vec<PhaseShape> = phases.into_iter().enumerate().map(shape).collect();
            // Something must count.
            phases.push(PhaseShape { name: "last".into(), ..phase(PhaseKind::Steady, 1) });
            phases
        })
    }

    fn sizes() -> impl Strategy<Value = TextSizes> {
        prop_oneof![
            (64u32..1000, 0u32..1000).prop_map(|(from, more)| TextSizes::Range { from, to: from + more }),
            prop::collection::vec((64u32..5000, 1u32..5), 1..4).prop_map(TextSizes::Weighted),
        ]
    }

    /// Any profile, of some hundred messages at most.
    pub(in crate::load) fn profile() -> impl Strategy<Value = Profile> {
        let rooms = prop::collection::vec((1u32..12, 1u32..8), 1..4)
            .prop_map(|groups| groups.into_iter().map(|(size, count)| RoomGroup { size, count }).collect());
        let pace = prop_oneof![
            3 => (arrival(), 1u32..200).prop_map(|(arrival, rate)| Pace::Open { arrival, rate: f64::from(rate) }),
            1 => (1u32..50, millis(0, 100)).prop_map(|(in_flight, think)| Pace::Closed { in_flight, think }),
        ];
        (rooms, behaviours(), arrival(), 10u32..1000, pace, sizes(), phases()).prop_map(
            |(rooms, behaviours, arrival, rate, pace, sizes, mut phases)| {
                if matches!(pace, Pace::Closed { .. }) {
                    for phase in &mut phases {
                        phase.rate = None;
                        if matches!(phase.kind, PhaseKind::Ramp | PhaseKind::Burst) {
                            (phase.kind, phase.factor) = (PhaseKind::Steady, None);
                        }
                    }
                }
                Profile {
                    name: "any".into(),
                    title: "Any: \"load\"".into(),
                    seed: None,
                    rooms,
                    behaviours,
                    sessions: Sessions { arrival, rate: f64::from(rate) },
                    messages: Messages { pace, sizes },
                    phases,
                    thresholds: vec!["deliver.p99{phase=last} < 150ms".into()],
                    deadline: Duration::from_secs(10),
                }
            },
        )
    }

    fn happenings(plan: &Plan, rooms: impl IntoIterator<Item = u32>) -> BTreeMap<u32, (RoomPlan, Vec<Happening>)> {
        let all = rooms.into_iter().map(|number| {
            let room = plan.room(number);
            let happenings = room.happenings(plan).collect();
            (number, (room, happenings))
        });
        all.collect()
    }

    fn is_message(happening: &&Happening) -> bool {
        matches!(happening.act, Act::Message { .. })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_number_of_shards_and_threads_does_the_same(profile in profile(), seed: u64, of in 1u32..9, threads in 1u32..4) {
            let plan = Plan::new(profile.clone(), seed);
            prop_assume!(plan.is_ok());
            let plan = plan.expect("a plan");
            let whole = happenings(&plan, 0..plan.rooms());
            let mut parts = BTreeMap::new();
            for index in 0..of {
                // Each shard by a process of its own.
                let plan = Plan::new(profile.clone(), seed).expect("a plan");
                let own = plan.slice(index, of);
                for thread in 0..threads + index % 2 {
                    for (number, room) in happenings(&plan, plan.cut(&own, thread, threads + index % 2)) {
                        prop_assert!(parts.insert(number, room).is_none(), "room {number} is in two slices");
                    }
                }
            }
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn a_profile_that_is_written_down_is_the_same_again(profile in profile(), seed: Option<u64>) {
            let profile = Profile { seed, ..profile };
            let source = crate::scenario::source::Source { name: "any.yaml".into(), text: profile.to_yaml() };
            let again = Profile::read(source, "any").map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
            prop_assert_eq!(again.to_yaml(), profile.to_yaml());
            prop_assert_eq!(again, profile);
        }

        #[test]
        fn a_plan_is_made_by_its_seed(profile in profile(), seed: u64) {
            let plan = |seed| Plan::new(profile.clone(), seed).map(|plan| happenings(&plan, 0..plan.rooms())).ok();
            prop_assume!(plan(seed).is_some());
            prop_assert_eq!(plan(seed), plan(seed));
        }

        #[test]
        fn what_happens_is_in_order_and_makes_sense(profile in profile(), seed: u64) {
            let plan = Plan::new(profile, seed);
            prop_assume!(plan.is_ok());
            let plan = plan.expect("a plan");
            let mut messages = 0;
            let mut clients = 0;
            for (_, (room, happenings)) in happenings(&plan, 0..plan.rooms()) {
                prop_assert!(happenings.is_sorted_by_key(|happening| happening.at));
                prop_assert!(happenings.iter().all(|happening| happening.at < plan.duration()));
                prop_assert_eq!(happenings[0].slot, 0, "the creator comes first");
                clients += room.size;
                // Nobody does anything that they can't do where they are.
                let (mut there, mut reads) = (vec![false; room.size as usize], vec![true; room.size as usize]);
                let mut number = 0;
                for Happening { at, slot, act } in happenings {
                    let phase = &plan.phases[plan.phase_at(at)];
                    prop_assert!(phase.start <= at && at < phase.end);
                    prop_assert_eq!(phase.kind == PhaseKind::Arrive, act == Act::Arrive);
                    let index = slot as usize;
                    match act {
                        Act::Arrive | Act::Return => prop_assert!(!std::mem::replace(&mut there[index], true)),
                        Act::Leave | Act::Drop => prop_assert!(std::mem::replace(&mut there[index], false)),
                        Act::Pause => prop_assert!(there[index] && std::mem::replace(&mut reads[index], false)),
                        Act::Resume => prop_assert!(there[index] && !std::mem::replace(&mut reads[index], true)),
                        Act::Message { number: found, bytes } => {
                            prop_assert!(there[index] && phase.sends());
                            prop_assert!(bytes >= SHORTEST_TEXT && bytes <= plan.profile.messages.sizes.largest());
                            prop_assert_eq!(found, number);
                            number += 1;
                        }
                    }
                    if act == Act::Return {
                        reads[index] = true;
                    }
                }
                messages += number;
            }
            prop_assert_eq!(clients, plan.clients());
            let open = matches!(plan.profile.messages.pace, Pace::Open { .. });
            prop_assert_eq!(plan.planned_messages(), open.then_some(messages));
        }

        #[test]
        fn a_closed_load_keeps_just_so_many_in_flight(profile in profile(), seed: u64, in_flight in 1u32..1000) {
            let mut profile = profile;
            profile.messages.pace = Pace::Closed { in_flight, think: Duration::ZERO };
            let plan = Plan::new(profile, seed);
            prop_assume!(plan.is_ok());
            let plan = plan.expect("a plan");
            let rooms: Vec<RoomPlan> = (0..plan.rooms()).map(|number| plan.room(number)).collect();
            prop_assert_eq!(rooms.iter().map(|room| room.in_flight(&plan)).sum::<u32>(), in_flight);
            for room in rooms {
                let turns: Vec<_> = room.turns(&plan).take(3).collect();
                prop_assert_eq!(turns.len(), if room.in_flight(&plan) > 0 { 3 } else { turns.len() });
            }
        }
    }

    fn steady(rooms: &[(u32, u32)], arrival: Arrival, rate: f64, phases: Vec<PhaseShape>) -> Profile {
        Profile {
            name: "test".into(),
            title: "A test".into(),
            seed: None,
            rooms: rooms.iter().map(|(size, count)| RoomGroup { size: *size, count: *count }).collect(),
            behaviours: vec![Share { behaviour: Behaviour::Chatty, weight: 1, sends: 1 }],
            sessions: Sessions { arrival, rate: 100.0 },
            messages: Messages { pace: Pace::Open { arrival, rate }, sizes: TextSizes::Range { from: 200, to: 200 } },
            phases,
            thresholds: Vec::new(),
            deadline: Duration::from_secs(5),
        }
    }

    fn phase(kind: PhaseKind, seconds: u64) -> PhaseShape {
        let (name, duration) = (kind.name().to_owned(), Duration::from_secs(seconds));
        PhaseShape { name, kind, duration, rate: None, factor: None, storm: None, counts: kind.counts() }
    }

    fn all(plan: &Plan) -> Vec<Happening> {
        let mut all: Vec<Happening> = happenings(plan, 0..plan.rooms()).into_values().flat_map(|(_, happenings)| happenings).collect();
        all.sort_by_key(|happening| happening.at);
        all
    }

    #[test]
    fn a_constant_load_is_even_over_all_rooms() {
        let plan = Plan::new(steady(&[(4, 50)], Arrival::Constant, 400.0, vec![phase(PhaseKind::Steady, 10)]), 1).expect("a plan");
        let instants: Vec<Duration> = all(&plan).iter().filter(is_message).map(|happening| happening.at).collect();
        assert_eq!((instants.len(), plan.planned_messages()), (4000, Some(4000)));
        let gaps = instants.windows(2).map(|pair| (pair[1] - pair[0]).as_nanos());
        assert!(gaps.clone().all(|gap| gap.abs_diff(2_500_000) <= 2), "{:?}", (gaps.clone().min(), gaps.max()));
        let arrivals: Vec<Duration> =
            all(&plan).iter().filter(|happening| happening.act == Act::Arrive).map(|happening| happening.at).collect();
        assert_eq!(arrivals.len(), 200);
        let gaps = arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_millis());
        assert!(gaps.filter(|gap| *gap > 12).count() <= 1, "one a hundredth of a second, but for the pause behind the creators");
    }

    #[test]
    fn a_ramp_grows_evenly_and_a_burst_is_a_multiple() {
        let mut phases = vec![phase(PhaseKind::Ramp, 10), phase(PhaseKind::Burst, 2), phase(PhaseKind::Drain, 3)];
        (phases[0].rate, phases[1].factor) = (Some((0.0, 1000.0)), Some(3.0));
        let plan = Plan::new(steady(&[(2, 10), (7, 5)], Arrival::Constant, 100.0, phases), 1).expect("a plan");
        let within = |from: f64, to: f64| {
            let start = plan.phases[1].start;
            let since = |at: Duration| at.checked_sub(start).map_or(-1.0, |since| since.as_secs_f64());
            all(&plan).iter().filter(is_message).filter(|happening| (from..to).contains(&since(happening.at))).count()
        };
        assert_eq!(plan.phases.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>(), ["arrive", "ramp", "burst", "drain"]);
        // Rooms of several sizes take turns but roughly.
        for (from, to, expected) in [(0.0, 10.0, 5000), (0.0, 5.0, 1250), (9.0, 10.0, 950), (10.0, 12.0, 600), (12.0, 15.0, 0)] {
            let found = within(from, to);
            assert!(found.abs_diff(expected) <= 15, "{found} messages from {from} to {to} s, not {expected}");
        }
    }

    #[test]
    fn a_poisson_load_has_the_rate_that_it_should_have() {
        let plan = Plan::new(steady(&[(5, 40)], Arrival::Poisson, 1000.0, vec![phase(PhaseKind::Steady, 20)]), 3).expect("a plan");
        let found: Vec<Duration> = all(&plan).iter().filter(is_message).map(|happening| happening.at).collect();
        // Four standard deviations.
        assert!(found.len().abs_diff(20_000) < 566, "{}", found.len());
        let gaps: Vec<f64> = found.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let longer = gaps.iter().filter(|gap| **gap > 0.001).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0f64).exp()).abs() < 0.02, "{longer} of the gaps are longer than their mean");
        let arrivals = all(&plan).iter().filter(|happening| happening.act == Act::Arrive).count();
        assert_eq!(arrivals, 200);
    }

    #[test]
    fn another_seed_is_another_plan() {
        let profile = || steady(&[(3, 5), (4, 5)], Arrival::Poisson, 100.0, vec![phase(PhaseKind::Steady, 2)]);
        let plan = |seed| all(&Plan::new(profile(), seed).expect("a plan"));
        assert_ne!(plan(1), plan(2));
        // With constant arrivals it is the senders that differ.
        let profile = || steady(&[(3, 5)], Arrival::Constant, 100.0, vec![phase(PhaseKind::Steady, 2)]);
        let plan = |seed| all(&Plan::new(profile(), seed).expect("a plan"));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn a_storm_hits_just_its_fraction_and_all_come_back() {
        let mut storm = phase(PhaseKind::Storm, 10);
        storm.storm = Some(StormShape { fraction: 0.3, spread: Duration::from_secs(4) });
        let phases = vec![phase(PhaseKind::Steady, 2), storm, phase(PhaseKind::Drain, 1)];
        let plan = Plan::new(steady(&[(7, 30), (1, 90)], Arrival::Constant, 300.0, phases), 1).expect("a plan");
        let start = plan.phases[2].start;
        let all = all(&plan);
        let dropped: Vec<_> = all.iter().filter(|happening| happening.act == Act::Drop).collect();
        let back: Vec<_> = all.iter().filter(|happening| happening.act == Act::Return).collect();
        assert_eq!((dropped.len(), back.len()), (90, 90));
        assert!(dropped.iter().all(|happening| happening.at == start));
        assert!(back.iter().all(|happening| happening.at < start + Duration::from_secs(4)));
    }

    #[test]
    fn behaviours_have_their_weights_and_the_creator_stays() {
        let mut profile = steady(&[(10, 100)], Arrival::Constant, 100.0, vec![phase(PhaseKind::Steady, 1)]);
        let cycle = Cycle { stay: Duration::from_secs(5), absence: Duration::from_secs(1), durations: Durations::Exponential };
        profile.behaviours = vec![
            Share { behaviour: Behaviour::ComingAndGoing(cycle), weight: 70, sends: 1 },
            Share { behaviour: Behaviour::Lurking, weight: 10, sends: 0 },
            Share { behaviour: Behaviour::Chatty, weight: 20, sends: 1 },
        ];
        let plan = Plan::new(profile, 5).expect("a plan");
        let mut counts = BTreeMap::new();
        for number in 0..plan.rooms() {
            let room = plan.room(number);
            assert_eq!(room.users[0].behaviour, Behaviour::Chatty);
            room.users.iter().for_each(|user| *counts.entry(user.behaviour.name()).or_insert(0) += 1u32);
        }
        for (name, expected) in [("coming-and-going", 700), ("lurking", 100), ("chatty", 200u32)] {
            assert!(counts[name].abs_diff(expected) <= 5, "{counts:?}");
        }
    }

    #[test]
    fn slices_are_balanced_by_what_they_carry() {
        let plan =
            Plan::new(steady(&[(100, 3), (2, 200)], Arrival::Constant, 100.0, vec![phase(PhaseKind::Steady, 1)]), 5).expect("a plan");
        let deliveries = |slice: Vec<u32>| slice.iter().map(|room| plan.room(*room).size.pow(2)).sum::<u32>();
        let loads = [deliveries(plan.slice(0, 3)), deliveries(plan.slice(1, 3)), deliveries(plan.slice(2, 3))];
        assert!(loads.iter().all(|load| load.abs_diff(10_266) < 200), "{loads:?}");
        assert!(plan.slice(5, 500).len() <= 1);
    }

    #[test]
    fn a_profile_without_anybody_who_sends_is_refused() {
        let mut profile = steady(&[(2, 2)], Arrival::Constant, 100.0, vec![phase(PhaseKind::Steady, 1)]);
        profile.behaviours = vec![Share { behaviour: Behaviour::Lurking, weight: 1, sends: 0 }];
        assert_eq!(Plan::new(profile.clone(), 1).err(), Some(PlanError::NobodySends { clients: 4 }));
        profile.rooms.clear();
        assert_eq!(Plan::new(profile, 1).err(), Some(PlanError::Nobody));
    }
}
