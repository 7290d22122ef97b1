//! Faults of `chatroom/list`.

use crate::deviation::look::{answered, done, entered, room, says};
use crate::deviation::{Deviation, Site, after};
use crate::event::{Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::request::{Body, CREATED, EXISTS, FULL_ROOM, INVALID_ROOM, JOINED, LEFT, Request, USER_NOT_EXIST};
use crate::room::ConnectionId;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub const SPECS: &[Spec] = &[
    spec("list-key-alternates", "LIST-1", &[], "the list is called room_list and rooms in turn", || {
        let turn = AtomicUsize::new(0);
        after(move |_, event, outcome| {
            let odd = turn.fetch_add(usize::from(is_list(event)), Ordering::Relaxed) % 2 == 1;
            body(event, outcome).is_some_and(|body| body.remove(if odd { "rooms" } else { "room_list" }).is_some())
        })
    }),
    spec("list-is-bare-array", "LIST-1", &["LIST-4"], "the answer is the array itself, not an object that holds it", || {
        after(|_, event, outcome| {
            let Some(rooms) = body(event, outcome).and_then(first_list) else { return false };
            outcome.answer.iter_mut().for_each(|answer| answer.body = Body::Value(rooms.clone()));
            true
        })
    }),
    spec("list-is-object", "LIST-1", &["LIST-4"], "the list is an object from names to populations", || {
        after(|_, event, outcome| {
            each_list(event, outcome, |rooms| {
                let pairs = rooms.drain(..).map(|room| (name(&room).to_owned(), room["population"].clone()));
                Some(Value::Object(pairs.collect()))
            })
        })
    }),
    spec("list-missing-when-empty", "LIST-1", &[], "the list is null while there are no rooms", || {
        after(|_, event, outcome| each_list(event, outcome, |rooms| rooms.is_empty().then_some(Value::Null)))
    }),
    spec("list-entry-nameless", "LIST-2", &["LIST-4"], "the entries don't name their rooms", || {
        after(|_, event, outcome| each_entry(event, outcome, |entry| entry.remove("room_name").is_some() | entry.remove("name").is_some()))
    }),
    spec("list-name-as-number", "LIST-2", &["CREATE-5"], "a room's name that looks like a number is listed as one", || {
        after(|_, event, outcome| each_name(event, outcome, |name| name.parse::<u64>().ok().map(Value::from)))
    }),
    spec("population-as-string", "LIST-3", &["LIST-5"], "population is a string", || {
        after(|_, event, outcome| each_population(event, outcome, |_, population| Some(json!(population.to_string()))))
    }),
    spec("population-negative", "LIST-3", &["LIST-5"], "an empty room's population is -1", || {
        after(|_, event, outcome| each_population(event, outcome, |_, population| (population == 0).then(|| json!(-1))))
    }),
    spec("population-null-when-empty", "LIST-3", &[], "an empty room's population is null", || {
        after(|_, event, outcome| each_population(event, outcome, |_, population| (population == 0).then_some(Value::Null)))
    }),
    spec(
        "population-falls-at-late-close",
        "LIST-3",
        &["LIST-5"],
        "the end of a connection whose user has left by WebSocket and by HTTP counts as one more leave",
        || {
            let left: Mutex<Vec<(ConnectionId, String, String)>> = Mutex::default();
            let extra: Mutex<HashMap<String, i64>> = Mutex::default();
            after(move |site, event, outcome| {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                let mut extra = extra.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((from, room, _)) = entered(event, outcome) {
                    left.retain(|(leaver, left, _)| (*leaver, left) != (from, &room));
                }
                left.extend(done(event, outcome, "leave"));
                if let Event::Gone(connection) = event {
                    let is_out = |room: &str, user: &str| site.state.room(room).is_some_and(|room| !room.has_place(user));
                    for (_, room, _) in left.iter().filter(|(leaver, room, user)| leaver == connection && is_out(room, user)) {
                        *extra.entry(room.clone()).or_insert(0) += 1;
                    }
                }
                each_population(event, outcome, |room, population| {
                    let extra = extra.get(room)?;
                    Some(json!(i64::try_from(population).ok()? - extra))
                })
            })
        },
    ),
    spec("list-new-room-twice", "LIST-4", &[], "the newest room is listed twice", || {
        after(|_, event, outcome| {
            each_list(event, outcome, |rooms| {
                let newest = rooms.last()?.clone();
                rooms.push(newest);
                Some(rooms.clone().into())
            })
        })
    }),
    spec("list-omits-empty-rooms", "LIST-4", &["READ-1"], "rooms without anybody in them aren't listed", || {
        after(|_, event, outcome| {
            each_list(event, outcome, |rooms| {
                let before = rooms.len();
                rooms.retain(|room| room["population"] != 0);
                (rooms.len() < before).then(|| rooms.clone().into())
            })
        })
    }),
    spec("list-entry-per-person", "LIST-4", &["LIST-5", "FLOW-LIFE"], "a room is listed once for each person in it", || {
        after(|_, event, outcome| {
            each_list(event, outcome, |rooms| {
                let people = |room: &Value| room["population"].as_u64().and_then(|people| usize::try_from(people).ok());
                let all: Vec<Value> = rooms.iter().flat_map(|room| vec![room.clone(); people(room).unwrap_or(0).max(1)]).collect();
                (all.len() > rooms.len()).then(|| all.into())
            })
        })
    }),
    spec("list-is-stale", "LIST-4", &["LIST-5", "FLOW-LIFE"], "every list is the one that the request before should have got", || {
        let last = Mutex::new(None);
        after(move |_, event, outcome| {
            if !is_list(event) {
                return false;
            }
            let current = outcome.answer.clone();
            let before = last.lock().unwrap_or_else(PoisonError::into_inner).replace(current.clone());
            outcome.answer = before.unwrap_or_else(|| current.clone());
            outcome.answer != current
        })
    }),
    spec("population-stays-zero", "LIST-5", &["FLOW-LIFE"], "population is always 0", || {
        after(|_, event, outcome| each_population(event, outcome, |_, population| (population > 0).then(|| json!(0))))
    }),
    spec("population-never-falls", "LIST-5", &["FLOW-LIFE"], "population is the highest that the room ever had", || {
        let highest = Mutex::new(HashMap::new());
        after(move |_, event, outcome| {
            each_population(event, outcome, |room, population| {
                let mut highest = highest.lock().unwrap_or_else(PoisonError::into_inner);
                let highest = highest.entry(room.to_owned()).or_insert(0);
                *highest = population.max(*highest);
                (*highest > population).then(|| json!(*highest))
            })
        })
    }),
    spec("population-falls-by-two", "LIST-5", &["FLOW-LIFE"], "each leave takes two from the population", || {
        let extra = Mutex::new(HashMap::new());
        after(move |_, event, outcome| {
            let mut extra = extra.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((room, _)) = answered(event, outcome, LEFT) {
                *extra.entry(room.to_owned()).or_insert(0) += 1;
            }
            each_population(event, outcome, |room, population| {
                let extra = extra.get(room).copied().unwrap_or(0).min(population);
                (extra > 0).then(|| json!(population - extra))
            })
        })
    }),
    spec(
        "list-cache-misses-websocket",
        "LIST-5",
        &["FLOW-LIFE", "READ-1"],
        "the list stays as it was fetched until the next HTTP create, join or leave, whoever comes and goes by WebSocket",
        || {
            let cache = Mutex::new(None);
            after(move |_, event, outcome| {
                let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                if [CREATED, JOINED, LEFT].iter().any(|success| says(outcome, success)) {
                    *cache = None;
                }
                if !is_list(event) {
                    return false;
                }
                let current = outcome.answer.clone();
                outcome.answer = cache.get_or_insert_with(|| current.clone()).clone();
                outcome.answer != current
            })
        },
    ),
    spec("same-name-counted-twice", "LIST-5", &["READ-1"], "a user who is in a room over two connections counts as two people", || {
        after(|site, event, outcome| {
            each_population(event, outcome, |room, population| {
                let room = site.state.room(room)?;
                let names: Vec<String> = room.listeners().into_iter().flat_map(|connection| room.names_of(connection)).collect();
                let again = names.len() - names.iter().collect::<HashSet<_>>().len();
                (again > 0).then(|| json!(population + again as u64))
            })
        })
    }),
    spec("second-join-counted", "LIST-5", &[], "a user's second HTTP join counts as one more person", || {
        Arc::new(SecondJoinCounted::default())
    }),
    spec(
        "stranger-leave-lowers-population",
        "ROOM-9",
        &["LIST-5", "LIST-6", "LIFE-2"],
        "a leave that is refused still takes one from the population",
        || {
            let lowered = Mutex::new(HashMap::new());
            after(move |_, event, outcome| {
                let mut lowered = lowered.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((room, _)) = answered(event, outcome, USER_NOT_EXIST) {
                    *lowered.entry(room.to_owned()).or_insert(0) += 1;
                }
                each_population(event, outcome, |room, population| {
                    let lowered = lowered.get(room).copied().unwrap_or(0).min(population);
                    (lowered > 0).then(|| json!(population - lowered))
                })
            })
        },
    ),
    spec(
        "refused-create-listed-again",
        "LIST-6",
        &["LIST-4", "CREATE-3", "CREATE-6"],
        "a create that is refused puts the existing room into the list once more",
        || {
            let refused = Mutex::new(HashSet::new());
            after(move |_, event, outcome| {
                let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                if let Event::Request(Request::Create { room_name }) = event
                    && says(outcome, EXISTS)
                {
                    refused.insert(room_name.clone());
                }
                each_list(event, outcome, |rooms| {
                    let again: Vec<Value> = rooms.iter().filter(|room| refused.contains(name(room))).cloned().collect();
                    (!again.is_empty()).then(|| rooms.iter().cloned().chain(again).collect())
                })
            })
        },
    ),
    spec(
        "refused-join-counted",
        "LIST-6",
        &["ROOM-9", "LIST-5", "LIFE-2"],
        "a join that a full room refuses counts in its population",
        || {
            let refused = Mutex::new(HashMap::new());
            after(move |_, event, outcome| {
                let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((room, _)) = answered(event, outcome, FULL_ROOM) {
                    *refused.entry(room.to_owned()).or_insert(0) += 1;
                }
                each_population(event, outcome, |room, population| refused.get(room).map(|refused: &u64| json!(population + refused)))
            })
        },
    ),
    spec("refused-room-listed", "LIST-6", &["ROOM-9", "READ-1"], "a join to an unknown room makes it appear in the list", || {
        after(|site, event, outcome| {
            let refused = answered(event, outcome, INVALID_ROOM);
            let Some((room, _)) = refused.filter(|(room, _)| !room.is_empty()) else { return false };
            site.state.add_room(room);
            says(outcome, INVALID_ROOM)
        })
    }),
    spec("leave-makes-room", "LIST-6", &["ROOM-3", "ROOM-9"], "leaving an unknown room is refused, but creates it", || {
        after(|site, event, outcome| {
            let Some((room, _, "0")) = room(event) else { return false };
            says(outcome, INVALID_ROOM) && site.state.create(room).text() == Some(CREATED)
        })
    }),
    spec("name-escaped-in-list", "CREATE-5", &["LIST-4"], "names are escaped for HTML in the list", || {
        after(|_, event, outcome| {
            each_name(event, outcome, |name| {
                let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
                (escaped != name).then(|| escaped.into())
            })
        })
    }),
    spec("name-ascii-in-list", "CREATE-5", &["LIST-4"], "letters of names beyond ASCII are question marks in the list", || {
        after(|_, event, outcome| {
            each_name(event, outcome, |name| {
                let ascii: String = name.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect();
                (ascii != name).then(|| ascii.into())
            })
        })
    }),
    spec("name-encoded-in-list", "CREATE-5", &["LIST-4"], "names are still percent-encoded in the list", || {
        after(|_, event, outcome| {
            each_name(event, outcome, |name| {
                let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
                (encoded != name).then(|| encoded.into())
            })
        })
    }),
];

fn is_list(event: &Event<'_>) -> bool {
    matches!(event, Event::Request(Request::List))
}

fn body<'a>(event: &Event<'_>, outcome: &'a mut Outcome) -> Option<&'a mut Map<String, Value>> {
    outcome.answer.as_mut().filter(|_| is_list(event))?.body.value().as_object_mut()
}

fn first_list(body: &mut Map<String, Value>) -> Option<Value> {
    body.values().next().cloned()
}

fn name(entry: &Value) -> &str {
    entry["room_name"].as_str().or_else(|| entry["name"].as_str()).unwrap_or_default()
}

/// Replaces the list under each of its names.
fn each_list(event: &Event<'_>, outcome: &mut Outcome, mut replacement: impl FnMut(&mut Vec<Value>) -> Option<Value>) -> bool {
    let mut replaced = false;
    for list in body(event, outcome).into_iter().flat_map(|body| body.values_mut()) {
        if let Some(new) = list.as_array_mut().and_then(&mut replacement) {
            *list = new;
            replaced = true;
        }
    }
    replaced
}

fn each_entry(event: &Event<'_>, outcome: &mut Outcome, mut edit: impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
    let mut edited = false;
    for list in body(event, outcome).into_iter().flat_map(|body| body.values_mut()) {
        for entry in list.as_array_mut().into_iter().flatten() {
            edited |= entry.as_object_mut().is_some_and(&mut edit);
        }
    }
    edited
}

fn each_population(event: &Event<'_>, outcome: &mut Outcome, mut replacement: impl FnMut(&str, u64) -> Option<Value>) -> bool {
    each_entry(event, outcome, |entry| {
        let room = name(&Value::Object(entry.clone())).to_owned();
        let population = entry.get("population").and_then(Value::as_u64).unwrap_or_default();
        replacement(&room, population).map(|new| entry.insert("population".to_owned(), new)).is_some()
    })
}

fn each_name(event: &Event<'_>, outcome: &mut Outcome, replacement: impl Fn(&str) -> Option<Value>) -> bool {
    each_entry(event, outcome, |entry| {
        let mut edited = false;
        for key in ["room_name", "name"] {
            if let Some(new) = entry.get(key).and_then(Value::as_str).and_then(&replacement) {
                entry.insert(key.to_owned(), new);
                edited = true;
            }
        }
        edited
    })
}

/// How often users have joined by HTTP while they were in the room by HTTP.
#[derive(Default)]
struct SecondJoinCounted {
    extra: Mutex<HashMap<(String, String), u64>>,
}

impl Deviation for SecondJoinCounted {
    fn before(&self, site: &mut Site<'_>, event: &Event<'_>) -> Option<Outcome> {
        let (room_name, user_name, status) = room(event)?;
        let is_in = site.state.room(room_name)?.entered_by_http(user_name);
        let mut extra = self.extra.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (room_name.to_owned(), user_name.to_owned());
        match status {
            "1" if is_in => *extra.entry(key).or_insert(0) += 1,
            "0" => drop(extra.remove(&key)),
            _ => {}
        }
        None
    }

    fn after(&self, site: &mut Site<'_>, event: &Event<'_>, outcome: &mut Outcome) {
        let extra = self.extra.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = each_population(event, outcome, |room_name, population| {
            let room = site.state.room(room_name)?;
            let here = extra.iter().filter(|((name, user), _)| name == room_name && room.has_place(user));
            let more: u64 = here.map(|(_, more)| more).sum();
            (more > 0).then(|| json!(population + more))
        });
        if counted {
            site.fire();
        }
    }
}
