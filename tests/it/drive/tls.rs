//! TLS with targets that really misbehave: each failure has a fate of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peakhour::drive::stop::Stop;
use peakhour::record::tls::of_clients;
use peakhour::scenario::Limits;
use peakhour::scenario::network::Way;
use peakhour::scenario::tls::{Identity, TlsSpec};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::server::{Client, start};
use super::{ALL_IS_OVER, LIMITS, await_that, fate, fates, get, last, run, run_when};
use crate::certificates::Authority;
use crate::record_tls::{authority, good_and_wrong, nginx, serving};
use crate::servers::{self, Server};

/// A target of which an authority is trusted.
fn to(address: SocketAddr, authority: &Authority) -> Way {
    spoken(address, &TlsSpec { cacert: Some(authority.path("ca.pem").into()), ..<_>::default() })
}

fn spoken(address: SocketAddr, tls: &TlsSpec) -> Way {
    Way { tls: Some(tls.ready("127.0.0.1").unwrap()), ..Way::from(address) }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The only fate of two requests, each on a connection of its own.
fn fate_at(to: Way) -> &'static str {
    let limits = Limits { connect_timeout: Duration::from_secs(5), ..LIMITS };
    let driven = run(to, limits, vec![last(get(0, 0)), last(get(1, 0))]);
    assert_eq!(fates(&driven).len(), 1, "{:?}", fates(&driven));
    assert_eq!(driven.retried, 0);
    fates(&driven)[0].0
}

#[test]
fn a_target_that_cannot_prove_who_it_is_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    let Some([shop, elsewhere, old]) = good_and_wrong(&ours) else { return };
    let named = |name: &str| {
        let server_name = Some(name.to_owned().try_into().unwrap());
        TlsSpec { cacert: Some(ours.path("ca.pem").into()), server_name, ..<_>::default() }
    };
    let insecure = TlsSpec { insecure: true, ..<_>::default() };
    for (to, expected) in [
        (to(at(shop.port), &ours), "answered"),
        (spoken(at(shop.port), &TlsSpec::default()), "tls: certificate not trusted"),
        (to(at(elsewhere.port), &ours), "tls: certificate for another name"),
        (spoken(at(elsewhere.port), &named("elsewhere.example")), "answered"),
        (to(at(old.port), &ours), "tls: certificate expired"),
        (spoken(at(old.port), &insecure), "answered"),
    ] {
        assert_eq!(fate_at(to), expected);
    }
    // None of those that failed has sent its request.
    for server in [shop, elsewhere, old] {
        let log = logged(&server, 2);
        assert_eq!(log.lines().count(), 2, "{log}");
    }
}

/// The log of nginx, once it has so many lines: it answers before it writes them.
fn logged(server: &Server, lines: usize) -> String {
    let log = || fs::read_to_string(server.folder().join("seen.log")).unwrap();
    await_that(|| log().lines().count() >= lines);
    log()
}

/// Neither a certificate of tomorrow nor one that is for clients proves who a target is.
#[test]
fn certificates_of_tomorrow_and_of_others_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    let [past, future, end] = ["20200101000000Z", "20980101000000Z", "20991231235959Z"];
    ours.issue_for("future", "IP:127.0.0.1", [future, end], "serverAuth");
    ours.issue_for("clients", "IP:127.0.0.1", [past, end], "clientAuth");
    for (name, expected) in [
        ("shop", "answered"),
        ("future", "tls: certificate not valid yet"),
        ("clients", "tls: certificate not accepted"),
    ] {
        let Some(server) = nginx(&ours, name) else { return };
        assert_eq!(fate_at(to(at(server.port), &ours)), expected, "{name}");
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_by_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    ours.issue("client", "DNS:client.example");
    let [ca, pem, key] = ["ca.pem", "client.pem", "client-key.pem"].map(|name| ours.path(name));
    let identity = Some(Identity { cert: pem.into(), key: key.into() });
    for version in ["-tls1_2", "-tls1_3"] {
        let verify = ["-Verify", "1", "-verify_return_error", "-CAfile", &ca, version];
        let Some(server) = servers::openssl(&verify) else { return };
        let tls = TlsSpec { insecure: true, ..<_>::default() };
        let refused = fate_at(spoken(at(server.port), &tls));
        // The older version has no alert of its own for it.
        let expected = match version {
            "-tls1_3" => "tls: client certificate refused",
            _ => "tls: no common version or cipher",
        };
        assert_eq!(refused, expected, "{version}");
        let known = TlsSpec { identity: identity.clone(), ..tls };
        assert_eq!(fate_at(spoken(at(server.port), &known)), "answered", "{version}");
    }
}

/// Reads the whole hello of a client.
fn read_hello(client: &mut Client) {
    let mut head = [0; 5];
    client.stream.read_exact(&mut head).unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    client.stream.read_exact(&mut hello).unwrap();
}

