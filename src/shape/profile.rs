//! What is kept of a recording to set its load beside another one's: a fold over its requests in
//! the order of time, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::bytes::spread;
use crate::recording::file::sights::Sight;
use crate::shape::keys::Keys;
use crate::shape::{MAX_ROUTES, OTHER_ROUTES, Shape, WINDOW_NS};
use crate::stats::counts::as_f64;
use crate::stats::histograms::{MAX_SIZE, nanoseconds, record_time, sizes, times};

/// Connections followed, by their numbers, which recordings give from 0 on.
pub const MAX_CONNECTIONS: usize = 1 << 20;

/// Routes whose sizes are kept apart: 27 KiB each at most.
pub const MAX_SIZED_ROUTES: usize = 200;

/// Sessions counted. Where there are more, half of them are let go by their hash, and again.
pub const MAX_SESSIONS: usize = 1 << 14;

/// Half a window, which stands before the first request: what is regular begins in the middle of
/// a window, and a little lateness moves nothing into another one.
const HALF_A_WINDOW: Duration = Duration::from_millis(5);

/// Windows of 10 ms: as many as [`Shape`] has.
const MAX_WINDOWS: usize = super::MAX_SECONDS * 100;

/// The fold. Moments count from the first request on.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Counts, opens, mix and sizes.
    pub shape: Shape,
    /// Requests by route, of sessions with an even and with an odd hash: how far two halves of the
    /// same load are apart.
    pub halves: [BTreeMap<Arc<str>, u64>; 2],
    /// Moment of the first request, since the recording's start.
    pub first: Option<Duration>,
    /// From the first request to the last.
    pub length: Duration,
    /// Between one request and the next, in nanoseconds.
    pub gaps: Histogram<u64>,
    /// Bytes of the responses' bodies.
    pub response_bytes: Histogram<u64>,
    /// Bytes of all requests' bodies, and of all responses'.
    pub bytes: [u64; 2],
    /// Bytes of the requests' bodies by route.
    pub route_bytes: BTreeMap<Arc<str>, Histogram<u64>>,
    /// Requests on a connection.
    pub reuse: Histogram<u64>,
    /// From an answer to the next request on its connection, in nanoseconds.
    pub idle: Histogram<u64>,
    /// Answers whose end is known, and the sum of the time that they took, in seconds.
    pub answers: u64,
    /// That sum.
    pub waited: f64,
    /// Most requests in flight at once, by windows of 10 ms.
    pub most_in_flight: u64,
    /// Keys in their order.
    pub keys: Keys,
    /// Requests of a session that a request is in, on average: `E[N²]/E[N]`. `None` without
    /// sessions that were counted.
    pub cluster: Option<f64>,
    /// Sessions that were counted with an even and with an odd hash.
    pub sessions: [u64; 2],
    /// Requests on connections beyond [`MAX_CONNECTIONS`].
    pub not_followed: u64,
    /// Requests later than the windows reach, which are in nothing else here.
    pub beyond: u64,
    gap_moments: [f64; 3],
}

impl Profile {
    /// Of a load of which only the requests in each second and the mix are known.
    pub fn of_seconds(seconds: &[u64], mix: BTreeMap<Arc<str>, u64>) -> Self {
        let mut profile = Profiler::default().finish(&[]);
        profile.first = Some(Duration::ZERO);
        profile.length = Duration::from_secs(seconds.len().min(super::MAX_SECONDS) as u64);
        for second in seconds.iter().take(super::MAX_SECONDS) {
            let requests = u32::try_from(*second).unwrap_or(u32::MAX);
            profile.shape.total += u64::from(requests);
            // Evenly: nothing is said of less than a second.
            let share = |window: u32| requests / 100 + u32::from(window < requests % 100);
            profile.shape.counts.extend((0..100).map(share));
        }
        profile.shape.mix = mix;
        profile
    }

    /// Squared coefficient of variation of the gaps: 1 for a Poisson process.
    pub fn gaps_scv(&self) -> Option<f64> {
        let [count, mean, squares] = self.gap_moments;
        (count >= 2.0 && mean > 0.0).then(|| squares / count / (mean * mean))
    }

    /// Requests a second, from the first to the last one.
    pub fn rate(&self) -> f64 {
        let seconds = self.length.as_secs_f64();
        if seconds > 0.0 { as_f64(self.shape.total) / seconds } else { 0.0 }
    }

