//! Hosts and ports as people and clients write them.

use std::net::{IpAddr, Ipv6Addr};

/// Splits `host`, `host:port`, `1.2.3.4:port` and `[::1]:port`; the host is lower case, without
/// brackets. `None` for anything that is not one of these.
pub(crate) fn split_host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, rest.strip_prefix(':').map_or((rest.is_empty()).then_some(None), |p| Some(Some(p)))?)
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(fits) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Lower case, without the dot that ends a full name; addresses in their one shortest form.
pub(crate) fn plain_host(host: &str) -> String {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().to_string();
    }
    let lower = host.to_ascii_lowercase();
    lower.strip_suffix('.').unwrap_or(&lower).to_owned()
}

/// The host is this machine. All of its loopback addresses count as one: most servers listen on
/// every one of them.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Longest host name, as DNS has it.
const MAX_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_split() {
        for (text, host, port) in [
            ("Shop.Example", "shop.example", None),
            ("shop.example:81", "shop.example", Some(81)),
            ("[::1]:81", "::1", Some(81)),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
        ] {
            assert_eq!(split_host_port(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":80", "a:", "a:0", "a:99999", "a:+1", "a b", "[::1", "[::1]x", "a/b", "ä"]
        {
            assert_eq!(split_host_port(text), None, "{text}");
        }
    }
}
