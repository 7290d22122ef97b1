//! `chatspec check`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::command_target::{CommandArgs, Started};
use super::expected::Expected;
use super::interrupt::interrupt;
use super::outputs::{OutputArgs, Outputs};
use super::suite::SuiteArgs;
use super::target::{TargetArgs, quote, waits};
use super::witness::Witness;
use super::{Ended, Usage};
use crate::conformance::{self, Plan, Timing};
use crate::event::{Given, Header, SuiteShown};
use crate::report::progress::Progress;
use crate::report::terminal::{Terminal, Verbosity};
use crate::scenario::select::select;
use crate::verdict::Verdicts;

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    command: CommandArgs,

    /// Fail on SHOULD and ROBUST too
    #[arg(long)]
    strict: bool,
    /// Only these scenarios: a scenario, a requirement, an area (http, ws, flows, robustness), a level or a glob; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<String>,
    /// Not these scenarios; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    skip: Vec<String>,
    /// How many scenarios run at once; unless given 32, and more for a target that takes its time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    jobs: Option<u64>,
    /// How long each wait may take
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = positive)]
    timeout: Duration,
    /// How long the whole run may take
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = positive)]
    max_time: Duration,
    /// Another limit for the waits that prove a requirement, such as GONE-2=10s; may be repeated
    #[arg(long, value_name = "ID=DURATION")]
    within: Vec<String>,
    /// Decides the order of the scenarios and part of the names; a new one in each run unless given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Play every scenario N times; one whose outcomes differ is flaky, and no pass
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    #[command(flatten)]
    suite: SuiteArgs,
    /// Failures that are known and don't count, each with its reason; an entry that passes, has expired or matches nothing fails
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// Write what fails now to the file of `--expected`, and take out what doesn't
    #[arg(long, requires = "expected")]
    update_expected: bool,
    /// Show every requirement and scenario, and the transcript of each
    #[arg(long, short)]
    verbose: bool,
    /// Show violations and the verdict only
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    // At the end, since its heading would hold for what follows.
    #[command(flatten)]
    outputs: OutputArgs,
}

pub fn positive(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error} (such as `500ms` or `3s`)"))?;
    if duration.is_zero() { Err("it must be more than nothing".into()) } else { Ok(duration) }
}

pub async fn run(args: CheckArgs) -> Ended {
    let protocol = Arc::new(args.suite.load()?);
    let selected = select(&protocol, &args.only, &args.skip).map_err(|error| Usage(error.to_string()))?;
    let timing = Timing { timeout: args.timeout, max_time: args.max_time, within: waits(&args.within, &protocol)? };
    let mut outputs = Outputs::open(&args.outputs, None)?;
    let expected = args.expected.as_deref().map(|path| Expected::open(path, &protocol, args.update_expected)).transpose()?;
    let seed = args.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let Started { target, mut server, absence, http, ws } = match args.command.resolve(&args.target, &protocol).await? {
        Ok(started) => started,
        Err(code) => {
            let header = Header { strict: args.strict, ..Header::new("check", &protocol.name, &protocol.hash, seed) };
            let why = "the run was interrupted while its server was starting";
            return Ok(outputs.never_began(header, Some(SuiteShown::new(&protocol, &selected)), why, code));
        }
    };
    let plan = Plan {
        protocol: protocol.clone(),
        selected,
        target: target.spec.clone(),
        timing,
        pins: target.pins.clone(),
        jobs: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()),
        repeat: args.repeat,
        seed,
        strict: args.strict,
        known: expected.as_ref().map(|expected| expected.known.clone()).unwrap_or_default(),
        transcripts: true,
        given: Given { http, ws, ..given(&args) },
        reproduce: reproduce(&args, &target.options, seed),
    };
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let witness = (server.is_some() || absence.is_some()).then(|| Witness::new(server.as_mut(), absence));
    let verdicts = play(&plan, verbosity, &mut outputs, witness).await?;
    if let Some(server) = server {
        server.stop().await;
    }
    let code = match expected.filter(|_| args.update_expected) {
        Some(expected) => expected.update(&verdicts)?,
        None => verdicts.conclusion.exit_code(),
    };
    Ok(outputs.finish(code))
}

/// Plays a plan, shows it on the terminal, and tells the outputs; with what the witness of a server that was started for it adds.
pub async fn play(plan: &Plan, verbosity: Verbosity, outputs: &mut Outputs, mut witness: Option<Witness<'_>>) -> anyhow::Result<Verdicts> {
    let mut terminal = Terminal::new(verbosity);
    let mut progress = Progress::new(verbosity == Verbosity::Quiet);
    let verdicts = conformance::run(plan, interrupt().await, |event| {
        let told = witness.as_mut().map_or(Cow::Borrowed(event), |witness| witness.told(event));
        let event = &*told;
        progress.event(event);
        terminal.event(event);
        outputs.event(event);
    })
    .await?;
    progress.clear();
    outputs.show(|out| terminal.finish(out));
    Ok(verdicts)
}

/// What the run was given, for a log from which it can be played again.
fn given(args: &CheckArgs) -> Given {
    Given {
        http: args.target.http.clone(),
        ws: args.target.ws.clone(),
        capacity: args.target.capacity,
        readings: args.target.reading.clone(),
        headers: args.target.header.iter().filter_map(|header| header.split_once(':')).map(|(name, _)| name.to_owned()).collect(),
        insecure: args.target.insecure,
        command: args.command.cmd.clone(),
        scenarios: args.suite.scenarios.as_ref().map(|dir| dir.display().to_string()),
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
        within: args.within.clone(),
    }
}

/// The options of a command that plays scenarios again under the same circumstances.
fn reproduce(args: &CheckArgs, target: &[String], seed: u64) -> String {
    let mut words: Vec<String> = vec!["chatspec".into(), "check".into()];
    words.extend(target.iter().cloned());
    if args.strict {
        words.push("--strict".into());
    }
    if let Some(dir) = &args.suite.scenarios {
        words.extend(["--scenarios".into(), quote(&dir.display().to_string())]);
    }
    if args.timeout != Duration::from_secs(3) {
        words.extend(["--timeout".into(), humantime::format_duration(args.timeout).to_string().replace(' ', "")]);
    }
    if let Some(path) = &args.expected {
        words.extend(["--expected".into(), quote(&path.display().to_string())]);
    }
    words.extend(args.within.iter().flat_map(|within| ["--within".to_owned(), quote(within)]));
    words.extend(["--seed".into(), seed.to_string()]);
    words.join(" ")
}
