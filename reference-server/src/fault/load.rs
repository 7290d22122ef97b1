//! Faults for those who test load: what goes wrong is rare, happens at every nth occasion, and is counted, so that a
//! report can be held against the count. No requirement is violated often enough for a conformance test to see it.

use super::dose::Dose;
use crate::deviation::look::{field, is_msg};
use crate::deviation::{Active, Deviation, Site};
use crate::event::{Delivery, Event, Outcome};
use crate::hub::Hub;
use crate::packet;
use crate::room::ConnectionId;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a load fault is called and does.
pub struct Spec {
    /// In kebab case, unique, also among the other faults.
    pub name: &'static str,
    /// How much of it there is unless told otherwise; another one must be of the same kind.
    pub dose: Dose,
    /// What the server does, in one line.
    pub summary: &'static str,
    pub(super) make: fn(Dose) -> Arc<dyn Deviation>,
}

/// How long `load-stop` stops everything.
const STOP: Duration = Duration::from_millis(1_400);

/// How long `load-swap` waits for the message that shall overtake; what isn't overtaken by then comes late, and doesn't count.
const HELD_AT_MOST: Duration = Duration::from_secs(3);

const TEN_THOUSAND: Dose = Dose::OneIn(NonZeroU64::new(10_000).unwrap());
const THOUSAND: Dose = Dose::OneIn(NonZeroU64::new(1_000).unwrap());

static SPECS: &[Spec] = &[
    Spec {
        name: "load-stop",
        dose: Dose::After(NonZeroU64::new(1_000).unwrap()),
        summary: "everything stops for 1.4 s, once: with the message of that number, or that time after the start",
        make: |dose| Arc::new(Stop { dose, messages: AtomicU64::new(0) }),
    },
    Spec {
        name: "load-drop",
        dose: TEN_THOUSAND,
        summary: "of so many deliveries of messages one is dropped",
        make: |dose| deliveries(dose, |_, _| Vec::new()),
    },
    Spec {
        name: "load-duplicate",
        dose: TEN_THOUSAND,
        summary: "of so many deliveries of messages one comes twice",
        make: |dose| deliveries(dose, |_, delivery| vec![delivery.clone(), delivery.clone()]),
    },
    Spec {
        name: "load-swap",
        dose: TEN_THOUSAND,
        summary: "of so many deliveries to others than the sender one comes after the sender's next, if that comes within 3 s",
        make: |dose| Arc::new(Swap { nth: Nth::new(dose), held: Mutex::default() }),
    },
    Spec {
        name: "load-leak",
        dose: TEN_THOUSAND,
        summary: "of so many messages one also comes to somebody in another room",
        make: |dose| Arc::new(Leak(Nth::new(dose))),
    },
    Spec {
        name: "load-alter",
        dose: TEN_THOUSAND,
        summary: "of so many deliveries of messages one has a bit of one letter or digit of its text flipped",
        make: |dose| {
            let count = AtomicU64::new(0);
            deliveries(dose, move |_, delivery| match altered(delivery, count.fetch_add(1, Ordering::Relaxed)) {
                Some(altered) => vec![altered],
                None => vec![delivery.clone()],
            })
        },
    },
    Spec {
        name: "load-cut",
        dose: THOUSAND,
        summary: "of so many WebSocket connections one ends without a close frame, with the first message that it should get",
        make: |dose| Arc::new(Cut { nth: Nth::new(dose), done: Mutex::default() }),
    },
    Spec {
        name: "load-slow-accept",
        dose: Dose::Pause(Duration::from_millis(5)),
        summary: "after each WebSocket connection so much time goes by before the next is accepted",
        make: |dose| Arc::new(SlowAccept(dose)),
    },
];

/// All load faults, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    SPECS.iter()
}

/// Counts occasions over the whole server, and chooses every nth.
struct Nth {
    every: u64,
    count: AtomicU64,
}

