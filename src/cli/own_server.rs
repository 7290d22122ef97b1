//! The reference server as a process of its own, for a run without a target: its memory can be measured, and nothing
//! that happens to it happens to the harness.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use url::Url;

use crate::conformance::target::TargetSpec;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(10);

/// How long it may take to end, more than it gives its clients to say goodbye.
const END: Duration = Duration::from_secs(10);

/// Dropping it ends the process.
pub struct OwnServer {
    http: Url,
    ws: Url,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl OwnServer {
    /// Starts `serve` with these options and variables of the environment besides.
    pub async fn start(options: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        // The server ends when its standard input does, so it never outlives this process, however that ends.
        let mut child = Command::new(program)
            .args(["serve", "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--no-playground", "--exit-with-stdin"])
            .args(options)
            .env("RUST_LOG", "error")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the reference server can't be started")?;
        let stdout = child.stdout.take().context("the reference server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let reading = async {
            let (mut http, mut ws) = (None, None);
            loop {
                if let (Some(http), Some(ws)) = (&http, &ws) {
                    return anyhow::Ok((Url::clone(http), Url::clone(ws)));
                }
                let line = lines.next_line().await?.context("the reference server ended before it listened")?;
                if let Some(url) = line.strip_prefix("http listening on ") {
                    http = Some(Url::parse(url)?);
                } else if let Some(url) = line.strip_prefix("ws listening on ") {
                    ws = Some(Url::parse(url)?);
                }
            }
        };
        let (http, ws) = tokio::time::timeout(START, reading).await.context("the reference server did not start within 10 s")??;
        Ok(Self { http, ws, child, lines })
    }

    /// It as a target.
    pub fn spec(&self, headers: Vec<(String, String)>, notes: Vec<String>) -> TargetSpec {
        TargetSpec {
            http: self.http.clone(),
            ws: self.ws.clone(),
            headers,
            insecure: false,
            keeps_http: false,
            pid: self.child.id(),
            notes,
        }
    }

    /// Ends it, and gives the lines that it wrote at its end. An end before this is an error.
    pub async fn end(mut self) -> anyhow::Result<Vec<String>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the reference server has ended by itself: {status}");
        }
        drop(self.child.stdin.take());
        let ending = async {
            let mut last_words = Vec::new();
            while let Some(line) = self.lines.next_line().await? {
                last_words.push(line);
            }
            self.child.wait().await?;
            anyhow::Ok(last_words)
        };
        tokio::time::timeout(END, ending).await.context("the reference server did not end within 10 s")?
    }
}
