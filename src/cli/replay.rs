//! `chatspec replay`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::check::play;
use super::outputs::Outputs;
use super::target::{TargetArgs, waits};
use super::{Ended, Usage, log};
use crate::conformance::{Plan, Timing};
use crate::known::KnownFailures;
use crate::report::terminal::Verbosity;
use crate::report::transcript::printable;
use crate::verdict::{Conclusion, Outcome};

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The event log of a run, as `chatspec check --json` writes it
    #[arg(value_name = "RUN.jsonl")]
    log: PathBuf,
    /// A scenario of that run, or one case of it
    #[arg(value_name = "ID")]
    scenario: String,
    /// Unless given, the target of that run
    #[command(flatten)]
    target: TargetArgs,
    /// Show the transcript, whatever the outcome
    #[arg(long, short)]
    verbose: bool,
}

/// How long the replay may take.
const MAX_TIME: Duration = Duration::from_secs(120);

pub async fn run(args: ReplayArgs) -> Ended {
    let log = log::read(&args.log)?;
    let before: BTreeMap<String, Outcome> =
        log::verdicts(&log, &args.scenario)?.into_iter().map(|verdict| (verdict.scenario.clone(), verdict.outcome)).collect();
    let protocol = log::suite(&log)?;
    let place = |id: &String| protocol.scenarios.iter().position(|scenario| scenario.id == *id);
    let selected: Vec<usize> = before.keys().filter_map(place).collect();
    if selected.is_empty() {
        return Err(Usage(format!("the suite has no scenario `{}` any more", args.scenario)).into());
    }
    let given = &log.header.given;
    let mut target = args.target;
    if target.http.is_none() && target.ws.is_none() {
        if let Some(command) = &given.command {
            return Err(Usage(format!(
                "the run started its server by `{}`: start it, and say with --http and --ws where it is",
                printable(command)
            ))
            .into());
        }
        (target.http, target.ws) = (given.http.clone(), given.ws.clone());
        target.capacity = target.capacity.or(given.capacity);
        target.insecure |= given.insecure;
        if target.reading.is_empty() {
            target.reading.clone_from(&given.readings);
        }
        let has =
            |name: &String| target.header.iter().any(|header| header.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name)));
        if let Some(name) = given.headers.iter().find(|name| !has(name)) {
            return Err(Usage(format!(
                "the run sent the header `{name}`, whose value isn't in the log: give it with --header '{name}: …'"
            ))
            .into());
        }
    }
    let resolved = target.resolve(&protocol).await?;
    let plan = Plan {
        selected,
        target: resolved.spec.clone(),
        timing: Timing { timeout: Duration::from_millis(given.timeout_ms), max_time: MAX_TIME, within: waits(&given.within, &protocol)? },
        pins: resolved.pins.clone(),
        jobs: None,
        repeat: 1,
        seed: log.header.seed,
        strict: true,
        known: KnownFailures::default(),
        transcripts: true,
        given: given.clone(),
        reproduce: log.header.reproduce.clone(),
        protocol,
    };
    let verbosity = if args.verbose { Verbosity::Verbose } else { Verbosity::Quiet };
    let verdicts = play(&plan, verbosity, &mut Outputs::default(), None).await?;
    let mut worst = Outcome::Pass;
    for (id, then) in &before {
        let now = verdicts.scenarios.get(id).copied().unwrap_or(Outcome::CouldNotTest);
        anstream::println!("{id}: {}", compared(*then, now));
        worst = worst.max(now);
    }
    let ended = match worst {
        Outcome::Pass | Outcome::Skipped => Conclusion::Conforms,
        Outcome::CouldNotTest => Conclusion::Inconclusive,
        Outcome::Fail | Outcome::Flaky => Conclusion::Violated,
        Outcome::Error => Conclusion::Internal,
    };
    Ok(ended.exit_code())
}

fn compared(then: Outcome, now: Outcome) -> String {
    let failed = matches!(then, Outcome::Fail | Outcome::Flaky);
    match now {
        Outcome::Pass if failed => "fixed".to_owned(),
        Outcome::Fail | Outcome::Flaky if failed => "still failing".to_owned(),
        Outcome::CouldNotTest => "could not be tested".to_owned(),
        now => format!("{} now, {} then", now.word(), then.word()),
    }
}