impl Nth {
    fn new(dose: Dose) -> Self {
        let every = match dose {
            Dose::OneIn(every) => every.get(),
            // No fault that counts occasions has such a dose.
            Dose::After(_) | Dose::Pause(_) => u64::MAX,
        };
        Self { every, count: AtomicU64::new(0) }
    }

    fn comes(&self) -> bool {
        (self.count.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.every)
    }
}

/// The server writes its packets itself, so their type is the first that they say.
fn is_message(delivery: &Delivery) -> bool {
    delivery.message.to_text().is_ok_and(|text| text.starts_with(r#"{"type":"msg""#))
}

fn carried(delivery: &Delivery) -> Option<Value> {
    serde_json::from_str(delivery.message.to_text().ok()?).ok().filter(is_msg)
}

struct Deliveries<F> {
    nth: Nth,
    replace: F,
}

/// Every nth delivery of a message, one member's, is replaced. It counts if the replacement is another.
fn deliveries<F>(dose: Dose, replace: F) -> Arc<dyn Deviation>
where
    F: Fn(ConnectionId, &Delivery) -> Vec<Delivery> + Send + Sync + 'static,
{
    Arc::new(Deliveries { nth: Nth::new(dose), replace })
}

impl<F> Deviation for Deliveries<F>
where
    F: Fn(ConnectionId, &Delivery) -> Vec<Delivery> + Send + Sync,
{
    fn after(&self, site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        let mut replaced = Vec::new();
        for delivery in outcome.deliveries.iter_mut().filter(|delivery| is_message(delivery)) {
            let message = &delivery.message;
            delivery.to.retain(|to| {
                if !self.nth.comes() {
                    return true;
                }
                let plain = Delivery { to: vec![*to], message: message.clone() };
                let replacement = (self.replace)(*to, &plain);
                if !matches!(&replacement[..], [same] if same.message == plain.message) {
                    site.fire();
                }
                replaced.extend(replacement);
                false
            });
        }
        outcome.deliveries.extend(replaced);
    }
}

/// The delivery with one letter or digit of its text changed, each time another one.
fn altered(delivery: &Delivery, number: u64) -> Option<Delivery> {
    let packet = carried(delivery)?;
    let mut text = field(&packet, "msg").to_owned().into_bytes();
    let places: Vec<usize> = (0..text.len()).filter(|place| text[*place].is_ascii_alphanumeric()).collect();
    let place = places.get(usize::try_from(number % (places.len() as u64).max(1)).ok()?)?;
    text[*place] ^= 1;
    let message = packet::msg(field(&packet, "user_name"), field(&packet, "room_name"), &String::from_utf8(text).ok()?);
    Some(Delivery { to: delivery.to.clone(), message })
}

struct Stop {
    dose: Dose,
    messages: AtomicU64,
}

impl Deviation for Stop {
    fn start(&self, hub: &Arc<Hub>) {
        if let Dose::Pause(time) = self.dose {
            let hub = Arc::clone(hub);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                hub.visit(|_, _| std::thread::sleep(STOP));
                hub.deviation.iter().for_each(Active::fire);
            });
        }
    }

    fn after(&self, site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        if let Dose::After(number) = self.dose
            && outcome.deliveries.iter().any(is_message)
            && self.messages.fetch_add(1, Ordering::Relaxed) + 1 == number.get()
        {
            // The hub is locked, so this stops the other threads as well, as soon as they have anything to do.
            std::thread::sleep(STOP);
            site.fire();
        }
    }
}

/// A message that waits to be overtaken, and its room.
struct Held {
    room: String,
    delivery: Arc<Mutex<Vec<Delivery>>>,
}

struct Swap {
    nth: Nth,
    /// By sender and member.
    held: Mutex<HashMap<(ConnectionId, ConnectionId), Held>>,
}

