//! Takes the copies of what passes, and makes exchanges of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use crate::capture::import::{Found, Import};
use crate::cli::outputs;
use crate::cli::record::parts::{Parts, Totals, add_fronts};
use crate::record::Clock;
use crate::record::copies::Seen;
use crate::record::passed::Passed;
use crate::recording::Exchange;
use crate::recording::stored::spool::Spool;

/// How often it is looked whether it is time for another file, or whether something is to be told.
const TICK: Duration = Duration::from_millis(100);

/// What turns copies into files.
pub(super) struct Recorder {
    import: Import,
    parts: Parts,
    passed: Arc<Passed>,
    /// The next look, in nanoseconds since the Unix epoch.
    tick_ns: i64,
    is_warned: bool,
}

impl Recorder {
    /// `is_tls` says that clients spoke TLS to the proxy.
    pub(super) fn new(parts: Parts, passed: Arc<Passed>, is_tls: bool) -> Self {
        let mut import = Import::default();
        if is_tls {
            import.inside_tls();
        }
        Self { import, parts, passed, tick_ns: 0, is_warned: false }
    }

    /// Keeps bodies whole that are too large for memory.
    pub(super) fn keep_bodies(&mut self, spool: Spool) {
        self.import.keep_bodies(Arc::new(spool));
    }

    /// Keeps a digest of each answer's body, and the fields of JSON.
    pub(super) fn keep_contents(&mut self) {
        self.import.keep_contents();
    }

    /// Takes all copies until the proxy has ended.
    pub(super) fn follow(
        &mut self,
        mut seen: UnboundedReceiver<Seen>,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .context("cannot start the recorder")?;
        runtime.block_on(async {
            loop {
                match timeout_at(Instant::now() + TICK, seen.recv()).await {
                    Ok(Some(seen)) => self.take(&seen),
                    Ok(None) => return Ok(()),
                    Err(_) => self.tick(clock.now_ns()),
                }
            }
        })
    }

    fn take(&mut self, seen: &Seen) {
        self.passed.taken(seen);
        // Before what passed then: it may be the first of another file.
        let is_due = |at_ns: &i64| *at_ns >= self.tick_ns || self.parts.is_due(*at_ns);
        if let Some(at_ns) = seen.at_ns().filter(is_due) {
            self.tick(at_ns);
        }
        let origin_ns = self.import.started_unix_ns().or(seen.at_ns()).unwrap_or(0);
        let (parts, mut late) = (&mut self.parts, Vec::new());
        let at_ns = seen.moment_ns();
        self.import.event(at_ns, &seen.event(), &mut |found| {
            keep(found, origin_ns, parts, &mut late);
        });
        parts.current.keep_closed(self.import.take_closed());
        parts.current.keep_handshakes(&self.import.take_handshakes());
        if let Some(ledger) = self.parts.late_ledger() {
            for bucket in late {
                self.import.hand_over(bucket, ledger);
            }
        }
        self.parts.cut_large(&mut self.import, &self.passed);
    }

    fn tick(&mut self, now_ns: i64) {
        self.tick_ns = now_ns.saturating_add(i64::try_from(TICK.as_nanos()).unwrap_or(i64::MAX));
        self.parts.tick(now_ns, &mut self.import, &self.passed);
        for (name, reason) in self.passed.news() {
            let reason = outputs::printable(&reason).replace('\n', " ");
            outputs::note(false, &format!("warning: {name}: {reason}{}", advice(name, &reason)));
        }
        if !self.is_warned && self.passed.local_errors.load(Ordering::Relaxed) > 0 {
            self.is_warned = true;
            outputs::note(false, OUT_OF_CONNECTIONS);
        }
    }

    /// Ends all files.
    pub(super) fn end(mut self) -> Totals {
        self.tick(self.tick_ns);
        let origin_ns = self.import.started_unix_ns().unwrap_or(0);
        let latest_ns = self.import.latest_unix_ns();
        let Self { mut import, mut parts, passed, .. } = self;
        parts.current.keep_closed(import.take_closed());
        parts.current.keep_handshakes(&import.take_handshakes());
        let mut late = Vec::new();
        let mut imported =
            import.finish(&mut |found| keep(found, origin_ns, &mut parts, &mut late));
        parts.current.keep_handshakes(&imported.handshakes);
        if let Some(ledger) = parts.late_ledger() {
            for bucket in late {
                imported.ledger.messages.hand_over(bucket, &mut ledger.messages);
            }
        }
        passed.account(&mut imported.ledger);
        add_fronts(&mut imported.servers, &passed);
        parts.end(&imported.ledger, latest_ns, &imported.servers);
        parts.totals
    }
}

/// Keeps an exchange; the bucket of one that went to the file before is put into `late`.
fn keep(found: Found, origin_ns: i64, parts: &mut Parts, late: &mut Vec<&'static str>) {
    if let Found::Exchange(exchange) = found {
        let bucket = bucket(&exchange);
        if parts.keep(exchange, origin_ns) {
            late.push(bucket);
        }
    }
}

/// Where the ledger counts it.
fn bucket(exchange: &Exchange) -> &'static str {
    if exchange.response.is_some() { "exchange" } else { "request without response" }
}

/// Said at once: clients are waiting.
const OUT_OF_CONNECTIONS: &str = "warning: this machine has no connection to give, and clients \
                                  wait; raise its limit on open files (ulimit -n)";

/// What to do about a failure, by its name and by what TLS said of it.
fn advice(name: &str, reason: &str) -> &'static str {
    match name {
        "upstream certificate of an unknown issuer" => {
            "; connections are closed: name the issuer with --cacert FILE"
        }
        "upstream certificate for another name" => {
            "; connections are closed: give the name it is for with --upstream-name"
        }
        "upstream certificate not accepted" if reason.contains("CaUsedAsEndEntity") => {
            "; connections are closed: a certificate that may issue others (CA:TRUE) cannot be a \
             server's own"
        }
        "upstream without tls" => "; connections are closed: leave out https:// in --upstream",
        "tls errors of upstream after the handshake" => {
            "; it may ask for a certificate of the client, and none is sent"
        }
        "clients without tls" => "; those connections are closed",
        name if name.starts_with("upstream") => "; connections are closed",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_for_the_reason_that_was_given() {
        let advised = |reason| advice("upstream certificate not accepted", reason);
        let other = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
        assert!(advised(other).contains("CA:TRUE"));
        assert_eq!(advised("invalid peer certificate: Revoked"), "; connections are closed");
    }
}
