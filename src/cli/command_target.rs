//! A target that a command of the user's starts for a run, and that ends with it.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use url::Url;

use super::Usage;
use super::command_server::{CommandServer, HTTP_PORT, StartError, WS_PORT, is_taken};
use super::interrupt::interrupt;
use super::load::inconclusive;
use super::target::{Resolved, TargetArgs, quote};
use crate::scenario::protocol::Protocol;
use crate::verdict::Conclusion;

/// How long a server may take until it answers, unless the user says.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct CommandArgs {
    /// Start the server by this shell command, and stop it at the end; without --http and --ws it is given free ports, as `{http}` and
    /// `{ws}` in the command and by CHATSPEC_HTTP_PORT and CHATSPEC_WS_PORT
    #[arg(long, value_name = "COMMAND")]
    pub cmd: Option<String>,
    /// How long the server of --cmd may take until both of its ports answer; unless given, 10s
    #[arg(long, value_name = "DURATION", requires = "cmd", value_parser = super::check::positive)]
    pub wait: Option<Duration>,
}

/// A target, and the server that was started to be it.
pub struct Started {
    pub target: Resolved,
    pub server: Option<CommandServer>,
    /// Where it is, as if the user had said so.
    pub http: Option<String>,
    pub ws: Option<String>,
}

impl CommandArgs {
    /// Resolves the target, and starts it before where there is a command; or what a run concludes that has none.
    ///
    /// # Errors
    /// Wrong usage, among it an address at which something else listens.
    pub async fn resolve(&self, target: &TargetArgs, protocol: &Protocol) -> anyhow::Result<Result<Started, u8>> {
        let Some(command) = &self.cmd else {
            let resolved = target.resolve(protocol).await?;
            return Ok(Ok(Started { target: resolved, server: None, http: target.http.clone(), ws: target.ws.clone() }));
        };
        let is_given = target.http.is_some() || target.ws.is_some();
        let mut candidates = Vec::new();
        let (places, taken) = if is_given { (vec![target.clone()], None) } else { places(target, protocol, command).await? };
        for place in &places {
            candidates.push(place.resolve(protocol).await?);
        }
        let specs: Vec<_> = candidates.iter().map(|candidate| candidate.spec.clone()).collect();
        let path = protocol.declarations.requests.values().next().map_or("", |request| &request.path);
        let starting = CommandServer::start(command, &specs, path, self.wait.unwrap_or(WAIT));
        let started = tokio::select! {
            started = starting => started,
            () = interrupt().await => {
                anstream::eprintln!("interrupted while `{command}` was starting");
                return Ok(Err(Conclusion::Interrupted.exit_code()));
            }
        };
        let hint = match (is_given, &taken) {
            (true, _) => String::new(),
            (false, None) => format!(
                "\nThe command is told these ports by {HTTP_PORT} and {WS_PORT}, and by {{http}} and {{ws}} in it. A server that listens elsewhere \
                 is found by --http and --ws."
            ),
            (false, Some(taken)) => {
                format!("\nSomething else listens at {taken}, where a server of the document would: end it, or give --http and --ws.")
            }
        };
        match started {
            Ok((server, place)) => {
                let mut found = candidates.swap_remove(place);
                let whose = if is_given {
                    ""
                } else if place == 0 {
                    ", at free ports"
                } else {
                    ", at the document's own ports"
                };
                found.spec.notes.push(format!("started by `{command}`{whose}"));
                if !is_given {
                    // The next run's ports are others.
                    found
                        .options
                        .retain(|option| !["--http", "--ws", found.spec.http.as_str(), found.spec.ws.as_str()].contains(&option.as_str()));
                }
                found.options.extend(["--cmd".to_owned(), quote(command)]);
                found.options.extend(
                    self.wait.iter().flat_map(|wait| ["--wait".to_owned(), humantime::format_duration(*wait).to_string().replace(' ', "")]),
                );
                let (http, ws) = (Some(found.spec.http.to_string()), Some(found.spec.ws.to_string()));
                Ok(Ok(Started { target: found, server: Some(server), http, ws }))
            }
            Err(error @ (StartError::Taken { .. } | StartError::Unstartable { .. })) => Err(Usage(format!("--cmd: {error}")).into()),
            Err(StartError::Untriable(error)) => Err(error.into()),
            Err(error) if taken.is_some() => Err(Usage(format!("--cmd: {error}{hint}")).into()),
            Err(error) => Ok(Err(inconclusive(&format!("--cmd: {error}{hint}")))),
        }
    }
}

/// Where a server may come to listen that was told nothing but its environment: at free ports, or else at the document's, where the
/// command doesn't say that it takes the free ones. The second is what already listens at one of the document's.
async fn places(target: &TargetArgs, protocol: &Protocol, command: &str) -> anyhow::Result<(Vec<TargetArgs>, Option<Url>)> {
    let at = |http: u16, ws: u16| TargetArgs {
        http: Some(format!("http://127.0.0.1:{http}")),
        ws: Some(format!("ws://127.0.0.1:{ws}")),
        ..target.clone()
    };
    // Both are held until both are known, so that they differ.
    let free = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
    let mut ports = Vec::new();
    for listener in &free {
        let listener = listener.as_ref().map_err(|error| anyhow::anyhow!("no port is free: {error}"))?;
        ports.push(listener.local_addr().context("a port that was just bound has no number")?.port());
    }
    let chosen = at(ports[0], ports[1]);
    if command.contains("{http}") || command.contains("{ws}") {
        return Ok((vec![chosen], None));
    }
    let documents = at(protocol.http_port, protocol.ws_port);
    for address in [&documents.http, &documents.ws].into_iter().flatten() {
        let address = Url::parse(address)?;
        if is_taken(&address).await {
            return Ok((vec![chosen], Some(address)));
        }
    }
    Ok((vec![chosen, documents], None))
}
