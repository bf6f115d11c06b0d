//! The fold that makes a profile of requests in the order of time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::bytes::spread;
use crate::recording::file::sights::Sight;
use crate::recording::file::sights::names::Names;
use crate::shape::keys::Keys;
use crate::shape::profile::minutes::{MAX_MINUTES, MINUTE_NS, Minutes};
use crate::shape::profile::routes::Routes;
use crate::shape::profile::stretches::Stretches;
use crate::shape::profile::{Largest, MAX_WINDOWS, Moments, Profile};
use crate::shape::{Shape, WINDOW_NS, bump};
use crate::stats::counts::as_f64;
use crate::stats::histograms::{MAX_SIZE, record_time, sizes, times};

/// Connections followed, by their numbers, which recordings give from 0 on.
pub const MAX_CONNECTIONS: usize = 1 << 20;

/// Sessions followed. Where there are more, half of them are let go by their hash, and again.
pub const MAX_SESSIONS: usize = 1 << 14;

/// Largest bodies that are kept.
pub const MAX_LARGEST: usize = 1_000;

/// Half a window, which stands before the first request: what is regular begins in the middle of
/// a window, and a little lateness moves nothing into another one.
const HALF_A_WINDOW_NS: u64 = WINDOW_NS / 2;

/// What is later than this is left out, in nanoseconds.
const END_NS: u64 = MAX_MINUTES as u64 * MINUTE_NS;

/// A profile under construction.
#[derive(Debug)]
pub struct Profiler {
    profile: Profile,
    routes: Routes,
    /// The smallest of the largest bodies comes first.
    largest: BinaryHeap<Reverse<Largest>>,
    connections: Vec<Connection>,
    /// Requests in flight more or less, by window.
    flights: Vec<i32>,
    sessions: HashMap<u64, Session, FixedState>,
    /// Sessions whose hash is at most this are followed.
    threshold: u64,
    first_ns: Option<u64>,
    latest_ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    requests: u32,
    /// End of the answer before, in nanoseconds; 0 where it is not known.
    ended_ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Session {
    requests: u64,
    /// End of the answer before, in nanoseconds; `None` where it is not known.
    ended_ns: Option<u64>,
}

impl Default for Profiler {
    fn default() -> Self {
        let routes = Routes::default();
        let (mix, route_bytes) = Routes::default().finish(&Names::default());
        let profile = Profile {
            shape: Shape::new(),
            minutes: Minutes::default(),
            opens_by_minute: Minutes::default(),
            halves: [BTreeMap::new(), BTreeMap::new()],
            mix,
            length: Duration::ZERO,
            gaps: times(),
            stretches: Stretches::default(),
            response_bytes: sizes(),
            bytes: [0; 2],
            route_bytes,
            largest: Vec::new(),
            reuse: sizes(),
            idle: times(),
            answers: 0,
            waited_ns: 0,
            most_in_flight: 0,
            dependent: [0; 2],
            keys: Keys::default(),
            cluster: None,
            sessions: [0; 2],
            not_followed: 0,
            beyond: 0,
            gap_moments: Moments::default(),
        };
        Self {
            profile,
            routes,
            largest: BinaryHeap::new(),
            connections: Vec::new(),
            flights: Vec::new(),
            sessions: HashMap::default(),
            threshold: u64::MAX,
            first_ns: None,
            latest_ns: 0,
        }
    }
}

impl Profiler {
    /// Takes the next request in the order of time. One that is earlier than the one before counts
    /// as being at its moment.
    #[inline]
    pub fn add(&mut self, seen: &Sight) {
        let is_first = self.first_ns.is_none();
        let first_ns = *self.first_ns.get_or_insert(seen.at_ns);
        let at_ns = seen.at_ns.saturating_sub(first_ns).max(self.latest_ns);
        let profile = &mut self.profile;
        if at_ns >= END_NS {
            profile.beyond += 1;
            return;
        }
        if !is_first {
            profile.add_gap(at_ns - self.latest_ns);
        }
        self.latest_ns = at_ns;
        profile.shape.total += 1;
        if window(at_ns) < MAX_WINDOWS {
            let window = window(at_ns + HALF_A_WINDOW_NS).min(MAX_WINDOWS - 1);
            bump(&mut profile.shape.counts, window, 1);
        }
        if seen.request_bytes > 0 {
            profile.bytes[0] = profile.bytes[0].saturating_add(seen.request_bytes);
            let bytes = seen.request_bytes.min(MAX_SIZE);
            profile.shape.request_bytes.saturating_record(bytes);
            let least = self.largest.peek().map_or(0, |Reverse(least)| least.bytes);
            if seen.request_bytes > least || self.largest.len() < MAX_LARGEST {
                let (bytes, session) = (seen.request_bytes, seen.session);
                self.largest.push(Reverse(Largest { bytes, session }));
                if self.largest.len() > MAX_LARGEST {
                    self.largest.pop();
                }
            }
        }
        if let Some(bytes) = seen.response_bytes {
            profile.response_bytes.saturating_record(bytes.min(MAX_SIZE));
            profile.bytes[1] = profile.bytes[1].saturating_add(bytes);
        }
        let session = spread(seen.session);
        let of = u32::try_from(session >> 32).unwrap_or(u32::MAX);
        profile.keys.add(seen.key, seen.is_read, at_ns, of);
        profile.minutes.add(at_ns, half_of(session));
        self.routes.add(seen.class, half_of(session), seen.request_bytes);
        let ended_ns = seen.took_ns.map(|took_ns| at_ns.saturating_add(took_ns));
        if session <= self.threshold {
            self.follow_session(session, at_ns, ended_ns);
        }
        if let Some(ended_ns) = ended_ns {
            self.fly(at_ns, ended_ns);
        }
        self.follow_connection(seen, at_ns, ended_ns);
    }

