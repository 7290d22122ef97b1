//! A variant with other users on the server.

use crate::deviation::Deviation;
use crate::event::Event;
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::request::Request;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const ROOMS: usize = 4;
const USERS_IN_A_ROOM: usize = 5;
const MESSAGES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

struct Crowd;

/// Twenty users in four rooms, who come by the flows, chat, leave and come back.
pub fn crowd() -> Arc<dyn Deviation> {
    Arc::new(Crowd)
}

impl Deviation for Crowd {
    fn start(&self, hub: &Arc<Hub>) {
        for room in 1..=ROOMS {
            for user in 1..=USERS_IN_A_ROOM {
                tokio::spawn(live(Arc::clone(hub), format!("crowd {room}"), format!("user {user}")));
            }
        }
    }
}

async fn live(hub: Arc<Hub>, room_name: String, user_name: String) {
    hub.answer(&Request::Create { room_name: room_name.clone() }).await;
    let (connection, outbox) = hub.connect();
    let packet =
        |kind: &str, msg: &str| json!({"type": kind, "data": {"user_name": user_name, "room_name": room_name, "msg": msg}}).to_string();
    let room = |status: &str| Request::Room { room_name: room_name.clone(), user_name: user_name.clone(), status: status.to_owned() };
    let visit = async || {
        hub.answer(&room("1")).await;
        hub.handle(Event::Text(connection, &packet("join", ""))).await;
        for number in 1..=MESSAGES {
            tokio::time::sleep(PAUSE).await;
            hub.handle(Event::Text(connection, &packet("msg", &format!("message {number}")))).await;
        }
        hub.handle(Event::Text(connection, &packet("leave", ""))).await;
        hub.answer(&room("0")).await;
        tokio::time::sleep(PAUSE).await;
    };
    let visits = async {
        loop {
            visit().await;
        }
    };
    // One task both speaks and listens: an outbox wakes only one.
    tokio::select! {
        () = visits => {}
        () = read(&outbox) => {}
    }
}

/// Takes in what comes, until the connection is to end.
async fn read(outbox: &Outbox) {
    while outbox.attend().is_none() {
        outbox.filled().await;
        while outbox.pop().is_some() {}
    }
}
