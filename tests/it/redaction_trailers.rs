//! What stands around the bytes of a chunked body may hold secrets, too.

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::redaction::key::Key;
use peakhour::recording::redaction::policy::Policy;
use peakhour::recording::redaction::{KeySource, Redactor};
use peakhour::recording::{Exchange, Flags};

use crate::exchanges::{header, plain};

const SECRET: &str = "a;sig=ab1\r\n\r\n0;s3cret\r\nExpires: 0\r\nAuthorization: Bearer s3cret\r\n\
                      Referer: /?api_key=s3cret\r\n\r\n";

fn redacted(chunks: &str) -> Exchange {
    let mut exchange =
        Exchange { request_chunks: Some(chunks.to_owned().into()), ..plain(0, 0, 0) };
    let key = Key::from_secret(b"key");
    Redactor::new(&Policy::default(), key, KeySource::Random).redact(&mut exchange);
    exchange
}

fn chunks(exchange: &Exchange) -> Option<&str> {
    exchange.request_chunks.as_deref().map(|chunks| str::from_utf8(chunks).unwrap())
}

/// Sizes and names stay, and so does the length.
#[test]
fn trailers_are_redacted_as_headers_are() {
    let exchange = redacted(SECRET);
    let after = chunks(&exchange).unwrap();
    assert!(exchange.flags.contains(Flags::REDACTED));
    assert!(
        after.starts_with("a;xxxxxxx\r\n\r\n0;xxxxxx\r\nExpires: 0\r\nAuthorization: "),
        "{after}"
    );
    assert!(after.contains("\r\nReferer: /?api_key=") && after.ends_with("\r\n\r\n"), "{after}");
    assert!(!after.contains("s3cret") && after.len() == SECRET.len(), "{after}");
    let plain = "1\r\n\r\n0\r\nX-Sum: 12\r\n\r\n";
    let exchange = redacted(plain);
    assert_eq!((chunks(&exchange), exchange.flags), (Some(plain), Flags::default()));
}

/// Nobody knows where its secrets are.
#[test]
fn what_is_broken_is_not_kept() {
    for broken in ["1\r\n\r\n0\r\nAuthorization: Bearer s3cret", "Authorization: s3cret", ""] {
        let exchange = redacted(broken);
        assert_eq!(chunks(&exchange), None);
        assert!(exchange.flags.contains(Flags::REDACTED));
    }
}

/// Of all that is read of a file: its bytes are compressed, and would hide a secret from a search.
#[test]
fn no_secret_is_read_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.parquet");
    let plain = Exchange { request_chunks: Some(SECRET.into()), ..plain(0, 0, 0) };
    for (exchange, is_there) in [(plain, true), (redacted(SECRET), false)] {
        let mut writer = RecordingWriter::create(&path).unwrap();
        writer.push(exchange.clone()).unwrap();
        writer.finish(header()).unwrap();
        let read = RecordingReader::open(&path).unwrap().exchanges(None).next().unwrap().unwrap();
        assert_eq!(read, exchange);
        assert_eq!(format!("{read:?}").contains("s3cret"), is_there);
    }
}
