//! The recording proxy with TLS on either side or both, between a real curl and a real nginx: what
//! was inside is what is recorded, and whoever is not who he should be is refused and counted.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use peakhour::protocol::Protocol;
use peakhour::recording::Exchange;

use crate::certificates::Authority;
use crate::record::{Proxy, end, recorded, start_for};
use crate::servers::{self, Server, pause};
use crate::support::{peakhour, program};

/// nginx that speaks TLS with a certificate, HTTP/1.1 and HTTP/2, and logs a line a request.
fn nginx(authority: &Authority, name: &str) -> Option<Server> {
    let [pem, key] = [".pem", "-key.pem"].map(|suffix| authority.path(&format!("{name}{suffix}")));
    let tls = format!("ssl_certificate {pem}; ssl_certificate_key {key};");
    serving("ssl http2", &tls)
}

fn serving(listen: &str, tls: &str) -> Option<Server> {
    servers::nginx("", "", |port, folder| {
        format!(
            "log_format seen '$server_protocol $request_method $uri $status $request_length';\n\
             client_max_body_size 0; proxy_max_temp_file_size 0; {tls}\n\
             server {{ listen 127.0.0.1:{port} {listen}; access_log {at}/seen.log seen;\n\
             location /items/ {{ return 200 'an item'; }}\n\
             location /large {{ root {at}; }}\n\
             location /orders/ {{ proxy_pass http://unix:{at}/inner; }} }}\n\
             server {{ listen unix:{at}/inner; location / {{ return 201 'noted'; }} }}",
            at = folder.display()
        )
    })
}

/// An authority, and what a proxy and a server need of it.
fn authority(folder: &Path) -> Option<Authority> {
    let authority = Authority::new(&folder.join("ca"))?;
    authority.issue("shop", "DNS:shop.example,IP:127.0.0.1");
    Some(authority)
}

/// curl, which trusts an authority.
struct Curl<'a> {
    program: PathBuf,
    authority: &'a Authority,
    port: u16,
}

impl Curl<'_> {
    fn get(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        let (code, body) =
            self.run(arguments, &format!("https://shop.example:{}{path}", self.port));
        assert_eq!(code, Some(0), "{path} with {arguments:?}");
        body
    }

    fn run(&self, arguments: &[&str], url: &str) -> (Option<i32>, Vec<u8>) {
        let ran = Command::new(&self.program)
            .args(["-sS", "-m", "60", "--cacert", &self.authority.path("ca.pem")])
            .args(["--resolve", &format!("shop.example:{}:127.0.0.1", self.port)])
            .args(arguments)
            .arg(url)
            .output()
            .unwrap();
        (ran.status.code(), ran.stdout)
    }
}

/// `PROTOCOL METHOD PATH STATUS` of every exchange, as nginx would log it, sorted.
fn rows(exchanges: &[Exchange]) -> Vec<String> {
    let row = |each: &Exchange| {
        let version = if each.protocol == Protocol::Http2 { "HTTP/2.0" } else { "HTTP/1.1" };
        let status = each.response.as_ref().map_or(0, |answer| answer.status);
        format!("{version} {} {} {status}", each.method, each.target)
    };
    let mut rows: Vec<String> = exchanges.iter().map(row).collect();
    rows.sort();
    rows
}

/// The same of what nginx logged.
fn logged(server: &Server) -> Vec<String> {
    let log = fs::read_to_string(server.folder().join("seen.log")).unwrap();
    let row = |line: &str| line.split(' ').take(4).collect::<Vec<_>>().join(" ");
    let mut rows: Vec<String> = log.lines().map(row).collect();
    rows.sort();
    rows
}

fn certificate(authority: &Authority) -> [String; 4] {
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    ["--tls-cert".to_owned(), pem, "--tls-key".to_owned(), key]
}

fn started(folder: &Path, upstream: &str, arguments: &[&str], tls: &[String]) -> (Proxy, u16) {
    let tls = tls.iter().map(String::as_str);
    let all: Vec<&str> = arguments.iter().copied().chain(tls).collect();
    start_for(folder, upstream, &all)
}

