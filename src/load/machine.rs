//! What this machine gives a process, and how much of it is taken: descriptors, ports, memory, cores. Read from `/proc` and from the
//! control groups (`man 5 proc`, `man 7 cgroups`); where there are none, a figure is unknown, and nothing is concluded from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine as this process meets it; `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    pub descriptors: Option<DescriptorLimit>,
    /// Descriptors that this process has open.
    pub open_descriptors: Option<u64>,
    /// The ports that the system gives to outgoing connections, per source address.
    pub ports: Option<PortRange>,
    pub reuse: Option<TimeWaitReuse>,
    /// TCP connections in TIME_WAIT: each keeps its port for a minute.
    pub time_wait: Option<u64>,
    /// The longest queue of connections that a listener has not accepted yet (`somaxconn`).
    pub backlog: Option<u64>,
    pub memory: Option<Memory>,
    /// Cores that this process may use at once, a control group's quota included; it may be a fraction.
    pub cores: f64,
}

/// How many descriptors a process may have open; `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// The limit that holds.
    pub soft: Option<u64>,
    /// How far the process itself may raise it.
    pub hard: Option<u64>,
}

/// Both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl PortRange {
    pub fn count(self) -> u64 {
        u64::from(self.last).saturating_sub(u64::from(self.first)) + 1
    }
}

/// Whether a new connection may take a port that is in TIME_WAIT (`tcp_tw_reuse`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWaitReuse {
    Never,
    Always,
    LoopbackOnly,
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What the machine has, or the control group's limit where that is lower.
    pub total: u64,
    /// What a process can still get without swapping, within the control group's limit.
    pub available: u64,
}

/// A soft limit that was raised, or wasn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    pub from: Option<u64>,
    pub to: Option<u64>,
}

/// The processor time of a thread since it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTime {
    pub thread: u64,
    pub name: String,
    pub ran: Duration,
    /// How long it could have run and had to wait for a core; `None` where the system doesn't count that.
    pub waited: Option<Duration>,
}

impl Machine {
    pub fn read() -> Self {
        let root = Root::system();
        let cores = available_cores();
        Self { descriptors: descriptor_limit(), cores: root.quota().map_or(cores, |quota| quota.min(cores)), ..root.machine() }
    }
}

/// Raises the soft limit of descriptors to the hard one, or leaves it where the system refuses.
pub fn raise_descriptors() -> Option<Raised> {
    let before = descriptor_limit()?;
    if before.soft.is_some() {
        set_soft_limit(before);
    }
    Some(Raised { from: before.soft, to: descriptor_limit()?.soft })
}

#[cfg(unix)]
fn descriptor_limit() -> Option<DescriptorLimit> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Some(DescriptorLimit { soft: limit.current, hard: limit.maximum })
}

#[cfg(not(unix))]
fn descriptor_limit() -> Option<DescriptorLimit> {
    None
}

#[cfg(unix)]
fn set_soft_limit(limit: DescriptorLimit) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // A hard limit that is none, or above what the kernel allows at all, is refused: 1,048,576 is Linux's most, 10,240 that of macOS.
    for wanted in [limit.hard, Some(1_048_576), Some(10_240)] {
        let lower = wanted.zip(limit.soft).is_some_and(|(wanted, soft)| wanted <= soft);
        let above = wanted.zip(limit.hard).is_some_and(|(wanted, hard)| wanted > hard);
        if !lower && !above && setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.hard }).is_ok() {
            return;
        }
    }
}

#[cfg(not(unix))]
fn set_soft_limit(_: DescriptorLimit) {}

/// The cores that this process may be scheduled on. Where it can be had, the affinity without the quota, which the standard library
/// rounds down to whole cores.
#[cfg(target_os = "linux")]
fn available_cores() -> f64 {
    rustix::thread::sched_getaffinity(None).map_or_else(|_| parallelism(), |cores| f64::from(cores.count()))
}

#[cfg(not(target_os = "linux"))]
fn available_cores() -> f64 {
    parallelism()
}

