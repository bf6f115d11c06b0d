//! Requests that are rewritten on their way, as small servers see them that write down what they
//! are asked.

mod hosts;
mod targets;
mod cookies;
mod tokens;
mod hook;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::support::{Ran, peakhour_with};

/// A request as a server got it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Number of its connection, from 0.
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    /// Method and target.
    pub(crate) fn line(&self) -> String {
        self.head.split(" HTTP/").next().unwrap().to_owned()
    }

    /// The values of a header, joined.
    pub(crate) fn header(&self, name: &str) -> String {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let named = lines.filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).collect::<Vec<_>>().join("|")
    }
}

/// A server of this test. It lives as long as the test does.
pub(crate) struct App {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl App {
    /// Answers each request with what `answer` says: everything behind `HTTP/1.1 `.
    pub(crate) fn start(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, answer, count) = (Arc::clone(&seen), Arc::new(answer), AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                let number = count.fetch_add(1, SeqCst);
                thread::spawn(move || serve(stream, number, &all, &*answer));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    all: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> String,
) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = |line: &str| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            };
            let length = head.lines().find_map(length).unwrap_or(0);
            if body.len() >= length {
                let asked =
                    Asked { connection, head: head.to_owned(), body: body[..length].to_owned() };
                let answer = answer(&asked);
                all.lock().unwrap().push(asked);
                bytes.drain(..head.len() + 4 + length);
                if stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).is_err() {
                    return;
                }
                continue;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
}

/// An answer with a body.
pub(crate) fn ok(lines: &str, body: &str) -> String {
    format!("200 OK\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Writes a recording of lines of JSON.
pub(crate) fn record(folder: &Path, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
}

/// Runs a scenario of that recording, and gives back what was reported.
pub(crate) fn run(folder: &Path, keys: &str, environment: &[(&str, &str)]) -> (Ran, Value) {
    let text =
        format!("# A test.\nname: t\nrecording: r.jsonl\ntolerance: ci\nmethods: all\n{keys}");
    fs::write(folder.join("s.yaml"), text).unwrap();
    let ran = peakhour_with(folder, &["run", "s.yaml", "--out", "json=run.json"], environment);
    let json = fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    let _ = fs::remove_file(folder.join("run.json"));
    (ran, serde_json::from_str(&json).unwrap_or(Value::Null))
}
