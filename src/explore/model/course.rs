//! All ways in which a round may go with a server that keeps to the document, whatever it was seen to do: for a counterexample that
//! such a server passes.

use std::collections::{BTreeSet, HashSet};

use super::Names;
use super::outcome::{Due, Reply};
use super::packet;
use super::search::outcomes;
use super::state::State;
use crate::explore::action::{Action, Actor};

/// The most positions that are looked at; a round with more of them is left alone.
const MOST: usize = 6_000;

/// One way in which a round may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Course {
    /// What each action is answered; none where it is no HTTP request.
    pub replies: Vec<Option<Reply>>,
    pub dues: Vec<Due>,
    /// Whose connections the server ends.
    pub ended: BTreeSet<Actor>,
}

/// How far a round has gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    state: State,
    /// The actions that have happened, as bits.
    done: u32,
    course: Course,
}

/// The courses of a round, each with the state that it leads to; none where there are too many to look at.
pub fn courses(names: &Names, states: &[State], round: &[Action], number: usize) -> Option<Vec<(Course, State)>> {
    let begun = |state: &State| {
        let mut state = state.clone();
        let owed = std::mem::take(&mut state.owed);
        let dues = owed.into_iter().map(|(to, pattern)| Due { to, pattern, proves: None }).collect();
        let course = Course { replies: vec![None; round.len()], dues, ended: BTreeSet::new() };
        Position { state, done: 0, course }
    };
    walk(names, states.iter().map(begun).collect(), round, number, true)
}

/// The states that a round may lead to; none where there are too many to look at.
pub fn states(names: &Names, states: &[State], round: &[Action], number: usize) -> Option<Vec<State>> {
    let begun = states.iter().map(|state| Position { state: state.clone(), done: 0, course: Course::default() }).collect();
    let mut after: Vec<State> = Vec::new();
    let mut seen = HashSet::new();
    for (_, mut state) in walk(names, begun, round, number, false)? {
        state.forget_faded();
        if seen.insert(state.clone()) {
            after.push(state);
        }
    }
    Some(after)
}

fn walk(names: &Names, begun: Vec<Position>, round: &[Action], number: usize, tells: bool) -> Option<Vec<(Course, State)>> {
    let mut open = begun;
    let mut seen: HashSet<Position> = open.iter().cloned().collect();
    let mut found = Vec::new();
    while let Some(position) = open.pop() {
        if seen.len() > MOST {
            return None;
        }
        if position.done.count_ones() as usize == round.len() {
            found.push((position.course.clone(), position.state.clone()));
        }
        let mut next = Vec::new();
        for (at, action) in round.iter().enumerate() {
            let is_done = |other: usize| position.done & (1 << other) != 0;
            let waits = (0..at).any(|other| !is_done(other) && round[other].actor() == action.actor());
            if is_done(at) || waits {
                continue;
            }
            for outcome in outcomes(names, &position.state, action, number) {
                let mut course = position.course.clone();
                if tells {
                    course.replies[at] = outcome.reply;
                    course.dues.extend(outcome.dues);
                    course.ended.extend(outcome.ends.then(|| action.actor()));
                }
                next.push(Position { state: outcome.state, done: position.done | 1 << at, course });
            }
        }
        // The server takes notice of a connection that has ended at any time, and who is told of it may be told later.
        for connection in &position.state.fading {
            for outcome in packet::noticed(&position.state, *connection) {
                let mut position = Position { state: outcome.state, ..position.clone() };
                if tells {
                    position.course.dues.extend(outcome.dues.into_iter().map(|due| Due { proves: None, ..due }));
                } else {
                    position.state.owed.extend(outcome.dues.into_iter().map(|due| (due.to, due.pattern)));
                }
                next.push(position);
            }
        }
        open.extend(next.into_iter().filter(|position| seen.insert(position.clone())));
    }
    Some(found)
}
