//! Pages of a column, read by position and within a bound.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ::bytes::Bytes;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::recording::file::guard;

/// Most unpacked bytes of one column in one row group. Ours have 64 MiB over all columns, or one
/// exchange; other programs that rewrote a recording make larger groups. It bounds what a reader
/// can be made to hold.
pub(super) const CHUNK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The pages of one column in one row group, none larger than promised.
pub(super) struct Pages {
    inner: SerializedPageReader<Source>,
    physical_type: PhysicalType,
    unpacked: u64,
}

impl Pages {
    pub(super) fn open(
        file: &Arc<File>,
        file_bytes: u64,
        chunk: &ColumnChunkMetaData,
        rows: usize,
    ) -> Result<Self, ParquetError> {
        let source = Arc::new(Source { file: Arc::clone(file), bytes: file_bytes });
        let inner = SerializedPageReader::new(source, chunk, rows, None)?;
        Ok(Self { inner, physical_type: chunk.column_type(), unpacked: 0 })
    }

    fn check(&mut self, page: &Page) -> Result<(), ParquetError> {
        self.unpacked += page.buffer().len() as u64;
        if self.unpacked > CHUNK_BYTES_MAX {
            return Err(too_large());
        }
        let plain = [Encoding::PLAIN, Encoding::PLAIN_DICTIONARY, Encoding::RLE_DICTIONARY];
        let known = plain.contains(&page.encoding())
            || page.encoding() == Encoding::DELTA_BINARY_PACKED
                && self.physical_type != PhysicalType::BYTE_ARRAY;
        if !known {
            // The decoders of some other encodings reserve what the page tells them to.
            return Err(ParquetError::NYI(format!("values encoded as {}", page.encoding())));
        }
        let Page::DictionaryPage { buf, num_values, .. } = page else {
            return Ok(());
        };
        // Room for all values of a dictionary is reserved before the first is read.
        let smallest = if self.physical_type == PhysicalType::INT64 { 8 } else { 4 };
        if buf.len() as u64 / smallest < u64::from(*num_values) {
            return Err(ParquetError::EOF(
                "a dictionary claims more values than it has".to_owned(),
            ));
        }
        Ok(())
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            self.check(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.inner.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn too_large() -> ParquetError {
    ParquetError::General(format!(
        "a column holds more than {CHUNK_BYTES_MAX} bytes in a row group"
    ))
}

/// A file read by position, so that readers on several threads do not move each other's cursor.
struct Source {
    file: Arc<File>,
    bytes: u64,
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Source {
    type T = BufReader<At>;

    /// Called for the header of each page, whose sizes are checked before anybody reserves them.
    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let header = self.header(start)?;
        let sizes = header
            .and_then(|header| guard::page_sizes(&header))
            .ok_or_else(|| ParquetError::General("page header not understood".to_owned()))?;
        if sizes.unpacked > CHUNK_BYTES_MAX || sizes.packed > CHUNK_BYTES_MAX {
            return Err(too_large());
        }
        Ok(BufReader::with_capacity(HEADER_BYTES, At { file: Arc::clone(&self.file), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let within = start.checked_add(length as u64).is_some_and(|end| end <= self.bytes);
        if !within {
            return Err(ParquetError::EOF("a page reaches beyond the end of the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

impl Source {
    /// A page's header with what follows it; `None` where there is none that can be passed over at
    /// the cost of its bytes.
    fn header(&self, start: u64) -> io::Result<Option<Vec<u8>>> {
        for length in [HEADER_BYTES, HEADER_BYTES_MAX] {
            let mut header = vec![0; length];
            let read = read_up_to(&self.file, &mut header, start)?;
            header.truncate(read);
            if guard::is_bounded(&header) {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}

/// Bytes fetched for a page's header at a time; most have 20 to 60.
const HEADER_BYTES: usize = 256;

/// Largest header of a page. What makes one large are the least and the largest value of the page,
/// which we do not write.
const HEADER_BYTES_MAX: usize = 64 * 1024;

fn read_up_to(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], start.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A cursor of its own into a shared file.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
