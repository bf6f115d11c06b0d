//! Secrets do not get into a recording, and what a replay needs of them stays.

use std::fs;

use ::bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::tempdir;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::redaction::key::Key;
use peakhour::recording::redaction::policy::Policy;
use peakhour::recording::redaction::{KeySource, Redactor};
use peakhour::recording::{Exchange, Flags, Header, Response};

use crate::exchanges::{exchange, header, plain};
use crate::support::root;

fn redactor(secret: &str) -> Redactor {
    Redactor::new(&Policy::default(), Key::from_secret(secret.as_bytes()), KeySource::Random)
}

fn redacted(exchange: &Exchange, secret: &str) -> Exchange {
    let mut exchange = exchange.clone();
    redactor(secret).redact(&mut exchange);
    exchange
}

/// A secret wherever there may be one; each is found by searching for it.
fn secretive(number: u32, secret: &str) -> Exchange {
    let text = |text: &str| text.replace("SECRET", secret);
    let head = text(
        "POST http://SECRET-me:SECRET@shop.example/in?token=SECRET&page=2 HTTP/1.1\r\n\
         Host: shop.example\r\nAuthorization: Bearer SECRET\r\nCookie: a=SECRET; b=\r\n SECRET\r\n\
         x-csrf-token: SECRET\nReferer: /?api_key=SECRET\r\nX-Mail: SECRET.x@shop.example\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\n",
    );
    let answer = text(
        "HTTP/1.1 200 OK\r\nSet-Cookie: sid=SECRET; Path=/\r\n\
         Location: /next;jsessionid=SECRET?a=b\r\n\r\n",
    );
    let body = match number % 3 {
        0 => "user=me&password=SECRET",
        1 => "{\"a\": [{\"userPassword\": \"SECRET\", \"card\": {\"x\": \"SECRET\"}}]}",
        _ => "[{\"note\": \"SECRET@shop.example\", \"pin\": \"SECRET",
    };
    let plain = plain(u64::from(number), 0, number);
    Exchange {
        target: text("http://SECRET-me:SECRET@shop.example/in?token=SECRET&page=2"),
        route: text("/in?token=SECRET"),
        authority: text("SECRET@shop.example"),
        request_head: head.into(),
        request_body: text(body).into(),
        response: plain
            .response
            .clone()
            .map(|response| Response { head: answer.into(), ..response }),
        ..plain
    }
}

/// All text of a row, in one.
fn texts(exchange: &Exchange) -> String {
    let head = exchange.response.as_ref().map(|response| response.head.clone());
    let bytes = [&exchange.request_head, &exchange.request_body, &head.unwrap_or_default()];
    let [head, body, answer] = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    [&exchange.target, &exchange.route, &exchange.authority, &head, &body, &answer]
        .map(String::as_str)
        .join("\n")
}

