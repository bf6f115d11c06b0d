use std::net::SocketAddr;

use super::*;
use crate::drive::looking::MAX_LOOKED_INTO;
use crate::plan::LARGE_BODY;
use crate::summary::examples;

/// A run that began just now.
pub(crate) fn run_against(address: SocketAddr, max_in_flight: u32) -> Run {
    let patience = Duration::from_secs(30);
    let limits = Limits {
        max_in_flight,
        connect_timeout: patience,
        response_timeout: patience,
        grace: patience,
        max_rate: 1_000,
        max_connections: 1_000,
    };
    Run::new(
        Epoch::after(Duration::ZERO),
        address.into(),
        limits,
        Arc::default(),
        Control::default(),
    )
}

fn desk(max_in_flight: u32) -> Arc<Desk> {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    Arc::new(Desk::new(Arc::new(run_against(nowhere, max_in_flight))))
}

/// An arrival picked up just now, with a body of so many bytes.
fn in_flight(desk: &Arc<Desk>, body: usize) -> Option<InFlight> {
    let mut arrival = examples::arrival(0, Duration::ZERO);
    arrival.body = vec![0; body].into();
    InFlight::begin(desk, Box::new(arrival), desk.run.epoch.now())
}

/// Whether a request that ends now was beside a large one.
fn beside_large(mut request: InFlight) -> bool {
    request.conclude();
    request.sample.beside_large
}

#[test]
fn a_request_is_beside_a_large_one_when_both_were_in_flight() {
    let desk = desk(10);
    let request = |body| in_flight(&desk, body).unwrap();
    let (before, small) = (request(0), request(LARGE_BODY - 1));
    let mut large = request(LARGE_BODY);
    assert!(!beside_large(before), "it is over before the large one is sent");
    large.first_byte_sent(desk.run.epoch.now());
    let during = request(0);
    assert!(beside_large(request(0)), "it is over while the large one lasts");
    assert!(!beside_large(large), "a large one does not count itself");
    assert!(beside_large(small) && beside_large(during), "they were there before it ended");
    assert!(!beside_large(request(0)), "it begins after");
}

/// What was opened for a request was, whether it is sent once or twice; a further attempt is
/// another one, of which nothing earlier is told.
#[test]
fn a_request_tells_of_the_connection_that_was_opened_for_it_last() {
    let desk = desk(10);
    let mut request = in_flight(&desk, 0).unwrap();
    request.connection_opened();
    request.connection_secured();
    let first = request.sample.clone();
    assert!(first.handshake().is_some() && first.opened && in_order(&first));
    request.first_byte_sent(desk.run.epoch.now());
    request.take_back();
    assert_eq!((&request.sample, request.sample.sent), (&first, None));
    request.connection_opened();
    assert_eq!((request.sample.opened, request.sample.handshake()), (true, None));
    request.connection_failed(&Fate::Refused);
    assert_eq!((request.sample.opened, request.sample.established), (true, None));
    request.connection_failed(&Fate::Unsent { reason: Unsent::LocalResources });
    assert!(!request.sample.opened, "the target saw nothing of it");
    let backwards = Sample { established: first.secured.map(|at| at * 2), ..first };
    assert!(!in_order(&backwards));
}

#[test]
fn a_large_body_sent_twice_counts_once() {
    let desk = desk(10);
    let mut large = in_flight(&desk, LARGE_BODY).unwrap();
    large.first_byte_sent(desk.run.epoch.now());
    large.take_back();
    large.first_byte_sent(desk.run.epoch.now());
    drop(large);
    assert!(desk.run.large.is_empty());
}

/// Bodies wait in our memory when a target stalls: a gibibyte of them, not as many as may be
/// in flight.
#[test]
fn bytes_in_flight_are_bounded_and_come_back() {
    let desk = desk(10_000);
    let body: ::bytes::Bytes = vec![0; 64 * 1024 * 1024].into();
    let begin = || {
        let mut arrival = examples::arrival(0, Duration::ZERO);
        arrival.body = body.clone(); // One buffer, which is not known here.
        InFlight::begin(&desk, Box::new(arrival), Duration::ZERO)
    };
    let held: Vec<_> = (0..20).filter_map(|_| begin()).collect();
    assert_eq!(held.len(), 15, "with their heads, 16 are more than a gibibyte");
    drop(held);
    assert!(begin().is_some());
    let fates: Vec<_> = desk.take_summary().fates.into_iter().collect();
    assert_eq!(fates, [("unsent: in-flight bytes", 5), ("unsent: run ended", 16)]);
    assert_eq!(desk.run.gauges.snapshot().in_flight, 0);
}

#[test]
fn what_is_dropped_is_settled_by_how_far_it_came() {
    let desk = desk(3);
    let unwritten = in_flight(&desk, 0).unwrap();
    let mut written = in_flight(&desk, 0).unwrap();
    written.first_byte_sent(desk.run.epoch.now());
    let stopped = in_flight(&desk, 0).unwrap();
    assert!(in_flight(&desk, 0).is_none(), "a fourth is too many");
    drop((unwritten, written));
    desk.run.stop.request();
    drop(stopped);
    let fates: Vec<_> = desk.take_summary().fates.into_iter().collect();
    let expected = [
        ("timed out", 1),
        ("unsent: in-flight limit", 1),
        ("unsent: interrupted", 1),
        ("unsent: run ended", 1),
    ];
    assert_eq!(fates, expected);
    assert_eq!(desk.run.gauges.snapshot().in_flight, 0);
}

#[test]
fn what_is_taken_back_was_never_sent() {
    let desk = desk(1);
    let mut part = in_flight(&desk, 0).unwrap();
    part.first_byte_sent(desk.run.epoch.now());
    part.sample.first_byte = Some(desk.run.epoch.now());
    part.sample.response_bytes = 7;
    part.take_back();
    assert_eq!((part.sample.sent, part.sample.first_byte), (None, None));
    assert_eq!((part.sample.response_bytes, desk.run.gauges.snapshot().sent), (0, 0));
    part.take_back();
    assert_eq!(desk.run.gauges.snapshot().sent, 0, "nothing is taken back twice");
    drop(part);
    assert_eq!(desk.take_summary().fates.get("unsent: run ended"), Some(&1));
}

/// The recorded body of the example is JSON. Bodies of answers with another status are not
/// compared, and those beyond the places are counted as not known.
#[test]
fn bodies_are_looked_into_as_long_as_there_are_places() {
    let desk = desk(10);
    let answered = |status, body: &[u8]| {
        let mut request = in_flight(&desk, 0).unwrap();
        let mut witness = request.witness().unwrap();
        witness.push(body);
        request.has_seen(Some(witness));
        request.finish(Fate::Answered { status });
    };
    answered(200, b"{\"id\":1}");
    answered(200, b"<html>");
    answered(500, b"{\"id\":1}");
    let places = (0..=MAX_LOOKED_INTO).take_while(|_| desk.run.looking.enter()).count();
    assert_eq!(places, MAX_LOOKED_INTO, "each gave its place back");
    answered(200, b"{\"id\":1}");
    let summary = desk.take_summary();
    let responses = &summary.routes.get("GET /item/*").unwrap().responses;
    let fields = &responses.fields;
    assert_eq!((fields.compared, fields.no_json, fields.unread), (1, 1, 1));
    assert_eq!(responses.compared(), 4);
}
