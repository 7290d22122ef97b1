//! Whether the runs of one side are better or worse than those of the other: an exact permutation test over runs.
//!
//! The unit of evidence is a run, never a sample of it: a hundred thousand deliveries of one run share that run's luck. If both
//! sides were alike, each way of dealing the runs out to two sides would be as likely as the one at hand. So the difference between
//! the sides, in logarithms and relative to its standard error (Welch), is held against that of every other way to deal them out
//! (of 10,000 ways, where there are more than 20,000), and against the largest of all figures together (the maxT procedure of
//! Westfall and Young, 1993). The chance that any of the figures of two like sides is called worse is therefore at most
//! [`ALPHA`], whatever the noise and however the figures hang together. Besides, the medians must differ by the minimum effect.
//!
//! "Same" must be earned: it takes that a side that is made worse by the minimum effect is significantly worse than the other,
//! both ways (two one-sided tests). What is neither is inconclusive.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde::Serialize;

/// The fewest runs of a side that say anything.
pub const LEAST_RUNS: usize = 5;

/// The chance that a comparison of two like sides calls a figure worse, at most; and as much for better.
pub const ALPHA: f64 = 0.02;

/// The chance that a figure is called the same that differs by the minimum effect.
const ALPHA_SAME: f64 = 0.05;

/// Up to so many ways of dealing the runs out, all are tried.
const ALL_WAYS: usize = 20_000;

/// How many are drawn where there are more.
const DRAWN_WAYS: usize = 10_000;

/// The part of the minimum effect that is added to each standard error, so that a figure with hardly any noise isn't
/// surer of a tiny difference than another of a large one.
const FUDGE: f64 = 0.1;

/// What differs less doesn't matter: both must be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MinEffect {
    /// As a fraction of the smaller value.
    pub relative: f64,
    /// Of durations only.
    pub absolute_ms: f64,
}

impl Default for MinEffect {
    fn default() -> Self {
        Self { relative: 0.1, absolute_ms: 1.0 }
    }
}

/// A text that is no minimum effect.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no minimum effect: give a percentage and a duration, such as `10%,1ms`, or one of them")]
pub struct MinEffectError(String);

impl FromStr for MinEffect {
    type Err = MinEffectError;

    /// `10%,1ms`; what isn't given is nothing.
    fn from_str(text: &str) -> Result<Self, MinEffectError> {
        let wrong = || MinEffectError(text.to_owned());
        let mut effect = Self { relative: 0.0, absolute_ms: 0.0 };
        for part in text.split(',').map(str::trim) {
            if let Some(percentage) = part.strip_suffix('%') {
                effect.relative = percentage.trim().parse::<f64>().map_err(|_| wrong())? / 100.0;
            } else {
                let duration: Duration = humantime::parse_duration(part).map_err(|_| wrong())?;
                effect.absolute_ms = duration.as_secs_f64() * 1000.0;
            }
        }
        if effect.relative.is_finite() && effect.relative >= 0.0 { Ok(effect) } else { Err(wrong()) }
    }
}

impl fmt::Display for MinEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}% and {} ms", (self.relative * 1e6).round() / 1e4, (self.absolute_ms * 1e6).round() / 1e6)
    }
}

/// What a figure's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Millis,
    /// A rate, of which more is better.
    PerSecond,
    /// CPU seconds per 100,000 deliveries.
    CpuSeconds,
    /// Wrong deliveries in a million that were due.
    PerMillion,
}

impl Unit {
    /// What is less counts as this much.
    fn floor(self) -> f64 {
        match self {
            Unit::Millis | Unit::PerSecond => 1e-3,
            Unit::CpuSeconds => 1e-6,
            Unit::PerMillion => 1.0,
        }
    }

    /// On a scale on which more is worse, and on which equal ratios are equal distances.
    fn cost(self, value: f64) -> f64 {
        let log = value.max(self.floor()).ln();
        if self == Unit::PerSecond { -log } else { log }
    }

