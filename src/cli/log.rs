//! Logs of earlier runs, as arguments.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use super::{Usage, suite};
use crate::event::{Event, Log};
use crate::matrix::scenario_of;
use crate::scenario::protocol::Protocol;
use crate::scenario::source::nearest;
use crate::verdict::ScenarioVerdict;

/// Reads a whole log; `-` is standard input.
pub fn read(path: &Path) -> anyhow::Result<Log> {
    if path.as_os_str() == "-" {
        return Ok(Log::read(std::io::stdin().lock()).map_err(|error| Usage(format!("standard input: {error}")))?);
    }
    let wrong = |why: String| Usage(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| wrong(format!("it can't be read: {error}")))?;
    Ok(Log::read(BufReader::new(file)).map_err(|error| wrong(error.to_string()))?)
}

/// The suite that the run played, or what has become of it.
pub fn suite(log: &Log) -> anyhow::Result<Arc<Protocol>> {
    let protocol = suite::load(log.header.given.scenarios.as_deref().map(Path::new))?;
    if protocol.hash != log.header.suite {
        anstream::eprintln!("the suite isn't the one of the log any more; scenarios may have changed since");
    }
    Ok(Arc::new(protocol))
}

/// The verdicts of a scenario, all its cases together, or of one case.
pub fn verdicts<'a>(log: &'a Log, id: &str) -> anyhow::Result<Vec<&'a ScenarioVerdict>> {
    let all = || {
        log.events.iter().filter_map(|event| match event {
            Event::ScenarioFinished(verdict) => Some(&**verdict),
            _ => None,
        })
    };
    let found: Vec<&ScenarioVerdict> = all().filter(|verdict| verdict.scenario == id || scenario_of(&verdict.scenario) == id).collect();
    if found.is_empty() {
        let known = all().flat_map(|verdict| [scenario_of(&verdict.scenario), &verdict.scenario]);
        let help = nearest(id, known).map(|name| format!("; did you mean `{name}`?"));
        return Err(Usage(format!("the log has no scenario `{id}`{}", help.unwrap_or_default())).into());
    }
    Ok(found)
}
