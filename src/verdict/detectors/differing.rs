//! Whether answers differ from the recorded ones by more than they differ by themselves.

use std::borrow::Cow;

use crate::stats::counts::as_f64;
use crate::stats::effects::normal_quantile;
use crate::stats::shares::{net, sign_test};
use crate::summary::Summary;
use crate::summary::evidence::responses::{Example, Responses, Ways};
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

/// Answers that are judged together.
pub(super) struct Group<'a> {
    /// The route, or how many routes they are.
    pub(super) name: Cow<'a, str>,
    pub(super) responses: Cow<'a, Responses>,
}

/// The answers of a run as they are judged.
pub(super) struct Groups<'a> {
    pub(super) judged: Vec<Group<'a>>,
    /// Answers that were compared.
    pub(super) compared: u64,
    /// Those of them that are too few to be judged.
    pub(super) left: u64,
}

/// Splits answers by route, where `compared` of them count. Routes with too few of them are put
/// together: one by one nothing could be said of them, and something that goes wrong on all of
/// them is no accident.
pub(super) fn groups(summary: &Summary, compared: impl Fn(&Responses) -> u64) -> Groups<'_> {
    let (mut judged, mut few, mut count) = (Vec::new(), Responses::default(), 0_u64);
    for (name, route) in &summary.routes {
        let responses = &route.responses;
        match compared(responses) {
            0 => {}
            MIN_COMPARED.. => judged
                .push(Group { name: Cow::Borrowed(&**name), responses: Cow::Borrowed(responses) }),
            _ => {
                few.merge(responses);
                count += 1;
            }
        }
    }
    let mut left = compared(&few);
    if left >= MIN_COMPARED {
        left = 0;
        let name = format!("{count} routes of fewer than {MIN_COMPARED} answers each");
        judged.push(Group { name: name.into(), responses: Cow::Owned(few) });
    }
    let all: u64 = judged.iter().map(|group| compared(&group.responses)).sum();
    Groups { judged, compared: all + left, left }
}

impl Groups<'_> {
    /// What a finding that passes must say of those that were not judged.
    pub(super) fn left_out(&self, one: &str, many: &str) -> Option<String> {
        (self.left > 0).then(|| {
            let left = format_counted(self.left, one, many);
            format!("{left} on routes of fewer than {MIN_COMPARED} are too few to be judged")
        })
    }
}

/// Answers of which some differ in one way, and others in the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) one: u64,
    pub(super) other: u64,
    /// All of them.
    pub(super) whole: u64,
}

/// Less is the one way.
pub(super) fn less(ways: Ways) -> Tally {
    Tally { one: ways.less, other: ways.more, whole: ways.compared }
}

/// More is the one way.
pub(super) fn more(ways: Ways) -> Tally {
    Tally { one: ways.more, other: ways.less, whole: ways.compared }
}

/// Says whether more than `least` of the answers `seen` differ in one way, and not by chance.
///
/// What differs by itself does so in both ways: which of two answers to one request was the
/// recorded one is chance. So the one way must outweigh the other (a sign test), and by more than
/// it does between one answer of production and the next, as far as such `repeats` are known. By
/// how much those differ in both ways is no measure: they are mostly of two users, and a replay
/// asks as the same one.
pub(super) fn is_beyond(seen: Tally, repeats: Tally, (least, routes): (f64, usize)) -> bool {
    let by_chance = (1.0 - confidence(routes)) / 2.0;
    let [apart, variance] = net(seen.one, seen.other, seen.whole);
    let [again, spread] = if repeats.whole >= MIN_REPEATS {
        net(repeats.one, repeats.other, repeats.whole)
    } else {
        [0.0, 0.0]
    };
    let reach = normal_quantile(1.0 - by_chance) * (variance + spread).sqrt();
    seen.whole >= MIN_COMPARED
        && apart - again.max(0.0) - reach > least
        && sign_test(seen.one, seen.other) <= by_chance
}

/// Things named in the evidence, the most affected first.
const MAX_NAMED: usize = 8;

/// The first of the sentences, and how many more there are of `one`, or of `many`.
pub(super) fn named(
    told: impl ExactSizeIterator<Item = String>,
    [one, many]: [&str; 2],
) -> Vec<String> {
    let beyond = told.len().saturating_sub(MAX_NAMED);
    let mut lines: Vec<String> = told.take(MAX_NAMED).collect();
    if beyond > 0 {
        lines.push(format_counted(beyond as u64, one, many));
    }
    lines
}

/// What routes are called that are not named.
pub(super) const MORE_ROUTES: [&str; 2] = ["more route", "more routes"];

