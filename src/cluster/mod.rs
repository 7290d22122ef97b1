//! A load on the machines of a scheduler: [`kubernetes`] and [`slurm`] write down a [`Spread`] as each of them takes it. Pure text, no I/O.

pub mod kubernetes;
pub mod shell;
pub mod slurm;

use std::time::Duration;

use crate::load::plan::Plan;
use crate::load::sizing::Sizing;
use crate::report::figures::{count, plural};

/// How long shards are given between their scheduler's start and the load's, and after its end, beside what the barrier waits.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// A load and what every shard is told of it.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The profile's name, of which the file for the shards has its own: letters, digits, `-`, `_` and dots.
    pub name: String,
    /// The profile as YAML, complete and with its seed, so that all shards make one plan of it.
    pub profile: String,
    /// What the whole load is, for a reader.
    pub clients: u32,
    pub rooms: u32,
    /// From its first connection to its last delivery.
    pub duration: Duration,
    pub sizing: Sizing,
    /// The options that describe the target but for its headers, not quoted.
    pub target: Vec<String>,
    pub headers: Vec<HeaderFrom>,
    /// How long shards wait for each other.
    pub barrier_timeout: Duration,
}

/// A header whose value stands in no file: a shard finds it in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFrom {
    pub name: String,
    pub variable: String,
}

impl HeaderFrom {
    /// The variable that a header has where nobody named one: `HEADER_X_TOKEN` for `X-Token`.
    pub fn variable_of(name: &str) -> Self {
        let upper: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        Self { name: name.to_owned(), variable: format!("HEADER_{upper}") }
    }
}

impl Spread {
    pub fn new(plan: &Plan, sizing: Sizing, target: Vec<String>, headers: Vec<HeaderFrom>, barrier_timeout: Duration) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        Self {
            name: plan.profile.name.chars().map(plain).collect(),
            profile: plan.profile.to_yaml(),
            clients: plan.clients(),
            rooms: plan.rooms(),
            duration: plan.duration(),
            sizing,
            target,
            headers,
            barrier_timeout,
        }
    }

    /// The file that the shards read the profile from; they call the profile by its name.
    fn file(&self) -> String {
        format!("{}.yaml", self.name)
    }

    /// `chatspec`'s options for a shard behind its profile, but for where shards meet and what they write; `variable` counts the shard from 0.
    fn options(&self, variable: &str) -> Vec<String> {
        let mut words = vec!["--shard".to_owned(), format!("@{variable}/{}", self.sizing.shards)];
        // A pod or a task sees all cores of its machine, and was given only some.
        words.extend(["--threads".to_owned(), self.sizing.threads().to_string()]);
        words.extend(["--barrier-timeout".to_owned(), spaceless(self.barrier_timeout)]);
        words.extend(self.target.iter().cloned());
        words.extend(self.headers.iter().flat_map(|header| ["--header-env".to_owned(), format!("{}:{}", header.name, header.variable)]));
        words
    }

    /// From when the scheduler starts the shards, which may be one after the other, until they must have ended.
    fn time_limit(&self) -> Duration {
        self.barrier_timeout + self.duration + self.duration / 10 + MARGIN
    }

    /// What the load is and what each shard has of it, for a reader of what is printed.
    fn summary(&self) -> Vec<String> {
        let sizing = &self.sizing;
        let traffic = match sizing.traffic {
            Some(traffic) => format!("{} messages and {} deliveries a second", figure(traffic.messages), figure(traffic.deliveries)),
            None => "as many messages as the target's pace gives".to_owned(),
        };
        vec![
            format!(
                "The load `{}`: {} in {}, for {}, from {}.",
                self.name,
                plural(self.clients.into(), "client", "clients"),
                plural(self.rooms.into(), "room", "rooms"),
                lasting(self.duration),
                plural(sizing.shards.into(), "shard", "shards"),
            ),
            format!("A shard has up to {}, {traffic}.", plural(sizing.clients.into(), "client", "clients")),
        ]
    }
}

fn figure(number: f64) -> String {
    count(number.round() as u64)
}

/// In whole seconds, for a reader.
fn lasting(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs_f64().ceil() as u64)).to_string()
}

fn spaceless(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Whole mebibytes, rounded up.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
