use std::sync::Arc;

use super::*;
use crate::summary::examples::{answered, arrival};

fn answer(status: u16, bytes: u64) -> Arc<Answer> {
    Arc::new(Answer { status, body_bytes: Some(bytes), ..Answer::default() })
}

/// One arrival for each of (recorded, answered), in this order; each is the predecessor of the
/// next one.
fn responses(pairs: &[[(u16, u64); 2]]) -> Responses {
    of_method("GET", pairs)
}

fn of_method(method: &str, pairs: &[[(u16, u64); 2]]) -> Responses {
    let (mut responses, mut before) = (Responses::default(), None);
    for (index, &[(recorded, bytes), (status, response_bytes)]) in (0..).zip(pairs) {
        let mut arrival = arrival(index, Duration::from_secs(index));
        arrival.method = method.into();
        let recorded = answer(recorded, bytes);
        arrival.answers.before = before.replace(Arc::clone(&recorded));
        arrival.answers.recorded = Some(recorded);
        let fate = Fate::Answered { status };
        let sample = Sample { response_bytes, fate, ..answered(&arrival, Duration::ZERO) };
        responses.add(&arrival, &sample);
    }
    responses
}

#[test]
fn sizes_are_alike_within_a_tenth_and_sixteen_bytes() {
    for (first, second, order) in [
        (0, 15, Ordering::Equal),
        (0, 16, Ordering::Greater),
        (16, 0, Ordering::Less),
        (1_000, 901, Ordering::Equal),
        (1_000, 900, Ordering::Less),
        (1_000, 1_112, Ordering::Greater),
        (u64::MAX, u64::MAX, Ordering::Equal),
    ] {
        assert_eq!(beside(first, second), order, "{first} {second}");
    }
}

#[test]
fn a_status_is_better_worse_or_another_of_its_class() {
    for (recorded, status, change) in [
        (200, 200, Change::Alike),
        (200, 304, Change::Alike),
        (304, 200, Change::Alike),
        (200, 302, Change::Worse),
        (304, 302, Change::Worse),
        (404, 302, Change::Better),
        (503, 404, Change::Better),
        (200, 204, Change::Higher),
        (206, 200, Change::Lower),
        (206, 304, Change::Lower),
        (404, 403, Change::Lower),
        (REPLY, REPLY, Change::Alike),
        (REPLY, ERROR_REPLY, Change::Worse),
        (ERROR_REPLY, REPLY, Change::Better),
        (OTHER_STATUSES + 2, OTHER_STATUSES + 5, Change::Worse),
        (OTHER_STATUSES + 2, OTHER_STATUSES + 2, Change::Alike),
        (200, u16::MAX, Change::Worse),
    ] {
        assert_eq!(Change::of(recorded, status), change, "{recorded} {status}");
        assert_eq!(Change::of(status, recorded), change.reverse(), "{status} {recorded}");
    }
}

#[test]
fn what_differs_is_told_from_what_differs_by_itself() {
    let all = responses(&[
        [(200, 100), (200, 100)],
        [(200, 100), (200, 50)],
        [(404, 100), (302, 10)],
        [(200, 100), (304, 0)],
        [(201, 100), (500, 0)],
        [(200, 100), (200, 300)],
    ]);
    assert_eq!(all.compared(), 6);
    assert_eq!(all.status_changes(), Share { part: 3, whole: 6 });
    assert_eq!(all.size_changes(), Share { part: 2, whole: 3 });
    let changed = |change| all.count_changed(change);
    assert_eq!(changed(Change::Worse), 1);
    assert_eq!(changed(Change::Better), 1);
    assert_eq!(changed(Change::Alike), 1, "a 304 is as good as a 200");
    assert_eq!(all.class_repeats, Ways { compared: 5, less: 1, more: 1 });
    assert_eq!(all.status_repeats, Ways { compared: 3, less: 1, more: 1 });
    assert_eq!(all.size_repeats, Ways { compared: 1, less: 0, more: 0 });
    let ways = Ways { compared: 3, less: 1, more: 1 };
    assert_eq!(all.sizes.ways, ways, "with the same status only");
    let first = |change| all.changed(change).next().unwrap().1.first.index;
    assert_eq!([first(Change::Better), first(Change::Worse)], [2, 4]);
    assert_eq!(all.size_examples.map(|it| it.unwrap().index), [1, 5], "of each way the first");
}

