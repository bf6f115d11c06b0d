//! What commands of the user say, in words that may be told.

use std::process::ExitStatus;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::bytes::fnv1a;

/// Reads what a command complains of until it ends, and keeps the last of it.
pub(super) async fn complaint(mut errors: impl AsyncRead + Unpin) -> String {
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 4096]);
    while let Ok(count @ 1..) = errors.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..count]);
        let beyond = kept.len().saturating_sub(COMPLAINT_BYTES_MAX);
        kept.drain(..beyond);
    }
    let text = String::from_utf8_lossy(&kept);
    plain(text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// Most bytes kept of what a command complains of: its last line is what matters.
const COMPLAINT_BYTES_MAX: usize = 2048;

/// How a command ended, in words of our own: what it complained of may hold anything.
pub(super) fn ending(status: Option<ExitStatus>, complaint: &str) -> String {
    const KNOWN: [(&str, &[&str]); 3] = [
        ("permission denied", &["permission denied", "access denied", "not permitted"]),
        (
            "could not connect",
            &[
                "could not connect",
                "connection refused",
                "could not resolve",
                "timed out",
                "no route",
            ],
        ),
        ("not found", &["not found", "no such file"]),
    ];
    let lower = complaint.to_ascii_lowercase();
    let known = KNOWN.iter().find(|(_, texts)| texts.iter().any(|text| lower.contains(text)));
    let why = known.map(|(why, _)| format!(": {why}")).unwrap_or_default();
    match status.map(|status| (status.code(), status)) {
        Some((Some(code), _)) => format!("its command ended with exit code {code}{why}"),
        Some((None, _)) => format!("its command was ended by a signal{why}"),
        None => format!("its command closed its output early{why}"),
    }
}

/// A line that can stand in a sentence: short, without control characters and secrets.
pub(super) fn plain(line: &str) -> String {
    let line: String = line.trim().chars().filter(|c| !c.is_control()).take(LINE_MAX).collect();
    hide_secrets(&line)
}

/// Longest line that is kept, in characters.
pub(super) const LINE_MAX: usize = 300;

/// A line without what looks like a credential; two lines that differ in it still differ.
pub(super) fn hide_secrets(line: &str) -> String {
    const WORDS: [&str; 7] =
        ["password", "passwd", "secret", "token", "apikey", "api_key", "private_key"];
    let lower = line.to_ascii_lowercase();
    let is_told = |word: &&str| {
        lower.match_indices(*word).any(|(at, _)| {
            let rest = lower[at + word.len()..].trim_start_matches(['"', '\'', ' ']);
            rest.starts_with('=') || rest.starts_with(": ") || rest.starts_with(":\"")
        })
    };
    // The user information of a URL.
    let has_user = lower.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    });
    if has_user || WORDS.iter().any(is_told) {
        return format!("(hidden, hash {:08x})", fnv1a(line.bytes()) & 0xffff_ffff);
    }
    line.to_owned()
}

/// A text as one word of a shell's command.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn credentials_are_hidden_and_still_told_apart() {
        for line in [
            "password=abc",
            "DB_PASSWORD: abc",
            "auth_token = abc",
            "url redis://u:abc@h/0",
            "{\"secret\":\"abc\"}",
        ] {
            let hidden = hide_secrets(line);
            assert!(hidden.starts_with("(hidden"), "{line}: {hidden}");
            assert_ne!(hidden, hide_secrets(&line.replace("abc", "abd")), "{line}");
        }
        for line in ["passwd 1:4.13", "libsecret-1-0:amd64 0.20.5", "ruby 3.1.2p20", "a@b"] {
            assert_eq!(hide_secrets(line), line);
        }
    }

    #[test]
    fn how_a_command_ended_holds_nothing_that_it_said() {
        let status = ExitStatus::from_raw(255 << 8);
        let said = "Permission denied for --password=hunter2 (publickey)";
        let told = ending(Some(status), said);
        assert_eq!(told, "its command ended with exit code 255: permission denied");
        assert_eq!(ending(Some(status), "s3cret"), "its command ended with exit code 255");
        let told = ending(None, "ssh: connect to host a port 22: Connection refused");
        assert_eq!(told, "its command closed its output early: could not connect");
        let told = ending(Some(ExitStatus::from_raw(9)), "sh: 1: jq: not found");
        assert_eq!(told, "its command was ended by a signal: not found");
    }

    #[test]
    fn a_quoted_word_stays_one_word() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
