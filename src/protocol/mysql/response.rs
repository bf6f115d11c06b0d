//! Where the response to a command ends. What a packet means depends on those before it.

use crate::protocol::mysql::command::Answered;
use crate::protocol::mysql::packets::{MAX_PACKET, Packet};
use crate::protocol::mysql::{Capabilities, length_encoded};

/// Bytes of each packet of a server that [`Response`] needs.
pub const KEEP: usize = 512;

/// Bit of the status: another result follows.
const MORE_RESULTS: u16 = 1 << 3;

/// Bit of the status: rows wait in a cursor, and none follow.
const CURSOR_EXISTS: u16 = 1 << 6;

/// `MariaDB` tells with it how far a long statement has got, which is no error.
const PROGRESS: u16 = 0xffff;

/// Longest packet that ends something in servers from before `DEPRECATE_EOF`.
const EOF_LENGTH: u64 = 5;

/// What both sides agreed on when the client logged in, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What both can do; `None` where the login was not captured.
    pub capabilities: Option<Capabilities>,
    /// No packet of its own ends the descriptions of columns: agreed on, or found out.
    pub deprecates_eof: Option<bool>,
    /// `MariaDB` says in each result whether descriptions follow.
    pub caches_metadata: bool,
}

/// What a packet did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More packets follow.
    More,
    /// The response is over, unless the next packet is one that ends descriptions.
    PerhapsOver,
    /// The response is over.
    Over {
        /// Number of the error that it is.
        error: Option<u16>,
    },
}

/// A response being read.
#[derive(Debug)]
pub struct Response {
    answered: Answered,
    state: State,
    /// Number of the statement that was prepared.
    pub prepared: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A result begins.
    First,
    /// Descriptions of the columns of a result.
    Columns {
        left: u64,
    },
    BehindColumns,
    Rows,
    /// Descriptions of parameters, and then of columns, of a statement.
    Described {
        left: u64,
        columns: u64,
    },
    BehindDescribed {
        columns: u64,
    },
}

const OVER: Step = Step::Over { error: None };

impl Response {
    /// The response to a command.
    pub fn new(answered: Answered) -> Self {
        Self { answered, state: State::First, prepared: None }
    }

    /// Takes the next packet of the server. What is found out about the connection on the way is
    /// entered in `terms`.
    pub fn packet(&mut self, packet: &Packet, terms: &mut Terms) -> Step {
        let first = packet.kept.first().copied();
        if first == Some(0xff) {
            let error = packet.kept.get(1..3).and_then(number);
            return if error == Some(PROGRESS) { Step::More } else { Step::Over { error } };
        }
        match self.answered {
            Answered::Never | Answered::Once => OVER,
            Answered::UntilEnd if is_end(packet) => OVER,
            Answered::Login if first == Some(0) => OVER,
            Answered::UntilEnd | Answered::Login => Step::More,
            Answered::Results => self.result(packet, terms),
            Answered::Prepared => self.described(packet, terms),
        }
    }

    fn result(&mut self, packet: &Packet, terms: &mut Terms) -> Step {
        match self.state {
            State::Columns { left } => {
                self.state =
                    if left > 1 { State::Columns { left: left - 1 } } else { State::BehindColumns };
                Step::More
            }
            State::BehindColumns if is_end(packet) && packet.length <= EOF_LENGTH => {
                terms.deprecates_eof = Some(false);
                self.state = State::Rows;
                let is_cursor = status(packet) & CURSOR_EXISTS != 0;
                if is_cursor { self.next_result(packet) } else { Step::More }
            }
            State::BehindColumns | State::Rows if is_end(packet) => self.next_result(packet),
            State::BehindColumns | State::Rows => {
                self.state = State::Rows;
                Step::More
            }
            _ => self.first(packet, terms),
        }
    }

    fn first(&mut self, packet: &Packet, terms: &Terms) -> Step {
        let has = |bit| terms.capabilities.is_some_and(|known| known.contains(bit));
        let Some(front) = packet.kept.first() else { return OVER };
        // A byte that tells whether descriptions follow stands before the number of columns.
        let is_flagged = has(Capabilities::OPTIONAL_METADATA) && packet.length < 7 && *front < 2;
        let (count, is_described) = if is_flagged {
            (packet.kept.get(1..), *front == 1)
        } else if *front == 0 || is_end(packet) {
            return self.next_result(packet);
        } else if *front == 0xfb {
            // The client sends a file, and the server says what came of it.
            return Step::More;
        } else {
            (Some(&packet.kept[..]), true)
        };
        let (count, bytes) = count.and_then(length_encoded).unwrap_or((0, 1));
        let is_known = terms.caches_metadata && packet.kept.get(bytes) == Some(&0);
        self.state = if count > 0 && is_described && !is_known {
            State::Columns { left: count }
        } else {
            State::BehindColumns
        };
        Step::More
    }

