//! What TLS is spoken with: the proxy's own certificate for clients, and whom it trusts as the
//! upstream.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};

/// Longest file of certificates or of a key, in bytes: all roots that browsers know take a
/// quarter of a megabyte.
pub const MAX_PEM: u64 = 8 << 20;

/// Why TLS cannot be spoken. Its text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in the file is not what is needed.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Nobody is trusted.
    #[error(
        "this machine trusts nobody: no root certificates were found{0}; install ca-certificates, \
         or name the one that issued the server's certificate (`cacert`)"
    )]
    NoRoots(String),
    /// No certificate can have this name.
    #[error("{0} is no name that a certificate can have; name the one that the server's has")]
    Name(String),
    /// The library refused.
    #[error("TLS cannot be set up")]
    Setup(#[source] Error),
}

/// Whom to trust as the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust<'a> {
    /// Whose certificates this machine trusts.
    System,
    /// Whose certificates those in this PEM file have issued, and nobody else.
    File(&'a Path),
    /// Anybody.
    Anyone,
}

/// Speaks to clients with a certificate, and what was issued it, in one PEM file and its key in
/// another.
pub fn of_clients(certificates: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates_in(certificates)?;
    let private = key_in(key)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unfit(certificates, key, &error))?;
    // Clients that come again need no second full handshake.
    config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
    Ok(Arc::new(config))
}

/// Speaks to the upstream, and checks who that is.
pub fn to_upstream(trust: Trust<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    to_server(trust, None).map(Arc::new)
}

/// Speaks to a server, checks who that is, and shows it a certificate, and its key, where it asks
/// for one.
pub fn to_server(trust: Trust<'_>, identity: Option<[&Path; 2]>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    let builder = match trust {
        Trust::System => builder.with_root_certificates(system_roots()?),
        Trust::File(path) => builder.with_root_certificates(roots_in(path)?),
        Trust::Anyone => {
            let algorithms = provider().signature_verification_algorithms;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(algorithms)))
        }
    };
    let Some([certificates, key]) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates_in(certificates)?;
    let private = key_in(key)?;
    builder.with_client_auth_cert(chain, private).map_err(|error| unfit(certificates, key, &error))
}

/// Why a key cannot be used with a certificate.
fn unfit(certificates: &Path, key: &Path, error: &Error) -> TlsError {
    TlsError::Content {
        path: key.to_owned(),
        problem: match error {
            Error::InconsistentKeys(_) => format!(
                "is not the key of the first certificate in {}; name the two that were made \
                 together, the own certificate before those of its issuers",
                certificates.display()
            ),
            other => format!("cannot be used with {}: {other}", certificates.display()),
        },
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old roots that nobody understands any more lie about on every machine.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or(String::new(), |error| format!(" ({error})"));
        return Err(TlsError::NoRoots(why));
    }
    Ok(roots)
}

fn roots_in(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(path)? {
        roots.add(certificate).map_err(|error| TlsError::Content {
            path: path.to_owned(),
            problem: format!("a certificate in it cannot be used: {error}; issue it anew"),
        })?;
    }
    Ok(roots)
}

/// At least one.
fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = text_of(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = read.map_err(|error| damaged(path, &error))?;
    if certificates.is_empty() {
        let problem = if holds(&text, "PRIVATE KEY") {
            "holds a key and no certificate; are the two files swapped?"
        } else {
            NO_CERTIFICATE
        };
        return Err(TlsError::Content { path: path.to_owned(), problem: problem.to_owned() });
    }
    Ok(certificates)
}

const NO_CERTIFICATE: &str = "no certificate in it; a PEM file has lines `-----BEGIN \
                              CERTIFICATE-----`; of a DER file, `openssl x509 -inform der -in \
                              FILE` makes one";

fn key_in(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = text_of(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let problem = match error {
            // The older form of such keys has lines that are no base64, and is damaged otherwise.
            _ if holds(&text, "ENCRYPTED") => {
                "the key is locked by a passphrase; `openssl pkey -in FILE -out KEY` unlocks it"
            }
            pem::Error::NoItemsFound if holds(&text, "CERTIFICATE") => {
                "holds a certificate and no key; are the two files swapped?"
            }
            pem::Error::NoItemsFound => {
                "no key in it; a PEM file has lines `-----BEGIN PRIVATE KEY-----`"
            }
            error => return damaged(path, &error),
        };
        TlsError::Content { path: path.to_owned(), problem: problem.to_owned() }
    })
}

fn damaged(path: &Path, error: &pem::Error) -> TlsError {
    let problem = format!("is no whole PEM file ({error}); copy it anew");
    TlsError::Content { path: path.to_owned(), problem }
}

/// All of a file, which must not be endless.
fn text_of(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(read)?;
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MAX_PEM + 1), &mut text).map_err(read)?;
    if text.len() as u64 > MAX_PEM {
        let problem = "is too large for a file of certificates or a key".to_owned();
        return Err(TlsError::Content { path: path.to_owned(), problem });
    }
    Ok(text)
}

fn holds(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(text, word.as_bytes()).is_some()
}

/// Takes every certificate, but no handshake that was not made with its key.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
