//! What shall happen: the scenario language, from files to steps that can be played.
//!
//! In reading order: [`file`] is what people write, [`step`] what is played, [`lower`] the way between them with every
//! diagnostic, [`protocol`] a whole folder.

pub mod file;
pub mod lower;
pub mod pattern;
pub mod protocol;
pub mod select;
pub mod source;
pub mod step;
pub mod template;
pub mod yaml;
