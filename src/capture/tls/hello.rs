//! The few handshake messages that somebody beside the connection has to understand.

use crate::bytes::Cursor;
use crate::capture::tls::keylog::Random;

/// Longest handshake message collected, in bytes: a hello with several post-quantum key shares
/// has some 5 KiB. What is longer is skipped.
pub(in crate::capture) const MAX_MESSAGE: usize = 64 * 1024;

/// A message, taken out of the records that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Message {
    ClientHello(ClientHello),
    ServerHello(ServerHello),
    /// Whether the server takes early data.
    EncryptedExtensions {
        early_data: bool,
    },
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    /// A session to be resumed later.
    Ticket,
    /// Not needed, or of no use.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct ClientHello {
    pub(in crate::capture) random: Random,
    /// It says that data follows at once.
    pub(in crate::capture) early_data: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct ServerHello {
    pub(in crate::capture) random: Random,
    /// The version that was agreed on: 0x0301 to 0x0304.
    pub(in crate::capture) version: u16,
    pub(in crate::capture) suite: u16,
    /// Records are compressed before they are sealed.
    pub(in crate::capture) is_compressed: bool,
    pub(in crate::capture) encrypt_then_mac: bool,
    /// It asks for another hello.
    pub(in crate::capture) is_retry: bool,
    /// In TLS 1.3: it goes on with a secret that both have, that of an earlier session.
    pub(in crate::capture) is_resumed: bool,
}

/// The random bytes by which a server asks for another hello: RFC 8446, section 4.1.3.
const RETRY: Random = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The type of a message that brings a session.
const TICKET: u8 = 4;

const ENCRYPT_THEN_MAC: u16 = 22;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// Handshake messages of one side, which may be spread over records or share one.
#[derive(Debug, Default)]
pub(in crate::capture) struct Messages {
    buffer: Vec<u8>,
    /// Bytes left of a message that is not needed.
    skip: usize,
}

impl Messages {
    /// Takes the content of the next record; returns the messages that are complete.
    pub(in crate::capture) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let skipped = self.skip.min(rest.len());
            self.skip -= skipped;
            rest = &rest[skipped..];
            let missing = self.wanted().saturating_sub(self.buffer.len());
            let (front, back) = rest.split_at(missing.min(rest.len()));
            self.buffer.extend_from_slice(front);
            rest = back;
            let [kind, body @ ..] = &self.buffer[..] else {
                break;
            };
            let Some((length, body)) = body.split_first_chunk::<3>() else {
                continue;
            };
            let (kind, length) = (*kind, length_of(*length));
            if !is_needed(kind) || length > MAX_MESSAGE {
                self.skip = length;
                self.buffer.clear();
                messages.push(if kind == TICKET { Message::Ticket } else { Message::Other });
            } else if body.len() == length {
                messages.push(message(kind, body).unwrap_or(Message::Other));
                self.buffer.clear();
            }
        }
        messages
    }

    /// Bytes held.
    pub(in crate::capture) fn kept(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes to collect before there is something to look at: the header, then all of it.
    fn wanted(&self) -> usize {
        match self.buffer[..] {
            [_, high, middle, low, ..] => 4 + length_of([high, middle, low]),
            _ => 4,
        }
    }
}

fn length_of([high, middle, low]: [u8; 3]) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

fn is_needed(kind: u8) -> bool {
    matches!(kind, 1 | 2 | 5 | 8 | 20 | 24)
}

fn message(kind: u8, body: &[u8]) -> Option<Message> {
    let mut body = Cursor::new(body);
    Some(match kind {
        1 => Message::ClientHello(client_hello(&mut body)?),
        2 => Message::ServerHello(server_hello(&mut body)?),
        5 => Message::EndOfEarlyData,
        8 => {
            let mut early_data = false;
            extensions(&mut body, &mut |kind, _| early_data |= kind == EARLY_DATA);
            Message::EncryptedExtensions { early_data }
        }
        20 => Message::Finished,
        24 => Message::KeyUpdate,
        _ => return None,
    })
}

fn client_hello(body: &mut Cursor<'_>) -> Option<ClientHello> {
    body.skip(2)?;
    let random = body.array()?;
    let session = body.u8()?;
    body.skip(usize::from(session))?;
    let suites = body.u16_be()?;
    body.skip(usize::from(suites))?;
    let compressions = body.u8()?;
    body.skip(usize::from(compressions))?;
    let mut early_data = false;
    extensions(body, &mut |kind, _| early_data |= kind == EARLY_DATA);
    Some(ClientHello { random, early_data })
}

