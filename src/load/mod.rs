//! Load: what a server carries, how fast, and whether every message arrives.

pub mod threshold;
