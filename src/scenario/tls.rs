//! TLS to the target: what a scenario or a command line says of it, and what is made of that before
//! anything is sent.

mod sessions;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_yaml::Spanned;

use crate::record::join::HTTP1;
use crate::record::tls::{TlsError, Trust, to_server};
use crate::scenario::TargetSpec;
use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::mapped::MappedHost;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};
use crate::scenario::tls::sessions::Sessions;

/// How TLS is spoken to a target. Without anything said, its certificate must be for its host and
/// of an issuer whom this machine trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSpec {
    /// The only issuers that are trusted, in a PEM file.
    pub cacert: Option<PathBuf>,
    /// What the target is shown where it asks for a certificate.
    pub identity: Option<Identity>,
    /// Any certificate is taken.
    pub insecure: bool,
    /// The name that is asked for (SNI) and that the certificate must have, instead of the host.
    pub server_name: Option<ServerName<'static>>,
}

/// A client's certificate and its key, each in a PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, before those of its issuers.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// TLS, ready to be spoken: all files are read.
#[derive(Clone)]
pub struct Tls {
    /// What HTTP/1 is spoken inside of. All connections of a run share it, and so its sessions.
    pub config: Arc<ClientConfig>,
    /// What HTTP/2 is spoken inside of; it shares the sessions.
    pub http2: Arc<ClientConfig>,
    /// The same two for connections that were opened in full when they were recorded: no session
    /// is resumed, but theirs can be.
    pub in_full: [Arc<ClientConfig>; 2],
    /// The same two for connections that resumed a session when they were recorded.
    pub resuming: [Arc<ClientConfig>; 2],
    /// The name of the target.
    pub name: ServerName<'static>,
}

impl Tls {
    /// How a connection is opened that was `recorded` to have resumed a session, or not.
    pub fn config(&self, http2: bool, recorded: Option<bool>) -> &Arc<ClientConfig> {
        let [first, second] = match recorded {
            None => [&self.config, &self.http2],
            Some(false) => self.in_full.each_ref(),
            Some(true) => self.resuming.each_ref(),
        };
        if http2 { second } else { first }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// HTTP/2, as it is named in handshakes.
const HTTP2: &[u8] = b"h2";

/// Sessions kept to be resumed, by name of the server: a run has one. The library keeps eight
/// tickets of each and forgets the oldest.
const SESSIONS: usize = 8;

impl TlsSpec {
    /// Reads the files, to speak HTTP.
    pub fn ready(&self, host: &str) -> Result<Tls, TlsError> {
        self.ready_for([Some(HTTP1), Some(HTTP2)], host)
    }

    /// The same to speak what has no name in handshakes, such as Redis.
    pub fn ready_unnamed(&self, host: &str) -> Result<Tls, TlsError> {
        self.ready_for([None; 2], host)
    }

    fn ready_for(&self, protocols: [Option<&[u8]>; 2], host: &str) -> Result<Tls, TlsError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| TlsError::Name(host.to_owned()))?,
        };
        let trust = match &self.cacert {
            _ if self.insecure => Trust::Anyone,
            Some(path) => Trust::File(path),
            None => Trust::System,
        };
        let identity =
            self.identity.as_ref().map(|Identity { cert, key }| [Path::new(cert), Path::new(key)]);
        let config = to_server(trust, identity)?;
        // Clones share whom they trust and what they show, without which no session is resumed.
        let spoken = |resumption: Resumption| {
            protocols.map(|protocol| {
                let mut config = config.clone();
                config.resumption = resumption.clone();
                config.alpn_protocols = protocol.into_iter().map(<[u8]>::to_vec).collect();
                Arc::new(config)
            })
        };
        let [first, http2] = spoken(Resumption::in_memory_sessions(SESSIONS));
        let [in_full, resuming] =
            Sessions::both().map(|sessions| spoken(Resumption::store(Arc::new(sessions))));
        Ok(Tls { config: first, http2, in_full, resuming, name })
    }
}

impl TargetSpec {
    /// How TLS is spoken to it, if it is.
    pub fn tls(&self) -> Option<&TlsSpec> {
        match self {
            Self::Stage => None,
            Self::Http { tls, .. } => tls.as_deref(),
            Self::Redis(redis) => redis.tls.as_deref(),
        }
    }

    /// The same, to be changed.
    fn tls_mut(&mut self) -> Option<&mut TlsSpec> {
        match self {
            Self::Stage => None,
            Self::Http { tls, .. } => tls.as_deref_mut(),
            Self::Redis(redis) => redis.tls.as_deref_mut(),
        }
    }

    /// What a person must be told each time, where any certificate is taken.
    pub fn insecurity(&self) -> Option<String> {
        self.tls().filter(|tls| tls.insecure).map(|_| {
            format!(
                "INSECURE: any certificate is taken for that of {}; whoever stands in between \
                 reads and changes everything",
                self.authority()
            )
        })
    }
}

/// `target.tls` of a scenario.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsKeys {
    cacert: Option<Text>,
    cert: Option<Text>,
    key: Option<Text>,
    insecure: Option<bool>,
    server_name: Option<Text>,
}

