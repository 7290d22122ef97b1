//! `chatspec doctor`: what a load will need of this machine, what there is, and what raises it.

use std::fmt::Write as _;
use std::net::{IpAddr, UdpSocket};

use anstyle::{AnsiColor, Style};
use clap::Args;
use indicatif::HumanBytes;

use super::load_shape::{ShapeArgs, profile};
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
    /// An address of this machine to connect from; may be repeated
    #[arg(long, value_name = "ADDR")]
    source: Vec<IpAddr>,
    /// The target runs on another machine
    #[arg(long)]
    remote: bool,
}

pub fn run(args: &DoctorArgs) -> Ended {
    let profile = profile(args.profile.as_deref(), &args.shape)?;
    let count = |count: u64| u32::try_from(count).map_err(|_| Usage(format!("{count} clients or rooms are too many")));
    let (clients, rooms) = (count(profile.clients())?, count(profile.room_count())?);
    let sources = sources(&args.source)?;
    let target_here = !args.remote;
    let raised = raise_descriptors();
    let machine = Machine::read();
    let threads = args.threads.unwrap_or_else(|| default_threads(machine.cores, target_here));
    let run = Run { clients, rooms, sources, threads, target_here };
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

/// How many source addresses there are, each of which this machine must have.
pub fn sources(addresses: &[IpAddr]) -> anyhow::Result<u32> {
    for (place, address) in addresses.iter().enumerate() {
        if addresses[..place].contains(address) {
            return Err(Usage(format!("--source: {address} is given twice, and has its ports only once")).into());
        }
        // Binding sends nothing, and fails for an address of another machine.
        if let Err(error) = UdpSocket::bind((*address, 0)) {
            return Err(Usage(format!(
                "--source: nothing can be sent from {address} here ({error}); `ip addr` shows this machine's addresses"
            ))
            .into());
        }
    }
    Ok(u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1))
}

/// What a run needs beside what there is, for a person.
fn shown(run: &Run, raised: Option<Raised>, findings: &[Finding]) -> String {
    let dim = Style::new().dimmed();
    let mut text = format!(
        "{} in {}, by {}, from {}, the target on {} machine\n",
        plural(run.clients.into(), "client", "clients"),
        plural(run.rooms.into(), "room", "rooms"),
        plural(run.threads.into(), "thread", "threads"),
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
