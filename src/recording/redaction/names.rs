//! Names of headers, cookies, parameters and fields, as a policy lists them: compared without
//! regard to case, `-` and `_`; `*` stands for anything.

use std::collections::BTreeMap;

use crate::recording::redaction::policy::{Action, Listed, Names};

/// What happens to a value, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Number of the rule, for counting.
    pub(crate) rule: usize,
    pub(crate) is_filled: bool,
    /// What it finds is an e-mail address, of which the top-level domain stays.
    pub(crate) is_email: bool,
}

/// Names ready for looking up. Most names that are looked up are not listed, and all but a few of
/// those are told by their last three letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    /// The policy's own names come before the defaults.
    layers: [Layer; 2],
    kept: Layer,
    /// Those that the defaults keep: only of what they take themselves.
    spared: Layer,
    /// A bit for each ending that a listed name may have.
    endings: Vec<u64>,
    /// Fewest bytes of a name whose ending is not known, such as `x-*`; `None` where there is none.
    open: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    exact: BTreeMap<Vec<u8>, Entry>,
    /// Names that begin with the only star, which most globs are: what follows it, by its ending.
    suffixes: BTreeMap<usize, Vec<(Vec<u8>, Entry)>>,
    globs: Vec<(Vec<u8>, Entry)>,
}

/// Bytes of a name that are looked at: the last ones of a longer name.
const LONGEST: usize = 128;

impl Lookup {
    /// `last` takes the part of a listed name that counts; `number` gives the number of its rule.
    pub(crate) fn new(
        names: &Names,
        last: fn(&str) -> &str,
        number: &mut dyn FnMut(&Listed) -> usize,
    ) -> Self {
        let mut lookup = Self { endings: vec![0; 1 << (15 - 6)], ..Self::default() };
        for (layer, listed) in [(0, &names.own), (1, &names.default)] {
            for listed in listed {
                let name = last(&listed.name);
                lookup.note_ending(name);
                let is_kept = listed.action == Action::Keep;
                let rule = if is_kept { usize::MAX } else { number(listed) };
                let is_email = significant(name.as_bytes().iter()).collect::<Vec<u8>>();
                let is_email = is_email.ends_with(b"email");
                let entry = Entry { rule, is_filled: listed.action == Action::Filler, is_email };
                let [own, default] = &mut lookup.layers;
                match (is_kept, layer) {
                    (true, 0) => lookup.kept.add(name, entry),
                    (true, _) => lookup.spared.add(name, entry),
                    (false, 0) => own.add(name, entry),
                    (false, _) => default.add(name, entry),
                }
            }
        }
        lookup
    }

    /// What happens to the value of a name; `None` where nothing does.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Entry> {
        let name = name.get(name.len().saturating_sub(LONGEST)..).unwrap_or(name);
        let ending = ending(name.iter().rev());
        let bits = self.endings.get(ending >> 6).copied().unwrap_or_default();
        let is_open = self.open.is_some_and(|fewest| name.len() >= fewest);
        if bits >> (ending & 63) & 1 == 0 && !is_open {
            return None;
        }
        let mut normal = [0; LONGEST];
        let mut length = 0;
        for (place, byte) in normal.iter_mut().zip(significant(name.iter())) {
            *place = byte;
            length += 1;
        }
        let normal = normal.get(..length)?;
        let [own, default] = &self.layers;
        let by_default = || {
            let entry = default.get(normal, ending)?;
            self.spared.get(normal, ending).is_none().then_some(entry)
        };
        let entry = own.get(normal, ending).or_else(by_default)?;
        self.kept.get(normal, ending).is_none().then_some(entry)
    }

    fn note_ending(&mut self, name: &str) {
        let ended = significant(name.as_bytes().iter().rev()).position(|byte| byte == b'*');
        if ended.is_some_and(|letters| letters < 3) {
            let fewest = significant(name.as_bytes().iter()).filter(|byte| *byte != b'*').count();
            self.open = Some(self.open.map_or(fewest, |open| open.min(fewest)));
            return;
        }
        let ending = ending(name.as_bytes().iter().rev());
        if let Some(bits) = self.endings.get_mut(ending >> 6) {
            *bits |= 1 << (ending & 63);
        }
    }
}

impl Layer {
    fn add(&mut self, name: &str, entry: Entry) {
        let normal: Vec<u8> = significant(name.as_bytes().iter()).collect();
        let suffix = normal.strip_prefix(b"*").filter(|suffix| suffix.len() >= 3);
        if let Some(suffix) = suffix.filter(|suffix| !suffix.contains(&b'*')) {
            let of_ending = self.suffixes.entry(ending(suffix.iter().rev())).or_default();
            of_ending.push((suffix.to_vec(), entry));
        } else if normal.contains(&b'*') {
            self.globs.push((normal, entry));
        } else {
            self.exact.insert(normal, entry);
        }
    }

