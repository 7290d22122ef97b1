//! What a run will need of this machine, held against what there is, so that a limit is known before the run hits it.

use std::fmt;

use super::machine::{Machine, TimeWaitReuse};

/// HTTP connections that may be open beside the clients' WebSockets: requests are made by few at a time.
pub const HTTP_CONNECTIONS: u64 = 64;

/// Connections that are in the making at once: as many may stand in the listener's queue.
pub const CONNECTS_AT_ONCE: u64 = 128;

/// Descriptors of the program itself: standard streams, logs, the own server's pipes.
const PROGRAM_DESCRIPTORS: u64 = 64;

/// Descriptors of a thread's runtime.
const THREAD_DESCRIPTORS: u64 = 8;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The generator's own memory for a client that is connected and joined, its part of the ledger included: what it is meant to stay within.
const CLIENT_BYTES: u64 = 6 * KIB;

/// The reference server's memory for a connection: what it is meant to stay within.
const SERVED_BYTES: u64 = 12 * KIB;

/// The kernel's memory for a TCP socket with empty queues; measured on Linux 6.18 as 7.6 KiB for both ends of a connection on loopback.
const SOCKET_BYTES: u64 = 4 * KIB;

/// A room's messages that are on their way, with who has them already.
const ROOM_BYTES: u64 = 32 * KIB;

/// A thread's histograms: 180 KiB at most each, one for each metric, phase and size of room that occurs.
const THREAD_BYTES: u64 = 32 * MIB;

/// The program itself, its log and the merged histograms.
const PROGRAM_BYTES: u64 = 64 * MIB;

/// The ports that can be given to outgoing connections at most, when only those below 1024 are left out.
const MOST_PORTS: u64 = 65_535 - 1024 + 1;

/// The threads that a generator takes unless told: half of the cores where the target has the others, else all.
pub fn default_threads(cores: f64, target_here: bool) -> u32 {
    let share = if target_here { cores / 2.0 } else { cores };
    // A count of cores is far below what the integer holds.
    share.floor().max(1.0) as u32
}

/// A run, as far as the machine is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub clients: u32,
    pub rooms: u32,
    /// Source addresses that the clients are spread over, at least one.
    pub sources: u32,
    /// In each process.
    pub threads: u32,
    /// Processes on this machine that share the clients, at least one.
    pub processes: u32,
    /// Whether the reference server is started for it, a process that holds all connections.
    pub own_server: bool,
    /// Whether the target runs on this machine, and takes of its memory and cores.
    pub target_here: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Descriptors,
    /// Local ports for each source address.
    Ports,
    /// In bytes.
    Memory,
    Cores,
    /// Places in a listener's queue.
    Backlog,
}

