//! The act `capacity` from end to end: a planted limit is found, a stage without one is told as
//! "at least", and what cannot be searched says why.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use peakhour::protocol::resp::Value as Reply;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::redis_replay::{Hand, line, url};
use crate::rehearsal::alone;
use crate::schema;
use crate::servers::{self, Server};
use crate::support::{Ran, peakhour};

/// Twelve seconds of short sessions, `rate` requests a second, at random moments.
fn record(folder: &Path, rate: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut rows: Vec<(u64, u32)> = Vec::new();
    for session in 0..rate * 12 / 3 {
        let start = random.random_range(0..11_400_000_000_u64);
        rows.extend((0..3).map(|_| (start + random.random_range(0..600_000_000), session)));
    }
    rows.sort_unstable();
    let line = |(at_ns, session): (u64, u32)| {
        json!({
            "at_ns": at_ns, "connection": session, "session": session,
            "method": "GET", "authority": "production.example",
            "target": "/item/7", "route": "/item/*", "status": 200,
        })
        .to_string()
    };
    let lines: Vec<String> = rows.into_iter().map(line).collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
}

/// The other tests run beside these: where this machine was late, the run says so itself, and is
/// repeated, but not more often than this.
const ATTEMPTS: usize = 4;

/// Short trials: what is tested is what is found and told, not how exactly.
fn rehearse(folder: &Path, act: &str, arguments: &[&str]) -> (Ran, Value) {
    let expected = "expect: [ latency p90 < 500ms, errors < 1% ]";
    rehearse_against(folder, act, &format!("target: {{ url: stage }}\n{expected}"), arguments)
}

/// The same with a target, what is expected, and what else the scenario has.
fn rehearse_against(folder: &Path, act: &str, more: &str, arguments: &[&str]) -> (Ran, Value) {
    let _alone = alone();
    let text = format!(
        "# The highest load that is held.\nname: capacity\nrecording: r.jsonl\n\
         tolerance: ci\nacts: [ capacity: {{ {act} }} ]\n{more}\n"
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        let reports = format!("reports{attempt}");
        let ran =
            peakhour(folder, &[&["run", "s.yaml", "--reports", &reports], arguments].concat());
        let run = fs::read_dir(folder.join(&reports)).ok().and_then(|mut runs| runs.next());
        let run = run.and_then(|run| fs::read_to_string(run.ok()?.path().join("run.json")).ok());
        let run = run.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        schema::holds(&run);
        let spoiled = run["acts"][0]["evidence"]["capacity"]["ended"] == "generator";
        last = Some((ran, run, reports));
        if !spoiled {
            break;
        }
    }
    let (ran, run, reports) = last.unwrap();
    fs::rename(folder.join(reports), folder.join("reports")).unwrap();
    (ran, run)
}

fn finding(run: &Value) -> Value {
    let all = run["findings"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|finding| finding["check"] == "capacity").unwrap_or_default()
}

fn page(folder: &Path) -> String {
    let run = fs::read_dir(folder.join("reports")).unwrap().next().unwrap().unwrap();
    fs::read_to_string(run.path().join("report.html")).unwrap()
}

