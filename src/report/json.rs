//! `run.json`: the report as machines read it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use schemars::generate::SchemaSettings;
use serde::Deserialize;

use crate::report::ReportError;
use crate::report::model::{Report, SCHEMA_VERSION};

/// The report as pretty JSON with a newline at its end. Equal reports give equal bytes.
pub fn render(report: &Report) -> Result<String, ReportError> {
    let mut text = serde_json::to_string_pretty(report).map_err(ReportError::Serialize)?;
    text.push('\n');
    Ok(text)
}

/// The JSON Schema (2020-12) of what [`render`] writes, from the types that it writes: a field that
/// this version always writes is required. Later versions may write further fields.
pub fn schema() -> Result<String, ReportError> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Report>();
    let mut text = serde_json::to_string_pretty(&schema).map_err(ReportError::Serialize)?;
    text.push('\n');
    Ok(text)
}

/// Reads a saved run.
pub fn read(path: &Path) -> Result<Report, ReportError> {
    parsed(&read_bounded(path)?, path)
}

/// The run that is saved in bytes of the file `path`.
pub fn parsed(bytes: &[u8], path: &Path) -> Result<Report, ReportError> {
    let parse = |source| ReportError::Parse { path: path.to_owned(), source };
    // The version comes first: a newer schema may not parse as this one.
    let Versioned { schema_version } = serde_json::from_slice(bytes).map_err(parse)?;
    if schema_version > SCHEMA_VERSION {
        return Err(ReportError::Schema {
            path: path.to_owned(),
            found: schema_version,
            known: SCHEMA_VERSION,
        });
    }
    let report: Report = serde_json::from_slice(bytes).map_err(parse)?;
    if let Some(field) = report.figures.too_many() {
        return Err(ReportError::Figures { path: path.to_owned(), field });
    }
    Ok(report)
}

#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, ReportError> {
    let failed = |source| ReportError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one beyond it, also where the
    // size that the system gives is not the number of bytes that can be read.
    file.take(MAX_RUN_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_RUN_BYTES {
        return Err(ReportError::TooLarge { path: path.to_owned(), limit: MAX_RUN_BYTES });
    }
    Ok(bytes)
}

/// Largest saved run that is read: a second of a run takes some 250 bytes, so that a week fits.
const MAX_RUN_BYTES: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests;