impl Deviation for Swap {
    fn after(&self, site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        let Some(from) = event.connection() else { return };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut overtaken = Vec::new();
        for delivery in outcome.deliveries.iter_mut().filter(|delivery| is_message(delivery)) {
            let message = &delivery.message;
            let room = || {
                let packet = carried(&Delivery { to: Vec::new(), message: message.clone() }).unwrap_or_default();
                field(&packet, "room_name").to_owned()
            };
            delivery.to.retain(|to| {
                let chosen = *to != from && self.nth.comes();
                let pair = (from, *to);
                if held.get(&pair).is_some_and(|held| held.room == room())
                    && let Some(held) = held.remove(&pair)
                {
                    let waiting = std::mem::take(&mut *held.delivery.lock().unwrap_or_else(PoisonError::into_inner));
                    waiting.iter().for_each(|_| site.fire());
                    overtaken.extend(waiting);
                    return true;
                }
                if chosen && !held.contains_key(&pair) {
                    let waiting = Arc::new(Mutex::new(vec![Delivery { to: vec![*to], message: message.clone() }]));
                    site.deliver_unless_taken(HELD_AT_MOST, &waiting);
                    held.insert(pair, Held { room: room(), delivery: waiting });
                    return false;
                }
                true
            });
        }
        outcome.deliveries.extend(overtaken);
    }
}

struct Leak(Nth);

impl Deviation for Leak {
    fn after(&self, site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        let mut leaked = Vec::new();
        for delivery in outcome.deliveries.iter().filter(|delivery| is_message(delivery)) {
            if !self.0.comes() {
                continue;
            }
            let outsider = site
                .state
                .rooms_mut()
                .values()
                .filter_map(|room| room.listeners().first().copied())
                .find(|listener| !delivery.to.contains(listener));
            if let Some(outsider) = outsider {
                site.fire();
                leaked.push(Delivery { to: vec![outsider], message: delivery.message.clone() });
            }
        }
        outcome.deliveries.extend(leaked);
    }
}

struct Cut {
    nth: Nth,
    done: Mutex<HashSet<ConnectionId>>,
}

impl Deviation for Cut {
    fn after(&self, site: &mut Site<'_>, _event: &Event<'_>, outcome: &mut Outcome) {
        let doomed = |to: &&ConnectionId| (to.0 + 1).is_multiple_of(self.nth.every);
        for to in outcome.deliveries.iter().filter(|delivery| is_message(delivery)).flat_map(|delivery| delivery.to.iter().filter(doomed)) {
            if self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(*to) {
                site.cut(*to);
                site.fire();
            }
        }
    }
}

struct SlowAccept(Dose);

