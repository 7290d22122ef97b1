//! Load: how much a target carries, how fast, and whether every message arrives.

pub mod health;
pub mod machine;
pub mod preflight;
pub mod sampler;
