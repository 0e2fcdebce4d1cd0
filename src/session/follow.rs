//! Streams over losses of the node: the one way over a gap, for whatever they follow.
//!
//! ```text
//!   away ──a connection──> up ──lost──> away          Event::Lost, once for each gap
//!                          │ └──the node shuts down──> ending ──the connection ends, or is ended──> away
//!                          └──the time has passed, an error, closed──> over
//! ```
//!
//! What a stream has is outside its lock while it is polled, because the program's code runs then.

mod connections;
mod templates;
mod tips;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::Stream;
use multiprocess::rt::Delay;
use multiprocess::{Disconnected, Error, Result};

use super::closing::Cut;
use super::handle::{Connecting, Source};
use super::node::Link;
use crate::blocking::Blocking;
use crate::mining::BlockTemplateClient;
use crate::mining::wait::Waited;

pub(super) use connections::ConnectionsPart;
pub(super) use templates::TemplatesPart;
pub(super) use tips::TipsPart;

/// Of a node that ends all waits.
const ENDS: &str = "the node is shutting down";
/// After this time its connection is ended from this side. Bitcoin Core takes a few seconds to write its state, and
/// then ends it itself.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What a stream of a session tells.
#[derive(Debug, Clone)]
pub enum Event<T> {
    /// The next of what the stream follows.
    Next(T),
    /// The node is lost, and why: what is told next does not follow on what was told before. The session
    /// connects again.
    Lost(Error),
}

/// What a stream follows over one connection after the other.
pub(super) trait Part: Send + 'static {
    type Item;

    /// Begins over a new connection, with nothing of the one before.
    fn begin(&mut self, link: &Link);

    /// The next item over this connection.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Waited<Self::Item>>;

    /// Drops what it has of this connection, which ends its wait in the node.
    fn end(&mut self);

    /// See [`Follow::live`].
    fn live(&self) -> usize {
        0
    }
}

/// A stream that goes on over losses of the node, from [`NodeSession::tips`](super::NodeSession::tips) and its
/// like; in a `for` loop it is an iterator that blocks.
///
/// It keeps the session. Dropping it ends its wait in the node, and nothing else.
#[must_use = "streams do nothing unless polled"]
pub struct Follow<T: 'static> {
    shared: Arc<Shared<T>>,
    /// Behind `shared`, so that its wait in the node ends before the session does, if this is the last to hold that.
    source: Arc<dyn Source>,
}

/// What the session can end.
struct Shared<T: 'static>(Mutex<State<T>>);

struct State<T: 'static> {
    /// None while it is polled, and when it is over.
    followed: Option<Followed<T>>,
    /// The session has ended.
    cut: bool,
    /// Of who waits, for the end of the session.
    waker: Option<Waker>,
}

struct Followed<T: 'static> {
    phase: Phase,
    part: Box<dyn Part<Item = T>>,
    /// The present gap was told, or nothing yet.
    told: bool,
}

enum Phase {
    /// None before it is asked for the first item.
    Away(Option<Connecting>),
    Up(Link),
    /// The node has said that it ends. Its connection usually does soon, and is good for other calls until then; but
    /// if it is a node behind the peer, not at all.
    Ending(Link, Disconnected, Delay),
    Over,
}

impl<T: 'static> Follow<T> {
    pub(super) fn begin(source: Arc<dyn Source>, part: Box<dyn Part<Item = T>>) -> Follow<T> {
        let followed = Some(Followed { phase: Phase::Away(None), part, told: true });
        let shared = Arc::new(Shared(Mutex::new(State { followed, cut: false, waker: None })));
        source.closing().add(&shared);
        Follow { shared, source }
    }
}

impl Follow<BlockTemplateClient> {
    /// How many templates of the present connection the node keeps for this stream: those on which the program
    /// has handles, and its latest. See [`Updates::live`](crate::mining::Updates::live).
    pub fn live(&self) -> usize {
        self.shared.lock().followed.as_ref().map_or(0, |followed| followed.part.live())
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Cut for Shared<T> {
    fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        // If it is being polled just now, who polls it ends it.
        let (followed, waker) = (state.followed.take(), state.waker.take());
        drop(state);
        // Both may run code of the program, whose panics are not to keep other streams from ending.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(followed)));
        if let Some(waker) = waker {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

impl<T> Followed<T> {
    fn end(&mut self) {
        self.phase = Phase::Over;
        self.part.end();
    }

    /// The item for a loss, if this gap was not told yet.
    fn lose(&mut self, phase: Phase, why: Error) -> Option<Event<T>> {
        self.phase = phase;
        self.part.end();
        (!std::mem::replace(&mut self.told, true)).then_some(Event::Lost(why))
    }

    fn poll(
        &mut self,
        source: &dyn Source,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event<T>>>> {
        loop {
            let lost = match &mut self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Away(connecting) => {
                    let connecting = connecting.get_or_insert_with(|| source.connected());
                    match ready!(connecting.as_mut().poll(context)) {
                        Ok(link) => {
                            self.part.begin(&link);
                            self.phase = Phase::Up(link);
                        }
                        Err(why) => {
                            self.end();
                            return Poll::Ready(Some(Err(why)));
                        }
                    }
                    None
                }
                Phase::Ending(link, end, late) => {
                    if Pin::new(end).poll(context).is_pending() {
                        ready!(Pin::new(late).poll(context));
                        link.connection.disconnect_because(ENDS);
                    }
                    self.phase = Phase::Away(None);
                    None
                }
                Phase::Up(link) => match ready!(self.part.poll(context)) {
                    Waited::Next(item) => {
                        self.told = false;
                        return Poll::Ready(Some(Ok(Event::Next(item))));
                    }
                    Waited::Failed(why) if why.is_disconnect() => {
                        // Also if only the node behind this peer is gone: what was made over the connection
                        // is of no use then.
                        link.connection.disconnect_because(reason_of(&why));
                        self.lose(Phase::Away(None), why)
                    }
                    Waited::ShutDown => {
                        let end = link.connection.disconnected();
                        let ending = Phase::Ending(link.clone(), end, Delay::new(ENDS_WITHIN));
                        self.lose(ending, Error::disconnected(ENDS))
                    }
                    Waited::Failed(error) => {
                        self.end();
                        return Poll::Ready(Some(Err(error)));
                    }
                    Waited::TimedOut | Waited::Over => {
                        self.end();
                        return Poll::Ready(None);
                    }
                },
            };
            if let Some(lost) = lost {
                return Poll::Ready(Some(Ok(lost)));
            }
        }
    }
}

impl<T> Stream for Follow<T> {
    type Item = Result<Event<T>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.shared.lock();
        let Some(mut followed) = state.followed.take() else { return Poll::Ready(None) };
        // Before it is polled: the session may end meanwhile.
        state.waker = Some(context.waker().clone());
        drop(state);
        let polled = followed.poll(&*self.source, context);
        let mut state = self.shared.lock();
        if state.cut {
            drop(state);
            return Poll::Ready(None);
        }
        if polled.is_ready() {
            state.waker = None;
        }
        state.followed = Some(followed);
        polled
    }
}

/// What a loss says of itself.
fn reason_of(why: &Error) -> String {
    match why {
        Error::Disconnected { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

impl<T> IntoIterator for Follow<T> {
    type Item = Result<Event<T>>;
    type IntoIter = Blocking<Follow<T>>;

    fn into_iter(self) -> Blocking<Follow<T>> {
        Blocking::new(self)
    }
}

impl<T> fmt::Debug for Follow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}
