//! Streams of random numbers that are the same on every machine and in every release.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};

/// A stream of random numbers. The generator is PCG64 and all that is made of its output is made here, from IEEE arithmetic and a
/// logarithm in software: neither a library's new release nor another platform's `libm` changes a plan.
#[derive(Clone, Debug)]
pub(super) struct Stream(Pcg64);

impl Stream {
    /// The stream of one purpose in one room. Its state is a hash of all three, so that streams have nothing in common.
    pub(super) fn new(seed: u64, purpose: &str, room: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(seed.to_le_bytes());
        hash.update(room.to_le_bytes());
        Self(Pcg64::from_seed(hash.finalize().into()))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly distributed from 0 to below 1, in steps of 2^-53.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly distributed from 0 to below `bound`, which isn't 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.bits(), bound)
    }

    /// Exponentially distributed with a mean of 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -libm::log1p(-self.unit())
    }

    /// Evenly distributed from nothing to below `bound`.
    pub(super) fn within(&mut self, bound: Duration) -> Duration {
        Duration::from_nanos(self.below(nanos(bound).max(1)))
    }
}

/// Where 64 bits fall in `bound` equal parts. The parts differ by less than `bound` in 2^64.
pub(super) fn scale(bits: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(bound)) >> 64).expect("it is below the bound")
}

/// Whole nanoseconds; 584 years are the most.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The very numbers: a plan that is made again from its seed in a later release must be the same plan.
    #[test]
    fn a_stream_never_changes() {
        let mut stream = Stream::new(7, "messages", 3);
        assert_eq!([stream.bits(), stream.bits(), stream.below(1000)], [11_206_590_064_624_708_917, 3_402_416_961_043_683_159, 967]);
        assert_eq!((stream.unit(), stream.exponential()), (0.117_530_038_155_597_48, 0.228_671_720_662_775_94));
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_room() {
        let first = |seed, purpose, room| Stream::new(seed, purpose, room).bits();
        let all = [first(7, "a", 3), first(8, "a", 3), first(7, "b", 3), first(7, "a", 4)];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn an_exponential_has_the_mean_of_one() {
        let mut stream = Stream::new(1, "mean", 0);
        let mean = (0..100_000).map(|_| stream.exponential()).sum::<f64>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}
