//! Twin tests: each fault of the stage, switched on, is found first by its own detector; switched
//! off, nothing is found; and an empty run leaves everything unknown.

mod answers;
mod contents;

use std::time::Duration;

use crate::drive::health::Health;
use crate::plan::facts::Facts;
use crate::sample::Fate;
use crate::scenario::Tier;
use crate::scenario::expectation::Expectation;
use crate::scenario::knobs::{BeyondLimit, CacheKnobs, ConnectionLimit, StageKnobs, Stall};
use crate::shape::ShapeVerdict;
use crate::summary::Summary;
use crate::summary::examples::{answered, arrival, failed};
use crate::verdict::expectations::around::Around;
use crate::verdict::judge::{JudgeInput, Replayed, judge};
use crate::verdict::world::{MINUTE, SHORT, Traffic, plan, rehearse};
use crate::verdict::{Finding, Outcome, RunOutcome, Verdict};

fn verdict_on(summary: &Summary, expectations: &[Expectation]) -> Verdict {
    let facts = Facts { peak_connections: 110, ..Facts::default() };
    judge(&JudgeInput {
        replayed: Some(Replayed {
            facts: &facts,
            summary,
            health: &Health::default(),
            target_is_here: true,
        }),
        drills: &[],
        tier: Tier::Standard,
        expectations,
        baseline: None,
        around: Around::default(),
        interrupted: false,
    })
}

fn named<'a>(verdict: &'a Verdict, check: &str) -> &'a Finding {
    verdict.findings.iter().find(|finding| finding.check == check).unwrap()
}

fn failures(verdict: &Verdict) -> Vec<&str> {
    let failed = verdict.findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    failed.map(|finding| finding.check.as_str()).collect()
}

/// Much and little traffic, with several seeds each.
fn plans() -> impl Iterator<Item = (Traffic, u64)> {
    [(MINUTE, 0), (MINUTE, 1), (SHORT, 2), (SHORT, 3), (SHORT, 4)].into_iter()
}

/// Whatever the traffic: the broken twin fails by this detector first, and besides it only those
/// fail that name its consequences.
fn check(knobs: &StageKnobs, first: &str, figures: &[&str]) {
    for (traffic, seed) in plans() {
        let summary = rehearse(&plan(traffic, seed), knobs);
        let verdict = verdict_on(&summary, &[]);
        let failed = failures(&verdict);
        let shown = format!("seed {seed}: {failed:?}\n{:#?}", verdict.findings);
        assert_eq!(failed.first(), Some(&first), "{shown}");
        let consequences = |check: &&str| matches!(*check, "errors" | "held-back");
        assert!(failed[1..].iter().all(consequences), "{shown}");
        assert_eq!(verdict.outcome, RunOutcome::Fail, "{shown}");
        let finding = named(&verdict, first);
        assert!(!finding.advice.is_empty() && !finding.evidence.is_empty(), "{shown}");
        assert_eq!(verdict.headline, finding.title);
        for figure in figures {
            let text = format!("{} {}", finding.title, finding.evidence.join(" "));
            assert!(text.contains(figure), "`{figure}` is not in: {shown}");
        }
    }
}

#[test]
fn the_healthy_stage_passes_every_detector() {
    for (traffic, seed) in plans() {
        let summary = rehearse(&plan(traffic, seed), &StageKnobs::default());
        let verdict = verdict_on(&summary, &[]);
        assert_eq!(verdict.outcome, RunOutcome::Pass, "{:#?}", verdict.findings);
        let shape = verdict.shape.as_ref().unwrap();
        assert_eq!(shape.verdict, ShapeVerdict::Faithful, "{}", shape.statement);
        for finding in &verdict.findings {
            assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
            assert!(finding.advice.is_empty(), "{finding:#?}");
        }
    }
}