/// Statistics of text columns are in the footer as they are, so a secret that got past would be
/// found; the columns themselves are packed, and are searched as they are read.
#[test]
fn no_secret_is_anywhere_in_the_file() {
    let directory = tempdir().unwrap();
    for (is_redacted, expected) in [(true, 0), (false, 8)] {
        let path = directory.path().join("peak.parquet");
        let mut writer = RecordingWriter::create(&path).unwrap();
        for number in 0..3 {
            let mut exchange = secretive(number, "s3cret");
            if is_redacted {
                redactor("key").redact(&mut exchange);
                assert!(exchange.flags.contains(Flags::REDACTED));
            }
            writer.push(exchange).unwrap();
        }
        writer.finish(header()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(6).filter(|window| window == b"s3cret").count();
        // Unredacted: target, route and authority show in their statistics, heads and bodies
        // never do.
        assert!(if is_redacted { found == 0 } else { found >= expected }, "{found}");
        for row in RecordingReader::open(&path).unwrap().exchanges(None) {
            let row = format!("{:?}", row.unwrap());
            assert_eq!(row.contains("s3cret"), !is_redacted, "{row}");
        }
    }
}

#[test]
fn an_exchange_without_secrets_keeps_all_but_the_number_of_its_session() {
    let before = plain(0, 0, 0);
    let after = redacted(&before, "key");
    assert_ne!(after.session, before.session);
    assert_eq!(Exchange { session: before.session, ..after }, before);
}

/// A session is set by one answer and sent in three ways afterwards.
#[test]
fn a_value_has_one_pseudonym_in_all_of_a_recording() {
    let value = "kYz81/Qm+t==";
    let lines = [
        "POST /?sid=kYz81%2FQm%2Bt%3D%3D HTTP/1.1".to_owned(),
        format!("Cookie: id={value}; other=\"{value}\""),
        format!("Authorization: Bearer {value}"),
        "Content-Type: application/json\r\n\r\n".to_owned(),
    ];
    let before = Exchange {
        request_head: lines.join("\r\n").into(),
        request_body: Bytes::from_static(br#"{"token":"kYz81\/Qm+t\u003d="}"#),
        response: plain(0, 0, 0).response.map(|response| Response {
            head: format!("HTTP/1.1 200 OK\r\nSet-Cookie: id={value}; Path=/\r\n\r\n").into(),
            ..response
        }),
        ..plain(0, 0, 0)
    };
    let after = redacted(&before, "key");
    let (head, answer) = (&after.request_head, &after.response.as_ref().unwrap().head);
    let answer = String::from_utf8_lossy(answer).into_owned();
    let other = answer.split("id=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert_ne!(other, value);
    assert_eq!((&other[5..6], &other[8..9], &other[10..]), ("/", "+", "=="), "{other}");
    let head = String::from_utf8_lossy(head).into_owned();
    let escaped = other.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    assert!(head.contains(&format!("sid={escaped} ")), "{head}");
    assert!(head.contains(&format!("id={other}; other=\"{other}\"\r\n")), "{head}");
    assert!(head.contains(&format!("Bearer {other}\r\n")), "{head}");
    let body: Value = serde_json::from_slice(&after.request_body).unwrap();
    assert_eq!(body, json!({ "token": other }));
    assert_eq!(redacted(&before, "key"), after, "one key");
    assert_ne!(redacted(&before, "other"), after, "two keys");
}

/// Sessions are numbered by hashes of cookies or clients, which can be guessed.
#[test]
fn sessions_stay_apart_under_numbers_that_tell_nothing() {
    let session = |number: u64, secret| {
        redacted(&Exchange { session: number, ..plain(0, 0, 0) }, secret).session
    };
    let mut seen: Vec<u64> = (0..1_000).map(|number| session(number, "key")).collect();
    assert_eq!(session(7, "key"), seen[7], "the same session stays one");
    assert_ne!(session(7, "other"), seen[7]);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1_000);
}

#[test]
fn what_was_touched_is_counted_by_rule_and_what_was_not_searched_by_reason() {
    let mut redactor = redactor("key");
    for number in 0..3 {
        redactor.redact(&mut secretive(number, "s3cret"));
    }
    let head = Bytes::from_static(b"POST / HTTP/1.1\r\nContent-Encoding: br\r\n\r\n");
    let body = Bytes::from_static(b"pin=12");
    let packed = Exchange { request_head: head, request_body: body, ..plain(0, 0, 0) };
    redactor.redact(&mut packed.clone());
    let mut again = Exchange { flags: Flags::REDACTED, ..secretive(0, "s3cret") };
    redactor.redact_once(&mut again);
    assert!(texts(&again).contains("s3cret"), "a row that was redacted before is left alone");
    let account = redactor.account();
    let count = |name: &str| {
        let found = account.replaced.iter().find(|counted| counted.name == name);
        found.map_or(0, |counted| counted.count)
    };
    assert_eq!(count("header Authorization"), 3);
    assert_eq!(count("header Cookie"), 3 + 3, "with folded lines");
    assert_eq!((count("header Set-Cookie"), count("header *Token")), (3, 3));
    assert_eq!((count("parameter *token"), count("parameter *password*")), (3, 1));
    assert_eq!((count("field *password*"), count("field card"), count("field pin")), (1, 1, 1));
    assert_eq!((count("pattern email"), count("user in URL")), (3 + 1, 3 * 2));
    let left: Vec<_> =
        account.not_searched.iter().map(|left| (left.name.as_str(), left.count)).collect();
    assert_eq!(left, [("compressed body", 1), ("request redacted before", 1)]);
    let text = serde_json::to_string(&account).unwrap();
    assert!(!text.contains("s3cret") && text.contains("\"key\":\"random\""), "{text}");
}

#[test]
fn footers_of_before_are_read() {
    let mut footer = serde_json::to_value(header()).unwrap();
    assert!(footer.get("redaction").is_none());
    let read: Header = serde_json::from_value(footer.clone()).unwrap();
    assert_eq!((read.redaction, read.redacted_headers.len()), (None, 1));
    let account = redactor("key").account();
    footer["redaction"] = serde_json::to_value(&account).unwrap();
    let read: Header = serde_json::from_value(footer).unwrap();
    assert_eq!(read.redaction, Some(account));
}

/// The manual's lists are those of the program, and its example is a policy.
#[test]
fn the_manual_names_every_rule() {
    use peakhour::recording::redaction::listed::{
        ADDRESS_HEADERS, HEADERS, PAGING, PERSONAL, SECRETS,
    };
    let manual = fs::read_to_string(root().join("docs/redaction.md")).unwrap();
    let told: Vec<&str> = manual.split('`').skip(1).step_by(2).collect();
    for name in [HEADERS, ADDRESS_HEADERS, SECRETS, PERSONAL, PAGING].into_iter().flatten() {
        assert!(told.contains(name), "docs/redaction.md does not name `{name}`");
    }
}

/// Any JSON, with names of which some are listed.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-z\"\\\\/%\n\u{e4}\u{1f600}]{0,12}".prop_map(Value::from),
        // What patterns find, behind what is escaped.
        "[a\n\t\"\\\\\u{e4}\u{1f600}]{0,3}anna@b.de".prop_map(Value::from),
        "[\n\u{e4}]{90,110}\u{1f600}{0,9}@b.de".prop_map(Value::from),
        "[\n\t\u{e4}]4111111111111111\n".prop_map(Value::from),
        "[\n\t\"\u{e4}]https://[a-z\"]{2}:b@c/\\?token=[a-z\n\u{e4}&]{0,4}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("password".to_owned()),
        Just("accessToken".to_owned()),
        Just("card".to_owned()),
        "[a-z]{0,4}",
        "\\PC{0,4}",
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON with `\u` for all that is not ASCII.
fn escaped(json: &str) -> String {
    let units = json.encode_utf16().map(|unit| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    });
    units.collect()
}

/// The same shape: names and kinds of all values.
fn is_alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a == b && is_alike(x, y))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_alike(a, b))
        }
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) => true,
        (a, b) => a == b,
    }
}

