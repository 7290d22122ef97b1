//! The options of a load that a scheduler spreads over machines, and what becomes of them: the same for every scheduler.

use std::str::FromStr;
use std::time::Duration;

use super::Usage;
use super::load_job::{check_capacity, is_here};
use super::load_shape::{ShapeArgs, profile};
use super::target::TargetArgs;
use crate::cluster::Spread;
use crate::load::plan::Plan;
use crate::load::sizing::{BUSY, Sizing};
use crate::report::figures::{percent, plural};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shards")]
pub struct SpreadArgs {
    /// How many shards the load is cut into: at most as many as it has rooms
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    shards: u32,
    /// Cores for each shard, and as many threads; unless given, what keeps them half busy at most
    #[arg(long, value_name = "N", visible_alias = "cpus-per-task", value_parser = clap::value_parser!(u32).range(1..=256))]
    cpu: Option<u32>,
    /// Memory for each shard, such as 2GiB; unless given, what its clients and rooms need
    #[arg(long, value_name = "SIZE")]
    memory: Option<MemorySize>,
    /// How long shards wait for each other at the start
    #[arg(long, value_name = "D", default_value = "10m", value_parser = humantime::parse_duration)]
    barrier_timeout: Duration,
}

/// In bytes; `512MiB` or `2GiB`, and as Kubernetes writes it `512Mi` or `2Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MemorySize(u64);

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (figure, unit) = text.split_at(digits);
        let shift = match unit {
            "MiB" | "Mi" => Some(20),
            "GiB" | "Gi" => Some(30),
            _ => None,
        };
        let bytes = figure.parse::<u64>().ok().zip(shift).and_then(|(figure, shift)| figure.checked_mul(1 << shift));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(|| "a size looks like 512MiB or 2GiB".to_owned())
    }
}

/// Plans a load and cuts it up. What is doubtful about it is told on standard error; `elsewhere` says that no shard runs on the target's
/// machine, so that an address of this machine is wrong.
pub fn spread(name: Option<&str>, shape: &ShapeArgs, target: &TargetArgs, args: &SpreadArgs, elsewhere: bool) -> anyhow::Result<Spread> {
    let profile = profile(name, shape)?;
    if target.http.is_none() && target.ws.is_none() {
        return Err(Usage("the shards need a target that they all reach: give --http and --ws".into()).into());
    }
    let protocol = super::suite::load(None)?;
    let told = target.for_others(&protocol)?;
    told.notes.iter().for_each(|note| warn(note));
    for address in [&told.http, &told.ws] {
        match (is_here(address.as_str()), elsewhere) {
            (true, true) => return Err(Usage(format!("{address} is each pod's own machine: give an address that pods reach")).into()),
            (true, false) => warn(&format!("{address} is each node's own machine")),
            (false, _) => {}
        }
    }
    let seed = profile.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let plan = Plan::new(profile, seed).map_err(|error| Usage(error.to_string()))?;
    if args.shards > plan.rooms() {
        let rooms = plan.rooms();
        let (found, most) = (plural(rooms.into(), "room", "rooms"), if rooms == 1 { "1".to_owned() } else { format!("at most {rooms}") });
        return Err(
            Usage(format!("the plan has {found}, and no room is shared between shards: give --shards {most}, or more --rooms")).into()
        );
    }
    if let Some(capacity) = target.capacity {
        check_capacity(capacity, plan.largest_room().into())?;
    }
    let mut sizing = Sizing::new(&plan, args.shards, args.cpu);
    if let Some(busy) = sizing.busy().filter(|busy| *busy > BUSY) {
        let cores = plural(sizing.threads().into(), "core", "cores");
        let mend =
            if sizing.threads() < sizing.rooms { "give more --shards, or more --cpu" } else { "give smaller rooms, and more of them" };
        warn(&format!("a shard will keep {cores} {} busy, and from 85 % on its figures aren't trusted: {mend}", percent(busy)));
    }
    if let Some(MemorySize(memory)) = args.memory {
        if memory < sizing.memory {
            let (given, needed) = (memory >> 20, sizing.memory >> 20);
            let clients = plural(sizing.clients.into(), "client", "clients");
            warn(&format!(
                "a shard has up to {clients}, and should have {needed} MiB; with {given} MiB it may be killed: give more --shards"
            ));
        }
        sizing.memory = memory;
    }
    Ok(Spread::new(&plan, sizing, told.words, told.headers, args.barrier_timeout))
}

pub fn warn(what: &str) {
    anstream::eprintln!("warning: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_as_people_and_as_kubernetes_write_it() {
        let bytes = |text: &str| text.parse::<MemorySize>().ok().map(|size| size.0);
        assert_eq!((bytes("512MiB"), bytes("512Mi"), bytes("2Gi")), (Some(512 << 20), Some(512 << 20), Some(2 << 30)));
        assert_eq!((bytes("512"), bytes("0Gi"), bytes("2GB"), bytes("99999999999999Gi")), (None, None, None, None));
    }
}
