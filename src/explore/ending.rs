//! What a counterexample expects at its last round.

use super::action::{Action, Actor, Name, Observed, Packet, Trace};
use super::model::{Finding, Model, Pattern, Reply, Sight};
use super::observe::History;
use crate::reading::Findings;
use crate::requirement::RequirementId;

/// The expectations of the last round, each with the requirement that it proves.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// In place of the round: requests at once, of which so many must succeed.
    pub tally: Option<(RequirementId, Tally)>,
    /// What an actor's HTTP request must be answered.
    pub answers: Vec<(RequirementId, Actor, Expected)>,
    /// What must come.
    pub receives: Vec<(RequirementId, Actor, Pattern)>,
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
    /// A list in which these rooms stand once each, with one of these populations.
    Listed(Vec<(Name, Vec<i64>)>),
}

impl Ending {
    /// What the actor's request must be answered, with the requirement that this proves.
    pub fn answer(&self, actor: Actor) -> Option<(&RequirementId, &Expected)> {
        self.answers.iter().find(|(_, whose, _)| *whose == actor).map(|(id, _, expected)| (id, expected))
    }

    /// Whether it expects anything.
    pub fn is_empty(&self) -> bool {
        self.tally.is_none() && self.answers.is_empty() && self.receives.is_empty() && self.alive.is_empty() && self.never.is_empty()
    }
}

/// What the last round of a failing trace must bring: what the model asks for there, where something else came.
pub fn ending(findings: &Findings, trace: &Trace, history: &History, finding: &Finding) -> Ending {
    let id = &finding.requirement;
    let Some(round) = trace.rounds.get(finding.round) else {
        return Ending::default();
    };
    let mut ending = Ending {
        receives: finding.missing.iter().map(|(actor, pattern)| (id.clone(), *actor, pattern.clone())).collect(),
        alive: finding.ended.iter().map(|actor| (id.clone(), *actor)).collect(),
        never: finding.forbidden.iter().map(|(actor, packet)| (id.clone(), *actor, packet.clone())).collect(),
        ..Ending::default()
    };
    // Of a packet that came too often, those that were right are taken first.
    for (at, (actor, packet)) in finding.forbidden.iter().enumerate() {
        let is_it = |(who, one): &&(Actor, Packet)| who == actor && one == packet;
        if finding.forbidden[..at].iter().any(|other| is_it(&other)) {
            continue;
        }
        let received = history.rounds.get(finding.round).and_then(|observed| observed.received.get(*actor));
        let came = received.map_or(0, |received| received.iter().filter(|one| *one == packet).count());
        let right = came.saturating_sub(finding.forbidden.iter().filter(is_it).count());
        ending.receives.extend((0..right).map(|_| (id.clone(), *actor, Pattern::Exactly(packet.clone()))));
    }
    if let Some((action, reply)) = &finding.answer
        && let Some(actor) = round.get(*action).map(Action::actor)
    {
        let mut model = Model::new(findings, trace);
        let mut before = trace.rounds.iter().zip(&history.rounds).take(finding.round);
        let is_explained = before.all(|(round, observed)| model.observe(round, observed).is_ok());
        let asked = &round[*action];
        let is_alone = round.iter().enumerate().all(|(at, other)| at == *action || is_apart(asked, other));
        if is_alone {
            let all = if is_explained { model.expects(std::slice::from_ref(asked)).answers } else { Vec::new() };
            let replies: Vec<&Reply> = if all.is_empty() { vec![reply] } else { all.iter().map(|(reply, _)| reply).collect() };
            ending.answers.extend(expected(&replies).map(|expected| (id.clone(), actor, expected)));
        } else {
            ending.tally = tally(&model.sight(), round).map(|tally| (id.clone(), tally));
        }
    }
    let is_named = |actor: Actor, packet: &Packet| {
        ending.receives.iter().any(|(_, who, pattern)| *who == actor && pattern.accepts(packet))
            || ending.never.iter().any(|(_, who, forbidden)| *who == actor && forbidden == packet)
    };
    let earlier = |observed: &Observed| {
        let received = observed.received.iter().enumerate().flat_map(|(actor, packets)| packets.iter().map(move |packet| (actor, packet)));
        received.filter(|(actor, packet)| is_named(*actor, packet)).map(|(actor, packet)| (actor, packet.clone())).collect()
    };
    ending.before = history.rounds.iter().take(finding.round).map(earlier).collect();
    ending
}

/// Whether neither action can change what the other is answered.
fn is_apart(one: &Action, other: &Action) -> bool {
    one.room().is_some() && other.room().is_some() && one.room() != other.room()
}

/// How many of the requests succeed, where all of them want the same: which of them do is the server's choice.
fn tally(sight: &Sight, round: &[Action]) -> Option<Tally> {
    let first = round.first()?;
    let room = first.room()?;
    let seen = sight.rooms.iter().find(|seen| seen.name == *room);
    let (times, actor) = (round.len(), first.actor());
    if round.iter().all(|action| matches!(action, Action::Create { room: named, .. } if named == room)) {
        return Some(Tally { actor, room: room.clone(), times, exactly: usize::from(seen.is_none()), joins: false });
    }
    let seats = &seen?.seats;
    let users: Vec<&Name> = round
        .iter()
        .filter_map(|action| match action {
            Action::HttpJoin { room: named, user, .. } if named == room && !seats.contains(user) => Some(user),
            _ => None,
        })
        .collect();
    let are_different = users.iter().enumerate().all(|(at, user)| !users[..at].contains(user));
    let free = sight.capacity?.saturating_sub(seats.len());
    (users.len() == times && are_different).then(|| Tally { actor, room: room.clone(), times, exactly: free.min(times), joins: true })
}

/// What any of these replies says; nothing can be expected of an answer that may be anything.
fn expected(replies: &[&Reply]) -> Option<Expected> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut all: Option<Expected> = None;
    for reply in replies {
        all = Some(match (all, reply) {
            (None, Reply::OneOf(allowed)) => Expected::Results(texts(allowed)),
            (None, Reply::NoneOf(forbidden)) => Expected::NoResults(texts(forbidden)),
            (None, Reply::List(rooms)) => {
                Expected::Listed(rooms.iter().map(|(room, least, most)| (room.clone(), (*least..=*most).collect())).collect())
            }
            (Some(Expected::Results(mut known)), Reply::OneOf(allowed)) => {
                known.extend(texts(allowed).into_iter().filter(|text| !known.contains(text)).collect::<Vec<_>>());
                Expected::Results(known)
            }
            (Some(Expected::NoResults(mut known)), Reply::NoneOf(forbidden)) => {
                known.retain(|text| forbidden.contains(&text.as_str()));
                Expected::NoResults(known)
            }
            (Some(Expected::Listed(mut known)), Reply::List(rooms)) => {
                for (room, least, most) in rooms {
                    if let Some((_, populations)) = known.iter_mut().find(|(name, _)| name == room) {
                        populations.extend((*least..=*most).filter(|population| !populations.contains(population)).collect::<Vec<_>>());
                    }
                }
                Expected::Listed(known)
            }
            _ => return None,
        });
    }
    all
}
