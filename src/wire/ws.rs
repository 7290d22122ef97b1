//! WebSocket connections, frame by frame: what a conformance test must be able to send and see, well-formed or not.
//!
//! Handshake requests and frame headers are tungstenite's; messages are put together here, because a client library
//! hides just those frames that a test is about.

use std::io::{self, Cursor, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::generate_request;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use url::Url;

use super::inbox::{End, Inbox, Incoming};

/// A frame that claims more than this is not waited for.
const FRAME_LIMIT: u64 = 256 << 20;

/// How much is read at once, of short frames and of a long one.
const SHORT: usize = 1 << 10;
const LONG: usize = 64 << 10;

/// The head of a handshake's answer must end within this many bytes.
const HEAD_LIMIT: usize = 64 << 10;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub tls: Arc<ClientConfig>,
    /// How many connections may be in the making at once.
    pub opening: Arc<Semaphore>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConnectFailure {
    #[error("connection refused")]
    Refused,
    #[error("{stage} got no answer within {}", humantime::format_duration(*.after))]
    Timeout { stage: &'static str, after: Duration },
    #[error("the server reset the connection during the handshake")]
    Reset,
    #[error("the server closed the connection during the handshake")]
    Eof,
    #[error("the server answered the WebSocket handshake with HTTP status {status}, not 101")]
    NotUpgraded { status: u16 },
    #[error("the server's answer to the WebSocket handshake is wrong: {0}")]
    Invalid(String),
    #[error("{0}")]
    Other(String),
}

impl ConnectFailure {
    /// Whether nobody was there at all, as opposed to somebody who answered wrongly.
    pub fn is_absence(&self) -> bool {
        matches!(self, ConnectFailure::Refused | ConnectFailure::Timeout { .. } | ConnectFailure::Other(_))
    }
}

/// Called with everything that arrives, for the log.
pub type Observer = Arc<dyn Fn(&Incoming) + Send + Sync>;

/// An open connection; its reading task lives as long as it does.
pub struct Connection {
    pub inbox: Arc<Inbox>,
    writer: Arc<tokio::sync::Mutex<WriteHalf<Box<dyn Stream>>>>,
    reading: JoinHandle<()>,
    paused: watch::Sender<bool>,
    /// The socket below a TLS session, for resets.
    socket: socket2::Socket,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// A frame to send, well-formed or not.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The four bits of RFC 6455 section 5.2.
    pub opcode: u8,
    pub fin: bool,
    pub masked: bool,
    pub reserved_bit: bool,
    pub payload: Bytes,
}

impl Frame {
    pub fn new(opcode: u8, payload: Bytes) -> Self {
        Self { opcode, fin: true, masked: true, reserved_bit: false, payload }
    }

    /// The close frame of RFC 6455 section 5.5.1.
    pub fn close(code: Option<u16>, reason: &str) -> Self {
        let mut payload = BytesMut::new();
        if let Some(code) = code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        }
        Self::new(0x8, payload.freeze())
    }

    fn encode(&self) -> Vec<u8> {
        let mask = self.masked.then(rand::random::<[u8; 4]>);
        let header =
            FrameHeader { is_final: self.fin, rsv1: self.reserved_bit, rsv2: false, rsv3: false, opcode: opcode(self.opcode), mask };
        let length = self.payload.len() as u64;
        let mut bytes = Vec::with_capacity(self.payload.len() + 14);
        header.format(length, &mut bytes).expect("a vector takes every write");
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload);
        if let Some(mask) = mask {
            for (index, byte) in bytes[start..].iter_mut().enumerate() {
                *byte ^= mask[index % 4];
            }
        }
        bytes
    }
}

fn opcode(bits: u8) -> OpCode {
    match bits {
        0x0 => OpCode::Data(Data::Continue),
        0x1 => OpCode::Data(Data::Text),
        0x2 => OpCode::Data(Data::Binary),
        0x8 => OpCode::Control(Control::Close),
        0x9 => OpCode::Control(Control::Ping),
        0xA => OpCode::Control(Control::Pong),
        other => OpCode::Data(Data::Reserved(other)),
    }
}