    /// Requests in flight on average; `None` where no end of an answer is known.
    pub fn mean_in_flight(&self) -> Option<f64> {
        let seconds = self.length.as_secs_f64();
        (self.answers > 0 && seconds > 0.0).then(|| self.waited / seconds)
    }

    /// Begins so many windows of 10 ms later (or earlier; what is before the start then is counted
    /// in the first window). Opened connections move by the nearest number of seconds.
    pub fn shift(&mut self, windows: i64) {
        moved(&mut self.shape.counts, windows);
        moved(&mut self.shape.opens, (windows + 50).div_euclid(100));
    }
}

/// A profile under construction.
#[derive(Debug)]
pub struct Profiler {
    profile: Profile,
    routes: Vec<[u64; 2]>,
    route_bytes: Vec<Histogram<u64>>,
    connections: Vec<Connection>,
    /// Requests in flight more or less, by window.
    flights: Vec<i32>,
    sessions: HashMap<u64, u64>,
    /// Sessions whose hash is at most this are counted.
    threshold: u64,
    latest: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    requests: u32,
    /// End of the answer before, in nanoseconds; 0 where it is not known.
    ended_ns: u64,
}

impl Default for Profiler {
    fn default() -> Self {
        let profile = Profile {
            shape: Shape::new(),
            halves: [BTreeMap::new(), BTreeMap::new()],
            first: None,
            length: Duration::ZERO,
            gaps: times(),
            response_bytes: sizes(),
            bytes: [0; 2],
            route_bytes: BTreeMap::new(),
            reuse: sizes(),
            idle: times(),
            answers: 0,
            waited: 0.0,
            most_in_flight: 0,
            keys: Keys::default(),
            cluster: None,
            sessions: [0; 2],
            not_followed: 0,
            beyond: 0,
            gap_moments: [0.0; 3],
        };
        Self {
            profile,
            routes: Vec::new(),
            route_bytes: Vec::new(),
            connections: Vec::new(),
            flights: Vec::new(),
            sessions: HashMap::new(),
            threshold: u64::MAX,
            latest: None,
        }
    }
}

impl Profiler {
    /// Takes the next request in the order of time. One that is earlier than the one before counts
    /// as being at its moment.
    pub fn add(&mut self, seen: &Sight) {
        let profile = &mut self.profile;
        let first = *profile.first.get_or_insert(seen.at);
        let at = seen.at.saturating_sub(first).max(profile.length);
        if at.as_secs() >= super::MAX_SECONDS as u64 {
            profile.beyond += 1;
            return;
        }
        if let Some(before) = self.latest.replace(at) {
            profile.add_gap(at.saturating_sub(before));
        }
        profile.length = at;
        profile.shape.total += 1;
        super::bump(&mut profile.shape.counts, super::window_of(at + HALF_A_WINDOW), 1);
        profile.bytes[0] = profile.bytes[0].saturating_add(seen.request_bytes);
        if let Some(bytes) = seen.response_bytes {
            profile.response_bytes.saturating_record(bytes.min(MAX_SIZE));
            profile.bytes[1] = profile.bytes[1].saturating_add(bytes);
        }
        profile.keys.add(seen.key, seen.is_read, at);
        let session = spread(seen.session);
        self.count_route(seen, session);
        if session <= self.threshold {
            *self.sessions.entry(session).or_default() += 1;
            while self.sessions.len() > MAX_SESSIONS {
                self.threshold /= 2;
                self.sessions.retain(|session, _| *session <= self.threshold);
            }
        }
        self.follow(seen, at);
    }

    fn count_route(&mut self, seen: &Sight, session: u64) {
        let route = (seen.route as usize).min(MAX_ROUTES);
        if self.routes.len() <= route {
            self.routes.resize(route + 1, [0; 2]);
        }
        let half = half_of(session);
        self.routes[route][half] += 1;
        // Most requests have no body: those are put into the histograms at the end.
        if seen.request_bytes == 0 {
            return;
        }
        self.profile.shape.request_bytes.saturating_record(seen.request_bytes.min(MAX_SIZE));
        if route < MAX_SIZED_ROUTES {
            while self.route_bytes.len() <= route {
                self.route_bytes.push(route_sizes());
            }
            let bytes = seen.request_bytes.min(MAX_SIZE);
            if self.route_bytes[route].record(bytes).is_err() {
                self.route_bytes[route].saturating_record(bytes);
            }
        }
    }

