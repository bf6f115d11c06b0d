//! What a cold start will do to the origin behind a cache, by the recorded keys alone and before a
//! packet is sent.

pub mod ramp;
mod stampedes;
pub mod stretches;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shape::forecast::ramp::ramp;
use crate::shape::forecast::stampedes::{Prone, prone};
use crate::shape::reads::{Reads, SEEDS, Touch};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::lru::{Lru, MissCurve, miss_curve_of};
use crate::stats::shards::Shards;
use crate::stats::steady::quantile_of;
use crate::units::{format_duration, format_share};

/// What is assumed of the cache and of the origin behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumed {
    /// Keys kept; `None` keeps all.
    pub cache_keys: Option<usize>,
    /// How long a key is kept after it was read; `None` for good.
    pub ttl: Option<Duration>,
    /// Reads of the origin for each miss of the cache.
    pub reads_per_miss: f64,
    /// Reads per second that the origin stands, where it is known.
    pub capacity: Option<f64>,
    /// What a miss takes; the median of what production took for first reads where absent.
    pub miss_time: Option<Duration>,
    /// Length of a bin in whole seconds.
    pub bin: Duration,
}

impl Default for Assumed {
    fn default() -> Self {
        Self {
            cache_keys: None,
            ttl: None,
            reads_per_miss: 1.0,
            capacity: None,
            miss_time: None,
            bin: Duration::from_secs(1),
        }
    }
}

/// What is to be expected of a cold start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// Reads that a cache may answer.
    pub reads: u64,
    /// How many of them were not kept, because there are too many; what they add is estimated.
    pub beyond: u64,
    /// Distinct keys among them.
    pub keys: u64,
    /// Writes between them, each of which puts its key into the cache.
    #[serde(default)]
    pub writes: u64,
    /// The share of all keys that was kept: 1 where all of it is exact.
    #[serde(default = "one")]
    pub sampled: f64,
    /// Where keys were sampled: the largest distance between the miss ratios of three samples.
    #[serde(default)]
    pub curve_spread: Option<f64>,
    /// The cache that was assumed: keys kept, where there is a bound.
    pub cache_keys: Option<u64>,
    /// How long it keeps a key, in nanoseconds, where there is a bound.
    #[serde(default)]
    pub cache_ttl_ns: Option<u64>,
    /// Reads of the origin for each miss.
    #[serde(default = "one")]
    pub reads_per_miss: f64,
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
    /// Share of the reads that are the first of their key: no cache that begins empty hits them.
    #[serde(default)]
    pub first_share: f64,
    /// Hit ratios of an infinite cache that fills, by popularity alone and as it happens.
    #[serde(default)]
    pub filling: Vec<Filling>,
    /// Keys for whose reads further requests are expected while a miss is read: see
    /// [`Stampede::expected`]. Nothing is known of them where no answer says how long it took.
    pub stampede_keys: u64,
    /// Their routes, those with most such keys first, and how many.
    pub stampede_routes: Vec<(String, u64)>,
    /// The worst of them.
    #[serde(default)]
    pub stampedes: Vec<Stampede>,
    /// The time that a miss is taken to last, in seconds; `None` where it is not known.
    #[serde(default)]
    pub miss_seconds: Option<f64>,
    /// Miss ratios of LRU caches by their number of keys, of the load from empty caches.
    pub curve: Vec<(u64, f64)>,
    /// What it takes to hit nine of ten reads.
    #[serde(default)]
    pub nine_of_ten: NineOfTen,
    /// Reads per second that the origin stands, as it was said.
    pub capacity: Option<f64>,
    /// Seconds of the cold start in which the origin is asked for more than that.
    pub seconds_above: f64,
    /// How to admit users so that the origin stands it; empty without a capacity.
    pub ramp: Vec<RampStep>,
}

fn one() -> f64 {
    1.0
}

/// One bin of a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForecastBin {
    /// Reads asked for.
    pub reads: u64,
    /// Reads of keys that were never read before.
    #[serde(default)]
    pub first: u64,
    /// Misses of the cold cache.
    pub cold: u64,
    /// Misses of the cache that has served the load before.
    pub warm: u64,
}

/// How full an infinite cache is after some of the reads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Filling {
    /// Reads so far.
    pub reads: u64,
    /// Its hit ratio then, by popularity alone: `Σ p (1 − e^(−pN))`.
    pub by_popularity: f64,
    /// The hit ratio of the last tenth of these reads, as they come.
    pub as_recorded: f64,
}

/// A key that is asked for again while it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stampede {
    /// Method and route template.
    pub route: String,
    /// Eight digits of its hash, which tell it from others of its route: a target may hold secrets.
    pub key: String,
    /// Reads a second, on average.
    pub per_second: f64,
    /// Reads expected while the first miss is read, `rate × time of a miss`: those that come after
    /// it, which is not counted in. Without a lock each of them reads the origin, too.
    pub expected: f64,
}

