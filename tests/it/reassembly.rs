//! Aim: whatever happens to segments on their way into a capture, the exchanges are those that
//! were spoken, and what is missing is said.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use peakhour::capture::import::{Found, Import, Imported};
use peakhour::capture::{ACK, FIN, RST, SYN, Segment};
use peakhour::recording::{Exchange, Flags};
use proptest::prelude::*;
use proptest::sample::Index;

const GET: &str = "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A segment that owns its payload.
#[derive(Clone, Debug)]
struct Piece {
    client: bool,
    at_ns: i64,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: Vec<u8>,
    cut_bytes: u32,
}

/// A conversation being written down; `client` and `server` say the next bytes of a side.
#[derive(Clone, Debug)]
struct Talk {
    pieces: Vec<Piece>,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
    now_ns: i64,
}

impl Talk {
    /// Without handshake, in the year 2020.
    fn under_way() -> Self {
        Self { pieces: Vec::new(), next: [1_000, 5_000], now_ns: 1_577_836_800_000_000_000 }
    }

    fn with_sequence(next: [u32; 2]) -> Self {
        let mut talk = Self { next, ..Self::under_way() };
        talk.open();
        talk
    }

    fn new() -> Self {
        Self::with_sequence([999, 4_999])
    }

    fn open(&mut self) {
        self.push(true, SYN, b"");
        self.next[0] = self.next[0].wrapping_add(1);
        self.push(false, SYN | ACK, b"");
        self.next[1] = self.next[1].wrapping_add(1);
        self.push(true, ACK, b"");
    }

