//! The plan itself: exchanges in, arrivals out, in the order in which they are due.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::answers::Latest;
use crate::plan::bond::{Bond, Hooked};
use crate::plan::choice::{Choice, asked};
use crate::plan::clients::Clients;
use crate::plan::clones::{Remapping, says_who};
use crate::plan::pending::{MAX_AHEAD, MAX_AHEAD_BYTES, Pending, Request, copied};
use crate::plan::redis;
use crate::plan::redis::transactions::Transactions;
use crate::plan::remembered::{Names, Touched};
use crate::plan::retarget::reshaped;
use crate::plan::rewrite::{Rewritten, is_asked_with, rewrite, rewrite_stored};
use crate::plan::select::{Skip, skip_reason};
use crate::plan::source::Rows;
use crate::plan::turns::{Asked, Turns};
use crate::plan::{Arrival, PlanError, Recorded, Totals, Touch};
use crate::protocol::Protocol;
use crate::protocol::http1::start::asks_to_upgrade;
use crate::recording::stored::Stored;
use crate::recording::{Exchange, Flags};
use crate::scenario::Pace;

/// The arrivals of a plan, in the order of `due`, made while they are asked for: memory depends on
/// the number of connections and on what is due within [`crate::plan::scale::CLONE_SHIFT`], not on
/// the length of the plan. It ends after the first error.
pub struct Plan {
    exchanges: Rows<Exchange>,
    choice: Arc<Choice>,
    /// Copies that are not due yet, the next one on top.
    ahead: BinaryHeap<Reverse<Pending>>,
    ahead_bytes: usize,
    /// Moment of the last exchange read: what is due by then can have no predecessor any more.
    read_until: Duration,
    read: u64,
    is_read: bool,
    index: u64,
    /// Arrivals so far of each connection that has more to come.
    seqs: HashMap<u64, u32>,
    /// All arrivals of each connection; empty until they have been counted.
    totals: HashMap<u64, u32>,
    /// Where sessions set the pace.
    turns: Option<Turns>,
    /// All arrivals, once they have been counted.
    count: Option<u64>,
    /// Groups that have begun, and whether the ramp let them in.
    let_in: HashMap<u64, bool>,
    /// Where cookies or tokens are followed.
    clients: Option<Clients>,
    remapping: Remapping,
    transactions: Transactions,
    touched: Touched,
    latest: Latest,
    names: Names,
    notes: Notes,
}

/// What was seen on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Exchanges that were not replayed for reasons that only their bytes or the scale tell.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Arrivals beyond the first copy of their exchange.
    pub(crate) clones: u64,
    /// Those of them with identities of their own ...
    pub(crate) own_identities: u64,
    /// ... with the cookies or credentials of their originals ...
    pub(crate) shared_identities: u64,
    /// ... and with keys of their own.
    pub(crate) own_keys: u64,
    /// Exchanges whose connection went on in another protocol.
    pub(crate) upgrades: u64,
    /// Exchanges whose credentials were replaced at import.
    pub(crate) redacted: u64,
    /// Arrivals of which it is not known whether their target was asked for before.
    pub(crate) untold_touches: u64,
}

impl Plan {
    /// A plan from its first arrival on. Without `totals`, no arrival is the last of anything.
    pub(crate) fn new(exchanges: Rows<Exchange>, choice: Arc<Choice>, totals: Totals) -> Self {
        let clients = choice.rewriting.follows().then(Clients::default);
        let turns = (choice.pace == Pace::Session).then(|| Turns::new(totals.sessions));
        let broken = choice.redis.as_ref().map(|(_, broken)| broken.clone()).unwrap_or_default();
        Self {
            exchanges,
            remapping: Remapping::new(choice.clones, choice.seed),
            choice,
            transactions: Transactions::new(broken),
            ahead: BinaryHeap::new(),
            ahead_bytes: 0,
            read_until: Duration::ZERO,
            read: 0,
            is_read: false,
            index: 0,
            seqs: HashMap::new(),
            totals: totals.connections,
            turns,
            clients,
            count: totals.arrivals,
            let_in: HashMap::new(),
            touched: Touched::default(),
            latest: Latest::default(),
            names: Names::default(),
            notes: Notes::default(),
        }
    }

    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    pub(crate) fn latest(&self) -> &Latest {
        &self.latest
    }

    /// Reads until the next arrival is certain; false at the end of the plan.
    fn fill(&mut self) -> Result<bool, PlanError> {
        while !self.is_read {
            if self.ahead.peek().is_some_and(|Reverse(next)| next.at <= self.read_until) {
                return Ok(true);
            }
            match self.exchanges.next() {
                Some(exchange) => self.take(&exchange?)?,
                None => self.is_read = true,
            }
        }
        Ok(!self.ahead.is_empty())
    }

