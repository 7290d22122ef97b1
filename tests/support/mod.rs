//! What several test binaries share: servers to check, and runs of the engine and the binary.
#![allow(dead_code)]

pub mod browser;
pub mod hostile;
pub mod loads;
#[cfg(target_os = "linux")]
pub mod slurm;
pub mod streams;
pub mod tls;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use chatspec::conformance::target::TargetSpec;
use chatspec::conformance::{self, Pins, Plan, Timing};
use chatspec::event::{Event, Given};
use chatspec::known::KnownFailures;
use chatspec::scenario::protocol::Protocol;
use chatspec::scenario::select::select;
use chatspec::verdict::Verdicts;
use reference_server::Config;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// A server on ports of its own; it ends when this is dropped.
pub struct Server {
    pub http: String,
    pub ws: String,
    pub tasks: Vec<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback")
}

pub fn address(listener: &TcpListener, scheme: &str) -> String {
    format!("{scheme}://{}/", listener.local_addr().expect("a bound listener has an address"))
}

/// The reference server, in this process.
pub async fn reference(config: Config) -> Server {
    let (http, ws) = (listener().await, listener().await);
    let addresses = (address(&http, "http"), address(&ws, "ws"));
    let serving = tokio::spawn(async move {
        reference_server::serve(http, ws, config, std::future::pending()).await.expect("it serves");
    });
    Server { http: addresses.0, ws: addresses.1, tasks: vec![serving] }
}

pub fn suite() -> Arc<Protocol> {
    Arc::new(Protocol::embedded().expect("the embedded suite has no mistakes"))
}

pub fn folder(path: &str) -> Arc<Protocol> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    Arc::new(Protocol::from_dir(&path).unwrap_or_else(|error| panic!("{error}: {error:?}")))
}

/// A plan with the defaults of `chatspec check`.
pub fn plan(protocol: &Arc<Protocol>, server: &Server, only: &[&str]) -> Plan {
    let only: Vec<String> = only.iter().map(|selector| (*selector).to_owned()).collect();
    Plan {
        protocol: protocol.clone(),
        selected: select(protocol, &only, &[]).expect("the selectors mean something"),
        target: TargetSpec {
            http: Url::parse(&server.http).expect("a URL"),
            ws: Url::parse(&server.ws).expect("a URL"),
            headers: Vec::new(),
            insecure: false,
            keeps_http: false,
            pid: None,
            notes: Vec::new(),
        },
        timing: Timing { timeout: Duration::from_secs(3), max_time: Duration::from_secs(120), within: Default::default() },
        pins: Pins::default(),
        jobs: None,
        repeat: 1,
        seed: 1,
        strict: true,
        transcripts: true,
        known: KnownFailures::default(),
        given: Given::default(),
        reproduce: "chatspec check".into(),
    }
}

/// Runs a plan: its verdicts, and every event.
pub async fn run(plan: &Plan) -> (Verdicts, Vec<Event>) {
    let mut events = Vec::new();
    let verdicts =
        conformance::run(plan, std::future::pending(), |event| events.push(event.clone())).await.expect("the target can be tried");
    (verdicts, events)
}

/// Everything that didn't pass, for the message of a failed assertion.
pub fn trouble(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        if let Event::ScenarioFinished(verdict) = event
            && (verdict.failure.is_some() || verdict.why.is_some())
        {
            let summary = verdict.failure.as_ref().map_or("", |failure| &failure.summary);
            text.push_str(&format!("{} {:?}: {summary} {}\n", verdict.scenario, verdict.outcome, verdict.why.as_deref().unwrap_or("")));
        }
    }
    text
}

/// Runs the binary to its end.
pub fn chatspec(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chatspec"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("GITHUB_ACTIONS")
        .output()
        .expect("the binary runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the binary off the runtime, which meanwhile serves what it checks: its exit code, standard output and standard error.
pub async fn chatspec_off_the_runtime(arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || chatspec(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    (output.status.code().unwrap_or(-1), stdout(&output), stderr(&output))
}
