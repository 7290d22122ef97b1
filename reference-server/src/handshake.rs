//! The opening handshake of a WebSocket (RFC 6455 section 4.2), with answers for those who come for something else.

use std::io;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::{Error as WebSocketError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::{create_response, write_response};

const LONGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

/// Why a connection doesn't become a WebSocket.
#[derive(Debug, Error)]
pub enum HandshakeError {
    #[error("the client left during its handshake")]
    Left,
    #[error("reading or writing the handshake failed")]
    Io(#[from] io::Error),
    #[error("the request was answered by {status}: {reason}")]
    Refused { status: &'static str, reason: String },
}

/// Reads the client's request and answers it. Returns the bytes that the client sent after its request.
///
/// # Errors
/// [`HandshakeError`]; a refusal has been sent to the client.
pub async fn accept(stream: &mut TcpStream) -> Result<Vec<u8>, HandshakeError> {
    let mut received = Vec::with_capacity(1024);
    let request = loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(HandshakeError::Left);
        }
        match parse(&received) {
            Ok(Some(request)) => break request,
            Ok(None) if received.len() < LONGEST_HEAD => {}
            Ok(None) => {
                return refuse(stream, "431 Request Header Fields Too Large", "a head above 16 KiB").await;
            }
            Err(error) => return refuse(stream, "400 Bad Request", &error.to_string()).await,
        }
    };
    let Head { request, length } = request;
    if !matches!(request.uri().path(), "/" | "") {
        return refuse(stream, "404 Not Found", "the chat is at the path /").await;
    }
    match create_response(&request) {
        Ok(response) => {
            let mut bytes = Vec::new();
            write_response(&mut bytes, &response).map_err(io::Error::other)?;
            stream.write_all(&bytes).await?;
            Ok(received.split_off(length))
        }
        Err(error) => refuse(stream, status(&error), &error.to_string()).await,
    }
}

struct Head {
    request: http::Request<()>,
    length: usize,
}

#[derive(Debug, Error)]
enum BadHead {
    #[error("the request is not HTTP: {0}")]
    Syntax(#[from] httparse::Error),
    #[error("the request makes no sense: {0}")]
    Meaning(#[from] http::Error),
}

fn parse(bytes: &[u8]) -> Result<Option<Head>, BadHead> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(bytes)? else {
        return Ok(None);
    };
    let version = match parsed.version {
        Some(1) => http::Version::HTTP_11,
        _ => http::Version::HTTP_10,
    };
    let mut request =
        http::Request::builder().method(parsed.method.unwrap_or_default()).uri(parsed.path.unwrap_or_default()).version(version);
    for header in parsed.headers {
        request = request.header(header.name, header.value);
    }
    Ok(Some(Head { request: request.body(())?, length }))
}

fn status(error: &WebSocketError) -> &'static str {
    match error {
        WebSocketError::Protocol(ProtocolError::WrongHttpMethod) => "405 Method Not Allowed",
        WebSocketError::Protocol(ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey) => "400 Bad Request",
        _ => "426 Upgrade Required",
    }
}

async fn refuse<T>(stream: &mut TcpStream, status: &'static str, reason: &str) -> Result<T, HandshakeError> {
    let body = format!("This is the WebSocket listener of a chatroom server: {reason}.\n");
    let response = format!(
        "HTTP/1.1 {status}\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    );
    stream.write_all(response.as_bytes()).await?;
    Err(HandshakeError::Refused { status, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_once_it_is_whole() {
        let bytes = b"GET /?room=1 HTTP/1.1\r\nHost: x\r\n\r\nrest";
        assert!(parse(&bytes[..30]).unwrap().is_none());
        let head = parse(bytes).unwrap().unwrap();
        assert_eq!((head.request.uri().path(), &bytes[head.length..]), ("/", b"rest".as_slice()));
    }

    #[test]
    fn noise_is_no_head() {
        assert!(parse(b"\x16\x03\x01\x02\x00\x01\x00").is_err());
    }
}
