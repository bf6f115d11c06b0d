//! Where a series changes, by the distances within and between its parts: E-divisive (Matteson and
//! James), stopped by permutations as they have it, or by Student's test in windows as Hunter and
//! Apache Otava do for nightly runs.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::stats::counts::as_f64;
use crate::stats::effects::{mean, squares, student_two_sided};

/// Most points of a series: each is compared with every other.
pub const MAX_POINTS: usize = 5_000;

/// Fewest points of a part: from one alone no scatter is known.
const SHORTEST: usize = 2;

/// Where a segment is best cut, and how far its parts are apart there.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    at: usize,
    q: f64,
}

/// The cut of a series with the largest `Q = nm/(n+m) · (2/(nm) ΣΣ|x−y| − C(n,2)⁻¹ ΣΣ|x−x'| −
/// C(m,2)⁻¹ ΣΣ|y−y'|)`; `None` where no cut leaves enough on both sides.
fn best_cut<const D: usize>(points: &[[f64; D]]) -> Option<Cut> {
    let count = points.len();
    // Everything is to the right of the first cut; then one point after the other changes sides.
    let mut right: f64 = (0..count).map(|at| distances(points[at], &points[at + 1..])).sum();
    let (mut between, mut left) = (0.0, 0.0);
    let mut best: Option<Cut> = None;
    for at in 1..=count.saturating_sub(SHORTEST) {
        let moved = points[at - 1];
        let (before, after) =
            (distances(moved, &points[..at - 1]), distances(moved, &points[at..]));
        (left, right, between) = (left + before, right - after, between - before + after);
        if at < SHORTEST {
            continue;
        }
        let [n, m] = [at, count - at].map(|size| as_f64(size as u64));
        let q = 2.0 / (n + m) * (between - left * m / (n - 1.0) - right * n / (m - 1.0));
        if best.is_none_or(|best| q > best.q) {
            best = Some(Cut { at, q });
        }
    }
    best
}

fn distances<const D: usize>(point: [f64; D], others: &[[f64; D]]) -> f64 {
    let distance = |other: &[f64; D]| match D {
        1 => (point[0] - other[0]).abs(),
        _ => point.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
    };
    others.iter().map(distance).sum()
}

/// Cuts the segment whose parts are farthest apart, again and again, as long as the next cut is
/// `accepted`; yields them in the order in which they were found.
fn divide<const D: usize>(
    points: &[[f64; D]],
    mut accepted: impl FnMut(Cut, std::ops::Range<usize>) -> bool,
) -> Vec<usize> {
    let mut open: Vec<(std::ops::Range<usize>, Cut)> = Vec::new();
    let mut found = Vec::new();
    let put = |segment: std::ops::Range<usize>, open: &mut Vec<_>| {
        if let Some(cut) = best_cut(&points[segment.clone()]) {
            let cut = Cut { at: cut.at + segment.start, ..cut };
            open.push((segment, cut));
        }
    };
    put(0..points.len(), &mut open);
    // Of equal ones the first.
    while let Some(next) =
        (0..open.len()).rev().max_by(|a, b| open[*a].1.q.total_cmp(&open[*b].1.q))
    {
        let (segment, cut) = open.swap_remove(next);
        if !accepted(cut, segment.clone()) {
            break;
        }
        found.push(cut.at);
        put(segment.start..cut.at, &mut open);
        put(cut.at..segment.end, &mut open);
    }
    found
}

/// When a cut is believed that permutations are to test.
#[derive(Clone, Copy, Debug)]
pub struct Permutations {
    /// How many there are.
    pub count: u32,
    /// The share of them that may do as well.
    pub p: f64,
    /// Of their random order.
    pub seed: u64,
}

