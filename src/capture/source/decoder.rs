//! Decompression that ends early where its input is damaged, or unpacks to more than is sensible.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::recording::ledger::cut;
use crate::units::format_size;

/// Most bytes that a compressed input may unpack to, where nothing else is said: more than any
/// capture of a peak hour, and read within minutes. A few hundred bytes could unpack to years of
/// reading otherwise.
pub const MAX_UNPACKED: u64 = 256 << 30;

/// Bytes as they are in a file.
pub(super) type Raw = BufReader<Box<dyn Read + Send>>;

/// The decompressor in use, and why it stopped early.
pub(super) struct Decoder {
    format: Format,
    /// Bytes that it may still unpack.
    room: u64,
    ceiling: u64,
    /// A note of the ledger, and the same for people.
    damage: Option<(&'static str, String)>,
}

enum Format {
    Plain(Raw),
    Gzip(MultiGzDecoder<Raw>),
    Zstd(zstd::Decoder<'static, Raw>),
}

impl Decoder {
    pub(super) fn new(magic: &[u8], raw: Raw) -> io::Result<Self> {
        let format = match magic {
            [0x1f, 0x8b, ..] => Format::Gzip(MultiGzDecoder::new(raw)),
            [0x28, 0xb5, 0x2f, 0xfd] => Format::Zstd(zstd::Decoder::with_buffer(raw)?),
            _ => Format::Plain(raw),
        };
        Ok(Self { format, room: MAX_UNPACKED, ceiling: MAX_UNPACKED, damage: None })
    }

    /// Moves the ceiling, before anything but the head was read.
    pub(super) fn unpack_at_most(&mut self, bytes: u64) {
        let unpacked = self.ceiling - self.room;
        (self.ceiling, self.room) = (bytes, bytes.saturating_sub(unpacked));
    }

    /// Why it ended early.
    pub(super) fn damage(&self) -> Option<(&'static str, &str)> {
        self.damage.as_ref().map(|(note, text)| (*note, text.as_str()))
    }

    /// What was unpacked, as far as there is room for it.
    fn within(&mut self, unpacked: usize) -> usize {
        if unpacked as u64 > self.room {
            let ceiling = format_size(self.ceiling);
            let text = format!(
                "compressed data that unpacks to more than {ceiling} (allow more with \
                 `peakhour import --max-unpacked SIZE`)"
            );
            self.damage = Some((cut::CEILING, text));
        }
        let used = usize::try_from(self.room).map_or(unpacked, |room| room.min(unpacked));
        self.room -= used as u64;
        used
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.damage.is_some() {
            return Ok(0);
        }
        let (name, result) = match &mut self.format {
            Format::Plain(raw) => return raw.read(buffer),
            Format::Gzip(decoder) => ("gzip", decoder.read(buffer)),
            Format::Zstd(decoder) => ("zstd", decoder.read(buffer)),
        };
        match result {
            // Only the operating system's errors carry a number; the others are about the data.
            Err(error)
                if error.raw_os_error().is_none() && error.kind() != io::ErrorKind::Interrupted =>
            {
                let text = format!("{name} data that is cut or damaged ({error})");
                self.damage = Some((cut::COMPRESSED, text));
                Ok(0)
            }
            result => result.map(|unpacked| self.within(unpacked)),
        }
    }
}
