//! A load that this process has a part of: which part, and how it begins together with the others.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use super::Usage;
use super::load_job::{Gate, Job, nonce};
use crate::event::{Event, Planned};
use crate::load::barrier::{BarrierError, Host, Place, Tidings};
use crate::load::timeline::Timeline;
use crate::report::load_progress::LoadProgress;

/// How long the first shard waits at its end for the others.
const OTHERS: Duration = Duration::from_secs(30);

/// The options of a load in several processes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shards")]
pub struct ShardArgs {
    /// Share the load between so many processes of this machine, each with descriptors of its own
    #[arg(
        long,
        value_name = "P",
        value_parser = clap::value_parser!(u32).range(1..=1024),
        conflicts_with_all = ["shard", "barrier_listen", "barrier", "start_at", "find_max"]
    )]
    pub processes: Option<u32>,
    /// Only this part of the plan, such as 1/3, or @NAME/3, where the variable NAME counts from 0; `merge` puts the parts together
    #[arg(long, value_name = "I/N", conflicts_with = "find_max")]
    pub shard: Option<Shard>,
    /// Where the first shard listens for the others, such as 0.0.0.0:7700; others may have this option too
    #[arg(long, value_name = "ADDR:PORT", requires = "shard")]
    barrier_listen: Option<String>,
    /// Where the first shard is found, so that all begin at one instant; the first may have this option too
    #[arg(long, value_name = "HOST:PORT", requires = "shard")]
    barrier: Option<String>,
    /// How long to wait until all shards are ready
    #[arg(long, value_name = "D", default_value = "10m", value_parser = super::check::positive)]
    barrier_timeout: Duration,
    /// When to begin, by this machine's clock, such as 2026-01-31T12:00:00Z, where shards can't reach each other
    #[arg(long, value_name = "TIME", requires = "shard", conflicts_with_all = ["barrier", "barrier_listen"], value_parser = humantime::parse_rfc3339_weak)]
    start_at: Option<SystemTime>,
    /// End with the standard input, as whoever started this process wants it
    #[arg(long, hide = true)]
    end_with_stdin: bool,
}

/// `I/N`, shown from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    pub of: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd = || "a part looks like 2/3, the second of three, or like @SLURM_PROCID/3".to_owned();
        let (index, of) = text.split_once('/').ok_or_else(odd)?;
        let of: u32 = of.parse().map_err(|_| odd())?;
        let index: u32 = match index.strip_prefix('@') {
            Some(name) => {
                let value = std::env::var(name).map_err(|_| format!("there is no variable {name} in the environment"))?;
                let from_zero: u32 = value.trim().parse().map_err(|_| format!("the variable {name} is `{value}`, and no number"))?;
                from_zero.checked_add(1).ok_or_else(odd)?
            }
            None => index.parse().map_err(|_| odd())?,
        };
        if of > 1024 {
            return Err("more than 1,024 shards are too many".to_owned());
        }
        if !(1..=of).contains(&index) {
            return Err(format!("there is no shard {index} of {of}; the first is 1"));
        }
        Ok(Self { index: index - 1, of })
    }
}

/// A barrier that this process hosts.
pub struct Hosting {
    serving: JoinHandle<Vec<String>>,
}

impl ShardArgs {
    /// What the load waits for, and the barrier that the first shard hosts for all.
    ///
    /// # Errors
    /// An address that can't be listened at, a time that is over, a barrier that isn't reached.
    pub async fn gate(&self, job: &Job, quiet: bool) -> anyhow::Result<Result<(Gate, Option<Hosting>), BarrierError>> {
        if let Some(time) = self.start_at {
            if let Ok(over) = SystemTime::now().duration_since(time) {
                let over = humantime::format_duration(Duration::from_secs(over.as_secs()));
                return Err(Usage(format!("--start-at: this time is over since {over}")).into());
            }
            return Ok(Ok((Gate::Time(time), None)));
        }
        let Some(shard) = self.shard else { return Ok(Ok((Gate::Nothing, None))) };
        let (mut hosting, mut at) = (None, self.barrier.clone());
        if let (0, Some(listen)) = (shard.index, &self.barrier_listen) {
            let host = Host::listen(listen, job.fingerprint(), nonce()).await;
            let host = host.map_err(|error| Usage(format!("--barrier-listen: {listen} can't be listened at: {error}")))?;
            let address = host.address()?;
            let own = if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() };
            anstream::eprintln!("the barrier is at {address}, for {} shards", shard.of);
            let watch = Watch::new(shard.of, job.planned(), quiet);
            hosting = Some(Hosting { serving: tokio::spawn(serve(host, watch)) });
            at = Some(own);
        }
        let Some(at) = at else {
            return match (shard.index, &self.barrier_listen) {
                (1.., Some(_)) => {
                    Err(Usage("--barrier-listen: only the first shard listens; give the others --barrier HOST:PORT".into()).into())
                }
                _ => Ok(Ok((Gate::Nothing, None))),
            };
        };
        let taken = Place::take(&at, shard.index + 1, job.fingerprint(), self.barrier_timeout).await;
        let with_stdin = self.end_with_stdin;
        Ok(taken.map(|(place, link)| (Gate::Barrier { place: Box::new(place), link, with_stdin }, hosting)))
    }
}

