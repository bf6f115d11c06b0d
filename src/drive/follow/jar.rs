//! The cookies that a target gave to one client (RFC 6265).
//!
//! Two things differ from a browser. A cookie that is `Secure` is sent without TLS as well, since
//! production speaks it and a staging stack often does not. And there is no list of public
//! suffixes, so that a target could set a cookie for `co.uk`; it would come back to hosts of the
//! scenario only.

use crate::drive::follow::date::seconds_of;

/// Cookies of a client: browsers must keep fifty of a host.
pub(crate) const MAX_COOKIES: usize = 100;

/// Longest cookie: browsers must keep four kilobytes.
pub(crate) const MAX_COOKIE: usize = 8 * 1024;

/// Bytes of all cookies of a client: more than servers accept in a request.
pub(crate) const MAX_BYTES: usize = 32 * 1024;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whither<'a> {
    /// Lower case, without port.
    pub(crate) host: &'a str,
    /// Without query.
    pub(crate) path: &'a str,
    /// Seconds since the Unix epoch.
    pub(crate) now: i64,
}

/// What became of a cookie that a target set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Kept,
    /// It is for another host, or is none.
    Refused,
    /// There was no room for it.
    TooMuch,
}

/// Cookies of one client, in the order in which they were first set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    is_host_only: bool,
    path: String,
    /// Seconds since the Unix epoch; what is over stands for a cookie that was taken away.
    until: Option<i64>,
}

impl Cookie {
    fn bytes(&self) -> usize {
        self.name.len() + self.value.len() + self.domain.len() + self.path.len()
    }

    fn is_for(&self, whither: Whither<'_>) -> bool {
        let host = if self.is_host_only {
            whither.host == self.domain
        } else {
            is_within(whither.host, &self.domain)
        };
        host && is_below(whither.path, &self.path)
    }
}

impl Jar {
    pub(crate) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the value of a `Set-Cookie`, in an answer to a request.
    pub(crate) fn set(&mut self, line: &[u8], whither: Whither<'_>) -> Taken {
        let Some(cookie) = std::str::from_utf8(line).ok().and_then(|line| read(line, whither))
        else {
            return Taken::Refused;
        };
        self.make_room(&cookie, whither.now);
        let known = self.cookies.iter().position(|own| {
            own.name == cookie.name && own.domain == cookie.domain && own.path == cookie.path
        });
        let before = known.and_then(|at| self.cookies.get(at)).map_or(0, Cookie::bytes);
        let bytes = self.bytes - before + cookie.bytes();
        let is_full = known.is_none() && self.cookies.len() >= MAX_COOKIES;
        if cookie.bytes() > MAX_COOKIE || bytes > MAX_BYTES || is_full {
            return Taken::TooMuch;
        }
        self.bytes = bytes;
        match known.and_then(|at| self.cookies.get_mut(at)) {
            Some(own) => *own = cookie,
            None => self.cookies.push(cookie),
        }
        Taken::Kept
    }

    /// Where there is none for a cookie, those go first that are over, and then the oldest.
    fn make_room(&mut self, new: &Cookie, now: i64) {
        if new.bytes() > MAX_COOKIE {
            return;
        }
        let is_new =
            |own: &Cookie| own.name != new.name || own.domain != new.domain || own.path != new.path;
        let is_full = |cookies: &[Cookie]| {
            let others = || cookies.iter().filter(|own| is_new(own));
            let bytes = others().map(Cookie::bytes).sum::<usize>() + new.bytes();
            others().count() >= MAX_COOKIES || bytes > MAX_BYTES
        };
        if !is_full(&self.cookies) {
            return;
        }
        self.cookies.retain(|own| !is_new(own) || own.until.is_none_or(|until| until > now));
        while is_full(&self.cookies)
            && let Some(oldest) = self.cookies.iter().position(&is_new)
        {
            self.cookies.remove(oldest);
        }
        self.bytes = self.cookies.iter().map(Cookie::bytes).sum();
    }

    /// How many it holds.
    pub(crate) fn len(&self) -> usize {
        self.cookies.len()
    }