fn body_of(exchange: &Exchange, body: &[u8], secret: &str) -> Bytes {
    let head = "POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n";
    let request_body = Bytes::from(body.to_vec());
    redacted(&Exchange { request_head: head.into(), request_body, ..exchange.clone() }, secret)
        .request_body
}

proptest! {
    /// For all exchanges, well formed or not: no length changes, the same key gives the same
    /// pseudonyms, and text columns stay texts.
    #[test]
    fn lengths_stay(
        exchange in exchange(),
        pieces in vec(prop_oneof![
            Just("Cookie:"), Just("set-cookie: "), Just("\r\n"), Just("\n"), Just("\r"), Just(" "),
            Just("a=b"), Just(";"), Just("\""), Just("?token="), Just("http://"), Just("@"),
            Just("Authorization: Bearer"), Just("Content-Type: application/x-www-form-urlencoded"),
            Just("\u{e4}"), Just("%5"), Just("%c3"), Just("X-Real-IP: "), Just("1.2.3.4"),
            Just("a@b.de"), Just("4111 1111"), Just("::ffff:"), Just("eyJhbGciOi."), Just(","),
            Just("Digest a="), Just("boundary=-"), Just("%20"), Just("{\"pin\":"),
        ], 0..30),
    ) {
        let text = pieces.concat();
        let before = Exchange {
            request_head: text.clone().into(),
            request_body: text.clone().into(),
            target: text,
            ..exchange
        };
        let after = redacted(&before, "key");
        prop_assert_eq!(after.request_head.len(), before.request_head.len());
        prop_assert_eq!(after.request_body.len(), before.request_body.len());
        prop_assert_eq!(after.target.len(), before.target.len());
        prop_assert_eq!(after.authority.len(), before.authority.len());
        let head = |exchange: &Exchange| exchange.response.as_ref().map(|r| r.head.len());
        prop_assert_eq!(head(&after), head(&before));
        let lines = |bytes: &[u8]| {
            bytes.iter().map(|byte| matches!(byte, b'\r' | b'\n')).collect::<Vec<bool>>()
        };
        prop_assert_eq!(lines(&after.request_head), lines(&before.request_head));
        prop_assert_eq!(redacted(&before, "key"), after);
    }

    /// For all secrets of six letters or digits and more: none is left in any place, and another
    /// key gives another pseudonym. With fewer of them a longer pseudonym may begin like the secret
    /// by chance, as in one of 676 for `Zq...`.
    #[test]
    fn no_secret_survives(
        number in 0_u32..3, secret in "Zq[A-Za-z0-9]{4}[A-Za-z0-9_.!-]{0,26}",
    ) {
        let before = secretive(number, &secret);
        prop_assert!(texts(&before).matches(&secret).count() > 10);
        let after = redacted(&before, "key");
        prop_assert!(!texts(&after).contains(&secret), "{}", texts(&after));
        let other = redacted(&before, "other");
        prop_assert!(!texts(&other).contains(&secret));
        prop_assert_ne!(texts(&after), texts(&other));
    }

    /// For all JSON: it stays JSON of the same shape and length, and listed strings are others.
    #[test]
    fn json_stays_json(
        value in any_json(), is_pretty in any::<bool>(), is_ascii in any::<bool>(),
    ) {
        let value = json!([{ "password": value }, value]);
        let write = if is_pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let mut text = write(&value).unwrap();
        if is_ascii {
            text = escaped(&text);
        }
        let other = body_of(&plain(0, 0, 0), text.as_bytes(), "key");
        prop_assert_eq!(other.len(), text.len());
        let read: Value = serde_json::from_slice(&other)
            .map_err(|error| TestCaseError::fail(format!("{error}: {text} {other:?}")))?;
        prop_assert!(is_alike(&value, &read), "{} {:?}", text, other);
        if let Value::String(secret) = &value[0]["password"]
            && secret.trim().len() > 3
        {
            prop_assert_ne!(&value[0]["password"], &read[0]["password"]);
        }
    }

    /// For all JSON that is cut anywhere: what is there of a secret is replaced.
    #[test]
    fn cut_json_is_redacted_up_to_its_end(secret in "[a-z]{4,20}", cut in 0_usize..60) {
        let text = format!("{{\"a\": 1, \"token\": [\"{secret}\", \"{secret}\"], \"b\": \"ok\"}}");
        let text = text.get(..cut).unwrap_or(&text);
        let other = body_of(&plain(0, 0, 0), text.as_bytes(), "key");
        prop_assert_eq!(other.len(), text.len());
        prop_assert!(!String::from_utf8_lossy(&other).contains(&secret));
    }

    /// For all bytes whatever: nothing panics, and lengths stay.
    #[test]
    fn bodies_of_any_bytes_keep_their_length(
        body in vec(
            prop_oneof![any::<u8>(), Just(b'"'), Just(b'{'), Just(b'@'), Just(b'4')],
            0..200,
        ),
    ) {
        let multipart = "POST / HTTP/1.1\r\nContent-Type: multipart/a; boundary=\"{\"\r\n\r\n";
        for head in ["", "POST / HTTP/1.1\r\n\r\n", multipart] {
            let before = Exchange {
                request_head: head.into(), request_body: body.clone().into(), ..plain(0, 0, 0)
            };
            prop_assert_eq!(redacted(&before, "key").request_body.len(), body.len());
        }
    }
}
