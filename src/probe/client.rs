//! A probe's connection, whatever is spoken on it, and why there is none.

use std::io;
use std::net::SocketAddr;

use crate::probe::command::Shell;
use crate::probe::host::Host;
use crate::probe::log::{LogCommand, LogFile};
use crate::probe::memcached::Memcached;
use crate::probe::mysql::Mysql;
use crate::probe::postgres::Postgres;
use crate::probe::prometheus::Page;
use crate::probe::record::Readings;
use crate::probe::redis::Redis;
use crate::recording::Servers;
use crate::scenario::endpoint::Service;
use crate::scenario::watch::{LogSource, Watch, Watched};

/// Why a look failed, in our own words: what a server says may repeat a password.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// To try again would only lock an account.
    pub(crate) is_final: bool,
}

impl Failure {
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }

    pub(crate) fn refused_user() -> Self {
        Self { reason: "the server refuses the user or the password".to_owned(), is_final: true }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::passing(error.kind().to_string())
    }
}

pub(crate) enum Client {
    Redis(Redis),
    Mysql(Box<Mysql>),
    Postgres(Postgres),
    Memcached(Memcached),
    Command(Shell),
    Page(Box<Page>),
    LogFile(LogFile),
    LogCommand(LogCommand),
    Host(Box<Host>),
}

impl Client {
    pub(crate) async fn open(watch: &Watch, servers: &Servers) -> Result<Self, Failure> {
        let (endpoint, series) = match &watch.what {
            Watched::Server(endpoint) => (endpoint, None),
            Watched::Prometheus { endpoint, series } => (endpoint, Some(series)),
            Watched::Command(command) => {
                let limit = watch.limit;
                return Ok(Self::Command(Shell { command: command.clone(), limit }));
            }
            Watched::Log { source: LogSource::File(path), matching } => {
                let opened = LogFile::open(path.clone(), matching.clone()).await?;
                return Ok(Self::LogFile(opened));
            }
            Watched::Log { source: LogSource::Command(command), matching } => {
                return Ok(Self::LogCommand(LogCommand::open(command, matching.clone())?));
            }
            Watched::Host(prefix) => return Ok(Self::Host(Box::new(Host::open(prefix)?))),
        };
        let resolved = endpoint.resolve(None, servers).await;
        let address: SocketAddr = resolved.map_err(|error| Failure::passing(error.to_string()))?;
        if let Some(series) = series {
            return Ok(Self::Page(Box::new(Page::open(endpoint, address, series)?)));
        }
        Ok(match endpoint.service {
            Service::Redis => Self::Redis(Redis::open(endpoint, address).await?),
            Service::Mysql => Self::Mysql(Box::new(Mysql::open(endpoint, address).await?)),
            Service::Postgres => Self::Postgres(Postgres::open(endpoint, address).await?),
            Service::Memcached => Self::Memcached(Memcached::open(address).await?),
            Service::Http | Service::Tcp => return Err(Failure::passing("it cannot be watched")),
        })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        match self {
            Self::Redis(client) => client.look().await,
            Self::Mysql(client) => client.look().await,
            Self::Postgres(client) => client.look().await,
            Self::Memcached(client) => client.look().await,
            Self::Command(client) => client.look().await,
            Self::Page(client) => client.look().await,
            Self::LogFile(client) => client.look().await,
            Self::LogCommand(client) => client.look().await,
            Self::Host(client) => client.look().await,
        }
    }

    /// It is kept where a look fails: it knows where it was.
    pub(crate) fn survives(&self) -> bool {
        matches!(self, Self::LogFile(file) if file.survives())
    }
}
