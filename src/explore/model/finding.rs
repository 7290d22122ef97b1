//! What contradicts the document, and which requirement is broken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::outcome::{Pattern, Reply};
use super::search::{self, Explanation, Search, Wrong};
use super::state::State;
use super::{malformed, words};
use crate::explore::action::{Action, Actor, Name, Packet};
use crate::requirement::RequirementId;

/// The most allowed outcomes that a finding tells of.
const TOLD: usize = 8;

/// What a round brought that no reading of the document explains, held against the nearest explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub requirement: RequirementId,
    /// Counted from 0.
    pub round: usize,
    /// What is wrong, in one sentence.
    pub summary: String,
    /// What might have come instead.
    pub allowed: Vec<String>,
    /// All that came in the round.
    pub came: String,
    /// The action whose answer was wrong, and which answers would have been right.
    pub answer: Option<(usize, Reply)>,
    /// Packets that should have come and didn't.
    pub missing: Vec<(Actor, Pattern)>,
    /// Packets that came and should not have.
    pub forbidden: Vec<(Actor, Packet)>,
    /// Whose connections ended and should not have.
    pub ended: Vec<Actor>,
    /// Who got neither an error nor a close.
    pub open: Vec<Actor>,
    /// Packets that came after a later one of the same sender.
    pub overtaken: Vec<(Actor, Packet)>,
}

/// What has happened to a room since a list last showed it rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    RefusedCreate,
    RefusedRequest,
    RefusedPacket,
    Left,
    Other,
}

/// What is known beside the hypotheses, for saying what is broken.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Who has been in which room by WebSocket.
    pub been: BTreeSet<(Actor, Name)>,
    pub touches: BTreeMap<Name, Vec<Touch>>,
    /// The rooms that a list has shown.
    pub listed: BTreeSet<Name>,
    /// Whether somebody has asked for a room without a name.
    pub has_asked_for_nameless: bool,
}

/// Says what is wrong in the nearest explanation.
pub struct Blame<'a> {
    pub search: &'a Search<'a>,
    pub before: &'a [State],
    pub past: &'a Past,
}

