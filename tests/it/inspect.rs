//! Aim: `inspect` tells what is in a recording, the same to people and to programs.

use std::fs;

use serde_json::Value;

use crate::support::{peakhour, root};

#[test]
fn a_real_capture_is_told_with_its_load() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    let ran = peakhour(folder.path(), &["import", &capture, "-o", "peak"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json = peakhour(folder.path(), &["inspect", "peak", "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let contents = &json["contents"];
    let exchanges = json["exchanges"].as_u64().unwrap();
    let sum = |name: &str| -> u64 {
        contents[name].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    for name in ["protocols", "statuses", "routes"] {
        assert_eq!(sum(name), exchanges, "{name}");
    }
    assert_eq!(contents["protocols"]["http1"], exchanges);
    let reuse = &contents["requests_per_connection"];
    assert_eq!(reuse["count"], json["connections"]);
    let busiest = contents["busiest"].as_array().unwrap();
    assert_eq!(busiest[0]["seconds"], 1);
    assert!(
        busiest
            .windows(2)
            .all(|pair| { pair[0]["requests"].as_u64() <= pair[1]["requests"].as_u64() })
    );
    for name in ["request_sizes_bytes", "response_sizes_bytes", "first_byte_ns", "last_byte_ns"] {
        let at = |key: &str| contents[name][key].as_u64().unwrap();
        assert!(at("p50") <= at("p90") && at("p90") <= at("p99") && at("p99") <= at("max"));
    }
    assert_eq!(contents["request_sizes_bytes"]["count"], exchanges);
    assert!(contents["most_in_flight"].as_u64() >= Some(1));
    assert_eq!(contents["plateau"], Value::Null);

    let text = peakhour(folder.path(), &["inspect", "peak"]).stdout;
    for name in [
        "requests a second",
        "busiest 1 s",
        "burstiness (IDC)",
        "gaps (SCV)",
        "in flight",
        "open connections",
        "on a connection",
        "request sizes",
        "response sizes",
        "to first byte",
        "to last byte",
        "statuses",
        "routes",
        "frames: ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
    let chart: Vec<&str> = text.lines().filter(|line| line.contains(" |")).collect();
    assert_eq!(chart.len(), 12, "the rate, and what caches miss: {text}");
    assert!(chart.iter().any(|line| line.contains('█')), "{text}");
    assert!(chart.iter().all(|line| line.chars().count() <= 80), "{text}");
}

/// A minute at exactly a hundred requests a second, and its twin whose rate goes up and down.
#[test]
fn a_recording_that_sits_at_its_ceiling_is_told_to_be_censored() {
    let folder = tempfile::tempdir().unwrap();
    let inspected = |counts: &dyn Fn(u64) -> u64| {
        let line = |ns: u64| {
            format!("{{\"at_ns\":{ns},\"method\":\"GET\",\"target\":\"/\",\"authority\":\"a\"}}\n")
        };
        let seconds = (0..60).flat_map(|second| {
            let count = counts(second);
            (0..count).map(move |number| second * 1_000_000_000 + number * (1_000_000_000 / count))
        });
        let lines: Vec<String> = seconds.map(line).collect();
        fs::write(folder.path().join("lines"), lines.concat()).unwrap();
        peakhour(folder.path(), &["inspect", "lines"]).stdout
    };
    let flat = inspected(&|_| 100);
    assert!(flat.contains("for 60 seconds the rate sits at its ceiling of 100 a second"), "{flat}");
    let wave = inspected(&|second| 80 + 10 * (second % 5));
    assert!(!wave.contains("ceiling"), "{wave}");
}

/// Of a log without durations nothing is known that needs them; of its twin with them it is.
#[test]
fn a_log_without_durations_does_not_say_that_nothing_was_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let inspected = |took: &dyn Fn(u64) -> &'static str| {
        let line = |second: u64| {
            format!(
                "192.0.2.{second} - - [17/May/2015:10:05:{second:02} +0000] \"GET / HTTP/1.1\" \
                 200 1 \"-\" \"-\"{}\n",
                took(second)
            )
        };
        let lines: String = (10..40).map(line).collect();
        fs::write(folder.path().join("a.log"), lines).unwrap();
        let format = "$remote_addr - - [$time_local] \"$request\" $status $body_bytes_sent \
                      \"$http_referer\" \"$http_user_agent\" $request_time";
        let arguments = ["import", "a.log", "-o", "peak"];
        let more = match took(10) {
            "" => ["--format", "apache"],
            _ => ["--log-format", format],
        };
        let ran = peakhour(folder.path(), &[&arguments[..], &more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let json = peakhour(folder.path(), &["inspect", "peak", "--json"]).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        (peakhour(folder.path(), &["inspect", "peak"]).stdout, json["contents"].clone())
    };
    let (text, contents) = inspected(&|_| "");
    let unknown = "not known: no answer says how long it took";
    for (name, key) in
        [("in flight", "most_in_flight"), ("open connections", "most_open_connections")]
    {
        assert!(text.contains(&format!("{name:<20} {unknown}\n")), "{text}");
        assert_eq!(contents[key], Value::Null);
    }
    assert_eq!(contents["mean_in_flight"], Value::Null);
    assert_eq!((&contents["answers"], &contents["answers_timed"]), (&30.into(), &0.into()));
    let (text, contents) = inspected(&|_| " 2.500");
    assert!(text.contains("in flight            4 at most, 2."), "{text}");
    assert_eq!(contents["most_in_flight"], 4);
    let (text, _) = inspected(&|second| if second == 10 { " -" } else { " 2.500" });
    assert!(text.contains("; not known of 1 answer\n"), "{text}");
}
