//! Redaction through the program: policies, keys, and what is told of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;

use crate::support::{Ran, peakhour, root};

/// Requests with secrets, as JSON Lines; the last has a head of its own, and a JSON body.
fn lines() -> String {
    let line = |at: u64, target: &str, more: &str| {
        format!(
            "{{\"at_ns\":{at},\"method\":\"POST\",\"target\":\"{target}\",\"authority\":\"a\",\
             \"session\":5{more}}}\n"
        )
    };
    let head = "POST /c HTTP/1.1\\r\\nHost: a\\r\\nCookie: sid=s3cret-id; lang=de\\r\\n\
                X-Shop: s3cret-x\\r\\nX-Forwarded-For: 93.184.216.34\\r\\n\\r\\n";
    let body = "{\\\"password\\\":\\\"s3cret-pw\\\",\\\"plan\\\":\\\"CUST-1234\\\"}";
    [
        line(0, "/a?token=s3cret-t&mine=s3cret-m", ""),
        line(1, "/b?to=anna@s3cret.test", ""),
        line(2, "/c", &format!(",\"request_head\":\"{head}\",\"request_body\":\"{body}\"")),
    ]
    .concat()
}

fn import(folder: &Path, options: &[&str]) -> (Ran, Vec<Exchange>) {
    fs::write(folder.join("lines"), lines()).unwrap();
    let arguments = [&["import", "lines", "-o", "out"], options].concat();
    let ran = peakhour(folder, &arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rows = RecordingReader::open(&folder.join("out")).unwrap().exchanges(None);
    let rows = rows.map(Result::unwrap).collect();
    (ran, rows)
}

#[test]
fn by_default_known_secrets_are_replaced_and_the_account_of_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (ran, rows) = import(folder.path(), &[]);
    assert!(ran.stderr.contains("6 secrets were replaced"), "{}", ran.stderr);
    let text = format!("{rows:?}");
    for (kept, is_kept) in [
        ("s3cret-t", false),
        ("s3cret-m", true),
        ("s3cret.test", false),
        ("s3cret-id", false),
        ("s3cret-x", true),
        ("93.184.216.34", false),
        ("s3cret-pw", false),
        ("CUST-1234", true),
    ] {
        assert_eq!(text.contains(kept), is_kept, "{kept}: {text}");
    }
    assert!(rows[1].target.contains(".test"), "{}", rows[1].target);
    assert_eq!(rows[0].session, rows[2].session);
    assert_ne!(rows[0].session, 5);

    let ran = peakhour(folder.path(), &["inspect", "out"]);
    for line in [
        "redacted             policy default 1; pseudonyms drawn with a key that was drawn for it",
        "\nreplaced\n",
        "           1  field *password*\n",
        "           2  header Cookie\n",
        "           1  parameter *token\n",
        "           1  pattern email\n",
        "           1  address in header X-Forwarded-For\n",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    let ran = peakhour(folder.path(), &["inspect", "out", "--json"]);
    let footer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(footer["redaction"]["key"], "random");
    assert_eq!(footer["redaction"]["replaced"][0]["name"], "header Cookie");
    assert!(footer["redacted_headers"].as_array().unwrap().contains(&"Cookie".into()));
}

#[test]
fn secrets_are_kept_only_where_it_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let (_, rows) = import(folder.path(), &["--keep-secrets"]);
    assert!(format!("{rows:?}").contains("s3cret-t"));
    assert_eq!(rows[0].session, 5);
    let ran = peakhour(folder.path(), &["inspect", "out"]);
    assert!(ran.words().contains("nothing: it may hold secrets"), "{}", ran.stdout);
    for option in ["--redact", "--redact-key"] {
        let both = ["import", "lines", "-o", "out2", "--keep-secrets", option, "lines"];
        let ran = peakhour(folder.path(), &both);
        assert!(ran.code == 104 && ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
    }
}

#[test]
fn a_policy_file_adds_and_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "headers: [{ name: X-Shop, action: filler }]\nparameters: [mine]\n\
                  patterns: [{ name: customer, regex: 'CUST-\\d+' }]\n\
                  keep: { cookies: [lang], patterns: [email] }\n";
    fs::write(folder.path().join("p.yaml"), policy).unwrap();
    let (_, rows) = import(folder.path(), &["--redact", "p.yaml"]);
    let text = format!("{rows:?}");
    for (kept, is_kept) in [
        ("s3cret-t", false),
        ("s3cret-m", false),
        ("s3cret.test", true),
        ("s3cret-id", false),
        ("lang=de", true),
        ("X-Shop: xxxxxxxx\\r", true),
        ("CUST-1234", false),
    ] {
        assert_eq!(text.contains(kept), is_kept, "{kept}: {text}");
    }
    let ran = peakhour(folder.path(), &["inspect", "out"]);
    assert!(ran.words().contains("policy default 1 and p.yaml"), "{}", ran.stdout);
    assert!(ran.stdout.contains("           1  pattern customer\n"), "{}", ran.stdout);

    fs::write(folder.path().join("p.yaml"), "headrs: [a]\n").unwrap();
    let ran = peakhour(folder.path(), &["import", "lines", "-o", "o", "--redact", "p.yaml"]);
    assert!(ran.code == 104 && ran.stderr.contains("p.yaml:1:1: unknown key"), "{}", ran.stderr);
    assert!(!folder.path().join("o").exists());
}

