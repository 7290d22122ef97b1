//! A server under test: where its listeners are, and what reaches them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use url::Url;

use crate::event::TargetShown;
use crate::wire::http::{Answer, ClientError, HttpClient, HttpFailure, Request};
use crate::wire::tls::{self, TlsError};
use crate::wire::ws::{ConnectFailure, Connection, Endpoint};

/// How many connections may be in the making at once. A listener with a short queue (five, in a server that many start
/// from) drops what is beyond it, and the client's system tries again only after a second.
const OPENING: usize = 4;

/// Where a target is, as the user gave it.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    pub http: Url,
    pub ws: Url,
    /// Sent with every request and handshake.
    pub headers: Vec<(String, String)>,
    /// Certificates are not verified.
    pub insecure: bool,
    /// Its HTTP connections are kept for the next exchange. Only with a server of which it is known that it doesn't close them.
    pub keeps_http: bool,
    /// The process, where the harness itself started it.
    pub pid: Option<u32>,
    /// What the user should know of how the addresses came about.
    pub notes: Vec<String>,
}

/// Why a target can't even be tried.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Http(#[from] ClientError),
}

#[derive(Clone, Debug)]
pub struct Target {
    pub http: HttpClient,
    pub ws: Endpoint,
    /// The HTTP listener as an endpoint for plain byte streams.
    pub http_endpoint: Endpoint,
    pub pid: Option<u32>,
    pub shown: TargetShown,
}

impl Target {
    /// # Errors
    /// A TLS setup that this machine refuses.
    pub fn new(spec: &TargetSpec) -> Result<Self, TargetError> {
        let tls = tls::config(spec.insecure, &[&spec.http, &spec.ws])?;
        let opening = Arc::new(Semaphore::new(OPENING));
        let endpoint =
            |url: &Url| Endpoint { url: url.clone(), headers: spec.headers.clone(), tls: Arc::new(tls.clone()), opening: opening.clone() };
        Ok(Self {
            http: match spec.keeps_http {
                true => HttpClient::keeping(spec.http.clone(), &spec.headers, tls.clone())?,
                false => HttpClient::new(spec.http.clone(), &spec.headers, tls.clone(), OPENING)?,
            },
            ws: endpoint(&spec.ws),
            http_endpoint: endpoint(&spec.http),
            pid: spec.pid,
            shown: TargetShown { http: spec.http.to_string(), ws: spec.ws.to_string(), notes: spec.notes.clone() },
        })
    }

    /// The memory that the target's process has in use, in bytes; `None` where the harness didn't start it or this
    /// system doesn't tell.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    }
}

/// Whether somebody answers at each of the two listeners, and if not, what was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    pub http: Result<(), String>,
    pub ws: Result<(), String>,
    /// How long the HTTP listener took over its answer.
    pub pace: Duration,
}

impl Presence {
    /// Tries both listeners once, HTTP with a path that the protocol knows: any answer at all is an answer.
    pub async fn find(target: &Target, path: &str, timeout: Duration) -> Self {
        let http = async {
            let request = Request { method: "GET".into(), url: target.http.url(path, &[]), headers: Vec::new(), body: None };
            match target.http.send(&request, timeout).await {
                Ok(Answer { .. }) | Err(HttpFailure::Reset | HttpFailure::Eof) => Ok(()),
                Err(failure) => Err(format!("{}: {failure}", request.url)),
            }
        };
        let ws = async {
            match Connection::open(&target.ws, timeout, Arc::new(|_| ())).await {
                Ok(connection) => {
                    connection.hang_up().await;
                    Ok(())
                }
                Err(failure @ (ConnectFailure::Refused | ConnectFailure::Timeout { .. } | ConnectFailure::Other(_))) => {
                    Err(format!("{}: {failure}", target.ws.url))
                }
                Err(_) => Ok(()),
            }
        };
        let began = Instant::now();
        let timed = async { (http.await, began.elapsed()) };
        let ((http, pace), ws) = tokio::join!(timed, ws);
        Self { http, ws, pace }
    }
}