/// The stage answers 240 times a second, of which the recording asks for 100.
#[test]
fn a_planted_limit_is_found_and_told_in_the_users_words() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 100);
    let act = "trial: 3s, run_in: 1s, resolution: 10%, within: 2m";
    let (ran, run) = rehearse(folder.path(), act, &["--stage-fault", "capacity=240"]);
    let found = finding(&run);
    let seen = &run["acts"][0]["evidence"]["capacity"];
    let shown = format!("{}\n{}\n{seen:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &found["outcome"]), (0, &Value::from("pass")), "{shown}");
    assert_eq!(seen["ended"], "found", "{shown}");
    let title = found["title"].as_str().unwrap();
    assert!(
        title.contains("× the recorded peak (") && title.contains("no probe saw it"),
        "{title}"
    );
    // Short trials hold a little more than the limit, whose queue has no time to grow; a machine
    // that stands still holds less.
    let trials = seen["trials"].as_array().unwrap();
    let held: Vec<f64> = trials
        .iter()
        .filter(|trial| trial["load"] == seen["held"])
        .map(|trial| trial["sent_rate"].as_f64().unwrap())
        .collect();
    assert!(held.iter().all(|rate| (130.0..290.0).contains(rate)), "{held:?}\n{shown}");
    for trial in trials {
        let reason = trial["reason"].as_str().unwrap();
        assert_eq!(reason.is_empty(), trial["outcome"] == "held", "{trial}");
        assert!(trial["requests"].as_u64() > Some(0) && trial["latency_ns"].is_array(), "{trial}");
    }
    assert!(ran.stdout.contains("Capacity\n") && ran.stdout.contains("→ "), "{shown}");
    assert!(run["headline"].as_str().unwrap().contains("× the recorded peak"), "{shown}");
    let page = page(folder.path());
    assert!(page.contains("The trials of the search") && page.contains("Latency over load"));
}

/// The twin without a limit.
#[test]
fn a_stage_without_a_limit_is_not_searched_further_than_asked() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 60);
    let act = "max: 3, trial: 3s, run_in: 1s";
    let (ran, run) = rehearse(folder.path(), act, &[]);
    let found = finding(&run);
    let shown = format!("{}\n{}\n{run:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &found["outcome"]), (0, &Value::from("pass")), "{shown}");
    let title = found["title"].as_str().unwrap();
    assert!(title.starts_with("at least ") && title.contains("not searched further"), "{title}");
    let seen = &run["acts"][0]["evidence"]["capacity"];
    assert_eq!((&seen["ended"], &seen["held"]), (&json!("max"), &json!(3.0)), "{shown}");
    assert_eq!(seen["failed"], Value::Null);
}

/// The stage answers less often than was recorded.
#[test]
fn what_is_held_below_the_recorded_peak_is_searched_downwards_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 100);
    let act = "trial: 3s, run_in: 1s, resolution: 40%";
    let (ran, run) = rehearse(folder.path(), act, &["--stage-fault", "capacity=50"]);
    let found = finding(&run);
    let shown = format!("{}\n{}\n{run:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &found["outcome"]), (99, &Value::from("fail")), "{shown}");
    let held = run["acts"][0]["evidence"]["capacity"]["held"].as_f64().unwrap();
    assert!((0.2..0.8).contains(&held), "{shown}");
    assert!(ran.stdout.contains("FAIL"), "{shown}");
    assert!(found["title"].as_str().unwrap().starts_with("only "), "{shown}");
}

#[test]
fn a_recording_that_is_too_short_says_what_is_needed_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 30);
    let (ran, run) = rehearse(folder.path(), "", &[]);
    let found = finding(&run);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &found["outcome"]), (98, &Value::from("unknown")), "{shown}");
    let title = found["title"].as_str().unwrap();
    assert!(title.contains("a trial needs 14 s") && title.contains("`window`"), "{title}");
    assert_eq!(run["acts"][0]["evidence"]["capacity"]["trials"], json!([]));
    // Long enough, but of too few requests.
    record(folder.path(), 10);
    fs::remove_dir_all(folder.path().join("reports")).unwrap();
    let (_, run) = rehearse(folder.path(), "trial: 3s, run_in: 1s", &[]);
    let title = finding(&run)["title"].as_str().unwrap().to_owned();
    assert!(title.contains("at least 100 are needed"), "{title}");
}

/// What the scenario's own limits forbid is no limit of the target.
#[test]
fn a_limit_of_the_scenario_is_told_as_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 60);
    let act = "trial: 3s, run_in: 1s";
    let (ran, run) = rehearse(folder.path(), act, &["--max-rate", "200"]);
    let title = finding(&run)["title"].as_str().unwrap().to_owned();
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(title.starts_with("at least ") && title.contains("`limits.max_rate`"), "{shown}");
}

