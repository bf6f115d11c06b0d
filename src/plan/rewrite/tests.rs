//! What of a request changes on its way to the target, and what does not.

use proptest::prelude::{any, prop, proptest};

use super::*;

fn rewritten(head: &str, body: &str, headers: &[(&str, &str)]) -> Option<Rewritten> {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    rewrite(head.as_bytes(), (&Bytes::from(body.to_owned()), None), "staging:81", &headers)
}

#[test]
fn only_what_must_change_changes() {
    for (reason, headers, head, expected) in TABLE {
        let request = rewritten(head, "", headers).unwrap();
        assert_eq!(String::from_utf8_lossy(&request.head), *expected, "{reason}");
        assert!(!request.expects, "{reason}");
    }
}

/// What is shown, the headers that are set, what was recorded, what is sent.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const SET: &[(&str, &str)] = &[("Authorization", "Bearer t"), ("X-Run", "1")];

const TABLE: &[Row] = &[
    (
        "order, case and spacing stay",
        &[],
        "GET /a?b=%zz HTTP/1.1\r\nX-CuStOm:  a \r\nhOsT:\tshop.example \r\nx-dup: 1\r\n\
             zz:y\r\nX-Dup: 2\r\n\r\n",
        "GET /a?b=%zz HTTP/1.1\r\nX-CuStOm:  a \r\nhOsT:\tstaging:81\r\nx-dup: 1\r\n\
             zz:y\r\nX-Dup: 2\r\n\r\n",
    ),
    (
        "a host is added to HTTP/1.1",
        &[],
        "GET / HTTP/1.1\r\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: staging:81\r\nA: b\r\n\r\n",
    ),
    (
        "but not to HTTP/1.0",
        &[],
        "GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
    ),
    (
        "every host leaves the recording",
        &[],
        "GET / HTTP/1.1\r\nHost: a\r\nHost:b\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: staging:81\r\nHost:staging:81\r\nHost:staging:81\r\n\r\n",
    ),
    (
        "an absolute target is led elsewhere",
        &[],
        "GET HTTP://user:pw@shop.example:8080?q=http://x HTTP/1.1\r\n\
             Host: shop.example\r\n\r\n",
        "GET HTTP://staging:81?q=http://x HTTP/1.1\r\nHost: staging:81\r\n\r\n",
    ),
    (
        "whatever its scheme",
        &[],
        "GET ftp://shop.example/a HTTP/1.0\r\n\r\n",
        "GET ftp://staging:81/a HTTP/1.0\r\n\r\n",
    ),
    (
        "a target that only mentions one is not",
        &[],
        "GET /http://shop.example HTTP/1.0\r\n\r\n",
        "GET /http://shop.example HTTP/1.0\r\n\r\n",
    ),
    (
        "headers are set where they stand, once, and appended otherwise",
        SET,
        "GET / HTTP/1.1\r\nHost: a\r\nauthorization:x\r\n folded\r\nAUTHORIZATION: y\r\n\
             B: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: staging:81\r\nauthorization:Bearer t\r\nB: c\r\n\
             X-Run: 1\r\n\r\n",
    ),
    (
        "continued lines of others stay",
        &[],
        "GET / HTTP/1.0\r\nA: b\r\n\tHost: c\r\n\r\n",
        "GET / HTTP/1.0\r\nA: b\r\n\tHost: c\r\n\r\n",
    ),
    (
        "bare line feeds stay",
        &[("X", "1")],
        "GET / HTTP/1.1\nHost: a\nB: c\n\n",
        "GET / HTTP/1.1\nHost: staging:81\nB: c\nX: 1\n\n",
    ),
    (
        "lines that are no headers stay",
        &[],
        "GET / HTTP/1.0\r\nno colon\r\n: empty\r\n\r\n",
        "GET / HTTP/1.0\r\nno colon\r\n: empty\r\n\r\n",
    ),
    (
        "other upgrades and expectations stay",
        &[],
        "GET / HTTP/1.0\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nExpect: more\r\n\r\n",
        "GET / HTTP/1.0\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nExpect: more\r\n\r\n",
    ),
    (
        "empty lines before the request stay, what follows the head does not",
        &[],
        "\r\nGET / HTTP/1.0\r\nA: b\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        "\r\nGET / HTTP/1.0\r\nA: b\r\n\r\n",
    ),
    (
        "a head that was cut is ended",
        &[("X", "1")],
        "GET / HTTP/1.1\r\nHost: a",
        "GET / HTTP/1.1\r\nHost: staging:81\r\nX: 1\r\n\r\n",
    ),
    ("a request line that was cut is ended", &[], "GET /", "GET /\r\n\r\n"),
];

