//! What a cold start will do to the origin, by the recorded keys alone and before a packet is sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::bytes::fnv1a;
use crate::plan::{Arrival, Touch};
use crate::scenario::acts::cold::{CacheSize, ColdOptions};
use crate::stats::counts::as_f64;
use crate::stats::lru::{Lru, miss_curve};
use crate::stats::steady::quantile_of;

/// Reads of a plan, in its order.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    kept: Vec<Read>,
    routes: Vec<Arc<str>>,
    route_of: HashMap<Arc<str>, u32>,
    /// What production took for reads, in seconds, as far as it is recorded.
    recorded_seconds: Vec<f64>,
    /// Reads beyond [`MAX_READS`], which are not looked at.
    pub beyond: u64,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    due_ns: u64,
    key: u64,
    route: u32,
}

/// Reads that are kept: 200 MB. An hour of 2 000 reads a second fits.
pub const MAX_READS: usize = 8_000_000;

/// Recorded times that are kept for their median.
const MAX_TIMES: usize = 100_000;

impl Reads {
    /// Takes an arrival into account if it is a GET or a HEAD: others go past caches.
    pub fn add(&mut self, arrival: &Arrival) {
        if !matches!(&*arrival.method, "GET" | "HEAD") {
            return;
        }
        if self.kept.len() >= MAX_READS {
            self.beyond += 1;
            return;
        }
        if let Some(latency) = arrival.recorded.latency.filter(|_| arrival.touch == Touch::First)
            && self.recorded_seconds.len() < MAX_TIMES
        {
            self.recorded_seconds.push(latency.as_secs_f64());
        }
        let next = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        let route = *self.route_of.entry(Arc::clone(&arrival.route)).or_insert(next);
        if route == next {
            self.routes.push(Arc::clone(&arrival.route));
        }
        let due_ns = u64::try_from(arrival.due.as_nanos()).unwrap_or(u64::MAX);
        self.kept.push(Read { due_ns, key: key_of(&arrival.head), route });
    }
}

/// What a read is cached by: its target, whatever its method and headers (FNV-1a).
fn key_of(head: &[u8]) -> u64 {
    let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    fnv1a(target.iter().copied())
}

/// What is to be expected of a cold start.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Forecast {
    /// Reads that were looked at.
    pub reads: u64,
    /// Reads that were not, because there are too many.
    pub beyond: u64,
    /// Distinct keys among them.
    pub keys: u64,
    /// The cache that was assumed: keys kept, where there is a bound.
    pub cache_keys: Option<u64>,
    /// Length of a bin in nanoseconds.
    pub bin_ns: u64,
    /// Reads and misses, bin by bin.
    pub bins: Vec<ForecastBin>,
    /// Reads of the origin on cold caches ...
    pub cold_reads: f64,
    /// ... and when the same load comes again.
    pub warm_reads: f64,
    /// Most reads of the origin per second in a bin, cold.
    pub peak_cold: f64,
    /// The same, warm.
    pub peak_warm: f64,
    /// Most times that a bin reads more when cold; a warm bin counts as one read at least.
    pub peak_amplification: f64,
    /// Keys asked for so often that further requests come while the first one is still read.
    pub stampede_keys: u64,
    /// Their routes, those with most such keys first, and how many.
    pub stampede_routes: Vec<(String, u64)>,
    /// The time that a miss is taken to last, in seconds.
    pub miss_seconds: f64,
    /// Miss ratios of LRU caches by their number of keys, exact, of the load from empty caches.
    pub curve: Vec<(u64, f64)>,
    /// Reads per second that the origin stands, as the scenario says.
    pub capacity: Option<f64>,
    /// Seconds of the cold start in which the origin is asked for more than that.
    pub seconds_above: f64,
    /// How to admit users so that the origin stands it; empty without a capacity.
    pub ramp: Vec<RampStep>,
}

/// One bin of a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ForecastBin {
    /// Reads asked for.
    pub reads: u64,
    /// Misses of the cold cache.
    pub cold: u64,
    /// Misses of the cache that has served the load before.
    pub warm: u64,
}

