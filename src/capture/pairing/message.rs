//! Messages as they were read, before it is known which belong together.

use ::bytes::Bytes;

use crate::capture::line::Line;
use crate::capture::tcp::Mark;
use crate::protocol::Protocol;
use crate::recording::Flags;
use crate::recording::contents::{Contents, Witness};
use crate::recording::ledger::Ledger;
use crate::recording::stored::Stored;

/// A request as read from its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its first byte.
    pub mark: Mark,
    /// Its method.
    pub method: Bytes,
    /// Its head as on the wire.
    pub head: Bytes,
    /// The front of its body, as far as it was kept; empty where it is `stored`.
    pub body: Vec<u8>,
    /// Its body, as far as it was kept, where it is too large for memory.
    pub stored: Option<Stored>,
    /// Length of its body.
    pub body_bytes: u64,
    /// What stood around the bytes of a chunked body, where it is known.
    pub chunks: Option<Vec<u8>>,
    /// Position on its connection, from 0; set by the queue.
    pub seq: u32,
    /// It names no version, so its response may have no head.
    pub is_simple: bool,
    /// What is spoken.
    pub protocol: Protocol,
    /// Its stream, in protocols that have streams.
    pub stream: Option<u32>,
    /// Its text columns.
    pub line: Box<Line>,
    /// What is odd.
    pub flags: Flags,
}

impl Request {
    /// It was sent inside of TLS: where it names no scheme of its own, that is `https`.
    pub(in crate::capture) fn came_inside_tls(&mut self) {
        if self.protocol != Protocol::Http1 {
            return;
        }
        let names_it =
            self.line.target.get(..7).is_some_and(|it| it.eq_ignore_ascii_case("http://"));
        if !names_it {
            "https".clone_into(&mut self.line.scheme);
        }
    }
}

/// A response as read from its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its first byte.
    pub mark: Mark,
    /// Its status; 0 where it has none.
    pub status: u16,
    /// Its head as on the wire; empty for HTTP/0.9.
    pub head: Bytes,
    /// Length of its body, as far as it was seen or is known.
    pub body_bytes: u64,
    /// Sees its body, where something of that is kept.
    pub witness: Option<Box<Witness>>,
    /// What is known of its body, once it is over.
    pub contents: Contents,
    /// It was read to its end.
    pub whole: bool,
    /// Capture time of its last byte, nanoseconds since the Unix epoch.
    pub last_ns: i64,
    /// What is odd.
    pub flags: Flags,
}

impl Answer {
    /// Takes more of the body. `kept` counts bytes in memory; none are added where it is `pressed`,
    /// and what is lost by that is told.
    pub(in crate::capture) fn body(
        &mut self,
        bytes: &[u8],
        kept: &mut usize,
        (pressed, ledger): (bool, &mut Ledger),
    ) {
        self.body_bytes += bytes.len() as u64;
        let Some(witness) = &mut self.witness else { return };
        let before = witness.held();
        if pressed && witness.let_go() {
            ledger.note("responses whose fields were not kept", 1);
        }
        witness.push(bytes);
        *kept = (*kept + witness.held()).saturating_sub(before);
    }

    /// The body is over: what is known of it is, and nothing of it is held any more.
    pub(in crate::capture) fn body_ends(&mut self, kept: &mut usize) {
        let Some(witness) = self.witness.take() else { return };
        *kept = kept.saturating_sub(witness.held());
        if self.whole {
            self.contents = witness.finish();
        }
    }

    /// A part of the body is missing, so that nothing can be said of it.
    pub(in crate::capture) fn body_gap(&mut self, bytes: u64, kept: &mut usize) {
        self.body_bytes += bytes;
        self.flags.insert(Flags::GAP);
        let witness = self.witness.take();
        *kept = kept.saturating_sub(witness.map_or(0, |witness| witness.held()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where memory is short the digest is taken, and nothing is held; that fields are lost by it
    /// is told once a response.
    #[test]
    fn what_is_let_go_for_want_of_memory_is_told() {
        let seen = |pressed: [bool; 3]| {
            let mark = Mark { at_ns: 0, tick: 0, offset: 0, ack: None };
            let mut answer = Answer {
                mark,
                status: 200,
                head: Bytes::new(),
                body_bytes: 0,
                witness: Some(Box::default()),
                contents: Contents::default(),
                whole: true,
                last_ns: 0,
                flags: Flags::default(),
            };
            let (mut kept, mut ledger) = (0, Ledger::default());
            for (piece, pressed) in [&b"{\"a\""[..], b":", b"1}"].into_iter().zip(pressed) {
                answer.body(piece, &mut kept, (pressed, &mut ledger));
                assert!(!pressed || kept == 0);
            }
            answer.body_ends(&mut kept);
            assert_eq!((kept, answer.body_bytes), (0, 7));
            assert!(answer.contents.digest.is_some());
            let lost = ledger.notes.get("responses whose fields were not kept").copied();
            (answer.contents.shape.is_some(), lost)
        };
        assert_eq!(seen([false; 3]), (true, None));
        assert_eq!(seen([true; 3]), (false, Some(1)));
        assert_eq!(seen([false, true, false]), (false, Some(1)));
    }
}
