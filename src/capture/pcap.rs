//! Frames of a pcap or pcapng file, one after the other, in bounded memory.

use std::io::{self, Read};

use crate::capture::CaptureError;
use crate::capture::frame::{Found, Frame, Notes};
use crate::capture::legacy::Legacy;
use crate::capture::pcapng::Pcapng;
use crate::capture::window::Window;

/// Reads the frames of a capture file.
///
/// Whatever is wrong inside of the file is noted and skipped; an error means that the input
/// itself could not be read.
#[derive(Debug)]
pub struct FrameReader<R> {
    name: String,
    window: Window<R>,
    format: Format,
    notes: Notes,
    /// Bytes of the frame that was handed out last, still at the front of the window.
    handed_out: usize,
    /// A frame that was looked for and not handed out, with its time.
    ready: Option<(Found, i64)>,
    /// Added to the times of the file.
    shift_ns: i64,
    /// For frames without a time of their own.
    last_at_ns: i64,
}

#[derive(Debug)]
enum Format {
    Pcap(Legacy),
    Pcapng(Pcapng),
}

impl<R: Read> FrameReader<R> {
    /// Reads the file's header; `name` is for messages. The first bytes must be those of
    /// [`Content::Pcap`] or [`Content::Pcapng`].
    ///
    /// [`Content::Pcap`]: crate::capture::source::Content::Pcap
    /// [`Content::Pcapng`]: crate::capture::source::Content::Pcapng
    pub fn new(reader: R, name: &str) -> Result<Self, CaptureError> {
        let mut window = Window::new(reader);
        let mut notes = Notes::default();
        let opened = open(&mut window, &mut notes);
        let name = name.to_owned();
        match opened {
            Ok(Ok(format)) => {
                let (handed_out, ready, shift_ns, last_at_ns) = (0, None, 0, 0);
                Ok(Self { name, window, format, notes, handed_out, ready, shift_ns, last_at_ns })
            }
            Ok(Err(what)) => Err(CaptureError::Unsupported {
                name,
                what,
                advice: "write it again with `editcap -F pcapng`, or capture with tcpdump",
            }),
            Err(source) => Err(CaptureError::Read { name, offset: window.offset(), source }),
        }
    }

    /// Adds to the times of all frames that are read from now on.
    pub fn shift_clock(&mut self, ns: i64) {
        self.shift_ns = ns;
    }

    /// The next frame in the order of the file, `None` at its end.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let Some((found, at_ns)) = self.ready.take() else { return Ok(None) };
        self.handed_out = found.consumed;
        let (start, end) = found.data;
        let data = self.window.bytes().get(start..end).unwrap_or_default();
        Ok(Some(Frame { at_ns, link: found.link, data, wire_bytes: found.wire_bytes }))
    }

    /// Time of the next frame, which stays to be read; `None` at the end.
    pub fn peek(&mut self) -> Result<Option<i64>, CaptureError> {
        if let Some((_, at_ns)) = self.ready {
            return Ok(Some(at_ns));
        }
        let Some(found) = self.find()? else { return Ok(None) };
        let shifted = found.at_ns.map(|at_ns| at_ns.saturating_add(self.shift_ns));
        let at_ns = shifted.unwrap_or_else(|| {
            self.notes.count("frame without a usable time", 1);
            self.last_at_ns
        });
        self.last_at_ns = at_ns;
        self.ready = Some((found, at_ns));
        Ok(Some(at_ns))
    }

    /// The TLS secrets that stood before the next frame and what else was looked at: the text of a
    /// key log.
    pub(super) fn take_secrets(&mut self) -> Vec<u8> {
        match &mut self.format {
            Format::Pcap(_) => Vec::new(),
            Format::Pcapng(pcapng) => pcapng.take_secrets(),
        }
    }

    /// What was seen besides frames so far; complete after the last frame.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Smallest step of the capture's clock in nanoseconds; of several clocks the coarsest that
    /// was used so far.
    pub fn clock_resolution_ns(&self) -> u64 {
        match &self.format {
            Format::Pcap(legacy) => legacy.step_ns(),
            Format::Pcapng(pcapng) => pcapng.step_ns(),
        }
    }

    /// What is read from.
    pub fn source(&self) -> &R {
        self.window.reader()
    }

    fn find(&mut self) -> Result<Option<Found>, CaptureError> {
        self.window.consume(self.handed_out);
        self.handed_out = 0;
        let found = match &mut self.format {
            Format::Pcap(legacy) => legacy.next(&mut self.window, &mut self.notes),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.window, &mut self.notes),
        };
        found.map_err(|source| CaptureError::Read {
            name: self.name.clone(),
            offset: self.window.offset(),
            source,
        })
    }
}

fn open<R: Read>(window: &mut Window<R>, notes: &mut Notes) -> io::Result<Result<Format, String>> {
    window.reach(4)?;
    if window.bytes().starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        Ok(Pcapng::open(window, notes)?.map(Format::Pcapng))
    } else {
        Ok(Legacy::open(window, notes)?.map(Format::Pcap))
    }
}
