//! What load costs, as ratios from one run: the generators against each other on one server, the reference server against a
//! minimal one under one generator, and the memory of idle connections. docs/performance.md says how to read it.
//!
//!     cargo bench --bench load
//!     cargo bench --bench load -- --rounds 1 --seconds 2 clients

mod bare;
mod chat;
mod contender;
mod floor;
mod frame;
mod honesty;
mod minimal_server;
mod process;
mod table;
mod target;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use clap::{Args, Parser, Subcommand, ValueEnum};

use chat::{Chat, Figures};
use contender::{Contender, ECHO, FAN_OUT, Programs, Shape};
use floor::Floor;
use process::Core;
use target::{Server, Target};

// As in the chatspec binary, so that no server has a better allocator than the other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    measure: Measure,
}

/// What this program is when it has started itself.
#[derive(Subcommand)]
#[command(hide = true)]
enum Role {
    /// The floor, once
    Floor(Chat),
    /// The bare client, once
    Bare(Chat),
    /// The floor's connections, which join and are silent until standard input ends
    Hold(Chat),
    /// The floor's connections in one room, of which one speaks ten times
    Crowd(Chat),
    MinimalServer,
}

#[derive(Args)]
struct Measure {
    /// Only these parts; all unless given
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// How long each measures
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Connections that are idle
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Members of the big room
    #[arg(long, default_value_t = 10_000)]
    crowd: usize,
    /// Measure this binary of chatspec
    #[arg(long, value_name = "FILE")]
    chatspec: Option<PathBuf>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The generators against each other, on the reference server
    Clients,
    /// The generator's own queueing: at half of what the target carries, latencies from the intended instant
    Open,
    /// The reference server against the minimal one, under the floor
    Servers,
    /// Memory of idle connections, on both sides
    Idle,
    /// One room with a crowd in it
    BigRoom,
    /// A target that stops, and a generator that starves
    Honesty,
}

