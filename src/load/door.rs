//! The HTTP part of entering and leaving: errands that slices give to one thread, which brings the answers back.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::Waker;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc as tokio_mpsc};

use crate::stats::Metric;
use crate::wire::http::{HttpClient, HttpFailure, Request};

/// How many exchanges are under way at once.
const AT_ONCE: usize = 64;

/// How a target takes parameters (R-PARAMS, and R-STATUS-TYPE for JSON).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    GetQuery,
    PostQuery,
    PostForm,
    PostJson { status_as_text: bool },
}

/// The ways of the two requests that a load makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    pub create: Way,
    pub room: Way,
}

/// What a virtual user wants done.
#[derive(Debug)]
pub struct Errand {
    pub slice: usize,
    pub user: usize,
    /// The user's session that it belongs to.
    pub session: u32,
    pub what: Metric,
    pub room_name: String,
    pub user_name: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    pub user: usize,
    pub session: u32,
    pub what: Metric,
    pub sent: Instant,
    pub answered: Instant,
    /// Whether it was answered with the documented text, or why not.
    pub result: Result<(), DoorError>,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

/// Why an errand failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DoorError {
    #[error("{0}")]
    NoAnswer(HttpFailure),
    /// The text that came instead of the documented one.
    #[error("{0}")]
    Refused(String),
}

/// Where the answers for a slice go.
#[derive(Clone, Debug)]
pub struct Return {
    pub done: mpsc::Sender<Done>,
    pub waker: Arc<Waker>,
}

/// The thread; it ends once all senders of errands are gone.
#[derive(Debug)]
pub struct Door {
    pub errands: tokio_mpsc::UnboundedSender<Errand>,
    pub thread: JoinHandle<()>,
}

/// An answer's body: `res` is what the document names.
#[derive(Deserialize)]
struct Answered {
    res: String,
}

impl Door {
    /// Starts the thread. `returns` are by slice.
    ///
    /// # Errors
    /// A machine that has no thread left.
    pub fn open(client: HttpClient, ways: Ways, timeout: Duration, returns: Vec<Return>) -> std::io::Result<Self> {
        let (errands, mut asked) = tokio_mpsc::unbounded_channel::<Errand>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("load-http".into()).spawn(move || {
            let places = Arc::new(Semaphore::new(AT_ONCE));
            runtime.block_on(async move {
                while let Some(errand) = asked.recv().await {
                    let Ok(place) = places.clone().acquire_owned().await else { return };
                    let (client, to) = (client.clone(), returns[errand.slice].clone());
                    tokio::spawn(async move {
                        let done = run(&client, ways, timeout, &errand).await;
                        drop(place);
                        // A slice that has ended asks for nothing any more.
                        let _ = to.done.send(done);
                        let _ = to.waker.wake();
                    });
                }
            });
        })?;
        Ok(Self { errands, thread })
    }
}

async fn run(client: &HttpClient, ways: Ways, timeout: Duration, errand: &Errand) -> Done {
    let request = request(client, ways, errand);
    let bytes_sent = (request.url.len() + request.body.as_ref().map_or(0, Bytes::len)) as u64;
    let sent = Instant::now();
    let result = client.send(&request, timeout).await;
    let answered = Instant::now();
    let bytes_received = result.as_ref().map_or(0, |answer| answer.body.len() as u64);
    let expected = match errand.what {
        Metric::Create => "chatroom create successfully",
        Metric::HttpJoin => "join chatroom",
        _ => "leave chatroom",
    };
    let result = match result {
        Err(failure) => Err(DoorError::NoAnswer(failure)),
        Ok(answer) => match serde_json::from_slice::<Answered>(&answer.body) {
            Ok(body) if body.res == expected => Ok(()),
            Ok(body) => Err(DoorError::Refused(body.res)),
            Err(_) => Err(DoorError::Refused(format!("HTTP status {} without `res`", answer.status))),
        },
    };
    Done { user: errand.user, session: errand.session, what: errand.what, sent, answered, result, bytes_sent, bytes_received }
}

fn request(client: &HttpClient, ways: Ways, errand: &Errand) -> Request {
    let mut parameters = vec![("room_name".to_owned(), errand.room_name.clone())];
    let (path, way, status) = match errand.what {
        Metric::Create => ("chatroom/create", ways.create, None),
        Metric::HttpJoin => ("chatroom/room", ways.room, Some(1)),
        _ => ("chatroom/room", ways.room, Some(0)),
    };
    if let Some(status) = status {
        parameters.push(("user_name".to_owned(), errand.user_name.clone()));
        parameters.push(("status".to_owned(), status.to_string()));
    }
    let with_body = |content: &str, body: String| Request {
        method: "POST".into(),
        url: client.url(path, &[]),
        headers: vec![("content-type".into(), content.into())],
        body: Some(Bytes::from(body)),
    };
    let in_query = |method: &str| Request { method: method.into(), url: client.url(path, &parameters), headers: Vec::new(), body: None };
    match way {
        Way::GetQuery => in_query("GET"),
        Way::PostQuery => in_query("POST"),
        Way::PostForm => {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
            with_body("application/x-www-form-urlencoded", form)
        }
        Way::PostJson { status_as_text } => {
            let mut body = serde_json::Map::new();
            for (name, value) in &parameters {
                let number = status.filter(|_| name == "status" && !status_as_text);
                body.insert(name.clone(), number.map_or_else(|| json!(value), |number| json!(number)));
            }
            with_body("application/json", serde_json::Value::Object(body).to_string())
        }
    }
}
