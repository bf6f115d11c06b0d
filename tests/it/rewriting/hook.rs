//! A program that changes each request before it is due.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{App, Asked, ok, record, run};
use crate::support::{peakhour, program};

/// Signs the target, adds a header, and answers as `when` says for some numbers.
fn signer(folder: &Path, when: &str) {
    let text = format!(
        "#!/usr/bin/env python3\nimport json, os, sys, time\n\
         with open('started', 'a') as log: log.write('x')\n\
         for line in sys.stdin:\n    \
             it = json.loads(line)\n    \
             number = int(it['target'].split('n=')[1].split('&')[0])\n    \
             it['target'] = it['target'].split('&at=')[0]\n    \
             it['target'] += '&at=%d&sig=s%d' % (it['due_ns'], number)\n    \
             it['headers'].append(['X-Signed', 'yes'])\n    \
             answer = json.dumps(it)\n    \
             {when}\n    \
             print(answer, flush=True)\n"
    );
    let path = folder.join("sign.py");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn recorded(folder: &Path) {
    let lines: Vec<Value> = (0..40_u64)
        .map(|index| {
            json!({
                "at_ns": index * 10_000_000, "connection": index % 4,
                "method": "GET", "status": 200, "authority": "shop.example",
                "target": format!("/a?n={index}&at=1&sig=old"),
            })
        })
        .collect();
    record(folder, &lines);
}

/// Only what was signed, and for its moment, is answered well.
fn shop() -> App {
    App::start(|asked: &Asked| {
        let line = asked.line();
        let number: u64 =
            line.split("n=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
        let signed = format!("GET /a?n={number}&at={}&sig=s{number}", number * 10_000_000);
        if line == signed && asked.header("X-Signed") == "yes" {
            ok("", "a")
        } else {
            "403 No\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
    })
}

fn keys(app: &App, hook: &str) -> String {
    format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n{hook}", app.url())
}

const HOOK: &str = "rewrite: { hook: { command: [./sign.py], timeout: 2s } }\n";

#[test]
fn requests_are_signed_before_they_are_due() {
    if program("python3").is_none() {
        return;
    }
    let folder = tempdir().unwrap();
    recorded(folder.path());
    signer(folder.path(), "pass");
    let app = shop();
    let (ran, report) = run(folder.path(), &keys(&app, HOOK), &[]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(report["statuses"], json!({ "200": 40 }), "{shown}\n{:?}", app.seen().first());
    let hook = &report["hook"];
    assert_eq!((&hook["calls"], &hook["skipped"]), (&json!(40), &json!(0)), "{hook}");
    assert_eq!((&hook["failed"], &hook["restarts"]), (&json!({}), &json!(0)), "{hook}");
    let times = ["p50_ns", "p99_ns", "max_ns"].map(|name| hook[name].as_u64().unwrap());
    // No other process answers within a microsecond.
    assert!(times.is_sorted() && times[0] > 1_000, "{hook}");
    assert!(shown.contains("the hook was asked about 40 requests"), "{shown}");
    assert_eq!(fs::read_to_string(folder.path().join("started")).unwrap(), "x", "once a run");

    // Without it, nothing is signed.
    let (_, report) = run(folder.path(), &keys(&app, ""), &[]);
    assert_eq!(report["statuses"], json!({ "403": 40 }));
    assert_eq!(report["hook"], Value::Null);

    // A dry run does not start it.
    let plan = peakhour(folder.path(), &["plan", "s.yaml"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    fs::write(folder.path().join("s.yaml"), format!("recording: r.jsonl\n{}", keys(&app, HOOK)))
        .unwrap();
    assert_eq!(peakhour(folder.path(), &["plan", "s.yaml"]).code, 0);
    assert_eq!(fs::read_to_string(folder.path().join("started")).unwrap(), "x");
}

#[test]
fn what_a_hook_does_not_answer_is_never_sent_as_it_was() {
    if program("python3").is_none() {
        return;
    }
    for (when, timeout, failed, skipped, restarts) in [
        ("if number in (3, 30): answer = 'no json'", "5s", json!({ "bad answer": 2 }), 0, 0),
        ("if number == 7: sys.exit(1)", "5s", json!({ "ended": 1 }), 0, 1),
        ("if number == 9: time.sleep(9)", "3s", json!({ "timed out": 1 }), 0, 1),
        ("if number == 5: print(answer, flush=True)", "5s", json!({ "said too much": 1 }), 0, 1),
        ("if number == 0: answer = '{\"skip\": \"s3cret reason\"}'", "5s", json!({}), 1, 0),
        ("sys.exit(1)", "5s", json!({ "ended": 11, "given up": 29 }), 0, 10),
    ] {
        let folder = tempdir().unwrap();
        recorded(folder.path());
        signer(folder.path(), when);
        let app = shop();
        let hook = format!("rewrite: {{ hook: {{ command: [./sign.py], timeout: {timeout} }} }}\n");
        let (ran, report) = run(folder.path(), &keys(&app, &hook), &[]);
        let shown = format!("{when}: {}\n{}", ran.stdout, ran.stderr);
        let found = &report["hook"];
        assert_eq!(found["failed"], failed, "{shown}");
        assert_eq!(found["restarts"], restarts, "{shown}");
        assert_eq!(found["skipped"], skipped, "{shown}");
        let count = |fate: &str| report["fates"][fate].as_u64().unwrap_or(0);
        let lost: u64 = failed.as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(count("unsent: hook"), lost, "{shown}");
        assert_eq!(count("unsent: skipped by the hook"), skipped, "{shown}");
        assert_eq!(count("answered"), 40 - lost - skipped, "{shown}");
        assert_eq!(report["statuses"]["403"], Value::Null, "{shown}");
        assert!(app.seen().iter().all(|asked| asked.header("X-Signed") == "yes"), "{shown}");
        assert!(!format!("{}{report}", ran.stdout).contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_hook_that_is_not_there_ends_the_run_before_anything_is_sent() {
    let folder = tempdir().unwrap();
    recorded(folder.path());
    let app = shop();
    let (ran, _) = run(folder.path(), &keys(&app, "rewrite: { hook: [./nowhere] }\n"), &[]);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot start the hook ./nowhere"), "{}", ran.stderr);
    assert!(app.seen().is_empty());
}
