//! From a profile's file to a profile. Everything that can be wrong with one is found here or while decoding, all at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use include_dir::{Dir, include_dir};

use super::notation::{Bytes, Count, Key, Length, Rate};
use super::profile::{
    Arrival, Behaviour, Cycle, Durations, LONGEST_TEXT, Messages, Pace, PhaseKind, PhaseShape, Profile, Reading, RoomGroup, SHORTEST_TEXT,
    Sessions, Share, StormShape, TextSizes,
};
use super::profile_file::{
    BehavioursShape, CycleShape, MessagesShape, PhaseFileShape, ProfileFile, RoomSizeShape, RoomsShape, SlowReaderShape, TextSizeShape,
};
use super::threshold::{Threshold, ThresholdError};
use crate::scenario::decode::decode;
use crate::scenario::source::{Diagnostic, Diagnostics, Source, Span, suggest};
use crate::scenario::yaml::{Spanned, parse};

/// The profiles that the binary carries.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scenarios/load");

/// Sessions a second, where the profile doesn't say.
pub(super) const SESSION_RATE: f64 = 500.0;

/// How long a delivery may take, where the profile doesn't say.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of text, where the profile doesn't say.
pub(super) const TEXT: TextSizes = TextSizes::Range { from: 200, to: 200 };

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("there is no profile `{name}`: {help} (a profile of your own is given by its path, as `./{name}.yaml`)")]
    Unknown { name: String, help: String },
    #[error("the profile {} can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} error(s) in the profile {name}", .diagnostics.len())]
    Wrong { name: String, diagnostics: Vec<Diagnostic> },
}

impl Profile {
    /// The names of the profiles that the binary carries, in their order.
    pub fn embedded() -> Vec<&'static str> {
        let mut names: Vec<&str> = EMBEDDED.files().filter_map(|file| file.path().to_str()?.strip_suffix(".yaml")).collect();
        names.sort_unstable();
        names
    }

    /// A profile that the binary carries, by its name, or one's own, by the path of its file.
    ///
    /// # Errors
    /// A name that no profile has, with the nearest; a file that can't be read; all that is wrong with it.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        if let Some(file) = EMBEDDED.get_file(format!("{name}.yaml")) {
            let text = file.contents_utf8().unwrap_or_default().to_owned();
            return Self::read(Source { name: format!("scenarios/load/{name}.yaml"), text }, name);
        }
        let path = Path::new(name);
        let is_path = path.components().count() > 1 || path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !is_path {
            return Err(ProfileError::Unknown { name: name.to_owned(), help: suggest(name, Self::embedded()) });
        }
        Self::from_file(path)
    }

    /// The profile of a file; it is called as the file is.
    ///
    /// # Errors
    /// A file that can't be read; all that is wrong with it.
    pub fn from_file(path: &Path) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path).map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::read(Source { name: path.display().to_string(), text }, &stem)
    }

    /// The profile that a source holds.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(source: Source, name: &str) -> Result<Self, ProfileError> {
        let diagnostics = Diagnostics::default();
        let file: Option<ProfileFile> = match parse(&Arc::new(source)) {
            Ok(node) => decode(&node, &diagnostics),
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                None
            }
        };
        let profile = file.map(|file| Lowering { diagnostics: &diagnostics }.profile(&file, name));
        let diagnostics = diagnostics.into_sorted();
        match profile.filter(|_| diagnostics.is_empty()) {
            Some(profile) => Ok(profile),
            None => Err(ProfileError::Wrong { name: name.to_owned(), diagnostics }),
        }
    }
}

/// Lowers one file. What is wrong is told, and something stands in its place, which nobody gets to see.
struct Lowering<'a> {
    diagnostics: &'a Diagnostics,
}

