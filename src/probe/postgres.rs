//! PostgreSQL: who is connected, how many may be, and what the databases did.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use crate::probe::client::Failure;
use crate::probe::memcached::readings;
use crate::probe::record::{Readings, SeriesKind};
use crate::scenario::endpoint::Endpoint;

pub(crate) struct Postgres {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Postgres {
    pub(crate) async fn open(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        let user = endpoint.user.as_deref().unwrap_or("postgres");
        let path = endpoint.path.as_str();
        let mut config = Config::new();
        config.user(user).dbname(if path.is_empty() { user } else { path });
        config.application_name("peakhour");
        if let Some(password) = &endpoint.password {
            config.password(password);
        }
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { client, connection })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        let mut answer = BTreeMap::new();
        for message in self.client.simple_query(QUESTION).await? {
            if let SimpleQueryMessage::Row(row) = message
                && let (Some(name), Some(value)) = (row.try_get(0)?, row.try_get(1)?)
            {
                answer.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(readings(&answer, METRICS, &[("connections", "usable_connections")]))
    }
}

/// Superusers' own connections are no use to an application.
const QUESTION: &str = "\
    SELECT 'connections', count(*)::text FROM pg_stat_activity \
    WHERE backend_type = 'client backend' \
    UNION ALL SELECT replace(state, ' ', '_'), count(*)::text FROM pg_stat_activity \
    WHERE backend_type = 'client backend' AND state IS NOT NULL GROUP BY 1 \
    UNION ALL SELECT 'usable_connections', (current_setting('max_connections')::int \
    - current_setting('superuser_reserved_connections')::int)::text \
    UNION ALL SELECT 'blks_hit', sum(blks_hit)::text FROM pg_stat_database \
    UNION ALL SELECT 'blks_read', sum(blks_read)::text FROM pg_stat_database \
    UNION ALL SELECT 'deadlocks', sum(deadlocks)::text FROM pg_stat_database \
    UNION ALL SELECT 'xact_commit', sum(xact_commit)::text FROM pg_stat_database \
    UNION ALL SELECT 'xact_rollback', sum(xact_rollback)::text FROM pg_stat_database";

const METRICS: &[(&str, SeriesKind, &str)] = &[
    ("connections", SeriesKind::Gauge, "connections"),
    ("active", SeriesKind::Gauge, "connections"),
    ("idle", SeriesKind::Gauge, "connections"),
    ("idle_in_transaction", SeriesKind::Gauge, "connections"),
    ("blks_hit", SeriesKind::Counter, ""),
    ("blks_read", SeriesKind::Counter, ""),
    ("deadlocks", SeriesKind::Counter, ""),
    ("xact_commit", SeriesKind::Counter, ""),
    ("xact_rollback", SeriesKind::Counter, ""),
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Some(code) = error.code() else {
            return Self::passing("the connection was closed, or the answer is not PostgreSQL's");
        };
        if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION]
            .contains(code)
        {
            Self::refused_user()
        } else if *code == SqlState::TOO_MANY_CONNECTIONS {
            Self::passing("too many connections")
        } else {
            let plain: String = code.code().chars().filter(char::is_ascii_alphanumeric).collect();
            Self::passing(format!("PostgreSQL error {plain}"))
        }
    }
}
