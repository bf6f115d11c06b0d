//! Reads rows, a batch at a time, and turns them into values. Everything a row says is checked.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::bytes::fnv1a;
use crate::protocol::Protocol;
use crate::recording::contents::MAX_SHAPE;
use crate::recording::file::RecordingError;
use crate::recording::file::batch::{Group, Row};
use crate::recording::file::columns::Column;
use crate::recording::file::reader::Table;
use crate::recording::stored::Stored;
use crate::recording::{Exchange, Flags, Response};

/// The exchanges of a recording, in the order of time.
#[derive(Debug)]
pub struct Exchanges {
    rows: Rows,
}

impl Exchanges {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows }
    }
}

impl Iterator for Exchanges {
    type Item = Result<Exchange, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next_row(exchange)
    }
}

/// What the small columns of an exchange tell: enough for a load shape, a choice of window and a
/// forecast of caches, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// First byte of the request, since the recording's start.
    pub at: Duration,
    /// The connection it was sent on.
    pub connection: u64,
    /// The client it belongs to.
    pub session: u64,
    /// Position on its connection, from 0.
    pub seq: u32,
    /// What was spoken.
    pub protocol: Protocol,
    /// Request method.
    pub method: String,
    /// [`target_hash`] of its authority and target.
    pub target: u64,
    /// Length of the request body in bytes, as on the wire.
    pub request_body_bytes: u64,
    /// Status code of the response; `None` where none was captured.
    pub status: Option<u16>,
    /// Bytes of the response's body, when it was whole.
    pub response_body_bytes: Option<u64>,
    /// First byte of the response, since `at`.
    pub first_byte: Option<Duration>,
    /// Last byte of the response, since `at`.
    pub last_byte: Option<Duration>,
    /// What is odd about it.
    pub flags: Flags,
}

impl Outline {
    pub(super) const COLUMNS: &'static [Column] = &[
        Column::At,
        Column::Connection,
        Column::Session,
        Column::Seq,
        Column::Protocol,
        Column::Method,
        Column::Authority,
        Column::Target,
        Column::RequestBodyBytes,
        Column::Status,
        Column::ResponseBodyBytes,
        Column::FirstByte,
        Column::LastByte,
        Column::Flags,
    ];
}

/// How large an exchange was, and whose: what tells outliers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySizes {
    /// The client it belongs to.
    pub session: u64,
    /// Request method.
    pub method: String,
    /// Request target as on the wire.
    pub target: String,
    /// The template of the target.
    pub route: String,
    /// Length of the request body in bytes, as on the wire.
    pub request_bytes: u64,
    /// Status code of the response; `None` where none was captured.
    pub status: Option<u16>,
    /// Bytes of the response's body, when it was whole.
    pub response_bytes: Option<u64>,
    /// First byte of the response, since that of the request.
    pub first_byte: Option<Duration>,
}

impl BodySizes {
    pub(super) const COLUMNS: &'static [Column] = &[
        Column::At,
        Column::Session,
        Column::Method,
        Column::Target,
        Column::Route,
        Column::RequestBodyBytes,
        Column::Status,
        Column::ResponseBodyBytes,
        Column::FirstByte,
    ];
}

/// The sizes of a recording, in the order of time.
#[derive(Debug)]
pub struct AllBodySizes {
    rows: Rows,
}

impl AllBodySizes {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows }
    }
}

impl Iterator for AllBodySizes {
    type Item = Result<BodySizes, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next_row(body_sizes)
    }
}

/// A number for a resource, equal for equal authorities and targets: FNV-1a of 64 bits over the
/// authority, a zero byte and the target. It is the same on every machine and in every version.
pub fn target_hash(authority: &str, target: &str) -> u64 {
    fnv1a(authority.bytes().chain([0]).chain(target.bytes()))
}

/// The outlines of a recording, in the order of time.
#[derive(Debug)]
pub struct Outlines {
    rows: Rows,
}

impl Outlines {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows }
    }
}

impl Iterator for Outlines {
    type Item = Result<Outline, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next_row(outline)
    }
}

