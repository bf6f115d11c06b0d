use super::*;
use crate::plan::Touch;
use crate::plan::turns::Turn;
use crate::protocol::resp::REPLY;
use crate::sample::Unsent;
use crate::summary::examples::{answered, arrival, failed};

const MS: Duration = Duration::from_millis(1);

/// A second of arrivals with every kind of fate in it.
fn mixed() -> Vec<(Arrival, Sample)> {
    let fates = [
        Fate::Answered { status: 200 },
        Fate::Answered { status: 503 },
        Fate::Refused,
        Fate::Reset,
        Fate::Rejected { banner: "-ERR max number of clients reached".into() },
        Fate::Unsent { reason: Unsent::LocalResources },
        Fate::Unsent { reason: Unsent::RunEnded },
    ];
    (0..70_u64)
        .map(|index| {
            let mut arrival = arrival(index, MS * 40 * u32::try_from(index).unwrap());
            arrival.seq = u32::try_from(index % 3).unwrap();
            arrival.touch = if index % 4 == 0 { Touch::First } else { Touch::Again };
            arrival.body = vec![b'x'; if index % 9 == 0 { 70_000 } else { 0 }].into();
            arrival.route = Arc::from(format!("GET /{}", index % 5));
            let fate = fates[usize::try_from(index).unwrap() % fates.len()].clone();
            let sample = match fate {
                Fate::Answered { .. } => {
                    let sample = answered(&arrival, MS * u32::try_from(index).unwrap());
                    Sample { opened: arrival.seq == 0, fate, ..sample }
                }
                _ => failed(&arrival, fate),
            };
            (arrival, sample)
        })
        .collect()
}

fn fold<'a>(pairs: impl IntoIterator<Item = &'a (Arrival, Sample)>) -> Summary {
    let mut summary = Summary::new();
    for (arrival, sample) in pairs {
        summary.add(arrival, sample);
    }
    summary
}

/// Everything but the histograms' inner layout, short enough to read in a failure.
fn digest(summary: &Summary) -> String {
    let shapes = [&summary.planned, &summary.offered, &summary.sent]
        .map(|shape| (&shape.counts, &shape.opens, &shape.mix, shape.request_bytes.len()));
    let seconds: Vec<_> = summary
        .seconds
        .iter()
        .map(|row| (row.due, row.sent, row.answered, row.errors, row.outcomes, row.latency.max()))
        .collect();
    let routes: Vec<_> = summary
        .routes
        .iter()
        .map(|(name, row)| (name, row.arrivals, row.errors, row.latency.len()))
        .collect();
    format!("{:?} {shapes:?} {seconds:?} {routes:?}", (&summary.fates, &summary.statuses))
}

#[test]
fn every_arrival_is_in_one_fate_one_second_and_one_route() {
    let summary = fold(&mixed());
    assert_eq!(summary.arrivals, 70);
    assert_eq!(summary.fates.values().sum::<u64>(), 70);
    assert_eq!(summary.seconds.iter().map(|second| second.due).sum::<u32>(), 70);
    for second in &summary.seconds {
        assert_eq!(second.outcomes.iter().sum::<u32>(), second.due, "each is in one group");
    }
    assert_eq!(summary.routes.values().map(|route| route.arrivals).sum::<u64>(), 70);
    assert_eq!(summary.statuses.values().sum::<u64>(), summary.fates["answered"]);
    assert_eq!(summary.latency.len(), summary.fates["answered"]);
    assert_eq!(summary.planned.total, 70);
    assert_eq!(summary.offered.total, 60, "local resources are our own loss");
    assert_eq!(summary.sent.total, 20);
    assert_eq!(summary.errors, 40, "503, refused, reset and rejected; nothing unsent");
    assert_eq!(summary.status_changes, 10);
}

/// For every split of the samples in two: the merged summaries equal the summary of all.
#[test]
fn merging_is_adding() {
    let pairs = mixed();
    let whole = fold(&pairs);
    for cut in [0, 1, 33, 70] {
        let mut merged = fold(&pairs[..cut]);
        merged.merge(&fold(&pairs[cut..]));
        assert_eq!(digest(&merged), digest(&whole), "cut at {cut}");
        assert!(merged.latency == whole.latency && merged.lateness == whole.lateness);
        assert!(merged.service == whole.service, "cut at {cut}");
        assert!(merged.evidence == whole.evidence, "cut at {cut}");
        assert!(merged.parts == whole.parts, "cut at {cut}");
    }
}

