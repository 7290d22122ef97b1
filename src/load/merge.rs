//! The shards of one plan, as logs, become one log: histograms and ledgers are added, seconds aligned, and the generator is as
//! healthy as the sickest shard's.

use std::collections::BTreeMap;

use super::lower::ProfileError;
use super::profile::Profile;
use super::threshold::{Threshold, ThresholdError, ThresholdInput};
use super::timeline::Timeline;
use crate::event::{
    ErrorCount, Event, Footer, Header, Health, HistogramError, Log, Measured, PhaseMeasured, Planned, Recorded, Second, ShardMeasured,
    Start, Trust, millis,
};
use crate::ledger::{Account, Wrong};
use crate::scenario::source::Source;
use crate::stats::encoding::DecodeError;
use crate::stats::{Clock, Histograms, Metric, durations, percentile};
use crate::verdict::Conclusion;

/// Shards that began further apart than this loaded the target one after the other, not together.
const APART_MS: f64 = 1_000.0;

/// Shards that don't make up a whole.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("there is no log to merge")]
    Nothing,
    #[error("of no shard is there more than its beginning: {why}")]
    AllLost { why: String },
    #[error("{name}: it is no load's")]
    NoLoad { name: String },
    #[error("{name}: it is no shard, but a whole run; a shard's run had `--shard I/N`")]
    NoShard { name: String },
    #[error("{name}: its shard is `{shard}`, which is not I/N with I from 1 to N")]
    OddShard { name: String, shard: String },
    #[error("{name}: it is of another {what} than {first}; run all shards with the same chatspec, profile, seed and N")]
    Unlike { name: String, first: String, what: &'static str },
    #[error("{name}: it is the shard {index} of {of}, and so is {first}")]
    Doubled { name: String, first: String, index: u32, of: u32 },
    #[error(
        "{name}: it began {seconds:.1} s after {first}, so that they did not load the target together; --barrier or --start-at let shards begin at once"
    )]
    Apart { name: String, first: String, seconds: f64 },
    #[error("{name}: {source}")]
    Histogram { name: String, source: HistogramError },
    #[error("{name}: the second at {at_ms} ms: its latencies can't be read: {source}")]
    Second { name: String, at_ms: f64, source: DecodeError },
    #[error("a threshold can't be checked again: {0}")]
    Threshold(#[from] ThresholdError),
    #[error("the profile of the log can't be read, so that its thresholds can't be checked: {0}")]
    Profile(#[from] ProfileError),
}

/// A shard's log, which may end in the midst of its run.
#[derive(Clone, Debug)]
pub struct Part {
    /// What messages call it.
    pub name: String,
    /// The header first; the footer last, if the run came to its end.
    pub events: Vec<Event>,
}

impl Part {
    fn header(&self) -> Option<&Header> {
        self.events.first().and_then(|event| if let Event::Started(header) = event { Some(header) } else { None })
    }

    fn planned(&self) -> Option<&Planned> {
        self.events.iter().find_map(|event| if let Event::Planned(planned) = event { Some(&**planned) } else { None })
    }

    fn measured(&self) -> Option<&Measured> {
        self.events.iter().rev().find_map(|event| if let Event::Measured(measured) = event { Some(&**measured) } else { None })
    }

    fn footer(&self) -> Option<&Footer> {
        self.events.last().and_then(|event| if let Event::Finished(footer) = event { Some(footer) } else { None })
    }

    fn seconds(&self) -> impl Iterator<Item = &Second> {
        self.events.iter().filter_map(|event| if let Event::Second(second) = event { Some(&**second) } else { None })
    }

    /// Why nothing can be made of it; `None` where something can.
    fn lost(&self) -> Option<String> {
        match (self.footer(), self.measured()) {
            (Some(_), Some(_)) => None,
            (Some(footer), None) if footer.notes.is_empty() => Some("its load never began".to_owned()),
            (Some(footer), None) => Some(format!("its load never began: {}", footer.notes.join("; "))),
            (None, _) => {
                let last = self.seconds().last().map_or(0.0, |second| second.at_ms / 1000.0);
                Some(format!("its log {} breaks off {last:.0} s after the start: its process was killed, or still runs", self.name))
            }
        }
    }
}

/// A shard that came to its end, taken apart.
struct Shard<'a> {
    part: &'a Part,
    planned: &'a Planned,
    measured: &'a Measured,
    footer: &'a Footer,
    histograms: Histograms,
    /// From 1.
    index: u32,
}

