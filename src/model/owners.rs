//! Whose numbers they are. A model tells what enough clients have in common, and no law that is
//! mostly one client's.
//!
//! A client is a session as the recording has it: a hash of its cookies, of its address in a log,
//! or of its connection where it sent neither. However often it comes back, it counts once.

use std::collections::BTreeMap;

use crate::bytes::fnv1a;
use crate::model::ANONYMOUS;
use crate::stats::counts::as_f64;

/// The client of a recorded session, in 32 bits. Two clients that have one number count as one: so
/// too few are never taken for enough.
pub fn owner_of(session: u64) -> u32 {
    let hash = fnv1a(session.to_le_bytes().into_iter());
    u32::try_from((hash ^ (hash >> 32)) & u64::from(u32::MAX)).unwrap_or(0)
}

/// The clients that were seen to have something, as far as that they are enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(Vec<u32>);

impl Owners {
    /// Adds one.
    pub fn add(&mut self, owner: u32) {
        if self.0.len() < ANONYMOUS && !self.0.contains(&owner) {
            self.0.push(owner);
        }
    }

    /// Adds those of another one.
    pub fn merge(&mut self, other: &Self) {
        for owner in &other.0 {
            self.add(*owner);
        }
    }

    /// There are enough of them.
    pub fn are_enough(&self) -> bool {
        self.0.len() >= ANONYMOUS
    }
}

impl FromIterator<u32> for Owners {
    fn from_iter<I: IntoIterator<Item = u32>>(all: I) -> Self {
        let mut owners = Self::default();
        for owner in all {
            owners.add(owner);
        }
        owners
    }
}

/// The largest share of what a law is fitted to that may be one client's: with more, the law would
/// be that client's. Twenty alike have a twentieth each.
pub const MOST_OF_ONE: f64 = 0.25;

/// Enough clients have something, by the owner of each piece of it, and none has too much of it.
pub fn are_common(owners: impl Iterator<Item = u32>) -> bool {
    let mut all: Vec<u32> = owners.collect();
    all.sort_unstable();
    let most = all.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap_or(0);
    let distinct = all.chunk_by(|a, b| a == b).count();
    distinct >= ANONYMOUS && as_f64(most as u64) <= MOST_OF_ONE * as_f64(all.len() as u64)
}

/// Lets go of values of those who have more than [`MOST_OF_ONE`] of them until none has: evenly in
/// their order, so that all others keep what they have. Where too few have any, nothing changes.
pub fn thin<T>(values: &mut Vec<(T, u32)>) {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, owner) in &*values {
        *counts.entry(*owner).or_default() += 1;
    }
    if counts.len() < ANONYMOUS {
        return;
    }
    let mut largest: Vec<u64> = counts.values().copied().collect();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    // With k of them at m each, and r others: m = (k·m + r)/4 at most. Fewer than four have that.
    let most = (0..4_u64).find_map(|capped| {
        let (_, others) = largest.split_at_checked(usize::try_from(capped).ok()?)?;
        let most = others.iter().sum::<u64>() / (4 - capped);
        let fits = others.first().is_none_or(|next| *next <= most);
        fits.then_some(most)
    });
    let Some(most) = most else { return };
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    values.retain(|(_, owner)| {
        let all = counts.get(owner).copied().unwrap_or(0);
        let number = seen.entry(*owner).or_default();
        *number += 1;
        all <= most || *number * most / all > (*number - 1) * most / all
    });
}

/// A part of a whole, and who it is told of.
#[derive(Clone, Debug, Default)]
pub struct Ratio {
    /// The part.
    pub part: f64,
    /// The whole.
    pub whole: f64,
    /// Those whose doing it tells: of the part, or of the rest where that is rarer.
    pub owners: Owners,
}

impl Ratio {
    fn value(&self) -> f64 {
        if self.whole > 0.0 { self.part / self.whole } else { 0.0 }
    }

    /// It tells of somebody. Nothing and all are nobody's.
    fn tells(&self) -> bool {
        self.owners != Owners::default()
    }
}

/// What becomes of ratios of too few clients when nothing like them is left to share with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// They share with the nearest that tells of enough, so that sums stay as they are.
    Joins,
    /// They are told as nothing: what at most nineteen did is missing, and the others stay.
    Nothing,
}

