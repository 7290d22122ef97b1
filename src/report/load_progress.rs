//! A load as it goes, on standard error: three lines that renew themselves on a terminal, elsewhere a plain line now and then.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::figures::{count, number, percent, seconds};
use super::transcript::printable;
use crate::event::{BUSY, Event, LATE, LOOP_LAG, Planned, Second, millis};

/// How many seconds lie between two plain lines at least, unless the phase changes.
const EVERY_MS: f64 = 5_000.0;

#[derive(Debug)]
pub struct LoadProgress {
    bar: Option<ProgressBar>,
    plain: Option<Pace>,
    planned: Option<Planned>,
}

/// When the last plain line was written, and of which phase.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(f64, String)>,
}

impl Pace {
    fn is_due(&mut self, second: &Second) -> bool {
        let due = self.last.as_ref().is_none_or(|(at_ms, phase)| second.at_ms - at_ms >= EVERY_MS || *phase != second.phase);
        if due {
            self.last = Some((second.at_ms, second.phase.clone()));
        }
        due
    }
}

impl LoadProgress {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {prefix} [{bar:30}] {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, plain: (!terminal && !quiet).then(Pace::default), planned: None }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started(_) => self.say("finding out which readings the target follows"),
            Event::Planned(planned) => {
                self.say("connecting the clients");
                if let Some(bar) = &self.bar {
                    bar.set_length(end_ms(planned).max(0.0) as u64);
                    bar.enable_steady_tick(std::time::Duration::from_millis(200));
                }
                self.planned = Some((**planned).clone());
            }
            Event::Second(second) => self.second(second),
            Event::Measured(_) | Event::Finished(_) => self.clear(),
            _ => {}
        }
    }

    fn second(&mut self, second: &Second) {
        let left = self.planned.as_ref().map(|planned| (end_ms(planned) - second.at_ms).max(0.0));
        let left = left.map_or_else(String::new, |left| format!("{} left", seconds(left)));
        let [load, latency] = lines(second);
        if let Some(bar) = &self.bar {
            bar.set_position(second.at_ms.max(0.0) as u64);
            bar.set_prefix(printable(&second.phase));
            bar.set_message(format!("{left}\n  {load}\n  {latency}"));
        }
        if self.plain.as_mut().is_some_and(|pace| pace.is_due(second)) {
            anstream::eprintln!("{} ({}, {left}): {load}, {latency}", seconds(second.at_ms), printable(&second.phase));
        }
    }

    fn say(&self, what: &'static str) {
        match &self.bar {
            Some(bar) => bar.set_message(what),
            None if self.plain.is_some() => anstream::eprintln!("{what}"),
            None => {}
        }
    }

    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn end_ms(planned: &Planned) -> f64 {
    planned.phases.iter().map(|phase| phase.end_ms).fold(0.0, f64::max)
}

/// What the target was given and gave back, and how fast and how believable that was.
fn lines(second: &Second) -> [String; 2] {
    let clients = match second.connected.saturating_sub(second.joined) {
        0 => format!("{} clients", count(second.joined.into())),
        coming => format!("{} clients and {} outside their room", count(second.joined.into()), count(coming.into())),
    };
    // In a closed load nothing is planned by the second.
    let planned = if second.planned == 0 { String::new() } else { format!("planned {}/s, ", count(second.planned)) };
    let load = format!("{clients}, {planned}sent {}/s, arrived {}/s", count(second.sent), count(second.delivered));
    let latency = match second.delivered {
        0 => String::new(),
        _ => format!("p50 {} ms, p99 {} ms, ", number(second.p50_ms), number(second.p99_ms)),
    };
    [load, format!("{latency}wrong {}, errors {}, generator {}", count(second.wrong()), count(second.errors), generator(second))]
}

/// What of the generator is beyond its limits in this second.
fn generator(second: &Second) -> String {
    let mut beyond = Vec::new();
    if second.send_lag_p99_ms > millis(LATE) {
        beyond.push(format!("late by {} ms (p99)", number(second.send_lag_p99_ms)));
    }
    if second.loop_lag_p99_ms > millis(LOOP_LAG) {
        beyond.push(format!("away for {} ms (p99)", number(second.loop_lag_p99_ms)));
    }
    let busiest = second.cpu.iter().copied().fold(0.0_f32, f32::max);
    if f64::from(busiest) > BUSY {
        beyond.push(format!("busy {}", percent(busiest.into())));
    }
    if beyond.is_empty() { "fine".to_owned() } else { beyond.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at_ms: f64, phase: &str) -> Second {
        Second {
            at_ms,
            phase: phase.into(),
            connected: 1000,
            joined: 990,
            planned: 1500,
            sent: 1499,
            delivered: 29_800,
            p50_ms: 0.84,
            p99_ms: 12.3,
            cpu: vec![0.4, 0.5],
            ..Second::default()
        }
    }

    #[test]
    fn a_second_says_what_was_asked_for_what_came_and_whether_to_believe_it() {
        let [load, latency] = lines(&second(1000.0, "steady"));
        assert_eq!(load, "990 clients and 10 outside their room, planned 1,500/s, sent 1,499/s, arrived 29,800/s");
        assert_eq!(latency, "p50 0.840 ms, p99 12.3 ms, wrong 0, errors 0, generator fine");

        let troubled = Second { send_lag_p99_ms: 12.0, loop_lag_p99_ms: 15.0, cpu: vec![0.91], ..second(1000.0, "steady") };
        assert!(lines(&troubled)[1].ends_with("generator late by 12.0 ms (p99) and away for 15.0 ms (p99) and busy 91 %"));

        let closed = Second { planned: 0, delivered: 0, connected: 990, ..second(1000.0, "steady") };
        assert_eq!(lines(&closed).join("; "), "990 clients, sent 1,499/s, arrived 0/s; wrong 0, errors 0, generator fine");
    }

    #[test]
    fn off_a_terminal_a_line_comes_every_five_seconds_and_when_the_phase_changes() {
        let mut pace = Pace::default();
        let phases = ["arrive", "arrive", "steady", "steady", "steady", "steady", "steady", "steady"];
        let due: Vec<bool> =
            phases.iter().enumerate().map(|(index, phase)| pace.is_due(&second((index + 1) as f64 * 1000.0, phase))).collect();
        assert_eq!(due, [true, false, true, false, false, false, false, true]);
    }
}
