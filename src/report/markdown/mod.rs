//! Markdown for the summary of a CI job: short where all is well, and never longer than GitHub takes.

mod check;
mod load;
mod sensitivity;
pub(super) mod text;

use crate::event::{Header, Kind, Log};
use text::code;

/// GitHub takes a mebibyte for each step; other summaries may stand before this one.
const LIMIT: usize = 900 * 1024;

/// The whole page.
pub fn markdown(log: &Log) -> String {
    match log.kind() {
        Some(Kind::Load) => load::page(log),
        Some(Kind::Sensitivity) => sensitivity::page(log),
        Some(Kind::Check | Kind::Explore) | None => check::page(log),
    }
}

/// A page that takes blocks as long as there is room.
struct Page {
    text: String,
    limit: usize,
    left_out: usize,
}

impl Page {
    /// A page with its title: what ran, and the verdict in a word.
    fn new(kind: Kind, word: &str, sentence: &str) -> Self {
        let text = format!("## chatspec {}: {word}\n\n{}.\n", kind.word(), text::inline(sentence));
        Self { text, limit: LIMIT, left_out: 0 }
    }

    /// Adds a block after an empty line, whole or not at all.
    fn block(&mut self, block: &str) {
        if self.text.len() + block.len() + 2 > self.limit {
            self.left_out += 1;
        } else {
            self.text.push('\n');
            self.text.push_str(block.trim_end());
            self.text.push('\n');
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let parts = if self.left_out == 1 { "part" } else { "parts" };
            self.text.push_str(&format!("\n{} more {parts} had no room here; the event log has it all.\n", self.left_out));
        }
        self.text
    }
}

/// What was tried, in a line.
fn target(header: &Header) -> String {
    let addresses: Vec<String> =
        [&header.target.http, &header.target.ws].into_iter().filter(|text| !text.is_empty()).map(|text| code(text)).collect();
    let notes: Vec<String> = header.target.notes.iter().map(|note| text::inline(note)).collect();
    let mut line = if addresses.is_empty() { String::new() } else { format!("Target: {}; ", addresses.join(" and ")) };
    line.push_str(&format!("seed {}", header.seed));
    if !notes.is_empty() {
        line.push_str(&format!(" ({})", notes.join("; ")));
    }
    line + ".\n"
}

/// A part that a reader opens.
fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n\n{}\n\n</details>\n", text::html(title), body.trim_end())
}

/// How to run it again.
fn again(command: &str) -> String {
    format!("Again:\n\n{}", text::block(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_whole_and_told() {
        let mut page = Page { limit: 100, ..Page::new(Kind::Check, "CONFORMS", "2 of 2 requirements pass") };
        page.block("short");
        page.block(&"x".repeat(100));
        page.block("short too");
        let text = page.finish();
        assert!(text.contains("short\n\nshort too\n") && !text.contains("xxx"), "{text}");
        assert!(text.ends_with("1 more part had no room here; the event log has it all.\n"), "{text}");
    }
}
