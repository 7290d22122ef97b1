//! `chatspec slurm`.

use std::time::Duration;

use clap::Args;

use super::load_shape::ShapeArgs;
use super::spread::{SpreadArgs, spread, warn};
use super::target::TargetArgs;
use super::{Ended, Usage};
use crate::cluster::slurm::Slurm;

#[derive(Debug, Args)]
pub struct SlurmArgs {
    /// A profile that chatspec carries, such as `steady-chat`, or a file; without one, the options alone decide
    #[arg(value_name = "PROFILE")]
    profile: Option<String>,
    /// What the job and the folder with its results are called; unless given, after the profile
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The partition, instead of the cluster's default
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// The account that is charged
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The job's time limit; unless given, what the load and the shards' wait for each other can take
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// How many shards run on a node, where they share its ports
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=256))]
    tasks_per_node: u32,
    /// chatspec on the nodes
    #[arg(long, value_name = "PATH", default_value = "chatspec")]
    program: String,
    #[command(flatten)]
    spread: SpreadArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    shape: ShapeArgs,
}

pub fn run(args: &SlurmArgs) -> Ended {
    for (option, name) in [("--name", &args.name), ("--partition", &args.partition), ("--account", &args.account)] {
        name.iter().try_for_each(|name| plain(option, name))?;
    }
    let spread = spread(args.profile.as_deref(), &args.shape, &args.target, &args.spread, false)?;
    if args.time.is_some_and(|time| time < spread.duration) {
        warn("the time limit is shorter than the load: the job will be ended before it");
    }
    let slurm = Slurm {
        name: args.name.clone().unwrap_or_else(|| format!("chatspec-{}", spread.name)),
        tasks_per_node: args.tasks_per_node.min(spread.sizing.shards),
        partition: args.partition.clone(),
        account: args.account.clone(),
        minutes: args.time.map(|time| time.as_secs().div_ceil(60).max(1)),
        program: args.program.clone(),
        spread,
    };
    anstream::print!("{}", slurm.script());
    Ok(0)
}

/// A name that neither a shell nor `sbatch`, nor a path, reads anything into.
fn plain(option: &str, name: &str) -> anyhow::Result<()> {
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,".contains(c)) {
        return Ok(());
    }
    Err(Usage(format!("{option}: `{name}` can't be a name here: letters, digits, `-`, `_` and dots")).into())
}
