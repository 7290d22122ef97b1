//! What has come over a connection, and how it ended.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

/// How a connection ended: five different things, and a sixth for a server that breaks the framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A close frame, with its code if it has one.
    Close { code: Option<u16>, reason: String },
    /// The stream ended without a close frame.
    Eof,
    /// A TCP reset.
    Reset,
    /// The server sent what RFC 6455 forbids.
    Malformed(String),
    /// This side hung up.
    Local,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Close { code: Some(code), reason } if reason.is_empty() => write!(f, "close frame with code {code}"),
            End::Close { code: Some(code), reason } => write!(f, "close frame with code {code} ({reason})"),
            End::Close { code: None, .. } => f.write_str("close frame without a code"),
            End::Eof => f.write_str("end of stream without a close frame"),
            End::Reset => f.write_str("TCP reset"),
            End::Malformed(why) => write!(f, "frame that RFC 6455 forbids: {why}"),
            End::Local => f.write_str("hung up by this side"),
        }
    }
}

/// Something that came over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// Bytes of a plain stream.
    Bytes(Bytes),
    End(End),
}

#[derive(Debug)]
pub struct Arrival {
    pub at: Instant,
    pub what: Incoming,
    json: OnceLock<Option<Value>>,
}

impl Arrival {
    /// The JSON of a text message; it is parsed once, however many expectations look at it.
    pub fn json(&self) -> Option<&Value> {
        let parse = || match &self.what {
            Incoming::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        };
        self.json.get_or_init(parse).as_ref()
    }
}

/// What has come over one connection so far. The reading task adds to it and wakes whoever waits.
#[derive(Debug, Default)]
pub struct Inbox {
    arrivals: Mutex<Vec<Arc<Arrival>>>,
    changed: Notify,
}

impl Inbox {
    fn locked(&self) -> MutexGuard<'_, Vec<Arc<Arrival>>> {
        self.arrivals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn push(&self, what: Incoming) {
        self.locked().push(Arc::new(Arrival { at: Instant::now(), what, json: OnceLock::new() }));
        self.changed.notify_waiters();
    }

    /// Everything from the `from`-th arrival on.
    pub fn since(&self, from: usize) -> Vec<Arc<Arrival>> {
        self.locked().get(from..).unwrap_or_default().to_vec()
    }

    pub fn end(&self) -> Option<End> {
        self.locked().iter().find_map(|arrival| match &arrival.what {
            Incoming::End(end) => Some(end.clone()),
            _ => None,
        })
    }

    /// Calls `judge` with all arrivals, now and whenever one is added, until it returns something or the time is up.
    pub async fn wait<T>(&self, until: Instant, mut judge: impl FnMut(&[Arc<Arrival>]) -> Option<T>) -> Option<T> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that an arrival between the look and the wait still wakes us.
            changed.as_mut().enable();
            if let Some(found) = judge(&self.locked()) {
                return Some(found);
            }
            if tokio::time::timeout_at(until.into(), changed).await.is_err() {
                return judge(&self.locked());
            }
        }
    }
}

/// The bytes of a plain stream so far, as one.
pub fn stream_text(arrivals: &[Arc<Arrival>]) -> String {
    let parts: Vec<&[u8]> = arrivals
        .iter()
        .filter_map(|arrival| match &arrival.what {
            Incoming::Bytes(bytes) => Some(&bytes[..]),
            _ => None,
        })
        .collect();
    String::from_utf8_lossy(&parts.into_iter().flatten().copied().collect::<Vec<u8>>()).into_owned()
}