/// A walk over the rows of a range. It ends for good after the first error.
#[derive(Debug)]
pub(super) struct Rows {
    table: Arc<Table>,
    columns: &'static [Column],
    /// First nanosecond read, and first not read.
    range: (i64, i64),
    /// Number of the next row group.
    group: usize,
    open: Option<Group>,
    /// Number of its first row.
    first_row: u64,
    latest: i64,
    done: bool,
}

impl Rows {
    pub(super) fn new(
        table: Arc<Table>,
        columns: &'static [Column],
        range: Option<(Duration, Duration)>,
    ) -> Self {
        let nanos = |at: Duration| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
        let range = range.map(|(start, end)| (nanos(start), nanos(end)));
        Self {
            table,
            columns,
            // Without a range, also negative times are read: they are errors, not outside.
            range: range.unwrap_or((i64::MIN, i64::MAX)),
            group: 0,
            open: None,
            first_row: 0,
            latest: i64::MIN,
            done: false,
        }
    }

    /// The next row of the range, made a value of.
    pub(super) fn next_row<T>(
        &mut self,
        decode: impl FnMut(&Row<'_>) -> Result<T, RecordingError>,
    ) -> Option<Result<T, RecordingError>> {
        let next = if self.done { None } else { self.find_row(decode).transpose() };
        if !matches!(next, Some(Ok(_))) {
            self.done = true;
            self.open = None;
        }
        next
    }

    fn find_row<T>(
        &mut self,
        mut decode: impl FnMut(&Row<'_>) -> Result<T, RecordingError>,
    ) -> Result<Option<T>, RecordingError> {
        loop {
            let Some(group) = &mut self.open else {
                if !self.open_group()? {
                    return Ok(None);
                }
                continue;
            };
            let Some(row) = group.next_row(&self.table)? else {
                self.open = None;
                continue;
            };
            let at = row.int(Column::At)?;
            if at < self.latest {
                return Err(row.wrong(Column::At, "is earlier than the row before: not sorted"));
            }
            self.latest = at;
            if at >= self.range.1 && self.range.1 != i64::MAX {
                return Ok(None);
            }
            if at >= self.range.0 {
                return decode(&row).map(Some);
            }
        }
    }

    /// Opens the next row group that may hold rows of the range; false at the end.
    fn open_group(&mut self) -> Result<bool, RecordingError> {
        while let Some(metadata) = self.table.metadata.row_groups().get(self.group) {
            let number = self.group;
            let first_row = self.first_row;
            let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
            self.group += 1;
            self.first_row += rows;
            let times = self.table.times(number);
            let outside = times.is_some_and(|(first, last)| {
                last < self.range.0 || (first >= self.range.1 && self.range.1 != i64::MAX)
            });
            if !outside && rows > 0 {
                self.open = Some(Group::open(&self.table, number, first_row, self.columns)?);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn exchange(row: &Row<'_>) -> Result<Exchange, RecordingError> {
    Ok(Exchange {
        at: Duration::from_nanos(row.natural(Column::At)?),
        connection: row.int(Column::Connection)?.cast_unsigned(),
        session: row.int(Column::Session)?.cast_unsigned(),
        seq: row.number(Column::Seq)?,
        stream: row.optional_number(Column::Stream)?,
        protocol: protocol(row)?,
        method: row.text(Column::Method)?.to_owned(),
        scheme: row.text(Column::Scheme)?.to_owned(),
        authority: row.text(Column::Authority)?.to_owned(),
        target: row.text(Column::Target)?.to_owned(),
        route: row.text(Column::Route)?.to_owned(),
        request_head: row.bytes(Column::RequestHead)?,
        request_body: row.bytes(Column::RequestBody)?,
        request_stored: stored(row)?,
        request_body_bytes: row.natural(Column::RequestBodyBytes)?,
        request_chunks: row.optional_bytes(Column::RequestChunks)?.map(Bytes::copy_from_slice),
        response: response(row)?,
        flags: flags(row)?,
    })
}

fn stored(row: &Row<'_>) -> Result<Option<Stored>, RecordingError> {
    let Some(number) = row.optional_natural(Column::RequestStored)? else { return Ok(None) };
    let length = row.natural(Column::RequestBodyBytes)?;
    let stored = row.table.bodies.find(number, length, row.table);
    stored.map(Some).map_err(|problem| row.wrong(Column::RequestStored, problem))
}

fn response(row: &Row<'_>) -> Result<Option<Response>, RecordingError> {
    let Some(status) = status(row)? else {
        let parts = [
            Column::ResponseHead,
            Column::ResponseBodyBytes,
            Column::ResponseDigest,
            Column::ResponseShape,
            Column::FirstByte,
            Column::LastByte,
        ];
        return match parts.into_iter().find(|part| !row.is_null(*part)) {
            Some(part) => Err(row.wrong(part, "is set although `status` is null")),
            None => Ok(None),
        };
    };
    let digest = match row.optional_bytes(Column::ResponseDigest)? {
        Some(bytes) => Some(
            <[u8; 16]>::try_from(bytes)
                .map_err(|_| row.wrong(Column::ResponseDigest, "has not 16 bytes"))?,
        ),
        None => None,
    };
    Ok(Some(Response {
        status,
        head: row.bytes(Column::ResponseHead)?,
        body_bytes: row.optional_natural(Column::ResponseBodyBytes)?,
        digest,
        shape: shape(row)?,
        first_byte: row.optional_natural(Column::FirstByte)?.map(Duration::from_nanos),
        last_byte: row.optional_natural(Column::LastByte)?.map(Duration::from_nanos),
    }))
}

/// The fields of a body; more than are ever kept are refused, since they stay in memory.
fn shape(row: &Row<'_>) -> Result<Option<Arc<str>>, RecordingError> {
    let Some(bytes) = row.optional_bytes(Column::ResponseShape)? else { return Ok(None) };
    let text = str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_SHAPE);
    let wrong = || row.wrong(Column::ResponseShape, "is no text of at most 4 KiB");
    text.map(|text| Some(text.into())).ok_or_else(wrong)
}

fn outline(row: &Row<'_>) -> Result<Outline, RecordingError> {
    Ok(Outline {
        at: Duration::from_nanos(row.natural(Column::At)?),
        connection: row.int(Column::Connection)?.cast_unsigned(),
        session: row.int(Column::Session)?.cast_unsigned(),
        seq: row.number(Column::Seq)?,
        protocol: protocol(row)?,
        method: row.text(Column::Method)?.to_owned(),
        target: target_hash(row.text(Column::Authority)?, row.text(Column::Target)?),
        request_body_bytes: row.natural(Column::RequestBodyBytes)?,
        status: status(row)?,
        response_body_bytes: row.optional_natural(Column::ResponseBodyBytes)?,
        first_byte: row.optional_natural(Column::FirstByte)?.map(Duration::from_nanos),
        last_byte: row.optional_natural(Column::LastByte)?.map(Duration::from_nanos),
        flags: flags(row)?,
    })
}

fn body_sizes(row: &Row<'_>) -> Result<BodySizes, RecordingError> {
    Ok(BodySizes {
        session: row.int(Column::Session)?.cast_unsigned(),
        method: row.text(Column::Method)?.to_owned(),
        target: row.text(Column::Target)?.to_owned(),
        route: row.text(Column::Route)?.to_owned(),
        request_bytes: row.natural(Column::RequestBodyBytes)?,
        status: status(row)?,
        response_bytes: row.optional_natural(Column::ResponseBodyBytes)?,
        first_byte: row.optional_natural(Column::FirstByte)?.map(Duration::from_nanos),
    })
}

pub(super) fn protocol(row: &Row<'_>) -> Result<Protocol, RecordingError> {
    Protocol::from_name(row.text(Column::Protocol)?)
        .ok_or_else(|| row.wrong(Column::Protocol, "is none that this version knows"))
}

fn status(row: &Row<'_>) -> Result<Option<u16>, RecordingError> {
    let Some(status) = row.optional_natural(Column::Status)? else {
        return Ok(None);
    };
    u16::try_from(status).map(Some).map_err(|_| row.wrong(Column::Status, "is beyond 65535"))
}

fn flags(row: &Row<'_>) -> Result<Flags, RecordingError> {
    let bits = i32::try_from(row.int(Column::Flags)?)
        .map_err(|_| row.wrong(Column::Flags, "has more than 32 bits"))?;
    Ok(Flags(bits.cast_unsigned()))
}