/// Twelve seconds of connections to Redis, twenty a second, each of which asks three times in
/// 0.6 s: some twelve of them are open at a time.
fn record_redis(folder: &Path) {
    let asked = |connection: u64| {
        let moments = (0..3).map(move |turn| 48 * connection + 300 * turn);
        moments.map(move |at| (at, connection))
    };
    let mut rows: Vec<(u64, u64)> = (0..240).flat_map(asked).collect();
    rows.sort_unstable();
    let lines: Vec<String> =
        rows.into_iter().map(|(at, connection)| line(at, connection, "GET a", false)).collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
}

/// Redis as target, and as what is watched.
fn watched(server: &Server) -> String {
    let url = url(server);
    format!(
        "target: {{ url: '{url}', allow: [127.0.0.1] }}\nexpect: [ errors < 1% ]\n\
         watch:\n  cache: {{ url: '{url}', every: 200ms }}"
    )
}

/// The same without a probe.
fn unwatched(server: &Server) -> String {
    let watched = watched(server);
    watched.split("\nwatch:").next().unwrap_or_default().to_owned()
}

/// A real Redis that takes forty clients, and a probe that counts them: what broke first is named.
#[test]
fn what_broke_first_is_named_by_the_probe_that_saw_it() {
    let Some(server) = servers::redis(&["--maxclients", "40"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    record_redis(folder.path());
    let more = watched(&server);
    let act = "max: 8, trial: 4s, run_in: 2s, trials: 1, resolution: 50%";
    let (ran, run) = rehearse_against(folder.path(), act, &more, &[]);
    let found = finding(&run);
    let seen = &run["acts"][0]["evidence"]["capacity"];
    let shown = format!("{}\n{}\n{seen:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &found["outcome"]), (0, &Value::from("pass")), "{shown}");
    let title = found["title"].as_str().unwrap();
    assert!(
        title.contains("; then cache connected_clients (") && title.ends_with("of 40)"),
        "{shown}"
    );
    // At most forty at a time, some twelve for a load of 1, and one for the probe.
    let held = seen["held"].as_f64().unwrap();
    assert!((1.0..4.0).contains(&held), "{shown}");
}

/// The twin with room for all: nothing breaks.
#[test]
fn where_there_is_room_for_all_nothing_is_named() {
    let Some(server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    record_redis(folder.path());
    let more = watched(&server);
    let act = "max: 2, trial: 3s, run_in: 1s, trials: 1";
    let (ran, run) = rehearse_against(folder.path(), act, &more, &[]);
    let title = finding(&run)["title"].as_str().unwrap().to_owned();
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(title.contains("not searched further") && !title.contains("then"), "{shown}");
}

/// What a trial cannot answer is told as that, and not as a late generator.
#[test]
fn an_expectation_that_needs_longer_than_a_trial_is_told() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 60);
    let more = "target: { url: stage }\nexpect: [ errors < 1% with >= 9999 samples ]";
    let (ran, run) = rehearse_against(folder.path(), "trial: 3s, run_in: 1s", more, &[]);
    let found = finding(&run);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &found["outcome"]), (98, &Value::from("unknown")), "{shown}");
    let title = found["title"].as_str().unwrap();
    assert!(title.starts_with("no load could be judged"), "{shown}");
    assert!(found["evidence"].to_string().contains("9999 samples"), "{found:#}");
}

