//! Actions at once.

use super::history::*;
use crate::explore::action::Action;

#[test]
fn of_creates_at_once_exactly_one_succeeds() {
    let at_once = [create_by(0, 0), create_by(1, 0), create_by(2, 0)];
    usual().then(&at_once, answers(&[EXISTS, CREATED, EXISTS])).passes();
    usual().then(&at_once, answers(&[CREATED, CREATED, EXISTS])).breaks("CREATE-6");
    usual().then(&at_once, answers(&[EXISTS, EXISTS, EXISTS])).breaks("CREATE-6");
}

#[test]
fn of_joins_at_once_as_many_succeed_as_there_are_places() {
    let inside = || usual().peopled(&[1]);
    let at_once = [http_join(2), http_join(3)];
    inside().then(&at_once, answers(&[FULL, JOINED])).then(&[http_leave(2)], answers(&["user not exist"])).passes();
    inside().then(&at_once, answers(&[JOINED, JOINED])).breaks("ROOM-13");
    inside().then(&at_once, answers(&[FULL, FULL])).breaks("ROOM-13");
}

#[test]
fn whoever_enters_at_once_with_others_hears_of_those_who_come_later() {
    let ready = usual().peopled(&[]).then(&[connect(1)], nothing()).then(&[connect(2)], nothing());
    let told = |came: Came, to: &[usize], user| to.iter().fold(came, |came, to| came.told(*to, user, "join"));
    let at_once = [join(1), join(2)];
    ready.clone().then(&at_once, told(told(nothing(), &[0, 1], 1), &[0, 1, 2], 2)).passes();
    ready.clone().then(&at_once, told(told(nothing(), &[0, 1, 2], 1), &[0, 2], 2)).passes();
    // Each heard of the other, which no order explains.
    ready.then(&at_once, told(told(nothing(), &[0, 1, 2], 1), &[0, 1, 2], 2)).breaks("JOIN-4");
}

#[test]
fn the_messages_of_a_sender_keep_their_order() {
    let inside = || usual().peopled(&[1]);
    let burst = [say(0, "a"), say(0, "b"), say(1, "c")];
    let heard = |came: Came, to, order: &[&str]| order.iter().fold(came, |came, text| came.heard(to, usize::from(*text == "c"), text));
    inside().then(&burst, heard(heard(nothing(), 0, &["a", "c", "b"]), 1, &["c", "a", "b"])).passes();
    inside().then(&burst, heard(heard(nothing(), 0, &["a", "b", "c"]), 1, &["b", "a", "c"])).breaks("MSG-5");
}

#[test]
fn a_leave_at_once_with_a_message_lets_the_leaver_hear_it_or_not() {
    let inside = || usual().peopled(&[1]);
    let at_once = [say(0, "a"), leave(1)];
    let left = || nothing().told(0, 1, "leave").told(1, 1, "leave").heard(0, 0, "a");
    inside().then(&at_once, left()).passes();
    inside().then(&at_once, left().heard(1, 0, "a")).then(&[say(0, "b")], nothing().heard(0, 0, "b")).passes();
    inside().then(&at_once, left().heard(1, 0, "a")).then(&[say(0, "b")], nothing().heard(0, 0, "b").heard(1, 0, "b")).breaks("LEAVE-3");
}

#[test]
fn four_at_once_after_many_vanished_are_still_few_hypotheses() {
    let mut history = usual().peopled(&[1, 2]);
    for round in 0..6 {
        let actor = 1 + round % 2;
        history = history.then(&[Action::Abort { actor }], nothing()).then(&[connect(actor)], nothing());
    }
    let said = [say(0, "a"), say(0, "b"), list(), say(1, "c")];
    let came = listed(&[(0, 3)]).heard(0, 0, "a").heard(0, 0, "b");
    let history = history.then(&said, came).passes();
    assert!(!history.model.is_capped());
}
