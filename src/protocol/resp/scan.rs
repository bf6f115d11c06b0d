//! Where a command or a reply of RESP ends, and what little is worth knowing about it: for whoever
//! listens in. Nothing is kept but the first line, so that memory does not depend on the traffic.

/// Bytes of the first line that are kept.
pub const MAX_HEAD: usize = 256;

/// Bytes kept of the first string inside of an array: the longest word that names a message of a
/// channel has 12.
pub const MAX_FIRST: usize = 16;

/// Longest line that announces a length or a number.
pub const MAX_NUMBER: usize = 32;

/// Longest inline command: what a server takes.
pub const MAX_INLINE: u64 = 64 << 10;

/// Most strings of a command: what a server takes.
pub const MAX_WORDS: u64 = 1 << 20;

/// Longest string of a command or reply: what a server takes unless it is told otherwise, twice.
pub const MAX_STRING: u64 = 1 << 30;

/// Most values of one reply that are waited for.
pub const MAX_VALUES: u64 = 1 << 40;

/// Why bytes are none of RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotResp {
    /// No value begins with this byte.
    #[error("no value of RESP begins like this")]
    Kind,
    /// A length or a number is none, or is more than any server takes.
    #[error("a number of RESP is malformed")]
    Number,
    /// A string does not end where it says.
    #[error("a string of RESP is not as long as it says")]
    Length,
    /// An inline command does not end.
    #[error("a line of RESP does not end")]
    LineTooLong,
}

/// Which side is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Commands: arrays of strings, or lines.
    Client,
    /// Replies of version 2 or 3.
    Server,
}

/// What is known of a command or a reply, once it is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Its length in bytes, line ends included.
    pub bytes: u64,
    /// Its first line without line end, as far as [`MAX_HEAD`] allows.
    pub head: Vec<u8>,
    /// The front of the first string inside of it, if it is an array.
    pub first: Vec<u8>,
    /// The last integer inside of it.
    pub integer: Option<i64>,
}

impl Scanned {
    /// The first byte, which tells what kind it is; attributes in front do not count.
    pub fn kind(&self) -> u8 {
        self.head.first().copied().unwrap_or_default()
    }

    /// An error that answers: `-ERR ...`, or version 3's `!` with its length.
    pub fn is_error(&self) -> bool {
        matches!(self.kind(), b'-' | b'!')
    }
}

/// Reads one side, from whatever pieces arrive.
#[derive(Debug)]
pub struct Scan {
    sender: Sender,
    now: Scanned,
    /// Values to come until all is whole; strings of a command likewise.
    left: u64,
    /// The line being read, as far as it is kept, and its length so far.
    line: Vec<u8>,
    line_bytes: u64,
    string: Option<OpenString>,
}

/// A string of which bytes are missing.
#[derive(Debug)]
struct OpenString {
    left: u64,
    /// Bytes of the line end that came.
    end: usize,
    /// It is the first one inside of an array.
    is_first: bool,
}

impl Scan {
    /// At the beginning of a command or reply.
    pub fn new(sender: Sender) -> Self {
        Self {
            sender,
            now: Scanned::default(),
            left: 1,
            line: Vec::new(),
            line_bytes: 0,
            string: None,
        }
    }

    /// No byte of the next command or reply has come.
    pub fn is_at_boundary(&self) -> bool {
        self.now.bytes == 0
    }

    /// What has come of the command or reply being read.
    pub fn so_far(&self) -> &Scanned {
        &self.now
    }

    /// Bytes of the line that has not ended yet.
    pub fn open_line(&self) -> u64 {
        self.line_bytes
    }

