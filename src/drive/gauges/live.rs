//! The gauges of whatever load is driven at the moment, for those who watch a run as a whole.

use std::sync::{Arc, Mutex, PoisonError};

use crate::drive::gauges::Gauges;

/// A place where a load's gauges are shown, shared by the driver and by whoever watches.
#[derive(Clone, Debug, Default)]
pub struct Live {
    shown: Arc<Mutex<Option<Arc<Gauges>>>>,
}

impl Live {
    /// Shows these from now on.
    pub fn show(&self, gauges: &Arc<Gauges>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(gauges));
    }

    /// Those of the load that is driven now, or of the last one; `None` before the first.
    pub fn gauges(&self) -> Option<Arc<Gauges>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
