//! Who is refused by the recording proxy where TLS is spoken, and by which name he is counted.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::certificates::Authority;
use crate::record::{end, start_for};
use crate::record_tls::{Curl, authority, certificate, nginx, of, rows, serving, started};
use crate::support::{peakhour, program, root};

fn is_documented(name: &str) -> bool {
    let text = fs::read_to_string(root().join("docs/recording.md")).unwrap();
    text.contains(&format!("`{name}`"))
}

/// Connections through a proxy to a server in TLS: the name it is refused by, if it is.
fn tried(authority: &Authority, server: u16, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["--grace", "0s"], arguments].concat();
    let (proxy, port) =
        start_for(folder.path(), &format!("https://127.0.0.1:{server}"), &arguments);
    let curl = Curl { program: program("curl").unwrap(), authority, port };
    let url = format!("http://127.0.0.1:{port}/items/1");
    let codes = [(); 2].map(|()| curl.run(&[], &url).0);
    let (code, said) = end(proxy);
    let answered = codes.iter().filter(|code| **code == Some(0)).count();
    assert_eq!(answered, if code == Some(0) { 2 } else { 0 }, "{said}");
    (code, said)
}

#[test]
fn an_upstream_that_cannot_prove_who_it_is_is_refused_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(ours), Some(_)) = (authority(folder.path()), program("curl")) else { return };
    let Some(other) = Authority::new(&folder.path().join("other")) else { return };
    ours.issue("elsewhere", "DNS:elsewhere.example");
    ours.issue_until("old", "DNS:shop.example,IP:127.0.0.1", "20200102000000Z");
    let servers = ["shop", "elsewhere", "old", "ca"].map(|name| nginx(&ours, name));
    let [Some(shop), Some(elsewhere), Some(old), Some(issuer)] = servers else { return };
    let Some(plain) = serving("", "") else { return };
    let [right, wrong] = [&ours, &other].map(|authority| authority.path("ca.pem"));
    let (right, wrong) = (["--cacert", &right], ["--cacert", &wrong]);
    let renamed = [&right[..], &["--upstream-name", "elsewhere.example"]].concat();
    for (server, arguments, refused) in [
        (&shop, &right[..], None),
        (&shop, &wrong, Some("upstream certificate of an unknown issuer")),
        (&shop, &[], Some("upstream certificate of an unknown issuer")),
        (&shop, &["--insecure"], None),
        (&elsewhere, &right, Some("upstream certificate for another name")),
        (&elsewhere, &renamed, None),
        (&old, &right, Some("upstream certificate expired")),
        (&old, &["-k"], None),
        (&issuer, &right, Some("upstream certificate not accepted")),
        (&plain, &right, Some("upstream without tls")),
        (&plain, &["-k"], Some("upstream without tls")),
    ] {
        let (code, said) = tried(&ours, server.port, arguments);
        let shown = format!("{arguments:?}: {said}");
        assert_eq!(code, Some(if refused.is_some() { 104 } else { 0 }), "{shown}");
        if let Some(name) = refused {
            assert!(is_documented(name), "docs/recording.md does not say what to do about {name}");
            // At once, and in the account.
            assert!(said.contains(&format!("warning: {name}: ")), "{shown}");
            assert!(said.contains(&format!("(2 connections; {name} 2)")), "{shown}");
        }
        let is_issuer = refused == Some("upstream certificate not accepted");
        assert_eq!(said.contains("(CA:TRUE)"), is_issuer, "{shown}");
        let is_loud = arguments.iter().any(|it| matches!(*it, "-k" | "--insecure"));
        let loud = if is_loud { 2 } else { 0 };
        assert_eq!(said.matches("WARNING: --insecure").count(), loud, "{shown}");
    }
}

