//! Opens one connection, proves it alive in its protocol, and tells how it was turned away.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Conn, OptsBuilder};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::NoTls;

use crate::act::connections::held::Held;
use crate::act::connections::seen::Refusal;
use crate::drive::ports::Ports;
use crate::scenario::endpoint::{Endpoint, Service};
use crate::scenario::target::Target;

/// Longest wait for an answer on a connection that was admitted.
const ANSWER: Duration = Duration::from_secs(3);

/// An endpoint with all that is needed to be admitted.
pub(super) struct Door {
    pub(super) service: Service,
    /// Its URL without credentials.
    pub(super) shown: String,
    address: SocketAddr,
    words: Arc<Words>,
    ports: Arc<Ports>,
}

/// What is said to be admitted.
struct Words {
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    /// All of an HTTP request but its last line.
    request: Vec<u8>,
}

/// A try to open a connection.
pub(super) struct Attempt {
    /// Time until connected, or until that was given up; `None` where the protocol's own client
    /// connects.
    pub(super) connect: Option<Duration>,
    /// Time until admitted or turned away.
    pub(super) total: Duration,
    pub(super) outcome: Result<Held, Refusal>,
}

impl Door {
    /// The door of a dependency.
    pub(super) fn new(endpoint: &Endpoint, address: SocketAddr) -> Self {
        let host = endpoint.to_string();
        let host = host.rsplit("//").next().unwrap_or_default();
        let path = endpoint.path.as_str();
        let database = path.split('?').next().filter(|name| !name.is_empty());
        let words = Words {
            user: endpoint.user.clone(),
            password: endpoint.password.clone(),
            database: database.map(str::to_owned),
            request: request(host, path),
        };
        Self {
            service: endpoint.service,
            shown: endpoint.to_string(),
            address,
            words: Arc::new(words),
            ports: Arc::new(Ports::of_kernel()),
        }
    }

    /// The door of the scenario's target.
    pub(super) fn target(target: &Target) -> Self {
        let words = Words {
            user: None,
            password: None,
            database: None,
            request: request(&target.authority, ""),
        };
        Self {
            service: Service::Http,
            shown: format!("http://{}", target.authority),
            address: target.address,
            words: Arc::new(words),
            ports: Arc::new(Ports::of_kernel()),
        }
    }

    /// Tries to open a connection; `patience` is the longest wait for the connect alone.
    pub(super) fn open(
        &self,
        patience: Duration,
    ) -> impl Future<Output = Attempt> + Send + 'static {
        let (service, address) = (self.service, self.address);
        let (words, ports) = (Arc::clone(&self.words), Arc::clone(&self.ports));
        async move {
            let started = Instant::now();
            if service == Service::Mysql {
                let outcome = mysql(address, &words, started + patience + ANSWER).await;
                let total = started.elapsed();
                return Attempt { connect: None, total, outcome };
            }
            let stream = connect(&ports, address, started + patience).await;
            let connect = Some(started.elapsed());
            let outcome = match stream {
                Ok(stream) => {
                    let until = Instant::now() + ANSWER;
                    timeout_at(until, admitted(service, stream, &words))
                        .await
                        .unwrap_or(Err(Refusal::Silent))
                }
                Err(refusal) => Err(refusal),
            };
            Attempt { connect, total: started.elapsed(), outcome }
        }
    }
}

/// A request that is answered without a body. Its last line is sent only when it is to be answered:
/// a request under way keeps its connection in use, and no server closes it to make room.
fn request(host: &str, path: &str) -> Vec<u8> {
    let path: String = path.chars().filter(char::is_ascii_graphic).collect();
    format!("HEAD /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: peakhour\r\n").into_bytes()
}

async fn connect(ports: &Ports, address: SocketAddr, until: Instant) -> Result<TcpStream, Refusal> {
    let stream = match timeout_at(until, ports.connect(address)).await {
        Err(_) => return Err(Refusal::Hung),
        Ok(Err(error)) => return Err(not_connected(&error)),
        Ok(Ok(stream)) => stream,
    };
    stream.set_nodelay(true).ok(); // It fails only on a connection that is gone.
    Ok(stream)
}

/// What an error of connecting means.
fn not_connected(error: &io::Error) -> Refusal {
    const NO_FILES: [i32; 2] = [23, 24]; // ENFILE, EMFILE
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset, _) => Refusal::NoListener,
        (ErrorKind::TimedOut, _) => Refusal::Hung,
        (ErrorKind::AddrNotAvailable, _) => {
            Refusal::Local("this machine has no port left to connect from".to_owned())
        }
        (_, Some(code)) if NO_FILES.contains(&code) => {
            Refusal::Local("this machine has no file left to open".to_owned())
        }
        _ => Refusal::Local(format!("this machine cannot connect: {}", error.kind())),
    }
}

async fn admitted(service: Service, stream: TcpStream, words: &Words) -> Result<Held, Refusal> {
    match service {
        Service::Redis => redis(stream, words).await,
        Service::Memcached => {
            let answer = ask(&stream, b"version\r\n", b"\r\n").await?;
            if answer.starts_with(b"VERSION") {
                return Ok(Held::Memcached(stream));
            }
            Err(strange(&answer))
        }
        Service::Http => http(stream, &words.request).await,
        Service::Postgres => postgres(stream, words).await,
        // Connected by its own client, above.
        Service::Mysql => Err(Refusal::Denied("not connected".to_owned())),
        Service::Tcp => Ok(Held::Tcp(stream)),
    }
}

