//! The body of a request of HTTP/2, as fast as the target takes it.

use std::future::poll_fn;

use ::bytes::Bytes;
use h2::{Error, Reason, SendStream};

use crate::drive::reading::Reading;
use crate::plan::Arrival;

/// Most bytes of a body that are handed over at once, before other connections get a turn.
const PIECE: usize = 64 * 1024;

/// A body that is to be sent.
pub(super) enum Body {
    Held(Bytes),
    Read(Box<Reading>),
}

/// Why a body was not written to its end.
pub(super) enum NotWritten {
    /// The stream or its connection has failed.
    Failed,
    /// It cannot be read.
    Unread,
}

impl From<Error> for NotWritten {
    fn from(_: Error) -> Self {
        Self::Failed
    }
}

impl Body {
    pub(super) fn of(arrival: &Arrival) -> Self {
        match &arrival.streamed {
            Some(streamed) => Self::Read(Box::new(Reading::new(streamed.clone()))),
            None => Self::Held(arrival.body.clone()),
        }
    }

    /// Its first bytes are at hand; false where they cannot be read.
    pub(super) async fn begins(&mut self) -> bool {
        match self {
            Self::Held(_) => true,
            Self::Read(reading) => reading.fetch().await.is_ok(),
        }
    }
}

/// Sends a body of so many bytes, which is not empty.
pub(super) async fn write(
    mut stream: SendStream<Bytes>,
    body: Body,
    length: u64,
) -> Result<(), NotWritten> {
    let mut reading = match body {
        Body::Held(body) => return piece(&mut stream, body, true).await,
        Body::Read(reading) => reading,
    };
    let mut left = length;
    while left > 0 {
        if !matches!(reading.fetch().await, Ok(true)) {
            stream.send_reset(Reason::CANCEL);
            return Err(NotWritten::Unread);
        }
        let bytes = Bytes::copy_from_slice(reading.at_hand());
        reading.sent(bytes.len());
        left = left.saturating_sub(bytes.len() as u64);
        piece(&mut stream, bytes, left == 0).await?;
    }
    Ok(())
}

async fn piece(
    stream: &mut SendStream<Bytes>,
    mut body: Bytes,
    is_last: bool,
) -> Result<(), NotWritten> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len().min(PIECE));
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(capacity) => {
                let piece = body.split_to(capacity?.min(body.len()));
                if !piece.is_empty() {
                    stream.send_data(piece, is_last && body.is_empty())?;
                }
            }
            None => return Err(NotWritten::Failed),
        }
    }
    Ok(())
}
