//! What happens to the server, and what comes of it.

use crate::request::{Answer, Request};
use crate::room::ConnectionId;
use tokio_tungstenite::tungstenite::Message;

/// Something that the outside world did.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An HTTP request; the only event that has an answer.
    Request(&'a Request),
    /// A text message from a connection, not validated.
    Text(ConnectionId, &'a str),
    /// A binary message from a connection.
    Binary(ConnectionId),
    /// A connection ended, however it did.
    Gone(ConnectionId),
}

impl Event<'_> {
    /// The connection that the event is about.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Request(_) => None,
            Self::Text(connection, _) | Self::Binary(connection) | Self::Gone(connection) => Some(*connection),
        }
    }
}

/// What the server does about an event.
#[derive(Debug, Default)]
pub struct Outcome {
    pub answer: Option<Answer>,
    /// In the order in which each recipient gets them.
    pub deliveries: Vec<Delivery>,
}

/// One message and the connections to which it goes, each once. It is serialised once and shared by all of them.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub to: Vec<ConnectionId>,
    pub message: Message,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer: Some(answer), deliveries: Vec::new() }
    }
}

impl From<Vec<Delivery>> for Outcome {
    fn from(deliveries: Vec<Delivery>) -> Self {
        Self { answer: None, deliveries }
    }
}
