//! The faults of the stage: broken twins of a healthy stack, one knob apart, and the one way to
//! block the event loop.

use std::fmt;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::scenario::knobs::{BeyondLimit, ConnectionLimit, OtherAnswers, StageKnobs, Stall};

/// A fault with a name, at a size that shows in a rehearsal of minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Every first read of a target queues for a slow store.
    ColdCache,
    /// Connections beyond a limit are turned away with a banner.
    ConnectionLimit,
    /// Connections beyond a limit are not accepted.
    ConnectionHang,
    /// Large request bodies are refused.
    BodyLimit,
    /// Request bodies block the event loop.
    EventLoop,
    /// Everything stands still once.
    Stall,
    /// So many answers a second, one after the other.
    Capacity(u32),
    /// Half of the targets are answered with a redirection.
    OtherStatus,
    /// Half of the targets are answered with half of their body.
    HalfBody,
}

/// A name that is not one of a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no fault `{name}`; the faults are {} (or such as capacity=500)",
    Fault::ALL.map(Fault::name).join(", ")
)]
pub struct UnknownFault {
    /// What was given.
    pub name: String,
}

impl Fault {
    /// All of them, in the order in which they are listed for people.
    pub const ALL: [Self; 9] = [
        Self::ColdCache,
        Self::ConnectionLimit,
        Self::ConnectionHang,
        Self::BodyLimit,
        Self::EventLoop,
        Self::Stall,
        Self::Capacity(DEFAULT_CAPACITY),
        Self::OtherStatus,
        Self::HalfBody,
    ];

    /// The name in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ColdCache => "cold-cache",
            Self::ConnectionLimit => "connection-limit",
            Self::ConnectionHang => "connection-hang",
            Self::BodyLimit => "body-limit",
            Self::EventLoop => "event-loop",
            Self::Stall => "stall",
            Self::Capacity(_) => "capacity",
            Self::OtherStatus => "other-status",
            Self::HalfBody => "half-body",
        }
    }

    /// What it does, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::ColdCache => {
                "the cache is empty: each first read waits for a store of 40 ms, 2 at a time"
            }
            Self::ConnectionLimit => {
                "connections beyond half of the plan's peak get an error banner and are closed"
            }
            Self::ConnectionHang => "connections beyond half of the plan's peak are not accepted",
            Self::BodyLimit => "request bodies above 64 KiB are answered 413",
            Self::EventLoop => "each byte of a request body blocks the event loop for 2 us",
            Self::Stall => "everything stands still for 1.5 s, 3 s after the first request",
            Self::Capacity(_) => "requests are answered one after the other, so many a second",
            Self::OtherStatus => "about half of the targets are answered 302, a redirection",
            Self::HalfBody => "about half of the targets are answered with half of their body",
        }
    }

    /// The fault of this name; `capacity=500` says how many answers a second.
    pub fn parse(name: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault { name: name.to_owned() };
        if let Some(rate) = name.strip_prefix("capacity=") {
            let rate = rate.strip_suffix("/s").unwrap_or(rate);
            let rate = rate.parse().ok().filter(|rate| (1..=1_000_000).contains(rate));
            return rate.map(Self::Capacity).ok_or_else(unknown);
        }
        Self::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(unknown)
    }

    /// Makes the broken twin: changes what belongs to this fault and nothing else.
    /// `peak_connections` is the most connections that the plan has open at once.
    pub fn apply(self, knobs: &mut StageKnobs, peak_connections: u64) {
        let limit = |beyond| Some(ConnectionLimit { max: half_of(peak_connections), beyond });
        match self {
            Self::ColdCache => {
                knobs.cache.warm = false;
                knobs.cache.store_latency = Duration::from_millis(40);
                knobs.cache.store_pool = 2;
            }
            Self::ConnectionLimit => knobs.connection_limit = limit(BeyondLimit::Banner),
            Self::ConnectionHang => knobs.connection_limit = limit(BeyondLimit::StopAccepting),
            Self::BodyLimit => knobs.body_limit = Some(64 * 1024),
            Self::EventLoop => knobs.block_ns_per_byte = 2_000,
            Self::Stall => {
                knobs.stall = Some(Stall {
                    at: Duration::from_secs(3),
                    length: Duration::from_millis(1_500),
                });
            }
            Self::Capacity(rate) => knobs.capacity = Some(rate),
            Self::OtherStatus => knobs.answers = Some(OtherAnswers::Redirected),
            Self::HalfBody => knobs.answers = Some(OtherAnswers::Halved),
        }
    }
}

