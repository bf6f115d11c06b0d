//! A small language for conversations, segment by segment, and the exchanges found in them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::SocketAddr;

use peakhour::capture::import::{Found, Import, Imported};
use peakhour::capture::source::Source;
use peakhour::capture::{ACK, FIN, SYN, Segment};
use peakhour::recording::{Exchange, Flags};

use crate::wire::{MICROSECONDS, Order, ipv4, pcap_header, record};

pub(crate) const GET: &str = "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A segment that owns its payload.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) client: bool,
    pub(crate) at_ns: i64,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) cut_bytes: u32,
}

/// A conversation being written down; `client` and `server` say the next bytes of a side.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) pieces: Vec<Piece>,
    /// Next sequence numbers of client and server.
    pub(crate) next: [u32; 2],
    pub(crate) now_ns: i64,
}

impl Talk {
    /// Without handshake, in the year 2020.
    pub(crate) fn under_way() -> Self {
        Self { pieces: Vec::new(), next: [1_000, 5_000], now_ns: 1_577_836_800_000_000_000 }
    }

    pub(crate) fn with_sequence(next: [u32; 2]) -> Self {
        let mut talk = Self { next, ..Self::under_way() };
        talk.open();
        talk
    }

    pub(crate) fn new() -> Self {
        Self::with_sequence([999, 4_999])
    }

    pub(crate) fn open(&mut self) {
        self.push(true, SYN, b"");
        self.next[0] = self.next[0].wrapping_add(1);
        self.push(false, SYN | ACK, b"");
        self.next[1] = self.next[1].wrapping_add(1);
        self.push(true, ACK, b"");
    }

    pub(crate) fn push(&mut self, client: bool, flags: u8, payload: &[u8]) -> &mut Piece {
        self.now_ns += 1_000_000;
        let (own, peer) = if client { (0, 1) } else { (1, 0) };
        self.pieces.push(Piece {
            client,
            at_ns: self.now_ns,
            seq: self.next[own],
            ack: if flags & ACK == 0 { 0 } else { self.next[peer] },
            flags,
            payload: payload.to_vec(),
            cut_bytes: 0,
        });
        self.pieces.last_mut().unwrap()
    }

    pub(crate) fn say(&mut self, client: bool, text: &[u8]) -> &mut Self {
        self.push(client, ACK, text);
        self.skip(client, text.len())
    }

    /// Bytes that were sent and not captured.
    pub(crate) fn skip(&mut self, client: bool, bytes: usize) -> &mut Self {
        let own = usize::from(!client);
        self.next[own] = self.next[own].wrapping_add(u32::try_from(bytes).unwrap());
        self
    }

    pub(crate) fn client(&mut self, text: &str) -> &mut Self {
        self.say(true, text.as_bytes())
    }

    pub(crate) fn server(&mut self, text: &str) -> &mut Self {
        self.say(false, text.as_bytes())
    }

    pub(crate) fn lose(&mut self, client: bool, text: &str) -> &mut Self {
        self.skip(client, text.len())
    }

    /// Sends `text` at a distance from what comes next, as retransmissions are.
    pub(crate) fn again(&mut self, client: bool, back: u32, text: &str) -> &mut Self {
        let piece = self.push(client, ACK, text.as_bytes());
        piece.seq = piece.seq.wrapping_sub(back);
        self
    }

    pub(crate) fn close(&mut self, client: bool, flag: u8) -> &mut Self {
        self.push(client, flag | ACK, b"");
        self.skip(client, usize::from(flag == FIN))
    }

    pub(crate) fn acks(&mut self, count: usize) -> &mut Self {
        for number in 0..count {
            self.push(number % 2 == 0, ACK, b"");
        }
        self
    }

    /// Moves the piece at `from` (from the end) to the place `to` (from the end).
    pub(crate) fn reorder(&mut self, from: usize, to: usize) -> &mut Self {
        let last = self.pieces.len() - 1;
        let piece = self.pieces.remove(last - from);
        self.pieces.insert(last - to, piece);
        self
    }

    pub(crate) fn import(&self) -> (Vec<Found>, Imported) {
        import(&self.pieces)
    }
}

pub(crate) fn import(pieces: &[Piece]) -> (Vec<Found>, Imported) {
    let mut found = Vec::new();
    let imported = import_with(pieces, &mut |one, _| found.push(one));
    (found, imported)
}

