//! Texts within Markdown: whatever they hold, they mean nothing there.

use crate::report::transcript::printable;

/// Within a paragraph, a list or a cell.
pub fn inline(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A backslash before these is Markdown's own way; it leaves the commonest punctuation readable in the source.
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' | '$' | '@' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    // A bare address would become a link.
    escaped.replace("://", ":&#8203;//").replace("www.", "www&#8203;.")
}

/// Within a tag of HTML, where no Markdown is read.
pub fn html(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A span of code: in it nothing means anything but its own fence, and the bar in a cell.
pub fn code(text: &str) -> String {
    let text = printable(text);
    if text.trim().is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A span of code in a cell of a table.
pub fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A block of code, line by line.
pub fn block(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

/// A table: a row of titles, and rows of cells that are Markdown already.
pub fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(titles.len()));
    row(&titles) + &rule + &rows.iter().map(|cells| row(cells)).collect::<String>()
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_means_nothing() {
        assert_eq!(inline("<b>*x*</b> [a](b) | @me #1 &lt;"), "&lt;b&gt;\\*x\\*&lt;/b&gt; \\[a\\](b) \\| \\@me \\#1 &amp;lt;");
        assert_eq!(inline("http://a"), "http:&#8203;//a");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(cell("a|b"), "`a\\|b`");
        assert_eq!(block("a\n```\n\u{1b}[2J"), "````text\na\n```\n\\u{1b}[2J\n````\n");
        assert_eq!(html("</summary>\n\"&"), "&lt;/summary&gt;\\n&quot;&amp;");
    }
}
