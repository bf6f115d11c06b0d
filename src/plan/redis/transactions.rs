//! Transactions of a recording, `MULTI` to `EXEC`: each is replayed whole, or not at all. Half of
//! one would do something that nobody ever did.
//!
//! The plan is made while it is read, so whether a transaction is whole is found out before, by a
//! walk of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::plan::PlanError;
use crate::plan::redis::{Commands, Permitted};
use crate::plan::select::Skip;
use crate::plan::source::Rows;
use crate::protocol::resp::effects::Effect;
use crate::recording::Exchange;

/// Most transactions that are left out one by one; beyond them all are. Each costs some 20 bytes.
const MAX_BROKEN: usize = 1 << 22;

/// Which transactions are not replayed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken {
    /// Ordinals of their `MULTI`, counted over all `MULTI`s of the window.
    begins: HashSet<u64>,
    /// There are more of them than are kept.
    all: bool,
}

/// Goes through a window once.
pub(crate) fn broken(
    exchanges: &mut Rows<Exchange>,
    commands: &Commands,
) -> Result<Broken, PlanError> {
    let mut broken = Broken::default();
    let mut open: HashMap<u64, (u64, bool)> = HashMap::new();
    let mut begun = 0;
    for exchange in exchanges {
        let exchange = exchange?;
        let step = Step::of(&exchange);
        let is_permitted = commands.permit(&exchange).is_ok();
        if step == Step::Begin && !open.contains_key(&exchange.connection) {
            open.insert(exchange.connection, (begun, true));
        }
        begun += u64::from(step == Step::Begin);
        if let Some((_, is_whole)) = open.get_mut(&exchange.connection) {
            *is_whole &= is_permitted;
        }
        if step == Step::End
            && let Some((begin, false)) = open.remove(&exchange.connection)
        {
            broken.leave_out(begin);
        }
    }
    // Their ends are not in the window.
    for (begin, _) in open.into_values() {
        broken.leave_out(begin);
    }
    Ok(broken)
}

impl Broken {
    fn leave_out(&mut self, begin: u64) {
        if self.begins.len() < MAX_BROKEN {
            self.begins.insert(begin);
        } else {
            self.all = true;
        }
    }

    fn has(&self, begin: u64) -> bool {
        self.all || self.begins.contains(&begin)
    }
}

/// What an exchange is to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    End,
    /// The recording says that it was queued.
    Queued,
    Other,
}

impl Step {
    fn of(exchange: &Exchange) -> Self {
        let answer = exchange.response.as_ref().map_or(&[][..], |response| &response.head);
        match exchange.method.as_str() {
            "MULTI" => Self::Begin,
            "EXEC" | "DISCARD" => Self::End,
            _ if answer.starts_with(b"+QUEUED") => Self::Queued,
            _ => Self::Other,
        }
    }
}

/// The transactions that are under way while the exchanges are walked again, in the same order.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    broken: Arc<Broken>,
    /// By connection: whether the one that is open is replayed.
    open: HashMap<u64, bool>,
    begun: u64,
}

impl Transactions {
    pub(crate) fn new(broken: Arc<Broken>) -> Self {
        Self { broken, open: HashMap::new(), begun: 0 }
    }

    /// Takes the next exchange; true when no transaction speaks against sending it.
    pub(crate) fn take(&mut self, exchange: &Exchange, found: &Result<Permitted, Skip>) -> bool {
        let connection = exchange.connection;
        match Step::of(exchange) {
            Step::Begin => {
                let is_whole = !self.broken.has(self.begun);
                self.begun += 1;
                *self.open.entry(connection).or_insert(is_whole)
            }
            // The beginning of these is not in the window.
            Step::End => self.open.remove(&connection).unwrap_or(false),
            Step::Queued => self.open.get(&connection).copied().unwrap_or(false),
            Step::Other => {
                // The bytes may end one where the recording calls them otherwise.
                let is_end = matches!(found, Ok(Permitted { effect: Effect::Ends, .. }));
                !is_end && self.open.get(&connection).copied().unwrap_or(true)
            }
        }
    }
}
