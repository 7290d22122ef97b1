//! What a counterexample expects at its last round, and on which servers.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Actor, Name, Observed, Packet, Trace};
use super::model::{CREATED, Course, Due, Finding, JOINED, Model, Pattern, Reply};
use super::observe::History;
use crate::reading::{Fact, Findings};
use crate::requirement::RequirementId;

/// The members that every server's rooms are taken to hold.
const FEW: u64 = 2;

/// The expectations of the last round, each with the requirement that it proves.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// The readings and facts without which the document doesn't ask for this, as the scenario's `when`.
    pub when: Vec<(String, String)>,
    /// In place of the round: requests at once, of which so many must succeed.
    pub tally: Option<(RequirementId, Tally)>,
    /// Whether the target was found to call a room's name in the list one name or both (R-ENTRY).
    pub knows_entries: bool,
    /// What an actor's HTTP request must be answered.
    pub answers: Vec<(RequirementId, Actor, Expected)>,
    /// What must come, one of several where there are several.
    pub receives: Vec<(RequirementId, Actor, Vec<Pattern>)>,
    /// What must come in this order.
    pub in_order: Vec<(RequirementId, Actor, Vec<Packet>)>,
    /// Who must get an error or a close.
    pub answered: Vec<(RequirementId, Actor)>,
    /// Who asks for the list several times, and must find it under the same names.
    pub one_name: Option<(RequirementId, Actor)>,
    /// Whose connection must still be there.
    pub alive: Vec<(RequirementId, Actor)>,
    /// What must not come.
    pub never: Vec<(RequirementId, Actor, Packet)>,
    /// For each round before, packets that the expectations would mistake for later ones, and which are taken there.
    pub before: Vec<Vec<(Actor, Packet)>>,
}

/// Requests at once that want the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub actor: Actor,
    pub room: Name,
    pub times: usize,
    pub exactly: usize,
    /// They are joins, each of a user of its own; otherwise creates.
    pub joins: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// One of these texts in `res`.
    Results(Vec<String>),
    /// Any text in `res` but these.
    NoResults(Vec<String>),
    /// A list in which these rooms stand once each, and none else of the trace's.
    Listed(Vec<Entry>),
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub room: Name,
    /// One of these.
    pub populations: Vec<i64>,
    pub may_be_missing: bool,
}

impl Entry {
    fn new((room, least, most): &(Name, i64, i64)) -> Self {
        Self { room: room.clone(), populations: (*least..=*most).collect(), may_be_missing: false }
    }
}

impl Ending {
    /// What the actor's request must be answered, with the requirement that this proves.
    pub fn answer(&self, actor: Actor) -> Option<(&RequirementId, &Expected)> {
        self.answers.iter().find(|(_, whose, _)| *whose == actor).map(|(id, _, expected)| (id, expected))
    }

    /// Whether it says something of servers of some reading or capacity only; that so many fit into a room is said of any.
    pub fn is_conditional(&self) -> bool {
        self.when.iter().any(|(_, is)| is.contains("at-most") || !is.contains("at-least"))
    }

    /// Whether it expects anything.
    pub fn is_empty(&self) -> bool {
        let Self { when: _, knows_entries: _, tally, answers, receives, in_order, answered, one_name, alive, never, before: _ } = self;
        tally.is_none()
            && answers.is_empty()
            && receives.is_empty()
            && in_order.is_empty()
            && answered.is_empty()
            && one_name.is_none()
            && alive.is_empty()
            && never.is_empty()
    }
}

