//! What a slice knows of its rooms and virtual users, and how they answer to what happens. It opens no socket: what it wants done
//! it leaves as tasks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use rand::rngs::SmallRng;

use super::door::{Done, DoorError, Errand};
use super::packet::{Layout, Packet, write};
use super::plan::Plan;
use super::profile::{Behaviour, Pace, Reading};
use super::recorder::Recorder;
use super::schedule::Turns;
use crate::event::{Blame, ErrorCount, LATE, VERY_LATE};
use crate::ledger::Account;
use crate::ledger::room::{Names, Room as Ledger};
use crate::ledger::text::{Head, NONCE, Text, read, write as write_text};
use crate::stats::{Clock, Metric};
use crate::wire::http::HttpFailure;
use crate::wire::line::{Ending, Heard, encode_text};

/// How many different errors are told apart; a hostile server could make up a new one each time.
const ERRORS: usize = 200;

/// How often the layout is learnt: a target that writes each packet otherwise is read in full.
const LESSONS: u32 = 64;

/// A time in nanoseconds, as all clocks of a slice count.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What gives this machine more of what it had no more of.
fn mend(what: &str) -> String {
    let mend = if what.contains("EADDRNOTAVAIL") || what.contains("os error 99") {
        "`sysctl -w net.ipv4.ip_local_port_range='1024 65535'` gives more ports, and so does each --source"
    } else if what.contains("ENOBUFS") || what.contains("ENOMEM") {
        "fewer clients, or more memory"
    } else {
        "`ulimit -n 65536` (and the hard limit, `ulimit -Hn`) gives more descriptors"
    };
    mend.to_owned()
}

/// How far a virtual user is in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It isn't there.
    Away,
    /// It waits for its room's creator.
    Waiting,
    /// It asks for its place by HTTP.
    Asking,
    Connecting,
    Upgrading,
    Joining,
    In,
    Leaving,
    /// It gives its place back by HTTP.
    Returning,
    /// It failed, and stays away.
    Failed,
}

#[derive(Debug)]
struct User {
    room: u32,
    slot: u32,
    behaviour: Behaviour,
    stage: Stage,
    /// Rises with each session, so that what belongs to an earlier one is known.
    session: u32,
    /// When its present step began, and when its session was meant to, in nanoseconds since the run's start.
    since: u64,
    intended: u64,
    phase: u16,
    /// Messages of a closed load that it doesn't have back.
    in_flight: u32,
    /// It should come back as soon as it is away.
    wanted: Option<u64>,
    /// Of a slow reader: when it has read what it has.
    rests_until: u64,
}

/// The names of a room and its users, as on the wire.
struct Wire {
    name: String,
    users: Vec<String>,
}

struct Room {
    wire: Wire,
    /// The place of its first user among the slice's.
    first: usize,
    size: u16,
    ledger: Ledger,
    /// Its creator is in.
    open: bool,
    created: bool,
    waiting: Vec<usize>,
    /// A closed load's: who speaks next, and how many more may.
    turns: Option<Turns>,
    tokens: u32,
}

impl Names for Wire {
    fn room(&self) -> &str {
        &self.name
    }
    fn user(&self, place: u32) -> &str {
        self.users.get(place as usize).map_or("?", String::as_str)
    }
}

/// What the core wants done with a user's line.
#[derive(Debug)]
pub enum Task {
    Open(usize),
    /// The bytes from here to there of the core's output; if they are a message, it has this number in its room.
    Write {
        user: usize,
        bytes: Range<usize>,
        number: Option<u64>,
    },
    Close(usize),
    Abort(usize),
    Pause(usize),
    Resume(usize),
}

/// Counts of one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseCounts {
    pub planned: u64,
    pub sent: u64,
    pub late: u64,
    pub very_late: u64,
    pub unsent_target: u64,
    pub unsent_generator: u64,
    pub delivered: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Messages in flight times nanoseconds, of a closed load.
    pub in_flight: u128,
}

