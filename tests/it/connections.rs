//! Limits of connections, found on real servers and on the stage.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::schema;
use crate::servers::{self, pause};
use crate::support::{peakhour, program_at, root};

/// Runs the act alone; returns its findings and the output.
fn rehearse(target: &str, options: &str) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path(), target, options);
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    let run = fs::read_dir(folder.path().join("reports")).ok().and_then(|mut runs| runs.next());
    let run = run.unwrap_or_else(|| panic!("no report: {shown}")).unwrap().path();
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    schema::holds(&json);
    (json["findings"].as_array().unwrap().clone(), shown)
}

fn scenario(folder: &Path, target: &str, options: &str) {
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let text = format!(
        "# Limits.\nname: limits\nrecording: {}\n{target}\n\
         acts: [ connections: {{ {options} }} ]\n",
        capture.display()
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
}

const STAGE: &str = "target: { url: stage, allow: [127.0.0.1] }";

/// The finding of a check whose title begins so.
fn found<'a>(findings: &'a [Value], check: &str, begins: &str) -> &'a Value {
    let is_it = |found: &&Value| {
        found["check"] == check && found["title"].as_str().unwrap().starts_with(begins)
    };
    findings.iter().find(is_it).unwrap_or_else(|| panic!("{check} {begins}: {findings:#?}"))
}

/// Connections that Redis counts, this one included. Where it is full, too busy to answer, or gone,
/// there are too many.
fn connected(port: u16) -> u64 {
    let told = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        stream.write_all(b"INFO clients\r\n").ok()?;
        let mut said = [0; 4_096];
        let count = stream.read(&mut said).ok()?;
        let text = String::from_utf8_lossy(&said[..count]).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("connected_clients:"))?;
        line.trim().parse().ok()
    };
    told().unwrap_or(u64::MAX)
}

/// Waits until a server counts so many connections or fewer, this one included.
fn falls_to(port: u16, most: u64) -> bool {
    (0..250).any(|_| {
        pause();
        connected(port) <= most
    })
}

#[test]
fn the_limit_of_redis_is_found_with_the_connections_of_others_and_all_are_closed() {
    let Some(server) = servers::redis(&["--maxclients", "100"]) else { return };
    let others: Vec<TcpStream> =
        (0..7).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    let options = |pool: u32| {
        format!(
            "target: false, drill: true, endpoints: {{ redis: 'redis://127.0.0.1:{}' }}, \
             demand: [ {{ service: shop, to: redis, pool: {pool} }} ]",
            server.port
        )
    };
    let (findings, shown) = rehearse(STAGE, &options(20));
    let limit = found(&findings, "connections", "redis");
    assert_eq!(limit["title"], "redis admits 100 connections, and no more", "{shown}");
    let evidence = limit["evidence"].to_string();
    assert!(evidence.contains("93 were held here, 7 by others"), "{evidence}");
    assert!(evidence.contains("confirmed 3 of 3"), "{evidence}");
    assert_eq!(found(&findings, "connection-demand", "redis")["outcome"], "pass", "{shown}");
    assert_eq!(found(&findings, "lazy-pools", "redis: 20 of 20")["outcome"], "pass", "{shown}");
    assert!(falls_to(server.port, 8), "{} are left", connected(server.port));

    let (findings, shown) = rehearse(STAGE, &options(60));
    assert_eq!(found(&findings, "connection-demand", "redis")["outcome"], "fail", "{shown}");
    assert_eq!(found(&findings, "lazy-pools", "redis: 60 of 60")["outcome"], "pass", "{shown}");
    let both = found(&findings, "lazy-pools", "redis: 93 of 120");
    assert_eq!(both["outcome"], "fail", "{shown}");
    assert!(both["evidence"].to_string().contains("27 told so"), "{both}");
    drop(others);
}

