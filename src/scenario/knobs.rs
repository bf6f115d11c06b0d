//! The knobs of the embedded stage, one per fault. The default is a healthy stack.

use std::time::Duration;

/// How the embedded stage behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct StageKnobs {
    /// Time the stage takes for any answer, on top of what its store takes, without blocking
    /// others. It is kept by a timer of 1 ms steps: never too short, up to 1 ms too long.
    pub service: Duration,
    /// The cache in front of the slow store.
    pub cache: CacheKnobs,
    /// Most connections at once; `None` accepts all.
    pub connection_limit: Option<ConnectionLimit>,
    /// Largest accepted request body in bytes; larger ones are answered 413. `None` accepts all.
    pub body_limit: Option<u64>,
    /// Time the event loop is blocked for each byte of a request body, in nanoseconds; 0 is
    /// healthy.
    pub block_ns_per_byte: u64,
    /// The whole stage stands still once; `None` is healthy.
    pub stall: Option<Stall>,
    /// Answers that are not production's; `None` is healthy.
    pub answers: Option<OtherAnswers>,
    /// Overload that keeps itself going; `None` is healthy.
    pub retry_storm: Option<RetryStorm>,
    /// Answers a second at most, one after the other, in the order of their requests: what comes
    /// faster waits. `None` is healthy.
    pub capacity: Option<u32>,
}

/// A cache in front of a slow store.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheKnobs {
    /// Start with every target cached. A cold cache misses each target once.
    pub warm: bool,
    /// Time the store takes for one read.
    pub store_latency: Duration,
    /// Connections to the store: reads beyond it queue.
    pub store_pool: u32,
    /// A cache of pages: each read waits for the share of its pages that is not there yet, which
    /// falls by e in this time, counted from the first read. The store is asked for that share of
    /// the reads, and its pool plays no part. `None` keeps whole targets.
    pub warms_over: Option<Duration>,
}

/// A limit on connections.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionLimit {
    /// Connections served at once.
    pub max: u32,
    /// What happens to the next one.
    pub beyond: BeyondLimit,
}

/// What happens to a connection beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeyondLimit {
    /// Accepted, answered with a banner, closed: as Redis does.
    Banner,
    /// Not accepted: it hangs in the kernel's queue.
    StopAccepting,
}

/// The stage stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When, since the first request.
    pub at: Duration,
    /// For how long.
    pub length: Duration,
}

/// How answers to about half of the targets differ from those that were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherAnswers {
    /// They are redirected (302), as by a login that nobody has there.
    Redirected,
    /// Their bodies are half as long.
    Halved,
}

/// Work that feeds itself: once it has begun, it stays when the load is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryStorm {
    /// It begins when more requests than this wait at once.
    pub beyond: u32,
    /// Time by which every answer is late from then on.
    pub adds: Duration,
}

impl Default for StageKnobs {
    fn default() -> Self {
        Self {
            service: Duration::ZERO,
            cache: CacheKnobs {
                warm: true,
                store_latency: Duration::from_millis(20),
                store_pool: 4,
                warms_over: None,
            },
            connection_limit: None,
            body_limit: None,
            block_ns_per_byte: 0,
            stall: None,
            answers: None,
            retry_storm: None,
            capacity: None,
        }
    }
}
