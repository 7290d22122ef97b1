//! The bounded queue of messages that wait for one connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use thiserror::Error;
use tokio_tungstenite::tungstenite::Message;

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client doesn't read what it is sent.
    Overflow,
    /// The server shuts down.
    Shutdown,
    /// The client did what this server takes no part in: only deviations do this.
    Refused,
    /// No goodbye at all: only faults do this.
    Abrupt,
}

/// The queue holds as much as it may.
#[derive(Debug, Error)]
#[error("the connection has {messages} messages of {bytes} bytes waiting and doesn't read them")]
pub struct Overflow {
    pub messages: usize,
    pub bytes: usize,
}

/// How many outboxes have much waiting though their clients read: their tasks haven't had their turn yet. While there is
/// one, no task reads on, so a burst of many clients makes nobody overflow who would have kept up.
pub type Crowded = Arc<AtomicUsize>;

/// Filled by the hub, emptied by the connection's own task. Nobody ever waits to put something in.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    crowded: Crowded,
}

#[derive(Debug)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    most_messages: usize,
    most_bytes: usize,
    ending: Option<Ending>,
    last_words: Option<Ending>,
    /// The task that waits for a message or the end.
    waiting: Option<Waker>,
    /// Counted among the crowded.
    is_crowded: bool,
    /// The client doesn't read, so it is no turn of the task that would help.
    is_stuck: bool,
}

/// An outbox is crowded when this part of what it may hold is waiting.
const CROWDED_PART: usize = 8;

/// An empty queue that once held more than this gives its memory back.
const MOST_SPARE: usize = 16;

impl Outbox {
    #[must_use]
    pub fn new(most_messages: usize, most_bytes: usize, crowded: Crowded) -> Self {
        let queue = Queue {
            messages: VecDeque::new(),
            bytes: 0,
            most_messages,
            most_bytes,
            ending: None,
            last_words: None,
            waiting: None,
            is_crowded: false,
            is_stuck: false,
        };
        Self { queue: Mutex::new(queue), crowded }
    }

    /// Appends a message.
    ///
    /// # Errors
    /// [`Overflow`] if the queue is full; the message is dropped then.
    pub fn push(&self, message: Message) -> Result<(), Overflow> {
        let mut queue = self.lock();
        let bytes = queue.bytes + message.len();
        if queue.messages.len() >= queue.most_messages || bytes > queue.most_bytes {
            return Err(Overflow { messages: queue.messages.len(), bytes: queue.bytes });
        }
        queue.bytes = bytes;
        queue.messages.push_back(message);
        self.count(&mut queue);
        wake(queue);
        Ok(())
    }

    /// Takes the next message, if there is one.
    pub fn pop(&self) -> Option<Message> {
        let mut queue = self.lock();
        let message = queue.messages.pop_front()?;
        queue.bytes -= message.len();
        self.count(&mut queue);
        Some(message)
    }

    /// Waits until there is a message, or the connection is to end. Only one task may wait.
    pub async fn filled(&self) {
        poll_fn(|context| self.poll_filled(context)).await;
    }

    /// See [`Self::filled`].
    pub fn poll_filled(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if !queue.messages.is_empty() || queue.ending.is_some() || queue.last_words.is_some() {
            return Poll::Ready(());
        }
        if queue.messages.capacity() > MOST_SPARE {
            queue.messages = VecDeque::new();
        }
        queue.wait(context)
    }

    /// Ends the connection: its task stops writing what is still queued. The first reason counts.
    pub fn end(&self, ending: Ending) {
        let mut queue = self.lock();
        queue.ending.get_or_insert(ending);
        self.count(&mut queue);
        wake(queue);
    }

    /// Waits until the connection is to end. Only one task may wait.
    pub async fn ended(&self) -> Ending {
        poll_fn(|context| self.poll_ended(context)).await
    }

    /// See [`Self::ended`].
    pub fn poll_ended(&self, context: &mut Context<'_>) -> Poll<Ending> {
        let mut queue = self.lock();
        match queue.ending {
            Some(ending) => Poll::Ready(ending),
            None => queue.wait(context),
        }
    }