/// Starts a search on Redis, and waits until it holds some connections.
fn searching(server: &servers::Server, folder: &Path) -> Child {
    let endpoint = format!("endpoints: {{ redis: 'redis://127.0.0.1:{}' }}", server.port);
    scenario(folder, STAGE, &format!("target: false, {endpoint}"));
    let run = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .args(["run", "s.yaml", "--quiet"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let rose = (0..1_500).any(|_| {
        pause();
        connected(server.port) > 50
    });
    assert!(rose, "nothing was opened");
    run
}

#[test]
fn connections_end_with_a_process_that_is_killed() {
    let Some(server) = servers::redis(&["--maxclients", "9000"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut run = searching(&server, folder.path());
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(falls_to(server.port, 1), "{} are left", connected(server.port));
}

/// What a dead server refuses is no limit.
#[test]
fn a_server_that_dies_in_the_search_has_no_known_limit() {
    let Some(mut server) = servers::redis(&["--maxclients", "9000"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut run = searching(&server, folder.path());
    server.kill();
    assert_eq!(run.wait().unwrap().code(), Some(98), "nothing is known of what was asked for");
    let report = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap();
    let report = fs::read_to_string(report.path().join("run.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let limit = found(report["findings"].as_array().unwrap(), "connections", "redis");
    assert_eq!(limit["outcome"], "unknown", "{limit:#}");
    assert!(limit["title"].as_str().unwrap().contains("went away"), "{limit:#}");
}

#[test]
fn a_search_that_is_interrupted_ends_soon_and_holds_nothing() {
    let Some(server) = servers::redis(&["--maxclients", "9000"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut run = searching(&server, folder.path());
    let asked = Command::new("kill").args(["-INT", &run.id().to_string()]).status();
    assert!(asked.unwrap().success());
    // A second and the cleaning, on a machine that may be busy.
    let code = (0..500).find_map(|_| {
        pause();
        run.try_wait().unwrap()
    });
    run.kill().ok();
    assert_eq!(code.and_then(|code| code.code()), Some(105));
    assert!(falls_to(server.port, 1), "{} are left", connected(server.port));
}

#[test]
fn the_limits_of_mariadb_and_postgres_are_found() {
    let mariadb = servers::mariadb(&["--max-connections=20"]);
    let postgres = servers::postgres(&["max_connections=20", "superuser_reserved_connections=3"]);
    let (Some(mariadb), Some(postgres)) = (mariadb, postgres) else { return };
    let options = format!(
        "target: false, endpoints: {{ my: 'mysql://root@127.0.0.1:{}', \
         pg: 'postgres://postgres@127.0.0.1:{}/postgres' }}",
        mariadb.port, postgres.port
    );
    let (findings, shown) = rehearse(STAGE, &options);
    // Root has one more than the others.
    let my = found(&findings, "connections", "my");
    assert_eq!(my["title"], "my admits 21 connections, and no more", "{shown}");
    assert!(my["evidence"].to_string().contains("its limit is 20"), "{my}");
    assert!(my["evidence"].to_string().contains("error 1040"), "{my}");
    let pg = found(&findings, "connections", "pg");
    assert_eq!(pg["title"], "pg admits 20 connections, and no more", "{shown}");
    assert!(pg["evidence"].to_string().contains("SQLSTATE 53300"), "{pg}");
}

#[test]
fn the_limit_of_nginx_is_what_its_listener_and_its_channel_leave() {
    let web = |port: u16, _: &Path| format!("server {{ listen 127.0.0.1:{port}; }}");
    let Some(server) = servers::nginx("worker_processes 1;", "worker_connections 64;", web) else {
        return;
    };
    let target =
        format!("target: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}", server.port);
    let (findings, shown) = rehearse(&target, "max: 500");
    let limit = found(&findings, "connections", "target");
    assert_eq!(limit["title"], "target admits 62 connections, and no more", "{shown}");
    let evidence = limit["evidence"].to_string();
    assert!(evidence.contains("closed without a byte"), "{evidence}");
    // It closes what is idle when it runs out, and nothing that is held is.
    assert!(!evidence.contains("that were held"), "{evidence}");
}

#[test]
fn a_queue_that_nobody_empties_holds_its_backlog_and_one() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(5).unwrap();
    let listener: TcpListener = socket.into();
    let port = listener.local_addr().unwrap().port();
    let options = format!("target: false, endpoints: {{ plain: 'tcp://127.0.0.1:{port}' }}");
    let (findings, shown) = rehearse(STAGE, &options);
    let limit = found(&findings, "connections", "plain");
    assert_eq!(limit["title"], "plain admits 6 connections, and no more", "{shown}");
    assert!(limit["evidence"].to_string().contains("connecting hung"), "{limit}");
}

fn stage_with_limit(beyond: &str) -> String {
    format!("{STAGE}\nstage: {{ connection_limit: {{ max: 40, beyond: {beyond} }} }}")
}

#[test]
fn the_limit_of_a_stage_that_says_so_is_found() {
    let (findings, shown) = rehearse(&stage_with_limit("banner"), "max: 500");
    let limit = found(&findings, "connections", "target");
    assert_eq!(limit["title"], "target admits 40 connections, and no more", "{shown}");
    assert!(limit["evidence"].to_string().contains("39 of 39 were opened and served"), "{limit}");
}

#[test]
fn the_limit_of_a_stage_that_stops_accepting_is_found() {
    let (findings, shown) = rehearse(&stage_with_limit("stop-accepting"), "max: 500");
    let limit = found(&findings, "connections", "target");
    assert_eq!(limit["title"], "target admits 40 connections, and no more", "{shown}");
}

#[test]
fn a_stage_without_a_limit_has_none_up_to_the_most_that_is_asked_for() {
    let (findings, shown) = rehearse(STAGE, "max: 100");
    let limit = found(&findings, "connections", "target");
    assert_eq!(limit["title"], "target has no limit up to 100 connections", "{shown}");
    assert_eq!(limit["outcome"], "pass", "{shown}");
}

#[test]
fn a_search_that_takes_longer_than_it_may_knows_no_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Everybody is accepted; a second is too short for that many.
    thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            kept.push(stream);
        }
    });
    let endpoint = format!("endpoints: {{ plain: 'tcp://127.0.0.1:{port}' }}");
    let options = format!("target: false, {endpoint}, max: 19000, within: 1s");
    let (findings, shown) = rehearse(STAGE, &options);
    let limit = found(&findings, "connections", "plain");
    assert_eq!(limit["outcome"], "unknown", "{shown}");
    assert!(limit["title"].as_str().unwrap().contains("took too long"), "{limit}");
}

#[test]
fn an_endpoint_that_closes_its_oldest_connections_has_no_certain_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut kept = VecDeque::new();
        while let Ok((stream, _)) = listener.accept() {
            kept.push_back(stream);
            if kept.len() > 50 {
                kept.pop_front();
            }
        }
    });
    let endpoint = format!("endpoints: {{ plain: 'tcp://127.0.0.1:{port}' }}");
    let demand = "demand: [ { service: shop, to: plain, pool: 5000 } ]";
    let options = format!("target: false, {endpoint}, {demand}, max: 500, within: 4s");
    let (findings, shown) = rehearse(STAGE, &options);
    let limit = found(&findings, "connections", "plain");
    assert_eq!(limit["outcome"], "unknown", "{shown}");
    assert!(limit["evidence"].to_string().contains("that were held"), "{limit}");
    assert_eq!(found(&findings, "connection-demand", "plain")["outcome"], "unknown", "{shown}");
}

#[test]
fn a_burst_that_overflows_the_queue_is_told_by_its_repeated_connects() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(15).unwrap();
    let listener: TcpListener = socket.into();
    let port = listener.local_addr().unwrap().port();
    // Everybody who waits is accepted, but only now and then.
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        loop {
            (0..20).for_each(|_| pause());
            while let Ok((stream, _)) = listener.accept() {
                kept.push(stream);
            }
        }
    });
    let endpoint = format!("endpoints: {{ plain: 'tcp://127.0.0.1:{port}' }}");
    let (findings, shown) = rehearse(STAGE, &format!("target: false, {endpoint}, max: 60"));
    let limit = found(&findings, "connections", "plain");
    assert_eq!(limit["title"], "plain has no limit up to 60 connections", "{shown}");
    let evidence = limit["evidence"].to_string();
    assert!(evidence.contains("connects at once, "), "{evidence}");
    assert!(evidence.contains("were repeated after 1 s"), "{evidence}");
}

