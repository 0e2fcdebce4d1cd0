//! The one thread of the process that watches sockets and deadlines.
//!
//! It reads what arrives on connections that no waiting thread reads, accepts on every listener, and
//! fires timers. It runs no user code but the wakers of futures.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::poller::{Poller, Ready, SourceId};
use crate::{Error, Result};

/// Something with a descriptor that the driver watches.
pub(crate) trait Source: Send + Sync {
    /// The descriptor can be read.
    fn readable(self: Arc<Self>);
    /// The descriptor can be written, after [`Driver::watch`] for that.
    fn writable(self: Arc<Self>) {}
    /// A millisecond has passed, after [`Driver::look_after`]. Whether to look again.
    fn look(self: Arc<Self>) -> bool {
        false
    }
    /// Something waits to be written, after [`Driver::flush_soon`] or
    /// [`Driver::flush_after_a_while`].
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
    /// Sources to look at every [`TICK`].
    looked_after: Mutex<Vec<Weak<dyn Source>>>,
    /// Sources that have something to write.
    to_flush: Mutex<Vec<Weak<dyn Source>>>,
    /// Sources that will have, and when they are to write it.
    to_flush_later: Mutex<VecDeque<(Instant, Weak<dyn Source>)>>,
    /// The thread waits, or is about to, and has to be notified of what is added.
    waits: AtomicBool,
}

const TICK: Duration = Duration::from_millis(1);
const WHILE: Duration = Duration::from_micros(50);

/// The process's driver, started on first use. Where that fails, the next use tries again.
pub(crate) fn driver() -> Result<&'static Driver> {
    static DRIVER: OnceLock<&'static Driver> = OnceLock::new();
    static START: Mutex<()> = Mutex::new(());
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
        looked_after: Mutex::default(),
        to_flush: Mutex::default(),
        to_flush_later: Mutex::default(),
        waits: AtomicBool::new(false),
    });
    let runs = Arc::clone(&driver);
    std::thread::Builder::new()
        .name("mp-driver".to_owned())
        .spawn(move || runs.run())
        .map_err(|error| Error::io("start the driver thread", error))?;
    // The thread runs as long as the process, and so does what it runs on.
    Ok(DRIVER.get_or_init(|| Box::leak(Box::new(driver))))
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

    /// Forgets a source. Its methods may still be running.
    pub(crate) fn remove(&self, id: SourceId, fd: BorrowedFd<'_>) {
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
        let timer = lock(&self.timers).remove(&id);
        drop(timer);
    }

    /// Looks at a source every millisecond, as long as it wants that.
    pub(crate) fn look_after(&self, source: Weak<dyn Source>) {
        let mut looked_after = lock(&self.looked_after);
        looked_after.push(source);
        let first = looked_after.len() == 1;
        drop(looked_after);
        if first {
            self.wake();
        }
    }

    /// Has a source written to, on the driver thread.
    pub(crate) fn flush_soon(&self, source: Weak<dyn Source>) {
        lock(&self.to_flush).push(source);
        self.wake();
    }

    /// The same [`WHILE`] later. On the driver thread.
    pub(crate) fn flush_after_a_while(&self, source: Weak<dyn Source>) {
        lock(&self.to_flush_later).push_back((Instant::now() + WHILE, source));
    }

    /// Ends the thread's wait, if it waits.
    fn wake(&self) {
        // The other side of this is in `wait`: either that sees what was added, or this its flag.
        if self.waits.swap(false, Ordering::SeqCst) {
            self.poller.notify();
        }
    }

    fn run(&self) {
        let mut happened = Vec::new();
        let mut looked = Instant::now();
        loop {
            happened.clear();
            self.flush_sources();
            if let Err(error) = self.wait(&mut happened, looked) {
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
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                self.look();
            }
        }
    }

    /// Waits until something happens or is to be done.
    fn wait(&self, happened: &mut Vec<Ready>, looked: Instant) -> io::Result<()> {
        self.waits.store(true, Ordering::SeqCst);
        let mut timeout = self.next_timeout();
        if !lock(&self.looked_after).is_empty() {
            let left = TICK.saturating_sub(looked.elapsed());
            timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
        }
        if !lock(&self.to_flush).is_empty() {
            timeout = Some(Duration::ZERO);
        }
        let later = lock(&self.to_flush_later).front().map(|(when, _)| *when);
        if let Some(when) = later {
            let left = when.saturating_duration_since(Instant::now());
            timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
        }
        let waited = self.poller.wait(happened, timeout, later.is_some());
        self.waits.store(false, Ordering::SeqCst);
        waited
    }

    fn flush_sources(&self) {
        let mut to_flush = std::mem::take(&mut *lock(&self.to_flush));
        let mut later = lock(&self.to_flush_later);
        while later.front().is_some_and(|(when, _)| *when <= Instant::now()) {
            to_flush.extend(later.pop_front().map(|(_, source)| source));
        }
        drop(later);
        for source in to_flush {
            if let Some(source) = source.upgrade() {
                crate::panics::run_hook("the driver", || source.write());
            }
        }
    }

    fn look(&self) {
        let looked_after = std::mem::take(&mut *lock(&self.looked_after));
        for source in looked_after {
            let Some(strong) = source.upgrade() else { continue };
            let mut again = false;
            crate::panics::run_hook("the driver", || again = strong.look());
            if again {
                lock(&self.looked_after).push(source);
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
