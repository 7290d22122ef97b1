//! Where the results of a run go beside the terminal: a file for each format that is wanted, and GitHub.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::Usage;
use crate::event::{Event, Footer, Header, Kind, Log, SuiteShown};
use crate::report::cases::sensitivity;
use crate::report::jsonl::JsonLines;
use crate::report::{badge, github, html, junit, markdown, matrix, tap};
use crate::verdict::Conclusion;

/// What stands for standard output where a file could be.
const STDOUT: &str = "-";

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Results")]
pub struct OutputArgs {
    /// Write the event log, as JSON lines; here and below `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page for a browser, which holds all it needs
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write JUnit XML, as Jenkins, GitLab and GitHub read it
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a summary in Markdown, as for a CI job; of `sensitivity` the whole matrix
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write a stream of the Test Anything Protocol, version 14
    #[arg(long, value_name = "FILE")]
    pub tap: Option<PathBuf>,
    /// Write a badge with the verdict, as SVG
    #[arg(long, value_name = "FILE")]
    pub badge: Option<PathBuf>,
    /// Print annotations for GitHub, and add the summary to the job's; a run under GITHUB_ACTIONS=true does so by itself
    #[arg(long)]
    pub github: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Html,
    Junit,
    Markdown,
    Tap,
    Badge,
}

impl Format {
    const ALL: [Format; 6] = [Format::Json, Format::Html, Format::Junit, Format::Markdown, Format::Tap, Format::Badge];

    pub fn option(self) -> &'static str {
        match self {
            Format::Json => "--json",
            Format::Html => "--html",
            Format::Junit => "--junit",
            Format::Markdown => "--markdown",
            Format::Tap => "--tap",
            Format::Badge => "--badge",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Format::Json => "jsonl",
            Format::Html => "html",
            Format::Junit => "xml",
            Format::Markdown => "md",
            Format::Tap => "tap",
            Format::Badge => "svg",
        }
    }

    /// # Errors
    /// Why there is no such text of these logs, of which only HTML takes several.
    fn render(self, logs: &[(String, Log)]) -> Result<String, String> {
        let one = |render: fn(&Log) -> String| match logs {
            [(_, log)] => Ok(render(log)),
            _ => Err("it takes one log".to_owned()),
        };
        let render = || match self {
            Format::Json => Err("it is written as the run goes".to_owned()),
            Format::Html => html::page(logs).map_err(|error| error.to_string()),
            Format::Junit => one(junit::junit),
            Format::Markdown => one(whole_markdown),
            Format::Tap => one(tap::tap),
            Format::Badge => one(badge::badge),
        };
        // A reporter that fails takes nothing else with it.
        catch_unwind(AssertUnwindSafe(render)).unwrap_or_else(|_| Err("this reporter failed, which is a fault of chatspec".to_owned()))
    }
}

/// Whoever asks for the Markdown of a matrix gets all of it; a job's summary holds what isn't as it should be.
fn whole_markdown(log: &Log) -> String {
    if log.kind() != Some(Kind::Sensitivity) {
        return markdown::markdown(log);
    }
    let trials = sensitivity::trials(log);
    matrix::markdown(&trials, &sensitivity::summary(log, &trials))
}

impl OutputArgs {
    /// What is asked for, each with its path.
    pub fn wanted(&self) -> Vec<(Format, &Path)> {
        let path = |format: &Format| match format {
            Format::Json => &self.json,
            Format::Html => &self.html,
            Format::Junit => &self.junit,
            Format::Markdown => &self.markdown,
            Format::Tap => &self.tap,
            Format::Badge => &self.badge,
        };
        Format::ALL.iter().filter_map(|format| Some((*format, path(format).as_deref()?))).collect()
    }
}

