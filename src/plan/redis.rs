//! Recorded commands of Redis, for another Redis: which may be sent again, and as what.
//!
//! - Commands are judged by the words that will be sent ([`exact`]), not by what the recording says
//!   of them, and by what these do ([`effect`]). Reading is replayed; writing needs the scenario's
//!   `methods`; what harms a whole server, and what waits for others, is replayed only when it is
//!   listed by name (`FLUSHALL`, or `CONFIG|SET` for one subcommand).
//! - `AUTH` and `RESET` are never sent: each connection begins with the target's own login. `HELLO`
//!   keeps its version and name, and loses its login.
//! - `SELECT` is replayed only if the target's URL names no database.
//! - A transaction is replayed whole or not at all ([`transactions`]).

pub(crate) mod transactions;

use ::bytes::Bytes;

use crate::plan::redis::transactions::Transactions;
use crate::plan::rewrite::Rewritten;
use crate::plan::select::Skip;
use crate::protocol::Protocol;
use crate::protocol::resp::effects::{Effect, effect, part};
use crate::protocol::resp::exact::exact;
use crate::protocol::resp::{ERROR_REPLY, REPLY, command};
use crate::recording::{Exchange, Flags};
use crate::scenario::redis::RedisTarget;
use crate::scenario::{MethodPolicy, Scenario};

/// What decides about commands, settled before the first one is read.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    methods: MethodPolicy,
    /// Every command goes to one database.
    has_database: bool,
}

/// A command that may be sent.
#[derive(Debug)]
pub(crate) struct Permitted {
    /// What it does.
    pub(crate) effect: Effect,
    /// The command as it goes on the wire.
    pub(crate) body: Bytes,
}

/// Whether a command can be sent again, by what the small columns say of it.
pub(crate) fn skip_reason(protocol: Protocol, flags: Flags) -> Option<Skip> {
    if protocol != Protocol::Redis {
        Some(Skip::NotRedis)
    } else if flags.contains(Flags::REQUEST_TRUNCATED) {
        Some(Skip::BodyNotWhole)
    } else {
        None
    }
}

impl Commands {
    pub(crate) fn new(target: &RedisTarget, scenario: &Scenario) -> Self {
        Self { methods: scenario.methods.clone(), has_database: target.database.is_some() }
    }

    /// What is sent for an exchange, or why nothing is. Transactions are looked at by the caller.
    pub(crate) fn permit(&self, exchange: &Exchange) -> Result<Permitted, Skip> {
        if let Some(skip) = skip_reason(exchange.protocol, exchange.flags) {
            return Err(skip);
        }
        let words = exact(&exchange.request_body).ok_or(Skip::CommandForm)?;
        let (asked, method) = (words.first().copied().unwrap_or_default(), &exchange.method);
        let is_upper = !method.bytes().any(|byte| byte.is_ascii_lowercase());
        if !is_upper || !asked.eq_ignore_ascii_case(method.as_bytes()) {
            return Err(Skip::OtherMethod);
        }
        let effect = effect(&words);
        let is_listed = || match &self.methods {
            MethodPolicy::Only(listed) => {
                let part = part(&words);
                listed.iter().any(|it| it == method || *it == part)
            }
            MethodPolicy::All | MethodPolicy::Reading => false,
        };
        let refused = match effect {
            Effect::LogsIn => Some(Skip::Login),
            Effect::Listens => Some(Skip::Listening),
            Effect::Silences => Some(Skip::Silencing),
            Effect::Selects if self.has_database => Some(Skip::Database),
            // What frames others or sets up a connection is judged by them, or by nobody.
            Effect::Greets | Effect::Selects | Effect::Begins | Effect::Ends => None,
            Effect::Harms => (!is_listed()).then_some(Skip::Harmful),
            Effect::Blocks => (!is_listed()).then_some(Skip::Blocking),
            Effect::Reads => {
                let is_permitted = !matches!(self.methods, MethodPolicy::Only(_)) || is_listed();
                (!is_permitted).then_some(Skip::Method)
            }
            Effect::Writes => {
                let is_permitted = self.methods == MethodPolicy::All || is_listed();
                (!is_permitted).then_some(Skip::Method)
            }
        };
        match refused {
            Some(skip) => Err(skip),
            None if effect == Effect::Greets => Ok(Permitted { effect, body: greeting(&words) }),
            None => Ok(Permitted { effect, body: exchange.request_body.clone() }),
        }
    }

    /// The same with transactions looked at.
    pub(crate) fn rewritten(
        &self,
        exchange: &Exchange,
        transactions: &mut Transactions,
    ) -> Result<Rewritten, Skip> {
        let permitted = self.permit(exchange);
        if !transactions.take(exchange, &permitted) {
            // What is refused itself keeps its own reason.
            return Err(permitted.err().unwrap_or(Skip::Transaction));
        }
        let body = permitted?.body;
        Ok(Rewritten { head: Bytes::new(), body, streamed: None, expects: false })
    }
}

/// `HELLO` with its version and the connection's name, without the login.
fn greeting(words: &[&[u8]]) -> Bytes {
    let mut kept: Vec<&[u8]> = words.iter().take(2).copied().collect();
    let mut rest = words.iter().skip(2);
    while let Some(option) = rest.next() {
        if option.eq_ignore_ascii_case(b"AUTH") {
            rest.nth(1);
        } else if option.eq_ignore_ascii_case(b"SETNAME")
            && let Some(name) = rest.next()
        {
            kept.extend([*option, name]);
        }
    }
    command(&kept).into()
}

/// What production answered, as a status: there are two.
pub(crate) fn recorded_status(exchange: &Exchange) -> Option<u16> {
    let is_error = exchange.flags.contains(Flags::ERROR_REPLY);
    exchange.response.as_ref().map(|_| if is_error { ERROR_REPLY } else { REPLY })
}

#[cfg(test)]
mod tests;
