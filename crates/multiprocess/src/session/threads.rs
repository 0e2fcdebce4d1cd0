//! The threads of one connection: those of the peer that run this side's calls, and those of this
//! side that the peer asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use capnp_engine::Cap;

use crate::connection::Core;
use crate::threads::{SerialExecutor, ThreadBudget};
use crate::{Error, Result};

/// Server threads for the calls of futures. Up to this many calls each have one for themselves, so
/// that one that waits holds up no other; beyond it they share.
pub(crate) const ASYNC_THREADS: usize = 64;
/// With this many calls the peer is asked for a pool of as many threads (Bitcoin Core 32 and newer
/// have one).
const POOL_FROM: usize = 4;
/// The same for calls of methods that may wait long. They share threads only with each other, so
/// that they never occupy the threads of other calls. Together with `ASYNC_THREADS` these are fewer
/// than a peer allows for one connection ([`Limits::threads`](crate::Limits)); the rest is for
/// calling threads.
const LONG_THREADS: usize = 128;

/// The peer's thread that runs a call, and the thread here that runs its callbacks. A table with this
/// holds a reference on each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadPair {
    pub(crate) thread: Cap,
    pub(crate) callback: Cap,
}

pub(crate) struct Threads {
    peer_map: Option<Cap>,
    own_map: Option<Cap>,
    /// For each thread of this process that has called: by its inbox.
    callers: HashMap<u64, ThreadPair>,
    asyncs: SharedThreads,
    longs: SharedThreads,
    /// For each object whose streaming calls are under way, the one that runs them all.
    streams: HashMap<usize, (ThreadPair, BusyGuard)>,
    pool: Option<Arc<SerialExecutor>>,
    /// Whether the peer has a pool for calls that name no thread.
    peer_pool: PeerPool,
    /// Where callbacks of such calls run here.
    any_thread: Option<Cap>,
}

/// A pool that the peer is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PeerPool {
    #[default]
    Unasked,
    /// Asked for and not there yet, or the peer makes none.
    No,
    Yes,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            peer_map: None,
            own_map: None,
            callers: HashMap::new(),
            asyncs: SharedThreads::new(ASYNC_THREADS),
            longs: SharedThreads::new(LONG_THREADS),
            streams: HashMap::new(),
            pool: None,
            peer_pool: PeerPool::default(),
            any_thread: None,
        }
    }
}

impl Threads {
    pub(crate) fn peer_map(&self) -> Option<Cap> {
        self.peer_map
    }

    /// This side's ThreadMap: one object for the connection.
    pub(crate) fn own_map(&self) -> Option<Cap> {
        self.own_map
    }

    pub(crate) fn set_own_map(&mut self, map: Cap) {
        self.own_map = Some(map);
    }

    pub(crate) fn caller(&self, inbox: u64) -> Option<ThreadPair> {
        self.callers.get(&inbox).copied()
    }

    pub(crate) fn set_caller(&mut self, inbox: u64, pair: ThreadPair) -> Option<ThreadPair> {
        self.callers.insert(inbox, pair)
    }

    /// The threads for the calls of futures, of methods that may wait long or of others.
    pub(crate) fn shared(&mut self, long: bool) -> &mut SharedThreads {
        if long { &mut self.longs } else { &mut self.asyncs }
    }

    pub(crate) fn stream(&self, object: usize) -> Option<ThreadPair> {
        self.streams.get(&object).map(|(pair, _)| *pair)
    }

    pub(crate) fn set_stream(&mut self, object: usize, pair: ThreadPair, busy: BusyGuard) {
        self.streams.insert(object, (pair, busy));
    }

    /// Makes the pool for calls that name no thread, once.
    pub(crate) fn make_pool(&mut self, count: usize, budget: &Arc<ThreadBudget>) -> Result<()> {
        if self.pool.is_some() {
            return Err(Error::failed("this connection has a pool already"));
        }
        self.pool = Some(SerialExecutor::claimed(count, budget)?);
        Ok(())
    }

    pub(crate) fn pool(&self) -> Option<Arc<SerialExecutor>> {
        self.pool.clone()
    }

