//! What this machine can do, found out before a run: the driver sends twice the plan's peak rate to
//! a sink on this machine that answers at once.
//!
//! Whatever is late here is late by this program and its machine, whoever the target is. The sink
//! shares the processors, so that the figures err on the safe side; encryption and a real network
//! are not in them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::drive::clock::nanoseconds;
use crate::drive::drive;
use crate::drive::health::Calibration;
use crate::drive::hold::Control;
use crate::drive::stop::Stop;
use crate::plan::Arrival;
use crate::plan::facts::Facts;
use crate::plan::generate::Template;
use crate::scenario::Limits;
use crate::scenario::load::Request;
use crate::shape::WINDOW_NS;

/// What the machine is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Requests a second.
    pub rate: u64,
    /// Connections that they are sent on, in turn.
    pub connections: u64,
    /// Bytes of each.
    pub bytes: u64,
    /// How long.
    pub length: Duration,
}

/// How often the peak rate of a plan is tried.
pub const TIMES_PEAK: u64 = 2;

/// Longest trial: it is to be evidence, not a wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Shortest trial.
const SHORTEST: Duration = Duration::from_millis(250);

/// A trial takes this part of the time of its run.
const PART: u32 = 20;

/// Most connections of a trial: their number makes little of a difference, opening them does.
const MAX_CONNECTIONS: u64 = 64;

/// Largest request of a trial.
const MAX_BYTES: u64 = 32 * 1024;

/// Highest rate that is tried: more than one machine sends.
const MAX_RATE: u64 = 200_000;

/// Most requests in flight in a trial, for a machine that cannot follow.
const MAX_IN_FLIGHT: u32 = 10_000;

impl Trial {
    /// The one for a plan; `None` where it has no pace of its own.
    pub fn of(facts: &Facts) -> Option<Self> {
        let bytes = facts.request_bytes.checked_div(facts.arrivals)?;
        let length = Duration::from_nanos(facts.duration_ns) / PART;
        Some(Self {
            rate: facts.peak_rate.saturating_mul(TIMES_PEAK).clamp(1, MAX_RATE),
            connections: facts.peak_connections.clamp(1, MAX_CONNECTIONS),
            bytes: bytes.min(MAX_BYTES),
            length: length.clamp(SHORTEST, LONGEST),
        })
    }

    fn arrivals(self, template: &Template) -> impl Iterator<Item = Result<Arrival, Infallible>> {
        let count = self.length.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        (0..u64::try_from(count.max(1)).unwrap_or(u64::MAX)).map(move |index| {
            let due = u128::from(index) * 1_000_000_000 / u128::from(self.rate);
            let due = Duration::from_nanos(u64::try_from(due).unwrap_or(u64::MAX));
            let (connection, seq) = (index % self.connections, index / self.connections);
            Ok(template.arrival(index, due, connection, seq))
        })
    }
}

/// Tries the machine. `None` where that was not possible, or was stopped: then nothing is known.
pub fn calibrate(trial: Trial, stop: &Stop) -> Option<Calibration> {
    let template = template(trial.bytes);
    let sink = Sink::start(template.bytes()).ok()?;
    let limits = Limits {
        max_in_flight: MAX_IN_FLIGHT,
        connect_timeout: LONGEST,
        response_timeout: LONGEST,
        grace: Duration::from_secs(1),
        max_rate: u32::MAX,
        max_connections: u32::MAX,
    };
    let control = Control::from(stop.clone());
    let plan = trial.arrivals(&template);
    let driven = drive(plan, sink.address, &limits, Arc::default(), control).ok()?;
    let summary = driven.summary;
    if driven.interrupted || summary.sent.total == 0 {
        return None;
    }
    let windows = summary.sent.counts.len() as u64;
    // The last window is rarely full.
    let took = Duration::from_nanos(WINDOW_NS.saturating_mul(windows)).max(trial.length);
    let quantile = |quantile| summary.lateness.value_at_quantile(quantile);
    Some(Calibration {
        asked_rate: trial.rate,
        sent: summary.sent.total,
        took_ns: nanoseconds(took),
        lateness_p50_ns: quantile(0.5),
        lateness_p99_ns: quantile(0.99),
    })
}

/// A request of about so many bytes.
fn template(bytes: u64) -> Template {
    let request = |body: usize| Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: BTreeMap::new(),
        body: vec![b'x'; body],
        http2: false,
    };
    let small = Template::new(&request(0), "sink").bytes();
    let body = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(small);
    Template::new(&request(body), "sink")
}

/// A server that reads so many bytes, and answers.
struct Sink {
    address: SocketAddr,
    /// Dropped, it ends.
    _running: oneshot::Sender<Infallible>,
    _thread: JoinHandle<()>,
}

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

impl Sink {
    fn start(request_bytes: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let (running, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || answer_all(&runtime, listener, request_bytes, ended))?;
        Ok(Self { address, _running: running, _thread: thread })
    }
}

fn answer_all(
    runtime: &Runtime,
    listener: TcpListener,
    request_bytes: usize,
    ended: oneshot::Receiver<Infallible>,
) {
    let accepting = async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, request_bytes));
        }
    };
    runtime.block_on(async move {
        tokio::select! {
            () = accepting => {}
            _ = ended => {}
        }
    });
}

/// Whatever goes wrong here is seen by who sends.
async fn answer(mut stream: TcpStream, request_bytes: usize) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 16 * 1024];
    let mut read = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        read += count;
        while read >= request_bytes {
            read -= request_bytes;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_of_twice_the_peak_and_a_twentieth_of_the_time() {
        let facts = Facts {
            arrivals: 1_000,
            request_bytes: 300_000,
            peak_rate: 70,
            peak_connections: 900,
            duration_ns: 20_000_000_000,
            ..Facts::default()
        };
        let trial = Trial::of(&facts).unwrap();
        let length = Duration::from_secs(1);
        assert_eq!(trial, Trial { rate: 140, connections: 64, bytes: 300, length });
        let hour =
            Facts { duration_ns: 3_600_000_000_000, request_bytes: 1 << 40, ..facts.clone() };
        let trial = Trial::of(&hour).unwrap();
        assert_eq!((trial.length, trial.bytes), (LONGEST, MAX_BYTES));
        assert_eq!(Trial::of(&Facts { arrivals: 0, ..facts }), None, "a closed load has no pace");
    }

    #[test]
    fn every_request_of_a_trial_is_sent_and_counted() {
        for bytes in [0, 200, 20_000] {
            let length = Duration::from_millis(100);
            let trial = Trial { rate: 500, connections: 3, bytes, length };
            let found = calibrate(trial, &Stop::default()).unwrap();
            assert_eq!((found.asked_rate, found.sent), (500, 50), "{bytes} bytes");
            assert!(found.took_ns >= 100_000_000 && found.lateness_p99_ns > 0, "{found:?}");
        }
    }

    #[test]
    fn a_trial_that_is_stopped_tells_nothing() {
        let stop = Stop::default();
        stop.request();
        let length = Duration::from_mins(1);
        let trial = Trial { rate: 10, connections: 1, bytes: 100, length };
        assert_eq!(calibrate(trial, &stop), None);
    }
}
