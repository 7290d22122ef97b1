//! A load, from its start to what it came to: slices on threads of their own, a line of the log each second, and the sum of
//! them all.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::barrier::{BarrierError, Begin};
use super::core::PhaseCounts;
use super::door::{Door, Return, Ways};
use super::health::{HealthInput, judge};
use super::merge::conclusion;
use super::plan::Plan;
use super::sampler::{Sampler, Usage};
use super::slice::{Order, Passed, Result as SliceResult, Slice, Told};
use super::threshold::{Threshold, ThresholdInput};
use crate::event::{ErrorCount, Event, Footer, Header, Measured, PhaseMeasured, Planned, Recorded, Second, ThresholdVerdict, millis};
use crate::ledger::Account;
use crate::ledger::text::NONCE;
use crate::stats::{Durations, Histograms, durations, encoding, percentile};
use crate::verdict::Conclusion;
use crate::wire::http::HttpClient;
use crate::wire::line::Destination;

/// So long after the slices are ready they begin, all at once, where nobody else has to.
const LEAD: Duration = Duration::from_millis(20);

/// How long one HTTP exchange may take.
const EXCHANGE: Duration = Duration::from_secs(10);

/// For so long of the phases that it looks at, a threshold is not given up.
const GRACE: Duration = Duration::from_secs(5);

/// A load, ready to start.
#[derive(Debug)]
pub struct Setting {
    pub plan: Arc<Plan>,
    /// The plan as the log shows it.
    pub planned: Planned,
    pub header: Header,
    /// What every name and message of this run holds, and no other run's.
    pub nonce: [u8; NONCE],
    pub threads: u32,
    /// Which part of the plan this process holds: the first of so many is 0.
    pub shard: (u32, u32),
    pub http: HttpClient,
    pub ways: Ways,
    pub ws: Destination,
    pub sources: Vec<IpAddr>,
    pub thresholds: Vec<Threshold>,
    /// A threshold that is broken for good ends the run.
    pub abort: bool,
    pub descriptor_limit: Option<u64>,
}

/// A load that can't be carried out; what the target does is never one.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the load generator can't be set up: {0}")]
    Setup(#[source] io::Error),
    #[error("slice {slice} failed: {source}")]
    Slice { slice: usize, source: io::Error },
    #[error("slice {0} ended by a fault of its own")]
    Panic(usize),
}

/// When a load begins that nobody else has to begin with.
pub async fn at_once() -> Result<Begin, BarrierError> {
    Ok(Begin::at(Instant::now() + LEAD))
}

