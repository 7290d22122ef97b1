//! The percentile spectrum: how long which share of all took, with as much room for each nine more.

use super::axis::Axis;
use super::charts::{Chart, HEIGHT, Ink, Layer};
use crate::stats::Durations;

/// How many points a curve has for each nine.
const POINTS: u32 = 48;

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    pub ink: Ink,
    pub durations: Durations,
}

impl Curve {
    /// 1 ÷ (1 − quantile) and milliseconds; the last point is the longest of all. Where several follow each other at the same height
    /// only the ends are kept.
    pub fn points(&self) -> Vec<(f64, f64)> {
        let count = self.durations.len();
        if count == 0 {
            return Vec::new();
        }
        let (_, end) = Axis::percentiles(count).ends();
        let last = (count as f64).min(end).max(1.0);
        let steps = (last.log10() * f64::from(POINTS)).ceil().max(1.0) as u32;
        let mut points: Vec<(f64, f64)> = (0..=steps)
            .map(|step| {
                let inverse = last.powf(f64::from(step) / f64::from(steps));
                // What binary fractions lack would overshoot a round percentile by a sample.
                let quantile = ((1.0 - 1.0 / inverse) * 1e12).round() / 1e12;
                (inverse, self.durations.value_at_quantile(quantile) as f64 / 1000.0)
            })
            .collect();
        if let Some(point) = points.last_mut() {
            point.1 = self.durations.max() as f64 / 1000.0;
        }
        let flat = |at: usize| at > 0 && at + 1 < points.len() && points[at - 1].1 == points[at].1 && points[at].1 == points[at + 1].1;
        let kept: Vec<bool> = (0..points.len()).map(|at| !flat(at)).collect();
        points.into_iter().zip(kept).filter_map(|(point, kept)| kept.then_some(point)).collect()
    }
}

/// The chart of these curves.
pub fn chart(label: &str, curves: &[Curve]) -> Chart {
    let points: Vec<Vec<(f64, f64)>> = curves.iter().map(Curve::points).collect();
    let values = || points.iter().flatten().map(|(_, value)| *value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let samples = curves.iter().map(|curve| curve.durations.len()).max().unwrap_or(0);
    let layers = curves.iter().zip(points).map(|(curve, points)| Layer::Line { points, ink: curve.ink }).collect();
    let label = label.to_owned();
    Chart { label, x: Axis::percentiles(samples), y: Axis::latency(least, most), height: HEIGHT + 120, layers, told: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::{durations, record};

    fn curve(millis: impl IntoIterator<Item = u64>) -> Curve {
        let mut durations = durations();
        millis.into_iter().for_each(|millis| record(&mut durations, Duration::from_millis(millis)));
        Curve { name: String::new(), ink: Ink::Series(0), durations }
    }

    #[test]
    fn a_curve_begins_with_the_shortest_and_ends_with_the_longest() {
        let points = curve(1..=10_000).points();
        let (first, last) = (points[0], points[points.len() - 1]);
        assert!(first.0 == 1.0 && (first.1 - 1.0).abs() < 0.01, "{first:?}");
        assert!((last.0 - 10_000.0).abs() < 1e-6 && (last.1 - 10_000.0).abs() < 10.0, "{last:?}");
        let near = |inverse: f64| points.iter().min_by(|a, b| (a.0 - inverse).abs().total_cmp(&(b.0 - inverse).abs())).expect("a point").1;
        assert!((near(2.0) / 5000.0 - 1.0).abs() < 0.03, "half of them took at most 5 s: {}", near(2.0));
        assert!((near(100.0) / 9900.0 - 1.0).abs() < 0.01, "{}", near(100.0));
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
    }

    #[test]
    fn a_flat_stretch_is_its_ends() {
        // The lowest percentile is the lower end of what a histogram can't tell apart, the others are the upper.
        assert!(curve(std::iter::repeat_n(7, 10_000)).points().len() <= 3);
        assert!(curve([]).points().is_empty());
        assert_eq!(curve([5]).points().iter().map(|(_, value)| value.round()).collect::<Vec<_>>(), [5.0, 5.0]);
    }
}
