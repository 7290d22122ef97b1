//! Readings that are pinned.

use crate::support::{Server, error, packet, res, user_packet};
use serde_json::json;

#[tokio::test]
async fn one_way_of_asking_and_one_spelling() {
    let server =
        Server::with_readings(&[("R-PARAMS", "post-json"), ("R-LIST", "rooms"), ("R-ENTRY", "name"), ("R-STATUS-TYPE", "number")]).await;
    let get = server.request("GET", "/chatroom/create?room_name=lobby").send().await.unwrap();
    assert_eq!(get.status(), 405);
    let create = || server.request("POST", "/chatroom/create?room_name=lobby");
    assert_eq!(res(create()).await, "invalid room");
    assert_eq!(res(create().form(&[("room_name", "lobby")])).await, "invalid room");
    assert_eq!(res(create().json(&json!({"room_name": "lobby"}))).await, "chatroom create successfully");

    let room = |status| {
        let body = json!({"room_name": "lobby", "user_name": "ann", "status": status});
        res(server.request("POST", "/chatroom/room").json(&body))
    };
    assert_eq!(room(json!("1")).await, "invalid status");
    assert_eq!(room(json!(1)).await, "join chatroom");
    let list = server.request("POST", "/chatroom/list").send().await.unwrap().text().await.unwrap();
    assert_eq!(list, r#"{"rooms":[{"name":"lobby","population":1}]}"#);
}

#[tokio::test]
async fn only_the_sender_is_told() {
    let server = Server::with_readings(&[("R-AUDIENCE", "sender"), ("R-ERROR-FIELDS", "absent")]).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let mut bob = server.enter("lobby", "bob").await;
    assert_eq!(ann.ask("msg", "ann", "lobby", "hi").await, packet("msg", "ann", "lobby", "hi"));
    bob.receive().await;
    assert_eq!(bob.ask("leave", "bob", "lobby", "").await, user_packet("bob", "lobby", "leave"));
    assert_eq!(bob.ask_text("{}").await, json!({"type": "error", "data": {"msg": "invalid message"}}));
    assert_eq!(ann.ask("msg", "ann", "lobby", "hi").await, packet("msg", "ann", "lobby", "hi"));
}

#[tokio::test]
async fn entering_needs_an_http_join() {
    let server = Server::with_readings(&[("R-ENTRY-ORDER", "http-first")]).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let mut bob = server.connect().await;
    assert_eq!(bob.ask("join", "bob", "lobby", "").await, error("user not exist"));
    assert_eq!(server.room("lobby", "bob", "1").await, "join chatroom");
    assert_eq!(bob.ask("join", "bob", "lobby", "").await, user_packet("bob", "lobby", "join"));
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "join"));
}