    fn push(&mut self, client: bool, flags: u8, payload: &[u8]) -> &mut Piece {
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

    fn say(&mut self, client: bool, text: &[u8]) -> &mut Self {
        self.push(client, ACK, text);
        self.skip(client, text.len())
    }

    /// Bytes that were sent and not captured.
    fn skip(&mut self, client: bool, bytes: usize) -> &mut Self {
        let own = usize::from(!client);
        self.next[own] = self.next[own].wrapping_add(u32::try_from(bytes).unwrap());
        self
    }

    fn client(&mut self, text: &str) -> &mut Self {
        self.say(true, text.as_bytes())
    }

    fn server(&mut self, text: &str) -> &mut Self {
        self.say(false, text.as_bytes())
    }

    fn lose(&mut self, client: bool, text: &str) -> &mut Self {
        self.skip(client, text.len())
    }

    /// Sends `text` at a distance from what comes next, as retransmissions are.
    fn again(&mut self, client: bool, back: u32, text: &str) -> &mut Self {
        let piece = self.push(client, ACK, text.as_bytes());
        piece.seq = piece.seq.wrapping_sub(back);
        self
    }

    fn close(&mut self, client: bool, flag: u8) -> &mut Self {
        self.push(client, flag | ACK, b"");
        self.skip(client, usize::from(flag == FIN))
    }

    fn acks(&mut self, count: usize) -> &mut Self {
        for number in 0..count {
            self.push(number % 2 == 0, ACK, b"");
        }
        self
    }

    /// Moves the piece at `from` (from the end) to the place `to` (from the end).
    fn reorder(&mut self, from: usize, to: usize) -> &mut Self {
        let last = self.pieces.len() - 1;
        let piece = self.pieces.remove(last - from);
        self.pieces.insert(last - to, piece);
        self
    }

    fn import(&self) -> (Vec<Found>, Imported) {
        import(&self.pieces)
    }
}

fn import(pieces: &[Piece]) -> (Vec<Found>, Imported) {
    let ends: [SocketAddr; 2] = ["10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()];
    let (mut found, mut import) = (Vec::new(), Import::default());
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
        import.segment(&segment, &mut |one| found.push(one));
    }
    let imported = import.finish(&mut |one| found.push(one));
    let ledger = &imported.ledger;
    assert!(ledger.reconciles(), "{ledger:#?}");
    let captured: usize = pieces.iter().map(|piece| piece.payload.len()).sum();
    assert_eq!(ledger.stream_bytes.total, captured as u64);
    (found, imported)
}

/// `METHOD target body > status bytes`, then the flags; `-` where there is nothing.
fn show(found: &Found) -> String {
    match found {
        Found::OrphanResponse { status, body_bytes, .. } => {
            format!("- > {status} {}", size(*body_bytes))
        }
        Found::Exchange(exchange) => show_exchange(exchange),
    }
}

fn show_exchange(exchange: &Exchange) -> String {
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

fn size(bytes: Option<u64>) -> String {
    bytes.map_or("?".into(), |bytes| bytes.to_string())
}

fn lines(found: &[Found]) -> Vec<String> {
    found.iter().map(show).collect()
}

/// Checks the exchanges, and the buckets of bytes that ended in none.
fn check(talk: &Talk, expected: &[&str], other_bytes: &[(&str, u64)]) {
    let (found, imported) = talk.import();
    assert_eq!(lines(&found), expected);
    let mut buckets = imported.ledger.stream_bytes.buckets;
    buckets.retain(|name, _| name != "http request" && name != "http response");
    let wanted: BTreeMap<String, u64> =
        other_bytes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(buckets, wanted);
}

// Segmentation and sequence.

#[test]
fn one_exchange_in_two_segments() {
    let mut talk = Talk::new();
    check(talk.client(GET).server(OK), &["GET /a 0 > 200 5"], &[]);
}

#[test]
fn two_pipelined_requests_in_one_segment() {
    let mut talk = Talk::new();
    talk.client(&GET.repeat(2)).server(OK).server(OK);
    check(&talk, &["GET /a 0 > 200 5", "GET /a 0 > 200 5 pipelined"], &[]);
}

#[test]
fn two_pipelined_requests_out_of_order() {
    let mut talk = Talk::new();
    talk.client(GET).client("GET /b HTTP/1.1\r\n\r\n").reorder(0, 1).server(OK).server(OK);
    check(&talk, &["GET /a 0 > 200 5", "GET /b 0 > 200 5 pipelined"], &[]);
}

#[test]
fn a_head_split_anywhere_is_one_head() {
    for at in 1..GET.len() {
        let mut talk = Talk::new();
        talk.client(&GET[..at]).client(&GET[at..]).server(OK);
        check(&talk, &["GET /a 0 > 200 5"], &[]);
    }
}

#[test]
fn head_and_body_in_segments_of_their_own() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
        .client("ab")
        .client("cd")
        .server(OK);
    check(&talk, &["POST / 4 > 200 5"], &[]);
}

#[test]
fn an_interim_response_between_head_and_body() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .server("HTTP/1.1 100 Continue\r\n\r\n")
        .server("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        .client("abcd")
        .server(OK);
    check(&talk, &["POST / 4 > 200 5"], &[]);
}

#[test]
fn an_answer_before_the_body_is_sent() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n").server(OK).client("abcd");
    check(&talk, &["POST / 4 > 200 5"], &[]);
}

#[test]
fn a_body_that_is_never_sent_after_a_refusal() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n")
        .server("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        .client(GET)
        .server(OK);
    check(&talk, &["POST / 0 > 417 0 request-cut", "GET /a 0 > 200 5"], &[]);
}

#[test]
fn retransmissions_add_nothing() {
    let length = u32::try_from(GET.len()).unwrap();
    let mut talk = Talk::new();
    talk.client(GET).again(true, length, GET).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[("retransmitted", u64::from(length))]);
}

#[test]
fn a_retransmission_may_begin_earlier_and_end_later() {
    let (front, back) = GET.split_at(10);
    let mut talk = Talk::new();
    talk.client(front).again(true, 5, &GET[5..]).skip(true, back.len());
    check(talk.server(OK), &["GET /a 0 > 200 5"], &[("overlapping", 5)]);
    let mut talk = Talk::new();
    talk.client(front).again(true, 10, GET).skip(true, back.len());
    check(talk.server(OK), &["GET /a 0 > 200 5"], &[("overlapping", 10)]);
}

#[test]
fn of_overlapping_bytes_the_first_win_and_differences_are_counted() {
    let mut talk = Talk::new();
    talk.client(&GET[..10]).again(true, 6, &GET[4..].replacen('a', "x", 1));
    talk.skip(true, GET.len() - 10).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[("overlapping", 6)]);
    assert_eq!(talk.import().1.ledger.notes["overlapping bytes that differ"], 1);
}

