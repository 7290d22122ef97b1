//! HTTP exchanges.

use std::io::ErrorKind;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use serde_json::Value;
use tower::limit::GlobalConcurrencyLimitLayer;
use url::Url;

use super::{chain, io_kind};

/// An answer's body above this is cut off: a hostile server may never end it.
const BODY_LIMIT: usize = 64 << 20;

/// A client of one HTTP listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    /// Opens as many connections at once as it is asked to.
    burst: reqwest::Client,
    base: Url,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
}

/// An answer: its status, headers (names in lower case) and body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    json: OnceLock<Option<Value>>,
}

impl Answer {
    /// The JSON of the body; it is parsed once, however many expectations look at it.
    pub fn json(&self) -> Option<&Value> {
        self.json.get_or_init(|| serde_json::from_slice(&self.body).ok()).as_ref()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HttpFailure {
    #[error("connection refused")]
    Refused,
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    #[error("the server reset the connection instead of answering")]
    Reset,
    #[error("the server closed the connection before its answer was complete")]
    Eof,
    #[error("{0}")]
    Other(String),
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the HTTP client can't be set up: {0}")]
    Setup(#[from] reqwest::Error),
}

impl HttpClient {
    /// A client for the listener at `base`; the paths of requests follow it. `headers` go with every request; at most
    /// `opening` connections are in the making at once, but for bursts.
    ///
    /// # Errors
    /// A TLS setup that the platform refuses.
    pub fn new(base: Url, headers: &[(String, String)], tls: ClientConfig, opening: usize) -> Result<Self, ClientError> {
        // A connection kept for later may be closed by the server just when it is used again, and that would look
        // like a fault of the server's: every exchange has a connection of its own.
        let builder = || builder(headers, &tls).pool_max_idle_per_host(0);
        let client = builder().connector_layer(GlobalConcurrencyLimitLayer::new(opening)).build()?;
        Ok(Self { client, burst: builder().build()?, base })
    }

    /// A client that keeps its connections, for a load: there, an exchange that a closing connection spoils is one of thousands.
    ///
    /// # Errors
    /// As `new`.
    pub fn keeping(base: Url, headers: &[(String, String)], tls: ClientConfig) -> Result<Self, ClientError> {
        let client = builder(headers, &tls).build()?;
        Ok(Self { burst: client.clone(), client, base })
    }

    /// The URL of a path below the base, with a query.
    pub fn url(&self, path: &str, query: &[(String, String)]) -> String {
        let mut url = format!("{}/{}", self.base.as_str().trim_end_matches('/'), path.trim_start_matches('/'));
        if !query.is_empty() {
            url.push('?');
            url.push_str(&url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish());
        }
        url
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// Why there is no answer; that is an observation like any other.
    pub async fn send(&self, request: &Request, timeout: Duration) -> Result<Answer, HttpFailure> {
        exchange(&self.client, request, timeout).await
    }

    /// As `send`, for requests that shall reach the server together.
    ///
    /// # Errors
    /// As `send`.
    pub async fn send_in_burst(&self, request: &Request, timeout: Duration) -> Result<Answer, HttpFailure> {
        exchange(&self.burst, request, timeout).await
    }
}

/// What all clients have in common.
fn builder(headers: &[(String, String)], tls: &ClientConfig) -> reqwest::ClientBuilder {
    let mut default = reqwest::header::HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (reqwest::header::HeaderName::try_from(name), reqwest::header::HeaderValue::try_from(value)) {
            default.append(name, value);
        }
    }
    reqwest::Client::builder()
        .user_agent(concat!("chatspec/", env!("CARGO_PKG_VERSION")))
        .default_headers(default)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .no_proxy()
        .tls_backend_preconfigured(tls.clone())
}

async fn exchange(client: &reqwest::Client, request: &Request, timeout: Duration) -> Result<Answer, HttpFailure> {
    let exchange = async {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).map_err(|error| HttpFailure::Other(error.to_string()))?;
        let mut builder = client.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_LIMIT {
                return Err(HttpFailure::Other(format!("the answer's body is longer than {BODY_LIMIT} bytes")));
            }
        }
        Ok(Answer { status, headers, body: body.freeze(), json: OnceLock::new() })
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(HttpFailure::Timeout(timeout)))
}

fn classify(error: &reqwest::Error) -> HttpFailure {
    match io_kind(error) {
        Some(ErrorKind::ConnectionRefused) => HttpFailure::Refused,
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => HttpFailure::Reset,
        Some(ErrorKind::UnexpectedEof) => HttpFailure::Eof,
        _ => {
            let text = chain(error);
            // hyper keeps "the stream ended in the middle of an answer" as an error of its own.
            if text.contains("connection closed before message completed") || text.contains("end of file before message length reached") {
                HttpFailure::Eof
            } else {
                HttpFailure::Other(text)
            }
        }
    }
}
