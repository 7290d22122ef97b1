//! A WebSocket connection for a loop that serves thousands of them on one thread: no task, no buffer while idle, and
//! whole messages as slices of the buffer that they were read into.

use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rand::RngExt;
use rand::rngs::SmallRng;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::generate_request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use url::Url;

use super::ws::{ConnectFailure, HandshakeRead, read_handshake};

/// A message that claims more than this is not waited for.
const MESSAGE_LIMIT: u64 = 64 << 20;

/// What a target that doesn't read may leave unsent, before the connection takes no more.
const UNSENT_LIMIT: usize = 4 << 20;

/// Where lines go to: the address is looked up once.
#[derive(Clone, Debug)]
pub struct Destination {
    url: Url,
    address: SocketAddr,
    headers: Vec<(String, String)>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Why there is no destination.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    #[error("{host} has no address: {source}")]
    Unknown { host: String, source: io::Error },
    #[error("{host} has no address")]
    Nowhere { host: String },
    #[error("{host} can't be the name of a TLS server: {why}")]
    Name { host: String, why: String },
    #[error("the WebSocket handshake can't be written: {0}")]
    Handshake(String),
}

impl Destination {
    /// Looks up the URL's host. `headers` go with every handshake.
    ///
    /// # Errors
    /// A host that has no address.
    pub fn find(url: &Url, headers: &[(String, String)], tls: &Arc<ClientConfig>) -> Result<Self, DestinationError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = matches!(url.scheme(), "wss" | "https");
        let port = url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
        let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))
            .map_err(|source| DestinationError::Unknown { host: host.clone(), source })?;
        let address = found.next().ok_or_else(|| DestinationError::Nowhere { host: host.clone() })?;
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|error| DestinationError::Name { host, why: error.to_string() })?;
            Some((tls.clone(), name))
        } else {
            None
        };
        let destination = Self { url: url.clone(), address, headers: headers.to_vec(), tls };
        destination.request().map_err(DestinationError::Handshake)?;
        Ok(destination)
    }

    /// Whether it can be reached from an address: both are of one version of IP.
    pub fn is_reached_from(&self, source: IpAddr) -> bool {
        source.is_ipv4() == self.address.is_ipv4()
    }

    /// The opening handshake and the key that it is answered by.
    fn request(&self) -> Result<(Vec<u8>, String), String> {
        let mut request = self.url.as_str().into_client_request().map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                request.headers_mut().append(name, value);
            }
        }
        generate_request(request).map_err(|error| error.to_string())
    }
}

/// What is heard from a line.
#[derive(Debug)]
pub enum Heard<'a> {
    /// The TCP connection stands (and TLS, where there is any).
    Connected,
    /// Messages may be sent.
    Upgraded,
    /// A whole text message; whether it is UTF-8 is not looked at.
    Text(&'a [u8]),
    /// A whole binary message.
    Binary,
}

/// How a line ended, other than by our own doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    #[error("refused")]
    Refused,
    #[error("reset")]
    Reset,
    #[error("eof")]
    Eof,
    #[error("close {}", .0.map_or_else(|| "without a code".to_owned(), |code| code.to_string()))]
    Close(Option<u16>),
    #[error("handshake: HTTP status {0}")]
    NotUpgraded(u16),
    #[error("malformed: {0}")]
    Malformed(String),
    /// This machine has no more to give: descriptors, ports, memory.
    #[error("{0}")]
    Local(String),
}

impl Ending {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Ending::Refused,
            ErrorKind::UnexpectedEof => Ending::Eof,
            ErrorKind::InvalidData => Ending::Malformed(error.to_string()),
            ErrorKind::AddrNotAvailable => Ending::Local("EADDRNOTAVAIL".into()),
            ErrorKind::OutOfMemory => Ending::Local("ENOMEM".into()),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::NotConnected => Ending::Reset,
            _ => match error.raw_os_error() {
                Some(23) => Ending::Local("ENFILE".into()),
                Some(24) => Ending::Local("EMFILE".into()),
                Some(105) => Ending::Local("ENOBUFS".into()),
                _ => Ending::Malformed(error.to_string()),
            },
        }
    }
}

