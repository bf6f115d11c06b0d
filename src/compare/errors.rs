//! Shares of errors beside each other: requests of one run fail together, so that runs are what
//! counts here, too.

use crate::compare::gate::{CONFIDENCE, Found};
use crate::compare::{Design, Options, Outcome, told};
use crate::stats::bootstrap::share_difference;
use crate::stats::effects::{
    mean, median_deviation, pooled_deviation, standard_error, student_two_sided,
};
use crate::stats::ranks;
use crate::stats::shares::{Share, newcombe};
use crate::stats::slopes::median;

/// So many more errors, or fewer, are no regression: one request in a thousand.
pub(super) const LEAST: f64 = 0.001;

/// Where more than this could have been missed, nothing is said: one in a hundred.
const UNSEEN: f64 = 0.01;

/// So many standard deviations of the baseline a single run must be above it.
const SINGLE_DEVIATIONS: f64 = 3.0;

/// Scatter below which shares are equal: one request in a million.
const EQUAL: f64 = 1e-6;

/// Sets the errors of runs beside each other. The interval is Newcombe's, or that of drawing whole
/// runs again, whichever end is farther out.
pub(super) fn found([base, new]: [&[Share]; 2]) -> Option<Found> {
    let ratios = |shares: &[Share]| shares.iter().map(|share| share.ratio()).collect::<Vec<f64>>();
    let (bases, news) = (ratios(base), ratios(new));
    let design = Design::of(base.len(), new.len());
    let (all_base, all_new) = (Share::sum(base), Share::sum(new));
    let [mut low, mut high] = newcombe(all_new, all_base, CONFIDENCE);
    let is_same = all_base.part == 0 && all_new.part == 0;
    // Of runs without errors, none that is drawn has any.
    if base.len() > 1 && new.len() > 1 && !is_same {
        let [drawn_low, drawn_high] = share_difference(new, base, CONFIDENCE)?;
        (low, high) = (low.min(drawn_low), high.max(drawn_high));
    }
    let scatter = median_deviation(&bases)?;
    let limit = match design {
        Design::Single => LEAST.max(SINGLE_DEVIATIONS * scatter),
        _ => LEAST,
    };
    let shift = match design {
        Design::Single => all_new.ratio() - median(bases.iter().copied())?,
        _ => all_new.ratio() - all_base.ratio(),
    };
    let p = match design {
        Design::Gate | Design::Few => {
            let deviation = pooled_deviation(&bases, &news)?.max(EQUAL);
            let error = standard_error(deviation, bases.len(), news.len());
            let freedom = bases.len() + news.len() - 2;
            // Errors of one run only are no difference of the releases.
            let ranked = ranks::shift(&news, &bases, CONFIDENCE)?;
            let is_apart = ranked.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0);
            let p = student_two_sided((mean(&news) - mean(&bases)) / error, freedom);
            Some(if is_apart { p } else { 1.0 })
        }
        // Its limit is three standard deviations, and Newcombe's interval holds beside it.
        Design::Single => Some(if low > 0.0 || high < 0.0 { 0.0 } else { 1.0 }),
        Design::Pair => None,
    };
    Some(Found {
        shift,
        interval: Some([low, high]),
        p: p.filter(|_| !is_same),
        limit,
        // Of shares there is no relative change that could go unseen.
        error: f64::INFINITY,
        freedom: base.len() + new.len(),
        detectable: f64::INFINITY,
        is_same,
    })
}

/// What is said of the errors; see [`crate::compare::gate::said`].
pub(super) fn said(
    found: &Found,
    p: Option<f64>,
    runs: [usize; 2],
    options: &Options,
) -> (Outcome, String) {
    let high = found.interval.map_or(1.0, |[_, high]| high);
    // Of shares there is no relative change that could go unseen, but an upper end.
    let measured = Found { detectable: 0.0, ..found.clone() };
    let (outcome, note) = super::gate::said(&measured, p, 1.0, runs, options);
    if outcome == Outcome::NoRegression && high > UNSEEN {
        let more = told(high).replace('+', "");
        return (Outcome::Unknown, format!("up to {more} more errors could go unseen"));
    }
    (outcome, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[u64], whole: u64) -> Vec<Share> {
        parts.iter().map(|part| Share { part: *part, whole }).collect()
    }

    fn outcome(base: &[Share], new: &[Share]) -> Outcome {
        let found = found([base, new]).unwrap();
        said(&found, found.p, [base.len(), new.len()], &Options::default()).0
    }

    #[test]
    fn errors_that_every_new_run_has_are_a_regression() {
        let none = of(&[0; 10], 10_000);
        let some = of(&[12, 9, 15, 8, 11, 10, 13, 7, 12, 10], 10_000);
        for (base, new, expected) in [
            (&none, of(&[50, 40, 60], 10_000), Outcome::Regression),
            (&some, of(&[60, 50, 70], 10_000), Outcome::Regression),
            (&none, of(&[0; 3], 10_000), Outcome::NoRegression),
            (&some, of(&[11, 9, 14], 10_000), Outcome::NoRegression),
            // Surely more, but less than one in a thousand.
            (&none, of(&[5, 6, 4], 10_000), Outcome::NoRegression),
            // One bad night.
            (&none, of(&[0, 0, 200], 10_000), Outcome::Unknown),
            (
                &of(&[100, 110, 95, 102, 98, 104, 99, 101, 97, 103], 10_000),
                of(&[0, 1, 0], 10_000),
                Outcome::Improvement,
            ),
        ] {
            assert_eq!(outcome(base, &new), expected, "{new:?}");
        }
    }

    #[test]
    fn a_single_run_is_held_against_the_scatter_of_the_baseline() {
        let wild = of(&[0, 300, 20, 250, 100, 0, 210, 160, 90, 280], 10_000);
        assert_eq!(outcome(&of(&[0; 10], 10_000), &of(&[30], 10_000)), Outcome::Regression);
        assert_ne!(outcome(&wild, &of(&[310], 10_000)), Outcome::Regression);
        assert_eq!(outcome(&of(&[0], 10_000), &of(&[900], 10_000)), Outcome::Unknown);
    }

    #[test]
    fn few_requests_do_not_show_that_nothing_changed() {
        assert_eq!(outcome(&of(&[0; 10], 20), &of(&[0; 3], 20)), Outcome::Unknown);
    }
}
