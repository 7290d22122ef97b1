//! `chatspec completions`.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use super::Ended;

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that shall complete commands and options
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> Ended {
    let mut command = super::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(0)
}
