//! A common start for the shards of a load, on one machine or on many: a host waits until all are ready, and gives them one instant,
//! by a clock that each has compared with its own. From then on the shards only tell how they do; nothing waits for the host
//! any more, and nothing stops where it is gone.
//!
//! The wire is TCP, with a line of JSON for each message.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout, timeout_at};

use crate::event::{Second, Start};
use crate::ledger::text::NONCE;

/// How often a shard asks the host for its clock. The quickest answer counts.
const ROUND_TRIPS: u32 = 16;

/// How long a shard waits before it tries again to reach a host that isn't there yet.
const RETRY: Duration = Duration::from_millis(200);

/// How long one attempt to reach the host may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// So long after the last shard is ready all begin, and four of the slowest round trips more.
const LEAD: Duration = Duration::from_millis(300);

/// How long a shard takes for its farewell at most.
const FAREWELL: Duration = Duration::from_secs(2);

/// A shard that was there, and went before the start, may be started anew within this time.
const RETURN: Duration = Duration::from_secs(30);

/// No line of this protocol is longer; a second with its histogram has some KiB.
const LONGEST_LINE: u64 = 1 << 20;

/// What all shards of a load have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fingerprint {
    /// Of chatspec.
    pub version: String,
    /// Of the plan's profile.
    pub hash: String,
    pub seed: u64,
    /// How many shards there are.
    pub of: u32,
}

impl Fingerprint {
    /// What differs, as a message names it.
    fn differs(&self, other: &Self) -> Option<&'static str> {
        let differences = [
            (self.version == other.version, "version of chatspec"),
            (self.hash == other.hash, "profile"),
            (self.seed == other.seed, "seed (give all shards the same --seed)"),
            (self.of == other.of, "number of shards"),
        ];
        differences.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FromShard {
    Hello {
        shard: u32,
        fingerprint: Fingerprint,
    },
    /// It could begin.
    Ready,
    Ping {
        number: u32,
    },
    /// It knows the host's clock.
    Set {
        round_trip_ns: u64,
    },
    /// How it does: what it sent, what arrived, and how far behind it is.
    Second(Box<Second>),
    /// It was told to end before its time, and so should all.
    Abort {
        why: String,
    },
    /// It has come to its end.
    Ended,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FromHost {
    Welcome {
        nonce: String,
    },
    Refused {
        why: String,
    },
    /// Compare your clock with mine.
    Gather,
    Pong {
        number: u32,
        at_ns: u64,
    },
    Start {
        at_ns: u64,
        at_unix_ms: f64,
    },
    Abort {
        why: String,
    },
}

/// Why there is no common start.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    #[error("the barrier at {at} was not reached within {patience:?}: {source}; the first shard listens there (--barrier-listen)")]
    Unreached { at: String, patience: Duration, source: io::Error },
    #[error("{at} is no address for a barrier: {source}; it looks like HOST:7700")]
    Address { at: String, source: io::Error },
    #[error("the barrier at {at} refuses this shard: {why}")]
    Refused { at: String, why: String },
    #[error("the barrier at {at} was gone before the start: {why}")]
    Gone { at: String, why: String },
    #[error("not all shards were ready within {patience:?}")]
    Late { patience: Duration },
    #[error("the load was called off: {why}")]
    Aborted { why: String },
}

/// Lines of JSON, read.
struct Reader {
    from: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

impl Reader {
    fn new(from: OwnedReadHalf) -> Self {
        Self { from: BufReader::new(from), line: Vec::new() }
    }

