//! Aim: captures of one time are one capture, in whatever order they are named.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use peakhour::capture::import::{Found, Imported, read_capture};
use peakhour::capture::segments::{Part, read_merged};
use peakhour::capture::source::Source;
use peakhour::recording::ledger::Ledger;

use crate::support::root;
use crate::talk::{GET, OK, Piece, Talk, lines, named_file_of};
use crate::wire::{
    MICROSECONDS, Order, block, ethernet, ipv4, ipv4_fragment, pcap_header, record, section, tcp,
};

fn talk() -> Talk {
    let mut talk = Talk::new();
    for _ in 0..4 {
        talk.client(GET).server(&OK[..30]).server(&OK[30..]);
    }
    talk
}

fn import(sources: Vec<Source>) -> (Vec<Found>, Imported) {
    let mut found = Vec::new();
    let imported = read_capture(sources, &mut |one| found.push(one)).unwrap();
    assert!(imported.ledger.reconciles(), "{:#?}", imported.ledger);
    (found, imported)
}

/// Every third piece, from each of three beginnings.
fn thirds(pieces: &[Piece]) -> [Vec<Piece>; 3] {
    [0, 1, 2].map(|first| pieces.iter().skip(first).step_by(3).cloned().collect())
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn interleaved_captures_are_one_capture_in_any_order() {
    let talk = talk();
    let whole = import(vec![named_file_of("whole", &talk.pieces)]);
    assert_eq!(lines(&whole.0), ["GET /a 0 > 200 5"; 4]);
    let parts = thirds(&talk.pieces);
    for order in ORDERS {
        let named = |at: usize| named_file_of(&format!("part {at}"), &parts[at]);
        assert_eq!(import(order.map(named).into()), whole, "{order:?}");
    }
}

#[test]
fn pieces_of_one_capture_may_be_named_in_any_order() {
    let talk = talk();
    let whole = import(vec![named_file_of("whole", &talk.pieces)]);
    let pieces: Vec<&[Piece]> = talk.pieces.chunks(talk.pieces.len() / 3 + 1).collect();
    for order in ORDERS {
        let named = |at: usize| named_file_of(&format!("piece {at}"), pieces[at]);
        assert_eq!(import(order.map(named).into()), whole, "{order:?}");
    }
}

#[test]
fn what_two_interfaces_saw_counts_once() {
    let talk = talk();
    let mut later = talk.pieces.clone();
    for piece in &mut later {
        piece.at_ns += 200_000;
    }
    let whole = import(vec![named_file_of("whole", &talk.pieces)]);
    let twice = import(vec![named_file_of("far", &later), named_file_of("near", &talk.pieces)]);
    assert_eq!(twice.0, whole.0);
    let bytes = whole.1.ledger.stream_bytes.total;
    assert_eq!(twice.1.ledger.stream_bytes.total, 2 * bytes);
    assert_eq!(twice.1.ledger.stream_bytes.count("retransmitted"), bytes);
    assert_eq!(
        twice.1.warnings,
        ["captures overlap in time and 296 of 592 payload bytes were captured again, as at two \
          interfaces: each is used once"]
    );
    assert_eq!(whole.1.warnings, [""; 0]);
}

/// A file of one frame a second, by the second.
fn frames(name: &str, link: u32, frames: &[(u32, Vec<u8>)]) -> Source {
    let mut file = pcap_header(Order::Little, MICROSECONDS, link);
    for (second, frame) in frames {
        file.extend(record(Order::Little, *second, 0, frame));
    }
    Source::from_reader(name, Box::new(Cursor::new(file))).unwrap()
}

/// The payloads in the order in which they are read.
fn payloads(sources: Vec<Source>) -> (Vec<String>, Ledger) {
    let (mut found, mut ledger) = (Vec::new(), Ledger::default());
    read_merged(sources, &mut ledger, &mut |part| {
        if let Part::Segment(segment) = part {
            found.push(String::from_utf8(segment.payload.to_vec()).unwrap());
        }
    })
    .unwrap();
    assert!(ledger.reconciles(), "{ledger:#?}");
    (found, ledger)
}

fn raw(text: &str) -> Vec<u8> {
    ipv4(6, &tcp(text.as_bytes()))
}

#[test]
fn each_capture_has_its_own_link_type_and_a_datagram_may_lie_in_two() {
    let wired = |text: &str| ethernet(0x0800, &raw(text));
    let segment = tcp(b"in two parts");
    let first = ipv4_fragment(6, 0x2000, &segment[..24]);
    let second = ipv4_fragment(6, 3, &segment[24..]);
    let (found, ledger) = payloads(vec![
        frames("b", 1, &[(2, wired("2")), (5, ethernet(0x0800, &second))]),
        frames("a", 101, &[(1, raw("1")), (4, first), (6, raw("6"))]),
        frames("none", 101, &[]),
    ]);
    assert_eq!(found, ["1", "2", "in two parts", "6"]);
    assert_eq!(ledger.frames.count("ip fragment"), 2);
}

/// What follows a clock that stepped back is due at once, and not before what came before it.
#[test]
fn a_clock_that_steps_back_moves_nothing_within_its_file() {
    let stepping = [(1, raw("a1")), (5, raw("a5")), (2, raw("a2")), (7, raw("a7"))];
    let steady = [(3, raw("b3")), (5, raw("b5")), (6, raw("b6"))];
    for order in [[0, 1], [1, 0]] {
        let source = |at| {
            let (name, kept) = [("a", &stepping[..]), ("b", &steady[..])][at];
            frames(name, 101, kept)
        };
        let (found, _) = payloads(order.map(source).into());
        assert_eq!(found, ["a1", "b3", "a5", "a2", "b5", "b6", "a7"]);
    }
}

#[test]
fn what_is_wrong_is_said_of_the_file_that_has_it() {
    let mut cut = pcap_header(Order::Little, MICROSECONDS, 101);
    cut.extend(&record(Order::Little, 1, 0, &raw("x"))[..30]);
    let mut odd = section(Order::Little);
    odd.extend(block(Order::Little, 0x7777, &[]));
    let cut = Source::from_reader("cut", Box::new(Cursor::new(cut))).unwrap();
    let odd = Source::from_reader("odd", Box::new(Cursor::new(odd))).unwrap();
    let mut ledger = Ledger::default();
    let facts = read_merged(vec![odd, cut], &mut ledger, &mut |_| ()).unwrap();
    let warnings: Vec<&String> = facts.iter().flat_map(|facts| &facts.warnings).collect();
    assert_eq!(
        warnings,
        ["cut: the capture file is cut: what begins at byte 24 is not whole, its 30 bytes are \
          not used"]
    );
    assert_eq!(ledger.notes["capture file is cut"], 1);
    assert_eq!(ledger.notes["block of unknown type"], 1);
}

/// Records of a pcap file in little-endian microseconds, and its header.
fn records(file: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, mut rest) = file.split_at(24);
    let mut records = Vec::new();
    while rest.len() > 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, behind) = rest.split_at(16 + length);
        records.push(record);
        rest = behind;
    }
    (header, records)
}