    /// A result is over: perhaps another follows.
    fn next_result(&mut self, packet: &Packet) -> Step {
        self.state = State::First;
        if status(packet) & MORE_RESULTS != 0 { Step::More } else { OVER }
    }

    fn described(&mut self, packet: &Packet, terms: &mut Terms) -> Step {
        let is_eof = is_end(packet) && packet.length <= EOF_LENGTH;
        match self.state {
            State::Described { left, columns } if left > 1 => {
                self.state = State::Described { left: left - 1, columns };
                Step::More
            }
            State::Described { columns, .. } => match (terms.deprecates_eof, columns) {
                (Some(true), _) => self.describe(0, columns),
                (Some(false), _) => {
                    self.state = State::BehindDescribed { columns };
                    Step::More
                }
                (None, columns) => {
                    self.state = State::BehindDescribed { columns };
                    if columns > 0 { Step::More } else { Step::PerhapsOver }
                }
            },
            State::BehindDescribed { columns } => {
                terms.deprecates_eof.get_or_insert(!is_eof);
                let step = self.describe(0, columns);
                // Without a packet of its own between them this is the first of the columns.
                if is_eof || step == OVER { step } else { self.described(packet, terms) }
            }
            _ => {
                let two = |at: usize| packet.kept.get(at..at + 2).and_then(number);
                let (columns, parameters) = (two(5).unwrap_or(0), two(7).unwrap_or(0));
                let statement = packet.kept.get(1..5).and_then(|it| it.first_chunk::<4>());
                self.prepared = statement.map(|it| u32::from_le_bytes(*it));
                let is_left_out = terms
                    .capabilities
                    .is_some_and(|known| known.contains(Capabilities::OPTIONAL_METADATA))
                    && packet.kept.get(12) == Some(&0);
                if is_left_out {
                    return OVER;
                }
                self.describe(u64::from(parameters), u64::from(columns))
            }
        }
    }

    /// Descriptions follow, or the response is over.
    fn describe(&mut self, parameters: u64, columns: u64) -> Step {
        self.state = match (parameters, columns) {
            (0, 0) => return OVER,
            (0, columns) => State::Described { left: columns, columns: 0 },
            (left, columns) => State::Described { left, columns },
        };
        Step::More
    }
}

/// The packet ends rows or descriptions: no row is that short and begins like this.
fn is_end(packet: &Packet) -> bool {
    packet.kept.first() == Some(&0xfe) && packet.length < MAX_PACKET as u64
}

/// The status in a packet that ends something, or in an OK.
fn status(packet: &Packet) -> u16 {
    let kept = &packet.kept[..];
    if kept.first() == Some(&0xfe) && packet.length <= EOF_LENGTH {
        return kept.get(3..5).and_then(number).unwrap_or(0);
    }
    behind_counts(kept).and_then(|at| kept.get(at..at + 2)).and_then(number).unwrap_or(0)
}

/// Where the status of an OK is: behind the numbers of rows and of the last identity.
fn behind_counts(kept: &[u8]) -> Option<usize> {
    let (_, rows) = length_encoded(kept.get(1..)?)?;
    let (_, identity) = length_encoded(kept.get(1 + rows..)?)?;
    Some(1 + rows + identity)
}

