//! Healthy twins: a real client, a recording of it, and a second server that counts.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpStream;

use super::{Hand, counted, line, replay, run, scenario, url};
use crate::record::{Proxy, end, start};
use crate::servers;

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// A talk through the recording proxy, replayed with all that may be replayed.
#[test]
fn what_real_clients_said_is_said_again() {
    let (Some(first), Some(second)) = (servers::redis(&[]), servers::redis(&[])) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (child, port): (Proxy, u16) = start(folder.path(), first.port, &["--grace", "1s"]);
    let mut one = Hand::new(port);
    one.say(&["SELECT 2", "SET user:1 v", "GET user:1"]);
    let pipelined: Vec<String> = (0..100).map(|number| format!("GET user:{number}")).collect();
    one.say(&pipelined.iter().map(String::as_str).collect::<Vec<_>>());
    let mut two = Hand::new(port);
    two.ask(&["HELLO 3 SETNAME app", "MULTI", "INCR n", "INCR n", "EXEC"]);
    two.ask(&["LPUSH user:1 x", "HGETALL hash", "FLUSHALL", "CONFIG SET maxmemory 0"]);
    two.ask(&["BLPOP list 1"]);
    drop((one, two));
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");

    scenario(folder.path(), "live.parquet", &url(&second), "methods: all\n");
    let (report, ran) = run(folder.path());
    let expected = [
        ("select", 1),
        ("set", 1),
        ("get", 101),
        ("hello", 1),
        ("multi", 1),
        ("incr", 2),
        ("exec", 1),
        ("lpush", 1),
        ("hgetall", 1),
    ];
    assert_eq!(counted(&second), counts(&expected), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(report["totals"]["connections_opened"], 2);
    assert_eq!(report["fates"]["answered"], 110);
    assert_eq!(report["facts"]["skipped"]["command that harms a server, not listed by name"], 2);
    assert_eq!(report["facts"]["skipped"]["command that waits for others, not listed by name"], 1);
    assert_eq!(report["replies"]["reply"], 110, "{report}");
    assert!(report["statuses"].as_object().unwrap().is_empty());
    assert!(ran.stdout.contains("replies") && !ran.stdout.contains("statuses"), "{}", ran.stdout);
    let mut second = Hand::new(second.port);
    second.say(&["SELECT 2"]);
    assert_eq!(second.text("GET user:1"), "v", "the recorded database is chosen");
}

#[test]
fn by_default_only_what_reads_is_sent() {
    let Some(server) = servers::redis(&[]) else { return };
    let lines =
        ["GET a", "SET a b", "DEL a", "TTL a", "FLUSHALL", "NOSUCH x", "AUTH me", "SELECT 1"];
    let lines: Vec<String> =
        (0..).zip(lines).map(|(at, words)| line(at, 0, words, false)).collect();
    let (report, _) = replay(&lines, &format!("{}/3", url(&server)), "");
    assert_eq!(counted(&server), counts(&[("select", 1), ("get", 1), ("ttl", 1)]));
    let skipped = &report["facts"]["skipped"];
    assert_eq!(skipped["method not allowed by the scenario"], 3);
    assert_eq!(skipped["SELECT: the target's URL names the database"], 1);
    assert_eq!(skipped["recorded login: the target has its own"], 1);
    let (_, ran) = replay(&lines, &url(&server), "methods: [FLUSHALL, SET]\n");
    let expected = [("select", 2), ("get", 1), ("ttl", 1), ("flushall", 1), ("set", 1)];
    assert_eq!(counted(&server), counts(&expected), "{}", ran.stdout);
}

/// What is pipelined goes out at once, and nothing else does. The server answers a command only
/// when `EXPECT` of them have come: a driver that waits would never get there.
#[test]
fn pipelines_are_as_deep_as_recorded() {
    let depth = |lines: Vec<String>, more: &str| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            drop(stream.set_read_timeout(Some(std::time::Duration::from_millis(700))));
            // The first connection is the look whether anybody is there.
            if stream.read(&mut [0]).unwrap_or(0) == 0 {
                stream = listener.accept().unwrap().0;
                drop(stream.set_read_timeout(Some(std::time::Duration::from_millis(700))));
            }
            let mut buffer = vec![0; 1 << 20];
            let mut all = Vec::new();
            while let Ok(count @ 1..) = TcpStream::read(&mut stream, &mut buffer) {
                all.extend_from_slice(&buffer[..count]);
            }
            String::from_utf8(all).unwrap().matches("GET").count()
        });
        let limits = "limits: { grace: 2s, response_timeout: 2s }\n";
        replay(&lines, &format!("redis://127.0.0.1:{port}"), &format!("{limits}{more}"));
        seen.join().unwrap()
    };
    let lines = |is_pipelined: fn(u64) -> bool| -> Vec<String> {
        (0..16).map(|n| line(0, 0, &format!("GET k:{n}"), is_pipelined(n))).collect()
    };
    assert_eq!(depth(lines(|n| n > 0), ""), 16);
    assert_eq!(depth(lines(|n| n > 0 && n < 5), ""), 5);
    assert_eq!(depth(lines(|_| false), ""), 1);
}

