//! `chatspec load`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::interrupt::interrupt;
use super::own_server::OwnServer;
use super::suite::all_shown;
use super::target::{TargetArgs, quote};
use super::{Ended, Usage, doctor};
use crate::conformance::target::TargetSpec;
use crate::conformance::{self, Timing};
use crate::event::{Event, Given, Header, LOG_VERSION, TargetShown};
use crate::known::KnownFailures;
use crate::load::door::{Way, Ways};
use crate::load::lower::ProfileError;
use crate::load::machine::{Machine, raise_descriptors};
use crate::load::notation;
use crate::load::overrides::Overrides;
use crate::load::plan::Plan;
use crate::load::preflight::{Run, default_threads};
use crate::load::profile::{Arrival, Profile};
use crate::load::run::{Setting, run as carry_out};
use crate::load::threshold::Threshold;
use crate::reading::{Fact, Findings};
use crate::report::jsonl::JsonLines;
use crate::report::load::LoadReport;
use crate::report::load_progress::LoadProgress;
use crate::report::terminal::Verbosity;
use crate::verdict::Conclusion;
use crate::wire::http::HttpClient;
use crate::wire::line::Destination;
use crate::wire::tls;

/// The profile that is played where nothing is said.
const FIRST: &str = "smoke";

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// A profile that chatspec carries, such as `steady-chat`, or a file; without one, the options alone decide
    #[arg(value_name = "PROFILE")]
    profile: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    /// What must hold, such as 'deliver.p99 < 100ms'; may be repeated
    #[arg(long, value_name = "EXPR")]
    threshold: Vec<String>,
    /// Play on where a threshold is broken for good
    #[arg(long)]
    no_abort: bool,
    /// Threads of the generator; unless given, one for each core, or for every second one where the target is on this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    /// An address of this machine to connect from, taken in turns; may be repeated
    #[arg(long, value_name = "ADDR")]
    source: Vec<IpAddr>,
    /// Only this part of the plan, such as 1/3; `merge` puts the parts together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Write the event log, as JSON lines
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show the verdict and what is wrong
    #[arg(long, short)]
    quiet: bool,
}

/// The options that shape a load.
#[derive(Debug, Args)]
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
}

impl ShapeArgs {
    fn overrides(&self, thresholds: &[String]) -> anyhow::Result<Overrides> {
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
            thresholds: thresholds.to_vec(),
        })
    }

    /// As typed, for the line that repeats a run.
    fn words(&self) -> Vec<String> {
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
        words.extend(self.poisson.then(|| "--poisson".to_owned()));
        words
    }

    fn is_empty(&self) -> bool {
        self.words().is_empty()
    }
}

/// `I/N`, the first being 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    index: u32,
    of: u32,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, of)| Some((index.parse::<u32>().ok()?, of.parse::<u32>().ok()?)));
        match parsed {
            Some((index, of)) if (1..=of).contains(&index) && of <= 1024 => Ok(Self { index: index - 1, of }),
            _ => Err("a part looks like 2/3: the second of three".to_owned()),
        }
    }
}