fn parallelism() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

/// The processor time of this process, all threads together, since it began.
#[cfg(unix)]
pub fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(unix))]
pub fn process_time() -> Duration {
    Duration::ZERO
}

#[cfg(unix)]
fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

#[cfg(not(unix))]
fn ticks_per_second() -> u64 {
    100
}

/// Where `/proc` and the control groups are found; found out once, since it doesn't change.
#[derive(Clone, Debug)]
pub struct Root {
    proc: PathBuf,
    memory_groups: Vec<PathBuf>,
    cpu_groups: Vec<PathBuf>,
}

impl Root {
    pub fn system() -> Self {
        Self::at(Path::new("/"))
    }

    fn at(root: &Path) -> Self {
        let proc = root.join("proc");
        let (mounts, own) = (text(&proc.join("self/mountinfo")), text(&proc.join("self/cgroup")));
        let (mounts, own) = (mounts.unwrap_or_default(), own.unwrap_or_default());
        let below = |path: PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        let groups = |controller| groups(&mounts, &own, controller).into_iter().map(below).collect();
        Self { memory_groups: groups("memory"), cpu_groups: groups("cpu"), proc }
    }

    fn machine(&self) -> Machine {
        let file = |path: &str| text(&self.proc.join(path));
        Machine {
            descriptors: None,
            open_descriptors: self.open_descriptors(),
            ports: file("sys/net/ipv4/ip_local_port_range").and_then(|text| port_range(&text)),
            reuse: file("sys/net/ipv4/tcp_tw_reuse").and_then(|text| reuse(&text)),
            time_wait: file("net/sockstat").and_then(|text| time_wait(&text)),
            backlog: file("sys/net/core/somaxconn").and_then(|text| text.trim().parse().ok()),
            memory: self.memory(),
            cores: 0.0,
        }
    }

    /// The descriptors that this process has open; cheap on Linux 6.2 and later, elsewhere as dear as there are many.
    pub fn open_descriptors(&self) -> Option<u64> {
        let folder = self.proc.join("self/fd");
        match fs::metadata(&folder).ok()?.len() {
            0 => Some(fs::read_dir(&folder).ok()?.count() as u64),
            count => Some(count),
        }
    }

    pub fn memory(&self) -> Option<Memory> {
        let machine = meminfo(&text(&self.proc.join("meminfo"))?)?;
        let limits = self.memory_groups.iter().filter_map(|group| group_memory(group));
        Some(limits.fold(machine, |sum, group| Memory { total: sum.total.min(group.total), available: sum.available.min(group.available) }))
    }

    /// The resident memory of this process in bytes, now and at its highest.
    pub fn resident(&self) -> Option<(u64, u64)> {
        let status = text(&self.proc.join("self/status"))?;
        Some((kib_field(&status, "VmRSS:")?, kib_field(&status, "VmHWM:")?))
    }

    /// How long the control group was kept from running since it was made: the time of each core counts.
    pub fn throttled(&self) -> Option<Duration> {
        self.cpu_groups.iter().filter_map(|group| throttled(&text(&group.join("cpu.stat"))?)).max()
    }

    /// The threads of this process, in no certain order.
    pub fn threads(&self) -> Vec<ThreadTime> {
        let Ok(tasks) = fs::read_dir(self.proc.join("self/task")) else {
            return Vec::new();
        };
        // A thread may end between two reads.
        tasks.filter_map(|task| thread(&task.ok()?.path())).collect()
    }

