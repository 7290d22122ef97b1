//! Where a deviation happens.

use super::Fault;
use crate::event::Delivery;
use crate::hub::{Hub, Outboxes};
use crate::outbox::Ending;
use crate::room::ConnectionId;
use crate::state::State;
use std::sync::Arc;
use std::time::Duration;

/// What a deviation can reach while an event is dealt with, under the hub's lock.
pub struct Site<'a> {
    pub state: &'a mut State,
    pub outboxes: &'a mut Outboxes,
    hub: &'a Arc<Hub>,
    fault: &'a Fault,
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        state: &'a mut State,
        outboxes: &'a mut Outboxes,
        hub: &'a Arc<Hub>,
        fault: &'a Fault,
    ) -> Self {
        Self {
            state,
            outboxes,
            hub,
            fault,
        }
    }

    /// Counts one deviation.
    pub fn fire(&self) {
        self.fault.fire();
    }

    /// Ends a connection with no goodbye.
    pub fn cut(&self, connection: ConnectionId) {
        if let Some(outbox) = self.outboxes.get(&connection) {
            outbox.end(Ending::Abrupt);
        }
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
