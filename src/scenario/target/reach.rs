//! The way to a target, with everything on it checked like the target itself.

use std::net::SocketAddr;

use crate::recording::Servers;
use crate::scenario::TargetSpec;
use crate::scenario::acts::{ActName, Acts};
use crate::scenario::hosts::plain_host;
use crate::scenario::mapped::MappedHost;
use crate::scenario::network::{NO_ADDRESS, Network, Sources};
use crate::scenario::problem::Mistake;
use crate::scenario::target::{
    Target, TargetError, check_addresses, check_name, is_allowed, recorded_name,
};
use crate::scenario::tls::TlsSpec;

/// Checks a target and the way to it, and looks up its address, once.
///
/// What `connect_to` and `resolve` lead to must be allowed as well, and must be no server of the
/// recording: a line that sends the load elsewhere is no way around the list of allowed hosts. The
/// name in the URL stays checked, even where nothing is connected to under it, since an entry that
/// fits no more would lead back to it.
pub async fn reach(
    spec: &TargetSpec,
    allow: &[String],
    servers: &Servers,
    network: &Network,
    stage_address: Option<SocketAddr>,
) -> Result<Target, TargetError> {
    check_names(spec, allow, servers, network)?;
    let sources = network.sources.clone();
    let Some((host, port)) = spec.place() else {
        let address = stage_address.ok_or(TargetError::NoStage)?;
        return Ok(Target { is_stage: true, ..at(spec, address, sources) });
    };
    // Before anything leaves this machine.
    let is_http = spec.redis().is_none();
    let ready = |tls: &TlsSpec| {
        let host = plain_host(host);
        if is_http { tls.ready(&host) } else { tls.ready_unnamed(&host) }
    };
    let tls = match spec.tls().map(ready).transpose() {
        Ok(tls) => tls,
        Err(source) => return Err(TargetError::Tls { authority: spec.authority(), source }),
    };
    let at = |address| Target { tls: tls.clone(), ..at(spec, address, sources.clone()) };
    let (host, port) = network.destination(&plain_host(host), port);
    if let Some(path) = &network.unix_socket {
        return Ok(Target { unix: Some(path.clone()), ..at(NO_ADDRESS) });
    }
    let authority = spec.authority();
    let found: Vec<SocketAddr> = match network.addresses(&host, port) {
        [] => match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(found) => found.collect(),
            Err(source) => return Err(TargetError::Lookup { authority, source }),
        },
        given => given.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
    };
    // One that is not used is checked, too: a name that leads to production now and then is not
    // that of a target.
    check_addresses(&authority, &found, servers)?;
    let mut usable = found.into_iter().filter(|address| network.admits(address.ip()));
    match (usable.next(), network.wanted_family()) {
        (Some(address), _) => Ok(Target { others: usable.collect(), ..at(address) }),
        (None, Some(family)) => Err(TargetError::NoFamily { authority, family: family.name() }),
        (None, None) => Err(TargetError::NoAddress { authority }),
    }
}

/// Checks the targets of other hosts of the recording like the target itself, each by its name and
/// its addresses, and looks them up.
pub async fn reach_hosts(
    hosts: &[MappedHost],
    allow: &[String],
    servers: &Servers,
    network: &Network,
) -> Result<Vec<Target>, TargetError> {
    let mut reached = Vec::with_capacity(hosts.len());
    for host in hosts {
        reached.push(reach(&host.to, allow, servers, network, None).await?);
    }
    Ok(reached)
}

/// What can be said about them without looking anything up.
pub fn check_hosts(
    hosts: &[MappedHost],
    allow: &[String],
    servers: &Servers,
    network: &Network,
) -> Result<(), TargetError> {
    hosts.iter().try_for_each(|host| check_names(&host.to, allow, servers, network))
}

fn at(spec: &TargetSpec, address: SocketAddr, sources: Sources) -> Target {
    Target {
        authority: spec.authority(),
        address,
        redis: spec.redis().cloned(),
        tls: None,
        is_stage: false,
        unix: None,
        sources,
        hosts: Vec::new(),
        others: Vec::new(),
    }
}

/// What can be said about a target and the way to it without looking anything up.
pub fn check_names(
    spec: &TargetSpec,
    allow: &[String],
    servers: &Servers,
    network: &Network,
) -> Result<(), TargetError> {
    check_name(spec, allow, servers)?;
    let Some((host, port)) = spec.place() else { return Ok(()) };
    let named = (plain_host(host), port);
    let (host, port) = network.destination(&named.0, named.1);
    if (&host, port) != (&named.0, named.1) {
        check_name(&TargetSpec::Http { host: host.clone(), port, tls: None }, allow, servers)?;
    }
    for address in network.addresses(&host, port) {
        let host = address.to_canonical().to_string();
        let authority = SocketAddr::new(*address, port).to_string();
        if !is_allowed(&host, port, allow) {
            return Err(TargetError::NotAllowed { authority, host });
        }
        if let Some(recorded) = recorded_name(&host, port, servers) {
            return Err(TargetError::RecordedName { authority, recorded });
        }
    }
    Ok(())
}

