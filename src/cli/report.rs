//! `chatspec report`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::outputs::{Format, OutputArgs, Outputs};
use super::{Ended, Usage, log};
use crate::event::{Kind, Log};
use crate::report::cases::sensitivity;
use crate::report::explore::ExploreReport;
use crate::report::load::LoadReport;
use crate::report::matrix;
use crate::report::terminal::{Terminal, Verbosity};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The event logs of runs, as --json writes them; `-` is standard input. Several make a page together
    #[arg(value_name = "RUN.jsonl", required = true)]
    logs: Vec<PathBuf>,
    /// Show every requirement and scenario, and the transcript of each
    #[arg(long, short)]
    verbose: bool,
    /// Show what is wrong and the verdict only
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    // At the end, since its heading would hold for what follows.
    #[command(flatten)]
    outputs: OutputArgs,
}

/// The exit code says whether the reports could be made, not what the runs came to.
pub fn run(args: &ReportArgs) -> Ended {
    let wanted = args.outputs.wanted();
    if args.logs.len() > 1 {
        let single = wanted.iter().map(|(format, _)| *format).find(|format| *format != Format::Html);
        let option = single.map(Format::option).or(args.outputs.github.then_some("--github"));
        if let Some(option) = option {
            return Err(Usage(format!("{option} is of one run: name one log, or make a page of several with --html FILE")).into());
        }
        if wanted.is_empty() {
            return Err(Usage("several logs make a page: give --html FILE, or name one log".into()).into());
        }
    }
    for (format, output) in &wanted {
        let real = std::fs::canonicalize(output).ok();
        if let Some(input) = args.logs.iter().find(|input| real.is_some() && std::fs::canonicalize(input).ok() == real) {
            return Err(Usage(format!("{}: {} is a log that is to be read", format.option(), input.display())).into());
        }
    }
    let mut logs: Vec<(String, Log)> = Vec::new();
    for path in &args.logs {
        let read = log::read(path)?;
        if read.kind().is_none() {
            return Err(Usage(format!(
                "{}: it tells of nothing that could be shown (its command is `{}`)",
                path.display(),
                read.header.command
            ))
            .into());
        }
        let stem = path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned());
        let taken = logs.iter().any(|(name, _)| *name == stem);
        logs.push((if taken { path.display().to_string() } else { stem }, read));
    }
    let mut outputs = Outputs::open_later(&args.outputs)?;
    if let ([(_, log)], true) = (&logs[..], wanted.is_empty() && !args.outputs.github) {
        let verbosity = match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        outputs.show(|out| show(log, verbosity, out));
    }
    Ok(outputs.finish_with(&logs))
}

/// What the run itself has shown.
fn show(log: &Log, verbosity: Verbosity, out: &mut dyn Write) -> io::Result<()> {
    match log.kind() {
        Some(Kind::Load) => {
            let mut report = LoadReport::new(verbosity);
            log.replay(|event| report.event(event));
            report.finish(out)
        }
        Some(Kind::Sensitivity) => {
            let trials = sensitivity::trials(log);
            let shown = trials.iter().filter(|trial| verbosity != Verbosity::Quiet || !trial.judgement.is_good());
            shown.into_iter().try_for_each(|trial| matrix::line(out, trial))?;
            matrix::summary(out, &sensitivity::summary(log, &trials))
        }
        Some(Kind::Explore) => {
            let mut report = ExploreReport::new(verbosity);
            log.replay(|event| report.event(event));
            report.finish(out)
        }
        Some(Kind::Check) | None => {
            let mut report = Terminal::new(verbosity);
            log.replay(|event| report.event(event));
            report.finish(out)
        }
    }
}
