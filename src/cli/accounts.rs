//! The loss ledger as text.

use std::fmt::Write;

use crate::recording::ledger::{Account, Ledger};
use crate::units::format_count;

/// That not all of the input was read, where that is so.
pub fn partial(ledger: &Ledger) -> Option<String> {
    let cuts = ledger.cuts();
    (!cuts.is_empty()).then(|| format!("partial: not all of the input: {}", cuts.join(", ")))
}

/// What became of everything that was read, a paragraph for each account.
pub fn accounts(ledger: &Ledger) -> String {
    let mut text = String::new();
    account(&mut text, "frames", &ledger.frames);
    account(&mut text, "stream bytes", &ledger.stream_bytes);
    account(&mut text, "messages", &ledger.messages);
    if !ledger.notes.is_empty() {
        let _ = writeln!(text, "\nnotes");
        for (name, amount) in &ledger.notes {
            let _ = writeln!(text, "{:>12}  {name}", format_count(*amount));
        }
    }
    text
}

/// An account: what entered, and where it ended.
fn account(text: &mut String, title: &str, account: &Account) {
    let verdict = if account.reconciles() { "every one accounted for" } else { "DOES NOT ADD UP" };
    let _ = writeln!(text, "\n{title}: {}, {verdict}", format_count(account.total));
    for (name, count) in &account.buckets {
        let _ = writeln!(text, "{:>12}  {name}", format_count(*count));
    }
}
