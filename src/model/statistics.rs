//! What a recording and what is drawn are compared by: a fold over requests in the order of time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use hdrhistogram::Histogram;

use crate::bytes::fnv1a;
use crate::model::draw::Drawn;
use crate::model::routes::Table;
use crate::recording::Exchange;
use crate::recording::file::rows::target_hash;
use crate::stats::counts::{as_f64, as_index, coarsen, quantile};
use crate::stats::dispersion::index_of_dispersion;
use crate::stats::histograms::{MAX_SIZE, sizes};
use crate::stats::lru::miss_curve;
use crate::stats::zipf::exponent;

/// One request as the comparison sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Nanoseconds since the beginning.
    pub at_ns: u64,
    /// Its session.
    pub session: u64,
    /// Its connection.
    pub connection: u64,
    /// The number of its route.
    pub route: usize,
    /// What it asked for.
    pub key: u64,
    /// Bytes of head and body.
    pub request: u64,
    /// Bytes of the response's body.
    pub answer: Option<u64>,
    /// Nanoseconds until its answer was there.
    pub took_ns: u64,
}

impl Point {
    /// A recorded exchange.
    pub fn recorded(exchange: &Exchange, table: &Table) -> Self {
        let response = exchange.response.as_ref();
        let took = response.and_then(|it| it.last_byte.or(it.first_byte)).unwrap_or_default();
        let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let head = exchange.request_head.len() as u64;
        Self {
            at_ns: nanos(exchange.at),
            session: exchange.session,
            connection: exchange.connection,
            route: table.number(&exchange.method, &exchange.route),
            key: target_hash(&exchange.authority, &exchange.target),
            request: head.saturating_add(exchange.request_body_bytes),
            answer: response.and_then(|response| response.body_bytes),
            took_ns: nanos(took),
        }
    }

    /// A request that was drawn.
    pub fn drawn(drawn: &Drawn) -> Self {
        let key = drawn.key.unwrap_or(0).to_le_bytes();
        let route = (drawn.route as u64).to_le_bytes();
        let took = drawn.answer.and_then(|answer| answer.last_ns.or(answer.first_ns));
        Self {
            at_ns: drawn.at_ns,
            session: drawn.session,
            connection: drawn.connection,
            route: drawn.route,
            key: fnv1a(route.into_iter().chain(key)),
            request: drawn.head.saturating_add(drawn.body),
            answer: drawn.answer.map(|answer| answer.bytes),
            took_ns: took.unwrap_or(0),
        }
    }
}

/// Bins of 10 ms that are kept: nearly three hours. What is later is counted in seconds only.
const MAX_BINS: usize = 1 << 20;

/// Seconds that are kept.
const MAX_SECONDS: usize = 1 << 20;

/// References whose repetition is looked at.
const MAX_REFERENCES: usize = 100_000;

/// Sessions, connections, keys and requests in flight that are followed, each.
const MAX_FOLLOWED: usize = 1 << 20;

/// Caches, as shares of the keys that a recording has among those references.
pub const CACHES: [f64; 5] = [0.01, 0.05, 0.1, 0.25, 0.5];

/// The fold.
#[derive(Debug)]
pub struct Tally {
    bins: Vec<u32>,
    /// Requests by second.
    pub seconds: Vec<u32>,
    /// Requests by route.
    pub mix: BTreeMap<usize, u64>,
    sessions: HashMap<u64, u64>,
    connections: HashSet<u64>,
    keys: HashMap<u64, u64>,
    references: Vec<u64>,
    requests: Histogram<u64>,
    answers: Histogram<u64>,
    request_bytes: f64,
    answer_bytes: f64,
    ends: BinaryHeap<Reverse<u64>>,
    in_flight: usize,
    count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            bins: Vec::new(),
            seconds: Vec::new(),
            mix: BTreeMap::new(),
            sessions: HashMap::new(),
            connections: HashSet::new(),
            keys: HashMap::new(),
            references: Vec::new(),
            requests: sizes(),
            answers: sizes(),
            request_bytes: 0.0,
            answer_bytes: 0.0,
            ends: BinaryHeap::new(),
            in_flight: 0,
            count: 0,
        }
    }
}

