//! The engine's network layer: messages in and out as it sees them.
//!
//! Everything here is under the connection's lock. Bytes never are: messages come parsed from
//! [`frame`](super::frame) and leave through [`outbox`](super::outbox), so that each wake costs
//! one read and each round one write.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator, Reader};
use capnp::serialize::OwnedSegments;
use capnp_rpc::rpc_capnp::{message, return_};
use capnp_rpc::{Connection, IncomingMessage, OutgoingMessage, VatNetwork};
use futures_channel::oneshot;

use crate::Error;
use crate::server::Token;

/// A message as it came from the socket.
pub(super) type Incoming = Reader<OwnedSegments>;

/// The messages of one connection on their way in and out.
#[derive(Default)]
pub(super) struct Net {
    incoming: RefCell<VecDeque<Incoming>>,
    receiver: RefCell<Option<Waker>>,
    outgoing: RefCell<Vec<Rc<Builder<HeapAllocator>>>>,
    /// Set when nothing more will come: the reason.
    end: RefCell<Option<Error>>,
    /// Set when the engine has given the connection up: its reason.
    given_up: RefCell<Option<Error>>,
    shutdown: RefCell<Option<oneshot::Sender<()>>>,
    /// The calls of the peer that this side has not answered yet, by question id.
    open: RefCell<HashMap<u32, OpenCall>>,
    /// The question id of the call that is being handed to the engine now.
    current: Cell<Option<u32>>,
}

/// A call of the peer's that has no answer yet.
#[derive(Default)]
struct OpenCall {
    token: Option<Arc<Token>>,
    /// The peer's Finish that came early. capnp-rpc would drop the call's promise on it and then
    /// never free the slot, so it is kept back until the Return has gone out.
    finish: Option<Incoming>,
}

impl Net {
    /// Hands over messages that have arrived.
    pub(super) fn receive(&self, messages: impl IntoIterator<Item = Incoming>) -> Vec<Arc<Token>> {
        let mut cancelled = Vec::new();
        for message in messages {
            if let Some(message) = self.hold_early_finish(message, &mut cancelled) {
                self.incoming.borrow_mut().push_back(message);
            }
        }
        self.wake();
        cancelled
    }

    fn hold_early_finish(
        &self,
        incoming: Incoming,
        cancelled: &mut Vec<Arc<Token>>,
    ) -> Option<Incoming> {
        let question = match incoming.get_root::<message::Reader<'_>>().map(|root| root.which()) {
            Ok(Ok(message::Finish(Ok(finish)))) => finish.get_question_id(),
            Ok(Ok(message::Call(Ok(call)))) => {
                // Opened on arrival, so that a Finish in the same read finds it.
                self.open.borrow_mut().entry(call.get_question_id()).or_default();
                return Some(incoming);
            }
            _ => return Some(incoming),
        };
        let mut open = self.open.borrow_mut();
        let Some(call) = open.get_mut(&question) else { return Some(incoming) };
        cancelled.extend(call.token.clone());
        call.finish = Some(incoming);
        None
    }

    /// Ties the call that is just being handed to the engine to the token that its cancelling
    /// fires. None where the call reaches its object later (through a promise).
    pub(super) fn bind_token(&self, token: &Arc<Token>) {
        let Some(question) = self.current.get() else { return };
        if let Some(call) = self.open.borrow_mut().get_mut(&question) {
            call.token = Some(Arc::clone(token));
            if call.finish.is_some() {
                token.fire_quietly();
            }
        }
    }

    fn returned(&self, question: u32) {
        let call = self.open.borrow_mut().remove(&question);
        if let Some(finish) = call.and_then(|call| call.finish) {
            self.incoming.borrow_mut().push_front(finish);
            self.wake();
        }
    }

    /// No more will come, for this reason.
    pub(super) fn end(&self, error: &Error) {
        self.end.borrow_mut().get_or_insert_with(|| error.clone());
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.receiver.take() {
            waker.wake();
        }
    }

    /// Why the connection is over, if it is: the end of the stream, an Abort of the peer's, or a
    /// message that the engine could not accept.
    pub(super) fn over(&self) -> Option<Error> {
        self.end.borrow().clone().or_else(|| self.given_up.borrow().clone())
    }

    fn give_up(&self, reason: &capnp::Error) {
        let text = &reason.extra;
        let error = match text.strip_prefix("remote exception: ") {
            Some(text) => {
                Error::disconnected(format!("the other side gave the connection up: {text}"))
            }
            None if reason.kind == capnp::ErrorKind::Disconnected => {
                Error::disconnected(text.clone())
            }
            None => Error::PeerMisbehaved { problem: reason.to_string() },
        };
        self.given_up.borrow_mut().get_or_insert(error);
    }

    pub(super) fn take_outgoing(&self) -> Vec<Rc<Builder<HeapAllocator>>> {
        self.outgoing.take()
    }

    pub(super) fn open_calls(&self) -> usize {
        self.open.borrow().len()
    }

    pub(super) fn clear(&self) {
        let incoming = self.incoming.take();
        drop(incoming);
        self.open.take();
    }
}