    pub(crate) fn peer_pool(&self) -> PeerPool {
        self.peer_pool
    }

    pub(crate) fn set_peer_pool(&mut self, pool: PeerPool) {
        self.peer_pool = pool;
    }

    /// Whether enough calls of futures are under way to ask the peer for a pool, in which they need
    /// not have a thread each.
    pub(crate) fn wants_pool(&self) -> bool {
        self.peer_pool == PeerPool::Unasked && self.asyncs.threads.len() >= POOL_FROM
    }

    pub(crate) fn any_thread(&self) -> Option<Cap> {
        self.any_thread
    }

    pub(crate) fn set_any_thread(&mut self, thread: Cap) {
        self.any_thread = Some(thread);
    }
}

impl Core {
    /// Keeps the peer's ThreadMap, and the reference on it. The first that it gives counts.
    pub(crate) fn set_peer_map(&mut self, map: Cap) {
        let known = &mut self.state().threads.peer_map;
        if known.is_none() {
            *known = Some(map);
        } else {
            self.engine.release(map);
        }
    }

    fn release_pair(&mut self, pair: Option<ThreadPair>) {
        if let Some(ThreadPair { thread, callback }) = pair {
            self.engine.release_all([Some(thread), Some(callback)]);
        }
    }

    /// The next call of the thread with this inbox gets a new thread of the peer's.
    pub(crate) fn release_caller(&mut self, inbox: u64) {
        let pair = self.state().threads.callers.remove(&inbox);
        self.release_pair(pair);
    }

    /// The same where the thread there is the one with this callback thread.
    pub(crate) fn release_caller_with(&mut self, inbox: u64, callback: Cap) {
        let known = self.state().threads.caller(inbox);
        if known.is_some_and(|pair| pair.callback == callback) {
            self.release_caller(inbox);
        }
    }

    /// All of an object's streaming calls are answered: the next may have another thread.
    pub(crate) fn release_stream(&mut self, object: usize) {
        let pair = self.state().threads.streams.remove(&object).map(|(pair, _busy)| pair);
        self.release_pair(pair);
    }

    /// Forgets a shared thread, because the peer did not make it.
    pub(crate) fn release_shared(&mut self, long: bool, id: u64) {
        let pair = self.state().threads.shared(long).release(id);
        self.release_pair(pair);
    }
}

/// The peer's threads that the calls of futures of one kind share.
pub(crate) struct SharedThreads {
    threads: Vec<SharedThread>,
    most: usize,
    next: u64,
}

struct SharedThread {
    id: u64,
    pair: ThreadPair,
    /// How many calls it has.
    busy: Arc<AtomicUsize>,
}

impl SharedThreads {
    fn new(most: usize) -> SharedThreads {
        SharedThreads { threads: Vec::new(), most, next: 0 }
    }

    /// The least busy thread; none if one more should be made.
    pub(crate) fn thread(&self) -> Option<(ThreadPair, BusyGuard)> {
        let busy = |thread: &SharedThread| thread.busy.load(Ordering::Relaxed);
        let thread = self.threads.iter().min_by_key(|thread| busy(thread))?;
        if busy(thread) > 0 && self.threads.len() < self.most {
            return None;
        }
        Some((thread.pair, BusyGuard::new(&thread.busy)))
    }

    /// A number for a thread that is about to be added.
    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn add(&mut self, id: u64, pair: ThreadPair) -> BusyGuard {
        let busy = Arc::default();
        let guard = BusyGuard::new(&busy);
        self.threads.push(SharedThread { id, pair, busy });
        guard
    }

    fn release(&mut self, id: u64) -> Option<ThreadPair> {
        let place = self.threads.iter().position(|thread| thread.id == id)?;
        Some(self.threads.remove(place).pair)
    }
}

/// A future's call on a shared thread, until its answer is there.
pub(crate) struct BusyGuard(Arc<AtomicUsize>);

impl BusyGuard {
    fn new(busy: &Arc<AtomicUsize>) -> BusyGuard {
        busy.fetch_add(1, Ordering::Relaxed);
        BusyGuard(Arc::clone(busy))
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
