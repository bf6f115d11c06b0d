//! Aim: HTTP/1 as it is really spoken, and bytes that are none.

use std::net::SocketAddr;

use peakhour::capture::FIN;
use peakhour::capture::import::Found;
use peakhour::protocol::http1::chunks::MAX_CHUNKS;
use peakhour::recording::Flags;

use crate::talk::{GET, OK, Talk, check, exchanges, lines};

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
    let exchange = &exchanges(&talk)[0];
    assert_eq!(exchange.request_body, "ab0\r\n\r\n".as_bytes());
    let chunks = exchange.request_chunks.as_deref().unwrap();
    assert_eq!(str::from_utf8(chunks), Ok("7;a=b\r\n\r\n0\r\nTrailer: x\r\n\r\n"));
}

/// Of a body in more chunks than are kept, its bytes are known.
#[test]
fn chunks_are_kept_within_a_limit_and_only_where_there_are_any() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab").server(OK);
    talk.client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let hundreds = MAX_CHUNKS / 500 + 1;
    for _ in 0..hundreds {
        talk.client(&"1\r\nx\r\n".repeat(100));
    }
    talk.client("0\r\n\r\n").server(OK).client("POST /b HTTP/1.1\r\n");
    talk.client("Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n").server(OK);
    let chunks: Vec<_> = exchanges(&talk).iter().map(|it| it.request_chunks.is_some()).collect();
    assert_eq!(chunks, [false, false, true]);
    assert_eq!(exchanges(&talk)[1].request_body.len(), hundreds * 100);
    assert_eq!(talk.import().1.ledger.notes.get("chunked bodies of too many chunks"), Some(&1));
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
fn where_chunked_is_in_doubt_the_body_tells_however_it_is_cut() {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for (lines, body, sent) in [
        ("Transfer-Encoding: chunkedx", chunks, 5),
        ("Transfer-Encoding: chunkedx\r\nContent-Length: 5", "hello", 5),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "hello", 5),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "ffaa!", 5),
        ("Transfer-Encoding: chunked\r\nContent-Length: 99", chunks, 5),
        ("Transfer-Encoding: x chunked\r\nContent-Length: 0", "", 0),
        ("Transfer-Encoding: chunkedx", "", 0),
    ] {
        for cut in 0..=body.len() {
            let mut talk = Talk::new();
            talk.client(&format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n"));
            talk.client(&body[..cut]).client(&body[cut..]).server(OK);
            talk.client("DE").client("LETE /b HTTP/1.1\r\n\r\n").server(OK);
            let chunked = if body == chunks { " chunked" } else { "" };
            let first = format!("POST / {sent} > 200 5 ambiguous{chunked}");
            check(&talk, &[&first, "DELETE /b 0 > 200 5"], &[]);
        }
    }
}

#[test]
fn an_end_or_missing_bytes_decide_what_is_in_doubt() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n";
    let mut talk = Talk::new();
    talk.client(&format!("{head}aa")).server(OK);
    check(&talk, &["POST / 2 > 200 5 ambiguous request-cut"], &[]);
    let mut talk = Talk::new();
    talk.client(&format!("{head}aa")).skip(true, 2).client(GET).server(OK).server(OK);
    check(
        &talk,
        &["POST / 4 > 200 5 ambiguous request-cut gap", "GET /a 0 > 200 5 pipelined"],
        &[],
    );
}

/// No byte is looked at with each one that follows: that would take minutes here.
#[test]
fn fronts_that_never_end_are_read_once() {
    for front in ["GET /", "GET / HTTP/1.1\r\n\r", "SET key ", "GET / HTTP/1.1\r\nA: "] {
        let mut talk = Talk::new();
        let last = front.get(front.len() - 1..).filter(|last| *last == "\r").unwrap_or("a");
        talk.client(front);
        for _ in 0..60_000 {
            talk.client(last);
        }
        let (found, imported) = talk.import();
        assert!(found.len() <= 1, "{front:?}");
        assert_eq!(imported.ledger.stream_bytes.total, 60_000 + front.len() as u64);
    }
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
fn other_protocols_are_counted_and_not_read() {
    for (name, bytes) in
        [("tls", "\x16\x03\x01\x00\x05hello GET / HTTP/1.1\r\n\r\n"), ("ssh", "SSH-2.0-x\r\n")]
    {
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

#[test]
fn another_protocol_in_the_middle_ends_what_was_under_way() {
    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    let tls = "\x16\x03\x01\0\x05hello";
    let mut asked = Talk::new();
    asked.client(GET).server(begun).client(tls);
    check(&asked, &["GET /a 0 > 200 ? response-cut"], &[("tls", 10)]);
    let mut unasked = Talk::new();
    unasked.server(begun).client(tls);
    check(&unasked, &["- > 200 ?"], &[("tls", 10)]);
    let mut sending = Talk::new();
    sending.client("POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nhello").server(OK).server(tls);
    check(&sending, &["POST / 5 > 200 5 request-cut"], &[("tls", 10)]);
}

#[test]
fn a_connection_that_becomes_a_websocket_is_marked() {
    let ask =
        "GET /chat HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    for (name, is_marked) in [("WebSocket", true), ("irc", false)] {
        let mut talk = Talk::new();
        talk.client(ask);
        talk.server(&format!("HTTP/1.1 101 Switching\r\nUpgrade: {name}\r\n\r\n"));
        talk.say(false, b"\x81\x02hi");
        let (found, imported) = talk.import();
        let Found::Exchange(exchange) = &found[0] else { panic!("{found:?}") };
        assert_eq!(exchange.flags.contains(Flags::WEBSOCKET), is_marked);
        assert!(exchange.flags.contains(Flags::UPGRADED));
        assert_eq!(imported.ledger.stream_bytes.count("upgraded"), 4);
        assert_eq!(imported.ledger.notes.contains_key("websocket connections"), is_marked);
    }
}