    /// Takes bytes off the front of `input`, until a command or reply is whole or nothing is left.
    /// After an error the stream is lost.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Scanned>, NotResp> {
        while !input.is_empty() {
            let before = input.len();
            let is_value = match &mut self.string {
                Some(_) => self.read_string(input)?,
                None => self.read_line(input)?,
            };
            self.now.bytes += (before - input.len()) as u64;
            if is_value {
                self.left -= 1;
            }
            if self.left == 0 {
                let done = std::mem::take(&mut self.now);
                *self = Self::new(self.sender);
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    /// Bytes are missing. True when they are all inside of one string, which is then as good as
    /// read.
    pub fn skip_lost(&mut self, bytes: u64) -> bool {
        match &mut self.string {
            Some(string) if bytes <= string.left => {
                string.left -= bytes;
                self.now.bytes += bytes;
                true
            }
            _ => false,
        }
    }

    /// Whether a value is whole.
    fn read_string(&mut self, input: &mut &[u8]) -> Result<bool, NotResp> {
        let Some(string) = &mut self.string else { return Ok(false) };
        let count = usize::try_from(string.left).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = input.split_at(count);
        if string.is_first {
            let room = MAX_FIRST - self.now.first.len();
            self.now.first.extend_from_slice(&piece[..count.min(room)]);
        }
        string.left -= count as u64;
        *input = rest;
        while string.left == 0 && string.end < 2 {
            let Some((byte, rest)) = input.split_first() else { return Ok(false) };
            if *byte != b"\r\n"[string.end] {
                return Err(NotResp::Length);
            }
            *input = rest;
            string.end += 1;
        }
        let is_whole = string.end == 2;
        if is_whole {
            self.string = None;
        }
        Ok(is_whole)
    }

    /// Whether a value is whole.
    fn read_line(&mut self, input: &mut &[u8]) -> Result<bool, NotResp> {
        let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
        let room = MAX_HEAD.saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
        self.line_bytes += piece.len() as u64;
        *input = rest;
        self.check_line()?;
        if end.is_none() {
            return Ok(false);
        }
        let is_long = self.line_bytes > MAX_HEAD as u64;
        let line = std::mem::take(&mut self.line);
        self.line_bytes = 0;
        let text = if is_long { &line[..] } else { line.trim_ascii_end() };
        if !self.is_inside() && text.first() != Some(&b'|') {
            self.now.head = text.to_vec();
            return self.value(text, false);
        }
        self.value(text, true)
    }

    /// Inside of an array or an attribute.
    fn is_inside(&self) -> bool {
        self.left > 1 || !self.now.head.is_empty()
    }

    /// The line so far can be one.
    fn check_line(&self) -> Result<(), NotResp> {
        let kind = self.line.first().copied().unwrap_or_default();
        let is_inside = self.is_inside();
        let (is_known, is_number) = match self.sender {
            Sender::Server => (b"+-:$*_,#(!=%~>|".contains(&kind), !b"+-(".contains(&kind)),
            Sender::Client if is_inside => (kind == b'$', true),
            Sender::Client => (true, kind == b'*'),
        };
        if !is_known {
            return Err(NotResp::Kind);
        }
        if is_number && self.line_bytes > MAX_NUMBER as u64 {
            return Err(NotResp::Number);
        }
        if self.sender == Sender::Client && self.line_bytes > MAX_INLINE {
            return Err(NotResp::LineTooLong);
        }
        Ok(())
    }

    /// What a line means; true when it is a whole value.
    fn value(&mut self, line: &[u8], is_inside: bool) -> Result<bool, NotResp> {
        // An empty line of a client asks for nothing.
        let Some((kind, rest)) = line.split_first() else { return Ok(true) };
        let number = str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok());
        let length = number.ok_or(NotResp::Number);
        let count = length.and_then(|it| u64::try_from(it).map_err(|_| NotResp::Number));
        if self.sender == Sender::Client {
            return match kind {
                b'*' if !is_inside && length? < 0 => Ok(true),
                b'*' if !is_inside => self.open(count?, MAX_WORDS, 0),
                b'$' if is_inside => self.open_string(count?),
                _ => Ok(true),
            };
        }
        match kind {
            b'$' | b'*' if number == Some(-1) => Ok(true),
            b'$' | b'!' | b'=' => self.open_string(count?),
            b'*' | b'~' | b'>' => self.open(count?, MAX_VALUES, 0),
            // Attributes are no value: what they belong to follows.
            b'%' | b'|' => {
                let pairs = count?.checked_mul(2).ok_or(NotResp::Number)?;
                self.open(pairs, MAX_VALUES, u64::from(*kind == b'|'))
            }
            b':' => {
                self.now.integer = Some(length?);
                Ok(true)
            }
            b'#' if !matches!(rest, b"t" | b"f") => Err(NotResp::Kind),
            b'_' if !rest.is_empty() => Err(NotResp::Kind),
            _ => Ok(true),
        }
    }

    /// `count` values follow in the place of one, or beside `kept` of them.
    fn open(&mut self, count: u64, limit: u64, kept: u64) -> Result<bool, NotResp> {
        if count > limit || self.left > MAX_VALUES {
            return Err(NotResp::Number);
        }
        self.left = self.left - 1 + kept + count;
        Ok(false)
    }

    fn open_string(&mut self, left: u64) -> Result<bool, NotResp> {
        if left > MAX_STRING {
            return Err(NotResp::Number);
        }
        let is_first = matches!(self.now.kind(), b'*' | b'>' | b'~') && self.now.first.is_empty();
        self.string = Some(OpenString { left, end: 0, is_first });
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
