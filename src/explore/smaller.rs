//! Traces that are smaller than a given one, and yet can be played.

use std::collections::BTreeSet;

use super::action::{Action, Actor, Name, Spelling, Trace};
use super::shadow::Shadow;

/// Without what can't be done any more since something before it was deleted.
pub fn repaired(mut trace: Trace) -> Trace {
    let mut shadow = Shadow::new(trace.actors, trace.rooms.len(), None);
    for round in &mut trace.rounds {
        round.retain(|action| shadow.is_possible(action));
        round.iter().for_each(|action| shadow.take(action));
    }
    trace.rounds.retain(|round| !round.is_empty());
    trace
}

/// Without runs of rounds, the longest first.
pub fn without_rounds(trace: &Trace) -> Vec<Trace> {
    let count = trace.rounds.len();
    let mut all = Vec::new();
    let mut size = count.div_ceil(2);
    while size > 0 {
        // The last round is the one that fails; what goes first is what has least to do with it.
        let mut start = 0;
        while start < count {
            let mut less = trace.clone();
            less.rounds.drain(start..(start + size).min(count));
            all.push(repaired(less));
            start += size;
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    all
}

/// Without one of several actions at once, or with them one after the other.
pub fn apart(trace: &Trace) -> Vec<Trace> {
    let mut all = Vec::new();
    for (at, round) in trace.rounds.iter().enumerate().filter(|(_, round)| round.len() > 1) {
        for index in 0..round.len() {
            let mut less = trace.clone();
            less.rounds[at].remove(index);
            all.push(repaired(less));
        }
        let mut split = trace.clone();
        split.rounds.splice(at..=at, round.iter().map(|action| vec![action.clone()]));
        all.push(repaired(split));
    }
    all
}

/// Without one of the actors, or with two of them being one.
pub fn fewer_actors(trace: &Trace) -> Vec<Trace> {
    let mut all = Vec::new();
    for actor in 0..trace.actors {
        let mut less = trace.clone();
        less.rounds.iter_mut().for_each(|round| round.retain(|action| action.actor() != actor));
        all.push(compact(&repaired(less)));
        for other in (0..trace.actors).filter(|other| *other != actor) {
            let mut merged = trace.clone();
            merged
                .rounds
                .iter_mut()
                .flatten()
                .filter(|action| action.actor() == actor && action.is_http())
                .for_each(|action| set_actor(action, other));
            all.push(compact(&repaired(merged)));
        }
    }
    all
}

/// With an actor coming and going by HTTP alone, without a connection.
pub fn by_http(trace: &Trace) -> Vec<Trace> {
    let joins =
        |actor: Actor| trace.rounds.iter().flatten().any(|action| matches!(action, Action::Join { actor: who, .. } if *who == actor));
    let by_http = |actor: Actor| {
        let mut less = trace.clone();
        for round in &mut less.rounds {
            for action in round.iter_mut().filter(|action| action.actor() == actor) {
                match action.clone() {
                    Action::Join { actor, room, user } => *action = Action::HttpJoin { actor, room, user },
                    Action::Leave { actor, room, user } => *action = Action::HttpLeave { actor, room, user },
                    _ => {}
                }
            }
            round.retain(|action| action.actor() != actor || action.is_http());
        }
        repaired(less)
    };
    (0..trace.actors).filter(|actor| joins(*actor)).map(by_http).collect()
}

/// Every choice of some of its rounds in their order, those of the fewest first.
pub fn subsets(trace: &Trace) -> Vec<Trace> {
    let count = trace.rounds.len();
    let mut choices: Vec<u32> = (1..(1_u32 << count.min(16)) - 1).collect();
    choices.sort_by_key(|choice| choice.count_ones());
    let chosen = |choice: u32| {
        let rounds = trace.rounds.iter().enumerate().filter(|(at, _)| choice & (1 << at) != 0).map(|(_, round)| round.clone()).collect();
        repaired(Trace { rounds, ..trace.clone() })
    };
    choices.into_iter().map(chosen).collect()
}

/// With simpler names and texts, all of them first and then each.
pub fn simpler(trace: &Trace) -> Vec<Trace> {
    let mut all = Vec::new();
    let mut plain = trace.clone();
    plain.rooms.iter_mut().chain(&mut plain.users).for_each(Spelling::clear);
    all.push(plain);
    for room in 0..trace.rooms.len() {
        let mut one = trace.clone();
        one.rooms[room].clear();
        all.push(one);
        for other in 0..room {
            all.push(compact(&repaired(renamed(trace, &Name::Room(room), &Name::Room(other)))));
        }
    }
    for user in 0..trace.users.len() {
        let mut one = trace.clone();
        one.users[user].clear();
        all.push(one);
        for other in (0..trace.users.len()).filter(|other| *other < user) {
            all.push(compact(&repaired(renamed(trace, &Name::User(user), &Name::User(other)))));
        }
    }
    for (at, round) in trace.rounds.iter().enumerate() {
        for (index, action) in round.iter().enumerate() {
            let mut put = |simple: Action| {
                let mut one = trace.clone();
                one.rounds[at][index] = simple;
                all.push(one);
            };
            match action {
                Action::Say { actor, room, user, text } => {
                    for simple in ["x", "y"] {
                        put(Action::Say { actor: *actor, room: room.clone(), user: user.clone(), text: simple.to_owned() });
                    }
                    let half: String = text.chars().take(text.chars().count() / 2).collect();
                    if half.len() > 1 {
                        put(Action::Say { actor: *actor, room: room.clone(), user: user.clone(), text: half });
                    }
                }
                Action::Status { actor, room, user, .. } => {
                    put(Action::Status { actor: *actor, room: room.clone(), user: user.clone(), status: "2".to_owned() });
                }
                Action::Raw { actor, .. } => put(Action::Raw { actor: *actor, text: "{}".to_owned() }),
                Action::Written { request, .. } => put(request.as_ref().clone()),
                _ => {}
            }
            if matches!(action.user(), Some(Name::Literal(_))) {
                let mut own = action.clone();
                set_user(&mut own, Name::User(action.actor()));
                put(own);
            }
        }
    }
    let literals = trace.rounds.iter().flatten().filter_map(Action::user).filter(|user| matches!(user, Name::Literal(_)));
    for literal in literals.collect::<BTreeSet<_>>() {
        let mut fresh = renamed(trace, literal, &Name::User(trace.users.len()));
        fresh.users.push(Default::default());
        all.push(compact(&fresh));
    }
    let weight = complexity(trace);
    all.retain(|other| complexity(other) < weight);
    all
}

/// Whether it leaves or speaks under a literal name under which it never enters: such names all traces share, so that another one may
/// have entered for it.
pub fn borrows(trace: &Trace) -> bool {
    let actions = || trace.rounds.iter().flatten();
    let enters = |user: &Name| {
        actions().any(|action| matches!(action.plain(), Action::HttpJoin { user: who, .. } | Action::Join { user: who, .. } if who == user))
    };
    let lives = actions().filter(|action| matches!(action.plain(), Action::HttpLeave { .. } | Action::Leave { .. } | Action::Say { .. }));
    lives.filter_map(Action::user).any(|user| matches!(user, Name::Literal(text) if !text.is_empty()) && !enters(user))
}

/// How much there is to read in a trace: actions first, then who and what they are about.
pub fn complexity(trace: &Trace) -> (usize, usize, usize, usize) {
    let at_once = trace.rounds.iter().filter(|round| round.len() > 1).count();
    let letters = |name: &Spelling| name.before.chars().count() + name.after.chars().count() + usize::from(name.like.is_some());
    let decors = trace.rooms.iter().chain(&trace.users).map(letters).sum::<usize>();
    let texts: usize = trace
        .rounds
        .iter()
        .flatten()
        .map(|action| {
            let text = match action {
                Action::Say { text, .. } if text == "x" => 0,
                Action::Say { text, .. } | Action::Raw { text, .. } => text.chars().count() + 2,
                Action::Status { status, .. } => usize::from(status != "2") + status.len(),
                Action::Written { .. } => 2,
                _ => 0,
            };
            text + usize::from(matches!(action.user(), Some(Name::Literal(_)))) * 3
        })
        .sum();
    (trace.actions(), at_once, trace.actors + trace.rooms.len() + trace.users.len(), decors * 2 + texts)
}

/// The same trace with no actor, room or user that nothing is done with.
pub fn compact(trace: &Trace) -> Trace {
    let actions = || trace.rounds.iter().flatten();
    let raw = |kind: &str, number: usize| {
        actions().any(|action| matches!(action, Action::Raw { text, .. } if text.contains(&format!("${{{kind}{number}}}"))))
    };
    let named = |name: &Name| actions().any(|action| action.room() == Some(name) || action.user() == Some(name));
    let acts = |actor: &usize| actions().any(|action| action.actor() == *actor);
    let actors: Vec<usize> = (0..trace.actors).filter(acts).collect();
    let rooms: Vec<usize> = (0..trace.rooms.len()).filter(|room| named(&Name::Room(*room)) || raw("room", *room)).collect();
    // An actor's own user stands where the actor does, and has its name.
    let others = (0..trace.users.len()).filter(|user| !actors.contains(user) && (named(&Name::User(*user)) || raw("user", *user)));
    let users: Vec<usize> = actors.iter().copied().chain(others).collect();
    let place = |list: &[usize], number: usize| list.iter().position(|kept| *kept == number).unwrap_or(number);
    let rename = |name: &Name| match name {
        Name::Room(room) => Name::Room(place(&rooms, *room)),
        Name::User(user) => Name::User(place(&users, *user)),
        literal => literal.clone(),
    };
    let mut rounds = trace.rounds.clone();
    for action in rounds.iter_mut().flatten() {
        set_actor(action, place(&actors, action.actor()));
        if let Some(room) = action.room().map(&rename) {
            set_room(action, room);
        }
        if let Some(user) = action.user().map(&rename) {
            set_user(action, user);
        }
        if let Action::Raw { text, .. } = action {
            for (kind, kept) in [("room", &rooms), ("user", &users)] {
                for (new, old) in kept.iter().enumerate() {
                    *text = text.replace(&format!("${{{kind}{old}}}"), &format!("${{{kind}-{new}}}"));
                }
                *text = text.replace(&format!("${{{kind}-"), &format!("${{{kind}"));
            }
        }
    }
    // A name whose like is gone is like no other.
    let decor = |list: &[Spelling], kept: &[usize]| {
        let spelt = |number: &usize| match list.get(*number) {
            Some(name) if name.like.is_some_and(|like| !kept.contains(&like)) => Spelling::default(),
            Some(name) => Spelling { like: name.like.map(|like| place(kept, like)), ..name.clone() },
            None => Spelling::default(),
        };
        kept.iter().map(spelt).collect()
    };
    Trace { actors: actors.len(), rooms: decor(&trace.rooms, &rooms), users: decor(&trace.users, &users), rounds }
}

fn renamed(trace: &Trace, from: &Name, to: &Name) -> Trace {
    let mut other = trace.clone();
    for action in other.rounds.iter_mut().flatten() {
        if action.room() == Some(from) {
            set_room(action, to.clone());
        }
        if action.user() == Some(from) {
            set_user(action, to.clone());
        }
    }
    other
}

fn set_actor(action: &mut Action, to: Actor) {
    match action {
        Action::Written { request, .. } => set_actor(request, to),
        Action::Create { actor, .. }
        | Action::HttpJoin { actor, .. }
        | Action::HttpLeave { actor, .. }
        | Action::Status { actor, .. }
        | Action::List { actor }
        | Action::Connect { actor }
        | Action::Close { actor }
        | Action::Abort { actor }
        | Action::Join { actor, .. }
        | Action::Leave { actor, .. }
        | Action::Say { actor, .. }
        | Action::Raw { actor, .. } => *actor = to,
    }
}

fn set_room(action: &mut Action, to: Name) {
    match action {
        Action::Written { request, .. } => set_room(request, to),
        Action::Create { room, .. }
        | Action::HttpJoin { room, .. }
        | Action::HttpLeave { room, .. }
        | Action::Status { room, .. }
        | Action::Join { room, .. }
        | Action::Leave { room, .. }
        | Action::Say { room, .. } => *room = to,
        _ => {}
    }
}

fn set_user(action: &mut Action, to: Name) {
    match action {
        Action::Written { request, .. } => set_user(request, to),
        Action::HttpJoin { user, .. }
        | Action::HttpLeave { user, .. }
        | Action::Status { user, .. }
        | Action::Join { user, .. }
        | Action::Leave { user, .. }
        | Action::Say { user, .. } => *user = to,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::generate::{Shape, generate};

    #[test]
    fn whatever_is_deleted_what_is_left_can_be_played() {
        for number in 0..40 {
            let trace = generate(&Shape { seed: 11, capacity: Some(3), ..Shape::default() }, number);
            let smaller = [without_rounds(&trace), apart(&trace), fewer_actors(&trace), by_http(&trace), simpler(&trace)].concat();
            assert!(!smaller.is_empty());
            for less in smaller {
                assert_eq!(repaired(less.clone()), less);
                let names = less.rounds.iter().flatten().flat_map(|action| [action.room(), action.user()]).flatten();
                for name in names {
                    let known = match name {
                        Name::Room(room) => *room < less.rooms.len(),
                        Name::User(user) => *user < less.users.len(),
                        Name::Literal(_) => true,
                    };
                    assert!(known, "{name:?} in {less:?}");
                }
                assert!(less.rounds.iter().flatten().all(|action| action.actor() < less.actors), "{less:?}");
            }
        }
    }

    #[test]
    fn what_is_simpler_is_never_more_to_read() {
        let trace = generate(&Shape { seed: 2, ..Shape::default() }, 3);
        let weight = complexity(&trace);
        assert!(simpler(&trace).iter().all(|other| complexity(other) < weight));
    }

    fn say(user: Name) -> Action {
        Action::Say { actor: 0, room: Name::Room(0), user, text: "x".into() }
    }

    #[test]
    fn the_smallest_parts_come_first_and_the_whole_is_none_of_them() {
        let rounds: Vec<Vec<Action>> = (0..3).map(|actor| vec![Action::List { actor }]).collect();
        let trace = Trace { actors: 3, rounds, ..Trace::default() };
        let sizes: Vec<usize> = subsets(&trace).iter().map(Trace::actions).collect();
        assert_eq!(sizes, [1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn who_only_comes_and_goes_needs_no_connection() {
        let (room, user) = (Name::Room(0), Name::User(0));
        let trace = Trace {
            actors: 1,
            rooms: vec![Default::default()],
            users: vec![Default::default()],
            rounds: vec![
                vec![Action::Connect { actor: 0 }],
                vec![Action::Join { actor: 0, room: room.clone(), user: user.clone() }],
                vec![say(user.clone())],
            ],
        };
        assert_eq!(by_http(&trace)[0].rounds, [[Action::HttpJoin { actor: 0, room, user }]]);
    }

    #[test]
    fn a_literal_name_is_borrowed_where_nobody_has_entered_under_it() {
        let (room, user) = (Name::Room(0), Name::Literal("null".into()));
        let leave = Action::HttpLeave { actor: 0, room: room.clone(), user: user.clone() };
        let join = Action::HttpJoin { actor: 0, room, user };
        let trace = |rounds| Trace { actors: 1, rounds, ..Trace::default() };
        assert!(borrows(&trace(vec![vec![leave.clone()]])));
        assert!(!borrows(&trace(vec![vec![join], vec![leave]])));
        assert!(!borrows(&trace(vec![vec![say(Name::Literal(String::new()))]])), "nobody enters under no name");
    }
}