/// From a moment on, a share of the users may come.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RampStep {
    /// Seconds since the cold start.
    pub at_seconds: f64,
    /// Share of the full rate, at most 1.
    pub share: f64,
    /// Reads admitted per second.
    pub reads_per_second: f64,
}

/// Bins of a forecast at most; longer runs have longer bins.
const MAX_BINS: usize = 600;

/// Routes that are named.
const MAX_ROUTES: usize = 5;

/// How long a miss lasts where nothing is recorded.
const ASSUMED_MISS: f64 = 0.05;

/// Forecasts a cold start of these reads, and the same load once more on what it left.
pub fn forecast(reads: &Reads, options: &ColdOptions) -> Forecast {
    let last_ns = reads.kept.last().map_or(0, |read| read.due_ns);
    let seconds = last_ns / 1_000_000_000 + 1;
    let bin_seconds = options.bins.map_or(1, |bins| bins.as_secs()).max(1);
    let bin_seconds = bin_seconds.max(seconds.div_ceil(MAX_BINS as u64));
    let bin_ns = bin_seconds * 1_000_000_000;
    let bins = simulate(&reads.kept, options.cache, bin_ns, last_ns);
    let per_miss = options.reads_per_miss;
    let rate = |misses: u64| as_f64(misses) * per_miss / as_f64(bin_seconds);
    let keys: Vec<u64> = reads.kept.iter().map(|read| read.key).collect();
    let curve = miss_curve(&keys);
    let miss_seconds = quantile_of(&reads.recorded_seconds, 0.5)
        .filter(|time| *time > 0.0)
        .unwrap_or(ASSUMED_MISS);
    let (stampede_keys, stampede_routes) = stampedes(reads, seconds, miss_seconds);
    let most = |of: &dyn Fn(&ForecastBin) -> f64| bins.iter().map(of).fold(0.0, f64::max);
    let total = |of: &dyn Fn(&ForecastBin) -> u64| as_f64(bins.iter().map(of).sum()) * per_miss;
    Forecast {
        reads: curve.references,
        beyond: reads.beyond,
        keys: curve.compulsory,
        cache_keys: options.cache.keys.map(|keys| keys as u64),
        bin_ns,
        cold_reads: total(&|bin| bin.cold),
        warm_reads: total(&|bin| bin.warm),
        peak_cold: most(&|bin| rate(bin.cold)),
        peak_warm: most(&|bin| rate(bin.warm)),
        peak_amplification: most(&|bin| as_f64(bin.cold) / as_f64(bin.warm.max(1))),
        stampede_keys,
        stampede_routes,
        miss_seconds,
        curve: sizes(curve.compulsory)
            .filter_map(|size| {
                let ratio = curve.miss_ratio(usize::try_from(size).ok()?)?;
                Some((size, ratio))
            })
            .collect(),
        capacity: options.origin_capacity,
        seconds_above: options.origin_capacity.map_or(0.0, |capacity| {
            let above = bins.iter().filter(|bin| rate(bin.cold) > capacity).count();
            as_f64(above as u64 * bin_seconds)
        }),
        ramp: options.origin_capacity.map_or_else(Vec::new, |capacity| {
            ramp(&bins, as_f64(bin_seconds), capacity / per_miss)
        }),
        bins,
    }
}

/// The load twice through one cache that starts empty; the second time follows at once.
fn simulate(reads: &[Read], size: CacheSize, bin_ns: u64, last_ns: u64) -> Vec<ForecastBin> {
    let mut cache = Lru::new(size.keys, size.ttl);
    let bin_of = |read: &Read| usize::try_from(read.due_ns / bin_ns).unwrap_or(usize::MAX);
    let mut bins = vec![ForecastBin::default(); reads.last().map_or(0, bin_of) + 1];
    for read in reads {
        let bin = &mut bins[bin_of(read)];
        bin.reads += 1;
        bin.cold += u64::from(!cache.touch(read.key, Duration::from_nanos(read.due_ns)));
    }
    for read in reads {
        let now = Duration::from_nanos(last_ns.saturating_add(read.due_ns));
        bins[bin_of(read)].warm += u64::from(!cache.touch(read.key, now));
    }
    bins
}

