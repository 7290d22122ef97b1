//! Plays steps, one after the other or at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;

use super::stage::{ActorState, Stage};
use super::stop::{Stop, StopKind};
use super::{call, fence, receive};
use crate::event::{Direction, Event};
use crate::matcher::matches;
use crate::reading::{Holding, all_hold};
use crate::scenario::pattern::Pattern;
use crate::scenario::step::{Action, Blob, Call, Claim, FrameSpec, Listener, Payload, Step};
use crate::scenario::template::{Template, Unbound, as_text};
use crate::verdict::Outcome;
use crate::wire::ws::{Connection, Frame};

/// How long `eventually` waits before it tries again.
const AGAIN: Duration = Duration::from_millis(50);

type Played<'a> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'a>>;

/// Plays a scenario's steps. A need that is unmet by a wrong answer doesn't stop them, where it names its requirement: only
/// if something else fails too, the first such need is blamed for it.
pub async fn scenario(stage: &Stage, steps: &[Step]) -> Result<(), Stop> {
    self::steps(stage, steps).await.map_err(|stop| match stage.first_unmet_need() {
        Some(unmet) if stop.kind != StopKind::Broken => unmet.followed_by(&stop),
        _ => stop,
    })
}

/// Plays steps in their order, up to the first that stops them.
pub fn steps<'a>(stage: &'a Stage, steps: &'a [Step]) -> Played<'a> {
    Box::pin(async move {
        for step in steps {
            match one(stage, step).await {
                Err(stop) if stage.tolerant && stop.is_unmet_need() => stage.unmet_need(stop),
                played => played?,
            }
        }
        Ok(())
    })
}

/// Plays one step, and logs what came of it.
pub async fn one(stage: &Stage, step: &Step) -> Result<(), Stop> {
    let (result, note) = match all_hold(&step.when, &stage.findings) {
        Holding::Yes => (action(stage, step).await, String::new()),
        Holding::No(why) => {
            log(stage, step, Outcome::Skipped, why);
            return Ok(());
        }
        Holding::Unknown(why, blocked_by) => {
            let mut stop = Stop::new(step, StopKind::Unknown, why);
            stop.failure.requirements = blocked_by;
            (Err(stop), String::new())
        }
    };
    let (outcome, note) = match &result {
        Ok(()) => {
            if let Claim::Proves(ids) = &step.claim {
                stage.proved(ids);
            }
            (Outcome::Pass, note)
        }
        Err(stop) => (outcome_of(stop), stop.failure.summary.clone()),
    };
    log(stage, step, outcome, note);
    result.map_err(|mut stop| {
        stop.failure.at_ms = stage.world.now_ms();
        stop
    })
}

fn log(stage: &Stage, step: &Step, outcome: Outcome, note: String) {
    stage.world.emit(Event::Step {
        at_ms: stage.world.now_ms(),
        scenario: stage.scenario.to_string(),
        run: stage.run,
        place: step.span.to_string(),
        outcome,
        note,
    });
}

/// What a stop means for the step that it ended.
pub fn outcome_of(stop: &Stop) -> Outcome {
    match (stop.kind, &stop.claim) {
        (StopKind::Broken, _) => Outcome::Error,
        (StopKind::Mismatch | StopKind::Missing, Claim::Proves(_)) => Outcome::Fail,
        _ => Outcome::CouldNotTest,
    }
}

fn connection(stage: &Stage, step: &Step, actor: usize) -> Result<(Arc<ActorState>, Arc<Connection>), Stop> {
    let actor = stage.actors[actor].clone();
    match actor.connection() {
        Some(connection) => Ok((actor, connection)),
        None => Err(Stop::new(step, StopKind::Broken, format!("{} has no connection", actor.name))),
    }
}

