//! `chatspec diff`.

use std::path::PathBuf;

use clap::Args;

use super::{Ended, Usage, log};
use crate::report::diff::{Options, diff, write};
use crate::verdict::Conclusion;

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The log of the run before, as `chatspec check --json` writes it
    #[arg(value_name = "A.jsonl")]
    before: PathBuf,
    /// The log of the run now
    #[arg(value_name = "B.jsonl")]
    now: PathBuf,
    /// Compare what both have, where the suites differ or one played less
    #[arg(long)]
    common: bool,
    /// Call the run worse where a scenario is much slower, too
    #[arg(long)]
    fail_on_slower: bool,
    /// Show what is wrong now and the verdict only
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: &DiffArgs) -> Ended {
    let (before, now) = (log::read(&args.before)?, log::read(&args.now)?);
    let name = |path: &PathBuf| path.display().to_string();
    let options = Options { common: args.common, slower_is_worse: args.fail_on_slower };
    let logs = [(name(&args.before), &before), (name(&args.now), &now)];
    let diff = diff([(&logs[0].0, logs[0].1), (&logs[1].0, logs[1].1)], options).map_err(|error| Usage(error.to_string()))?;
    write(&mut anstream::stdout().lock(), &diff, args.quiet)?;
    Ok(if diff.is_worse() { Conclusion::Violated } else { Conclusion::Conforms }.exit_code())
}
