//! Those who asked to be told of something.
//!
//! Each has a thread and a queue of its own, so that one who is slow holds up nobody. One whose process has died, or
//! who falls behind by more than the queue holds, is let go.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use multiprocess::{Error, Result};

/// How many events one may be behind.
const MOST_WAITING: usize = 1_000;

/// Those who are told of `E`s.
pub(crate) struct Subscribers<E> {
    /// What they are told of, for the log and the names of their threads.
    what: &'static str,
    list: Arc<Mutex<List<E>>>,
}

struct List<E> {
    next: u64,
    senders: BTreeMap<u64, SyncSender<E>>,
}

fn lock<E>(list: &Mutex<List<E>>) -> MutexGuard<'_, List<E>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Clone + Send + 'static> Subscribers<E> {
    /// Nobody.
    pub(crate) fn new(what: &'static str) -> Subscribers<E> {
        let list = List { next: 0, senders: BTreeMap::new() };
        Subscribers { what, list: Arc::new(Mutex::new(list)) }
    }

    /// Adds somebody, whom `call` tells. The handle's `disconnect`, and its end, end the subscription.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn add(
        &self,
        call: impl Fn(E) -> Result<()> + Send + 'static,
    ) -> Result<HandlerClient> {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let id = {
            let mut list = lock(&self.list);
            list.next += 1;
            let id = list.next;
            list.senders.insert(id, sender);
            id
        };
        // Taken out again on drop, also where the thread cannot be had.
        let subscription = Subscription { id, list: Arc::clone(&self.list) };
        let (what, list) = (self.what, Arc::clone(&self.list));
        thread::Builder::new()
            .name(format!("tell-{what}"))
            .spawn(move || {
                if let Err(error) = tell(&receiver, call) {
                    tracing::debug!("who was told of {what} is let go: {error}");
                    lock(&list).senders.remove(&id);
                }
            })
            .map_err(|error| {
                Error::failed(format!("cannot start a thread to tell of {what}: {error}"))
            })?;
        Ok(HandlerClient::new(subscription))
    }

    /// Tells all of them. Never waits.
    pub(crate) fn tell(&self, event: &E) {
        let what = self.what;
        lock(&self.list).senders.retain(|_, sender| match sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(_)) => {
                tracing::warn!(
                    "who is told of {what} is {MOST_WAITING} events behind, and is let go"
                );
                false
            }
        });
    }
}

/// Tells one of them until the subscription ends.
///
/// # Errors
/// The other side is gone. Another error concerns one call: it is logged.
fn tell<E>(events: &Receiver<E>, call: impl Fn(E) -> Result<()>) -> Result<()> {
    for event in events {
        match call(event) {
            Ok(()) => {}
            Err(error) if error.is_disconnect() => return Err(error),
            Err(error) => tracing::debug!("a callback failed: {error}"),
        }
    }
    Ok(())
}

/// The object behind a handle: it takes the subscriber out.
struct Subscription<E> {
    id: u64,
    list: Arc<Mutex<List<E>>>,
}

impl<E> Subscription<E> {
    fn end(&self) {
        lock(&self.list).senders.remove(&self.id);
    }
}

impl<E: Send + 'static> Handler for Subscription<E> {
    fn disconnect(&self) -> Result<()> {
        self.end();
        Ok(())
    }
}

impl<E> Drop for Subscription<E> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn each_is_told_in_order_until_it_disconnects() {
        let subscribers = Subscribers::new("numbers");
        let (first, told_first) = channel();
        let (second, told_second) = channel();
        let handle = subscribers
            .add(move |number| {
                first.send(number).unwrap();
                Ok(())
            })
            .unwrap();
        let _other = subscribers
            .add(move |number: u32| {
                second.send(number).unwrap();
                Ok(())
            })
            .unwrap();
        subscribers.tell(&1);
        subscribers.tell(&2);
        assert_eq!((told_first.recv_timeout(LONG), told_first.recv_timeout(LONG)), (Ok(1), Ok(2)));
        handle.disconnect().wait().unwrap();
        subscribers.tell(&3);
        // Its thread ends, and with it the sender.
        assert!(told_first.recv_timeout(LONG).is_err());
        for number in 1..=3 {
            assert_eq!(told_second.recv_timeout(LONG), Ok(number));
        }
    }

    #[test]
    fn a_handle_that_is_dropped_ends_it() {
        let subscribers = Subscribers::new("numbers");
        drop(subscribers.add(|_: u32| Ok(())).unwrap());
        assert!(lock(&subscribers.list).senders.is_empty());
    }

    #[test]
    fn one_who_is_slow_holds_up_nobody_and_is_let_go() {
        let subscribers = Subscribers::new("numbers");
        let (go, wait) = channel::<()>();
        let _slow = subscribers
            .add(move |_: usize| {
                let _ = wait.recv();
                Ok(())
            })
            .unwrap();
        let (sender, told) = channel();
        let _quick = subscribers
            .add(move |number| {
                sender.send(number).unwrap();
                Ok(())
            })
            .unwrap();
        // One is in the call, the others in the queue; one more does not fit.
        for number in 0..MOST_WAITING + 2 {
            subscribers.tell(&number);
            assert_eq!(told.recv_timeout(LONG), Ok(number));
        }
        assert_eq!(lock(&subscribers.list).senders.len(), 1);
        drop(go);
    }

    #[test]
    fn one_whose_process_is_gone_is_let_go() {
        let subscribers = Subscribers::new("numbers");
        let (sender, told) = channel::<u32>();
        let _gone = subscribers
            .add(move |number: u32| {
                let _ = &sender;
                assert_eq!(number, 1);
                Err(Error::disconnected("it has died"))
            })
            .unwrap();
        subscribers.tell(&1);
        let deadline = std::time::Instant::now() + LONG;
        while !lock(&subscribers.list).senders.is_empty() {
            assert!(std::time::Instant::now() < deadline, "it is still there");
            thread::yield_now();
        }
        assert!(told.recv_timeout(LONG).is_err(), "its callback is dropped");
    }
}