/// Carries out a load. Every event goes to `tell`, in order, the header first and the footer last. When everything is ready, `gate` says when
/// to begin; where it says that there will be no start, the load ends as one that never began.
///
/// # Errors
/// A machine that has no thread or descriptor left for it.
pub async fn run(
    setting: &Setting,
    gate: impl Future<Output = Result<Begin, BarrierError>>,
    interrupt: impl Future<Output = ()>,
    mut tell: impl FnMut(&Event),
) -> Result<(Measured, Conclusion), LoadError> {
    tell(&Event::Started(setting.header.clone()));
    tell(&Event::Planned(Box::new(setting.planned.clone())));
    let stop = Arc::new(AtomicBool::new(false));
    let (told, mut telling) = mpsc::unbounded_channel();
    let ready = prepare(setting, &stop, &told).map_err(LoadError::Setup)?;
    drop(told);
    tokio::pin!(interrupt);
    let begin = tokio::select! {
        biased;
        () = &mut interrupt => Err((Conclusion::Interrupted, None)),
        begin = gate => begin.map_err(|error| (Conclusion::Inconclusive, Some(error.to_string()))),
    };
    let Begin { at: start, start: mut agreed } = match begin {
        Ok(begin) => begin,
        Err((conclusion, why)) => {
            let interrupted = conclusion == Conclusion::Interrupted;
            let notes = why.into_iter().collect();
            tell(&Event::Finished(Footer { exit_code: conclusion.exit_code(), interrupted, notes, ..Footer::default() }));
            return Ok((Measured::default(), conclusion));
        }
    };
    let mut sampler = Sampler::new("load-");
    for slice in &ready {
        let _ = slice.send(start);
    }

    let mut sum = Sum::new(setting);
    let (mut interrupted, mut aborted) = (false, None);
    loop {
        tokio::select! {
            biased;
            said = telling.recv() => match said {
                Some(Told::Passed(passed)) => sum.passed(*passed),
                Some(Told::Ended(slice, result)) => match *result {
                    Ok(result) => sum.ended(slice, result),
                    Err(source) => {
                        stop.store(true, Ordering::Relaxed);
                        return Err(LoadError::Slice { slice, source });
                    }
                },
                None => break,
            },
            () = &mut interrupt, if !interrupted => {
                interrupted = true;
                stop.store(true, Ordering::Relaxed);
            }
        }
        while let Some(second) = sum.second(&mut sampler, start) {
            tell(&Event::Second(Box::new(second)));
            if setting.abort && aborted.is_none() {
                aborted = sum.hopeless(start.elapsed());
                if aborted.is_some() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }
    if let Some(slice) = sum.results.iter().position(Option::is_none) {
        return Err(LoadError::Panic(slice));
    }
    sum.sample(&mut sampler, false);
    agreed.late_ms = sum.results.iter().flatten().map(|result| result.late).max().map_or(0.0, millis);
    let measured = Measured { start: Some(agreed), ..sum.measured(aborted) };
    let conclusion = if interrupted { Conclusion::Interrupted } else { conclusion(&measured) };
    tell(&Event::Measured(Box::new(measured.clone())));
    tell(&Event::Finished(Footer { at_ms: millis(start.elapsed()), exit_code: conclusion.exit_code(), interrupted, ..Footer::default() }));
    Ok((measured, conclusion))
}

/// Starts all threads, and waits until each is ready; what each must be told is when to begin. One that isn't told ends.
fn prepare(setting: &Setting, stop: &Arc<AtomicBool>, told: &mpsc::UnboundedSender<Told>) -> io::Result<Vec<std_mpsc::Sender<Instant>>> {
    let mut polls = Vec::new();
    let (mut returns, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..setting.threads {
        let (poll, waker) = Slice::poll()?;
        let (done, receiver) = std_mpsc::channel();
        polls.push(poll);
        returns.push(Return { done, waker });
        receivers.push(receiver);
    }
    let door = Door::open(setting.http.clone(), setting.ways, EXCHANGE, returns)?;
    let (shard, shards) = setting.shard;
    let own = setting.plan.slice(shard, shards);
    let mut ready = Vec::new();
    for (index, (poll, done)) in polls.into_iter().zip(receivers).enumerate() {
        let order = Order {
            plan: setting.plan.clone(),
            index,
            rooms: setting.plan.cut(&own, index as u32, setting.threads),
            nonce: setting.nonce,
            to: setting.ws.clone(),
            sources: setting.sources.clone(),
            errands: door.errands.clone(),
            done,
            stop: stop.clone(),
            told: told.clone(),
            tells_histograms: setting.abort && setting.thresholds.iter().any(Threshold::needs_histograms),
        };
        let (prepared, wait) = std_mpsc::channel::<()>();
        let (starts, start) = std_mpsc::channel::<Instant>();
        let told = told.clone();
        std::thread::Builder::new().name(format!("load-{index}")).spawn(move || {
            let slice = Slice::new(order, poll);
            let _ = prepared.send(());
            let result = match (slice, start.recv()) {
                (Ok(slice), Ok(start)) => slice.run(start),
                (Err(error), _) => Err(error),
                // There is no start: another slice could not be set up, or other shards didn't come.
                (Ok(_), Err(_)) => return,
            };
            let _ = told.send(Told::Ended(index, Box::new(result)));
        })?;
        ready.push((wait, starts));
    }
    for (wait, _) in &ready {
        // A slice that failed says so at its end.
        let _ = wait.recv();
    }
    Ok(ready.into_iter().map(|(_, starts)| starts).collect())
}

/// What all slices have told so far.
struct Sum<'a> {
    setting: &'a Setting,
    /// The seconds that not all slices have told of.
    waiting: BTreeMap<u64, Vec<Passed>>,
    next: u64,
    /// What each slice told last: the sums of counts.
    last: Vec<Option<Counts>>,
    before: Counts,
    /// What each slice told last of its histograms and errors.
    known: Vec<(Histograms, Vec<ErrorCount>)>,
    results: Vec<Option<SliceResult>>,
    usage: Usage,
    busy: Vec<f32>,
}

/// Sums of counts since the run's start.
#[derive(Clone, Debug, Default)]
struct Counts {
    phases: Vec<PhaseCounts>,
    account: Account,
    errors: u64,
    connected: u32,
    joined: u32,
}

impl Counts {
    fn of(phase: impl Fn(&PhaseCounts) -> u64, counts: &Self) -> u64 {
        counts.phases.iter().map(phase).sum()
    }

    fn add(&mut self, other: &Self) {
        self.phases.resize(self.phases.len().max(other.phases.len()), PhaseCounts::default());
        for (sum, more) in self.phases.iter_mut().zip(&other.phases) {
            sum.add(more);
        }
        self.account.merge(&other.account);
        self.errors += other.errors;
        self.connected += other.connected;
        self.joined += other.joined;
    }
}

impl PhaseCounts {
    fn add(&mut self, more: &Self) {
        self.planned += more.planned;
        self.sent += more.sent;
        self.late += more.late;
        self.very_late += more.very_late;
        self.unsent_target += more.unsent_target;
        self.unsent_generator += more.unsent_generator;
        self.delivered += more.delivered;
        self.bytes_sent += more.bytes_sent;
        self.bytes_received += more.bytes_received;
        self.in_flight += more.in_flight;
    }
}

/// Errors of several slices, those of one kind as one, the most frequent first.
fn together<'e>(all: impl Iterator<Item = &'e ErrorCount>) -> Vec<ErrorCount> {
    let mut errors = Vec::<ErrorCount>::new();
    for error in all {
        match errors.iter_mut().find(|known| (&known.doing, known.blame, &known.what) == (&error.doing, error.blame, &error.what)) {
            Some(known) => {
                known.count += error.count;
                known.first_ms = known.first_ms.min(error.first_ms);
            }
            None => errors.push(error.clone()),
        }
    }
    errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    errors
}

impl<'a> Sum<'a> {
    fn new(setting: &'a Setting) -> Self {
        let slices = setting.threads as usize;
        Self {
            setting,
            waiting: BTreeMap::new(),
            next: 0,
            last: vec![None; slices],
            before: Counts::default(),
            known: vec![Default::default(); slices],
            results: (0..slices).map(|_| None).collect(),
            usage: Usage::default(),
            busy: Vec::new(),
        }
    }

    fn passed(&mut self, passed: Passed) {
        self.waiting.entry(passed.second).or_default().push(passed);
    }

    fn ended(&mut self, slice: usize, result: SliceResult) {
        self.results[slice] = Some(result);
    }

    fn sample(&mut self, sampler: &mut Sampler, counts: bool) {
        let sample = sampler.sample();
        self.usage.add(&sample, counts);
        self.busy = sample.busy().into_iter().map(|busy| busy as f32).collect();
    }

    /// The next second that all slices which still run have told of.
    fn second(&mut self, sampler: &mut Sampler, start: Instant) -> Option<Second> {
        let told = self.waiting.get(&self.next).map_or(&[][..], Vec::as_slice);
        let has_told = |slice: usize| told.iter().any(|passed| passed.slice == slice);
        let all = (0..self.results.len()).all(|slice| has_told(slice) || self.results[slice].is_some());
        if told.is_empty() || !all {
            return None;
        }
        let told = self.waiting.remove(&self.next)?;
        let end = Duration::from_secs(self.next + 1);
        self.next += 1;
        let phases = &self.setting.plan.phases;
        let phase = &phases[self.setting.plan.phase_at(end.saturating_sub(Duration::from_nanos(1)))];
        self.sample(sampler, phase.counts);
        let (mut deliveries, mut send_lags, mut loop_lags) = (durations(), durations(), durations());
        for passed in told {
            for (sum, more) in
                [(&mut deliveries, &passed.deliveries), (&mut send_lags, &passed.send_lags), (&mut loop_lags, &passed.loop_lags)]
            {
                sum.add(more).expect("the sum grows as needed");
            }
            self.last[passed.slice] = Some(Counts {
                phases: passed.phases,
                account: passed.account,
                errors: passed.errors.iter().map(|error| error.count).sum(),
                connected: passed.connected,
                joined: passed.joined,
            });
            self.known[passed.slice] = (passed.histograms, passed.errors);
        }
        let mut now = Counts::default();
        for counts in self.last.iter().flatten() {
            now.add(counts);
        }
        let before = std::mem::replace(&mut self.before, now.clone());
        let since = |phase: fn(&PhaseCounts) -> u64| Counts::of(phase, &now) - Counts::of(phase, &before);
        let quantile = |histogram: &Durations, quantile| percentile(histogram, quantile).map_or(0.0, millis);
        Some(Second {
            // The last second of a run may be a part of one.
            at_ms: millis(end.min(start.elapsed())),
            phase: phase.name.clone(),
            connected: now.connected,
            joined: now.joined,
            planned: since(|phase| phase.planned),
            sent: since(|phase| phase.sent),
            delivered: since(|phase| phase.delivered),
            bytes_sent: since(|phase| phase.bytes_sent),
            bytes_received: since(|phase| phase.bytes_received),
            errors: now.errors - before.errors,
            ledger: now.account.clone(),
            p50_ms: quantile(&deliveries, 50.0),
            p99_ms: quantile(&deliveries, 99.0),
            send_lag_p99_ms: quantile(&send_lags, 99.0),
            loop_lag_p99_ms: quantile(&loop_lags, 99.0),
            deliver: encoding::encode(&deliveries),
            cpu: self.busy.clone(),
        })
    }

    /// The first threshold that is broken whatever still comes.
    fn hopeless(&self, elapsed: Duration) -> Option<ThresholdVerdict> {
        let mut histograms = Histograms::default();
        self.known.iter().for_each(|(part, _)| histograms.merge(part));
        let errors = together(self.known.iter().flat_map(|(_, errors)| errors));
        let phases = self.phases(&self.before);
        let input = ThresholdInput {
            planned: &self.setting.planned,
            histograms: std::borrow::Cow::Borrowed(&histograms),
            phases: &phases,
            ledger: &self.before.account,
            errors: &errors,
        };
        self.setting.thresholds.iter().find_map(|threshold| threshold.hopeless(&input, elapsed, GRACE))
    }

    fn phases(&self, counts: &Counts) -> Vec<PhaseMeasured> {
        let closed = self.setting.planned.messages.is_none();
        let end = self.results.iter().flatten().map(|result| result.ended).max();
        let measured = self.setting.plan.phases.iter().zip(&counts.phases).map(|(phase, counts)| {
            let end = end.map_or(phase.end, |end| end.min(phase.end)).max(phase.start);
            let seconds = (end - phase.start).as_secs_f64();
            PhaseMeasured {
                name: phase.name.clone(),
                seconds,
                planned: counts.planned,
                sent: counts.sent,
                sent_late: counts.late,
                sent_very_late: counts.very_late,
                unsent_target: counts.unsent_target,
                unsent_generator: counts.unsent_generator,
                delivered: counts.delivered,
                bytes_sent: counts.bytes_sent,
                bytes_received: counts.bytes_received,
                in_flight: (closed && seconds > 0.0).then(|| counts.in_flight as f64 / 1e9 / seconds),
            }
        });
        measured.collect()
    }

    fn measured(&mut self, aborted: Option<ThresholdVerdict>) -> Measured {
        let (mut histograms, mut counts) = (Histograms::default(), Counts::default());
        let mut loop_lags = Vec::new();
        for result in self.results.iter().flatten() {
            histograms.merge(&result.histograms);
            counts.add(&Counts { phases: result.phases.clone(), account: result.account.clone(), ..Counts::default() });
            loop_lags.push(result.loop_lags.clone());
        }
        let errors = together(self.results.iter().flatten().flat_map(|result| &result.errors));
        let phases = self.phases(&counts);
        let counting = || phases.iter().zip(&self.setting.plan.phases).filter(|(_, phase)| phase.counts).map(|(measured, _)| measured);
        let total = |part: fn(&PhaseMeasured) -> u64| counting().map(part).sum::<u64>();
        let closed = self.setting.planned.messages.is_none();
        let health = judge(&HealthInput {
            planned: (!closed).then(|| total(|phase| phase.planned)),
            sends: total(|phase| phase.sent),
            sends_late: total(|phase| phase.sent_late),
            sends_very_late: total(|phase| phase.sent_very_late),
            unsent: total(|phase| phase.unsent_generator),
            loop_lags,
            usage: self.usage.clone(),
            descriptor_limit: self.setting.descriptor_limit,
            attempts: counts.account.sent + u64::from(self.setting.plan.clients() / self.setting.shard.1),
            errors: &errors,
        });
        let input = ThresholdInput {
            planned: &self.setting.planned,
            histograms: std::borrow::Cow::Borrowed(&histograms),
            phases: &phases,
            ledger: &counts.account,
            errors: &errors,
        };
        let thresholds = self.setting.thresholds.iter().map(|threshold| {
            let verdict = threshold.check(&input);
            let ended = aborted.as_ref().is_some_and(|aborted| aborted.threshold == verdict.threshold);
            ThresholdVerdict { aborted: ended, ..verdict }
        });
        let thresholds = thresholds.collect();
        Measured {
            histograms: Recorded::all(&histograms),
            phases,
            ledger: counts.account,
            errors,
            health,
            thresholds,
            ..Measured::default()
        }
    }
}
