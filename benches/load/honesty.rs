//! Whether `chatspec load` tells the truth where a clock is needed to know it: a target that stops, a generator that starves.

use std::fs::File;
use std::io::{self, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use chatspec::event::{Log, Trust};
use chatspec::stats::{Clock, Metric};
use rustix::process::{Pid, Signal, kill_process};

use crate::contender::Programs;
use crate::process::{self, Core};
use crate::target::{Server, Target};

const SECONDS: f64 = 12.0;
const STOPPED: f64 = 1.0;

/// How far from what the plan implies a figure may be.
const TOLERANCE: f64 = 0.05;

/// The target is stopped for a second in the middle of an open load: what the plan implies is that second.
pub fn stopped_target(programs: &Programs) -> io::Result<()> {
    let target = Target::start(Server::Reference, &programs.chatspec, &programs.own, 20)?;
    let pid = i32::try_from(target.pid()).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("no process id"))?;
    let shape = ["--clients", "100", "--rooms", "5", "--rate", "1000/s", "--phase", "steady:12s", "--session-rate", "1000/s"];
    let log = load(programs, &target, &shape, |_| {
        sleep(Duration::from_secs(6));
        kill_process(pid, Signal::STOP)?;
        sleep(Duration::from_secs_f64(STOPPED));
        kill_process(pid, Signal::CONT)?;
        Ok(())
    })?;
    let (_, measured) = log.load().ok_or_else(|| io::Error::other("the log has no figures"))?;
    let deliver = measured.histograms().map_err(io::Error::other)?.select(Metric::Deliver, Clock::Intended, Some("steady"), None);
    // Of all that was due, a hundredth waited longer than the percentile: the first to come within the stop.
    let p99 = (STOPPED - SECONDS / 100.0) * 1000.0;
    println!("### A target that stops for one second, 1,000 messages/s for 12 s\n");
    println!("| | implied by the plan | reported | |\n|---|---|---|---|");
    for (name, implied, micros) in [("p99 ms", p99, deliver.value_at_quantile(0.99)), ("max ms", STOPPED * 1000.0, deliver.max())] {
        let reported = micros as f64 / 1000.0;
        let word = if (reported / implied - 1.0).abs() <= TOLERANCE { "within 5 %" } else { "NOT within 5 %" };
        println!("| {name} | {implied:.0} | {reported:.0} | {word} |");
    }
    println!("\n{} of {} deliveries arrived.\n", measured.ledger.delivered, measured.ledger.due);
    Ok(())
}

/// Something else takes the generator's core: the run must not be believed.
pub fn starved_generator(programs: &Programs) -> io::Result<()> {
    let target = Target::start(Server::Reference, &programs.chatspec, &programs.own, 20)?;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(process::command("sh".as_ref(), Core::Generator).args(["-c", "while :; do :; done"]).stdout(Stdio::null()).spawn()?);
    }
    let shape = ["--clients", "1000", "--rooms", "50", "--rate", "2000/s", "--phase", "steady:5s", "--no-abort"];
    let log = load(programs, &target, &shape, |_| Ok(()));
    for mut other in others {
        other.kill()?;
        other.wait()?;
    }
    let log = log?;
    let (_, measured) = log.load().ok_or_else(|| io::Error::other("the log has no figures"))?;
    let word = if measured.health.trust == Trust::Invalid && log.footer.exit_code == 3 { "as it must be" } else { "WRONG" };
    println!("### A generator whose core three other programs want\n");
    println!("{:?}, exit code {}: {word}. {}\n", measured.health.trust, log.footer.exit_code, measured.health.reasons.join(" "));
    Ok(())
}

/// What an idle connection costs the generator: it has joined, and its ledger is there.
pub fn idle(connections: usize, programs: &Programs) -> io::Result<()> {
    const FEW: usize = 100;
    let peak = |connections: usize| -> io::Result<(u64, f64)> {
        let target = Target::start(Server::Reference, &programs.chatspec, &programs.own, 20)?;
        let (clients, rooms) = (connections.to_string(), (connections / 20).to_string());
        let shape =
            ["--clients", &clients, "--rooms", &rooms, "--rate", "1/s", "--phase", "steady:2s", "--session-rate", "20000/s", "--poisson"];
        let log = load(programs, &target, &shape, |_| Ok(()))?;
        let (_, measured) = log.load().ok_or_else(|| io::Error::other("the log has no figures"))?;
        let joined = log.seconds().find(|second| second.joined as usize >= connections).map_or(f64::NAN, |second| second.at_ms / 1000.0);
        Ok((measured.health.peak_memory_bytes, joined))
    };
    let (few, _) = peak(FEW)?;
    let (many, joined) = peak(connections)?;
    let each = many.saturating_sub(few) as f64 / 1024.0 / (connections - FEW) as f64;
    println!("### The generator's idle connections\n");
    println!(
        "{each:.1} KiB a connection, joined and with its ledger, at {connections} connections; all were in their rooms {joined:.0} s after the start.\n"
    );
    Ok(())
}

/// Runs `chatspec load` against the target while something happens, and reads its log.
fn load(programs: &Programs, target: &Target, shape: &[&str], meanwhile: impl FnOnce(&Target) -> io::Result<()>) -> io::Result<Log> {
    let log = tempfile::Builder::new().suffix(".jsonl").tempfile()?;
    let mut command: Command = process::command(&programs.chatspec, Core::Generator);
    command.arg("load").args(shape).arg("--quiet");
    command.args(["--http", &format!("http://{}", target.http), "--ws", &format!("ws://{}", target.ws)]).arg("--json").arg(log.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    meanwhile(target)?;
    child.wait()?;
    Log::read(BufReader::new(File::open(log.path())?)).map_err(io::Error::other)
}