/// Answers without a body would make half a page a small share of all.
#[test]
fn what_never_has_a_body_says_nothing_of_bodies() {
    let pairs = [[(304, 0), (304, 0)], [(204, 0), (204, 0)], [(200, 0), (200, 0)]];
    let all = responses(&pairs.repeat(2));
    assert_eq!((all.compared(), all.sizes.ways.compared), (6, 2));
    let heads = of_method("HEAD", &pairs);
    assert_eq!((heads.compared(), heads.sizes.ways.compared), (3, 0));
}

/// Of JSON the fields are compared, of other bodies the digests.
#[test]
fn contents_are_compared_by_fields_or_by_digests() {
    let of = |shape: Option<&str>, byte: u8| Contents {
        digest: Some([byte; 16]),
        shape: shape.map(Arc::from),
        is_no_json: false,
    };
    let mut all = Responses::default();
    for (recorded, answered) in
        [(of(Some("a: null"), 1), of(Some("a: null"), 2)), (of(None, 1), of(None, 2))]
    {
        for index in 0..2 {
            let mut arrival = arrival(index, Duration::ZERO);
            let answer = Answer { status: 200, contents: recorded.clone(), ..Answer::default() };
            let answer = Some(Arc::new(answer));
            arrival.answers.before.clone_from(&answer);
            arrival.answers.recorded = answer;
            let mut sample = answered_with(&arrival, answered.clone());
            all.add(&arrival, &sample);
            // With another status its body is another, too.
            sample.fate = Fate::Answered { status: 203 };
            all.add(&arrival, &sample);
        }
    }
    assert_eq!((all.contents_kept, all.contents_compared()), (8, 4));
    assert_eq!((all.fields.compared, all.digests), (2, Share { part: 2, whole: 2 }));
    assert_eq!(all.digest_repeats, Share { part: 0, whole: 4 });
    let mut twice = all.clone();
    twice.merge(&all);
    assert_eq!((twice.contents_kept, twice.contents_compared()), (16, 8));
    assert_eq!((twice.fields.compared, twice.digests), (4, Share { part: 4, whole: 4 }));
    assert_eq!((twice.digest_repeats.whole, twice.class_repeats.compared), (8, 16));
}

fn answered_with(arrival: &Arrival, contents: Contents) -> Sample {
    Sample { contents: Some(Box::new(contents)), ..answered(arrival, Duration::ZERO) }
}

/// for all cuts and orders: the parts merge to the whole.
#[test]
fn parts_merge_to_the_whole_in_any_order() {
    let pairs: Vec<_> =
        (0..40_u16).map(|at| [(200, 100), (200 + at % 30 * 10, u64::from(at) * 9)]).collect();
    let whole = responses(&pairs);
    assert_eq!(whole.compared(), 40, "also beyond the bound");
    assert!(whole.changes.len() > MAX_PAIRS && whole.changes.len() <= MAX_PAIRS + 9);
    let worse = pairs.iter().filter(|[_, (status, _)]| status / 100 > 2).count() as u64;
    assert_eq!(whole.count_changed(Change::Worse), worse, "its class is told also there");
    let few: Vec<_> = pairs.iter().copied().filter(|[_, (it, _)]| *it < 400).collect();
    let whole = responses(&few);
    for cut in 1..few.len() {
        let mut merged = responses(&few[..cut]);
        // Their positions in the plan begin anew.
        let mut rest = responses(&few[cut..]);
        rest.changes.values_mut().for_each(|seen| seen.first.index += cut as u64);
        rest.size_examples.iter_mut().flatten().for_each(|it| it.index += cut as u64);
        // In either order.
        if cut % 2 == 0 {
            std::mem::swap(&mut merged, &mut rest);
        }
        merged.merge(&rest);
        let indices = |all: &Responses| all.size_examples.map(|it| it.map(|it| it.index));
        assert_eq!(indices(&merged), indices(&whole), "{cut}");
        let counts = |all: &Responses| -> Vec<_> {
            all.changes.iter().map(|(pair, seen)| (*pair, seen.count, seen.first.index)).collect()
        };
        assert_eq!((counts(&merged), merged.sizes), (counts(&whole), whole.sizes), "{cut}");
        assert_eq!(merged.same, whole.same);
    }
}
