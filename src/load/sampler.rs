//! What the generator takes of its machine, second by second: processor time by thread, memory, descriptors.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::machine::{Root, ThreadTime, process_time};

/// Reads, each time that it is asked, what the generator has taken since the time before. A sample takes half a millisecond, so it is not
/// for a thread that times anything.
#[derive(Debug)]
pub struct Sampler {
    root: Root,
    prefix: String,
    before: Reading,
}

#[derive(Clone, Debug)]
struct Reading {
    at: Instant,
    threads: HashMap<u64, ThreadTime>,
    process: Duration,
    throttled: Option<Duration>,
}

/// What the generator took between two readings, and what it holds at the second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The time between the readings.
    pub wall: Duration,
    /// By thread, in the order of their numbers.
    pub threads: Vec<ThreadShare>,
    /// Processor time of the whole process.
    pub process: Duration,
    /// How long the control group was kept from running, each core for itself; `None` where no group can be.
    pub throttled: Option<Duration>,
    /// Resident memory in bytes, now and at its highest.
    pub memory_bytes: Option<u64>,
    pub peak_memory_bytes: Option<u64>,
    pub descriptors: Option<u64>,
    /// Which share of all memory was still to be had, between 0 and 1.
    pub available: Option<f64>,
}

/// What a thread did with the time.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadShare {
    pub name: String,
    pub ran: Duration,
    /// How long it could have run, and other work had its core.
    pub waited: Option<Duration>,
}

impl Sample {
    /// How busy each thread was, between 0 and 1.
    pub fn busy(&self) -> Vec<f64> {
        self.threads.iter().map(|thread| share(thread.ran, self.wall)).collect()
    }
}

/// A part of a time, at most all of it.
pub(super) fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { (part.as_secs_f64() / whole.as_secs_f64()).min(1.0) }
}

impl Sampler {
    /// Watches the threads whose names begin with the prefix, and the whole process.
    pub fn new(prefix: &str) -> Self {
        let root = Root::system();
        let before = Reading::now(&root, prefix);
        Self { root, prefix: prefix.to_owned(), before }
    }

    /// What was taken since the sample before, or since the sampler was made.
    pub fn sample(&mut self) -> Sample {
        let now = Reading::now(&self.root, &self.prefix);
        let before = std::mem::replace(&mut self.before, now.clone());
        let resident = self.root.resident();
        Sample {
            memory_bytes: resident.map(|(bytes, _)| bytes),
            peak_memory_bytes: resident.map(|(_, peak)| peak),
            descriptors: self.root.open_descriptors(),
            available: self.root.memory().map(|memory| memory.available as f64 / memory.total.max(1) as f64),
            ..difference(&before, &now)
        }
    }
}

impl Reading {
    fn now(root: &Root, prefix: &str) -> Self {
        let threads = root.threads().into_iter().filter(|thread| thread.name.starts_with(prefix));
        Self {
            threads: threads.map(|thread| (thread.thread, thread)).collect(),
            process: process_time(),
            throttled: root.throttled(),
            at: Instant::now(),
        }
    }
}

fn difference(before: &Reading, now: &Reading) -> Sample {
    let mut threads: Vec<ThreadShare> = now
        .threads
        .values()
        .map(|thread| {
            // A thread that is new has done all that it did since then.
            let earlier = before.threads.get(&thread.thread);
            let ran = thread.ran.saturating_sub(earlier.map_or(Duration::ZERO, |earlier| earlier.ran));
            let waited = thread.waited.map(|waited| waited.saturating_sub(earlier.and_then(|earlier| earlier.waited).unwrap_or_default()));
            ThreadShare { name: thread.name.clone(), ran, waited }
        })
        .collect();
    threads.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    Sample {
        wall: now.at.saturating_duration_since(before.at),
        threads,
        process: now.process.saturating_sub(before.process),
        throttled: now.throttled.map(|throttled| throttled.saturating_sub(before.throttled.unwrap_or_default())),
        ..Sample::default()
    }
}

/// What was taken over the phases that count, and the peaks over the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// The time that counts.
    pub wall: Duration,
    /// Over the time that counts.
    pub threads: Vec<ThreadShare>,
    /// Over the time that counts, each core for itself.
    pub throttled: Duration,
    /// Processor time of the whole process, over the whole run.
    pub process: Duration,
    pub peak_memory_bytes: u64,
    pub peak_descriptors: u64,
    /// The smallest share of all memory that was to be had, between 0 and 1.
    pub least_available: Option<f64>,
}

