//! Large values of real stores.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::payloads::{finding, prepare, recording, run, sweep};
use crate::rehearsal::alone;
use crate::servers::{self, Server, pause};

/// A scenario with one endpoint, on the stage.
fn scenario(server: &Server, url: &str, options: &str) -> String {
    let url = url.replace("PORT", &server.port.to_string());
    format!(
        "target: {{ url: stage, allow: [127.0.0.1] }}\nacts:\n  - payloads:\n      \
         endpoints: {{ store: '{url}' }}\n      {options}\n"
    )
}

/// What Redis says to a line.
fn says(server: &Server, line: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

/// Starts a rehearsal whose report becomes `run.json`.
fn start(folder: &Path) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .args(["run", "s.yaml", "-q", "--out", "json=run.json"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until a value is stored, or the rehearsal has ended.
fn await_a_key(server: &Server, child: &mut Child) {
    for _ in 0..4_000 {
        if says(server, "DBSIZE").starts_with(":1") || child.try_wait().unwrap().is_some() {
            return;
        }
        pause();
    }
}

#[test]
fn bystanders_of_a_large_value_of_a_real_redis_are_found_and_explained() {
    let _alone = alone();
    let Some(server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 6\n      max: 64MiB\n      budget: 90s\n      slo: 5ms";
    let scenario = scenario(&server, "redis://127.0.0.1:PORT", options);
    // Production's largest body would be stored as it is: 4 times it is 64 MiB.
    let (ran, report) = run(folder.path(), 16 << 20, &scenario);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    let sweeps = ["redis-set", "redis-get", "redis-range", "redis-hash", "redis-delete"];
    for what in sweeps {
        let sweep = sweep(&report, what);
        assert_eq!(sweep["unknown"], serde_json::Value::Null, "{sweep:#}");
        let largest = sweep["rungs"].as_array().unwrap().last().unwrap();
        let fates = largest["requests"].as_array().unwrap().iter().map(|big| &big["fate"]);
        assert!(fates.clone().count() > 0 && fates.clone().all(|fate| fate == "done"), "{sweep:#}");
    }
    let counted = says(&server, "INFO commandstats");
    for command in ["set", "get", "lrange", "hgetall", "del"] {
        assert!(counted.contains(&format!("cmdstat_{command}:")), "{command}: {counted}");
    }
    // All of them build the whole answer before anybody else gets a turn.
    let found =
        ["GET of values at store", "LRANGE of lists at store", "HGETALL of hashes at store"]
            .map(|begins| finding(&report, "payload-blocking", begins));
    let failed = found.into_iter().find(|found| found["outcome"] == "fail");
    let failed = failed.unwrap_or_else(|| panic!("{found:#?}\n{shown}"));
    println!("{failed:#}");
    assert!(failed["title"].as_str().unwrap().contains("block the event loop"), "{failed:#}");
    let evidence = failed["evidence"].to_string();
    for part in ["beside 64 MiB", "each MiB adds", "a new connection took", "largest 16 MiB"] {
        assert!(evidence.contains(part), "`{part}` is not in {failed:#}");
    }
    assert!(failed["advice"].as_str().unwrap().contains("UNLINK"), "{failed:#}");
    assert_eq!(ran.code, 99, "{shown}");
    assert!(says(&server, "DBSIZE").starts_with(":0"), "a key is left");
}

#[test]
fn the_keys_expire_from_the_start_also_when_peakhour_is_killed() {
    let _alone = alone();
    let Some(server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 20\n      max: 4MiB\n      budget: 60s";
    prepare(
        folder.path(),
        &recording(4_096),
        &scenario(&server, "redis://127.0.0.1:PORT", options),
    );
    // Several kills, to meet values as well as lists and hashes.
    let mut met = 0;
    for prefix in ["string", "list", "hash"] {
        let mut child = start(folder.path());
        for _ in 0..4_000 {
            let key = says(&server, "RANDOMKEY");
            let key = key.lines().nth(1).unwrap_or_default().to_owned();
            let kind = says(&server, &format!("TYPE {key}"));
            if key.starts_with("peakhour:") && kind.starts_with(&format!("+{prefix}")) {
                break;
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            pause();
        }
        child.kill().unwrap(); // SIGKILL: it cannot clean up.
        child.wait().unwrap();
        let key = says(&server, "RANDOMKEY");
        let key = key.lines().nth(1).unwrap_or_default().to_owned();
        if key.starts_with("peakhour:") {
            met += 1;
            let ttl = says(&server, &format!("TTL {key}"));
            let seconds = ttl.lines().next().unwrap().trim_start_matches(':');
            let seconds: i64 = seconds.parse().unwrap();
            assert!((1..=60).contains(&seconds), "{key} expires in {seconds}");
        }
        says(&server, "FLUSHALL");
    }
    assert!(met > 0, "no key was there when peakhour was killed");
}

#[test]
fn a_stop_ends_the_act_soon_and_leaves_no_key() {
    let _alone = alone();
    let Some(server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 100\n      max: 4MiB\n      budget: 100s";
    prepare(
        folder.path(),
        &recording(4_096),
        &scenario(&server, "redis://127.0.0.1:PORT", options),
    );
    let mut child = start(folder.path());
    await_a_key(&server, &mut child);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(105));
    assert!(says(&server, "DBSIZE").starts_with(":0"), "a key is left");
    assert_eq!(says(&server, "CLIENT LIST").matches("cmd=").count(), 1, "a connection is left");
}

/// The act says so, and the replay that follows is made.
#[test]
fn a_redis_that_dies_in_the_act_is_unknown_and_the_rehearsal_goes_on() {
    let _alone = alone();
    let Some(mut server) = servers::redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 100\n      max: 4MiB\n      budget: 60s\n  - replay";
    let scenario = scenario(&server, "redis://127.0.0.1:PORT", options);
    prepare(folder.path(), &recording(4_096), &scenario);
    let mut child = start(folder.path());
    await_a_key(&server, &mut child);
    server.kill();
    child.wait().unwrap();
    let report = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for begins in ["GET of values at store", "LRANGE of lists at store"] {
        let found = finding(&report, "payload-blocking", begins);
        assert_eq!(found["outcome"], "unknown", "{found:#}");
    }
    assert!(report["totals"]["sent"].as_u64().unwrap() > 0, "{report:#}");
}

#[test]
fn a_redis_that_does_not_let_us_in_is_unknown_and_no_password_is_told() {
    let _alone = alone();
    let Some(server) = servers::redis(&[]) else { return };
    assert!(says(&server, "CONFIG SET requirepass s3cret").starts_with("+OK"));
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 3\n      max: 1MiB\n      budget: 9s";
    let scenario = scenario(&server, "redis://:wr0ng@127.0.0.1:PORT", options);
    let (ran, report) = run(folder.path(), 4_096, &scenario);
    let found = finding(&report, "payload-blocking", "SET of values at store");
    assert_eq!(found["outcome"], "unknown", "{found:#}");
    assert!(found["title"].as_str().unwrap().contains("WRONGPASS"), "{found:#}");
    let all = format!("{report}{}{}", ran.stdout, ran.stderr);
    assert!(!all.contains("wr0ng") && !all.contains("s3cret"), "{all}");
}

#[test]
fn the_packet_limit_of_a_real_mariadb_is_found_to_the_byte() {
    let _alone = alone();
    let Some(server) = servers::mariadb(&["--max-allowed-packet=2M"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 3\n      max: 4MiB\n      budget: 30s";
    let scenario = scenario(&server, "mysql://root@127.0.0.1:PORT", options);
    let (ran, report) = run(folder.path(), 4_096, &scenario);
    let sweep = sweep(&report, "mysql-packet");
    assert_eq!(sweep["announced"], 2 << 20, "{sweep:#}\n{}", ran.stderr);
    let (accepted, refused) = (&sweep["boundary"]["accepted"], &sweep["boundary"]["refused"]);
    let (accepted, refused) = (accepted.as_u64().unwrap(), refused.as_u64().unwrap());
    assert_eq!(refused, accepted + 1, "{sweep:#}");
    assert!(accepted.abs_diff(2 << 20) <= 1, "{sweep:#}");
    let found = finding(&report, "payload-limit", "packets at store");
    assert_eq!(found["outcome"], "pass", "{found:#}");
}

#[test]
fn a_redis_without_room_is_left_alone() {
    let _alone = alone();
    let Some(server) = servers::redis(&["--maxmemory", "3mb"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = "repeats: 3\n      max: 64MiB\n      budget: 20s";
    let scenario = scenario(&server, "redis://127.0.0.1:PORT", options);
    let (ran, report) = run(folder.path(), 4_096, &scenario);
    let sweep = sweep(&report, "redis-set");
    let ended = sweep["ended"].as_str().unwrap_or_else(|| panic!("{sweep:#}\n{}", ran.stderr));
    assert!(ended.contains("no room for more"), "{ended}");
    let sizes = sweep["rungs"].as_array().unwrap().iter().map(|rung| rung["bytes"].as_u64());
    assert!(sizes.flatten().all(|bytes| bytes < 1 << 20), "{sweep:#}");
    assert!(says(&server, "INFO stats").contains("evicted_keys:0"));
}
