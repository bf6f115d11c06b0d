//! What production answered to a request, and what it had answered before to the same one: by how
//! much answers to one request differ by themselves is seen there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::protocol::Protocol;
use crate::recording::contents::Contents;
use crate::recording::{Exchange, Response};

/// What an answer was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its status, or what stands for it in a protocol without.
    pub status: u16,
    /// Bytes of its body, de-chunked; `None` where they are not known for sure. Some logs count
    /// heads, too, so that of an answer without a head no size is taken.
    pub body_bytes: Option<u64>,
    /// What is known of its body.
    pub contents: Contents,
}

/// What production answered to the request of an arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// To this one; `None` where it is not known.
    pub recorded: Option<Arc<Answer>>,
    /// To the one before that asked for the same; `None` where there was none, where it is not
    /// remembered, and for clones, who did not ask in the recording.
    pub before: Option<Arc<Answer>>,
}

impl Answer {
    /// Something is known of its body, so that the target's is to be looked at.
    pub fn has_contents(&self) -> bool {
        self.contents.digest.is_some() || self.contents.shape.is_some()
    }
}

fn size(protocol: Protocol, response: &Response) -> Option<u64> {
    let is_http = matches!(protocol, Protocol::Http1 | Protocol::Http2);
    response.body_bytes.filter(|_| !(is_http && response.head.is_empty()))
}

/// The latest answers, by what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    answers: HashMap<u64, Arc<Answer>>,
    /// Each once.
    shapes: HashSet<Arc<str>>,
}

/// Shapes of bodies that are remembered, of some 4 KiB at most; other bodies have none.
const MAX_SHAPES: usize = 4096;

/// Targets whose latest answer is remembered: with a quarter of a million, what asks again is
/// known, and it takes some 20 MB.
const MAX_TARGETS: usize = 1 << 18;

impl Latest {
    /// What was recorded, where `status` is that of the answer.
    pub(crate) fn answer(
        &mut self,
        exchange: &Exchange,
        status: Option<u16>,
    ) -> Option<Arc<Answer>> {
        let (status, response) = (status?, exchange.response.as_ref()?);
        let shape = response.shape.as_ref().and_then(|shape| self.shape(shape));
        let contents = Contents { digest: response.digest, shape };
        let body_bytes = size(exchange.protocol, response);
        Some(Arc::new(Answer { status, body_bytes, contents }))
    }

    fn shape(&mut self, shape: &Arc<str>) -> Option<Arc<str>> {
        if let Some(known) = self.shapes.get(shape) {
            return Some(Arc::clone(known));
        }
        (self.shapes.len() < MAX_SHAPES).then(|| {
            self.shapes.insert(Arc::clone(shape));
            Arc::clone(shape)
        })
    }

    /// The answers to the next request for a target.
    pub(crate) fn answers(
        &mut self,
        target: u64,
        recorded: Option<&Arc<Answer>>,
        is_clone: bool,
    ) -> Answers {
        let Some(recorded) = recorded else { return Answers::default() };
        let this = Some(Arc::clone(recorded));
        if is_clone {
            return Answers { recorded: this, before: None };
        }
        if let Some(latest) = self.answers.get_mut(&target) {
            let before = Some(std::mem::replace(latest, Arc::clone(recorded)));
            return Answers { recorded: this, before };
        }
        if self.answers.len() < MAX_TARGETS {
            self.answers.insert(target, Arc::clone(recorded));
        }
        Answers { recorded: this, before: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Arc<Answer> {
        Arc::new(Answer { status, body_bytes: Some(u64::from(status)), ..Answer::default() })
    }

    #[test]
    fn an_answer_is_told_with_the_one_before_it_to_the_same_request() {
        let mut latest = Latest::default();
        let (first, second) = (answer(200), answer(404));
        let mut ask = |target, answer, is_clone| {
            let answers: Answers = latest.answers(target, Some(answer), is_clone);
            answers.before.map(|before| before.status)
        };
        assert_eq!(ask(1, &first, false), None);
        assert_eq!(ask(2, &first, false), None, "of another target");
        assert_eq!(ask(1, &second, true), None, "a clone did not ask in the recording");
        assert_eq!(ask(1, &second, false), Some(200), "and it is nobody's predecessor");
        assert_eq!(ask(1, &first, false), Some(404));
    }
}
