//! The text of a load's messages: it says who sent it, where, which number and when, and every byte of it can be checked.
//!
//! `NONCE-ROOM-NUMBER-SENDER-MICROS-BYTES-CHECK FILLER`: a word of the run's own, then the rest in hexadecimal digits of fixed width,
//! and filler up to the length that the plan wants, of which each byte follows from the number.

use std::sync::OnceLock;

/// The bytes of the head, the blank behind it included: the shortest message.
pub const HEAD: usize = NONCE + 1 + 8 + 1 + 10 + 1 + 6 + 1 + 10 + 1 + 5 + 1 + 8 + 1;

/// The bytes of a run's nonce.
pub const NONCE: usize = 8;

/// Where the head ends that the check is made of.
const CHECKED: usize = HEAD - 10;

/// The longest message.
pub const LONGEST: usize = 64 << 10;

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub room: u32,
    /// Its number in the room, from 0.
    pub number: u64,
    /// The sender's place in the room, from 0, below 2^24.
    pub sender: u32,
    /// When it was meant to be sent, in microseconds since the run's start.
    pub micros: u64,
}

/// What a text turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// As it was sent.
    Sound(Head),
    /// Its head is sound, what follows is not.
    Altered(Head),
    /// It can't be told which message it was.
    Unknown,
}

/// Filler: words with blanks between them, so that it looks like what people write, some of it not ASCII.
fn filler() -> &'static [u8] {
    static FILLER: OnceLock<Vec<u8>> = OnceLock::new();
    FILLER.get_or_init(|| {
        const SENTENCE: &str =
            "the quick brown fox jumps over a lazy dog while 聊天室 fills up and somebody says hello there, who is here tonight? ";
        SENTENCE.bytes().cycle().take(LONGEST + PERIOD).collect()
    })
}

/// Where in the filler a message begins depends on its number, within so many bytes.
const PERIOD: usize = 61;

fn filler_of(number: u64, length: usize) -> &'static [u8] {
    let start = usize::try_from(number % PERIOD as u64).expect("it is below the period");
    &filler()[start..start + length]
}

/// Appends a message of `bytes` bytes, at least `HEAD` and at most `LONGEST`, to what is written.
pub fn write(nonce: &[u8; NONCE], head: Head, bytes: usize, into: &mut Vec<u8>) {
    let start = into.len();
    let bytes = bytes.clamp(HEAD, LONGEST);
    into.extend_from_slice(nonce);
    for (value, digits) in [(head.room.into(), 8), (head.number, 10), (head.sender.into(), 6), (head.micros, 10), (bytes as u64, 5)] {
        push(value, digits, into);
    }
    let check = crc32fast::hash(&into[start..]);
    push(check.into(), 8, into);
    into.push(b' ');
    let filler = filler_of(head.number, bytes - HEAD);
    let from = into.len();
    into.extend_from_slice(filler);
    // A character that the cut goes through is replaced, so that the text is UTF-8.
    whole_characters(&mut into[from..]);
}

/// Appends a hyphen and a number in so many hexadecimal digits.
fn push(value: u64, digits: u32, into: &mut Vec<u8>) {
    into.push(b'-');
    into.extend((0..digits).rev().map(|place| b"0123456789abcdef"[(value >> (4 * place) & 15) as usize]));
}

/// The number that a text gives itself, if it looks like one of a load's; nothing else of it has been looked at.
pub fn number(text: &[u8]) -> Option<u64> {
    hexadecimal(text.get(NONCE + 10..NONCE + 20)?)
}

/// Whether a text is the very one that was sent with this number and head: no more than two comparisons of bytes.
pub fn is_the_one(number: u64, head: &[u8; HEAD], text: &[u8]) -> bool {
    text.len() <= LONGEST && text.starts_with(head) && text[HEAD..] == *filler_of(number, text.len() - HEAD)
}

