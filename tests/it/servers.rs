//! Real servers from Debian's packages, each on a free port with a folder of its own. They end
//! with their owner; nothing of the system's own servers is touched.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{program, program_at};

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    folder: TempDir,
}

impl Server {
    /// Its folder: data, sockets, logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..250 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            pause();
        }
        self.kill();
    }
}

/// redis-server with further arguments, such as `["--maxclients", "100"]`.
pub(crate) fn redis(arguments: &[&str]) -> Option<Server> {
    let program = program("redis-server")?;
    Some(start(|folder, port| {
        let mut command = Command::new(&program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(folder).args(arguments);
        (command, Ready::says(b"PING\r\n", b"+PONG"))
    }))
}

/// redis-server that may open so many files, and cannot raise that itself.
pub(crate) fn redis_with_files(files: u32) -> Option<Server> {
    let (server, prlimit) = (program("redis-server")?, program("prlimit")?);
    Some(start(|folder, port| {
        let mut command = Command::new(&prlimit);
        command.arg(format!("--nofile={files}:{files}"));
        command.args(["setpriv", "--bounding-set", "-sys_resource"]);
        command.args(["--inh-caps", "-sys_resource", "--"]).arg(&server);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(folder);
        (command, Ready::says(b"PING\r\n", b"+PONG"))
    }))
}

/// memcached with further arguments.
pub(crate) fn memcached(arguments: &[&str]) -> Option<Server> {
    let program = program("memcached")?;
    Some(start(|_, port| {
        let mut command = Command::new(&program);
        command.args(["-u", "root", "-l", "127.0.0.1", "-p", &port.to_string()]).args(arguments);
        (command, Ready::says(b"version\r\n", b"VERSION"))
    }))
}

/// MariaDB with further arguments, such as `["--max-connections=20"]`. `root` has no password.
pub(crate) fn mariadb(arguments: &[&str]) -> Option<Server> {
    let program = program("mariadbd")?;
    let data = mariadb_data()?;
    Some(start(|folder, port| {
        let copied = Command::new("cp").arg("-a").arg(&data).arg(folder.join("data")).status();
        assert!(copied.unwrap().success());
        let mut command = Command::new(&program);
        command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
        command.arg(format!("--port={port}")).arg("--skip-name-resolve");
        command.arg(format!("--datadir={}", folder.join("data").display()));
        command.arg(format!("--socket={}", folder.join("socket").display()));
        command.arg(format!("--pid-file={}", folder.join("pid").display()));
        command.arg(format!("--log-error={}", folder.join("error.log").display()));
        command.args(arguments);
        // Its greeting names its version.
        (command, Ready::says(b"", b"MariaDB"))
    }))
}

/// A fresh data folder, made once: it takes seconds.
fn mariadb_data() -> Option<PathBuf> {
    static DATA: OnceLock<Option<TempDir>> = OnceLock::new();
    let made = DATA.get_or_init(|| {
        let install = program("mariadb-install-db")?;
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new(install)
            .args(["--no-defaults", "--user=root", "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "mariadb-install-db failed");
        Some(folder)
    });
    made.as_ref().map(|folder| folder.path().join("data"))
}

/// PostgreSQL with settings such as `["max_connections=20"]`. `postgres` has no password.
pub(crate) fn postgres(settings: &[&str]) -> Option<Server> {
    let bin = Path::new("/usr/lib/postgresql/15/bin");
    let (server, init) = (program_at(&bin.join("postgres"))?, program_at(&bin.join("initdb"))?);
    Some(start(|folder, port| {
        let owner = Command::new("chown").arg("postgres").arg(folder).status();
        let is_root = owner.is_ok_and(|status| status.success());
        let data = folder.join("data");
        let mut made = as_postgres(is_root, &init);
        made.args(["-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "-D"]).arg(&data);
        let made = made.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(made.unwrap().success(), "initdb failed");
        let mut command = as_postgres(is_root, &server);
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]).current_dir(folder);
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
            .iter()
            .chain(settings)
        {
            command.args(["-c", setting]);
        }
        // It lets its user in once it serves; whether it encrypts it tells before it does.
        let hello = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";
        (command, Ready::says(hello, b"R\0\0\0\x08\0\0\0\0"))
    }))
}

/// PostgreSQL refuses to run as root.
fn as_postgres(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// nginx; `server` is what stands in `http {}` for a port and a folder, `main` before `events`.
pub(crate) fn nginx(
    main: &str,
    events: &str,
    server: impl Fn(u16, &Path) -> String,
) -> Option<Server> {
    let program = program("nginx")?;
    Some(start(|folder, port| {
        let at = folder.display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off; pid {at}/pid; error_log {at}/error.log; {main}\nevents {{ {events} }}\n\
             http {{ {paths} access_log off; {} }}\n",
            server(port, folder)
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new(&program);
        command.arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(folder);
        (command, Ready::Connects)
    }))
}

/// Prometheus, which takes what is written to it and scrapes nothing.
pub(crate) fn prometheus() -> Option<Server> {
    let program = program("prometheus")?;
    Some(start(|folder, port| {
        fs::write(folder.join("prometheus.yml"), "global: {}\n").unwrap();
        let mut command = Command::new(&program);
        command
            .args(["--config.file=prometheus.yml", "--web.enable-remote-write-receiver"])
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder);
        (command, Ready::says(b"GET /-/ready HTTP/1.0\r\n\r\n", b"HTTP/1.0 200"))
    }))
}

/// The test server of openssl, which answers each request with a page about its connection and
/// closes it.
pub(crate) fn openssl(arguments: &[&str]) -> Option<Server> {
    let program = program("openssl")?;
    Some(start(|folder, port| {
        certificate(&program, folder);
        let mut command = Command::new(&program);
        command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www"]);
        command.args(["-key", "key.pem", "-cert", "certificate.pem"]).args(arguments);
        command.current_dir(folder);
        (command, Ready::Connects)
    }))
}

/// Makes `key.pem` and `certificate.pem`.
pub(crate) fn certificate(openssl: &Path, folder: &Path) {
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=shop.example"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success(), "no certificate");
}

/// How to tell that a server serves.
enum Ready {
    Connects,
    Says { ask: Vec<u8>, answer: Vec<u8> },
}

impl Ready {
    fn says(ask: &[u8], answer: &[u8]) -> Self {
        Self::Says { ask: ask.to_vec(), answer: answer.to_vec() }
    }

    fn is_ready(&self, port: u16) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        let Self::Says { ask, answer } = self else { return true };
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut said = [0; 256];
        let count = stream.write_all(ask).and_then(|()| stream.read(&mut said)).unwrap_or(0);
        said[..count].windows(answer.len()).any(|window| window == answer)
    }
}

fn start(command: impl Fn(&Path, u16) -> (Command, Ready)) -> Server {
    // A port may be taken between its choice and its use: then there are others.
    for _ in 0..5 {
        match start_at(free_port(), &command) {
            Ok(server) => return server,
            Err(log) => assert!(is_taken(&log), "the server ended: {log}"),
        }
    }
    panic!("five free ports were taken");
}

/// Starts the server at this port; what it wrote if it ended.
fn start_at(port: u16, command: impl Fn(&Path, u16) -> (Command, Ready)) -> Result<Server, String> {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, ready) = command(folder.path(), port);
    let log = fs::File::create(folder.path().join("output.log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let child = command.spawn().unwrap();
    let mut server = Server { child, port, folder };
    for _ in 0..1_500 {
        if ready.is_ready(port) {
            return Ok(server);
        }
        if server.child.try_wait().unwrap().is_some() {
            let read = |name| fs::read_to_string(server.folder().join(name)).unwrap_or_default();
            return Err(format!("{command:?} {}{}", read("output.log"), read("error.log")));
        }
        pause();
    }
    panic!("{command:?} does not answer");
}

/// Whether a server that wrote this ended since its port was taken.
fn is_taken(log: &str) -> bool {
    log.to_lowercase().contains("address already in use")
}

/// A port where nobody listened a moment ago, each time another one. It lies below those that Linux
/// gives to connections (32 768 and above), of which other tests open thousands: a port of those is
/// soon taken. And so does the bus of a Redis cluster, 10 000 above it.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const PORTS: Range<u32> = 11_000..21_000;
    let count = PORTS.end - PORTS.start;
    // Tests of another process at the same time begin elsewhere.
    let first = process::id().wrapping_mul(1_009);
    for _ in PORTS {
        let turn = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_add(turn) % count;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Waits 20 ms.
pub(crate) fn pause() {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(Duration::from_millis(20));
}

#[test]
fn every_server_starts_and_ends() {
    let servers = [redis(&[]), memcached(&[]), mariadb(&[]), postgres(&[])];
    let web = |port: u16, _: &Path| format!("server {{ listen 127.0.0.1:{port}; }}");
    let servers = servers.into_iter().chain([nginx("", "", web)]);
    let ports: Vec<u16> = servers.flatten().map(|server| server.port).collect();
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it still listens at {port}");
    }
}

/// What each server says of a port that another one has.
#[test]
fn a_taken_port_is_told_as_that() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ended = |command: &dyn Fn(&Path, u16) -> (Command, Ready)| start_at(port, command).err();
    let programs = ["redis-server", "memcached", "nginx"].map(program);
    let [Some(redis), Some(memcached), Some(nginx)] = programs else { return };
    let never = || Ready::says(b"", b"never");
    let said = [
        ended(&|_, port| {
            let mut command = Command::new(&redis);
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
            (command, never())
        }),
        ended(&|_, port| {
            let mut command = Command::new(&memcached);
            command.args(["-u", "root", "-l", "127.0.0.1", "-p", &port.to_string()]);
            (command, never())
        }),
        ended(&|folder, port| {
            let config = format!(
                "daemon off; pid {0}/pid; error_log {0}/error.log;\nevents {{ }}\n\
                 http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}\n",
                folder.display()
            );
            fs::write(folder.join("nginx.conf"), config).unwrap();
            let mut command = Command::new(&nginx);
            command.arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(folder);
            (command, never())
        }),
    ];
    for log in said {
        assert!(log.as_deref().is_some_and(is_taken), "{log:?}");
    }
}
