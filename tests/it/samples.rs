//! Samples of a run as Parquet: as many rows as arrivals, which say the same as the report; and
//! what becomes of them on a disk that is full, or stands still.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use peakhour::drive::samples::{BATCH_ROWS, GROUP_ROWS, Row as SampleRow, SampleFile};
use peakhour::plan::answers::Answers;
use peakhour::plan::bond::Bond;
use peakhour::plan::{Arrival, Recorded, Touch};
use peakhour::protocol::Protocol;
use peakhour::sample::{Fate, Sample};
use serde_json::Value;

use crate::record_disks::Disk;
use crate::support::{Ran, peakhour};

/// A server that answers two of three with 200 and the third with 404, after a body was read.
fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut count = 0;
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                    count += 1;
                    let status = if count % 3 == 0 { "404 Not Found" } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nabc");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn run(folder: &Path, line: &str) -> Ran {
    peakhour(folder, &line.split_whitespace().collect::<Vec<_>>())
}

fn report(folder: &Path) -> Value {
    let run = fs::read_dir(folder.join("reports")).unwrap().flatten().next().unwrap().path();
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

fn rows(path: &Path) -> Vec<BTreeMap<String, Field>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let cells = |row: Row| row.into_columns().into_iter().collect();
    reader.get_row_iter(None).unwrap().map(|row| cells(row.unwrap())).collect()
}

fn number(row: &BTreeMap<String, Field>, column: &str) -> Option<u64> {
    match &row[column] {
        Field::Long(value) => u64::try_from(*value).ok(),
        Field::Int(value) => u64::try_from(*value).ok(),
        Field::Null => None,
        other => panic!("{column}: {other:?}"),
    }
}

fn text(row: &BTreeMap<String, Field>, column: &str) -> String {
    match &row[column] {
        Field::Str(text) => text.clone(),
        other => panic!("{column}: {other:?}"),
    }
}

#[test]
fn rows_are_arrivals_and_agree_with_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let port = start();
    let load = format!("run --url http://127.0.0.1:{port}/item/7 --rate 1000 -d 3s -c 20");
    let ran = run(folder.path(), &format!("{load} --tolerance ci --samples s.parquet"));
    // What a busy machine makes of the verdict does not matter here.
    assert!(matches!(ran.code, 0 | 98 | 99), "{}\n{}", ran.stdout, ran.stderr);
    let (report, rows) = (report(folder.path()), rows(&folder.path().join("s.parquet")));
    assert_eq!(report["totals"]["planned"], 3_000);
    let mut indexes: Vec<u64> = rows.iter().map(|row| number(row, "index").unwrap()).collect();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..3_000), "each arrival has one row");

    let (mut fates, mut statuses) = (BTreeMap::new(), BTreeMap::new());
    for row in &rows {
        *fates.entry(text(row, "fate")).or_insert(0_u64) += 1;
        if let Some(status) = number(row, "status") {
            *statuses.entry(status.to_string()).or_insert(0_u64) += 1;
        }
    }
    assert_eq!(serde_json::to_value(fates).unwrap(), report["fates"]);
    assert_eq!(serde_json::to_value(statuses).unwrap(), report["statuses"]);
    let sum = |column: &str| rows.iter().filter_map(|row| number(row, column)).sum::<u64>();
    assert_eq!(sum("response_bytes"), report["totals"]["response_bytes"].as_u64().unwrap());
    assert_eq!(sum("request_bytes"), report["totals"]["request_bytes"].as_u64().unwrap());

    // Nearest rank, as of the histogram, whose precision is three digits.
    let mut latencies: Vec<u64> = rows
        .iter()
        .filter_map(|row| Some(number(row, "done_ns")? - number(row, "due_ns")?))
        .collect();
    latencies.sort_unstable();
    let p99 = latencies[(latencies.len() * 99).div_ceil(100) - 1];
    let told = report["latency"]["p99_ns"].as_u64().unwrap();
    assert!(told.abs_diff(p99) * 1_000 <= p99, "{told} {p99}");
    for row in &rows {
        let moments = [
            "due_ns",
            "dispatched_ns",
            "established_ns",
            "connected_ns",
            "sent_ns",
            "sent_last_ns",
            "done_ns",
        ];
        let told: Vec<u64> = moments.iter().filter_map(|name| number(row, name)).collect();
        assert!(told.is_sorted(), "{row:?}");
        // A connection is opened for its first request only, and there is no TLS on it.
        let is_first = number(row, "index").unwrap() < 20;
        assert_eq!(told.len(), if is_first { 7 } else { 6 }, "{row:?}");
        assert_eq!(number(row, "secured_ns"), None);
        assert!(number(row, "first_byte_ns") <= number(row, "done_ns"));
        assert_eq!(number(row, "connection").unwrap(), number(row, "index").unwrap() % 20);
        assert_eq!((text(row, "method"), text(row, "route")), ("GET".into(), "GET /item/*".into()));
    }
}

