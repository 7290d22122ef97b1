//! WebSocket expectations: what must come, and what must not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use super::call::{in_each_reading, strays, undocumented};
use super::fence;
use super::stage::{ActorState, Stage};
use super::stop::{Stop, StopKind};
use crate::matcher::{Bindings, Mismatch, matches};
use crate::scenario::pattern::{Pattern, describe, shorten};
use crate::scenario::step::{Alternative, EndKind, Happening, NothingMore, Receive, Step};
use crate::scenario::template::Unbound;
use crate::verdict::NearMiss;
use crate::wire::inbox::{Arrival, End, Incoming, stream_text};

/// How long a failed wait goes on, at most, so that slow and silent are told apart.
const GRACE: Duration = Duration::from_millis(1500);

/// How many of the things that came instead are told.
const NEAR: usize = 4;

/// Each actor receives what is expected, by one deadline.
pub async fn play(stage: &Stage, step: &Step, receive: &Receive) -> Result<(), Stop> {
    let within = receive.within.unwrap_or(stage.timeout());
    let deadline = Instant::now() + within;
    for actor in &receive.actors {
        let mut after = None;
        for alternatives in &receive.expected {
            let ordered = receive.expected.len() > 1;
            after = Some(one(stage, step, *actor, alternatives, deadline, within, after.filter(|_| ordered)).await?);
        }
    }
    Ok(())
}

/// What the search through the arrivals has found.
enum Found {
    Match {
        index: usize,
        bindings: Bindings,
        alternative: usize,
    },
    /// The connection has ended, and no alternative says so.
    Over,
    Unbound(Unbound),
}

async fn one(
    stage: &Stage,
    step: &Step,
    actor: usize,
    alternatives: &[Alternative],
    deadline: Instant,
    within: Duration,
    after: Option<usize>,
) -> Result<usize, Stop> {
    let actor = &stage.actors[actor];
    let Some(inbox) = actor.inbox() else {
        return Err(Stop::new(step, StopKind::Broken, format!("{} has never connected", actor.name)));
    };
    let search = |arrivals: &[Arc<Arrival>]| search(stage, actor, alternatives, arrivals, after);
    let nothing = alternatives.iter().position(|alternative| matches!(alternative.happening, Happening::Nothing));
    let found = match nothing {
        Some(nothing) => {
            fence::pass(stage, &stage.actors, std::slice::from_ref(actor), None).await;
            let quiet = unaccounted(stage, actor).is_empty();
            search(&inbox.since(0)).or(quiet.then_some(Found::Match { index: usize::MAX, bindings: Bindings::new(), alternative: nothing }))
        }
        None => inbox.wait(deadline, search).await,
    };
    match found {
        Some(Found::Match { index, bindings, alternative }) => {
            let alternative = &alternatives[alternative];
            actor.take(index);
            if let Some(mismatch) = strays(stage, alternative) {
                let difference = &mismatch.differences[0];
                let what =
                    inbox.since(index.min(inbox.since(0).len())).first().map(|arrival| show(&arrival.what)).unwrap_or("nothing".into());
                let summary = format!("{} got {what}: {}, not {}", actor.name, difference.path, difference.expected);
                let mut stop = Stop::new(step, StopKind::Mismatch, summary);
                stop.failure.differences = mismatch.differences;
                return Err(stop);
            }
            bindings.into_iter().for_each(|(name, value)| stage.set(&name, value));
            alternative.reads.iter().for_each(|(reading, value)| stage.read(reading, value));
            Ok(index)
        }
        Some(Found::Unbound(unbound)) => Err(Stop::unbound(step, &unbound)),
        None if nothing.is_some() => Err(astray(stage, step, actor, alternatives)),
        Some(Found::Over) | None => Err(missed(stage, step, actor, alternatives, within, after).await),
    }
}

fn search(
    stage: &Stage,
    actor: &ActorState,
    alternatives: &[Alternative],
    arrivals: &[Arc<Arrival>],
    after: Option<usize>,
) -> Option<Found> {
    let prefix = stage.world.token_prefix();
    for (index, arrival) in arrivals.iter().enumerate() {
        if actor.is_taken(index)
            || after.is_some_and(|after| after != usize::MAX && index <= after)
            || (!stage.in_fence && is_fence(arrival, &prefix))
        {
            continue;
        }
        for (number, alternative) in alternatives.iter().enumerate() {
            match holds(stage, &alternative.happening, arrival, arrivals) {
                Ok(Ok(bindings)) => return Some(Found::Match { index, bindings, alternative: number }),
                Ok(Err(_)) => {}
                Err(unbound) => return Some(Found::Unbound(unbound)),
            }
        }
    }
    let over = arrivals.iter().any(|arrival| matches!(arrival.what, Incoming::End(_)));
    over.then_some(Found::Over)
}

