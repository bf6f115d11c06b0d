//! What a recording and what is drawn are compared by: a fold over requests in the order of time.

pub mod names;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use hdrhistogram::Histogram;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;

use crate::bytes::fnv1a;
use crate::model::draw::Drawn;
use crate::model::routes::Table;
use crate::model::statistics::names::Statistic;
use crate::recording::Exchange;
use crate::recording::file::rows::target_hash;
use crate::stats::counts::{as_f64, as_index, coarsen, quantile};
use crate::stats::dispersion::{index_of_dispersion, wape_of_trend};
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
    visits: HashMap<u64, Visit>,
    /// Requests of visits that are over.
    lengths: Vec<u32>,
    connections: HashSet<u64>,
    keys: HashMap<u64, u64>,
    references: Vec<u64>,
    requests: Histogram<u64>,
    answers: Histogram<u64>,
    request_bytes: f64,
    answer_bytes: f64,
    in_flight: InFlight,
    /// Each request held for a time that has nothing to do with it: the peak of M/G/∞ servers, as
    /// arrivals alone make it.
    held: InFlight,
    random: ChaCha8Rng,
    count: u64,
}

/// Mean time for which the servers hold each request, in nanoseconds.
const HELD_NS: f64 = 1e9;

#[derive(Clone, Copy, Debug)]
struct Visit {
    requests: u32,
    last_ns: u64,
}

/// After so long a silence, what comes is another visit, as it is for a model (`observe`).
const TIMEOUT_NS: u64 = 1_800_000_000_000;

/// What is under way at once.
#[derive(Debug, Default)]
struct InFlight {
    ends: BinaryHeap<Reverse<u64>>,
    most: usize,
}

impl InFlight {
    fn add(&mut self, at_ns: u64, took_ns: u64) {
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= at_ns) {
            self.ends.pop();
        }
        if took_ns > 0 && self.ends.len() < MAX_FOLLOWED {
            self.ends.push(Reverse(at_ns.saturating_add(took_ns)));
        }
        self.most = self.most.max(self.ends.len());
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            bins: Vec::new(),
            seconds: Vec::new(),
            mix: BTreeMap::new(),
            visits: HashMap::new(),
            lengths: Vec::new(),
            connections: HashSet::new(),
            keys: HashMap::new(),
            references: Vec::new(),
            requests: sizes(),
            answers: sizes(),
            request_bytes: 0.0,
            answer_bytes: 0.0,
            in_flight: InFlight::default(),
            held: InFlight::default(),
            random: ChaCha8Rng::seed_from_u64(6),
            count: 0,
        }
    }
}

/// What is looked at, by name; the order is that of tables.
pub type Values = Vec<(Statistic, f64)>;

