//! A policy made ready: names for looking up, patterns for searching, and a number for each rule.

use regex::bytes::Regex;

use crate::recording::redaction::names::{Entry, Lookup, innermost_of};
use crate::recording::redaction::policy::{Action, Listed, Names, Pattern, Policy, Sought};

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) headers: Lookup,
    pub(crate) cookies: Lookup,
    pub(crate) parameters: Lookup,
    pub(crate) fields: Lookup,
    pub(crate) address_headers: Lookup,
    pub(crate) patterns: Patterns,
    /// Users and passwords in front of a host.
    pub(crate) userinfo: Option<Entry>,
    /// The rule of all cookies that no other names: they are counted as their header.
    pub(crate) any_cookie: Option<usize>,
    /// What each rule is called, by its number.
    pub(crate) labels: Vec<String>,
}

/// Patterns with their rules; `None` is not looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    pub(crate) email: Option<Entry>,
    pub(crate) card: Option<Entry>,
    pub(crate) jwt: Option<Entry>,
    pub(crate) address: Option<Entry>,
    pub(crate) expressions: Vec<(Regex, Entry)>,
}

impl Rules {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut labels = Vec::new();
        let mut number = |kind: &str, listed: &Listed| {
            labels.push(format!("{kind} {}", listed.name));
            labels.len() - 1
        };
        let mut lookup = |kind: &str, names: &Names| {
            let last = if matches!(kind, "parameter" | "field") { innermost_of } else { str::trim };
            Lookup::new(names, last, &mut |listed| number(kind, listed))
        };
        let headers = lookup("header", &policy.headers);
        let cookies = lookup("cookie", &policy.cookies);
        let parameters = lookup("parameter", &policy.parameters);
        let fields = lookup("field", &policy.fields);
        let address_headers = lookup("address in header", &policy.address_headers);
        let patterns = Patterns::new(&policy.patterns, &mut labels);
        let userinfo = (policy.userinfo != Action::Keep).then(|| {
            labels.push("user in URL".to_owned());
            let is_filled = policy.userinfo == Action::Filler;
            Entry { rule: labels.len() - 1, is_filled, is_email: false }
        });
        let any_cookie = labels.iter().position(|label| label == "cookie *");
        Self {
            headers,
            cookies,
            parameters,
            fields,
            address_headers,
            patterns,
            userinfo,
            any_cookie,
            labels,
        }
    }
}

impl Patterns {
    fn new(patterns: &[Pattern], labels: &mut Vec<String>) -> Self {
        let mut ready = Self::default();
        for pattern in patterns.iter().filter(|pattern| pattern.action != Action::Keep) {
            let is_filled = pattern.action == Action::Filler;
            let is_email = matches!(pattern.sought, Sought::Email);
            let entry = Entry { rule: labels.len(), is_filled, is_email };
            labels.push(format!("pattern {}", pattern.name));
            match &pattern.sought {
                Sought::Email => ready.email = Some(entry),
                Sought::Card => ready.card = Some(entry),
                Sought::Jwt => ready.jwt = Some(entry),
                Sought::Address => ready.address = Some(entry),
                Sought::Expression(regex) => ready.expressions.push((regex.clone(), entry)),
            }
        }
        ready
    }
}
