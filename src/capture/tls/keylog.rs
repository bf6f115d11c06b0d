//! Secrets as programs log them (`SSLKEYLOGFILE`), in a file or inside of a pcapng file: a line
//! is a label, the client's random bytes and a secret, both in hexadecimal.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Read};

use crate::recording::ledger::Ledger;

/// Most secrets kept, about 130 MiB of them: those of 200 000 connections of TLS 1.3. What comes
/// later is counted.
pub const MAX_SECRETS: usize = 1 << 20;

/// Longest line read, in bytes; the longest one with a meaning has 200.
pub const MAX_LINE: usize = 1024;

/// The random bytes of a client's hello, by which secrets are found.
pub type Random = [u8; 32];

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::capture) enum Label {
    /// The master secret of TLS 1.2 and before.
    Master,
    /// What a client sends before it has heard anything.
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    /// The first application traffic secret.
    ClientTraffic,
    ServerTraffic,
}

/// A secret of at most 48 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::capture) struct Secret {
    bytes: [u8; 48],
    length: usize,
}

impl Secret {
    /// `None` where it is too long to be one.
    pub(in crate::capture) fn new(secret: &[u8]) -> Option<Self> {
        let mut bytes = [0; 48];
        bytes.get_mut(..secret.len())?.copy_from_slice(secret);
        Some(Self { bytes, length: secret.len() })
    }

    pub(in crate::capture) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(not shown)")
    }
}

/// All secrets that are known.
#[derive(Clone, Default)]
pub struct Secrets {
    known: HashMap<(Random, Label), Secret>,
    /// Lines that make no sense.
    bad_lines: u64,
    /// Lines of the kinds that need a private key, or session identifiers, to be of use.
    rsa_lines: u64,
    beyond_the_limit: u64,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({} not shown)", self.known.len())
    }
}

impl Secrets {
    /// Nothing is known, and nothing was said about anything.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes a key log in, to its end. An error is one of reading.
    pub fn read(&mut self, log: &mut dyn BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        let mut is_rest = false;
        loop {
            line.clear();
            let count = log.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
            if count == 0 {
                return Ok(());
            }
            let is_cut = count == MAX_LINE && !line.ends_with(b"\n");
            if is_cut || is_rest {
                self.bad_lines += u64::from(!is_rest);
            } else {
                self.line(&line);
            }
            is_rest = is_cut;
        }
    }

    /// Takes the text of a key log in, as it stands in a pcapng file.
    pub(in crate::capture) fn text(&mut self, text: &[u8]) {
        text.split(|byte| *byte == b'\n').for_each(|line| self.line(line));
    }

    pub(in crate::capture) fn get(&self, random: &Random, label: Label) -> Option<Secret> {
        self.known.get(&(*random, label)).copied()
    }

    /// Counts what was wrong with the logs.
    pub(in crate::capture) fn note(&self, ledger: &mut Ledger) {
        ledger.note("key log lines not understood", self.bad_lines);
        ledger.note("key log lines of RSA keys, not used", self.rsa_lines);
        ledger.note("key log secrets beyond the limit", self.beyond_the_limit);
    }

    /// A line; of two that say the same thing the later one counts.
    fn line(&mut self, line: &[u8]) {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(name) = words.next().filter(|name| !name.starts_with(b"#")) else {
            return;
        };
        let label = match label_of(name) {
            Named::Needed(label) => label,
            Named::NotNeeded => return,
            Named::Rsa => {
                self.rsa_lines += 1;
                return;
            }
            Named::Unknown => {
                self.bad_lines += 1;
                return;
            }
        };
        let random = words.next().and_then(from_hex::<32>).filter(|(_, length)| *length == 32);
        let secret = words.next().and_then(from_hex::<48>).filter(|(_, length)| match label {
            Label::Master => *length == 48,
            _ => matches!(length, 32 | 48),
        });
        let (Some((random, _)), Some((bytes, length))) = (random, secret) else {
            self.bad_lines += 1;
            return;
        };
        let key = (random, label);
        if self.known.len() >= MAX_SECRETS && !self.known.contains_key(&key) {
            self.beyond_the_limit += 1;
            return;
        }
        self.known.insert(key, Secret { bytes, length });
    }
}

