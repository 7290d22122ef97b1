//! Variants: odd ways of doing what the document says, for testing those who test servers. A client that trips over one
//! expects something that the document doesn't promise.

mod crowd;
mod frames;
mod http;
mod json;
mod postponed;
mod silent;

use crate::Config;
use crate::deviation::{Active, Deviation};
use crate::nearest::nearest;
use crate::reading::Readings;
use std::sync::Arc;
use thiserror::Error;

/// What a variant is called and does.
pub struct Spec {
    /// In kebab case, unique.
    pub name: &'static str,
    /// What the server does, in one line.
    pub summary: &'static str,
    change: Change,
}

enum Change {
    Configuration(fn(&mut Config)),
    Behaviour(fn() -> Arc<dyn Deviation>),
}

/// No variant has this name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("there is no variant {name:?}; the nearest is {nearest:?}, and --list-variants shows them all")]
pub struct UnknownVariant {
    pub name: String,
    pub nearest: &'static str,
}

const fn behaves(name: &'static str, summary: &'static str, make: fn() -> Arc<dyn Deviation>) -> Spec {
    Spec { name, summary, change: Change::Behaviour(make) }
}

const fn is_set(name: &'static str, summary: &'static str, configure: fn(&mut Config)) -> Spec {
    Spec { name, summary, change: Change::Configuration(configure) }
}

const ALREADY_THERE: usize = 10_000;

static SPECS: &[Spec] = &[
    behaves("extra-fields", "packets, answers and the entries of the list have fields that nobody asked for", || {
        json::written(json::extended)
    }),
    behaves("reordered-keys", "the fields of every JSON object come in the opposite order", || json::written(json::reordered)),
    behaves("pretty-printed", "JSON is spread over lines and indented", || json::written(json::pretty)),
    behaves("escaped-unicode", "in JSON, letters beyond ASCII and slashes are escaped", || json::written(json::escaped)),
    behaves("white-space-around", "there is white space before and after all JSON", || json::written(json::spaced)),
    behaves("status-201", "what succeeds by HTTP is answered with 201", || http::answers(http::created)),
    behaves("status-4xx", "what is refused by HTTP is answered with 409", || http::answers(http::conflict)),
    behaves("chunked", "HTTP answers come in chunks, their length untold", || http::answers(http::chunked)),
    behaves("plain-text", "HTTP answers call their JSON text/plain", || http::answers(http::plain_text)),
    behaves("one-request-a-connection", "every HTTP connection is closed after one answer", || http::answers(http::closing)),
    behaves("slow", "every answer and packet takes up to 500 ms, and never the same time", || postponed::with(postponed::slow)),
    behaves("in-batches", "packets are held for up to 5 ms, and those held together go out in one segment", || {
        postponed::with(postponed::in_batches)
    }),
    behaves("fragmented", "every message comes in fragments, some of them empty, with pings between them", || {
        frames::shaped(frames::fragmented)
    }),
    behaves("one-frame-in-three", "every frame comes in three segments", || frames::shaped(frames::in_three)),
    behaves("pings", "before and after every frame comes a ping", || frames::shaped(frames::between_pings)),
    behaves("other-texts", "where the document has no text for a refusal, it is one that the document doesn't have", || {
        silent::with(silent::reword)
    }),
    behaves("closes-instead", "a malformed packet, or a join that can't be, ends the connection with a close frame", || {
        silent::with(silent::close)
    }),
    behaves("ignores-instead", "a packet that is refused by none of the documented errors is ignored", || silent::with(silent::ignore)),
    behaves("crowd", "other users come, chat and go in other rooms all the time", crowd::crowd),
    is_set("capacity-2", "a room has two places", |config| config.capacity = 2),
    is_set("capacity-3", "a room has three places", |config| config.capacity = 3),
    is_set("capacity-64", "a room has 64 places", |config| config.capacity = 64),
    is_set("capacity-5000", "a room has 5,000 places", |config| config.capacity = 5_000),
    is_set("rooms-10000", "10,000 rooms are there from the start", |config| {
        config.rooms.extend((1..=ALREADY_THERE).map(|number| format!("room {number}")));
    }),
    is_set("written-for-json", "parameters are taken as JSON only, and the status as a string", |config| {
        config.readings.params = crate::reading::Params::PostJson;
        config.readings.status_type = crate::reading::StatusType::String;
    }),
];

/// All variants that aren't just a reading, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    SPECS.iter()
}

/// The names of all variants: those of the table, and each reading that isn't followed anyway, as `R-LIST=rooms`.
pub fn names() -> impl Iterator<Item = String> {
    let differs = |id: &str, value: &str| {
        let mut readings = Readings::default();
        readings.pin(id, value).is_ok() && readings != Readings::default()
    };
    let of = move |id: &'static str| {
        Readings::values(id).into_iter().filter(move |value| differs(id, value)).map(move |value| format!("{id}={value}"))
    };
    all().map(|spec| spec.name.to_owned()).chain(Readings::IDS.iter().copied().flat_map(of))
}

/// Makes a configuration that of a variant. For one that is a reading, pin the reading instead.
///
/// # Errors
/// [`UnknownVariant`] for a name that the table doesn't have.
pub fn apply(name: &str, config: &mut Config) -> Result<(), UnknownVariant> {
    let spec = all()
        .find(|spec| spec.name == name)
        .ok_or_else(|| UnknownVariant { name: name.to_owned(), nearest: nearest(name, all().map(|spec| spec.name)) })?;
    match spec.change {
        Change::Configuration(configure) => configure(config),
        Change::Behaviour(make) => config.variant = Some(Active::new(spec.name, make())),
    }
    Ok(())
}
