//! Redis as the target of a replay: `redis://user:${PASSWORD}@127.0.0.1:6379/0`, or `rediss://`
//! where it is spoken inside of TLS.
//!
//! Each connection begins with the user, the password and the database of this URL; recorded logins
//! are never sent. Where the URL names a database, every command goes there, and recorded `SELECT`s
//! are left out; where it names none, they are replayed.

use std::fmt;

use crate::scenario::acts::{ActName, Acts};
use crate::scenario::endpoint::Endpoint;
use crate::scenario::fields;
use crate::scenario::problem::Mistake;
use crate::scenario::tls::TlsSpec;
use crate::scenario::{MethodPolicy, TargetSpec};

/// A Redis that gets the recorded commands. Its `Debug` does not tell the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTarget {
    /// Where it listens, and who we are there.
    pub endpoint: Endpoint,
    /// The database that every command goes to; `None` where the recording chooses.
    pub database: Option<u32>,
    /// How TLS is spoken to it; `None` where it is not.
    pub tls: Option<Box<TlsSpec>>,
}

impl fmt::Display for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.endpoint.to_string();
        let place = shown.split_once("://").map_or(shown.as_str(), |(_, place)| place);
        write!(f, "{}{place}", if self.tls.is_some() { SEALED } else { PLAIN })
    }
}

/// How a Redis is named, and one that is spoken to inside of TLS.
const PLAIN: &str = "redis://";
const SEALED: &str = "rediss://";

/// What is shown of a target says that it is a Redis.
pub fn is_redis(authority: &str) -> bool {
    [PLAIN, SEALED].iter().any(|scheme| authority.starts_with(scheme))
}

impl TargetSpec {
    /// The Redis that gets the recorded commands, if the target is one.
    pub fn redis(&self) -> Option<&RedisTarget> {
        match self {
            Self::Redis(redis) => Some(redis),
            Self::Stage | Self::Http { .. } => None,
        }
    }
}

/// Where to send, whatever is spoken there.
pub(crate) fn target(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<TargetSpec, Mistake> {
    let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "redis" => read(text, environment).map(TargetSpec::Redis),
        "rediss" => {
            let rest = text.get(SEALED.len()..).unwrap_or_default();
            let plain = read(&format!("{PLAIN}{rest}"), environment)?;
            Ok(TargetSpec::Redis(RedisTarget { tls: Some(Box::default()), ..plain }))
        }
        _ => fields::url(text),
    }
}