async fn action(stage: &Stage, step: &Step) -> Result<(), Stop> {
    let unbound = |unbound: Unbound| Stop::unbound(step, &unbound);
    match &step.action {
        Action::Call(call) => call::play(stage, step, call).await,
        Action::Connect(actors) => {
            let opening = actors.iter().map(|actor| connect(stage, step, *actor));
            join_all(opening).await.into_iter().collect()
        }
        Action::Open { actor, listener } => open(stage, step, *actor, *listener).await,
        Action::Send { actor, payload } => {
            let (opcode, kind, bytes) = match payload {
                Payload::Packet(template) => (0x1, "text", template.render(stage).map_err(unbound)?.to_string()),
                Payload::Text(template) => (0x1, "text", template.render_text(stage).map_err(unbound)?),
                Payload::Binary(template) => (0x2, "binary", template.render_text(stage).map_err(unbound)?),
            };
            send(stage, step, *actor, kind, Frame::new(opcode, Bytes::from(bytes))).await
        }
        Action::Frame { actor, frame } => {
            let FrameSpec { opcode, fin, masked, reserved_bit, payload } = &**frame;
            let payload = blob(stage, payload).map_err(unbound)?;
            let frame = Frame { opcode: *opcode, fin: *fin, masked: *masked, reserved_bit: *reserved_bit, payload };
            let kind =
                format!("frame opcode {opcode:#x}{}{}", if *fin { "" } else { ", not final" }, if *masked { "" } else { ", unmasked" });
            send(stage, step, *actor, &kind, frame).await
        }
        Action::Bytes { actor, bytes } => {
            let bytes = blob(stage, bytes).map_err(unbound)?;
            let (actor, connection) = connection(stage, step, *actor)?;
            stage.log(&actor.name, Direction::Sent, "bytes", Some(&bytes));
            written(stage, step, &actor, connection.send_bytes(&bytes)).await
        }
        Action::Receive(expected) => receive::play(stage, step, expected).await,
        Action::NothingMore(nothing) => receive::nothing_more(stage, step, nothing).await,
        Action::Fence { actors, place, only } => pass_fence(stage, step, actors, place.as_ref(), only.as_deref()).await,
        Action::AllReceived { actors, of, packet } => receive::all_received(stage, step, actors, of.as_ref(), packet),
        Action::Close { actor, code, reason } => send(stage, step, *actor, "close", Frame::close(*code, reason)).await,
        Action::Abort(actors) => {
            for actor in actors {
                let (actor, connection) = connection(stage, step, *actor)?;
                stage.log(&actor.name, Direction::Here, "reset", None);
                actor.disconnect();
                connection.abort();
            }
            Ok(())
        }
        Action::HangUp(actors) => {
            for actor in actors {
                let (actor, connection) = connection(stage, step, *actor)?;
                stage.log(&actor.name, Direction::Here, "hang-up", None);
                actor.disconnect();
                connection.hang_up().await;
            }
            Ok(())
        }
        Action::Pause(actors) => pause(stage, step, actors, true),
        Action::Resume(actors) => pause(stage, step, actors, false),
        Action::AtOnce(steps) => join_all(steps.iter().map(|step| one(stage, step))).await.into_iter().collect(),
        Action::AtOnceCalls { times, counter, call, exactly, answer, others } => {
            let tally = Tally { times, counter: counter.as_deref(), exactly, answer, others: others.as_ref() };
            at_once(stage, step, call, &tally).await
        }
        Action::Repeat { times, counter, count, until, steps } => {
            let times = times.render(stage).map_err(unbound)?.as_u64().unwrap_or(0);
            let mut rounds = 0;
            for round in 1..=times {
                let inner = match counter {
                    Some(counter) => stage.with_local(counter, Value::from(round)),
                    None => stage.clone(),
                };
                self::steps(&inner, steps).await?;
                if let Some((that, is)) = until
                    && matches(is, Some(&that.render(&inner).map_err(unbound)?), &inner).map_err(unbound)?.is_ok()
                {
                    break;
                }
                rounds = round;
            }
            if let Some(count) = count {
                stage.set(count, Value::from(rounds));
            }
            Ok(())
        }
        Action::Eventually { within, steps } => {
            let deadline = Instant::now() + stage.world.timing.within(&step.claim).or(*within).unwrap_or(stage.timeout());
            let stage = &stage.strict();
            loop {
                match self::steps(stage, steps).await {
                    Err(stop) if Instant::now() >= deadline || matches!(stop.kind, StopKind::Broken | StopKind::Unknown) => {
                        return Err(stop);
                    }
                    Err(_) => tokio::time::sleep(AGAIN).await,
                    Ok(()) => return Ok(()),
                }
            }
        }
        Action::Check { that, is } => check(stage, step, that, is),
        Action::Memory { name } => {
            match stage.world.target.resident_bytes() {
                Some(bytes) => stage.set(name, Value::from(bytes)),
                None => return Err(Stop::new(step, StopKind::Unknown, "the memory of the target's process can't be measured here")),
            }
            Ok(())
        }
    }
}

