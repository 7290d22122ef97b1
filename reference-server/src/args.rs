//! The command line of the server, for its own binary and for programs that have it as a subcommand.

use crate::fault::{self, Fault, UnknownFault};
use crate::playground::{self, Playground};
use crate::reading::{ReadingError, Readings};
use crate::variant::{self, UnknownVariant};
use crate::{Config, DEFAULT_CAPACITY, Limits, ServeError, serve};
use clap::ValueEnum;
use std::future::{Future, pending};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// Run the reference server
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Where to listen for HTTP; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    pub http: SocketAddr,
    /// Where to listen for WebSocket; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2333")]
    pub ws: SocketAddr,
    /// The number of places in a room
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CAPACITY as u64, value_parser = clap::value_parser!(u64).range(1..))]
    pub capacity: u64,
    /// A room that exists from the start; may be repeated
    #[arg(long = "room", value_name = "NAME")]
    pub rooms: Vec<String>,
    /// Follow one reading where the document has several, such as R-LIST=rooms; may be repeated
    #[arg(long = "reading", value_name = "ID=VALUE")]
    pub readings: Vec<String>,
    /// Deviate from the document in one way; a load fault may have a dose, such as load-drop=1/500
    #[arg(long, value_name = "NAME[=DOSE]")]
    pub fault: Option<String>,
    /// Show the faults and the requirements that they violate
    #[arg(long)]
    pub list_faults: bool,
    /// Conform to the document in an odd way
    #[arg(long, value_name = "NAME", conflicts_with = "fault")]
    pub variant: Option<String>,
    /// Show the variants
    #[arg(long)]
    pub list_variants: bool,
    /// Serve no page to try the server on
    #[arg(long)]
    pub no_playground: bool,
    /// The format of the log on standard error; RUST_LOG sets its level
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    /// Shut down when standard input ends
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Why the server can't run as asked.
#[derive(Debug, Error)]
pub enum ArgsError {
    #[error("can't listen for {what} on {address}: {source}; `{flag} {}:0` picks a free port", address.ip())]
    Listen { what: &'static str, flag: &'static str, address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Reading(#[from] ReadingError),
    #[error(transparent)]
    Fault(#[from] UnknownFault),
    #[error(transparent)]
    Variant(#[from] UnknownVariant),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("can't write to standard output")]
    Output(#[source] io::Error),
    #[error("can't wait for signals")]
    Signals(#[source] io::Error),
}

impl ArgsError {
    /// The exit code of a program that ends with this error: 2 for what the user can mend, otherwise 4.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_) | Self::Signals(_) => 4,
            _ => 2,
        }
    }
}

/// Runs the server until SIGINT or SIGTERM. Once both listeners accept, their addresses and that of the playground are on standard
/// output, a line each; a server with a fault says at its end how often it has deviated.
///
/// # Errors
/// [`ArgsError`], before anything is served.
pub async fn run(args: ServeArgs) -> Result<(), ArgsError> {
    if args.list_faults {
        return io::stdout().lock().write_all(fault_table().as_bytes()).map_err(ArgsError::Output);
    }
    if args.list_variants {
        return io::stdout().lock().write_all(variant_table().as_bytes()).map_err(ArgsError::Output);
    }
    let mut config = Config {
        capacity: usize::try_from(args.capacity).unwrap_or(usize::MAX),
        rooms: args.rooms,
        readings: readings(&args.readings)?,
        fault: args.fault.as_deref().map(Fault::named).transpose()?,
        variant: None,
        limits: Limits::default(),
        playground: None,
    };
    match args.variant.as_deref() {
        None => {}
        Some(name) => match name.split_once('=') {
            Some((id, value)) => config.readings.pin(id, value)?,
            None => variant::apply(name, &mut config)?,
        },
    }
    let fault = config.fault.clone();
    config.playground = (!args.no_playground).then(|| Playground::new(fault.as_ref(), args.variant.as_deref(), &args.readings));
    start_log(args.log);
    let http = listen("HTTP", "--http", args.http)?;
    let ws = listen("WebSocket", "--ws", args.ws)?;
    let shutdown = shutdown_signal(args.exit_with_stdin)?;
    announce(&http, &ws, config.playground.is_some()).map_err(ArgsError::Output)?;
    serve(http, ws, config, shutdown).await?;
    match fault {
        None => Ok(()),
        Some(fault) => writeln!(io::stdout(), "fault {} fired {} times", fault.name(), fault.firings()).map_err(ArgsError::Output),
    }
}

/// The faults as a table: name, primary requirement, what the server does. Those for testers of load come after all others,
/// with their dose in place of a requirement.
#[must_use]
pub fn fault_table() -> String {
    let plain = fault::all().map(|spec| (spec.name, spec.requirement.to_owned(), spec.summary));
    let load = fault::load::all().map(|spec| (spec.name, spec.dose.to_string(), spec.summary));
    let (plain, load): (Vec<_>, Vec<_>) = (plain.collect(), load.collect());
    let names = plain.iter().chain(&load).map(|(name, ..)| name.len()).max().unwrap_or(0);
    let seconds = plain.iter().chain(&load).map(|(_, second, _)| second.len()).max().unwrap_or(0);
    let row = |(name, second, summary): &(&str, String, &str)| format!("{name:names$}  {second:seconds$}  {summary}\n");
    let (plain, load): (String, String) = (plain.iter().map(row).collect(), load.iter().map(row).collect());
    format!("{plain}\nFor those who test load; the dose is another with NAME=DOSE:\n{load}")
}

/// The variants as a table: name, what the server does. Each value of each reading is one too.
#[must_use]
pub fn variant_table() -> String {
    let summary = |name: &str| variant::all().find(|spec| spec.name == name).map_or("the reading of that name", |spec| spec.summary);
    let width = variant::names().map(|name| name.len()).max().unwrap_or(0);
    variant::names().map(|name| format!("{name:width$}  {}\n", summary(&name))).collect()
}

fn readings(pinned: &[String]) -> Result<Readings, ReadingError> {
    let mut readings = Readings::default();
    for pair in pinned {
        let (id, value) = pair.split_once('=').ok_or_else(|| ReadingError::NotAPair(pair.clone()))?;
        readings.pin(id, value)?;
    }
    Ok(readings)
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Whoever has this as a subcommand may have a log of its own, which then stays.
    let _already_started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

/// Connections that may wait to be accepted. Where thousands come at once and find no place to wait, the kernel makes do with cookies, and
/// resets some of them in the middle of their handshakes.
const BACKLOG: u32 = 4096;

fn listen(what: &'static str, flag: &'static str, address: SocketAddr) -> Result<TcpListener, ArgsError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A port whose last connections are still closing down can be had again, as with every other listener.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|source| ArgsError::Listen { what, flag, address, source })
}

/// All lines go out in one write: whoever has read those that it needs may close the pipe.
fn announce(http: &TcpListener, ws: &TcpListener, has_playground: bool) -> io::Result<()> {
    let mut address = http.local_addr()?;
    let mut lines = format!("http listening on http://{address}\nws listening on ws://{}/\n", ws.local_addr()?);
    if has_playground {
        // A browser can't go to every address at once.
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        lines += &format!("playground at http://{address}{}\n", playground::PATH);
    }
    let mut output = io::stdout().lock();
    output.write_all(lines.as_bytes())?;
    output.flush()
}

/// Completes on SIGINT or SIGTERM, or at the end of standard input if `with_stdin`.
fn shutdown_signal(with_stdin: bool) -> Result<impl Future<Output = ()> + Send + 'static, ArgsError> {
    let signalled = signalled().map_err(ArgsError::Signals)?;
    let stdin_ended = with_stdin.then(stdin_ended);
    Ok(async move {
        tokio::select! {
            () = signalled => {}
            () = async { match stdin_ended { Some(ended) => ended.await, None => pending().await } } => {}
        }
    })
}

// The handlers are in place when this returns, so a signal right after the start is not lost.
#[cfg(unix)]
fn signalled() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signalled() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            pending().await
        }
    })
}

// A read of standard input can't be cancelled, and a runtime waits for its own blocking tasks when it ends; it
// doesn't wait for this thread.
fn stdin_ended() -> impl Future<Output = ()> + Send + 'static {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        // An error ends standard input as well as its end does, and nobody may be waiting any more.
        let _read = io::copy(&mut io::stdin().lock(), &mut io::sink());
        ended.send(())
    });
    async move {
        let _ended_either_way = end.await;
    }
}