    /// The next message; an error also where the other side is gone.
    async fn next<T: for<'de> Deserialize<'de>>(&mut self) -> io::Result<T> {
        self.line.clear();
        let read = (&mut self.from).take(LONGEST_LINE).read_until(b'\n', &mut self.line).await?;
        if read == 0 || self.line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_slice(&self.line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A writer that nobody waits for: a task writes what it is given, and what the other side doesn't take is forgotten with it.
fn writer<T: Serialize + Send + 'static>(to: OwnedWriteHalf) -> mpsc::UnboundedSender<T> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<T>();
    tokio::spawn(async move {
        let mut to = to;
        while let Some(message) = receiver.recv().await {
            let mut line = serde_json::to_vec(&message).expect("a message is JSON");
            line.push(b'\n');
            if to.write_all(&line).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    sender
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The host's clock as a shard knows it: `theirs = ours + ahead`, in nanoseconds since each side's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offset {
    ahead_ns: i128,
    /// Half of this is what the offset is known to within.
    round_trip_ns: u64,
}

impl Offset {
    /// From when a question was sent and answered by our clock, and when it was answered by theirs, which was somewhere between.
    fn of(sent_ns: u64, answered_ns: u64, back_ns: u64) -> Self {
        let middle = (i128::from(sent_ns) + i128::from(back_ns)) / 2;
        Self { ahead_ns: i128::from(answered_ns) - middle, round_trip_ns: back_ns.saturating_sub(sent_ns) }
    }
}

/// A shard's place at the barrier, before the start.
pub struct Place {
    at: String,
    nonce: [u8; NONCE],
    reader: Reader,
    writer: mpsc::UnboundedSender<FromShard>,
    state: watch::Sender<State>,
    patience: Duration,
}

/// What is known of the host after the start.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    There,
    Gone,
    Aborted(String),
}

/// A shard's line to the host while it runs.
#[derive(Clone, Debug)]
pub struct Link {
    writer: mpsc::UnboundedSender<FromShard>,
    state: watch::Receiver<State>,
}

/// When a shard begins.
#[derive(Clone, Debug)]
pub struct Begin {
    pub at: Instant,
    /// The same for the log; how late it was isn't known yet.
    pub start: Start,
}

impl Begin {
    /// At an instant by this machine's clock only.
    pub fn at(at: Instant) -> Self {
        let at_unix_ms = (unix_ms(SystemTime::now()) - millis_until(Instant::now(), at)).max(0.0);
        Self { at, start: Start { host: host_name(), at_unix_ms, ..Start::default() } }
    }

    /// At a time by this machine's clock, for which is waited here but for a last moment; in the past, where the time is over.
    pub async fn at_time(time: SystemTime) -> Self {
        let until = time.duration_since(SystemTime::now()).unwrap_or_default();
        sleep(until.saturating_sub(LEAD)).await;
        let now = (SystemTime::now(), Instant::now());
        let at = match time.duration_since(now.0) {
            Ok(until) => now.1 + until,
            Err(_) => now.1,
        };
        Self { at, start: Start { host: host_name(), at_unix_ms: unix_ms(time), ..Start::default() } }
    }
}

/// Negative where `to` lies ahead of `from`.
fn millis_until(from: Instant, to: Instant) -> f64 {
    match from.checked_duration_since(to) {
        Some(since) => since.as_secs_f64() * 1000.0,
        None => -(to - from).as_secs_f64() * 1000.0,
    }
}

fn unix_ms(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

fn host_name() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return String::new();
}

impl Place {
    /// Goes to the barrier, and again where it isn't there yet. `shard` counts from 1.
    ///
    /// # Errors
    /// A host that isn't reached within `patience`, or that refuses this shard.
    pub async fn take(at: &str, shard: u32, fingerprint: Fingerprint, patience: Duration) -> Result<(Self, Link), BarrierError> {
        let deadline = tokio::time::Instant::now() + patience;
        let stream = loop {
            let why = match timeout(ATTEMPT, TcpStream::connect(at)).await {
                Ok(Ok(stream)) => break stream,
                Ok(Err(source)) if source.kind() == io::ErrorKind::InvalidInput => {
                    return Err(BarrierError::Address { at: at.to_owned(), source });
                }
                Ok(Err(source)) => source,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
            if tokio::time::Instant::now() + RETRY >= deadline {
                return Err(BarrierError::Unreached { at: at.to_owned(), patience, source: why });
            }
            sleep(RETRY).await;
        };
        let gone = |error: io::Error| BarrierError::Gone { at: at.to_owned(), why: error.to_string() };
        stream.set_nodelay(true).map_err(gone)?;
        let (reader, to) = stream.into_split();
        let (mut reader, writer) = (Reader::new(reader), writer(to));
        let _ = writer.send(FromShard::Hello { shard, fingerprint });
        let answer = timeout_at(deadline, reader.next::<FromHost>()).await.map_err(|_| BarrierError::Late { patience })?;
        match answer.map_err(gone)? {
            FromHost::Welcome { nonce } => {
                let nonce = <[u8; NONCE]>::try_from(nonce.as_bytes())
                    .map_err(|_| BarrierError::Gone { at: at.to_owned(), why: format!("it gave the nonce `{nonce}`") })?;
                let (state, watching) = watch::channel(State::There);
                let link = Link { writer: writer.clone(), state: watching };
                Ok((Self { at: at.to_owned(), nonce, reader, writer, state, patience }, link))
            }
            FromHost::Refused { why } => Err(BarrierError::Refused { at: at.to_owned(), why }),
            FromHost::Abort { why } => Err(BarrierError::Aborted { why }),
            other => Err(BarrierError::Gone { at: at.to_owned(), why: format!("it answered with {other:?}") }),
        }
    }

    /// What the names and messages of all shards hold.
    pub fn nonce(&self) -> [u8; NONCE] {
        self.nonce
    }

    /// Says that this shard could begin, and waits until all could. From then on the link hears whether the load is called off.
    ///
    /// # Errors
    /// A host that goes away, calls the load off, or doesn't have all shards ready in time.
    pub async fn start(mut self) -> Result<Begin, BarrierError> {
        let patience = self.patience;
        let begin = timeout(patience, self.agree()).await.map_err(|_| BarrierError::Late { patience })??;
        let (mut reader, state) = (self.reader, self.state);
        tokio::spawn(async move {
            while let Ok(told) = reader.next::<FromHost>().await {
                if let FromHost::Abort { why } = told {
                    state.send_replace(State::Aborted(why));
                }
            }
            state.send_if_modified(|state| {
                let was_there = *state == State::There;
                if was_there {
                    *state = State::Gone;
                }
                was_there
            });
        });
        Ok(begin)
    }

    async fn agree(&mut self) -> Result<Begin, BarrierError> {
        let base = Instant::now();
        let _ = self.writer.send(FromShard::Ready);
        let mut best: Option<Offset> = None;
        // Numbers never begin anew, so that no late answer passes for another.
        let (mut sent, mut number, mut left) = (0, 0, 0);
        loop {
            let told = self.reader.next::<FromHost>().await;
            match told.map_err(|error| BarrierError::Gone { at: self.at.clone(), why: error.to_string() })? {
                FromHost::Gather => (best, left) = (None, ROUND_TRIPS),
                FromHost::Pong { number: answered, at_ns } if answered == number && left > 0 => {
                    let offset = Offset::of(sent, at_ns, nanos(base.elapsed()));
                    best = Some(best.filter(|best| best.round_trip_ns <= offset.round_trip_ns).unwrap_or(offset));
                    left -= 1;
                }
                FromHost::Start { at_ns, at_unix_ms } => {
                    let offset = best.unwrap_or(Offset { ahead_ns: 0, round_trip_ns: 0 });
                    let since = i128::from(at_ns) - offset.ahead_ns;
                    let at = base + Duration::from_nanos(u64::try_from(since.max(0)).unwrap_or(0));
                    let within_ms = Some(offset.round_trip_ns as f64 / 2e6);
                    return Ok(Begin { at, start: Start { host: host_name(), at_unix_ms, within_ms, late_ms: 0.0 } });
                }
                FromHost::Abort { why } => return Err(BarrierError::Aborted { why }),
                _ => continue,
            }
            if left > 0 {
                number += 1;
                sent = nanos(base.elapsed());
                let _ = self.writer.send(FromShard::Ping { number });
            } else {
                let round_trip_ns = best.map_or(0, |best| best.round_trip_ns);
                let _ = self.writer.send(FromShard::Set { round_trip_ns });
            }
        }
    }
}

impl Link {
    /// Tells how this shard does. Nothing is waited for.
    pub fn second(&self, second: &Second) {
        let _ = self.writer.send(FromShard::Second(Box::new(second.clone())));
    }

    /// Comes true when the load is called off; why.
    pub async fn aborted(&self) -> String {
        let mut state = self.state.clone();
        loop {
            if let State::Aborted(why) = &*state.borrow_and_update() {
                return why.clone();
            }
            if state.changed().await.is_err() {
                // The host is gone, and nobody is left who could call the load off.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the host has gone away since the start.
    pub fn is_gone(&self) -> bool {
        *self.state.borrow() == State::Gone
    }

    /// Calls the load off, for all.
    pub fn abort(&self, why: &str) {
        let _ = self.writer.send(FromShard::Abort { why: why.to_owned() });
    }

    /// Says goodbye, and waits until the host has heard it: whoever goes without is lost.
    pub async fn end(mut self) {
        let _ = self.writer.send(FromShard::Ended);
        let closing = async { while self.state.changed().await.is_ok() {} };
        let _ = timeout(FAREWELL, closing).await;
    }
}

/// What the host of a barrier tells.
#[derive(Debug)]
pub enum Tidings {
    /// A shard has come; how many have.
    Came {
        shard: u32,
        from: SocketAddr,
        there: u32,
    },
    /// Somebody came who doesn't belong here.
    Refused {
        from: SocketAddr,
        why: String,
    },
    /// All begin.
    Started,
    Second {
        shard: u32,
        second: Box<Second>,
    },
    /// A shard has come to its end.
    Ended {
        shard: u32,
    },
    /// A shard went without a farewell; `started` says whether the load had begun.
    Lost {
        shard: u32,
        started: bool,
    },
    Aborted {
        why: String,
    },
}

/// The host of a barrier, listening.
#[derive(Debug)]
pub struct Host {
    listener: TcpListener,
    fingerprint: Fingerprint,
    nonce: [u8; NONCE],
    /// How long a shard may be away that was there before the start.
    returning: Duration,
}

/// A connection to the host.
struct Guest {
    from: SocketAddr,
    /// Closed when nothing is left to be said.
    writer: Option<mpsc::UnboundedSender<FromHost>>,
    /// From 1, once it has said so.
    shard: Option<u32>,
    ready: bool,
    round_trip: Option<u64>,
    ended: bool,
}

impl Guest {
    fn tell(&self, message: FromHost) {
        if let Some(writer) = &self.writer {
            let _ = writer.send(message);
        }
    }
}

enum Heard {
    Said(FromShard),
    Gone,
}

impl Host {
    /// # Errors
    /// An address that can't be listened at.
    pub async fn listen(at: &str, fingerprint: Fingerprint, nonce: [u8; NONCE]) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(at).await?, fingerprint, nonce, returning: RETURN })
    }

    /// # Errors
    /// A socket that has none.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves all shards until each has ended or is lost; `abort` calls the load off.
    pub async fn serve(self, abort: impl Future<Output = String>, mut tell: impl FnMut(Tidings)) {
        let base = Instant::now();
        let (hearing, mut heard) = mpsc::unbounded_channel::<(usize, Heard, Instant)>();
        let mut guests: Vec<Guest> = Vec::new();
        // Shards that were there and went before the start, and until when each may be back.
        let mut away: BTreeMap<u32, tokio::time::Instant> = BTreeMap::new();
        let mut phase = Phase::Gathering;
        let mut gone = 0;
        tokio::pin!(abort);
        let mut aborted = false;
        loop {
            tokio::select! {
                Ok((stream, from)) = self.listener.accept() => {
                    let _ = stream.set_nodelay(true);
                    let (reader, to) = stream.into_split();
                    let number = guests.len();
                    guests.push(Guest { from, writer: Some(writer(to)), shard: None, ready: false, round_trip: None, ended: false });
                    let hearing = hearing.clone();
                    tokio::spawn(async move {
                        let mut reader = Reader::new(reader);
                        while let Ok(said) = reader.next::<FromShard>().await {
                            // The clock is read here, where nothing else is waited for.
                            let _ = hearing.send((number, Heard::Said(said), Instant::now()));
                        }
                        let _ = hearing.send((number, Heard::Gone, Instant::now()));
                    });
                }
                Some((number, what, at)) = heard.recv() => {
                    let guest = &mut guests[number];
                    match what {
                        Heard::Said(FromShard::Hello { shard, fingerprint }) if guest.shard.is_none() => {
                            let from = guest.from;
                            match self.admit(shard, &fingerprint, &guests, phase) {
                                Ok(()) => {
                                    let nonce = String::from_utf8_lossy(&self.nonce).into_owned();
                                    guests[number].tell(FromHost::Welcome { nonce });
                                    guests[number].shard = Some(shard);
                                    away.remove(&shard);
                                    let there = guests.iter().filter(|guest| guest.shard.is_some()).count() as u32;
                                    tell(Tidings::Came { shard, from, there });
                                }
                                Err(why) => {
                                    guests[number].tell(FromHost::Refused { why: why.clone() });
                                    guests[number].writer = None;
                                    tell(Tidings::Refused { from, why });
                                }
                            }
                        }
                        // Strangers have no say.
                        Heard::Said(_) if guest.shard.is_none() => {}
                        Heard::Said(said) => {
                            let shard = guest.shard.unwrap_or_default();
                            match said {
                                FromShard::Hello { .. } => {}
                                FromShard::Ready => guest.ready = true,
                                FromShard::Ping { number } => {
                                    let at_ns = nanos(at.duration_since(base));
                                    guest.tell(FromHost::Pong { number, at_ns });
                                }
                                FromShard::Set { round_trip_ns } => guest.round_trip = Some(round_trip_ns),
                                FromShard::Second(second) => tell(Tidings::Second { shard, second }),
                                FromShard::Ended if !guest.ended => {
                                    guest.ended = true;
                                    guest.writer = None;
                                    gone += 1;
                                    tell(Tidings::Ended { shard });
                                }
                                FromShard::Ended => {}
                                FromShard::Abort { why } if !aborted => {
                                    aborted = true;
                                    let why = format!("shard {shard}/{}: {why}", self.fingerprint.of);
                                    call_off(&guests, &why);
                                    tell(Tidings::Aborted { why });
                                }
                                FromShard::Abort { .. } => {}
                            }
                        }
                        Heard::Gone => {
                            let started = phase == Phase::Started;
                            guest.writer = None;
                            if let Some(shard) = guest.shard && !guest.ended {
                                // Before the start its place is free again, for whoever starts it anew.
                                (guest.shard, guest.ready, guest.round_trip) = (None, false, None);
                                gone += u32::from(started);
                                if !started {
                                    away.insert(shard, tokio::time::Instant::now() + self.returning);
                                }
                                tell(Tidings::Lost { shard, started });
                            }
                        }
                    }
                }
                shard = overdue(&away), if !aborted => {
                    aborted = true;
                    let of = self.fingerprint.of;
                    let why = format!("shard {shard}/{of} went away before the start, and was not back within {:?}", self.returning);
                    call_off(&guests, &why);
                    tell(Tidings::Aborted { why });
                }
                why = &mut abort, if !aborted => {
                    aborted = true;
                    call_off(&guests, &why);
                    tell(Tidings::Aborted { why });
                }
                else => return,
            }
            let mut members = guests.iter().filter(|guest| guest.shard.is_some());
            let all = members.clone().count() as u32 == self.fingerprint.of;
            if aborted && guests.iter().all(|guest| guest.shard.is_none() || guest.ended) {
                return;
            }
            match phase {
                Phase::Gathering if all && members.all(|guest| guest.ready) => {
                    phase = Phase::Comparing;
                    send_all(&guests, &FromHost::Gather);
                }
                // One went, and another will have to compare its clock too.
                Phase::Comparing if !all => {
                    phase = Phase::Gathering;
                    guests.iter_mut().for_each(|guest| guest.round_trip = None);
                }
                Phase::Comparing if members.clone().all(|guest| guest.round_trip.is_some()) => {
                    phase = Phase::Started;
                    let slowest = Duration::from_nanos(members.filter_map(|guest| guest.round_trip).max().unwrap_or(0));
                    let lead = LEAD + slowest * 4;
                    let at_ns = nanos(base.elapsed() + lead);
                    let at_unix_ms = unix_ms(SystemTime::now() + lead);
                    send_all(&guests, &FromHost::Start { at_ns, at_unix_ms });
                    tell(Tidings::Started);
                }
                Phase::Started if gone >= self.fingerprint.of => return,
                _ => {}
            }
        }
    }

    /// Whether a shard belongs here.
    fn admit(&self, shard: u32, fingerprint: &Fingerprint, guests: &[Guest], phase: Phase) -> Result<(), String> {
        if let Some(what) = self.fingerprint.differs(fingerprint) {
            return Err(format!("it has another {what} than the first shard"));
        }
        if let Some(other) = guests.iter().find(|guest| guest.shard == Some(shard)) {
            return Err(format!("shard {shard}/{} is here already, from {}", self.fingerprint.of, other.from));
        }
        if phase == Phase::Started {
            return Err("the load has begun already".to_owned());
        }
        if !(1..=self.fingerprint.of).contains(&shard) {
            return Err(format!("there is no shard {shard} of {}", self.fingerprint.of));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting until all shards are ready.
    Gathering,
    /// Waiting until all know the host's clock.
    Comparing,
    Started,
}

/// Comes true when a shard has been away for too long; which.
async fn overdue(away: &BTreeMap<u32, tokio::time::Instant>) -> u32 {
    match away.iter().min_by_key(|(_, until)| **until) {
        Some((shard, until)) => {
            tokio::time::sleep_until(*until).await;
            *shard
        }
        None => std::future::pending().await,
    }
}

fn send_all(guests: &[Guest], message: &FromHost) {
    for guest in guests.iter().filter(|guest| guest.shard.is_some()) {
        guest.tell(message.clone());
    }
}

fn call_off(guests: &[Guest], why: &str) {
    send_all(guests, &FromHost::Abort { why: why.to_owned() });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::oneshot;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn fingerprint(of: u32) -> Fingerprint {
        Fingerprint { version: "1".into(), hash: "h".into(), seed: 7, of }
    }

    /// A host, where it listens, what calls the load off, and what it has told at its end.
    async fn host(of: u32) -> (String, oneshot::Sender<String>, tokio::task::JoinHandle<Vec<String>>) {
        host_that_waits(of, RETURN).await
    }

    async fn host_that_waits(of: u32, returning: Duration) -> (String, oneshot::Sender<String>, tokio::task::JoinHandle<Vec<String>>) {
        let host = Host::listen("127.0.0.1:0", fingerprint(of), *b"nonce234").await.expect("a port");
        let host = Host { returning, ..host };
        let at = host.address().expect("it listens").to_string();
        let (call_off, called_off) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let mut told = Vec::new();
            let abort = async {
                match called_off.await {
                    Ok(why) => why,
                    Err(_) => std::future::pending().await,
                }
            };
            host.serve(abort, |tidings| {
                told.push(match tidings {
                    Tidings::Came { shard, .. } => format!("came {shard}"),
                    Tidings::Refused { why, .. } => format!("refused: {why}"),
                    Tidings::Started => "started".into(),
                    Tidings::Second { shard, .. } => format!("second of {shard}"),
                    Tidings::Ended { shard } => format!("ended {shard}"),
                    Tidings::Lost { shard, started } => format!("lost {shard} {started}"),
                    Tidings::Aborted { why } => format!("aborted: {why}"),
                });
            })
            .await;
            told
        });
        (at, call_off, serving)
    }

    async fn place(at: &str, shard: u32, of: u32) -> (Place, Link) {
        Place::take(at, shard, fingerprint(of), PATIENCE).await.unwrap_or_else(|error| panic!("{error}"))
    }

    #[tokio::test]
    async fn all_begin_at_one_instant_with_one_nonce_and_say_goodbye() {
        let (at, _call_off, serving) = host(2).await;
        let (one, one_link) = place(&at, 1, 2).await;
        let (two, two_link) = place(&at, 2, 2).await;
        assert_eq!((one.nonce(), two.nonce()), (*b"nonce234", *b"nonce234"));
        let (one, two) = tokio::join!(one.start(), two.start());
        let (one, two) = (one.expect("a start"), two.expect("a start"));
        let within = (one.start.within_ms.expect("compared") + two.start.within_ms.expect("compared")).max(0.001);
        let apart = one.at.max(two.at).duration_since(one.at.min(two.at)).as_secs_f64() * 1000.0;
        // Both have the same clock here, so what they are apart is what the comparison was wrong by.
        assert!(apart <= within, "{apart} ms apart, and known to within {within} ms");
        assert_eq!(one.start.at_unix_ms, two.start.at_unix_ms);
        one_link.second(&Second::default());
        one_link.end().await;
        two_link.end().await;
        let told = serving.await.expect("no panic");
        assert_eq!(told, ["came 1", "came 2", "started", "second of 1", "ended 1", "ended 2"]);
    }

    #[tokio::test]
    async fn who_goes_before_the_start_may_come_again_and_strangers_change_nothing() {
        let (at, _call_off, serving) = host(2).await;
        let mut stranger = TcpStream::connect(&at).await.expect("it listens");
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it is written");
        let mut flood = TcpStream::connect(&at).await.expect("it listens");
        let _ = flood.write_all(&vec![b'x'; 2 << 20]).await;
        let (one, one_link) = place(&at, 1, 2).await;
        let doubled = Place::take(&at, 1, fingerprint(2), PATIENCE).await.err().map(|error| error.to_string()).expect("it is refused");
        assert!(doubled.contains("shard 1/2 is here already, from 127.0.0.1:"), "{doubled}");
        drop(place(&at, 2, 2).await);
        // The host may hear of the one that comes before it hears of the one that went.
        let (two, two_link) = loop {
            match Place::take(&at, 2, fingerprint(2), PATIENCE).await {
                Ok(placed) => break placed,
                Err(BarrierError::Refused { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let (one, two) = tokio::join!(one.start(), two.start());
        assert!(one.is_ok() && two.is_ok());
        let late = Place::take(&at, 2, fingerprint(2), PATIENCE).await.err().map(|error| error.to_string()).expect("it is refused");
        assert!(late.contains("is here already"), "{late}");
        drop(two_link);
        one_link.end().await;
        drop((stranger, flood));
        serving.abort();
    }

    #[tokio::test]
    async fn shards_of_another_load_are_refused_with_what_differs() {
        let (at, _call_off, serving) = host(2).await;
        let others = [
            (Fingerprint { version: "2".into(), ..fingerprint(2) }, "another version of chatspec"),
            (Fingerprint { hash: "x".into(), ..fingerprint(2) }, "another profile"),
            (Fingerprint { seed: 8, ..fingerprint(2) }, "another seed"),
            (fingerprint(3), "another number of shards"),
        ];
        for (other, what) in others {
            let refused = Place::take(&at, 2, other, PATIENCE).await.err().map(|error| error.to_string()).expect("it is refused");
            assert!(refused.contains(what), "{refused}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn a_load_that_is_called_off_ends_for_all_before_the_start_and_after() {
        let (at, call_off, serving) = host(2).await;
        let (one, _link) = place(&at, 1, 2).await;
        call_off.send("no more".into()).expect("it serves");
        let error = one.start().await.expect_err("it is called off").to_string();
        assert_eq!(error, "the load was called off: no more");
        drop(_link);
        assert_eq!(serving.await.expect("no panic").last().map(String::as_str), Some("lost 1 false"));

        let (at, _call_off, serving) = host(2).await;
        let ((one, one_link), (two, two_link)) = (place(&at, 1, 2).await, place(&at, 2, 2).await);
        let (one, two) = tokio::join!(one.start(), two.start());
        assert!(one.is_ok() && two.is_ok());
        one_link.abort("it was interrupted");
        assert_eq!(two_link.aborted().await, "shard 1/2: it was interrupted");
        assert_eq!(one_link.aborted().await, "shard 1/2: it was interrupted");
        one_link.end().await;
        two_link.end().await;
        assert!(serving.await.expect("no panic").contains(&"ended 2".to_owned()));
    }

    #[tokio::test]
    async fn a_shard_that_goes_before_the_start_and_does_not_come_back_ends_the_waiting() {
        let (at, _call_off, serving) = host_that_waits(2, Duration::from_millis(50)).await;
        let (one, _link) = place(&at, 1, 2).await;
        drop(place(&at, 2, 2).await);
        let error = one.start().await.expect_err("it is called off").to_string();
        assert_eq!(error, "the load was called off: shard 2/2 went away before the start, and was not back within 50ms");
        drop(_link);
        assert!(serving.await.expect("no panic").contains(&"lost 2 false".to_owned()));
    }

    #[tokio::test]
    async fn a_host_that_goes_away_stops_nobody() {
        let (at, _call_off, serving) = host(1).await;
        let (one, link) = place(&at, 1, 1).await;
        one.start().await.expect("a start");
        serving.abort();
        let _ = serving.await;
        // Its sockets are closed by the runtime when the tasks are; the line says so when it has heard.
        let mut state = link.state.clone();
        let _ = state.wait_for(|state| *state == State::Gone).await;
        assert!(link.is_gone());
        link.second(&Second::default());
        assert!(timeout(Duration::from_millis(50), link.aborted()).await.is_err(), "nobody calls it off any more");
        link.end().await;
    }

    proptest! {
        /// Whatever the clocks show and however unequal the ways are, the true offset is within half a round trip of the estimate.
        #[test]
        fn an_offset_is_known_to_within_half_a_round_trip(
            ours in 0_u64..1_000_000_000_000, ahead in 0_u64..1_000_000_000_000, there in 0_u64..50_000_000, back in 0_u64..50_000_000,
        ) {
            let offset = Offset::of(ours, ours + there + ahead, ours + there + back);
            let wrong = (offset.ahead_ns - i128::from(ahead)).unsigned_abs();
            prop_assert!(wrong <= u128::from(offset.round_trip_ns) / 2 + 1, "{wrong} ns of {} ns", offset.round_trip_ns);
        }
    }
}
