//! A recording reverse proxy in front of a real nginx: what went through is what was recorded, and
//! nobody noticed.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peakhour::capture::import::{Found, Import};
use peakhour::record::join::Route;
use peakhour::record::passed::Passed;
use peakhour::record::{Clock, Tee};
use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;
use tokio::sync::{mpsc, watch};

use crate::servers::{self, Server, free_port, pause};
use crate::support::peakhour;

/// A shop that logs a line a request: its connection, the request, the answer.
pub(crate) fn shop() -> Option<Server> {
    servers::nginx("", "", |port, folder| {
        format!(
            "log_format seen '$connection $request_method $uri $status $request_length';\n\
             server {{ listen 127.0.0.1:{port}; access_log {0}/seen.log seen;\n\
             client_max_body_size 0; location /items/ {{ return 200 'an item'; }}\n\
             location /slow {{ root {0}; limit_rate 20k; }}\n\
             location /orders {{ return 201 'noted'; }} }}",
            folder.display()
        )
    })
}

/// A proxy, which does not outlive its test.
pub(crate) struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the proxy on a port that it says.
pub(crate) fn start(folder: &Path, upstream: u16, arguments: &[&str]) -> (Proxy, u16) {
    start_for(folder, &format!("127.0.0.1:{upstream}"), arguments)
}

