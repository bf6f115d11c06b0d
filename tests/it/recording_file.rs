//! The recording's file, written and read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

use peakhour::protocol::Protocol;
use peakhour::recording::file::CELL_BYTES_MAX;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::rows::target_hash;
use peakhour::recording::file::writer::{RecordingWriter, SORT_BYTES};
use peakhour::recording::route::route_of;
use peakhour::recording::{Exchange, Flags, Header};

use crate::exchanges::{exchange, header, plain};

fn write(path: &Path, exchanges: &[Exchange], sort_bytes: usize) -> Header {
    let mut writer = RecordingWriter::create_within(path, sort_bytes).unwrap();
    for exchange in exchanges {
        writer.push(exchange.clone()).unwrap();
    }
    writer.finish(header()).unwrap()
}

fn read(path: &Path) -> Vec<Exchange> {
    RecordingReader::open(path).unwrap().exchanges(None).map(Result::unwrap).collect()
}

fn sorted(exchanges: &[Exchange]) -> Vec<Exchange> {
    let mut sorted = exchanges.to_vec();
    sorted.sort_by_key(|exchange| (exchange.at, exchange.connection, exchange.seq));
    sorted
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For all exchanges in any order: what is read is what was written, sorted by time,
    /// connection and position, and the header counts it.
    #[test]
    fn what_is_written_is_read_in_the_order_of_time(exchanges in vec(exchange(), 0..60)) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("peak.parquet");
        let written = write(&path, &exchanges, SORT_BYTES);
        prop_assert_eq!(read(&path), sorted(&exchanges));
        let reader = RecordingReader::open(&path).unwrap();
        prop_assert_eq!(reader.header(), &written);
        prop_assert_eq!(written.exchanges, exchanges.len() as u64);
        let connections: BTreeSet<u64> = exchanges.iter().map(|e| e.connection).collect();
        prop_assert_eq!(written.connections, connections.len() as u64);
        prop_assert_eq!(names(directory.path()), ["peak.parquet"]);
    }

    /// For all exchanges: a file sorted through runs on the disk has the same bytes as one sorted
    /// in memory, also where runs are merged more than once.
    #[test]
    fn sorting_through_files_gives_the_same_bytes(
        exchanges in vec(exchange(), 0..100),
        sort_bytes in prop_oneof![Just(0_usize), 0..9_000_usize],
    ) {
        let directory = tempdir().unwrap();
        let (memory, disk) = (directory.path().join("memory"), directory.path().join("disk"));
        write(&memory, &exchanges, SORT_BYTES);
        write(&disk, &exchanges, sort_bytes);
        prop_assert!(fs::read(&memory).unwrap() == fs::read(&disk).unwrap());
        prop_assert_eq!(names(directory.path()).len(), 2, "runs are removed");
    }

    /// For all ranges: reading a range is reading all and keeping those inside, for exchanges and
    /// for outlines.
    #[test]
    fn a_range_reads_what_a_filter_keeps(
        exchanges in vec(exchange(), 1..40), start in 0_u64..6_000, length in 0_u64..6_000
    ) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("peak.parquet");
        write(&path, &exchanges, SORT_BYTES);
        let start = Duration::from_nanos(start * 1_000_003);
        let range = (start, start + Duration::from_nanos(length * 1_000_003));
        let mut expected = sorted(&exchanges);
        expected.retain(|exchange| range.0 <= exchange.at && exchange.at < range.1);
        let reader = RecordingReader::open(&path).unwrap();
        let found: Vec<_> = reader.exchanges(Some(range)).map(Result::unwrap).collect();
        prop_assert_eq!(&found, &expected);
        let outlines: Vec<_> = reader.outlines(Some(range)).map(Result::unwrap).collect();
        prop_assert_eq!(outlines.len(), expected.len());
        for (outline, exchange) in outlines.iter().zip(&expected) {
            let response = exchange.response.as_ref();
            prop_assert_eq!(outline.at, exchange.at);
            prop_assert_eq!(outline.connection, exchange.connection);
            prop_assert_eq!(outline.session, exchange.session);
            prop_assert_eq!(outline.seq, exchange.seq);
            prop_assert_eq!(&outline.method, &exchange.method);
            prop_assert_eq!(outline.target, target_hash(&exchange.authority, &exchange.target));
            prop_assert_eq!(outline.request_body_bytes, exchange.request_body_bytes);
            prop_assert_eq!(outline.status, response.map(|response| response.status));
            prop_assert_eq!(outline.last_byte, response.and_then(|response| response.last_byte));
            prop_assert_eq!(outline.flags, exchange.flags);
        }
    }
}

