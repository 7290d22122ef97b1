//! `chatspec lint`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::suite::{all_shown, load, shown};
use super::{Ended, Usage};
use crate::load::lower::ProfileError;
use crate::load::profile::Profile;
use crate::scenario::protocol::{LoadError, Protocol};

#[derive(Debug, Args)]
pub struct LintArgs {
    /// Folders or files; without any, the suite and the load profiles that chatspec carries
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub fn run(args: &LintArgs) -> Ended {
    let mut wrong = Vec::new();
    if args.paths.is_empty() {
        let protocol = load(None)?;
        let profiles = Profile::embedded();
        wrong.extend(profiles.iter().filter_map(|name| Profile::named(name).err()).map(|error| profile_shown(&error)));
        if wrong.is_empty() {
            anstream::println!("{}", summary(Some(&protocol), profiles.len()));
        }
    }
    for path in &args.paths {
        let profiles = profiles(path)?;
        let mistakes: Vec<String> =
            profiles.iter().filter_map(|path| Profile::from_file(path).err()).map(|error| profile_shown(&error)).collect();
        let protocol = if is_profile(path) { None } else { Some(Protocol::from_dir(path)) };
        let protocol = match protocol.transpose() {
            Ok(protocol) => protocol,
            // A folder may hold nothing but profiles.
            Err(LoadError::Empty { .. }) if !profiles.is_empty() => None,
            Err(error) => {
                wrong.push(format!("{}: {}", path.display(), shown(&error)));
                wrong.extend(mistakes);
                continue;
            }
        };
        if mistakes.is_empty() {
            anstream::println!("{}: {}", path.display(), summary(protocol.as_ref(), profiles.len()));
        }
        wrong.extend(mistakes);
    }
    if wrong.is_empty() { Ok(0) } else { Err(Usage(wrong.join("\n")).into()) }
}

/// A file in a folder called `load`, or that folder.
fn is_profile(path: &Path) -> bool {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    folder.and_then(Path::file_name).is_some_and(|name| name == "load")
}

/// The profiles that a path stands for: itself, or those of a folder's `load`.
fn profiles(path: &Path) -> Result<Vec<PathBuf>, Usage> {
    if is_profile(path) && !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let folder = if is_profile(path) { path.to_owned() } else { path.join("load") };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| Usage(format!("{} can't be read: {error}", folder.display())))?;
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_yaml).collect();
    paths.sort();
    Ok(paths)
}

/// Everything that is wrong with a profile.
fn profile_shown(error: &ProfileError) -> String {
    match error {
        ProfileError::Wrong { diagnostics, .. } => all_shown(&error.to_string(), diagnostics),
        _ => error.to_string(),
    }
}

fn summary(protocol: Option<&Protocol>, profiles: usize) -> String {
    let mut parts = Vec::new();
    parts.extend(protocol.map(|protocol| {
        format!("{} scenarios, {} requirements", protocol.scenarios.len(), protocol.declarations.registry.requirements.len())
    }));
    if profiles > 0 {
        parts.push(format!("{profiles} load profiles"));
    }
    let mut text = format!("{}: no mistakes", parts.join(", "));
    if let Some(protocol) = protocol.filter(|protocol| !protocol.overlay) {
        let uncovered = protocol.uncovered();
        if !uncovered.is_empty() {
            let ids: Vec<&str> = uncovered.iter().map(|requirement| requirement.id.as_str()).collect();
            text.push_str(&format!("; no scenario proves {}", ids.join(", ")));
        }
    }
    text
}
