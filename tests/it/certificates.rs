//! Certificates for servers, made by openssl: an authority, and what it issues.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::program;

/// An authority of its own, in a folder.
pub(crate) struct Authority {
    openssl: PathBuf,
    folder: PathBuf,
}

impl Authority {
    /// Makes `ca.pem` in the folder.
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        let openssl = program("openssl")?;
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("index.txt"), "").unwrap();
        fs::write(folder.join("index.txt.attr"), "unique_subject = no\n").unwrap();
        let config = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = {at}/index.txt\nnew_certs_dir = {at}\n\
             certificate = {at}/ca.pem\nprivate_key = {at}/ca-key.pem\nrand_serial = yes\n\
             default_md = sha256\npolicy = any\ncopy_extensions = copy\n\
             [any]\ncommonName = supplied\n",
            at = folder.display()
        );
        fs::write(folder.join("ca.cnf"), config).unwrap();
        let authority = Self { openssl, folder: folder.to_owned() };
        let mut request = vec!["req", "-x509", "-nodes", "-subj", "/CN=an authority"];
        request.extend(KEY);
        request.extend(["-days", "2", "-keyout", "ca-key.pem", "-out", "ca.pem"]);
        authority.openssl(&request);
        Some(authority)
    }

    /// Makes `NAME.pem` and `NAME-key.pem`, for host names and addresses as openssl writes them,
    /// such as `DNS:shop.example,IP:127.0.0.1`.
    pub(crate) fn issue(&self, name: &str, hosts: &str) {
        // It serves servers and clients.
        self.issue_for(
            name,
            hosts,
            ["20200101000000Z", "20991231235959Z"],
            "serverAuth,clientAuth",
        );
    }

    /// The same, until a moment such as `20200102000000Z`.
    pub(crate) fn issue_until(&self, name: &str, hosts: &str, until: &str) {
        self.issue_for(name, hosts, ["20200101000000Z", until], "serverAuth");
    }

    /// The same, from one moment until another and for a use such as `clientAuth`.
    pub(crate) fn issue_for(&self, name: &str, hosts: &str, times: [&str; 2], usage: &str) {
        let [key, csr, pem] = ["-key.pem", ".csr", ".pem"].map(|suffix| format!("{name}{suffix}"));
        let names = format!("subjectAltName={hosts}");
        let usage = format!("extendedKeyUsage={usage}");
        let mut request = vec!["req", "-nodes", "-subj", "/CN=a server", "-addext", &names];
        request.extend(["-addext", &usage]);
        request.extend(KEY);
        request.extend(["-keyout", &key, "-out", &csr]);
        self.openssl(&request);
        let start = ["-startdate", times[0], "-enddate", times[1]];
        let mut issue = vec!["ca", "-batch", "-notext", "-config", "ca.cnf"];
        issue.extend(start);
        issue.extend(["-in", &csr, "-out", &pem]);
        self.openssl(&issue);
    }

    /// Where its files are.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn openssl(&self, arguments: &[&str]) {
        let made = Command::new(&self.openssl)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