/// Merges all shards of one plan. Thresholds are checked of the whole. A shard of which there is no end is lost: the others are merged, and
/// the run is invalid. `known` says of shards, counted from 1, why they are lost.
///
/// # Errors
/// Shards that are doubled, that did not run together, or are of different plans, seeds, versions or numbers of shards, and what can't be
/// decoded.
pub fn merge(parts: &[Part], known: &BTreeMap<u32, String>) -> Result<Log, MergeError> {
    let mut placed = parts.iter().filter_map(|part| place(part).transpose()).collect::<Result<Vec<_>, _>>()?;
    placed.sort_by_key(|placed| placed.index);
    let Some(of) = placed.first().map(|first| first.of) else {
        let why: Vec<String> = parts.iter().filter_map(|part| Some(format!("{}: {}", part.name, part.lost()?))).collect();
        return Err(if why.is_empty() { MergeError::Nothing } else { MergeError::AllLost { why: why.join("; ") } });
    };
    for pair in placed.windows(2) {
        is_like(&pair[0], &pair[1])?;
    }
    let mut lost = BTreeMap::new();
    for index in 1..=of {
        let there = placed.iter().find(|placed| placed.index == index);
        let why = there.map_or_else(|| Some("there is no log of it".to_owned()), |placed| placed.part.lost());
        lost.extend(why.map(|why| (index, known.get(&index).cloned().unwrap_or(why))));
    }
    // A log without a plan is of a shard of which only its name is known.
    let nameless = parts.iter().filter(|part| part.planned().is_none()).filter_map(|part| Some(format!("{}: {}", part.name, part.lost()?)));
    let mut notes: Vec<String> = nameless.collect();
    let shards = placed.iter().filter_map(|placed| placed.shard().transpose()).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = shards.first() else {
        return Err(MergeError::AllLost {
            why: lost.iter().map(|(index, why)| format!("shard {index}/{of}: {why}")).collect::<Vec<_>>().join("; "),
        });
    };
    notes.insert(0, format!("merged from {} of {of} shards", shards.len()));
    for shard in &shards {
        notes.extend(shard.footer.notes.iter().map(|note| format!("shard {}/{of}: {note}", shard.index)));
    }

    let header = first.part.header().expect("a shard has one");
    // One process repeats it, or the shards do, each with its own number.
    let reproduce = header.reproduce.split(" --shard ").next().unwrap_or_default().to_owned();
    let header = Header {
        started: shards.iter().filter_map(|shard| Some(&shard.part.header()?.started)).min().expect("there is a shard").clone(),
        reproduce,
        ..header.clone()
    };
    let planned = Planned { threads: shards.iter().map(|shard| shard.planned.threads).sum(), shard: None, ..first.planned.clone() };
    let seconds = seconds(&shards)?;
    let mut measured = measured(&shards, &lost, of, &planned);
    let source = Source { name: "the log's profile".to_owned(), text: planned.resolved.clone() };
    let thresholds = Profile::read(source, &planned.profile)?.thresholds;
    let verdicts = {
        let input = ThresholdInput::new(&planned, &measured).expect("the histograms have just been encoded");
        thresholds.iter().map(|text| Ok(Threshold::parse(text)?.check(&input))).collect::<Result<Vec<_>, ThresholdError>>()?
    };
    measured.thresholds = verdicts;
    let at_ms = shards.iter().map(|shard| shard.footer.at_ms).fold(0.0, f64::max);
    let interrupted = shards.iter().any(|shard| shard.footer.interrupted);
    let conclusion = if interrupted { Conclusion::Interrupted } else { conclusion(&measured) };
    let footer = Footer { at_ms, exit_code: conclusion.exit_code(), interrupted, notes, ..first.footer.clone() };
    // What was found out about the target, which all shards share.
    let readings = first.part.events.iter().filter(|event| matches!(event, Event::Readings { .. })).cloned();
    let events = readings
        .chain([Event::Planned(Box::new(planned))])
        .chain(seconds.into_iter().map(|second| Event::Second(Box::new(second))))
        .chain([Event::Measured(Box::new(measured))]);
    Ok(Log { header, events: events.collect(), footer })
}

/// A log with its place in the plan.
struct Placed<'a> {
    part: &'a Part,
    planned: &'a Planned,
    /// From 1.
    index: u32,
    of: u32,
}

impl<'a> Placed<'a> {
    /// What it came to; `None` where it is lost.
    fn shard(&self) -> Result<Option<Shard<'a>>, MergeError> {
        let (Some(measured), Some(footer)) = (self.part.measured(), self.part.footer()) else {
            return Ok(None);
        };
        let histograms = measured.histograms().map_err(|source| MergeError::Histogram { name: self.part.name.clone(), source })?;
        Ok(Some(Shard { part: self.part, planned: self.planned, measured, footer, histograms, index: self.index }))
    }
}