/// Answers a second where the fault says nothing else.
const DEFAULT_CAPACITY: u32 = 500;

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(rate) => write!(formatter, "{}={rate}", self.name()),
            _ => formatter.write_str(self.name()),
        }
    }
}

/// Half of the peak and at least 1, but below the peak, so that the plan meets the limit: with a
/// peak of 1 no connection is served.
fn half_of(peak_connections: u64) -> u32 {
    let half = (peak_connections / 2).max(1).min(peak_connections.saturating_sub(1));
    u32::try_from(half).unwrap_or(u32::MAX)
}

/// How long a body of this size blocks the loop.
pub(in crate::stage) fn block_of(body_bytes: u64, ns_per_byte: u64) -> Duration {
    Duration::from_nanos(body_bytes.saturating_mul(ns_per_byte)).min(LONGEST_BLOCK)
}

/// Longest block by one request: a server gone for longer would be restarted by its supervisor.
const LONGEST_BLOCK: Duration = Duration::from_secs(10);

/// Longest stall, so that a typing error does not hold a nightly job for hours.
pub(in crate::stage) const LONGEST_STALL: Duration = Duration::from_mins(1);

/// Blocks the thread it is used on, until it is released for good.
///
/// It is what `thread::sleep` would be, except that a stage can be stopped while it is blocked.
#[derive(Debug, Default)]
pub(in crate::stage) struct Brake {
    released: Mutex<bool>,
    changed: Condvar,
}

impl Brake {
    /// Blocks this thread for `length`, or until the brake is released.
    pub(in crate::stage) fn hold(&self, length: Duration) {
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(released, length, |released| !*released));
    }

    /// Ends the block under way and prevents further ones.
    pub(in crate::stage) fn release(&self) {
        *self.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for fault in Fault::ALL {
            assert_eq!(Fault::parse(fault.name()), Ok(fault));
        }
        let fault = Fault::parse("capacity=900").unwrap();
        assert_eq!((fault, fault.to_string().as_str()), (Fault::Capacity(900), "capacity=900"));
        assert_eq!(Fault::parse("capacity=1200/s"), Ok(Fault::Capacity(1_200)));
        for wrong in ["capacity=", "capacity=0", "capacity=-3", "capacity=9999999", "stall=3"] {
            assert!(Fault::parse(wrong).is_err(), "{wrong}");
        }
        let text = Fault::parse("coldcache").unwrap_err().to_string();
        let expected = "there is no fault `coldcache`; the faults are cold-cache, \
                        connection-limit, connection-hang, body-limit, event-loop, stall, \
                         capacity, other-status, half-body (or such as capacity=500)";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_fault_breaks_the_healthy_default_and_only_its_own_knob() {
        let healthy = StageKnobs::default();
        for fault in Fault::ALL {
            let mut broken = healthy.clone();
            fault.apply(&mut broken, 10);
            assert_ne!(broken, healthy, "{fault}");
            match fault {
                Fault::ColdCache => broken.cache = healthy.cache.clone(),
                Fault::ConnectionLimit | Fault::ConnectionHang => broken.connection_limit = None,
                Fault::BodyLimit => broken.body_limit = None,
                Fault::EventLoop => broken.block_ns_per_byte = 0,
                Fault::Stall => broken.stall = None,
                Fault::Capacity(_) => broken.capacity = None,
                Fault::OtherStatus | Fault::HalfBody => broken.answers = None,
            }
            assert_eq!(broken, healthy, "{fault}");
        }
    }

    #[test]
    fn a_connection_limit_is_always_met() {
        let table = [
            (0, 0),
            (1, 0), // One connection meets no limit of one.
            (2, 1),
            (3, 1),
            (9, 4),
            (1_000, 500),
            (u64::MAX, u32::MAX), // No overflow.
        ];
        for (peak, max) in table {
            assert_eq!(half_of(peak), max, "peak {peak}");
        }
    }

    #[test]
    fn a_block_is_bounded() {
        assert_eq!(block_of(1_000, 2_000), Duration::from_millis(2));
        assert_eq!(block_of(1_000, 0), Duration::ZERO);
        assert_eq!(block_of(u64::MAX, u64::MAX), LONGEST_BLOCK);
    }
}
