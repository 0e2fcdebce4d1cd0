//! Reading by the raw peer: the next message, one that a test looks for, or the answer of a
//! question.

use std::io::{self, Read};

use capnp::message::ReaderOptions;
use capnp::serialize;
use capnp_rpc::rpc_capnp::{cap_descriptor, disembargo, message, message_target, return_};

use super::{Answer, Incoming, RawPeer, which};

impl RawPeer {
    /// The next message; an error when the other side has closed.
    pub fn receive(&mut self) -> capnp::Result<Incoming> {
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(None);
        serialize::read_message(&mut self.stream, options)
    }

    /// Reads until a question is answered.
    pub fn wait(&mut self, question: u32) -> Answer {
        loop {
            if let Some(answer) = self.answers.remove(&question) {
                return answer;
            }
            let incoming = self.receive().expect("an answer");
            self.note(incoming);
        }
    }

    /// Keeps the message if it is an answer, and drops it otherwise.
    fn note(&mut self, incoming: Incoming) {
        let (question, exception) = match which(&incoming) {
            message::Return(Ok(ret)) => match ret.which() {
                Ok(return_::Exception(Ok(exception))) => {
                    let text = exception.get_reason().expect("a reason");
                    (ret.get_answer_id(), Some(text.to_string().expect("UTF-8")))
                }
                Ok(return_::Results(_)) => (ret.get_answer_id(), None),
                Ok(return_::Canceled(())) => (ret.get_answer_id(), Some("canceled".to_owned())),
                Ok(return_::ResultsSentElsewhere(())) => {
                    (ret.get_answer_id(), Some("sent elsewhere".to_owned()))
                }
                _ => panic!("an answer that is neither results nor an exception"),
            },
            message::Abort(Ok(abort)) => panic!("aborted: {:?}", abort.get_reason()),
            _ => return,
        };
        let results = || Answer::Results(Box::new(incoming));
        self.answers.insert(question, exception.map_or_else(results, Answer::Exception));
    }

    /// Reads until `look` finds a message. Answers that come before it are kept.
    pub fn find<T>(&mut self, mut look: impl FnMut(message::WhichReader<'_>) -> Option<T>) -> T {
        loop {
            let incoming = self.receive().expect("a message");
            if let Some(found) = look(which(&incoming)) {
                return found;
            }
            self.note(incoming);
        }
    }

    /// Reads until the other side calls. Returns the question, and the object if it is exported
    /// from here.
    pub fn find_call(&mut self) -> (u32, Option<u32>) {
        self.find(|message| {
            let message::Call(Ok(call)) = message else { return None };
            let target = match call.get_target().ok()?.which().ok()? {
                message_target::ImportedCap(id) => Some(id),
                message_target::PromisedAnswer(_) => None,
            };
            Some((call.get_question_id(), target))
        })
    }

    /// Reads until the other side asks for the end of an embargo. Returns its number, and the
    /// object if it is exported from here.
    pub fn find_embargo(&mut self) -> (u32, Option<u32>) {
        self.find(|message| {
            let message::Disembargo(Ok(disembargo)) = message else { return None };
            let Ok(disembargo::context::SenderLoopback(id)) = disembargo.get_context().which()
            else {
                return None;
            };
            match disembargo.get_target().ok()?.which().ok()? {
                message_target::ImportedCap(target) => Some((id, Some(target))),
                message_target::PromisedAnswer(_) => Some((id, None)),
            }
        })
    }

    /// Reads until the other side finishes a question of its own.
    pub fn find_finish(&mut self, question: u32) {
        self.find(|message| match message {
            message::Finish(Ok(finish)) if finish.get_question_id() == question => Some(()),
            _ => None,
        });
    }

    /// Reads until the other side closes. False if it does not.
    pub fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }
}

impl Answer {
    /// The text of the exception.
    #[track_caller]
    pub fn exception(self) -> String {
        match self {
            Answer::Exception(text) => text,
            Answer::Results(_) => panic!("the call did not fail"),
        }
    }

    /// The results.
    #[track_caller]
    pub fn results(self) -> Box<Incoming> {
        match self {
            Answer::Results(message) => message,
            Answer::Exception(text) => panic!("the call failed: {text}"),
        }
    }

    /// The number of the first object that the results bring.
    #[track_caller]
    pub fn export(self) -> u32 {
        let message = self.results();
        let message::Return(Ok(ret)) = which(&message) else { panic!("not a return") };
        let Ok(return_::Results(Ok(payload))) = ret.which() else { panic!("no results") };
        match payload.get_cap_table().expect("a table").get(0).which() {
            Ok(cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id)) => id,
            _ => panic!("no object of the other side's"),
        }
    }
}
