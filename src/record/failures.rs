//! Why a connection came to nothing: what TLS says of it, and how the account of a recording names
//! it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Why TLS with a peer came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// It said something that is not TLS.
    NotSpoken,
    /// No protocol inside of TLS (ALPN) that both speak.
    NoCommonProtocol,
    /// No version of TLS, or no cipher, that both speak.
    NoCommonVersion,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotValidYet,
    /// Its certificate is for another name.
    OtherName,
    /// Its certificate was issued by nobody who is trusted.
    UnknownIssuer,
    /// Its certificate is not accepted for another reason.
    NotAccepted,
    /// It wants a certificate of ours, or refused the one that it got.
    ClientCertificate,
    /// It broke the handshake off with an alert.
    Alert,
    /// It closed the connection in the handshake.
    Left,
    /// It did not complete the handshake in time.
    TooSlow,
    /// What it said breaks the protocol.
    Broken,
}

impl TlsFailure {
    /// What an error of a handshake means.
    pub fn of(error: &io::Error) -> Self {
        of_tls(error).map_or(Self::Left, Self::of_tls)
    }

    /// What an error of TLS means.
    pub fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotSpoken,
            Error::NoApplicationProtocol
            | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::NoCommonProtocol
            }
            Error::PeerIncompatible(_)
            | Error::AlertReceived(
                AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity,
            ) => Self::NoCommonVersion,
            Error::InvalidCertificate(problem) => Self::of_certificate(problem),
            Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificate,
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Broken,
        }
    }

    fn of_certificate(problem: &CertificateError) -> Self {
        match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OtherName
            }
            // Its issuer has the name of one that is trusted, and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            _ => Self::NotAccepted,
        }
    }
}

/// Which end a handshake was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Client,
    Upstream,
}

/// A client or an upstream took too long over its handshake.
pub(super) fn too_slow(peer: Peer) -> &'static str {
    name(peer, TlsFailure::TooSlow)
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
    name(peer, TlsFailure::of(error))
}

fn name(peer: Peer, failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::TooSlow => by(
            peer,
            "clients too slow in the tls handshake",
            "upstream too slow in the tls handshake",
        ),
        TlsFailure::Left => {
            by(peer, "clients that left in the tls handshake", "upstream left in the tls handshake")
        }
        TlsFailure::NotSpoken => by(peer, "clients without tls", "upstream without tls"),
        TlsFailure::NoCommonProtocol => {
            by(peer, "clients without a common alpn", "upstream without a common alpn")
        }
        TlsFailure::NoCommonVersion => by(
            peer,
            "clients without a common tls version or cipher",
            "upstream without a common tls version or cipher",
        ),
        // Only the upstream has a certificate that is looked at.
        TlsFailure::Expired => "upstream certificate expired",
        TlsFailure::NotValidYet => "upstream certificate not valid yet",
        TlsFailure::OtherName => "upstream certificate for another name",
        TlsFailure::UnknownIssuer => "upstream certificate of an unknown issuer",
        TlsFailure::NotAccepted => "upstream certificate not accepted",
        TlsFailure::ClientCertificate | TlsFailure::Alert => by(
            peer,
            "clients that refused the certificate or the handshake",
            "upstream refused the tls handshake",
        ),
        TlsFailure::Broken => {
            by(peer, "clients with a broken tls handshake", "upstream with a broken tls handshake")
        }
    }
}

/// What TLS itself says of an error; `None` where the connection failed below it.
pub(crate) fn of_tls(error: &io::Error) -> Option<&Error> {
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
