//! Kneedle: where a curve bends away from the straight line between its ends (Satopaa and others,
//! 2011). It is an annotation: the knee of the same curve moves with the range that was measured.

use crate::stats::counts::as_f64;

/// How a rising curve bends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bend {
    /// Steep first, then flat: throughput over load.
    Concave,
    /// Flat first, then steep: latency over load.
    Convex,
}

/// How far below its maximum the difference to the straight line must fall before that is a knee,
/// in mean distances of the points: the published default.
const SENSITIVITY: f64 = 1.0;

/// Fewest points with a bend.
const FEWEST: usize = 4;

/// The first knee of a curve whose `x` rise; `None` where it has none, or where the points are too
/// few, not in order, or not finite.
///
/// As published, but without its smoothing spline: a handful of medians has nothing to smooth.
pub fn knee(points: &[(f64, f64)], bend: Bend) -> Option<f64> {
    let is_finite = points.iter().all(|(x, y)| x.is_finite() && y.is_finite());
    let in_order = points.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if points.len() < FEWEST || !is_finite || !in_order {
        return None;
    }
    let highest = points.iter().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
    let lowest = points.iter().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let (first, last) = (points.first()?.0, points.last()?.0);
    if highest <= lowest {
        return None;
    }
    let across = |x: f64| (x - first) / (last - first);
    let up = |y: f64| (y - lowest) / (highest - lowest);
    // A convex curve upside down and from behind is a concave one.
    let mut unit: Vec<(f64, f64)> = match bend {
        Bend::Concave => points.iter().map(|(x, y)| (across(*x), up(*y))).collect(),
        Bend::Convex => points.iter().map(|(x, y)| (1.0 - across(*x), 1.0 - up(*y))).collect(),
    };
    unit.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = first_knee(&unit)?;
    let index = match bend {
        Bend::Concave => at,
        Bend::Convex => points.len() - 1 - at,
    };
    points.get(index).map(|(x, _)| *x)
}

/// The index of the first local maximum of the difference to the diagonal behind which it falls
/// below that maximum's threshold before it rises to the next.
fn first_knee(unit: &[(f64, f64)]) -> Option<usize> {
    let above: Vec<f64> = unit.iter().map(|(x, y)| y - x).collect();
    let mean_step = 1.0 / as_f64(unit.len() as u64 - 1);
    let mut candidate: Option<(usize, f64)> = None;
    for at in 1..above.len() {
        if let Some((knee, threshold)) = candidate
            && above[at] < threshold
        {
            return Some(knee);
        }
        let next = above.get(at + 1).copied();
        let is_peak = above[at] >= above[at - 1] && next.is_some_and(|next| above[at] >= next);
        let is_valley = above[at] <= above[at - 1] && next.is_some_and(|next| above[at] <= next);
        if is_peak {
            candidate = Some((at, above[at] - SENSITIVITY * mean_step));
        } else if is_valley {
            // What did not fall far enough is no knee; only the diagonal itself ends it now.
            candidate = candidate.map(|(knee, _)| (knee, 0.0));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figure 2 of the paper.
    #[test]
    fn the_knee_of_the_paper_is_found() {
        let points: Vec<(f64, f64)> =
            (0..10).map(|at| f64::from(at) / 9.0).map(|x| (x, 5.0 - 1.0 / (x + 0.1))).collect();
        let found = knee(&points, Bend::Concave).unwrap();
        assert!((found - 0.222).abs() < 1e-3, "{found}");
    }

    #[test]
    fn latency_that_explodes_has_its_knee_before_it_does() {
        // A queue that is served 1 000 times a second.
        let loads = [100.0, 200.0, 400.0, 600.0, 700.0, 800.0, 900.0, 950.0, 980.0];
        let points: Vec<(f64, f64)> =
            loads.iter().map(|load| (*load, 1.0 / (1_000.0 - load))).collect();
        let found = knee(&points, Bend::Convex).unwrap();
        assert!((800.0..=950.0).contains(&found), "{found}");
    }

    #[test]
    fn a_straight_line_has_no_knee_and_nonsense_neither() {
        let line: Vec<(f64, f64)> = (0..9).map(|at| (f64::from(at), f64::from(at) * 3.0)).collect();
        for bend in [Bend::Concave, Bend::Convex] {
            assert_eq!(knee(&line, bend), None);
            assert_eq!(knee(&[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0)], bend), None);
            assert_eq!(knee(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 4.0)], bend), None);
            assert_eq!(knee(&[(0.0, 1.0), (0.0, 2.0), (2.0, 3.0), (3.0, 4.0)], bend), None);
            assert_eq!(knee(&[], bend), None);
        }
    }
}
