//! Aim: `inspect` forecasts what caches would do with the recorded reads, and the act `cold` tells
//! the same figures; what cannot be known is told as such.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::peakhour;

/// A minute of 20 reads a second, few items asked for often, and a write now and then. `took_ms`
/// goes into each answer where it is there.
fn record(folder: &Path, took_ms: Option<u64>) {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let lines = (0..1_200_u64).map(|index| {
        let key = (0..3).map(|_| random.random::<f64>()).product::<f64>() * 300.0;
        let is_write = index % 50 == 49;
        let mut line = json!({
            "at_ns": index * 50_000_000,
            "connection": index % 10,
            "method": if is_write { "POST" } else { "GET" },
            "authority": "production.example",
            "target": format!("/item/{key:.0}"), "route": "/item/*", "status": 200,
        });
        if let Some(took) = took_ms {
            line["last_byte_ns"] = json!(took * 1_000_000);
        }
        line.to_string()
    });
    fs::write(folder.join("r.jsonl"), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

fn inspected(folder: &Path, arguments: &[&str]) -> (String, Value) {
    let text = peakhour(folder, &[&["inspect", "r.jsonl"], arguments].concat());
    assert_eq!(text.code, 0, "{}", text.stderr);
    let json = peakhour(folder, &[&["inspect", "r.jsonl", "--json"], arguments].concat());
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    (text.stdout, json["caches"].clone())
}

#[test]
fn a_recording_is_told_with_its_caches() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), Some(40));
    let arguments = ["--origin-capacity", "5/s", "--ramp", "ramp.csv", "--miss-time", "5s"];
    let (text, caches) = inspected(folder.path(), &arguments);
    assert_eq!(caches["reads"], 1_176, "writes go past caches");
    let keys = caches["keys"].as_u64().unwrap();
    let bins = caches["bins"].as_array().unwrap();
    let sum = |name: &str| bins.iter().map(|bin| bin[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("first"), sum("cold"), sum("warm")), (keys, keys, 0));
    let curve = caches["curve"].as_array().unwrap();
    let ratio = |row: &Value| row[1].as_f64().unwrap();
    assert!(curve.windows(2).all(|pair| ratio(&pair[0]) >= ratio(&pair[1])), "{curve:?}");
    assert!(caches["stampede_keys"].as_u64() >= Some(1));
    assert!(caches["stampedes"][0]["expected"].as_f64() > Some(1.0));

    for name in [
        "caches",
        "reads                1\u{202f}176 of ",
        "first reads",
        "misses of an LRU cache that begins empty",
        "to hit 90%",
        "cold start of an unbounded cache",
        "most in a bin",
        "stampedes",
        "the origin stands    5/s: too little for a cold start",
        "safe ramp",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
    assert!(text.contains("GET /item/* #") && !text.contains("/item/0"), "no targets: {text}");
    let ramp = fs::read_to_string(folder.path().join("ramp.csv")).unwrap();
    assert!(ramp.starts_with("at_seconds,share_of_users,reads_per_second\n0.000,0."), "{ramp}");
    // A scenario reads it.
    let scenario = "# Users by the ramp.\nrecording: r.jsonl\ntarget: { url: stage }\n\
                    ramp: ramp.csv\nacts: [replay]\n";
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let planned = peakhour(folder.path(), &["plan", "s.yaml"]);
    assert!(planned.words().contains("not let in yet by the ramp"), "{}", planned.stdout);
}

/// Two caches: the one that is too small misses when warm as well.
#[test]
fn the_cache_that_is_said_is_the_one_that_is_forecast() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), Some(40));
    let warm = |arguments: &[&str]| {
        let (text, caches) = inspected(folder.path(), arguments);
        (text, caches["warm_reads"].as_f64().unwrap())
    };
    let (_, large) = warm(&[]);
    let (text, small) = warm(&["--cache-keys", "5", "--reads-per-miss", "2"]);
    assert!(large < 1e-9 && small > 100.0, "{large} {small}");
    assert!(text.contains("cold start of an LRU cache of 5 keys: reads"), "{text}");
    let (text, expiring) = warm(&["--cache-ttl", "10s"]);
    assert!(expiring > 10.0 && text.contains("forgets a key after 10 s"), "{text}");
}

