//! Where a body ends (RFC 9112, section 6), and an incremental decoder of it.

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// As many bytes as `Content-Length` says.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the sender closes the connection (responses only).
    UntilClose,
}

/// What a decoder made of the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes consumed from the input; the rest belongs to the next message.
    pub consumed: usize,
    /// Where in the input the body's own bytes stand; framing is outside of it.
    pub data: (usize, usize),
    /// The body is whole.
    pub complete: bool,
}

/// Why a body cannot be decoded any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A chunk size is no hexadecimal number, or larger than 2^63.
    #[error("chunk size is not a hexadecimal number below 2^63")]
    ChunkSize,
    /// A chunk's data is not followed by a line end.
    #[error("chunk data is not followed by a line end")]
    ChunkEnd,
    /// Chunk extensions or trailers are longer than [`MAX_LINE`].
    #[error("chunk line or trailer is longer than {MAX_LINE} bytes")]
    LineTooLong,
}

/// Longest accepted chunk-size line or trailer section, in bytes: a stream that never ends its
/// line must not hold the reader for ever.
pub const MAX_LINE: usize = 64 * 1024;

/// Decodes one body, fed with whatever arrived.
///
/// Invariant: after `complete`, nothing more is consumed.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    line_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    Size { value: u64, digits: u32, extension: bool },
    Data(u64),
    DataEnd,
    Trailer { line_has_bytes: bool },
    Done,
}

impl BodyDecoder {
    /// A decoder at the first byte of a body.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { value: 0, digits: 0, extension: false },
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, line_bytes: 0 }
    }

    /// The body is whole, as far as its framing tells. A body until close is never whole by
    /// itself: the end of the stream makes it so.
    pub fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// The body ends with the connection.
    pub fn is_until_close(&self) -> bool {
        self.state == State::UntilClose
    }

    /// The last chunk is over, and what follows until an empty line is trailers.
    pub fn is_in_trailers(&self) -> bool {
        matches!(self.state, State::Trailer { .. })
    }

    /// Bytes of a `Content-Length` body that are still to come; `None` for other framings and
    /// between chunks. A capture with a gap inside such a body can step over it.
    pub fn known_remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) | State::Data(left) => Some(left),
            _ => None,
        }
    }

    /// Counts `bytes` that the capture lost inside data of known length as if they had been seen.
    /// Returns how many of them the body covers.
    pub fn skip_lost(&mut self, bytes: u64) -> u64 {
        match &mut self.state {
            State::UntilClose => bytes,
            State::Length(left) => {
                let covered = bytes.min(*left);
                *left -= covered;
                if *left == 0 {
                    self.state = State::Done;
                }
                covered
            }
            State::Data(left) => {
                let covered = bytes.min(*left);
                *left -= covered;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
                covered
            }
            _ => 0,
        }
    }

    /// Takes the next run of body bytes from `input`. Call again with the rest until nothing is
    /// consumed or the body is complete: a chunked body yields one run a chunk.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, BodyError> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Done => break,
                State::UntilClose => return Ok(self.step(at, input.len())),
                State::Length(left) => {
                    let end = at + clamp(left, input.len() - at);
                    let left = left - (end - at) as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(self.step(at, end));
                }
                State::Data(left) => {
                    let end = at + clamp(left, input.len() - at);
                    let left = left - (end - at) as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(self.step(at, end));
                }
                State::Size { .. } | State::DataEnd | State::Trailer { .. } => {
                    self.framing_byte(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(self.step(at, at))
    }

    fn step(&self, start: usize, end: usize) -> Step {
        Step { consumed: end, data: (start, end), complete: self.is_complete() }
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), BodyError> {
        self.line_bytes += 1;
        if self.line_bytes > MAX_LINE {
            return Err(BodyError::LineTooLong);
        }
        self.state = match self.state {
            State::Size { value, digits, extension } => match byte {
                b'\n' if digits == 0 => return Err(BodyError::ChunkSize),
                b'\n' => {
                    self.line_bytes = 0;
                    if value == 0 {
                        State::Trailer { line_has_bytes: false }
                    } else {
                        State::Data(value)
                    }
                }
                b'\r' => State::Size { value, digits, extension },
                _ if extension => State::Size { value, digits, extension },
                // Blanks before the size are seen in the wild.
                b' ' | b'\t' | 0x0b | 0x0c if digits == 0 => self.state,
                // Whatever follows the digits is an extension, as browsers have it.
                _ if digits > 0 && !byte.is_ascii_hexdigit() => {
                    State::Size { value, digits, extension: true }
                }
                _ => {
                    let digit = char::from(byte).to_digit(16).ok_or(BodyError::ChunkSize)?;
                    let value = value
                        .checked_mul(16)
                        .and_then(|value| value.checked_add(u64::from(digit)))
                        .filter(|value| *value < 1 << 63)
                        .ok_or(BodyError::ChunkSize)?;
                    State::Size { value, digits: digits + 1, extension: false }
                }
            },
            State::DataEnd => match byte {
                b'\r' => State::DataEnd,
                b'\n' => {
                    self.line_bytes = 0;
                    State::Size { value: 0, digits: 0, extension: false }
                }
                _ => return Err(BodyError::ChunkEnd),
            },
            State::Trailer { line_has_bytes } => match byte {
                b'\r' => State::Trailer { line_has_bytes },
                b'\n' if line_has_bytes => State::Trailer { line_has_bytes: false },
                b'\n' => State::Done,
                _ => State::Trailer { line_has_bytes: true },
            },
            other => other,
        };
        Ok(())
    }
}

