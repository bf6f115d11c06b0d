//! The headers of a frame, from the outside in: each is peeled off and says what follows.

use std::net::IpAddr;

use crate::bytes::Cursor;
use crate::capture::frame::LinkType;

/// What the next bytes of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// A frame as captured.
    Link(LinkType),
    Ethernet,
    /// What a registered Ethernet type says.
    EtherType(u16),
    /// The Point-to-Point Protocol, from its protocol number on.
    Ppp,
    /// IPv4 or IPv6, by the version in the header itself.
    Ip,
    /// What an IP protocol number says.
    Transport(Ends, u8),
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// Captured bytes, and how many more there were on the wire behind them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) cut: u32,
}

/// A layer and the bytes that it begins with; or the bucket in which the frame ends.
pub(crate) type Peeled<'a> = Result<(Layer, Piece<'a>), &'static str>;

impl<'a> Piece<'a> {
    /// The piece behind the first `count` bytes; `None` when they were not all captured.
    pub(crate) fn behind(self, count: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(count..)?, cut: self.cut })
    }

    /// At most `wire` bytes of what was on the wire: what lies behind is padding or a trailer.
    pub(crate) fn limit(self, wire: usize) -> Self {
        let bytes = self.bytes.get(..wire).unwrap_or(self.bytes);
        let cut = u32::try_from(wire - bytes.len()).unwrap_or(u32::MAX);
        Self { bytes, cut }
    }

    /// Bytes on the wire.
    pub(crate) fn wire_len(self) -> usize {
        self.bytes.len().saturating_add(self.cut as usize)
    }

    /// Reads from the first byte on.
    pub(crate) fn cursor(self) -> Cursor<'a> {
        Cursor::new(self.bytes)
    }

    /// The first four bits, which tell the versions of IP apart.
    pub(crate) fn version(self) -> Option<u8> {
        self.bytes.first().map(|byte| byte >> 4)
    }
}