#[test]
fn overlaps_between_waiting_segments() {
    let mut talk = Talk::new();
    let (a, b, c) = (&GET[..8], &GET[8..16], &GET[16..]);
    talk.skip(true, 8).client(b).client(c).again(true, 20, &GET[GET.len() - 20..]);
    talk.again(true, u32::try_from(GET.len()).unwrap(), a).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[("retransmitted", 20)]);
}

#[test]
fn a_probe_that_keeps_the_connection_alive() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK).again(true, 1, "\0").again(false, 1, "\0").client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 5", "GET /a 0 > 200 5"], &[("keep-alive probe", 2)]);
    let notes = talk.import().1.ledger.notes;
    assert!(!notes.contains_key("overlapping bytes that differ"), "{notes:?}");
}

#[test]
fn a_probe_of_a_closed_window_carries_a_byte_that_comes_again() {
    let mut talk = Talk::new();
    talk.client(&GET[..9]).client(&GET[9..10]).again(true, 1, &GET[9..]);
    talk.skip(true, GET.len() - 10).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[("overlapping", 1)]);
}

#[test]
fn sequence_numbers_wrap_around_anywhere() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n".to_owned() + &"x".repeat(70_000);
    for before_wrap in (1..100).chain([60_000]) {
        let mut talk = Talk::with_sequence([u32::MAX - before_wrap; 2]);
        talk.client(&GET[..3]).client(&GET[3..]);
        for piece in body.as_bytes().chunks(1400) {
            talk.say(false, piece);
        }
        talk.client(GET).server(OK);
        check(&talk, &["GET /a 0 > 200 70000", "GET /a 0 > 200 5"], &[]);
    }
}

// Missing bytes.

#[test]
fn a_gap_inside_a_body_of_known_length_is_stepped_over() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123456789");
    talk.lose(false, "0123456789").server("0123456789").client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 30 gap", "GET /a 0 > 200 5"], &[]);
    assert_eq!(talk.import().1.ledger.notes["gap bytes"], 10);
}

#[test]
fn a_gap_inside_a_request_body_says_so_and_keeps_what_stands_before_it() {
    let mut talk = Talk::new();
    talk.client("PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").lose(true, "def").client("ghi");
    talk.server(OK).client(GET).server(OK);
    check(&talk, &["PUT / 9 > 200 5 request-cut gap", "GET /a 0 > 200 5"], &[]);
    let Found::Exchange(put) = &talk.import().0[0] else { panic!("an exchange") };
    assert_eq!(put.request_body, "abc".as_bytes());
}

#[test]
fn a_gap_over_the_end_of_a_message_is_left_behind_at_the_next_start_line() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").client(GET);
    talk.lose(false, "defghiHTTP/1.1 201 Created\r\nConte").server("nt-Length: 0\r\n\r\n");
    talk.client(&GET.replace("/a", "/c")).server(OK);
    check(
        &talk,
        &["GET /a 0 > 200 9 gap", "GET /a 0 > - pipelined", "GET /c 0 > 200 5"],
        &[("behind a gap", 16)],
    );
}

#[test]
fn a_lost_response_does_not_shift_the_ones_behind_it() {
    let mut talk = Talk::new();
    talk.client(GET).lose(false, OK).client("GET /b HTTP/1.1\r\n\r\n").server(OK);
    check(&talk, &["GET /a 0 > -", "GET /b 0 > 200 5"], &[]);
}

#[test]
fn a_lost_request_leaves_its_response_alone() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK).lose(true, GET).server(&OK.replace("200", "201"));
    talk.client("GET /b HTTP/1.1\r\n\r\n").server(OK);
    check(&talk, &["GET /a 0 > 200 5", "- > 201 5", "GET /b 0 > 200 5"], &[]);
}

#[test]
fn a_gap_inside_a_head_keeps_the_part_before_it() {
    let mut talk = Talk::new();
    talk.client("GET /a HTTP/1.1\r\nHost: sh").lose(true, "op\r\nA: b").client("c\r\n\r\n");
    talk.server(OK).client(GET).server(OK);
    check(
        &talk,
        &["GET /a 0 > 200 5 request-cut gap malformed", "GET /a 0 > 200 5"],
        &[("behind a gap", 5)],
    );
}

