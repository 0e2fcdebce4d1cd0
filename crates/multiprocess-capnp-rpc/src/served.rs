//! Clients of capnp-rpc as objects of the runtime: their calls come from any thread, and go to the one that the
//! client lives on.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use capnp::private::capability::ClientHook;
use multiprocess::Error;
use multiprocess::rt::{RawAnswer, RawObject, RawPayload};

use crate::queue::Queue;

/// A client of capnp-rpc as the runtime has it.
pub(crate) struct ServedHook {
    key: u64,
    queue: Arc<Queue>,
}

impl ServedHook {
    /// What a client is when the bridge serves no more: an object whose calls say so.
    pub(crate) fn of_nobody(queue: &Arc<Queue>) -> Arc<ServedHook> {
        Arc::new(ServedHook { key: u64::MAX, queue: Arc::clone(queue) })
    }

    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    /// Whether it is served by the bridge with this queue.
    pub(crate) fn is_of(&self, queue: &Arc<Queue>) -> bool {
        Arc::ptr_eq(&self.queue, queue)
    }
}

impl RawObject for ServedHook {
    fn name(&self) -> &'static str {
        "capnp-rpc client"
    }

    fn call(&self, method: (u64, u16), params: RawPayload) -> RawAnswer {
        Box::pin(self.queue.call(self.key, method, params))
    }

    /// The queue drops the server behind the calls that came before, and before those that come after.
    fn drops_in_order(&self) -> bool {
        true
    }
}

impl Drop for ServedHook {
    fn drop(&mut self) {
        self.queue.release(self.key);
    }
}

/// The error of calls of a bridge whose driver is gone.
pub(crate) fn gone() -> Error {
    Error::disconnected(
        "the bridge to capnp-rpc has ended with its thread: keep its driver running as long as its \
         objects are called",
    )
}

/// The clients that a bridge serves.
#[derive(Default)]
pub(crate) struct Objects {
    next: u64,
    by_key: HashMap<u64, Entry>,
    /// The same clients by brand and address, so that one client is one object.
    by_place: HashMap<(usize, usize), u64>,
}

struct Entry {
    hook: Box<dyn ClientHook>,
    object: Weak<ServedHook>,
}

impl Objects {
    /// The object as which a client is served.
    pub(crate) fn serve(
        &mut self,
        hook: Box<dyn ClientHook>,
        queue: &Arc<Queue>,
    ) -> Arc<ServedHook> {
        let place = place(&*hook);
        let known = self.by_place.get(&place).and_then(|key| self.by_key.get(key));
        if let Some(object) = known.and_then(|entry| entry.object.upgrade()) {
            return object;
        }
        let key = self.next;
        self.next += 1;
        let object = Arc::new(ServedHook { key, queue: Arc::clone(queue) });
        self.by_key.insert(key, Entry { hook, object: Arc::downgrade(&object) });
        self.by_place.insert(place, key);
        object
    }

    pub(crate) fn get(&self, key: u64) -> Option<Box<dyn ClientHook>> {
        self.by_key.get(&key).map(|entry| entry.hook.add_ref())
    }

    /// Takes a client out, for the caller to drop.
    #[must_use = "it is to be dropped while nothing is borrowed: its server's destructor is the user's"]
    pub(crate) fn release(&mut self, key: u64) -> Option<Box<dyn ClientHook>> {
        let Entry { hook, .. } = self.by_key.remove(&key)?;
        let place = place(&*hook);
        // It may be served again already, as another object.
        if self.by_place.get(&place) == Some(&key) {
            self.by_place.remove(&place);
        }
        Some(hook)
    }

    /// Takes all out, for the caller to drop.
    #[must_use = "they are to be dropped while nothing is borrowed, as one that is released"]
    pub(crate) fn take_all(&mut self) -> Vec<Box<dyn ClientHook>> {
        self.by_place.clear();
        self.by_key.drain().map(|(_, Entry { hook, .. })| hook).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}

fn place(hook: &dyn ClientHook) -> (usize, usize) {
    (hook.get_brand(), hook.get_ptr())
}
