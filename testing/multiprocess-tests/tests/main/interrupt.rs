//! Cancelled calls that the peer does not end by itself: the method that the schema names
//! (`interruptedBy`) ends them. And the threads of such calls.

use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Limits, Result, current_call};
use multiprocess_tests::generated::waits::{Child, ChildClient, Sum, Waits, WaitsClient};
use multiprocess_tests::wait_until;

const LONG: Duration = Duration::from_secs(20);
/// Longer than the grace.
const GRACE: Duration = Duration::from_millis(200);

#[derive(Default)]
struct State {
    waiting: usize,
    /// How often `interrupt` was called: a wait that sees it change ends.
    interrupts: usize,
    released: bool,
    /// The flag of Bitcoin Core's objects: one for all waits; the wait that sees it clears it.
    flag: bool,
    /// The largest number of waits at the same time.
    most: usize,
}

/// Waits like Bitcoin Core's objects, which ignore cancelling, or like ours.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
    heeds: bool,
    /// An interrupt ends one wait, which may be the next.
    sticky: bool,
    threads: Mutex<HashSet<std::thread::ThreadId>>,
    alive: AtomicUsize,
}

impl Seen {
    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }

    fn interrupts(&self) -> usize {
        self.state.lock().unwrap().interrupts
    }

    fn release(&self) {
        self.state.lock().unwrap().released = true;
        self.changed.notify_all();
    }
}

struct Server(Arc<Seen>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sum for Server {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }
}

impl Waits for Server {
    fn wait(&self, _name: String) -> Result<bool> {
        self.0.threads.lock().unwrap().insert(std::thread::current().id());
        let token = current_call().unwrap().cancel_token();
        if self.0.heeds {
            let seen = Arc::clone(&self.0);
            token.on_cancel(move || {
                let _state = seen.state.lock().unwrap();
                seen.changed.notify_all();
            });
        }
        let mut state = self.0.state.lock().unwrap();
        let before = state.interrupts;
        state.waiting += 1;
        state.most = state.most.max(state.waiting);
        while !state.released
            && (self.0.sticky || state.interrupts == before)
            && !(self.0.sticky && state.flag)
            && !(self.0.heeds && token.is_cancelled())
        {
            state = self.0.changed.wait(state).unwrap();
        }
        state.flag = false;
        state.waiting -= 1;
        Ok(state.released)
    }

