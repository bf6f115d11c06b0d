//! What is in a recording: a fold over its exchanges in the order of time, in bounded memory.

pub mod series;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::bytes::short_name;
use crate::recording::{Exchange, Flags};
use crate::shape::contents::series::{Burstiness, Busiest, Plateau, Series};
use crate::stats::counts::as_f64;
use crate::stats::histograms::{MAX_SIZE, nanoseconds, record_time, sizes, times};

/// Routes kept apart, by names of a kilobyte at most; further ones are counted together.
pub const MAX_ROUTES: usize = 10_000;

/// Connections, sessions and requests in flight followed, each: some hundred megabytes at most.
/// What is beyond is counted as not followed.
pub const MAX_FOLLOWED: usize = 1 << 20;

/// The name of routes beyond [`MAX_ROUTES`].
const OTHER: &str = "(other)";

/// The fold.
#[derive(Debug)]
pub struct Contents {
    /// Requests over time.
    pub series: Series,
    /// Requests by route, each with its method.
    pub routes: BTreeMap<String, u64>,
    /// Requests by status; `none` without a response, `ok` or `error` for replies without a status.
    pub statuses: BTreeMap<String, u64>,
    /// Requests by protocol.
    pub protocols: BTreeMap<String, u64>,
    requests: Histogram<u64>,
    responses: Histogram<u64>,
    request_bytes: u64,
    response_bytes: u64,
    largest_body: u64,
    first_byte: Histogram<u64>,
    last_byte: Histogram<u64>,
    connections: BTreeMap<u64, Connection>,
    sessions: BTreeSet<u64>,
    ends: BinaryHeap<Reverse<Duration>>,
    answers: u64,
    answers_timed: u64,
    most_in_flight: u64,
    not_followed: u64,
    last_at: Option<Duration>,
    gaps: Gaps,
}

#[derive(Debug)]
struct Connection {
    first: Duration,
    last: Duration,
    requests: u64,
}

/// Mean and squared deviations of the gaps between requests (Welford).
#[derive(Debug, Default)]
struct Gaps {
    count: u64,
    mean: f64,
    squares: f64,
}

/// Sizes in bytes, or times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: u64,
    /// Half of them are at most this.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// What the fold comes to. Every number has its unit in its name.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Facts {
    /// Requests by protocol.
    pub protocols: BTreeMap<String, u64>,
    /// Requests by status; `none` without a response, `ok` or `error` for replies without a status.
    pub statuses: BTreeMap<String, u64>,
    /// Requests by method and route.
    pub routes: BTreeMap<String, u64>,
    /// Requests a second, over all of the recording.
    pub mean_per_second: f64,
    /// The busiest windows.
    pub busiest: Vec<Busiest>,
    /// Dispersion by scale.
    pub burstiness: Vec<Burstiness>,
    /// Squared coefficient of variation of the gaps between requests: 1 for a Poisson process.
    pub gaps_scv: Option<f64>,
    /// The ceiling that the rate sits at, if it does.
    pub plateau: Option<Plateau>,
    /// Bytes of all requests, heads and bodies.
    pub request_bytes: u64,
    /// Bytes of all responses' bodies.
    pub response_bytes: u64,
    /// Bytes of the largest body of a request.
    pub largest_request_body_bytes: u64,
    /// Sizes of requests, heads and bodies.
    pub request_sizes_bytes: Option<Spread>,
    /// Sizes of responses' bodies.
    pub response_sizes_bytes: Option<Spread>,
    /// Share of the requests' bytes that is in the largest hundredth of them.
    pub request_bytes_top_share: Option<f64>,
    /// The same of responses' bodies.
    pub response_bytes_top_share: Option<f64>,
    /// Recorded time to the first byte of the response.
    pub first_byte_ns: Option<Spread>,
    /// Recorded time to its last byte.
    pub last_byte_ns: Option<Spread>,
    /// Sessions.
    pub sessions: u64,
    /// Requests on a connection.
    pub requests_per_connection: Option<Spread>,
    /// Answers.
    pub answers: u64,
    /// Answers of which it is known how long they took. Where these are not all, the next three are
    /// the least that it can have been; where there is none, nothing is known of them.
    pub answers_timed: u64,
    /// Most requests that waited for their answer at once.
    pub most_in_flight: Option<u64>,
    /// The same on average.
    pub mean_in_flight: Option<f64>,
    /// Most connections at once that were between their first request and their last answer.
    pub most_open_connections: Option<u64>,
    /// Connections, sessions and requests in flight beyond [`MAX_FOLLOWED`].
    pub not_followed: u64,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            series: Series::default(),
            routes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            protocols: BTreeMap::new(),
            requests: sizes(),
            responses: sizes(),
            request_bytes: 0,
            response_bytes: 0,
            largest_body: 0,
            first_byte: times(),
            last_byte: times(),
            connections: BTreeMap::new(),
            sessions: BTreeSet::new(),
            ends: BinaryHeap::new(),
            answers: 0,
            answers_timed: 0,
            most_in_flight: 0,
            not_followed: 0,
            last_at: None,
            gaps: Gaps::default(),
        }
    }
}

