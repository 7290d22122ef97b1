//! Faults that show on the wire alone: in frames, in odd requests, and under members that don't read.

use crate::support::{Client, PATIENCE, Server, error, user_packet};
use futures_util::SinkExt;
use reference_server::fault::Fault;
use reference_server::request::{JOINED, LEFT, USER_NOT_EXIST};
use reference_server::{Config, Limits};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Within this time a server that deals with a packet at all has answered, or its fault has fired.
const STALL: Duration = Duration::from_secs(2);

async fn start(fault: &Fault) -> Server {
    Server::start(Config { fault: Some(fault.clone()), rooms: vec!["lobby".to_owned()], ..Config::default() }).await
}

/// Sends frames and returns the bytes that come back up to the answer to a last `{}`, or to the end.
async fn answer_to(client: &mut Client, frames: &[u8]) -> Vec<u8> {
    let MaybeTlsStream::Plain(stream) = client.socket.get_mut() else {
        panic!("a plain connection");
    };
    let last = [&[0x81, 0x82, 0, 0, 0, 0][..], b"{}"].concat();
    stream.write_all(&[frames, &last].concat()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(br#""msg":"invalid message"}}"#) {
        match tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
            Ok(count) if count > 0 => answer.extend(&buffer[..count]),
            _ => break,
        }
    }
    answer
}

fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        short @ ..126 => vec![0x80 | u8::try_from(short).unwrap()],
        long => [&[0x80 | 127], (long as u64).to_be_bytes().as_slice()].concat(),
    };
    [&[head], length.as_slice(), &[0; 4], payload].concat()
}

async fn check_frames(name: &str, frames: &[u8]) {
    let correct = Server::start(Config::default()).await;
    let expected = answer_to(&mut correct.connect().await, frames).await;
    let fault = Fault::named(name).unwrap();
    let actual = answer_to(&mut start(&fault).await.connect().await, frames).await;
    assert_ne!(actual, expected, "{name}");
    assert!(fault.firings() > 0, "{name}");
}

#[tokio::test]
async fn faults_of_frames_show() {
    check_frames("large-frame-ignored", &frame(0x81, &vec![b'x'; 600 << 10])).await;
    check_frames("invalid-utf8-accepted", &frame(0x81, b"\xff\xfe")).await;
    let fragments = [frame(0x01, b"{\"type\":\"msg\","), frame(0x80, b"\"data\":{}}")].concat();
    check_frames("fragments-not-joined", &fragments).await;
    check_frames("fragments-swallowed", &fragments).await;
    let interrupted = [frame(0x01, b"{\"type\":\"msg\","), frame(0x89, b"still there?"), frame(0x80, b"\"data\":{}}")].concat();
    check_frames("control-frame-loses-fragments", &interrupted).await;
    check_frames("ping-unanswered", &frame(0x89, b"are you there")).await;
    check_frames("ping-payload-lost", &frame(0x89, b"are you there")).await;
    check_frames("close-unanswered", &frame(0x88, &1000_u16.to_be_bytes())).await;
    check_frames("unmasked-accepted", &[0x81, 0x02, b'[', b']']).await;
    check_frames("reserved-bits-accepted", &frame(0xc1, b"[]")).await;
}

#[tokio::test]
async fn faults_of_odd_requests_show() {
    let long = format!("/chatroom/create?room_name={}", "x".repeat(9_000));
    let cases = [
        ("unknown-path-crashes", "GET", "/nowhere"),
        ("other-method-crashes", "DELETE", "/chatroom/list"),
        ("broken-encoding-crashes", "GET", "/chatroom/create?room_name=%zz"),
        ("long-query-crashes", "GET", &long),
    ];
    for (name, method, path) in cases {
        let fault = Fault::named(name).unwrap();
        let server = start(&fault).await;
        assert_eq!(server.request(method, path).send().await.unwrap().status(), 500, "{name}");
        assert_eq!(server.populations().await, [("lobby".to_owned(), 0)]);
        assert_eq!(fault.firings(), 1, "{name}");
    }
    let fault = Fault::named("unknown-path-hangs").unwrap();
    let server = start(&fault).await;
    let request = server.request("GET", "/nowhere").timeout(Duration::from_millis(100)).send();
    assert!(request.await.unwrap_err().is_timeout());
    assert_eq!(fault.firings(), 1);
}

#[tokio::test]
async fn only_a_missing_user_is_none() {
    let fault = Fault::named("missing-user-is-none").unwrap();
    let server = start(&fault).await;
    assert_eq!(server.room("lobby", "", "1").await, USER_NOT_EXIST);
    assert_eq!(fault.firings(), 0);
    assert_eq!(server.get("/chatroom/room", &[("room_name", "lobby"), ("status", "1")]).await, JOINED);
    assert_eq!(server.room("lobby", "None", "0").await, LEFT);
    assert_eq!(fault.firings(), 1);
}

