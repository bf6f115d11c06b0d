//! Redis: `INFO` and what `CONFIG GET maxclients` adds where it may be asked.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::probe::client::Failure;
use crate::probe::memcached::readings;
use crate::probe::record::{Readings, SeriesKind};
use crate::scenario::endpoint::Endpoint;

pub(crate) struct Redis {
    stream: BufStream<TcpStream>,
}

/// All that is ever sent: nothing that changes anything.
const READ_ONLY: [&str; 5] = ["AUTH", "INFO", "CONFIG GET", "SLOWLOG LEN", "LATENCY LATEST"];

/// Most bytes of one answer.
const MAX_ANSWER: u64 = 1 << 20;

enum Reply {
    Text(String),
    List(Vec<String>),
    Error(String),
}

impl Redis {
    pub(crate) async fn open(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Failure> {
        let mut redis = Self { stream: BufStream::new(TcpStream::connect(address).await?) };
        if let Some(password) = &endpoint.password {
            let mut words = vec!["AUTH"];
            words.extend(endpoint.user.as_deref());
            words.push(password);
            if let Reply::Error(code) = redis.ask(&words).await? {
                return Err(refused(&code));
            }
        }
        Ok(redis)
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        let info = match self.ask(&["INFO"]).await? {
            Reply::Text(info) => info,
            Reply::Error(code) => return Err(refused(&code)),
            Reply::List(_) => return Err(Failure::passing("the answer is not Redis'")),
        };
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        let mut answer: BTreeMap<String, String> =
            lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        // Managed servers have no CONFIG; newer ones tell the limit in INFO as well.
        if let Reply::List(pair) = self.ask(&["CONFIG", "GET", "maxclients"]).await?
            && let [_, limit] = pair.as_slice()
        {
            answer.insert("maxclients".to_owned(), limit.clone());
        }
        if let Reply::Text(length) = self.ask(&["SLOWLOG", "LEN"]).await? {
            answer.insert("slowlog_len".to_owned(), length);
        }
        // Where it may not be asked, or is not monitored, there is none.
        if let Reply::List(words) = self.ask(&["LATENCY", "LATEST"]).await? {
            // An event is its name, a moment, and the latest and the largest latency.
            let largest = words.chunks_exact(4).filter_map(|event| event[3].parse::<u32>().ok());
            let largest = largest.max().unwrap_or(0);
            answer.insert("largest_latency_ms".to_owned(), largest.to_string());
        }
        let mut limits = vec![("connected_clients", "maxclients")];
        // A cache that evicts is meant to be full.
        if answer.get("maxmemory_policy").is_some_and(|policy| policy == "noeviction") {
            limits.push(("used_memory", "maxmemory"));
        }
        let mut readings = readings(&answer, METRICS, &limits);
        if !answer.contains_key("maxclients") {
            let reason = "not known: neither CONFIG nor INFO tells it".to_owned();
            readings.facts.push(("maxclients", reason));
        }
        if readings.values.is_empty() {
            return Err(Failure::passing("the answer is not Redis'"));
        }
        Ok(readings)
    }

    async fn ask(&mut self, words: &[&str]) -> Result<Reply, Failure> {
        let is_known =
            |known: &str| known.split(' ').eq(words.iter().copied().take(known.split(' ').count()));
        if !READ_ONLY.iter().any(|known| is_known(known)) {
            return Err(Failure::passing("this command is not read-only"));
        }
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            // Writing to a string cannot fail.
            let _ = write!(request, "${}\r\n{word}\r\n", word.len());
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let mut answer = (&mut self.stream).take(MAX_ANSWER);
        let line = line(&mut answer).await?;
        let count = |text: &str| text.parse::<usize>().map_err(|_| foreign());
        match line.split_at_checked(1) {
            Some(("+" | ":", text)) => Ok(Reply::Text(text.to_owned())),
            Some(("-", text)) => Ok(Reply::Error(text.to_owned())),
            Some(("$", length)) => Ok(Reply::Text(bulk(&mut answer, count(length)?).await?)),
            Some(("*", length)) => Ok(Reply::List(list(&mut answer, count(length)?).await?)),
            _ => Err(foreign()),
        }
    }
}

type Answer<'a> = tokio::io::Take<&'a mut BufStream<TcpStream>>;

async fn line(answer: &mut Answer<'_>) -> Result<String, Failure> {
    let mut line = String::new();
    answer.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::passing("the connection was closed, or the answer is endless")),
    }
}

/// The words of a list, those of lists in it in their place. What was read so far bounds it.
async fn list(answer: &mut Answer<'_>, count: usize) -> Result<Vec<String>, Failure> {
    let (mut words, mut left) = (Vec::new(), count);
    while left > 0 {
        left -= 1;
        let head = line(answer).await?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| foreign());
        match head.split_at_checked(1) {
            Some(("$", length)) => words.push(bulk(answer, number(length)?).await?),
            Some((":" | "+", text)) => words.push(text.to_owned()),
            Some(("*", more)) => left = left.saturating_add(number(more)?),
            _ => return Err(foreign()),
        }
    }
    Ok(words)
}

async fn bulk(answer: &mut Answer<'_>, length: usize) -> Result<String, Failure> {
    if length as u64 + 2 > answer.limit() {
        return Err(Failure::passing("the answer is too large"));
    }
    let mut bytes = vec![0; length + 2];
    answer.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn foreign() -> Failure {
    Failure::passing("the answer is not Redis'")
}

/// What a server says may repeat what it was sent: only its first word is looked at.
fn refused(error: &str) -> Failure {
    match error.split(' ').next() {
        Some("NOAUTH" | "WRONGPASS") => Failure::refused_user(),
        Some("NOPERM") => Failure::passing("the user may not ask for INFO"),
        Some("LOADING") => Failure::passing("the server is loading its data"),
        _ if error.contains("max number of clients") => Failure::passing("too many connections"),
        _ => Failure::passing("the server answers with an error"),
    }
}

const METRICS: &[(&str, SeriesKind, &str)] = &[
    ("connected_clients", SeriesKind::Gauge, "connections"),
    ("blocked_clients", SeriesKind::Gauge, "connections"),
    ("used_memory", SeriesKind::Gauge, "bytes"),
    ("slowlog_len", SeriesKind::Gauge, ""),
    ("largest_latency_ms", SeriesKind::Gauge, "ms"),
    ("rejected_connections", SeriesKind::Counter, ""),
    ("evicted_keys", SeriesKind::Counter, ""),
    ("keyspace_hits", SeriesKind::Counter, ""),
    ("keyspace_misses", SeriesKind::Counter, ""),
    ("total_commands_processed", SeriesKind::Counter, ""),
];
