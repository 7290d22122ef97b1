//! What went over the wire in one scenario, all actors interleaved, in lines for a person.

use crate::event::{Direction, Event, Exchange, Frame, Record};
use crate::scenario::pattern::shorten;

/// The exchanges and frames of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    at_ms: f64,
    actor: String,
    way: Way,
    text: String,
    fence: bool,
}

/// Between whom something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToHttp,
    FromHttp,
    ToWs,
    FromWs,
    /// It happened to the actor.
    Here,
}

impl Way {
    fn words(self) -> &'static str {
        match self {
            Way::ToHttp => "HTTP → ",
            Way::FromHttp => "HTTP ← ",
            Way::ToWs => "WS → ",
            Way::FromWs => "WS ← ",
            Way::Here => "",
        }
    }

    /// The side of the server, and whether it is told or tells.
    fn side(self) -> Option<(&'static str, bool)> {
        match self {
            Way::ToHttp => Some(("HTTP", true)),
            Way::FromHttp => Some(("HTTP", false)),
            Way::ToWs => Some(("WS", true)),
            Way::FromWs => Some(("WS", false)),
            Way::Here => None,
        }
    }
}

/// How many characters lie between two columns of a diagram.
const BETWEEN: usize = 7;

impl Transcript {
    /// Takes an event of the scenario; others than exchanges and frames say nothing here.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Exchange(exchange) => self.exchange(exchange),
            Event::Frame(frame) => self.frame(frame),
            _ => {}
        }
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let body = exchange.body.as_ref().map(|body| format!("  {}", body.shown())).unwrap_or_default();
        let request = format!("{} {}{body}", exchange.method, shorten(&exchange.url));
        let came = match (&exchange.status, &exchange.answer, &exchange.failure) {
            (Some(status), Some(answer), _) => format!("{status} {}", answer.shown()),
            (_, _, Some(failure)) => failure.clone(),
            _ => "no answer".to_owned(),
        };
        self.push(exchange.at_ms, &exchange.actor, Way::ToHttp, request, false);
        self.push(exchange.at_ms + exchange.took_ms, &exchange.actor, Way::FromHttp, came, false);
    }

    fn frame(&mut self, frame: &Frame) {
        let payload = frame.payload.as_ref().map(Record::shown).unwrap_or_default();
        let kind = if frame.kind == "text" { String::new() } else { format!("{} ", frame.kind) };
        let way = match frame.direction {
            Direction::Sent => Way::ToWs,
            Direction::Received => Way::FromWs,
            Direction::Here => Way::Here,
        };
        self.push(frame.at_ms, &frame.actor, way, format!("{kind}{payload}"), frame.fence);
    }

    fn push(&mut self, at_ms: f64, actor: &str, way: Way, text: String, fence: bool) {
        self.entries.push(Entry { at_ms, actor: actor.to_owned(), way, text: text.trim_end().to_owned(), fence });
    }

    /// The entries in the order of their times; those of fences only if wanted.
    fn sorted(&self, with_fences: bool) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.iter().filter(|entry| with_fences || !entry.fence).collect();
        entries.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        entries
    }

    /// The lines in the order of their times, which count from the first; the frames of fences only if wanted.
    pub fn lines(&self, with_fences: bool) -> Vec<String> {
        let entries = self.sorted(with_fences);
        let start = entries.first().map_or(0.0, |entry| entry.at_ms);
        let width = entries.iter().map(|entry| printable(&entry.actor).chars().count()).max().unwrap_or(0);
        let line = |entry: &&Entry| {
            let (actor, text) = (printable(&entry.actor), printable(&entry.text));
            format!("{:>9.1} ms  {actor:<width$}  {}{text}", entry.at_ms - start, entry.way.words())
        };
        entries.iter().map(line).collect()
    }

    /// A sequence diagram: time downwards, the actors and the sides of the server as columns, and beside each arrow what went along it.
    pub fn diagram(&self, with_fences: bool) -> Vec<String> {
        let entries = self.sorted(with_fences);
        let mut columns: Vec<String> = Vec::new();
        let sides =
            ["HTTP", "WS"].into_iter().filter(|side| entries.iter().any(|entry| entry.way.side().is_some_and(|(one, _)| one == *side)));
        for name in entries.iter().map(|entry| printable(&entry.actor)).chain(sides.map(str::to_owned)) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let middle = |name: &str| columns.iter().position(|column| column == name).unwrap_or(0) * (BETWEEN + 1);
        let mut head = String::new();
        for column in &columns {
            let name: String = column.chars().take(BETWEEN).collect();
            head.push_str(&format!("{name:<width$}", width = BETWEEN + 1));
        }
        let start = entries.first().map_or(0.0, |entry| entry.at_ms);
        let mut lines = vec![format!("{:>12}  {}", "", head.trim_end())];
        for entry in entries {
            let mut drawn: Vec<char> = (0..columns.len()).flat_map(|_| std::iter::once('│').chain([' '; BETWEEN])).collect();
            let own = middle(&printable(&entry.actor));
            match entry.way.side() {
                None => drawn[own] = '●',
                Some((side, is_told)) => {
                    let other = middle(side);
                    drawn[own + 1..other].fill('─');
                    (drawn[own], drawn[other]) = if is_told { ('├', '▶') } else { ('◀', '┤') };
                }
            }
            let drawn: String = drawn.into_iter().collect();
            lines.push(format!("{:>9.1} ms  {} {}", entry.at_ms - start, drawn.trim_end(), printable(&entry.text)));
        }
        lines
    }

    /// When the first thing happened, in milliseconds of the run.
    pub fn start_ms(&self) -> f64 {
        self.entries.iter().map(|entry| entry.at_ms).fold(f64::INFINITY, f64::min)
    }
}

/// A text in which nothing acts on a terminal: what a hostile server sends is shown, and not obeyed.
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\n' => "\\n".chars().collect::<Vec<_>>(),
            // Beside what controls a terminal: what turns the order of letters round, ends a line, or may stand in no document.
            c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}') => {
                c.escape_unicode().collect()
            }
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_has_a_column_for_each_actor_and_each_side_of_the_server() {
        let mut transcript = Transcript::default();
        transcript.push(1.0, "ann", Way::Here, "connect".into(), false);
        transcript.push(2.0, "bob", Way::ToHttp, "GET /x".into(), false);
        transcript.push(3.0, "bob", Way::FromHttp, "200".into(), false);
        transcript.push(3.5, "ann", Way::ToWs, "{}".into(), true);
        transcript.push(4.0, "ann", Way::FromWs, "a\nb".into(), false);
        let expected = [
            "              ann     bob     HTTP    WS",
            "      0.0 ms  ●       │       │       │ connect",
            "      1.0 ms  │       ├───────▶       │ GET /x",
            "      2.0 ms  │       ◀───────┤       │ 200",
            "      3.0 ms  ◀───────────────────────┤ a\\nb",
        ];
        assert_eq!(transcript.diagram(false), expected);
    }

    #[test]
    fn what_a_hostile_server_sends_does_not_act_on_the_terminal() {
        assert_eq!(printable("\u{1b}[2Ja\nb\u{202e}c聊"), "\\u{1b}[2Ja\\nb\\u{202e}c聊");
    }
}
