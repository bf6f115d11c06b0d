//! Aim: whatever happens to segments on their way into a capture, the exchanges are those that
//! were spoken, and what is missing is said.

use peakhour::capture::import::{Found, read_capture};
use peakhour::capture::{ACK, FIN, RST, SYN};

use crate::talk::{GET, OK, Talk, check, exchanges, file_of, lines};

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

#[test]
fn a_capture_in_two_files_is_one_capture() {
    let mut talk = Talk::new();
    talk.client(GET).server(&OK[..30]).server(&OK[30..]).client(GET).server(OK);
    let import = |cut: usize| {
        let (front, back) = talk.pieces.split_at(cut);
        let files = [front, back].into_iter().filter(|pieces| !pieces.is_empty()).map(file_of);
        let mut found = Vec::new();
        let imported = read_capture(files.collect(), &mut |one| found.push(one)).unwrap();
        (found, imported)
    };
    let whole = import(0);
    assert_eq!(lines(&whole.0), ["GET /a 0 > 200 5", "GET /a 0 > 200 5"]);
    assert!(whole.1.ledger.reconciles());
    assert_eq!(whole.1.clock_resolution_ns, 1_000);
    assert_eq!(whole.1.started_unix_ns, 1_577_836_800_004_000_000);
    for cut in 1..talk.pieces.len() {
        assert_eq!(import(cut), whole);
    }
}
