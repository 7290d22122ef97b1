//! WebSocket frames as bytes: what clients send, masked and ready, and where those of the server end.

use std::io;

const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x2e];

/// A whole text frame as a client sends it. The key is always the same: the server has to unmask either way.
pub fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).expect("below 126")),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).expect("benchmarks send less than 64 KiB").to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A packet of the protocol.
pub fn packet(kind: &str, user: &str, room: &str, msg: &str) -> String {
    format!(r#"{{"type":"{kind}","data":{{"user_name":"{user}","room_name":"{room}","msg":"{msg}"}}}}"#)
}

/// Counts the frames in a stream of unmasked bytes, however it is cut, and keeps none of them.
#[derive(Default)]
pub struct Counter {
    head: [u8; 10],
    head_len: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
}

impl Counter {
    /// How many frames end in these bytes, which follow those of the call before.
    ///
    /// # Errors
    /// A close frame: the server has had enough.
    pub fn feed(&mut self, mut bytes: &[u8]) -> io::Result<u64> {
        let mut whole = 0;
        loop {
            let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            bytes = &bytes[skipped..];
            self.payload -= skipped as u64;
            if self.payload > 0 {
                return Ok(whole);
            }
            if self.head_len > 0 && self.head_len == self.needed() {
                self.head_len = 0;
                whole += 1;
            }
            while self.head_len < self.needed() {
                let Some((first, rest)) = bytes.split_first() else {
                    return Ok(whole);
                };
                self.head[self.head_len] = *first;
                self.head_len += 1;
                bytes = rest;
            }
            if self.head[0] & 0x0f == 0x8 {
                return Err(io::Error::other("the server closes the connection"));
            }
            self.payload = match self.head[1] & 0x7f {
                126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
                127 => u64::from_be_bytes(self.head[2..].try_into().expect("eight bytes")),
                short => u64::from(short),
            };
        }
    }

    /// The length of the header, as far as it is known by now.
    fn needed(&self) -> usize {
        match (self.head_len >= 2).then_some(self.head[1] & 0x7f) {
            Some(126) => 4,
            Some(127) => 10,
            _ => 2,
        }
    }
}
