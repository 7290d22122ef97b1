//! `chatspec merge`.

use std::path::PathBuf;

use clap::Args;

use super::{Ended, Usage, log};
use crate::event::Event;
use crate::load::merge::merge;
use crate::report::jsonl::JsonLines;

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The logs of all shards of one plan, as `chatspec load --shard I/N --json` writes them
    #[arg(value_name = "SHARD.jsonl", required = true)]
    shards: Vec<PathBuf>,
    /// Where to write the log of the whole
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// The exit code is what the whole run would have had.
pub fn run(args: &MergeArgs) -> Ended {
    let logs = args.shards.iter().map(|path| Ok((path.display().to_string(), log::read(path)?))).collect::<anyhow::Result<Vec<_>>>()?;
    let merged = merge(&logs).map_err(|error| Usage(error.to_string()))?;
    let mut out = JsonLines::create(&args.out).map_err(|error| Usage(error.to_string()))?;
    out.event(&Event::Started(merged.header));
    merged.events.iter().for_each(|event| out.event(event));
    let exit_code = merged.footer.exit_code;
    out.event(&Event::Finished(merged.footer));
    out.finish()?;
    anstream::println!("{} shards merged into {}", logs.len(), args.out.display());
    Ok(exit_code)
}
