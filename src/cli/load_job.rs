//! A load that is ready to be carried out, and the target that it is for.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::doctor;
use super::interrupt::interrupt;
use super::own_server::OwnServer;
use super::target::TargetArgs;
use super::{Usage, target};
use crate::conformance::target::{Presence, Target, TargetSpec};
use crate::conformance::{self, Pins, Timing};
use crate::event::{Event, Given, Header, Measured, TargetShown};
use crate::known::KnownFailures;
use crate::load::door::{Way, Ways};
use crate::load::machine::{Machine, raise_descriptors};
use crate::load::plan::Plan;
use crate::load::preflight::{Run, default_threads};
use crate::load::profile::Profile;
use crate::load::run::{Setting, run as carry_out};
use crate::load::threshold::Threshold;
use crate::reading::{Fact, Findings, Held};
use crate::verdict::Conclusion;
use crate::wire::http::HttpClient;
use crate::wire::line::Destination;
use crate::wire::tls;

/// How long each wait may take while the target's readings are found out.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The options of the generator.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Generator")]
pub struct GeneratorArgs {
    /// Threads; unless given, one for each core, or for every second one where the target is on this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    /// An address of this machine to connect from, taken in turns; may be repeated
    #[arg(long, value_name = "ADDR")]
    source: Vec<IpAddr>,
    /// Only this part of the plan, such as 1/3; `merge` puts the parts together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Play on where a threshold is broken for good
    #[arg(long)]
    no_abort: bool,
}

/// `I/N`, the first being 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
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

/// A load, ready to be carried out as often as wanted.
#[derive(Debug)]
pub struct Job {
    plan: Arc<Plan>,
    thresholds: Vec<Threshold>,
    threads: u32,
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
    ) -> anyhow::Result<Result<Self, Short>> {
        let thresholds = profile.thresholds.iter().map(|text| Threshold::parse(text)).collect::<Result<Vec<_>, _>>();
        let thresholds = thresholds.map_err(|error| Usage(error.to_string()))?;
        let seed = profile.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let plan = Plan::new(profile, seed).map_err(|error| Usage(error.to_string()))?;
        let sources = doctor::sources(&generator.source)?;
        let raised = raise_descriptors();
        let machine = Machine::read();
        let target_here = target.http.as_deref().or(target.ws.as_deref()).is_none_or(is_here);
        let shards = generator.shard.map_or(1, |shard| shard.of);
        let threads = generator.threads.unwrap_or_else(|| default_threads(machine.cores, target_here)).min((plan.rooms() / shards).max(1));
        let needed = Run { clients: plan.clients() / shards, rooms: plan.rooms(), sources, threads, target_here };
        let preflight = doctor::preflight(&needed, &machine, raised);
        if preflight.is_short {
            return Ok(Err(Short(preflight.text)));
        }
        let descriptor_limit = machine.descriptors.and_then(|limit| limit.soft);
        Ok(Ok(Self { plan: Arc::new(plan), thresholds, threads, generator: generator.clone(), descriptor_limit, words }))
    }

    /// Clients in the largest room.
    pub fn largest_room(&self) -> u64 {
        u64::from(self.plan.largest_room())
    }

    /// Carries it out.
    pub async fn play(&self, goal: &Goal, mut tell: impl FnMut(&Event)) -> anyhow::Result<(Measured, Conclusion)> {
        let tls = tls::config(goal.spec.insecure)?;
        let ws = Destination::find(&goal.spec.ws, &goal.spec.headers, &Arc::new(tls.clone())).map_err(|error| Usage(error.to_string()))?;
        let nonce = nonce();
        let shown = |shard: Shard| format!("{}/{}", shard.index + 1, shard.of);
        let planned = self.plan.shown(self.threads, self.generator.shard.map(shown));
        let shard = self.generator.shard.unwrap_or(Shard { index: 0, of: 1 });
        let setting = Setting {
            header: self.header(goal, &planned.hash, &nonce),
            planned,
            plan: self.plan.clone(),
            nonce,
            threads: self.threads,
            shard: (shard.index, shard.of),
            http: HttpClient::keeping(goal.spec.http.clone(), &goal.spec.headers, tls)?,
            ways: goal.ways,
            ws,
            sources: self.generator.source.clone(),
            thresholds: self.thresholds.clone(),
            abort: !self.generator.no_abort,
            descriptor_limit: self.descriptor_limit,
        };
        let concluded = carry_out(&setting, interrupt().await, |event| {
            tell(event);
            if matches!(event, Event::Started(_)) {
                goal.readings.iter().for_each(&mut tell);
            }
        });
        Ok(concluded.await?)
    }

    fn header(&self, goal: &Goal, hash: &str, nonce: &[u8]) -> Header {
        let mut words: Vec<String> = vec!["chatspec".into(), "load".into()];
        words.extend(goal.options.iter().chain(&self.words).cloned());
        words.extend(["--seed".into(), self.plan.seed.to_string()]);
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

/// Eight letters and digits.
fn nonce() -> [u8; 8] {
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
