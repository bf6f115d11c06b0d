//! Load without a recording, against a real nginx and against a server that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;

use crate::nginx;
use crate::support::{Ran, peakhour, peakhour_with};

/// The saved report of the only run below a folder.
fn saved(folder: &Path) -> Value {
    let runs: Vec<_> = fs::read_dir(folder.join("reports")).unwrap().flatten().collect();
    assert_eq!(runs.len(), 1);
    serde_json::from_str(&fs::read_to_string(runs[0].path().join("run.json")).unwrap()).unwrap()
}

/// The page of the same run, without its scripts.
fn page(folder: &Path) -> String {
    let run = fs::read_dir(folder.join("reports")).unwrap().flatten().next().unwrap().path();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let mut rest = page.split("<script");
    let first = rest.next().unwrap_or_default().to_owned();
    rest.filter_map(|part| part.split_once("</script>")).fold(first, |all, part| all + part.1)
}

/// Requests that nginx logged, by connection.
fn seen(folder: &Path, request: &str) -> BTreeMap<String, usize> {
    let log = fs::read_to_string(folder.join("access.log")).unwrap_or_default();
    let mut seen = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(request)) {
        let connection = line.split(' ').next().unwrap_or_default();
        *seen.entry(connection.to_owned()).or_default() += 1;
    }
    seen
}

/// Runs with options in a line, against `{}`.
fn run(folder: &Path, port: u16, path: &str, options: &str) -> Ran {
    let url = format!("http://127.0.0.1:{port}{path}");
    let options = options.split_whitespace();
    let arguments: Vec<&str> = ["run", "--url", &url].into_iter().chain(options).collect();
    peakhour(folder, &arguments)
}

/// A busy machine may be late, or its nginx may be, which changes the verdict and no request.
fn assert_carried_out(ran: &Ran) {
    assert!(matches!(ran.code, 0 | 98 | 99), "{}: {}\n{}", ran.code, ran.stdout, ran.stderr);
}

#[test]
fn nginx_sees_every_request_on_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = nginx::start(folder.path()) else { return };
    let ran = run(folder.path(), port, "/item/4711?a=b", "--rate 100 -d 2s -c 7 --tolerance ci");
    drop(server);
    assert_carried_out(&ran);
    let mut on_each: Vec<usize> =
        seen(folder.path(), "GET /item/4711?a=b HTTP/1.1").into_values().collect();
    on_each.sort_unstable();
    assert_eq!(on_each, [28, 28, 28, 29, 29, 29, 29], "{}", ran.stdout);
    let report = saved(folder.path());
    assert_eq!(report["totals"]["planned"], 200);
    assert_eq!(report["totals"]["answered"], 200);
    assert_eq!(report["facts"]["duration_ns"], 1_990_000_000_u64);
    assert_eq!(report["load"]["pace"], "constant");
    assert_eq!(report["routes"][0]["route"], "GET /item/*");
    // What never was recorded is nowhere claimed, and the query is in no report.
    let page = page(folder.path());
    let said = ran.words();
    for text in [&said, &page] {
        assert!(text.contains("100/s for 2 s, 7 connections"), "{text}");
        assert!(!text.to_lowercase().contains("recorded"), "{text}");
        assert!(!text.contains("in production") && !text.contains("a=b"), "{text}");
    }
    assert!(!page.contains("id=\"recording\"") && page.contains("Planned and sent rate"));
}

#[test]
fn stages_send_what_lies_below_their_rates() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = nginx::start(folder.path()) else { return };
    // 100 in the ramp from 50/s to 150/s, and 10 in the second after the step.
    let stages = "--rate 50 --stage 1s:3x --stage 0s:10 --stage 1s:10 -c 3";
    let ran = run(folder.path(), port, "/ramp", stages);
    drop(server);
    assert_carried_out(&ran);
    let counts = seen(folder.path(), "GET /ramp HTTP/1.1");
    assert_eq!((counts.len(), counts.values().sum::<usize>()), (3, 110), "{}", ran.stdout);
    let due: Vec<u64> = saved(folder.path())["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|second| second["due"].as_u64().unwrap())
        .collect();
    assert_eq!(due[..2], [100, 10], "{due:?}");
}