    fn get(&self, normal: &[u8], ending: usize) -> Option<Entry> {
        let by_suffix = || {
            let of_ending = self.suffixes.get(&ending)?;
            of_ending.iter().find(|(suffix, _)| normal.ends_with(suffix))
        };
        let by_glob = || self.globs.iter().find(|(glob, _)| matches(glob, normal));
        self.exact.get(normal).copied().or_else(|| {
            let (_, entry) = by_suffix().or_else(by_glob)?;
            Some(*entry)
        })
    }
}

fn significant<'a>(name: impl Iterator<Item = &'a u8>) -> impl Iterator<Item = u8> {
    name.filter(|byte| !matches!(byte, b'-' | b'_')).map(u8::to_ascii_lowercase)
}

/// Five bits of each of the last three bytes that count, of which fewer may be there.
fn ending<'a>(reversed: impl Iterator<Item = &'a u8>) -> usize {
    let last = significant(reversed).take(3).enumerate();
    last.fold(0, |bits, (position, byte)| bits | usize::from(byte & 31) << (5 * position))
}

/// A glob's pieces between its stars stand in the name, the first in front, the last at the end.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let mut pieces = glob.split(|byte| *byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let Some(at) = rest.windows(piece.len()).position(|window| window == piece) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// A listed name, with stars or without, says whatever another one says.
pub(crate) fn covers(listed: &str, name: &str) -> bool {
    let normal = |name: &str| significant(name.as_bytes().iter()).collect::<Vec<u8>>();
    matches(&normal(listed), &normal(name))
}

/// Of `user[password]`, `user.password` and `password[]` the name is `password`.
pub(crate) fn innermost(name: &[u8]) -> &[u8] {
    let mut name = name.trim_ascii();
    while let Some(list) = name.strip_suffix(b"[]") {
        name = list;
    }
    let name = name.strip_suffix(b"]").unwrap_or(name);
    let start = name.iter().rposition(|byte| matches!(byte, b'[' | b'.')).map_or(0, |at| at + 1);
    name.get(start..).unwrap_or_default()
}

/// The same of a name in a policy.
pub(crate) fn innermost_of(name: &str) -> &str {
    std::str::from_utf8(innermost(name.as_bytes())).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::policy::Policy;

    fn lookup(own: &[(&str, Action)], default: &[&str]) -> Lookup {
        let listed = |name: &str, action| Listed { name: name.to_owned(), action };
        let names = Names {
            own: own.iter().map(|(name, action)| listed(name, *action)).collect(),
            default: default.iter().map(|name| listed(name, Action::Pseudonym)).collect(),
        };
        let mut number = 0;
        Lookup::new(&names, str::trim, &mut |_| {
            number += 1;
            number - 1
        })
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let lookup = lookup(&[], &["X-Api-Key", "*token", "x-*-id", "pw", "a*b*c"]);
        for name in ["x-api-key", "X_API_KEY", "xApiKey", "x-api-key-"] {
            assert_eq!(lookup.get(name.as_bytes()).map(|entry| entry.rule), Some(0), "{name}");
        }
        for (name, rule) in [("Token", 1), ("csrf-to_ken", 1), ("x-1-id", 2), ("PW", 3)] {
            assert_eq!(lookup.get(name.as_bytes()).map(|entry| entry.rule), Some(rule), "{name}");
        }
        assert!(lookup.get(b"aXbYc").is_some() && lookup.get(b"abc").is_some());
        assert!(lookup.get([&[b'y'; 500][..], b"token"].concat().as_slice()).is_some(), "long");
        for name in ["x-api-keys", "api-key", "tokens", "token2", "p", "", "-", "acb", "x-id2"] {
            assert_eq!(lookup.get(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn a_policys_own_names_go_before_the_defaults_and_what_it_keeps_before_both() {
        let own = [("s*", Action::Filler), ("safe", Action::Keep), ("to*", Action::Keep)];
        let lookup = lookup(&own, &["secret", "safe", "token"]);
        assert_eq!(
            lookup.get(b"secret"),
            Some(Entry { rule: 0, is_filled: true, is_email: false })
        );
        assert_eq!(lookup.get(b"safe"), None);
        assert_eq!(lookup.get(b"token"), None);
    }

    #[test]
    fn tokens_of_pages_stay_unless_a_policy_lists_them() {
        let is_found = |own: &[&str], name: &[u8]| {
            let mut names = Policy::default().parameters;
            let action = Action::default();
            let listed = own.iter().map(|name| Listed { name: (*name).to_owned(), action });
            names.own = listed.collect();
            Lookup::new(&names, str::trim, &mut |_| 0).get(name).is_some()
        };
        for name in ["pageToken", "next_page_token", "nextToken", "continuation-token", "syncToken"]
        {
            assert!(!is_found(&[], name.as_bytes()), "{name}");
            assert!(is_found(&[name], name.as_bytes()), "{name}");
        }
        for name in ["token", "token2", "password1", "newPasswordAgain", "pass1", "old_pwd"] {
            assert!(is_found(&[], name.as_bytes()), "{name}");
        }
    }
}