/// What users expect of a figure of a probe bounds the load as what they expect of answers does:
/// some twelve clients come with a load of 1, and the probe is one.
#[test]
fn a_figure_that_is_expected_of_trials_bounds_the_load() {
    let Some(server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    record_redis(folder.path());
    let line = "cache.connected_clients < 30 in act capacity";
    let more = watched(&server).replace("errors < 1% ]", &format!("errors < 1%, {line} ]"));
    let act = "max: 8, trial: 4s, run_in: 2s, trials: 1, resolution: 30%";
    let (ran, run) = rehearse_against(folder.path(), act, &more, &[]);
    let seen = &run["acts"][0]["evidence"]["capacity"];
    let shown = format!("{}\n{}\n{seen:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &seen["ended"]), (0, &json!("found")), "{shown}");
    let held = seen["held"].as_f64().unwrap();
    assert!((1.0..4.0).contains(&held), "{shown}");
    let evidence = finding(&run)["evidence"].to_string();
    assert!(evidence.contains(&format!("`{line}`: at most ")), "{shown}");
    let expected = run["expectations"].as_array().unwrap().iter().find(|it| it["text"] == line);
    let expected = expected.unwrap();
    assert_eq!(expected["outcome"], "pass", "{shown}");
    assert!(expected["actual"].as_str().unwrap().ends_with(" ×"), "{expected}");
}

/// Looks of 20 ms each: a test that fails meanwhile must not wait for ever.
const LONGEST: usize = 15_000;

/// Ends a Redis, for good, as soon as it has more clients than this.
fn end_beyond(clients: u32, server: &Server, is_over: &AtomicBool) {
    let mut hand = Hand::new(server.port);
    for _ in 0..LONGEST {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let told = hand.say(&["INFO clients"]).into_iter().find_map(|told| {
            let Reply::Bulk { kept, .. } = told else { return None };
            let told = String::from_utf8(kept).unwrap();
            let count = told.lines().find_map(|it| it.strip_prefix("connected_clients:"))?;
            count.parse::<u32>().ok()
        });
        if told.unwrap() > clients {
            let pid = server.pid().to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
            return;
        }
        servers::pause();
    }
}

/// The same while an act is performed.
fn rehearse_until_beyond(clients: u32, act: &str, server: &Server) -> (Ran, Value) {
    let folder = tempfile::tempdir().unwrap();
    record_redis(folder.path());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| end_beyond(clients, server, &is_over));
        let ran = rehearse_against(folder.path(), act, &unwatched(server), &[]);
        is_over.store(true, Ordering::Relaxed);
        ran
    })
}

/// Some twelve clients come with a load of 1. What comes after its end is no limit of it.
#[test]
fn a_target_that_breaks_for_good_ends_the_search() {
    let Some(server) = servers::redis(&[]) else { return };
    let act = "max: 8, trial: 4s, run_in: 2s, trials: 1, resolution: 10%";
    let (ran, run) = rehearse_until_beyond(19, act, &server);
    let found = finding(&run);
    let seen = &run["acts"][0]["evidence"]["capacity"];
    let shown = format!("{}\n{}\n{seen:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &seen["ended"]), (98, &json!("gone")), "{shown}");
    assert_eq!(seen["held"], json!(1.0), "{shown}");
    assert_eq!(seen["failed"], json!(2.0), "what it could not be asked any more is no limit");
    let title = found["title"].as_str().unwrap();
    assert!(title.starts_with("1 × the recorded peak") && title.contains("did not come back"));
}

/// The twin that is gone before anything counts: nothing is faster than what answers nothing.
#[test]
fn a_target_that_never_answers_is_told_and_has_no_fast_answers() {
    let Some(server) = servers::redis(&[]) else { return };
    let act = "max: 8, trial: 4s, run_in: 2s, trials: 1";
    let (ran, run) = rehearse_until_beyond(3, act, &server);
    let seen = &run["acts"][0]["evidence"]["capacity"];
    let shown = format!("{}\n{}\n{seen:#}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &seen["ended"]), (99, &json!("lowest")), "{shown}");
    let title = finding(&run)["title"].as_str().unwrap().to_owned();
    assert!(title.starts_with("the target answered nothing, not even at 0.1"), "{shown}");
    for trial in seen["trials"].as_array().unwrap() {
        assert_eq!((&trial["errors"], &trial["answered"]), (&json!(1.0), &json!(0)), "{trial}");
        assert_eq!(trial["at_least"], json!([true, true, true, true]), "{trial}");
    }
    assert!(ran.stdout.contains("≥ 3 s"), "{shown}");
}