#[test]
fn the_limit_of_redis_by_open_files_is_found() {
    // It keeps 32 for itself.
    let Some(server) = servers::redis_with_files(132) else { return };
    let endpoint = format!("endpoints: {{ redis: 'redis://127.0.0.1:{}' }}", server.port);
    let (findings, shown) = rehearse(STAGE, &format!("target: false, {endpoint}"));
    let limit = found(&findings, "connections", "redis");
    assert_eq!(limit["title"], "redis admits 100 connections, and no more", "{shown}");
}

#[test]
fn the_limit_of_mariadb_for_a_plain_user_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init.sql");
    fs::write(&init, "CREATE USER shop@'%' IDENTIFIED BY 's3cret';\n").unwrap();
    let init = format!("--init-file={}", init.display());
    let Some(server) = servers::mariadb(&["--max-connections=20", &init]) else { return };
    let endpoint = format!("endpoints: {{ my: 'mysql://shop:s3cret@127.0.0.1:{}' }}", server.port);
    let (findings, shown) = rehearse(STAGE, &format!("target: false, {endpoint}"));
    let limit = found(&findings, "connections", "my");
    assert_eq!(limit["title"], "my admits 20 connections, and no more", "{shown}");
    let evidence = limit["evidence"].to_string();
    assert!(evidence.contains("whether connects were repeated is not known"), "{evidence}");
    assert!(!format!("{shown}{findings:?}").contains("s3cret"), "{shown}");
}