impl Blame<'_> {
    /// What an explanation leaves unexplained.
    pub fn finding(&self, nearest: &Explanation) -> Finding {
        let wrongs = &nearest.wrongs;
        let main = self.main(wrongs);
        let (requirement, summary) = match main {
            Some(wrong) => (self.requirement(wrong, nearest), self.summary(wrong, wrongs)),
            None => ("READ-1", "what came fits no order of the actions".to_owned()),
        };
        Finding {
            requirement: RequirementId::new(requirement),
            round: self.search.number,
            summary,
            allowed: self.allowed(wrongs),
            came: words::observed(self.search.names, self.search.round, self.search.observed),
            answer: wrongs.iter().find_map(|wrong| match wrong {
                Wrong::Answer { action, reply, .. } => Some((*action, reply.clone())),
                _ => None,
            }),
            missing: wrongs.iter().filter_map(missing).map(|(to, pattern, _)| (to, pattern.clone())).collect(),
            forbidden: self.extras(wrongs).map(|(to, packet)| (to, packet.clone())).collect(),
            ended: wrongs.iter().filter_map(|wrong| if let Wrong::Ended { actor } = wrong { Some(*actor) } else { None }).collect(),
            open: wrongs.iter().filter_map(|wrong| if let Wrong::Open { actor, .. } = wrong { Some(*actor) } else { None }).collect(),
            overtaken: self.overtaken(wrongs),
        }
    }

    /// The wrong that says most: a packet that is none, an answer, what stays away, what ends, what is too much.
    fn main<'w>(&self, wrongs: &'w [Wrong]) -> Option<&'w Wrong> {
        let rank = |wrong: &&Wrong| match wrong {
            Wrong::Extra { to, packet } if self.search.received(*to).get(*packet).is_some_and(is_malformed) => 0,
            Wrong::Answer { .. } => 1,
            Wrong::Missing { .. } => 2,
            Wrong::Ended { .. } => 3,
            Wrong::Extra { .. } => 4,
            Wrong::Overtaken { .. } => 5,
            Wrong::Open { .. } => 6,
        };
        wrongs.iter().min_by_key(rank)
    }

    fn extras<'w>(&'w self, wrongs: &'w [Wrong]) -> impl Iterator<Item = (Actor, &'w Packet)> + 'w {
        wrongs.iter().filter_map(|wrong| match wrong {
            Wrong::Extra { to, packet } => Some((*to, self.search.received(*to).get(*packet)?)),
            _ => None,
        })
    }

    fn overtaken(&self, wrongs: &[Wrong]) -> Vec<(Actor, Packet)> {
        let overtaken = wrongs.iter().filter_map(|wrong| match wrong {
            Wrong::Overtaken { to, packet } => Some((*to, self.search.received(*to).get(*packet)?.clone())),
            _ => None,
        });
        overtaken.collect()
    }

    fn requirement(&self, wrong: &Wrong, nearest: &Explanation) -> &'static str {
        let about = |actor: Actor| {
            let acts = |at: &Option<usize>| at.is_some_and(|at| self.search.round[at].actor() == actor);
            nearest.about.iter().find(|(at, _)| acts(at)).or(nearest.about.first()).map_or("READ-1", |(_, proves)| proves)
        };
        match wrong {
            Wrong::Answer { action, reply, proves } => self.of_answer(*action, reply, proves),
            Wrong::Missing { to, pattern, proves } => self.of_missing(*to, pattern, proves, &nearest.wrongs),
            Wrong::Overtaken { .. } => "MSG-5",
            Wrong::Open { proves, .. } => proves,
            Wrong::Ended { actor } if self.is_idle(*actor) => self.of_ended_while_idle(*actor, nearest),
            Wrong::Ended { actor } => match about(*actor) {
                "LEAVE-1" | "LEAVE-4" | "MSG-1" | "MSG-6" | "MSG-8" | "JOIN-4" => "GONE-1",
                proves if proves.starts_with("ERR") => "ERR-13",
                proves => proves,
            },
            Wrong::Extra { to, packet } => match self.search.received(*to).get(*packet) {
                Some(packet) => self.of_extra(*to, packet, about(*to), nearest),
                None => about(*to),
            },
        }
    }

    /// Whether an actor sends nothing but its fence.
    fn is_idle(&self, actor: Actor) -> bool {
        let uses = |action: &Action| action.is_packet() || matches!(action, Action::Connect { .. });
        !self.search.round.iter().any(|action| action.actor() == actor && uses(action))
    }

    /// What the others did ended its connection; where that was nothing that may, its own fence did, which is answered by an error.
    fn of_ended_while_idle(&self, actor: Actor, nearest: &Explanation) -> &'static str {
        let vanishes = |action: &Action| action.actor() != actor && matches!(action, Action::Close { .. } | Action::Abort { .. });
        let noise = nearest.about.iter().map(|(_, proves)| *proves).find(|proves| proves.starts_with("ROB"));
        match noise {
            _ if self.search.round.iter().any(vanishes) => "GONE-1",
            Some(proves) => proves,
            None => "ERR-13",
        }
    }

    fn of_answer(&self, at: usize, reply: &Reply, proves: &'static str) -> &'static str {
        let action = self.search.round[at].plain();
        let alike =
            |other: &&Action| std::mem::discriminant(other.plain()) == std::mem::discriminant(action) && other.room() == action.room();
        let at_once = self.search.round.iter().filter(alike).count() > 1;
        match (action, reply) {
            (_, Reply::List(expected)) => self.of_list(at, expected),
            (Action::Create { .. }, _) if at_once && proves != "CREATE-4" => "CREATE-6",
            (Action::HttpJoin { .. }, _) if at_once && matches!(proves, "ROOM-1" | "ROOM-6" | "ROOM-8") => "ROOM-13",
            _ => proves,
        }
    }

    fn of_list(&self, at: usize, expected: &[(Name, i64, i64)]) -> &'static str {
        let answer = self.search.observed.answers.get(at).and_then(Option::as_ref);
        let Some(rooms) = answer.and_then(|answer| answer.rooms.as_ref()) else { return "LIST-1" };
        for (name, least, most) in expected {
            let touches = self.past.touches.get(name).map_or(&[][..], Vec::as_slice);
            let listed: Vec<i64> = rooms.iter().filter(|(one, _)| one == name).map(|(_, population)| *population).collect();
            match listed.as_slice() {
                [] if !self.past.listed.contains(name) && !self.search.names.is_plain(name) => return "CREATE-5",
                [] if touches.contains(&Touch::Left) => return "ROOM-11",
                [] => return "LIST-4",
                [population] if *population < 0 => return "LIST-3",
                [population] if (least..=most).contains(&population) => {}
                [_] => {
                    return match touches.last().filter(|_| !touches.iter().any(|touch| matches!(touch, Touch::Left | Touch::Other))) {
                        Some(Touch::RefusedCreate) => "CREATE-3",
                        Some(Touch::RefusedRequest) => "ROOM-9",
                        Some(_) => "LIST-6",
                        None => "LIST-5",
                    };
                }
                _ if touches.contains(&Touch::RefusedCreate) => return "LIST-6",
                _ => return "LIST-4",
            }
        }
        "LIST-6"
    }

    fn of_missing(&self, to: Actor, pattern: &Pattern, proves: &'static str, wrongs: &[Wrong]) -> &'static str {
        let Pattern::Exactly(Packet::Msg { user, room, text }) = pattern else { return proves };
        let is_altered = |packet: &Packet| match packet {
            Packet::Msg { user: who, room: place, text: other } => who == user && place == room && other != text,
            _ => false,
        };
        let altered = self.extras(wrongs).any(|(who, packet)| who == to && is_altered(packet));
        if altered { "MSG-4" } else { proves }
    }

    fn of_extra(&self, to: Actor, packet: &Packet, about: &'static str, nearest: &Explanation) -> &'static str {
        let round = self.search.round;
        let acts = round.iter().any(|action| action.actor() == to && action.is_packet());
        let relayed = round.iter().find_map(|action| match action {
            Action::Raw { text, .. } => match malformed::form(text) {
                malformed::Form::ServersOwn(proves) | malformed::Form::Noise(proves) => Some(proves),
                _ => None,
            },
            _ => None,
        });
        match packet {
            Packet::Other(text) => of_other(text),
            malformed if is_malformed(malformed) => "PKT-2",
            Packet::Error { .. } if acts => relayed.unwrap_or(about),
            Packet::Error { .. } => relayed.filter(|proves| *proves == "PKT-5").unwrap_or("ERR-12"),
            _ if relayed.is_some() => relayed.unwrap_or(about),
            Packet::Msg { room, text, .. } => self.of_extra_message(to, room, text),
            Packet::User { user, room, activity } => self.of_extra_activity(to, user, room, activity, nearest),
        }
    }

    /// Whether an actor is in a room, as far as the first hypothesis knows.
    fn is_in(&self, actor: Actor, room: &Name) -> bool {
        self.before.first().is_some_and(|state| state.listeners(room).contains(&actor))
    }

    /// Whether it is there, or enters while this happens.
    fn may_be_in(&self, actor: Actor, room: &Name) -> bool {
        let enters = |action: &Action| matches!(action, Action::Join { actor: who, room: place, .. } if *who == actor && place == room);
        self.is_in(actor, room) || self.search.round.iter().any(enters)
    }

    /// Whether it is there under this name.
    fn is_in_as(&self, actor: Actor, room: &Name, user: &Name) -> bool {
        let Some(state) = self.before.first() else { return false };
        let place = state.connection(actor).zip(state.rooms.get(room));
        place.is_some_and(|(connection, room)| room.holds(connection, user))
    }

    fn of_extra_message(&self, to: Actor, room: &Name, text: &str) -> &'static str {
        let said = self.search.round.iter().find_map(|action| match action {
            Action::Say { actor, room: place, user, text: said } if said == text => Some((*actor, place, user)),
            _ => None,
        });
        let Some((sender, place, user)) = said else {
            let speaks = self.search.round.iter().any(|action| matches!(action, Action::Say { room: place, .. } if place == room));
            return if speaks && self.may_be_in(to, room) { "MSG-4" } else { self.misdirected(to, room) };
        };
        if text.is_empty() {
            return "ERR-10";
        }
        if !self.is_in(sender, place) {
            return "MSG-6";
        }
        match self.is_in_as(sender, place, user) {
            false => "MSG-8",
            true if place == room && self.may_be_in(to, room) => "MSG-2",
            true => self.misdirected(to, place),
        }
    }

    fn misdirected(&self, to: Actor, room: &Name) -> &'static str {
        let has_left = self.past.been.contains(&(to, room.clone())) && !self.is_in(to, room);
        if has_left { "LEAVE-3" } else { "MSG-3" }
    }

    fn of_extra_activity(&self, to: Actor, user: &Name, room: &Name, activity: &str, nearest: &Explanation) -> &'static str {
        let round = self.search.round;
        let acts = round.iter().any(|action| action.actor() == to && action.is_packet());
        if !acts && !self.is_in(to, room) {
            return if self.past.been.contains(&(to, room.clone())) { "LEAVE-3" } else { "READ-1" };
        }
        let cause =
            round.iter().enumerate().find(|(_, action)| action.room() == Some(room) && action.user().is_none_or(|name| name == user));
        match cause {
            Some((_, Action::Leave { actor, .. })) if self.is_in_as(*actor, room, user) => "LEAVE-2",
            Some((_, Action::Leave { .. })) => "LEAVE-4",
            Some((_, Action::Create { .. })) => "CREATE-3",
            // Of a join that had to be refused, or that a reading is about, its entering is what is wrong.
            Some((at, Action::Join { .. })) => {
                let about = nearest.about.iter().find(|(one, _)| *one == Some(at)).map(|(_, proves)| *proves);
                about.filter(|proves| matches!(*proves, "JOIN-5" | "READ-1")).unwrap_or("JOIN-4")
            }
            _ if activity == "leave" => "LEAVE-2",
            _ => "JOIN-4",
        }
    }

    fn summary(&self, wrong: &Wrong, wrongs: &[Wrong]) -> String {
        let names = self.search.names;
        let deeds: Vec<String> = self.search.round.iter().map(|action| words::action(names, action)).collect();
        let deeds = deeds.join(", at once with: ");
        match wrong {
            Wrong::Answer { action, reply, .. } => {
                let answer = self.search.observed.answers.get(*action).and_then(Option::as_ref);
                let asked = words::action(names, &self.search.round[*action]);
                format!("{asked} and gets {}, where {} is due", words::answer(names, answer), words::reply(names, reply))
            }
            Wrong::Missing { to, pattern, .. } => {
                let instead: Vec<String> =
                    self.extras(wrongs).filter(|(who, _)| who == to).map(|(_, packet)| words::packet(names, packet)).collect();
                let instead = if instead.is_empty() { String::new() } else { format!(", but {}", instead.join(" and ")) };
                format!("{deeds}, and {} does not get {}{instead}", names.actor(*to), words::pattern(names, pattern))
            }
            Wrong::Overtaken { to, packet } => {
                let packet = self.search.received(*to).get(*packet).map(|one| words::packet(names, one)).unwrap_or_default();
                format!("{deeds}, and {} gets {packet} after a later one of the same sender", names.actor(*to))
            }
            Wrong::Extra { to, packet } => {
                let packet = self.search.received(*to).get(*packet).map(|one| words::packet(names, one)).unwrap_or_default();
                format!("{deeds}, and {} gets {packet}, for which there is no cause", names.actor(*to))
            }
            Wrong::Ended { actor } => format!("{deeds}, and the connection of {} ends", names.actor(*actor)),
            Wrong::Open { actor, .. } => format!("{deeds}, and {} gets neither an error nor a close", names.actor(*actor)),
        }
    }

    /// All that one action may come to; of several at once, what the nearest explanation asks for.
    fn allowed(&self, wrongs: &[Wrong]) -> Vec<String> {
        let names = self.search.names;
        let mut allowed: Vec<String> = Vec::new();
        let mut tell = |text: String| {
            if allowed.len() < TOLD && !allowed.contains(&text) {
                allowed.push(text);
            }
        };
        if let [action] = self.search.round {
            let outcomes = |state| search::outcomes(names, state, action, self.search.number);
            self.before.iter().take(TOLD).flat_map(outcomes).for_each(|outcome| tell(words::outcome(names, &outcome)));
            return allowed;
        }
        for wrong in wrongs {
            match wrong {
                Wrong::Answer { action, reply, .. } => {
                    tell(format!("{} and gets {}", words::action(names, &self.search.round[*action]), words::reply(names, reply)));
                }
                Wrong::Missing { to, pattern, .. } => tell(format!("{} gets {}", names.actor(*to), words::pattern(names, pattern))),
                _ => {}
            }
        }
        allowed
    }
}

fn missing(wrong: &Wrong) -> Option<(Actor, &Pattern, &'static str)> {
    match wrong {
        Wrong::Missing { to, pattern, proves } => Some((*to, pattern, proves)),
        _ => None,
    }
}

/// Whether it is no packet as a server sends them.
fn is_malformed(packet: &Packet) -> bool {
    match packet {
        Packet::User { user, room, .. } | Packet::Msg { user, room, .. } => user.is_empty() || room.is_empty(),
        Packet::Error { .. } => false,
        Packet::Other(_) => true,
    }
}

/// What is wrong with a packet that is none of the server's.
fn of_other(text: &str) -> &'static str {
    let packet: Value = serde_json::from_str(text).unwrap_or_default();
    match packet.get("type").and_then(Value::as_str) {
        Some("join" | "leave") => "PKT-3",
        Some("user" | "msg" | "error") if packet.get("data").is_some_and(Value::is_object) => "PKT-2",
        _ => "PKT-1",
    }
}