fn blob(stage: &Stage, blob: &Blob) -> Result<Bytes, Unbound> {
    match blob {
        Blob::Text(template) => template.render_text(stage).map(Bytes::from),
        Blob::Bytes(bytes) => Ok(bytes.clone()),
    }
}

async fn connect(stage: &Stage, step: &Step, actor: usize) -> Result<(), Stop> {
    let actor = &stage.actors[actor];
    let endpoint = &stage.world.target.ws;
    match Connection::open(endpoint, stage.timeout(), stage.observer(&actor.name)).await {
        Ok(connection) => {
            stage.answered(Listener::Ws);
            stage.log(&actor.name, Direction::Here, "connect", Some(endpoint.url.as_str().as_bytes()));
            actor.connected(connection);
            Ok(())
        }
        Err(failure) => {
            let kind = if failure.is_absence() { stage.silence_of(Listener::Ws) } else { StopKind::Missing };
            let mut stop = Stop::new(step, kind, format!("{} got no WebSocket connection to {}: {failure}", actor.name, endpoint.url));
            stop.failure.expected = "HTTP status 101 and a WebSocket connection".into();
            stop.failure.actual = failure.to_string();
            stage.log(&actor.name, Direction::Here, "no connection", Some(failure.to_string().as_bytes()));
            Err(stop)
        }
    }
}

async fn open(stage: &Stage, step: &Step, actor: usize, listener: Listener) -> Result<(), Stop> {
    let actor = &stage.actors[actor];
    let endpoint = match listener {
        Listener::Http => &stage.world.target.http_endpoint,
        Listener::Ws => &stage.world.target.ws,
    };
    match Connection::open_plain(endpoint, stage.timeout(), stage.observer(&actor.name)).await {
        Ok(connection) => {
            stage.log(&actor.name, Direction::Here, "plain connection", Some(endpoint.url.as_str().as_bytes()));
            actor.connected(connection);
            Ok(())
        }
        Err(failure) => {
            Err(Stop::new(step, stage.silence_of(listener), format!("{} got no connection to {}: {failure}", actor.name, endpoint.url)))
        }
    }
}

async fn send(stage: &Stage, step: &Step, actor: usize, kind: &str, frame: Frame) -> Result<(), Stop> {
    let (actor, connection) = connection(stage, step, actor)?;
    stage.log(&actor.name, Direction::Sent, kind, Some(&frame.payload));
    written(stage, step, &actor, connection.send(&frame)).await
}

/// A write that fails is no failure of the step: how the connection ended is for the step that expects something.
async fn written(stage: &Stage, step: &Step, actor: &ActorState, writing: impl Future<Output = std::io::Result<()>>) -> Result<(), Stop> {
    match tokio::time::timeout(stage.timeout(), writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            stage.log(&actor.name, Direction::Here, "write failed", Some(error.to_string().as_bytes()));
            Ok(())
        }
        Err(_) => {
            let limit = humantime::format_duration(stage.timeout()).to_string();
            Err(Stop::new(step, StopKind::Missing, format!("the server took no more of what {} sends for {limit}", actor.name)))
        }
    }
}

fn pause(stage: &Stage, step: &Step, actors: &[usize], paused: bool) -> Result<(), Stop> {
    for actor in actors {
        let (actor, connection) = connection(stage, step, *actor)?;
        stage.log(&actor.name, Direction::Here, if paused { "stops reading" } else { "reads again" }, None);
        actor.set_paused(paused);
        connection.pause(paused);
    }
    Ok(())
}

