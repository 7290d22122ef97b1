//! What every page has around it: head, style, script, title bar and foot.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

/// The one stylesheet; its variables are the colours of all that is drawn, charts included.
pub const STYLE: &str = concat!(
    include_str!("page.css"),
    include_str!("check.css"),
    include_str!("sequence.css"),
    include_str!("board.css"),
    include_str!("load.css")
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