/// What the document asks for in the round in which a trace failed, whatever else a server may have done by then, where something
/// else came; under as few of the findings as will do. Empty where another course of events might have led to what came; none where
/// there are too many courses to look at.
pub fn ending(findings: &Findings, trace: &Trace, history: &History, finding: &Finding) -> Option<Ending> {
    let case = Case { trace, history, finding };
    let asks = |known: &Findings| case.ending(known).filter(|ending| !ending.is_empty());
    let mut known = Findings { readings: BTreeMap::new(), facts: capacity(Fact::Above(FEW)) };
    let knows_entries = !findings.held("R-ENTRY").is_empty();
    if let Some(ending) = asks(&known) {
        return Some(Ending { knows_entries, ..ending });
    }
    known.clone_from(findings);
    let mut ending = case.ending(&known)?;
    if ending.is_empty() {
        return Some(ending);
    }
    // The least that it takes is what the scenario's readers should see, and the servers that it is for are the most.
    let users = trace.users.len().max(trace.actors) as u64;
    let rooms = [Fact::Above(FEW), Fact::Above(users)].map(|fact| Findings { facts: capacity(fact), ..findings.clone() });
    if let Some((less, fewer)) = rooms.into_iter().find_map(|fewer| Some((asks(&fewer)?, fewer))) {
        (known, ending) = (fewer, less);
    }
    for id in findings.readings.keys() {
        let mut fewer = known.clone();
        fewer.readings.remove(id);
        if let Some(less) = asks(&fewer) {
            (known, ending) = (fewer, less);
        }
    }
    Some(Ending { when: conditions(&known), knows_entries, ..ending })
}

fn capacity(fact: Fact) -> BTreeMap<String, Fact> {
    [("capacity".to_owned(), fact)].into()
}

/// What is known of a target, as the `when` of a scenario.
fn conditions(known: &Findings) -> Vec<(String, String)> {
    let readings = known.readings.iter().filter_map(|(id, held)| match held.values() {
        [] => None,
        [one] => Some((id.clone(), one.clone())),
        several => Some((id.clone(), format!("[{}]", several.join(", ")))),
    });
    let capacity = known.facts.get("capacity").and_then(|fact| match fact {
        Fact::Above(least) if *least > FEW => Some(format!("{{at-least: {least}}}")),
        Fact::Number(number) => Some(format!("{{at-least: {number}, at-most: {number}}}")),
        _ => None,
    });
    readings.chain(capacity.map(|text| ("capacity".to_owned(), text))).collect()
}

/// A trace that failed, and how.
struct Case<'a> {
    trace: &'a Trace,
    history: &'a History,
    finding: &'a Finding,
}