#[test]
fn merged_shapes_tell_the_same_routes_apart() {
    let half = |from: u64, sent: bool| {
        let pairs: Vec<_> = (from..from + 1_500)
            .map(|index| {
                let mut arrival = arrival(index, MS);
                arrival.route = Arc::from(format!("GET /{index}"));
                let sample =
                    if sent { answered(&arrival, MS) } else { failed(&arrival, Fate::Refused) };
                (arrival, sample)
            })
            .collect();
        fold(&pairs)
    };
    let mut merged = half(0, false);
    merged.merge(&half(1_500, true));
    assert!(merged.sent.mix.keys().all(|route| merged.planned.mix.contains_key(route)));
    assert_eq!(merged.sent.mix.values().sum::<u64>(), 1_500);
    assert_eq!(merged.offered.mix, merged.planned.mix);
}

#[test]
fn latency_counts_from_the_planned_moment_and_service_from_the_first_byte() {
    let arrival = arrival(0, MS);
    let mut sample = answered(&arrival, 5 * MS);
    sample.sent = Some(arrival.due + 100 * MS);
    sample.done = Some(arrival.due + 105 * MS);
    let summary = fold(&[(arrival, sample)]);
    assert!(summary.latency.equivalent(summary.latency.max(), 105_000_000));
    assert!(summary.service.equivalent(summary.service.max(), 5_000_000));
    assert!(summary.lateness.equivalent(summary.lateness.max(), 20_000));
    assert!(summary.recorded_latency.equivalent(summary.recorded_latency.max(), 2_000_000));
}

#[test]
fn an_answer_is_an_error_when_production_did_better() {
    let mut arrival = arrival(0, MS);
    let mut sample = answered(&arrival, MS);
    for (recorded, status, error) in [
        (Some(200), 200, false),
        (Some(200), 304, false),
        (Some(200), 404, true),
        (Some(404), 404, false),
        (Some(404), 500, true),
        (Some(503), 503, false),
        (Some(503), 429, false),
        (None, 404, false),
        (None, 502, true),
        (Some(REPLY), REPLY, false),
        (Some(REPLY), ERROR_REPLY, true),
        (Some(ERROR_REPLY), ERROR_REPLY, false),
        (Some(ERROR_REPLY), REPLY, false),
        (None, REPLY, false),
        (None, ERROR_REPLY, true),
    ] {
        arrival.recorded.status = recorded;
        sample.fate = Fate::Answered { status };
        assert_eq!(is_error(&arrival, &sample), error, "{recorded:?} then {status}");
    }
}

#[test]
fn times_beyond_the_range_are_counted() {
    let arrival = arrival(0, MS);
    let sample = answered(&arrival, Duration::from_hours(2));
    let summary = fold(&[(arrival, sample)]);
    assert_eq!(summary.overflows, 2, "latency and service");
}

#[test]
fn a_client_that_is_sent_on_as_in_production_met_no_error() {
    let mut arrival = arrival(0, MS);
    for (recorded, reason, error) in [
        (Some(REPLY), Declined::Moved, true),
        (Some(ERROR_REPLY), Declined::Moved, false),
        (Some(ERROR_REPLY), Declined::Ask, false),
        (Some(ERROR_REPLY), Declined::OutOfMemory, true),
        (None, Declined::Loading, true),
    ] {
        arrival.recorded.status = recorded;
        let sample = failed(&arrival, Fate::Declined { reason });
        assert_eq!(is_error(&arrival, &sample), error, "{recorded:?} then {reason:?}");
    }
}

/// What earlier answers of its session moved, this machine did not: to its user the request was due
/// later, what was offered is as planned, and the target got it when it did.
#[test]
fn what_a_session_moved_is_neither_latency_nor_lateness_nor_our_fault() {
    let mut summary = Summary::new();
    for index in 0..20 {
        let mut arrival = arrival(index, MS * 100 * u32::try_from(index).unwrap());
        let follows = (0, MS);
        arrival.turn = Some(Turn { position: 1, after: Some(follows), is_last: true, group: 0 });
        let drift = if index % 2 == 0 { Duration::from_secs(3) } else { Duration::ZERO };
        let moved = Arrival { due: arrival.due + drift, ..arrival.clone() };
        let sample = Sample { due: arrival.due, drift, ..answered(&moved, MS * 7) };
        summary.add(&arrival, &sample);
    }
    assert!(summary.latency.max() < 8_000_000, "{}", summary.latency.max());
    assert!(summary.lateness.max() < 1_000_000, "{}", summary.lateness.max());
    assert_eq!(summary.planned.counts, summary.offered.counts);
    assert_ne!(summary.planned.counts, summary.sent.counts);
    let Drift { arrivals, moved, total, most } = summary.drift;
    assert_eq!((arrivals, moved), (20, 10));
    assert_eq!((total, most), (Duration::from_secs(30), Duration::from_secs(3)));
}
