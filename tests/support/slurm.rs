//! A Slurm cluster of several nodes on this machine, of Debian's own daemons, with all of its state in a temporary folder.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything that is asked of the cluster takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked whether something has happened meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// It ends with this: its jobs, their steps and the daemons.
pub struct Cluster {
    dir: tempfile::TempDir,
    daemons: Vec<Child>,
}

/// Whether it is a failure that Slurm isn't installed.
pub fn is_required() -> bool {
    std::env::var("CHATSPEC_SLURM_TEST").is_ok_and(|value| value == "required")
}

/// A task of a job.
pub struct Task(Pid);

impl Task {
    /// Ends it as a lost machine would.
    pub fn kill(&self) {
        kill_process(self.0, Signal::KILL).expect("it runs");
    }
}

impl Cluster {
    /// A cluster of so many nodes, or `None`, said so, where Slurm isn't installed. Where `CHATSPEC_SLURM_TEST` is `required`, that is a
    /// failure.
    pub fn start(nodes: u16) -> Option<Self> {
        let is_there = |name: &str| {
            super::browser::program(&[name]).or_else(|| Path::new("/usr/sbin").join(name).is_file().then(PathBuf::new)).is_some()
        };
        if let Some(missing) = ["slurmctld", "slurmd", "sbatch", "srun", "sinfo"].into_iter().find(|name| !is_there(name)) {
            assert!(!is_required(), "{missing} is missing, and CHATSPEC_SLURM_TEST=required: install slurmctld, slurmd and slurm-client");
            eprintln!("skipped: Slurm is not installed ({missing} is missing)");
            return None;
        }
        // The ports are free until somebody else takes one before a daemon does.
        (0..3).find_map(|_| Self::try_start(nodes)).or_else(|| panic!("no cluster of {nodes} nodes comes up"))
    }

    fn try_start(nodes: u16) -> Option<Self> {
        let mut cluster = Self { dir: tempfile::tempdir().expect("a folder"), daemons: Vec::new() };
        let root = cluster.dir.path().to_owned();
        std::fs::create_dir(root.join("state")).expect("the folder is new");
        let listeners: Vec<TcpListener> = (0..=nodes).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port on loopback")).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect();
        let user = Command::new("id").arg("-un").output().expect("there is a user");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        // Neither keys, nor control groups, nor a service manager: what a container has. A job that is over is forgotten soon, since
        // `sbatch --wait` looks again only after a longer and longer time.
        let mut conf = format!(
            "ClusterName=chatspec\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={}\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/none\nCredType=cred/none\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\n\
             JobAcctGatherType=jobacct_gather/none\nMpiDefault=none\nFirstJobId={}\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\n\
             CommunicationParameters=NoCtldInAddrAny,NoInAddrAny\nMinJobAge=4\nReturnToService=2\n\
             StateSaveLocation={root}/state\nSlurmdSpoolDir={root}/spool-%n\n\
             SlurmctldPidFile={root}/slurmctld.pid\nSlurmdPidFile={root}/slurmd-%n.pid\n\
             SlurmctldLogFile={root}/slurmctld.log\nSlurmdLogFile={root}/slurmd-%n.log\n",
            ports[0],
            // Two clusters of one machine have different jobs, and so different ports for them.
            ports[0],
            root = root.display(),
        );
        for node in 1..=nodes {
            let port = ports[usize::from(node)];
            conf.push_str(&format!("NodeName=n{node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=1024\n"));
            std::fs::create_dir(root.join(format!("spool-n{node}"))).expect("the folder is new");
        }
        conf.push_str("PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n");
        std::fs::write(cluster.conf(), conf).expect("the folder is new");
        drop(listeners);
        cluster.daemon("slurmctld", &["-D", "-i"]);
        (1..=nodes).for_each(|node| cluster.daemon("slurmd", &["-D", "-N", &format!("n{node}")]));
        let idle = || {
            let shown = cluster.ask("sinfo", &["--noheader", "--Node", "--format=%T"]);
            (String::from_utf8_lossy(&shown.stdout).lines().filter(|state| *state == "idle").count() == usize::from(nodes)).then_some(())
        };
        let came_up = wait_for(PATIENCE / 4, idle).is_some();
        if !came_up {
            eprintln!("{}", std::fs::read_to_string(root.join("slurmctld.log")).unwrap_or_default());
        }
        came_up.then_some(cluster)
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("slurm.conf")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Debian has the daemons where not everybody looks.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("SLURM_CONF", self.conf()).env("PATH", format!("{path}:/usr/sbin")).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        let child = self.command(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started");
        self.daemons.push(child);
    }

    /// Runs one of Slurm's commands to its end.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().expect("it runs")
    }

    /// Submits a script from within a folder, and waits until the job is over.
    pub fn submit(&self, script: &Path, from: &Path) -> Output {
        self.command("sbatch").arg("--wait").arg(script).current_dir(from).output().expect("sbatch runs")
    }

    /// The task of this rank, once a program of this name runs in it.
    pub fn task(&self, rank: u32, program: &str) -> Task {
        let found = || {
            self.processes().into_iter().find_map(|pid| {
                let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                let is_of_rank = read("environ").split(|byte| *byte == 0).any(|pair| pair == format!("SLURM_PROCID={rank}").as_bytes());
                let runs = read("comm").trim_ascii() == program.as_bytes();
                (is_of_rank && runs).then(|| Pid::from_raw(pid)).flatten().map(Task)
            })
        };
        wait_for(PATIENCE, found).unwrap_or_else(|| panic!("no task {rank} runs {program}"))
    }

    /// Processes that belong to this cluster and to no other: their environment names its configuration.
    fn processes(&self) -> Vec<i32> {
        let own = format!("SLURM_CONF={}", self.conf().display());
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_own = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| text.split(|byte| *byte == 0).any(|pair| pair == own.as_bytes()))
        };
        pids.filter(is_own).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Steps outlive the daemons that began them.
        self.ask("scancel", &["--state=PENDING"]);
        self.ask("scancel", &["--state=RUNNING"]);
        let over = || self.ask("squeue", &["--noheader"]).stdout.is_empty().then_some(());
        let is_over = wait_for(PATIENCE / 4, over).is_some();
        for daemon in &mut self.daemons {
            if let Some(pid) = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = daemon.wait();
        }
        let nobody = || self.processes().is_empty().then_some(());
        let is_gone = wait_for(PATIENCE / 8, nobody).is_some();
        for pid in self.processes().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        if !std::thread::panicking() {
            assert!(is_over && is_gone, "the cluster leaves nothing behind");
        }
    }
}

/// Looks again and again until there is something, or for this long.
pub fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        match look() {
            Some(found) => return Some(found),
            None if Instant::now() >= until => return None,
            None => std::thread::sleep(LOOK),
        }
    }
}