/// A target and the hosts beside it, each of them that speaks TLS with what is said of it. A name
/// (`server_name`) is that of the target only.
pub(crate) fn read(
    place: Place<'_>,
    (mut target, mut hosts): (TargetSpec, Vec<MappedHost>),
    keys: Option<Spanned<TlsKeys>>,
) -> Result<(TargetSpec, Vec<MappedHost>), ScenarioError> {
    let Some(keys) = keys else { return Ok((target, hosts)) };
    let tls = spec(place, &keys)?;
    let of_host = TlsSpec { server_name: None, ..tls.clone() };
    let mut is_spoken = false;
    let others = hosts.iter_mut().map(|host| (&mut host.to, &of_host));
    for (spec, said) in std::iter::once((&mut target, &tls)).chain(others) {
        if let Some(tls) = spec.tls_mut() {
            *tls = said.clone();
            is_spoken = true;
        }
    }
    if !is_spoken {
        let hint = "write `url: https://HOST:PORT` (or rediss://), or leave `tls` out";
        return Err(place.mistake(&keys, Mistake::new("the target does not speak TLS", hint)));
    }
    Ok((target, hosts))
}

fn spec(place: Place<'_>, keys: &Spanned<TlsKeys>) -> Result<TlsSpec, ScenarioError> {
    let file = |text: &str| file(text, place);
    let TlsKeys { cacert, cert, key, insecure, server_name } = &keys.value;
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => {
            Some(Identity { cert: place.read(cert, file)?, key: place.read(key, file)? })
        }
        (None, None) => None,
        (Some(lonely), None) | (None, Some(lonely)) => {
            return Err(place.mistake(lonely, Mistake::new(LONELY, "name both, each a PEM file")));
        }
    };
    let insecure = insecure.unwrap_or(false);
    if let (true, Some(cacert)) = (insecure, cacert) {
        let mistake = Mistake::new(
            "`insecure` takes any certificate, whoever issued it",
            "keep either `cacert` or `insecure: true`",
        );
        return Err(place.mistake(cacert, mistake));
    }
    Ok(TlsSpec {
        cacert: cacert.as_ref().map(|cacert| place.read(cacert, file)).transpose()?,
        identity,
        insecure,
        server_name: place.or(server_name.as_ref(), None, |text| {
            let text = fields::header_value(text, place.environment)?;
            server_name_of(&text).map(Some)
        })?,
    })
}

const LONELY: &str = "a client's certificate (`cert`) and its key (`key`) go together";

/// A file, with `${NAME}` from the environment.
fn file(text: &str, place: Place<'_>) -> Result<PathBuf, Mistake> {
    let path = fields::header_value(text, place.environment)?;
    if path.is_empty() || path.contains('\0') {
        return Err(Mistake::new("there is no file name", "name a PEM file, such as `ca.pem`"));
    }
    Ok(PathBuf::from(path))
}

/// A name of a server, or its address.
pub fn server_name_of(text: &str) -> Result<ServerName<'static>, Mistake> {
    ServerName::try_from(text.to_owned()).map_err(|_| {
        Mistake::new(
            format!("`{}` is no name that a certificate can have", crop(text)),
            "write the host that the certificate was issued for, such as `shop.example`",
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse::from_text;

    use super::*;

    fn read(target: &str) -> Result<TargetSpec, String> {
        let text = format!("recording: a.pcap\ntarget:\n  {target}\n");
        from_text(&text, "s.yaml").map(|scenario| scenario.target).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_said_of_tls_is_read() {
        let https =
            |tls| Ok(TargetSpec::Http { host: "shop".into(), port: 443, tls: Some(Box::new(tls)) });
        assert_eq!(read("url: https://shop"), https(TlsSpec::default()));
        assert_eq!(
            read(
                "{ url: HTTPS://shop:443, tls: { cacert: ca.pem, cert: c.pem, key: k.pem, \
                 server_name: inner.example } }"
            ),
            https(TlsSpec {
                cacert: Some("ca.pem".into()),
                identity: Some(Identity { cert: "c.pem".into(), key: "k.pem".into() }),
                insecure: false,
                server_name: Some(ServerName::try_from("inner.example").unwrap()),
            })
        );
        let insecure = read("{ url: https://shop:8443, tls: { insecure: true } }").unwrap();
        assert!(insecure.insecurity().unwrap().contains("shop:8443"));
        assert_eq!(read("url: https://shop").unwrap().insecurity(), None);
        assert_eq!(read("url: https://shop").unwrap().authority(), "shop");
        assert_eq!(read("url: https://shop:80").unwrap().authority(), "shop:80");
        assert_eq!(read("url: http://shop:443").unwrap().authority(), "shop:443");
    }

    #[test]
    fn mistakes_have_their_place_and_say_what_to_write() {
        for (target, message, at) in [
            ("{ url: http://shop, tls: { insecure: true } }", "does not speak TLS", "3:28"),
            ("{ url: stage, tls: {} }", "does not speak TLS", "3:22"),
            ("{ url: https://shop, tls: { cert: c.pem } }", "go together", "3:37"),
            ("{ url: https://shop, tls: { key: k.pem } }", "go together", "3:36"),
            ("{ url: https://shop, tls: { server_name: a b } }", "is no name", "3:44"),
            ("{ url: https://shop, tls: { cacert: '' } }", "no file name", "3:39"),
            (
                "{ url: https://shop, tls: { cacert: a, insecure: true } }",
                "keep either `cacert` or",
                "3:39",
            ),
            ("{ url: https://shop, tls: { cacert: '${NOT_SET_1}' } }", "no variable", "3:39"),
            ("{ url: https://shop, tls: { ca: a } }", "unknown key `ca`", "3:31"),
        ] {
            let error = read(target).unwrap_err();
            assert!(error.contains(message), "{target}: {error}");
            assert!(error.contains(&format!("s.yaml:{at}")), "{target}: {error}");
        }
    }
}
