//! Loads the suite that a command works on, and tells what is wrong with it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::scenario::protocol::{LoadError, Protocol};
use crate::scenario::source::Diagnostic;

use super::Usage;

#[derive(Debug, Default, clap::Args)]
pub struct SuiteArgs {
    /// Scenarios of one's own: a folder with a requirements.yaml is a protocol of its own, one without brings scenarios
    /// for the chatroom protocol
    #[arg(long, value_name = "DIR")]
    pub scenarios: Option<PathBuf>,
}

impl SuiteArgs {
    pub fn load(&self) -> anyhow::Result<Protocol> {
        load(self.scenarios.as_deref())
    }
}

pub fn load(dir: Option<&Path>) -> anyhow::Result<Protocol> {
    let loaded = match dir {
        Some(dir) => Protocol::from_dir(dir),
        None => Protocol::embedded(),
    };
    loaded.map_err(|error| Usage(shown(&error)).into())
}

/// Everything that is wrong with the files.
pub fn shown(error: &LoadError) -> String {
    match error {
        LoadError::Wrong(diagnostics) => all_shown(&error.to_string(), diagnostics),
        _ => error.to_string(),
    }
}

/// A title and diagnostics below it.
pub fn all_shown(title: &str, diagnostics: &[Diagnostic]) -> String {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = format!("{title}\n");
    for diagnostic in diagnostics {
        text.push('\n');
        text.push_str(&diagnostic.render(colour));
        text.push('\n');
    }
    text
}
