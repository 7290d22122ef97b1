//! `chatspec repro`.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Ended, log};
use crate::report::script::{Excerpts, script};
use crate::scenario::step::each_step;
use crate::verdict::Outcome;

#[derive(Debug, Args)]
pub struct ReproArgs {
    /// The event log of a run, as `chatspec check --json` writes it
    #[arg(value_name = "RUN.jsonl")]
    log: PathBuf,
    /// A scenario of that run, or one case of it; of several cases, the first that failed
    #[arg(value_name = "ID")]
    scenario: String,
}

pub fn run(args: &ReproArgs) -> Ended {
    let log = log::read(&args.log)?;
    let verdicts = log::verdicts(&log, &args.scenario)?;
    let failed = verdicts.iter().find(|verdict| matches!(verdict.outcome, Outcome::Fail | Outcome::CouldNotTest));
    let verdict = failed.or(verdicts.first()).copied();
    let protocol = log::suite(&log)?;
    let mut excerpts: Excerpts = HashMap::new();
    if protocol.hash == log.header.suite {
        for scenario in &protocol.scenarios {
            each_step(&scenario.steps, &mut |step| {
                excerpts.entry(step.span.to_string()).or_insert_with(|| step.span.excerpt());
            });
        }
    }
    if let Some(verdict) = verdict {
        anstream::stdout().lock().write_all(script(&log, verdict, &excerpts).as_bytes())?;
    }
    Ok(0)
}
