//! `chatspec lint`.

use std::path::PathBuf;

use clap::Args;

use super::suite::{load, shown};
use super::{Ended, Usage};
use crate::scenario::protocol::Protocol;

#[derive(Debug, Args)]
pub struct LintArgs {
    /// Folders or files; without any, the suite that chatspec carries
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub fn run(args: &LintArgs) -> Ended {
    if args.paths.is_empty() {
        let protocol = load(None)?;
        anstream::println!("{}", summary(&protocol));
        return Ok(0);
    }
    let mut wrong = Vec::new();
    for path in &args.paths {
        match Protocol::from_dir(path) {
            Ok(protocol) => anstream::println!("{}: {}", path.display(), summary(&protocol)),
            Err(error) => wrong.push(format!("{}: {}", path.display(), shown(&error))),
        }
    }
    if wrong.is_empty() { Ok(0) } else { Err(Usage(wrong.join("\n")).into()) }
}

fn summary(protocol: &Protocol) -> String {
    let uncovered = protocol.uncovered();
    let mut text =
        format!("{} scenarios, {} requirements: no mistakes", protocol.scenarios.len(), protocol.declarations.registry.requirements.len());
    if !uncovered.is_empty() && !protocol.overlay {
        let ids: Vec<&str> = uncovered.iter().map(|requirement| requirement.id.as_str()).collect();
        text.push_str(&format!("; no scenario proves {}", ids.join(", ")));
    }
    text
}
