//! The engine that explores: random traces of actions, held against a model of the document, and shrunk to the smallest that
//! still fails.

pub mod action;
mod compile;
mod describe;
mod ending;
pub mod fence;
pub mod generate;
pub mod model;
mod observe;
mod odd;
pub mod run;
mod scalar;
mod shadow;
pub mod shrink;
mod smaller;
pub mod trial;