#[test]
fn an_empty_run_is_unknown_throughout() {
    let expectation = Expectation::parse("errors < 1%").unwrap();
    let verdict = verdict_on(&Summary::new(), &[expectation]);
    assert_eq!(verdict.outcome, RunOutcome::Invalid);
    assert_eq!(verdict.findings.len(), 11, "nothing asked for contents to be compared");
    for finding in &verdict.findings {
        assert_eq!(finding.outcome, Outcome::Unknown, "{finding:#?}");
    }
    assert_eq!(verdict.expectations[0].outcome, Outcome::Unknown);
}

/// The twin of a connection limit: the target is gone for a while, and then it is back.
#[test]
fn an_outage_is_found_and_is_no_limit() {
    let seconds = Duration::from_secs;
    for away in [seconds(4)..seconds(7), seconds(0)..seconds(60)] {
        let mut summary = Summary::new();
        for index in 0..3_000 {
            let arrival = arrival(index, Duration::from_millis(10 * index));
            let sample = if away.contains(&arrival.due) {
                failed(&arrival, Fate::Refused)
            } else {
                answered(&arrival, Duration::from_millis(1))
            };
            summary.add(&arrival, &sample);
        }
        let verdict = verdict_on(&summary, &[]);
        assert_eq!(failures(&verdict)[0], "outage", "{:#?}", verdict.findings);
        assert_eq!(named(&verdict, "connection-limit").outcome, Outcome::Unknown);
        assert_eq!(verdict.outcome, RunOutcome::Fail);
    }
}

#[test]
fn a_connection_limit_with_a_banner_is_found_with_its_number() {
    let limit = ConnectionLimit { max: 40, beyond: BeyondLimit::Banner };
    let knobs = StageKnobs { connection_limit: Some(limit), ..StageKnobs::default() };
    let figures = ["-ERR max number of clients reached", "first with about 40 open"];
    check(&knobs, "connection-limit", &figures);
}

#[test]
fn connections_that_hang_are_found() {
    let limit = ConnectionLimit { max: 40, beyond: BeyondLimit::StopAccepting };
    let knobs = StageKnobs { connection_limit: Some(limit), ..StageKnobs::default() };
    check(&knobs, "connection-limit", &["on new connections waited long"]);
}

#[test]
fn a_body_limit_is_found_with_its_sizes() {
    let knobs = StageKnobs { body_limit: Some(200_000), ..StageKnobs::default() };
    check(&knobs, "body-limit", &["413", "KiB on; ", "production accepted"]);
}

#[test]
fn a_blocked_event_loop_is_found_and_is_no_stall() {
    for ns_per_byte in [500, 2_000, 4_000] {
        let knobs = StageKnobs { block_ns_per_byte: ns_per_byte, ..StageKnobs::default() };
        check(&knobs, "event-loop-blocked", &["a MiB"]);
    }
}

#[test]
fn a_stall_is_found_with_its_length() {
    for (at, length) in [(3_000, 1_500), (9_000, 3_000)] {
        let stall = Stall { at: Duration::from_millis(at), length: Duration::from_millis(length) };
        let knobs = StageKnobs { stall: Some(stall), ..StageKnobs::default() };
        check(&knobs, "stall", &[]);
        let verdict = verdict_on(&rehearse(&plan(MINUTE, 1), &knobs), &[]);
        let title = &named(&verdict, "stall").title;
        let seconds = length / 1_000;
        assert!(title.contains(&format!("answered for {seconds}")), "{title}");
    }
}

#[test]
fn a_cold_cache_is_found_also_behind_a_slow_pool() {
    for (store_ms, store_pool) in [(20, 4), (40, 2), (100, 4), (60, 1)] {
        let store_latency = Duration::from_millis(store_ms);
        let cache = CacheKnobs { warm: false, store_latency, store_pool, warms_over: None };
        let knobs = StageKnobs { cache, ..StageKnobs::default() };
        check(&knobs, "cold-cache", &["first reads took"]);
    }
}
