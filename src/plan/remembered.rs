//! What a plan remembers while it is made, within bounds.

use std::collections::HashSet;
use std::sync::Arc;

use crate::plan::Touch;

/// The targets asked for so far, as many as are remembered.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    targets: HashSet<u64>,
}

/// Distinct targets remembered: a million is far above the working set of a cache, and 16 MB here.
const MAX_TARGETS: usize = 1 << 20;

impl Touched {
    pub(crate) fn touch(&mut self, target: u64) -> Touch {
        if self.targets.contains(&target) {
            Touch::Again
        } else if self.targets.len() < MAX_TARGETS {
            self.targets.insert(target);
            Touch::First
        } else {
            Touch::Unknown
        }
    }
}

/// Methods and routes, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashSet<Arc<str>>,
}

/// Names kept: a recording whose routes are not templates must not fill the memory with them.
const MAX_NAMES: usize = 1 << 16;

impl Names {
    pub(crate) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.known.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        if self.known.len() < MAX_NAMES {
            self.known.insert(Arc::clone(&name));
        }
        name
    }
}
