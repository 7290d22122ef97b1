//! An axis of a chart: where a value lies on it, and which values are named beside it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::report::figures::count;

/// The most values that are named beside an axis: more would run into each other on a phone.
const NAMED: usize = 7;

/// A latency axis is logarithmic where its longest value is more than this many times its shortest.
const DECADES: f64 = 20.0;

/// The most samples that an axis of percentiles leaves room for: six nines and more look alike.
const SAMPLES: f64 = 1e7;

/// One axis. What lies outside of its range is drawn at its end.
#[derive(Clone, Debug)]
pub struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to a round value at or above the most that is shown.
    pub fn linear(most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let step = round_up(most / (NAMED - 2) as f64);
        let steps = (most / step - 1e-9).ceil().max(1.0) as usize;
        let ticks = (0..=steps).map(|index| index as f64 * step).map(|at| (at, short(at))).collect();
        Self { from: 0.0, to: steps as f64 * step, logarithmic: false, ticks }
    }

    /// Shares of one, from nothing to all.
    pub fn share() -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| (at, format!("{:.0} %", at * 100.0))).into();
        Self { from: 0.0, to: 1.0, logarithmic: false, ticks }
    }

    /// Milliseconds: logarithmic where they span more than a decade, else from zero.
    pub fn latency(least: f64, most: f64) -> Self {
        if !(least > 0.0 && most.is_finite() && most > least * DECADES) {
            return Self::linear(most);
        }
        let (from, to) = (round_down(least), round_up(most));
        let decades = (to / from).log10();
        let marks: &[f64] = if decades <= 2.4 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let exponents = from.log10().floor() as i32..=to.log10().ceil() as i32;
        let all = exponents.flat_map(|exponent| marks.iter().map(move |mark| mark * 10_f64.powi(exponent)));
        let ticks = all.filter(|at| *at >= from * 0.999 && *at <= to * 1.001).map(|at| (at, short(at))).collect();
        Self { from, to, logarithmic: true, ticks }
    }

    /// Milliseconds since a run's start.
    pub fn time(from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1000.0 };
        let seconds = (to - from) / 1000.0;
        let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];
        let wanted = seconds / NAMED as f64;
        let step = steps.into_iter().find(|step| *step >= wanted).unwrap_or_else(|| (wanted / 3600.0).ceil() * 3600.0) * 1000.0;
        let first = (from / step).ceil() as u64;
        let last = (to / step).floor() as u64;
        let ticks = (first..=last).map(|index| index as f64 * step).map(|at| (at, clock(at, to))).collect();
        Self { from, to, logarithmic: false, ticks }
    }

    /// Percentiles of so many samples. The axis's values are 1 ÷ (1 − quantile), so that each nine more takes the same room.
    pub fn percentiles(samples: u64) -> Self {
        let to = (samples as f64).clamp(10.0, SAMPLES);
        let names = ["0", "50", "90", "99", "99.9", "99.99", "99.999", "99.9999", "99.99999"];
        let at = |index: usize| if index < 2 { (index + 1) as f64 } else { 10_f64.powi(index as i32 - 1) };
        let ticks = names.iter().enumerate().map(|(index, name)| (at(index), (*name).to_owned())).filter(|(at, _)| *at <= to).collect();
        Self { from: 1.0, to, logarithmic: true, ticks }
    }

    /// The first and the last value that have room.
    pub fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// The value at a place between the axis's ends, between 0 and 1.
    pub fn value(&self, fraction: f64) -> f64 {
        match self.logarithmic {
            true => self.from * (self.to / self.from).powf(fraction),
            false => self.from + (self.to - self.from) * fraction,
        }
    }

    /// Where a value lies between the axis's ends, between 0 and 1; what is no number lies at the beginning.
    pub fn fraction(&self, value: f64) -> f64 {
        let fraction = match self.logarithmic {
            true => (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (f64::from(limit.1 - limit.0) * self.fraction(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // The light lines are those between the named values, of which there are none.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.iter().map(|(at, _)| *at).collect() }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(at, _)| at == value).map(|(_, name)| name.clone()).unwrap_or_default()
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powi(value.log10().floor() as i32);
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|mark| mark * power).find(|mark| *mark >= value * 0.999_999).unwrap_or(value)
}

fn round_down(value: f64) -> f64 {
    let power = 10_f64.powi(value.log10().floor() as i32);
    [5.0, 2.0, 1.0].into_iter().map(|mark| mark * power).find(|mark| *mark <= value * 1.000_001).unwrap_or(value)
}

/// As few digits as a round value has.
fn short(value: f64) -> String {
    if value >= 10_000.0 && value % 1000.0 == 0.0 {
        return format!("{}k", count((value / 1000.0) as u64));
    }
    if value >= 1.0 && value.fract() < 1e-9 {
        return count(value as u64);
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `45` of seconds in a short run; `1:30` or `1:05:00` in a longer one.
fn clock(at_ms: f64, end_ms: f64) -> String {
    let seconds = (at_ms / 1000.0).round() as u64;
    match end_ms {
        end if end < 120_000.0 => seconds.to_string(),
        end if end < 3_600_000.0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(axis: &Axis) -> String {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_axis_names_few_and_round_values() {
        assert_eq!(named(&Axis::linear(843.0)), "0 200 400 600 800 1,000");
        assert_eq!(named(&Axis::linear(0.07)), "0 0.02 0.04 0.06 0.08");
        assert_eq!(named(&Axis::linear(100_000.0)), "0 20k 40k 60k 80k 100k");
        assert_eq!(named(&Axis::linear(f64::NAN)), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(named(&Axis::latency(0.3, 900.0)), "1 10 100 1,000");
        assert_eq!(named(&Axis::latency(0.3, 21.0)), "0.2 0.5 1 2 5 10 20 50");
        assert_eq!(named(&Axis::latency(3.0, 21.0)), "0 5 10 15 20 25");
        assert_eq!(named(&Axis::time(0.0, 37_400.0)), "0 10 20 30");
        assert_eq!(named(&Axis::time(0.0, 600_000.0)), "0:00 2:00 4:00 6:00 8:00 10:00");
        assert_eq!(named(&Axis::time(0.0, 3_700_000.0)), "0:00:00 0:10:00 0:20:00 0:30:00 0:40:00 0:50:00 1:00:00");
        assert_eq!(named(&Axis::percentiles(12_000)), "0 50 90 99 99.9 99.99");
    }

    #[test]
    fn whatever_the_value_is_it_lies_on_the_axis() {
        for axis in [Axis::linear(10.0), Axis::latency(0.1, 1000.0), Axis::time(0.0, 0.0), Axis::percentiles(0)] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300] {
                assert!((0..=100).contains(&axis.map(&value, (0, 100))), "{value} on {axis:?}");
            }
        }
        assert_eq!(Axis::latency(0.1, 1000.0).map(&10.0, (0, 100)), 50);
        assert_eq!(Axis::linear(10.0).map(&5.0, (0, 100)), 50);
    }
}
