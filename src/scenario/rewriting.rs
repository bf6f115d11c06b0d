//! What is changed in recorded requests on their way to the target, besides their `Host`: the
//! block `rewrite` of a scenario.

mod keys;

use std::collections::BTreeMap;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use serde_yaml::Spanned;

use crate::scenario::TargetSpec;
use crate::scenario::fields;
use crate::scenario::keys::{OneOrMany, RewriteKeys, Text};
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};

use keys::MaybeText;
pub(crate) use keys::{HookKeys, Maybe, PathKeys, TokenItem, TokenKeys, TokenList};

/// What is changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewriting {
    /// Names of headers that are left out.
    pub removed: Vec<String>,
    /// What paths become, rule after rule.
    pub paths: Vec<PathRule>,
    /// Parameters of the query that are set or left out, by name.
    pub query: Vec<QueryRule>,
    /// Cookies that the target sets take the place of recorded ones.
    pub follow_cookies: bool,
    /// Values of answers of the target that take the place of recorded ones.
    pub tokens: Tokens,
    /// A program that changes each request.
    pub hook: Option<Hook>,
}

/// Every match in a path is replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct PathRule {
    /// What is looked for in the path, without query.
    pub from: Pattern,
    /// What it becomes; `$1` is the first group of the match.
    pub to: String,
}

/// A parameter of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRule {
    /// Its name, as it is meant, not as it is escaped.
    pub name: String,
    /// Its value, likewise; `None` leaves the parameter out.
    pub value: Option<String>,
}

/// Values of answers that later requests of the same client carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    /// Those that production gave in a head, and that came back, are found in the recording.
    pub learn: bool,
    /// Those that the scenario says.
    pub declared: Vec<Declared>,
}

/// A value that is taken from answers by a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// For people.
    pub name: String,
    /// Where in an answer it is.
    pub from: From,
    /// Its first group is the value; the whole match where it has none.
    pub pattern: Pattern,
    /// Only answers to requests for such paths are looked at.
    pub path: Option<Pattern>,
    /// Where in later requests it is put, if that is there.
    pub to: Vec<Slot>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The beginning of its body.
    Body,
    /// A header.
    Header(String),
}

/// A place in a request that holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A header.
    Header(String),
    /// A parameter of the query.
    Query(String),
    /// A field of a form in the body.
    Form(String),
    /// A text in a body of JSON, by the name of its key.
    Json(String),
}

/// A program that gets each request as a line of JSON, and answers with the line to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take for a request.
    pub timeout: Duration,
}

/// A regular expression that was read, as it was written.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Rewriting {
    /// Something about heads changes besides `Host` and headers that are set.
    pub fn changes_heads(&self) -> bool {
        !self.removed.is_empty() || self.changes_targets()
    }

    /// Paths or queries change.
    pub fn changes_targets(&self) -> bool {
        !self.paths.is_empty() || !self.query.is_empty()
    }

    /// Later requests depend on answers of the target.
    pub fn follows(&self) -> bool {
        self.follow_cookies || self.tokens.learn || !self.tokens.declared.is_empty()
    }
}

/// Most rules of a kind: a person wrote them.
pub const MAX_RULES: usize = 100;

/// Memory of a compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// How long a hook may take for a request where the scenario does not say.
const HOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers that are set, and everything else.
type Read = (BTreeMap<String, String>, Rewriting);

/// Reads the block.
pub(crate) fn read(
    place: Place<'_>,
    keys: Option<Spanned<RewriteKeys>>,
    target: &TargetSpec,
) -> Result<Read, ScenarioError> {
    let Some(keys) = keys else { return Ok(Read::default()) };
    if target.redis().is_some() {
        let mistake = Mistake::new(
            "nothing is rewritten in commands of Redis",
            "leave `rewrite` out; user, password and database stand in `target.url`",
        );
        return Err(place.mistake(&keys, mistake));
    }
    let keys = keys.value;
    let (headers, removed) = headers(place, keys.headers.unwrap_or_default())?;
    let paths = keys.paths.unwrap_or_default();
    let mut rewriting = Rewriting { removed, ..Rewriting::default() };
    for PathKeys { from, to } in &paths {
        bounded(place, from, rewriting.paths.len())?;
        let to = place.read(to, |text| Ok(text.to_owned()))?;
        rewriting.paths.push(PathRule { from: place.read(from, pattern)?, to });
    }
    for (name, value) in keys.query.unwrap_or_default() {
        let text = value.text();
        bounded(place, &text, rewriting.query.len())?;
        if name.is_empty() {
            let mistake = Mistake::new("a parameter has a name", "write such as `tenant: staging`");
            return Err(place.mistake(&text, mistake));
        }
        let set = |text: &str| fields::header_value(text, place.environment);
        let value = value.value.is_some().then(|| place.read(&text, set)).transpose()?;
        rewriting.query.push(QueryRule { name, value });
    }
    rewriting.follow_cookies = place.or(keys.cookies.as_ref(), false, |text| {
        fields::word(text, &[("follow", true), ("recorded", false)])
    })?;
    if let Some(tokens) = keys.tokens {
        rewriting.tokens = read_tokens(place, &tokens)?;
    }
    rewriting.hook = keys.hook.map(|keys| hook(place, &keys.value)).transpose()?;
    Ok((headers, rewriting))
}

fn bounded(place: Place<'_>, at: &Text, count: usize) -> Result<(), ScenarioError> {
    if count < MAX_RULES {
        return Ok(());
    }
    let mistake = Mistake::new(format!("more than {MAX_RULES} rules"), "keep those that count");
    Err(place.mistake(at, mistake))
}