fn read(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<RedisTarget, Mistake> {
    let endpoint = Endpoint::read(text, environment)?;
    let database = match endpoint.path.trim_end_matches('/') {
        "" => None,
        digits if digits.len() <= MAX_DIGITS && digits.bytes().all(|it| it.is_ascii_digit()) => {
            digits.parse().ok()
        }
        _ => {
            return Err(Mistake::new(
                "what follows the host is not the number of a database",
                "write such as `redis://127.0.0.1:6379/0`; without a number the recording chooses",
            ));
        }
    };
    if endpoint.user.is_some() && endpoint.password.is_none() {
        return Err(Mistake::new(
            "there is a user in this URL, but no password",
            "write such as `redis://user:${PASSWORD}@127.0.0.1:6379`",
        ));
    }
    Ok(RedisTarget { endpoint, database, tls: None })
}

/// Digits of the largest number of a database: servers have sixteen, some a few thousand.
const MAX_DIGITS: usize = 9;

/// Which commands are replayed where the scenario does not say: those that change nothing.
pub(crate) const SAFE: MethodPolicy = MethodPolicy::Reading;

/// Of the acts, those that need a target which speaks HTTP.
pub(crate) fn refuse_acts(target: &TargetSpec, acts: &Acts) -> Result<(), Mistake> {
    let asks_target = |act: &ActName| match act {
        ActName::Canary | ActName::Cold | ActName::Payloads => acts.has(*act),
        ActName::Connections => acts.connections.as_ref().is_some_and(|it| it.target),
        ActName::Fingerprint | ActName::Replay | ActName::Capacity => false,
    };
    match ActName::ALL.iter().find(|act| asks_target(act)).filter(|_| target.redis().is_some()) {
        None => Ok(()),
        Some(act) => Err(Mistake::new(
            format!("the act `{}` speaks HTTP to the target, which is a Redis", act.name()),
            "leave the act out, or perform it in a scenario of the stack in front of this Redis",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    fn environment(name: &str) -> Option<String> {
        (name == "PW").then(|| "s3cret".to_owned())
    }

    fn redis(text: &str) -> RedisTarget {
        target(text, &environment).unwrap().redis().unwrap().clone()
    }

    #[test]
    fn a_url_names_user_and_database_and_shows_no_password() {
        let all = redis("redis://me:${PW}@Cache.example:6380/3");
        assert_eq!((all.endpoint.host.as_str(), all.endpoint.port), ("cache.example", 6380));
        assert_eq!(all.endpoint.password.as_deref(), Some("s3cret"));
        assert_eq!(all.database, Some(3));
        assert_eq!(redis("redis://127.0.0.1").database, None);
        assert_eq!(redis("REDIS://127.0.0.1/").database, None);
        let spec = TargetSpec::Redis(all);
        assert!(!format!("{spec:?}").contains("s3cret"));
        assert_eq!(spec.authority(), "redis://cache.example:6380");
        assert_eq!(target("http://h", &environment).unwrap().redis(), None);
    }

    #[test]
    fn tls_is_spoken_to_who_has_one_s_more() {
        let sealed = redis("REDISS://me:${PW}@cache.example/3");
        let plain = redis("redis://me:${PW}@cache.example/3");
        assert_eq!((&sealed.endpoint, sealed.database), (&plain.endpoint, Some(3)));
        let [sealed, plain] = [sealed, plain].map(TargetSpec::Redis);
        assert_eq!(sealed.authority(), "rediss://cache.example:6379");
        assert!(is_redis(&sealed.authority()) && is_redis(&plain.authority()));
        assert!(!is_redis("https://h") && !is_redis("redis.example:80"));
        assert!(sealed.tls().is_some() && plain.tls().is_none());
        let read = |scheme: &str| {
            let target = format!("url: '{scheme}://h', allow: [h], tls: {{ insecure: true }}");
            from_text(&format!("recording: r\ntarget: {{ {target} }}\n"), "s.yaml")
        };
        assert!(read("rediss").unwrap().target.tls().unwrap().insecure);
        assert!(read("redis").unwrap_err().to_string().contains("does not speak TLS"));
    }

    #[test]
    fn no_message_shows_what_the_url_holds() {
        for (text, expected) in [
            ("redis://:s3cret@h/shop", "not the number of a database"),
            ("redis://:s3cret@h/1?x", "not the number of a database"),
            ("redis://:s3cret@h/99999999999", "not the number of a database"),
            ("redis://s3cret@h", "no password"),
            ("rediss://:s3cret@h/shop", "not the number of a database"),
            ("redi://:s3cret@h", "not a target"),
            ("redis://:s3cret@", "no host and port"),
        ] {
            let mistake = target(text, &environment).unwrap_err().to_string();
            assert!(mistake.contains(expected), "{text}: {mistake}");
            assert!(!mistake.contains("s3cret"), "{text}: {mistake}");
            let scenario = format!("recording: r\ntarget: {{ url: '{text}', allow: [h] }}\n");
            let error = from_text(&scenario, "s.yaml").unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_writes_is_not_replayed_unless_it_is_asked_for() {
        let read = |more: &str| {
            let text = format!("recording: r\ntarget: {{ url: 'redis://h', allow: [h] }}\n{more}");
            from_text(&text, "s.yaml")
        };
        assert_eq!(read("").unwrap().methods, MethodPolicy::Reading);
        assert_eq!(read("methods: safe\n").unwrap().methods, MethodPolicy::Reading);
        assert_eq!(read("methods: all\n").unwrap().methods, MethodPolicy::All);
        let listed = MethodPolicy::Only(vec!["CONFIG|SET".to_owned(), "SET".to_owned()]);
        assert_eq!(read("methods: [set, 'config|set']\n").unwrap().methods, listed);
        let refused = read("acts: [cold, replay]\n").unwrap_err().to_string();
        assert!(refused.contains("the act `cold` speaks HTTP"), "{refused}");
    }
}
