//! The document as a state machine: what a server may, must and must not do after each action.
//!
//! The model holds a set of hypotheses, each a state of the rooms under one choice of the readings that are open. What a
//! round brings rules hypotheses out; when none is left, the document is broken, and the nearest explanation says where.
//! It knows nothing of any server's code.

mod course;
mod entry;
mod feature;
mod finding;
mod listing;
mod malformed;
mod outcome;
mod packet;
mod reading;
mod request;
mod search;
mod state;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Actor, Answer, Name, Observed, Spelling, Trace};
use crate::reading::Findings;
use crate::requirement::RequirementId;

pub use course::Course;
pub use feature::FEATURES;
pub use finding::Finding;
pub use outcome::{CREATED, Due, JOINED, Pattern, Reply, UNSEEN};

use finding::{Blame, Past, Touch};
use search::{Explanation, Search};
use state::State;

/// The most hypotheses that are kept.
const MOST: usize = 4_096;

/// Hypotheses among which the nearest explanation is looked for.
const NEAR: usize = 64;

/// Bytes of a name above which a server may refuse it.
const LONG_NAME: usize = 255;

/// The names of a trace, and what they are called.
#[derive(Clone, Debug)]
pub struct Names(Trace);

impl Names {
    fn spelling(&self, name: &Name) -> Option<&Spelling> {
        match name {
            Name::Room(number) => self.0.rooms.get(*number),
            Name::User(number) => self.0.users.get(*number),
            Name::Literal(_) => None,
        }
    }

    fn is_long(&self, name: &Name) -> bool {
        let length = match name {
            Name::Literal(text) => text.len(),
            name => self.spelling(name).map_or(0, |spelling| spelling.before.len() + spelling.after.len()),
        };
        length > LONG_NAME
    }

    /// What an actor is called in a finding, which knows nothing of what a scenario calls it.
    fn actor(&self, actor: Actor) -> String {
        format!("actor {actor}")
    }

    fn name(&self, name: &Name) -> String {
        match name {
            Name::Room(number) => format!("room{number}"),
            Name::User(number) => format!("user{number}"),
            Name::Literal(text) => words::quoted(text),
        }
    }

    /// Whether the name holds nothing but what makes it fresh.
    fn is_plain(&self, name: &Name) -> bool {
        self.spelling(name).is_none_or(Spelling::is_plain) && !matches!(name, Name::Literal(text) if !text.is_empty())
    }

    /// The requirement that makes a packet with these names `illegal data`.
    fn illegal(room: &Name, user: &Name) -> Option<&'static str> {
        match (user.is_empty(), room.is_empty()) {
            (true, _) => Some("ERR-8"),
            (false, true) => Some("ERR-9"),
            (false, false) => None,
        }
    }
}

/// What the server may be like, after what it has shown so far.
#[derive(Clone, Debug)]
pub struct Model {
    findings: Findings,
    names: Names,
    states: Vec<State>,
    round: usize,
    exercised: BTreeMap<RequirementId, u64>,
    reached: BTreeSet<&'static str>,
    past: Past,
    /// The rooms that have ever been there.
    made: BTreeSet<Name>,
    is_capped: bool,
    /// What the list was called.
    list_names: Option<Vec<&'static str>>,
}

impl Model {
    /// A server with none of the trace's rooms, that follows the readings as found; what nobody found out is open.
    pub fn new(findings: &Findings, trace: &Trace) -> Model {
        Model {
            findings: findings.clone(),
            names: Names(Trace { rounds: Vec::new(), ..trace.clone() }),
            states: vec![State::new(findings, trace.actors)],
            round: 0,
            exercised: BTreeMap::new(),
            reached: BTreeSet::new(),
            past: Past::default(),
            made: BTreeSet::new(),
            is_capped: false,
            list_names: None,
        }
    }

    /// Takes in what a round brought. The actions of one actor happened in the order in which they are listed, those of
    /// different actors in any order; at most 32 of them.
    ///
    /// # Errors
    /// The finding, if no hypothesis explains it; the model can't go on then.
    // A finding ends its trace, so nobody passes it on often.
    #[expect(clippy::result_large_err)]
    pub fn observe(&mut self, round: &[Action], observed: &Observed) -> Result<(), Finding> {
        let names = self.names.clone();
        let search = Search { names: &names, number: self.round, round, observed };
        if let Some(finding) = self.broken_list(&search) {
            return Err(finding);
        }
        let (found, is_capped) = search.explain(&self.states, MOST);
        self.is_capped |= is_capped;
        self.reached.extend(is_capped.then_some(feature::UNDECIDED));
        let Some(first) = found.first().cloned() else {
            return Err(self.finding(&search));
        };
        let states: Vec<State> = found.into_iter().map(Explanation::into_state).collect();
        self.list_names =
            self.list_names.take().or_else(|| lists(&search).map(|answer| listing::names(&answer.body)).find(|names| !names.is_empty()));
        self.learn(round, &first, &states);
        self.states = states;
        self.round += 1;
        Ok(())
    }

    /// Takes a round for played by a server that keeps to the document, of which nothing was seen; false where there is too much that it
    /// may have done.
    pub fn advance(&mut self, round: &[Action]) -> bool {
        let Some(states) = course::states(&self.names, &self.states, round, self.round).filter(|states| states.len() <= MOST) else {
            return false;
        };
        self.states = states;
        self.round += 1;
        true
    }

