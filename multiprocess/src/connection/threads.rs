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

/// One of the threads that the calls of futures share.
struct AsyncThread {
    id: u64,
    pair: ThreadPair,
    /// How many calls it has.
    busy: Rc<Cell<usize>>,
}

#[derive(Default)]
pub(crate) struct Threads {
    peer_map: RefCell<Option<Box<dyn ClientHook>>>,
    own_map: RefCell<Option<Box<dyn ClientHook>>>,
    /// For each thread of this process that has called: by its inbox.
    callers: RefCell<HashMap<u64, ThreadPair>>,
    asyncs: RefCell<Vec<AsyncThread>>,
    next_async: Cell<u64>,
    /// Threads made for the peer.
    made: Rc<Cell<usize>>,
    pool: RefCell<Option<(Arc<Lanes>, ThreadCount)>>,
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

    /// The least busy of the threads for futures' calls; none where one more should be made.
    pub(crate) fn async_thread(&self) -> Option<(ThreadPair, BusyGuard)> {
        let asyncs = self.asyncs.borrow();
        let thread = asyncs.iter().min_by_key(|thread| thread.busy.get())?;
        if thread.busy.get() > 0 && asyncs.len() < ASYNC_THREADS {
            return None;
        }
        Some((thread.pair.add_ref(), BusyGuard::new(&thread.busy)))
    }

    /// A number for a thread that is about to be added.
    pub(crate) fn next_async(&self) -> u64 {
        let id = self.next_async.get();
        self.next_async.set(id + 1);
        id
    }

    pub(crate) fn add_async_thread(&self, id: u64, pair: &ThreadPair) -> BusyGuard {
        let busy = Rc::new(Cell::new(0));
        let guard = BusyGuard::new(&busy);
        self.asyncs.borrow_mut().push(AsyncThread { id, pair: pair.add_ref(), busy });
        guard
    }

    pub(crate) fn release_async(&self, id: u64) {
        let mut asyncs = self.asyncs.borrow_mut();
        let place = asyncs.iter().position(|thread| thread.id == id);
        let thread = place.map(|place| asyncs.swap_remove(place));
        drop(asyncs);
        drop(thread);
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
        drop((self.callers.take(), self.asyncs.take()));
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
