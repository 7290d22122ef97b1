//! HTTP steps: from a named request to an exchange, and its answer held against what is expected.

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::stage::{Records, Stage};
use super::stop::{Stop, StopKind};
use crate::event::{Event, Exchange, millis};
use crate::matcher::{Bindings, Difference, Mismatch, matches};
use crate::reading::Held;
use crate::scenario::pattern::{Pattern, glimpse, shorten};
use crate::scenario::step::{Alternative, Call, Happening, Listener, Placing, Request, Step};
use crate::scenario::template::{Unbound, as_text};
use crate::wire::http::{Answer, HttpFailure, Request as WireRequest};

/// Sends the request and holds the answer against the alternatives.
pub async fn play(stage: &Stage, step: &Step, call: &Call) -> Result<(), Stop> {
    let answer = exchange(stage, step, call, Company::Alone).await?;
    judge(stage, step, &call.expected, &answer)
}

/// Whether a request goes by itself, or shall reach the server together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    Alone,
    Burst,
}

/// Sends the request and waits for its answer.
pub async fn exchange(stage: &Stage, step: &Step, call: &Call, company: Company) -> Result<Answer, Stop> {
    let request = build(stage, call).map_err(|unbound| Stop::unbound(step, &unbound))?;
    let timeout = call.within.unwrap_or(stage.timeout());
    let sent = Instant::now();
    let client = &stage.world.target.http;
    let result = match company {
        Company::Alone => client.send(&request, timeout).await,
        Company::Burst => client.send_in_burst(&request, timeout).await,
    };
    let actor = stage.actors[call.actor].name.clone();
    if stage.world.records != Records::None {
        stage.world.emit(Event::Exchange(Exchange {
            at_ms: stage.world.at_ms(sent),
            took_ms: millis(sent.elapsed()),
            scenario: stage.scenario.to_string(),
            run: stage.run,
            actor: actor.clone(),
            method: request.method.clone(),
            url: request.url.clone(),
            body: request.body.as_deref().map(|body| stage.world.record(body)),
            status: result.as_ref().ok().map(|answer| answer.status),
            headers: result.as_ref().map(|answer| answer.headers.clone()).unwrap_or_default(),
            answer: result.as_ref().ok().map(|answer| stage.world.record(&answer.body)),
            failure: result.as_ref().err().map(ToString::to_string),
        }));
    }
    if result.is_ok() {
        stage.answered(Listener::Http);
    }
    result.map_err(|failure| {
        let kind = match failure {
            HttpFailure::Refused => stage.silence_of(Listener::Http),
            _ => StopKind::Missing,
        };
        let shown = shorten(&request.url);
        let mut stop = Stop::new(step, kind, format!("{actor}'s {} {shown} got no answer: {failure}", request.method));
        stop.failure.expected = "an HTTP answer".into();
        stop.failure.actual = failure.to_string();
        stop
    })
}

fn build(stage: &Stage, call: &Call) -> Result<WireRequest, Unbound> {
    match &call.what {
        Request::Any { method, path, headers, body } => Ok(WireRequest {
            method: method.render_text(stage)?,
            url: stage.world.target.http.url(&path.render_text(stage)?, &[]),
            headers: headers.iter().map(|(name, value)| Ok((name.clone(), value.render_text(stage)?))).collect::<Result<_, _>>()?,
            body: body.as_ref().map(|body| body.render_text(stage).map(Bytes::from)).transpose()?,
        }),
        Request::Named { name, with, way, as_written } => {
            let values = with.iter().map(|(key, value)| Ok((key.clone(), value.render(stage)?))).collect::<Result<Vec<_>, _>>()?;
            named(stage, name, values, way.as_deref(), *as_written)
        }
    }
}

