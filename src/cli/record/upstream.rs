//! What was typed about the two sides of the proxy, made ready.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::pki_types::ServerName;

use crate::cli::outputs;
use crate::cli::record::Record;
use crate::record::join::{Route, Server};
use crate::record::tls::{self, Trust};

/// The server to record, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    is_tls: bool,
    /// Its name or address, and its port.
    pub(super) address: String,
    /// Its name or address alone.
    host: String,
}

/// `HOST:PORT`, or with `http://` or `https://` in front, where the port may be left out.
pub(super) fn parse(text: &str) -> Result<Upstream, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest.strip_suffix('/').unwrap_or(rest)),
        None => ("", text),
    };
    let (is_tls, default) = match scheme {
        "" => (false, None),
        "http" => (false, Some("80")),
        "https" => (true, Some("443")),
        other => return Err(format!("{other}:// is not spoken; {ADVICE}")),
    };
    if rest.contains(['/', '?', '#', '@']) {
        return Err(format!("all paths are passed on: name the server alone; {ADVICE}"));
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = |host: &str| !host.is_empty() && (!host.contains(':') || host.ends_with(']'));
    let (host, port) = match (rest.rsplit_once(':'), default) {
        (Some((host, port)), _) if is_host(host) && is_port(port) => (host, port),
        (_, Some(port)) if is_host(rest) => (rest, port),
        _ => return Err(ADVICE.to_owned()),
    };
    Ok(Upstream {
        is_tls,
        address: format!("{host}:{port}"),
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
    })
}

const ADVICE: &str = "name it as HOST:PORT, such as 127.0.0.1:8080, or https://HOST:PORT where it \
                      speaks TLS";

/// A protocol that is agreed on inside of TLS, by its registered name.
pub(super) fn protocol(text: &str) -> Result<String, String> {
    let is_name =
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name { Ok(text.to_owned()) } else { Err("name it as `h2` or `http/1.1`".to_owned()) }
}

/// From where to where bytes pass.
pub(super) fn route(command: &Record, quiet: bool) -> anyhow::Result<Route> {
    let clients = match (&command.tls_cert, &command.tls_key) {
        (Some(certificates), Some(key)) => {
            Some(tls::of_clients(certificates, key).context("--tls-cert and --tls-key")?)
        }
        _ => None,
    };
    let server = server(command)?;
    match (&clients, &server, command.alpn.len()) {
        (None, None, 1..) => bail!("--alpn is for TLS: with --tls-cert, or to https://"),
        (None, Some(_), 2..) => bail!(
            "clients without TLS cannot be asked which of several protocols they speak: give \
             --alpn one, `h2` where they speak HTTP/2 with prior knowledge"
        ),
        _ => {}
    }
    let protocols = command.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    Ok(Route { upstream: resolved(&command.upstream.address, quiet)?, clients, server, protocols })
}

fn server(command: &Record) -> anyhow::Result<Option<Server>> {
    let Record { upstream, cacert, insecure, upstream_name, .. } = command;
    if !upstream.is_tls {
        for (is_given, option) in [
            (cacert.is_some(), "--cacert"),
            (*insecure, "--insecure"),
            (upstream_name.is_some(), "--upstream-name"),
        ] {
            if is_given {
                bail!("{option} is for an upstream that speaks TLS: --upstream https://...");
            }
        }
        return Ok(None);
    }
    let trust = match cacert {
        _ if *insecure => Trust::Anyone,
        Some(path) => Trust::File(path),
        None => Trust::System,
    };
    let config = tls::to_upstream(trust).context("cannot speak TLS to the upstream")?;
    let name = upstream_name.as_ref().unwrap_or(&upstream.host);
    let name = ServerName::try_from(name.clone())
        .with_context(|| format!("{name} is no name that a certificate can have"))?;
    Ok(Some(Server { config, name }))
}

/// The first address of a name that answers, or else the first: the server may begin later.
fn resolved(upstream: &str, quiet: bool) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<SocketAddr> = upstream
        .to_socket_addrs()
        .with_context(|| format!("--upstream {upstream} is no address; {ADVICE}"))?
        .collect();
    let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, PATIENCE).is_ok();
    if let Some(address) = addresses.iter().find(answers) {
        return Ok(*address);
    }
    outputs::note(quiet, &format!("warning: {upstream} does not answer yet"));
    let first = addresses.first().copied();
    first.with_context(|| format!("--upstream {upstream} has no address; {ADVICE}"))
}

/// For an address of the upstream to answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_people_type_them() {
        for (text, is_tls, address, host) in [
            ("127.0.0.1:8080", false, "127.0.0.1:8080", "127.0.0.1"),
            ("shop.example:80", false, "shop.example:80", "shop.example"),
            ("http://shop.example", false, "shop.example:80", "shop.example"),
            ("https://shop.example/", true, "shop.example:443", "shop.example"),
            ("https://shop.example:8443", true, "shop.example:8443", "shop.example"),
            ("https://[::1]", true, "[::1]:443", "::1"),
            ("[::1]:8080", false, "[::1]:8080", "::1"),
        ] {
            let expected = Upstream { is_tls, address: address.to_owned(), host: host.to_owned() };
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for (text, said) in [
            ("nowhere", "name it as HOST:PORT"),
            ("shop.example:", "name it as HOST:PORT"),
            ("shop.example:70000", "name it as HOST:PORT"),
            ("::1:8080", "name it as HOST:PORT"),
            ("https://", "name it as HOST:PORT"),
            ("https://shop.example/cart", "name the server alone"),
            ("https://user@shop.example", "name the server alone"),
            ("ftp://shop.example", "ftp:// is not spoken"),
        ] {
            assert!(parse(text).unwrap_err().contains(said), "{text}: {:?}", parse(text));
        }
    }
}
