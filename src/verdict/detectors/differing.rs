//! Whether answers differ from the recorded ones by more than they differ by themselves.

use crate::stats::counts::as_f64;
use crate::stats::shares::{Share, newcombe, wilson};
use crate::summary::evidence::responses::{Example, Ways};
use crate::units::{format_count, format_counted, format_duration};

/// Fewest answers of a route that are judged: below, one that differs is a large share.
pub(super) const MIN_COMPARED: u64 = 20;

/// Fewest requests that were recorded again, from which on it is known by how much answers to the
/// same request differ by themselves.
pub(super) const MIN_REPEATS: u64 = 20;

/// How often a run may tell of answers that differ by chance alone, over all of its routes.
const FALSE_ALARMS: f64 = 0.01;

/// How sure each of so many comparisons must be, so that all of them together keep to that.
pub(super) fn confidence(comparisons: usize) -> f64 {
    1.0 - FALSE_ALARMS / as_f64(comparisons.max(1) as u64)
}

/// Says whether more than `least` of the `compared` answers differ in `one` way, and not by chance,
/// where `other` of them differ in the other way.
///
/// What differs by itself does so in both ways: which of two answers to one request was the
/// recorded one is chance. So the one way must outweigh the other (a sign test), and what differs
/// must be more than what differs in this way between `repeats` of the recording (Newcombe's
/// interval), as far as it has any.
pub(super) fn is_beyond(
    [one, other]: [u64; 2],
    compared: u64,
    repeats: Share,
    (least, routes): (f64, usize),
) -> bool {
    let confidence = confidence(routes);
    let (share, ways) =
        (Share { part: one, whole: compared }, Share { part: one, whole: one + other });
    let surely = if repeats.whole >= MIN_REPEATS {
        newcombe(share, repeats, confidence)[0]
    } else {
        wilson(share, confidence)[0]
    };
    compared >= MIN_COMPARED && surely > least && wilson(ways, confidence)[0] > 0.5
}

/// Of production's answers to requests that were recorded again, those that were less than the one
/// before.
pub(super) fn less(repeats: Ways) -> Share {
    Share { part: repeats.less, whole: repeats.compared }
}

/// Those that were more.
pub(super) fn more(repeats: Ways) -> Share {
    Share { part: repeats.more, whole: repeats.compared }
}

/// Routes named in the evidence, the most affected first.
const MAX_NAMED: usize = 8;

/// The first of the sentences, and how many more there are.
pub(super) fn named(told: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let beyond = told.len().saturating_sub(MAX_NAMED);
    let mut lines: Vec<String> = told.take(MAX_NAMED).collect();
    if beyond > 0 {
        lines.push(routes(beyond));
    }
    lines
}

/// How many routes a title does not name.
pub(super) fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {})", routes(count)) }
}

fn routes(count: usize) -> String {
    format_counted(count as u64, "more route", "more routes")
}

/// How often production's answers differ by themselves.
pub(super) fn by_itself(repeats: Ways, what: &str) -> String {
    if repeats.compared == 0 {
        return "no request of it was recorded twice, so that it is not known how its answers \
                differ by themselves"
            .to_owned();
    }
    let changed = format_count(repeats.less + repeats.more);
    let all = format_counted(repeats.compared, "answer", "answers");
    format!("in the recording, {changed} of {all} to a request asked before had another {what}")
}

/// Where one of them is to be found. Targets are users' own, and stay in the recording.
pub(super) fn such_as(example: Example) -> String {
    let number = format_count(example.index + 1);
    let due = format_duration(example.due);
    format!("the first of them is request {number} of the plan, due at {due}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond(ways: [u64; 2], compared: u64, repeats: [u64; 2]) -> bool {
        let [part, whole] = repeats;
        is_beyond(ways, compared, Share { part, whole }, (0.001, 1))
    }

    #[test]
    fn a_few_that_differ_are_chance_and_many_one_way_are_not() {
        for (ways, compared, repeats, found) in [
            ([1, 0], 20, [0, 0], false),
            ([6, 0], 200, [0, 100], false),
            ([24, 0], 200, [0, 100], true),
            ([19, 0], 19, [0, 0], false),
            ([200, 0], 200, [0, 0], true),
            // Both ways alike: they differ by themselves.
            ([100, 90], 200, [0, 0], false),
            // As many as between one answer of production and the next.
            ([60, 0], 200, [30, 100], false),
            ([180, 0], 200, [30, 100], true),
            // Few repeats tell nothing.
            ([60, 0], 200, [6, 19], true),
        ] {
            assert_eq!(beyond(ways, compared, repeats), found, "{ways:?} of {compared}");
        }
    }

    #[test]
    fn many_routes_need_more_to_be_sure() {
        let twelve = |routes| is_beyond([9, 0], 200, Share::default(), (0.001, routes));
        assert!(twelve(1) && !twelve(2_000));
    }

    /// 400 routes whose answers differ by themselves in a third of all cases, seeded.
    #[test]
    fn what_differs_by_itself_alone_is_never_found() {
        let mut state = 7_u64;
        let mut one_of_three = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % 3
        };
        let mut drawn = |count: u64| {
            let mut ways = [0, 0, 0];
            for _ in 0..count {
                if one_of_three() == 0 {
                    ways[usize::from(one_of_three() == 0)] += 1;
                }
            }
            [ways[0], ways[1]]
        };
        for _ in 0..400 {
            let ([one, other], [again, _]) = (drawn(300), drawn(300));
            let repeats = Share { part: again, whole: 300 };
            assert!(!is_beyond([one, other], 300, repeats, (0.001, 400)));
        }
    }
}