impl Case<'_> {
    /// What every course of the last round has that it didn't have, if no more than this is known of the target.
    fn ending(&self, known: &Findings) -> Option<Ending> {
        let mut model = Model::new(known, self.trace);
        let last = self.finding.round;
        let (round, observed) = (self.trace.rounds.get(last)?, self.history.rounds.get(last)?);
        if !self.trace.rounds[..last].iter().all(|round| model.advance(round)) {
            return None;
        }
        let courses = model.courses(round).filter(|courses| !courses.is_empty())?;
        let id = || self.finding.requirement.clone();
        let received = |actor: Actor| observed.received.get(actor).map_or(&[][..], Vec::as_slice);
        let mut ending = Ending { answers: self.answers(round, observed, &courses), ..Ending::default() };
        ending.tally = self.tally(round, observed, &courses).map(|tally| (id(), tally));
        for actor in 0..self.trace.actors {
            ending.receives.extend(missing(&courses, actor, received(actor)).into_iter().map(|patterns| (id(), actor, patterns)));
            for packet in received(actor).iter().collect::<BTreeSet<_>>() {
                let fits = |due: &&Due| due.to == actor && due.pattern.accepts(packet);
                let came = received(actor).iter().filter(|one| *one == packet).count();
                let most = courses.iter().map(|course| course.dues.iter().filter(fits).count()).max().unwrap_or_default();
                let must = |course: &Course| course.dues.iter().filter(fits).filter(|due| due.proves.is_some()).count();
                // Of a packet that came too often, those that were right are taken first.
                if came > most && courses.iter().all(|course| must(course) == most) {
                    ending.receives.extend((0..most).map(|_| (id(), actor, vec![Pattern::Exactly(packet.clone())])));
                    ending.never.push((id(), actor, packet.clone()));
                }
            }
            let ends = |course: &Course| course.ended.contains(&actor);
            if observed.ended.get(actor) == Some(&true) && !courses.iter().any(ends) {
                // What it got before its end isn't to be taken for a sign of life.
                let got =
                    required(&courses, actor).into_iter().filter(|pattern| received(actor).iter().any(|packet| pattern.accepts(packet)));
                ending.receives.extend(got.map(|pattern| (id(), actor, vec![pattern])));
                ending.alive.push((id(), actor));
            }
            let error = |due: &Due| due.to == actor && due.proves.is_some() && matches!(due.pattern.example(), Packet::Error { .. });
            if self.finding.open.contains(&actor) && courses.iter().all(|course| ends(course) || course.dues.iter().any(error)) {
                ending.answered.push((id(), actor));
            }
        }
        ending.in_order = self.overtaken(round, &courses).into_iter().map(|(actor, packets)| (id(), actor, packets)).collect();
        // A list that any course has is wrong only by its name, which is another than before.
        if ending.is_empty() && id() == RequirementId::new("LIST-1") {
            ending.one_name =
                round.iter().find(|action| matches!(action.plain(), Action::List { .. })).map(|action| (id(), action.actor()));
        }
        ending.before = self.before(&ending);
        Some(ending)
    }

    /// The answers, where one of them is one that no course has: of several at once, another may be the wrong one the next time.
    fn answers(&self, round: &[Action], observed: &Observed, courses: &[Course]) -> Vec<(RequirementId, Actor, Expected)> {
        let (mut answers, mut is_any_wrong) = (Vec::new(), false);
        for (at, action) in round.iter().enumerate().filter(|(_, action)| action.is_http()) {
            let mut replies: Vec<&Reply> = Vec::new();
            for reply in courses.iter().filter_map(|course| course.replies.get(at)?.as_ref()) {
                if !replies.contains(&reply) {
                    replies.push(reply);
                }
            }
            let answer = observed.answers.get(at).and_then(Option::as_ref);
            let is_wrong = answer.is_some_and(|answer| !replies.iter().any(|reply| reply.accepts(answer)));
            let is_only = round.iter().filter(|other| other.actor() == action.actor() && other.is_http()).count() == 1;
            if is_only && let Some(expected) = expected(&replies) {
                is_any_wrong |= is_wrong;
                answers.push((self.finding.requirement.clone(), action.actor(), expected));
            }
        }
        if is_any_wrong { answers } else { Vec::new() }
    }

    /// How many of requests at once succeed, where all of them want the same: which of them do is the server's choice.
    fn tally(&self, round: &[Action], observed: &Observed, courses: &[Course]) -> Option<Tally> {
        let (first, times) = (round.first()?, round.len());
        let room = first.room()?;
        let creates = round.iter().all(|action| matches!(action.plain(), Action::Create { room: named, .. } if named == room));
        let users: BTreeSet<&Name> = round
            .iter()
            .filter(|action| matches!(action.plain(), Action::HttpJoin { room: named, .. } if named == room))
            .filter_map(Action::user)
            .collect();
        // The scenario joins under names of its own, so these must be nobody's by then.
        let is_known = |user: &Name| self.trace.rounds[..self.finding.round].iter().flatten().any(|action| action.user() == Some(user));
        let joins = users.len() == times && !users.into_iter().any(is_known);
        if times < 2 || !(creates || joins) {
            return None;
        }
        let success = if joins { JOINED } else { CREATED };
        let succeeds = |reply: &&Option<Reply>| matches!(reply, Some(Reply::OneOf(texts)) if texts[..] == [success]);
        let counts: BTreeSet<usize> = courses.iter().map(|course| course.replies.iter().filter(succeeds).count()).collect();
        let exactly = *counts.first().filter(|_| counts.len() == 1)?;
        let came = observed.answers.iter().flatten().filter(|answer| answer.res.as_deref() == Some(success)).count();
        (came != exactly).then(|| Tally { actor: first.actor(), room: room.clone(), times, exactly, joins })
    }

    /// What one sender has said in this round, for those who got it in another order.
    fn overtaken(&self, round: &[Action], courses: &[Course]) -> Vec<(Actor, Vec<Packet>)> {
        let mut all = Vec::new();
        for (to, packet) in &self.finding.overtaken {
            let said = |action: &Action| match action {
                Action::Say { room, user, text, .. } => Some(Packet::Msg { user: user.clone(), room: room.clone(), text: text.clone() }),
                _ => None,
            };
            let sender = round.iter().find(|action| said(action).as_ref() == Some(packet)).map(Action::actor);
            let packets: Vec<Packet> = round.iter().filter(|action| Some(action.actor()) == sender).filter_map(said).collect();
            let comes = |packet: &Packet, course: &Course| {
                course.dues.iter().any(|due| due.to == *to && due.proves.is_some() && due.pattern == Pattern::Exactly(packet.clone()))
            };
            let are_due = packets.iter().all(|packet| courses.iter().all(|course| comes(packet, course)));
            if packets.len() > 1 && are_due && !all.contains(&(*to, packets.clone())) {
                all.push((*to, packets));
            }
        }
        all
    }

    fn before(&self, ending: &Ending) -> Vec<Vec<(Actor, Packet)>> {
        let is_named = |actor: Actor, packet: &Packet| {
            let waits = |(_, who, patterns): &(RequirementId, Actor, Vec<Pattern>)| {
                *who == actor && patterns.iter().any(|pattern| pattern.accepts(packet))
            };
            ending.receives.iter().any(waits)
                || ending.in_order.iter().any(|(_, who, packets)| *who == actor && packets.contains(packet))
                || ending.never.iter().any(|(_, who, forbidden)| *who == actor && forbidden == packet)
                || ending.alive.iter().any(|(_, who)| *who == actor && matches!(packet, Packet::Error { .. }))
        };
        let earlier = |observed: &Observed| {
            let received =
                observed.received.iter().enumerate().flat_map(|(actor, packets)| packets.iter().map(move |packet| (actor, packet)));
            received.filter(|(actor, packet)| is_named(*actor, packet)).map(|(actor, packet)| (actor, packet.clone())).collect()
        };
        self.history.rounds.iter().take(self.finding.round).map(earlier).collect()
    }
}

