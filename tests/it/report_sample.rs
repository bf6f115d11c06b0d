//! Made-up runs: one that passes, one that fails, one that is not valid.

pub(crate) mod full;
mod shapes;
mod times;

use std::collections::BTreeMap;
use std::sync::Arc;

use hdrhistogram::Histogram;
use peakhour::drive::health::{Calibration, Health};
use peakhour::plan::facts::Facts;
use peakhour::plan::needs::Needs;
use peakhour::recording::closings::Closings;
use peakhour::recording::handshakes::Handshakes;
use peakhour::recording::ledger::Ledger;
use peakhour::recording::{FORMAT_VERSION, Header, Servers};
use peakhour::report::assemble::{AssembleInput, Sent, assemble};
use peakhour::report::model::{Oddities, Report};
use peakhour::shape::{Origin, Shape};
use peakhour::summary::cells::Cells;
use peakhour::summary::drift::Drift;
use peakhour::summary::evidence::Evidence;
use peakhour::summary::flight::Flight;
use peakhour::summary::{AsRecorded, Route, Second, Summary};
use peakhour::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome, Verdict};

use crate::report_sample::shapes::{degraded, faithful, late_shape};
use crate::report_sample::times::{lateness, parts, scaled};

/// Seconds of a made-up run.
const SECONDS: u32 = 120;

/// Everything was fine.
pub(crate) fn passing() -> Report {
    sample(&passing_sample())
}

fn passing_sample() -> Sample {
    Sample {
        verdict: Verdict {
            outcome: RunOutcome::Pass,
            headline: "the recorded peak was produced, and nothing failed".to_owned(),
            shape: Some(faithful()),
            findings: vec![shape_finding(Outcome::Pass), cold_cache(Outcome::Pass)],
            expectations: vec![
                expectation("latency p99 < 250ms", Outcome::Pass, "41.3 ms"),
                expectation("errors < 0.1%", Outcome::Pass, "0 %"),
            ],
        },
        exit_code: 0,
        refused: 0,
        late: false,
    }
}

/// The target refused connections.
pub(crate) fn failing() -> Report {
    let limit = Finding {
        check: "connection-limit".to_owned(),
        subject: String::new(),
        outcome: Outcome::Fail,
        title: "the target refused connections beyond 64 open at once".to_owned(),
        evidence: vec![
            "192 of 82 495 requests were refused, the first after 42.1 s".to_owned(),
            "no connection was refused while fewer than 64 were open".to_owned(),
            "the plan needs 118 at once".to_owned(),
        ],
        advice: "raise the target's connection limit above 118, or shrink the backends' pools"
            .to_owned(),
    };
    let banner = Finding {
        check: "slow-payloads".to_owned(),
        subject: String::new(),
        outcome: Outcome::Unknown,
        title: "too few large bodies to say whether they stall other requests".to_owned(),
        evidence: vec!["3 bodies of 64 KiB and more; 30 are needed".to_owned()],
        advice: "replay a longer window".to_owned(),
    };
    let mut report = sample(&Sample {
        verdict: Verdict {
            outcome: RunOutcome::Fail,
            headline: "errors 0.233 %: the target refused connections beyond 64 open at once"
                .to_owned(),
            shape: Some(degraded()),
            findings: vec![limit, banner, shape_finding(Outcome::Pass), cold_cache(Outcome::Pass)],
            expectations: vec![
                expectation("latency p99 < 250ms", Outcome::Pass, "41.3 ms"),
                expectation("errors < 0.1%", Outcome::Fail, "0.233 %"),
                expectation(
                    "latency p99 < 1.10x recorded",
                    Outcome::Unknown,
                    "the recording has no latencies",
                ),
            ],
        },
        exit_code: 99,
        refused: 4,
        late: false,
    });
    report.oddities = Some(Oddities { sent_again: 3, unasked: 1_041, without_leave: 0 });
    report
}

/// This machine was late.
pub(crate) fn invalid() -> Report {
    let cold = Finding {
        title: "not judged: the recorded load was not produced".to_owned(),
        ..cold_cache(Outcome::Unknown)
    };
    sample(&Sample {
        verdict: Verdict {
            outcome: RunOutcome::Invalid,
            headline: "this machine was late: 31 % of its processor time was taken away".to_owned(),
            shape: Some(late_shape()),
            findings: vec![shape_finding(Outcome::Fail), cold],
            expectations: vec![expectation(
                "latency p99 < 250ms",
                Outcome::Unknown,
                "not judged: the recorded load was not produced",
            )],
        },
        exit_code: 98,
        refused: 0,
        late: true,
    })
}

