//! Texts as a YAML file of the language holds them.

/// A text in which nothing refers to a name.
pub fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// A long run of one character is told by its length.
pub fn text(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if text.chars().count() > 64 && chars.all(|c| c == first) => {
            format!("{{$repeat: {{text: {}, times: {}}}}}", scalar(&escaped(&first.to_string())), text.chars().count())
        }
        _ => scalar(&escaped(text)),
    }
}

/// A text as a YAML scalar: plain where that can mean nothing else, otherwise in double quotes.
pub fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let words = text.strip_prefix('$').unwrap_or(text);
    let begins = words.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins
        && words.split(' ').all(|word| !word.is_empty() && word.chars().all(plain))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
    {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_hidden(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a reader of the file wouldn't see, or what YAML doesn't take as it is.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}')
}

/// A line of a block of text, in which nothing is hidden.
pub fn visible(line: &str) -> String {
    line.chars().flat_map(|c| if is_hidden(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_something_else_is_quoted() {
        for (text, expected) in [
            ("hello there", "hello there"),
            ("$ann", "$ann"),
            ("null", "\"null\""),
            ("12", "\"12\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("say \"x\"\\", "\"say \\\"x\\\"\\\\\""),
            ("two\nlines", "\"two\\nlines\""),
            ("\u{202e}x", "\"\\U0000202Ex\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
        assert_eq!(super::text(&"a".repeat(4096)), "{$repeat: {text: a, times: 4096}}");
        assert_eq!(scalar(&escaped("$5")), "\"$$5\"");
    }
}
