//! Where text goes: results to standard output, notes to standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints a result. A reader that went away (`peakhour ... | head`) is no error.
pub fn result(text: &str) {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written.or_else(unless_closed)
        && !IS_CUT.swap(true, Ordering::Relaxed)
    {
        note(false, &format!("error: cannot write to standard output: {error}"));
    }
}

/// Whoever closes a pipe, such as `head`, has read enough. A full disk has not.
fn unless_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

static IS_CUT: AtomicBool = AtomicBool::new(false);

/// Whether some of what was to be printed is lost, so that the program cannot end as if all of it
/// were there.
pub fn is_cut() -> bool {
    IS_CUT.load(Ordering::Relaxed)
}

/// Prints a note for people, unless they asked for quiet.
pub fn note(quiet: bool, text: &str) {
    if !quiet {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Standard output is a terminal that knows colours, and `NO_COLOR` is not set.
pub fn stdout_wants_colour() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    io::stdout().is_terminal() && !is_unwanted && !is_dumb
}

/// Text with what was captured in it, fit for a terminal: control characters would be obeyed.
pub fn printable(text: &str) -> String {
    let is_obeyed = |c: char| c.is_control() && c != '\n';
    text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
