//! Faults of a server that doesn't stand up to slow readers and odd requests.

use crate::deviation::look::{answered, field, json};
use crate::deviation::{Active, Site};
use crate::deviation::{Deviation, Waiting};
use crate::event::{Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::hub::{Hub, Outboxes};
use crate::request::JOINED;
use crate::state::State;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How many messages wait for a member before it counts as slow.
const SLOW: usize = 16;
/// How many bytes do.
const SLOW_BYTES: usize = 64 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub const SPECS: &[Spec] = &[
    spec("slow-reader-stalls-all", "ROB-13", &[], "while one member doesn't read, nobody's packets are dealt with", || {
        Arc::new(Stalls(|_, outboxes, _| outboxes.values().any(|outbox| outbox.backlog() > SLOW)))
    }),
    spec(
        "slow-member-stalls-room",
        "ROB-13",
        &[],
        "while 64 KiB wait for a member that doesn't read, no packets to its room are dealt with",
        || {
            Arc::new(Stalls(|state, outboxes, event| {
                let room = json(event).and_then(|(_, packet)| state.room(field(&packet, "room_name")));
                let members = room.map(|room| room.listeners()).unwrap_or_default();
                members.iter().filter_map(|member| outboxes.get(member)).any(|outbox| outbox.holds_more_than(usize::MAX, SLOW_BYTES))
            }))
        },
    ),
    spec("queue-unbounded", "ROB-13", &[], "what waits for a member that doesn't read grows without bound", || Arc::new(QueueUnbounded)),
    spec("missing-user-is-none", "ROOM-7", &[], "a join without user_name is one of the user `None`; an empty one is refused", || {
        Arc::new(MissingUserIsNone)
    }),
    spec("json-zero-is-missing", "PARAMS-1", &["ROOM-2", "ROOM-5"], "in a JSON body a status of 0 is as good as missing", || {
        Arc::new(Bodies(|kind, body| {
            let mut parameters: Value = (kind == "application/json").then(|| serde_json::from_slice(body).ok()).flatten()?;
            (parameters.get("status")?.as_i64() == Some(0)).then(|| parameters["status"] = Value::Null)?;
            Some(parameters.to_string())
        }))
    }),
    spec("form-spaces-stay-plus", "PARAMS-1", &["CREATE-5"], "in a form a `+` stays one, where it means a space", || {
        Arc::new(Bodies(|kind, body| {
            let form = std::str::from_utf8(body).ok().filter(|form| kind == "application/x-www-form-urlencoded" && form.contains('+'))?;
            Some(form.replace('+', "%2B"))
        }))
    }),
    spec("unknown-path-crashes", "ROB-14", &[], "an unknown path is answered by 500", || {
        requests(|_, uri| !is_known(uri), Reaction::Crash)
    }),
    spec("unknown-path-hangs", "ROB-14", &[], "an unknown path is never answered", || requests(|_, uri| !is_known(uri), Reaction::Hang)),
    spec("other-method-crashes", "ROB-14", &[], "a method other than GET and POST is answered by 500", || {
        requests(|method, _| ![Method::GET, Method::POST].contains(method), Reaction::Crash)
    }),
    spec("broken-encoding-crashes", "ROB-14", &[], "broken percent-encoding is answered by 500", || {
        requests(|_, uri| uri.query().is_some_and(has_broken_encoding), Reaction::Crash)
    }),
    spec("long-query-crashes", "ROB-14", &[], "a query above 8 KiB is answered by 500", || {
        requests(|_, uri| uri.query().is_some_and(|query| query.len() > 8 << 10), Reaction::Crash)
    }),
];

/// Nothing that this is true of is dealt with.
struct Stalls(fn(&State, &Outboxes, &Event<'_>) -> bool);

impl Deviation for Stalls {
    fn arrive<'a>(&'a self, hub: &'a Arc<Hub>, fault: &'a Active, event: &'a Event<'a>) -> Waiting<'a> {
        Box::pin(async move {
            if !matches!(event, Event::Text(..)) {
                return None;
            }
            let is_stalled = || hub.visit(|state, outboxes| (self.0)(state, outboxes, event));
            if !is_stalled() {
                return None;
            }
            // What was queued just now is on its way to a member that does read.
            tokio::time::sleep(LOOK_AGAIN).await;
            if is_stalled() {
                fault.fire();
            }
            while is_stalled() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            None
        })
    }
}

struct QueueUnbounded;

impl Deviation for QueueUnbounded {
    fn after(&self, site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        for connection in outcome.deliveries.iter().flat_map(|delivery| &delivery.to) {
            if let Some(outbox) = site.outboxes.get(connection) {
                outbox.lift_limits();
                if outbox.holds_more_than(site.limits().queued_messages, site.limits().queued_bytes) {
                    site.fire();
                }
            }
        }
    }
}

struct MissingUserIsNone;

impl Deviation for MissingUserIsNone {
    fn route(&self, router: Router, _fault: &Active) -> Router {
        router.layer(from_fn(|mut request: Request, next: Next| async move {
            // Of several values the first counts, so this one does where the request has none.
            let uri = format!("{}?{}&user_name=None", request.uri().path(), request.uri().query().unwrap_or_default());
            if let Ok(uri) = uri.parse() {
                *request.uri_mut() = uri;
            }
            next.run(request).await
        }))
    }

    fn after(&self, site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        if answered(event, outcome, JOINED).is_some_and(|(_, user)| user == "None") {
            site.fire();
        }
    }
}

/// Reads the body of a request, of that content type, as another one.
struct Bodies(fn(&str, &[u8]) -> Option<String>);

/// A body above this is passed on unread.
const LONGEST_BODY: usize = 1 << 20;

impl Deviation for Bodies {
    fn route(&self, router: Router, fault: &Active) -> Router {
        let change = self.0;
        let fault = fault.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let fault = fault.clone();
            async move {
                let (mut head, body) = request.into_parts();
                let Ok(mut body) = axum::body::to_bytes(body, LONGEST_BODY).await else {
                    return StatusCode::PAYLOAD_TOO_LARGE.into_response();
                };
                let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                if let Some(changed) = change(kind, &body) {
                    fault.fire();
                    head.headers.remove(header::CONTENT_LENGTH);
                    body = changed.into();
                }
                next.run(Request::from_parts(head, body.into())).await
            }
        }))
    }
}

#[derive(Clone, Copy)]
enum Reaction {
    Crash,
    Hang,
}

struct Requests {
    test: fn(&Method, &Uri) -> bool,
    reaction: Reaction,
}

impl Deviation for Requests {
    fn route(&self, router: Router, fault: &Active) -> Router {
        let Self { test, reaction } = *self;
        let fault = fault.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let fault = fault.clone();
            async move {
                if !test(request.method(), request.uri()) {
                    return next.run(request).await;
                }
                fault.fire();
                react(reaction).await
            }
        }))
    }
}

async fn react(reaction: Reaction) -> Response {
    match reaction {
        Reaction::Crash => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Reaction::Hang => std::future::pending().await,
    }
}

fn requests(test: fn(&Method, &Uri) -> bool, reaction: Reaction) -> Arc<dyn Deviation> {
    Arc::new(Requests { test, reaction })
}

fn is_known(uri: &Uri) -> bool {
    matches!(uri.path(), "/chatroom/list" | "/chatroom/create" | "/chatroom/room" | "/healthz")
}

fn has_broken_encoding(query: &str) -> bool {
    query.split('%').skip(1).any(|rest| !rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()) || rest.len() < 2)
}
