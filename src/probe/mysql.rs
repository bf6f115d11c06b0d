//! MySQL and MariaDB: global status and variables.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};

use crate::probe::client::Failure;
use crate::probe::memcached::readings;
use crate::probe::record::{Readings, SeriesKind};
use crate::scenario::endpoint::Endpoint;

pub(crate) struct Mysql {
    connection: Conn,
}

/// Largest packet that is accepted; all that is asked for fits many times.
const MAX_PACKET: usize = 1 << 20;

/// Most rows that are read of an answer.
const MAX_ROWS: usize = 1_000;

impl Mysql {
    pub(crate) async fn open(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Failure> {
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(endpoint.user.clone())
            .pass(endpoint.password.clone())
            .db_name(Some(endpoint.path.clone()).filter(|name| !name.is_empty()))
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(28_800));
        Ok(Self { connection: Conn::new(options).await? })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        let mut answer = BTreeMap::new();
        for question in ["SHOW GLOBAL STATUS", VARIABLES] {
            let mut rows = self.connection.query_iter(question).await?;
            let mut count = 0;
            while let Some(row) = rows.next().await? {
                count += 1;
                if count > MAX_ROWS {
                    return Err(Failure::passing("the answer is endless"));
                }
                if let Ok((name, value)) = mysql_async::from_row_opt::<(String, String)>(row) {
                    answer.insert(name, value);
                }
            }
        }
        let mut readings = readings(&answer, METRICS, &[("Threads_connected", "max_connections")]);
        if let Some(packet) = answer.remove("max_allowed_packet") {
            readings.facts.push(("max_allowed_packet", packet));
        }
        Ok(readings)
    }
}

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
                         ('max_connections', 'max_allowed_packet')";

const METRICS: &[(&str, SeriesKind, &str)] = &[
    ("Threads_connected", SeriesKind::Gauge, "connections"),
    ("Threads_running", SeriesKind::Gauge, "threads"),
    ("Max_used_connections", SeriesKind::Gauge, "connections"),
    ("Connections", SeriesKind::Counter, ""),
    ("Aborted_connects", SeriesKind::Counter, ""),
    ("Connection_errors_max_connections", SeriesKind::Counter, ""),
    ("Questions", SeriesKind::Counter, ""),
    ("Com_select", SeriesKind::Counter, ""),
    ("Slow_queries", SeriesKind::Counter, ""),
    ("Innodb_buffer_pool_reads", SeriesKind::Counter, ""),
    ("Innodb_buffer_pool_read_requests", SeriesKind::Counter, ""),
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(error) if matches!(error.code, 1044 | 1045 | 1698) => {
                Self::refused_user()
            }
            Error::Server(error) if error.code == 1040 => Self::passing("too many connections"),
            Error::Server(error) => Self::passing(format!("MySQL error {}", error.code)),
            Error::Io(mysql_async::IoError::Io(error)) => error.into(),
            _ => Self::passing("the answer is not MySQL's"),
        }
    }
}
