//! Aim: what holds for all segments whatever.

use peakhour::capture::{ACK, FIN};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::talk::{GET, OK, Piece, Talk, import, lines};

/// A conversation with every framing, and requests that were pipelined.
fn long_talk(cuts: &[usize]) -> Talk {
    let mut talk = Talk::new();
    let mut cuts = cuts.iter().copied().cycle();
    let turns: [(bool, &str); 8] = [
        (true, GET),
        (false, OK),
        (true, "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"),
        (false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        (true, "GET /b HTTP/1.1\r\n\r\nHEAD /c HTTP/1.1\r\n\r\n"),
        (
            false,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab\
             HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n",
        ),
        (true, "GET /d HTTP/1.0\r\n\r\n"),
        (false, "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    ];
    for (client, text) in turns {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let length = cuts.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            talk.say(client, &rest[..length]);
            rest = &rest[length..];
        }
    }
    talk.close(false, FIN).close(true, FIN);
    talk
}

const LONG_TALK: [&str; 5] = [
    "GET /a 0 > 200 5",
    "POST /p 4 > 200 3 chunked",
    "GET /b 0 > 200 2",
    "HEAD /c 0 > 404 0 pipelined",
    "GET /d 0 > 200 13",
];

fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), length)
}

fn piece() -> impl Strategy<Value = Piece> {
    let payload = prop_oneof![
        bytes(0..40),
        prop::sample::select(vec![GET, OK, "0\r\n\r\n", "HTTP/1.1 ", "GET ", "\r\n", "5\r\nab"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let flags = prop_oneof![4 => Just(ACK), 1 => any::<u8>()];
    (any::<bool>(), 0..200_u32, 0..200_u32, flags, payload, 0..30_u32, any::<i64>()).prop_map(
        |(client, seq, ack, flags, payload, cut_bytes, at_ns)| Piece {
            client,
            at_ns,
            seq: seq.wrapping_sub(99),
            ack: ack.wrapping_sub(99),
            flags,
            payload,
            cut_bytes: cut_bytes.saturating_sub(25),
        },
    )
}

proptest! {
    /// For all ways to cut a conversation into segments: the exchanges are the same.
    #[test]
    fn cuts_do_not_matter(cuts in prop::collection::vec(1..40_usize, 1..20)) {
        prop_assert_eq!(lines(&long_talk(&cuts).import().0), LONG_TALK);
    }

    /// For all small displacements, repetitions and overlaps of segments: the exchanges are the
    /// same.
    #[test]
    fn order_and_repetition_do_not_matter(
        cuts in prop::collection::vec(1..60_usize, 1..9),
        moves in prop::collection::vec((any::<Index>(), 1..6_usize), 0..12),
        copies in prop::collection::vec((any::<Index>(), 0..9_usize), 0..12),
    ) {
        let mut talk = long_talk(&cuts);
        for (from, distance) in copies {
            let (at, length) = (from.index(talk.pieces.len()), talk.pieces.len());
            let mut copy = talk.pieces[at].clone();
            // A longer copy: it takes in bytes of what its side says next.
            let end = copy.seq.wrapping_add(u32::try_from(copy.payload.len()).unwrap());
            let next = talk.pieces[at + 1..].iter().find(|next| {
                next.client == copy.client && next.seq == end && copy.flags == ACK
            });
            let more = next.map_or(&[][..], |next| &next.payload[..next.payload.len() / 2]);
            copy.payload.extend(more);
            talk.pieces.insert((at + 1 + distance).min(length), copy);
        }
        for (from, distance) in moves {
            // The handshake stays in front: without it, what comes first is the start.
            let at = 3 + from.index(talk.pieces.len() - 3);
            let piece = talk.pieces.remove(at);
            talk.pieces.insert(at.saturating_sub(distance).max(3), piece);
        }
        let (found, _) = talk.import();
        let mut lines = lines(&found);
        // Two requests sent at once in one segment, or not: the flag is about acknowledgements.
        for line in &mut lines {
            *line = line.replace(" pipelined", "");
        }
        let expected = LONG_TALK.map(|line| line.replace(" pipelined", ""));
        prop_assert_eq!(lines, expected);
    }

    /// For any bytes in either direction: no panic, and every byte has its bucket.
    #[test]
    fn any_bytes_are_accounted_for(
        turns in prop::collection::vec((any::<bool>(), bytes(1..60)), 0..20),
        lost in prop::collection::vec(0..20_usize, 1..20),
    ) {
        let mut talk = Talk::new();
        for ((client, bytes), lost) in turns.iter().zip(lost.iter().cycle()) {
            talk.say(*client, bytes).skip(*client, lost.saturating_sub(15));
        }
        let (first, second) = (talk.import(), talk.import());
        prop_assert_eq!(first, second);
    }

    /// For any segments at all: no panic, every byte has its bucket, and the same result twice.
    #[test]
    fn any_segments_are_accounted_for(pieces in prop::collection::vec(piece(), 0..60)) {
        prop_assert_eq!(import(&pieces), import(&pieces));
    }
}
