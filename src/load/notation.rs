//! How figures are written in profiles and on the command line: `400/s`, `4KiB`, `50%`, `30s`.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::profile::{Arrival, Durations, PhaseKind};
use crate::scenario::source::Span;
use crate::scenario::yaml::Spanned;

/// Messages or sessions a second: `400/s`, `30/m`, `7200/h`, finite and not negative.
///
/// # Errors
/// What is wrong with the text, and how such a figure looks.
pub fn rate(text: &str) -> Result<f64, String> {
    let (figure, unit) = text.split_once('/').unwrap_or((text, ""));
    let per = match unit.trim() {
        "s" | "sec" | "second" => Some(1.0),
        "m" | "min" | "minute" => Some(60.0),
        "h" | "hour" => Some(3600.0),
        _ => None,
    };
    let figure: Option<f64> = figure.trim().parse().ok().filter(|figure: &f64| figure.is_finite() && *figure >= 0.0);
    match (figure, per) {
        (Some(figure), Some(per)) => Ok(figure / per),
        (Some(_), None) => Err(format!("`{text}` doesn't say how often that is: write `400/s`, `30/m` or `100/h`")),
        _ => Err(format!("`{text}` isn't a rate such as `400/s`, `30/m` or `100/h`")),
    }
}

/// Bytes: `200`, `4KiB`, `4kB`, `1MiB`.
///
/// # Errors
/// What is wrong with the text, and how such a figure looks.
pub fn bytes(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (figure, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => Some(1),
        "kB" => Some(1000),
        "KiB" => Some(1024),
        "MB" => Some(1_000_000),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    let size = figure.parse::<u32>().ok().zip(factor).and_then(|(figure, factor)| figure.checked_mul(factor));
    size.ok_or_else(|| format!("`{text}` isn't a size such as `200` or `4KiB` (bytes; kB, KiB, MB, MiB)"))
}

/// A size, or the least and the greatest: `200`, `64..4KiB`.
///
/// # Errors
/// What is wrong with the text, and how such a figure looks.
pub fn byte_range(text: &str) -> Result<(u32, u32), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (bytes(from)?, bytes(to)?);
    if from <= to { Ok((from, to)) } else { Err(format!("`{text}` is empty: the least size stands first, as in `64..4KiB`")) }
}

/// Between 0 and 1: `50%`, `0.5`.
///
/// # Errors
/// What is wrong with the text, and how such a figure looks.
pub fn fraction(text: &str) -> Result<f64, String> {
    let (figure, of) = text.trim().strip_suffix('%').map_or((text, 1.0), |figure| (figure, 100.0));
    let fraction = figure.trim().parse().ok().map(|figure: f64| figure / of).filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| format!("`{text}` isn't a fraction such as `50%` or `0.5`"))
}

/// `300ms`, `5s`, `1h 30m`.
///
/// # Errors
/// What is wrong with the text, and how such a figure looks.
pub fn duration(text: &str) -> Result<Duration, String> {
    let found = humantime::parse_duration(text).map_err(|error| format!("`{text}` isn't a duration such as `300ms` or `5s`: {error}"))?;
    // What a plan reckons in is nanoseconds in 64 bits.
    if found > Duration::from_secs(366 * 86_400) { Err(format!("`{text}` is longer than a year")) } else { Ok(found) }
}

/// Something that is written as a text or a number.
pub(super) trait Notation: Sized {
    /// What it is, with its article.
    const WHAT: &str;
    const EXAMPLES: &[&str];
    /// The valid names, where there are names.
    const NAMES: &'static [&'static str] = &[];

    /// Reads it; in an enumeration the name is among those above.
    fn read(text: &str) -> Result<Self, String>;
}

/// A rate, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub f64);

impl Notation for Rate {
    const WHAT: &str = "a rate";
    const EXAMPLES: &[&str] = &["400/s", "30/m"];
    fn read(text: &str) -> Result<Self, String> {
        rate(text).map(Rate)
    }
}

/// Bytes, the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bytes(pub u32, pub u32);