#[test]
fn an_acknowledged_hole_is_not_waited_for_to_the_end() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    talk.lose(false, "def").server("ghi").acks(40);
    let mut import = 0;
    let (found, imported) = talk.import();
    import += found.len();
    assert_eq!((import, imported.ledger.notes["gaps"]), (1, 1));
}

#[test]
fn a_snap_length_cuts_bodies_and_says_how_much() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc");
    talk.pieces.last_mut().unwrap().cut_bytes = 497;
    talk.skip(false, 497).client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 500 gap", "GET /a 0 > 200 5"], &[]);
    let notes = talk.import().1.ledger.notes;
    assert_eq!(notes["payload bytes cut by the snap length"], 497);
}

// Start and end of streams.

#[test]
fn a_capture_that_begins_inside_a_body() {
    let mut talk = Talk::under_way();
    talk.client("the rest of an upload").server(OK).client(GET).server(OK);
    check(
        &talk,
        &["- > 200 5", "GET /a 0 > 200 5 mid-stream"],
        &[("before the first message", 21)],
    );
}

#[test]
fn a_capture_that_begins_with_a_response() {
    let mut talk = Talk::under_way();
    talk.server(OK).client(GET).server(&OK.replace("200", "404"));
    check(&talk, &["- > 200 5", "GET /a 0 > 404 5 mid-stream"], &[]);
}

#[test]
fn one_direction_only() {
    let mut talk = Talk::under_way();
    talk.client(GET).client(GET);
    check(&talk, &["GET /a 0 > - mid-stream", "GET /a 0 > - mid-stream pipelined"], &[]);
    let mut talk = Talk::under_way();
    check(talk.server(OK).server(OK), &["- > 200 5", "- > 200 5"], &[]);
}

#[test]
fn no_syn_but_a_syn_ack() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK).pieces.remove(0);
    check(&talk, &["GET /a 0 > 200 5"], &[]);
}

#[test]
fn a_handshake_captured_out_of_order() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK);
    for order in [[1, 0, 2, 3, 4], [2, 1, 0, 3, 4], [3, 0, 1, 2, 4], [4, 3, 2, 1, 0]] {
        let mut shuffled = talk.clone();
        shuffled.pieces = order.map(|at: usize| talk.pieces[at].clone()).to_vec();
        check(&shuffled, &["GET /a 0 > 200 5"], &[]);
    }
}

#[test]
fn data_in_the_syn() {
    let mut talk = Talk::under_way();
    talk.push(true, SYN, GET.as_bytes());
    talk.skip(true, GET.len() + 1);
    talk.push(false, SYN | ACK, b"");
    talk.skip(false, 1).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[]);
}

#[test]
fn the_later_of_two_syn_acks_counts_when_nothing_was_sent_for_the_first() {
    let mut talk = Talk::under_way();
    talk.push(true, SYN, b"");
    talk.skip(true, 1).push(false, SYN | ACK, b"");
    talk.next[1] = 3_000_000_000;
    talk.push(false, SYN | ACK, b"");
    talk.skip(false, 1).client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[]);
    assert_eq!(talk.import().1.ledger.notes["second syn-ack"], 1);
}

#[test]
fn a_body_until_close_ends_with_fin_and_not_with_reset() {
    let answer = "HTTP/1.0 200 OK\r\n\r\nhel";
    let mut talk = Talk::new();
    talk.client(GET).server(answer).server("lo").close(false, FIN).close(true, FIN);
    check(&talk, &["GET /a 0 > 200 5"], &[]);
    let mut talk = Talk::new();
    talk.client(GET).server(answer).server("lo").close(false, RST);
    check(&talk, &["GET /a 0 > 200 ? response-cut"], &[]);
    let mut talk = Talk::new();
    check(talk.client(GET).server(answer), &["GET /a 0 > 200 ? response-cut"], &[]);
}

#[test]
fn fin_with_data_half_close_and_data_behind_fin() {
    let mut talk = Talk::new();
    talk.client(GET).pieces.last_mut().unwrap().flags |= FIN;
    talk.skip(true, 1).server(OK).client("late").close(false, FIN);
    check(&talk, &["GET /a 0 > 200 5"], &[("after the end", 4)]);
}

