//! Faults of the WebSocket transport itself.

use crate::deviation::look::cut_all;
use crate::deviation::{Active, Admission, Deviation, Door, Site};
use crate::event::{Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::room::ConnectionId;
use crate::transport::{CLOSE, FrameFilter, RawFrame};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const PING: u8 = 0x9;
const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;

pub const SPECS: &[Spec] = &[
    spec("large-frame-ignored", "ROB-6", &[], "a frame above 512 KiB is swallowed", || {
        frames(|frame| (frame.payload.len() <= 512 << 10).then_some(frame))
    }),
    spec("invalid-utf8-accepted", "ROB-8", &[], "bytes of a text that aren't UTF-8 are replaced and the rest is accepted", || {
        frames(|mut frame| {
            if frame.opcode() == TEXT && frame.is_final() {
                frame.payload = String::from_utf8_lossy(&frame.payload).into_owned().into_bytes();
            }
            Some(frame)
        })
    }),
    spec("invalid-utf8-ignored", "ROB-8", &[], "a text that isn't UTF-8 is swallowed", || {
        frames(|frame| (frame.opcode() != TEXT || !frame.is_final() || std::str::from_utf8(&frame.payload).is_ok()).then_some(frame))
    }),
    spec("fragments-not-joined", "ROB-9", &[], "each fragment counts as a message of its own", || {
        frames(|mut frame| {
            if frame.opcode() == CONTINUATION {
                frame.head |= TEXT;
            }
            if frame.opcode() < CLOSE {
                frame.head |= FIN;
            }
            Some(frame)
        })
    }),
    spec("fragments-swallowed", "ROB-9", &[], "a message in fragments never arrives", || {
        frames(|frame| {
            let is_fragment = frame.opcode() == CONTINUATION || (frame.opcode() < CLOSE && !frame.is_final());
            (!is_fragment).then_some(frame)
        })
    }),
    spec("control-frame-loses-fragments", "ROB-9", &[], "a ping or another control frame between fragments loses those before it", || {
        Arc::new(LosesFragments)
    }),
    spec("ping-unanswered", "ROB-10", &[], "a ping gets no pong", || frames(|frame| (frame.opcode() != PING).then_some(frame))),
    spec("ping-payload-lost", "ROB-10", &[], "a pong is always empty", || {
        frames(|mut frame| {
            if frame.opcode() == PING {
                frame.payload.clear();
            }
            Some(frame)
        })
    }),
    spec("close-unanswered", "ROB-11", &[], "a close frame gets no answer", || frames(|frame| (frame.opcode() != CLOSE).then_some(frame))),
    spec("close-with-code-unanswered", "ROB-11", &[], "a close frame that says why gets no answer", || {
        frames(|frame| (frame.opcode() != CLOSE || frame.payload.is_empty()).then_some(frame))
    }),
    spec("unmasked-ignored", "ROB-12", &[], "unmasked frames are swallowed", || frames(|frame| frame.masked.then_some(frame))),
    spec("unmasked-accepted", "ROB-12", &[], "unmasked frames are accepted", || frames(|frame| Some(RawFrame { masked: true, ..frame }))),
    spec("unknown-opcodes-ignored", "ROB-18", &[], "frames of an unknown kind are swallowed", || {
        frames(|frame| matches!(frame.opcode(), 0x0..=0x2 | 0x8..=0xa).then_some(frame))
    }),
    spec("reserved-bits-accepted", "ROB-18", &[], "frames with a reserved bit are read as though they had none", || {
        frames(|frame| Some(RawFrame { head: frame.head & !RESERVED, ..frame }))
    }),
    spec("cut-off-frame-crashes", "ROB-17", &[], "a connection that ends within a frame ends every other", || {
        Arc::new(Unfinished { state: Arc::default(), react: React::Crash })
    }),
    spec("unfinished-frame-shuts-door", "ROB-17", &[], "while a frame hasn't come whole, nobody is taken in", || {
        Arc::new(Unfinished { state: Arc::default(), react: React::Shut })
    }),
];

type Change = fn(RawFrame) -> Option<RawFrame>;

struct Frames(Change);

struct Filter {
    change: Change,
    fault: Active,
}

impl Deviation for Frames {
    fn filter(&self, fault: &Active, _connection: ConnectionId) -> Option<Box<dyn FrameFilter>> {
        Some(Box::new(Filter { change: self.0, fault: fault.clone() }))
    }
}

impl FrameFilter for Filter {
    fn frame(&mut self, frame: RawFrame) -> Option<RawFrame> {
        let changed = (self.change)(frame.clone());
        if changed.as_ref() != Some(&frame) {
            self.fault.fire();
        }
        changed
    }
}

struct LosesFragments;

struct Fragments {
    /// The fragments of a message so far, in one.
    begun: Option<RawFrame>,
    fault: Active,
}

impl Deviation for LosesFragments {
    fn filter(&self, fault: &Active, _connection: ConnectionId) -> Option<Box<dyn FrameFilter>> {
        Some(Box::new(Fragments { begun: None, fault: fault.clone() }))
    }
}

impl FrameFilter for Fragments {
    fn frame(&mut self, frame: RawFrame) -> Option<RawFrame> {
        if frame.opcode() >= CLOSE {
            if let Some(begun) = &mut self.begun {
                begun.payload.clear();
                self.fault.fire();
            }
            return Some(frame);
        }
        let message = match self.begun.take() {
            None => frame,
            // No message may begin within another; the continuation of none fails the connection too.
            Some(_) if frame.opcode() != CONTINUATION => return Some(RawFrame { head: FIN | CONTINUATION, ..frame }),
            Some(mut begun) => {
                begun.head |= frame.head & !OPCODE;
                begun.masked &= frame.masked;
                begun.payload.extend(frame.payload);
                begun
            }
        };
        if message.is_final() || message.opcode() == CONTINUATION {
            return Some(message);
        }
        self.begun = Some(message);
        None
    }
}

fn frames(change: Change) -> Arc<dyn Deviation> {
    Arc::new(Frames(change))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum React {
    Crash,
    Shut,
}

/// Doesn't stand up to frames of which a part is missing.
struct Unfinished {
    state: Arc<Mutex<Parts>>,
    react: React,
}

/// The connections on which a part of a frame has come.
#[derive(Default)]
struct Parts {
    open: HashSet<ConnectionId>,
    /// Those that ended there.
    cut_off: HashSet<ConnectionId>,
}

struct Watch {
    state: Arc<Mutex<Parts>>,
    connection: ConnectionId,
}

/// A frame comes in several pieces now and then, and the rest is there a moment later.
const MOMENT: Duration = Duration::from_millis(20);

impl Unfinished {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deviation for Unfinished {
    fn filter(&self, _fault: &Active, connection: ConnectionId) -> Option<Box<dyn FrameFilter>> {
        Some(Box::new(Watch { state: self.state.clone(), connection }))
    }

    fn admit<'a>(&'a self, fault: &'a Active, door: Door, _stream: &'a mut TcpStream) -> Admission<'a> {
        Box::pin(async move {
            let is_shut = || door == Door::WebSocket && self.react == React::Shut && !self.parts().open.is_empty();
            if is_shut() {
                tokio::time::sleep(MOMENT).await;
            }
            if is_shut() {
                fault.fire();
            }
            while is_shut() {
                tokio::time::sleep(MOMENT).await;
            }
            true
        })
    }

    fn before(&self, site: &mut Site<'_>, event: &Event<'_>) -> Option<Outcome> {
        let Event::Gone(connection) = event else { return None };
        if self.parts().cut_off.remove(connection) && self.react == React::Crash {
            site.fire();
            cut_all(site);
        }
        None
    }
}

impl FrameFilter for Watch {
    fn frame(&mut self, frame: RawFrame) -> Option<RawFrame> {
        Some(frame)
    }

    fn rest(&mut self, bytes: usize, has_ended: bool) {
        let mut parts = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        parts.open.remove(&self.connection);
        if bytes > 0 {
            let connections = if has_ended { &mut parts.cut_off } else { &mut parts.open };
            connections.insert(self.connection);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.rest(0, true);
    }
}
