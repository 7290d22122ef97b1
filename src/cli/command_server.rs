//! A server that a command starts: it has a process group of its own, is waited for until both ports answer, and ends whole.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use url::Url;

use crate::conformance::target::{Presence, Target, TargetError, TargetSpec};
use crate::report::transcript::printable;

/// How often the ports are tried until they answer, and the group until it is gone.
const TRY: Duration = Duration::from_millis(20);

/// How long a single try may take.
const ANSWER: Duration = Duration::from_secs(1);

/// How long the group may take to end when it is asked to, before it is killed.
const END: Duration = Duration::from_secs(5);

/// How many of its last lines are kept.
const KEPT: usize = 200;

/// Bytes of a line above this are let go.
const LONGEST: usize = 500;

/// How many of its last lines an error shows.
const SHOWN: usize = 10;

/// What the command finds in its environment: the ports at which its server is to listen.
pub const HTTP_PORT: &str = "CHATSPEC_HTTP_PORT";
pub const WS_PORT: &str = "CHATSPEC_WS_PORT";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{address} answers already, before `{command}` is started: end what listens there, or give another address")]
    Taken { address: Url, command: String },
    #[error("`{command}` can't be started: {source}")]
    Unstartable { command: String, source: std::io::Error },
    #[error(transparent)]
    Untriable(#[from] TargetError),
    #[error("`{command}` ended ({status}) before its server answered: {absence}{output}")]
    Ended { command: String, status: ExitStatus, absence: String, output: String },
    #[error("`{command}` was started, and {} later {absence}; --wait gives it more time{output}", humantime::format_duration(*wait))]
    Silent { command: String, wait: Duration, absence: String, output: String },
}

impl StartError {
    /// It for a log, where what the command wrote can't stand in lines of its own.
    pub fn in_one_line(&self) -> String {
        self.to_string().replace(":\n  | ", ": ").replace("\n  | ", " / ")
    }
}

/// A line that the server wrote, and when it came.
#[derive(Debug)]
struct Line {
    at: Instant,
    text: String,
}

/// A server that runs. Dropping it kills its group.
#[derive(Debug)]
pub struct CommandServer {
    command: String,
    started: Instant,
    child: Child,
    group: Option<i32>,
    lines: Arc<Mutex<VecDeque<Line>>>,
    reading: Vec<JoinHandle<()>>,
}