impl Connection {
    /// Opens a WebSocket connection.
    ///
    /// # Errors
    /// Why there is none: nobody there, or somebody who doesn't speak WebSocket here.
    pub async fn open(endpoint: &Endpoint, timeout: Duration, observer: Observer) -> Result<Self, ConnectFailure> {
        let (mut stream, socket) = connect(endpoint, timeout).await?;
        let rest = within(timeout, "the WebSocket handshake", handshake(&mut stream, endpoint)).await?;
        Ok(Self::start(stream, socket, rest, true, observer))
    }

    /// Opens a plain byte stream to the endpoint's host and port.
    ///
    /// # Errors
    /// As `open`, without those of a handshake.
    pub async fn open_plain(endpoint: &Endpoint, timeout: Duration, observer: Observer) -> Result<Self, ConnectFailure> {
        let (stream, socket) = connect(endpoint, timeout).await?;
        Ok(Self::start(stream, socket, BytesMut::new(), false, observer))
    }

    fn start(stream: Box<dyn Stream>, socket: socket2::Socket, rest: BytesMut, framed: bool, observer: Observer) -> Self {
        let (read, write) = tokio::io::split(stream);
        let inbox = Arc::new(Inbox::default());
        let writer = Arc::new(tokio::sync::Mutex::new(write));
        let (paused, is_paused) = watch::channel(false);
        let reader = Reader {
            read,
            buffer: rest,
            inbox: inbox.clone(),
            writer: writer.clone(),
            paused: is_paused,
            observer,
            message: None,
            closing: false,
        };
        let reading = tokio::spawn(if framed {
            futures_util::future::Either::Left(reader.frames())
        } else {
            futures_util::future::Either::Right(reader.bytes())
        });
        Self { inbox, writer, reading, paused, socket }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// A connection that takes no more.
    pub async fn send(&self, frame: &Frame) -> io::Result<()> {
        self.send_bytes(&frame.encode()).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// A connection that takes no more.
    pub async fn send_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.write_all(bytes).await?;
        writer.flush().await
    }

    /// Stops or resumes reading: what the server sends stays in the sockets' buffers.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Ends the stream without a close frame.
    pub async fn hang_up(&self) {
        let mut writer = self.writer.lock().await;
        let _ = writer.shutdown().await;
        drop(writer);
        self.inbox.push(Incoming::End(End::Local));
        self.reading.abort();
    }

    /// Ends the connection with a TCP reset.
    pub fn abort(&self) {
        // With no time to linger, closing discards what is unsent and resets; it closes once the last owner is gone.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
        self.reading.abort();
        self.inbox.push(Incoming::End(End::Local));
    }
}

async fn within<T>(
    timeout: Duration,
    stage: &'static str,
    work: impl Future<Output = Result<T, ConnectFailure>>,
) -> Result<T, ConnectFailure> {
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(ConnectFailure::Timeout { stage, after: timeout }))
}

async fn connect(endpoint: &Endpoint, timeout: Duration) -> Result<(Box<dyn Stream>, socket2::Socket), ConnectFailure> {
    let host = endpoint.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let secure = matches!(endpoint.url.scheme(), "wss" | "https");
    let port = endpoint.url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
    let tcp = {
        let _permit = endpoint.opening.acquire().await.map_err(|error| ConnectFailure::Other(error.to_string()))?;
        within(timeout, "the TCP connection", async {
            TcpStream::connect((host.as_str(), port)).await.map_err(|error| connect_failure(&error))
        })
        .await?
    };
    // Small packets one by one are just what is measured here.
    let _ = tcp.set_nodelay(true);
    let socket = socket2::SockRef::from(&tcp).try_clone().map_err(|error| connect_failure(&error))?;
    if !secure {
        return Ok((Box::new(tcp), socket));
    }
    let name = ServerName::try_from(host).map_err(|error| ConnectFailure::Other(error.to_string()))?;
    let tls = within(timeout, "the TLS handshake", async {
        let connector = tokio_rustls::TlsConnector::from(endpoint.tls.clone());
        connector.connect(name, tcp).await.map_err(|error| connect_failure(&error))
    })
    .await?;
    Ok((Box::new(tls), socket))
}