/// Also tells the sink whether the capture has ended.
pub(crate) fn import_with(pieces: &[Piece], sink: &mut dyn FnMut(Found, bool)) -> Imported {
    let ends: [SocketAddr; 2] = ["10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()];
    let mut import = Import::default();
    for piece in pieces {
        let (source, destination) =
            if piece.client { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        let segment = Segment {
            at_ns: piece.at_ns,
            source,
            destination,
            seq: piece.seq,
            ack: piece.ack,
            flags: piece.flags,
            payload: &piece.payload,
            cut_bytes: piece.cut_bytes,
        };
        import.segment(&segment, &mut |one| sink(one, false));
    }
    let imported = import.finish(&mut |one| sink(one, true));
    let ledger = &imported.ledger;
    assert!(ledger.reconciles(), "{ledger:#?}");
    let captured: usize = pieces.iter().map(|piece| piece.payload.len()).sum();
    assert_eq!(ledger.stream_bytes.total, captured as u64);
    imported
}

/// `METHOD target body > status bytes`, then the flags; `-` where there is nothing.
pub(crate) fn show(found: &Found) -> String {
    match found {
        Found::OrphanResponse { status, body_bytes, .. } => {
            format!("- > {status} {}", size(*body_bytes))
        }
        Found::Exchange(exchange) => show_exchange(exchange),
    }
}

pub(crate) fn show_exchange(exchange: &Exchange) -> String {
    let Exchange { method, target, request_body_bytes, response, flags, .. } = exchange;
    let answer = response
        .as_ref()
        .map_or("-".to_owned(), |it| format!("{} {}", it.status, size(it.body_bytes)));
    let names = [
        (Flags::AMBIGUOUS_FRAMING, " ambiguous"),
        (Flags::REQUEST_TRUNCATED, " request-cut"),
        (Flags::RESPONSE_TRUNCATED, " response-cut"),
        (Flags::MID_STREAM, " mid-stream"),
        (Flags::ESCAPED, " escaped"),
        (Flags::CHUNKED, " chunked"),
        (Flags::PIPELINED, " pipelined"),
        (Flags::GAP, " gap"),
        (Flags::UPGRADED, " upgraded"),
        (Flags::MALFORMED, " malformed"),
    ];
    let flags: String =
        names.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
    format!("{method} {target} {request_body_bytes} > {answer}{flags}")
}

pub(crate) fn size(bytes: Option<u64>) -> String {
    bytes.map_or("?".into(), |bytes| bytes.to_string())
}

pub(crate) fn lines(found: &[Found]) -> Vec<String> {
    found.iter().map(show).collect()
}

/// Checks the exchanges, and the buckets of bytes that ended in none.
pub(crate) fn check(talk: &Talk, expected: &[&str], other_bytes: &[(&str, u64)]) {
    let (found, imported) = talk.import();
    assert_eq!(lines(&found), expected);
    let mut buckets = imported.ledger.stream_bytes.buckets;
    buckets.retain(|name, _| name != "http request" && name != "http response");
    let wanted: BTreeMap<String, u64> =
        other_bytes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(buckets, wanted);
}

/// The exchanges alone, without orphans.
pub(crate) fn exchanges(talk: &Talk) -> Vec<Exchange> {
    let only = |found| match found {
        Found::Exchange(exchange) => Some(exchange),
        Found::OrphanResponse { .. } => None,
    };
    talk.import().0.into_iter().filter_map(only).collect()
}

/// The pieces as a capture file.
pub(crate) fn file_of(pieces: &[Piece]) -> Source {
    named_file_of("made by hand", pieces)
}

/// The same with a name.
pub(crate) fn named_file_of(name: &str, pieces: &[Piece]) -> Source {
    Source::from_reader(name, Box::new(Cursor::new(bytes_of(pieces)))).unwrap()
}

/// The bytes of that file.
pub(crate) fn bytes_of(pieces: &[Piece]) -> Vec<u8> {
    let mut file = pcap_header(Order::Big, MICROSECONDS, 101);
    for piece in pieces {
        let seconds = u32::try_from(piece.at_ns / 1_000_000_000).unwrap();
        let fraction = u32::try_from(piece.at_ns % 1_000_000_000 / 1_000).unwrap();
        file.extend(record(Order::Big, seconds, fraction, &packet_of(piece)));
    }
    file
}

/// A piece as a packet of raw IPv4.
pub(crate) fn packet_of(piece: &Piece) -> Vec<u8> {
    let ports = if piece.client { [4000_u16, 80] } else { [80, 4000] };
    let mut segment: Vec<u8> = ports.into_iter().flat_map(u16::to_be_bytes).collect();
    segment.extend(piece.seq.to_be_bytes());
    segment.extend(piece.ack.to_be_bytes());
    segment.extend([0x50, piece.flags, 255, 255, 0, 0, 0, 0]);
    segment.extend(&piece.payload);
    let mut packet = ipv4(6, &segment);
    if !piece.client {
        // The answers come from the other address.
        packet[12..20].rotate_left(4);
    }
    packet
}