impl Contents {
    /// Takes the next exchange in the order of time.
    pub fn add(&mut self, exchange: &Exchange) {
        self.series.add(exchange.at);
        if let Some(before) = self.last_at.replace(exchange.at) {
            self.gaps.add(exchange.at.saturating_sub(before).as_secs_f64());
        }
        let response = exchange.response.as_ref();
        let status = match response.map(|response| response.status) {
            None => "none".to_owned(),
            Some(0) if exchange.flags.contains(Flags::ERROR_REPLY) => "error".to_owned(),
            Some(0) if exchange.protocol.is_of_commands() => "ok".to_owned(),
            Some(status) => status.to_string(),
        };
        *self.statuses.entry(status).or_default() += 1;
        *self.protocols.entry(exchange.protocol.name().to_owned()).or_default() += 1;
        let route = format!("{} {}", exchange.method, exchange.route);
        let mut route = short_name(&route).into_owned();
        if self.routes.len() >= MAX_ROUTES && !self.routes.contains_key(&route) {
            OTHER.clone_into(&mut route);
        }
        *self.routes.entry(route).or_default() += 1;
        let size = (exchange.request_head.len() as u64).saturating_add(exchange.request_body_bytes);
        self.request_bytes = self.request_bytes.saturating_add(size);
        self.largest_body = self.largest_body.max(exchange.request_body_bytes);
        self.requests.saturating_record(size.min(MAX_SIZE));
        if let Some(bytes) = response.and_then(|response| response.body_bytes) {
            self.response_bytes = self.response_bytes.saturating_add(bytes);
            self.responses.saturating_record(bytes.min(MAX_SIZE));
        }
        let first_byte = response.and_then(|response| response.first_byte);
        let last_byte = response.and_then(|response| response.last_byte);
        if let Some(first_byte) = first_byte {
            record_time(&mut self.first_byte, nanoseconds(first_byte));
        }
        if let Some(last_byte) = last_byte {
            record_time(&mut self.last_byte, nanoseconds(last_byte));
        }
        let took = last_byte.or(first_byte);
        self.answers += u64::from(response.is_some());
        self.answers_timed += u64::from(took.is_some());
        let end = exchange.at.saturating_add(took.unwrap_or_default());
        self.follow(exchange, end);
    }

    fn follow(&mut self, exchange: &Exchange, end: Duration) {
        while self.ends.peek().is_some_and(|Reverse(earliest)| *earliest <= exchange.at) {
            self.ends.pop();
        }
        if end > exchange.at && self.ends.len() < MAX_FOLLOWED {
            self.ends.push(Reverse(end));
        }
        self.most_in_flight = self.most_in_flight.max(self.ends.len() as u64);
        if self.sessions.len() < MAX_FOLLOWED {
            self.sessions.insert(exchange.session);
        } else {
            self.not_followed += u64::from(!self.sessions.contains(&exchange.session));
        }
        let is_full = self.connections.len() >= MAX_FOLLOWED;
        match self.connections.get_mut(&exchange.connection) {
            Some(connection) => {
                connection.last = connection.last.max(end);
                connection.requests += 1;
            }
            None if is_full => self.not_followed += 1,
            None => {
                let connection = Connection { first: exchange.at, last: end, requests: 1 };
                self.connections.insert(exchange.connection, connection);
            }
        }
    }