/// Replaces what is left of a character at either end.
fn whole_characters(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().take_while(|byte| (0x80..0xC0).contains(*byte)) {
        *byte = b'.';
    }
    let mut at = bytes.len();
    while at > 0 && (0x80..0xC0).contains(&bytes[at - 1]) {
        at -= 1;
    }
    if at > 0 && bytes[at - 1] >= 0xC0 {
        let whole = match bytes[at - 1] {
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        if bytes.len() - (at - 1) < whole {
            bytes[at - 1..].fill(b'.');
        }
    }
}

/// Reads a text that should be one of this run's.
pub fn read(nonce: &[u8; NONCE], text: &[u8]) -> Text {
    let Some((head, bytes)) = head(nonce, text) else {
        return Text::Unknown;
    };
    if text.len() != bytes || bytes > LONGEST {
        return Text::Altered(head);
    }
    let rest = &text[HEAD..];
    let filler = filler_of(head.number, rest.len());
    if rest == filler {
        return Text::Sound(head);
    }
    let mut expected = filler.to_vec();
    whole_characters(&mut expected);
    if rest == expected { Text::Sound(head) } else { Text::Altered(head) }
}

/// The head, and how long the message is by what it says.
fn head(nonce: &[u8; NONCE], text: &[u8]) -> Option<(Head, usize)> {
    if text.len() < HEAD || !text.starts_with(nonce) || text[HEAD - 1] != b' ' || text[CHECKED] != b'-' {
        return None;
    }
    let mut at = NONCE;
    let mut number = |digits: usize| {
        let field = &text[at + 1..at + 1 + digits];
        at += 1 + digits;
        hexadecimal(field)
    };
    let (room, count, sender, micros, bytes, check) = (number(8)?, number(10)?, number(6)?, number(10)?, number(5)?, number(8)?);
    if u64::from(crc32fast::hash(&text[..CHECKED])) != check {
        return None;
    }
    let head = Head { room: u32::try_from(room).ok()?, number: count, sender: u32::try_from(sender).ok()?, micros };
    Some((head, usize::try_from(bytes).ok()?))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RUN: &[u8; NONCE] = b"abcd1234";

    fn text(head: Head, bytes: usize) -> Vec<u8> {
        let mut text = Vec::new();
        write(RUN, head, bytes, &mut text);
        text
    }

    proptest! {
        #[test]
        fn a_message_is_utf_8_of_its_length_and_reads_as_it_was_written(room: u32, number in 0u64..1 << 40, sender in 0u32..1 << 24, micros in 0u64..1 << 40, bytes in HEAD..4096) {
            let head = Head { room, number, sender, micros };
            let text = text(head, bytes);
            prop_assert_eq!(text.len(), bytes);
            prop_assert!(std::str::from_utf8(&text).is_ok());
            prop_assert_eq!(read(RUN, &text), Text::Sound(head));
            prop_assert_eq!(super::number(&text), Some(number));
            // Where the filler was cut through a character, only the long way tells.
            let start: [u8; HEAD] = text[..HEAD].try_into().expect("it is as long");
            let whole = text[HEAD..] == *filler_of(number, bytes - HEAD);
            prop_assert_eq!(is_the_one(number, &start, &text), whole);
        }

        #[test]
        fn no_single_altered_byte_goes_unnoticed(number in 0u64..1 << 40, bytes in HEAD..600, place: prop::sample::Index, change in 1u8..) {
            let head = Head { room: 7, number, sender: 3, micros: 12_345 };
            let mut text = text(head, bytes);
            let place = place.index(text.len());
            text[place] ^= change;
            let found = read(RUN, &text);
            prop_assert!(found == Text::Altered(head) || found == Text::Unknown, "{place}: {found:?}");
            prop_assert_eq!(found == Text::Unknown, place < HEAD);
            let mut start = [0; HEAD];
            start.copy_from_slice(&text[..HEAD]);
            start[place.min(HEAD - 1)] ^= if place < HEAD { change } else { 0 };
            prop_assert!(!is_the_one(number, &start, &text));
        }

        #[test]
        fn what_is_cut_short_or_another_run_s_is_not_taken_for_sound(bytes in HEAD..600, kept: prop::sample::Index) {
            let whole = text(Head { room: 1, number: 2, sender: 3, micros: 4 }, bytes);
            let kept = kept.index(bytes);
            prop_assert!(!matches!(read(RUN, &whole[..kept]), Text::Sound(_)));
            prop_assert_eq!(read(b"another1", &whole), Text::Unknown);
        }
    }
}
