//! Somebody who watches the server under test while it is checked, and adds to each failure what the server wrote meanwhile.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use super::command_server::CommandServer;
use crate::event::Event;
use crate::verdict::ScenarioVerdict;

/// How many lines of the server's a failure shows.
const MOST: usize = 20;

/// How many of its last lines are shown of a server that ended by itself.
const LAST: usize = 3;

#[derive(Debug)]
pub struct Witness<'a> {
    server: Option<&'a mut CommandServer>,
    absence: Option<String>,
    began: HashMap<(String, u32), Instant>,
}

impl<'a> Witness<'a> {
    /// Of a server that runs, or why there is none.
    pub fn new(server: Option<&'a mut CommandServer>, absence: Option<String>) -> Self {
        Self { server, absence, began: HashMap::new() }
    }

    /// The event with what the server adds to it.
    pub fn told<'e>(&mut self, event: &'e Event) -> Cow<'e, Event> {
        match event {
            Event::ScenarioStarted { scenario, run, .. } => {
                self.began.insert((scenario.clone(), *run), Instant::now());
                Cow::Borrowed(event)
            }
            Event::ScenarioFinished(verdict) => self.with_output(verdict).map_or(Cow::Borrowed(event), Cow::Owned),
            Event::Finished(footer) => match self.end() {
                None => Cow::Borrowed(event),
                Some(end) => {
                    let mut footer = footer.clone();
                    footer.notes.insert(0, end);
                    Cow::Owned(Event::Finished(footer))
                }
            },
            _ => Cow::Borrowed(event),
        }
    }

    /// A failure with what the server wrote since its scenario began.
    fn with_output(&mut self, verdict: &ScenarioVerdict) -> Option<Event> {
        let began = self.began.remove(&(verdict.scenario.clone(), verdict.run));
        let server = self.server.as_mut()?;
        let mut verdict = verdict.clone();
        let failure = verdict.failure.as_mut()?;
        failure.server_output = server.lines(began.unwrap_or_else(|| server.started()), MOST);
        if let Some(status) = server.ended() {
            failure.hints.push(format!("the server that --cmd started had ended by then ({status})"));
        }
        Some(Event::ScenarioFinished(Box::new(verdict)))
    }

    /// What the run must say of a server that never came up, or that ended before it.
    fn end(&mut self) -> Option<String> {
        let Some(server) = self.server.as_mut() else {
            return self.absence.clone();
        };
        let status = server.ended()?;
        let last = server.lines(server.started(), LAST);
        let wrote = if last.is_empty() { "it wrote nothing".to_owned() } else { format!("it wrote last: {}", last.join(" / ")) };
        Some(format!("the server ended by itself during the run ({status}), started by `{}`; {wrote}", server.command()))
    }
}
