//! The requests of a connection that have not begun.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::drive::connection::After;
use crate::drive::desk::{InFlight, Run};

/// The requests of a connection that have not begun, in order.
pub(crate) struct Line {
    queue: UnboundedReceiver<Box<InFlight>>,
    /// The next one, which waits for the answers to all before it.
    next: Option<Box<InFlight>>,
    /// More may come from the queue.
    is_open: bool,
    /// Until when the connection was held by its client, in the time of the run.
    closes: Option<Duration>,
}

impl Line {
    pub(super) fn new(queue: UnboundedReceiver<Box<InFlight>>) -> Self {
        Self { queue, next: None, is_open: true, closes: None }
    }

    /// Until when the connection was held by its client, in the time of the run, as the last
    /// request told; `None` where that is not known.
    pub(super) fn closes(&self) -> Option<Duration> {
        self.closes
    }

    /// The next one, while nothing is on its way; `None` when none will come. An idle connection
    /// that ends meanwhile, or says something, is closed.
    pub(super) async fn next(&mut self, kept: &mut After, run: &Run) -> Option<Box<InFlight>> {
        let next = self.wait(kept, run).await?;
        // What answers have moved its session by moves its end as well.
        let drift = next.sample.drift;
        self.closes = next.arrival.recorded.closes.map(|closes| closes.saturating_add(drift));
        Some(next)
    }

    async fn wait(&mut self, kept: &mut After, run: &Run) -> Option<Box<InFlight>> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            let After::Usable(wire) = kept else { return self.queue.recv().await };
            tokio::select! {
                biased;
                next = self.queue.recv() => return next,
                end = wire.stream.disturbed() => {
                    run.oddities.note_idle(end);
                    *kept = After::Gone;
                }
            }
        }
    }

    /// The next one that does not wait for the answers before it, once it is there.
    pub(super) fn poll_joins(&mut self, context: &mut Context<'_>) -> Poll<Box<InFlight>> {
        while self.is_open && self.next.is_none() {
            match ready!(self.queue.poll_recv(context)) {
                Some(next) if joins(&next) => return Poll::Ready(next),
                Some(next) => self.next = Some(next),
                None => self.is_open = false,
            }
        }
        Poll::Pending
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
/// told apart from those behind it, so it is sent alone; so is one whose body is on the disk, which
/// would hold up those behind it either way.
fn joins(request: &InFlight) -> bool {
    let recorded = &request.arrival.recorded;
    recorded.pipelined && !recorded.expects && request.arrival.streamed.is_none()
}
