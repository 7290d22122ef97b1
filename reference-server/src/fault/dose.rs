//! How much of a load fault there is.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// How often, when, or for how long a load fault deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dose {
    /// `1/N`: at every nth occasion, counted over the whole server.
    OneIn(NonZeroU64),
    /// `N`: once, at the nth occasion.
    After(NonZeroU64),
    /// `250ms`, `3s`: a time.
    Pause(Duration),
}

impl Dose {
    /// The dose of that text, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = |number: &str, unit| Some(Self::Pause(Duration::checked_mul(unit, number.parse().ok()?)?));
        if let Some(number) = text.strip_prefix("1/") {
            number.parse().ok().map(Self::OneIn)
        } else if let Some(number) = text.strip_suffix("ms") {
            time(number, Duration::from_millis(1))
        } else if let Some(number) = text.strip_suffix('s') {
            time(number, Duration::from_secs(1))
        } else {
            text.parse().ok().map(Self::After)
        }
    }

    /// Whether a fault whose own dose this is can have the other one.
    #[must_use]
    pub fn admits(self, other: Self) -> bool {
        match self {
            Self::OneIn(_) => matches!(other, Self::OneIn(_)),
            // What happens once happens at an occasion or at a time.
            Self::After(_) => matches!(other, Self::After(_) | Self::Pause(_)),
            Self::Pause(_) => matches!(other, Self::Pause(_)),
        }
    }
}

impl fmt::Display for Dose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneIn(every) => write!(formatter, "1/{every}"),
            Self::After(number) => write!(formatter, "{number}"),
            Self::Pause(time) => write!(formatter, "{}ms", time.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_are_read_as_they_are_written() {
        for text in ["1/10000", "500", "250ms"] {
            assert_eq!(Dose::parse(text).map(|dose| dose.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Dose::parse("3s"), Some(Dose::Pause(Duration::from_secs(3))));
        for text in ["", "0", "1/0", "2/3", "-1", "s", "1m"] {
            assert_eq!(Dose::parse(text), None, "{text}");
        }
    }
}
