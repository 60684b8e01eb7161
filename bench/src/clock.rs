//! Time on the wall and on the processor. On a busy machine the first one includes the work of
//! others, the second does not.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A time that passed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) wall: Duration,
    /// Of the thread that measured.
    pub(crate) cpu: Duration,
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// Runs something, and says how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Span) {
    let (wall, cpu) = (Instant::now(), thread_time());
    let value = work();
    let span = Span {
        wall: wall.elapsed(),
        cpu: thread_time().saturating_sub(cpu),
    };
    (value, span)
}

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Nanoseconds for each of `count` things.
pub(crate) fn each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count.max(1) as f64
}

/// Things a second.
pub(crate) fn rate(time: Duration, count: u64) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}
