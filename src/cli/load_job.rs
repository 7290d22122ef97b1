//! A load that is ready to be carried out, and the target that it is for.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::doctor;
use super::interrupt::interrupt;
use super::load_shard::Shard;
use super::own_server::OwnServer;
use super::source::{Sources, addresses};
use super::target::TargetArgs;
use super::{Usage, target};
use crate::conformance::target::{Presence, Target, TargetSpec};
use crate::conformance::{self, Pins, Timing};
use crate::event::{Event, Given, Header, Measured, Planned, TargetShown};
use crate::known::KnownFailures;
use crate::load::barrier::{BarrierError, Begin, Fingerprint, Link, Place};
use crate::load::door::{Way, Ways};
use crate::load::machine::{Machine, raise_descriptors};
use crate::load::plan::Plan;
use crate::load::preflight::{Run, default_threads};
use crate::load::profile::Profile;
use crate::load::run::{Setting, at_once, run as carry_out};
use crate::load::threshold::Threshold;
use crate::reading::{Fact, Findings, Held};
use crate::verdict::Conclusion;
use crate::wire::http::HttpClient;
use crate::wire::line::Destination;
use crate::wire::tls;

/// How long each wait may take while the target's readings are found out.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The variables by which another process of this program gets its headers begin so.
const HEADER: &str = "CHATSPEC_HEADER_";

/// The options of the generator.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Generator")]
pub struct GeneratorArgs {
    /// Threads; unless given, one for each core, or for every second one where the target is on this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    /// An address of this machine to connect from, or a range such as 127.0.0.2-127.0.0.9, taken in turns; may be repeated
    #[arg(long, value_name = "ADDR[-ADDR]", value_delimiter = ',')]
    source: Vec<Sources>,
    /// Play on where a threshold is broken for good
    #[arg(long)]
    no_abort: bool,
}

impl GeneratorArgs {
    /// As typed, but for the threads.
    pub fn words(&self) -> Vec<String> {
        let sources = self.source.iter().flat_map(|source| ["--source".to_owned(), source.typed().to_owned()]);
        sources.chain(self.no_abort.then(|| "--no-abort".to_owned())).collect()
    }
}

/// Which part of a plan, played by how many processes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// This process has one shard.
    Shard(Shard),
    /// So many processes of this machine have all.
    Processes(u32),
}

impl Part {
    /// Into how many shards the plan is cut.
    pub fn shards(self) -> u32 {
        match self {
            Part::Whole => 1,
            Part::Shard(shard) => shard.of,
            Part::Processes(processes) => processes,
        }
    }
}

/// What a load waits for when all is ready.
pub enum Gate {
    Nothing,
    Time(SystemTime),
    /// Other shards; with the end of the standard input the load ends too, where `with_stdin` says so.
    Barrier {
        place: Box<Place>,
        link: Link,
        with_stdin: bool,
    },
}

impl Gate {
    async fn open(self) -> Result<Begin, BarrierError> {
        match self {
            Gate::Nothing => at_once().await,
            Gate::Time(time) => Ok(Begin::at_time(time).await),
            Gate::Barrier { place, .. } => place.start().await,
        }
    }
}

/// A load, ready to be carried out as often as wanted.
#[derive(Debug)]
pub struct Job {
    plan: Arc<Plan>,
    thresholds: Vec<Threshold>,
    part: Part,
    /// In each process.
    threads: u32,
    sources: Vec<IpAddr>,
    generator: GeneratorArgs,
    descriptor_limit: Option<u64>,
    /// The options that shape it, for the line that repeats it.
    words: Vec<String>,
}

/// Why this machine can't carry out a load: what it lacks, for a person.
#[derive(Debug)]
pub struct Short(pub String);

