//! What is not drawn as a model says it.

use crate::recording::closings::UNKEPT;

/// How often.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    /// Sessions beyond [`MAX_ACTIVE`](super::MAX_ACTIVE).
    pub(super) not_drawn: u64,
    /// Sessions beyond [`MAX_REQUESTS`](super::MAX_REQUESTS).
    pub(super) endless: u64,
    /// Stretches beyond [`MAX_RATE`](crate::model::file::read::MAX_RATE).
    pub(super) levels: u64,
    /// Crowds that never come.
    pub(super) crowds: u64,
}

impl Lost {
    /// A note of a ledger for each reason.
    pub(super) fn notes(self, unkept: u64) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("sessions not drawn, since too many were under way", self.not_drawn),
            ("sessions cut after 100 000 requests", self.endless),
            ("stretches of the rate drawn with 1 000 000 sessions a second", self.levels),
            ("crowds not drawn, since they come behind the end", self.crowds),
            (UNKEPT, unkept),
        ];
        all.into_iter().filter(|(_, count)| *count > 0)
    }
}
