//! `chatspec doctor`: what a load will need of this machine, what there is, and what raises it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::Args;
use indicatif::HumanBytes;

use super::load_shape::{ShapeArgs, profile};
use super::source::{Sources, addresses};
use super::{Ended, Usage};
use crate::load::machine::{Machine, Raised, raise_descriptors};
use crate::load::preflight::{Finding, Resource, Run, Sufficiency, default_threads, examine, is_short};
use crate::report::figures::{NONE, count, plural};
use crate::verdict::Conclusion;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The profile of the load, or its file
    #[arg(value_name = "PROFILE")]
    profile: Option<String>,
    #[command(flatten)]
    shape: ShapeArgs,
    /// How many threads the generator has; unless given, half of the cores, or all with --remote
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// An address of this machine to connect from, or a range of them; may be repeated
    #[arg(long, value_name = "ADDR[-ADDR]", value_delimiter = ',')]
    source: Vec<Sources>,
    /// How many processes share the load
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    processes: u32,
    /// The target runs on another machine
    #[arg(long)]
    remote: bool,
}

pub fn run(args: &DoctorArgs) -> Ended {
    let profile = profile(args.profile.as_deref(), &args.shape)?;
    let count = |count: u64| u32::try_from(count).map_err(|_| Usage(format!("{count} clients or rooms are too many")));
    let (clients, rooms) = (count(profile.clients())?, count(profile.room_count())?);
    let sources = count(addresses(&args.source)?.len().max(1) as u64)?;
    let target_here = !args.remote;
    let raised = raise_descriptors();
    let machine = Machine::read();
    let threads = args.threads.unwrap_or_else(|| default_threads(machine.cores, target_here));
    let run = Run { clients, rooms, sources, threads, processes: args.processes, own_server: false, target_here };
    let preflight = preflight(&run, &machine, raised);
    anstream::print!("{}", preflight.text);
    let conclusion = if preflight.is_short { Conclusion::Violated } else { Conclusion::Conforms };
    Ok(conclusion.exit_code())
}

/// Whether this machine can make a run, and that in words.
#[derive(Debug)]
pub struct Preflight {
    pub is_short: bool,
    pub text: String,
}

/// Looks before a run whether the machine can make it. A `load` that it stops is inconclusive, and not wrong: on another machine the same
/// command would do.
pub fn preflight(run: &Run, machine: &Machine, raised: Option<Raised>) -> Preflight {
    let findings = examine(run, machine);
    Preflight { is_short: is_short(&findings), text: shown(run, raised, &findings) }
}

fn by(run: &Run) -> String {
    let threads = plural(run.threads.into(), "thread", "threads");
    if run.processes > 1 { format!("{} with {threads} each", plural(run.processes.into(), "process", "processes")) } else { threads }
}

/// What a run needs beside what there is, for a person.
fn shown(run: &Run, raised: Option<Raised>, findings: &[Finding]) -> String {
    let dim = Style::new().dimmed();
    let mut text = format!(
        "{} in {}, by {}, from {}, the target on {} machine\n",
        plural(run.clients.into(), "client", "clients"),
        plural(run.rooms.into(), "room", "rooms"),
        by(run),
        plural(run.sources.into(), "source address", "source addresses"),
        if run.target_here { "this" } else { "another" }
    );
    let _ = writeln!(text, "\n  {dim}{:<8} {:<12} {:>10} {:>10}{dim:#}", "", "", "needed", "there is");
    for Finding { need, there, sufficiency, mends } in findings {
        let (colour, word) = match sufficiency {
            Sufficiency::Enough => (AnsiColor::Green, "OK"),
            Sufficiency::Unknown => (AnsiColor::Yellow, "UNKNOWN"),
            Sufficiency::Tight => (AnsiColor::Yellow, "TIGHT"),
            Sufficiency::Short => (AnsiColor::Red, "SHORT"),
        };
        let style = colour.on_default().bold();
        let needed = amount(need.resource, need.amount as f64);
        let there = there.map_or_else(|| NONE.to_owned(), |there| amount(need.resource, there));
        let why = &need.why;
        let _ = writeln!(text, "  {style}{word:<8}{style:#} {:<12} {needed:>10} {there:>10}  {dim}{why}{dim:#}", need.resource);
        for (place, mend) in mends.iter().enumerate() {
            let _ = writeln!(text, "           {} {mend}", if place == 0 { "mend:" } else { "  or:" });
        }
    }
    if let Some(Raised { from: Some(from), to }) = raised
        && Some(from) != to
    {
        let to = to.map_or_else(|| "without limit".to_owned(), count);
        let _ = writeln!(text, "\nchatspec raises its limit of descriptors itself: from {} to {to}.", count(from));
    }
    if findings.iter().any(|finding| finding.sufficiency == Sufficiency::Tight) {
        text.push_str("\nTIGHT stops nothing: the report of the run says whether the generator came up to it.\n");
    }
    text
}

fn amount(resource: Resource, amount: f64) -> String {
    match resource {
        Resource::Memory => HumanBytes(amount as u64).to_string(),
        // A quota may be half a core.
        Resource::Cores if amount.fract() != 0.0 => format!("{amount:.1}"),
        _ => count(amount as u64),
    }
}