/// The data messages that came and that no step has accounted for, but for those of fences.
fn unaccounted(stage: &Stage, actor: &ActorState) -> Vec<Arc<Arrival>> {
    let prefix = stage.world.token_prefix();
    let untaken = actor.untaken().into_iter().map(|(_, arrival)| arrival);
    untaken.filter(|arrival| matches!(arrival.what, Incoming::Text(_) | Incoming::Binary(_)) && !is_fence(arrival, &prefix)).collect()
}

fn is_fence(arrival: &Arrival, prefix: &str) -> bool {
    matches!(&arrival.what, Incoming::Text(text) if text.contains(prefix))
}

/// Whether an arrival is what is expected.
fn holds(
    stage: &Stage,
    happening: &Happening,
    arrival: &Arrival,
    arrivals: &[Arc<Arrival>],
) -> Result<Result<Bindings, Mismatch>, Unbound> {
    let no = |expected: &str| Ok(Err(Mismatch::single("", expected, show(&arrival.what))));
    let text_of = |bytes: &Bytes| Value::String(String::from_utf8_lossy(bytes).into_owned());
    match (happening, &arrival.what) {
        (Happening::Packet(pattern), Incoming::Text(_)) => match arrival.json() {
            Some(value) => in_each_reading(stage, pattern, value),
            None => no("a text message that holds JSON"),
        },
        (Happening::Text(pattern), Incoming::Text(text)) => matches(pattern, Some(&Value::String(text.clone())), stage),
        (Happening::Binary(pattern), Incoming::Binary(bytes)) | (Happening::Pong(pattern), Incoming::Pong(bytes)) => {
            matches(pattern, Some(&text_of(bytes)), stage)
        }
        (Happening::Stream(pattern), Incoming::Bytes(_)) => matches(pattern, Some(&Value::String(stream_text(arrivals))), stage),
        (Happening::End { how, code }, Incoming::End(end)) => end_holds(stage, how, code.as_ref(), end),
        (Happening::Packet(_), _) => no("a text message"),
        _ => no("something else"),
    }
}

fn end_holds(stage: &Stage, how: &[EndKind], code: Option<&Pattern>, end: &End) -> Result<Result<Bindings, Mismatch>, Unbound> {
    let kind = match end {
        End::Close { .. } => EndKind::Close,
        End::Eof => EndKind::Eof,
        End::Reset => EndKind::Reset,
        End::Malformed(_) | End::Local => return Ok(Err(Mismatch::single("", "an end by the server", end.to_string()))),
    };
    if !how.is_empty() && !how.contains(&kind) {
        return Ok(Err(Mismatch::single("", end_words(how), end.to_string())));
    }
    match (code, end) {
        // RFC 6455 section 7.1.5: no code in the frame reads as 1005.
        (Some(pattern), End::Close { code, .. }) => matches(pattern, Some(&Value::from(code.unwrap_or(1005))), stage),
        _ => Ok(Ok(Bindings::new())),
    }
}

