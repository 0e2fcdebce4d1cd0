//! An object of the runtime as a client of capnp-rpc.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::capability::{Promise, RemotePromise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, PipelineHook, RequestHook, ResultsHook};
use capnp::{MessageSize, any_pointer};
use multiprocess::Capability;

use crate::answer::{Pending, Pipeline, Sent, UnansweredCall};
use crate::bridge::Bridge;
use crate::error::to_capnp;
use crate::message::{Message, Response};
use crate::streaming::Streaming;

/// An object, as all clients of it share it.
pub(crate) struct Peer {
    bridge: Bridge,
    /// What is passed on.
    object: Capability,
    /// What is called: the same, or for an object of this process that as if it were a peer's.
    called: Capability,
    /// The call that is to return the object, where the client was made before it has.
    pending: Option<Rc<Pending>>,
    streaming: RefCell<Streaming>,
}

impl Peer {
    pub(crate) fn new(
        bridge: &Bridge,
        object: Capability,
        called: Capability,
        pending: Option<Rc<Pending>>,
    ) -> Rc<Peer> {
        let (bridge, streaming) = (bridge.clone(), RefCell::default());
        let peer = Rc::new(Peer { bridge, object, called, pending, streaming });
        peer.bridge.add_peer(&peer);
        peer
    }

    /// The object, to be passed on.
    pub(crate) fn to_pass_on(&self) -> Capability {
        if let Some(pending) = &self.pending {
            pending.keep();
        }
        self.object.clone()
    }

    /// A call is made.
    pub(crate) fn begin(&self) -> Option<UnansweredCall> {
        self.pending.as_deref().map(Pending::begin)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.bridge.remove_peer(std::ptr::from_ref(self) as usize);
        if let Some(pending) = self.pending.take() {
            self.bridge.let_go(pending);
        }
    }
}

pub(crate) struct Client(Rc<Peer>);

impl Client {
    pub(crate) fn hook(peer: Rc<Peer>) -> Box<dyn ClientHook> {
        Box::new(Client(peer))
    }
}

impl ClientHook for Client {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Client::hook(Rc::clone(&self.0))
    }

    fn new_call(
        &self,
        interface: u64,
        method: u16,
        _size: Option<MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        let (peer, method, message) = (Rc::clone(&self.0), (interface, method), Message::new());
        Request::new(Box::new(Unsent { peer, method, message }))
    }

    fn call(
        &self,
        interface: u64,
        method: u16,
        params: Box<dyn ParamsHook>,
        mut results: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        let mut request = self.new_call(interface, method, None);
        if let Err(error) = params.get().and_then(|params| request.get().set_as(params)) {
            return Promise::err(error);
        }
        // The clients in the parameters may be the server's to drop.
        drop(params);
        let sent = request.hook.send();
        Promise::from_future(async move {
            let response = sent.promise.await?;
            results.get()?.set_as(response.get()?)
        })
    }

    fn get_brand(&self) -> usize {
        self.0.bridge.brand()
    }

    fn get_ptr(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }

    /// To an object of this process only when the calls have arrived that were made by the promise: later
    /// ones would overtake them.
    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        let pending = self.0.pending.as_ref()?;
        let resolved = pending.resolved_now()?;
        let peers = resolved.get_brand() == self.get_brand();
        (peers || !pending.is_called()).then_some(resolved)
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        let pending = self.0.pending.clone()?;
        Some(Promise::from_future(async move { pending.resolved().await }))
    }

    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        match self.0.pending.clone() {
            None => Promise::ok(()),
            Some(pending) => {
                Promise::from_future(async move { pending.resolved().await?.when_resolved().await })
            }
        }
    }
}

/// A call that is being written.
struct Unsent {
    peer: Rc<Peer>,
    method: (u64, u16),
    message: Message,
}

impl Unsent {
    /// Sends it now: later calls of the object come after it.
    fn start(self) -> Result<Rc<Sent>, capnp::Error> {
        let Unsent { peer, method, message } = self;
        let params = message.into_payload(&peer.bridge);
        let call = peer.called.call_raw(method, &params).map_err(to_capnp)?;
        let bridge = peer.bridge.clone();
        Ok(Sent::new(bridge, call, peer))
    }
}

impl RequestHook for Unsent {
    fn get(&mut self) -> any_pointer::Builder<'_> {
        // A message that is made here has a root.
        self.message.builder().expect("the root of a message that is being written")
    }

    fn get_brand(&self) -> usize {
        self.peer.bridge.brand()
    }

    fn send(self: Box<Self>) -> RemotePromise<any_pointer::Owned> {
        match self.start() {
            Ok(sent) => {
                let pipeline = any_pointer::Pipeline::new(Pipeline::of(Rc::clone(&sent)));
                let promise = Promise::from_future(async move {
                    let results = sent.answer().await?;
                    Ok(capnp::capability::Response::new(Box::new(Response(results))))
                });
                RemotePromise { promise, pipeline }
            }
            Err(error) => {
                let pipeline = any_pointer::Pipeline::new(Pipeline::broken(error.clone()));
                RemotePromise { promise: Promise::err(error), pipeline }
            }
        }
    }

    fn send_streaming(self: Box<Self>) -> Promise<(), capnp::Error> {
        let (peer, bytes) = (Rc::clone(&self.peer), self.message.bytes());
        if let Err(error) = peer.streaming.borrow().check() {
            return Promise::err(error);
        }
        if peer.bridge.has_ended() {
            // Nobody would notice the answers, which make room for more.
            return Promise::err(stopped());
        }
        match self.start() {
            Ok(sent) => {
                let wait = peer.streaming.borrow_mut().add(bytes);
                let bridge = peer.bridge.clone();
                let streamed = Streamed { peer, bytes, outcome: None };
                bridge.spawn(async move {
                    let mut streamed = streamed;
                    streamed.outcome = Some(sent.answer().await.map(drop));
                });
                Promise::from_future(wait)
            }
            Err(error) => Promise::err(error),
        }
    }

    /// Only between two calls of one connection of capnp-rpc's own.
    fn tail_send(
        self: Box<Self>,
    ) -> Option<(u32, Promise<(), capnp::Error>, Box<dyn PipelineHook>)> {
        None
    }
}

/// A streaming call under way. Its end makes room for others.
struct Streamed {
    peer: Rc<Peer>,
    bytes: usize,
    /// None if the driver went first.
    outcome: Option<Result<(), capnp::Error>>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(stopped()));
        let woken = self.peer.streaming.borrow_mut().answered(self.bytes, outcome);
        woken.wake();
    }
}

/// The error of streams of a bridge whose driver is gone.
fn stopped() -> capnp::Error {
    let reason = "the bridge to capnp-rpc has ended with its thread: keep its driver running as long as \
                  clients stream";
    capnp::Error::disconnected(reason.to_owned())
}
