//! The only sockets of the harness: HTTP exchanges and WebSocket frames, with no opinion on what they hold.

pub mod http;
pub mod inbox;
pub mod line;
pub mod tls;
pub mod ws;

use std::error::Error;
use std::io;

/// The I/O error somewhere below a library's error.
pub fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // An I/O error may wrap the one that says more.
            match io.get_ref().and_then(|inner| io_kind(inner)) {
                Some(kind) => return Some(kind),
                None => return Some(io.kind()),
            }
        }
        current = error.source();
    }
    None
}

/// The messages of an error and of all that caused it.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut current = error.source();
    while let Some(cause) = current {
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        current = cause.source();
    }
    text
}
