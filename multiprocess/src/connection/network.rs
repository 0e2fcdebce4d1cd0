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
use capnp::message::{Builder, HeapAllocator, Reader, ReaderOptions, ReaderSegments};
use capnp::serialize::OwnedSegments;
use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, message, message_target, promised_answer, resolve,
};
use capnp_rpc::{Connection, IncomingMessage, OutgoingMessage, VatNetwork};
use futures_channel::oneshot;

use super::threads::BusyGuard;
use crate::Error;
use crate::server::Token;

/// A message as it came from the socket.
pub(super) struct Incoming {
    reader: Reader<Segments>,
    options: ReaderOptions,
}

/// The bytes of a message, which a method that is lent its parameters shares with the engine.
#[derive(Clone)]
pub(crate) struct Segments(Arc<OwnedSegments>);

impl Segments {
    /// A message whose bytes can be shared.
    pub(super) fn message(message: Reader<OwnedSegments>, options: ReaderOptions) -> Incoming {
        let segments = Segments(Arc::new(message.into_segments()));
        Incoming { reader: Reader::new(segments, options), options }
    }

    /// The size of the message.
    pub(crate) fn words(&self) -> usize {
        let segments = (0..).map_while(|id| self.0.get_segment(id));
        segments.map(|segment| segment.len() / 8).sum()
    }
}

impl ReaderSegments for Segments {
    fn get_segment(&self, id: u32) -> Option<&[u8]> {
        self.0.get_segment(id)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

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
    /// The peer's questions that it has not finished, by their ids.
    questions: RefCell<HashMap<u32, Question>>,
    /// How many of them have no answer yet.
    unanswered: Cell<usize>,
    /// The call of this side's that was sent last, and what is kept until such a call returns:
    /// cancelled or not, it occupies its thread there until then.
    last_call: Cell<Option<u32>>,
    until_return: RefCell<HashMap<u32, UntilReturn>>,
    /// Set while it is asked in which message a call's parameters are, and the answer.
    asked: Cell<bool>,
    body: RefCell<Option<(Segments, ReaderOptions)>>,
    /// How often the peer has resolved a promise to a further promise.
    further_promises: Cell<usize>,
    cancelled: RefCell<Vec<Arc<Token>>>,
    /// The question id of the call that is being handed to the engine now.
    current: Cell<Option<u32>>,
}

/// A call or bootstrap of the peer's, until its Finish.
#[derive(Default)]
struct Question {
    /// How many unanswered questions it goes through: its target is the answer of one, or it passes
    /// such an answer.
    depth: usize,
    returned: bool,
    token: Option<Arc<Token>>,
    /// The peer's Finish that came early. capnp-rpc would drop the call's promise on it and then
    /// never free the slot, so it is kept back until the Return has gone out.
    finish: Option<Incoming>,
}

/// What belongs to a call of this side's until it returns.
#[derive(Default)]
struct UntilReturn {
    /// Its thread there is occupied.
    busy: Option<BusyGuard>,
    /// Set when it has returned.
    returned: Option<Rc<Cell<bool>>>,
}

impl Drop for UntilReturn {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take() {
            returned.set(true);
        }
    }
}

/// What becomes of a message.
enum Admitted {
    Pass,
    /// An early Finish of this question.
    Hold(u32),
}

/// The engine recurses through answers that wait for answers: a longer chain than this ends the
/// connection, before it ends the process's stack.
const MAX_DEPTH: usize = 32;
/// The same for promises that resolve to promises, of which the engine keeps the whole chain. Peers
/// resolve to what a promise has become, so that there are few.
const MAX_FURTHER_PROMISES: usize = 10_000;

impl Net {
    /// Hands over messages that have arrived.
    pub(super) fn receive(&self, messages: impl IntoIterator<Item = Incoming>) {
        self.incoming.borrow_mut().extend(messages);
        self.wake();
    }

    /// The tokens of calls that the peer has cancelled, to be fired outside the lock.
    pub(super) fn take_cancelled(&self) -> Vec<Arc<Token>> {
        self.cancelled.take()
    }

    /// The next message for the engine, with a note of what it begins or ends.
    fn next(&self) -> Option<Result<Incoming, capnp::Error>> {
        loop {
            let message = self.incoming.borrow_mut().pop_front()?;
            match self.admit(&message) {
                Ok(Admitted::Pass) => return Some(Ok(message)),
                Ok(Admitted::Hold(question)) => {
                    if let Some(open) = self.questions.borrow_mut().get_mut(&question) {
                        open.finish = Some(message);
                    }
                }
                Err(problem) => return Some(Err(capnp::Error::failed(problem))),
            }
        }
    }

