//! Bodies of the HTTP target.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::payloads::{finding, run, run_on, sweep};
use crate::rehearsal::alone;
use crate::servers;

const STAGE: &str = "target: { url: stage }\n";

/// The size up to which a bystander waits less than 100 ms, as the finding's title tells it.
fn safe_kib(title: &str) -> f64 {
    let text = title.split("up to ").nth(1).unwrap();
    let (number, rest) = text.split_once(' ').unwrap();
    let factor = if rest.starts_with("MiB") { 1_024.0 } else { 1.0 };
    assert!(rest.starts_with("KiB") || rest.starts_with("MiB"), "{title}");
    number.parse::<f64>().unwrap() * factor
}

#[test]
fn a_stage_that_blocks_fails_with_its_safe_size() {
    let _alone = alone();
    // Far apart, so that each has its sizes: 100 ms are 195, 48.8 and 19.5 KiB.
    for (ns_per_byte, truth) in [(500, 195.3), (2_000, 48.8), (5_000, 19.5)] {
        let folder = tempfile::tempdir().unwrap();
        let scenario = format!(
            "{STAGE}stage: {{ block_per_byte: {ns_per_byte}ns }}\n\
             acts:\n  - payloads: {{ repeats: 8, max: 256KiB, budget: 40s }}\n"
        );
        let (ran, report) = run(folder.path(), 65_536, &scenario);
        let shown = format!("{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, 99, "{shown}");
        let found = finding(&report, "payload-blocking", "request bodies at POST /sync block");
        assert_eq!(found["outcome"], "fail", "{found:#}");
        let safe = safe_kib(found["title"].as_str().unwrap());
        let off = (safe / truth - 1.0).abs();
        println!("{ns_per_byte} ns a byte: safe up to {safe} KiB, planted {truth} KiB");
        assert!(off < 0.15, "{safe} KiB instead of {truth}: {found:#}");
        let evidence = found["evidence"].to_string();
        assert!(evidence.contains("a new connection took"), "{found:#}");
        assert!(evidence.contains("sent up to 64 KiB to /sync"), "{found:#}");
    }
}

#[test]
fn a_healthy_stage_passes() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!("{STAGE}acts:\n  - payloads: {{ repeats: 5, budget: 30s }}\n");
    let (ran, report) = run(folder.path(), 65_536, &scenario);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 0, "{shown}");
    for check in ["payload-blocking", "payload-limit"] {
        let found = finding(&report, check, "request bodies at POST /sync");
        assert_eq!(found["outcome"], "pass", "{found:#}");
    }
    // Every known limit was knocked at: the stage takes them all.
    let attempts = sweep(&report, "http-request")["attempts"].as_array().unwrap();
    let passed = attempts.iter().filter(|attempt| attempt["fate"]["status"] == 200);
    assert!(passed.count() >= 12, "{attempts:#?}");
    let html = std::fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap();
    let html = std::fs::read_to_string(html.path().join("report.html")).unwrap();
    assert!(html.contains("What small requests waited beside request bodies"));
}

#[test]
fn a_body_limit_of_the_stage_below_productions_largest_fails_to_the_byte() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "{STAGE}stage: {{ body_limit: 50001B }}\n\
         acts:\n  - payloads: {{ repeats: 3, budget: 30s }}\n"
    );
    let (ran, report) = run(folder.path(), 65_536, &scenario);
    assert_eq!(ran.code, 99, "{}\n{}", ran.stdout, ran.stderr);
    let boundary = &sweep(&report, "http-request")["boundary"];
    assert_eq!((&boundary["accepted"], &boundary["refused"]), (&50_001.into(), &50_002.into()));
    let found = finding(&report, "payload-limit", "request bodies at POST /sync");
    assert_eq!(found["outcome"], "fail", "{found:#}");
}

#[test]
fn the_body_limit_of_a_real_nginx_is_found_to_the_byte() {
    let _alone = alone();
    for (size, limit, outcome) in [("100003", 100_003, "unknown"), ("40k", 40_960, "fail")] {
        let server = servers::nginx("worker_processes 1;", "", |port, _| {
            format!(
                "client_max_body_size {size}; server {{ listen 127.0.0.1:{port};\n\
                 location / {{ return 200 'small'; }}\n\
                 location /sync {{ proxy_pass http://127.0.0.1:{port}/taken; }} }}"
            )
        });
        let Some(server) = server else { return };
        let folder = tempfile::tempdir().unwrap();
        let scenario = format!(
            "target: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}\n\
             methods: all\nacts:\n  - payloads: {{ repeats: 3, budget: 30s }}\n",
            server.port
        );
        let (ran, report) = run(folder.path(), 65_536, &scenario);
        let shown = format!("{}\n{}", ran.stdout, ran.stderr);
        let boundary = &sweep(&report, "http-request")["boundary"];
        assert_eq!(boundary["accepted"], limit, "{boundary}\n{shown}");
        assert_eq!(boundary["refused"], limit + 1, "{boundary}");
        assert_eq!(boundary["fate"]["status"], 413, "{boundary}");
        let found = finding(&report, "payload-limit", "request bodies at POST /sync");
        assert_eq!(found["outcome"], outcome, "{found:#}");
        // One process with one event loop, and yet nobody is held up.
        let blocking = report["findings"].to_string();
        assert!(!blocking.contains("block the event loop"), "{blocking}");
    }
}

