//! Faults of `chatroom/create`.

use crate::deviation::look::{answer, crash, edit, entered, is_user, reword, says};
use crate::deviation::{Active, Site};
use crate::deviation::{Deviation, Waiting, after, before};
use crate::event::{Event, Outcome};
use crate::fault::registry::{Spec, spec};
use crate::fault::rendezvous::Rendezvous;
use crate::hub::Hub;
use crate::request::{CREATED, EXISTS, INVALID_ROOM, Request};
use crate::room::Room;
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

pub const SPECS: &[Spec] = &[
    spec(
        "create-success-misspelt",
        "CREATE-1",
        &["FLOW-CREATE", "FLOW-LIFE"],
        "a new room is answered by `chatroom create successful`",
        || after(|_, _, outcome| reword(outcome, CREATED, "chatroom create successful")),
    ),
    spec(
        "create-answers-in-msg",
        "CREATE-1",
        &["CREATE-2", "FLOW-CREATE", "FLOW-LIFE"],
        "the answers are in the field `msg`, not `res`",
        || {
            after(|_, event, outcome| {
                let Some(body) = created_body(event, outcome) else { return false };
                body.remove("res").map(|res| body.insert("msg".to_owned(), res)).is_some()
            })
        },
    ),
    spec("create-second-succeeds", "CREATE-2", &[], "a name in use is answered by success", || {
        after(|_, _, outcome| reword(outcome, EXISTS, CREATED))
    }),
    spec("create-exists-misspelt", "CREATE-2", &[], "a name in use is answered by `chatroom already exists`", || {
        after(|_, _, outcome| reword(outcome, EXISTS, "chatroom already exists"))
    }),
    spec("create-second-non-ascii-succeeds", "CREATE-2", &[], "a name in use is answered by success if not all of it is ASCII", || {
        after(|_, event, outcome| created_name(event).is_some_and(|name| !name.is_ascii()) && reword(outcome, EXISTS, CREATED))
    }),
    spec(
        "emptied-room-created-anew",
        "CREATE-2",
        &["READ-1"],
        "a name is free again once its room has emptied, though the room stays",
        || {
            after(|site, event, outcome| {
                let has_emptied = refused_room(site, event, outcome).is_some_and(|room| room.is_empty() && !room.create_pending);
                has_emptied && reword(outcome, EXISTS, CREATED)
            })
        },
    ),
    spec("create-ignores-case", "ISO-1", &["CREATE-1"], "a new name that differs from another in case alone is in use", || {
        before(|site, event| {
            let name = created_name(event)?;
            let is_taken = |other: &String| other != name && other.to_lowercase() == name.to_lowercase();
            if site.state.room(name).is_some() || !site.state.rooms_mut().keys().any(is_taken) {
                return None;
            }
            answer(EXISTS)
        })
    }),
    spec(
        "create-empties-existing",
        "CREATE-3",
        &["ROOM-9", "LIST-6"],
        "a refused create throws everybody out of the existing room",
        || {
            after(|site, event, outcome| {
                let Some(room) = refused_room(site, event, outcome) else { return false };
                let had_users = !room.is_empty();
                *room = Room::new(false);
                had_users
            })
        },
    ),
    spec("create-makes-existing-new", "CREATE-3", &[], "after a refused create the next to enter the existing room gets `create`", || {
        after(|site, event, outcome| {
            let Some(room) = refused_room(site, event, outcome) else { return false };
            !std::mem::replace(&mut room.create_pending, true)
        })
    }),
    spec(
        "create-refused-rearms",
        "CREATE-3",
        &["JOIN-2"],
        "after a refused create the next to join the existing room by WebSocket gets `create`, even after an HTTP join",
        || {
            let rearmed = Mutex::new(HashSet::new());
            after(move |site, event, outcome| {
                let mut rearmed = rearmed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(name) = created_name(event).filter(|_| says(outcome, EXISTS)) {
                    rearmed.insert(name.to_owned());
                }
                let entry = entered(event, outcome).filter(|(_, room, _)| rearmed.remove(room));
                let Some(room) = entry.and_then(|(_, room, _)| site.state.room_mut(&room)) else { return false };
                room.create_pending = false;
                edit(outcome, |packet| {
                    let joins = is_user(packet, "join");
                    if joins {
                        packet["data"]["msg"] = json!("create");
                    }
                    joins
                })
            })
        },
    ),
    spec(
        "create-refused-takes-place",
        "CREATE-3",
        &["LIST-6", "LIST-5"],
        "a refused create counts as somebody in the existing room",
        || {
            after(|site, event, outcome| {
                let Some(room) = refused_room(site, event, outcome) else { return false };
                let ghost = format!("\u{0}{}", room.taken());
                room.take_place(&ghost);
                true
            })
        },
    ),
    spec(
        "create-refused-silences-members",
        "CREATE-3",
        &[],
        "after a refused create the members of the existing room hear nothing",
        || {
            after(|site, event, outcome| {
                let Some(room) = refused_room(site, event, outcome) else { return false };
                let listeners = room.listeners();
                for connection in &listeners {
                    room.names_of(*connection).iter().for_each(|user| room.remove_member(*connection, user));
                }
                !listeners.is_empty()
            })
        },
    ),
    spec("create-refused-loses-the-creator", "CREATE-3", &["JOIN-1"], "after a refused create the creator to come gets `join`", || {
        after(|site, event, outcome| {
            let Some(room) = refused_room(site, event, outcome) else { return false };
            std::mem::replace(&mut room.create_pending, false)
        })
    }),
    spec("create-empty-name", "CREATE-4", &["LIST-6"], "a missing or empty name is answered by success", || {
        before(|_, event| created_name(event).filter(|name| name.is_empty()).and_then(|_| answer(CREATED)))
    }),
    spec("create-empty-name-crashes", "CREATE-4", &[], "a missing or empty name is answered by 500", || {
        before(|_, event| created_name(event).filter(|name| name.is_empty()).and_then(|_| crash()))
    }),
    spec("nameless-room-listed", "LIST-6", &[], "a refused create without a name leaves a room in the list whose name is empty", || {
        after(|site, event, _| {
            let is_nameless = created_name(event).is_some_and(str::is_empty);
            if is_nameless {
                site.state.add_room("");
            }
            is_nameless
        })
    }),
    spec("name-trimmed", "CREATE-5", &["LIST-4", "ISO-1"], "white space around names of rooms is lost", || {
        before(|site, event| renamed(site, event, |name| name.trim().to_owned()))
    }),
    spec("name-cut-at-ampersand", "CREATE-5", &["LIST-4"], "names of rooms end before their first `&`", || {
        before(|site, event| renamed(site, event, |name| name.split('&').next().unwrap_or_default().to_owned()))
    }),
    spec("name-space-becomes-plus", "CREATE-5", &["LIST-4", "ISO-1"], "spaces in names of rooms become `+`", || {
        before(|site, event| renamed(site, event, |name| name.replace(' ', "+")))
    }),
    spec(
        "escapes-decoded-twice",
        "CREATE-5",
        &["LIST-4"],
        "escapes such as `%41` in names of rooms and users are decoded once too often",
        || {
            before(|site, event| {
                let Event::Request(request) = event else { return None };
                let mut decoded = (*request).clone();
                match &mut decoded {
                    Request::List => {}
                    Request::Create { room_name } => *room_name = unescaped(room_name),
                    Request::Room { room_name, user_name, .. } => {
                        *room_name = unescaped(room_name);
                        *user_name = unescaped(user_name);
                    }
                }
                (decoded != **request).then(|| site.state.handle(&Event::Request(&decoded)))
            })
        },
    ),
    spec(
        "name-decoded-twice-on-entering",
        "CREATE-5",
        &["ROOM-1"],
        "`chatroom/room` decodes names of rooms with a `%` once too often",
        || before(|site, event| if created_name(event).is_none() { renamed(site, event, decoded_again) } else { None }),
    ),
    spec("name-slash-refused", "CREATE-5", &["CREATE-1"], "names of rooms with a `/` or `?` are refused", || {
        before(|_, event| created_name(event).filter(|name| name.contains(['/', '?'])).and_then(|_| answer(INVALID_ROOM)))
    }),
    spec("create-race", "CREATE-6", &["CREATE-2"], "of two simultaneous creates of one name both succeed", || {
        Arc::new(CreateRace { rendezvous: Rendezvous::default(), both: CREATED })
    }),
    spec("create-race-lost-by-both", "CREATE-6", &["CREATE-1"], "of two simultaneous creates of one name neither succeeds", || {
        Arc::new(CreateRace { rendezvous: Rendezvous::default(), both: EXISTS })
    }),
];

