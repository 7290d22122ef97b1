//! The progress of a run, on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::Event;
use crate::verdict::Outcome;

#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: bool,
    total: usize,
    done: usize,
    failed: usize,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, plain: !terminal && !quiet, total: 0, done: 0, failed: 0 }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started(header) => {
                self.total = header.scenarios;
                self.say("finding out which readings the target follows");
                if let Some(bar) = &self.bar {
                    bar.set_length(header.scenarios as u64);
                    bar.enable_steady_tick(std::time::Duration::from_millis(100));
                }
            }
            Event::Readings { .. } => self.say("playing scenarios"),
            Event::ScenarioFinished(verdict) => {
                self.done += 1;
                self.failed += usize::from(matches!(verdict.outcome, Outcome::Fail | Outcome::Error));
                if let Some(bar) = &self.bar {
                    bar.set_position(self.done as u64);
                    bar.set_message(format!("{} failed", self.failed));
                }
                // A log of a CI job shall show that a long run lives, and not be filled by it.
                let quarters = |done: usize| done * 4 / self.total.max(1);
                if self.plain && quarters(self.done) > quarters(self.done - 1) {
                    anstream::eprintln!("{} of {} scenarios, {} failed", self.done, self.total, self.failed);
                }
            }
            _ => {}
        }
    }

    fn say(&self, what: &'static str) {
        match &self.bar {
            Some(bar) => bar.set_message(what),
            None if self.plain => anstream::eprintln!("{what}"),
            None => {}
        }
    }

    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
