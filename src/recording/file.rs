//! A recording as one Parquet file: written sorted and atomically, read in bounded memory.
//!
//! The file is opened by people too (`DuckDB`, `Polars`, Spark), so that everything private to us
//! is in a few entries of the footer. A file from elsewhere is never trusted: what the Parquet
//! library would believe without looking is checked before it is called.

pub mod reader;
pub mod rows;
pub mod sights;
pub mod writer;
mod batch;
mod bodies;
mod columns;
mod digests;
mod guard;
mod integers;
mod merge;
mod numbers;
mod pages;
pub(crate) mod scratch;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::recording::Exchange;
use crate::recording::stored::StoredError;

/// Footer entry that holds the recording's header as JSON.
pub const HEADER_KEY: &str = "peakhour.header";

/// Footer entry that holds when connections were closed, where that is known.
pub const CLOSINGS_KEY: &str = "peakhour.closings";

/// Footer entry that holds how connections began to speak TLS, where that is known.
pub const HANDSHAKES_KEY: &str = "peakhour.handshakes";

/// Footer entry that says where the bodies stand that are stored apart from their rows.
pub const BODIES_KEY: &str = "peakhour.bodies";

/// Footer entry that holds the version of the format as a decimal number.
pub const FORMAT_VERSION_KEY: &str = "peakhour.format_version";

/// Longest request body, head or text of one row, in bytes. A longer body is cut and flagged unless
/// it is stored apart, a longer head refused: one cell must fit into memory several times over.
pub const CELL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An exchange can be recorded: every value fits its column. Importers ask before they hand an
/// exchange to a writer, which refuses what does not fit. A body of any length fits, since it is
/// cut.
pub fn check(exchange: &Exchange) -> Result<(), RecordingError> {
    columns::check(exchange).map_err(|(column, problem)| RecordingError::Unwritable {
        connection: exchange.connection,
        seq: exchange.seq,
        column: column.name(),
        problem,
    })
}

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, such as `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no Parquet footer.
    #[error(
        "{} is not a recording: {problem}; a recording also ends like this when the program that \
         wrote it was killed",
        path.display()
    )]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// What was found in the footer's place.
        problem: String,
    },
    /// A Parquet file of somebody else.
    #[error(
        "{} is a Parquet file but no recording: its footer has no usable `{key}`; make a \
         recording with `peakhour import`",
        path.display()
    )]
    NotRecording {
        /// The file.
        path: PathBuf,
        /// The entry that is missing or is no number.
        key: &'static str,
    },
    /// Written by a later version of this program.
    #[error(
        "{} has recording format {found}, this program reads up to {supported}; use a newer \
         peakhour",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The footer's header is not what this version writes.
    #[error("{}: `peakhour.header` in the footer is not understood", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Line, column and reason within the JSON.
        source: serde_json::Error,
    },
    /// A column is missing or of another type.
    #[error("{}: column `{column}` {problem}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// Its name.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A value that no recording can hold.
    #[error("{}: column `{column}`, row {row} (from 0): {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: &'static str,
        /// The row, from 0, over the whole file.
        row: u64,
        /// What is wrong with it; never the value itself, which may be secret.
        problem: String,
    },
    /// The file contradicts itself.
    #[error("{} is damaged: {problem}; import the capture again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        problem: String,
    },
    /// The Parquet library gave up.
    #[error("{}: cannot {action}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: String,
        /// What it says.
        source: ParquetError,
    },
    /// An exchange that the format cannot hold.
    #[error("exchange {seq} of connection {connection} cannot be recorded: `{column}` {problem}")]
    Unwritable {
        /// Its connection.
        connection: u64,
        /// Its position there.
        seq: u32,
        /// The column it does not fit into.
        column: &'static str,
        /// Why not.
        problem: &'static str,
    },
    /// A body that is stored apart from its row cannot be used.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Counting connections would take more memory than is set aside for it.
    #[error(
        "more than {limit} scattered connection numbers; number connections from 0 in order of \
         appearance"
    )]
    TooManyConnections {
        /// How many runs of numbers are kept.
        limit: usize,
    },
}

impl RecordingError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn parquet(action: impl Into<String>, path: &Path, source: ParquetError) -> Self {
        Self::Parquet { path: path.to_owned(), action: action.into(), source }
    }
}