/// What there is too little of is told, and no figure is made up.
#[test]
fn what_cannot_be_forecast_is_told() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), None);
    let (text, caches) = inspected(folder.path(), &[]);
    assert_eq!(caches["miss_seconds"], Value::Null);
    assert!(text.contains("stampedes            not known: no answer says how long"), "{text}");
    let write = |method: &str| {
        let line = json!({
            "at_ns": 0, "method": method, "target": "/a", "authority": "a",
        });
        fs::write(folder.path().join("r.jsonl"), line.to_string()).unwrap();
    };
    write("POST");
    let (text, caches) = inspected(folder.path(), &["--origin-capacity", "5"]);
    assert!(text.contains("reads                none that a cache may answer"), "{text}");
    assert_eq!(caches["reads"], 0);
    let ramp = ["inspect", "r.jsonl", "--origin-capacity", "5", "--ramp", "ramp.csv"];
    let refused = peakhour(folder.path(), &ramp);
    assert_eq!(refused.code, 104, "{}", refused.stdout);
    assert!(refused.stderr.contains("there is no ramp for ramp.csv"), "{}", refused.stderr);
    write("GET");
    let (text, caches) = inspected(folder.path(), &[]);
    assert!(text.contains("reads                1 of 1 key"), "{text}");
    assert_eq!(caches["curve"], json!([[1, 1.0]]));
    for (arguments, said) in [
        (&["--ramp", "x"][..], "--origin-capacity"),
        (&["--origin-capacity", "lots"], "500/s"),
        (&["--cache-keys", "0"], "whole number"),
        (&["--miss-time", "2h"], "write a duration"),
    ] {
        let refused = peakhour(folder.path(), &[&["inspect", "r.jsonl"], arguments].concat());
        assert_eq!(refused.code, 104, "{arguments:?}");
        assert!(refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
}

/// Commands of Redis have keys, too.
#[test]
fn reads_of_a_redis_are_forecast() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 0..40 {
        let at = format!("1700000000.{:06}", number * 20_000);
        let _ = writeln!(lines, "{at} [0 127.0.0.1:5000] \"GET\" \"user:{}\"", number % 4);
        let _ = writeln!(lines, "{at} [0 127.0.0.1:5000] \"SET\" \"seen:{number}\" \"1\"");
    }
    fs::write(folder.path().join("monitor"), lines).unwrap();
    let ran = peakhour(folder.path(), &["inspect", "monitor", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&json["caches"]["reads"], &json["caches"]["keys"]), (&json!(40), &json!(4)));
}

/// The act says what `inspect` says of the same recording.
#[test]
fn the_act_tells_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), Some(40));
    let (_, of_inspect) = inspected(folder.path(), &["--origin-capacity", "5"]);
    let scenario = "# Cold caches.\nname: cold\nrecording: r.jsonl\ntarget: { url: stage }\n\
                    acts:\n  - cold: { reset: 'true', origin_capacity: 5/s }\n";
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    // Without consent nothing is sent; the forecast is made all the same.
    let ran = peakhour(folder.path(), &["run", "s.yaml", "--reports", "reports"]);
    let run = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap().path();
    let run: Value =
        serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    let of_act = &run["acts"][0]["evidence"]["cold"]["forecast"];
    assert!(of_act.is_object(), "{}", ran.stderr);
    for name in [
        "reads",
        "keys",
        "bins",
        "cold_reads",
        "warm_reads",
        "peak_cold",
        "peak_amplification",
        "first_share",
        "filling",
        "curve",
        "nine_of_ten",
        "stampede_keys",
        "miss_seconds",
        "ramp",
        "seconds_above",
    ] {
        assert_eq!(of_act[name], of_inspect[name], "{name}");
    }
}
