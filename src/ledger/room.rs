//! The account of one room: each message until everybody who must have it has it, and each member's place in the row of
//! messages.
//!
//! A member that was in the room for certain from before a message was sent is *due* it. One that is coming or going, or whose
//! connection broke, may or may not get it: that is indeterminate, and never held against the server.

use std::collections::VecDeque;

use super::text::{HEAD, Head, Text, is_the_one, number};
use super::{Account, Witness, Wrong};

/// How many messages that a member never got are remembered, to tell a late one from a second one.
const GIVEN_UP: usize = 64;

/// A message that not everybody has yet.
#[derive(Clone, Debug)]
pub struct Sent {
    pub sender: u32,
    /// When it was meant to be sent and when it was, in nanoseconds since the run's start.
    pub intended: u64,
    pub at: u64,
    /// The phase that it belongs to.
    pub phase: u16,
    /// How its text begins.
    head: [u8; HEAD],
    /// Members who must have it, and those of them who have it.
    due: u32,
    got: u32,
    heard: bool,
    /// Its sender's connection broke before it came back: it may never have reached the server.
    doubtful: bool,
}

#[derive(Clone, Debug, Default)]
struct Member {
    presence: Presence,
    /// The first message that it is due.
    since: u64,
    /// All messages before this have come, but for the missing ones.
    next: u64,
    /// Messages before `next` that haven't come.
    missing: Vec<u64>,
    /// Messages that it was due and that were given up.
    given_up: VecDeque<u64>,
    /// Arrivals of which it can't be told which message they were.
    unknown: u32,
    /// It reads slowly on purpose, so it is never due anything.
    slow: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    Out,
    /// It is on its way in or out.
    Moving,
    In,
}

/// What an arrival was, for the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub number: u64,
    pub intended: u64,
    pub at: u64,
    pub phase: u16,
    /// Its sender has it back.
    pub is_echo: bool,
    /// It is the first to have it.
    pub is_first: bool,
    /// It is the last who had to have it.
    pub is_last: bool,
}

/// Names for witnesses; asked only when something is wrong.
pub trait Names {
    fn room(&self) -> &str;
    fn user(&self, place: u32) -> &str;
}

#[derive(Debug)]
pub struct Room {
    number: u32,
    /// The number of the oldest message that is kept.
    oldest: u64,
    sent: VecDeque<Sent>,
    members: Vec<Member>,
    /// How many members are due what is sent now.
    due: u32,
}

