//! What shall happen: the scenario language, from files to steps that can be played.
//!
//! In reading order: [`mod@file`] and [`step_file`] are what people write, [`step`] what is played, [`lower`] the way between them with every
//! diagnostic, [`protocol`] a whole folder.

pub mod declarations;
pub mod decode;
pub mod file;
pub mod lower;
mod lower_action;
pub mod pattern;
pub mod protocol;
pub mod select;
pub mod source;
pub mod step;
pub mod step_file;
pub mod substitute;
pub mod template;
pub mod yaml;
