//! The language and the engine know no word of the chatroom protocol: another protocol is another folder.

mod support;

use axum::extract::{Form, Query, State, WebSocketUpgrade, ws::Message, ws::WebSocket};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use support::{Server, address, folder, listener, plan, run, trouble};
use tokio::sync::broadcast;

/// An echo server; a leaky one sends everybody's texts to everybody.
async fn echo_server(leaky: bool) -> Server {
    let (http, ws) = (listener().await, listener().await);
    let (http_address, ws_address) = (address(&http, "http"), address(&ws, "ws"));
    let answer = |words: HashMap<String, String>| -> Json<Value> {
        let known = words.get("word").is_some_and(|word| word == "ping");
        Json(json!({"answer": if known { "pong" } else { "unknown word" }}))
    };
    let words = Router::new().route(
        "/word",
        get(move |Query(words): Query<HashMap<String, String>>| async move { answer(words) })
            .post(move |Form(words): Form<HashMap<String, String>>| async move { answer(words) }),
    );
    let everybody = broadcast::channel::<String>(64).0;
    let sockets = Router::new()
        .route(
            "/",
            get(move |upgrade: WebSocketUpgrade, State(everybody): State<broadcast::Sender<String>>| async move {
                upgrade.on_upgrade(move |socket| echo(socket, everybody, leaky))
            }),
        )
        .with_state(everybody);
    let serve = |listener, router: Router| tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    Server { http: http_address, ws: ws_address, tasks: vec![serve(http, words), serve(ws, sockets)] }
}

async fn echo(mut socket: WebSocket, everybody: broadcast::Sender<String>, leaky: bool) {
    let mut heard = everybody.subscribe();
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) if leaky => {
                    let _ = everybody.send(text.to_string());
                }
                Some(Ok(Message::Text(text))) => {
                    if socket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            Ok(text) = heard.recv() => {
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_folder_for_an_echo_protocol_runs() {
    let server = echo_server(false).await;
    let (verdicts, events) = run(&plan(&folder("tests/echo"), &server, &[])).await;
    assert_eq!(verdicts.conclusion.exit_code(), 0, "{}", trouble(&events));
    assert_eq!(verdicts.requirements.len(), 3);
    assert_eq!(verdicts.scenarios.len(), 5, "three cases and two scenarios");
}

#[tokio::test]
async fn a_folder_for_an_echo_protocol_finds_the_one_thing_that_is_wrong() {
    let server = echo_server(true).await;
    let (verdicts, events) = run(&plan(&folder("tests/echo"), &server, &[])).await;
    let failed: Vec<&str> =
        verdicts.requirements.iter().filter(|(_, outcome)| outcome.word() == "fail").map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, ["ECHO-2"], "{}", trouble(&events));
}
