//! Values of the target's answers take the place of production's.

use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{App, Asked, ok, record, run};
use crate::support::peakhour;

/// A shop that gives each visitor a token in a header, wants it back with every order, and then
/// gives the order a number of its own, under which alone it is found.
fn shop() -> App {
    let given = Mutex::new(0);
    App::start(move |asked: &Asked| {
        let mut given = given.lock().unwrap();
        let token = |number: u32| format!("St4ging-T0ken-{number}");
        let line = asked.line();
        let is_known = |text: &str| (1..=*given).any(|number| text == token(number));
        match line.split(['?', ' ']).nth(1).unwrap() {
            "/start" => {
                *given += 1;
                ok(&format!("X-CSRF-Token: {}\r\n", token(*given)), "start")
            }
            "/order" => {
                let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
                let is_right = is_known(&asked.header("X-CSRF-Token"))
                    && is_known(body["csrf"].as_str().unwrap_or_default())
                    && line.split_once("?token=").is_some_and(|(_, token)| is_known(token));
                if !is_right {
                    return "403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned();
                }
                "302 Found\r\nLocation: /orders/st4ging77c9/paid?ok=1\r\nContent-Length: 0\r\n\r\n"
                    .to_owned()
            }
            "/orders/st4ging77c9/paid" => ok("", "paid"),
            _ => "404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        }
    })
}

fn talk(user: u64, position: u64, line: &str, parts: [&str; 3]) -> Value {
    let [headers, body, answer] = parts;
    let (method, target) = line.split_once(' ').unwrap();
    let length = if method == "POST" {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    } else {
        String::new()
    };
    json!({
        "at_ns": position * 60_000_000 + user * 3_000_000, "connection": user, "session": user + 50,
        "method": method, "authority": "shop.example", "target": target, "request_body": body,
        "request_head": format!("{line} HTTP/1.1\r\nHost: shop.example\r\n{headers}{length}\r\n"),
        "status": if method == "POST" { 302 } else { 200 }, "first_byte_ns": 1_000_000,
        "response_head": format!("HTTP/1.1 200 OK\r\n{answer}\r\n"),
    })
}

/// Each user's token of production is shorter than those of the target, so that lengths change.
fn recorded(folder: &Path, users: u64) {
    let mut lines: Vec<Value> = Vec::new();
    for user in 0..users {
        let token = format!("pr0d-{user}x9");
        let given = format!("X-CSRF-Token: {token}\r\nDate: Thu, 26 Nov 2026 00:00:00 GMT\r\n");
        lines.push(talk(user, 0, "GET /start", ["", "", &given]));
        lines.push(talk(
            user,
            1,
            &format!("POST /order?token={token}"),
            [
                &format!("X-CSRF-Token: {token}\r\n"),
                &format!(r#"{{"item":1,"csrf":"{token}"}}"#),
                &format!("Location: https://shop.example/orders/pr0d{user}77e1f/paid?ok=1\r\n"),
            ],
        ));
        lines.push(talk(user, 2, &format!("GET /orders/pr0d{user}77e1f/paid"), ["", "", ""]));
    }
    lines.sort_by_key(|line| line["at_ns"].as_u64());
    record(folder, &lines);
}

#[test]
fn what_came_back_to_production_is_taken_from_the_target() {
    let folder = tempdir().unwrap();
    recorded(folder.path(), 5);
    let app = shop();
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", app.url());
    let (ran, report) = run(folder.path(), &format!("{target}rewrite: {{ tokens: learn }}\n"), &[]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(report["statuses"], json!({ "200": 10, "302": 5 }), "{shown}");
    let followed = &report["followed"];
    assert_eq!(followed["tokens_taken"], 10, "{followed}");
    assert_eq!(followed["tokens_put"], 20, "{followed}");
    assert_eq!(followed["tokens_missing"], 0, "{followed}");
    assert!(shown.contains("10 values that production gave came back in 10 requests"), "{shown}");
    for asked in app.seen().iter().filter(|asked| asked.line().starts_with("POST")) {
        let length = asked.body.len().to_string();
        assert_eq!(asked.header("Content-Length"), length, "{asked:?}");
        assert!(asked.body.ends_with("\"}"), "{asked:?}");
    }
    let told = format!("{shown}{report}");
    assert!(!told.contains("St4ging") && !told.contains("pr0d-"), "{told}");

    let app = shop();
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", app.url());
    for rewrite in ["", "rewrite: { tokens: off }\n"] {
        let (_, report) = run(folder.path(), &format!("{target}{rewrite}"), &[]);
        assert_eq!(report["statuses"], json!({ "200": 5, "403": 5, "404": 5 }));
    }

    // What the target does not give is missed, and counted.
    let silent = App::start(|_| ok("", ""));
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", silent.url());
    let (ran, report) = run(folder.path(), &format!("{target}rewrite: {{ tokens: learn }}\n"), &[]);
    assert_eq!(report["followed"]["tokens_missing"], 20, "{}", ran.stdout);
    assert!(ran.words().contains("20 values went out as recorded"), "{}", ran.stdout);
}

/// Pseudonyms are of the value and the key, wherever the value stands.
#[test]
fn a_redacted_recording_is_learned_from_as_well() {
    let folder = tempdir().unwrap();
    recorded(folder.path(), 3);
    let imported = peakhour(folder.path(), &["import", "r.jsonl", "-o", "redacted.parquet"]);
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let app = shop();
    let text = format!(
        "recording: redacted.parquet\ntolerance: ci\nmethods: all\ntarget: {{ url: '{}', allow: \
         [127.0.0.1] }}\nrewrite: {{ tokens: learn }}\n",
        app.url()
    );
    std::fs::write(folder.path().join("s.yaml"), text).unwrap();
    let ran = peakhour(folder.path(), &["run", "s.yaml", "--out", "json=a.json"]);
    let report = std::fs::read_to_string(folder.path().join("a.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let shown = format!("{:?}", app.seen());
    assert!(!shown.contains("pr0d-"), "{shown}");
    assert_eq!(report["statuses"], json!({ "200": 6, "302": 3 }), "{}", ran.stdout);
}

/// A form whose token stands in the page, and an API whose answer names the next page.
fn forms() -> App {
    let count = Mutex::new(0);
    App::start(move |asked: &Asked| {
        let mut count = count.lock().unwrap();
        let line = asked.line();
        match line.split(['?', ' ']).nth(1).unwrap() {
            "/form" => {
                *count += 1;
                let page = format!("<input name=\"csrf\" value=\"fresh&{count}\">");
                ok(&format!("X-Cursor: c{count}\r\nContent-Type: text/html\r\n"), &page)
            }
            "/send" => {
                let is_right = (1..=*count).any(|number| {
                    asked.body == format!("a=1&csrf=fresh%26{number}")
                        && line.ends_with(&format!("cursor=c{number}"))
                });
                if is_right { ok("", "sent") } else { "403 No\r\nContent-Length: 0\r\n\r\n".into() }
            }
            _ => ok("", "<input name=\"csrf\" value=\"of-another-page\">"),
        }
    })
}

#[test]
fn a_token_that_is_said_is_taken_from_a_page_and_put_into_a_form() {
    let folder = tempdir().unwrap();
    let mut lines = Vec::new();
    for user in 0..4_u64 {
        lines.push(talk(user, 0, "GET /form", ["", "", ""]));
        lines.push(talk(user, 1, "GET /other", ["", "", ""]));
        let mut send = talk(user, 2, "POST /send?cursor=old", ["", "a=1&csrf=stale", ""]);
        let head = send["request_head"].as_str().unwrap();
        let form = head.replace("application/json", "application/x-www-form-urlencoded");
        send["request_head"] = json!(form);
        send["status"] = json!(200);
        lines.push(send);
    }
    lines.sort_by_key(|line| line["at_ns"].as_u64());
    record(folder.path(), &lines);
    let rules = "rewrite:
  tokens:
    - name: csrf
      from: body
      path: ^/form
      pattern: 'name=\"csrf\" value=\"([^\"]+)\"'
      to: [form csrf, header X-None]
    - { name: next, from: header X-Cursor, to: query cursor }
";
    let app = forms();
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", app.url());
    let (ran, report) = run(folder.path(), &format!("{target}{rules}"), &[]);
    assert_eq!(report["statuses"], json!({ "200": 12 }), "{}\n{:?}", ran.stdout, app.seen());
    assert_eq!(report["followed"]["tokens_taken"], 8, "{}", report["followed"]);
    assert_eq!(report["followed"]["tokens_put"], 8, "{}", report["followed"]);
    let (_, report) = run(folder.path(), &target, &[]);
    assert_eq!(report["statuses"], json!({ "200": 8, "403": 4 }));
    // Every page is looked at where no path is said, and the last one counts.
    let (_, report) =
        run(folder.path(), &format!("{target}{}", rules.replace("path: ^/form", "path: /")), &[]);
    assert_eq!(report["statuses"], json!({ "200": 8, "403": 4 }));
}
