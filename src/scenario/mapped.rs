//! Hosts of the recording that have a target of their own: `target.hosts`.
//!
//! What clients asked of such a host goes to its target, with that target's `Host`; everything else
//! goes to `target.url`. Each of them is checked like the target itself.

use std::collections::BTreeMap;

use crate::scenario::TargetSpec;
use crate::scenario::fields;
use crate::scenario::hosts::{plain_host, split_host_port};
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};

/// A host of the recording, and where its requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedHost {
    /// The host as clients wrote it, plain.
    pub host: String,
    /// Its port; `None` is any, unless an entry names it.
    pub port: Option<u16>,
    /// An HTTP server.
    pub to: TargetSpec,
}

/// Most hosts with a target of their own: a stack has some dozen names.
pub const MAX_HOSTS: usize = 1_000;

impl MappedHost {
    /// The host as it stands in the scenario.
    pub fn recorded(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

/// The place in the list of where an authority of the recording goes, from 1; 0 is the target.
pub fn goal_of(hosts: &[MappedHost], authority: &str, scheme: &str) -> u16 {
    if hosts.is_empty() {
        return 0;
    }
    let name = authority.rsplit('@').next().unwrap_or_default().trim();
    let Some((host, port)) = split_host_port(name) else { return 0 };
    let host = plain_host(&host);
    let port = port.unwrap_or(if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 });
    let at = |wanted: Option<u16>| {
        hosts.iter().position(|mapped| mapped.host == host && mapped.port == wanted)
    };
    let found = at(Some(port)).or_else(|| at(None));
    found.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0)
}

/// Reads `target.hosts`.
pub(crate) fn read(
    place: Place<'_>,
    keys: Option<BTreeMap<String, Text>>,
    target: &TargetSpec,
) -> Result<Vec<MappedHost>, ScenarioError> {
    let mut hosts: Vec<MappedHost> = Vec::new();
    for (name, url) in keys.unwrap_or_default() {
        let refused = |mistake| place.mistake(&url, mistake);
        if !matches!(target, TargetSpec::Http { .. }) {
            let hint = "leave `hosts` out, or name an `http://` or `https://` server as `url`";
            return Err(refused(Mistake::new("only a target of HTTP can have `hosts`", hint)));
        }
        let Some((host, port)) = split_host_port(name.trim()) else {
            return Err(refused(Mistake::new(
                format!("`{}` is not a host of a recording", crop(&name)),
                "write a host, or a host and a port, as clients asked for it, such as \
                 `img.example.com`",
            )));
        };
        let host = plain_host(&host);
        if hosts.iter().any(|other| other.host == host && other.port == port) {
            let message = format!("`{}` is the same host as another one here", crop(&name));
            let hint = "keep one of the two; which one counts would be a guess";
            return Err(refused(Mistake::new(message, hint)));
        }
        let to = place.read(&url, fields::url)?;
        if to == TargetSpec::Stage {
            let hint = "write `http://HOST:PORT` or `https://HOST:PORT`";
            return Err(refused(Mistake::new("the embedded stage is no target of a host", hint)));
        }
        if hosts.len() == MAX_HOSTS {
            return Err(refused(Mistake::new(
                format!("more than {MAX_HOSTS} hosts"),
                "name fewer",
            )));
        }
        hosts.push(MappedHost { host, port, to });
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    fn hosts(lines: &str) -> Result<Vec<MappedHost>, String> {
        let text = format!("recording: r\ntarget:\n  url: http://h:1\n  hosts:\n{lines}");
        from_text(&text, "s.yaml").map(|scenario| scenario.hosts).map_err(|e| e.to_string())
    }

    #[test]
    fn an_authority_goes_to_its_own_target_and_a_port_counts_more() {
        let hosts = hosts(
            "    IMG.example: http://10.1.2.3:8080\n    img.example:8443: https://10.1.2.4\n    \
             '[::1]:81': http://10.1.2.5\n",
        )
        .unwrap();
        let to = |authority, scheme| match goal_of(&hosts, authority, scheme) {
            0 => "target".to_owned(),
            goal => hosts[usize::from(goal) - 1].to.authority(),
        };
        for (authority, scheme, goes) in [
            ("img.example", "http", "10.1.2.3:8080"),
            ("Img.Example.:80", "http", "10.1.2.3:8080"),
            ("img.example:8443", "https", "10.1.2.4"),
            ("me@img.example", "https", "10.1.2.3:8080"),
            ("[::1]:81", "http", "10.1.2.5"),
            ("[::1]", "http", "target"),
            ("shop.example", "http", "target"),
            ("", "http", "target"),
            ("img.example.evil", "http", "target"),
        ] {
            assert_eq!(to(authority, scheme), goes, "{authority}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        for (lines, told) in [
            ("    a b: http://h\n", "s.yaml:5:10: `a b` is not a host of a recording"),
            ("    a: ftp://h\n", "s.yaml:5:8: `ftp://h` is not a target"),
            ("    a: stage\n", "the embedded stage is no target of a host"),
            ("    a: http://h\n    A.: http://i\n", "is the same host"),
            ("    a: http://h/x\n", "a target has no path"),
        ] {
            let error = hosts(lines).unwrap_err();
            assert!(error.contains(told), "{lines}: {error}");
        }
        let stage = "recording: r\ntarget: { url: stage, hosts: { a: 'http://h' } }\n";
        let error = from_text(stage, "s.yaml").unwrap_err().to_string();
        assert!(error.contains("only a target of HTTP can have `hosts`"), "{error}");
    }

    #[test]
    fn tls_is_spoken_alike_to_all_of_them() {
        let text = |url: &str, to: &str| {
            format!(
                "recording: r\ntarget: {{ url: '{url}', tls: {{ cacert: ca.pem }}, hosts: \
                 {{ img: '{to}' }} }}\n"
            )
        };
        let scenario = from_text(&text("http://h", "https://i"), "s.yaml").unwrap();
        let cacert = |spec: &TargetSpec| spec.tls().and_then(|tls| tls.cacert.clone());
        assert_eq!(cacert(&scenario.target), None);
        assert_eq!(cacert(&scenario.hosts[0].to), Some("ca.pem".into()));
        let scenario = from_text(&text("https://h", "http://i"), "s.yaml").unwrap();
        assert_eq!(cacert(&scenario.target), Some("ca.pem".into()));
        assert_eq!(cacert(&scenario.hosts[0].to), None);
        assert!(from_text(&text("http://h", "http://i"), "s.yaml").is_err());
    }
}
