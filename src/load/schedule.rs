//! What happens in a room, and when: drawn one after another from the room's own streams of random numbers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Shared;
use super::profile::{Arrival, Behaviour, Cycle, Durations, Pace, Reading, TextSizes};
use super::random::{Stream, nanos};

/// So long after it came, and before its connection is reset, a client is given nothing to send where another could send it: less
/// than this if its stay is short.
const SETTLING: Duration = Duration::from_millis(500);

/// Something that shall happen in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Since the run's start.
    pub at: Duration,
    /// Who does it.
    pub slot: u32,
    pub act: Act,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Its session begins: it connects, creates the room (slot 0) or joins it.
    Arrive,
    /// It sends a text.
    Message {
        /// Of the room, from 0 and without a gap.
        number: u64,
        /// Of text.
        bytes: u32,
    },
    /// It leaves by the leave flow.
    Leave,
    /// It comes back, after `Leave` or `Drop`; it reads again, whatever it did before.
    Return,
    /// Its TCP connection is reset.
    Drop,
    /// It stops reading.
    Pause,
    /// It reads again.
    Resume,
}

/// The rate of messages over time, piece by piece linear, and how many are due by when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pacing {
    pieces: Vec<Piece>,
    total: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Piece {
    /// Nanoseconds since the run's start.
    start: u64,
    end: u64,
    /// Messages a second.
    from: f64,
    to: f64,
    /// How many are due before it.
    before: f64,
}

impl Pacing {
    /// From pieces (start, end, rates) that follow each other; between them nothing is due.
    pub(super) fn new(parts: impl IntoIterator<Item = (Duration, Duration, (f64, f64))>) -> Self {
        let mut pieces = Vec::new();
        let mut total = 0.0;
        for (start, end, (from, to)) in parts {
            if end > start && (from > 0.0 || to > 0.0) {
                let (start, end) = (nanos(start), nanos(end));
                pieces.push(Piece { start, end, from, to, before: total });
                total += (from + to) / 2.0 * seconds(end - start);
            }
        }
        Self { pieces, total }
    }

    /// How many are due in all.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// When so many are due, in nanoseconds since the run's start; `None` beyond the total.
    pub(super) fn instant(&self, due: f64) -> Option<u64> {
        // At the total itself the load is over.
        if due >= self.total {
            return None;
        }
        let piece = &self.pieces[self.pieces.partition_point(|piece| piece.before <= due).checked_sub(1)?];
        let due = due - piece.before;
        let length = seconds(piece.end - piece.start);
        let slope = (piece.to - piece.from) / length;
        // The root of slope/2 t² + from t = due, in the form that loses no digits where the slope is small.
        let at = 2.0 * due / (piece.from + (piece.from * piece.from + 2.0 * slope * due).max(0.0).sqrt());
        // Where nothing is due at a rate of 0, that is at the piece's start.
        let at = if at.is_finite() { at.max(0.0) } else { 0.0 };
        // A rounding error doesn't carry a message into the next phase.
        Some((piece.start + (at * 1e9) as u64).min(piece.end - 1))
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// The instants at which a room's messages are due.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    shared: Arc<Shared>,
    /// Messages of the whole load for one of this room.
    stride: f64,
    /// Where the room's first message stands between 0 and 1, so that rooms take turns.
    offset: f64,
    count: u64,
    arrival: Arrival,
    gaps: Stream,
    /// Of Poisson arrivals: what has been due in the room.
    due: f64,
}

impl Clock {
    /// `None` where the room sends nothing, or the target sets the pace.
    pub(super) fn new(shared: &Arc<Shared>, room: u32) -> Option<Self> {
        let Pace::Open { arrival, .. } = shared.pace else {
            return None;
        };
        let (before, weight) = shared.weight(room);
        if weight == 0 {
            return None;
        }
        let all = shared.weight_of_all() as f64;
        Some(Self {
            stride: all / weight as f64,
            offset: (before as f64 + weight as f64 / 2.0) / all,
            count: 0,
            arrival,
            gaps: Stream::new(shared.seed, "gaps", room),
            due: 0.0,
            shared: shared.clone(),
        })
    }

    /// Of constant arrivals: how many there are.
    pub(super) fn total(&self) -> u64 {
        let is_due = |count: u64| (count as f64 + self.offset) * self.stride < self.shared.pacing.total();
        // The quotient may be a rounding error away from what the iterator finds.
        let mut total = (self.shared.pacing.total() / self.stride - self.offset).max(0.0) as u64;
        while is_due(total) {
            total += 1;
        }
        while total > 0 && !is_due(total - 1) {
            total -= 1;
        }
        total
    }
}

impl Iterator for Clock {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let due = match self.arrival {
            Arrival::Constant => self.count as f64 + self.offset,
            Arrival::Poisson => {
                self.due += self.gaps.exponential();
                self.due
            }
        };
        self.count += 1;
        self.shared.pacing.instant(due * self.stride)
    }
}

