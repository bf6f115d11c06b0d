//! What the first words of an error say of the server. No word of it goes further: what a server
//! says may repeat what it was told, passwords included.

use crate::sample::Declined;

/// What stands for a refusal of the connection itself, if the error is one: then the server closes
/// it as well.
pub(super) fn is_turned_away(error: &[u8]) -> Option<&'static str> {
    const REFUSALS: [&str; 2] =
        ["ERR max number of clients reached", "DENIED Redis is running in protected mode"];
    // With the word `clients` end all forms of the first one.
    const FRONTS: [&[u8]; 2] = [b"ERR max number of clients", b"DENIED "];
    let at = FRONTS.iter().position(|front| error.starts_with(front))?;
    REFUSALS.get(at).copied()
}

/// Why the server declined a command, if that is a matter of its own state. Other errors answer the
/// command.
pub(super) fn of_error(error: &[u8]) -> Option<Declined> {
    let code = error.split(|byte| *byte == b' ').next().unwrap_or_default();
    Some(match code {
        b"OOM" => Declined::OutOfMemory,
        b"LOADING" => Declined::Loading,
        b"NOAUTH" => Declined::NoLogin,
        b"WRONGPASS" => Declined::Login,
        b"NOPERM" => Declined::NoPermission,
        b"READONLY" => Declined::ReadOnly,
        b"BUSY" => Declined::Busy,
        b"MISCONF" => Declined::CannotSave,
        b"CLUSTERDOWN" | b"MASTERDOWN" | b"TRYAGAIN" => Declined::ClusterDown,
        b"MOVED" => Declined::Moved,
        b"ASK" => Declined::Ask,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides() {
        for (error, reason) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Declined::OutOfMemory),
            ("LOADING Redis is loading the dataset in memory", Declined::Loading),
            ("NOAUTH Authentication required.", Declined::NoLogin),
            ("WRONGPASS invalid username-password pair", Declined::Login),
            ("NOPERM this user has no permissions", Declined::NoPermission),
            ("READONLY You can't write against a read only replica.", Declined::ReadOnly),
            ("BUSY Redis is busy running a script.", Declined::Busy),
            ("MISCONF Redis is configured to save RDB snapshots", Declined::CannotSave),
            ("CLUSTERDOWN Hash slot not served", Declined::ClusterDown),
            ("MOVED 3999 127.0.0.1:6381", Declined::Moved),
            ("ASK 3999 127.0.0.1:6381", Declined::Ask),
        ] {
            assert_eq!(of_error(error.as_bytes()), Some(reason), "{error}");
        }
        for error in ["ERR unknown command", "WRONGTYPE x", "BUSYGROUP x", "BUSYKEY x", "OOMX", ""]
        {
            assert_eq!(of_error(error.as_bytes()), None, "{error}");
        }
        assert!(is_turned_away(b"ERR max number of clients reached").is_some());
        assert!(
            is_turned_away(b"ERR max number of clients + cluster connections reached").is_some()
        );
        assert!(is_turned_away(b"ERR unknown command").is_none());
    }
}
