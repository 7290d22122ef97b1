//! `chatspec compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::command_server::{CommandServer, StartError};
use super::load::inconclusive;
use super::load_job::{Gate, GeneratorArgs, Goal, Job, Part};
use super::load_shape::{ShapeArgs, profile};
use super::target::TargetArgs;
use super::{Ended, Usage, log};
use crate::event::{Log, Trust};
use crate::load::figures::{Run, figures, losses, names};
use crate::report::compare::table;
use crate::report::jsonl::JsonLines;
use crate::scenario::source::nearest;
use crate::stats::compare::{MinEffect, Side, Verdict, compare, schedule};
use crate::verdict::Conclusion;

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The logs of the runs before, as `chatspec load --json` writes them
    #[arg(value_name = "BASE.jsonl", required_unless_present_any = ["interleave", "itself"])]
    base: Vec<PathBuf>,
    /// The logs of the runs now
    #[arg(value_name = "NEW.jsonl", last = true, required_unless_present_any = ["interleave", "itself"])]
    new: Vec<PathBuf>,
    /// Instead of logs: commands that start the server before and the server now, which are loaded in turns
    #[arg(long, num_args = 2, value_names = ["BASE_CMD", "NEW_CMD"], conflicts_with_all = ["base", "new", "itself"])]
    interleave: Vec<String>,
    /// Instead of logs: a command that starts a server, which is compared with itself: how often does this machine cry wolf?
    #[arg(long = "self", value_name = "CMD", conflicts_with_all = ["base", "new"])]
    itself: Option<String>,
    #[command(flatten)]
    runs: RunsArgs,
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

/// How servers that commands start are loaded.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --interleave and --self")]
struct RunsArgs {
    /// Loads of each side; fewer than five say nothing
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// How long a server may take until it answers
    #[arg(long, value_name = "D", default_value = "10s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// The profile that is played
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Keep the logs of all runs in this folder
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    generator: GeneratorArgs,
}

pub async fn run(args: &CompareArgs) -> Ended {
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
    let commands = match (&args.interleave[..], &args.itself) {
        ([base, new], _) => Some([base, new]),
        (_, Some(itself)) => Some([itself, itself]),
        _ => None,
    };
    let (base, new) = match commands {
        Some(commands) => match played(args, commands).await? {
            Ok(sides) => sides,
            Err(conclusion) => return Ok(conclusion.exit_code()),
        },
        None => {
            let mut plan = None;
            (read(&args.base, args.force, &mut plan)?, read(&args.new, args.force, &mut plan)?)
        }
    };
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

/// Loads the servers that the commands start, in turns, each a fresh one; or why it came to nothing.
async fn played(args: &CompareArgs, commands: [&String; 2]) -> anyhow::Result<Result<(Vec<Run>, Vec<Run>), Conclusion>> {
    let options = &args.runs;
    let (Some(_), Some(_)) = (&options.target.http, &options.target.ws) else {
        return Err(Usage("give --http and --ws: where the server listens that the commands start".into()).into());
    };
    let protocol = super::suite::load(None)?;
    let mut profile = profile(options.profile.as_deref(), &options.shape)?;
    // All runs have one plan.
    profile.seed.get_or_insert(1);
    if let Some(dir) = &options.logs {
        std::fs::create_dir_all(dir).map_err(|error| Usage(format!("--logs: {} can't be made: {error}", dir.display())))?;
    }
    let order = schedule(options.runs as usize);
    let (mut base, mut new) = (Vec::new(), Vec::new());
    for (place, side) in order.iter().enumerate() {
        let (name, command, runs) = match side {
            Side::Base => ("base", commands[0], &mut base),
            Side::New => ("new", commands[1], &mut new),
        };
        let job = match Job::new(profile.clone(), options.shape.words(), &options.generator, &options.target, Part::Whole)? {
            Ok(job) => job,
            Err(short) => {
                inconclusive(&format!("{}this machine can't carry out this load", short.0));
                return Ok(Err(Conclusion::Inconclusive));
            }
        };
        let spec = options.target.resolve(&protocol).await?.spec;
        let path = protocol.declarations.requests.values().next().map_or("", |request| &request.path);
        let server = match CommandServer::start(command, &[spec], path, options.wait).await {
            Ok((server, _)) => server,
            Err(error @ (StartError::Taken { .. } | StartError::Unstartable { .. })) => return Err(Usage(error.to_string()).into()),
            Err(error) => {
                inconclusive(&error.to_string());
                return Ok(Err(Conclusion::Inconclusive));
            }
        };
        let goal = match Goal::find(&options.target, job.largest_room()).await? {
            Ok(goal) => goal,
            Err(absence) => {
                inconclusive(&format!("{absence}; the server was started by `{command}`"));
                return Ok(Err(Conclusion::Inconclusive));
            }
        };
        let mut events = Vec::new();
        let (_, conclusion) = job.play(&goal, Gate::Nothing, |event| events.push(event.clone())).await?;
        server.stop().await;
        if conclusion == Conclusion::Interrupted {
            return Ok(Err(conclusion));
        }
        if let Some(dir) = &options.logs {
            let mut log =
                JsonLines::create(&dir.join(format!("{name}-{:02}.jsonl", runs.len() + 1))).map_err(|error| Usage(error.to_string()))?;
            events.iter().for_each(|event| log.event(event));
            log.finish()?;
        }
        let run = Log::of(events).and_then(|log| Run::of(&log).ok());
        let Some(run) = run else { anyhow::bail!("the run came to no measurements") };
        anstream::eprintln!("{} of {}: {name}, the generator {}", place + 1, order.len(), trust(run.trust));
        if run.trust != Trust::Invalid {
            runs.push(run);
        }
    }
    Ok(Ok((base, new)))
}

fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "trusted",
        Trust::Degraded => "degraded",
        Trust::Invalid => "couldn't keep up, so the run is left out",
    }
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
