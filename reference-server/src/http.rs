//! The HTTP listener: three endpoints, each a translation from a request to a [`Request`] and from an answer back.

use crate::hub::Hub;
use crate::limits::Limits;
use crate::listener::{Stopped, until_stopped};
use crate::parameters::{self, Parameters};
use crate::reading::Readings;
use crate::request::{Answer, Request};
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tower_http::cors::CorsLayer;
use tracing::debug;

type HttpRequest = axum::http::Request<Body>;

#[derive(Clone)]
struct Api {
    hub: Arc<Hub>,
    readings: Readings,
}

/// The router of the HTTP listener. Browsers may call it from any origin.
pub fn router(hub: &Arc<Hub>, readings: Readings) -> Router {
    let api = Api { hub: Arc::clone(hub), readings };
    let router = Router::new()
        .route("/chatroom/list", any(list))
        .route("/chatroom/create", any(create))
        .route("/chatroom/room", any(room))
        .route("/healthz", get(healthz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CorsLayer::permissive())
        .with_state(api);
    match &hub.deviation {
        None => router,
        Some(deviation) => deviation.route(router),
    }
}

/// Serves one connection until the client closes it, or until the server stops and the request at hand is answered.
pub async fn serve(stream: TcpStream, router: Router, limits: Limits, stopped: Stopped) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until_stopped(stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an HTTP connection ended early");
    }
}

async fn list(State(api): State<Api>, request: HttpRequest) -> Response {
    api.respond(request, |_| Request::List).await
}

async fn create(State(api): State<Api>, request: HttpRequest) -> Response {
    let translate = |parameters: &Parameters| Request::Create { room_name: parameters.text("room_name") };
    api.respond(request, translate).await
}

async fn room(State(api): State<Api>, request: HttpRequest) -> Response {
    let translate = |parameters: &Parameters| Request::Room {
        room_name: parameters.text("room_name"),
        user_name: parameters.text("user_name"),
        status: parameters.text("status"),
    };
    api.respond(request, translate).await
}

async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such path")
}

pub(crate) async fn method_not_allowed() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}

impl Api {
    async fn respond(&self, request: HttpRequest, translate: impl FnOnce(&Parameters) -> Request) -> Response {
        let (head, body) = request.into_parts();
        if !parameters::allows(self.readings.params, &head.method) {
            let allowed = [(header::ALLOW, parameters::allowed(self.readings.params))];
            return (allowed, method_not_allowed().await).into_response();
        }
        let limits = &self.hub.limits;
        let body = axum::body::to_bytes(body, limits.body_bytes);
        let body = match tokio::time::timeout(limits.request_time, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return refusal(StatusCode::PAYLOAD_TOO_LARGE, "body too large"),
            Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "body too slow"),
        };
        let query = head.uri.query().unwrap_or_default();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let parameters = Parameters::read(&self.readings, &head.method, query, content_type.unwrap_or_default(), &body);
        self.hub.answer(&translate(&parameters)).await.into_response()
    }
}

fn refusal(status: StatusCode, text: &str) -> Response {
    Answer::with_status(status.as_u16(), text).into_response()
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body)).into_response()
    }
}
