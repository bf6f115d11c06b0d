//! Our own books, audited against looks from aside (Little's law in bins).

use std::sync::mpsc;
use std::time::Duration;

use peakhour::drive::Driven;
use peakhour::plan::facts::Facts;
use peakhour::scenario::Limits;
use peakhour::summary::flight::Flight;
use peakhour::verdict::closed::{ClosedInput, judge_closed};

use super::server::{Client, start};
use super::{LIMITS, due, fates, get, run};

/// Forty connections that are busy nearly all the time.
fn busy() -> Driven {
    let server = start(|client| {
        let (_sender, never) = mpsc::channel::<()>();
        while client.request().is_some() {
            let _ = never.recv_timeout(Duration::from_millis(400));
            client.answer();
        }
    });
    let asked = (0..5).flat_map(|seq| {
        let at = Duration::from_millis(500) * seq;
        (0..40).map(move |connection| due(at, get(connection, seq)))
    });
    let driven = run(server.address, LIMITS, asked.collect());
    assert_eq!(fates(&driven), [("answered", 200)]);
    driven
}

fn headline(driven: &Driven) -> String {
    let Driven { summary, health, .. } = driven;
    let facts = Facts::default();
    judge_closed(&ClosedInput {
        facts: &facts,
        summary,
        health,
        expectations: &[],
        baseline: None,
        interrupted: false,
    })
    .headline
}

/// Books that are right are never blamed. Those of samples that went astray are, though all other
/// sums agree; only a machine that hardly looked cannot tell.
#[test]
fn samples_that_went_astray_are_missed() {
    const WRONG: &str = "peakhour's books are wrong: from 0 s to";
    let mut attempts = (0..5).map(|_| {
        let mut driven = busy();
        assert!(driven.health.seen.iter().any(|seen| seen.looks > 0 && seen.most > 0));
        assert!(!headline(&driven).contains("books"), "{}", headline(&driven));
        driven.summary.flight = Flight::default();
        headline(&driven)
    });
    assert!(attempts.any(|told| told.starts_with(WRONG)), "the machine is too busy");
}

/// What the run did not wait for was in flight as well, and nobody knows for how long.
#[test]
fn requests_without_an_end_are_no_error_of_the_books() {
    let server = start(Client::wait_for_close);
    let limits = Limits { grace: Duration::from_secs(1), ..LIMITS };
    let driven = run(server.address, limits, (0..40).map(|it| get(it, 0)).collect());
    assert_eq!(fates(&driven), [("timed out", 40)]);
    assert!(driven.health.seen.iter().any(|seen| seen.most == 40));
    assert!(!headline(&driven).contains("books"), "{}", headline(&driven));
}
