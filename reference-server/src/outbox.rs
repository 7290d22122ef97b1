//! The bounded queue of messages that wait for one connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use tokio::sync::Notify;
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

/// Filled by the hub, emptied by the connection's own task. Nobody ever waits to put something in.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    ended: Notify,
}

#[derive(Debug)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    most_messages: usize,
    most_bytes: usize,
    ending: Option<Ending>,
    last_words: Option<Ending>,
}

impl Outbox {
    #[must_use]
    pub fn new(most_messages: usize, most_bytes: usize) -> Self {
        Self {
            queue: Mutex::new(Queue { messages: VecDeque::new(), bytes: 0, most_messages, most_bytes, ending: None, last_words: None }),
            filled: Notify::new(),
            ended: Notify::new(),
        }
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
        self.filled.notify_one();
        Ok(())
    }

    /// Takes the next message, if there is one.
    pub fn pop(&self) -> Option<Message> {
        let mut queue = self.lock();
        let message = queue.messages.pop_front()?;
        queue.bytes -= message.len();
        Some(message)
    }

    /// Waits until there may be a message. Only one task may wait.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Ends the connection: its task stops writing what is still queued. The first reason counts.
    pub fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.ended.notify_one();
    }

    /// Waits until the connection is to end. Only one task may wait.
    pub async fn ended(&self) -> Ending {
        loop {
            let ending = self.lock().ending;
            match ending {
                Some(ending) => return ending,
                None => self.ended.notified().await,
            }
        }
    }

    /// Lets what is queued be the last that is sent before the connection ends.
    pub(crate) fn end_when_empty(&self, ending: Ending) {
        self.lock().last_words = Some(ending);
        self.filled.notify_one();
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

    // No code that holds this lock can leave the queue half changed, so a panic elsewhere doesn't spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_by_count_and_by_bytes() {
        let outbox = Outbox::new(2, 10);
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
        let outbox = Outbox::new(1, 1);
        outbox.end(Ending::Overflow);
        outbox.end(Ending::Shutdown);
        assert_eq!(outbox.ended().await, Ending::Overflow);
    }
}