    fn quota(&self) -> Option<f64> {
        let quotas = self.cpu_groups.iter().filter_map(|group| {
            let unified = text(&group.join("cpu.max")).and_then(|text| quota(&text));
            let split =
                || quota(&format!("{} {}", text(&group.join("cpu.cfs_quota_us"))?.trim(), text(&group.join("cpu.cfs_period_us"))?.trim()));
            unified.or_else(split)
        });
        quotas.min_by(f64::total_cmp)
    }
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// A thread's folder below `/proc/self/task`.
fn thread(task: &Path) -> Option<ThreadTime> {
    let thread = task.file_name()?.to_str()?.parse().ok()?;
    let (name, ticked) = stat(&text(&task.join("stat"))?, ticks_per_second())?;
    let exact = text(&task.join("schedstat")).and_then(|text| schedstat(&text));
    let (ran, waited) = exact.map_or((ticked, None), |(ran, waited)| (ran, Some(waited)));
    Some(ThreadTime { thread, name, ran, waited })
}

/// Two numbers, the first port and the last.
fn port_range(text: &str) -> Option<PortRange> {
    let mut words = text.split_whitespace();
    Some(PortRange { first: words.next()?.parse().ok()?, last: words.next()?.parse().ok()? })
}

fn reuse(text: &str) -> Option<TimeWaitReuse> {
    match text.trim() {
        "0" => Some(TimeWaitReuse::Never),
        "1" => Some(TimeWaitReuse::Always),
        "2" => Some(TimeWaitReuse::LoopbackOnly),
        _ => None,
    }
}

/// The number after `tw` in the line `TCP:` of `/proc/net/sockstat`.
fn time_wait(text: &str) -> Option<u64> {
    let mut words = text.lines().find_map(|line| line.strip_prefix("TCP:"))?.split_whitespace();
    words.find(|word| *word == "tw")?;
    words.next()?.parse().ok()
}

/// A line such as `MemTotal:  24684092 kB`, in bytes.
fn kib_field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

fn meminfo(text: &str) -> Option<Memory> {
    Some(Memory { total: kib_field(text, "MemTotal:")?, available: kib_field(text, "MemAvailable:")? })
}

/// What a control group of either version leaves; `None` where it sets no limit.
fn group_memory(group: &Path) -> Option<Memory> {
    let number = |file: &str| text(&group.join(file))?.trim().parse::<u64>().ok();
    let (limit, used, reclaimable) = match number("memory.max") {
        Some(limit) => (limit, number("memory.current")?, "inactive_file"),
        None => (number("memory.limit_in_bytes")?, number("memory.usage_in_bytes")?, "total_inactive_file"),
    };
    // Files that were read once are dropped before anything is refused.
    let files = text(&group.join("memory.stat")).and_then(|text| field(&text, reclaimable)).unwrap_or(0);
    Some(Memory { total: limit, available: limit.saturating_sub(used.saturating_sub(files)) })
}

/// The number in a line `name number`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `200000 100000` (two cores), `max 100000` or `-1 100000` (no limit): quota and period in microseconds.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// `throttled_usec` of version 2, or `throttled_time`, in nanoseconds, of version 1.
fn throttled(text: &str) -> Option<Duration> {
    field(text, "throttled_usec").map(Duration::from_micros).or_else(|| field(text, "throttled_time").map(Duration::from_nanos))
}

/// A thread's name and the processor time of `/proc/self/task/TID/stat`, which counts in ticks.
fn stat(text: &str, ticks: u64) -> Option<(String, Duration)> {
    // The name stands in parentheses, and may hold some itself.
    let (head, tail) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let (user, system): (u64, u64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    Some((name.to_owned(), Duration::from_secs_f64((user + system) as f64 / ticks.max(1) as f64)))
}

/// `/proc/self/task/TID/schedstat`: nanoseconds that the thread ran, and that it waited for a core.
fn schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut words = text.split_whitespace();
    let mut next = || Some(Duration::from_nanos(words.next()?.parse().ok()?));
    Some((next()?, next()?))
}

/// The folders of the control groups that hold this process and have this controller, the innermost first: each may set a limit.
fn groups(mountinfo: &str, own: &str, controller: &str) -> Vec<PathBuf> {
    let unified = group_path(own, None).and_then(|path| Some((mount(mountinfo, None)?, path)));
    let split = group_path(own, Some(controller)).and_then(|path| Some((mount(mountinfo, Some(controller))?, path)));
    // Where both versions are mounted, a controller belongs to the one that lists it.
    let Some(((mount_root, mount_point), path)) = split.or(unified) else {
        return Vec::new();
    };
    // A path outside of what is mounted, as containers have them, is the mount itself.
    let within = Path::new(path).strip_prefix(mount_root).ok().filter(|path| !path.components().any(|part| part.as_os_str() == ".."));
    let top = Path::new(mount_point);
    let own = within.map_or_else(|| top.to_owned(), |path| top.join(path));
    own.ancestors().take_while(|path| path.starts_with(top)).map(Path::to_owned).collect()
}

/// The path in the line of `/proc/self/cgroup` for a controller of version 1, or for version 2.
fn group_path<'a>(own: &'a str, controller: Option<&str>) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let found = match controller {
            Some(controller) => controllers.split(',').any(|name| name == controller),
            None => number == "0" && controllers.is_empty(),
        };
        found.then_some(path)
    })
}

