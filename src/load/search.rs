//! The search for the highest rate that a target carries: doubling, then halving the interval, then once more for longer. It is pure:
//! whoever plays the loads tells it what came of them.

/// How close the two ends of the interval come, as a part of the lower one.
const PRECISION: f64 = 0.05;

/// More loads than this are not played.
const MOST: usize = 24;

/// What came of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All thresholds hold, every message arrived, and the generator kept up.
    Carried,
    /// The target didn't.
    Broken,
    /// The generator didn't keep up: nothing is known of the target.
    GeneratorGaveOut,
}

/// A load to be played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Messages a second, or messages in flight, or whatever is searched for.
    pub level: f64,
    /// It is played for longer than the others, since the answer will stand on it.
    pub confirms: bool,
}

/// What the search has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Carried up to the first, no longer at the second.
    Between(f64, f64),
    /// Carried; beyond it the generator gave out first.
    AtLeast(f64),
    /// Not even the lowest level that was tried is carried.
    Below(f64),
    /// The generator gave out before anything was carried.
    Nothing,
}

/// The state of a search.
#[derive(Clone, Debug)]
pub struct Search {
    start: f64,
    /// The highest level that was carried, the lowest that wasn't, and the lowest at which the generator gave out.
    carried: Option<f64>,
    broken: Option<f64>,
    gave_out: Option<f64>,
    confirmed: Option<f64>,
    /// What was carried for a short time wasn't for long: from then on all loads are long.
    long: bool,
    played: usize,
}

impl Search {
    /// A search that begins at a level, which must be above 0.
    pub fn new(start: f64) -> Self {
        Self { start, carried: None, broken: None, gave_out: None, confirmed: None, long: false, played: 0 }
    }

    /// The lowest level that is out of reach, for whatever reason.
    fn ceiling(&self) -> Option<f64> {
        self.broken.into_iter().chain(self.gave_out).min_by(f64::total_cmp)
    }

    /// What to play next, until the answer is known.
    pub fn next(&self) -> Result<Probe, Answer> {
        let probe = |level| Probe { level, confirms: self.long };
        let exhausted = self.played >= MOST;
        match (self.carried, self.ceiling()) {
            (None, None) => Ok(probe(self.start)),
            (None, Some(ceiling)) if ceiling > self.start / 100.0 && ceiling > 2.0 && !exhausted => Ok(probe(ceiling / 2.0)),
            (None, Some(_)) => Err(self.broken.map_or(Answer::Nothing, Answer::Below)),
            (Some(carried), None) if !exhausted => Ok(probe(carried * 2.0)),
            (Some(carried), Some(ceiling)) if ceiling - carried > (carried * PRECISION).max(1.0) && !exhausted => {
                Ok(probe((carried + ceiling) / 2.0))
            }
            (Some(carried), _) if self.confirmed != Some(carried) && self.played < 2 * MOST => Ok(Probe { level: carried, confirms: true }),
            (Some(carried), _) => Err(match self.broken {
                // What the generator couldn't do lies between: nobody knows whether the target could.
                Some(broken) if self.gave_out.is_none_or(|gave_out| gave_out >= broken) => Answer::Between(carried, broken),
                _ => Answer::AtLeast(carried),
            }),
        }
    }

    /// What came of the probe.
    pub fn found(&mut self, probe: Probe, found: Found) {
        self.played += 1;
        let lowest = |known: Option<f64>| Some(known.map_or(probe.level, |known| known.min(probe.level)));
        match found {
            Found::Carried => {
                self.carried = Some(self.carried.map_or(probe.level, |known| known.max(probe.level)));
                if probe.confirms {
                    self.confirmed = Some(probe.level);
                }
            }
            Found::Broken => self.broken = lowest(self.broken),
            Found::GeneratorGaveOut => self.gave_out = lowest(self.gave_out),
        }
        if found != Found::Carried && self.carried.is_some_and(|carried| carried >= probe.level) {
            // It was carried for a short time only: what is known to be carried begins anew below.
            (self.carried, self.long) = (None, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(start: f64, mut target: impl FnMut(Probe) -> Found) -> (Answer, usize) {
        let mut search = Search::new(start);
        for played in 0.. {
            match search.next() {
                Ok(probe) => search.found(probe, target(probe)),
                Err(answer) => return (answer, played),
            }
        }
        unreachable!("the search ends")
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_true_capacity(capacity in 20.0f64..100_000.0, start in 10.0f64..10_000.0) {
            prop_assume!(capacity > start / 40.0);
            let (answer, played) = search(start, |probe| if probe.level <= capacity { Found::Carried } else { Found::Broken });
            let Answer::Between(low, high) = answer else { return Err(TestCaseError::fail(format!("{answer:?}"))) };
            prop_assert!(low <= capacity && capacity < high && high - low <= (low * PRECISION).max(1.0) + 1e-9, "{low}..{high} for {capacity}");
            prop_assert!(played <= MOST + 1, "{played}");
        }

        #[test]
        fn where_the_generator_gives_out_first_it_is_at_least(capacity in 200.0f64..100_000.0, part in 0.1f64..0.9) {
            let limit = capacity * part;
            let target = |probe: Probe| match probe.level {
                level if level > limit => Found::GeneratorGaveOut,
                level if level > capacity => Found::Broken,
                _ => Found::Carried,
            };
            let (answer, _) = search(100.0, target);
            prop_assert!(matches!(answer, Answer::AtLeast(low) if low <= limit && low >= limit * 0.9), "{answer:?} for {limit}");
        }
    }

    #[test]
    fn what_is_carried_for_a_short_time_only_is_no_answer() {
        let long = |probe: Probe| if probe.level <= if probe.confirms { 300.0 } else { 1000.0 } { Found::Carried } else { Found::Broken };
        let (answer, _) = search(100.0, long);
        let Answer::Between(low, high) = answer else { panic!("{answer:?}") };
        assert!(low <= 300.0 && high <= 1000.0, "{answer:?}");
    }

    #[test]
    fn a_target_that_carries_nothing_ends_the_search() {
        assert!(matches!(search(100.0, |_| Found::Broken).0, Answer::Below(_)));
        assert!(matches!(search(100.0, |_| Found::GeneratorGaveOut).0, Answer::Nothing));
    }
}