    /// Puts the copies of an exchange where they are due.
    fn take(&mut self, exchange: &Exchange) -> Result<(), PlanError> {
        let choice = Arc::clone(&self.choice);
        let at = exchange.at.saturating_sub(choice.start);
        if at < self.read_until {
            return Err(PlanError::Unordered { at: exchange.at });
        }
        self.read_until = at;
        self.read += 1;
        let Exchange { protocol, flags, ref method, .. } = *exchange;
        let skip = match &choice.redis {
            Some(_) => redis::skip_reason(protocol, flags),
            None => skip_reason(protocol, flags, method, &choice.methods),
        };
        // Clients, like transactions, are walked whatever becomes of their parts.
        let client = self.clients.as_mut().map_or(0, |clients| clients.client(exchange));
        let walked = choice.redis.is_some().then(|| self.rewritten(exchange));
        if skip.is_some() {
            return Ok(()); // Counted when the window was looked at.
        }
        let group = choice.groups.get(&exchange.connection).copied();
        let (group, copies) = group.map_or((0, 1), |group| (group, choice.scale.copies(group)));
        if copies == 0 {
            self.skip(Skip::LeftOutByScale);
            return Ok(());
        }
        if !self.lets_in(group, at) {
            self.skip(Skip::NotLetIn);
            return Ok(());
        }
        let request = match walked.unwrap_or_else(|| self.rewritten(exchange)) {
            Ok(rewritten) => self.prepare(exchange, rewritten, client),
            Err(reason) => {
                self.skip(reason);
                return Ok(());
            }
        };
        self.notes.upgrades += u64::from(exchange.flags.contains(Flags::UPGRADED));
        let is_redacted = exchange.flags.contains(Flags::REDACTED) && choice.redis.is_none();
        self.notes.redacted += u64::from(is_redacted);
        self.notes.clones += u64::from(copies - 1);
        let request = Arc::new(request);
        for copy in 0..copies {
            let shift = choice.scale.shift(group, copy);
            let at = at.saturating_add(shift);
            let request = match copy {
                0 => Arc::clone(&request),
                copy => self.cloned(exchange, &request, copy),
            };
            self.ahead_bytes += request.bytes();
            self.ahead.push(Reverse(Pending { at, shift, ordinal: self.read, copy, request }));
        }
        if self.ahead.len() > MAX_AHEAD || self.ahead_bytes > MAX_AHEAD_BYTES {
            return Err(PlanError::TooFarAhead { pending: self.ahead.len() });
        }
        Ok(())
    }

    /// A group is let in, or not, when it begins: users who were turned away do not come later.
    fn lets_in(&mut self, group: u64, at: Duration) -> bool {
        let choice = &self.choice;
        choice.ramp.as_ref().is_none_or(|ramp| {
            let share = || ramp.share(choice.speed.due(at));
            *self.let_in.entry(group).or_insert_with(|| choice.scale.is_let_in(group, share()))
        })
    }

    fn skip(&mut self, reason: Skip) {
        *self.notes.skipped.entry(reason.name().to_owned()).or_default() += 1;
    }

    /// The bytes to send, or why they are not sent.
    fn rewritten(&mut self, exchange: &Exchange) -> Result<Rewritten, Skip> {
        if let Some((commands, _)) = &self.choice.redis {
            return commands.rewritten(exchange, &mut self.transactions);
        }
        let Exchange { request_head: head, request_body: body, .. } = exchange;
        // A recording from elsewhere may say GET where its bytes say DELETE, and may lack the flag
        // of a body that was cut.
        if !is_asked_with(head, &exchange.method) {
            return Err(Skip::OtherMethod);
        }
        // Elsewhere a file tells of the switch, and not how it was asked for.
        if exchange.flags.contains(Flags::UPGRADED) && !asks_to_upgrade(head) {
            return Err(Skip::Upgraded);
        }
        let stored = exchange.request_stored.as_ref();
        let length = stored.map_or(body.len() as u64, Stored::length);
        if length != exchange.request_body_bytes {
            return Err(Skip::BodyNotWhole);
        }
        let goal = self.choice.goal(exchange);
        let authority = self.choice.authorities.get(usize::from(goal)).map_or("", String::as_str);
        let (chunks, headers) = (exchange.request_chunks.as_deref(), &self.choice.headers);
        let rewritten = match stored {
            Some(stored) => rewrite_stored(head, (stored, chunks), authority, headers),
            None => rewrite(head, (body, chunks), authority, headers),
        };
        let mut rewritten = rewritten.ok_or(Skip::BodyMismatch)?;
        if self.choice.rewriting.changes_heads() {
            let head = reshaped(&rewritten.head, &self.choice.rewriting);
            rewritten.head = head.ok_or(Skip::Rewriting)?.into();
        }
        Ok(rewritten)
    }

