//! Opens a capture by what is in it, not by its name: plain, gzip or zstd, from a path or from
//! standard input.

mod content;
mod decoder;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::capture::CaptureError;
use crate::capture::source::decoder::{Decoder, Raw};
use crate::recording::ledger::Ledger;

pub use crate::capture::source::decoder::MAX_UNPACKED;

/// An open capture, decompressed while it is read.
///
/// Compressed input that is damaged ends early, and [`Source::damage`] says so.
pub struct Source {
    name: String,
    /// The folder that it lies in; none for standard input.
    folder: Option<PathBuf>,
    stop: Arc<AtomicBool>,
    head: Vec<u8>,
    /// Added to its times, in nanoseconds: its clock was as much behind.
    clock_shift_ns: i64,
    /// What the user says it is.
    forced: Option<Content>,
    input: Chain<Cursor<Vec<u8>>, BufReader<Decoder>>,
}

/// What a source holds, by its first bytes after decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Capture file of libpcap, any byte order and resolution.
    Pcap,
    /// Capture file in blocks.
    Pcapng,
    /// A JSON object that is none of the following.
    JsonLines,
    /// A JSON object with `log`.
    Har,
    /// A file of `GoReplay`, by its first record's header.
    Gor,
    /// What Redis told a client that monitored it.
    Monitor,
    /// A JSON object with `sessions`, of Proxy Verifier or `traffic_dump`.
    Sessions,
    /// Targets of vegeta, as text or JSON: they have no times of their own.
    Targets,
    /// A Parquet file, such as a recording.
    Parquet,
    /// None of these.
    Unknown,
}

impl Source {
    /// Opens a path, or standard input where the path is `-`.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        if path == Path::new("-") {
            return Self::from_reader("standard input", Box::new(io::stdin()));
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => {
                let folder = path.parent().map(|parent| Path::new(".").join(parent));
                Ok(Self { folder, ..Self::from_reader(&name, Box::new(file))? })
            }
            Err(source) => Err(CaptureError::Open { name, source }),
        }
    }

    /// Reads from anything; `name` is for messages.
    pub fn from_reader(name: &str, mut raw: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError::Read { name: name.to_owned(), offset: 0, source };
        let magic = read_head(&mut raw, MAGIC_BYTES).map_err(failed)?;
        if magic.is_empty() {
            return Err(CaptureError::Empty { name: name.to_owned() });
        }
        let raw: Raw = BufReader::new(Box::new(Cursor::new(magic.clone()).chain(raw)));
        let mut decoder = Decoder::new(&magic, raw).map_err(failed)?;
        let head = read_head(&mut decoder, HEAD_BYTES).map_err(failed)?;
        if head.is_empty() {
            let what = decoder.damage().map_or("compressed data of no bytes", |(_, text)| text);
            return Err(CaptureError::Unsupported {
                name: name.to_owned(),
                what: what.to_owned(),
                advice: "check that the file was copied whole",
            });
        }
        let input = Cursor::new(head.clone()).chain(BufReader::new(decoder));
        Ok(Self {
            name: name.to_owned(),
            folder: None,
            clock_shift_ns: 0,
            stop: Arc::default(),
            head,
            forced: None,
            input,
        })
    }

    /// Once this is set there is nothing more to read: whoever takes what is found has failed.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// The path as given, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of the file; `None` where it is none, such as standard input.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Adds to its times, in nanoseconds.
    pub fn shift_clock(&mut self, ns: i64) {
        self.clock_shift_ns = ns;
    }

    /// What is to be added to its times, in nanoseconds; whoever reads the times does it.
    pub fn clock_shift_ns(&self) -> i64 {
        self.clock_shift_ns
    }

    /// Takes it for what the user says it is.
    pub fn read_as(&mut self, content: Content) {
        self.forced = Some(content);
    }

    /// What it holds.
    pub fn content(&self) -> Content {
        if let Some(content) = self.forced {
            return content;
        }
        content::told(&self.head)
    }

    /// The error for a source that is no capture of packets.
    pub fn not_a_capture(&self) -> CaptureError {
        let name = self.name.clone();
        // The names of fields in the stream of Go values that it wrote then.
        if self.head.windows(10).any(|window| window == b"RawRequest") {
            let what = "a GoReplay file from before version 0.10".to_owned();
            let advice = "write it again with GoReplay 1.x";
            return CaptureError::Unsupported { name, what, advice };
        }
        let foreign = FOREIGN.iter().find(|(magic, ..)| self.head.starts_with(magic));
        if let Some((_, what, advice)) = foreign {
            return CaptureError::Unsupported { name, what: (*what).to_owned(), advice };
        }
        let first: Vec<String> =
            self.head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        CaptureError::NotACapture { name, first_bytes: first.join(" ") }
    }

    /// Unpacks at most so many bytes, instead of [`MAX_UNPACKED`]; to be said before it is read.
    pub fn unpack_at_most(&mut self, bytes: u64) {
        self.input.get_mut().1.get_mut().unpack_at_most(bytes);
    }

    /// Why decompression ended early, if it did so far.
    pub fn damage(&self) -> Option<&str> {
        self.input.get_ref().1.get_ref().damage().map(|(_, text)| text)
    }

    /// Notes that it was not read to its end, if that is so. Returns the sentence for people.
    pub(crate) fn note_damage(&self, ledger: &mut Ledger) -> Option<String> {
        let (note, text) = self.input.get_ref().1.get_ref().damage()?;
        ledger.note(note, 1);
        Some(format!("{text}: what comes before it was used"))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) { Ok(0) } else { self.input.read(buffer) }
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.stop.load(Ordering::Relaxed) { Ok(&[]) } else { self.input.fill_buf() }
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Longest of the magic numbers of compressed formats.
const MAGIC_BYTES: usize = 4;

