//! Aim: what a real client said to a real nginx inside of TLS is found again with the client's key
//! log, and nothing is made up where keys are missing or wrong.

use std::fs;
use std::io::Cursor;

use peakhour::capture::import::Found;
use peakhour::capture::source::Source;
use peakhour::recording::Exchange;

use crate::support::peakhour;
use crate::talk::{bytes_of, lines, packet_of};
use crate::tls_tape::{Tape, expected, get, import, shop, tape, visit};
use crate::wire::{Order, block, interface, option, packet, section};

/// Versions and suites: GCM, `ChaCha20`, and CBC with an implicit vector, with explicit ones, and
/// authenticated before or after it is encrypted.
const SUITES: [&[&str]; 12] = [
    &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
    &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
    &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
    // The server has no key share of this group and asks for another hello.
    &["-tls1_3", "-groups", "P-521:X25519"],
    &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
    &["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
    &["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"],
    &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"],
    &["-tls1_2", "-cipher", "AES128-SHA256", "-no_etm"],
    &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA", "-no_etm"],
    &["-tls1_1", "-cipher", "AES256-SHA@SECLEVEL=0"],
    &["-tls1", "-cipher", "AES128-SHA@SECLEVEL=0"],
];

fn exchanges(found: &[Found]) -> impl Iterator<Item = &Exchange> {
    found.iter().filter_map(|found| match found {
        Found::Exchange(exchange) => Some(exchange),
        Found::OrphanResponse { .. } => None,
    })
}

#[test]
fn every_request_is_found_in_every_version_and_suite() {
    let Some(server) = shop() else { return };
    for arguments in SUITES {
        let tape = visit(&server, arguments);
        let (found, imported) = tape.import(&tape.keylog);
        assert_eq!(lines(&found), expected(), "{arguments:?}: {:#?}", imported.ledger);
        for exchange in exchanges(&found) {
            assert_eq!(exchange.scheme, "https");
            assert_eq!(exchange.authority, "shop.example");
            assert_eq!(exchange.connection, 0);
        }
        let buckets = &imported.ledger.stream_bytes.buckets;
        let names: Vec<&str> = buckets.keys().map(String::as_str).collect();
        let wanted = ["http request", "http response", "tls handshake", "tls, decrypted"];
        assert_eq!(names, wanted, "{arguments:?}");
    }
}

#[test]
fn keys_may_be_updated_on_the_way() {
    let Some(server) = shop() else { return };
    let (first, second, third) = (get("/1"), get("/2"), get("/3"));
    let say = |(a, b): &'static (String, String)| (&a[..], &b[..]);
    let leak = |line: (String, String)| -> &'static (String, String) { Box::leak(Box::new(line)) };
    let [first, second, third] = [first, second, third].map(|line| say(leak(line)));
    // `K` asks the peer to update, too; `k` does not.
    let said = [first, ("K\n", "KEYUPDATE"), second, ("k\n", "KEYUPDATE"), third];
    let tape = tape(&server, &["-tls1_3"], &said);
    let (found, imported) = tape.import(&tape.keylog);
    assert_eq!(lines(&found), ["/1", "/2", "/3"].map(|it| format!("GET {it} 0 > 200 10")));
    assert_eq!(imported.ledger.notes.get("tls key updates"), Some(&3));
}

#[test]
fn without_the_right_keys_all_is_counted_and_nothing_made_up() {
    let Some(server) = shop() else { return };
    for arguments in [["-tls1_3"], ["-tls1_2"]] {
        let tape = visit(&server, &arguments);
        let captured: u64 = tape.talk.pieces.iter().map(|it| it.payload.len() as u64).sum();
        let other = visit(&server, &arguments);
        let zeros = |line: &str| {
            let (front, secret) = line.rsplit_once(' ').unwrap_or((line, ""));
            format!("{front} {}\n", "0".repeat(secret.len()))
        };
        let wrong: String = tape.keylog.lines().map(zeros).collect();
        let cases = [
            ("", "tls", "connections with tls"),
            (&other.keylog, "tls without keys", "tls connections without keys"),
            (&wrong, "tls not decrypted: wrong key", "tls connections with a wrong key"),
        ];
        for (keylog, bucket, note) in cases {
            let (found, imported) = tape.import(keylog);
            let ledger = &imported.ledger;
            assert_eq!(lines(&found), [""; 0]);
            assert_eq!(ledger.stream_bytes.total, captured, "nothing was decrypted");
            let count = ledger.stream_bytes.count(bucket);
            assert!(count + 6_000 > captured, "{bucket}: {ledger:#?}");
            assert_eq!(ledger.notes.get(note), Some(&1), "{ledger:#?}");
        }
    }
}

#[test]
fn a_renegotiation_brings_new_keys() {
    let arguments = ["-client_renegotiation", "-tls1_2"];
    let Some(server) = crate::servers::openssl(&arguments) else { return };
    let request = ("GET / HTTP/1.0\r\n\r\n", "</pre></BODY></HTML>");
    for cipher in ["AES256-GCM-SHA384", "AES128-SHA256"] {
        let said = [("R\n", "RENEGOTIATING"), ("", "verify return:1"), request];
        let tape = tape(&server, &["-tls1_2", "-cipher", cipher], &said);
        let (found, imported) = tape.import(&tape.keylog);
        let found = lines(&found);
        assert!(found[0].starts_with("GET / 0 > 200 ") && found.len() == 1, "{found:?}");
        assert_eq!(imported.ledger.notes.get("tls renegotiations"), Some(&1), "{cipher}");
    }
}

#[test]
fn a_suite_that_is_not_supported_is_named() {
    let Some(server) = shop() else { return };
    let tape = visit(&server, &["-tls1_2", "-cipher", "AES128-CCM"]);
    let (found, imported) = tape.import(&tape.keylog);
    assert_eq!(lines(&found), [""; 0]);
    let ledger = imported.ledger;
    let bucket = "tls not decrypted: unsupported suite or version";
    assert!(ledger.stream_bytes.count(bucket) > 350_000, "{ledger:#?}");
    let note = "tls connections of version 0x0303 in suite 0xc09c";
    assert_eq!(ledger.notes.get(note), Some(&1), "{ledger:#?}");
}

#[test]
fn early_data_is_read_if_the_server_has_taken_it() {
    let (Some(server), Some(other)) = (shop(), shop()) else { return };
    let folder = server.folder().to_owned();
    let (session, early) = (folder.join("session"), folder.join("early"));
    let (session, early) = (session.to_str().unwrap(), early.to_str().unwrap());
    let (first, second) = (get("/early"), get("/second"));
    fs::write(early, &first.0).unwrap();
    let before = tape(&server, &["-tls1_3", "-sess_out", session], &[(&second.0, &second.1)]);
    assert_eq!(lines(&before.import(&before.keylog).0), ["GET /second 0 > 200 15"]);

    let again = ["-tls1_3", "-sess_in", session, "-early_data", early];
    let taken = tape(&server, &again, &[("", &first.1), (&second.0, &second.1)]);
    assert!(taken.keylog.contains("CLIENT_EARLY_TRAFFIC_SECRET"));
    let (found, imported) = taken.import(&taken.keylog);
    let wanted = ["GET /early 0 > 200 14", "GET /second 0 > 200 15"];
    assert_eq!(lines(&found), wanted, "{:#?}", imported.ledger);
    // Its secret alone is missing.
    let without: Vec<&str> = taken.keylog.lines().filter(|it| !it.contains("EARLY")).collect();
    let (found, imported) = taken.import(&without.join("\n"));
    assert!(lines(&found).contains(&wanted[1].to_owned()), "{:#?}", lines(&found));
    assert!(imported.ledger.stream_bytes.count("tls without keys") > 0);

    // Another server knows nothing of the session.
    let refused = tape(&other, &again, &[(&second.0, &second.1)]);
    let (found, imported) = refused.import(&refused.keylog);
    assert_eq!(lines(&found), [wanted[1]], "{:#?}", imported.ledger);
    let bytes = imported.ledger.stream_bytes.count("tls early data, not taken");
    assert!(bytes > first.0.len() as u64, "{:#?}", imported.ledger);
}

#[test]
fn who_waits_too_long_for_secrets_goes_without() {
    let Some(server) = shop() else { return };
    let post = format!(
        "POST /cart HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1200000\r\n\r\n{}",
        "b".repeat(1_200_000)
    );
    let tape = tape(&server, &["-tls1_3"], &[(&post, "served /cart.")]);
    let pieces = tape.talk.pieces.len();
    // Of so long a body only the front is kept.
    for (at, wanted) in [(0, &["POST /cart 1200000 > 200 13 request-cut"][..]), (pieces, &[])] {
        let file = Cursor::new(pcapng_of(&tape, at));
        let source = Source::from_reader("made by hand", Box::new(file)).unwrap();
        let (found, imported) = import(source, "");
        assert_eq!(lines(&found), wanted, "secrets at {at}: {:#?}", imported.ledger);
        let waited = imported.ledger.notes.get("tls connections that waited too long for secrets");
        assert_eq!(waited.is_some(), wanted.is_empty(), "secrets at {at}");
    }
}

#[test]
fn only_the_secrets_of_data_are_needed() {
    let Some(server) = shop() else { return };
    let tape = visit(&server, &["-tls1_3"]);
    let only_data = |line: &&str| line.contains("TRAFFIC_SECRET_0") && !line.contains("HANDSHAKE");
    let keylog: Vec<&str> = tape.keylog.lines().filter(only_data).collect();
    assert_eq!(keylog.len(), 2);
    assert_eq!(lines(&tape.import(&keylog.join("\n")).0), expected());
}

/// The pieces as a pcapng file with secrets before the piece of that number.
fn pcapng_of(tape: &Tape, at: usize) -> Vec<u8> {
    let order = Order::Little;
    let mut secrets = order.u32(0x544c_534b).to_vec();
    secrets.extend(order.u32(u32::try_from(tape.keylog.len()).unwrap()));
    secrets.extend(tape.keylog.as_bytes());
    let secrets = block(order, 10, &secrets);
    let resolution = option(order, 9, &[9]);
    let mut file = [section(order), interface(order, 101, 0, &resolution)].concat();
    for (number, piece) in tape.talk.pieces.iter().enumerate() {
        if number == at {
            file.extend(&secrets);
        }
        let units = u64::try_from(piece.at_ns).unwrap();
        file.extend(packet(order, 0, units, &packet_of(piece)));
    }
    if at >= tape.talk.pieces.len() {
        file.extend(&secrets);
    }
    file
}

#[test]
fn secrets_stand_anywhere_in_a_pcapng_file() {
    let Some(server) = shop() else { return };
    for arguments in [["-tls1_3"], ["-tls1_2"]] {
        let tape = visit(&server, &arguments);
        for at in [0, 3, 10, tape.talk.pieces.len() - 1, tape.talk.pieces.len()] {
            let file = Cursor::new(pcapng_of(&tape, at));
            let source = Source::from_reader("made by hand", Box::new(file)).unwrap();
            let (found, imported) = import(source, "");
            assert_eq!(lines(&found), expected(), "secrets at {at}: {:#?}", imported.ledger);
        }
    }
}

#[test]
fn the_program_takes_key_logs_and_never_shows_them() {
    let Some(server) = shop() else { return };
    let tape = visit(&server, &["-tls1_3"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("peak.pcap"), bytes_of(&tape.talk.pieces)).unwrap();
    let (first, second) = tape.keylog.split_at(tape.keylog.len() / 2);
    let cut = first.rfind('\n').map_or(0, |at| at + 1);
    fs::write(folder.path().join("one.keys"), &first[..cut]).unwrap();
    let rest = format!("{}{second}nonsense\n", &first[cut..]);
    fs::write(folder.path().join("two.keys"), rest).unwrap();
    let keys = ["--keylog", "one.keys", "--keylog", "two.keys"];

    let arguments = [&["import", "peak.pcap", "--jsonl", "-"][..], &keys].concat();
    let lines = peakhour(folder.path(), &arguments);
    assert_eq!(lines.stdout.lines().count(), 4, "{}", lines.stderr);
    assert!(lines.stdout.lines().all(|line| line.contains(r#""scheme":"https""#)));
    let arguments = [&["import", "peak.pcap", "-o", "peak.parquet"][..], &keys].concat();
    let recorded = peakhour(folder.path(), &arguments);
    assert_eq!(recorded.code, 0, "{}", recorded.stderr);
    let inspected = peakhour(folder.path(), &["inspect", "peak.parquet"]);
    assert!(inspected.stdout.contains("tls, decrypted"), "{}", inspected.stdout);
    assert!(inspected.stdout.contains("1  key log lines not understood"), "{}", inspected.stdout);
    let missing = ["import", "peak.pcap", "-o", "other.parquet", "--keylog", "three.keys"];
    let missing = peakhour(folder.path(), &missing);
    assert!(missing.stderr.contains("cannot read the key log three.keys"), "{}", missing.stderr);
    assert_ne!(missing.code, 0);
    let alone = peakhour(folder.path(), &["import", "peak.pcap", "-o", "none.parquet"]);
    assert!(alone.stderr.contains("--keylog"), "{}", alone.stderr);

    let secrets = tape.keylog.lines().filter_map(|line| line.rsplit(' ').next());
    let said = [lines, recorded, inspected, missing, alone].map(|ran| ran.stdout + &ran.stderr);
    for secret in secrets.filter(|secret| secret.len() > 60) {
        assert!(said.iter().all(|text| !text.contains(secret)), "a secret is shown");
    }
}