/// LRU caches that hit nine of ten reads; `None` where none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NineOfTen {
    /// Keys of the smallest one that does while it starts empty, of those in the curve.
    pub from_empty: Option<u64>,
    /// Keys of one that is warm, by popularity alone (Che's approximation).
    pub when_warm: Option<u64>,
}

/// From a moment on, a share of the users may come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RampStep {
    /// Seconds since the cold start.
    pub at_seconds: f64,
    /// Share of the users, at most 1.
    pub share: f64,
    /// Reads admitted per second at most: that share of the busiest bin.
    pub reads_per_second: f64,
}

/// Bins of a forecast at most; longer loads have longer bins.
const MAX_BINS: usize = 600;

/// Forecasts a cold start of these reads, and the same load once more on what it left.
pub fn forecast(reads: &Reads, assumed: &Assumed) -> Forecast {
    let seconds = reads.seconds().len().max(1);
    let bin_seconds = usize::try_from(assumed.bin.as_secs()).unwrap_or(usize::MAX).max(1);
    let bin_seconds = bin_seconds.max(seconds.div_ceil(MAX_BINS));
    let length = as_f64(bin_seconds as u64);
    let bins = simulate(reads, assumed, bin_seconds);
    let per_miss = assumed.reads_per_miss;
    let rate = |misses: u64| as_f64(misses) * per_miss / length;
    let miss_seconds = assumed.miss_time.map(|time| time.as_secs_f64());
    let miss_seconds = miss_seconds.or_else(|| quantile_of(reads.first_seconds(), 0.5));
    let miss_seconds = miss_seconds.filter(|time| *time > 0.0);
    let Prone { keys, routes, worst } =
        miss_seconds.map_or_else(Prone::default, |time| prone(reads, time));
    let most = |of: &dyn Fn(&ForecastBin) -> f64| bins.iter().map(of).fold(0.0, f64::max);
    let total = |of: &dyn Fn(&ForecastBin) -> u64| as_f64(bins.iter().map(of).sum()) * per_miss;
    let (curve, curve_spread) = curve(reads);
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let capacity = assumed.capacity;
    Forecast {
        reads: reads.reads,
        beyond: reads.beyond(),
        keys: (as_index(reads.distinct().round()) as u64).min(reads.reads),
        writes: reads.writes,
        sampled: reads.rate(),
        curve_spread,
        cache_keys: assumed.cache_keys.map(|keys| keys as u64),
        cache_ttl_ns: assumed.ttl.map(nanos),
        reads_per_miss: per_miss,
        bin_ns: nanos(Duration::from_secs(bin_seconds as u64)),
        cold_reads: total(&|bin| bin.cold),
        warm_reads: total(&|bin| bin.warm),
        peak_cold: most(&|bin| rate(bin.cold)),
        peak_warm: most(&|bin| rate(bin.warm)),
        peak_amplification: most(&|bin| as_f64(bin.cold) / as_f64(bin.warm.max(1))),
        first_share: first_share(reads),
        filling: filling(reads),
        stampede_keys: keys,
        stampede_routes: routes,
        stampedes: worst,
        miss_seconds,
        nine_of_ten: NineOfTen {
            from_empty: curve.iter().find(|(_, ratio)| *ratio <= 0.1).map(|(size, _)| *size),
            when_warm: reads
                .popularity()
                .size_for(0.9)
                .map(|keys| as_index(keys.round().max(1.0)) as u64),
        },
        curve,
        capacity,
        seconds_above: capacity.map_or(0.0, |capacity| {
            let above = bins.iter().filter(|bin| rate(bin.cold) > capacity).count();
            as_f64(above as u64) * length
        }),
        ramp: capacity.map_or_else(Vec::new, |capacity| ramp(&bins, length, capacity / per_miss)),
        bins,
    }
}

/// The load twice through one cache that starts empty; the second time follows at once. Where keys
/// were sampled, the cache is as much smaller, and each miss stands for as many.
fn simulate(reads: &Reads, assumed: &Assumed, bin_seconds: usize) -> Vec<ForecastBin> {
    let rate = reads.rate();
    let size = assumed.cache_keys.map(|keys| {
        let of_sample = as_index((as_f64(keys as u64) * rate).round());
        if keys > 0 { of_sample.max(1) } else { 0 }
    });
    let mut cache = Lru::new(size, assumed.ttl);
    let of_bin = |seconds: &[u32]| ForecastBin {
        reads: seconds.iter().copied().map(u64::from).sum(),
        ..ForecastBin::default()
    };
    let mut bins: Vec<ForecastBin> = reads.seconds().chunks(bin_seconds).map(of_bin).collect();
    let bin_of = |at: Duration| usize::try_from(at.as_secs()).unwrap_or(usize::MAX) / bin_seconds;
    let whole = reads.touches().last().map_or(Duration::ZERO, |touch| touch.at);
    for is_cold in [true, false] {
        for Touch { at, key, is_first, is_write } in reads.touches() {
            let now = if is_cold { at } else { whole.saturating_add(at) };
            if is_write {
                cache.fill(key, now);
                continue;
            }
            let missed = u64::from(!cache.touch(key, now));
            let Some(bin) = bins.get_mut(bin_of(at)) else { continue };
            if is_cold {
                bin.first += u64::from(is_first);
                bin.cold += missed;
            } else {
                bin.warm += missed;
            }
        }
    }
    if rate < 1.0 {
        for bin in &mut bins {
            let all = bin.reads;
            for count in [&mut bin.first, &mut bin.cold, &mut bin.warm] {
                *count = (as_index((as_f64(*count) / rate).round()) as u64).min(all);
            }
        }
    }
    bins
}

