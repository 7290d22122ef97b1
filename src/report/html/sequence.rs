//! The message sequence diagram of a scenario: its actors and the two sides of the server as columns, time downwards, one row for each
//! arrow, with the text that went along it beside it. A row is as high as its text needs, and lengths across are shares of the
//! diagram's width, so that nothing has to be computed anew where rows are hidden or the page is narrow.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::text::{escape, plain, shortened, visible};
use super::wire::{Row, Side, What};

/// How many characters of a name fit above a column.
const NAME: usize = 8;

/// How many bytes of a line of text aren't the text itself.
const BESIDE: usize = 22;

/// The columns of a diagram, each by its name: actors first, then those sides of the server that are used.
#[derive(Debug)]
struct Columns {
    names: Vec<String>,
    actors: usize,
}

impl Columns {
    fn of(rows: &[Row], actors: &[String]) -> Self {
        let acts = |actor: &&String| rows.iter().any(|row| row.actor == **actor);
        let mut names: Vec<String> = actors.iter().filter(acts).cloned().collect();
        for row in rows {
            if !row.actor.is_empty() && !names.contains(&row.actor) {
                names.push(row.actor.clone());
            }
        }
        let count = names.len();
        for side in [Side::Http, Side::Ws] {
            if rows.iter().any(|row| row.what == What::To(side) || row.what == What::From(side)) {
                names.push(name(side).to_owned());
            }
        }
        Self { names, actors: count }
    }

    /// The middle of a column, as a share of the diagram's width.
    fn middle(&self, at: usize) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a diagram has a handful of columns")]
        let share = (at as f64 + 0.5) * 100.0 / self.names.len() as f64;
        format!("{share:.2}%")
    }

    fn actor(&self, actor: &str) -> Option<String> {
        let at = self.names[..self.actors].iter().position(|name| name == actor)?;
        Some(self.middle(at))
    }

    fn side(&self, side: Side) -> String {
        let at = self.names[self.actors..].iter().position(|other| other == name(side));
        self.middle(self.actors + at.unwrap_or(0))
    }
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Http => "HTTP",
        Side::Ws => "WS",
    }
}

/// The arrowheads that the diagrams of a page share.
pub fn heads() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" {
            @for kind in ["http", "ws"] {
                marker id={"head-" (kind)} class=(kind) viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse" {
                    path d="M0 .5 8 4 0 7.5Z" {}
                }
            }
        }
    }
}

/// How many bytes the diagram of these rows takes, roughly.
pub fn weight(rows: &[Row]) -> usize {
    const ROW: usize = 330;
    rows.iter().map(|row| ROW + row.text.len() + row.whole.iter().map(String::len).sum::<usize>()).sum()
}

/// The diagram, whole.
pub fn drawn(rows: &[Row], actors: &[String]) -> Markup {
    let columns = Columns::of(rows, actors);
    let start = rows.first().map_or(0.0, |row| row.at_ms);
    html! {
        div.sequence style={"--n:" (columns.names.len())} {
            (head(&columns))
            (lifelines(&columns))
            ol {
                @for row in rows {
                    li class=(class(row)) {
                        span.at { (at(row, start)) }
                        (arrow(row, &columns))
                        span.text { (text(row)) }
                    }
                }
            }
        }
    }
}

/// The same as text, from which the page's script draws the diagram when it is opened: a line for each row, with its time, actor,
/// sign and text, tabs between them. A line is shortened to so many bytes, roughly.
pub fn as_text(rows: &[Row], actors: &[String], line: usize) -> Markup {
    let columns = Columns::of(rows, actors);
    let names: Vec<String> = columns.names.iter().map(|name| plain(name)).collect();
    let start = rows.first().map_or(0.0, |row| row.at_ms);
    let mut lines = String::new();
    for row in rows {
        let _ = write!(lines, "{}\t", at(row, start));
        escape(&plain(&row.actor), &mut lines);
        let _ = write!(lines, "\t{}", row.what.sign());
        for flag in [row.fence.then_some("fence"), row.miss].into_iter().flatten() {
            let _ = write!(lines, " {flag}");
        }
        lines.push('\t');
        escape(&shortened(&plain(&row.text), line.saturating_sub(BESIDE)), &mut lines);
        lines.push('\n');
    }
    html! { pre.wire data-columns=(names.join("\t")) data-actors=(columns.actors) { (PreEscaped(lines)) } }
}

/// Milliseconds since the first row; nothing where a row is of no moment.
fn at(row: &Row, start: f64) -> String {
    if matches!(row.what, What::Gap | What::Cut) { String::new() } else { format!("{:.1}", row.at_ms - start) }
}

