//! A log as a whole, read again.

use std::io::BufRead;

use super::{Event, Footer, Header, LOG_VERSION, Measured, Planned, Second};

/// A whole log.
#[derive(Clone, Debug)]
pub struct Log {
    pub header: Header,
    /// All events but the first and the last.
    pub events: Vec<Event>,
    pub footer: Footer,
}

/// What a log is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A run of scenarios against one target.
    Check,
    /// A suite held against servers of which it is known what is wrong with them.
    Sensitivity,
    Load,
    /// Random traces, held against a model.
    Explore,
}

impl Kind {
    /// The command that writes such a log.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Check => "check",
            Kind::Sensitivity => "sensitivity",
            Kind::Load => "load",
            Kind::Explore => "explore",
        }
    }
}

/// A log that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("line {line} is no event of a log: {why}")]
    NoEvent { line: usize, why: String },
    #[error("it is a log of version {found}; this chatspec reads version {LOG_VERSION}")]
    Version { found: u64 },
    #[error("it doesn't begin with a log's header")]
    Headless,
    #[error("it has no footer: the run that wrote it didn't come to its end")]
    Truncated,
}

impl Log {
    /// Reads a whole log.
    ///
    /// # Errors
    /// What isn't a log, isn't whole, or is of another version.
    pub fn read(input: impl BufRead) -> Result<Self, LogError> {
        Self::of(Self::events(input)?).ok_or(LogError::Truncated)
    }

    /// The events of a log that may end in the midst of its run, as that of a process that was killed does.
    ///
    /// # Errors
    /// What isn't a log, or is of another version.
    pub fn events(input: impl BufRead) -> Result<Vec<Event>, LogError> {
        let mut events = Vec::new();
        for (index, line) in input.lines().enumerate() {
            let line = line?;
            let no_event = |error: serde_json::Error| LogError::NoEvent { line: index + 1, why: error.to_string() };
            if index == 0 {
                let header: serde_json::Value = serde_json::from_str(&line).map_err(no_event)?;
                let version = header["log_version"].as_u64().ok_or(LogError::Headless)?;
                if version != u64::from(LOG_VERSION) {
                    return Err(LogError::Version { found: version });
                }
            }
            match serde_json::from_str(&line) {
                Ok(event) => events.push(event),
                // The last line of a run that was killed may be half a line.
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(no_event(error)),
            }
        }
        match events.first() {
            Some(Event::Started(_)) => Ok(events),
            _ => Err(LogError::Headless),
        }
    }

    /// The log that these events are, if they begin with a header and end with a footer.
    pub fn of(events: Vec<Event>) -> Option<Self> {
        let mut events = events.into_iter();
        match (events.next()?, events.next_back()?) {
            (Event::Started(header), Event::Finished(footer)) => Some(Self { header, events: events.collect(), footer }),
            _ => None,
        }
    }
}

impl Log {
    /// What it is of; `None` where it tells of nothing that a report could show.
    pub fn kind(&self) -> Option<Kind> {
        let has = |what: fn(&Event) -> bool| self.events.iter().any(what);
        if self.header.command == "load" || has(|event| matches!(event, Event::Planned(_))) {
            Some(Kind::Load)
        } else if self.header.command == "explore" {
            Some(Kind::Explore)
        } else if self.footer.matrix.is_some() || has(|event| matches!(event, Event::Tried(_))) {
            Some(Kind::Sensitivity)
        } else {
            has(|event| matches!(event, Event::Suite(_))).then_some(Kind::Check)
        }
    }

    /// Tells all events again, in their order, the header and the footer among them.
    pub fn replay(&self, mut tell: impl FnMut(&Event)) {
        tell(&Event::Started(self.header.clone()));
        self.events.iter().for_each(&mut tell);
        tell(&Event::Finished(self.footer.clone()));
    }

    /// The plan of a load and what it came to, where the log is of a load that came to its measurements.
    pub fn load(&self) -> Option<(&Planned, &Measured)> {
        let planned = self.events.iter().find_map(|event| if let Event::Planned(planned) = event { Some(&**planned) } else { None })?;
        let measured =
            self.events.iter().rev().find_map(|event| if let Event::Measured(measured) = event { Some(&**measured) } else { None })?;
        Some((planned, measured))
    }

    /// The seconds of a load.
    pub fn seconds(&self) -> impl Iterator<Item = &Second> {
        self.events.iter().filter_map(|event| if let Event::Second(second) = event { Some(&**second) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirement::RequirementId;
    use crate::verdict::Outcome;

    fn log(lines: &str) -> Result<Log, LogError> {
        Log::read(lines.as_bytes())
    }

    #[test]
    fn a_log_is_read_whole_or_not_at_all() {
        let header = Event::Started(Header::new("check", "p", "0", 7));
        let step =
            Event::Step { at_ms: 1.5, scenario: "s".into(), run: 1, place: "p:1:1".into(), outcome: Outcome::Pass, note: String::new() };
        let footer = Event::Finished(Footer { requirements: [(RequirementId::new("A-1"), Outcome::Fail)].into(), ..Footer::default() });
        let text: Vec<String> = [&header, &step, &footer].map(|event| serde_json::to_string(event).expect("it is JSON")).into();

        let read = log(&text.join("\n")).expect("a whole log");
        assert_eq!((read.header.seed, read.events.len(), read.footer.requirements.len()), (7, 1, 1));
        assert!(matches!(log(&text[..2].join("\n")), Err(LogError::Truncated)));
        assert!(matches!(log(&[&text[0], &text[1], &text[2][..30]].map(String::from).join("\n")), Err(LogError::Truncated)));
        assert!(matches!(log(&text[1..].join("\n")), Err(LogError::Headless)));
        assert!(matches!(log(&text.join("\n").replace("\"log_version\":3", "\"log_version\":99")), Err(LogError::Version { found: 99 })));
        assert!(matches!(log("hello"), Err(LogError::NoEvent { line: 1, .. })));
        assert!(matches!(log(""), Err(LogError::Headless)));
    }
}
