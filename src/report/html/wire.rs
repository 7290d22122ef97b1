//! What went over the wire in one scenario as rows, one for each arrow of its sequence diagram.

use crate::event::{Direction, Event, Record};
use crate::verdict::{Failure, NearMiss};

/// Who is at the other end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Http,
    Ws,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// From the actor to the server.
    To(Side),
    /// From the server to the actor.
    From(Side),
    /// It happened to the actor: a connect, an end.
    Here,
    /// Nothing, for long enough to be seen.
    Gap,
    /// The step failed.
    Failed,
    /// Rows that are left out.
    Cut,
}

impl What {
    /// What stands for it in the transcript as text, from which the page's script draws.
    pub fn sign(self) -> &'static str {
        match self {
            What::To(Side::Http) => "→ HTTP",
            What::From(Side::Http) => "← HTTP",
            What::To(Side::Ws) => "→ WS",
            What::From(Side::Ws) => "← WS",
            What::Here => "·",
            What::Gap => "⋮",
            What::Failed => "✗",
            What::Cut => "…",
        }
    }

    /// The row's class in the page.
    pub fn class(self) -> &'static str {
        match self {
            What::To(Side::Http) | What::From(Side::Http) => "http",
            What::To(Side::Ws) | What::From(Side::Ws) => "ws",
            What::Here => "here",
            What::Gap => "gap",
            What::Failed => "moment",
            What::Cut => "cut",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Milliseconds of the run.
    pub at_ms: f64,
    pub actor: String,
    pub what: What,
    /// On one line, shortened.
    pub text: String,
    /// The whole of it in lines, where the log has more than `text` shows: headers, or what was shortened.
    pub whole: Vec<String>,
    /// It belongs to a fence.
    pub fence: bool,
    /// `near` or `late`, where a failure speaks of it.
    pub miss: Option<&'static str>,
}

impl Row {
    fn new(at_ms: f64, actor: &str, what: What, text: String) -> Self {
        Self { at_ms, actor: actor.to_owned(), what, text: text.trim_end().to_owned(), whole: Vec::new(), fence: false, miss: None }
    }
}

/// A pause of this many milliseconds or more gets a row of its own.
const GAP_MS: f64 = 250.0;

/// Of a very long transcript, how many rows of its start and of its end are kept.
const START: usize = 60;
const END: usize = 140;

/// The rows of these events in the order of their times, with the moment at which the scenario failed. The addresses of requests are
/// shown without the target's.
pub fn rows(events: &[&Event], target: &str, failure: Option<&Failure>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for event in events {
        match event {
            Event::Exchange(exchange) => {
                let path = exchange.url.strip_prefix(target.trim_end_matches('/')).filter(|path| path.starts_with('/'));
                let request = format!("{} {}", exchange.method, path.unwrap_or(&exchange.url));
                rows.push(with_record(Row::new(exchange.at_ms, &exchange.actor, What::To(Side::Http), request), exchange.body.as_ref()));
                let end = exchange.at_ms + exchange.took_ms;
                rows.push(match (exchange.status, &exchange.failure) {
                    (Some(status), _) => {
                        let answer = Row::new(end, &exchange.actor, What::From(Side::Http), status.to_string());
                        with_headers(with_record(answer, exchange.answer.as_ref()), &exchange.headers)
                    }
                    (None, Some(failure)) => Row::new(end, &exchange.actor, What::Here, failure.clone()),
                    (None, None) => Row::new(end, &exchange.actor, What::Here, "no answer".into()),
                });
            }
            Event::Frame(frame) => {
                let what = match frame.direction {
                    Direction::Sent => What::To(Side::Ws),
                    Direction::Received => What::From(Side::Ws),
                    Direction::Here => What::Here,
                };
                let kind = if frame.kind == "text" { String::new() } else { frame.kind.clone() };
                let row = with_record(Row::new(frame.at_ms, &frame.actor, what, kind), frame.payload.as_ref());
                rows.push(Row { fence: frame.fence, ..row });
            }
            _ => {}
        }
    }
    rows.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    if let Some(failure) = failure {
        mark(&mut rows, &failure.near, "near");
        mark(&mut rows, &failure.late, "late");
    }
    let mut rows = cut(rows);
    if let (Some(failure), false) = (failure, rows.is_empty()) {
        let place = rows.partition_point(|row| row.at_ms <= failure.at_ms);
        rows.insert(place, Row::new(failure.at_ms, "", What::Failed, failure.summary.clone()));
    }
    with_gaps(rows)
}

/// Adds a payload to a row's text: whole where it is short.
fn with_record(mut row: Row, record: Option<&Record>) -> Row {
    let Some(record) = record else {
        return row;
    };
    let head = if row.text.is_empty() { String::new() } else { format!("{} ", row.text) };
    let shown = record.shown();
    if let Record::Whole(whole) = record
        && *whole != shown
    {
        row.whole = vec![format!("{head}{whole}")];
    }
    row.text = format!("{head}{shown}").trim_end().to_owned();
    row
}

