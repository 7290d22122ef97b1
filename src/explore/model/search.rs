//! Looks for an order of a round's actions, and for outcomes of them, that explain what was observed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};

use super::outcome::{Due, Outcome, Pattern, Reply};
use super::state::State;
use super::{Names, entry, malformed, packet, request};
use crate::explore::action::{Action, Actor, Observed, Packet};

/// Steps after which the search for the nearest explanation takes what it has.
const BUDGET: usize = 4_000;

/// What an action may come to.
pub fn outcomes(names: &Names, state: &State, action: &Action, round: usize) -> Vec<Outcome> {
    match action.plain() {
        Action::Create { room, .. } => request::create(names, state, room),
        Action::HttpJoin { room, user, .. } => request::room(names, state, room, user, "1"),
        Action::HttpLeave { room, user, .. } => request::room(names, state, room, user, "0"),
        Action::Status { room, user, status, .. } => request::room(names, state, room, user, status),
        Action::List { .. } => request::list(state),
        Action::Connect { actor } => {
            let mut connected = state.clone();
            connected.connect(*actor, u16::try_from(round).unwrap_or(u16::MAX));
            vec![Outcome::new(connected, "CONN-1")]
        }
        Action::Close { actor } | Action::Abort { actor } => {
            let mut ended = state.clone();
            ended.disconnect(*actor);
            vec![Outcome::new(ended, "GONE-1")]
        }
        Action::Join { actor, room, user } => entry::join(names, state, *actor, room, user),
        Action::Leave { actor, room, user } => packet::leave(state, *actor, room, user),
        Action::Say { actor, room, user, text } => packet::say(state, *actor, room, user, text),
        Action::Raw { actor, text } => malformed::raw(names, state, *actor, text),
        Action::Written { .. } => Vec::new(),
    }
}

/// What doesn't fit between what was observed and the nearest explanation.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrong {
    Answer {
        action: usize,
        reply: Reply,
        proves: &'static str,
    },
    Missing {
        to: Actor,
        pattern: Pattern,
        proves: &'static str,
    },
    /// It came, though after a later one of the same sender.
    Overtaken {
        to: Actor,
        packet: usize,
    },
    Extra {
        to: Actor,
        packet: usize,
    },
    Ended {
        actor: Actor,
    },
    Open {
        actor: Actor,
        proves: &'static str,
    },
}

impl Wrong {
    /// How far away from what was observed it is.
    fn cost(&self) -> u32 {
        match self {
            Wrong::Answer { .. } => 6,
            Wrong::Ended { .. } | Wrong::Open { .. } => 5,
            Wrong::Missing { .. } | Wrong::Extra { .. } => 3,
            Wrong::Overtaken { .. } => 1,
        }
    }
}

/// How far an explanation has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    state: State,
    /// The actions that have happened, as bits.
    done: u32,
    /// The packets that are explained, by actor and place.
    taken: BTreeSet<(Actor, usize)>,
    /// Packets that may come beside.
    may: Vec<(Actor, Pattern)>,
    /// For each receiver and each sender, the place of the last message that is explained.
    last: BTreeMap<(Actor, Actor), usize>,
    ended: BTreeSet<Actor>,
}

/// An explanation of a round, whole or on its way.
#[derive(Clone, Debug)]
pub struct Explanation {
    at: Position,
    pub wrongs: Vec<Wrong>,
    cost: u32,
    /// What each action of the round was about, in the order in which they happened.
    pub about: Vec<(Option<usize>, &'static str)>,
    /// The requirements that asked for a packet or an answer.
    pub proves: Vec<&'static str>,
}

impl Explanation {
    pub fn into_state(self) -> State {
        let mut state = self.at.state;
        state.forget_faded();
        state
    }

    fn wrong(&mut self, wrong: Wrong) {
        self.cost += wrong.cost();
        self.wrongs.push(wrong);
    }
}

/// One round: what was done and what came of it.
pub struct Search<'a> {
    pub names: &'a Names,
    pub number: usize,
    pub round: &'a [Action],
    pub observed: &'a Observed,
}

