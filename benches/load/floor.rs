//! The floor: the least that a client on epoll can do. It writes frames that were built before, and looks for no more
//! in what comes than where a frame ends.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::chat::{Chat, Figures, Tally};
use crate::frame::{Counter, masked};

/// Frames that may be on their way while members join, for each of them: a room is told of each, so joining at once would flood it.
const ON_THEIR_WAY: u64 = 32;
const BUFFER: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);

struct Member {
    stream: TcpStream,
    counter: Counter,
    message: Vec<u8>,
    said_at: Instant,
    /// Frames that have come since the talk began.
    heard: u64,
}

/// Connections that have joined their rooms.
pub struct Floor {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    members: Vec<Member>,
}

impl Floor {
    /// Opens all connections, joins, and takes in what the rooms are told of it.
    pub fn join(chat: &Chat) -> io::Result<Self> {
        chat.create_rooms()?;
        let poll = Poll::new()?;
        let mut members = Vec::new();
        for (room, member) in chat.everybody() {
            let stream = chat.open()?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(members.len()), Interest::READABLE)?;
            let message = masked(&chat.message(room, member));
            members.push(Member { stream, counter: Counter::default(), message, said_at: Instant::now(), heard: 0 });
        }
        let mut floor = Self { poll, events: Events::with_capacity(1024), buffer: vec![0; BUFFER], members };
        let mut joins = chat.everybody().enumerate();
        let most = ON_THEIR_WAY * floor.members.len() as u64;
        let (mut due, mut come) = (0, 0);
        loop {
            while due - come < most
                && let Some((index, (room, member))) = joins.next()
            {
                floor.members[index].write(&masked(&chat.join(room, member)))?;
                due += member as u64 + 1;
            }
            if come == due {
                return Ok(floor);
            }
            come += floor
                .turn(PATIENCE, |_, _, _, _| Ok(()))?
                .ok_or_else(|| io::Error::other(format!("of {due} frames about joins {come} have come, and then none for {PATIENCE:?}")))?;
        }
    }

    /// Keeps the rooms talking.
    pub fn run(mut self, chat: &Chat) -> io::Result<Figures> {
        if let Some(rate) = chat.rate {
            return self.run_open(chat, rate);
        }
        self.members.iter_mut().for_each(|member| member.heard = 0);
        let size = chat.members;
        // Of each room: how many messages have been sent.
        let mut sent = vec![1; chat.rooms];
        for room in 0..chat.rooms {
            self.members[room * size].speak()?;
        }
        let mut tally = Tally::begin(chat)?;
        let mut talk = |floor: &mut Self, time: Duration, tally: &mut Tally| {
            let began = Instant::now();
            while began.elapsed() < time {
                let heard = floor.turn(PATIENCE, |members, index, frames, now| {
                    tally.deliveries += frames;
                    let (room, member) = (index / size, index % size);
                    let sent = &mut sent[room];
                    // Everybody gets all messages of a room, so whoever has as many as were sent has the last one.
                    let is_speaker = (*sent - 1) % size as u64 == member as u64;
                    if is_speaker && members[index].heard == *sent {
                        tally.heard_itself(now - members[index].said_at);
                        *sent += 1;
                        members[room * size + (member + 1) % size].speak()?;
                    }
                    Ok(())
                })?;
                if heard.is_none() {
                    return Err(io::Error::other(format!("nothing has come for {PATIENCE:?}")));
                }
            }
            Ok(began.elapsed())
        };
        talk(&mut self, chat.warm_up(), &mut tally)?;
        tally = Tally::begin(chat)?;
        let seconds = talk(&mut self, chat.seconds(), &mut tally)?;
        tally.end(seconds)
    }

    /// Lets one room after the other talk by the clock, of each its first member, which hears its messages in the order in which it
    /// sent them. It never sleeps: how late a timer is shall not be seen.
    fn run_open(mut self, chat: &Chat, rate: f64) -> io::Result<Figures> {
        let size = chat.members;
        let mut waiting: Vec<VecDeque<Instant>> = vec![VecDeque::new(); chat.rooms];
        let (began, mut said) = (Instant::now(), 0_u64);
        let mut tally = Tally::begin(chat)?;
        for time in [chat.warm_up(), chat.warm_up() + chat.seconds()] {
            tally = Tally::begin(chat)?;
            while began.elapsed() < time {
                loop {
                    let due = began + Duration::from_secs_f64(said as f64 / rate);
                    if due > Instant::now() {
                        break;
                    }
                    let room = usize::try_from(said).unwrap_or(usize::MAX) % chat.rooms;
                    waiting[room].push_back(due);
                    self.members[room * size].speak()?;
                    said += 1;
                }
                self.turn(Duration::ZERO, |_, index, frames, now| {
                    tally.deliveries += frames;
                    if index % size == 0 {
                        let heard = usize::try_from(frames).unwrap_or(usize::MAX).min(waiting[index / size].len());
                        waiting[index / size].drain(..heard).for_each(|due| tally.heard_itself(now - due));
                    }
                    Ok(())
                })?;
            }
        }
        tally.end(chat.seconds())
    }

    /// Sends `messages` from the first member, each once everybody has the one before, and says how many frames have come.
    pub fn broadcast(&mut self, messages: u64) -> io::Result<u64> {
        let each = self.members.len() as u64;
        let mut come = 0;
        for number in 0..messages {
            self.members[0].speak()?;
            while come < (number + 1) * each {
                match self.turn(PATIENCE, |_, _, _, _| Ok(()))? {
                    Some(frames) => come += frames,
                    None => return Ok(come),
                }
            }
        }
        Ok(come)
    }

    /// Waits once, and reads what has come: the number of frames, or none if the patience ran out.
    fn turn(
        &mut self,
        patience: Duration,
        mut heard: impl FnMut(&mut [Member], usize, u64, Instant) -> io::Result<()>,
    ) -> io::Result<Option<u64>> {
        self.poll.poll(&mut self.events, Some(patience))?;
        if self.events.is_empty() {
            return Ok(None);
        }
        let now = Instant::now();
        let mut frames = 0;
        for event in &self.events {
            let index = event.token().0;
            let member = &mut self.members[index];
            let come = member.read(&mut self.buffer)?;
            member.heard += come;
            frames += come;
            heard(&mut self.members, index, come, now)?;
        }
        Ok(Some(frames))
    }
}

impl Member {
    fn speak(&mut self) -> io::Result<()> {
        self.said_at = Instant::now();
        let written = self.stream.write(&self.message)?;
        whole(written, self.message.len())
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let written = self.stream.write(frame)?;
        whole(written, frame.len())
    }

    /// The frames that have come. A read that doesn't fill the buffer has emptied the socket.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<u64> {
        let mut frames = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    frames += self.counter.feed(&buffer[..length])?;
                    if length < buffer.len() {
                        return Ok(frames);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(frames),
                Err(error) => return Err(error),
            }
        }
    }
}

/// In a closed load a socket always has room for the next frame.
fn whole(written: usize, length: usize) -> io::Result<()> {
    if written == length { Ok(()) } else { Err(io::Error::other("a socket has no room for a message")) }
}
