//! A metric of both sides: what was found of it, corrected for all that was asked, and what is
//! said.

use crate::compare::gate::{self, Found};
use crate::compare::metric::{Metric, Quantity};
use crate::compare::{Judged, Options, Outcome, errors};
use crate::stats::counts::as_f64;
use crate::stats::effects::holm_weighted;
use crate::stats::shares::Share;
use crate::stats::slopes::median;

/// A metric before the others are known.
#[derive(Clone, Debug)]
pub(super) struct Tested {
    pub(super) judged: Judged,
    /// `None` where some run has no value.
    pub(super) found: Option<Found>,
}

/// Tests the values of the runs of each side; of errors, their shares.
pub(super) fn tested(
    metric: Metric,
    values: [Vec<Option<f64>>; 2],
    shares: Option<[Vec<Share>; 2]>,
    options: &Options,
) -> Tested {
    let [base, new]: [Vec<f64>; 2] =
        values.each_ref().map(|side| side.iter().flatten().copied().collect());
    let judged = Judged {
        metric,
        outcome: Outcome::Unknown,
        medians: [&base, &new].map(|side| median(side.iter().copied())),
        change: None,
        interval: None,
        within: None,
        p: None,
        detectable: None,
        note: String::new(),
        values,
    };
    let found = match (metric, shares) {
        _ if !judged.is_there() => None,
        (Metric::Errors, Some([base, new])) => errors::found([&base, &new]),
        (Metric::Errors, None) => None,
        _ => gate::found(metric, [&base, &new], options),
    };
    Tested { judged, found }
}

/// The part of the allowed chance that the figures of the whole run have, where routes are tested
/// too: else a hundred routes would hide what all of them show together.
const WHOLE: f64 = 0.8;

/// Corrects the p-values of all that is tested together after Holm, by whom tests may have weights.
pub(super) fn correct(whole: &mut [Tested], routes: &mut [Tested]) {
    let has_p = |tested: &&mut Tested| tested.found.as_ref().is_some_and(|it| it.p.is_some());
    let families = [whole, routes].map(|all| all.iter_mut().filter(has_p).collect::<Vec<_>>());
    let share = match families.each_ref().map(Vec::len) {
        [_, 0] => [1.0, 0.0],
        [0, _] => [0.0, 1.0],
        _ => [WHOLE, 1.0 - WHOLE],
    };
    let mut all = Vec::new();
    for (family, share) in families.into_iter().zip(share) {
        let weight = share / as_f64(family.len().max(1) as u64);
        all.extend(family.into_iter().map(|tested| (tested, weight)));
    }
    let weighed: Vec<(f64, f64)> = all
        .iter()
        .filter_map(|(tested, weight)| Some((tested.found.as_ref()?.p?, *weight)))
        .collect();
    for ((tested, weight), p) in all.into_iter().zip(holm_weighted(&weighed)) {
        tested.judged.p = Some(p);
        if let Some(found) = &mut tested.found {
            found.detectable = found.seen_at(weight);
        }
    }
}

impl Tested {
    /// What is said of it.
    pub(super) fn decided(self, runs: [usize; 2], options: &Options) -> Judged {
        let Self { mut judged, found } = self;
        let Some(found) = found else { return judged };
        let is_share = judged.metric.quantity() == Quantity::Share;
        let plain = |shift: f64| if is_share { shift } else { shift.exp_m1() };
        judged.change = Some(plain(found.shift));
        judged.interval = found.interval.map(|ends| ends.map(plain));
        judged.detectable = Some(plain(found.detectable)).filter(|change| change.is_finite());
        (judged.outcome, judged.note) = if is_share {
            errors::said(&found, judged.p, runs, options)
        } else {
            gate::said(&found, judged.p, judged.metric.worse(), runs, options)
        };
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: [&[f64]; 2]) -> Tested {
        let some = values.map(|side| side.iter().map(|value| Some(value * 1e6)).collect());
        tested(Metric::LatencyP50, some, None, &Options::default())
    }

    const BASE: [f64; 10] = [100.0, 104.0, 97.0, 101.0, 95.0, 103.0, 99.0, 106.0, 98.0, 102.0];

    #[test]
    fn many_routes_weigh_less_on_the_whole_than_on_each_other() {
        let slower = || of([&BASE, &[121.0, 119.0, 124.0]]);
        let p = |routes: usize| {
            let (mut whole, mut by_route) = (vec![slower()], vec![slower(); routes]);
            correct(&mut whole, &mut by_route);
            let first = by_route.first().and_then(|tested| tested.judged.p);
            let seen = by_route.first().and_then(|tested| Some(tested.found.as_ref()?.detectable));
            (whole[0].judged.p.unwrap(), first, seen)
        };
        let (alone, none, _) = p(0);
        assert_eq!(none, None);
        let (beside, of_one, seen_of_one) = p(1);
        let (among, of_many, seen_of_many) = p(100);
        assert!((beside - alone / WHOLE).abs() < 1e-12, "{beside} {alone}");
        assert!((among - beside).abs() < 1e-12, "the number of routes costs the whole nothing");
        assert!(of_many > of_one, "{of_many:?} {of_one:?}");
        assert!(seen_of_many > seen_of_one, "{seen_of_many:?} {seen_of_one:?}");
    }

    #[test]
    fn a_value_that_is_missing_is_no_test() {
        let values = [vec![Some(1e6), None], vec![Some(2e6)]];
        let lacking = tested(Metric::LatencyP50, values, None, &Options::default());
        assert!(lacking.found.is_none());
        let said = lacking.decided([2, 1], &Options::default());
        assert_eq!((said.outcome, said.change), (Outcome::Unknown, None));
    }
}
