//! A verdict is reported: one file per output. All are written from [`model::Report`], which is
//! also what `run.json` holds, so that every report can be written again from a saved run.

pub mod responses;
pub mod model;
pub mod figures;
pub mod assemble;
pub(crate) mod text;
mod when;
pub mod json;
pub mod hlog;
pub mod junit;
pub mod markdown;
pub mod annotations;
pub mod html;
mod charts;
pub mod files;
pub mod terminal;
pub mod likeness;
pub mod settings;
pub mod measured;
pub mod metrics;
mod earlier;
pub mod baseline;
pub mod beside;
pub mod comparison;
pub mod history;
pub mod progress;

use std::io;
use std::path::PathBuf;

/// Why a report could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A run folder's name would leave the reports' folder, or is not a name at all.
    #[error(
        "run folder name {name:?} is not a plain file name; use letters, digits, '-', '_' and '.'"
    )]
    Name {
        /// The name that was asked for.
        name: String,
    },
    /// The folder of a run cannot be made or written to.
    #[error(
        "cannot write reports into {}; choose another folder or make room in it",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// As many folders with this name as are tried exist already.
    #[error("{} and its numbered siblings up to -{last} exist; remove old runs", path.display())]
    Crowded {
        /// The folder without a number.
        path: PathBuf,
        /// The last number that was tried.
        last: u32,
    },
    /// A file of the report could not be written.
    #[error("cannot write {}; make room or choose another folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The document of `JUnit` could not be made.
    #[error("cannot make the JUnit document; that is a mistake of this program")]
    Junit {
        /// What its writer said.
        source: quick_junit::SerializeError,
    },
    /// A saved run could not be read.
    #[error("cannot read {}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A saved run is larger than any that this program writes.
    #[error("{} has more than the {limit} bytes of any saved run; is it one?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read.
        limit: u64,
    },
    /// A saved run is not what its schema says; the cause names line and column.
    #[error("{} is not a saved run, or a damaged one", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A saved run has more of something than any run has.
    #[error("{}: {field} is longer than that of any run; the file is damaged", path.display())]
    Figures {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
    },
    /// A saved run comes from a newer program.
    #[error(
        "{} has schema version {found}, this program reads up to {known}; use the newer program",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        known: u32,
    },
    /// The report cannot be put as JSON.
    #[error("cannot put the report as json; this is a bug")]
    Serialize(#[source] serde_json::Error),
    /// The page could not be rendered.
    #[error("cannot render the html report; this is a bug")]
    Template(#[from] askama::Error),
}
