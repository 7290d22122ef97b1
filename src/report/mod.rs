//! What a run looks like: one file per format, each rendered from the events alone.

pub mod checked;
pub mod compare;
pub mod csv;
#[cfg(test)]
mod example;
pub mod figures;
pub mod hgrm;
pub mod hlog;
pub mod html;
pub mod jsonl;
pub mod little;
pub mod load;
pub mod load_progress;
pub mod matrix;
pub mod openmetrics;
pub mod progress;
pub mod script;
pub mod series;
pub mod terminal;
pub mod transcript;