#[test]
fn each_way_to_fail_in_the_handshake_has_its_fate() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    let fate_when = |said: &'static [u8]| {
        let server = start(move |client| {
            read_hello(client);
            client.stream.write_all(said).unwrap();
        });
        fate_at(to(server.address, &ours))
    };
    assert_eq!(fate_when(b""), "tls: closed in the handshake");
    assert_eq!(fate_when(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "tls: not spoken");
    assert_eq!(fate_when(&[21, 3, 3, 0, 2, 2, 80]), "tls: alert");
    assert_eq!(fate_when(&[21, 3, 3, 0, 2, 2, 70]), "tls: no common version or cipher");
    assert_eq!(fate_when(&[21, 3, 3, 0, 2, 2, 120]), "tls: no common protocol");
    assert_eq!(fate_when(&[22, 3, 3, 0, 4, 9, 9, 9, 9]), "tls: broken");
    let reset = start(|client| {
        read_hello(client);
        client.reset();
    });
    assert_eq!(fate_at(to(reset.address, &ours)), "tls: closed in the handshake");
    // A real server without TLS.
    if let Some(plain) = serving("", "") {
        assert_eq!(fate_at(to(at(plain.port), &ours)), "tls: not spoken");
    }
    let silent = start(Client::wait_for_close);
    let limits = Limits { connect_timeout: Duration::from_millis(200), ..LIMITS };
    let driven = run(to(silent.address, &ours), limits, vec![get(0, 0)]);
    assert_eq!(fates(&driven), [("tls: handshake timed out", 1)]);
    assert_eq!(driven.summary.handshakes, [0, 0]);
}

fn config(authority: &Authority) -> Arc<ServerConfig> {
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    of_clients(Path::new(&pem), Path::new(&key)).unwrap()
}

/// Takes a request inside of TLS and answers with these bytes.
fn answer(client: &mut Client, config: &Arc<ServerConfig>, said: &str, is_told: bool) {
    let mut session = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = Stream::new(&mut session, &mut client.stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let Ok(1) = stream.read(&mut byte) else { return };
        request.push(byte[0]);
    }
    stream.write_all(said.as_bytes()).unwrap();
    if is_told {
        stream.conn.send_close_notify();
    }
    stream.flush().unwrap();
    let _ = session.write_tls(&mut client.stream);
}

const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\nhello";
const FIVE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SIX: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello";

/// An answer that lasts until the end of its connection is whole only where that end was announced:
/// whoever stands in between can cut a connection, but not announce it.
#[test]
fn an_end_that_was_not_announced_makes_no_answer_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    for (said, is_told, expected) in [
        (UNTIL_CLOSE, true, "answered"),
        (UNTIL_CLOSE, false, "tls: cut off"),
        (FIVE, false, "answered"),
        (SIX, false, "closed early"),
        (SIX, true, "closed early"),
        ("", false, "closed early"),
    ] {
        let config = config(&ours);
        let server = start(move |client| answer(client, &config, said, is_told));
        let found = fate_at(to(server.address, &ours));
        assert_eq!(found, expected, "{said:?}, {is_told}");
    }
}

/// Bodies larger than any buffer, both ways, and connections that are used again after tickets
/// have arrived on them.
#[test]
fn large_bodies_pass_whole_and_connections_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    let Some(server) = nginx(&ours, "shop") else { return };
    let large: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    fs::write(server.folder().join("large"), &large).unwrap();
    let mut plan = Vec::new();
    for seq in 0..6_u32 {
        let mut arrival =
            if seq % 2 == 0 { super::request("POST", 0, seq, &large) } else { get(0, seq) };
        let text = String::from_utf8(arrival.head.to_vec()).unwrap();
        let to = if seq % 2 == 0 { "/orders/" } else { "/large" };
        let text =
            text.replace(&format!("/0/{seq}"), to).replace("\r\n\r\n", "\r\nHost: a\r\n\r\n");
        arrival.head = text.into();
        arrival.due = Duration::from_millis(u64::from(seq) * 50);
        plan.push(arrival);
    }
    let driven = run(to(at(server.port), &ours), LIMITS, plan);
    let statuses: Vec<_> = driven.summary.statuses.clone().into_iter().collect();
    assert_eq!(statuses, [(200, 3), (201, 3)], "{:?}", fates(&driven));
    assert_eq!(driven.summary.response_bytes, 3 * (5_000_000 + 5));
    assert_eq!((driven.summary.connections_opened, driven.summary.handshakes), (1, [1, 0]));
    let log = logged(&server, 6);
    let sent = log.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert_eq!(sent.filter(|bytes| *bytes > 5_000_000).count(), 3, "{log}");
}

/// Tickets that arrive on an idle connection do not disturb it, and its end does.
#[test]
fn an_idle_connection_that_the_target_closed_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    for is_told in [true, false] {
        let config = config(&ours);
        let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let server = start(move |client| answer(client, &config, empty, is_told));
        let plan = (0..3).map(|seq| get(0, seq)).collect();
        let to = to(server.address, &ours);
        let driven = run_when(&Stop::new(), to, LIMITS, plan, ALL_IS_OVER);
        assert_eq!((fates(&driven), driven.retried), (vec![("answered", 3)], 0));
        assert_eq!(server.accepted(), 3);
    }
}

/// A connection after the other: the first has a full handshake, the others resume its session.
#[test]
fn sessions_are_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    let Some(server) = nginx(&ours, "shop") else { return };
    let plan = (0..6).map(|number| last(get(number, 0))).collect();
    let to = to(at(server.port), &ours);
    let driven = run_when(&Stop::new(), to, LIMITS, plan, ALL_IS_OVER);
    assert_eq!(fate(&driven, "answered"), 6);
    assert_eq!(driven.summary.handshakes, [1, 5]);
}
