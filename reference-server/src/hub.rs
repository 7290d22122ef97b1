//! The place where all tasks meet: the state and the outboxes behind one lock. Deliveries are queued before the lock
//! is released, so every member sees what happens in a room in the same order (MSG-5). Nothing is awaited under it.

use crate::event::{Delivery, Event, Outcome};
use crate::fault::{Fault, Site};
use crate::limits::Limits;
use crate::outbox::{Ending, Outbox};
use crate::request::{Answer, Request};
use crate::room::ConnectionId;
use crate::state::State;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{debug, warn};

/// The outboxes of the connections that are open.
pub type Outboxes = HashMap<ConnectionId, Arc<Outbox>>;

/// Shared by all connections of both listeners.
pub struct Hub {
    shared: Mutex<Shared>,
    pub fault: Option<Fault>,
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
    pub fn new(state: State, limits: Limits, fault: Option<Fault>) -> Self {
        Self { shared: Mutex::new(Shared { state, outboxes: Outboxes::new(), next_connection: 0, shutting_down: false }), fault, limits }
    }

    /// Registers a connection. Whatever is pushed to its outbox is its task's to send.
    pub fn connect(&self) -> (ConnectionId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new(self.limits.queued_messages, self.limits.queued_bytes));
        let mut shared = self.lock();
        let connection = ConnectionId(shared.next_connection);
        shared.next_connection += 1;
        if shared.shutting_down {
            outbox.end(Ending::Shutdown);
        }
        shared.outboxes.insert(connection, Arc::clone(&outbox));
        (connection, outbox)
    }

    /// Deals with an HTTP request.
    pub async fn answer(self: &Arc<Self>, request: &Request) -> Answer {
        let answer = self.handle(Event::Request(request)).await;
        answer.unwrap_or_else(|| Answer::with_status(500, "no answer"))
    }

    /// Deals with one event: the state decides, and what it decides is queued for those whom it concerns.
    pub async fn handle(self: &Arc<Self>, event: Event<'_>) -> Option<Answer> {
        let early = match &self.fault {
            None => None,
            Some(fault) => fault.arrive(self, &event).await,
        };
        let mut shared = self.lock();
        if let Event::Gone(connection) = event
            && shared.outboxes.remove(&connection).is_none()
        {
            return None;
        }
        let outcome = early.unwrap_or_else(|| self.decide(&mut shared, &event));
        self.dispatch(&mut shared, outcome.deliveries);
        outcome.answer
    }

    /// Queues messages that no event of this moment caused.
    pub(crate) fn deliver(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        self.dispatch(&mut self.lock(), deliveries);
    }

    /// Lets a fault look at the state outside of any event.
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
        let outcome = match &self.fault {
            None => shared.state.handle(event),
            Some(fault) => fault.deviate(&mut Site::new(&mut shared.state, &mut shared.outboxes, self, fault), event),
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
