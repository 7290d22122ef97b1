//! A scenario of a run as a shell script that plays it again without chatspec.

use std::collections::HashMap;
use std::fmt::Write;

use crate::event::{Direction, Event, Exchange, Frame, Log, Record};
use crate::verdict::{Outcome, ScenarioVerdict};

/// The lines of steps, by their place.
pub type Excerpts = HashMap<String, String>;

/// The script. Names are fresh in each run of it, as they are in each run of chatspec.
pub fn script(log: &Log, verdict: &ScenarioVerdict, excerpts: &Excerpts) -> String {
    let mut script = Script { text: String::new(), nonce: &log.header.nonce, excerpts };
    script.head(log, verdict);
    let of_it = |scenario: &str, run: u32| scenario == verdict.scenario && run == verdict.run;
    for event in &log.events {
        match event {
            Event::Exchange(exchange) if of_it(&exchange.scenario, exchange.run) => script.exchange(exchange),
            Event::Frame(frame) if of_it(&frame.scenario, frame.run) => script.frame(frame),
            Event::Step { scenario, run, place, outcome, note, .. } if of_it(scenario, *run) => script.step(place, *outcome, note),
            _ => {}
        }
    }
    script.text.push_str("\nfinish\n");
    script.text
}

struct Script<'a> {
    text: String,
    nonce: &'a str,
    excerpts: &'a Excerpts,
}

const FUNCTIONS: &str = r#"
set -u
RUN=${RUN:-r$(date +%s | tail -c 6)$$}   # what makes this run's names new
WEBSOCKET=${WEBSOCKET:-websocat}          # a client that sends each line of its input as a text, and prints what comes
PAUSE=${PAUSE:-0.3}                       # how long answers may take, in seconds
command -v "${WEBSOCKET%% *}" >/dev/null || { echo "there is no ${WEBSOCKET%% *}: set WEBSOCKET to a WebSocket client" >&2; exit 2; }
dir=$(mktemp -d)
declare -A to pid

connect() { # actor
  mkfifo "$dir/$1.in"
  : >"$dir/$1.out"
  $WEBSOCKET "$WS" <"$dir/$1.in" >"$dir/$1.out" 2>&1 &
  pid[$1]=$!
  exec {fd}>"$dir/$1.in"
  to[$1]=$fd
  (tail -n +1 -f "$dir/$1.out" --pid=$! 2>/dev/null | while IFS= read -r line; do printf '%-8s <- %s\n' "$1" "$line"; done) &
  sleep "$PAUSE"
}
send() { # actor, text
  printf '%-8s -> %s\n' "$1" "$2"
  printf '%s\n' "$2" >&"${to[$1]}"
  sleep "$PAUSE"
}
close() { # actor
  [ -n "${to[$1]-}" ] || return 0
  exec {to[$1]}>&-
  unset "to[$1]"
  kill "${pid[$1]}" 2>/dev/null
  sleep "$PAUSE"
}
http() { # actor, then arguments of curl
  local actor=$1
  shift
  printf '%-8s => %s\n' "$actor" "$*"
  printf '%-8s <= %s\n' "$actor" "$(curl -sS --max-time 5 -w '  (HTTP status %{http_code})' "$@" 2>&1)"
}
finish() {
  sleep "$PAUSE"
  for actor in "${!to[@]}"; do close "$actor"; done
  rm -r "$dir"
}
"#;

