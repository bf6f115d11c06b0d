//! What was counted, as text.

use std::fmt::Write;
use std::time::Duration;

use crate::shape::contents::Facts;
use crate::shape::contents::Spread;
use crate::units::{format_count, format_duration, format_share, format_size};

/// A line: a name, and what it is.
fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<20} {value}");
}

/// Rates, windows, bursts, sizes, connections and latencies.
pub(super) fn told(facts: &Facts) -> String {
    let mut text = String::from("\nload\n");
    let lines = &mut text;
    line(lines, "mean rate", &mean_rate(facts.mean_per_second));
    for busiest in &facts.busiest {
        let window = format_duration(Duration::from_secs(busiest.seconds));
        let start = format_duration(Duration::from_nanos(busiest.start_ns));
        let requests = format_count(busiest.requests);
        let name = format!("busiest {window}");
        line(lines, &name, &format!("{requests} requests, from {start} on"));
    }
    let scales = facts.burstiness.iter().map(|on| {
        format!("{:.2} at {}", on.dispersion, format_duration(Duration::from_millis(on.window_ms)))
    });
    let scales: Vec<String> = scales.collect();
    if !scales.is_empty() {
        line(lines, "burstiness (IDC)", &scales.join(", "));
    }
    if let Some(scv) = facts.gaps_scv {
        line(lines, "gaps (SCV)", &format!("{scv:.2}; 1 is that of a Poisson process"));
    }
    let at_once = at_once(facts);
    line(lines, "in flight", &at_once[0]);
    line(lines, "open connections", &at_once[1]);
    line(lines, "sessions", &format_count(facts.sessions));
    let reuse = facts.requests_per_connection;
    spread(lines, "on a connection", reuse, None, &|count| format_count(count));
    if facts.not_followed > 0 {
        line(lines, "not followed", &format!("{} of them", format_count(facts.not_followed)));
    }
    let time = |ns: u64| format_duration(Duration::from_nanos(ns));
    let top = facts.request_bytes_top_share;
    spread(lines, "request sizes", facts.request_sizes_bytes, top, &format_size);
    let top = facts.response_bytes_top_share;
    spread(lines, "response sizes", facts.response_sizes_bytes, top, &format_size);
    spread(lines, "to first byte", facts.first_byte_ns, None, &time);
    spread(lines, "to last byte", facts.last_byte_ns, None, &time);
    if let Some(plateau) = facts.plateau {
        let _ = writeln!(
            lines,
            "warning: for {} seconds the rate sits at its ceiling of {} a second: production may \
             have been saturated, and the demand higher than what was recorded",
            format_count(plateau.seconds),
            format_count(plateau.per_second)
        );
    }
    text
}

/// Requests and connections at once, as far as it is known how long answers took.
fn at_once(facts: &Facts) -> [String; 2] {
    let (Some(requests), Some(mean), Some(connections)) =
        (facts.most_in_flight, facts.mean_in_flight, facts.most_open_connections)
    else {
        return std::array::from_fn(|_| "not known: no answer says how long it took".to_owned());
    };
    let untimed = facts.answers - facts.answers_timed.min(facts.answers);
    let some = match untimed {
        0 => String::new(),
        1 => "; not known of 1 answer".to_owned(),
        untimed => format!("; not known of {} answers", format_count(untimed)),
    };
    let requests = format_count(requests);
    let connections = format_count(connections);
    [
        format!("{requests} at most, {mean:.2} on average{some}"),
        format!("{connections} at most{some}"),
    ]
}

fn spread(
    text: &mut String,
    name: &str,
    spread: Option<Spread>,
    top_share: Option<f64>,
    show: &dyn Fn(u64) -> String,
) {
    let Some(Spread { p50, p90, p99, max, .. }) = spread else { return };
    let [p50, p90, p99, max] = [p50, p90, p99, max].map(show);
    let mut value = format!("p50 {p50}, p90 {p90}, p99 {p99}, max {max}");
    if let Some(share) = top_share {
        let _ = write!(value, "; {} in the largest 1%", format_share(share));
    }
    line(text, name, &value);
}

/// Logs of days may have a request a minute.
fn mean_rate(per_second: f64) -> String {
    if per_second < 1.0 {
        format!("{:.1} a minute", per_second * 60.0)
    } else {
        format!("{per_second:.1} a second")
    }
}