fn clamp(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` cut into pieces of `piece` bytes; returns the body and what is left over.
    fn decode(
        framing: Framing,
        input: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, usize, bool), BodyError> {
        let mut decoder = BodyDecoder::new(framing);
        let (mut body, mut at) = (Vec::new(), 0);
        while at < input.len() && !decoder.is_complete() {
            let end = (at + piece).min(input.len());
            let step = decoder.decode(&input[at..end])?;
            body.extend_from_slice(&input[at + step.data.0..at + step.data.1]);
            at += step.consumed;
        }
        Ok((body, input.len() - at, decoder.is_complete()))
    }

    #[test]
    fn every_cut_of_a_chunked_body_decodes_alike() {
        let wire = b"4;name=value\r\nWiki\r\n6 \r\npedia \r\n\
            E\r\nin \r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\nGET /";
        for piece in 1..wire.len() {
            let decoded = decode(Framing::Chunked, wire, piece).unwrap();
            assert_eq!(
                decoded,
                (b"Wikipedia in \r\n\r\nchunks.".to_vec(), 5, true),
                "piece {piece}"
            );
        }
    }

    #[test]
    fn a_length_body_leaves_the_next_message_alone() {
        assert_eq!(decode(Framing::Length(3), b"abcdef", 2).unwrap(), (b"abc".to_vec(), 3, true));
        assert_eq!(decode(Framing::Length(9), b"abc", 9).unwrap(), (b"abc".to_vec(), 0, false));
        assert_eq!(decode(Framing::None, b"abc", 9).unwrap(), (Vec::new(), 3, true));
        assert_eq!(decode(Framing::UntilClose, b"abc", 2).unwrap(), (b"abc".to_vec(), 0, false));
    }

    #[test]
    fn a_body_that_lies_about_its_chunks_is_an_error() {
        assert_eq!(decode(Framing::Chunked, b"zz\r\n", 9), Err(BodyError::ChunkSize));
        assert_eq!(decode(Framing::Chunked, b"\r\n", 9), Err(BodyError::ChunkSize));
        assert_eq!(
            decode(Framing::Chunked, b"10000000000000000\r\n", 99),
            Err(BodyError::ChunkSize)
        );
        assert_eq!(decode(Framing::Chunked, b"1\r\nabc", 9), Err(BodyError::ChunkEnd));
        assert_eq!(decode(Framing::Chunked, b" 1x,\0\na\n0 \n\n", 9).unwrap().0, b"a");
        let endless = [b"1;".to_vec(), vec![b'x'; MAX_LINE]].concat();
        assert_eq!(decode(Framing::Chunked, &endless, 999_999), Err(BodyError::LineTooLong));
    }

    #[test]
    fn a_gap_inside_known_data_is_stepped_over() {
        let mut decoder = BodyDecoder::new(Framing::Length(10));
        decoder.decode(b"abc").unwrap();
        assert_eq!((decoder.known_remaining(), decoder.skip_lost(9)), (Some(7), 7));
        assert!(decoder.is_complete());
    }
}
