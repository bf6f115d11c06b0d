//! memcached: `stats`, in its text protocol.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::probe::client::Failure;
use crate::probe::record::{Readings, SeriesKind};

pub(crate) struct Memcached {
    stream: BufStream<TcpStream>,
}

/// Most bytes of one answer.
const MAX_ANSWER: u64 = 256 << 10;

impl Memcached {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        Ok(Self { stream: BufStream::new(TcpStream::connect(address).await?) })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        self.stream.write_all(b"stats\r\n").await?;
        self.stream.flush().await?;
        let mut answer = (&mut self.stream).take(MAX_ANSWER);
        let (mut stats, mut line) = (BTreeMap::new(), String::new());
        loop {
            line.clear();
            if answer.read_line(&mut line).await? == 0 {
                return Err(Failure::passing(
                    "the connection was closed, or the answer is endless",
                ));
            }
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("END"), ..) => break,
                (Some("STAT"), Some(name), Some(value)) => {
                    stats.insert(name.to_owned(), value.to_owned());
                }
                _ => return Err(Failure::passing("the answer is not memcached's")),
            }
        }
        Ok(readings(&stats, METRICS, &[("curr_connections", "max_connections")]))
    }
}

const METRICS: &[(&str, SeriesKind, &str)] = &[
    ("curr_connections", SeriesKind::Gauge, "connections"),
    ("get_hits", SeriesKind::Counter, ""),
    ("get_misses", SeriesKind::Counter, ""),
    ("evictions", SeriesKind::Counter, ""),
    ("listen_disabled_num", SeriesKind::Counter, ""),
    ("bytes", SeriesKind::Gauge, "bytes"),
];

/// The figures of a table that a server's answer has, with the limits it names.
pub(super) fn readings(
    answer: &BTreeMap<String, String>,
    metrics: &[(&'static str, SeriesKind, &'static str)],
    limits: &[(&'static str, &str)],
) -> Readings {
    let number = |name: &str| answer.get(name).and_then(|value| value.parse::<f64>().ok());
    let values = metrics.iter().filter_map(|&(metric, kind, unit)| {
        number(metric).map(|value| (metric.into(), kind, unit, value))
    });
    let limits = limits.iter().filter_map(|&(metric, of)| number(of).map(|limit| (metric, limit)));
    Readings { values: values.collect(), limits: limits.collect(), facts: Vec::new() }
}
