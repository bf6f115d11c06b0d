//! Where connections go and where they come from, as a real nginx logs it.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::nginx::{self, Nginx};
use crate::servers::free_port;
use crate::support::{Ran, peakhour};

/// Starts nginx on 127.0.0.2, 127.0.0.3 and `::1`, each on the same free port, and on a unix
/// socket. Its log has a line a request: who asked, where, for which host, on which connection.
fn start(folder: &Path) -> Option<(Nginx, u16)> {
    let port = free_port();
    let at = folder.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{ client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
         log_format seen '$remote_addr $server_addr $http_host $connection';\n\
         server {{ listen 127.0.0.2:{port}; listen 127.0.0.3:{port}; listen [::1]:{port};\n\
         listen unix:{at}/app.sock; access_log {at}/access.log seen;\n\
         location / {{ return 200 'served'; }} }} }}\n"
    );
    let server = nginx::start_with(folder, &config, || {
        TcpStream::connect(("127.0.0.3", port)).is_ok()
            && UnixStream::connect(folder.join("app.sock")).is_ok()
    })?;
    Some((server, port))
}

/// The lines of the log, by one of their fields.
fn seen(folder: &Path, field: usize) -> BTreeMap<String, usize> {
    let log = fs::read_to_string(folder.join("access.log")).unwrap_or_default();
    let mut seen = BTreeMap::new();
    for line in log.lines() {
        let value = line.split(' ').nth(field).unwrap_or_default();
        *seen.entry(value.to_owned()).or_default() += 1;
    }
    seen
}

fn only(value: impl Into<String>, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(value.into(), count)])
}

/// Runs 40 requests with options in a line, on 4 connections where they name no other number.
fn run(folder: &Path, url: &str, options: &str) -> Ran {
    let connections = if options.contains("-c ") { "" } else { "-c 4" };
    let line =
        format!("run --rate 200 -d 200ms --tolerance ci {connections} {options} --url {url}");
    peakhour(folder, &line.split_whitespace().collect::<Vec<_>>())
}

/// What a busy machine makes of the verdict does not matter here; all must have been sent.
fn assert_carried_out(ran: &Ran) {
    assert!(matches!(ran.code, 0 | 98 | 99), "{}: {}\n{}", ran.code, ran.stdout, ran.stderr);
}

#[test]
fn connections_go_where_they_are_sent_and_ask_for_the_host_they_were_told() {
    for (host, options, to) in [
        ("app.test", "--connect-to app.test:{}:127.0.0.3: --allow app.test", "127.0.0.3"),
        ("localhost", "--connect-to ::127.0.0.2: --connect-to ::127.0.0.3:", "127.0.0.2"),
        ("app.test", "--resolve app.test:{}:127.0.0.3 --allow app.test", "127.0.0.3"),
        // Nobody listens at the first address, as with any name.
        ("app.test", "--resolve *:{}:127.0.0.9,127.0.0.2 --allow app.test", "127.0.0.2"),
        ("app.test", "-6 --resolve *:{}:127.0.0.2,::1 --allow app.test", "[::1]"),
        ("app.test", "--ipv4 --resolve *:{}:::1,127.0.0.2 --allow app.test", "127.0.0.2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let Some((server, port)) = start(folder.path()) else { return };
        let options = options.replace("{}", &port.to_string());
        let ran = run(folder.path(), &format!("http://{host}:{port}/"), &options);
        drop(server);
        assert_carried_out(&ran);
        let told = format!("{options}\n{}\n{}", ran.stdout, ran.stderr);
        // nginx tells addresses of IPv6 without brackets.
        assert_eq!(seen(folder.path(), 1), only(to.trim_matches(['[', ']']), 40), "{told}");
        assert_eq!(seen(folder.path(), 2), only(format!("{host}:{port}"), 40), "{told}");
        assert_eq!(seen(folder.path(), 3).len(), 4, "{told}");
    }
}

#[test]
fn a_unix_socket_is_a_target_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, _)) = start(folder.path()) else { return };
    let socket = folder.path().join("app.sock");
    let options = format!("--unix-socket {}", socket.display());
    let ran = run(folder.path(), "http://localhost/", &options);
    drop(server);
    assert_carried_out(&ran);
    assert_eq!(seen(folder.path(), 0), only("unix:", 40), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(seen(folder.path(), 2), only("localhost", 40));
    assert_eq!(seen(folder.path(), 3).len(), 4);
    let away = run(folder.path(), "http://localhost/", "--unix-socket /no/such.sock");
    assert_eq!(away.code, 104);
    assert!(away.stderr.contains("at the unix socket /no/such.sock"), "{}", away.stderr);
}

