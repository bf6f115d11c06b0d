//! What the stage answers, and how it keeps its connections.

use std::net::TcpStream;
use std::time::Duration;

use peakhour::scenario::knobs::StageKnobs;
use peakhour::stage::catalogue::Catalogue;
use peakhour::stage::server::{StageError, start};

use crate::stage::client::Client;
use crate::stage::{counted, request, stage, stage_with};

// What production answered

#[test]
fn it_answers_as_production_did() {
    let mut catalogue = Catalogue::new();
    catalogue.add("GET", "/page", 200, 1_234);
    catalogue.add("GET", "/gone", 410, 7);
    catalogue.add("GET", "/empty", 200, 0);
    catalogue.add("POST", "/orders?x=1", 201, 70_000);
    catalogue.add("GET", "/none", 204, 9);
    catalogue.add("GET", "/same", 304, 9);
    catalogue.add("GET", "/chat", 101, 9);
    catalogue.add("GET", "/odd", 999, 9);
    let stage = stage_with(StageKnobs::default(), catalogue);
    let mut client = Client::connect(stage.address);
    let table = [
        ("GET /page", 200, 1_234),
        ("GET /gone", 410, 7),
        ("GET /empty", 200, 0),
        ("POST /orders?x=1", 201, 70_000),
        ("GET /none", 204, 0),
        ("GET /same", 304, 0),
        ("GET /chat", 200, 9),
        ("GET /odd", 999, 9),
        ("GET http://production.example/page", 200, 1_234), // The host does not matter.
        ("GET /new", 200, 512),                             // Production was never asked.
        ("DELETE /page", 200, 512),
    ];
    for (line, status, body_bytes) in table {
        let answer = client.ask(request(line));
        assert_eq!((answer.status, answer.body_bytes), (status, body_bytes), "{line}");
    }
    let counters = stage.stop();
    assert_eq!((counters.requests, counters.connections_accepted), (11, 1));
}

#[test]
fn a_large_body_arrives_whole() {
    let mut catalogue = Catalogue::new();
    catalogue.add("GET", "/video", 200, 30_000_001);
    let stage = stage_with(StageKnobs::default(), catalogue);
    let mut client = Client::connect(stage.address);
    assert_eq!(client.ask(request("GET /video")).body_bytes, 30_000_001);
    assert_eq!(client.ask(request("GET /next")).body_bytes, 512);
}

#[test]
fn odd_methods_and_targets_are_answered() {
    let stage = stage(StageKnobs::default());
    let mut client = Client::connect(stage.address);
    for line in [
        "PURGE /x",
        "get /lower",
        "M-SEARCH *",
        "OPTIONS *",
        "PROPFIND /dav/",
        "GET /a?x=[1]|{}&y=%zz",
        "GET //double//slash",
        "GET /caf\u{e9}",
        "GET  /two-spaces",
        "GET example.com",
        "GET /f#fragment",
    ] {
        assert_eq!(client.ask(request(line)).status, 200, "{line}");
    }
    let many_headers = "X-Same: y\r\n".repeat(250);
    assert_eq!(client.ask(format!("GET / HTTP/1.1\r\n{many_headers}\r\n")).status, 200);
    assert_eq!(client.ask("GET / HTTP/1.1\r\nno colon\r\nHost: x\r\n\r\n").status, 200);
    assert_eq!(stage.stop().connections_accepted, 1);
}

#[test]
fn a_tunnel_is_answered_and_closed() {
    let stage = stage(StageKnobs::default());
    let mut client = Client::connect(stage.address);
    assert_eq!(client.ask(request("CONNECT shop.example:443")).status, 200);
    assert_eq!(client.rest(), b"");
    assert_eq!(stage.stop().panics, 0);
}

// Connections

#[test]
fn connections_are_kept() {
    let stage = stage(StageKnobs::default());
    let mut client = Client::connect(stage.address);
    for _ in 0..100 {
        assert_eq!(client.ask(request("GET /")).status, 200);
    }
    let counters = stage.stop();
    assert_eq!((counters.connections_accepted, counters.requests), (1, 100));
}

#[test]
fn http_1_0_is_kept_only_on_request() {
    let stage = stage(StageKnobs::default());
    let mut client = Client::connect(stage.address);
    assert_eq!(client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").status, 200);
    assert_eq!(client.ask("GET / HTTP/1.0\r\n\r\n").status, 200);
    assert_eq!(client.rest(), b"");
}

#[test]
fn head_has_a_length_and_no_body() {
    let mut catalogue = Catalogue::new();
    catalogue.add("HEAD", "/page", 200, 1_234);
    let stage = stage_with(StageKnobs::default(), catalogue);
    let mut client = Client::connect(stage.address);
    client.send(request("HEAD /page"));
    assert_eq!(client.head().body_bytes, 1_234);
    assert_eq!(client.ask(request("GET /next")).body_bytes, 512);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut catalogue = Catalogue::new();
    for number in 0..50 {
        catalogue.add("GET", &format!("/{number}"), 200, number);
    }
    let stage = stage_with(StageKnobs::default(), catalogue);
    let mut client = Client::connect(stage.address);
    let all: String = (0..50).map(|number| request(&format!("GET /{number}"))).collect();
    client.send(all);
    let sizes: Vec<usize> = (0..50).map(|_| client.answer().body_bytes).collect();
    assert_eq!(sizes, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_client_that_has_finished_sending_is_answered() {
    let stage = stage(StageKnobs { service: Duration::from_millis(5), ..StageKnobs::default() });
    let mut client = Client::connect(stage.address);
    client.send(request("GET /"));
    client.finish_sending();
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_leaves_in_a_body_disturbs_nobody() {
    let stage = stage(StageKnobs::default());
    let mut leaving = Client::connect(stage.address);
    leaving.send("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nonly this");
    drop(leaving);
    let counters =
        counted(&stage, |counters| counters.bodies_broken == 1 && counters.connections_open == 0);
    assert_eq!((counters.requests, counters.panics), (1, 0));
    assert_eq!(Client::connect(stage.address).ask(request("GET /")).status, 200);
}

#[test]
fn idle_connections_stay_and_are_closed_by_a_stop() {
    let stage = stage(StageKnobs::default());
    let mut idle: Vec<Client> = (0..200).map(|_| Client::connect(stage.address)).collect();
    counted(&stage, |counters| counters.connections_open == 200);
    assert_eq!(idle[199].ask(request("GET /")).status, 200);
    assert_eq!(idle[0].ask(request("GET /")).status, 200);
    let counters = stage.stop();
    assert_eq!((counters.connections_peak, counters.connections_open), (200, 0));
    for client in &mut idle {
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn dropping_it_closes_its_port() {
    let stage = stage(StageKnobs::default());
    let address = stage.address;
    drop(stage);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let stage = stage(StageKnobs::default());
    let error = start(StageKnobs::default(), Catalogue::new(), stage.address).unwrap_err();
    assert!(matches!(error, StageError::Listen { address, .. } if address == stage.address));
    assert!(error.to_string().contains(&stage.address.to_string()), "{error}");
}
