//! A raw peer that records the messages it was sent, so that a test can check their order.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;

use capnp::any_pointer;
use capnp::private::capability::ClientHook;
use capnp::traits::Imbue;
use capnp_rpc::rpc_capnp::{
    cap_descriptor, disembargo, exception, message, message_target, payload, resolve, return_,
};
use multiprocess::{Connection, Interface};

use crate::LONG;
use crate::generated::lab_capnp::counter;
use crate::generated::life_capnp::guest;
use crate::raw::{Cap, Incoming, Placeholder, RawPeer, Target, placeholder, which};

/// A message that came.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A call.
    Call(Called),
    /// The end of a call of this peer's.
    Return {
        /// Its question.
        answer: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// The end of a question of the other side's.
    Finish {
        /// The question.
        question: u32,
        /// Whether this peer is to release the capabilities in its results.
        release: bool,
    },
    /// A release of references on an object of this peer.
    Release {
        /// The object.
        id: u32,
        /// How many.
        count: u32,
    },
    /// The resolution of a promise of the other side; none if it is an error.
    Resolve {
        /// The promise.
        promise: u32,
        /// The capability.
        cap: Option<Given>,
    },
    /// A request for the end of an embargo of the other side's.
    Embargo {
        /// Its number.
        id: u32,
        /// What it is for.
        target: Target,
    },
    /// The end of an embargo of this peer's.
    Echo {
        /// Its number.
        id: u32,
        /// What it is for.
        target: Target,
    },
    /// A question for the bootstrap object.
    Bootstrap(u32),
    /// The other side has ended the connection.
    Abort(String),
    /// Anything else.
    Other,
}

/// A call that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// Its question.
    pub question: u32,
    /// Whom it is for.
    pub target: Target,
    /// The interface and the ordinal of its method.
    pub method: (u64, u16),
    /// The first number of its parameters.
    pub number: i32,
    /// The capabilities in its parameters.
    pub caps: Vec<Given>,
    /// The thread and the callback thread of its context, if it has one.
    pub context: Threads,
}

/// The thread and the callback thread of a context.
pub type Threads = (Option<Given>, Option<Given>);

/// A capability in a received message, as seen from this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A null.
    Null,
    /// An object of the other side's.
    There(u32),
    /// A promise of the other side's.
    Promise(u32),
    /// An object of this peer's.
    Here(u32),
    /// A capability in this peer's answer of a question of the other side.
    Answer(u32),
}

/// How a call of this peer's ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With results, which have these capabilities.
    Results(Vec<Given>),
    /// With an exception of this kind and text.
    Exception(exception::Type, String),
    /// It was cancelled.
    Canceled,
    /// Its results stay with the other side.
    Elsewhere,
    /// Its results are those of a question of the other side's.
    TakenFrom(u32),
}

/// A raw peer, and the messages it was sent.
pub struct Recorder {
    /// The peer. Messages that its own methods read are not in the log.
    pub peer: RawPeer,
    log: Vec<Event>,
    /// The events that a test has already found. Each is found once.
    found: Vec<bool>,
    /// The first number of each answer's results.
    numbers: HashMap<u32, i64>,
}

impl Recorder {
    /// Speaks over this socket. Reading gives up when nothing has come for long.
    pub fn new(stream: UnixStream) -> Recorder {
        let peer = RawPeer::new(stream);
        peer.stream.set_read_timeout(Some(LONG)).expect("a timeout");
        Recorder { peer, log: Vec::new(), found: Vec::new(), numbers: HashMap::new() }
    }

