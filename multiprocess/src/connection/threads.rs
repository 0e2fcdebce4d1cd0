//! The threads of one connection: those of the peer that run this side's calls, and those of this
//! side that the peer asked for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use capnp::private::capability::ClientHook;

use crate::thread::Lanes;
use crate::{Error, Result};

/// Server threads for the calls of futures. Up to this many calls each have one for themselves, so
/// that one that waits holds up no other; beyond it they share.
const ASYNC_THREADS: usize = 64;
/// The same for calls of methods that may wait long: they share with each other only, so that any
/// number of them leaves the others' threads free. With those of above they are less than what a
/// peer allows one connection ([`Limits::threads`](super::Limits)); the rest is for calling threads.
const LONG_THREADS: usize = 128;

/// Where a call runs on the peer, and where its callbacks run here.
pub(crate) struct ThreadPair {
    pub(crate) thread: Box<dyn ClientHook>,
    pub(crate) callback: Box<dyn ClientHook>,
}

impl ThreadPair {
    fn add_ref(&self) -> ThreadPair {
        ThreadPair { thread: self.thread.add_ref(), callback: self.callback.add_ref() }
    }
}

pub(crate) struct Threads {
    peer_map: RefCell<Option<Box<dyn ClientHook>>>,
    own_map: RefCell<Option<Box<dyn ClientHook>>>,
    /// For each thread of this process that has called: by its inbox.
    callers: RefCell<HashMap<u64, ThreadPair>>,
    asyncs: SharedThreads,
    longs: SharedThreads,
    /// Threads made for the peer.
    made: Rc<Cell<usize>>,
    pool: RefCell<Option<(Arc<Lanes>, ThreadCount)>>,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            peer_map: RefCell::default(),
            own_map: RefCell::default(),
            callers: RefCell::default(),
            asyncs: SharedThreads::new(ASYNC_THREADS),
            longs: SharedThreads::new(LONG_THREADS),
            made: Rc::default(),
            pool: RefCell::default(),
        }
    }
}

impl Threads {
    /// Keeps the peer's ThreadMap. The first that it gives counts.
    pub(crate) fn set_peer_map(&self, map: Box<dyn ClientHook>) {
        self.peer_map.borrow_mut().get_or_insert(map);
    }

    pub(crate) fn peer_map(&self) -> Option<Box<dyn ClientHook>> {
        self.peer_map.borrow().as_ref().map(|map| map.add_ref())
    }

    /// This side's ThreadMap: one object for the connection.
    pub(crate) fn own_map(
        &self,
        make: impl FnOnce() -> Box<dyn ClientHook>,
    ) -> Box<dyn ClientHook> {
        self.own_map.borrow_mut().get_or_insert_with(make).add_ref()
    }

    pub(crate) fn caller(&self, inbox: u64) -> Option<ThreadPair> {
        self.callers.borrow().get(&inbox).map(ThreadPair::add_ref)
    }

    pub(crate) fn set_caller(&self, inbox: u64, pair: &ThreadPair) {
        self.callers.borrow_mut().insert(inbox, pair.add_ref());
    }

    pub(crate) fn release_caller(&self, inbox: u64) {
        let pair = self.callers.borrow_mut().remove(&inbox);
        drop(pair);
    }

    /// The threads for the calls of futures, of methods that may wait long or of others.
    pub(crate) fn shared(&self, long: bool) -> &SharedThreads {
        if long { &self.longs } else { &self.asyncs }
    }

    /// Counts `more` threads that are made for the peer, within `limit`.
    pub(crate) fn count(&self, more: usize, limit: usize) -> Result<ThreadCount> {
        if self.made.get().saturating_add(more) > limit {
            return Err(Error::Overloaded {
                message: format!("more than {limit} threads on one connection"),
            });
        }
        self.made.set(self.made.get() + more);
        Ok(ThreadCount { made: Rc::clone(&self.made), count: more })
    }

    /// Makes the pool for calls that name no thread, once.
    pub(crate) fn make_pool(&self, count: usize, limit: usize) -> Result<()> {
        if self.pool.borrow().is_some() {
            return Err(Error::failed("this connection has a pool already"));
        }
        let counted = self.count(count, limit)?;
        *self.pool.borrow_mut() = Some((Lanes::new(count), counted));
        Ok(())
    }

    pub(crate) fn pool(&self) -> Option<Arc<Lanes>> {
        self.pool.borrow().as_ref().map(|(lanes, _)| Arc::clone(lanes))
    }

    /// Lets go of every capability.
    pub(super) fn clear(&self) {
        drop((self.peer_map.take(), self.own_map.take()));
        drop((self.callers.take(), self.asyncs.threads.take(), self.longs.threads.take()));
    }
}

/// The peer's threads that the calls of futures of one kind share.
pub(crate) struct SharedThreads {
    threads: RefCell<Vec<SharedThread>>,
    most: usize,
    next: Cell<u64>,
}

struct SharedThread {
    id: u64,
    pair: ThreadPair,
    /// How many calls it has.
    busy: Rc<Cell<usize>>,
}

impl SharedThreads {
    fn new(most: usize) -> SharedThreads {
        SharedThreads { threads: RefCell::default(), most, next: Cell::new(0) }
    }

    /// The least busy; none where one more should be made.
    pub(crate) fn thread(&self) -> Option<(ThreadPair, BusyGuard)> {
        let threads = self.threads.borrow();
        let thread = threads.iter().min_by_key(|thread| thread.busy.get())?;
        if thread.busy.get() > 0 && threads.len() < self.most {
            return None;
        }
        Some((thread.pair.add_ref(), BusyGuard::new(&thread.busy)))
    }

    /// A number for a thread that is about to be added.
    pub(crate) fn next(&self) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        id
    }

    pub(crate) fn add(&self, id: u64, pair: &ThreadPair) -> BusyGuard {
        let busy = Rc::new(Cell::new(0));
        let guard = BusyGuard::new(&busy);
        self.threads.borrow_mut().push(SharedThread { id, pair: pair.add_ref(), busy });
        guard
    }

    pub(crate) fn release(&self, id: u64) {
        let mut threads = self.threads.borrow_mut();
        let place = threads.iter().position(|thread| thread.id == id);
        let thread = place.map(|place| threads.swap_remove(place));
        drop(threads);
        drop(thread);
    }
}

/// Threads made for the peer, counted until this is dropped.
pub(crate) struct ThreadCount {
    made: Rc<Cell<usize>>,
    count: usize,
}

impl Drop for ThreadCount {
    fn drop(&mut self) {
        self.made.set(self.made.get().saturating_sub(self.count));
    }
}

/// A future's call on a shared thread, until its answer is there.
pub(crate) struct BusyGuard(Rc<Cell<usize>>);

impl BusyGuard {
    fn new(busy: &Rc<Cell<usize>>) -> BusyGuard {
        busy.set(busy.get() + 1);
        BusyGuard(Rc::clone(busy))
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