/// Serves a barrier to its end, and gives what a report must say of it.
async fn serve(host: Host, mut watch: Watch) -> Vec<String> {
    host.serve(std::future::pending(), |tidings| watch.told(tidings)).await;
    watch.end()
}

impl Hosting {
    /// Waits until the other shards have ended too. What is lost is told.
    pub async fn end(self) -> Vec<String> {
        match tokio::time::timeout(OTHERS, self.serving).await {
            Ok(notes) => notes.unwrap_or_default(),
            Err(_) => vec![format!("some shards had not ended {} s after this one", OTHERS.as_secs())],
        }
    }
}

/// What a barrier's host tells, for whoever looks on.
pub struct Watch {
    of: u32,
    timeline: Timeline,
    progress: LoadProgress,
    planned: Planned,
    /// Which shards were lost, and when.
    lost: Vec<String>,
    last_ms: f64,
    quiet: bool,
}

impl Watch {
    pub fn new(of: u32, planned: Planned, quiet: bool) -> Self {
        let progress = LoadProgress::new(quiet);
        Self { of, timeline: Timeline::new(of as usize), progress, planned, lost: Vec::new(), last_ms: 0.0, quiet }
    }

    /// Takes what is told; the seconds of all shards together are shown, and given to `second`.
    pub fn told_with(&mut self, tidings: Tidings, mut second: impl FnMut(&Event)) {
        let of = self.of;
        match tidings {
            Tidings::Came { shard, from, there } => {
                if !self.quiet {
                    anstream::eprintln!("shard {shard}/{of} is at the barrier, from {from}; {there} of {of} are there");
                }
            }
            Tidings::Refused { from, why } => anstream::eprintln!("refused somebody from {from}: {why}"),
            Tidings::Started => self.progress.event(&Event::Planned(Box::new(self.planned.clone()))),
            Tidings::Second { shard, second } => self.timeline.push(shard as usize - 1, *second),
            Tidings::Ended { shard } => self.timeline.end(shard as usize - 1),
            Tidings::Lost { shard, started: false } => anstream::eprintln!("shard {shard}/{of} went away before the start"),
            Tidings::Lost { shard, started: true } => {
                self.timeline.end(shard as usize - 1);
                let lost = format!("shard {shard}/{of} was lost {:.0} s after the start", self.last_ms / 1000.0);
                anstream::eprintln!("{lost}");
                self.lost.push(lost);
            }
            Tidings::Aborted { why } => anstream::eprintln!("the load is called off: {why}"),
        }
        // What can't be decoded here is told when the shards are merged.
        while let Ok(Some(sum)) = self.timeline.next_second() {
            self.last_ms = sum.at_ms;
            let sum = Event::Second(Box::new(sum));
            self.progress.event(&sum);
            second(&sum);
        }
    }

    fn told(&mut self, tidings: Tidings) {
        self.told_with(tidings, |_| {});
    }

    /// What a report must say.
    pub fn end(mut self) -> Vec<String> {
        self.progress.clear();
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_counted_from_one_and_by_a_variable_from_zero() {
        let shown = |text: &str| text.parse::<Shard>().map(|shard| (shard.index, shard.to_string()));
        assert_eq!(shown("2/3"), Ok((1, "2/3".into())));
        assert_eq!(shown("@CARGO_PKG_VERSION_MAJOR/3"), Ok((0, "1/3".into())));
        assert_eq!(shown("0/3"), Err("there is no shard 0 of 3; the first is 1".into()));
        assert_eq!(shown("4/3"), Err("there is no shard 4 of 3; the first is 1".into()));
        assert_eq!(shown("@NO_SUCH_THING/3"), Err("there is no variable NO_SUCH_THING in the environment".into()));
        assert_eq!(shown("@CARGO_PKG_NAME/3"), Err("the variable CARGO_PKG_NAME is `chatspec`, and no number".into()));
        assert!(shown("two of three").is_err() && shown("1/2000").is_err());
    }
}
