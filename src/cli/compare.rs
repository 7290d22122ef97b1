//! `chatspec compare`.

use std::path::PathBuf;

use clap::Args;

use super::{Ended, Usage, log};
use crate::event::Trust;
use crate::load::figures::{Run, figures, losses, names};
use crate::report::compare::table;
use crate::scenario::source::nearest;
use crate::stats::compare::{MinEffect, Verdict, compare};
use crate::verdict::Conclusion;

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The logs of the runs before, as `chatspec load --json` writes them
    #[arg(value_name = "BASE.jsonl", required = true)]
    base: Vec<PathBuf>,
    /// The logs of the runs now
    #[arg(value_name = "NEW.jsonl", last = true, required = true)]
    new: Vec<PathBuf>,
    /// What differs less doesn't matter: of the value, and of durations besides
    #[arg(long, value_name = "PERCENT,DURATION", default_value = "10%,1ms")]
    min_effect: MinEffect,
    /// Only this figure decides, such as deliver.p99; may be repeated
    #[arg(long, value_name = "FIGURE")]
    only: Vec<String>,
    /// Compare runs of different plans or seeds and interrupted ones too, and leave out logs that can't be used
    #[arg(long)]
    force: bool,
    /// Write the comparison as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(args: &CompareArgs) -> Ended {
    let known = names();
    for name in &args.only {
        if !known.contains(name) {
            let help = match nearest(name, known.iter().map(String::as_str)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there is {}", known.join(", ")),
            };
            return Err(Usage(format!("no figure is called `{name}`: {help}")).into());
        }
    }
    let mut plan = None;
    let base = read(&args.base, args.force, &mut plan)?;
    let new = read(&args.new, args.force, &mut plan)?;
    let mut chosen = figures(&base, &new);
    // What a load doesn't have, such as echoes, nobody misses who hasn't asked for it.
    chosen.retain(|figure| match args.only.is_empty() {
        true => figure.base.iter().chain(&figure.new).any(Option::is_some),
        false => args.only.contains(&figure.name),
    });
    let comparison = compare(&chosen, &losses(&base, &new), &args.min_effect);
    table(&mut anstream::stdout().lock(), &comparison)?;
    if let Some(path) = &args.json {
        let written = serde_json::to_vec_pretty(&comparison)?;
        std::fs::write(path, written).map_err(|error| Usage(format!("{} can't be written: {error}", path.display())))?;
    }
    let conclusion = match comparison.verdict {
        Verdict::Better | Verdict::Same => Conclusion::Conforms,
        Verdict::Worse => Conclusion::Violated,
        Verdict::Inconclusive => Conclusion::Inconclusive,
    };
    Ok(conclusion.exit_code())
}

/// The runs of a side. A run whose generator couldn't keep up is no evidence, and is left out.
fn read(paths: &[PathBuf], force: bool, plan: &mut Option<(String, (String, u64))>) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let found = log::read(path).and_then(|log| Run::of(&log).map_err(|error| Usage(format!("{name}: {error}")).into()));
        let run = match found {
            Err(error) if force && error.is::<Usage>() => {
                anstream::eprintln!("left out: {error}");
                continue;
            }
            found => found?,
        };
        if let Some(shard) = &run.shard {
            return Err(
                Usage(format!("{name}: it is the shard {shard} of a run: put its shards together with `chatspec merge` first")).into()
            );
        }
        if run.interrupted && !force {
            return Err(Usage(format!("{name}: the run was interrupted; --force compares it all the same")).into());
        }
        match plan {
            Some((first, plan)) if *plan != run.plan && !force => {
                let what = if plan.0 == run.plan.0 { "seed" } else { "plan" };
                let why = format!("{name}: it is of another {what} than {first}; run both with the same profile and --seed, or --force it");
                return Err(Usage(why).into());
            }
            Some(_) => {}
            None => *plan = Some((name.clone(), run.plan.clone())),
        }
        if run.trust == Trust::Invalid {
            anstream::eprintln!("left out: {name}: its generator couldn't keep up, so that its figures aren't the target's");
        } else {
            runs.push(run);
        }
    }
    Ok(runs)
}
