//! The bare client: tokio-tungstenite with small buffers, one thread, a task a connection. It decodes what comes as
//! text and keeps no account of it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

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
    for (room, member, socket) in members {
        let message = (member == 0).then(|| chat.message(room, member));
        tokio::task::spawn_local(take_part(socket, message, Rc::clone(&tally)));
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

async fn take_part(mut socket: Socket, message: Option<String>, tally: Rc<RefCell<Tally>>) -> io::Result<()> {
    let mut said_at = Instant::now();
    if let Some(message) = &message {
        socket.send(Message::text(message.as_str())).await.map_err(io::Error::other)?;
    }
    loop {
        next(&mut socket).await?;
        tally.borrow_mut().deliveries += 1;
        if let Some(message) = &message {
            tally.borrow_mut().heard_itself(said_at.elapsed());
            said_at = Instant::now();
            socket.send(Message::text(message.as_str())).await.map_err(io::Error::other)?;
        }
    }
}
