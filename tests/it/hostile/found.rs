//! What becomes of exchanges after they were read: they are redacted, recorded, exchanged.

use std::cell::RefCell;
use std::io::Cursor;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use peakhour::capture::import::Found;
use peakhour::capture::source::Source;
use peakhour::model::Model;
use peakhour::model::draw::exchange::Writer;
use peakhour::model::draw::{Draw, Options};
use peakhour::model::file::read::from_text;
use peakhour::model::file::write;
use peakhour::protocol::Protocol;
use peakhour::recording::file::check;
use peakhour::recording::jsonl::{read_lines, write_line};
use peakhour::recording::redaction::key::Key;
use peakhour::recording::redaction::policy::Policy;
use peakhour::recording::redaction::{KeySource, Redactor};
use peakhour::recording::{Exchange, Flags};

/// Moments from here on are taken for wall clocks: a clock that jumped by decades is no offset
/// that JSON Lines accept.
const DECADES: Duration = Duration::from_hours(29 * 365 * 24);

thread_local! {
    // Patterns take milliseconds to make ready.
    static FILLER: RefCell<Redactor> = RefCell::new(Redactor::filler());
    static PSEUDONYMS: RefCell<Redactor> = RefCell::new(Redactor::new(
        &Policy::default(),
        Key::from_secret(b"for tests"),
        KeySource::File,
    ));
}

/// Reads twice: both readings are the same.
pub(crate) fn twice<T: PartialEq>(read: impl Fn() -> Option<T>) -> Option<T> {
    let (first, second) = (read(), read());
    assert!(first == second, "two readings differ");
    first
}

pub(crate) fn exchanges_of(found: Vec<Found>) -> Vec<Exchange> {
    let exchange = |found| match found {
        Found::Exchange(exchange) => Some(exchange),
        Found::OrphanResponse { .. } => None,
    };
    found.into_iter().filter_map(exchange).collect()
}

/// What was found can be recorded, passes through redaction, and through JSON Lines without a
/// change.
pub(crate) fn survives(mut exchanges: Vec<Exchange>) {
    exchanges.retain(|exchange| exchange.at < DECADES);
    let mut lines = Vec::new();
    for exchange in &mut exchanges {
        assert!(exchange.request_body.len() as u64 <= exchange.request_body_bytes);
        redactable(exchange.clone());
        redact(exchange, &FILLER);
        write_line(exchange, &mut lines).unwrap();
    }
    if exchanges.is_empty() {
        return;
    }
    let mut read = Vec::new();
    let mut keep = |exchange| {
        read.push(exchange);
        Ok(())
    };
    let imported = read_lines(&mut Cursor::new(lines), "lines", &mut keep).unwrap();
    assert_eq!(imported.first_bad, None);
    assert!(read == exchanges, "JSON Lines changed an exchange");
}

/// It can be recorded, as it is and with pseudonyms.
pub(crate) fn redactable(mut exchange: Exchange) {
    check(&exchange).unwrap();
    redact(&mut exchange, &PSEUDONYMS);
}

fn redact(exchange: &mut Exchange, redactor: &'static std::thread::LocalKey<RefCell<Redactor>>) {
    let lengths = |it: &Exchange| {
        [it.request_head.len(), it.target.len(), it.request_body.len(), it.authority.len()]
    };
    let before = lengths(exchange);
    redactor.with_borrow_mut(|redactor| redactor.redact(exchange));
    assert_eq!(lengths(exchange), before, "redaction changed a length");
    check(exchange).unwrap();
}

/// A request of nothing.
pub(crate) fn plain() -> Exchange {
    Exchange {
        at: Duration::ZERO,
        connection: 0,
        session: 0,
        seq: 0,
        stream: None,
        protocol: Protocol::Http1,
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: "shop.example".to_owned(),
        target: String::new(),
        route: String::new(),
        request_head: Bytes::new(),
        request_body: Bytes::new(),
        request_body_bytes: 0,
        request_stored: None,
        request_chunks: None,
        response: None,
        flags: Flags::default(),
    }
}

/// Bytes as a capture that is read.
pub(crate) fn source(bytes: &[u8]) -> Option<Source> {
    Source::from_reader("hostile", Box::new(Cursor::new(bytes.to_vec()))).ok()
}

/// The two ends of every connection.
pub(crate) fn ends() -> [SocketAddr; 2] {
    [SocketAddr::from(([10, 0, 0, 1], 50_000)), SocketAddr::from(([10, 0, 0, 2], 80))]
}

/// A model, if it is one.
pub(crate) fn model(bytes: &[u8]) -> Option<Model> {
    from_text(&String::from_utf8_lossy(bytes), "hostile").ok()
}

/// A model is written and read alike, and what is drawn of it can be recorded.
pub(crate) fn written_and_drawn(model: &Model) {
    let written = write(model);
    assert_eq!(from_text(&written, "written").ok().as_ref(), Some(model), "{written}");
    let options = Options { seed: 1, length: None, scale: 1.0 };
    let mut draw = Draw::new(model, options);
    let writer = Writer::new(draw.model());
    let mut last = Duration::ZERO;
    for one in draw.by_ref().take(200) {
        let exchange = writer.exchange(&one);
        assert!(exchange.at >= last, "{:?} before {last:?}", exchange.at);
        last = exchange.at;
        check(&exchange).unwrap();
    }
}
