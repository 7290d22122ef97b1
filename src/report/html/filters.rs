//! The filters over a page's rows. They need the page's script, which shows them; without it, everything is there.

use maud::{Markup, html};

use super::text::visible;
use crate::requirement::Level;

/// Rows of one kind that may be shown alone.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// What `data-status` of the rows holds.
    pub key: &'static str,
    pub word: &'static str,
    /// How many rows there are of it; of none there is no button.
    pub count: usize,
}

/// The keys that a page knows.
const KEYS: [(&str, &str); 7] = [
    ("/", "search"),
    ("j", "next row"),
    ("k", "previous row"),
    ("Enter", "open or close the row"),
    ("o", "open or close all rows that are shown"),
    ("Escape", "leave the search, clear all filters"),
    ("?", "show or hide these keys"),
];

/// The bar of filters over rows that are each a `noun`.
pub fn toolbar(noun: &str, choices: &[Choice], levels: &[Level], areas: &[&str], has_diagrams: bool) -> Markup {
    html! {
        div.toolbar role="search" hidden data-noun=(noun) {
            input.search type="search" placeholder="Search (/)" aria-label="Search" spellcheck="false" autocomplete="off";
            span.choices role="group" aria-label="Outcome" {
                @for choice in choices.iter().filter(|choice| choice.count > 0) {
                    button type="button" aria-pressed="false" data-show=(choice.key) { (choice.word) " " (choice.count) } " "
                }
            }
            @if levels.len() > 1 {
                select.level aria-label="Level" { option value="" { "every level" } @for level in levels { option { (level) } } }
            }
            @if areas.len() > 1 {
                select.area aria-label="Area" { option value="" { "every area" } @for area in areas { option value=(area) { (visible(area)) } } }
            }
            @if has_diagrams { label { input.fences type="checkbox" checked; " fences" } }
            button.all type="button" { "Open all" }
            button.help type="button" aria-expanded="false" title="Keys" { "?" }
            output.shown aria-live="polite" {}
            div.keys hidden { @for (key, does) in KEYS { span { kbd { (key) } " " (does) } } }
        }
    }
}