#[test]
fn a_poisson_load_is_the_same_for_the_same_seed() {
    let run_with = |seed: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (server, port) = nginx::start(folder.path())?;
        let options = format!("--rate 200 -d 1s -c 5 --arrivals poisson --seed {seed}");
        let ran = run(folder.path(), port, "/p", &options);
        drop(server);
        assert_carried_out(&ran);
        let report = saved(folder.path());
        let planned = report["totals"]["planned"].as_u64().unwrap();
        let sum: usize = seen(folder.path(), "GET /p ").values().sum();
        assert_eq!(planned, sum as u64, "{}", ran.stdout);
        Some((planned, report["series"][0]["due"].clone()))
    };
    let Some(first) = run_with("7") else { return };
    assert_eq!(Some(&first), run_with("7").as_ref());
    assert_ne!(Some(&first), run_with("8").as_ref(), "another seed, another load");
}

#[test]
fn a_closed_load_keeps_its_connections_and_claims_no_shape() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = nginx::start(folder.path()) else { return };
    let ran = run(folder.path(), port, "/c", "--pace closed -d 1s -c 12 --expect errors<1%");
    drop(server);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let counts = seen(folder.path(), "GET /c HTTP/1.1");
    let report = saved(folder.path());
    let totals = &report["totals"];
    assert_eq!(counts.len(), 12, "{}", ran.stdout);
    assert_eq!(totals["answered"], counts.values().sum::<usize>() as u64);
    assert_eq!(totals["planned"], totals["answered"], "as many samples as arrivals");
    assert_eq!(report["shape"], Value::Null);
    assert_eq!(report["load"]["pace"], "closed");
    assert!(ran.stdout.contains("PASS  closed: 12 connections gave "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("Load shape") && !ran.stdout.contains("lateness"));
    assert!(!page(folder.path()).to_lowercase().contains("recorded"));
}

/// A server that knows how many requests it holds. It answers none before it holds `wanted`.
#[derive(Default)]
struct Counting {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    now: usize,
    most: usize,
    connections: usize,
    first: Vec<u8>,
}

impl Counting {
    fn start(wanted: usize) -> (Arc<Self>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::<Self>::default();
        let serving = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&serving);
                thread::spawn(move || server.serve(stream, wanted));
            }
        });
        (server, port)
    }

    fn serve(&self, mut stream: TcpStream, wanted: usize) {
        let (mut buffer, mut is_new) = ([0; 4096], true);
        // Requests are small, and come one at a time.
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let mut held = self.held.lock().unwrap();
            held.connections += usize::from(std::mem::take(&mut is_new));
            held.now += 1;
            held.most = held.most.max(held.now);
            if held.first.is_empty() {
                held.first.extend_from_slice(&buffer[..count]);
            }
            self.changed.notify_all();
            held = self.changed.wait_while(held, |held| held.most < wanted).unwrap();
            held.now -= 1;
            drop(held);
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_closed_load_holds_as_many_requests_in_flight_as_it_has_connections() {
    let folder = tempfile::tempdir().unwrap();
    let (server, port) = Counting::start(8);
    let ran = run(folder.path(), port, "/", "--pace closed -d 300ms -c 8");
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let held = server.held.lock().unwrap();
    assert_eq!((held.most, held.connections), (8, 8), "{}", ran.stdout);
}

#[test]
fn the_request_is_the_one_that_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let (server, port) = Counting::start(1);
    let url = format!("http://127.0.0.1:{port}/cart?x=1#part");
    let typed = ["run", "-X", "post", "--body", "a=1", "-H", "Authorization: Bearer ${SECRET}"];
    let environment = [
        ("PEAKHOUR_URL", url.as_str()),
        ("PEAKHOUR_RATE", "100"),
        ("PEAKHOUR_DURATION", "50ms"),
        ("PEAKHOUR_CONNECTIONS", "1"),
        ("SECRET", "s3cret"),
    ];
    let ran = peakhour_with(folder.path(), &typed, &environment);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    let first = String::from_utf8(server.held.lock().unwrap().first.clone()).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "POST /cart?x=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: peakhour/{version}\r\n\
         Authorization: Bearer s3cret\r\nContent-Length: 3\r\n\r\na=1"
    );
    assert_eq!(first, expected, "{shown}");
    assert_eq!(saved(folder.path())["totals"]["planned"], 5);
    let told = saved(folder.path()).to_string() + &page(folder.path()) + &shown;
    assert!(!told.contains("s3cret") && !told.contains("a=1"), "no secret reaches a report");
}

