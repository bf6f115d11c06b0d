//! The report of an hour of 36 million requests, from samples that are made up but folded by what
//! folds those of a run: how long its parts take, and how large they are. No network, and nothing
//! is asserted.
//!
//! usage: cargo bench --bench hour -- [SECONDS [RATE]]

#![expect(clippy::print_stdout, reason = "a measurement")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peakhour::drive::health::Health;
use peakhour::plan::answers::Answers;
use peakhour::plan::bond::Bond;
use peakhour::plan::facts::Facts;
use peakhour::plan::{Arrival, Recorded, Touch};
use peakhour::probe::record::{Record, Series, SeriesKind};
use peakhour::protocol::Protocol;
use peakhour::report::assemble::{AssembleInput, Sent, assemble};
use peakhour::report::files::write_reports;
use peakhour::report::model::LoadFacts;
use peakhour::report::{html, json};
use peakhour::sample::{Fate, Sample};
use peakhour::scenario::Tier;
use peakhour::summary::Summary;
use peakhour::verdict::Verdict;
use peakhour::verdict::expectations::around::Around;
use peakhour::verdict::judge::{JudgeInput, Replayed, judge};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};

/// As many routes as a page lists.
const ROUTES: usize = 200;

/// One request in so many opens a connection, which serves those that follow.
const REUSE: u64 = 100;

/// One request in so many is refused.
const REFUSED: u64 = 2_000;

/// Probes, each with a figure a second.
const PROBES: u32 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.collect();
    let seconds = numbers.first().copied().unwrap_or(3_600);
    let rate = numbers.get(1).copied().unwrap_or(10_000);
    let clock = Clock::start();
    let summary = folded(seconds, rate)?;
    clock.tell(&format!("{} samples folded after", summary.arrivals));
    let length_ns = seconds.saturating_mul(1_000_000_000);
    let (facts, health) = about(&summary, length_ns);
    let verdict = judge(&JudgeInput {
        replayed: Some(Replayed {
            facts: &facts,
            summary: &summary,
            health: &health,
            target_is_here: false,
        }),
        drills: &[],
        tier: Tier::Standard,
        expectations: &[],
        baseline: None,
        around: Around::default(),
        interrupted: false,
    });
    clock.tell("judged after");
    written(&summary, &facts, &health, &verdict, &clock)
}

/// The summary of a load that swells and ebbs, with a stall of two seconds in its middle.
fn folded(seconds: u64, rate: u64) -> Result<Summary, Box<dyn Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let service = LogNormal::new(15.5, 0.8)?;
    let routes: Vec<Arc<str>> =
        (0..ROUTES).map(|number| Arc::from(format!("GET /shop/{number}/*"))).collect();
    let mut summary = Summary::new();
    let mut arrival = first();
    for second in 0..seconds {
        // From four fifths of the rate to six fifths, the rate on average.
        let swell = (second % 600).abs_diff(300) * rate / 750 + rate * 4 / 5;
        for at in 0..swell {
            arrival.due = Duration::from_nanos(second * 1_000_000_000 + at * 1_000_000_000 / swell);
            arrival.seq = u32::try_from(arrival.index % REUSE)?;
            arrival.connection = arrival.index / REUSE;
            arrival.session = arrival.connection;
            arrival.last_on_connection = u64::from(arrival.seq) == REUSE - 1;
            arrival.touch = if random.random_bool(0.01) { Touch::First } else { Touch::Again };
            // Few routes have most of the requests.
            let drawn = random.random::<f64>();
            let last = u32::try_from(ROUTES - 1)?;
            arrival.route = Arc::clone(&routes[whole(drawn * drawn * f64::from(last))]);
            let took = Duration::from_nanos(whole(service.sample(&mut random)) as u64);
            let stall = second == seconds / 2 && at * 2 > swell;
            let took = if stall { took + Duration::from_secs(2) } else { took };
            summary.add(&arrival, &sample(&arrival, took));
            arrival.index += 1;
        }
    }
    Ok(summary)
}

/// The whole part of a number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative")]
fn whole(value: f64) -> usize {
    value as usize
}

