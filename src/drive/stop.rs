//! The kill switch of a run.

use std::sync::Arc;

use tokio::sync::watch;

/// A request to stop a run, shared by whoever may ask for it and by the driver. Once asked for, it
/// stays.
///
/// From then on nothing new is written to the target; what was written gets the grace period.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    requested: Arc<watch::Sender<bool>>,
}

impl Stop {
    /// A switch that is not pressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Presses the switch; from any thread, any number of times.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// It was pressed.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// A view to await the request with: `wait_for(|requested| *requested)`.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.requested.subscribe()
    }
}
