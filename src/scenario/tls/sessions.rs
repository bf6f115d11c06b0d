//! Sessions of TLS for connections that begin as they were recorded. They share what servers
//! hand out; those that were opened in full take none of it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Most tickets kept, of some kilobytes each with the certificates beside it. Each serves once, and
/// the next comes only with an answer: so many connections can resume at one moment. The library's
/// own eight are enough for one client; here one process stands for all of them.
const MAX_TICKETS: usize = 4_096;

/// What the connections to one target share. They all ask for the same name.
#[derive(Default)]
struct Stock {
    group: Option<NamedGroup>,
    /// Before TLS 1.3 a session serves again and again.
    session: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
}

/// One kind of connections.
#[derive(Clone)]
pub(super) struct Sessions {
    stock: Arc<Mutex<Stock>>,
    gives: bool,
}

impl Sessions {
    /// Those of connections that are opened in full, and those of connections that resume.
    pub(super) fn both() -> [Self; 2] {
        let stock = Arc::default();
        let in_full = Self { stock: Arc::clone(&stock), gives: false };
        [in_full, Self { stock, gives: true }]
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("gives", &self.gives).finish_non_exhaustive()
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.stock().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.stock().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.stock().session = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        if self.gives { self.stock().session.clone() } else { None }
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        // Asked for when a handshake failed; one that took no session cannot spoil it.
        if self.gives {
            self.stock().session = None;
        }
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut stock = self.stock();
        if stock.tickets.len() >= MAX_TICKETS {
            stock.tickets.pop_front();
        }
        stock.tickets.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The youngest, since they expire.
        if self.gives { self.stock().tickets.pop_back() } else { None }
    }
}