fn connect_failure(error: &io::Error) -> ConnectFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => ConnectFailure::Reset,
        ErrorKind::UnexpectedEof => ConnectFailure::Eof,
        _ => ConnectFailure::Other(super::chain(error)),
    }
}

/// Does the opening handshake (RFC 6455 section 4.1); returns the bytes that came right behind it.
async fn handshake(stream: &mut Box<dyn Stream>, endpoint: &Endpoint) -> Result<BytesMut, ConnectFailure> {
    let invalid = |error: &dyn std::fmt::Display| ConnectFailure::Invalid(error.to_string());
    let mut request = endpoint.url.as_str().into_client_request().map_err(|error| invalid(&error))?;
    for (name, value) in &endpoint.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let (bytes, key) = generate_request(request).map_err(|error| invalid(&error))?;
    stream.write_all(&bytes).await.map_err(|error| connect_failure(&error))?;
    stream.flush().await.map_err(|error| connect_failure(&error))?;

    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        let count = stream.read_buf(&mut buffer).await.map_err(|error| connect_failure(&error))?;
        match read_handshake(&buffer, &key)? {
            HandshakeRead::Complete(length) => return Ok(buffer.split_off(length)),
            HandshakeRead::Partial if count == 0 => return Err(ConnectFailure::Eof),
            HandshakeRead::Partial => {}
        }
    }
}

/// How far the answer to a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeRead {
    Partial,
    /// So many bytes; frames follow.
    Complete(usize),
}

/// Reads the answer to a handshake that was sent with this key.
///
/// # Errors
/// An answer that doesn't open a WebSocket connection.
pub fn read_handshake(bytes: &[u8], key: &str) -> Result<HandshakeRead, ConnectFailure> {
    let mut headers = [httparse::EMPTY_HEADER; 96];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            judge_handshake(&response, key)?;
            Ok(HandshakeRead::Complete(length))
        }
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_LIMIT => Err(ConnectFailure::Invalid("its head has no end".into())),
        Ok(httparse::Status::Partial) => Ok(HandshakeRead::Partial),
        Err(error) => Err(ConnectFailure::Invalid(format!("it is no HTTP: {error}"))),
    }
}

fn judge_handshake(response: &httparse::Response<'_, '_>, key: &str) -> Result<(), ConnectFailure> {
    let status = response.code.unwrap_or_default();
    if status != 101 {
        return Err(ConnectFailure::NotUpgraded { status });
    }
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned()).unwrap_or_default()
    };
    if !header("upgrade").eq_ignore_ascii_case("websocket") {
        return Err(ConnectFailure::Invalid("no `Upgrade: websocket`".into()));
    }
    if header("sec-websocket-accept") != derive_accept_key(key.as_bytes()) {
        return Err(ConnectFailure::Invalid("`Sec-WebSocket-Accept` doesn't answer the key".into()));
    }
    Ok(())
}

struct Reader {
    read: ReadHalf<Box<dyn Stream>>,
    buffer: BytesMut,
    inbox: Arc<Inbox>,
    writer: Arc<tokio::sync::Mutex<WriteHalf<Box<dyn Stream>>>>,
    paused: watch::Receiver<bool>,
    observer: Observer,
    /// A message of which fragments have come: whether it is text, and its bytes so far.
    message: Option<(bool, BytesMut)>,
    /// A close frame has come; whatever follows says nothing any more.
    closing: bool,
}

impl Reader {
    fn tell(&self, what: Incoming) {
        if !self.closing {
            (self.observer)(&what);
            self.inbox.push(what);
        }
    }

    /// Reads more; false at the end of the stream.
    async fn fill(&mut self) -> bool {
        // Whoever pauses a connection holds its other end, so an error here means that it is gone.
        if self.paused.wait_for(|paused| !paused).await.is_err() {
            return false;
        }
        // Most frames are short, and what they came in lives as long as they do; a long one is read in long pieces.
        self.buffer.reserve(if self.buffer.len() < SHORT { SHORT } else { LONG });
        let end = match self.read.read_buf(&mut self.buffer).await {
            Ok(0) => End::Eof,
            Ok(_) => return true,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => End::Eof,
            Err(_) => End::Reset,
        };
        self.tell(Incoming::End(end));
        false
    }

