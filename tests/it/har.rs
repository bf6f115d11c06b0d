//! HAR files become exchanges: what they say is kept, what they do not say is counted.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use peakhour::capture::documents::{Documents, Settle};
use peakhour::capture::har::read_har;
use peakhour::capture::source::{Content, Source};
use peakhour::protocol::Protocol;
use peakhour::recording::{Exchange, Flags};
use proptest::prelude::*;

use crate::corpus::differences::{hold_differences, pairs};
use crate::corpus::{Scores, add, hold, table};
use crate::support::{corpus, peakhour};

fn read(text: &[u8]) -> (Vec<Exchange>, Documents) {
    let source = Source::from_reader("t.har", Box::new(Cursor::new(text.to_vec()))).unwrap();
    read_from(source)
}

/// Exchanges as they end up in a recording.
fn read_from(source: Source) -> (Vec<Exchange>, Documents) {
    let mut exchanges = Vec::new();
    let documents = read_har(vec![source], &mut |exchange| exchanges.push(exchange)).unwrap();
    assert!(documents.ledger.reconciles(), "{:?}", documents.ledger);
    exchanges.sort_by_key(|exchange| (exchange.at, exchange.connection, exchange.seq));
    let mut settle = Settle::new(&documents);
    let exchanges = exchanges.into_iter().map(|exchange| settle.settle(exchange)).collect();
    (exchanges, documents)
}

fn har(entries: &[&str]) -> String {
    format!(
        "{{\"log\": {{\"version\": \"1.2\", \"creator\": {{\"name\": \"t\"}},\n\
         \"entries\": [\n{}\n]}}}}",
        entries.join(",\n")
    )
}

/// An entry of a request at a second of a minute; `more` is of the entry, `request` of the request.
fn entry(second: u32, request: &str, more: &str) -> String {
    format!(
        "{{\"startedDateTime\": \"2024-05-01T12:00:{second:02}.250Z\",\
         \"request\": {{\"httpVersion\": \"HTTP/1.1\", {request}}},\
         \"response\": {{\"status\": 200, \"statusText\": \"OK\", \"httpVersion\": \"HTTP/1.1\",\
         \"headers\": [{{\"name\": \"Content-Length\", \"value\": \"7\"}}],\
         \"content\": {{\"size\": 70, \"text\": \"x\"}}, \"bodySize\": -1}} {more}}}"
    )
}

const GET: &str = "\"method\": \"GET\", \"url\": \"http://shop.example:81/a?b=1#c\", \
                   \"headers\": [{\"name\": \"Accept\", \"value\": \"*/*\"}]";

fn noted(documents: &Documents, note: &str) -> u64 {
    documents.ledger.notes.get(note).copied().unwrap_or(0)
}