#[tokio::test]
async fn a_connection_that_was_cut_keeps_its_place() {
    let fault = Fault::named("cut-keeps-place").unwrap();
    let server = start(&fault).await;
    let mut ann = server.enter("lobby", "ann").await;
    let mut bob = server.enter("lobby", "bob").await;
    ann.receive().await;
    bob.socket.close(None).await.unwrap();
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "leave"));
    assert_eq!(server.populations().await, [("lobby".to_owned(), 1)]);
    assert_eq!(fault.firings(), 0);

    let cid = server.enter("lobby", "cid").await;
    ann.receive().await;
    cid.reset();
    assert_eq!(ann.receive().await, user_packet("cid", "lobby", "leave"));
    assert_eq!(server.populations().await, [("lobby".to_owned(), 2)]);
    assert_eq!(fault.firings(), 1);
}

#[tokio::test]
async fn five_errors_close_the_connection_after_the_last() {
    let fault = Fault::named("fifth-error-closes").unwrap();
    let server = start(&fault).await;
    let mut ann = server.enter("lobby", "ann").await;
    for _ in 0..5 {
        assert_eq!(ann.ask_text("{}").await, error("invalid message"));
    }
    assert_eq!(ann.close_code().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn quick_packets_share_a_frame() {
    let fault = Fault::named("quick-packets-in-a-frame").unwrap();
    let server = start(&fault).await;
    let mut ann = server.connect().await;
    ann.socket.feed("{}".into()).await.unwrap();
    ann.send("{}").await;
    let Some(Message::Text(text)) = ann.next().await else { panic!("no text") };
    assert_eq!(text.lines().count(), 2);
    assert_eq!(fault.firings(), 1);
}

/// A server in which `deaf` never reads and `ann` has sent enough to fill its queue.
async fn with_a_slow_reader(fault: &Fault) -> (Server, Client, Client) {
    let server = Server::start(Config {
        fault: Some(fault.clone()),
        rooms: vec!["lobby".to_owned()],
        limits: Limits { queued_messages: 64, ..Limits::default() },
        ..Config::default()
    })
    .await;
    let deaf = server.enter("lobby", "deaf").await;
    let mut ann = server.enter("lobby", "ann").await;
    let text = "x".repeat(64 << 10);
    for _ in 0..2_000 {
        if fault.firings() > 0 {
            break;
        }
        ann.say("msg", "ann", "lobby", &text).await;
        let answer = tokio::time::timeout(STALL, ann.receive()).await;
        assert!(answer.is_ok_and(|packet| packet["type"] == "msg") || fault.firings() > 0);
    }
    assert!(fault.firings() > 0);
    (server, ann, deaf)
}

#[tokio::test]
async fn a_slow_reader_stalls_all_until_it_is_gone() {
    let fault = Fault::named("slow-reader-stalls-all").unwrap();
    let (server, _ann, deaf) = with_a_slow_reader(&fault).await;
    let mut bob = server.connect().await;
    bob.send("{}").await;
    let answer = tokio::time::timeout(Duration::from_millis(100), bob.receive()).await;
    assert!(answer.is_err(), "{answer:?}");
    deaf.reset();
    assert_eq!(bob.receive().await["type"], "error");
}

#[tokio::test]
async fn a_slow_member_stalls_its_room_alone() {
    let fault = Fault::named("slow-member-stalls-room").unwrap();
    let (server, _ann, deaf) = with_a_slow_reader(&fault).await;
    let mut elsewhere = server.create_and_enter("study", "eve").await;
    assert_eq!(elsewhere.ask("msg", "eve", "study", "hello").await["type"], "msg");
    let mut bob = server.connect().await;
    bob.say("join", "bob", "lobby", "").await;
    let answer = tokio::time::timeout(Duration::from_millis(100), bob.receive()).await;
    assert!(answer.is_err(), "{answer:?}");
    deaf.reset();
    assert_eq!(bob.receive().await["type"], "user");
}

#[tokio::test]
async fn an_unbounded_queue_never_disconnects() {
    let fault = Fault::named("queue-unbounded").unwrap();
    let (server, mut ann, _deaf) = with_a_slow_reader(&fault).await;
    for _ in 0..100 {
        assert_eq!(ann.ask("msg", "ann", "lobby", "more").await["type"], "msg");
    }
    assert_eq!(server.populations().await, [("lobby".to_owned(), 2)]);
}

#[tokio::test]
async fn a_connection_cut_under_load_ends_without_a_close_frame() {
    let fault = Fault::named("load-cut=1/2").unwrap();
    let server = start(&fault).await;
    let mut ann = server.enter("lobby", "ann").await;
    let mut bob = server.enter("lobby", "bob").await;
    ann.receive().await;
    ann.say("msg", "ann", "lobby", "hello").await;
    assert_eq!(bob.close_code().await, None);
    assert_eq!(ann.receive().await["type"], "msg");
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "leave"));
    assert_eq!(fault.firings(), 1);
}

#[tokio::test]
async fn each_connection_waits_for_a_slow_listener() {
    let fault = Fault::named("load-slow-accept=1ms").unwrap();
    let server = start(&fault).await;
    for _ in 0..3 {
        server.connect().await;
    }
    assert_eq!(fault.firings(), 3);
}
