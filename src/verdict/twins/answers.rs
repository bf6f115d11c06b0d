//! Twins of answers that are not those of production: broken ones are told, and what differs by
//! itself, or is not known, is not.

use std::sync::Arc;
use std::time::Duration;

use super::{failures, named, verdict_on};
use crate::plan::Arrival;
use crate::plan::answers::{Answer, Answers};
use crate::sample::{Fate, Sample};
use crate::summary::Summary;
use crate::summary::examples::{answered, arrival};
use crate::verdict::{Outcome, RunOutcome, Verdict};

/// The answers of a plan, each changed by `change` from what production answered.
pub(super) fn answering(change: impl Fn(u64, &mut Arrival, &mut Sample)) -> Verdict {
    so_many(3_000, change)
}

fn so_many(count: u64, change: impl Fn(u64, &mut Arrival, &mut Sample)) -> Verdict {
    let mut summary = Summary::new();
    for index in 0..count {
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
    // Where they are is told, and they are no pass.
    let finding = named(&broken, "response-status");
    let title = "of the errors told above, GET /item/*: 1\u{202f}000 of 3\u{202f}000 answers \
                 (33.3 %) are 500 where production's are 200";
    assert_eq!((finding.outcome, finding.title.as_str()), (Outcome::Unknown, title));
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
    let doubled = answering(|_, _, sample| sample.response_bytes = 2_000);
    let told = &named(&doubled, "response-size").title;
    assert!(told.ends_with("are larger than recorded; all together are 2.00 times as large"));
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
    for check in ["response-status", "response-size"] {
        assert_eq!(named(&unknown, check).outcome, Outcome::Unknown);
    }
    let is_there = unknown.findings.iter().any(|finding| finding.check == "response-content");
    assert!(!is_there, "nobody asked for it");
}

/// A route that is seldom asked for may be gone without many errors in the whole.
#[test]
fn a_route_without_answers_fails_the_run_and_a_few_lost_ones_do_not() {
    let lost = |route: &'static str, which: fn(u64) -> bool| {
        so_many(30_000, |index, arrival, sample| {
            if index.is_multiple_of(1_500) {
                arrival.route = "GET /terms".into();
            }
            if which(index) {
                let fate = Fate::TimedOut;
                *sample = Sample { fate, contents: None, ..sample.clone() };
                arrival.route = route.into();
            }
        })
    };
    let gone = lost("GET /terms", |index| index.is_multiple_of(1_500));
    assert_eq!(failures(&gone), ["errors"], "{:#?}", gone.findings);
    let title = "GET /terms: 20 of 20 requests had no answer";
    assert_eq!(named(&gone, "errors").title, title);
    // As many, wherever they are; and two that happen to be of one route.
    let spread = lost("GET /item/*", |index| index % 1_500 == 7);
    let two = lost("GET /terms", |index| index == 1_500 || index == 3_000);
    for healthy in [spread, two] {
        assert!(failures(&healthy).is_empty(), "{:#?}", healthy.findings);
        assert!(named(&healthy, "errors").title.contains("ended in an error"));
    }
}

fn on_route(arrival: &mut Arrival, number: u64) {
    arrival.route = format!("GET /page-{number}").into();
}

/// One by one nothing can be said of routes that are seldom asked for; of all of them it can.
#[test]
fn seldom_routes_are_judged_together_and_a_few_answers_are_not_judged() {
    let seldom = |is_broken: bool| {
        answering(|index, arrival, sample| {
            if index < 400 {
                on_route(arrival, index % 40);
                if is_broken {
                    sample.fate = Fate::Answered { status: 302 };
                    sample.response_bytes = 0;
                }
            }
        })
    };
    let (broken, healthy) = (seldom(true), seldom(false));
    assert_eq!(failures(&broken), ["response-status"], "{:#?}", broken.findings);
    let finding = named(&broken, "response-status");
    let title = "40 routes of fewer than 20 answers each: 400 of 400 answers (100 %) are 302 where \
                 production's are 200";
    assert_eq!(finding.title, title);
    assert_eq!(named(&healthy, "response-status").outcome, Outcome::Pass);
    assert_eq!(named(&healthy, "response-status").evidence, [""; 0]);
    // The sizes of the others are known.
    let sizes = answering(|index, arrival, sample| {
        on_route(arrival, index % 300);
        sample.response_bytes = 500;
    });
    let finding = named(&sizes, "response-size");
    assert!(
        finding.title.starts_with("300 routes of fewer than 20 answers each: 3"),
        "{finding:#?}"
    );
    assert_eq!(finding.outcome, Outcome::Unknown);
    // Nineteen of one route, beside others that are as recorded, are told to be too few.
    let few = answering(|index, arrival, sample| {
        if index < 19 {
            on_route(arrival, 0);
            sample.fate = Fate::Answered { status: 302 };
        }
    });
    let finding = named(&few, "response-status");
    assert_eq!(finding.title, "2\u{202f}981 answers have production's class", "{finding:#?}");
    assert_eq!(
        finding.evidence,
        ["19 answers on routes of fewer than 20 are too few to be judged"]
    );
    // And nineteen in all are no pass, whatever they are.
    for status in [200, 302] {
        let alone = so_many(19, |_, _, sample| sample.fate = Fate::Answered { status });
        for check in ["response-status", "response-size", "response-content"] {
            assert_eq!(named(&alone, check).outcome, Outcome::Unknown, "{check} {status}");
        }
    }
}