    async fn bytes(mut self) {
        while self.fill().await {
            let bytes = self.buffer.split().freeze();
            self.tell(Incoming::Bytes(bytes));
        }
    }

    async fn frames(mut self) {
        loop {
            match self.parse() {
                Ok(Some((header, payload))) => {
                    if let Err(why) = self.frame(&header, payload) {
                        self.tell(Incoming::End(End::Malformed(why)));
                        return;
                    }
                }
                Ok(None) => {
                    if !self.fill().await {
                        return;
                    }
                }
                Err(why) => {
                    self.tell(Incoming::End(End::Malformed(why)));
                    return;
                }
            }
        }
    }

    /// The next whole frame of the buffer.
    fn parse(&mut self) -> Result<Option<(FrameHeader, Bytes)>, String> {
        let mut cursor = Cursor::new(&self.buffer[..]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        if length > FRAME_LIMIT {
            return Err(format!("a frame of {length} bytes"));
        }
        let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.buffer.len() - start < length {
            self.buffer.reserve(length);
            return Ok(None);
        }
        let _ = self.buffer.split_to(start);
        Ok(Some((header, self.buffer.split_to(length).freeze())))
    }

    fn frame(&mut self, header: &FrameHeader, payload: Bytes) -> Result<(), String> {
        if header.mask.is_some() {
            return Err("a server's frames are not masked (section 5.1)".into());
        }
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err("a reserved bit is set (section 5.2)".into());
        }
        match header.opcode {
            OpCode::Control(control) => {
                if !header.is_final || payload.len() > 125 {
                    return Err("a control frame is whole and at most 125 bytes long (section 5.5)".into());
                }
                self.control(control, payload)
            }
            OpCode::Data(Data::Reserved(bits)) => Err(format!("the opcode {bits:#x} is reserved (section 5.2)")),
            OpCode::Data(data) => self.data(data, header.is_final, payload),
        }
    }

    fn control(&mut self, control: Control, payload: Bytes) -> Result<(), String> {
        match control {
            Control::Ping => {
                self.answer(Frame::new(0xA, payload.clone()));
                self.tell(Incoming::Ping(payload));
            }
            Control::Pong => self.tell(Incoming::Pong(payload)),
            Control::Close => {
                let code = (payload.len() >= 2).then(|| u16::from_be_bytes([payload[0], payload[1]]));
                let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                self.answer(Frame::close(code, ""));
                self.tell(Incoming::End(End::Close { code, reason }));
                self.closing = true;
            }
            Control::Reserved(bits) => return Err(format!("the opcode {bits:#x} is reserved (section 5.2)")),
        }
        Ok(())
    }

    /// Answers a control frame as any client does, without waiting for the writer, who may be in a long message.
    fn answer(&self, frame: Frame) {
        let writer = self.writer.clone();
        tokio::spawn(async move {
            let mut writer = writer.lock().await;
            let _ = writer.write_all(&frame.encode()).await;
            let _ = writer.flush().await;
        });
    }

    fn data(&mut self, data: Data, is_final: bool, payload: Bytes) -> Result<(), String> {
        let (is_text, whole) = match (data, self.message.take()) {
            (Data::Continue, None) => return Err("a continuation of nothing (section 5.4)".into()),
            (Data::Continue, Some((is_text, mut so_far))) => {
                so_far.extend_from_slice(&payload);
                (is_text, so_far)
            }
            (_, Some(_)) => return Err("a new message within another (section 5.4)".into()),
            (data, None) => (data == Data::Text, BytesMut::from(&payload[..])),
        };
        if !is_final {
            self.message = Some((is_text, whole));
            return Ok(());
        }
        if !is_text {
            self.tell(Incoming::Binary(whole.freeze()));
            return Ok(());
        }
        match String::from_utf8(whole.to_vec()) {
            Ok(text) => self.tell(Incoming::Text(text)),
            Err(_) => return Err("a text message that is not UTF-8 (section 8.1)".into()),
        }
        Ok(())
    }
}