fn end_words(how: &[EndKind]) -> String {
    let words = how.iter().map(|kind| match kind {
        EndKind::Close => "a close frame",
        EndKind::Eof => "an end of the stream",
        EndKind::Reset => "a TCP reset",
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// What is expected, in words.
fn expectation(stage: &Stage, happening: &Happening) -> String {
    match happening {
        Happening::Packet(pattern) => format!("a packet {}", describe(pattern, stage)),
        Happening::Text(pattern) => format!("a text message: {}", describe(pattern, stage)),
        Happening::Binary(pattern) => format!("a binary message: {}", describe(pattern, stage)),
        Happening::Pong(pattern) => format!("a pong with the payload {}", describe(pattern, stage)),
        Happening::Stream(pattern) => format!("bytes: {}", describe(pattern, stage)),
        Happening::End { how, code } => {
            let how = if how.is_empty() { "an end of the connection".to_owned() } else { end_words(how) };
            code.as_ref().map_or(how.clone(), |code| format!("{how} with code {}", describe(code, stage)))
        }
        Happening::Nothing => "nothing".into(),
        Happening::Answer { .. } => "an HTTP answer".into(),
    }
}

/// What came, in words.
pub fn show(what: &Incoming) -> String {
    match what {
        Incoming::Text(text) => shorten(text),
        Incoming::Binary(bytes) => format!("a binary message of {} bytes", bytes.len()),
        Incoming::Ping(_) => "a ping".into(),
        Incoming::Pong(bytes) => format!("a pong {:?}", String::from_utf8_lossy(bytes)),
        Incoming::Bytes(bytes) => shorten(&String::from_utf8_lossy(bytes)),
        Incoming::End(end) => end.to_string(),
    }
}

/// The failure of a wait that a fence has ended: something came, and it is none of what may come.
fn astray(stage: &Stage, step: &Step, actor: &ActorState, alternatives: &[Alternative]) -> Stop {
    let near = near_misses(stage, actor, alternatives);
    let came = near.first().map_or(String::new(), |miss| miss.what.clone());
    let mut stop = Stop::new(step, StopKind::Mismatch, format!("{} received something else: {came}", actor.name));
    stop.failure.expected = words(stage, alternatives);
    stop.failure.actual = came;
    stop.failure.near = near;
    stop
}

fn words(stage: &Stage, alternatives: &[Alternative]) -> String {
    alternatives.iter().map(|alternative| expectation(stage, &alternative.happening)).collect::<Vec<_>>().join(", or ")
}

/// The failure of a wait, with what came instead and what still comes in a grace period.
async fn missed(
    stage: &Stage,
    step: &Step,
    actor: &ActorState,
    alternatives: &[Alternative],
    within: Duration,
    after: Option<usize>,
) -> Stop {
    let inbox = actor.inbox().unwrap_or_default();
    let deadline = Instant::now();
    let ended = inbox.end();
    let near = near_misses(stage, actor, alternatives);
    let mut late = Vec::new();
    if ended.is_none() {
        let grace = GRACE.min(stage.timeout() / 2);
        if let Some(Found::Match { index, .. }) =
            inbox.wait(deadline + grace, |arrivals| search(stage, actor, alternatives, arrivals, after)).await
        {
            actor.take(index);
            late = inbox.since(index).into_iter().take(1).map(|arrival| near_miss(stage, actor, &arrival, Vec::new())).collect();
        }
    }
    let summary = match (&ended, late.first(), near.first()) {
        (Some(end), _, _) => format!("{}'s connection ended ({end}) before what was expected came", actor.name),
        (None, Some(late), _) => {
            let waited = late.at_ms - stage.world.at_ms(deadline) + crate::event::millis(within);
            format!("{} received it too late: after {waited:.0} ms, the limit is {}", actor.name, humantime::format_duration(within))
        }
        (None, None, Some(_)) => format!("{} did not receive it within {}", actor.name, humantime::format_duration(within)),
        (None, None, None) => format!("{} received nothing within {}", actor.name, humantime::format_duration(within)),
    };
    let mut stop = Stop::new(step, StopKind::Missing, summary);
    stop.failure.expected = words(stage, alternatives);
    stop.failure.actual = near.first().map_or("nothing".to_owned(), |miss| miss.what.clone());
    stop.failure.hints = undocumented(stage, near.iter().flat_map(|miss| &miss.differences));
    if let Some(nearest) = near.first() {
        stop.failure.differences.clone_from(&nearest.differences);
    }
    stop.failure.near = near;
    stop.failure.late = late;
    stop
}

/// What came and was not expected, the nearest first.
fn near_misses(stage: &Stage, actor: &ActorState, alternatives: &[Alternative]) -> Vec<NearMiss> {
    let prefix = stage.world.token_prefix();
    let all = actor.inbox().map(|inbox| inbox.since(0)).unwrap_or_default();
    let mut misses: Vec<(usize, NearMiss)> = actor
        .untaken()
        .iter()
        .filter(|(_, arrival)| stage.in_fence || !is_fence(arrival, &prefix))
        .map(|(_, arrival)| {
            let mismatches = alternatives.iter().filter_map(|alternative| holds(stage, &alternative.happening, arrival, &all).ok()?.err());
            let best = mismatches.max_by_key(|mismatch| mismatch.agreements).unwrap_or_default();
            // A difference of the whole repeats what is shown anyway.
            let differences = best.differences.into_iter().filter(|difference| !difference.path.is_empty()).collect();
            (best.agreements, near_miss(stage, actor, arrival, differences))
        })
        .collect();
    misses.sort_by_key(|(agreements, _)| std::cmp::Reverse(*agreements));
    misses.into_iter().map(|(_, miss)| miss).take(NEAR).collect()
}

fn near_miss(stage: &Stage, actor: &ActorState, arrival: &Arrival, differences: Vec<crate::matcher::Difference>) -> NearMiss {
    NearMiss { at_ms: stage.world.at_ms(arrival.at), actor: actor.name.clone(), what: show(&arrival.what), differences }
}

/// Nothing more has come once the fence is passed.
pub async fn nothing_more(stage: &Stage, step: &Step, nothing: &NothingMore) -> Result<(), Stop> {
    let place = nothing.place.as_ref().map(|place| crate::scenario::template::Template::render(place, stage)).transpose();
    let place = place.map_err(|unbound| Stop::unbound(step, &unbound))?;
    let observers: Vec<_> = nothing.actors.iter().map(|actor| stage.actors[*actor].clone()).collect();
    let senders: Vec<_> = match &nothing.after {
        Some(after) => after.iter().map(|actor| stage.actors[*actor].clone()).collect(),
        None => stage.actors.clone(),
    };
    fence::pass(stage, &senders, &observers, place).await;
    for actor in &observers {
        let mut unwanted = Vec::new();
        for arrival in unaccounted(stage, actor) {
            let counts = match &nothing.of {
                Some(happening) => holds(stage, happening, &arrival, &[]).map_err(|unbound| Stop::unbound(step, &unbound))?.is_ok(),
                None => true,
            };
            if counts {
                unwanted.push(near_miss(stage, actor, &arrival, Vec::new()));
            }
        }
        if let Some(first) = unwanted.first() {
            let summary = format!("{} received what must not come: {}", actor.name, first.what);
            let mut stop = Stop::new(step, StopKind::Mismatch, summary);
            let of = nothing.of.as_ref().map_or("message".to_owned(), |happening| expectation(stage, happening));
            stop.failure.expected = format!("no more {}", of.trim_start_matches("a "));
            stop.failure.actual = format!("{} of them", unwanted.len());
            stop.failure.near = unwanted.into_iter().take(NEAR).collect();
            return Err(stop);
        }
    }
    Ok(())
}

/// Every data message that has come so far is as it must be.
pub fn all_received(stage: &Stage, step: &Step, actors: &[usize], of: Option<&Pattern>, packet: &Pattern) -> Result<(), Stop> {
    let unbound = |unbound: Unbound| Stop::unbound(step, &unbound);
    for actor in actors {
        let actor = &stage.actors[*actor];
        for arrival in actor.inbox().map(|inbox| inbox.since(0)).unwrap_or_default() {
            let mismatch = match &arrival.what {
                Incoming::Text(_) => match arrival.json() {
                    Some(value) => {
                        let concerned = match of {
                            Some(of) => in_each_reading(stage, of, value).map_err(unbound)?.is_ok(),
                            None => true,
                        };
                        if !concerned {
                            continue;
                        }
                        in_each_reading(stage, packet, value).map_err(unbound)?.err()
                    }
                    None => Some(Mismatch::single("", "one JSON object", "no JSON")).filter(|_| of.is_none()),
                },
                Incoming::Binary(_) if of.is_none() => Some(Mismatch::single("", "a text message", "a binary message")),
                _ => None,
            };
            if let Some(mismatch) = mismatch {
                let first = mismatch.differences.first().map(|d| format!("{}: expected {}, got {}", d.path, d.expected, d.actual));
                let summary = format!(
                    "{} received a message that is not as it must be: {}",
                    actor.name,
                    first.unwrap_or_default().trim_start_matches(": ")
                );
                let mut stop = Stop::new(step, StopKind::Mismatch, summary);
                stop.failure.expected = format!("a text message that holds {}", describe(packet, stage));
                stop.failure.actual = show(&arrival.what);
                stop.failure.near = vec![near_miss(stage, actor, &arrival, Vec::new())];
                stop.failure.differences = mismatch.differences;
                return Err(stop);
            }
        }
    }
    Ok(())
}
