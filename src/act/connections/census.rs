//! How many connections an endpoint counts itself, where its protocol tells.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::act::connections::door::ask;
use crate::act::connections::held::Held;

/// An endpoint's own count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Connections that count towards its limit, ours included.
    pub(super) connected: u64,
    /// What it says its limit is.
    pub(super) configured: Option<u64>,
    /// Of these, what only privileged users may have.
    pub(super) reserved: u64,
}

/// Longest wait for the count.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks on a held connection; `None` where the protocol does not tell, or it may not be asked.
pub(super) async fn count(held: &mut Held) -> Option<Census> {
    let counted = async {
        match held {
            Held::Redis(stream) => redis(stream).await,
            Held::Memcached(stream) => memcached(stream).await,
            Held::Mysql(connection) => {
                let (_, connected): (String, u64) = connection
                    .query_first("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
                    .await
                    .ok()??;
                let configured = connection.query_first("SELECT @@max_connections").await;
                Some(Census { connected, configured: configured.ok().flatten(), reserved: 0 })
            }
            Held::Postgres(client, _) => postgres(client).await,
            Held::Http(..) | Held::Tcp(_) => None,
        }
    };
    timeout(ANSWER, counted).await.ok().flatten()
}

async fn redis(stream: &TcpStream) -> Option<Census> {
    let clients = ask(stream, b"INFO clients\r\n", b"\r\n\r\n").await;
    let clients = info(&clients.ok()?);
    let replication = ask(stream, b"INFO replication\r\n", b"\r\n\r\n").await.ok();
    let replication = replication.map(|answer| info(&answer)).unwrap_or_default();
    let also = field(&clients, "cluster_connections:").unwrap_or(0)
        + field(&replication, "connected_slaves:").unwrap_or(0);
    Some(Census {
        connected: field(&clients, "connected_clients:")?.saturating_add(also),
        configured: field(&clients, "maxclients:"),
        reserved: 0,
    })
}

async fn memcached(stream: &TcpStream) -> Option<Census> {
    let answer = info(&ask(stream, b"stats\r\n", b"END\r\n").await.ok()?);
    // It keeps one for every listening socket, and one for itself.
    Some(Census {
        connected: field(&answer, "STAT curr_connections ")?,
        configured: field(&answer, "STAT max_connections "),
        reserved: 0,
    })
}

fn info(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

/// The number after a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

async fn postgres(client: &Client) -> Option<Census> {
    // What backends of other users do is hidden from plain ones, their kind included.
    const ASK: &str = "SELECT count(*), current_setting('max_connections'), \
                       current_setting('superuser_reserved_connections')::int + \
                       coalesce(current_setting('reserved_connections', true)::int, 0) \
                       FROM pg_stat_activity WHERE backend_type = 'client backend' OR \
                       (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)";
    let rows = client.simple_query(ASK).await.ok()?;
    let row = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })?;
    let number = |column: usize| row.get(column).and_then(|text| text.parse::<u64>().ok());
    Some(Census { connected: number(0)?, configured: number(1), reserved: number(2).unwrap_or(0) })
}
