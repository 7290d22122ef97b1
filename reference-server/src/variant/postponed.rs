//! Variants that take their time. To each connection everything still comes in the order in which it happened.

use crate::deviation::{Active, Deviation, Site};
use crate::event::{Delivery, Event, Outcome};
use crate::hub::Hub;
use crate::room::ConnectionId;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

const SLOWEST_MS: u64 = 500;
const BATCH_MS: u64 = 5;

/// How long packets and HTTP answers are held. `beat` tells one from the next.
#[derive(Clone, Copy)]
pub struct Delay {
    packet: Duration,
    answer: Duration,
}

type Policy = fn(beat: u64) -> Delay;

struct Postponed {
    policy: Policy,
    beat: Arc<AtomicU64>,
    hub: OnceLock<Arc<Hub>>,
    queues: Mutex<HashMap<ConnectionId, mpsc::UnboundedSender<(Instant, Message)>>>,
}

/// Everything is held for as long as the policy says.
pub fn with(policy: Policy) -> Arc<dyn Deviation> {
    Arc::new(Postponed { policy, beat: Arc::default(), hub: OnceLock::new(), queues: Mutex::default() })
}

/// Up to 500 ms, by jumps.
pub fn slow(beat: u64) -> Delay {
    // A large odd step through the range visits all of it, and looks like chance.
    let jitter = Duration::from_millis((beat.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % SLOWEST_MS);
    Delay { packet: jitter, answer: jitter }
}

/// Long enough that others come to be held as well.
pub fn in_batches(_beat: u64) -> Delay {
    Delay { packet: Duration::from_millis(BATCH_MS), answer: Duration::ZERO }
}

impl Deviation for Postponed {
    fn start(&self, hub: &Arc<Hub>) {
        let _set_once = self.hub.set(Arc::clone(hub));
    }

    fn after(&self, _site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        let Some(hub) = self.hub.get() else { return };
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Gone(connection) = event {
            queues.remove(connection);
        }
        let delay = (self.policy)(self.beat.fetch_add(1, Ordering::Relaxed));
        let at = Instant::now() + delay.packet;
        for Delivery { to, message } in outcome.deliveries.drain(..) {
            for connection in to {
                let queue = queues.entry(connection).or_insert_with(|| queue(Arc::clone(hub), connection));
                let _gone_already = queue.send((at, message.clone()));
            }
        }
    }

    fn route(&self, router: Router, _active: &Active) -> Router {
        let (policy, beat) = (self.policy, Arc::clone(&self.beat));
        router.layer(from_fn(move |request: Request, next: Next| {
            let delay = policy(beat.fetch_add(1, Ordering::Relaxed)).answer;
            async move {
                let answer = next.run(request).await;
                sleep(delay).await;
                answer
            }
        }))
    }
}

/// What is due together is delivered together.
fn queue(hub: Arc<Hub>, connection: ConnectionId) -> mpsc::UnboundedSender<(Instant, Message)> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Message)>();
    tokio::spawn(async move {
        while let Some((at, message)) = receiver.recv().await {
            sleep_until(at).await;
            let mut due = vec![message];
            while let Ok((_, message)) = receiver.try_recv() {
                due.push(message);
            }
            hub.deliver(due.into_iter().map(|message| Delivery { to: vec![connection], message }).collect());
        }
    });
    sender
}
