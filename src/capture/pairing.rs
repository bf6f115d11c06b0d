//! Which response answers which request of a connection.
//!
//! Order alone is not enough: a capture may begin with a response, lose some, or hold one that
//! nobody asked for. What a side had acknowledged when it began a message decides these cases:
//! a response that the client had before it sent a request cannot answer that request.

mod message;

use std::collections::VecDeque;

use crate::capture::tcp::Mark;
use crate::protocol::http1::head::{Head, Progress, Scan, read};
use crate::protocol::http1::start::Kind;
use crate::recording::Flags;

pub use crate::capture::pairing::message::{Answer, Request};

/// Most requests of one connection that wait for their responses. Servers allow far fewer;
/// beyond it the oldest counts as not answered.
pub const MAX_WAITING: usize = 1024;

/// What a connection yields, in order of completion.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are exchanges")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paired {
    /// A request and its response, where there was one.
    Exchange(Request, Option<Answer>),
    /// A response that no captured request asked for.
    Orphan(Answer),
}

/// The messages of one connection that are not paired yet.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    /// The response being read: the request it answers, if any.
    current: Option<Current>,
    /// A response without request, kept in case that its request was late.
    early: Option<Answer>,
    /// The start of the connection was seen, so that no request was missed before it.
    is_begun: bool,
    /// Requests that left by the limit: as many responses answer none of the waiting ones.
    forgotten: u64,
    done: VecDeque<Paired>,
    next_seq: u32,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    open: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Unanswered,
    Lost,
    Begun,
    Answered(Answer),
}

#[derive(Clone, Copy, Debug)]
enum Current {
    Of {
        seq: u32,
    },
    /// Of a request that left by the limit.
    Forgotten,
    Nobody,
}

impl Queue {
    /// The queue of a connection whose start was seen or not.
    pub fn new(is_begun: bool) -> Self {
        Self { is_begun, ..Self::default() }
    }

    /// A request begins; the one before it, if any, has ended. Returns whether it finds its
    /// response waiting, which had begun as an orphan.
    pub fn request_begins(&mut self, mut request: Request) -> bool {
        self.request_ends(Flags::default());
        request.seq = self.next_seq;
        self.next_seq = self.next_seq.wrapping_add(1);
        if self.is_pipelined(&request) {
            request.flags.insert(Flags::PIPELINED);
        }
        let (mut state, mut paired_late) = (State::Unanswered, false);
        if let Some(early) = self.early.take() {
            paired_late = is_in_flight(&request, &early.mark);
            if paired_late {
                state = State::Answered(early);
            } else if request.seq == 0 && self.is_begun {
                self.early = Some(early);
            } else {
                self.done.push_back(Paired::Orphan(early));
            }
        }
        if self.waiting.len() >= MAX_WAITING {
            self.forget(1);
        }
        self.waiting.push_back(Waiting { request, open: true, state });
        paired_late
    }

    /// Lets the oldest requests without response go, at most `count`.
    pub fn forget(&mut self, count: usize) {
        for _ in 0..count {
            let is_unanswered = |it: &Waiting| matches!(it.state, State::Unanswered) && !it.open;
            let Some(position) = self.waiting.iter().position(is_unanswered) else {
                break;
            };
            if let Some(oldest) = self.waiting.remove(position) {
                self.forgotten += 1;
                self.done.push_back(Paired::Exchange(oldest.request, None));
            }
        }
        self.settle();
    }

    /// The oldest request whose response has not begun.
    pub fn first_waiting(&self) -> Option<&Request> {
        let mut waiting = self.waiting.iter();
        waiting.find(|it| matches!(it.state, State::Unanswered)).map(|it| &it.request)
    }

    /// The request being read, if one is.
    pub fn open_request(&mut self) -> Option<&mut Request> {
        self.waiting.back_mut().filter(|last| last.open).map(|last| &mut last.request)
    }

