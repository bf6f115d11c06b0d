//! A verdict is reported: one file per output. All are written from [`model::Report`], which is
//! also what `run.json` holds, so that every report can be written again from a saved run.

pub mod files;
pub mod html;
pub mod json;
pub mod model;
pub mod progress;
pub mod terminal;
