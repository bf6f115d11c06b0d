//! The options of TLS to a target without a scenario, as curl spells them.

use std::path::PathBuf;

use anyhow::bail;
use clap::builder::FalseyValueParser as Flag;
use rustls::pki_types::ServerName;

use crate::cli::checked;
use crate::scenario::TargetSpec;
use crate::scenario::tls::{Identity, TlsSpec, server_name_of};

/// How TLS is spoken to an `https://` URL.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "TLS of a load without a recording")]
pub(super) struct TlsOptions {
    /// Trust only the issuers in this file (PEM), instead of those that this machine trusts.
    #[arg(long, value_name = "FILE", env = "PEAKHOUR_CACERT", requires = "url")]
    #[arg(conflicts_with = "insecure")]
    cacert: Option<PathBuf>,
    /// Show this certificate (PEM) where the target asks for one.
    #[arg(long, value_name = "FILE", env = "PEAKHOUR_CERT", requires_all = ["url", "key"])]
    cert: Option<PathBuf>,
    /// The key of --cert (PEM, without passphrase).
    #[arg(long, value_name = "FILE", env = "PEAKHOUR_KEY", requires_all = ["url", "cert"])]
    key: Option<PathBuf>,
    /// Take any certificate of the target: whoever stands in between can then read everything.
    #[arg(short = 'k', long, env = "PEAKHOUR_INSECURE", value_parser = Flag::new())]
    #[arg(requires = "url")]
    insecure: bool,
    /// The name that the target is asked for (SNI) and that its certificate must have, instead of
    /// the host of --url.
    #[arg(long, value_name = "NAME", env = "PEAKHOUR_SERVER_NAME", requires = "url")]
    #[arg(value_parser = checked(server_name_of, "PEAKHOUR_SERVER_NAME"))]
    server_name: Option<ServerName<'static>>,
}

impl TlsOptions {
    /// The target with what was typed of TLS to it.
    pub(super) fn of(&self, target: TargetSpec) -> anyhow::Result<TargetSpec> {
        let TargetSpec::Http { host, port, tls: Some(_) } = target else {
            if *self != Self::default() {
                bail!("--cacert, --cert, --insecure and --server-name are for https:// URLs");
            }
            return Ok(target);
        };
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(Identity { cert: cert.clone(), key: key.clone() }),
            _ => None,
        };
        let tls = TlsSpec {
            cacert: self.cacert.clone(),
            identity,
            insecure: self.insecure,
            server_name: self.server_name.clone(),
        };
        Ok(TargetSpec::Http { host, port, tls: Some(Box::new(tls)) })
    }
}
