//! What a run looks like to a monitoring system while it goes on: a handful of numbers, in the two
//! forms that such systems take.
//!
//! They are for the eye, beside the dashboards of the target. The verdict uses the summary.

pub mod otlp;
pub mod remote_write;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::drive::gauges::GaugeSnapshot;

/// Whose numbers they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Version of the program.
    pub version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the run's folder, which no other run has.
    pub run: String,
    /// What the user wrote on the run.
    pub labels: BTreeMap<String, String>,
}

/// All numbers at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// When they were read, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// When the counters were 0, in the same.
    pub since_unix_ns: u64,
    /// The numbers, each with another metric.
    pub points: Vec<Point>,
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// What it is.
    pub metric: &'static Metric,
    /// Its value, in the metric's unit.
    pub value: f64,
}

/// What a number means.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus names such things: base units, and `_total` behind what only grows.
    pub name: &'static str,
    /// Unit, as UCUM writes it.
    pub unit: &'static str,
    /// In a sentence.
    pub help: &'static str,
    /// It only grows; otherwise it goes up and down.
    pub is_counter: bool,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, unit: "1", help, is_counter: true }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, unit, help, is_counter: false }
}

static DUE: Metric =
    counter("peakhour_arrivals_due_total", "Arrivals whose moment came, sent or not.");
static SENT: Metric =
    counter("peakhour_requests_sent_total", "Requests whose first byte was sent.");
static ANSWERED: Metric = counter("peakhour_responses_total", "Whole answers.");
static ERRORS: Metric = counter("peakhour_errors_total", "Arrivals that count as errors.");
static UNSENT: Metric =
    counter("peakhour_arrivals_unsent_total", "Arrivals that never left the generator.");
static RETRIED: Metric = counter(
    "peakhour_requests_retried_total",
    "Requests sent again, because an idle connection was just closed by the target.",
);
static IN_FLIGHT: Metric =
    gauge("peakhour_requests_in_flight", "1", "Requests that have no fate yet.");
static CONNECTIONS: Metric =
    gauge("peakhour_connections_open", "1", "Connections that are open, or being opened.");
static LATENESS: Metric = gauge(
    "peakhour_lateness_max_seconds",
    "s",
    "Largest lateness of the generator itself in the last full second.",
);
static LATENCY: Metric = gauge(
    "peakhour_latency_p99_seconds",
    "s",
    "99th percentile of the latency, due to done, of the answers in the last full second.",
);
static EXIT: Metric =
    gauge("peakhour_run_exit_code", "1", "How the run ended: 0 is a pass; sent once, at its end.");

/// Every metric there is.
pub static ALL: [&Metric; 11] = [
    &DUE,
    &SENT,
    &ANSWERED,
    &ERRORS,
    &UNSENT,
    &RETRIED,
    &IN_FLIGHT,
    &CONNECTIONS,
    &LATENESS,
    &LATENCY,
    &EXIT,
];

/// The numbers of a load that is under way. A latency without answers is not there at all: no
/// number is not 0.
pub fn points(now: &GaugeSnapshot) -> Vec<Point> {
    let latency = now.latency_p99.map(|latency| (&LATENCY, latency.as_secs_f64()));
    let numbers = [
        (&DUE, count(now.due)),
        (&SENT, count(now.sent)),
        (&ANSWERED, count(now.answered)),
        (&ERRORS, count(now.errors)),
        (&UNSENT, count(now.unsent)),
        (&RETRIED, count(now.retried)),
        (&IN_FLIGHT, f64::from(now.in_flight)),
        (&CONNECTIONS, f64::from(now.connections_open)),
        (&LATENESS, now.max_lateness.as_secs_f64()),
    ];
    let numbers = numbers.into_iter().chain(latency);
    numbers.map(|(metric, value)| Point { metric, value }).collect()
}

/// How the run ended.
pub fn ended(exit_code: u8) -> Point {
    Point { metric: &EXIT, value: f64::from(exit_code) }
}

#[expect(clippy::cast_precision_loss, reason = "both forms hold doubles; exact up to 2^53")]
fn count(value: u64) -> f64 {
    value as f64
}

/// How often the numbers are sent. Dashboards draw a point every 5 to 15 s.
pub const EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn origin() -> Origin {
        Origin {
            version: "0.1.0".to_owned(),
            scenario: "peak".to_owned(),
            run: "peak-20261127-090000".to_owned(),
            labels: [("git.commit".to_owned(), "4f1c2aa".to_owned())].into(),
        }
    }

    pub(crate) fn batch(unix_ns: u64, due: u64) -> Batch {
        let now = GaugeSnapshot {
            due,
            in_flight: 7,
            max_lateness: Duration::from_millis(2),
            ..GaugeSnapshot::default()
        };
        Batch { unix_ns, since_unix_ns: 1_000_000_000, points: points(&now) }
    }

    #[test]
    fn names_follow_the_conventions_and_no_answer_is_no_latency() {
        for metric in ALL {
            assert!(metric.name.starts_with("peakhour_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.is_counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), metric.unit == "s", "{}", metric.name);
        }
        let quiet = points(&GaugeSnapshot::default());
        assert!(quiet.iter().all(|point| point.metric != &LATENCY));
        let answered = GaugeSnapshot {
            latency_p99: Some(Duration::from_millis(250)),
            ..GaugeSnapshot::default()
        };
        let latency = points(&answered).into_iter().find(|point| point.metric == &LATENCY);
        assert!((latency.unwrap().value - 0.25).abs() < 1e-12);
    }
}
