//! `pace: session` against a real nginx, whose log tells when each request came and was answered.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::schema;
use crate::servers;
use crate::support::{ATTEMPTS, Ran, peakhour};

/// Sessions, and requests of each.
const SESSIONS: u64 = 6;
const REQUESTS: u64 = 5;

/// Each session thinks for 40 ms about an answer that took so many, on two connections in turn.
fn record(folder: &Path, path: &str, took_ms: u64) {
    let lines: Vec<String> = (0..SESSIONS * REQUESTS)
        .map(|index| {
            let (position, session) = (index / SESSIONS, index % SESSIONS);
            json!({
                "at_ns": (position * (took_ms + 40) + session * 7) * 1_000_000,
                "connection": session * 2 + position % 2,
                "session": session + 100,
                "method": "GET", "authority": "production.example",
                "target": format!("/{path}?{session}-{position}"), "status": 200,
                "first_byte_ns": (took_ms - 1) * 1_000_000, "last_byte_ns": took_ms * 1_000_000,
            })
            .to_string()
        })
        .collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
}

/// A page comes at once, or in two parts some 200 ms apart.
fn nginx() -> Option<servers::Server> {
    let page = "x".repeat(2_400);
    servers::nginx("", "worker_connections 128;", |port, folder| {
        format!(
            "log_format seen '$msec $request_time $args';\n\
             server {{ listen 127.0.0.1:{port}; access_log {}/access.log seen;\n\
             location /fast {{ return 200 '{page}'; }}\n\
             location /slow {{ limit_rate 2000; return 200 '{page}'; }} }}",
            folder.display()
        )
    })
}

fn run(server: &servers::Server, pace: &str, path: &str, took_ms: u64) -> (Ran, Value) {
    let mut told = run_once(server, pace, path, took_ms);
    for _ in 1..ATTEMPTS {
        if !told.0.is_spoiled() {
            break;
        }
        fs::write(server.folder().join("access.log"), "").unwrap();
        told = run_once(server, pace, path, took_ms);
    }
    told
}

fn run_once(server: &servers::Server, pace: &str, path: &str, took_ms: u64) -> (Ran, Value) {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), path, took_ms);
    let text = format!(
        "# Sessions.\nname: sessions\nrecording: r.jsonl\npace: {pace}\ntolerance: ci\n\
         target: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}\n",
        server.port
    );
    fs::write(folder.path().join("s.yaml"), text).unwrap();
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    let run = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap();
    let report = fs::read_to_string(run.path().join("run.json")).unwrap();
    let report = serde_json::from_str(&report).unwrap();
    schema::holds(&report);
    (ran, report)
}

/// When each request came and was answered by nginx' clock, in milliseconds, by session.
fn seen(server: &servers::Server) -> BTreeMap<String, Vec<(i64, i64)>> {
    let log = fs::read_to_string(server.folder().join("access.log")).unwrap();
    fs::write(server.folder().join("access.log"), "").unwrap();
    let ms = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
    let mut seen: BTreeMap<String, BTreeMap<String, (i64, i64)>> = BTreeMap::new();
    for line in log.lines() {
        let [end, took, name] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (session, position) = name.split_once('-').unwrap();
        let times = (ms(end) - ms(took), ms(end));
        let before = seen.entry(session.into()).or_default().insert(position.into(), times);
        assert!(before.is_none(), "{line}: twice");
    }
    seen.into_iter().map(|(session, of)| (session, of.into_values().collect())).collect()
}

/// Requests of a session that came before the answer that they followed, and the time thought about
/// it (with the steps of nginx' clock).
fn hasty(seen: &BTreeMap<String, Vec<(i64, i64)>>) -> usize {
    let pairs = seen.values().flat_map(|session| session.windows(2));
    pairs.filter(|pair| pair[1].0 < pair[0].1 + 40 - 5).count()
}

#[test]
fn a_session_waits_for_its_answers_and_thinks_and_a_recorded_pace_does_not() {
    let Some(server) = nginx() else { return };
    let all = SESSIONS * REQUESTS;

    let (ran, report) = run(&server, "session", "slow", 60);
    let log = seen(&server);
    let shown = format!("{}\n{log:?}\n{}", ran.stdout, report["session_pace"]);
    assert_eq!(log.values().map(Vec::len).sum::<usize>() as u64, all, "{shown}");
    assert_eq!(hasty(&log), 0, "{shown}");
    let moved = report["session_pace"]["moved"].as_u64().unwrap();
    assert_eq!(moved, all - SESSIONS, "all but the first of each session\n{shown}");
    assert!(report["session_pace"]["total_ns"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(report["totals"]["answered"], all, "{shown}");
    // The target is to blame, not this machine.
    let held_back = finding(&report, "held-back");
    let evidence = held_back["evidence"].to_string();
    assert!(evidence.contains(&format!("moved {moved} of {all} requests")), "{shown}\n{evidence}");
    assert!(ran.words().contains("sessions set the pace: 5.0 requests each"), "{shown}");

    let (ran, report) = run(&server, "recorded", "slow", 60);
    let log = seen(&server);
    assert_eq!(log.values().map(Vec::len).sum::<usize>() as u64, all, "{}", ran.stdout);
    assert!(hasty(&log) > 10, "{log:?}");
    assert!(report["session_pace"].is_null(), "{}", ran.stdout);
}

#[test]
fn a_target_as_fast_as_production_is_asked_as_production_was() {
    let Some(server) = nginx() else { return };
    // As fast as that it is on a busy machine, too.
    let (ran, report) = run(&server, "session", "fast", 460);
    let log = seen(&server);
    assert!(matches!(ran.code, 0 | 98), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(report["totals"]["answered"], SESSIONS * REQUESTS, "{}", ran.stdout);
    assert_eq!(hasty(&log), 0, "{log:?}");
    let moved = report["session_pace"]["moved"].as_u64().unwrap();
    assert!(moved < SESSIONS, "a busy machine may answer late, but seldom: {moved}");
}

fn finding(report: &Value, check: &str) -> Value {
    let all = report["findings"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|finding| finding["check"] == check).unwrap_or_default()
}