impl Lowering<'_> {
    fn wrong(&self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(span, message).help(help));
    }

    fn required<'k, T>(&self, key: &'k Key<T>, name: &str, of: &Span) -> Option<&'k Spanned<T>> {
        if key.is_absent() {
            self.diagnostics.error(of, format!("the key `{name}` is missing"));
        }
        key.given()
    }

    /// A key that doesn't go together with what else is there.
    fn unwanted<T>(&self, key: &Key<T>, message: &str, help: &str) {
        if let Some(span) = key.span() {
            self.wrong(span, message, help);
        }
    }

    fn positive_count(&self, key: &Key<Count>, name: &str, of: &Span) -> Option<u32> {
        let count = self.required(key, name, of)?;
        if count.value.0 == 0 {
            self.wrong(&count.span, format!("`{name}` is 0"), "at least 1");
            return None;
        }
        Some(count.value.0)
    }

    fn positive_length(&self, key: &Key<Length>, name: &str, of: &Span) -> Option<Duration> {
        let length = self.required(key, name, of)?;
        if length.value.0.is_zero() {
            self.wrong(&length.span, format!("`{name}` is no time at all"), "give a time such as `5s`");
            return None;
        }
        Some(length.value.0)
    }

    fn positive_rate(&self, key: &Key<Rate>) -> Option<f64> {
        let rate = key.given()?;
        if rate.value.0 == 0.0 {
            self.wrong(&rate.span, "nothing ever comes at a rate of 0", "give a rate such as `400/s`");
            return None;
        }
        Some(rate.value.0)
    }

    fn profile(&self, file: &ProfileFile, name: &str) -> Profile {
        let deadline = match &file.deadline {
            Key::Given(given) => self.positive_length(&file.deadline, "deadline", &given.span).unwrap_or(DEADLINE),
            Key::Absent | Key::Wrong => DEADLINE,
        };
        let pace = self.pace(&file.messages);
        let everybody = Share { behaviour: Behaviour::Chatty, weight: 1, sends: 1 };
        let profile = Profile {
            name: name.to_owned(),
            title: file.title.clone(),
            seed: file.seed.given().map(|seed| seed.value.0),
            rooms: self.rooms(&file.rooms),
            behaviours: file.behaviours.as_ref().map_or_else(|| vec![everybody], |shapes| self.behaviours(shapes)),
            sessions: Sessions {
                arrival: file.sessions.arrival.given().map_or(Arrival::Constant, |arrival| arrival.value),
                rate: self.positive_rate(&file.sessions.rate).unwrap_or(SESSION_RATE),
            },
            messages: Messages { pace, sizes: self.texts(&file.messages) },
            phases: self.phases(&file.phases, pace, deadline),
            thresholds: file.thresholds.iter().map(|threshold| threshold.value.clone()).collect(),
            deadline,
        };
        let phases = profile.phase_names();
        for threshold in &file.thresholds {
            if let Err(error) = fitting(&threshold.value, &phases) {
                self.diagnostics.error(&threshold.span, error.to_string());
            }
        }
        profile
    }

    fn rooms(&self, shape: &Spanned<RoomsShape>) -> Vec<RoomGroup> {
        let (span, RoomsShape { count, size, sizes }) = (&shape.span, &shape.value);
        let Some(sizes) = sizes else {
            let size = self.positive_count(size, "size", span);
            let count = self.positive_count(count, "count", span);
            return size.zip(count).map(|(size, count)| RoomGroup { size, count }).into_iter().collect();
        };
        self.unwanted(size, "`size` is for rooms that are all of one size", "leave out `size` or `sizes`");
        if sizes.value.is_empty() {
            self.wrong(&sizes.span, "`sizes` holds no size", "give sizes such as `[{size: 2, weight: 3}, {size: 50, weight: 1}]`");
        }
        let by_count = sizes.value.iter().any(|shape| !shape.value.count.is_absent());
        let figure = |shape: &Spanned<RoomSizeShape>| {
            let size = self.positive_count(&shape.value.size, "size", &shape.span);
            let figure = if by_count {
                self.unwanted(&shape.value.weight, "some of these sizes have counts", "give all of them a `count`, or all a `weight`");
                self.positive_count(&shape.value.count, "count", &shape.span)
            } else {
                self.positive_count(&shape.value.weight, "weight", &shape.span)
            };
            Some((size?, figure?))
        };
        let figures: Vec<(u32, u32)> = sizes.value.iter().filter_map(figure).collect();
        if by_count {
            self.unwanted(count, "the sizes have counts of their own", "leave out this `count`, or give each size a `weight` instead");
            return figures.into_iter().map(|(size, count)| RoomGroup { size, count }).collect();
        }
        let Some(count) = self.positive_count(count, "count", span) else {
            return Vec::new();
        };
        let weights: Vec<u32> = figures.iter().map(|(_, weight)| *weight).collect();
        let groups = figures.iter().zip(apportion(count, &weights)).map(|((size, _), count)| RoomGroup { size: *size, count });
        groups.filter(|group| group.count > 0).collect()
    }

    fn behaviours(&self, shapes: &Spanned<BehavioursShape>) -> Vec<Share> {
        let BehavioursShape { chatty, lurking, coming_and_going, slow_reader, reconnecting } = &shapes.value;
        let before = self.diagnostics.is_empty();
        let count = |key: &Key<Count>, otherwise| key.given().map_or(otherwise, |count| count.value.0);
        let weight = |key: &Key<Count>, of: &Span| self.required(key, "weight", of).map_or(0, |weight| weight.value.0);
        let mut shares = Vec::new();
        if let Some(Spanned { span, value }) = chatty {
            let sends = count(&value.sends, 1);
            shares.push(Share { behaviour: Behaviour::Chatty, weight: weight(&value.weight, span), sends });
        }
        if let Some(Spanned { span, value }) = lurking {
            shares.push(Share { behaviour: Behaviour::Lurking, weight: weight(&value.weight, span), sends: 0 });
        }
        if let Some(Spanned { span, value }) = coming_and_going {
            let behaviour = Behaviour::ComingAndGoing(self.cycle(value, span));
            shares.push(Share { behaviour, weight: weight(&value.weight, span), sends: count(&value.sends, 0) });
        }
        if let Some(Spanned { span, value }) = slow_reader {
            let behaviour = Behaviour::SlowReader(self.reading(value, span));
            shares.push(Share { behaviour, weight: weight(&value.weight, span), sends: count(&value.sends, 0) });
        }
        if let Some(Spanned { span, value }) = reconnecting {
            let behaviour = Behaviour::Reconnecting(self.cycle(value, span));
            shares.push(Share { behaviour, weight: weight(&value.weight, span), sends: count(&value.sends, 0) });
        }
        // A weight that is wrong in itself stands here as 0.
        if before && self.diagnostics.is_empty() {
            if shares.iter().all(|share| share.weight == 0) {
                self.wrong(&shapes.span, "nobody behaves in any way", "give a behaviour a weight, as in `chatty: {weight: 1}`");
            } else if shares.iter().all(|share| share.weight == 0 || share.sends == 0) {
                self.wrong(&shapes.span, "none of these clients ever sends", "give `chatty` a weight, or another behaviour `sends: 1`");
            }
        }
        shares
    }

    fn cycle(&self, shape: &CycleShape, span: &Span) -> Cycle {
        Cycle {
            stay: self.positive_length(&shape.stay, "stay", span).unwrap_or_default(),
            absence: self.positive_length(&shape.absence, "absence", span).unwrap_or_default(),
            durations: shape.durations.given().map_or(Durations::Exponential, |durations| durations.value),
        }
    }

    fn reading(&self, shape: &SlowReaderShape, span: &Span) -> Reading {
        if let Some(rate) = shape.reads.given() {
            let help = "leave out `reads`, or `pause` and `every`";
            self.unwanted(&shape.pause, "a slow reader pauses, or reads at a rate", help);
            self.unwanted(&shape.every, "a slow reader pauses, or reads at a rate", help);
            if rate.value.0 == 0 {
                self.wrong(&rate.span, "who reads nothing at all gets nothing", "give a rate such as `4KiB/s`");
            }
            return Reading::Rate { bytes: rate.value.0 };
        }
        if shape.reads.is_absent() && shape.pause.is_absent() && shape.every.is_absent() {
            self.wrong(span, "nothing says how slow this reader is", "give `pause: 2s, every: 10s`, or `reads: 4KiB/s`");
        } else if shape.reads.is_absent() {
            let pause = self.positive_length(&shape.pause, "pause", span);
            let every = self.positive_length(&shape.every, "every", span);
            if let Some((pause, every)) = pause.zip(every) {
                if pause >= every {
                    let span = shape.pause.span().unwrap_or(span);
                    self.wrong(span, "the pause is as long as the time in which there is one", "make `pause` shorter than `every`");
                }
                return Reading::Pauses { pause, every };
            }
        }
        Reading::Rate { bytes: 1 }
    }

    fn pace(&self, shape: &Spanned<MessagesShape>) -> Pace {
        let MessagesShape { rate, arrival, in_flight, think, .. } = &shape.value;
        if let Some(given) = in_flight.given() {
            let help = "leave out `in-flight` for an open load, or `rate` and `arrival` for a closed one";
            self.unwanted(rate, "a closed load (`in-flight`) has no rate: the target sets the pace", help);
            self.unwanted(arrival, "in a closed load (`in-flight`) messages don't arrive by themselves", help);
            let in_flight = self.positive_count(in_flight, "in-flight", &given.span).unwrap_or(1);
            return Pace::Closed { in_flight, think: think.given().map_or(Duration::ZERO, |think| think.value.0) };
        }
        self.unwanted(think, "only a closed load thinks between messages", "leave out `think`, or give `in-flight` instead of `rate`");
        if rate.is_absent() && in_flight.is_absent() {
            self.wrong(&shape.span, "nothing says how much is sent", "give `rate: 400/s` (an open load) or `in-flight: 50` (a closed one)");
        }
        Pace::Open {
            arrival: arrival.given().map_or(Arrival::Constant, |arrival| arrival.value),
            rate: self.positive_rate(rate).unwrap_or(1.0),
        }
    }

    fn texts(&self, shape: &Spanned<MessagesShape>) -> TextSizes {
        let MessagesShape { size, sizes, .. } = &shape.value;
        let Some(sizes) = sizes else {
            return size.given().map_or(TEXT, |size| self.text(size));
        };
        self.unwanted(size, "`size` is for messages of one size or range", "leave out `size` or `sizes`");
        if sizes.value.is_empty() {
            self.wrong(&sizes.span, "`sizes` holds no size", "give sizes such as `[{size: 100, weight: 9}, {size: 4KiB, weight: 1}]`");
        }
        let weighted = |shape: &Spanned<TextSizeShape>| {
            let size = self.required(&shape.value.size, "size", &shape.span);
            let weight = self.positive_count(&shape.value.weight, "weight", &shape.span);
            match self.text(size?) {
                TextSizes::Range { from, to } if from == to => Some((from, weight?)),
                _ => {
                    self.wrong(&size?.span, "a weight is of one size, not of a range", "give the range as `size: 64..4KiB` alone");
                    None
                }
            }
        };
        TextSizes::Weighted(sizes.value.iter().filter_map(weighted).collect())
    }

    fn text(&self, size: &Spanned<Bytes>) -> TextSizes {
        let Bytes(from, to) = size.value;
        if let Err(message) = text_sizes(from, to) {
            self.diagnostics.error(&size.span, message);
        }
        TextSizes::Range { from, to }
    }

    fn phases(&self, shapes: &Spanned<Vec<Spanned<PhaseFileShape>>>, pace: Pace, deadline: Duration) -> Vec<PhaseShape> {
        let known: Vec<(PhaseKind, &Spanned<PhaseFileShape>)> =
            shapes.value.iter().filter_map(|shape| Some((self.required(&shape.value.phase, "phase", &shape.span)?.value, shape))).collect();
        let names = default_names(known.iter().map(|(kind, shape)| (*kind, shape.value.name.as_ref().map(|name| name.value.as_str()))));
        let mut phases: Vec<PhaseShape> = Vec::new();
        for ((kind, shape), name) in known.into_iter().zip(names) {
            let span = shape.value.name.as_ref().map_or(&shape.span, |name| &name.span);
            if let Err(message) = phase_name(&name) {
                self.diagnostics.error(span, message);
            }
            if phases.iter().any(|phase| phase.name == name) {
                self.wrong(span, format!("there are two phases `{name}`"), "give one of them another `name`");
            }
            phases.push(self.phase(kind, name, shape, pace, deadline));
        }
        // Where there is no list at all, that has been told.
        let is_list = shapes.span.source.text[shapes.span.start..].starts_with('[');
        if shapes.value.is_empty() && is_list {
            self.wrong(&shapes.span, "`phases` holds no phase", "give phases such as `[{phase: steady, duration: 30s}]`");
        } else if !phases.is_empty() && phases.len() == shapes.value.len() && !phases.iter().any(|phase| phase.kind.sends() && phase.counts)
        {
            let help = "add a `steady` phase, or say `counts: true` of one in which messages are sent";
            self.wrong(&shapes.span, "no phase counts, so that there would be nothing to show", help);
        }
        phases
    }

    fn phase(&self, kind: PhaseKind, name: String, shape: &Spanned<PhaseFileShape>, pace: Pace, deadline: Duration) -> PhaseShape {
        let (span, shape) = (&shape.span, &shape.value);
        let of = |kinds: &[PhaseKind]| kinds.contains(&kind);
        let only = |of: &str| format!("only a {of} has this");
        let help = format!("leave it out, or make this phase another than `{kind}`");
        if !of(&[PhaseKind::Ramp]) {
            self.unwanted(&shape.from, &only("ramp"), &help);
            self.unwanted(&shape.to, &only("ramp"), &help);
        }
        if !of(&[PhaseKind::Burst]) {
            self.unwanted(&shape.factor, &only("burst"), &help);
        }
        if !of(&[PhaseKind::Storm]) {
            self.unwanted(&shape.fraction, &only("storm"), &help);
            self.unwanted(&shape.spread, &only("storm"), &help);
        }
        if of(&[PhaseKind::Drain]) {
            self.unwanted(&shape.rate, "nothing is sent in a drain", &help);
        }
        if of(&[PhaseKind::Ramp]) {
            self.unwanted(&shape.rate, "a ramp has a rate at its start and one at its end", "give `from` and `to` instead");
        }
        let duration = match (&shape.duration, kind) {
            (Key::Absent, PhaseKind::Drain) => deadline,
            (key, _) => self.positive_length(key, "duration", span).unwrap_or(Duration::from_secs(1)),
        };
        let rate = match pace {
            Pace::Closed { .. } => {
                let message = "in a closed load (`in-flight`) the target sets the pace: a phase has no rate";
                if of(&[PhaseKind::Ramp, PhaseKind::Burst]) {
                    self.wrong(span, message, "make it a `steady` phase, or the load an open one (`rate` in `messages`)");
                }
                for key in [&shape.rate, &shape.from, &shape.to] {
                    self.unwanted(key, message, "leave it out, or make the load an open one (`rate` in `messages`)");
                }
                None
            }
            Pace::Open { rate, .. } if kind == PhaseKind::Ramp => {
                let from = self.required(&shape.from, "from", span).map_or(0.0, |rate| rate.value.0);
                let to = shape.to.given().map_or(rate, |rate| rate.value.0);
                if from == 0.0 && to == 0.0 {
                    self.wrong(span, "a ramp from 0 to 0 sends nothing", "give `to` a rate such as `400/s`");
                }
                Some((from, to))
            }
            Pace::Open { .. } => self.positive_rate(&shape.rate).map(|rate| (rate, rate)),
        };
        let factor = of(&[PhaseKind::Burst]).then(|| self.required(&shape.factor, "factor", span).map_or(1.0, |factor| factor.value.0));
        let storm = of(&[PhaseKind::Storm]).then(|| {
            let fraction = self.required(&shape.fraction, "fraction", span).map_or(1.0, |fraction| fraction.value.0);
            let spread = shape.spread.given().map_or(duration / 2, |spread| spread.value.0);
            if let Some(given) = shape.spread.span().filter(|_| spread > duration) {
                self.wrong(given, "they would still be coming back when the storm is over", "make `spread` at most as long as `duration`");
            }
            StormShape { fraction, spread }
        });
        let counts = shape.counts.given().map_or(kind.counts(), |counts| counts.value.0);
        PhaseShape { name, kind, duration, rate, factor, storm, counts }
    }
}