fn server_hello(body: &mut Cursor<'_>) -> Option<ServerHello> {
    let legacy_version = body.u16_be()?;
    let random = body.array()?;
    let session = body.u8()?;
    body.skip(usize::from(session))?;
    let suite = body.u16_be()?;
    let is_compressed = body.u8()? != 0;
    let mut hello = ServerHello {
        random,
        version: legacy_version,
        suite,
        is_compressed,
        encrypt_then_mac: false,
        is_retry: random == RETRY,
        is_resumed: false,
    };
    extensions(body, &mut |kind, mut value| match kind {
        ENCRYPT_THEN_MAC => hello.encrypt_then_mac = true,
        PRE_SHARED_KEY => hello.is_resumed = true,
        SUPPORTED_VERSIONS => hello.version = value.u16_be().unwrap_or(hello.version),
        _ => {}
    });
    Some(hello)
}

/// The extensions at the end of a message, as far as they are whole; there may be none.
fn extensions<'a>(body: &mut Cursor<'a>, sink: &mut dyn FnMut(u16, Cursor<'a>)) {
    let length = body.u16_be().unwrap_or(0);
    let mut all = Cursor::new(body.take(usize::from(length)).unwrap_or_default());
    let mut next = || {
        let kind = all.u16_be()?;
        let length = all.u16_be()?;
        Some((kind, all.take(usize::from(length))?))
    };
    while let Some((kind, value)) = next() {
        sink(kind, Cursor::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server hello of TLS 1.3 as in RFC 8448, section 3, shortened to what is read of it.
    fn server_hello() -> Vec<u8> {
        let mut hello = vec![2, 0, 0, 46, 3, 3];
        hello.extend([0xa6; 32]);
        hello.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
        hello
    }

    #[test]
    fn messages_may_be_cut_anywhere_and_share_a_record() {
        let hello = server_hello();
        let certificate = [&[11, 0, 1, 0][..], &[7; 256]].concat();
        let finished = [20, 0, 0, 2, 1, 1];
        let bytes = [&hello[..], &certificate, &finished].concat();
        let mut expected = None;
        for cut in 0..bytes.len() {
            let mut messages = Messages::default();
            let found = [messages.push(&bytes[..cut]), messages.push(&bytes[cut..])].concat();
            assert_eq!(found.len(), 3, "cut at {cut}");
            assert_eq!(messages.kept(), 0);
            assert_eq!(expected.get_or_insert(found.clone()), &found);
        }
        let Some([Message::ServerHello(hello), Message::Other, Message::Finished]) =
            expected.as_deref()
        else {
            panic!("{expected:?}");
        };
        assert_eq!((hello.version, hello.suite, hello.is_retry), (0x0304, 0x1301, false));
        assert_eq!(hello.random, [0xa6; 32]);
    }

    #[test]
    fn a_hello_that_makes_no_sense_is_another_message() {
        let mut messages = Messages::default();
        // The identifier of the session would be longer than the message.
        let body = [&[3, 3][..], &[0; 32], &[200]].concat();
        let hello = [&[1, 0, 0, 35][..], &body].concat();
        assert_eq!(messages.push(&hello), [Message::Other]);
        // Nobody sends 16 MiB of a hello; nothing is held of it.
        assert_eq!(messages.push(&[1, 255, 255, 255, 1, 2, 3]), [Message::Other]);
        assert_eq!(messages.kept(), 0);
    }

    #[test]
    fn early_data_is_offered_and_taken_by_extensions() {
        let mut hello = vec![1, 0, 0, 47, 3, 3];
        hello.extend([0xb6; 32]);
        hello.extend([0, 0, 2, 0x13, 0x01, 1, 0, 0, 4, 0, 42, 0, 0]);
        let found = Messages::default().push(&hello);
        let client = ClientHello { random: [0xb6; 32], early_data: true };
        assert_eq!(found, [Message::ClientHello(client)]);
        let found = Messages::default().push(&[8, 0, 0, 6, 0, 4, 0, 42, 0, 0]);
        assert_eq!(found, [Message::EncryptedExtensions { early_data: true }]);
        let found = Messages::default().push(&[8, 0, 0, 2, 0, 0]);
        assert_eq!(found, [Message::EncryptedExtensions { early_data: false }]);
    }
}
