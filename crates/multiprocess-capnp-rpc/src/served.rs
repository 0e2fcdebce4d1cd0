//! Clients of capnp-rpc as objects of the runtime: their calls come from any thread, and go to the one that the
//! client lives on.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use capnp::private::capability::ClientHook;
use futures_channel::mpsc::UnboundedSender;
use futures_channel::oneshot;
use multiprocess::rt::{RawAnswer, RawObject, RawPayload};
use multiprocess::{Error, Result};

/// What other threads have the bridge's thread do, in this order.
pub(crate) enum Command {
    /// Call a client.
    Call(ServedCall),
    /// Drop a client: nobody can call it any more.
    Release(u64),
}

/// A call of a client.
pub(crate) struct ServedCall {
    pub(crate) key: u64,
    pub(crate) method: (u64, u16),
    pub(crate) params: RawPayload,
    /// Closed when the call is cancelled.
    pub(crate) reply: oneshot::Sender<Result<RawPayload>>,
}

/// A client of capnp-rpc as the runtime has it.
pub(crate) struct ServedHook {
    key: u64,
    sender: UnboundedSender<Command>,
}

impl ServedHook {
    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    /// Whether it is served by the bridge with this sender.
    pub(crate) fn is_of(&self, sender: &UnboundedSender<Command>) -> bool {
        self.sender.same_receiver(sender)
    }
}

impl RawObject for ServedHook {
    fn name(&self) -> &'static str {
        "capnp-rpc client"
    }

    fn call(&self, method: (u64, u16), params: RawPayload) -> RawAnswer {
        let (reply, answer) = oneshot::channel();
        let call = ServedCall { key: self.key, method, params, reply };
        // If the bridge's thread has ended, the reply is dropped with the call.
        let _ = self.sender.unbounded_send(Command::Call(call));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(gone())) })
    }
}

impl Drop for ServedHook {
    fn drop(&mut self) {
        let _ = self.sender.unbounded_send(Command::Release(self.key));
    }
}

fn gone() -> Error {
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
        sender: &UnboundedSender<Command>,
    ) -> Arc<ServedHook> {
        let place = place(&*hook);
        let known = self.by_place.get(&place).and_then(|key| self.by_key.get(key));
        if let Some(object) = known.and_then(|entry| entry.object.upgrade()) {
            return object;
        }
        let key = self.next;
        self.next += 1;
        let object = Arc::new(ServedHook { key, sender: sender.clone() });
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

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}

fn place(hook: &dyn ClientHook) -> (usize, usize) {
    (hook.get_brand(), hook.get_ptr())
}