/// What of a hierarchy is mounted, and where.
fn mount<'a>(mountinfo: &'a str, controller: Option<&str>) -> Option<(&'a str, &'a str)> {
    mountinfo.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let (head, tail): (Vec<&str>, Vec<&str>) = (head.split(' ').collect(), tail.split(' ').collect());
        let found = match controller {
            Some(controller) => *tail.first()? == "cgroup" && tail.get(2)?.split(',').any(|option| option == controller),
            None => *tail.first()? == "cgroup2",
        };
        found.then_some((*head.get(3)?, *head.get(4)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// A folder with these files, which stands for `/`.
    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let root = Root::at(folder.path());
        (folder, root)
    }

    const MEMINFO: &str = "MemTotal:       24684092 kB\nMemFree:        22842444 kB\nMemAvailable:   23758132 kB\nBuffers: 74856 kB\n";

    #[test]
    fn the_files_of_proc_are_read() {
        let (_folder, root) = root(&[
            ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("proc/sys/net/ipv4/tcp_tw_reuse", "2\n"),
            ("proc/sys/net/core/somaxconn", "4096\n"),
            ("proc/net/sockstat", "sockets: used 17\nTCP: inuse 1 orphan 0 tw 10047 alloc 1 mem 193\nUDP: inuse 0 mem 0\n"),
            ("proc/meminfo", MEMINFO),
            ("proc/self/status", "Name:\tcat\nVmHWM:\t    1752 kB\nVmRSS:\t    1700 kB\n"),
        ]);
        let machine = root.machine();
        assert_eq!(machine.ports.map(PortRange::count), Some(28232));
        assert_eq!(machine.reuse, Some(TimeWaitReuse::LoopbackOnly));
        assert_eq!((machine.time_wait, machine.backlog), (Some(10047), Some(4096)));
        assert_eq!(machine.memory, Some(Memory { total: 24_684_092 * 1024, available: 23_758_132 * 1024 }));
        assert_eq!(root.resident(), Some((1700 * 1024, 1752 * 1024)));
    }

    #[test]
    fn where_nothing_can_be_read_everything_is_unknown() {
        let (_folder, root) = root(&[]);
        assert_eq!(root.machine(), Machine::default());
        assert_eq!((root.resident(), root.throttled(), root.quota(), root.threads()), (None, None, None, Vec::new()));
    }

    #[test]
    fn what_is_no_such_file_is_unknown_and_no_panic() {
        for text in ["", "\n", "x y", "1", "-1 -1", "TCP: inuse 1", "TCP: tw", "MemTotal: kB", "(", "0:", " - "] {
            let nothing = (port_range(text), time_wait(text), meminfo(text), stat(text, 100), schedstat(text), throttled(text));
            assert_eq!(nothing, (None, None, None, None, None, None), "{text}");
            assert!(groups(text, text, "memory").is_empty(), "{text}");
        }
    }

    #[test]
    fn the_tightest_control_group_on_the_way_up_is_the_limit_in_version_2() {
        let (_folder, root) = root(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/mountinfo", "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"),
            ("proc/self/cgroup", "0::/jobs/build\n"),
            ("sys/fs/cgroup/jobs/build/memory.max", "max\n"),
            ("sys/fs/cgroup/jobs/build/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/jobs/build/cpu.stat", "usage_usec 7\nnr_throttled 3\nthrottled_usec 4500\n"),
            ("sys/fs/cgroup/jobs/memory.max", "536870912\n"),
            ("sys/fs/cgroup/jobs/memory.current", "314572800\n"),
            ("sys/fs/cgroup/jobs/memory.stat", "anon 1\ninactive_file 104857600\n"),
            ("sys/fs/cgroup/jobs/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/jobs/cpu.stat", "throttled_usec 0\n"),
        ]);
        assert_eq!(root.memory(), Some(Memory { total: 512 * MIB, available: 312 * MIB }));
        assert_eq!((root.quota(), root.throttled()), (Some(1.5), Some(Duration::from_micros(4500))));
    }

    #[test]
    fn control_groups_of_version_1_are_found_by_controller_even_beside_version_2() {
        let (_folder, root) = root(&[
            ("proc/meminfo", MEMINFO),
            (
                "proc/self/mountinfo",
                "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n35 31 0:32 /box /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("proc/self/cgroup", "4:memory:/box/a\n2:cpu,cpuacct:/\n0::/\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1048576\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1048576\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 9\nnr_throttled 2\nthrottled_time 8000000\n"),
        ]);
        assert_eq!(root.memory(), Some(Memory { total: 1024 * MIB, available: 1023 * MIB }));
        assert_eq!((root.quota(), root.throttled()), (Some(0.5), Some(Duration::from_millis(8))));
    }

    #[test]
    fn a_group_outside_of_what_a_container_sees_is_the_mount_itself() {
        let mounts = "29 23 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(groups(mounts, "0::/elsewhere\n", "cpu"), [PathBuf::from("/sys/fs/cgroup")]);
        assert_eq!(groups(mounts, "0::/box/../elsewhere\n", "cpu"), [PathBuf::from("/sys/fs/cgroup")]);
    }

    #[test]
    fn a_thread_without_schedstat_is_timed_by_ticks_whatever_its_name() {
        let (_folder, root) = root(&[
            ("proc/self/task/17/stat", "17 (load-0) R 1 1 1 0 -1 4194304 118 0 0 0 250 50 0 0 20 0 1 0 2397313 3133440\n"),
            ("proc/self/task/18/stat", "18 (a ) (b) S 1 1 1 0 -1 4194304 118 0 0 0 1 1 0 0 20 0 1 0 2397313 3133440\n"),
            ("proc/self/task/18/schedstat", "1500000 250000 9\n"),
        ]);
        let mut threads = root.threads();
        threads.sort_by_key(|thread| thread.thread);
        let seconds = 300.0 / ticks_per_second() as f64;
        assert_eq!(threads[0], ThreadTime { thread: 17, name: "load-0".into(), ran: Duration::from_secs_f64(seconds), waited: None });
        assert_eq!((threads[1].name.as_str(), threads[1].ran), ("a ) (b", Duration::from_micros(1500)));
        assert_eq!(threads[1].waited, Some(Duration::from_micros(250)));
    }

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::read();
        assert!(machine.cores > 0.0);
        if cfg!(target_os = "linux") {
            assert!(machine.memory.is_some_and(|memory| memory.available <= memory.total));
            assert!(machine.open_descriptors.is_some_and(|open| open >= 1));
            assert!(machine.ports.is_some());
            assert!(!Root::system().threads().is_empty());
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
        let raised = raise_descriptors().expect("Unix has the limit");
        let now = descriptor_limit().expect("Unix has the limit");
        assert_eq!(raised.to, now.soft);
        if let Some(hard) = now.hard.filter(|_| cfg!(target_os = "linux")) {
            assert_eq!(now.soft, Some(hard));
        }
    }
}
