//! Waiting times between attempts: doubling, bounded, and not the same on all hosts.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// First and last waiting time.
const RANGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Waiting times of one connection.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    random: RandomState,
    attempts: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            next: RANGE.0,
            random: RandomState::new(),
            attempts: 0,
        }
    }
}

impl Backoff {
    /// It worked: the next failure starts anew.
    pub fn reset(&mut self) {
        self.next = RANGE.0;
    }

    /// How long to wait now: between half and all of the current waiting time, which doubles.
    pub fn delay(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(RANGE.1);
        self.attempts += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.attempts);
        let fraction = (hasher.finish() % 1000) as u32;
        whole / 2 + whole / 2 * fraction / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_start_anew() {
        let mut backoff = Backoff::default();
        let mut whole = RANGE.0;
        for _ in 0..10 {
            let delay = backoff.delay();
            assert!(
                delay >= whole / 2 && delay <= whole,
                "{delay:?} of {whole:?}"
            );
            whole = (whole * 2).min(RANGE.1);
        }
        backoff.reset();
        assert!(backoff.delay() <= RANGE.0);
    }
}
