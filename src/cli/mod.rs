//! The edge: arguments as typed become plans, and what comes of them exit codes.

mod check;
mod command_server;
mod command_target;
mod compare;
mod completions;
mod diff;
mod doctor;
mod expected;
mod explain;
mod explore;
mod find_max;
mod interrupt;
mod kubernetes;
mod lint;
mod list;
mod load;
mod load_files;
mod load_job;
mod load_shape;
mod load_shard;
mod log;
mod man;
mod merge;
mod outputs;
mod own_server;
mod processes;
mod replay;
mod report;
mod repro;
mod schema;
mod sensitivity;
mod slurm;
mod source;
mod spread;
mod suite;
mod target;
mod witness;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::verdict::Conclusion;

/// Checks servers against the chatroom protocol: does yours conform, statement by statement, and if not, why not?
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Examples:\n  chatspec check --cmd 'python server.py'\n  chatspec serve\n  chatspec load steady-chat --http http://127.0.0.1:5000 --ws ws://127.0.0.1:2333\n\nEvery command shows examples of its own: chatspec check --help"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a server against the protocol; without an address, the reference server
    #[command(
        after_help = "Examples:\n  chatspec check --http http://127.0.0.1:5000 --ws ws://127.0.0.1:2333\n  chatspec check --http http://127.0.0.1:5000 --only JOIN-3 --verbose\n  chatspec check --cmd 'python server.py --port {http} --ws-port {ws}' --wait 10s\n\nExit codes: 0 conforms, 1 a violation, 2 wrong usage, 3 inconclusive (nobody answers, or a MUST could not be tested), 4 a fault of chatspec, 130 interrupted"
    )]
    Check(Box<check::CheckArgs>),
    /// Play a scenario of an earlier run again, from the run's log
    #[command(
        after_help = "Examples:\n  chatspec check --http http://127.0.0.1:5000 --json run.jsonl\n  chatspec replay run.jsonl leave.members-are-told\n\nExit codes: 0 it passes, 1 it fails, 2 wrong usage or an unusable log, 3 it could not be tested"
    )]
    Replay(Box<replay::ReplayArgs>),
    /// Write a scenario of an earlier run as a script for curl and a WebSocket client, which needs no chatspec
    #[command(
        after_help = "Examples:\n  chatspec repro run.jsonl leave.members-are-told > repro.sh\n  HTTP=http://127.0.0.1:5000 WS=ws://127.0.0.1:2333/ bash repro.sh"
    )]
    Repro(repro::ReproArgs),
    /// Find what no scenario thought of: random actions, held against a model of the document, failures made small
    #[command(
        after_help = "Examples:\n  chatspec explore --time 30s\n  chatspec explore --http http://127.0.0.1:5000 --ws ws://127.0.0.1:2333 --out found/\n  chatspec explore --http http://127.0.0.1:5000 --seed 7 --trace 12\n\nExit codes: 0 the model explains all that came, 1 it doesn't, 2 wrong usage, 3 inconclusive (nobody answers), 4 a fault of chatspec, 130 interrupted"
    )]
    Explore(Box<explore::ExploreArgs>),
    /// Measure the suite: play it against the reference server with each deliberate fault, and with each odd variant
    #[command(
        after_help = "Examples:\n  chatspec sensitivity\n  chatspec sensitivity ROOM-8 'late-*' --only ROOM-8\n  chatspec sensitivity variants --quiet\n\nExit codes: 0 every fault is killed, every variant passes and no scenario is needless, 1 not so, 2 wrong usage, 4 a trial went wrong itself"
    )]
    Sensitivity(sensitivity::SensitivityArgs),
    /// Load a server with many clients: how much does it carry, how fast, and does every message arrive?
    #[command(
        after_help = "Examples:\n  chatspec load\n  chatspec load steady-chat --http http://127.0.0.1:5000 --ws ws://127.0.0.1:2333\n  chatspec load --clients 1000 --rooms 50 --rate 400/s --duration 30s --threshold 'deliver.p99 < 100ms'\n  chatspec load --clients 40000 --rooms 2000 --processes 3 --source 127.0.0.2-127.0.0.4 --http http://127.0.0.1:5000\n\nExit codes: 0 all thresholds hold, 1 one is broken, 2 wrong usage, 3 inconclusive (nobody answers, or the generator was the bottleneck), 4 a fault of chatspec, 130 interrupted"
    )]
    Load(Box<load::LoadArgs>),
    /// Compare the runs of a load with earlier ones, by their logs: is anything worse, for certain?
    #[command(
        after_help = "Examples:\n  chatspec compare before-*.jsonl -- now-*.jsonl\n  chatspec compare before-*.jsonl --only deliver.p99 --min-effect 5%,500us -- now-*.jsonl\n\nExit codes: 0 the same or better, 1 something is worse, 2 wrong usage or logs that don't fit together, 3 inconclusive (too few runs, or too much noise)"
    )]
    Compare(Box<compare::CompareArgs>),
    /// Compare two runs of check, by their logs: what is fixed, broken, new, gone or slower?
    #[command(
        after_help = "Examples:\n  chatspec diff before.jsonl now.jsonl\n  chatspec diff before.jsonl now.jsonl --common\n\nExit codes: 0 nothing is worse, 1 something is worse, 2 wrong usage or logs that don't fit together"
    )]
    Diff(diff::DiffArgs),
    /// Put the shards of a load together, from their logs, as if one process had run it all
    #[command(
        after_help = "Examples:\n  chatspec merge shards/\n  chatspec merge shard-1.jsonl shard-2.jsonl --json whole.jsonl --html whole.html\n\nExit codes: what the whole run would have had; 3 where a shard is lost; 2 where the logs are not of one load"
    )]
    Merge(merge::MergeArgs),
    /// Print the manifests by which a Kubernetes cluster carries out a load in many shards
    #[command(
        after_help = "Examples:\n  chatspec kubernetes steady-chat --clients 100000 --rooms 5000 --shards 10 --image registry.example/chatspec:1 --http http://chat:5000 --ws ws://chat:2333 > load.yaml\n  kubectl apply -f load.yaml\n\nWhat to do then is at the beginning of what is printed.\n\nExit codes: 0 printed, 2 wrong usage"
    )]
    Kubernetes(Box<kubernetes::KubernetesArgs>),
    /// Print the script by which a Slurm cluster carries out a load in many shards
    #[command(
        after_help = "Examples:\n  chatspec slurm steady-chat --clients 100000 --rooms 5000 --shards 10 --http http://chat:5000 --ws ws://chat:2333 > load.sbatch\n  sbatch --wait load.sbatch\n\nThe job's exit code is that of the whole load.\n\nExit codes: 0 printed, 2 wrong usage"
    )]
    Slurm(Box<slurm::SlurmArgs>),
    /// Render the log of an earlier run: on the terminal, as a page, for CI; several logs as one page
    #[command(
        after_help = "Examples:\n  chatspec report run.jsonl\n  chatspec report run.jsonl --html run.html --junit run.xml\n  chatspec report mine.jsonl theirs.jsonl --html board.html\n\nExit codes: 0 it is rendered, whatever the run came to, 2 wrong usage or an unusable log"
    )]
    Report(report::ReportArgs),
    /// Run the reference server on this machine, for client authors
    #[command(after_help = "Examples:\n  chatspec serve\n  chatspec serve --http 127.0.0.1:0 --ws 127.0.0.1:0 --capacity 3 --room lobby")]
    Serve(Box<reference_server::args::ServeArgs>),
    /// Show the scenarios, the requirements that they prove, and the readings
    #[command(after_help = "Examples:\n  chatspec list\n  chatspec list JOIN-3 'msg.*'")]
    List(list::ListArgs),
    /// Explain a requirement, a reading or a scenario
    #[command(
        after_help = "Examples:\n  chatspec explain JOIN-3\n  chatspec explain R-POPULATION\n  chatspec explain leave.members-are-told"
    )]
    Explain(explain::ExplainArgs),
    /// Check scenario files for mistakes, without running them
    #[command(after_help = "Examples:\n  chatspec lint\n  chatspec lint my-scenarios/")]
    Lint(lint::LintArgs),
    /// Say before a load whether this machine can make it: descriptors, ports, memory, cores, and what raises each
    #[command(
        after_help = "Examples:\n  chatspec doctor steady-chat\n  chatspec doctor --clients 8000 --rooms 400\n  chatspec doctor --clients 100000 --processes 4 --source 10.0.0.7-10.0.0.10 --remote\n\nExit codes: 0 it can, 1 something is short, 2 wrong usage"
    )]
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of the scenario files, for editors, or of the event log
    #[command(after_help = "Examples:\n  chatspec schema > scenario.schema.json\n  chatspec schema --events > events.schema.json")]
    Schema(schema::SchemaArgs),
    /// Print a script by which a shell completes commands and options
    #[command(
        after_help = "Examples:\n  chatspec completions bash > ~/.local/share/bash-completion/completions/chatspec\n  chatspec completions zsh > ~/.zfunc/_chatspec\n  chatspec completions fish > ~/.config/fish/completions/chatspec.fish"
    )]
    Completions(completions::CompletionsArgs),
    /// Print the manual page of chatspec or of one of its commands
    #[command(after_help = "Examples:\n  chatspec man check | man -l -\n  chatspec man --dir ~/.local/share/man/man1")]
    Man(man::ManArgs),
}