    /// The request being read has an answer already, or one has begun.
    pub fn is_open_request_answered(&self) -> bool {
        self.waiting
            .back()
            .is_some_and(|last| matches!(last.state, State::Begun | State::Answered(_)))
    }

    /// The request being read is over.
    pub fn request_ends(&mut self, flags: Flags) {
        if let Some(last) = self.waiting.back_mut().filter(|last| last.open) {
            last.request.flags.insert(flags);
            last.open = false;
            self.settle();
        }
    }

    /// A response begins; returns the request it answers. `after_loss` says that responses may
    /// have been lost before it.
    pub fn response_begins(&mut self, mark: &Mark, after_loss: bool) -> Option<&mut Request> {
        self.current = Some(Current::Nobody);
        self.done.extend(self.early.take().map(Paired::Orphan));
        if self.forgotten > 0 && !after_loss {
            self.forgotten -= 1;
            self.current = Some(Current::Forgotten);
            return None;
        }
        let position = self.answered_by(mark, after_loss)?;
        for skipped in self.waiting.iter_mut().take(position) {
            if matches!(skipped.state, State::Unanswered) {
                skipped.state = State::Lost;
            }
        }
        let waiting = &mut self.waiting[position];
        waiting.state = State::Begun;
        self.current = Some(Current::Of { seq: waiting.request.seq });
        Some(&mut waiting.request)
    }

    /// The request whose response is being read.
    pub fn current_request(&mut self) -> Option<&mut Request> {
        let Some(Current::Of { seq }) = self.current else {
            return None;
        };
        self.waiting.iter_mut().map(|waiting| &mut waiting.request).find(|it| it.seq == seq)
    }

    /// The response being read was an interim one: its request still waits.
    pub fn response_was_interim(&mut self) {
        match self.current.take() {
            Some(Current::Of { seq }) => {
                if let Some(waiting) = self.waiting.iter_mut().find(|it| it.request.seq == seq) {
                    waiting.state = State::Unanswered;
                }
            }
            Some(Current::Forgotten) => self.forgotten += 1,
            Some(Current::Nobody) | None => {}
        }
    }

    /// The response being read is over. Returns whether it found its request although it had
    /// begun as an orphan.
    pub fn response_ends(&mut self, answer: Answer) -> bool {
        let asked = match self.current.take() {
            Some(Current::Of { seq }) => {
                self.waiting.iter_mut().find(|waiting| waiting.request.seq == seq)
            }
            Some(Current::Forgotten) => {
                self.done.push_back(Paired::Orphan(answer));
                return false;
            }
            Some(Current::Nobody) | None => None,
        };
        let paired_late = match asked {
            Some(waiting) => {
                waiting.state = State::Answered(answer);
                false
            }
            None => self.keep_early(answer),
        };
        self.settle();
        paired_late
    }

    /// Takes the last request out if it asked for HTTP/2 and has no response: that comes in
    /// HTTP/2.
    pub fn take_upgrading(&mut self) -> Option<Request> {
        let asks = |request: &Request| {
            let head = read(Kind::Request, &request.head, &mut Scan::default());
            matches!(head, Progress::Whole { head, .. } if names_http2(&head))
        };
        let last = self.waiting.back()?;
        let is_taken = matches!(last.state, State::Unanswered) && asks(&last.request);
        if is_taken { self.waiting.pop_back().map(|last| last.request) } else { None }
    }

    /// The client has closed its side. Who has an answer nevertheless had only half closed.
    pub fn client_ends(&mut self) {
        let last = self.waiting.back_mut();
        // Behind the beginning of an answer nobody knows how much of the request had been read.
        if let Some(last) = last.filter(|last| matches!(last.state, State::Unanswered)) {
            last.request.flags.insert(Flags::HALF_CLOSED);
        }
    }

    /// The position that the next request will have.
    pub fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// The next thing that is complete.
    pub fn take_done(&mut self) -> Option<Paired> {
        self.done.pop_front()
    }

