//! A chatroom server over HTTP and WebSocket: an example of how to implement the chatroom protocol, fit to be read,
//! and sturdy enough to test clients against.
//!
//! In reading order: [`state`] has every rule of the document, on top of [`room`], [`packet`] and [`request`];
//! [`event`] is what goes in and out of it. [`hub`] puts it behind a lock, [`http`] and [`websocket`] in front of two
//! listeners, with [`outbox`], [`handshake`] and [`limits`] to keep it in good health whatever clients do.
//! [`playground`] is a page to try the server on. [`reading`] holds the choices where the document has several interpretations. [`deviation`] is the opposite of all that: by it a
//! [`fault`] makes the server wrong, and a [`variant`] odd, on purpose and in one way at a time.

pub mod args;
pub mod deviation;
mod envelope;
pub mod event;
pub mod fault;
pub mod handshake;
pub mod http;
pub mod hub;
pub mod limits;
mod listener;
mod nearest;
pub mod outbox;
pub mod packet;
mod parameters;
pub mod playground;
pub mod reading;
pub mod request;
pub mod room;
pub mod state;
pub mod transport;
pub mod variant;
pub mod websocket;

pub use fault::Fault;
pub use limits::Limits;
pub use reading::Readings;

use deviation::{Active, Door};
use hub::Hub;
use playground::Playground;
use state::State;
use std::future::Future;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::info;

/// How many places a room has unless told otherwise; the document leaves it open.
pub const DEFAULT_CAPACITY: usize = 10;

/// What kind of server to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The places in each room, at least 1.
    pub capacity: usize,
    /// Names of rooms that exist from the start.
    pub rooms: Vec<String>,
    pub readings: Readings,
    /// The one way in which to be wrong.
    pub fault: Option<Fault>,
    /// The one way in which to be odd, set by [`variant::apply`]. A fault goes before it.
    pub variant: Option<Active>,
    pub limits: Limits,
    /// The page to try the server on, where there is to be one.
    pub playground: Option<Playground>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            rooms: Vec::new(),
            readings: Readings::default(),
            fault: None,
            variant: None,
            limits: Limits::default(),
            playground: None,
        }
    }
}

/// Why a server can't start.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("a room needs at least one place")]
    NoCapacity,
    #[error("{name:?} can't be the name of a room: names have 1 to {longest} bytes")]
    RoomName { name: String, longest: usize },
}

/// Serves both listeners until `shutdown` completes. Then the WebSocket clients are sent the close code 1001, requests
/// at hand are answered, and after `limits.goodbye` at the latest everything has ended. Dropping the future ends
/// everything at once.
///
/// # Errors
/// [`ServeError`] if the configuration makes no sense. Nothing that a client does is an error.
pub async fn serve(
    http: TcpListener,
    ws: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let Config { capacity, rooms, readings, fault, variant, limits, playground } = config;
    if capacity == 0 {
        return Err(ServeError::NoCapacity);
    }
    let mut state = State::new(capacity, readings.clone(), limits.clone());
    for name in rooms {
        if name.is_empty() || name.len() > limits.name_bytes {
            return Err(ServeError::RoomName { name, longest: limits.name_bytes });
        }
        state.add_room(&name);
    }
    let hub = Arc::new(Hub::new(state, limits.clone(), fault.map(|fault| fault.active()).or(variant)));
    let mut router = http::router(&hub, readings.clone());
    // A listener that doesn't know its own address is about to fail anyway.
    if let (Some(playground), Ok(http), Ok(ws)) = (playground, http.local_addr(), ws.local_addr()) {
        router = playground::beside(router, playground, capacity, &readings, http.ip(), ws);
    }
    let (stop, stopped) = watch::channel(false);
    info!(capacity, deviation = ?hub.deviation, "serving");
    if let Some(deviation) = &hub.deviation {
        deviation.start(&hub);
    }

    let serve_http = listener::run(http, limits.connections, limits.goodbye, stopped.clone(), |stream| {
        let serve = {
            let (router, limits, stopped) = (router.clone(), limits.clone(), stopped.clone());
            |stream| http::serve(stream, router, limits, stopped)
        };
        (if_admitted(hub.deviation.clone(), Door::Http, stream, serve), None)
    });
    let serve_ws = listener::run(ws, limits.connections, limits.goodbye, stopped.clone(), |stream| {
        let pause = hub.deviation.as_ref().and_then(Active::pause_after_accepting);
        let serve = {
            let hub = Arc::clone(&hub);
            |stream| websocket::serve(stream, hub)
        };
        (if_admitted(hub.deviation.clone(), Door::WebSocket, stream, serve), pause)
    });
    let stop_both = async {
        shutdown.await;
        info!("shutting down");
        hub.shut_down();
        stop.send_replace(true);
    };
    tokio::join!(serve_http, serve_ws, stop_both);
    Ok(())
}

/// Serves a connection, unless the deviation that is in use, if one is, keeps it out.
async fn if_admitted<Served: Future<Output = ()>>(
    deviation: Option<Active>,
    door: Door,
    mut stream: TcpStream,
    serve: impl FnOnce(TcpStream) -> Served,
) {
    if let Some(deviation) = deviation
        && !deviation.admit(door, &mut stream).await
    {
        return;
    }
    serve(stream).await;
}

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeExample;
