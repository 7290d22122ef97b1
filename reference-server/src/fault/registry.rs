//! All faults by name.

use super::area;
use crate::deviation::Deviation;
use std::sync::Arc;

/// What a fault is called, does, and violates.
pub struct Spec {
    /// In kebab case, unique.
    pub name: &'static str,
    /// The requirement that the fault violates first of all.
    pub requirement: &'static str,
    /// Other requirements and flows that can't hold either.
    pub implies: &'static [&'static str],
    /// What the server does, in one line.
    pub summary: &'static str,
    pub(super) make: fn() -> Arc<dyn Deviation>,
}

/// One row of the table of faults: name, primary requirement, implied ones, summary, behaviour.
pub(super) const fn spec(
    name: &'static str,
    requirement: &'static str,
    implies: &'static [&'static str],
    summary: &'static str,
    make: fn() -> Arc<dyn Deviation>,
) -> Spec {
    Spec { name, requirement, implies, summary, make }
}

static AREAS: &[&[Spec]] = &[
    area::list::SPECS,
    area::create::SPECS,
    area::room::SPECS,
    area::entry::SPECS,
    area::departure::SPECS,
    area::message::SPECS,
    area::packet::SPECS,
    area::error::SPECS,
    area::noise::SPECS,
    area::frame::SPECS,
    area::door::SPECS,
    area::robust::SPECS,
];

/// All faults, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    AREAS.iter().copied().flatten()
}
