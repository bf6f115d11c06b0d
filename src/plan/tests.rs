//! Plans of recordings that are made up here.

mod hosts;
mod properties;
mod scaling;
mod sessions;
mod streaming;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;

use crate::protocol::Protocol;
use crate::recording::closings::Closings;
use crate::recording::file::rows::Outline;
use crate::recording::handshakes::Handshakes;
use crate::recording::{Exchange, Flags, Response};
use crate::scenario::acts::Acts;
use crate::scenario::clones::Clones;
use crate::scenario::knobs::StageKnobs;
use crate::scenario::network::Network;
use crate::scenario::ramp::Ramp;
use crate::scenario::rewriting::Rewriting;
use crate::scenario::{Limits, MethodPolicy, Pace, TargetSpec, Tier, Window};

pub(super) fn scenario() -> Scenario {
    Scenario {
        name: "test".to_owned(),
        recording: PathBuf::from("none"),
        window: Window::All,
        scale: 1.0,
        clones: Clones::default(),
        ramp: None,
        speed: 1.0,
        pace: Pace::Recorded,
        seed: 1,
        target: TargetSpec::Stage,
        hosts: Vec::new(),
        allow: Vec::new(),
        methods: MethodPolicy::All,
        headers: BTreeMap::new(),
        rewriting: Rewriting::default(),
        tolerance: Tier::Standard,
        expect: Vec::new(),
        baseline: None,
        abort: Vec::new(),
        limits: Limits::default(),
        stage: StageKnobs::default(),
        nodes: Vec::new(),
        acts: Acts::replay(),
        network: Network::default(),
        watch: Vec::new(),
    }
}