impl Job {
    /// Plans a load, and looks whether this machine can make it.
    pub fn new(
        profile: Profile,
        words: Vec<String>,
        generator: &GeneratorArgs,
        target: &TargetArgs,
        part: Part,
    ) -> anyhow::Result<Result<Self, Short>> {
        let thresholds = profile.thresholds.iter().map(|text| Threshold::parse(text)).collect::<Result<Vec<_>, _>>();
        let thresholds = thresholds.map_err(|error| Usage(error.to_string()))?;
        // Shards that know nothing of each other must still make the same plan.
        let is_shared = matches!(part, Part::Shard(_));
        let seed = profile.seed.unwrap_or_else(|| if is_shared { 1 } else { u64::from(rand::random::<u32>()) });
        let plan = Plan::new(profile, seed).map_err(|error| Usage(error.to_string()))?;
        let shards = part.shards();
        if shards > plan.rooms() {
            return Err(Usage(format!(
                "{shards} shards are too many for {} rooms: a room is in one shard with all its clients, so give more --rooms or fewer shards",
                plan.rooms()
            ))
            .into());
        }
        let sources = addresses(&generator.source)?;
        let raised = raise_descriptors();
        let machine = Machine::read();
        let target_here = target.http.as_deref().or(target.ws.as_deref()).is_none_or(is_here);
        let processes = if let Part::Processes(processes) = part { processes } else { 1 };
        let here = shards / processes;
        let each = || (default_threads(machine.cores, target_here) / processes).max(1);
        let threads = generator.threads.unwrap_or_else(each).min((plan.rooms() / shards).max(1));
        let needed = Run {
            clients: plan.clients() / here,
            rooms: plan.rooms() / here,
            sources: u32::try_from(sources.len()).unwrap_or(u32::MAX).max(1),
            threads,
            processes,
            own_server: target.http.is_none() && target.ws.is_none(),
            target_here,
        };
        let preflight = doctor::preflight(&needed, &machine, raised);
        if preflight.is_short {
            return Ok(Err(Short(preflight.text)));
        }
        let descriptor_limit = machine.descriptors.and_then(|limit| limit.soft);
        let generator = generator.clone();
        Ok(Ok(Self { plan: Arc::new(plan), thresholds, part, threads, sources, generator, descriptor_limit, words }))
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hash: self.plan.profile.hash(),
            seed: self.plan.seed,
            of: self.part.shards(),
        }
    }

    /// The plan as the log shows it.
    pub fn planned(&self) -> Planned {
        let shard = if let Part::Shard(shard) = self.part { Some(shard.to_string()) } else { None };
        let processes = if let Part::Processes(processes) = self.part { processes } else { 1 };
        self.plan.shown(self.threads * processes, shard)
    }

    /// Threads in each process.
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// Clients in the largest room.
    pub fn largest_room(&self) -> u64 {
        u64::from(self.plan.largest_room())
    }

    /// Carries it out, from when the gate opens.
    pub async fn play(&self, goal: &Goal, gate: Gate, mut tell: impl FnMut(&Event)) -> anyhow::Result<(Measured, Conclusion)> {
        let tls = tls::config(goal.spec.insecure, &[&goal.spec.http, &goal.spec.ws])?;
        let ws = Destination::find(&goal.spec.ws, &goal.spec.headers, &Arc::new(tls.clone())).map_err(|error| Usage(error.to_string()))?;
        if let Some(source) = self.sources.iter().find(|source| !ws.is_reached_from(**source)) {
            return Err(Usage(format!("--source: {source} and the target's address are of different versions of IP")).into());
        }
        let (nonce, link, with_stdin) = match &gate {
            Gate::Barrier { place, link, with_stdin } => (place.nonce(), Some(link.clone()), *with_stdin),
            Gate::Nothing | Gate::Time(_) => (nonce(), None, false),
        };
        let planned = self.planned();
        let (shard, is_shard) = match self.part {
            Part::Shard(shard) => ((shard.index, shard.of), true),
            Part::Whole | Part::Processes(_) => ((0, 1), false),
        };
        let setting = Setting {
            header: self.header(goal, &planned.hash, &nonce),
            planned,
            plan: self.plan.clone(),
            nonce,
            threads: self.threads,
            shard,
            http: HttpClient::keeping(goal.spec.http.clone(), &goal.spec.headers, tls)?,
            ways: goal.ways,
            ws,
            sources: self.sources.clone(),
            // What must hold of the whole need not hold of a shard: `merge` looks at it.
            thresholds: if is_shard { Vec::new() } else { self.thresholds.clone() },
            abort: !self.generator.no_abort,
            descriptor_limit: self.descriptor_limit,
        };
        let called_off = OnceCell::new();
        let interrupted = interrupt().await;
        let ending = async {
            match &link {
                None => interrupted.await,
                Some(link) => tokio::select! {
                    () = interrupted => link.abort("it was interrupted"),
                    () = stdin_ended(), if with_stdin => {}
                    why = link.aborted() => drop(called_off.set(why)),
                },
            }
        };
        let concluded = carry_out(&setting, gate.open(), ending, |event| {
            if let (Some(link), Event::Second(second)) = (&link, event) {
                link.second(second);
            }
            if let Event::Finished(footer) = event {
                let mut footer = footer.clone();
                footer.notes.extend(called_off.get().map(|why| format!("the load was called off: {why}")));
                if link.as_ref().is_some_and(Link::is_gone) {
                    footer.notes.push("the first shard was gone before the end; this one played on".to_owned());
                }
                tell(&Event::Finished(footer));
            } else {
                tell(event);
            }
            if matches!(event, Event::Started(_)) {
                goal.readings.iter().for_each(&mut tell);
            }
        })
        .await?;
        if let Some(link) = link {
            link.end().await;
        }
        Ok(concluded)
    }

    /// What a log begins with.
    pub fn header(&self, goal: &Goal, hash: &str, nonce: &[u8]) -> Header {
        let mut words: Vec<String> = vec!["chatspec".into(), "load".into()];
        words.extend(goal.options.iter().chain(&self.words).cloned());
        words.extend(["--seed".into(), self.plan.seed.to_string()]);
        words.extend(self.generator.words());
        match self.part {
            Part::Whole => {}
            Part::Shard(shard) => words.extend(["--shard".into(), shard.to_string()]),
            Part::Processes(processes) => words.extend(["--processes".into(), processes.to_string()]),
        }
        Header {
            target: TargetShown { http: goal.spec.http.to_string(), ws: goal.spec.ws.to_string(), notes: goal.spec.notes.clone() },
            nonce: String::from_utf8_lossy(nonce).into_owned(),
            given: goal.given.clone(),
            reproduce: words.join(" "),
            ..Header::new("load", target::REFERENCE_PROTOCOL, hash, self.plan.seed)
        }
    }
}

