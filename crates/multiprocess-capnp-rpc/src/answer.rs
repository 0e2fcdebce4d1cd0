//! A call that was sent: its answer, and what can be called in it before it is there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use capnp::private::capability::{ClientHook, PipelineHook, PipelineOp};
use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared, select};
use multiprocess::rt::RawCall;
use multiprocess::{Capability, Error};

use crate::bridge::{Bridge, broken};
use crate::client::{Client, Peer};
use crate::error::to_capnp;
use crate::message::Message;

type Answer = Result<Rc<Message>, capnp::Error>;

/// A call that was sent. When the last of those goes that may need its answer, which are the promise, the
/// pipeline and the clients of that, the call is cancelled.
pub(crate) struct Sent {
    bridge: Bridge,
    /// The only hold on it: without this the answer is that the call was cancelled.
    call: Rc<RawCall>,
    answer: Shared<LocalBoxFuture<'static, Answer>>,
    /// The objects in the results that were asked for before the results were there.
    promises: RefCell<HashMap<Vec<u16>, Promised>>,
    /// The driver keeps it until it has its answer.
    kept: Cell<bool>,
    /// The driver waits for the answer until this is dropped.
    watched: RefCell<Option<oneshot::Sender<Infallible>>>,
}

/// An object in results that are to come, the same each time, so that calls of it keep their order.
#[derive(Clone)]
struct Promised {
    object: Capability,
    unanswered: Unanswered,
}

/// How many calls of such an object have no answer.
#[derive(Clone, Default)]
struct Unanswered(Rc<Cell<usize>>);

/// One of them.
pub(crate) struct UnansweredCall(Unanswered);

impl Drop for UnansweredCall {
    fn drop(&mut self) {
        let Unanswered(count) = &self.0;
        count.set(count.get() - 1);
    }
}

impl Sent {
    pub(crate) fn new(bridge: Bridge, call: RawCall, target: Rc<Peer>) -> Rc<Sent> {
        let call = Rc::new(call);
        let (waits, imports) = (Rc::downgrade(&call), bridge.clone());
        let unanswered = target.begin();
        let answer = async move {
            // Its object, until the answer is there: if that is itself in results to come, their call must go on.
            let (_unanswered, _target) = (unanswered, target);
            let answer = poll_fn(|cx| match waits.upgrade() {
                Some(call) => call.poll_answer(cx),
                None => Poll::Ready(Err(Error::Cancelled)),
            });
            let results = answer.await.map_err(to_capnp)?;
            Ok(Rc::new(Message::arrived(&imports, results)))
        };
        let answer = answer.boxed_local().shared();
        let (promises, kept, watched) = (RefCell::default(), Cell::new(false), RefCell::default());
        Rc::new(Sent { bridge, call, answer, promises, kept, watched })
    }

    pub(crate) fn answer(&self) -> Shared<LocalBoxFuture<'static, Answer>> {
        self.answer.clone()
    }

    /// The client of an object in the results.
    fn client(self: &Rc<Self>, path: Vec<u16>) -> Box<dyn ClientHook> {
        match self.promised(&path) {
            Some(Promised { object, unanswered }) => {
                self.watch();
                let pending = Some(Pending::new(Rc::clone(self), path, unanswered));
                Client::hook(Peer::new(&self.bridge, object.clone(), object, pending))
            }
            // The results are there.
            None => match self.answer().now_or_never() {
                Some(answer) => found(&answer, &path).unwrap_or_else(broken),
                None => broken(capnp::Error::failed("the call has no answer".to_owned())),
            },
        }
    }

    /// Has the driver wait for the answer, too: nobody else may, and the call's object is let go with the answer.
    fn watch(&self) {
        let mut watched = self.watched.borrow_mut();
        if watched.is_none() {
            let (alive, dropped) = oneshot::channel();
            *watched = Some(alive);
            self.bridge.spawn(select(self.answer(), dropped).map(drop));
        }
    }

    fn promised(&self, path: &[u16]) -> Option<Promised> {
        let known = self.promises.borrow().get(path).cloned();
        if known.is_some() || self.answer.peek().is_some() {
            return known;
        }
        let object = self.call.promise(path)?;
        let promised = Promised { object, unanswered: Unanswered::default() };
        self.promises.borrow_mut().insert(path.to_vec(), promised.clone());
        Some(promised)
    }
}

/// The client at a path of pointers in the results.
fn found(answer: &Answer, path: &[u16]) -> Result<Box<dyn ClientHook>, capnp::Error> {
    let results = answer.as_ref().map_err(Clone::clone)?;
    let ops: Vec<_> = path.iter().map(|index| PipelineOp::GetPointerField(*index)).collect();
    results.reader()?.get_pipelined_cap(&ops)
}

