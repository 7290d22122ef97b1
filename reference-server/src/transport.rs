//! The stream under a WebSocket, in which a deviation can tamper with the frames that the server reads, and decide in which
//! pieces those that it writes go out.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// The opcode of a close frame, the first of the control frames'.
pub const CLOSE: u8 = 0x8;

/// A frame from a client, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The first byte of the header: FIN, the reserved bits and the opcode.
    pub head: u8,
    /// Whether the client had masked the payload, as it must.
    pub masked: bool,
    pub payload: Vec<u8>,
}

impl RawFrame {
    #[must_use]
    pub fn opcode(&self) -> u8 {
        self.head & 0x0f
    }

    #[must_use]
    pub fn is_final(&self) -> bool {
        self.head & 0x80 != 0
    }
}

/// Sees every frame of one connection before the WebSocket does.
pub trait FrameFilter: Send {
    /// The frame as it shall go on, possibly changed, or none to drop it.
    fn frame(&mut self, frame: RawFrame) -> Option<RawFrame>;

    /// After each read: how many bytes of a frame that isn't whole have come, and whether the stream has ended there.
    fn rest(&mut self, _bytes: usize, _has_ended: bool) {}
}

/// Sees every frame of one connection that the server writes.
pub trait FrameShaper: Send {
    /// The bytes that go out in its place, each segment in a write of its own.
    fn shape(&mut self, frame: RawFrame) -> Vec<Segment>;
}

/// Bytes of one write, and how long to wait between the write before and this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub pause: Duration,
    pub bytes: Vec<u8>,
}

/// A TCP stream; without a filter or a shaper it passes everything on untouched.
pub struct Transport {
    stream: TcpStream,
    filter: Option<Filter>,
    shaper: Option<Shaper>,
}

struct Filter {
    filter: Box<dyn FrameFilter>,
    raw: Vec<u8>,
    filtered: Vec<u8>,
}

struct Shaper {
    shaper: Box<dyn FrameShaper>,
    raw: Vec<u8>,
    segments: VecDeque<Segment>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Above this many waiting segments the WebSocket has to wait before it writes more.
const MOST_SEGMENTS: usize = 64;

impl Transport {
    #[must_use]
    pub fn plain(stream: TcpStream) -> Self {
        Self { stream, filter: None, shaper: None }
    }

    /// `read_ahead` holds the bytes that were read from the stream already.
    #[must_use]
    pub fn new(
        stream: TcpStream,
        filter: Option<Box<dyn FrameFilter>>,
        shaper: Option<Box<dyn FrameShaper>>,
        read_ahead: &mut Vec<u8>,
    ) -> Self {
        let filter = filter.map(|filter| Filter { filter, raw: std::mem::take(read_ahead), filtered: Vec::new() });
        let shaper = shaper.map(|shaper| Shaper { shaper, raw: Vec::new(), segments: VecDeque::new(), pause: None });
        Self { stream, filter, shaper }
    }

    /// The socket itself.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl Filter {
    fn run(&mut self) {
        while let Some((frame, used)) = decode(&self.raw) {
            self.raw.drain(..used);
            if let Some(frame) = self.filter.frame(frame) {
                encode(&frame, &mut self.filtered);
            }
        }
    }
}

impl Shaper {
    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend(bytes);
        while let Some((frame, used)) = decode(&self.raw) {
            self.raw.drain(..used);
            self.segments.extend(self.shaper.shape(frame));
        }
    }

    /// Ready once every segment is written.
    fn poll_drain(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(segment) = self.segments.front_mut() {
            if !segment.pause.is_zero() {
                let until = Instant::now() + segment.pause;
                segment.pause = Duration::ZERO;
                self.pause = Some(Box::pin(sleep_until(until)));
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write(context, &segment.bytes))?;
            segment.bytes.drain(..written);
            if segment.bytes.is_empty() {
                self.segments.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The first whole frame in `bytes` and its length with the header; none while some of it is missing.
pub(crate) fn decode(bytes: &[u8]) -> Option<(RawFrame, usize)> {
    let [head, length, ..] = *bytes else {
        return None;
    };
    let masked = length & 0x80 != 0;
    let (length, mut at) = match length & 0x7f {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let mut key = [0; 4];
    if masked {
        key = bytes.get(at..at + 4)?.try_into().ok()?;
        at += 4;
    }
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    let payload = bytes.get(at..end)?.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((RawFrame { head, masked, payload }, end))
}

pub(crate) fn encode(frame: &RawFrame, bytes: &mut Vec<u8>) {
    let mask = if frame.masked { 0x80 } else { 0 };
    let length = frame.payload.len();
    bytes.push(frame.head);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..126), _) => bytes.push(mask | short),
        (_, Ok(medium)) => {
            bytes.push(mask | 126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if frame.masked {
        bytes.extend([0; 4]);
    }
    bytes.extend(&frame.payload);
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, filter, .. } = &mut *self;
        let Some(filter) = filter else {
            return Pin::new(stream).poll_read(context, buffer);
        };
        filter.run();
        while filter.filtered.is_empty() {
            let mut chunk = [0; 4096];
            let mut read = ReadBuf::new(&mut chunk);
            let outcome = ready!(Pin::new(&mut *stream).poll_read(context, &mut read));
            if outcome.is_err() || read.filled().is_empty() {
                filter.filter.rest(filter.raw.len(), true);
                return Poll::Ready(outcome);
            }
            filter.raw.extend(read.filled());
            filter.run();
            filter.filter.rest(filter.raw.len(), false);
        }
        let count = filter.filtered.len().min(buffer.remaining());
        buffer.put_slice(&filter.filtered[..count]);
        filter.filtered.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, shaper, .. } = &mut *self;
        let Some(shaper) = shaper else {
            return Pin::new(stream).poll_write(context, bytes);
        };
        if shaper.segments.len() >= MOST_SEGMENTS {
            ready!(shaper.poll_drain(stream, context))?;
        }
        shaper.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, shaper, .. } = &mut *self;
        if let Some(shaper) = shaper {
            ready!(shaper.poll_drain(stream, context))?;
        }
        Pin::new(stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_decoding_and_encoding() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let frame = RawFrame { head: 0x81, masked: true, payload: vec![b'x'; length] };
            let mut bytes = Vec::new();
            encode(&frame, &mut bytes);
            assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
            assert_eq!(decode(&bytes), Some((frame, bytes.len())));
        }
    }

    #[test]
    fn a_masked_payload_is_unmasked() {
        let (frame, used) = decode(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2, 0x8a]).unwrap();
        assert_eq!((frame.payload.as_slice(), used), (b"hi".as_slice(), 8));
    }
}