fn named(stage: &Stage, name: &str, values: Vec<(String, Value)>, way: Option<&str>, as_written: bool) -> Result<WireRequest, Unbound> {
    let declarations = &stage.world.protocol.declarations;
    let request = declarations.requests.get(name).ok_or_else(|| Unbound(name.to_owned()))?;
    // Where no way could be found out, the first one is as good as any: the answer will show what is wrong.
    let held = stage.findings.held(&request.ways).first().map(String::as_str);
    let way = way.or(held).or_else(|| declarations.ways.keys().next().map(String::as_str)).unwrap_or_default();
    let way = declarations.ways.get(way).ok_or_else(|| Unbound(request.ways.clone()))?;
    let texts = || values.iter().map(|(key, value)| (key.clone(), as_text(value))).collect::<Vec<_>>();
    let client = &stage.world.target.http;
    let (url, content, body) = match way.parameters {
        Placing::Query => (client.url(&request.path, &texts()), None, None),
        Placing::Form => {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(texts()).finish();
            (client.url(&request.path, &[]), Some("application/x-www-form-urlencoded"), Some(form))
        }
        Placing::Json => {
            let typed = |key: &str, value: Value| {
                let reading = request.json_types.iter().find(|(parameter, _)| parameter == key && !as_written);
                match reading {
                    Some((_, reading)) => retype(value, stage.findings.held(reading).first().map(String::as_str)),
                    None => value,
                }
            };
            let body: Map<String, Value> = values.iter().map(|(key, value)| (key.clone(), typed(key, value.clone()))).collect();
            (client.url(&request.path, &[]), Some("application/json"), Some(Value::Object(body).to_string()))
        }
    };
    Ok(WireRequest {
        method: way.method.clone(),
        url,
        headers: content.map(|content| ("content-type".to_owned(), content.to_owned())).into_iter().collect(),
        body: body.map(Bytes::from),
    })
}

/// A parameter in the JSON type that the target takes.
fn retype(value: Value, wanted: Option<&str>) -> Value {
    match wanted {
        Some("string") => Value::String(as_text(&value)),
        _ => match value.as_str().map(str::parse::<i64>) {
            Some(Ok(number)) => Value::from(number),
            _ => value,
        },
    }
}

/// Holds an answer against alternatives, and binds what the matching one captures.
pub fn judge(stage: &Stage, step: &Step, expected: &[Alternative], answer: &Answer) -> Result<(), Stop> {
    let mut nearest: Option<(Mismatch, &Alternative)> = None;
    for alternative in expected {
        match holds(stage, alternative, answer).map_err(|unbound| Stop::unbound(step, &unbound))? {
            Ok(bindings) => {
                if let Some(mismatch) = strays(stage, alternative) {
                    return Err(differing(stage, step, &mismatch, answer));
                }
                bindings.into_iter().for_each(|(name, value)| stage.set(&name, value));
                alternative.reads.iter().for_each(|(reading, value)| stage.read(reading, value));
                return Ok(());
            }
            Err(mismatch) => {
                if nearest.as_ref().is_none_or(|(best, _)| mismatch.agreements > best.agreements) {
                    nearest = Some((mismatch, alternative));
                }
            }
        }
    }
    let mismatch = nearest.map(|(mismatch, _)| mismatch).unwrap_or_default();
    Err(differing(stage, step, &mismatch, answer))
}

/// An alternative that shows a reading other than those that this target follows elsewhere.
pub fn strays(stage: &Stage, alternative: &Alternative) -> Option<Mismatch> {
    alternative.reads.iter().find_map(|(reading, value)| match stage.findings.readings.get(reading) {
        Some(Held::Found { values } | Held::Pinned { values }) if !values.contains(value) => Some(Mismatch::single(
            &format!("reading {reading}"),
            format!("`{}`, which this target follows elsewhere", values.join("` and `")),
            format!("`{value}`"),
        )),
        _ => None,
    })
}

