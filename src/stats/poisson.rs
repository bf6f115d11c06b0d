//! Whether moments are those of a Poisson process whose rate changes slowly (Kim and Whitt).
//!
//! In a short interval such a process is uniform given how many there are. Each interval is looked
//! at on its own, and what is seen in all of them is pooled: so a rate that changes over minutes is
//! no reason to refuse.

use crate::stats::counts::as_f64;
use crate::stats::tails::distance_from;

/// Length of an interval in seconds: short against the minutes in which load changes.
pub const INTERVAL: f64 = 60.0;

/// Fewest moments in an interval that is looked at.
const LEAST: usize = 2;

/// The two tests: distances from what a Poisson process gives, and from where on they are too far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tests {
    /// Moments that were looked at.
    pub count: usize,
    /// Distance of the moments from uniform ones, given how many there are.
    pub uniform: f64,
    /// Distance after Lewis' and Durbin's transform of the spacings, which sees more.
    pub lewis: f64,
    /// Distances above this are seen in 5 of 100 Poisson processes.
    pub limit: f64,
}

impl Tests {
    /// Neither test says that it is none.
    pub fn pass(&self) -> bool {
        self.uniform <= self.limit && self.lewis <= self.limit
    }
}

/// Tests moments in ascending order, in seconds, in intervals of a length in seconds, of which the
/// last ends where what was recorded ends. `None` where no interval has two.
pub fn poisson_tests(moments: &[f64], interval: f64, length: f64) -> Option<Tests> {
    let (mut uniform, mut lewis) = (Vec::new(), Vec::new());
    let number = |moment: &f64| (moment / interval).floor();
    for within in moments.chunk_by(|a, b| number(a).total_cmp(&number(b)).is_eq()) {
        let Some(first) = within.first().filter(|_| within.len() >= LEAST) else { continue };
        let start = number(first) * interval;
        let lasts = (length - start).min(interval);
        if lasts <= 0.0 {
            continue;
        }
        let shares: Vec<f64> =
            within.iter().map(|moment| ((moment - start) / lasts).clamp(0.0, 1.0)).collect();
        lewis.extend(transformed(&shares));
        uniform.extend(shares);
    }
    if uniform.is_empty() {
        return None;
    }
    let count = uniform.len();
    let distance = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        distance_from(&values, &|value| value.clamp(0.0, 1.0))
    };
    Some(Tests {
        count,
        uniform: distance(uniform),
        lewis: distance(lewis),
        limit: 1.36 / as_f64(count as u64).sqrt(),
    })
}

/// Spacings in the order of their size, each difference as often as there are spacings that large,
/// summed up: of uniform moments these are uniform again.
fn transformed(shares: &[f64]) -> Vec<f64> {
    let ends = shares.iter().copied().chain([1.0]);
    let mut before = 0.0;
    let mut spacings: Vec<f64> = ends
        .map(|share| {
            let spacing = share - before;
            before = share;
            spacing
        })
        .collect();
    spacings.sort_unstable_by(f64::total_cmp);
    let (mut sum, mut smaller) = (0.0, 0.0);
    let left = (1..=spacings.len() as u64).rev();
    spacings
        .iter()
        .zip(left)
        .take(shares.len())
        .map(|(spacing, left)| {
            sum += as_f64(left) * (spacing - smaller);
            smaller = *spacing;
            sum
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::Exp1;

    use super::*;

    const SECONDS: f64 = 1_800.0;

    /// Moments whose gaps are drawn at a rate that depends on the moment.
    fn process(seed: u64, gap: &dyn Fn(&mut ChaCha8Rng, f64) -> f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut moments, mut now) = (Vec::new(), 0.0);
        loop {
            now += gap(&mut random, now);
            if now >= SECONDS {
                return moments;
            }
            moments.push(now);
        }
    }

    fn exponential(random: &mut ChaCha8Rng) -> f64 {
        random.sample(Exp1)
    }

    fn rejected(interval: f64, gap: &dyn Fn(&mut ChaCha8Rng, f64) -> f64) -> [usize; 2] {
        let mut rejected = [0, 0];
        for seed in 0..10 {
            let tests = poisson_tests(&process(seed, gap), interval, SECONDS).unwrap();
            rejected[0] += usize::from(tests.uniform > tests.limit);
            rejected[1] += usize::from(tests.lewis > tests.limit);
        }
        rejected
    }

    /// Science, section 14, E7: shares of rejections with intervals of the whole and of a minute.
    #[test]
    fn poisson_processes_pass_and_others_do_not() {
        let poisson = |random: &mut ChaCha8Rng, _: f64| exponential(random) / 20.0;
        assert!(rejected(60.0, &poisson).iter().all(|count| *count <= 2));
        assert!(rejected(SECONDS, &poisson).iter().all(|count| *count <= 2));
        // The rate of a sine: over the whole it is none with one rate, in each minute it is.
        let wave = |random: &mut ChaCha8Rng, now: f64| {
            let rate = 20.0 * (1.0 + 0.5 * (std::f64::consts::TAU * now / SECONDS).sin());
            exponential(random) / rate
        };
        assert_eq!(rejected(SECONDS, &wave), [10, 10]);
        assert!(rejected(60.0, &wave).iter().all(|count| *count <= 2));
        // More even, and more uneven: the transform sees it, uniformity hardly does.
        let erlang =
            |random: &mut ChaCha8Rng, _: f64| (exponential(random) + exponential(random)) / 40.0;
        let [uniform, lewis] = rejected(60.0, &erlang);
        assert!(uniform <= 2 && lewis == 10, "{uniform} {lewis}");
    }

    #[test]
    fn what_comes_together_is_seen_by_the_transform_alone() {
        let batches = |random: &mut ChaCha8Rng, _: f64| {
            if random.random::<f64>() < 0.23 { 1e-9 } else { exponential(random) / 15.0 }
        };
        let [uniform, lewis] = rejected(60.0, &batches);
        assert!(uniform <= 4 && lewis == 10, "{uniform} {lewis}");
        let tests = poisson_tests(&process(1, &batches), 60.0, SECONDS).unwrap();
        assert!((0.15..0.3).contains(&tests.lewis) && !tests.pass(), "{tests:?}");
    }

    #[test]
    fn moments_that_were_rounded_are_no_poisson_process() {
        let poisson = |random: &mut ChaCha8Rng, _: f64| exponential(random) / 20.0;
        let rounded: Vec<f64> = process(5, &poisson).iter().map(|moment| moment.floor()).collect();
        let tests = poisson_tests(&rounded, 60.0, SECONDS).unwrap();
        assert!(tests.lewis > 0.9, "{tests:?}");
        assert_eq!(poisson_tests(&[], 60.0, SECONDS), None);
        assert_eq!(poisson_tests(&[1.0], 60.0, SECONDS), None);
    }
}
