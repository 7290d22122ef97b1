//! The place where all tasks meet: the state and the outboxes behind one lock. Deliveries are queued before the lock
//! is released, so every member sees what happens in a room in the same order (MSG-5). Nothing is awaited under it.

use crate::deviation::{Active, Site};
use crate::event::{Delivery, Event, Outcome};
use crate::limits::Limits;
use crate::outbox::{Crowded, Ending, Outbox};
use crate::request::{Answer, Request};
use crate::room::ConnectionId;
use crate::state::State;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{debug, warn};

/// The outboxes of the connections that are open.
pub type Outboxes = HashMap<ConnectionId, Arc<Outbox>, foldhash::fast::RandomState>;

/// So many turns the other tasks get to write before somebody speaks; an outbox that is crowded after that is nobody's turn any more.
const MOST_TURNS: u32 = 256;

/// Shared by all connections of both listeners.
pub struct Hub {
    shared: Mutex<Shared>,
    crowded: Crowded,
    pub deviation: Option<Active>,
    pub limits: Limits,
}

struct Shared {
    state: State,
    outboxes: Outboxes,
    next_connection: u64,
    shutting_down: bool,
}

impl Hub {
    #[must_use]
    pub fn new(state: State, limits: Limits, deviation: Option<Active>) -> Self {
        Self {
            shared: Mutex::new(Shared { state, outboxes: Outboxes::default(), next_connection: 0, shutting_down: false }),
            crowded: Crowded::default(),
            deviation,
            limits,
        }
    }

    /// Registers a connection. Whatever is pushed to its outbox is its task's to send.
    pub fn connect(&self) -> (ConnectionId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new(self.limits.queued_messages, self.limits.queued_bytes, Arc::clone(&self.crowded)));
        let mut shared = self.lock();
        let connection = ConnectionId(shared.next_connection);
        shared.next_connection += 1;
        if shared.shutting_down {
            outbox.end(Ending::Shutdown);
        }
        shared.outboxes.insert(connection, Arc::clone(&outbox));
        (connection, outbox)
    }

    /// Lets the other tasks write what is queued, while there is much. Whoever is about to say something waits here first.
    pub async fn make_room(&self) {
        for _ in 0..MOST_TURNS {
            if self.crowded.load(Ordering::Relaxed) == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Deals with an HTTP request.
    pub async fn answer(self: &Arc<Self>, request: &Request) -> Answer {
        let answer = self.handle(Event::Request(request)).await;
        answer.unwrap_or_else(|| Answer::with_status(500, "no answer"))
    }

    /// Deals with one event: the state decides, and what it decides is queued for those whom it concerns.
    pub async fn handle(self: &Arc<Self>, event: Event<'_>) -> Option<Answer> {
        let early = match &self.deviation {
            None => None,
            Some(deviation) => deviation.arrive(self, &event).await,
        };
        let mut shared = self.lock();
        // A connection that was ended for not reading may still have said something; it is in no room any more, and
        // must not get into one again.
        if event.connection().is_some_and(|connection| !shared.outboxes.contains_key(&connection)) {
            return None;
        }
        if let Event::Gone(connection) = event {
            shared.outboxes.remove(&connection);
        }
        let outcome = early.unwrap_or_else(|| self.decide(&mut shared, &event));
        self.dispatch(&mut shared, outcome.deliveries);
        outcome.answer
    }

    /// Queues messages that no event of this moment caused.
    pub(crate) fn deliver(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        self.dispatch(&mut self.lock(), deliveries);
    }

    /// Lets a deviation look at the state outside of any event.
    pub(crate) fn visit<T>(self: &Arc<Self>, look: impl FnOnce(&mut State, &mut Outboxes) -> T) -> T {
        let mut shared = self.lock();
        let Shared { state, outboxes, .. } = &mut *shared;
        look(state, outboxes)
    }

    /// Ends all connections, also those that are still to come.
    pub fn shut_down(&self) {
        let mut shared = self.lock();
        shared.shutting_down = true;
        for outbox in shared.outboxes.values() {
            outbox.end(Ending::Shutdown);
        }
    }

    fn decide(self: &Arc<Self>, shared: &mut Shared, event: &Event<'_>) -> Outcome {
        let outcome = match &self.deviation {
            None => shared.state.handle(event),
            Some(deviation) => deviation.deviate(&mut Site::new(&mut shared.state, &mut shared.outboxes, self, deviation), event),
        };
        debug!(?event, ?outcome);
        outcome
    }

    /// Queues the messages. Whoever has no room for one is gone, which the others are told in turn.
    fn dispatch(self: &Arc<Self>, shared: &mut Shared, deliveries: Vec<Delivery>) {
        let mut deliveries = VecDeque::from(deliveries);
        while let Some(Delivery { to, message }) = deliveries.pop_front() {
            for connection in to {
                let Some(outbox) = shared.outboxes.get(&connection) else {
                    continue;
                };
                if let Err(overflow) = outbox.push(message.clone()) {
                    warn!(connection = connection.0, %overflow, "disconnecting a client");
                    outbox.end(Ending::Overflow);
                    shared.outboxes.remove(&connection);
                    deliveries.extend(self.decide(shared, &Event::Gone(connection)).deliveries);
                }
            }
        }
    }

    // The state isn't left half changed by a panic in a task: each rule checks first and changes then.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Readings;

    fn leaves(outbox: &Outbox) -> usize {
        std::iter::from_fn(|| outbox.pop()).filter(|message| message.to_text().unwrap().contains("leave")).count()
    }

    #[tokio::test]
    async fn a_crowd_that_does_not_read_is_gone_and_the_reader_is_told_of_each() {
        const CROWD: usize = 2_000;
        let limits = Limits { queued_messages: 3 * CROWD, ..Limits::default() };
        let mut state = State::new(CROWD + 1, Readings::default(), limits.clone());
        state.add_room("r");
        let hub = Arc::new(Hub::new(state, limits, None));
        let packet = |kind, user: &str| format!(r#"{{"type":"{kind}","data":{{"user_name":"{user}","room_name":"r","msg":"x"}}}}"#);

        let (reader, outbox) = hub.connect();
        hub.handle(Event::Text(reader, &packet("join", "reader"))).await;
        let crowd: Vec<_> = (0..CROWD).map(|_| hub.connect()).collect();
        for (connection, _) in &crowd {
            hub.handle(Event::Text(*connection, &packet("join", &connection.0.to_string()))).await;
        }
        let mut told_of = 0;
        while hub.visit(|_, outboxes| outboxes.len()) > 1 {
            told_of += leaves(&outbox);
            hub.handle(Event::Text(reader, &packet("msg", "reader"))).await;
        }

        for (connection, outbox) in &crowd {
            assert_eq!(outbox.ended().await, Ending::Overflow);
            hub.handle(Event::Text(*connection, &packet("join", "back again"))).await;
        }
        assert_eq!(told_of + leaves(&outbox), CROWD);
        assert_eq!(hub.visit(|state, _| state.room("r").map(|room| room.taken())), Some(1));
    }
}
