//! The rows of a recording, as often as a plan needs to look at them.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::PlanError;
use crate::recording::Exchange;
use crate::recording::closings::Closings;
use crate::recording::file::reader::RecordingReader;
use crate::recording::file::rows::Outline;
use crate::recording::handshakes::Handshakes;

/// Rows in the order of time; it owns what it needs.
pub(crate) type Rows<T> = Box<dyn Iterator<Item = Result<T, PlanError>> + Send>;

/// From and to (not included), since the recording's start.
pub(crate) type Span = (Duration, Duration);

/// A recording that can be read several times.
pub(crate) struct Source<'a> {
    /// Wall clock of its start, nanoseconds since the Unix epoch.
    pub(crate) started_unix_ns: i64,
    /// When connections were closed.
    pub(crate) closings: Arc<Closings>,
    /// How connections began to speak TLS.
    pub(crate) handshakes: Arc<Handshakes>,
    /// What the small columns say.
    pub(crate) outlines: &'a dyn Fn(Option<Span>) -> Rows<Outline>,
    /// Everything.
    pub(crate) exchanges: &'a dyn Fn(Option<Span>) -> Rows<Exchange>,
}

/// Calls `with` on a recording's file.
pub(crate) fn with_reader<T>(reader: &RecordingReader, with: impl FnOnce(Source<'_>) -> T) -> T {
    with(Source {
        started_unix_ns: reader.header().started_unix_ns,
        closings: Arc::new(reader.header().closings.clone()),
        handshakes: Arc::new(reader.header().handshakes.clone()),
        outlines: &|span| Box::new(reader.outlines(span).map(|row| row.map_err(PlanError::from))),
        exchanges: &|span| Box::new(reader.exchanges(span).map(|row| row.map_err(PlanError::from))),
    })
}
