//! Deliberate deviations from the document, for testing those who test servers. The correct server meets them in four
//! places: the hub lets one wait before an event ([`Deviation::arrive`]) and decide or change what comes of it
//! ([`Deviation::before`], [`Deviation::after`]), the HTTP listener has its router wrapped, and the WebSocket listener
//! its stream.

mod area;
mod deviation;
mod look;
mod registry;
mod rendezvous;
mod site;
pub mod transport;

pub use deviation::{Deviation, Waiting};
pub use registry::{Spec, all};
pub use site::Site;

use crate::event::{Event, Outcome};
use crate::hub::Hub;
use axum::Router;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;
use transport::FrameFilter;

/// A deviation in use. Clones share their count of firings.
#[derive(Clone)]
pub struct Fault {
    spec: &'static Spec,
    deviation: Arc<dyn Deviation>,
    firings: Arc<AtomicU64>,
}

/// No fault has this name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("there is no fault {name:?}; the nearest is {nearest:?}, and --list-faults shows them all")]
pub struct UnknownFault {
    pub name: String,
    pub nearest: &'static str,
}

impl Fault {
    /// The fault of that name, with firings at zero.
    ///
    /// # Errors
    /// [`UnknownFault`] for a name that the registry doesn't have.
    pub fn named(name: &str) -> Result<Self, UnknownFault> {
        let spec = registry::find(name).ok_or_else(|| UnknownFault { name: name.to_owned(), nearest: registry::nearest(name) })?;
        Ok(Self { spec, deviation: (spec.make)(), firings: Arc::default() })
    }

    /// What the fault is and which requirements it violates.
    #[must_use]
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }

    /// How often the server has deviated so far. A test that passes although this is above zero missed something.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.firings.load(Ordering::Relaxed)
    }

    pub(crate) fn fire(&self) {
        self.firings.fetch_add(1, Ordering::Relaxed);
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

    pub(crate) fn filter(&self) -> Option<Box<dyn FrameFilter>> {
        self.deviation.filter(self)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fault").field("name", &self.spec.name).field("firings", &self.firings()).finish()
    }
}

#[cfg(test)]
mod tests;
