//! The minimal server: axum, a broadcast channel a room, no checks. Requests succeed, whatever they ask; what a
//! connection says after its join goes to all in the room as it is.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender};

/// Buffers of the size that suits chat; with axum's own, of 128 KiB each, it carries less.
const BUFFER: usize = 4 << 10;
const QUEUE: usize = 1_024;

type Rooms = Arc<Mutex<HashMap<String, Sender<Utf8Bytes>>>>;

/// Serves until it is killed; the addresses are on standard output, as the reference server writes them.
pub fn run() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let (http, ws) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("http listening on http://{}", http.local_addr()?);
    println!("ws listening on ws://{}/", ws.local_addr()?);
    let answers = Router::new()
        .route("/chatroom/create", any(async || r#"{"res":"chatroom create successfully"}"#))
        .route("/chatroom/room", any(async || r#"{"res":"join chatroom"}"#))
        .route("/chatroom/list", any(async || r#"{"room_list":[],"rooms":[]}"#));
    let chat = Router::new().route("/", any(upgrade)).with_state(Rooms::default());
    let (answers, chat) = tokio::join!(axum::serve(http, answers), axum::serve(ws, chat));
    answers.and(chat)
}

async fn upgrade(upgrade: WebSocketUpgrade, State(rooms): State<Rooms>) -> Response {
    upgrade.read_buffer_size(BUFFER).write_buffer_size(BUFFER).on_upgrade(move |socket| async move {
        let _ended_either_way = member(socket, &rooms).await;
    })
}

async fn member(mut socket: WebSocket, rooms: &Rooms) -> Option<()> {
    let Message::Text(join) = socket.recv().await?.ok()? else { return None };
    let mut packet: Value = serde_json::from_str(&join).ok()?;
    let name = packet["data"]["room_name"].as_str()?.to_owned();
    let room = rooms.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(|| broadcast::channel(QUEUE).0).clone();
    let mut said = room.subscribe();
    packet["type"] = "user".into();
    packet["data"]["msg"] = "join".into();
    room.send(packet.to_string().into()).ok()?;
    loop {
        tokio::select! {
            received = socket.recv() => match received?.ok()? {
                Message::Text(text) => room.send(text).map(drop).ok()?,
                Message::Close(_) => return None,
                _ => {}
            },
            text = said.recv() => socket.send(Message::Text(text.ok()?)).await.ok()?,
        }
    }
}
