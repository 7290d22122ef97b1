//! The engine that explores: random traces of actions, held against a model of the document, and shrunk to the smallest that
//! still fails.

pub mod action;
mod generate;
pub mod model;
mod shadow;