pub(super) fn exchange(at_ms: u64, connection: u64, session: u64) -> Exchange {
    Exchange {
        at: Duration::from_millis(at_ms),
        connection,
        session,
        seq: 0,
        stream: None,
        protocol: Protocol::Http1,
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: "shop.example".to_owned(),
        target: "/cart/7".to_owned(),
        route: "/cart/*".to_owned(),
        request_head: Bytes::from_static(b"GET /cart/7 HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        request_body: Bytes::new(),
        request_body_bytes: 0,
        request_stored: None,
        request_chunks: None,
        response: Some(Response {
            status: 200,
            head: Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n"),
            body_bytes: Some(12),
            digest: None,
            shape: None,
            first_byte: Some(Duration::from_millis(1)),
            last_byte: Some(Duration::from_millis(2)),
        }),
        flags: Flags::default(),
    }
}

fn outline_of(exchange: &Exchange) -> Outline {
    Outline {
        at: exchange.at,
        connection: exchange.connection,
        session: exchange.session,
        seq: exchange.seq,
        protocol: exchange.protocol,
        method: exchange.method.clone(),
        target: 0,
        request_body_bytes: exchange.request_body_bytes,
        status: None,
        response_body_bytes: None,
        first_byte: None,
        last_byte: None,
        flags: exchange.flags,
    }
}

fn in_span(span: Option<source::Span>, at: Duration) -> bool {
    span.is_none_or(|(start, end)| (start..end).contains(&at))
}

pub(super) fn planned(
    exchanges: &[Exchange],
    scenario: &Scenario,
) -> Result<(Facts, Vec<Arrival>), PlanError> {
    planned_with(Closings::default(), exchanges, scenario)
}

fn planned_with(
    closings: Closings,
    exchanges: &[Exchange],
    scenario: &Scenario,
) -> Result<(Facts, Vec<Arrival>), PlanError> {
    with_source(closings, exchanges, |source| {
        let (facts, plan) = outline_source(&source, scenario, "staging")?;
        Ok((facts, plan.collect::<Result<_, _>>()?))
    })
}

pub(super) fn with_source<T>(
    closings: Closings,
    exchanges: &[Exchange],
    with: impl FnOnce(Source<'_>) -> T,
) -> T {
    with(Source {
        started_unix_ns: 0,
        closings: Arc::new(closings),
        handshakes: Arc::new(handshakes()),
        outlines: &|span| {
            let rows = exchanges.iter().filter(|row| in_span(span, row.at)).map(outline_of);
            Box::new(rows.map(Ok).collect::<Vec<_>>().into_iter())
        },
        exchanges: &|span| {
            let rows = exchanges.iter().filter(|row| in_span(span, row.at)).cloned();
            Box::new(rows.map(Ok).collect::<Vec<_>>().into_iter())
        },
    })
}

/// The first connection was opened in full, and the second resumed its session.
fn handshakes() -> Handshakes {
    let mut handshakes = Handshakes::default();
    handshakes.add(0, false);
    handshakes.add(1, true);
    handshakes
}

/// Twelve sessions, each with a connection of its own and six requests.
fn twelve_sessions() -> Vec<Exchange> {
    (0..72).map(|index| exchange(index * 50, index % 12, 1000 + index % 12)).collect()
}

#[test]
fn the_same_input_gives_the_same_plan_and_another_seed_another_one() {
    let exchanges = twelve_sessions();
    let halved = Scenario { scale: 0.5, ..scenario() };
    let (facts, arrivals) = planned(&exchanges, &halved).unwrap();
    let (again, arrivals_again) = planned(&exchanges, &halved).unwrap();
    assert_eq!((&facts, &arrivals), (&again, &arrivals_again));
    assert_eq!(facts.fingerprint.len(), 16);
    let reseeded = Scenario { seed: 2, ..halved.clone() };
    let (other, other_arrivals) = planned(&exchanges, &reseeded).unwrap();
    assert_ne!(facts.fingerprint, other.fingerprint);
    let connections = |arrivals: &[Arrival]| -> BTreeSet<u64> {
        arrivals.iter().map(|arrival| arrival.connection).collect()
    };
    assert_ne!(connections(&arrivals), connections(&other_arrivals));
}

/// Sessions of ten seconds that begin evenly over a hundred.
#[test]
fn a_ramp_lets_whole_sessions_in_by_when_they_begin() {
    let mut exchanges: Vec<Exchange> = (0..2_000_u64)
        .flat_map(|session| {
            (0..3).map(move |part| exchange(session * 50 + part * 5_000, session, 9_000 + session))
        })
        .collect();
    exchanges.sort_by_key(|exchange| exchange.at);
    let file = std::env::temp_dir().join(format!("peakhour-ramp-{}.csv", std::process::id()));
    std::fs::write(&file, "at_seconds,share_of_users\n0,0.25\n25,1\n").unwrap();
    let ramp = Ramp::read(&file.display().to_string()).ok();
    std::fs::remove_file(&file).unwrap();
    // Twice as fast: the ramp's 25 s are 50 s of the recording.
    let ramped = Scenario { ramp: ramp.clone(), speed: 2.0, ..scenario() };
    let (facts, arrivals) = planned(&exchanges, &ramped).unwrap();
    let mut requests: BTreeMap<u64, u32> = BTreeMap::new();
    for arrival in &arrivals {
        *requests.entry(arrival.connection).or_default() += 1;
    }
    assert!(requests.values().all(|count| *count == 3), "a session is let in as a whole");
    let early = requests.range(..1_000).count();
    assert!((200..300).contains(&early), "{early} of 1000 where a quarter is let in");
    assert_eq!(requests.range(1_000..).count(), 1_000);
    assert_eq!(facts.skipped["not let in yet by the ramp"], 3 * (1_000 - early as u64));
    let told = format!("the ramp lets in {} of 6\u{202f}000", format_count(facts.arrivals));
    assert!(facts.warnings.iter().any(|it| it.starts_with(&told)), "{:?}", facts.warnings);
    assert_eq!(planned(&exchanges, &ramped).unwrap().0.fingerprint, facts.fingerprint);
    let (all, _) = planned(&exchanges, &Scenario { speed: 2.0, ..scenario() }).unwrap();
    assert_ne!(all.fingerprint, facts.fingerprint);
}

/// The figures are part of the format: whoever changes them changes every plan that was ever kept.
#[test]
fn the_fingerprint_of_a_known_plan_is_known() {
    let found = KNOWN.map(|(scale, _, _)| {
        let (facts, _) = planned(&twelve_sessions(), &Scenario { scale, ..scenario() }).unwrap();
        (scale, facts.fingerprint, facts.connections)
    });
    assert_eq!(found, KNOWN.map(|(scale, hash, count)| (scale, hash.to_owned(), count)));
}

const KNOWN: [(f64, &str, u64); 3] =
    [(1.0, "1b06408051f847c0", 12), (0.5, "d1e803f4b74c494a", 7), (2.5, "cdccdc371d15e293", 31)];

#[test]
fn the_fingerprint_sees_every_part_of_an_arrival() {
    let base = twelve_sessions();
    let fingerprint = |change: &dyn Fn(&mut Exchange)| {
        let mut exchanges = base.clone();
        change(&mut exchanges[71]);
        planned(&exchanges, &scenario()).unwrap().0.fingerprint
    };
    let same = fingerprint(&|_| ());
    assert_eq!(same, fingerprint(&|row| row.response = None));
    let moved = fingerprint(&|row| row.at += Duration::from_nanos(1));
    let elsewhere = fingerprint(&|row| row.connection = 99);
    let other_head = fingerprint(&|row| {
        row.request_head = Bytes::from_static(b"GET /cart/8 HTTP/1.1\r\nHost: a\r\n\r\n");
    });
    let head = b"POST /cart/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    let with_body = |body: &'static [u8]| {
        fingerprint(&|row| {
            row.method = "POST".to_owned();
            row.request_head = Bytes::from_static(head);
            row.request_body = Bytes::from_static(body);
            row.request_body_bytes = 1;
        })
    };
    let spoken = fingerprint(&|row| row.protocol = Protocol::Http2);
    let all = [same, moved, elsewhere, other_head, with_body(b"a"), with_body(b"b"), spoken];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn the_window_becomes_the_start_and_its_end_is_excluded() {
    let exchanges = twelve_sessions();
    let window = Window::Offset(Duration::from_millis(125), Duration::from_millis(250));
    let (facts, arrivals) = planned(&exchanges, &Scenario { window, ..scenario() }).unwrap();
    let due: Vec<u128> = arrivals.iter().map(|arrival| arrival.due.as_millis()).collect();
    assert_eq!(due, [25, 75]);
    assert_eq!((facts.exchanges, facts.window_ns), (2, [125_000_000, 250_000_000]));
    assert_eq!(arrivals[0].seq, 0);
}

#[test]
fn speed_divides_time() {
    let exchanges = twelve_sessions();
    for (speed, last_ns) in [(0.5, 7_100_000_000), (1.5, 2_366_666_666), (2.0, 1_775_000_000)] {
        let (facts, _) = planned(&exchanges, &Scenario { speed, ..scenario() }).unwrap();
        assert_eq!(facts.duration_ns, last_ns);
        let told = facts.scaling.unwrap().told();
        assert!(told[0].starts_with(&format!("a speed of {speed} is ")), "{told:?}");
    }
}

#[test]
fn facts_add_up() {
    let (facts, arrivals) = planned(&twelve_sessions(), &scenario()).unwrap();
    assert_eq!((facts.connections, facts.sessions, facts.peak_rate), (12, 12, 20));
    assert_eq!(facts.peak_connections, 12);
    assert_eq!(facts.duration_ns, 3_550_000_000);
    let bytes: usize = arrivals.iter().map(|arrival| arrival.head.len() + arrival.body.len()).sum();
    assert_eq!(facts.request_bytes, bytes as u64);
    assert!(facts.idc_before[0].is_some() && facts.idc_before == facts.idc_after);
    assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
    let recorded = arrivals[0].recorded;
    assert_eq!((recorded.status, recorded.body_bytes), (Some(200), Some(12)));
    assert_eq!(recorded.latency, Some(Duration::from_millis(2)));
    assert_eq!((&*arrivals[0].method, &*arrivals[0].route), ("GET", "GET /cart/*"));
    assert_eq!(&arrivals[0].head[..], b"GET /cart/7 HTTP/1.1\r\nHost: staging\r\n\r\n");
}

#[test]
fn connections_that_follow_each_other_are_not_open_at_once() {
    let one_by_one: Vec<Exchange> = (0..10).map(|index| exchange(index * 10, index, 1)).collect();
    let (facts, _) = planned(&one_by_one, &scenario()).unwrap();
    assert_eq!((facts.connections, facts.peak_connections), (10, 1));
    let slow: Vec<Exchange> = one_by_one
        .into_iter()
        .map(|mut exchange| {
            let response = exchange.response.as_mut().unwrap();
            response.last_byte = Some(Duration::from_millis(25));
            exchange
        })
        .collect();
    assert_eq!(planned(&slow, &scenario()).unwrap().0.peak_connections, 3);
}

#[test]
fn the_first_touch_of_a_target_is_told_from_later_ones() {
    let mut exchanges: Vec<Exchange> = (0..4).map(|index| exchange(index, 0, 0)).collect();
    exchanges[1].target = "/other".to_owned();
    exchanges[2].method = "HEAD".to_owned();
    exchanges[2].request_head = Bytes::from_static(b"HEAD /cart/7 HTTP/1.1\r\n\r\n");
    let (_, arrivals) = planned(&exchanges, &scenario()).unwrap();
    let touches: Vec<Touch> = arrivals.iter().map(|arrival| arrival.touch).collect();
    assert_eq!(touches, [Touch::First, Touch::First, Touch::First, Touch::Again]);
}

#[test]
fn what_is_left_out_is_counted_by_reason_and_told_when_nothing_is_left() {
    let mut exchanges = twelve_sessions();
    exchanges[0].flags.insert(Flags::AMBIGUOUS_FRAMING);
    exchanges[1].method = "DELETE".to_owned();
    exchanges[2].request_body = Bytes::from_static(b"not announced");
    exchanges[2].request_body_bytes = 13;
    exchanges[3].request_body_bytes = 1; // And it is not flagged.
    let methods = MethodPolicy::Only(vec!["GET".to_owned()]);
    let (facts, _) = planned(&exchanges, &Scenario { methods, ..scenario() }).unwrap();
    let skipped: Vec<_> = facts.skipped.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(
        skipped,
        [
            ("ambiguous framing", 1),
            ("body does not match its head", 1),
            ("method not allowed by the scenario", 1),
            ("request body not whole", 1)
        ]
    );
    let methods = MethodPolicy::Only(vec!["PURGE".to_owned()]);
    let error = planned(&exchanges, &Scenario { methods, ..scenario() }).unwrap_err().to_string();
    assert!(
        error.contains("ambiguous framing: 1, method not allowed by the scenario: 71"),
        "{error}"
    );
    let error = planned(&[], &scenario()).unwrap_err().to_string();
    assert!(error.contains("the window holds no request at all"), "{error}");
}

#[test]
fn a_policy_of_methods_holds_for_the_bytes_that_are_sent() {
    let mut exchanges = twelve_sessions();
    for (index, line) in [(1, "DELETE"), (2, "CONNECT"), (3, "GETX"), (4, " GET"), (5, "get")] {
        let head = format!("{line} /cart/7 HTTP/1.1\r\nHost: a\r\n\r\n");
        exchanges[index].request_head = head.into();
    }
    let methods = MethodPolicy::Only(vec!["GET".to_owned()]);
    for methods in [methods, MethodPolicy::All] {
        let (facts, plan) = planned(&exchanges, &Scenario { methods, ..scenario() }).unwrap();
        assert_eq!(facts.skipped, [("method does not match its head".to_owned(), 5)].into());
        let all_get = |arrival: &Arrival| arrival.head.starts_with(b"GET /");
        assert!(plan.iter().all(all_get));
    }
}

#[test]
fn plans_above_a_limit_are_refused() {
    let exchanges = twelve_sessions();
    let limits = Limits { max_rate: 19, ..Limits::default() };
    let error = planned(&exchanges, &Scenario { limits, ..scenario() }).unwrap_err().to_string();
    assert!(error.contains("20 requests/s at second 0"), "{error}");
    let limits = Limits { max_connections: 11, ..Limits::default() };
    let error = planned(&exchanges, &Scenario { limits, ..scenario() }).unwrap_err().to_string();
    assert!(error.contains("12 connections open at once"), "{error}");
    let limits = Limits { max_rate: 20, max_connections: 12, ..Limits::default() };
    assert!(planned(&exchanges, &Scenario { limits, ..scenario() }).is_ok());
}

#[test]
fn a_person_is_told_what_the_recording_cannot_give() {
    let mut exchanges = twelve_sessions();
    exchanges[0].flags.insert(Flags::REDACTED);
    let (facts, _) = planned(&exchanges, &scenario()).unwrap();
    let told = |facts: &Facts, part: &str| facts.warnings.iter().any(|text| text.contains(part));
    assert!(told(&facts, "credentials of 1 requests"), "{:?}", facts.warnings);
    let headers: BTreeMap<_, _> = [("authorization".to_owned(), "x".to_owned())].into();
    let (facts, _) = planned(&exchanges, &Scenario { headers, ..scenario() }).unwrap();
    assert!(!told(&facts, "credentials"));
    let (facts, _) = planned(&exchanges, &Scenario { scale: 2.0, ..scenario() }).unwrap();
    assert!(told(&facts, "clones start up to 30 s later"), "{:?}", facts.warnings);
    // One group of everything: a scale of a half is all or nothing.
    let tied: Vec<Exchange> = (0..50).map(|index| exchange(index, 0, index)).collect();
    let halved = |seed| planned(&tied, &Scenario { scale: 0.5, seed, ..scenario() });
    let (facts, _) = (0..20).find_map(|seed| halved(seed).ok()).unwrap();
    assert!(told(&facts, "came out as 1.000"), "{:?}", facts.warnings);
    assert!(told(&facts, "the largest one holds 100 %"), "{:?}", facts.warnings);
}