    /// What it came to, in a recording of this length whose clock has these steps.
    pub fn facts(&self, length: Duration, clock_step: Duration) -> Facts {
        let seconds = length.as_secs_f64();
        let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let waited = self.last_byte.mean() * as_f64(self.last_byte.len()) / 1e9;
        let is_timed = self.answers_timed > 0;
        let mut reuse = sizes();
        for connection in self.connections.values() {
            reuse.saturating_record(connection.requests);
        }
        Facts {
            protocols: self.protocols.clone(),
            statuses: self.statuses.clone(),
            routes: self.routes.clone(),
            mean_per_second: per_second(as_f64(self.requests.len())),
            busiest: self.series.busiest(length),
            burstiness: self.series.burstiness(length, clock_step),
            gaps_scv: self.gaps.scv(),
            plateau: self.series.plateau(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            largest_request_body_bytes: self.largest_body,
            request_sizes_bytes: spread(&self.requests),
            response_sizes_bytes: spread(&self.responses),
            request_bytes_top_share: top_share(&self.requests),
            response_bytes_top_share: top_share(&self.responses),
            first_byte_ns: spread(&self.first_byte),
            last_byte_ns: spread(&self.last_byte),
            sessions: self.sessions.len() as u64,
            requests_per_connection: spread(&reuse),
            answers: self.answers,
            answers_timed: self.answers_timed,
            most_in_flight: is_timed.then_some(self.most_in_flight),
            mean_in_flight: is_timed.then(|| per_second(waited)),
            most_open_connections: is_timed.then(|| self.most_open()),
            not_followed: self.not_followed,
        }
    }

    /// Connections that were open at once: at one moment, what ends is gone before what begins.
    fn most_open(&self) -> u64 {
        let begin = self.connections.values().map(|connection| (connection.first, true));
        let end = self.connections.values().map(|connection| (connection.last, false));
        let mut moments: Vec<(Duration, bool)> = begin.chain(end).collect();
        moments.sort_unstable();
        let (mut open, mut most) = (0_i64, 0);
        for (_, begins) in moments {
            open += if begins { 1 } else { -1 };
            most = most.max(open);
        }
        // One whose only request was not answered begins and ends at one moment.
        let least = i64::from(!self.connections.is_empty());
        u64::try_from(most.max(least)).unwrap_or(0)
    }
}

impl Gaps {
    fn add(&mut self, gap: f64) {
        self.count += 1;
        let distance = gap - self.mean;
        self.mean += distance / as_f64(self.count);
        self.squares += distance * (gap - self.mean);
    }

    fn scv(&self) -> Option<f64> {
        (self.count >= 2 && self.mean > 0.0)
            .then(|| self.squares / as_f64(self.count) / (self.mean * self.mean))
    }
}

fn spread(histogram: &Histogram<u64>) -> Option<Spread> {
    let at = |q: f64| histogram.value_at_quantile(q).min(histogram.max());
    let (count, max) = (histogram.len(), histogram.max());
    (count > 0).then(|| Spread { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max })
}

/// The share of all bytes that is in the largest hundredth of what was measured, at least one.
fn top_share(histogram: &Histogram<u64>) -> Option<f64> {
    let buckets: Vec<(u64, u64)> = histogram
        .iter_recorded()
        .map(|bucket| (bucket.value_iterated_to(), bucket.count_since_last_iteration()))
        .collect();
    let all: f64 = buckets.iter().map(|(value, count)| as_f64(*value) * as_f64(*count)).sum();
    let (mut left, mut top) = (histogram.len().div_ceil(100), 0.0);
    for (value, count) in buckets.iter().rev() {
        let taken = left.min(*count);
        top += as_f64(*value) * as_f64(taken);
        left -= taken;
    }
    (all > 0.0).then(|| top / all)
}

#[cfg(test)]
mod tests;
