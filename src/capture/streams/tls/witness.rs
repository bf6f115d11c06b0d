//! Whether a handshake resumes an earlier session. It is told before anything is sealed, so that
//! it is known also where no secret is.
//!
//! In TLS 1.3 the server's hello says that it goes on with a secret that both have. Before, the
//! server seals at once behind its hello, or behind a new ticket; in full it would show who it is.

use crate::capture::tcp::{Event, What};
use crate::capture::tls::hello::{Message, Messages};
use crate::capture::tls::record::{ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER, Header};

/// Looks at both sides until one of them has said it; most often that is in the first segment of
/// the server.
#[derive(Debug, Default)]
pub(super) struct Witness {
    sides: [Said; 2],
    is_resumed: Option<bool>,
}

/// What a side has said so far.
#[derive(Debug, Default)]
struct Said {
    /// The front of the next record's header.
    header: Vec<u8>,
    /// The kind of the record that is under way, and how much of it is to come.
    kind: u8,
    left: usize,
    messages: Messages,
    /// It is a server, before TLS 1.3.
    is_old_server: bool,
    /// It says nothing more that helps.
    is_over: bool,
}

impl Witness {
    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        size_of::<Self>() + self.sides.iter().map(|said| said.messages.kept()).sum::<usize>()
    }

    /// The handshake resumes a session; `None` where that is not known, or not yet.
    pub(super) fn is_resumed(&self) -> Option<bool> {
        self.is_resumed
    }

    /// There is nothing more to be seen.
    pub(super) fn is_over(&self) -> bool {
        self.is_resumed.is_some() || self.sides.iter().all(|said| said.is_over)
    }

    /// Takes what comes next of the connection.
    pub(super) fn event(&mut self, event: &Event<'_>) {
        let [first, second] = &mut self.sides;
        let said = if event.side.index() == 0 { first } else { second };
        match event.what {
            What::Data(data) if !said.is_over => self.is_resumed = said.bytes(data.bytes),
            What::Data(_) => {}
            // What is missing may have said the opposite.
            What::Gap(_) | What::End(_) | What::Closed => said.is_over = true,
        }
    }
}

