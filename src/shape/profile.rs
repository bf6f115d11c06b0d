//! What is kept of a recording to set its load beside another one's: a fold over its requests in
//! the order of time, in bounded memory.

pub mod fold;
pub mod minutes;
pub mod routes;
pub mod stretches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::recording::file::sights::names::Names;
use crate::shape::Shape;
use crate::shape::keys::Keys;
use crate::shape::profile::fold::Profiler;
use crate::shape::profile::minutes::Minutes;
use crate::shape::profile::routes::Mix;
use crate::shape::profile::stretches::Stretches;
use crate::stats::counts::as_f64;

/// Windows of 10 ms: as many as [`Shape`] has.
const MAX_WINDOWS: usize = super::MAX_SECONDS * 100;

/// The fold. Moments count from the first request on.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Counts and opens of as much as the windows of 10 ms reach; total, mix and sizes of all.
    pub shape: Shape,
    /// Requests in each minute, of all.
    pub minutes: Minutes,
    /// Connections opened in each minute.
    pub opens_by_minute: Minutes,
    /// Requests by route, of sessions with an even and with an odd hash: how far two halves of the
    /// same load are apart.
    pub halves: [BTreeMap<Arc<str>, u64>; 2],
    /// Where both come from.
    pub mix: Mix,
    /// From the first request to the last.
    pub length: Duration,
    /// Between one request and the next, in nanoseconds.
    pub gaps: Histogram<u64>,
    /// The same by stretches of the load.
    pub stretches: Stretches,
    /// Bytes of the responses' bodies.
    pub response_bytes: Histogram<u64>,
    /// Bytes of all requests' bodies, and of all responses'.
    pub bytes: [u64; 2],
    /// Bytes of the requests' bodies by route.
    pub route_bytes: BTreeMap<Arc<str>, Histogram<u64>>,
    /// The largest bodies of requests, the largest first.
    pub largest: Vec<Largest>,
    /// Requests on a connection.
    pub reuse: Histogram<u64>,
    /// From an answer to the next request on its connection, in nanoseconds.
    pub idle: Histogram<u64>,
    /// Answers whose end is known, and the sum of the time that they took, in nanoseconds.
    pub answers: u64,
    /// That sum.
    pub waited_ns: u64,
    /// Most requests in flight at once, by windows of 10 ms.
    pub most_in_flight: u64,
    /// Requests that came when the request of their session before them was answered, and all that
    /// had one before them whose answer's end is known; of the sessions that were followed.
    pub dependent: [u64; 2],
    /// Keys in their order.
    pub keys: Keys,
    /// Requests of a session that a request is in, on average: `E[N²]/E[N]`. `None` without
    /// sessions that were followed.
    pub cluster: Option<f64>,
    /// Sessions that were followed with an even and with an odd hash.
    pub sessions: [u64; 2],
    /// Requests on connections beyond [`MAX_CONNECTIONS`].
    pub not_followed: u64,
    /// Requests later than [`MAX_MINUTES`](minutes::MAX_MINUTES), which are in nothing else here.
    pub beyond: u64,
    gap_moments: Moments,
}

/// A large body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Largest {
    /// Its length.
    pub bytes: u64,
    /// Who sent it.
    pub session: u64,
}

/// Of gaps in nanoseconds: all of them together are no longer than
/// [`MAX_MINUTES`](minutes::MAX_MINUTES).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    sum: u64,
    squares: u128,
}

impl Profile {
    /// Of a load of which only the requests in each second and the mix are known.
    pub fn of_seconds(seconds: &[u64], mix: BTreeMap<Arc<str>, u64>) -> Self {
        let mut profile = Profiler::default().finish(&Names::default());
        profile.length = Duration::from_secs(seconds.len().min(super::MAX_SECONDS) as u64);
        for second in seconds.iter().take(super::MAX_SECONDS) {
            let requests = u32::try_from(*second).unwrap_or(u32::MAX);
            profile.shape.total += u64::from(requests);
            // Evenly: nothing is said of less than a second.
            let share = |window: u32| requests / 100 + u32::from(window < requests % 100);
            profile.shape.counts.extend((0..100).map(share));
        }
        profile.minutes = Minutes::of_windows(&profile.shape.counts);
        profile.set_mix(Mix::of_counts(mix));
        profile
    }

