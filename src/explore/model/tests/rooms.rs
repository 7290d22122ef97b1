//! Entering, leaving and speaking.

use super::history::*;
use crate::explore::action::{Action, Name, Packet};
use crate::explore::model::Pattern;

#[test]
fn the_flows_of_the_document_pass_under_every_reading() {
    for history in [usual(), open()] {
        let history = history
            .peopled(&[1, 2])
            .then(&[say(1, "hello")], nothing().heard(0, 1, "hello").heard(1, 1, "hello").heard(2, 1, "hello"))
            .then(&[list()], listed(&[(0, 3)]))
            .then(&[leave(1)], nothing().told(0, 1, "leave").told(1, 1, "leave").told(2, 1, "leave"))
            .then(&[http_leave(1)], answers(&[LEFT]))
            .then(&[leave(0)], nothing().told(0, 0, "leave").told(2, 0, "leave"))
            .then(&[http_leave(0)], answers(&[LEFT]))
            .then(&[http_leave(0)], answers(&["user not exist"]))
            .then(&[list()], listed(&[(0, 1)]))
            .passes();
        assert!(history.model.reached().contains("three members"));
        assert!(history.model.exercised().keys().any(|id| id.as_str() == "LEAVE-2"));
    }
}

#[test]
fn entering_is_answered_and_told_once_to_everybody_inside() {
    let inside = || usual().peopled(&[1]).then(&[http_join(2)], answers(&[JOINED])).then(&[connect(2)], nothing());
    let told = |to: &[usize]| to.iter().fold(nothing(), |came, to| came.told(*to, 2, "join"));
    inside().then(&[join(2)], told(&[0, 1, 2])).passes();
    inside().then(&[join(2)], told(&[0, 1])).breaks("JOIN-2");
    inside().then(&[join(2)], told(&[0, 2])).breaks("JOIN-3");
    inside().then(&[join(2)], told(&[0, 1, 1, 2])).breaks("JOIN-4");
    inside().then(&[join(2)], told(&[0, 1]).told(2, 2, "create")).breaks("JOIN-2");
    inside().then(&[join(2)], told(&[0, 2]).told_in(1, 1, 2, "join")).breaks("JOIN-3");
    usual()
        .then(&[create(0)], answers(&[CREATED]))
        .then(&[connect(0)], nothing())
        .then(&[join(0)], nothing().told(0, 0, "join"))
        .breaks("JOIN-1");
}

#[test]
fn leaving_is_answered_and_told_and_ends_what_the_leaver_hears() {
    let inside = || usual().peopled(&[1, 2]);
    let all = || nothing().told(0, 1, "leave").told(1, 1, "leave").told(2, 1, "leave");
    inside().then(&[leave(1)], nothing().told(0, 1, "leave").told(2, 1, "leave")).breaks("LEAVE-1");
    inside().then(&[leave(1)], nothing().told(0, 1, "leave").told(1, 1, "leave")).breaks("LEAVE-2");
    inside().then(&[leave(1)], all().told(2, 1, "leave")).breaks("LEAVE-2");
    inside().then(&[leave_as(1, 2)], nothing().told(0, 2, "leave").told(2, 2, "leave")).breaks("LEAVE-4");
    let left = || inside().then(&[leave(1)], all());
    left().then(&[say(0, "a")], nothing().heard(0, 0, "a").heard(1, 0, "a").heard(2, 0, "a")).breaks("LEAVE-3");
    left().then(&[http_leave(1)], answers(&["user not exist"])).breaks("ROOM-2");
    left().then(&[http_leave(1)], answers(&[LEFT]).told(0, 1, "leave")).breaks("LEAVE-2");
    left().then(&[leave(1)], nothing().error(1, "whatever")).passes();
    left().then(&[leave(1)], nothing().ended(1)).passes();
}

