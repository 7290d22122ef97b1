//! Variants of how HTTP carries an answer.

use crate::deviation::{Active, Deviation};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::response::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use futures_util::stream;
use serde_json::Value;
use std::io;
use std::sync::Arc;

type Rewrite = fn(&mut Parts, Bytes) -> Body;

struct Answers(Rewrite);

/// All HTTP answers pass through this function.
pub fn answers(change: Rewrite) -> Arc<dyn Deviation> {
    Arc::new(Answers(change))
}

impl Deviation for Answers {
    fn route(&self, router: Router, _active: &Active) -> Router {
        rewrite(router, self.0)
    }
}

/// Lets a function change the head and the body of every answer.
pub fn rewrite(router: Router, change: impl Fn(&mut Parts, Bytes) -> Body + Clone + Send + Sync + 'static) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let change = change.clone();
        async move {
            let (mut head, body) = next.run(request).await.into_parts();
            // The bodies are this server's own, and in memory already.
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let body = change(&mut head, body);
            Response::from_parts(head, body)
        }
    }))
}

fn succeeded(body: &[u8]) -> bool {
    use crate::request::{CREATED, JOINED, LEFT};
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    answer.get("res").is_none_or(|text| [CREATED, JOINED, LEFT].iter().any(|success| text == success))
}

/// 201 for what succeeds.
pub fn created(head: &mut Parts, body: Bytes) -> Body {
    if head.status == StatusCode::OK && succeeded(&body) {
        head.status = StatusCode::CREATED;
    }
    body.into()
}

/// 409 for what doesn't.
pub fn conflict(head: &mut Parts, body: Bytes) -> Body {
    if head.status == StatusCode::OK && !succeeded(&body) {
        head.status = StatusCode::CONFLICT;
    }
    body.into()
}

/// In chunks, of which the first is a single byte.
pub fn chunked(head: &mut Parts, body: Bytes) -> Body {
    head.headers.remove(header::CONTENT_LENGTH);
    let (first, rest) = body.split_at(body.len().min(1));
    let chunks: Vec<io::Result<Bytes>> =
        std::iter::once(first).chain(rest.chunks(1_000)).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    Body::from_stream(stream::iter(chunks))
}

/// As plain text, whatever it is.
pub fn plain_text(head: &mut Parts, body: Bytes) -> Body {
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    body.into()
}

/// The last one of its connection.
pub fn closing(head: &mut Parts, body: Bytes) -> Body {
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    body.into()
}