impl Notation for Bytes {
    const WHAT: &str = "a size";
    const EXAMPLES: &[&str] = &["200", "4KiB", "64..4KiB"];
    fn read(text: &str) -> Result<Self, String> {
        byte_range(text).map(|(from, to)| Bytes(from, to))
    }
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByteRate(pub u32);

impl Notation for ByteRate {
    const WHAT: &str = "a rate of bytes";
    const EXAMPLES: &[&str] = &["4KiB/s"];
    fn read(text: &str) -> Result<Self, String> {
        let size = text.strip_suffix("/s").ok_or_else(|| format!("`{text}` isn't a rate of bytes such as `4KiB/s`"))?;
        bytes(size).map(ByteRate).map_err(|_| format!("`{text}` isn't a rate of bytes such as `4KiB/s`"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction(pub f64);

impl Notation for Fraction {
    const WHAT: &str = "a fraction";
    const EXAMPLES: &[&str] = &["50%", "0.5"];
    fn read(text: &str) -> Result<Self, String> {
        fraction(text).map(Fraction)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length(pub Duration);

impl Notation for Length {
    const WHAT: &str = "a duration";
    const EXAMPLES: &[&str] = &["300ms", "5s"];
    fn read(text: &str) -> Result<Self, String> {
        duration(text).map(Length)
    }
}

/// A whole number up to some four thousand million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count(pub u32);

impl Notation for Count {
    const WHAT: &str = "a whole number";
    const EXAMPLES: &[&str] = &["20"];
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Count).map_err(|_| format!("`{text}` isn't a whole number from 0 to {}", u32::MAX))
    }
}

/// How many times something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(pub f64);

impl Notation for Factor {
    const WHAT: &str = "a factor";
    const EXAMPLES: &[&str] = &["3", "1.5"];
    fn read(text: &str) -> Result<Self, String> {
        let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
        factor.map(Factor).ok_or_else(|| format!("`{text}` isn't a factor such as `3` or `1.5`"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seed(pub u64);

impl Notation for Seed {
    const WHAT: &str = "a seed";
    const EXAMPLES: &[&str] = &["7"];
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Seed).map_err(|_| format!("`{text}` isn't a seed: a whole number from 0 to {}", u64::MAX))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yes(pub bool);

impl Notation for Yes {
    const WHAT: &str = "true or false";
    const EXAMPLES: &[&str] = &[];
    const NAMES: &'static [&'static str] = &["true", "false"];
    fn read(text: &str) -> Result<Self, String> {
        Ok(Yes(text == "true"))
    }
}

/// The value of a name; the names are those of the values.
fn named<T: Copy>(text: &str, values: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    values.iter().copied().find(|value| name(*value) == text).ok_or_else(|| format!("`{text}` isn't valid here"))
}

impl Notation for Arrival {
    const WHAT: &str = "a way to arrive";
    const EXAMPLES: &[&str] = &[];
    const NAMES: &'static [&'static str] = &["constant", "poisson"];
    fn read(text: &str) -> Result<Self, String> {
        named(text, &[Arrival::Constant, Arrival::Poisson], Arrival::name)
    }
}

impl Notation for Durations {
    const WHAT: &str = "a distribution";
    const EXAMPLES: &[&str] = &[];
    const NAMES: &'static [&'static str] = &["exponential", "constant"];
    fn read(text: &str) -> Result<Self, String> {
        named(text, &[Durations::Exponential, Durations::Constant], Durations::name)
    }
}

impl Notation for PhaseKind {
    const WHAT: &str = "a phase";
    const EXAMPLES: &[&str] = &[];
    const NAMES: &'static [&'static str] = &["warm-up", "ramp", "steady", "burst", "storm", "drain"];
    fn read(text: &str) -> Result<Self, String> {
        named(text, &PhaseKind::WRITTEN, PhaseKind::name)
    }
}

/// A key's value. What is wrong has been told when it is found, and isn't told again as missing.
#[derive(Clone, Debug, Default)]
pub enum Key<T> {
    #[default]
    Absent,
    Wrong,
    Given(Spanned<T>),
}

impl<T> Key<T> {
    pub(super) fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Key::Given(value) => Some(value),
            Key::Absent | Key::Wrong => None,
        }
    }

    pub(super) fn span(&self) -> Option<&Span> {
        self.given().map(|value| &value.span)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Key::Absent)
    }
}

/// A value, or `None` where the decoder puts an empty value in the place of a wrong one.
struct Written<T>(Option<T>);

impl<'de, T: Notation> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Notation> Visitor<'de> for Read<T> {
            type Value = Written<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let examples: Vec<String> = T::EXAMPLES.iter().chain(T::NAMES).map(|example| format!("`{example}`")).collect();
                write!(f, "{} such as {}", T::WHAT, examples.join(" or "))
            }
            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Written(None))
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if !T::NAMES.is_empty() && !T::NAMES.contains(&text) {
                    return Err(E::unknown_variant(text, T::NAMES));
                }
                T::read(text).map(|value| Written(Some(value))).map_err(E::custom)
            }
        }
        deserializer.deserialize_option(Read(PhantomData))
    }
}

impl<'de, T: Notation> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { span, value } = Spanned::<Written<T>>::deserialize(deserializer)?;
        Ok(value.0.map_or(Key::Wrong, |value| Key::Given(Spanned { span, value })))
    }
}

impl<T: Notation> JsonSchema for Key<T> {
    fn schema_name() -> Cow<'static, str> {
        T::WHAT.into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        if T::NAMES == Yes::NAMES {
            json_schema!({"type": "boolean"})
        } else if T::NAMES.is_empty() {
            json_schema!({"type": ["string", "number"], "examples": T::EXAMPLES})
        } else {
            json_schema!({"enum": T::NAMES})
        }
    }
    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_people_write_them() {
        assert_eq!((rate("400/s"), rate("30/m"), rate("7200 / h")), (Ok(400.0), Ok(0.5), Ok(2.0)));
        assert_eq!((bytes("200"), bytes("4KiB"), bytes("64kB")), (Ok(200), Ok(4096), Ok(64_000)));
        assert_eq!((byte_range("64..1KiB"), byte_range("70")), (Ok((64, 1024)), Ok((70, 70))));
        assert_eq!((fraction("50%"), fraction("0.25")), (Ok(0.5), Ok(0.25)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
    }

    #[test]
    fn what_is_no_figure_is_told_with_one_that_is() {
        for (wrong, example) in [
            (rate("400").err(), "400/s"),
            (rate("fast").err(), "400/s"),
            (rate("-1/s").err(), "400/s"),
            (rate("inf/s").err(), "400/s"),
            (bytes("4 KB").err(), "4KiB"),
            (bytes("9999999MiB").err(), "4KiB"),
            (byte_range("4KiB..64").err(), "64..4KiB"),
            (fraction("150%").err(), "50%"),
            (fraction("NaN").err(), "50%"),
            (duration("5").err(), "5s"),
            (duration("9999999h").err(), "a year"),
        ] {
            assert!(wrong.clone().is_some_and(|message| message.contains(example)), "{wrong:?}");
        }
    }
}
