//! Writes rows that are sorted already, a row group at a time.

use std::fs::File;
use std::mem;
use std::path::Path;

use ::bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;

use crate::recording::Exchange;
use crate::recording::file::bodies::Bodies;
use crate::recording::file::scratch::Scratch;
use crate::recording::file::{RecordingError, columns};
use crate::recording::stored::Stored;

/// Rows of a row group: enough to pack well, few enough to be skipped or sought by.
pub(super) const GROUP_ROWS: usize = 64 * 1024;

/// Bytes of a row group, which lies in memory whole because it is written column by column.
pub(super) const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// A Parquet file with the columns of a recording, under construction.
pub(super) struct TableWriter {
    scratch: Scratch,
    parquet: SerializedFileWriter<File>,
    group: Vec<Exchange>,
    group_bytes: usize,
}

impl TableWriter {
    /// Creates `TARGET{suffix}`.
    pub(super) fn create(target: &Path, suffix: &str) -> Result<Self, RecordingError> {
        let (scratch, file) = Scratch::create(target, suffix)?;
        let parquet = columns::schema()
            .and_then(|schema| SerializedFileWriter::new(file, schema, columns::properties()?))
            .map_err(|source| RecordingError::parquet("start writing", scratch.path(), source))?;
        Ok(Self { scratch, parquet, group: Vec::new(), group_bytes: 0 })
    }

    /// Adds the next row.
    pub(super) fn push(&mut self, exchange: Exchange) -> Result<(), RecordingError> {
        let bytes = held_bytes(&exchange);
        let full = self.group.len() >= GROUP_ROWS || self.group_bytes + bytes > GROUP_BYTES;
        if full && !self.group.is_empty() {
            self.end_group()?;
        }
        self.group.push(exchange);
        self.group_bytes += bytes;
        Ok(())
    }

    /// Bytes on the disk, and those that are held and not packed yet.
    pub(super) fn bytes(&self) -> usize {
        self.parquet.bytes_written() + self.group_bytes
    }

    /// Writes bodies behind the rows; returns what the footer has to say of them. What was spooled
    /// of them is let go one by one.
    pub(super) fn write_bodies(&mut self, bodies: Bodies) -> Result<String, RecordingError> {
        self.end_group()?;
        let (scratch, parquet) = (&self.scratch, &mut self.parquet);
        bodies.write(parquet.bytes_written() as u64, &mut |bytes| {
            let written = parquet.write_all(bytes);
            written.map_err(|source| RecordingError::io("write", scratch.path(), source))
        })
    }

    /// Writes the footer, leaving a file that vanishes with the value returned.
    pub(super) fn finish(
        mut self,
        footer: Vec<(&str, String)>,
    ) -> Result<(Scratch, File), RecordingError> {
        self.end_group()?;
        for (key, value) in footer {
            self.parquet.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let file = self.parquet.into_inner().map_err(|source| {
            RecordingError::parquet("write the footer", self.scratch.path(), source)
        })?;
        Ok((self.scratch, file))
    }

    fn end_group(&mut self) -> Result<(), RecordingError> {
        let rows = mem::take(&mut self.group);
        self.group_bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        write_group(&mut self.parquet, &rows).map_err(|source| {
            RecordingError::parquet("write a row group", self.scratch.path(), source)
        })
    }
}

fn write_group(
    parquet: &mut SerializedFileWriter<File>,
    rows: &[Exchange],
) -> Result<(), ParquetError> {
    let mut group = parquet.next_row_group()?;
    for layout in columns::LAYOUTS {
        let Some(mut writer) = group.next_column()? else {
            return Err(ParquetError::General("the schema has too few columns".to_owned()));
        };
        columns::write(layout, rows, &mut writer)?;
        writer.close()?;
    }
    group.close().map(|_| ())
}

/// Memory that an exchange takes while it waits, roughly.
pub(super) fn held_bytes(exchange: &Exchange) -> usize {
    size_of::<Exchange>()
        + exchange.method.len()
        + exchange.scheme.len()
        + exchange.authority.len()
        + exchange.target.len()
        + exchange.route.len()
        + exchange.request_head.len()
        + exchange.request_body.len()
        + exchange.request_stored.as_ref().map_or(0, Stored::held)
        + exchange.request_chunks.as_ref().map_or(0, Bytes::len)
        + exchange.response.as_ref().map_or(0, |response| {
            response.head.len() + response.shape.as_ref().map_or(0, |shape| shape.len())
        })
}
