//! Pairs the requests of two recordings: the first one for a resource with the first one, the
//! second with the second; where one recording has fewer for it, those are left out without which
//! the others are nearest to their moments.
//!
//! Where one recording is a replay of the other, by whatever tool, each request has its moment in
//! both, and nothing has to be guessed from distributions. Whether it is one shows in the pairs
//! themselves: a replay may be late, or stretched, but neighbours stay near each other. In two
//! independent loads of the same mix they do not, since each resource has its own luck.

use hdrhistogram::Histogram;

use crate::shape::keys::Keys;
use crate::stats::counts::as_f64;
use crate::stats::histograms::{record_time, times};

/// Least share of the smaller recording's requests that must find a partner in a replay.
pub const LEAST_SHARE: f64 = 0.9;

/// Neighbours that ask for different resources drift apart by at most this much in a replay, at
/// the median, or by [`NEIGHBOUR_GAPS`] mean gaps if that is more.
pub const NEIGHBOURS_NS: f64 = 1e8;

/// The same in mean gaps between requests.
pub const NEIGHBOUR_GAPS: f64 = 10.0;

/// Fewest neighbours that ask for different resources from which a replay is recognised.
pub const LEAST_NEIGHBOURS: usize = 20;

/// Two recordings, request by request.
#[derive(Clone, Debug)]
pub struct Pairing {
    /// Requests with a partner, of those whose keys were kept.
    pub pairs: u64,
    /// Those as a share of the smaller recording's.
    pub share: f64,
    /// How much later the other recording's clock says it is, in nanoseconds: the median over the
    /// pairs. Lateness counts from it.
    pub offset_ns: i64,
    /// How far each request is from its moment, earlier or later, in nanoseconds.
    pub lateness: Histogram<u64>,
    /// Share of requests that came before one that was recorded before them.
    pub overtaken: f64,
    /// Pairs with one before them in their session, at another moment.
    pub in_session: u64,
    /// By how much those came before that one that did, in nanoseconds.
    pub inversions: Histogram<u64>,
    /// Pairs of which it is not sure that they belong together: too many were missing to look at
    /// every way to leave them out.
    pub unsure: u64,
    /// Resources.
    pub resources: u64,
    /// How far neighbours that ask for different resources drift apart, at the median, in
    /// nanoseconds; `None` with fewer than [`LEAST_NEIGHBOURS`].
    pub drift_ns: Option<f64>,
}

/// Cells of the tables by which requests are left out, over all resources: 16 MiB at once, and a
/// fraction of a second. Beyond it, each request takes the nearest of two.
const MAX_CELLS: usize = 1 << 24;

#[derive(Clone, Copy)]
struct Pair {
    key: u64,
    session: u32,
    at_ns: i64,
    other_ns: i64,
}

impl Pair {
    fn late_ns(self) -> i64 {
        self.other_ns.saturating_sub(self.at_ns)
    }
}

impl Pairing {
    /// The other recording is a replay of the first, well done or not. `mean_gap_ns` is that of
    /// the first.
    pub fn is_replay(&self, mean_gap_ns: f64) -> bool {
        // Two independent loads drift apart by some half of √(pairs · resources) gaps: where that
        // is no more than what a replay may, only a fifth of it proves one.
        let by_chance = (as_f64(self.pairs) * as_f64(self.resources)).sqrt() * mean_gap_ns / 2.0;
        let bound = NEIGHBOURS_NS.max(mean_gap_ns * NEIGHBOUR_GAPS).min(by_chance / 5.0);
        self.share >= LEAST_SHARE && self.drift_ns.is_some_and(|drift| drift <= bound)
    }

    /// The share of requests that came before the one before them in their session, by more than
    /// so many nanoseconds.
    pub fn inversions_beyond(&self, ns: u64) -> f64 {
        let within = self
            .inversions
            .iter_recorded()
            .take_while(|step| step.value_iterated_to() <= self.inversions.highest_equivalent(ns));
        let within: u64 = within.map(|step| step.count_at_value()).sum();
        let beyond = self.inversions.len().saturating_sub(within);
        as_f64(beyond) / as_f64(self.in_session.max(1))
    }
}