/// Order and connections, told by the server itself.
#[test]
fn order_and_connections_are_those_of_the_recording() {
    let Some(server) = servers::redis(&[]) else { return };
    let mut monitor = Hand::new(server.port);
    monitor.say(&["MONITOR"]);
    let lines: Vec<String> = (0..300_u64)
        .map(|n| line(n / 10, n % 7, &format!("GET {}:{}", n % 7, n / 7), n % 3 == 0))
        .collect();
    let (report, _) = replay(&lines, &url(&server), "");
    assert_eq!(report["totals"]["connections_opened"], 7);
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < 300 {
        let said = format!("{:?}", monitor.hear());
        let Some((front, rest)) = said.split_once("] ") else { continue };
        let key = rest.split('"').nth(3).map(|key| key.trim_end_matches('\\').to_owned());
        let (Some(key), true) = (key, rest.contains("GET")) else { continue };
        seen.entry(front.rsplit(' ').next().unwrap().to_owned()).or_default().push(key);
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    for keys in seen.values() {
        let connection = keys[0].split(':').next().unwrap();
        let wanted: Vec<String> = (0..keys.len()).map(|n| format!("{connection}:{n}")).collect();
        assert_eq!(*keys, wanted);
    }
}

#[test]
fn the_login_is_the_targets_own() {
    let Some(server) = servers::redis(&[]) else { return };
    Hand::new(server.port).say(&["CONFIG SET requirepass s3cret-pass", "CONFIG RESETSTAT"]);
    let lines = ["AUTH production", "HELLO 3 AUTH default production", "GET a", "GET b"];
    let lines: Vec<String> =
        (0..).zip(lines).map(|(at, words)| line(at, 0, words, false)).collect();
    let with = |user: &str| format!("redis://{user}@127.0.0.1:{}/1", server.port);
    let (report, _) = replay(&lines, &with("default:${REDIS_PASSWORD}"), "");
    assert_eq!(report["fates"]["answered"], 3, "{report}");
    let mut hand = Hand::new(server.port);
    hand.say(&["AUTH s3cret-pass"]);
    let expected = [("config|resetstat", 1), ("auth", 2), ("hello", 1), ("select", 1), ("get", 2)];
    assert_eq!(super::counted_by(&mut hand), counts(&expected));
    // Without a password each command is declined.
    let (report, _) = replay(&lines, &url(&server), "");
    assert_eq!(report["fates"]["declined: no login"], 3, "{report}");
    // A wrong one is tried once a connection.
    let (report, _) = replay(&lines, &with(":wrong"), "");
    assert_eq!(report["fates"]["declined: login refused"], 3, "{report}");
    assert_eq!(super::counted_by(&mut hand)["auth"], 3);
    assert_eq!(report["totals"]["errors"], 3);
}

/// A recording that was made from this very server is refused, and so is one that is not allowed.
#[test]
fn a_recorded_server_is_no_target() {
    let Some(server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (child, port): (Proxy, u16) = start(folder.path(), server.port, &["--grace", "1s"]);
    Hand::new(port).say(&["GET a"]);
    end(child);
    for (url, allow) in [(url(&server), "127.0.0.1"), (url(&server), "10.1.2.3")] {
        let text =
            format!("recording: live.parquet\ntarget: {{ url: '{url}', allow: ['{allow}'] }}\n");
        fs::write(folder.path().join("s.yaml"), text).unwrap();
        let ran = crate::support::peakhour(folder.path(), &["run", "s.yaml"]);
        assert_eq!(ran.code, 104, "{}\n{}", ran.stdout, ran.stderr);
        let reason = if allow == "127.0.0.1" { "is refused" } else { "is not allowed" };
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }
    assert_eq!(counted(&server), counts(&[("get", 1)]), "only the recorded client");
}
