//! Load: how much a target carries, how fast, and whether every message arrives.
//!
//! In reading order: [`profile_file`] is what people write, and [`notation`] how they write figures; [`lower`] makes a [`profile`] of
//! it, and [`overrides`] changes that; [`plan`] is what follows from it and a seed, cut by room, and [`schedule`] what happens in a
//! room and when. [`preflight`] asks the [`machine`] whether it suffices, [`sizing`] says what each of many machines will need, and [`health`] judges from what the [`sampler`] saw whether
//! the generator's own figures can be believed. [`threshold`] is what the measurements must be, [`figures`] what runs are compared by,
//! and [`merge`] makes one run of its shards.

mod alarm;
pub mod barrier;
mod core;
pub mod door;
pub mod figures;
pub mod health;
pub mod lower;
pub mod machine;
pub mod merge;
pub mod notation;
pub mod overrides;
mod packet;
pub mod plan;
pub mod preflight;
pub mod profile;
pub mod profile_file;
mod random;
mod recorder;
pub mod run;
pub mod sampler;
pub mod schedule;
pub mod search;
pub mod sizing;
mod slice;
pub mod threshold;
pub mod timeline;