/// The instants at which a room's clients arrive, by slot, in nanoseconds since the run's start.
#[derive(Clone, Debug)]
struct Arrivals {
    shared: Arc<Shared>,
    room: u32,
    size: u32,
    slot: u32,
    /// Of Poisson arrivals: how far the last one got, between 0 and 1.
    reached: f64,
    stream: Stream,
}

impl Arrivals {
    fn new(shared: &Arc<Shared>, room: u32) -> Self {
        let stream = Stream::new(shared.seed, "arrivals", room);
        Self { size: shared.size(room), room, slot: 0, reached: 0.0, stream, shared: shared.clone() }
    }
}

impl Iterator for Arrivals {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<(u64, u32)> {
        let slot = self.slot;
        if slot >= self.size {
            return None;
        }
        self.slot += 1;
        let poisson = self.shared.sessions.arrival == Arrival::Poisson;
        let rooms = f64::from(self.shared.rooms());
        let rate = self.shared.sessions.rate;
        let at = if slot == 0 {
            let place = if poisson { self.stream.unit() } else { (f64::from(self.room) + 0.5) / rooms };
            place * rooms / rate
        } else {
            let (before, _) = self.shared.places(self.room);
            // Everybody but the creators.
            let others = self.shared.clients() as f64 - rooms;
            let here = f64::from(self.size - 1);
            let place = if poisson {
                // Given their number, Poisson arrivals are independent and even: the least of n is the n-th root of an even one.
                let left = f64::from(self.size - slot);
                self.reached += (1.0 - self.reached) * -libm::expm1(libm::log1p(-self.stream.unit()) / left);
                self.reached
            } else {
                let offset = (before as f64 - f64::from(self.room) + here / 2.0) / others;
                (f64::from(slot - 1) + offset) / here
            };
            seconds(nanos(self.shared.others_from)) + place * others / rate
        };
        Some(((at * 1e9) as u64, slot))
    }
}

/// Who may send in a room now, by behaviour.
#[derive(Clone, Debug)]
struct Senders {
    /// How much each of them sends, as against others, and their slots.
    groups: Vec<(u64, Vec<u32>)>,
    /// For each slot its group, and its place there.
    places: Vec<(u8, u32)>,
}

/// The place of a slot that may not send now.
const NOWHERE: u32 = u32::MAX;

impl Senders {
    /// All senders of the room.
    fn new(shared: &Shared, room: u32) -> Self {
        let mut groups: Vec<(u64, Vec<u32>)> = shared.shares.iter().map(|share| (u64::from(share.sends), Vec::new())).collect();
        let mut places = Vec::with_capacity(shared.size(room) as usize);
        for (slot, kind) in (0..).zip(shared.kinds(room)) {
            let (sends, group) = &mut groups[usize::from(kind)];
            if *sends == 0 {
                places.push((kind, NOWHERE));
            } else {
                places.push((kind, group.len() as u32));
                group.push(slot);
            }
        }
        Self { groups, places }
    }

    fn kind(&self, slot: u32) -> usize {
        usize::from(self.places[slot as usize].0)
    }

    fn add(&mut self, slot: u32) {
        let (kind, place) = &mut self.places[slot as usize];
        let (sends, group) = &mut self.groups[usize::from(*kind)];
        if *sends > 0 && *place == NOWHERE {
            *place = group.len() as u32;
            group.push(slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        let (kind, place) = self.places[slot as usize];
        if place == NOWHERE {
            return;
        }
        let group = &mut self.groups[usize::from(kind)].1;
        group.swap_remove(place as usize);
        if let Some(moved) = group.get(place as usize) {
            self.places[*moved as usize].1 = place;
        }
        self.places[slot as usize].1 = NOWHERE;
    }

    fn draw(&self, stream: &mut Stream) -> Option<u32> {
        let all: u64 = self.groups.iter().map(|(sends, group)| sends * group.len() as u64).sum();
        if all == 0 {
            return None;
        }
        let mut drawn = stream.below(all);
        for (sends, group) in &self.groups {
            let part = sends * group.len() as u64;
            if drawn < part {
                return Some(group[(drawn / sends) as usize]);
            }
            drawn -= part;
        }
        None
    }
}

fn text(sizes: &TextSizes, stream: &mut Stream) -> u32 {
    match sizes {
        TextSizes::Range { from, to } => from + stream.below(u64::from(to - from) + 1) as u32,
        TextSizes::Weighted(sizes) => {
            let mut drawn = stream.below(sizes.iter().map(|(_, weight)| u64::from(*weight)).sum());
            for (size, weight) in sizes {
                match drawn.checked_sub(u64::from(*weight)) {
                    Some(rest) => drawn = rest,
                    None => return *size,
                }
            }
            unreachable!("it is below the sum of the weights")
        }
    }
}

/// What changes about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// It may be given messages to send.
    Settle,
    /// It is given none any more, since its connection is going to be reset.
    Retire,
    Resume,
    Return,
    Leave,
    Drop,
    /// A storm hits it.
    Hit {
        spread: Duration,
    },
    Pause,
}

/// A change that is due. What was due in a stay that a storm has ended doesn't happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: u64,
    slot: u32,
    change: Change,
    stay: u32,
}

