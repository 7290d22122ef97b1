//! What a run looks like: one file per format, each rendered from the events alone.

pub mod badge;
pub mod cases;
pub mod checked;
pub mod compare;
pub mod conclusion;
pub mod csv;
pub mod diff;
#[cfg(test)]
mod example;
pub mod explore;
pub mod explore_progress;
pub mod explored;
pub mod failure;
pub mod figures;
pub mod github;
pub mod hgrm;
pub mod hlog;
pub mod html;
pub mod jsonl;
pub mod junit;
pub mod little;
pub mod load;
pub mod load_progress;
pub mod markdown;
pub mod matrix;
pub mod openmetrics;
pub mod progress;
pub mod script;
pub mod series;
pub mod shards;
pub mod tap;
pub mod terminal;
pub mod transcript;
mod xml;