/// Pairs two samples of requests. `None` where no request has a partner.
pub fn pair(reference: &Keys, other: &Keys) -> Option<Pairing> {
    pair_up_to(reference, other, reference.threshold().min(other.threshold()))
}

/// Requests of which a glance is enough to see that a load is no replay.
const GLANCE: usize = 1 << 17;

/// Pairs some of the keys of long recordings, which costs a fraction of pairing all of them, and
/// how many requests each of those stands for. `None` where all of them should be paired at once.
pub fn glance(reference: &Keys, other: &Keys) -> Option<(Pairing, f64)> {
    let longer = reference.kept().len().max(other.kept().len());
    if longer < 4 * GLANCE {
        return None;
    }
    let part = u64::try_from(longer / GLANCE).unwrap_or(u64::MAX);
    let threshold = reference.threshold().min(other.threshold()) / part;
    let pairing = pair_up_to(reference, other, threshold)?;
    Some((pairing, as_f64(part)))
}

fn pair_up_to(reference: &Keys, other: &Keys, threshold: u64) -> Option<Pairing> {
    let [first, second] = [reference, other].map(|keys| by_key(keys, threshold));
    let smaller = first.len().min(second.len());
    let (mut pairs, unsure) = matched(&first, &second);
    let resources = pairs.chunk_by(|a, b| a.key == b.key).count() as u64;
    if pairs.is_empty() {
        return None;
    }
    pairs.sort_by_key(|pair| pair.at_ns);
    let drift_ns = drift(&pairs);
    let mut late: Vec<i64> = pairs.iter().map(|pair| pair.late_ns()).collect();
    let middle = late.len() / 2;
    let offset_ns = *late.select_nth_unstable(middle).1;
    let mut lateness = times();
    for late in late {
        record_time(&mut lateness, late.saturating_sub(offset_ns).unsigned_abs());
    }
    let overtaken = pairs.windows(2).filter(|two| two[1].other_ns < two[0].other_ns).count();
    let count = pairs.len() as u64;
    let (in_session, inversions) = ordered(&mut pairs);
    Some(Pairing {
        pairs: count,
        share: as_f64(count) / as_f64(smaller as u64),
        offset_ns,
        lateness,
        unsure,
        resources,
        overtaken: as_f64(overtaken as u64) / as_f64((count - 1).max(1)),
        drift_ns,
        in_session,
        inversions,
    })
}

/// How many follow another one in their session, and by how much those are early that came before
/// it. Of what was recorded at one moment, no order is known.
fn ordered(pairs: &mut [Pair]) -> (u64, Histogram<u64>) {
    pairs.sort_unstable_by_key(|pair| (pair.session, pair.at_ns));
    let (mut followed, mut inversions) = (0, times());
    for two in pairs.windows(2) {
        if two[0].session != two[1].session || two[0].at_ns == two[1].at_ns {
            continue;
        }
        followed += 1;
        let early = two[0].other_ns.saturating_sub(two[1].other_ns);
        if let Some(early) = u64::try_from(early).ok().filter(|early| *early > 0) {
            record_time(&mut inversions, early);
        }
    }
    (followed, inversions)
}

/// The kept requests below a threshold by key, each key's in the order of time: key, moment, and
/// session.
fn by_key(keys: &Keys, threshold: u64) -> Vec<One> {
    let mut kept: Vec<One> = keys
        .kept()
        .iter()
        .filter(|kept| kept.key <= threshold)
        .map(|kept| (kept.key, i64::try_from(kept.at_ns).unwrap_or(i64::MAX), kept.session))
        .collect();
    // They are in the order of time already, so that this is a sort by key.
    kept.sort_unstable();
    kept
}

type One = (u64, i64, u32);

type Group<'a> = &'a [One];