#[derive(Debug)]
enum State {
    Connecting,
    /// TLS is being agreed on.
    Securing,
    /// The handshake is out; its key.
    Upgrading(Box<str>),
    Open,
}

/// One connection.
#[derive(Debug)]
pub struct Line {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    state: State,
    /// What was read and is no whole frame yet.
    rest: Vec<u8>,
    /// What could not be written yet.
    unsent: Vec<u8>,
    /// Fragments of a message, and whether it is text.
    fragments: Option<Box<(bool, Vec<u8>)>>,
    paused: bool,
    /// There is more to read than has been read.
    readable: bool,
}

impl Line {
    /// Begins to connect; readiness of the socket comes to `token`.
    ///
    /// # Errors
    /// What this machine has no more of, or a refusal that comes at once.
    pub fn open(to: &Destination, from: Option<IpAddr>, registry: &Registry, token: Token) -> Result<Self, Ending> {
        let connecting = || -> io::Result<TcpStream> {
            let socket = Socket::new(Domain::for_address(to.address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            // Small packets one by one are just what is measured.
            socket.set_tcp_nodelay(true)?;
            if let Some(from) = from {
                // Else the port would be taken of all targets, and an address would have but one set of them.
                #[cfg(target_os = "linux")]
                nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)?;
                socket.bind(&SocketAddr::new(from, 0).into())?;
            }
            match socket.connect(&to.address.into()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(115) => {}
                Err(error) => return Err(error),
            }
            let mut stream = TcpStream::from_std(socket.into());
            stream.register(registry, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        };
        let socket = connecting().map_err(|error| Ending::of(&error))?;
        let tls = match &to.tls {
            Some((config, name)) => {
                let session = ClientConnection::new(config.clone(), name.clone());
                Some(Box::new(session.map_err(|error| Ending::Malformed(error.to_string()))?))
            }
            None => None,
        };
        Ok(Self {
            socket,
            tls,
            state: State::Connecting,
            rest: Vec::new(),
            unsent: Vec::new(),
            fragments: None,
            paused: false,
            readable: false,
        })
    }

    /// Deals with the socket's readiness. `scratch` is what is read into; what is heard is told to `hear`.
    ///
    /// # Errors
    /// The line's end: nothing will be heard from it any more.
    pub fn ready(
        &mut self,
        to: &Destination,
        writable: bool,
        scratch: &mut [u8],
        random: &mut SmallRng,
        hear: &mut impl FnMut(Heard<'_>),
    ) -> Result<(), Ending> {
        if writable {
            if matches!(self.state, State::Connecting) {
                match self.socket.take_error() {
                    Ok(None) => {}
                    Ok(Some(error)) | Err(error) => return Err(Ending::of(&error)),
                }
                match self.socket.peer_addr() {
                    Ok(_) => self.connected(to, hear)?,
                    Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                    Err(error) => return Err(Ending::of(&error)),
                }
            }
            self.flush()?;
        }
        self.readable = true;
        self.hear(to, scratch, random, hear)
    }

    fn connected(&mut self, to: &Destination, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), Ending> {
        if self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.state = State::Securing;
            return Ok(());
        }
        hear(Heard::Connected);
        let (request, key) = to.request().map_err(Ending::Malformed)?;
        self.state = State::Upgrading(key.into());
        self.write(&request).map(|_| ())
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        !matches!(self.state, State::Connecting | State::Securing)
    }

    /// Stops reading: what the server sends stays in the sockets' buffers.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Reads again, beginning with what has been waiting.
    ///
    /// # Errors
    /// As `ready`.
    pub fn resume(
        &mut self,
        to: &Destination,
        scratch: &mut [u8],
        random: &mut SmallRng,
        hear: &mut impl FnMut(Heard<'_>),
    ) -> Result<(), Ending> {
        self.paused = false;
        self.hear(to, scratch, random, hear)
    }

    fn hear(
        &mut self,
        to: &Destination,
        scratch: &mut [u8],
        random: &mut SmallRng,
        hear: &mut impl FnMut(Heard<'_>),
    ) -> Result<(), Ending> {
        while self.readable && !self.paused {
            let count = match self.read(scratch) {
                Ok(0) => return Err(Ending::Eof),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    0
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Ending::of(&error)),
            };
            if matches!(self.state, State::Securing) && self.tls.as_ref().is_some_and(|tls| !tls.is_handshaking()) {
                self.connected(to, hear)?;
            }
            if count == 0 {
                break;
            }
            // A read that doesn't fill the buffer has emptied the socket; its next bytes make it ready again.
            self.readable = self.tls.is_some() || count == scratch.len();
            self.take(&scratch[..count], random, hear)?;
        }
        Ok(())
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(scratch);
        };
        loop {
            match tls.reader().read(scratch) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if matches!(self.state, State::Securing) && !tls.is_handshaking() {
                // The handshake's end is told before anything is read.
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Takes bytes as they come: the handshake's answer, then frames.
    fn take(&mut self, bytes: &[u8], random: &mut SmallRng, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), Ending> {
        if self.rest.is_empty() {
            let used = self.parse(bytes, random, hear)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.rest);
        whole.extend_from_slice(bytes);
        let used = self.parse(&whole, random, hear)?;
        // An idle line keeps no buffer.
        self.rest = if used == whole.len() { Vec::new() } else { whole.split_off(used) };
        Ok(())
    }

    /// How many of the bytes were used: whole frames, and the handshake's answer before them.
    fn parse(&mut self, bytes: &[u8], random: &mut SmallRng, hear: &mut impl FnMut(Heard<'_>)) -> Result<usize, Ending> {
        let mut used = 0;
        if let State::Upgrading(key) = &self.state {
            match read_handshake(bytes, key) {
                Ok(HandshakeRead::Partial) => return Ok(0),
                Ok(HandshakeRead::Complete(length)) => used = length,
                Err(ConnectFailure::NotUpgraded { status }) => return Err(Ending::NotUpgraded(status)),
                Err(other) => return Err(Ending::Malformed(other.to_string())),
            }
            self.state = State::Open;
            hear(Heard::Upgraded);
        }
        while let Some((header, start, end)) = frame(&bytes[used..])? {
            let payload = &bytes[used + start..used + end];
            used += end;
            self.frame(&header, payload, random, hear)?;
        }
        Ok(used)
    }

    fn frame(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        random: &mut SmallRng,
        hear: &mut impl FnMut(Heard<'_>),
    ) -> Result<(), Ending> {
        match (header.opcode, header.is_final) {
            (OpCode::Data(Data::Text), true) if self.fragments.is_none() => hear(Heard::Text(payload)),
            (OpCode::Data(Data::Binary), true) if self.fragments.is_none() => hear(Heard::Binary),
            (OpCode::Data(data @ (Data::Text | Data::Binary)), false) if self.fragments.is_none() => {
                self.fragments = Some(Box::new((data == Data::Text, payload.to_vec())));
            }
            (OpCode::Data(Data::Continue), is_final) => {
                let Some(mut fragments) = self.fragments.take() else {
                    return Err(Ending::Malformed("a continuation of nothing (RFC 6455 section 5.4)".into()));
                };
                if (fragments.1.len() + payload.len()) as u64 > MESSAGE_LIMIT {
                    return Err(Ending::Malformed(format!("a message of more than {MESSAGE_LIMIT} bytes")));
                }
                fragments.1.extend_from_slice(payload);
                if !is_final {
                    self.fragments = Some(fragments);
                } else if fragments.0 {
                    hear(Heard::Text(&fragments.1));
                } else {
                    hear(Heard::Binary);
                }
            }
            (OpCode::Control(Control::Ping), true) => {
                let mut pong = Vec::with_capacity(payload.len() + 6);
                encode(OpCode::Control(Control::Pong), payload, random, &mut pong);
                self.write(&pong)?;
            }
            (OpCode::Control(Control::Pong), true) => {}
            (OpCode::Control(Control::Close), true) => {
                let code = (payload.len() >= 2).then(|| u16::from_be_bytes([payload[0], payload[1]]));
                let mut close = Vec::with_capacity(8);
                encode(OpCode::Control(Control::Close), &payload[..payload.len().min(2)], random, &mut close);
                let _ = self.write(&close);
                return Err(Ending::Close(code));
            }
            (opcode, _) => return Err(Ending::Malformed(format!("a frame that can't stand here: {opcode}"))),
        }
        Ok(())
    }

    /// Sends bytes, or keeps them until the socket takes them; false where too much is kept already.
    ///
    /// # Errors
    /// The line's end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<bool, Ending> {
        if let Some(tls) = &mut self.tls {
            if tls.wants_write() && self.unsent.len() > UNSENT_LIMIT {
                return Ok(false);
            }
            tls.writer().write_all(bytes).map_err(|error| Ending::of(&error))?;
            self.flush()?;
            return Ok(true);
        }
        let mut sent = 0;
        if self.unsent.is_empty() {
            sent = self.try_write(bytes)?;
        } else if self.unsent.len() > UNSENT_LIMIT {
            return Ok(false);
        }
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(true)
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Ending> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Ending::of(&error)),
            }
        }
        Ok(sent)
    }

    fn flush(&mut self) -> Result<(), Ending> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                    Err(error) => return Err(Ending::of(&error)),
                }
            }
            return Ok(());
        }
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let sent = self.try_write(&unsent)?;
            if sent < unsent.len() {
                self.unsent = unsent;
                self.unsent.drain(..sent);
            }
        }
        Ok(())
    }

    /// Ends the connection with a TCP reset, as somebody does who vanishes.
    pub fn abort(self) {
        // With no time to linger, closing discards what is unsent and resets.
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Says goodbye with a close frame; the answer to it is the line's end.
    pub fn close(&mut self, random: &mut SmallRng) {
        let mut close = Vec::with_capacity(8);
        encode(OpCode::Control(Control::Close), &1000u16.to_be_bytes(), random, &mut close);
        let _ = self.write(&close);
    }
}