#[test]
fn the_limit_of_postgres_for_a_plain_user_leaves_out_what_is_reserved() {
    let settings = ["max_connections=20", "superuser_reserved_connections=3"];
    let Some(server) = servers::postgres(&settings) else { return };
    let Some(psql) = program_at(Path::new("/usr/lib/postgresql/15/bin/psql")) else { return };
    let made = Command::new(psql)
        .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &server.port.to_string()])
        .args(["-c", "CREATE ROLE shop LOGIN"])
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let endpoint =
        format!("endpoints: {{ pg: 'postgres://shop@127.0.0.1:{}/postgres' }}", server.port);
    let (findings, shown) = rehearse(STAGE, &format!("target: false, {endpoint}"));
    let limit = found(&findings, "connections", "pg");
    assert_eq!(limit["title"], "pg admits 17 connections, and no more", "{shown}");
    assert!(limit["evidence"].to_string().contains("of which 3 are for administrators"), "{limit}");
}

#[test]
fn an_endpoint_that_cannot_be_used_is_unknown_and_its_password_is_not_told() {
    let Some(server) = servers::redis(&[]) else { return };
    let free = servers::free_port();
    let options = format!(
        "target: false, endpoints: {{ wrong: 'redis://:s3cret@127.0.0.1:{}', \
         gone: 'tcp://127.0.0.1:{free}', foreign: 'redis://192.0.2.1' }}",
        server.port
    );
    let (findings, shown) = rehearse(STAGE, &options);
    for (name, why) in
        [("wrong", "denies access"), ("gone", "nobody listens"), ("foreign", "is not allowed")]
    {
        let unknown = found(&findings, "connections", name);
        assert_eq!(unknown["outcome"], "unknown", "{shown}");
        assert!(unknown["title"].as_str().unwrap().contains(why), "{unknown}");
    }
    assert!(!format!("{shown}{findings:?}").contains("s3cret"), "{shown}");
}
