//! `chatspec explore`.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::command_target::{CommandArgs, Started};
use super::interrupt::interrupt;
use super::outputs::{OutputArgs, Outputs};
use super::target::{REFERENCE_PROTOCOL, TargetArgs};
use super::witness::Witness;
use super::{Ended, Usage, suite};
use crate::conformance::Timing;
use crate::conformance::session::Setting;
use crate::event::{Counterexample, Event, Given, Header};
use crate::explore::run::{self, Limits, Plan};
use crate::explore::shrink::Bounds;
use crate::report::explore::ExploreReport;
use crate::report::explore_progress::ExploreProgress;
use crate::report::terminal::Verbosity;
use crate::scenario::protocol::Protocol;

#[derive(Debug, Args)]
pub struct ExploreArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    command: CommandArgs,

    /// Decides what is played: the same seed makes the same actions; a new one in each run unless given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Play N traces, each on rooms of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Play N actions, and what is begun by then
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    actions: Option<u64>,
    /// Play for so long; without --runs and --actions 60 s
    #[arg(long, value_name = "DURATION", value_parser = super::check::positive)]
    time: Option<Duration>,
    /// Play the trace of this number only, as a counterexample names it
    #[arg(long, value_name = "N", conflicts_with_all = ["runs", "actions", "time"])]
    trace: Option<u64>,
    /// Begin no further trace once one has failed: what was found is made small, and played on only where no scenario can be made of it
    #[arg(long)]
    fail_fast: bool,
    /// How many traces are played at once; unless given, eight for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    at_once: Option<u64>,
    /// How long each wait may take
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = super::check::positive)]
    timeout: Duration,
    /// How long each failing trace is made smaller
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = super::check::positive)]
    shrink_time: Duration,
    /// How many smaller traces are tried for each failing one
    #[arg(long, value_name = "N", default_value_t = 2000)]
    shrink_tries: usize,
    /// Write the smallest counterexample of each requirement into this folder, as a scenario file
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Show every trace that was found to fail, and the frames of fences
    #[arg(long, short)]
    verbose: bool,
    /// Show what was found and the verdict only
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
}

/// How long it explores where nothing else ends it.
const TIME: Duration = Duration::from_secs(60);

/// How long one trace may take, so that a server that is silent to everything doesn't hold it up for ever.
const TRACE_TIME: Duration = Duration::from_secs(60);

/// The places in a room of the reference server that is started for a run: few, so that rooms are full often.
const CAPACITY: u64 = 3;

const AT_ONCE_FOR_EACH_PROCESSOR: usize = 8;

pub async fn run(args: ExploreArgs) -> Ended {
    let protocol = Arc::new(suite::load(None)?);
    if protocol.name != REFERENCE_PROTOCOL {
        return Err(Usage(format!("there is a model of the chatroom protocol only, and none of `{}`", protocol.name)).into());
    }
    let mut outputs = Outputs::open(&args.outputs, None)?;
    if let Some(dir) = &args.out {
        fs::create_dir_all(dir).map_err(|error| Usage(format!("--out: {} can't be made: {error}", dir.display())))?;
    }
    let seed = args.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let Started { mut target, mut server, absence, http, ws } = match started(&args, &protocol).await? {
        Ok(started) => started,
        Err(code) => {
            let header = Header { strict: true, ..Header::new("explore", &protocol.name, &protocol.hash, seed) };
            return Ok(outputs.never_began(header, None, "the run was interrupted while its server was starting", code));
        }
    };
    // Of the server that was started for this run it is known that it keeps connections.
    target.spec.keeps_http |= target.spec.pid.is_some();
    let at_once = args.at_once.and_then(|count| usize::try_from(count).ok());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let unlimited = args.runs.is_none() && args.actions.is_none();
    let plan = Plan {
        setting: Setting {
            protocol,
            target: target.spec.clone(),
            timing: Timing { timeout: args.timeout, max_time: TRACE_TIME, within: Default::default() },
            pins: target.pins.clone(),
        },
        seed,
        limits: Limits {
            traces: args.runs,
            actions: args.actions,
            time: args.time.or(unlimited.then_some(TIME)),
            fail_fast: args.fail_fast,
        },
        only: args.trace,
        at_once: at_once.unwrap_or(processors * AT_ONCE_FOR_EACH_PROCESSOR),
        shrinking: Bounds { time: args.shrink_time, tries: args.shrink_tries },
        given: Given { http, ws, ..given(&args) },
        reproduce: reproduce(&target.options, seed),
    };
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let mut report = ExploreReport::new(verbosity);
    let mut progress = ExploreProgress::new(verbosity == Verbosity::Quiet, plan.limits.actions, plan.limits.traces, plan.limits.time);
    let mut saved: Vec<String> = Vec::new();
    let mut unsaved: Option<anyhow::Error> = None;
    let mut witness = (server.is_some() || absence.is_some()).then(|| Witness::new(server.as_mut(), absence));
    let conclusion = run::run(&plan, interrupt().await, |event| {
        let told = witness.as_mut().map_or(Cow::Borrowed(event), |witness| witness.told(event));
        let event = &*told;
        progress.event(event);
        report.event(event);
        outputs.event(event);
        if let (Event::Counterexample(found), Some(dir)) = (event, &args.out) {
            match save(dir, found) {
                Ok(path) => saved.extend(path),
                Err(error) => unsaved = Some(error),
            }
        }
    })
    .await?;
    drop(witness);
    progress.clear();
    if let Some(server) = server {
        server.stop().await;
    }
    outputs.show(|out| report.finish(out));
    for path in &saved {
        outputs.say(|out| writeln!(out, "written: {path}"));
    }
    if let Some(error) = unsaved {
        outputs.fail(format!("--out: {error:#}"));
    }
    Ok(outputs.finish(conclusion.exit_code()))
}

/// The target, started before where there is a command, or the reference server with small rooms where nothing is given; or the exit
/// code of a run that was interrupted meanwhile.
async fn started(args: &ExploreArgs, protocol: &Protocol) -> anyhow::Result<Result<Started, u8>> {
    if args.command.cmd.is_some() {
        return args.command.resolve(&args.target, protocol).await;
    }
    let capacity = args.target.capacity.unwrap_or(CAPACITY).to_string();
    let target = args.target.resolve_with(protocol, &["--capacity", &capacity]).await?;
    Ok(Ok(Started { target, server: None, absence: None, http: args.target.http.clone(), ws: args.target.ws.clone() }))
}

/// Writes a counterexample as a scenario file, and gives its path.
fn save(dir: &Path, found: &Counterexample) -> anyhow::Result<Option<String>> {
    let Some(yaml) = &found.yaml else {
        return Ok(None);
    };
    let name = found.scenario.rsplit_once('.').map_or(found.scenario.as_str(), |(_, name)| name);
    let path = dir.join(format!("{name}.yaml"));
    fs::write(&path, yaml).with_context(|| format!("{} can't be written", path.display()))?;
    Ok(Some(path.display().to_string()))
}

fn given(args: &ExploreArgs) -> Given {
    Given {
        capacity: args.target.capacity,
        readings: args.target.reading.clone(),
        headers: args.target.header.iter().filter_map(|header| header.split_once(':')).map(|(name, _)| name.to_owned()).collect(),
        insecure: args.target.insecure,
        command: args.command.cmd.clone(),
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
        ..Given::default()
    }
}

fn reproduce(target: &[String], seed: u64) -> String {
    let mut words: Vec<String> = vec!["chatspec".into(), "explore".into()];
    words.extend(target.iter().cloned());
    words.extend(["--seed".into(), seed.to_string()]);
    words.join(" ")
}