/// What is looked at, by name; the order is that of tables.
pub type Values = Vec<(&'static str, f64)>;

impl Tally {
    /// Takes the next request.
    pub fn add(&mut self, point: &Point) {
        self.count += 1;
        raise(&mut self.bins, point.at_ns / 10_000_000, MAX_BINS);
        raise(&mut self.seconds, point.at_ns / 1_000_000_000, MAX_SECONDS);
        *self.mix.entry(point.route).or_default() += 1;
        for (counts, key) in [(&mut self.sessions, point.session), (&mut self.keys, point.key)] {
            if let Some(count) = counts.get_mut(&key) {
                *count += 1;
            } else if counts.len() < MAX_FOLLOWED {
                counts.insert(key, 1);
            }
        }
        if self.connections.len() < MAX_FOLLOWED {
            self.connections.insert(point.connection);
        }
        if self.references.len() < MAX_REFERENCES {
            self.references.push(point.key);
        }
        self.requests.saturating_record(point.request.min(MAX_SIZE));
        self.request_bytes += as_f64(point.request);
        if let Some(bytes) = point.answer {
            self.answers.saturating_record(bytes.min(MAX_SIZE));
            self.answer_bytes += as_f64(bytes);
        }
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= point.at_ns) {
            self.ends.pop();
        }
        if point.took_ns > 0 && self.ends.len() < MAX_FOLLOWED {
            self.ends.push(Reverse(point.at_ns.saturating_add(point.took_ns)));
        }
        self.in_flight = self.in_flight.max(self.ends.len());
    }

    /// Distinct keys among the references that are kept.
    pub fn distinct(&self) -> usize {
        self.references.iter().collect::<HashSet<_>>().len()
    }

    /// What it comes to, on a clock of a resolution in seconds. `keys` is by how many keys caches
    /// are told.
    pub fn values(&self, resolution: f64, keys: usize) -> Values {
        let mut values: Values = vec![
            ("requests", as_f64(self.count)),
            ("sessions", as_f64(self.sessions.len() as u64)),
        ];
        let windows = [
            ("IDC at 10 ms", 1, 0.01),
            ("IDC at 100 ms", 10, 0.1),
            ("IDC at 1 s", 100, 1.0),
            ("IDC at 10 s", 1_000, 10.0),
        ];
        for (name, factor, window) in windows {
            let counts = coarsen(&self.bins, factor);
            let is_told = window >= 10.0 * resolution && counts.len() >= 10;
            let value = index_of_dispersion(&counts, window).filter(|_| is_told);
            values.extend(value.map(|value| (name, value)));
        }
        if 1.0 >= 10.0 * resolution {
            values.extend(remembered(&self.seconds).map(|rho| ("memory of a second (ACF)", rho)));
            let most = self.seconds.iter().max().copied().unwrap_or(0);
            values.push(("busiest second", f64::from(most)));
        }
        if 0.01 >= 10.0 * resolution {
            values.extend(quantile(&self.bins, 0.9999).map(|most| ("busiest 10 ms", most)));
        }
        self.lengths(&mut values);
        for (names, histogram, bytes) in [
            (
                ["request p50", "request p99", "request p99.9", "request bytes"],
                &self.requests,
                self.request_bytes,
            ),
            (
                ["response p50", "response p99", "response p99.9", "response bytes"],
                &self.answers,
                self.answer_bytes,
            ),
        ] {
            let at = |share: f64| as_f64(histogram.value_at_quantile(share));
            let [median, large, larger, all] = names;
            values.extend([
                (median, at(0.5)),
                (large, at(0.99)),
                (larger, at(0.999)),
                (all, bytes),
            ]);
        }
        self.caches(keys, &mut values);
        values.push(("in flight at most", as_f64(self.in_flight as u64)));
        let connections = as_f64(self.connections.len() as u64);
        values.push(("connections", connections));
        values
    }

    fn lengths(&self, values: &mut Values) {
        let mut lengths: Vec<u32> =
            self.sessions.values().map(|count| u32::try_from(*count).unwrap_or(u32::MAX)).collect();
        lengths.sort_unstable();
        let names = ["session length p50", "session length p90", "session length p99"];
        for (name, share) in names.into_iter().zip([0.5, 0.9, 0.99]) {
            values.extend(quantile(&lengths, share).map(|length| (name, length)));
        }
    }

    fn caches(&self, keys: usize, values: &mut Values) {
        let curve = miss_curve(&self.references);
        let names = [
            "misses, cache of 1% of keys",
            "misses, cache of 5% of keys",
            "misses, cache of 10% of keys",
            "misses, cache of 25% of keys",
            "misses, cache of 50% of keys",
        ];
        for (name, share) in names.into_iter().zip(CACHES) {
            let size = as_index(as_f64(keys as u64) * share).max(1);
            values.extend(curve.miss_ratio(size).map(|ratio| (name, ratio)));
        }
        let mut counts: Vec<u64> = self.keys.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        values.extend(exponent(&counts).map(|s| ("popularity of keys (Zipf)", s)));
    }
}

fn raise(counts: &mut Vec<u32>, index: u64, most: usize) {
    let Some(index) = usize::try_from(index).ok().filter(|index| *index < most) else { return };
    if counts.len() <= index {
        counts.resize(index + 1, 0);
    }
    counts[index] = counts[index].saturating_add(1);
}

/// The correlation of each second with the next.
fn remembered(seconds: &[u32]) -> Option<f64> {
    let count = as_f64(seconds.len() as u64);
    let mean = seconds.iter().map(|count| f64::from(*count)).sum::<f64>() / count;
    let apart = |count: &u32| f64::from(*count) - mean;
    let all: f64 = seconds.iter().map(|count| apart(count).powi(2)).sum();
    let pairs = seconds.iter().zip(seconds.iter().skip(1));
    let both: f64 = pairs.map(|(a, b)| apart(a) * apart(b)).sum();
    (seconds.len() > 10 && all > 0.0).then(|| both / all)
}
