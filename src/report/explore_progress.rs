//! The progress of a run that explores, on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::Event;

/// How often a line is told where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct ExploreProgress {
    bar: Option<ProgressBar>,
    plain: bool,
    /// How many actions or traces there will be at the most, where that is known.
    actions: Option<u64>,
    traces: Option<u64>,
    time: Option<Duration>,
    began: Instant,
    told: Instant,
    played: u64,
    done: u64,
    found: u64,
    shrunk: u64,
}

impl ExploreProgress {
    pub fn new(quiet: bool, actions: Option<u64>, traces: Option<u64>, time: Option<Duration>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let now = Instant::now();
        let plain = !terminal && !quiet;
        Self { bar, plain, actions, traces, time, began: now, told: now, played: 0, done: 0, found: 0, shrunk: 0 }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Readings { .. } => self.began = Instant::now(),
            Event::Explored(explored) => {
                self.done += 1;
                self.played += explored.actions as u64;
                self.found += u64::from(explored.found.is_some());
            }
            Event::Counterexample(found) => {
                self.shrunk += 1;
                let line = format!("{}: {} actions, made of {}", found.found.requirement, found.actions, found.actions_before);
                match &self.bar {
                    Some(bar) => bar.println(line),
                    None if self.plain => anstream::eprintln!("{line}"),
                    None => {}
                }
            }
            _ => return,
        }
        let message = format!("{} actions in {} traces, {} of them failed, {} made small", self.played, self.done, self.found, self.shrunk);
        if let Some(bar) = &self.bar {
            bar.set_position(self.part());
            bar.set_message(message);
        } else if self.plain && self.told.elapsed() >= LINE {
            self.told = Instant::now();
            anstream::eprintln!("{message}");
        }
    }

    /// How much of the run is over, in percent.
    fn part(&self) -> u64 {
        let of = |part: f64, whole: Option<f64>| whole.map_or(0.0, |whole| part / whole.max(1.0));
        let parts = [
            of(self.played as f64, self.actions.map(|actions| actions as f64)),
            of(self.done as f64, self.traces.map(|traces| traces as f64)),
            of(self.began.elapsed().as_secs_f64(), self.time.map(|time| time.as_secs_f64())),
        ];
        (parts.into_iter().fold(0.0, f64::max).min(1.0) * 100.0) as u64
    }

    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
