//! The shards of one plan, as logs, become one log: histograms and ledgers are added, seconds aligned, and the generator is as
//! healthy as the sickest shard's.

use std::collections::BTreeMap;

use super::threshold::{Threshold, ThresholdError, ThresholdInput};
use crate::event::{
    ErrorCount, Event, Footer, Health, HistogramError, Log, Measured, PhaseMeasured, Planned, Recorded, Second, Trust, millis,
};
use crate::ledger::Account;
use crate::stats::encoding::{self, DecodeError};
use crate::stats::{Histograms, durations, percentile};
use crate::verdict::Conclusion;

/// Shards that don't make up a whole.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("there is no log to merge")]
    Nothing,
    #[error("{name}: it is no load's, or its load came to no measurements")]
    NoLoad { name: String },
    #[error("{name}: it is no shard, but a whole run; a shard's run had `--shard I/N`")]
    NoShard { name: String },
    #[error("{name}: its shard is `{shard}`, which is not I/N with I from 1 to N")]
    OddShard { name: String, shard: String },
    #[error("{name}: the run was interrupted, so that its part of the plan isn't whole")]
    Interrupted { name: String },
    #[error("{name}: it is of another {what} than {first}; run all shards with the same profile, seed, N and --threads")]
    Unlike { name: String, first: String, what: &'static str },
    #[error("{name}: it is the shard {index} of {of}, and so is {first}")]
    Doubled { name: String, first: String, index: u32, of: u32 },
    #[error("of {of} shards these are missing: {missing}")]
    Missing { missing: String, of: u32 },
    #[error("{name}: {source}")]
    Histogram { name: String, source: HistogramError },
    #[error("{name}: the second at {at_ms} ms: its latencies can't be read: {source}")]
    Second { name: String, at_ms: f64, source: DecodeError },
    #[error("a threshold can't be checked again: {0}")]
    Threshold(#[from] ThresholdError),
}

/// A shard's log, taken apart.
struct Shard<'a> {
    name: &'a str,
    log: &'a Log,
    planned: &'a Planned,
    measured: &'a Measured,
    histograms: Histograms,
    /// From 1.
    index: u32,
    of: u32,
}

/// Merges all shards of one plan, given as logs with the names that messages show for them. Thresholds are checked again, of the whole.
///
/// # Errors
/// Shards that are missing, doubled, interrupted, or of different plans, seeds or numbers of shards or threads, and what can't be decoded.
pub fn merge(logs: &[(String, Log)]) -> Result<Log, MergeError> {
    let mut shards = logs.iter().map(|(name, log)| shard(name, log)).collect::<Result<Vec<_>, _>>()?;
    shards.sort_by_key(|shard| shard.index);
    let first = shards.first().ok_or(MergeError::Nothing)?;
    for pair in shards.windows(2) {
        let differs = |what| Err(MergeError::Unlike { name: pair[1].name.to_owned(), first: pair[0].name.to_owned(), what });
        if pair[0].planned.hash != pair[1].planned.hash {
            return differs("plan");
        }
        if pair[0].log.header.seed != pair[1].log.header.seed {
            return differs("seed");
        }
        if pair[0].of != pair[1].of {
            return differs("number of shards");
        }
        // A plan is cut by threads, so that other numbers of them leave rooms out and play others twice.
        if pair[0].planned.threads != pair[1].planned.threads {
            return differs("number of threads");
        }
        if pair[0].index == pair[1].index {
            let (name, first) = (pair[1].name.to_owned(), pair[0].name.to_owned());
            return Err(MergeError::Doubled { name, first, index: pair[1].index, of: pair[1].of });
        }
    }
    let missing: Vec<String> = (1..=first.of)
        .filter(|index| shards.iter().all(|shard| shard.index != *index))
        .map(|index| format!("{index}/{}", first.of))
        .collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing { missing: missing.join(", "), of: first.of });
    }

    let mut header = first.log.header.clone();
    header.started = shards.iter().map(|shard| &shard.log.header.started).min().expect("there is a shard").clone();
    let planned = Planned { threads: shards.iter().map(|shard| shard.planned.threads).sum(), shard: None, ..first.planned.clone() };
    let seconds = seconds(&shards)?;
    let mut measured = measured(&shards);
    let verdicts = {
        let input = ThresholdInput::new(&planned, &measured).expect("the histograms have just been encoded");
        let texts = first.measured.thresholds.iter().map(|verdict| &verdict.threshold);
        texts.map(|text| Ok(Threshold::parse(text)?.check(&input))).collect::<Result<Vec<_>, ThresholdError>>()?
    };
    measured.thresholds = verdicts;
    let mut notes: Vec<String> = vec![format!("merged from {} shards", shards.len())];
    for shard in &shards {
        notes.extend(shard.log.footer.notes.iter().map(|note| format!("shard {}/{}: {note}", shard.index, shard.of)));
    }
    let at_ms = shards.iter().map(|shard| shard.log.footer.at_ms).fold(0.0, f64::max);
    let footer = Footer { at_ms, exit_code: conclusion(&measured).exit_code(), notes, ..first.log.footer.clone() };
    // What was found out about the target, which all shards share.
    let readings = first.log.events.iter().filter(|event| matches!(event, Event::Readings { .. })).cloned();
    let events = readings
        .chain([Event::Planned(Box::new(planned))])
        .chain(seconds.into_iter().map(|second| Event::Second(Box::new(second))))
        .chain([Event::Measured(Box::new(measured))]);
    Ok(Log { header, events: events.collect(), footer })
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

