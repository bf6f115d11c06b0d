//! What is replaced at import: names of headers, cookies, parameters and fields, and patterns.

use regex::bytes::{Regex, RegexBuilder};

use crate::recording::redaction::listed::{
    ADDRESS_HEADERS, HEADERS, PAGING, PERSONAL, SECRETS, VERSION,
};
use crate::recording::redaction::names::covers;

/// What happens to what a rule finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// It is replaced by a pseudonym: another text of the same length and kinds of characters, the
    /// same for the same value.
    #[default]
    Pseudonym,
    /// It is replaced by as many `x`: nothing of it stays, not even which values are equal.
    Filler,
    /// It stays, whatever another rule says of its name.
    Keep,
}

/// A name in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name, compared without regard to case, `-` and `_`; `*` stands for anything.
    pub name: String,
    /// What happens to its value.
    pub action: Action,
}

/// The names of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of the user's file; these go first.
    pub own: Vec<Listed>,
    /// Of this program.
    pub default: Vec<Listed>,
}

impl Names {
    fn new(listed: &[&[&str]], kept: &[&str]) -> Self {
        let names = listed.iter().copied().flatten();
        let listed = |action| move |name: &&str| Listed { name: (*name).to_owned(), action };
        let kept = kept.iter().map(listed(Action::Keep));
        let default = names.map(listed(Action::default())).chain(kept);
        Self { own: Vec::new(), default: default.collect() }
    }

    /// Names whose values do not stay, the policy's own first, for people.
    pub fn replaced(&self) -> Vec<String> {
        let kept = |name: &str| {
            let mut kept = self.own.iter().filter(|listed| listed.action == Action::Keep);
            kept.any(|listed| covers(&listed.name, name))
        };
        let all = self.own.iter().chain(&self.default);
        let replaced = all.filter(|listed| listed.action != Action::Keep && !kept(&listed.name));
        replaced.map(|listed| listed.name.clone()).collect()
    }
}

/// What a pattern looks for.
#[derive(Clone, Debug)]
pub enum Sought {
    /// E-mail addresses.
    Email,
    /// Numbers of payment cards.
    Card,
    /// JSON web tokens.
    Jwt,
    /// IPv4 and IPv6 addresses anywhere; those in headers about clients are found without it.
    Address,
    /// An expression of the user, searched in linear time.
    Expression(Regex),
}

/// A pattern of a policy.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Its name, for people.
    pub name: String,
    /// What it looks for.
    pub sought: Sought,
    /// What happens to what it finds.
    pub action: Action,
}

/// Patterns of this program, by name; `address` is none of the defaults.
pub const PATTERNS: [(&str, Sought); 4] = [
    ("email", Sought::Email),
    ("card", Sought::Card),
    ("jwt", Sought::Jwt),
    ("address", Sought::Address),
];

/// Bytes that a compiled expression of a policy may take: what a person writes takes a few
/// thousand.
pub const MAX_EXPRESSION: usize = 1 << 20;

/// Compiles an expression of a policy; the error says what is wrong with it.
pub fn expression(text: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(text).size_limit(MAX_EXPRESSION).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
        // The last line says what is wrong; those above show where.
        error => error.to_string().lines().next_back().unwrap_or_default().trim().to_owned(),
    })
}

/// What is replaced at import.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What it is called in the recording's footer.
    pub name: String,
    /// Headers of requests and responses.
    pub headers: Names,
    /// Cookies, in `Cookie` and `Set-Cookie`.
    pub cookies: Names,
    /// Parameters of URLs and of forms.
    pub parameters: Names,
    /// Fields of JSON at any depth, and of multipart forms.
    pub fields: Names,
    /// Headers that hold addresses of clients.
    pub address_headers: Names,
    /// Users and passwords in front of a host, as in `http://user:password@host/`.
    pub userinfo: Action,
    /// What is looked for in targets, heads and bodies.
    pub patterns: Vec<Pattern>,
}

impl Default for Policy {
    fn default() -> Self {
        let pattern = |(name, sought): &(&str, Sought)| Pattern {
            name: (*name).to_owned(),
            sought: sought.clone(),
            action: Action::default(),
        };
        let is_default = |(_, sought): &&(&str, Sought)| !matches!(sought, Sought::Address);
        Self {
            name: format!("default {VERSION}"),
            headers: Names::new(&[HEADERS], PAGING),
            cookies: Names::new(&[&["*"]], &[]),
            parameters: Names::new(&[SECRETS, PERSONAL], PAGING),
            fields: Names::new(&[SECRETS, PERSONAL], PAGING),
            address_headers: Names::new(&[ADDRESS_HEADERS], &[]),
            userinfo: Action::Pseudonym,
            patterns: PATTERNS.iter().filter(is_default).map(pattern).collect(),
        }
    }
}

impl Policy {
    /// A policy that replaces nothing, to begin from.
    pub fn nothing() -> Self {
        Self {
            name: "no defaults".to_owned(),
            headers: Names::default(),
            cookies: Names::default(),
            parameters: Names::default(),
            fields: Names::default(),
            address_headers: Names::default(),
            userinfo: Action::Keep,
            patterns: Vec::new(),
        }
    }

    /// The same policy with filler instead of pseudonyms, for showing requests to people.
    #[must_use]
    pub fn filled(mut self) -> Self {
        let kinds = [
            &mut self.headers,
            &mut self.cookies,
            &mut self.parameters,
            &mut self.fields,
            &mut self.address_headers,
        ];
        let listed =
            kinds.into_iter().flat_map(|names| names.own.iter_mut().chain(&mut names.default));
        let patterns = self.patterns.iter_mut().map(|pattern| &mut pattern.action);
        let actions = listed.map(|listed| &mut listed.action).chain(patterns);
        for action in actions.chain([&mut self.userinfo]) {
            if *action == Action::Pseudonym {
                *action = Action::Filler;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_bounded_and_their_mistakes_are_told() {
        assert!(expression(r"CUST-\d{8}").is_ok());
        assert_eq!(expression(r"(\w{100}){200}").unwrap_err(), "the expression is too large");
        assert!(expression("a(b").unwrap_err().contains("unclosed group"));
    }

    #[test]
    fn headers_that_are_kept_are_not_told_as_replaced() {
        let mut policy = Policy::default();
        let listed = |name: &str, action| Listed { name: name.to_owned(), action };
        policy.headers.own = vec![
            listed("X-Mine", Action::Filler),
            listed("cookie", Action::Keep),
            listed("set_cookie", Action::Keep),
            listed("x-auth*", Action::Keep),
        ];
        let replaced = policy.headers.replaced();
        assert_eq!(replaced[..2], ["X-Mine", "Authorization"]);
        for name in ["Cookie", "Set-Cookie", "X-Auth", "X-Auth-User", "*pagetoken"] {
            assert!(!replaced.iter().any(|listed| listed == name), "{name}");
        }
        assert_eq!(policy.cookies.replaced(), ["*"], "cookies of any name");
        assert!(Policy::default().cookies.default.iter().all(|listed| listed.name == "*"));
    }
}