/// An object in the results of a call that may not be there yet.
pub(crate) struct Pending {
    stage: RefCell<Stage>,
    unanswered: Unanswered,
}

enum Stage {
    Waits {
        sent: Rc<Sent>,
        path: Vec<u16>,
    },
    /// The results are there, and not kept: the object, or why there is none.
    Is(Result<Box<dyn ClientHook>, capnp::Error>),
}

impl Pending {
    fn new(sent: Rc<Sent>, path: Vec<u16>, unanswered: Unanswered) -> Rc<Pending> {
        Rc::new(Pending { stage: RefCell::new(Stage::Waits { sent, path }), unanswered })
    }

    /// Looks whether the results are there.
    fn settle(&self) {
        let found = match &*self.stage.borrow() {
            Stage::Waits { sent, path } => sent.answer.peek().map(|answer| found(answer, path)),
            Stage::Is(_) => None,
        };
        if let Some(found) = found {
            let before = self.stage.replace(Stage::Is(found));
            drop(before);
        }
    }

    /// The object, if the results are there. A client whose calls fail if it is not in them.
    pub(crate) fn resolved_now(&self) -> Option<Box<dyn ClientHook>> {
        self.settle();
        match &*self.stage.borrow() {
            Stage::Waits { .. } => None,
            Stage::Is(found) => Some(found.clone().unwrap_or_else(broken)),
        }
    }

    /// Whether calls of the object are under way to it by the promise.
    pub(crate) fn is_called(&self) -> bool {
        self.unanswered.0.get() > 0
    }

    /// The object is passed on before it is there: the call goes on, whoever lets go of it here.
    pub(crate) fn keep(&self) {
        self.settle();
        if let Stage::Waits { sent, .. } = &*self.stage.borrow()
            && !sent.kept.replace(true)
        {
            let kept = Rc::clone(sent);
            sent.bridge.spawn(async move {
                let _ = kept.answer().await;
            });
        }
    }

    /// A call of the object is made by the promise.
    pub(crate) fn begin(&self) -> UnansweredCall {
        self.settle();
        let Unanswered(count) = &self.unanswered;
        count.set(count.get() + 1);
        UnansweredCall(self.unanswered.clone())
    }

    pub(crate) async fn resolved(&self) -> Result<Box<dyn ClientHook>, capnp::Error> {
        let (sent, path) = match &*self.stage.borrow() {
            Stage::Waits { sent, path } => (Rc::clone(sent), path.clone()),
            Stage::Is(found) => return found.clone(),
        };
        found(&sent.answer().await, &path)
    }
}

/// What is called in the results of a call.
pub(crate) enum Pipeline {
    Of(Rc<Sent>),
    /// The call was not sent.
    Broken(capnp::Error),
}

impl Pipeline {
    pub(crate) fn of(sent: Rc<Sent>) -> Box<dyn PipelineHook> {
        Box::new(Pipeline::Of(sent))
    }

    pub(crate) fn broken(error: capnp::Error) -> Box<dyn PipelineHook> {
        Box::new(Pipeline::Broken(error))
    }
}

impl PipelineHook for Pipeline {
    fn add_ref(&self) -> Box<dyn PipelineHook> {
        match self {
            Pipeline::Of(sent) => Pipeline::of(Rc::clone(sent)),
            Pipeline::Broken(error) => Pipeline::broken(error.clone()),
        }
    }

    fn get_pipelined_cap(&self, ops: &[PipelineOp]) -> Box<dyn ClientHook> {
        let fields = ops.iter().filter_map(|op| match op {
            PipelineOp::GetPointerField(index) => Some(*index),
            PipelineOp::Noop => None,
        });
        match self {
            Pipeline::Of(sent) => sent.client(fields.collect()),
            Pipeline::Broken(error) => broken(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use multiprocess::Connection;
    use multiprocess::rt::{RawMessage, RawPayload, bootstrap_raw};

    use super::*;

    #[test]
    fn an_object_that_is_there_keeps_neither_its_call_nor_the_results() {
        let (bridge, _driver) = Bridge::new();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours).unwrap();
        let object = bootstrap_raw(&connection).unwrap();
        let params = RawPayload { message: RawMessage::new_default(), capabilities: Vec::new() };
        let call = object.call_raw((1, 0), &params).unwrap();
        let peer = Peer::new(&bridge, object.clone(), object, None);
        let sent = Sent::new(bridge, call, peer);
        let promised = sent.client(vec![0]);
        let weak = Rc::downgrade(&sent);
        assert!(promised.get_resolved().is_none());
        // It answers only now, that it serves nothing.
        let _peer = Connection::new(theirs).unwrap();
        assert!(futures_executor::block_on(sent.answer()).is_err());
        drop(sent);
        assert!(weak.upgrade().is_some());
        assert!(promised.get_resolved().is_some());
        assert!(weak.upgrade().is_none());
    }
}
