use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        "GET /?a=old12345 HTTP/1.1\r\n",
        "Cookie: a=1; old12345\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Type: application/json\r\n",
        "\r\n",
        "\n",
        " ",
        "old12345",
        "\"a\":\"x",
        "a=old12345&",
        "5\r\n",
        "0\r\n\r\n",
        "\\\"",
    ]);
    let spoken = prop::collection::vec(parts, 0..9).prop_map(|parts| parts.concat().into());
    prop_oneof![4 => spoken, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    /// For all bytes: no panic, and a request that has no place for a value stays as it is.
    #[test]
    fn any_request_can_be_looked_at(head in text(), body in text(), value in text()) {
        let (head, body, value) = (Bytes::from(head), Bytes::from(body), Bytes::from(value));
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut changes = Changes::new(&head, &body, protocol);
            let mut found = changes.in_target(b"old12345", &value, false);
            found |= changes.in_header("Cookie", b"old12345", &value);
            found |= changes.in_body(b"old12345", &value, true);
            found |= changes.header("content-type", Some(&value));
            found |= changes.query("a", Some(&value));
            found |= changes.form("a", Some(&value));
            found |= changes.json("a", Some(&value));
            let mut has_cookies = false;
            changes.cookies(|_| {
                has_cookies = true;
                None
            });
            let made = changes.made();
            prop_assert_eq!(made.is_some(), found || has_cookies);
        }
    }
}

/// What is sent when `change` is made.
fn sent(head: &str, body: &str, change: impl Fn(&mut Changes<'_>) -> bool) -> (bool, String) {
    let (head, body) = (Bytes::from(head.to_owned()), Bytes::from(body.to_owned()));
    let mut changes = Changes::new(&head, &body, Protocol::Http1);
    let found = change(&mut changes);
    let (head, body) = changes.made().unwrap_or((head, body));
    (found, String::from_utf8([&head[..], &body].concat()).unwrap())
}

fn new() -> Bytes {
    Bytes::from_static(b"n&\"w")
}

#[test]
fn values_stand_where_recorded_ones_stood() {
    let head = "GET /a/old12345?x=old12345&y=xold12345 HTTP/1.1\r\nx-t: Bearer old12345\r\n\r\n";
    let (_, all) = sent(head, "", |it| it.in_target(b"old12345", b"new", false));
    assert!(all.starts_with("GET /a/new?x=new&y=xold12345 HTTP/1.1\r\n"), "{all}");
    let (_, all) = sent(head, "", |it| it.in_target(b"old12345", b"a b#", false));
    assert!(all.starts_with("GET /a/a%20b%23?"), "{all}");
    let (_, all) = sent(head, "", |it| it.in_target(b"old12345", b"a+b/c&d", false));
    assert!(all.starts_with("GET /a/a+b/c&d?x=a%2Bb%2Fc%26d&y=x"), "{all}");
    let away = "GET /old12345 HTTP/1.1\r\n\r\n";
    let (found, all) =
        sent(away, "", |it| it.in_target(b"/old12345", b"http://x.example/1", false));
    assert!(!found && all == away, "{all}");
    let (_, all) = sent(head, "", |it| it.in_header("X-T", b"old12345", b"n"));
    assert!(all.ends_with("x-t: Bearer n\r\n\r\n"), "{all}");
    let (found, all) = sent(head, "", |it| it.in_header("X-U", b"old12345", b"n"));
    assert!(!found && all == head);
    let (found, all) = sent(head, "", |it| it.query("x", Some(&new())));
    assert!(found && all.contains("?x=n%26%22w&y=x"), "{all}");
    assert_eq!(sent(head, "", |it| it.query("x", None)), (true, head.to_owned()));
    assert!(!sent(head, "", |it| it.query("z", Some(&new()))).0);
}

#[test]
fn the_length_of_a_body_follows_it() {
    let post = |kind: &str, body: &str| {
        let length = body.len();
        format!("POST / HTTP/1.1\r\nContent-Type: {kind}\r\ncontent-length: {length}\r\n\r\n")
    };
    let form = "a=1&csrf=old&b=csrf";
    let head = post("application/x-www-form-urlencoded", form);
    let (_, all) = sent(&head, form, |it| it.form("csrf", Some(&new())));
    assert!(all.ends_with("content-length: 24\r\n\r\na=1&csrf=n%26%22w&b=csrf"), "{all}");
    let (_, all) = sent(&head, form, |it| it.in_body(b"old", b"newer", false));
    assert!(all.ends_with("content-length: 21\r\n\r\na=1&csrf=newer&b=csrf"), "{all}");
    let json = r#"{"t" : "o\"ld", "u": {"t":1}, "x": "\"t\": \"no\"", "s": "t"}"#;
    let head = post("application/json", json);
    let (found, all) = sent(&head, json, |it| it.json("t", Some(&new())));
    let expected = r#"{"t" : "n&\"w", "u": {"t":1}, "x": "\"t\": \"no\"", "s": "t"}"#;
    assert!(found && all.ends_with(expected), "{all}");
    assert!(!sent(&head, json, |it| it.form("t", Some(&new()))).0);

    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let wire = "3;x=y\r\nold\r\n2\r\n=1\r\n0\r\nTrailer: t\r\n\r\n";
    let (_, all) = sent(head, wire, |it| it.in_body(b"old", b"newer", false));
    assert_eq!(all, format!("{head}7\r\nnewer=1\r\n0\r\nTrailer: t\r\n\r\n"));
    let (_, all) = sent(head, wire, |it| it.set_body(Vec::new()));
    assert_eq!(all, format!("{head}0\r\nTrailer: t\r\n\r\n"), "nothing is left behind its end");
    let (found, all) = sent(head, "5\r\nold", |it| it.in_body(b"old", b"newer", false));
    assert!(!found && all == format!("{head}5\r\nold"));
}

#[test]
fn cookies_are_changed_where_there_are_some() {
    let head = "GET / HTTP/1.1\r\nCookie: a=1\r\nX: y\r\ncookie: b=2\r\n\r\n";
    let with = |head: &str, cookies: Option<&str>| {
        let change = |changes: &mut Changes<'_>| {
            changes.cookies(|recorded| {
                assert_eq!(recorded, "a=1; b=2");
                cookies.map(str::to_owned)
            });
            true
        };
        sent(head, "", change).1
    };
    assert_eq!(with(head, Some("c=3")), "GET / HTTP/1.1\r\nCookie: c=3\r\nX: y\r\n\r\n");
    assert_eq!(with(head, None), "GET / HTTP/1.1\r\nX: y\r\n\r\n");
    assert_eq!(with(head, Some("a=1; b=2")), head);
    let bare = "GET / HTTP/1.1\r\n\r\n";
    assert_eq!(with(bare, Some("c=3")), bare);
}