fn matched(first: Group, second: Group) -> (Vec<Pair>, u64) {
    let mut others = second.chunk_by(|a, b| a.0 == b.0).peekable();
    let mut groups: Vec<(Group, Group)> = Vec::new();
    for group in first.chunk_by(|a, b| a.0 == b.0) {
        let key = group[0].0;
        while others.next_if(|other| other[0].0 < key).is_some() {}
        groups.extend(others.next_if(|other| other[0].0 == key).map(|other| (group, other)));
    }
    let offset = offset(&groups);
    let (mut pairs, mut cells, mut unsure) = (Vec::new(), MAX_CELLS, 0);
    for (group, other) in groups {
        let pair = |a: usize, b: usize| Pair {
            key: group[a].0,
            session: group[a].2,
            at_ns: group[a].1,
            other_ns: other[b].1,
        };
        let smaller = group.len().min(other.len());
        let spare = group.len().abs_diff(other.len());
        if spare > 0 && smaller.saturating_mul(spare + 1) > cells {
            unsure += smaller as u64;
        }
        if group.len() >= other.len() {
            let chosen = left_out(group, other, -offset, &mut cells);
            pairs.extend(chosen.into_iter().enumerate().map(|(b, a)| pair(a, b)));
        } else {
            let chosen = left_out(other, group, offset, &mut cells);
            pairs.extend(chosen.into_iter().enumerate().map(|(a, b)| pair(a, b)));
        }
    }
    (pairs, unsure)
}

/// How much later the second clock is: the median over resources with as many requests in both, or
/// nothing, since both begin with their first request.
fn offset(groups: &[(Group, Group)]) -> i64 {
    let whole = groups.iter().filter(|(group, other)| group.len() == other.len());
    let mut late: Vec<i64> = whole
        .flat_map(|(group, other)| group.iter().zip(*other).map(|(a, b)| b.1.saturating_sub(a.1)))
        .collect();
    if late.len() < LEAST_NEIGHBOURS {
        return 0;
    }
    let middle = late.len() / 2;
    *late.select_nth_unstable(middle).1
}

/// For each request of the shorter series, in order, its partner in the longer one, so that the sum
/// of the distances is least. `later` is added to the shorter one's moments.
fn left_out(long: Group, short: Group, later: i64, cells: &mut usize) -> Vec<usize> {
    let spare = long.len() - short.len();
    let apart = |index: usize, skipped: usize| {
        short[index].1.saturating_add(later).abs_diff(long[index + skipped].1)
    };
    if spare == 0 {
        return (0..short.len()).collect();
    }
    let size = short.len().saturating_mul(spare + 1);
    if size > *cells {
        // As many are skipped as bring the next one nearer, while there are some to skip.
        let mut skipped = 0;
        return (0..short.len())
            .map(|index| {
                while skipped < spare && apart(index, skipped + 1) < apart(index, skipped) {
                    skipped += 1;
                }
                index + skipped
            })
            .collect();
    }
    *cells -= size;
    // The least sum of the requests so far when at most so many were skipped, and whether it needed
    // fewer.
    let mut least = vec![0_u64; spare + 1];
    let mut needs_fewer = vec![false; size];
    for index in 0..short.len() {
        for skipped in 0..=spare {
            let sum = least[skipped].saturating_add(apart(index, skipped));
            let fewer = skipped > 0 && least[skipped - 1] <= sum;
            needs_fewer[index * (spare + 1) + skipped] = fewer;
            least[skipped] = if fewer { least[skipped - 1] } else { sum };
        }
    }
    let mut skipped = spare;
    let mut chosen: Vec<usize> = (0..short.len())
        .rev()
        .map(|index| {
            while needs_fewer[index * (spare + 1) + skipped] {
                skipped -= 1;
            }
            index + skipped
        })
        .collect();
    chosen.reverse();
    chosen
}

fn drift(pairs: &[Pair]) -> Option<f64> {
    let mut drifts: Vec<u64> = pairs
        .windows(2)
        .filter(|two| two[0].key != two[1].key)
        .map(|two| two[1].late_ns().abs_diff(two[0].late_ns()))
        .collect();
    if drifts.len() < LEAST_NEIGHBOURS {
        return None;
    }
    let middle = drifts.len() / 2;
    Some(as_f64(*drifts.select_nth_unstable(middle).1))
}

#[cfg(test)]
mod tests;
