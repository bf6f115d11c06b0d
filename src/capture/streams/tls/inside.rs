//! What was opened is a stream like any other.
//!
//! Its offsets count bytes of content. Every byte has the moment of the segment that it came in:
//! ciphers here keep bytes in their places. What a segment acknowledges is translated as well: it
//! acknowledges the content of all records that were whole up to there.

use crate::capture::pairing::Paired;
use crate::capture::streams::Turn;
use crate::capture::streams::talk::Talk;
use crate::capture::streams::tls::Tls;
use crate::capture::streams::tls::framing::Record;
use crate::capture::tcp::{Data, End, Event, Link, Mark, Side, What};

impl Tls {
    /// Hands the content of a record inside.
    pub(super) fn content(
        &mut self,
        side: Side,
        record: &Record,
        bytes: &[u8],
        turn: &mut Turn<'_>,
    ) {
        turn.ledger.stream_bytes.enter(bytes.len() as u64);
        let flow = &self.flows[side.index()];
        let (front, offset) = (flow.front(), flow.content);
        let next = record.runs.iter().skip(1).map(|(from, _)| *from).chain([usize::MAX]);
        for ((from, mark), until) in record.runs.iter().zip(next) {
            let start = from.saturating_sub(front).min(bytes.len());
            let end = until.saturating_sub(front).min(bytes.len());
            let Some(bytes) = bytes.get(start..end).filter(|bytes| !bytes.is_empty()) else {
                continue;
            };
            let peer = side.other().index();
            let acknowledged =
                |ack| self.flows[peer].content_before(ack, self.framing[peer].until());
            let mark = Mark {
                offset: offset + start as u64,
                ack: mark.ack.and_then(acknowledged),
                ..*mark
            };
            self.inside(side, What::Data(Data { mark, bytes, fresh: start == 0 }), turn);
        }
        let flow = &mut self.flows[side.index()];
        flow.content = offset + bytes.len() as u64;
        flow.ends(record);
    }

    /// Content is missing.
    pub(super) fn lose(&mut self, side: Side, bytes: u64, turn: &mut Turn<'_>) {
        if bytes > 0 {
            turn.ledger.note("tls content lost, bytes", bytes);
            self.flows[side.index()].content += bytes;
            self.inside(side, What::Gap(bytes), turn);
        }
    }

    /// Nothing more comes from a side.
    pub(super) fn end_inside(&mut self, side: Side, end: End, turn: &mut Turn<'_>) {
        let flow = &mut self.flows[side.index()];
        if !std::mem::replace(&mut flow.is_ended, true) {
            self.inside(side, What::End(end), turn);
        }
    }

    /// Hands an event to the reader of what is inside.
    pub(super) fn inside(&mut self, side: Side, what: What<'_>, turn: &mut Turn<'_>) {
        let client = self.client.map(|(client, _)| client);
        let link = Link { client: client.or(self.link.client), ..self.link };
        if self.inner.is_none() && !matches!(what, What::End(_) | What::Closed) {
            self.inner = Some(Box::new(Talk::new(link)));
        }
        let Some(inner) = &mut self.inner else {
            return;
        };
        let sink = &mut turn.sink;
        let mut sink = |origin, mut paired| {
            if let Paired::Exchange(request, _) = &mut paired {
                request.came_inside_tls();
            }
            sink(origin, paired);
        };
        let mut turn = Turn {
            ledger: turn.ledger,
            sink: &mut sink,
            numbered: turn.numbered,
            secrets: turn.secrets,
            is_inside: true,
            ..*turn
        };
        inner.event(&Event { link, side, what }, &mut turn);
    }
}
