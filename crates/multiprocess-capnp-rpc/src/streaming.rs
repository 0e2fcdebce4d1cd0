//! Flow control of one client's streaming calls, as capnp-rpc has it for its own connections.

use std::future::Future;

use futures_channel::oneshot;

/// How many bytes of parameters may be under way, and one call more, however large.
const WINDOW: usize = 64 * 1024;
/// How many calls may be under way, as with the runtime's own streams: those of a few bytes would be more than a peer
/// serves at once.
const CALLS: usize = 64;

/// The streaming calls of one client.
#[derive(Default)]
pub(crate) struct Streaming {
    calls: usize,
    bytes: usize,
    largest: usize,
    waiting: Vec<oneshot::Sender<()>>,
    /// The first that failed: later ones are not sent.
    failed: Option<capnp::Error>,
}

impl Streaming {
    pub(crate) fn check(&self) -> Result<(), capnp::Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn is_full(&self) -> bool {
        self.calls >= CALLS || self.bytes >= WINDOW + self.largest
    }

    /// A call was sent. The result ends when another one may be.
    pub(crate) fn add(
        &mut self,
        bytes: usize,
    ) -> impl Future<Output = Result<(), capnp::Error>> + use<> {
        self.calls += 1;
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
        let wait = self.is_full().then(|| {
            let (sender, room) = oneshot::channel();
            self.waiting.push(sender);
            room
        });
        async move {
            if let Some(room) = wait {
                // Also if the stream is gone: then nothing will be sent.
                let _ = room.await;
            }
            Ok(())
        }
    }

    /// A call has its answer. Returns who may go on, to be woken while nothing is borrowed.
    pub(crate) fn answered(&mut self, bytes: usize, outcome: Result<(), capnp::Error>) -> Woken {
        self.calls -= 1;
        self.bytes -= bytes;
        if let Err(error) = outcome {
            self.failed.get_or_insert(error);
        }
        let goes_on = self.failed.is_some() || !self.is_full();
        Woken(if goes_on { std::mem::take(&mut self.waiting) } else { Vec::new() })
    }
}

/// Those who may go on.
pub(crate) struct Woken(Vec<oneshot::Sender<()>>);

impl Woken {
    pub(crate) fn wake(self) {
        for sender in self.0 {
            let _ = sender.send(());
        }
    }
}