    /// The task is awake, so nothing has to wake it until it waits again. How the connection ends, if it is to end at once.
    #[must_use]
    pub fn attend(&self) -> Option<Ending> {
        let mut queue = self.lock();
        queue.waiting = None;
        queue.ending
    }

    /// Notes whether the client reads what it is sent.
    pub fn set_stuck(&self, is_stuck: bool) {
        let mut queue = self.lock();
        queue.is_stuck = is_stuck;
        self.count(&mut queue);
    }

    /// Lets what is queued be the last that is sent before the connection ends.
    pub(crate) fn end_when_empty(&self, ending: Ending) {
        let mut queue = self.lock();
        queue.last_words = Some(ending);
        wake(queue);
    }

    /// How the connection ends now that the last that is to be sent was taken.
    pub(crate) fn ends_when_empty(&self) -> Option<Ending> {
        let queue = self.lock();
        queue.last_words.filter(|_| queue.messages.is_empty())
    }

    /// How many messages wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.lock().messages.len()
    }

    pub(crate) fn holds_more_than(&self, messages: usize, bytes: usize) -> bool {
        let queue = self.lock();
        queue.messages.len() > messages || queue.bytes > bytes
    }

    pub(crate) fn lift_limits(&self) {
        let mut queue = self.lock();
        queue.most_messages = usize::MAX;
        queue.most_bytes = usize::MAX;
    }

    /// Keeps the count of crowded outboxes right.
    fn count(&self, queue: &mut Queue) {
        let much = queue.messages.len() > queue.most_messages / CROWDED_PART || queue.bytes > queue.most_bytes / CROWDED_PART;
        let is_crowded = much && !queue.is_stuck && queue.ending.is_none();
        if is_crowded != queue.is_crowded {
            queue.is_crowded = is_crowded;
            match is_crowded {
                true => self.crowded.fetch_add(1, Ordering::Relaxed),
                false => self.crowded.fetch_sub(1, Ordering::Relaxed),
            };
        }
    }

    // No code that holds this lock can leave the queue half changed, so a panic elsewhere doesn't spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if self.lock().is_crowded {
            self.crowded.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Queue {
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.waiting {
            Some(waiting) => waiting.clone_from(context.waker()),
            None => self.waiting = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// Wakes the task that waits, once the lock is free.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waiting = queue.waiting.take();
    drop(queue);
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_by_count_and_by_bytes() {
        let outbox = Outbox::new(2, 10, Crowded::default());
        outbox.push(Message::text("12345678")).unwrap();
        assert_eq!(outbox.push(Message::text("123")).unwrap_err().bytes, 8);
        outbox.push(Message::text("12")).unwrap();
        assert_eq!(outbox.push(Message::text("")).unwrap_err().messages, 2);

        assert_eq!(outbox.pop(), Some(Message::text("12345678")));
        outbox.push(Message::text("1234")).unwrap();
        assert_eq!(outbox.backlog(), 2);
    }

    #[tokio::test]
    async fn the_first_reason_to_end_counts() {
        let outbox = Outbox::new(1, 1, Crowded::default());
        outbox.end(Ending::Overflow);
        outbox.end(Ending::Shutdown);
        assert_eq!(outbox.ended().await, Ending::Overflow);
    }

    #[test]
    fn an_outbox_is_crowded_until_it_is_emptied_or_stuck_or_gone() {
        let crowded = Crowded::default();
        let count = || crowded.load(Ordering::Relaxed);
        let filled = || {
            let outbox = Outbox::new(16, 1_000, Arc::clone(&crowded));
            (0..3).for_each(|_| outbox.push(Message::text("x")).unwrap());
            outbox
        };
        let outbox = filled();
        assert_eq!(count(), 1);
        outbox.pop();
        assert_eq!(count(), 0);
        outbox.push(Message::text("x")).unwrap();
        outbox.set_stuck(true);
        assert_eq!(count(), 0);
        outbox.set_stuck(false);
        assert_eq!(count(), 1);
        outbox.end(Ending::Overflow);
        assert_eq!(count(), 0);
        drop(filled());
        assert_eq!(count(), 0);
    }
}