/// Where a log belongs; `None` for one that broke off, or gave up, before its plan was told.
fn place(part: &Part) -> Result<Option<Placed<'_>>, MergeError> {
    let name = || part.name.clone();
    // Its process was killed before it wrote anything.
    if part.events.is_empty() {
        return Ok(None);
    }
    if part.header().is_none_or(|header| header.command != "load") {
        return Err(MergeError::NoLoad { name: name() });
    }
    let Some(planned) = part.planned() else { return Ok(None) };
    let text = planned.shard.as_ref().ok_or_else(|| MergeError::NoShard { name: name() })?;
    let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    let (index, of) = numbers
        .filter(|(index, of)| (1..=*of).contains(index))
        .ok_or_else(|| MergeError::OddShard { name: name(), shard: text.clone() })?;
    Ok(Some(Placed { part, planned, index, of }))
}

/// Whether two logs are of the same load, and of different shards of it.
fn is_like(one: &Placed<'_>, other: &Placed<'_>) -> Result<(), MergeError> {
    let names = || (other.part.name.clone(), one.part.name.clone());
    let (header, next) = (one.part.header().expect("it has a place"), other.part.header().expect("it has a place"));
    let differences = [
        (one.planned.hash == other.planned.hash, "plan"),
        (header.seed == next.seed, "seed"),
        (one.of == other.of, "number of shards"),
        (header.version == next.version, "version of chatspec"),
    ];
    let (name, first) = names();
    if let Some((_, what)) = differences.into_iter().find(|(same, _)| !same) {
        return Err(MergeError::Unlike { name, first, what });
    }
    if one.index == other.index {
        return Err(MergeError::Doubled { name, first, index: other.index, of: other.of });
    }
    let began = |placed: &Placed<'_>| Some(placed.part.measured()?.start.as_ref()?.began_unix_ms());
    if let (Some(earlier), Some(later)) = (began(one), began(other))
        && (later - earlier).abs() > APART_MS
    {
        let (name, first) = if later > earlier { (name, first) } else { (first, name) };
        return Err(MergeError::Apart { name, first, seconds: (later - earlier).abs() / 1000.0 });
    }
    Ok(())
}

/// What follows from a load's measurements: nothing where its generator was the bottleneck or nobody could send, else whether the thresholds hold.
pub fn conclusion(measured: &Measured) -> Conclusion {
    if measured.health.trust == Trust::Invalid || measured.ledger.sent == 0 {
        Conclusion::Inconclusive
    } else if measured.thresholds.iter().any(|verdict| !verdict.holds) {
        Conclusion::Violated
    } else {
        Conclusion::Conforms
    }
}

