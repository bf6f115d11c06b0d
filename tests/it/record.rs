//! A recording reverse proxy in front of a real nginx: what went through is what was recorded, and
//! nobody noticed.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peakhour::capture::import::{Found, Import};
use peakhour::record::{Clock, Passed, Tee};
use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;
use tokio::sync::{mpsc, watch};

use crate::servers::{self, Server, free_port, pause};
use crate::support::peakhour;

/// A shop that logs a line a request: its connection, the request, the answer.
fn shop() -> Option<Server> {
    servers::nginx("", "", |port, folder| {
        format!(
            "log_format seen '$connection $request_method $uri $status $request_length';\n\
             server {{ listen 127.0.0.1:{port}; access_log {}/seen.log seen;\n\
             location /items/ {{ return 200 'an item'; }}\n\
             location /orders {{ return 201 'noted'; }} }}",
            folder.display()
        )
    })
}

/// Starts the proxy, and waits until it listens.
fn start(folder: &Path, upstream: u16, arguments: &[&str]) -> (Child, u16) {
    let port = free_port();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .args(["record", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--upstream", &format!("127.0.0.1:{upstream}"), "-o", "live.parquet"])
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Asking it would be a connection of the recording: its own word is enough.
    let mut said = Vec::new();
    let errors = child.stderr.as_mut().unwrap();
    while !said.ends_with(b"ends it\n") {
        let mut byte = [0];
        assert_eq!(errors.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    (child, port)
}

/// Ends the proxy as a process manager does; its exit code and last words.
fn end(mut child: Child) -> (Option<i32>, String) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// Sends bytes and reads as many answers as they ask for.
fn ask(stream: &mut TcpStream, request: &str, answers: usize) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut seen = Vec::new();
    let ends = |seen: &[u8]| {
        let text = String::from_utf8_lossy(seen);
        text.matches("an item").count() + text.matches("noted").count()
    };
    while ends(&seen) < answers {
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
}

fn recorded(file: &Path) -> (RecordingReader, Vec<Exchange>) {
    let reader = RecordingReader::open(file).unwrap();
    let exchanges = reader.exchanges(None).map(Result::unwrap).collect();
    (reader, exchanges)
}

#[test]
fn what_goes_through_to_a_real_nginx_is_recorded_as_it_was() {
    let Some(server) = shop() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (child, port) = start(folder.path(), server.port, &["--grace", "1s"]);
    let odd = "GET /items/odd HTTP/1.1\r\nhOST: shop.example\r\nX-a:1\r\nX-A:  2\r\n\
               Cookie: id=s3cretsession\r\n\r\n";
    let mut open = Vec::new();
    for client in 0..6 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for item in 0..20 {
            let line = format!("GET /items/{client}-{item} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            ask(&mut stream, &line, 1);
        }
        open.push(stream);
    }
    // Pipelined, in chunks, and with a head that nobody would write like this.
    let pipelined = "GET /items/p HTTP/1.1\r\nHost: shop.example\r\n\r\n".repeat(3);
    ask(&mut open[0], &pipelined, 3);
    let chunk = format!("186a0\r\n{}\r\n0\r\n\r\n", "x".repeat(100_000));
    let head = "POST /orders HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    ask(&mut open[1], &format!("{head}{chunk}"), 1);
    ask(&mut open[2], odd, 1);
    // One leaves by itself, the others are open when the proxy ends.
    drop(open.pop());
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("125 exchanges on 6 connections"), "{said}");

    let (reader, exchanges) = recorded(&folder.path().join("live.parquet"));
    let mut ours: Vec<String> = exchanges
        .iter()
        .map(|each| {
            let answer = each.response.as_ref().unwrap();
            assert!(answer.last_byte.is_some() && answer.first_byte <= answer.last_byte);
            format!("{} {} {}", each.method, each.target, answer.status)
        })
        .collect();
    let log = fs::read_to_string(server.folder().join("seen.log")).unwrap();
    let mut theirs: Vec<String> = log
        .lines()
        .map(|line| line.split(' ').skip(1).take(3).collect::<Vec<_>>().join(" "))
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert_eq!(reader.header().connections, 6);
    // Neither the server nor the proxy in front of it may be put under load with it.
    let mut servers: Vec<u16> =
        reader.header().servers.addresses.iter().map(SocketAddr::port).collect();
    servers.sort_unstable();
    let mut expected = [port, server.port];
    expected.sort_unstable();
    assert_eq!(servers, expected);
    let posted = exchanges.iter().find(|each| each.method == "POST").unwrap();
    assert_eq!(posted.request_body_bytes, 100_000);
    let odd_one = exchanges.iter().find(|each| each.target == "/items/odd").unwrap();
    let head = String::from_utf8_lossy(&odd_one.request_head).into_owned();
    assert!(head.contains("hOST: shop.example\r\nX-a:1\r\nX-A:  2\r\n"), "{head}");
    assert!(!head.contains("s3cretsession"), "{head}");
    let ledger = &reader.header().ledger;
    assert!(ledger.reconciles(), "{ledger:?}");
    assert!(!ledger.notes.contains_key("gaps"), "{ledger:?}");
    assert_eq!(peakhour(folder.path(), &["inspect", "live.parquet"]).code, 0);
}

#[test]
fn it_ends_by_itself_and_keeps_secrets_where_it_is_told_to() {
    let Some(server) = shop() else { return };
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--for", "2s", "--grace", "0s", "--keep-secrets"];
    let (mut child, port) = start(folder.path(), server.port, &arguments);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /items/1 HTTP/1.1\r\nHost: shop.example\r\nCookie: id=s3cret\r\n\r\n";
    ask(&mut stream, request, 1);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (_, exchanges) = recorded(&folder.path().join("live.parquet"));
    assert!(String::from_utf8_lossy(&exchanges[0].request_head).contains("id=s3cret"));
}

#[test]
fn without_an_upstream_nothing_is_written_and_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (child, port) = start(folder.path(), free_port(), &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    let (code, said) = end(child);
    assert_eq!(code, Some(104), "{said}");
    assert!(said.contains("no HTTP/1 request came through (1 connections, 1 without"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let address = format!("127.0.0.1:{port}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (listen, upstream, said) in [
        (&address, &address, "both --listen and --upstream"),
        (&address, &"nowhere".to_owned(), "name it as HOST:PORT"),
        (&taken, &address, "cannot listen on"),
    ] {
        let arguments = ["record", "--listen", listen, "--upstream", upstream, "-o", "r.parquet"];
        let ran = peakhour(folder.path(), &arguments);
        assert_eq!(ran.code, 104, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something is left");
}

/// Nobody takes the copies; every request is answered all the same, and what is missing from the
/// recording is counted to the byte.
#[test]
fn a_recorder_that_is_behind_delays_nobody_and_loses_nothing_silently() {
    let Some(server) = shop() else { return };
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let (recorder, mut copies) = mpsc::channel(7);
    let passed = Arc::<Passed>::default();
    let clock = Clock::showing(1_000_000_000);
    let tee = Tee { upstream, clock, recorder, passed: Arc::clone(&passed) };
    let (stop, stopped) = watch::channel(false);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let proxy = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tee.serve(listener, stopped, Duration::from_secs(1)).await;
        });
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /items/1 HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    for _ in 0..50 {
        ask(&mut stream, request, 1);
    }
    let dropped = passed.dropped.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert_eq!(dropped[0], 2 * 50 - 7, "50 requests and answers, and room for 7");

    // It catches up, and the streams go on behind their gaps.
    let mut import = Import::default();
    let mut found = 0;
    let mut keep = |each: Found| found += u64::from(matches!(each, Found::Exchange(_)));
    for _ in 0..7 {
        import.event(&copies.blocking_recv().unwrap().event(), &mut keep);
    }
    ask(&mut stream, request, 1);
    drop(stream);
    pause();
    stop.send(true).unwrap();
    while let Some(seen) = copies.blocking_recv() {
        import.event(&seen.event(), &mut keep);
    }
    proxy.join().unwrap();
    let mut imported = import.finish(&mut keep);
    passed.account(&mut imported.ledger);
    // Three pairs and a request before, one pair behind.
    assert_eq!(found, 5, "{:?}", imported.ledger);
    let ledger = &imported.ledger;
    assert!(ledger.reconciles(), "{ledger:?}");
    assert_eq!(ledger.frames.count("dropped: the recorder was behind"), dropped[0], "{ledger:?}");
    assert_eq!(ledger.frames.total, 2 * 51, "{ledger:?}");
    assert_eq!(ledger.notes["gap bytes"], dropped[1], "{ledger:?}");
}