impl Room {
    /// An empty room with places for so many. Those whose place is in `slow` read slowly on purpose.
    pub fn new(number: u32, places: u32, slow: impl Fn(u32) -> bool) -> Self {
        let members = (0..places).map(|place| Member { slow: slow(place), ..Member::default() }).collect();
        Self { number, oldest: 0, sent: VecDeque::new(), members, due: 0 }
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    fn end(&self) -> u64 {
        self.oldest + self.sent.len() as u64
    }

    /// The number that the next message gets.
    pub fn next(&self) -> u64 {
        self.end()
    }

    /// Whether no message is on its way to anybody who must have it.
    pub fn is_settled(&self) -> bool {
        self.sent.iter().all(Sent::is_settled)
    }

    /// The member has asked to come in.
    pub fn coming(&mut self, place: u32) {
        let end = self.end();
        let member = &mut self.members[place as usize];
        member.presence = Presence::Moving;
        member.since = u64::MAX;
        member.next = end;
        member.missing.clear();
    }

    /// The member is in: it is due whatever is sent from now on.
    pub fn entered(&mut self, place: u32) {
        let end = self.end();
        let member = &mut self.members[place as usize];
        if member.presence == Presence::In {
            return;
        }
        member.presence = Presence::In;
        member.since = end;
        // What came while it was on its way was a gift.
        member.next = end;
        member.missing.clear();
        if !member.slow {
            self.due += 1;
        }
    }

    /// The member has asked to leave: what it doesn't have yet may never come.
    pub fn leaving(&mut self, place: u32, account: &mut Account) {
        self.no_longer_due(place, account);
        self.members[place as usize].presence = Presence::Moving;
    }

    /// The member is out: nothing may come any more.
    pub fn left(&mut self, place: u32, account: &mut Account) {
        self.no_longer_due(place, account);
        self.members[place as usize].presence = Presence::Out;
    }

    /// The member's connection has broken. What it sent and doesn't have back may never have reached the server.
    pub fn broke(&mut self, place: u32, account: &mut Account) {
        let (next, missing) = {
            let member = &self.members[place as usize];
            (member.next, member.missing.clone())
        };
        self.no_longer_due(place, account);
        self.members[place as usize].presence = Presence::Out;
        for (sent, number) in self.sent.iter_mut().zip(self.oldest..) {
            if sent.sender == place && (number >= next || missing.contains(&number)) {
                sent.doubtful = true;
            }
        }
    }

    fn no_longer_due(&mut self, place: u32, account: &mut Account) {
        let end = self.end();
        let member = &mut self.members[place as usize];
        if member.presence != Presence::In {
            return;
        }
        member.presence = Presence::Moving;
        if member.slow {
            return;
        }
        self.due -= 1;
        let from = member.next.max(member.since).max(self.oldest);
        let first = member.since.max(self.oldest);
        let missing = member.missing.drain(..).filter(|number| *number >= first);
        for number in missing.chain(from..end) {
            let sent = &mut self.sent[usize::try_from(number - self.oldest).expect("it is kept")];
            // Nobody is due what could not be sent.
            if sent.is_settled() {
                continue;
            }
            sent.due -= 1;
            account.due -= 1;
            account.indeterminate += 1;
        }
        member.next = end;
        // What still comes to it was on its way, and is neither due nor a second copy.
        member.since = u64::MAX;
        self.forget();
    }

    /// A member sends a message; the number that it gets.
    pub fn send(&mut self, sender: u32, intended: u64, at: u64, phase: u16, account: &mut Account) -> u64 {
        let number = self.end();
        account.sent += 1;
        account.due += u64::from(self.due);
        self.sent.push_back(Sent { sender, intended, at, phase, head: [0; HEAD], due: self.due, got: 0, heard: false, doubtful: false });
        number
    }

    /// The text of the newest message, by which its arrivals are known at a glance.
    pub fn sent_as(&mut self, text: &[u8]) {
        if let (Some(sent), Some(head)) = (self.sent.back_mut(), text.first_chunk()) {
            sent.head = *head;
        }
    }

    /// What a text is, if it is known at a glance: the very bytes of a message that is on its way.
    pub fn recognise(&self, text: &[u8]) -> Option<Head> {
        let number = number(text)?;
        let sent = self.kept(number)?;
        is_the_one(number, &sent.head, text).then_some(Head {
            room: self.number,
            number,
            sender: sent.sender,
            micros: sent.intended / 1000,
        })
    }

    /// A message that has just been given its number could not be sent after all: nobody is due it. The phase that it belongs to.
    pub fn unsend(&mut self, number: u64, account: &mut Account) -> Option<u16> {
        let sent = self.sent.get_mut(usize::try_from(number.checked_sub(self.oldest)?).ok()?)?;
        account.sent -= 1;
        account.due -= u64::from(std::mem::take(&mut sent.due));
        Some(sent.phase)
    }

    fn kept(&self, number: u64) -> Option<&Sent> {
        self.sent.get(usize::try_from(number.checked_sub(self.oldest)?).ok()?)
    }

    /// A text has come to the member at `now`, in a packet that `names_right` says whether its names are the sender's and the
    /// room's. `None` where it is of no use to the clocks: it is wrong, or nobody had to have it.
    pub fn arrived(
        &mut self,
        place: u32,
        text: Text,
        names_right: bool,
        now: u64,
        names: &impl Names,
        account: &mut Account,
    ) -> Option<Arrival> {
        let (head, is_sound) = match text {
            Text::Sound(head) => (head, true),
            Text::Altered(head) => (head, false),
            Text::Unknown => {
                self.members[place as usize].unknown += 1;
                let note = "it can't be told which message it was";
                account.add(Wrong::Corrupted, || witness(Wrong::Corrupted, now, names, None, 0, place, note));
                return None;
            }
        };
        let number = head.number;
        let mut wrong = |wrong: Wrong, sender: Option<u32>, note: &str| {
            account.add(wrong, || witness(wrong, now, names, sender, number, place, note));
        };
        if head.room != self.number {
            wrong(Wrong::Leaked, None, &format!("it is a message of room {}", head.room));
            return None;
        }
        let sender = Some(head.sender);
        if number >= self.end() || self.kept(number).is_some_and(|sent| sent.sender != head.sender) {
            wrong(Wrong::Corrupted, None, "no such message was sent");
            return None;
        }
        let member = &mut self.members[place as usize];
        if member.presence == Presence::Out {
            wrong(Wrong::Leaked, sender, "the member had left");
            return None;
        }
        if number < self.oldest {
            if let Some(at) = member.given_up.iter().position(|given_up| *given_up == number) {
                member.given_up.remove(at);
                let waited = now.saturating_sub(head.micros * 1000) as f64 / 1e9;
                wrong(Wrong::Late, sender, &format!("it came {waited:.1} s after its instant"));
                account.lost -= 1;
                let (member, kind) = (names.user(place), Wrong::Lost);
                account.witnesses.retain(|witness| !(witness.wrong == kind && witness.number == number && witness.member == member));
            } else if member.is_due(number) {
                wrong(Wrong::Duplicated, sender, "it had come before");
            }
            return None;
        }
        let mut is_reordered = false;
        if number >= member.next {
            member.skip_to(number, self.oldest);
            member.next = number + 1;
        } else if let Some(at) = member.missing.iter().position(|missing| *missing == number) {
            member.missing.swap_remove(at);
            let came = (number + 1..member.next).filter(|later| !member.missing.contains(later));
            let place_of = |number: u64| usize::try_from(number - self.oldest).expect("it is kept");
            is_reordered = came.map(|later| &self.sent[place_of(later)]).any(|later| later.sender == head.sender);
        } else {
            if number >= member.since {
                wrong(Wrong::Duplicated, sender, "it had come before");
            }
            return None;
        }
        if is_reordered {
            wrong(Wrong::Reordered, sender, "a later message of this sender had come before");
        }
        let is_due = self.members[place as usize].is_due(number);
        if !is_sound {
            wrong(Wrong::Corrupted, sender, "its text isn't what was sent");
        } else if !names_right {
            wrong(Wrong::Corrupted, sender, "it came under another name");
        } else if is_due {
            account.delivered += 1;
        }
        let at = usize::try_from(number - self.oldest).expect("it is kept");
        let sent = &mut self.sent[at];
        let is_first = !std::mem::replace(&mut sent.heard, true);
        sent.got += u32::from(is_due);
        let is_last = is_due && sent.is_settled();
        let arrival =
            Arrival { number, intended: sent.intended, at: sent.at, phase: sent.phase, is_echo: sent.sender == place, is_first, is_last };
        if is_last {
            self.forget();
        }
        is_due.then_some(arrival)
    }

    /// Lets go of the oldest messages that all have who must.
    fn forget(&mut self) {
        while self.sent.front().is_some_and(Sent::is_settled) {
            self.sent.pop_front();
            self.oldest += 1;
        }
    }

    /// Gives up what was sent before `until` (nanoseconds since the run's start) and has not come: it is lost. The places of the
    /// senders whose messages never came back to themselves are told to `unanswered`.
    pub fn give_up(&mut self, until: u64, now: u64, names: &impl Names, account: &mut Account, mut unanswered: impl FnMut(u32)) {
        while let Some(sent) = self.sent.front() {
            if !sent.is_settled() && sent.at >= until {
                break;
            }
            let number = self.oldest;
            let sent = self.sent.pop_front().expect("it is there");
            self.oldest += 1;
            if sent.is_settled() {
                continue;
            }
            for (member, place) in self.members.iter_mut().zip(0u32..) {
                let is_due = member.is_due(number);
                let lacks = number >= member.next || member.missing.contains(&number);
                if number >= member.next {
                    member.skip_to(number, number);
                    member.next = number + 1;
                } else {
                    member.missing.retain(|missing| *missing != number);
                }
                if !is_due || !lacks {
                    continue;
                }
                if place == sent.sender {
                    unanswered(place);
                }
                if sent.doubtful {
                    account.due -= 1;
                    account.indeterminate += 1;
                    continue;
                }
                if member.unknown > 0 {
                    // Something came that could not be made out; it has been counted as corrupted.
                    member.unknown -= 1;
                    continue;
                }
                let heard = if sent.heard { "others have it" } else { "nobody has it" };
                account.add(Wrong::Lost, || witness(Wrong::Lost, now, names, Some(sent.sender), number, place, heard));
                member.given_up.push_back(number);
                if member.given_up.len() > GIVEN_UP {
                    member.given_up.pop_front();
                }
            }
        }
    }

    /// When the oldest message was sent that somebody still waits for, in nanoseconds since the run's start.
    pub fn waits_since(&self) -> Option<u64> {
        self.sent.front().map(|sent| sent.at)
    }
}

impl Sent {
    fn is_settled(&self) -> bool {
        self.got >= self.due
    }
}

impl Member {
    /// What lies between the last that came and this one is missing; of what is no longer kept nobody asks.
    fn skip_to(&mut self, number: u64, oldest: u64) {
        if self.presence == Presence::In {
            self.missing.retain(|missing| *missing >= oldest);
            self.missing.extend(self.next.max(oldest)..number);
        }
    }

