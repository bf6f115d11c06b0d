//! Live numbers of a run, for people who watch it. The verdict uses the summary, never these.

mod live;
mod recent;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::gauges::recent::Recent;
use crate::sample::{Fate, Sample};
use crate::summary::AsRecorded;

pub use live::Live;
pub use recent::Window;

/// Counters that the driver updates and a display reads, without locks.
#[derive(Debug, Default)]
pub struct Gauges {
    epoch: OnceLock<Epoch>,
    due: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    errors: AtomicU64,
    unsent: AtomicU64,
    retried: AtomicU64,
    handshakes: [AtomicU64; 2],
    recorded_handshakes: [AtomicU64; 2],
    not_resumed: AtomicU64,
    in_flight: AtomicU32,
    /// Nanoseconds of all that left minus those of all that entered: once all have left, the sum of
    /// the times that they were in flight. It wraps on the way.
    flight_ns: AtomicU64,
    read_late: AtomicU64,
    in_flight_bytes: AtomicU64,
    connections_open: AtomicU32,
    recent: [Slot; SLOTS],
    /// What rules look back at; absent where there are none.
    kept: OnceLock<Mutex<Recent>>,
}

/// The gauges at one moment. The numbers are read one after the other, so that they may disagree
/// by what happened in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GaugeSnapshot {
    /// Time since the start of the run; zero before it.
    pub elapsed: Duration,
    /// Arrivals that came due and were picked up by the pacer.
    pub due: u64,
    /// Requests whose first byte was sent.
    pub sent: u64,
    /// Whole answers.
    pub answered: u64,
    /// Arrivals that count as errors ([`crate::summary::fold::is_error`]).
    pub errors: u64,
    /// Arrivals that never left this machine.
    pub unsent: u64,
    /// Requests sent a second time because an idle connection was just closed by the target.
    pub retried: u64,
    /// TLS handshakes that were made in full, and those that resumed a session.
    pub handshakes: [u64; 2],
    /// What the recording says of those, where it knows.
    pub as_recorded: AsRecorded,
    /// Requests that were picked up and have no fate yet.
    pub in_flight: u32,
    /// Connections open now, or being opened.
    pub connections_open: u32,
    /// Largest lateness (due to dispatched) in the last full second.
    pub max_lateness: Duration,
    /// 99th percentile of the latency (due to done) of the answers in the last full second, at
    /// most an eighth too high; `None` without answers.
    pub latency_p99: Option<Duration>,
}

/// Seconds kept: the current one, the last full one, and one that late writers may still touch.
const SLOTS: usize = 3;

/// Eight buckets for each power of two of nanoseconds.
const BUCKETS: usize = 496;

/// What happened in one second.
#[derive(Debug)]
struct Slot {
    /// The second it is about, plus one; 0 for none.
    second: AtomicU64,
    max_lateness_ns: AtomicU64,
    latencies: [AtomicU32; BUCKETS],
}

impl Gauges {
    /// Reads all of them.
    pub fn snapshot(&self) -> GaugeSnapshot {
        let elapsed = self.elapsed();
        let recent = elapsed.as_secs().checked_sub(1).and_then(|second| self.recent(second));
        GaugeSnapshot {
            elapsed,
            due: self.due.load(Relaxed),
            sent: self.sent.load(Relaxed),
            answered: self.answered.load(Relaxed),
            errors: self.errors.load(Relaxed),
            unsent: self.unsent.load(Relaxed),
            retried: self.retried.load(Relaxed),
            handshakes: self.handshakes.each_ref().map(|count| count.load(Relaxed)),
            as_recorded: AsRecorded {
                recorded: self.recorded_handshakes.each_ref().map(|count| count.load(Relaxed)),
                not_resumed: self.not_resumed.load(Relaxed),
            },
            in_flight: self.in_flight.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            max_lateness: recent.map_or(Duration::ZERO, Slot::max_lateness),
            latency_p99: recent.and_then(Slot::latency_p99),
        }
    }

    /// The run starts then.
    pub(crate) fn start(&self, epoch: Epoch) {
        // A second run on the same gauges keeps the first start; each run has its own gauges.
        let _ = self.epoch.set(epoch);
    }

    pub(crate) fn picked_up(&self, due: Duration, dispatched: Duration) {
        self.due.fetch_add(1, Relaxed);
        let lateness = nanoseconds(dispatched.saturating_sub(due));
        self.slot(dispatched.as_secs()).max_lateness_ns.fetch_max(lateness, Relaxed);
    }