/// What was recorded by a proxy that has done its work.
fn of(folder: &Path, proxy: Proxy) -> (Vec<Exchange>, std::collections::BTreeMap<String, u64>) {
    let (code, said) = end(proxy);
    assert_eq!(code, Some(0), "{said}");
    let (reader, exchanges) = recorded(&folder.join("live.parquet"));
    let ledger = &reader.header().ledger;
    assert!(ledger.reconciles(), "{ledger:?}");
    (exchanges, ledger.notes.clone())
}

#[test]
fn tls_on_both_sides_is_recorded_as_what_was_inside() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(authority), Some(curl)) = (authority(folder.path()), program("curl")) else { return };
    let Some(server) = nginx(&authority, "shop") else { return };
    let large: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 249) as u8).collect();
    fs::write(server.folder().join("large"), &large).unwrap();
    fs::write(folder.path().join("upload"), &large).unwrap();
    let (upstream, ca) = (format!("https://127.0.0.1:{}", server.port), authority.path("ca.pem"));
    let arguments = ["--grace", "1s", "--cacert", &ca, "--upstream-name", "shop.example"];
    let (proxy, port) = started(folder.path(), &upstream, &arguments, &certificate(&authority));
    let curl = Curl { program: curl, authority: &authority, port };
    let upload = format!("@{}", folder.path().join("upload").display());
    for arguments in [&["--http1.1"][..], &["--http2"], &["--no-alpn"]] {
        assert_eq!(curl.get(arguments, "/items/1"), b"an item");
        assert!(curl.get(arguments, "/large") == large, "with {arguments:?}");
        let post = [arguments, &["--data-binary", &upload, "-H", "Expect:"]].concat();
        assert_eq!(curl.get(&post, "/orders/2"), b"noted");
    }
    // Several on one connection, at the same time.
    let many: Vec<String> =
        (0..40).map(|item| format!("https://shop.example:{port}/items/m{item}")).collect();
    let mut parallel = vec!["--http2", "-Z"];
    parallel.extend(many.iter().skip(1).map(String::as_str));
    assert_eq!(curl.run(&parallel, &many[0]).0, Some(0));

    let (exchanges, notes) = of(folder.path(), proxy);
    assert_eq!(rows(&exchanges), logged(&server));
    assert_eq!(exchanges.len(), 49);
    let of_http2 = exchanges.iter().filter(|each| each.protocol == Protocol::Http2).count();
    assert_eq!(of_http2, 43, "the protocol is the one that both sides speak");
    assert!(exchanges.iter().all(|each| each.scheme == "https"));
    let host = format!("shop.example:{port}");
    assert!(exchanges.iter().all(|each| each.authority == host), "{exchanges:?}");
    for each in exchanges.iter().filter(|each| each.target == "/large") {
        assert_eq!(each.response.as_ref().unwrap().body_bytes, Some(3_000_000));
    }
    for each in exchanges.iter().filter(|each| each.method == "POST") {
        assert_eq!(each.request_body_bytes, 3_000_000);
    }
    assert!(!notes.keys().any(|name| name.contains("handshake") || name == "gaps"), "{notes:?}");
}

#[test]
fn in_front_of_a_server_without_tls_clients_are_offered_what_it_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(authority), Some(curl)) = (authority(folder.path()), program("curl")) else { return };
    for (listen, alpn, wanted) in [
        ("", &[][..], Protocol::Http1),
        // Without TLS it speaks HTTP/2 with prior knowledge, and nothing else.
        ("http2", &["--alpn", "h2"], Protocol::Http2),
    ] {
        let Some(server) = serving(listen, "") else { return };
        let upstream = format!("127.0.0.1:{}", server.port);
        let arguments = [&["--grace", "0s"], alpn].concat();
        let (proxy, port) = started(folder.path(), &upstream, &arguments, &certificate(&authority));
        let curl = Curl { program: curl.clone(), authority: &authority, port };
        // Offers both.
        assert_eq!(curl.get(&["--http2"], "/items/1"), b"an item");
        if wanted == Protocol::Http2 {
            let only = format!("https://shop.example:{port}/items/2");
            assert_eq!(curl.run(&["--http1.1"], &only).0, Some(35), "no common protocol");
        }
        let (exchanges, notes) = of(folder.path(), proxy);
        assert_eq!(rows(&exchanges), logged(&server));
        assert_eq!((exchanges.len(), exchanges[0].protocol), (1, wanted));
        assert_eq!(exchanges[0].scheme, "https");
        let refused = notes.get("clients without a common alpn").copied();
        assert_eq!(refused, (wanted == Protocol::Http2).then_some(1), "{notes:?}");
    }
}

