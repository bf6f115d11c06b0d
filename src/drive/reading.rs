//! Reads a body from the disk while it is sent: one block is on its way out, and the next one is
//! read meanwhile, on a thread that may wait for a disk. The threads of the pacer never do.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::plan::Arrival;
use crate::plan::streamed::Streamed;
use crate::protocol::http1::chunks::Around;

/// Bytes read at once: handing them to another thread and back costs a few microseconds, far less
/// than copying so many, and thousands of bodies may be on their way at once.
const BLOCK: usize = 128 * 1024;

/// Bytes a second that a slow line carries.
const SLOW_LINE: u64 = 1 << 20;

/// How long an exchange may take: besides the limit for its response, a body from the disk has the
/// time that a slow line needs for it.
pub(crate) fn patience(arrival: &Arrival, limit: Duration) -> Duration {
    let length = arrival.streamed.as_ref().map_or(0, |streamed| streamed.body.length());
    limit + Duration::from_secs(length / SLOW_LINE)
}

/// Bytes of memory that a body takes while it is sent.
pub(crate) const HELD: u64 = 2 * BLOCK as u64;

/// The bytes of a streamed body as they go on the wire, in order.
pub(crate) struct Reading {
    /// What may be sent, from `sent` on.
    block: Vec<u8>,
    sent: usize,
    next: Option<Vec<u8>>,
    /// A buffer that was sent whole, to be filled again.
    spare: Vec<u8>,
    /// Where the next block is read; not here while one is.
    wire: Option<Box<Wire>>,
    busy: Option<JoinHandle<Read>>,
    error: Option<io::Error>,
}

/// A block, or why there is none, and the place behind it.
type Read = (Box<Wire>, io::Result<Vec<u8>>);

impl Reading {
    pub(crate) fn new(streamed: Arc<Streamed>) -> Self {
        let (block, next, spare) = (Vec::new(), None, Vec::new());
        let wire = Some(Box::new(Wire::new(streamed)));
        Self { block, sent: 0, next, spare, wire, busy: None, error: None }
    }

    /// What can be sent without waiting.
    pub(crate) fn at_hand(&self) -> &[u8] {
        self.block.get(self.sent..).unwrap_or_default()
    }

    /// So many bytes of it were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.block.len() {
            self.turn_over();
        }
    }

    /// The body cannot be read any further.
    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some() && self.at_hand().is_empty()
    }

    /// Reads ahead; ready as soon as something has come of it, and not when there is nothing to do.
    pub(crate) fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none()
            && self.error.is_none()
            && let Some(mut wire) = self.wire.take_if(|wire| !wire.is_over())
        {
            let buffer = std::mem::take(&mut self.spare);
            self.busy = Some(spawn_blocking(move || {
                let block = wire.block(buffer);
                (wire, block)
            }));
        }
        let Some(busy) = &mut self.busy else { return Poll::Pending };
        let read = ready!(Pin::new(busy).poll(context));
        self.busy = None;
        match read {
            Ok((wire, block)) => {
                self.wire = Some(wire);
                match block {
                    Ok(block) => self.next = Some(block),
                    Err(error) => self.error = Some(error),
                }
            }
            // The run is over.
            Err(error) => self.error = Some(io::Error::other(error)),
        }
        if self.at_hand().is_empty() {
            self.turn_over();
        }
        Poll::Ready(())
    }

    /// Waits until something can be sent; false behind the end.
    pub(crate) async fn fetch(&mut self) -> io::Result<bool> {
        loop {
            if !self.at_hand().is_empty() {
                return Ok(true);
            }
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            let is_over = self.wire.as_ref().is_some_and(|wire| wire.is_over());
            if is_over && self.next.is_none() {
                return Ok(false);
            }
            std::future::poll_fn(|context| self.poll_ahead(context)).await;
        }
    }

    fn turn_over(&mut self) {
        self.sent = 0;
        self.spare = std::mem::replace(&mut self.block, self.next.take().unwrap_or_default());
    }
}

