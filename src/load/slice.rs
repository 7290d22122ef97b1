//! A slice of a load: some of its rooms, on one thread with one poll. Whatever happens in a room is known to this thread alone, so
//! nothing is locked and no message passes through a channel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc::UnboundedSender;

use super::alarm::Alarm;
use super::core::{Core, PhaseCounts, Task, nanos};
use super::door::{Done, Errand};
use super::plan::Plan;
use super::schedule::{Act, Happening, Happenings};
use crate::event::ErrorCount;
use crate::ledger::Account;
use crate::ledger::text::NONCE;
use crate::stats::{Durations, Histograms, durations, record};
use crate::wire::line::{Destination, Line};

const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// How many sockets are dealt with between two looks at the clock: what waits longest waits for these.
const EVENTS: usize = 256;

/// How many due happenings are dealt with before the sockets have their turn.
const HAPPENINGS: usize = 256;

/// What is read at once.
const SCRATCH: usize = 64 << 10;

/// How often deliveries that are over their time are looked for.
const LOOK: u64 = 100_000_000;

/// How far behind its plan a slice may be at the end, before it lets the rest be.
const BEHIND: u64 = 5_000_000_000;

const SECOND: u64 = 1_000_000_000;

/// What a slice is given.
#[derive(Debug)]
pub struct Order {
    pub plan: Arc<Plan>,
    pub index: usize,
    /// The numbers of its rooms.
    pub rooms: Vec<u32>,
    pub nonce: [u8; NONCE],
    pub to: Destination,
    /// Source addresses, taken in turns.
    pub sources: Vec<IpAddr>,
    pub errands: UnboundedSender<Errand>,
    pub done: mpsc::Receiver<Done>,
    pub stop: Arc<AtomicBool>,
    /// Told once a second, and at the end.
    pub told: UnboundedSender<Told>,
    /// Whether each second tells all histograms so far: a threshold wants to know.
    pub tells_histograms: bool,
}

/// What a slice tells while it runs.
#[derive(Debug)]
pub enum Told {
    Passed(Box<Passed>),
    Ended(usize, Box<io::Result<Result>>),
}

/// What a slice did within a second; the counts are sums since the run's start.
#[derive(Debug)]
pub struct Passed {
    pub slice: usize,
    /// Which second of the run, from 0.
    pub second: u64,
    pub connected: u32,
    pub joined: u32,
    pub phases: Vec<PhaseCounts>,
    pub account: Account,
    pub errors: Vec<ErrorCount>,
    /// Empty unless they were ordered.
    pub histograms: Histograms,
    pub deliveries: Durations,
    pub send_lags: Durations,
    pub loop_lags: Durations,
}

/// What a slice came to.
#[derive(Debug)]
pub struct Result {
    pub histograms: Histograms,
    pub phases: Vec<PhaseCounts>,
    pub account: Account,
    pub errors: Vec<ErrorCount>,
    /// How long it was away from its sockets, in the phases that count.
    pub loop_lags: Durations,
    /// How late it began.
    pub late: Duration,
    /// When it ended, since the run's start.
    pub ended: Duration,
}

/// A slice that is ready to begin.
pub struct Slice {
    order: Order,
    poll: Poll,
    alarm: Alarm,
    core: Core,
    lines: Vec<Option<Line>>,
    /// What happens next in each room, the earliest first.
    agenda: BinaryHeap<Reverse<(u64, u32)>>,
    rooms: Vec<(Option<Happening>, Happenings)>,
    scratch: Vec<u8>,
    /// For the masks of what lines answer by themselves.
    random: SmallRng,
    start: Instant,
    second: u64,
    phase: usize,
    loop_lags: Durations,
    second_lags: Durations,
    opened: usize,
}

impl Slice {
    /// A slice with a poll and a waker of its own.
    ///
    /// # Errors
    /// A machine that has no descriptor left.
    pub fn poll() -> io::Result<(Poll, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok((poll, Arc::new(waker)))
    }

    /// # Errors
    /// A machine that has no descriptor left.
    pub fn new(order: Order, poll: Poll) -> io::Result<Self> {
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        // Masks need only be hard to guess for who is between: each run has others.
        let random = || SmallRng::from_rng(&mut rand::rng());
        let core = Core::new(order.plan.clone(), order.nonce, order.index, &order.rooms, random());
        let mut rooms: Vec<(Option<Happening>, Happenings)> =
            order.rooms.iter().map(|number| (None, order.plan.room(*number).happenings(&order.plan))).collect();
        let mut agenda = BinaryHeap::with_capacity(rooms.len());
        for (place, (next, happenings)) in (0u32..).zip(&mut rooms) {
            *next = happenings.next();
            agenda.extend(next.map(|next| Reverse((nanos(next.at), place))));
        }
        Ok(Self {
            lines: (0..core.users()).map(|_| None).collect(),
            core,
            poll,
            alarm,
            agenda,
            rooms,
            scratch: vec![0; SCRATCH],
            random: random(),
            start: Instant::now(),
            second: 0,
            phase: 0,
            loop_lags: durations(),
            second_lags: durations(),
            opened: 0,
            order,
        })
    }

    fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    /// Carries the slice out, from `start` on.
    ///
    /// # Errors
    /// A poll that fails.
    pub fn run(mut self, start: Instant) -> io::Result<Result> {
        self.start = start;
        // All slices begin at the same instant.
        std::thread::sleep(start.saturating_duration_since(Instant::now()));
        let late = start.elapsed();
        let end = nanos(self.order.plan.duration());
        let last = end + nanos(self.order.plan.profile.deadline);
        let mut events = Events::with_capacity(EVENTS);
        let mut look = LOOK;
        let broken_off = loop {
            let now = self.now();
            self.pass_time(now);
            let all_begun = self.happen(now);
            self.core.expire(now);
            self.core.speak(now);
            if now >= look {
                self.core.give_up(now, false);
                look = now + LOOK;
            }
            self.carry_out();
            if self.order.stop.load(Ordering::Relaxed) {
                break true;
            }
            // The last phase waits for what is on its way, and no longer.
            let is_last = self.phase + 1 == self.order.plan.phases.len() && !self.order.plan.phases[self.phase].sends();
            let over = (now >= end || is_last) && self.agenda.is_empty() && all_begun && self.core.is_settled();
            if over || now >= last || (now >= end + BEHIND && !all_begun) {
                break false;
            }
            let timeout = if all_begun { self.rest(look)? } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let woken = Instant::now();
            self.listen(&events);
            let away = woken.elapsed();
            record(&mut self.second_lags, away);
            if self.order.plan.phases[self.phase].counts {
                record(&mut self.loop_lags, away);
            }
        };
        let now = self.now();
        self.count_unsent(now);
        if broken_off {
            self.core.break_off(now);
        } else {
            self.core.give_up(now, true);
        }
        self.core.close(now);
        self.pass(self.second);
        self.lines.iter_mut().flatten().for_each(|line| line.close(&mut self.random));
        Ok(Result {
            phases: self.core.phases.clone(),
            account: self.core.account.clone(),
            errors: self.core.errors(),
            loop_lags: self.loop_lags,
            histograms: self.core.recorder.histograms(),
            late,
            ended: Duration::from_nanos(now),
        })
    }

    /// Tells of the seconds, and enters the phases, that have passed.
    fn pass_time(&mut self, now: u64) {
        while now >= (self.second + 1) * SECOND {
            self.pass(self.second);
            self.second += 1;
        }
        while self.phase + 1 < self.order.plan.phases.len() && now >= nanos(self.order.plan.phases[self.phase + 1].start) {
            self.phase += 1;
            self.core.enter_phase(self.phase, now);
        }
    }

    fn pass(&mut self, second: u64) {
        let (deliveries, send_lags) = self.core.recorder.take_second();
        let passed = Passed {
            slice: self.order.index,
            second,
            connected: self.core.connected,
            joined: self.core.joined,
            phases: self.core.phases.clone(),
            account: Account { witnesses: Vec::new(), ..self.core.account.clone() },
            errors: self.core.errors(),
            histograms: if self.order.tells_histograms { self.core.recorder.histograms() } else { Histograms::default() },
            deliveries,
            send_lags,
            loop_lags: std::mem::replace(&mut self.second_lags, durations()),
        };
        // Whoever listens no more has no use for it.
        let _ = self.order.told.send(Told::Passed(Box::new(passed)));
    }

    /// Does what is due, as far as its turn goes; whether nothing that is due is left.
    fn happen(&mut self, now: u64) -> bool {
        for _ in 0..HAPPENINGS {
            let Some(Reverse((at, room))) = self.agenda.peek().copied() else { return true };
            if at > now {
                return true;
            }
            let (next, happenings) = &mut self.rooms[room as usize];
            let Some(happening) = next.take() else { return true };
            *next = happenings.next();
            let following = next.as_ref().map(|next| Reverse((nanos(next.at), room)));
            match (self.agenda.peek_mut(), following) {
                (Some(mut top), Some(following)) => *top = following,
                (Some(top), None) => drop(std::collections::binary_heap::PeekMut::pop(top)),
                (None, _) => {}
            }
            self.perform(room as usize, happening, at);
        }
        false
    }

    fn perform(&mut self, room: usize, happening: Happening, at: u64) {
        let user = self.core.user(room, happening.slot);
        let now = self.now();
        match happening.act {
            Act::Arrive => self.core.arrive(user, at, now),
            Act::Return => {
                self.core.resume(user);
                self.core.arrive(user, at, now);
            }
            Act::Message { bytes, .. } => {
                let phase = self.order.plan.phase_at(happening.at);
                self.core.message(user, bytes, at, u16::try_from(phase).unwrap_or(u16::MAX), now);
            }
            Act::Leave => self.core.leave(user, now),
            Act::Drop => self.core.vanish(user, now),
            Act::Pause => self.core.pause(user),
            Act::Resume => self.core.resume(user),
        }
        // What is due at one instant goes out before the next thing is looked at: a send lag is not made by a queue of our own.
        self.carry_out();
    }