fn class(row: &Row) -> String {
    let mut class = row.what.class().to_owned();
    for flag in [row.fence.then_some("fence"), row.miss].into_iter().flatten() {
        class.push(' ');
        class.push_str(flag);
    }
    class
}

fn head(columns: &Columns) -> Markup {
    let last = columns.names.len();
    html! {
        div.names {
            span.at { "ms" }
            svg.lanes aria-hidden="true" {
                @if last > columns.actors {
                    text.server x=(format!("{:.2}%", middle_of_server(columns))) y="11" { "server" }
                }
                @for (at, name) in columns.names.iter().enumerate() {
                    text x=(columns.middle(at)) y="26" { title { (plain(name)) } (plain(&short(name))) }
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a diagram has a handful of columns")]
fn middle_of_server(columns: &Columns) -> f64 {
    let last = columns.names.len() as f64;
    (columns.actors as f64 + last) * 50.0 / last
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME - 1).collect();
    format!("{start}…")
}

fn lifelines(columns: &Columns) -> Markup {
    html! {
        svg.lifelines aria-hidden="true" {
            @for at in 0..columns.names.len() {
                line class=[(at >= columns.actors).then_some("server")] x1=(columns.middle(at)) x2=(columns.middle(at)) y1="0" y2="100%" {}
            }
        }
    }
}

/// What a row draws; its title says the same in words.
fn arrow(row: &Row, columns: &Columns) -> Markup {
    let actor = columns.actor(&row.actor);
    html! {
        @match (row.what, actor) {
            (What::To(side), Some(actor)) => {
                svg.lanes role="img" {
                    title { (plain(&row.actor)) " to the server, " (name(side)) }
                    line class=(side_class(side)) x1=(actor) x2=(columns.side(side)) y1="10" y2="10" marker-end={"url(#head-" (side_class(side)) ")"} {}
                }
            }
            (What::From(side), Some(actor)) => {
                svg.lanes role="img" {
                    title { "the server to " (plain(&row.actor)) ", " (name(side)) }
                    line class={(side_class(side)) " back"} x1=(columns.side(side)) x2=(actor) y1="10" y2="10" marker-end={"url(#head-" (side_class(side)) ")"} {}
                }
            }
            (What::Here, Some(actor)) => {
                svg.lanes role="img" { title { "at " (plain(&row.actor)) } circle cx=(actor) cy="10" r="3.5" {} }
            }
            (What::Failed, _) => {
                svg.lanes role="img" { title { "the moment at which it failed" } line.moment x1="0" x2="100%" y1="10" y2="10" {} }
            }
            _ => svg.lanes aria-hidden="true" {}
        }
    }
}

fn side_class(side: Side) -> &'static str {
    match side {
        Side::Http => "http",
        Side::Ws => "ws",
    }
}

fn text(row: &Row) -> Markup {
    html! {
        @if !row.actor.is_empty() { b.who { (visible(&row.actor)) } " " }
        @if row.what == What::Failed { "✗ " }
        @match row.miss {
            Some("near") => { span.flag { "came instead" } " " }
            Some(_) => { span.flag { "came too late" } " " }
            None => {}
        }
        @if row.whole.is_empty() {
            (visible(&row.text))
        } @else {
            details.whole { summary { (visible(&row.text)) } @for line in &row.whole { span { (visible(line)) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(actor: &str, what: What, text: &str) -> Row {
        Row { at_ms: 5.0, actor: actor.into(), what, text: text.into(), whole: Vec::new(), fence: false, miss: None }
    }

    #[test]
    fn columns_are_the_actors_that_act_and_the_sides_that_are_used() {
        let rows = [row("eve\t", What::To(Side::Ws), "x"), row("bob", What::Here, "connect")];
        let columns = Columns::of(&rows, &["ann".to_owned(), "bob".to_owned()]);
        assert_eq!(columns.names, ["bob", "eve\t", "WS"]);
        assert_eq!(columns.middle(1), "50.00%");
    }

    #[test]
    fn a_line_of_text_is_one_line_of_four_fields_whatever_was_sent() {
        let hostile = Row { fence: true, ..row("a\tb", What::From(Side::Ws), "</pre><script>\n\t\u{202e}\"") };
        let text = as_text(&[hostile], &[], 1_000).into_string();
        let expected = "<pre class=\"wire\" data-columns=\"a\\tb\tWS\" data-actors=\"1\">0.0\ta\\tb\t← WS fence\t&lt;/pre&gt;&lt;script&gt;\\n\\t\\u{202e}\"\n</pre>";
        assert_eq!(text, expected);
    }
}
