//! What a client sent over HTTP/1.1 is what the target gets: a capture is imported and replayed
//! against a target that compares every byte.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use peakhour::capture::{FIN, RST};
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::{Exchange, Flags};

use crate::exchanges::{header, plain};
use crate::record;
use crate::servers::pause;
use crate::support::peakhour;
use crate::talk::{GET, OK, Talk, bytes_of, exchanges};

/// Chunks of odd sizes with an extension, and trailers.
const CHUNKED: &str = "PoST /a?x=%zz HTTP/1.1\r\nhOsT: HOST\r\nX-dup: 1\r\nTransfer-Encoding: \
                       chunked\r\nx-Dup:2\r\n\r\n003\r\nabc\r\nA;name=\"v\"\r\n0123456789\r\n1\r\n\
                       !\r\n000\r\nX-Sum: 12\r\nx-empty:\r\n\r\n";
const EXPECTS: &str = "PUT /b HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: \
                       5\r\n\r\n";
const BODY: &str = "hello";
const PIPELINED: &str =
    "GET /c HTTP/1.1\r\nHost: HOST\r\n\r\nPURGE /d HTTP/1.1\r\nHost: HOST\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// What was said on one connection, which its client half closed before the last answers.
fn captured() -> Vec<u8> {
    let mut talk = Talk::new();
    let of = |text: &str| text.replace("HOST", "shop.example");
    talk.client(&of(CHUNKED)).server(OK);
    talk.client(&of(EXPECTS)).server(CONTINUE).client(BODY).server(OK);
    talk.client(&of(PIPELINED)).close(true, FIN).server(OK).server(OK).close(false, FIN);
    bytes_of(&talk.pieces)
}

/// Reads what is expected, and says so.
fn reads(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

/// The other end of that conversation; true when it went as it was recorded.
fn serve(mut stream: TcpStream, host: &str) -> bool {
    let of = |text: &str| text.replace("HOST", host);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    reads(&mut stream, &of(CHUNKED));
    stream.write_all(OK.as_bytes()).unwrap();
    reads(&mut stream, &of(EXPECTS));
    stream.write_all(CONTINUE.as_bytes()).unwrap();
    reads(&mut stream, BODY);
    stream.write_all(OK.as_bytes()).unwrap();
    reads(&mut stream, &of(PIPELINED));
    let has_ended = stream.read(&mut [0]).unwrap() == 0;
    stream.write_all(OK.repeat(2).as_bytes()).unwrap();
    has_ended
}

#[test]
fn every_byte_is_sent_again_as_it_was() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.pcap"), captured()).unwrap();
    let ran = peakhour(folder.path(), &["import", "c.pcap", "-o", "r.parquet", "--keep-secrets"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let text = format!(
        "# Faithful.\nname: faithful\nrecording: r.parquet\nmethods: all\ntolerance: ci\n\
         target: {{ url: 'http://{host}', allow: [127.0.0.1] }}\n"
    );
    fs::write(folder.path().join("s.yaml"), text).unwrap();
    let (tell, told) = mpsc::channel();
    let name = host.clone();
    thread::spawn(move || {
        // Who only looks whether somebody is there says nothing.
        for stream in listener.incoming().flatten() {
            let knocks = stream.peek(&mut [0]).map_or(true, |count| count == 0);
            if !knocks {
                tell.send(serve(stream, &name)).unwrap();
            }
        }
    });
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    let as_recorded = told.recv_timeout(Duration::from_secs(30));
    assert_eq!(as_recorded, Ok(true), "{}\n{}", ran.stdout, ran.stderr);
    let run = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(run.path().join("run.json")).unwrap()).unwrap();
    assert_eq!(report["totals"]["answered"], 4, "{}", ran.stdout);
}

#[test]
fn who_closes_first_is_told_by_flag_and_moment() {
    let flags = |talk: &Talk| -> Vec<bool> {
        exchanges(talk).iter().map(|it| it.flags.contains(Flags::HALF_CLOSED)).collect()
    };
    let closed = |talk: &Talk| talk.import().1.closings.of(0).map(|at| at.as_millis());
    let mut half = Talk::new();
    half.client(GET).server(OK).client(GET).close(true, FIN).server(OK).close(false, FIN);
    assert_eq!((flags(&half), closed(&half)), (vec![false, true], Some(5)));

    let mut whole = Talk::new();
    whole.client(GET).server(OK).acks(40).close(true, FIN).close(false, FIN);
    assert_eq!((flags(&whole), closed(&whole)), (vec![false], Some(43)));

    // Who did not get its answer had left.
    let mut left = Talk::new();
    left.client(GET).close(true, FIN).server("HTTP/1.1 200 OK\r\nContent-Le").close(true, RST);
    assert_eq!(flags(&left), [false]);
    assert_eq!(closed(&left), Some(3));

    // The end of the capture is all that is known of one that stays open.
    let mut open = Talk::new();
    open.client(GET).acks(3).server(OK);
    assert_eq!(closed(&open), Some(4));
}

#[test]
fn moments_of_closing_are_kept_and_old_recordings_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.parquet");
    let mut known = header();
    for number in [3, 7, 1_000_000] {
        assert!(known.closings.add(number, Duration::from_micros(number * 11)));
    }
    for expected in [header(), known] {
        let mut writer = RecordingWriter::create(&path).unwrap();
        writer.push(plain(0, 0, 0)).unwrap();
        writer.finish(expected.clone()).unwrap();
        let reader = RecordingReader::open(&path).unwrap();
        assert_eq!(reader.header().closings, expected.closings);
        let read: Vec<Exchange> = reader.exchanges(None).map(Result::unwrap).collect();
        assert_eq!(read, [plain(0, 0, 0)]);
    }
}

