//! Write batching for futures: the calls that many futures make when they are woken are written at once.
//!
//! One thread often polls many futures, and polls them one after the other. When the driver has read the
//! answers of many and wakes them, it announces a write of its own a little later
//! (`WRITE_DELAY` in `driver`, or when it has read again). Until then a future's call is only added
//! to the output. The thread that adds it writes only once there are bytes enough for a write. So the
//! driver need not be notified of each call, and the peer gets more with each read.

use std::sync::atomic::{AtomicBool, Ordering};

/// How many futures have to be woken at once for their next calls to be batched.
const MIN_FUTURES: usize = 8;
/// With so many bytes in the output the thread that adds to it writes: enough for a write to be worth
/// it, and few enough that the peer is not kept waiting.
const WRITE_BYTES: usize = 4000;

/// Whether the driver has announced a write, for the calls that many futures are about to make.
#[derive(Default)]
pub(super) struct Batching(AtomicBool);

impl Batching {
    /// The driver is about to wake so many futures. Returns whether it has to announce a write: not where
    /// they are few, or where it has announced one already.
    pub(super) fn begin(&self, futures: usize) -> bool {
        futures >= MIN_FUTURES && !self.0.swap(true, Ordering::AcqRel)
    }

    /// The driver is about to write, all that was added until now. Later calls need another write.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether the driver has announced a write that is still to come.
    pub(super) fn is_active(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Who writes a call that was added for a future, if the output is `waiting` bytes now.
    pub(super) fn writer(&self, waiting: usize) -> Writer {
        match self.is_active() {
            false => Writer::DriverOnRequest,
            true if waiting < WRITE_BYTES => Writer::Driver,
            true => Writer::Caller,
        }
    }
}

/// Who writes the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The driver, which has to be notified.
    DriverOnRequest,
    /// The driver, which has announced a write.
    Driver,
    /// The thread that has added the call.
    Caller,
}

#[cfg(test)]
mod tests {
    use super::{Batching, MIN_FUTURES, WRITE_BYTES, Writer};

    #[test]
    fn only_many_futures_leave_it_to_the_driver_and_only_until_it_writes() {
        let batching = Batching::default();
        assert!(!batching.begin(MIN_FUTURES - 1));
        assert_eq!(batching.writer(1), Writer::DriverOnRequest);
        assert!(batching.begin(MIN_FUTURES));
        assert!(!batching.begin(MIN_FUTURES), "a write is announced already");
        assert_eq!(batching.writer(1), Writer::Driver);
        assert_eq!(batching.writer(WRITE_BYTES), Writer::Caller);
        batching.end();
        assert_eq!(batching.writer(1), Writer::DriverOnRequest);
    }
}
