//! The nine bytes in front of every frame, and what they must be like to be believed.

use crate::bytes::Cursor;

/// Length of the header of a frame, in bytes.
pub const HEADER: usize = 9;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length of the payload, in bytes.
    pub length: u32,
    /// What it carries.
    pub kind: Kind,
    /// Its flags; what they mean depends on the kind.
    pub flags: u8,
    /// The stream it belongs to, 0 for the connection as a whole; the reserved bit is cleared.
    pub stream: u32,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of a body.
    Data,
    /// The front of a header block, which begins a message or is its trailers.
    Headers,
    /// A hint that nobody follows any more.
    Priority,
    /// The end of a stream before its time.
    Reset,
    /// Limits that a side asks for.
    Settings,
    /// A request that the server makes itself, and the front of its header block.
    Push,
    /// A sign of life.
    Ping,
    /// The connection takes no new streams.
    GoAway,
    /// Room for more bytes of bodies.
    Window,
    /// More of a header block.
    Continuation,
    /// A kind that later documents define.
    Other(u8),
}

/// DATA and HEADERS: the sender's last frame of the stream but for trailers' continuation.
pub const END_STREAM: u8 = 1;
/// SETTINGS and PING: an answer to one.
pub const ACKNOWLEDGED: u8 = 1;
/// HEADERS, `PUSH_PROMISE` and CONTINUATION: the header block is whole.
pub const END_HEADERS: u8 = 4;
/// DATA, HEADERS and `PUSH_PROMISE`: filler stands behind the content.
pub const PADDED: u8 = 8;
/// HEADERS: five bytes of priority stand before the block.
pub const PRIORITY: u8 = 0x20;

impl Frame {
    /// The header at the front of `bytes`; `None` while there are fewer than [`HEADER`].
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let [high, middle, low] = cursor.array()?;
        let kind = Kind::of(cursor.u8()?);
        let flags = cursor.u8()?;
        let stream = cursor.u32_be()? & 0x7fff_ffff;
        Some(Self { length: u32::from_be_bytes([0, high, middle, low]), kind, flags, stream })
    }

    /// The bit is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The length is such as the kind allows, at most `longest`, and what belongs to a stream
    /// names one. The first frame that is not sound shows that the boundaries of frames are lost.
    pub fn is_sound(&self, longest: u32) -> bool {
        let fits = match self.kind {
            Kind::Priority => self.length == 5,
            Kind::Reset | Kind::Window => self.length == 4,
            Kind::Settings if self.has(ACKNOWLEDGED) => self.length == 0,
            Kind::Settings => self.length.is_multiple_of(6),
            Kind::Ping => self.length == 8,
            Kind::GoAway => self.length >= 8,
            Kind::Push => self.length >= 4,
            Kind::Data | Kind::Headers | Kind::Continuation | Kind::Other(_) => true,
        };
        let needs_stream = matches!(
            self.kind,
            Kind::Data
                | Kind::Headers
                | Kind::Priority
                | Kind::Reset
                | Kind::Push
                | Kind::Continuation
        );
        fits && self.length <= longest && (self.stream != 0 || !needs_stream)
    }

    /// What belongs to the connection names no stream, and only flags are set that the kind
    /// knows. Neither matters where frames are certain, but others are no sign of a frame where
    /// one is sought.
    fn is_plausible(&self) -> bool {
        let is_of_connection = matches!(self.kind, Kind::Settings | Kind::Ping | Kind::GoAway);
        let is_known = !matches!(self.kind, Kind::Other(_));
        is_known && self.has_known_flags() && (self.stream == 0 || !is_of_connection)
    }

    fn has_known_flags(&self) -> bool {
        let known = match self.kind {
            Kind::Data => END_STREAM | PADDED,
            Kind::Headers => END_STREAM | END_HEADERS | PADDED | PRIORITY,
            Kind::Settings | Kind::Ping => ACKNOWLEDGED,
            Kind::Push => END_HEADERS | PADDED,
            Kind::Continuation => END_HEADERS,
            _ => 0,
        };
        self.flags & !known == 0
    }
}

