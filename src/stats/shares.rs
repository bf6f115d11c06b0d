//! Shares of two groups, and by how much they differ.

use statrs::distribution::{Binomial, DiscreteCDF};

use crate::stats::counts::as_f64;
use crate::stats::effects::{normal_below, normal_quantile};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Share {
    /// Those that are meant.
    pub part: u64,
    /// All; at least `part`.
    pub whole: u64,
}

impl Share {
    /// As a number from 0 to 1; 0 of nothing.
    pub fn ratio(self) -> f64 {
        as_f64(self.part.min(self.whole)) / as_f64(self.whole.max(1))
    }

    /// Groups put together.
    pub fn sum(shares: &[Self]) -> Self {
        shares.iter().fold(Self::default(), |all, each| Self {
            part: all.part.saturating_add(each.part),
            whole: all.whole.saturating_add(each.whole),
        })
    }
}

/// Wilson's interval of a share: those true shares of which the observed one is not unlikely. All
/// that there is, where nothing was observed.
pub fn wilson(share: Share, confidence: f64) -> [f64; 2] {
    if share.whole == 0 {
        return [0.0, 1.0];
    }
    let z = normal_quantile(1.0 - (1.0 - confidence) / 2.0);
    let (n, p) = (as_f64(share.whole), share.ratio());
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / (1.0 + z * z / n);
    // At the ends rounding would leave a part that cannot be.
    let low = if share.part == 0 { 0.0 } else { (middle - reach).max(0.0) };
    let high = if share.part >= share.whole { 1.0 } else { (middle + reach).min(1.0) };
    [low, high]
}

/// Newcombe's interval of the difference between two shares, from Wilson's of each.
pub fn newcombe(new: Share, base: Share, confidence: f64) -> [f64; 2] {
    let ([new_low, new_high], [base_low, base_high]) =
        (wilson(new, confidence), wilson(base, confidence));
    let (p, q) = (new.ratio(), base.ratio());
    let below = (p - new_low).hypot(base_high - q);
    let above = (new_high - p).hypot(q - base_low);
    [p - q - below, p - q + above]
}

/// By how much pairs that differ one way outweigh those that differ the other way, as a share of
/// all pairs; and the variance of that. Half a pair is added to each of the four kinds of pairs, so
/// that few of them are not taken for sure (Agresti and Min, 2005).
pub fn net(one: u64, other: u64, whole: u64) -> [f64; 2] {
    let all = as_f64(whole) + 2.0;
    let (p, q) = ((as_f64(one) + 0.5) / all, (as_f64(other) + 0.5) / all);
    [p - q, (p + q - (p - q).powi(2)) / all]
}

/// The probability that of so many as fall one way or the other by a coin, `one` or more fall the
/// one way: the sign test, one-sided.
pub fn sign_test(one: u64, other: u64) -> f64 {
    let all = one + other;
    if all > MAX_EXACT {
        // The normal approximation with the correction for whole numbers.
        let distance = as_f64(one) - 0.5 - as_f64(all) / 2.0;
        return normal_below(-distance / (as_f64(all).sqrt() / 2.0));
    }
    let law = Binomial::new(0.5, all).ok();
    // None or more is sure.
    one.checked_sub(1).zip(law).map_or(1.0, |(below, law)| law.sf(below))
}

/// Most for which the law of the coin is reckoned as it is: beyond, the library's fraction has too
/// few terms.
const MAX_EXACT: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: [f64; 2], expected: [f64; 2]) {
        let within = |at: usize| (value[at] - expected[at]).abs() < 5e-4;
        assert!(within(0) && within(1), "{value:?} instead of {expected:?}");
    }

    /// Newcombe (1998), the first table of each of his papers: 81 of 263; 15 of 148; 0 of 20; 1 of
    /// 29, and the differences 56/70 − 48/80, 9/10 − 3/10, 10/10 − 0/20.
    #[test]
    fn the_published_examples_have_their_intervals() {
        let share = |part, whole| Share { part, whole };
        near(wilson(share(81, 263), 0.95), [0.2553, 0.3662]);
        near(wilson(share(15, 148), 0.95), [0.0624, 0.1605]);
        near(wilson(share(0, 20), 0.95), [0.0, 0.1611]);
        near(wilson(share(1, 29), 0.95), [0.0061, 0.1718]);
        near(newcombe(share(56, 70), share(48, 80), 0.95), [0.0524, 0.3339]);
        near(newcombe(share(9, 10), share(3, 10), 0.95), [0.1705, 0.8090]);
        near(newcombe(share(10, 10), share(0, 20), 0.95), [0.6791, 1.0]);
    }

    #[test]
    fn nothing_says_nothing() {
        assert!(wilson(Share::default(), 0.95)[1] >= 1.0);
        let [low, high] = newcombe(Share::default(), Share { part: 1, whole: 2 }, 0.95);
        assert!(low < 0.0 && high > 0.0);
    }

    /// Agresti's approvals of a prime minister: of 1 600 people 150 no longer did and 86 did now,
    /// the 95 % interval is 0.02 to 0.06.
    #[test]
    fn matched_pairs_have_the_published_interval() {
        let [apart, variance] = net(150, 86, 1_600);
        let reach = normal_quantile(0.975) * variance.sqrt();
        near([apart - reach, apart + reach], [0.0212, 0.0587]);
        let [apart, variance] = net(0, 0, 0);
        assert!(apart.abs() < 1e-12 && variance > 0.2, "nothing says nothing");
    }

    /// From tables of the binomial distribution; and where both ways of reckoning meet, they agree.
    #[test]
    fn the_sign_test_is_that_of_the_tables() {
        for (one, other, expected) in [
            (0, 0, 1.0),
            (1, 0, 0.5),
            (5, 0, 0.031_25),
            (8, 2, 0.054_687_5),
            (0, 3, 1.0),
            (20, 0, 9.536_743_164_062_5e-7),
        ] {
            let probability = sign_test(one, other);
            assert!((probability / expected - 1.0).abs() < 1e-6, "{one} {other}: {probability}");
        }
        for one in [500, 540, 580] {
            let (exact, near) = (sign_test(one, 1_000 - one), sign_test(one, 1_001 - one));
            assert!((exact / near).ln().abs() < 0.3, "{one}: {exact} {near}");
        }
        assert!(sign_test(10_100_000, 10_000_000) < 1e-9);
    }
}
