//! A run that has everything a page can show, and one of an hour.

use peakhour::act::cold::Cold;
use peakhour::act::cold::compare::{Bin, Comparison, Side};
use peakhour::act::payloads::{Bystanders, Payloads, Rung, Sweep, What};
use peakhour::act::{Evidence, Performed};
use peakhour::probe::record::{Record, Series, SeriesKind};
use peakhour::report::figures::{Dispersion, Heat, MAX_COLUMNS};
use peakhour::report::model::{Mark, Report, RouteRow, SecondRow};
use peakhour::scenario::acts::ActName;

use crate::report_sample::failing;

const SECOND: u64 = 1_000_000_000;

/// Drills, probes, marks and findings with times.
pub(crate) fn full() -> Report {
    let mut report = failing();
    report.replay_started_ns = Some(60 * SECOND);
    report.acts = vec![
        performed(ActName::Payloads, 2, Evidence::Payloads(payloads())),
        performed(ActName::Cold, 20, Evidence::Cold(Box::new(cold()))),
    ];
    report.probes = (1..=9).map(probe).collect();
    let mark = |name: &str, from: u64, to: u64| Mark {
        name: name.to_owned(),
        from_ns: from * SECOND,
        to_ns: to * SECOND,
    };
    report.marks = vec![mark("Held", 80, 84)];
    report.figures.moments = vec![mark("connection-limit", 42, 60)];
    report.figures.connections = (0..120).map(|second| 40 + second % 25).collect();
    report.figures.dispersion = [10, 100, 1_000]
        .map(|scale_ms| Dispersion {
            scale_ms,
            recorded: Some(2.1),
            planned: Some(2.1),
            sent: Some(1.9),
        })
        .into();
    report
}

fn performed(act: ActName, began: u64, evidence: Evidence) -> Performed {
    Performed { act, started_ns: began * SECOND, ended_ns: (began + 15) * SECOND, evidence }
}

fn cold() -> Cold {
    let side = |p50_ns: u64| Side {
        requests: 50,
        answers: 50,
        p50_ns,
        p95_ns: p50_ns * 3,
        ..Side::default()
    };
    let bin = |index: u64| Bin { cold: side(40_000_000 / (index + 1)), warm: side(1_000_000) };
    let bins = (0..30).map(bin).collect();
    let comparison = Comparison { bin_ns: SECOND, bins, ..Comparison::default() };
    Cold { comparison: Some(comparison), ..Cold::default() }
}

fn payloads() -> Payloads {
    let waited = |p99_ns: u64| Bystanders {
        count: 100,
        failed: 0,
        p50_ns: p99_ns / 2,
        p99_ns,
        max_ns: p99_ns * 2,
    };
    let rung = |power: u32| Rung {
        bytes: 4_096 << power,
        inside: waited(1_000_000 << (power / 2)),
        ..Rung::default()
    };
    let sweep = Sweep {
        endpoint: "target".to_owned(),
        what: What::HttpRequest,
        place: "POST /sync".to_owned(),
        rungs: (0..8).map(rung).collect(),
        outside: waited(900_000),
        connect_outside_ns: None,
        attempts: Vec::new(),
        announced: None,
        boundary: None,
        ended: None,
        unknown: None,
    };
    Payloads { sweeps: vec![sweep], ..Payloads::default() }
}

/// It looks from the start of the rehearsal to the end of the replay.
pub(crate) fn probe(number: u32) -> Record {
    let points = (0..180_u32).map(|at| (u64::from(at) * SECOND, f64::from(at % 37 * number)));
    Record {
        name: format!("redis-{number}"),
        kind: "redis".to_owned(),
        series: vec![Series {
            metric: "connected_clients".to_owned(),
            kind: SeriesKind::Gauge,
            unit: "clients".to_owned(),
            limit: Some(400.0),
            points: points.collect(),
        }],
        polls: 180,
        ..Record::default()
    }
}

/// An hour of 10 000 requests a second, as large as a report of it can be.
pub(crate) fn long() -> Report {
    let mut report = full();
    report.series = (0..3_600)
        .map(|second| SecondRow {
            second,
            due: 10_000 + second * 7_919 % 997,
            sent: 10_000 + second * 7_919 % 991,
            answered: 9_990,
            errors: second % 7,
            p50_ns: Some(1_234_567 + second * 1_009),
            p99_ns: Some(123_456_789 + second * 10_007),
            max_lateness_ns: 345_678 + second,
        })
        .collect();
    let route = report.routes[0].clone();
    report.routes = (0..200)
        .map(|number| RouteRow { route: format!("GET /shop/{number}/*"), ..route.clone() })
        .collect();
    let figures = &mut report.figures;
    figures.connections = (0..3_600).map(|second| 900 + second % 61).collect();
    for group in &mut figures.outcomes {
        group.by_second = (0..3_600).map(|second| 4_000 + second % 127).collect();
    }
    let column = |at: u64| (0..48).map(|row| (at * 31 + row * 17) % 9_999).collect();
    figures.heat = Some(Heat {
        seconds: 15,
        first_row: 8,
        columns: (0..MAX_COLUMNS as u64).map(column).collect(),
    });
    report
}
