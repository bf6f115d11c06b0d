//! What ties an arrival to other hosts than the target.

/// What an arrival is besides its bytes and its moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bond {
    /// Where its connection goes: 0 is the target, from 1 on the hosts of the scenario.
    pub goal: u16,
}
