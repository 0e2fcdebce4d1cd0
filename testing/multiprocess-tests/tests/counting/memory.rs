//! Counts the bytes that the process has allocated, and how many of them calls of many kinds leave
//! behind.

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Result, current_call};
use multiprocess_tests::generated::waits::{Sum, Waits, WaitsClient};
use multiprocess_tests::{LONG, eventually};

use crate::alone;

/// The system's allocator, with a count of the allocated bytes.
struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it is; counting touches no memory of
// its own that is allocated.
#[allow(unsafe_code, reason = "an allocator that counts")]
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps to what the trait asks of it.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is that of this function.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller keeps to what the trait asks of it.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is that of this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that are allocated now.
pub(crate) fn held() -> isize {
    HELD.load(Ordering::Relaxed)
}

/// How often the work is measured. A leak shows every time; a buffer that is made once, and kept for reuse,
/// shows once, whenever a thread first needs it.
const ROUNDS: usize = 3;

/// Repeats some work, and asserts that each repetition leaves fewer than some bytes. The work is done a
/// few times before, so that memory which is kept for reuse is there already; but not so often that a
/// list which grows by doubling has room for all repetitions.
#[track_caller]
pub(crate) fn assert_leaves_less(bytes: usize, times: usize, mut work: impl FnMut()) {
    (0..times / 5).for_each(|_| work());
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        let before = held();
        (0..times).for_each(|_| work());
        let most = before + (bytes * times) as isize;
        let mut last = 0;
        // Other threads may still be freeing memory.
        let is_right = eventually(|| {
            last = held();
            last < most
        });
        if is_right {
            return;
        }
        left.push(last - before);
    }
    panic!("{times} times left {left:?} bytes");
}

/// Its `wait` waits until it is cancelled. It keeps no memory of its own.
#[derive(Default)]
struct Server {
    lock: Mutex<()>,
    changed: Condvar,
}

struct Served(Arc<Server>);

impl Sum for Served {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }
}

impl Waits for Served {
    fn wait(&self, name: String) -> Result<bool> {
        let token = current_call().ok_or_else(|| Error::failed("not in a call"))?.cancel_token();
        let server = Arc::clone(&self.0);
        token.on_cancel(move || {
            let _locked = server.lock.lock().unwrap();
            server.changed.notify_all();
        });
        let mut locked = self.0.lock.lock().unwrap();
        while !name.is_empty() && !token.is_cancelled() {
            locked = self.0.changed.wait(locked).unwrap();
        }
        Ok(true)
    }

    fn interrupt(&self) -> Result<()> {
        Ok(())
    }

    fn add_inline(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }
}

/// Both ends are in this process, so the memory of both is counted.
fn served() -> (Connection, WaitsClient) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let object = WaitsClient::new(Served(Arc::default()));
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let waits = Connection::new(ours).unwrap().bootstrap().unwrap();
    (serving, waits)
}

#[test]
fn calls_that_could_be_interrupted_leave_nothing() {
    let _alone = alone();
    let (_serving, waits) = served();
    assert_leaves_less(8, 10_000, || assert!(waits.wait("").wait().unwrap()));
}

#[test]
fn futures_that_could_be_interrupted_leave_nothing() {
    let _alone = alone();
    let (_serving, waits) = served();
    assert_leaves_less(8, 10_000, || assert!(block_on(waits.wait("")).unwrap()));
}

#[test]
fn calls_that_were_interrupted_leave_nothing() {
    let _alone = alone();
    let (serving, waits) = served();
    assert_leaves_less(4, 500, || {
        let call = waits.wait("long").start();
        drop(call);
        assert!(serving.drain(LONG));
    });
}

/// After a call that timed out, a new server thread is made for the next one.
#[test]
fn threads_that_were_made_again_leave_nothing() {
    let _alone = alone();
    let (_serving, waits) = served();
    assert_leaves_less(4, 500, || {
        let timed_out = waits.wait("long").timeout(Duration::from_millis(1)).wait();
        assert!(matches!(timed_out, Err(Error::Timeout(_))), "{timed_out:?}");
        assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
    });
}

#[test]
fn plain_calls_leave_nothing() {
    let _alone = alone();
    let (_serving, waits) = served();
    assert_leaves_less(8, 5_000, || {
        assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
        assert_eq!(waits.add_inline(1, 2).wait().unwrap(), 3);
        assert_eq!(block_on(waits.add(1, 2)).unwrap(), 3);
    });
}