    /// All ways in which a round may go now; none where there are too many.
    pub fn courses(&self, round: &[Action]) -> Option<Vec<Course>> {
        let courses = course::courses(&self.names, &self.states, round, self.round)?;
        Some(courses.into_iter().map(|(course, _)| course).collect::<std::collections::HashSet<_>>().into_iter().collect())
    }

    /// The names of what the present state is like, out of [`FEATURES`].
    pub fn features(&self) -> BTreeSet<&'static str> {
        self.states.first().map(feature::features).unwrap_or_default()
    }

    /// The names of what the states of this trace were like.
    pub fn reached(&self) -> &BTreeSet<&'static str> {
        &self.reached
    }

    /// How many answers and packets each requirement has asked for.
    pub fn exercised(&self) -> &BTreeMap<RequirementId, u64> {
        &self.exercised
    }

    /// Whether there were more hypotheses than are kept, so that a finding may be one too many.
    pub fn is_capped(&self) -> bool {
        self.is_capped
    }

    fn broken_list(&self, search: &Search<'_>) -> Option<Finding> {
        self.renamed_list(search).or_else(|| self.misshapen_list(search)).or_else(|| self.nameless_list(search))
    }

    /// Whoever asks for a room without a name is refused, and the list stays as it was (LIST-6).
    fn nameless_list(&self, search: &Search<'_>) -> Option<Finding> {
        let has_asked = self.past.has_asked_for_nameless || search.round.iter().any(asks_for_nameless);
        let is_nameless = |answer: &Answer| answer.rooms.iter().flatten().any(|(name, _)| name.is_empty());
        if !has_asked || !lists(search).any(is_nameless) {
            return None;
        }
        let summary = "the list has a room without a name, after a request to create one was refused".to_owned();
        Some(Finding { requirement: RequirementId::new("LIST-6"), summary, ..self.finding(search) })
    }

    /// A list is called what it was called before: each of its names is there always or never.
    fn renamed_list(&self, search: &Search<'_>) -> Option<Finding> {
        let mut known = self.list_names.clone();
        for answer in lists(search) {
            let names = listing::names(&answer.body);
            let known = known.get_or_insert_with(|| names.clone());
            if !names.is_empty() && names != *known {
                let summary = format!("the list is called {} and was called {} before", names.join(" and "), known.join(" and "));
                return Some(Finding { requirement: RequirementId::new("LIST-1"), summary, ..self.finding(search) });
            }
        }
        None
    }

    fn misshapen_list(&self, search: &Search<'_>) -> Option<Finding> {
        let (requirement, how) = lists(search).filter_map(|answer| listing::broken(answer, &self.findings)).next()?;
        Some(Finding { requirement: RequirementId::new(requirement), summary: how, ..self.finding(search) })
    }

    fn finding(&self, search: &Search<'_>) -> Finding {
        let near = &self.states[..self.states.len().min(NEAR)];
        Blame { search, before: near, past: &self.past }.finding(&search.nearest(near))
    }

    fn learn(&mut self, round: &[Action], explanation: &Explanation, states: &[State]) {
        for proves in &explanation.proves {
            *self.exercised.entry(RequirementId::new(proves)).or_default() += 1;
        }
        let (Some(before), Some(after)) = (self.states.first(), states.first()) else { return };
        self.reached.extend(feature::features(after));
        self.reached.extend(feature::step_features(before, after, &self.past.been, &self.made));
        self.made.extend(after.rooms.keys().cloned());
        for name in after.rooms.keys() {
            self.past.been.extend(after.listeners(name).into_iter().map(|actor| (actor, name.clone())));
        }
        self.past.has_asked_for_nameless |= round.iter().any(asks_for_nameless);
        for action in round {
            if matches!(action.plain(), Action::List { .. }) {
                self.past.listed.extend(after.rooms.keys().cloned());
                self.past.touches.clear();
            }
            for (name, touch) in touches(action, before, after) {
                self.past.touches.entry(name).or_default().push(touch);
            }
        }
    }
}

fn asks_for_nameless(action: &Action) -> bool {
    matches!(action.plain(), Action::Create { room, .. } if room.is_empty())
}

/// The answers to requests for the list.
fn lists<'a>(search: &Search<'a>) -> impl Iterator<Item = &'a Answer> + use<'a> {
    let asked = search.round.iter().zip(&search.observed.answers).filter(|(action, _)| matches!(action.plain(), Action::List { .. }));
    asked.filter_map(|(_, answer)| answer.as_ref())
}

/// What an action was to the rooms: a refused request leaves them as they were.
fn touches(action: &Action, before: &State, after: &State) -> Vec<(Name, Touch)> {
    let Some(name) = action.room() else {
        let all = matches!(action, Action::Close { .. } | Action::Abort { .. } | Action::Raw { .. });
        return if all { before.rooms.keys().map(|name| (name.clone(), Touch::Other)).collect() } else { Vec::new() };
    };
    let is_as_before = before.rooms.get(name) == after.rooms.get(name);
    let touch = match action.plain() {
        Action::Leave { .. } | Action::HttpLeave { .. } if !is_as_before => Touch::Left,
        _ if !is_as_before => Touch::Other,
        Action::Create { .. } => Touch::RefusedCreate,
        _ if action.is_http() => Touch::RefusedRequest,
        _ => Touch::RefusedPacket,
    };
    vec![(name.clone(), touch)]
}