async fn pass_fence(stage: &Stage, step: &Step, actors: &[usize], place: Option<&Template>, only: Option<&str>) -> Result<(), Stop> {
    let place = place.map(|place| place.render(stage)).transpose().map_err(|unbound| Stop::unbound(step, &unbound))?;
    let actors: Vec<_> = actors.iter().map(|actor| stage.actors[*actor].clone()).collect();
    let Some(only) = only else {
        fence::pass(stage, &[], &actors, place).await;
        return Ok(());
    };
    let fence = stage.world.protocol.fences.iter().find(|fence| fence.id == only);
    for actor in &actors {
        let passed = match fence {
            Some(fence) => fence::once(stage, fence, actor, place.clone()).await,
            None => false,
        };
        if !passed {
            return Err(Stop::new(step, StopKind::Missing, format!("{} did not get through the fence `{only}`", actor.name)));
        }
    }
    Ok(())
}

fn check(stage: &Stage, step: &Step, that: &Template, is: &Pattern) -> Result<(), Stop> {
    let unbound = |unbound: Unbound| Stop::unbound(step, &unbound);
    let actual = that.render(stage).map_err(unbound)?;
    match call::in_each_reading(stage, is, &actual).map_err(unbound)? {
        Ok(bindings) => {
            bindings.into_iter().for_each(|(name, value)| stage.set(&name, value));
            Ok(())
        }
        Err(mismatch) => {
            let first = mismatch.differences.first();
            let summary = first.map_or(String::new(), |d| format!("expected {}, got {}", d.expected, d.actual));
            let mut stop = Stop::new(step, StopKind::Mismatch, summary);
            stop.failure.actual = as_text(&actual);
            stop.failure.hints = call::undocumented(stage, mismatch.differences.iter());
            stop.failure.differences = mismatch.differences;
            Err(stop)
        }
    }
}

/// How many of the answers to simultaneous calls must be what.
struct Tally<'a> {
    times: &'a Template,
    counter: Option<&'a str>,
    exactly: &'a Template,
    answer: &'a Pattern,
    others: Option<&'a Pattern>,
}

async fn at_once(stage: &Stage, step: &Step, call: &Call, tally: &Tally<'_>) -> Result<(), Stop> {
    let unbound = |unbound: Unbound| Stop::unbound(step, &unbound);
    let number = |template: &Template| Ok::<u64, Unbound>(template.render(stage)?.as_u64().unwrap_or(0));
    let times = number(tally.times).map_err(unbound)?;
    let exactly = number(tally.exactly).map_err(unbound)?;
    let stages: Vec<Stage> = (1..=times)
        .map(|time| match tally.counter {
            Some(counter) => stage.with_local(counter, Value::from(time)),
            None => stage.clone(),
        })
        .collect();
    let answers = join_all(stages.iter().map(|stage| call::exchange(stage, step, call, call::Company::Burst))).await;
    let mut matched = 0;
    let mut shown: Vec<String> = Vec::new();
    let mut stray = None;
    for answer in answers {
        let answer = answer?;
        let value = answer.json().cloned().unwrap_or(Value::Null);
        if call::in_each_reading(stage, tally.answer, &value).map_err(unbound)?.is_ok() {
            matched += 1;
        } else if let Some(others) = tally.others
            && let Err(mismatch) = call::in_each_reading(stage, others, &value).map_err(unbound)?
        {
            stray = Some((mismatch, value.clone()));
        }
        let text = crate::scenario::pattern::shorten(&String::from_utf8_lossy(&answer.body));
        if !shown.contains(&text) {
            shown.push(text);
        }
    }
    if matched == exactly && stray.is_none() {
        return Ok(());
    }
    let wanted = crate::scenario::pattern::describe(tally.answer, stage);
    let summary = if matched == exactly {
        let (_, value) = stray.as_ref().map_or((Default::default(), Value::Null), Clone::clone);
        format!("of {times} simultaneous requests, one of the others was answered {value}")
    } else {
        format!("of {times} simultaneous requests, {matched} were answered {wanted}, not {exactly}")
    };
    let mut stop = Stop::new(step, StopKind::Mismatch, summary);
    stop.failure.expected = format!("exactly {exactly} answers {wanted}");
    stop.failure.actual = format!("{matched} such answers; the answers were {}", shown.join(", "));
    stop.failure.differences = stray.map(|(mismatch, _)| mismatch.differences).unwrap_or_default();
    Err(stop)
}