/// Takes the events of a run, and writes what is wanted of them. By default nothing is.
#[derive(Debug, Default)]
pub struct Outputs {
    logs: Vec<JsonLines>,
    files: Vec<(Format, PathBuf)>,
    /// All that is written to, with the option that said so.
    claimed: Vec<(String, PathBuf)>,
    /// What switches GitHub's commands on again, where annotations are wanted.
    github: Option<String>,
    events: Vec<Event>,
    failed: Vec<String>,
}

impl Outputs {
    /// Opens the logs and tries the other paths, before the run, so that none is lost to a wrong path. With a folder and a
    /// name, every format is written there too.
    ///
    /// # Errors
    /// A path that can't be written, or that is to hold two things.
    pub fn open(args: &OutputArgs, all: Option<(&Path, &str)>) -> anyhow::Result<Self> {
        let under_github = std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
        Self::open_for(args, all, args.github || under_github)
    }

    /// The same for logs of runs that are over, whose annotations GitHub has had already.
    pub fn open_later(args: &OutputArgs) -> anyhow::Result<Self> {
        Self::open_for(args, None, args.github)
    }

    fn open_for(args: &OutputArgs, all: Option<(&Path, &str)>, github: bool) -> anyhow::Result<Self> {
        let mut outputs = Self { github: github.then(|| format!("chatspec-{:032x}", rand::random::<u128>())), ..Self::default() };
        let in_folder =
            |(dir, name): (&Path, &str)| Format::ALL.map(|format| ("--out", format, dir.join(format!("{name}.{}", format.extension()))));
        let asked = args.wanted().into_iter().map(|(format, path)| (format.option(), format, path.to_owned()));
        for (option, format, path) in asked.chain(all.into_iter().flat_map(in_folder)) {
            outputs.claim(option, &path)?;
            if format != Format::Json {
                outputs.files.push((format, path));
            } else if path.as_os_str() == STDOUT {
                outputs.logs.push(JsonLines::to("standard output".to_owned(), io::stdout()));
            } else {
                outputs.logs.push(JsonLines::create(&path).map_err(|error| Usage(format!("{option}: {error}")))?);
            }
        }
        Ok(outputs)
    }

