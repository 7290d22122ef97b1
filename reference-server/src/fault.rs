//! Faults: deliberate violations of the document, for testing those who test servers. Those of [`load`] are a class of their
//! own: rare, and of no interest to a conformance test.

mod area;
pub mod dose;
pub mod load;
mod registry;
mod rendezvous;

pub use registry::{Spec, all};

use crate::deviation::Active;
use crate::nearest::nearest;
use dose::Dose;
use std::fmt;
use thiserror::Error;

/// A fault in use. Clones share their count of firings.
#[derive(Clone)]
pub struct Fault {
    name: &'static str,
    spec: Option<&'static Spec>,
    active: Active,
}

/// No fault is called so.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnknownFault {
    #[error("there is no fault {name:?}; the nearest is {nearest:?}, and --list-faults shows them all")]
    Name { name: String, nearest: &'static str },
    #[error("{name} can't be had as {dose:?}; write it like {name}={own}")]
    Dose { name: &'static str, dose: String, own: Dose },
    #[error("{name} comes whenever it can, so {name}={dose} means nothing; only load faults have a dose")]
    NoDose { name: &'static str, dose: String },
}

impl Fault {
    /// The fault of that name, with firings at zero. A load fault's may have a dose: `load-drop=1/500`.
    ///
    /// # Errors
    /// [`UnknownFault`] for a name that neither registry has, and for a dose that the fault can't have.
    pub fn named(text: &str) -> Result<Self, UnknownFault> {
        let (name, dose) = text.split_once('=').map_or((text, None), |(name, dose)| (name, Some(dose)));
        if let Some(spec) = load::all().find(|spec| spec.name == name) {
            let dose = match dose {
                None => spec.dose,
                Some(text) => Dose::parse(text).filter(|dose| spec.dose.admits(*dose)).ok_or_else(|| UnknownFault::Dose {
                    name: spec.name,
                    dose: text.to_owned(),
                    own: spec.dose,
                })?,
            };
            return Ok(Self { name: spec.name, spec: None, active: Active::new(spec.name, (spec.make)(dose)) });
        }
        let names = || all().map(|spec| spec.name).chain(load::all().map(|spec| spec.name));
        let spec = all()
            .find(|spec| spec.name == name)
            .ok_or_else(|| UnknownFault::Name { name: name.to_owned(), nearest: nearest(name, names()) })?;
        match dose {
            Some(dose) => Err(UnknownFault::NoDose { name: spec.name, dose: dose.to_owned() }),
            None => Ok(Self { name: spec.name, spec: Some(spec), active: Active::new(spec.name, (spec.make)()) }),
        }
    }

    /// Its name, without a dose.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the fault is and which requirements it violates; none for a load fault.
    #[must_use]
    pub fn spec(&self) -> Option<&'static Spec> {
        self.spec
    }

    /// How often the server has deviated so far. A test that passes although this is above zero missed something.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.active.firings()
    }

    /// What deviates, for a hub without listeners.
    #[must_use]
    pub fn active(&self) -> Active {
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
