//! A recording in several files: each is whole, together they hold everything once, and a disk
//! that is full stops nobody but the recorder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::ledger::Ledger;
use peakhour::recording::{Exchange, Flags, Header};
use peakhour::units::format_count;

use crate::record::{ask, end, end_by, recorded, shop, start};
use crate::servers::{Server, pause};
use crate::support::peakhour;

/// The files of a recording, by name.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "parquet")).collect();
    files.sort();
    files
}

pub(crate) fn opened(files: &[PathBuf]) -> Vec<(RecordingReader, Vec<Exchange>)> {
    files.iter().map(|file| recorded(file)).collect()
}

/// `METHOD TARGET STATUS`, sorted.
fn rows<'a>(exchanges: impl Iterator<Item = &'a Exchange>) -> Vec<String> {
    let row = |each: &Exchange| {
        let status = each.response.as_ref().map_or(0, |answer| answer.status);
        format!("{} {} {status}", each.method, each.target)
    };
    let mut rows: Vec<String> = exchanges.map(row).collect();
    rows.sort();
    rows
}

/// The same of what nginx logged.
fn logged(server: &Server) -> Vec<String> {
    let log = fs::read_to_string(server.folder().join("seen.log")).unwrap();
    let row = |line: &str| line.split(' ').skip(1).take(3).collect::<Vec<_>>().join(" ");
    let mut rows: Vec<String> = log.lines().map(row).collect();
    rows.sort();
    rows
}

/// What others sent is read by nobody but the owner.
pub(crate) fn is_private(path: &Path) -> bool {
    mode(path) == Some(0o600)
}

/// Who may do what with a file; `None` where there is none.
fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

/// A file's account is its own: its messages are its rows.
pub(crate) fn account(header: &Header) -> &Ledger {
    let ledger = &header.ledger;
    assert!(ledger.reconciles(), "{ledger:#?}");
    let messages = &ledger.messages;
    let exchanges = messages.count("exchange") + messages.count("request without response");
    assert_eq!(exchanges, header.exchanges, "{ledger:#?}");
    ledger
}

fn read_all(stream: &mut TcpStream, length: usize) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        seen.push(byte[0]);
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
}

/// Six clients ask 180 times each, on a connection each, and another one waits for an answer that
/// takes five seconds: it is under way when a file is cut, and when the next one is.
fn load(port: u16) {
    let connect = move || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let slow = std::thread::spawn(move || {
        let mut stream = connect();
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n").unwrap();
        read_all(&mut stream, 100_000);
    });
    let clients: Vec<_> = (0..6)
        .map(|client| {
            std::thread::spawn(move || {
                let mut stream = connect();
                for item in 0..180 {
                    let line = format!("GET /items/{client}-{item} HTTP/1.1\r\n");
                    let host = "Host: shop.example\r\nCookie: id=s3cret\r\n\r\n";
                    ask(&mut stream, &(line + host), 1);
                    pause();
                }
                stream
            })
        })
        .collect();
    let open: Vec<TcpStream> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    slow.join().unwrap();
    drop(open);
}

