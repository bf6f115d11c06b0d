//! Dialogues with Redis, MySQL and PostgreSQL, written down byte by byte: what is an exchange, what
//! answers it, and what is counted instead.

use std::collections::BTreeMap;

use peakhour::capture::import::{Found, Imported};
use peakhour::protocol::resp::command;
use peakhour::recording::{Exchange, Flags};

use crate::talk::{Piece, Talk, import};

mod damage;
mod redis;

/// `METHOD target > head bytes`, then the flags.
pub(super) fn show(found: &Found) -> String {
    let Found::Exchange(exchange) = found else {
        let Found::OrphanResponse { body_bytes, .. } = found else { unreachable!() };
        return format!("- > {body_bytes:?}");
    };
    let Exchange { method, target, flags, .. } = exchange;
    let answer = exchange.response.as_ref().map_or("-".to_owned(), |it| {
        let bytes = it.body_bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
        let status = if it.status == 0 { String::new() } else { format!("{} ", it.status) };
        format!("{status}{} {bytes}", String::from_utf8_lossy(&it.head))
    });
    let names = [
        (Flags::REQUEST_TRUNCATED, " request-cut"),
        (Flags::RESPONSE_TRUNCATED, " response-cut"),
        (Flags::MID_STREAM, " mid-stream"),
        (Flags::PIPELINED, " pipelined"),
        (Flags::GAP, " gap"),
        (Flags::REDACTED, " redacted"),
        (Flags::ERROR_REPLY, " error"),
    ];
    let flags: String =
        names.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
    format!("{method} {target} > {answer}{flags}")
}

pub(super) fn check(talk: &Talk, expected: &[&str]) -> Imported {
    let (found, imported) = talk.import();
    let shown: Vec<String> = found.iter().map(show).collect();
    assert_eq!(shown, expected);
    imported
}

/// The same however the segments are cut.
pub(super) fn check_in_pieces(talk: &Talk, expected: &[&str]) -> Imported {
    let is_pipelined = |line: &String| line.replace(" pipelined", "");
    let wanted: Vec<String> =
        expected.iter().map(|line| is_pipelined(&(*line).to_owned())).collect();
    for size in 1..12 {
        let (found, imported) = import(&in_pieces(&talk.pieces, size));
        let shown: Vec<String> = found.iter().map(|it| is_pipelined(&show(it))).collect();
        assert_eq!(shown, wanted, "in pieces of {size}");
        assert_eq!(imported.ledger.notes, talk.import().1.ledger.notes);
    }
    check(talk, expected)
}

pub(super) fn in_pieces(pieces: &[Piece], size: usize) -> Vec<Piece> {
    let mut cut = Vec::new();
    for piece in pieces {
        if piece.payload.is_empty() {
            cut.push(piece.clone());
        }
        for (number, payload) in piece.payload.chunks(size).enumerate() {
            let seq = piece.seq.wrapping_add(u32::try_from(number * size).unwrap());
            cut.push(Piece { seq, payload: payload.to_vec(), ..piece.clone() });
        }
    }
    cut
}

pub(super) fn notes(imported: &Imported, expected: &[(&str, u64)]) {
    let expected: BTreeMap<String, u64> =
        expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(imported.ledger.notes, expected);
}

/// A command of Redis as clients send it.
pub(super) fn array(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let words: Vec<&[u8]> = words.into_iter().map(str::as_bytes).collect();
    String::from_utf8(command(&words)).unwrap()
}

/// Bytes as a text of which each character is one byte.
pub(super) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

fn greeting() -> Vec<u8> {
    let mut payload = b"\x0a8.0.30\0\x01\0\0\0challeng\0".to_vec();
    payload.extend_from_slice(&[0xa5, 0xae, 8, 2, 0, 0xff, 0x19, 21]);
    payload.extend_from_slice(&[0; 31]);
    packet(0, &payload)
}

fn login(capabilities: u32) -> Vec<u8> {
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend_from_slice(&[0, 0, 0, 1, 45]);
    payload.extend_from_slice(&[0; 23]);
    payload.extend_from_slice(b"root\0\x14hunter2hunter2hunter2");
    packet(1, &payload)
}

pub(super) const OK: &[u8] = b"\0\0\0\x02\0\0\0";

/// A connection to MySQL that is logged in.
pub(super) fn mysql() -> Talk {
    let mut talk = Talk::new();
    talk.say(false, &greeting()).say(true, &login(0x19ff_a685)).say(false, &packet(2, OK));
    talk
}

pub(super) fn query(statement: &str) -> Vec<u8> {
    packet(0, &[b"\x03\0\x01", statement.as_bytes()].concat())
}

