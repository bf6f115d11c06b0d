//! The recorded answers, for the embedded stage.

use crate::plan::retarget::rewritten_target;
use crate::recording::file::reader::RecordingReader;
use crate::scenario::rewriting::Rewriting;
use crate::stage::catalogue::Catalogue;

/// What production answered, for the stage to answer alike.
pub(crate) fn catalogue(
    recording: &RecordingReader,
    rewriting: &Rewriting,
) -> anyhow::Result<Catalogue> {
    let mut catalogue = Catalogue::new();
    for exchange in recording.exchanges(None) {
        let exchange = exchange?;
        if let Some(response) = &exchange.response {
            let bytes = response.body_bytes.unwrap_or_default();
            let target = rewritten_target(&exchange.target, rewriting);
            catalogue.add(&exchange.method, &target, response.status, bytes);
        }
    }
    Ok(catalogue)
}