    fn interrupt(&self) -> Result<()> {
        let mut state = self.0.state.lock().unwrap();
        state.interrupts += 1;
        state.flag = true;
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    fn make_child(&self) -> Result<ChildClient> {
        self.0.alive.fetch_add(1, Ordering::SeqCst);
        Ok(ChildClient::new(Held(Server(Arc::clone(&self.0)))))
    }
}

/// An object that can be closed.
struct Held(Server);

impl Child for Held {
    fn hold(&self, name: String) -> Result<bool> {
        self.0.wait(name)
    }
}

struct Served {
    seen: Arc<Seen>,
    serving: Connection,
    calling: Connection,
    waits: WaitsClient,
}

fn served_by(seen: Seen, limits: Limits) -> Served {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let seen = Arc::new(seen);
    seen.alive.store(1, Ordering::SeqCst);
    let object = WaitsClient::new(Server(Arc::clone(&seen)));
    let serving = Connection::builder().limits(limits).serve(object).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let waits = calling.bootstrap().unwrap();
    Served { seen, serving, calling, waits }
}

/// A server that ignores cancelling.
fn stubborn() -> Served {
    served_by(Seen::default(), Limits::default())
}

fn heeding() -> Served {
    served_by(Seen { heeds: true, ..Seen::default() }, Limits::default())
}

/// A server that waits like Bitcoin Core.
fn sticky() -> Served {
    served_by(Seen { sticky: true, ..Seen::default() }, Limits::default())
}

/// An interrupt ends whichever wait it finds. So the next one is not sent before the one that was
/// cancelled has ended.
#[test]
fn the_next_wait_begins_when_the_cancelled_one_has_ended() {
    let Served { seen, waits, .. } = &sticky();
    for _ in 0..20 {
        // It ends by its deadline, or earlier by an interrupt that came too late for another wait.
        let _ = waits.wait("cut").timeout(Duration::from_millis(5)).wait();
        let _ = block_on(waits.wait("cut").timeout(Duration::from_millis(5)));
    }
    wait_until("none waits", || seen.waiting() == 0);
    assert!(seen.interrupts() > 0);
    assert_eq!(seen.state.lock().unwrap().most, 1, "waits at once");
}

/// While somebody waits for the object, a cancelled wait goes on, because its interrupt could end
/// the other one.
#[test]
fn a_wait_that_is_wanted_is_not_interrupted_for_another() {
    let Served { seen, waits, .. } = &sticky();
    let wanted = waits.wait("wanted").start();
    wait_until("it waits", || seen.waiting() == 1);
    let unwanted = waits.wait("unwanted").start();
    wait_until("both wait", || seen.waiting() == 2);
    drop(unwanted);
    std::thread::sleep(GRACE);
    assert_eq!((seen.waiting(), seen.interrupts()), (2, 0));
    seen.release();
    assert!(wanted.wait().unwrap());
}

#[test]
fn a_dropped_wait_is_interrupted() {
    let Served { seen, waits, serving, .. } = &stubborn();
    let call = waits.wait("").start();
    wait_until("it waits", || seen.waiting() == 1);
    drop(call);
    wait_until("it has ended", || seen.waiting() == 0);
    assert_eq!(seen.interrupts(), 1);
    assert!(serving.drain(LONG));
    let call = waits.wait("").start();
    wait_until("it waits", || seen.waiting() == 1);
    call.cancel();
    wait_until("it has ended", || seen.waiting() == 0);
    assert_eq!(seen.interrupts(), 2);
}

#[test]
fn a_deadline_interrupts_for_threads_and_for_futures() {
    let Served { seen, waits, .. } = &stubborn();
    for blocking in [true, false, true, false] {
        let call = waits.wait("").timeout(GRACE);
        let ended = if blocking { call.wait() } else { block_on(call) };
        assert!(matches!(ended, Err(Error::Timeout(_))));
        wait_until("it has ended", || seen.waiting() == 0);
        assert_eq!(waits.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    }
    wait_until("each was interrupted", || seen.interrupts() == 4);
}

/// An interrupt would end the waits of others as well. On a busy machine the peer may end the call
/// too late, so the test asks only that it is in time once.
#[test]
fn a_peer_that_ends_the_call_by_itself_is_not_interrupted() {
    let Served { seen, waits, .. } = &heeding();
    wait_until("a call was not interrupted", || {
        let before = seen.interrupts();
        let call = waits.wait("").start();
        wait_until("it waits", || seen.waiting() == 1);
        drop(call);
        wait_until("it has ended", || seen.waiting() == 0);
        // An interrupt would come within this time. There is no event to wait for.
        std::thread::sleep(GRACE);
        seen.interrupts() == before
    });
}

#[test]
fn a_call_that_ends_well_is_not_interrupted() {
    let Served { seen, waits, .. } = &stubborn();
    seen.release();
    for _ in 0..20 {
        assert!(waits.wait("").timeout(LONG).wait().unwrap());
        assert!(block_on(waits.wait("")).unwrap());
        drop(waits.wait("never made"));
    }
    std::thread::sleep(GRACE);
    assert_eq!(seen.interrupts(), 0);
}

#[test]
fn nothing_is_kept_beyond_the_end_of_the_connection() {
    let Served { seen, waits, serving, calling } = stubborn();
    let call = waits.wait("").start();
    wait_until("it waits", || seen.waiting() == 1);
    drop(call);
    // The last references on this side: no timer keeps the connection.
    drop((waits, calling));
    wait_until("the end is seen", || !serving.is_connected());
    drop(serving);
    seen.release();
    wait_until("the object is dropped", || seen.alive.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_handle_that_is_dropped_after_its_wait_interrupts_still() {
    let Served { seen, waits, calling, serving } = stubborn();
    let call = waits.wait("").start();
    wait_until("it waits", || seen.waiting() == 1);
    drop(waits);
    drop(call);
    wait_until("it has ended", || seen.waiting() == 0);
    assert_eq!(seen.interrupts(), 1);
    assert!(calling.is_connected() && serving.is_connected());
}

#[test]
fn many_waits_hold_up_no_other_call() {
    let Served { seen, waits, .. } = &stubborn();
    let calls: Vec<_> = (0..1000).map(|_| waits.wait("").start()).collect();
    wait_until("the calls that have a thread wait", || seen.waiting() == 128);
    for i in 0..100 {
        assert_eq!(block_on(waits.add(i, 1).timeout(LONG)).unwrap(), i + 1);
        assert_eq!(waits.add(i, 1).timeout(LONG).wait().unwrap(), i + 1);
    }
    seen.release();
    for call in calls {
        assert!(call.timeout(LONG).wait().unwrap());
    }
}

#[test]
fn the_thread_of_a_wait_serves_the_next() {
    let Served { seen, waits, .. } = &stubborn();
    seen.release();
    for _ in 0..20 {
        assert!(block_on(waits.wait("")).unwrap());
    }
    assert_eq!(seen.threads.lock().unwrap().len(), 1);
}

#[test]
fn close_lets_a_cancelled_call_end_first() {
    let Served { seen, waits, .. } = &heeding();
    for _ in 0..50 {
        let child = waits.make_child().wait().unwrap();
        let call = child.hold("").start();
        wait_until("it waits", || seen.waiting() == 1);
        drop(call);
        child.close().wait().unwrap();
        assert_eq!(seen.alive.load(Ordering::SeqCst), 1, "the destructor has run");
    }
}

/// A peer may not survive a call of an object that has ended, so close waits for the calls that
/// were sent.
#[test]
fn close_waits_for_a_call_that_nothing_interrupts() {
    let Served { seen, waits, .. } = &heeding();
    let child = waits.make_child().wait().unwrap();
    let call = child.hold("").start();
    wait_until("it waits", || seen.waiting() == 1);
    let error = child.close().timeout(Duration::from_millis(50)).wait().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!((seen.waiting(), seen.alive.load(Ordering::SeqCst)), (1, 2));
    seen.release();
    assert!(call.wait().unwrap());
    // The call ends although nobody waits for it any more.
    wait_until("it is dropped", || seen.alive.load(Ordering::SeqCst) == 1);
}
