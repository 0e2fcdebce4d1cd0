//! What many threads are about to say at once is written together.
//!
//! A reader that wakes several threads, each with a call to run or an answer to take, can expect each
//! of them to have something to write soon after: an answer, or the next call. A write for each costs
//! both sides more than the messages do. So the reader lets these threads run before it goes on; what
//! they add meanwhile they leave to it, and it writes that at once.
//!
//! Where the processors are busy with other work, to let others run can take as long as that likes.
//! So the reader looks how long it took, and where that was more than once longer than it is worth it
//! does without for a while.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For fewer threads it is not worth it.
const FEW: u32 = 3;
/// How long the reader waits for each thread, where no other thread wants its processor.
const EACH: Duration = Duration::from_micros(10);
/// What that may take for each thread, where another does.
const MOST: Duration = Duration::from_micros(100);
/// How often in a row it may take longer, before the readers do without.
const OFTEN: u32 = 3;
/// How long they do, in microseconds.
const PAUSE: u64 = 100_000;

/// Until when no reader of this process lets others run, in microseconds of [`now`].
static PAUSED: AtomicU64 = AtomicU64::new(0);
/// How often in a row that took too long.
static TOO_LONG: AtomicU32 = AtomicU32::new(0);

/// Microseconds since this was first asked.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_micros().try_into().unwrap_or(u64::MAX)
}

/// Whether a reader of the connection is about to write.
#[derive(Default)]
pub(super) struct Gather {
    on: AtomicBool,
    /// How many threads have left it to that reader.
    left: AtomicU32,
}

impl Gather {
    /// Whether a reader will write what this thread has added.
    pub(super) fn leave_to_reader(&self) -> bool {
        let on = self.on.load(Ordering::Acquire);
        if on {
            self.left.fetch_add(1, Ordering::Relaxed);
        }
        on
    }

    /// A reader is about to wake so many threads. None if it is not worth it.
    pub(super) fn begin(&self, threads: u32) -> Option<Gathering<'_>> {
        if threads < FEW || now() < PAUSED.load(Ordering::Relaxed) {
            return None;
        }
        self.left.store(0, Ordering::Relaxed);
        self.on.store(true, Ordering::Release);
        Some(Gathering { of: self, threads })
    }
}

/// While it is there other threads do not write. Whoever has it writes when it has ended.
pub(super) struct Gathering<'a> {
    of: &'a Gather,
    threads: u32,
}

impl Gathering<'_> {
    /// Lets the threads run that were woken.
    pub(super) fn end(self) {
        let start = Instant::now();
        let mut taken = Duration::ZERO;
        while self.of.left.load(Ordering::Relaxed) < self.threads && taken < self.threads * EACH {
            std::thread::yield_now();
            taken = start.elapsed();
        }
        if taken < self.threads * MOST {
            TOO_LONG.store(0, Ordering::Relaxed);
        } else if TOO_LONG.fetch_add(1, Ordering::Relaxed) + 1 >= OFTEN {
            PAUSED.store(now() + PAUSE, Ordering::Relaxed);
        }
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.of.on.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, Gather};

    #[test]
    fn others_write_again_when_the_reader_stops() {
        let gather = Gather::default();
        assert!(gather.begin(FEW - 1).is_none());
        // None while another test of this process has found that the processors are busy.
        let gathering =
            std::iter::repeat_with(|| gather.begin(FEW)).find_map(|begun| begun).unwrap();
        assert!(gather.leave_to_reader());
        gathering.end();
        assert!(!gather.leave_to_reader());
        drop(gather.begin(FEW));
        assert!(!gather.leave_to_reader());
    }
}