impl Said {
    /// Whether a session is resumed, once it is said.
    fn bytes(&mut self, mut bytes: &[u8]) -> Option<bool> {
        while !bytes.is_empty() && !self.is_over {
            if self.left == 0 {
                let missing = HEADER.saturating_sub(self.header.len());
                let (front, rest) = bytes.split_at(missing.min(bytes.len()));
                self.header.extend_from_slice(front);
                bytes = rest;
                if self.header.len() < HEADER {
                    break;
                }
                let Some(header) = Header::read(&self.header) else {
                    self.is_over = true;
                    break;
                };
                self.header.clear();
                (self.kind, self.left) = (header.kind(), header.length());
            }
            let (payload, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= payload.len();
            bytes = rest;
            let told = match self.kind {
                HANDSHAKE => self.handshake(payload),
                // Only a server that resumes has nothing else to say; one of TLS 1.3 that asked
                // for another hello says it for the sake of machines in between.
                CHANGE_CIPHER_SPEC => self.is_old_server.then_some(true),
                ALERT => None,
                _ => {
                    self.is_over = true;
                    None
                }
            };
            if told.is_some() {
                return told;
            }
        }
        None
    }

    fn handshake(&mut self, payload: &[u8]) -> Option<bool> {
        for message in self.messages.push(payload) {
            match message {
                Message::ServerHello(hello) if hello.is_retry => {}
                Message::ServerHello(hello) if hello.version >= TLS13 => {
                    return Some(hello.is_resumed);
                }
                Message::ServerHello(_) => self.is_old_server = true,
                Message::Ticket if self.is_old_server => {}
                // Its certificate, or whatever else an old handshake in full has.
                _ if self.is_old_server => return Some(false),
                _ => self.is_over = true,
            }
        }
        None
    }
}

/// From this version on the hello says it all.
const TLS13: u16 = 0x0304;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::streams::tests::record;
    use crate::capture::tcp::{Data, End, Link, Mark, Side};

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind][..], &length[1..], body].concat()
    }

    /// A server's hello with these extensions.
    fn hello(random: [u8; 32], extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
        message(2, &[&[3, 3][..], &random, &[0, 0x13, 1, 0], &length, extensions].concat())
    }

    const OF_TLS13: [u8; 6] = [0, 43, 0, 2, 3, 4];
    const WITH_A_SECRET: [u8; 6] = [0, 41, 0, 2, 0, 0];
    const CERTIFICATE: u8 = 11;
    const RETRY: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];

    /// What is known after these bytes of the server, cut into pieces, and whether that is all.
    fn told(bytes: &[u8], piece: usize) -> (Option<bool>, bool) {
        let address = "10.0.0.1:1".parse().unwrap();
        let link = Link { number: 0, ends: [address, address], client: None, resumed: None };
        let mark = Mark { at_ns: 0, tick: 0, offset: 0, ack: None };
        let mut witness = Witness::default();
        let mut tell = |side, what| {
            if !witness.is_over() {
                witness.event(&Event { link, side, what });
            }
        };
        let client = record(HANDSHAKE, &message(1, &[0; 40]));
        let data = |bytes| What::Data(Data { mark, bytes, fresh: true });
        tell(Side::First, data(&client));
        for bytes in bytes.chunks(piece) {
            tell(Side::Second, data(bytes));
        }
        (witness.is_resumed(), witness.is_over())
    }

    #[test]
    fn the_server_says_it_before_it_seals() {
        let hello12 = record(HANDSHAKE, &hello([7; 32], &[]));
        let retry = record(HANDSHAKE, &hello(RETRY, &OF_TLS13));
        let full13 = record(HANDSHAKE, &hello([7; 32], &OF_TLS13));
        let both = [OF_TLS13, WITH_A_SECRET].concat();
        let resumed13 = record(HANDSHAKE, &hello([7; 32], &both));
        let certificate = record(HANDSHAKE, &message(CERTIFICATE, &[1; 900]));
        let ticket = record(HANDSHAKE, &message(TICKET, &[1; 200]));
        let change = record(CHANGE_CIPHER_SPEC, &[1]);
        let data = record(23, &[0; 50]);
        for (said, expected) in [
            (vec![&full13], Some(false)),
            (vec![&resumed13], Some(true)),
            (vec![&retry, &change, &full13], Some(false)),
            (vec![&retry, &change, &resumed13], Some(true)),
            (vec![&hello12, &certificate], Some(false)),
            (vec![&hello12, &change], Some(true)),
            (vec![&hello12, &ticket, &change], Some(true)),
            // The middle of a connection says nothing of its start.
            (vec![&data], None),
            (vec![&certificate, &change], None),
            (vec![&hello12, &data], None),
        ] {
            let bytes = said.into_iter().flatten().copied().collect::<Vec<u8>>();
            for piece in [1, 7, 10_000] {
                assert_eq!(told(&bytes, piece), (expected, true), "{bytes:?}");
            }
        }
        assert_eq!(told(&hello12, 10_000), (None, false), "it has yet to come");
    }

    const TICKET: u8 = 4;

    #[test]
    fn behind_a_gap_nothing_is_known() {
        let address = "10.0.0.1:1".parse().unwrap();
        let link = Link { number: 0, ends: [address, address], client: None, resumed: None };
        let mut witness = Witness::default();
        for (side, what) in [
            (Side::First, What::Gap(200)),
            (Side::Second, What::Gap(1)),
            (Side::Second, What::End(End::Fin)),
        ] {
            witness.event(&Event { link, side, what });
        }
        assert_eq!((witness.is_resumed(), witness.is_over()), (None, true));
    }
}