    /// A raw peer that has given its first object, and the other end's handle on that.
    pub fn with_first_object<I: Interface>() -> (Connection, Recorder, I) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let connection = Connection::new(theirs).expect("a connection");
        let object = connection.bootstrap().expect("a handle");
        let mut recorder = Recorder::new(ours);
        let place = recorder.find(|event| matches!(event, Event::Bootstrap(_)));
        let Event::Bootstrap(question) = recorder.log()[place] else { unreachable!() };
        recorder.peer.answer(question, &[Cap::Here(1)], |mut content| {
            content.reborrow().set_as_capability(placeholder());
        });
        (connection, recorder, object)
    }

    /// All events, in order.
    pub fn log(&self) -> &[Event] {
        &self.log
    }

    /// Reads the next message. Returns its place in the log.
    #[track_caller]
    pub fn read(&mut self) -> usize {
        let incoming = self.peer.receive().unwrap_or_else(|error| {
            panic!("no further message ({error}) after {:#?}", self.log);
        });
        self.note(&incoming);
        self.log.len() - 1
    }

    /// Reads until the other side has closed.
    pub fn read_to_end(&mut self) {
        while let Ok(incoming) = self.peer.receive() {
            self.note(&incoming);
        }
    }

    fn note(&mut self, incoming: &Incoming) {
        if let Some((question, number)) = number_in(incoming) {
            self.numbers.insert(question, number);
        }
        self.log.push(event(incoming).expect("a message that can be read"));
        self.found.push(false);
    }

    /// The place of the first message for which `look` holds and that was not found before. Reads on
    /// until there is one.
    #[track_caller]
    pub fn find(&mut self, mut look: impl FnMut(&Event) -> bool) -> usize {
        let mut place = 0;
        loop {
            while place == self.log.len() {
                self.read();
            }
            if !self.found[place] && look(&self.log[place]) {
                self.found[place] = true;
                return place;
            }
            place += 1;
        }
    }

    /// The next call of this method, and its place.
    #[track_caller]
    pub fn call_of(&mut self, method: (u64, u16)) -> (usize, Called) {
        let place = self.find(|event| matches!(event, Event::Call(call) if call.method == method));
        let Event::Call(call) = &self.log[place] else { unreachable!("it is a call") };
        (place, call.clone())
    }

    /// How a call of this peer's ended, and the place of that.
    #[track_caller]
    pub fn return_of(&mut self, question: u32) -> (usize, Outcome) {
        let place =
            self.find(|event| matches!(event, Event::Return { answer, .. } if *answer == question));
        let Event::Return { outcome, .. } = &self.log[place] else { unreachable!("it is one") };
        (place, outcome.clone())
    }

    /// The first number of the results of a call of this peer's.
    #[track_caller]
    pub fn number_of(&mut self, question: u32) -> i64 {
        let (_, outcome) = self.return_of(question);
        assert!(matches!(outcome, Outcome::Results(_)), "{outcome:?}");
        self.numbers[&question]
    }

    /// The place of the Finish of a question of the other side's, and whether it releases the
    /// capabilities of the results.
    #[track_caller]
    pub fn finish_of(&mut self, asked: u32) -> (usize, bool) {
        let place = self
            .find(|event| matches!(event, Event::Finish { question, .. } if *question == asked));
        let Event::Finish { release, .. } = self.log[place] else { unreachable!("it is one") };
        (place, release)
    }

    /// Reads until `count` references on an object of this peer have been released. Returns the
    /// place of the last release.
    #[track_caller]
    pub fn release_of(&mut self, export: u32, mut count: u32) -> usize {
        let mut place = 0;
        while count > 0 {
            place = self.find(|event| matches!(event, Event::Release { id, .. } if *id == export));
            let Event::Release { count: by, .. } = self.log[place] else {
                unreachable!("it is a Release")
            };
            count = count.checked_sub(by).expect("not released more often than given");
        }
        place
    }

    /// Sends a question and reads until its answer: everything that the other side sent before that
    /// is then in the log.
    #[track_caller]
    pub fn hear(&mut self) {
        let question = self.peer.bootstrap();
        self.return_of(question);
        self.peer.finish(question);
    }

    /// How many messages came for which `look` holds.
    pub fn count(&self, look: impl Fn(&Event) -> bool) -> usize {
        self.log.iter().filter(|event| look(event)).count()
    }

    /// How many calls of this method came.
    pub fn calls_of(&self, method: (u64, u16)) -> usize {
        self.count(|event| matches!(event, Event::Call(call) if call.method == method))
    }

    /// Answers a call with results that are one number.
    pub fn answer_number(&mut self, question: u32, number: i32) {
        self.peer.answer(question, &[], |content| {
            content.init_as::<guest::call_results::Builder<'_>>().set_result(number);
        });
    }

    /// Answers a call with no results.
    pub fn answer_nothing(&mut self, question: u32) {
        self.peer.answer(question, &[], |content| {
            content.init_as::<guest::destroy_results::Builder<'_>>();
        });
    }

    /// Answers a call with an exception.
    pub fn fail(&mut self, question: u32, kind: exception::Type, text: &str) {
        self.peer
            .send(|message| {
                let mut ret = message.init_return();
                ret.set_answer_id(question);
                ret.set_release_param_caps(false);
                let mut exception = ret.init_exception();
                exception.set_type(kind);
                exception.set_reason(text);
            })
            .expect("to send");
    }
}

