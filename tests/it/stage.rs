//! The embedded stage over real sockets. Each knob has a broken and a healthy twin, told apart by
//! answers and counters, never by how long something took.

mod answers;
mod client;
mod hostile;
mod knobs;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use peakhour::scenario::knobs::StageKnobs;
use peakhour::stage::catalogue::Catalogue;
use peakhour::stage::counters::Counters;
use peakhour::stage::server::{Stage, start};

fn stage(knobs: StageKnobs) -> Stage {
    stage_with(knobs, Catalogue::new())
}

fn stage_with(knobs: StageKnobs, catalogue: Catalogue) -> Stage {
    start(knobs, catalogue, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .expect("a stage on a free port")
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: shop.example\r\n\r\n")
}

fn post(body_bytes: usize) -> String {
    let body = "x".repeat(body_bytes);
    format!("POST / HTTP/1.1\r\nContent-Length: {body_bytes}\r\n\r\n{body}")
}

/// Waits until the counters are as described; fails after a minute.
fn counted(stage: &Stage, as_described: impl Fn(&Counters) -> bool) -> Counters {
    for _ in 0..6_000 {
        let counters = stage.counters();
        if as_described(&counters) {
            return counters;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("the counters stay at {:?}", stage.counters());
}

/// Time enough for a stage that is not blocked to do something. On a slow machine a broken stage
/// may pass; a right one never fails.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(100));
}
