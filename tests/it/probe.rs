//! Probes of real servers: what they see, and what is said of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use peakhour::drive::clock::Epoch;
use peakhour::probe::record::Record;
use peakhour::probe::start;
use peakhour::recording::Servers;
use peakhour::scenario::parse::from_text;
use peakhour::verdict::watch::judge;

use crate::servers::{free_port, mariadb, memcached, pause, postgres, redis};

/// Watches what a line of `watch` says while something happens.
pub(crate) fn watched(line: &str, meanwhile: impl FnOnce()) -> Record {
    let text = format!("recording: a.parquet\ntarget: {{ url: stage }}\nwatch:\n  probe: {line}\n");
    let watch = from_text(&text, "s.yaml").unwrap().watch;
    let watching = start(&watch, &Servers::default(), Epoch::after(Duration::ZERO));
    meanwhile();
    // Three looks more, so that what happened is seen.
    let seen = |record: &Record| record.polls + record.failures;
    let before = watching.snapshot()[0].clone();
    for _ in 0..500 {
        let record = watching.snapshot()[0].clone();
        if record.gaps.iter().any(|gap| gap.to_ns.is_none()) || seen(&record) > seen(&before) + 2 {
            break;
        }
        pause();
    }
    watching.finish().remove(0)
}

pub(crate) fn url(url: &str) -> String {
    format!("{{ url: '{url}', every: 100ms }}")
}

pub(crate) fn title(record: &Record) -> String {
    let found = judge(std::slice::from_ref(record), &[]).remove(0);
    format!("{} {:?}: {}", found.check, found.outcome, found.title)
}

#[test]
fn connections_near_the_limit_of_redis_are_found_and_few_are_fine() {
    let Some(server) = redis(&["--maxclients", "20"]) else { return };
    let at = url(&format!("redis://127.0.0.1:{}", server.port));
    assert!(title(&watched(&at, || ())).starts_with("watch Pass"));
    let mut held = Vec::new();
    let record = watched(&at, || {
        held.extend((0..17).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()));
    });
    assert!(
        title(&record).starts_with("watch-limit Fail: probe: connected_clients reached 18 of 20")
    );
}

#[test]
fn rejected_connections_are_counted_by_a_probe_that_was_there_first() {
    let Some(server) = redis(&["--maxclients", "5"]) else { return };
    let at = url(&format!("redis://127.0.0.1:{}", server.port));
    let mut held = Vec::new();
    let record = watched(&at, || {
        held.extend((0..9).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()));
    });
    let found = judge(std::slice::from_ref(&record), &[]);
    assert!(
        found.iter().any(|each| each.title.contains("rejected_connections grew by")),
        "{found:?}"
    );
}

#[test]
fn the_limits_of_mariadb_postgresql_and_memcached_are_read() {
    if let Some(server) = mariadb(&["--max-connections=33"]) {
        let record = watched(&url(&format!("mysql://root@127.0.0.1:{}", server.port)), || ());
        assert_eq!(record.metric("Threads_connected").unwrap().limit, Some(33.0), "{record:?}");
        assert!(record.metric("Questions").unwrap().points.len() > 1);
    }
    if let Some(server) = postgres(&["max_connections=23"]) {
        let record = watched(&url(&format!("postgres://127.0.0.1:{}", server.port)), || ());
        let limit = record.metric("connections").map(|series| series.limit);
        assert_eq!(limit, Some(Some(20.0)), "{record:?}");
    }
    if let Some(server) = memcached(&["-c", "77"]) {
        let record = watched(&url(&format!("memcached://127.0.0.1:{}", server.port)), || ());
        assert_eq!(record.metric("curr_connections").unwrap().limit, Some(77.0), "{record:?}");
    }
}

#[test]
fn what_cannot_be_watched_is_unknown_with_its_reason_and_without_its_secret() {
    let record = watched(&url(&format!("redis://127.0.0.1:{}", free_port())), || ());
    assert_eq!(title(&record), "watch-silent Unknown: probe saw nothing: connection refused");
    let Some(server) = redis(&["--user", "probe", "on", ">right", "+@all"]) else { return };
    let record = watched(&url(&format!("redis://probe:s3cret@127.0.0.1:{}", server.port)), || ());
    assert!(title(&record).contains("refuses the user or the password"), "{record:?}");
    assert!(!format!("{record:?}").contains("s3cret"));
}

#[test]
fn a_server_that_dies_is_told_since_when() {
    let Some(mut server) = redis(&[]) else { return };
    let at = url(&format!("redis://127.0.0.1:{}", server.port));
    let record = watched(&at, || server.kill());
    assert!(record.polls > 0 && record.failures > 0, "{record:?}");
    assert!(title(&record).starts_with("watch-silent Unknown: probe sees nothing since"));
}

#[test]
fn a_redis_without_config_still_tells_its_limit() {
    let Some(server) = redis(&["--maxclients", "50", "--rename-command", "CONFIG", ""]) else {
        return;
    };
    let record = watched(&url(&format!("redis://127.0.0.1:{}", server.port)), || ());
    assert_eq!(record.metric("connected_clients").unwrap().limit, Some(50.0), "{record:?}");
}

#[test]
fn a_command_prints_a_number_or_the_reason_is_told() {
    let line = |command: &str| format!("{{ command: '{command}', limit: 10, every: 100ms }}");
    assert!(title(&watched(&line("echo 9"), || ())).starts_with("watch-limit Fail"));
    assert!(title(&watched(&line("echo 3"), || ())).starts_with("watch Pass"));
    assert!(title(&watched(&line("echo s3cret"), || ())).ends_with("printed no number"));
    assert!(title(&watched(&line("exit 3"), || ())).contains("exit status: 3"));
}

#[test]
fn a_server_that_hangs_is_told_as_such() {
    let Some(server) = redis(&[]) else { return };
    let at = url(&format!("redis://127.0.0.1:{}", server.port));
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &server.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let record = watched(&at, || signal("-STOP"));
    signal("-CONT");
    assert!(title(&record).ends_with("no answer in time"), "{record:?}");
}

#[test]
fn a_redis_that_stood_still_tells_how_long() {
    let Some(server) =
        redis(&["--latency-monitor-threshold", "50", "--enable-debug-command", "yes"])
    else {
        return;
    };
    let at = url(&format!("redis://127.0.0.1:{}", server.port));
    let record = watched(&at, || {
        let mut other = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        other.write_all(b"DEBUG SLEEP 0.2\r\n").unwrap();
        other.read_exact(&mut [0; 5]).unwrap();
    });
    let latencies = &record.metric("largest_latency_ms").unwrap().points;
    assert!(latencies[0].1 < 1.0 && latencies.last().unwrap().1 >= 200.0, "{record:?}");
}
