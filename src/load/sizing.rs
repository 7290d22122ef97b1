//! What each shard of a load needs, from the plan alone: a scheduler wants to know before any machine is there to be asked.

use super::plan::Plan;
use super::preflight::{Resource, Run, needs};

/// Processor time for a message that is sent, in seconds. `docs/performance.md` has 0.73 s for 100,000 deliveries in rooms of one, where
/// each is a message too, and 0.30 s in rooms of twenty; these two figures are what solves both.
pub const MESSAGE_CPU: f64 = 4.5e-6;

/// Processor time for a message that arrives, in seconds, from the same measurement.
pub const DELIVERY_CPU: f64 = 2.8e-6;

/// How busy a core is meant to be: the generator is degraded from 85 % on, and other processors are slower than the one that was measured.
pub const BUSY: f64 = 0.5;

/// Memory beyond what the run should need, for what else a control group counts.
const MEMORY_MARGIN: f64 = 1.25;

/// Memory is asked for in steps of this, and never less than four of them.
const MEMORY_STEP: u64 = 64 * 1024 * 1024;

/// What the shard that has most needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizing {
    pub shards: u32,
    pub clients: u32,
    pub rooms: u32,
    /// Messages and deliveries a second, where most are sent; `None` where the target sets the pace.
    pub traffic: Option<Traffic>,
    /// Cores that keep it at most half busy, and as many threads; where the target sets the pace, one.
    pub cores: u32,
    /// In bytes.
    pub memory: u64,
    pub descriptors: u64,
    /// Local ports of its one source address.
    pub ports: u64,
}

/// Per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    pub messages: f64,
    pub deliveries: f64,
}

impl Traffic {
    /// Processor time a second: so many cores all of the time.
    pub fn cpu(self) -> f64 {
        self.messages * MESSAGE_CPU + self.deliveries * DELIVERY_CPU
    }
}

impl Sizing {
    /// Sizes a shard of a plan that has at least as many rooms as shards. Other cores than needed may be given.
    pub fn new(plan: &Plan, shards: u32, cores: Option<u32>) -> Self {
        // Rooms are dealt out so that shards have as much of everything as can be, but none less than one room.
        let clients = plan.clients().div_ceil(shards).max(plan.largest_room());
        let rooms = plan.rooms().div_ceil(shards);
        let traffic = peak(plan).map(|rate| {
            let fan_out = plan.fan_out();
            let share = 1.0 / f64::from(shards);
            Traffic { messages: rate * share, deliveries: rate * fan_out.mean * share.max(fan_out.largest_share) }
        });
        // More threads than rooms would have nothing to do.
        let needed = traffic.map_or(1.0, |traffic| (traffic.cpu() / BUSY).ceil().max(1.0)).min(f64::from(rooms)) as u32;
        let cores = cores.unwrap_or(needed);
        let needs =
            needs(&Run { clients, rooms, sources: 1, threads: cores.min(rooms), processes: 1, own_server: false, target_here: false });
        let amount = |resource| needs.iter().find(|need| need.resource == resource).map_or(0, |need| need.amount);
        let memory = (amount(Resource::Memory) as f64 * MEMORY_MARGIN) as u64;
        Self {
            shards,
            clients,
            rooms,
            traffic,
            cores,
            memory: memory.next_multiple_of(MEMORY_STEP).max(4 * MEMORY_STEP),
            descriptors: amount(Resource::Descriptors),
            ports: amount(Resource::Ports),
        }
    }

    /// Threads that have something to do.
    pub fn threads(&self) -> u32 {
        self.cores.min(self.rooms)
    }

    /// How busy its cores will be in the busiest phase, of 1.
    pub fn busy(&self) -> Option<f64> {
        self.traffic.map(|traffic| traffic.cpu() / f64::from(self.threads()))
    }
}

/// Messages a second where most are sent, by the plan's own pace.
fn peak(plan: &Plan) -> Option<f64> {
    let rates = plan.phases.iter().filter_map(|phase| phase.rate).map(|(from, to)| from.max(to));
    rates.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::overrides::Overrides;
    use crate::load::profile::Profile;

    fn plan(clients: u32, rooms: u32, rate: f64) -> Plan {
        let overrides = Overrides { clients: Some(clients), rooms: Some(rooms), rate: Some(rate), ..Overrides::default() };
        Plan::new(Profile::from_flags(&overrides).expect("a profile"), 1).expect("a plan")
    }

    #[test]
    fn the_constants_give_what_was_measured() {
        let of = |messages, deliveries| Traffic { messages, deliveries }.cpu();
        assert!((of(100_000.0, 100_000.0) - 0.73).abs() < 0.01);
        assert!((of(5_000.0, 100_000.0) - 0.30).abs() < 0.01);
    }

    #[test]
    fn a_shard_has_its_part_of_everything() {
        let sizing = Sizing::new(&plan(100_000, 5_000, 20_000.0), 10, None);
        assert_eq!((sizing.clients, sizing.rooms), (10_000, 500));
        let traffic = sizing.traffic.expect("an open load");
        assert!((traffic.messages - 2_000.0).abs() < 1.0 && (traffic.deliveries - 40_000.0).abs() < 10.0, "{traffic:?}");
        assert_eq!(sizing.cores, 1);
        assert!(sizing.busy().is_some_and(|busy| busy < BUSY));
        // 10 KiB a client, 32 KiB a room, a thread and the program are 210 MiB.
        assert_eq!(sizing.memory, 320 << 20);
    }

    #[test]
    fn a_room_is_not_shared_between_shards() {
        let mut profile = Profile::from_flags(&Overrides::default()).expect("a profile");
        profile = Profile::read(
            crate::scenario::source::Source {
                name: "one-big.yaml".into(),
                text: profile.to_yaml().replace("{size: 20, count: 5}", "{size: 1000, count: 1}, {size: 2, count: 99}"),
            },
            "one-big",
        )
        .expect("a profile");
        let sizing = Sizing::new(&Plan::new(profile, 1).expect("a plan"), 50, None);
        assert_eq!((sizing.clients, sizing.rooms), (1000, 2));
        let traffic = sizing.traffic.expect("an open load");
        assert!(traffic.deliveries > 0.99 * 100.0 * (1000.0 / 1198.0) * 1000.0, "the largest room alone has most of them: {traffic:?}");
    }

    #[test]
    fn cores_follow_the_traffic_but_are_never_more_than_rooms() {
        let busy = Sizing::new(&plan(20_000, 1_000, 60_000.0), 2, None);
        assert_eq!(busy.cores, 4);
        assert_eq!(Sizing::new(&plan(20_000, 2, 2_000.0), 2, None).cores, 1, "a room has one thread");
        let given = Sizing::new(&plan(20_000, 1_000, 60_000.0), 2, Some(1));
        assert!(given.busy().is_some_and(|busy| busy > 1.5) && given.memory < busy.memory);
    }
}