fn jsonl(folder: &Path, captures: &[&str], piped: &[&[u8]]) -> String {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .current_dir(folder)
        .arg("import")
        .args(captures)
        // Without the redaction, whose key is another in each import.
        .args(["--keep-secrets", "--jsonl", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    // A pipe that grows record by record, as that of tcpdump does.
    for record in piped {
        stdin.write_all(record).unwrap();
        stdin.flush().unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap()
}

#[test]
fn a_real_capture_cut_into_interleaved_files_is_the_same_recording() {
    let folder = tempfile::tempdir().unwrap();
    let packed = File::open(root().join("captures/nginx-first/peak.pcap.gz")).unwrap();
    let mut file = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut file).unwrap();
    let (header, records) = records(&file);
    fs::write(folder.path().join("whole.pcap"), &file).unwrap();
    // Frames of one time stay in one file, since nothing tells their order in two.
    let mut parts = [header.to_vec(), header.to_vec(), header.to_vec()];
    let (mut part, mut before) = (0, &[][..]);
    for record in &records {
        part = if &record[..8] == before { part } else { (part + 1) % 3 };
        before = &record[..8];
        parts[part].extend(*record);
    }
    for (number, part) in parts.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.pcap")), part).unwrap();
    }
    let whole = jsonl(folder.path(), &["whole.pcap"], &[]);
    assert!(whole.lines().count() > 100);
    assert!(jsonl(folder.path(), &["2.pcap", "0.pcap", "1.pcap"], &[]) == whole);
    let piped: Vec<&[u8]> = parts[2].chunks(700).collect();
    assert!(jsonl(folder.path(), &["1.pcap", "-", "0.pcap"], &piped) == whole);
}
