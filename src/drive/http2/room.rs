//! What the task of a connection tells those who send on it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;

use crate::sample::Fate;

/// Streams that a target allows at once before it has said how many: what most servers say.
pub(super) const FIRST_STREAMS: usize = 100;

/// How many streams there may be on a connection, and how it ended.
#[derive(Debug)]
pub(super) struct Room {
    streams: AtomicUsize,
    is_over: AtomicBool,
    /// What ended it, as its socket saw it: the first that did.
    ended: OnceLock<Fate>,
    /// One of these has changed.
    pub(super) changed: Notify,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            streams: AtomicUsize::new(FIRST_STREAMS),
            is_over: AtomicBool::new(false),
            ended: OnceLock::new(),
            changed: Notify::new(),
        }
    }

    /// The target allows so many streams at once.
    pub(super) fn allow(&self, streams: usize) {
        if self.streams.swap(streams, SeqCst) != streams {
            self.changed.notify_one();
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(SeqCst)
    }

    /// Nothing more can be sent.
    pub(super) fn end(&self) {
        self.is_over.store(true, SeqCst);
        self.changed.notify_one();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    pub(super) fn keep(&self, fate: Fate) {
        // What follows the first failure follows from it.
        let _ = self.ended.set(fate);
    }

    pub(super) fn ended(&self) -> Option<Fate> {
        self.ended.get().cloned()
    }
}