#[test]
fn commands_of_mysql_and_their_responses() {
    let mut talk = mysql();
    let column = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
    talk.say(true, &query("select 1"));
    talk.say(false, &[packet(1, b"\x01"), packet(2, column)].concat());
    talk.say(false, &[packet(3, b"\x011"), packet(4, b"\xfe\0\0\x02\0\0\0")].concat());
    talk.say(true, &query("select x"));
    talk.say(false, &packet(1, b"\xff\x1e\x04#42S22Unknown column 'x'"));
    talk.say(true, &query("ALTER USER a IDENTIFIED BY 's3cret'"));
    talk.say(false, &packet(1, b"\xff\x28\x04#42000near 's3cret'"));
    talk.say(true, &packet(0, b"\x16select ?"));
    let prepared = b"\0\x07\0\0\0\0\0\x01\0\0\0\0";
    talk.say(false, &[packet(1, prepared), packet(2, column)].concat());
    talk.say(true, &packet(0, b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x08\0\x01"));
    talk.say(false, &packet(1, OK));
    talk.say(true, &[packet(0, b"\x19\x07\0\0\0"), packet(0, b"\x01")].concat());
    let imported = check_in_pieces(
        &talk,
        &[
            "QUERY select 1 >  49",
            "QUERY select x > 1054 #42S22Unknown column 'x' 31 error",
            "QUERY ALTER USER a IDENTIFIED BY 'xxxxxx' > 1064 #42000 26 redacted error",
            "STMT_PREPARE select ? >  43",
            "STMT_EXECUTE select ? >  11",
            "STMT_CLOSE select ? > -",
            "QUIT  > -",
        ],
    );
    notes(&imported, &[("connections with mysql", 1)]);
    let all = format!("{:?}", talk.import().0);
    assert!(!all.contains("hunter2") && !all.contains("s3cret"));
}

#[test]
fn mysql_that_is_refused_encrypted_or_compressed_is_counted() {
    let mut talk = Talk::new();
    talk.say(false, &packet(0, b"\xff\x10\x04Too many connections"));
    notes(
        &check_in_pieces(&talk, &[]),
        &[("connections with mysql", 1), ("mysql connections refused", 1)],
    );

    let mut talk = Talk::new();
    talk.say(false, &greeting()).say(true, &login(0x19ff_a685));
    talk.say(false, &packet(2, b"\xff\x15\x04#28000Access denied"));
    notes(
        &check_in_pieces(&talk, &[]),
        &[("connections with mysql", 1), ("mysql logins refused", 1)],
    );

    let mut talk = Talk::new();
    talk.say(false, &greeting());
    talk.say(
        true,
        &[packet(1, &login(0x19ff_ae85)[4..36]), b"\x16\x03\x01\x00\x05hello".to_vec()].concat(),
    );
    talk.say(false, b"\x16\x03\x03\x00\x05hello");
    let imported = check_in_pieces(&talk, &[]);
    assert_eq!(imported.ledger.stream_bytes.count("tls"), 20);

    let mut talk = Talk::new();
    talk.say(false, &greeting()).say(true, &login(0x19ff_a6a5)).say(false, &packet(2, OK));
    talk.say(true, b"\x09\0\0\0\0\0\0\x05\0\0\0\x03a=1;");
    let imported = check_in_pieces(&talk, &[]);
    assert_eq!(imported.ledger.stream_bytes.count("mysql compressed"), 16);
}

#[test]
fn mysql_from_the_middle_and_with_gaps() {
    let mut talk = Talk::under_way();
    talk.say(false, b"\x05\0\0\x09\xfe\0\0\x02\0").say(true, &packet(0, b"\x03select 1"));
    talk.say(false, &packet(1, OK)).say(true, &packet(0, b"\x0e")).say(false, &packet(1, OK));
    check(&talk, &["QUERY select 1 >  11 mid-stream", "PING  >  11 mid-stream"]);
    // Rows were lost: where the response ends nobody knows, but the next one is whole.
    let mut talk = mysql();
    talk.say(true, &query("select 1")).say(false, &packet(1, b"\x01"));
    talk.lose(false, "column and rows").say(false, &packet(9, b"\x011"));
    talk.say(true, &query("select 2")).say(false, &packet(1, OK)).acks(40);
    check(&talk, &["QUERY select 1 >  ? response-cut gap", "QUERY select 2 >  11"]);
}

pub(super) fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

pub(super) fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// A connection to PostgreSQL that is logged in.
pub(super) fn postgres() -> Talk {
    let mut talk = Talk::new();
    talk.say(true, b"\0\0\0\x08\x04\xd2\x16\x2f").server("N");
    talk.say(true, b"\0\0\0\x11\0\x03\0\0user\0me\0\0").say(false, &message(b'R', b"\0\0\0\x03"));
    talk.say(true, &message(b'p', b"hunter2\0"));
    talk.say(false, &[message(b'R', b"\0\0\0\0"), message(b'S', b"a\0b\0"), ready()].concat());
    talk
}

#[test]
fn commands_of_postgres_and_their_responses() {
    let mut talk = postgres();
    talk.say(true, &message(b'Q', b"select 1\0"));
    talk.say(false, &[message(b'T', b"\0\0"), message(b'D', b"\0\0")].concat());
    talk.say(false, &[message(b'C', b"SELECT 1\0"), ready()].concat());
    talk.say(true, &message(b'Q', b"select x\0"));
    let error = message(b'E', b"SERROR\0C42703\0Mcolumn \"x\" does not exist\0\0");
    talk.say(false, &[error, ready()].concat());
    // A statement for many, with one wait for all of it.
    talk.say(true, &message(b'P', b"s\0select $1\0\0\0"));
    let bind = message(b'B', b"\0s\0\0\0\0\x01\0\0\0\x011\0\0");
    let execute = message(b'E', b"\0\0\0\0\0");
    let all = [&bind[..], &execute, &bind, &execute, &message(b'S', b"")].concat();
    talk.say(true, &all);
    let done = [message(b'2', b""), message(b'C', b"SELECT 1\0")].concat();
    talk.say(false, &[&message(b'1', b"")[..], &done, &done, &ready()].concat());
    talk.say(true, &message(b'Q', b"ALTER ROLE me PASSWORD 's3cret'\0"));
    let error = message(b'E', b"SERROR\0C42601\0Mnear 's3cret'\0\0");
    talk.say(false, &[message(b'N', b"\0"), error, ready()].concat());
    talk.say(true, &message(b'X', b""));
    let imported = check_in_pieces(
        &talk,
        &[
            "QUERY select 1 > SELECT 1 34",
            "QUERY select x > 42703 column \"x\" does not exist 53 error",
            "PARSE select $1 >  5",
            "EXECUTE select $1 > SELECT 1 19 pipelined",
            "EXECUTE select $1 > SELECT 1 25 pipelined",
            "QUERY ALTER ROLE me PASSWORD 'xxxxxx' > 42601 41 redacted error",
        ],
    );
    notes(
        &imported,
        &[("connections with postgres", 1), ("postgres messages that answer nothing", 1)],
    );
    let all = format!("{:?}", talk.import().0);
    assert!(!all.contains("hunter2") && !all.contains("s3cret"));
}

#[test]
fn after_an_error_postgres_leaves_out_the_rest_of_what_was_sent() {
    let mut talk = postgres();
    let parse = |text: &str| message(b'P', format!("\0{text}\0\0\0").as_bytes());
    let run = [message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")].concat();
    let all = [&parse("a 1")[..], &run, &parse("b 2"), &run, &message(b'S', b"")].concat();
    talk.say(true, &all);
    let error = message(b'E', b"C42601\0Msyntax error\0\0");
    talk.say(false, &[error, ready()].concat());
    check_in_pieces(
        &talk,
        &[
            "PARSE a 1 > 42601 syntax error 27 error",
            "EXECUTE a 1 > - pipelined",
            "PARSE b 2 > - pipelined",
            "EXECUTE b 2 >  6 pipelined",
        ],
    );
}

#[test]
fn files_that_are_copied_belong_to_their_command() {
    let mut talk = postgres();
    talk.say(true, &message(b'Q', b"COPY t FROM STDIN\0")).say(false, &message(b'G', b"\0\0\0"));
    talk.say(true, &[message(b'd', b"1\n"), message(b'd', b"2\n"), message(b'c', b"")].concat());
    talk.say(false, &[message(b'C', b"COPY 2\0"), ready()].concat());
    check_in_pieces(&talk, &["QUERY COPY t FROM STDIN > COPY 2 26"]);
    let (found, _) = talk.import();
    let Found::Exchange(exchange) = &found[0] else { panic!() };
    assert_eq!(exchange.request_body_bytes, 23 + 7 + 7 + 5);
}

#[test]
fn postgres_from_the_middle_with_gaps_and_encrypted() {
    let mut talk = Talk::under_way();
    talk.say(false, &message(b'D', b"\0\0")).say(true, &message(b'Q', b"select 1;\0"));
    talk.say(false, &[message(b'C', b"SELECT 1\0"), ready()].concat());
    check(&talk, &["QUERY select 1; > SELECT 1 20 mid-stream"]);
    // Its end is certain, even behind a gap.
    let mut talk = postgres();
    talk.say(true, &message(b'Q', b"select 1\0")).say(false, &message(b'T', b"\0\0"));
    talk.lose(false, "rows of many kinds");
    talk.say(false, &[message(b'C', b"SELECT 9\0"), ready()].concat());
    talk.say(true, &message(b'Q', b"select 2\0"));
    talk.say(false, &[message(b'C', b"SELECT 2\0"), ready()].concat()).acks(40);
    check(&talk, &["QUERY select 1 > SELECT 9 ? response-cut gap", "QUERY select 2 > SELECT 2 20"]);
    let mut talk = Talk::new();
    talk.say(true, b"\0\0\0\x08\x04\xd2\x16\x2f").server("S");
    talk.say(true, b"\x16\x03\x01\x00\x05hello");
    let imported = check(&talk, &[]);
    assert_eq!(imported.ledger.stream_bytes.count("tls"), 10);
    let mut talk = Talk::new();
    talk.say(true, b"\0\0\0\x10\x04\xd2\x16\x2e12345678");
    notes(&check(&talk, &[]), &[("connections with postgres", 1), ("postgres cancel requests", 1)]);
}