#[test]
fn a_message_reaches_everybody_inside_once_unchanged_and_nobody_else() {
    let inside = || usual().peopled(&[1]).then(&[connect(3)], nothing());
    let both = || nothing().heard(0, 0, "a").heard(1, 0, "a");
    inside().then(&[say(0, "a")], both()).passes();
    inside().then(&[say(0, "a")], nothing().heard(1, 0, "a")).breaks("MSG-1");
    inside().then(&[say(0, "a")], nothing().heard(0, 0, "a")).breaks("MSG-2");
    inside().then(&[say(0, "a")], both().heard(1, 0, "a")).breaks("MSG-2");
    inside().then(&[say(0, "a")], both().heard(3, 0, "a")).breaks("MSG-3");
    let finding = inside().then(&[say(0, "a")], nothing().heard(0, 0, "a").heard(1, 0, "A")).breaks("MSG-4");
    assert_eq!(finding.missing, [(1, Pattern::msg(&Name::User(0), &Name::Room(0), "a"))]);
    assert_eq!(finding.forbidden, [(1, Packet::Msg { user: Name::User(0), room: Name::Room(0), text: "A".into() })]);
    inside().then(&[say(3, "a")], nothing().heard(0, 3, "a")).breaks("MSG-6");
    inside().then(&[say_as(1, 0, "a")], both()).breaks("MSG-8");
    inside().then(&[say_as(1, 0, "a")], nothing().heard(0, 1, "a").heard(1, 1, "a")).passes();
    let other = Packet::Other(r#"{"type":"join","data":{}}"#.to_owned());
    inside().then(&[say(0, "a")], both().got(1, other)).breaks("PKT-3");
}

#[test]
fn a_mistake_is_answered_by_its_own_text_alone_and_changes_nothing() {
    let inside = || usual().peopled(&[1]);
    let cases = [
        ("{}", "invalid message", "ERR-3"),
        (r#"{"type":"join"}"#, "invalid message", "ERR-2"),
        (r#"{"data":{}}"#, "invalid message", "ERR-1"),
        (r#"{"type":"msg","data":{"room_name":"${room0}","msg":"x"}}"#, "invalid data", "ERR-4"),
        (r#"{"type":"leave","data":{"user_name":"${user0}","msg":"x"}}"#, "invalid data", "ERR-5"),
        (r#"{"type":"msg","data":{"user_name":"${user0}","room_name":"${room0}"}}"#, "invalid data", "ERR-6"),
        (r#"{"type":"join","data":{"user_name":"","room_name":"${room0}","msg":""}}"#, "illegal data", "ERR-8"),
        (r#"{"type":"msg","data":{"user_name":"${user0}","room_name":"${room0}","msg":""}}"#, "null message", "ERR-10"),
        (r#"{"type":"msg","data":null}"#, "invalid message", "ERR-11"),
        (r#"{"type":"msg","data":{}}"#, "invalid data", "ERR-11"),
    ];
    for (text, right, requirement) in cases {
        inside().then(&[raw(0, text)], nothing().error(0, right)).passes();
        inside().then(&[raw(0, text)], nothing()).breaks(requirement);
        inside().then(&[raw(0, text)], nothing().error(0, "oops")).breaks(requirement);
        inside().then(&[raw(0, text)], nothing().error(0, right).error(1, right)).breaks("ERR-12");
        inside().then(&[raw(0, text)], nothing().error(0, right).ended(0)).breaks("ERR-13");
    }
    for (text, requirement) in [("oops", "ROB-1"), ("[1]", "ROB-2"), (r#"{"type":[]}"#, "ROB-3"), (r#"{"type":"x"}"#, "ROB-4")] {
        inside().then(&[raw(0, text)], nothing().error(0, "whatever")).passes();
        inside().then(&[raw(0, text)], nothing().ended(0)).passes();
        inside().then(&[raw(0, text)], nothing()).breaks(requirement);
    }
    let user = r#"{"type":"user","data":{"user_name":"${user0}","room_name":"${room0}","msg":"join"}}"#;
    inside().then(&[raw(0, user)], nothing()).passes();
    inside().then(&[raw(0, user)], nothing().told(1, 0, "join")).breaks("PKT-4");
    let two = r#"{"type":"msg","data":{"user_name":"","room_name":"${room0}","msg":""}}"#;
    inside().then(&[raw(0, two)], nothing().error(0, "null message")).passes();
    inside().then(&[raw(0, two)], nothing().error(0, "invalid message")).breaks("ERR-14");
}

#[test]
fn a_connection_that_ends_by_itself_ends_after_the_error_that_answers_its_fence() {
    let inside = || usual().peopled(&[1, 2]);
    let said = || nothing().heard(0, 0, "a").heard(1, 0, "a").heard(2, 0, "a");
    inside().then(&[say(0, "a")], said().ended(1)).breaks("ERR-13");
    inside().then(&[http_join(3)], answers(&["full room"]).ended(1)).breaks("ERR-13");
    inside().then(&[raw(0, "oops")], nothing().error(0, "whatever").ended(1)).breaks("ROB-1");
    inside().then(&[Action::Abort { actor: 2 }], nothing().ended(1)).breaks("GONE-1");
}

#[test]
fn what_is_open_is_allowed_until_it_has_shown_itself() {
    // No value of the reading is called so, which is as good as not knowing it.
    let asked = || pinned(&[("R-ENTRY-ORDER", "open to all")]).peopled(&[1]).then(&[connect(2)], nothing());
    let entered = |came: Came, actor| came.told(0, actor, "join").told(1, actor, "join").told(actor, actor, "join");
    asked().then(&[join(2)], entered(nothing(), 2)).passes();
    asked().then(&[join(2)], nothing()).passes();
    // A server that wants the HTTP join once wants it always.
    let strict = asked().then(&[join(2)], nothing().error(2, "first by HTTP")).then(&[connect(3)], nothing());
    strict.clone().then(&[join(3)], nothing().ended(3)).passes();
    strict.then(&[join(3)], entered(nothing(), 3)).breaks("READ-1");
}

#[test]
fn a_vanished_member_is_told_of_when_the_server_notices() {
    let gone = || usual().peopled(&[1, 2]).then(&[Action::Abort { actor: 1 }], nothing());
    let told = || nothing().told(0, 1, "leave").told(2, 1, "leave");
    gone().then(&[list()], listed(&[(0, 3)])).then(&[connect(3)], told()).then(&[list()], listed(&[(0, 2)])).passes();
    gone().then(&[list()], listed(&[(0, 1)])).breaks("LIST-5");
    // One is told before its fence, and the other after it.
    let half = || gone().then(&[connect(3)], nothing().told(0, 1, "leave"));
    half().then(&[list()], listed(&[(0, 2)]).told(2, 1, "leave")).passes();
    half().then(&[list()], listed(&[(0, 2)])).breaks("GONE-2");
    usual().peopled(&[1, 2]).then(&[Action::Close { actor: 1 }], told()).then(&[list()], listed(&[(0, 2)])).passes();
    gone().then(&[connect(3)], told()).then(&[connect(1)], nothing().told(0, 1, "leave")).breaks("LEAVE-2");
}

#[test]
fn readings_of_rooms_and_names_are_followed() {
    let two = |value| pinned(&[("R-TWO-ROOMS", value)]).peopled(&[1]).then(&[create(1)], answers(&[CREATED]));
    two("allowed").then(&[join_as(1, 1, 1)], nothing().told_in(1, 1, 1, "create")).passes();
    two("refused").then(&[join_as(1, 1, 1)], nothing().told_in(1, 1, 1, "create")).breaks("READ-1");
    let moved = nothing().told(0, 1, "leave").told(1, 1, "leave").told_in(1, 1, 1, "create");
    two("moves").then(&[join_as(1, 1, 1)], moved).then(&[say(0, "a")], nothing().heard(0, 0, "a")).passes();
    let unknown = |value| pinned(&[("R-MISSING-ROOM", value)]).then(&[connect(0)], nothing());
    unknown("made").then(&[join(0)], nothing().told(0, 0, "create")).then(&[list()], listed(&[(0, 1)])).passes();
    unknown("refused").then(&[join(0)], nothing()).then(&[list()], listed(&[])).passes();
    unknown("refused").then(&[join(0)], nothing().told(0, 0, "create")).breaks("READ-1");
    let twin = |value| pinned(&[("R-SAME-NAME", value)]).peopled(&[1]).then(&[connect(2)], nothing());
    let inside = twin("both").then(&[join_as(2, 0, 1)], nothing().told(2, 1, "join")).then(&[list()], listed(&[(0, 2)]));
    inside.then(&[say(0, "a")], nothing().heard(0, 0, "a").heard(1, 0, "a").heard(2, 0, "a")).passes();
    twin("refused").then(&[join_as(2, 0, 1)], nothing()).then(&[say(0, "a")], nothing().heard(0, 0, "a").heard(1, 0, "a")).passes();
    twin("refused").then(&[join_as(2, 0, 1)], nothing().told(2, 1, "join")).breaks("READ-1");
}