    fn follow_session(&mut self, session: u64, at_ns: u64, ended_ns: Option<u64>) {
        let followed = self.sessions.entry(session).or_default();
        followed.requests += 1;
        if let Some(before_ns) = std::mem::replace(&mut followed.ended_ns, ended_ns) {
            let [after, all] = &mut self.profile.dependent;
            *all += 1;
            *after += u64::from(before_ns <= at_ns);
        }
        while self.sessions.len() > MAX_SESSIONS {
            self.threshold /= 2;
            self.sessions.retain(|session, _| *session <= self.threshold);
        }
    }

    fn fly(&mut self, at_ns: u64, ended_ns: u64) {
        self.profile.answers += 1;
        self.profile.waited_ns = self.profile.waited_ns.saturating_add(ended_ns - at_ns);
        let (begins, last) = (window(at_ns), window(ended_ns).saturating_add(1).min(MAX_WINDOWS));
        if begins < last {
            if self.flights.len() <= last {
                self.flights.resize(last + 1, 0);
            }
            self.flights[begins] += 1;
            self.flights[last] -= 1;
        }
    }

    fn follow_connection(&mut self, seen: &Sight, at_ns: u64, ended_ns: Option<u64>) {
        let number =
            usize::try_from(seen.connection).ok().filter(|&number| number < MAX_CONNECTIONS);
        let Some(number) = number else {
            self.profile.not_followed += 1;
            return;
        };
        if self.connections.len() <= number {
            self.connections.resize(number + 1, Connection::default());
        }
        let connection = &mut self.connections[number];
        if connection.requests == 0 {
            self.profile.opens_by_minute.add(at_ns, half_of(spread(seen.session)));
            if window(at_ns) < MAX_WINDOWS {
                bump(&mut self.profile.shape.opens, window(at_ns) / 100, 1);
            }
        } else if connection.ended_ns > 0 && connection.ended_ns <= at_ns {
            record_time(&mut self.profile.idle, at_ns - connection.ended_ns);
        }
        connection.requests = connection.requests.saturating_add(1);
        connection.ended_ns = ended_ns.unwrap_or(0);
    }

    /// The profile, with the names of what was met.
    pub fn finish(mut self, names: &Names) -> Profile {
        let mut profile = self.profile;
        let (mix, route_bytes) = self.routes.finish(names);
        profile.set_mix(mix);
        profile.route_bytes = route_bytes;
        profile.largest = self.largest.into_iter().map(|Reverse(body)| body).collect();
        profile.largest.sort_unstable_by(|a, b| b.cmp(a));
        profile.length = Duration::from_nanos(self.latest_ns);
        let empty = profile.shape.total.saturating_sub(profile.shape.request_bytes.len());
        profile.shape.request_bytes.saturating_record_n(0, empty);
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
        let mut sizes: Vec<u64> = self.sessions.drain().map(|(_, it)| it.requests).collect();
        sizes.sort_unstable();
        let (sum, squares) = sizes.iter().fold((0.0, 0.0), |(sum, squares), &size| {
            (sum + as_f64(size), squares + as_f64(size) * as_f64(size))
        });
        profile.cluster = (sum > 0.0).then(|| squares / sum);
        profile
    }
}

/// The window of 10 ms of a moment.
fn window(at_ns: u64) -> usize {
    usize::try_from(at_ns / WINDOW_NS).unwrap_or(usize::MAX)
}

/// Which half of the load a session is in.
fn half_of(session: u64) -> usize {
    usize::from(session % 2 == 1)
}

impl Profile {
    fn add_gap(&mut self, gap_ns: u64) {
        record_time(&mut self.gaps, gap_ns);
        self.stretches.add(gap_ns);
        let moments = &mut self.gap_moments;
        moments.count += 1;
        moments.sum += gap_ns;
        moments.squares += u128::from(gap_ns) * u128::from(gap_ns);
    }
}

#[cfg(test)]
mod tests;
