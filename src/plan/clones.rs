//! Clones are other people than their originals: identities that are pseudonyms are drawn anew for
//! each copy, and, where the scenario wants it, so are the keys that caches know resources by.
//!
//! - Identities: what redaction by the default policy finds in heads, targets and bodies. The same
//!   value becomes the same other one in all requests of a copy, of the same length, so that a
//!   clone's session hangs together as its original's does.
//! - Keys: GET and HEAD get a parameter of the query, so that what is asked for still exists and a
//!   cache takes it for something else; keys of Redis get a word at their end.

use ::bytes::Bytes;

use crate::plan::fingerprint::Fnv;
use crate::plan::pending::Request;
use crate::plan::retarget::reshaped;
use crate::protocol::Protocol;
use crate::protocol::resp::command;
use crate::protocol::resp::exact::exact;
use crate::protocol::resp::keyed::keys;
use crate::recording::redaction::key::Key;
use crate::recording::redaction::policy::Policy;
use crate::recording::redaction::{KeySource, Redactor};
use crate::recording::{Exchange, Flags};
use crate::scenario::clones::{CloneKeys, Clones, Identities};
use crate::scenario::rewriting::{QueryRule, Rewriting};

/// Changes requests of clones.
#[derive(Debug)]
pub(crate) struct Remapping {
    clones: Clones,
    seed: u64,
    /// By copy, made when a copy is first asked for.
    redactors: Vec<Option<Redactor>>,
}

/// The parameter that tells a clone's targets from its original's.
const PARAMETER: &str = "peakhour-clone";

impl Remapping {
    pub(crate) fn new(clones: Clones, seed: u64) -> Self {
        Self { clones, seed, redactors: Vec::new() }
    }

    /// The exchange with another identity; `None` where nothing of it tells who asks, or where that
    /// is to stay.
    pub(crate) fn other(&mut self, exchange: &Exchange, copy: u32) -> Option<Exchange> {
        let is_pseudonym = exchange.flags.contains(Flags::REDACTED);
        let is_wanted = match self.clones.identities {
            Identities::Own => true,
            Identities::Pseudonyms => is_pseudonym,
            Identities::Shared => false,
        };
        if !is_wanted || exchange.protocol.is_of_commands() {
            return None;
        }
        let mut other = exchange.clone();
        if let Some(response) = &mut other.response {
            response.head = Bytes::new();
        }
        self.redactor(copy)?.redact(&mut other);
        // Whom it is counted with does not change.
        other.session = exchange.session;
        other.route.clone_from(&exchange.route);
        other.authority.clone_from(&exchange.authority);
        let is_same = other.request_head == exchange.request_head
            && other.request_body == exchange.request_body
            && other.request_stored == exchange.request_stored;
        (!is_same).then_some(other)
    }

    /// One key for each copy.
    fn redactor(&mut self, copy: u32) -> Option<&mut Redactor> {
        let place = usize::try_from(copy).ok()?;
        if self.redactors.len() <= place {
            self.redactors.resize_with(place + 1, || None);
        }
        let secret = [self.seed.to_le_bytes(), u64::from(copy).to_le_bytes()].concat();
        let make = || {
            let key = Key::from_secret(&secret);
            Redactor::new(&Policy::default(), key, KeySource::Random)
        };
        Some(self.redactors.get_mut(place)?.get_or_insert_with(make))
    }

    /// Gives a clone's request keys of its own, where the scenario wants it and where they are
    /// known; whether it did.
    pub(crate) fn own_keys(&self, request: &mut Request, copy: u32) -> bool {
        if self.clones.keys == CloneKeys::Shared {
            return false;
        }
        let changed = if request.protocol.is_of_commands() {
            own_command(&request.body, copy).map(|body| request.body = body)
        } else if matches!(&*request.method, "GET" | "HEAD") {
            own_target(&request.head, copy).map(|head| request.head = head)
        } else {
            None
        };
        if changed.is_some() {
            request.target = Fnv::new().number(request.target).number(u64::from(copy)).finish();
        }
        changed.is_some()
    }

    /// Whether clones ask for what their originals ask for.
    pub(crate) fn shares_keys(&self) -> bool {
        self.clones.keys == CloneKeys::Shared
    }
}

/// The command with each of its keys followed by the number of the copy; `None` without keys.
fn own_command(body: &[u8], copy: u32) -> Option<Bytes> {
    let words = exact(body)?;
    let places = keys(&words);
    let mut own: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
    for place in &places {
        // Behind the key: what stands in its braces, by which clusters place it, stays.
        own.get_mut(*place)?.extend_from_slice(format!(":clone-{copy}").as_bytes());
    }
    let own: Vec<&[u8]> = own.iter().map(Vec::as_slice).collect();
    (!places.is_empty()).then(|| command(&own).into())
}

/// The head with a further parameter in the query of its target; `None` where that is no path.
fn own_target(head: &[u8], copy: u32) -> Option<Bytes> {
    let rule = QueryRule { name: PARAMETER.to_owned(), value: Some(copy.to_string()) };
    let rewriting = Rewriting { query: vec![rule], ..Rewriting::default() };
    let own = reshaped(head, &rewriting)?;
    (own != head).then(|| own.into())
}

/// The request says who asks for it, by a cookie or a credential.
pub(crate) fn says_who(request: &Request) -> bool {
    let is_named = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"Cookie") || name.eq_ignore_ascii_case(b"Authorization")
    };
    request.protocol != Protocol::Redis && request.head.split(|byte| *byte == b'\n').any(is_named)
}

#[cfg(test)]
mod tests;