fn event(incoming: &Incoming) -> capnp::Result<Event> {
    Ok(match which(incoming) {
        message::Call(call) => {
            let call = call?;
            let params = call.get_params()?;
            let caps = given_in(params)?;
            let (number, context) = numbers_of(params, &caps)?;
            Event::Call(Called {
                question: call.get_question_id(),
                target: target(call.get_target()?)?,
                method: (call.get_interface_id(), call.get_method_id()),
                number,
                caps,
                context,
            })
        }
        message::Return(ret) => {
            let ret = ret?;
            let outcome = match ret.which()? {
                return_::Results(payload) => Outcome::Results(given_in(payload?)?),
                return_::Exception(exception) => {
                    let exception = exception?;
                    let text = exception.get_reason()?.to_string()?;
                    Outcome::Exception(exception.get_type()?, text)
                }
                return_::Canceled(()) => Outcome::Canceled,
                return_::ResultsSentElsewhere(()) => Outcome::Elsewhere,
                return_::TakeFromOtherQuestion(question) => Outcome::TakenFrom(question),
                _ => return Ok(Event::Other),
            };
            Event::Return { answer: ret.get_answer_id(), outcome }
        }
        message::Finish(finish) => {
            let finish = finish?;
            let release = finish.get_release_result_caps();
            Event::Finish { question: finish.get_question_id(), release }
        }
        message::Release(release) => {
            let release = release?;
            Event::Release { id: release.get_id(), count: release.get_reference_count() }
        }
        message::Resolve(resolve) => {
            let resolve = resolve?;
            let cap = match resolve.which()? {
                resolve::Cap(cap) => Some(given(cap?)?),
                resolve::Exception(_) => None,
            };
            Event::Resolve { promise: resolve.get_promise_id(), cap }
        }
        message::Disembargo(disembargo) => {
            let disembargo = disembargo?;
            let target = target(disembargo.get_target()?)?;
            match disembargo.get_context().which()? {
                disembargo::context::SenderLoopback(id) => Event::Embargo { id, target },
                disembargo::context::ReceiverLoopback(id) => Event::Echo { id, target },
                _ => Event::Other,
            }
        }
        message::Bootstrap(bootstrap) => Event::Bootstrap(bootstrap?.get_question_id()),
        message::Abort(abort) => Event::Abort(abort?.get_reason()?.to_string()?),
        _ => Event::Other,
    })
}

/// The first number of an answer's results.
fn number_in(incoming: &Incoming) -> Option<(u32, i64)> {
    let message::Return(Ok(ret)) = which(incoming) else { return None };
    let Ok(return_::Results(Ok(payload))) = ret.which() else { return None };
    let results = payload.get_content().get_as::<counter::next_results::Reader<'_>>().ok()?;
    Some((ret.get_answer_id(), results.get_result()))
}

/// Of a target that is an answer, only the question is kept.
fn target(from: message_target::Reader<'_>) -> capnp::Result<Target> {
    Ok(match from.which()? {
        message_target::ImportedCap(id) => Target::Export(id),
        message_target::PromisedAnswer(answer) => {
            let answer = answer?;
            if answer.get_transform()?.is_empty() {
                Target::Bootstrap(answer.get_question_id())
            } else {
                Target::Answer(answer.get_question_id())
            }
        }
    })
}

fn given_in(payload: payload::Reader<'_>) -> capnp::Result<Vec<Given>> {
    payload.get_cap_table()?.iter().map(given).collect()
}

fn given(descriptor: cap_descriptor::Reader<'_>) -> capnp::Result<Given> {
    Ok(match descriptor.which()? {
        cap_descriptor::SenderHosted(id) => Given::There(id),
        cap_descriptor::SenderPromise(id) => Given::Promise(id),
        cap_descriptor::ReceiverHosted(id) => Given::Here(id),
        cap_descriptor::ReceiverAnswer(answer) => Given::Answer(answer?.get_question_id()),
        _ => Given::Null,
    })
}

/// The number and the context in the parameters, which have the same slots in each method of
/// `life.capnp`.
fn numbers_of(params: payload::Reader<'_>, caps: &[Given]) -> capnp::Result<(i32, Threads)> {
    let table: Vec<Option<Box<dyn ClientHook>>> =
        (0..caps.len()).map(|place| Some(Placeholder::boxed(place))).collect();
    let mut content: any_pointer::Reader<'_> = params.get_content();
    content.imbue(&table);
    let Ok(fields) = content.get_as::<guest::call_params::Reader<'_>>() else {
        return Ok((0, (None, None)));
    };
    let Ok(context) = fields.get_context() else { return Ok((fields.get_number(), (None, None))) };
    let thread = context.get_thread().ok().map(|thread| caps[thread.client.hook.get_ptr()]);
    let callback =
        context.get_callback_thread().ok().map(|thread| caps[thread.client.hook.get_ptr()]);
    Ok((fields.get_number(), (thread, callback)))
}
