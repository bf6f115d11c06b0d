//! Arrivals and samples for tests: an ordinary one each, to be changed in one field.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::plan::answers::{Answer, Answers};
use crate::plan::bond::Bond;
use crate::plan::{Arrival, Recorded, Touch};
use crate::protocol::Protocol;
use crate::recording::contents::Contents;
use crate::sample::{Fate, Sample};

/// A `GET` of a warmed target, due at `ms` and last on a connection of its own.
pub(crate) fn arrival(index: u64, due: Duration) -> Arrival {
    Arrival {
        answers: Answers { recorded: Some(answer()), before: Some(answer()) },
        bond: Bond::default(),
        index,
        due,
        connection: index,
        protocol: Protocol::Http1,
        session: index,
        seq: 0,
        streamed: None,
        last_on_connection: true,
        method: Arc::from("GET"),
        route: Arc::from("GET /item/*"),
        head: Bytes::from_static(b"GET /item/1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        body: Bytes::new(),
        touch: Touch::Again,
        turn: None,
        recorded: Recorded {
            status: Some(200),
            body_bytes: Some(1_000),
            latency: Some(Duration::from_millis(2)),
            pipelined: false,
            expects: false,
            half_closes: false,
            closes: None,
            resumed: None,
            failed: false,
        },
    }
}

/// What is known of its body.
pub(crate) fn contents() -> Contents {
    Contents { digest: Some([7; 16]), shape: Some("id: number".into()), is_no_json: false }
}

/// Production's answer to any of them, whenever it was asked for.
fn answer() -> Arc<Answer> {
    Arc::new(Answer { status: 200, body_bytes: Some(1_000), contents: contents() })
}

/// The same arrival answered with 200 after `service`, sent 50 µs after it was due on a connection
/// that was opened for it.
pub(crate) fn answered(arrival: &Arrival, service: Duration) -> Sample {
    let sent = arrival.due + Duration::from_micros(50);
    Sample {
        due: arrival.due,
        drift: Duration::ZERO,
        dispatched: Some(arrival.due + Duration::from_micros(20)),
        established: Some(sent),
        secured: None,
        connected: Some(sent),
        sent: Some(sent),
        sent_last: Some(sent),
        first_byte: Some(sent + service),
        done: Some(sent + service),
        opened: true,
        beside_large: false,
        response_bytes: 1_000,
        contents: Some(Box::new(contents())),
        fate: Fate::Answered { status: 200 },
    }
}

/// The same arrival when nothing of it happened for `fate`, except that it was picked up in time.
pub(crate) fn failed(arrival: &Arrival, fate: Fate) -> Sample {
    let dispatched = arrival.due + Duration::from_micros(20);
    Sample {
        dispatched: Some(dispatched),
        established: None,
        connected: None,
        sent: None,
        sent_last: None,
        first_byte: None,
        done: Some(dispatched + Duration::from_micros(300)),
        response_bytes: 0,
        fate,
        ..answered(arrival, Duration::ZERO)
    }
}
