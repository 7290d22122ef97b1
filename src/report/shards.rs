//! The shards of a load that was merged, side by side.

use super::figures::{NONE, count, number};
use super::load::trusted_word;
use crate::event::{Measured, ShardMeasured, Trust};

/// What the columns of `rows` are called.
pub const TITLES: [&str; 9] = ["shard", "machine", "sent", "arrived", "wrong", "p50 ms", "p99 ms", "began", "generator"];

/// A row for each shard, with whether it is as it should be.
pub fn rows(shards: &[ShardMeasured]) -> impl Iterator<Item = (bool, [String; 9])> + '_ {
    shards.iter().map(|shard| {
        let figure = |figure: Option<f64>| figure.map_or_else(|| NONE.to_owned(), number);
        if shard.lost.is_some() {
            let none = || NONE.to_owned();
            return (false, [shard.shard.clone(), none(), none(), none(), none(), none(), none(), none(), "lost".to_owned()]);
        }
        let began = shard.behind_ms.map_or_else(|| NONE.to_owned(), |behind| format!("+{} ms", number(behind)));
        let row = [
            shard.shard.clone(),
            if shard.host.is_empty() { NONE.to_owned() } else { shard.host.clone() },
            count(shard.sent),
            count(shard.delivered),
            count(shard.wrong),
            figure(shard.p50_ms),
            figure(shard.p99_ms),
            began,
            trusted_word(shard.trust).to_owned(),
        ];
        (shard.trust != Trust::Invalid, row)
    })
}

/// What is to be said of all of them: how far apart they began, and which stands out.
pub fn remarks(shards: &[ShardMeasured]) -> Vec<String> {
    let mut remarks = Vec::new();
    let together = shards.iter().filter(|shard| shard.lost.is_none()).count() > 1;
    if let Some(apart) = shards.iter().filter_map(|shard| shard.behind_ms).reduce(f64::max).filter(|_| together) {
        let known = shards.iter().filter_map(|shard| shard.within_ms).reduce(f64::max);
        let known = known.map_or_else(
            || ", by clocks that were not compared".to_owned(),
            |within| format!(", by clocks that are known to within {} ms", number(within)),
        );
        remarks.push(format!("they began within {} ms of each other{known}", number(apart)));
    }
    let apart = |shard: &ShardMeasured| match (shard.p99_ms, shard.others_p99_ms) {
        (Some(own), Some(others)) if own > 0.0 && others > 0.0 => Some((own / others).ln().abs()),
        _ => None,
    };
    let most = shards.iter().filter_map(|shard| Some((apart(shard)?, shard))).max_by(|(one, _), (other, _)| one.total_cmp(other));
    if let Some((_, shard)) = most
        && let (Some(own), Some(others)) = (shard.p99_ms, shard.others_p99_ms)
    {
        remarks.push(format!(
            "shard {} deviates most: its p99 is {} ms, that of the others together {} ms",
            shard.shard,
            number(own),
            number(others)
        ));
    }
    remarks
}

/// Why the figures of a load that is invalid can't be believed.
pub fn why_invalid(measured: &Measured) -> String {
    let lost: Vec<&str> = measured.shards.iter().filter(|shard| shard.lost.is_some()).map(|shard| shard.shard.as_str()).collect();
    match &lost[..] {
        [] => "the generator was the bottleneck".to_owned(),
        [one] => format!("shard {one} was lost"),
        several => format!("the shards {} were lost", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(number: u32, p99: f64, others: f64, behind: f64) -> ShardMeasured {
        ShardMeasured {
            shard: format!("{number}/3"),
            host: "node".into(),
            p99_ms: Some(p99),
            others_p99_ms: Some(others),
            behind_ms: Some(behind),
            within_ms: Some(0.25),
            ..ShardMeasured::default()
        }
    }

    #[test]
    fn what_stands_out_is_told_whether_it_is_slower_or_faster() {
        let shards = [shard(1, 10.0, 11.0, 0.0), shard(2, 2.0, 10.0, 1.5), shard(3, 12.0, 9.0, 0.5)];
        assert_eq!(
            remarks(&shards),
            [
                "they began within 1.50 ms of each other, by clocks that are known to within 0.250 ms",
                "shard 2/3 deviates most: its p99 is 2.00 ms, that of the others together 10.0 ms"
            ]
        );
    }

    #[test]
    fn a_lost_shard_is_named_and_not_the_generators_fault() {
        let mut measured = Measured { shards: vec![shard(1, 1.0, 1.0, 0.0), shard(2, 1.0, 1.0, 0.0)], ..Measured::default() };
        assert_eq!(why_invalid(&measured), "the generator was the bottleneck");
        measured.shards[1].lost = Some("killed".into());
        assert_eq!(why_invalid(&measured), "shard 2/3 was lost");
        assert!(!rows(&measured.shards).nth(1).expect("a row").0);
    }
}
