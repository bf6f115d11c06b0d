//! What of a route is asked for: how popular keys are, how many are asked for once, how soon they
//! come again.

pub mod stack;
pub mod draw;

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::FixedState;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::model::keys::draw::KeyDraw;
use crate::model::owners::{Owners, are_common};
use crate::model::{ANONYMOUS, Keys, MOST_RECENT, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::lru::stack_distances;
use crate::stats::zipf::{exponent, zeta};

/// A share of requests that makes no difference to any cache: half of what is tolerated of
/// miss-ratio curves on shared machines.
const NO_MATTER: f64 = 0.01;

/// Keys of a route of which nothing may be told, and of routes that nobody asked for yet: usual
/// ones.
pub const USUAL: Keys =
    Keys { count: 1_000, exponent: 0.8, once: 0.0, fresh: 0.0, recent: Vec::new() };

/// Fits the keys of a route: requests in their order, by key and who asked. `None` where there is
/// but one. Where one client asked for too much, or was the first to ask for too many keys, they
/// are [`USUAL`] ones; keys that too few asked for are not counted.
pub fn fit(references: &[(u64, u32)]) -> Option<Keys> {
    if references.iter().all(|(key, _)| Some(*key) == references.first().map(|first| first.0)) {
        return None;
    }
    if !are_told(references) {
        return Some(USUAL);
    }
    let references = &of_enough(references)[..];
    if references.is_empty() {
        return Some(USUAL);
    }
    let counts = counted(references);
    if counts.len() < 2 {
        return None;
    }
    let mut by_rank: Vec<u64> = counts.values().copied().collect();
    by_rank.sort_unstable_by(|a, b| b.cmp(a));
    let all: u64 = by_rank.iter().sum();
    let once = by_rank.iter().filter(|count| **count == 1).count() as u64;
    let distinct = by_rank.len() as u64;
    if once == distinct {
        return Some(Keys { count: 1, exponent: 0.0, once: 1.0, ..USUAL });
    }
    let exponent = rounded(exponent(&by_rank).unwrap_or(0.0));
    let (count, share_once) = population(as_f64(all), as_f64(distinct), as_f64(once), exponent);
    let mut keys = Keys { count: told(count), exponent, once: rounded(share_once), ..USUAL };
    (keys.recent, keys.fresh) = recent(&keys, references);
    if !keys.recent.is_empty() {
        keys.count = told(as_many(&keys, references));
    }
    Some(keys)
}

/// How many keys there are tells of what enough clients asked for, not of one who went through all
/// of them.
fn are_told(references: &[(u64, u32)]) -> bool {
    /// Keys from which on each might be one client's.
    const MANY: usize = 4 * ANONYMOUS;
    let mut seen = HashSet::new();
    let first: Vec<u32> =
        references.iter().filter(|(key, _)| seen.insert(*key)).map(|(_, owner)| *owner).collect();
    are_common(references.iter().map(|(_, owner)| *owner))
        && (first.len() < MANY || are_common(first.into_iter()))
}

fn counted(references: &[(u64, u32)]) -> HashMap<u64, u64, FixedState> {
    let mut counts: HashMap<u64, u64, FixedState> = HashMap::default();
    for (key, _) in references {
        *counts.entry(*key).or_default() += 1;
    }
    counts
}

/// Requests for keys that enough clients asked for, each of them or all that are rare together.
/// Those that were asked for once are rare ones that tell of a client each.
fn of_enough(references: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let mut owners: HashMap<u64, Owners, FixedState> = HashMap::default();
    for (key, owner) in references {
        owners.entry(*key).or_default().add(*owner);
    }
    let is_rare = |key: &u64| owners.get(key).is_some_and(|owners| !owners.are_enough());
    let rare: BTreeSet<(u64, u32)> =
        references.iter().filter(|(key, _)| is_rare(key)).copied().collect();
    let counts = counted(references);
    let is_single = |key: &u64| counts.get(key) == Some(&1);
    let common = |of: &dyn Fn(&u64) -> bool| {
        are_common(rare.iter().filter(|(key, _)| of(key)).map(|(_, owner)| *owner))
    };
    let (rare_told, singles_told) = (common(&|_| true), common(&is_single));
    let is_told = |key: &u64| !is_rare(key) || (rare_told && (singles_told || !is_single(key)));
    references.iter().filter(|(key, _)| is_told(key)).copied().collect()
}

/// How many keys there are, and the share of requests for keys that never come again, so that as
/// many different keys and as many single ones are to be expected as were seen. Rare keys of a
/// popularity come once by chance; only those beyond are single for good.
fn population(all: f64, distinct: f64, once: f64, exponent: f64) -> (u64, f64) {
    let given = |share: f64| {
        let requests = all * (1.0 - share);
        let wanted = (distinct - all * share).max(1.0);
        let (mut low, mut high) = (wanted, wanted * MOST_UNSEEN);
        for _ in 0..40 {
            let middle = (low * high).sqrt();
            if expected(requests, middle, exponent).0 < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low, expected(requests, low, exponent).1 + all * share)
    };
    let (mut low, mut high) = (0.0, once / all);
    if given(low).1 < once {
        for _ in 0..30 {
            let middle = f64::midpoint(low, high);
            if given(middle).1 < once {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
    let share = low;
    (as_index(given(share).0.round()).max(1) as u64, share)
}

/// Times as many keys as were seen that there may be.
const MOST_UNSEEN: f64 = 1_000.0;

/// Different keys, and keys that come once, among requests for so many keys of a popularity.
fn expected(requests: f64, keys: f64, exponent: f64) -> (f64, f64) {
    let sum = zeta(as_index(keys) as u64, exponent);
    let (mut distinct, mut once, mut rank) = (0.0, 0.0, 1.0_f64);
    while rank <= keys {
        // Ranks one by one at first, and then in groups that are alike.
        let next = (rank * 1.02).floor().max(rank + 1.0).min(keys + 1.0);
        let width = next - rank;
        let hits = requests * f64::midpoint(rank, next - 1.0).powf(-exponent) / sum;
        distinct += width * (1.0 - (-hits).exp());
        once += width * hits * (-hits).exp();
        rank = next;
    }
    (distinct, once)
}

/// Few keys are as many as there are, many are rounded.
fn told(count: u64) -> u64 {
    if count < ANONYMOUS as u64 { count } else { as_index(rounded(as_f64(count))) as u64 }
}

/// Distances in the stack that are told apart, each twice as far as the one before.
const DISTANCES: usize = MOST_RECENT.ilog2() as usize + 1;

/// References by how far back their key was asked for last.
struct Distances {
    /// Who asked for one at each distance.
    hits: Vec<Vec<u32>>,
    /// References at which there was any key so far back.
    chances: Vec<u64>,
    /// Different keys.
    keys: usize,
}

impl Distances {
    fn of(references: &[(u64, u32)]) -> Self {
        let mut found =
            Self { hits: vec![Vec::new(); DISTANCES], chances: vec![0; DISTANCES], keys: 0 };
        let mut owners = references.iter().map(|(_, owner)| *owner);
        stack_distances(references.iter().map(|(key, _)| *key), &mut |distance| {
            let owner = owners.next().unwrap_or(0);
            let reached = if found.keys == 0 { 0 } else { place_of(found.keys) + 1 };
            found.chances.iter_mut().take(reached).for_each(|chances| *chances += 1);
            let Some(distance) = distance else {
                found.keys += 1;
                return;
            };
            if let Some(hits) = found.hits.get_mut(place_of(distance)) {
                hits.push(owner);
            }
        });
        found
    }

    /// The share of references whose key was not asked for before, or too long ago.
    fn rest(&self, references: usize) -> f64 {
        let hits: usize = self.hits.iter().map(Vec::len).sum();
        1.0 - as_f64(hits as u64) / as_f64(references.max(1) as u64)
    }

    fn share(&self, at: usize) -> f64 {
        let (hits, chances) = (self.hits.get(at).map_or(0, Vec::len), self.chances.get(at));
        as_f64(hits as u64) / as_f64(chances.copied().unwrap_or(0).max(1))
    }
}

/// Which of the distances one is: they end at 1, 2, 4, 8, …
fn place_of(distance: usize) -> usize {
    distance.saturating_sub(1).checked_ilog2().map_or(0, |log| log as usize + 1)
}

/// How far back keys come again more often than their popularity alone says, as shares of requests,
/// and the share of those that were not asked for lately, beyond what it says.
fn recent(keys: &Keys, references: &[(u64, u32)]) -> (Vec<(u64, f64)>, f64) {
    let seen = Distances::of(references);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut independent = KeyDraw::new(keys);
    let drawn: Vec<(u64, u32)> =
        references.iter().map(|_| (independent.draw(&mut random), 0)).collect();
    let expected = Distances::of(&drawn);
    let told = (place_of(seen.keys) + 1).min(DISTANCES);
    let shares: Vec<[f64; 2]> = (0..told).map(|at| [seen.share(at), expected.share(at)]).collect();
    let mut apart = 0.0_f64;
    let sums = shares.iter().map(|[seen, expected]| {
        apart += seen - expected;
        apart.abs()
    });
    // Chance alone makes some difference, and so does a popularity that is nearly right.
    let chance = 3.0 * (0.25 / as_f64(references.len().max(1) as u64)).sqrt();
    if sums.fold(0.0, f64::max) <= chance.max(NO_MATTER) {
        return (Vec::new(), 0.0);
    }
    let rest = [&seen, &expected].map(|of| of.rest(references.len()) - keys.once);
    // So much of what popularity says is there at every distance that it says much of.
    let ratios = shares.iter().chain([&rest]).filter(|it| it[1] >= TELLING);
    let popular = ratios.map(|[seen, expected]| seen / expected).fold(1.0, f64::min).max(0.0);
    let beyond = |[seen, expected]: &[f64; 2]| (seen - popular * expected).max(0.0);
    let (mut recent, mut share, mut owners) = (Vec::new(), 0.0, Vec::new());
    let others = (1.0 - keys.once).max(f64::MIN_POSITIVE);
    for (at, of) in shares.iter().enumerate() {
        share += beyond(of) / others;
        owners.extend(seen.hits.get(at).into_iter().flatten().copied());
        // That nobody asked at a distance tells of nobody.
        if owners.is_empty() || are_common(owners.iter().copied()) {
            recent.push((1 << at, share));
            (share, owners) = (0.0, Vec::new());
        }
    }
    let fresh = if recent.is_empty() { 0.0 } else { beyond(&rest) / others };
    while fresh <= 0.0 && recent.last().is_some_and(|(_, share)| *share <= 0.0) {
        recent.pop();
    }
    let all = recent.iter().map(|(_, share)| share).sum::<f64>() + fresh;
    let told = |share: f64| rounded(share / all.max(1.0));
    (recent.into_iter().map(|(most, share)| (most, told(share))).collect(), told(fresh))
}

/// The share of requests from which on a distance tells how much of it is popularity alone.
const TELLING: f64 = 0.04;

/// How many keys there must be for as many different ones to be asked for as were, by what is drawn
/// of them.
fn as_many(keys: &Keys, references: &[(u64, u32)]) -> u64 {
    /// References that are drawn for it.
    const DRAWN: usize = 50_000;
    /// Rounds, each of which halves the logarithm of what is not known.
    const ROUNDS: usize = 8;
    let references = &references[..references.len().min(DRAWN)];
    let wanted = references.iter().map(|(key, _)| key).collect::<HashSet<_>>().len();
    let different = |count: f64| {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut draw = KeyDraw::new(&Keys { count: as_index(count) as u64, ..keys.clone() });
        references.iter().map(|_| draw.draw(&mut random)).collect::<HashSet<_>>().len()
    };
    let count = as_f64(keys.count);
    let (mut low, mut high) = ((count / 30.0).max(1.0), count * 30.0);
    for _ in 0..ROUNDS {
        let middle = (low * high).sqrt();
        if different(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    as_index((low * high).sqrt().round()).max(1) as u64
}

#[cfg(test)]
mod tests;
