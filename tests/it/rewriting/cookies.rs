//! Cookies that the target sets come back to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{App, Asked, ok, record, run};
use crate::servers;

/// A page behind a login: who logs in gets a session, and only its cookie opens the page. Logging
/// out takes the cookie away.
fn shop() -> App {
    let sessions = Mutex::new(BTreeSet::<String>::new());
    App::start(move |asked: &Asked| {
        let mut sessions = sessions.lock().unwrap();
        let cookies = asked.header("Cookie");
        let own = cookies.split("; ").find_map(|one| one.strip_prefix("sid=")).unwrap_or_default();
        let line = asked.line();
        if line == "POST /login" {
            let sid = format!("staging-{}", sessions.len());
            let set = format!("Set-Cookie: sid={sid}; Path=/; HttpOnly; Secure\r\n");
            sessions.insert(sid);
            return ok(&format!("{set}Set-Cookie: away=1; Domain=other.example\r\n"), "in");
        }
        if !sessions.contains(own) {
            return "401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned();
        }
        match line.as_str() {
            "POST /logout" => ok("Set-Cookie: sid=; Max-Age=0; Path=/\r\n", "out"),
            _ => ok("", "page"),
        }
    })
}

/// Users log in, look at two pages on other connections, and log out.
fn recorded(folder: &Path, users: u64) {
    let mut lines: Vec<Value> = Vec::new();
    let step = 40_000_000;
    for user in 0..users {
        let sid = format!("production{user}a1b2");
        let mut add = |position: u64, line: &str, cookie: &str, set: &str| {
            let (method, target) = line.split_once(' ').unwrap();
            let cookie =
                if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
            let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
            let head = format!("{line} HTTP/1.1\r\nHost: shop.example\r\n{cookie}{length}\r\n");
            let connection = user * 2 + position % 2;
            lines.push(json!({
                "at_ns": position * step + user * 3_000_000, "connection": connection,
                // As an import numbers them: by cookies, or else by connection.
                "session": if cookie.is_empty() { 1000 + connection } else { 2000 + user },
                "method": method, "authority": "shop.example", "target": target,
                "request_head": head, "status": 200, "first_byte_ns": 1_000_000,
                "response_head": format!("HTTP/1.1 200 OK\r\n{set}\r\n"),
            }));
        };
        add(0, "POST /login", "", &format!("Set-Cookie: sid={sid}; Path=/\r\n"));
        let own = format!("theme=dark; sid={sid}");
        add(1, "GET /account", &own, "");
        add(2, "GET /orders", &own, "");
        add(3, "POST /logout", &own, "Set-Cookie: sid=; Max-Age=0\r\n");
        add(4, "GET /after", &own, "");
    }
    lines.sort_by_key(|line| line["at_ns"].as_u64());
    record(folder, &lines);
}

#[test]
fn a_page_behind_a_login_is_reached_with_the_cookies_of_the_target() {
    let folder = tempdir().unwrap();
    recorded(folder.path(), 6);
    let app = shop();
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", app.url());
    let (ran, report) =
        run(folder.path(), &format!("{target}rewrite: {{ cookies: follow }}\n"), &[]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    // The page that is asked for after the logout is refused, as it is to a browser.
    assert_eq!(report["statuses"], json!({ "200": 24, "401": 6 }), "{shown}");
    let followed = &report["followed"];
    assert_eq!(followed["cookies_set"], 12, "{followed}");
    assert_eq!(followed["cookies_refused"], 6, "those of another domain: {followed}");
    assert_eq!(followed["cookies_sent"], 18, "{followed}");
    // A terminal has its lines broken; the report has them whole.
    let told = "the target set 12 cookies, and got cookies of its own back 18 times";
    assert!(report["facts"]["warnings"].to_string().contains(told), "{report}");
    let cookies: BTreeSet<String> = app.seen().iter().map(|asked| asked.header("Cookie")).collect();
    // An import has made a pseudonym of the other cookie.
    let theme = cookies.iter().find(|cookie| cookie.len() == 10 && cookie.starts_with("theme="));
    let theme = theme.unwrap_or_else(|| panic!("{cookies:?}")).clone();
    let own = (0..6).map(|user| format!("{theme}; sid=staging-{user}"));
    let all: BTreeSet<String> = own.chain([String::new(), theme.clone()]).collect();
    assert_eq!(cookies, all, "what the target never set stays, what it took away is gone");
    let told = format!("{shown}{report}");
    assert!(!told.contains("staging-0") && !told.contains("production0"), "{told}");

    let app = shop();
    let target = format!("target: {{ url: '{}', allow: [127.0.0.1] }}\n", app.url());
    for rewrite in ["", "rewrite: { cookies: recorded }\n"] {
        let (_, report) = run(folder.path(), &format!("{target}{rewrite}"), &[]);
        assert_eq!(report["statuses"], json!({ "200": 6, "401": 24 }), "only the logins");
        assert_eq!(report["followed"], Value::Null);
    }
}

/// The same with nginx, in HTTP/1 and in HTTP/2, where a cookie may come in several lines.
#[test]
fn a_real_server_gets_its_own_cookie_back_in_both_versions_of_http() {
    for (protocol, listen) in [("http1", ""), ("http2", "http2")] {
        let Some(server) = servers::nginx("", "", |port, folder| {
            format!(
                "log_format seen '$uri $cookie_sid $cookie_theme $status'; map $cookie_sid $in \
                 {{ 'from-nginx' 1; default 0; }}\n\
                 server {{ listen 127.0.0.1:{port} {listen}; access_log {at}/seen.log seen;\n\
                 location /login {{ add_header Set-Cookie 'sid=from-nginx; Path=/';\n\
                 return 200; }}\n\
                 location / {{ if ($in = 0) {{ return 401; }} return 200 'page'; }} }}",
                at = folder.display()
            )
        }) else {
            return;
        };
        let folder = tempdir().unwrap();
        let lines: Vec<Value> = (0..6_u64)
            .map(|index| {
                let line = if index == 0 { "/login".to_owned() } else { format!("/page/{index}") };
                json!({
                    "at_ns": index * 30_000_000, "connection": 0, "session": 7,
                    "protocol": protocol, "method": "GET", "authority": "shop.example",
                    "target": line, "status": 200,
                    "request_head": format!("GET {line} HTTP/1.1\r\nHost: shop.example\r\n\
                        cookie: sid=of-production-1\r\ncookie: theme=dark\r\n\r\n"),
                })
            })
            .collect();
        record(folder.path(), &lines);
        let target =
            format!("target: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}\n", server.port);
        let (ran, report) =
            run(folder.path(), &format!("{target}rewrite: {{ cookies: follow }}\n"), &[]);
        assert_eq!(report["statuses"], json!({ "200": 6 }), "{protocol}: {}", ran.stdout);
        let log = std::fs::read_to_string(server.folder().join("seen.log")).unwrap();
        let pages: Vec<&str> = log.lines().filter(|line| line.starts_with("/page")).collect();
        assert_eq!(pages.len(), 5);
        let is_own = |line: &&str| line.contains(" from-nginx ") && line.ends_with(" 200");
        assert!(pages.iter().all(is_own), "{log}");
        // What nginx never set is there as well.
        assert!(pages.iter().all(|line| line.split(' ').nth(2) != Some("-")), "{log}");
        let (_, report) = run(folder.path(), &target, &[]);
        assert_eq!(report["statuses"], json!({ "200": 1, "401": 5 }), "{protocol}");
    }
}