proptest! {
    /// For all exchanges: a sight is what the exchange is, and numbers stand for names.
    #[test]
    fn sights_are_what_exchanges_are(exchanges in vec(exchange(), 1..40)) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("peak.parquet");
        write(&path, &exchanges, SORT_BYTES);
        let expected = sorted(&exchanges);
        let mut reader = RecordingReader::open(&path).unwrap().sights();
        let sights: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        prop_assert_eq!(sights.len(), expected.len());
        let same = |exchange: &Exchange| (exchange.method.clone(), exchange.target.clone());
        for (sight, exchange) in sights.iter().zip(&expected) {
            let response = exchange.response.as_ref();
            prop_assert_eq!(Duration::from_nanos(sight.at_ns), exchange.at);
            prop_assert_eq!(sight.connection, exchange.connection);
            prop_assert_eq!(sight.session, exchange.session);
            let name = reader.names().of(sight.class).unwrap();
            let template = match exchange.route.strip_prefix('/') {
                Some(_) => route_of(&exchange.route),
                None => exchange.route.clone(),
            };
            prop_assert_eq!(&*name, format!("{} {template}", exchange.method));
            prop_assert_eq!(sight.request_bytes, exchange.request_body_bytes);
            let bytes = response.and_then(|response| response.body_bytes);
            prop_assert_eq!(sight.response_bytes, bytes);
            let took = response.and_then(|response| response.last_byte.or(response.first_byte));
            prop_assert_eq!(sight.took_ns.map(Duration::from_nanos), took);
            let (first, first_sight) = (&expected[0], &sights[0]);
            prop_assert_eq!(sight.key == first_sight.key, same(exchange) == same(first));
        }
    }
}

/// Several row groups, of which a range needs one; the iterator outlives its reader, on another
/// thread.
#[test]
fn a_range_in_a_file_of_many_row_groups() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    let mut writer = RecordingWriter::create(&path).unwrap();
    for number in 0..150_000_u64 {
        writer.push(plain(number, number % 100, u32::try_from(number / 100).unwrap())).unwrap();
    }
    let header = writer.finish(header()).unwrap();
    assert_eq!((header.exchanges, header.connections), (150_000, 100));
    assert_eq!(header.duration_ns, (149_999 + 4) * 1_000_000);

    let moment = Duration::from_millis;
    let range = Some((moment(65_530), moment(65_540)));
    let exchanges = RecordingReader::open(&path).unwrap().exchanges(range);
    let found: Vec<_> =
        std::thread::spawn(|| exchanges.map(|e| e.unwrap().at).collect()).join().unwrap();
    assert_eq!(found, (65_530..65_540).map(moment).collect::<Vec<_>>());

    let reader = RecordingReader::open(&path).unwrap();
    let twice = reader.outlines(None).zip(reader.outlines(None));
    assert_eq!(twice.filter(|(a, b)| a.as_ref().unwrap() == b.as_ref().unwrap()).count(), 150_000);
}

#[test]
fn the_duration_covers_what_the_header_did_not_know() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    let mut writer = RecordingWriter::create(&path).unwrap();
    writer.push(plain(10, 0, 0)).unwrap();
    let header = writer.finish(Header { duration_ns: 99_000_000, ..header() }).unwrap();
    assert_eq!(header.duration_ns, 99_000_000);
}

