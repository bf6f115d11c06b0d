//! What production answered to a request, and what it had answered before to the same one: by how
//! much answers to one request differ by themselves is seen there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::protocol::Protocol;
use crate::recording::contents::Contents;
use crate::recording::{Exchange, Response};
use crate::units::{format_count, format_counted};

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
    /// Answers whose fields are not compared: there are more sets of fields than are kept.
    pub(crate) shapeless: u64,
    /// Answers to targets beyond those that are remembered: what was answered before to the same
    /// request is not known.
    pub(crate) unremembered: u64,
}

/// Shapes of bodies that are remembered, of some 4 KiB at most; other bodies have none, which is
/// counted.
const MAX_SHAPES: usize = 4096;

/// Targets whose latest answer is remembered: with a quarter of a million, what asks again is
/// known, and it takes some 20 MB. What is beyond is counted.
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
        let contents = Contents { digest: response.digest, shape, is_no_json: false };
        let body_bytes = size(exchange.protocol, response);
        Some(Arc::new(Answer { status, body_bytes, contents }))
    }

    /// What a person should know of answers that cannot be compared as others are.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.unremembered > 0 {
            warnings.push(format!(
                "there are more distinct targets than answers are remembered of: by how much \
                 production's answers differ by themselves is not learned from {}",
                format_counted(self.unremembered, "answer", "answers")
            ));
        }
        if self.shapeless > 0 {
            warnings.push(format!(
                "the recorded answers have more than {} sets of JSON fields: those of {} are not \
                 compared",
                format_count(MAX_SHAPES as u64),
                format_counted(self.shapeless, "answer", "answers")
            ));
        }
        warnings
    }

    fn shape(&mut self, shape: &Arc<str>) -> Option<Arc<str>> {
        if let Some(known) = self.shapes.get(shape) {
            return Some(Arc::clone(known));
        }
        if self.shapes.len() >= MAX_SHAPES {
            self.shapeless += 1;
            return None;
        }
        self.shapes.insert(Arc::clone(shape));
        Some(Arc::clone(shape))
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
        } else {
            self.unremembered += 1;
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

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut latest = Latest::default();
        let first = answer(200);
        for target in 0..MAX_TARGETS as u64 + 3 {
            latest.answers(target, Some(&first), false);
        }
        assert_eq!(latest.unremembered, 3);
        latest.answers(0, Some(&first), false);
        latest.answers(u64::MAX, Some(&first), true);
        assert_eq!(latest.unremembered, 3, "the known ones stay known, and clones need not be");
        for number in 0..MAX_SHAPES + 2 {
            latest.shape(&format!("a{number}: null").into());
        }
        assert!(latest.shape(&"a0: null".into()).is_some());
        assert_eq!(latest.shapeless, 2);
        let [targets, fields] = &latest.warnings()[..] else { panic!("both are told") };
        assert!(targets.contains("from 3 answers") && fields.contains("those of 2 answers"));
        assert!(Latest::default().warnings().is_empty());
    }
}
