//! The replay against a real nginx, judged by nginx' own access log.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use crate::servers::{free_port, pause};
use crate::support::{peakhour, program};

/// Stops the server with its owner.
pub(crate) struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Starts nginx on a free port; its log has a line a request: connection, number on it, request.
pub(crate) fn start(folder: &Path) -> Option<(Nginx, u16)> {
    start_answering(folder, "$connection $connection_requests $request", "200 'served'")
}

/// The same with another line for each request, and another answer to all of them.
pub(crate) fn start_answering(folder: &Path, line: &str, answer: &str) -> Option<(Nginx, u16)> {
    let port = free_port();
    let at = folder.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{ client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; log_format seen '{line}';\n\
         server {{ listen 127.0.0.1:{port}; access_log {at}/access.log seen;\n\
         keepalive_requests 100000; location / {{ return {answer}; }} }} }}\n"
    );
    let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    Some((start_with(folder, &config, listens)?, port))
}

/// Starts nginx with a configuration, and waits until it listens.
pub(crate) fn start_with(folder: &Path, config: &str, listens: impl Fn() -> bool) -> Option<Nginx> {
    let nginx = program("nginx")?;
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let child = Command::new(nginx)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-p")
        .arg(folder)
        .spawn()
        .unwrap();
    let mut server = Nginx(child);
    for _ in 0..1_500 {
        if listens() {
            return Some(server);
        }
        let log = || fs::read_to_string(folder.join("error.log")).unwrap_or_default();
        assert!(server.0.try_wait().unwrap().is_none(), "nginx ended: {}", log());
        pause();
    }
    panic!("nginx does not listen");
}

#[test]
fn a_recording_made_on_18_connections_replays_on_18_connections() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = start(folder.path()) else { return };
    let lines: Vec<String> = (0..900)
        .map(|index| {
            let (at, connection) = (index * 5_000_000_u64, index % 18);
            format!(r#"{{"at_ns":{at},"connection":{connection},"method":"GET","#)
                + &format!(r#""authority":"production.example","target":"/item/{index}?a=b%20c"}}"#)
        })
        .collect();
    fs::write(folder.path().join("eighteen.jsonl"), lines.join("\n")).unwrap();
    let scenario = format!(
        "# Connections stay connections.\nname: eighteen\nrecording: eighteen.jsonl\n\
         tolerance: ci\ntarget: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}\n"
    );
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    drop(server);

    let log = fs::read_to_string(folder.path().join("access.log")).unwrap();
    let requests = log.lines().filter(|line| line.contains("GET /item/"));
    let seen: Vec<Vec<&str>> = requests.map(|line| line.split(' ').collect()).collect();
    let connections: BTreeSet<&str> = seen.iter().map(|fields| fields[0]).collect();
    assert_eq!(seen.len(), 900, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(connections.len(), 18, "nginx saw other connections than were recorded");
    for connection in connections {
        let on_it = seen.iter().filter(|fields| fields[0] == connection).count();
        assert_eq!(on_it, 50, "connection {connection}");
    }
    assert!(log.contains("GET /item/7?a=b%20c HTTP/1.1"), "the target as recorded");
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
}
