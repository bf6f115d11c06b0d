//! The loss ledger: every packet, stream byte and message ends in exactly one counted bucket.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account of one kind of thing. The total is counted where things enter, the buckets where
/// they end, by different code; [`Account::reconciles`] compares the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// How many entered.
    pub total: u64,
    /// How many ended in each bucket, by the bucket's name.
    pub buckets: BTreeMap<String, u64>,
}

impl Account {
    /// Counts `amount` that entered.
    pub fn enter(&mut self, amount: u64) {
        self.total = self.total.saturating_add(amount);
    }

    /// Counts `amount` that ended in `bucket`.
    pub fn end(&mut self, bucket: &str, amount: u64) {
        if amount == 0 {
            return;
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(amount);
        } else {
            self.buckets.insert(bucket.to_owned(), amount);
        }
    }

    /// How many ended in `bucket`.
    pub fn count(&self, bucket: &str) -> u64 {
        self.buckets.get(bucket).copied().unwrap_or(0)
    }

    /// Everything that entered ended somewhere, once.
    pub fn reconciles(&self) -> bool {
        // Accounts are read from files, too: what they say may be more than a number holds.
        let ended: u128 = self.buckets.values().map(|count| u128::from(*count)).sum();
        ended == u128::from(self.total)
    }

    /// Takes out what has ended; what has not ended yet stays.
    #[must_use]
    pub fn take_ended(&mut self) -> Self {
        let buckets = std::mem::take(&mut self.buckets);
        let ended = buckets.values().copied().fold(0, u64::saturating_add);
        // More than had entered: the one account that is wrong must show it.
        let total = ended.min(self.total);
        self.total -= total;
        Self { total, buckets }
    }

    /// Hands one that has ended in `bucket` over to another account.
    pub fn hand_over(&mut self, bucket: &str, to: &mut Self) {
        if let Some(count) = self.buckets.get_mut(bucket).filter(|count| **count > 0) {
            *count -= 1;
            self.total = self.total.saturating_sub(1);
            self.buckets.retain(|_, count| *count > 0);
            to.enter(1);
            to.end(bucket, 1);
        }
    }

    /// What ended in `bucket` ends in another one instead.
    pub fn rename(&mut self, bucket: &str, to: &str) {
        let amount = self.buckets.remove(bucket).unwrap_or(0);
        self.end(to, amount);
    }

    /// Adds another account of the same kind.
    pub fn merge(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        for (bucket, count) in &other.buckets {
            self.end(bucket, *count);
        }
    }
}

/// The accounts of one import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Frames of capture files (or lines of logs): `tcp payload`, `tcp without payload`,
    /// `not ip`, `udp`, `cut by snaplen` ...
    pub frames: Account,
    /// Payload bytes of TCP streams as captured: `http request`, `http response`,
    /// `retransmitted`, `not http`, `upgraded` ...
    pub stream_bytes: Account,
    /// Messages recognised: `exchange`, `request without response`, `response without request` ...
    pub messages: Account,
    /// Things seen that lose nothing or whose size is unknown, for people: `second syn-ack`,
    /// `gap bytes`, `dropped by the capturing kernel` ...
    pub notes: BTreeMap<String, u64>,
}

/// Notes of inputs that ended before their end, so that what was made of them is partial.
pub mod cut {
    /// A capture of packets, inside a frame.
    pub const CAPTURE: &str = "capture file is cut";
    /// A compressed file, whatever is in it.
    pub const COMPRESSED: &str = "compressed input is cut or damaged";
    /// A compressed file that unpacks to more than was allowed.
    pub const CEILING: &str = "compressed input unpacks to more than was read";
    /// A file of lines, of which the last one is neither ended nor understood.
    pub const LINE: &str = "last line is cut";
    /// A file of records with separators.
    pub const RECORD: &str = "last record without separator";
    /// A document of JSON that has no end.
    pub const DOCUMENT: &str = "the file is cut off";
    /// A document of JSON that is none from somewhere on.
    pub const DAMAGED_DOCUMENT: &str = "the JSON is damaged";

    /// All of them.
    pub const ALL: [&str; 7] =
        [CAPTURE, COMPRESSED, CEILING, LINE, RECORD, DOCUMENT, DAMAGED_DOCUMENT];
}

/// Notes of requests whose connection is not known, and that were given one by a rule.
pub mod guess {
    /// Of an access log that names neither the port of a client nor a number of its connection.
    pub const LOG: &str = "requests whose connection is a guess";
    /// Of formats that name connections, but not this one.
    pub const UNNAMED: &str = "requests whose connection is not known";
    /// The same in a HAR.
    pub const ENTRY: &str = "entries without connection";
    /// Of targets, which have none.
    pub const TARGET: &str = "targets that got a connection each";
    /// Of `GoReplay`, whose IDs may name connections or not.
    pub const RANDOM: &str = "IDs are random: connections are not known";

    /// All of them.
    pub const ALL: [&str; 5] = [LOG, UNNAMED, ENTRY, TARGET, RANDOM];
}

/// How the names of those buckets end in which lines, records and entries are that may each have
/// been a request, and were not read.
const UNREAD: [&str; 3] = [" not understood", " too long", " cut off"];

