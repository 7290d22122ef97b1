//! How connections end, and how they are made: five different things, told apart.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatspec::wire::inbox::{End, Incoming};
use chatspec::wire::tls;
use chatspec::wire::ws::{ConnectFailure, Connection, Endpoint, Frame};
use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use support::tls::secured;
use support::{address, listener, plan, reference, run, suite, trouble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

const LIMIT: Duration = Duration::from_secs(10);

fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: Url::parse(url).expect("a URL"),
        headers: Vec::new(),
        tls: Arc::new(tls::config(true, &[]).expect("a TLS setup")),
        opening: Arc::new(tokio::sync::Semaphore::new(4)),
    }
}

async fn open(url: &str) -> Result<Connection, ConnectFailure> {
    Connection::open(&endpoint(url), LIMIT, Arc::new(|_| ())).await
}

/// Accepts one WebSocket connection and does something with it.
async fn with_server<F, W>(work: F) -> Connection
where
    F: FnOnce(tokio_tungstenite::WebSocketStream<TcpStream>) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let listener = listener().await;
    let url = address(&listener, "ws");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        work(tokio_tungstenite::accept_async(stream).await.expect("a handshake")).await;
    });
    open(&url).await.expect("a connection")
}

async fn ended(connection: &Connection) -> End {
    let end = connection.inbox.wait(Instant::now() + LIMIT, |arrivals| {
        arrivals.iter().find_map(|arrival| match &arrival.what {
            Incoming::End(end) => Some(end.clone()),
            _ => None,
        })
    });
    end.await.expect("it ends")
}

#[tokio::test]
async fn a_close_frame_is_told_with_its_code_and_reason_after_what_came_before() {
    let connection = with_server(|mut socket| async move {
        let code = tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Away;
        socket.send(Message::text("last words")).await.expect("sent");
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code, reason: "bye".into() };
        socket.close(Some(frame)).await.expect("closed");
        while socket.next().await.is_some() {}
    })
    .await;
    assert_eq!(ended(&connection).await, End::Close { code: Some(1001), reason: "bye".into() });
    assert_eq!(connection.inbox.since(0)[0].what, Incoming::Text("last words".into()));
}

#[tokio::test]
async fn an_end_of_stream_and_a_reset_are_two_things() {
    let connection = with_server(|mut socket| async move {
        socket.get_mut().shutdown().await.expect("shut down");
        // The client hangs up only when the test is over; until then the stream stays half open.
        let _ = socket.get_mut().read(&mut [0; 16]).await;
    })
    .await;
    assert_eq!(ended(&connection).await, End::Eof);

    let connection = with_server(|socket| async move {
        SockRef::from(socket.get_ref()).set_linger(Some(Duration::ZERO)).expect("set");
    })
    .await;
    assert_eq!(ended(&connection).await, End::Reset);
}

#[tokio::test]
async fn frames_that_the_rfc_forbids_are_told_as_such() {
    let masked_text = [0x81, 0x81, 0, 0, 0, 0, b'x'];
    let reserved_bit = [0xC1, 0x01, b'x'];
    let reserved_opcode = [0x83, 0x01, b'x'];
    let not_utf8 = [0x81, 0x02, 0xC3, 0x28];
    let lone_continuation = [0x80, 0x01, b'x'];
    let fragmented_ping = [0x09, 0x00];
    for bytes in [&masked_text[..], &reserved_bit, &reserved_opcode, &not_utf8, &lone_continuation, &fragmented_ping] {
        let sent = bytes.to_vec();
        let connection = with_server(|mut socket| async move {
            socket.get_mut().write_all(&sent).await.expect("sent");
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
        })
        .await;
        assert!(matches!(ended(&connection).await, End::Malformed(_)), "{bytes:x?}");
    }
}

#[tokio::test]
async fn fragments_with_a_ping_between_them_are_one_message() {
    let connection = with_server(|mut socket| async move {
        let bytes = [&[0x01, 0x02, b'a', b'b'][..], &[0x89, 0x00], &[0x80, 0x01, b'c']].concat();
        socket.get_mut().write_all(&bytes).await.expect("sent");
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    })
    .await;
    let text = connection.inbox.wait(Instant::now() + LIMIT, |arrivals| {
        arrivals.iter().find_map(|arrival| match &arrival.what {
            Incoming::Text(text) => Some(text.clone()),
            _ => None,
        })
    });
    assert_eq!(text.await.as_deref(), Some("abc"));
    assert_eq!(connection.inbox.since(0)[0].what, Incoming::Ping(bytes::Bytes::new()));
}

#[tokio::test]
async fn large_messages_go_both_ways_at_once() {
    let connection = with_server(|mut socket| async move {
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await;
    let payload = "x".repeat(4 << 20);
    for _ in 0..4 {
        connection.send(&Frame::new(0x1, payload.clone().into())).await.expect("sent");
    }
    let all = connection.inbox.wait(Instant::now() + LIMIT, |arrivals| (arrivals.len() == 4).then_some(()));
    assert!(all.await.is_some(), "{} of 4 came back", connection.inbox.since(0).len());
}

#[tokio::test]
async fn no_listener_no_answer_and_no_websocket_are_three_things() {
    let closed = listener().await;
    let url = address(&closed, "ws");
    drop(closed);
    assert_eq!(open(&url).await.err(), Some(ConnectFailure::Refused));

    let silent = listener().await;
    let failure = Connection::open(&endpoint(&address(&silent, "ws")), Duration::from_millis(100), Arc::new(|_| ())).await.err();
    assert!(matches!(failure, Some(ConnectFailure::Timeout { stage: "the WebSocket handshake", .. })), "{failure:?}");

    for (answer, expected) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ConnectFailure::NotUpgraded { status: 404 }),
        ("", ConnectFailure::Eof),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
            ConnectFailure::Invalid("`Sec-WebSocket-Accept` doesn't answer the key".into()),
        ),
    ] {
        let listener = listener().await;
        let url = address(&listener, "ws");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(answer.as_bytes()).await.expect("answered");
        });
        assert_eq!(open(&url).await.err(), Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_and_wss_targets_work_and_an_unknown_certificate_is_refused_unless_allowed() {
    let server = secured(reference(Default::default()).await).await;
    let mut plan = plan(&suite(), &server, &["FLOW-JOIN", "LIST-1"]);
    let (verdicts, _) = run(&plan).await;
    assert_eq!(verdicts.conclusion.exit_code(), 3, "the certificate is nobody's");
    plan.target.insecure = true;
    let (verdicts, events) = run(&plan).await;
    assert_eq!(verdicts.conclusion.exit_code(), 0, "{}", trouble(&events));
}