impl Resource {
    pub fn name(self) -> &'static str {
        match self {
            Resource::Descriptors => "descriptors",
            Resource::Ports => "ports",
            Resource::Memory => "memory",
            Resource::Cores => "cores",
            Resource::Backlog => "backlog",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How much of a resource a run takes, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub resource: Resource,
    pub amount: u64,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sufficiency {
    Enough,
    /// This machine doesn't tell what there is.
    Unknown,
    /// The run works, and its figures may suffer; the generator's health will say whether they did.
    Tight,
    /// The run can't do what it is asked for.
    Short,
}

/// A need beside what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub need: Need,
    /// In the need's unit; `None` where it is unknown or without limit.
    pub there: Option<f64>,
    pub sufficiency: Sufficiency,
    /// What raises it, a command where there is one.
    pub mends: Vec<String>,
}

/// What a run needs.
pub fn needs(run: &Run) -> Vec<Need> {
    let (clients, rooms, threads) = (u64::from(run.clients), u64::from(run.rooms), u64::from(run.threads));
    let (sources, processes) = (u64::from(run.sources.max(1)), u64::from(run.processes.max(1)));
    let need = |resource, amount, why: &str| Need { resource, amount, why: why.to_owned() };
    let served = if run.target_here { clients * (SERVED_BYTES + SOCKET_BYTES) } else { 0 };
    let programs = processes * (threads * THREAD_BYTES + PROGRAM_BYTES);
    let memory = clients * (CLIENT_BYTES + SOCKET_BYTES) + rooms * ROOM_BYTES + programs + served;
    let (whose, cores) = if run.target_here { (", the target's included", processes * threads + 1) } else { ("", processes * threads) };
    let most_in_one = if run.own_server { clients } else { clients.div_ceil(processes) };
    let whole = if run.own_server && processes > 1 { "one a client in the reference server" } else { "one a client" };
    let mut needs = vec![
        need(
            Resource::Descriptors,
            most_in_one + HTTP_CONNECTIONS + threads * THREAD_DESCRIPTORS + PROGRAM_DESCRIPTORS,
            &format!("{whole}, and some for HTTP and the program"),
        ),
        need(
            Resource::Ports,
            clients.div_ceil(sources) + processes * HTTP_CONNECTIONS,
            "one a client, from each source address to one target",
        ),
        need(Resource::Memory, memory, &format!("some KiB a client, room and socket{whose}")),
        need(Resource::Cores, cores, &format!("one a thread{}", if run.target_here { ", and one for the target" } else { "" })),
    ];
    if run.target_here {
        needs.push(need(Resource::Backlog, CONNECTS_AT_ONCE.min(clients), "connections in the making at once"));
    }
    needs
}

/// Holds what a run needs against what there is.
pub fn examine(run: &Run, machine: &Machine) -> Vec<Finding> {
    needs(run)
        .into_iter()
        .map(|need| {
            let there = there(need.resource, run, machine);
            let sufficiency = match there {
                None if is_unlimited(need.resource, machine) => Sufficiency::Enough,
                None => Sufficiency::Unknown,
                Some(there) if there >= need.amount as f64 => Sufficiency::Enough,
                Some(_) if matches!(need.resource, Resource::Cores | Resource::Backlog) => Sufficiency::Tight,
                Some(_) => Sufficiency::Short,
            };
            let short = matches!(sufficiency, Sufficiency::Short | Sufficiency::Tight);
            let mends = if short { mends(&need, run, machine) } else { Vec::new() };
            Finding { need, there, sufficiency, mends }
        })
        .collect()
}

/// Whether the run can't do what it is asked for.
pub fn is_short(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.sufficiency == Sufficiency::Short)
}

fn is_unlimited(resource: Resource, machine: &Machine) -> bool {
    resource == Resource::Descriptors && machine.descriptors.is_some_and(|limit| limit.soft.is_none())
}

fn there(resource: Resource, run: &Run, machine: &Machine) -> Option<f64> {
    match resource {
        Resource::Descriptors => machine.descriptors.and_then(|limit| limit.soft).map(|limit| limit as f64),
        Resource::Ports => machine.ports.map(|ports| ports.count().saturating_sub(held(run, machine)) as f64),
        Resource::Memory => machine.memory.map(|memory| memory.available as f64),
        Resource::Cores => Some(machine.cores),
        Resource::Backlog => machine.backlog.map(|backlog| backlog as f64),
    }
}

/// Ports that connections of earlier runs hold, where they can't be taken again.
fn held(run: &Run, machine: &Machine) -> u64 {
    match machine.reuse {
        Some(TimeWaitReuse::Always) => 0,
        Some(TimeWaitReuse::LoopbackOnly) if run.target_here => 0,
        _ => machine.time_wait.unwrap_or(0),
    }
}