/// Whether a text is a threshold that names no phase but these.
pub(super) fn fitting(threshold: &str, phases: &[String]) -> Result<(), ThresholdError> {
    Threshold::parse(threshold)?.fits(phases.iter().map(String::as_str))
}

/// Parts of a whole by their weights, which aren't all 0: whole numbers that add up to it, by the largest remainders.
pub(super) fn apportion(whole: u32, weights: &[u32]) -> Vec<u32> {
    let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if all == 0 {
        return vec![0; weights.len()];
    }
    let exact: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * u64::from(whole)).collect();
    let mut parts: Vec<u32> = exact.iter().map(|exact| (exact / all) as u32).collect();
    let mut rest = whole - parts.iter().sum::<u32>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(exact[*index] % all));
    for index in order {
        if rest == 0 {
            break;
        }
        parts[index] += 1;
        rest -= 1;
    }
    parts
}

/// Names of phases: their own, or the kind, numbered where there are several that have none.
pub(super) fn default_names<'n>(phases: impl Iterator<Item = (PhaseKind, Option<&'n str>)> + Clone) -> Vec<String> {
    let mut numbers = std::collections::BTreeMap::<PhaseKind, u32>::new();
    let several = |kind| phases.clone().filter(|(other, name)| *other == kind && name.is_none()).count() > 1;
    let name = |(kind, name): (PhaseKind, Option<&str>)| match name {
        Some(name) => name.to_owned(),
        None if several(kind) => {
            let number = numbers.entry(kind).or_default();
            *number += 1;
            format!("{kind}-{number}")
        }
        None => kind.name().to_owned(),
    };
    phases.clone().map(name).collect()
}

/// Whether thresholds can speak of a phase by this name.
pub(super) fn phase_name(name: &str) -> Result<(), String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(sound) {
        return Ok(());
    }
    Err(format!("`{name}` is no name for a phase: letters, digits, `-` and `_` make one"))
}

/// Whether the generator can make such texts.
pub(super) fn text_sizes(from: u32, to: u32) -> Result<TextSizes, String> {
    if from < SHORTEST_TEXT {
        let what = "the generator's own header needs as much";
        return Err(format!("a text of {from} bytes is too short: at least {SHORTEST_TEXT}, since {what}"));
    }
    if to > LONGEST_TEXT {
        return Err(format!("a text of {to} bytes is too long: at most 64KiB ({LONGEST_TEXT} bytes)"));
    }
    Ok(TextSizes::Range { from, to })
}
