//! What real servers decline, and how.

use peakhour::protocol::resp::command;

use super::{Hand, line, replay, url};
use crate::servers;

/// Connections of one read each.
fn clients(count: u64, words: &str) -> Vec<String> {
    (0..count).map(|n| line(n, n, words, false)).collect()
}

#[test]
fn a_full_server_turns_connections_away() {
    let Some(server) = servers::redis(&["--maxclients", "10"]) else { return };
    // Each stays until its second command.
    let all: Vec<String> = (0..2)
        .flat_map(|turn| (0..20).map(move |n| line(turn * 1_000 + n, n, "GET a", false)))
        .collect();
    let (report, ran) = replay(&all, &url(&server), "");
    let rejected = report["fates"]["rejected"].as_u64().unwrap();
    assert!(rejected >= 10, "{}", report["fates"]);
    assert_eq!(report["fates"]["answered"].as_u64().unwrap() + rejected, 40, "{}", report["fates"]);
    let shown = &ran.stdout;
    assert!(shown.contains("connection-limit") && !shown.contains("HTTP"), "{shown}");
    drop(server);
    let Some(server) = servers::redis(&[]) else { return };
    let (report, _) = replay(&all, &url(&server), "");
    assert_eq!(report["fates"]["answered"], 40);
}

#[test]
fn a_full_memory_declines_what_writes() {
    let arguments = ["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"];
    let Some(server) = servers::redis(&arguments) else { return };
    let value = "x".repeat(4_096);
    let lines: Vec<String> = (0..400_u64)
        .flat_map(|n| {
            let set = line(n, n % 4, &format!("SET k:{n} {value}"), false);
            [set, line(n, n % 4, &format!("GET k:{n}"), true)]
        })
        .collect();
    let (report, _) = replay(&lines, &url(&server), "methods: all\n");
    let declined = report["fates"]["declined: out of memory"].as_u64().unwrap_or(0);
    let answered = report["fates"]["answered"].as_u64().unwrap_or(0);
    assert!(declined > 100 && answered >= 400, "{}", report["fates"]);
    assert_eq!(declined + answered, 800);
    assert_eq!(report["totals"]["errors"], declined);
}

#[test]
fn a_replica_and_a_cluster_decline_in_their_own_ways() {
    let Some(server) = servers::redis(&[]) else { return };
    let mut hand = Hand::new(server.port);
    hand.say(&["REPLICAOF 127.0.0.1 1", "CONFIG SET replica-serve-stale-data yes"]);
    let sets = clients(5, "SET a b");
    let (report, _) = replay(&sets, &url(&server), "methods: all\n");
    assert_eq!(report["fates"]["declined: read-only"], 5, "{}", report["fates"]);
    hand.say(&["REPLICAOF NO ONE"]);
    let (report, _) = replay(&sets, &url(&server), "methods: all\n");
    assert_eq!(report["fates"]["answered"], 5, "{}", report["fates"]);

    let Some(node) = servers::redis(&["--cluster-enabled", "yes"]) else { return };
    let gets = clients(4, "GET a");
    let (report, _) = replay(&gets, &url(&node), "");
    assert_eq!(report["fates"]["declined: cluster down"], 4, "{}", report["fates"]);
    // Slot 15495 is that of `a`.
    let Some(other) = servers::redis(&["--cluster-enabled", "yes"]) else { return };
    let mut hand = Hand::new(node.port);
    hand.say(&[&format!("CLUSTER MEET 127.0.0.1 {}", other.port)]);
    let id = Hand::new(other.port).text("CLUSTER MYID");
    let mine: Vec<String> = (0..15_495).map(|slot| slot.to_string()).collect();
    hand.say(&[&format!("CLUSTER ADDSLOTS {}", mine.join(" "))]);
    let theirs: Vec<String> = (15_495..16_384).map(|slot| slot.to_string()).collect();
    Hand::new(other.port).say(&[&format!("CLUSTER ADDSLOTS {}", theirs.join(" "))]);
    for _ in 0..1_000 {
        let info = hand.text("CLUSTER INFO");
        if info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384") {
            break;
        }
        servers::pause();
    }
    let (report, _) = replay(&gets, &url(&node), "");
    assert_eq!(report["fates"]["redirected: moved"], 4, "{} {id}", report["fates"]);
    assert_eq!(report["totals"]["errors"], 4);
}

#[test]
fn a_busy_script_and_errors_of_production() {
    let Some(server) = servers::redis(&["--lua-time-limit", "1"]) else { return };
    let port = server.port;
    let script = std::thread::spawn(move || {
        let mut hand = Hand::new(port);
        hand.write(&command(&[b"EVAL", b"while true do end", b"0"]));
        hand.hear()
    });
    let mut watcher = Hand::new(port);
    await_answer(&mut watcher, "BUSY");
    let (report, _) = replay(&clients(3, "GET a"), &url(&server), "");
    assert_eq!(report["fates"]["declined: busy"], 3, "{}", report["fates"]);
    watcher.say(&["SCRIPT KILL"]);
    script.join().unwrap();

    // An error where production answered well counts, and one that production gave as well not.
    watcher.say(&["SET a b"]);
    let error = |is_recorded: bool| {
        let lines: Vec<String> = (0..40)
            .map(|at| {
                let mut line: serde_json::Value =
                    serde_json::from_str(&line(at, 0, "HGETALL a", false)).unwrap();
                line["flags"] = if is_recorded { 1 << 13 } else { 0 }.into();
                line.to_string()
            })
            .collect();
        let (report, ran) = replay(&lines, &url(&server), "");
        assert_eq!(report["replies"]["error reply"], 40);
        (report["totals"]["errors"].as_u64(), report["totals"]["status_changes"].as_u64(), ran)
    };
    let (errors, changes, ran) = error(false);
    assert_eq!((errors, changes), (Some(40), Some(40)));
    let told = "answered with an error where production was not";
    assert!(ran.words().contains(told), "{}", ran.stdout);
    let (errors, changes, _) = error(true);
    assert_eq!((errors, changes), (Some(0), Some(0)));
}

/// Waits until a read is answered with this error.
fn await_answer(watcher: &mut Hand, error: &str) {
    let is_there = (0..1_500).any(|_| {
        servers::pause();
        format!("{:?}", watcher.say(&["GET a"])).contains(error)
    });
    assert!(is_there, "the server never says {error}");
}

#[test]
fn a_server_that_reads_its_data_declines_until_it_has() {
    let Some(server) = servers::redis(&["--enable-debug-command", "yes"]) else { return };
    let mut hand = Hand::new(server.port);
    // A tenth of a millisecond for each key, so that half a minute is left for what follows, and a
    // look at clients after every few of them.
    hand.say(&["DEBUG POPULATE 300000", "CONFIG SET key-load-delay 100"]);
    hand.say(&["CONFIG SET loading-process-events-interval-bytes 1024"]);
    hand.write(&command(&[b"DEBUG", b"RELOAD"]));
    let mut watcher = Hand::new(server.port);
    await_answer(&mut watcher, "LOADING");
    let (report, _) = replay(&clients(3, "GET a"), &url(&server), "");
    assert_eq!(report["fates"]["declined: loading"], 3, "{}", report["fates"]);
    watcher.say(&["CONFIG SET key-load-delay 0"]);
    hand.hear();
    let (report, _) = replay(&clients(3, "GET a"), &url(&server), "");
    assert_eq!(report["fates"]["answered"], 3, "{}", report["fates"]);
}
