//! The wall clock, which drills compare with the clocks of other machines. Nothing is scheduled
//! by it.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the Unix epoch.
pub(super) fn unix_ns() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}