#[test]
fn an_entry_becomes_a_request_with_its_moments() {
    let timings = ", \"connection\": \"77\", \"serverIPAddress\": \"[2001:db8::1]\", \"timings\": \
                   {\"blocked\": 10, \"dns\": -1, \"connect\": 20.5, \"ssl\": 5, \"send\": 1, \
                   \"wait\": 30, \"receive\": 4}";
    let text = har(&[&entry(5, GET, ""), &entry(3, GET, timings)]);
    let (exchanges, documents) = read(text.as_bytes());
    let first = &exchanges[0];
    assert_eq!((first.at, first.connection, first.seq), (Duration::ZERO, 0, 0));
    let head = "GET /a?b=1 HTTP/1.1\r\nHost: shop.example:81\r\nAccept: */*\r\n\r\n";
    assert_eq!(first.request_head, head);
    assert_eq!(first.flags, Flags::SYNTHESISED);
    assert_eq!((first.scheme.as_str(), first.authority.as_str()), ("http", "shop.example:81"));
    let response = first.response.as_ref().unwrap();
    assert_eq!(response.head, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    assert_eq!(response.body_bytes, Some(7));
    assert_eq!(response.first_byte, Some(Duration::from_millis(31)));
    assert_eq!(response.last_byte, Some(Duration::from_millis(35)));
    // Sent 30.5 ms after it was asked for; the other one at once.
    assert_eq!(exchanges[1].at, Duration::from_micros(2_000_000 - 30_500));
    assert_eq!(documents.clock_resolution_ns, 1_000_000);
    assert_eq!(documents.servers.authorities, ["shop.example:81"]);
    assert_eq!(documents.servers.addresses, ["[2001:db8::1]:81".parse().unwrap()]);
    assert_eq!(documents.ledger.frames.count("entry"), 2);
}

#[test]
fn bodies_are_rebuilt_and_lengths_fit_them() {
    let post = |data: &str, length: u32| {
        let request = format!(
            "\"method\": \"POST\", \"url\": \"https://a/\", \"bodySize\": -1, \"headers\": [\
             {{\"name\": \"content-length\", \"value\": \"{length}\"}},\
             {{\"name\": \"Transfer-Encoding\", \"value\": \"chunked\"}}] {data}"
        );
        let (mut exchanges, documents) = read(har(&[&entry(0, &request, "")]).as_bytes());
        (exchanges.remove(0), documents)
    };
    for (data, length, body) in [
        ("\"text\": \"a=1\"", 3, &b"a=1"[..]),
        ("\"encoding\": \"base64\", \"text\": \"AP8=\"", 2, b"\x00\xff"),
        ("\"text\": \"\\u00ff\\u0000\"", 2, b"\xff\x00"),
        ("\"text\": \"\\u00e9\"", 2, "é".as_bytes()),
        (
            "\"params\": [{\"name\": \"a b\", \"value\": \"1&2\"}, {\"name\": \"c\"}]",
            12,
            b"a+b=1%262&c=",
        ),
        ("\"text\": \"longer than said\"", 3, b"longer than said"),
    ] {
        let (exchange, _) =
            post(&format!(", \"postData\": {{\"mimeType\": \"t/t\", {data}}}"), length);
        assert_eq!(exchange.request_body, body, "{data}");
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: t/t\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        assert_eq!(exchange.request_head, head, "{data}");
        assert!(!exchange.flags.contains(Flags::REQUEST_TRUNCATED));
    }
    // A body that is mentioned only cannot be sent.
    let (missing, _) = post("", 9);
    assert_eq!((missing.request_body.len(), missing.request_body_bytes), (0, 9));
    assert!(missing.flags.contains(Flags::REQUEST_TRUNCATED));
    let multipart = ", \"postData\": {\"mimeType\": \"multipart/form-data; boundary=x\", \
                     \"params\": [{\"name\": \"a\", \"fileName\": \"f\"}]}";
    let (unknown, documents) = post(multipart, 0);
    assert!(unknown.flags.contains(Flags::REQUEST_TRUNCATED));
    assert_eq!(noted(&documents, "request bodies that cannot be put together"), 1);
}

#[test]
fn what_http_1_did_not_carry_is_kept_and_counted() {
    let with = |version: &str, headers: &str| {
        format!(
            "{{\"startedDateTime\": \"2024-05-01T12:00:00Z\", \"request\": {{\"method\": \"GET\", \
             \"url\": \"https://a/x\", \"httpVersion\": \"{version}\", \"headers\": [{headers}]}}}}"
        )
    };
    let pseudo =
        "{\"name\": \":authority\", \"value\": \"b\"}, {\"name\": \":path\", \"value\": \"/\"}";
    let text = har(&[
        &with("HTTP/1.0", ""),
        &with("h2", pseudo),
        &with("http/2.0+quic/46", ""),
        &with("h3", ""),
        &with("", ""),
        &with("", pseudo),
    ]);
    let (exchanges, documents) = read(text.as_bytes());
    let protocols: Vec<Protocol> = exchanges.iter().map(|exchange| exchange.protocol).collect();
    let (one, two, three) = (Protocol::Http1, Protocol::Http2, Protocol::Http3);
    assert_eq!(protocols, [one, two, three, three, one, two]);
    assert_eq!(exchanges[0].request_head, "GET /x HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(exchanges[1].request_head, "GET /x HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_eq!(noted(&documents, "entries spoken in HTTP/2"), 2);
    assert_eq!(noted(&documents, "entries spoken in HTTP/3"), 2);
    assert_eq!(documents.ledger.messages.count("request without response"), 6);
}

#[test]
fn every_entry_ends_in_one_bucket() {
    let refused = GET.replace("\"GET\"", "\"\"");
    let data = GET.replace("http://shop.example:81/a?b=1#c", "data:text/plain,x");
    let smuggled = GET.replace("\"GET\"", "\"GET / HTTP/1.1\\r\\nX: y\\r\\n\\r\\nGET\"");
    let web_socket = entry(4, &GET.replace("http:", "ws:"), ", \"_webSocketMessages\": [{}, {}]")
        .replace("\"status\": 200", "\"status\": 101");
    let text = har(&[
        &entry(0, GET, ", \"_fromCache\": \"disk\""),
        &entry(1, GET, ", \"_fetchType\": \"Memory Cache\""),
        &entry(2, GET, "").replace("\"status\": 200", "\"status\": 0"),
        &web_socket,
        &entry(5, &refused, ""),
        &entry(6, &data, ""),
        &entry(7, &smuggled, ""),
        &entry(8, GET, "").replace("2024", "someday"),
        "{\"request\": 17}",
        "{\"request\": {\"method\": \"GET\", \"url\": \"http://a/\"}}",
        "null",
    ]);
    let (exchanges, documents) = read(text.as_bytes());
    let frames: BTreeMap<&str, u64> = documents
        .ledger
        .frames
        .buckets
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    let expected = BTreeMap::from([
        ("entry", 3),
        ("entry answered from a cache", 2),
        ("entry without method or URL", 1),
        ("entry whose URL is not HTTP", 1),
        ("entry whose request is no HTTP", 1),
        ("entry with a wrong time", 1),
        ("entry not understood", 2),
    ]);
    assert_eq!(frames, expected);
    assert_eq!(exchanges.len(), 5);
    assert_eq!(exchanges.iter().filter(|e| e.flags.contains(Flags::FROM_CACHE)).count(), 2);
    assert_eq!(exchanges.iter().filter(|e| e.flags.contains(Flags::UPGRADED)).count(), 1);
    assert_eq!(documents.ledger.messages.count("request without response"), 2);
    assert_eq!(noted(&documents, "WebSocket messages, not replayed"), 2);
    assert_eq!(noted(&documents, "entries without time, put with the one before"), 1);
    let bad = &documents.warnings[0];
    assert!(bad.starts_with("t.har: 2 entries were not understood; the first: line 11, "), "{bad}");
}

#[test]
fn connections_are_honoured_unless_they_name_none() {
    let busy = "\"timings\": {\"send\": 0, \"wait\": 2500, \"receive\": 0}";
    let on = |second: u32, connection: &str, more: &str| {
        entry(second, GET, &format!(", \"connection\": {connection}{more}"))
    };
    let text = har(&[
        &on(0, "\"5\"", ""),
        &on(1, "\"6\"", &format!(", {busy}")),
        &on(2, "5", ""),
        &on(3, "\"6\"", ""), // While the other one on it is being answered.
        &on(4, "\"6\"", ""),
        &on(5, "\"81\"", ""), // The server's port.
        &on(6, "\"81\"", ""),
    ]);
    let (exchanges, documents) = read(text.as_bytes());
    let connections: Vec<(u64, u32)> = exchanges.iter().map(|e| (e.connection, e.seq)).collect();
    assert_eq!(connections, [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (3, 0), (4, 0)]);
    assert_eq!(noted(&documents, "entries without connection"), 2);
}

#[test]
fn a_cut_file_is_used_up_to_the_cut_which_is_told() {
    let text = format!("\u{feff}{}", har(&[&entry(0, GET, ""), &entry(1, GET, "")]));
    let whole = text.find(",\n{").unwrap();
    let (exchanges, documents) = read(&text.as_bytes()[..whole + 40]);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(documents.ledger.frames.count("entry cut off"), 1);
    let cut = format!("the file is cut off at byte {} (line 4, column 39)", whole + 40);
    assert!(documents.warnings[0].contains(&cut), "{:?}", documents.warnings);
}

#[test]
fn content_is_known_by_its_keys() {
    for (text, content) in [
        ("{\"log\":{", Content::Har),
        ("\u{feff} {\"comment\":\"x\",\n\"log\":{", Content::Har),
        ("{\"meta\":{\"version\":\"1.0\"},\"sessions\":[", Content::Sessions),
        ("{\"at_ns\":1,\"log\":2", Content::Har),
        ("{\"at_ns\":1,\"target\":\"/\"}", Content::JsonLines),
        ("{\"a\":{\"log\":1}}", Content::JsonLines),
        ("{\"method\":\"GET\",\"url\":\"http://a/\"}\n", Content::Targets),
        ("# targets\nGET http://a/\nX: y\n", Content::Targets),
        ("GET http://a/ HTTP/1.1\r\n", Content::Unknown),
        ("1 abc 1700000000000000000\nGET", Content::Gor),
    ] {
        let source = Source::from_reader("t", Box::new(Cursor::new(text.to_owned()))).unwrap();
        assert_eq!(source.content(), content, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic_and_add_up(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let timings = ", \"connection\": \"1\", \"timings\": {\"wait\": 1e9, \"send\": -1}";
        let text = har(&[&entry(0, GET, timings), &entry(1, GET, ""), &entry(2, GET, timings)]);
        let mut bytes = text.into_bytes();
        for (at, byte) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (exchanges, documents) = read(&bytes);
        prop_assert_eq!(exchanges.len() as u64, documents.ledger.messages.total);
        prop_assert_eq!((exchanges, documents), read(&bytes));
    }
}

#[test]
fn entries_of_real_files_agree_with_the_oracles() {
    let Some(corpus) = corpus() else {
        return;
    };
    let (mut scores, mut differences) = (Scores::new(), Vec::new());
    for row in table(&corpus.join("INDEX.tsv")) {
        if row["kind"] == "har" && !row["oracle"].is_empty() {
            let (file, oracle) = (&row["file"], corpus.join(&row["oracle"]));
            let (all, missing) = missing(&corpus.join(file), &oracle);
            let score = (all - missing.len(), all);
            add(scores.entry(row["class"].clone()).or_default(), score);
            differences.extend(pairs(file, &[], missing));
        }
    }
    hold("corpus_har_ratchet.tsv", &scores);
    hold_differences("har", differences);
}

/// How many rows the oracle has, and those that were not found.
fn missing(file: &Path, oracle: &Path) -> (usize, Vec<String>) {
    let (exchanges, documents) = read_from(Source::open(file).unwrap());
    let again = read_from(Source::open(file).unwrap());
    assert_eq!((&exchanges, &documents), (&again.0, &again.1), "{}", file.display());
    let oracle = table(oracle);
    assert_eq!(documents.ledger.frames.total, oracle.len() as u64, "{}", file.display());
    let mut found: BTreeMap<[String; 4], usize> = BTreeMap::new();
    for exchange in exchanges {
        let host =
            exchange.authority.rsplit_once(':').map_or(exchange.authority.as_str(), |it| it.0);
        let status = exchange.response.map_or(0, |response| response.status).to_string();
        let row = [exchange.method, host.to_owned(), exchange.target, status];
        *found.entry(row).or_default() += 1;
    }
    let all = oracle.len();
    let mut missing = Vec::new();
    for row in oracle {
        let status = if row["status"].is_empty() { "0" } else { &row["status"] };
        let host = row["host"].rsplit_once(':').map_or(row["host"].as_str(), |it| it.0);
        let key = [row["method"].clone(), host.to_owned(), row["uri"].clone(), status.to_owned()];
        match found.get_mut(&key).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => missing.push(key.join("|")),
        }
    }
    (all, missing)
}

#[test]
fn what_was_no_request_of_http_1_is_left_out_of_the_plan_by_reason() {
    let folder = tempfile::tempdir().unwrap();
    let secret = GET.replace("[{", "[{\"name\": \"Cookie\", \"value\": \"id=s3cret\"}, {");
    let text = har(&[
        &entry(0, &secret, ""),
        &entry(1, GET, ", \"_fromCache\": \"memory\""),
        &entry(2, GET, "").replace("HTTP/1.1", "h3"),
        &entry(3, GET, "").replace("\"status\": 200", "\"status\": 101"),
    ]);
    // A key in front that is long enough to hide the one that tells what it is.
    let hidden = text.replacen('{', &format!("{{\"comment\": \"{}\", ", "x".repeat(600)), 1);
    std::fs::write(folder.path().join("peak.json"), hidden).unwrap();
    let import = ["import", "peak.json", "-o", "peak.parquet"];
    assert_eq!(peakhour(folder.path(), &import).code, 104);
    let ran = peakhour(folder.path(), &[&import[..], &["--format", "har"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let bytes = std::fs::read(folder.path().join("peak.parquet")).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"s3cret"), "redacted like a capture");
    let scenario = "name: files\nrecording: peak.parquet\ntarget: { url: stage }\n";
    std::fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder.path(), &["plan", "s.yaml", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let facts: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = serde_json::json!({
        "answered from the client's cache": 1, "connection upgraded": 1,
        "not spoken in HTTP/1 or HTTP/2": 1,
    });
    assert_eq!(facts["skipped"], expected, "{facts}");
}
