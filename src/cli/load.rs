//! `chatspec load`.

use clap::Args;

use super::load_files::{FileArgs, Files};
use super::load_job::{GeneratorArgs, Goal, Job, Part};
use super::load_shape::{ShapeArgs, profile};
use super::load_shard::ShardArgs;
use super::target::{TargetArgs, quote};
use super::{Ended, Usage, find_max, processes};
use crate::event::Event;
use crate::report::load::LoadReport;
use crate::report::load_progress::LoadProgress;
use crate::report::terminal::Verbosity;
use crate::verdict::Conclusion;

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// A profile that chatspec carries, such as `steady-chat`, or a file; without one, the options alone decide
    #[arg(value_name = "PROFILE")]
    pub profile: Option<String>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub shape: ShapeArgs,
    #[command(flatten)]
    pub generator: GeneratorArgs,
    #[command(flatten)]
    pub shards: ShardArgs,
    /// Search for the highest rate (in a closed load: the most messages in flight) at which this and all other thresholds hold, such as 'deliver.p99 < 100ms'
    #[arg(long, value_name = "EXPR")]
    pub find_max: Option<String>,
    /// Show the verdict and what is wrong; given twice, nothing
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub quiet: u8,
    // At the end, since its heading would hold for what follows.
    #[command(flatten)]
    pub files: FileArgs,
}

pub async fn run(args: LoadArgs) -> Ended {
    let profile = profile(args.profile.as_deref(), &args.shape)?;
    if let Some(threshold) = &args.find_max {
        return find_max::run(&args, profile, threshold).await;
    }
    let part = match (args.shards.shard, args.shards.processes) {
        (Some(shard), _) => Part::Shard(shard),
        (None, Some(processes)) if processes > 1 => Part::Processes(processes),
        (None, _) => Part::Whole,
    };
    let job = match Job::new(profile, words(&args), &args.generator, &args.target, part)? {
        Ok(job) => job,
        Err(short) => return Ok(inconclusive(&format!("{}this machine can't carry out this load", short.0))),
    };
    if matches!(part, Part::Shard(_)) && args.target.http.is_none() && args.target.ws.is_none() {
        return Err(Usage("--shard: give --http and --ws, since each shard would start a reference server of its own".into()).into());
    }
    let mut files = Files::open(args.files.clone()).await?;
    if let Part::Processes(processes) = part {
        return processes::run(&args, &job, processes, files).await;
    }
    let (gate, hosting) = match args.shards.gate(&job, args.quiet > 0).await? {
        Ok(gate) => gate,
        Err(error) => return Ok(files.never_began(&error.to_string())),
    };
    let goal = match Goal::find(&args.target, job.largest_room()).await? {
        Ok(goal) => goal,
        Err(absence) => return Ok(files.never_began(&absence)),
    };
    let mut report = LoadReport::new(if args.quiet > 0 { Verbosity::Quiet } else { Verbosity::Normal });
    // Who hosts a barrier sees all shards.
    let mut progress = LoadProgress::new(args.quiet > 0 || hosting.is_some());
    let mut footer = None;
    let mut tell = |event: &Event| {
        progress.event(event);
        report.event(event);
        files.event(event);
    };
    let played = job.play(&goal, gate, |event| match event {
        Event::Finished(last) => footer = Some(last.clone()),
        _ => tell(event),
    });
    let (_, mut conclusion) = played.await?;
    let mut footer = footer.unwrap_or_default();
    if let Some(hosting) = hosting {
        let lost = hosting.end().await;
        if !lost.is_empty() && conclusion == Conclusion::Conforms {
            conclusion = Conclusion::Inconclusive;
        }
        footer.notes.extend(lost);
    }
    tell(&Event::Finished(footer));
    progress.clear();
    // Where one log takes both outputs, as in a pod, a text would come between the lines of an event log.
    if args.quiet < 2 {
        files.show(|out| report.finish(out));
    }
    Ok(files.finish(conclusion.exit_code()))
}

/// The profile and the options that shape the load, as a shell takes them.
pub fn words(args: &LoadArgs) -> Vec<String> {
    args.profile.iter().map(|profile| quote(profile)).chain(args.shape.words()).collect()
}

/// Nothing could be found out, and why.
pub fn inconclusive(why: &str) -> u8 {
    anstream::eprintln!("error: {why}");
    Conclusion::Inconclusive.exit_code()
}
