//! Percentiles of durations in fixed memory.

use std::time::Duration;

/// Sub-ranges of each power of two: the relative error of a percentile is below 1/16.
const SUB: u32 = 16;
const SUB_BITS: u32 = SUB.ilog2();

/// Ranges: values below 16 µs exactly, then 16 for each power of two up to 2^36 µs (19 hours).
const RANGES: usize = (SUB * (36 - SUB_BITS + 1)) as usize;

/// Counts of durations in ranges whose width grows with the value.
#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies {
            counts: vec![0; RANGES],
            total: 0,
        }
    }
}

/// The range of a value in microseconds.
fn range_of(micros: u64) -> usize {
    if micros < u64::from(SUB) {
        return micros as usize;
    }
    let shift = micros.ilog2() - SUB_BITS;
    let range = u64::from(SUB * shift) + (micros >> shift);
    (range as usize).min(RANGES - 1)
}

/// The largest value of a range.
fn upper_end(range: usize) -> u64 {
    let range = range as u64;
    if range < u64::from(SUB) {
        return range;
    }
    let shift = range / u64::from(SUB) - 1;
    let step = range - shift * u64::from(SUB);
    ((step + 1) << shift) - 1
}

impl Latencies {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[range_of(micros)] += 1;
        self.total += 1;
    }

    /// Durations counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// A value in microseconds that `quantile` (0–1) of the durations do not exceed, at most 1/16
    /// above the true one. `None` while nothing has been counted.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let wanted = ((self.total as f64 * quantile).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let range = self.counts.iter().position(|&count| {
            seen += count;
            seen >= wanted
        })?;
        Some(upper_end(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_range_that_ends_at_most_a_sixteenth_above_it() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) + 1, 123_456_789, (1 << 36) - 1]) {
            let end = upper_end(range_of(micros));
            assert!(end >= micros, "{micros} is above its range's end {end}");
            assert!(end - micros <= micros / 16, "{micros} is far below {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        for (quantile, exact) in [(0.5, 500), (0.99, 990), (1.0, 1000), (0.0, 1)] {
            let found = latencies.quantile(quantile).unwrap();
            assert!(
                (exact..=exact + exact / 16).contains(&found),
                "{quantile}: {found}"
            );
        }
        latencies.record(Duration::MAX);
        assert!(latencies.quantile(1.0).unwrap() > 1 << 35);
    }
}
