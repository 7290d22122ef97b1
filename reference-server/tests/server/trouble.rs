//! Clients that break the WebSocket protocol, send noise, or don't read.

use crate::support::{Client, PATIENCE, Server, error, user_packet};
use reference_server::{Config, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

async fn still_serves(server: &Server) {
    let mut client = server.connect().await;
    client.nothing_more().await;
}

async fn raw_bytes(client: &mut Client, bytes: &[u8]) {
    let MaybeTlsStream::Plain(stream) = client.socket.get_mut() else {
        panic!("a plain connection");
    };
    stream.write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn violations_of_the_transport_are_closed_with_their_code() {
    let server = Server::start(Config::default()).await;
    let cases: [(&[u8], CloseCode); 5] = [
        // A text frame with bytes that aren't UTF-8.
        (&[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], CloseCode::Invalid),
        // An unmasked text frame.
        (&[0x81, 0x02, b'{', b'}'], CloseCode::Protocol),
        // Reserved bits, a reserved opcode, a continuation of nothing.
        (&[0xf1, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        (&[0x83, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        (&[0x80, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
    ];
    for (bytes, code) in cases {
        let mut client = server.connect().await;
        raw_bytes(&mut client, bytes).await;
        assert_eq!(client.close_code().await, Some(code), "{bytes:?}");
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn a_message_above_the_limit_is_closed_with_1009() {
    let server = Server::start(Config::default()).await;
    for size in [(1 << 20) + 1, 16 << 20] {
        let mut client = server.connect().await;
        client.send(Message::text("x".repeat(size))).await;
        assert_eq!(client.close_code().await, Some(CloseCode::Size), "{size}");
    }
    let mut client = server.connect().await;
    client.send(Message::text("x".repeat(1 << 20))).await;
    assert_eq!(client.receive().await, error("invalid message"));
}

#[tokio::test]
async fn noise_is_answered_and_the_connection_goes_on() {
    let server = Server::start(Config::default()).await;
    let mut client = server.connect().await;
    let deep = "[".repeat(100_000);
    for text in ["", "hello", "[]", "null", "1", &deep, "{\"type\":"] {
        assert_eq!(client.ask_text(text).await, error("invalid message"));
    }
    client.send(Message::binary(vec![0, 159, 146])).await;
    assert_eq!(client.receive().await, error("invalid message"));
    assert_eq!(client.ask_text(&"x".repeat(1_000_000)).await, error("invalid message"));
}

#[tokio::test]
async fn random_bytes_and_a_truncated_frame_disturb_nobody() {
    let server = Server::start(Config::default()).await;
    let mut random = 42_u64;
    let mut noise = Vec::new();
    while noise.len() < 200_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.extend(random.to_be_bytes());
    }
    for address in [server.ws_address(), server.http.trim_start_matches("http://")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may have hung up before it has all of it.
        stream.write_all(&noise).await.ok();
        stream.write_all(&vec![b'a'; 1_000_000]).await.ok();
    }
    let mut after_upgrade = server.connect().await;
    raw_bytes(&mut after_upgrade, &noise[..64]).await;
    let mut truncated = server.connect().await;
    raw_bytes(&mut truncated, &[0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5]).await;
    truncated.reset();
    still_serves(&server).await;
    assert_eq!(server.create("lobby").await, "chatroom create successfully");
}

#[tokio::test]
async fn fragments_pings_and_closes_follow_the_rfc() {
    let server = Server::start(Config::default()).await;
    let mut client = server.connect().await;
    let fragment = |payload: &'static str, opcode: Data, is_final| {
        let header = FrameHeader { is_final, opcode: OpCode::Data(opcode), ..FrameHeader::default() };
        Message::Frame(Frame::from_payload(header, payload.into()))
    };
    client.send(fragment(r#"{"type":"msg","data":"#, Data::Text, false)).await;
    client.send(Message::Ping("between".into())).await;
    client.send(fragment(r#"{"user_name":"#, Data::Continue, false)).await;
    client.send(fragment(r#"""}}"#, Data::Continue, true)).await;
    assert_eq!(client.next().await, Some(Message::Pong("between".into())));
    assert_eq!(client.receive().await, error("invalid data"));
    client.socket.close(None).await.unwrap();
    assert!(matches!(client.next().await, Some(Message::Close(_))));
}

#[tokio::test]
async fn a_plain_request_on_the_websocket_port_is_told_so() {
    let server = Server::start(Config::default()).await;
    let url = format!("http://{}", server.ws_address());
    assert_eq!(reqwest::get(format!("{url}/?x=1")).await.unwrap().status(), 426);
    assert_eq!(reqwest::get(format!("{url}/chat")).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_member_that_does_not_read_is_disconnected_while_others_chat_on() {
    let server = Server::start(Config { limits: Limits { queued_messages: 64, ..Limits::default() }, ..Config::default() }).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let _deaf = server.enter("lobby", "deaf").await;
    ann.receive().await;
    // The kernel's buffers hold a few MiB, so the deaf member's queue fills after some dozens of these.
    let text = "x".repeat(256 << 10);
    let mut told = false;
    for _ in 0..1_000 {
        ann.say("msg", "ann", "lobby", &text).await;
        let mut packet = ann.receive().await;
        if packet["type"] == "user" {
            assert_eq!(packet, user_packet("deaf", "lobby", "leave"));
            told = true;
            packet = ann.receive().await;
        }
        assert_eq!(packet["data"]["msg"].as_str().map(str::len), Some(text.len()));
        if told {
            break;
        }
    }
    assert!(told, "the deaf member is still in the room");
    assert_eq!(server.populations().await, [("lobby".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_all_makes_nobody_overflow_who_reads() {
    const SPEAKERS: usize = 20;
    const MESSAGES: usize = 50;
    let server = Server::start(Config {
        capacity: SPEAKERS,
        rooms: vec!["lobby".to_owned()],
        limits: Limits { queued_messages: 64, ..Limits::default() },
        ..Config::default()
    })
    .await;
    let mut members = Vec::new();
    for number in 0..SPEAKERS {
        members.push(server.enter("lobby", &number.to_string()).await);
    }
    let speaking = members.into_iter().enumerate().map(|(number, mut member)| {
        tokio::spawn(async move {
            for _ in 0..MESSAGES {
                member.say("msg", &number.to_string(), "lobby", "x").await;
            }
            let mut heard = 0;
            while heard < SPEAKERS * MESSAGES {
                heard += usize::from(member.receive().await["type"] == "msg");
            }
        })
    });
    for spoken in speaking.collect::<Vec<_>>() {
        spoken.await.unwrap();
    }
}

#[tokio::test]
async fn a_shutdown_closes_with_1001_even_members_that_do_not_read() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let _deaf = server.enter("lobby", "deaf").await;
    let reader = tokio::spawn(async move { ann.close_code().await });
    server.stop().await;
    assert_eq!(tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap(), Some(CloseCode::Away));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let server = Server::start(Config { limits: Limits { connections: 1, ..Limits::default() }, ..Config::default() }).await;
    let mut first = server.connect().await;
    first.nothing_more().await;
    let mut second = TcpStream::connect(server.ws_address()).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    first.nothing_more().await;
    first.socket.close(None).await.unwrap();
}
