//! What a connection to Redis is in the middle of: whether commands are answered at all, and what
//! the server sends without being asked.

use crate::protocol::resp::scan::Scanned;

/// As many confirmations as there are channels to leave.
pub(super) const ALL: u32 = u32::MAX;

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Not at all.
    Nothing,
    Reply,
    /// By one message a channel.
    Confirmations(u32),
    /// By all that other clients do, from now on.
    Replication,
}

/// What a message of the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Answer,
    /// One of several that answer together.
    Confirmation,
    /// It answers nothing, and counts under this name.
    Unasked(&'static str),
}

/// The modes of one connection.
#[derive(Debug, Default)]
pub(super) struct Modes {
    silence: Silence,
    /// Channels, patterns and shards listened to, as far as confirmations say.
    channels: [i64; 3],
    monitors: bool,
}

/// What `CLIENT REPLY` asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Silence {
    #[default]
    Off,
    NextOnly,
    On,
}

/// Words of confirmations, and which of the channels they are about.
const CONFIRMATIONS: [(&str, usize); 6] = [
    ("subscribe", 0),
    ("unsubscribe", 0),
    ("psubscribe", 1),
    ("punsubscribe", 1),
    ("ssubscribe", 2),
    ("sunsubscribe", 2),
];

impl Modes {
    /// How a command is answered. `method` is in upper case.
    pub(super) fn wanted(&mut self, method: &str, words: &[&[u8]]) -> Wanted {
        let word = |at: usize| words.get(at).map(|it| it.to_ascii_uppercase()).unwrap_or_default();
        if method == "CLIENT" && word(1) == b"REPLY" {
            match word(2).as_slice() {
                b"ON" => self.silence = Silence::Off,
                b"OFF" => self.silence = Silence::On,
                b"SKIP" if self.silence != Silence::On => self.silence = Silence::NextOnly,
                b"SKIP" => {}
                _ => return self.unless_silent(Wanted::Reply),
            }
            let is_on = self.silence == Silence::Off;
            return if is_on { Wanted::Reply } else { Wanted::Nothing };
        }
        self.monitors |= method == "MONITOR";
        let is_subscription =
            CONFIRMATIONS.iter().any(|(name, _)| method.eq_ignore_ascii_case(name));
        let wanted = match method {
            "PSYNC" | "SYNC" => return Wanted::Replication,
            _ if is_subscription && words.len() > 1 => {
                Wanted::Confirmations(u32::try_from(words.len() - 1).unwrap_or(ALL))
            }
            _ if is_subscription => Wanted::Confirmations(ALL),
            _ => Wanted::Reply,
        };
        self.unless_silent(wanted)
    }

    fn unless_silent(&mut self, wanted: Wanted) -> Wanted {
        match self.silence {
            Silence::Off => wanted,
            Silence::On => Wanted::Nothing,
            Silence::NextOnly => {
                self.silence = Silence::Off;
                Wanted::Nothing
            }
        }
    }

    /// What a message of the server is; `first` is the name of the command that waits for a reply.
    pub(super) fn meaning(&mut self, message: &Scanned, first: Option<&str>) -> Meaning {
        const CHANNELS: &str = "redis messages that answer nothing";
        let (kind, word) = (message.kind(), message.first.as_slice());
        if matches!(kind, b'*' | b'>')
            && let Some((name, at)) = CONFIRMATIONS.iter().find(|(name, _)| name.as_bytes() == word)
        {
            self.count(message, *at);
            let is_asked = first.is_some_and(|first| first.eq_ignore_ascii_case(name));
            return if is_asked { Meaning::Confirmation } else { Meaning::Unasked(CHANNELS) };
        }
        let is_published = matches!(word, b"message" | b"pmessage" | b"smessage");
        let listens = self.channels != [0; 3];
        if kind == b'>' || kind == b'*' && is_published && (listens || first.is_none()) {
            return Meaning::Unasked(CHANNELS);
        }
        if self.monitors && is_monitor_line(&message.head) {
            return Meaning::Unasked("redis monitor lines");
        }
        if message.head == b"+RESET" {
            *self = Self::default();
        }
        Meaning::Answer
    }

    /// No channel is left of the kind that a confirmation is about.
    pub(super) fn is_unsubscribed(&self, message: &Scanned) -> bool {
        let about = CONFIRMATIONS.iter().find(|(name, _)| name.as_bytes() == message.first);
        about.is_none_or(|(_, at)| self.channels[*at] <= 0)
    }

    /// A confirmation says how many channels and patterns there are together, or how many shards.
    fn count(&mut self, message: &Scanned, at: usize) {
        let total = message.integer.unwrap_or(0).clamp(0, i64::from(u32::MAX));
        let others = if at == 2 { 0 } else { self.channels[1 - at] };
        self.channels[at] = (total - others).max(0);
    }
}

/// `+1700000000.123456 [0 127.0.0.1:5000] "GET" "k"`.
fn is_monitor_line(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"+") else { return false };
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let seconds = digits(rest);
    let Some(rest) = rest[seconds..].strip_prefix(b".") else { return false };
    seconds > 0 && rest[digits(rest)..].starts_with(b" [")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(modes: &mut Modes, line: &str) -> Wanted {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        modes.wanted(line.split(' ').next().unwrap(), &words)
    }

    #[test]
    fn commands_may_ask_for_no_reply() {
        let mut modes = Modes::default();
        for (line, expected) in [
            ("PING", Wanted::Reply),
            ("CLIENT REPLY SKIP", Wanted::Nothing),
            ("PING", Wanted::Nothing),
            ("PING", Wanted::Reply),
            ("CLIENT REPLY OFF", Wanted::Nothing),
            ("CLIENT REPLY SKIP", Wanted::Nothing),
            ("PING", Wanted::Nothing),
            ("PING", Wanted::Nothing),
            ("CLIENT REPLY ON", Wanted::Reply),
            ("SUBSCRIBE a b", Wanted::Confirmations(2)),
            ("UNSUBSCRIBE", Wanted::Confirmations(ALL)),
            ("PSYNC ? -1", Wanted::Replication),
        ] {
            assert_eq!(wanted(&mut modes, line), expected, "{line}");
        }
    }

    #[test]
    fn messages_of_channels_answer_nothing() {
        let message = |head: &str, first: &str, integer: i64| Scanned {
            head: head.into(),
            first: first.into(),
            integer: Some(integer),
            bytes: 1,
        };
        let mut modes = Modes::default();
        let confirmed = message("*3", "subscribe", 1);
        assert_eq!(modes.meaning(&confirmed, Some("SUBSCRIBE")), Meaning::Confirmation);
        let published = message("*3", "message", 0);
        assert!(matches!(modes.meaning(&published, Some("PING")), Meaning::Unasked(_)));
        let left = message("*3", "unsubscribe", 0);
        assert!(!modes.is_unsubscribed(&left));
        assert_eq!(modes.meaning(&left, Some("UNSUBSCRIBE")), Meaning::Confirmation);
        assert!(modes.is_unsubscribed(&left));
        // A list of words is a list of words where nobody listens.
        assert_eq!(modes.meaning(&published, Some("LRANGE")), Meaning::Answer);
        assert!(matches!(
            modes.meaning(&message(">2", "invalidate", 0), None),
            Meaning::Unasked(_)
        ));
    }

    #[test]
    fn lines_of_monitor() {
        assert!(is_monitor_line(b"+1700000000.123456 [0 127.0.0.1:5000] \"GET\" \"k\""));
        assert!(!is_monitor_line(b"+OK"));
        assert!(!is_monitor_line(b"+1.5"));
    }
}
