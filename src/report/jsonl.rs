//! The event log as JSON lines.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::event::Event;

/// A log that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("{name} can't be written: {source}")]
pub struct LogError {
    name: String,
    source: io::Error,
}

pub struct JsonLines {
    /// What the log is called in a message.
    name: String,
    out: Box<dyn Write + Send>,
    failed: Option<io::Error>,
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("name", &self.name).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl JsonLines {
    /// Opens the file, before the run starts, so that a run isn't lost to a wrong path.
    ///
    /// # Errors
    /// A path that can't be written.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Self::to(name, file)),
            Err(source) => Err(LogError { name, source }),
        }
    }

    /// Writes to something that is open already.
    pub fn to(name: String, out: impl Write + Send + 'static) -> Self {
        Self { name, out: Box::new(BufWriter::new(out)), failed: None }
    }

    /// Writes one line. A failure doesn't end the run; `finish` tells of it.
    pub fn event(&mut self, event: &Event) {
        if self.failed.is_none() {
            let written = serde_json::to_writer(&mut self.out, event).map_err(io::Error::from).and_then(|()| self.out.write_all(b"\n"));
            // What a load has told so far is there when its process is killed, and costs a write a second.
            let flushed =
                written.and_then(|()| if matches!(event, Event::Planned(_) | Event::Second(_)) { self.out.flush() } else { Ok(()) });
            self.failed = flushed.err();
        }
    }

    /// # Errors
    /// The first line that could not be written.
    pub fn finish(mut self) -> Result<(), LogError> {
        let flushed = self.out.flush().err();
        match self.failed.take().or(flushed) {
            Some(source) => Err(LogError { name: self.name, source }),
            None => Ok(()),
        }
    }
}