/// What must come to an actor in every course, as many times as in all of them.
fn required(courses: &[Course], actor: Actor) -> Vec<Pattern> {
    let of = |course: &Course| {
        let own = course.dues.iter().filter(|due| due.to == actor && due.proves.is_some());
        own.map(|due| due.pattern.clone()).collect::<Vec<_>>()
    };
    let Some((first, others)) = courses.split_first() else { return Vec::new() };
    let mut required = of(first);
    for mut theirs in others.iter().map(of) {
        required.retain(|pattern| theirs.iter().position(|one| one == pattern).map(|at| theirs.swap_remove(at)).is_some());
    }
    required
}

/// What must come to an actor in every course, and didn't: as many times as it must, or one of those that the courses have in its
/// place.
fn missing(courses: &[Course], actor: Actor, received: &[Packet]) -> Vec<Vec<Pattern>> {
    let due = |course: &Course| -> Vec<Pattern> {
        let own = course.dues.iter().filter(|due| due.to == actor && due.proves.is_some());
        own.map(|due| due.pattern.clone()).collect()
    };
    let all: Vec<Vec<Pattern>> = courses.iter().map(due).collect();
    let count = |patterns: &[Pattern], pattern: &Pattern| patterns.iter().filter(|one| *one == pattern).count();
    let came = |pattern: &Pattern| received.iter().filter(|packet| pattern.accepts(packet)).count();
    let mut missing = Vec::new();
    for pattern in all.iter().flatten().collect::<BTreeSet<_>>() {
        let least = all.iter().map(|patterns| count(patterns, pattern)).min().unwrap_or_default();
        if least > came(pattern) {
            missing.extend((0..least).map(|_| vec![pattern.clone()]));
        }
    }
    if missing.is_empty() {
        let instead: Vec<Option<&Pattern>> = all.iter().map(|patterns| patterns.iter().find(|pattern| came(pattern) == 0)).collect();
        if let Some(instead) = instead.into_iter().collect::<Option<BTreeSet<&Pattern>>>().filter(|instead| !instead.is_empty()) {
            missing.push(instead.into_iter().cloned().collect());
        }
    }
    missing
}

