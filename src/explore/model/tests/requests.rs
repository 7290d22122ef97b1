//! HTTP: answers, populations, places, and what a refused request must not change.

use super::history::*;
use crate::explore::action::{Action, Blank, Name, Way, Writing};

fn status(text: &str) -> Action {
    Action::Status { actor: 0, room: Name::Room(0), user: Name::User(0), status: text.to_owned() }
}

#[test]
fn each_request_has_its_text() {
    let empty = |room: Name, user: Name| Action::HttpJoin { actor: 0, room, user };
    let made = || usual().then(&[create(0)], answers(&[CREATED]));
    usual().then(&[create(0)], answers(&["created"])).breaks("CREATE-1");
    made().then(&[create(0)], answers(&[EXISTS])).passes();
    made().then(&[create(0)], answers(&[CREATED])).breaks("CREATE-2");
    usual().then(&[http_join(0)], answers(&["invalid room"])).passes();
    usual().then(&[http_join(0)], answers(&[JOINED])).breaks("ROOM-3");
    made().then(&[http_join(0)], answers(&["joined chatroom"])).breaks("ROOM-1");
    made().then(&[http_leave(0)], answers(&[LEFT])).breaks("ROOM-5");
    made().then(&[http_join(0)], answers(&[JOINED])).then(&[http_leave(0)], answers(&["left"])).breaks("ROOM-2");
    for odd in ["2", "-1", "abc"] {
        made().then(&[status(odd)], answers(&["invalid status"])).passes();
        made().then(&[status(odd)], answers(&[JOINED])).breaks("ROOM-4");
        usual().then(&[status(odd)], answers(&["invalid room"])).passes();
        usual().then(&[status(odd)], answers(&[JOINED])).breaks("ROOM-12");
    }
    let nobody = || empty(Name::Room(0), Name::Literal(String::new()));
    made().then(&[nobody()], nothing().answer_with(400, "whatever")).passes();
    made().then(&[nobody()], answers(&[JOINED])).breaks("ROOM-7");
    made().then(&[nobody()], nothing().answer_with(500, "")).breaks("ROOM-7");
    let nameless = || Action::Create { actor: 0, room: Name::Literal(String::new()) };
    usual().then(&[nameless()], nothing().answer_with(400, "")).passes();
    usual().then(&[nameless()], answers(&[CREATED])).breaks("CREATE-4");
}

#[test]
fn a_room_is_listed_once_with_the_people_in_it() {
    let made = || usual().then(&[create(0)], answers(&[CREATED])).then(&[create(1)], answers(&[CREATED]));
    made().then(&[list()], listed(&[(0, 0), (1, 0)])).passes();
    made().then(&[list()], listed(&[(1, 0)])).breaks("LIST-4");
    made().then(&[list()], listed(&[(0, 0)])).breaks("CREATE-5");
    made().then(&[list()], listed(&[(0, 0), (0, 0), (1, 0)])).breaks("LIST-4");
    made().then(&[list()], listed(&[(0, -1), (1, 0)])).breaks("LIST-3");
    let joined = || made().then(&[http_join(1)], answers(&[JOINED]));
    joined().then(&[list()], listed(&[(0, 1), (1, 0)])).passes();
    joined().then(&[list()], listed(&[(0, 0), (1, 0)])).breaks("LIST-5");
    for (reading, by_http, by_both) in [("either", 1, 2), ("http", 1, 1), ("ws", 0, 1)] {
        let history = || pinned(&[("R-POPULATION", reading)]).then(&[create(0)], answers(&[CREATED])).then(&[connect(0)], nothing());
        let history = history().then(&[http_join(1)], answers(&[JOINED])).then(&[list()], listed(&[(0, by_http)]));
        history.then(&[join(0)], nothing().told(0, 0, "create")).then(&[list()], listed(&[(0, by_both)])).passes();
    }
}

#[test]
fn a_list_keeps_its_name_and_has_no_room_without_one() {
    let rooms = || vec![(Name::Room(0), 0)];
    let once = || usual().then(&[create(0)], answers(&[CREATED])).then(&[list()], listed_as("rooms", rooms()));
    once().then(&[list()], listed_as("rooms", rooms())).passes();
    once().then(&[list()], listed_as("room_list", rooms())).breaks("LIST-1");
    let nameless = || listed_as("rooms", vec![(Name::Literal(String::new()), 0), (Name::Room(0), 0)]);
    let create_nameless = Action::Create { actor: 0, room: Name::Literal(String::new()) };
    // Whoever else may have made it, this trace has not.
    once().then(&[list()], nameless()).passes();
    once().then(&[create_nameless], answers(&["whatever"])).then(&[list()], nameless()).breaks("LIST-6");
}