/// The next whole frame: its header, and where its payload starts and ends.
fn frame(bytes: &[u8]) -> Result<Option<(FrameHeader, usize, usize)>, Ending> {
    let mut cursor = Cursor::new(bytes);
    let malformed = |why: String| Ending::Malformed(why);
    let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|error| malformed(error.to_string()))? else {
        return Ok(None);
    };
    if length > MESSAGE_LIMIT {
        return Err(malformed(format!("a frame of {length} bytes")));
    }
    if header.mask.is_some() {
        return Err(malformed("a server's frames are not masked (RFC 6455 section 5.1)".into()));
    }
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(malformed("a reserved bit is set (RFC 6455 section 5.2)".into()));
    }
    let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
    let end = start + usize::try_from(length).unwrap_or(usize::MAX);
    Ok((end <= bytes.len()).then_some((header, start, end)))
}

/// Appends a text message as one masked frame.
pub fn encode_text(text: &[u8], random: &mut SmallRng, into: &mut Vec<u8>) {
    encode(OpCode::Data(Data::Text), text, random, into);
}

fn encode(opcode: OpCode, payload: &[u8], random: &mut SmallRng, into: &mut Vec<u8>) {
    let mask: [u8; 4] = random.random();
    let header = FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: Some(mask) };
    header.format(payload.len() as u64, into).expect("a vector takes every write");
    let start = into.len();
    into.extend_from_slice(payload);
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut chunks = into[start..].chunks_exact_mut(8);
    for chunk in &mut chunks {
        let word = u64::from_ne_bytes(chunk.try_into().expect("eight bytes")) ^ wide;
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    for (index, byte) in chunks.into_remainder().iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
}
