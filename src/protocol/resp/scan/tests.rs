//! Aim: commands and replies end where they end, however their bytes are cut.

use proptest::prelude::*;

use super::*;

fn scan(sender: Sender, pieces: &[&[u8]]) -> Result<Vec<Scanned>, NotResp> {
    let (mut scan, mut found) = (Scan::new(sender), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            found.extend(scan.read(&mut rest)?);
        }
    }
    Ok(found)
}

fn heads(sender: Sender, wire: &[u8]) -> Vec<(String, u64)> {
    let found = scan(sender, &[wire]).unwrap();
    let head = |it: &Scanned| (String::from_utf8_lossy(&it.head).into_owned(), it.bytes);
    found.iter().map(head).collect()
}

#[test]
fn replies_of_both_versions_end_where_they_end() {
    for wire in [
        "+OK\r\n",
        "-ERR no\r\n",
        ":-42\r\n",
        "$5\r\na\r\nbc\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5e3\r\n",
        "(3492890328409238509324850943850943825024385\r\n",
        "!5\r\nERR x\r\n",
        "=7\r\ntxt:abc\r\n",
        "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
        "~2\r\n:1\r\n:2\r\n",
        ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
    ] {
        let line = wire.split("\r\n").next().unwrap().to_owned();
        let one = (line, wire.len() as u64);
        let two = heads(Sender::Server, wire.repeat(2).as_bytes());
        assert_eq!(two, vec![one.clone(), one], "{wire:?}");
    }
}

#[test]
fn an_attribute_belongs_to_the_reply_behind_it() {
    let wire = b"|1\r\n+ttl\r\n*1\r\n:9\r\n*2\r\n$1\r\na\r\n|1\r\n+x\r\n:7\r\n:8\r\n+next\r\n";
    assert_eq!(heads(Sender::Server, wire), [("*2".into(), 45), ("+next".into(), 7)]);
}

#[test]
fn commands_are_arrays_or_lines() {
    let wire = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n*0\r\nset k \"v w\"\n";
    let expected = [("*2", 20), ("PING", 6), ("", 2), ("*0", 4), ("set k \"v w\"", 12)]
        .map(|(head, bytes)| (head.to_owned(), bytes));
    assert_eq!(heads(Sender::Client, wire), expected);
}

#[test]
fn messages_of_channels_are_told_by_their_first_word() {
    let wire = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n";
    let found = scan(Sender::Server, &[wire]).unwrap();
    assert_eq!((found[0].first.as_slice(), found[0].integer), (&b"subscribe"[..], Some(2)));
}

#[test]
fn what_is_none_is_named() {
    let long = vec![b'x'; usize::try_from(MAX_INLINE).unwrap() + 1];
    for (sender, wire, error) in [
        (Sender::Server, &b"HTTP/1.1 200 OK\r\n"[..], NotResp::Kind),
        (Sender::Server, b":x\r\n", NotResp::Number),
        (Sender::Server, b"$-2\r\n", NotResp::Number),
        (Sender::Server, b"$1\r\nabc", NotResp::Length),
        (Sender::Server, b"#x\r\n", NotResp::Kind),
        (Sender::Server, b"*99999999999999999999\r\n", NotResp::Number),
        (Sender::Server, b"*4611686018427387904\r\n", NotResp::Number),
        (Sender::Client, b"*1\r\n+OK\r\n", NotResp::Kind),
        (Sender::Client, b"*2000000\r\n", NotResp::Number),
        (Sender::Client, b"*1\r\n$9999999999\r\n", NotResp::Number),
        (Sender::Client, &long, NotResp::LineTooLong),
    ] {
        assert_eq!(scan(sender, &[wire]), Err(error), "{:?}", String::from_utf8_lossy(wire));
    }
}

#[test]
fn a_gap_inside_of_a_string_is_stepped_over() {
    let mut scan = Scan::new(Sender::Server);
    assert_eq!(scan.read(&mut &b"$10\r\nabc"[..]), Ok(None));
    assert!(scan.skip_lost(4));
    let found = scan.read(&mut &b"hij\r\n"[..]).unwrap().unwrap();
    assert_eq!(found.bytes, 17);
    assert_eq!(scan.read(&mut &b"$10\r\nabc"[..]), Ok(None));
    assert!(!scan.skip_lost(8));
}

proptest! {
    /// For all bytes and all cuts of them: no panic, and the same messages or the same error.
    #[test]
    fn every_cut_reads_alike(
        parts in prop::collection::vec(prop::sample::select(vec![
            "+OK\r\n", "-E\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n", "$-1\r\n", "%1\r\n", "\n",
            "x", "*0\r\n", "|1\r\n", ">2\r\n", "_\r\n", "PING\r\n", "$2\r\n",
        ]), 0..9),
        cut in 0_usize..60,
    ) {
        let wire = parts.concat().into_bytes();
        let (a, b) = wire.split_at(cut.min(wire.len()));
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        for sender in [Sender::Client, Sender::Server] {
            let whole = scan(sender, &[&wire]);
            prop_assert_eq!(&whole, &scan(sender, &[a, b]));
            prop_assert_eq!(&whole, &scan(sender, &bytes));
            if let Ok(found) = whole {
                prop_assert!(found.iter().map(|it| it.bytes).sum::<u64>() <= wire.len() as u64);
            }
        }
    }
}
