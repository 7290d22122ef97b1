//! Where a slice's samples go: histograms by metric, clock, phase and room size, found by arithmetic.

use crate::stats::{Clock, Durations, Histograms, Key, Metric, durations};

/// The histograms of one slice.
#[derive(Debug)]
pub struct Recorder {
    phases: Vec<String>,
    sizes: Vec<u32>,
    /// By metric, clock, phase and size, the last fastest; each is made when its first sample comes.
    cells: Vec<Option<Box<Durations>>>,
    /// Deliveries of the second that passes.
    second: Durations,
    second_lag: Durations,
    /// Where the target sets the pace, a message is sent at its intended instant, and one clock does for both.
    closed: bool,
}

impl Recorder {
    pub fn new(phases: Vec<String>, sizes: Vec<u32>, closed: bool) -> Self {
        let cells = (0..Metric::ALL.len() * 2 * phases.len() * sizes.len()).map(|_| None).collect();
        Self { phases, sizes, cells, second: durations(), second_lag: durations(), closed }
    }

    /// The place of a room size among those that are told apart.
    pub fn size(&self, class: u32) -> u16 {
        let place = self.sizes.iter().position(|size| *size == class).unwrap_or_default();
        u16::try_from(place).unwrap_or_default()
    }

    /// Counts a duration, in nanoseconds.
    pub fn record(&mut self, metric: Metric, clock: Clock, phase: u16, size: u16, nanos: u64) {
        let cell = ((metric as usize * 2 + clock as usize) * self.phases.len() + usize::from(phase)) * self.sizes.len() + usize::from(size);
        let histogram = self.cells[cell].get_or_insert_with(|| Box::new(durations()));
        count(histogram, nanos);
    }

    /// Counts how long something took that began when it was meant to.
    pub fn took(&mut self, metric: Metric, phase: u16, size: u16, nanos: u64) {
        self.record(metric, Clock::Intended, phase, size, nanos);
        self.record(metric, Clock::Service, phase, size, nanos);
    }

    /// Counts how long a message took, from its intended instant and from when it was sent.
    pub fn message(&mut self, metric: Metric, phase: u16, size: u16, now: u64, intended: u64, sent: u64) {
        let waited = now.saturating_sub(intended);
        self.record(metric, Clock::Intended, phase, size, waited);
        if !self.closed {
            self.record(metric, Clock::Service, phase, size, now.saturating_sub(sent));
        }
        if metric == Metric::Deliver {
            count(&mut self.second, waited);
        }
    }

    /// Counts how late a message was sent.
    pub fn lag(&mut self, phase: u16, size: u16, nanos: u64) {
        self.record(Metric::SendLag, Clock::Intended, phase, size, nanos);
        count(&mut self.second_lag, nanos);
    }

    /// The deliveries and send lags of the second that has passed.
    pub fn take_second(&mut self) -> (Durations, Durations) {
        (std::mem::replace(&mut self.second, durations()), std::mem::replace(&mut self.second_lag, durations()))
    }

    /// All of them, by key.
    pub fn histograms(&self) -> Histograms {
        let mut all = Histograms::default();
        let mut cells = self.cells.iter();
        for metric in Metric::ALL {
            for clock in [Clock::Intended, Clock::Service] {
                for phase in &self.phases {
                    for size in &self.sizes {
                        let Some(histogram) = cells.next().and_then(Option::as_ref) else { continue };
                        let key = |clock| Key { metric, clock, phase: phase.clone(), size: *size };
                        let message = matches!(metric, Metric::Echo | Metric::Deliver | Metric::First | Metric::Last);
                        if self.closed && message {
                            all.0.insert(key(Clock::Service), (**histogram).clone());
                        }
                        all.0.insert(key(clock), (**histogram).clone());
                    }
                }
            }
        }
        all
    }
}

fn count(histogram: &mut Durations, nanos: u64) {
    crate::stats::record(histogram, std::time::Duration::from_nanos(nanos));
}