/// The changes of a series of points, in the order in which they are found. A cut is believed
/// where the points of its segment, in random order, can rarely be cut as well. None for more than
/// [`MAX_POINTS`] points, or any that is not finite.
pub fn by_permutations<const D: usize>(points: &[[f64; D]], rule: Permutations) -> Vec<usize> {
    if points.len() > MAX_POINTS || points.iter().flatten().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let mut random = ChaCha8Rng::seed_from_u64(rule.seed);
    divide(points, |cut, segment| {
        if cut.q <= 0.0 {
            return false;
        }
        let mut shuffled = points[segment].to_vec();
        let as_good = (0..rule.count).filter(|_| {
            shuffled.shuffle(&mut random);
            best_cut(&shuffled).is_some_and(|other| other.q >= cut.q)
        });
        as_f64(as_good.count() as u64) / (f64::from(rule.count) + 1.0) <= rule.p
    })
}

/// How changes of a nightly series are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Points of a window; the next one begins half of it later, or at the last change.
    pub length: usize,
    /// The largest p-value of a change.
    pub p: f64,
    /// The least relative change of the mean.
    pub magnitude: f64,
}

/// A change of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The first point after it.
    pub at: usize,
    /// Mean of the points between the change before and this one.
    pub before: f64,
    /// Mean of the points from here to the next change.
    pub after: f64,
    /// By Student's test of those two.
    pub p: f64,
}

impl Change {
    /// The change of the mean as a share of what it was; infinite from zero.
    pub fn relative(&self) -> f64 {
        if (self.after - self.before).abs() <= 0.0 {
            return 0.0;
        }
        (self.after - self.before) / self.before.abs()
    }
}

/// The changes of a series, in its order: sought in windows by ten times the p-value, and then the
/// weakest are taken away, one after the other, until what is left holds by itself. None for more
/// than [`MAX_POINTS`] values, or any that is not finite.
pub fn by_windows(values: &[f64], rule: Windows) -> Vec<Change> {
    if values.len() > MAX_POINTS || values.iter().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let mut cuts = weak(values, rule);
    loop {
        let changes = measured(values, &cuts);
        let weakest = changes.iter().max_by(|a, b| a.p.total_cmp(&b.p));
        let smallest = changes.iter().min_by(|a, b| size(a).total_cmp(&size(b)));
        let out = match (weakest, smallest) {
            (Some(weakest), _) if weakest.p >= rule.p => weakest.at,
            (_, Some(smallest)) if size(smallest) <= rule.magnitude => smallest.at,
            _ => return changes,
        };
        cuts.retain(|cut| *cut != out);
    }
}

fn size(change: &Change) -> f64 {
    change.relative().abs()
}

/// How much weaker than in the end a cut may be at first.
const AT_FIRST: f64 = 10.0;

