//! Aim: a log without a zone is read in the one that the user names, and files whose clocks did
//! not agree are set right.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, peakhour};
use crate::talk::{GET, OK, Piece, Talk, bytes_of};

const HAPROXY: &str = "10.0.0.1:4000 [17/May/2015:12:05:03.250] http web/s1 0/0/1/2/40 200 7 - - \
                       ---- 1/1/1/1/0 0/0 \"GET /a HTTP/1.1\"\n";

const IIS: &str = "#Software: Microsoft Internet Information Services 10.0\n\
                   #Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken\n\
                   2015-05-17 10:05:04 10.0.0.1 GET /b 200 1000\n";

/// The start of the recording in nanoseconds, and its targets in order.
fn imported(folder: &Path, arguments: &[&str]) -> (i64, Vec<String>, Ran) {
    let ran = peakhour(folder, &[&["import"], arguments, &["-o", "out.parquet"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let header = peakhour(folder, &["inspect", "out.parquet", "--json"]).stdout;
    let header: Value = serde_json::from_str(&header).unwrap();
    let lines = peakhour(folder, &["inspect", "out.parquet"]);
    assert_eq!(lines.code, 0);
    let recording = folder.join("out.parquet");
    let reader = peakhour::recording::file::reader::RecordingReader::open(&recording).unwrap();
    let targets = reader.exchanges(None).map(|exchange| exchange.unwrap().target).collect();
    (header["started_unix_ns"].as_i64().unwrap(), targets, ran)
}

/// 17 May 2015, 10:05:03.250 UTC, to the millisecond.
fn is_quarter_past(started_ns: i64, hours: i64) {
    let expected = (1_431_857_103 + hours * 3_600) * 1_000 + 250;
    assert_eq!(started_ns / 1_000_000, expected);
}

#[test]
fn a_log_without_a_zone_is_in_the_one_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), HAPROXY).unwrap();
    let (started, _, ran) = imported(folder.path(), &["a.log"]);
    is_quarter_past(started, 2);
    assert!(ran.stderr.contains("a.log: its times have no zone and were taken for UTC"));
    let (started, _, ran) = imported(folder.path(), &["a.log", "--time-zone", "+02:00"]);
    is_quarter_past(started, 0);
    assert!(ran.stderr.contains("no zone and were taken for those of +02:00"), "{ran:?}");
    let (started, ..) = imported(folder.path(), &["a.log", "--time-zone", "-01:00"]);
    is_quarter_past(started, 3);
}

#[test]
fn a_log_that_says_its_zone_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let line = "10.0.0.1 - - [17/May/2015:12:05:03.250 +0200] \"GET /a HTTP/1.1\" 200 1\n";
    fs::write(folder.path().join("a.log"), line).unwrap();
    let nginx = ["a.log", "--format", "apache", "--time-zone", "-05:00"];
    let (started, _, ran) = imported(folder.path(), &nginx);
    is_quarter_past(started, 0);
    assert!(!ran.stderr.contains("zone"), "{ran:?}");
}

/// Logs of the W3C are UTC by the rules, which servers break.
#[test]
fn a_log_of_the_w3c_is_utc_unless_somebody_knows_better() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), IIS).unwrap();
    // The line is stamped with the end of a request that took a second.
    let second = 1_431_857_103;
    let (started, _, ran) = imported(folder.path(), &["a.log"]);
    assert_eq!(started / 1_000_000_000, second);
    assert!(!ran.stderr.contains("zone"), "{ran:?}");
    let (started, _, ran) = imported(folder.path(), &["a.log", "--time-zone", "+01:00"]);
    assert_eq!(started / 1_000_000_000, second - 3_600);
    assert!(ran.stderr.contains("those of +01:00"), "{ran:?}");
}

#[test]
fn logs_of_nodes_whose_clocks_differ_are_merged_by_the_right_time() {
    let folder = tempfile::tempdir().unwrap();
    let other = HAPROXY.replace("12:05:03.250", "12:05:03.100").replace("/a", "/ahead");
    fs::write(folder.path().join("1.log"), HAPROXY).unwrap();
    fs::write(folder.path().join("2.log"), other).unwrap();
    let (_, targets, _) = imported(folder.path(), &["1.log", "2.log"]);
    assert_eq!(targets, ["/ahead", "/a"]);
    let offset = ["1.log", "2.log", "--clock-offset", "2.log=+250ms"];
    let (started, targets, _) = imported(folder.path(), &offset);
    assert_eq!(targets, ["/a", "/ahead"]);
    is_quarter_past(started, 2);
    let offset = ["1.log", "2.log", "--clock-offset", "1.log=-250ms"];
    assert_eq!(imported(folder.path(), &offset).1, ["/a", "/ahead"]);
}

#[test]
fn captures_of_nodes_whose_clocks_differ_are_merged_by_the_right_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    for _ in 0..3 {
        talk.client(GET).server(OK);
    }
    // What the client sent was captured on a machine whose clock is ten seconds behind.
    let (mut client, server): (Vec<Piece>, Vec<Piece>) =
        talk.pieces.iter().cloned().partition(|piece| piece.client);
    fs::write(folder.path().join("whole"), bytes_of(&talk.pieces)).unwrap();
    for piece in &mut client {
        piece.at_ns -= 10_000_000_000;
    }
    fs::write(folder.path().join("client"), bytes_of(&client)).unwrap();
    fs::write(folder.path().join("server"), bytes_of(&server)).unwrap();
    let lines = |captures: &[&str]| {
        let ran = peakhour(
            folder.path(),
            &[&["import", "--keep-secrets"], captures, &["--jsonl", "-"]].concat(),
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let whole = lines(&["whole"]);
    assert_eq!(whole.lines().count(), 3);
    assert_ne!(lines(&["server", "client"]), whole);
    assert_eq!(lines(&["server", "client", "--clock-offset", "client=+10s"]), whole);
}

#[test]
fn clocks_are_set_where_that_means_something() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), HAPROXY).unwrap();
    let line = r#"{"at_ns":0,"method":"GET","target":"/","authority":"a"}"#;
    fs::write(folder.path().join("lines"), line).unwrap();
    for (arguments, said) in [
        (&["a.log", "--time-zone", "Nowhere/At_All"][..], "is no zone"),
        (&["lines", "--time-zone", "Z"], "is for access logs"),
        (&["lines", "--clock-offset", "lines=1s"], "is for packets and access logs"),
        (&["a.log", "--clock-offset", "b.log=1s"], "none of the captures"),
        (&["a.log", "--clock-offset", "a.log=1s", "--clock-offset", "a.log=2s"], "twice"),
        (&["a.log", "--clock-offset", "a.log"], "write such as node1.log=+250ms"),
    ] {
        let ran = peakhour(folder.path(), &[&["import"], arguments, &["-o", "out"]].concat());
        assert!(ran.code == 104 && ran.stderr.contains(said), "{arguments:?}: {ran:?}");
    }
}