    /// A value that is worse by the minimum effect.
    fn worsened(self, value: f64, effect: &MinEffect) -> f64 {
        let value = value.max(self.floor());
        let relative = value * (1.0 + effect.relative);
        match self {
            Unit::Millis => relative.max(value + effect.absolute_ms),
            Unit::PerSecond => value / (1.0 + effect.relative),
            Unit::CpuSeconds | Unit::PerMillion => relative,
        }
    }
}

/// One figure of each run of both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: String,
    pub unit: Unit,
    /// By run, in the same order in every figure; `None` where a run has no sample.
    pub base: Vec<Option<f64>>,
    pub new: Vec<Option<f64>>,
}

/// How many deliveries went wrong in one way, in all runs of each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What is wrong with them.
    pub wrong: String,
    pub base: u64,
    pub new: u64,
}

impl Loss {
    /// Whether it is a fact that needs no statistics: none before, some now.
    pub fn is_new(&self) -> bool {
        self.base == 0 && self.new > 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Better,
    Same,
    Worse,
    Inconclusive,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Same => "same",
            Verdict::Worse => "worse",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// One side of a figure, over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub runs: Vec<f64>,
}

/// What was found of a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    pub name: String,
    pub unit: Unit,
    /// `None` where no run has a sample.
    pub base: Option<Spread>,
    pub new: Option<Spread>,
    /// How much the new median is above the base's, as a fraction of it.
    pub change: Option<f64>,
    /// The chance of so large a difference in this direction, in any figure, between like sides.
    pub p: Option<f64>,
    pub verdict: Verdict,
    /// Why it is inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What was found of all figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// Worse if anything is; else inconclusive if anything is; else better if anything is; else the same.
    pub verdict: Verdict,
    /// Runs of each side.
    pub runs: (usize, usize),
    pub min_effect: MinEffect,
    pub figures: Vec<Compared>,
    pub losses: Vec<Loss>,
}

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Base,
    New,
}

/// The order in which to run both sides, so that what drifts (heat, other work) falls on both alike: A B B A A B B A …
pub fn schedule(runs: usize) -> Vec<Side> {
    let pair = |index| if index % 2 == 0 { [Side::Base, Side::New] } else { [Side::New, Side::Base] };
    (0..runs).flat_map(pair).collect()
}

/// Compares two sides. With fewer than [`LEAST_RUNS`] runs on a side nothing is said but that messages are newly lost.
pub fn compare(figures: &[Figure], losses: &[Loss], effect: &MinEffect) -> Comparison {
    let runs = figures.first().map_or((0, 0), |figure| (figure.base.len(), figure.new.len()));
    let complete: Vec<Option<Complete>> = figures.iter().map(|figure| Complete::of(figure, effect)).collect();
    let enough = runs.0.min(runs.1) >= LEAST_RUNS;
    let ways = if enough { ways(runs.0, runs.1) } else { Vec::new() };
    let present: Vec<&Complete> = complete.iter().flatten().collect();
    let extremes: Vec<(f64, f64)> = ways
        .iter()
        .map(|way| {
            let statistics = present.iter().map(|figure| statistic(&figure.costs, way, figure.fudge));
            statistics.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), found| (least.min(found), most.max(found)))
        })
        .collect();
    let compared: Vec<Compared> = figures
        .iter()
        .zip(&complete)
        .map(|(figure, complete)| {
            let (base, new) = (spread(&figure.base), spread(&figure.new));
            let change =
                base.as_ref().zip(new.as_ref()).filter(|(base, _)| base.median > 0.0).map(|(base, new)| new.median / base.median - 1.0);
            let inconclusive = |why: &str| (None, Verdict::Inconclusive, Some(why.to_owned()));
            let (p, verdict, why) = match complete {
                _ if !enough => inconclusive("a side needs five runs to say anything"),
                None => inconclusive("not every run has a sample of it"),
                Some(complete) => complete.judge(&ways, &extremes, effect),
            };
            Compared { name: figure.name.clone(), unit: figure.unit, base, new, change, p, verdict, why }
        })
        .collect();
    let any = |verdict| compared.iter().any(|figure| figure.verdict == verdict);
    let verdict = if any(Verdict::Worse) || losses.iter().any(Loss::is_new) {
        Verdict::Worse
    } else if any(Verdict::Inconclusive) || compared.is_empty() {
        Verdict::Inconclusive
    } else if any(Verdict::Better) {
        Verdict::Better
    } else {
        Verdict::Same
    };
    Comparison { verdict, runs, min_effect: *effect, figures: compared, losses: losses.to_vec() }
}

