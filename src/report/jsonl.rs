//! The event log as JSON lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::event::Event;

/// A log that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be written: {source}", path.display())]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    out: BufWriter<File>,
    failed: Option<io::Error>,
}

impl JsonLines {
    /// Opens the file, before the run starts, so that a run isn't lost to a wrong path.
    ///
    /// # Errors
    /// A path that can't be written.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        match File::create(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), out: BufWriter::new(file), failed: None }),
            Err(source) => Err(LogError { path: path.to_owned(), source }),
        }
    }

    /// Writes one line. A failure doesn't end the run; `finish` tells of it.
    pub fn event(&mut self, event: &Event) {
        if self.failed.is_none() {
            let written = serde_json::to_writer(&mut self.out, event).map_err(io::Error::from).and_then(|()| self.out.write_all(b"\n"));
            self.failed = written.err();
        }
    }

    /// # Errors
    /// The first line that could not be written.
    pub fn finish(mut self) -> Result<(), LogError> {
        let flushed = self.out.flush().err();
        match self.failed.take().or(flushed) {
            Some(source) => Err(LogError { path: self.path, source }),
            None => Ok(()),
        }
    }
}
