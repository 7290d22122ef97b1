//! Words for a shell.

/// A word as a shell takes it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn what_a_shell_would_read_into_a_word_is_quoted() {
        assert_eq!(quote("R-LIST=rooms"), "R-LIST=rooms");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's $HOME `x` *"), r"'it'\''s $HOME `x` *'");
        assert_eq!(quote("two\nlines"), "'two\nlines'");
    }
}