/// A server with a thread for each connection that spends 2 µs on each byte of a body, or of the
/// answer to `/report/BYTES`. With `one_at_a_time`, whoever is served keeps the others waiting, as
/// an event loop does.
fn threads(one_at_a_time: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let turn = Arc::new(Mutex::new(()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let turn = one_at_a_time.then(|| Arc::clone(&turn));
            thread::spawn(move || serve(stream, turn.as_deref()));
        }
    });
    port
}

fn serve(mut stream: TcpStream, turn: Option<&Mutex<()>>) {
    let mut seen = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        let head = seen.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if seen.len() >= head + length {
                let report = text.strip_prefix("get /report/").and_then(|text| {
                    text.split(' ').next().unwrap_or_default().parse::<usize>().ok()
                });
                let answer = answer(length, report.unwrap_or(2), turn);
                if stream.write_all(&answer).is_err() {
                    return;
                }
                seen.drain(..head + length);
                continue;
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
}

fn answer(body: usize, bytes: usize, turn: Option<&Mutex<()>>) -> Vec<u8> {
    let turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
    let work = Duration::from_micros(2 * (body + bytes) as u64);
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(work);
    drop(turn);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; bytes]].concat()
}

#[test]
fn a_server_of_threads_is_not_said_to_block() {
    let _alone = alone();
    let port = threads(false);
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "target: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}\nmethods: [GET, POST]\n\
         acts:\n  - payloads: {{ repeats: 6, max: 1MiB, budget: 30s }}\n"
    );
    let (ran, report) = run(folder.path(), 65_536, &scenario);
    let found = finding(&report, "payload-blocking", "request bodies at POST /sync");
    assert_eq!(found["outcome"], "pass", "{found:#}\n{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 0);
}

#[test]
fn large_responses_of_one_server_block_and_of_its_twin_do_not() {
    let _alone = alone();
    let reports = [20, 4_096, 16_384, 65_536, 131_072].map(|bytes| {
        format!(r#"{{"at_ns":{bytes},"connection":1,"method":"GET","authority":"shop.example","#)
            + &format!(r#""target":"/report/{bytes}","status":200,"#)
            + &format!(r#""response_body_bytes":{bytes}}}"#)
    });
    for (one_at_a_time, outcome) in [(true, "fail"), (false, "pass")] {
        let port = threads(one_at_a_time);
        let folder = tempfile::tempdir().unwrap();
        let scenario = format!(
            "target: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}\n\
             acts:\n  - payloads: {{ repeats: 6, budget: 30s }}\n"
        );
        let (ran, report) = run_on(folder.path(), &reports.join("\n"), &scenario);
        let shown = format!("{}\n{}", ran.stdout, ran.stderr);
        let found = finding(&report, "payload-blocking", "responses at GET /report/");
        assert_eq!(found["outcome"], outcome, "{found:#}\n{shown}");
        // Nothing was recorded that could be sent.
        let found = finding(&report, "payload-blocking", "request bodies at target");
        assert_eq!(found["outcome"], "unknown", "{found:#}");
    }
}

#[test]
fn nothing_is_posted_where_the_scenario_does_not_allow_it() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "target: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}\n\
         acts:\n  - payloads\n"
    );
    let (ran, report) = run(folder.path(), 65_536, &scenario);
    assert_eq!(ran.code, 98, "{}\n{}", ran.stdout, ran.stderr);
    for check in ["payload-blocking", "payload-limit"] {
        let found = finding(&report, check, "request bodies at POST /sync");
        assert_eq!(found["outcome"], "unknown", "{found:#}");
        assert!(found["title"].as_str().unwrap().contains("do not allow POST"), "{found:#}");
    }
    // The run looks whether the target is there, and says nothing.
    listener.set_nonblocking(true).unwrap();
    for mut stream in std::iter::from_fn(|| listener.accept().ok()).map(|(stream, _)| stream) {
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0);
    }
}

#[test]
fn a_path_that_takes_no_bodies_is_unknown() {
    let _alone = alone();
    let server = servers::nginx("", "", |port: u16, _: &Path| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ return 404; }} }}")
    });
    let Some(server) = server else { return };
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "target: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}\nmethods: all\n\
         acts:\n  - payloads: {{ repeats: 3, http: [/nowhere], max: 100kB, budget: 20s }}\n",
        server.port
    );
    let (ran, report) = run(folder.path(), 65_536, &scenario);
    let found = finding(&report, "payload-blocking", "request bodies at POST /nowhere");
    assert_eq!(found["outcome"], "unknown", "{found:#}\n{}\n{}", ran.stdout, ran.stderr);
    assert!(found["title"].as_str().unwrap().contains("answered 404"), "{found:#}");
}