#[test]
fn the_same_addresses_again_are_another_connection() {
    for flag in [FIN, RST] {
        let mut talk = Talk::new();
        talk.client("PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").close(true, flag);
        talk.close(false, flag);
        talk.next = [700_000, 900_000];
        talk.open();
        talk.client(GET).server(OK);
        check(&talk, &["PUT / 3 > - request-cut", "GET /a 0 > 200 5"], &[]);
        let connections: Vec<u64> = exchanges(&talk).iter().map(|it| it.connection).collect();
        assert_eq!(connections, [0, 1]);
    }
}

#[test]
fn a_reset_that_was_injected_does_not_end_the_connection() {
    let mut talk = Talk::new();
    talk.client(GET).close(false, RST).server(OK).client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 5", "GET /a 0 > 200 5"], &[]);
}

#[test]
fn the_end_of_the_capture_inside_a_message() {
    let mut talk = Talk::new();
    talk.client(GET).server(&OK[..OK.len() - 2]);
    check(&talk, &["GET /a 0 > 200 ? response-cut"], &[]);
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 O");
    check(&talk, &["GET /a 0 > 200 ? response-cut"], &[]);
    let mut talk = Talk::new();
    check(talk.client(&GET[..20]), &["GET /a 0 > - request-cut malformed"], &[]);
}

#[test]
fn clocks_change_times_and_nothing_else() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK).client(GET).server(OK);
    let expected = lines(&talk.import().0);
    let clocks: [fn(i64) -> i64; 3] = [|_| 0, |at| -at, |at| at ^ 0x5555_5555];
    for clock in clocks {
        let mut other = talk.clone();
        for piece in &mut other.pieces {
            piece.at_ns = clock(piece.at_ns);
        }
        assert_eq!(lines(&other.import().0), expected);
    }
}

#[test]
fn times_are_those_of_first_and_last_bytes() {
    let mut talk = Talk::new();
    talk.client(&GET[..9]).client(&GET[9..]).server(&OK[..9]).server(&OK[9..30]).server(&OK[30..]);
    talk.client(GET).server(OK);
    let found = exchanges(&talk);
    let millis = |time: Option<std::time::Duration>| time.unwrap().as_millis();
    let times = |at: usize| {
        let response = found[at].response.as_ref().unwrap();
        [found[at].at.as_millis(), millis(response.first_byte), millis(response.last_byte)]
    };
    assert_eq!((times(0), times(1)), ([0, 2, 4], [5, 1, 1]));
    assert_eq!(talk.import().1.duration_ns, 6_000_000);
}

// HTTP.

#[test]
fn answers_without_body_whatever_they_declare() {
    let sized = |status: u32| format!("HTTP/1.1 {status} \r\nContent-Length: 5\r\n\r\n");
    let mut talk = Talk::new();
    talk.client("HEAD /h HTTP/1.1\r\n\r\n").server(&sized(200)).client(GET).server(&sized(304));
    talk.client(GET).server(&sized(204)).client(GET).server(OK);
    check(
        &talk,
        &["HEAD /h 0 > 200 0", "GET /a 0 > 304 0", "GET /a 0 > 204 0", "GET /a 0 > 200 5"],
        &[],
    );
}

#[test]
fn any_method_and_any_status() {
    let mut talk = Talk::new();
    talk.client("PURGE /a HTTP/1.1\r\n\r\n").server("HTTP/1.1 499 \r\nContent-Length: 0\r\n\r\n");
    talk.client("X!$ /a HTTP/1.1\r\n\r\n").server("HTTP/1.1 520\r\nContent-Length: 0\r\n\r\n");
    check(&talk, &["PURGE /a 0 > 499 0", "X!$ /a 0 > 520 0"], &[]);
}

#[test]
fn a_chunked_body_ends_where_it_says_and_not_where_a_segment_looks_like_it() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .client("7;a=b\r\n")
        .client("ab0\r\n\r\n")
        .client("\r\n0\r\nTrailer: x\r\n")
        .client("\r\n")
        .server(OK);
    check(&talk, &["POST / 7 > 200 5 chunked"], &[]);
    assert_eq!(exchanges(&talk)[0].request_body, "ab0\r\n\r\n".as_bytes());
}

