//! Aim: vegeta's targets become requests at a rate that the user says, and nothing of this
//! machine but their own bodies.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use peakhour::capture::documents::{Documents, Settle};
use peakhour::capture::source::{Content, Source};
use peakhour::capture::vegeta::{Pace, read_targets};
use peakhour::recording::{Exchange, Flags};
use peakhour::units::rate::parse_rate;
use proptest::prelude::*;

use crate::support::peakhour;

fn read(text: &[u8], rate: &str, connections: Option<u32>) -> (Vec<Exchange>, Documents) {
    let mut source = Source::from_reader("t", Box::new(Cursor::new(text.to_vec()))).unwrap();
    source.read_as(Content::Targets);
    let pace = Pace { rate: parse_rate(rate).unwrap(), connections };
    let mut exchanges = Vec::new();
    let documents = read_targets(vec![source], pace, &mut |one| exchanges.push(one)).unwrap();
    assert!(documents.ledger.reconciles(), "{:?}", documents.ledger);
    let mut settle = Settle::new(&documents);
    let exchanges = exchanges.into_iter().map(|one| settle.settle(one)).collect();
    (exchanges, documents)
}

fn show(exchange: &Exchange) -> String {
    let Exchange { at, connection, seq, request_head, request_body, scheme, .. } = exchange;
    assert!(exchange.flags.contains(Flags::SYNTHESISED) && exchange.response.is_none());
    let head = String::from_utf8_lossy(request_head).replace("\r\n", "|");
    let body = String::from_utf8_lossy(request_body);
    format!("{at:?} {connection}.{seq} {scheme} {head}{body}")
}

#[test]
fn targets_as_text_are_spaced_evenly_on_a_connection_each() {
    let text = "GET http://shop/a?b=c\n\nDELETE https://shop:8443/d\nX-Y: z\nHost: other\n\n\
                what\n\nPUT http://shop\n";
    let (exchanges, documents) = read(text.as_bytes(), "100/1m", None);
    assert_eq!(
        exchanges.iter().map(show).collect::<Vec<_>>(),
        [
            "0ns 0.0 http GET /a?b=c HTTP/1.1|Host: shop||",
            "600ms 1.0 https DELETE /d HTTP/1.1|Host: other|X-Y: z||",
            "1.8s 2.0 http PUT / HTTP/1.1|Host: shop||",
        ]
    );
    assert_eq!(documents.servers.authorities, ["other", "shop", "shop:8443"]);
    assert_eq!(documents.ledger.frames.count("target not understood"), 1);
    assert_eq!(documents.ledger.notes["targets that got a connection each"], 3);
    assert_eq!(documents.warnings, ["t: first target not understood: line 7"]);
}

#[test]
fn targets_as_json_may_have_bodies_and_share_connections() {
    let text = concat!(
        r#"{"method":"POST","url":"http://a/1","body":"aGVsbG8=","#,
        r#""header":{"B":["1","2"],"A":["x"]}}"#,
        "\n\n",
        r#"{"url":"http://a/2","method":"GET"}"#,
        "\n",
        r#"{"method":"GET","url":"http://a/3","body":"%"}"#,
        "\n",
        r#"{"method":"GET","url":"/4"}"#,
        "\n",
        r#"{"method":"GET","url":"http://a/5"}"#,
    );
    let (exchanges, documents) = read(text.as_bytes(), "2", Some(2));
    assert_eq!(
        exchanges.iter().map(show).collect::<Vec<_>>(),
        [
            "0ns 0.0 http POST /1 HTTP/1.1|Host: a|A: x|B: 1|B: 2|Content-Length: 5||hello",
            "500ms 1.0 http GET /2 HTTP/1.1|Host: a||",
            "2s 0.1 http GET /5 HTTP/1.1|Host: a||",
        ]
    );
    let frames = &documents.ledger.frames;
    assert_eq!(frames.count("target not understood"), 1);
    assert_eq!(frames.count("target without an absolute URL"), 1);
}

/// Imports a list of targets with bodies; the bodies, and what the program said.
fn bodies(folder: &Path, list: &str) -> (Vec<String>, String) {
    let ran =
        peakhour(folder, &["import", list, "--format", "vegeta", "--rate", "9", "--jsonl", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let body = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["request_body"].as_str().unwrap_or_default().to_owned()
    };
    (ran.stdout.lines().map(body).collect(), ran.stderr)
}

#[test]
fn bodies_are_read_beside_the_list_and_below_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists");
    fs::create_dir_all(lists.join("bodies")).unwrap();
    fs::write(lists.join("bodies/one"), "first").unwrap();
    fs::write(lists.join("two"), "second").unwrap();
    fs::write(folder.path().join("secret"), "s3cret").unwrap();
    std::os::unix::fs::symlink("../secret", lists.join("link")).unwrap();
    let absolute = folder.path().join("secret").display().to_string();
    let names = ["bodies/one", "./two", "../secret", &absolute, "link", "bodies", "none"];
    let targets: Vec<String> =
        names.iter().map(|name| format!("POST http://a/\n@{name}\n\n")).collect();
    let text = targets.concat();
    fs::write(lists.join("list"), text).unwrap();
    let (found, said) = bodies(folder.path(), "lists/list");
    assert_eq!(found, ["first", "second"]);
    assert!(
        said.contains("first target whose body file is not below its folder: line 8"),
        "{said}"
    );
    // The folder is that of the list, wherever it is named from.
    assert_eq!(bodies(&lists, "list").0, ["first", "second"]);
}

#[test]
fn without_a_rate_targets_are_refused_and_with_times_a_rate_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list"), "GET http://a/\n").unwrap();
    fs::write(folder.path().join("json"), "{\"method\":\"GET\",\"url\":\"http://a/\"}\n").unwrap();
    for list in ["list", "json"] {
        for command in [&["import", list, "-o", "out"][..], &["inspect", list]] {
            let ran = peakhour(folder.path(), command);
            assert!(ran.code == 104 && ran.stderr.contains("--rate 100/s"), "{ran:?}");
        }
        let ran = peakhour(folder.path(), &["import", list, "-o", "out", "--rate", "5/s"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let ran = peakhour(folder.path(), &["import", "list", "-o", "out", "--rate", "0"]);
    assert!(ran.code == 104 && ran.stderr.contains("`100/1m`"), "{ran:?}");
    let line = r#"{"log":{"entries":[]}}"#;
    fs::write(folder.path().join("har"), line).unwrap();
    let ran = peakhour(folder.path(), &["import", "har", "-o", "out", "--rate", "5"]);
    assert!(ran.code == 104 && ran.stderr.contains("times of its own"), "{ran:?}");
}

proptest! {
    #[test]
    fn damaged_lists_never_panic_and_add_up(bytes in "[GET htp:/\\n@#{}\":a-z]{0,200}") {
        read(format!("GET http://a/\n{bytes}").as_bytes(), "1", None);
    }
}
