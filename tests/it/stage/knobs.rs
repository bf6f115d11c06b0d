//! The faults: each knob's broken and healthy twin.

use std::time::Duration;

use peakhour::scenario::knobs::{
    BeyondLimit, CacheKnobs, ConnectionLimit, RetryStorm, StageKnobs, Stall,
};
use peakhour::stage::faults::Fault;

use crate::stage::client::Client;
use crate::stage::{counted, pause, post, request, stage};

// Cache and store

#[test]
fn a_warm_cache_hits() {
    let stage = stage(cache(true, Duration::from_hours(1), 1));
    let mut client = Client::connect(stage.address);
    for _ in 0..3 {
        assert_eq!(client.ask(request("GET /a")).status, 200);
    }
    let counters = stage.stop();
    assert_eq!((counters.cache_hits, counters.cache_misses), (3, 0));
}

#[test]
fn a_cold_cache_misses_each_key_once() {
    let stage = stage(cache(false, Duration::from_millis(1), 1));
    let mut client = Client::connect(stage.address);
    for line in ["GET /a", "GET /a", "GET /b", "HEAD /a", "POST /a", "GET /a"] {
        client.send(request(line));
        if line.starts_with("HEAD") {
            client.head()
        } else {
            client.answer()
        };
    }
    let counters = stage.stop();
    // A POST is no read; a HEAD is a key of its own.
    assert_eq!((counters.cache_hits, counters.cache_misses, counters.store_reads), (2, 3, 3));
    assert_eq!(counters.cache_stampedes, 0);
}

#[test]
fn reads_of_one_cold_key_at_once_all_go_to_the_store() {
    let stage = stage(cache(false, Duration::from_hours(1), 4));
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(stage.address)).collect();
    for client in &mut clients {
        client.send(request("GET /hot"));
    }
    let counters = counted(&stage, |counters| counters.cache_misses == 5);
    assert_eq!((counters.cache_stampedes, counters.store_reads), (4, 0));
    // Those who do not need the store are served meanwhile, and a stop does not wait for it.
    assert_eq!(Client::connect(stage.address).ask(request("POST /")).status, 200);
    assert_eq!(stage.stop().store_reads, 0);
}

#[test]
fn the_service_time_is_waited_for_without_blocking_others() {
    let stage = stage(StageKnobs { service: Duration::from_hours(1), ..StageKnobs::default() });
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(stage.address)).collect();
    for client in &mut clients {
        client.send(request("GET /"));
    }
    counted(&stage, |counters| counters.cache_hits == 3);
    stage.stop();
    for client in &mut clients {
        assert_eq!(client.rest(), b"");
    }
}

// Limits on connections

#[test]
fn a_connection_beyond_the_limit_gets_a_banner() {
    let stage = stage(limited(2, BeyondLimit::Banner));
    let mut first = Client::connect(stage.address);
    let mut second = Client::connect(stage.address);
    assert_eq!(first.ask(request("GET /")).status, 200);
    assert_eq!(second.ask(request("GET /")).status, 200);
    let mut third = Client::connect(stage.address);
    assert_eq!(third.rest(), b"-ERR max number of clients reached\r\n");
    drop(first);
    counted(&stage, |counters| counters.connections_open == 1);
    assert_eq!(Client::connect(stage.address).ask(request("GET /")).status, 200);
    let counters = stage.stop();
    assert_eq!((counters.connections_accepted, counters.connections_refused), (3, 1));
    assert_eq!(counters.connections_peak, 2);
}

