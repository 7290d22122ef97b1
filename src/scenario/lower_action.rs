//! From a step's shape to the action that is played.

use std::time::Duration;

use bytes::Bytes;

use super::lower::{Lowering, Table, Through};
use super::pattern::Pattern;
use super::source::{Diagnostic, Span, suggest};
use super::step::{Action, Actor, Alternative, Blob, Call, FrameSpec, Happening, NothingMore, Payload, Receive, Request};
use super::step_file::{
    AlternativeShape, AtOnceShape, CallShape, CheckShape, EndShape, FrameShape, HttpShape, NothingMoreShape, OpcodeShape, ReceiveShape,
    StepShape,
};
use super::template::Template;
use super::yaml::{Lasting, Names, Node, Pairs, Spanned};

impl Lowering<'_> {
    fn actor(&self, name: &str, span: &Span, table: &Table<'_>) -> Option<Actor> {
        let plain = name.strip_prefix('$').unwrap_or(name);
        let found = table.actors.iter().position(|actor| actor == plain);
        if found.is_none() {
            let help = suggest(plain, table.actors.iter().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(span, format!("the scenario has no actor `{plain}`")).help(help));
        }
        found
    }

    fn actors(&self, names: &Names, table: &Table<'_>) -> Option<Vec<Actor>> {
        names.0.iter().map(|name| self.actor(&name.value, &name.span, table)).collect()
    }

    fn template(&self, node: &Node, table: &Table<'_>) -> Template {
        Template::lower(node, table, self.diagnostics)
    }

    fn pattern(&self, node: &Node, table: &Table<'_>) -> Pattern {
        let mut captures = Vec::new();
        let pattern = Pattern::lower(node, table, &mut captures, self.diagnostics);
        table.names.borrow_mut().extend(captures);
        pattern
    }

    /// The action of a step's verb; `None` where something is wrong with it, which was reported.
    pub(super) fn action(&self, shape: StepShape, table: &Table<'_>, through: &Through) -> Option<Action> {
        let one = |name: &Spanned<String>| self.actor(&name.value, &name.span, table);
        if let Some(call) = shape.request {
            return self.named_call(call, table).map(Action::Call);
        }
        if let Some(http) = shape.http {
            return self.any_call(http, table).map(Action::Call);
        }
        if let Some(names) = shape.connect {
            return self.actors(&names, table).map(Action::Connect);
        }
        if let Some(open) = shape.open {
            return Some(Action::Open { actor: one(&open.actor)?, listener: open.listener });
        }
        if let Some(send) = shape.send {
            let payload = match (&send.packet, &send.text, &send.binary) {
                (Some(node), None, None) => Payload::Packet(self.template(node, table)),
                (None, Some(node), None) => Payload::Text(self.template(node, table)),
                (None, None, Some(node)) => Payload::Binary(self.template(node, table)),
                _ => {
                    self.diagnostics.error(&send.actor.span, "`send` takes exactly one of `packet`, `text` and `binary`");
                    return None;
                }
            };
            return Some(Action::Send { actor: one(&send.actor)?, payload });
        }
        if let Some(frame) = shape.frame {
            return self.frame(frame, table);
        }
        if let Some(bytes) = shape.bytes {
            let blob = self.blob(bytes.text.as_ref(), bytes.hex.as_ref(), &bytes.actor.span, table);
            return Some(Action::Bytes { actor: one(&bytes.actor)?, bytes: blob });
        }
        if let Some(receive) = shape.receive {
            return self.receive(receive, table).map(Action::Receive);
        }
        if let Some(nothing) = shape.nothing_more {
            return self.nothing_more(&nothing, table).map(Action::NothingMore);
        }
        if let Some(fence) = shape.fence {
            if let Some(only) = &fence.only
                && !self.declarations.fences.contains(&only.value)
            {
                let help = suggest(&only.value, self.declarations.fences.iter().map(String::as_str).collect::<Vec<_>>());
                self.diagnostics.push(Diagnostic::new(&only.span, format!("there is no fence `{}`", only.value)).help(help));
            }
            return Some(Action::Fence {
                actors: self.actors(&fence.actors, table)?,
                place: fence.place.as_ref().map(|node| self.template(node, table)),
                only: fence.only.map(|only| only.value),
            });
        }
        if let Some(all) = shape.all_received {
            return Some(Action::AllReceived {
                actors: self.actors(&all.actors, table)?,
                of: all.of.as_ref().map(|node| self.pattern(node, table)),
                packet: self.pattern(&all.packet, table),
            });
        }
        if let Some(close) = shape.close {
            return Some(Action::Close { actor: one(&close.actor)?, code: close.code, reason: close.reason.unwrap_or_default() });
        }
        if let Some(names) = shape.abort {
            return self.actors(&names, table).map(Action::Abort);
        }
        if let Some(names) = shape.hang_up {
            return self.actors(&names, table).map(Action::HangUp);
        }
        if let Some(names) = shape.pause {
            return self.actors(&names, table).map(Action::Pause);
        }
        if let Some(names) = shape.resume {
            return self.actors(&names, table).map(Action::Resume);
        }
        if let Some(at_once) = shape.at_once {
            return self.at_once(at_once, table, through);
        }
        if let Some(repeat) = shape.repeat {
            let times = self.template(&repeat.times, table);
            let counter = repeat.counter.map(|name| self.declare(name, table));
            let steps = self.steps(&repeat.steps, table, through);
            let until = repeat.until.map(|check| self.check(&check, table));
            let count = repeat.count.map(|name| self.declare(name, table));
            return Some(Action::Repeat { times, counter, count, until, steps });
        }
        if let Some(eventually) = shape.eventually {
            return Some(Action::Eventually { within: duration(eventually.within), steps: self.steps(&eventually.steps, table, through) });
        }
        if let Some(check) = shape.check {
            let (that, is) = self.check(&check, table);
            return Some(Action::Check { that, is });
        }
        shape.memory.map(|memory| Action::Memory { name: self.declare(memory.name, table) })
    }

    fn declare(&self, name: Spanned<String>, table: &Table<'_>) -> String {
        self.check_name(&name, &[], &[]);
        table.names.borrow_mut().push(name.value.clone());
        name.value
    }

    fn check(&self, check: &CheckShape, table: &Table<'_>) -> (Template, Pattern) {
        (self.template(&check.that, table), self.pattern(&check.is, table))
    }

    fn named_call(&self, call: CallShape, table: &Table<'_>) -> Option<Call> {
        let requests = &self.declarations.requests;
        let Some(request) = requests.get(&call.call.value) else {
            let help = suggest(&call.call.value, requests.keys().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(&call.call.span, format!("requests.yaml has no `{}`", call.call.value)).help(help));
            return None;
        };
        for (key, _) in &call.with.0 {
            if !request.parameters.contains(&key.value) {
                let help = suggest(&key.value, request.parameters.iter().map(String::as_str).collect::<Vec<_>>());
                self.diagnostics
                    .push(Diagnostic::new(&key.span, format!("`{}` has no parameter `{}`", call.call.value, key.value)).help(help));
            }
        }
        if let Some(way) = &call.way
            && !self.declarations.ways.contains_key(&way.value)
        {
            let help = suggest(&way.value, self.declarations.ways.keys().map(String::as_str).collect::<Vec<_>>());
            self.diagnostics.push(Diagnostic::new(&way.span, format!("requests.yaml has no way `{}`", way.value)).help(help));
        }
        let with = call.with.0.iter().map(|(key, value)| (key.value.clone(), self.template(value, table))).collect();
        let alternative = AlternativeShape {
            status: call.status,
            answer: call.answer,
            text: call.text,
            headers: call.headers,
            ..AlternativeShape::default()
        };
        Some(Call {
            actor: self.actor(&call.actor.value, &call.actor.span, table)?,
            what: Request::Named { name: call.call.value, with, way: call.way.map(|way| way.value), as_written: call.as_written },
            expected: self.answers(&call.call.span, alternative, call.one_of, table),
            within: duration(call.within),
        })
    }

    fn any_call(&self, http: HttpShape, table: &Table<'_>) -> Option<Call> {
        let alternative = AlternativeShape {
            status: http.status,
            answer: http.answer,
            text: http.text,
            headers: http.headers,
            ..AlternativeShape::default()
        };
        Some(Call {
            actor: self.actor(&http.actor.value, &http.actor.span, table)?,
            what: Request::Any {
                method: self.template(&http.method, table),
                path: self.template(&http.path, table),
                headers: http.send_headers.0.iter().map(|(key, value)| (key.value.clone(), self.template(value, table))).collect(),
                body: http.body.as_ref().map(|body| self.template(body, table)),
            },
            expected: self.answers(&http.actor.span, alternative, http.one_of, table),
            within: duration(http.within),
        })
    }

    fn answers(&self, span: &Span, single: AlternativeShape, one_of: Option<Vec<AlternativeShape>>, table: &Table<'_>) -> Vec<Alternative> {
        let given = single.status.is_some() || single.answer.is_some() || single.text.is_some() || single.headers.is_some();
        match one_of {
            Some(_) if given => {
                self.diagnostics.error(span, "an answer is expected either directly or by `one-of`");
                Vec::new()
            }
            Some(alternatives) => alternatives.into_iter().map(|shape| self.answer(shape, table)).collect(),
            None => vec![self.answer(single, table)],
        }
    }

    fn answer(&self, shape: AlternativeShape, table: &Table<'_>) -> Alternative {
        let other = shape.packet.or(shape.binary).or(shape.pong).or(shape.stream);
        if let Some(node) = &other {
            self.diagnostics.error(&node.span, "this is a WebSocket's; an HTTP answer has `status`, `answer`, `text` and `headers`");
        }
        let happening = Happening::Answer {
            status: shape.status.as_ref().map(|node| self.pattern(node, table)),
            json: shape.answer.as_ref().map(|node| self.pattern(node, table)),
            text: shape.text.as_ref().map(|node| self.pattern(node, table)),
            headers: shape
                .headers
                .unwrap_or_default()
                .0
                .iter()
                .map(|(key, value)| (key.value.to_lowercase(), self.pattern(value, table)))
                .collect(),
        };
        Alternative { happening, reads: self.reads(&shape.reads) }
    }

    fn reads(&self, reads: &Pairs<Spanned<String>>) -> Vec<(String, String)> {
        let readings = &self.declarations.readings;
        let mut found = Vec::new();
        for (key, value) in &reads.0 {
            match readings.get(&key.value) {
                Some(reading) => {
                    found.extend(self.reading_value(reading, &value.value, &value.span).map(|value| (key.value.clone(), value)))
                }
                None => {
                    let help = suggest(&key.value, readings.keys().map(String::as_str).collect::<Vec<_>>());
                    self.diagnostics.push(Diagnostic::new(&key.span, format!("no reading is called `{}`", key.value)).help(help));
                }
            }
        }
        found
    }

    fn happening(&self, shape: AlternativeShape, span: &Span, table: &Table<'_>) -> Option<Alternative> {
        let reads = self.reads(&shape.reads);
        if let Some(node) = shape.answer.as_ref().or(shape.status.as_ref()) {
            self.diagnostics
                .error(&node.span, "this is an HTTP answer's; a connection receives `packet`, `text`, `binary`, `pong` or `end`");
        }
        let mut found = Vec::new();
        if let Some(node) = &shape.packet {
            found.push(Happening::Packet(self.pattern(node, table)));
        }
        if let Some(node) = &shape.text {
            found.push(Happening::Text(self.pattern(node, table)));
        }
        if let Some(node) = &shape.binary {
            found.push(Happening::Binary(self.pattern(node, table)));
        }
        if let Some(node) = &shape.pong {
            found.push(Happening::Pong(self.pattern(node, table)));
        }
        if let Some(node) = &shape.stream {
            found.push(Happening::Stream(self.pattern(node, table)));
        }
        if let Some(EndShape { how, code }) = &shape.end {
            found.push(Happening::End { how: how.clone(), code: code.as_ref().map(|node| self.pattern(node, table)) });
        }
        if shape.nothing {
            found.push(Happening::Nothing);
        }
        match found.pop() {
            Some(happening) if found.is_empty() => Some(Alternative { happening, reads }),
            _ => {
                self.diagnostics.error(span, "expected exactly one of `packet`, `text`, `binary`, `pong`, `stream`, `end` and `nothing`");
                None
            }
        }
    }

    fn receive(&self, shape: ReceiveShape, table: &Table<'_>) -> Option<Receive> {
        let span = shape.actor.0.first()?.span.clone();
        let actors = self.actors(&shape.actor, table)?;
        let single = AlternativeShape {
            packet: shape.packet,
            text: shape.text,
            binary: shape.binary,
            pong: shape.pong,
            end: shape.end,
            stream: shape.stream,
            ..AlternativeShape::default()
        };
        let expected = match (shape.one_of, shape.in_order) {
            (None, None) => vec![vec![self.happening(single, &span, table)?]],
            (Some(alternatives), None) => {
                vec![alternatives.into_iter().map(|shape| self.happening(shape, &span, table)).collect::<Option<_>>()?]
            }
            (None, Some(packets)) => packets
                .iter()
                .map(|node| vec![Alternative { happening: Happening::Packet(self.pattern(node, table)), reads: Vec::new() }])
                .collect(),
            (Some(_), Some(_)) => {
                self.diagnostics.error(&span, "`one-of` and `in-order` don't go together");
                return None;
            }
        };
        Some(Receive { actors, expected, within: duration(shape.within) })
    }

    fn nothing_more(&self, nothing: &NothingMoreShape, table: &Table<'_>) -> Option<NothingMore> {
        let of = match (&nothing.packet, &nothing.text) {
            (Some(node), None) => Some(Happening::Packet(self.pattern(node, table))),
            (None, Some(node)) => Some(Happening::Text(self.pattern(node, table))),
            (None, None) => None,
            (Some(_), Some(node)) => {
                self.diagnostics.error(&node.span, "`nothing-more` takes `packet` or `text`, not both");
                None
            }
        };
        Some(NothingMore {
            actors: self.actors(&nothing.actors, table)?,
            of,
            place: nothing.place.as_ref().map(|node| self.template(node, table)),
            after: match &nothing.after {
                Some(names) => Some(self.actors(names, table)?),
                None => None,
            },
        })
    }

    fn frame(&self, shape: FrameShape, table: &Table<'_>) -> Option<Action> {
        let payload = match (&shape.text, &shape.hex) {
            (None, None) => Blob::Bytes(Bytes::new()),
            _ => self.blob(shape.text.as_ref(), shape.hex.as_ref(), &shape.actor.span, table),
        };
        Some(Action::Frame {
            actor: self.actor(&shape.actor.value, &shape.actor.span, table)?,
            frame: Box::new(FrameSpec {
                opcode: match shape.opcode {
                    OpcodeShape::Continuation => 0x0,
                    OpcodeShape::Text => 0x1,
                    OpcodeShape::Binary => 0x2,
                    OpcodeShape::Reserved => 0x3,
                    OpcodeShape::Close => 0x8,
                    OpcodeShape::Ping => 0x9,
                    OpcodeShape::Pong => 0xA,
                },
                fin: shape.fin.unwrap_or(true),
                masked: shape.masked.unwrap_or(true),
                reserved_bit: shape.reserved_bit,
                payload,
            }),
        })
    }

    fn blob(&self, text: Option<&Node>, hex: Option<&Spanned<String>>, span: &Span, table: &Table<'_>) -> Blob {
        match (text, hex) {
            (Some(text), None) => Blob::Text(self.template(text, table)),
            (None, Some(hex)) => match from_hex(&hex.value) {
                Some(bytes) => Blob::Bytes(bytes),
                None => {
                    self.diagnostics.error(&hex.span, "not hexadecimal: two digits for each byte, spaces between them as you like");
                    Blob::Bytes(Bytes::new())
                }
            },
            _ => {
                self.diagnostics.error(span, "expected `text` or `hex`");
                Blob::Bytes(Bytes::new())
            }
        }
    }

    fn at_once(&self, shape: AtOnceShape, table: &Table<'_>, through: &Through) -> Option<Action> {
        if let Some(steps) = &shape.steps {
            return Some(Action::AtOnce(self.steps(steps, table, through)));
        }
        let (Some(times), Some(call), Some(exactly), Some(answer)) = (&shape.times, shape.request, &shape.exactly, &shape.answer) else {
            let span = through.spans.last().cloned();
            let span = span.or_else(|| shape.times.as_ref().map(|node| node.span.clone()));
            if let Some(span) = span {
                self.diagnostics.error(&span, "`at-once` takes `steps`, or `times`, `request`, `exactly` and `answer`");
            }
            return None;
        };
        let times = self.template(times, table);
        let counter = shape.counter.map(|name| self.declare(name, table));
        Some(Action::AtOnceCalls {
            times,
            counter,
            call: Box::new(self.named_call(call, table)?),
            exactly: self.template(exactly, table),
            answer: self.pattern(answer, table),
            others: shape.others.as_ref().map(|node| self.pattern(node, table)),
        })
    }
}

fn duration(lasting: Option<Lasting>) -> Option<Duration> {
    lasting.map(|lasting| lasting.0)
}

fn from_hex(text: &str) -> Option<Bytes> {
    let digits: Vec<u32> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}