#[test]
fn clients_without_tls_reach_a_server_in_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(authority), Some(curl)) = (authority(folder.path()), program("curl")) else { return };
    let Some(server) = nginx(&authority, "shop") else { return };
    let upstream = format!("https://127.0.0.1:{}", server.port);
    let ca = authority.path("ca.pem");
    let mut all = Vec::new();
    for (alpn, version) in [("http/1.1", "--http1.1"), ("h2", "--http2-prior-knowledge")] {
        let arguments = ["--grace", "0s", "--cacert", &ca, "--alpn", alpn];
        let (proxy, port) = start_for(folder.path(), &upstream, &arguments);
        let curl = Curl { program: curl.clone(), authority: &authority, port };
        let (code, body) = curl.run(&[version], &format!("http://127.0.0.1:{port}/items/{port}"));
        assert_eq!((code, &body[..]), (Some(0), &b"an item"[..]), "{version}");
        let (exchanges, _) = of(folder.path(), proxy);
        assert!(exchanges.iter().all(|each| each.scheme == "http"));
        all.extend(exchanges);
    }
    assert_eq!(rows(&all), logged(&server));
}

/// A connection through a proxy to a server in TLS: the name it is refused by, if it is.
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
    let servers = ["shop", "elsewhere", "old"].map(|name| nginx(&ours, name));
    let [Some(shop), Some(elsewhere), Some(old)] = servers else { return };
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
        (&plain, &right, Some("upstream without tls")),
        (&plain, &["-k"], Some("upstream without tls")),
    ] {
        let (code, said) = tried(&ours, server.port, arguments);
        let shown = format!("{arguments:?}: {said}");
        assert_eq!(code, Some(if refused.is_some() { 104 } else { 0 }), "{shown}");
        if let Some(name) = refused {
            // At once, and in the account.
            assert!(said.contains(&format!("warning: {name}: ")), "{shown}");
            assert!(said.contains(&format!("(2 connections; {name} 2)")), "{shown}");
        }
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
    }
}

/// The bytes of TLS are passed on as they are, and the user is told what to do about it.
#[test]
fn tls_through_a_listener_without_it_is_passed_on_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(authority), Some(curl)) = (authority(folder.path()), program("curl")) else { return };
    let Some(server) = nginx(&authority, "shop") else { return };
    let (proxy, port) =
        start_for(folder.path(), &format!("127.0.0.1:{}", server.port), &["--grace", "0s"]);
    let curl = Curl { program: curl, authority: &authority, port };
    assert_eq!(curl.get(&[], "/items/1"), b"an item");
    let (code, said) = end(proxy);
    assert_eq!(code, Some(104), "{said}");
    assert!(said.contains("1 connections were in TLS, and passed on without being read"), "{said}");
    assert!(said.contains("connections with tls 1"), "{said}");
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
    let shop = "shop.pem";
    for (arguments, said) in [
        (["--tls-cert", "absent.pem", "--tls-key", "shop-key.pem"], "absent.pem: cannot be read"),
        (["--tls-cert", "empty.pem", "--tls-key", "shop-key.pem"], "empty.pem: no certificate"),
        (["--tls-cert", "shop-key.pem", "--tls-key", shop], "are the two files swapped?"),
        (["--tls-cert", shop, "--tls-key", shop], "holds a certificate and no key"),
        (["--tls-cert", shop, "--tls-key", "cut.pem"], "cut.pem: is no whole PEM file"),
        (["--tls-cert", shop, "--tls-key", "locked.pem"], "openssl pkey -in FILE -out KEY"),
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
    pause();
    assert!(!at("live.parquet").exists());
}
