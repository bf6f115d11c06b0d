//! The rules by which a metric counts as worse or better (science, section 11).

use crate::compare::metric::Metric;
use crate::compare::{Design, MIN_BASE, MIN_NEW, Options, Outcome, told};
use crate::stats::effects::{
    CHANCE, POWER, detectable_at, mean, median_deviation, normal_quantile, pooled_deviation,
    standard_error, student_quantile, student_two_sided,
};
use crate::stats::ranks;
use crate::stats::slopes::median;

/// Of intervals.
pub(super) const CONFIDENCE: f64 = 0.95;

/// One new run must differ by this at least ...
const SINGLE_LEAST: f64 = 0.10;

/// ... and by so many standard deviations of the baseline.
const SINGLE_DEVIATIONS: f64 = 3.0;

/// What was found of a metric, before the others are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// By how much the new runs are above the baseline, on logarithms (or of shares as it is).
    pub(super) shift: f64,
    /// Its interval.
    pub(super) interval: Option<[f64; 2]>,
    /// How likely so large a shift is without a change; `None` where that is not known, and where
    /// all runs are the same.
    pub(super) p: Option<f64>,
    /// The least shift that matters.
    pub(super) limit: f64,
    /// The standard error of the shift; infinite where it is not known.
    pub(super) error: f64,
    /// The degrees of freedom of that.
    pub(super) freedom: usize,
    /// The least shift that is seen in four of five comparisons; infinite where none is.
    pub(super) detectable: f64,
    /// Every run has the same value.
    pub(super) is_same: bool,
}

impl Found {
    /// The least shift that is seen in four of five comparisons where this test has so large a
    /// share of the allowed chance, were it the only one that changed: it must be unlikely, and
    /// above what matters.
    pub(super) fn seen_at(&self, share: f64) -> f64 {
        detectable_at(self.error, Some(self.freedom), share)
            .max(self.limit + normal_quantile(POWER) * self.error)
    }
}

/// Sets the values of a metric beside each other. Both sides have as many as the design asks for.
pub(super) fn found(metric: Metric, [base, new]: [&[f64]; 2], options: &Options) -> Option<Found> {
    let logs = |values: &[f64]| -> Vec<f64> {
        values.iter().map(|value| value.max(metric.resolution()).ln()).collect()
    };
    let (base, new) = (logs(base), logs(new));
    let design = Design::of(base.len(), new.len());
    let scatter = median_deviation(&base)?;
    let seen = match design {
        Design::Gate | Design::Few => pooled_deviation(&base, &new)?,
        Design::Single => scatter,
        Design::Pair => 0.0,
    };
    // Few runs may be alike by chance, so that less than this is not believed.
    let deviation = seen.max(options.noise);
    let error = standard_error(deviation, base.len(), new.len());
    let limit = match design {
        Design::Single => SINGLE_LEAST.max(options.least).ln_1p().max(SINGLE_DEVIATIONS * scatter),
        _ => options.least.ln_1p(),
    };
    let medians = median(new.iter().copied())? - median(base.iter().copied())?;
    let freedom = match design {
        Design::Single => base.len() - 1,
        _ => base.len() + new.len() - 2,
    };
    let (shift, interval, p) = match design {
        Design::Gate | Design::Few => {
            let shift = ranks::shift(&new, &base, CONFIDENCE)?;
            let p = student_two_sided((mean(&new) - mean(&base)) / error, freedom);
            (shift.estimate, shift.interval, Some(p))
        }
        Design::Single => {
            let reach = student_quantile(1.0 - (1.0 - CONFIDENCE) / 2.0, freedom) * error;
            let p = student_two_sided(medians / error, freedom);
            (medians, Some([medians - reach, medians + reach]), Some(p))
        }
        Design::Pair => (medians, None, None),
    };
    let first = base.first().copied().unwrap_or_default();
    let is_same = base.iter().chain(&new).all(|value| (value - first).abs() <= 0.0);
    let found = Found {
        shift,
        interval,
        p: p.filter(|_| !is_same),
        limit,
        error,
        freedom,
        detectable: f64::INFINITY,
        is_same,
    };
    Some(Found { detectable: found.seen_at(1.0), ..found })
}