    fn admit(&self, incoming: &Incoming) -> Result<Admitted, String> {
        let mut questions = self.questions.borrow_mut();
        match incoming.reader.get_root::<message::Reader<'_>>().map(|root| root.which()) {
            Ok(Ok(message::Finish(Ok(finish)))) => {
                let question = finish.get_question_id();
                match questions.get(&question) {
                    Some(open) if !open.returned => {
                        self.cancelled.borrow_mut().extend(open.token.clone());
                        return Ok(Admitted::Hold(question));
                    }
                    _ => drop(questions.remove(&question)),
                }
            }
            Ok(Ok(message::Bootstrap(Ok(bootstrap)))) => {
                questions.entry(bootstrap.get_question_id()).or_insert_with(|| {
                    self.unanswered.set(self.unanswered.get() + 1);
                    Question::default()
                });
            }
            Ok(Ok(message::Call(Ok(call)))) => {
                let depth = depth_of(call, &questions);
                if depth > MAX_DEPTH {
                    return Err(format!("a chain of more than {MAX_DEPTH} unanswered calls"));
                }
                let question = call.get_question_id();
                let open = questions.entry(question).or_insert_with(|| {
                    self.unanswered.set(self.unanswered.get() + 1);
                    Question::default()
                });
                open.depth = depth;
                self.current.set(Some(question));
            }
            Ok(Ok(message::Return(Ok(ret)))) => {
                let over = self.until_return.borrow_mut().remove(&ret.get_answer_id());
                drop(over);
            }
            Ok(Ok(message::Resolve(Ok(resolve)))) if resolves_to_promise(resolve) => {
                let further = self.further_promises.get() + 1;
                self.further_promises.set(further);
                if further > MAX_FURTHER_PROMISES {
                    return Err(format!("{further} promises resolved to further promises"));
                }
            }
            _ => {}
        }
        Ok(Admitted::Pass)
    }

    /// Ties the call that is just being handed to the engine to the token that its cancelling
    /// fires. None where the call reaches its object later (through a promise).
    pub(super) fn bind_token(&self, token: &Arc<Token>) {
        let Some(question) = self.current.get() else { return };
        if let Some(call) = self.questions.borrow_mut().get_mut(&question) {
            call.token = Some(Arc::clone(token));
        }
    }

    fn returned(&self, question: u32, finished: bool) {
        let mut questions = self.questions.borrow_mut();
        let Some(open) = questions.get_mut(&question) else { return };
        if !std::mem::replace(&mut open.returned, true) {
            self.unanswered.set(self.unanswered.get().saturating_sub(1));
        }
        open.token = None;
        let finish = open.finish.take();
        if finished || finish.is_some() {
            questions.remove(&question);
        }
        drop(questions);
        if let Some(finish) = finish {
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

    /// Sends a call, and says which question it became; none if it did not go to the peer now.
    pub(super) fn sent_by<R>(&self, send: impl FnOnce() -> R) -> (R, Option<u32>) {
        self.last_call.set(None);
        let sent = send();
        (sent, self.last_call.take())
    }

    /// The message out of which `get` takes a call's parameters; none where they are in none that
    /// came from the peer.
    pub(super) fn body_of(&self, get: impl FnOnce()) -> Option<(Segments, ReaderOptions)> {
        self.asked.set(true);
        get();
        self.asked.set(false);
        self.body.take()
    }

    /// Keeps `busy` until this call returns.
    pub(super) fn keep_until_return(&self, question: u32, busy: BusyGuard) {
        self.until_return.borrow_mut().entry(question).or_default().busy = Some(busy);
    }

    /// What tells when this call has returned, or never will as the connection has ended.
    pub(super) fn watch_return(&self, question: u32) -> Rc<Cell<bool>> {
        let mut until_return = self.until_return.borrow_mut();
        let watched = until_return.entry(question).or_default();
        Rc::clone(watched.returned.get_or_insert_default())
    }

    /// How many of the peer's questions are not answered, and how many are not finished.
    pub(super) fn open_questions(&self) -> (usize, usize) {
        (self.unanswered.get(), self.questions.borrow().len())
    }

    pub(super) fn clear(&self) {
        let incoming = self.incoming.take();
        drop(incoming);
        self.questions.take();
        let over = self.until_return.take();
        drop(over);
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
            if let Some(message) = net.next() {
                let received =
                    message.map(|m| Some(Box::new(Received(m, Rc::clone(&net))) as Box<_>));
                return Poll::Ready(received);
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

struct Received(Incoming, Rc<Net>);

impl IncomingMessage for Received {
    fn get_body(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        if self.1.asked.get() {
            let segments = self.0.reader.get_segments().clone();
            *self.1.body.borrow_mut() = Some((segments, self.0.options));
        }
        self.0.reader.get_root()
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
        match kind_of(&message) {
            Kind::Return { question, finished } => net.returned(question, finished),
            Kind::Call(question) => net.last_call.set(Some(question)),
            Kind::Other => {}
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

/// What a message of this side's means for the tables here.
enum Kind {
    Call(u32),
    /// The answer of the peer's question, and whether that finishes it.
    Return {
        question: u32,
        finished: bool,
    },
    Other,
}

fn kind_of(message: &Builder<HeapAllocator>) -> Kind {
    match message.get_root_as_reader().map(|root: message::Reader<'_>| root.which()) {
        Ok(Ok(message::Call(Ok(call)))) => Kind::Call(call.get_question_id()),
        Ok(Ok(message::Return(Ok(ret)))) => {
            Kind::Return { question: ret.get_answer_id(), finished: ret.get_no_finish_needed() }
        }
        _ => Kind::Other,
    }
}

/// How many unanswered questions a call goes through.
fn depth_of(call: call::Reader<'_>, questions: &HashMap<u32, Question>) -> usize {
    let below = |answer: capnp::Result<promised_answer::Reader<'_>>| {
        let question = answer.ok().and_then(|answer| questions.get(&answer.get_question_id()));
        question.filter(|question| !question.returned).map_or(0, |question| question.depth + 1)
    };
    let target = match call.get_target().map(|target| target.which()) {
        Ok(Ok(message_target::PromisedAnswer(answer))) => below(answer),
        _ => 0,
    };
    let passed = call.get_params().and_then(|params| params.get_cap_table());
    let passed = passed.into_iter().flatten().map(|descriptor| match descriptor.which() {
        Ok(cap_descriptor::ReceiverAnswer(answer)) => below(answer),
        _ => 0,
    });
    passed.max().unwrap_or(0).max(target)
}

fn resolves_to_promise(resolve: resolve::Reader<'_>) -> bool {
    match resolve.which() {
        Ok(resolve::Cap(Ok(cap))) => matches!(
            cap.which(),
            Ok(cap_descriptor::SenderPromise(_) | cap_descriptor::ReceiverAnswer(_))
        ),
        _ => false,
    }
}