/// Enough for every magic number, and for a JSON file that opens with some blank lines.
const HEAD_BYTES: usize = 512;

/// Formats a user may well try, with what to do about each.
const FOREIGN: [(&[u8], &str, &str); 7] = [
    (
        b"PAR1",
        "importing a Parquet file",
        "a recording is used as it is: name it in `inspect` or in a scenario",
    ),
    (b"BZh", "bzip2 compression", "decompress it first with `bunzip2`"),
    (b"\xfd7zXZ", "xz compression", "decompress it first with `unxz`"),
    (b"\x04\x22\x4d\x18", "lz4 compression", "decompress it first with `unlz4`"),
    (b"PK\x03\x04", "a zip archive", "unpack it first with `unzip`"),
    (b"snoop\0\0\0", "a snoop capture", "convert it with `editcap -F pcapng`"),
    (b"GMBU", "a Network Monitor capture", "convert it with `editcap -F pcapng`"),
];

/// Reads until `limit` bytes or the end; a single read may return less than there is.
fn read_head(reader: &mut dyn Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(limit);
    reader.take(limit as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Hands out one byte at a time, as a slow pipe may.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

    fn source(bytes: &[u8]) -> Result<Source, CaptureError> {
        Source::from_reader("test", Box::new(Trickle(Cursor::new(bytes.to_vec()))))
    }

    fn read_all(source: &mut Source) -> Vec<u8> {
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        all
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn content_is_told_by_the_first_bytes() {
        for (bytes, content) in [
            (&[0xd4, 0xc3, 0xb2, 0xa1][..], Content::Pcap),
            (&[0xa1, 0xb2, 0xc3, 0xd4], Content::Pcap),
            (&[0x4d, 0x3c, 0xb2, 0xa1], Content::Pcap),
            (&[0x34, 0xcd, 0xb2, 0xa1], Content::Pcap),
            (&[0x0a, 0x0d, 0x0d, 0x0a], Content::Pcapng),
            (b"PAR1", Content::Parquet),
            (b"{", Content::JsonLines),
            (b"\n\n  {\"at_ns\":1}", Content::JsonLines),
            (b"GET / HTTP/1.1", Content::Unknown),
        ] {
            assert_eq!(source(bytes).unwrap().content(), content, "{bytes:?}");
        }
    }

    #[test]
    fn every_compression_reads_the_same() {
        let text = b"\x0a\x0d\x0d\x0a and more".repeat(100);
        let mut two_members = gzip(&text[..700]);
        two_members.extend(gzip(&text[700..]));
        for bytes in
            [text.clone(), gzip(&text), two_members, zstd::encode_all(&text[..], 3).unwrap()]
        {
            let mut source = source(&bytes).unwrap();
            assert_eq!(source.content(), Content::Pcapng);
            assert_eq!(read_all(&mut source), text);
            assert_eq!(source.damage(), None);
        }
    }

    #[test]
    fn a_cut_last_member_keeps_what_came_before() {
        let noise = |number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes();
        let text: Vec<u8> = (0..60_000).flat_map(noise).collect();
        let mut two_members = gzip(&text);
        let whole = two_members.len();
        two_members.extend(gzip(&text));
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for bytes in [&two_members[..whole + 5_000], &zstd[..zstd.len() * 3 / 4]] {
            let mut source = source(bytes).unwrap();
            let read = read_all(&mut source);
            assert!(text.repeat(2).starts_with(&read) && read.len() > 1_000);
            assert!(source.damage().unwrap().contains("cut or damaged"));
        }
    }

    #[test]
    fn what_unpacks_to_more_than_the_ceiling_ends_there() {
        let text = b"0123456789abcdef".repeat(1_000);
        for packed in [gzip(&text), zstd::encode_all(&text[..], 3).unwrap()] {
            for (ceiling, whole) in [(16_000, true), (15_999, false), (513, false)] {
                let mut source = source(&packed).unwrap();
                source.unpack_at_most(ceiling);
                assert_eq!(read_all(&mut source).len() as u64, ceiling);
                let damage = source.damage();
                assert_eq!(damage.is_none(), whole, "{damage:?}");
                assert!(damage.is_none_or(|it| it.contains("unpacks to more than")), "{damage:?}");
            }
        }
        let mut plain = source(&text).unwrap();
        plain.unpack_at_most(1);
        assert_eq!(read_all(&mut plain), text);
    }

    #[test]
    fn errors_say_what_where_and_what_next() {
        for (bytes, text) in [
            (&b""[..], "test: is empty; check that the capture was written and copied whole"),
            (
                b"GET / HTTP",
                "test: not a capture: it begins with 47 45 54 20 2f 20 48 54; supported are pcap \
                 and pcapng (convert others with `editcap -F pcapng`), HAR, GoReplay, sessions of \
                 Proxy Verifier, vegeta targets, JSON Lines and access logs (describe one of \
                 your own with --log-format), plain or compressed with gzip or zstd",
            ),
            (
                b"BZh91AY&SY",
                "test: bzip2 compression is not supported; decompress it first with `bunzip2`",
            ),
            (
                &gzip(b"capture")[..5],
                "test: gzip data that is cut or damaged (unexpected end of file) is not \
                 supported; check that the file was copied whole",
            ),
        ] {
            let error = source(bytes).map_or_else(|error| error, |source| source.not_a_capture());
            assert_eq!(error.to_string(), text);
        }
        let missing = Source::open(Path::new("no/such/file.pcap")).unwrap_err();
        assert!(missing.to_string().starts_with("no/such/file.pcap: cannot be opened"));
    }
}