#[test]
fn connections_come_from_each_source_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = start(folder.path()) else { return };
    let url = format!("http://127.0.0.2:{port}/");
    let ran = run(folder.path(), &url, "--source-ip 127.0.7.0/30,127.0.8.1 -c 9");
    drop(server);
    assert_carried_out(&ran);
    let from = seen(folder.path(), 0);
    let sources: Vec<&str> = from.keys().map(String::as_str).collect();
    assert_eq!(sources, ["127.0.7.1", "127.0.7.2", "127.0.8.1"], "{}", ran.stdout);
    let log = fs::read_to_string(folder.path().join("access.log")).unwrap();
    for source in sources {
        let its = log.lines().filter(|line| line.starts_with(source));
        let connections: std::collections::BTreeSet<_> =
            its.filter_map(|line| line.split(' ').nth(3)).collect();
        assert_eq!(connections.len(), 3, "{source}: 9 connections over 3 sources");
    }
    let elsewhere = run(folder.path(), &url, "--source-ip 127.0.0.1,192.0.2.1");
    assert_eq!(elsewhere.code, 104);
    assert!(elsewhere.stderr.contains("cannot come from 192.0.2.1"), "{}", elsewhere.stderr);
}

#[test]
fn a_scenario_says_it_with_the_same_words_and_options_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = start(folder.path()) else { return };
    let lines: Vec<String> = (0..100)
        .map(|index| {
            let (at, connection) = (index * 5_000_000_u64, index % 10);
            format!(r#"{{"at_ns":{at},"connection":{connection},"method":"GET","#)
                + r#""authority":"production.example","target":"/"}"#
        })
        .collect();
    fs::write(folder.path().join("r.jsonl"), lines.join("\n")).unwrap();
    let scenario = |resolve: &str, allow: &str| {
        let text = format!(
            "recording: r.jsonl\ntolerance: ci\ntarget:\n  url: http://app.test:{port}\n  allow: \
             [app.test, {allow}]\n  resolve: ['app.test:{port}:{resolve}']\n  source_ip: \
             [127.0.7.1, 127.0.7.2]\n"
        );
        fs::write(folder.path().join("s.yaml"), text).unwrap();
    };
    scenario("127.0.0.2", "127.0.0.2");
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    assert_carried_out(&ran);
    assert_eq!(seen(folder.path(), 1), only("127.0.0.2", 100), "{}\n{}", ran.stdout, ran.stderr);
    let from = BTreeMap::from(["127.0.7.1", "127.0.7.2"].map(|from| (from.to_owned(), 50)));
    assert_eq!(seen(folder.path(), 0), from);

    scenario("127.0.0.9", "127.0.0.3");
    let pin = format!("app.test:{port}:127.0.0.3");
    let ran = peakhour(folder.path(), &["run", "s.yaml", "--resolve", &pin]);
    assert_carried_out(&ran);
    assert_eq!(seen(folder.path(), 1)["127.0.0.3"], 100, "{}\n{}", ran.stdout, ran.stderr);

    // What is not allowed, or was recorded, is not reached by any of these.
    let before = seen(folder.path(), 1);
    for (typed, told) in [
        ("--resolve app.test:{}:127.0.0.2", "add `127.0.0.2` to `target.allow`"),
        ("--connect-to ::127.0.0.2:", "add `127.0.0.2` to `target.allow`"),
        ("--connect-to ::production.example:", "add `production.example`"),
        ("-4 --source-ip ::1", "cannot go to IPv4"),
        ("-4 --ipv6", "cannot be used with"),
        ("--unix-socket app.sock", "a unix socket has no host"),
    ] {
        let typed = typed.replace("{}", &port.to_string());
        let arguments: Vec<&str> = ["run", "s.yaml"].into_iter().chain(typed.split(' ')).collect();
        let ran = peakhour(folder.path(), &arguments);
        assert_eq!(ran.code, 104, "{typed}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{typed}: {}", ran.stderr);
    }
    assert_eq!(seen(folder.path(), 1), before);
    drop(server);
}
