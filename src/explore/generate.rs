//! Random traces: mostly what the document's flows do, so that they get somewhere, and some of what they don't.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::action::{Action, Actor, Blank, Name, Spelling, Trace, Way, Writing};
use super::fence::Fence;
use super::odd::{ALIKE, DECOR, ODD_USERS, RAW, SHARED_ROOMS, STATUSES, TEXTS};
use super::shadow::Shadow;
use crate::reading::Findings;

/// What the traces of a run have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub seed: u64,
    /// The places in a room, where that is known.
    pub capacity: Option<usize>,
    /// The only fence that works, where it is only one.
    pub fence: Option<Fence>,
    pub ways: Ways,
}

/// In which ways a target accepts each of the requests. The default is none beside the one that the suite chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    list: [bool; 4],
    create: [bool; 4],
    room: [bool; 4],
}

impl Ways {
    pub fn all() -> Self {
        Self { list: [true; 4], create: [true; 4], room: [true; 4] }
    }

    /// Those that were found out.
    pub fn of(findings: &Findings) -> Self {
        let held = |id: &str| Way::ALL.map(|way| findings.held(id).iter().any(|held| held == way.id()));
        Self { list: held("R-PARAMS.list"), create: held("R-PARAMS.create"), room: held("R-PARAMS.room") }
    }

    fn for_request(&self, request: &Action) -> Vec<Way> {
        let accepted = match request {
            Action::List { .. } => self.list,
            Action::Create { .. } => self.create,
            _ => self.room,
        };
        Way::ALL.into_iter().zip(accepted).filter(|(_, accepted)| *accepted).map(|(way, _)| way).collect()
    }
}

