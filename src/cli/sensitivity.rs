//! `chatspec sensitivity`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reference_server::{DEFAULT_CAPACITY, fault, variant};

use super::interrupt::interrupt;
use super::outputs::{OutputArgs, Outputs};
use super::own_server::OwnServer;
use super::suite::SuiteArgs;
use super::target::REFERENCE_PROTOCOL;
use super::{Ended, Usage};
use crate::conformance::target::TargetSpec;
use crate::conformance::{Pins, Timing};
use crate::event::{Event, Footer, Header, SuiteShown, TargetShown, millis};
use crate::matrix::{Kind, Subject, Summary, scenario_of, worth};
use crate::report::matrix;
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::select::{Selector, select};
use crate::scenario::source::suggest;
use crate::sensitivity::{self, Laboratory, Server, Setting};
use crate::verdict::Conclusion;

#[derive(Debug, Args)]
pub struct SensitivityArgs {
    /// Only these faults and variants: a name, a glob, the requirement that a fault violates, `faults` or `variants`; may be repeated
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only these scenarios: a scenario, a requirement, an area, a level or a glob; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<String>,
    #[command(flatten)]
    suite: SuiteArgs,
    /// How many servers are tried at once; unless given, five for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    at_once: Option<u64>,
    /// Decides the order of the scenarios
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Show what isn't as it should be, and the figures
    #[arg(long, short)]
    quiet: bool,
    // At the end, since its heading would hold for what follows.
    #[command(flatten)]
    outputs: OutputArgs,
}

/// How long one server may take.
const MAX_TIME: Duration = Duration::from_secs(280);
const TIMEOUT: Duration = Duration::from_secs(3);
const AT_ONCE_FOR_EACH_PROCESSOR: usize = 5;

/// Many servers share the processors, so one thread for each is enough, and cheaper.
const ONE_THREAD: &[(&str, &str)] = &[("TOKIO_WORKER_THREADS", "1")];

pub async fn run(args: SensitivityArgs) -> Ended {
    let protocol = Arc::new(args.suite.load()?);
    if protocol.name != REFERENCE_PROTOCOL {
        return Err(Usage(format!("the protocol `{}` has no reference server, so there is nothing to be wrong", protocol.name)).into());
    }
    let selected = select(&protocol, &args.only, &[]).map_err(|error| Usage(error.to_string()))?;
    let subjects = chosen(&args.names)?;
    let mut outputs = Outputs::open(&args.outputs, None)?;
    let whole = args.names.is_empty() && args.only.is_empty();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let setting = Setting {
        protocol: protocol.clone(),
        selected,
        timing: Timing { timeout: TIMEOUT, max_time: MAX_TIME, within: Default::default() },
        at_once: args.at_once.and_then(|count| usize::try_from(count).ok()).unwrap_or(processors * AT_ONCE_FOR_EACH_PROCESSOR),
        seed: args.seed,
    };
    let began = std::time::Instant::now();
    outputs.event(&Event::Started(header(&setting, subjects.len())));
    outputs.event(&Event::Suite(Box::new(SuiteShown::new(&protocol, &setting.selected))));
    let (total, mut done) = (subjects.len(), 0);
    let (trials, is_whole) = sensitivity::run(&setting, &References, subjects, interrupt().await, |trial| {
        done += 1;
        outputs.event(&Event::Tried(Box::new(trial.clone())));
        if !args.quiet || !trial.judgement.is_good() {
            outputs.say(|out| matrix::line(out, trial));
        } else if done % 25 == 0 {
            anstream::eprintln!("{done} of {total} servers");
        }
    })
    .await;
    let worth = if whole && is_whole { worth(&trials, &scenarios(&protocol)) } else { Vec::new() };
    let summary = Summary::new(&trials, worth);
    outputs.say(|out| matrix::summary(out, &summary));
    let conclusion = match summary.failed {
        _ if !is_whole => Conclusion::Interrupted,
        0 if summary.is_good() => Conclusion::Conforms,
        0 => Conclusion::Violated,
        _ => Conclusion::Internal,
    };
    outputs.event(&Event::Finished(Footer {
        at_ms: millis(began.elapsed()),
        exit_code: conclusion.exit_code(),
        interrupted: !is_whole,
        matrix: Some(summary),
        ..Footer::default()
    }));
    if !is_whole {
        anstream::eprintln!("The run was interrupted: {} of {total} servers were tried.", trials.len());
    }
    Ok(outputs.finish(conclusion.exit_code()))
}

