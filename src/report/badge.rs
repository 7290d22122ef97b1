//! A badge: a small SVG picture with the verdict.

use quick_xml::escape::escape;

use super::transcript::printable;
use super::xml::legal;
use crate::event::{Kind, Log, Trust};
use crate::report::cases::sensitivity;
use crate::verdict::Outcome;

const GREEN: &str = "#2e7d32";
const RED: &str = "#c62828";
const AMBER: &str = "#8a5a00";
const GREY: &str = "#5a5a5a";

/// The space left and right of a text.
const MARGIN: u32 = 6;

/// The picture.
pub fn badge(log: &Log) -> String {
    let (label, message) = texts(log);
    let trusted = log.load().is_none_or(|(_, measured)| measured.health.trust == Trust::Trusted);
    let colour = match log.footer.exit_code {
        0 if trusted => GREEN,
        0 | 3 => AMBER,
        130 => GREY,
        _ => RED,
    };
    picture(&label, &message, colour)
}

/// What it is of, and the verdict.
fn texts(log: &Log) -> (String, String) {
    let footer = &log.footer;
    let word = |good: &'static str, bad: &'static str| match footer.exit_code {
        0 => good,
        1 => bad,
        3 => "inconclusive",
        130 => "interrupted",
        _ => "chatspec failed",
    };
    let of = |word: &str, part: usize, whole: usize| if whole == 0 { word.to_owned() } else { format!("{word} {part}/{whole}") };
    match log.kind() {
        Some(Kind::Load) => {
            let thresholds = log.load().map_or(&[][..], |(_, measured)| &measured.thresholds);
            let kept = thresholds.iter().filter(|threshold| threshold.holds).count();
            ("chatspec load".to_owned(), of(word("holds", "fails"), kept, thresholds.len()))
        }
        Some(Kind::Sensitivity) => {
            let summary = sensitivity::summary(log, &sensitivity::trials(log));
            ("chatspec sensitivity".to_owned(), of(word("killed", "not all killed"), summary.killed, summary.faults))
        }
        Some(Kind::Check | Kind::Explore) | None => {
            let passed = footer.requirements.values().filter(|outcome| **outcome == Outcome::Pass).count();
            let arising = footer.requirements.values().filter(|outcome| **outcome != Outcome::Skipped).count();
            let label = match log.header.protocol.as_str() {
                "" | "chatroom" => "chatspec".to_owned(),
                other => format!("chatspec {}", printable(other)),
            };
            (label, of(word("conforms", "violated"), passed, arising))
        }
    }
}

fn picture(label: &str, message: &str, colour: &str) -> String {
    let (label, message) = (legal(label), legal(message));
    let (left, right) = (width(&label) + 2 * MARGIN, width(&message) + 2 * MARGIN);
    let whole = left + right;
    let title = format!("{label}: {message}");
    let [title, label, message] = [&title, &label, &message].map(|text| escape(text.as_str()).into_owned());
    let (label_at, message_at) = (f64::from(left) / 2.0, f64::from(left) + f64::from(right) / 2.0);
    let (label_length, message_length) = (left - 2 * MARGIN, right - 2 * MARGIN);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" viewBox="0 0 {whole} 20" role="img" aria-label="{title}">
<title>{title}</title>
<clipPath id="round"><rect width="{whole}" height="20" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="{colour}"/>
</g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">
<text x="{label_at}" y="14" textLength="{label_length}">{label}</text>
<text x="{message_at}" y="14" textLength="{message_length}">{message}</text>
</g>
</svg>
"##
    )
}

/// How wide a text is in the badge's font, in pixels: an estimate by kinds of characters, which `textLength` makes exact.
fn width(text: &str) -> u32 {
    let tenths = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'I' => 35,
        ' ' | 'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '-' => 45,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 105,
        'A'..='Z' => 78,
        c if c.is_ascii() => 69,
        _ => 110,
    };
    text.chars().map(tenths).sum::<u32>().div_ceil(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_stays_text_and_a_long_one_makes_a_wide_badge() {
        let svg = picture("a<script>\"&", "conforms", GREEN);
        assert!(svg.contains("<title>a&lt;script&gt;&quot;&amp;: conforms</title>") && !svg.contains("<script"), "{svg}");
        assert!(width("conforms 94/94") > width("conforms 9/9") && width("mmmm") > width("iiii"));
    }
}
