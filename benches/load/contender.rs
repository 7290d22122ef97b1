//! The generators that are compared, each a process of its own on the generator's core.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chatspec::event::Log;
use chatspec::stats::{Clock, Metric, encoding};

use crate::chat::Figures;
use crate::process::{self, Core};
use crate::target::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    Floor,
    Bare,
    Ours,
}

/// Rooms of as many members, of whom one speaks at a time.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub name: &'static str,
    pub rooms: usize,
    pub members: usize,
    /// Messages a second of an open load; a closed one has none.
    pub rate: Option<f64>,
}

pub const ECHO: Shape = Shape { name: "echo", rooms: 500, members: 1, rate: None };
pub const FAN_OUT: Shape = Shape { name: "fan-out", rooms: 50, members: 20, rate: None };

/// Where the programs are, and how long each measures.
pub struct Programs {
    pub own: PathBuf,
    pub chatspec: PathBuf,
    pub seconds: f64,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Contender::Floor => "floor",
            Contender::Bare => "tokio-tungstenite, bare",
            Contender::Ours => "chatspec load",
        }
    }

    /// Runs it to its end.
    pub fn run(self, shape: Shape, target: &Target, programs: &Programs) -> io::Result<Figures> {
        match self {
            Contender::Floor => own(&["floor"], shape, target, programs),
            Contender::Bare => own(&["bare"], shape, target, programs),
            Contender::Ours => ours(shape, target, programs),
        }
    }
}

/// The arguments that tell a generator of this program what to do.
pub fn arguments(shape: Shape, target: &Target) -> Vec<String> {
    let pairs = [
        ("--http", target.http.to_string()),
        ("--ws", target.ws.to_string()),
        ("--rooms", shape.rooms.to_string()),
        ("--members", shape.members.to_string()),
        ("--target", target.pid().to_string()),
    ];
    let rate = shape.rate.map(|rate| ("--rate", rate.to_string()));
    pairs.into_iter().chain(rate).flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn own(command: &[&str], shape: Shape, target: &Target, programs: &Programs) -> io::Result<Figures> {
    let output = process::command(&programs.own, Core::Generator)
        .args(command)
        .args(arguments(shape, target))
        .args(["--seconds", &programs.seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("`{}` failed: {}", command.join(" "), output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

/// Whether the binary has the command `load`.
pub fn has_load(chatspec: &Path) -> bool {
    let help = Command::new(chatspec).args(["load", "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    help.is_ok_and(|status| status.success())
}

/// `chatspec load`, whose figures come from its log: its processor time is that of its threads in the phase that counts.
fn ours(shape: Shape, target: &Target, programs: &Programs) -> io::Result<Figures> {
    let log = tempfile::Builder::new().suffix(".jsonl").tempfile()?;
    let mut command = process::command(&programs.chatspec, Core::Generator);
    match shape.rate {
        None => command.args(["load", "--closed", &shape.rooms.to_string()]),
        Some(rate) => command.args(["load", "--rate", &format!("{rate}/s")]),
    };
    command.args(["--rooms", &shape.rooms.to_string()]);
    command.args(["--clients", &(shape.rooms * shape.members).to_string()]);
    command.args(["--duration", &format!("{}s", programs.seconds), "--size", &super::chat::TEXT.to_string(), "--quiet"]);
    command.args(["--http", &format!("http://{}", target.http), "--ws", &format!("ws://{}", target.ws)]);
    command.arg("--json").arg(log.path());
    let target_before = process::cpu(target.pid())?;
    let mut child = command.stdout(Stdio::null()).spawn()?;
    child.wait()?;
    let target_cpu = process::cpu(target.pid())? - target_before;
    let log = Log::read(BufReader::new(File::open(log.path())?)).map_err(io::Error::other)?;
    let (planned, measured) = log.load().ok_or_else(|| io::Error::other("the log of `chatspec load` has no figures"))?;
    let counts = |name: &str| planned.phases.iter().any(|phase| phase.counts && phase.name == name);
    let counted = || measured.phases.iter().filter(|phase| counts(&phase.name));
    let seconds: f64 = counted().map(|phase| phase.seconds).sum();
    let mut echo = chatspec::stats::durations();
    let clock = if shape.rate.is_some() { Clock::Intended } else { Clock::Service };
    for recorded in &measured.histograms {
        if recorded.metric == Metric::Echo && recorded.clock == clock && counts(&recorded.phase) {
            echo.add(encoding::decode(&recorded.histogram).map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
    }
    Ok(Figures {
        messages: counted().map(|phase| phase.sent).sum(),
        deliveries: counted().map(|phase| phase.delivered).sum(),
        seconds,
        cpu_seconds: measured.health.cpu.iter().sum::<f64>() * seconds,
        target_cpu_seconds: target_cpu.as_secs_f64(),
        p50_us: echo.value_at_quantile(0.5),
        p99_us: echo.value_at_quantile(0.99),
    })
}
