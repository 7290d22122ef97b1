//! Faults of the WebSocket transport itself.

use crate::deviation::Active;
use crate::deviation::Deviation;
use crate::fault::registry::{Spec, spec};
use crate::room::ConnectionId;
use crate::transport::{FrameFilter, RawFrame};
use std::sync::Arc;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const FIN: u8 = 0x80;

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
    spec("unmasked-accepted", "ROB-12", &[], "unmasked frames are accepted", || frames(|frame| Some(RawFrame { masked: true, ..frame }))),
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

fn frames(change: Change) -> Arc<dyn Deviation> {
    Arc::new(Frames(change))
}
