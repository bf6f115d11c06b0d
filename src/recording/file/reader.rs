//! Opens a recording and checks everything that can be checked before its rows are read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::recording::closings::Closings;
use crate::recording::file::bodies::BodyList;
use crate::recording::file::columns::{COLUMNS, Column, LAYOUTS, Layout};
use crate::recording::file::rows::{AllBodySizes, BodySizes, Exchanges, Outline, Outlines, Rows};
use crate::recording::file::sights::Sights;
use crate::recording::file::{
    BODIES_KEY, CLOSINGS_KEY, FORMAT_VERSION_KEY, HANDSHAKES_KEY, HEADER_KEY, RecordingError, guard,
};
use crate::recording::handshakes::Handshakes;
use crate::recording::{FORMAT_VERSION, Header};

/// Longest footer read, in bytes. Ours take about 2 KiB a row group and a header of some KiB; it
/// is held in memory several times over.
pub const FOOTER_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// A recording opened for reading; its rows are read when they are asked for.
#[derive(Clone, Debug)]
pub struct RecordingReader {
    table: Arc<Table>,
    header: Arc<Header>,
}

impl RecordingReader {
    /// Opens a file, reading no more than its footer.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let mut table = Table::open(path)?;
        let entry = find_entry(&table.metadata, BODIES_KEY);
        let bodies = BodyList::read(entry, table.file_bytes);
        let header = read_header(path, &table.metadata)?;
        if header.exchanges != table.rows {
            return Err(RecordingError::damaged(
                path,
                format!(
                    "its header counts {} exchanges, its row groups {}",
                    header.exchanges, table.rows
                ),
            ));
        }
        table.bodies = bodies.ok_or_else(|| {
            RecordingError::damaged(path, "its list of stored bodies is not within the file")
        })?;
        Ok(Self { table: Arc::new(table), header: Arc::new(header) })
    }

    /// What is known about the recording as a whole.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The exchanges whose `at` lies in the range (start included, end not), or all of them, in
    /// the order of time. The iterator owns what it needs, holds a few pages at a time, and ends
    /// after the first error.
    pub fn exchanges(&self, range: Option<(Duration, Duration)>) -> Exchanges {
        Exchanges::new(Rows::new(Arc::clone(&self.table), &ALL, range))
    }

    /// Like [`RecordingReader::exchanges`], but reads only the columns of an [`Outline`]: some
    /// ten times faster.
    pub fn outlines(&self, range: Option<(Duration, Duration)>) -> Outlines {
        Outlines::new(Rows::new(Arc::clone(&self.table), Outline::COLUMNS, range))
    }
}

impl RecordingReader {
    /// What a load shape is made of, from the columns that tell it.
    pub fn sights(&self) -> Sights {
        Sights::new(Arc::clone(&self.table))
    }

    /// The sizes of all bodies, from their columns alone.
    pub fn body_sizes(&self) -> AllBodySizes {
        AllBodySizes::new(Rows::new(Arc::clone(&self.table), BodySizes::COLUMNS, None))
    }
}

/// The rows of a run that a writer put aside; such a file has no header.
pub(super) fn exchanges_of_run(path: &Path) -> Result<Exchanges, RecordingError> {
    Ok(Exchanges::new(Rows::new(Arc::new(Table::open(path)?), &ALL, None)))
}

const ALL: [Column; COLUMNS] = {
    let mut all = [Column::At; COLUMNS];
    let mut position = 0;
    while position < COLUMNS {
        all[position] = LAYOUTS[position].column;
        position += 1;
    }
    all
};

/// A Parquet file that has our columns, and whose footer does not contradict itself.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: Arc<Path>,
    pub(super) file: Arc<File>,
    pub(super) file_bytes: u64,
    pub(super) metadata: ParquetMetaData,
    /// Where each of our columns is in this file; `None` for one that it may lack, and does.
    pub(super) positions: [Option<usize>; COLUMNS],
    /// Where bodies stand that are not in rows.
    pub(super) bodies: BodyList,
    rows: u64,
}

impl Table {
    fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|source| RecordingError::io("open", path, source))?;
        let file_bytes = file
            .metadata()
            .map_err(|source| RecordingError::io("read the size of", path, source))?
            .len();
        let footer = read_footer(path, &file, file_bytes)?;
        if !guard::is_bounded(&footer) {
            return Err(RecordingError::damaged(path, "its footer is not understood"));
        }
        if !guard::schema_is_flat(&footer) {
            return Err(RecordingError::damaged(path, "its footer has no flat list of columns"));
        }
        let metadata = shielded(
            path,
            || "read the footer".to_owned(),
            || ParquetMetaDataReader::decode_metadata(&footer),
        )?;
        let mut positions = [None; COLUMNS];
        for layout in LAYOUTS {
            positions[layout.column as usize] = find_column(path, &metadata, layout)?;
        }
        let at = positions[Column::At as usize];
        let rows = check_groups(path, &metadata, file_bytes, at)?;
        Ok(Self {
            path: path.into(),
            file: Arc::new(file),
            file_bytes,
            metadata,
            positions,
            bodies: BodyList::Elsewhere,
            rows,
        })
    }

    /// Smallest and largest `at_ns` of a row group, where its statistics tell.
    pub(super) fn times(&self, group: usize) -> Option<(i64, i64)> {
        times(self.metadata.row_groups().get(group)?, self.positions[Column::At as usize])
    }
}

