//! The faults, by the part of the protocol that they break.

pub mod create;
pub mod list;
pub mod room;
