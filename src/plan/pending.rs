//! A request between its exchange and its moment.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::plan::Recorded;
use crate::plan::answers::Answer;
use crate::plan::bond::Bond;
use crate::plan::fingerprint::Fnv;
use crate::plan::streamed::Streamed;
use crate::protocol::Protocol;

/// A request as it goes on the wire, shared by its copies unless they are others.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) connection: u64,
    pub(crate) protocol: Protocol,
    pub(crate) session: u64,
    pub(crate) method: Arc<str>,
    pub(crate) route: Arc<str>,
    pub(crate) target: u64,
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
    pub(crate) streamed: Option<Arc<Streamed>>,
    pub(crate) recorded: Recorded,
    pub(crate) answer: Option<Arc<Answer>>,
    pub(crate) bond: Bond,
}

impl Request {
    pub(crate) fn bytes(&self) -> usize {
        let streamed = self.streamed.as_ref().map_or(0, |streamed| streamed.held());
        self.head.len() + self.body.len() + streamed
    }
}

/// Copies waiting for their moment at most: 30 s at the highest accepted rate, twice.
pub(crate) const MAX_AHEAD: usize = 4_000_000;

/// Bytes of requests waiting for their moment at most.
pub(crate) const MAX_AHEAD_BYTES: usize = 2 << 30;

/// The number of somebody's copy.
pub(crate) fn copied(number: u64, copy: u32) -> u64 {
    match copy {
        0 => number,
        copy => Fnv::new().number(number).number(u64::from(copy)).finish(),
    }
}

/// One copy of a request, before its moment.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Moment in the recording's time, since the window's start.
    pub(crate) at: Duration,
    /// By how much that is later than its exchange.
    pub(crate) shift: Duration,
    /// Position of its exchange in the window.
    pub(crate) ordinal: u64,
    pub(crate) copy: u32,
    pub(crate) request: Arc<Request>,
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