impl Usage {
    /// Adds a sample; `counts` where its second lies in a phase that counts.
    pub fn add(&mut self, sample: &Sample, counts: bool) {
        self.process += sample.process;
        let memory = sample.peak_memory_bytes.max(sample.memory_bytes).unwrap_or(0);
        self.peak_memory_bytes = self.peak_memory_bytes.max(memory);
        self.peak_descriptors = self.peak_descriptors.max(sample.descriptors.unwrap_or(0));
        let smaller = |available: f64| self.least_available.map_or(available, |least| least.min(available));
        self.least_available = sample.available.map(smaller).or(self.least_available);
        if !counts {
            return;
        }
        self.wall += sample.wall;
        self.throttled += sample.throttled.unwrap_or_default();
        for thread in &sample.threads {
            match self.threads.iter_mut().find(|known| known.name == thread.name) {
                Some(known) => {
                    known.ran += thread.ran;
                    known.waited = known.waited.zip(thread.waited).map(|(sum, more)| sum + more);
                }
                None => self.threads.push(thread.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(thread: u64, name: &str, ran: u64, waited: Option<u64>) -> (u64, ThreadTime) {
        let (ran, waited) = (Duration::from_millis(ran), waited.map(Duration::from_millis));
        (thread, ThreadTime { thread, name: name.into(), ran, waited })
    }

    fn reading<const N: usize>(at: Instant, threads: [(u64, ThreadTime); N], throttled: u64) -> Reading {
        Reading { at, threads: threads.into(), process: Duration::ZERO, throttled: Some(Duration::from_millis(throttled)) }
    }

    #[test]
    fn a_sample_is_what_was_taken_between_two_readings() {
        let start = Instant::now();
        let before = reading(start, [time(5, "load-10", 100, Some(10)), time(6, "load-2", 300, None)], 7);
        let now = reading(
            start + Duration::from_secs(1),
            [time(5, "load-10", 950, Some(60)), time(6, "load-2", 400, None), time(7, "load-3", 20, Some(0))],
            9,
        );
        let sample = difference(&before, &now);
        let names: Vec<&str> = sample.threads.iter().map(|thread| thread.name.as_str()).collect();
        assert_eq!(names, ["load-2", "load-3", "load-10"], "they are in the order of their numbers");
        assert_eq!(sample.busy(), [0.1, 0.02, 0.85]);
        assert_eq!(sample.threads[2].waited, Some(Duration::from_millis(50)));
        assert_eq!(sample.throttled, Some(Duration::from_millis(2)));
    }

    #[test]
    fn only_the_phases_that_count_are_summed_and_peaks_are_of_the_whole_run() {
        let sample = |ran, memory, available| Sample {
            wall: Duration::from_secs(1),
            threads: vec![ThreadShare { name: "load-0".into(), ran: Duration::from_millis(ran), waited: Some(Duration::from_millis(1)) }],
            process: Duration::from_millis(ran),
            memory_bytes: Some(memory),
            available: Some(available),
            ..Sample::default()
        };
        let mut usage = Usage::default();
        usage.add(&sample(900, 9, 0.2), false);
        usage.add(&sample(100, 5, 0.5), true);
        usage.add(&sample(300, 6, 0.6), true);
        assert_eq!((usage.wall, usage.process), (Duration::from_secs(2), Duration::from_millis(1300)));
        assert_eq!((usage.threads[0].ran, usage.threads[0].waited), (Duration::from_millis(400), Some(Duration::from_millis(2))));
        assert_eq!((usage.peak_memory_bytes, usage.least_available), (9, Some(0.2)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_is_found_by_its_name_and_its_work_is_its_own() {
        let mut sampler = Sampler::new("sampled-");
        let (begun, start) = std::sync::mpsc::channel::<()>();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::Builder::new().name("sampled-0".into()).spawn(move || {
            begun.send(()).expect("somebody waits");
            finished.recv().expect("somebody ends this");
        });
        start.recv().expect("the thread begins");
        let sample = sampler.sample();
        finish.send(()).expect("the thread still runs");
        worker.expect("a thread").join().expect("it ends well");
        let names: Vec<&str> = sample.threads.iter().map(|thread| thread.name.as_str()).collect();
        assert_eq!(names, ["sampled-0"]);
        assert!(sample.memory_bytes > Some(0) && sample.descriptors > Some(0));
    }
}