/// Where the load goes, and by which ways.
pub struct Goal {
    spec: TargetSpec,
    ways: Ways,
    readings: Option<Event>,
    /// What the command was given about it.
    given: Given,
    /// The options that describe it again.
    options: Vec<String>,
    _server: Option<OwnServer>,
}

impl Goal {
    /// The options by which another process finds it at once, without asking it anything.
    pub fn words(&self, capacity: u64) -> Vec<String> {
        let mut words = vec!["--http".to_owned(), self.spec.http.to_string(), "--ws".to_owned(), self.spec.ws.to_string()];
        words.extend(["--capacity".to_owned(), capacity.to_string()]);
        for (request, way) in [("create", self.ways.create), ("room", self.ways.room)] {
            words.extend(["--reading".to_owned(), format!("R-PARAMS.{request}={}", value(way))]);
        }
        if let Way::PostJson { status_as_text } = self.ways.room {
            words.extend(["--reading".to_owned(), format!("R-STATUS-TYPE={}", if status_as_text { "string" } else { "number" })]);
        }
        let header = |(place, (name, _)): (usize, &(String, String))| ["--header-env".to_owned(), format!("{name}:{HEADER}{place}")];
        words.extend(self.spec.headers.iter().enumerate().flat_map(header));
        words.extend(self.spec.insecure.then(|| "--insecure".to_owned()));
        words
    }