impl Ledger {
    /// Why what was read is only a part of what there was; nothing where it is all of it.
    pub fn cuts(&self) -> Vec<&'static str> {
        cut::ALL.into_iter().filter(|name| self.notes.contains_key(*name)).collect()
    }

    /// Requests were put on connections by a rule, since nothing says on which they were.
    pub fn guesses_connections(&self) -> bool {
        guess::ALL.into_iter().any(|name| self.notes.contains_key(name))
    }

    /// Lines, records and entries that may each have been a request, and of which none was made.
    pub fn unread(&self) -> u64 {
        let is_unread = |bucket: &str| UNREAD.iter().any(|end| bucket.ends_with(end));
        let buckets = self.frames.buckets.iter().filter(|(bucket, _)| is_unread(bucket));
        buckets.map(|(_, count)| *count).fold(0, u64::saturating_add)
    }

    /// Counts something worth telling.
    pub fn note(&mut self, name: &str, amount: u64) {
        if amount > 0 {
            let count = self.notes.entry(name.to_owned()).or_default();
            *count = count.saturating_add(amount);
        }
    }

    /// Takes back what was counted too early.
    pub fn unnote(&mut self, name: &str, amount: u64) {
        if let Some(count) = self.notes.get_mut(name) {
            *count = count.saturating_sub(amount);
        }
        self.notes.retain(|_, count| *count > 0);
    }

    /// Every account reconciles.
    pub fn reconciles(&self) -> bool {
        self.frames.reconciles() && self.stream_bytes.reconciles() && self.messages.reconciles()
    }

    /// Takes out everything that has ended, and all notes: the account of a file that ends while
    /// what is under way goes on to the next.
    #[must_use]
    pub fn take_ended(&mut self) -> Self {
        Self {
            frames: self.frames.take_ended(),
            stream_bytes: self.stream_bytes.take_ended(),
            messages: self.messages.take_ended(),
            notes: std::mem::take(&mut self.notes),
        }
    }

    /// Nothing stands in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the ledger of another file.
    pub fn merge(&mut self, other: &Self) {
        self.frames.merge(&other.frames);
        self.stream_bytes.merge(&other.stream_bytes);
        self.messages.merge(&other.messages);
        for (name, amount) in &other.notes {
            self.note(name, *amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reconciles_only_when_each_thing_ended_once() {
        let mut account = Account::default();
        account.enter(3);
        account.end("tcp payload", 2);
        assert!(!account.reconciles());
        account.end("not ip", 1);
        assert!(account.reconciles());
        account.end("not ip", 1);
        assert!(!account.reconciles());
    }

    /// An account of a file may say anything.
    #[test]
    fn numbers_beyond_all_bounds_reconcile_with_nothing() {
        let of = |count: u64| [("exchange".to_owned(), count), ("lost".to_owned(), 5)].into();
        let mut account = Account { total: 4, buckets: of(u64::MAX) };
        assert!(!account.reconciles(), "2^64 - 1 + 5 is 4 in 64 bits");
        account.merge(&Account { total: u64::MAX, buckets: of(u64::MAX) });
        account.enter(1);
        assert!(!account.reconciles() && !account.clone().take_ended().reconciles());
        assert!(Account { total: 9, buckets: of(4) }.reconciles());
        let mut ledger = Ledger { frames: account, ..Ledger::default() };
        ledger.note("gaps", u64::MAX);
        ledger.note("gaps", 1);
        assert_eq!((ledger.notes["gaps"], ledger.unread()), (u64::MAX, 0));
        ledger.frames.buckets = [("line too long", u64::MAX), ("line cut off", 1)]
            .map(|(n, c)| (n.to_owned(), c))
            .into();
        assert_eq!(ledger.unread(), u64::MAX);
    }

    #[test]
    fn what_is_under_way_goes_on_to_the_next_file() {
        let mut ledger = Ledger::default();
        ledger.messages.enter(3);
        ledger.messages.end("exchange", 2);
        ledger.note("gaps", 1);
        let mut first = ledger.take_ended();
        assert_eq!((first.messages.total, ledger.messages.total), (2, 1));
        assert!(first.reconciles() && !ledger.reconciles());
        ledger.messages.end("exchange", 1);
        // It had begun in the time of the first file.
        ledger.messages.hand_over("exchange", &mut first.messages);
        ledger.messages.hand_over("exchange", &mut first.messages);
        assert_eq!((first.messages.count("exchange"), ledger.messages.count("exchange")), (3, 0));
        assert!(first.reconciles() && ledger.reconciles());
        assert_eq!((first.notes["gaps"], ledger.notes.len()), (1, 0));
    }

    #[test]
    fn what_could_not_be_read_is_told_from_what_is_no_request() {
        let mut ledger = Ledger::default();
        for (bucket, count) in
            [("exchange line", 7), ("line not understood", 2), ("entry too long", 1)]
        {
            ledger.frames.enter(count);
            ledger.frames.end(bucket, count);
        }
        ledger.frames.end("empty line", 5);
        assert_eq!(ledger.unread(), 3);
        assert!(!ledger.guesses_connections());
        ledger.note(guess::LOG, 1);
        assert!(ledger.guesses_connections());
    }

    #[test]
    fn what_ended_without_having_begun_is_not_hidden() {
        let mut account = Account::default();
        account.enter(1);
        account.end("exchange", 2);
        assert!(!account.take_ended().reconciles());
    }
}
