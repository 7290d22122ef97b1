//! Faults: deliberate violations of the document, for testing those who test servers.

mod area;
mod registry;
mod rendezvous;

pub use registry::{Spec, all};

use crate::deviation::Active;
use crate::nearest::nearest;
use std::fmt;
use thiserror::Error;

/// A fault in use. Clones share their count of firings.
#[derive(Clone)]
pub struct Fault {
    spec: &'static Spec,
    active: Active,
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
        let spec = all()
            .find(|spec| spec.name == name)
            .ok_or_else(|| UnknownFault { name: name.to_owned(), nearest: nearest(name, all().map(|spec| spec.name)) })?;
        Ok(Self { spec, active: Active::new(spec.name, (spec.make)()) })
    }

    /// What the fault is and which requirements it violates.
    #[must_use]
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }

    /// How often the server has deviated so far. A test that passes although this is above zero missed something.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.active.firings()
    }

    pub(crate) fn active(&self) -> Active {
        self.active.clone()
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fault").field("active", &self.active).finish()
    }
}

#[cfg(test)]
mod tests;
