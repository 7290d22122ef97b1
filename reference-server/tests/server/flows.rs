//! The flows of the document, from end to end.

use crate::support::{Server, error, packet, user_packet};
use reference_server::Config;

#[tokio::test]
async fn the_life_of_a_room() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    assert_eq!(server.create("lobby").await, "chatroom already exist");

    assert_eq!(server.room("lobby", "bob", "1").await, "join chatroom");
    let mut bob = server.connect().await;
    assert_eq!(bob.ask("join", "bob", "lobby", "").await, user_packet("bob", "lobby", "join"));
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "join"));
    assert_eq!(server.populations().await, [("lobby".to_owned(), 2)]);

    let text = "你好 \"\\ \n\u{1F600}<b>&amp;";
    assert_eq!(ann.ask("msg", "ann", "lobby", text).await, packet("msg", "ann", "lobby", text));
    assert_eq!(bob.receive().await, packet("msg", "ann", "lobby", text));

    assert_eq!(bob.ask("leave", "bob", "lobby", "").await, user_packet("bob", "lobby", "leave"));
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "leave"));
    assert_eq!(server.room("lobby", "bob", "0").await, "leave chatroom");
    assert_eq!(server.room("lobby", "bob", "0").await, "user not exist");
    assert_eq!(server.populations().await, [("lobby".to_owned(), 1)]);

    assert_eq!(ann.ask("msg", "ann", "lobby", "alone").await["data"]["msg"], "alone");
    bob.nothing_more().await;

    assert_eq!(ann.ask("leave", "ann", "lobby", "").await, user_packet("ann", "lobby", "leave"));
    assert_eq!(server.room("lobby", "ann", "0").await, "leave chatroom");
    assert_eq!(server.populations().await, [("lobby".to_owned(), 0)]);
    server.stop().await;
}

#[tokio::test]
async fn a_member_that_leaves_by_http_is_out_of_the_room() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let mut bob = server.enter("lobby", "bob").await;
    ann.receive().await;

    assert_eq!(server.room("lobby", "bob", "0").await, "leave chatroom");
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "leave"));
    assert_eq!(bob.receive().await, user_packet("bob", "lobby", "leave"));
    assert_eq!(bob.ask("msg", "bob", "lobby", "still here").await, error("user not exist"));
    ann.nothing_more().await;
}

#[tokio::test]
async fn a_member_that_vanishes_leaves_and_frees_its_place() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let bob = server.enter("lobby", "bob").await;
    ann.receive().await;
    bob.reset();
    assert_eq!(ann.receive().await, user_packet("bob", "lobby", "leave"));
    assert_eq!(server.populations().await, [("lobby".to_owned(), 1)]);
    assert_eq!(ann.ask("msg", "ann", "lobby", "on").await["data"]["msg"], "on");
}

#[tokio::test]
async fn every_member_sees_the_same_order() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let mut bob = server.enter("lobby", "bob").await;
    ann.receive().await;
    let (mut seen_by_ann, mut seen_by_bob) = (Vec::new(), Vec::new());
    for number in 0..100 {
        ann.say("msg", "ann", "lobby", &number.to_string()).await;
        bob.say("msg", "bob", "lobby", &number.to_string()).await;
    }
    for _ in 0..200 {
        seen_by_ann.push(ann.receive().await);
        seen_by_bob.push(bob.receive().await);
    }
    assert_eq!(seen_by_ann, seen_by_bob);
    let from_ann = seen_by_ann.iter().filter(|packet| packet["data"]["user_name"] == "ann");
    let numbers: Vec<_> = from_ann.map(|packet| packet["data"]["msg"].as_str().unwrap().to_owned()).collect();
    assert_eq!(numbers, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn strangers_and_impostors_are_refused() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.create_and_enter("lobby", "ann").await;
    let mut eve = server.connect().await;
    assert_eq!(eve.ask("msg", "ann", "lobby", "hi").await, error("user not exist"));
    assert_eq!(eve.ask("leave", "ann", "lobby", "").await, error("user not exist"));
    assert_eq!(eve.ask("msg", "eve", "nowhere", "hi").await, error("invalid room"));
    assert_eq!(eve.ask("leave", "eve", "nowhere", "").await, error("invalid room"));
    assert_eq!(eve.ask("join", "eve", "nowhere", "").await, error("invalid room"));
    for kind in ["user", "error", "shout"] {
        assert_eq!(eve.ask(kind, "ann", "lobby", "hi").await, error("invalid message"));
    }
    ann.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rooms_at_once_lose_nothing() {
    const ROOMS: usize = 20;
    const MEMBERS: usize = 10;
    const MESSAGES: usize = 20;
    let rooms = (0..ROOMS).map(|room| format!("room {room}")).collect();
    let server = Server::start(Config { rooms, ..Config::default() }).await;
    let mut tasks = Vec::new();
    for room in (0..ROOMS).map(|room| format!("room {room}")) {
        let mut members = Vec::new();
        for member in 0..MEMBERS {
            members.push((server.enter(&room, &member.to_string()).await, member));
        }
        for (mut client, member) in members {
            let room = room.clone();
            tasks.push(tokio::spawn(async move {
                for number in 0..MESSAGES {
                    client.say("msg", &member.to_string(), &room, &number.to_string()).await;
                }
                let mut next = [0; MEMBERS];
                while next != [MESSAGES; MEMBERS] {
                    let packet = client.receive().await;
                    if packet["type"] == "user" {
                        continue;
                    }
                    assert_eq!(packet["data"]["room_name"], room);
                    let sender: usize = packet["data"]["user_name"].as_str().unwrap().parse().unwrap();
                    assert_eq!(packet["data"]["msg"], next[sender].to_string());
                    next[sender] += 1;
                }
                client
            }));
        }
    }
    let mut clients = Vec::new();
    for task in tasks {
        clients.push(task.await.unwrap());
    }
    for client in &mut clients {
        client.nothing_more().await;
    }
}
