//! Twin tests: each fault of the stage, switched on, is found first by its own detector; switched
//! off, nothing is found; and an empty run leaves everything unknown.

use std::sync::Arc;
use std::time::Duration;

use crate::drive::health::Health;
use crate::plan::Arrival;
use crate::plan::answers::{Answer, Answers};
use crate::plan::facts::Facts;
use crate::recording::contents::Contents;
use crate::sample::{Fate, Sample};
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
    assert_eq!(verdict.findings.len(), 12);
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

/// The answers of a plan, each changed by `change` from what production answered.
fn answering(change: impl Fn(u64, &mut Arrival, &mut Sample)) -> Verdict {
    let mut summary = Summary::new();
    for index in 0..3_000 {
        let mut arrival = arrival(index, Duration::from_millis(10 * index));
        let mut sample = answered(&arrival, Duration::from_millis(1));
        change(index, &mut arrival, &mut sample);
        summary.add(&arrival, &sample);
    }
    verdict_on(&summary, &[])
}

/// On one route of many requests, where errors of the whole are none.
#[test]
fn answers_of_another_class_fail_and_those_that_production_gives_too_do_not() {
    let redirected = answering(|index, arrival, sample| {
        if index.is_multiple_of(100) {
            arrival.route = "GET /account".into();
            sample.fate = Fate::Answered { status: 302 };
        }
    });
    assert_eq!(failures(&redirected), ["response-status"], "{:#?}", redirected.findings);
    let finding = named(&redirected, "response-status");
    let title = "GET /account: 30 of 30 answers (100 %) are 302 where production's are 200";
    assert_eq!(finding.title, title);
    assert!(finding.evidence[1].contains("request 1 of the plan"), "{finding:#?}");
    // What is only sometimes there is so in the recording, too.
    let sometimes = answering(|index, arrival, sample| {
        let status = |at: u64| if at % 7 < 3 { 404 } else { 200 };
        let answer = |status| Some(Arc::new(Answer { status, ..Answer::default() }));
        arrival.answers.before = answer(status(index * 3));
        arrival.answers.recorded = answer(status(index * 5 + 1));
        sample.fate = Fate::Answered { status: status(index * 11 + 2) };
    });
    let finding = named(&sometimes, "response-status");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
}

#[test]
fn errors_that_are_told_already_are_not_told_again() {
    let broken = answering(|index, _, sample| {
        if index.is_multiple_of(3) {
            sample.fate = Fate::Answered { status: 500 };
        }
    });
    assert_eq!(failures(&broken), ["errors"], "{:#?}", broken.findings);
    // Below what fails a run, a route of its own is told nevertheless.
    let seldom = answering(|index, arrival, sample| {
        if index < 2 {
            sample.fate = Fate::Answered { status: 500 };
        }
        if index.is_multiple_of(150) {
            arrival.route = "GET /terms".into();
        }
    });
    assert!(failures(&seldom).is_empty(), "one of 20 is chance: {:#?}", seldom.findings);
}

/// A warning, unless an expectation makes it a condition.
#[test]
fn bodies_of_another_size_are_told_and_those_that_vary_by_themselves_are_not() {
    let halved = |index: u64, _: &mut Arrival, sample: &mut Sample| {
        sample.response_bytes = if index.is_multiple_of(2) { 500 } else { 1_000 };
    };
    let verdict = answering(halved);
    let finding = named(&verdict, "response-size");
    assert_eq!((verdict.outcome, finding.outcome), (RunOutcome::Pass, Outcome::Unknown));
    let title = "GET /item/*: 1\u{202f}500 of 3\u{202f}000 bodies (50 %) are smaller than \
                 recorded; all together are 0.75 times as large";
    assert_eq!(finding.title, title);
    let varying = answering(|index, arrival, sample| {
        let size = |at: u64| 1_000 + at % 7 * 500;
        let answer = |bytes| {
            Some(Arc::new(Answer { status: 200, body_bytes: Some(bytes), ..Answer::default() }))
        };
        arrival.answers.before = answer(size(index * 3));
        arrival.answers.recorded = answer(size(index * 5 + 1));
        sample.response_bytes = size(index * 11 + 2);
    });
    let finding = named(&varying, "response-size");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
    // Where nothing of answers is known, none is said to be right.
    let unknown = answering(|_, arrival, _| arrival.answers = Answers::default());
    for check in ["response-status", "response-size", "response-content"] {
        assert_eq!(named(&unknown, check).outcome, Outcome::Unknown);
    }
}

fn with(shape: &str) -> Contents {
    Contents { digest: None, shape: Some(shape.into()) }
}

#[test]
fn a_field_that_is_gone_is_told_by_its_name_and_one_that_comes_and_goes_is_not() {
    let gone = answering(|_, arrival, sample| {
        let answer = Answer {
            status: 200,
            contents: with("id: number\nprice: number"),
            ..Answer::default()
        };
        arrival.answers.recorded = Some(Arc::new(answer));
        sample.contents = Some(Box::new(with("id: number")));
    });
    let finding = named(&gone, "response-content");
    let title = "GET /item/*: `price: number` is in 0 of 3\u{202f}000 bodies, and was in \
                 3\u{202f}000 of those recorded";
    assert_eq!((finding.outcome, finding.title.as_str()), (Outcome::Unknown, title));
    let now_and_then = answering(|index, arrival, sample| {
        let shape = |at: u64| if at % 7 < 3 { "id: number\nnote: string" } else { "id: number" };
        let contents = with(shape(index * 5 + 1));
        let answer = Answer { status: 200, contents, ..Answer::default() };
        arrival.answers.recorded = Some(Arc::new(answer));
        sample.contents = Some(Box::new(with(shape(index * 11 + 2))));
    });
    let finding = named(&now_and_then, "response-content");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
}

#[test]
fn bytes_that_never_differed_are_told_and_dates_in_a_page_are_not() {
    let digests = |before: u8, recorded: u8, answered: u8| {
        let with = |byte| Contents { digest: Some([byte; 16]), shape: None };
        let answer = move |byte| {
            Some(Arc::new(Answer { status: 200, contents: with(byte), ..Answer::default() }))
        };
        let verdict = answering(|index, arrival, sample| {
            arrival.answers.recorded = answer(recorded);
            arrival.answers.before = answer(before).filter(|_| index > 0);
            sample.contents = Some(Box::new(with(answered)));
        });
        named(&verdict, "response-content").clone()
    };
    let told = digests(1, 1, 2);
    assert!(
        told.title.contains("3\u{202f}000 bodies differ from those recorded, and 0 %"),
        "{told:#?}"
    );
    for (before, recorded, answered) in [(1, 2, 3), (1, 1, 1)] {
        let same = digests(before, recorded, answered);
        assert_eq!(same.outcome, Outcome::Pass, "{same:#?}");
    }
}