/// The cuts that windows find, in order.
fn weak(values: &[f64], rule: Windows) -> Vec<usize> {
    let (length, step) = (rule.length.max(2), (rule.length / 2).max(1));
    let points: Vec<[f64; 1]> = values.iter().map(|value| [*value]).collect();
    let (mut cuts, mut start) = (Vec::new(), 0);
    while start < values.len() {
        let end = (start + length).min(values.len());
        let mut inside: Vec<usize> = Vec::new();
        divide(&points[start..end], |cut, segment| {
            let window = &values[start..end];
            let p = student(&window[segment.start..cut.at], &window[cut.at..segment.end]);
            let is_weak = p <= rule.p * AT_FIRST;
            inside.extend(is_weak.then_some(cut.at + start));
            is_weak
        });
        let last = inside.iter().copied().max().unwrap_or(0);
        cuts.extend(inside);
        start = last.max(start + step);
    }
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Each cut with the means on both sides of it, up to the next ones.
pub fn measured(values: &[f64], cuts: &[usize]) -> Vec<Change> {
    let befores = std::iter::once(0).chain(cuts.iter().copied());
    let afters = cuts.iter().copied().skip(1).chain(std::iter::once(values.len()));
    let sides = befores.zip(cuts).zip(afters);
    let change = |((before, at), after): ((usize, &usize), usize)| {
        let (left, right) = (&values[before..*at], &values[*at..after]);
        Change { at: *at, before: mean(left), after: mean(right), p: student(left, right) }
    };
    sides.map(change).collect()
}

/// The p-value of Student's test as Otava has it: with the standard deviation of the points
/// themselves and not the one of what they are a sample of, which is a little too sure.
fn student(left: &[f64], right: &[f64]) -> f64 {
    let (n, m) = (as_f64(left.len() as u64), as_f64(right.len() as u64));
    let Some(freedom) = (left.len() + right.len()).checked_sub(2).filter(|freedom| *freedom > 0)
    else {
        return 1.0;
    };
    let own = |values: &[f64], count: f64| squares(values) / count * (count - 1.0);
    let variance = (own(left, n) + own(right, m)) / (n + m - 2.0);
    let difference = mean(left) - mean(right);
    if difference.abs() <= 0.0 {
        return 1.0;
    }
    student_two_sided(difference / (variance * (1.0 / n + 1.0 / m)).sqrt(), freedom)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::Normal;

    use super::*;

    const HUNDRED: Permutations = Permutations { count: 100, p: 0.05, seed: 1 };

    fn line(values: &[f64]) -> Vec<[f64; 1]> {
        values.iter().map(|value| [*value]).collect()
    }

    fn levels<const D: usize>(levels: &[(usize, [f64; D])]) -> Vec<[f64; D]> {
        levels.iter().flat_map(|(count, level)| std::iter::repeat_n(*level, *count)).collect()
    }

    /// Golden value P8: a step of a thousand points each, and two steps in the plane, of which the
    /// later one is larger.
    #[test]
    fn steps_are_found_where_they_are_the_largest_first() {
        assert_eq!(by_permutations(&levels(&[(1000, [0.0]), (1000, [1.0])]), HUNDRED), [1000]);
        let plane = [(100, [0.0, 0.0]), (100, [1.0, 1.0]), (100, [9.0, 9.0])];
        assert_eq!(by_permutations(&levels(&plane), HUNDRED), [200, 100]);
        for size in [4, 5, 9, 40] {
            let step = levels(&[(size, [0.0]), (size, [1.0])]);
            assert_eq!(by_permutations(&step, HUNDRED), [size]);
        }
    }

    /// Random whole numbers around three levels, and steps with single points astray, with the
    /// places that `MongoDB`'s library finds in them.
    #[test]
    fn what_mongodb_finds_is_found() {
        let noisy = [
            41, 18, 23, 3, 32, 11, 40, 13, 29, 48, 47, 35, 18, 21, 6, 2, 23, 3, 4, 7, 120, 103,
            102, 81, 71, 62, 115, 61, 108, 63, 70, 98, 65, 96, 64, 74, 70, 113, 90, 114, 208, 196,
            153, 150, 225, 179, 206, 165, 177, 151, 218, 217, 244, 245, 229, 195, 225, 229, 176,
            250,
        ];
        let noisy: Vec<[f64; 1]> = noisy.map(|value| [f64::from(value)]).to_vec();
        let strict = Permutations { p: 0.01, ..HUNDRED };
        assert_eq!(by_permutations(&noisy, strict), [40, 20]);
        let mut back = levels(&[(15, [50.0]), (15, [100.0]), (15, [50.0])]);
        (back[2], back[32]) = ([100.0], [100.0]);
        let found = by_permutations(&back, HUNDRED);
        assert!(found.contains(&15) && found.contains(&33), "there and back: {found:?}");
        assert_eq!(by_permutations(&levels(&[(30, [50.0])]), strict), [0; 0]);
        let mut between = levels(&[(14, [50.0]), (1, [76.0]), (15, [100.0])]);
        assert_eq!(by_permutations(&between, strict), [14]);
        between[14] = [74.0];
        assert_eq!(by_permutations(&between, strict), [15]);
    }

    /// By trying every cut with the formula as it stands.
    #[test]
    fn moving_one_point_after_the_other_is_the_formula() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5];
        let among = |part: &[f64], other: &[f64]| -> f64 {
            part.iter().flat_map(|a| other.iter().map(move |b| (a - b).abs())).sum()
        };
        let q = |at: usize| {
            let (x, y) = values.split_at(at);
            let [n, m] = [x.len(), y.len()].map(|size| as_f64(size as u64));
            let within = |part: &[f64], n: f64| among(part, part) / 2.0 / (n * (n - 1.0) / 2.0);
            n * m / (n + m) * (2.0 / (n * m) * among(x, y) - within(x, n) - within(y, m))
        };
        let best = (2..=6).max_by(|a, b| q(*a).total_cmp(&q(*b))).unwrap();
        let cut = best_cut(&line(&values)).unwrap();
        assert_eq!(cut.at, best);
        assert!((cut.q - q(best)).abs() < 1e-9, "{} {}", cut.q, q(best));
    }

    /// Golden value P7: the sample of Otava's documentation.
    #[test]
    fn the_sample_of_otava_changes_at_its_sixth_run() {
        let values = [10.43, 10.23, 10.29, 10.91, 10.34, 10.69, 9.23, 9.11, 9.13, 9.03];
        let rule = Windows { length: 50, p: 0.001, magnitude: 0.0 };
        let changes = by_windows(&values, rule);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].at, 6);
        assert!((changes[0].relative() + 0.129).abs() < 0.000_5, "{changes:?}");
        assert!((4e-6..6e-6).contains(&changes[0].p), "{changes:?}");
    }

    const HALVED: [f64; 20] = [
        1.02, 0.95, 0.99, 1.00, 1.12, 1.00, 1.01, 0.98, 1.01, 0.96, 0.50, 0.51, 0.48, 0.48, 0.55,
        0.50, 0.49, 0.51, 0.50, 0.49,
    ];

    /// Golden value P9: Hunter's series, and the test of significance of its tests.
    #[test]
    fn the_series_of_hunter_changes_once() {
        let rule = Windows { length: 10, p: 1e-4, magnitude: 0.0 };
        let changes = by_windows(&HALVED, rule);
        assert_eq!(changes.iter().map(|change| change.at).collect::<Vec<_>>(), [10]);
        let calm = [1.00, 1.02, 1.05, 0.95, 0.98];
        assert!(student(&calm, &calm) > 0.99);
        assert!(student(&calm, &[0.80, 0.82, 0.85, 0.79, 0.77]) < 0.001);
    }

    #[test]
    fn a_change_that_is_too_small_is_none() {
        let rule = Windows { length: 50, p: 0.001, magnitude: 0.05 };
        let step = |by: f64| -> Vec<f64> {
            HALVED[..10]
                .iter()
                .chain(HALVED[..10].iter())
                .enumerate()
                .map(|(at, value)| 100.0 + value + if at < 10 { 0.0 } else { by })
                .collect()
        };
        assert_eq!(by_windows(&step(4.0), rule), []);
        assert_eq!(by_windows(&step(6.0), rule)[0].at, 10);
    }

    #[test]
    fn noise_rarely_changes_and_what_changes_back_is_found_twice() {
        let rule = Windows { length: 50, p: 0.001, magnitude: 0.05 };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let law = Normal::new(0.0, 0.05).unwrap();
        let mut nights = |level: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..120).map(|night| level(night) * (1.0 + random.sample(law))).collect()
        };
        let calm = (0..50).map(|_| by_windows(&nights(&|_| 80.0), rule).len()).sum::<usize>();
        assert!(calm <= 5, "{calm} changes in 50 histories without any");
        let slower = |night: usize| if (60..90).contains(&night) { 96.0 } else { 80.0 };
        let mut right = 0;
        for _ in 0..50 {
            let found: Vec<usize> =
                by_windows(&nights(&slower), rule).iter().map(|change| change.at).collect();
            let near = |at: usize| found.iter().any(|cut| cut.abs_diff(at) <= 2);
            right += usize::from(near(60) && near(90));
        }
        assert!(right >= 45, "{right} of 50");
    }

    #[test]
    fn what_cannot_be_cut_is_not() {
        let rule = Windows { length: 50, p: 0.001, magnitude: 0.0 };
        for values in [&[][..], &[1.0], &[1.0, 2.0], &[1.0, 2.0, 3.0], &[1.0; 9], &[1.0, f64::NAN]]
        {
            assert_eq!(by_windows(values, rule), [], "{values:?}");
            assert_eq!(by_permutations(&line(values), HUNDRED), [0; 0], "{values:?}");
        }
        // From nothing to something.
        let begun = by_windows(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], rule);
        assert_eq!(begun[0].at, 4);
        assert!(begun[0].relative().is_infinite());
    }
}