/// The whole command line, for those who describe or check it.
pub fn command() -> clap::Command {
    Cli::command()
}

/// How a command ended, as its exit code.
type Ended = anyhow::Result<u8>;

/// Something wrong with what the user typed or gave: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Parses the arguments, runs the command, and gives its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return Conclusion::Internal.exit_code().into();
        }
    };
    let ended = runtime.block_on(run(cli.command));
    // A blocking read of standard input can't be cancelled, and would hold up the exit.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code.into(),
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            let code = if error.is::<Usage>() { Conclusion::Wrong } else { Conclusion::Internal };
            code.exit_code().into()
        }
    }
}

async fn run(command: Command) -> Ended {
    match command {
        Command::Check(args) => check::run(*args).await,
        Command::Serve(args) => match reference_server::args::run(*args).await {
            Ok(()) => Ok(0),
            Err(error) => {
                anstream::eprintln!("error: {:#}", anyhow::Error::from(error));
                Ok(Conclusion::Wrong.exit_code())
            }
        },
        Command::Replay(args) => replay::run(*args).await,
        Command::Report(args) => report::run(&args),
        Command::Repro(args) => repro::run(&args),
        Command::Explore(args) => explore::run(*args).await,
        Command::Sensitivity(args) => sensitivity::run(args).await,
        Command::Compare(args) => compare::run(&args).await,
        Command::Diff(args) => diff::run(&args),
        Command::Merge(args) => merge::run(&args).await,
        Command::Kubernetes(args) => kubernetes::run(&args),
        Command::Slurm(args) => slurm::run(&args),
        Command::List(args) => list::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Load(args) => load::run(*args).await,
        Command::Doctor(args) => doctor::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
