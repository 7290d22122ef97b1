//! Processes: started on a core of their own, and what they use, as Linux tells it in /proc.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second in /proc, the same on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// On which core a process runs.
#[derive(Clone, Copy, Debug)]
pub enum Core {
    Target,
    Generator,
}

/// Whether processes can be kept on cores of their own: there are two, and `taskset` exists.
pub fn can_pin() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| Command::new("taskset").args(["-c", "0,1", "true"]).status().is_ok_and(|status| status.success()))
}

/// A command for that program, kept on that core where that is possible.
pub fn command(program: &Path, core: Core) -> Command {
    if !can_pin() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        match core {
            Core::Target => "0",
            Core::Generator => "1",
        },
    ]);
    command.arg(program);
    command
}

/// The processor time of this process, user and system.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The processor time of a process, user and system, in steps of 10 ms. It may have ended, if nobody has waited for it yet.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses, which may hold anything; after it come fields 3 and on.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(14), ticks(15)) else {
        return Err(io::Error::other(format!("/proc/{pid}/stat says no processor time")));
    };
    Ok(Duration::from_millis((user + system) * 1000 / TICKS))
}

/// The memory that a process has resident, in KiB.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| io::Error::other(format!("/proc/{pid}/status says no VmRSS")))
}

/// Raises the number of descriptors that this process and its children may have, as far as it goes.
pub fn raise_descriptors() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _kept_as_it_was = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The model of the processor and the number of its cores.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")).map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    format!("{model}, {} cores", std::thread::available_parallelism().map_or(1, usize::from))
}