/// Text for people in a packet that ends a response: what an error says, or an OK.
pub fn message(packet: &Packet) -> &[u8] {
    let kept = &packet.kept[..];
    match kept.first() {
        Some(0xff) => kept.get(3..).unwrap_or_default(),
        Some(0) => {
            let text = behind_counts(kept).and_then(|at| kept.get(at + 4..)).unwrap_or_default();
            // A length stands in front of it in some, and facts about the session behind it.
            let (length, front) = length_encoded(text).unwrap_or((0, 0));
            let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(front);
            text.get(front..end).unwrap_or(text)
        }
        _ => b"",
    }
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|two| u16::from_le_bytes(*two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mysql::command::answered;

    const OK: &[u8] = b"\0\0\0\x02\0\0\0";
    const OK_MORE: &[u8] = b"\0\0\0\x0a\0\0\0";
    const EOF: &[u8] = b"\xfe\0\0\x02\0";
    const EOF_MORE: &[u8] = b"\xfe\0\0\x0a\0";
    const EOF_CURSOR: &[u8] = b"\xfe\0\0\x42\0";
    const OK_EOF: &[u8] = b"\xfe\0\0\x02\0\0\0";
    const OK_EOF_MORE: &[u8] = b"\xfe\0\0\x0a\0\0\0";
    const ERR: &[u8] = b"\xff\x7a\x04#42S02Table 'x' doesn't exist";
    const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
    const ROW: &[u8] = b"\x011";

    /// How many of the packets the response takes, and its error; `perhaps` in the end for 1.
    fn take(command: u8, terms: &mut Terms, packets: &[&[u8]]) -> (usize, Option<u16>) {
        let mut response = Response::new(answered(command));
        for (at, payload) in packets.iter().enumerate() {
            let length = payload.len() as u64;
            let packet = Packet { sequence: 1, kept: payload.to_vec(), length, bytes: length + 4 };
            match response.packet(&packet, terms) {
                Step::More => {}
                Step::PerhapsOver if at + 1 < packets.len() => {}
                Step::PerhapsOver => return (at + 1, Some(1)),
                Step::Over { error } => return (at + 1, error),
            }
        }
        (usize::MAX, None)
    }

    fn all(command: u8, terms: Terms, packets: &[&[u8]]) {
        let mut terms = terms;
        let padded = [packets, &[OK]].concat();
        assert_eq!(take(command, &mut terms, &padded), (packets.len(), None), "{packets:?}");
    }

    const UNKNOWN: Terms =
        Terms { capabilities: None, deprecates_eof: None, caches_metadata: false };
    const OLD: Terms = Terms { deprecates_eof: Some(false), ..UNKNOWN };
    const NEW: Terms = Terms { deprecates_eof: Some(true), ..UNKNOWN };

    #[test]
    fn results_end_with_and_without_packets_of_their_own() {
        for terms in [UNKNOWN, OLD] {
            all(3, terms, &[b"\x02", COLUMN, COLUMN, EOF, ROW, ROW, EOF]);
            all(3, terms, &[b"\x01", COLUMN, EOF, EOF]);
            all(
                3,
                terms,
                &[b"\x01", COLUMN, EOF, ROW, EOF_MORE, b"\x01", COLUMN, EOF, EOF_MORE, OK],
            );
            all(0x17, terms, &[b"\x01", COLUMN, EOF_CURSOR]);
        }
        for terms in [UNKNOWN, NEW] {
            all(3, terms, &[b"\x02", COLUMN, COLUMN, ROW, ROW, OK_EOF]);
            all(3, terms, &[b"\x01", COLUMN, OK_EOF]);
            all(3, terms, &[b"\x01", COLUMN, ROW, OK_EOF_MORE, OK_MORE, OK]);
        }
        all(3, UNKNOWN, &[OK]);
        all(3, UNKNOWN, &[b"\xfbfile.csv", OK]);
        all(0x0e, UNKNOWN, &[OK]);
        all(0x09, UNKNOWN, &[b"Uptime: 5"]);
        all(0x04, OLD, &[COLUMN, COLUMN, EOF]);
        all(0x1c, UNKNOWN, &[b"\0\0\x01", b"\0\0\x02", EOF]);
        all(0x11, UNKNOWN, &[b"\xfemysql_native_password\0abc", b"\x01\x04", OK]);
    }

    #[test]
    fn errors_end_everything() {
        for before in [&[][..], &[b"\x01", COLUMN, EOF, ROW], &[b"\x01", COLUMN]] {
            let packets = [before, &[ERR, OK]].concat();
            assert_eq!(take(3, &mut UNKNOWN.clone(), &packets), (before.len() + 1, Some(1146)));
        }
        assert_eq!(take(3, &mut UNKNOWN.clone(), &[b"\xff\xff\xff\x01\x01\x01", OK]), (2, None));
        let length = ERR.len() as u64;
        let packet = Packet { sequence: 1, kept: ERR.to_vec(), length, bytes: length };
        assert_eq!(message(&packet), b"#42S02Table 'x' doesn't exist");
    }

    #[test]
    fn statements_are_prepared_with_and_without_packets_between() {
        let ok =
            |columns: u8, parameters: u8| vec![0, 7, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
        for terms in [UNKNOWN, OLD] {
            all(0x16, terms, &[&ok(1, 2), COLUMN, COLUMN, EOF, COLUMN, EOF]);
        }
        all(0x16, OLD, &[&ok(0, 1), COLUMN, EOF]);
        all(0x16, NEW, &[&ok(1, 2), COLUMN, COLUMN, COLUMN]);
        all(0x16, NEW, &[&ok(0, 0)]);
        let mut terms = UNKNOWN;
        let packets: &[&[u8]] = &[&ok(0, 1), COLUMN];
        assert_eq!(take(0x16, &mut terms, packets), (2, Some(1)));
        let packets: &[&[u8]] = &[&ok(1, 1), COLUMN, COLUMN];
        assert_eq!(take(0x16, &mut terms, packets), (3, None));
        assert_eq!(terms.deprecates_eof, Some(true));
    }

    #[test]
    fn descriptions_may_be_left_out() {
        let capabilities = Some(Capabilities::OPTIONAL_METADATA);
        let terms = Terms { capabilities, ..NEW };
        all(3, terms, &[b"\0\x02", ROW, OK_EOF]);
        all(3, terms, &[b"\x01\x01", COLUMN, ROW, OK_EOF]);
        all(3, terms, &[OK]);
        let terms = Terms { caches_metadata: true, ..NEW };
        all(3, terms, &[b"\x02\0", ROW, OK_EOF]);
        all(3, terms, &[b"\x01\x01", COLUMN, ROW, OK_EOF]);
    }
}