/// Which stay or absence a client is in: even numbers are stays.
type Stay = u32;

/// In whatever stay.
const ANY: Stay = Stay::MAX;

/// All that happens in a room, in the order of its instants. Takes memory by the number of clients, not of messages.
#[derive(Clone, Debug)]
pub struct Happenings {
    shared: Arc<Shared>,
    room: u32,
    arrivals: std::iter::Peekable<Arrivals>,
    dues: BinaryHeap<Reverse<Due>>,
    /// By slot; empty where nobody ever moves.
    stays: Vec<Stay>,
    movements: Stream,
    clock: Option<std::iter::Peekable<Clock>>,
    senders: Senders,
    choices: Stream,
    texts: Stream,
    number: u64,
}

impl Happenings {
    pub(super) fn new(shared: &Arc<Shared>, room: u32) -> Self {
        let seed = shared.seed;
        let mut happenings = Self {
            arrivals: Arrivals::new(shared, room).peekable(),
            dues: BinaryHeap::new(),
            stays: Vec::new(),
            movements: Stream::new(seed, "movements", room),
            clock: Clock::new(shared, room).map(Iterator::peekable),
            senders: Senders::new(shared, room),
            choices: Stream::new(seed, "choices", room),
            texts: Stream::new(seed, "texts", room),
            number: 0,
            room,
            shared: shared.clone(),
        };
        if shared.somebody_moves() {
            happenings.stays = vec![0; shared.size(room) as usize];
            let begin = nanos(shared.begin);
            for slot in 0..shared.size(room) {
                happenings.begin_stay(slot, begin, true);
            }
            happenings.storms();
        }
        happenings
    }

    fn push(&mut self, at: u64, slot: u32, change: Change, stay: Stay) {
        if at < nanos(self.shared.quiet) || change == Change::Resume {
            self.dues.push(Reverse(Due { at, slot, change, stay }));
        }
    }

    /// Decides how a stay goes on that has begun; the first one is under way already when the load begins.
    fn begin_stay(&mut self, slot: u32, now: u64, first: bool) {
        let stay = self.stays[slot as usize];
        let behaviour = self.shared.shares[self.senders.kind(slot)].behaviour;
        let mut settling = nanos(SETTLING);
        match behaviour {
            Behaviour::Chatty | Behaviour::Lurking | Behaviour::SlowReader(Reading::Rate { .. }) => {}
            Behaviour::SlowReader(Reading::Pauses { pause, every }) => {
                let wait = every.saturating_sub(pause);
                let wait = if first { self.movements.within(wait) } else { wait };
                self.push(now + nanos(wait), slot, Change::Pause, stay);
            }
            Behaviour::ComingAndGoing(cycle) | Behaviour::Reconnecting(cycle) => {
                let length = nanos(match cycle.durations {
                    Durations::Constant if first => self.movements.within(cycle.stay),
                    durations => drawn(cycle.stay, durations, &mut self.movements),
                });
                let end = now + length;
                settling = settling.min(length / 4);
                if matches!(behaviour, Behaviour::Reconnecting(_)) {
                    self.push(end - settling, slot, Change::Retire, stay);
                    self.push(end, slot, Change::Drop, stay);
                } else {
                    self.push(end, slot, Change::Leave, stay);
                }
            }
        }
        if !first {
            self.push(now + settling, slot, Change::Settle, stay);
        }
    }

    /// Who is hit by each storm: of all clients just the fraction that the profile wants, of each room as many as its size's part.
    fn storms(&mut self) {
        let shared = self.shared.clone();
        let (before, size) = shared.places(self.room);
        for (index, (start, storm)) in shared.storms.iter().enumerate() {
            let until = |clients: u64| (clients as f64 * storm.fraction).floor() as u64;
            let hit = (until(before + u64::from(size)) - until(before)) as usize;
            let mut slots: Vec<u32> = (0..size).collect();
            let mut stream = Stream::new(shared.seed, &format!("storm {index}"), self.room);
            for place in 0..hit {
                let other = place + stream.below((slots.len() - place) as u64) as usize;
                slots.swap(place, other);
                let start = nanos(*start);
                self.push(start.saturating_sub(nanos(SETTLING)), slots[place], Change::Retire, ANY);
                self.push(start, slots[place], Change::Hit { spread: storm.spread }, ANY);
            }
        }
    }