impl Deviation for SlowAccept {
    fn pause_after_accepting(&self, active: &Active) -> Option<Duration> {
        match self.0 {
            Dose::Pause(pause) => {
                active.fire();
                Some(pause)
            }
            Dose::OneIn(_) | Dose::After(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::outbox::Outbox;
    use crate::reading::Readings;
    use crate::state::State;
    use crate::{Config, Limits};

    const ROOMS: u64 = 2;
    const MEMBERS: u64 = 3;
    const MESSAGES: u64 = 30;

    /// The texts that each member got, room by room. Each room's first member says the numbers from 100 on.
    async fn chat(fault: Option<&Fault>) -> Vec<Vec<String>> {
        let mut state = State::new(Config::default().capacity, Readings::default(), Limits::default());
        (0..ROOMS).for_each(|room| state.add_room(&room.to_string()));
        let hub = Arc::new(Hub::new(state, Limits::default(), fault.map(Fault::active)));
        let packet = |kind, room, msg: &str| {
            format!(r#"{{"type":"{kind}","data":{{"user_name":"{}","room_name":"{}","msg":"{msg}"}}}}"#, room, room / MEMBERS)
        };
        let connections: Vec<(ConnectionId, Arc<Outbox>)> = (0..ROOMS * MEMBERS).map(|_| hub.connect()).collect();
        for (number, (connection, _)) in (0..).zip(&connections) {
            hub.handle(Event::Text(*connection, &packet("join", number, ""))).await;
        }
        for message in 100..100 + MESSAGES {
            for room in 0..ROOMS {
                let speaker = room * MEMBERS;
                let (connection, _) = connections[usize::try_from(speaker).unwrap()];
                hub.handle(Event::Text(connection, &packet("msg", speaker, &message.to_string()))).await;
            }
        }
        let texts = |(_, outbox): &(ConnectionId, Arc<Outbox>)| {
            let all = std::iter::from_fn(|| outbox.pop()).map(|message| Delivery { to: Vec::new(), message });
            all.filter_map(|delivery| carried(&delivery))
                .map(|packet| format!("{}:{}", field(&packet, "room_name"), field(&packet, "msg")))
                .collect()
        };
        connections.iter().map(texts).collect()
    }

    async fn with(fault: &str) -> (Vec<Vec<String>>, u64) {
        let fault = Fault::named(fault).unwrap();
        (chat(Some(&fault)).await, fault.firings())
    }

    fn total(all: &[Vec<String>]) -> u64 {
        all.iter().map(|texts| texts.len() as u64).sum()
    }

    const DELIVERIES: u64 = ROOMS * MEMBERS * MESSAGES;

    #[tokio::test]
    async fn every_nth_delivery_is_dropped_or_doubled() {
        let (plain, (dropped, drops), (doubled, doubles)) =
            (chat(None).await, with("load-drop=1/7").await, with("load-duplicate=1/7").await);
        assert_eq!((total(&plain), drops, doubles), (DELIVERIES, DELIVERIES / 7, DELIVERIES / 7));
        assert_eq!((total(&dropped), total(&doubled)), (DELIVERIES - drops, DELIVERIES + doubles));
    }

    #[tokio::test]
    async fn swapped_messages_are_neighbours_of_one_sender() {
        let (plain, (swapped, swaps)) = (chat(None).await, with("load-swap=1/16").await);
        let inversions = |texts: &Vec<String>| texts.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
        assert!(swaps > 2);
        assert_eq!(swapped.iter().map(inversions).sum::<u64>(), swaps);
        for (texts, plain) in swapped.into_iter().zip(&plain) {
            let mut texts = texts;
            texts.sort();
            // The last message of all may wait for one that never comes.
            assert!(texts.iter().zip(plain).all(|(got, sent)| got == sent) && plain.len() - texts.len() <= 1);
        }
    }

    #[tokio::test]
    async fn a_leak_is_heard_in_another_room() {
        let (all, leaks) = with("load-leak=1/10").await;
        assert_eq!((leaks, total(&all)), (ROOMS * MESSAGES / 10, DELIVERIES + leaks));
        let foreign = |(number, texts): (u64, &Vec<String>)| {
            texts.iter().filter(|text| !text.starts_with(&format!("{}:", number / MEMBERS))).count() as u64
        };
        assert_eq!((0..).zip(&all).map(foreign).sum::<u64>(), leaks);
    }

    #[tokio::test]
    async fn an_altered_text_differs_in_one_byte() {
        let (plain, (altered, alterations)) = (chat(None).await, with("load-alter=1/9").await);
        assert_eq!(alterations, DELIVERIES / 9);
        let differences = |(a, b): (&String, &String)| a.bytes().zip(b.bytes()).filter(|(a, b)| a != b).count() as u64;
        let of = |(a, b): (&Vec<String>, &Vec<String>)| a.iter().zip(b).map(differences).inspect(|count| assert!(*count < 2)).sum::<u64>();
        assert_eq!(plain.iter().zip(&altered).map(of).sum::<u64>(), alterations);
    }

    #[tokio::test]
    async fn one_connection_in_so_many_is_cut() {
        let (_, cuts) = with("load-cut=1/3").await;
        assert_eq!(cuts, ROOMS * MEMBERS / 3);
    }

    #[tokio::test]
    async fn everything_stops_once() {
        let fault = Fault::named("load-stop=5").unwrap();
        let began = std::time::Instant::now();
        assert_eq!(total(&chat(Some(&fault)).await), DELIVERIES);
        assert!(began.elapsed() >= STOP);
        assert_eq!(fault.firings(), 1);
    }
}
