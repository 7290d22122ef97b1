//! The shape of a profile's file, as people write it. `chatspec schema load` prints it as a JSON Schema.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::notation::{ByteRate, Bytes, Count, Factor, Fraction, Key, Length, Rate, Seed, Yes};
use super::profile::{Arrival, Durations, PhaseKind};
use crate::scenario::yaml::Spanned;

/// The JSON Schema of a profile.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ProfileFile>()
}

/// `load/NAME.yaml`: what a load shall be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProfileFile {
    /// What the profile is for, in a line.
    pub title: String,
    /// With the same seed a profile gives the same plan; without one, each run has its own.
    #[serde(default)]
    pub seed: Key<Seed>,
    pub rooms: Spanned<RoomsShape>,
    /// Without them, all are chatty.
    #[serde(default)]
    pub behaviours: Option<Spanned<BehavioursShape>>,
    #[serde(default)]
    pub sessions: SessionsShape,
    pub messages: Spanned<MessagesShape>,
    /// In their order. Before the first one everybody arrives.
    pub phases: Spanned<Vec<Spanned<PhaseFileShape>>>,
    /// What must hold in the end: `deliver.p99 < 150ms`, `lost == 0`.
    #[serde(default)]
    pub thresholds: Vec<Spanned<String>>,
    /// After this time a delivery counts as lost; 10 s unless told.
    #[serde(default)]
    pub deadline: Key<Length>,
}

/// A `size` and a `count`, or `sizes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoomsShape {
    /// How many rooms, where the sizes don't say so.
    #[serde(default)]
    pub count: Key<Count>,
    /// Clients in each room.
    #[serde(default)]
    pub size: Key<Count>,
    #[serde(default)]
    pub sizes: Option<Spanned<Vec<Spanned<RoomSizeShape>>>>,
}

/// A size, with a count of rooms or a weight in the count of all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoomSizeShape {
    #[serde(default)]
    #[schemars(required)]
    pub size: Key<Count>,
    #[serde(default)]
    pub weight: Key<Count>,
    #[serde(default)]
    pub count: Key<Count>,
}

/// How clients behave, each kind with its weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BehavioursShape {
    /// Stay, read and send.
    #[serde(default)]
    pub chatty: Option<Spanned<ChattyShape>>,
    /// Stay, read and never send.
    #[serde(default)]
    pub lurking: Option<Spanned<LurkingShape>>,
    /// Leave by the leave flow after a stay, and come back after an absence.
    #[serde(default)]
    pub coming_and_going: Option<Spanned<CycleShape>>,
    /// Don't read as fast as messages come.
    #[serde(default)]
    pub slow_reader: Option<Spanned<SlowReaderShape>>,
    /// Have their TCP connection reset after a stay, and come back after an absence.
    #[serde(default)]
    pub reconnecting: Option<Spanned<CycleShape>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChattyShape {
    /// How many of the clients, as against the other behaviours' weights.
    #[serde(default)]
    #[schemars(required)]
    pub weight: Key<Count>,
    /// How much each of them sends, as against others; 1 unless told.
    #[serde(default)]
    pub sends: Key<Count>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LurkingShape {
    /// How many of the clients, as against the other behaviours' weights.
    #[serde(default)]
    #[schemars(required)]
    pub weight: Key<Count>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CycleShape {
    /// How many of the clients, as against the other behaviours' weights.
    #[serde(default)]
    #[schemars(required)]
    pub weight: Key<Count>,
    /// How much each of them sends while it is there, as against others; 0 unless told.
    #[serde(default)]
    pub sends: Key<Count>,
    /// How long they are there, in the mean.
    #[serde(default)]
    #[schemars(required)]
    pub stay: Key<Length>,
    /// How long they are away, in the mean.
    #[serde(default)]
    #[schemars(required)]
    pub absence: Key<Length>,
    /// How stays and absences are distributed; exponentially unless told.
    #[serde(default)]
    pub durations: Key<Durations>,
}

/// Either `pause` and `every`, or `reads`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlowReaderShape {
    /// How many of the clients, as against the other behaviours' weights.
    #[serde(default)]
    #[schemars(required)]
    pub weight: Key<Count>,
    /// How much each of them sends, as against others; 0 unless told.
    #[serde(default)]
    pub sends: Key<Count>,
    /// For so long they don't read at all…
    #[serde(default)]
    pub pause: Key<Length>,
    /// … once in this time.
    #[serde(default)]
    pub every: Key<Length>,
    /// At most so many bytes each of them reads.
    #[serde(default)]
    pub reads: Key<ByteRate>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SessionsShape {
    /// At equal distances unless told.
    #[serde(default)]
    pub arrival: Key<Arrival>,
    /// How many begin in what time; 500/s unless told.
    #[serde(default)]
    pub rate: Key<Rate>,
}

/// An open load has a `rate`, a closed one `in-flight`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MessagesShape {
    /// Of the whole load, whatever the target does.
    #[serde(default)]
    pub rate: Key<Rate>,
    /// At equal distances unless told.
    #[serde(default)]
    pub arrival: Key<Arrival>,
    /// So many are under way at any time, in the whole load.
    #[serde(default)]
    pub in_flight: Key<Count>,
    /// Between a message that has come back and the next one.
    #[serde(default)]
    pub think: Key<Length>,
    /// Bytes of text, from 64 to 64KiB: one size, or a range. 200 unless told.
    #[serde(default)]
    pub size: Key<Bytes>,
    #[serde(default)]
    pub sizes: Option<Spanned<Vec<Spanned<TextSizeShape>>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TextSizeShape {
    /// Bytes of text, from 64 to 64KiB.
    #[serde(default)]
    #[schemars(required)]
    pub size: Key<Bytes>,
    #[serde(default)]
    #[schemars(required)]
    pub weight: Key<Count>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PhaseFileShape {
    /// `warm-up`, `ramp` (`from`, `to`), `steady`, `burst` (`factor`), `storm` (`fraction`, `spread`) or `drain` (nothing new).
    #[serde(default)]
    #[schemars(required)]
    pub phase: Key<PhaseKind>,
    /// What thresholds and reports call it; the kind unless told, numbered where there are several.
    #[serde(default)]
    pub name: Option<Spanned<String>>,
    /// A drain lasts as long as `deadline` unless told.
    #[serde(default)]
    pub duration: Key<Length>,
    /// Of messages, in the whole load; that of `messages` unless told.
    #[serde(default)]
    pub rate: Key<Rate>,
    /// Of a ramp: the rate at its start.
    #[serde(default)]
    pub from: Key<Rate>,
    /// Of a ramp: the rate at its end; that of `messages` unless told.
    #[serde(default)]
    pub to: Key<Rate>,
    /// Of a burst: times the rate.
    #[serde(default)]
    pub factor: Key<Factor>,
    /// Of a storm: how many of the clients have their connection reset at its start.
    #[serde(default)]
    pub fraction: Key<Fraction>,
    /// Of a storm: within what time they come back; half of its duration unless told.
    #[serde(default)]
    pub spread: Key<Length>,
    /// Whether thresholds that name no phase look at it: steady, burst and storm unless told.
    #[serde(default)]
    pub counts: Key<Yes>,
}
