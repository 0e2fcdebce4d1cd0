//! The time that the chain goes by.

use std::time::{SystemTime, UNIX_EPOCH};

/// This machine's clock, or a time that was set.
#[derive(Debug, Default)]
pub(super) struct Clock {
    set: Option<u64>,
}

impl Clock {
    /// Unix seconds.
    pub(super) fn now(&self) -> u64 {
        let machine = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.set.unwrap_or_else(machine)
    }

    /// The time that was set; none where it is this machine's.
    pub(super) fn was_set(&self) -> Option<u64> {
        self.set
    }

    pub(super) fn set(&mut self, time: Option<u64>) {
        self.set = time;
    }
}
