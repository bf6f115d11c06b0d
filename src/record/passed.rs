//! What the proxy did, apart from what it recorded.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::capture::import::MAX_SERVERS;
use crate::record::copies::Seen;
use crate::recording::ledger::Ledger;

/// Where copies end that the recorder had no time for.
const DROPPED: &str = "dropped: the recorder was behind";

/// Longest text kept of why connections failed, in characters: part of it is the peer's.
const MAX_REASON: usize = 300;

/// Counted as it happens, by the proxy; read by whoever writes the recording.
#[derive(Debug, Default)]
pub struct Passed {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Connections that were closed because the upstream accepted none.
    pub no_upstream: AtomicU64,
    /// Times this machine had no connection to give: no files, no ports.
    pub local_errors: AtomicU64,
    /// Connections of which nothing was copied, since the recorder was behind when they began.
    pub unrecorded: AtomicU64,
    /// Copies dropped, and their bytes.
    pub dropped: [AtomicU64; 2],
    /// Inside of TLS, ends of clients and of the upstream that were not announced although the
    /// other side had more to say: they may have been cut. Many programs just close.
    pub torn: [AtomicU64; 2],
    /// Bytes that wait for the recorder.
    pub(super) waiting: AtomicU64,
    /// Where clients connected to: who replays to these replays to the upstream.
    fronts: Mutex<BTreeSet<SocketAddr>>,
    /// What went wrong with TLS, by its name. The names are ours, so that they are few.
    failures: Mutex<BTreeMap<&'static str, Failure>>,
    /// How much of each count stands in a ledger already.
    entered: Mutex<BTreeMap<&'static str, u64>>,
}

/// How often something went wrong, and how it was worded the first time.
#[derive(Debug)]
struct Failure {
    count: u64,
    reason: String,
    is_told: bool,
}

impl Passed {
    /// The recorder has taken this.
    pub fn taken(&self, seen: &Seen) {
        self.waiting.fetch_sub(seen.cost(), Ordering::Relaxed);
    }

    /// Where clients connected to, as many as are kept.
    pub fn fronts(&self) -> Vec<SocketAddr> {
        held(&self.fronts).iter().copied().collect()
    }

    pub(super) fn keep_front(&self, front: SocketAddr) {
        let mut fronts = held(&self.fronts);
        if fronts.len() < MAX_SERVERS {
            fronts.insert(front);
        }
    }

    /// Counts what went wrong with TLS.
    pub(super) fn failed(&self, name: &'static str, reason: &str) {
        let mut failures = held(&self.failures);
        let failure = failures.entry(name).or_insert_with(|| Failure {
            count: 0,
            reason: reason.chars().take(MAX_REASON).collect(),
            is_told: false,
        });
        failure.count += 1;
    }

    /// What has gone wrong for the first time since this was asked: its name, and the reason.
    pub fn news(&self) -> Vec<(&'static str, String)> {
        let mut failures = held(&self.failures);
        let new = failures.iter_mut().filter(|(_, failure)| !failure.is_told);
        new.map(|(name, failure)| {
            failure.is_told = true;
            (*name, failure.reason.clone())
        })
        .collect()
    }

    /// All that went wrong with TLS, by its name.
    pub fn failures(&self) -> BTreeMap<String, u64> {
        let failures = held(&self.failures);
        failures.iter().map(|(name, failure)| ((*name).to_owned(), failure.count)).collect()
    }

    /// Enters what never reached the recorder, as far as it was not entered before: of several
    /// ledgers, each has what happened in its time.
    pub fn account(&self, ledger: &mut Ledger) {
        let mut entered = held(&self.entered);
        let mut new = |name, count: u64| {
            let before = entered.insert(name, count).unwrap_or(0);
            count.saturating_sub(before)
        };
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [copies, bytes] = self.dropped.each_ref().map(read);
        for (account, amount) in [
            (&mut ledger.frames, new("copies", copies)),
            (&mut ledger.stream_bytes, new("bytes", bytes)),
        ] {
            account.enter(amount);
            account.end(DROPPED, amount);
        }
        let [client, upstream] = &self.torn;
        for (name, count) in [
            ("tls ends of clients without notice", client),
            ("tls ends of upstream without notice", upstream),
            ("connections without upstream", &self.no_upstream),
            ("connections not recorded", &self.unrecorded),
            ("times this machine had no connection to give", &self.local_errors),
        ] {
            ledger.note(name, new(name, read(count)));
        }
        for (name, failure) in held(&self.failures).iter() {
            ledger.note(name, new(name, failure.count));
        }
    }
}

fn held<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_ledgers_each_has_what_happened_in_its_time() {
        let passed = Passed::default();
        passed.dropped[0].store(2, Ordering::Relaxed);
        passed.dropped[1].store(300, Ordering::Relaxed);
        passed.failed("clients without tls", "it began with GET");
        passed.failed("clients without tls", "it began with PUT");
        let mut first = Ledger::default();
        passed.account(&mut first);
        passed.dropped[1].store(400, Ordering::Relaxed);
        passed.failed("clients without tls", "once more");
        let mut second = Ledger::default();
        passed.account(&mut second);
        assert_eq!((first.frames.total, first.stream_bytes.total), (2, 300));
        assert_eq!((second.frames.total, second.stream_bytes.total), (0, 100));
        let noted = [&first, &second].map(|ledger| ledger.notes["clients without tls"]);
        assert_eq!(noted, [2, 1]);
        assert!(first.reconciles() && second.reconciles());
        let news = vec![("clients without tls", "it began with GET".to_owned())];
        assert_eq!((passed.news(), passed.news()), (news, Vec::new()));
    }
}
