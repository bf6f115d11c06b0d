//! In recordings: written, read, merged, redacted, told as JSON Lines; and damaged ones.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use proptest::prelude::*;
use tempfile::tempdir;

use peakhour::protocol::Protocol;
use peakhour::recording::file::CELL_BYTES_MAX;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::{RecordingWriter, SORT_BYTES};
use peakhour::recording::stored::STORED_FROM;
use peakhour::recording::{Exchange, Flags};

use super::{MIB, noise, put, sha256, write};
use crate::exchanges::{header, plain};
use crate::support::peakhour;

fn rows(path: &Path) -> Vec<Exchange> {
    RecordingReader::open(path).unwrap().exchanges(None).map(Result::unwrap).collect()
}

/// The whole body of a row, wherever it stands.
fn body(row: &Exchange) -> Vec<u8> {
    let held = row.request_body.to_vec();
    row.request_stored.as_ref().map_or(held, |stored| stored.front(usize::MAX).unwrap())
}

#[test]
fn only_whole_bodies_of_http_over_the_limit_are_apart_from_their_rows() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("peak.parquet");
    let bytes = noise(1, STORED_FROM + 1);
    let large = put("a", &bytes, "");
    let cut = Exchange { request_body_bytes: large.request_body_bytes + 1, ..large.clone() };
    let redis = Exchange { protocol: Protocol::Redis, ..large.clone() };
    let http2 = super::in_http2(large.clone());
    write(&path, [large, put("b", &bytes[1..], ""), cut, redis, http2]);
    let rows = rows(&path);
    let apart: Vec<bool> = rows.iter().map(|row| row.request_stored.is_some()).collect();
    assert_eq!(apart, [true, false, false, false, true]);
    assert!(rows[0].request_body.is_empty() && body(&rows[0]) == bytes);
    let stored = rows[0].request_stored.as_ref().unwrap();
    assert_eq!(stored.digest(), Some(&sha256(&bytes)));
    assert!(body(&rows[1]) == bytes[1..] && body(&rows[2]) == bytes);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

/// However late exchanges come, and through however many runs they go.
#[test]
fn each_row_keeps_its_own_body_however_it_was_sorted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("peak.parquet");
    for sort_bytes in [0, 3_000, SORT_BYTES] {
        let mut writer = RecordingWriter::create_within(&path, sort_bytes).unwrap();
        for number in [5_u64, 1, 3, 0, 2, 4] {
            let bytes = noise(number, STORED_FROM + 1 + usize::try_from(number).unwrap());
            let small = plain(number * 10 + 1, 1, u32::try_from(number).unwrap());
            writer.push(small).unwrap();
            writer
                .push(Exchange { at: plain(number * 10, 0, 0).at, ..put("a", &bytes, "") })
                .unwrap();
        }
        assert!(writer.size() > 6 * STORED_FROM as u64);
        writer.finish(header()).unwrap();
        let rows = rows(&path);
        assert_eq!(rows.len(), 12);
        let large = rows.iter().filter(|row| row.method == "PUT");
        for (number, row) in (0..).zip(large) {
            let length = STORED_FROM + 1 + usize::try_from(number).unwrap();
            assert!(body(row) == noise(number, length), "{number}, within {sort_bytes}");
        }
    }
}

/// Other programs read the rows, and nothing else.
#[test]
fn what_stands_behind_the_rows_is_checked_before_it_is_believed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("peak.parquet");
    let bytes = noise(7, 2 * MIB);
    write(&path, [put("a", &bytes, ""), put("b", &noise(8, 2 * MIB), "")]);
    let whole = fs::read(&path).unwrap();
    let at = memchr::memmem::find(&whole, &bytes[..64]).unwrap();
    let list = at + 4 * MIB;
    let with = |place: usize, change: &[u8]| {
        fs::write(&path, &whole).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(place as u64)).unwrap();
        file.write_all(change).unwrap();
        RecordingReader::open(&path).and_then(|reader| reader.exchanges(None).collect())
    };
    let unharmed: Vec<Exchange> = with(at, &bytes[..1]).unwrap();
    assert!(unharmed.iter().all(|row| row.request_stored.as_ref().unwrap().check().is_ok()));
    let flipped: Vec<Exchange> = with(at + 5, &[bytes[5] ^ 1]).unwrap();
    let error = flipped[0].request_stored.as_ref().unwrap().check().unwrap_err().to_string();
    assert!(error.contains("peak.parquet: body 0") && error.contains("SHA-256"), "{error}");
    assert!(flipped[1].request_stored.as_ref().unwrap().check().is_ok());
    for (place, change, said) in [
        (list, &u64::MAX.to_le_bytes(), "not within the file"),
        (list, &(list as u64).to_le_bytes(), "not within the file"),
        (list + 8, &1_u64.to_le_bytes(), "not as long as `request_body_bytes` says"),
        (list + 48 + 8, &0_u64.to_le_bytes(), "not as long as"),
    ] {
        let error = with(place, change).unwrap_err().to_string();
        assert!(error.contains("`request_stored`, row") && error.contains(said), "{error}");
    }
}