    /// How long nothing has to be done, as the poll takes it.
    fn rest(&mut self, look: u64) -> io::Result<Option<Duration>> {
        let due = self.agenda.peek().map(|Reverse((at, _))| *at);
        let phase = self.order.plan.phases.get(self.phase + 1).map(|phase| nanos(phase.start));
        let next = [due, phase, self.core.next_deadline(), Some(look), Some((self.second + 1) * SECOND)].into_iter().flatten().min();
        self.alarm.set(self.start + Duration::from_nanos(next.unwrap_or(look)))
    }

    fn listen(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                ALARM => self.alarm.rang(),
                WAKER => {
                    while let Ok(done) = self.order.done.try_recv() {
                        let since = |at: Instant| nanos(at.saturating_duration_since(self.start));
                        let (sent, answered) = (since(done.sent), since(done.answered));
                        self.core.done(&done, sent, answered, nanos(self.start.elapsed()));
                    }
                    self.carry_out();
                }
                Token(user) => {
                    let (core, start) = (&mut self.core, self.start);
                    let Some(line) = &mut self.lines[user] else { continue };
                    let result = line.ready(&self.order.to, event.is_writable(), &mut self.scratch, &mut self.random, &mut |heard| {
                        core.hear(user, &heard, nanos(start.elapsed()));
                    });
                    if let Err(ending) = result {
                        self.end(user, &ending);
                    }
                    // Who has heard speaks at once: what it would wait for the others to hear is no time of the target's.
                    self.core.speak_on(nanos(start.elapsed()));
                    self.carry_out();
                }
            }
        }
    }

    fn end(&mut self, user: usize, ending: &crate::wire::line::Ending) {
        let now = self.now();
        if let Some(line) = self.lines[user].take() {
            self.core.connected -= u32::from(line.is_connected());
            self.core.ended(user, ending, now);
        }
    }

    /// Does what the core wants done with lines and errands.
    fn carry_out(&mut self) {
        if self.core.tasks.is_empty() && self.core.errands.is_empty() {
            return;
        }
        for errand in self.core.errands.drain(..) {
            // The thread behind it lives as long as this.
            let _ = self.order.errands.send(errand);
        }
        while let Some(task) = self.core.tasks.pop_front() {
            self.task(task);
        }
        self.core.output.clear();
    }

    fn task(&mut self, task: Task) {
        match task {
            Task::Open(user) => {
                let from = (!self.order.sources.is_empty()).then(|| self.order.sources[self.opened % self.order.sources.len()]);
                self.opened += 1;
                match Line::open(&self.order.to, from, self.poll.registry(), Token(user)) {
                    Ok(line) => {
                        // The line before it may still wait for the answer to its close frame.
                        let before = self.lines[user].replace(line);
                        self.core.connected -= u32::from(before.is_some_and(|line| line.is_connected()));
                    }
                    Err(ending) => {
                        let now = self.now();
                        self.core.ended(user, &ending, now);
                    }
                }
            }
            Task::Write { user, bytes, number } => {
                let Some(line) = &mut self.lines[user] else { return };
                match line.write(&self.core.output[bytes]) {
                    Ok(true) => {}
                    Ok(false) => {
                        let now = self.now();
                        number.into_iter().for_each(|number| self.core.refused(user, number, now));
                    }
                    Err(ending) => self.end(user, &ending),
                }
            }
            Task::Close(user) => {
                if let Some(line) = &mut self.lines[user] {
                    line.close(&mut self.random);
                }
            }
            Task::Abort(user) => {
                if let Some(line) = self.lines[user].take() {
                    self.core.connected -= u32::from(line.is_connected());
                    line.abort();
                }
            }
            Task::Pause(user) => {
                if let Some(line) = &mut self.lines[user] {
                    line.pause();
                }
            }
            Task::Resume(user) => {
                let (core, start) = (&mut self.core, self.start);
                let Some(line) = &mut self.lines[user] else { return };
                let result = line.resume(&self.order.to, &mut self.scratch, &mut self.random, &mut |heard| {
                    core.hear(user, &heard, nanos(start.elapsed()));
                });
                if let Err(ending) = result {
                    self.end(user, &ending);
                }
            }
        }
    }

    /// What was due by now, or would have been in a run of its whole length, and wasn't sent for want of time.
    fn count_unsent(&mut self, now: u64) {
        for (next, happenings) in &mut self.rooms {
            let left = next.take().into_iter().chain(happenings).take_while(|happening| nanos(happening.at) <= now);
            for happening in left.filter(|happening| matches!(happening.act, Act::Message { .. })) {
                let counts = &mut self.core.phases[self.order.plan.phase_at(happening.at)];
                counts.planned += 1;
                counts.unsent_generator += 1;
            }
        }
    }
}