#[test]
fn a_full_disk_costs_the_samples_and_nothing_else() {
    let Some(disk) = Disk::small("64k") else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = start();
    let samples = disk.path().join("s.parquet");
    let load = format!("run --url http://127.0.0.1:{port}/ --rate 2000 -d 3s -c 20");
    let line = format!("{load} --tolerance ci --samples {}", samples.display());
    let ran = run(folder.path(), &line);
    assert_eq!(ran.code, 104, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
    let report = report(folder.path());
    assert_eq!(report["totals"]["planned"], 6_000, "the report is whole");
    assert_eq!(report["totals"]["answered"], 6_000, "{}", ran.stdout);
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "no half of a file is left");
    let ran = run(folder.path(), &format!("{load} --samples no/such/folder/s.parquet"));
    assert_eq!(ran.code, 104);
    assert!(ran.stderr.contains("no/such/folder/s.parquet"), "{}", ran.stderr);
}

/// Whoever hands rows over goes on at once; what the disk did not take in time is counted.
#[test]
fn a_disk_that_stands_still_delays_nobody() {
    let Some(disk) = Disk::that_freezes() else { return };
    let path = disk.path().join("s.parquet");
    let file = SampleFile::create(&path).unwrap();
    let sink = file.sink();
    let frozen = disk.freeze();
    let batch = || (0..BATCH_ROWS).map(|_| SampleRow::of(&arrival(), &sample())).collect();
    for _ in 0..300 {
        sink.hand_over(batch());
    }
    assert!(file.dropped() > 0);
    drop(frozen);
    sink.hand_over_last(batch());
    drop(sink);
    let written = file.finish().unwrap();
    assert!(written.rows >= GROUP_ROWS as u64, "{written:?}");
    assert_eq!(written.rows + written.dropped, 301 * BATCH_ROWS as u64, "{written:?}");
    assert_eq!(rows(&path).len() as u64, written.rows);
}

fn arrival() -> Arrival {
    Arrival {
        answers: Answers::default(),
        bond: Bond::default(),
        index: 0,
        due: Duration::ZERO,
        connection: 0,
        protocol: Protocol::Http1,
        session: 0,
        seq: 0,
        streamed: None,
        last_on_connection: false,
        method: "GET".into(),
        route: "GET /".into(),
        head: "GET / HTTP/1.1\r\n\r\n".into(),
        body: "".into(),
        touch: Touch::First,
        turn: None,
        recorded: Recorded::default(),
    }
}

fn sample() -> Sample {
    Sample {
        due: Duration::ZERO,
        drift: Duration::ZERO,
        dispatched: None,
        established: None,
        secured: None,
        connected: None,
        sent: None,
        sent_last: None,
        first_byte: None,
        done: None,
        opened: false,
        beside_large: false,
        response_bytes: 0,
        contents: None,
        fate: Fate::Refused,
    }
}