/// The values of ratios, each of enough clients: those of too few share one value with those most
/// like them. `None` where all together are too few, and nothing is not what is to be told.
pub fn shared(ratios: &[Ratio], alone: Alone) -> Option<Vec<f64>> {
    let mut values: Vec<f64> = ratios.iter().map(Ratio::value).collect();
    let is_few = |ratio: &Ratio| ratio.tells() && !ratio.owners.are_enough();
    let mut few: Vec<usize> =
        (0..ratios.len()).filter(|at| ratios.get(*at).is_some_and(is_few)).collect();
    few.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut pools: Vec<Vec<usize>> = Vec::new();
    let (mut pool, mut owners) = (Vec::new(), Owners::default());
    for at in few {
        pool.push(at);
        owners.merge(&ratios[at].owners);
        if owners.are_enough() {
            pools.push(std::mem::take(&mut pool));
            owners = Owners::default();
        }
    }
    if let Some(last) = pools.last_mut() {
        // What is left over is most like these, whose values are the largest below.
        last.append(&mut pool);
    } else if alone == Alone::Nothing {
        for at in pool {
            values[at] = 0.0;
        }
    } else if let Some(first) = pool.first().copied() {
        let distance = |at: &usize| (values[*at] - values[first]).abs();
        let nearest = (0..ratios.len())
            .filter(|at| ratios[*at].owners.are_enough())
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        pool.push(nearest);
        pools.push(pool);
    }
    for pool in pools {
        let sum = |of: &dyn Fn(&Ratio) -> f64| pool.iter().map(|at| of(&ratios[*at])).sum::<f64>();
        let value = sum(&|ratio| ratio.part) / sum(&|ratio| ratio.whole);
        for at in &pool {
            values[*at] = value;
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_counts_once_however_often_it_comes() {
        let often: Owners = std::iter::repeat_n(owner_of(7), 1_000).collect();
        assert!(!often.are_enough());
        let twenty: Owners = (0..20).map(owner_of).collect();
        assert!(twenty.are_enough());
        let nineteen: Owners = (0..19).map(owner_of).collect();
        assert!(!nineteen.are_enough());
        let mut both = nineteen.clone();
        both.merge(&nineteen);
        assert!(!both.are_enough());
    }

    #[test]
    fn what_is_mostly_one_clients_is_not_common() {
        let even = |count: u32| (0..count).flat_map(|owner| std::iter::repeat_n(owner, 10));
        assert!(are_common(even(20)));
        assert!(!are_common(even(19)));
        // One of thirty has a fourth of all, and then a little more than that.
        assert!(are_common(even(30).chain(std::iter::repeat_n(99, 100))));
        assert!(!are_common(even(30).chain(std::iter::repeat_n(99, 101))));
        assert!(!are_common(std::iter::empty()));
    }

    #[test]
    fn those_who_have_too_much_are_thinned_to_a_quarter() {
        let even = |count: u32, each: usize| {
            (0..count).flat_map(move |owner| std::iter::repeat_n((0.0, owner), each))
        };
        let of = |values: &[(f64, u32)], owner: u32| {
            values.iter().filter(|(_, of)| *of == owner).count()
        };
        // One, three, and one of many who has no more than a quarter.
        for (large, counts) in [(1, 5_000), (3, 5_000), (1, 100)] {
            let more = (100..100 + large).flat_map(|it| std::iter::repeat_n((1.0, it), counts));
            let mut values: Vec<(f64, u32)> = even(30, 10).chain(more).collect();
            thin(&mut values);
            assert!(are_common(values.iter().map(|(_, owner)| *owner)), "{large}");
            assert!((0..30).all(|owner| of(&values, owner) == 10));
            assert!((100..100 + large).all(|owner| of(&values, owner) >= 100.min(counts)));
        }
        // Too few are left as they are.
        let mut few: Vec<(f64, u32)> = even(19, 1).chain([(1.0, 0); 99]).collect();
        thin(&mut few);
        assert_eq!(few.len(), 118);
    }

    #[test]
    fn ratios_of_few_are_those_of_the_ones_most_like_them() {
        let ratio = |part: f64, owners: std::ops::Range<u32>| Ratio {
            part,
            whole: 100.0,
            owners: owners.collect(),
        };
        // Enough on its own; ten and ten alike; nothing at all.
        let told =
            shared(&[ratio(50.0, 0..30), ratio(2.0, 0..10), ratio(4.0, 10..20)], Alone::Joins);
        assert_eq!(told.unwrap(), [0.5, 0.03, 0.03]);
        assert_eq!(
            shared(&[ratio(0.0, 0..0), ratio(9.0, 0..25)], Alone::Joins).unwrap(),
            [0.0, 0.09]
        );
        // Few, and the nearest that is told shares with them; nobody else is changed.
        let few = [ratio(50.0, 0..30), ratio(90.0, 0..40), ratio(40.0, 0..5)];
        assert_eq!(shared(&few, Alone::Joins).unwrap(), [0.45, 0.9, 0.45]);
        assert_eq!(shared(&few, Alone::Nothing).unwrap(), [0.5, 0.9, 0.0]);
        // The ones left over are put to the last of those that were put together.
        let told = shared(&[ratio(2.0, 0..15), ratio(4.0, 15..30), ratio(6.0, 0..5)], Alone::Joins);
        assert_eq!(told.unwrap(), [0.04, 0.04, 0.04]);
        assert_eq!(shared(&[ratio(2.0, 0..10)], Alone::Joins), None);
        assert_eq!(shared(&[ratio(2.0, 0..10)], Alone::Nothing), Some(vec![0.0]));
        assert_eq!(shared(&[], Alone::Joins), Some(Vec::new()));
    }
}
