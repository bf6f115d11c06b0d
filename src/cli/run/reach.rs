//! Whether the target is there, and speaks what it is said to speak: known before a run begins.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection};

use crate::cli::run::say;
use crate::cli::{Voice, outputs};
use crate::plan::facts::Facts;
use crate::record::failures::TlsFailure;
use crate::scenario::TargetSpec;
use crate::scenario::target::Target;
use crate::scenario::tls::Tls;

/// The target at the first of its addresses that answers. `correct` is where its URL stands.
pub(super) fn answering(
    target: Target,
    correct: &str,
    patience: Duration,
    is_wanted: impl Fn(SocketAddr) -> io::Result<()>,
) -> anyhow::Result<Target> {
    let problem = format!(
        "cannot reach the target {} at {}: start it, or correct {correct}",
        target.authority, target.address
    );
    let tls = target.tls.clone();
    target.at_first(|address| {
        let socket = is_wanted(address)
            .and_then(|()| TcpStream::connect_timeout(&address, patience))
            .with_context(|| problem.clone())?;
        match &tls {
            None => Ok(()),
            Some(tls) => shake(tls, socket, patience).map_err(|error| {
                let advice = advice(TlsFailure::of(&error));
                anyhow::Error::from(error).context(format!("no TLS with {address}: {advice}"))
            }),
        }
    })
}

/// A handshake that leaves no session behind, which the load would resume.
fn shake(tls: &Tls, mut socket: TcpStream, patience: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    let mut config = ClientConfig::clone(&tls.config);
    config.resumption = Resumption::disabled();
    config.alpn_protocols.extend(tls.http2.alpn_protocols.iter().cloned());
    let session = ClientConnection::new(Arc::new(config), tls.name.clone());
    let mut session = session.map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    session.send_close_notify();
    let _ = session.write_tls(&mut socket);
    Ok(())
}

/// What to do about it.
fn advice(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::NotSpoken => {
            "it does not speak TLS; write http:// in the URL, or name the port that does"
        }
        TlsFailure::UnknownIssuer => {
            "its certificate was issued by nobody who is trusted; name the issuer (`cacert`)"
        }
        TlsFailure::OtherName => {
            "its certificate is for another name; name that one (`server_name`)"
        }
        TlsFailure::Expired | TlsFailure::NotValidYet | TlsFailure::NotAccepted => {
            "its certificate is not accepted; issue it anew, or take any certificate (`insecure`)"
        }
        TlsFailure::ClientCertificate => {
            "it wants a client's certificate, or another one (`cert` and `key`)"
        }
        TlsFailure::NoCommonVersion => {
            "no version or cipher is common; TLS 1.2 and 1.3 are spoken here"
        }
        TlsFailure::NoCommonProtocol => {
            "it speaks neither HTTP/1.1 nor HTTP/2 inside of TLS (ALPN)"
        }
        TlsFailure::Left | TlsFailure::TooSlow => "it did not complete the handshake",
        TlsFailure::Alert | TlsFailure::Broken => "look into its log for what it did not like",
    }
}

/// Tells what a person should know before the run; that any certificate is taken even to who wants
/// to hear nothing else.
pub(super) fn warn(voice: Voice, target: &TargetSpec, facts: &mut Facts) {
    say(voice, &facts.warnings);
    if let Some(warning) = target.insecurity() {
        outputs::note(false, &format!("WARNING: {warning}"));
        facts.warnings.push(warning);
    }
}
