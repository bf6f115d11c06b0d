//! What happened on connections of HTTP/1 that is no arrival's fate, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::drive::tls::Idle;

/// Counts that all connections of a run share; what happens often has no place here.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    unasked: AtomicU64,
    no_leave: AtomicU64,
}

/// What they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// Connections on which the target said something while no request was outstanding, be it a
    /// response. They were closed, and the next request went out on a new one.
    pub unasked: u64,
    /// Bodies that followed a head with `Expect: 100-continue` without leave, because none came
    /// within a second.
    pub no_leave: u64,
}

impl Oddities {
    /// An idle connection was looked at.
    pub(crate) fn note_idle(&self, idle: Idle) {
        if idle == Idle::Spoke {
            self.note_unasked();
        }
    }

    pub(crate) fn note_unasked(&self) {
        self.unasked.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_no_leave(&self) {
        self.no_leave.fetch_add(1, Relaxed);
    }

    pub(crate) fn so_far(&self) -> Odd {
        Odd { unasked: self.unasked.load(Relaxed), no_leave: self.no_leave.load(Relaxed) }
    }
}
