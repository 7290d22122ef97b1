//! A server on free ports and clients for it.

use futures_util::{SinkExt, StreamExt};
use reference_server::{Config, ServeError, serve};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Long enough for any machine: only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub http: String,
    pub ws: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
    requests: reqwest::Client,
}

impl Server {
    pub async fn start(config: Config) -> Self {
        // Built together with the harness, reqwest has TLS and leaves the choice of its cryptography to whoever uses it.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ws = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = oneshot::channel();
        Self {
            http: format!("http://{}", http.local_addr().unwrap()),
            ws: format!("ws://{}/", ws.local_addr().unwrap()),
            stop,
            task: tokio::spawn(serve(http, ws, config, async {
                stopped.await.ok();
            })),
            requests: reqwest::Client::new(),
        }
    }

    pub async fn with_readings(pinned: &[(&str, &str)]) -> Self {
        let mut config = Config::default();
        for (id, value) in pinned {
            config.readings.pin(id, value).unwrap();
        }
        Self::start(config).await
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    pub fn ws_address(&self) -> &str {
        self.ws.trim_start_matches("ws://").trim_end_matches('/')
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.http);
        self.requests.request(method.parse().unwrap(), url).timeout(PATIENCE)
    }

    /// The `res` of a GET with these parameters.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        res(self.request("GET", path).query(parameters)).await
    }

    pub async fn create(&self, room: &str) -> String {
        self.get("/chatroom/create", &[("room_name", room)]).await
    }

    pub async fn room(&self, room: &str, user: &str, status: &str) -> String {
        let parameters = [("room_name", room), ("user_name", user), ("status", status)];
        self.get("/chatroom/room", &parameters).await
    }

    pub async fn list(&self) -> Value {
        self.request("GET", "/chatroom/list").send().await.unwrap().json().await.unwrap()
    }

    /// The names and populations of all rooms.
    pub async fn populations(&self) -> Vec<(String, u64)> {
        let list = self.list().await;
        let entry = |entry: &Value| (entry["room_name"].as_str().unwrap().to_owned(), entry["population"].as_u64().unwrap());
        list["room_list"].as_array().unwrap().iter().map(entry).collect()
    }

    pub async fn connect(&self) -> Client {
        Client { socket: connect_async(&self.ws).await.unwrap().0 }
    }

    /// A client that has entered by WebSocket alone.
    pub async fn enter(&self, room: &str, user: &str) -> Client {
        let mut client = self.connect().await;
        let answer = client.ask("join", user, room, "").await;
        assert_eq!(answer["type"], "user", "{answer}");
        client
    }

    /// A room and the member who created it.
    pub async fn create_and_enter(&self, room: &str, user: &str) -> Client {
        assert_eq!(self.create(room).await, "chatroom create successfully");
        let mut client = self.connect().await;
        assert_eq!(client.ask("join", user, room, "").await, user_packet(user, room, "create"));
        client
    }
}

pub async fn res(request: reqwest::RequestBuilder) -> String {
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    body["res"].as_str().unwrap().to_owned()
}

pub fn packet(kind: &str, user: &str, room: &str, msg: &str) -> Value {
    json!({"type": kind, "data": {"user_name": user, "room_name": room, "msg": msg}})
}

pub fn user_packet(user: &str, room: &str, msg: &str) -> Value {
    packet("user", user, room, msg)
}

pub fn error(text: &str) -> Value {
    packet("error", "", "", text)
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub async fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).await.unwrap();
    }

    pub async fn say(&mut self, kind: &str, user: &str, room: &str, msg: &str) {
        self.send(packet(kind, user, room, msg).to_string()).await;
    }

    /// Sends a packet and returns the next one that arrives.
    pub async fn ask(&mut self, kind: &str, user: &str, room: &str, msg: &str) -> Value {
        self.say(kind, user, room, msg).await;
        self.receive().await
    }

    pub async fn ask_text(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.receive().await
    }

    pub async fn next(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        message.expect("nothing arrives").and_then(Result::ok)
    }

    pub async fn receive(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no packet but {other:?}"),
        }
    }

    /// Whatever has been queued for this client is older than the answer to a question that it asks now.
    pub async fn nothing_more(&mut self) {
        assert_eq!(self.ask_text("{}").await, error("invalid message"));
    }

    /// The code with which the server closes the connection; none if it ends without a close frame.
    pub async fn close_code(&mut self) -> Option<CloseCode> {
        loop {
            match self.next().await {
                Some(Message::Close(frame)) => return frame.map(|frame| frame.code),
                Some(_) => {}
                None => return None,
            }
        }
    }

    pub fn reset(self) {
        let MaybeTlsStream::Plain(stream) = self.socket.get_ref() else {
            panic!("a plain connection");
        };
        socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