    fn follow(&mut self, seen: &Sight, at: Duration) {
        let at_ns = nanoseconds(at);
        let took = seen.took.map_or(0, nanoseconds);
        if seen.took.is_some() {
            self.profile.answers += 1;
            self.profile.waited += as_f64(took) / 1e9;
            let window = |ns: u64| usize::try_from(ns / WINDOW_NS).unwrap_or(usize::MAX);
            let (begins, ends) = (window(at_ns), window(at_ns.saturating_add(took)));
            let last = ends.saturating_add(1).min(MAX_WINDOWS);
            if begins < last {
                if self.flights.len() <= last {
                    self.flights.resize(last + 1, 0);
                }
                self.flights[begins] += 1;
                self.flights[last] -= 1;
            }
        }
        let Some(number) =
            usize::try_from(seen.connection).ok().filter(|&number| number < MAX_CONNECTIONS)
        else {
            self.profile.not_followed += 1;
            return;
        };
        if self.connections.len() <= number {
            self.connections.resize(number + 1, Connection::default());
        }
        let connection = &mut self.connections[number];
        if connection.requests == 0 {
            super::bump(&mut self.profile.shape.opens, super::second_of(at), 1);
        } else if connection.ended_ns > 0 && connection.ended_ns <= at_ns {
            record_time(&mut self.profile.idle, at_ns - connection.ended_ns);
        }
        connection.requests = connection.requests.saturating_add(1);
        connection.ended_ns = if seen.took.is_some() { at_ns.saturating_add(took) } else { 0 };
    }

    /// The profile, with the names of methods and routes by their numbers.
    pub fn finish(mut self, names: &[Arc<str>]) -> Profile {
        let mut profile = self.profile;
        let other: Arc<str> = Arc::from(OTHER_ROUTES);
        let name_of = |number: usize| names.get(number).filter(|_| number < MAX_ROUTES);
        for (number, halves) in self.routes.iter().enumerate() {
            let name = name_of(number).unwrap_or(&other);
            *profile.shape.mix.entry(Arc::clone(name)).or_default() += halves.iter().sum::<u64>();
            for (half, count) in profile.halves.iter_mut().zip(halves) {
                *half.entry(Arc::clone(name)).or_default() += count;
            }
        }
        profile.shape.mix.retain(|_, count| *count > 0);
        let empty = profile.shape.total.saturating_sub(profile.shape.request_bytes.len());
        profile.shape.request_bytes.saturating_record_n(0, empty);
        self.route_bytes.resize_with(self.routes.len().min(MAX_SIZED_ROUTES), route_sizes);
        for (bytes, halves) in self.route_bytes.iter_mut().zip(&self.routes) {
            let empty = halves.iter().sum::<u64>().saturating_sub(bytes.len());
            bytes.saturating_record_n(0, empty);
        }
        for (number, bytes) in self.route_bytes.into_iter().enumerate() {
            if let Some(name) = name_of(number).filter(|_| !bytes.is_empty()) {
                profile.route_bytes.insert(Arc::clone(name), bytes);
            }
        }
        for connection in self.connections.iter().filter(|connection| connection.requests > 0) {
            profile.reuse.saturating_record(u64::from(connection.requests));
        }
        let (mut now, mut most) = (0_i64, 0);
        for change in &self.flights {
            now += i64::from(*change);
            most = most.max(now);
        }
        profile.most_in_flight = u64::try_from(most).unwrap_or(0);
        let odd = self.sessions.keys().filter(|session| half_of(**session) == 1).count() as u64;
        profile.sessions = [self.sessions.len() as u64 - odd, odd];
        let mut sizes: Vec<u64> = self.sessions.into_values().collect();
        sizes.sort_unstable();
        let (sum, squares) = sizes.iter().fold((0.0, 0.0), |(sum, squares), &size| {
            (sum + as_f64(size), squares + as_f64(size) * as_f64(size))
        });
        profile.cluster = (sum > 0.0).then(|| squares / sum);
        profile
    }
}

/// Which half of the load a session is in.
fn half_of(session: u64) -> usize {
    usize::from(session % 2 == 1)
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

impl Profile {
    /// Mean and squared deviations of the gaps, after Welford.
    fn add_gap(&mut self, gap: Duration) {
        record_time(&mut self.gaps, nanoseconds(gap));
        let [count, mean, squares] = &mut self.gap_moments;
        *count += 1.0;
        let seconds = gap.as_secs_f64();
        let distance = seconds - *mean;
        *mean += distance / *count;
        *squares += distance * (seconds - *mean);
    }
}

/// Bytes with two significant digits; it grows with the largest value.
fn route_sizes() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 2, 2).unwrap_or_else(|_| sizes());
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests;
