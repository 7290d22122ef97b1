//! A histogram as text: base64 of HdrHistogram's own V2 format, deflated, which the tools of other languages read too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use super::{Durations, durations};

/// A text that is no histogram.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("it isn't base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("it is no histogram in HdrHistogram's V2 format: {0}")]
    Format(#[from] hdrhistogram::serialization::DeserializeError),
}

/// The text of a histogram. The same durations give the same text, in whatever order and parts they were recorded.
pub fn encode(histogram: &Durations) -> String {
    // The format tells the bounds, which depend on the order in which a histogram has grown.
    let mut plain = Histogram::<u64>::new_with_bounds(1, histogram.max().max(1000), 3).expect("the bounds are sound");
    plain.add(histogram).expect("the bounds hold every value");
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(&plain, &mut bytes).expect("counts are far below the format's limit, and memory takes all");
    STANDARD.encode(bytes)
}

/// The histogram of a text.
///
/// # Errors
/// What isn't base64, and what isn't HdrHistogram's V2 format, deflated or not.
pub fn decode(text: &str) -> Result<Durations, DecodeError> {
    let bytes = STANDARD.decode(text)?;
    let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice())?;
    let mut histogram = durations();
    histogram.add(&read).expect("the sum grows as needed");
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{counts, record};
    use super::*;

    fn recorded(micros: &[u64]) -> Durations {
        let mut histogram = durations();
        micros.iter().for_each(|micros| record(&mut histogram, Duration::from_micros(*micros)));
        histogram
    }

    proptest! {
        // Histograms of an hour are large to compare.
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_is_read_again(micros in prop::collection::vec(0..5_000_000_000_u64, 0..50)) {
            let histogram = recorded(&micros);
            let read = decode(&encode(&histogram)).expect("it was just written");
            prop_assert!(counts(&read).eq(counts(&histogram)));
            prop_assert_eq!(read.max(), histogram.max());
        }

        #[test]
        fn the_text_depends_on_the_durations_alone(micros in prop::collection::vec(0..5_000_000_000_u64, 0..50)) {
            let reversed: Vec<u64> = micros.iter().rev().copied().collect();
            let mut parts = recorded(&micros[..micros.len() / 2]);
            parts.add(recorded(&micros[micros.len() / 2..])).expect("it grows");
            prop_assert_eq!(encode(&recorded(&reversed)), encode(&recorded(&micros)));
            prop_assert_eq!(encode(&parts), encode(&recorded(&micros)));
        }

        #[test]
        fn no_text_is_too_odd_to_be_refused(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&text);
            let _ = decode(&STANDARD.encode(bytes));
        }
    }

    #[test]
    fn a_histogram_that_was_read_still_grows() {
        let mut read = decode(&encode(&recorded(&[5]))).expect("it was just written");
        record(&mut read, Duration::from_secs(100));
        assert_eq!(read.len(), 2);
    }
}