/// The trace of this number: the same one for the same seed and capacity.
pub fn generate(shape: &Shape, number: u64) -> Trace {
    let mut random = Pcg64Mcg::seed_from_u64(shape.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
    let small = shape.capacity.filter(|capacity| *capacity <= 4);
    let actors = match small {
        // One more than fit in.
        Some(capacity) if random.random_bool(0.5) => (capacity + 1).max(3),
        _ => random.random_range(2..=5),
    };
    let rooms = *[1, 1, 1, 2, 2, 3].choose(&mut random).unwrap_or(&1);
    let extra = match shape.capacity {
        Some(capacity) if capacity > 4 && capacity <= 16 && random.random_bool(0.25) => capacity.saturating_sub(actors) + 1,
        _ => usize::from(random.random_bool(0.3)),
    };
    let mut decors: Vec<&str> = DECOR.to_vec();
    let mut decor = |random: &mut Pcg64Mcg| {
        let wanted = random.random_bool(0.25) && !decors.is_empty();
        if wanted { decors.swap_remove(random.random_range(0..decors.len())).into() } else { Spelling::default() }
    };
    let mut trace = Trace {
        actors,
        rooms: (0..rooms).map(|_| decor(&mut random)).collect(),
        users: (0..actors + extra).map(|_| decor(&mut random)).collect(),
        rounds: Vec::new(),
    };
    make_alike(&mut random, &mut trace.rooms, 0.3);
    make_alike(&mut random, &mut trace.users, 0.15);
    let rounds = random.random_range(8..=40);
    let shadow = Shadow::new(actors, rooms, shape.capacity);
    // What a fence is mistaken for can be played with the other one only.
    let fence = shape.fence.unwrap_or(if random.random_bool(0.35) { Fence::BareObject } else { Fence::EmptyMessage });
    let has_tides = random.random_bool(0.4);
    let talk = if random.random_bool(0.12) { 5.0 } else { 1.0 };
    let noise = if random.random_bool(0.15) { 5.0 } else { 1.0 };
    let ways = shape.ways;
    let mut author = Author { random, shadow, trace, fence, talk, noise, has_tides, ways, planned: rounds, told: 0 };
    while author.trace.rounds.len() < rounds {
        author.round();
    }
    author.trace
}

/// Gives two of several names what is the same in both.
fn make_alike(random: &mut Pcg64Mcg, names: &mut [Spelling], probability: f64) {
    if names.len() < 2 || !random.random_bool(probability) {
        return;
    }
    let (after, before, other) = *ALIKE.choose(random).unwrap_or(&ALIKE[0]);
    let second = random.random_range(1..names.len());
    let first = random.random_range(0..second);
    names[first].after = after.to_owned();
    names[second] = Spelling { before: before.to_owned(), like: Some(first), after: other.to_owned() };
}

struct Author {
    random: Pcg64Mcg,
    shadow: Shadow,
    trace: Trace,
    fence: Fence,
    /// How much rather it lets its actors talk than come and go.
    talk: f64,
    /// How much rather it lets them send what is malformed.
    noise: f64,
    /// It fills its rooms first, then empties them, and then fills them again.
    has_tides: bool,
    ways: Ways,
    /// How many rounds it will have.
    planned: usize,
    /// How many messages were made.
    told: usize,
}

type Weighted = Vec<(f64, Action)>;

impl Author {
    fn round(&mut self) {
        let Some(first) = self.pick(self.candidates()) else {
            return;
        };
        let mut round = vec![first];
        let alone = |action: &Action| matches!(action, Action::Connect { .. } | Action::Close { .. } | Action::Abort { .. });
        // Whoever asks for the last place should have a rival.
        let is_for_the_last_place =
            matches!(&round[0], Action::HttpJoin { room: Name::Room(room), .. } if self.shadow.free(*room) == Some(1));
        if !alone(&round[0]) && self.random.random_bool(if is_for_the_last_place { 0.5 } else { 0.12 }) {
            let wanted = self.random.random_range(2..=4);
            while round.len() < wanted {
                let taken: Vec<Actor> = round.iter().map(Action::actor).collect();
                let room = round[0].room().cloned();
                let kind = std::mem::discriminant(&round[0]);
                // Who acts at once should get in each other's way: in the same room, and best with the same action.
                let others: Weighted = self
                    .candidates()
                    .into_iter()
                    .filter(|(_, action)| !taken.contains(&action.actor()) && !alone(action))
                    .map(|(weight, action)| {
                        let near = if action.room() == room.as_ref() { 4.0 } else { 0.2 };
                        let alike = if std::mem::discriminant(&action) == kind { 6.0 } else { 1.0 };
                        (weight * near * alike, action)
                    })
                    .collect();
                let Some(next) = self.pick(others) else {
                    break;
                };
                round.push(next);
            }
        }
        if let [Action::Connect { actor }] = round[..]
            && self.random.random_bool(0.25)
        {
            let others = (0..self.trace.actors).filter(|other| *other != actor && !self.shadow.connected[*other]);
            round.extend(others.map(|actor| Action::Connect { actor }));
        }
        if let [request] = &round[..]
            && request.is_http()
            && self.random.random_bool(if has_blank(request) { 0.6 } else { 0.15 })
        {
            round = vec![self.written(request.clone())];
        }
        // Several messages in a row show whether they keep their order.
        if let [Action::Say { .. }] = &round[..]
            && self.random.random_bool(0.15)
        {
            let again = round[0].clone();
            // A long one may be overtaken by the short ones behind it.
            if let Action::Say { text, .. } = &mut round[0]
                && self.random.random_bool(0.15)
            {
                *text = "a".repeat(16_384);
            }
            for _ in 0..self.random.random_range(1..=4) {
                let next = self.finished(again.clone());
                round.push(next);
            }
        }
        for action in &round {
            self.shadow.take(action);
        }
        self.trace.rounds.push(round);
    }

    fn pick(&mut self, candidates: Weighted) -> Option<Action> {
        let total: f64 = candidates.iter().map(|(weight, _)| weight).sum();
        if total <= 0.0 {
            return None;
        }
        let mut at = self.random.random_range(0.0..total);
        let chosen = candidates.into_iter().find(|(weight, _)| {
            at -= weight;
            at < 0.0
        });
        chosen.map(|(_, action)| self.finished(action))
    }

    /// Texts and malformed packets are chosen when it is known that there will be one.
    fn finished(&mut self, action: Action) -> Action {
        match action {
            Action::Say { actor, room, user, .. } => {
                let said = Action::Say { actor, room: room.clone(), user: user.clone(), text: self.text() };
                if self.fence.is_mistaken_for(&said) { Action::Say { actor, room, user, text: "hello".to_owned() } } else { said }
            }
            Action::Raw { actor, .. } => Action::Raw { actor, text: self.raw(actor) },
            Action::Status { actor, room, user, .. } => {
                Action::Status { actor, room, user, status: (*STATUSES.choose(&mut self.random).unwrap_or(&"2")).to_owned() }
            }
            action => action,
        }
    }

    /// The same request in a way that need not be the usual, and perhaps with what is empty left out.
    fn written(&mut self, request: Action) -> Action {
        let way = self.ways.for_request(&request).choose(&mut self.random).copied();
        let blanks = if has_blank(&request) { &[Blank::Empty, Blank::Missing, Blank::Null][..] } else { &[Blank::Empty] };
        let blank = *blanks.choose(&mut self.random).unwrap_or(&Blank::Empty);
        match (way, blank) {
            (None, Blank::Empty) => request,
            _ => Action::Written { request: Box::new(request), writing: Writing { way, blank } },
        }
    }

    fn text(&mut self) -> String {
        self.told += 1;
        let told = self.told;
        match self.random.random_range(0..100) {
            0..3 => String::new(),
            3..5 => " ".to_owned(),
            5..7 => "a".repeat(5000),
            7..8 => "a".repeat(65_536),
            8..50 => format!("hello {told}"),
            50..54 => "hello".to_owned(),
            54..57 => told.to_string(),
            _ => format!("{} {told}", TEXTS.choose(&mut self.random).unwrap_or(&"hello")),
        }
    }

    /// A malformed packet, of the actor's own and a room where somebody might hear of it.
    fn raw(&mut self, actor: Actor) -> String {
        let fit: Vec<&str> =
            RAW.iter().copied().filter(|text| !self.fence.is_mistaken_for(&Action::Raw { actor, text: (*text).to_owned() })).collect();
        let text = fit.choose(&mut self.random).copied().unwrap_or("{\"type\":\"join\",\"data\":{\"msg\":\"\"}}");
        let room = self.random.random_range(0..self.trace.rooms.len());
        let other = (actor + 1) % self.trace.actors;
        text.replace("${room0}", &format!("${{room{room}}}"))
            .replace("${user1}", &format!("${{user-{other}}}"))
            .replace("${user0}", &format!("${{user{actor}}}"))
            .replace("${user-", "${user")
    }

    fn candidates(&self) -> Weighted {
        let mut all: Weighted = Vec::new();
        for actor in 0..self.trace.actors {
            if self.shadow.connected[actor] {
                // What the server still knows of those who have left, it may trip over when their connections end.
                let has_left = self.shadow.rooms.iter().any(|room| room.left.contains(&Name::User(actor)));
                all.push((if has_left { 1.0 } else { 0.25 }, Action::Close { actor }));
                all.push((0.15, Action::Abort { actor }));
                all.push((1.2 * self.noise, Action::Raw { actor, text: String::new() }));
            } else {
                all.push((20.0, Action::Connect { actor }));
            }
            all.push((1.2, Action::List { actor }));
            for room in 0..self.trace.rooms.len() {
                self.in_room(actor, room, &mut all);
            }
            self.odd(actor, &mut all);
        }
        self.filling(&mut all);
        all.retain(|(_, action)| self.shadow.is_possible(action));
        all
    }

    /// What an actor may do in a room under its own name.
    fn in_room(&self, actor: Actor, number: usize, all: &mut Weighted) {
        let (user, room) = (Name::User(actor), Name::Room(number));
        let it = &self.shadow.rooms[number];
        let http_join = || Action::HttpJoin { actor, room: room.clone(), user: user.clone() };
        let http_leave = || Action::HttpLeave { actor, room: room.clone(), user: user.clone() };
        let join = || Action::Join { actor, room: room.clone(), user: user.clone() };
        let leave = || Action::Leave { actor, room: room.clone(), user: user.clone() };
        let say = || Action::Say { actor, room: room.clone(), user: user.clone(), text: String::new() };
        let create = || Action::Create { actor, room: room.clone() };
        if !it.is_made {
            let early = if number == 0 { 20.0 } else { 6.0 };
            // Where a room looks like one that isn't there, it may be taken for it.
            let near = if self.trace.rooms[number].like.is_some() { 4.0 } else { 1.0 };
            all.extend([(early, create()), (0.15, join()), (0.2, say()), (0.1, leave())]);
            all.extend([(0.4 * near, http_join()), (0.3 * near, http_leave())]);
            return;
        }
        all.push((if it.has_emptied { 1.5 } else { 0.5 }, create()));
        let (has_place, is_inside) = (it.places.contains(&user), it.inside.contains_key(&user));
        let (into, out) = self.tide();
        let back = if it.left.contains(&user) { 1.5 } else { 1.0 };
        if is_inside {
            all.extend([(10.0 * self.talk, say()), (4.0 * out, leave()), (0.3, join()), (0.7 * out, http_leave()), (0.3, http_join())]);
        } else if has_place {
            all.extend([(14.0 * into, join()), (3.0 * out, http_leave()), (0.7, http_join()), (0.7, say()), (0.4, leave())]);
        } else if !it.has_been_entered {
            all.extend([(10.0 * into, join()), (2.0 * into, http_join()), (0.4, http_leave()), (0.3, say())]);
        } else {
            let enter = if self.shadow.is_full(number) { 4.0 } else { 9.0 };
            let emptied = if it.has_emptied { 2.0 } else { 0.4 };
            all.extend([(enter * back * into, http_join()), (emptied * into, join()), (0.7, http_leave()), (0.5, say()), (0.5, leave())]);
        }
    }

    /// How much rather its users enter, and how much rather they leave, at this point of the trace.
    fn tide(&self) -> (f64, f64) {
        let part = self.trace.rounds.len() as f64 / self.planned.max(1) as f64;
        match part {
            _ if !self.has_tides => (1.0, 1.0),
            part if part < 0.45 => (1.5, 0.3),
            part if part < 0.75 => (0.1, 6.0),
            _ => (2.0, 0.5),
        }
    }

    /// Actions under another's name, under no name, and with names that nobody thinks of.
    fn odd(&self, actor: Actor, all: &mut Weighted) {
        let room = Name::Room(actor % self.trace.rooms.len());
        let made = self.shadow.rooms[actor % self.trace.rooms.len()].is_made;
        let other = Name::User((actor + 1) % self.trace.actors);
        let nobody = || Name::Literal(String::new());
        let odd = || Name::Literal(ODD_USERS[(actor * 3 + self.trace.rounds.len()) % ODD_USERS.len()].to_owned());
        let text = String::new;
        let shared = SHARED_ROOMS[(actor + self.trace.rounds.len()) % SHARED_ROOMS.len()];
        all.push((0.15, Action::Create { actor, room: nobody() }));
        all.push((0.05, Action::Create { actor, room: Name::Literal(shared.to_owned()) }));
        all.push((0.15, Action::HttpJoin { actor, room: nobody(), user: Name::User(actor) }));
        all.push((0.5, Action::Status { actor, room: room.clone(), user: Name::User(actor), status: text() }));
        if !made {
            return;
        }
        all.extend([
            (0.2, Action::HttpJoin { actor, room: room.clone(), user: nobody() }),
            (0.2, Action::HttpLeave { actor, room: room.clone(), user: nobody() }),
            (0.3, Action::HttpJoin { actor, room: room.clone(), user: odd() }),
            (0.1, Action::HttpLeave { actor, room: room.clone(), user: odd() }),
            (0.2, Action::HttpJoin { actor, room: room.clone(), user: room.clone() }),
            (0.5, Action::Say { actor, room: room.clone(), user: other.clone(), text: text() }),
            (0.4, Action::Leave { actor, room: room.clone(), user: other.clone() }),
            (0.3, Action::Join { actor, room: room.clone(), user: other.clone() }),
            (0.5, Action::HttpLeave { actor, room, user: other }),
        ]);
    }

    /// Users who are no actors take places by HTTP, so that rooms of more places than actors are filled too.
    fn filling(&self, all: &mut Weighted) {
        let extra = self.trace.actors..self.trace.users.len();
        let (into, out) = self.tide();
        let weight = into * if extra.len() > 2 { 6.0 } else { 1.0 };
        for user in extra.map(Name::User) {
            let room = &self.shadow.rooms[0];
            if room.is_made && !room.places.contains(&user) {
                all.push((weight, Action::HttpJoin { actor: 0, room: Name::Room(0), user }));
            } else if room.places.contains(&user) {
                all.push((0.4 * out, Action::HttpLeave { actor: 0, room: Name::Room(0), user }));
            }
        }
    }
}

/// Whether one of its parameters is empty.
fn has_blank(request: &Action) -> bool {
    let is_blank = |name: Option<&Name>| name.is_some_and(Name::is_empty);
    is_blank(request.room()) || is_blank(request.user()) || matches!(request, Action::Status { status, .. } if status.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_traces_and_another_makes_others() {
        let shape = Shape { seed: 7, capacity: Some(3), ..Shape::default() };
        assert_eq!(generate(&shape, 5), generate(&shape, 5));
        assert_ne!(generate(&shape, 5), generate(&shape, 6));
        assert_ne!(generate(&shape, 5), generate(&Shape { seed: 8, ..shape }, 5));
    }

    /// Many traces must get deep, or what they find is shallow.
    #[test]
    fn rooms_are_filled_and_emptied_and_users_come_again() {
        let shape = Shape { seed: 1, capacity: Some(3), ..Shape::default() };
        let (mut full, mut emptied, mut again, mut at_once) = (0, 0, 0, 0);
        for number in 0..200 {
            let trace = generate(&shape, number);
            let mut shadow = Shadow::new(trace.actors, trace.rooms.len(), shape.capacity);
            let (mut was_full, mut came_again) = (false, false);
            for action in trace.rounds.iter().flatten() {
                if let (Action::HttpJoin { user, .. }, Some(Name::Room(room))) = (action, action.room()) {
                    came_again |= shadow.rooms[*room].left.contains(user);
                }
                shadow.take(action);
                was_full |= (0..trace.rooms.len()).any(|room| shadow.is_full(room));
            }
            full += usize::from(was_full);
            again += usize::from(came_again);
            emptied += usize::from(shadow.rooms.iter().any(|room| room.has_emptied));
            at_once += usize::from(trace.rounds.iter().any(|round| round.len() > 1));
        }
        assert!(
            full > 40 && emptied > 20 && again > 40 && at_once > 80,
            "{full} full, {emptied} emptied, {again} again, {at_once} at once"
        );
    }

    #[test]
    fn every_trace_can_be_played_with_a_fence_that_works() {
        for number in 0..100 {
            let trace = generate(&Shape { seed: 5, ..Shape::default() }, number);
            let fence = Fence::of(&trace);
            assert!(!trace.rounds.iter().flatten().any(|action| fence.is_mistaken_for(action)), "{trace:?}");
        }
    }

    #[test]
    fn nobody_sends_over_a_connection_that_is_not_there() {
        for number in 0..100 {
            let trace = generate(&Shape { seed: 3, ..Shape::default() }, number);
            let mut shadow = Shadow::new(trace.actors, trace.rooms.len(), None);
            for round in &trace.rounds {
                assert!(round.iter().all(|action| shadow.is_possible(action)), "{round:?}");
                round.iter().for_each(|action| shadow.take(action));
            }
        }
    }
}
