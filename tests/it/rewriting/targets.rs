//! Paths, queries and headers.

use std::collections::BTreeMap;

use serde_json::json;
use tempfile::tempdir;

use super::{App, ok, record, run};
use crate::support::{peakhour_with, root};

const RULES: &str = "rewrite:
  headers: { Authorization: 'Bearer ${STAGING_TOKEN}', X-Forwarded-For: null }
  paths: [{ from: '^/v1/', to: '/v2/' }]
  query: { tenant: '${STAGING_TENANT}', debug: null }
";

const SECRETS: [(&str, &str); 2] =
    [("STAGING_TOKEN", "s3cret-of-staging"), ("STAGING_TENANT", "t3nant&of")];

fn recorded(folder: &std::path::Path) {
    let lines: Vec<_> = (0..20_u64)
        .map(|index| {
            let path = if index % 2 == 0 { "/v1/cart" } else { "/health" };
            let target = format!("{path}?debug=1&n={index}");
            let head = format!(
                "GET {target} HTTP/1.1\r\nhOST: shop.example\r\nX-Forwarded-For: 192.0.2.1\r\n\
                 authorization: Bearer old\r\nX-Own: 1\r\n\r\n"
            );
            json!({
                "at_ns": index * 5_000_000, "connection": index % 3, "method": "GET",
                "authority": "shop.example", "target": target, "request_head": head, "status": 200,
            })
        })
        .collect();
    record(folder, &lines);
}

#[test]
fn requests_are_asked_for_as_the_rules_say() {
    let folder = tempdir().unwrap();
    let app = App::start(|asked| match asked.header("Authorization").as_str() {
        "Bearer s3cret-of-staging" => ok("", "a"),
        _ => "401 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
    });
    recorded(folder.path());
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", app.url());
    let (ran, report) = run(folder.path(), &format!("{target}{RULES}"), &SECRETS);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(report["statuses"], json!({ "200": 20 }), "{shown}");
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for asked in app.seen() {
        *lines.entry(asked.line().split("n=").next().unwrap().to_owned()).or_default() += 1;
        let rest: Vec<&str> = asked.head.lines().skip(1).collect();
        let own = format!("hOST: 127.0.0.1:{}", app.port);
        assert_eq!(rest, [&own, "authorization: Bearer s3cret-of-staging", "X-Own: 1"]);
        assert!(asked.line().ends_with("&tenant=t3nant%26of"), "{}", asked.line());
    }
    let expected = BTreeMap::from([("GET /v2/cart?".into(), 10), ("GET /health?".into(), 10)]);
    assert_eq!(lines, expected);
    // Reports group by what was asked for.
    let routes: Vec<_> =
        report["routes"].as_array().unwrap().iter().map(|row| &row["route"]).collect();
    assert_eq!(routes, [&json!("GET /health"), &json!("GET /v2/cart")], "{shown}");
    // What comes from the environment is in nothing that is kept or printed.
    let kept = format!("{shown}{report}{}", kept(&folder.path().join("reports")));
    assert!(!kept.contains("s3cret") && !kept.contains("t3nant"), "{kept}");

    // Without the rules, the target says no.
    let (_, report) = run(folder.path(), &target, &[]);
    assert_eq!(report["statuses"], json!({ "401": 20 }));
    assert!(app.seen()[20..].iter().all(|asked| !asked.line().contains("tenant")));
}

/// All text below a folder.
fn kept(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.push_str(&kept(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    all
}

#[test]
fn a_plan_shows_them_without_what_the_environment_holds() {
    let folder = tempdir().unwrap();
    recorded(folder.path());
    let text = format!("recording: r.jsonl\ntarget: {{ url: stage }}\n{RULES}");
    std::fs::write(folder.path().join("s.yaml"), &text).unwrap();
    let plan = ["plan", "s.yaml", "--requests", "2"];
    let ran = peakhour_with(folder.path(), &plan, &SECRETS);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(shown.contains("\nGET /v2/cart?n=0&tenant=xxxxxxxxxxx HTTP/1.1\n"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("t3nant"), "{shown}");
    assert!(!shown.contains("192.0.2.1"), "{shown}");

    let ran = peakhour_with(folder.path(), &plan, &SECRETS[..1]);
    assert_eq!(ran.code, 104, "{}", ran.stdout);
    assert!(ran.stderr.contains("s.yaml:6:20: the environment has no variable `STAGING_TENANT`"));
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);

    let bad = text.replace("to: '/v2/'", "to: ' '");
    std::fs::write(folder.path().join("s.yaml"), bad).unwrap();
    let ran = peakhour_with(folder.path(), &plan, &SECRETS);
    assert!(ran.words().contains("rewritten into no target of a request 10"), "{}", ran.stdout);

    // The stage answers to what is asked for now as production did.
    std::fs::write(folder.path().join("s.yaml"), text).unwrap();
    let ran = peakhour_with(folder.path(), &["run", "s.yaml", "--out", "json=a"], &SECRETS);
    let report = std::fs::read_to_string(folder.path().join("a")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["statuses"], json!({ "200": 20 }), "{}", ran.stdout);
}

#[test]
fn the_example_of_the_manual_is_read() {
    let folder = tempdir().unwrap();
    recorded(folder.path());
    let manual = std::fs::read_to_string(root().join("docs/rewriting.md")).unwrap();
    let example = manual.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let text = format!("recording: r.jsonl\n{}", example.unwrap());
    std::fs::write(folder.path().join("s.yaml"), text).unwrap();
    let ran = peakhour_with(folder.path(), &["plan", "s.yaml"], &SECRETS);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("0 requests of `img.example.com` go to 10.1.2.3:8080"));
    assert!(!ran.words().contains("run will refuse"), "{}", ran.stdout);
}
