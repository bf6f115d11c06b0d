//! Where one side of an HTTP/2 connection stands.

use crate::capture::tcp::Mark;
use crate::protocol::http2::frame::{Frame, HEADER, Kind, PADDED};
use crate::protocol::http2::hpack::Decoder;
use crate::protocol::http2::{DEFAULT_FRAME, PREFACE};

/// Most bytes of one header block that are kept, over its HEADERS and all CONTINUATIONs. Servers
/// allow 8 to 64 KiB of header fields; what is behind it is skipped, and with it the knowledge of
/// fields sent before.
pub(super) const MAX_BLOCK: usize = 256 * 1024;

/// Longest SETTINGS read, in bytes: a hundred settings, of which ten are known.
const MAX_SETTINGS: usize = 600;

/// Longest payload that there can be, in bytes.
pub(super) const MAX_FRAME: u32 = (1 << 24) - 1;

/// Longest payload of a frame that is sought, in bytes: where nothing is certain, what few peers
/// allow is no sign of one.
pub(super) const MAX_SOUGHT: u32 = 64 * 1024;

/// The reader of one side.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) at: At,
    /// The front of a frame, or of the preface.
    pub(super) buffer: Vec<u8>,
    /// Where `buffer` begins.
    pub(super) first: Option<Mark>,
    /// The header block being collected.
    pub(super) block: Option<HeaderBlock>,
    pub(super) decoder: Decoder,
    /// Longest payload that its peer allowed.
    pub(super) longest: u32,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// More of `buffer`.
    Frame,
    /// The body of a message, then padding.
    Body { stream: u32, left: u32, padding: u32, ends: bool },
    /// The rest of a payload that nobody reads; it ends in the bucket.
    Skip(u32, &'static str),
    /// Anything, until frames begin at the front of a segment; bytes end in the bucket.
    Seeking(&'static str),
    /// Nothing is read any more; bytes end in the bucket.
    Over(&'static str),
}

/// A header block, as far as it has come.
#[derive(Debug)]
pub(super) struct HeaderBlock {
    pub(super) stream: u32,
    /// It is the request of a response that the server promises.
    pub(super) is_promise: bool,
    /// The message has no body, or these are its trailers.
    pub(super) ends: bool,
    /// First byte of its HEADERS.
    pub(super) mark: Mark,
    pub(super) bytes: Vec<u8>,
    /// Bytes of it are missing.
    pub(super) is_cut: bool,
}

impl Half {
    /// A side from its first byte on, or from somewhere in the middle.
    pub(super) fn new(is_begun: bool) -> Self {
        let (at, decoder, longest) = if is_begun {
            (At::Frame, Decoder::new(), DEFAULT_FRAME)
        } else {
            (At::Seeking("before the first message"), Decoder::in_the_middle(), MAX_FRAME)
        };
        Self { at, buffer: Vec::new(), first: None, block: None, decoder, longest }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        let block = self.block.as_ref().map_or(0, |block| block.bytes.len());
        self.buffer.capacity() + block + self.decoder.kept()
    }

    /// The boundaries of frames are lost, or bytes behind which header blocks may have been.
    pub(super) fn seek(&mut self, bucket: &'static str) {
        self.at = At::Seeking(bucket);
        self.decoder = Decoder::in_the_middle();
        self.block = None;
        self.clear();
    }

    /// Forgets the frame that was being collected.
    pub(super) fn clear(&mut self) {
        self.buffer = Vec::new();
        self.first = None;
    }

    /// The frame at the front of `buffer`, once its header is there.
    pub(super) fn frame(&self) -> Option<Frame> {
        Frame::read(&self.buffer).filter(|_| !self.is_preface())
    }

    pub(super) fn is_preface(&self) -> bool {
        self.buffer.starts_with(&PREFACE[..4])
    }

    /// How many bytes are to be in `buffer` before they can be read.
    pub(super) fn needed(&self) -> usize {
        match self.frame() {
            Some(frame) => HEADER + held(&frame),
            None if self.is_preface() => PREFACE.len(),
            None => HEADER,
        }
    }
}

/// How much of a payload is collected before it is read; the rest is skipped, or is a body.
pub(super) fn held(frame: &Frame) -> usize {
    let most = match frame.kind {
        Kind::Data => usize::from(frame.has(PADDED)),
        Kind::Headers | Kind::Push | Kind::Continuation => MAX_BLOCK,
        Kind::Settings => MAX_SETTINGS,
        Kind::Reset => 4,
        Kind::GoAway => 8,
        _ => 0,
    };
    most.min(usize::try_from(frame.length).unwrap_or(usize::MAX))
}