/// An expectation asks for what the recording does not hold.
pub(crate) fn unanswered() -> Report {
    let mut sample = passing_sample();
    let asked = "latency p99 < 1.10x recorded";
    sample.verdict.outcome = RunOutcome::Invalid;
    sample.verdict.headline = format!("{asked} cannot be answered");
    sample.verdict.expectations =
        vec![expectation(asked, Outcome::Unknown, "the recording has no latencies")];
    sample.exit_code = 98;
    self::sample(&sample)
}

/// A passing run with so many routes.
pub(crate) fn with_routes(count: u64) -> Report {
    let Report { totals, .. } = passing();
    let mut left = totals.planned;
    sample_with(&passing_sample(), |summary| {
        let latency = summary.seconds[0].latency.clone();
        summary.routes = (0..count)
            .map(|number| {
                let arrivals = if number + 1 == count { left } else { 1 + number };
                left -= arrivals;
                let route = Route { arrivals, latency: latency.clone(), ..Route::default() };
                (Arc::from(format!("GET /{number:05}")), route)
            })
            .collect();
    })
}

struct Sample {
    verdict: Verdict,
    exit_code: u8,
    /// Requests refused in each second from the 42nd to the 60th.
    refused: u32,
    late: bool,
}

fn sample(sample: &Sample) -> Report {
    sample_with(sample, |_| {})
}

fn sample_with(sample: &Sample, change: impl FnOnce(&mut Summary)) -> Report {
    let mut summary = summary(sample);
    change(&mut summary);
    let facts = Facts {
        session_pace: false,
        origin: Origin::Recorded,
        clones: 0,
        clock_step_ns: 0,
        window_ns: [0, 600_000_000_000],
        exchanges: summary.arrivals + 12,
        arrivals: summary.arrivals,
        skipped: BTreeMap::from([("method CONNECT".to_owned(), 12)]),
        connections: 640,
        peak_connections: 118,
        needs: Needs::default(),
        sessions: 2_310,
        duration_ns: u64::from(SECONDS) * 1_000_000_000 - 3_000_000,
        peak_rate: 1_201,
        request_bytes: summary.request_bytes,
        fingerprint: "9f86d081884c7d65".to_owned(),
        idc_before: [Some(2.14), Some(3.81), Some(4.43), None],
        idc_after: [Some(2.14), Some(3.81), Some(4.43), None],
        scaling: None,
        warnings: vec!["the plan opens 640 connections; 1 024 files are allowed".to_owned()],
    };
    let health = Health {
        processors: 4,
        steal_share: Some(if sample.late { 0.31 } else { 0.002 }),
        busy_share: Some(0.42),
        own_cpu_seconds: Some(31.4),
        run_queue_wait_seconds: None,
        open_files_limit: Some(1_024),
        calibration: Some(Calibration {
            asked_rate: 2_402,
            sent: 12_010,
            took_ns: 5_000_000_000,
            lateness_p50_ns: 61_000,
            lateness_p99_ns: 240_000,
        }),
        read_late: 0,
        reader_waits: 0,
        in_flight_seconds: None,
        seen: Vec::new(),
        seconds: f64::from(SECONDS),
    };
    assemble(&AssembleInput {
        tool_version: "0.1.0",
        scenario: "checkout peak",
        started: "2026-03-02T08:15:00Z",
        sent: Sent::Recording {
            path: "captures/checkout/peak.parquet",
            window: "busiest 2m",
            header: &header(summary.arrivals + 12),
        },
        target: "stage",
        probes: &[],
        acts: &[],
        replay_started_ns: Some(0),
        verdict: &sample.verdict,
        exit_code: sample.exit_code,
        summary: &summary,
        facts: &facts,
        health: &health,
    })
}

fn header(exchanges: u64) -> Header {
    let mut ledger = Ledger::default();
    ledger.frames.enter(912_004);
    ledger.frames.end("tcp payload", 900_000);
    ledger.frames.end("tcp without payload", 12_000);
    ledger.frames.end("not ip", 4);
    ledger.messages.enter(exchanges);
    ledger.messages.end("exchange", exchanges);
    ledger.note("second syn-ack", 3);
    Header {
        format_version: FORMAT_VERSION,
        origin: "peak.pcap.zst (pcap)".to_owned(),
        started_unix_ns: 1_772_000_000_000_000_000,
        duration_ns: 3_600_000_000_000,
        clock_resolution_ns: 1_000,
        exchanges,
        connections: 640,
        servers: Servers::default(),
        part: None,
        redacted_headers: vec!["authorization".to_owned()],
        redaction: None,
        ledger,
        closings: Closings::default(),
        handshakes: Handshakes::default(),
    }
}