/// Two recordings put together: what was known of the second's connections goes with their numbers.
#[test]
fn recordings_that_are_put_together_keep_when_their_connections_closed() {
    let folder = tempfile::tempdir().unwrap();
    for (at, name) in [(0, "a.parquet"), (1, "b.parquet")] {
        let mut known = header();
        known.closings.add(0, Duration::from_secs(9));
        let mut writer = RecordingWriter::create(&folder.path().join(name)).unwrap();
        writer.push(plain(at, 0, 0)).unwrap();
        writer.finish(known).unwrap();
    }
    let ran = peakhour(folder.path(), &["import", "a.parquet", "b.parquet", "-o", "c.parquet"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let reader = RecordingReader::open(&folder.path().join("c.parquet")).unwrap();
    let closed = [0, 1].map(|number| reader.header().closings.of(number));
    assert_eq!(closed, [Some(Duration::from_secs(9)); 2]);
}

/// The same through the proxy: a client that half closes, and one that stays for a while.
#[test]
fn a_proxy_records_how_connections_end_and_bodies_were_chunked() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = upstream.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in upstream.incoming().flatten() {
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut some = [0; 1024];
                while let Ok(count) = stream.read(&mut some) {
                    seen.extend_from_slice(&some[..count]);
                    // The body of the one ends with its side of the connection.
                    let is_over = count == 0 || seen.starts_with(b"GET");
                    if is_over && stream.write_all(OK.as_bytes()).is_err() || count == 0 {
                        return;
                    }
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (proxy, port) = record::start(folder.path(), port, &["--keep-secrets", "--grace", "1s"]);
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let mut half = connect();
    half.write_all(CHUNKED.replace("HOST", "shop.example").as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    reads(&mut half, OK);
    assert_eq!(half.read(&mut [0]).unwrap(), 0);
    let mut stays = connect();
    stays.write_all(GET.as_bytes()).unwrap();
    reads(&mut stays, OK);
    let stay = Duration::from_millis(300);
    thread::park_timeout(stay);
    drop(stays);
    thread::park_timeout(stay);
    assert_eq!(record::end(proxy).0, Some(0));
    let (reader, exchanges) = record::recorded(&folder.path().join("live.parquet"));
    let flags: Vec<_> = exchanges.iter().map(|it| it.flags.contains(Flags::HALF_CLOSED)).collect();
    assert_eq!(flags, [true, false]);
    let chunks = "003\r\n\r\nA;name=\"v\"\r\n\r\n1\r\n\r\n000\r\nX-Sum: 12\r\nx-empty:\r\n\r\n";
    assert_eq!(exchanges[0].request_chunks.as_deref(), Some(chunks.as_bytes()));
    for (exchange, held) in exchanges.iter().zip([Duration::ZERO, stay / 2]) {
        let answered = exchange.at + exchange.response.as_ref().unwrap().last_byte.unwrap();
        let closed = reader.header().closings.of(exchange.connection).unwrap();
        assert!(closed + Duration::from_millis(1) >= answered + held, "{closed:?} {answered:?}");
    }
}

/// A target that gives no leave and talks unasked: what it did is in the report, and nobody's fate.
#[test]
fn what_was_odd_on_connections_is_told() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = target.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in target.incoming().flatten() {
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut some = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut some) {
                    seen.extend_from_slice(&some[..count]);
                    let text = String::from_utf8_lossy(&seen).into_owned();
                    if text.starts_with("PUT") && !text.ends_with("body") {
                        continue;
                    }
                    let unasked = if text.starts_with("GET /first") { CONTINUE } else { "" };
                    stream.write_all(OK.as_bytes()).unwrap();
                    pause();
                    stream.write_all(unasked.as_bytes()).unwrap();
                    seen.clear();
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let put = r"PUT /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let line = |at: u64, connection: u64, rest: &str| {
        let at = at * 1_000_000;
        format!(r#"{{"at_ns":{at},"connection":{connection},"authority":"a",{rest}}}"#)
    };
    let lines = [
        line(0, 0, r#""method":"GET","target":"/first""#),
        line(
            10,
            1,
            &format!(
                r#""method":"PUT","target":"/b","request_head":"{put}","request_body":"body""#
            ),
        ),
        line(600, 0, r#""method":"GET","target":"/second""#),
    ];
    let run = |lines: &[String]| {
        fs::write(folder.path().join("r.jsonl"), lines.join("\n")).unwrap();
        let scenario = format!(
            "name: odd\nrecording: r.jsonl\ntolerance: ci\nmethods: all\n\
             target: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}\n"
        );
        fs::write(folder.path().join("s.yaml"), scenario).unwrap();
        let ran = peakhour(folder.path(), &["run", "s.yaml", "--out", "json=run.json"]);
        let text = fs::read_to_string(folder.path().join("run.json")).expect(&ran.stderr);
        (serde_json::from_str::<serde_json::Value>(&text).unwrap(), ran.stdout)
    };
    let (report, told) = run(&lines);
    assert_eq!(report["totals"]["answered"], 3, "{told}");
    let expected = serde_json::json!({ "sent_again": 0, "unasked": 1, "without_leave": 1 });
    assert_eq!(report["oddities"], expected, "{told}");
    assert!(told.contains("unasked answers: 1 · bodies sent without leave: 1"), "{told}");
    let (report, told) = run(&lines[2..]);
    assert_eq!((&report["oddities"], told.contains("oddities")), (&serde_json::Value::Null, false));
}