/// The example of the manual is a policy that can be used.
#[test]
fn the_example_of_the_manual_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let manual = fs::read_to_string(root().join("docs/redaction.md")).unwrap();
    let example = manual.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    fs::write(folder.path().join("p.yaml"), example.unwrap()).unwrap();
    import(folder.path(), &["--redact", "p.yaml"]);
}

#[test]
fn pseudonyms_are_the_same_with_the_same_key_file_and_others_without_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "a secret of sixteen bytes and more\n").unwrap();
    fs::write(folder.path().join("short"), "too short\n").unwrap();
    let with_key = || import(folder.path(), &["--redact-key", "key"]).1;
    let first = with_key();
    assert_eq!(with_key(), first);
    let ran = peakhour(folder.path(), &["inspect", "out", "--json"]);
    assert!(ran.stdout.contains("\"key\": \"file\"") && !ran.stdout.contains("sixteen"));
    let without = || import(folder.path(), &[]).1;
    assert_ne!(without(), without());
    for (file, told) in [("short", "a key file has 16 to"), ("none", "cannot read the key file")] {
        let import = ["import", "lines", "-o", "o", "--redact-key", file];
        let ran = peakhour(folder.path(), &import);
        assert!(ran.code == 104 && ran.stderr.contains(told), "{}", ran.stderr);
        assert!(ran.stderr.contains("/dev/urandom | base64"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("too short"), "a key is not shown: {}", ran.stderr);
    }
}

/// A recording goes out as JSON Lines and comes in again.
#[test]
fn rows_that_were_redacted_keep_their_pseudonyms() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines"), lines()).unwrap();
    let ran = peakhour(folder.path(), &["import", "lines", "--jsonl", "again"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("6 secrets were replaced"), "{}", ran.stderr);
    let ran = peakhour(folder.path(), &["import", "again", "-o", "out"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("3 request redacted before"), "{}", ran.stderr);
    let again = fs::read_to_string(folder.path().join("again")).unwrap();
    let rows = RecordingReader::open(&folder.path().join("out")).unwrap().exchanges(None);
    let rows: Vec<Exchange> = rows.map(Result::unwrap).collect();
    assert!(!again.contains("s3cret-t"));
    for row in &rows {
        assert!(again.contains(&format!("\"target\":\"{}\"", row.target)), "{again}");
        assert_eq!(row.session, rows[0].session, "sessions stay together");
    }
}

/// A row of JSON Lines may have no head; of a command, the statement is part of the body.
#[test]
fn rows_without_a_head_are_searched_and_a_secret_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let row = |protocol: &str, target: &str, body: &str| {
        format!(
            "{{\"at_ns\":0,\"protocol\":\"{protocol}\",\"method\":\"QUERY\",\
             \"target\":\"{target}\",\"authority\":\"\",\"request_head\":\"\",\
             \"request_body\":\"{body}\"}}\n"
        )
    };
    for (protocol, target, body, expected) in [
        ("http1", "/a?token=s3cret", "", "1 secret was replaced (parameter *token)"),
        ("http1", "/", "password=s3cret", "1 secret was replaced (parameter *password*)"),
        ("postgres", "a s3cret@b.de", "a s3cret@b.de", "1 secret was replaced (pattern email)"),
        ("postgres", "a?token=b", "password=c", "nothing was found"),
    ] {
        fs::write(folder.path().join("lines"), row(protocol, target, body)).unwrap();
        let ran = peakhour(folder.path(), &["import", "lines", "--jsonl", "-"]);
        assert!(ran.stderr.contains(expected), "{protocol} {target} {body}: {ran:?}");
        assert!(!ran.stdout.contains("s3cret"), "{}", ran.stdout);
    }
}

/// A scenario may name a capture: each run imports it, and plans the same requests.
#[test]
fn a_capture_that_is_planned_twice_has_the_same_pseudonyms() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines"), lines()).unwrap();
    let scenario = "name: a\nrecording: lines\ntarget: { url: stage }\n";
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let plan = || {
        let ran = peakhour(folder.path(), &["plan", "s.yaml", "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["fingerprint"].clone()
    };
    let first = plan();
    assert_eq!(plan(), first);
    fs::write(folder.path().join("lines"), lines().replace("s3cret-pw", "s3cret-pv")).unwrap();
    assert_ne!(plan(), first);
}