#[test]
fn another_status_of_the_same_class_is_told_and_one_that_says_the_same_is_not() {
    for (recorded, status, outcome) in [
        (200, 204, Outcome::Unknown),
        (206, 200, Outcome::Unknown),
        (200, 304, Outcome::Pass),
        (304, 200, Outcome::Pass),
        (200, 200, Outcome::Pass),
    ] {
        let verdict = answering(|_, arrival, sample| {
            let answer = Some(Arc::new(Answer { status: recorded, ..Answer::default() }));
            arrival.answers = Answers { recorded: answer.clone(), before: answer };
            sample.fate = Fate::Answered { status };
        });
        assert!(failures(&verdict).is_empty(), "{:#?}", verdict.findings);
        let finding = named(&verdict, "response-status");
        assert_eq!(finding.outcome, outcome, "{finding:#?}");
        let told = format!("are {status} where production's are {recorded}");
        assert_eq!(finding.title.contains(&told), outcome == Outcome::Unknown, "{finding:#?}");
    }
    // Both of them now and then, as in the recording.
    let sometimes = answering(|index, arrival, sample| {
        let status = |at: u64| if at % 7 < 3 { 204 } else { 200 };
        let answer = |status| Some(Arc::new(Answer { status, ..Answer::default() }));
        arrival.answers.before = answer(status(index * 3));
        arrival.answers.recorded = answer(status(index * 5 + 1));
        sample.fate = Fate::Answered { status: status(index * 11 + 2) };
    });
    assert_eq!(named(&sometimes, "response-status").outcome, Outcome::Pass);
}

/// The sentence must not say of all of them what is true of most.
#[test]
fn of_several_statuses_the_most_frequent_is_named_as_such() {
    let verdict = answering(|index, arrival, sample| {
        if index.is_multiple_of(100) {
            arrival.route = "GET /account".into();
            sample.fate = Fate::Answered { status: if index % 300 == 0 { 303 } else { 302 } };
        } else if index == 1 {
            // Something better elsewhere is no example of it.
            let answer = Answer { status: 404, ..Answer::default() };
            arrival.answers.recorded = Some(Arc::new(answer));
        }
    });
    let finding = named(&verdict, "response-status");
    let title = "GET /account: 30 of 30 answers (100 %) are of a worse class, 20 of them are 302 \
                 where production's are 200";
    assert_eq!(finding.title, title);
    assert!(finding.evidence[1].contains("request 101 of the plan"), "{finding:#?}");
}

#[test]
fn the_example_of_a_smaller_body_is_a_smaller_one() {
    let verdict = answering(|index, _, sample| {
        sample.response_bytes = match index {
            0 => 2_000,
            index if index % 3 == 1 => 500,
            _ => 1_000,
        };
    });
    let finding = named(&verdict, "response-size");
    assert!(finding.title.contains("are smaller than recorded"), "{finding:#?}");
    assert!(finding.evidence[1].contains("request 2 of the plan"), "{finding:#?}");
}

/// One in ten users is known and gets the page, the others get the login: two that ask after one
/// another differ often, and in both ways. Where nobody is known any more, nobody gets the page.
#[test]
fn what_users_differ_by_hides_nothing() {
    let users = |is_broken: bool| {
        answering(|index, arrival, sample| {
            let status = |at: u64| if at.is_multiple_of(10) { 200 } else { 302 };
            let answer = |status| Some(Arc::new(Answer { status, ..Answer::default() }));
            arrival.answers.before = answer(status(index + 1));
            arrival.answers.recorded = answer(status(index));
            let status = if is_broken { 302 } else { status(index) };
            sample.fate = Fate::Answered { status };
        })
    };
    assert_eq!(failures(&users(true)), ["response-status"]);
    let healthy = users(false);
    assert_eq!(named(&healthy, "response-status").outcome, Outcome::Pass, "{healthy:#?}");
}
