//! Recordings that were made apart become one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::redaction::Counted;
use peakhour::recording::{Exchange, Flags, Header};

use crate::record::recorded;
use crate::support::{peakhour, root};

fn imported(folder: &Path, capture: &str, into: &str) -> (RecordingReader, Vec<Exchange>) {
    let capture = root().join("captures").join(capture).display().to_string();
    let ran = peakhour(folder, &["import", &capture, "-o", into, "--keep-secrets"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    recorded(&folder.join(into))
}

#[test]
fn recordings_of_one_time_are_put_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, one_rows) = imported(folder.path(), "nginx-first/peak.pcap.gz", "one.parquet");
    // The same traffic on other servers, a second and a half later.
    let header = one.header().clone();
    let later = header.started_unix_ns + 1_500_000_000;
    let mut writer = RecordingWriter::create(&folder.path().join("two.parquet")).unwrap();
    for row in &one_rows {
        writer.push(row.clone()).unwrap();
    }
    writer.finish(Header { started_unix_ns: later, ..header.clone() }).unwrap();

    let arguments = ["import", "two.parquet", "one.parquet", "-o", "all.parquet", "--keep-secrets"];
    let ran = peakhour(folder.path(), &arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (all, rows) = recorded(&folder.path().join("all.parquet"));
    let whole = all.header();
    assert_eq!(whole.exchanges, 2 * header.exchanges);
    assert_eq!(whole.connections, 2 * header.connections, "they are others, not the same again");
    assert_eq!(whole.started_unix_ns, header.started_unix_ns);
    assert_eq!(whole.duration_ns, header.duration_ns + 1_500_000_000);
    assert_eq!(whole.origin, "two.parquet, one.parquet");
    assert_eq!(whole.servers, header.servers);
    assert_eq!(whole.ledger.frames.total, 2 * header.ledger.frames.total);
    assert!(whole.ledger.reconciles());
    let highest = one_rows.iter().map(|row| row.connection).max().unwrap() + 1;
    // Whoever was one client still is, and nobody is a client of the other servers.
    let by_place = |row: &&Exchange| (row.connection, row.seq);
    let mut others: Vec<&Exchange> = rows.iter().filter(|row| row.connection >= highest).collect();
    others.sort_by_key(by_place);
    let mut ones: Vec<&Exchange> = one_rows.iter().collect();
    ones.sort_by_key(by_place);
    let pairs = ones.iter().zip(&others).map(|(row, other)| (row.session, other.session));
    let apart: BTreeMap<u64, u64> = pairs.collect();
    let all = apart.iter().flat_map(|(one, other)| [*one, *other]);
    assert_eq!(all.collect::<BTreeSet<u64>>().len(), 2 * apart.len());
    let second = one_rows.iter().map(|row| Exchange {
        at: row.at + Duration::from_millis(1_500),
        connection: row.connection + highest,
        session: apart[&row.session],
        ..row.clone()
    });
    let mut expected: Vec<Exchange> = one_rows.iter().cloned().chain(second).collect();
    expected.sort_by_key(|row| (row.at, row.connection, row.seq));
    assert!(rows == expected);
}

/// What was done to secrets before is told of the whole, and nothing is done twice.
#[test]
fn secrets_that_were_replaced_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |cookie: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: shop\r\nCookie: id={cookie}\r\n\r\n");
        let head = serde_json::to_string(&head).unwrap();
        format!(
            "{{\"at_ns\":0,\"connection\":0,\"method\":\"GET\",\"authority\":\"shop\",\
             \"target\":\"/\",\"request_head\":{head}}}\n"
        )
    };
    for name in ["one", "two"] {
        fs::write(folder.path().join("lines"), lines(&format!("s3cret-{name}"))).unwrap();
        let into = format!("{name}.parquet");
        let ran = peakhour(folder.path(), &["import", "lines", "-o", &into]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let ran =
        peakhour(folder.path(), &["import", "one.parquet", "two.parquet", "-o", "all.parquet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (reader, rows) = recorded(&folder.path().join("all.parquet"));
    let redaction = reader.header().redaction.clone().unwrap();
    let counted = |name: &str, count| Counted { name: name.to_owned(), count };
    assert_eq!(redaction.replaced, [counted("header Cookie", 2)]);
    assert_eq!(redaction.not_searched, [counted("request redacted before", 2)]);
    for (row, name) in rows.iter().zip(["one", "two"]) {
        let (_, before) = recorded(&folder.path().join(format!("{name}.parquet")));
        assert_eq!(row.request_head, before[0].request_head);
        assert!(row.flags.contains(Flags::REDACTED));
    }
}

#[test]
fn what_cannot_be_put_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    let (one, _) = imported(folder.path(), "nginx-first/peak.pcap.gz", "one.parquet");
    fs::copy(folder.path().join("one.parquet"), folder.path().join("copy.parquet")).unwrap();
    // Other pseudonyms, and the same requests.
    let ran = peakhour(folder.path(), &["import", &capture, "-o", "again.parquet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let writer = RecordingWriter::create(&folder.path().join("undated.parquet")).unwrap();
    writer.finish(Header { started_unix_ns: 0, ..one.header().clone() }).unwrap();
    for (captures, said) in [
        (&["one.parquet"][..], "is a recording already"),
        (&["one.parquet", &capture], "are of different formats"),
        (&["one.parquet", "one.parquet"], "hold the same 4\u{202f}929 exchanges"),
        (&["copy.parquet", "one.parquet"], "hold the same 4\u{202f}929 exchanges"),
        (&["one.parquet", "again.parquet"], "hold the same 4\u{202f}929 exchanges"),
        (&["one.parquet", "undated.parquet"], "undated.parquet: has no date"),
        (&["one.parquet", "one.parquet", "--time-zone", "UTC"], "--time-zone is for access logs"),
        (
            &["one.parquet", "undated.parquet", "--clock-offset", "one.parquet=+1s"],
            "--clock-offset is for packets and access logs",
        ),
    ] {
        let all = [&["import"][..], captures, &["-o", "all.parquet"]].concat();
        let ran = peakhour(folder.path(), &all);
        assert_eq!(ran.code, 104, "{captures:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{captures:?}: {}", ran.stderr);
    }
    assert!(!folder.path().join("all.parquet").exists());
}