impl Tally {
    /// Takes the next request.
    pub fn add(&mut self, point: &Point) {
        self.count += 1;
        raise(&mut self.bins, point.at_ns / 10_000_000, MAX_BINS);
        raise(&mut self.seconds, point.at_ns / 1_000_000_000, MAX_SECONDS);
        *self.mix.entry(point.route).or_default() += 1;
        self.visit(point);
        if let Some(count) = self.keys.get_mut(&point.key) {
            *count += 1;
        } else if self.keys.len() < MAX_FOLLOWED {
            self.keys.insert(point.key, 1);
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
        self.in_flight.add(point.at_ns, point.took_ns);
        let exponential: f64 = self.random.sample(Exp1);
        self.held.add(point.at_ns, as_index(exponential * HELD_NS).max(1) as u64);
    }

    /// A session is a visit: after a long silence another one begins, as the model has it.
    fn visit(&mut self, point: &Point) {
        let has_room = self.visits.len() + self.lengths.len() < MAX_FOLLOWED;
        let Some(visit) = self.visits.get_mut(&point.session) else {
            if has_room {
                self.visits.insert(point.session, Visit { requests: 1, last_ns: point.at_ns });
            }
            return;
        };
        if point.at_ns.saturating_sub(visit.last_ns) > TIMEOUT_NS {
            if has_room {
                self.lengths.push(visit.requests);
            }
            visit.requests = 0;
        }
        visit.requests = visit.requests.saturating_add(1);
        visit.last_ns = point.at_ns;
    }

    /// Distinct keys among the references that are kept.
    pub fn distinct(&self) -> usize {
        self.references.iter().collect::<HashSet<_>>().len()
    }

    /// What it comes to, on a clock of a resolution in seconds. `keys` is by how many keys caches
    /// are told.
    pub fn values(&self, resolution: f64, keys: usize) -> Values {
        let mut values: Values = vec![
            (Statistic::Requests, as_f64(self.count)),
            (Statistic::Sessions, as_f64((self.visits.len() + self.lengths.len()) as u64)),
        ];
        self.bursts(resolution, &mut values);
        self.lengths(&mut values);
        for (statistics, histogram, bytes) in [
            (Statistic::REQUEST_SIZES, &self.requests, self.request_bytes),
            (Statistic::RESPONSE_SIZES, &self.answers, self.answer_bytes),
        ] {
            let at = |share: f64| as_f64(histogram.value_at_quantile(share));
            let sizes = [at(0.5), at(0.99), at(0.999), bytes];
            values.extend(statistics.into_iter().zip(sizes));
        }
        self.caches(keys, &mut values);
        values.push((Statistic::InFlight, as_f64(self.in_flight.most as u64)));
        values.push((Statistic::Held, as_f64(self.held.most as u64)));
        values.push((Statistic::Connections, as_f64(self.connections.len() as u64)));
        values
    }

    /// Nothing is told below ten steps of the clock.
    fn bursts(&self, resolution: f64, values: &mut Values) {
        let windows = [
            (Statistic::Dispersion10Ms, 1, 0.01),
            (Statistic::Dispersion100Ms, 10, 0.1),
            (Statistic::Dispersion1S, 100, 1.0),
            (Statistic::Dispersion10S, 1_000, 10.0),
        ];
        for (statistic, factor, window) in windows {
            let counts = coarsen(&self.bins, factor);
            let is_told = window >= 10.0 * resolution && counts.len() >= 10;
            let value = index_of_dispersion(&counts, window).filter(|_| is_told);
            values.extend(value.map(|value| (statistic, value)));
        }
        if 1.0 >= 10.0 * resolution {
            values.extend(remembered(&self.seconds).map(|rho| (Statistic::Memory, rho)));
            let counts = coarsen(&self.seconds, 1);
            values.extend(wape_of_trend(&counts, 1.0).map(|noise| (Statistic::Noise, noise)));
            let most = self.seconds.iter().max().copied().unwrap_or(0);
            values.push((Statistic::BusiestSecond, f64::from(most)));
        }
        if 0.01 >= 10.0 * resolution {
            let most = quantile(&self.bins, 0.9999);
            values.extend(most.map(|most| (Statistic::Busiest10Ms, most)));
        }
    }

    fn lengths(&self, values: &mut Values) {
        let mut lengths = self.lengths.clone();
        lengths.extend(self.visits.values().map(|visit| visit.requests));
        for (statistic, share) in Statistic::LENGTHS.into_iter().zip([0.5, 0.9, 0.99]) {
            values.extend(quantile(&lengths, share).map(|length| (statistic, length)));
        }
    }

    fn caches(&self, keys: usize, values: &mut Values) {
        let curve = miss_curve(&self.references);
        for (statistic, share) in Statistic::MISSES.into_iter().zip(CACHES) {
            let size = as_index(as_f64(keys as u64) * share).max(1);
            values.extend(curve.miss_ratio(size).map(|ratio| (statistic, ratio)));
        }
        let mut counts: Vec<u64> = self.keys.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        values.extend(exponent(&counts).map(|s| (Statistic::Popularity, s)));
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