#[test]
fn a_body_that_waits_for_leave_is_told() {
    let of = |head: &str, body: &str| {
        let head = format!("PUT / HTTP/1.1\r\nHost: staging:81\r\n{head}\r\n\r\n");
        let request = rewritten(&head, body, &[]).unwrap();
        assert_eq!(request.head, head, "it stays");
        request.expects
    };
    assert!(of("expect: 100-Continue\r\nContent-Length: 2", "ab"));
    assert!(of("Expect:100-continue \r\nTransfer-Encoding: chunked", ""));
    assert!(!of("Expect: 100-continue\r\nContent-Length: 0", ""), "there is nothing to wait");
    assert!(!of("Expect: something else\r\nContent-Length: 2", "ab"));
}

#[test]
fn chunks_and_trailers_are_those_that_were_recorded() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = &b"1\r\n\r\n02\r\n\r\n0\r\nX: y\r\n\r\n"[..];
    let body = Bytes::from_static(b"abc");
    let of =
        |head: &[u8]| rewrite(head, (&body, Some(chunks)), "h", &BTreeMap::new()).unwrap().body;
    assert_eq!(of(head), &b"1\r\na\r\n02\r\nbc\r\n0\r\nX: y\r\n\r\n"[..]);
    let length = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(of(length), body, "a body with a length has no chunks, whatever is recorded");
}

#[test]
fn a_chunked_body_becomes_one_chunk() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";
    for (body, wire) in [
        ("", "0\r\n\r\n"),
        ("abc", "3\r\nabc\r\n0\r\n\r\n"),
        ("0123456789abcdef", "10\r\n0123456789abcdef\r\n0\r\n\r\n"),
    ] {
        assert_eq!(&rewritten(head, body, &[]).unwrap().body[..], wire.as_bytes());
    }
}

#[test]
fn a_head_that_announces_another_body_is_not_sent() {
    for (headers, body) in [
        ("Content-Length: 3\r\n", "ab"),
        ("Content-Length: 1\r\n", "ab"),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", "ab"),
        ("Content-Length: +2\r\n", "ab"),
        ("Content-Length: 2, 2\r\n", "ab"),
        ("Content-Length: 99999999999999999999\r\n", "ab"),
        ("Content-Length:\r\n", ""),
        ("", "ab"),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "ab"),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        assert_eq!(rewritten(&head, body, &[]), None, "{headers}");
    }
    assert_eq!(rewritten("\r\n\r\n", "", &[]), None, "no request line");
    let twice = "POST / HTTP/1.1\r\nContent-Length: 2\r\ncontent-length : 2\r\n\r\n";
    assert!(rewritten(twice, "ab", &[]).is_some());
}

proptest! {
    /// For all bytes: rewriting does not panic, and doing it again changes nothing more.
    #[test]
    fn rewriting_twice_is_rewriting_once(head in prop::collection::vec(any::<u8>(), 0..200)) {
        let headers = [("X".to_owned(), "1".to_owned())].into();
        let head = [b"G", &head[..]].concat();
        let once = rewrite_head(&head, "h:1", &headers);
        let twice = rewrite_head(&once, "h:1", &headers);
        assert_eq!(once, twice);
    }

    /// For all heads made of ordinary lines, whatever their spacing: nothing changes but the
    /// host.
    #[test]
    fn other_bytes_are_kept(lines in prop::collection::vec("[a-gA-G-]{1,9}:[ -~]{0,20}", 0..9)) {
        let rest: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let head = |host: &str| format!("GET / HTTP/1.1\r\nhost: {host}\r\n{rest}\r\n");
        let out = rewrite_head(head("a.b").as_bytes(), "h:1", &BTreeMap::new());
        assert_eq!(out, head("h:1").as_bytes());
    }
}
