//! The shape of a deviation, and short ways to write one that needs a single seam.

use super::transport::FrameFilter;
use super::{Fault, Site};
use crate::event::{Event, Outcome};
use crate::hub::Hub;
use axum::Router;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

/// A deviation that may take its time: an outcome in place of the correct one, or none.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = Option<Outcome>> + Send + 'a>>;

/// A deliberate deviation. Every method's default is to do nothing, which is what the correct server does.
pub trait Deviation: Send + Sync {
    /// Before an event is dealt with and with no lock held: it may wait, and it may decide the outcome.
    fn arrive<'a>(&'a self, _hub: &'a Arc<Hub>, _fault: &'a Fault, _event: &'a Event<'a>) -> Waiting<'a> {
        Box::pin(ready(None))
    }

    /// In place of what the state would do, under the hub's lock.
    fn before(&self, _site: &mut Site<'_>, _event: &Event<'_>) -> Option<Outcome> {
        None
    }

    /// After the state has decided and before anything is sent, under the hub's lock.
    fn after(&self, _site: &mut Site<'_>, _event: &Event<'_>, _outcome: &mut Outcome) {}

    /// Around the router of the HTTP listener.
    fn route(&self, router: Router, _fault: &Fault) -> Router {
        router
    }

    /// Between a new connection's socket and its WebSocket.
    fn filter(&self, _fault: &Fault) -> Option<Box<dyn FrameFilter>> {
        None
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
