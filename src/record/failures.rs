//! Why a connection came to nothing, as the account of a recording names it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Which end a handshake was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Client,
    Upstream,
}

/// A client or an upstream took too long over its handshake.
pub(super) fn too_slow(peer: Peer) -> &'static str {
    by(peer, "clients too slow in the tls handshake", "upstream too slow in the tls handshake")
}

/// TLS failed once bytes had passed.
pub(super) fn later(peer: Peer) -> &'static str {
    by(
        peer,
        "tls errors of clients after the handshake",
        "tls errors of upstream after the handshake",
    )
}

/// Why a handshake with `peer` failed.
pub(super) fn of(peer: Peer, error: &io::Error) -> &'static str {
    let Some(error) = of_tls(error) else {
        return by(
            peer,
            "clients that left in the tls handshake",
            "upstream left in the tls handshake",
        );
    };
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            by(peer, "clients without tls", "upstream without tls")
        }
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            by(peer, "clients without a common alpn", "upstream without a common alpn")
        }
        Error::PeerIncompatible(_)
        | Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => by(
            peer,
            "clients without a common tls version or cipher",
            "upstream without a common tls version or cipher",
        ),
        Error::InvalidCertificate(problem) => of_certificate(problem),
        Error::AlertReceived(_) => by(
            peer,
            "clients that refused the certificate or the handshake",
            "upstream refused the tls handshake",
        ),
        _ => {
            by(peer, "clients with a broken tls handshake", "upstream with a broken tls handshake")
        }
    }
}

/// Only the upstream has a certificate that is looked at.
fn of_certificate(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "upstream certificate expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "upstream certificate not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "upstream certificate for another name"
        }
        // Its issuer has the name of one that is trusted, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "upstream certificate of an unknown issuer"
        }
        _ => "upstream certificate not accepted",
    }
}

/// What TLS itself says of an error; `None` where the connection failed below it.
pub(super) fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn by(peer: Peer, client: &'static str, upstream: &'static str) -> &'static str {
    match peer {
        Peer::Client => client,
        Peer::Upstream => upstream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_name_of_its_own() {
        let tls = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let plain = || tls(Error::InvalidMessage(InvalidMessage::InvalidContentType));
        let alert = |alert| tls(Error::AlertReceived(alert));
        let certificate = |problem| tls(Error::InvalidCertificate(problem));
        for (peer, error, name) in [
            (Peer::Client, plain(), "clients without tls"),
            (Peer::Upstream, plain(), "upstream without tls"),
            (
                Peer::Client,
                alert(AlertDescription::UnknownCA),
                "clients that refused the certificate or the handshake",
            ),
            (
                Peer::Upstream,
                alert(AlertDescription::CertificateRequired),
                "upstream refused the tls handshake",
            ),
            (
                Peer::Upstream,
                alert(AlertDescription::NoApplicationProtocol),
                "upstream without a common alpn",
            ),
            (Peer::Client, tls(Error::NoApplicationProtocol), "clients without a common alpn"),
            (
                Peer::Client,
                io::ErrorKind::UnexpectedEof.into(),
                "clients that left in the tls handshake",
            ),
            (
                Peer::Upstream,
                certificate(CertificateError::Expired),
                "upstream certificate expired",
            ),
            (
                Peer::Upstream,
                certificate(CertificateError::NotValidForName),
                "upstream certificate for another name",
            ),
            (
                Peer::Upstream,
                certificate(CertificateError::UnknownIssuer),
                "upstream certificate of an unknown issuer",
            ),
            (
                Peer::Upstream,
                certificate(CertificateError::Revoked),
                "upstream certificate not accepted",
            ),
        ] {
            assert_eq!(of(peer, &error), name, "{error}");
        }
    }
}