/// Powers of two up to the number of keys, and that number.
fn sizes(keys: u64) -> impl Iterator<Item = u64> {
    (0..63).map(|power| 1_u64 << power).take_while(move |size| *size < keys).chain([keys])
}

/// Keys that are asked for more than once, on average, while they are read: `λ × time > 1`, the
/// request that misses first counted in. Their number, and those of their routes.
fn stampedes(reads: &Reads, seconds: u64, miss_seconds: f64) -> (u64, Vec<(String, u64)>) {
    let mut counts: HashMap<u64, (u64, u32)> = HashMap::new();
    for read in &reads.kept {
        counts.entry(read.key).or_insert((0, read.route)).0 += 1;
    }
    let mut routes: BTreeMap<u32, u64> = BTreeMap::new();
    let prone = |count: u64| as_f64(count) / as_f64(seconds) * miss_seconds > 1.0;
    let mut prone_routes: Vec<u32> =
        counts.into_values().filter(|(count, _)| prone(*count)).map(|(_, route)| route).collect();
    prone_routes.sort_unstable();
    for route in &prone_routes {
        *routes.entry(*route).or_default() += 1;
    }
    let mut named: Vec<(String, u64)> = routes
        .into_iter()
        .filter_map(|(route, keys)| {
            Some((reads.routes.get(usize::try_from(route).ok()?)?.to_string(), keys))
        })
        .collect();
    named.sort_by_key(|(_, keys)| std::cmp::Reverse(*keys));
    named.truncate(MAX_ROUTES);
    (prone_routes.len() as u64, named)
}

/// Admits reads so that their misses stay within what the origin stands: `dN/dt = C / m(N)`, at
/// most the full rate. Ends where the full rate holds for good.
fn ramp(bins: &[ForecastBin], bin_seconds: f64, misses_per_second: f64) -> Vec<RampStep> {
    let reads: u64 = bins.iter().map(|bin| bin.reads).sum();
    let full = as_f64(reads) / (as_f64(bins.len() as u64) * bin_seconds);
    let (mut at, mut steps) = (0.0, Vec::<RampStep>::new());
    for bin in bins.iter().filter(|bin| bin.reads > 0) {
        let missed = as_f64(bin.cold) / as_f64(bin.reads);
        let rate = full.min(misses_per_second / missed.max(1e-12));
        steps.push(RampStep { at_seconds: at, share: rate / full, reads_per_second: rate });
        at += as_f64(bin.reads) / rate;
    }
    let full_from = steps.iter().rposition(|step| step.share < 1.0).map_or(0, |last| last + 1);
    steps.truncate(full_from + 1);
    thinned(&steps)
}

/// Steps of a ramp at most.
const MAX_STEPS: usize = 200;

/// Of neighbours the smallest share, so that a shorter ramp admits no more anywhere.
fn thinned(steps: &[RampStep]) -> Vec<RampStep> {
    let group = steps.len().div_ceil(MAX_STEPS).max(1);
    let slowest = |steps: &[RampStep]| {
        let least = steps.iter().min_by(|a, b| a.share.total_cmp(&b.share)).copied();
        least.map(|least| RampStep { at_seconds: steps[0].at_seconds, ..least })
    };
    steps.chunks(group).filter_map(slowest).collect()
}

/// The ramp as comma-separated values, for whatever lets users in.
pub fn ramp_csv(ramp: &[RampStep]) -> String {
    let row = |step: &RampStep| {
        format!("{:.3},{:.6},{:.3}\n", step.at_seconds, step.share, step.reads_per_second)
    };
    let rows: String = ramp.iter().map(row).collect();
    format!("at_seconds,share_of_users,reads_per_second\n{rows}")
}

impl Forecast {
    /// When the ramp lets everybody in; `None` without a ramp.
    pub fn full_after(&self) -> Option<Duration> {
        let last = self.ramp.last()?;
        Duration::try_from_secs_f64(last.at_seconds).ok()
    }

    /// Whether a rehearsal is worth a warning before it begins.
    pub fn is_too_much(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.peak_cold > capacity)
    }
}