/// Puts an answer's headers before the whole of it.
fn with_headers(mut row: Row, headers: &[(String, String)]) -> Row {
    if !headers.is_empty() {
        let last = row.whole.pop().unwrap_or_else(|| row.text.clone());
        row.whole = headers.iter().map(|(name, value)| format!("{name}: {value}")).chain([last]).collect();
    }
    row
}

/// Marks what a failure speaks of. The times of both are taken in two places, a few microseconds apart.
fn mark(rows: &mut [Row], misses: &[NearMiss], word: &'static str) {
    for miss in misses {
        let is_meant = |row: &&mut Row| row.actor == miss.actor && !matches!(row.what, What::To(_)) && (row.at_ms - miss.at_ms).abs() < 0.5;
        let nearest = rows.iter_mut().filter(is_meant).min_by(|a, b| (a.at_ms - miss.at_ms).abs().total_cmp(&(b.at_ms - miss.at_ms).abs()));
        if let Some(row) = nearest {
            row.miss = Some(word);
        }
    }
}

/// Only the ends of a very long transcript.
fn cut(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() <= START + END + 1 {
        return rows;
    }
    let end = rows.len() - END;
    let text = format!("{} rows left out; the log has them all", end - START);
    let cut = Row::new(rows[START].at_ms, "", What::Cut, text);
    rows.splice(START..end, [cut]);
    rows
}

/// Puts a row where nothing happened for long.
fn with_gaps(rows: Vec<Row>) -> Vec<Row> {
    let mut with_gaps: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(last) = with_gaps.last()
            && last.what != What::Cut
            && row.at_ms - last.at_ms >= GAP_MS
        {
            let text = format!("nothing for {}", super::text::duration(row.at_ms - last.at_ms));
            with_gaps.push(Row::new(last.at_ms, "", What::Gap, text));
        }
        with_gaps.push(row);
    }
    with_gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Exchange, Frame};

    fn frame(at_ms: f64, actor: &str, direction: Direction, payload: &str) -> Event {
        Event::Frame(Frame {
            at_ms,
            scenario: "s".into(),
            run: 1,
            actor: actor.into(),
            direction,
            kind: "text".into(),
            payload: Some(Record::new(payload.as_bytes())),
            fence: false,
        })
    }

    fn exchange(at_ms: f64, took_ms: f64, status: Option<u16>) -> Event {
        Event::Exchange(Exchange {
            at_ms,
            took_ms,
            scenario: "s".into(),
            run: 1,
            actor: "ann".into(),
            method: "GET".into(),
            url: "http://127.0.0.1:5000/list?x=1".into(),
            body: None,
            status,
            headers: Vec::new(),
            answer: None,
            failure: None,
        })
    }

    fn shown(events: &[Event], failure: Option<&Failure>) -> Vec<String> {
        let events: Vec<&Event> = events.iter().collect();
        let rows = rows(&events, "http://127.0.0.1:5000/", failure);
        let line = |row: &Row| format!("{} {} {} {}{}", row.at_ms, row.actor, row.what.sign(), row.text, row.miss.unwrap_or_default());
        rows.iter().map(line).collect()
    }

    #[test]
    fn an_answer_stands_where_it_came_and_not_where_it_was_asked_for() {
        let events = [exchange(1.0, 5.0, Some(200)), frame(3.0, "bob", Direction::Received, "hi"), exchange(7.0, 1.0, None)];
        let expected =
            ["1 ann → HTTP GET /list?x=1", "3 bob ← WS hi", "6 ann ← HTTP 200", "7 ann → HTTP GET /list?x=1", "8 ann · no answer"];
        assert_eq!(shown(&events, None), expected);
    }

    #[test]
    fn the_failing_moment_stands_after_what_came_before_it_and_a_long_wait_is_seen() {
        let near = NearMiss { at_ms: 2.003, actor: "bob".into(), what: "no".into(), differences: Vec::new() };
        let failure = Failure { at_ms: 3002.0, summary: "too late".into(), near: vec![near], ..Failure::default() };
        let events = [
            frame(1.0, "ann", Direction::Sent, "yes"),
            frame(2.0, "bob", Direction::Received, "no"),
            frame(3003.0, "bob", Direction::Received, "yes"),
        ];
        let expected = ["1 ann → WS yes", "2 bob ← WS nonear", "2  ⋮ nothing for 3.0 s", "3002  ✗ too late", "3003 bob ← WS yes"];
        assert_eq!(shown(&events, Some(&failure)), expected);
    }

    #[test]
    fn of_a_very_long_transcript_the_ends_are_kept_and_it_says_so() {
        let events: Vec<Event> = (0..1000).map(|at| frame(f64::from(at), "ann", Direction::Sent, "x")).collect();
        let lines = shown(&events, None);
        assert_eq!(lines.len(), START + 1 + END);
        assert_eq!(lines[START], "60  … 800 rows left out; the log has them all");
        assert_eq!(lines[START + 1], "860 ann → WS x");
    }

    #[test]
    fn a_long_payload_keeps_its_whole_beside_it() {
        let long = "x".repeat(1000);
        let event = frame(1.0, "ann", Direction::Sent, &long);
        let row = &rows(&[&event], "", None)[0];
        assert!(row.text.len() < 300);
        assert_eq!(row.whole, [long]);
    }
}