/// What a way asks for that its target or the acts cannot have.
pub fn check_way(spec: &TargetSpec, network: &Network, acts: &Acts) -> Result<(), Mistake> {
    let is_plain = Network { sources: Sources::default(), ..network.clone() } == Network::default();
    if *spec == TargetSpec::Stage && !is_plain {
        return Err(Mistake::new(
            "the embedded stage listens on an address of this machine that is chosen for it",
            "name a target with a host and a port, or leave this out",
        ));
    }
    let drives = |act: &ActName| matches!(act, ActName::Replay | ActName::Capacity);
    let drill = ActName::ALL.into_iter().find(|act| !drives(act) && acts.has(*act));
    if let (Some(_), Some(drill)) = (&network.unix_socket, drill) {
        return Err(Mistake::new(
            format!("the act `{}` connects to an address, not to a unix socket", drill.name()),
            "leave the drills out, or name an address of the target",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::network::{Family, connect_to, resolve};

    fn servers() -> Servers {
        Servers {
            authorities: vec!["shop.example".to_owned(), "127.0.0.1:8080".to_owned()],
            addresses: vec!["203.0.113.9:443".parse().unwrap()],
        }
    }

    fn network(to: &str, pin: &str) -> Network {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Network {
            connect_to: filled(to).iter().map(|text| connect_to(text).unwrap()).collect(),
            resolve: filled(pin).iter().map(|text| resolve(text).unwrap()).collect(),
            ..Network::default()
        }
    }

    fn reached(host: &str, allow: &[&str], network: &Network) -> Result<Target, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        let spec = TargetSpec::Http { host: host.to_owned(), port: 80, tls: None };
        runtime
            .block_on(reach(&spec, &allow, &servers(), network, None))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_leads_elsewhere_must_be_allowed_and_no_server_of_the_recording() {
        for (host, allow, to, pin, told) in [
            ("a.test", &["a.test"][..], "a.test:80:10.1.2.3:80", "", "add `10.1.2.3`"),
            ("a.test", &["a.test"], "::b.test:", "", "add `b.test`"),
            ("a.test", &["a.test", "b.test:80"], "::b.test:81", "", "add `b.test`"),
            ("a.test", &["a.test"], "", "a.test:80:10.1.2.3", "add `10.1.2.3`"),
            ("a.test", &["a.test", "10.1.2.3"], "", "*:80:10.1.2.3,10.1.2.4", "add `10.1.2.4`"),
            // Production stays out of reach, by name and by address.
            ("a.test", &["a.test", "shop.example"], "::shop.example:", "", "was made from it"),
            ("a.test", &["a.test", "203.0.113.9"], "::203.0.113.9:", "", "answered in the"),
            ("a.test", &["a.test", "203.0.113.9"], "", "*:80:203.0.113.9", "answered in the"),
            ("a.test", &["a.test", "127.0.0.2"], "::127.0.0.2:8080", "", "was made from it"),
            ("a.test", &["a.test", "0.0.0.0"], "", "*:80:0.0.0.0", "write 127.0.0.1"),
            // Its name is no target, wherever it leads.
            ("shop.example", &["shop.example", "10.1.2.3"], "::10.1.2.3:", "", "was made from"),
            ("a.test", &["10.1.2.3"], "::10.1.2.3:", "", "add `a.test`"),
        ] {
            let error = reached(host, allow, &network(to, pin)).unwrap_err();
            assert!(error.contains(told), "{host} {to} {pin}: {error}");
        }
    }

    #[test]
    fn the_name_stays_and_the_address_is_another() {
        let allow = ["a.test", "127.0.0.2", "fd00::1"];
        let target = reached("a.test", &allow, &network("a.test:80:127.0.0.2:81", "")).unwrap();
        assert_eq!((target.authority.as_str(), target.is_here()), ("a.test", true));
        assert_eq!(target.address, "127.0.0.2:81".parse().unwrap());
        let pins = network("", "a.test:80:fd00::1,127.0.0.2");
        let target = reached("a.test", &allow, &pins).unwrap();
        assert_eq!(target.address, "[fd00::1]:80".parse().unwrap());
        assert_eq!(target.others, ["127.0.0.2:80".parse().unwrap()]);
    }

    #[test]
    fn one_family_only_is_used() {
        let allow = ["a.test", "127.0.0.2", "fd00::1"];
        let v4 = |pin: &str| Network { family: Some(Family::V4), ..network("", pin) };
        let target = reached("a.test", &allow, &v4("a.test:80:fd00::1,127.0.0.2")).unwrap();
        assert_eq!((target.address.to_string().as_str(), target.others.len()), ("127.0.0.2:80", 0));
        let error = reached("a.test", &allow, &v4("a.test:80:fd00::1")).unwrap_err();
        assert!(error.contains("a.test has no IPv4 address"), "{error}");
        // Where connections come from decides, too.
        let sources = Sources::read("127.0.0.3").unwrap();
        let from = Network { sources, ..network("", "a.test:80:fd00::1,127.0.0.2") };
        assert_eq!(reached("a.test", &allow, &from).unwrap().address.port(), 80);
    }

    #[test]
    fn a_unix_socket_needs_no_address_but_an_allowed_name() {
        let socket = Network { unix_socket: Some("/run/a.sock".into()), ..Network::default() };
        let target = reached("a.test", &["a.test"], &socket).unwrap();
        assert!(target.is_here() && target.way().to.to_string().contains("/run/a.sock"));
        assert!(reached("a.test", &[], &socket).unwrap_err().contains("is not allowed"));
        let error = reached("shop.example", &["shop.example"], &socket).unwrap_err();
        assert!(error.contains("was made from it"), "{error}");
    }
}