/// Two files as one: bodies go over, secrets in them are replaced, and lines have them whole.
#[test]
fn bodies_pass_through_merging_redaction_and_json_lines() {
    let folder = tempdir().unwrap();
    let secret = b"pin=987654321&a=";
    let text = [&secret[..], &vec![b'x'; 3 * MIB]].concat();
    let binary = noise(3, 2 * MIB);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    write(&folder.path().join("a.parquet"), [put("form", &text, form)]);
    write(&folder.path().join("b.parquet"), [put("file", &binary, "")]);
    let two = ["import", "a.parquet", "b.parquet"];
    let all = peakhour(folder.path(), &[&two[..], &["-o", "all.parquet"]].concat());
    assert_eq!(all.code, 0, "{all:?}");
    assert!(all.stderr.contains("1 binary body"), "{all:?}");
    let rows = rows(&folder.path().join("all.parquet"));
    assert!(body(&rows[1]) == binary && !rows[1].flags.contains(Flags::REDACTED));
    let form = body(&rows[0]);
    assert!(rows[0].flags.contains(Flags::REDACTED) && form.len() == text.len());
    assert!(form.starts_with(b"pin=") && !form.starts_with(secret));
    assert!(form[secret.len()..] == text[secret.len()..]);
    assert!(rows.iter().all(|row| row.request_stored.as_ref().unwrap().check().is_ok()));

    let lines = [&two[..], &["--keep-secrets", "--jsonl", "all.jsonl"]].concat();
    let lines = peakhour(folder.path(), &lines);
    assert!(lines.code == 0 && !lines.stderr.contains("over 64 MiB"), "{lines:?}");
    let back = ["import", "all.jsonl", "--keep-secrets", "-o", "back.parquet"];
    assert_eq!(peakhour(folder.path(), &back).code, 0);
    let rows = self::rows(&folder.path().join("back.parquet"));
    assert!(body(&rows[0]) == text && body(&rows[1]) == binary);
}

/// A line holds 64 MiB of a body; what is larger is told, and not made up.
#[test]
fn a_body_that_fits_into_no_line_is_told_and_marked() {
    let folder = tempdir().unwrap();
    let bytes = vec![0; CELL_BYTES_MAX + 1];
    write(&folder.path().join("a.parquet"), [put("a", &bytes, "")]);
    write(&folder.path().join("b.parquet"), [put("b", b"", "")]);
    let ran = peakhour(folder.path(), &["import", "a.parquet", "b.parquet", "--jsonl", "l.jsonl"]);
    assert!(ran.code == 0 && ran.stderr.contains("1 body is over 64 MiB"), "{ran:?}");
    let back = peakhour(folder.path(), &["import", "l.jsonl", "-o", "back.parquet"]);
    assert_eq!(back.code, 0, "{back:?}");
    let row = rows(&folder.path().join("back.parquet")).remove(0);
    assert!(row.flags.contains(Flags::REQUEST_TRUNCATED) && row.request_stored.is_none());
    assert_eq!(row.request_body_bytes, bytes.len() as u64);
}

/// What a damaged body would be copied into says so, instead of making it look whole.
#[test]
fn a_damaged_body_is_not_merged() {
    let folder = tempdir().unwrap();
    let bytes = noise(9, 2 * MIB);
    let path = folder.path().join("a.parquet");
    write(&path, [put("a", &bytes, "")]);
    write(&folder.path().join("b.parquet"), [put("b", b"", "")]);
    let mut whole = fs::read(&path).unwrap();
    let at = memchr::memmem::find(&whole, &bytes[..64]).unwrap();
    whole[at + MIB] ^= 1;
    fs::write(&path, whole).unwrap();
    let ran = peakhour(folder.path(), &["import", "a.parquet", "b.parquet", "-o", "all.parquet"]);
    assert!(ran.code == 104 && ran.stderr.contains("SHA-256 differs"), "{ran:?}");
    assert!(!folder.path().join("all.parquet").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For all entries of the footer and all lists: an error or rows, and never a panic.
    #[test]
    fn any_list_of_bodies_is_read_or_refused(
        change in prop::collection::vec(any::<u8>(), 1..60),
        back in 0_usize..3_000,
    ) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("peak.parquet");
        write(&path, [put("a", &noise(1, STORED_FROM + 1), "")]);
        let mut whole = fs::read(&path).unwrap();
        let from = whole.len().saturating_sub(back);
        for (byte, change) in whole.iter_mut().skip(from).zip(change) {
            *byte = change;
        }
        fs::write(&path, whole).unwrap();
        if let Ok(reader) = RecordingReader::open(&path) {
            for row in reader.exchanges(None).map_while(Result::ok) {
                row.request_stored.map(|stored| stored.check());
            }
        }
    }
}
