//! A page on the HTTP listener on which several users in one browser window try the protocol out, and see what goes over the wire.
//! It is a client like any other: the server knows nothing of it beyond its files.

use crate::fault::Fault;
use crate::http::method_not_allowed;
use crate::reading::{Params, Readings, StatusType};
use crate::variant;
use axum::Router;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where the page is; the document uses no such path.
pub const PATH: &str = "/playground";

/// The mark in the page that its settings take the place of.
const SETTINGS: &str = "{{settings}}";

const PAGE: &str = include_str!("playground/page.html");

const FILES: [(&str, &str, &str); 7] = [
    ("/playground/page.css", "text/css; charset=utf-8", include_str!("playground/page.css")),
    ("/playground/page.js", "text/javascript; charset=utf-8", include_str!("playground/page.js")),
    ("/playground/dom.js", "text/javascript; charset=utf-8", include_str!("playground/dom.js")),
    ("/playground/panel.js", "text/javascript; charset=utf-8", include_str!("playground/panel.js")),
    ("/playground/log.js", "text/javascript; charset=utf-8", include_str!("playground/log.js")),
    ("/playground/wire.js", "text/javascript; charset=utf-8", include_str!("playground/wire.js")),
    ("/playground/exercises.js", "text/javascript; charset=utf-8", include_str!("playground/exercises.js")),
];

/// What the page says about this server.
#[derive(Clone, Debug, Default)]
pub struct Playground {
    /// Each way in which the server isn't its plain self, in a sentence.
    pub oddities: Vec<String>,
}

impl Playground {
    /// The page of a server with this fault, this variant and these pinned readings.
    #[must_use]
    pub fn new(fault: Option<&Fault>, variant: Option<&str>, readings: &[String]) -> Self {
        let wrong = fault.map(|fault| match fault.spec() {
            Some(spec) => {
                format!("It is wrong on purpose, by the fault {}, which violates {}: {}.", spec.name, spec.requirement, spec.summary)
            }
            None => format!("It is wrong on purpose now and then, by the load fault {}.", fault.name()),
        });
        let odd = variant.map(|name| match variant::all().find(|spec| spec.name == name) {
            Some(spec) => format!("It conforms in an odd way, by the variant {name}: {}.", spec.summary),
            None => format!("It follows the reading {name}."),
        });
        let pinned = readings.iter().map(|reading| format!("It follows the reading {reading}."));
        Self { oddities: wrong.into_iter().chain(odd).chain(pinned).collect() }
    }
}

/// What is the same in every answer with the page.
struct Page {
    oddities: Vec<String>,
    capacity: usize,
    params: &'static str,
    /// Where the WebSocket listener is.
    ws: SocketAddr,
    /// The address of the HTTP listener.
    http: IpAddr,
}

/// Adds the page to the router of the HTTP listener.
pub fn beside(router: Router, playground: Playground, capacity: usize, readings: &Readings, http: IpAddr, ws: SocketAddr) -> Router {
    let page = Arc::new(Page { oddities: playground.oddities, capacity, params: params(readings), ws, http });
    let shown = move |headers: HeaderMap| {
        let page = Arc::clone(&page);
        async move { page.answer(&headers) }
    };
    let router = router.route(PATH, get(shown).fallback(method_not_allowed));
    FILES.into_iter().fold(router, |router, (path, kind, text)| {
        let file = move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text) };
        router.route(path, get(file).fallback(method_not_allowed))
    })
}

impl Page {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let host = self.host(headers);
        // A policy can't name an address of IPv6.
        let allowed = if host.starts_with('[') { "ws:".to_owned() } else { format!("ws://{host}:{}", self.ws.port()) };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {allowed}; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        let settings = json!({
            "ws": format!("ws://{host}:{}/", self.ws.port()),
            "capacity": self.capacity,
            "params": self.params,
            "oddities": self.oddities,
        });
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (headers, PAGE.replacen(SETTINGS, &escaped(&settings.to_string()), 1)).into_response()
    }

    /// The host at which the browser finds the WebSocket listener: the one by which it found this one, unless the two listen at
    /// different addresses.
    fn host(&self, headers: &HeaderMap) -> String {
        let ws = self.ws.ip();
        let own = if ws.is_unspecified() { self.http } else { ws };
        let is_shared = ws.is_unspecified() || ws == self.http;
        let reached = headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(host_of);
        match reached {
            Some(host) if is_shared => host,
            _ if own.is_unspecified() => "localhost".to_owned(),
            _ => match own {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            },
        }
    }
}

/// The host of a `Host` header, if it is one: it goes into a header of the answer.
fn host_of(host: &str) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    let host = authority.host();
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_v6 =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (is_name || is_v6).then(|| host.to_owned())
}

/// How the page carries parameters, unless its user chooses another way.
fn params(readings: &Readings) -> &'static str {
    match (readings.params, readings.status_type) {
        (Params::Any | Params::GetQuery, _) => "get-query",
        (Params::PostQuery, _) => "post-query",
        (Params::PostForm, _) => "post-form",
        (Params::PostJson, StatusType::Number) => "post-json-number",
        (Params::PostJson, _) => "post-json",
    }
}

/// A text as the value of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_host_gets_into_the_policy() {
        for (header, expected) in [
            ("localhost:5000", Some("localhost")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]:5000", Some("[::1]")),
            ("chat.example.org:80", Some("chat.example.org")),
            ("a; script-src *", None),
            ("a,b:1", None),
            ("*:1", None),
            ("", None),
        ] {
            assert_eq!(host_of(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn the_page_has_one_place_for_its_settings_and_makes_no_markup_of_texts() {
        assert_eq!(PAGE.matches(SETTINGS).count(), 1);
        for (path, _, text) in FILES {
            for call in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "setAttribute(\"on"] {
                assert!(!text.contains(call), "{path}: {call}");
            }
        }
    }

    #[test]
    fn every_oddity_is_said() {
        let fault = Fault::named("load-drop").unwrap();
        let said = Playground::new(Some(&fault), Some("pretty-printed"), &["R-LIST=rooms".to_owned()]).oddities;
        assert_eq!(said.len(), 3);
        assert!(said[0].contains("load-drop") && said[1].contains("pretty-printed") && said[2].contains("R-LIST=rooms"), "{said:?}");
    }
}
