//! Arrivals whose rate switches between two levels at random: the Markov-modulated Poisson process
//! with two states.

use crate::stats::counts::as_f64;

/// A rate that is calm or busy, each for an exponential time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mmpp2 {
    /// Arrivals a second when calm.
    pub calm: f64,
    /// The same when busy.
    pub busy: f64,
    /// Switches a second from calm to busy.
    pub rises: f64,
    /// Switches a second from busy to calm.
    pub falls: f64,
}

impl Mmpp2 {
    /// The share of the time in which it is busy.
    pub fn busy_share(&self) -> f64 {
        self.rises / (self.rises + self.falls)
    }

    /// Arrivals a second.
    pub fn mean(&self) -> f64 {
        let busy = self.busy_share();
        (1.0 - busy) * self.calm + busy * self.busy
    }

    /// The index of dispersion of counts in windows of `seconds` (Heffes and Lucantoni):
    /// `1 + 2π₁π₂(λ₁−λ₂)² / ((r₁+r₂)·mean) · [1 − (1−e^−ct)/(ct)]` with c = r₁+r₂.
    pub fn dispersion(&self, seconds: f64) -> f64 {
        let (c, busy) = (self.rises + self.falls, self.busy_share());
        let spread = 2.0 * busy * (1.0 - busy) * (self.busy - self.calm).powi(2);
        1.0 + spread / (c * self.mean()) * grown(c * seconds)
    }
}

/// `1 − (1−e^−x)/x`: how much of the dispersion is there in a window of x mean times.
fn grown(x: f64) -> f64 {
    if x < 1e-4 { x / 2.0 } else { 1.0 - (1.0 - (-x).exp()) / x }
}

/// What was seen of counts: their dispersion at several scales, and their skewness at one.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Arrivals a second.
    pub mean: f64,
    /// Windows in seconds, and the index of dispersion in them.
    pub dispersion: Vec<(f64, f64)>,
    /// A window in seconds, and the third central moment of counts in it.
    pub third: Option<(f64, f64)>,
}

/// Rates of forgetting that are tried, a second: states of 20 ms to 1000 s.
const SLOWEST: f64 = 1e-3;
const STEPS: u32 = 120;
const STEP: f64 = 1.096;

/// Fits a process with the mean, the dispersion at all scales by least squares, and the third
/// moment. `None` where the counts vary no more than those of a Poisson process.
pub fn fit(seen: &Seen) -> Option<Mmpp2> {
    let mut best: Option<(f64, f64, f64)> = None;
    for step in 0..STEPS {
        let c = SLOWEST * STEP.powf(f64::from(step));
        // Given c the dispersion is a line through 1 whose slope least squares give at once.
        let (mut products, mut squares) = (0.0, 0.0);
        for (window, dispersion) in &seen.dispersion {
            let part = grown(c * window);
            products += part * (dispersion - 1.0);
            squares += part * part;
        }
        let height = products / squares;
        let error: f64 = seen
            .dispersion
            .iter()
            .map(|(window, dispersion)| (1.0 + height * grown(c * window) - dispersion).powi(2))
            .sum();
        if height > 0.0 && height.is_finite() && best.is_none_or(|best| error < best.0) {
            best = Some((error, c, height));
        }
    }
    let (_, c, height) = best?;
    if seen.mean <= 0.0 {
        return None;
    }
    // The variance of the rate, and how lopsided it is.
    let variance = height * c * seen.mean / 2.0;
    let lopsided = seen.third.map_or(0.0, |(window, third)| {
        let mean = seen.mean * window;
        let second = mean * height * grown(c * window);
        // Factorial cumulants are those of the rate alone.
        let third = third - 3.0 * second - mean;
        let of_rate = 6.0 * variance.powf(1.5) * apart(c, window);
        if of_rate > 0.0 { (third / of_rate).clamp(-20.0, 20.0) } else { 0.0 }
    });
    let busy = 0.5 * (1.0 - lopsided / (4.0 + lopsided * lopsided).sqrt());
    let deviation = variance.sqrt();
    // A calm rate below nothing is none: then the busy time is short enough for zero.
    let least_calm = deviation * (busy / (1.0 - busy)).sqrt();
    let busy = if least_calm > seen.mean {
        let squared = (seen.mean / deviation).powi(2);
        squared / (1.0 + squared)
    } else {
        busy
    };
    Some(Mmpp2 {
        calm: (seen.mean - deviation * (busy / (1.0 - busy)).sqrt()).max(0.0),
        busy: seen.mean + deviation * ((1.0 - busy) / busy).sqrt(),
        rises: c * busy,
        falls: c * (1.0 - busy),
    })
}

