//! What a run looks like: one file per format, each rendered from the events alone.

pub mod figures;
pub mod jsonl;
pub mod load;
pub mod load_progress;
pub mod matrix;
pub mod progress;
pub mod script;
pub mod terminal;
pub mod transcript;