enum Named {
    Needed(Label),
    /// A secret that opens no record.
    NotNeeded,
    Rsa,
    Unknown,
}

fn label_of(name: &[u8]) -> Named {
    Named::Needed(match name {
        b"CLIENT_RANDOM" => Label::Master,
        b"CLIENT_EARLY_TRAFFIC_SECRET" => Label::ClientEarly,
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
        b"CLIENT_TRAFFIC_SECRET_0" => Label::ClientTraffic,
        b"SERVER_TRAFFIC_SECRET_0" => Label::ServerTraffic,
        b"EXPORTER_SECRET" | b"EARLY_EXPORTER_SECRET" | b"ECH_SECRET" | b"ECH_CONFIG" => {
            return Named::NotNeeded;
        }
        b"RSA" | b"PMS_CLIENT_RANDOM" => return Named::Rsa,
        _ => return Named::Unknown,
    })
}

/// At most `N` bytes in hexadecimal, and how many they are.
fn from_hex<const N: usize>(text: &[u8]) -> Option<([u8; N], usize)> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; N];
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let mut room = bytes.iter_mut();
    for [high, low] in pairs {
        *room.next()? = digit(*high)? << 4 | digit(*low)?;
    }
    Some((bytes, pairs.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(text: &str) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.read(&mut text.as_bytes()).unwrap();
        secrets
    }

    fn counts(secrets: &Secrets) -> (usize, u64, u64) {
        (secrets.known.len(), secrets.bad_lines, secrets.rsa_lines)
    }

    #[test]
    fn labels_of_all_versions_are_known() {
        let random = "ab".repeat(32);
        let (short, long) = ("12".repeat(32), "34".repeat(48));
        let text = format!(
            "# a comment\r\nCLIENT_RANDOM {random} {long}\r\n\n\
             SERVER_TRAFFIC_SECRET_0 {random} {short}\n\
             CLIENT_HANDSHAKE_TRAFFIC_SECRET {random} {long}\n\
             EXPORTER_SECRET {random} {short}\nRSA 0011223344556677 {long}"
        );
        let secrets = secrets(&text);
        assert_eq!(counts(&secrets), (3, 0, 1));
        let secret = |label| secrets.get(&[0xab; 32], label).unwrap().bytes().to_vec();
        assert_eq!(secret(Label::Master), [0x34; 48]);
        assert_eq!(secret(Label::ServerTraffic), [0x12; 32]);
        assert_eq!(secret(Label::ClientHandshake), [0x34; 48]);
        assert_eq!(secrets.get(&[0; 32], Label::Master), None);
    }

    #[test]
    fn what_makes_no_sense_is_counted_a_line() {
        let random = "ab".repeat(32);
        let bad = [
            "HELLO".to_owned(),
            "CLIENT_RANDOM".to_owned(),
            format!("CLIENT_RANDOM {random}"),
            format!("CLIENT_RANDOM {random} {}", "1".repeat(95)),
            format!("CLIENT_RANDOM {random} {}", "zz".repeat(48)),
            format!("CLIENT_RANDOM {random} {}", "12".repeat(32)),
            format!("CLIENT_RANDOM ab {}", "12".repeat(48)),
            format!("CLIENT_TRAFFIC_SECRET_0 {random} {}", "12".repeat(20)),
            "x".repeat(5 * MAX_LINE),
        ];
        assert_eq!(counts(&secrets(&bad.join("\n"))), (0, bad.len() as u64, 0));
        let mut inside = Secrets::default();
        inside.text(bad.join("\n").as_bytes());
        assert_eq!(counts(&inside), (0, bad.len() as u64, 0));
    }

    #[test]
    fn secrets_are_not_shown() {
        let secrets = secrets(&format!("CLIENT_RANDOM {} {}", "ab".repeat(32), "cd".repeat(48)));
        assert_eq!(format!("{secrets:?}"), "Secrets(1 not shown)");
        let secret = secrets.get(&[0xab; 32], Label::Master);
        assert_eq!(format!("{secret:?}"), "Some(Secret(not shown))");
    }
}
