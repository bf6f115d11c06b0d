//! What the stage did, readable from other threads at any time, also while its loop is blocked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the stage did so far. Each number is exact; together they are a moment's view only once
/// the stage is at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted to be served; those refused with a banner are not among them.
    pub connections_accepted: u64,
    /// Connections being served now.
    pub connections_open: u64,
    /// Most connections served at once.
    pub connections_peak: u64,
    /// Connections refused with a banner.
    pub connections_refused: u64,
    /// Connections that ended by an error: reset, or bytes that are no HTTP.
    pub connections_broken: u64,
    /// Times the kernel did not hand out a connection (out of files, gone before it was accepted).
    pub accept_errors: u64,
    /// Panics of the stage, which are its bugs.
    pub panics: u64,
    /// Requests whose head was understood.
    pub requests: u64,
    /// GET and HEAD requests answered from the cache.
    pub cache_hits: u64,
    /// GET and HEAD requests that went to the store.
    pub cache_misses: u64,
    /// Misses of a key that another request was reading already.
    pub cache_stampedes: u64,
    /// Reads the store has answered; the difference to `cache_misses` is under way or queued.
    pub store_reads: u64,
    /// Request bodies refused with 413.
    pub bodies_refused: u64,
    /// Request bodies that ended too early or were framed wrongly; answered 400.
    pub bodies_broken: u64,
    /// Time the event loop was blocked by request bodies.
    pub blocked: Duration,
    /// Times the stage stood still; counted when it begins.
    pub stalled: u64,
    /// Answers that a retry storm made late.
    pub stormed: u64,
}

/// The counters while they are counted. Each has one writer, the stage's thread.
#[derive(Debug, Default)]
pub(in crate::stage) struct Gauges {
    pub(in crate::stage) connections_accepted: Gauge,
    pub(in crate::stage) connections_open: Gauge,
    pub(in crate::stage) connections_peak: Gauge,
    pub(in crate::stage) connections_refused: Gauge,
    pub(in crate::stage) connections_broken: Gauge,
    pub(in crate::stage) accept_errors: Gauge,
    pub(in crate::stage) panics: Gauge,
    pub(in crate::stage) requests: Gauge,
    pub(in crate::stage) cache_hits: Gauge,
    pub(in crate::stage) cache_misses: Gauge,
    pub(in crate::stage) cache_stampedes: Gauge,
    pub(in crate::stage) store_reads: Gauge,
    pub(in crate::stage) bodies_refused: Gauge,
    pub(in crate::stage) bodies_broken: Gauge,
    pub(in crate::stage) blocked_ns: Gauge,
    pub(in crate::stage) stalled: Gauge,
    pub(in crate::stage) stormed: Gauge,
}

impl Gauges {
    pub(in crate::stage) fn read(&self) -> Counters {
        Counters {
            connections_accepted: self.connections_accepted.get(),
            connections_open: self.connections_open.get(),
            connections_peak: self.connections_peak.get(),
            connections_refused: self.connections_refused.get(),
            connections_broken: self.connections_broken.get(),
            accept_errors: self.accept_errors.get(),
            panics: self.panics.get(),
            requests: self.requests.get(),
            cache_hits: self.cache_hits.get(),
            cache_misses: self.cache_misses.get(),
            cache_stampedes: self.cache_stampedes.get(),
            store_reads: self.store_reads.get(),
            bodies_refused: self.bodies_refused.get(),
            bodies_broken: self.bodies_broken.get(),
            blocked: Duration::from_nanos(self.blocked_ns.get()),
            stalled: self.stalled.get(),
            stormed: self.stormed.get(),
        }
    }
}

/// A number that one thread writes and others read. Nothing else is published through it, so that
/// relaxed order is enough.
#[derive(Debug, Default)]
pub(in crate::stage) struct Gauge(AtomicU64);

impl Gauge {
    pub(in crate::stage) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(in crate::stage) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(in crate::stage) fn count(&self) {
        self.add(1);
    }

    pub(in crate::stage) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}
