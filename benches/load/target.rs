//! The servers under load, each a process of its own on the target's core.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::process::{self, Core};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Reference,
    Minimal,
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Server::Reference => "reference server",
            Server::Minimal => "minimal server",
        }
    }
}

/// A server that listens. Dropping it ends its process.
pub struct Target {
    pub http: SocketAddr,
    pub ws: SocketAddr,
    child: Child,
}

impl Target {
    /// Starts a server whose rooms have places enough.
    pub fn start(server: Server, chatspec: &Path, own: &Path, members: usize) -> io::Result<Self> {
        let mut command = match server {
            Server::Reference => {
                let mut command = process::command(chatspec, Core::Target);
                command.args(["serve", "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--exit-with-stdin"]);
                command.args(["--capacity", &members.to_string()]);
                command
            }
            Server::Minimal => {
                let mut command = process::command(own, Core::Target);
                command.arg("minimal-server");
                command
            }
        };
        let mut child = command.env("RUST_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("a server has no standard output"))?;
        let mut lines = BufReader::new(stdout).lines();
        let mut address = |scheme: &str| {
            let line = lines.next().transpose()?.unwrap_or_default();
            let address = line.rsplit_once(&format!("{scheme}://")).and_then(|(_, rest)| rest.trim_end_matches('/').parse().ok());
            address.ok_or_else(|| io::Error::other(format!("a server's address was to come, and not {line:?}")))
        };
        let (http, ws) = (address("http")?, address("ws")?);
        Ok(Self { http, ws, child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It has nothing to write, and nobody to say goodbye to.
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}