#[test]
fn contradicting_lengths_are_flagged() {
    let mut talk = Talk::new();
    talk.client(
        "POST / HTTP/1.1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    talk.server(OK).client("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na");
    talk.server(OK);
    check(&talk, &["POST / 0 > 200 5 ambiguous chunked", "POST / 1 > 200 5 ambiguous"], &[]);
}

#[test]
fn a_chunk_size_beyond_all_bounds_ends_the_message() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nGET /");
    talk.server(OK).client(GET).server(OK);
    check(
        &talk,
        &["POST / 0 > 200 5 ambiguous request-cut chunked", "GET /a 0 > 200 5"],
        &[("behind a bad chunk", 24)],
    );
}

#[test]
fn what_follows_an_upgrade_is_not_read() {
    let mut talk = Talk::new();
    talk.client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    talk.server("HTTP/1.1 101 Switching Protocols\r\n\r\n").client(GET).server(OK);
    let bytes = (GET.len() + OK.len()) as u64;
    check(&talk, &["GET /ws 0 > 101 0 upgraded"], &[("upgraded", bytes)]);
    let mut talk = Talk::new();
    talk.client("CONNECT b:443 HTTP/1.1\r\n\r\n").server("HTTP/1.1 200 OK\r\n\r\n").client("\x16");
    check(&talk, &["CONNECT b:443 0 > 200 0 upgraded"], &[("upgraded", 1)]);
    let mut talk = Talk::new();
    talk.client("CONNECT b:443 HTTP/1.1\r\n\r\n").server(&OK.replace("200", "407")).client(GET);
    check(&talk, &["CONNECT b:443 0 > 407 5", "GET /a 0 > -"], &[]);
}

#[test]
fn more_responses_than_requests() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK).server(&OK.replace("200", "408")).client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 5", "- > 408 5", "GET /a 0 > 200 5"], &[]);
}

#[test]
fn fewer_responses_than_requests() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK).client(GET).close(true, FIN).close(false, FIN);
    check(&talk, &["GET /a 0 > 200 5", "GET /a 0 > -"], &[]);
}

#[test]
fn a_request_without_version_is_answered_without_a_head() {
    let mut talk = Talk::new();
    talk.client("GET /old\r\n").server("<html>").close(false, FIN).close(true, FIN);
    check(&talk, &["GET /old 0 > 0 6 malformed"], &[]);
}

// Hostile or odd bytes.

#[test]
fn odd_heads_are_read_and_flagged() {
    let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(10_000));
    let large = format!("GET /a HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(65_536));
    for (head, flags) in [
        ("GET /a HTTP/1.1\nHost: \n\n", " malformed"),
        ("GET /a HTTP/1.1\r\nA: \r\n\r\n", ""),
        ("GET /a HTTP/1.1\r\nA: b\rc\r\n\r\n", " malformed"),
        ("GET /a HTTP/1.1\r\nA: b\0c\r\n\r\n", " malformed"),
        ("GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n", " malformed"),
        ("GET /a HTTP/1.1\r\nA : b\r\n\r\n", " malformed"),
        ("GET /a HTTP/1.1\r\nno colon\r\n\r\n", " malformed"),
        ("\r\n\r\nGET /a HTTP/1.1\r\n\r\n", ""),
        (&many, ""),
        (&large, ""),
    ] {
        let mut talk = Talk::new();
        for piece in head.as_bytes().chunks(999) {
            talk.say(true, piece);
        }
        let (found, _) = talk.server(OK).import();
        assert_eq!(lines(&found), [format!("GET /a 0 > 200 5{flags}")], "{head:.60}");
    }
}

#[test]
fn a_target_that_is_no_text_is_escaped_and_exact_in_the_head() {
    let mut talk = Talk::new();
    talk.say(true, b"GET /\xff HTTP/1.1\r\n\r\n").server(OK);
    check(&talk, &["GET /%FF 0 > 200 5 escaped"], &[]);
    assert_eq!(exchanges(&talk)[0].request_head, b"GET /\xff HTTP/1.1\r\n\r\n".as_slice());
}

