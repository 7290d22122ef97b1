//! Which scenarios take much longer than before.
//!
//! Two runs differ as wholes: one machine was busier, one server further away. So each scenario is held against what became of the
//! others: a scenario is slower where it took far longer than the median of all would have it, by more than the scenarios scatter,
//! by a factor that nobody needs statistics for, and by a time that somebody could notice.

use std::collections::BTreeMap;

use crate::report::checked::Checked;
use crate::report::transcript::printable;
use crate::verdict::Outcome;

/// A scenario that is slower took at least so many times as long as it should have.
pub const TIMES: f64 = 3.0;

/// And longer by so many milliseconds.
pub const LEAST_MS: f64 = 250.0;

/// And beyond so many standard deviations of the logarithms, estimated from their median deviation.
const DEVIATIONS: f64 = 6.0;

/// The median deviation of a normal distribution, as a share of its standard deviation, is 1 by this.
const SCALE: f64 = 1.4826;

/// Of fewer scenarios nothing is known of how they scatter, and each is held against itself alone.
const ENOUGH: usize = 5;

/// A scenario that takes much longer.
#[derive(Clone, Debug)]
pub struct Slower {
    pub scenario: String,
    pub before_ms: f64,
    pub now_ms: f64,
}

/// The scenarios that are slower, the worst first, and how much longer scenarios took in the median.
pub fn slower(a: &Checked<'_>, b: &Checked<'_>) -> (Vec<Slower>, f64) {
    let (old, new) = (fastest(a), fastest(b));
    let pairs: Vec<(&str, f64, f64)> = new.iter().filter_map(|(scenario, now)| Some((*scenario, *old.get(scenario)?, *now))).collect();
    let logs: Vec<f64> = pairs.iter().map(|(_, before, now)| (now / before).ln()).collect();
    let (shift, spread) = if logs.len() >= ENOUGH {
        let shift = median(logs.clone());
        (shift, SCALE * median(logs.iter().map(|log| (log - shift).abs()).collect()))
    } else {
        (0.0, 0.0)
    };
    let is_slower = |before: f64, now: f64| {
        let beyond = (now / before).ln() - shift;
        // A machine that is faster now excuses nothing, and one that is slower as a whole does.
        let due = before * shift.exp().max(1.0);
        beyond > DEVIATIONS * spread && now >= TIMES * due && now - due >= LEAST_MS
    };
    let mut slower: Vec<Slower> = pairs
        .iter()
        .filter(|(_, before, now)| is_slower(*before, *now))
        .map(|(scenario, before_ms, now_ms)| Slower { scenario: printable(scenario), before_ms: *before_ms, now_ms: *now_ms })
        .collect();
    slower.sort_by(|x, y| (y.now_ms - y.before_ms).total_cmp(&(x.now_ms - x.before_ms)));
    (slower, shift.exp())
}

/// The shortest time of each scenario that passed each time: what disturbs a repetition only ever makes it longer.
fn fastest<'a>(checked: &Checked<'a>) -> BTreeMap<&'a str, f64> {
    let mut fastest: BTreeMap<&str, Option<f64>> = BTreeMap::new();
    for verdict in &checked.verdicts {
        let known = fastest.entry(&verdict.scenario).or_insert(Some(f64::INFINITY));
        // Below a tenth of a millisecond a clock says little, and a ratio of such times nothing.
        *known = known.filter(|_| verdict.outcome == Outcome::Pass).map(|known| known.min(verdict.duration_ms.max(0.1)));
    }
    fastest.into_iter().filter_map(|(scenario, time)| Some((scenario, time?))).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
