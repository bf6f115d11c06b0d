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
    /// Its value, in the metric's unit; `None` where it has none from now on.
    pub value: Option<f64>,
}

/// What a number means.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus names such things: base units, and `_total` behind what only grows.
    pub name: &'static str,
    /// Unit, as UCUM writes it. What is counted stands in braces: a plain `1` is a ratio, and
    /// Prometheus would add that to the name.
    pub unit: &'static str,
    /// In a sentence.
    pub help: &'static str,
    /// It only grows; otherwise it goes up and down.
    pub is_counter: bool,
}

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, unit, help, is_counter: true }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, unit, help, is_counter: false }
}

static DUE: Metric = counter(
    "peakhour_arrivals_due_total",
    "{arrival}",
    "Arrivals that were picked up when their moment came, sent or not.",
);
static SENT: Metric =
    counter("peakhour_requests_sent_total", "{request}", "Requests whose first byte was sent.");
static ANSWERED: Metric = counter("peakhour_responses_total", "{response}", "Whole answers.");
static ERRORS: Metric =
    counter("peakhour_errors_total", "{arrival}", "Arrivals that count as errors.");
static UNSENT: Metric = counter(
    "peakhour_arrivals_unsent_total",
    "{arrival}",
    "Arrivals that never left the generator, also those that were held or left out.",
);
static RETRIED: Metric = counter(
    "peakhour_requests_retried_total",
    "{request}",
    "Requests sent again, because an idle connection was just closed by the target.",
);
static IN_FLIGHT: Metric =
    gauge("peakhour_requests_in_flight", "{request}", "Requests that have no fate yet.");
static CONNECTIONS: Metric = gauge(
    "peakhour_connections_open",
    "{connection}",
    "Connections that are open, or being opened.",
);
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
static EXIT: Metric = gauge(
    "peakhour_run_exit_code",
    "{code}",
    "How the run ended: 0 is a pass; sent once, at its end.",
);

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

/// The numbers of a load that is under way. Without answers a latency has no value: that is not 0,
/// and it is not the last one either, which a dashboard would go on to draw while nothing answers.
pub fn points(now: &GaugeSnapshot) -> Vec<Point> {
    let numbers = [
        (&DUE, Some(count(now.due))),
        (&SENT, Some(count(now.sent))),
        (&ANSWERED, Some(count(now.answered))),
        (&ERRORS, Some(count(now.errors))),
        (&UNSENT, Some(count(now.unsent))),
        (&RETRIED, Some(count(now.retried))),
        (&IN_FLIGHT, Some(f64::from(now.in_flight))),
        (&CONNECTIONS, Some(f64::from(now.connections_open))),
        (&LATENESS, Some(now.max_lateness.as_secs_f64())),
        (&LATENCY, now.latency_p99.map(|latency| latency.as_secs_f64())),
    ];
    numbers.into_iter().map(|(metric, value)| Point { metric, value }).collect()
}

/// Lets no counter fall below what was told before. A request that is taken back to be sent again
/// is no longer among those sent for a moment, and a counter that falls is one that began anew: all
/// of it would be counted once more.
pub fn keep_rising(points: &mut [Point], before: &[Point]) {
    for point in points.iter_mut().filter(|point| point.metric.is_counter) {
        let known = before.iter().find(|known| known.metric.name == point.metric.name);
        if let Some(known) = known.and_then(|known| known.value) {
            point.value = point.value.map(|value| value.max(known));
        }
    }
}

/// What goes up and down has no value once the load is over. Counters stay where they are.
pub fn over(points: &[Point]) -> Vec<Point> {
    let gauges = points.iter().filter(|point| !point.metric.is_counter);
    gauges.map(|point| Point { value: None, ..*point }).collect()
}

/// How the run ended.
pub fn ended(exit_code: u8) -> Point {
    Point { metric: &EXIT, value: Some(f64::from(exit_code)) }
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
            assert_ne!(metric.unit, "1", "{} would be called a ratio", metric.name);
        }
        let latency = |now: &GaugeSnapshot| {
            points(now).into_iter().find(|point| point.metric == &LATENCY).unwrap().value
        };
        assert_eq!(latency(&GaugeSnapshot::default()), None);
        let answered = GaugeSnapshot {
            latency_p99: Some(Duration::from_millis(250)),
            ..GaugeSnapshot::default()
        };
        assert_eq!(latency(&answered), Some(0.25));
    }

    #[test]
    fn counters_never_fall_and_only_they_outlive_the_load() {
        let at = |sent, in_flight| {
            points(&GaugeSnapshot { sent, in_flight, ..GaugeSnapshot::default() })
        };
        let value = |points: &[Point], metric: &'static Metric| {
            points.iter().find(|point| point.metric == metric).map(|point| point.value)
        };
        let before = at(100, 9);
        for (sent, told) in [(99, 100.0), (101, 101.0)] {
            let mut now = at(sent, 3);
            keep_rising(&mut now, &before);
            assert_eq!(value(&now, &SENT), Some(Some(told)));
            assert_eq!(value(&now, &IN_FLIGHT), Some(Some(3.0)), "a gauge may fall");
        }
        let over = over(&before);
        assert_eq!((value(&over, &SENT), value(&over, &IN_FLIGHT)), (None, Some(None)));
    }
}