#[test]
fn a_connection_beyond_the_limit_hangs_until_one_closes() {
    let stage = stage(limited(1, BeyondLimit::StopAccepting));
    let mut first = Client::connect(stage.address);
    assert_eq!(first.ask(request("GET /")).status, 200);
    let mut second = Client::connect(stage.address); // By the kernel.
    second.send(request("GET /"));
    for _ in 0..20 {
        // Each turn of the loop would have accepted it.
        assert_eq!(first.ask(request("GET /")).status, 200);
    }
    let counters = stage.counters();
    assert_eq!((counters.connections_accepted, counters.requests), (1, 21));
    drop(first);
    assert_eq!(second.answer().status, 200);
    let counters = stage.stop();
    assert_eq!((counters.connections_accepted, counters.connections_refused), (2, 0));
}

#[test]
fn a_limit_of_none_serves_nobody() {
    let stage = stage(limited(0, BeyondLimit::Banner));
    assert!(Client::connect(stage.address).rest().starts_with(b"-ERR"));
    assert_eq!(stage.stop().connections_accepted, 0);
}

// Overload

#[test]
fn a_retry_storm_stays_when_its_cause_is_gone_and_never_begins_below_it() {
    let storm = Some(RetryStorm { beyond: 2, adds: Duration::from_millis(1) });
    for (together, slowed) in [(2, 0), (3, 2)] {
        let service = Duration::from_secs(3);
        let stage = stage(StageKnobs { service, retry_storm: storm, ..StageKnobs::default() });
        let mut clients: Vec<_> = (0..together).map(|_| Client::connect(stage.address)).collect();
        for client in &mut clients {
            client.send(request("GET /"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
        // What comes when those are gone.
        let before = stage.counters().stormed;
        for _ in 0..2 {
            assert_eq!(clients[0].ask(request("GET /")).status, 200);
        }
        assert_eq!(stage.stop().stormed - before, slowed, "{together} together");
    }
}

// Bodies

#[test]
fn bodies_above_the_limit_are_refused() {
    let stage = stage(StageKnobs { body_limit: Some(64), ..StageKnobs::default() });
    let mut client = Client::connect(stage.address);
    assert_eq!(client.ask(post(64)).status, 200);
    let answer = client.ask(post(65));
    assert_eq!(answer.status, 413);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(client.rest(), b"");

    let mut chunked = Client::connect(stage.address);
    let size = "x".repeat(65);
    chunked.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(chunked.ask(format!("41\r\n{size}\r\n0\r\n\r\n")).status, 413);

    // Only announced, so never sent.
    let mut polite = Client::connect(stage.address);
    let head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 65\r\n\r\n";
    assert_eq!(polite.ask(head).status, 413);

    let counters = stage.stop();
    assert_eq!((counters.requests, counters.bodies_refused), (4, 3));
}

#[test]
fn a_body_far_above_the_limit_is_not_read_to_its_end() {
    let stage = stage(StageKnobs { body_limit: Some(1), ..StageKnobs::default() });
    let mut client = Client::connect(stage.address);
    client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..1_000 {
        client.try_send(chunk.as_bytes()); // The end of the body never comes.
    }
    counted(&stage, |counters| counters.bodies_refused == 1 && counters.connections_open == 0);
    assert_eq!(Client::connect(stage.address).ask(request("GET /")).status, 200);
}

#[test]
fn bodies_without_a_limit_are_read() {
    let stage = stage(StageKnobs::default());
    let mut client = Client::connect(stage.address);
    assert_eq!(client.ask(post(1_000_000)).status, 200);
    client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.ask("2\r\nab\r\n3\r\ncde\r\n0\r\nTrailer: x\r\n\r\n").status, 200);
    client.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.head().status, 100);
    assert_eq!(client.ask("ab").status, 200);
    let counters = stage.stop();
    assert_eq!((counters.requests, counters.bodies_refused, counters.bodies_broken), (3, 0, 0));
    assert_eq!(counters.blocked, Duration::ZERO);
}

#[test]
fn a_body_with_wrong_framing_is_answered_400() {
    let stage = stage(StageKnobs::default());
    let mut client = Client::connect(stage.address);
    client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n");
    assert_eq!(client.answer().status, 400);
    assert_eq!(stage.stop().bodies_broken, 1);
}

// The event loop

#[test]
fn a_body_blocks_the_loop_by_its_size() {
    let stage = stage(StageKnobs { block_ns_per_byte: 1_000_000, ..StageKnobs::default() });
    let mut client = Client::connect(stage.address);
    assert_eq!(client.ask(post(30)).status, 200);
    assert_eq!(client.ask(request("GET /")).status, 200);
    assert!(stage.stop().blocked >= Duration::from_millis(30));
}

#[test]
fn a_blocked_loop_serves_nobody_and_can_be_stopped() {
    let stage = stage(StageKnobs { block_ns_per_byte: u64::MAX, ..StageKnobs::default() });
    let mut blocking = Client::connect(stage.address);
    let mut victim = Client::connect(stage.address);
    assert_eq!(victim.ask(request("GET /")).status, 200);
    blocking.send(post(1));
    counted(&stage, |counters| counters.requests == 2);
    victim.send(request("GET /"));
    pause();
    assert_eq!(stage.counters().requests, 2);
    // The block was cut short; at its full length it takes 10 s.
    assert!(stage.stop().blocked < Duration::from_secs(10));
}

#[test]
fn it_stalls_once() {
    let stall = Stall { at: Duration::ZERO, length: Duration::from_millis(1) };
    let stage = stage(StageKnobs { stall: Some(stall), ..StageKnobs::default() });
    assert_eq!(stage.counters().stalled, 0); // Its time counts from the first request.
    let mut client = Client::connect(stage.address);
    for _ in 0..3 {
        assert_eq!(client.ask(request("GET /")).status, 200);
    }
    counted(&stage, |counters| counters.stalled == 1);
    assert_eq!(client.ask(request("GET /")).status, 200);
    assert_eq!(stage.stop().stalled, 1);
}

#[test]
fn a_stalled_stage_serves_nobody_and_can_be_stopped() {
    let stall = Stall { at: Duration::ZERO, length: Duration::MAX };
    let stage = stage(StageKnobs { stall: Some(stall), ..StageKnobs::default() });
    let mut client = Client::connect(stage.address);
    client.send(request("GET /"));
    counted(&stage, |counters| counters.stalled == 1);
    let mut victim = Client::connect(stage.address); // By the kernel.
    victim.send(request("GET /"));
    pause();
    assert_eq!(stage.counters().requests, 1);
    stage.stop();
}

#[test]
fn knobs_at_their_ends_are_survived() {
    let knobs = StageKnobs {
        service: Duration::MAX,
        cache: CacheKnobs {
            warm: false,
            store_latency: Duration::MAX,
            store_pool: 0,
            warms_over: None,
        },
        stall: Some(Stall { at: Duration::MAX, length: Duration::MAX }),
        ..StageKnobs::default()
    };
    let stage = stage(knobs);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(stage.address)).collect();
    for client in &mut clients {
        client.send(request("GET /").repeat(2));
    }
    counted(&stage, |counters| counters.cache_misses == 3);
    let counters = stage.stop();
    assert_eq!((counters.panics, counters.stalled, counters.store_reads), (0, 0, 0));
}

#[test]
fn every_fault_starts() {
    for fault in Fault::ALL {
        let mut knobs = StageKnobs::default();
        fault.apply(&mut knobs, 4);
        let stage = stage(knobs);
        assert_eq!(Client::connect(stage.address).ask(post(1)).status, 200, "{fault}");
    }
}

fn cache(warm: bool, store_latency: Duration, store_pool: u32) -> StageKnobs {
    let cache = CacheKnobs { warm, store_latency, store_pool, warms_over: None };
    StageKnobs { cache, ..StageKnobs::default() }
}

fn limited(max: u32, beyond: BeyondLimit) -> StageKnobs {
    let connection_limit = Some(ConnectionLimit { max, beyond });
    StageKnobs { connection_limit, ..StageKnobs::default() }
}