fn mends(need: &Need, run: &Run, machine: &Machine) -> Vec<String> {
    match need.resource {
        Resource::Descriptors => {
            let hard = machine.descriptors.and_then(|limit| limit.hard);
            let mut mends = vec![format!("ulimit -n {}", need.amount)];
            if hard.is_some_and(|hard| hard < need.amount) {
                mends[0].push_str("  as root, since it is above the hard limit");
                mends.push(format!("LimitNOFILE={} for a systemd unit, --ulimit nofile={} for a container", need.amount, need.amount));
                mends.push(if run.own_server {
                    "a server of yours (--http, --ws), which may have a higher limit".to_owned()
                } else {
                    format!("--processes {}, to share the clients between processes", processes(run, hard.unwrap_or(1)))
                });
            }
            mends
        }
        Resource::Ports => {
            let mut mends = Vec::new();
            if need.amount <= MOST_PORTS {
                mends.push("sysctl -w net.ipv4.ip_local_port_range='1024 65535'".to_owned());
            }
            if held(run, machine) > 0 {
                mends.push("sysctl -w net.ipv4.tcp_tw_reuse=1, or a minute's wait: connections of before still hold ports".to_owned());
            }
            mends.push(sources(run, machine));
            mends
        }
        Resource::Memory => vec![
            "fewer --clients, or --shard I/N to share them between machines".to_owned(),
            "a higher memory limit, where a container sets one".to_owned(),
        ],
        Resource::Cores => {
            let fewer = default_threads(machine.cores, run.target_here);
            let mut mends = Vec::new();
            if fewer < run.threads {
                mends.push(format!("--threads {fewer}"));
            }
            mends.push(
                if run.target_here { "the target on another machine" } else { "--shard I/N, to share the load between machines" }
                    .to_owned(),
            );
            mends
        }
        Resource::Backlog => vec![format!("sysctl -w net.core.somaxconn={}", need.amount)],
    }
}

/// As many processes as each stay within a limit of descriptors.
fn processes(run: &Run, limit: u64) -> u64 {
    let own = HTTP_CONNECTIONS + u64::from(run.threads) * THREAD_DESCRIPTORS + PROGRAM_DESCRIPTORS;
    u64::from(run.clients).div_ceil(limit.saturating_sub(own).max(1))
}

