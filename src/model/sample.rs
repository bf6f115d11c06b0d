//! Values of which a bounded number is kept, evenly from all.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::sketch::Owned;

/// Values that are kept: enough for the thousandth part of a distribution.
pub const MAX_SAMPLE: usize = 20_000;

/// A sample: after any number of values, each is kept as likely as any other.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// All that there were.
    pub seen: u64,
    /// Those that were kept.
    pub kept: Vec<Owned>,
}

impl Sample {
    /// Takes the next value.
    pub fn add(&mut self, value: f64, owner: u32, random: &mut ChaCha8Rng) {
        self.seen += 1;
        if self.kept.len() < MAX_SAMPLE {
            self.kept.push((value, owner));
            return;
        }
        let place = random.random_range(0..self.seen);
        if let Some(kept) = usize::try_from(place).ok().and_then(|at| self.kept.get_mut(at)) {
            *kept = (value, owner);
        }
    }
}

/// The values of several samples, of each as many as its share of all, so that a large one does
/// not count for as much as a small one.
pub fn together<'a>(samples: impl Iterator<Item = &'a Sample> + Clone) -> Vec<Owned> {
    let all: u64 = samples.clone().map(|sample| sample.seen).sum();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut values = Vec::new();
    for sample in samples {
        let wanted = u128::from(sample.seen) * MAX_SAMPLE as u128 / u128::from(all.max(1));
        let wanted = usize::try_from(wanted).unwrap_or(MAX_SAMPLE) + 1;
        if sample.kept.len() <= wanted {
            values.extend(&sample.kept);
            continue;
        }
        let place = |_| sample.kept[random.random_range(0..sample.kept.len())];
        values.extend((0..wanted).map(place));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::counts::as_f64;

    fn sample(values: std::ops::Range<u32>) -> Sample {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut sample = Sample::default();
        for value in values {
            sample.add(f64::from(value), value, &mut random);
        }
        sample
    }

    #[test]
    fn late_values_are_kept_as_often_as_early_ones() {
        let sample = sample(0..100_000);
        assert_eq!((sample.seen, sample.kept.len()), (100_000, MAX_SAMPLE));
        let late = sample.kept.iter().filter(|(value, _)| *value >= 50_000.0).count() as u64;
        assert!((as_f64(late) / as_f64(MAX_SAMPLE as u64) - 0.5).abs() < 0.02, "{late}");
    }

    #[test]
    fn samples_are_put_together_by_how_many_there_were() {
        let (large, small) = (sample(0..300_000), sample(900_000..1_000_000));
        let both = together([&large, &small].into_iter());
        let of_small = both.iter().filter(|(value, _)| *value >= 900_000.0).count() as u64;
        let share = as_f64(of_small) / as_f64(both.len() as u64);
        assert!((share - 0.25).abs() < 0.01 && both.len() <= MAX_SAMPLE + 2, "{share}");
        assert!(together(std::iter::empty()).is_empty());
    }
}