fn header(setting: &Setting, subjects: usize) -> Header {
    Header {
        target: TargetShown { notes: vec!["the reference server, once for each fault and variant".to_owned()], ..Default::default() },
        scenarios: setting.selected.len() * subjects,
        strict: true,
        ..Header::new("sensitivity", &setting.protocol.name, &setting.protocol.hash, setting.seed)
    }
}

/// All scenarios, their cases together, with the reason why each stays.
fn scenarios(protocol: &Protocol) -> BTreeMap<String, Option<String>> {
    protocol.scenarios.iter().map(|scenario| (scenario_of(&scenario.id).to_owned(), scenario.stays.clone())).collect()
}

/// The plain server, every variant and every fault.
fn all() -> Vec<Subject> {
    let plain = Subject { name: "plain".into(), summary: "the server as it is".into(), kind: Kind::Plain };
    let variants = variant::names().map(|name| {
        let summary = variant::all().find(|spec| spec.name == name).map_or("follows this reading", |spec| spec.summary);
        Subject { name, summary: summary.to_owned(), kind: Kind::Variant }
    });
    let faults = fault::all().map(|spec| Subject {
        name: spec.name.to_owned(),
        summary: spec.summary.to_owned(),
        kind: Kind::Fault {
            requirement: RequirementId::new(spec.requirement),
            implies: spec.implies.iter().map(|id| RequirementId::new(id)).collect(),
        },
    });
    std::iter::once(plain).chain(variants).chain(faults).collect()
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Subject>> {
    let all = all();
    let mut chosen = vec![names.is_empty(); all.len()];
    for name in names {
        let selector = Selector::new(name).map_err(|error| Usage(error.to_string()))?;
        let mut found = false;
        for (subject, chosen) in all.iter().zip(&mut chosen) {
            let by_kind = match &subject.kind {
                Kind::Plain => false,
                Kind::Variant => name == "variants",
                Kind::Fault { requirement, .. } => name == "faults" || selector.fits(requirement.as_str()),
            };
            if by_kind || selector.fits(&subject.name) {
                (*chosen, found) = (true, true);
            }
        }
        if !found {
            let help = suggest(name, all.iter().map(|subject| subject.name.as_str()).collect::<Vec<_>>());
            return Err(Usage(format!("no fault and no variant is called `{name}`; {help}")).into());
        }
    }
    Ok(all.into_iter().zip(chosen).filter_map(|(subject, chosen)| chosen.then_some(subject)).collect())
}

/// Reference servers, each a process of its own.
struct References;

impl Laboratory for References {
    type Server = OwnServer;

    async fn start(&self, subject: &Subject) -> Result<OwnServer, String> {
        let options: &[&str] = match &subject.kind {
            Kind::Plain => &[],
            Kind::Variant => &["--variant", &subject.name],
            Kind::Fault { .. } => &["--fault", &subject.name],
        };
        OwnServer::start(options, ONE_THREAD).await.map_err(|error| format!("{error:#}"))
    }
}

impl Server for OwnServer {
    /// Connections are kept, which saves a third of the work, but where the deviation lies in how they are taken in.
    fn target(&self, subject: &Subject) -> TargetSpec {
        let at_the_door = matches!(&subject.kind, Kind::Fault { requirement, .. } if requirement.as_str() == "ROB-19");
        TargetSpec { keeps_http: !at_the_door, ..self.spec(Vec::new(), Vec::new()) }
    }

    /// What a user would tell of a server that is never full.
    fn pins(&self, subject: &Subject) -> Pins {
        let facts = match subject.kind {
            Kind::Fault { .. } => vec![("capacity".to_owned(), DEFAULT_CAPACITY as u64)],
            Kind::Plain | Kind::Variant => Vec::new(),
        };
        Pins { facts, ..Pins::default() }
    }

    async fn stop(self) -> Result<Option<u64>, String> {
        let last_words = self.end().await.map_err(|error| format!("{error:#}"))?;
        let count = |line: &String| line.strip_prefix("fault ")?.strip_suffix(" times")?.rsplit(' ').next()?.parse().ok();
        Ok(last_words.iter().find_map(count))
    }
}
