//! Messages as values: incremental parsers and writers without any I/O, shared by the readers of
//! captures and by the driver.

pub mod http1;
pub mod http2;
pub mod resp;
pub mod sql;
pub mod mysql;
pub mod postgres;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is spoken on a connection.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/0.9, 1.0 and 1.1 over a byte stream.
    Http1,
    /// HTTP/2, and SPDY before it: several exchanges at once on a connection.
    Http2,
    /// HTTP/3 over QUIC.
    Http3,
    /// Redis and its kin, in RESP.
    Redis,
    /// MySQL and `MariaDB`.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl Protocol {
    /// The name in the `protocol` column of a recording.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Http3 => "http3",
            Self::Redis => "redis",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// Commands are spoken, whose replies have no status.
    pub fn is_of_commands(self) -> bool {
        matches!(self, Self::Redis | Self::Mysql | Self::Postgres)
    }

    /// The protocol of a name in the `protocol` column.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Http1, Self::Http2, Self::Http3, Self::Redis, Self::Mysql, Self::Postgres];
        all.into_iter().find(|known| known.name() == name)
    }
}
