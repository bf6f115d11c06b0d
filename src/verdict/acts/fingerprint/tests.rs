//! Twins of literal evidence.

use super::*;

use crate::act::fingerprint::ClockOffset;

fn node(name: &str, ruby: &str, packages: &[&str]) -> NodeFacts {
    let lines = |texts: &[&str]| Fact::Lines(texts.iter().map(|text| (*text).to_owned()).collect());
    NodeFacts {
        name: name.to_owned(),
        facts: [("ruby", lines(&[ruby])), ("packages", lines(packages))]
            .map(|(name, fact)| (name.to_owned(), fact))
            .into(),
        clock: Some(ClockOffset { offset_ns: 1_000, uncertainty_ns: 2_000 }),
        problem: None,
    }
}

fn found(findings: &[Finding], check: &str) -> Finding {
    findings.iter().find(|each| each.check == check).unwrap().clone()
}

fn of(nodes: Vec<NodeFacts>) -> Fingerprint {
    Fingerprint { nodes, ..Fingerprint::default() }
}

const PACKAGES: [&str; 3] = ["imagemagick 6.9", "libc6 2.36", "openssl 3.0.1"];

#[test]
fn the_odd_node_is_named_by_majority_and_alike_nodes_pass() {
    let nodes = |ruby: &str, packages: &[&str]| {
        of(vec![
            node("a", "3.1", &PACKAGES),
            node("b", ruby, packages),
            node("c", "3.1", &PACKAGES),
        ])
    };
    let broken = found(&judge(&nodes("2.7", &["libc6 2.36", "openssl 3.0.0"])), NODE_DRIFT);
    assert_eq!(broken.outcome, Outcome::Fail);
    assert_eq!(broken.title, "the nodes are not alike: packages, ruby");
    let text = broken.evidence.join("\n");
    assert!(text.contains("b: ruby is `2.7`, the other 2 have `3.1`"), "{text}");
    assert!(text.contains("b: packages lacks imagemagick; has other versions: openssl 3.0.0 inst"));
    let healthy = found(&judge(&nodes("3.1", &PACKAGES)), NODE_DRIFT);
    assert_eq!(healthy.outcome, Outcome::Pass, "{healthy:?}");
    // Without a majority nobody is the odd one.
    let two = of(vec![node("a", "3.1", &PACKAGES), node("b", "2.7", &PACKAGES)]);
    let two = found(&judge(&two), NODE_DRIFT);
    assert_eq!(two.evidence, ["ruby: a has `3.1`, b has `2.7`"]);
    // What may differ is told, and no more.
    let mut warned = nodes("2.7", &PACKAGES);
    warned.warn = vec!["ruby".to_owned()];
    let warned = found(&judge(&warned), NODE_DRIFT);
    assert_eq!((warned.outcome, warned.evidence.len()), (Outcome::Pass, 1));
}

#[test]
fn a_node_that_was_not_heard_is_unknown_and_no_evidence_is_too() {
    let silent = NodeFacts {
        name: "b".to_owned(),
        problem: Some("Permission denied".to_owned()),
        ..NodeFacts::default()
    };
    let three = of(vec![node("a", "3", &PACKAGES), silent.clone(), node("c", "3", &PACKAGES)]);
    let drift = found(&judge(&three), NODE_DRIFT);
    assert_eq!(drift.outcome, Outcome::Unknown);
    assert!(drift.title.contains("b: Permission denied"), "{}", drift.title);
    assert_eq!(found(&judge(&three), CLOCK_OFFSET).outcome, Outcome::Unknown);
    // A difference among the others is still one.
    let drift = of(vec![node("a", "3", &PACKAGES), silent, node("c", "2", &PACKAGES)]);
    assert_eq!(found(&judge(&drift), NODE_DRIFT).outcome, Outcome::Fail);
    let nothing = judge(&Fingerprint::default());
    assert!(!nothing.is_empty(), "what could not be asked is told");
    for each in nothing {
        assert_eq!(each.outcome, Outcome::Unknown, "{each:?}");
    }
}

