//! The reads of a plan, for the forecast of a cold start.

use crate::bytes::fnv1a;
use crate::plan::Arrival;
use crate::protocol::Protocol;
use crate::scenario::acts::cold::ColdOptions;
use crate::shape::forecast::Assumed;
use crate::shape::reads::Reads;
use crate::shape::reads::cacheable::{is_cacheable, keys_read};

/// Takes an arrival into account if a cache may answer it: by its target and where that goes, or by
/// the keys of its command.
pub fn add(reads: &mut Reads, arrival: &Arrival) {
    let Arrival { due, ref route, .. } = *arrival;
    let took = arrival.recorded.latency;
    if arrival.protocol == Protocol::Redis {
        for key in keys_read(&arrival.body) {
            reads.add_key(due, key, route, took);
        }
    } else if is_cacheable(&arrival.method) {
        // Hosts have another name at the target, and one of them may stand for several.
        let target = arrival.head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let goal = arrival.bond.goal.to_le_bytes();
        let key = fnv1a(goal.into_iter().chain(target.iter().copied()));
        reads.add_key(due, key, route, took);
    }
}

/// What a scenario says of the cache and its origin.
pub fn assumed(options: &ColdOptions) -> Assumed {
    let default = Assumed::default();
    Assumed {
        cache_keys: options.cache.keys,
        ttl: options.cache.ttl,
        reads_per_miss: options.reads_per_miss,
        capacity: options.origin_capacity,
        miss_time: options.miss_time,
        bin: options.bins.unwrap_or(default.bin),
    }
}
