//! Texts as XML 1.0 may hold them.

/// A text without the characters that no XML document may hold, not even escaped; they stand as Rust writes them.
pub fn legal(text: &str) -> String {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..) && !matches!(c, '\u{7f}'..='\u{9f}');
    text.chars().flat_map(|c| if is_legal(c) { vec![c] } else { c.escape_unicode().collect() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_document_may_hold_is_spelt_out() {
        assert_eq!(legal("a\u{0}\u{1b}\r\n\t\u{fffe}\u{ffff}聊🙂<"), "a\\u{0}\\u{1b}\\u{d}\n\t\\u{fffe}\\u{ffff}聊🙂<");
    }
}