impl CommandServer {
    /// Runs the command in a shell, and waits until somebody answers at both addresses of one of the candidates; gives that one's place.
    /// In the command, `{http}` and `{ws}` stand for the ports of the first. `path` is one that HTTP is tried with.
    pub async fn start(command: &str, candidates: &[TargetSpec], path: &str, wait: Duration) -> Result<(Self, usize), StartError> {
        for address in candidates.iter().flat_map(|spec| [&spec.http, &spec.ws]) {
            if is_taken(address).await {
                return Err(StartError::Taken { address: address.clone(), command: command.to_owned() });
            }
        }
        let mut server = Self::spawn(command, candidates)?;
        let targets = candidates.iter().map(Target::new).collect::<Result<Vec<_>, _>>()?;
        let deadline = server.started + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut absences = Vec::new();
            for (place, target) in targets.iter().enumerate() {
                match Presence::find(target, path, ANSWER.min(left.max(TRY))).await {
                    Presence { http: Ok(()), ws: Ok(()), .. } => return Ok((server, place)),
                    Presence { http, ws, .. } => absences.extend([http, ws].into_iter().filter_map(Result::err)),
                }
            }
            let absence = absences.iter().map(|absence| format!("nobody answers at {absence}")).collect::<Vec<_>>().join("; ");
            let command = command.to_owned();
            if let Some(status) = server.ended() {
                server.read_to_the_end().await;
                return Err(StartError::Ended { command, status, absence, output: server.shown() });
            }
            if left.is_zero() {
                return Err(StartError::Silent { command, wait, absence, output: server.shown() });
            }
            tokio::time::sleep(TRY).await;
        }
    }

    fn spawn(command: &str, candidates: &[TargetSpec]) -> Result<Self, StartError> {
        let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
        let mut line = command.to_owned();
        if let Some(first) = candidates.first() {
            for (mark, variable, address) in [("{http}", HTTP_PORT, &first.http), ("{ws}", WS_PORT, &first.ws)] {
                let port = address.port_or_known_default().unwrap_or_default().to_string();
                line = line.replace(mark, &port);
                shell.env(variable, port);
            }
        }
        // What Python writes to a pipe would otherwise come only at its end.
        if std::env::var_os("PYTHONUNBUFFERED").is_none() {
            shell.env("PYTHONUNBUFFERED", "1");
        }
        shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(line);
        #[cfg(unix)]
        shell.process_group(0);
        // Before its first line can come: what came earlier isn't its own.
        let started = Instant::now();
        let mut child = shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StartError::Unstartable { command: command.to_owned(), source })?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let reading = keep(child.stdout.take(), &lines).into_iter().chain(keep(child.stderr.take(), &lines)).collect();
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self { command: command.to_owned(), started, child, group, lines, reading })
    }

    pub fn command(&self) -> &str {
        &self.command
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its last lines since then, at most so many, standard output and standard error together.
    pub fn lines(&self, since: Instant, most: usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let recent: Vec<&Line> = lines.iter().rev().take_while(|line| line.at >= since).take(most).collect();
        recent.into_iter().rev().map(|line| line.text.clone()).collect()
    }

    /// How it has ended, if it has. A command that succeeds and leaves its server behind in the group hasn't.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        (!status.success() || !self.has_group()).then_some(status)
    }

    /// Reads what a server has written that has ended. Where something that it left behind holds its output open, that may never end.
    async fn read_to_the_end(&mut self) {
        for reading in &mut self.reading {
            let _ = tokio::time::timeout(ANSWER, reading).await;
        }
    }

    fn shown(&self) -> String {
        let lines: Vec<String> = self.lines(self.started, SHOWN).iter().map(|line| format!("\n  | {}", printable(line))).collect();
        if lines.is_empty() { "; it wrote nothing".to_owned() } else { format!("; it wrote:{}", lines.concat()) }
    }

    /// Ends the whole group: asked first, then killed.
    pub async fn stop(mut self) {
        self.signal(false);
        let gone = async {
            let _ = self.child.wait().await;
            while self.has_group() {
                tokio::time::sleep(TRY).await;
            }
        };
        if tokio::time::timeout(END, gone).await.is_err() {
            self.signal(true);
            let _ = self.child.wait().await;
        }
    }

    #[cfg(unix)]
    fn signal(&self, kill: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        if let Some(group) = self.group.and_then(Pid::from_raw) {
            // Whoever has ended already needs no signal.
            let _ = kill_process_group(group, if kill { Signal::KILL } else { Signal::TERM });
        }
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _: bool) {
        let _ = self.child.start_kill();
    }

    /// Whether anything of the group is left.
    #[cfg(unix)]
    fn has_group(&self) -> bool {
        use rustix::process::{Pid, test_kill_process_group};
        self.group.and_then(Pid::from_raw).is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    #[cfg(not(unix))]
    fn has_group(&self) -> bool {
        false
    }
}

impl Drop for CommandServer {
    fn drop(&mut self) {
        // What the command left behind in its group ends with it.
        self.signal(true);
    }
}

/// Whether something listens at an address.
pub async fn is_taken(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = address.port_or_known_default().unwrap_or(80);
    matches!(tokio::time::timeout(ANSWER, TcpStream::connect((host, port))).await, Ok(Ok(_)))
}

/// Reads lines as long as there are any, so that the server never waits for a reader.
fn keep(from: Option<impl AsyncRead + Unpin + Send + 'static>, lines: &Arc<Mutex<VecDeque<Line>>>) -> Option<JoinHandle<()>> {
    let from = from?;
    let lines = lines.clone();
    Some(tokio::spawn(async move {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            let (used, is_whole) = match reader.fill_buf().await {
                Ok(chunk) if !chunk.is_empty() => {
                    let end = chunk.iter().position(|byte| *byte == b'\n');
                    let part = &chunk[..end.unwrap_or(chunk.len())];
                    line.extend(part.iter().take(LONGEST.saturating_sub(line.len())));
                    (part.len() + usize::from(end.is_some()), end.is_some())
                }
                _ => break,
            };
            reader.consume(used);
            if is_whole {
                push(&lines, &mut line);
            }
        }
        if !line.is_empty() {
            push(&lines, &mut line);
        }
    }))
}

fn push(lines: &Mutex<VecDeque<Line>>, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    line.clear();
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push_back(Line { at: Instant::now(), text });
    if lines.len() > KEPT {
        lines.pop_front();
    }
}