/// What any of these replies says; nothing can be expected of an answer that may be anything.
fn expected(replies: &[&Reply]) -> Option<Expected> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut all: Option<Expected> = None;
    for reply in replies {
        all = Some(match (all, reply) {
            (None, Reply::OneOf(allowed)) => Expected::Results(texts(allowed)),
            (None, Reply::NoneOf(forbidden)) => Expected::NoResults(texts(forbidden)),
            (None, Reply::List(rooms)) => Expected::Listed(rooms.iter().map(Entry::new).collect()),
            (Some(Expected::Results(mut known)), Reply::OneOf(allowed)) => {
                known.extend(texts(allowed).into_iter().filter(|text| !known.contains(text)).collect::<Vec<_>>());
                Expected::Results(known)
            }
            (Some(Expected::NoResults(mut known)), Reply::NoneOf(forbidden)) => {
                known.retain(|text| forbidden.contains(&text.as_str()));
                Expected::NoResults(known)
            }
            (Some(Expected::Listed(known)), Reply::List(rooms)) => Expected::Listed(either_list(known, rooms)),
            _ => return None,
        });
    }
    all
}

/// What either of two lists may be.
fn either_list(mut known: Vec<Entry>, rooms: &[(Name, i64, i64)]) -> Vec<Entry> {
    for entry in &mut known {
        match rooms.iter().find(|(room, ..)| *room == entry.room) {
            Some((_, least, most)) => {
                let new: Vec<i64> = (*least..=*most).filter(|population| !entry.populations.contains(population)).collect();
                entry.populations.extend(new);
            }
            None => entry.may_be_missing = true,
        }
    }
    let new = rooms.iter().filter(|(room, ..)| !known.iter().any(|entry| entry.room == *room));
    let new: Vec<Entry> = new.map(|room| Entry { may_be_missing: true, ..Entry::new(room) }).collect();
    known.extend(new);
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::action::Answer;
    use crate::explore::trial::judge;
    use crate::reading::Held;

    fn findings() -> Findings {
        let found = |value: &str| Held::Found { values: vec![value.to_owned()] };
        let readings = [("R-AUDIENCE", "room"), ("R-REJOIN", "again"), ("R-POPULATION", "ws")];
        Findings {
            readings: readings.into_iter().map(|(id, value)| (id.to_owned(), found(value))).collect(),
            facts: capacity(Fact::Number(3)),
        }
    }

    /// The ending of a trace by one actor to whose requests these texts were the answers, the last of them wrong.
    fn ending_of(rounds: Vec<Vec<Action>>, answers: &[&str]) -> Ending {
        let trace = Trace { actors: 1, rooms: vec![Default::default()], users: vec![Default::default(); 4], rounds };
        let observed = |res: &&str| Observed {
            answers: vec![Some(Answer { status: 200, res: Some((*res).to_owned()), ..Answer::default() })],
            received: vec![Vec::new()],
            ended: vec![false],
        };
        let history = History { rounds: answers.iter().map(observed).collect(), ..History::default() };
        let finding = judge(&mut Model::new(&findings(), &trace), &trace, &history.rounds).expect("the last answer is wrong");
        ending(&findings(), &trace, &history, &finding).expect("there is little that may have happened")
    }

    fn create() -> Vec<Action> {
        vec![Action::Create { actor: 0, room: Name::Room(0) }]
    }

    fn join(user: usize) -> Vec<Action> {
        vec![Action::HttpJoin { actor: 0, room: Name::Room(0), user: Name::User(user) }]
    }

    #[test]
    fn what_every_server_must_do_is_asked_of_every_server() {
        let ending = ending_of(vec![create(), create()], &[CREATED, CREATED]);
        assert_eq!(ending.answers[0].2, Expected::Results(vec!["chatroom already exist".into()]));
        assert!(ending.when.is_empty() && !ending.is_conditional(), "{:?}", ending.when);
    }

    #[test]
    fn what_hangs_on_the_capacity_or_a_reading_is_asked_of_such_servers_only() {
        let full = ending_of(vec![create(), join(0), join(1), join(2), join(3)], &[CREATED, JOINED, JOINED, JOINED, JOINED]);
        assert_eq!(full.when, [("capacity".to_owned(), "{at-least: 3, at-most: 3}".to_owned())]);
        let again = ending_of(vec![create(), join(0), join(0), join(0), join(0)], &[CREATED, JOINED, JOINED, JOINED, JOINED]);
        assert!(again.when.contains(&("R-REJOIN".to_owned(), "again".to_owned())) && again.is_conditional(), "{:?}", again.when);
        assert!(!again.when.iter().any(|(id, _)| id == "R-AUDIENCE"), "{:?}", again.when);
    }
}