    /// Nothing more comes: whatever waits is complete as it is. Returns whether an orphan found
    /// its request after all: where a server spoke first, before the only request of a connection
    /// seen from its start, and never again, nothing else can be meant.
    pub fn close(&mut self) -> bool {
        let mut paired_late = false;
        if self.next_seq == 1
            && let Some(only) = self.waiting.front_mut()
            && matches!(only.state, State::Unanswered)
            && let Some(early) = self.early.take()
        {
            only.state = State::Answered(early);
            paired_late = true;
        }
        for waiting in &mut self.waiting {
            waiting.open = false;
            if matches!(waiting.state, State::Unanswered | State::Begun) {
                waiting.state = State::Lost;
            }
        }
        self.settle();
        self.done.extend(self.early.take().map(Paired::Orphan));
        paired_late
    }

    /// Without losses the oldest request that waits. With losses the latest one that the client
    /// sent before it had anything of this response: clients that do not pipeline have had the
    /// responses to all earlier ones; and of several sent at once the first.
    fn answered_by(&self, mark: &Mark, after_loss: bool) -> Option<usize> {
        let is_waiting = |at: &usize| matches!(self.waiting[*at].state, State::Unanswered);
        let can_answer = |at: &usize| can_answer(mark, &self.waiting[*at].request.mark);
        let mut candidates = (0..self.waiting.len()).filter(is_waiting).filter(can_answer);
        let mut best = candidates.next()?;
        let ack = |at: usize| self.waiting[at].request.mark.ack;
        for at in candidates.filter(|_| after_loss) {
            if ack(at).zip(ack(best)).is_some_and(|(this, that)| this > that) {
                best = at;
            }
        }
        Some(best)
    }

    /// A response nobody waits for: its request may come late. Returns whether it is there.
    fn keep_early(&mut self, answer: Answer) -> bool {
        let in_flight = self.waiting.iter_mut().find(|waiting| {
            matches!(waiting.state, State::Unanswered)
                && is_in_flight(&waiting.request, &answer.mark)
        });
        if let Some(waiting) = in_flight {
            waiting.state = State::Answered(answer);
            return true;
        }
        self.done.extend(self.early.replace(answer).map(Paired::Orphan));
        false
    }

    /// Sent while an earlier request waited, and before any more of a response was received.
    fn is_pipelined(&self, request: &Request) -> bool {
        self.waiting.iter().any(|before| match before.state {
            State::Unanswered => {
                request.mark.ack.is_some() && before.request.mark.ack == request.mark.ack
            }
            State::Begun => true,
            State::Lost | State::Answered(_) => false,
        })
    }

    /// Moves what is complete at the front out.
    fn settle(&mut self) {
        while let Some(first) = self.waiting.pop_front() {
            match first.state {
                State::Answered(answer) if !first.open => {
                    self.done.push_back(Paired::Exchange(first.request, Some(answer)));
                }
                State::Lost if !first.open => {
                    self.done.push_back(Paired::Exchange(first.request, None));
                }
                _ => {
                    self.waiting.push_front(first);
                    return;
                }
            }
        }
    }
}

/// A head asks to go on in HTTP/2 without TLS, or agrees to it.
pub fn names_http2(head: &Head<'_>) -> bool {
    let mut names = head.values("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
    names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// Not when the client had received bytes of the response before it sent the request and the
/// capture has them in that order, too.
fn can_answer(response: &Mark, request: &Mark) -> bool {
    let known_before = request.ack.is_some_and(|ack| ack > response.offset);
    !(known_before && request.tick > response.tick)
}

/// The client had nothing of the response yet when it sent the request: it takes it for the
/// answer, whenever it was sent.
fn is_in_flight(request: &Request, response: &Mark) -> bool {
    request.mark.ack.is_some_and(|ack| ack <= response.offset)
}
