//! The WebSocket listener: one task a connection, which reads packets into the hub and writes what its outbox holds.

use crate::event::Event;

use crate::handshake::{self, HandshakeError};
use crate::hub::Hub;
use crate::limits::Limits;
use crate::outbox::{Ending, Outbox};
use crate::room::ConnectionId;
use crate::transport::Transport;
use futures_util::{SinkExt, StreamExt};
use socket2::{SockRef, TcpKeepalive};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tracing::debug;

type Socket = WebSocketStream<Transport>;

const BUFFER_BYTES: usize = 4 << 10;
const MOST_DRAINED: u64 = 32 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How a conversation ended.
#[derive(Debug)]
enum End {
    /// The client sent a close frame.
    ClosedByClient,
    /// The stream ended or failed.
    Lost,
    /// The client broke the WebSocket protocol, or a limit.
    Violation(CloseCode),
    /// A write took too long.
    Stalled,
    EndedByServer(Ending),
}

/// Serves one connection to its end, whatever the client does.
pub async fn serve(stream: TcpStream, hub: Arc<Hub>) {
    // What is needed only at the start or at the end is boxed, so that a connection doesn't hold the memory all its life.
    let Some((stream, mut read_ahead)) = Box::pin(shake_hands(stream, &hub)).await else {
        return;
    };
    let (connection, outbox) = hub.connect();
    debug!(connection = connection.0, "connected");
    let transport = match &hub.deviation {
        None => Transport::plain(stream),
        Some(deviation) => Transport::new(stream, deviation.filter(connection), deviation.shaper(), &mut read_ahead),
    };
    let socket = WebSocketStream::from_partially_read(transport, read_ahead, Role::Server, Some(config(&hub.limits))).await;
    let mut conversation = Conversation::new(socket, outbox, hub.limits.write_stall);
    let end = conversation.hold(&hub, connection).await;
    debug!(connection = connection.0, ?end, "disconnected");
    // Nobody empties it any more, so nobody shall wait until it is emptied.
    conversation.outbox.set_stuck(true);
    hub.handle(Event::Gone(connection)).await;
    Box::pin(say_goodbye(conversation.socket, &end, hub.limits.goodbye)).await;
}

/// The stream of a client that wants a WebSocket, and what it has sent beyond its handshake.
async fn shake_hands(mut stream: TcpStream, hub: &Hub) -> Option<(TcpStream, Vec<u8>)> {
    if let Err(error) = prepare(&stream) {
        debug!(%error, "a socket can't be prepared");
    }
    match timeout(hub.limits.request_time, handshake::accept(&mut stream)).await {
        Ok(Ok(read_ahead)) => Some((stream, read_ahead)),
        Ok(Err(error)) => {
            debug!(%error, "no WebSocket");
            if let HandshakeError::Refused { .. } = error {
                drain(&mut stream, hub.limits.goodbye).await;
            }
            None
        }
        Err(_) => None,
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // A client whose machine has vanished never says so; without probes its connection would stay for ever.
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))
}

fn config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        // A client that pings and never reads would make the pongs pile up; the largest message must still fit.
        .max_write_buffer_size(4 * limits.message_bytes + BUFFER_BYTES)
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.message_bytes))
}

/// Reading and writing on one connection, in one task.
struct Conversation {
    socket: Socket,
    outbox: Arc<Outbox>,
    stall: Duration,
    /// Runs while the client leaves no room for what it is sent.
    stalled: Option<Pin<Box<Sleep>>>,
    /// There may be something to read: bytes that were read already make a message without the socket's saying so.
    may_read: bool,
    flushed: bool,
}

impl Conversation {
    fn new(socket: Socket, outbox: Arc<Outbox>, stall: Duration) -> Self {
        Self { socket, outbox, stall, stalled: None, may_read: true, flushed: true }
    }

    /// Passes on what the client says, and what it is sent, until the connection ends.
    async fn hold(&mut self, hub: &Arc<Hub>, connection: ConnectionId) -> End {
        loop {
            let ended = match poll_fn(|context| self.poll(context)).await {
                Ok(Message::Text(text)) => self.pass_on(hub, Event::Text(connection, &text)).await,
                Ok(Message::Binary(_)) => self.pass_on(hub, Event::Binary(connection)).await,
                Ok(Message::Close(_)) => Some(End::ClosedByClient),
                // Pings are answered by the WebSocket itself.
                Ok(_) => None,
                Err(end) => Some(end),
            };
            if let Some(end) = ended {
                return end;
            }
        }
    }

