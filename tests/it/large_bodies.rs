//! Aim: bodies that are too large for memory are recorded, kept and sent whole, and what is wrong
//! with one is told before anything is sent.

mod kept;
mod recorded;
mod sent;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use peakhour::protocol::Protocol;
use peakhour::recording::Exchange;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::stored::spool::Spool;

use crate::exchanges::{header, plain};
use crate::servers::{self, Server};
use crate::support::{Ran, peakhour};

const MIB: usize = 1 << 20;

/// Bytes that are no text, and of which no two stretches are alike.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(count + 8);
    while noise.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(count);
    noise
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// nginx that keeps what is put, with a line a request of how long it was; `listen` says what it
/// speaks.
fn storage(listen: &str) -> Option<Server> {
    // Whoever it works as can write into its folder.
    servers::nginx("user root;", "", |port, folder| {
        fs::create_dir(folder.join("www")).unwrap();
        format!(
            "log_format seen '$request_method $uri $status $request_length';\n\
             client_max_body_size 0; server {{ listen 127.0.0.1:{port} {listen};\n\
             access_log {at}/seen.log seen; root {at}/www; dav_methods PUT; }}",
            at = folder.display()
        )
    })
}

/// What was put, and the file of it is gone.
fn taken(server: &Server, name: &str) -> Vec<u8> {
    let path = server.folder().join("www").join(name);
    let bytes = fs::read(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    bytes
}

fn log(server: &Server) -> Vec<String> {
    let text = fs::read_to_string(server.folder().join("seen.log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A request that puts a body, with further lines in its head. It says how long the body is, unless
/// a line says that it is chunked.
fn put(name: &str, body: &[u8], lines: &str) -> Exchange {
    let length = if lines.contains("chunked") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("PUT /{name} HTTP/1.1\r\nHost: a.example\r\n{length}{lines}\r\n");
    Exchange {
        method: "PUT".to_owned(),
        target: format!("/{name}"),
        request_head: head.into(),
        request_body: Bytes::copy_from_slice(body),
        request_body_bytes: body.len() as u64,
        ..plain(0, 0, 0)
    }
}

/// The same for a body that is made a piece at a time.
fn put_repeated(name: &str, piece: &[u8], count: usize, spool: &Arc<Spool>) -> Exchange {
    let mut stored = spool.begin();
    for _ in 0..count {
        stored.append(piece).unwrap();
    }
    let length = format!("Content-Length: {}\r\n", stored.length());
    let plain = put(name, b"", &length);
    let head = String::from_utf8(plain.request_head.to_vec()).unwrap();
    Exchange {
        request_head: head.replace("Content-Length: 0\r\n", "").into(),
        request_body_bytes: stored.length(),
        request_stored: Some(stored),
        ..plain
    }
}

fn in_http2(exchange: Exchange) -> Exchange {
    Exchange { protocol: Protocol::Http2, stream: Some(1), ..exchange }
}

/// Writes a recording, each exchange on a connection of its own.
fn write(path: &Path, exchanges: impl IntoIterator<Item = Exchange>) {
    let mut writer = RecordingWriter::create(path).unwrap();
    for (connection, exchange) in (0..).zip(exchanges) {
        writer.push(Exchange { connection, ..exchange }).unwrap();
    }
    writer.finish(header()).unwrap();
}

fn scenario(folder: &Path, server: &Server) {
    scenario_with(folder, &format!("url: 'http://127.0.0.1:{}'", server.port), "");
}

fn scenario_with(folder: &Path, target: &str, more: &str) {
    let scenario = format!(
        "name: large\nrecording: peak.parquet\nmethods: all\ntolerance: ci\n\
         target: {{ {target}, allow: [127.0.0.1] }}\n{more}"
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
}

/// Replays it. What arrives does not depend on how busy this machine is, and the outcome does.
fn replayed(folder: &Path) -> Ran {
    let ran = peakhour(folder, &["run", "s.yaml"]);
    assert!([0, 98].contains(&ran.code), "{ran:?}");
    ran
}
