//! What every generator does alike: the rooms, who speaks in them, how a connection is opened, and what is reported.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::frame;
use crate::process;

/// Bytes of text in a message, of all contenders.
pub const TEXT: usize = 64;

/// A closed load: in each room one member speaks, and once it has heard itself, the next one does. With a rate it is an open one:
/// the rooms take turns, and so do their members, by the clock.
#[derive(Args, Clone, Debug)]
pub struct Chat {
    #[arg(long)]
    pub http: SocketAddr,
    #[arg(long)]
    pub ws: SocketAddr,
    #[arg(long)]
    pub rooms: usize,
    /// Members of each room
    #[arg(long)]
    pub members: usize,
    /// What the rooms' names begin with
    #[arg(long, default_value = "bench")]
    pub label: String,
    /// Bytes of a message's text
    #[arg(long, default_value_t = TEXT)]
    pub text: usize,
    /// Left out of the figures
    #[arg(long, default_value_t = 1.0)]
    pub warm_up: f64,
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Messages a second of an open load; the floor alone has one
    #[arg(long)]
    pub rate: Option<f64>,
    /// The target's process, to see how busy it is
    #[arg(long)]
    pub target: u32,
}

/// What a generator came to within its measured time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Messages whose sender has heard them.
    pub messages: u64,
    pub deliveries: u64,
    pub seconds: f64,
    /// User and system, of the generator's process.
    pub cpu_seconds: f64,
    /// The same of the target.
    pub target_cpu_seconds: f64,
    /// From writing a message, or in an open load from the instant at which it was due, to reading it, at its sender.
    pub p50_us: u64,
    pub p99_us: u64,
}

impl Chat {
    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }

    pub fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub fn room(&self, room: usize) -> String {
        format!("{}-{room}", self.label)
    }

    pub fn user(&self, room: usize, member: usize) -> String {
        format!("user-{room}-{member}")
    }

    /// The message of a room's speaker.
    pub fn message(&self, room: usize, member: usize) -> String {
        frame::packet("msg", &self.user(room, member), &self.room(room), &"x".repeat(self.text))
    }

    pub fn join(&self, room: usize, member: usize) -> String {
        frame::packet("join", &self.user(room, member), &self.room(room), "")
    }

    /// All members as (room, member), room by room.
    pub fn everybody(&self) -> impl Iterator<Item = (usize, usize)> {
        let members = self.members;
        (0..self.rooms).flat_map(move |room| (0..members).map(move |member| (room, member)))
    }

    /// Creates the rooms over HTTP.
    pub fn create_rooms(&self) -> io::Result<()> {
        for room in 0..self.rooms {
            let mut stream = TcpStream::connect(self.http)?;
            let request =
                format!("GET /chatroom/create?room_name={} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.room(room), self.http);
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            if !answer.contains("chatroom create successfully") {
                return Err(io::Error::other(format!("a room can't be created: {answer}")));
            }
        }
        Ok(())
    }

    /// A connection after its handshake.
    pub fn open(&self) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.ws)?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.ws
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(format!("no WebSocket: {}", String::from_utf8_lossy(&answer))));
        }
        Ok(stream)
    }
}

/// What is counted while a generator runs.
pub struct Tally {
    pub messages: u64,
    pub deliveries: u64,
    round_trips: Histogram<u64>,
    cpu: Duration,
    target_cpu: Duration,
    target: u32,
}

impl Tally {
    /// Counts from now on.
    pub fn begin(chat: &Chat) -> io::Result<Self> {
        Ok(Self {
            messages: 0,
            deliveries: 0,
            round_trips: Histogram::new_with_bounds(1, 60_000_000, 3).map_err(io::Error::other)?,
            cpu: process::own_cpu(),
            target_cpu: process::cpu(chat.target)?,
            target: chat.target,
        })
    }

    pub fn heard_itself(&mut self, after: Duration) {
        self.messages += 1;
        self.round_trips.saturating_record(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn end(&self, seconds: Duration) -> io::Result<Figures> {
        Ok(Figures {
            messages: self.messages,
            deliveries: self.deliveries,
            seconds: seconds.as_secs_f64(),
            cpu_seconds: (process::own_cpu() - self.cpu).as_secs_f64(),
            target_cpu_seconds: (process::cpu(self.target)? - self.target_cpu).as_secs_f64(),
            p50_us: self.round_trips.value_at_quantile(0.5),
            p99_us: self.round_trips.value_at_quantile(0.99),
        })
    }
}