/// Headers that are set, and those that are left out.
fn headers(
    place: Place<'_>,
    keys: BTreeMap<String, Maybe>,
) -> Result<(BTreeMap<String, String>, Vec<String>), ScenarioError> {
    let (mut set, mut removed) = (BTreeMap::<String, String>::new(), Vec::<String>::new());
    for (name, value) in keys {
        let text = value.text();
        fields::header_name(&name).map_err(|mistake| place.mistake(&text, mistake))?;
        let mut others = set.keys().chain(&removed);
        if let Some(other) = others.find(|other| other.eq_ignore_ascii_case(&name)) {
            let mistake = Mistake::new(
                format!("`{name}` and `{other}` are the same header"),
                "keep one of the two; which one counts would be a guess",
            );
            return Err(place.mistake(&text, mistake));
        }
        if value.value.is_none() {
            removed.push(name);
            continue;
        }
        let value = place.read(&text, |text| fields::header_value(text, place.environment))?;
        set.insert(name, value);
    }
    Ok((set, removed))
}

fn pattern(text: &str) -> Result<Pattern, Mistake> {
    let built = RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
    built.map(Pattern).map_err(|_| {
        Mistake::new(
            format!("`{}` is not a regular expression", crop(text)),
            "write one of the crate regex, such as `^/v1/`; it has no look-around and no \
             back-references",
        )
    })
}

fn read_tokens(place: Place<'_>, list: &Spanned<TokenList>) -> Result<Tokens, ScenarioError> {
    let mut tokens = Tokens::default();
    match &list.value {
        TokenList::Word(word) => {
            let learn = fields::word(word, &[("learn", true), ("off", false)]);
            tokens.learn = learn.map_err(|mistake| place.mistake(list, mistake))?;
        }
        TokenList::Items(items) => {
            for item in items {
                match &item.value {
                    TokenItem::Word(word) => {
                        let learn = fields::word(word, &[("learn", true)]);
                        tokens.learn = learn.map_err(|mistake| place.mistake(item, mistake))?;
                    }
                    TokenItem::Declared(keys) => {
                        bounded(place, &keys.name, tokens.declared.len())?;
                        tokens.declared.push(declared(place, keys)?);
                    }
                }
            }
        }
    }
    Ok(tokens)
}

fn declared(place: Place<'_>, keys: &TokenKeys) -> Result<Declared, ScenarioError> {
    let to = match &keys.to.value {
        OneOrMany::One(text) => vec![slot(text).map_err(|it| place.mistake(&keys.to, it))?],
        OneOrMany::Many(texts) => place.each(texts, slot)?,
    };
    if to.is_empty() || to.len() > MAX_RULES {
        let mistake = Mistake::new("this is no list of places", SLOTS);
        return Err(place.mistake(&keys.to, mistake));
    }
    Ok(Declared {
        name: keys.name.value.clone(),
        from: place.read(&keys.from, from)?,
        pattern: match &keys.pattern {
            Some(text) => place.read(text, pattern)?,
            None => place.read(&keys.from, |_| pattern("(?s).+"))?,
        },
        path: keys.path.as_ref().map(|path| place.read(path, pattern)).transpose()?,
        to,
    })
}

fn from(text: &str) -> Result<From, Mistake> {
    let mistake = || {
        Mistake::new(
            format!("`{}` is no part of an answer", crop(text)),
            "write `body`, or `header NAME`",
        )
    };
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["body"] => Ok(From::Body),
        ["header", name] => Ok(From::Header(name.to_owned())),
        _ => Err(mistake()),
    }
}

const SLOTS: &str = "write `header NAME`, `query NAME`, `form NAME` or `json NAME`, or a list";

fn slot(text: &str) -> Result<Slot, Mistake> {
    let mistake = || Mistake::new(format!("`{}` is no place in a request", crop(text)), SLOTS);
    let (kind, name) = text.trim().split_once(' ').ok_or_else(mistake)?;
    let name = name.trim().to_owned();
    match kind {
        "header" => fields::header_name(&name).map(|()| Slot::Header(name)),
        "query" => Ok(Slot::Query(name)),
        "form" => Ok(Slot::Form(name)),
        "json" => Ok(Slot::Json(name)),
        _ => Err(mistake()),
    }
}

fn hook(place: Place<'_>, keys: &HookKeys) -> Result<Hook, ScenarioError> {
    const HINT: &str = "write a list such as [\"./sign.py\"]: the program, then its arguments";
    let command: Vec<String> = keys.command.iter().map(|text| text.value.clone()).collect();
    let is_bad = |text: &&Text| text.value.contains('\0') || text.value.len() > MAX_ARGUMENT;
    if let Some(bad) = keys.command.iter().find(is_bad) {
        return Err(place.mistake(bad, Mistake::new("this is no argument of a program", HINT)));
    }
    if let Some(first) = keys.command.first().filter(|first| first.value.trim().is_empty()) {
        return Err(place.mistake(first, Mistake::new("there is no program", HINT)));
    }
    let timeout = place.or(keys.timeout.as_ref(), HOOK_TIMEOUT, |text| {
        fields::duration(text, Duration::from_millis(1)..=Duration::from_mins(1))
    })?;
    Ok(Hook { command, timeout })
}

/// Longest argument of a hook, in bytes.
const MAX_ARGUMENT: usize = 4096;

#[cfg(test)]
mod tests;