impl Kind {
    /// The kind of the type byte.
    pub fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::Push,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::Window,
            9 => Self::Continuation,
            other => Self::Other(other),
        }
    }
}

/// `bytes`, which stood at the front of a segment, are frames of known kinds one behind the
/// other, of which the last may go on in later segments. `longest` bounds their payloads.
///
/// A lone frame that is cut is believed for its header only when it carries DATA or HEADERS:
/// the others are so short that they are seen whole.
pub fn is_chain(bytes: &[u8], longest: u32) -> bool {
    let (mut rest, mut whole) = (bytes, 0);
    while let Some(frame) = Frame::read(rest) {
        let is_reserved = rest.get(5).is_some_and(|byte| byte & 0x80 != 0);
        if is_reserved || !frame.is_sound(longest) || !frame.is_plausible() {
            return false;
        }
        let Some(behind) = rest.get(HEADER + frame.length as usize..) else {
            return whole > 0 || matches!(frame.kind, Kind::Data | Kind::Headers);
        };
        whole += 1;
        rest = behind;
    }
    whole > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\0\x10\0";

    #[test]
    fn a_header_is_length_kind_flags_and_stream() {
        let frame = Frame::read(b"\x01\x02\x03\x01\x25\x80\0\0\x07").unwrap();
        let expected = Frame { length: 0x01_0203, kind: Kind::Headers, flags: 0x25, stream: 7 };
        assert_eq!(frame, expected);
        assert!(frame.has(PRIORITY) && frame.has(END_STREAM) && !frame.has(PADDED));
        assert_eq!(Frame::read(b"\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn a_sound_frame_has_the_length_and_stream_of_its_kind() {
        let sound = |bytes: &[u8; 9]| Frame::read(bytes).unwrap().is_sound(DEFAULT);
        assert!(sound(b"\0\0\x05\0\0\0\0\0\x01"));
        assert!(sound(b"\0\0\x0c\x04\0\0\0\0\0"));
        assert!(sound(b"\0\0\x09\x63\xff\0\0\0\x01"));
        assert!(!sound(b"\0\0\x05\0\0\0\0\0\0"), "DATA without stream");
        assert!(!sound(b"\0\0\x0d\x04\0\0\0\0\0"), "SETTINGS of 13 bytes");
        assert!(!sound(b"\0\0\x06\x04\x01\0\0\0\0"), "an acknowledgement with SETTINGS");
        assert!(!sound(b"\0\0\x03\x03\0\0\0\0\x01"), "RST_STREAM without code");
        assert!(!sound(b"\0\x40\x01\0\0\0\0\0\x01"), "longer than allowed");
    }

    #[test]
    fn a_chain_is_frames_to_the_end() {
        assert!(is_chain(WINDOW, DEFAULT));
        assert!(is_chain(&[WINDOW, WINDOW, b"\0\0"].concat(), DEFAULT));
        assert!(is_chain(b"\0\x10\0\0\0\0\0\0\x01body", DEFAULT), "DATA that goes on");
        assert!(!is_chain(&WINDOW[..12], DEFAULT), "a cut control frame");
        assert!(!is_chain(&WINDOW[..8], DEFAULT));
        assert!(!is_chain(&[WINDOW, b"GET / HTTP/1.1"].concat(), DEFAULT));
        assert!(!is_chain(b"\0\0\x04\x08\x01\0\0\0\0\0\0\x10\0", DEFAULT), "an odd flag");
        assert!(!is_chain(b"\0\0\0\x04\x01\0\0\0\x01", DEFAULT), "SETTINGS of a stream");
        assert!(!is_chain(b"\0\0\x04\x0a\0\0\0\0\0\0\0\x10\0", DEFAULT), "an odd kind");
        assert!(!is_chain(b"\0\0\0\0\0\0\0\0\0\0\0\0", DEFAULT), "zeros");
        assert!(!is_chain(b"", DEFAULT));
    }

    const DEFAULT: u32 = crate::protocol::http2::DEFAULT_FRAME;
}
