//! Where a deviation happens.

use super::Active;
use crate::event::Delivery;
use crate::hub::{Hub, Outboxes};
use crate::limits::Limits;
use crate::outbox::Ending;
use crate::room::ConnectionId;
use crate::state::State;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a deviation can reach while an event is dealt with, under the hub's lock.
pub struct Site<'a> {
    pub state: &'a mut State,
    pub outboxes: &'a mut Outboxes,
    hub: &'a Arc<Hub>,
    active: &'a Active,
}

impl<'a> Site<'a> {
    pub(crate) fn new(state: &'a mut State, outboxes: &'a mut Outboxes, hub: &'a Arc<Hub>, active: &'a Active) -> Self {
        Self { state, outboxes, hub, active }
    }

    /// The limits of the correct server.
    pub fn limits(&self) -> &Limits {
        &self.hub.limits
    }

    /// Counts one deviation.
    pub fn fire(&self) {
        self.active.fire();
    }

    /// Ends a connection with no goodbye.
    pub fn cut(&self, connection: ConnectionId) {
        if let Some(outbox) = self.outboxes.get(&connection) {
            outbox.end(Ending::Abrupt);
        }
    }

    /// Ends a connection with a close frame.
    pub fn refuse(&self, connection: ConnectionId) {
        if let Some(outbox) = self.outboxes.get(&connection) {
            outbox.end(Ending::Refused);
        }
    }

    /// Ends a connection with no goodbye, once what it is being sent is out.
    pub fn cut_after_last_words(&self, connection: ConnectionId) {
        self.end_after_last_words(connection, Ending::Abrupt);
    }

    /// Ends a connection with a close frame, once what it is being sent is out.
    pub fn refuse_after_last_words(&self, connection: ConnectionId) {
        self.end_after_last_words(connection, Ending::Refused);
    }

    fn end_after_last_words(&self, connection: ConnectionId, ending: Ending) {
        let hub = Arc::clone(self.hub);
        // The lock is free again once this event's messages are queued.
        tokio::spawn(async move {
            hub.visit(|_, outboxes| outboxes.get(&connection).map(|outbox| outbox.end_when_empty(ending)));
        });
    }

    /// Changes the state when the delay has passed.
    pub fn change_later(&self, delay: Duration, change: impl FnOnce(&mut State) + Send + 'static) {
        let hub = Arc::clone(self.hub);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            hub.visit(|state, _| change(state));
        });
    }

    /// Queues what is still in there when the delay has passed.
    pub fn deliver_unless_taken(&self, delay: Duration, held: &Arc<Mutex<Vec<Delivery>>>) {
        let (hub, held) = (Arc::clone(self.hub), Arc::clone(held));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let deliveries = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
            hub.deliver(deliveries);
        });
    }

    /// Queues messages when the delay has passed.
    pub fn deliver_later(&self, deliveries: Vec<Delivery>, delay: Duration) {
        let hub = Arc::clone(self.hub);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            hub.deliver(deliveries);
        });
    }
}
