//! What a socket's error means for the arrival: whose failure it is.

use std::io;

use rustix::io::Errno;

use crate::record::failures::{TlsFailure, of_tls};
use crate::sample::{Fate, Unsent};

/// The fate of an arrival whose connection could not be opened.
pub(crate) fn of_connect(error: &io::Error) -> Fate {
    match Errno::from_io_error(error) {
        // Our own ports, descriptors and memory: never the target's failure.
        Some(
            Errno::ADDRNOTAVAIL
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOBUFS
            | Errno::NOMEM
            | Errno::AGAIN,
        ) => Fate::Unsent { reason: Unsent::LocalResources },
        Some(Errno::TIMEDOUT) => Fate::ConnectTimedOut,
        Some(Errno::CONNRESET) => Fate::Reset,
        // Also a host or network that says it cannot be reached: nobody is there to serve.
        _ => Fate::Refused,
    }
}

/// The fate of an arrival whose connection broke while it was in use.
pub(crate) fn of_exchange(error: &io::Error) -> Fate {
    if let Some(error) = of_tls(error) {
        return Fate::Tls { failure: TlsFailure::of_tls(error) };
    }
    match Errno::from_io_error(error) {
        // The kernel gave up resending, or probing.
        Some(Errno::TIMEDOUT) => Fate::TimedOut,
        _ => Fate::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_shortages_are_never_the_targets_failure() {
        let local = Fate::Unsent { reason: Unsent::LocalResources };
        for (errno, fate) in [
            (Errno::ADDRNOTAVAIL, local.clone()),
            (Errno::MFILE, local.clone()),
            (Errno::NFILE, local.clone()),
            (Errno::NOBUFS, local),
            (Errno::CONNREFUSED, Fate::Refused),
            (Errno::HOSTUNREACH, Fate::Refused),
            (Errno::TIMEDOUT, Fate::ConnectTimedOut),
            (Errno::CONNRESET, Fate::Reset),
        ] {
            assert_eq!(of_connect(&errno.into()), fate, "{errno}");
        }
    }

    #[test]
    fn a_broken_exchange_is_a_reset_unless_the_kernel_gave_up() {
        for (errno, fate) in [
            (Errno::CONNRESET, Fate::Reset),
            (Errno::PIPE, Fate::Reset),
            (Errno::TIMEDOUT, Fate::TimedOut),
        ] {
            assert_eq!(of_exchange(&errno.into()), fate, "{errno}");
        }
    }
}
