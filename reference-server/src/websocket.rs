//! The WebSocket listener: one task a connection, which reads packets into the hub and writes what its outbox holds.

use crate::event::Event;

use crate::handshake::{self, HandshakeError};
use crate::hub::Hub;
use crate::limits::Limits;
use crate::outbox::{Ending, Outbox};
use crate::room::ConnectionId;
use crate::transport::Transport;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use socket2::{SockRef, TcpKeepalive};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
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
pub async fn serve(mut stream: TcpStream, hub: Arc<Hub>) {
    if let Err(error) = prepare(&stream) {
        debug!(%error, "a socket can't be prepared");
    }
    let shaken = timeout(hub.limits.request_time, handshake::accept(&mut stream)).await;
    let mut read_ahead = match shaken {
        Ok(Ok(read_ahead)) => read_ahead,
        Ok(Err(error)) => {
            debug!(%error, "no WebSocket");
            if let HandshakeError::Refused { .. } = error {
                drain(&mut stream, hub.limits.goodbye).await;
            }
            return;
        }
        Err(_) => return,
    };
    let (connection, outbox) = hub.connect();
    debug!(connection = connection.0, "connected");
    let transport = match &hub.deviation {
        None => Transport::plain(stream),
        Some(deviation) => Transport::new(stream, deviation.filter(connection), deviation.shaper(), &mut read_ahead),
    };
    let socket = WebSocketStream::from_partially_read(transport, read_ahead, Role::Server, Some(config(&hub.limits))).await;
    let (mut sink, mut source) = socket.split();
    let end = tokio::select! {
        end = read(&mut source, &hub, connection) => end,
        end = write(&mut sink, &outbox, hub.limits.write_stall) => end,
        ending = outbox.ended() => End::EndedByServer(ending),
    };
    debug!(connection = connection.0, ?end, "disconnected");
    hub.handle(Event::Gone(connection)).await;
    if let Ok(socket) = sink.reunite(source) {
        say_goodbye(socket, &end, hub.limits.goodbye).await;
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

async fn read(source: &mut SplitStream<Socket>, hub: &Arc<Hub>, connection: ConnectionId) -> End {
    loop {
        match source.next().await {
            Some(Ok(Message::Text(text))) => {
                hub.handle(Event::Text(connection, &text)).await;
            }
            Some(Ok(Message::Binary(_))) => {
                hub.handle(Event::Binary(connection)).await;
            }
            Some(Ok(Message::Close(_))) => return End::ClosedByClient,
            // Pings are answered by the WebSocket itself.
            Some(Ok(_)) => {}
            Some(Err(error)) => return end_after(&error),
            None => return End::Lost,
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

async fn write(sink: &mut SplitSink<Socket, Message>, outbox: &Outbox, stall: Duration) -> End {
    loop {
        outbox.filled().await;
        while let Some(message) = outbox.pop() {
            match timeout(stall, sink.feed(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return end_after(&error),
                Err(_) => return End::Stalled,
            }
        }
        match timeout(stall, sink.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return end_after(&error),
            Err(_) => return End::Stalled,
        }
        if let Some(ending) = outbox.ends_when_empty() {
            return End::EndedByServer(ending);
        }
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