/// Descriptors that a process needs beside its connections.
const SPARE_DESCRIPTORS: u64 = 100;
const IDLE_ROOM: usize = 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.role {
        None => measure(&cli.measure),
        Some(role) => play(role),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(role: Role) -> io::Result<()> {
    process::raise_descriptors();
    let figures = match role {
        Role::MinimalServer => return minimal_server::run(),
        Role::Floor(chat) => Floor::join(&chat)?.run(&chat)?,
        Role::Bare(chat) => bare::run(&chat)?,
        Role::Hold(chat) => {
            let began = Instant::now();
            let _joined = Floor::join(&chat)?;
            println!("{:.2}", began.elapsed().as_secs_f64());
            io::stdin().read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        Role::Crowd(chat) => {
            let began = Instant::now();
            let mut floor = Floor::join(&chat)?;
            let joined = began.elapsed().as_secs_f64();
            let began = Instant::now();
            let come = floor.broadcast(BROADCASTS)?;
            println!("{joined:.1} {come} {:.2}", began.elapsed().as_secs_f64());
            return Ok(());
        }
    };
    println!("{}", serde_json::to_string(&figures).map_err(io::Error::other)?);
    Ok(())
}

/// Messages into the big room.
const BROADCASTS: u64 = 50;

fn measure(measure: &Measure) -> io::Result<()> {
    let programs = Programs {
        own: std::env::current_exe()?,
        chatspec: measure.chatspec.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_chatspec").into()),
        seconds: measure.seconds,
    };
    let descriptors = process::raise_descriptors();
    println!("Machine: {}.", process::machine());
    match process::can_pin() {
        true => println!("Target on core 0, generator on core 1 (taskset)."),
        false => println!("Not pinned: there are no two cores, or no taskset. Target and generator disturb each other."),
    }
    println!("{} rounds of {} s each, medians; a closed load with one message in flight a room.\n", measure.rounds, measure.seconds);
    let wants = |part| measure.parts.is_empty() || measure.parts.contains(&part);
    if wants(Part::Clients) {
        clients(measure, &programs)?;
    }
    if wants(Part::Open) {
        open(measure, &programs)?;
    }
    if wants(Part::Servers) {
        servers(measure, &programs)?;
    }
    if wants(Part::Idle) {
        idle(fitting(measure.idle, descriptors), &programs)?;
        honesty::idle(fitting(measure.idle, descriptors), &programs)?;
    }
    if wants(Part::BigRoom) {
        big_room(fitting(measure.crowd, descriptors), &programs)?;
    }
    if wants(Part::Honesty) {
        honesty::stopped_target(&programs)?;
        honesty::starved_generator(&programs)?;
    }
    Ok(())
}

/// As many connections as there are descriptors for.
fn fitting(connections: usize, descriptors: u64) -> usize {
    let most = usize::try_from(descriptors.saturating_sub(SPARE_DESCRIPTORS)).unwrap_or(usize::MAX);
    if most < connections {
        println!("Only {most} connections instead of {connections}: a process may have {descriptors} descriptors (`ulimit -n`).");
    }
    most.min(connections)
}

/// All of them in each round, forwards and backwards in turn, so that a drift of the machine hits them alike.
fn rounds<T: Copy + Ord>(all: &[T], rounds: usize, mut run: impl FnMut(T) -> io::Result<Figures>) -> io::Result<BTreeMap<T, Figures>> {
    let mut figures: BTreeMap<T, Vec<Figures>> = BTreeMap::new();
    for round in 0..rounds {
        let mut order = all.to_vec();
        if round % 2 == 1 {
            order.reverse();
        }
        for one in order {
            eprint!(".");
            figures.entry(one).or_default().push(run(one)?);
        }
    }
    eprintln!();
    Ok(figures.into_iter().map(|(one, figures)| (one, table::median(&figures))).collect())
}

fn clients(measure: &Measure, programs: &Programs) -> io::Result<()> {
    let mut contenders = vec![Contender::Floor, Contender::Bare];
    if contender::has_load(&programs.chatspec) {
        contenders.push(Contender::Ours);
    } else {
        println!("Left out: `chatspec load`, a command that {} doesn't have.\n", programs.chatspec.display());
    }
    for shape in [ECHO, FAN_OUT] {
        let figures = rounds(&contenders, measure.rounds, |contender| {
            let target = Target::start(Server::Reference, &programs.chatspec, &programs.own, shape.members)?;
            contender.run(shape, &target, programs)
        })?;
        table::clients(shape, &figures);
    }
    Ok(())
}

fn open(measure: &Measure, programs: &Programs) -> io::Result<()> {
    let start = || Target::start(Server::Reference, &programs.chatspec, &programs.own, ECHO.members);
    let saturated = Contender::Floor.run(ECHO, &start()?, programs)?;
    let shape = Shape { rate: Some((saturated.messages as f64 / saturated.seconds / 2.0).round()), ..ECHO };
    let figures = rounds(&[Contender::Floor, Contender::Ours], measure.rounds, |contender| contender.run(shape, &start()?, programs))?;
    table::open(shape, &figures);
    Ok(())
}

fn servers(measure: &Measure, programs: &Programs) -> io::Result<()> {
    for shape in [ECHO, FAN_OUT] {
        let figures = rounds(&[Server::Minimal, Server::Reference], measure.rounds, |server| {
            let target = Target::start(server, &programs.chatspec, &programs.own, shape.members)?;
            Contender::Floor.run(shape, &target, programs)
        })?;
        table::servers(shape, &figures);
    }
    Ok(())
}

/// Starts a generator of this program that tells something in one line, and then stays until its standard input ends.
fn told(role: &[&str], shape: Shape, target: &Target, programs: &Programs, then: impl FnOnce() -> io::Result<()>) -> io::Result<String> {
    let mut child = process::command(&programs.own, Core::Generator)
        .args(role)
        .args(contender::arguments(shape, target))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
    then()?;
    drop(child.stdin.take());
    let status = child.wait()?;
    if line.is_empty() {
        return Err(io::Error::other(format!("`{}` failed: {status}", role.join(" "))));
    }
    Ok(line.trim_end().to_owned())
}

fn idle(connections: usize, programs: &Programs) -> io::Result<()> {
    println!("### Idle connections\n");
    let shape = Shape { name: "idle", rooms: connections / IDLE_ROOM, members: IDLE_ROOM, rate: None };
    for server in [Server::Reference, Server::Minimal] {
        let target = Target::start(server, &programs.chatspec, &programs.own, shape.members)?;
        // The first connections pay for what all share.
        told(&["hold", "--label", "first"], Shape { rooms: 5, ..shape }, &target, programs, || Ok(()))?;
        let before = process::resident(target.pid())?;
        let mut after = before;
        let seconds = told(&["hold"], shape, &target, programs, || {
            after = process::resident(target.pid())?;
            Ok(())
        })?;
        let each = after.saturating_sub(before) as f64 / connections as f64;
        println!(
            "- {}: {each:.1} KiB for each of {connections} connections in rooms of {IDLE_ROOM}, joined by the floor within {seconds} s",
            server.name()
        );
    }
    println!();
    io::stdout().flush()
}

fn big_room(members: usize, programs: &Programs) -> io::Result<()> {
    println!("### A room of {members}\n");
    let shape = Shape { name: "big room", rooms: 1, members, rate: None };
    let target = Target::start(Server::Reference, &programs.chatspec, &programs.own, members)?;
    let told = told(&["crowd"], shape, &target, programs, || Ok(()))?;
    let fields: Vec<&str> = told.split(' ').collect();
    let [joined, come, seconds] = fields[..] else {
        return Err(io::Error::other(format!("not what a big room tells: {told}")));
    };
    println!("- all have joined, and been told of each other, within {joined} s");
    println!("- of {} deliveries of {BROADCASTS} messages {come} have come, within {seconds} s\n", BROADCASTS * members as u64);
    io::stdout().flush()
}
