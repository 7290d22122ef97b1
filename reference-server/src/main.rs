//! The reference server as a program of its own.

use clap::Parser;
use reference_server::args::{self, ServeArgs};
use std::error::Error;
use std::process::ExitCode;

// A chat is many small texts that live briefly, and the system's allocator takes its time over them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A chatroom server that does exactly what the document says
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::from(4);
        }
    };
    match runtime.block_on(args::run(cli.serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::from(error.exit_code())
        }
    }
}
