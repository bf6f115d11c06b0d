//! The policy file: YAML that adds to the defaults, or takes names out of them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde_yaml::Spanned;

use crate::recording::redaction::names::innermost_of;
use crate::recording::redaction::policy::{
    Action, Listed, Names, PATTERNS, Pattern, Policy, Sought, expression,
};
use crate::scenario::fields::word;
use crate::scenario::parse::yaml_options;
use crate::scenario::problem::{Mistake, ScenarioError, Source, crop, did_you_mean};

/// Largest policy file, in bytes: thousands of names.
const MAX_FILE: u64 = 1 << 18;

/// Reads a policy file.
pub(super) fn load(path: &Path) -> anyhow::Result<Policy> {
    let name = path.display().to_string();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .with_context(|| format!("cannot read the redaction policy {name}"))?;
    Ok(from_text(&text, &name)?)
}

fn from_text(text: &str, file: &str) -> Result<Policy, ScenarioError> {
    let source = Source { file, text };
    if text.len() as u64 > MAX_FILE {
        let hint = "a policy lists names and patterns: is this another file?";
        return Err(source.problem(0, 0, Mistake::new("the file is larger than 256 KiB", hint)));
    }
    let keys: Keys = serde_yaml::from_str_with_options(text, yaml_options())
        .map_err(|error| source.yaml_problem(&error))?;
    let has_defaults = keys.defaults.unwrap_or(true);
    let mut policy = if has_defaults { Policy::default() } else { Policy::nothing() };
    policy.name = format!("{} and {file}", policy.name);
    let keep = keys.keep.unwrap_or_default();
    if let Some(action) = &keys.users {
        policy.userinfo = read(source, action, |text| word(text, &ACTIONS))?;
    }
    names(source, &mut policy.headers, keys.headers, keep.headers)?;
    names(source, &mut policy.cookies, keys.cookies, keep.cookies)?;
    let is_replaced = |listed: &Listed| listed.action != Action::Keep;
    if !has_defaults && policy.cookies.own.iter().any(is_replaced) {
        // Cookies are found in these alone.
        let header = |name: &str| Listed { name: name.to_owned(), action: Action::default() };
        policy.headers.default = ["Cookie", "Set-Cookie"].map(header).to_vec();
    }
    for items in [&keys.parameters, &keys.fields] {
        check_last(source, items.iter().flatten().map(|item| (item, &item.value.name)))?;
    }
    for names in [&keep.parameters, &keep.fields] {
        check_last(source, names.iter().flatten().map(|name| (name, &name.value)))?;
    }
    names(source, &mut policy.parameters, keys.parameters, keep.parameters)?;
    names(source, &mut policy.fields, keys.fields, keep.fields)?;
    names(source, &mut policy.address_headers, keys.client_addresses, keep.client_addresses)?;
    let mut listed = Vec::new();
    for item in keys.patterns.unwrap_or_default() {
        let pattern = pattern(source, &item)?;
        if listed.contains(&pattern.name) {
            let message = format!("there are two patterns `{}`", pattern.name);
            let mistake = Mistake::new(message, "give each a name of its own");
            return Err(at(source, &item, mistake));
        }
        listed.push(pattern.name.clone());
        policy.patterns.retain(|other| other.name != pattern.name);
        policy.patterns.push(pattern);
    }
    for name in keep.patterns.unwrap_or_default() {
        let kept = read(source, &name, built_in)?;
        policy.patterns.retain(|other| other.name != kept.name);
    }
    Ok(policy)
}

type Text = Spanned<String>;
type Items = Option<Vec<Spanned<Item>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    defaults: Option<bool>,
    headers: Items,
    cookies: Items,
    parameters: Items,
    fields: Items,
    client_addresses: Items,
    users: Option<Text>,
    patterns: Items,
    keep: Option<Keep>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keep {
    headers: Option<Vec<Text>>,
    cookies: Option<Vec<Text>>,
    parameters: Option<Vec<Text>>,
    fields: Option<Vec<Text>>,
    client_addresses: Option<Vec<Text>>,
    patterns: Option<Vec<Text>>,
}