fn summary(sample: &Sample) -> Summary {
    let seconds: Vec<Second> = (0..SECONDS).map(|second| second_of(second, sample)).collect();
    let arrivals: u64 = seconds.iter().map(|second| u64::from(second.due)).sum();
    let errors: u64 = seconds.iter().map(|second| u64::from(second.errors)).sum();
    let answered = arrivals - errors;
    let latency = merged(&seconds);
    let mut fates = BTreeMap::from([("answered", answered)]);
    if errors > 0 {
        fates.insert("refused", errors);
    }
    Summary {
        arrivals,
        run_in: 0,
        fates,
        statuses: BTreeMap::from([(200, answered - 900), (304, 870), (404, 30)]),
        errors,
        status_changes: 2,
        service: scaled(&latency, 9),
        lateness: lateness(sample.late, arrivals),
        connection_wait: scaled(&latency, 1),
        recorded_latency: scaled(&latency, 11),
        latency,
        overflows: 0,
        planned: empty_shape(arrivals),
        offered: empty_shape(arrivals),
        sent: empty_shape(answered),
        routes: routes(arrivals, errors, &seconds),
        seconds,
        handshakes: [0; 2],
        as_recorded: AsRecorded::default(),
        cells: Cells::new(),
        parts: parts(),
        connections_opened: 622,
        in_flight_ns: 0,
        flight: Flight::default(),
        request_bytes: 48_230_112,
        response_bytes: 2_204_118_730,
        evidence: Evidence::default(),
        drift: Drift::default(),
    }
}

/// A rate that swells and ebbs, with ripples; all of it from arithmetic, so that it never changes.
fn second_of(second: u32, sample: &Sample) -> Second {
    let swell = 400 + (60 - second.abs_diff(60)) * 8;
    let due = swell + second * 7_919 % 97;
    let refused = if (42..60).contains(&second) { sample.refused * (second % 7) } else { 0 };
    let held = if sample.late { second * 31 % 53 } else { second * 13 % 3 };
    let mut latency = Histogram::new_with_bounds(1, 3_600_000_000_000, 2).unwrap();
    for step in 1..=100_u64 {
        let micros = 900 + step * step * (4 + u64::from(second * 17 % 11) / 3);
        latency.record(micros * 1_000).unwrap();
    }
    Second {
        unsent: 0,
        set_aside: 0,
        outcomes: [due - refused, 0, 0, 0, 0, 0, refused, 0, 0, 0, 0, 0],
        due,
        sent: due - held - refused,
        answered: due - held - refused,
        errors: refused,
        latency,
        lateness_ns: 0,
        max_lateness_ns: if sample.late { 400_000 * u64::from(held) + 90_000 } else { 110_000 },
    }
}

fn merged(seconds: &[Second]) -> Histogram<u64> {
    let mut all = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
    for second in seconds {
        all.add(&second.latency).unwrap();
    }
    all
}

fn empty_shape(total: u64) -> Shape {
    Shape {
        total,
        counts: Vec::new(),
        opens: Vec::new(),
        mix: BTreeMap::new(),
        request_bytes: Histogram::new_with_bounds(1, 4_294_967_296, 3).unwrap(),
    }
}

fn routes(arrivals: u64, errors: u64, seconds: &[Second]) -> BTreeMap<Arc<str>, Route> {
    let first = arrivals / 2;
    let second = arrivals / 3;
    [
        ("GET /catalogue/*", first, errors),
        ("POST /cart/*/items", second, 0),
        ("GET /", arrivals - first - second, 0),
    ]
    .into_iter()
    .zip(seconds)
    .map(|((name, arrivals, errors), second)| {
        let latency = second.latency.clone();
        (Arc::from(name), Route { arrivals, errors, latency, ..Route::default() })
    })
    .collect()
}

fn expectation(text: &str, outcome: Outcome, actual: &str) -> CheckedExpectation {
    CheckedExpectation { text: text.to_owned(), outcome, actual: actual.to_owned() }
}

fn shape_finding(outcome: Outcome) -> Finding {
    let (title, advice) = match outcome {
        Outcome::Pass => ("the recorded load was produced", ""),
        _ => (
            "the recorded load was not produced",
            "give the generator a machine whose processors are its own",
        ),
    };
    Finding {
        check: "load-shape".to_owned(),
        subject: String::new(),
        outcome,
        title: title.to_owned(),
        evidence: if outcome == Outcome::Pass {
            Vec::new()
        } else {
            vec!["lateness p99 is 21 ms".to_owned()]
        },
        advice: advice.to_owned(),
    }
}

fn cold_cache(outcome: Outcome) -> Finding {
    Finding {
        check: "cold-cache".to_owned(),
        subject: String::new(),
        outcome,
        title: "first requests for a target are as fast as later ones".to_owned(),
        evidence: Vec::new(),
        advice: String::new(),
    }
}
