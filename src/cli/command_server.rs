//! A server that a command starts: it has a process group of its own, is waited for until both ports answer, and ends whole.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use url::Url;

use super::Usage;

/// How often the ports are tried until they answer.
const TRY: Duration = Duration::from_millis(20);

/// How long the group may take to end when it is asked to, before it is killed.
const END: Duration = Duration::from_secs(5);

/// How many of its last lines are kept.
const TAIL: usize = 200;

/// A server that runs. Dropping it kills its group.
#[derive(Debug)]
pub struct CommandServer {
    child: Child,
    group: Option<i32>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl CommandServer {
    /// Runs the command in a shell, and waits until both addresses take connections.
    pub async fn start(command: &str, addresses: [&Url; 2], wait: Duration) -> anyhow::Result<Self> {
        for address in addresses {
            if answers(address).await {
                let why =
                    format!("{address} answers already, before `{command}` is started: end what listens there, or give another address");
                return Err(Usage(why).into());
            }
        }
        let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
        shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command);
        #[cfg(unix)]
        shell.process_group(0);
        let mut child = shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("`{command}` can't be started"))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        keep(child.stdout.take(), &tail);
        keep(child.stderr.take(), &tail);
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let mut server = Self { child, group, tail };
        let deadline = Instant::now() + wait;
        for address in addresses {
            while !answers(address).await {
                if let Some(status) = server.child.try_wait()? {
                    return Err(Usage(format!("`{command}` ended ({status}) before {address} answered{}", server.shown())).into());
                }
                if Instant::now() >= deadline {
                    let wait = humantime::format_duration(wait);
                    return Err(Usage(format!("{address} doesn't answer {wait} after `{command}` was started{}", server.shown())).into());
                }
                tokio::time::sleep(TRY).await;
            }
        }
        Ok(server)
    }

    /// Its last lines, standard output and standard error together.
    pub fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn shown(&self) -> String {
        let tail = self.tail();
        let last = tail.iter().skip(tail.len().saturating_sub(10));
        let lines: Vec<String> = last.map(|line| format!("\n  | {line}")).collect();
        if lines.is_empty() { "; it wrote nothing".to_owned() } else { format!(":{}", lines.concat()) }
    }

    /// Ends the whole group: asked first, then killed.
    pub async fn stop(mut self) {
        self.signal(false);
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
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
}

impl Drop for CommandServer {
    fn drop(&mut self) {
        // What the command left behind in its group ends with it.
        self.signal(true);
    }
}

async fn answers(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = address.port_or_known_default().unwrap_or(80);
    matches!(tokio::time::timeout(Duration::from_secs(1), TcpStream::connect((host, port))).await, Ok(Ok(_)))
}

/// Reads lines as long as there are any, so that the server never waits for a reader.
fn keep(from: Option<impl AsyncRead + Unpin + Send + 'static>, tail: &Arc<Mutex<VecDeque<String>>>) {
    let Some(from) = from else { return };
    let tail = tail.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.push_back(String::from_utf8_lossy(&line).trim_end().chars().take(500).collect());
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
    });
}
