//! The recording proxy with TLS on either side or both, between a real curl and a real nginx: what
//! was inside is what is recorded, and whoever is not who he should be is refused and counted.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use peakhour::protocol::Protocol;
use peakhour::record::tls::{self, Trust};
use peakhour::recording::Exchange;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Authority;
use crate::record::{Proxy, end, recorded, start_for};
use crate::servers::{self, Server};
use crate::support::program;

/// nginx that speaks TLS with a certificate, HTTP/1.1 and HTTP/2, and logs a line a request.
pub(crate) fn nginx(authority: &Authority, name: &str) -> Option<Server> {
    let [pem, key] = [".pem", "-key.pem"].map(|suffix| authority.path(&format!("{name}{suffix}")));
    let tls = format!("ssl_certificate {pem}; ssl_certificate_key {key};");
    serving("ssl http2", &tls)
}

/// Three of them: with a certificate that is good, for another name, and expired.
pub(crate) fn good_and_wrong(authority: &Authority) -> Option<[Server; 3]> {
    authority.issue("elsewhere", "DNS:elsewhere.example");
    authority.issue_until("old", "IP:127.0.0.1", "20200102000000Z");
    let [shop, elsewhere, old] = ["shop", "elsewhere", "old"].map(|name| nginx(authority, name));
    Some([shop?, elsewhere?, old?])
}

pub(crate) fn serving(listen: &str, tls: &str) -> Option<Server> {
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
pub(crate) fn authority(folder: &Path) -> Option<Authority> {
    let authority = Authority::new(&folder.join("ca"))?;
    authority.issue("shop", "DNS:shop.example,IP:127.0.0.1");
    Some(authority)
}

/// curl, which trusts an authority.
pub(crate) struct Curl<'a> {
    pub(crate) program: PathBuf,
    pub(crate) authority: &'a Authority,
    pub(crate) port: u16,
}

impl Curl<'_> {
    pub(crate) fn get(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        let (code, body) =
            self.run(arguments, &format!("https://shop.example:{}{path}", self.port));
        assert_eq!(code, Some(0), "{path} with {arguments:?}");
        body
    }

    pub(crate) fn run(&self, arguments: &[&str], url: &str) -> (Option<i32>, Vec<u8>) {
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
pub(crate) fn rows(exchanges: &[Exchange]) -> Vec<String> {
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

pub(crate) fn certificate(authority: &Authority) -> [String; 4] {
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    ["--tls-cert".to_owned(), pem, "--tls-key".to_owned(), key]
}

pub(crate) fn started(
    folder: &Path,
    upstream: &str,
    arguments: &[&str],
    tls: &[String],
) -> (Proxy, u16) {
    let tls = tls.iter().map(String::as_str);
    let all: Vec<&str> = arguments.iter().copied().chain(tls).collect();
    start_for(folder, upstream, &all)
}

/// What was recorded by a proxy that has done its work.
pub(crate) fn of(
    folder: &Path,
    proxy: Proxy,
) -> (Vec<Exchange>, std::collections::BTreeMap<String, u64>) {
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
        let upwards = [arguments, &["--data-binary", &upload, "-H", "Expect:"]].concat();
        assert_eq!(curl.get(&upwards, "/orders/2"), b"noted");
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

/// A server inside of TLS whose answer ends with the connection; it says so, or just leaves.
fn leaves(config: Arc<ServerConfig>, says_so: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        // The first only asks whether anybody is there.
        drop(listener.accept());
        let session = ServerConnection::new(config).unwrap();
        let mut stream = StreamOwned::new(session, listener.accept().unwrap().0);
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it").unwrap();
        if says_so {
            stream.conn.send_close_notify();
        }
        stream.flush().unwrap();
        // The client has the last word, so that nothing is reset.
        let _ = stream.sock.shutdown(Shutdown::Write);
        let _ = stream.sock.read_to_end(&mut Vec::new());
    });
    port
}

#[test]
fn what_was_cut_inside_of_tls_does_not_look_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [pem, key, ca] =
        ["shop.pem", "shop-key.pem", "ca.pem"].map(|name| PathBuf::from(authority.path(name)));
    for says_so in [true, false] {
        let upstream = leaves(tls::of_clients(&pem, &key).unwrap(), says_so);
        let arguments = ["--grace", "1s", "--cacert", ca.to_str().unwrap()];
        let upstream = format!("https://127.0.0.1:{upstream}");
        let (proxy, port) = started(folder.path(), &upstream, &arguments, &certificate(&authority));
        let config = tls::to_upstream(Trust::File(&ca)).unwrap();
        let name = ServerName::try_from("shop.example").unwrap();
        let session = ClientConnection::new(config, name).unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut client = StreamOwned::new(session, socket);
        client.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let ended = client.read_to_end(&mut answer).map_err(|error| error.kind());
        assert!(answer.ends_with(b"half of it"));
        assert_eq!(ended.is_ok(), says_so, "{ended:?}");
        client.conn.send_close_notify();
        client.flush().unwrap();
        drop(client);
        let (exchanges, notes) = of(folder.path(), proxy);
        let body = exchanges[0].response.as_ref().unwrap().body_bytes;
        assert_eq!(body, says_so.then_some(10));
        let torn = notes.get("tls ends of upstream without notice").copied();
        assert_eq!(torn, (!says_so).then_some(1), "{notes:?}");
    }
}
