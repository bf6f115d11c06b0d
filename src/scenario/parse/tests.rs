//! Whole scenario files: what they say, and what is said about mistakes in them.

use std::fmt::Write;

use super::*;

use crate::scenario::expectation::{Comparison, MetricName};
use crate::scenario::problem::Problem;

const BASE: &str = "recording: peak.parquet\ntarget: { url: stage }\n";

fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("s3cret".to_owned()),
        "TWO_LINES" => Some("s3cret\nline".to_owned()),
        _ => None,
    }
}

fn good(text: &str) -> Scenario {
    read(text, "scenarios/checkout.yaml", &environment).unwrap_or_else(|error| panic!("{error}"))
}

fn problem(text: &str) -> Problem {
    match read(text, "s.yaml", &environment) {
        Err(ScenarioError::Invalid(problem)) => *problem,
        other => panic!("not refused: {other:?}\n{text}"),
    }
}

#[test]
fn two_keys_are_enough_and_the_rest_has_defaults() {
    let scenario = good(BASE);
    assert_eq!(scenario.name, "checkout");
    assert_eq!(scenario.recording, PathBuf::from("peak.parquet"));
    assert_eq!(scenario.window, Window::All);
    assert!((scenario.scale - 1.0).abs() < f64::EPSILON);
    assert!((scenario.speed - 1.0).abs() < f64::EPSILON);
    assert_eq!((scenario.pace, scenario.seed), (Pace::Recorded, 1));
    assert_eq!(scenario.target, TargetSpec::Stage);
    assert_eq!(scenario.methods, MethodPolicy::All);
    assert_eq!(scenario.tolerance, Tier::Standard);
    assert_eq!(scenario.limits, Limits::default());
    assert_eq!(scenario.stage, StageKnobs::default());
    assert!(scenario.expect.is_empty() && scenario.headers.is_empty());
}

