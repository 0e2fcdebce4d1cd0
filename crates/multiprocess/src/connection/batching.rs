//! The next calls of many futures are written together.
//!
//! Futures are many on one thread, and wake one after the other. Where the driver has woken many, the
//! calls that they make next are not written as they come: by their thread when they are enough for a
//! write, and what is left by the driver a little later, or when it has read again. So the driver need
//! not be told of each, and the peer gets more with each of its reads.

use std::sync::atomic::{AtomicBool, Ordering};

/// So many futures are many.
const MANY: usize = 8;
/// So many bytes are enough for a write, and few enough that the peer is not kept waiting.
const ENOUGH: usize = 4000;

/// Whether the driver is about to write what many futures are about to add.
#[derive(Default)]
pub(super) struct Batching(AtomicBool);

impl Batching {
    /// The driver is about to wake so many futures. Whether it is to write after a while: not where
    /// they are few, or where it is about to already.
    pub(super) fn begin(&self, futures: usize) -> bool {
        futures >= MANY && !self.0.swap(true, Ordering::AcqRel)
    }

    /// The driver is to write next: what was left to it until now is there.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Who writes what was added for a future, where so many bytes wait.
    pub(super) fn writer(&self, waiting: usize) -> Writer {
        match self.is_there() {
            false => Writer::DriverWhenTold,
            true if waiting < ENOUGH => Writer::Driver,
            true => Writer::Caller,
        }
    }
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The driver, once it is told.
    DriverWhenTold,
    /// The driver, which will anyway.
    Driver,
    /// Whoever has added it.
    Caller,
}

#[cfg(test)]
mod tests {
    use super::{Batching, ENOUGH, MANY, Writer};

    #[test]
    fn only_many_futures_leave_it_to_the_driver_and_only_until_it_writes() {
        let batching = Batching::default();
        assert!(!batching.begin(MANY - 1));
        assert_eq!(batching.writer(1), Writer::DriverWhenTold);
        assert!(batching.begin(MANY));
        assert!(!batching.begin(MANY), "it is about to write already");
        assert_eq!(batching.writer(1), Writer::Driver);
        assert_eq!(batching.writer(ENOUGH), Writer::Caller);
        batching.end();
        assert_eq!(batching.writer(1), Writer::DriverWhenTold);
    }
}
