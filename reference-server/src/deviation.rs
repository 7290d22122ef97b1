//! How this server is made to behave differently from its plain self: wrongly, by a [fault](crate::fault), or oddly, by
//! a [variant](crate::variant). The plain server meets a deviation in seven places: when it starts
//! ([`Deviation::start`]), between two connections that it accepts ([`Deviation::pause_after_accepting`]), before it serves
//! one ([`Deviation::admit`]), in the hub, which lets one wait before an event ([`Deviation::arrive`]) and decide or change
//! what comes of it ([`Deviation::before`], [`Deviation::after`]), around the HTTP listener's router, and under the
//! WebSocket listener's streams.

pub mod look;
mod site;

pub use site::Site;

use crate::event::{Event, Outcome};
use crate::hub::Hub;
use crate::room::ConnectionId;
use crate::transport::{FrameFilter, FrameShaper};
use axum::Router;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// A deviation that may take its time: an outcome in place of the plain one, or none.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = Option<Outcome>> + Send + 'a>>;

/// A deviation that may take its time: whether a connection is served.
pub type Admission<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Which of the listeners a connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Http,
    WebSocket,
}

/// A deliberate deviation. Every method's default is to do nothing, which is what the plain server does.
pub trait Deviation: Send + Sync {
    /// Once, before anything is served.
    fn start(&self, _hub: &Arc<Hub>) {}

    /// After the WebSocket listener has accepted a connection: how long it waits before it accepts the next.
    fn pause_after_accepting(&self, _active: &Active) -> Option<Duration> {
        None
    }

    /// Before a connection that was accepted is served: it may take its time, look at what the client sends first, answer in
    /// the server's place, and keep it from being served.
    fn admit<'a>(&'a self, _active: &'a Active, _door: Door, _stream: &'a mut TcpStream) -> Admission<'a> {
        Box::pin(ready(true))
    }

    /// Before an event is dealt with and with no lock held: it may wait, and it may decide the outcome.
    fn arrive<'a>(&'a self, _hub: &'a Arc<Hub>, _active: &'a Active, _event: &'a Event<'a>) -> Waiting<'a> {
        Box::pin(ready(None))
    }

    /// In place of what the state would do, under the hub's lock.
    fn before(&self, _site: &mut Site<'_>, _event: &Event<'_>) -> Option<Outcome> {
        None
    }

    /// After the state has decided and before anything is sent, under the hub's lock.
    fn after(&self, _site: &mut Site<'_>, _event: &Event<'_>, _outcome: &mut Outcome) {}

    /// Around the router of the HTTP listener.
    fn route(&self, router: Router, _active: &Active) -> Router {
        router
    }

    /// Between a new connection's socket and its WebSocket, for what the server reads.
    fn filter(&self, _active: &Active, _connection: ConnectionId) -> Option<Box<dyn FrameFilter>> {
        None
    }

    /// Between a new connection's WebSocket and its socket, for what the server writes.
    fn shaper(&self) -> Option<Box<dyn FrameShaper>> {
        None
    }
}

/// A deviation in use. Clones share their count of firings.
#[derive(Clone)]
pub struct Active {
    name: &'static str,
    deviation: Arc<dyn Deviation>,
    firings: Arc<AtomicU64>,
}

impl Active {
    pub(crate) fn new(name: &'static str, deviation: Arc<dyn Deviation>) -> Self {
        Self { name, deviation, firings: Arc::default() }
    }

    /// How often the server has deviated so far; variants don't count.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.firings.load(Ordering::Relaxed)
    }

    pub(crate) fn fire(&self) {
        self.firings.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn start(&self, hub: &Arc<Hub>) {
        self.deviation.start(hub);
    }

    pub(crate) fn pause_after_accepting(&self) -> Option<Duration> {
        self.deviation.pause_after_accepting(self)
    }

    pub(crate) fn admit<'a>(&'a self, door: Door, stream: &'a mut TcpStream) -> Admission<'a> {
        self.deviation.admit(self, door, stream)
    }

    pub(crate) fn arrive<'a>(&'a self, hub: &'a Arc<Hub>, event: &'a Event<'a>) -> Waiting<'a> {
        self.deviation.arrive(hub, self, event)
    }

    pub(crate) fn deviate(&self, site: &mut Site<'_>, event: &Event<'_>) -> Outcome {
        let mut outcome = match self.deviation.before(site, event) {
            Some(outcome) => outcome,
            None => site.state.handle(event),
        };
        self.deviation.after(site, event, &mut outcome);
        outcome
    }

    pub(crate) fn route(&self, router: Router) -> Router {
        self.deviation.route(router, self)
    }

    pub(crate) fn filter(&self, connection: ConnectionId) -> Option<Box<dyn FrameFilter>> {
        self.deviation.filter(self, connection)
    }

    pub(crate) fn shaper(&self) -> Option<Box<dyn FrameShaper>> {
        self.deviation.shaper()
    }
}

impl fmt::Debug for Active {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Active").field("name", &self.name).field("firings", &self.firings()).finish()
    }
}

struct Before<F>(F);

impl<F> Deviation for Before<F>
where
    F: Fn(&mut Site<'_>, &Event<'_>) -> Option<Outcome> + Send + Sync,
{
    fn before(&self, site: &mut Site<'_>, event: &Event<'_>) -> Option<Outcome> {
        let outcome = (self.0)(site, event);
        if outcome.is_some() {
            site.fire();
        }
        outcome
    }
}

/// A deviation that puts an outcome in place of the state's. It fires when it does.
pub fn before<F>(deviate: F) -> Arc<dyn Deviation>
where
    F: Fn(&mut Site<'_>, &Event<'_>) -> Option<Outcome> + Send + Sync + 'static,
{
    Arc::new(Before(deviate))
}

struct After<F>(F);

impl<F> Deviation for After<F>
where
    F: Fn(&mut Site<'_>, &Event<'_>, &mut Outcome) -> bool + Send + Sync,
{
    fn after(&self, site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        if (self.0)(site, event, outcome) {
            site.fire();
        }
    }
}

/// A deviation that changes the state's outcome. It fires when the closure says that it changed something.
pub fn after<F>(deviate: F) -> Arc<dyn Deviation>
where
    F: Fn(&mut Site<'_>, &Event<'_>, &mut Outcome) -> bool + Send + Sync + 'static,
{
    Arc::new(After(deviate))
}
