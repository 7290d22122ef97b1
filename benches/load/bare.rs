//! The bare client: tokio-tungstenite with small buffers, one thread, a task a connection. It decodes what comes as
//! text and keeps no account of it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::chat::{Chat, Figures, Tally};

const BUFFER: usize = 4 << 10;

type Socket = WebSocketStream<TcpStream>;

pub fn run(chat: &Chat) -> io::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, talk(chat))
}

async fn talk(chat: &Chat) -> io::Result<Figures> {
    chat.create_rooms()?;
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    let mut members = Vec::new();
    for (room, member) in chat.everybody() {
        let stream = chat.open()?;
        stream.set_nonblocking(true)?;
        let mut socket = WebSocketStream::from_raw_socket(TcpStream::from_std(stream)?, Role::Client, Some(config)).await;
        socket.send(Message::text(chat.join(room, member))).await.map_err(io::Error::other)?;
        next(&mut socket).await?;
        members.push((room, member, socket));
    }
    // Who joined earlier has been told of those who joined later.
    for (_, member, socket) in &mut members {
        for _ in *member + 1..chat.members {
            next(socket).await?;
        }
    }
    let tally = Rc::new(RefCell::new(Tally::begin(chat)?));
    let mut members = members.into_iter();
    for room in 0..chat.rooms {
        let (mut mouths, mut ears) = (Vec::new(), Vec::new());
        for (_, member, socket) in members.by_ref().take(chat.members) {
            let (mouth, ear) = socket.split();
            mouths.push((mouth, chat.message(room, member)));
            ears.push(ear);
        }
        let room = Rc::new(tokio::sync::Mutex::new(Room { mouths, sent: 0, said_at: Instant::now() }));
        room.lock().await.speak().await?;
        for (member, ear) in ears.into_iter().enumerate() {
            tokio::task::spawn_local(take_part(ear, member as u64, Rc::clone(&room), Rc::clone(&tally)));
        }
    }
    tokio::time::sleep(chat.warm_up()).await;
    let began = Instant::now();
    *tally.borrow_mut() = Tally::begin(chat)?;
    tokio::time::sleep(chat.seconds()).await;
    tally.borrow().end(began.elapsed())
}

async fn next(socket: &mut Socket) -> io::Result<Message> {
    socket.next().await.ok_or(io::ErrorKind::UnexpectedEof)?.map_err(io::Error::other)
}

/// A room's members speak in turns.
struct Room {
    mouths: Vec<(SplitSink<Socket, Message>, String)>,
    sent: u64,
    said_at: Instant,
}

impl Room {
    async fn speak(&mut self) -> io::Result<()> {
        let speaker = self.sent as usize % self.mouths.len();
        self.sent += 1;
        self.said_at = Instant::now();
        let (mouth, message) = &mut self.mouths[speaker];
        mouth.send(Message::text(message.as_str())).await.map_err(io::Error::other)
    }
}

async fn take_part(
    mut ear: SplitStream<Socket>,
    member: u64,
    room: Rc<tokio::sync::Mutex<Room>>,
    tally: Rc<RefCell<Tally>>,
) -> io::Result<()> {
    for heard in 1.. {
        ear.next().await.ok_or(io::ErrorKind::UnexpectedEof)?.map_err(io::Error::other)?;
        tally.borrow_mut().deliveries += 1;
        let mut room = room.lock().await;
        // Everybody gets all messages of a room, so whoever has as many as were sent has the last one.
        if room.sent == heard && (heard - 1) % room.mouths.len() as u64 == member {
            tally.borrow_mut().heard_itself(room.said_at.elapsed());
            room.speak().await?;
        }
    }
    Ok(())
}
