//! What the exit code says; stated once. 99, 104 and 105 mean what they mean in k6.

use crate::verdict::RunOutcome;

/// The exit codes of the program. A bug of ours (a panic) ends in 1, set in `main.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done, and passed.
    Pass,
    /// An expectation or a detector failed.
    Failed,
    /// The run is not valid: peakhour or the recording could not support a verdict.
    Invalid,
    /// Usage, scenario or input error.
    Input,
    /// Interrupted; a partial report was written.
    Interrupted,
}

impl Exit {
    /// All of them, in the order in which they are listed for people.
    pub const ALL: [Self; 5] =
        [Self::Pass, Self::Failed, Self::Invalid, Self::Input, Self::Interrupted];

    /// The number given to the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Failed => 99,
            Self::Invalid => 98,
            Self::Input => 104,
            Self::Interrupted => 105,
        }
    }

    /// The code of a run's outcome.
    pub fn of(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Pass => Self::Pass,
            RunOutcome::Fail => Self::Failed,
            RunOutcome::Invalid => Self::Invalid,
            RunOutcome::Interrupted => Self::Interrupted,
        }
    }
}

/// The code of a panic, which is always a bug of ours.
pub const BUG: u8 = 1;