    fn is_due(&self, number: u64) -> bool {
        self.presence == Presence::In && !self.slow && number >= self.since
    }
}

fn witness(wrong: Wrong, now: u64, names: &impl Names, sender: Option<u32>, number: u64, place: u32, note: &str) -> Witness {
    Witness {
        wrong,
        at_ms: now as f64 / 1e6,
        room: names.room().to_owned(),
        sender: sender.map_or_else(|| "?".to_owned(), |sender| names.user(sender).to_owned()),
        number,
        member: names.user(place).to_owned(),
        note: note.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Head;
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    struct Plain;

    impl Names for Plain {
        fn room(&self) -> &str {
            "room"
        }
        fn user(&self, place: u32) -> &str {
            ["ann", "bob", "cem", "dan", "eve", "fay", "gus", "hal"][place as usize]
        }
    }

    struct Bench {
        room: Room,
        account: Account,
        now: u64,
    }

    impl Bench {
        fn new(places: u32) -> Self {
            let mut bench = Self { room: Room::new(1, places, |_| false), account: Account::default(), now: 0 };
            for place in 0..places {
                bench.enter(place);
            }
            bench
        }

        fn enter(&mut self, place: u32) {
            self.room.coming(place);
            self.room.entered(place);
        }

        fn send(&mut self, sender: u32) -> u64 {
            self.now += 1;
            self.room.send(sender, self.now, self.now, 0, &mut self.account)
        }

        fn arrive(&mut self, place: u32, sender: u32, number: u64) -> Option<Arrival> {
            self.now += 1;
            let text = Text::Sound(Head { room: 1, number, sender, micros: 0 });
            self.room.arrived(place, text, true, self.now, &Plain, &mut self.account)
        }

        fn give_up(&mut self) {
            self.now += 1;
            self.room.give_up(u64::MAX, self.now, &Plain, &mut self.account, |_| ());
        }

        fn wrongs(&self) -> Vec<(&'static str, u64)> {
            Wrong::ALL.iter().map(|wrong| (wrong.name(), self.account.count(*wrong))).filter(|(_, count)| *count > 0).collect()
        }
    }

    #[test]
    fn first_echo_and_last_are_told_apart() {
        let mut bench = Bench::new(3);
        let number = bench.send(1);
        let told = |arrival: Option<Arrival>| arrival.map(|arrival| (arrival.is_first, arrival.is_echo, arrival.is_last));
        assert_eq!(told(bench.arrive(0, 1, number)), Some((true, false, false)));
        assert_eq!(told(bench.arrive(1, 1, number)), Some((false, true, false)));
        assert_eq!(told(bench.arrive(2, 1, number)), Some((false, false, true)));
        assert!(bench.room.is_settled() && bench.account.is_clean());
        assert_eq!((bench.account.sent, bench.account.due, bench.account.delivered), (1, 3, 3));
    }

    #[test]
    fn what_reaches_a_leaving_member_is_neither_due_nor_a_second_copy() {
        let mut bench = Bench::new(3);
        let number = bench.send(0);
        bench.room.leaving(2, &mut bench.account);
        // Others lack it too, so it is still kept when it comes to the one who leaves.
        assert_eq!(bench.arrive(2, 0, number), None);
        assert_eq!(bench.arrive(0, 0, number).map(|arrival| arrival.is_last), Some(false));
        assert_eq!(bench.arrive(1, 0, number).map(|arrival| arrival.is_last), Some(true));
        assert_eq!((bench.account.due, bench.account.delivered, bench.account.indeterminate), (2, 2, 1));
        assert!(bench.account.is_clean() && bench.room.is_settled());
    }

    #[test]
    fn each_kind_of_wrong_is_counted_as_itself() {
        let check = |what: &str, play: &dyn Fn(&mut Bench), expected: &[(&'static str, u64)]| {
            let mut bench = Bench::new(3);
            play(&mut bench);
            bench.give_up();
            assert_eq!(bench.wrongs(), expected, "{what}");
            let account = &bench.account;
            let unreadable = account.corrupted;
            assert!(account.due <= account.delivered + account.lost + account.late + unreadable, "{what}: {account:?}");
        };
        let all = |bench: &mut Bench, sender, number| {
            (0..3).for_each(|place| {
                bench.arrive(place, sender, number);
            })
        };
        check(
            "clean",
            &|bench| {
                (0..5).for_each(|_| {
                    let n = bench.send(0);
                    all(bench, 0, n)
                })
            },
            &[],
        );
        check(
            "lost",
            &|bench| {
                let n = bench.send(0);
                bench.arrive(0, 0, n);
                bench.arrive(2, 0, n);
            },
            &[("lost", 1)],
        );
        check(
            "lost to all",
            &|bench| {
                bench.send(0);
            },
            &[("lost", 3)],
        );
        check(
            "duplicated",
            &|bench| {
                let n = bench.send(0);
                all(bench, 0, n);
                bench.arrive(1, 0, n);
            },
            &[("duplicated", 1)],
        );
        check(
            "duplicated before all have it",
            &|bench| {
                let n = bench.send(0);
                bench.arrive(1, 0, n);
                all(bench, 0, n);
            },
            &[("duplicated", 1)],
        );
        check(
            "swapped, of one sender",
            &|bench| {
                let (a, b) = (bench.send(0), bench.send(0));
                bench.arrive(1, 0, b);
                bench.arrive(1, 0, a);
                for place in [0, 2] {
                    bench.arrive(place, 0, a);
                    bench.arrive(place, 0, b);
                }
            },
            &[("reordered", 1)],
        );
        check(
            "swapped, of two senders",
            &|bench| {
                let (a, b) = (bench.send(0), bench.send(1));
                bench.arrive(1, 1, b);
                bench.arrive(1, 0, a);
                for place in [0, 2] {
                    bench.arrive(place, 0, a);
                    bench.arrive(place, 1, b);
                }
            },
            &[],
        );
        check(
            "leaked from another room",
            &|bench| {
                let text = Text::Sound(Head { room: 2, number: 0, sender: 0, micros: 0 });
                bench.room.arrived(1, text, true, 9, &Plain, &mut bench.account);
            },
            &[("leaked", 1)],
        );
        check(
            "after leaving",
            &|bench| {
                bench.room.leaving(1, &mut bench.account);
                bench.room.left(1, &mut bench.account);
                let n = bench.send(0);
                all(bench, 0, n);
            },
            &[("leaked", 1)],
        );
        check(
            "altered, its head sound",
            &|bench| {
                let n = bench.send(0);
                let text = Text::Altered(Head { room: 1, number: n, sender: 0, micros: 0 });
                bench.room.arrived(1, text, true, 9, &Plain, &mut bench.account);
                bench.arrive(0, 0, n);
                bench.arrive(2, 0, n);
            },
            &[("corrupted", 1)],
        );
        check(
            "altered, its head unreadable",
            &|bench| {
                let n = bench.send(0);
                bench.room.arrived(1, Text::Unknown, true, 9, &Plain, &mut bench.account);
                bench.arrive(0, 0, n);
                bench.arrive(2, 0, n);
            },
            &[("corrupted", 1)],
        );
        check(
            "late",
            &|bench| {
                let n = bench.send(0);
                bench.arrive(0, 0, n);
                bench.arrive(2, 0, n);
                bench.give_up();
                bench.arrive(1, 0, n);
            },
            &[("late", 1)],
        );
    }

    #[test]
    fn what_could_not_be_sent_is_due_to_nobody() {
        let mut bench = Bench::new(3);
        let unsent = bench.send(0);
        let sent = bench.send(1);
        assert_eq!(bench.room.unsend(unsent, &mut bench.account), Some(0));
        for place in 0..3 {
            bench.arrive(place, 1, sent);
        }
        bench.room.leaving(2, &mut bench.account);
        bench.give_up();
        assert_eq!((bench.wrongs(), bench.account.sent, bench.account.due, bench.account.indeterminate), (vec![], 1, 3, 0));
    }

    #[test]
    fn who_comes_goes_or_breaks_off_is_never_held_against_the_server() {
        let mut bench = Bench::new(4);
        let before = bench.send(0);
        bench.room.leaving(3, &mut bench.account);
        for place in 0..3 {
            bench.arrive(place, 0, before);
        }
        bench.arrive(3, 0, before);
        bench.room.left(3, &mut bench.account);
        let own = bench.send(2);
        bench.room.broke(2, &mut bench.account);
        bench.enter(3);
        let after = bench.send(0);
        for place in [0, 1, 3] {
            bench.arrive(place, 0, after);
        }
        bench.give_up();
        assert_eq!(bench.wrongs(), []);
        // The message whose sender broke off may never have been sent: two others, and the sender itself.
        assert_eq!((bench.account.indeterminate, own), (1 + 3, 1));
        assert_eq!(bench.account.due, bench.account.delivered);
    }

    proptest! {
        /// A server that orders each room, with members who come and go, and with faults of which each is counted: the account
        /// shows just these.
        #[test]
        fn the_account_shows_what_was_injected(seed: u64, steps in 50usize..400) {
            let mut random = SmallRng::seed_from_u64(seed);
            let places = 6;
            let mut bench = Bench::new(places);
            let mut queues: Vec<VecDeque<(u32, u64)>> = vec![VecDeque::new(); places as usize];
            let mut inside = vec![true; places as usize];
            let (mut lost, mut doubled) = (0, 0);
            for _ in 0..steps {
                let place = random.random_range(0..places);
                match random.random_range(0..10) {
                    0..4 if inside[place as usize] => {
                        let number = bench.send(place);
                        for (queue, _) in queues.iter_mut().zip(&inside).filter(|(_, inside)| **inside) {
                            match random.random_range(0..40) {
                                0 => lost += 1,
                                1 => {
                                    doubled += 1;
                                    queue.extend([(place, number); 2]);
                                }
                                _ => queue.push_back((place, number)),
                            }
                        }
                    }
                    4..9 => {
                        for _ in 0..random.random_range(0..8) {
                            if let Some((sender, number)) = queues[place as usize].pop_front() {
                                bench.arrive(place, sender, number);
                            }
                        }
                    }
                    // Who leaves has got everything before, so that what is injected stays certain.
                    9 if inside[place as usize] && queues[place as usize].is_empty() => {
                        let certain = bench.room.members[place as usize].missing.is_empty()
                            && bench.room.members[place as usize].next == bench.room.end();
                        if certain {
                            bench.room.leaving(place, &mut bench.account);
                            bench.room.left(place, &mut bench.account);
                            inside[place as usize] = false;
                        }
                    }
                    _ if !inside[place as usize] => {
                        bench.enter(place);
                        inside[place as usize] = true;
                    }
                    _ => {}
                }
            }
            for place in 0..places {
                while let Some((sender, number)) = queues[place as usize].pop_front() {
                    bench.arrive(place, sender, number);
                }
            }
            bench.give_up();
            prop_assert_eq!((bench.account.lost, bench.account.duplicated), (lost, doubled));
            prop_assert_eq!((bench.account.reordered, bench.account.corrupted, bench.account.leaked, bench.account.late), (0, 0, 0, 0));
            prop_assert_eq!(bench.account.due, bench.account.delivered + lost);
            prop_assert!(bench.room.is_settled());
        }
    }
}
