//! The options that shape a load, and the profile that they make.

use std::time::Duration;

use super::Usage;
use super::suite::all_shown;
use super::target::quote;
use crate::load::lower::ProfileError;
use crate::load::notation;
use crate::load::overrides::Overrides;
use crate::load::profile::{Arrival, Profile};

/// The profile that is played where nothing is said.
const FIRST: &str = "smoke";

/// The options that shape a load.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Load")]
pub struct ShapeArgs {
    /// How many clients
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    clients: Option<u32>,
    /// How many rooms they are spread over
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rooms: Option<u32>,
    /// Messages, such as 400/s
    #[arg(long, value_name = "R")]
    rate: Option<String>,
    /// Sessions that begin, such as 500/s
    #[arg(long, value_name = "R")]
    session_rate: Option<String>,
    /// Messages and sessions come at random, not evenly
    #[arg(long)]
    poisson: bool,
    /// How long what counts takes
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Messages in flight, instead of a rate: the target sets the pace
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    closed: Option<u32>,
    /// In a closed load, how long after a message is back the next one is sent
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    think: Option<Duration>,
    /// Bytes of text in a message, such as 200 or 64..512
    #[arg(long, value_name = "BYTES")]
    size: Option<String>,
    /// After this time a delivery counts as lost
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    deadline: Option<Duration>,
    /// A phase, such as steady:30s@2000/s; may be repeated, and replaces those of the profile
    #[arg(long, value_name = "PHASE")]
    phase: Vec<String>,
    /// Decides everything that is random
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// What must hold, such as 'deliver.p99 < 100ms'; may be repeated
    #[arg(long, value_name = "EXPR")]
    threshold: Vec<String>,
}

impl ShapeArgs {
    fn overrides(&self) -> anyhow::Result<Overrides> {
        let rate = |text: &Option<String>| text.as_deref().map(notation::rate).transpose();
        let size = self.size.as_deref().map(notation::byte_range).transpose();
        Ok(Overrides {
            clients: self.clients,
            rooms: self.rooms,
            rate: rate(&self.rate).map_err(|why| Usage(format!("--rate: {why}")))?,
            session_rate: rate(&self.session_rate).map_err(|why| Usage(format!("--session-rate: {why}")))?,
            arrival: self.poisson.then_some(Arrival::Poisson),
            deadline: self.deadline,
            duration: self.duration,
            seed: self.seed,
            closed: self.closed,
            think: self.think,
            size: size.map_err(|why| Usage(format!("--size: {why}")))?,
            phases: self.phase.clone(),
            thresholds: self.threshold.clone(),
        })
    }

    /// As typed, for the line that repeats a run.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([format!("--{name}"), quote(&value)]);
            }
        };
        let lasting = |duration: Duration| humantime::format_duration(duration).to_string().replace(' ', "");
        add("clients", self.clients.map(|clients| clients.to_string()));
        add("rooms", self.rooms.map(|rooms| rooms.to_string()));
        add("rate", self.rate.clone());
        add("session-rate", self.session_rate.clone());
        add("duration", self.duration.map(lasting));
        add("closed", self.closed.map(|closed| closed.to_string()));
        add("think", self.think.map(lasting));
        add("size", self.size.clone());
        add("deadline", self.deadline.map(lasting));
        self.phase.iter().for_each(|phase| add("phase", Some(phase.clone())));
        self.threshold.iter().for_each(|threshold| add("threshold", Some(threshold.clone())));
        words.extend(self.poisson.then(|| "--poisson".to_owned()));
        words
    }

    fn is_empty(&self) -> bool {
        self.words().is_empty()
    }
}

/// The profile that the arguments mean.
pub fn profile(name: Option<&str>, shape: &ShapeArgs) -> anyhow::Result<Profile> {
    let overrides = shape.overrides()?;
    let name = name.or_else(|| shape.is_empty().then_some(FIRST));
    let profile = match name {
        None => Profile::from_flags(&overrides),
        Some(name) => Profile::named(name).map_err(|error| Usage(shown(&error)))?.with(&overrides),
    };
    profile.map_err(|error| Usage(error.to_string()).into())
}

fn shown(error: &ProfileError) -> String {
    match error {
        ProfileError::Wrong { diagnostics, .. } => all_shown(&error.to_string(), diagnostics),
        _ => error.to_string(),
    }
}
