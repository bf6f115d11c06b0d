//! The ways in which a server refuses what is too large, each told apart and found to the byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::payloads::{finding, run, sweep};
use crate::rehearsal::alone;

/// Bodies above this are refused.
const LIMIT: usize = 20_000;

/// What happens to a body that is too large.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Answer(u16),
    Reset,
    Close,
    Silence,
}

/// A server with a thread for each connection.
fn server(refusal: Refusal) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, refusal));
        }
    });
    port
}

fn serve(mut stream: TcpStream, refusal: Refusal) {
    let mut seen = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        let head = seen.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            // All of it is read in any case: what is not would turn every end into a reset.
            if seen.len() >= head + length {
                if length > LIMIT {
                    return refuse(stream, refusal);
                }
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                    return;
                }
                seen.drain(..head + length);
                continue;
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
}

fn refuse(mut stream: TcpStream, refusal: Refusal) {
    match refusal {
        Refusal::Answer(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
        Refusal::Reset => {
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        Refusal::Close => {}
        Refusal::Silence => {
            let _ = stream.read(&mut [0; 16]); // Until the client gives up.
        }
    }
}

#[test]
fn every_refusal_is_told_apart_and_found_to_the_byte() {
    let _alone = alone();
    let status = |status: u16| json!({ "status": status });
    let twins: [(Refusal, Value, &str); 8] = [
        (Refusal::Answer(413), status(413), "answered 413"),
        (Refusal::Answer(414), status(414), "answered 414"),
        (Refusal::Answer(431), status(431), "answered 431"),
        (Refusal::Answer(400), status(400), "answered 400"),
        (Refusal::Answer(502), status(502), "answered 502"),
        (Refusal::Reset, json!("reset"), "cut off by a reset"),
        (Refusal::Close, json!("closed"), "cut off without an answer"),
        (Refusal::Silence, json!("timed-out"), "not answered in time"),
    ];
    for (refusal, fate, told) in twins {
        let port = server(refusal);
        let folder = tempfile::tempdir().unwrap();
        let scenario = format!(
            "target: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}\nmethods: all\n\
             limits: {{ response_timeout: 500ms }}\n\
             acts:\n  - payloads: {{ repeats: 3, max: 64KiB, budget: 60s }}\n"
        );
        let (ran, report) = run(folder.path(), 32_768, &scenario);
        let shown = format!("{refusal:?}\n{}\n{}", ran.stdout, ran.stderr);
        let boundary = &sweep(&report, "http-request")["boundary"];
        assert_eq!(boundary["accepted"], LIMIT, "{boundary}\n{shown}");
        assert_eq!(boundary["refused"], LIMIT + 1, "{boundary}\n{shown}");
        assert_eq!(boundary["fate"], fate, "{shown}");
        let found = finding(&report, "payload-limit", "request bodies at POST /sync");
        assert_eq!(found["outcome"], "fail", "production's 32 KiB are refused: {found:#}");
        assert!(found["title"].as_str().unwrap().contains(told), "{found:#}");
    }
}
