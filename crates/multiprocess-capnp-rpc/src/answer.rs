//! A call that was sent: its answer, and what can be called in it before it is there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use capnp::private::capability::{ClientHook, PipelineHook, PipelineOp};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use multiprocess::Capability;
use multiprocess::rt::RawCall;

use crate::bridge::{Bridge, broken};
use crate::client::{Client, Peer};
use crate::error::to_capnp;
use crate::message::Message;

type Answer = Result<Rc<Message>, capnp::Error>;

/// A call that was sent. When the last of those goes that may need its answer, which are the promise, the
/// pipeline and the clients of that, the call is cancelled.
pub(crate) struct Sent {
    bridge: Bridge,
    call: Rc<RawCall>,
    answer: Shared<LocalBoxFuture<'static, Answer>>,
    /// The objects in the results that were asked for before the results were there.
    promises: RefCell<HashMap<Vec<u16>, Promised>>,
    /// The driver keeps it until it has its answer.
    kept: Cell<bool>,
    /// Its object: if it is itself in results that are to come, their call must go on.
    _target: Rc<Peer>,
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
        let (waits, imports) = (Rc::clone(&call), bridge.clone());
        let unanswered = target.begin();
        let answer = async move {
            let _unanswered = unanswered;
            let results = waits.answer().await.map_err(to_capnp)?;
            Ok(Rc::new(Message::arrived(&imports, results)))
        };
        let answer = answer.boxed_local().shared();
        let (promises, kept) = (RefCell::default(), Cell::new(false));
        Rc::new(Sent { bridge, call, answer, promises, kept, _target: target })
    }

    pub(crate) fn answer(&self) -> Shared<LocalBoxFuture<'static, Answer>> {
        self.answer.clone()
    }

    /// The client of an object in the results.
    fn client(self: &Rc<Self>, path: Vec<u16>) -> Box<dyn ClientHook> {
        match self.promised(&path) {
            Some(Promised { object, unanswered }) => {
                let pending = Pending { sent: Rc::clone(self), path, unanswered };
                Client::hook(Peer::new(&self.bridge, object.clone(), object, Some(pending)))
            }
            // The results are there.
            None => match self.answer().now_or_never() {
                Some(answer) => found(&answer, &path).unwrap_or_else(broken),
                None => broken(capnp::Error::failed("the call has no answer".to_owned())),
            },
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
#[derive(Clone)]
pub(crate) struct Pending {
    sent: Rc<Sent>,
    path: Vec<u16>,
    unanswered: Unanswered,
}

impl Pending {
    /// The object, if the results are there. A client whose calls fail if it is not in them.
    pub(crate) fn resolved_now(&self) -> Option<Box<dyn ClientHook>> {
        let answer = self.sent.answer.peek()?;
        Some(found(answer, &self.path).unwrap_or_else(broken))
    }

    /// Whether calls of the object are under way to it by the promise.
    pub(crate) fn is_called(&self) -> bool {
        self.unanswered.0.get() > 0
    }

    /// The object is passed on before it is there: the call goes on, whoever lets go of it here.
    pub(crate) fn keep(&self) {
        let sent = Rc::clone(&self.sent);
        if sent.answer.peek().is_some() || sent.kept.replace(true) {
            return;
        }
        self.sent.bridge.spawn(Box::pin(async move {
            let _ = sent.answer().await;
        }));
    }

    /// A call of the object is made by the promise.
    pub(crate) fn begin(&self) -> UnansweredCall {
        let Unanswered(count) = &self.unanswered;
        count.set(count.get() + 1);
        UnansweredCall(self.unanswered.clone())
    }

    pub(crate) async fn resolved(&self) -> Result<Box<dyn ClientHook>, capnp::Error> {
        found(&self.sent.answer().await, &self.path)
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