#[test]
fn every_key_is_read() {
    let scenario = good(
        "name: checkout peak
recording: captures/checkout/peak.parquet
window: busiest 5m
scale: 0.25
speed: 1.5
pace: recorded
seed: 42
target:
  url: http://staging.example:8080/
  allow: [staging.example, '10.1.2.3:8080']
methods: [post, GET, GET]
rewrite: { headers: { Authorization: \"Bearer ${TOKEN}\", X-Run: rehearsal } }
tolerance: ci
acts: [replay]
expect:
  - latency p99 < 250ms
  - errors < 0.1%
limits:
  max_in_flight: 1_000
  connect_timeout: 1s
  response_timeout: 1m
  grace: 0s
  max_rate: 100
  max_connections: 50
stage:
  service: 2ms
  cache: { warm: false, store_latency: 30ms, store_pool: 2 }
  connection_limit: { max: 100, beyond: stop-accepting }
  body_limit: 1MiB
  block_per_byte: 2us
  stall: { at: 10s, length: 2s }
  capacity: 900/s
  answers: halved
  retry_storm: { beyond: 8, adds: 60ms }
",
    );
    assert_eq!(scenario.name, "checkout peak");
    assert_eq!(scenario.window, Window::Busiest(Duration::from_mins(5)));
    assert!((scenario.scale - 0.25).abs() < 1e-12 && (scenario.speed - 1.5).abs() < 1e-12);
    assert_eq!(scenario.seed, 42);
    let http = TargetSpec::Http { host: "staging.example".to_owned(), port: 8080, tls: None };
    assert_eq!(scenario.target, http);
    assert_eq!(scenario.allow, ["staging.example", "10.1.2.3:8080"]);
    assert_eq!(scenario.methods, MethodPolicy::Only(vec!["GET".to_owned(), "POST".to_owned()]));
    assert_eq!(scenario.headers["Authorization"], "Bearer s3cret");
    assert_eq!(scenario.tolerance, Tier::Ci);
    let op = |line: &Expectation| line.compared().unwrap().0;
    let metrics: Vec<_> = scenario.expect.iter().map(|line| (line.metric, op(line))).collect();
    let below = Comparison::Below;
    assert_eq!(metrics, [(MetricName::Latency, below), (MetricName::Errors, below)]);
    assert_eq!(scenario.limits.max_in_flight, 1000);
    assert_eq!(scenario.limits.grace, Duration::ZERO);
    assert_eq!(scenario.limits.response_timeout, Duration::from_mins(1));
    let stage = scenario.stage;
    assert_eq!(stage.cache.store_pool, 2);
    assert!(!stage.cache.warm);
    let limit = ConnectionLimit { max: 100, beyond: BeyondLimit::StopAccepting };
    assert_eq!(stage.connection_limit, Some(limit));
    assert_eq!((stage.body_limit, stage.block_ns_per_byte), (Some(1 << 20), 2000));
    let stall = Stall { at: Duration::from_secs(10), length: Duration::from_secs(2) };
    assert_eq!(stage.stall, Some(stall));
    let storm = RetryStorm { beyond: 8, adds: Duration::from_millis(60) };
    assert_eq!(stage.retry_storm, Some(storm));
    assert_eq!((stage.answers, stage.capacity), (Some(OtherAnswers::Halved), Some(900)));
}

#[test]
fn what_changes_data_is_replayed_into_the_stage_only() {
    let elsewhere = good("recording: r\ntarget: { url: 'http://h:1', allow: [h] }\n");
    let safe = ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec();
    assert_eq!(elsewhere.methods, MethodPolicy::Only(safe));
    let all = good("recording: r\ntarget: { url: 'http://h:1' }\nmethods: all\n");
    assert_eq!(all.methods, MethodPolicy::All);
}

#[test]
fn windows_are_read() {
    let seconds = Duration::from_secs;
    for (text, window) in [
        ("all", Window::All),
        ("busiest 90s", Window::Busiest(seconds(90))),
        ("+30s..+1m30s", Window::Offset(seconds(30), seconds(90))),
        ("+0s .. +90s", Window::Offset(seconds(0), seconds(90))),
        ("09:00..09:10", Window::Clock(32_400, 33_000)),
        ("'09:00:05..24:00'", Window::Clock(32_405, 86_400)),
        ("23:55..00:05", Window::Clock(86_100, 86_700)),
    ] {
        let text = format!("{BASE}window: {text}\n");
        assert_eq!(good(&text).window, window, "{text}");
    }
    assert_eq!(Window::Clock(86_100, 86_700).to_string(), "23:55:00 .. 00:05:00 UTC");
    assert_eq!(Window::Clock(0, 86_400).to_string(), "00:00:00 .. 24:00:00 UTC");
}

/// A line added to a good scenario; line and column of the mistake; its message; its hint.
type Row = (&'static str, (usize, usize), &'static str, &'static str);

#[test]
fn each_mistake_has_a_place_a_message_and_a_hint() {
    let rows: &[Row] = &[
        ("widow: all", (3, 1), "unknown key `widow`", "did you mean `window`? the keys here are"),
        ("zzzzzz: 1", (3, 1), "unknown key `zzzzzz`", "the keys here are name, recording,"),
        ("scale: 1\nscale: 2", (4, 1), "`scale` is given twice (first on line 3)", "keep one"),
        ("scale: 0", (3, 8), "0 is out of range", "from 0.000001 to 100"),
        ("scale: -1", (3, 8), "out of range", "from 0.000001 to 100"),
        ("scale: .nan", (3, 8), "`.nan` is not a plain number", "such as 1 or 0.5"),
        ("scale: NaN", (3, 8), "not a plain number", "such as 1 or 0.5"),
        ("scale: 1e3", (3, 8), "not a plain number", "such as 1 or 0.5"),
        ("scale: 101", (3, 8), "out of range", "to 100"),
        ("scale: half", (3, 8), "`half` is not a plain number", "such as"),
        ("scale: [1]", (3, 8), "a single value is expected", "`key: value`"),
        ("limits: 5", (3, 9), "keys and their values are expected", "`{ key: value }`"),
        ("speed: 0.001", (3, 8), "out of range", "from 0.01 to 100"),
        ("seed: -1", (3, 7), "not a whole number", "from 0 to"),
        ("seed: 1.5", (3, 7), "not a whole number", "from 0 to"),
        ("window: 5m", (3, 9), "`5m` is not a window", "`busiest 5m`"),
        ("window: busiest 5", (3, 17), "`5` has no unit", "`busiest 5m`"),
        ("window: busiest 0s", (3, 17), "the window has no length", "`busiest 5m`"),
        ("window: +90s..+30s", (3, 15), "ends before it begins", "`+30s..+90s`"),
        ("window: 09:00..09:00", (3, 16), "ends before it begins", "`09:00..09:10`"),
        ("window: 09:00..25:00", (3, 16), "neither `+30s` nor a time", "`09:00..09:10`"),
        ("window: 09:00..+5m", (3, 16), "neither `+30s` nor a time", "`09:00..09:10`"),
        ("pace: closed", (3, 7), "`closed`, which has no moments", "`pace: session`"),
        ("pace: fast", (3, 7), "unknown value `fast`", "recorded, session"),
        ("methods: most", (3, 10), "unknown value `most`", "`all`, `safe`"),
        ("methods: []", (3, 10), "no method is listed", "`all`, `safe`"),
        ("methods: [GET, 'P OST']", (3, 16), "`P OST` is not a method", "[GET, POST]"),
        ("tolerance: lax", (3, 12), "unknown value `lax`", "strict, standard, ci"),
        ("acts: [replay, colt]", (3, 16), "unknown act `colt`", "did you mean `cold`"),
        ("acts: [replay, replay]", (3, 16), "the act `replay` is listed twice", "once"),
        ("acts: [{ replay: {} }]", (3, 8), "`replay` is no act with options", ""),
        ("acts: [replay, { colt: {} }]", (3, 18), "unknown value `colt`", "did you mean `cold`"),
        ("acts: replay", (3, 7), "a list is expected", "`[a, b]`"),
        ("name: ''", (3, 7), "not a name", "checkout peak"),
        (
            "expect: [latency p99 = 5ms]",
            (3, 22),
            "`=` is not an operator",
            "<, <=, >, >= and within",
        ),
        ("expect:\n  - 'errors < 5'", (4, 15), "`5` has no unit", "percentage"),
        ("abort: ['errors > 10%']", (3, 22), "no time to look back", "`over 10s`"),
        ("abort: [errors > 5 over 1s]", (3, 18), "`5` has no unit", "percentage"),
        ("abort: [redis.x > 1]", (3, 9), "no probe is called as in `redis.x`", "under `watch`"),
        ("limits: { grace: 10 }", (3, 18), "`10` has no unit", "`250ms`"),
        ("limits: { grace: 2h }", (3, 18), "2h is out of range", "from 0 s to 1 h"),
        ("limits: { grase: 10s }", (3, 11), "unknown key `grase`", "did you mean `grace`?"),
        ("limits: { max_rate: 0 }", (3, 21), "out of range", "from 1 to 1000000"),
        ("stage: { body_limit: 10 }", (3, 22), "`10` has no unit", "`10MiB`"),
        ("stage: { cache: { warm: yes } }", (3, 25), "neither `true` nor `false`", "`true`"),
        ("stage: { connection_limit: {} }", (3, 28), "the key `max` is missing", "add `max:`"),
        ("stage: { block_per_byte: 2d }", (3, 26), "calendar unit", "`250ms`"),
        ("name: 'unclosed", (4, 1), "quoted scalar", "YAML"),
        ("\tname: tabs", (3, 2), "did not find expected key", "no tabs"),
        ("name: a\n---\nname: b", (5, 1), "second document", "one document"),
        ("name: !secret x", (3, 15), "tag", "YAML"),
        ("name: *nowhere", (3, 7), "anchor", "YAML"),
    ];
    let mut wrong = String::new();
    for (line, (at_line, at_column), message, hint) in rows {
        let problem = problem(&format!("{BASE}{line}\n"));
        let is_there = (problem.line, problem.column) == (*at_line, *at_column);
        if !is_there || !problem.message.contains(message) || !problem.hint.contains(hint) {
            writeln!(wrong, "{line}\n{problem}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn limits_of_values_and_lists_are_held() {
    let rules = vec!["errors > 1% over 1s"; MAX_RULES + 1].join("', '");
    for (line, message) in [
        ("limits: { connect_timeout: 900us }", "900us is out of range"),
        ("limits: { response_timeout: 61m }", "61m is out of range"),
        ("limits: { max_connections: 1_000_001 }", "out of range"),
        ("stage: { service: 61m }", "61m is out of range"),
        ("stage: { cache: { store_pool: 0 } }", "0 is out of range"),
        ("stage: { cache: { store_pool: 1_000_001 } }", "out of range"),
        ("stage: { cache: { warms_over: 900us } }", "900us is out of range"),
        ("stage: { cache: { warms_over: 61m } }", "61m is out of range"),
        ("stage: { block_per_byte: 1100ms }", "1100ms is out of range"),
        ("stage: { stall: { at: 25h, length: 1s } }", "25h is out of range"),
        ("stage: { capacity: 0/s }", "0 is out of range"),
        ("name: \"a\\tb\"", "this is not a name"),
        (&format!("name: {}", "n".repeat(101)), "this is not a name"),
        ("baseline: ' '", "there is no file name"),
        ("baseline: \"a\\0\"", "there is no file name"),
        (&format!("abort: ['{rules}']"), &format!("more than {MAX_RULES} rules")),
    ] {
        let problem = problem(&format!("{BASE}{line}\n"));
        assert!(problem.message.contains(message), "{line}\n{problem}");
        assert!(problem.line == 3 && !problem.hint.is_empty(), "{line}\n{problem}");
    }
    let long = format!("{BASE}#{}", "x".repeat(MAX_FILE));
    assert!(problem(&long).message.contains("larger than 1 MiB"));
}

#[test]
fn targets_that_cannot_be_used_are_explained() {
    for (url, message, hint) in [
        ("https://h:8443/base", "a target has no path", "keep their recorded paths"),
        ("h:8080", "`h:8080` is not a target", "`http://HOST:PORT`"),
        ("ftp://h", "is not a target", "`stage`"),
        ("http://h:8080/base", "a target has no path", "keep their recorded paths"),
        ("http://u:p@h", "no user name or password", "`http://HOST:PORT`"),
        ("http://h:0", "`h:0` is not a host and a port", "`http://HOST:PORT`"),
        ("http://", "is not a host", "xn--"),
        ("http://münchen", "is not a host", "xn--"),
    ] {
        let problem = problem(&format!("recording: r\ntarget: {{ url: '{url}' }}\n"));
        assert!(problem.message.contains(message), "{url}\n{problem}");
        assert!(problem.hint.contains(hint), "{url}\n{problem}");
        assert_eq!(problem.line, 2, "{url}");
    }
    let wildcard = problem("recording: r\ntarget: { url: stage, allow: ['*.example'] }\n");
    assert!(wildcard.hint.contains("no wildcard"), "{wildcard}");
    let none = problem("recording: r\n");
    assert!(none.message.contains("`target` is missing"), "{none}");
}

#[test]
fn headers_are_checked_and_secrets_are_not_repeated() {
    for (header, message) in [
        ("A: '${NOWHERE}'", "the environment has no variable `NOWHERE`"),
        ("A: '${}'", "the environment has no variable ``"),
        ("A: 'Bearer ${TOKEN'", "is not closed"),
        ("A: '${TWO_LINES}'", "`TWO_LINES` holds a line end"),
        ("A: \"a\\nb\"", "a header is one line"),
        ("host: a", "`host` cannot be set"),
        ("Content-Length: '1'", "`Content-Length` cannot be set"),
        ("'A B': c", "`A B` is not a header name"),
        ("A: b, a: c", "`a` and `A` are the same header"),
    ] {
        let problem = problem(&format!("{BASE}rewrite: {{ headers: {{ {header} }} }}\n"));
        assert!(problem.message.contains(message), "{header}\n{problem}");
        assert!(!problem.to_string().contains("s3cret"), "{header}\n{problem}");
        assert_eq!(problem.line, 3, "{header}");
    }
}

#[test]
fn a_mistake_reads_like_this() {
    let text = format!("{BASE}limits:\n  grace: 10\n");
    assert_eq!(
        problem(&text).to_string(),
        "s.yaml:4:10: `10` has no unit
4 |   grace: 10
  |          ^
hint: write a number and its unit, such as `250ms`, `30s`, `5m` or `1h30m`"
    );
}

#[test]
fn hostile_files_end_in_a_bounded_error() {
    let deep = format!("{BASE}name: {}\n", "[".repeat(5000));
    assert!(problem(&deep).line > 0);
    let wide = format!("{BASE}expect: [{}]\n", "a, ".repeat(60_000));
    assert!(problem(&wide).message.contains("larger than any of its kind"), "{}", problem(&wide));
    let mut bomb = String::from("a0: &a0 [x]\n");
    for level in 1..30 {
        let last = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{last}, {last}, {last}, {last}]").unwrap();
    }
    assert!(problem(&bomb).to_string().len() < 4000);
    let large = problem(&"#".repeat(MAX_FILE + 1));
    assert!(large.message.contains("larger than 1 MiB"), "{large}");
    let long = problem(&format!("{BASE}{}: 1\n", "k".repeat(100_000)));
    assert!(long.to_string().len() < 4000);
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_cause() {
    let error = load(Path::new("no/such/scenario.yaml")).unwrap_err();
    assert!(error.to_string().contains("no/such/scenario.yaml"));
    assert!(std::error::Error::source(&error).is_some());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"name: x\nrecording: \xe4\n").unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("latin1.yaml:2:1: this line is not UTF-8 text"), "{error}");
}
