//! Scenarios ready to be played: every name resolved, every fragment put in its place, every case a scenario of its own.

use std::time::Duration;

use bytes::Bytes;

pub use super::file::{Placing, Turn};
use super::pattern::Pattern;
use super::source::Span;
pub use super::step_file::{EndKind, Listener};
use super::template::Template;
use crate::reading::Condition;
use crate::requirement::RequirementId;

/// A scenario, or one case of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `area.behaviour`, or `area.behaviour/case`.
    pub id: String,
    pub title: String,
    /// The folder that the file stands in.
    pub area: String,
    pub span: Span,
    pub actors: Vec<String>,
    /// Names that must be fresh in each run, with the text that each begins with.
    pub names: Vec<(String, Template)>,
    pub when: Vec<Condition>,
    pub turn: Turn,
    /// Why it stays although others catch all that it is known to catch.
    pub stays: Option<String>,
    pub steps: Vec<Step>,
}

impl Scenario {
    /// The requirements that its steps prove, each once, in the order of the steps.
    pub fn proves(&self) -> Vec<RequirementId> {
        let mut proved = Vec::new();
        each_step(&self.steps, &mut |step| {
            if let Claim::Proves(ids) = &step.claim {
                for id in ids {
                    if !proved.contains(id) {
                        proved.push(id.clone());
                    }
                }
            }
        });
        proved
    }

    /// Which listeners it touches: HTTP, WebSocket.
    pub fn listeners(&self) -> (bool, bool) {
        let (mut http, mut ws) = (false, false);
        each_step(&self.steps, &mut |step| match &step.action {
            Action::Call(_) | Action::AtOnceCalls { .. } => http = true,
            Action::Connect(_) => ws = true,
            Action::Open { listener, .. } => match listener {
                Listener::Http => http = true,
                Listener::Ws => ws = true,
            },
            _ => {}
        });
        (http, ws)
    }
}

/// Calls back for every step, those within steps included.
pub fn each_step<'a>(steps: &'a [Step], callback: &mut dyn FnMut(&'a Step)) {
    for step in steps {
        callback(step);
        match &step.action {
            Action::AtOnce(steps) | Action::Repeat { steps, .. } | Action::Eventually { steps, .. } => each_step(steps, callback),
            _ => {}
        }
    }
}

#[derive(Clone, Debug)]
pub struct Step {
    pub span: Span,
    /// The `use` steps that led here, the outermost first.
    pub through: Vec<Span>,
    pub claim: Claim,
    pub when: Vec<Condition>,
    pub action: Action,
}

/// What a step's failure means.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// A violation of these.
    Proves(Vec<RequirementId>),
    /// A could-not-test; these stood in the way.
    Needs(Vec<RequirementId>),
}

/// An actor by its number in the scenario.
pub type Actor = usize;

#[derive(Clone, Debug)]
pub enum Action {
    Call(Call),
    Connect(Vec<Actor>),
    Open { actor: Actor, listener: Listener },
    Send { actor: Actor, payload: Payload },
    Frame { actor: Actor, frame: Box<FrameSpec> },
    Bytes { actor: Actor, bytes: Blob },
    Receive(Receive),
    NothingMore(NothingMore),
    Fence { actors: Vec<Actor>, place: Option<Template>, only: Option<String> },
    AllReceived { actors: Vec<Actor>, of: Option<Pattern>, packet: Pattern },
    Close { actor: Actor, code: Option<u16>, reason: String },
    Abort(Vec<Actor>),
    HangUp(Vec<Actor>),
    Pause(Vec<Actor>),
    Resume(Vec<Actor>),
    AtOnce(Vec<Step>),
    AtOnceCalls { times: Template, counter: Option<String>, call: Box<Call>, exactly: Template, answer: Pattern, others: Option<Pattern> },
    Repeat { times: Template, counter: Option<String>, count: Option<String>, until: Option<(Template, Pattern)>, steps: Vec<Step> },
    Eventually { within: Option<Duration>, steps: Vec<Step> },
    Check { that: Template, is: Pattern },
    Memory { name: String },
}

/// An HTTP request and what is expected of its answer.
#[derive(Clone, Debug)]
pub struct Call {
    pub actor: Actor,
    pub what: Request,
    pub expected: Vec<Alternative>,
    pub within: Option<Duration>,
}

#[derive(Clone, Debug)]
pub enum Request {
    Named { name: String, with: Vec<(String, Template)>, way: Option<String>, as_written: bool },
    Any { method: Template, path: Template, headers: Vec<(String, Template)>, body: Option<Template> },
}

#[derive(Clone, Debug)]
pub enum Payload {
    Packet(Template),
    Text(Template),
    Binary(Template),
}

/// Bytes, or a text's.
#[derive(Clone, Debug)]
pub enum Blob {
    Text(Template),
    Bytes(Bytes),
}

#[derive(Clone, Debug)]
pub struct FrameSpec {
    /// The four bits of RFC 6455 section 5.2.
    pub opcode: u8,
    pub fin: bool,
    pub masked: bool,
    pub reserved_bit: bool,
    pub payload: Blob,
}

#[derive(Clone, Debug)]
pub struct Receive {
    pub actors: Vec<Actor>,
    /// One after the other; each is a choice.
    pub expected: Vec<Vec<Alternative>>,
    pub within: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct NothingMore {
    pub actors: Vec<Actor>,
    pub of: Option<Happening>,
    pub place: Option<Template>,
    pub after: Option<Vec<Actor>>,
}

/// One of the things that may come, with the readings that it shows.
#[derive(Clone, Debug)]
pub struct Alternative {
    pub happening: Happening,
    pub reads: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub enum Happening {
    Answer { status: Option<Pattern>, json: Option<Pattern>, text: Option<Pattern>, headers: Vec<(String, Pattern)> },
    Packet(Pattern),
    Text(Pattern),
    Binary(Pattern),
    Pong(Pattern),
    End { how: Vec<EndKind>, code: Option<Pattern> },
    Stream(Pattern),
    Nothing,
}