#[test]
fn under_load_every_exchange_is_in_exactly_one_file() {
    let Some(server) = shop() else { return };
    fs::write(server.folder().join("slow"), vec![b'x'; 100_000]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (proxy, port) = start(folder.path(), server.port, &["--rotate", "1s", "--grace", "10s"]);
    load(port);
    let (code, said) = end(proxy);
    assert_eq!(code, Some(0), "{said}");

    let files = files(folder.path());
    assert!(files.len() >= 4, "{files:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), files.len(), "something is left");
    let parts = opened(&files);
    let all = || parts.iter().flat_map(|(_, exchanges)| exchanges);
    assert_eq!(rows(all()), logged(&server));
    assert!(
        said.contains(&format!("{} exchanges in {} files", format_count(1_081), files.len())),
        "{said}"
    );
    let mut sum = Ledger::default();
    for (reader, _) in &parts {
        sum.merge(account(reader.header()));
    }
    assert_eq!(sum.messages.count("exchange"), 6 * 180 + 1, "{sum:?}");

    // In the order of time, and what is in a file began in its time.
    let starts: Vec<i64> =
        parts.iter().map(|(reader, _)| reader.header().started_unix_ns).collect();
    assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
    for (index, (reader, exchanges)) in parts.iter().enumerate() {
        let until = starts.get(index + 1).copied().unwrap_or(i64::MAX);
        for each in exchanges {
            let began = starts[index] + i64::try_from(each.at.as_nanos()).unwrap();
            assert!(began < until, "{} is in the file before its time", each.target);
            assert_eq!(each.flags.contains(Flags::MID_STREAM), each.target == "/slow");
        }
        let place = reader.header().part.as_ref().unwrap();
        assert_eq!(place.number, index as u64);
        let name = files[index].file_name().unwrap();
        let shown = peakhour(folder.path(), &["inspect", name.to_str().unwrap()]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
    }
    // Connections live on, with their numbers and their order.
    let mut by_connection: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    all().for_each(|each| by_connection.entry(each.connection).or_default().push(each.seq));
    assert_eq!(by_connection.len(), 7);
    for seqs in by_connection.values() {
        assert_eq!(*seqs, (0..u32::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    }
    // As is the same secret's pseudonym.
    let cookie = |each: &Exchange| {
        let head = String::from_utf8_lossy(&each.request_head).into_owned();
        head.lines().find(|line| line.starts_with("Cookie")).map(str::to_owned)
    };
    let cookies: BTreeSet<String> = all().filter_map(cookie).collect();
    assert!(cookies.len() == 1 && !cookies.contains("Cookie: id=s3cret"), "{cookies:?}");
    as_one(folder.path(), &files, &sum);
}

/// The files are imported as one, in any order; what is missing or given twice is said.
fn as_one(folder: &Path, files: &[PathBuf], sum: &Ledger) {
    let names: Vec<&str> =
        files.iter().rev().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    let import = |names: &[&str]| {
        let all = [&["import"][..], names, &["-o", "all.parquet", "--keep-secrets"]].concat();
        peakhour(folder, &all)
    };
    let ran = import(&names);
    assert_eq!((ran.code, ran.stderr.contains("warning")), (0, false), "{}", ran.stderr);
    assert!(is_private(&folder.join("all.parquet")));
    let (reader, exchanges) = recorded(&folder.join("all.parquet"));
    let header = reader.header();
    assert_eq!(header.ledger, *sum);
    assert_eq!((header.exchanges, header.connections), (6 * 180 + 1, 7));
    assert_eq!((header.part.clone(), header.servers.addresses.len()), (None, 2));
    let mut parts = opened(files);
    let start = parts[0].0.header().started_unix_ns;
    assert_eq!(header.started_unix_ns, start);
    let mut expected = Vec::new();
    for (reader, exchanges) in &mut parts {
        let later = Duration::from_nanos(reader.header().started_unix_ns.abs_diff(start));
        expected.extend(exchanges.drain(..).map(|each| Exchange { at: each.at + later, ..each }));
    }
    expected.sort_by_key(|each| (each.at, each.connection, each.seq));
    assert!(exchanges == expected, "the rows are those of the files");

    let missing = import(&[names[0], names[2]]);
    assert_eq!(missing.code, 0, "{}", missing.stderr);
    assert!(missing.stderr.contains(", 1 parts are missing"), "{}", missing.stderr);
    fs::copy(folder.join(names[1]), folder.join("copy.parquet")).unwrap();
    let twice = import(&[names[0], names[1], "copy.parquet"]);
    assert_eq!(twice.code, 104, "{}", twice.stderr);
    assert!(twice.stderr.contains("are the same part of one recording"), "{}", twice.stderr);
}

#[test]
fn a_file_is_finished_in_its_time_though_nothing_more_comes() {
    let Some(server) = shop() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (proxy, port) = start(folder.path(), server.port, &["--rotate", "1s"]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    ask(&mut stream, "GET /items/1 HTTP/1.1\r\nHost: shop.example\r\n\r\n", 1);
    for _ in 0..1_500 {
        if !files(folder.path()).is_empty() {
            break;
        }
        pause();
    }
    let first = files(folder.path());
    assert_eq!(first.len(), 1);
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let seen = entries.collect::<Vec<_>>();
    assert!(seen.len() > 1, "another one is under way: {seen:?}");
    // The one under way may be another by now.
    // The one under way may be another by now.
    assert!(seen.iter().all(|path| matches!(mode(path), None | Some(0o600))), "{seen:?}");
    assert_eq!(rows(opened(&first)[0].1.iter()), ["GET /items/1 200"]);
    // On the same connection, into another file.
    ask(&mut stream, "GET /items/2 HTTP/1.1\r\nHost: shop.example\r\n\r\n", 1);
    drop(stream);
    let (code, said) = end_by("-INT", proxy);
    assert_eq!(code, Some(0), "{said}");
    let parts = opened(&files(folder.path()));
    assert_eq!(rows(parts.iter().flat_map(|(_, it)| it)), ["GET /items/1 200", "GET /items/2 200"]);
    assert!(parts.iter().all(|(reader, _)| account(reader.header()).reconciles()));
}

/// A body that cannot be packed.
fn noise(length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    noise
}

/// Posts `count` bodies of 100 kB; each is answered.
pub(crate) fn post(port: u16, count: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for item in 0..count {
        let head = format!("POST /items/{item} HTTP/1.1\r\nHost: shop.example\r\n");
        stream.write_all(format!("{head}Content-Length: 100000\r\n\r\n").as_bytes()).unwrap();
        stream.write_all(&noise(100_000)).unwrap();
        ask(&mut stream, "", 1);
    }
}

#[test]
fn files_are_cut_by_size_and_only_the_last_are_kept() {
    let Some(server) = shop() else { return };
    for keep in [&[][..], &["--keep", "2"]] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [&["--rotate-size", "1MiB", "--grace", "0s"], keep].concat();
        let (proxy, port) = start(folder.path(), server.port, &arguments);
        post(port, 60);
        let (code, said) = end(proxy);
        assert_eq!(code, Some(0), "{said}");
        let files = files(folder.path());
        for file in &files {
            let size = fs::metadata(file).unwrap().len();
            assert!(size < 1_300_000, "{}: {size}", file.display());
        }
        let parts = opened(&files);
        let found: usize = parts.iter().map(|(_, exchanges)| exchanges.len()).sum();
        assert!(parts.iter().all(|(reader, _)| account(reader.header()).reconciles()));
        if keep.is_empty() {
            assert!(files.len() >= 6, "{files:?}");
            assert_eq!(found, 60);
        } else {
            assert_eq!(files.len(), 2, "{files:?}");
            let last = parts[1].1.last().unwrap();
            assert_eq!(last.target, "/items/59", "the last are kept");
            assert!(said.contains(" were removed (--keep)"), "{said}");
        }
    }
}
