//! Logs as one page of HTML that holds all it needs: it is readable without JavaScript, better with it, and never asks a network for anything.

mod axis;
mod board;
mod board_texts;
mod board_warnings;
mod case;
mod charts;
mod check;
mod columns;
mod deliveries;
mod explored;
mod filters;
mod findings;
mod generator;
mod glance;
mod latencies;
mod load;
mod loaded;
mod marks;
mod matrix;
mod overlay;
pub mod page;
mod rates;
mod reservations;
mod sequence;
mod sides;
mod spectrum;
mod table;
mod text;
mod timeline;
mod wire;
mod words;

pub use loaded::Unreadable;

use loaded::Loaded;

use super::checked::Checked;
use crate::event::{Event, Log};

/// What a log is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Check,
    Explore,
    Sensitivity,
    Load,
}

impl Kind {
    fn of(log: &Log) -> Option<Self> {
        let any = |is: fn(&Event) -> bool| log.events.iter().any(is);
        if any(|event| matches!(event, Event::Planned(_))) {
            Some(Kind::Load)
        } else if log.footer.matrix.is_some() || any(|event| matches!(event, Event::Tried(_))) {
            Some(Kind::Sensitivity)
        } else if log.header.command == "explore" && any(|event| matches!(event, Event::Suite(_))) {
            Some(Kind::Explore)
        } else if any(|event| matches!(event, Event::Suite(_))) {
            Some(Kind::Check)
        } else {
            None
        }
    }

    /// The command that writes such a log.
    fn word(self) -> &'static str {
        match self {
            Kind::Check => "check",
            Kind::Explore => "explore",
            Kind::Sensitivity => "sensitivity",
            Kind::Load => "load",
        }
    }
}

/// Logs that make no page.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("there is no log to show: name at least one")]
    Nothing,
    #[error("{name} is of neither `check` nor `explore` nor `sensitivity` nor `load` (its command is `{command}`): leave it out")]
    Unknown { name: String, command: String },
    #[error("{first} is of `{first_is}` and {other} of `{other_is}`, and they fit on no page together: give logs of one command at a time")]
    Mixture { first: String, first_is: &'static str, other: String, other_is: &'static str },
    #[error("{count} logs of `{of}` don't fit on one page: give one at a time")]
    TooMany { count: usize, of: &'static str },
    #[error("{name}: {why}; the log is damaged, so run the load again")]
    Unreadable { name: String, why: Unreadable },
}

/// The page of these logs, each with its name for a reader: of one run its page; of several runs of `check` the scoreboard, of several
/// loads their curves over each other.
///
/// # Errors
/// Logs that don't fit together, and those of which there is nothing to show.
pub fn page(logs: &[(String, Log)]) -> Result<String, Unfit> {
    match kind(logs)? {
        Kind::Check => Ok(checks(logs)),
        Kind::Explore => explored(logs),
        Kind::Load => loads(logs),
        Kind::Sensitivity => matrix(logs),
    }
}

/// What all of the logs are of.
fn kind(logs: &[(String, Log)]) -> Result<Kind, Unfit> {
    let mut found: Option<(&str, Kind)> = None;
    for (name, log) in logs {
        let unknown = || Unfit::Unknown { name: name.clone(), command: log.header.command.clone() };
        let kind = Kind::of(log).ok_or_else(unknown)?;
        match found {
            Some((first, other)) if other != kind => {
                return Err(Unfit::Mixture { first: first.into(), first_is: other.word(), other: name.clone(), other_is: kind.word() });
            }
            _ => found = found.or(Some((name, kind))),
        }
    }
    found.map(|(_, kind)| kind).ok_or(Unfit::Nothing)
}

fn loads(logs: &[(String, Log)]) -> Result<String, Unfit> {
    let loaded = |(name, log)| Ok((name, Loaded::of(log).map_err(|why| Unfit::Unreadable { name: String::clone(name), why })?));
    let loads: Vec<_> = logs.iter().map(|(name, log)| (name, log)).map(loaded).collect::<Result<_, _>>()?;
    match &loads[..] {
        [(_, alone)] => Ok(page::document(&load::title(alone), load::subtitle(alone), load::body(alone))),
        several => Ok(page::document("Loads laid over each other", overlay::subtitle(several), overlay::body(several))),
    }
}

fn matrix(logs: &[(String, Log)]) -> Result<String, Unfit> {
    let [(_, log)] = logs else { return Err(Unfit::TooMany { count: logs.len(), of: Kind::Sensitivity.word() }) };
    let matrix = matrix::Matrix::of(log);
    Ok(page::document("What the suite catches", matrix::subtitle(&matrix), matrix::body(&matrix)))
}

fn explored(logs: &[(String, Log)]) -> Result<String, Unfit> {
    let too_many = || Unfit::TooMany { count: logs.len(), of: Kind::Explore.word() };
    let [(name, log)] = logs else { return Err(too_many()) };
    let unknown = || Unfit::Unknown { name: name.clone(), command: log.header.command.clone() };
    Ok(explored::page(log, &Checked::of(log).ok_or_else(unknown)?))
}

fn checks(logs: &[(String, Log)]) -> String {
    let runs: Vec<_> = logs.iter().filter_map(|(name, log)| Some((name.as_str(), Checked::of(log)?))).collect();
    match runs.as_slice() {
        [(_, checked)] => check::page(checked),
        _ => board::page(runs),
    }
}