    /// Tells the classes apart that a mix does.
    pub fn set_mix(&mut self, mix: Mix) {
        let [all, even, odd] = mix.counts();
        (self.shape.mix, self.halves, self.mix) = (all, [even, odd], mix);
    }

    /// The same load with the classes that another one tells apart, too; `None` where it is that.
    pub fn of_the_classes_of(&self, other: &Self) -> Option<Self> {
        let mix = self.mix.beside(&other.mix)?;
        let mut same = self.clone();
        same.set_mix(mix);
        Some(same)
    }

    /// Squared coefficient of variation of the gaps: 1 for a Poisson process.
    pub fn gaps_scv(&self) -> Option<f64> {
        let Moments { count, sum, squares } = self.gap_moments;
        let (count, sum) = (u128::from(count), u128::from(sum));
        // n·Σx² − (Σx)² over (Σx)²: exactly where it fits, as it does but for gaps of weeks in
        // millions of requests, whose digits nobody misses.
        let whole = sum.saturating_mul(sum);
        let spread = match count.checked_mul(squares) {
            Some(product) => real(product.saturating_sub(whole)),
            None => real(count) * real(squares) - real(whole),
        };
        (count >= 2 && sum > 0).then(|| spread / real(whole))
    }

    /// Requests a second, from the first to the last one.
    pub fn rate(&self) -> f64 {
        let seconds = self.length.as_secs_f64();
        if seconds > 0.0 { as_f64(self.shape.total) / seconds } else { 0.0 }
    }

    /// How much of the load has windows of 10 ms, in seconds.
    pub fn fine_seconds(&self) -> f64 {
        self.length.as_secs_f64().min(as_f64(super::MAX_SECONDS as u64))
    }

    /// Requests later than those windows reach.
    pub fn coarse(&self) -> u64 {
        let fine: u64 = self.shape.counts.iter().copied().map(u64::from).sum();
        self.shape.total.saturating_sub(fine)
    }

    /// Requests a second, of as much as has windows of 10 ms.
    pub fn fine_rate(&self) -> f64 {
        let seconds = self.fine_seconds();
        let fine = self.shape.total.saturating_sub(self.coarse());
        if seconds > 0.0 { as_f64(fine) / seconds } else { 0.0 }
    }

    /// Requests in flight on average; `None` where no end of an answer is known.
    pub fn mean_in_flight(&self) -> Option<f64> {
        let seconds = self.length.as_secs_f64();
        (self.answers > 0 && seconds > 0.0).then(|| as_f64(self.waited_ns) / 1e9 / seconds)
    }

    /// Begins so many windows of 10 ms later (or earlier; what is before the start then is counted
    /// in the first window). Opened connections move by the nearest number of seconds.
    pub fn shift(&mut self, windows: i64) {
        moved(&mut self.shape.counts, windows);
        moved(&mut self.shape.opens, windows.saturating_add(50).div_euclid(100));
        self.minutes.shift(windows);
        self.opens_by_minute.shift(windows);
    }
}

#[expect(clippy::cast_precision_loss, reason = "of two long numbers, only the ratio is wanted")]
fn real(number: u128) -> f64 {
    number as f64
}

fn moved(counts: &mut Vec<u32>, by: i64) {
    let places = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    if by >= 0 {
        counts.splice(0..0, std::iter::repeat_n(0, places.min(MAX_WINDOWS)));
        return;
    }
    let before = counts.drain(..places.min(counts.len())).fold(0, u32::saturating_add);
    match counts.first_mut() {
        Some(first) => *first = first.saturating_add(before),
        None if before > 0 => counts.push(before),
        None => {}
    }
}