/// A place on the wire.
#[derive(Debug)]
struct Wire {
    streamed: Arc<Streamed>,
    /// The framing behind this place.
    around: Option<Around>,
    /// Framing that comes before anything else.
    front: Bytes,
    /// Bytes of the body until the next framing.
    left: u64,
    /// Bytes of the body before this place.
    at: u64,
}

impl Wire {
    fn new(streamed: Arc<Streamed>) -> Self {
        let around = streamed.around.clone().map(Around::new);
        let left = if around.is_some() { 0 } else { streamed.body.length() };
        let mut wire = Self { streamed, around, front: Bytes::new(), left, at: 0 };
        wire.go_on();
        wire
    }

    /// Finds what comes next, where nothing is known of it.
    fn go_on(&mut self) {
        if self.front.is_empty()
            && self.left == 0
            && let Some(around) = &mut self.around
        {
            (self.front, self.left) = around.next().unwrap_or_default();
        }
    }

    fn is_over(&self) -> bool {
        self.front.is_empty() && self.left == 0
    }

    /// The next block, in the place of what `buffer` held.
    fn block(&mut self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.clear();
        while buffer.len() < BLOCK && !self.is_over() {
            let room = BLOCK - buffer.len();
            let front = self.front.split_to(room.min(self.front.len()));
            buffer.extend_from_slice(&front);
            let start = buffer.len();
            let piece = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK - start);
            buffer.resize(start + piece, 0);
            self.streamed.body.read_at(self.at, buffer.get_mut(start..).unwrap_or_default())?;
            self.at += piece as u64;
            self.left -= piece as u64;
            self.go_on();
        }
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;
    use crate::protocol::http1::chunks::framed;
    use crate::recording::stored::Stored;
    use crate::recording::stored::spool::Spool;

    fn stored(bytes: &[u8]) -> Stored {
        let folder = tempfile::tempdir().unwrap();
        let mut stored = Arc::new(Spool::beside(&folder.path().join("peak"))).begin();
        stored.append(bytes).unwrap();
        stored
    }

    /// All of it, taken in steps of so many bytes.
    fn wire(streamed: Streamed, step: usize) -> Vec<u8> {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut reading, mut all) = (Reading::new(Arc::new(streamed)), Vec::new());
            while reading.fetch().await.unwrap() {
                let piece = reading.at_hand();
                let piece = &piece[..piece.len().min(step)];
                all.extend_from_slice(piece);
                let count = piece.len();
                reading.sent(count);
            }
            all
        })
    }

    #[test]
    fn every_byte_goes_out_once_with_its_framing() {
        let body: Vec<u8> = (0..3 * BLOCK + 5).map(|at| (at / 251).to_le_bytes()[0]).collect();
        let stored = stored(&body);
        let chunks = format!("1;a=b\r\n\r\n{:x}\r\n\r\n4\r\n\r\n0\r\nA: b\r\n\r\n", body.len() - 5);
        for step in [1_000, 65_536, usize::MAX] {
            assert!(wire(Streamed::of_length(&stored), step) == body);
            let chunked = wire(Streamed::chunked(&stored, Some(chunks.as_bytes())), step);
            assert!(chunked == framed(chunks.as_bytes(), &body).unwrap());
        }
        let unknown = wire(Streamed::chunked(&stored, None), usize::MAX);
        assert!(unknown.starts_with(format!("{:x}\r\n", body.len()).as_bytes()));
        assert!(unknown.ends_with(b"\r\n0\r\n\r\n"));
    }

    #[test]
    fn a_body_that_is_gone_fails_where_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peak");
        std::fs::write(&path, vec![7; BLOCK + 10]).unwrap();
        let recorded = crate::recording::stored::Recorded {
            file: Arc::new(std::fs::File::open(&path).unwrap()),
            path: path.into(),
            number: 0,
            at: 0,
            digest: [0; 32],
        };
        let streamed = Streamed::of_length(&Stored::recorded(recorded, 2 * BLOCK as u64));
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reading = Reading::new(Arc::new(streamed));
            assert!(reading.fetch().await.unwrap());
            let count = reading.at_hand().len();
            assert!(count == BLOCK && !reading.has_failed());
            reading.sent(count);
            assert!(reading.fetch().await.is_err());
        });
    }
}
