//! Requests with a large body, beside which others may have waited.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::drive::clock::nanoseconds;

/// Requests with a large body that are being sent or answered, over all workers.
#[derive(Debug, Default)]
pub(crate) struct LargeBodies {
    active: AtomicU32,
    /// When the latest of those that ended did so, ns since the start, plus one; 0 for never.
    ended: AtomicU64,
}

impl LargeBodies {
    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, SeqCst);
    }

    pub(crate) fn end(&self, now: Duration) {
        // In this order: whoever sees none active must see when the last one ended.
        self.ended.fetch_max(nanoseconds(now).saturating_add(1), SeqCst);
        self.active.fetch_sub(1, SeqCst);
    }

    /// One of them was in flight at some time from `since` until now: it still is, or it ended
    /// after `since` and so began before now.
    pub(crate) fn overlapped(&self, since: Duration) -> bool {
        self.active.load(SeqCst) > 0 || self.ended.load(SeqCst) > nanoseconds(since)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.active.load(SeqCst) == 0
    }
}