#[test]
fn a_head_beyond_the_limit_is_dropped_and_counted() {
    let mut talk = Talk::new();
    let head = format!("GET /a HTTP/1.1\r\nA: {}", "x".repeat(300_000));
    for piece in head.as_bytes().chunks(1400) {
        talk.say(true, piece);
    }
    check(&talk, &[], &[("head too long", head.len() as u64)]);
}

#[test]
fn other_protocols_are_counted_and_not_read() {
    for (name, bytes) in [
        ("tls", "\x16\x03\x01\x00\x05hello GET / HTTP/1.1\r\n\r\n"),
        ("http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("resp", "*1\r\n$4\r\nPING\r\n"),
        ("ssh", "SSH-2.0-x\r\n"),
    ] {
        for at in 1..bytes.len().min(9) {
            let mut talk = Talk::new();
            talk.client(&bytes[..at]).client(&bytes[at..]).server("+PONG\r\n");
            check(&talk, &[], &[(name, bytes.len() as u64 + 7)]);
        }
    }
}

#[test]
fn a_start_line_inside_a_body_is_body() {
    let mut talk = Talk::new();
    let length = GET.len() * 2;
    talk.client(&format!("PUT / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"));
    talk.client(GET).client(GET).server(OK);
    check(&talk, &[&format!("PUT / {length} > 200 5")], &[]);
}

#[test]
fn http_behind_a_proxy_handshake() {
    let mut talk = Talk::new();
    talk.client("\x05\x01\x00").server("\x05\x00").client("\x05\x01\x00\x01\x01\x02\x03\x04\x00P");
    talk.server("\x05\x00\x00\x01\x01\x02\x03\x04\x00P").client(GET).server(OK);
    check(&talk, &["GET /a 0 > 200 5"], &[("not http", 25)]);
}

#[test]
fn a_body_beyond_the_limit_is_kept_in_part() {
    let mut talk = Talk::new();
    let length = (1 << 20) + 7;
    talk.client(&format!("PUT / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"));
    for piece in vec![b'x'; length].chunks(60_000) {
        talk.say(true, piece);
    }
    check(talk.server(OK), &[&format!("PUT / {length} > 200 5 request-cut")], &[]);
    assert_eq!(exchanges(&talk)[0].request_body.len(), 1 << 20);
}

#[test]
fn sessions_follow_cookies_and_else_connections() {
    let mut talk = Talk::new();
    let with = |cookie: &str| format!("GET / HTTP/1.1\r\nCookie: {cookie}\r\n\r\n");
    talk.client(&with("a")).server(OK).client(&with("b")).server(OK).client(&with("a")).server(OK);
    talk.client(GET).server(OK).client(GET).server(OK);
    let sessions: Vec<u64> = exchanges(&talk).iter().map(|it| it.session).collect();
    assert_eq!((sessions[0] == sessions[2], sessions[0] == sessions[1]), (true, false));
    assert_eq!((sessions[3] == sessions[4], sessions[3] == sessions[0]), (true, false));
}

#[test]
fn servers_are_named_as_clients_name_them() {
    let mut talk = Talk::new();
    talk.client("GET / HTTP/1.1\r\nHost: Shop.Example:80\r\n\r\n").server(OK).client(GET);
    let servers = talk.import().1.servers;
    assert_eq!(servers.authorities, ["shop", "shop.example:80"]);
    assert_eq!(servers.addresses, ["10.0.0.2:80".parse::<SocketAddr>().unwrap()]);
}

fn exchanges(talk: &Talk) -> Vec<Exchange> {
    let only = |found| match found {
        Found::Exchange(exchange) => Some(exchange),
        Found::OrphanResponse { .. } => None,
    };
    talk.import().0.into_iter().filter_map(only).collect()
}

// Whole-run properties.

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
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n",
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

fn piece() -> impl Strategy<Value = Piece> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
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
            let next = talk.pieces[at + 1..].iter().find(|next| {
                next.client == copy.client
                    && next.seq == copy.seq.wrapping_add(copy.payload.len() as u32)
                    && copy.flags == ACK
            });
            copy.payload.extend(next.map_or(&[][..], |next| &next.payload[..next.payload.len() / 2]));
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
        turns in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..60)), 0..20),
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