    /// Takes a place among the requests in flight, unless there are `max` already.
    pub(crate) fn enter_flight(&self, max: u32, at: Duration) -> bool {
        let entered =
            self.in_flight.fetch_update(Relaxed, Relaxed, |now| (now < max).then_some(now + 1));
        if entered.is_ok() {
            self.flight_ns.fetch_sub(nanoseconds(at), Relaxed);
        }
        entered.is_ok()
    }

    pub(crate) fn leave_flight(&self, at: Duration) {
        self.flight_ns.fetch_add(nanoseconds(at), Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Requests that are in flight now.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The times that requests were in flight, together; `None` while one is.
    pub(crate) fn flight_time(&self) -> Option<Duration> {
        let all_left = self.in_flight.load(Relaxed) == 0;
        all_left.then(|| Duration::from_nanos(self.flight_ns.load(Relaxed)))
    }

    /// An arrival was read only after its moment.
    pub(crate) fn read_late(&self) {
        self.read_late.fetch_add(1, Relaxed);
    }

    pub(crate) fn all_read_late(&self) -> u64 {
        self.read_late.load(Relaxed)
    }

    /// Holds the bytes of a request in flight, unless that makes more than `max` together. A
    /// single larger request is let through.
    pub(crate) fn hold_bytes(&self, bytes: u64, max: u64) -> bool {
        let fits = |held: u64| {
            let sum = held.saturating_add(bytes);
            (held == 0 || sum <= max).then_some(sum)
        };
        self.in_flight_bytes.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    pub(crate) fn release_bytes(&self, bytes: u64) {
        self.in_flight_bytes.fetch_sub(bytes, Relaxed);
    }

    pub(crate) fn first_byte_sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// What was sent is taken back: sent again, it stays one request.
    pub(crate) fn not_sent(&self) {
        self.sent.fetch_sub(1, Relaxed);
    }

    pub(crate) fn sent_again(&self) {
        self.retried.fetch_add(1, Relaxed);
    }

    /// A connection began, as it did or did not when it was `recorded`.
    pub(crate) fn shook_hands(&self, is_resumed: bool, recorded: Option<bool>) {
        self.handshakes[usize::from(is_resumed)].fetch_add(1, Relaxed);
        if let Some(was_resumed) = recorded {
            self.recorded_handshakes[usize::from(was_resumed)].fetch_add(1, Relaxed);
            self.not_resumed.fetch_add(u64::from(was_resumed && !is_resumed), Relaxed);
        }
    }

    /// Takes a place among the open connections, unless there are `max` already.
    pub(crate) fn enter_connection(&self, max: u32) -> bool {
        let entered = self
            .connections_open
            .fetch_update(Relaxed, Relaxed, |now| (now < max).then_some(now + 1));
        entered.is_ok()
    }

    pub(crate) fn leave_connection(&self) {
        self.connections_open.fetch_sub(1, Relaxed);
    }

    /// Keeps what is settled in the last seconds, for [`Self::recent_between`].
    pub fn keep_recent(&self, time: Duration) {
        let _ = self.kept.set(Mutex::new(Recent::new(time)));
    }

    /// What was settled from a second of the run until before another; `None` where nothing is
    /// kept.
    pub fn recent_between(&self, from: u64, until: u64) -> Option<Window> {
        let kept = self.kept.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(kept.between(from, until))
    }

    /// Time since the start of the run; zero before it.
    pub fn elapsed(&self) -> Duration {
        self.epoch.get().map(|epoch| epoch.now()).unwrap_or_default()
    }

    pub(crate) fn settled(&self, sample: &Sample, error: bool) {
        if let Some(kept) = self.kept.get() {
            kept.lock().unwrap_or_else(PoisonError::into_inner).add(sample, error);
        }
        self.errors.fetch_add(u64::from(error), Relaxed);
        match (&sample.fate, sample.done) {
            (Fate::Answered { .. }, Some(done)) => {
                self.answered.fetch_add(1, Relaxed);
                let latency = nanoseconds(done.saturating_sub(sample.ready()));
                self.slot(done.as_secs()).latencies[bucket(latency)].fetch_add(1, Relaxed);
            }
            (Fate::Unsent { .. }, _) => {
                self.unsent.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }

    /// The slot of a second, emptied when it was about an older one. Whoever writes while another
    /// empties it may be lost: these numbers are for the eye.
    fn slot(&self, second: u64) -> &Slot {
        let slot = &self.recent[index_of(second)];
        let known = slot.second.load(Relaxed);
        if known <= second
            && slot.second.compare_exchange(known, second + 1, Relaxed, Relaxed).is_ok()
        {
            slot.max_lateness_ns.store(0, Relaxed);
            slot.latencies.iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
        slot
    }

    fn recent(&self, second: u64) -> Option<&Slot> {
        let slot = &self.recent[index_of(second)];
        (slot.second.load(Relaxed) == second + 1).then_some(slot)
    }
}

fn index_of(second: u64) -> usize {
    usize::try_from(second % SLOTS as u64).unwrap_or(0)
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            second: AtomicU64::new(0),
            max_lateness_ns: AtomicU64::new(0),
            latencies: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }
}

impl Slot {
    fn max_lateness(&self) -> Duration {
        Duration::from_nanos(self.max_lateness_ns.load(Relaxed))
    }

    fn latency_p99(&self) -> Option<Duration> {
        let counts = self.latencies.each_ref().map(|count| u64::from(count.load(Relaxed)));
        let total: u64 = counts.iter().sum();
        let rank = (total * 99).div_ceil(100);
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            *count > 0 && seen >= rank
        })?;
        Some(Duration::from_nanos(upper_edge(bucket)))
    }
}

/// Values below 8 have a bucket each; above, the three bits behind the leading one choose.
fn bucket(value: u64) -> usize {
    let index = match value.checked_ilog2() {
        None | Some(0..3) => value,
        Some(exponent) => u64::from(exponent - 2) * 8 + ((value >> (exponent - 3)) & 7),
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The largest value of a bucket.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 8 {
        return bucket;
    }
    let width = 1_u64 << (bucket / 8 - 1);
    (8 + bucket % 8) * width + (width - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_value_within_an_eighth() {
        for value in (0..64).map(|bit| 1_u64 << bit).chain([0, 7, 8, 9, 100, 12_345, u64::MAX]) {
            let edge = upper_edge(bucket(value));
            assert!(edge >= value && edge - value <= value / 8, "{value} {edge}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_second_forgets_the_one_whose_place_it_takes() {
        let gauges = Gauges::default();
        let seconds = Duration::from_secs;
        gauges.picked_up(seconds(0), seconds(1));
        assert_eq!(gauges.recent(1).map(Slot::max_lateness), Some(seconds(1)));
        gauges.picked_up(seconds(4), seconds(4));
        assert_eq!(gauges.recent(1).map(Slot::max_lateness), None);
        assert_eq!(gauges.recent(4).map(Slot::max_lateness), Some(Duration::ZERO));
        assert_eq!(gauges.snapshot().due, 2);
    }

    #[test]
    fn the_percentile_is_of_answers_only() {
        let gauges = Gauges::default();
        let mut sample = Sample {
            due: Duration::ZERO,
            drift: Duration::ZERO,
            dispatched: None,
            established: None,
            secured: None,
            connected: None,
            sent: None,
            sent_last: None,
            first_byte: None,
            done: Some(Duration::from_millis(10)),
            opened: false,
            beside_large: false,
            response_bytes: 0,
            contents: None,
            fate: Fate::Answered { status: 200 },
        };
        assert_eq!(gauges.slot(0).latency_p99(), None);
        for _ in 0..99 {
            gauges.settled(&sample, false);
        }
        sample.fate = Fate::TimedOut;
        sample.done = Some(Duration::from_millis(900));
        gauges.settled(&sample, true);
        let p99 = gauges.slot(0).latency_p99().unwrap();
        assert!(p99 >= Duration::from_millis(10) && p99 < Duration::from_millis(12), "{p99:?}");
        let snapshot = gauges.snapshot();
        assert_eq!((snapshot.answered, snapshot.errors, snapshot.unsent), (99, 1, 0));
    }

    #[test]
    fn no_more_than_the_limit_is_in_flight() {
        let gauges = Gauges::default();
        let seconds = Duration::from_secs;
        let enter = |at| gauges.enter_flight(2, seconds(at));
        assert!(enter(1) && enter(2) && !enter(3));
        gauges.leave_flight(seconds(4));
        assert!(enter(5));
        assert_eq!((gauges.snapshot().in_flight, gauges.flight_time()), (2, None));
        gauges.leave_flight(seconds(6));
        gauges.leave_flight(seconds(7));
        assert_eq!(gauges.flight_time(), Some(seconds(4 + 6 + 7 - 1 - 2 - 5)));
    }

    #[test]
    fn bytes_in_flight_are_bounded_but_one_request_always_fits() {
        let gauges = Gauges::default();
        assert!(gauges.hold_bytes(20, 10) && !gauges.hold_bytes(1, 10));
        gauges.release_bytes(20);
        assert!(gauges.hold_bytes(9, 10) && gauges.hold_bytes(1, 10));
        assert!(!gauges.hold_bytes(u64::MAX, 10), "no overflow");
    }
}