/// A path that is not there is said, though it is no error of the target.
#[test]
fn answers_that_decline_are_pointed_out() {
    for (status, is_said) in [("404 Not Found", true), ("204 No Content", false)] {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0)
                    && stream.write_all(answer.as_bytes()).is_ok()
                {}
            }
        });
        let ran = run(folder.path(), port, "/nowhere", "--rate 50 -d 200ms -c 1");
        assert_carried_out(&ran);
        assert_eq!(ran.words().contains("10 answers were of class 4xx"), is_said, "{}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let url = "run --url http://127.0.0.1:9/";
    for (typed, told) in [
        ("run", "<SCENARIO>"),
        ("run --url http://192.0.2.1/ --rate 5", "add `--allow 192.0.2.1`"),
        ("run --url http://staging.example/ --rate 5 --allow other.example", "--allow staging"),
        ("run --url https://127.0.0.1:9/ --rate 5 --cacert no.pem", "no.pem: cannot be read"),
        ("run --url https://127.0.0.1:9/ --rate 5 --cert no.pem", "--key <FILE>"),
        ("run --url http://127.0.0.1:9/ --rate 5 -k", "are for https:// URLs"),
        ("run --url stage --rate 5", "peakhour stage"),
        ("run --url http://127.0.0.1:9/ --rate 5", "start it, or correct --url"),
        ("run s.yaml --rate 5", "without a scenario"),
        ("run s.yaml --url http://127.0.0.1:9/", "cannot be used with"),
        (url, "add --rate 1000"),
        ("run --url http://127.0.0.1:9/ --pace closed --rate 5", "leave --rate out"),
        ("run --url http://127.0.0.1:9/ --rate 5 --speed 2", "cannot be used with"),
        ("run --url http://127.0.0.1:9/ --rate 5 -d 10", "has no unit"),
        ("run --url http://127.0.0.1:9/ --rate 0", "sends nothing"),
        ("run --url http://127.0.0.1:9/ --rate -5", "does not begin with a number"),
        ("run --url http://127.0.0.1:9/ --rate 5 --tolerance lax", "strict"),
        ("run --url http://127.0.0.1:9/ --rate 60000", "--max-rate 60000"),
        ("run --url http://127.0.0.1:9/ --rate 5 -c 20001", "--max-connections 20001"),
        ("run --url http://127.0.0.1:9/ --rate 5 --stage 2x", "such as `30s:2x`"),
        ("run --url http://127.0.0.1:9/ --rate 5 --stage 0s:2x", "`30s:1x`"),
        ("run --url http://127.0.0.1:9/ --rate 5 --body x", "--method"),
        ("run --url http://127.0.0.1:9/ --rate 5 -H Host:x", "cannot be set"),
    ] {
        let arguments: Vec<&str> = typed.split(' ').collect();
        let ran = peakhour(folder.path(), &arguments);
        assert_eq!(ran.code, 104, "{typed}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{typed}: {}", ran.stderr);
    }
    let left: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .collect::<Vec<_>>()
        .into_iter()
        .map(|entry| entry.file_name())
        .collect();
    assert!(left.is_empty(), "a refused load leaves nothing behind: {left:?}");
}

/// Two waves of a second between 50/s and 150/s are as many requests as two seconds of 100/s.
#[test]
fn a_wave_sends_what_lies_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = nginx::start(folder.path()) else { return };
    let ran = run(folder.path(), port, "/wave", "--rate 50 --wave 1s:3x -d 2s -c 3");
    drop(server);
    assert_carried_out(&ran);
    let sum: usize = seen(folder.path(), "GET /wave HTTP/1.1").values().sum();
    assert_eq!(sum, 200, "{}", ran.stdout);
    assert!(ran.words().contains("between 50/s and 150/s for 2 s"), "{}", ran.stdout);
}
