//! The HTTP listener: the documented answers, and the ways to ask.

use crate::support::{Server, res};
use reference_server::Config;
use serde_json::{Value, json};

#[tokio::test]
async fn the_documented_answers() {
    let server = Server::start(Config { capacity: 2, ..Config::default() }).await;
    assert_eq!(server.list().await, json!({"room_list": [], "rooms": []}));
    assert_eq!(server.room("lobby", "ann", "1").await, "invalid room");
    assert_eq!(server.room("lobby", "ann", "0").await, "invalid room");
    assert_eq!(server.create("lobby").await, "chatroom create successfully");
    assert_eq!(server.create("lobby").await, "chatroom already exist");
    for status in ["2", "-1", "abc", "01", "1.0"] {
        assert_eq!(server.room("lobby", "ann", status).await, "invalid status");
    }
    assert_eq!(server.room("lobby", "ann", "0").await, "user not exist");
    for user in ["ann", "bob", "ann"] {
        assert_eq!(server.room("lobby", user, "1").await, "join chatroom");
    }
    assert_eq!(server.room("lobby", "cid", "1").await, "full room");
    let entry = json!({"room_name": "lobby", "name": "lobby", "population": 2});
    assert_eq!(server.list().await, json!({"room_list": [entry], "rooms": [entry]}));

    let mut cid = server.connect().await;
    assert_eq!(cid.ask("join", "cid", "lobby", "").await["data"]["msg"], "full room");
    assert_eq!(server.room("lobby", "bob", "0").await, "leave chatroom");
    assert_eq!(server.room("lobby", "cid", "1").await, "join chatroom");
}

#[tokio::test]
async fn names_are_any_text_and_rooms_are_listed_in_order() {
    let names = ["聊天室", "😀", "a b", "a&b=c?d/e%f\"g", " ", "<b>", "a+b", "0"];
    let server = Server::start(Config::default()).await;
    for name in names {
        assert_eq!(server.create(name).await, "chatroom create successfully", "{name}");
    }
    let listed: Vec<_> = server.populations().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, names);
}

#[tokio::test]
async fn all_four_ways_to_ask() {
    let server = Server::start(Config { rooms: vec!["lobby".to_owned()], ..Config::default() }).await;
    let parameters = [("room_name", "lobby"), ("user_name", "ann"), ("status", "1")];
    let room = |method| server.request(method, "/chatroom/room");
    assert_eq!(res(room("GET").query(&parameters)).await, "join chatroom");
    assert_eq!(res(room("POST").query(&parameters)).await, "join chatroom");
    assert_eq!(res(room("POST").form(&parameters)).await, "join chatroom");
    for status in [json!(1), json!("1")] {
        let body = json!({"room_name": "lobby", "user_name": "ann", "status": status});
        assert_eq!(res(room("POST").json(&body)).await, "join chatroom");
    }
    let list: Value = server.request("POST", "/chatroom/list").send().await.unwrap().json().await.unwrap();
    assert_eq!(list, server.list().await);
}

async fn check(request: reqwest::RequestBuilder, status: u16, text: &str) {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.json::<Value>().await.unwrap()["res"], text);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_in_json() {
    let server = Server::start(Config { rooms: vec!["lobby".to_owned()], ..Config::default() }).await;
    let long = "x".repeat(1_025);
    let create = |room: &str| server.request("GET", "/chatroom/create").query(&[("room_name", room)]);
    check(server.request("GET", "/chatroom/create"), 400, "invalid room").await;
    check(create(""), 400, "invalid room").await;
    check(create(&long), 400, "invalid room").await;

    let room = |query: &str| server.request("GET", &format!("/chatroom/room?{query}"));
    check(room("room_name=lobby&user_name=a"), 400, "invalid status").await;
    check(room("room_name=lobby&user_name=a&status="), 400, "invalid status").await;
    check(room("user_name=a&status=1"), 400, "invalid room").await;
    check(room("room_name=lobby&status=1"), 400, "user not exist").await;
    check(room("room_name=lobby&user_name=&status=0"), 400, "user not exist").await;
    check(room("room_name=%zz&user_name=%ff&status=1"), 200, "invalid room").await;

    check(server.request("GET", "/nowhere"), 404, "no such path").await;
    let other_method = server.request("DELETE", "/chatroom/list").send().await.unwrap();
    assert_eq!(other_method.headers()["allow"], "GET, HEAD, POST");
    check(server.request("DELETE", "/chatroom/list"), 405, "method not allowed").await;
    check(server.request("POST", "/chatroom/create").body(vec![b'x'; 300 << 10]), 413, "body too large").await;
    let long_query = format!("/chatroom/create?room_name={}", "x".repeat(60_000));
    check(server.request("GET", &long_query), 400, "invalid room").await;
    assert_eq!(server.populations().await, [("lobby".to_owned(), 0)]);
}

#[tokio::test]
async fn browsers_and_supervisors_are_served() {
    let server = Server::start(Config::default()).await;
    let preflight = server
        .request("OPTIONS", "/chatroom/create")
        .header("Origin", "http://localhost:3000")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type");
    let allowed = preflight.send().await.unwrap();
    assert!(allowed.status().is_success());
    assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
    let health = server.request("GET", "/healthz").send().await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap(), json!({"status": "ok"}));
}
