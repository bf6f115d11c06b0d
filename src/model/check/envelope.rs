//! All statistics of a recording together among those drawn: the global rank envelope.
//!
//! Of thirty statistics one is extreme by chance. Each recording has a rank in each statistic,
//! counted from the nearer end, and its most extreme ones say how extreme it is as a whole; where
//! two have the same, the next ones say it (Myllymäki and others, extreme rank lengths).

use crate::stats::counts::as_f64;

/// How extreme a recording is among those drawn.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Envelope {
    /// Its most extreme rank in any statistic, from 1: the smallest, or the largest.
    pub rank: f64,
    /// The share of all recordings, itself included, that are as extreme or more.
    pub p: f64,
    /// Statistics that were looked at.
    pub statistics: usize,
    /// It is not among the most extreme twentieth.
    pub fits: bool,
}

/// The level of the test.
const LEVEL: f64 = 0.05;

/// Fewest recordings of which one can be among the most extreme twentieth.
const LEAST: usize = 19;

/// The envelope of statistics: of each the value of the recording, and those of all drawn, in the
/// same order. `None` where these are too few.
pub fn envelope(columns: &[(f64, &[f64])]) -> Option<Envelope> {
    let draws = columns.first().map(|(_, drawn)| drawn.len()).filter(|draws| *draws >= LEAST)?;
    let mut ranks: Vec<Vec<f64>> = vec![Vec::with_capacity(columns.len()); draws + 1];
    for (recorded, drawn) in columns {
        let all: Vec<f64> = [*recorded].into_iter().chain(drawn.iter().copied()).collect();
        let mut sorted = all.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        for (ranks, value) in ranks.iter_mut().zip(&all) {
            let below = sorted.partition_point(|other| other < value);
            let until = sorted.partition_point(|other| other <= value);
            // Those that are equal have the middle of their ranks.
            let from_low = f64::midpoint(as_f64(below as u64 + 1), as_f64(until as u64));
            ranks.push(from_low.min(as_f64(sorted.len() as u64 + 1) - from_low));
        }
    }
    for ranks in &mut ranks {
        ranks.sort_unstable_by(f64::total_cmp);
    }
    let own = ranks.first()?;
    let is_as_extreme = |other: &&Vec<f64>| {
        let differs = other.iter().zip(own).find(|(a, b)| a.total_cmp(b).is_ne());
        differs.is_none_or(|(theirs, own)| theirs < own)
    };
    let p = as_f64(ranks.iter().filter(is_as_extreme).count() as u64) / as_f64(draws as u64 + 1);
    let rank = own.first().copied()?;
    Some(Envelope { rank, p, statistics: columns.len(), fits: p > LEVEL })
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Fifty recordings of thirty statistics, and one that is moved in one of them.
    fn columns(seed: u64, moved: f64) -> Option<Envelope> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<Vec<f64>> =
            (0..30).map(|_| (0..51).map(|_| random.random::<f64>()).collect()).collect();
        let columns: Vec<(f64, &[f64])> = values
            .iter()
            .enumerate()
            .map(|(at, all)| (all[0] + if at == 7 { moved } else { 0.0 }, &all[1..]))
            .collect();
        envelope(&columns)
    }

    #[test]
    fn a_recording_like_the_others_is_seldom_outside_of_all_together() {
        let outside = (0..200).filter(|seed| !columns(*seed, 0.0).unwrap().fits).count();
        // Five of a hundred, as the level says.
        assert!((2..=22).contains(&outside), "{outside}");
        let told = columns(1, 0.0).unwrap();
        assert!(told.rank >= 1.0 && told.p > 0.0 && told.statistics == 30, "{told:?}");
    }

    #[test]
    fn what_is_the_most_extreme_of_all_has_the_smallest_p() {
        // One statistic beyond all others is a rank that others have by chance, too.
        let all: Vec<f64> = (0..50_u32).map(f64::from).collect();
        let alone = envelope(&[(99.0, &all)]).unwrap();
        assert!((alone.rank - 1.0).abs() < 1e-12 && !alone.fits, "{alone:?}");
        let within = envelope(&[(24.5, &all)]).unwrap();
        assert!(within.fits && within.p > 0.9, "{within:?}");
        // Ties are in the middle, and not extreme.
        let same = envelope(&[(3.0, &[3.0; 50])]).unwrap();
        assert!(same.fits && (same.p - 1.0).abs() < 1e-12, "{same:?}");
        assert_eq!(envelope(&[(1.0, &all[..18])]), None);
        assert_eq!(envelope(&[]), None);
    }
}
