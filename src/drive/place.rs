//! Room for connections: as many as the limits let be open at once.

use std::sync::Arc;

use crate::drive::desk::Run;

/// A place among the connections that may be open at once, from before one is opened until it is
/// closed.
pub(crate) struct Place {
    run: Arc<Run>,
}

impl Place {
    pub(crate) fn take(run: &Arc<Run>) -> Option<Self> {
        let has_room = run.gauges.enter_connection(run.limits.max_connections);
        has_room.then(|| Self { run: Arc::clone(run) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.run.gauges.leave_connection();
    }
}