impl Script<'_> {
    fn head(&mut self, log: &Log, verdict: &ScenarioVerdict) {
        let header = &log.header;
        self.text.push_str("#!/usr/bin/env bash\n");
        self.comment("", &format!("The scenario {} of a run of chatspec {} on {}.", verdict.scenario, header.version, header.started));
        if let Some(failure) = &verdict.failure {
            let ids: Vec<&str> = failure.requirements.iter().map(|id| id.as_str()).collect();
            self.comment("", &format!("It failed under {}: {}", ids.join(" and "), failure.summary));
            for (what, text) in [("expected", &failure.expected), ("actual", &failure.actual)] {
                if !text.is_empty() {
                    self.comment("", &format!("  {what}: {text}"));
                }
            }
            for difference in &failure.differences {
                self.comment("", &format!("  {}: expected {}, got {}", difference.path, difference.expected, difference.actual));
            }
        }
        self.comment("", "It needs bash, curl and a WebSocket client for the command line.");
        let (http, ws) = (header.target.http.trim_end_matches('/'), &header.target.ws);
        let _ = write!(self.text, "\nHTTP=${{HTTP:-{http}}}\nWS=${{WS:-{ws}}}\n{FUNCTIONS}\n");
    }

    fn comment(&mut self, indent: &str, text: &str) {
        for line in text.lines() {
            // What a server has sent is text for a reader here, and never a line of the script.
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(self.text, "{indent}# {line}");
        }
    }

    fn step(&mut self, place: &str, outcome: Outcome, note: &str) {
        match self.excerpts.get(place).cloned() {
            Some(excerpt) => self.comment("", &format!("  ^ {place}\n{}", indented(&excerpt))),
            None => self.comment("", &format!("  ^ {place}")),
        }
        if outcome != Outcome::Pass {
            self.comment("", &format!("  ! {}: {note}", outcome.word()));
        }
        self.text.push('\n');
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let path = exchange.url.splitn(4, '/').nth(3).unwrap_or_default();
        let mut line =
            format!("http {} -X {} \"$HTTP\"/{}", exchange.actor, quoted(&exchange.method, self.nonce), quoted(path, self.nonce));
        match &exchange.body {
            None => {}
            Some(Record::Whole(body)) => {
                let kind = if body.trim_start().starts_with(['{', '[']) { "application/json" } else { "application/x-www-form-urlencoded" };
                let _ = write!(line, " -H 'content-type: {kind}' --data-raw {}", quoted(body, self.nonce));
            }
            Some(long) => self.comment("", &format!("the body was too long for the log: {}", long.shown())),
        }
        self.text.push_str(&line);
        self.text.push('\n');
        let answer = match (&exchange.status, &exchange.answer, &exchange.failure) {
            (Some(status), Some(answer), _) => format!("then: {status} {}", answer.shown()),
            (_, _, Some(failure)) => format!("then: {failure}"),
            _ => return,
        };
        self.comment("", &answer);
    }

    fn frame(&mut self, frame: &Frame) {
        let actor = &frame.actor;
        let shown = frame.payload.as_ref().map(Record::shown).unwrap_or_default();
        match (frame.direction, frame.kind.as_str(), &frame.payload) {
            (Direction::Here, "connect", _) => {
                let _ = writeln!(self.text, "connect {actor}");
            }
            (Direction::Sent, "text", Some(Record::Whole(text))) if !text.contains('\n') => {
                let _ = writeln!(self.text, "send {actor} {}", quoted(text, self.nonce));
            }
            (Direction::Sent, "close", _) | (Direction::Here, "hang-up" | "reset", _) => {
                self.comment("", &format!("{actor}: {} {shown}", frame.kind));
                let _ = writeln!(self.text, "close {actor}");
            }
            (Direction::Sent, kind, _) => {
                self.comment("", &format!("{actor} sent what such a client can't send ({kind}); `chatspec replay` can: {shown}"));
            }
            (Direction::Here, kind, _) => self.comment("", &format!("{actor}: {kind} {shown}")),
            (Direction::Received, kind, _) => self.comment("", &format!("then: {actor} got {kind} {shown}")),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// A word of the shell, in which the names of the log's run become this run's.
fn quoted(text: &str, nonce: &str) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    if nonce.is_empty() { quote(text) } else { text.split(nonce).map(quote).collect::<Vec<_>>().join("\"$RUN\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_new_and_nothing_is_left_for_the_shell() {
        assert_eq!(quoted("ann-n0n1", "n0n"), r#"'ann-'"$RUN"'1'"#);
        assert_eq!(quoted("it's $HOME `x`", "n0n"), r"'it'\''s $HOME `x`'");
    }
}