    /// Does what is due about a client; `None` where nothing of it is to be seen.
    fn change(&mut self, due: Due) -> Option<Act> {
        let Due { at, slot, change, stay } = due;
        let now = self.stays[slot as usize];
        if stay != now && stay != ANY {
            return None;
        }
        match change {
            Change::Settle => self.senders.add(slot),
            Change::Retire => self.senders.remove(slot),
            Change::Leave | Change::Drop => {
                let (Behaviour::ComingAndGoing(Cycle { absence, durations, .. })
                | Behaviour::Reconnecting(Cycle { absence, durations, .. })) = self.shared.shares[self.senders.kind(slot)].behaviour
                else {
                    unreachable!("only who comes and goes, goes")
                };
                let absence = drawn(absence, durations, &mut self.movements);
                self.go(slot, at + nanos(absence));
                return Some(if change == Change::Leave { Act::Leave } else { Act::Drop });
            }
            Change::Hit { spread } => {
                // Who is away has no connection to be reset.
                if now.is_multiple_of(2) {
                    let absence = self.movements.within(spread);
                    self.go(slot, at + nanos(absence));
                    return Some(Act::Drop);
                }
            }
            Change::Return => {
                self.stays[slot as usize] += 1;
                self.begin_stay(slot, at, false);
                return Some(Act::Return);
            }
            Change::Pause => {
                if let Behaviour::SlowReader(Reading::Pauses { pause, .. }) = self.shared.shares[self.senders.kind(slot)].behaviour {
                    // What has been held back comes in while nothing new is sent.
                    let end = (at + nanos(pause)).min(nanos(self.shared.quiet));
                    self.push(end, slot, Change::Resume, stay);
                }
                return Some(Act::Pause);
            }
            Change::Resume => {
                if let Behaviour::SlowReader(Reading::Pauses { pause, every }) = self.shared.shares[self.senders.kind(slot)].behaviour {
                    self.push(at + nanos(every.saturating_sub(pause)), slot, Change::Pause, stay);
                }
                return Some(Act::Resume);
            }
        }
        None
    }

    fn go(&mut self, slot: u32, back: u64) {
        self.stays[slot as usize] += 1;
        self.senders.remove(slot);
        self.push(back, slot, Change::Return, self.stays[slot as usize]);
    }
}

impl Iterator for Happenings {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        let happening = |at, slot, act| Some(Happening { at: Duration::from_nanos(at), slot, act });
        // Nobody moves and nothing is sent before everybody has come.
        if let Some((at, slot)) = self.arrivals.next() {
            return happening(at, slot, Act::Arrive);
        }
        loop {
            let message = self.clock.as_mut().and_then(|clock| clock.peek().copied());
            let due = self.dues.peek().map(|Reverse(due)| *due);
            match (due, message) {
                (Some(due), message) if message.is_none_or(|at| due.at <= at) => {
                    self.dues.pop();
                    if let Some(act) = self.change(due) {
                        return happening(due.at, due.slot, act);
                    }
                }
                (_, Some(at)) => {
                    self.clock.as_mut().and_then(Iterator::next);
                    // Where all senders are away, nobody sends.
                    if let Some(slot) = self.senders.draw(&mut self.choices) {
                        let act = Act::Message { number: self.number, bytes: text(&self.shared.texts, &mut self.texts) };
                        self.number += 1;
                        return happening(at, slot, act);
                    }
                }
                (_, None) => return None,
            }
        }
    }
}

/// A duration of a stay or an absence.
fn drawn(mean: Duration, durations: Durations, stream: &mut Stream) -> Duration {
    match durations {
        Durations::Constant => mean,
        // The tenth keeps a client from going before it can have come, and the mean is kept.
        Durations::Exponential => Duration::from_nanos((nanos(mean) as f64 * (0.1 + 0.9 * stream.exponential())) as u64),
    }
}

/// Whose turn it is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub slot: u32,
    /// Of text.
    pub bytes: u32,
}

/// In a closed load: who sends next in a room, endlessly; nobody where the room has no sender.
#[derive(Clone, Debug)]
pub struct Turns {
    shared: Arc<Shared>,
    senders: Senders,
    choices: Stream,
    texts: Stream,
}

impl Turns {
    pub(super) fn new(shared: &Arc<Shared>, room: u32) -> Self {
        Self {
            senders: Senders::new(shared, room),
            choices: Stream::new(shared.seed, "choices", room),
            texts: Stream::new(shared.seed, "texts", room),
            shared: shared.clone(),
        }
    }
}

impl Iterator for Turns {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        let slot = self.senders.draw(&mut self.choices)?;
        Some(Turn { slot, bytes: text(&self.shared.texts, &mut self.texts) })
    }
}
