//! The requests of a connection that have not begun.

use std::future::pending;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::drive::connection::wire::Wire;
use crate::drive::desk::{InFlight, Run};

/// The requests of a connection that have not begun, in order.
pub(crate) struct Line {
    queue: UnboundedReceiver<Box<InFlight>>,
    /// The next one, which waits for the answers to all before it.
    next: Option<Box<InFlight>>,
    /// More may come from the queue.
    is_open: bool,
}

impl Line {
    pub(super) fn new(queue: UnboundedReceiver<Box<InFlight>>) -> Self {
        Self { queue, next: None, is_open: true }
    }

    /// The next one, while nothing is on its way; `None` when none will come. An idle connection
    /// that ends meanwhile, or says something, is closed.
    pub(super) async fn next(
        &mut self,
        idle: &mut Option<Wire>,
        run: &Run,
    ) -> Option<Box<InFlight>> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            let Some(wire) = idle else { return self.queue.recv().await };
            tokio::select! {
                biased;
                next = self.queue.recv() => return next,
                end = wire.stream.disturbed() => {
                    run.oddities.note_idle(end);
                    *idle = None;
                }
            }
        }
    }

    /// Waits for the next one that does not wait for the answers before it.
    pub(super) async fn joins(&mut self) -> Box<InFlight> {
        while self.is_open && self.next.is_none() {
            match self.queue.recv().await {
                Some(next) if joins(&next) => return next,
                Some(next) => self.next = Some(next),
                None => self.is_open = false,
            }
        }
        pending().await
    }

    /// The next one of these that is there.
    pub(super) fn joining(&mut self) -> Option<Box<InFlight>> {
        if !self.is_open || self.next.is_some() {
            return None;
        }
        match self.queue.try_recv() {
            Ok(next) if joins(&next) => Some(next),
            Ok(next) => {
                self.next = Some(next);
                None
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.is_open = false;
                None
            }
        }
    }
}

/// It was sent without waiting for the answers before it. One whose body waits for leave cannot be
/// told apart from those behind it, so it is sent alone.
fn joins(request: &InFlight) -> bool {
    let recorded = &request.arrival.recorded;
    recorded.pipelined && !recorded.expects
}