fn shard<'a>(name: &'a str, log: &'a Log) -> Result<Shard<'a>, MergeError> {
    let owned = || name.to_owned();
    let (planned, measured) = log.load().ok_or_else(|| MergeError::NoLoad { name: owned() })?;
    let text = planned.shard.as_ref().ok_or_else(|| MergeError::NoShard { name: owned() })?;
    let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    let (index, of) = numbers
        .filter(|(index, of)| (1..=*of).contains(index))
        .ok_or_else(|| MergeError::OddShard { name: owned(), shard: text.clone() })?;
    if log.footer.interrupted {
        return Err(MergeError::Interrupted { name: owned() });
    }
    let histograms = measured.histograms().map_err(|source| MergeError::Histogram { name: owned(), source })?;
    Ok(Shard { name, log, planned, measured, histograms, index, of })
}

/// The seconds of all shards, those of the same second of their runs together. Counts are added; a gauge is what each
/// shard showed last; a lag is that of the worst shard, since percentiles can't be added.
fn seconds(shards: &[Shard<'_>]) -> Result<Vec<Second>, MergeError> {
    let bin = |second: &Second| (second.at_ms / 1000.0).round() as u64;
    let last = shards.iter().flat_map(|shard| shard.log.seconds().map(bin)).max();
    let first = shards.iter().flat_map(|shard| shard.log.seconds().map(bin)).min();
    let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
    let mut merged = Vec::new();
    let mut behind: Vec<_> = shards.iter().map(|shard| shard.log.seconds().peekable()).collect();
    let mut shown: Vec<Second> = vec![Second::default(); shards.len()];
    for at in first..=last {
        let mut sum = Second::default();
        let mut deliver = durations();
        let mut any = false;
        for (index, shard) in shards.iter().enumerate() {
            let mut own = false;
            while let Some(second) = behind[index].next_if(|second| bin(second) <= at) {
                if !second.deliver.is_empty() {
                    let decoded = encoding::decode(&second.deliver).map_err(|source| MergeError::Second {
                        name: shard.name.to_owned(),
                        at_ms: second.at_ms,
                        source,
                    })?;
                    deliver.add(decoded).expect("the sum grows as needed");
                }
                if sum.phase.is_empty() {
                    sum.phase.clone_from(&second.phase);
                }
                sum.at_ms = sum.at_ms.max(second.at_ms);
                sum.planned += second.planned;
                sum.sent += second.sent;
                sum.delivered += second.delivered;
                sum.bytes_sent += second.bytes_sent;
                sum.bytes_received += second.bytes_received;
                sum.errors += second.errors;
                sum.send_lag_p99_ms = sum.send_lag_p99_ms.max(second.send_lag_p99_ms);
                sum.loop_lag_p99_ms = sum.loop_lag_p99_ms.max(second.loop_lag_p99_ms);
                shown[index] = second.clone();
                own = true;
            }
            // A shard whose run is over holds no connections any more; what it found wrong stays.
            if !own && behind[index].peek().is_none() {
                (shown[index].connected, shown[index].joined) = (0, 0);
                shown[index].cpu.fill(0.0);
            }
            any |= own;
        }
        if any {
            let millis = |percentage| percentile(&deliver, percentage).map_or(0.0, millis);
            sum.connected = shown.iter().map(|second| second.connected).sum();
            sum.joined = shown.iter().map(|second| second.joined).sum();
            sum.ledger = Account::default();
            shown.iter().for_each(|second| sum.ledger.merge(&second.ledger));
            sum.cpu = shown.iter().flat_map(|second| second.cpu.iter().copied()).collect();
            (sum.p50_ms, sum.p99_ms) = (millis(50.0), millis(99.0));
            sum.deliver = encoding::encode(&deliver);
            merged.push(sum);
        }
    }
    Ok(merged)
}

/// What all shards came to; thresholds are left to be checked.
fn measured(shards: &[Shard<'_>]) -> Measured {
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
    let recorded = Recorded::all(&histograms);
    Measured {
        histograms: recorded,
        phases,
        ledger,
        errors: errors.into_values().collect(),
        health: health(shards),
        thresholds: Vec::new(),
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
fn health(shards: &[Shard<'_>]) -> Health {
    let mut sum = Health { descriptor_limit: u64::MAX, ..Health::default() };
    for shard in shards {
        let health = &shard.measured.health;
        sum.trust = sum.trust.max(health.trust);
        sum.reasons.extend(health.reasons.iter().map(|reason| format!("shard {}/{}: {reason}", shard.index, shard.of)));
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