/// The seconds of all shards, those of the same second of their runs together.
fn seconds(shards: &[Shard<'_>]) -> Result<Vec<Second>, MergeError> {
    let mut timeline = Timeline::new(shards.len());
    for (index, shard) in shards.iter().enumerate() {
        shard.part.seconds().for_each(|second| timeline.push(index, second.clone()));
        timeline.end(index);
    }
    let wrong = |(index, at_ms, source): (usize, f64, DecodeError)| {
        let name = shards[index].part.name.clone();
        MergeError::Second { name, at_ms, source }
    };
    let mut merged = Vec::new();
    while let Some(second) = timeline.next_second().map_err(wrong)? {
        merged.push(second);
    }
    Ok(merged)
}

/// What all shards came to; thresholds are left to be checked.
fn measured(shards: &[Shard<'_>], lost: &BTreeMap<u32, String>, of: u32, planned: &Planned) -> Measured {
    let mut histograms = Histograms::default();
    let mut ledger = Account::default();
    let mut errors = BTreeMap::<_, ErrorCount>::new();
    let mut phases: Vec<PhaseMeasured> = Vec::new();
    for shard in shards {
        histograms.merge(&shard.histograms);
        ledger.merge(&shard.measured.ledger);
        for error in &shard.measured.errors {
            let key = (error.doing.clone(), error.blame, error.what.clone());
            errors
                .entry(key)
                .and_modify(|sum| {
                    sum.count += error.count;
                    sum.first_ms = sum.first_ms.min(error.first_ms);
                    sum.mend = sum.mend.take().or_else(|| error.mend.clone());
                })
                .or_insert_with(|| error.clone());
        }
        for phase in &shard.measured.phases {
            match phases.iter_mut().find(|sum| sum.name == phase.name) {
                Some(sum) => add(sum, phase),
                None => phases.push(phase.clone()),
            }
        }
    }
    let starts = || shards.iter().filter_map(|shard| shard.measured.start.as_ref());
    let start = starts().min_by(|one, other| one.began_unix_ms().total_cmp(&other.began_unix_ms())).cloned();
    Measured {
        shards: (1..=of).map(|index| one_of(shards, index, of, lost, planned, start.as_ref())).collect(),
        histograms: Recorded::all(&histograms),
        phases,
        ledger,
        errors: errors.into_values().collect(),
        health: health(shards, lost, of),
        thresholds: Vec::new(),
        start,
    }
}

/// A shard beside the others.
fn one_of(
    shards: &[Shard<'_>],
    index: u32,
    of: u32,
    lost: &BTreeMap<u32, String>,
    planned: &Planned,
    first: Option<&Start>,
) -> ShardMeasured {
    let name = format!("{index}/{of}");
    let Some(shard) = shards.iter().find(|shard| shard.index == index) else {
        return ShardMeasured { shard: name, lost: lost.get(&index).cloned(), ..ShardMeasured::default() };
    };
    let deliveries = |chosen: &dyn Fn(u32) -> bool| {
        let mut sum = durations();
        for shard in shards.iter().filter(|shard| chosen(shard.index)) {
            for phase in planned.phases.iter().filter(|phase| phase.counts) {
                let part = shard.histograms.select(Metric::Deliver, Clock::Intended, Some(&phase.name), None);
                sum.add(part).expect("the sum grows as needed");
            }
        }
        sum
    };
    let (own, others) = (deliveries(&|other| other == index), deliveries(&|other| other != index));
    let Measured { ledger, health, start, .. } = shard.measured;
    let behind = |start: &Start| Some(start.began_unix_ms() - first?.began_unix_ms());
    ShardMeasured {
        shard: name,
        lost: None,
        host: start.as_ref().map(|start| start.host.clone()).unwrap_or_default(),
        trust: health.trust,
        sent: ledger.sent,
        delivered: ledger.delivered,
        wrong: Wrong::ALL.iter().map(|wrong| ledger.count(*wrong)).sum(),
        p50_ms: percentile(&own, 50.0).map(millis),
        p99_ms: percentile(&own, 99.0).map(millis),
        others_p99_ms: percentile(&others, 99.0).map(millis),
        behind_ms: start.as_ref().and_then(behind),
        within_ms: start.as_ref().and_then(|start| start.within_ms),
    }
}

fn add(sum: &mut PhaseMeasured, part: &PhaseMeasured) {
    // All shards play the phase at the same time.
    sum.seconds = sum.seconds.max(part.seconds);
    sum.planned += part.planned;
    sum.sent += part.sent;
    sum.sent_late += part.sent_late;
    sum.sent_very_late += part.sent_very_late;
    sum.unsent_target += part.unsent_target;
    sum.unsent_generator += part.unsent_generator;
    sum.delivered += part.delivered;
    sum.bytes_sent += part.bytes_sent;
    sum.bytes_received += part.bytes_received;
    sum.in_flight = match (sum.in_flight, part.in_flight) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    };
}

/// The worst of the generators' health; what each is due to is told with its shard.
fn health(shards: &[Shard<'_>], lost: &BTreeMap<u32, String>, of: u32) -> Health {
    let mut sum = Health { descriptor_limit: u64::MAX, ..Health::default() };
    if !lost.is_empty() {
        sum.trust = Trust::Invalid;
    }
    sum.reasons.extend(lost.iter().map(|(index, why)| format!("shard {index}/{of} is lost: {why}")));
    for shard in shards {
        let health = &shard.measured.health;
        sum.trust = sum.trust.max(health.trust);
        sum.reasons.extend(health.reasons.iter().map(|reason| format!("shard {}/{of}: {reason}", shard.index)));
        sum.sends += health.sends;
        sum.sends_late += health.sends_late;
        sum.sends_very_late += health.sends_very_late;
        sum.loop_lag_p99_ms.extend(&health.loop_lag_p99_ms);
        sum.cpu.extend(&health.cpu);
        sum.cpu_seconds += health.cpu_seconds;
        sum.throttled_ms = sum.throttled_ms.max(health.throttled_ms);
        sum.peak_memory_bytes = sum.peak_memory_bytes.max(health.peak_memory_bytes);
        sum.peak_descriptors = sum.peak_descriptors.max(health.peak_descriptors);
        sum.descriptor_limit = sum.descriptor_limit.min(health.descriptor_limit);
    }
    sum
}