/// The profile that the arguments mean.
pub fn profile(name: Option<&str>, shape: &ShapeArgs, thresholds: &[String]) -> anyhow::Result<Profile> {
    let overrides = shape.overrides(thresholds)?;
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

/// Where the load goes, and by which ways.
struct Goal {
    spec: TargetSpec,
    ways: Ways,
    readings: Option<Event>,
    options: Vec<String>,
    _server: Option<OwnServer>,
}

pub async fn run(args: LoadArgs) -> Ended {
    let profile = profile(args.profile.as_deref(), &args.shape, &args.threshold)?;
    let thresholds = profile.thresholds.iter().map(|text| Threshold::parse(text)).collect::<Result<Vec<_>, _>>();
    let thresholds = thresholds.map_err(|error| Usage(error.to_string()))?;
    let seed = profile.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let plan = Plan::new(profile, seed).map_err(|error| Usage(error.to_string()))?;
    let json = args.json.as_deref().map(JsonLines::create).transpose().map_err(|error| Usage(error.to_string()))?;

    let sources = doctor::sources(&args.source)?;
    let raised = raise_descriptors();
    let machine = Machine::read();
    let target_here = args.target.http.as_deref().or(args.target.ws.as_deref()).is_none_or(is_here);
    let threads = args.threads.unwrap_or_else(|| default_threads(machine.cores, target_here)).min(plan.rooms());
    let needed = Run { clients: plan.clients(), rooms: plan.rooms(), sources, threads, target_here };
    let preflight = doctor::preflight(&needed, &machine, raised);
    if preflight.is_short {
        anstream::eprint!("{}", preflight.text);
        anstream::eprintln!("error: this machine can't carry out this load");
        return Ok(Conclusion::Inconclusive.exit_code());
    }

    let goal = match goal(&args.target, &plan).await? {
        Ok(goal) => goal,
        Err(absence) => {
            anstream::eprintln!("error: {absence}");
            return Ok(Conclusion::Inconclusive.exit_code());
        }
    };
    let tls = tls::config(goal.spec.insecure)?;
    let ws = Destination::find(&goal.spec.ws, &goal.spec.headers, &Arc::new(tls.clone())).map_err(|error| Usage(error.to_string()))?;
    let shard = args.shard.unwrap_or(Shard { index: 0, of: 1 });
    let nonce = nonce();
    let planned = plan.shown(threads, args.shard.map(|shard| format!("{}/{}", shard.index + 1, shard.of)));
    let setting = Setting {
        header: header(&args, &goal, seed, &planned.hash, &nonce),
        planned,
        plan: Arc::new(plan),
        nonce,
        threads,
        shard: (shard.index, shard.of),
        http: HttpClient::keeping(goal.spec.http.clone(), &goal.spec.headers, tls)?,
        ways: goal.ways,
        ws,
        sources: args.source.clone(),
        thresholds,
        abort: !args.no_abort,
        descriptor_limit: machine.descriptors.and_then(|limit| limit.soft),
    };
    play(&setting, goal.readings.as_ref(), json, args.quiet).await
}

/// Carries out a load, and shows it.
async fn play(setting: &Setting, readings: Option<&Event>, mut json: Option<JsonLines>, quiet: bool) -> Ended {
    let mut report = LoadReport::new(if quiet { Verbosity::Quiet } else { Verbosity::Normal });
    let mut progress = LoadProgress::new(quiet);
    let mut tell = |event: &Event| {
        progress.event(event);
        report.event(event);
        if let Some(json) = &mut json {
            json.event(event);
            if matches!(event, Event::Started(_)) {
                readings.iter().for_each(|readings| json.event(readings));
            }
        }
    };
    let (_, conclusion) = carry_out(setting, interrupt().await, &mut tell).await?;
    progress.clear();
    report.finish(&mut anstream::stdout().lock())?;
    if let Some(json) = json {
        json.finish()?;
    }
    Ok(conclusion.exit_code())
}

/// Whether an address is of this machine.
fn is_here(address: &str) -> bool {
    let host = url::Url::parse(address).ok().and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    host.is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// Eight letters and digits.
fn nonce() -> [u8; 8] {
    std::array::from_fn(|_| b"abcdefghijkmnpqrstuvwxyz23456789"[rand::random_range(0..32)])
}

/// Where the load shall go: the reference server, with the places that the plan needs, or the target that was given, of which the
/// readings are found out first. The inner error is of a target where nobody answers.
async fn goal(target: &TargetArgs, plan: &Plan) -> anyhow::Result<Result<Goal, String>> {
    let largest = u64::from(plan.largest_room());
    if target.http.is_none() && target.ws.is_none() {
        let capacity = target.capacity.unwrap_or(largest);
        check_capacity(capacity, largest)?;
        let server = OwnServer::start(&["--capacity", &capacity.to_string()], &[]).await?;
        let spec = server.spec(Vec::new(), vec![format!("the reference server, started for this run with {capacity} places in a room")]);
        let ways = Ways { create: Way::GetQuery, room: Way::GetQuery };
        return Ok(Ok(Goal { spec, ways, readings: None, options: Vec::new(), _server: Some(server) }));
    }
    let protocol = Arc::new(super::suite::load(None)?);
    let resolved = target.resolve(&protocol).await?;
    let probing = conformance::Plan {
        protocol: protocol.clone(),
        selected: Vec::new(),
        target: resolved.spec.clone(),
        timing: Timing { timeout: Duration::from_secs(3), max_time: Duration::from_secs(30), within: Default::default() },
        pins: resolved.pins.clone(),
        jobs: None,
        repeat: 1,
        seed: 1,
        strict: false,
        known: KnownFailures::default(),
        transcripts: false,
        given: Given::default(),
        reproduce: String::new(),
    };
    let (mut found, mut notes) = (None, Vec::new());
    conformance::run(&probing, std::future::pending(), |event| match event {
        Event::Readings { .. } => found = Some(event.clone()),
        Event::Finished(footer) => notes.clone_from(&footer.notes),
        _ => {}
    })
    .await?;
    if !notes.is_empty() {
        return Ok(Err(notes.join("; ")));
    }
    let Some(Event::Readings { readings, facts, .. }) = &found else {
        return Ok(Err("the target's readings could not be found out".to_owned()));
    };
    let findings = Findings { readings: readings.clone(), facts: facts.clone() };
    match facts.get("capacity") {
        Some(Fact::Number(capacity)) => check_capacity(*capacity, largest)?,
        Some(Fact::Above(_) | Fact::Truth(_) | Fact::Unknown { .. }) | None => {}
    }
    let (create, room) = match (way(&findings, "create"), way(&findings, "room")) {
        (Ok(create), Ok(room)) => (create, room),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let options = resolved.options.clone();
    Ok(Ok(Goal { spec: resolved.spec.clone(), ways: Ways { create, room }, readings: found, options, _server: None }))
}

fn check_capacity(capacity: u64, largest: u64) -> anyhow::Result<()> {
    if capacity < largest {
        let mend = "give smaller rooms (--rooms more, --clients fewer), or a target with more places";
        return Err(
            Usage(format!("the target's rooms have {capacity} places, and the plan's largest has {largest} clients: {mend}")).into()
        );
    }
    Ok(())
}

fn way(findings: &Findings, request: &str) -> Result<Way, String> {
    let held = |id: &str| findings.held(id).first().map(String::as_str);
    match held(&format!("R-PARAMS.{request}")) {
        Some("get-query") => Ok(Way::GetQuery),
        Some("post-query") => Ok(Way::PostQuery),
        Some("post-form") => Ok(Way::PostForm),
        Some("post-json") => Ok(Way::PostJson { status_as_text: held("R-STATUS-TYPE") == Some("string") }),
        _ => Err(format!(
            "it could not be found out how the target takes the parameters of `chatroom/{request}`: `chatspec check` says what is wrong there, \
             and --reading R-PARAMS=get-query (or another value) decides it"
        )),
    }
}

fn header(args: &LoadArgs, goal: &Goal, seed: u64, hash: &str, nonce: &[u8]) -> Header {
    let mut words: Vec<String> = vec!["chatspec".into(), "load".into()];
    words.extend(args.profile.iter().map(|profile| quote(profile)));
    words.extend(goal.options.iter().cloned());
    words.extend(args.shape.words());
    words.extend(args.threshold.iter().flat_map(|threshold| ["--threshold".to_owned(), quote(threshold)]));
    words.extend(["--seed".into(), seed.to_string()]);
    Header {
        log_version: LOG_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: "load".to_owned(),
        target: TargetShown { http: goal.spec.http.to_string(), ws: goal.spec.ws.to_string(), notes: goal.spec.notes.clone() },
        protocol: super::target::REFERENCE_PROTOCOL.to_owned(),
        suite: hash.to_owned(),
        seed,
        started: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        scenarios: 0,
        repeat: 1,
        strict: false,
        nonce: String::from_utf8_lossy(nonce).into_owned(),
        given: Given {
            http: args.target.http.clone(),
            ws: args.target.ws.clone(),
            capacity: args.target.capacity,
            readings: args.target.reading.clone(),
            headers: goal.spec.headers.iter().map(|(name, _)| name.clone()).collect(),
            insecure: args.target.insecure,
            ..Given::default()
        },
        reproduce: words.join(" "),
    }
}