#[test]
fn the_last_good_release_is_compared_with_and_new_nodes_are_too() {
    let with = |nodes: Vec<NodeFacts>, problem: Option<&str>| {
        let saved = node("a", "3.1", &PACKAGES).facts;
        let snapshot = Snapshot {
            path: "good.json".to_owned(),
            nodes: [("a".to_owned(), saved)].into(),
            problem: problem.map(str::to_owned),
        };
        let evidence = Fingerprint { snapshot: Some(snapshot), ..of(nodes) };
        found(&judge(&evidence), RELEASE_DRIFT)
    };
    let new = with(vec![node("new", "2.7", &PACKAGES)], None);
    assert_eq!(new.outcome, Outcome::Fail);
    assert_eq!(new.evidence, ["new: ruby is `2.7`, the saved nodes have `3.1`"]);
    assert_eq!(with(vec![node("a", "3.1", &PACKAGES)], None).outcome, Outcome::Pass);
    let missing = with(vec![node("a", "3.1", &PACKAGES)], Some("there is no such file"));
    assert_eq!(missing.outcome, Outcome::Unknown);
    assert!(missing.advice.contains("--save-snapshot good.json"), "{}", missing.advice);
    assert_eq!(with(Vec::new(), None).outcome, Outcome::Unknown);
}

#[test]
fn a_clock_that_is_wrong_for_sure_fails() {
    let at = |offset_ns: i64, uncertainty_ns: u64| {
        let clock = Some(ClockOffset { offset_ns, uncertainty_ns });
        let nodes = vec![NodeFacts { clock, ..node("a", "3", &PACKAGES) }];
        found(&judge(&of(nodes)), CLOCK_OFFSET)
    };
    assert_eq!(at(-3_600_000_000_000, 1_000_000).outcome, Outcome::Fail);
    assert!(at(-3_600_000_000_000, 0).title.contains("behind"));
    assert_eq!(at(1_900_000_000, 1_000_000).outcome, Outcome::Pass);
    assert_eq!(at(1_900_000_000, 1_000_000_000).outcome, Outcome::Unknown);
}

#[test]
fn one_of_two_nodes_stands_out_and_chance_does_not() {
    let behaviour = |node: &str, errors: u32, requests: u32| Behaviour {
        node: node.to_owned(),
        requests,
        errors,
        unanswered: if requests < 10 { errors } else { 0 },
        median_ns: Some(4_000_000),
        ..Behaviour::default()
    };
    for (errors, requests, outcome) in [
        (25, 50, Outcome::Fail),
        (14, 50, Outcome::Fail),
        (4, 50, Outcome::Pass),
        (0, 50, Outcome::Pass),
        (5, 5, Outcome::Fail),
        (1, 1, Outcome::Pass),
    ] {
        let found = node_behaviour(&[behaviour("a", 0, 50), behaviour("b", errors, requests)]);
        assert_eq!(found.outcome, outcome, "{errors} of {requests}: {found:?}");
    }
}

#[test]
fn a_node_that_fails_or_lags_stands_out_of_the_funnel() {
    let behaviour = |node: &str, errors: u32, median_ms: u64| Behaviour {
        node: node.to_owned(),
        requests: 50,
        errors,
        median_ns: Some(median_ms * 1_000_000),
        ..Behaviour::default()
    };
    let with = |b: Behaviour| node_behaviour(&[behaviour("a", 1, 4), b, behaviour("c", 0, 5)]);
    let failing = with(behaviour("b", 25, 4));
    assert_eq!(failing.outcome, Outcome::Fail);
    assert!(failing.title.starts_with("b fails 50"), "{}", failing.title);
    let slow = with(behaviour("b", 0, 80));
    assert_eq!(slow.title, "b takes 80 ms to answer, its peers 5 ms");
    assert_eq!(with(behaviour("b", 2, 6)).outcome, Outcome::Pass);
    let refused = Behaviour { problem: Some("not allowed".to_owned()), ..Behaviour::default() };
    assert_eq!(with(refused).outcome, Outcome::Unknown);
    assert_eq!(node_behaviour(&[behaviour("a", 0, 4)]).outcome, Outcome::Unknown);
    let all = [behaviour("a", 50, 4), behaviour("b", 50, 4)];
    assert_eq!(node_behaviour(&all).outcome, Outcome::Unknown);
}