/// Samples that are farther apart say nothing: small caches hold a few hot keys, which one sample
/// has and another has not.
const MAX_APART: f64 = 0.05;

/// Miss ratios at some sizes: exact while all reads are kept, else the mean of three samples, and
/// how far these are apart at most.
fn curve(reads: &Reads) -> (Vec<(u64, f64)>, Option<f64>) {
    let Some(shards) = reads.shards() else {
        let touches = reads.touches().map(|touch| (touch.key, !touch.is_write));
        let curve: MissCurve = miss_curve_of(touches);
        let at = |size: u64| Some((size, curve.miss_ratio(usize::try_from(size).ok()?)?));
        let keys = as_index(reads.distinct().round()) as u64;
        return (sizes(keys).filter_map(at).collect(), None);
    };
    let keys = shards.iter().map(Shards::keys).sum::<f64>() / as_f64(SEEDS as u64);
    let mut spread = 0.0_f64;
    let at = |size: u64| -> Option<(u64, f64)> {
        let ratios = shards.iter().filter_map(|shards| shards.miss_ratio(as_f64(size)));
        let ratios: Vec<f64> = ratios.collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = ratios.iter().copied().fold(0.0, f64::max);
        if largest - least > MAX_APART {
            return None;
        }
        spread = spread.max(largest - least);
        Some((size, ratios.iter().sum::<f64>() / as_f64(ratios.len().max(1) as u64)))
    };
    let curve = sizes(as_index(keys.round()) as u64).filter_map(at).collect();
    (curve, Some(spread))
}

/// The share of the reads that no cache that begins empty hits.
fn first_share(reads: &Reads) -> f64 {
    let firsts = reads.firsts().filter(|is_first| *is_first).count();
    (as_f64(firsts as u64) / reads.rate() / as_f64(reads.reads.max(1))).min(1.0)
}

/// Powers of two up to the number of keys, and that number; none without keys.
fn sizes(keys: u64) -> impl Iterator<Item = u64> {
    let powers = (0..63).map(|power| 1_u64 << power).take_while(move |size| *size < keys);
    powers.chain((keys > 0).then_some(keys))
}

/// Parts of all reads after which a cache is looked at.
const PARTS: [f64; 4] = [1.0 / 64.0, 1.0 / 16.0, 1.0 / 4.0, 1.0];

/// How an infinite cache fills.
fn filling(reads: &Reads) -> Vec<Filling> {
    let popularity = reads.popularity();
    let firsts: Vec<bool> = reads.firsts().collect();
    let kept = firsts.len();
    let all = as_f64(reads.reads);
    let rate = reads.rate();
    let after = |part: f64| {
        let end = as_index(as_f64(kept as u64) * part);
        let start = end - end / 10;
        let missed = firsts.get(start..end)?.iter().filter(|is_first| **is_first).count();
        let within = as_f64((end - start) as u64) * all / as_f64(kept as u64);
        (end > start).then(|| Filling {
            reads: as_index(all * part) as u64,
            by_popularity: popularity.hit_ratio_after(all * part),
            as_recorded: (1.0 - as_f64(missed as u64) / rate / within).max(0.0),
        })
    };
    PARTS.into_iter().filter_map(after).collect()
}

impl Forecast {
    /// When the ramp lets everybody in for good; `None` without a ramp, and where it never does.
    pub fn full_after(&self) -> Option<Duration> {
        let last = self.ramp.last().filter(|last| last.share >= 1.0)?;
        Duration::try_from_secs_f64(last.at_seconds).ok()
    }

    /// When the ramp lets everybody in, or that it never does, as the end of a sentence; `None`
    /// without a ramp.
    pub fn told_full(&self) -> Option<String> {
        let last = self.ramp.last()?;
        Some(match self.full_after() {
            Some(after) => format!("everybody after {}", format_duration(after)),
            None => format!("never everybody: {} at the end", format_share(last.share)),
        })
    }

    /// Whether a rehearsal is worth a warning before it begins.
    pub fn is_too_much(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.peak_cold > capacity)
    }
}

#[cfg(test)]
mod tests;
