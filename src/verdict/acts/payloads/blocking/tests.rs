use super::*;
use crate::verdict::acts::payloads::examples::{Shape, payloads};

fn judged(shape: &Shape) -> Finding {
    let all = payloads(shape);
    judge(&all.sweeps[0], &all)
}

#[test]
fn an_event_loop_that_blocks_fails_with_its_safe_size() {
    // 2 µs a byte: 100 ms are 50 000 bytes, below the largest recorded body of 51 200.
    let found = judged(&Shape { ns_per_byte: 2_000, ..Shape::default() });
    assert_eq!(found.outcome, Outcome::Fail, "{found:#?}");
    let safe = "up to 48.8 KiB it waits less than 100 ms";
    assert!(found.title.contains(safe), "{found:#?}");
    let text = found.evidence.join("\n");
    for figure in [
        "each byte 2 µs",
        "a new connection took 50 µs meanwhile",
        "client 0000002a sent up to 50 KiB to /sync",
        "an outlier of 51 times the median",
    ] {
        assert!(text.contains(figure), "`{figure}` is not in {found:#?}");
    }
    assert!(found.advice.contains("off the event loop"), "{found:#?}");
}

#[test]
fn the_healthy_twin_passes() {
    let found = judged(&Shape::default());
    assert_eq!((found.outcome, found.advice.as_str()), (Outcome::Pass, ""), "{found:#?}");
    assert!(found.title.contains("up to 200 KiB do not block"), "{found:#?}");
}

#[test]
fn a_block_far_below_what_users_may_wait_passes_and_tells_the_size() {
    let found = judged(&Shape { ns_per_byte: 100, ..Shape::default() });
    assert_eq!(found.outcome, Outcome::Pass, "{found:#?}");
    assert!(found.title.contains("above what production has"), "{found:#?}");
}

#[test]
fn waits_that_the_large_request_does_not_explain_are_no_blocking() {
    // Each large request takes ten times as long as the bystanders wait: threads share a host.
    let own = Shape { ns_per_byte: 2_000, own_times: 10.0, ..Shape::default() };
    // ... or a tenth: something else is slow.
    let other = Shape { ns_per_byte: 2_000, own_times: 0.1, ..Shape::default() };
    for shape in [own, other] {
        let found = judged(&shape);
        assert_eq!(found.outcome, Outcome::Unknown, "{found:#?}");
        assert!(!found.title.contains("event loop"), "{found:#?}");
    }
}

#[test]
fn slow_connections_point_at_the_network() {
    let shape = Shape { ns_per_byte: 2_000, connects_wait: true, ..Shape::default() };
    let found = judged(&shape);
    assert_eq!(found.outcome, Outcome::Unknown, "{found:#?}");
    assert!(found.title.contains("the network or the host"), "{found:#?}");
}

#[test]
fn too_few_sizes_or_answers_are_unknown() {
    let shape = Shape { sizes: vec![51_200, 204_800], ns_per_byte: 2_000, ..Shape::default() };
    assert_eq!(judged(&shape).outcome, Outcome::Unknown);
    let found = judged(&Shape { status: 404, ..Shape::default() });
    assert_eq!(found.outcome, Outcome::Unknown);
    assert!(found.title.contains("answered 404"), "{found:#?}");
    let shape = Shape { unknown: Some("not allowed".to_owned()), ..Shape::default() };
    let found = judged(&shape);
    assert_eq!(found.outcome, Outcome::Unknown);
    assert!(found.title.ends_with("not allowed"), "{found:#?}");
}

#[test]
fn without_recorded_bodies_a_safe_size_is_told_and_nothing_claimed() {
    let mut all = payloads(&Shape { ns_per_byte: 2_000, ..Shape::default() });
    all.recorded = crate::act::payloads::Recorded::default();
    let found = judge(&all.sweeps[0], &all);
    assert_eq!(found.outcome, Outcome::Unknown, "{found:#?}");
    assert!(found.title.contains("48.8 KiB"), "{found:#?}");
}
