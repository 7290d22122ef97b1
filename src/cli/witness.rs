//! Somebody who watches the server under test while it is checked, and adds to each failure what the server wrote meanwhile.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use super::command_server::CommandServer;
use crate::event::Event;

/// How many lines of the server's a failure shows.
const MOST: usize = 20;

/// How many of its last lines are shown of a server that ended by itself.
const LAST: usize = 3;

pub struct Witness<'a> {
    server: &'a mut CommandServer,
    began: HashMap<(String, u32), Instant>,
}

impl<'a> Witness<'a> {
    pub fn new(server: &'a mut CommandServer) -> Self {
        Self { server, began: HashMap::new() }
    }

    /// The event with what the server adds to it.
    pub fn told<'e>(&mut self, event: &'e Event) -> Cow<'e, Event> {
        match event {
            Event::ScenarioStarted { scenario, run, .. } => {
                self.began.insert((scenario.clone(), *run), Instant::now());
                Cow::Borrowed(event)
            }
            Event::ScenarioFinished(verdict) => {
                let began = self.began.remove(&(verdict.scenario.clone(), verdict.run));
                let mut verdict = verdict.clone();
                let Some(failure) = &mut verdict.failure else {
                    return Cow::Borrowed(event);
                };
                failure.server_output = self.server.lines(began.unwrap_or_else(|| self.server.started()), MOST);
                if let Some(status) = self.server.ended() {
                    failure.hints.push(format!("the server that --cmd started had ended by then ({status})"));
                }
                Cow::Owned(Event::ScenarioFinished(verdict))
            }
            Event::Finished(footer) => match self.server.ended() {
                None => Cow::Borrowed(event),
                Some(status) => {
                    let mut footer = footer.clone();
                    let last = self.server.lines(self.server.started(), LAST);
                    let wrote =
                        if last.is_empty() { "it wrote nothing".to_owned() } else { format!("it wrote last: {}", last.join(" / ")) };
                    footer.notes.push(format!(
                        "the server ended by itself during the run ({status}), started by `{}`; {wrote}",
                        self.server.command()
                    ));
                    Cow::Owned(Event::Finished(footer))
                }
            },
            _ => Cow::Borrowed(event),
        }
    }
}
