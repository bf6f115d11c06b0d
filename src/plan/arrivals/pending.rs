//! Requests that are ready, before their moment.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::plan::Recorded;
use crate::protocol::Protocol;

/// A request as it goes on the wire, shared by its copies.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) connection: u64,
    pub(super) protocol: Protocol,
    pub(super) session: u64,
    pub(super) method: Arc<str>,
    pub(super) route: Arc<str>,
    pub(super) target: u64,
    pub(super) head: Bytes,
    pub(super) body: Bytes,
    pub(super) recorded: Recorded,
}

impl Request {
    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// One copy of a request, before its moment.
#[derive(Debug)]
pub(super) struct Pending {
    /// Moment in the recording's time, since the window's start.
    pub(super) at: Duration,
    /// By how much that is later than its exchange.
    pub(super) shift: Duration,
    /// Position of its exchange in the window.
    pub(super) ordinal: u64,
    pub(super) copy: u32,
    pub(super) request: Arc<Request>,
}

// Only the first three decide, and no two copies agree in them.
impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |pending: &Self| (pending.at, pending.ordinal, pending.copy);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pending {}
