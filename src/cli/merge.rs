//! `chatspec merge`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;

use super::load_files::{FileArgs, Files};
use super::{Ended, Usage};
use crate::event::{Event, Log, LogError};
use crate::load::merge::{MergeError, Part, merge};
use crate::report::load::LoadReport;
use crate::report::terminal::Verbosity;

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The logs of all shards of one plan, as `chatspec load --shard I/N --json` writes them, or folders that hold them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Show the verdict and what is wrong
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    files: FileArgs,
}

/// The exit code is what the whole run would have had.
pub async fn run(args: &MergeArgs) -> Ended {
    let mut parts = Vec::new();
    for path in &args.paths {
        if path.is_dir() {
            parts.extend(folder(path)?);
        } else {
            parts.push(part(path)?);
        }
    }
    let merged = merge(&parts, &BTreeMap::new());
    // The logs are read by now: whoever writes the whole beside them overwrites none unread.
    let mut files = Files::open(args.files.clone()).await?;
    let merged = match merged {
        Ok(merged) => merged,
        Err(error @ MergeError::AllLost { .. }) => return Ok(files.never_began(&error.to_string())),
        Err(error) => {
            files.forget(0);
            return Err(Usage(error.to_string()).into());
        }
    };
    let mut report = LoadReport::new(if args.quiet { Verbosity::Quiet } else { Verbosity::Normal });
    merged.replay(|event| {
        report.event(event);
        files.event(event);
    });
    files.show(|out| report.finish(out));
    Ok(files.finish(merged.footer.exit_code))
}

/// A log, however far its run came.
pub fn part(path: &Path) -> anyhow::Result<Part> {
    let name = path.display().to_string();
    let wrong = |why: String| Usage(format!("{name}: {why}"));
    let file = File::open(path).map_err(|error| wrong(format!("it can't be read: {error}")))?;
    let is_empty = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
    // Its process was killed before it had written anything.
    let events =
        if is_empty { Vec::new() } else { Log::events(BufReader::new(file)).map_err(|error: LogError| wrong(error.to_string()))? };
    Ok(Part { name, events })
}

/// The shards' logs of a folder and of those in it. What else is there, such as the whole of an earlier merge, is let be.
fn folder(path: &Path) -> anyhow::Result<Vec<Part>> {
    let mut logs = Vec::new();
    find_logs(path, &mut logs)?;
    logs.sort();
    let parts = logs.iter().map(|log| part(log)).collect::<anyhow::Result<Vec<_>>>()?;
    let is_shard =
        |part: &Part| part.events.iter().all(|event| if let Event::Planned(planned) = event { planned.shard.is_some() } else { true });
    let shards: Vec<Part> = parts.into_iter().filter(is_shard).collect();
    if shards.is_empty() {
        return Err(Usage(format!("{}: there is no shard's log (*.jsonl) in this folder", path.display())).into());
    }
    Ok(shards)
}

fn find_logs(dir: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let wrong = |error: std::io::Error| Usage(format!("{}: it can't be read: {error}", dir.display()));
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let path = entry.path();
        // A link to a folder may lead round in a circle.
        if entry.file_type().map_err(wrong)?.is_dir() {
            find_logs(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            into.push(path);
        }
    }
    Ok(())
}
