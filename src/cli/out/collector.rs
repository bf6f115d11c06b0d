//! Where the numbers of a run are sent while it goes on: `remote-write=URL`, `otlp=URL`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::uri::{Scheme, Uri};
use percent_encoding::percent_decode_str;

/// The form of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prometheus remote write, 1.0.
    RemoteWrite,
    /// OTLP over HTTP, in JSON.
    Otlp,
}

/// A monitoring system. Neither `Debug` nor `Display` tells its password, nor the query of its
/// URL, in which some systems take one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    pub(crate) form: Form,
    pub(crate) is_secure: bool,
    /// Host name or address literal, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
    /// What stands in the header `Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
    /// That was given beside the URL, and does not say for which system.
    pub(crate) is_given_apart: bool,
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        let (path, more) = match self.path.split_once('?') {
            Some((path, _)) => (path, "?…"),
            None => (&*self.path, ""),
        };
        write!(f, "{scheme}://{}{path}{more}", self.authority())
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where the header `Authorization` comes from when it is no user and password: a bearer token, in
/// most cases, which the command line would show to everybody on the machine.
pub(crate) const AUTHORIZATION: &str = "PEAKHOUR_OUT_AUTHORIZATION";

impl Collector {
    /// Reads a URL, and what authorizes to send there.
    pub(crate) fn parse(form: Form, url: &str, header: Option<&str>) -> Result<Self, String> {
        // The URL may hold a password: no message repeats what stands in it.
        let (example, default_path) = match form {
            Form::RemoteWrite => {
                ("remote-write=http://prometheus:9090/api/v1/write", "/api/v1/write")
            }
            Form::Otlp => ("otlp=http://collector:4318/v1/metrics", "/v1/metrics"),
        };
        let wrong = |what: &str| format!("{what}: write a URL such as {example}");
        let uri: Uri = url.parse().map_err(|_| wrong("this is no URL"))?;
        let is_secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(wrong("the URL begins neither with http:// nor with https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("there is no host"))?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(wrong("there is no host"));
        }
        let default_port = if is_secure { 443 } else { 80 };
        let given = authority.as_str().rsplit_once('@').map(|(user, _)| user);
        let authorization = match (given, header) {
            (Some(user), _) => Some(basic(user)?),
            (None, Some(value)) => Some(value.to_owned()),
            (None, None) => None,
        };
        let authorization = authorization.map(|text| sensitive(&text)).transpose()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path == "/" { default_path } else { path }.to_owned();
        let port = authority.port_u16().unwrap_or(default_port);
        let is_given_apart = given.is_none() && header.is_some();
        Ok(Self { form, is_secure, host, port, path, authorization, is_given_apart })
    }

    /// Host and port, as the header `Host` has them.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Fails where what authorizes would be shown to more than one machine: it is a secret between two.
pub(crate) fn one_is_shown<'a>(
    collectors: impl Iterator<Item = &'a Collector>,
) -> Result<(), String> {
    let mut shown = collectors.filter(|collector| collector.is_given_apart);
    let Some(first) = shown.next() else { return Ok(()) };
    shown.find(|other| other.host != first.host).map_or(Ok(()), |other| {
        Err(format!(
            "{AUTHORIZATION} would be sent to {} and {}: write the credentials of one of them \
             into its URL",
            first.authority(),
            other.authority()
        ))
    })
}

/// The credentials of a URL, whose percent escapes stand for what cannot stand there.
fn basic(user_info: &str) -> Result<String, String> {
    let decoded = percent_decode_str(user_info).decode_utf8();
    let decoded = decoded.map_err(|_| "the user or the password is not UTF-8".to_owned())?;
    Ok(format!("Basic {}", STANDARD.encode(decoded.as_bytes())))
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        format!("the value of {AUTHORIZATION} cannot stand in a header: it has control characters")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_path_and_user() {
        let parse = |form, url| Collector::parse(form, url, None).unwrap();
        let plain = parse(Form::RemoteWrite, "http://prometheus:9090");
        assert_eq!(plain.to_string(), "http://prometheus:9090/api/v1/write");
        let own = parse(Form::Otlp, "https://u:p%40ss@Otel.example/in?x=1");
        assert_eq!(own.path, "/in?x=1");
        assert_eq!(own.to_string(), "https://Otel.example:443/in?…", "tokens stand there, too");
        let value = own.authorization.clone().unwrap();
        assert_eq!(value, format!("Basic {}", STANDARD.encode("u:p@ss")));
        assert!(!format!("{own:?}").contains("ss") && value.is_sensitive(), "it is told");
        assert_eq!(parse(Form::Otlp, "http://[::1]:4318/").authority(), "[::1]:4318");
        let token = Collector::parse(Form::Otlp, "http://h", Some("Bearer x")).unwrap();
        assert_eq!(token.authorization.unwrap(), "Bearer x");
    }

    #[test]
    fn what_authorizes_is_shown_to_one_machine_only() {
        let parse = |url| Collector::parse(Form::Otlp, url, Some("Bearer x")).unwrap();
        let all = ["http://a:1", "http://a:2", "http://b:1", "http://user:own@b:1"].map(parse);
        let shown = |which: &[usize]| one_is_shown(which.iter().map(|&at| &all[at]));
        assert!(shown(&[]).is_ok() && shown(&[0, 1]).is_ok() && shown(&[0, 3]).is_ok());
        let refused = shown(&[0, 2]).unwrap_err();
        assert!(refused.contains("a:1 and b:1"), "{refused}");
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for url in ["", "prometheus:9090", "ftp://u:secret@h/", "http://", "http://u:secret@/x"] {
            let error = Collector::parse(Form::Otlp, url, None).unwrap_err();
            assert!(error.contains("otlp=http://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(Collector::parse(Form::Otlp, "http://h", Some("a\nb")).is_err());
    }
}
