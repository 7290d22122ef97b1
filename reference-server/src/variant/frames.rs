//! Variants of how messages become frames, and frames segments (RFC 6455 sections 5.4 and 5.5).

use crate::deviation::Deviation;
use crate::transport::{FrameShaper, RawFrame, Segment, encode};
use std::sync::Arc;
use std::time::Duration;

const CONTINUATION: u8 = 0x0;
const FIRST_CONTROL: u8 = 0x8;
const PING: u8 = 0x9;
const FINAL: u8 = 0x80;

type Shape = fn(RawFrame) -> Vec<Segment>;

#[derive(Clone, Copy)]
struct Shaped(Shape);

/// Every frame goes out as this function says.
pub fn shaped(shape: Shape) -> Arc<dyn Deviation> {
    Arc::new(Shaped(shape))
}

impl Deviation for Shaped {
    fn shaper(&self) -> Option<Box<dyn FrameShaper>> {
        Some(Box::new(*self))
    }
}

impl FrameShaper for Shaped {
    fn shape(&mut self, frame: RawFrame) -> Vec<Segment> {
        (self.0)(frame)
    }
}

/// A data message in four frames, the second of them empty, with a ping in the middle.
pub fn fragmented(frame: RawFrame) -> Vec<Segment> {
    if frame.opcode() >= FIRST_CONTROL {
        return vec![at_once(&[frame])];
    }
    let third = frame.payload.len() / 3;
    let piece = |head: u8, payload: &[u8]| RawFrame { head, masked: false, payload: payload.to_vec() };
    vec![
        at_once(&[piece(frame.opcode(), &frame.payload[..third]), piece(CONTINUATION, &[])]),
        at_once(&[ping(b"between"), piece(CONTINUATION, &frame.payload[third..2 * third])]),
        at_once(&[piece(FINAL | CONTINUATION, &frame.payload[2 * third..])]),
    ]
}

/// One frame cut twice, once within its header.
pub fn in_three(frame: RawFrame) -> Vec<Segment> {
    let Segment { bytes, .. } = at_once(&[frame]);
    let middle = bytes.len().div_ceil(2).max(1);
    let pieces = [&bytes[..1], &bytes[1..middle], &bytes[middle..]];
    let pause = Duration::from_millis(1);
    pieces.into_iter().filter(|piece| !piece.is_empty()).map(|piece| Segment { pause, bytes: piece.to_vec() }).collect()
}

/// A data frame between two pings, one of them without payload.
pub fn between_pings(frame: RawFrame) -> Vec<Segment> {
    if frame.opcode() >= FIRST_CONTROL {
        return vec![at_once(&[frame])];
    }
    vec![at_once(&[ping(b"before"), frame, ping(b"")])]
}

fn ping(payload: &[u8]) -> RawFrame {
    RawFrame { head: FINAL | PING, masked: false, payload: payload.to_vec() }
}

fn at_once(frames: &[RawFrame]) -> Segment {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| encode(frame, &mut bytes));
    Segment { pause: Duration::ZERO, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_fragments_is_still_the_message() {
        for length in [0, 1, 2, 5, 1_000] {
            let payload: Vec<u8> = (0..length).map(|number| number as u8).collect();
            let frame = RawFrame { head: FINAL | 1, masked: false, payload: payload.clone() };
            let mut bytes: Vec<u8> = fragmented(frame.clone()).into_iter().flat_map(|segment| segment.bytes).collect();
            let mut joined = Vec::new();
            while let Some((frame, used)) = crate::transport::decode(&bytes) {
                bytes.drain(..used);
                if frame.opcode() < FIRST_CONTROL {
                    joined.extend(frame.payload);
                }
            }
            assert_eq!(joined, payload);
            let whole: Vec<u8> = in_three(frame.clone()).into_iter().flat_map(|segment| segment.bytes).collect();
            assert_eq!(whole, at_once(&[frame]).bytes);
        }
    }
}