/// Calls the Parquet library. It is written to return errors, but where a file nevertheless makes
/// it panic, that is the file's fault, and no reason to lose everything else.
pub(super) fn shielded<T>(
    path: &Path,
    action: impl Fn() -> String,
    call: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, RecordingError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|source| RecordingError::parquet(action(), path, source)),
        Err(_) => Err(RecordingError::damaged(
            path,
            format!("cannot {}: the Parquet library panicked", action()),
        )),
    }
}

/// A Parquet file ends with its footer, the footer's length in four bytes, and `PAR1`.
fn read_footer(path: &Path, file: &File, file_bytes: u64) -> Result<Vec<u8>, RecordingError> {
    let not_parquet = |problem: &str| RecordingError::NotParquet {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let mut tail = [0; 8];
    let tail_at = file_bytes.checked_sub(8).ok_or_else(|| not_parquet("it is too short"))?;
    file.read_exact_at(&mut tail, tail_at)
        .map_err(|source| RecordingError::io("read the end of", path, source))?;
    let [a, b, c, d, magic @ ..] = tail;
    let length = u32::from_le_bytes([a, b, c, d]);
    if magic != *b"PAR1" {
        return Err(not_parquet("it does not end with a Parquet footer"));
    }
    if length > FOOTER_BYTES_MAX || u64::from(length) > tail_at {
        return Err(not_parquet(&format!("its footer claims {length} bytes")));
    }
    let mut footer = vec![0; length as usize];
    file.read_exact_at(&mut footer, tail_at - u64::from(length))
        .map_err(|source| RecordingError::io("read the footer of", path, source))?;
    Ok(footer)
}

fn find_column(
    path: &Path,
    metadata: &ParquetMetaData,
    layout: Layout,
) -> Result<Option<usize>, RecordingError> {
    let wrong = |problem: String| RecordingError::Column {
        path: path.to_owned(),
        column: layout.name,
        problem,
    };
    let schema = metadata.file_metadata().schema_descr();
    let Some(position) = schema.columns().iter().position(|it| it.name() == layout.name) else {
        return if layout.may_lack { Ok(None) } else { Err(wrong("is missing".to_owned())) };
    };
    let found = schema.column(position);
    if found.physical_type() != layout.physical_type() {
        return Err(wrong(format!(
            "is {}, expected {}",
            found.physical_type(),
            layout.physical_type()
        )));
    }
    if found.max_rep_level() != 0 {
        return Err(wrong("holds lists".to_owned()));
    }
    Ok(Some(position))
}

/// Counts the rows, once everything that a row group says of itself is plausible.
fn check_groups(
    path: &Path,
    metadata: &ParquetMetaData,
    file_bytes: u64,
    at: Option<usize>,
) -> Result<u64, RecordingError> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let (mut rows, mut latest) = (0_u64, i64::MIN);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let damaged =
            |problem: &str| RecordingError::damaged(path, format!("row group {number} {problem}"));
        rows = u64::try_from(group.num_rows())
            .ok()
            .and_then(|more| rows.checked_add(more))
            .ok_or_else(|| damaged("has an impossible number of rows"))?;
        if group.columns().len() != columns {
            return Err(damaged("lacks columns"));
        }
        let inside = group.columns().iter().all(|chunk| {
            let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            start >= 0
                && chunk.compressed_size() >= 0
                && end.is_some_and(|end| end.cast_unsigned() <= file_bytes)
        });
        if !inside {
            return Err(damaged("reaches beyond the file"));
        }
        if let Some((first, last)) = times(group, at) {
            if first < latest || last < first {
                return Err(damaged("is not sorted by `at_ns`"));
            }
            latest = last;
        }
    }
    Ok(rows)
}

fn times(group: &RowGroupMetaData, at: Option<usize>) -> Option<(i64, i64)> {
    match group.columns().get(at?)?.statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

fn find_entry<'a>(metadata: &'a ParquetMetaData, key: &'static str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata()?;
    entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.as_deref())
}

fn read_header(path: &Path, metadata: &ParquetMetaData) -> Result<Header, RecordingError> {
    let find = |key: &'static str| find_entry(metadata, key);
    let entry =
        |key| find(key).ok_or_else(|| RecordingError::NotRecording { path: path.to_owned(), key });
    // First of all, since a newer header need not be understood.
    let version = entry(FORMAT_VERSION_KEY)?.parse::<u32>().map_err(|_| {
        RecordingError::NotRecording { path: path.to_owned(), key: FORMAT_VERSION_KEY }
    })?;
    if version > FORMAT_VERSION {
        return Err(RecordingError::NewerFormat {
            path: path.to_owned(),
            found: version,
            supported: FORMAT_VERSION,
        });
    }
    let header: Header = serde_json::from_str(entry(HEADER_KEY)?)
        .map_err(|source| RecordingError::Header { path: path.to_owned(), source })?;
    let closings = find(CLOSINGS_KEY).map_or(Some(Closings::default()), Closings::decode);
    let closings = closings
        .ok_or_else(|| RecordingError::damaged(path, "its list of closings is not understood"))?;
    let handshakes = find(HANDSHAKES_KEY).map_or(Some(Handshakes::default()), Handshakes::decode);
    let handshakes = handshakes
        .ok_or_else(|| RecordingError::damaged(path, "its list of handshakes is not understood"))?;
    Ok(Header { closings, handshakes, ..header })
}
