//! The one thread of the process that watches sockets and deadlines.
//!
//! It reads what arrives on connections that no waiting thread reads, accepts on every listener, and
//! fires timers. It runs no user code but what must not block: wakers of futures, a server's `accept_if`,
//! and the program's `tracing` subscriber.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::forked::{check_forked, is_forked};
use crate::poller::{Poller, Ready, SourceId};
use crate::{Error, Result, limits_met, thread_start};

/// Something with a descriptor that the driver watches.
pub(crate) trait Source: Send + Sync {
    /// The descriptor can be read.
    fn readable(self: Arc<Self>);
    /// The descriptor can be written, after [`Driver::watch`] for that.
    fn writable(self: Arc<Self>) {}
    /// Called every millisecond after [`Driver::start_ticks`]. Whether to go on.
    fn tick(self: Arc<Self>) -> bool {
        false
    }
    /// There is output to write, after [`Driver::request_write`] or
    /// [`Driver::request_write_later`].
    fn write(self: Arc<Self>) {}
}

type Timer = Box<dyn FnOnce() + Send>;
/// Names a timer: when it fires, and a number that makes it unique.
pub(crate) type TimerId = (Instant, usize);

pub(crate) struct Driver {
    poller: Poller,
    sources: Mutex<HashMap<SourceId, Weak<dyn Source>>>,
    timers: Mutex<BTreeMap<TimerId, Timer>>,
    next: AtomicUsize,
    /// Sources whose `tick` is called every [`TICK`].
    ticking: Mutex<Vec<Weak<dyn Source>>>,
    /// Sources to write as soon as possible.
    to_write: Mutex<Vec<Weak<dyn Source>>>,
    /// Sources to write at a time, which is [`WRITE_DELAY`] after they asked.
    to_write_later: Mutex<VecDeque<(Instant, Weak<dyn Source>)>>,
    /// The driver thread waits, or is about to, and has to be notified of what is added.
    waits: AtomicBool,
}

const TICK: Duration = Duration::from_millis(1);
/// How long the driver waits for the calls of the futures that it has woken, to write them at once.
const WRITE_DELAY: Duration = Duration::from_micros(50);

/// The longest time that is waited for at once. epoll fails for what does not fit in its milliseconds, where the kernel
/// or a sandbox does not have its newer form; and a peer may tell a deadline as far away as it likes.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long to wait at once for what is due after `left`: it is looked at again then.
fn one_wait(left: Duration) -> Duration {
    left.min(LONGEST_WAIT)
}