#[test]
fn clients_that_fail_to_speak_tls_are_counted_by_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(authority), Some(curl)) = (authority(folder.path()), program("curl")) else { return };
    let Some(server) = serving("", "") else { return };
    let upstream = format!("127.0.0.1:{}", server.port);
    let (proxy, port) =
        started(folder.path(), &upstream, &["--grace", "0s"], &certificate(&authority));
    for request in ["GET /items/1 HTTP/1.1\r\nHost: shop\r\n\r\n", "PING\r\n"] {
        let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
        plain.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/"), "it was not passed on");
    }
    // Half of a hello, and gone.
    let mut half = TcpStream::connect(("127.0.0.1", port)).unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1]).unwrap();
    drop(half);
    let curl = Curl { program: curl, authority: &authority, port };
    let suspicious = Command::new(&curl.program)
        .args(["-sS", &format!("https://127.0.0.1:{port}/items/1")])
        .output()
        .unwrap();
    assert_eq!(suspicious.status.code(), Some(60), "curl does not trust our authority by itself");
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    assert_ne!(curl.run(&old, &format!("https://shop.example:{port}/items/2")).0, Some(0));
    assert_eq!(curl.get(&[], "/items/3"), b"an item");
    let (exchanges, notes) = of(folder.path(), proxy);
    assert_eq!(rows(&exchanges), ["HTTP/1.1 GET /items/3 200"]);
    for (name, count) in [
        ("clients without tls", 2),
        ("clients that left in the tls handshake", 1),
        ("clients that refused the certificate or the handshake", 1),
        ("clients without a common tls version or cipher", 1),
    ] {
        assert_eq!(notes.get(name), Some(&count), "{name}: {notes:?}");
        assert!(is_documented(name), "docs/recording.md does not say what to do about {name}");
    }
}

#[test]
fn what_is_wrong_with_a_file_of_certificates_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    authority.issue("second", "DNS:second.example");
    let at = |name: &str| folder.path().join("ca").join(name);
    fs::write(at("empty.pem"), "").unwrap();
    let key = fs::read_to_string(at("shop-key.pem")).unwrap();
    fs::write(at("cut.pem"), &key[..key.len() / 2]).unwrap();
    fs::write(at("locked.pem"), key.replace("PRIVATE", "ENCRYPTED PRIVATE")).unwrap();
    let traditional = key
        .replace("BEGIN PRIVATE KEY-----", "BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED")
        .replace("END PRIVATE KEY", "END EC PRIVATE KEY");
    fs::write(at("traditional.pem"), traditional).unwrap();
    let shop = "shop.pem";
    for (arguments, said) in [
        (["--tls-cert", "absent.pem", "--tls-key", "shop-key.pem"], "absent.pem: cannot be read"),
        (["--tls-cert", "empty.pem", "--tls-key", "shop-key.pem"], "empty.pem: no certificate"),
        (["--tls-cert", "shop-key.pem", "--tls-key", shop], "are the two files swapped?"),
        (["--tls-cert", shop, "--tls-key", shop], "holds a certificate and no key"),
        (["--tls-cert", shop, "--tls-key", "cut.pem"], "cut.pem: is no whole PEM file"),
        (["--tls-cert", shop, "--tls-key", "locked.pem"], "openssl pkey -in FILE -out KEY"),
        (["--tls-cert", shop, "--tls-key", "traditional.pem"], "openssl pkey -in FILE -out KEY"),
        (["--tls-cert", shop, "--tls-key", "empty.pem"], "empty.pem: no key in it"),
        (["--tls-cert", shop, "--tls-key", "second-key.pem"], "is not the key of the first"),
        (["--cacert", "empty.pem", "--grace", "1s"], "empty.pem: no certificate"),
    ] {
        let all = [
            &["record", "--listen", "127.0.0.1:0", "-o", "live.parquet"][..],
            &["--upstream", "https://127.0.0.1:1"],
            &arguments,
        ]
        .concat();
        let ran = peakhour(&folder.path().join("ca"), &all);
        assert_eq!(ran.code, 104, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    for (arguments, said) in [
        (&["--upstream", "127.0.0.1:1", "-k"][..], "--insecure is for an upstream that speaks TLS"),
        (&["--upstream", "127.0.0.1:1", "--alpn", "h2"], "--alpn is for TLS"),
        (&["--upstream", "https://127.0.0.1:1", "-k", "--alpn", "h2,http/1.1"], "give --alpn one"),
        (&["--upstream", "https://127.0.0.1:1", "-k", "--upstream-name", "a b"], "is no name"),
        (&["--upstream", "127.0.0.1:1", "--keep", "3"], "--keep is for several files"),
        (&["--upstream", "127.0.0.1:1", "--tls-cert", "shop.pem"], "--tls-key"),
    ] {
        let all =
            [&["record", "--listen", "127.0.0.1:0", "-o", "live.parquet"][..], arguments].concat();
        let ran = peakhour(&folder.path().join("ca"), &all);
        assert_ne!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert!(!at("live.parquet").exists());
}