async fn redis(stream: TcpStream, words: &Words) -> Result<Held, Refusal> {
    if let Some(password) = &words.password {
        let mut parts = vec!["AUTH"];
        parts.extend(words.user.as_deref());
        parts.push(password);
        let mut command = format!("*{}\r\n", parts.len());
        for part in parts {
            command += "$";
            command += &part.len().to_string();
            command += "\r\n";
            command += part;
            command += "\r\n";
        }
        let answer = ask(&stream, command.as_bytes(), b"\r\n").await?;
        if !answer.starts_with(b"+") {
            return Err(redis_error(&answer));
        }
    }
    let answer = ask(&stream, b"PING\r\n", b"\r\n").await?;
    let is_alive = answer.starts_with(b"+") || answer.starts_with(b"-LOADING");
    if is_alive { Ok(Held::Redis(stream)) } else { Err(redis_error(&answer)) }
}

fn redis_error(answer: &[u8]) -> Refusal {
    match answer {
        _ if contains(answer, b"max number of clients") => {
            Refusal::Told("-ERR max number of clients reached".to_owned())
        }
        _ if [&b"-NOAUTH"[..], b"-WRONGPASS", b"-ERR", b"-NOPERM", b"-DENIED"]
            .iter()
            .any(|begin| answer.starts_with(begin)) =>
        {
            Refusal::Denied("it denies access: check user and password in its URL".to_owned())
        }
        _ => strange(answer),
    }
}

/// Bytes of another protocol; what they are is not repeated.
fn strange(answer: &[u8]) -> Refusal {
    if contains(answer, b"max number of clients") {
        return Refusal::Told("-ERR max number of clients reached".to_owned());
    }
    if contains(answer, b"oo many") {
        return Refusal::Told("too many connections".to_owned());
    }
    Refusal::Denied("it answers in another protocol: check the scheme of its URL".to_owned())
}

/// The second request begins with the first: a server that runs out of connections closes those
/// that wait for a request, so that there must be no moment without one.
async fn http(stream: TcpStream, request: &[u8]) -> Result<Held, Refusal> {
    let whole = [request, b"\r\n", request].concat();
    let answer = ask(&stream, &whole, b"\r\n\r\n").await?;
    if !answer.starts_with(b"HTTP/1.") {
        return Err(strange(&answer));
    }
    let status = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok());
    if let Some(status @ ("429" | "503")) = status {
        return Err(Refusal::Told(format!("status {status}")));
    }
    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let closes = head
        .lines()
        .any(|line| line.strip_prefix("connection:").is_some_and(|value| value.contains("close")));
    if closes || head.starts_with("http/1.0") {
        let why = "it closes every connection after its answer, so that none can be held";
        return Err(Refusal::Denied(why.to_owned()));
    }
    Ok(Held::Http(stream, request.into()))
}

/// Sends and reads until `end`, or as much as is worth reading. What was said before the other side
/// closed counts, also when sending failed: a banner is there all the same.
pub(super) async fn ask(
    stream: &TcpStream,
    question: &[u8],
    end: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let mut rest = question;
    while !rest.is_empty() {
        stream.writable().await.map_err(|_| Refusal::Closed)?;
        match stream.try_write(rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    let (mut said, mut buffer) = (Vec::new(), [0; 2_048]);
    while !contains(&said, end) && said.len() < MAX_ANSWER {
        stream.readable().await.map_err(|_| Refusal::Closed)?;
        match stream.try_read(&mut buffer) {
            Ok(count) if count > 0 => said.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ if said.is_empty() => return Err(Refusal::Closed),
            _ => break,
        }
    }
    Ok(said)
}

/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn postgres(stream: TcpStream, words: &Words) -> Result<Held, Refusal> {
    let mut config = tokio_postgres::Config::new();
    config.user(words.user.as_deref().unwrap_or("postgres")).application_name("peakhour");
    config.dbname(words.database.as_deref().unwrap_or("postgres"));
    if let Some(password) = &words.password {
        config.password(password);
    }
    match config.connect_raw(stream, NoTls).await {
        Ok((client, connection)) => {
            let driver = tokio::spawn(async move {
                // Its errors are seen by whoever asks the client.
                connection.await.ok();
            });
            Ok(Held::Postgres(client, driver))
        }
        Err(error) => Err(error.code().map_or(Refusal::Closed, |code| match code.code() {
            "53300" | "57P03" => Refusal::Told(format!("SQLSTATE {}", code.code())),
            code => Refusal::Denied(format!(
                "it denies access with SQLSTATE {code}: check user, password and database"
            )),
        })),
    }
}

async fn mysql(address: SocketAddr, words: &Words, until: Instant) -> Result<Held, Refusal> {
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(words.user.as_deref())
        .pass(words.password.as_deref())
        .db_name(words.database.as_deref())
        .prefer_socket(false)
        // Given, so that nobody asks for them.
        .max_allowed_packet(Some(1 << 20))
        .wait_timeout(Some(600));
    match timeout_at(until, Conn::new(options)).await {
        Err(_) => Err(Refusal::Silent),
        Ok(Ok(connection)) => Ok(Held::Mysql(Box::new(connection))),
        Ok(Err(mysql_async::Error::Server(error))) => Err(match error.code {
            1040 | 1203 => Refusal::Told(format!("error {}", error.code)),
            code => Refusal::Denied(format!(
                "it denies access with error {code}: check user, password and database"
            )),
        }),
        Ok(Err(mysql_async::Error::Io(mysql_async::IoError::Io(error)))) => {
            Err(match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => Refusal::Closed,
                _ => not_connected(&error),
            })
        }
        Ok(Err(_)) => Err(Refusal::Closed),
    }
}