/// The engine's view of the one peer.
pub(super) struct Network {
    net: Rc<Net>,
    shutdown: Option<oneshot::Receiver<()>>,
}

impl Network {
    pub(super) fn new(net: Rc<Net>) -> Network {
        let (sender, receiver) = oneshot::channel();
        *net.shutdown.borrow_mut() = Some(sender);
        Network { net, shutdown: Some(receiver) }
    }
}

impl VatNetwork<()> for Network {
    fn connect(&mut self, _peer: ()) -> Option<Box<dyn Connection<()>>> {
        Some(Box::new(Peer(Rc::clone(&self.net))))
    }

    fn accept(&mut self) -> Promise<Box<dyn Connection<()>>, capnp::Error> {
        Promise::ok(Box::new(Peer(Rc::clone(&self.net))))
    }

    fn drive_until_shutdown(&mut self) -> Promise<(), capnp::Error> {
        match self.shutdown.take() {
            Some(shutdown) => Promise::from_future(async move {
                let _ = shutdown.await;
                Ok(())
            }),
            None => Promise::ok(()),
        }
    }
}

struct Peer(Rc<Net>);

impl Connection<()> for Peer {
    fn get_peer_vat_id(&self) {}

    fn new_outgoing_message(&mut self, first_segment_word_size: u32) -> Box<dyn OutgoingMessage> {
        // The engine asks for 8 KiB for each call and the allocator zeroes what it is asked for;
        // most calls need a tenth of that, and a larger one gets further segments.
        let words = first_segment_word_size.clamp(16, 128);
        let allocator = HeapAllocator::new().first_segment_words(words);
        Box::new(Outgoing { message: Builder::new(allocator), net: Rc::clone(&self.0) })
    }

    fn receive_incoming_message(
        &mut self,
    ) -> Promise<Option<Box<dyn IncomingMessage>>, capnp::Error> {
        let net = Rc::clone(&self.0);
        net.current.set(None);
        Promise::from_future(poll_fn(move |context| {
            if let Some(message) = net.incoming.borrow_mut().pop_front() {
                if let Ok(Ok(message::Call(Ok(call)))) =
                    message.get_root::<message::Reader<'_>>().map(|root| root.which())
                {
                    net.current.set(Some(call.get_question_id()));
                }
                return Poll::Ready(Ok(Some(
                    Box::new(Received(message)) as Box<dyn IncomingMessage>
                )));
            }
            match &*net.end.borrow() {
                Some(Error::PeerMisbehaved { problem }) => {
                    Poll::Ready(Err(capnp::Error::failed(problem.clone())))
                }
                Some(error) => Poll::Ready(Err(capnp::Error::disconnected(error.to_string()))),
                None => {
                    *net.receiver.borrow_mut() = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), capnp::Error> {
        if let Err(reason) = result {
            self.0.give_up(&reason);
        }
        if let Some(shutdown) = self.0.shutdown.take() {
            let _ = shutdown.send(());
        }
        Promise::ok(())
    }
}

struct Received(Incoming);

impl IncomingMessage for Received {
    fn get_body(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.0.get_root()
    }
}

struct Outgoing {
    message: Builder<HeapAllocator>,
    net: Rc<Net>,
}

impl OutgoingMessage for Outgoing {
    fn get_body(&mut self) -> capnp::Result<capnp::any_pointer::Builder<'_>> {
        self.message.get_root()
    }

    fn get_body_as_reader(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.message.get_root_as_reader()
    }

    fn send(self: Box<Self>) -> (Promise<(), capnp::Error>, Rc<Builder<HeapAllocator>>) {
        let Outgoing { message, net } = *self;
        if let Some(question) = answered_question(&message) {
            net.returned(question);
        }
        let message = Rc::new(message);
        net.outgoing.borrow_mut().push(Rc::clone(&message));
        (Promise::ok(()), message)
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.message
    }

    fn size_in_words(&self) -> usize {
        self.message.size_in_words()
    }
}

/// The question that a Return answers; none for other messages.
fn answered_question(message: &Builder<HeapAllocator>) -> Option<u32> {
    let root: message::Reader<'_> = message.get_root_as_reader().ok()?;
    match root.which() {
        Ok(message::Return(Ok(ret))) => {
            let ret: return_::Reader<'_> = ret;
            Some(ret.get_answer_id())
        }
        _ => None,
    }
}