impl Search<'_> {
    /// All explanations under which nothing is wrong; at most `most`, and whether there were more.
    pub fn explain(&self, states: &[State], most: usize) -> (Vec<Explanation>, bool) {
        let mut seen = HashSet::new();
        let mut ends = HashSet::new();
        let mut found = Vec::new();
        let mut open: Vec<Explanation> = states.iter().rev().filter_map(|state| self.start(state, true)).collect();
        while let Some(one) = open.pop() {
            if self.is_whole(&one) {
                let finished = self.finish(one.clone());
                if finished.wrongs.is_empty() && ends.insert(finished.at.state.clone()) {
                    if found.len() == most {
                        return (found, true);
                    }
                    found.push(finished);
                }
            }
            let next = self.next(&one, true);
            open.extend(next.into_iter().filter(|next| seen.insert(next.at.clone())));
        }
        (found, false)
    }

    /// The explanation under which the least is wrong.
    pub fn nearest(&self, states: &[State]) -> Explanation {
        let mut seen = HashSet::new();
        let mut kept: Vec<(Explanation, bool)> = states.iter().filter_map(|state| Some((self.start(state, false)?, false))).collect();
        let mut open: BinaryHeap<Reverse<(u32, usize)>> = kept.iter().enumerate().map(|(at, (one, _))| Reverse((one.cost, at))).collect();
        let mut best: Option<Explanation> = None;
        let mut steps = 0;
        while let Some(Reverse((_, at))) = open.pop() {
            let (one, is_finished) = kept[at].clone();
            if is_finished {
                return one;
            }
            steps += 1;
            if steps > BUDGET && best.is_some() {
                break;
            }
            let mut next: Vec<(Explanation, bool)> = Vec::new();
            if self.is_whole(&one) {
                let finished = self.finish(one.clone());
                if best.as_ref().is_none_or(|best| finished.cost < best.cost) {
                    best = Some(finished.clone());
                }
                next.push((finished, true));
            }
            next.extend(
                self.next(&one, false).into_iter().filter(|next| seen.insert((next.at.clone(), next.cost))).map(|one| (one, false)),
            );
            for next in next {
                open.push(Reverse((next.0.cost, kept.len())));
                kept.push(next);
            }
        }
        best.or_else(|| kept.into_iter().next().map(|(one, _)| one)).expect("there is always a hypothesis")
    }

    /// Where an explanation begins: what the server had told already, and was only on its way, comes first.
    fn start(&self, state: &State, strict: bool) -> Option<Explanation> {
        let mut state = state.clone();
        let owed = std::mem::take(&mut state.owed);
        let at = Position { state, done: 0, taken: BTreeSet::new(), may: Vec::new(), last: BTreeMap::new(), ended: BTreeSet::new() };
        let mut start = Explanation { at, wrongs: Vec::new(), cost: 0, about: Vec::new(), proves: Vec::new() };
        for (to, pattern) in owed {
            let leaves = self.round.iter().any(|action| {
                action.actor() == to && matches!(action, Action::Close { .. } | Action::Abort { .. } | Action::Connect { .. })
            });
            let proves = (!leaves).then_some("GONE-2");
            self.account(&mut start, &Due { to, pattern, proves }, None);
        }
        (!strict || start.wrongs.is_empty()).then_some(start)
    }

    fn is_whole(&self, one: &Explanation) -> bool {
        one.at.done.count_ones() as usize == self.round.len()
    }

    /// What may happen next: an action of an actor whose earlier ones have happened, or that the server takes notice of a
    /// connection that has ended.
    fn next(&self, one: &Explanation, strict: bool) -> Vec<Explanation> {
        let mut next = Vec::new();
        for (at, action) in self.round.iter().enumerate() {
            let is_done = |other: usize| one.at.done & (1 << other) != 0;
            let waits = (0..at).any(|other| !is_done(other) && self.round[other].actor() == action.actor());
            if !is_done(at) && !waits {
                let outcomes = outcomes(self.names, &one.at.state, action, self.number);
                next.extend(outcomes.into_iter().filter_map(|outcome| self.step(one, Some(at), outcome, strict)));
            }
        }
        for connection in &one.at.state.fading {
            let outcomes = packet::noticed(&one.at.state, *connection);
            let postponed = outcomes.into_iter().filter_map(|outcome| self.postpone(one, outcome));
            next.extend(postponed.filter_map(|outcome| self.step(one, None, outcome, strict)));
        }
        next
    }

    /// The server takes notice at a moment that no fence orders: some may be told before theirs and others after it, whose
    /// packets then come in the next round. Where nobody is told in this round, it takes notice later.
    fn postpone(&self, one: &Explanation, mut outcome: Outcome) -> Option<Outcome> {
        let comes = |due: &Due| {
            let received = self.received(due.to).iter().enumerate();
            let mut free = received.filter(|(at, _)| !one.at.taken.contains(&(due.to, *at)));
            due.proves.is_none() || free.any(|(_, packet)| due.pattern.accepts(packet))
        };
        let (now, later): (Vec<Due>, Vec<Due>) = outcome.dues.into_iter().partition(comes);
        if now.is_empty() && !later.is_empty() {
            return None;
        }
        outcome.dues = now;
        outcome.state.owed.extend(later.into_iter().map(|due| (due.to, due.pattern)));
        Some(outcome)
    }

    /// The explanation with one outcome more; none where it doesn't fit and has to.
    fn step(&self, one: &Explanation, action: Option<usize>, outcome: Outcome, strict: bool) -> Option<Explanation> {
        let mut next = one.clone();
        let actor = action.map(|at| self.round[at].actor());
        next.about.push((action, outcome.proves));
        if let (Some(at), Some(reply)) = (action, &outcome.reply) {
            next.at.done |= 1 << at;
            next.proves.push(outcome.proves);
            if !self.observed.answers.get(at).and_then(Option::as_ref).is_some_and(|answer| reply.accepts(answer)) {
                next.wrong(Wrong::Answer { action: at, reply: reply.clone(), proves: outcome.proves });
            }
        } else if let Some(at) = action {
            next.at.done |= 1 << at;
        }
        if let Some(actor) = actor.filter(|_| outcome.ends) {
            if self.has_ended(actor) {
                next.at.ended.insert(actor);
            } else {
                next.wrong(Wrong::Open { actor, proves: outcome.proves });
            }
        }
        for due in &outcome.dues {
            self.account(&mut next, due, actor);
        }
        next.at.may.sort_unstable();
        next.at.state = outcome.state;
        next.at.state.forget_faded();
        (!strict || next.wrongs.is_empty()).then_some(next)
    }

    fn account(&self, next: &mut Explanation, due: &Due, sender: Option<Actor>) {
        let Some(proves) = due.proves else {
            next.at.may.push((due.to, due.pattern.clone()));
            return;
        };
        next.proves.push(proves);
        let is_message = matches!(due.pattern, Pattern::Exactly(Packet::Msg { .. }));
        let order = sender.filter(|_| is_message).map(|sender| (due.to, sender));
        let after = order.and_then(|order| next.at.last.get(&order).copied());
        let taken = &next.at.taken;
        let fits = |(at, packet): &(usize, &Packet)| !taken.contains(&(due.to, *at)) && due.pattern.accepts(packet);
        let received = self.received(due.to);
        let fitting: Vec<usize> = received.iter().enumerate().filter(fits).map(|(at, _)| at).collect();
        let in_order = fitting.iter().copied().find(|at| after.is_none_or(|after| *at > after));
        match (in_order, fitting.first()) {
            (Some(at), _) => {
                next.at.taken.insert((due.to, at));
                next.at.last.extend(order.map(|order| (order, at)));
            }
            (None, Some(at)) => {
                next.at.taken.insert((due.to, *at));
                next.wrong(Wrong::Overtaken { to: due.to, packet: *at });
            }
            (None, None) => next.wrong(Wrong::Missing { to: due.to, pattern: due.pattern.clone(), proves }),
        }
    }

    /// What is left once everything has happened: packets that nothing explains, and connections that have ended.
    fn finish(&self, mut one: Explanation) -> Explanation {
        let mut may = one.at.may.clone();
        for to in 0..self.observed.received.len() {
            for (at, packet) in self.received(to).iter().enumerate() {
                if one.at.taken.contains(&(to, at)) {
                    continue;
                }
                match may.iter().position(|(who, pattern)| *who == to && pattern.accepts(packet)) {
                    Some(place) => drop(may.swap_remove(place)),
                    None => one.wrong(Wrong::Extra { to, packet: at }),
                }
            }
        }
        for actor in (0..self.observed.ended.len()).filter(|actor| self.has_ended(*actor)) {
            if !one.at.ended.contains(&actor) {
                one.wrong(Wrong::Ended { actor });
            }
        }
        one
    }

    pub fn received(&self, actor: Actor) -> &[Packet] {
        self.observed.received.get(actor).map_or(&[], Vec::as_slice)
    }

    fn has_ended(&self, actor: Actor) -> bool {
        self.observed.ended.get(actor).copied().unwrap_or_default()
    }
}