    /// The value of `Cookie` in place of a recorded one; `None` where nothing is left of it. Also
    /// says how many cookies are the target's.
    ///
    /// Recorded cookies keep their places. Where the target set one of that name, it has its value,
    /// or is gone where the target took it away. What the target set besides comes behind them.
    pub(crate) fn cookies(&self, recorded: &str, whither: Whither<'_>) -> (Option<String>, u64) {
        let mut own: Vec<&Cookie> =
            self.cookies.iter().filter(|cookie| cookie.is_for(whither)).collect();
        // The longer path is meant first.
        own.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let is_over = |cookie: &Cookie| cookie.until.is_some_and(|until| until <= whither.now);
        let (mut parts, mut used, mut count) = (Vec::<String>::new(), Vec::<&str>::new(), 0);
        for part in recorded.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let name = part.split('=').next().unwrap_or_default().trim();
            // One that was taken away counts only where there is no other of its name.
            let mut named = own.iter().filter(|cookie| cookie.name == name).peekable();
            if named.peek().is_none() {
                parts.push(part.to_owned());
                continue;
            }
            if used.contains(&name) {
                continue;
            }
            used.push(name);
            for cookie in named.filter(|cookie| !is_over(cookie)) {
                parts.push(format!("{}={}", cookie.name, cookie.value));
                count += 1;
            }
        }
        for cookie in own.iter().filter(|cookie| !is_over(cookie)) {
            if !used.contains(&cookie.name.as_str()) {
                parts.push(format!("{}={}", cookie.name, cookie.value));
                count += 1;
            }
        }
        ((!parts.is_empty()).then(|| parts.join("; ")), count)
    }
}

/// Reads a `Set-Cookie`; `None` where a browser would not take it.
fn read(line: &str, whither: Whither<'_>) -> Option<Cookie> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || line.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: whither.host.to_owned(),
        is_host_only: true,
        path: default_path(whither.path),
        until: None,
    };
    let mut age = None;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "domain" if !value.trim_start_matches('.').is_empty() => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                if !is_within(whither.host, &domain) {
                    return None;
                }
                cookie.is_host_only = false;
                cookie.domain = domain;
            }
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "expires" => cookie.until = seconds_of(value).or(cookie.until),
            "max-age" => age = value.parse::<i64>().ok().or(age),
            _ => {}
        }
    }
    // It counts more than a date.
    cookie.until = age.map(|age| whither.now.saturating_add(age.max(0))).or(cookie.until);
    Some(cookie)
}

/// The directory of a path.
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        Some(end) if end > 0 && path.starts_with('/') => path.get(..end).unwrap_or("/").to_owned(),
        _ => "/".to_owned(),
    }
}

/// A host is a domain, or a name in it. An address has no names.
fn is_within(host: &str, domain: &str) -> bool {
    host == domain
        || host.strip_suffix(domain).is_some_and(|before| before.ends_with('.'))
            && host.parse::<std::net::IpAddr>().is_err()
}

