//! Faults of the listeners: handshakes and requests that are broken, unfinished or more than one at a time.

use crate::deviation::look::LATE;
use crate::deviation::{Active, Admission, Deviation, Door};
use crate::fault::registry::{Spec, spec};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const LOOK_AGAIN: Duration = Duration::from_millis(5);
const LONGEST_HEAD: usize = 16 << 10;
/// Handshakes at a time that a small server can deal with.
const FEW: usize = 4;
/// How long a handshake takes that server.
const SLOW_HANDSHAKE: Duration = Duration::from_millis(50);

pub const SPECS: &[Spec] = &[
    spec("websocket-elsewhere", "CONN-1", &[], "WebSocket handshakes are answered at the path /ws alone", || {
        answers(|head| {
            (head.is_upgrade && head.path == "/").then_some("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        })
    }),
    spec("handshake-key-wrong", "CONN-1", &[], "the answer to a handshake proves knowledge of another key than the client's", || {
        answers(|head| {
            head.is_upgrade.then_some(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            )
        })
    }),
    spec("fifth-handshake-at-once-dropped", "CONN-1", &[], "of five handshakes at once the last is dropped", || Arc::new(Few::default())),
    spec("plain-request-hangs", "ROB-16", &[], "a request on the WebSocket port that wants no WebSocket is never answered", || {
        answers(|head| (!head.is_upgrade).then_some(""))
    }),
    spec("garbage-stops-websocket", "ROB-16", &["CONN-1"], "after garbage the WebSocket port takes nobody in for four seconds", || {
        Arc::new(Stops { door: Door::WebSocket, until: Mutex::default() })
    }),
    spec("handshakes-in-turn", "ROB-16", &["CONN-1"], "a handshake waits until the one before has come whole", || {
        Arc::new(InTurn { door: Door::WebSocket, turn: tokio::sync::Mutex::default() })
    }),
    spec("garbage-stops-http", "ROB-19", &[], "after garbage the HTTP port answers nobody for four seconds", || {
        Arc::new(Stops { door: Door::Http, until: Mutex::default() })
    }),
    spec(
        "requests-in-turn",
        "ROB-19",
        &[],
        "a connection's first request waits until that of the connection before has come whole",
        || Arc::new(InTurn { door: Door::Http, turn: tokio::sync::Mutex::default() }),
    ),
];

/// What a client says first.
enum Opening {
    /// The head of a request.
    Head(Head),
    /// Nothing that HTTP knows.
    Noise,
    /// It went before that was known.
    Gone,
}

struct Head {
    path: String,
    is_upgrade: bool,
}

/// Looks at what a client sends first, without taking it.
async fn opening(stream: &TcpStream) -> Opening {
    let mut bytes = vec![0; LONGEST_HEAD];
    loop {
        let length = match stream.peek(&mut bytes).await {
            Ok(0) | Err(_) => return Opening::Gone,
            Ok(length) => length,
        };
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes[..length]) {
            Ok(httparse::Status::Complete(_)) => {
                let is_upgrade = request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("upgrade"));
                return Opening::Head(Head { path: request.path.unwrap_or_default().to_owned(), is_upgrade });
            }
            Ok(httparse::Status::Partial) if length < LONGEST_HEAD => {}
            Ok(httparse::Status::Partial) | Err(_) => return Opening::Noise,
        }
        // What it sent before it went can still be looked at.
        if stream.ready(Interest::READABLE).await.is_ok_and(|ready| ready.is_read_closed()) {
            return Opening::Gone;
        }
        sleep(LOOK_AGAIN).await;
    }
}

type Answer = fn(&Head) -> Option<&'static str>;

/// Answers in the server's place; an empty answer is none at all.
struct Answers(Answer);

fn answers(answer: Answer) -> Arc<dyn Deviation> {
    Arc::new(Answers(answer))
}

impl Deviation for Answers {
    fn admit<'a>(&'a self, fault: &'a Active, door: Door, stream: &'a mut TcpStream) -> Admission<'a> {
        Box::pin(async move {
            if door == Door::Http {
                return true;
            }
            let Opening::Head(head) = opening(stream).await else { return true };
            let Some(answer) = (self.0)(&head) else { return true };
            fault.fire();
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            // A client that doesn't wait for its answer misses nothing by the fault.
            let _ = stream.write_all(answer.as_bytes()).await;
            false
        })
    }
}

/// Serves nobody for a while after a client's first bytes were noise.
struct Stops {
    door: Door,
    until: Mutex<Option<Instant>>,
}

impl Stops {
    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deviation for Stops {
    fn admit<'a>(&'a self, fault: &'a Active, door: Door, stream: &'a mut TcpStream) -> Admission<'a> {
        Box::pin(async move {
            if door != self.door {
                return true;
            }
            if let Some(until) = self.until() {
                tokio::time::sleep_until(until).await;
            }
            let is_noise = matches!(opening(stream).await, Opening::Noise);
            if is_noise {
                fault.fire();
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + LATE);
            }
            true
        })
    }
}

/// Looks at a connection when the one before has said what it wants.
struct InTurn {
    door: Door,
    turn: tokio::sync::Mutex<()>,
}

impl Deviation for InTurn {
    fn admit<'a>(&'a self, fault: &'a Active, door: Door, stream: &'a mut TcpStream) -> Admission<'a> {
        Box::pin(async move {
            if door == self.door {
                let mine = match self.turn.try_lock() {
                    Ok(mine) => mine,
                    Err(_) => {
                        fault.fire();
                        self.turn.lock().await
                    }
                };
                opening(stream).await;
                drop(mine);
            }
            true
        })
    }
}

/// Deals with few handshakes at a time, and slowly.
#[derive(Default)]
struct Few {
    at_once: AtomicUsize,
}

impl Deviation for Few {
    fn admit<'a>(&'a self, fault: &'a Active, door: Door, _stream: &'a mut TcpStream) -> Admission<'a> {
        Box::pin(async move {
            if door == Door::Http {
                return true;
            }
            if self.at_once.fetch_add(1, Ordering::Relaxed) < FEW {
                sleep(SLOW_HANDSHAKE).await;
                self.at_once.fetch_sub(1, Ordering::Relaxed);
                return true;
            }
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            fault.fire();
            false
        })
    }
}
