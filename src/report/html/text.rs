//! Texts of others in a page: always text, never markup, and with nothing in it that a reader can't see.

use std::borrow::Cow;
use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

/// Adds a text to markup, escaped as far as an element's content must be. Quotes stay as they are, since JSON is full of them, and so
/// this is not for attributes.
pub fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            c => into.push(c),
        }
    }
}

/// Whether a character acts on what stands around it, or can't be seen. Joiners and variation selectors are left alone, since emoji and
/// several scripts are made with them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What stands in a text for a hidden character.
fn stand_in(c: char) -> String {
    match c {
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        c => c.escape_unicode().collect(),
    }
}

/// A text on one line, in which every hidden character is spelt out.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { shown.push_str(&stand_in(c)) } else { shown.push(c) }
    }
    shown
}

/// A text as an element's content, in which hidden characters are spelt out and marked as such.
pub fn visible(text: &str) -> Markup {
    let mut markup = String::with_capacity(text.len());
    push_visible(text, &mut markup);
    PreEscaped(markup)
}

/// What `visible` makes, added to markup.
pub fn push_visible(text: &str, markup: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(is_hidden) {
        escape(&rest[..at], markup);
        let hidden: String = rest[at..].chars().take_while(|c| is_hidden(*c)).collect();
        let shown: String = hidden.chars().map(stand_in).collect();
        let _ = write!(markup, "<span class=\"esc\">{shown}</span>");
        rest = &rest[at + hidden.len()..];
    }
    escape(rest, markup);
}

/// A text of the suite, in which backticks mark code.
pub fn prose(text: &str) -> Markup {
    // An odd number of backticks would make code of the rest.
    if text.matches('`').count() % 2 == 1 {
        return visible(text);
    }
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (visible(part)) } } @else { (visible(part)) }
        }
    }
}

/// A link, where its address is one of the web; any other is shown as text.
pub fn link(address: &str) -> Markup {
    let web =
        ["http://", "https://"].iter().any(|scheme| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let harmless = !address.chars().any(|c| is_hidden(c) || c.is_whitespace());
    html! {
        @if web && harmless { a href=(address) rel="noreferrer noopener" { (address) } } @else { (visible(address)) }
    }
}

/// A name as an element's ID: without white space, and never empty.
pub fn anchor(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_whitespace() || is_hidden(c) { '_' } else { c }).collect();
    if name.is_empty() { "_".into() } else { name }
}

/// A text's two ends where it is longer than so many bytes.
pub fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let start = (0..=limit * 2 / 3).rev().find(is_boundary).unwrap_or(0);
    let end = (text.len() - limit / 3..=text.len()).find(is_boundary).unwrap_or(text.len());
    Cow::Owned(format!("{}…{}", &text[..start], &text[end..]))
}

/// A word as a shell takes it, quoted where it has to be.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/@:,+=-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// How long something took, in the unit that a person would choose.
pub fn duration(millis: f64) -> String {
    if millis < 9.95 {
        format!("{millis:.1} ms")
    } else if millis < 999.5 {
        format!("{millis:.0} ms")
    } else if millis < 119_950.0 {
        format!("{:.1} s", millis / 1000.0)
    } else {
        format!("{:.1} min", millis / 60_000.0)
    }
}

/// A number with its noun, which takes an `s` where there isn't exactly one.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_server_sends_is_markup_or_hidden() {
        for (text, expected) in [
            ("<script>&amp;]]></style>", "&lt;script&gt;&amp;amp;]]&gt;&lt;/style&gt;"),
            ("\u{1b}[2J\0", "<span class=\"esc\">\\u{1b}</span>[2J<span class=\"esc\">\\u{0}</span>"),
            ("a\u{202e}\u{2066}b\r\n", "a<span class=\"esc\">\\u{202e}\\u{2066}</span>b<span class=\"esc\">\\r\\n</span>"),
            ("聊天室 👩‍💻 ❤️", "聊天室 👩‍💻 ❤️"),
            ("\u{200b}\u{feff}", "<span class=\"esc\">\\u{200b}\\u{feff}</span>"),
        ] {
            assert_eq!(visible(text).into_string(), expected, "{text:?}");
        }
        assert_eq!(plain("a\tb\u{2028}c"), "a\\tb\\u{2028}c");
    }

    #[test]
    fn backticks_are_code_and_an_odd_one_is_itself() {
        assert_eq!(prose("say `<b>` now").into_string(), "say <code>&lt;b&gt;</code> now");
        assert_eq!(prose("a ` b").into_string(), "a ` b");
    }

    #[test]
    fn only_an_address_of_the_web_is_a_link() {
        let is_link = |address: &str| link(address).into_string().starts_with("<a ");
        assert!(is_link("https://example.org/issues/12") && is_link("HTTP://example.org/"));
        for address in
            ["javascript:alert(1)", "data:text/html,x", "//example.org", "https://a b", "https://a\u{202e}b", "jira-12", "日本語日本語"]
        {
            assert!(!is_link(address), "{address}");
        }
        assert!(link("https://example.org/\"onclick=x").into_string().contains("&quot;onclick"));
    }

    #[test]
    fn a_long_text_keeps_its_ends_and_no_half_of_a_character() {
        assert_eq!(shortened("0123456789", 10), "0123456789");
        assert_eq!(shortened("0123456789", 6), "0123…89");
        assert_eq!(shortened("聊天室聊天室", 10), "聊天…室");
        assert_eq!(shortened("聊天室", 0), "…");
    }

    #[test]
    fn a_word_for_a_shell_is_quoted_where_it_has_to_be() {
        let shown = ["msg.echo/short", "", "a b", "it's; rm"].map(shell_word);
        assert_eq!(shown, ["msg.echo/short", "''", "'a b'", "'it'\\''s; rm'"]);
    }

    #[test]
    fn an_anchor_holds_no_space() {
        assert_eq!(anchor("probe R-LIST #1"), "probe_R-LIST_#1");
        assert_eq!(anchor(""), "_");
    }

    #[test]
    fn durations_have_the_unit_that_a_person_would_choose() {
        let shown = [0.04, 9.94, 9.96, 999.4, 1000.0, 61_000.0, 180_000.0].map(duration);
        assert_eq!(shown, ["0.0 ms", "9.9 ms", "10 ms", "999 ms", "1.0 s", "61.0 s", "3.0 min"]);
    }
}