    /// Sees that a path can be written and holds nothing else; an earlier file is emptied, so that no old result passes for a new one.
    pub fn claim(&mut self, option: &str, path: &Path) -> anyhow::Result<()> {
        let mut known = path.to_owned();
        if path.as_os_str() != STDOUT {
            // A path may be spelt in several ways, and a file has but one real one.
            let real = std::fs::canonicalize(path).ok();
            if let Some((other, _)) = self.claimed.iter().find(|(_, claimed)| Some(claimed) == real.as_ref()) {
                return Err(twice(option, other, path).into());
            }
            // A pipe takes one opening only, and a device none for nothing.
            if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
                return Ok(());
            }
            File::create(path).map_err(|error| Usage(format!("{option}: {} can't be written: {error}", path.display())))?;
            known = std::fs::canonicalize(path).unwrap_or(known);
        } else if let Some((other, _)) = self.claimed.iter().find(|(_, claimed)| claimed.as_os_str() == STDOUT) {
            return Err(twice(option, other, path).into());
        }
        self.claimed.push((option.to_owned(), known));
        Ok(())
    }

    pub fn event(&mut self, event: &Event) {
        self.logs.iter_mut().for_each(|log| log.event(event));
        if !self.files.is_empty() || self.github.is_some() {
            self.events.push(event.clone());
        }
    }

    /// Shows something on the terminal: on standard output, or where a format goes there, on standard error. GitHub takes no
    /// commands from it, since it may hold what a server sent.
    pub fn show(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let Some(token) = self.github.clone() else {
            return self.say(write);
        };
        self.say(|out| {
            out.write_all(github::stop(&token).as_bytes())?;
            let shown = write(out);
            out.write_all(github::resume(&token).as_bytes())?;
            shown
        });
    }

    /// The same for words of chatspec's own.
    pub fn say(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let mut out = self.terminal();
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            self.fail(format!("the report on the terminal: {error}"));
        }
    }

    fn terminal(&self) -> Box<dyn Write> {
        if self.claimed.iter().any(|(_, path)| path.as_os_str() == STDOUT) {
            Box::new(anstream::stderr())
        } else {
            Box::new(anstream::stdout())
        }
    }

    /// Notes that something went wrong with an output, which never ends a run.
    pub fn fail(&mut self, what: String) {
        self.failed.push(what);
    }

    /// Writes what isn't written yet. What can't be written doesn't keep the rest from it, and is named in the end. Gives the exit code:
    /// that of the run, or 2 where the run's would be 0 and something that was asked for is missing.
    pub fn finish(mut self, code: u8) -> u8 {
        if self.files.is_empty() && self.github.is_none() {
            return self.end(code);
        }
        match Log::of(std::mem::take(&mut self.events)) {
            Some(log) => self.render(&[("this run".to_owned(), log)]),
            None => self.fail("the run told no beginning or no end, of which nothing can be made".to_owned()),
        }
        self.end(code)
    }

    /// Ends with a run that never began, and why: so that what was asked for says that much. Nothing is wrong with the outputs for that.
    pub fn never_began(mut self, header: Header, suite: Option<SuiteShown>, why: &str, code: u8) -> u8 {
        self.event(&Event::Started(header));
        suite.into_iter().for_each(|suite| self.event(&Event::Suite(Box::new(suite))));
        let interrupted = code == Conclusion::Interrupted.exit_code();
        self.event(&Event::Finished(Footer { exit_code: code, interrupted, notes: vec![why.to_owned()], ..Footer::default() }));
        self.finish(code)
    }

    /// Ends without a run to write of: what was asked for stays empty.
    pub fn forget(mut self, code: u8) -> u8 {
        self.files.clear();
        self.end(code)
    }

    /// Writes what is wanted of whole logs, each with its name for a reader. Gives 0, or 2 where something is missing.
    pub fn finish_with(mut self, logs: &[(String, Log)]) -> u8 {
        if let [(_, log)] = logs {
            log.replay(|event| self.logs.iter_mut().for_each(|log| log.event(event)));
        }
        self.render(logs);
        self.end(Conclusion::Conforms.exit_code())
    }

    fn render(&mut self, logs: &[(String, Log)]) {
        for (format, path) in std::mem::take(&mut self.files) {
            let put = format
                .render(logs)
                .and_then(|text| put(&path, &text).map_err(|error| format!("{} can't be written: {error}", path.display())));
            if let Err(why) = put {
                self.fail(format!("{}: {why}", format.option()));
            }
        }
        if let (Some(_), [(_, log)]) = (&self.github, logs) {
            let told = self.terminal().write_all(github::annotations(log).as_bytes()).and_then(|()| summarise(log));
            if let Err(error) = told {
                self.fail(format!("--github: {error}"));
            }
        }
    }

    fn end(mut self, code: u8) -> u8 {
        let logs = std::mem::take(&mut self.logs);
        self.failed.extend(logs.into_iter().filter_map(|log| log.finish().err()).map(|error| format!("--json: {error}")));
        self.failed.iter().for_each(|failed| anstream::eprintln!("error: {failed}"));
        if self.failed.is_empty() || code != 0 { code } else { Conclusion::Wrong.exit_code() }
    }
}

fn twice(option: &str, other: &str, path: &Path) -> Usage {
    let what = if path.as_os_str() == STDOUT { "standard output".to_owned() } else { path.display().to_string() };
    Usage(format!("{option}: {other} goes to {what} already: give each a file of its own"))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if path.as_os_str() == STDOUT {
        let mut out = io::stdout().lock();
        return out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
    std::fs::write(path, text)
}

/// Adds the summary to the one of the job, which other steps may have begun.
fn summarise(log: &Log) -> io::Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{}\n", markdown::markdown(log)).as_bytes())
}
