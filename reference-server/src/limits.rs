//! The limits that keep a client, or many, from making the server grow without bound.

use std::time::Duration;

/// What one client, and all of them together, may use. The defaults suit a machine with a few GiB of memory.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Rooms that exist at once.
    pub rooms: usize,
    /// Bytes of a room's or user's name.
    pub name_bytes: usize,
    /// Rooms that one connection is in at once.
    pub rooms_per_connection: usize,
    /// Connections at once, of each listener.
    pub connections: usize,
    /// Bytes of a WebSocket message from a client.
    pub message_bytes: usize,
    /// Bytes of the body of an HTTP request.
    pub body_bytes: usize,
    /// Messages that wait for one connection to read them.
    pub queued_messages: usize,
    /// Bytes of the messages that wait for one connection to read them.
    pub queued_bytes: usize,
    /// How long a client may take for its handshake, or for the head or the body of a request.
    pub request_time: Duration,
    /// How long an HTTP connection may wait between requests.
    pub idle: Duration,
    /// How long the writing of one message may take before the connection counts as dead.
    pub write_stall: Duration,
    /// How long the goodbye of a connection, or of the whole server, may take.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 100_000,
            name_bytes: 1_024,
            rooms_per_connection: 1_000,
            connections: 20_000,
            message_bytes: 1 << 20,
            body_bytes: 256 << 10,
            queued_messages: 1_024,
            queued_bytes: 8 << 20,
            request_time: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            goodbye: Duration::from_secs(2),
        }
    }
}