/// A figure of which every run has a sample.
struct Complete {
    unit: Unit,
    base: Vec<f64>,
    new: Vec<f64>,
    /// Of all runs, the base's first.
    costs: Vec<f64>,
    fudge: f64,
}

impl Complete {
    fn of(figure: &Figure, effect: &MinEffect) -> Option<Self> {
        let base: Vec<f64> = figure.base.iter().copied().collect::<Option<_>>()?;
        let new: Vec<f64> = figure.new.iter().copied().collect::<Option<_>>()?;
        let unit = figure.unit;
        let costs: Vec<f64> = base.iter().chain(&new).map(|value| unit.cost(*value)).collect();
        // The runs' middle is the same however they are dealt out, as the test demands of whatever enters its statistic.
        let middle = if unit == Unit::PerSecond { -mean(&costs) } else { mean(&costs) }.exp();
        let distance = (unit.cost(unit.worsened(middle, effect)) - unit.cost(middle)).max(1e-6);
        Some(Self { unit, base, new, costs, fudge: FUDGE * distance })
    }

    fn judge(&self, ways: &[Vec<bool>], extremes: &[(f64, f64)], effect: &MinEffect) -> (Option<f64>, Verdict, Option<String>) {
        let found = statistic(&self.costs, &ways[0], self.fudge);
        let worse = chance(extremes.iter().map(|(_, most)| *most), found);
        let better = chance(extremes.iter().map(|(least, _)| -least), -found);
        let (base, new) = (median(&self.base), median(&self.new));
        let beyond = |from: f64, to: f64| self.unit.cost(to) >= self.unit.cost(self.unit.worsened(from, effect));
        let p = Some(worse.min(better));
        if worse <= ALPHA && beyond(base, new) {
            (p, Verdict::Worse, None)
        } else if better <= ALPHA && beyond(new, base) {
            (p, Verdict::Better, None)
        } else if self.is_same(ways, effect) {
            (p, Verdict::Same, None)
        } else if beyond(base, new) || beyond(new, base) {
            (p, Verdict::Inconclusive, Some("the medians differ, and the runs of a side do too: more runs may tell".to_owned()))
        } else {
            (p, Verdict::Inconclusive, Some("the runs vary too much to call it the same: more runs may tell".to_owned()))
        }
    }

    /// Whether each side, made worse by the minimum effect, is significantly worse than the other as it is.
    fn is_same(&self, ways: &[Vec<bool>], effect: &MinEffect) -> bool {
        let bounded = |worse: bool| {
            let cost = |values: &[f64], worsen: bool| -> Vec<f64> {
                let value = |value: &f64| if worsen { self.unit.worsened(*value, effect) } else { *value };
                values.iter().map(|own| self.unit.cost(value(own))).collect()
            };
            let costs = [cost(&self.base, !worse), cost(&self.new, worse)].concat();
            let sign = if worse { 1.0 } else { -1.0 };
            let statistics: Vec<f64> = ways.iter().map(|way| sign * statistic(&costs, way, self.fudge)).collect();
            chance(statistics.iter().copied(), statistics[0]) <= ALPHA_SAME
        };
        bounded(true) && bounded(false)
    }
}

/// The part of all ways, the one at hand among them, in which the statistic is at least what was found.
fn chance(statistics: impl ExactSizeIterator<Item = f64>, found: f64) -> f64 {
    let all = statistics.len() as f64;
    statistics.filter(|other| *other >= found - 1e-9).count() as f64 / all
}