fn created_name<'a>(event: &Event<'a>) -> Option<&'a str> {
    match event {
        Event::Request(Request::Create { room_name }) => Some(room_name),
        _ => None,
    }
}

fn created_body<'a>(event: &Event<'_>, outcome: &'a mut Outcome) -> Option<&'a mut serde_json::Map<String, serde_json::Value>> {
    created_name(event)?;
    outcome.answer.as_mut()?.body.value().as_object_mut()
}

/// The room that exists already and is asked for by this create.
fn refused_room<'a>(site: &'a mut Site<'_>, event: &Event<'_>, outcome: &Outcome) -> Option<&'a mut Room> {
    let name = created_name(event).filter(|_| says(outcome, EXISTS))?;
    site.state.room_mut(name)
}

/// Deals with an HTTP request as though it were for a room of another name.
fn renamed(site: &mut Site<'_>, event: &Event<'_>, rename: fn(&str) -> String) -> Option<Outcome> {
    let Event::Request(request) = event else { return None };
    let mut request = (*request).clone();
    let (Request::Create { room_name } | Request::Room { room_name, .. }) = &mut request else {
        return None;
    };
    let renamed = rename(room_name);
    if renamed == *room_name {
        return None;
    }
    *room_name = renamed;
    Some(site.state.handle(&Event::Request(&request)))
}

/// The text with its percent-encoding taken off; what else a form would encode stays as it is.
fn unescaped(text: &str) -> String {
    let form = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(form.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

fn decoded_again(name: &str) -> String {
    let decoded = form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned());
    if name.contains('%') { decoded.unwrap_or_default() } else { name.to_owned() }
}

struct CreateRace {
    rendezvous: Rendezvous,
    /// What both are answered.
    both: &'static str,
}

impl Deviation for CreateRace {
    fn arrive<'a>(&'a self, hub: &'a Arc<Hub>, fault: &'a Active, event: &'a Event<'a>) -> Waiting<'a> {
        Box::pin(async move {
            let name = created_name(event).filter(|name| !name.is_empty())?;
            let is_free = hub.visit(|state, _| state.room(name).is_none());
            if !is_free || !self.rendezvous.meet(name).await {
                return None;
            }
            let correct = hub.visit(|state, _| state.create(name));
            if correct.text() != Some(self.both) {
                fault.fire();
            }
            answer(self.both)
        })
    }
}
