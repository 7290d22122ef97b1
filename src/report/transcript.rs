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
    text: String,
    fence: bool,
}

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
        self.push(exchange.at_ms, &exchange.actor, format!("HTTP → {request}"), false);
        self.push(exchange.at_ms + exchange.took_ms, &exchange.actor, format!("HTTP ← {came}"), false);
    }

    fn frame(&mut self, frame: &Frame) {
        let payload = frame.payload.as_ref().map(Record::shown).unwrap_or_default();
        let kind = if frame.kind == "text" { String::new() } else { format!("{} ", frame.kind) };
        let arrow = match frame.direction {
            Direction::Sent => "WS → ",
            Direction::Received => "WS ← ",
            Direction::Here => "",
        };
        self.push(frame.at_ms, &frame.actor, format!("{arrow}{kind}{payload}"), frame.fence);
    }

    fn push(&mut self, at_ms: f64, actor: &str, text: String, fence: bool) {
        self.entries.push(Entry { at_ms, actor: actor.to_owned(), text: text.trim_end().to_owned(), fence });
    }

    /// The lines in the order of their times, which count from the first; the frames of fences only if wanted.
    pub fn lines(&self, with_fences: bool) -> Vec<String> {
        let mut entries: Vec<&Entry> = self.entries.iter().filter(|entry| with_fences || !entry.fence).collect();
        entries.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        let start = entries.first().map_or(0.0, |entry| entry.at_ms);
        let width = entries.iter().map(|entry| printable(&entry.actor).chars().count()).max().unwrap_or(0);
        let line = |entry: &&Entry| {
            let (actor, text) = (printable(&entry.actor), printable(&entry.text));
            format!("{:>9.1} ms  {actor:<width$}  {text}", entry.at_ms - start)
        };
        entries.iter().map(line).collect()
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
    fn what_a_hostile_server_sends_does_not_act_on_the_terminal() {
        assert_eq!(printable("\u{1b}[2Ja\nb\u{202e}c聊"), "\\u{1b}[2Ja\\nb\\u{202e}c聊");
    }
}
