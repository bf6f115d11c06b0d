//! Where a dependency listens, as a URL: `redis://user:password@host:6379/0`.

use std::fmt;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recording::Servers;
use crate::scenario::TargetSpec;
use crate::scenario::fields;
use crate::scenario::hosts::split_host_port;
use crate::scenario::problem::{Mistake, crop};
use crate::scenario::target::{TargetError, resolve};

/// What is spoken at an endpoint.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// HTTP/1.
    Http,
    /// Redis, Valkey and whatever else speaks RESP.
    Redis,
    /// MySQL and MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
    /// memcached, in its text protocol.
    Memcached,
    /// Bytes over TCP, of no known protocol.
    Tcp,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Http, Self::Redis, Self::Mysql, Self::Postgres, Self::Memcached, Self::Tcp];

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Redis => "redis",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
            Self::Memcached => "memcached",
            Self::Tcp => "tcp",
        }
    }

    /// The port where a URL names none.
    fn port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Redis => Some(6379),
            Self::Mysql => Some(3306),
            Self::Postgres => Some(5432),
            Self::Memcached => Some(11211),
            Self::Tcp => None,
        }
    }
}

/// A dependency's address with its credentials. Neither `Debug` nor `Display` tells the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken there.
    pub service: Service,
    /// Host name or address literal, lower case, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User, where the URL names one.
    pub user: Option<String>,
    /// Password, where the URL has one.
    pub password: Option<String>,
    /// What follows the authority, without its first slash: a database, or a path.
    pub path: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{}://{host}:{}", self.service.scheme(), self.port)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Endpoint {
    /// Reads a URL whose `${NAME}` are already replaced.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        const HINT: &str = "write a URL such as `redis://127.0.0.1:6379`, \
                            `mysql://probe:${PASSWORD}@db.example:3306/shop`, \
                            `postgres://probe@127.0.0.1/shop`, `memcached://127.0.0.1`, \
                            `http://127.0.0.1:8080` or `tcp://127.0.0.1:7000`";
        // A URL may hold a password: no message repeats what stands in it.
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Mistake::new("this is not the URL of a dependency", HINT));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "postgresql" => "postgres".to_owned(),
            "mariadb" => "mysql".to_owned(),
            other => other.to_owned(),
        };
        let Some(service) = Service::ALL.into_iter().find(|each| each.scheme() == scheme) else {
            let message = format!("unknown scheme `{}`", crop(&scheme));
            return Err(Mistake::new(message, HINT));
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user_info, address) = match authority.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, authority),
        };
        let Some((host, port)) = split_host_port(&address.to_ascii_lowercase()) else {
            return Err(Mistake::new("there is no host and port in this URL", HINT));
        };
        let Some(port) = port.or(service.port()) else {
            return Err(Mistake::new("there is no port in this URL", HINT));
        };
        let (user, password) =
            match user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
                Some((user, password)) => (given(user)?, given(password)?),
                None => (None, None),
            };
        let path = path.strip_prefix('/').unwrap_or(path).to_owned();
        Ok(Self { service, host, port, user, password, path })
    }

    /// Reads a URL of a scenario, whose `${NAME}` come from the environment.
    pub(crate) fn read(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistake> {
        Self::parse(&fields::header_value(text, environment)?)
    }

    /// The address to connect to, once for the whole run; never one of the recording's servers.
    /// `allow` lists the hosts that may be put under load. Where `allow` is `None` the endpoint is
    /// only watched, and to name it is leave enough.
    pub async fn resolve(
        &self,
        allow: Option<&[String]>,
        servers: &Servers,
    ) -> Result<SocketAddr, TargetError> {
        let spec = TargetSpec::Http { host: self.host.clone(), port: self.port, tls: None };
        let own = [self.host.clone()];
        let target = resolve(&spec, allow.unwrap_or(&own), servers, None).await?;
        Ok(target.address)
    }
}

/// A part of the user information, its percent escapes undone; `None` when it is empty.
fn given(text: &str) -> Result<Option<String>, Mistake> {
    let broken = || {
        Mistake::new(
            "a percent sign in the user or password is not followed by two hexadecimal digits",
            "write `%25` for a percent sign, `%40` for an `@`, `%3A` for a colon",
        )
    };
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or_else(broken)?);
    }
    let text = String::from_utf8(bytes).map_err(|_| broken())?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_service_address_user_and_path() {
        let all = Endpoint::parse("mysql://probe:s%3Acr%40t@DB.example:3307/shop").unwrap();
        assert_eq!(all.service, Service::Mysql);
        assert_eq!((all.host.as_str(), all.port), ("db.example", 3307));
        assert_eq!(all.user.as_deref(), Some("probe"));
        assert_eq!(all.password.as_deref(), Some("s:cr@t"));
        assert_eq!(all.path, "shop");
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379"),
            ("redis://:pw@127.0.0.1/2", "redis://127.0.0.1:6379"),
            ("postgresql://h/db", "postgres://h:5432"),
            ("mariadb://h", "mysql://h:3306"),
            ("memcached://h:1", "memcached://h:1"),
            ("http://h/metrics", "http://h:80"),
            ("tcp://[::1]:7000", "tcp://[::1]:7000"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn no_message_and_no_debug_tells_the_password() {
        for text in ["s3cret", "redis://u:s3cret@", "redis://u:s3cret%zz@h", "tcp://u:s3cret@h"] {
            let mistake = Endpoint::parse(text).unwrap_err();
            assert!(!mistake.to_string().contains("s3cret"), "{mistake}");
        }
        let endpoint = Endpoint::parse("redis://u:s3cret@h").unwrap();
        assert!(!format!("{endpoint} {endpoint:?}").contains("s3cret"));
        let environment = |name: &str| (name == "PW").then(|| "s3cret".to_owned());
        let endpoint = Endpoint::read("redis://u:${PW}@h", &environment).unwrap();
        assert_eq!(endpoint.password.as_deref(), Some("s3cret"));
    }
}
