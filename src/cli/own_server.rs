//! The reference server as a process of its own, for a run without a target: its memory can be measured, and nothing
//! that happens to it happens to the harness.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(10);

/// Dropping it ends the process.
pub struct OwnServer {
    pub http: String,
    pub ws: String,
    child: Child,
}

impl OwnServer {
    pub async fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        // The server ends when its standard input does, so it never outlives this process, however that ends.
        let mut child = Command::new(program)
            .args(["serve", "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--exit-with-stdin"])
            .env("RUST_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the reference server can't be started")?;
        let stdout = child.stdout.take().context("the reference server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let reading = async {
            let (mut http, mut ws) = (None, None);
            while http.is_none() || ws.is_none() {
                let line = lines.next_line().await?.context("the reference server ended before it listened")?;
                if let Some(url) = line.strip_prefix("http listening on ") {
                    http = Some(url.to_owned());
                } else if let Some(url) = line.strip_prefix("ws listening on ") {
                    ws = Some(url.to_owned());
                }
            }
            anyhow::Ok((http.unwrap_or_default(), ws.unwrap_or_default()))
        };
        let (http, ws) = tokio::time::timeout(START, reading).await.context("the reference server did not start within 10 s")??;
        Ok(Self { http, ws, child })
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}