/// As many source addresses as give the clients ports enough.
fn sources(run: &Run, machine: &Machine) -> String {
    let each = machine.ports.map_or(MOST_PORTS, |ports| ports.count().saturating_sub(held(run, machine))).saturating_sub(HTTP_CONNECTIONS);
    let count = u64::from(run.clients).div_ceil(each.max(1));
    if run.target_here && count <= 250 {
        format!("--source 127.0.0.1-127.0.0.{}", count.max(2))
    } else {
        format!("--source ADDR, {count} times with addresses of this machine")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::machine::{DescriptorLimit, Memory, PortRange};

    fn machine() -> Machine {
        Machine {
            descriptors: Some(DescriptorLimit { soft: Some(20_000), hard: Some(20_000) }),
            open_descriptors: Some(10),
            ports: Some(PortRange { first: 32_768, last: 60_999 }),
            reuse: Some(TimeWaitReuse::LoopbackOnly),
            time_wait: Some(5_000),
            backlog: Some(4096),
            memory: Some(Memory { total: 8_192 * MIB, available: 4_096 * MIB }),
            cores: 2.0,
        }
    }

    fn run(clients: u32) -> Run {
        Run { clients, rooms: 10, sources: 1, threads: 1, processes: 1, own_server: false, target_here: true }
    }

    fn finding(resource: Resource, run: &Run, machine: &Machine) -> Finding {
        examine(run, machine).into_iter().find(|finding| finding.need.resource == resource).expect("each resource is examined")
    }

    #[test]
    fn a_run_that_fits_is_short_of_nothing() {
        let findings = examine(&run(8_000), &machine());
        assert!(findings.iter().all(|finding| finding.sufficiency == Sufficiency::Enough && finding.mends.is_empty()), "{findings:?}");
        assert!(!is_short(&findings));
    }

    #[test]
    fn what_is_short_is_told_with_the_command_that_raises_it() {
        let descriptors = finding(Resource::Descriptors, &run(30_000), &machine());
        assert_eq!((descriptors.sufficiency, descriptors.there), (Sufficiency::Short, Some(20_000.0)));
        assert!(descriptors.mends[0].starts_with("ulimit -n 30136  as root"), "{descriptors:?}");

        let ports = finding(Resource::Ports, &run(30_000), &machine());
        assert_eq!(ports.sufficiency, Sufficiency::Short);
        assert_eq!(
            ports.mends,
            ["sysctl -w net.ipv4.ip_local_port_range='1024 65535'".to_owned(), "--source 127.0.0.1-127.0.0.2".to_owned()]
        );

        let memory = finding(Resource::Memory, &run(200_000), &machine());
        assert_eq!(memory.sufficiency, Sufficiency::Short);
        assert!(is_short(&examine(&run(200_000), &machine())));
    }

    #[test]
    fn more_source_addresses_mean_more_ports() {
        let run = Run { sources: 2, ..run(30_000) };
        assert_eq!(finding(Resource::Ports, &run, &machine()).sufficiency, Sufficiency::Enough);
    }

    #[test]
    fn processes_share_the_descriptors_but_not_those_of_the_server_that_is_started() {
        let alone = finding(Resource::Descriptors, &run(30_000), &machine());
        assert_eq!(alone.mends.last().map(String::as_str), Some("--processes 2, to share the clients between processes"));
        let shared = Run { processes: 2, ..run(30_000) };
        assert_eq!(finding(Resource::Descriptors, &shared, &machine()).sufficiency, Sufficiency::Enough);
        let served = finding(Resource::Descriptors, &Run { own_server: true, ..shared }, &machine());
        assert_eq!(served.sufficiency, Sufficiency::Short);
        assert_eq!(served.mends.last().map(String::as_str), Some("a server of yours (--http, --ws), which may have a higher limit"));
    }

    #[test]
    fn more_clients_than_all_ports_of_an_address_need_more_addresses() {
        let ports = finding(Resource::Ports, &run(150_000), &machine());
        assert_eq!(ports.mends, ["--source 127.0.0.1-127.0.0.6"]);
        let elsewhere = Run { target_here: false, ..run(150_000) };
        assert!(finding(Resource::Ports, &elsewhere, &machine()).mends.iter().any(|mend| mend.starts_with("--source ADDR, 7 times")));
    }

    #[test]
    fn ports_in_time_wait_are_missed_only_where_they_cannot_be_taken_again() {
        let there = |target_here, reuse| {
            let machine = Machine { reuse, ..machine() };
            finding(Resource::Ports, &Run { target_here, ..run(10) }, &machine).there
        };
        assert_eq!(there(true, Some(TimeWaitReuse::LoopbackOnly)), Some(28_232.0));
        assert_eq!(there(false, Some(TimeWaitReuse::LoopbackOnly)), Some(23_232.0));
        assert_eq!(there(false, Some(TimeWaitReuse::Always)), Some(28_232.0));
        assert_eq!(there(true, Some(TimeWaitReuse::Never)), Some(23_232.0));
    }

    #[test]
    fn too_few_cores_are_told_and_stop_nothing() {
        let run = Run { threads: 2, ..run(100) };
        let cores = finding(Resource::Cores, &run, &machine());
        assert_eq!((cores.sufficiency, cores.mends[0].as_str()), (Sufficiency::Tight, "--threads 1"));
        assert!(!is_short(&examine(&run, &machine())));
    }

    #[test]
    fn what_a_machine_does_not_tell_is_unknown_and_what_has_no_limit_is_enough() {
        let unknown = Machine { cores: 2.0, ..Machine::default() };
        assert_eq!(finding(Resource::Descriptors, &run(100_000), &unknown).sufficiency, Sufficiency::Unknown);
        assert!(!is_short(&examine(&run(100_000), &unknown)));
        let unlimited = Machine { descriptors: Some(DescriptorLimit { soft: None, hard: None }), ..unknown };
        assert_eq!(finding(Resource::Descriptors, &run(100_000), &unlimited).sufficiency, Sufficiency::Enough);
    }

    #[test]
    fn a_generator_leaves_half_of_the_cores_to_a_target_beside_it() {
        assert_eq!((default_threads(2.0, true), default_threads(8.0, true), default_threads(8.0, false)), (1, 4, 8));
        assert_eq!((default_threads(1.0, true), default_threads(0.5, false)), (1, 1));
    }

    proptest! {
        #[test]
        fn more_clients_never_need_less(clients in 0_u32..10_000_000, more in 0_u32..1_000_000, sources in 1_u32..9, threads in 1_u32..64, target_here: bool) {
            let needs = |clients| needs(&Run { clients, rooms: 5, sources, threads, processes: 2, own_server: false, target_here });
            for (fewer, more) in needs(clients).iter().zip(&needs(clients + more)) {
                prop_assert!(more.amount >= fewer.amount);
            }
        }
    }
}