/// How many routes a title does not name.
pub(super) fn and_more(count: usize) -> String {
    let [one, many] = MORE_ROUTES;
    if count == 0 {
        String::new()
    } else {
        format!(" (and {})", format_counted(count as u64, one, many))
    }
}

/// How often production's answers differ by themselves.
pub(super) fn by_itself(repeats: Ways, what: &str) -> String {
    if repeats.compared < MIN_REPEATS {
        let again = format_counted(repeats.compared, "answer", "answers");
        return format!(
            "{again} to a request asked before {} too few to know by how much they differ by \
             themselves",
            if repeats.compared == 1 { "is" } else { "are" }
        );
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

    fn tally([one, other]: [u64; 2], whole: u64) -> Tally {
        Tally { one, other, whole }
    }

    #[test]
    fn a_few_that_differ_are_chance_and_many_one_way_are_not() {
        for (ways, compared, repeats, again, found) in [
            ([1, 0], 20, [0, 0], 0, false),
            ([6, 0], 200, [0, 0], 100, false),
            ([24, 0], 200, [0, 0], 100, true),
            ([19, 0], 19, [0, 0], 0, false),
            ([200, 0], 200, [0, 0], 0, true),
            // Both ways alike: they differ by themselves.
            ([100, 90], 200, [0, 0], 0, false),
            // As many as between one answer of production and the next, which go one way, too.
            ([60, 0], 200, [30, 0], 100, false),
            ([180, 0], 200, [30, 0], 100, true),
            // Those differ in both ways, since they are of two users, and these do not.
            ([60, 0], 200, [30, 30], 100, true),
            ([60, 55], 200, [30, 30], 100, false),
            // Few repeats tell nothing.
            ([60, 0], 200, [6, 0], 19, true),
            // One in a thousand more one way than the other is not much, however sure it is.
            ([301_000, 300_000], 1_000_000, [0, 0], 0, false),
            ([305_000, 300_000], 1_000_000, [0, 0], 0, true),
        ] {
            let is_found = is_beyond(tally(ways, compared), tally(repeats, again), (0.001, 1));
            assert_eq!(is_found, found, "{ways:?} of {compared}");
        }
    }

    #[test]
    fn many_routes_need_more_to_be_sure() {
        let nine = |routes| is_beyond(tally([9, 0], 200), Tally::default(), (0.001, routes));
        assert!(nine(1) && !nine(2_000));
        let all = |routes| is_beyond(tally([20, 0], 20), Tally::default(), (0.001, routes));
        assert!(all(2_000) && !all(20_000));
    }

    fn seeded() -> impl FnMut(u64) -> u64 {
        let mut state = 7_u64;
        move |most| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % most
        }
    }

    /// 400 routes whose answers differ by themselves in a third of all cases, seeded.
    #[test]
    fn what_differs_by_itself_alone_is_never_found() {
        let mut below = seeded();
        let mut drawn = |count: u64| {
            let mut ways = [0, 0, 0];
            for _ in 0..count {
                if below(3) == 0 {
                    ways[usize::from(below(3) == 0)] += 1;
                }
            }
            [ways[0], ways[1]]
        };
        for _ in 0..400 {
            let (ways, again) = (drawn(300), drawn(300));
            assert!(!is_beyond(tally(ways, 300), tally(again, 300), (0.001, 400)));
        }
    }

    /// For all numbers of routes, with and without repeats: of 2 000 runs whose answers differ
    /// from the recorded ones only as these do from each other, at most one in a hundred tells
    /// of any route, in either way. Seeded.
    #[test]
    fn runs_tell_of_chance_as_seldom_as_they_say() {
        let mut below = seeded();
        for (routes, compared, repeated) in [(1, 20, 0), (1, 200, 200), (10, 50, 0), (20, 40, 40)] {
            let mut alarms = 0;
            for _ in 0..2_000 {
                // A tenth of all answers are one thing and the others another, by chance.
                let mut drawn = |count: u64| {
                    let mut ways = [0_u64; 2];
                    for _ in 0..count {
                        let (one, other) = (below(10) == 0, below(10) == 0);
                        ways[0] += u64::from(!one && other);
                        ways[1] += u64::from(one && !other);
                    }
                    ways
                };
                let any = (0..routes).any(|_| {
                    let (ways, again) = (drawn(compared), drawn(repeated));
                    let back = |[one, other]: [u64; 2]| [other, one];
                    [(ways, again), (back(ways), back(again))].into_iter().any(|(ways, again)| {
                        let (seen, repeats) = (tally(ways, compared), tally(again, repeated));
                        is_beyond(seen, repeats, (0.001, routes))
                    })
                });
                alarms += u32::from(any);
            }
            assert!(alarms <= 20, "{alarms} of 2 000 with {routes} routes");
        }
    }
}
