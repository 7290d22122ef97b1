//! Load: many clients at once, by a plan that is a pure function of a profile and a seed.
//!
//! In reading order: [`profile`] is what a load shall be, [`plan`] what follows from it, cut by room,
//! [`schedule`] what happens in a room and when.

pub mod plan;
pub mod profile;
mod random;
pub mod schedule;