/// The process's driver, started on first use. Where that fails, the next use tries again. In a fork of the
/// process it is an error.
pub(crate) fn driver() -> Result<&'static Driver> {
    static DRIVER: OnceLock<&'static Driver> = OnceLock::new();
    static START: Mutex<()> = Mutex::new(());
    check_forked()?;
    if let Some(driver) = DRIVER.get() {
        return Ok(driver);
    }
    let _one_at_a_time = lock(&START);
    if let Some(driver) = DRIVER.get() {
        return Ok(driver);
    }
    let driver = Arc::new(Driver {
        poller: Poller::new().map_err(|error| Error::io("watch descriptors", error))?,
        sources: Mutex::default(),
        timers: Mutex::default(),
        next: AtomicUsize::new(1),
        ticking: Mutex::default(),
        to_write: Mutex::default(),
        to_write_later: Mutex::default(),
        waits: AtomicBool::new(false),
    });
    let runs = Arc::clone(&driver);
    thread_start::start_uncounted("mp-driver", move || runs.run())?;
    limits_met::wake_with(|| {
        if let Some(driver) = DRIVER.get() {
            driver.wake();
        }
    });
    // Leaked because the thread runs as long as the process.
    let driver = DRIVER.get_or_init(|| Box::leak(Box::new(driver)));
    thread_start::retry_with(|after, start| {
        if let Some(driver) = DRIVER.get() {
            driver.add_timer(Instant::now() + after, Box::new(start));
        }
    });
    Ok(driver)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    /// A number for a source that is about to be added.
    pub(crate) fn new_id(&self) -> SourceId {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Watches a descriptor for reading.
    ///
    /// The source must call [`remove`](Self::remove) before it closes the descriptor: Conn and
    /// Acceptor do so in Drop.
    pub(crate) fn add(
        &self,
        id: SourceId,
        fd: BorrowedFd<'_>,
        source: Weak<dyn Source>,
    ) -> Result<()> {
        lock(&self.sources).insert(id, source);
        let added = self.poller.add(fd, id);
        added.map_err(|error| {
            lock(&self.sources).remove(&id);
            Error::io("watch a socket", error)
        })
    }

    /// Changes what a source is watched for.
    pub(crate) fn watch(
        &self,
        id: SourceId,
        fd: BorrowedFd<'_>,
        read: bool,
        write: bool,
    ) -> io::Result<()> {
        self.poller.set(fd, id, read, write)
    }

    /// Forgets a source. Its methods may still be running. In a fork of the process nothing is forgotten:
    /// what is watched is the parent's.
    pub(crate) fn remove(&self, id: SourceId, fd: BorrowedFd<'_>) {
        if is_forked() {
            return;
        }
        if lock(&self.sources).remove(&id).is_some() {
            let _ = self.poller.delete(fd);
        }
    }

    /// Runs `timer` at `deadline`, on the driver thread; it must not block.
    pub(crate) fn add_timer(&self, deadline: Instant, timer: Timer) -> TimerId {
        let id = (deadline, self.next.fetch_add(1, Ordering::Relaxed));
        let mut timers = lock(&self.timers);
        let first = timers.first_key_value().is_none_or(|(first, _)| id < *first);
        timers.insert(id, timer);
        drop(timers);
        if first {
            self.poller.notify();
        }
        id
    }

    pub(crate) fn remove_timer(&self, id: TimerId) {
        if is_forked() {
            return;
        }
        let timer = lock(&self.timers).remove(&id);
        drop(timer);
    }

    /// Calls the source's `tick` every millisecond until that returns false.
    pub(crate) fn start_ticks(&self, source: Weak<dyn Source>) {
        let mut ticking = lock(&self.ticking);
        ticking.push(source);
        let first = ticking.len() == 1;
        drop(ticking);
        if first {
            self.wake();
        }
    }

    /// Has the source's `write` called soon, on the driver thread.
    pub(crate) fn request_write(&self, source: Weak<dyn Source>) {
        lock(&self.to_write).push(source);
        self.wake();
    }

    /// The same, [`WRITE_DELAY`] later. To be called on the driver thread, which is not notified of it.
    pub(crate) fn request_write_later(&self, source: Weak<dyn Source>) {
        lock(&self.to_write_later).push_back((Instant::now() + WRITE_DELAY, source));
    }

    /// Ends the thread's wait, if it waits.
    fn wake(&self) {
        // `wait` sets the flag before it looks for what was added: either it sees that, or this sees the
        // flag.
        if self.waits.swap(false, Ordering::SeqCst) {
            self.poller.notify();
        }
    }

    fn run(&self) {
        let mut happened = Vec::new();
        let mut last_tick = Instant::now();
        loop {
            happened.clear();
            self.write_sources();
            if let Err(error) = self.wait(&mut happened, last_tick) {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!("the driver cannot wait for events: {error}");
                    std::thread::sleep(Duration::from_millis(10));
                }
                continue;
            }
            for ready in &happened {
                let source = lock(&self.sources).get(&ready.id).and_then(Weak::upgrade);
                let Some(source) = source else { continue };
                let ready = *ready;
                crate::panics::run_hook("the driver", move || {
                    if ready.writable {
                        Arc::clone(&source).writable();
                    }
                    if ready.readable {
                        source.readable();
                    }
                });
            }
            self.fire_timers();
            crate::panics::run_hook("the log", limits_met::say_all);
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.tick();
            }
        }
    }

    /// Waits for events, until the next timer, tick or write is due.
    fn wait(&self, happened: &mut Vec<Ready>, last_tick: Instant) -> io::Result<()> {
        self.waits.store(true, Ordering::SeqCst);
        let mut timeout = self.next_timeout();
        if !lock(&self.ticking).is_empty() {
            let left = TICK.saturating_sub(last_tick.elapsed());
            timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
        }
        if !lock(&self.to_write).is_empty() || limits_met::is_any_unsaid() {
            timeout = Some(Duration::ZERO);
        }
        let later = lock(&self.to_write_later).front().map(|(when, _)| *when);
        if let Some(when) = later {
            let left = when.saturating_duration_since(Instant::now());
            timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
        }
        let waited = self.poller.wait(happened, timeout.map(one_wait), later.is_some());
        self.waits.store(false, Ordering::SeqCst);
        waited
    }

    fn write_sources(&self) {
        let mut to_write = std::mem::take(&mut *lock(&self.to_write));
        let mut later = lock(&self.to_write_later);
        while later.front().is_some_and(|(when, _)| *when <= Instant::now()) {
            to_write.extend(later.pop_front().map(|(_, source)| source));
        }
        drop(later);
        for source in to_write {
            if let Some(source) = source.upgrade() {
                crate::panics::run_hook("the driver", || source.write());
            }
        }
    }

    fn tick(&self) {
        let ticking = std::mem::take(&mut *lock(&self.ticking));
        for source in ticking {
            let Some(strong) = source.upgrade() else { continue };
            let mut again = false;
            crate::panics::run_hook("the driver", || again = strong.tick());
            if again {
                lock(&self.ticking).push(source);
            }
        }
    }

    fn next_timeout(&self) -> Option<Duration> {
        let timers = lock(&self.timers);
        let ((deadline, _), _) = timers.first_key_value()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    fn fire_timers(&self) {
        loop {
            let timer = {
                let mut timers = lock(&self.timers);
                match timers.first_entry() {
                    Some(entry) if entry.key().0 <= Instant::now() => entry.remove(),
                    _ => return,
                }
            };
            crate::panics::run_hook("a timer", timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::one_wait;

    /// However far away a peer's deadline is.
    #[test]
    fn a_wait_fits_in_the_milliseconds_of_every_system_call() {
        assert_eq!(one_wait(Duration::from_micros(7)), Duration::from_micros(7));
        for left in [Duration::from_secs(30 * 86_400), Duration::MAX] {
            assert!(i32::try_from(one_wait(left).as_millis()).is_ok(), "{left:?}");
        }
    }
}
