//! Aim: what is missing of a real client's TLS, or damaged in it, costs what was in it and no more.

use std::collections::BTreeMap;

use crate::talk::lines;
use crate::tls_tape::{SEGMENT, Tape, expected, shop, visit};

#[test]
fn a_lost_segment_costs_what_was_in_it() {
    let Some(server) = shop() else { return };
    let suites: [&[&str]; 3] =
        [&["-tls1_3"], &["-tls1_2"], &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"]];
    for arguments in suites {
        let whole = visit(&server, arguments);
        let pieces = &whole.talk.pieces;
        let of_server: Vec<usize> = (0..pieces.len())
            .filter(|at| !pieces[*at].client && pieces[*at].payload.len() == SEGMENT)
            .collect();
        // In the middle of the large answer; in one record, and over the fronts of several.
        for count in [1, 60] {
            let lost = &of_server[of_server.len() / 2..][..count];
            let kept = pieces.iter().enumerate().filter(|(at, _)| !lost.contains(at));
            let mut talk = whole.talk.clone();
            talk.pieces = kept.map(|(_, piece)| piece.clone()).collect();
            let tape = Tape { talk, keylog: String::new() };
            let (found, imported) = tape.import(&whole.keylog);
            let mut wanted = expected();
            if arguments.contains(&"-cipher") {
                // Padding makes it uncertain how much was lost.
                let found = lines(&found);
                assert_eq!(found[..2], wanted[..2], "{:#?}", imported.ledger);
                assert!(found[2].starts_with("GET /large 0 > 200 "), "{found:?}");
                assert_eq!(found.len(), 4);
                continue;
            }
            wanted[2] += " gap";
            assert_eq!(lines(&found), wanted, "{arguments:?}, {count}: {:#?}", imported.ledger);
            let behind = imported.ledger.stream_bytes.count("tls not decrypted: behind a gap");
            assert!((1..60_000).contains(&behind), "{behind}");
        }
    }
}

#[test]
fn a_lost_answer_is_not_mistaken_for_the_next_one() {
    let Some(server) = shop() else { return };
    for arguments in [["-tls1_3"], ["-tls1_2"]] {
        let whole = visit(&server, &arguments);
        let pieces = &whole.talk.pieces;
        // The first thing that the server says after the client has asked for something: in
        // TLS 1.3 tickets come with it.
        let asks = pieces.iter().rposition(|it| it.client && it.payload.len() == SEGMENT).unwrap();
        let body = pieces.iter().position(|it| it.client && it.payload.len() == SEGMENT).unwrap();
        assert!(body < asks);
        let lost = pieces[..body].iter().rposition(|it| !it.client).unwrap();
        let mut talk = whole.talk.clone();
        talk.pieces.remove(lost);
        let tape = Tape { talk, keylog: String::new() };
        let (found, imported) = tape.import(&whole.keylog);
        let mut wanted = expected();
        wanted[0] = "GET /first 0 > -".into();
        assert_eq!(lines(&found), wanted, "{arguments:?}: {:#?}", imported.ledger);
    }
}

#[test]
fn without_a_hello_there_is_no_key_to_look_up() {
    let Some(server) = shop() else { return };
    let whole = visit(&server, &["-tls1_3"]);
    let hello = whole.talk.pieces.iter().position(|piece| !piece.payload.is_empty()).unwrap();
    let mut talk = whole.talk.clone();
    talk.pieces.remove(hello);
    let tape = Tape { talk, keylog: String::new() };
    let (found, imported) = tape.import(&whole.keylog);
    assert_eq!(lines(&found), [""; 0]);
    assert!(imported.ledger.stream_bytes.count("tls without keys") > 350_000);
    assert_eq!(imported.ledger.notes.get("tls connections without hello"), Some(&1));
}

#[test]
fn a_handshake_may_be_captured_in_part() {
    let Some(server) = shop() else { return };
    for arguments in [["-tls1_3"], ["-tls1_2"]] {
        let whole = visit(&server, &arguments);
        let of_server = |at: &usize| {
            let piece = &whole.talk.pieces[*at];
            !piece.client && !piece.payload.is_empty()
        };
        // What follows the server's hello: the certificate.
        let lost = (0..whole.talk.pieces.len()).filter(of_server).nth(1).unwrap();
        let mut talk = whole.talk.clone();
        talk.pieces.remove(lost);
        let tape = Tape { talk, keylog: String::new() };
        let (found, imported) = tape.import(&whole.keylog);
        assert_eq!(lines(&found), expected(), "{arguments:?}: {:#?}", imported.ledger);
    }
}

#[test]
fn damaged_records_are_counted() {
    let Some(server) = shop() else { return };
    let mut outcomes = BTreeMap::new();
    for arguments in [["-tls1_3"], ["-tls1_2"]] {
        let whole = visit(&server, &arguments);
        let count = whole.talk.pieces.len();
        for at in (3..count).step_by(7) {
            let mut talk = whole.talk.clone();
            let payload = &mut talk.pieces[at].payload;
            let middle = payload.len() / 2;
            let Some(byte) = payload.get_mut(middle) else { continue };
            *byte ^= 0x40;
            let tape = Tape { talk, keylog: String::new() };
            let (found, imported) = tape.import(&whole.keylog);
            // Whatever is found was said.
            let allowed = ["GET /first", "POST /cart", "GET /large", "GET /last", "- >"];
            for line in lines(&found) {
                assert!(allowed.iter().any(|front| line.starts_with(front)), "{line}");
            }
            for (bucket, bytes) in imported.ledger.stream_bytes.buckets {
                *outcomes.entry(bucket).or_insert(0) += bytes;
            }
        }
    }
    assert!(outcomes.contains_key("tls not decrypted: bad record"), "{outcomes:#?}");
}