pub struct Core {
    plan: std::sync::Arc<Plan>,
    nonce: [u8; NONCE],
    pub index: usize,
    users: Vec<User>,
    rooms: Vec<Room>,
    pub recorder: Recorder,
    pub account: Account,
    errors: BTreeMap<(Metric, Blame, String), (u64, u64)>,
    pub phases: Vec<PhaseCounts>,
    phase: u16,
    pub tasks: VecDeque<Task>,
    pub output: Vec<u8>,
    pub errands: Vec<Errand>,
    pub connected: u32,
    pub joined: u32,
    /// Steps under way, the oldest first: when each is over its time.
    deadlines: VecDeque<(u64, usize, u32, Stage)>,
    timeout: u64,
    deadline: u64,
    pub random: SmallRng,
    /// How the target writes its messages, and how often that was learnt.
    layout: Option<Layout>,
    lessons: u32,
    packet: Vec<u8>,
    text: Vec<u8>,
    closed: bool,
    /// A closed load's: messages that are on their way, and since when that many.
    in_flight: u64,
    counted: u64,
    ready_to_speak: Vec<u32>,
    thinking: VecDeque<(u64, u32)>,
    think: u64,
    /// Slow readers, by when they read on.
    resting: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Core {
    pub fn new(plan: std::sync::Arc<Plan>, nonce: [u8; NONCE], index: usize, numbers: &[u32], random: SmallRng) -> Self {
        let (closed, think) = match plan.profile.messages.pace {
            Pace::Closed { think, .. } => (true, think),
            Pace::Open { .. } => (false, Duration::ZERO),
        };
        let names: Vec<String> = plan.phases.iter().map(|phase| phase.name.clone()).collect();
        let sizes: BTreeSet<u32> = numbers.iter().map(|number| plan.room(*number).size_class).collect();
        let recorder = Recorder::new(names, sizes.into_iter().collect(), closed);
        let suffix = String::from_utf8_lossy(&nonce).into_owned();
        let (mut users, mut rooms) = (Vec::new(), Vec::with_capacity(numbers.len()));
        for number in numbers {
            let of_plan = plan.room(*number);
            let room = u32::try_from(rooms.len()).expect("a slice has fewer rooms than that");
            let first = users.len();
            users.extend(of_plan.users.iter().map(|user| User {
                room,
                slot: user.slot,
                behaviour: user.behaviour,
                stage: Stage::Away,
                session: 0,
                since: 0,
                intended: 0,
                phase: 0,
                in_flight: 0,
                wanted: None,
                rests_until: 0,
            }));
            let slow = |slot: u32| matches!(of_plan.users[slot as usize].behaviour, Behaviour::SlowReader(_));
            rooms.push(Room {
                wire: Wire {
                    name: format!("{}-{suffix}", of_plan.name),
                    users: of_plan.users.iter().map(|user| format!("{}-{suffix}", user.name)).collect(),
                },
                first,
                size: recorder.size(of_plan.size_class),
                ledger: Ledger::new(*number, of_plan.size, slow),
                open: false,
                created: false,
                waiting: Vec::new(),
                turns: closed.then(|| of_plan.turns(&plan)),
                tokens: if closed { of_plan.in_flight(&plan) } else { 0 },
            });
        }
        Self {
            phases: vec![PhaseCounts::default(); plan.phases.len()],
            timeout: nanos(plan.profile.deadline),
            deadline: nanos(plan.profile.deadline),
            think: nanos(think),
            plan,
            nonce,
            index,
            users,
            rooms,
            recorder,
            account: Account::default(),
            errors: BTreeMap::new(),
            phase: 0,
            tasks: VecDeque::new(),
            output: Vec::new(),
            errands: Vec::new(),
            connected: 0,
            joined: 0,
            deadlines: VecDeque::new(),
            random,
            layout: None,
            lessons: 0,
            packet: Vec::new(),
            text: Vec::new(),
            closed,
            in_flight: 0,
            counted: 0,
            ready_to_speak: Vec::new(),
            thinking: VecDeque::new(),
            resting: BinaryHeap::new(),
        }
    }

    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// The user of a slot of a room.
    pub fn user(&self, room: usize, slot: u32) -> usize {
        self.rooms[room].first + slot as usize
    }

    /// A phase begins.
    pub fn enter_phase(&mut self, phase: usize, now: u64) {
        self.count_in_flight(now);
        self.phase = u16::try_from(phase).unwrap_or(u16::MAX);
        if self.closed && self.sends() {
            self.ready_to_speak.extend(0..u32::try_from(self.rooms.len()).unwrap_or(u32::MAX));
            self.speak(now);
        }
    }

    /// Whether new messages are sent in the present phase.
    fn sends(&self) -> bool {
        self.plan.phases[usize::from(self.phase)].sends()
    }

    fn error(&mut self, doing: Metric, blame: Blame, what: &str, now: u64) {
        let mut what: String = what.chars().take(200).collect();
        let full = self.errors.len() >= ERRORS;
        if full && !self.errors.contains_key(&(doing, blame, what.clone())) {
            what = "other errors".to_owned();
        }
        self.errors.entry((doing, blame, what)).or_insert((0, now)).0 += 1;
    }

    pub fn errors(&self) -> Vec<ErrorCount> {
        let all = self.errors.iter().map(|((doing, blame, what), (count, first))| ErrorCount {
            doing: doing.name().to_owned(),
            blame: *blame,
            what: what.clone(),
            count: *count,
            first_ms: *first as f64 / 1e6,
            mend: (*blame == Blame::Local).then(|| mend(what)),
        });
        all.collect()
    }

    fn step(&mut self, user: usize, stage: Stage, now: u64) {
        let it = &mut self.users[user];
        (it.stage, it.since) = (stage, now);
        self.deadlines.push_back((now + self.timeout, user, it.session, stage));
    }

    /// A session begins, whether the first or a later one.
    pub fn arrive(&mut self, user: usize, intended: u64, now: u64) {
        let room = self.users[user].room as usize;
        match self.users[user].stage {
            Stage::Away => {}
            Stage::Failed => return,
            _ => {
                self.users[user].wanted = Some(intended);
                return;
            }
        }
        let it = &mut self.users[user];
        it.session += 1;
        it.wanted = None;
        (it.intended, it.phase) = (intended, self.phase);
        let is_creator = it.slot == 0 && !self.rooms[room].created;
        if is_creator {
            self.rooms[room].created = true;
            self.ask(user, Metric::Create, now);
        } else if self.rooms[room].open {
            self.ask(user, Metric::HttpJoin, now);
        } else {
            self.users[user].stage = Stage::Waiting;
            self.rooms[room].waiting.push(user);
        }
    }

    fn ask(&mut self, user: usize, what: Metric, now: u64) {
        // The errand has a time limit of its own.
        let stage = if what == Metric::HttpLeave { Stage::Returning } else { Stage::Asking };
        let it = &mut self.users[user];
        (it.stage, it.since) = (stage, now);
        let room = &self.rooms[it.room as usize];
        self.errands.push(Errand {
            slice: self.index,
            user,
            session: it.session,
            what,
            room_name: room.wire.name.clone(),
            user_name: room.wire.users[it.slot as usize].clone(),
        });
    }

    /// An errand is done; `sent` and `answered` in nanoseconds since the run's start.
    pub fn done(&mut self, done: &Done, sent: u64, answered: u64, now: u64) {
        let counts = &mut self.phases[usize::from(self.phase)];
        counts.bytes_sent += done.bytes_sent;
        counts.bytes_received += done.bytes_received;
        let it = &self.users[done.user];
        if it.session != done.session || !matches!(it.stage, Stage::Asking | Stage::Returning) {
            return;
        }
        let (phase, size, intended) = (it.phase, self.rooms[it.room as usize].size, it.intended);
        match &done.result {
            Ok(()) => {
                let began = if done.what == Metric::HttpLeave { sent } else { intended };
                self.recorder.record(done.what, Clock::Intended, phase, size, answered.saturating_sub(began));
                self.recorder.record(done.what, Clock::Service, phase, size, answered.saturating_sub(sent));
                if done.what == Metric::HttpLeave {
                    self.away(done.user, now);
                } else {
                    self.step(done.user, Stage::Connecting, now);
                    self.tasks.push_back(Task::Open(done.user));
                }
            }
            Err(error) => {
                let blame = match error {
                    DoorError::NoAnswer(HttpFailure::Other(text)) if text.contains("os error 24") || text.contains("os error 99") => {
                        Blame::Local
                    }
                    _ => Blame::Server,
                };
                self.error(done.what, blame, &error.to_string(), now);
                if done.what == Metric::HttpLeave {
                    self.away(done.user, now);
                } else {
                    self.fail(done.user);
                }
            }
        }
    }

    /// The user is away; it may be wanted back already.
    fn away(&mut self, user: usize, now: u64) {
        self.users[user].stage = Stage::Away;
        if let Some(intended) = self.users[user].wanted.take() {
            self.arrive(user, intended, now);
        }
    }

    fn fail(&mut self, user: usize) {
        self.users[user].stage = Stage::Failed;
    }

    /// Something was heard from a user's line.
    pub fn hear(&mut self, user: usize, heard: &Heard<'_>, now: u64) {
        let (since, phase) = (self.users[user].since, self.users[user].phase);
        let size = self.rooms[self.users[user].room as usize].size;
        match heard {
            Heard::Connected => {
                self.connected += 1;
                self.recorder.took(Metric::Connect, phase, size, now.saturating_sub(since));
                self.step(user, Stage::Upgrading, now);
            }
            Heard::Upgraded => {
                self.recorder.took(Metric::Upgrade, phase, size, now.saturating_sub(since));
                let it = &self.users[user];
                self.rooms[it.room as usize].ledger.coming(it.slot);
                self.step(user, Stage::Joining, now);
                self.say(user, "join", b"", None);
            }
            Heard::Text(bytes) => {
                self.phases[usize::from(self.phase)].bytes_received += bytes.len() as u64;
                if let Behaviour::SlowReader(Reading::Rate { bytes: rate }) = self.users[user].behaviour {
                    self.rest(user, bytes.len(), rate, now);
                }
                self.packet(user, bytes, now);
            }
            Heard::Binary => self.error(Metric::Deliver, Blame::Server, "a binary message", now),
        }
    }

    /// A slow reader takes its time over what it has read.
    fn rest(&mut self, user: usize, bytes: usize, rate: u32, now: u64) {
        let takes = (bytes as u64).saturating_mul(1_000_000_000) / u64::from(rate.max(1));
        let it = &mut self.users[user];
        it.rests_until = it.rests_until.max(now) + takes;
        self.resting.push(Reverse((it.rests_until, user)));
        self.tasks.push_back(Task::Pause(user));
    }

    /// Most packets are messages that are on their way, written as the target always writes them; all others are read in full.
    fn packet(&mut self, user: usize, bytes: &[u8], now: u64) {
        let it = &self.users[user];
        let room = &self.rooms[it.room as usize];
        let glance = self.layout.as_ref().and_then(|layout| {
            let (name, text) = layout.split(bytes, &room.wire.name)?;
            let head = room.ledger.recognise(text)?;
            (room.wire.users.get(head.sender as usize)?.as_bytes() == name).then_some(head)
        });
        match glance {
            Some(head) => self.arrived(user, Text::Sound(head), true, now),
            None => self.read(user, bytes, now),
        }
    }

    fn arrived(&mut self, user: usize, text: Text, names_right: bool, now: u64) {
        let it = &self.users[user];
        let room = &mut self.rooms[it.room as usize];
        let Some(arrival) = room.ledger.arrived(it.slot, text, names_right, now, &room.wire, &mut self.account) else { return };
        let (size, phase) = (room.size, arrival.phase);
        self.phases[usize::from(phase)].delivered += 1;
        let mut count = |metric| self.recorder.message(metric, phase, size, now, arrival.intended, arrival.at);
        count(Metric::Deliver);
        if arrival.is_first {
            count(Metric::First);
        }
        if arrival.is_last {
            count(Metric::Last);
        }
        if arrival.is_echo {
            count(Metric::Echo);
            self.back(user, now);
        }
    }

    fn read(&mut self, user: usize, bytes: &[u8], now: u64) {
        let Ok(packet) = Packet::read(bytes) else {
            return self.error(Metric::Deliver, Blame::Server, "a text that is no packet", now);
        };
        let data = &packet.data;
        let it = &self.users[user];
        let (room_at, slot) = (it.room, it.slot);
        let room = &mut self.rooms[room_at as usize];
        match &*packet.kind {
            "msg" => {
                let text = read(&self.nonce, data.msg.0.as_bytes());
                let names_right = match text {
                    Text::Sound(Head { sender, .. }) | Text::Altered(Head { sender, .. }) => {
                        room.wire.users.get(sender as usize).is_some_and(|name| *name == data.user_name.0)
                            && room.wire.name == data.room_name.0
                    }
                    Text::Unknown => false,
                };
                if self.lessons < LESSONS && names_right && matches!(text, Text::Sound(_)) {
                    self.lessons += 1;
                    self.layout = Layout::of(bytes, &data.user_name.0, &data.room_name.0, &data.msg.0);
                }
                self.arrived(user, text, names_right, now);
            }
            "user" => {
                let is_me = room.wire.users[slot as usize] == data.user_name.0 && room.wire.name == data.room_name.0;
                match (&*data.msg.0, it.stage) {
                    ("create" | "join", Stage::Joining) if is_me => self.joined(user, now),
                    ("leave", Stage::Leaving) if is_me => self.left(user, now),
                    _ => {}
                }
            }
            "error" => {
                let doing = match it.stage {
                    Stage::Joining => Metric::Join,
                    Stage::Leaving => Metric::Leave,
                    _ => Metric::Deliver,
                };
                self.error(doing, Blame::Server, &format!("error packet: {}", data.msg.0), now);
                if doing == Metric::Join {
                    self.fail(user);
                    self.tasks.push_back(Task::Close(user));
                }
            }
            other => self.error(Metric::Deliver, Blame::Server, &format!("a packet of type `{other}`"), now),
        }
    }

    fn joined(&mut self, user: usize, now: u64) {
        let it = &mut self.users[user];
        it.stage = Stage::In;
        let room = &mut self.rooms[it.room as usize];
        room.ledger.entered(it.slot);
        self.joined += 1;
        self.recorder.took(Metric::Join, it.phase, room.size, now.saturating_sub(it.since));
        let room_at = it.room;
        if !room.open {
            room.open = true;
            for user in std::mem::take(&mut room.waiting) {
                self.ask(user, Metric::HttpJoin, now);
            }
        }
        if self.closed {
            self.ready_to_speak.push(room_at);
        }
    }

    fn left(&mut self, user: usize, now: u64) {
        let it = &self.users[user];
        let room = &mut self.rooms[it.room as usize];
        room.ledger.left(it.slot, &mut self.account);
        self.recorder.took(Metric::Leave, it.phase, room.size, now.saturating_sub(it.since));
        self.tasks.push_back(Task::Close(user));
        self.ask(user, Metric::HttpLeave, now);
    }

    /// The user begins to leave, by the documented flow.
    pub fn leave(&mut self, user: usize, now: u64) {
        let it = &self.users[user];
        if it.stage != Stage::In {
            return;
        }
        self.rooms[it.room as usize].ledger.leaving(it.slot, &mut self.account);
        self.joined -= 1;
        let it = &mut self.users[user];
        (it.phase, it.wanted) = (self.phase, None);
        self.forget_flights(user, now);
        self.step(user, Stage::Leaving, now);
        self.say(user, "leave", b"", None);
    }

    /// The user vanishes, by a reset of its connection.
    pub fn vanish(&mut self, user: usize, now: u64) {
        if !matches!(self.users[user].stage, Stage::In | Stage::Joining | Stage::Upgrading | Stage::Leaving) {
            return;
        }
        self.gone(user, now);
        self.users[user].stage = Stage::Away;
        self.tasks.push_back(Task::Abort(user));
    }

    pub fn pause(&mut self, user: usize) {
        self.tasks.push_back(Task::Pause(user));
    }

    pub fn resume(&mut self, user: usize) {
        self.tasks.push_back(Task::Resume(user));
    }

    /// Its line no longer is.
    fn gone(&mut self, user: usize, now: u64) {
        let it = &self.users[user];
        self.joined -= u32::from(it.stage == Stage::In);
        if matches!(it.stage, Stage::In | Stage::Joining | Stage::Leaving) {
            self.rooms[it.room as usize].ledger.broke(it.slot, &mut self.account);
        }
        self.forget_flights(user, now);
    }

    /// A line has ended, other than by our doing.
    pub fn ended(&mut self, user: usize, ending: &Ending, now: u64) {
        let it = &self.users[user];
        let doing = match it.stage {
            Stage::Connecting => Metric::Connect,
            Stage::Upgrading => Metric::Upgrade,
            Stage::Joining => Metric::Join,
            Stage::In => Metric::Deliver,
            Stage::Leaving => Metric::Leave,
            // The answer to our close frame.
            _ => return,
        };
        let blame = if matches!(ending, Ending::Local(_)) { Blame::Local } else { Blame::Server };
        let what = match it.behaviour {
            Behaviour::SlowReader(_) if doing == Metric::Deliver => format!("{ending}, of a slow reader"),
            _ => ending.to_string(),
        };
        self.error(doing, blame, &what, now);
        self.gone(user, now);
        self.fail(user);
    }

    /// A message is due. What can't be sent is counted.
    pub fn message(&mut self, user: usize, bytes: u32, intended: u64, phase: u16, now: u64) {
        let counts = &mut self.phases[usize::from(phase)];
        counts.planned += 1;
        let lag = now.saturating_sub(intended);
        if self.users[user].stage != Stage::In {
            counts.unsent_target += 1;
            return;
        }
        counts.sent += 1;
        counts.late += u64::from(lag > nanos(LATE));
        counts.very_late += u64::from(lag > nanos(VERY_LATE));
        let it = &self.users[user];
        let room = &mut self.rooms[it.room as usize];
        if !self.closed {
            self.recorder.lag(phase, room.size, lag);
        }
        let room_at = it.room as usize;
        let number = room.ledger.send(it.slot, intended, now, phase, &mut self.account);
        let head = Head { room: room.ledger.number(), number, sender: it.slot, micros: intended / 1000 };
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        write_text(&self.nonce, head, bytes as usize, &mut text);
        self.rooms[room_at].ledger.sent_as(&text);
        self.say(user, "msg", &text, Some(number));
        self.text = text;
    }

    /// A message could not be put on its line: too much is waiting there.
    pub fn refused(&mut self, user: usize, number: u64, now: u64) {
        let room = &mut self.rooms[self.users[user].room as usize];
        let Some(phase) = room.ledger.unsend(number, &mut self.account) else { return };
        let counts = &mut self.phases[usize::from(phase)];
        counts.sent -= 1;
        counts.unsent_target += 1;
        self.back(user, now);
    }

    fn say(&mut self, user: usize, kind: &str, message: &[u8], number: Option<u64>) {
        let it = &self.users[user];
        let room = &self.rooms[it.room as usize];
        self.packet.clear();
        write(kind, &room.wire.users[it.slot as usize], &room.wire.name, message, &mut self.packet);
        let start = self.output.len();
        encode_text(&self.packet, &mut self.random, &mut self.output);
        self.phases[usize::from(self.phase)].bytes_sent += (self.output.len() - start) as u64;
        self.tasks.push_back(Task::Write { user, bytes: start..self.output.len(), number });
    }

    fn count_in_flight(&mut self, now: u64) {
        let passed = now.saturating_sub(self.counted);
        self.phases[usize::from(self.phase)].in_flight += u128::from(self.in_flight) * u128::from(passed);
        self.counted = now;
    }

    /// A message is back with its sender: in a closed load another may be sent.
    fn back(&mut self, user: usize, now: u64) {
        if !self.closed || self.users[user].in_flight == 0 {
            return;
        }
        self.users[user].in_flight -= 1;
        self.give_back(self.users[user].room, 1, now);
    }

    fn give_back(&mut self, room: u32, tokens: u32, now: u64) {
        self.count_in_flight(now);
        self.in_flight -= u64::from(tokens);
        self.rooms[room as usize].tokens += tokens;
        if self.think == 0 {
            self.ready_to_speak.push(room);
        } else {
            self.thinking.push_back((now + self.think, room));
        }
    }

    /// A user's messages will not come back to it.
    fn forget_flights(&mut self, user: usize, now: u64) {
        let tokens = std::mem::take(&mut self.users[user].in_flight);
        if tokens > 0 {
            self.give_back(self.users[user].room, tokens, now);
        }
    }

    /// In a closed load, whoever's turn it is speaks.
    pub fn speak(&mut self, now: u64) {
        while self.thinking.front().is_some_and(|(until, _)| *until <= now) {
            self.ready_to_speak.extend(self.thinking.pop_front().map(|(_, room)| room));
        }
        if !self.sends() {
            return;
        }
        let mut ready = std::mem::take(&mut self.ready_to_speak);
        for room in ready.drain(..) {
            while self.rooms[room as usize].tokens > 0 {
                let Some((user, bytes)) = self.next_turn(room as usize) else { break };
                self.count_in_flight(now);
                self.in_flight += 1;
                self.rooms[room as usize].tokens -= 1;
                self.users[user].in_flight += 1;
                self.message(user, bytes, now, self.phase, now);
            }
        }
        // The list keeps its memory.
        ready.append(&mut self.ready_to_speak);
        self.ready_to_speak = ready;
    }

    /// As `speak`, where somebody may have something to say.
    pub fn speak_on(&mut self, now: u64) {
        if !self.ready_to_speak.is_empty() {
            self.speak(now);
        }
    }

    /// Who speaks next; nobody, where nobody of the next few is in.
    fn next_turn(&mut self, room: usize) -> Option<(usize, u32)> {
        let room = &mut self.rooms[room];
        let (first, tries) = (room.first, room.wire.users.len().min(64));
        let users = &self.users;
        let turns = room.turns.as_mut()?;
        turns.by_ref().take(tries).map(|turn| (first + turn.slot as usize, turn.bytes)).find(|(user, _)| users[*user].stage == Stage::In)
    }

    /// When something is over its time, or somebody has thought long enough.
    pub fn next_deadline(&self) -> Option<u64> {
        let thinking = self.thinking.front().map(|(until, _)| *until);
        let deadline = self.deadlines.front().map(|(until, ..)| *until);
        let resting = self.resting.peek().map(|Reverse((until, _))| *until);
        thinking.into_iter().chain(deadline).chain(resting).min()
    }

    /// Ends what is over its time, and lets who has rested read on.
    pub fn expire(&mut self, now: u64) {
        while self.resting.peek().is_some_and(|Reverse((until, _))| *until <= now) {
            let Some(Reverse((_, user))) = self.resting.pop() else { break };
            if self.users[user].rests_until <= now {
                self.tasks.push_back(Task::Resume(user));
            }
        }
        while self.deadlines.front().is_some_and(|(until, ..)| *until <= now) {
            let Some((_, user, session, stage)) = self.deadlines.pop_front() else { break };
            let it = &self.users[user];
            if (it.session, it.stage) != (session, stage) {
                continue;
            }
            let doing = match stage {
                Stage::Connecting => Metric::Connect,
                Stage::Upgrading => Metric::Upgrade,
                Stage::Joining => Metric::Join,
                _ => Metric::Leave,
            };
            self.error(doing, Blame::Server, "timeout", now);
            self.gone(user, now);
            self.fail(user);
            self.tasks.push_back(Task::Abort(user));
        }
    }

    /// Gives up the deliveries that are over their time.
    pub fn give_up(&mut self, now: u64, all: bool) {
        let until = if all { u64::MAX } else { now.saturating_sub(self.deadline) };
        let mut unanswered = Vec::new();
        for room in &mut self.rooms {
            if !all && room.ledger.waits_since().is_none_or(|since| since >= until) {
                continue;
            }
            let first = room.first;
            room.ledger.give_up(until, now, &room.wire, &mut self.account, |slot| unanswered.push(first + slot as usize));
        }
        for user in unanswered {
            self.back(user, now);
        }
    }

    /// The run was broken off: what is on its way is nobody's fault.
    pub fn break_off(&mut self, now: u64) {
        for user in 0..self.users.len() {
            self.gone(user, now);
            self.users[user].stage = Stage::Away;
        }
        self.give_up(now, true);
    }

    /// Whether nothing is on its way any more.
    pub fn is_settled(&self) -> bool {
        let moving = |user: &User| !matches!(user.stage, Stage::Away | Stage::In | Stage::Failed | Stage::Waiting);
        self.rooms.iter().all(|room| room.ledger.is_settled()) && !self.users.iter().any(moving)
    }

    /// The run is over at `now`.
    pub fn close(&mut self, now: u64) {
        self.count_in_flight(now);
    }
}