#[test]
fn a_body_beyond_the_bound_is_cut_and_flagged() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    let body = vec![b'x'; CELL_BYTES_MAX + 1];
    let exchange = Exchange {
        request_body_bytes: body.len() as u64,
        request_body: body.into(),
        protocol: Protocol::Redis,
        ..plain(0, 0, 0)
    };
    write(&path, std::slice::from_ref(&exchange), SORT_BYTES);
    let found = read(&path).remove(0);
    assert_eq!(found.request_body.len(), CELL_BYTES_MAX);
    assert_eq!(found.request_body_bytes, exchange.request_body_bytes);
    assert!(found.flags.contains(Flags::REQUEST_TRUNCATED));
}

#[test]
fn an_exchange_that_does_not_fit_is_refused_by_name() {
    let directory = tempdir().unwrap();
    let mut writer = RecordingWriter::create(&directory.path().join("peak.parquet")).unwrap();
    let late = Exchange { at: Duration::from_secs(u64::MAX), ..plain(0, 3, 9) };
    let error = writer.push(late).unwrap_err();
    assert_eq!(
        error.to_string(),
        "exchange 9 of connection 3 cannot be recorded: `at_ns` is beyond 292 years"
    );
}

#[test]
fn exchanges_in_order_go_straight_into_the_recording() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    let mut writer = RecordingWriter::create_within(&path, 0).unwrap();
    for number in 0..70 {
        writer.push(plain(number, 0, 0)).unwrap();
    }
    assert_eq!(names(directory.path()), ["peak.parquet.inprogress"]);
    // One that is late costs a run.
    writer.push(plain(3, 9, 9)).unwrap();
    assert_eq!(names(directory.path()).len(), 2);
    writer.finish(header()).unwrap();
    assert_eq!(names(directory.path()), ["peak.parquet"]);
    let found = read(&path);
    assert_eq!((found.len(), found[4].connection, found[4].seq), (71, 9, 9));
}

#[test]
fn a_writer_that_holds_back_reworks_everything_in_order() {
    let directory = tempdir().unwrap();
    for sort_bytes in [0, SORT_BYTES] {
        let path = directory.path().join("peak.parquet");
        let mut writer = RecordingWriter::create_within(&path, sort_bytes).unwrap();
        writer.hold_back();
        for number in [2, 0, 1, 3] {
            writer.push(plain(number, 7, 0)).unwrap();
        }
        let mut count = 0;
        writer
            .sort(&mut |exchange| {
                exchange.connection = count;
                count += 1;
            })
            .unwrap();
        assert_eq!(writer.finish(header()).unwrap().connections, 4);
        let numbered: Vec<u64> = read(&path).iter().map(|exchange| exchange.connection).collect();
        assert_eq!(numbered, [0, 1, 2, 3], "by time");
    }
}

#[test]
fn nothing_is_left_behind_unless_finished() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    fs::write(directory.path().join("peak.parquet.inprogress"), "of a killed run").unwrap();
    let mut writer = RecordingWriter::create_within(&path, 0).unwrap();
    for number in 0..70 {
        writer.push(plain(70 - number, 0, 0)).unwrap();
    }
    assert!(names(directory.path()).len() > 2, "runs are on the disk");
    assert!(!path.exists());
    drop(writer);
    assert_eq!(names(directory.path()), Vec::<String>::new());

    // A finish that fails: the target is a directory that cannot be replaced.
    fs::create_dir_all(path.join("occupied")).unwrap();
    let mut writer = RecordingWriter::create_within(&path, 0).unwrap();
    writer.push(plain(0, 0, 0)).unwrap();
    let error = writer.finish(header()).unwrap_err();
    assert!(error.to_string().starts_with("cannot rename to its final name "), "{error}");
    assert_eq!(names(directory.path()), ["peak.parquet"]);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = RecordingWriter::create(Path::new("no/such/peak.parquet")).err().unwrap();
    assert_eq!(error.to_string(), "cannot create no/such/peak.parquet.inprogress");
}