    fn prepare(&mut self, exchange: &Exchange, rewritten: Rewritten, client: u64) -> Request {
        let response = exchange.response.as_ref();
        let goal = self.choice.goal(exchange);
        let (target, route) = self.choice.shown(exchange, &rewritten.head);
        let status = match self.choice.redis {
            Some(_) => redis::recorded_status(exchange),
            None => response.map(|response| response.status).filter(|status| *status > 0),
        };
        // Frames of HTTP/2 delimit bodies, and chunks do not.
        let is_http2 = exchange.protocol == Protocol::Http2;
        let body = if is_http2 { exchange.request_body.clone() } else { rewritten.body };
        let mut streamed = rewritten.streamed;
        if let Some(streamed) = streamed.as_mut().filter(|_| is_http2) {
            streamed.around = None;
        }
        Request {
            connection: exchange.connection,
            protocol: exchange.protocol,
            session: exchange.session,
            method: self.names.shared(&exchange.method),
            route: self.names.shared(format!("{} {route}", exchange.method).trim_end()),
            target: asked(goal, &exchange.method, &target),
            head: rewritten.head,
            body,
            streamed: streamed.map(Arc::new),
            answer: self.latest.answer(exchange, status),
            recorded: Recorded {
                status,
                body_bytes: response.and_then(|response| response.body_bytes),
                latency: response.and_then(|response| response.last_byte),
                pipelined: exchange.flags.contains(Flags::PIPELINED),
                expects: rewritten.expects && !is_http2,
                half_closes: exchange.flags.contains(Flags::HALF_CLOSED),
                closes: None,
                resumed: self.choice.handshakes.of(exchange.connection),
                failed: exchange.flags.contains(Flags::ERROR_REPLY),
            },
            bond: Bond {
                goal,
                client,
                tokens: self.choice.learned.as_ref().and_then(|it| it.of(self.read)),
                hooked: Hooked::default(),
            },
        }
    }

    /// The request of a clone: its original's, or one with an identity and keys of its own.
    fn cloned(&mut self, exchange: &Exchange, original: &Arc<Request>, copy: u32) -> Arc<Request> {
        let mut cloned = None;
        // A value that an answer of the target takes the place of is found by what was recorded.
        let is_tied = original.bond.tokens.as_ref().is_some_and(|tokens| !tokens.uses.is_empty());
        let other = if is_tied { None } else { self.remapping.other(exchange, copy) };
        match other.map(|other| (self.rewritten(&other), other)) {
            Some((Ok(rewritten), other)) => {
                self.notes.own_identities += 1;
                cloned = Some(self.prepare(&other, rewritten, original.bond.client));
            }
            _ => self.notes.shared_identities += u64::from(says_who(original)),
        }
        if !self.remapping.shares_keys() {
            let request = cloned.get_or_insert_with(|| Request::clone(original));
            self.notes.own_keys += u64::from(self.remapping.own_keys(request, copy));
        }
        cloned.map_or_else(|| Arc::clone(original), Arc::new)
    }

    fn arrival(&mut self, pending: &Pending) -> Arrival {
        let choice = Arc::clone(&self.choice);
        let request = &pending.request;
        // The caller made sure that the largest number fits.
        let connection = request.connection + choice.stride * choice.lane(request, pending.copy);
        let session = copied(request.session, pending.copy);
        let mut bond = request.bond.clone();
        if self.clients.is_some() {
            bond.client = copied(bond.client, pending.copy);
        }
        let seq = self.seqs.entry(connection).or_default();
        let position = *seq;
        *seq += 1;
        let last_on_connection = self.totals.get(&connection) == Some(seq);
        if last_on_connection {
            self.seqs.remove(&connection);
        }
        let touch = self.touched.touch(request.target);
        let answer = request.answer.as_ref();
        let answers = self.latest.answers(request.target, answer, pending.copy > 0);
        self.notes.untold_touches += u64::from(touch == Touch::Unknown);
        let turn = self.turns.as_mut().map(|turns| {
            let group = choice.groups.get(&request.connection).unwrap_or(&request.connection);
            let group = group + choice.stride * u64::from(pending.copy);
            let latency = request.recorded.latency;
            turns.next(Asked { session, group, at: pending.at, latency }, choice.speed)
        });
        let mut recorded = request.recorded;
        recorded.closes = choice.closes(request.connection, pending);
        // What a flag in the middle of a connection would say cannot have been.
        recorded.half_closes &= last_on_connection || self.totals.is_empty();
        let index = self.index;
        self.index += 1;
        Arrival {
            index,
            due: choice.speed.due(pending.at),
            connection,
            protocol: request.protocol,
            session,
            seq: position,
            last_on_connection,
            method: Arc::clone(&request.method),
            route: Arc::clone(&request.route),
            head: request.head.clone(),
            body: request.body.clone(),
            streamed: request.streamed.clone(),
            touch,
            turn,
            recorded,
            answers,
            bond,
        }
    }
}

impl Iterator for Plan {
    type Item = Result<Arrival, PlanError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fill() {
            Ok(true) => {
                let Reverse(pending) = self.ahead.pop()?;
                self.ahead_bytes = self.ahead_bytes.saturating_sub(pending.request.bytes());
                Some(Ok(self.arrival(&pending)))
            }
            Ok(false) => None,
            Err(error) => {
                self.is_read = true;
                self.ahead.clear();
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count.map(|count| usize::try_from(count - self.index.min(count)));
        left.and_then(Result::ok).map_or((0, None), |left| (left, Some(left)))
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("read", &self.read)
            .field("ahead", &self.ahead.len())
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
