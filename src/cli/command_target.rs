//! A target that a command of the user's starts for a run, and that ends with it.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use url::Url;

use super::Usage;
use super::command_server::{CommandServer, HTTP_PORT, StartError, WS_PORT, is_taken};
use super::interrupt::interrupt;
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
    /// Why there is none although there is a command: nobody will answer, and the reports say why.
    pub absence: Option<String>,
    /// Where it is, as if the user had said so.
    pub http: Option<String>,
    pub ws: Option<String>,
}

impl CommandArgs {
    /// Resolves the target, and starts it before where there is a command; or the exit code of a run that was interrupted meanwhile.
    ///
    /// # Errors
    /// Wrong usage, among it an address at which something else listens.
    pub async fn resolve(&self, target: &TargetArgs, protocol: &Protocol) -> anyhow::Result<Result<Started, u8>> {
        let Some(command) = &self.cmd else {
            let resolved = target.resolve(protocol).await?;
            return Ok(Ok(Started { target: resolved, server: None, absence: None, http: target.http.clone(), ws: target.ws.clone() }));
        };
        let is_given = target.http.is_some() || target.ws.is_some();
        let (places, taken) = if is_given { (vec![target.clone()], None) } else { places(target, protocol, command).await? };
        let mut candidates = Vec::new();
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
        let hint = match &taken {
            _ if is_given => String::new(),
            Some(taken) => {
                format!("Something else listens at {taken}, where a server of the document would: end it, or give --http and --ws.")
            }
            None => format!(
                "The command is told these ports by {HTTP_PORT} and {WS_PORT}, and by {{http}} and {{ws}} in it. A server that listens \
                 elsewhere is found by --http and --ws."
            ),
        };
        let (place, server, absence) = match started {
            Ok((server, place)) => (place, Some(server), None),
            Err(StartError::Untriable(error)) => return Err(error.into()),
            Err(error @ (StartError::Ended { .. } | StartError::Silent { .. })) if taken.is_none() => {
                anstream::eprintln!("error: --cmd: {error}\n{hint}");
                (0, None, Some(error.in_one_line()))
            }
            Err(error) => return Err(Usage(format!("--cmd: {error}\n{hint}").trim_end().to_owned()).into()),
        };
        let whose = match place {
            _ if is_given => "",
            0 => ", at free ports",
            _ => ", at the document's own ports",
        };
        let mut found = candidates.swap_remove(place);
        found.spec.notes.push(format!("started by `{command}`{whose}"));
        self.describe(command, is_given, &mut found);
        let (http, ws) = (Some(found.spec.http.to_string()), Some(found.spec.ws.to_string()));
        Ok(Ok(Started { target: found, server, absence, http, ws }))
    }

    /// The options that describe the target again: the command, and addresses only where they were given, since the next run's ports
    /// are others.
    fn describe(&self, command: &str, is_given: bool, target: &mut Resolved) {
        if !is_given {
            let (http, ws) = (target.spec.http.to_string(), target.spec.ws.to_string());
            target.options.retain(|option| !["--http", "--ws", &http, &ws].contains(&option.as_str()));
        }
        target.options.extend(["--cmd".to_owned(), quote(command)]);
        if let Some(wait) = self.wait {
            target.options.extend(["--wait".to_owned(), humantime::format_duration(wait).to_string().replace(' ', "")]);
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
