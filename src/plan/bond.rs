//! What ties an arrival to other hosts than the target, to other requests of its client, and to
//! answers of the target.

use std::sync::Arc;

use crate::plan::token::Tokens;

/// What an arrival is besides its bytes and its moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bond {
    /// Where its connection goes: 0 is the target, from 1 on the hosts of the scenario.
    pub goal: u16,
    /// Whose it is, where cookies or tokens are followed; 0 otherwise.
    pub client: u64,
    /// Values of answers that it carries, or that its answer gives.
    pub tokens: Option<Arc<Tokens>>,
    /// What the hook made of it, where there is one.
    pub hooked: Hooked,
}

/// What a hook makes of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooked {
    /// It is sent.
    #[default]
    Taken,
    /// The hook left it out.
    Skipped,
    /// The hook gave no answer that can be sent.
    Failed,
}