    /// The variables that these options name: a header may be a secret, and everybody sees a command line.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.spec.headers.iter().enumerate().map(|(place, (_, value))| (format!("{HEADER}{place}"), value.clone())).collect()
    }

    /// What was found out about it.
    pub fn readings(&self) -> Option<&Event> {
        self.readings.as_ref()
    }

    /// The reference server, with the places that the plan needs, or the target that was given, of which the readings are found out first.
    /// The inner error is of a target where nobody answers, or that can't be loaded.
    pub async fn find(target: &TargetArgs, largest: u64) -> anyhow::Result<Result<Self, String>> {
        if target.http.is_none() && target.ws.is_none() {
            let capacity = target.capacity.unwrap_or(largest);
            check_capacity(capacity, largest)?;
            let server = OwnServer::start(&["--capacity", &capacity.to_string()], &[]).await?;
            let spec =
                server.spec(Vec::new(), vec![format!("the reference server, started for this run with {capacity} places in a room")]);
            let ways = Ways { create: Way::GetQuery, room: Way::GetQuery };
            return Ok(Ok(Self { spec, ways, readings: None, given: Given::default(), options: Vec::new(), _server: Some(server) }));
        }
        let protocol = Arc::new(super::suite::load(None)?);
        let resolved = target.resolve(&protocol).await?;
        let given = Given {
            http: target.http.clone(),
            ws: target.ws.clone(),
            capacity: target.capacity,
            readings: target.reading.clone(),
            headers: resolved.spec.headers.iter().map(|(name, _)| name.clone()).collect(),
            insecure: target.insecure,
            ..Given::default()
        };
        let options = resolved.options.clone();
        // Whoever has said all that a load goes by wants nobody else on the server.
        if let (Some(ways), Some(capacity)) = (said(&resolved.pins), target.capacity) {
            check_capacity(capacity, largest)?;
            let presence = Presence::find(&Target::new(&resolved.spec)?, "chatroom/list", TIMEOUT).await;
            let absent = [presence.http.err(), presence.ws.err()].into_iter().flatten().next();
            return Ok(match absent {
                Some(absence) => Err(format!("nobody answers at {absence}")),
                None => Ok(Self { spec: resolved.spec.clone(), ways, readings: None, given, options, _server: None }),
            });
        }
        // A check without scenarios is what finds the readings.
        let probing = conformance::Plan {
            protocol: protocol.clone(),
            selected: Vec::new(),
            target: resolved.spec.clone(),
            timing: Timing { timeout: TIMEOUT, max_time: Duration::from_secs(30), within: Default::default() },
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
        if let Some(Fact::Number(capacity)) = facts.get("capacity") {
            check_capacity(*capacity, largest)?;
        }
        let findings = Findings { readings: readings.clone(), facts: facts.clone() };
        let (create, room) = match (way(&findings, "create"), way(&findings, "room")) {
            (Ok(create), Ok(room)) => (create, room),
            (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
        };
        Ok(Ok(Self { spec: resolved.spec.clone(), ways: Ways { create, room }, readings: found, given, options, _server: None }))
    }
}

/// Whether an address is of this machine.
pub fn is_here(address: &str) -> bool {
    let host = url::Url::parse(address).ok().and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    host.is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// Comes true when nothing more will come from the standard input.
async fn stdin_ended() {
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

/// Eight letters and digits.
pub fn nonce() -> [u8; 8] {
    std::array::from_fn(|_| b"abcdefghijkmnpqrstuvwxyz23456789"[rand::random_range(0..32)])
}

pub fn check_capacity(capacity: u64, largest: u64) -> anyhow::Result<()> {
    if capacity < largest {
        let mend = "give smaller rooms (--rooms more, --clients fewer), or a target with more places";
        return Err(
            Usage(format!("the target's rooms have {capacity} places, and the plan's largest has {largest} clients: {mend}")).into()
        );
    }
    Ok(())
}

/// The ways that the user says, if they are said for both requests.
fn said(pins: &Pins) -> Option<Ways> {
    let held =
        |id: String| pins.readings.iter().find(|(pinned, _)| *pinned == id).map(|(_, value)| Held::Pinned { values: vec![value.clone()] });
    let ids = ["R-PARAMS.create", "R-PARAMS.room", "R-STATUS-TYPE"];
    let readings = ids.iter().filter_map(|id| Some(((*id).to_owned(), held((*id).to_owned())?))).collect();
    let findings = Findings { readings, ..Findings::default() };
    Some(Ways { create: way(&findings, "create").ok()?, room: way(&findings, "room").ok()? })
}

/// The value of R-PARAMS that a way is.
fn value(way: Way) -> &'static str {
    match way {
        Way::GetQuery => "get-query",
        Way::PostQuery => "post-query",
        Way::PostForm => "post-form",
        Way::PostJson { .. } => "post-json",
    }
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