/// What is said of a metric, its p-value corrected for the number of metrics; and why, where it is
/// not known. `worse` is 1 where a rise is bad, and −1 where a fall is.
pub(super) fn said(
    found: &Found,
    p: Option<f64>,
    worse: f64,
    runs: [usize; 2],
    options: &Options,
) -> (Outcome, String) {
    let design = Design::of(runs[0], runs[1]);
    if design == Design::Pair {
        return (Outcome::Unknown, "one run on a side does not show what runs differ by".into());
    }
    let is_likely = p.is_some_and(|p| p <= CHANCE);
    let interval = found.interval.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
    let is_above = is_likely && found.shift > found.limit && interval[0] > 0.0;
    let is_below = is_likely && found.shift < -found.limit && interval[1] < 0.0;
    match (is_above, is_below) {
        (true, _) if worse > 0.0 => return (Outcome::Regression, String::new()),
        (_, true) if worse < 0.0 => return (Outcome::Regression, String::new()),
        (true, _) | (_, true) => return (Outcome::Improvement, String::new()),
        (false, false) => {}
    }
    if design == Design::Few {
        let note = format!(
            "{} beside {} runs cannot show that nothing changed; {MIN_NEW} beside {MIN_BASE} can",
            runs[1], runs[0]
        );
        return (Outcome::Unknown, note);
    }
    if found.detectable > options.unseen.ln_1p() && !found.is_same {
        let note = format!(
            "runs differ so much that a change of {} could go unseen",
            told(options.unseen)
        );
        return (Outcome::Unknown, note);
    }
    (Outcome::NoRegression, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [f64; 10] = [100.0, 104.0, 97.0, 101.0, 95.0, 103.0, 99.0, 106.0, 98.0, 102.0];

    fn ms(values: &[f64]) -> Vec<f64> {
        values.iter().map(|value| value * 1e6).collect()
    }

    fn outcome(base: &[f64], new: &[f64]) -> Outcome {
        asked(base, new, &Options::default())
    }

    fn asked(base: &[f64], new: &[f64], options: &Options) -> Outcome {
        let (base, new) = (ms(base), ms(new));
        let found = found(Metric::LatencyP99, [&base, &new], options).unwrap();
        said(&found, found.p, 1.0, [base.len(), new.len()], options).0
    }

    #[test]
    fn three_beside_ten_show_what_is_larger_than_their_noise() {
        for (new, expected) in [
            ([121.0, 119.0, 124.0], Outcome::Regression),
            ([80.0, 82.0, 79.0], Outcome::Improvement),
            ([101.0, 97.0, 104.0], Outcome::NoRegression),
            // Surely higher, but by less than matters.
            ([103.0, 103.5, 104.5], Outcome::NoRegression),
            // Half of them higher.
            ([99.0, 130.0, 101.0], Outcome::NoRegression),
        ] {
            assert_eq!(outcome(&BASE, &new), expected, "{new:?}");
        }
    }

    #[test]
    fn what_falls_is_a_regression_where_less_is_worse() {
        let base: Vec<f64> = BASE.map(|value| value * 10.0).to_vec();
        let options = Options::default();
        let of = |new: [f64; 3]| {
            let found = found(Metric::Throughput, [&base, &new], &options).unwrap();
            said(&found, found.p, Metric::Throughput.worse(), [10, 3], &options).0
        };
        assert_eq!(of([800.0, 810.0, 790.0]), Outcome::Regression);
        assert_eq!(of([1_200.0, 1_210.0, 1_190.0]), Outcome::Improvement);
    }

    #[test]
    fn one_run_is_held_against_the_scatter_of_the_baseline() {
        assert_eq!(outcome(&BASE, &[125.0]), Outcome::Regression);
        assert_eq!(outcome(&BASE, &[109.0]), Outcome::NoRegression, "less than a tenth");
        let wild = [100.0, 140.0, 75.0, 120.0, 88.0, 131.0, 94.0, 150.0, 81.0, 110.0];
        assert_eq!(outcome(&wild, &[135.0]), Outcome::Unknown, "as the baseline itself");
    }

    /// What matters is said by who asks, above the tenth that a single run must differ by.
    #[test]
    fn the_least_change_counts_for_one_run_too() {
        let asking = |least| Options { least, unseen: 0.5, ..Options::default() };
        assert_eq!(asked(&BASE, &[125.0], &asking(0.05)), Outcome::Regression);
        assert_eq!(asked(&BASE, &[125.0], &asking(0.3)), Outcome::NoRegression);
    }

    #[test]
    fn fewer_runs_show_large_changes_and_never_their_absence() {
        let four = &BASE[..4];
        assert_eq!(outcome(four, &[160.0, 161.0, 158.0, 163.0]), Outcome::Regression);
        assert_eq!(outcome(four, &[100.0, 101.0, 98.0, 103.0]), Outcome::Unknown);
        assert_eq!(outcome(&BASE[..3], &[160.0, 161.0, 158.0]), Outcome::Unknown, "no interval");
        assert_eq!(outcome(&BASE[..1], &[300.0]), Outcome::Unknown);
        assert_eq!(outcome(&BASE[..1], &[300.0; 20]), Outcome::Unknown);
    }

    #[test]
    fn what_is_the_same_in_all_runs_did_not_change() {
        assert_eq!(outcome(&[50.0; 10], &[50.0; 3]), Outcome::NoRegression);
        assert_eq!(outcome(&[0.0; 10], &[0.0; 3]), Outcome::NoRegression);
        assert_eq!(outcome(&[50.0; 10], &[70.0; 3]), Outcome::Regression);
        assert_eq!(outcome(&[0.0; 10], &[70.0; 3]), Outcome::Regression);
    }

    /// The noise that is assumed keeps three runs that are alike by chance from an alarm.
    #[test]
    fn runs_that_are_alike_by_chance_are_no_proof() {
        let alike = [100.0, 100.1, 99.9, 100.0, 100.2, 99.8, 100.0, 100.1, 99.9, 100.0];
        let new = [105.9, 106.0, 106.1];
        assert_eq!(outcome(&alike, &new), Outcome::NoRegression);
        let options = Options { noise: 0.01, ..Options::default() };
        let (base, new) = (ms(&alike), ms(&new));
        let found = found(Metric::LatencyP99, [&base, &new], &options).unwrap();
        let said = said(&found, found.p, 1.0, [10, 3], &options);
        assert_eq!(said.0, Outcome::Regression, "{found:?}");
    }
}