/// A name alone, or with what happens to its values.
struct Item {
    name: String,
    action: Option<String>,
    regex: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemKeys {
    name: String,
    action: Option<String>,
    regex: Option<String>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name, or `{ name: ..., action: ... }`")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Item, E> {
        Ok(Item { name: name.to_owned(), action: None, regex: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
        let ItemKeys { name, action, regex } =
            ItemKeys::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Item { name, action, regex })
    }
}

const ACTIONS: [(&str, Action); 3] =
    [("pseudonym", Action::Pseudonym), ("filler", Action::Filler), ("keep", Action::Keep)];

/// Longest name, in bytes; the lookup sees the end of a longer one only.
const MAX_NAME: usize = 100;

fn names(
    source: Source<'_>,
    names: &mut Names,
    items: Items,
    keep: Option<Vec<Text>>,
) -> Result<(), ScenarioError> {
    for item in items.unwrap_or_default() {
        if item.value.regex.is_some() {
            let hint = "write `regex` under `patterns`; names may have `*` for anything";
            return Err(at(source, &item, Mistake::new("a name has no expression", hint)));
        }
        let listed = name(&item.value.name).and_then(|name| {
            let action = action(item.value.action.as_deref())?;
            Ok(Listed { name, action })
        });
        names.own.push(listed.map_err(|mistake| at(source, &item, mistake))?);
    }
    for kept in keep.unwrap_or_default() {
        let name = read(source, &kept, name)?;
        names.own.push(Listed { name, action: Action::Keep });
    }
    Ok(())
}

/// Of `user[name]` only `name` counts, so a star there would be all names.
fn check_last<'a, T: 'a>(
    source: Source<'_>,
    items: impl Iterator<Item = (&'a Spanned<T>, &'a String)>,
) -> Result<(), ScenarioError> {
    for (item, name) in items {
        let last = innermost_of(name);
        if last.is_empty() || (last == "*" && last != name) {
            let message = format!("`{}` has no name of its own", crop(name));
            let hint = "of `user[name]` and `user.name`, `name` alone counts: write that";
            return Err(at(source, item, Mistake::new(message, hint)));
        }
    }
    Ok(())
}

fn name(text: &str) -> Result<String, Mistake> {
    let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !"=:;&".contains(c);
    if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(is_name) {
        return Err(Mistake::new(
            format!("`{}` is not a name", crop(text)),
            "write a name such as `X-Shop-Key`, without its value; `*` stands for anything, as in \
             `X-Shop-*`",
        ));
    }
    Ok(text.to_owned())
}

fn action(text: Option<&str>) -> Result<Action, Mistake> {
    text.map_or(Ok(Action::default()), |text| word(text, &ACTIONS))
}

/// A pattern of the program by its name, or one with an expression.
fn pattern(source: Source<'_>, item: &Spanned<Item>) -> Result<Pattern, ScenarioError> {
    let Item { name, action: given, regex } = &item.value;
    let read = || {
        let action = action(given.as_deref())?;
        let Some(text) = regex else {
            return Ok(Pattern { action, ..built_in(name)? });
        };
        if PATTERNS.iter().any(|(known, _)| known == name) {
            let message = format!("`{name}` is a pattern already");
            return Err(Mistake::new(message, "give your expression another name"));
        }
        let name = self::name(name)?;
        let sought = expression(text).map(Sought::Expression).map_err(|problem| {
            Mistake::new(
                format!("the expression of `{name}` cannot be used: {problem}"),
                "write it as in the regex crate, between single quotes, such as 'CUST-[0-9]{8}'",
            )
        })?;
        Ok(Pattern { name, sought, action })
    };
    read().map_err(|mistake| at(source, item, mistake))
}

fn built_in(name: &str) -> Result<Pattern, Mistake> {
    let known = PATTERNS.iter().find(|(known, _)| *known == name);
    let pattern = known.map(|(name, sought)| Pattern {
        name: (*name).to_owned(),
        sought: sought.clone(),
        action: Action::default(),
    });
    pattern.ok_or_else(|| {
        let names = PATTERNS.each_ref().map(|(name, _)| *name);
        let hint = did_you_mean(name, &names, "give it a `regex`, or name one of");
        Mistake::new(format!("there is no pattern `{}`", crop(name)), hint)
    })
}

fn read<T>(
    source: Source<'_>,
    text: &Text,
    parse: impl Fn(&str) -> Result<T, Mistake>,
) -> Result<T, ScenarioError> {
    parse(&text.value).map_err(|mistake| at(source, text, mistake))
}

fn at<T>(source: Source<'_>, place: &Spanned<T>, mistake: Mistake) -> ScenarioError {
    let number = |number: u64| usize::try_from(number).unwrap_or(0);
    let (line, column) = (place.referenced.line(), place.referenced.column());
    source.problem(number(line), number(column), mistake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::key::Key;
    use crate::recording::redaction::{KeySource, Redactor};

    fn shown(policy: &str, head: &str) -> String {
        let policy = from_text(policy, "p.yaml").unwrap_or_else(|error| panic!("{error}"));
        let mut redactor =
            Redactor::new(&policy.filled(), Key::from_secret(b""), KeySource::Random);
        let head = format!("GET /?token=ab&mine=cd HTTP/1.1\r\n{head}");
        String::from_utf8(redactor.shown_head(head.as_bytes())).unwrap()
    }

    #[test]
    fn a_file_adds_to_the_defaults_and_takes_out_of_them() {
        let head = "Cookie: id=1; lang=de\r\nX-Mine-1: ab\r\nA: CUST-12 a@b.de";
        // Target, cookies, X-Mine-1 and A.
        let default = ["token=xx&mine=cd", "id=x; lang=xx", ": ab", "CUST-12 xxxxxx"];
        let nothing = ["token=ab&mine=cd", "id=1; lang=de", ": ab", "CUST-12 a@b.de"];
        let with = |texts: [&'static str; 4], at: usize, text| {
            let mut texts = texts;
            texts[at] = text;
            texts
        };
        for (policy, expected) in [
            ("{}", default),
            ("headers: [X-Mine-*]", with(default, 2, ": xx")),
            ("parameters: [{ name: mine, action: filler }]", with(default, 0, "token=xx&mine=xx")),
            ("keep: { cookies: [lang] }", with(default, 1, "id=x; lang=de")),
            ("cookies: [{ name: id, action: keep }]", with(default, 1, "id=1; lang=xx")),
            ("keep: { parameters: ['*ken'] }", with(default, 0, "token=ab&mine=cd")),
            ("keep: { patterns: [email] }", with(default, 3, "CUST-12 a@b.de")),
            (
                "patterns:\n  - name: customer\n    regex: 'CUST-\\d+'\n",
                with(default, 3, "xxxxxxx xxxxxx"),
            ),
            ("defaults: false", nothing),
            ("defaults: false\ncookies: [id]", with(nothing, 1, "id=x; lang=de")),
            ("defaults: false\nparameters: ['a[mine]']", with(nothing, 0, "token=ab&mine=xx")),
            ("defaults: false\nparameters: [a.mine]", with(nothing, 0, "token=ab&mine=xx")),
        ] {
            let shown = shown(policy, head);
            assert!(expected.iter().all(|text| shown.contains(text)), "{policy}\n{shown}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_what_to_write() {
        for (policy, (line, column), message, hint) in [
            ("headrs: [a]", (1, 1), "unknown key `headrs`", "did you mean `headers`"),
            ("headers: a", (1, 10), "a list is expected", "[a, b]"),
            ("headers: [a b]", (1, 11), "`a b` is not a name", "X-Shop-Key"),
            ("headers:\n  - name: a\n    action: fill", (2, 5), "`fill`", "did you mean `filler`"),
            ("headers:\n  - nam: a", (2, 5), "`nam`", "did you mean `name`"),
            ("headers: [{ name: a, regex: b }]", (1, 11), "no expression", "under `patterns`"),
            ("patterns: [emial]", (1, 12), "no pattern `emial`", "did you mean `email`"),
            ("patterns: [{ name: a, regex: '(' }]", (1, 12), "unclosed group", "single quotes"),
            ("patterns: [{ name: card, regex: a }]", (1, 12), "a pattern already", "another name"),
            (
                "patterns:\n  - { name: a, regex: b }\n  - { name: a, regex: c }",
                (3, 5),
                "two patterns `a`",
                "name of its own",
            ),
            ("keep: { fields: ['a[*]'] }", (1, 18), "no name of its own", "`name` alone counts"),
            ("keep: { patterns: [iban] }", (1, 20), "no pattern `iban`", "email, card"),
            ("users: no", (1, 8), "`no`", "pseudonym, filler, keep"),
            ("defaults: maybe", (1, 11), "neither `true` nor `false`", "true"),
        ] {
            let error = from_text(policy, "p.yaml").err().unwrap_or_else(|| panic!("{policy}"));
            let ScenarioError::Invalid(problem) = &error else { panic!("{error}") };
            assert!(problem.message.contains(message), "{policy}: {error}");
            assert!(problem.hint.contains(hint), "{policy}: {error}");
            assert_eq!((problem.line, problem.column), (line, column), "{policy}: {error}");
        }
    }
}