fn holds(stage: &Stage, alternative: &Alternative, answer: &Answer) -> Result<Result<Bindings, Mismatch>, Unbound> {
    let Happening::Answer { status, json, text, headers } = &alternative.happening else {
        return Ok(Err(Mismatch::default()));
    };
    let mut all = Judged::default();
    if let Some(status) = status.as_ref().or(stage.world.protocol.answer_status.as_ref()) {
        all.add("HTTP status", matches(status, Some(&Value::from(answer.status)), stage)?);
    }
    for (name, pattern) in headers {
        let value = answer.header(name).map(|value| Value::String(value.to_owned()));
        all.add(&format!("header {name}"), matches(pattern, value.as_ref(), stage)?);
    }
    let body = String::from_utf8_lossy(&answer.body);
    if let Some(pattern) = text {
        all.add("body", matches(pattern, Some(&Value::String(body.to_string())), stage)?);
    }
    if let Some(pattern) = json {
        match answer.json() {
            Some(value) => all.add("", in_each_reading(stage, pattern, value)?),
            None => all.add("", Err(Mismatch::single("body", "JSON", format!("`{}`, which is no JSON", glimpse(&body))))),
        }
    }
    Ok(all.finish())
}

/// Matches in every combination of the readings that the pattern names.
pub fn in_each_reading(stage: &Stage, pattern: &Pattern, actual: &Value) -> Result<Result<Bindings, Mismatch>, Unbound> {
    let mut named = BTreeSet::new();
    pattern.readings(&mut named);
    if let Some(unknown) = named.iter().find(|reading| stage.findings.held(reading).is_empty()) {
        return Err(Unbound(unknown.clone()));
    }
    let mut all = Judged::default();
    for stage in stage.combinations(&named) {
        all.add("", matches(pattern, Some(actual), &stage)?);
    }
    Ok(all.finish())
}

/// Puts the judgements of several parts together.
#[derive(Default)]
struct Judged {
    bindings: Bindings,
    mismatch: Mismatch,
}

impl Judged {
    fn add(&mut self, prefix: &str, part: Result<Bindings, Mismatch>) {
        match part {
            Ok(bindings) => {
                self.mismatch.agreements += 1;
                self.bindings.extend(bindings);
            }
            Err(mismatch) => {
                self.mismatch.agreements += mismatch.agreements;
                let prefixed = mismatch.differences.into_iter().map(|difference| Difference {
                    path: [prefix, &difference.path].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" "),
                    ..difference
                });
                self.mismatch.differences.extend(prefixed);
            }
        }
    }

    fn finish(self) -> Result<Bindings, Mismatch> {
        if self.mismatch.differences.is_empty() { Ok(self.bindings) } else { Err(self.mismatch) }
    }
}

fn differing(stage: &Stage, step: &Step, mismatch: &Mismatch, answer: &Answer) -> Stop {
    let first = mismatch.differences.first();
    let summary = match first {
        Some(difference) if difference.path.is_empty() => format!("expected {}, got {}", difference.expected, difference.actual),
        Some(difference) => format!("{}: expected {}, got {}", difference.path, difference.expected, difference.actual),
        None => "the answer is not what was expected".to_owned(),
    };
    let mut stop = Stop::new(step, StopKind::Mismatch, summary);
    stop.failure.actual = format!("HTTP status {}, body {}", answer.status, shorten(&String::from_utf8_lossy(&answer.body)));
    stop.failure.differences.clone_from(&mismatch.differences);
    stop.failure.hints = undocumented(stage, mismatch.differences.iter());
    stop
}

/// Says of each text that the document doesn't list which listed one is nearest.
pub fn undocumented<'a>(stage: &Stage, differences: impl Iterator<Item = &'a Difference>) -> Vec<String> {
    let texts = &stage.world.protocol.declarations.registry.texts;
    let quoted = |text: &str| serde_json::from_str::<String>(text).ok();
    let mut hints = Vec::new();
    for difference in differences {
        let (Some(expected), Some(actual)) = (quoted(&difference.expected), quoted(&difference.actual)) else {
            continue;
        };
        if !texts.contains(&expected) || texts.contains(&actual) || actual.is_empty() {
            continue;
        }
        let hint = match crate::scenario::source::nearest(&actual, texts.iter().map(String::as_str)) {
            Some(near) => format!("the document lists no text {actual:?}; the nearest that it lists is {near:?}"),
            None => format!("the document lists no text {actual:?}, and none like it"),
        };
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}