/// How much more the new side's costs are than the base's, in standard errors.
fn statistic(costs: &[f64], is_new: &[bool], fudge: f64) -> f64 {
    let side = |new: bool| {
        let own = || costs.iter().zip(is_new).filter(move |(_, is_new)| **is_new == new).map(|(cost, _)| *cost);
        let count = own().count() as f64;
        let mean = own().sum::<f64>() / count;
        let variance = own().map(|cost| (cost - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((base, base_error), (new, new_error)) = (side(false), side(true));
    (new - base) / ((base_error + new_error).sqrt() + fudge)
}

/// Ways of dealing runs out to two sides, as whether each is of the new side; the way at hand comes first.
fn ways(base: usize, new: usize) -> Vec<Vec<bool>> {
    let runs = base + new;
    let at_hand: Vec<bool> = (0..runs).map(|run| run >= base).collect();
    let count = (0..new).fold(1_f64, |product, index| product * (runs - index) as f64 / (index + 1) as f64);
    if count > ALL_WAYS as f64 {
        // The same runs give the same answer each time.
        let mut random = StdRng::seed_from_u64(1);
        let mut way = at_hand.clone();
        let drawn = (1..DRAWN_WAYS).map(|_| {
            way.shuffle(&mut random);
            way.clone()
        });
        return std::iter::once(at_hand).chain(drawn).collect();
    }
    // All sets of places, in descending colexicographic order: the lowest place that has room below it moves down by one, and
    // those below it move up against it.
    let mut places: Vec<usize> = (base..runs).collect();
    let mut all = vec![at_hand];
    while let Some(lowest) = (0..new).find(|index| places[*index] > *index) {
        places[lowest] -= 1;
        (0..lowest).for_each(|index| places[index] = places[lowest] - lowest + index);
        all.push((0..runs).map(|run| places.contains(&run)).collect());
    }
    all
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] }
}

fn spread(values: &[Option<f64>]) -> Option<Spread> {
    let runs: Vec<f64> = values.iter().flatten().copied().collect();
    let low = runs.iter().copied().min_by(f64::total_cmp)?;
    let high = runs.iter().copied().max_by(f64::total_cmp)?;
    Some(Spread { median: median(&runs), low, high, runs })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Twelve figures of two sides whose runs share their luck in part, with noise as heavy-tailed as Student's t with three degrees of freedom.
    struct Simulation {
        random: StdRng,
        runs: usize,
        /// The scale of the noise, as a fraction.
        noise: f64,
        /// How much of the luck is the run's, and how much the figure's.
        shared: f64,
    }

    impl Simulation {
        fn new(runs: usize, noise: f64, shared: f64) -> Self {
            Self { random: StdRng::seed_from_u64(4), runs, noise, shared }
        }

        fn normal(&mut self) -> f64 {
            let uniform: f64 = self.random.random();
            (-2.0 * (1.0 - uniform).ln()).sqrt() * (std::f64::consts::TAU * self.random.random::<f64>()).cos()
        }

        fn heavy(&mut self) -> f64 {
            let chi: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
            self.normal() / (chi / 3.0).sqrt()
        }

        fn side(&mut self, typical: &[(Unit, f64)], factors: &[f64]) -> Vec<Vec<Option<f64>>> {
            let mut figures = vec![Vec::new(); typical.len()];
            for _ in 0..self.runs {
                let luck = self.heavy();
                for (index, (unit, value)) in typical.iter().enumerate() {
                    let own = self.heavy();
                    let exponent = self.noise * (self.shared * luck + (1.0 - self.shared) * own);
                    let sign = if *unit == Unit::PerSecond { -1.0 } else { 1.0 };
                    figures[index].push(Some(value * factors[index] * (sign * exponent).exp()));
                }
            }
            figures
        }

        fn compare(&mut self, factor: impl Fn(usize) -> f64) -> Comparison {
            let millis = [40.0, 130.0, 12.0, 35.0, 25.0, 90.0, 15.0, 45.0].map(|value| (Unit::Millis, value));
            let rest = [(Unit::PerSecond, 1_000.0), (Unit::PerSecond, 20_000.0), (Unit::CpuSeconds, 0.4), (Unit::PerMillion, 0.0)];
            let typical = [&millis[..], &rest[..]].concat();
            let factors: Vec<f64> = (0..typical.len()).map(factor).collect();
            let (base, new) = (self.side(&typical, &vec![1.0; typical.len()]), self.side(&typical, &factors));
            let figures: Vec<Figure> = typical
                .iter()
                .zip(base.into_iter().zip(new))
                .enumerate()
                .map(|(index, ((unit, _), (base, new)))| Figure { name: index.to_string(), unit: *unit, base, new })
                .collect();
            compare(&figures, &[], &MinEffect::default())
        }

        /// How many of so many comparisons come to each verdict on the whole.
        fn verdicts(&mut self, trials: usize, factor: impl Fn(usize) -> f64) -> [usize; 4] {
            let mut counts = [0; 4];
            for _ in 0..trials {
                counts[self.compare(&factor).verdict as usize] += 1;
            }
            counts
        }
    }

    #[test]
    fn like_sides_are_hardly_ever_called_worse_or_better_however_noisy() {
        for (noise, shared) in [(0.02, 0.0), (0.05, 0.5), (0.1, 0.0), (0.3, 0.5), (1.0, 0.0)] {
            let [better, _, worse, _] = Simulation::new(5, noise, shared).verdicts(300, |_| 1.0);
            // Two percent of 300 are 6; 12 is what chance gives in one of a hundred such counts.
            assert!(worse <= 12 && better <= 12, "noise {noise}, shared {shared}: {worse} worse and {better} better of 300");
        }
    }

    #[test]
    fn a_change_by_thirty_percent_is_nearly_always_found_with_five_runs_a_side() {
        let all = Simulation::new(5, 0.03, 0.5).verdicts(200, |index| if index < 8 { 1.3 } else { 1.0 });
        assert!(all[Verdict::Worse as usize] >= 190, "all latencies: {all:?}");
        let one = Simulation::new(5, 0.03, 0.5).verdicts(200, |index| if index == 1 { 1.3 } else { 1.0 });
        assert!(one[Verdict::Worse as usize] >= 190, "one latency: {one:?}");
        let rate = Simulation::new(5, 0.03, 0.5).verdicts(200, |index| if index == 9 { 0.7 } else { 1.0 });
        assert!(rate[Verdict::Worse as usize] >= 190, "one rate: {rate:?}");
    }

    #[test]
    fn same_is_said_where_it_is_known_and_only_there() {
        let quiet = Simulation::new(5, 0.01, 0.5).verdicts(100, |_| 1.0);
        assert!(quiet[Verdict::Same as usize] >= 90, "{quiet:?}");
        let noisy = Simulation::new(5, 0.3, 0.5).verdicts(100, |_| 1.0);
        assert_eq!(noisy[Verdict::Same as usize], 0, "{noisy:?}");
        let changed = Simulation::new(5, 0.01, 0.5).verdicts(100, |index| if index == 3 { 1.15 } else { 1.0 });
        assert_eq!(changed[Verdict::Same as usize], 0, "{changed:?}");
    }

    #[test]
    fn a_change_below_the_minimum_effect_is_no_change() {
        let small = Simulation::new(8, 0.003, 0.5).verdicts(50, |index| if index == 3 { 1.05 } else { 1.0 });
        assert_eq!(small[Verdict::Worse as usize], 0, "{small:?}");
        assert!(small[Verdict::Same as usize] >= 45, "{small:?}");
        // Half as long again, but by less than a millisecond.
        let figure = Figure { name: "echo.p50".into(), unit: Unit::Millis, base: runs(1.0, 0.01), new: runs(1.5, 0.01) };
        assert_eq!(compare(&[figure], &[], &MinEffect::default()).verdict, Verdict::Same);
    }

    fn runs(value: f64, step: f64) -> Vec<Option<f64>> {
        (0..5).map(|run| Some(value + step * f64::from(run))).collect()
    }

    #[test]
    fn fewer_than_five_runs_say_nothing_but_that_messages_are_lost() {
        let four = |value| runs(value, 0.01)[..4].to_vec();
        let figure = Figure { name: "deliver.p99".into(), unit: Unit::Millis, base: runs(10.0, 0.01), new: four(100.0) };
        let loss = |base, new| Loss { wrong: "lost".into(), base, new };
        let compared = |losses: &[Loss]| compare(std::slice::from_ref(&figure), losses, &MinEffect::default()).verdict;
        assert_eq!(compared(&[]), Verdict::Inconclusive);
        assert_eq!(compared(&[loss(0, 0)]), Verdict::Inconclusive);
        assert_eq!(compared(&[loss(3, 4)]), Verdict::Inconclusive);
        assert_eq!(compared(&[loss(0, 1)]), Verdict::Worse);
        assert_eq!(compare(&[], &[], &MinEffect::default()).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_run_without_a_sample_makes_its_figure_inconclusive_and_no_other() {
        let mut gap = runs(10.0, 0.01);
        gap[2] = None;
        let figure = |name: &str, base, new| Figure { name: name.into(), unit: Unit::Millis, base, new };
        let figures = [figure("join.p99", runs(10.0, 0.01), gap), figure("echo.p99", runs(10.0, 0.01), runs(20.0, 0.01))];
        let comparison = compare(&figures, &[], &MinEffect::default());
        assert_eq!(comparison.figures[0].verdict, Verdict::Inconclusive);
        assert_eq!(comparison.figures[0].why.as_deref(), Some("not every run has a sample of it"));
        assert_eq!(comparison.figures[1].verdict, Verdict::Worse);
    }

    proptest! {
        #[test]
        fn what_is_worse_one_way_is_better_the_other(
            values in prop::collection::vec((1.0..1000.0_f64, 1.0..1000.0_f64, 0.5..2.0_f64), 5..7),
            unit in prop::sample::select(vec![Unit::Millis, Unit::PerSecond, Unit::CpuSeconds, Unit::PerMillion]),
        ) {
            let base: Vec<Option<f64>> = values.iter().map(|(value, _, _)| Some(*value)).collect();
            let new: Vec<Option<f64>> = values.iter().map(|(value, other, factor)| Some(value * factor + other / 10.0)).collect();
            let verdict = |base: &[Option<f64>], new: &[Option<f64>]| {
                compare(&[Figure { name: "f".into(), unit, base: base.to_vec(), new: new.to_vec() }], &[], &MinEffect::default()).verdict
            };
            let mirrored = match verdict(&base, &new) {
                Verdict::Better => Verdict::Worse,
                Verdict::Worse => Verdict::Better,
                other => other,
            };
            prop_assert_eq!(verdict(&new, &base), mirrored);
            let mut turned = base.clone();
            turned.rotate_left(2);
            prop_assert_eq!(verdict(&turned, &new), verdict(&base, &new));
        }
    }

    #[test]
    fn every_way_is_tried_once_and_the_one_at_hand_first() {
        for (base, new, count) in [(5, 5, 252), (5, 6, 462), (8, 8, 12_870)] {
            let all = ways(base, new);
            assert_eq!(all.len(), count);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), count);
            assert!(all.iter().all(|way| way.iter().filter(|is_new| **is_new).count() == new));
            assert_eq!(all[0].iter().position(|is_new| *is_new), Some(base));
        }
        let drawn = ways(20, 20);
        assert_eq!(drawn.len(), DRAWN_WAYS);
        assert!(drawn.iter().all(|way| way.iter().filter(|is_new| **is_new).count() == 20));
    }

    #[test]
    fn both_sides_take_turns_in_going_first() {
        use Side::{Base, New};
        assert_eq!(schedule(5), [Base, New, New, Base, Base, New, New, Base, Base, New]);
        assert_eq!(schedule(1), [Base, New]);
        for runs in 0..20 {
            assert_eq!(schedule(runs).iter().filter(|side| **side == Base).count(), runs);
        }
    }

    #[test]
    fn a_minimum_effect_is_a_percentage_and_a_duration_or_one_of_them() {
        let parsed = |text: &str| text.parse::<MinEffect>().map(|effect| effect.to_string()).map_err(|error| error.to_string());
        assert_eq!(parsed("10%,1ms"), Ok("10% and 1 ms".into()));
        assert_eq!(parsed(" 2.5% , 500us"), Ok("2.5% and 0.5 ms".into()));
        assert_eq!(parsed("5%"), Ok("5% and 0 ms".into()));
        assert_eq!(parsed("2ms"), Ok("0% and 2 ms".into()));
        for wrong in ["", "10", "-5%", "x%", "10%;1ms", "nan%"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