fn is_below(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at<'a>(host: &'a str, path: &'a str) -> Whither<'a> {
        Whither { host, path, now: NOW }
    }

    /// What is sent to `/` of a host in place of `recorded`, when these were set there.
    fn sent(recorded: &str, set: &[&str]) -> String {
        let (mut jar, here) = (Jar::default(), at("shop.test", "/a/b"));
        for line in set {
            jar.set(line.as_bytes(), here);
        }
        jar.cookies(recorded, here).0.unwrap_or_default()
    }

    #[test]
    fn what_the_target_set_takes_the_place_of_what_was_recorded() {
        for (recorded, set, expected) in [
            ("a=1; b=2", &[][..], "a=1; b=2"),
            ("a=1; b=2", &["b=3"], "a=1; b=3"),
            ("a=1;b=2", &["c=3; Path=/; HttpOnly; Secure; SameSite=Lax"], "a=1; b=2; c=3"),
            ("a=1", &["a=2", "a=3"], "a=3"),
            ("a=1; a=0", &["a=2"], "a=2"),
            ("a=1; b=2", &["a=; Max-Age=0"], "b=2"),
            ("a=1", &["a=2", "a=x; expires=Thu, 01 Jan 1970 00:00:00 GMT"], ""),
            ("a=1", &["a=2; Expires=Wed, 21-Oct-2015 07:28:00 GMT"], ""),
            ("a=1", &["a=2; Expires=Wed Oct 21 07:28:00 2015"], ""),
            ("a=1", &["a=2; Expires=Fri, 01 Jan 2100 00:00:00 GMT"], "a=2"),
            ("a=1", &["a=2; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "a=2"),
            ("a=1", &["a=2; Max-Age=-5"], ""),
            ("a=1", &["a=2; Expires=soon"], "a=2"),
            ("a=1", &["a=2; Path=/other"], "a=1"),
            ("a=1", &["a=2; Path=/a"], "a=2"),
            ("a=1", &["a=2; Path=/a/", "a=3; Path=/"], "a=2; a=3"),
            ("a=1", &["a=2; Path=/ab"], "a=1"),
            ("a=1", &["a=2; Domain=.shop.test"], "a=2"),
            ("a=1", &["a=2; Domain=other.test"], "a=1"),
            ("a=1", &["a=2; Domain=p.test"], "a=1"),
            ("a=1", &["a=2; Domain=test"], "a=2"),
            ("a=1", &["=2", "no cookie", ""], "a=1"),
            ("a=1", &["a=x=y"], "a=x=y"),
        ] {
            assert_eq!(sent(recorded, set), expected, "{recorded} {set:?}");
        }
    }

    #[test]
    fn a_cookie_goes_where_it_is_for() {
        let mut jar = Jar::default();
        jar.set(b"host=1", at("a.shop.test", "/x"));
        jar.set(b"all=2; Domain=shop.test; Path=/", at("a.shop.test", "/x"));
        jar.set(b"short=3; Max-Age=10", at("a.shop.test", "/x"));
        let to = |host, path, now| jar.cookies("", Whither { host, path, now });
        assert_eq!(to("a.shop.test", "/y", NOW), (Some("host=1; all=2; short=3".into()), 3));
        assert_eq!(to("a.shop.test", "/y", NOW + 10), (Some("host=1; all=2".into()), 2));
        assert_eq!(to("b.shop.test", "/", NOW), (Some("all=2".into()), 1));
        assert_eq!(to("b.other.test", "/", NOW), (None, 0));
        assert_eq!(jar.set(b"a=1; Domain=0.0.1", at("127.0.0.1", "/")), Taken::Refused);
        assert_eq!(jar.set(b"a=\xff", at("127.0.0.1", "/")), Taken::Refused);
    }

    proptest::proptest! {
        /// For all lines: no panic, a bound that holds, and nothing that ends a line.
        #[test]
        fn any_line_can_be_set(
            lines in proptest::collection::vec("[a-b;= \\r\\n\\PC]{0,30}", 0..9),
        ) {
            let (mut jar, here) = (Jar::default(), at("shop.test", "/a/b"));
            for line in &lines {
                jar.set(line.as_bytes(), here);
            }
            let (cookies, _) = jar.cookies("a=1; b=2", here);
            let cookies = cookies.unwrap_or_default();
            proptest::prop_assert!(!cookies.contains(['\r', '\n']), "{cookies:?}");
        }
    }

    #[test]
    fn a_jar_is_bounded() {
        let (mut jar, here) = (Jar::default(), at("h", "/"));
        let set = |jar: &mut Jar, line: String| jar.set(line.as_bytes(), here);
        assert_eq!(set(&mut jar, format!("a={}", "x".repeat(MAX_COOKIE))), Taken::TooMuch);
        for index in 0..MAX_COOKIES {
            assert_eq!(set(&mut jar, format!("c{index}=1")), Taken::Kept);
        }
        assert_eq!(set(&mut jar, "c50=; Max-Age=0".to_owned()), Taken::Kept);
        assert_eq!(set(&mut jar, "one=more".to_owned()), Taken::Kept);
        assert_eq!(set(&mut jar, "two=more".to_owned()), Taken::Kept);
        let kept = jar.cookies("", here).0.unwrap_or_default();
        assert!(!kept.contains("c50=") && !kept.contains("c0="), "what is over goes first: {kept}");
        assert!(kept.contains("c1=") && kept.contains("one=") && kept.contains("two="), "{kept}");
        assert_eq!(jar.len(), MAX_COOKIES);
        assert_eq!(set(&mut jar, "c0=2".to_owned()), Taken::Kept);
        let mut jar = Jar::default();
        for index in 0..3 {
            assert_eq!(set(&mut jar, format!("c{index}={}", "x".repeat(8_000))), Taken::Kept);
        }
        assert_eq!(set(&mut jar, format!("d={}", "x".repeat(8_100))), Taken::Kept);
        assert_eq!(set(&mut jar, format!("e={}", "x".repeat(8_000))), Taken::Kept);
        assert!(!jar.cookies("", here).0.unwrap_or_default().contains("c0="), "the oldest goes");
        assert!(jar.bytes() <= MAX_BYTES && !jar.is_empty());
    }
}