/// `∫ (w−s)·s·e^−cs ds` from 0 to w: how far three moments of one window remember each other.
fn apart(c: f64, window: f64) -> f64 {
    const PIECES: u32 = 200;
    let step = window / f64::from(PIECES);
    let at = |index: u32| {
        let s = step * f64::from(index);
        (window - s) * s * (-c * s).exp()
    };
    (0..PIECES).map(|index| f64::midpoint(at(index), at(index + 1)) * step).sum()
}

/// The third central moment of counts around their means; `None` without counts.
pub fn third_moment(counts: &[u64], means: &[f64]) -> Option<f64> {
    let count = counts.len().min(means.len());
    let sum: f64 =
        counts.iter().zip(means).map(|(count, mean)| (as_f64(*count) - mean).powi(3)).sum();
    (count > 0).then(|| sum / as_f64(count as u64))
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::Exp1;

    use super::*;

    const TRUTH: Mmpp2 = Mmpp2 { calm: 20.0, busy: 80.0, rises: 0.2, falls: 0.6 };

    /// Counts of a simulated process in windows of 100 ms.
    fn simulated(process: Mmpp2, seconds: u64) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut counts = vec![0_u64; usize::try_from(seconds * 10).unwrap()];
        let (mut now, mut is_busy, mut until) = (0.0, false, 0.0);
        while now < as_f64(seconds) {
            if now >= until {
                let exponential: f64 = random.sample(Exp1);
                is_busy = !is_busy;
                until = now + exponential / if is_busy { process.falls } else { process.rises };
            }
            let exponential: f64 = random.sample(Exp1);
            let next = now + exponential / if is_busy { process.busy } else { process.calm };
            now = next.min(until);
            let window = crate::stats::counts::as_index(now * 10.0);
            if next < until && window < counts.len() {
                counts[window] += 1;
            }
        }
        counts
    }

    fn seen(counts: &[u64]) -> Seen {
        let windows = [1, 10, 100].map(|factor| {
            let wide: Vec<u64> =
                counts.chunks(factor).map(|chunk| chunk.iter().sum::<u64>()).collect();
            let mean = as_f64(wide.iter().sum()) / as_f64(wide.len() as u64);
            let squares: f64 = wide.iter().map(|count| (as_f64(*count) - mean).powi(2)).sum();
            let dispersion = squares / as_f64(wide.len() as u64) / mean;
            (as_f64(factor as u64) / 10.0, dispersion, mean, wide)
        });
        let [_, (window, _, mean, wide), _] = &windows;
        let third = third_moment(wide, &vec![*mean; wide.len()]).unwrap();
        Seen {
            mean: mean / window,
            dispersion: windows.iter().map(|(w, dispersion, ..)| (*w, *dispersion)).collect(),
            third: Some((*window, third)),
        }
    }

    #[test]
    fn the_formula_has_its_known_values() {
        // Mean 35, and 2·0.25·0.75·3600/(0.8·35) = 48.214 in the limit.
        assert!((TRUTH.mean() - 35.0).abs() < 1e-12);
        assert!((TRUTH.dispersion(1e9) - 49.214_285).abs() < 1e-4);
        assert!((TRUTH.dispersion(1.0) - 16.026_522).abs() < 1e-5, "{}", TRUTH.dispersion(1.0));
        let even = Mmpp2 { busy: 20.0, ..TRUTH };
        assert!((even.dispersion(5.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_simulated_process_is_as_the_formula_says_and_is_found_again() {
        let seen = seen(&simulated(TRUTH, 20_000));
        for (window, dispersion) in &seen.dispersion {
            let expected = TRUTH.dispersion(*window);
            assert!((dispersion / expected - 1.0).abs() < 0.1, "{window}: {dispersion}");
        }
        let found = fit(&seen).unwrap();
        let near = |a: f64, b: f64, tolerance: f64| (a / b - 1.0).abs() < tolerance;
        assert!(near(found.mean(), 35.0, 0.03), "{found:?}");
        assert!(near(found.calm, 20.0, 0.15) && near(found.busy, 80.0, 0.15), "{found:?}");
        assert!(near(found.rises, 0.2, 0.25) && near(found.falls, 0.6, 0.25), "{found:?}");
    }

    #[test]
    fn what_varies_no_more_than_poisson_is_none() {
        let dispersion = vec![(0.1, 1.0), (1.0, 0.9), (10.0, 0.7)];
        assert_eq!(fit(&Seen { mean: 10.0, dispersion, third: None }), None);
        let extreme = Seen { mean: 1.0, dispersion: vec![(1.0, 900.0)], third: Some((1.0, 1e9)) };
        let found = fit(&extreme).unwrap();
        assert!(found.calm >= 0.0 && found.busy.is_finite(), "{found:?}");
        assert!((found.mean() - 1.0).abs() < 1e-6, "{found:?}");
    }
}