    /// Lets the hub deal with an event. It may take its time; what is queued is written meanwhile.
    async fn pass_on(&mut self, hub: &Arc<Hub>, event: Event<'_>) -> Option<End> {
        let mut handled = pin!(async {
            hub.make_room().await;
            hub.handle(event).await
        });
        poll_fn(|context| match handled.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => self.poll_out(context).map(Some),
        })
        .await
    }

    /// Waits for the client's next message, or the end; what is queued is written meanwhile.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, End>> {
        if let Some(ending) = self.outbox.attend() {
            return Poll::Ready(Err(End::EndedByServer(ending)));
        }
        if let Poll::Ready(received) = self.poll_read(context) {
            return Poll::Ready(received);
        }
        self.poll_out(context).map(Err)
    }

    /// Writes what is queued, now and whenever there is more. Ready at the end.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(ending) = self.outbox.attend() {
                return Poll::Ready(End::EndedByServer(ending));
            }
            match self.poll_write(context) {
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Ready(Ok(())) => ready!(self.outbox.poll_filled(context)),
                // The socket has no room, so that more to write would be of no interest.
                Poll::Pending => return self.outbox.poll_ended(context).map(End::EndedByServer),
            }
        }
    }

    /// Ready once nothing is left to write.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        match self.poll_write_out(context) {
            Poll::Pending => {
                let stalled = self.stalled.get_or_insert_with(|| {
                    self.outbox.set_stuck(true);
                    Box::pin(tokio::time::sleep(self.stall))
                });
                stalled.as_mut().poll(context).map(|()| Err(End::Stalled))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(end_after(&error))),
            Poll::Ready(Ok(())) => {
                self.has_room();
                match self.outbox.ends_when_empty() {
                    Some(ending) => Poll::Ready(Err(End::EndedByServer(ending))),
                    None => Poll::Ready(Ok(())),
                }
            }
        }
    }

    fn poll_write_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            ready!(self.socket.poll_ready_unpin(context))?;
            self.has_room();
            let Some(message) = self.outbox.pop() else { break };
            self.socket.start_send_unpin(message)?;
            self.flushed = false;
        }
        if !self.flushed {
            ready!(self.socket.poll_flush_unpin(context))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn has_room(&mut self) {
        if self.stalled.take().is_some() {
            self.outbox.set_stuck(false);
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, End>> {
        if !self.may_read {
            // A look at the WebSocket costs more than one at the socket, and mostly it is the outbox that wakes this task.
            self.may_read = self.socket.get_ref().socket().poll_read_ready(context).is_ready();
        }
        if !self.may_read {
            return Poll::Pending;
        }
        match self.socket.poll_next_unpin(context) {
            Poll::Pending => {
                self.may_read = false;
                Poll::Pending
            }
            Poll::Ready(Some(Ok(message))) => {
                // The WebSocket has the pong ready, which only a flush is sure to send.
                self.flushed &= !message.is_ping();
                Poll::Ready(Ok(message))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(end_after(&error))),
            Poll::Ready(None) => Poll::Ready(Err(End::Lost)),
        }
    }
}

/// How the connection ends after an error (RFC 6455 section 7.4.1).
fn end_after(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Violation(CloseCode::Size),
        Error::Utf8(_) => End::Violation(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing) => End::Lost,
        Error::Protocol(_) => End::Violation(CloseCode::Protocol),
        _ => End::Lost,
    }
}

async fn say_goodbye(mut socket: Socket, end: &End, patience: Duration) {
    let close = match end {
        End::ClosedByClient => None,
        End::Violation(code) => Some(CloseFrame { code: *code, reason: Utf8Bytes::default() }),
        End::EndedByServer(Ending::Refused) => Some(CloseFrame { code: CloseCode::Policy, reason: Utf8Bytes::default() }),
        End::EndedByServer(Ending::Shutdown) => {
            Some(CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::from_static("the server shuts down") })
        }
        End::Stalled | End::EndedByServer(Ending::Overflow) => {
            // A client that doesn't read wouldn't read a close frame either. A reset frees what the kernel still
            // holds for it.
            if let Err(error) = SockRef::from(socket.get_ref().socket()).set_linger(Some(Duration::ZERO)) {
                debug!(%error, "a connection can't be reset");
            }
            return;
        }
        End::Lost | End::EndedByServer(Ending::Abrupt) => return,
    };
    let sent = timeout(patience, async {
        match close {
            Some(frame) => socket.close(Some(frame)).await,
            // The answer to the client's close frame waits in the WebSocket already.
            None => socket.flush().await,
        }
    });
    match sent.await {
        Ok(Ok(()) | Err(Error::ConnectionClosed)) => drain(socket.get_mut(), patience).await,
        Ok(Err(error)) => debug!(%error, "a goodbye failed"),
        Err(_) => debug!("a client left no room for a goodbye"),
    }
}

/// Reads on, for a while, what the client is still sending. Closing a socket with unread bytes would reset the
/// connection, and the client would lose what was sent to it last.
async fn drain<S: AsyncRead + AsyncWriteExt + Unpin>(stream: &mut S, patience: Duration) {
    let drained = timeout(patience, async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MOST_DRAINED), &mut tokio::io::sink()).await
    });
    if let Ok(Err(error)) = drained.await {
        debug!(%error, "a client reset its connection after the goodbye");
    }
}
