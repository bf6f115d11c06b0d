//! Aim: conversations that another reader of HTTP tests itself with are read without harm, and
//! the transactions that it expects in them are found.

use std::fs;

use peakhour::capture::FIN;
use peakhour::capture::import::Found;

use crate::capture_corpus::unpack;
use crate::corpus::table;
use crate::support::corpus;
use crate::talk::Talk;

/// Conversations with another number of transactions here, and why that is right for a replay.
const DIFFERENT: [(&str, usize, &str); 4] = [
    ("85-zero-byte-request-timeout.t", 0, "the server speaks unasked: a response without request"),
    ("86-partial-request-timeout.t", 0, "a method alone cannot be sent again: the same"),
    ("89-get-whitespace.t", 0, "a blank in front of the method is no beginning of a request"),
    ("90-request-uri-too-large.t", 0, "a request line without its end: a response without request"),
];

/// A conversation in blocks: `>>>` and what the client says, `<<<` and what the server says. The
/// line end in front of the next mark is the mark's.
fn blocks(bytes: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let mut blocks: Vec<(bool, Vec<u8>)> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.trim_ascii_end() {
            b">>>" => blocks.push((true, Vec::new())),
            b"<<<" => blocks.push((false, Vec::new())),
            _ => {
                if let Some((_, block)) = blocks.last_mut() {
                    block.extend_from_slice(line);
                }
            }
        }
    }
    let count = blocks.len();
    for (number, (_, block)) in blocks.iter_mut().enumerate() {
        if number + 1 < count {
            let line_end = if block.ends_with(b"\r\n") { 2 } else { 1 };
            block.truncate(block.len().saturating_sub(line_end));
        }
    }
    blocks
}

/// The number in `EQ 2, htp_list_size(connp->conn->transactions)`, where there is one.
fn expected(asserts: &str) -> Option<usize> {
    let (front, _) = asserts.split_once(", htp_list_size(connp->conn->transactions)")?;
    front.rsplit_once("EQ ")?.1.parse().ok()
}

#[test]
fn transactions_of_foreign_conversations_are_found() {
    let Some(corpus) = corpus() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = unpack(&corpus, "bundles/libhtp-shared.tar.gz", folder.path());
    let (mut read, mut compared, mut different) = (0, 0, Vec::new());
    for row in table(&corpus.join("oracle/libhtp-shared.tsv")) {
        let file = &row["file"];
        let mut talk = Talk::new();
        for (client, block) in blocks(&fs::read(folder.join(file)).unwrap()) {
            for piece in block.chunks(1_400) {
                talk.say(client, piece);
            }
        }
        talk.close(false, FIN).close(true, FIN);
        // It asserts that every byte and message is accounted for.
        let (found, _) = talk.import();
        read += 1;
        let requests = found.iter().filter(|one| matches!(one, Found::Exchange(_))).count();
        if let Some(expected) = expected(&row["libhtp_asserts"]) {
            compared += 1;
            if requests != expected {
                println!("{file}: {requests} instead of {expected}");
                different.push((file.clone(), requests));
            }
        }
    }
    let known: Vec<(String, usize)> =
        DIFFERENT.iter().map(|(file, requests, _)| ((*file).to_owned(), *requests)).collect();
    assert_eq!((read, different), (65, known));
    assert!(compared > 30, "{compared}");
}
