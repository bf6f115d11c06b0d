//! What is read as a response, and what is not.

use proptest::prelude::*;

use super::*;
use crate::drive::response::head::MAX_HEADERS;

/// Status, body bytes, and whether the connection can be used again.
type Whole = (u16, u64, bool);

/// The response; or the error, or what the end of the stream makes of it.
fn read(method: &str, pieces: &[&[u8]]) -> Result<Whole, String> {
    let mut reader = ResponseReader::new(method);
    for piece in pieces {
        match reader.push(piece) {
            Ok(Some(answer)) => {
                return Ok((answer.status, reader.body_bytes(), answer.reusable));
            }
            Ok(None) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    match reader.end() {
        Ending::Whole(answer) => Ok((answer.status, reader.body_bytes(), answer.reusable)),
        ending => Err(format!("{ending:?} after {}", reader.seen())),
    }
}

fn check(request: &str, wire: &str, expected: Whole) {
    assert_eq!(read(request, &[wire.as_bytes()]), Ok(expected), "{request} {wire:?}");
}

#[test]
fn the_body_is_framed_by_headers() {
    let check = |head: &str, body: &str, expected: Whole| {
        check("GET", &format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}"), expected);
    };
    check("Content-Length: 3\r\n", "abc", (200, 3, true));
    check("Content-Length: 3, 3\r\ncontent-length:3\r\n", "abc", (200, 3, true));
    check("Content-Length: 0\r\n", "", (200, 0, true));
    check("Content-Length: 1\r\n", "a and bytes nobody asked for", (200, 1, false));
    check("", "until the end", (200, 13, false));
    let chunks = "2;x=y\r\nab\r\n0\r\nTrailer: t\r\n\r\n";
    check("Transfer-Encoding: gzip, Chunked\r\n", chunks, (200, 2, true));
    // Chunked wins over a length, but who sends both is not trusted with another request.
    check("Transfer-Encoding: chunked\r\nContent-Length: 9\r\n", chunks, (200, 2, false));
    check("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n", "abc", (200, 3, false));
}

#[test]
fn some_responses_have_no_body_whatever_their_headers_say() {
    check("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", (200, 0, true));
    check("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", (304, 0, true));
    check("GET", "HTTP/1.1 204 No Content\r\n\r\n", (204, 0, true));
    check("CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, 0, false));
    check("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02", (101, 0, false));
}

#[test]
fn interim_responses_and_stray_line_ends_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let last = "\r\nHTTP/1.1 201 Created\nContent-Length: 1\n\na";
    check("POST", &format!("{interim}{last}"), (201, 1, true));
}

#[test]
fn version_and_connection_header_decide_about_reuse() {
    let one = "Content-Length: 1\r\n\r\na";
    check("GET", &format!("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n{one}"), (200, 1, false));
    check("GET", &format!("HTTP/1.0 200 OK\r\n{one}"), (200, 1, false));
    let kept = format!("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n{one}");
    check("GET", &kept, (200, 1, true));
}

#[test]
fn what_is_no_response_is_named() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    let no_http = "the target does not speak HTTP/1; it said";
    let no_length = "the response's content length is no number or contradicts itself";
    for (wire, expected) in [
        ("-ERR no more\r\nx", format!("{no_http} \"-ERR no more\"")),
        ("HTT\0P\n", format!("{no_http} \"HTTP\"")),
        ("SSH-2.0-x", "NotHttp { banner: \"SSH-2.0-x\" } after 9".to_owned()),
        (
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "the response head is malformed: invalid response status".to_owned(),
        ),
        (&head("Content-Length: +3"), no_length.to_owned()),
        (&head("Content-Length: 3\r\nContent-Length: 4"), no_length.to_owned()),
        (
            &format!("{}zz\r\n", head("Transfer-Encoding: chunked")),
            "the response body is malformed: chunk size is not a hexadecimal number below 2^63"
                .to_owned(),
        ),
        (&format!("{}ab", head("Content-Length: 3")), "Cut after 40".to_owned()),
        ("HT", "Cut after 2".to_owned()),
        ("", "Cut after 0".to_owned()),
        (&long, "the response head is longer than 262144 bytes".to_owned()),
        (
            &"HTTP/1.1 102 Processing\r\n\r\n".repeat(MAX_HEAD / 27 + 1),
            "the response head is longer than 262144 bytes".to_owned(),
        ),
    ] {
        assert_eq!(read("GET", &[wire.as_bytes()]), Err(expected));
    }
}

#[test]
fn headers_are_accepted_up_to_the_limit() {
    let with = |count: usize| {
        let headers = "X: y\r\n".repeat(count);
        read("GET", &[format!("HTTP/1.1 204 No Content\r\n{headers}\r\n").as_bytes()])
    };
    assert_eq!(with(MAX_HEADERS), Ok((204, 0, true)));
    assert!(with(MAX_HEADERS + 1).is_err());
}

#[test]
fn a_banner_is_bounded_and_printable() {
    let noise = [b"\x00ab\x1b[31m".to_vec(), vec![b'z'; 500]].concat();
    let Err(ResponseError::NotHttp { banner }) = ResponseReader::new("GET").push(&noise) else {
        panic!("noise is not HTTP");
    };
    assert!(banner.starts_with("ab[31mz") && banner.len() <= MAX_BANNER, "{banner}");
}

fn wire() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.0 404 No\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\n",
        "hello",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "-ERR no\r\n",
        "HTT",
    ]);
    let spoken = prop::collection::vec(parts, 0..8).prop_map(|parts| parts.concat().into());
    prop_oneof![4 => spoken, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    /// For all bytes and all cuts of them: no panic, and the same status and body, or the same
    /// error, as in one piece. (Whether bytes follow an answer is known only in one piece.)
    #[test]
    fn every_cut_reads_alike(
        wire in wire(),
        cuts in prop::collection::vec(0_usize..200, 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
        let known = |read: Result<Whole, String>| read.map(|read| (read.0, read.1));
        for method in ["GET", "HEAD"] {
            prop_assert_eq!(known(read(method, &[&wire])), known(read(method, &pieces)));
        }
    }
}