/// The same for an upstream as people write it.
pub(crate) fn start_for(folder: &Path, upstream: &str, arguments: &[&str]) -> (Proxy, u16) {
    let child = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .args(["record", "--listen", "127.0.0.1:0"])
        .args(["--upstream", upstream, "-o", "live.parquet"])
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut proxy = Proxy(child);
    let mut said = Vec::new();
    let errors = proxy.0.stderr.as_mut().unwrap();
    while !said.ends_with(b"ends it\n") {
        let mut byte = [0];
        assert_eq!(errors.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    let said = String::from_utf8(said).unwrap();
    let (_, rest) = said.split_once("://127.0.0.1:").unwrap();
    (proxy, rest.split(' ').next().unwrap().parse().unwrap())
}

/// Ends the proxy as a process manager does; its exit code and last words.
pub(crate) fn end(proxy: Proxy) -> (Option<i32>, String) {
    end_by("-TERM", proxy)
}

/// The same by another signal.
pub(crate) fn end_by(signal: &str, mut proxy: Proxy) -> (Option<i32>, String) {
    let child = &mut proxy.0;
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// Sends bytes and reads as many answers as they ask for.
pub(crate) fn ask(stream: &mut TcpStream, request: &str, answers: usize) {
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

pub(crate) fn recorded(file: &Path) -> (RecordingReader, Vec<Exchange>) {
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
    let arguments = ["--for", "6s", "--grace", "0s", "--keep-secrets"];
    let (mut proxy, port) = start(folder.path(), server.port, &arguments);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /items/1 HTTP/1.1\r\nHost: shop.example\r\nCookie: id=s3cret\r\n\r\n";
    ask(&mut stream, request, 1);
    assert_eq!(proxy.0.wait().unwrap().code(), Some(0));
    let (_, exchanges) = recorded(&folder.path().join("live.parquet"));
    assert!(String::from_utf8_lossy(&exchanges[0].request_head).contains("id=s3cret"));
}

#[test]
fn without_an_upstream_nothing_is_written_and_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // Bound, so that nobody else gets it, but nobody listens.
    let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    closed.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let nobody = closed.local_addr().unwrap().as_socket().unwrap().port();
    let (child, port) = start(folder.path(), nobody, &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    let (code, said) = end(child);
    assert_eq!(code, Some(104), "{said}");
    assert!(
        said.contains("that can be read came through (1 connections; connections without up"),
        "{said}"
    );
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
        (&format!("0.0.0.0:{port}"), &format!("localhost:{port}"), "both --listen and --upstream"),
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
    let (recorder, mut copies) = mpsc::unbounded_channel();
    let passed = Arc::<Passed>::default();
    let clock = Clock::showing(1_000_000_000);
    let tee = Tee::new(Route::plain(upstream), clock, 2_000, recorder, Arc::clone(&passed));
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
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = |item: &str| format!("GET /items/{item} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let mut stream = connect();
    for _ in 0..50 {
        ask(&mut stream, &request("1"), 1);
    }
    // What begins meanwhile is not even begun to be copied.
    ask(&mut connect(), &request("unseen"), 1);
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let dropped = passed.dropped.each_ref().map(read);
    assert!(dropped[0] > 80, "there is room for a few of 102: {dropped:?}");
    assert_eq!(read(&passed.unrecorded), 1);

    // It catches up, and the streams go on behind their gaps.
    let mut import = Import::default();
    let mut found = Vec::new();
    let mut keep = |each: Found| {
        if let Found::Exchange(exchange) = each {
            found.push((exchange.target, exchange.response.map(|response| response.status)));
        }
    };
    while let Ok(seen) = copies.try_recv() {
        passed.taken(&seen);
        import.event(seen.moment_ns(), &seen.event(), &mut keep);
    }
    ask(&mut stream, &request("last"), 1);
    drop(stream);
    stop.send(true).unwrap();
    while let Some(seen) = copies.blocking_recv() {
        passed.taken(&seen);
        import.event(seen.moment_ns(), &seen.event(), &mut keep);
    }
    proxy.join().unwrap();
    let mut imported = import.finish(&mut keep);
    passed.account(&mut imported.ledger);
    let ledger = &imported.ledger;
    assert_eq!(found[0], ("/items/1".to_owned(), Some(200)), "{found:?}");
    assert_eq!(found.last().unwrap(), &("/items/last".to_owned(), Some(200)), "{found:?}");
    assert!(found.iter().all(|(target, _)| target != "/items/unseen"), "{found:?}");
    assert!(ledger.reconciles(), "{ledger:?}");
    assert_eq!(ledger.frames.count("dropped: the recorder was behind"), dropped[0], "{ledger:?}");
    assert_eq!(ledger.frames.total, 2 * 52, "{ledger:?}");
    assert_eq!(ledger.stream_bytes.count("dropped: the recorder was behind"), dropped[1]);
    assert!(ledger.notes["gap bytes"] > 0, "{ledger:?}");
}

/// A server of one connection, which does with it what a test needs.
fn serve_once(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        // The first only asks whether anybody is there.
        drop(listener.accept());
        serve(listener.accept().unwrap().0);
    });
    port
}

/// It refuses a body without reading it, and leaves: its reset must not overtake its answer.
#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let upstream = serve_once(move |mut stream| {
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let (child, port) = start(folder.path(), upstream, &[]);
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = "POST /big HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 30000000\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&vec![b'x'; 30_000_000]).unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, answer);
    drop(client);
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    let (_, exchanges) = recorded(&folder.path().join("live.parquet"));
    assert_eq!(exchanges[0].response.as_ref().unwrap().status, 413);
}

/// A client that has said everything, and reads slowly; a server that sends much, and then fails.
#[test]
fn every_byte_of_a_large_answer_passes_a_half_closed_connection_before_a_reset() {
    let body: Vec<u8> = (0..8_000_000_u32).map(|index| (index % 251) as u8).collect();
    let sent = body.clone();
    let upstream = serve_once(move |mut stream| {
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        assert!(asked.ends_with("\r\n\r\n"), "{asked}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n").unwrap();
        stream.write_all(&sent).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let (child, port) = start(folder.path(), upstream, &[]);
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"GET /large HTTP/1.1\r\nHost: shop.example\r\n\r\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut seen = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = client.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&buffer[..count]);
        pause();
    }
    let begins = seen.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(seen[begins..] == body, "{} of {} bytes", seen.len() - begins, body.len());
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    let (_, exchanges) = recorded(&folder.path().join("live.parquet"));
    let answer = exchanges[0].response.as_ref().unwrap();
    assert_eq!((answer.status, answer.body_bytes), (200, None), "its end never came");
}