#[test]
fn a_room_that_belongs_to_no_trace_may_have_been_made_by_another() {
    let create = || Action::Create { actor: 0, room: Name::Literal("0".to_owned()) };
    let written = Action::Written { request: Box::new(create()), writing: Writing { way: Some(Way::PostForm), blank: Blank::Empty } };
    for came in [CREATED, EXISTS] {
        usual().then(&[create()], answers(&[came])).then(&[list()], listed(&[])).passes();
        usual().then(std::slice::from_ref(&written), answers(&[came])).passes();
    }
    usual().then(&[written], answers(&["invalid room"])).breaks("CREATE-1");
}

#[test]
fn a_refused_request_changes_nothing() {
    let inside = || usual().peopled(&[1]).then(&[list()], listed(&[(0, 2)]));
    let refused = |action: Action, text| inside().then(&[action], answers(&[text]));
    refused(create(0), EXISTS).then(&[list()], listed(&[(0, 2)])).passes();
    refused(create(0), EXISTS).then(&[list()], listed(&[(0, 3)])).breaks("CREATE-3");
    refused(create(0), EXISTS).then(&[list()], listed(&[(0, 2), (0, 2)])).breaks("LIST-6");
    refused(http_leave(3), "user not exist").then(&[list()], listed(&[(0, 1)])).breaks("ROOM-9");
    usual().then(&[http_join(0)], answers(&["invalid room"])).then(&[list()], listed(&[(0, 1)])).breaks("LIST-6");
}

#[test]
fn a_full_room_takes_nobody_until_somebody_leaves() {
    let full = || usual().peopled(&[1, 2]);
    full().then(&[http_join(3)], answers(&[FULL])).passes();
    full().then(&[http_join(3)], answers(&[JOINED])).breaks("ROOM-6");
    full().then(&[connect(3)], nothing()).then(&[join(3)], nothing().error(3, "full room")).passes();
    let entered = (0..4).fold(nothing(), |came, to| came.told(to, 3, "join"));
    full().then(&[connect(3)], nothing()).then(&[join(3)], entered).breaks("JOIN-5");
    let left = full().then(&[leave(2)], nothing().told(0, 2, "leave").told(1, 2, "leave").told(2, 2, "leave"));
    let freed = left.clone().then(&[http_leave(2)], answers(&[LEFT]));
    freed.clone().then(&[http_join(3)], answers(&[JOINED])).passes();
    freed.then(&[http_join(3)], answers(&[FULL])).breaks("ROOM-8");
    left.then(&[http_join(3)], answers(&[JOINED])).breaks("ROOM-6");
    // Where the capacity isn't known, the first refusal shows it.
    let unknown = open().then(&[create(0)], answers(&[CREATED])).then(&[http_join(0)], answers(&[JOINED]));
    let known = unknown.then(&[http_join(1)], answers(&[FULL])).then(&[http_leave(0)], answers(&[LEFT]));
    known.clone().then(&[http_join(1)], answers(&[JOINED])).then(&[http_join(2)], answers(&[JOINED])).breaks("ROOM-6");
    known.then(&[http_join(1)], answers(&[FULL])).breaks("ROOM-8");
}

#[test]
fn a_second_http_join_follows_its_reading() {
    let joined = |value| {
        let made = pinned(&[("R-REJOIN", value)]).then(&[create(0)], answers(&[CREATED]));
        made.then(&[http_join(1)], answers(&[JOINED]))
    };
    joined("once").then(&[http_join(1)], answers(&[JOINED])).then(&[list()], listed(&[(0, 1)])).passes();
    joined("once").then(&[http_join(1)], answers(&[FULL])).breaks("READ-1");
    joined("refused").then(&[http_join(1)], answers(&["no"])).then(&[http_leave(1)], answers(&[LEFT])).passes();
    let again = || joined("again").then(&[http_join(1)], answers(&[JOINED])).then(&[http_leave(1)], answers(&[LEFT]));
    again().then(&[http_leave(1)], answers(&[LEFT])).then(&[http_leave(1)], answers(&["user not exist"])).passes();
    again().then(&[http_leave(1)], answers(&["user not exist"])).breaks("ROOM-2");
}

#[test]
fn an_emptied_room_stays_or_goes() {
    let emptied = |value| {
        let history = pinned(&[("R-RELEASE", value)]).peopled(&[]).then(&[leave(0)], nothing().told(0, 0, "leave"));
        history.then(&[http_leave(0)], answers(&[LEFT]))
    };
    emptied("place").then(&[join(0)], nothing().told(0, 0, "join")).passes();
    emptied("place").then(&[join(0)], nothing().told(0, 0, "create")).breaks("JOIN-2");
    emptied("place").then(&[create(0)], answers(&[CREATED])).breaks("CREATE-2");
    let gone = emptied("room-when-empty").then(&[list()], listed(&[])).then(&[create(0)], answers(&[CREATED]));
    gone.then(&[join(0)], nothing().told(0, 0, "create")).passes();
}