fn first() -> Arrival {
    Arrival {
        index: 0,
        due: Duration::ZERO,
        connection: 0,
        protocol: Protocol::Http1,
        session: 0,
        seq: 0,
        last_on_connection: false,
        method: Arc::from("GET"),
        route: Arc::from("GET /"),
        head: Bytes::from_static(b"GET /shop/1/2 HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        body: Bytes::new(),
        streamed: None,
        touch: Touch::Again,
        turn: None,
        recorded: Recorded {
            status: Some(200),
            body_bytes: Some(2_000),
            latency: Some(Duration::from_millis(6)),
            ..Recorded::default()
        },
        answers: Answers::default(),
        bond: Bond::default(),
    }
}

/// What became of it: nearly always a 200, some 404, and now and then a connection is refused.
fn sample(arrival: &Arrival, took: Duration) -> Sample {
    let micros = Duration::from_micros;
    let dispatched = arrival.due + micros(40 + arrival.index % 90);
    let opened = arrival.seq == 0;
    let sent = dispatched + micros(if opened { 300 } else { 5 });
    let is_refused = arrival.index % REFUSED == REFUSED - 1;
    let answered = Some(sent).filter(|_| !is_refused);
    Sample {
        due: arrival.due,
        drift: Duration::ZERO,
        dispatched: Some(dispatched),
        established: answered.filter(|_| opened),
        secured: None,
        connected: answered,
        sent: answered,
        sent_last: answered.map(|sent| sent + micros(8)),
        first_byte: answered.map(|sent| sent + took),
        done: Some(sent + took + micros(30)),
        opened: opened || is_refused,
        beside_large: false,
        response_bytes: if is_refused { 0 } else { 1_500 + arrival.index % 1_000 },
        contents: None,
        fate: match arrival.index % 250 {
            _ if is_refused => Fate::Refused,
            7 => Fate::Answered { status: 404 },
            _ => Fate::Answered { status: 200 },
        },
    }
}

/// What a plan and the machine would tell of it.
fn about(summary: &Summary, length_ns: u64) -> (Facts, Health) {
    let facts = Facts {
        arrivals: summary.arrivals,
        exchanges: summary.arrivals,
        connections: summary.connections_opened,
        sessions: summary.connections_opened,
        duration_ns: length_ns,
        window_ns: [0, length_ns],
        ..Facts::default()
    };
    let seconds = Duration::from_nanos(length_ns).as_secs_f64();
    (facts, Health { processors: 2, seconds, ..Health::default() })
}

fn probe(number: u32, seconds: u32) -> Record {
    let points = |rise: u32| {
        let of =
            move |at: u32| (u64::from(at) * 1_000_000_000, f64::from(at * 37 % 400 + at * rise));
        (0..seconds).map(of).collect()
    };
    let series = |metric: &str, kind, rise| Series {
        metric: metric.to_owned(),
        kind,
        unit: String::new(),
        limit: None,
        points: points(rise),
    };
    Record {
        name: format!("redis-{number}"),
        kind: "redis".to_owned(),
        series: vec![
            series("connected_clients", SeriesKind::Gauge, 0),
            series("used_memory", SeriesKind::Gauge, 3),
            series("keyspace_hits", SeriesKind::Counter, 500),
        ],
        polls: seconds.into(),
        ..Record::default()
    }
}

/// Puts the report together and writes it, as `run` does at its end, several times.
fn written(
    summary: &Summary,
    facts: &Facts,
    health: &Health,
    verdict: &Verdict,
    clock: &Clock,
) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("peakhour-hour-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let seconds = u32::try_from(summary.seconds.len())?;
    let probes: Vec<Record> = (0..PROBES).map(|number| probe(number, seconds)).collect();
    let load = LoadFacts {
        pace: "constant".to_owned(),
        description: "an hour that is made up".to_owned(),
        connections: summary.connections_opened,
    };
    for _ in 0..ROUNDS {
        let begun = Clock::start();
        let report = assemble(&AssembleInput {
            tool_version: env!("CARGO_PKG_VERSION"),
            scenario: "a made-up hour",
            started: "2026-03-01T02:00:00Z",
            sent: Sent::Load(&load),
            target: "127.0.0.1:1",
            acts: &[],
            probes: &probes,
            replay_started_ns: Some(0),
            verdict,
            exit_code: 0,
            summary,
            facts,
            health,
        });
        begun.tell("put together in");
        let page = html::render(&report)?;
        begun.tell(&format!("a page of {} bytes made after", page.len()));
        let run = json::render(&report)?;
        begun.tell(&format!("a run.json of {} bytes made after", run.len()));
        let begun = Clock::start();
        write_reports(&report, &folder)?;
        begun.tell("all files written and synchronised in");
    }
    clock.tell(&format!("{} is to be opened, after", Path::display(&folder.join("report.html"))));
    Ok(())
}

/// How often it is written.
const ROUNDS: usize = 5;

/// Milliseconds since a moment.
struct Clock(tokio::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    fn tell(&self, what: &str) {
        println!("{what} {} ms", self.0.elapsed().as_millis());
    }
}
