//! Keys that many ask for at once: where the first miss is still read, all others miss, too.

use std::collections::BTreeMap;

use crate::shape::forecast::Stampede;
use crate::shape::reads::Reads;
use crate::stats::counts::as_f64;

/// Routes that are named.
const MAX_ROUTES: usize = 5;

/// Keys that are named.
const MAX_KEYS: usize = 10;

/// What is prone to a stampede.
#[derive(Debug, Default)]
pub(super) struct Prone {
    pub(super) keys: u64,
    /// By route: how many of them.
    pub(super) routes: Vec<(String, u64)>,
    pub(super) worst: Vec<Stampede>,
}

/// Keys of which more than one further read is expected while a miss is read: `λ × time > 1`, the
/// read that misses first not counted in (science: prediction from recorded keys). The rate is that
/// of the whole load.
pub(super) fn prone(reads: &Reads, miss_seconds: f64) -> Prone {
    let seconds = as_f64(reads.seconds().len().max(1) as u64);
    let mut found: Vec<_> = reads
        .hot()
        .into_iter()
        .map(|key| (f64::from(key.count) / seconds, key))
        .filter(|(per_second, _)| per_second * miss_seconds > 1.0)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.hash.cmp(&b.1.hash)));
    let mut routes: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, key) in &found {
        *routes.entry(key.route).or_default() += 1;
    }
    let mut named: Vec<(String, u64)> =
        routes.into_iter().map(|(route, keys)| (reads.route(route).to_owned(), keys)).collect();
    named.sort_by_key(|(_, keys)| std::cmp::Reverse(*keys));
    named.truncate(MAX_ROUTES);
    let worst = found.iter().take(MAX_KEYS).map(|(per_second, key)| Stampede {
        route: reads.route(key.route).to_owned(),
        key: format!("{:08x}", key.hash >> 32),
        per_second: *per_second,
        expected: per_second * miss_seconds,
    });
    Prone { keys: found.len() as u64, worst: worst.collect(), routes: named }
}
