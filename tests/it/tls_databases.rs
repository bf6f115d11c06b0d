//! Aim: what is said to a real MariaDB and a real PostgreSQL inside of TLS, which both begin in the
//! middle of a connection, is found with the client's key log, and nothing without it.

use std::path::Path;
use std::process::Command;

use peakhour::capture::import::{Found, Imported};
use peakhour::protocol::Protocol;
use peakhour::recording::Exchange;
use tempfile::TempDir;

use crate::servers;
use crate::support::program;
use crate::tls_tape::{Tape, tape_of_bytes};

/// A folder with `key.pem` and `certificate.pem`, which belong to `owner` where that is possible.
fn certified(owner: &str) -> Option<TempDir> {
    let openssl = program("openssl")?;
    let folder = tempfile::tempdir().unwrap();
    servers::certificate(&openssl, folder.path());
    let key = folder.path().join("key.pem");
    let mut command = Command::new("chown");
    let _ = command.arg(owner).arg(folder.path()).arg(&key).output();
    Some(folder)
}

fn setting(name: &str, folder: &Path, file: &str) -> String {
    format!("{name}={}", folder.join(file).display())
}

/// A packet of MySQL.
fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[length, 0, 0, sequence][..], payload].concat()
}

/// A message of PostgreSQL.
fn message(kind: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 4).unwrap();
    [kind, &length.to_be_bytes(), payload].concat()
}

fn exchanges(found: &[Found]) -> Vec<&Exchange> {
    let mut exchanges = Vec::new();
    for one in found {
        if let Found::Exchange(exchange) = one {
            exchanges.push(exchange);
        }
    }
    exchanges
}

/// The commands are found with the key log, all answered; and nothing without it.
fn check(tape: &Tape, protocol: Protocol, expected: &[&str]) {
    let (found, imported) = tape.import(&tape.keylog);
    let shown: Vec<String> = exchanges(&found)
        .iter()
        .map(|it| {
            assert_eq!(it.protocol, protocol);
            let is_answered = it.response.as_ref().is_some_and(|it| it.body_bytes.is_some());
            format!("{} {} {is_answered}", it.method, it.target)
        })
        .collect();
    assert_eq!(shown, expected, "{:#?}", imported.ledger);
    assert_eq!(imported.ledger.notes.get("tls connections decrypted"), Some(&1));
    let buckets = |imported: &Imported| {
        imported.ledger.stream_bytes.buckets.keys().cloned().collect::<Vec<_>>()
    };
    let name = protocol.name();
    let wanted = ["command", "login", "response"].map(|what| format!("{name} {what}"));
    let tls = ["tls handshake", "tls, decrypted"].map(str::to_owned);
    assert_eq!(buckets(&imported), [&wanted[..], &tls].concat());
    let (found, imported) = tape.import("");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(buckets(&imported), [format!("{name} login"), "tls".to_owned()]);
}

#[test]
fn commands_to_mariadb_behind_its_request_for_tls() {
    let Some(folder) = certified("root") else { return };
    let certificate = setting("--ssl-cert", folder.path(), "certificate.pem");
    let key = setting("--ssl-key", folder.path(), "key.pem");
    let Some(server) = servers::mariadb(&[&certificate, &key]) else { return };
    // TLS, the login of 4.1, a plugin, attributes; the longest packet, characters, a filler.
    let wishes = [&0x0018_8a01_u32.to_le_bytes()[..], &[0, 0, 0, 1, 33], &[0; 23]].concat();
    let login = packet(2, &[&wishes[..], b"root\0\0mysql_native_password\0\0"].concat());
    for version in ["-tls1_3", "-tls1_2"] {
        let tape = tape_of_bytes(
            &server,
            &["-starttls", "mysql", "-nocommands", version],
            &[
                (&login, b"\0\0\0\x02\0"),
                (&packet(0, b"\x03select concat('in', 'side')"), b"inside\x05"),
                (&packet(0, b"\x0e"), b"\0\0\0\x02\0"),
                (&packet(0, b"\x03select concat('a', 'gain')"), b"again\x05"),
            ],
        );
        check(
            &tape,
            Protocol::Mysql,
            &[
                "QUERY select concat('in', 'side') true",
                "PING  true",
                "QUERY select concat('a', 'gain') true",
            ],
        );
    }
}

#[test]
fn commands_to_postgres_behind_its_request_for_tls() {
    let Some(folder) = certified("postgres") else { return };
    let certificate = setting("ssl_cert_file", folder.path(), "certificate.pem");
    let key = setting("ssl_key_file", folder.path(), "key.pem");
    let Some(server) = servers::postgres(&["ssl=on", &certificate, &key]) else { return };
    let ready = b"Z\0\0\0\x05I";
    for version in ["-tls1_3", "-tls1_2"] {
        let tape = tape_of_bytes(
            &server,
            &["-starttls", "postgres", "-nocommands", version],
            &[
                (&message(b"", b"\0\x03\0\0user\0postgres\0\0"), ready),
                (&message(b"Q", b"select 'inside'\0"), ready),
                (&message(b"Q", b"select 1 / 0\0"), ready),
            ],
        );
        check(
            &tape,
            Protocol::Postgres,
            &["QUERY select 'inside' true", "QUERY select 1 / 0 true"],
        );
    }
}
