//! Load: how much a target carries, how fast, and whether every message arrives.
//!
//! In reading order: [`profile`] is what a load shall be, [`plan`] what follows from it and a seed, cut by room, [`schedule`] what
//! happens in a room and when. [`preflight`] asks the [`machine`] whether it suffices, and [`health`] judges from what the [`sampler`]
//! saw whether the generator's own figures can be believed.

mod alarm;
mod core;
pub mod door;
pub mod health;
pub mod machine;
mod packet;
pub mod plan;
pub mod preflight;
pub mod profile;
mod random;
mod recorder;
pub mod run;
pub mod sampler;
pub mod schedule;
mod slice;
pub mod threshold;
