//! What every page has around it: head, style, script, title bar and foot.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

/// The one stylesheet; the variables of `page.css` are the colours of all that is drawn, charts included.
pub const STYLE: &str = concat!(
    include_str!("page.css"),
    include_str!("filters.css"),
    include_str!("check.css"),
    include_str!("case.css"),
    include_str!("explored.css"),
    include_str!("sequence.css"),
    include_str!("board.css"),
    include_str!("load.css"),
);

/// The one script.
pub const SCRIPT: &str = concat!(include_str!("page.js"), include_str!("sequence.js"), include_str!("filters.js"));

/// A whole page. The subtitle stands beside the title, on one line where there is room.
pub fn document(title: &str, subtitle: Markup, body: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header.top {
                    h1 { (title) }
                    p.subtitle { (subtitle) }
                    button.theme type="button" hidden title="Colours: as the system has them, light, dark" { "Colours: system" }
                }
                main { (body) }
                footer.foot { "Made by chatspec " (env!("CARGO_PKG_VERSION")) " from the run's event log." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Only this very script may run, and nothing may be fetched from anywhere: what a server sent stays text even if it should get past the
/// escaping.
fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    format!("default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The colours of each theme: light, dark by the system, dark by the switch, print.
    fn themes() -> Vec<HashMap<&'static str, &'static str>> {
        let blocks = STYLE.split('{').filter(|block| block.contains("--bg:")).filter_map(|block| block.split('}').next());
        let colours = |block: &'static str| {
            block.split(';').filter_map(|line| line.split_once(": #")).map(|(name, colour)| (name.trim(), colour.trim())).collect()
        };
        blocks.map(colours).collect()
    }

    /// Relative luminance, as the accessibility guidelines define it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("two hexadecimal digits")) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn texts_and_lines_stand_out_in_every_theme() {
        let themes = themes();
        assert_eq!(themes.len(), 4);
        for theme in &themes {
            let readable = |text: &str, ground: &str, least: f64| {
                let contrast = contrast(theme[text], theme[ground]);
                assert!(contrast >= least, "{text} on {ground} has a contrast of {contrast:.2}: {theme:?}");
            };
            for text in ["--text", "--dim", "--pass", "--fail", "--warn", "--skip", "--note", "--accent"] {
                readable(text, "--bg", 4.5);
                readable(text, "--panel", 4.5);
            }
            for tone in ["--pass", "--fail", "--warn", "--note"] {
                let soft = format!("{tone}-soft");
                [tone, "--text", "--dim"].iter().for_each(|text| readable(text, &soft, 4.5));
            }
            (1..=6).for_each(|number| readable(&format!("--series-{number}"), "--panel", 3.0));
        }
        assert_eq!(themes[1], themes[2], "dark is dark, whoever asks for it");
    }

    #[test]
    fn style_and_script_do_not_end_themselves() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }

    #[test]
    fn the_policy_lets_this_script_run_and_no_other() {
        let page = document("a", html! {}, html! {});
        let script = page.split("<script>").nth(1).and_then(|rest| rest.split("</script>").next()).expect("a script");
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        assert!(page.contains(&format!("script-src 'sha256-{hash}'")), "{}", policy());
    }
}
